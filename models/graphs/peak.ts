/**
 * What a transformer's caches and activations take where it runs, as far as every family's memory adds up in
 * the same way. The sums themselves are left to the families, and whether they fit to `fit.ts`.
 *
 * @module
 */

import type { CacheDtype } from "./cache_values.ts";
import type { Provider } from "./room.ts";

/** What the bytes of keys and values depend on. */
export interface CacheSizes {
  /** Blocks. */
  readonly depth: number;
  /** Numbers of a token's keys, or values, in a block. */
  readonly width: number;
  /** Type in which they are kept; `"f32"` by default. */
  readonly dtype?: CacheDtype;
}

/** A scale among the others. */
export interface CachedScale {
  /** Tokens of the scales before. */
  readonly past: number;
  /** Its own tokens. */
  readonly length: number;
  /** Whether none follows. */
  readonly last: boolean;
}

/**
 * Bytes of the keys and values of one row at the peak of a scale: what was kept; what is to be kept, as the
 * graph gives it and behind the rest; and of one block all of them in the order in which they are computed
 * with.
 */
export function cacheBytes(
  { depth, width, dtype = "f32" }: CacheSizes,
  { past, length, last }: CachedScale,
): number {
  // Nothing is kept of the last scale.
  const kept = depth * (past + (last ? 0 : 2 * length));
  const computed = past + (past + length);
  // Halves are put in order before they become wide.
  return 2 * width * (dtype === "f32" ? 4 * (kept + computed) : 2 * (kept + past) + 4 * computed);
}

/**
 * ONNX Runtime's WebGPU provider rounds sizes up to those of its pool and keeps a number of arrays of each
 * size when they are free. A simulation of such a pool gave 400 MB for one image of VAR's depth 16, whose
 * first nine scales were measured to take 403; the factor and the bytes that are there once are fitted to it
 * for depths 16 to 36.
 */
const POOL = { factor: 1.6, bytes: 100e6 };

/** What an image takes, by the parts that are not alive together. */
export interface ImageBytes {
  /** At the scale that takes most. */
  readonly scales: number;
  /** In the decoder. */
  readonly decoder: number;
}

/** Bytes of an image at the peak, beside what is kept of it all the time. */
export function peakBytes({ scales, decoder }: ImageBytes, provider: Provider): number {
  // What the scales took is in the pool, in other sizes than the decoder's, when it begins.
  return provider === "webgpu"
    ? Math.ceil(Math.max(POOL.factor * scales, scales + decoder))
    : Math.max(scales, decoder);
}

/** Bytes that the pool of a provider keeps once, however many images of so many bytes there are. */
export function pooledBytes(image: number, provider: Provider): number {
  return provider === "webgpu" ? Math.min(POOL.bytes, image) : 0;
}
