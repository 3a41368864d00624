/**
 * What metrics ask of a network: named outputs, a row of numbers for each picture. How a network is found and
 * opened is left to the files beside this one, what is made of the rows to `metrics/`.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import type { JudgeOptions, Pictures } from "../../models/mod.ts";
import type { Rows } from "../metrics/rows.ts";

/**
 * What a network can say of a picture. `features`: the vector that distances of distributions are taken of.
 * `logits`: a number for each class, of which a softmax makes probabilities, and of which the largest names
 * the class. `spatial`: the features of places, for sFID, of one map flattened.
 */
export type MetricOutput = "features" | "logits" | "spatial";

/** A network that gives pictures the numbers that metrics are made of. Disposing it unloads it. */
export interface MetricNetwork extends AsyncDisposable {
  /** Name in records, tables and errors: `"inception-fid"`. */
  readonly name: string;
  /**
   * What tells its numbers from those of any other: files, and how pictures are prepared. Rows and reference
   * statistics are compared only where both have the same.
   */
  readonly fingerprint: string;
  /** Where its pictures must lie; without it, on the host: on a CPU device. */
  readonly device?: Device;
  /** What it can say. */
  readonly outputs: readonly MetricOutput[];
  /** Floating-point operations for a picture, two for each product that is added, where they are known. */
  readonly flops?: number;
  /** Names of the classes that its logits are about, in their order, where they are known. */
  readonly classes?: readonly string[];
  /**
   * Looks at pictures, in batches of its own.
   *
   * @param pictures Pictures on the network's device, all of one size.
   * @param wanted Some of {@linkcode MetricNetwork.outputs}; others cost nothing where the network allows it.
   * @returns Rows on the host, one for each picture, of what was wanted.
   * @throws {RangeError} If something is wanted that it cannot say.
   */
  look(
    pictures: Pictures,
    wanted: readonly MetricOutput[],
    options?: JudgeOptions,
  ): Promise<Readonly<Partial<Record<MetricOutput, Rows>>>>;
}
