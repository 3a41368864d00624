/** A VAR model between its scales: lanes, guidance, feature maps, the way through the tokenizer and back. */

import { classNamesOf } from "../../../models/label.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Device, type DeviceArray, readFloats, readWords } from "../../../kernels/device/device.ts";
import { sha256 } from "../../../models/checkpoint/source.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { DEMO_MODEL, loadModel } from "../../../models/load.ts";
import type { ResolvedLabel } from "../../../models/label.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { assertSameAlone } from "../class_conditional/alone.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { randomCheckpoints } from "../../sampler/models.ts";
import { differenceOf, goldenCheckpoints, maxDifference, openGolden } from "../../fixtures/golden/golden.ts";

/**
 * Rows do not know of each other; only the order of the same sums may differ with their number. A tenth of
 * the golden tolerance.
 */
const TOLERANCE = 1e-5;

function loadSmall(device: Device): Promise<Model> {
  return loadModel(goldenCheckpoints("var-adaln"), { device });
}

/** Labels of classes; `null` is the null class. */
function classesOf(ids: readonly (number | null)[]): ResolvedLabel[] {
  return ids.map((id) => ({ id, name: String(id) }));
}

/** Random token maps of every scale, for each of `images`. */
function randomTokens(model: Model, images: number): Uint32Array[][] {
  const random = testRandom(images);
  const { logits: vocabulary } = model.tokens;
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

testOnDevices(
  "Model: an image alone is to the bit what it is in a batch, with weights of every type",
  async (device) => {
    await assertSameAlone(device);
  },
);

testOnDevices(
  "Model: keys and values as halves change logits by no more than their rounding",
  async (device) => {
    await using whole = await loadSmall(device);
    await using halves = await loadModel(goldenCheckpoints("var-adaln"), { device, cacheDtype: "f16" });
    assertEquals([whole.cacheDtype, halves.cacheDtype], ["f32", "f16"]);
    const labels = classesOf([3, 1, 7]);
    const maps = randomTokens(whole, labels.length);
    const scales = [...whole.patchNumbers.keys()];
    const run = async (model: Model, lanes: readonly number[]): Promise<Float32Array[]> => {
      using generation = await model.start({ labels: lanes.map((lane) => labels[lane]!), guided: true });
      return await force(generation, lanes.map((lane) => maps[lane]!), scales);
    };
    const wanted = await run(whole, [0, 1, 2]);
    const found = await run(halves, [0, 1, 2]);
    // Of the scale at hand nothing is kept yet.
    assertEquals(found[0], wanted[0]);
    const alone = await run(halves, [1]);
    for (const scale of scales.slice(1)) {
      const values = wanted[scale]!;
      const off = found[scale]!.map((value, i) => value - values[i]!);
      const rms = (numbers: Float32Array): number => {
        return Math.sqrt(numbers.reduce((sum, one) => sum + one ** 2, 0) / numbers.length);
      };
      assert(rms(off) > 0 && rms(off) < 1e-3 * rms(values), `scale ${scale}: ${rms(off)} of ${rms(values)}`);
      // Guided rows of three images, and of the second one alone.
      const row = values.length / 6;
      const conditional = found[scale]!.subarray(row, 2 * row);
      assertEquals(alone[scale]!.subarray(0, row), conditional, `scale ${scale}`);
    }
  },
);

testOnDevices("Model: a folder with the graph of an earlier version goes on as it did", async (device) => {
  const path = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(DEMO_MODEL)) {
      await Deno.copyFile(new URL(name, DEMO_MODEL), `${path}/${name}`);
    }
    // It gave all keys and values; nothing else of it is read.
    const graph = new GraphBuilder("transformer");
    const features = graph.input({ name: "features", type: "float32", shape: ["rows"] });
    graph.output({ name: "present_key.0", type: "float32", shape: ["rows"] }, features);
    const bytes = graph.bytes();
    const manifest = JSON.parse(await Deno.readTextFile(`${path}/model.json`));
    manifest.files["transformer.onnx"] = { bytes: bytes.length, sha256: await sha256(bytes) };
    await Deno.writeTextFile(`${path}/model.json`, JSON.stringify(manifest));
    await Deno.writeFile(`${path}/transformer.onnx`, bytes);
    await using today = await loadModel("demo", { device });
    await using earlier = await loadModel(path, { device });
    const maps = randomTokens(today, 1);
    const run = async (model: Model): Promise<Float32Array[]> => {
      using generation = await model.start({ labels: classesOf([3]), guided: true });
      return await force(generation, maps, [0, 1, 2]);
    };
    assertEquals(await run(earlier), await run(today));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

for (const guided of [true, false]) {
  const name = guided ? "with guidance" : "without guidance";
  testOnDevices(
    `Model: lanes that were gathered go on as if they had begun like that, ${name}`,
    async (device) => {
      await using model = await loadSmall(device);
      const labels = [3, 1, 7];
      const maps = randomTokens(model, labels.length);
      for (const [after, lanes] of [[2, [2, 0, 0]], [1, [1]], [3, [0, 1, 2, 1]]] as const) {
        const scales = [...model.patchNumbers.keys()];
        using generation = await model.start({ labels: classesOf(labels), guided });
        await force(generation, maps, scales.slice(0, after));
        generation.gather(lanes);
        assertEquals(generation.images, lanes.length);
        const rest = await force(generation, lanes.map((lane) => maps[lane]!), scales.slice(after));

        using fresh = await model.start({ labels: classesOf(lanes.map((lane) => labels[lane]!)), guided });
        const all = await force(fresh, lanes.map((lane) => maps[lane]!), scales);
        requireEqual(rest, all.slice(after), `lanes ${lanes}`);
        const accumulated = await differenceOf(generation.accumulated!, await readFloats(fresh.accumulated!));
        assert(accumulated <= TOLERANCE, `accumulated: ${accumulated}`);
      }
    },
  );
}

testOnDevices(
  "Model: lanes may be gathered twice, before the first scale and after the last",
  async (device) => {
    await using model = await loadSmall(device);
    const maps = randomTokens(model, 2);
    const scales = [...model.patchNumbers.keys()];
    using generation = await model.start({ labels: classesOf([4, 5]), guided: true });
    generation.gather([1, 0]);
    const swapped = [maps[1]!, maps[0]!];
    const found = await force(generation, swapped, scales.slice(0, 2));
    generation.gather([1, 0]);
    found.push(...await force(generation, maps, scales.slice(2)));
    generation.gather([1]);
    using picture = await generation.decode();

    using fresh = await model.start({ labels: classesOf([5, 4]), guided: true });
    const wanted = await force(fresh, swapped, scales);
    requireEqual(found.slice(0, 2), wanted.slice(0, 2), "swapped");
    fresh.gather([0]);
    using alone = await fresh.decode();
    assertEquals(picture.array.length, alone.array.length);
    assert(await differenceOf(picture.array, await readFloats(alone.array)) <= TOLERANCE);
  },
);

testOnDevices(
  "Model: with guidance conditional rows come first and unconditional rows follow",
  async (device) => {
    await using model = await loadSmall(device);
    const labels = [2, 9];
    const maps = randomTokens(model, labels.length);
    const scales = [...model.patchNumbers.keys()];
    const run = async (classes: readonly (number | null)[], guided: boolean): Promise<Float32Array[]> => {
      using generation = await model.start({ labels: classesOf(classes), guided });
      assertEquals([generation.guided, generation.images], [guided, classes.length]);
      return await force(generation, maps, scales);
    };
    const both = await run(labels, true);
    const half = (part: 0 | 1): Float32Array[] => {
      return both.map((values) => values.slice(part * values.length / 2, (part + 1) * values.length / 2));
    };
    const conditional = await run(labels, false);
    requireEqual(half(0), conditional, "conditional");
    requireEqual(half(1), await run([null, null], false), "unconditional");
    assert(maxDifference(conditional[0]!, half(1)[0]!) > 0.01, "the classes make a difference");
  },
);

testOnDevices("Model: feature vectors end a scale just as the tokens they belong to", async (device) => {
  await using model = await loadSmall(device);
  const maps = randomTokens(model, 2);
  using byTokens = await model.start({ labels: classesOf([0, 1]), guided: true });
  using byFeatures = await model.start({ labels: classesOf([0, 1]), guided: true });
  const { channels } = model.tokens;
  for (const [scale, side] of model.patchNumbers.entries()) {
    using tokens = batchOf(device, maps, scale);
    byTokens.accept(tokens);
    const positions = side * side;
    using output = device.allocate(2 * channels * positions);
    model.tokens.vectors(device, { tokens, output, maps: 2, positions });
    byFeatures.acceptFeatures!(output);
  }
  assertEquals(await readFloats(byFeatures.accumulated!), await readFloats(byTokens.accumulated!));
});

testOnDevices("Model: tokens of encoded pictures lead back to the pictures", async (device) => {
  await using model = await loadModel("demo", { device });
  using recorded = await openGolden("demo");
  const images = 2;
  const pixels = (await recorded.readFloat32("image")).slice(0, images * 3 * 64 * 64).map((x) => 2 * x - 1);
  using array = device.upload(pixels);
  using encoding = await model.encode({ array, width: 64, height: 64 }, images);
  assertEquals(
    encoding.tokens.map((map) => map.length),
    model.patchNumbers.map((side) => images * side * side),
  );
  for (const map of encoding.tokens) assert((await readWords(map)).every((token) => token < 512));

  using generation = await model.start({ labels: classesOf([0, 0]), guided: false });
  for (const map of encoding.tokens) generation.accept(map);
  using decoded = await generation.decode();
  using reconstruction = await encoding.decode();
  assertEquals([decoded.width, decoded.height], [64, 64]);
  const found = await readFloats(decoded.array);
  assertEquals(await readFloats(reconstruction.array), found);
  let squares = 0;
  for (const [i, value] of pixels.entries()) {
    squares += ((Math.max(-1, Math.min(1, found[i]!)) - value) / 2) ** 2;
  }
  // The tokenizer has about 30 dB on pictures it was not trained with.
  const decibels = -10 * Math.log10(squares / pixels.length);
  assert(decibels > 25, `${decibels} dB`);
});

testOnDevices(
  "Model: a model without networks generates features but neither decodes nor encodes",
  async (device) => {
    await using model = await loadModel(goldenCheckpoints("var-shared-adaln"), { device });
    assertEquals([model.encodes, model.decodes], [false, false]);
    assertEquals(model.schedule().picture, { width: 0, height: 0 });
    using generation = await model.start({ labels: classesOf([0]), guided: false });
    using tokens = device.allocate(1);
    generation.accept(tokens);
    await assertRejects(() => generation.decode(), TypeError, 'the model "VAR-d2" has no decoder');
    const pictures = { array: generation.accumulated!, width: 8, height: 8 };
    await assertRejects(() => model.encode(pictures, 1), TypeError, "has no encoder");
  },
);

testOnDevices("Model: labels, lanes and scales that are none are refused", async (device) => {
  await using model = await loadSmall(device);
  for (const labels of [[], [-1], [10], [0.5], [0, NaN]]) {
    await assertRejects(
      () => model.start({ labels: classesOf(labels), guided: true }),
      RangeError,
      "Cannot start a generation",
    );
  }
  using generation = await model.start({ labels: classesOf([0, null]), guided: true });
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

testOnDevices("Model: what a generation or an encoding held is free when it is disposed", async (device) => {
  await using model = await loadSmall(device);
  const maps = randomTokens(model, 2);
  const once = async (): Promise<void> => {
    using generation = await model.start({ labels: classesOf([0, 1]), guided: true });
    await force(generation, maps, [0, 1]);
    generation.gather([1, 1, 0]);
    await force(generation, [maps[1]!, maps[1]!, maps[0]!], [2, 3]);
    using picture = await generation.decode();
    using encoding = await model.encode(picture, 3);
    assertEquals(encoding.tokens.length, 4);
    // One that ends in the middle.
    using unfinished = await model.start({ labels: classesOf([0]), guided: false });
    await force(unfinished, maps.slice(0, 1), [0]);
  };
  // The first loads the encoder and fills the runtime's pool of buffers.
  await once();
  const before = device.counters;
  await once();
  const { liveArrays, liveBytes } = device.counters;
  assertEquals({ liveArrays, liveBytes }, { liveArrays: before.liveArrays, liveBytes: before.liveBytes });
});

testOnDevices("Model: a model says what it is, and how it wants to be asked", async (device) => {
  await using model = await loadModel("demo", { device });
  assertEquals([model.family, model.name, model.size], ["var", "demo", 4]);
  assertEquals([model.labels.kind, classNamesOf(model.labels).length], ["classes", 64]);
  assertEquals(model.resolveLabel("red torus"), { id: 32, name: "red torus" });
  assertEquals(model.defaults, {
    cfg: 1.5,
    guidance: "ramp",
    topK: 900,
    topP: 0.96,
    minP: 0,
    temperature: 1,
  });
  assertEquals(model.search.scale, 1);
  assertEquals(model.search.alpha({ scale: 1, samples: 50 }), model.tuning.alpha ?? 2.4);
  assertEquals([model.tokens.words, model.tokens.logits, model.tokens.channels], [1, 512, 16]);
  assert(model.tokens.mix !== undefined, "vectors may be mixed");
  const { scales, picture, imageBytes } = model.schedule();
  assertEquals(picture, { width: 64, height: 64 });
  assertEquals(scales.map(({ width }) => width), model.patchNumbers);
  assert(imageBytes > 0 && model.weightBytes > 0);
});

/** A model whose decoder is quick. */
async function loadQuick(device: Device): Promise<Model> {
  const sizes = {
    patchNumbers: [1, 2, 3, 4],
    classes: 5,
    vocabulary: 48,
    shared: false,
    residuals: 2,
    levels: 2,
  };
  return await loadModel(await randomCheckpoints({ ...sizes, encoder: true }), { device });
}

testOnDevices(
  "Model: tokens of a picture show it a scale at a time, as a generation that accepts them does",
  async (device) => {
    await using model = await loadQuick(device);
    const { picture } = model.schedule();
    const random = testRandom(7);
    const length = 2 * 3 * picture.width * picture.height;
    using array = device.upload(Float32Array.from({ length }, () => 2 * random() - 1));
    using encoding = await model.encode({ array, ...picture }, 2);
    using generation = await model.start({ labels: classesOf([1, 2]), guided: false });
    const shown = new Set<string>();
    for (const [scale, map] of encoding.tokens.entries()) {
      generation.accept(map);
      using wanted = await generation.decode();
      using found = await encoding.decode(scale);
      assertEquals([found.width, found.height], [picture.width, picture.height]);
      assertEquals(await readFloats(found.array), await readFloats(wanted.array));
      shown.add(String(await readFloats(found.array)));
    }
    assertEquals(shown.size, encoding.tokens.length);
    const { liveArrays } = device.counters;
    (await encoding.decode(0))[Symbol.dispose]();
    assertEquals(device.counters.liveArrays, liveArrays);
    for (const scale of [-1, 4, 0.5]) {
      await assertRejects(() => encoding.decode(scale), RangeError, "Cannot decode as a scale must be");
    }

    using first = await model.encode({ array, ...picture }, 2, { last: 1 });
    assertEquals(await device.read(first.tokens), (await device.read(encoding.tokens)).slice(0, 2));
    using coarse = await first.decode();
    using same = await encoding.decode(1);
    assertEquals(await readFloats(coarse.array), await readFloats(same.array));
    await assertRejects(() => first.decode(2), RangeError, "from 0 to 1");
  },
);

testOnDevices(
  "Model: pictures of another size, and schedules of another model, are refused",
  async (device) => {
    await using model = await loadSmall(device);
    const { picture, ...schedule } = model.schedule();
    const { width, height } = picture;
    using array = device.allocate(3 * width * height);
    for (const size of [{ width: 2 * width, height }, { width, height: 1 }]) {
      await assertRejects(
        () => model.encode({ array, ...size }, 1),
        RangeError,
        `Cannot encode pictures for scale 3 as they must have ${width}×${height} pixels: they have ${size.width}×${size.height}`,
      );
    }
    for (const last of [-1, 4, 1.5]) {
      await assertRejects(
        () => model.encode({ array, ...picture }, 1, { last }),
        RangeError,
        "the last scale",
      );
    }
    await assertRejects(() => model.encode({ array, ...picture }, 0), RangeError, "the number of pictures");
    const { scales } = schedule;
    for (
      const other of [
        [...scales.slice(0, 3), { ...scales[3]!, height: 5 }],
        [...scales, scales[3]!],
        scales.toReversed(),
      ]
    ) {
      const foreign = { ...schedule, picture, scales: other };
      const { liveArrays } = device.counters;
      await assertRejects(
        () => model.start({ labels: classesOf([0]), guided: true, schedule: foreign }),
        RangeError,
        "Cannot follow the schedule",
      );
      await assertRejects(
        () => model.encode({ array, ...picture }, 1, { schedule: foreign }),
        RangeError,
        "Cannot follow the schedule",
      );
      assertEquals(device.counters.liveArrays, liveArrays);
    }
  },
);

testOnDevices("Model: before the first scale there is nothing to see", async (device) => {
  await using model = await loadSmall(device);
  using generation = await model.start({ labels: classesOf([0]), guided: false });
  await assertRejects(() => generation.decode(), TypeError, "Cannot decode as no scale has been accepted");
});

testOnDevices("Model: a model that has been disposed refuses to go on", async (device) => {
  const model = await loadSmall(device);
  const generation = await model.start({ labels: classesOf([0]), guided: false });
  const logits = generation.logits();
  await model[Symbol.asyncDispose]();
  using _logits = await logits;
  using _generation = generation;
  await assertRejects(() => generation.logits(), TypeError, "has been disposed");
  await assertRejects(
    () => model.start({ labels: classesOf([0]), guided: false }),
    TypeError,
    "has been disposed",
  );
});
