/**
 * The two decoders of `golden/infinity/expected.json`, whose weights are hashes of their names, for tests on
 * every provider.
 *
 * @module
 */

import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { type Autoencoder, pixelsPerToken } from "../../../models/autoencoder/config.ts";
import { decoderGraph } from "../../../models/autoencoder/graph.ts";
import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { CpuProvider } from "../../../models/graphs/graph_session.ts";
import { INFINITY_LAYOUT, tokenizerName } from "../../../models/infinity/layout.ts";
import type { ModelTensor } from "../../../models/weights/model_tensor.ts";
import expected from "../../fixtures/golden/infinity/expected.json" with { type: "json" };
import { type MadeUpTensor, storeTensors } from "./made_up_weights.ts";

/** What was recorded of a decoder. */
export interface DecoderCase {
  /** Name. */
  readonly tag: string;
  /** Channels of the finest level. */
  readonly ch: number;
  /** Factors of the levels' channels, from the finest on. */
  readonly ch_mult: readonly number[];
  /** Bits of a position. */
  readonly z_channels: number;
  /** Rows and columns of its map. */
  readonly latent: readonly number[];
  /** How many tensors there are. */
  readonly n_tensors: number;
  /** Summary of the pixels before they are clamped. */
  readonly out: {
    readonly sum: number;
    readonly abssum: number;
    readonly first: readonly number[];
    readonly last: readonly number[];
  };
  /** Summary of those that are. */
  readonly out_clamped: { readonly sum: number; readonly abssum: number };
  /** The first bytes, blue before green before red. */
  readonly uint8_bgr_first: readonly number[];
}

/** The recorded decoders. */
export const DECODER_CASES: readonly DecoderCase[] = expected.vae_decoder_cases;

/** Sums of numbers of size 0.4 that were rounded at the sixth decimal, and sums in f32 on the way. */
export const HASHED_TOLERANCE = 2e-5;

/** Values that a name stands for, from -0.5 to 0.5. */
export function hashed(name: string, count: number): Float64Array<ArrayBuffer> {
  let hash = 2166136261;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 16777619);
  return Float64Array.from({ length: count }, (_, i) => {
    let word = (hash + Math.imul(i, 2654435761)) >>> 0;
    word = Math.imul(word ^ (word >>> 16), 0x045d9f3b) >>> 0;
    word = (word ^ (word >>> 16)) >>> 0;
    return word / 2 ** 32 - 0.5;
  });
}

/** The spelling of the published files: a wrapper between a layer and its tensors. */
function publishedName(name: string): string {
  const [, layer = "", part = ""] = /^(.*)\.(weight|bias)$/.exec(name)!;
  return `${layer}.${/norm(\d|_out)$/.test(layer) ? "norm" : "conv"}.${part}`;
}

function hashedValues({ name, shape }: ModelTensor): Float32Array<ArrayBuffer> {
  const size = shape.reduce((product, side) => product * side, 1);
  const published = publishedName(name);
  const values = hashed(published, size);
  if (published.endsWith(".norm.weight")) return Float32Array.from(values, (value) => 1 + 0.2 * value);
  if (shape.length === 1) return Float32Array.from(values, (value) => 0.2 * value);
  return Float32Array.from(values, (value) => value * Math.sqrt(12 / (size / shape[0]!)));
}

/** Sizes of a recorded decoder. */
export function hashedSizes({ ch, ch_mult, z_channels }: DecoderCase): Autoencoder {
  return {
    layout: INFINITY_LAYOUT,
    channels: z_channels,
    decoder: ch_mult.map((factor) => ({ channels: factor * ch, blocks: 3, attention: false })),
    encoder: null,
  };
}

/** Tensors of a recorded decoder by the names that the model has for them. */
export function hashedTensors(sizes: Autoencoder): Map<string, MadeUpTensor> {
  return new Map(
    autoencoderTensors(sizes).map((tensor) => {
      const { name, shape } = tensor;
      if (tokenizerName(publishedName(name)) !== name) throw new Error(`"${name}" is told by no spelling`);
      return [name, { shape, values: hashedValues(tensor) }];
    }),
  );
}

/** Features that a recorded decoder was given. */
export function hashedFeatures({ z_channels, latent: [height = 0, width = 0] }: DecoderCase): {
  values: Float32Array<ArrayBuffer>;
  height: number;
  width: number;
} {
  const values = Float32Array.from(hashed("z", z_channels * height * width), (value) => 4 * value);
  return { values, height, width };
}

/** Decodes what was recorded. */
export async function decodeHashed(
  device: Device,
  recorded: DecoderCase,
  cpuProvider: CpuProvider = "wasm",
): Promise<Float32Array> {
  const sizes = hashedSizes(recorded);
  const { set, places, data } = storeTensors(hashedTensors(sizes));
  const { values, height, width } = hashedFeatures(recorded);
  await using session = await createGraphSession(device, decoderGraph(sizes, set, places), {
    externalFiles: [{ path: "weights", data }],
    cpuProvider,
  });
  using array = device.upload(values);
  const { image } = await session.run({
    features: { array, shape: [1, sizes.channels, height, width] },
    map_shape: { array: [0, -1, height, width], shape: [4] },
  });
  using result = image!;
  const pixels = await readFloats(result);
  if (pixels.length !== 3 * height * width * pixelsPerToken(sizes) ** 2) {
    throw new Error(`The picture has ${pixels.length} values`);
  }
  return pixels;
}

/** The first values, of which none may be off by more than the tolerance, and sums over all of them. */
export function requireHashed(pixels: Float32Array, { out, out_clamped, tag }: DecoderCase): void {
  const require = (what: string, found: number, wanted: number, tolerance: number): void => {
    if (Math.abs(found - wanted) <= tolerance) return;
    throw new Error(`${tag}: ${what} is ${found} instead of ${wanted}`);
  };
  for (const [i, value] of out.first.entries()) require(`pixel ${i}`, pixels[i]!, value, HASHED_TOLERANCE);
  for (const [i, value] of out.last.entries()) {
    require(`pixel ${i} of the last`, pixels.at(i - out.last.length)!, value, HASHED_TOLERANCE);
  }
  const clamped = pixels.map((value) => Math.min(1, Math.max(-1, value)));
  for (const [values, sums] of [[pixels, out], [clamped, out_clamped]] as const) {
    let sum = 0;
    let sizes = 0;
    for (const value of values) {
      sum += value;
      sizes += Math.abs(value);
    }
    require("the sum", sum, sums.sum, HASHED_TOLERANCE * values.length);
    require("the sum of sizes", sizes, sums.abssum, HASHED_TOLERANCE * values.length);
  }
}

/** The first bytes of a picture as the release writes them: truncated, blue before green before red. */
export function truncatedBytes(pixels: Float32Array, count: number): number[] {
  const positions = pixels.length / 3;
  return Array.from({ length: count }, (_, i) => {
    const value = pixels[(2 - i % 3) * positions + Math.floor(i / 3)]!;
    return Math.trunc(Math.fround((Math.min(1, Math.max(-1, value)) + 1) / 2 * 255));
  });
}
