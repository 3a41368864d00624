/**
 * A network for metrics from a function that looks at pictures: what all have in common is checked here, so
 * that a network of one's own is a few lines.
 *
 * @module
 */

import { mustBe, requireFunction, requireInteger, requireObject } from "../../kernels/arguments.ts";
import type { Device } from "../../kernels/device/device.ts";
import { Work } from "../../models/graphs/work.ts";
import type { JudgeOptions, Pictures } from "../../models/mod.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork, MetricOutput } from "./metric_network.ts";

/** What {@linkcode metricNetworkOf} makes a network of. */
export interface OwnNetwork
  extends Pick<MetricNetwork, "name" | "fingerprint" | "outputs" | "flops" | "classes"> {
  /** Where its pictures must lie. */
  readonly device: Device;
  /** Looks at pictures; it is given at least one picture and one output, and only outputs that it has. */
  look(
    pictures: Pictures,
    wanted: readonly MetricOutput[],
    options: JudgeOptions,
  ): Promise<Readonly<Partial<Record<MetricOutput, Rows>>>>;
  /** Unloads it. */
  dispose?(): void | PromiseLike<void>;
}

/**
 * A network for metrics. What is asked of it is checked, and disposing it waits for what it is at.
 *
 * @throws {TypeError} If it has no outputs or no function that looks.
 *
 * @example
 * ```ts
 * import { metricNetworkOf } from "./own_network.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { readWords } from "../../kernels/device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * await using red = metricNetworkOf({
 *   name: "red",
 *   fingerprint: "red 1",
 *   outputs: ["features"],
 *   device,
 *   async look({ array, count }) {
 *     const levels = (await readWords(array)).map((pixel) => pixel & 255);
 *     return { features: { values: Float32Array.from(levels), count, dimensions: levels.length / count } };
 *   },
 * });
 * using array = device.upload(new Uint32Array([0xff0000ff, 0xff000007]));
 * const { features } = await red.look({ array, count: 2, width: 1, height: 1 }, ["features"]);
 * assertEquals([...features!.values], [255, 7]);
 * ```
 */
export function metricNetworkOf(own: OwnNetwork): MetricNetwork {
  const action = "make a network for metrics";
  const { name, fingerprint, outputs, flops, classes, device } = requireObject(own, "the network", action);
  requireFunction(own.look, "look", action);
  if (outputs.length === 0) throw new TypeError(mustBe("at least one output", outputs, "outputs", action));
  const work = new Work(name);
  return {
    name,
    fingerprint,
    outputs,
    device,
    ...flops === undefined ? {} : { flops },
    ...classes === undefined ? {} : { classes },
    async look(pictures, wanted, options = {}) {
      requireInteger(pictures.count, "the number of pictures", "look at pictures", { min: 1 });
      requireWanted(own, wanted);
      return await work.run("look at pictures", async () => {
        options.signal?.throwIfAborted();
        return await own.look(pictures, wanted, options);
      });
    },
    async [Symbol.asyncDispose]() {
      await work.end();
      await own.dispose?.();
    },
  };
}

/**
 * Checks that a network has what is wanted of it.
 *
 * @throws {RangeError} If it has not, or nothing is wanted.
 */
export function requireWanted(
  { name, outputs }: Pick<MetricNetwork, "name" | "outputs">,
  wanted: readonly MetricOutput[],
): void {
  const known = outputs.map((output) => `"${output}"`).join(" or ");
  if (wanted.length === 0) {
    throw new RangeError(mustBe(known, "nothing", `what is wanted of "${name}"`, "look at pictures"));
  }
  const odd = wanted.find((output) => !outputs.includes(output));
  if (odd === undefined) return;
  throw new RangeError(mustBe(known, odd, `what is wanted of "${name}"`, "look at pictures"));
}

/** Columns `first` to `first + dimensions - 1` of rows that are `width` numbers long. */
export function columnsOf(
  values: Float32Array,
  { count, width, first, dimensions }: Readonly<Record<"count" | "width" | "first" | "dimensions", number>>,
): Rows {
  const part = new Float32Array(count * dimensions);
  for (let i = 0; i < count; i++) {
    part.set(values.subarray(i * width + first, i * width + first + dimensions), i * dimensions);
  }
  return { values: part, count, dimensions };
}
