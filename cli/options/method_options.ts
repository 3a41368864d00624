/**
 * The options of methods that search: which of them are used, who judges, and the settings of each. What they
 * come to is a {@linkcode Search}.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { list } from "../output/words.ts";
import { choice, integer, type Kind, number, scales, text, toggle } from "./kinds.ts";
import { optionName, type OptionTable, section, type Values } from "./options.ts";
import { absolute, hubPlace } from "./place.ts";
import { asked } from "./requests.ts";
import { SCALING_OPTIONS, scalingHook, scalingSettings } from "./scaling_options.ts";
import { hooksOf, METHOD_TITLES, type MethodName, METHODS, type Search, standInsFor } from "./search.ts";

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
      "Who judges pictures: own, the network that the model brings; another by NAME, such as image-reward or clip, by NAME:PLACE or by its description FILE.json; evidence of the model itself or density, which need none",
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

/** The options of all methods, VAR-Scaling's own apart. */
export const METHOD_OPTIONS = {
  ...section("Search", {
    method: {
      kind: methods,
      help: `What is done between the scales: none, or one of ${
        list(METHODS, "and")
      }; var-scaling goes with each of the others`,
      defaultText: "none, or var-scaling if an option of it is given",
    },
    ...JUDGING,
    budget: {
      kind: budget,
      help:
        "What an image may cost: so many plain ones, seconds, or floating-point operations. Chooses the settings of --method",
    },
  }),
  ...section("TTS-VAR", TTS_VAR),
  ...section("Best-of-N", BEST_OF_N),
  ...section("Beam search", BEAM),
};

/** Values of all options of methods. */
export type MethodValues = Values<typeof METHOD_OPTIONS & typeof SCALING_OPTIONS>;

/** The options that belong to each method. */
const OWN: Readonly<Record<MethodName, readonly string[]>> = {
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
  const chosen = own.method ?? (scalingHook(own, wanted) === undefined ? [] : ["var-scaling"] as const);
  if (own.method !== undefined) requireChosen(own, chosen);
  const judging = chosen.filter((name) => name !== "var-scaling");
  requireJudging(own, judging);
  requireTopScores(own);
  requireFreeBudget(own, chosen);
  const { verifier, verifierTemplate: template, features, budget } = own;
  const search: Search = {
    methods: chosen.map((name) => ({ name, settings: budget === undefined ? settingsOf(name, own) : {} })),
    ...(verifier === undefined ? {} : { verifier: judgePlace(verifier) }),
    ...(template === undefined ? {} : { template }),
    ...(features === undefined ? {} : { features: judgePlace(features) }),
    ...(budget === undefined ? {} : { budget }),
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
        list(METHODS.filter((name) => name !== "var-scaling"), "and")
      }, as each thins out the lanes of the others: current value is "${judging.join(",")}"`,
    );
  }
  if (judging.length === 1) return;
  for (const method of METHODS.filter((name) => name !== "var-scaling")) {
    const option = OWN[method].find((name) => isGiven(values, name));
    if (option === undefined) continue;
    throw new UsageError(
      `Option ${optionName(option)} is one of ${METHOD_TITLES[method]}: add --method ${method}`,
    );
  }
  const option = Object.keys(JUDGING).find((name) => isGiven(values, name));
  if (option === undefined) return;
  throw new UsageError(
    `Option ${optionName(option)} goes with --method ${
      list(METHODS.filter((name) => name !== "var-scaling"), "or")
    }`,
  );
}

function requireTopScores({ potential, top }: MethodValues): void {
  if (top === undefined || potential === "topk") return;
  throw new UsageError("Option --top goes with --potential topk");
}

function requireFreeBudget(values: MethodValues, chosen: readonly MethodName[]): void {
  if (values.budget === undefined) return;
  if (chosen.length === 0) {
    throw new UsageError(`Option --budget goes with --method ${list(METHODS, "or")}`);
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
    return `${kind}:${hubPlace(files) === undefined ? absolute(files) : files}`;
  }
  // The name of a kind is a word; whatever looks like a path is one.
  return /^[\w-]+$/.test(place) ? place : absolute(place);
}
