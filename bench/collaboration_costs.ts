/**
 * What two models for one picture take, beside either of them alone: time of the processor and memory, each
 * way in a process of its own that loads what it needs and paints, in turns whose order changes. Checkpoints
 * with random values will do, which `synthetic_checkpoint.ts` writes: what they paint is noise, and what they
 * take is what trained ones take.
 *
 *     deno run -A --no-lock bench/collaboration_costs.ts --drafter=var_d24.pth --refiner=var_d16.pth
 *     --vae=vae_ch160v4096z32.pth [--from=8] [--provider=native] [--threads=1] [--rounds=3]
 *
 * The picture that counts is the second: with the first one, what weights are mapped from is read. A way that
 * unloads the drafter loads both models for each picture, so it has no second one. Linux only, which tells
 * what a process takes; pages of files that are mapped count while they are in memory.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { collaborate, generate, type GenerateResult, loadModel, type Model } from "../mod.ts";
import { workerOf } from "./answering.ts";
import { formatMachine, thisMachine } from "./machine.ts";
import { processBytes, processorTime } from "./process_costs.ts";

const ACTION = "measure two models for one picture";
const PROVIDERS = ["native", "wasm"] as const;

/** Who paints, in the order of the table; the first is what the others are divided by. */
const WAYS = ["the drafter alone", "both, kept", "both, one at a time", "the refiner alone"] as const;
type Way = typeof WAYS[number];

/** What a process is to do. */
interface Settings {
  readonly way: Way;
  /** Checkpoints of the transformers. */
  readonly drafter: string;
  readonly refiner: string;
  /** The tokenizer of both. */
  readonly vae: string;
  readonly from: number;
  readonly provider: typeof PROVIDERS[number];
  readonly threads: number;
}

/** What it took. */
interface Turn {
  /** Milliseconds of the processor until there was a picture, loading included. */
  readonly process: number;
  /** Those of the next picture, or of the only one where each loads the models. */
  readonly picture: number;
  /** Most bytes in memory. */
  readonly peak: number;
  /** Operations of the picture, counted. */
  readonly flops: number;
}

async function paint(settings: Settings): Promise<Turn> {
  const { way, drafter, refiner, vae, from, provider, threads } = settings;
  const load = (transformer: string): Promise<Model> => {
    return loadModel({ var: transformer, vae }, { device: "cpu", cpuProvider: provider, threads });
  };
  const request = { labels: 1, seed: 1 };
  await using stack = new AsyncDisposableStack();
  const ready = async (): Promise<() => Promise<GenerateResult>> => {
    if (way === "both, one at a time") {
      return () => collaborate(() => load(drafter), () => load(refiner), { ...request, from });
    }
    const first = stack.use(await load(way === "the refiner alone" ? refiner : drafter));
    if (way !== "both, kept") return () => generate(first, request);
    const second = stack.use(await load(refiner));
    return () => collaborate(first, second, { ...request, from });
  };
  const run = await ready();
  const loaded = processorTime();
  const { trace } = await run();
  const process = processorTime();
  const common = { process, peak: processBytes("VmHWM"), flops: trace.cost.flops! };
  if (way === "both, one at a time") return { ...common, picture: process - loaded };
  await run();
  return { ...common, picture: processorTime() - process };
}

async function report(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      drafter: { type: "string" },
      refiner: { type: "string" },
      vae: { type: "string" },
      from: { type: "string", default: "8" },
      provider: { type: "string", default: "native" },
      threads: { type: "string", default: "1" },
      rounds: { type: "string", default: "3" },
    },
  });
  const { drafter, refiner, vae } = values;
  if (drafter === undefined || refiner === undefined || vae === undefined) {
    throw new TypeError(`Cannot ${ACTION} as --drafter, --refiner and --vae must be files: one is missing`);
  }
  requireChoice(values.provider, PROVIDERS, "--provider", ACTION);
  const provider = values.provider as Settings["provider"];
  const from = requireInteger(Number(values.from), "--from", ACTION, { min: -1000 });
  const threads = requireInteger(Number(values.threads), "--threads", ACTION, { min: 1 });
  const rounds = requireInteger(Number(values.rounds), "--rounds", ACTION, { min: 1 });

  const turns = new Map(WAYS.map((way) => [way, [] as Turn[]]));
  for (let round = 0; round < rounds; round++) {
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
      const settings: Settings = { way, drafter, refiner, vae, from, provider, threads };
      await using process = workerOf(`The process of ${way}`, import.meta.url, settings);
      const turn = await process.answer<Turn>();
      console.error(`round ${round + 1}, ${way}: ${JSON.stringify(turn)}`);
      turns.get(way)!.push(turn);
    }
  }
  const machine = formatMachine(await thisMachine());
  console.log(`${provider}, from ${from}, ${rounds} rounds in turns, threads: ${threads}; ${machine}\n`);
  console.log(formatTurns(turns));
}

/** The table: medians, and ratios to the first way in each round. */
function formatTurns(turns: ReadonlyMap<Way, readonly Turn[]>): string {
  const [alone] = turns.values();
  const rows = [...turns].map(([way, own]) => {
    const median = (of: keyof Turn): number => percentile(own.map((turn) => turn[of]), 0.5);
    const ratio = (of: keyof Turn): string => {
      return percentile(own.map((turn, round) => turn[of] / alone![round]![of]), 0.5).toFixed(2);
    };
    const seconds = (of: "process" | "picture"): string => (median(of) / 1000).toFixed(1);
    return [
      way,
      ...[ratio("flops"), seconds("picture"), ratio("picture"), seconds("process"), ratio("process")],
      ...[(median("peak") / 1e9).toFixed(2), ratio("peak")],
    ].join(" | ");
  });
  return [
    "| who paints | operations | picture, CPU s | / alone | with loading, CPU s | / alone | peak GB | / alone |",
    `| ---${" | --:".repeat(7)} |`,
    ...rows.map((row) => `| ${row} |`),
  ].join("\n");
}

if (import.meta.main) {
  const [mode, settings] = Deno.args;
  if (mode === "--worker") console.log(JSON.stringify(await paint(JSON.parse(settings!))));
  else await report(Deno.args);
}
