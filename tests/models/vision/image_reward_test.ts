import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { HubError } from "../../../models/hub/mod.ts";
import type { ResolvedLabel } from "../../../models/label.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  ImageReward,
  type ImageRewardConfig,
  imageRewardFlops,
  imageRewardTensors,
  inferImageReward,
} from "../../../models/vision/image_reward.ts";
import { IMAGE_REWARD } from "../../../models/vision/networks.ts";
import { bertTensors } from "../../../models/vision/bert_graph.ts";
import { loadVerifier } from "../../../models/vision/load.ts";
import { visionTransformerTensors } from "../../../models/vision/vision_transformer.ts";
import { elementsOf, type ModelTensor } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { testOnDevices } from "../../devices.ts";
import { pictures, pytorchFile, stored } from "./formula.ts";

const FOLDER = new URL("../../fixtures/vision/", import.meta.url);
const VOCABULARY = new URL("bert_vocab.txt", FOLDER);
const TEXTS: readonly string[] = JSON.parse(
  await Deno.readTextFile(new URL("bert_tokens.json", FOLDER)),
).texts;
/** Tokens in the vocabulary, and the two that BLIP adds. */
const ROWS = (await Deno.readTextFile(VOCABULARY)).trim().split("\n").length + 2;

/** As in `tests/fixtures/vision/image_reward.py`. */
const SMALL: ImageRewardConfig = {
  vision: {
    prefix: "blip.visual_encoder.",
    layers: 2,
    width: 192,
    heads: 3,
    hidden: 96,
    activation: "gelu",
    epsilon: 1e-6,
    joined: true,
    layerScale: false,
    patch: 16,
    grid: 14,
    classToken: true,
    registers: 0,
    patchBias: true,
    firstNorm: false,
  },
  text: {
    prefix: "blip.text_encoder.",
    layers: 2,
    width: 128,
    heads: 2,
    hidden: 80,
    vocabulary: ROWS,
    positions: 64,
    memoryWidth: 192,
  },
  head: [128, 32, 16, 8, 4, 1],
};
const PUBLISHED: ImageRewardConfig = {
  vision: { ...SMALL.vision, layers: 24, width: 1024, heads: 16, hidden: 4096 },
  text: {
    ...SMALL.text,
    layers: 12,
    width: 768,
    heads: 12,
    hidden: 3072,
    vocabulary: 30524,
    positions: 512,
    memoryWidth: 1024,
  },
  head: [768, 1024, 128, 64, 16, 1],
};

/** What the published file holds beside. */
const BESIDE: readonly ModelTensor[] = [
  { name: "blip.text_encoder.embeddings.position_ids", shape: [1, 64] },
  { name: "blip.vision_proj.weight", shape: [256, 192] },
  { name: "blip.vision_proj.bias", shape: [256] },
  { name: "blip.text_proj.weight", shape: [256, 128] },
  { name: "blip.text_proj.bias", shape: [256] },
];

function texts(...prompts: string[]): ResolvedLabel[] {
  return prompts.map((prompt) => ({ id: null, name: prompt, prompt }));
}

/**
 * What f32 may be off. Hidden states, about 1 by their norm, are off by 1e-5 of that after 24 products in a
 * row of at most 197 terms (14 roundings of 2^-24 each, added up: 2e-5); of 128 of them the head, whose
 * layers together have a length of about 1, makes one score.
 */
const TOLERANCE = 2e-5;

testOnDevices("ImageReward: scores are the recorded ones, whatever is judged beside", async (device) => {
  await using file = await pytorchFile(stored([...imageRewardTensors(SMALL), ...BESIDE]));
  const files = { weights: file.path, tokenizer: VOCABULARY };
  await using network = await IMAGE_REWARD.open(device, files) as ImageReward;
  assertEquals([network.needsPrompt, network.smallestEdge], [true, 224]);
  using recorded = await openCheckpoint(new URL("image_reward.safetensors", FOLDER));
  const wanted = await recorded.readFloat32("scores");
  using small = pictures(device, "pictures", { count: 3, width: 64, height: 64 });
  using wide = pictures(device, "pictures", { count: 2, width: 331, height: 250 });
  const { readbacks } = device.counters;
  using first = await network.score(small, texts(...TEXTS.slice(0, 3)));
  using second = await network.score(wide, texts(...TEXTS.slice(3, 5)));
  assertEquals(device.counters.readbacks, readbacks);
  const found = [...(await readFloats(first)).slice(0, 3), ...(await readFloats(second)).slice(0, 2)];
  const difference = maxDifference(found, wanted);
  assert(difference <= TOLERANCE, `${difference} off: ${found} instead of ${wanted}`);

  using third = await network.score(
    { ...small, array: device.view(small.array, 2 * 64 * 64, 64 * 64), count: 1 },
    texts(TEXTS[2]!),
  );
  const alone = Math.abs((await readFloats(third))[0]! - wanted[2]!);
  assert(alone <= TOLERANCE, `${alone} off alone`);
});

testOnDevices("ImageReward: a class is judged by a template, or refused", async (device) => {
  await using file = await pytorchFile(stored(imageRewardTensors(SMALL)));
  const files = { weights: file.path, tokenizer: VOCABULARY };
  await using network = await ImageReward.open(device, files, { template: "a {label}" });
  using shown = pictures(device, "pictures", { count: 2, width: 64, height: 64 });
  using array = await network.score(shown, [{ id: 3, name: "red cone" }, ...texts("a red cone")]);
  using both = await network.score(shown, texts("a red cone", "a red cone"));
  assertEquals(await readFloats(array), await readFloats(both));
  await assertRejects(
    async () => await network.score(shown, texts("a fox")),
    RangeError,
    "Cannot judge pictures as the number of labels must be 2: current value is 1",
  );
  await assertRejects(
    async () => await network.score(shown, [...texts("a fox"), { id: null, name: "null class" }]),
    RangeError,
    'Cannot judge pictures of "null class" as the verifier "image-reward" needs a text',
  );
});

Deno.test("ImageReward: its name loads it, with a vocabulary beside it or the hub's tokenizer", async () => {
  using device = new CpuDevice();
  await using file = await pytorchFile(stored(imageRewardTensors(SMALL)));
  const folder = await Deno.makeTempDir();
  await Deno.copyFile(file.path, `${folder}/ImageReward.pt`);
  const load = () => {
    return loadVerifier(`image-reward:${folder}`, {
      device,
      hub: { offline: true, cacheFolder: `${folder}/cache` },
    });
  };
  const error = await assertRejects(load, HubError);
  assertStringIncludes(error.message, "google-bert/bert-base-uncased");
  assertStringIncludes(error.message, "tokenizer.json");
  await Deno.copyFile(VOCABULARY, `${folder}/vocab.txt`);
  {
    await using network = await load();
    assertEquals([network.name, network.fingerprint?.length], ["image-reward", 64]);
    using shown = pictures(device, "pictures", { count: 1, width: 64, height: 64 });
    using scores = await network.score(shown, texts(TEXTS[0]!)) as DeviceArray;
    using recorded = await openCheckpoint(new URL("image_reward.safetensors", FOLDER));
    const difference = (await readFloats(scores))[0]! - (await recorded.readFloat32("scores"))[0]!;
    assert(Math.abs(difference) <= TOLERANCE, `${difference} off`);
  }
  await Deno.remove(folder, { recursive: true });
});

function setOf(
  config: ImageRewardConfig,
  changes: Readonly<Record<string, readonly number[]>> = {},
): WeightSet {
  const tensors = imageRewardTensors(config).map(
    ({ name, shape }): [string, { shape: readonly number[]; dtype: string }] => {
      return [name, { shape: changes[name] ?? shape, dtype: "F32" }];
    },
  );
  return new WeightSet("ImageReward.pt", new Map(tensors));
}

Deno.test("imageRewardTensors: the published network has 303.3, 142.0 and 0.93 million parameters", () => {
  const { vision, text } = PUBLISHED;
  const [eyes, reader] = [visionTransformerTensors(vision), bertTensors(text)].map(elementsOf) as [
    number,
    number,
  ];
  assertEquals([eyes, reader].map((count) => (count / 1e6).toFixed(1)), ["303.3", "142.0"]);
  assertEquals(elementsOf(imageRewardTensors(PUBLISHED)) - eyes - reader, 927_969);
});

Deno.test("imageRewardFlops: a picture takes 138 GFLOP", () => {
  assertEquals((imageRewardFlops(PUBLISHED) / 1e9).toFixed(0), "138");
});

Deno.test("inferImageReward: sizes are read from the tensors, and what does not fit is named", () => {
  assertEquals(inferImageReward(setOf(PUBLISHED)), PUBLISHED);
  assertThrows(
    () => inferImageReward(setOf(PUBLISHED, { "mlp.layers.4.weight": [64, 127] })),
    ModelFileError,
    "mlp.layers.4.weight (expected [any, 128], found [64, 127])",
  );
});

Deno.test("ImageReward: files of something else are refused, and nothing is left", async () => {
  using device = new CpuDevice();
  const tensors = imageRewardTensors(SMALL);
  const open = async (changed: readonly ModelTensor[], tokenizer: string | URL | Uint8Array = VOCABULARY) => {
    await using file = await pytorchFile(stored(changed));
    return await ImageReward.open(device, { weights: file.path, tokenizer });
  };
  await assertRejects(() => open(tensors.slice(9)), ModelFileError, "Cannot find an ImageReward");
  await assertRejects(
    () => open([...tensors, { name: "blip.text_decoder.bias", shape: [3] }]),
    ModelFileError,
    '"blip.text_decoder.bias"',
  );
  await assertRejects(
    () => open(tensors.filter(({ name }) => name !== "mlp.layers.6.bias")),
    ModelFileError,
    "mlp.layers.6.bias",
  );
  const more = new TextEncoder().encode(await Deno.readTextFile(VOCABULARY) + "one\ntwo\nthree\n");
  await assertRejects(() => open(tensors, more), ModelFileError, `ids below ${ROWS}`);
  await assertRejects(
    () => open(tensors, new Uint8Array([0xff])),
    ModelFileError,
    "Cannot use the vocabulary",
  );
  assertEquals(device.counters.liveArrays, 0);
});
