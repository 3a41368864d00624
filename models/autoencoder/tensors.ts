/**
 * Lists the tensors of a tokenizer's two networks from their sizes, for what has to know them without a file:
 * estimates of memory, and files that are made up.
 *
 * @module
 */

import { layerTensors, type ModelTensor } from "../weights/model_tensor.ts";
import type { WeightSet } from "../weights/weight_set.ts";
import { type Autoencoder, type AutoencoderLayout, levelName, type TokenizerLevel } from "./config.ts";

/**
 * Lists the tensors of the networks that are there and of the convolutions between them and the codes. The
 * middle blocks are taken to have attention if any level has, as in the published ones.
 *
 * @example FlexVAR's published tokenizer without its codebook
 * ```ts
 * import { FLEXVAR_LAYOUT } from "../flexvar/config.ts";
 * import { autoencoderTensors } from "./tensors.ts";
 * import { elementsOf } from "../weights/model_tensor.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const levels = (blocks: number) => {
 *   return [128, 128, 256, 256, 512].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
 * };
 * const tensors = autoencoderTensors({
 *   layout: FLEXVAR_LAYOUT,
 *   channels: 32,
 *   latentChannels: 256,
 *   decoder: levels(3),
 *   encoder: levels(2),
 * });
 * assertEquals(elementsOf(tensors), 72_049_827 - 8912 * 32);
 * ```
 */
export function autoencoderTensors(autoencoder: Autoencoder): ModelTensor[] {
  const { decoder, encoder } = autoencoder;
  return [
    ...(encoder === null ? [] : encoderTensors(autoencoder, encoder)),
    ...(decoder === null ? [] : decoderTensors(autoencoder, decoder)),
    ...quantConvolutions(autoencoder),
  ];
}

/**
 * Takes the convolutions between the networks and the codes, which a file may hold without the network beside
 * them.
 *
 * @throws {ModelFileError} If one of them has an unexpected shape.
 */
export function takeQuantConvolutions(autoencoder: Autoencoder, weights: WeightSet): void {
  for (const { name, shape } of quantConvolutions(autoencoder)) {
    if (weights.hasAny(name.replace(/\w+$/, ""))) weights.take(name, shape);
  }
}

function quantConvolutions({ layout, channels, latentChannels = channels }: Autoencoder): ModelTensor[] {
  const { quantSide } = layout;
  if (quantSide === null) return [];
  return [
    ...layerTensors("quant_conv", [channels, latentChannels, quantSide, quantSide]),
    ...layerTensors("post_quant_conv", [latentChannels, channels, quantSide, quantSide]),
  ];
}

function decoderTensors(autoencoder: Autoencoder, levels: readonly TokenizerLevel[]): ModelTensor[] {
  const { layout, channels, latentChannels = channels } = autoencoder;
  let width = levels.at(-1)!.channels;
  const tensors = [
    ...layerTensors("decoder.conv_in", [width, latentChannels, 3, 3]),
    ...middleTensors(layout, "decoder", levels),
  ];
  for (const [i, level] of [...levels.entries()].reverse()) {
    const name = levelName(layout, "decoder", { level: i, levels: levels.length });
    tensors.push(...levelTensors(layout, name, width, level));
    width = level.channels;
    if (i > 0) tensors.push(...layerTensors(`${name}.upsample.conv`, [width, width, 3, 3]));
  }
  return [
    ...tensors,
    ...layerTensors("decoder.norm_out", [width]),
    ...layerTensors("decoder.conv_out", [3, width, 3, 3]),
  ];
}

function encoderTensors(autoencoder: Autoencoder, levels: readonly TokenizerLevel[]): ModelTensor[] {
  const { layout, channels, latentChannels = channels } = autoencoder;
  let width = levels[0]!.channels;
  const tensors = layerTensors("encoder.conv_in", [width, 3, 3, 3]);
  for (const [i, level] of levels.entries()) {
    const name = levelName(layout, "encoder", { level: i, levels: levels.length });
    tensors.push(...levelTensors(layout, name, width, level));
    width = level.channels;
    if (i < levels.length - 1) {
      tensors.push(...layerTensors(`${name}.downsample.conv`, [width, width, 3, 3]));
    }
  }
  return [
    ...tensors,
    ...middleTensors(layout, "encoder", levels),
    ...layerTensors("encoder.norm_out", [width]),
    ...layerTensors("encoder.conv_out", [latentChannels, width, 3, 3]),
  ];
}

function levelTensors(
  layout: AutoencoderLayout,
  name: string,
  inputs: number,
  { channels, blocks, attention }: TokenizerLevel,
): ModelTensor[] {
  return Array.from({ length: blocks }, (_, i) => [
    ...residualBlock(`${name}.${layout.residual}.${i}`, i === 0 ? inputs : channels, channels),
    ...(attention ? attentionBlock(layout, `${name}.attn.${i}`, channels) : []),
  ]).flat();
}

function middleTensors(
  layout: AutoencoderLayout,
  network: string,
  levels: readonly TokenizerLevel[],
): ModelTensor[] {
  const { channels } = levels.at(-1)!;
  const [first, attention, second] = layout.middle.map((name) => `${network}.${name}`) as [
    string,
    string,
    string,
  ];
  const attends = levels.some((level) => level.attention);
  return [
    ...residualBlock(first, channels, channels),
    ...(attends ? attentionBlock(layout, attention, channels) : []),
    ...residualBlock(second, channels, channels),
  ];
}

function residualBlock(name: string, inputs: number, outputs: number): ModelTensor[] {
  return [
    ...layerTensors(`${name}.norm1`, [inputs]),
    ...layerTensors(`${name}.conv1`, [outputs, inputs, 3, 3]),
    ...layerTensors(`${name}.norm2`, [outputs]),
    ...layerTensors(`${name}.conv2`, [outputs, outputs, 3, 3]),
    ...(inputs === outputs ? [] : layerTensors(`${name}.nin_shortcut`, [outputs, inputs, 1, 1])),
  ];
}

function attentionBlock({ fused }: AutoencoderLayout, name: string, width: number): ModelTensor[] {
  const square = [width, width, 1, 1];
  return [
    ...layerTensors(`${name}.norm`, [width]),
    ...(fused
      ? layerTensors(`${name}.qkv`, [3 * width, width, 1, 1])
      : ["q", "k", "v"].flatMap((part) => layerTensors(`${name}.${part}`, square))),
    ...layerTensors(`${name}.proj_out`, square),
  ];
}
