import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphWeights } from "../../../models/graphs/graph_weights.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  type BertConfig,
  bertEncoder,
  bertFlops,
  bertTensors,
  inferBert,
} from "../../../models/vision/bert_graph.ts";
import { elementsOf } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { testOnDevices } from "../../devices.ts";
import { uniform, weightFiles } from "./formula.ts";

const RECORDED = new URL("../../fixtures/vision/image_reward.safetensors", import.meta.url);
/** Of ImageReward. */
const PUBLISHED: BertConfig = {
  prefix: "",
  layers: 12,
  width: 768,
  heads: 12,
  hidden: 3072,
  vocabulary: 30524,
  positions: 512,
  memoryWidth: 1024,
};
/** As in `tests/fixtures/vision/image_reward.py`. */
const SMALL: BertConfig = {
  prefix: "small.",
  layers: 2,
  width: 24,
  heads: 3,
  hidden: 40,
  vocabulary: 50,
  positions: 12,
  memoryWidth: 32,
};
const IDS = [[2, 7, 33, 12, 9, 3, 0], [2, 3, 0, 0, 0, 0, 0], [2, 41, 41, 49, 8, 11, 3]];
const LENGTHS = [6, 2, 7];
/**
 * What f32 may be off, in units of the largest value. Two layers have six products each in a row, of at most
 * 40 terms, whose roundings of 2^-24 add up like their root: 12 times 7 roundings are 5e-6.
 */
const TOLERANCE = 5e-6;

/** Hidden states of the three texts, each beside its picture. */
async function hiddenOf(device: Device): Promise<Float32Array> {
  using files = await weightFiles(bertTensors(SMALL));
  const weights = new GraphWeights("bert", new WeightSet("small", files.tensors), files.places);
  const { graph } = weights;
  const hidden = bertEncoder(
    weights,
    {
      ids: graph.input({ name: "ids", type: "int64", shape: ["texts", 7] }),
      bias: graph.input({ name: "bias", type: "float32", shape: ["texts", 1, 7, 7] }),
      memory: graph.input({ name: "memory", type: "float32", shape: ["texts", 5, 32] }),
    },
    SMALL,
    { text: 7, memory: 5 },
  );
  graph.output({ name: "hidden", type: "float32", shape: ["texts", 7, 24] }, hidden);
  await using session = await createGraphSession(device, graph.bytes(), { externalFiles: files.files });
  const bias = LENGTHS.flatMap((length) => {
    return Array.from({ length: 49 }, (_, i) => i % 7 < length ? 0 : -10_000);
  });
  using biases = device.upload(new Float32Array(bias));
  using memory = device.upload(uniform("memory", [3, 5, 32]).map((value) => value * 4));
  const found = await session.run({
    ids: { array: IDS.flat(), shape: [3, 7] },
    bias: { array: biases, shape: [3, 1, 7, 7] },
    memory: { array: memory, shape: [3, 5, 32] },
  });
  using array = found.hidden!;
  return (await readFloats(array)).slice(0, 3 * 7 * 24);
}

testOnDevices("bertEncoder: hidden states are the recorded ones, those of padding apart", async (device) => {
  using recorded = await openCheckpoint(RECORDED);
  const wanted = await recorded.readFloat32("hidden");
  const found = await hiddenOf(device);
  const kept = (values: Float32Array): number[] => {
    return LENGTHS.flatMap((length, i) => [...values.subarray(i * 7 * 24, (i * 7 + length) * 24)]);
  };
  const largest = Math.max(...kept(wanted).map(Math.abs));
  const difference = maxDifference(kept(found), kept(wanted)) / largest;
  assert(difference <= TOLERANCE, `${difference} of the largest value`);
});

function setOf(config: BertConfig, changes: Readonly<Record<string, readonly number[]>> = {}): WeightSet {
  const tensors = bertTensors(config).map(
    ({ name, shape }): [string, { shape: readonly number[]; dtype: string }] => {
      return [name, { shape: changes[name] ?? shape, dtype: "F32" }];
    },
  );
  return new WeightSet("bert.pth", new Map(tensors));
}

Deno.test("inferBert: sizes are read from the tensors, with heads of 64 channels or others", () => {
  assertEquals(inferBert(setOf(PUBLISHED)), PUBLISHED);
  assertEquals(inferBert(setOf(SMALL), { prefix: "small.", headWidth: 8 }), SMALL);
  assertThrows(
    () => inferBert(setOf(SMALL), { prefix: "small." }),
    ModelFileError,
    "expected a width that is a multiple of 64, found 24",
  );
  const name = "encoder.layer.0.crossattention.self.key.weight";
  assertThrows(
    () => inferBert(setOf(PUBLISHED, { [name]: [1024, 1024] })),
    ModelFileError,
    `${name} (expected [768, any], found [1024, 1024])`,
  );
});

Deno.test("bertTensors: the published encoder has 142 million parameters", () => {
  // Counted layer by layer: 4 and 4 projections, two feed-forward ones, three norms.
  const square = 768 * 768 + 768;
  const wide = 1024 * 768 + 768;
  const layer = 4 * square + 2 * square + 2 * wide + 2 * 768 * 3072 + 3072 + 768 + 3 * 2 * 768;
  assertEquals(elementsOf(bertTensors(PUBLISHED)), 12 * layer + (30524 + 512 + 2) * 768);
  assertEquals((elementsOf(bertTensors(PUBLISHED)) / 1e6).toFixed(1), "142.0");
});

Deno.test("bertFlops: every product counts twice", () => {
  const config = { ...SMALL, layers: 1, width: 4, heads: 1, hidden: 5, memoryWidth: 3 };
  // Projections of the text, keys and values of the picture, scores and mixtures, feed-forward.
  const products = 6 * 2 * 4 * 4 + 2 * 7 * 3 * 4 + 2 * 2 * (2 + 7) * 4 + 2 * 2 * 4 * 5;
  assertEquals(bertFlops(config, { text: 2, memory: 7 }), 2 * products);
});
