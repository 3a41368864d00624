/**
 * The sides of VAR's token maps, as the tensors tell them: by the buffers that say which token is of which
 * scale, which many files are without, or by the numbers of tokens and scales.
 *
 * @module
 */

import type { PartWeights } from "../family.ts";
import { ModelFileError } from "../model_file_error.ts";

/** Patch numbers of the published models by number of tokens. */
export const PUBLISHED_PATCH_NUMBERS: Readonly<Record<number, readonly number[]>> = {
  680: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  2240: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
};

/** The scale of each token. */
const LEVELS = "lvl_1L";
/** What each token may look at: 0, or minus infinity for tokens of later scales. */
const MASK = "attn_bias_for_masking";
/** Sides that are tried before the list counts as not to be told. */
const MAX_TRIES = 100_000;

/** Tokens of all scales. */
export function tokensOf(patchNumbers: readonly number[]): number {
  return patchNumbers.reduce((sum, side) => sum + side * side, 0);
}

/** Whether maps begin with one token, as the transformer's first position says, and never become smaller. */
export function areInOrder(patchNumbers: readonly number[]): boolean {
  return patchNumbers.every((side, i) => i === 0 ? side === 1 : side >= patchNumbers[i - 1]!);
}

/**
 * Sides of the token maps.
 *
 * @param transformer The transformer's tensors. Without the buffers the sides are those of a published model,
 * or the only increasing ones of so many tokens on so many scales.
 * @param counts How many tokens and scales it has.
 * @throws {ModelFileError} If a buffer describes no maps, or nothing tells the sides.
 */
export async function readPatchNumbers(
  { set, readFloat32 }: PartWeights,
  { tokens, scales }: { readonly tokens: number; readonly scales: number },
): Promise<readonly number[]> {
  if (set.has(LEVELS)) return patchNumbersOfLevels(await readFloat32(LEVELS), set.file);
  const published = PUBLISHED_PATCH_NUMBERS[tokens];
  if (published?.length === scales) return published;
  if (set.has(MASK)) return patchNumbersOfMask(await readFloat32(MASK), { tokens, file: set.file });
  const found = increasingSides(tokens, scales);
  if (found.length === 1) return found[0]!;
  throw new ModelFileError("Cannot tell the patch numbers", {
    file: set.file,
    tensor: set.fullName(LEVELS),
    expected: `the scale of each of the ${tokens} tokens, or the mask ${MASK}`,
    found: `none, and ${found.length === 0 ? "no" : "more than one"} list of ${scales} sides has so many`,
  });
}

/**
 * Sides of the token maps from the scale of each token (the buffer `lvl_1L`).
 *
 * @throws {ModelFileError} If the tokens do not lie scale by scale, or do not make square maps in order.
 */
export function patchNumbersOfLevels(scales: ArrayLike<number>, file: string): number[] {
  const counts: number[] = [];
  for (let i = 0; i < scales.length; i++) {
    const scale = scales[i]!;
    if (scale !== counts.length && scale !== counts.length - 1) {
      throw notMaps(LEVELS, `scale ${scale} of token ${i}, after ${counts.length} scales`, file);
    }
    counts[scale] = (counts[scale] ?? 0) + 1;
  }
  return sidesOf(counts, LEVELS, file);
}

/** The same from the mask, in which a token sees all tokens up to the last one of its own scale. */
function patchNumbersOfMask(
  mask: Float32Array,
  { tokens, file }: { readonly tokens: number; readonly file: string },
): number[] {
  if (mask.length !== tokens * tokens) throw notMaps(MASK, `${mask.length} values`, file);
  const counts: number[] = [];
  for (let first = 0; first < tokens;) {
    const row = mask.subarray(first * tokens, (first + 1) * tokens);
    const hidden = row.findIndex((value) => value !== 0);
    const end = hidden < 0 ? tokens : hidden;
    if (end <= first) throw notMaps(MASK, `token ${first}, which does not see itself`, file);
    counts.push(end - first);
    first = end;
  }
  return sidesOf(counts, MASK, file);
}

function sidesOf(counts: readonly number[], tensor: string, file: string): number[] {
  const sides = counts.map(Math.sqrt);
  if (sides.length > 0 && sides.every(Number.isInteger) && areInOrder(sides)) return sides;
  throw notMaps(tensor, counts.slice(0, 32).join(", "), file);
}

function notMaps(tensor: string, found: string, file: string): ModelFileError {
  return new ModelFileError("Cannot read the patch numbers", {
    file,
    tensor,
    expected: "tokens scale by scale, a square number on each, 1 on the first, and never fewer than before",
    found,
  });
}

/** Lists of increasing sides from 1 on with so many tokens: none, the only one, or two of them. */
function increasingSides(tokens: number, scales: number): number[][] {
  const found: number[][] = [];
  let tries = 0;
  const visit = (sides: readonly number[], rest: number): void => {
    const left = scales - sides.length;
    if (left <= 0) {
      if (rest === 0 && left === 0) found.push([...sides]);
      return;
    }
    for (let side = sides.at(-1)! + 1; left * side * side <= rest; side++) {
      if (found.length > 1 || ++tries > MAX_TRIES) return;
      visit([...sides, side], rest - side * side);
    }
  };
  visit([1], tokens - 1);
  // What has not been tried may have as many.
  return tries > MAX_TRIES && found.length < 2 ? [] : found;
}
