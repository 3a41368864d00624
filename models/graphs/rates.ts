/**
 * How fast a device runs what models spend their time on: matrix products with weights of each type and
 * convolutions, by the runtime that runs the models there. The roof of the device itself is measured in
 * `kernels/profile/`, and what follows for a model is left to `device_check.ts`.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { profile } from "../../kernels/profile/profile.ts";
import { type Dtype, DTYPES } from "../weights/dtype.ts";
import { blockShapes, SCALES } from "../weights/quantize.ts";
import type { ElementType, ExternalWeight } from "../weights/weight_places.ts";
import { WeightSet } from "../weights/weight_set.ts";
import { createGraphSession } from "./create_session.ts";
import { keepHalves } from "./graph_file.ts";
import type { GraphSession, GraphSessionOptions } from "./graph_session.ts";
import { GraphWeights } from "./graph_weights.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";

/**
 * What {@linkcode measureRates} has measured, in 10⁹ operations per second, of which a multiply-add is two.
 */
export interface Rates {
  /**
   * Products with weights of each type that the device takes: those of a feed-forward part of width 1024
   * with as many rows as the last scales of a guided 256-pixel picture have.
   */
  readonly products: Readonly<Partial<Record<Dtype, number>>>;
  /** A convolution with kernels of 3 by 3, of 160 channels on a map of 64 by 64. */
  readonly convolutions: number;
}

/** Options of {@linkcode measureRates}. */
export interface RatesOptions extends Pick<GraphSessionOptions, "threads" | "cpuProvider"> {
  /** Ends the measurement. */
  readonly signal?: AbortSignal | undefined;
}

const WIDTH = 1024;
const HIDDEN = 4 * WIDTH;
/** Rows of a guided picture's last scale, and of a device that would take seconds for so many. */
const ROWS = { many: 512, few: 32 } as const;
const CHANNELS = 160;
const SIDE = 64;
/** Milliseconds that a call with many rows may take. */
const MOST_MILLISECONDS = 500;
/** Name of the file that the graphs think their weights are in. */
const FILE = "rates";

/** Measures the rates of a device; a few seconds, most of them compilation, and more where it is slow. */
export async function measureRates(device: Device, options: RatesOptions = {}): Promise<Rates> {
  const { signal, ...session } = options;
  const products: Partial<Record<Dtype, number>> = {};
  for (const dtype of DTYPES) {
    signal?.throwIfAborted();
    if (dtype === "f16" && device instanceof WebGpuDevice && !device.gpu.features.has("shader-f16")) continue;
    products[dtype] = await productRate(device, dtype, options);
  }
  signal?.throwIfAborted();
  return { products, convolutions: await convolutionRate(device, session, signal) };
}

async function productRate(
  device: Device,
  dtype: Dtype,
  { signal, ...session }: RatesOptions,
): Promise<number> {
  const { graph, data } = productGraph(dtype);
  const files = [{ path: FILE, data }];
  await using loaded = await createGraphSession(device, graph, { ...session, externalFiles: files });
  const rate = async (rows: number): Promise<{ milliseconds: number; rate: number }> => {
    using x = device.upload(waves(rows * WIDTH));
    const operations = 2 * 2 * rows * WIDTH * HIDDEN;
    return await timed(loaded, { x: { array: x, shape: [rows, WIDTH] } }, { device, operations, signal });
  };
  const few = await rate(ROWS.few);
  const expected = few.milliseconds * ROWS.many / ROWS.few;
  return expected > MOST_MILLISECONDS ? few.rate : (await rate(ROWS.many)).rate;
}

async function convolutionRate(
  device: Device,
  session: Pick<GraphSessionOptions, "threads" | "cpuProvider">,
  signal: AbortSignal | undefined,
): Promise<number> {
  const weights = new WeightBytes();
  const shape = [CHANNELS, CHANNELS, 3, 3];
  weights.add("kernel", shape, "float32", waves(CHANNELS ** 2 * 9));
  const { graph } = new GraphWeights("convolution", weights.set(), weights.place);
  const x = graph.input({ name: "x", type: "float32", shape: [1, CHANNELS, "height", "width"] });
  const y = graph.add("Conv", [x, graph.weight("kernel", weights.place("kernel"))], {
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
  });
  graph.output({ name: "y", type: "float32", shape: [1, CHANNELS, "height", "width"] }, y);
  const files = [{ path: FILE, data: weights.bytes() }];
  await using loaded = await createGraphSession(device, graph.bytes(), { ...session, externalFiles: files });
  using map = device.upload(waves(CHANNELS * SIDE ** 2));
  const operations = 2 * 9 * CHANNELS ** 2 * SIDE ** 2;
  const feeds = { x: { array: map, shape: [1, CHANNELS, SIDE, SIDE] } };
  return (await timed(loaded, feeds, { device, operations, signal })).rate;
}

async function timed(
  session: GraphSession,
  feeds: Parameters<GraphSession["run"]>[0],
  { device, operations, signal }: {
    readonly device: Device;
    readonly operations: number;
    readonly signal: AbortSignal | undefined;
  },
): Promise<{ milliseconds: number; rate: number }> {
  const call = async (): Promise<DeviceArray> => (await session.run(feeds)).y!;
  const { low } = await profile(device, call, { rounds: 3, span: 50, signal });
  // No time at all is no rate.
  const milliseconds = Math.max(low, 1e-6);
  return { milliseconds, rate: operations / milliseconds / 1e6 };
}

/** The two products of a feed-forward part. */
function productGraph(dtype: Dtype): { graph: Uint8Array; data: Uint8Array } {
  const weights = new WeightBytes();
  weights.addLinear("up", HIDDEN, WIDTH, dtype);
  weights.addLinear("down", WIDTH, HIDDEN, dtype);
  const layers = new GraphWeights("products", weights.set(), weights.place);
  const { graph } = layers;
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", WIDTH] });
  const hidden = layers.linear(x, "up", WIDTH, HIDDEN, null);
  graph.output(
    { name: "y", type: "float32", shape: ["rows", WIDTH] },
    layers.linear(hidden, "down", HIDDEN, WIDTH, null),
  );
  const bytes = graph.bytes();
  return { graph: dtype === "f16" ? keepHalves(bytes) : bytes, data: weights.bytes() };
}

/** Weights that are made up, in one file. */
class WeightBytes {
  readonly #places = new Map<string, ExternalWeight>();
  readonly #shapes = new Map<string, { shape: readonly number[]; dtype: string }>();
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** Adds a tensor. */
  add(name: string, shape: readonly number[], type: ElementType, data: ArrayBufferView): void {
    const { buffer, byteOffset, byteLength } = data;
    this.#parts.push(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
    this.#places.set(name, { file: FILE, offset: this.#length, length: byteLength, type, shape });
    this.#length += byteLength;
  }

  /** Adds the weight of a linear layer as a type. */
  addLinear(name: string, outputs: number, inputs: number, dtype: Dtype): void {
    const weight = `${name}.weight`;
    const shape = [outputs, inputs];
    this.#shapes.set(weight, { shape, dtype });
    const count = outputs * inputs;
    if (dtype === "f32") return this.add(weight, shape, "float32", waves(count));
    if (dtype === "f16") return this.add(weight, shape, "float16", new Float16Array(waves(count)));
    const { packed, scales } = blockShapes({ rows: outputs, columns: inputs, bits: dtype === "q8" ? 8 : 4 });
    const sizeOf = (sides: readonly number[]): number => sides.reduce((product, side) => product * side, 1);
    const integers = new Uint8Array(sizeOf(packed)).map((_, i) => i * 37);
    this.add(weight, packed, "uint8", integers);
    this.add(`${weight}${SCALES}`, scales, "float32", new Float32Array(sizeOf(scales)).fill(2 ** -12));
  }

  /** The tensors as a graph takes them. */
  set(): WeightSet {
    return new WeightSet(FILE, this.#shapes);
  }

  /** Where a tensor lies. */
  readonly place = (name: string): ExternalWeight => this.#places.get(name)!;

  /** The file. */
  bytes(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}

/** Numbers of about the size of a layer's weights. */
function waves(length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 0.7) / 32);
}
