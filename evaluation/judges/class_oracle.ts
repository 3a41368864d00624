/**
 * What judges the pictures of the bundled model of classes: a network that no search has ever seen. How sure
 * averages are is left to `statistics/`.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { DescribedImage } from "../../models/vision/network_description.ts";
import { PictureGraph, type PictureGraphOptions, type Pixels } from "../networks/picture_graph.ts";

/** Side of the pictures that it knows. */
const SIDE = 64;
/** Pictures that run together. */
const BATCH = 64;

/** What the oracle of classes says about a picture. */
export interface ClassVerdict {
  /** The class that it sees, of 64. */
  readonly label: number;
  /** Natural logarithm of the probability that it gives the wanted class. */
  readonly logProbability: number;
  /** Whether it sees the wanted class. */
  readonly right: boolean;
}

/**
 * The judge of the class-conditional demo. It runs on the CPU unless another device is given, so that a
 * verdict does not depend on the device that painted.
 *
 * @example
 * ```ts
 * import { ClassOracle } from "./class_oracle.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assert } from "@std/assert";
 *
 * await using oracle = await ClassOracle.open();
 * const [verdict] = await oracle.judge([new RgbaImage(64, 64)], [13]);
 * assert(verdict!.logProbability < 0);
 * ```
 */
export class ClassOracle implements AsyncDisposable {
  readonly #graph: PictureGraph;

  private constructor(graph: PictureGraph) {
    this.#graph = graph;
  }

  /** Loads it. */
  static async open(options: PictureGraphOptions = {}): Promise<ClassOracle> {
    const place = new URL("./demo_oracle.onnx", import.meta.url);
    const image: DescribedImage = {
      input: "image",
      size: { width: SIDE, height: SIDE },
      resize: "none",
      fit: "squash",
      mean: [0, 0, 0],
      std: [1, 1, 1],
    };
    const parts = { model: await Deno.readFile(place), file: place.href, image, batch: BATCH };
    return new ClassOracle(await PictureGraph.open(parts, options));
  }

  /**
   * Judges pictures by the classes that they should be of.
   *
   * @throws {RangeError} If a picture has another size, or there are not as many labels or no such class.
   */
  async judge(pictures: readonly Pixels[], labels: readonly number[]): Promise<ClassVerdict[]> {
    if (labels.length !== pictures.length) {
      throw new RangeError(
        mustBe(`one for each of ${pictures.length}`, labels.length, "labels", "judge pictures"),
      );
    }
    const verdicts: ClassVerdict[] = [];
    for await (const { count, outputs: { logits } } of this.#graph.look(pictures, ["logits"])) {
      const classes = logits.length / count;
      for (let i = 0; i < count; i++) {
        verdicts.push(verdictOn(logits.subarray(i * classes, (i + 1) * classes), labels[verdicts.length]!));
      }
    }
    return verdicts;
  }

  /** Unloads it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#graph[Symbol.asyncDispose]();
  }
}

function verdictOn(logits: Float32Array, wanted: number): ClassVerdict {
  const logit = logits[wanted];
  if (logit === undefined) {
    const range = `an integer from 0 to ${logits.length - 1}`;
    throw new RangeError(mustBe(range, wanted, "each label", "judge pictures"));
  }
  const most = Math.max(...logits);
  const total = logits.reduce((sum, other) => sum + Math.exp(other - most), 0);
  const label = logits.indexOf(most);
  return { label, logProbability: logit - most - Math.log(total), right: label === wanted };
}
