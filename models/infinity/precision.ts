/**
 * How each tensor of an Infinity model is stored when the large weights are to have a given type.
 *
 * @module
 */

import { storedT5Dtype } from "../text/t5_graph.ts";
import type { KeptDtype } from "../weights/dtype.ts";

/** Tensors with fewer elements stay f32: norms, biases and scales are precious and small. */
const HALF_MIN_ELEMENTS = 16384;

/** Weights of the blocks' linear layers: all that every token passes through, and what texts give blocks. */
const BLOCK_LINEAR =
  /^(blocks\.\d+|block_chunks\.\d+\.module\.\d+)\.(sa|ca|ffn)\.(mat_qkv|mat_q|mat_kv|proj|fc1|fc2)\.weight$/;
/**
 * The last linear layer. What is lost here reaches the logits undamped, so it never has fewer than 8 bits.
 */
const HEAD = "head.weight";
/** A part of the text encoder. */
const TEXT = /^(encoder\.|shared\.)/;
/** A network of the tokenizer, whose encoder's names begin like those of the text encoder. */
const NETWORK = /^(encoder|decoder)\.(conv_in|conv_out|norm_out|mid|down|up)\b/;

/**
 * How a tensor is stored.
 *
 * @param name Name in the published checkpoints.
 * @param shape Shape there.
 * @param dtype Type of the large weights. Where they are `"int8"`, all others stay f32,
 * but for the text encoder, which is f16 as with other integers.
 *
 * @example
 * ```ts
 * import { storedDtype } from "./precision.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(storedDtype("block_chunks.0.module.3.ffn.fc1.weight", [8192, 2048], "q4"), "q4");
 * assertEquals(storedDtype("head.weight", [64, 2048], "q4"), "q8");
 * assertEquals(storedDtype("shared_ada_lin.1.weight", [12288, 2048], "q4"), "f16");
 * assertEquals(storedDtype("word_embed.bias", [2048], "q4"), "f32");
 * assertEquals(storedDtype("head.weight", [64, 2048], "int8"), "int8");
 * assertEquals(storedDtype("shared_ada_lin.1.weight", [12288, 2048], "int8"), "f32");
 * ```
 */
export function storedDtype(name: string, shape: readonly number[], dtype: KeptDtype): KeptDtype {
  if (dtype === "f32") return "f32";
  // Integers spoil the features of texts more than they save: 8 bits are off by 5 % at flan-t5-xl's size, 4
  // by 60, and it is unloaded before there are pictures.
  if (TEXT.test(name) && !NETWORK.test(name)) return storedT5Dtype(name, shape, "f16");
  if (dtype !== "f16") {
    if (name === HEAD) return dtype === "int8" ? dtype : "q8";
    if (BLOCK_LINEAR.test(name)) return dtype;
    if (dtype === "int8") return "f32";
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  return elements >= HALF_MIN_ELEMENTS ? "f16" : "f32";
}
