/**
 * Checkpoints of FlexVAR models that are made on the spot: small ones of random weights, and any whose values
 * are told. They are named as the published ones and hold their buffers for training, too.
 *
 * @module
 */

import { type SafetensorsEntry, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { type FlexVarConfig, flexVarSizes } from "../../../models/flexvar/config.ts";
import type { ModelTensor } from "../../../models/weights/model_tensor.ts";
import { testRandom } from "../../devices.ts";

/**
 * A small model: one block, two levels of two pixels a token, attention in the coarsest, an encoder. It
 * paints 32×32 pictures in the usual ten scales.
 */
export const SMALL_FLEXVAR: FlexVarConfig = {
  depth: 1,
  width: 64,
  heads: 1,
  classes: 5,
  sharedAdaptiveNorm: false,
  normalizedAttention: true,
  positionSide: 8,
  tokenizer: {
    vocabulary: 48,
    channels: 4,
    latentChannels: 8,
    decoder: [{ channels: 32, blocks: 2, attention: false }, { channels: 64, blocks: 2, attention: true }],
    encoder: [{ channels: 32, blocks: 1, attention: false }, { channels: 64, blocks: 1, attention: true }],
  },
};

/** A tensor with its values. */
export interface FilledTensor extends ModelTensor {
  readonly values: Float32Array<ArrayBuffer>;
}

/** Both checkpoints of a model of random weights, as safetensors files. */
export async function flexVarCheckpoints(
  config: FlexVarConfig = SMALL_FLEXVAR,
): Promise<{ var: Uint8Array<ArrayBuffer>; vae: Uint8Array<ArrayBuffer> }> {
  const { var: transformer, vae } = filledFlexVar(config);
  return { var: await safetensors(transformer), vae: await safetensors(vae) };
}

/** The tensors of both checkpoints of a model of random weights. */
export function filledFlexVar(
  config: FlexVarConfig = SMALL_FLEXVAR,
): { var: FilledTensor[]; vae: FilledTensor[] } {
  const { transformer, tokenizer } = flexVarTensors(config);
  const random = testRandom(1);
  return {
    var: transformer.map((tensor) => filled(tensor, random)),
    vae: tokenizer.map((tensor) => filled(tensor, random)),
  };
}

/**
 * The tensors of the two files as they are published: without the network that the configuration is without.
 */
export function flexVarTensors(
  config: FlexVarConfig,
): { transformer: ModelTensor[]; tokenizer: ModelTensor[] } {
  const { depth, width, tokenizer: { decoder, encoder } } = config;
  const { tensors } = flexVarSizes(config);
  return {
    transformer: [
      ...tensors.transformer,
      { name: "attn_bias_for_masking", shape: [1, 1, 14, 14] },
      ...Array.from({ length: depth }, (_, i) => ({ name: `blocks.${i}.attn.zero_k_bias`, shape: [width] })),
    ],
    tokenizer: [
      ...tensors.tokenizer.filter(({ name }) => {
        return !(decoder === null && name.startsWith("post_quant_conv.")) &&
          !(encoder === null && name.startsWith("quant_conv."));
      }),
      { name: "quantize.codebook_used", shape: [64] },
    ],
  };
}

/** A safetensors file. */
export async function safetensors(tensors: readonly FilledTensor[]): Promise<Uint8Array<ArrayBuffer>> {
  const entries = tensors.map(({ name, shape, values }): SafetensorsEntry => {
    return { name, dtype: "F32", shape, bytes: () => new Uint8Array(values.buffer) };
  });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  await writeSafetensors(writable, entries);
  return await file;
}

/** Random values of a size that keeps activations near 1. */
function filled({ name, shape }: ModelTensor, random: () => number): FilledTensor {
  const inputs = shape.length === 2 || shape.length === 4 && !name.startsWith("pos_")
    ? shape.slice(1).reduce((product, size) => product * size, 1)
    : 1;
  const isTable = /^(class_emb|quantize|pos_)/.test(name);
  const isNorm = shape.length === 1 && name.endsWith(".weight");
  const scale = isTable ? 1 : shape.length === 1 ? 0.1 : (name === "head.weight" ? 3 : 1) / Math.sqrt(inputs);
  const length = shape.reduce((product, size) => product * size, 1);
  // The sum of four uniform numbers: normal enough.
  const values = Float32Array.from({ length }, () => {
    return (isNorm ? 1 : 0) +
      scale * Math.sqrt(3) * (random() + random() + random() + random() - 2);
  });
  return { name, shape, values };
}
