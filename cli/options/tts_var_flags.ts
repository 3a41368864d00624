/**
 * The flags of TTS-VAR's released script, `tts-var/main.py`, and what they mean on a command line of ours.
 * Those that it has in common with Infinity's scripts are theirs.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import { UsageError } from "../io.ts";
import { INFINITY_FLAGS, infinityArguments, type InfinityValues, lastCounts } from "./infinity_flags.ts";
import { choice, integer, type Kind, number, seed, text } from "./kinds.ts";
import { type OptionTable, section, type Values } from "./options.ts";

/** Integers with spaces between them, as argparse takes them; none are possible. */
const integers: Kind<readonly number[]> = {
  placeholder: "N N …",
  parse: (value) => {
    const items = value.split(/[\s,]+/).filter((item) => item !== "");
    if (!items.every((item) => /^-?\d{1,9}$/.test(item))) {
      throw new RangeError("must be integers with spaces between them");
    }
    return items.map(Number);
  },
};

/** Where the script looks for files. */
const FILES = {
  modelPath: "./pretrained_models/Infinity/infinity_2b_reg.pth",
  vaePath: "./pretrained_models/Infinity/infinity_vae_d32reg.pth",
  textEncoderCkpt: "./pretrained_models/flan-t5-xl",
  imageRewardModelPath: "./pretrained_models/ImageReward.pt",
  aestheticPredictorPath: "./pretrained_models/aesthetic_predictor_v2_5.pth",
  siglipEncoderPath: "./pretrained_models/siglip-so400m-patch14-384",
  dinov2HubPath: "facebookresearch/dinov2",
} as const;

/** The script's lists, for the 13 scales of its model. */
const SCHEDULE = {
  bsSis: "8 8 6 6 6 4 2 2 2 1 1 1 1",
  extractSis: "2 5",
  resampleSis: "6 9",
} as const;

/** Flags of Infinity's scripts that this one has by another name, or not at all. */
const {
  hDivWTemplate: _aspect,
  enableScaling: _scaling,
  scalingLayerIdx: _scale,
  scalingNumSamples: _samples,
  ...INFINITY
} = INFINITY_FLAGS;

/** Flags that say what is searched and how. */
const SEARCH = {
  rewardType: {
    kind: choice(["ir", "aes", "hps", "no"]),
    help:
      "Who judges: ImageReward, an aesthetic predictor, or HPS v2.1, which is fetched. The script cannot do without",
    default: "ir",
  },
  calType: {
    kind: choice(["value", "max", "diff", "sum", "no"]),
    help: "What of a lane's scores counts: --potential; no resamples nowhere",
    default: "value",
  },
  resampleSis: {
    kind: integers,
    help: "Scales after which lanes are resampled: --resample-scales",
    defaultText: SCHEDULE.resampleSis,
  },
  extractType: {
    kind: choice(["pca", "pool", "inception", "no"]),
    help:
      "What lanes are clustered by: DINOv2 by its first component or its mean, or Inception; no clusters nowhere",
    default: "pca",
  },
  extractSis: {
    kind: integers,
    help: "Scales after which lanes are clustered: --cluster-scales",
    defaultText: SCHEDULE.extractSis,
  },
  bsSis: { kind: integers, help: "Lanes after each scale: --sizes", defaultText: SCHEDULE.bsSis },
  lam: { kind: number("X", 0, 2 ** 40), help: "Lambda of the weights: --lambda", default: 10 },
  imageRewardModelPath: {
    kind: text("FILE"),
    help: "ImageReward: --verifier image-reward:FILE",
    defaultText: FILES.imageRewardModelPath,
  },
  aestheticPredictorPath: {
    kind: text("FILE"),
    help: "The aesthetic predictor: --verifier aesthetic:FILE",
    defaultText: FILES.aestheticPredictorPath,
  },
  siglipEncoderPath: {
    kind: text("DIR"),
    help: "Its encoder, in the folder of which the predictor must lie here",
    defaultText: FILES.siglipEncoderPath,
  },
  dinov2HubPath: {
    kind: text("PLACE"),
    help: "DINOv2: --features dinov2:PLACE; by its default those on the hub",
    defaultText: FILES.dinov2HubPath,
  },
} satisfies OptionTable;

/** The flags of the script. */
export const TTS_VAR_FLAGS = {
  ...section(
    "What to generate",
    lastCounts({
      prompt: { kind: text("TEXT"), help: "The prompt", defaultText: "none, it is needed" },
      saveDir: { kind: text("DIR"), help: "Folder for the picture", default: "./output" },
      outputFilename: {
        kind: text("NAME"),
        help: "Its name there, as PNG whatever the ending; a file that is there is replaced",
        defaultText: "made of the prompt and the seed",
      },
    }),
  ),
  ...INFINITY,
  ...section(
    "What to generate",
    lastCounts({
      tau: { ...INFINITY_FLAGS.tau, default: 0.5 },
      pn: { kind: choice(["0.06M", "0.25M", "0.60M", "1M"]), help: "Pixels: --pn", defaultText: "1M" },
      hDivW: { kind: number("X", 0.1, 10), help: "Height by width: --aspect", defaultText: "1" },
      seed: { kind: seed, help: "Of the random numbers: --seed", defaultText: "a random one, which is said" },
    }),
  ),
  ...section("Search", lastCounts(SEARCH)),
  ...section(
    "Model",
    lastCounts({
      model: { kind: text("PLACE"), help: "Instead of the files: a model folder, hf:OWNER/NAME or demo-t2i" },
      modelPath: { ...INFINITY_FLAGS.modelPath, defaultText: FILES.modelPath },
      vaePath: { ...INFINITY_FLAGS.vaePath, defaultText: FILES.vaePath },
      textEncoderCkpt: { ...INFINITY_FLAGS.textEncoderCkpt, defaultText: FILES.textEncoderCkpt },
    }),
  ),
  ...section(
    "Without effect, said so if it is given",
    lastCounts({ batchSizeNamespace: { kind: integer("N", 0), help: "Without effect there, too" } }),
  ),
};

/** Their values. */
export type TtsVarValues = Values<typeof TTS_VAR_FLAGS>;

/** Names of the flags that are lists. */
const LISTS = ["--resample-sis", "--extract-sis", "--bs-sis"];

/**
 * The same arguments with each list in one of them: `--resample_sis 6 9` is `--resample-sis=6 9`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(joinLists(["--extract_sis", "2", "5", "--lam", "10"]), ["--extract-sis=2 5", "--lam", "10"]);
 * ```
 */
export function joinLists(args: readonly string[]): string[] {
  const joined: string[] = [];
  const rest = [...args];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    const name = argument.replaceAll("_", "-");
    if (!LISTS.includes(name)) {
      joined.push(argument);
      continue;
    }
    const end = rest.findIndex((item) => !/^-?\d+$/.test(item));
    joined.push(`${name}=${rest.splice(0, end < 0 ? rest.length : end).join(" ")}`);
  }
  return joined;
}

/** The flags as those of Infinity's scripts, with the files of this one where none are named. */
export function infinityValues(values: TtsVarValues): InfinityValues {
  const { modelPath, vaePath, textEncoderCkpt, pn = "1M", hDivW = 1, seed = 0 } = values;
  return {
    ...values,
    modelPath: modelPath ?? FILES.modelPath,
    vaePath: vaePath ?? FILES.vaePath,
    textEncoderCkpt: textEncoderCkpt ?? FILES.textEncoderCkpt,
    pn,
    hDivWTemplate: hDivW,
    seed,
    enableScaling: "0",
    scalingLayerIdx: INFINITY_FLAGS.scalingLayerIdx.default,
    scalingNumSamples: INFINITY_FLAGS.scalingNumSamples.default,
  };
}

/**
 * What the flags mean as arguments of `varscale generate`; seed, prompt and output are left to the command.
 *
 * @throws {UsageError} If the script asks for what is not known here.
 */
export function ttsVarArguments(values: TtsVarValues): string[] {
  const { model, cfg, tau, pn, hDivW, cfgInsertionLayer, enablePositivePrompt } = values;
  if (model === undefined) return [...infinityArguments(infinityValues(values)), ...searchArguments(values)];
  return [
    ...[`--model=${model}`, "--published", `--cfg=${cfg}`, `--temperature=${tau}`],
    ...(pn === undefined ? [] : [`--pn=${pn}`]),
    ...(hDivW === undefined ? [] : [`--aspect=${hDivW}`]),
    ...(cfgInsertionLayer === 0 ? [] : [`--cfg-insertion-layer=${cfgInsertionLayer}`]),
    ...(enablePositivePrompt === "1" ? ["--positive-prompt"] : []),
    ...searchArguments(values),
  ];
}

function searchArguments(values: TtsVarValues): string[] {
  const { model, calType, extractType, lam, rewardType } = values;
  // The lists of the script suit its model; another one has a schedule of its own.
  const usual = (list: string): readonly number[] | undefined => {
    return model === undefined ? integers.parse(list) : undefined;
  };
  const sizes = values.bsSis ?? usual(SCHEDULE.bsSis);
  const resampled = calType === "no" ? [] : values.resampleSis ?? usual(SCHEDULE.resampleSis);
  const clustered = extractType === "no" ? [] : values.extractSis ?? usual(SCHEDULE.extractSis);
  return [
    ...["--method=tts-var", "--tts-preset=published"],
    ...[`--verifier=${verifierOf(values)}`, `--features=${featuresOf(values)}`],
    ...(sizes === undefined ? [] : [`--sizes=${sizes.join(",")}`]),
    ...(resampled === undefined ? [] : [`--resample-scales=${listed(resampled)}`]),
    ...(clustered === undefined ? [] : [`--cluster-scales=${listed(clustered)}`]),
    ...(extractType === "pca" || extractType === "no" ? [] : ["--point=pool"]),
    ...(calType === "no" ? [] : [`--potential=${calType}`]),
    // The script takes a tenth of what the predictor says.
    `--lambda=${rewardType === "aes" ? lam / 10 : lam}`,
  ];
}

function listed(scales: readonly number[]): string {
  return scales.length === 0 ? "none" : scales.join(",");
}

function verifierOf(values: TtsVarValues): string {
  const { model, rewardType, imageRewardModelPath, aestheticPredictorPath, siglipEncoderPath } = values;
  switch (rewardType) {
    case "ir":
      // A bundled model brings a reward of its own.
      if (model !== undefined && imageRewardModelPath === undefined) return "own";
      return `image-reward:${imageRewardModelPath ?? FILES.imageRewardModelPath}`;
    case "aes": {
      const predictor = aestheticPredictorPath ?? FILES.aestheticPredictorPath;
      const encoder = siglipEncoderPath ?? FILES.siglipEncoderPath;
      if (resolve(dirname(predictor)) !== resolve(encoder)) {
        throw new UsageError(
          `Option --siglip-encoder-path must be the folder of --aesthetic-predictor-path, as the files of a network lie together: link ${predictor} into it; current value is "${encoder}"`,
        );
      }
      return `aesthetic:${predictor}`;
    }
    case "hps":
      return "clip:hf:xswu/HPSv2";
    default:
      throw new UsageError(
        `Option --reward-type must be ir, aes or hps, as nobody would choose the picture: current value is "${rewardType}"`,
      );
  }
}

function featuresOf({ model, extractType, extractSis, dinov2HubPath }: TtsVarValues): string {
  // Nobody is asked.
  if (extractType === "no" || extractSis?.length === 0) return "latent";
  if (extractType === "inception") return "inception";
  // What a bundled model brings describes pictures, too.
  if (model !== undefined && dinov2HubPath === undefined) return "own";
  const place = dinov2HubPath ?? FILES.dinov2HubPath;
  return place === FILES.dinov2HubPath ? "dinov2" : `dinov2:${place}`;
}

/**
 * How the script calls its picture.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const facts = { prompt: "a red cube, and a cone!", seed: 42 };
 * assertEquals(pictureName({ ...facts, given: undefined }), "a_red_cube__and_a_cone_42.png");
 * assertEquals(pictureName({ ...facts, given: "cube" }), "cube.png");
 * ```
 */
export function pictureName(
  { prompt, seed, given }: {
    readonly prompt: string;
    readonly seed: number | bigint;
    readonly given: string | undefined;
  },
): string {
  if (given !== undefined) return /\.(png|jpe?g)$/i.test(given) ? given : `${given}.png`;
  const letters = [...prompt].slice(0, 50).map((letter) => /[\p{L}\p{N}]/u.test(letter) ? letter : "_");
  return `${letters.join("").replace(/_+$/, "")}_${seed}.png`;
}
