/**
 * Infinity from prompts to pictures, stored and run in each way there is, beside the same model in PyTorch:
 * seconds by part, memory, and what `model_report.ts` tells of the other families. Before anything is timed,
 * logits and a picture of given bits are compared.
 *
 *     deno run -A bench/infinity_report.ts --infinity=FILE --vae=FILE --t5=FOLDER [--batch=8] …
 *     deno run -A bench/infinity_report.ts --text-tokenizer=FILE [--model=125M|2B|8B] [--text-layers=2]
 *     [--stored=f32|f16] [--checkpoints=out/checkpoints] …
 *     … [--size=N|WxH] [--dtype=f32,f16,q8,q4] [--on=wasm,native] [--batch=1] [--rounds=3] [--threads=N]
 *     [--scaling] [--compare=4] [--pytorch=PYTHON] [--keep-text] [--pad-text=512] [--output=FILE] [--json]
 *
 * Measures checkpoints that are given, or synthetic ones of a published size, which are written first if they
 * are not there; these paint 256 pixels unless `--size` says otherwise. `--keep-text` and `--pad-text` are
 * for PyTorch: whether it projects texts once instead of at every scale, as the published code does, and to
 * how many tokens it pads them. The other options are those of `model_report.ts`.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { writeSynthetic, writeSyntheticFolder } from "./checkpoint_writer.ts";
import {
  INFINITY_SIZE_NAMES,
  infinityFiles,
  type InfinitySizeName,
  parseInfinityRequest,
} from "./infinity_checkpoint.ts";
import { addMachine, machineRecord } from "./machines.ts";
import {
  formatModelRecord,
  measureWays,
  type ModelRecord,
  REPORT_ARGUMENTS,
  type ReportOptions,
  reportOptions,
  type Subject,
  weightBytes,
} from "./model_ways.ts";
import type { ModelFacts } from "./model_worker.ts";

/** Paths of the checkpoints of a model. */
export interface InfinityPlaces {
  /** The transformer: a file, or a folder of shards. */
  readonly infinity: string;
  /** The tokenizer. */
  readonly vae: string;
  /** Folder of the text encoder, its tokenizer beside it. */
  readonly t5: string;
}

/** Synthetic checkpoints and the folder that has or gets them. */
export interface SyntheticPlaces {
  /** A published size. */
  readonly model: InfinitySizeName;
  /** Type of their numbers. */
  readonly stored: "f32" | "f16";
  /** Layers of the text encoder. */
  readonly textLayers: number;
  /** Path of its tokenizer. */
  readonly textTokenizer: string;
  /** Folder of the files. */
  readonly folder: string;
}

/** What the command line asks for. */
export interface InfinityReportOptions extends ReportOptions {
  /** Checkpoints that are there, or those that are made. */
  readonly checkpoints: InfinityPlaces | SyntheticPlaces;
  /** Whether PyTorch projects texts once. */
  readonly keepText: boolean;
  /** Tokens that PyTorch pads texts to. */
  readonly padText: number | undefined;
}

const ACTION = "report";

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options or words, or checkpoints are missing, or some are given
 * together with what others are made of.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parseInfinityReportOptions(args: readonly string[]): InfinityReportOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      infinity: { type: "string" },
      vae: { type: "string" },
      t5: { type: "string" },
      model: { type: "string" },
      stored: { type: "string" },
      "text-layers": { type: "string" },
      "text-tokenizer": { type: "string" },
      checkpoints: { type: "string" },
      ...REPORT_ARGUMENTS,
      "keep-text": { type: "boolean", default: false },
      "pad-text": { type: "string" },
    },
  });
  const { infinity, vae, t5, "keep-text": keepText, "pad-text": padText } = values;
  const given = [infinity, vae, t5];
  const made = (["model", "stored", "text-layers", "text-tokenizer", "checkpoints"] as const)
    .find((name) => values[name] !== undefined);
  const anyGiven = given.some((place) => place !== undefined);
  if (anyGiven && given.includes(undefined)) {
    throw new TypeError(`Cannot ${ACTION} as --infinity, --vae and --t5 go together: one of them is missing`);
  }
  if (anyGiven && made !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION} with --${made} as it is for checkpoints that are made: --infinity is ${infinity}`,
    );
  }
  const options = reportOptions(values, ACTION);
  return {
    ...options,
    checkpoints: anyGiven ? { infinity: infinity!, vae: vae!, t5: t5! } : syntheticPlaces(values),
    size: options.size ?? (anyGiven ? undefined : 256),
    padText: padText === undefined
      ? undefined
      : requireInteger(Number(padText), "--pad-text", ACTION, { min: 1, max: 512 }),
    keepText,
  };
}

function syntheticPlaces(values: {
  readonly model?: string;
  readonly stored?: string;
  readonly "text-layers"?: string;
  readonly "text-tokenizer"?: string;
  readonly checkpoints?: string;
}): SyntheticPlaces {
  const { model = "125M", stored = "f32", "text-tokenizer": textTokenizer } = values;
  if (textTokenizer === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} without --infinity, --vae and --t5 as --text-tokenizer must name a tokenizer.json for the ` +
        "text encoder that is made",
    );
  }
  // Only the width of its features matters to the others; two layers are quickly written.
  const textLayers = Number(values["text-layers"] ?? 2);
  return {
    model: requireChoice(model as InfinitySizeName, INFINITY_SIZE_NAMES, "--model", ACTION),
    stored: requireChoice(stored as "f32" | "f16", ["f32", "f16"], "--stored", ACTION),
    textLayers: requireInteger(textLayers, "--text-layers", ACTION, { min: 1, max: 100 }),
    textTokenizer,
    folder: values.checkpoints ?? join("out", "checkpoints"),
  };
}

/** Paths of the checkpoints; synthetic ones are written if they are not there. */
async function findCheckpoints({ checkpoints }: InfinityReportOptions): Promise<InfinityPlaces> {
  if ("infinity" in checkpoints) return checkpoints;
  const { model, stored, textLayers, textTokenizer, folder } = checkpoints;
  const request = parseInfinityRequest([
    ...[`--size=${model}`, `--dtype=${stored}`, `--output=${folder}`],
    ...[`--text-layers=${textLayers}`, `--text-tokenizer=${textTokenizer}`],
  ]);
  await Deno.mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (const file of await infinityFiles(request)) {
    const path = join(folder, file.name);
    paths.push(path);
    try {
      await ("state" in file ? writeSynthetic(path, file.state) : writeSyntheticFolder(path, file));
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  return { infinity: paths[0]!, vae: paths[1]!, t5: paths[2]! };
}

const SHAPES = ["sphere", "cube", "cone", "torus"];
const COLOURS = ["red", "blue", "green", "yellow", "purple"];

/**
 * Prompts of several lengths, as in real batches, and bits for the comparison: any will do, as long as all
 * get the same.
 */
export function infinityTask(
  { scales, channels, words }: Pick<ModelFacts, "scales" | "channels" | "words">,
  { batch, compare }: Pick<InfinityReportOptions, "batch" | "compare">,
): { labels: string[]; tokens: number[][][] } {
  const labels = Array.from({ length: batch }, (_, i) => {
    const [one, other] = [i, i + 3].map((k) => `a ${COLOURS[k % 5]} ${SHAPES[k % 4]}`);
    return i % 2 === 0 ? `a photo of ${one}` : `a photo of ${one} and ${other}`;
  });
  const tokens = scales.slice(0, compare).map(({ width, height }, scale) =>
    labels.map((_, image) =>
      Array.from({ length: width * height * words }, (_, i) => {
        const bits = Math.min(channels - 32 * (i % words), 32);
        // The highest bits of a product by a large odd number are as good as drawn.
        return Math.imul(0x9e3779b1, 1 + i + 104729 * (scale + image)) >>> (32 - bits);
      })
    )
  );
  return { labels, tokens };
}

/** Measures everything that is asked for. */
export async function measureInfinity(
  options: InfinityReportOptions,
  progress?: (line: string) => void,
): Promise<ModelRecord> {
  const checkpoints = await findCheckpoints(options);
  const { infinity, vae, t5 } = checkpoints;
  const { keepText, padText } = options;
  const subject: Subject = {
    checkpoints: { infinity, vae, t5 },
    // The text encoder is not in memory while pictures are painted.
    bytes: await weightBytes({ infinity, vae }),
    task: (model) => infinityTask(model, options),
    peer: [
      ...["./pytorch_infinity.py", infinity, vae, t5] as const,
      ...(keepText ? ["--keep-text"] : []),
      ...(padText === undefined ? [] : [`--pad-text=${padText}`]),
    ],
  };
  return await measureWays(subject, options, progress);
}

if (import.meta.main) {
  const options = parseInfinityReportOptions(Deno.args);
  const record = await measureInfinity(options, (line) => console.error(line));
  console.log(formatModelRecord(record));
  if (options.output !== undefined) {
    await Deno.writeTextFile(options.output, JSON.stringify(record, undefined, 2) + "\n");
  }
  if (options.json) {
    const line = machineRecord(record);
    if (line !== undefined) await addMachine(line);
  }
}
