/**
 * A model of full size, stored and run in each way there is: time to load, seconds per image with guidance,
 * where they go, and memory; with a Python that has PyTorch, beside the same model there. Before anything is
 * timed, logits and a picture of given tokens are compared, so that all are known to compute the same thing.
 * Without checkpoints, synthetic ones of a family and a depth are written first.
 *
 *     deno run -A bench/model_report.ts [--family=var|flexvar] [--depth=16] [--size=N|WxH]
 *     [--dtype=f32,f16,q8,q4,int8] [--on=wasm,native] [--batch=1] [--rounds=3] [--threads=N] [--scaling]
 *     [--compare=4] [--pytorch=PYTHON] [--output=FILE] [--json] [--checkpoints=out/checkpoints] [--var=FILE
 *     --vae=FILE]
 *
 * `--size` is for a family whose models paint several; `--dtype` names types of the large weights, all by
 * default, and `int8` for products of integers natively; `--on` names `wasm`, `native` and `webgpu`;
 * `--scaling` times VAR-Scaling, too; `--compare` is the number of scales whose logits are compared;
 * `--output` takes every figure as JSON, and `--json` adds this machine to the table in `docs/machines.md`.
 * `--var` and `--vae` may name the same file. Each way runs in a process of its own and takes turns with
 * PyTorch alone.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { requireInteger } from "../kernels/arguments.ts";
import { writeSynthetic } from "./checkpoint_writer.ts";
import { addMachine, machineRecord } from "./machines.ts";
import {
  formatModelRecord,
  measureWays,
  type ModelRecord,
  REPORT_ARGUMENTS,
  type ReportOptions,
  reportOptions,
  weightBytes,
  word,
} from "./model_ways.ts";
import type { ModelFacts } from "./model_worker.ts";
import {
  parseSyntheticRequest,
  SYNTHETIC_FAMILIES,
  syntheticFiles,
  type SyntheticSizes,
} from "./synthetic_checkpoint.ts";

/** What the command line asks for. */
export interface ModelReportOptions extends ReportOptions {
  /** Paths of checkpoints, or family and depth of synthetic ones and the folder that has or gets them. */
  readonly checkpoints: { readonly var: string; readonly vae: string } | {
    readonly family: SyntheticSizes["family"];
    readonly depth: number;
    readonly folder: string;
  };
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, or one checkpoint without the other, or checkpoints and what
 * others are made of.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parseModelReportOptions(args: readonly string[]): ModelReportOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      family: { type: "string" },
      depth: { type: "string" },
      checkpoints: { type: "string" },
      var: { type: "string" },
      vae: { type: "string" },
      ...REPORT_ARGUMENTS,
    },
  });
  const action = "report";
  if ((values.var === undefined) !== (values.vae === undefined)) {
    throw new TypeError(`Cannot ${action} as --var and --vae go together: one of them is missing`);
  }
  const { family = "var", depth = "16" } = values;
  const made = (["family", "depth", "checkpoints"] as const).find((name) => values[name] !== undefined);
  if (values.var !== undefined && made !== undefined) {
    throw new TypeError(
      `Cannot ${action} with --${made} as it is for checkpoints that are made: --var is ${values.var}`,
    );
  }
  return {
    checkpoints: values.var !== undefined && values.vae !== undefined
      ? { var: values.var, vae: values.vae }
      : {
        family: word(family, "--family", SYNTHETIC_FAMILIES),
        depth: requireInteger(Number(depth), "--depth", action, { min: 1, max: 100 }),
        folder: values.checkpoints ?? join("out", "checkpoints"),
      },
    ...reportOptions(values, action),
  };
}

/** Paths of the checkpoints; synthetic ones are written if they are not there. */
async function findCheckpoints(
  { checkpoints }: ModelReportOptions,
): Promise<{ readonly var: string; readonly vae: string }> {
  if ("var" in checkpoints) return checkpoints;
  const { family, depth, folder } = checkpoints;
  const request = [`--family=${family}`, `--depth=${depth}`, `--output=${folder}`];
  const { sizes, parts } = parseSyntheticRequest(request);
  await Deno.mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (const { name, state } of syntheticFiles(sizes, { parts })) {
    const path = join(folder, name);
    paths.push(path);
    try {
      await writeSynthetic(path, state);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  return { var: paths[0]!, vae: paths[1]! };
}

/**
 * Classes that the timed batches show, and tokens for the comparison: any will do, as long as all get the
 * same.
 */
function taskOf(
  model: ModelFacts,
  { batch, compare }: ModelReportOptions,
): { labels: number[]; tokens: number[][][] } {
  const labels = Array.from({ length: batch }, (_, i) => (207 + 373 * i) % model.classes);
  const tokens = model.scales.slice(0, compare).map(({ width, height }, scale) =>
    labels.map((_, image) =>
      Array.from(
        { length: width * height },
        (_, i) => (1 + 7919 * i + 104729 * (scale + image)) % model.logits,
      )
    )
  );
  return { labels, tokens };
}

/** Measures everything that is asked for. */
export async function measureModel(
  options: ModelReportOptions,
  progress?: (line: string) => void,
): Promise<ModelRecord> {
  const checkpoints = await findCheckpoints(options);
  return await measureWays(
    {
      checkpoints,
      bytes: await weightBytes(checkpoints),
      task: (model) => taskOf(model, options),
      peer: ["./pytorch_model.py", checkpoints.var, checkpoints.vae],
    },
    options,
    progress,
  );
}

if (import.meta.main) {
  const options = parseModelReportOptions(Deno.args);
  const record = await measureModel(options, (line) => console.error(line));
  console.log(formatModelRecord(record));
  if (options.output !== undefined) {
    await Deno.writeTextFile(options.output, JSON.stringify(record, undefined, 2) + "\n");
  }
  if (options.json) {
    const line = machineRecord(record);
    if (line !== undefined) await addMachine(line);
  }
}
