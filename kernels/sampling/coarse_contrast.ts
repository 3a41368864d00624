/**
 * Logits of a map beside those of the coarser map before it: the coarse ones are resized to the finer map,
 * with all that a coarse map can hold kept, and the logits are moved away from them. Which maps, how
 * strongly, and what is remembered of a map is left to who guides.
 *
 * @module
 */

import { mustBe, requireInteger, requireNumber, requireObject } from "../arguments.ts";
import { requireLength } from "../device/array_checks.ts";
import { floats, words } from "../device/cpu_device.ts";
import { type Device, type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { MIXED_VALUES, type MixingRoom, mixingRoom, mixRows } from "../pairs/pairs.ts";
import {
  canonical,
  floatsOf,
  guideRow,
  isPlain,
  LOGIT_WGSL,
  requireLogits,
  type RowScratch,
  rowScratch,
} from "./logit.ts";
import wgsl from "./coarse_contrast.wgsl" with { type: "text" };

/** Width and height of a map of positions. */
export interface PositionMap {
  /** Positions in a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
}

/** How the logits of a coarse map become those expected of a finer one, on a device. */
export interface PriorTable extends Disposable {
  /** The coarse map. */
  readonly from: PositionMap;
  /** The finer one. */
  readonly to: PositionMap;
  /** What {@linkcode priorWeights} gives. */
  readonly array: DeviceArray;
}

/** Arguments of {@linkcode coarseContrast}. */
export interface CoarseContrastArguments {
  /** Logits of the coarse map, f32 [lanes, positions of `table.from`, vocabulary]. */
  coarse: DeviceArray;
  /** Logits of the finer map, f32 [lanes, positions of `table.to`, vocabulary], which are changed. */
  logits: DeviceArray;
  /** How the ones become an expectation of the others. */
  table: PriorTable;
  /** Number of maps. */
  lanes: number;
  /** Logits of a position. */
  vocabulary: number;
  /** Weight β in `logits + β · (logits - prior)`, from -2^32 to 2^32. */
  weight: number;
}

const ACTION = "contrast logits with those of a coarser map";

/** Threads of a workgroup, as in the shader. */
const THREADS = 64;
/** Mirrored groups of positions that a thread makes, as in the shader. */
const QUADS = 4;
/** Tokens that the twin makes together, at most. */
const LARGEST_TILE = 512;
/** Longest side of a map, and its most mirrored groups: a table beyond would be beyond any use. */
const MAX_SIDE = 256;
const MAX_GROUPS = 2048;
/** What makes compilers round a product, as they do not know it. */
const ALL_BITS = 0xffffffff;
const INFINITE_BITS = 0x7f800000;
const NAN_BITS = 0x7fc00000;
/** Weights are multiples of this, so that no product of halves leaves the normal range of f32. */
const UNIT = 2 ** -26;

const { cos, fround, PI } = Math;

/** Rows of a matrix. */
type Matrix = readonly Float64Array[];

/** Bilinear interpolation of `from` values at the middles of `to` equal stretches. */
function bilinear(from: number, to: number): Matrix {
  return Array.from({ length: to }, (_, y) => {
    const row = new Float64Array(from);
    const center = Math.max(0, (y + 0.5) * from / to - 0.5);
    const low = Math.min(Math.floor(center), from - 1);
    const high = Math.min(low + 1, from - 1);
    row[low]! += 1 - (center - low);
    row[high]! += center - low;
    return row;
  });
}

/** The lowest vectors of the cosine transform at the middles of `length` stretches, a row each. */
function cosines(length: number, kept: number): Matrix {
  return Array.from({ length: kept }, (_, k) => {
    return Float64Array.from({ length }, (_, i) => cos(PI * k * (2 * i + 1) / (2 * length)));
  });
}

/**
 * A sum of `kept` cosines for each value to come: their shares, taken from rows of what they were found in.
 */
function sumOfCosines(to: number, rows: Matrix, shareOf: number): Matrix {
  const basis = cosines(to, rows.length);
  const columns = rows[0]!.length;
  return Array.from({ length: to }, (_, y) => {
    return Float64Array.from({ length: columns }, (_, i) => {
      return rows.reduce((sum, row, k) => sum + (k === 0 ? 1 : 2) * basis[k]![y]! * row[i]!, 0) / shareOf;
    });
  });
}

/** Along one axis: bilinear, the low band transformed to the new length, and the low band of the bilinear. */
function axisOperators(from: number, to: number): readonly [Matrix, Matrix, Matrix] {
  const kept = Math.min(from, to);
  const resized = bilinear(from, to);
  const found = cosines(to, kept).map((row) => {
    return Float64Array.from({ length: from }, (_, i) => {
      return row.reduce((sum, value, y) => sum + value * resized[y]![i]!, 0);
    });
  });
  return [resized, sumOfCosines(to, cosines(from, kept), from), sumOfCosines(to, found, to)];
}

/** What a matrix makes of even inputs and of odd ones, for its first half of rows and of columns. */
function folded(matrix: Matrix): readonly [Matrix, Matrix] {
  const columns = matrix[0]!.length;
  const half = (sign: 1 | -1): Matrix => {
    return matrix.slice(0, Math.ceil(matrix.length / 2)).map((row) => {
      return Float64Array.from({ length: Math.ceil(columns / 2) }, (_, i) => {
        const mirrored = columns - 1 - i;
        // The middle one is its own mirror image, and comes twice when inputs are folded.
        if (mirrored === i) return sign === 1 ? row[i]! / 2 : 0;
        return (row[i]! + sign * row[mirrored]!) / 2;
      });
    });
  };
  return [half(1), half(-1)];
}

/**
 * How a map of `from` becomes one of `to`: bilinear interpolation in which the lowest frequencies, as many as
 * the smaller of the maps has, are those of the coarse map itself. With I bilinear, Z the coarse map's cosine
 * transform followed by the inverse of the new length (scaled by new over old length, which keeps means), and
 * L the projection on the lowest cosines: `I⊗I + Z⊗Z - LI⊗LI`, one linear map.
 *
 * That map takes mirror images to mirror images, so it falls into four of half the height and width each,
 * for maps that are even or odd along each axis, and a quarter of the products does. (For 13×13 to 16×16 they
 * are 10 816 a token; rows and columns one after the other would take 12 064, and two passes.) Weights are
 * rounded to multiples of 2^-26, and to f32.
 *
 * @returns f32 [quads, groups, 4]: the up to four mirror images of a position of the new map, by rows from
 * its first corner; those of the old one; and the columns even or odd, and the rows: even even, even odd, odd
 * even, odd odd.
 * @throws {TypeError} If a map is none.
 * @throws {RangeError} If a side is no integer from 1 to 256.
 *
 * @example
 * ```ts
 * import { priorWeights } from "./coarse_contrast.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A single position is all that is known of any map; folded, it comes four times.
 * const weights = priorWeights({ width: 1, height: 1 }, { width: 2, height: 2 });
 * assertEquals([...weights], [0.25, 0, 0, 0]);
 * ```
 */
export function priorWeights(from: PositionMap, to: PositionMap): Float32Array<ArrayBuffer> {
  const action = "compute the weights of a prior";
  requireMap(from, "from", action);
  requireMap(to, "to", action);
  const down = axisOperators(from.height, to.height).map(folded);
  const across = axisOperators(from.width, to.width).map(folded);
  const [rows, columns] = [Math.ceil(from.height / 2), Math.ceil(from.width / 2)];
  const [quadRows, quadColumns] = [Math.ceil(to.height / 2), Math.ceil(to.width / 2)];
  const weights = new Float32Array(quadRows * quadColumns * rows * columns * 4);
  let at = 0;
  for (let y = 0; y < quadRows; y++) {
    for (let x = 0; x < quadColumns; x++) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          for (const vertical of [0, 1] as const) {
            for (const horizontal of [0, 1] as const) {
              const part = (k: number): number => {
                return down[k]![vertical][y]![i]! * across[k]![horizontal][x]![j]!;
              };
              weights[at++] = Math.round((part(0) + part(1) - part(2)) / UNIT) * UNIT;
            }
          }
        }
      }
    }
  }
  return weights;
}

function requireMap(map: PositionMap, name: string, action: string): void {
  requireObject(map, name, action, "a width and a height");
  requireInteger(map.width, `${name}.width`, action, { min: 1, max: MAX_SIDE });
  requireInteger(map.height, `${name}.height`, action, { min: 1, max: MAX_SIDE });
  if (quadsOf(map) <= MAX_GROUPS) return;
  const wanted = `a map of at most ${4 * MAX_GROUPS} positions`;
  throw new RangeError(mustBe(wanted, `${map.width}x${map.height}`, name, action));
}

/**
 * Puts {@linkcode priorWeights} on a device.
 *
 * @throws {TypeError} If a map is none.
 * @throws {RangeError} If a side is no integer from 1 to 256.
 *
 * @example
 * ```ts
 * import { coarseContrast, createPriorTable } from "./coarse_contrast.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using table = createPriorTable(device, { width: 1, height: 1 }, { width: 2, height: 1 });
 * using coarse = device.upload(new Float32Array([1]));
 * using logits = device.upload(new Float32Array([3, 0]));
 * device.run(coarseContrast, { coarse, logits, table, lanes: 1, vocabulary: 1, weight: 0.5 });
 * assertEquals([...await readFloats(logits)], [4, -0.5]);
 * ```
 */
export function createPriorTable(device: Device, from: PositionMap, to: PositionMap): PriorTable {
  const weights = priorWeights(from, to);
  const array = device.upload(weights, `prior of ${to.width}x${to.height} by ${from.width}x${from.height}`);
  return { from, to, array, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/**
 * Moves logits away from what the coarser map before them said: `logits + weight · (logits - prior)`, where
 * the prior is the coarse map resized as {@linkcode priorWeights} says, each token by itself. In place, with
 * the same bits on every device.
 *
 * - The prior is right to within `(groups + 8) · 2^-22` of the largest size among a token's coarse logits,
 *   with `groups` a quarter of the coarse positions, rounded up along each axis.
 * - A logit below 2^-64 in size counts as 0, a finite one beyond 2^90 as 2^90, before and after.
 * - A token that has a NaN or an infinity anywhere in its coarse map has no prior in that lane, and keeps its
 *   logits. A NaN or an infinity in the finer map stays what it is.
 *
 * @throws {TypeError} From `plan`, if an argument has the wrong type.
 * @throws {RangeError} From `plan`, if an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { coarseContrast, createPriorTable } from "./coarse_contrast.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * // A map of the same size is what is expected; two tokens at two positions.
 * using table = createPriorTable(device, { width: 2, height: 1 }, { width: 2, height: 1 });
 * using coarse = device.upload(new Float32Array([0, 1, 0, -1]));
 * using logits = device.upload(new Float32Array([0, 2, 0, -1]));
 * device.run(coarseContrast, { coarse, logits, table, lanes: 1, vocabulary: 2, weight: 1 });
 * assertEquals([...await readFloats(logits)], [0, 3, 0, -1]);
 * ```
 */
export const coarseContrast: Kernel<CoarseContrastArguments> = {
  name: "coarse_contrast",
  wgsl: LOGIT_WGSL + wgsl,
  plan(args) {
    const { coarse, logits, table: { from, to, array }, lanes, vocabulary } = args;
    const weight = requireArguments(args);
    const quads = quadsOf(to);
    const blocks = Math.ceil(quads / QUADS);
    const count = lanes * blocks * vocabulary;
    return {
      arrays: [coarse, array, logits],
      parameters: [
        ["u32", count],
        ["u32", vocabulary],
        ["u32", blocks],
        ["u32", quads],
        ["u32", from.width],
        ["u32", from.height],
        ["u32", to.width],
        ["u32", to.height],
        ["f32", weight],
        ["u32", ALL_BITS],
      ],
      workgroups: spread(Math.ceil(count / THREADS)),
    };
  },
  twin(args) {
    const { table, lanes, vocabulary } = args;
    const weight = requireArguments(args);
    const contrast = new Contrast(table, vocabulary);
    const [coarse, logits] = [words(args.coarse), words(args.logits)];
    const before = table.from.width * table.from.height * vocabulary;
    const after = table.to.width * table.to.height * vocabulary;
    for (let lane = 0; lane < lanes; lane++) {
      const source = coarse.subarray(lane * before, (lane + 1) * before);
      const target = logits.subarray(lane * after, (lane + 1) * after);
      contrast.run(source, target, vocabulary, weight);
    }
  },
};

/** Checks the arguments, and returns the weight as it will be used. */
function requireArguments(
  { coarse, logits, table: { from, to, array }, lanes, vocabulary, weight }: CoarseContrastArguments,
): number {
  const positions = to.width * to.height;
  const used = requireLogits({ logits, images: lanes, positions, vocabulary }, ACTION);
  requireLength(coarse, lanes * from.width * from.height * vocabulary, ACTION);
  requireLength(array, 4 * quadsOf(to) * quadsOf(from), ACTION);
  requireNumber(weight, "weight", ACTION, { min: -(2 ** 32), max: 2 ** 32 });
  return Math.abs(weight) < 2 ** -64 ? used : fround(weight);
}

function quadsOf({ width, height }: PositionMap): number {
  return Math.ceil(width / 2) * Math.ceil(height / 2);
}

/** Tokens that the twin makes together, of how many. */
interface TokenTile {
  readonly first: number;
  readonly length: number;
  readonly vocabulary: number;
}

/**
 * The twin at work on one map after the other. Inner loops take nothing apart, which costs twice the time.
 */
class Contrast {
  readonly #from: PositionMap;
  readonly #to: PositionMap;
  readonly #groups: number;
  /** The weights, [quads, groups, 4]. */
  readonly #weights: Float32Array;
  /** Folded logits, [groups, 4, TILE], weights of a quad, and its sums, [4, TILE]. */
  readonly #room: MixingRoom = mixingRoom();
  /** Tokens that are made together. */
  readonly #pitch: number;
  /** Whether a token of the tile has no prior. */
  readonly #odd: Uint8Array;
  /** Values of four mirror images, [4, pitch]. */
  readonly #corners: RowScratch;
  /** Where a guided row goes. */
  readonly #row: RowScratch;

  constructor({ from, to, array }: PriorTable, vocabulary: number) {
    this.#from = from;
    this.#to = to;
    this.#groups = quadsOf(from);
    this.#weights = floats(array);
    const most = Math.min(LARGEST_TILE, Math.floor(MIXED_VALUES / (4 * this.#groups)));
    this.#pitch = Math.min(Math.floor(most / 8) * 8, Math.ceil(vocabulary / 8) * 8);
    this.#odd = new Uint8Array(this.#pitch);
    this.#corners = rowScratch(4 * this.#pitch);
    this.#row = rowScratch(this.#pitch);
  }

  /** Contrasts a map with the coarse one. */
  run(coarse: Uint32Array, logits: Uint32Array, vocabulary: number, weight: number): void {
    for (let first = 0; first < vocabulary; first += this.#pitch) {
      const length = Math.min(this.#pitch, vocabulary - first);
      this.#runTile(coarse, logits, { first, length, vocabulary }, weight);
    }
  }

  #runTile(coarse: Uint32Array, logits: Uint32Array, tile: TokenTile, weight: number): void {
    const pitch = this.#pitch;
    const { weights, sums } = this.#room;
    this.#fold(coarse, tile);
    for (let quad = 0; quad < quadsOf(this.#to); quad++) {
      const begin = 4 * this.#groups * quad;
      weights.set(this.#weights.subarray(begin, begin + 4 * this.#groups));
      mixRows(this.#groups, pitch);
      mirror(sums, this.#corners.f32, pitch);
      this.#forget();
      const corners = cornersOf(this.#to, quad);
      for (const [corner, position] of corners.entries()) {
        // In the middle, mirror images are one position.
        if (corners.indexOf(position) < corner) continue;
        this.#write(logits, { position, corner }, tile, weight);
      }
    }
  }

  /** Folds the coarse map along both axes. */
  #fold(coarse: Uint32Array, { first, length, vocabulary }: TokenTile): void {
    const { f32, u32 } = this.#corners;
    const odd = this.#odd;
    odd.fill(0);
    for (let group = 0; group < this.#groups; group++) {
      for (const [corner, position] of cornersOf(this.#from, group).entries()) {
        const from = position * vocabulary + first;
        const to = corner * this.#pitch;
        const values = floatsOf(coarse, from, length);
        for (let v = 0; v < length; v++) {
          const value = values[v]!;
          f32[to + v] = value;
          if (isPlain(value)) continue;
          const bits = canonical(coarse[from + v]!);
          const isOdd = (bits & 0x7fffffff) >= INFINITE_BITS;
          if (isOdd) odd[v] = 1;
          u32[to + v] = isOdd ? 0 : bits;
        }
      }
      const size = 4 * this.#pitch;
      mirror(f32, this.#room.values.subarray(group * size, (group + 1) * size), this.#pitch);
    }
  }

  /** Takes the prior from tokens that have none. */
  #forget(): void {
    const { u32 } = this.#corners;
    if (!this.#odd.includes(1)) return;
    for (let i = 0; i < u32.length; i++) if (this.#odd[i % this.#pitch] === 1) u32[i] = NAN_BITS;
  }

  /** Moves the logits of a position. */
  #write(
    logits: Uint32Array,
    { position, corner }: { readonly position: number; readonly corner: number },
    { first, length, vocabulary }: TokenTile,
    weight: number,
  ): void {
    const at = position * vocabulary + first;
    const row = length === this.#pitch ? this.#row : rowScratch(length);
    const unconditional = this.#corners.u32;
    guideRow(logits, row, { at, unconditional, unconditionalAt: corner * this.#pitch, weight });
    logits.set(row.u32, at);
  }
}

/** The mirror images of a position of the first quarter, by rows; some are the same in the middle. */
function cornersOf({ width, height }: PositionMap, quad: number): readonly number[] {
  const columns = Math.ceil(width / 2);
  const left = quad % columns;
  const right = width - 1 - left;
  const top = Math.floor(quad / columns);
  const bottom = height - 1 - top;
  return [top * width + left, top * width + right, bottom * width + left, bottom * width + right];
}

/** Twin of `mirrored`, for values [4, pitch]. */
function mirror(values: Float32Array, to: Float32Array, pitch: number): void {
  for (let v = 0; v < pitch; v++) {
    const left = fround(values[v]! + values[pitch + v]!);
    const right = fround(values[v]! - values[pitch + v]!);
    const down = fround(values[2 * pitch + v]! + values[3 * pitch + v]!);
    const downRight = fround(values[2 * pitch + v]! - values[3 * pitch + v]!);
    to[v] = left + down;
    to[pitch + v] = right + downRight;
    to[2 * pitch + v] = left - down;
    to[3 * pitch + v] = right - downRight;
  }
}
