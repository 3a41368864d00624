/**
 * Images of one model by several checkouts of this project, a process each, in turns: what a change brings
 * from label to pixels, on one thread.
 *
 *     deno run -A --no-lock bench/image_turns.ts --trees=OLD,NEW [--model=demo] [--var=FILE --vae=FILE]
 *     [--provider=wasm] [--rounds=20] [--threads=1]
 *
 * A checkout with `+int8` behind it multiplies integers (`compute: "int8"`).
 *
 * Times are of the processor, user and system together, beside those of the clock, as ratios to the first
 * checkout in each round; a peak is that of the whole process.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { type Answering, workerOf } from "./answering.ts";
import { formatMachine, thisMachine } from "./machine.ts";
import { processBytes, processorTime } from "./process_costs.ts";

/** What one process is asked to paint. */
interface Settings {
  readonly tree: string;
  readonly compute?: string;
  readonly model: string | { readonly var: string; readonly vae: string };
  readonly provider: string;
  readonly threads: number;
}

/** What a process tells about an image. */
interface Turn {
  readonly cpu: number;
  readonly wall: number;
  readonly peak: number;
  /** SHA-256 of the tokens of all scales. */
  readonly tokens: string;
  /** Pixels in base 64. */
  readonly pixels: string;
}

/** Paints an image for each line that comes in. */
async function work({ tree, compute, model, provider, threads }: Settings): Promise<void> {
  const { loadModel, generate } = await import(pathToFileURL(`${tree}/mod.ts`).href);
  const start = processorTime();
  await using loaded = await loadModel(model, {
    device: "cpu",
    cpuProvider: provider,
    threads,
    ...(compute === undefined ? {} : { compute }),
  });
  console.log(JSON.stringify({ cpu: processorTime() - start, peak: processBytes("VmHWM") }));
  for await (const _line of createInterface({ input: Readable.fromWeb(Deno.stdin.readable as never) })) {
    const [cpu, wall] = [processorTime(), performance.now()];
    const { images: [image] } = await generate(loaded, { labels: 1, seed: 1 });
    const times = { cpu: processorTime() - cpu, wall: performance.now() - wall, peak: processBytes("VmHWM") };
    const tokens = new Uint8Array(
      await crypto.subtle.digest("SHA-256", new TextEncoder().encode(JSON.stringify(image.tokens))),
    ).toHex();
    const turn: Turn = { ...times, tokens, pixels: new Uint8Array(image.data).toBase64() };
    console.log(JSON.stringify(turn));
  }
}

/** How many values differ, and by how much at most. */
function compare(found: string, wanted: string): string {
  const [ours, theirs] = [Uint8Array.fromBase64(found), Uint8Array.fromBase64(wanted)];
  let [count, most] = [0, 0];
  for (const [i, value] of ours.entries()) {
    const apart = Math.abs(value - theirs[i]!);
    most = Math.max(most, apart);
    if (apart > 0) count++;
  }
  return `${count} of ${ours.length}, by ${most}`;
}

async function report(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      trees: { type: "string", default: "." },
      model: { type: "string", default: "demo" },
      var: { type: "string" },
      vae: { type: "string" },
      provider: { type: "string", default: "wasm" },
      rounds: { type: "string", default: "20" },
      threads: { type: "string", default: "1" },
    },
  });
  const action = "paint in turns";
  const provider = requireChoice(values.provider, ["wasm", "native"], "--provider", action);
  const [rounds, threads] = (["rounds", "threads"] as const).map((name) => {
    return requireInteger(Number(values[name]), `--${name}`, action, { min: 1 });
  }) as [number, number];
  const model = values.var === undefined || values.vae === undefined
    ? values.model
    : { var: resolve(values.var), vae: resolve(values.vae) };

  await using stack = new AsyncDisposableStack();
  const workers: { readonly process: Answering; readonly turns: Turn[] }[] = [];
  const rows: string[][] = [];
  for (const name of values.trees.split(",")) {
    const [tree, compute] = name.split("+") as [string, string?];
    const settings: Settings = { tree: resolve(tree), model, provider, threads, ...(compute && { compute }) };
    const process = stack.use(workerOf(`The process of ${name}`, import.meta.url, settings));
    const load = await process.answer<{ cpu: number; peak: number }>();
    const first = await process.ask<Turn>({});
    rows.push([name, load.cpu.toFixed(0), (load.peak / 1e6).toFixed(0), first.cpu.toFixed(0)]);
    workers.push({ process, turns: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { process, turns } of round % 2 === 0 ? workers : workers.toReversed()) {
      turns.push(await process.ask<Turn>({}));
    }
  }
  console.log(
    `${provider}, ${rounds} rounds in turns, threads: ${threads}; ${formatMachine(await thisMachine())}\n`,
  );
  console.log(
    "| checkout | load, CPU ms | peak then, MB | first image, CPU ms | image, CPU ms | / first | wall ms | / first " +
      "| peak MB | same tokens | bytes that differ |",
  );
  console.log(`|${" --- |".repeat(11)}`);
  const [first] = workers;
  for (const [i, { turns }] of workers.entries()) {
    const cells = (of: "cpu" | "wall"): string[] => {
      const ratio = percentile(turns.map((turn, round) => turn[of] / first!.turns[round]![of]), 0.5);
      return [percentile(turns.map((turn) => turn[of]), 0.5).toFixed(0), ratio.toFixed(2)];
    };
    const [own, other] = [turns.at(-1)!, first!.turns.at(-1)!];
    const row = [
      ...rows[i]!,
      ...cells("cpu"),
      ...cells("wall"),
      (own.peak / 1e6).toFixed(0),
      own.tokens === other.tokens ? "yes" : "no",
      compare(own.pixels, other.pixels),
    ];
    console.log(`| ${row.join(" | ")} |`);
  }
}

if (import.meta.main) {
  const [mode, settings] = Deno.args;
  if (mode === "--worker") await work(JSON.parse(settings!));
  else await report(Deno.args);
}
