/**
 * A transformer of a few linear layers with key and value caches, in pieces that are joined in one graph or
 * cut into parts, for tests of what runs it and of what it keeps.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { cachedAttention, type CacheDtype, pastNames } from "../../../models/graphs/cache_values.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type {
  ExternalFile,
  GraphSession,
  GraphSessionOptions,
  GraphTensor,
} from "../../../models/graphs/graph_session.ts";
import { KeyValueCaches } from "../../../models/graphs/key_value_caches.ts";
import type { ExternalWeight } from "../../../models/weights/weight_places.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testRandom } from "../../devices.ts";

/** Blocks. */
export const DEPTH = 3;
/** Attention heads. */
export const HEADS = 2;
/** Width of a head. */
export const HEAD_WIDTH = 8;
/** Numbers of an input, and of logits. */
export const CHANNELS = 4;
const WIDTH = HEADS * HEAD_WIDTH;
const FILE = "tiny.bin";

const SHAPES: Record<string, readonly number[]> = {
  "embed.weight": [WIDTH, CHANNELS],
  "embed.bias": [WIDTH],
  ...Object.assign(
    {},
    ...Array.from({ length: DEPTH }, (_, i) => ({
      [`block.${i}.qkv.weight`]: [3 * WIDTH, WIDTH],
      [`block.${i}.qkv.bias`]: [3 * WIDTH],
      [`block.${i}.proj.weight`]: [WIDTH, WIDTH],
      [`block.${i}.proj.bias`]: [WIDTH],
    })),
  ),
  "head.weight": [CHANNELS, WIDTH],
  "head.bias": [CHANNELS],
};

/** Where each weight lies in the file, and the bytes of it. */
function layOut(): { places: Map<string, ExternalWeight>; bytes: Uint8Array<ArrayBuffer> } {
  const random = testRandom(41);
  const places = new Map<string, ExternalWeight>();
  const values: number[] = [];
  for (const [name, shape] of Object.entries(SHAPES)) {
    const count = shape.reduce((product, side) => product * side, 1);
    places.set(name, { file: FILE, offset: 4 * values.length, length: 4 * count, type: "float32", shape });
    for (let i = 0; i < count; i++) values.push(random() - 0.5);
  }
  return { places, bytes: new Uint8Array(new Float32Array(values).buffer) };
}

const { places: PLACES, bytes: BYTES } = layOut();

/** Its weights as a file. */
export function tinyFile(): ExternalFile {
  return { path: FILE, data: BYTES };
}

/** Bytes of the weights whose names begin so. */
export function tinyBytes(prefix: string = ""): number {
  return PLACES.entries().filter(([name]) => name.startsWith(prefix))
    .reduce((sum, [, { length }]) => sum + length, 0);
}

function begin(name: string): GraphWeights {
  const tensors = new Map(Object.entries(SHAPES).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
  return new GraphWeights(name, new WeightSet("tiny", tensors), (name) => PLACES.get(name)!);
}

const HIDDEN = ["rows", "length", WIDTH];

/** Features [rows, length, channels] to hidden states. */
function first(weights: GraphWeights): string {
  const { graph } = weights;
  const features = graph.input({ name: "features", type: "float32", shape: ["rows", "length", CHANNELS] });
  const flat = graph.reshape(features, [-1, CHANNELS]);
  return unflat(weights, weights.linear(flat, "embed", CHANNELS, WIDTH));
}

/** As a feed, since computing the shape would put nodes on the CPU; each graph declares it once. */
function unflat({ graph }: GraphWeights, x: string): string {
  return graph.add("Reshape", [x, "map_shape"]);
}

function block(weights: GraphWeights, x: string, i: number, dtype: CacheDtype): string {
  const { graph } = weights;
  const gate = graph.input({ name: `gate.${i}`, type: "float32", shape: ["rows", 1, WIDTH] });
  const qkv = weights.linear(graph.reshape(x, [-1, WIDTH]), `block.${i}.qkv`, WIDTH, 3 * WIDTH);
  const [query, key, value] = graph.split(qkv, 3, 1).map((part) => unflat(weights, part));
  const attended = cachedAttention(graph, {
    tokens: [query!, key!, value!],
    block: i,
    heads: HEADS,
    headWidth: HEAD_WIDTH,
    scale: HEAD_WIDTH ** -0.5,
    dtype,
  });
  const flat = graph.reshape(attended, [-1, WIDTH]);
  const projected = unflat(weights, weights.linear(flat, `block.${i}.proj`, WIDTH, WIDTH));
  return graph.add("Add", [x, graph.add("Mul", [projected, gate])]);
}

function last(weights: GraphWeights, x: string): void {
  const { graph } = weights;
  const logits = weights.linear(graph.reshape(x, [-1, WIDTH]), "head", WIDTH, CHANNELS);
  graph.output({ name: "logits", type: "float32", shape: ["rows_times_length", CHANNELS] }, logits);
}

function declareShape({ graph }: GraphWeights): void {
  graph.input({ name: "map_shape", type: "int64", shape: [3] });
}

/** All of it in one graph. */
export function wholeGraph(dtype: CacheDtype = "f32"): Uint8Array<ArrayBuffer> {
  const weights = begin("whole");
  declareShape(weights);
  let x = first(weights);
  for (let i = 0; i < DEPTH; i++) x = block(weights, x, i, dtype);
  last(weights, x);
  return weights.graph.bytes();
}

/** The same cut into a graph for the embedding, one for each block and one for the head. */
export function partGraphs(dtype: CacheDtype = "f32"): Uint8Array<ArrayBuffer>[] {
  const hidden = (i: number) => ({ name: `hidden.${i}`, type: "float32" as const, shape: HIDDEN });
  const embed = begin("first");
  declareShape(embed);
  embed.graph.output(hidden(0), first(embed));
  const blocks = Array.from({ length: DEPTH }, (_, i) => {
    const weights = begin(`block ${i}`);
    declareShape(weights);
    const x = weights.graph.input(hidden(i));
    weights.graph.output(hidden(i + 1), block(weights, x, i, dtype));
    return weights;
  });
  const head = begin("last");
  last(head, head.graph.input(hidden(DEPTH)));
  return [embed, ...blocks, head].map(({ graph }) => graph.bytes());
}

/** Names of the keys and values of all blocks. */
function pastOfAll(): string[] {
  return Array.from({ length: DEPTH }, (_, i) => pastNames(i)).flat();
}

/** What the transformer is fed for some tokens of some rows, besides caches unless they are empty. */
export function tinyFeeds(
  device: Device,
  { rows, length, seed, past }: {
    readonly rows: number;
    readonly length: number;
    readonly seed: number;
    readonly past?: 0;
  },
): Record<string, GraphTensor> {
  const random = testRandom(seed);
  const array = (...shape: number[]): GraphTensor => {
    const values = { length: shape.reduce((product, side) => product * side, 1) };
    return { array: device.upload(Float32Array.from(values, () => 4 * random() - 2)), shape };
  };
  const gates = Array.from({ length: DEPTH }, (_, i) => [`gate.${i}`, array(rows, 1, WIDTH)] as const);
  const caches = past === undefined ? [] : pastOfAll().map((name) => {
    return [name, array(0, rows, HEADS, HEAD_WIDTH)] as const;
  });
  return {
    ...Object.fromEntries(caches),
    features: array(rows, length, CHANNELS),
    map_shape: { array: [rows, length, WIDTH], shape: [3] },
    ...Object.fromEntries(gates),
  };
}

/** Frees feeds. */
export function freeFeeds(feeds: Readonly<Record<string, GraphTensor>>): void {
  for (const { array } of Object.values(feeds)) if ("device" in array) array[Symbol.dispose]();
}

/** Tokens of its scales. */
export const LENGTHS: readonly number[] = [1, 4, 9];

/** Logits of all scales of two guided images, which change places and get company after the second scale. */
export async function runTiny(
  session: GraphSession,
  device: Device,
  dtype: CacheDtype = "f32",
): Promise<Float32Array[]> {
  using caches = new KeyValueCaches({
    ...{ device, depth: DEPTH, heads: HEADS, headWidth: HEAD_WIDTH, dtype },
    ...{ images: 2, guided: true, lengths: LENGTHS },
  });
  const logits: Float32Array[] = [];
  for (const [scale, length] of LENGTHS.entries()) {
    const feeds = tinyFeeds(device, { rows: caches.rows, length, seed: scale });
    try {
      using result = await caches.run(session, feeds);
      logits.push(await readFloats(result));
    } finally {
      freeFeeds(feeds);
    }
    caches.advance();
    if (scale === 1) caches.gather([1, 0, 1])[Symbol.dispose]();
  }
  return logits;
}

/**
 * Runs the graph with the same past as halves and as floats, and asserts that logits are the same bits and
 * that the caches of halves are the neighbours of those of floats: the nearest ones on the CPU; WGSL lets a
 * GPU choose between both.
 */
export async function assertRoundedCaches(
  device: Device,
  options: GraphSessionOptions = {},
): Promise<void> {
  const [rows, past, length] = [2, 3, 4];
  const random = testRandom(43);
  const count = rows * HEADS * past * HEAD_WIDTH;
  const kept = Array.from({ length: 2 * DEPTH }, () => {
    return Float16Array.from({ length: count }, () => 2 * random() - 1);
  });
  const run = async (dtype: CacheDtype): Promise<Record<string, Float32Array<ArrayBuffer>>> => {
    const externalFiles = [tinyFile()];
    await using session = await createGraphSession(device, wholeGraph(dtype), { ...options, externalFiles });
    const feeds = tinyFeeds(device, { rows, length, seed: 5 });
    for (const [i, halves] of kept.entries()) {
      const words = dtype === "f16" ? new Uint32Array(halves.buffer) : Float32Array.from(halves);
      const type = dtype === "f16" ? { type: "float16" as const } : {};
      feeds[pastOfAll()[i]!] = {
        array: device.upload(words),
        shape: [past, rows, HEADS, HEAD_WIDTH],
        ...type,
      };
    }
    const results = await session.run(feeds);
    freeFeeds(feeds);
    const read: Record<string, Float32Array<ArrayBuffer>> = {};
    for (const [name, result] of Object.entries(results)) {
      using array = result;
      read[name] = await readFloats(array);
    }
    return read;
  };
  const [exact, rounded] = [await run("f32"), await run("f16")];
  assertEquals(rounded.logits, exact.logits);
  for (const [name, values] of Object.entries(exact)) {
    if (name === "logits") continue;
    assertEquals(2 * rounded[name]!.length, values.length);
    const halves = new Float16Array(rounded[name]!.buffer);
    if (device.kind === "cpu") assertEquals(halves, Float16Array.from(values), name);
    for (const [i, value] of values.entries()) {
      // Half a step between halves of this size, or a whole one.
      const step = 2 ** Math.max(-24, Math.floor(Math.log2(Math.abs(value))) - 10);
      assert(Math.abs(halves[i]! - value) < step, `${name}[${i}]: ${halves[i]} for ${value}`);
    }
  }
}
