/**
 * What judges the pictures of the bundled model of texts: a detector that no search has ever seen, by the
 * rules that its description names. The rules are GenEval's and left to `geneval/`.
 *
 * @module
 */

import { DEMO_DETECTOR, type Detector, loadDetector } from "../geneval/detector.ts";
import { judgePictures } from "../geneval/harness.ts";
import type { GenEvalPrompt } from "../geneval/metadata.ts";
import type { Detection } from "../geneval/rules.ts";
import type { PictureGraphOptions, Pixels } from "../networks/picture_graph.ts";

/** What the detector says about a picture. */
export interface CaptionVerdict {
  /** What it has found, the surest first. */
  readonly objects: readonly Detection[];
  /** Whether that is what the caption says. */
  readonly right: boolean;
}

/**
 * The judge of the text-to-image demo: a detector whose objects are held against captions.
 *
 * @example
 * ```ts
 * import { CaptionOracle } from "./caption_oracle.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using oracle = await CaptionOracle.open();
 * const caption = { tag: "single_object", include: [{ class: "cone", count: 1 }], prompt: "a cone" };
 * assertEquals(await oracle.judge([new RgbaImage(64, 64)], [caption]), [{ objects: [], right: false }]);
 * ```
 */
export class CaptionOracle implements AsyncDisposable {
  readonly #detector: Detector;

  private constructor(detector: Detector) {
    this.#detector = detector;
  }

  /** Loads it. */
  static async open(options: PictureGraphOptions = {}): Promise<CaptionOracle> {
    return new CaptionOracle(await loadDetector(DEMO_DETECTOR, options));
  }

  /**
   * Judges pictures by the captions that they were painted from.
   *
   * @throws {RangeError} If a picture has another size, there are not as many captions, or one names what the
   * detector does not know.
   */
  async judge(pictures: readonly Pixels[], captions: readonly GenEvalPrompt[]): Promise<CaptionVerdict[]> {
    const judged = await judgePictures(pictures, captions, { detector: this.#detector });
    return judged.map(({ detections, correct }) => ({ objects: detections, right: correct }));
  }

  /** Unloads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#detector[Symbol.asyncDispose]();
  }
}
