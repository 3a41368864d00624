/**
 * The options of methods that search: which of them are used, who judges, and the settings of each. What they
 * come to is a {@linkcode Search}.
 *
 * @module
 */

import { BUNDLED_MODELS, CORRUPTIONS } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { list } from "../output/words.ts";
import { choice, integer, type Kind, number, numberPerScale, scales, text, toggle } from "./kinds.ts";
import { hookPlaces } from "./own_hooks.ts";
import { optionName, type OptionTable, section, type Values } from "./options.ts";
import { absolute, hubPlace } from "./place.ts";
import { asked } from "./requests.ts";
import { SCALING_OPTIONS, scalingHook, scalingSettings } from "./scaling_options.ts";
import {
  GUIDING,
  hooksOf,
  isGuiding,
  isJudged,
  JUDGED,
  METHOD_TITLES,
  type MethodName,
  METHODS,
  type Search,
  standInsFor,
} from "./search.ts";

const methods: Kind<readonly MethodName[]> = {
  placeholder: "NAME,…",
  choices: ["none", ...METHODS],
  parse: (value) => {
    const names = value.split(",").map((name) => name.trim());
    const known = METHODS.filter((name) => names.includes(name));
    const none = names.length === 1 && names[0] === "none";
    if (!none && known.length !== names.length) {
      throw new RangeError(`must be none, or of ${list(METHODS, "and")} each once, separated by commas`);
    }
    return known;
  },
};

/** Numbers of lanes, separated by commas or, as the released script has them, by spaces. */
const sizes: Kind<readonly number[]> = {
  placeholder: "N,…",
  parse: (value) => {
    if (!/^[1-9]\d{0,3}([, ]+[1-9]\d{0,3})*$/.test(value)) {
      throw new RangeError(
        'must be numbers of lanes, one for each scale, separated by commas, like "8,6,4,2,1"',
      );
    }
    return value.split(/[, ]+/).map(Number);
  },
};

/** Scales, or none of them. */
const scalesOrNone: Kind<readonly number[]> = {
  placeholder: `${scales.placeholder}|none`,
  parse: (value) => value === "none" ? [] : scales.parse(value),
};

/** What a search may cost, as the library reads it. */
const budget: Kind<string> = {
  placeholder: "4x|8s|2e12",
  parse: (value) => {
    const [, amount, unit = ""] = /^(\d+\.?\d*(?:e\+?\d+)?) ?(x|s)?$/i.exec(value) ?? [];
    if (!(Number(amount) > 0 && Number.isFinite(Number(amount)))) {
      throw new RangeError(
        'must be so many plain images, like "4x", seconds of one image, like "8s", or its floating-point operations, like "2e12"',
      );
    }
    return `${amount}${unit.toLowerCase()}`;
  },
};

/** Options of methods that judge. */
const JUDGING = {
  verifier: {
    kind: text("PLACE"),
    help:
      "Who judges pictures: own, the network that the model brings; another by NAME, such as image-reward or clip, by NAME:PLACE or by its description FILE.json; evidence, the model's own likelihood, or density, which need none; evidence:PLACE, the likelihood of another model of the same tokens",
    defaultText: "own",
  },
  verifierTemplate: {
    kind: text("TEXT"),
    help: 'The text for a class, for a network that compares pictures with texts: "a photo of a {label}"',
  },
  keep: { kind: integer("N", 1, 256), help: "Pictures of each image that come back", defaultText: "1" },
} satisfies OptionTable;

/** Options of TTS-VAR. */
const TTS_VAR = {
  ttsPreset: {
    kind: choice(["default", "published"]),
    help:
      "Where the other settings start from: published does what the released code does, and needs --verifier and --features",
    defaultText: "default",
  },
  features: {
    kind: text("PLACE"),
    help:
      "What lanes are clustered by: latent, which needs no network; own, or a network such as dinov2, as for --verifier; position and joint mean --density-features",
    defaultText: "latent",
  },
  sizes: {
    kind: sizes,
    help: "Lanes after each scale, which may not grow; the first number is how many an image starts with",
    aliases: ["bs-sis"],
    defaultText: "8 to 1, by the number of scales",
  },
  multiple: {
    kind: integer("N", 1, 32),
    help: "Multiplies these numbers, where --sizes is not given",
    defaultText: "1",
  },
  clusterScales: {
    kind: scalesOrNone,
    help: "Scales after which lanes are clustered and one of each cluster goes on",
    aliases: ["extract-sis"],
    defaultText: "those that suit the number of scales",
  },
  resampleScales: {
    kind: scalesOrNone,
    help: "Scales after which lanes are judged, and the best go on or are drawn",
    aliases: ["resample-sis"],
    defaultText: "those that suit the number of scales",
  },
  point: {
    kind: choice(["pca", "pca-raw", "pca-all", "pool", "flat"]),
    help:
      "How the features of a lane become a point: their first principal component, the same with the sign it happens to have, that of all lanes, their mean, or all side by side",
    defaultText: "flat for latent features, pca for those of patches",
  },
  potential: {
    kind: choice(["value", "diff", "max", "sum", "topk"]),
    help:
      "What of a lane's scores counts: the last, its rise, the largest, the sum of all, or of the --top largest",
    aliases: ["cal-type"],
    defaultText: "value",
  },
  top: { kind: integer("N", 1), help: "Scores that topk adds up", defaultText: "2" },
  lambda: {
    kind: number("X", 0, 2 ** 40),
    help: "Weights of lanes, for those who draw by them, are exp(lambda · potential)",
    aliases: ["lam"],
    defaultText: "2, published 10",
  },
  standardize: {
    kind: toggle,
    help: "Divide scores by their standard deviation among the lanes of an image",
    defaultText: "on, published off",
  },
  draw: {
    kind: choice(["systematic", "multinomial", "best"]),
    help:
      "Which lanes go on when they are judged: the best, each once; or drawn by their weights, with as many copies as those say or independently",
    defaultText: "best, published multinomial",
  },
} satisfies OptionTable;

/** Options of Best-of-N. */
const BEST_OF_N = {
  attempts: { kind: integer("N", 1, 256), help: "Attempts at each image", defaultText: "4" },
} satisfies OptionTable;

/** Options of beam search. */
const BEAM = {
  beams: {
    kind: integer("N", 1, 256),
    help: "Lanes that are kept after each of the scales",
    defaultText: "2",
  },
  beamWidth: {
    kind: integer("N", 1, 256),
    help: "Copies in which each of them goes on",
    aliases: ["width"],
    defaultText: "2",
  },
  beamScales: {
    kind: scales,
    help: "Scales after which lanes are judged, beside the last one",
    defaultText: "those at half and at three quarters of the way",
  },
} satisfies OptionTable;

/** Options of prefix guidance. */
const PREFIX_GUIDANCE = {
  prefixWeight: {
    kind: numberPerScale("X", 0, 2 ** 32),
    help:
      "Weight λ by which logits are pushed away from those of a corrupted prefix, one number or one for each scale; 0 is off",
    defaultText: "what is published for the model, or else 1",
  },
  prefixShare: {
    kind: number("X", 0, 1),
    help: "Share of the positions of each scale that take the embedding of another one",
    defaultText: "0.1",
  },
  prefixCorruption: {
    kind: choice(CORRUPTIONS),
    help:
      "Corrupt each scale once, when it becomes part of the prefix, or all of them anew at each scale, which takes going through all of them again",
    defaultText: "once",
  },
} satisfies OptionTable;

/** Options of spatial guidance. */
const SPATIAL_GUIDANCE = {
  spatialStrength: {
    kind: numberPerScale("X", 0, 1024),
    help:
      "Strength β by which a scale is moved away from what the one before has said: that of the second scale, falling to the last, or one for each scale",
    defaultText: "0.1",
  },
  spatialScales: { kind: scales, help: "Scales on which it acts", defaultText: "all but the first" },
} satisfies OptionTable;

/** Options of adaptive guidance. */
const ADAPTIVE_GUIDANCE = {
  adaptiveEta: {
    kind: number("X", -1024, 1024),
    help: "Share η of guidance along the conditional logits that is kept; 1 is ordinary guidance",
    defaultText: "0",
  },
  adaptiveNorm: {
    kind: number("X", 0, 2 ** 20),
    help: "Root mean square that the difference of logits is shortened to where it is larger; 0 is off",
    defaultText: "0",
  },
  adaptiveOver: {
    kind: choice(["map", "position"]),
    help: "What is projected as a whole: the map of an image, or each position by itself",
    defaultText: "map",
  },
} satisfies OptionTable;

/** The options of all methods, VAR-Scaling's own apart. */
export const METHOD_OPTIONS = {
  ...section("Search", {
    method: {
      kind: methods,
      help: `What is done between the scales: none, or one of ${list(METHODS, "and")}; ${
        list(["var-scaling", ...GUIDING], "and")
      } go with each of the others`,
      defaultText: "none, or var-scaling if an option of it is given",
    },
    ...JUDGING,
    hook: {
      kind: hookPlaces,
      collects: true,
      help:
        "A hook of your own: a module that exports one, or a function that makes one of the options behind the path; may be given again. Acts after --method",
    },
    budget: {
      kind: budget,
      help:
        "What an image may cost: so many plain ones, seconds, or floating-point operations. Chooses the settings of --method",
    },
  }),
  ...section("TTS-VAR", TTS_VAR),
  ...section("Best-of-N", BEST_OF_N),
  ...section("Beam search", BEAM),
  ...section("Adaptive guidance", ADAPTIVE_GUIDANCE),
  ...section("Prefix guidance", PREFIX_GUIDANCE),
  ...section("Spatial guidance", SPATIAL_GUIDANCE),
};

/** Values of all options of methods. */
export type MethodValues = Values<typeof METHOD_OPTIONS & typeof SCALING_OPTIONS>;

/** The options that belong to each method. */
const OWN: Readonly<Record<MethodName, readonly string[]>> = {
  "adaptive-guidance": Object.keys(ADAPTIVE_GUIDANCE),
  "prefix-guidance": Object.keys(PREFIX_GUIDANCE),
  "spatial-guidance": Object.keys(SPATIAL_GUIDANCE),
  "var-scaling": Object.keys(SCALING_OPTIONS),
  "tts-var": Object.keys(TTS_VAR),
  "best-of-n": Object.keys(BEST_OF_N),
  "beam": Object.keys(BEAM),
};

/** Values of `--features` that were VAR-Scaling's before there were features of lanes. */
const DENSITY_FEATURES = ["position", "joint"];

/**
 * What the options say is done.
 *
 * @param wanted Whether VAR-Scaling is to be used unless the options say otherwise.
 * @throws {UsageError} If they contradict each other, or name no method where one is needed.
 */
export function searchOf(values: MethodValues, wanted: boolean): Search {
  const own = withDensityFeatures(values);
  // A hook of one's own is a method, too, and acts alone unless the options say otherwise.
  const scaled = scalingHook(own, wanted && own.hook === undefined);
  const chosen = own.method ?? (scaled === undefined ? [] : ["var-scaling"] as const);
  if (own.method !== undefined) requireChosen(own, chosen);
  requireMethods(own, chosen);
  requireJudging(own, chosen.filter(isJudged));
  requireTopScores(own);
  requireFreeBudget(own, chosen);
  const { verifier, verifierTemplate: template, features, budget, hook: hooks } = own;
  const search: Search = {
    methods: chosen.map((name) => ({ name, settings: budget === undefined ? settingsOf(name, own) : {} })),
    ...(verifier === undefined ? {} : { verifier: judgePlace(verifier) }),
    ...(template === undefined ? {} : { template }),
    ...(features === undefined ? {} : { features: judgePlace(features) }),
    ...(budget === undefined ? {} : { budget }),
    ...(hooks === undefined ? {} : { hooks }),
  };
  // What is wrong with a value is said before anything is loaded.
  asked(() => hooksOf(search, standInsFor(search)));
  return search;
}

/** Options with `--features position` where it belongs. */
function withDensityFeatures(values: MethodValues): MethodValues {
  const { features, densityFeatures } = values;
  if (features === undefined || !DENSITY_FEATURES.includes(features)) return values;
  if (densityFeatures !== undefined) {
    throw new UsageError(
      `Options --features and --density-features are the same with the value "${features}", and both are given`,
    );
  }
  return { ...values, features: undefined, densityFeatures: features as "position" | "joint" };
}

function isGiven(values: MethodValues, name: string): boolean {
  return values[name as keyof MethodValues] !== undefined;
}

function requireChosen(values: MethodValues, chosen: readonly MethodName[]): void {
  for (const method of METHODS.filter((name) => !chosen.includes(name))) {
    const option = OWN[method].find((name) => {
      return isGiven(values, name) && !(name === "scaling" && values.scaling === false);
    });
    if (option === undefined) continue;
    throw new UsageError(
      `Option ${optionName(option)} is one of ${METHOD_TITLES[method]}: add ${method} to --method`,
    );
  }
  if (values.scaling === false && chosen.includes("var-scaling")) {
    throw new UsageError("Options --no-scaling and --method var-scaling exclude each other");
  }
}

function requireJudging(values: MethodValues, judging: readonly MethodName[]): void {
  if (judging.length > 1) {
    throw new UsageError(
      `Option --method must name at most one of ${
        list(JUDGED, "and")
      }, as each thins out the lanes of the others: current value is "${judging.join(",")}"`,
    );
  }
  if (judging.length === 1) return;
  const option = Object.keys(JUDGING).find((name) => isGiven(values, name));
  if (option === undefined) return;
  throw new UsageError(`Option ${optionName(option)} goes with --method ${list(JUDGED, "or")}`);
}

/** Checks that options of methods come with them; those of VAR-Scaling alone choose it. */
function requireMethods(values: MethodValues, chosen: readonly MethodName[]): void {
  for (const method of METHODS.filter((name) => name !== "var-scaling" && !chosen.includes(name))) {
    const option = OWN[method].find((name) => isGiven(values, name));
    if (option === undefined) continue;
    throw new UsageError(
      `Option ${optionName(option)} is one of ${METHOD_TITLES[method]}: add --method ${method}`,
    );
  }
}

function requireTopScores({ potential, top }: MethodValues): void {
  if (top === undefined || potential === "topk") return;
  throw new UsageError("Option --top goes with --potential topk");
}

function requireFreeBudget(values: MethodValues, chosen: readonly MethodName[]): void {
  if (values.budget === undefined) return;
  if (chosen.length === 0) {
    throw new UsageError(`Option --budget goes with --method ${list(["var-scaling", ...JUDGED], "or")}`);
  }
  const guiding = chosen.find(isGuiding);
  if (guiding !== undefined) {
    throw new UsageError(
      `Options --budget and --method ${guiding} exclude each other: what it costs is settled`,
    );
  }
  if (values.hook !== undefined) {
    throw new UsageError(
      "Options --budget and --hook exclude each other: what a hook of your own takes is not reckoned with",
    );
  }
  const free = ["features", "scaling"];
  const fixed = ["keep", ...Object.values(OWN).flat()].find((name) => {
    return !free.includes(name) && isGiven(values, name);
  });
  if (fixed === undefined) return;
  throw new UsageError(
    `Options --budget and ${optionName(fixed)} exclude each other: a budget chooses the settings of a method`,
  );
}

/** The settings of a method that were given. */
function settingsOf(name: MethodName, values: MethodValues): Record<string, unknown> {
  const { keep } = values;
  switch (name) {
    case "adaptive-guidance": {
      const { adaptiveEta: eta, adaptiveNorm: normThreshold, adaptiveOver: over } = values;
      return stated({ eta, normThreshold, over });
    }
    case "spatial-guidance":
      return stated({ strength: values.spatialStrength, scales: values.spatialScales });
    case "prefix-guidance": {
      const { prefixWeight: weight, prefixShare: share, prefixCorruption: corruption } = values;
      return stated({ weight, share, corruption });
    }
    case "var-scaling":
      return { ...scalingSettings(values) };
    case "tts-var": {
      const { ttsPreset: preset, sizes, multiple, clusterScales, resampleScales } = values;
      const { point, lambda, standardize, draw } = values;
      return stated({
        ...{ preset, sizes, multiple, clusterScales, resampleScales },
        ...{ point, potential: potentialOf(values), lambda, standardize, draw, keep },
      });
    }
    case "best-of-n":
      return stated({ samples: values.attempts, keep });
    case "beam":
      return stated({ beams: values.beams, width: values.beamWidth, scales: values.beamScales, keep });
  }
}

/** Which scores of a lane count, as `ttsVar()` names it. */
function potentialOf({ potential, top = 2 }: MethodValues): string | undefined {
  return potential === "topk" ? `topk_${top}` : potential;
}

function stated(settings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

/** A place that means the same from everywhere: of a network's files, behind the name of its kind. */
function judgePlace(place: string): string {
  const [, kind, files] = /^([\w-]{2,}):(?!\/\/)(.+)$/s.exec(place) ?? [];
  if (hubPlace(place) !== undefined) return place;
  if (kind !== undefined && files !== undefined) {
    if (kind === "evidence" && Object.hasOwn(BUNDLED_MODELS, files)) return place;
    return `${kind}:${hubPlace(files) === undefined ? absolute(files) : files}`;
  }
  // The name of a kind is a word; whatever looks like a path is one.
  return /^[\w-]+$/.test(place) ? place : absolute(place);
}
