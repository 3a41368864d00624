/** A VAR model between its scales: lanes, guidance, feature maps, the way through the tokenizer and back. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Device, type DeviceArray, readFloats, readWords } from "../../../kernels/device.ts";
import { codebookLookup } from "../../../kernels/lookup.ts";
import { loadModel } from "../../../models/load.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { differenceOf, goldenCheckpoints, maxDifference, openGolden } from "../../fixtures/golden/golden.ts";

/** Rows do not know of each other; only the order of the same sums may differ with their number. A tenth of the golden tolerance. */
const TOLERANCE = 1e-5;

function loadSmall(device: Device): Promise<Model> {
  return loadModel(goldenCheckpoints("var-adaln"), { device });
}

/** Random token maps of every scale, for each of `images`. */
function randomTokens(model: Model, images: number): Uint32Array[][] {
  const random = testRandom(images);
  const { vocabulary } = model.codebook;
  return Array.from({ length: images }, () => {
    return model.patchNumbers.map((side) =>
      Uint32Array.from({ length: side * side }, () => Math.floor(random() * vocabulary))
    );
  });
}

/** The tokens of a scale for the whole batch, on the device. */
function batchOf(device: Device, maps: readonly (readonly Uint32Array[])[], scale: number): DeviceArray {
  return device.upload(Uint32Array.from(maps.flatMap((map) => [...map[scale]!])));
}

/** Runs scales with forced tokens; returns the logits of each. */
async function force(
  generation: Generation,
  maps: readonly (readonly Uint32Array[])[],
  scales: readonly number[],
): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  for (const scale of scales) {
    using logits = await generation.logits();
    using tokens = batchOf(logits.device, maps, scale);
    generation.accept(tokens);
    found.push(await readFloats(logits));
  }
  return found;
}

function requireEqual(found: readonly Float32Array[], wanted: readonly Float32Array[], what: string): void {
  assertEquals(found.length, wanted.length);
  for (const [i, values] of wanted.entries()) {
    const difference = maxDifference(found[i]!, values);
    assert(difference <= TOLERANCE, `${what}, scale ${i}: ${difference}`);
  }
}

for (const guided of [true, false]) {
  const name = guided ? "with guidance" : "without guidance";
  testOnDevices(`lanes that were gathered go on as if they had begun like that, ${name}`, async (device) => {
    await using model = await loadSmall(device);
    const labels = [3, 1, 7];
    const maps = randomTokens(model, labels.length);
    for (const [after, lanes] of [[2, [2, 0, 0]], [1, [1]], [3, [0, 1, 2, 1]]] as const) {
      const scales = [...model.patchNumbers.keys()];
      using generation = await model.start({ labels, guided });
      await force(generation, maps, scales.slice(0, after));
      generation.gather(lanes);
      assertEquals(generation.images, lanes.length);
      const rest = await force(generation, lanes.map((lane) => maps[lane]!), scales.slice(after));

      using fresh = await model.start({ labels: lanes.map((lane) => labels[lane]!), guided });
      const all = await force(fresh, lanes.map((lane) => maps[lane]!), scales);
      requireEqual(rest, all.slice(after), `lanes ${lanes}`);
      const accumulated = await differenceOf(generation.accumulated, await readFloats(fresh.accumulated));
      assert(accumulated <= TOLERANCE, `accumulated: ${accumulated}`);
    }
  });
}

testOnDevices("lanes may be gathered twice, before the first scale and after the last", async (device) => {
  await using model = await loadSmall(device);
  const maps = randomTokens(model, 2);
  const scales = [...model.patchNumbers.keys()];
  using generation = await model.start({ labels: [4, 5], guided: true });
  generation.gather([1, 0]);
  const swapped = [maps[1]!, maps[0]!];
  const found = await force(generation, swapped, scales.slice(0, 2));
  generation.gather([1, 0]);
  found.push(...await force(generation, maps, scales.slice(2)));
  generation.gather([1]);
  using picture = await generation.decode();

  using fresh = await model.start({ labels: [5, 4], guided: true });
  const wanted = await force(fresh, swapped, scales);
  requireEqual(found.slice(0, 2), wanted.slice(0, 2), "swapped");
  fresh.gather([0]);
  using alone = await fresh.decode();
  assertEquals(picture.length, alone.length);
  assert(await differenceOf(picture, await readFloats(alone)) <= TOLERANCE);
});

testOnDevices("with guidance conditional rows come first and unconditional rows follow", async (device) => {
  await using model = await loadSmall(device);
  const labels = [2, 9];
  const maps = randomTokens(model, labels.length);
  const scales = [...model.patchNumbers.keys()];
  const run = async (classes: readonly number[], guided: boolean): Promise<Float32Array[]> => {
    using generation = await model.start({ labels: classes, guided });
    assertEquals([generation.guided, generation.images], [guided, classes.length]);
    return await force(generation, maps, scales);
  };
  const both = await run(labels, true);
  const half = (part: 0 | 1): Float32Array[] => {
    return both.map((values) => values.slice(part * values.length / 2, (part + 1) * values.length / 2));
  };
  const conditional = await run(labels, false);
  requireEqual(half(0), conditional, "conditional");
  requireEqual(half(1), await run([model.classes, model.classes], false), "unconditional");
  assert(maxDifference(conditional[0]!, half(1)[0]!) > 0.01, "the classes make a difference");
});

testOnDevices("feature vectors end a scale just as the tokens they belong to", async (device) => {
  await using model = await loadSmall(device);
  const maps = randomTokens(model, 2);
  using byTokens = await model.start({ labels: [0, 1], guided: true });
  using byFeatures = await model.start({ labels: [0, 1], guided: true });
  const { array: codebook, vocabulary, channels } = model.codebook;
  for (const [scale, side] of model.patchNumbers.entries()) {
    using tokens = batchOf(device, maps, scale);
    byTokens.accept(tokens);
    const positions = side * side;
    using output = device.allocate(2 * channels * positions);
    device.run(codebookLookup, {
      tokens,
      codebook,
      output,
      images: 2,
      positions,
      vocabulary,
      channels,
      layout: "planes",
    });
    byFeatures.acceptFeatures(output);
  }
  assertEquals(await readFloats(byFeatures.accumulated), await readFloats(byTokens.accumulated));
});

testOnDevices("tokens of encoded pictures lead back to the pictures", async (device) => {
  await using model = await loadModel("demo", { device });
  using recorded = await openGolden("demo");
  const images = 2;
  const pixels = (await recorded.readFloat32("image")).slice(0, images * 3 * 64 * 64).map((x) => 2 * x - 1);
  using pictures = device.upload(pixels);
  using encoding = await model.encode(pictures, images);
  assertEquals(
    encoding.tokens.map((map) => map.length),
    model.patchNumbers.map((side) => images * side * side),
  );
  for (const map of encoding.tokens) assert((await readWords(map)).every((token) => token < 512));

  using generation = await model.start({ labels: [0, 0], guided: false });
  for (const map of encoding.tokens) generation.accept(map);
  assertEquals(await readFloats(generation.accumulated), await readFloats(encoding.accumulated));

  using decoded = await generation.decode();
  const found = await readFloats(decoded);
  let squares = 0;
  for (const [i, value] of pixels.entries()) {
    squares += ((Math.max(-1, Math.min(1, found[i]!)) - value) / 2) ** 2;
  }
  // The tokenizer has about 30 dB on pictures it was not trained with.
  const decibels = -10 * Math.log10(squares / pixels.length);
  assert(decibels > 25, `${decibels} dB`);
});

testOnDevices(
  "a model without networks generates features but neither decodes nor encodes",
  async (device) => {
    await using model = await loadModel(goldenCheckpoints("var-shared-adaln"), { device });
    assertEquals(model.imageSize, 0);
    using generation = await model.start({ labels: [0], guided: false });
    await assertRejects(() => generation.decode(), TypeError, 'the model "VAR-d2" has no decoder');
    await assertRejects(() => model.encode(generation.accumulated, 1), TypeError, "has no encoder");
  },
);

testOnDevices("labels, lanes and scales that are none are refused", async (device) => {
  await using model = await loadSmall(device);
  for (const labels of [[], [-1], [11], [0.5], [0, NaN]]) {
    await assertRejects(() => model.start({ labels, guided: true }), RangeError, "Cannot start a generation");
  }
  using generation = await model.start({ labels: [0, model.classes], guided: true });
  for (const lanes of [[], [2], [0, -1], [0.5]]) {
    assertThrows(() => generation.gather(lanes), RangeError, "Cannot gather lanes");
  }
  assertEquals(generation.images, 2);
  const maps = randomTokens(model, 2);
  await force(generation, maps, [...model.patchNumbers.keys()]);
  using tokens = batchOf(device, maps, 0);
  assertThrows(() => generation.accept(tokens), RangeError, "all 4 scales are done");
  await assertRejects(() => generation.logits(), RangeError, "all 4 scales are done");
});

testOnDevices("what a generation or an encoding held is free when it is disposed", async (device) => {
  await using model = await loadSmall(device);
  const maps = randomTokens(model, 2);
  const once = async (): Promise<void> => {
    using generation = await model.start({ labels: [0, 1], guided: true });
    await force(generation, maps, [0, 1]);
    generation.gather([1, 1, 0]);
    await force(generation, [maps[1]!, maps[1]!, maps[0]!], [2, 3]);
    using picture = await generation.decode();
    using encoding = await model.encode(picture, 3);
    assertEquals(encoding.tokens.length, 4);
    // One that ends in the middle.
    using unfinished = await model.start({ labels: [0], guided: false });
    await force(unfinished, maps.slice(0, 1), [0]);
  };
  // The first loads the encoder and fills the runtime's pool of buffers.
  await once();
  const before = device.counters;
  await once();
  const { liveArrays, liveBytes } = device.counters;
  assertEquals({ liveArrays, liveBytes }, { liveArrays: before.liveArrays, liveBytes: before.liveBytes });
});
