/**
 * Tokens of the first scales that a request gives, so that another model, or another day, may have drawn
 * them: checked against the schedule, and laid out for the lanes of a batch.
 *
 * @module
 */

import { mustBe, requireInteger, requireList, shown } from "../kernels/arguments.ts";
import type { Model } from "../models/model.ts";
import type { Schedule } from "../models/schedule.ts";

/** Token maps of one image, coarse to fine: each row-major, the words of a token side by side. */
export type TokenMaps = readonly ArrayLike<number>[];

/** What tokens are given for, unless somebody says otherwise. */
const ACTION = "generate";

/**
 * Tokens that are given to a generation.
 *
 * @example
 * ```ts
 * import { loadModel, resolveRequest } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { given } = resolveRequest(model, { labels: "red torus", tokens: [[[7], [1, 2, 3, 4]]] });
 * assertEquals([given.scales, [...given.of(0, [0])]], [2, [7]]);
 * ```
 */
export class GivenTokens {
  /** Number of scales whose tokens are given. */
  readonly scales: number;
  /** Of each image, or of all. */
  readonly #images: readonly TokenMaps[];

  /**
   * Requests make them.
   *
   * @param images Maps of each image, as many for one as for the other, or of all images once.
   */
  constructor(images: readonly TokenMaps[]) {
    this.#images = images;
    this.scales = images[0]?.length ?? 0;
  }

  /** Tokens of a scale for lanes of these images, one after the other. */
  of(scale: number, images: readonly number[]): Uint32Array<ArrayBuffer> {
    const maps = images.map((image) => (this.#images[image] ?? this.#images[0]!)[scale]!);
    const [{ length }] = maps as [ArrayLike<number>];
    const words = new Uint32Array(maps.length * length);
    for (const [i, map] of maps.entries()) words.set(map, i * length);
    return words;
  }
}

/**
 * Checks tokens that a request gives.
 *
 * @param tokens As they are given.
 * @param context What they are for; `action` says so in messages.
 * @throws {TypeError} If they are no lists of lists.
 * @throws {RangeError} If there are not as many as images, maps or positions, or one is no token of the
 * model.
 */
export function resolveGivenTokens(
  tokens: readonly TokenMaps[] | undefined,
  { model, schedule, until, images, action = ACTION }: {
    readonly model: Model;
    readonly schedule: Schedule;
    readonly until: number;
    readonly images: number;
    readonly action?: string;
  },
): GivenTokens {
  if (tokens === undefined) return new GivenTokens([]);
  requireList(tokens, "tokens", action, "a list of token maps for each image");
  if (tokens.length !== images && tokens.length !== 1) {
    throw new RangeError(
      `Cannot ${action} as tokens must hold the maps of each of ${images} images, or of one for all: current number is ${tokens.length}`,
    );
  }
  const checked = tokens.map((maps, image) => {
    requireList(maps, `tokens[${image}]`, action, "a list of token maps");
    if (maps.length > until + 1 || maps.length !== tokens[0]!.length) {
      throw new RangeError(
        `Cannot ${action} as tokens must hold as many maps for each image, at most ${
          until + 1
        }: tokens[${image}] holds ${maps.length}`,
      );
    }
    return Array.from(maps, (map, scale) => requireMap(map, { model, schedule, scale, image, action }));
  });
  return new GivenTokens(checked);
}

function requireMap(
  map: ArrayLike<number>,
  { model, schedule, scale, image, action }: {
    readonly model: Model;
    readonly schedule: Schedule;
    readonly scale: number;
    readonly image: number;
    readonly action: string;
  },
): Uint32Array<ArrayBuffer> {
  const { tokens } = model;
  const name = `tokens[${image}][${scale}]`;
  if (typeof map !== "object" || map === null || typeof map.length !== "number") {
    throw new TypeError(mustBe("a list of tokens", map, name, action));
  }
  const { width, height } = schedule.scales[scale]!;
  const wanted = width * height * tokens.words;
  if (map.length !== wanted) {
    throw new RangeError(
      `Cannot ${action} as ${name} must hold ${wanted} numbers for ${width}×${height} tokens: current number is ${
        shown(map.length)
      }`,
    );
  }
  return Uint32Array.from(map, (token, i) => {
    const max = largestWord(model, i % tokens.words);
    return requireInteger(token, `${name}[${i}]`, action, { min: 0, max });
  });
}

/** The largest value of a word of a token: the last code, or all of its bits. */
function largestWord({ tokens: { codebook, logits, words } }: Model, word: number): number {
  if (codebook !== undefined) return codebook.vocabulary - 1;
  // Of a token of bits, each has two logits.
  const bits = Math.min(32, logits / 2 - 32 * word);
  return words === 0 ? 0 : 2 ** bits - 1;
}
