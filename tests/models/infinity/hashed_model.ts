/**
 * The transformers of `golden/infinity/expected.json`, whose weights are hashes of their names, as
 * checkpoints in memory, together with a small tokenizer that nothing was recorded of.
 *
 * @module
 */

import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import { writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { type InfinityTransformerConfig, transformerTensors } from "../../../models/infinity/config.ts";
import { INFINITY_LAYOUT } from "../../../models/infinity/layout.ts";
import { TextFeatures } from "../../../models/text/text_features.ts";
import type { ModelTensor } from "../../../models/weights/model_tensor.ts";
import expected from "../../fixtures/golden/infinity/expected.json" with { type: "json" };
import { hashed } from "../autoencoder/hashed_decoder.ts";

/** A recorded transformer. */
export type TransformerCase = (typeof expected.transformer_cases)[number];

/** The recorded transformers. */
export const TRANSFORMER_CASES: readonly TransformerCase[] = expected.transformer_cases;

/** The prompt that the recorded text features stand for. */
export const RECORDED_PROMPT = "a recorded prompt";

/** Sizes of a recorded transformer. */
export function hashedConfig({ config }: TransformerCase): InfinityTransformerConfig {
  const { depth, C: width, heads, chunks, d_vae, Ct5: textChannels, text_maxlen, patchify } = config;
  return {
    depth,
    chunks,
    width,
    heads,
    hidden: 4 * width,
    bits: d_vae * (patchify === 1 ? 4 : 1),
    textChannels,
    poolHeads: textChannels / 128,
    unconditionalRows: text_maxlen,
    levels: 15,
  };
}

/** Values of a tensor by the rules of the recording. */
export function hashedTensor({ name, shape }: ModelTensor): Float32Array<ArrayBuffer> {
  const size = shape.reduce((product, side) => product * side, 1);
  const values = hashed(name, size);
  const scaled = (factor: number, offset = 0): Float32Array<ArrayBuffer> => {
    return Float32Array.from(values, (value) => offset + factor * value);
  };
  if (name.endsWith("scale_mul_1H11")) return scaled(0.5, Math.log(4));
  if (name === "text_norm.weight" || name.endsWith("ca_norm.weight")) return scaled(0.2, 1);
  if (/ada_gss$|^pos_start$|^lvl_embed\.weight$/.test(name)) return scaled(0.5);
  if (/^cfg_uncond$|mat_q$/.test(name)) return scaled(1);
  return shape.length === 2 ? scaled(Math.sqrt(12 / shape[1]!)) : scaled(0.2);
}

/** A safetensors file of tensors. */
export async function tensorFile(
  tensors: readonly ModelTensor[],
  valuesOf: (tensor: ModelTensor) => Float32Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const entries = tensors.map((tensor) => ({
    name: tensor.name,
    dtype: "F32" as const,
    shape: tensor.shape,
    bytes: () => new Uint8Array(valuesOf(tensor).buffer),
  }));
  const [bytes] = await Promise.all([new Response(readable).bytes(), writeSafetensors(writable, entries)]);
  return bytes;
}

/** The checkpoints of a recorded transformer. */
export async function hashedCheckpoints(
  recorded: TransformerCase,
): Promise<{ infinity: Uint8Array<ArrayBuffer>; vae: Uint8Array<ArrayBuffer> }> {
  const networks = autoencoderTensors({
    layout: INFINITY_LAYOUT,
    channels: recorded.config.d_vae,
    decoder: [{ channels: 32, blocks: 1, attention: false }],
    encoder: null,
  });
  return {
    infinity: await tensorFile(transformerTensors(hashedConfig(recorded)), hashedTensor),
    vae: await tensorFile(networks, hashedTensor),
  };
}

/** The recorded text features. */
export function hashedFeatures({ config: { L, Ct5 } }: TransformerCase): TextFeatures {
  const values = Float32Array.from(hashed("text_features", L * Ct5), (value) => 4 * value);
  return new TextFeatures(Ct5, new Map([[RECORDED_PROMPT, values]]));
}
