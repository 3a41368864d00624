/**
 * Carries out the plan of a sweep in a folder: paints what is not there yet, has it judged, and writes down
 * what came of it, so that it can be ended at any time and goes on later, in several processes too. The rows
 * of a model are left to `model_sweep.ts`, what the records come to to `summary.ts`.
 *
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { RUNTIME_VERSION } from "../../models/mod.ts";
import { ModelSweep, type SweepOptions } from "./model_sweep.ts";
import { parsePlan, planRows, type SweepPlan } from "./plan.ts";
import { RecordsFile } from "./records.ts";
import type { SweepResults } from "./results.ts";
import { formatCsv } from "./results_csv.ts";
import { summarize } from "./summary.ts";
import { takeUpPlan, writeWhole } from "./sweep_folder.ts";

/**
 * Carries out a plan, or what is left of it.
 *
 * Every picture is keyed by its seed and the number of its subject, so that all rows paint the same subjects
 * from the same random numbers, whatever else is painted with them.
 *
 * @returns What is known after it, of all parts; it stands in `results.json` and `results.csv`, too.
 * @throws {Error} If the folder is that of another plan, or another process is at the same part.
 * @throws {TypeError} If subjects do not suit a model, or an option is of the wrong type.
 * @throws {RangeError} If a model has no such class, or an option is out of range.
 *
 * @example
 * ```ts
 * import { parsePlan, runSweep } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const plan = parsePlan({
 *   title: "a first look",
 *   models: [{ name: "demo", place: "demo" }],
 *   subjects: { labels: [3, 32], count: 2 },
 *   methods: [{ method: "plain" }, { method: "var-scaling", vary: { samples: [20] } }],
 *   examples: 1,
 * });
 * const folder = await Deno.makeTempDir();
 * const { complete, rows } = await runSweep(plan, { folder, cpuProvider: "wasm" });
 * assertEquals([complete, rows.map(({ pictures }) => pictures)], [true, [4, 4]]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function runSweep(plan: SweepPlan, options: SweepOptions): Promise<SweepResults> {
  return await carryOut(parsePlan(plan), options);
}

async function carryOut(plan: SweepPlan, options: SweepOptions): Promise<SweepResults> {
  const { folder, shard = { part: 1, parts: 1 }, weights = {}, paint = true, signal } = options;
  requireOptions(options, OPTIONS, "sweep");
  requireInteger(shard.parts, "parts", "sweep", { min: 1, max: 4096 });
  requireInteger(shard.part, "part", "sweep", { min: 1, max: shard.parts });
  await takeUpPlan(folder, plan, { paint });
  if (paint) {
    using file = await RecordsFile.open(folder, shard);
    await takeUpPlan(folder, plan, { paint, held: file });
    for (const model of plan.models) {
      const rows = planRows(plan).filter((row) => row.model === model.name);
      if (rows.length === 0) continue;
      const place = weights[model.name] ?? model.place;
      const placed = { ...model, ...(place === undefined ? {} : { place }) };
      await new ModelSweep(plan, placed, file, { ...options, shard }).run(rows);
      signal?.throwIfAborted();
    }
  }
  // One process at a time, so that whoever is last has all parts and the last word.
  using turn = await Deno.open(`${folder}/plan.json`);
  await turn.lock(true);
  const results = await summarize(plan, { folder, made: await madeBy(), signal });
  await writeWhole(`${folder}/results.json`, `${JSON.stringify(results, undefined, 2)}\n`);
  await writeWhole(`${folder}/results.csv`, formatCsv(results));
  return results;
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  ...["folder", "shard", "weights", "device", "cpuProvider", "threads"],
  ...["paint", "signal", "onEstimate", "onProgress"],
];

/** What ran. */
async function madeBy(): Promise<Record<string, string>> {
  // Not everywhere is there such a file, and not everybody may read it.
  const cpu = await Deno.readTextFile("/proc/cpuinfo").then(
    (text) => /^model name\s*:\s*(.+)$/m.exec(text)?.[1],
    () => undefined,
  );
  return {
    varscale: config.version,
    deno: Deno.version.deno,
    onnxruntime: RUNTIME_VERSION,
    processor: `${navigator.hardwareConcurrency} × ${cpu ?? Deno.build.arch}`,
    day: new Date().toISOString().slice(0, 10),
  };
}
