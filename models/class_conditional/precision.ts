/**
 * How each tensor of a model with a class-conditional transformer is stored when the large weights are to
 * have a given type. What the graphs make of it is left to them.
 *
 * What a type costs in VAR, measured against f32 over all scales with the same tokens forced, on the demo
 * (trained, depth 4, 2080 positions) and on a model of depth 16 and full size with random weights (1360
 * positions):
 *
 * | | logits' error / their deviation, rms | greatest | another likeliest token | KL divergence, nats |
 * |---|---|---|---|---|
 * | demo, f16 | 0.00018 | 0.0013 | 0.05 % | 0.0000002 |
 * | demo, q8 | 0.0040 | 0.026 | 1.0 % | 0.00009 |
 * | demo, q4 | 0.057 | 0.37 | 13 % | 0.016 |
 * | depth 16, f16 | 0.00036 | 0.0024 | 0.15 % | 0.0000003 |
 * | depth 16, q8 | 0.0075 | 0.057 | 2.3 % | 0.00013 |
 * | depth 16, q4 | 0.079 | 0.80 | 17 % | 0.016 |
 *
 * @module
 */

import type { KeptDtype } from "../weights/dtype.ts";

/** Tensors with fewer elements stay f32: norms, biases and codes are precious and small. */
const HALF_MIN_ELEMENTS = 16384;

/** Weights of the blocks' linear layers: with the head, all that every token passes through. */
const BLOCK_LINEAR = /^blocks\.\d+\.(attn\.mat_qkv|attn\.proj|ffn\.fc1|ffn\.fc2)\.weight$/;
/**
 * The last linear layer. What is lost here reaches the logits undamped, so it never has fewer than 8 bits.
 */
const HEAD = "head.weight";
/** Codebook and φ convolutions: they decide which token is drawn and how far apart two are. */
const QUANTIZER = "quantize.";

/**
 * How a tensor is stored.
 *
 * @param name Name in the published checkpoints.
 * @param shape Shape there.
 * @param dtype Type of the large weights. Where they are `"int8"`, all others stay f32.
 *
 * @example
 * ```ts
 * import { storedDtype } from "./precision.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(storedDtype("blocks.3.ffn.fc1.weight", [4096, 1024], "q4"), "q4");
 * assertEquals(storedDtype("head.weight", [4096, 1024], "q4"), "q8");
 * assertEquals(storedDtype("class_emb.weight", [1001, 1024], "q4"), "f16");
 * assertEquals(storedDtype("blocks.3.ffn.fc1.bias", [4096], "q4"), "f32");
 * assertEquals(storedDtype("head.weight", [4096, 1024], "int8"), "int8");
 * assertEquals(storedDtype("class_emb.weight", [1001, 1024], "int8"), "f32");
 * ```
 */
export function storedDtype(name: string, shape: readonly number[], dtype: KeptDtype): KeptDtype {
  if (dtype === "f32") return "f32";
  if (dtype !== "f16") {
    if (name === HEAD) return dtype === "int8" ? dtype : "q8";
    if (BLOCK_LINEAR.test(name)) return dtype;
    if (dtype === "int8") return "f32";
  }
  const elements = shape.reduce((product, size) => product * size, 1);
  return elements >= HALF_MIN_ELEMENTS && !name.startsWith(QUANTIZER) ? "f16" : "f32";
}
