/**
 * Cold starts: a process of its own goes from its start to a loaded model, and on to the first and the second
 * image, in wall-clock milliseconds and in those of the processor, all threads together. Source files are
 * taken from Deno's cache; shaders and WebAssembly are compiled anew, as nothing keeps them.
 *
 *     deno run -A bench/cold_start.ts wasm|native|webgpu                one start, as a line of JSON
 *     deno run -A bench/cold_start.ts wasm --rounds=20                  medians of many
 *     deno run -A bench/cold_start.ts wasm --rounds=20 --beside=FOLDER  in turns with another checkout
 *
 * `--model` (demo) names the bundled model, `--threads` how many there are on the CPU.
 *
 * @module
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** One start: milliseconds up to the loaded model, and those of each image; `cpu` are the processor's. */
interface ColdStart {
  readonly loaded: number;
  readonly first: number;
  readonly second: number;
  readonly cpu: { readonly loaded: number; readonly first: number; readonly second: number };
}

const { positionals: [kind], values } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    beside: { type: "string" },
    model: { type: "string", default: "demo" },
    threads: { type: "string" },
    checkout: { type: "string", default: fileURLToPath(new URL("..", import.meta.url)) },
  },
});
if (kind !== "wasm" && kind !== "native" && kind !== "webgpu") {
  throw new RangeError(
    `Cannot measure a cold start as it must be one of wasm, native or webgpu: current value is ${kind}`,
  );
}
const rounds = Number(values.rounds ?? 1);
if (!Number.isInteger(rounds) || rounds < 1) {
  throw new RangeError(`Cannot measure cold starts as --rounds must be an integer >= 1: ${values.rounds}`);
}
if (values.rounds === undefined && values.beside === undefined) console.log(JSON.stringify(await start()));
else await report();

/** A start of this process. */
async function start(): Promise<ColdStart> {
  const { generate, loadModel, openDevice } = await import(
    new URL("mod.ts", `file://${values.checkout!.replace(/\/?$/, "/")}`).href
  ) as typeof import("../mod.ts");
  // performance.now() counts from the start of the process, and so does the processor's time.
  const now = (): [wall: number, cpu: number] => {
    const { user, system } = process.cpuUsage();
    return [performance.now(), (user + system) / 1000];
  };
  using device = await openDevice(kind === "webgpu" ? "webgpu" : "cpu");
  await using model = await loadModel(values.model!, {
    device,
    ...(kind === "webgpu" ? {} : { cpuProvider: kind as "wasm" | "native" }),
    ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  });
  const loaded = now();
  const labels = values.model === "demo" ? "red torus" : "a red torus";
  await generate(model, { labels, seed: 7 });
  const first = now();
  await generate(model, { labels, seed: 7 });
  const second = now();
  const [wall, cpu] = [0, 1].map((clock) => ({
    loaded: loaded[clock]!,
    first: first[clock]! - loaded[clock]!,
    second: second[clock]! - first[clock]!,
  }));
  return { ...wall!, cpu: cpu! };
}

/** A start of a process of its own. */
async function startOf(checkout: string): Promise<ColdStart> {
  const { model, threads } = values;
  const options = Object.entries({ model, threads, checkout })
    .flatMap(([name, value]) => value === undefined ? [] : `--${name}=${value}`);
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Each checkout has dependencies of its own.
    args: ["run", "-A", "--no-lock", "--no-config", import.meta.filename!, kind!, ...options],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** Starts in turns, and prints their medians. */
async function report(): Promise<void> {
  const checkouts = [
    values.checkout!,
    ...values.beside === undefined ? [] : [Deno.realPathSync(values.beside)],
  ];
  const starts: ColdStart[][] = checkouts.map(() => []);
  // The first one of each fills the system's cache of files.
  for (const checkout of checkouts) await startOf(checkout);
  for (let round = 0; round < rounds; round++) {
    for (const turn of checkouts.keys()) {
      const i = round % 2 === 0 ? turn : checkouts.length - 1 - turn;
      starts[i]!.push(await startOf(checkouts[i]!));
    }
  }
  const figures: Record<string, (start: ColdStart) => number> = {
    "to the loaded model": ({ loaded }) => loaded,
    "first image": ({ first }) => first,
    "start to first image": ({ loaded, first }) => loaded + first,
    "second image": ({ second }) => second,
  };
  console.log(`${values.model} on ${kind}, ${rounds} rounds in turns, medians in ms\n`);
  const names = ["this checkout", "the other one"].slice(0, checkouts.length);
  const columns = ["", ...names, ...(checkouts.length === 2 ? ["ratio", "ratio of minima"] : [])];
  console.log(`| ${columns.join(" | ")} |\n| --- ${"| ---: ".repeat(columns.length - 1)}|`);
  for (const [name, figure] of Object.entries(figures)) {
    for (const clock of ["wall", "processor"]) {
      const of = (start: ColdStart): number => figure(clock === "wall" ? start : { ...start, ...start.cpu });
      const times = starts.map((own) => own.map(of).sort((a, b) => a - b));
      const medians = times.map((own) => (own[(rounds - 1) >> 1]! + own[rounds >> 1]!) / 2);
      const ratios = checkouts.length === 2
        ? [medians[0]! / medians[1]!, times[0]![0]! / times[1]![0]!].map((ratio) => ratio.toFixed(2))
        : [];
      const cells = [`${name}, ${clock}`, ...medians.map((median) => median.toFixed(0)), ...ratios];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
}
