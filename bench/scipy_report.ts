/**
 * Distances and densities on the CPU beside SciPy's, in turns of changing order: in one call and prepared, in
 * a process that has just started and later. SciPy computes with one thread, and so do the twins; CPU time is
 * that of whole processes.
 *
 * ```sh
 * deno run -A bench/scipy_report.ts --python=python3 --turns=20
 * ```
 *
 * `--task=kde` measures densities only; `--kernels=URL` the `kernels/mod.ts` of another build, too.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { percentile } from "../kernels/profile/profile.ts";
import { Answering } from "./answering.ts";
import type { TwinAnswer, TwinRequest } from "./scipy_worker.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    python: { type: "string", default: "python3" },
    turns: { type: "string", default: "20" },
    starts: { type: "string", default: "10" },
    kernels: { type: "string", default: "" },
    task: { type: "string", default: "" },
  },
});

const TASKS: readonly Omit<TwinRequest, "form">[] = [
  { task: "distances", count: 1000, dimensions: 32, calls: 4 },
  { task: "distances", count: 4096, dimensions: 32, calls: 1 },
  { task: "distances", count: 1000, dimensions: 4, calls: 4 },
  { task: "distances", count: 1000, dimensions: 512, calls: 1 },
  { task: "kde", count: 1000, dimensions: 32, calls: 2 },
  { task: "kde", count: 4096, dimensions: 32, calls: 1 },
  { task: "kde", count: 4096, dimensions: 2, calls: 1 },
  { task: "kde", count: 1000, dimensions: 128, calls: 1 },
];
/** A density is a quotient of sums in f32 by its bound; SciPy's is one of f64. */
const TOLERANCE = 1e-4;

/** SciPy's products are NumPy's, which would take all cores. */
const ONE_THREAD = { OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" };

function open(name: string): Answering {
  const beside = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
  if (name === "SciPy") return new Answering(name, options.python, [beside("scipy_worker.py")], ONE_THREAD);
  const args = ["run", "-A", beside("scipy_worker.ts"), ...(name === "other build" ? [options.kernels] : [])];
  return new Answering(name, Deno.execPath(), args);
}

/** What one worker took, turn by turn. */
type Times = Record<"wall" | "cpu", number[]>;

/** A line of the table: milliseconds, and medians of what each turn took in units of SciPy's. */
function row(what: string, times: ReadonlyMap<string, Times>): string {
  const scipy = times.get("SciPy")!;
  const cells = [...times].map(([name, own]) => {
    const ratio = (kind: keyof Times): string =>
      (percentile(own[kind], 0.5) / percentile(scipy[kind], 0.5)).toFixed(2);
    const [cpu, least] = [percentile(own.cpu, 0.5).toFixed(1), Math.min(...own.cpu).toFixed(1)];
    return name === "SciPy" ? `${cpu} (${least})` : `${cpu} (${least}) | ${ratio("cpu")} | ${ratio("wall")}`;
  });
  return `| ${what} | ${cells.join(" | ")} |`;
}

function requireSame(answers: readonly TwinAnswer[], what: string): void {
  const wanted = answers[0]!.results;
  for (const { results } of answers) {
    for (const [i, value] of results.entries()) {
      // Below the range of float32 there is nothing but 0.
      if (!(Math.abs(value - wanted[i]!) < TOLERANCE * wanted[i]! + 2 ** -126)) {
        throw new Error(`Results of ${what} differ: ${results} and ${wanted}`);
      }
    }
  }
}

/** All workers, asked in turns of changing order. */
async function turns(
  workers: ReadonlyMap<string, Answering>,
  request: TwinRequest,
  rounds: number,
): Promise<Map<string, Times>> {
  const times = new Map(Array.from(workers.keys(), (name) => [name, { wall: [], cpu: [] } as Times]));
  const entries = [...workers];
  for (let round = 0; round < rounds; round++) {
    const answers: TwinAnswer[] = [];
    const order = entries.map((_, i) => entries[(i + round) % entries.length]!);
    for (const [name, worker] of round % 2 === 0 ? order : order.toReversed()) {
      const answer = await worker.ask<TwinAnswer>(request);
      times.get(name)!.wall.push(answer.wall);
      times.get(name)!.cpu.push(answer.cpu);
      answers.push(answer);
    }
    requireSame(answers, `${request.task}, ${request.form}`);
  }
  return times;
}

const names = ["SciPy", "varscale", ...(options.kernels === "" ? [] : ["other build"])];
const columns = names.map((name) => name === "SciPy" ? name : `${name} | CPU ÷ SciPy | wall ÷ SciPy`);
console.log(`| CPU time, ms | ${columns.join(" | ")} |`);
console.log(`| --- |${" --: |".repeat(3 * names.length - 2)}`);
{
  await using stack = new AsyncDisposableStack();
  const workers = new Map(names.map((name) => [name, stack.use(open(name))]));
  for (const task of TASKS.filter(({ task }) => task.startsWith(options.task))) {
    for (const form of ["one call", "run"] as const) {
      const request = { ...task, form };
      // Compilers have seen it by then.
      await turns(workers, request, 5);
      const times = await turns(workers, request, Number(options.turns));
      console.log(row(`${task.task}, ${task.count}×${task.count}×${task.dimensions}, ${form}`, times));
    }
  }
}
for (const task of (["distances", "kde"] as const).filter((task) => task.startsWith(options.task))) {
  const request = { task, form: "one call", count: 1000, dimensions: 32, calls: 1 } as const;
  const times = new Map(names.map((name) => [name, { wall: [], cpu: [] } as Times]));
  for (let start = 0; start < Number(options.starts); start++) {
    for (const name of start % 2 === 0 ? names : names.toReversed()) {
      await using worker = open(name);
      const { wall, cpu } = await worker.ask<TwinAnswer>(request);
      times.get(name)!.wall.push(wall);
      times.get(name)!.cpu.push(cpu);
    }
  }
  console.log(row(`${task}, 1000×1000×32, first call of a process`, times));
}
