/**
 * What the two convolutional networks of a tokenizer look like: an encoder and a decoder of the taming line,
 * with their levels read from the names and shapes of their tensors. In which layout they were published, and
 * the codebook, are left to the families.
 *
 * @module
 */

import { isFlag, isSize, type SizeCheck } from "../folder/sizes.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/** One of the two networks, by the name that stands in front of its tensors. */
export type Network = "decoder" | "encoder";

/** One resolution of a tokenizer's convolutional networks. */
export interface TokenizerLevel {
  /** Channels inside the level. */
  readonly channels: number;
  /** Residual blocks. */
  readonly blocks: number;
  /** Whether an attention block follows each residual block. */
  readonly attention: boolean;
}

/** Sizes of the two networks and of the convolutions between them and the codes. */
export interface AutoencoderConfig {
  /** Channels of a code, Cvae. */
  readonly channels: number;
  /** Channels between a network and the convolution beside it; those of a code by default. */
  readonly latentChannels?: number;
  /** Decoder levels from the finest to the coarsest, or `null` where the file has none. */
  readonly decoder: readonly TokenizerLevel[] | null;
  /** Encoder levels from the finest to the coarsest, or `null` where the file has none. */
  readonly encoder: readonly TokenizerLevel[] | null;
}

const isLevel: SizeCheck = (value) => {
  const { channels, blocks, attention } = (value ?? {}) as Partial<TokenizerLevel>;
  return isSize(channels) && isSize(blocks) && isFlag(attention);
};

/** Levels of a network, or `null`. */
export const isLevels: SizeCheck = (value) => {
  return value === null || (Array.isArray(value) && value.length > 0 && value.every(isLevel));
};

/** How a published tokenizer names its tensors and divides its layers. */
export interface AutoencoderLayout {
  /** Names of the networks' levels, before their number. */
  readonly levels: Readonly<Record<Network, string>>;
  /** Whether levels are numbered in the order in which they are passed; else from the finest. */
  readonly passed: boolean;
  /** Name of a level's residual blocks, before their number. */
  readonly residual: string;
  /** Names of the blocks in the middle: residual, attention, residual. */
  readonly middle: readonly [string, string, string];
  /** Whether one convolution makes queries, keys and values. */
  readonly fused: boolean;
  /** Kernel of the convolutions between the networks and the codes, or `null` without them. */
  readonly quantSide: 1 | 3 | null;
  /** Whether token maps are always square, which the graphs then say. */
  readonly square: boolean;
}

/** Networks with the layout of their tensors. */
export interface Autoencoder extends AutoencoderConfig {
  /** The layout. */
  readonly layout: AutoencoderLayout;
}

/**
 * Name of a level's tensors.
 *
 * @param level Its number, of which 0 is the finest.
 * @param levels How many levels the network has.
 *
 * @example
 * ```ts
 * import { levelName } from "./config.ts";
 * import { FLEXVAR_LAYOUT } from "../flexvar/config.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(levelName(FLEXVAR_LAYOUT, "decoder", { level: 0, levels: 5 }), "decoder.conv_blocks.4");
 * assertEquals(levelName(FLEXVAR_LAYOUT, "encoder", { level: 0, levels: 5 }), "encoder.conv_blocks.0");
 * ```
 */
export function levelName(
  layout: AutoencoderLayout,
  network: Network,
  { level, levels }: { readonly level: number; readonly levels: number },
): string {
  const number = layout.passed && network === "decoder" ? levels - 1 - level : level;
  return `${layout.levels[network]}.${number}`;
}

/**
 * Reads the levels of a network, from the finest to the coarsest.
 *
 * @param network Which of the two.
 * @returns The levels, or `null` if the tensors of this network are not there.
 * @throws {ModelFileError} If a tensor is missing or has an unexpected shape.
 *
 * @example
 * ```ts
 * import { readLevels } from "./config.ts";
 * import { VAR_LAYOUT } from "../var/config.ts";
 * import { WeightSet } from "../weights/weight_set.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const tensors = new Map([["encoder.down.0.block.0.conv2.weight", {
 *   shape: [64, 64, 3, 3],
 *   dtype: "F32",
 * }]]);
 * const set = new WeightSet("tokenizer.pth", tensors);
 * assertEquals(readLevels("encoder", set, VAR_LAYOUT), [{ channels: 64, blocks: 1, attention: false }]);
 * assertEquals(readLevels("decoder", set, VAR_LAYOUT), null);
 * ```
 */
export function readLevels(
  network: Network,
  weights: WeightSet,
  layout: AutoencoderLayout,
): TokenizerLevel[] | null {
  const levels = weights.count((i) => `${layout.levels[network]}.${i}.`);
  if (levels === 0) return null;
  return Array.from({ length: levels }, (_, level) => {
    const name = levelName(layout, network, { level, levels });
    return {
      channels: weights.take(`${name}.${layout.residual}.0.conv2.weight`, [-1, -1, 3, 3])[0]!,
      blocks: weights.count((i) => `${name}.${layout.residual}.${i}.`),
      attention: weights.hasAny(`${name}.attn.`),
    };
  });
}

/** By how much a side of a picture is longer than that of its token map; 0 without networks. */
export function pixelsPerToken({ decoder, encoder }: Pick<AutoencoderConfig, Network>): number {
  const levels = decoder ?? encoder;
  return levels === null ? 0 : 2 ** (levels.length - 1);
}
