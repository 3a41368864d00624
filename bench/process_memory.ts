/**
 * Whether a process grows while it makes pictures: its own memory, as the system counts it, after each of
 * many rounds. Counters of a device say what was asked for; what a driver or a runtime keeps shows only here.
 *
 *     deno run -A --no-lock --v8-flags=--expose-gc bench/process_memory.ts
 *         [--work=images] [--place=webgpu] [--model=demo] [--rounds=100] [--warm=20] [--json]
 *
 * `--work` is one of {@linkcode WORKS}, `--place` `wasm`, `native` or `webgpu`. Linux only, which tells it in
 * /proc/self/status. Garbage is collected before each reading: what JavaScript lets go of later is no leak.
 * Readings go to the standard error stream as they come.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import {
  bestOfN,
  generate,
  type GenerateRequest,
  loadModel,
  loadVerifier,
  type Model,
  ownEvidence,
  reconstruct,
  ttsVar,
  varScaling,
} from "../mod.ts";

/** Where a model may run. */
export const PLACES = ["wasm", "native", "webgpu"] as const;
/** Where a model runs. */
export type Place = typeof PLACES[number];

/** What one round is, by name; a seed makes it another one each time. */
const ROUNDS = {
  /** An image. */
  images: (model) => Promise.resolve((seed) => generate(model, requestOf(model, seed))),
  /** One whose second map is chosen among candidates. */
  candidates: (model) =>
    Promise.resolve((seed) => generate(model, { ...requestOf(model, seed), hooks: [varScaling()] })),
  /** One of eight lanes, which the model itself thins out. */
  lanes: (model) => {
    const hooks = [ttsVar({ verifier: ownEvidence() })];
    return Promise.resolve((seed) => generate(model, { ...requestOf(model, seed), hooks }));
  },
  /** The better of two by a network that looks at them. */
  verifier: async (model) => {
    const place = new URL("../models/demo_t2i/verifier.json", import.meta.url);
    const hooks = [
      bestOfN({ samples: 2, verifier: await loadVerifier(place, { model, template: "{label}" }) }),
    ];
    return (seed) => generate(model, { ...requestOf(model, seed), hooks });
  },
  /** A picture that is encoded and decoded, and half of it painted anew. */
  editing: async (model) => {
    const { images: [image] } = await generate(model, requestOf(model, 0));
    const edit = { image: image!, box: [0, 0, 0.5, 1] } as const;
    return async (seed) => {
      await reconstruct(model, image!);
      await generate(model, { ...requestOf(model, seed), edit });
    };
  },
} satisfies Record<string, (model: Model) => Promise<(seed: number) => Promise<unknown>>>;

/** What can be watched. */
export type Work = keyof typeof ROUNDS;
/** All of it. */
export const WORKS = Object.keys(ROUNDS) as readonly Work[];

/** What to watch, and for how long. */
export interface WatchOptions {
  readonly work: Work;
  readonly place: Place;
  /** Bundled model, or a folder. */
  readonly model: string;
  /** Rounds that are watched. */
  readonly rounds: number;
  /** Rounds before, in which shaders and caches are made. */
  readonly warm: number;
}

/** What was seen, in bytes. */
export interface MemoryTrace {
  /** Memory of the process after each watched round. */
  readonly anonymous: readonly number[];
  /** By how much it grew from round to round, in the middle. */
  readonly slope: number;
}

/** Memory of a process that no file stands for, in bytes. */
export function anonymousBytes(process: number | "self" = "self"): number {
  const [, kibibytes] = /^RssAnon:\s+(\d+) kB$/m.exec(Deno.readTextFileSync(`/proc/${process}/status`))!;
  return Number(kibibytes) * 1024;
}

/**
 * The slope of a line through values at 0, 1, 2, …: the median over all pairs (Theil and Sen), which a step
 * or two do not change.
 */
export function slopeOf(values: readonly number[]): number {
  const slopes = values.flatMap((value, i) =>
    values.slice(0, i).map((other, j) => (value - other) / (i - j))
  );
  slopes.sort((a, b) => a - b);
  const middle = slopes.length / 2;
  return (slopes[Math.floor(middle - 0.5)]! + slopes[Math.floor(middle)]!) / 2;
}

/**
 * The slope of values that go on growing: the median of the slopes of three stretches. Few values with a step
 * in their middle have a slope, as half of all pairs lie on both sides of it; of stretches it is in one. What
 * leaks does so in all.
 */
export function steadySlopeOf(values: readonly number[]): number {
  const slopes = [0, 1, 2].map((third) => {
    const [from, to] = [third, third + 1].map((i) => Math.round(i * values.length / 3));
    return slopeOf(values.slice(from, to));
  });
  return slopes.sort((a, b) => a - b)[1]!;
}

function requestOf({ labels }: Model, seed: number): GenerateRequest {
  return { labels: labels.kind === "classes" ? seed % 8 : "two red spheres", seed };
}

/**
 * Watches this process at work.
 *
 * @param saw Hears of each reading.
 */
export async function watch(
  { work, place, model: name, rounds, warm }: WatchOptions,
  saw: (bytes: number) => void = () => {},
): Promise<MemoryTrace> {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (collect === undefined) {
    throw new TypeError("Garbage cannot be collected: run with --v8-flags=--expose-gc");
  }
  const device = place === "webgpu" ? "webgpu" : "cpu";
  await using model = await loadModel(name, {
    device,
    ...(place === "native" && { cpuProvider: "native" }),
  });
  const round = await ROUNDS[work](model);
  const anonymous: number[] = [];
  for (let i = 0; i < warm + rounds; i++) {
    await round(i);
    // What a finalizer frees, it frees in a turn after the collection.
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (i < warm) continue;
    anonymous.push(anonymousBytes());
    saw(anonymous.at(-1)!);
  }
  return { anonymous, slope: slopeOf(anonymous) };
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, or a name is none of those that there are.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseWatchOptions(args: readonly string[]): WatchOptions & { readonly json: boolean } {
  const { values } = parseArgs({
    args: [...args],
    options: {
      work: { type: "string", default: "images" },
      place: { type: "string", default: "webgpu" },
      model: { type: "string", default: "demo" },
      rounds: { type: "string", default: "100" },
      warm: { type: "string", default: "20" },
      json: { type: "boolean", default: false },
    },
  });
  const { model, json } = values;
  const action = "watch a process";
  return {
    work: requireChoice(values.work as Work, WORKS, "--work", action),
    place: requireChoice(values.place as Place, PLACES, "--place", action),
    model,
    rounds: requireInteger(Number(values.rounds), "--rounds", action, { min: 2, max: 1e6 }),
    warm: requireInteger(Number(values.warm), "--warm", action, { min: 0, max: 1e6 }),
    json,
  };
}

if (import.meta.main) {
  const { json, ...options } = parseWatchOptions(Deno.args);
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const trace = await watch(options, (bytes) => console.error(mebibytes(bytes)));
  if (json) console.log(JSON.stringify(trace));
  else {
    const { work, place, model, rounds } = options;
    console.log(`${work} of ${model} on ${place}: ${(trace.slope / 2 ** 20).toFixed(3)} MiB a round,`);
    console.log(
      `${mebibytes(trace.anonymous[0]!)} before ${rounds} rounds, ${
        mebibytes(trace.anonymous.at(-1)!)
      } after`,
    );
  }
  // The runtime's threads would keep the process.
  Deno.exit();
}
