/**
 * What Mesa's software adapter, llvmpipe, needs before it can convolve without end: a shader whose loops it
 * does not try to unroll.
 *
 * When a shader is dispatched, lavapipe, its Vulkan front end, puts values of uniforms into a copy of the
 * program that decide how often a loop turns, compiles the copy, and keeps it until the pipeline goes. It
 * gives that up where little is gained, but a loop that unrolls makes the program longer, which it takes for
 * a gain. Of the shaders that ONNX Runtime 1.30 writes, those of its convolutions by tiles are such
 * (`Conv2dMM`: all that are not grouped, of one or two dimensions, but for those that are matrix products,
 * as 1×1 ones are): under Mesa 22.3.6 (Debian 12) each of their dispatches leaves 0.1 to 1 MB behind and
 * takes about twice its time, so an image of the demo, which has 25 of them, leaves 19 MB. Matrix products,
 * attention, norms and grouped, transposed and three-dimensional convolutions leave nothing; neither do our
 * own kernels, nor Mesa 25.0.7, nor any other driver that was looked at.
 *
 * A bound that also depends on how long a buffer is cannot be put into a program in advance. Adapters do not
 * tell Mesa's version, and a minimum costs nothing beside a tile, so any llvmpipe is treated alike.
 *
 * @module
 */

/** How many tiles a convolution adds up, in the words of ONNX Runtime 1.30. */
const TILES = /^( *let num_tiles = )(\(uniforms\.dim_inner - 1\) \/ tileInner \+ 1);$/m;
/** The weights of a convolution, which matrix products call otherwise. */
const WEIGHTS = /^@group\(0\) @binding\(1\) var<storage, read> w: array<(vec4<)?(f32|f16)>+;$/m;

/** Whether an adapter is llvmpipe. */
export function isLlvmpipe({ description }: Pick<GPUAdapterInfo, "description">): boolean {
  return description.startsWith("llvmpipe");
}

/**
 * The shader of a convolution with a count of tiles that depends on the length of its weights, too: it has a
 * row of them for each of the terms that a tile has many of, so the count stays what it is. Any other shader
 * is returned as it came.
 */
export function boundTiles(code: string): string {
  return WEIGHTS.test(code) ? code.replace(TILES, "$1min($2, arrayLength(&w));") : code;
}

/**
 * What an adapter needs of this library to work well, in a sentence; `undefined` if nothing is known of it.
 *
 * @example
 * ```ts
 * import { adapterNote } from "./llvmpipe_loops.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * assertEquals(adapterNote({ description: "NVIDIA H200" }), undefined);
 * assert(adapterNote({ description: "llvmpipe (LLVM 15.0.6, 256 bits)" })?.includes("Mesa 22.3"));
 * ```
 */
export function adapterNote(info: Pick<GPUAdapterInfo, "description">): string | undefined {
  if (!isLlvmpipe(info)) return undefined;
  return "convolutions are rewritten, as Mesa 22.3 keeps up to 1 MB each time one runs otherwise";
}
