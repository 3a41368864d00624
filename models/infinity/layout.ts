/**
 * How the published tokenizers of Infinity name their tensors and divide their layers: the convolutional
 * networks of the taming line without attention, with nothing between them and the bits.
 *
 * @module
 */

import type { AutoencoderLayout } from "../autoencoder/config.ts";

/** The layout of Infinity's tokenizer, whose maps need not be square. */
export const INFINITY_LAYOUT: AutoencoderLayout = {
  levels: { decoder: "decoder.up", encoder: "encoder.down" },
  passed: false,
  residual: "block",
  middle: ["mid.block_1", "mid.attn_1", "mid.block_2"],
  fused: true,
  quantSide: null,
  square: false,
};

/**
 * Name of a tokenizer's tensor without the wrapper that the published files name between a layer and its
 * tensors: `conv` within convolutions and `norm` within group norms. The layer that follows an upsampling or
 * downsampling is called `conv` itself.
 *
 * @example
 * ```ts
 * import { tokenizerName } from "./layout.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(tokenizerName("decoder.conv_in.conv.weight"), "decoder.conv_in.weight");
 * assertEquals(tokenizerName("decoder.norm_out.norm.bias"), "decoder.norm_out.bias");
 * assertEquals(tokenizerName("decoder.up.1.upsample.conv.conv.weight"), "decoder.up.1.upsample.conv.weight");
 * assertEquals(tokenizerName("decoder.up.1.upsample.conv.weight"), "decoder.up.1.upsample.conv.weight");
 * ```
 */
export function tokenizerName(stored: string): string {
  return stored.replace(/(?<!\.(?:up|down)sample)\.(?:conv|norm)(?=\.(?:weight|bias)$)/, "");
}
