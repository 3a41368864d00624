/**
 * A decoder as a sequence of stages, one convolution each, cut where a norm has to know the whole map: what
 * each of them does, and how many rows of a map are held in one array. Building their graphs is left to
 * `stage_graph.ts`, running them to `tiled_decoder.ts`.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { MapSize } from "../schedule.ts";
import { type Autoencoder, levelName, type TokenizerLevel } from "./config.ts";

/** What happens between two norms. */
export interface DecoderStage {
  /** Name of the convolution, of 3 by 3. */
  readonly convolution: string;
  /** Name of the norm before it, which an activation follows; without one, the map goes in as it is. */
  readonly norm?: string;
  /** Channels that come in. */
  readonly inputs: number;
  /** Channels that go out. */
  readonly outputs: number;
  /** Whether the map is doubled before the convolution. */
  readonly enlarges: boolean;
  /**
   * What becomes of the map that comes in, beside: it is kept for a sum, as it is or by the convolution of 1
   * by 1 of this name.
   */
  readonly keeps?: true | string;
  /** Whether what was kept is added to the result. */
  readonly adds: boolean;
  /** Whether a norm follows, which has to know the moments of the result. */
  readonly measures: boolean;
  /** Most channels of a map of the result's size, until the next enlargement. */
  readonly most: number;
}

/** Whether a decoder has stages: one without attention and without a convolution before it. */
export function decodesByStrips({ decoder, layout }: Autoencoder): boolean {
  return decoder !== null && layout.quantSide === null && !decoder.some(({ attention }) => attention);
}

/**
 * Lists the stages of a decoder.
 *
 * @throws {TypeError} If it has none, or attends to all positions at once.
 */
export function decoderStages(autoencoder: Autoencoder): DecoderStage[] {
  const { layout, channels, latentChannels = channels, decoder } = autoencoder;
  const coarsest = decoder?.at(-1);
  if (decoder === null || coarsest === undefined || decoder.some(({ attention }) => attention)) {
    throw new TypeError(
      "Cannot decode by strips as the network must have a decoder without attention: " +
        (coarsest === undefined ? "it has none" : "it attends to all positions"),
    );
  }
  if (layout.quantSide !== null) {
    throw new TypeError(
      "Cannot decode by strips as there must be no convolution before the decoder: there is one",
    );
  }
  const stages: DecoderStage[] = [];
  const plain = { enlarges: false, adds: false, measures: true } as const;
  const { channels: width } = coarsest;
  stages.push({
    ...plain,
    convolution: "decoder.conv_in",
    inputs: latentChannels,
    outputs: width,
    most: width,
  });
  for (const name of [layout.middle[0], layout.middle[2]]) {
    stages.push(...residualStages(`decoder.${name}`, { inputs: width, outputs: width, most: width }));
  }
  let inputs = width;
  for (const [i, level] of [...decoder.entries()].reverse()) {
    const name = levelName(layout, "decoder", { level: i, levels: decoder.length });
    const most = Math.max(inputs, level.channels);
    stages.push(...levelStages(`${name}.${layout.residual}`, inputs, { ...level, most }));
    inputs = level.channels;
    if (i === 0) break;
    // What is enlarged is not normalised.
    stages.push({ ...stages.pop()!, measures: false });
    const next = Math.max(inputs, decoder[i - 1]!.channels);
    const convolution = `${name}.upsample.conv`;
    stages.push({ ...plain, convolution, inputs, outputs: inputs, enlarges: true, most: next });
  }
  stages.push({
    ...plain,
    convolution: "decoder.conv_out",
    norm: "decoder.norm_out",
    inputs,
    outputs: 3,
    measures: false,
    most: inputs,
  });
  return stages;
}

type Widths = Pick<DecoderStage, "inputs" | "outputs" | "most">;

function levelStages(
  name: string,
  inputs: number,
  { channels, blocks, most }: TokenizerLevel & Pick<DecoderStage, "most">,
): DecoderStage[] {
  return Array.from({ length: blocks }, (_, i) => {
    return residualStages(`${name}.${i}`, { inputs: i === 0 ? inputs : channels, outputs: channels, most });
  }).flat();
}

function residualStages(name: string, { inputs, outputs, most }: Widths): DecoderStage[] {
  const plain = { enlarges: false, measures: true, outputs, most } as const;
  return [
    {
      ...plain,
      convolution: `${name}.conv1`,
      norm: `${name}.norm1`,
      inputs,
      keeps: inputs === outputs ? true : `${name}.nin_shortcut`,
      adds: false,
    },
    { ...plain, convolution: `${name}.conv2`, norm: `${name}.norm2`, inputs: outputs, adds: true },
  ];
}

/** Rows of a neighbour that a convolution sees on both sides. */
const NEIGHBOURS = 2;

/**
 * How many rows of the result of a stage are made at once, so that no array exceeds `bytes`; at least one, or
 * two of a map that is enlarged. `width` is that of the result.
 */
export function rowsWithin({ most, enlarges }: DecoderStage, width: number, bytes: number): number {
  const fitting = Math.floor(bytes / (4 * most * width)) - NEIGHBOURS;
  return enlarges ? Math.max(2, fitting - fitting % 2) : Math.max(1, fitting);
}

/** Bytes of an array of as many rows with their neighbours. */
export function stripBytes({ most }: DecoderStage, width: number, rows: number): number {
  return 4 * most * width * (rows + NEIGHBOURS);
}

/** Divides rows as evenly as whole numbers allow, into stretches of at most `most`. */
export function divideRows(rows: number, most: number): [begin: number, end: number][] {
  const count = Math.ceil(rows / most);
  return Array.from({ length: count }, (_, i) => {
    return [Math.floor(i * rows / count), Math.floor((i + 1) * rows / count)];
  });
}

/** What decoding an image by strips takes. */
export interface TiledMemory {
  /** Bytes of the largest array. */
  readonly largestArray: number;
  /** Bytes of the picture, the only array that grows with the number of images. */
  readonly picture: number;
  /** Bytes of all arrays that are alive at once, at the most. */
  readonly bytes: number;
}

/**
 * Arrays of a strip's size that a stage has in use at once, and as many that the runtime's pool keeps.
 */
const LIVE_STRIPS = 12;
/** Bytes that a strip has, unless its rows are larger or a device admits less. */
export const STRIP_BYTES: number = 32 * 2 ** 20;

/**
 * Tells the largest array and the memory of {@linkcode decoderStages} run by strips.
 *
 * @param autoencoder Its sizes.
 * @param map Size of the token map.
 * @param bytes What an array may have, as far as a row allows; {@linkcode STRIP_BYTES} by default.
 *
 * @example The published decoder at 1024 by 1024 pixels, whose largest map has 1 GiB
 * ```ts
 * import { tiledMemory } from "./decoder_stages.ts";
 * import { INFINITY_LAYOUT } from "../infinity/layout.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const decoder = [128, 256, 512, 512, 512].map((channels) => ({ channels, blocks: 3, attention: false }));
 * const sizes = { layout: INFINITY_LAYOUT, channels: 32, decoder, encoder: null };
 * const { largestArray } = tiledMemory(sizes, { width: 64, height: 64 });
 * assertEquals(largestArray, 32 * 2 ** 20);
 * ```
 */
export function tiledMemory(
  autoencoder: Autoencoder,
  { width, height }: MapSize,
  bytes: number = STRIP_BYTES,
): TiledMemory {
  const { channels, latentChannels = channels } = autoencoder;
  // The features come in one piece.
  let strip = 4 * latentChannels * width * (height + NEIGHBOURS);
  let most = 0;
  let kept = 0;
  let factor = 1;
  for (const stage of decoderStages(autoencoder)) {
    if (stage.enlarges) factor *= 2;
    const [columns, rows] = [width * factor, height * factor];
    const held = Math.min(rows, rowsWithin(stage, columns, bytes));
    strip = Math.max(strip, stripBytes(stage, columns, held));
    const { inputs, outputs, keeps, adds, enlarges } = stage;
    const words = (channels: number): number => channels * rows * columns;
    if (keeps !== undefined) kept = words(keeps === true ? inputs : outputs);
    const before = enlarges ? words(inputs) / 4 : words(inputs);
    most = Math.max(most, 4 * peakWords({ before, after: words(outputs), kept, adds, keeps }));
    if (adds) kept = 0;
  }
  const picture = 4 * 3 * width * height * factor ** 2;
  return { largestArray: Math.max(strip, picture), picture, bytes: most + LIVE_STRIPS * strip + picture };
}

/** Words of whole maps at the most while a stage runs, which gives up its map strip by strip if it can. */
function peakWords(
  { before, after, kept, adds, keeps }: {
    readonly before: number;
    readonly after: number;
    readonly kept: number;
    readonly adds: boolean;
    readonly keeps: DecoderStage["keeps"];
  },
): number {
  if (keeps === true) return before + after;
  return Math.max(before + (adds ? kept : 0), after + (adds ? 0 : kept));
}

/**
 * Checks what a caller says that an array of a strip may have.
 *
 * @throws {RangeError} If it is no positive number.
 */
export function requireStripBytes(bytes: number): void {
  if (bytes > 0) return;
  throw new RangeError(mustBe("a number > 0", bytes, "the bytes of a strip", "decode by strips"));
}
