/**
 * Lists the tensors of a class-conditional transformer from its sizes. What its files hold of positions is
 * told by the families.
 *
 * @module
 */

import { layerTensors, type ModelTensor } from "../../weights/model_tensor.ts";
import type { TransformerSizes } from "./config.ts";

/**
 * Lists the tensors of a transformer.
 *
 * @param sizes Its sizes.
 * @param positions The family's tensors for positions beside `pos_start`.
 *
 * @example The smallest published transformer of FlexVAR
 * ```ts
 * import { transformerTensors } from "./tensors.ts";
 * import { elementsOf } from "../../weights/model_tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sizes = {
 *   depth: 16,
 *   width: 1024,
 *   heads: 16,
 *   classes: 1000,
 *   sharedAdaptiveNorm: false,
 *   normalizedAttention: true,
 *   vocabulary: 8912,
 *   channels: 32,
 * };
 * assertEquals(
 *   elementsOf(transformerTensors(sizes, [{ name: "pos_1LC", shape: [1, 1024, 32, 32] }])),
 *   315_561_936,
 * );
 * ```
 */
export function transformerTensors(
  sizes: TransformerSizes,
  positions: readonly ModelTensor[],
): ModelTensor[] {
  const { width, depth, heads, classes, vocabulary, channels, sharedAdaptiveNorm, normalizedAttention } =
    sizes;
  const block = (i: number): ModelTensor[] => {
    const name = `blocks.${i}`;
    return [
      ...(sharedAdaptiveNorm
        ? [{ name: `${name}.ada_gss`, shape: [1, 1, 6, width] }]
        : layerTensors(`${name}.ada_lin.1`, [6 * width, width])),
      ...(normalizedAttention ? [{ name: `${name}.attn.scale_mul_1H11`, shape: [1, heads, 1, 1] }] : []),
      { name: `${name}.attn.q_bias`, shape: [width] },
      { name: `${name}.attn.v_bias`, shape: [width] },
      { name: `${name}.attn.mat_qkv.weight`, shape: [3 * width, width] },
      ...layerTensors(`${name}.attn.proj`, [width, width]),
      ...layerTensors(`${name}.ffn.fc1`, [4 * width, width]),
      ...layerTensors(`${name}.ffn.fc2`, [width, 4 * width]),
    ];
  };
  return [
    { name: "pos_start", shape: [1, 1, width] },
    ...positions,
    ...layerTensors("word_embed", [width, channels]),
    { name: "class_emb.weight", shape: [classes + 1, width] },
    ...(sharedAdaptiveNorm ? layerTensors("shared_ada_lin.1", [6 * width, width]) : []),
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
    ...layerTensors("head_nm.ada_lin.1", [2 * width, width]),
    ...layerTensors("head", [vocabulary, width]),
  ];
}
