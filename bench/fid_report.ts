/**
 * FID from pictures of 64 px to the number, beside PyTorch as torch-fidelity has it: a network of random
 * weights, an archive of pictures and statistics to compare with, the same for both, in turns of changing
 * order. The distances are compared before the times are.
 *
 * ```sh
 * deno run -A --no-lock bench/fid_report.ts --python=python3 --count=512 --turns=3
 * ```
 *
 * `--layouts=contiguous_format` leaves out PyTorch's faster layout, `--files=FOLDER` keeps the files.
 * Networks take `--threads` (2), everything else one.
 *
 * @module
 */

import { stdin } from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { evaluatePictures, loadMetricNetwork, openPictures, openReference } from "../evaluation/mod.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { Answering, workerOf } from "./answering.ts";
import { processBytes, processorTime } from "./process_costs.ts";

/** Seconds of the three parts: loading the network, looking at pictures, taking the distance. */
type Parts = readonly [load: number, look: number, distance: number];

/** What a side answers. */
interface Answer {
  readonly cpu: Parts;
  readonly wall: Parts;
  /** The distance. */
  readonly value: number;
  /** Bytes of memory at most, so far. */
  readonly peak: number;
}

/** What a process of this program is told. */
interface Settings {
  readonly folder: string;
  readonly threads: number;
}

/** One of those that are measured. */
interface Side {
  readonly title: string;
  readonly process: Answering;
  readonly request: object;
  readonly answers: Answer[];
}

/** Largest relative difference of distances: SciPy takes the roots of what rounding makes of zeros. */
const TOLERANCE = 1e-3;

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    python: { type: "string", default: "python3" },
    count: { type: "string", default: "512" },
    turns: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
    layouts: { type: "string", default: "contiguous_format,channels_last" },
    files: { type: "string" },
    worker: { type: "string" },
  },
});

if (options.worker === undefined) await report(options.files ?? await Deno.makeTempDir());
else await work(JSON.parse(options.worker));

async function report(folder: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  if (options.files === undefined) stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.mkdir(folder, { recursive: true });
  const [count, threads] = [Number(options.count), Number(options.threads)];
  const script = fileURLToPath(new URL("fid_worker.py", import.meta.url));
  const pytorch = () => {
    // NumPy and SciPy would take all cores, and more time of them for it.
    const environment = { OPENBLAS_NUM_THREADS: "1" };
    return new Answering("PyTorch", options.python, [script, folder, `--threads=${threads}`], environment);
  };
  {
    await using writer = pytorch();
    await writer.ask({ count });
  }
  const own: Side = {
    title: "varscale, native",
    process: stack.use(workerOf("varscale", import.meta.url, { folder, threads } satisfies Settings)),
    ...{ request: {}, answers: [] },
  };
  const others = options.layouts.split(",").map((layout): Side => {
    return { title: `PyTorch, ${layout}`, process: stack.use(pytorch()), request: { layout }, answers: [] };
  });
  const sides = [own, ...others];
  for (let turn = 0; turn < Number(options.turns); turn++) {
    for (const side of turn % 2 === 0 ? sides : sides.toReversed()) {
      const answer = await side.process.ask<Answer>(side.request);
      side.answers.push(answer);
      console.error(`turn ${turn + 1}, ${side.title}: ${JSON.stringify(answer)}`);
    }
    requireSame(sides.map(({ answers }) => answers.at(-1)!.value));
  }
  console.log(`${count} pictures of 64 px, ${threads} threads, ${own.answers.length} turns`);
  console.log("| CPU s | load | look | distance | all | varscale ÷ this | wall | peak MiB | FID |");
  console.log("| --- | --: | --: | --: | --: | --: | --: | --: | --: |");
  for (const { title, answers } of sides) {
    const parts = [0, 1, 2].map((part) => median(answers.map(({ cpu }) => cpu[part]!)).toFixed(2));
    const ratio = (kind: "cpu" | "wall") => {
      return median(answers.map((answer, i) => sum(own.answers[i]![kind]) / sum(answer[kind]))).toFixed(2);
    };
    const all = median(answers.map(({ cpu }) => sum(cpu))).toFixed(2);
    const { peak, value } = answers.at(-1)!;
    const facts = [(peak / 2 ** 20).toFixed(0), value.toFixed(4)];
    console.log(`| ${[title, ...parts, all, ratio("cpu"), ratio("wall"), ...facts].join(" | ")} |`);
  }
}

function requireSame(values: readonly number[]): void {
  if (values.every((value) => Math.abs(value - values[0]!) <= TOLERANCE * values[0]!)) return;
  throw new Error(`Distances differ: ${values.join(", ")}`);
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

function sum(parts: Parts): number {
  return parts[0] + parts[1] + parts[2];
}

/** Answers requests. */
async function work({ folder, threads }: Settings): Promise<void> {
  for await (const _ of createInterface({ input: stdin })) {
    const times: { cpu: number; wall: number }[] = [];
    const mark = () => times.push({ cpu: processorTime() / 1000, wall: performance.now() / 1000 });
    mark();
    await using network = await loadMetricNetwork(`inception-fid:${folder}/network.pth`, {
      ...{ cpuProvider: "native", threads },
    });
    mark();
    const { values } = await evaluatePictures({
      pictures: await openPictures(`${folder}/pictures.npz`),
      reference: await openReference(`${folder}/reference.npz`),
      ...{ network, metrics: ["fid"] },
      onProgress: ({ done, total }) => {
        if (done === total) mark();
      },
    });
    mark();
    const between = (kind: "cpu" | "wall") => {
      return [0, 1, 2].map((part) => times[part + 1]![kind] - times[part]![kind]) as unknown as Parts;
    };
    const [cpu, wall, value] = [between("cpu"), between("wall"), values.fid!.value];
    console.log(JSON.stringify({ cpu, wall, value, peak: processBytes("VmHWM") } satisfies Answer));
  }
}
