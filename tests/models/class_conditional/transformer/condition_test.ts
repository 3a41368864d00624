/**
 * Conditions of classes: evaluated once, kept within a budget, put together in any order, also for batches at
 * the same time.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Device, type DeviceArray, readFloats } from "../../../../kernels/device/device.ts";
import type { ModelFolder } from "../../../../models/folder/model_folder.ts";
import { createGraphSession } from "../../../../models/graphs/create_session.ts";
import type { GraphSession } from "../../../../models/graphs/graph_session.ts";
import {
  type ConditionBudget,
  ConditionCache,
  conditionWords,
} from "../../../../models/class_conditional/transformer/condition.ts";
import type { TransformerConfig } from "../../../../models/class_conditional/transformer/config.ts";
import { openModelSource } from "../../../../models/convert.ts";
import type { WeightFiles } from "../../../../models/weights/weight_files.ts";
import { testOnDevices } from "../../../devices.ts";
import { goldenCheckpoints, maxDifference } from "../../../fixtures/golden/golden.ts";

/** Rows do not know of each other; only the order of the same sums may differ with their number. */
const TOLERANCE = 1e-5;

/** A cache, and how many tensors it has read. */
interface Observed extends AsyncDisposable {
  readonly cache: ConditionCache;
  readonly config: TransformerConfig;
  reads: number;
  /** What reading fails with, if it shall. */
  failure: Error | undefined;
}

async function openCache(
  device: Device,
  budget?: (config: TransformerConfig) => ConditionBudget,
  name: "var-adaln" | "var-shared-adaln" = "var-adaln",
): Promise<Observed> {
  await using stack = new AsyncDisposableStack();
  const folder: ModelFolder = stack.use(await openModelSource(goldenCheckpoints(name)));
  const config = folder.manifest.config as TransformerConfig;
  const weights = stack.use(await folder.weights("transformer"));
  const session: GraphSession = stack.use(
    await createGraphSession(device, await folder.read("condition.onnx"), { externalFiles: weights.files }),
  );
  const state: Pick<Observed, "reads" | "failure"> = { reads: 0, failure: undefined };
  const counted = Object.create(weights, {
    readFloat32: {
      value: (tensor: string) => {
        state.reads++;
        if (state.failure !== undefined) return Promise.reject(state.failure);
        return weights.readFloat32(tensor);
      },
    },
  }) as WeightFiles;
  const parts = { device, config, session, weights: counted };
  const cache = stack.use(
    await ConditionCache.create(budget === undefined ? parts : { ...parts, budget: budget(config) }, {}),
  );
  const owned = stack.move();
  return Object.assign(state, { cache, config, [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

/** Room for three classes and for no projection. */
function tight(config: TransformerConfig): ConditionBudget {
  return { classes: 3 * conditionWords(config) * 4, projections: 0 };
}

/** All arrays of a condition, row by row, and frees them. */
async function rowsOf(condition: Record<string, DeviceArray>, rows: number): Promise<Float32Array[]> {
  const names = Object.keys(condition).sort();
  const values = await Promise.all(names.map((name) => readFloats(condition[name]!)));
  for (const array of Object.values(condition)) array[Symbol.dispose]();
  return Array.from({ length: rows }, (_, row) => {
    return Float32Array.from(values.flatMap((array) => {
      const stride = array.length / rows;
      return [...array.subarray(row * stride, (row + 1) * stride)];
    }));
  });
}

/** Each class on its own. */
async function conditionsOf(device: Device): Promise<Float32Array[]> {
  await using observed = await openCache(device);
  const classes = Array.from({ length: observed.config.classes + 1 }, (_, i) => i);
  const found: Float32Array[] = [];
  for (const label of classes) found.push(...await rowsOf(await observed.cache.condition([label]), 1));
  return found;
}

async function requireConditions(
  cache: ConditionCache,
  labels: readonly number[],
  wanted: readonly Float32Array[],
): Promise<void> {
  const rows = await rowsOf(await cache.condition(labels), labels.length);
  for (const [i, label] of labels.entries()) {
    const difference = maxDifference(rows[i]!, wanted[label]!);
    assert(difference <= TOLERANCE, `row ${i} of ${labels}: ${difference}`);
  }
}

testOnDevices(
  "ConditionCache: each label has the rows of its class, whatever was asked for before",
  async (device) => {
    const wanted = await conditionsOf(device);
    assert(maxDifference(wanted[1]!, wanted[2]!) > 0.01, "the classes make a difference");
    await using observed = await openCache(device, tight);
    const { cache } = observed;
    for (
      const labels of [[1, 10], [1, 10], [2, 10], [3, 3, 10], [1], [0, 1, 2, 3, 4, 0], [9, 9, 0], [5, 4, 3]]
    ) {
      await requireConditions(cache, labels, wanted);
    }
  },
);

testOnDevices(
  "ConditionCache: a class is evaluated when it is first asked for, and again when it was dropped",
  async (device) => {
    await using observed = await openCache(device, tight);
    // Weight and bias of each of the two blocks.
    const pass = 2 * observed.config.depth;
    const reads = async (labels: readonly number[]): Promise<number> => {
      const before = observed.reads;
      await rowsOf(await observed.cache.condition(labels), labels.length);
      return (observed.reads - before) / pass;
    };
    assertEquals(await reads([1, 10]), 1);
    assertEquals(await reads([10, 1, 1]), 0);
    assertEquals(await reads([2, 10]), 1);
    // There is room for 1, 2 and 10; class 1 was asked for the longest ago.
    assertEquals(await reads([3, 10]), 1);
    assertEquals(await reads([2, 10]), 0);
    assertEquals(await reads([1, 10]), 1);
    assertEquals(await reads([2]), 0);
    assertEquals(await reads([3]), 1);
    // All five of a batch fit from then on.
    assertEquals(await reads([1, 2, 3, 4, 5]), 1);
    assertEquals(await reads([5, 4, 3, 2, 1, 1]), 0);
  },
);

testOnDevices(
  "ConditionCache: projections that are kept are read when the model is loaded",
  async (device) => {
    await using observed = await openCache(device);
    assertEquals(observed.reads, 2 * observed.config.depth);
    for (const label of [1, 2, 3]) await rowsOf(await observed.cache.condition([label]), 1);
    assertEquals(observed.reads, 2 * observed.config.depth);
  },
);

testOnDevices(
  "ConditionCache: batches that are asked for at the same time do not disturb each other",
  async (device) => {
    const wanted = await conditionsOf(device);
    await using observed = await openCache(device, tight);
    const batches = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [2, 9, 10], [0, 10], [1, 2, 3, 4]];
    await Promise.all(batches.map((labels) => requireConditions(observed.cache, labels, wanted)));
  },
);

testOnDevices("ConditionCache: a failure leaves nothing behind that is wrong", async (device) => {
  const wanted = await conditionsOf(device);
  await using observed = await openCache(device, tight);
  const { cache } = observed;
  await requireConditions(cache, [1, 2, 3], wanted);
  observed.failure = new Error("The disk is gone");
  const { liveArrays } = device.counters;
  await assertRejects(() => cache.condition([4, 5]), Error, "The disk is gone");
  assertEquals(device.counters.liveArrays, liveArrays);
  observed.failure = undefined;
  await requireConditions(cache, [1, 4, 5], wanted);
  await requireConditions(cache, [2, 3], wanted);
});

testOnDevices(
  "ConditionCache: a shared projection is part of the graph and nothing is read",
  async (device) => {
    await using observed = await openCache(device, tight, "var-shared-adaln");
    const [first, again] = [
      await rowsOf(await observed.cache.condition([1, 2]), 2),
      await rowsOf(await observed.cache.condition([2, 1]), 2),
    ];
    assertEquals(again, [first[1]!, first[0]!]);
    assertEquals(observed.reads, 0);
  },
);

testOnDevices("conditionWords: all of it is free when it is disposed", async (device) => {
  for (const budget of [tight, undefined]) {
    await (await openCache(device, budget))[Symbol.asyncDispose]();
    const { liveArrays } = device.counters;
    {
      await using observed = await openCache(device, budget);
      await rowsOf(await observed.cache.condition([1, 2, 3, 4]), 4);
      assert(device.counters.liveArrays > liveArrays);
    }
    assertEquals(device.counters.liveArrays, liveArrays);
  }
});
