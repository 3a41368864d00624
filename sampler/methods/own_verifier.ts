/**
 * A function of one's own as a verifier: it sees pictures on the host, where everything else in a search
 * stays on the device. What a network says of them needs none of this.
 *
 * @module
 */

import {
  requireBoolean,
  requireFunction,
  requireInteger,
  requireOptions,
  requireText,
} from "../../kernels/arguments.ts";
import { readWords } from "../../kernels/device/device.ts";
import type { ResolvedLabel } from "../../models/label.ts";
import type { JudgeOptions, Verifier } from "../../models/vision/verifier.ts";
import { RgbaImage } from "../pictures/image.ts";

/** What {@linkcode verifierOf} makes a verifier of. */
export interface OwnVerifierOptions {
  /** Name in records and errors. */
  readonly name: string;
  /**
   * Scores pictures: a number for each, the higher the better.
   *
   * @param images The pictures, which are the function's.
   * @param labels What each of them was painted for.
   */
  readonly score: (
    images: RgbaImage[],
    labels: readonly ResolvedLabel[],
    options: JudgeOptions,
  ) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** Whether it compares a picture with a text, so that its label must have one; false by default. */
  readonly needsPrompt?: boolean;
  /** The shorter edge, in pixels, from which on a larger picture tells it nothing more. */
  readonly smallestEdge?: number;
}

const ACTION = "make a verifier";

/**
 * Makes a verifier of a function. Each time it is asked, its pictures are brought to the host, which takes a
 * readback more than a network on the device would.
 *
 * @throws {TypeError} If an option is of the wrong type or unknown.
 * @throws {RangeError} If `smallestEdge` is no integer >= 1.
 *
 * @example The brighter, the better
 * ```ts
 * import { verifierOf } from "./own_verifier.ts";
 * import { CpuDevice } from "../../kernels/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bright = verifierOf({
 *   name: "bright",
 *   score: (images) => images.map(({ data }) => data.reduce((sum, level) => sum + level, 0)),
 * });
 * using device = new CpuDevice();
 * using array = device.upload(new Uint32Array([0xff000000, 0xff00ff00]));
 * const pictures = { array, count: 2, width: 1, height: 1 };
 * const labels = ["black", "green"].map((name, id) => ({ id, name }));
 * assertEquals(await bright.score(pictures, labels), [255, 510]);
 * ```
 */
export function verifierOf(options: OwnVerifierOptions): Verifier {
  requireOptions(options, ["name", "score", "needsPrompt", "smallestEdge"], ACTION);
  const { name, score, needsPrompt = false, smallestEdge } = options;
  requireText(name, "name", ACTION);
  requireFunction(score, "score", ACTION);
  requireBoolean(needsPrompt, "needsPrompt", ACTION);
  if (smallestEdge !== undefined) requireInteger(smallestEdge, "smallestEdge", ACTION, { min: 1 });
  return {
    name,
    needsPrompt,
    ...smallestEdge === undefined ? {} : { smallestEdge },
    async score({ array, count, width, height }, labels, judging = {}) {
      const { buffer } = await readWords(array);
      const bytes = 4 * width * height;
      const images = Array.from({ length: count }, (_, i) => {
        return new RgbaImage(width, height, new Uint8ClampedArray(buffer, i * bytes, bytes));
      });
      judging.signal?.throwIfAborted();
      return await score(images, labels, judging);
    },
  };
}
