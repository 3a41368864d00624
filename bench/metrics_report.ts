/**
 * Metrics of `evaluation/` beside NumPy and SciPy, as the field's tools take them: the same rows, one thread
 * each, in turns of changing order. Results are compared before their times are.
 *
 * ```sh
 * deno run -A --no-lock bench/metrics_report.ts --python=python3 --turns=3 --task=frechet
 * ```
 *
 * @module
 */

import { stdin } from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { frechetDistance } from "../evaluation/metrics/frechet.ts";
import { inceptionScore } from "../evaluation/metrics/inception_score.ts";
import { kernelDistance } from "../evaluation/metrics/kernel_distance.ts";
import { precisionRecall } from "../evaluation/metrics/precision_recall.ts";
import type { Rows } from "../evaluation/metrics/rows.ts";
import { symmetricEigenvalues } from "../evaluation/numbers/eigenvalues.ts";
import { Moments, type MomentStatistics } from "../evaluation/numbers/moments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { Answering, workerOf } from "./answering.ts";
import { processBytes, processorTime } from "./process_costs.ts";

/** What is measured. */
interface Request {
  readonly task: string;
  /** How NumPy and SciPy do it, where there are several ways. */
  readonly way: string;
  readonly count: number;
  readonly dimensions: number;
}

/** Seconds, and what came of it. */
interface Answer {
  readonly wall: number;
  readonly cpu: number;
  readonly results: readonly number[];
  /** Bytes of memory of the process at most, so far. */
  readonly peak: number;
}

/** With the largest relative difference that f32 products, roots of rounded zeros or neither explain. */
const TASKS: readonly (Request & { readonly tolerance: number })[] = [
  { task: "moments", way: "cov", count: 8192, dimensions: 2048, tolerance: 1e-9 },
  { task: "streamed moments", way: "cov", count: 50_000, dimensions: 2048, tolerance: 1e-9 },
  { task: "eigenvalues", way: "eigvalsh", count: 2048, dimensions: 1024, tolerance: 1e-9 },
  { task: "eigenvalues", way: "eigvalsh", count: 4096, dimensions: 2048, tolerance: 1e-9 },
  { task: "frechet of statistics", way: "eigvals", count: 4096, dimensions: 2048, tolerance: 1e-6 },
  { task: "frechet of statistics", way: "sqrtm", count: 4096, dimensions: 2048, tolerance: 1e-6 },
  { task: "frechet of rows", way: "eigvals", count: 400, dimensions: 2048, tolerance: 1e-5 },
  { task: "frechet of rows", way: "sqrtm", count: 400, dimensions: 2048, tolerance: 1e-5 },
  { task: "precision and recall", way: "products", count: 2000, dimensions: 2048, tolerance: 1e-2 },
  { task: "kernel distance", way: "products", count: 1000, dimensions: 2048, tolerance: 1e-6 },
  { task: "inception score", way: "softmax", count: 5000, dimensions: 1008, tolerance: 1e-9 },
];

/** Rows that come at a time where they are streamed, always the same ones. */
const BLOCK = 500;

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    python: { type: "string", default: "python3" },
    turns: { type: "string", default: "3" },
    task: { type: "string", default: "" },
    worker: { type: "string" },
  },
});

if (options.worker === undefined) await report();
else await work();

async function report(): Promise<void> {
  // NumPy would take all cores.
  const environment = { OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };
  const python = fileURLToPath(new URL("metrics_worker.py", import.meta.url));
  console.log(
    "| seconds of CPU time | varscale | NumPy and SciPy | varscale ÷ NumPy, CPU | wall | peak MiB |",
  );
  console.log("| --- | --: | --: | --: | --: | --: |");
  for (const { tolerance, ...request } of TASKS.filter(({ task }) => task.startsWith(options.task))) {
    // Processes of its own, for memory of its own.
    await using stack = new AsyncDisposableStack();
    const workers = [
      stack.use(workerOf("varscale", import.meta.url, {})),
      stack.use(new Answering("NumPy", options.python, [python], environment)),
    ] as const;
    const answers: [Answer[], Answer[]] = [[], []];
    for (let turn = 0; turn < Number(options.turns); turn++) {
      for (const side of turn % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
        answers[side].push(await workers[side].ask<Answer>(request));
      }
    }
    const [own, other] = answers.map((all) => all[0]!.results);
    if (own!.some((value, i) => !(Math.abs(value - other![i]!) <= tolerance * Math.abs(other![i]!)))) {
      throw new Error(`Results of ${request.task} differ: ${own} and ${other}`);
    }
    const median = (side: 0 | 1, kind: "cpu" | "wall") =>
      percentile(answers[side].map((answer) => answer[kind]), 0.5);
    const ratio = (kind: "cpu" | "wall") => (median(0, kind) / median(1, kind)).toFixed(2);
    const what = `${request.task}, ${request.count} × ${request.dimensions}, ${request.way}`;
    const seconds = ([0, 1] as const).map((side) => median(side, "cpu").toFixed(2)).join(" | ");
    const peaks = answers.map((all) => (all.at(-1)!.peak / 2 ** 20).toFixed(0)).join(" and ");
    console.log(`| ${what} | ${seconds} | ${ratio("cpu")} | ${ratio("wall")} | ${peaks} |`);
  }
}

/** Answers requests. */
async function work(): Promise<void> {
  const prepared = new Map<string, () => readonly number[]>();
  for await (const line of createInterface({ input: stdin })) {
    const call = prepared.get(line) ?? prepare(JSON.parse(line));
    prepared.clear();
    prepared.set(line, call);
    const [begin, used] = [performance.now(), processorTime()];
    const results = call();
    const [end, usedThen] = [performance.now(), processorTime()];
    const [wall, cpu] = [(end - begin) / 1000, (usedThen - used) / 1000];
    console.log(JSON.stringify({ wall, cpu, results, peak: processBytes("VmHWM") } satisfies Answer));
  }
}

function prepare({ task, count, dimensions }: Request): () => readonly number[] {
  if (task === "streamed moments") {
    const block = made(1, BLOCK, dimensions);
    return () => {
      const moments = new Moments(dimensions);
      for (let done = 0; done < count; done += BLOCK) moments.update(block);
      return [moments.compute().covariance[0]!];
    };
  }
  const [first, second] = [made(1, count, dimensions), made(2, count, dimensions)];
  switch (task) {
    case "moments":
      return () => [momentsOf(first).covariance[0]!];
    case "eigenvalues": {
      const { covariance } = momentsOf(first);
      return () => {
        const found = symmetricEigenvalues(covariance.slice(), dimensions);
        return [found[0]!, found.at(-1)!];
      };
    }
    case "frechet of statistics": {
      const statistics = [momentsOf(first), momentsOf(second)] as const;
      // Copies, so that no factor is remembered from the call before.
      const copy = (of: MomentStatistics) => ({ ...of, covariance: of.covariance.slice() });
      return () => [frechetDistance(copy(statistics[0]), copy(statistics[1]))];
    }
    case "frechet of rows":
      return () => [frechetDistance(first, second)];
    case "precision and recall":
      return () => {
        const { precision, recall } = precisionRecall(first, second);
        return [precision, recall];
      };
    case "kernel distance":
      return () => [kernelDistance(first, second, { subsets: 0 }).mean];
    default:
      return () => [inceptionScore({ ...first, values: first.values.map((value) => 4 * value) }).mean];
  }
}

function momentsOf(rows: Rows): MomentStatistics {
  const moments = new Moments(rows.dimensions);
  moments.update(rows);
  return moments.compute();
}

/** Rows of sums of four uniform numbers, the same in Python. */
function made(seed: number, count: number, dimensions: number): Rows {
  const hashed = (i: number) => {
    let x = (Math.imul(i, 0x9e3779b1) + Math.imul(seed, 0x85ebca6b)) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b) >>> 0;
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35) >>> 0;
    return (x ^ (x >>> 16)) >>> 0;
  };
  const values = Float32Array.from({ length: count * dimensions }, (_, i) => {
    return (hashed(4 * i) + hashed(4 * i + 1) + hashed(4 * i + 2) + hashed(4 * i + 3)) / 2 ** 32 - 2;
  });
  return { values, count, dimensions };
}
