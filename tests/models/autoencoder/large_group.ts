/**
 * A group norm of as many values as large pictures have, held against the same in f64, for tests on every
 * provider.
 *
 * @module
 */

import { type Device, readFloats } from "../../../kernels/device/device.ts";
import type { groupNorm } from "../../../models/autoencoder/group_norm.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { CpuProvider } from "../../../models/graphs/graph_session.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testRandom } from "../../devices.ts";

/** Channels of the group, each of `side` by `side` values: 2^20 and 2^22 of them altogether. */
export const LARGE_GROUPS = [{ channels: 4, side: 512 }, { channels: 16, side: 512 }] as const;
/** Means in deviations. */
export const MEANS = [0, 3, 10] as const;
/**
 * A value beside a mean of 10 deviations is rounded by up to 5e-7 of a deviation, and sums of at most some
 * hundred values in a row add a few times that.
 */
export const NORM_TOLERANCE = 1e-5;

const EPSILON = 1e-6;

/** The greatest error of a value of a group that is made up with a deviation of 1. */
export async function worstError(
  norm: typeof groupNorm,
  device: Device,
  { channels, side }: typeof LARGE_GROUPS[number],
  { mean, cpuProvider }: { readonly mean: number; readonly cpuProvider?: CpuProvider },
): Promise<number> {
  const random = testRandom(26);
  // A sum of three uniform numbers of width 2 has a variance of 3 · 2² / 12.
  const values = Float32Array.from(
    { length: channels * side * side },
    () => mean + 2 * (random() + random() + random() - 1.5),
  );
  const factors = Float32Array.from({ length: channels }, (_, i) => 1 - i / 64);
  const shifts = Float32Array.from({ length: channels }, (_, i) => i / 64);

  const set = new WeightSet(
    "made up",
    new Map(["weight", "bias"].map((part) => [`norm.${part}`, { shape: [channels], dtype: "F32" }])),
  );
  const weights = new GraphWeights("norm", set, (name) => ({
    file: "weights",
    offset: name === "norm.weight" ? 0 : 4 * channels,
    length: 4 * channels,
    type: "float32",
    shape: [channels],
  }));
  const { graph } = weights;
  const shape = ["images", channels, "height", "width"];
  const x = graph.input({ name: "x", type: "float32", shape });
  graph.output(
    { name: "y", type: "float32", shape },
    norm(weights, x, { name: "norm", channels, groups: 1 }),
  );
  const data = new Uint8Array(Float32Array.of(...factors, ...shifts).buffer);
  await using session = await createGraphSession(device, graph.bytes(), {
    externalFiles: [{ path: "weights", data }],
    ...(cpuProvider === undefined ? {} : { cpuProvider }),
  });
  using array = device.upload(values);
  const { y } = await session.run({ x: { array, shape: [1, channels, side, side] } });
  using result = y!;
  const found = await readFloats(result);

  const exactMean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - exactMean) ** 2, 0);
  const deviation = Math.sqrt(squares / values.length + EPSILON);
  return found.reduce((worst, value, i) => {
    const channel = Math.floor(i / (side * side));
    const wanted = (values[i]! - exactMean) / deviation * factors[channel]! + shifts[channel]!;
    return Math.max(worst, Math.abs(value - wanted));
  }, 0);
}
