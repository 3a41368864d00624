/**
 * The flags of Infinity's released scripts, `tools/run_infinity.py` and `evaluation/gen_eval/infer4eval.py`,
 * with those that VAR-Scaling's copy of them adds, and what each means on a command line of ours. What says
 * something about the files is checked in `infinity_facts.ts`.
 *
 * @module
 */

import { list } from "../output/words.ts";
import { choice, integer, number, seed, text } from "./kinds.ts";
import { CHECKPOINT_OPTIONS, MODEL_OPTIONS } from "./model_options.ts";
import { type Option, optionName, type OptionTable, section, type Values } from "./options.ts";

/** The shapes of the released transformers, by what the scripts call them. */
export const MODEL_TYPES = {
  infinity_2b: { depth: 32, width: 2048 },
  infinity_8b: { depth: 40, width: 3584 },
  infinity_layer12: { depth: 12, width: 768 },
  infinity_layer16: { depth: 16, width: 1152 },
  infinity_layer24: { depth: 24, width: 1536 },
  infinity_layer32: { depth: 32, width: 2080 },
  infinity_layer40: { depth: 40, width: 2688 },
  infinity_layer48: { depth: 48, width: 3360 },
} as const;

const MODEL_NAMES = Object.keys(MODEL_TYPES) as (keyof typeof MODEL_TYPES)[];

/** What the help says of flags without which there is nothing to do. */
const NEEDED = "none, it is needed";

const bit = choice(["0", "1"]);

/** What Python's argparse does with a flag that is given again. */
export function lastCounts<Table extends OptionTable>(table: Table): Table {
  return Object.fromEntries(
    Object.entries(table).map(([name, option]) => [name, { ...option, lastCounts: true }]),
  ) as unknown as Table;
}

/** Flags that say what is generated and how. */
const SETTINGS = {
  cfg: {
    kind: text("X|X,…"),
    help: "Strength of guidance, a number or one for each scale: --cfg",
    default: "3",
  },
  tau: { kind: number("X", 0, 1e6), help: "Divides the logits: --temperature", default: 1 },
  pn: { kind: choice(["0.06M", "0.25M", "1M"]), help: "Pixels: --pn", defaultText: NEEDED },
  hDivWTemplate: { kind: number("X", 0.1, 10), help: "Height by width: --aspect", default: 1 },
  cfgInsertionLayer: { kind: integer("N", -1000), help: "Layer: --cfg-insertion-layer", default: 0 },
  enablePositivePrompt: { kind: bit, help: "More words: --positive-prompt", default: "0" },
  seed: { kind: seed, help: "Of the random numbers: --seed", default: 0 },
  enableScaling: { kind: bit, help: "VAR-Scaling: --preset published", default: "0" },
  scalingLayerIdx: { kind: integer("K", 0), help: "Its scale: --scale", default: 3 },
  scalingNumSamples: { kind: integer("N", 1), help: "Its candidates: --samples", default: 3000 },
} satisfies OptionTable;

/** Flags that name files. */
const FILES = {
  modelPath: { kind: text("PLACE"), help: "The transformer: --infinity-ckpt", defaultText: NEEDED },
  vaePath: { kind: text("FILE"), help: "The tokenizer: --vae-ckpt", defaultText: NEEDED },
  textEncoderCkpt: {
    kind: text("PLACE"),
    help: "The text encoder: --t5-ckpt",
    defaultText: "none, it or --text-features is needed",
  },
} satisfies OptionTable;

/** Flags that repeat what the files say. */
const FACTS = {
  modelType: {
    kind: { ...choice(MODEL_NAMES), placeholder: "TYPE" },
    help: `Shape of the transformer: ${list(MODEL_NAMES, "or")}`,
  },
  vaeType: { kind: integer("D", 1), help: "Bits of a position of the tokenizer's" },
  textChannels: { kind: integer("N", 1), help: "Width of the text features" },
  applySpatialPatchify: { kind: bit, help: "Whether a token holds a patch of positions" },
  checkpointType: {
    kind: choice(["torch", "torch_shard"]),
    help: "Whether --model-path is a file, or a folder of several",
  },
  useBitLabel: { kind: bit, help: "Whether tokens are bits: 1" },
  rope2dEachSaLayer: { kind: bit, help: "Whether each layer rotates by position: 1" },
  rope2dNormalizedByHw: { kind: choice(["0", "1", "2"]), help: "How positions are counted: 2" },
  addLvlEmbedingOnlyFirstBlock: { kind: bit, help: "Whether scales are told to the first block alone: 1" },
} satisfies OptionTable;

/** Flags without an effect on the pictures: of the released code itself, or of how it goes about its work. */
const WITHOUT_EFFECT = {
  useScaleScheduleEmbedding: { kind: bit, help: "Without effect there, too" },
  samplingPerBits: { kind: choice(["1", "2", "4", "8", "16"]), help: "Without effect there, too" },
  useFlexAttn: { kind: bit, help: "Another way to compute the same" },
  bf16: { kind: bit, help: "Type of the weights there; see --dtype" },
  cacheDir: { kind: text("DIR"), help: "Where copies of the files are made there" },
  enableModelCache: { kind: bit, help: "Whether they are" },
} satisfies OptionTable;

/** The flags that all released scripts have. */
export const INFINITY_FLAGS = {
  ...section("What to generate", lastCounts(SETTINGS)),
  ...section("Model", lastCounts(FILES)),
  ...section("What the files say, checked if it is given", lastCounts(FACTS)),
  ...section("Without effect, said so if it is given", lastCounts(WITHOUT_EFFECT)),
};

/** Options of ours that say how a model is loaded, whichever it is. */
export const LOADING_OPTIONS: OptionTable = Object.fromEntries(
  Object.entries(MODEL_OPTIONS).filter(([name]) => {
    return !["model", "weights", "classNames", "modelDepth", "modelSize", "without"].includes(name) &&
      !Object.hasOwn(CHECKPOINT_OPTIONS, name);
  }),
);

/** Flags of `run_infinity.py` alone. */
export const RUN_FLAGS = section(
  "What to generate",
  lastCounts({
    // An empty prompt is one.
    prompt: {
      kind: { placeholder: "TEXT", parse: (value: string): string => value },
      help: "The prompt",
      default: "a dog",
    },
    saveFile: {
      kind: text("FILE"),
      help: "The picture, as PNG whatever the ending; a file that is there is replaced",
      default: "./tmp.jpg",
    },
  }),
);

/** Flags of GenEval's `infer4eval.py` alone. */
export const EVAL_FLAGS = section(
  "What to generate",
  lastCounts({
    metadataFile: {
      kind: text("FILE"),
      help: "GenEval's prompts: --metadata",
      default: "evaluation/gen_eval/prompts/evaluation_metadata.jsonl",
    },
    outdir: { kind: text("DIR"), help: "Folder for the pictures: --output" },
    nSamples: { kind: integer("N", 1), help: "Pictures of each prompt: --num-images", default: 4 },
    rewritePrompt: { kind: bit, help: "Rewriting by a service of others: 0", default: "0" },
    loadRewritePromptCache: { kind: bit, help: "Without effect as prompts are not rewritten" },
  }),
);

/** Values of the flags; scripts that rest on these know other sizes, too. */
export type InfinityValues = Omit<Values<typeof INFINITY_FLAGS>, "pn"> & {
  readonly pn: string | undefined;
  /** Methods of ours, which say whether VAR-Scaling is one of them. */
  readonly method?: readonly string[] | undefined;
};

/** Flags that were given and have no effect. */
export function withoutEffect(values: InfinityValues): string[] {
  return Object.keys(WITHOUT_EFFECT).filter((name) => {
    return values[name as keyof typeof WITHOUT_EFFECT] !== undefined;
  });
}

/**
 * What the flags mean as arguments of `varscale generate` and `varscale run`: do as the released code does,
 * with these files and settings. Seed, prompts and output are left to the commands.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parse } from "./parse.ts";
 *
 * const line = "--pn 1M --model_path a.pth --vae_path b.pth --text_encoder_ckpt t5 --cfg 4 --tau 0.5";
 * const args = infinityArguments(parse(INFINITY_FLAGS, line.split(" ")).options);
 * assertEquals(args.slice(0, 3), ["--infinity-ckpt=a.pth", "--vae-ckpt=b.pth", "--t5-ckpt=t5"]);
 * assertEquals(args.slice(6, 8), ["--cfg=4", "--temperature=0.5"]);
 * ```
 */
export function infinityArguments(values: InfinityValues): string[] {
  const { modelPath, vaePath, textEncoderCkpt, pn, hDivWTemplate, cfg, tau, cfgInsertionLayer } = values;
  const scaling = [
    "--preset=published",
    // The scripts make one picture at a time.
    "--bandwidth=image",
    `--scale=${values.scalingLayerIdx}`,
    `--samples=${values.scalingNumSamples}`,
  ];
  return [
    ...[`--infinity-ckpt=${modelPath}`, `--vae-ckpt=${vaePath}`],
    ...(textEncoderCkpt === undefined ? [] : [`--t5-ckpt=${textEncoderCkpt}`]),
    "--published",
    ...[`--pn=${pn}`, `--aspect=${hDivWTemplate}`, `--cfg=${cfg}`, `--temperature=${tau}`],
    `--cfg-insertion-layer=${cfgInsertionLayer}`,
    ...(values.enablePositivePrompt === "1" ? ["--positive-prompt"] : []),
    ...(values.enableScaling === "1" ? scaling : values.method === undefined ? ["--no-scaling"] : []),
  ];
}

/**
 * Arguments for the options of ours that a command has beside the released flags.
 *
 * @param own The table of these.
 * @param values All values.
 */
export function ownArguments(own: OptionTable, values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(own).flatMap(([name, option]) => ownArgument(name, option, values[name]));
}

function ownArgument(name: string, { kind, default: usual }: Option<unknown>, value: unknown): string[] {
  if (value === undefined || value === usual) return [];
  if (value === false) return kind.negatable ? [optionName(name).replace("--", "--no-")] : [];
  if (Array.isArray(value)) return [`${optionName(name)}=${value.length === 0 ? "none" : value.join(",")}`];
  return [kind.placeholder === undefined ? optionName(name) : `${optionName(name)}=${value}`];
}
