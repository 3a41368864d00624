/**
 * One configuration of the report on models of full size, in a process of its own, so that its memory is its
 * own. Loads the model that its argument (JSON) describes, says so with a line of JSON, and answers every
 * line of JSON with another one until there are no more. `pytorch_model.py` answers the same requests.
 *
 * @module
 */

import { createInterface } from "node:readline";
import { stdin } from "node:process";
import { generate, loadModel, type Model, type PictureSize, type Scale, varScaling } from "../mod.ts";
import type { KeptDtype } from "../models/mod.ts";
import { processBytes } from "./process_costs.ts";

/** A model, how its weights are stored, and where it runs. */
export interface ModelConfiguration {
  /** Paths of its checkpoints, by part. */
  readonly checkpoints: Readonly<Record<string, string>>;
  /** Size of the pictures; the model's usual one by default. */
  readonly size?: number | PictureSize | undefined;
  /** Type of the large weights; `"int8"` for products of integers. */
  readonly dtype: KeptDtype;
  /** The graph runtime in WebAssembly, the same natively, or WebGPU. */
  readonly place: "wasm" | "native" | "webgpu";
  /** Threads on the CPU. */
  readonly threads: number;
}

/** What every answer says of the process, in bytes; `null` where the system does not tell. */
export interface MemoryReport {
  /** Memory that is in use. */
  readonly resident: number | null;
  /** The most that has been in use. */
  readonly peak: number | null;
}

/** A model as requests need to know it. */
export interface ModelFacts {
  /** Its name. */
  readonly name: string;
  /** Number of classes; 0 if it takes texts. */
  readonly classes: number;
  /** Logits of a position; if tokens are indices, these are as many as there are tokens. */
  readonly logits: number;
  /** Length of the vector that a token stands for, which is its bits if it is made of bits. */
  readonly channels: number;
  /** Words of a token. */
  readonly words: number;
  /** The token maps, and how their tokens are drawn. */
  readonly scales: readonly Scale[];
}

/** The first line of a process. */
export interface LoadReport extends MemoryReport {
  /** What runs the model. */
  readonly name: string;
  /** Milliseconds. */
  readonly load: number;
  /** Bytes of all buffers on the GPU; `null` on the CPU. */
  readonly gpu: number | null;
}

/** The first line of a worker of ours. */
export interface WorkerReport extends LoadReport {
  /** What it has loaded. */
  readonly model: ModelFacts;
}

/** Asks for images, with the model's own settings, and how long they take. */
export interface TimeRequest {
  readonly kind: "time";
  /** Class numbers or prompts. */
  readonly labels: readonly (number | string)[];
  /** Seed of varscale. */
  readonly seed: number;
  /** Whether to search with VAR-Scaling. */
  readonly scaling: boolean;
}

/** Milliseconds of a batch, from the call to its pictures, and of its parts. */
export interface TimeReport extends MemoryReport {
  readonly total: number;
  readonly condition: number;
  readonly scales: readonly number[];
  readonly decode: number;
  /** Calls of varscale's kernels; PyTorch has none. */
  readonly kernels?: number;
}

/**
 * Asks for logits of the first scales, with tokens that are given, and for the picture of what they add up
 * to.
 */
export interface CompareRequest {
  readonly kind: "compare";
  /** Class numbers or prompts. */
  readonly labels: readonly (number | string)[];
  /** Tokens by scale, label and position, word by word. */
  readonly tokens: readonly (readonly (readonly number[])[])[];
  /**
   * Path of a file for the values, float32: logits of each scale, conditional ones first, and pixels from 0
   * to 1.
   */
  readonly output: string;
}

/** The answer: how many values each part has. */
export interface CompareReport extends MemoryReport {
  readonly sizes: readonly number[];
}

/** A figure of this process, where the system tells. */
function memory(field: "VmRSS" | "VmHWM"): number | null {
  return Deno.build.os === "linux" ? processBytes(field) : null;
}

type Size = Pick<ModelConfiguration, "size">;

async function time(
  model: Model,
  size: Size,
  { labels, seed, scaling }: TimeRequest,
): Promise<Omit<TimeReport, keyof MemoryReport>> {
  const { trace } = await generate(model, {
    ...{ ...size, labels, seed, batch: labels.length },
    ...(scaling ? { hooks: [varScaling()] } : {}),
  });
  const { condition, scales, decode } = trace.batches[0]!;
  return { total: trace.total, condition, scales, decode, kernels: trace.dispatches };
}

async function compare(
  model: Model,
  size: Size,
  { labels, tokens, output }: CompareRequest,
): Promise<Omit<CompareReport, keyof MemoryReport>> {
  const { device } = model;
  using generation = await model.start({
    labels: labels.map((label) => model.resolveLabel(label)),
    guided: true,
    schedule: model.schedule(size),
  });
  const parts: Float32Array<ArrayBuffer>[] = [];
  for (const scale of tokens) {
    using logits = await generation.logits();
    const [words] = await device.read([logits]);
    parts.push(new Float32Array(words!.buffer));
    using array = device.upload(Uint32Array.from(scale.flat()));
    generation.accept(array);
  }
  using pictures = await generation.decode();
  const [words] = await device.read([pictures.array]);
  parts.push(new Float32Array(words!.buffer).map((value) => (Math.min(Math.max(value, -1), 1) + 1) / 2));
  using file = await Deno.open(output, { write: true, create: true, truncate: true });
  const writer = file.writable.getWriter();
  for (const { buffer } of parts) await writer.write(new Uint8Array(buffer));
  await writer.close();
  return { sizes: parts.map(({ length }) => length) };
}

function say(facts: object): void {
  console.log(JSON.stringify({ ...facts, resident: memory("VmRSS"), peak: memory("VmHWM") }));
}

if (import.meta.main) {
  const configuration = JSON.parse(Deno.args[0]!) as ModelConfiguration;
  const { checkpoints, dtype, place, threads } = configuration;
  const size: Size = configuration.size === undefined ? {} : { size: configuration.size };
  const begun = performance.now();
  await using model = await loadModel(checkpoints, {
    ...(dtype === "int8" ? { compute: dtype } : { dtype }),
    threads,
    // The peer keeps its text encoder, too.
    ...("t5" in checkpoints ? { keepTextEncoder: true } : {}),
    ...(place === "webgpu" ? { device: "webgpu" } : { device: "cpu", cpuProvider: place }),
  });
  const load = performance.now() - begun;
  const { name: runner, kind, counters } = model.device;
  const { name, labels, tokens: { logits, channels, words } } = model;
  const classes = labels.kind === "classes" ? labels.count : 0;
  const { scales } = model.schedule(size);
  say({
    ...{ name: runner, load, gpu: kind === "webgpu" ? counters.liveBytes : null },
    model: { name, classes, logits, channels, words, scales } satisfies ModelFacts,
  });
  for await (const line of createInterface({ input: stdin })) {
    const request = JSON.parse(line) as TimeRequest | CompareRequest;
    say(
      request.kind === "time" ? await time(model, size, request) : await compare(model, size, request),
    );
  }
}
