/**
 * What Mesa's software adapter, llvmpipe, needs before it can convolve without end: a shader with a loop that
 * it does not try to unroll.
 *
 * When a shader is dispatched, this driver may put the values of uniforms that decide how often a loop turns
 * into a copy of the program, compile it, and keep it until the pipeline goes. As far as it shows, that is
 * done at each dispatch where a loop then unrolls, and given up where the program stays what it is
 * (`findings/mesa_llvmpipe_uniform_loops.sh`). Of the shaders that ONNX Runtime 1.30 writes, those of
 * convolutions by tiles are such (`Conv2dMM`: all of one or two dimensions that are neither grouped nor a
 * plain product, as most 1×1 ones are). Under Mesa 22.3.6 (Debian 12) each of their dispatches leaves 0.1 to
 * 1 MB behind and takes 2 to 4 ms of the processor more, 1.1 to 2 times of what it would. An image of the
 * demo, with 25 of them, left 19 MB.
 *
 * Nothing is left by products of matrices, attention, norms, pools, and grouped, transposed and
 * three-dimensional convolutions, in single precision or half; nor by any kernel of ours: all 42, in 651
 * calls that their tests make, each with a pipeline of its own that was dispatched 60 times.
 *
 * A bound that also depends on how long a buffer is cannot be put into a program in advance. Adapters tell no
 * version of Mesa, and a minimum costs nothing beside a tile, so any llvmpipe is treated alike.
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
 * The shader of a convolution with a count of tiles that depends on the length of its weights, too. A tile
 * takes at least eight terms of a sum, and there is an element of weights for every four of them or more, so
 * the count stays what it is. Any other shader is returned as it came.
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
