import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { loadModel } from "../../../models/load.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { generate } from "../../../sampler/generate.ts";
import { score } from "../../../sampler/likelihood/score.ts";
import { testOnDevices } from "../../devices.ts";
import { goldenCheckpoints, openGolden } from "../../fixtures/golden/golden.ts";
import { flexVarCheckpoints } from "../../models/flexvar/checkpoints.ts";
import { sharedModel, testOnModel } from "../models.ts";

/** The logarithm of the softmax of a row, at one of its values, in float64. */
function logSoftmax(row: Float32Array, at: number): number {
  const most = Math.max(...row);
  return row[at]! - most - Math.log([...row].reduce((sum, value) => sum + Math.exp(value - most), 0));
}

/** Of a map of some logits, [maps, positions, vocabulary], the log-probabilities of tokens, added up. */
function sumOf(logits: Float32Array, map: ArrayLike<number>, vocabulary: number, first = 0): number {
  return Array.from(map).reduce((sum, token, position) => {
    const begin = (first * map.length + position) * vocabulary;
    return sum + logSoftmax(logits.subarray(begin, begin + vocabulary), token);
  }, 0);
}

testOnDevices("published: score gives the log-softmax of the published logits", async (device: Device) => {
  await using model = await loadModel(goldenCheckpoints("var-adaln"), { device });
  const recorded = await openGolden("var-adaln");
  const labels = [...await recorded.readFloat32("labels")];
  const scales = model.patchNumbers.length;
  const vocabulary = model.tokens.logits;
  const tokens = labels.map(() => [] as Uint32Array[]);
  const expected: number[][] = [];
  for (let scale = 0; scale < scales; scale++) {
    const flat = Uint32Array.from(await recorded.readFloat32(`tokens.${scale}`));
    const logits = await recorded.readFloat32(`logits.${scale}`);
    const length = flat.length / labels.length;
    for (const [i, maps] of tokens.entries()) maps.push(flat.slice(i * length, (i + 1) * length));
    // Rows without a label follow those with one.
    expected.push(labels.flatMap((_, i) => {
      return [i, labels.length + i].map((row) => sumOf(logits, tokens[i]![scale]!, vocabulary, row));
    }));
  }
  const { counters: before } = device;
  const found = await score(model, tokens, [...labels, null], { batch: 3 });
  assertEquals(device.counters.readbacks - before.readbacks, 1);
  assertEquals([found.pictures, found.labels.length, found.scales], [
    labels.length,
    labels.length + 1,
    scales,
  ]);
  for (const [i] of labels.entries()) {
    for (let scale = 0; scale < scales; scale++) {
      for (const [half, label] of [i, labels.length].entries()) {
        const value = found.logProbabilities[(i * found.labels.length + label) * scales + scale]!;
        const wanted = expected[scale]![2 * i + half]!;
        // The aim for logits is 1e-4 a position, here of both signs; 1e-5 of the sum is more than that.
        assertAlmostEquals(value, wanted, 1e-5 * Math.abs(wanted) + 1e-5);
      }
    }
  }
});

/** Logits of all scales, fed anew, as [rows, positions, logits of a position]. */
async function logitsOf(
  start: () => Promise<Generation>,
  maps: readonly Uint32Array<ArrayBuffer>[],
): Promise<Float32Array[]> {
  using generation = await start();
  const found: Float32Array[] = [];
  for (const [scale, map] of maps.entries()) {
    using logits = await generation.logits();
    found.push(await readFloats(logits));
    using tokens = logits.device.upload(map);
    if (scale < maps.length - 1) generation.accept(tokens);
  }
  return found;
}

testOnModel("tiny", "score: guided, it is what guided drawing would give", async (model) => {
  const { images: [image] } = await generate(model, { labels: "sea", seed: 3 });
  const maps = image!.tokens.map((map) => Uint32Array.from(map));
  const vocabulary = model.tokens.logits;
  const raw = await logitsOf(() => model.start({ labels: [model.resolveLabel("sky")], guided: true }), maps);
  const { logProbabilities } = await score(model, [maps], "sky", { cfg: 3, guidance: "ramp" });
  assertEquals(logProbabilities.length, 4);
  for (const [scale, logits] of raw.entries()) {
    const half = logits.length / 2;
    const mixed = logits.slice(0, half).map((own, i) => own + scale * (own - logits[half + i]!));
    const wanted = sumOf(mixed, maps[scale]!, vocabulary);
    assertAlmostEquals(logProbabilities[scale]!, wanted, 1e-5 * Math.abs(wanted) + 1e-5);
  }
});

testOnModel("tiny", "score: depends on neither its batch nor what is beside it", async (model) => {
  const { images } = await generate(model, { labels: ["sea", "sky", "sand"], seed: 1 });
  const maps = images.map(({ tokens }) => tokens);
  const all = await score(model, maps, ["sea", null, 0, 1], { batch: 5 });
  const one = await score(model, [maps[1]!], ["sea", null], { until: -2, batch: 1 });
  assertEquals(one.scales, 3);
  for (const label of [0, 1]) {
    assertAlmostEquals(one.of(0, label), all.of(1, label, 3), 1e-4);
    assert(all.of(1, label) < all.of(1, label, 3));
  }
  // The first scales alone are enough.
  const first = await score(model, maps.map((tokens) => tokens.slice(0, 2)), "sea");
  assertEquals(first.scales, 2);
  assertAlmostEquals(first.of(2, 0), all.of(2, 0, 2), 1e-4);
  const { scales, condition } = model.flops!(model.schedule({ cfg: 1, guidance: "constant" }), false);
  assertEquals(all.flops, 12 * scales.reduce((sum, each) => sum + each, condition));
  assertEquals(first.flops, 3 * (condition + scales[0]! + scales[1]!));
});

const LOADED = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "score: tokens of bits count bit by bit",
  ...LOADED,
  fn: async () => {
    const model: Model = await sharedModel("texts", "cpu");
    const { images: [image] } = await generate(model, { labels: "two red spheres", seed: 2, until: 3 });
    const maps = image!.tokens.map((map) => Uint32Array.from(map));
    const labels = ["two red spheres", "a blue cone", null];
    const found = await score(model, [maps], labels);
    const bits = model.tokens.logits / 2;
    for (const [i, label] of labels.entries()) {
      const start = () => {
        return model.start({
          labels: [model.resolveLabel(label)],
          guided: false,
          schedule: model.schedule({ cfg: 1, guidance: "constant" }),
        });
      };
      for (const [scale, logits] of (await logitsOf(start, maps)).entries()) {
        const positions = maps[scale]!.length / model.tokens.words;
        const values = Array.from({ length: positions * bits }, (_, at) => {
          const word = maps[scale]![Math.floor(at / bits) * model.tokens.words + Math.floor(at % bits / 32)]!;
          return word >>> (at % bits % 32) & 1;
        });
        const wanted = sumOf(logits, values, 2);
        const value = found.logProbabilities[i * found.scales + scale]!;
        assertAlmostEquals(value, wanted, 1e-5 * Math.abs(wanted) + 1e-5);
      }
    }
    assert(found.of(0, 0) > found.of(0, 1) && found.of(0, 0) > found.of(0, 2));
  },
});

Deno.test({
  name: "score: another list of maps is the family's matter",
  ...LOADED,
  fn: async () => {
    await using model = await loadModel(await flexVarCheckpoints(), { device: "cpu" });
    const patchNumbers = [1, 2, 4];
    const { images: [image] } = await generate(model, { labels: 1, seed: 2, patchNumbers });
    const { logProbabilities, scales } = await score(model, [image!.tokens], [1, 2], { patchNumbers });
    assertEquals(scales, 3);
    const maps = image!.tokens.map((map) => Uint32Array.from(map));
    const schedule = model.schedule({ patchNumbers });
    const start = () => model.start({ labels: [model.resolveLabel(2)], guided: false, schedule });
    for (const [scale, logits] of (await logitsOf(start, maps)).entries()) {
      const wanted = sumOf(logits, maps[scale]!, model.tokens.logits);
      assertAlmostEquals(logProbabilities[scales + scale]!, wanted, 1e-5 * Math.abs(wanted) + 1e-5);
    }
  },
});

testOnModel("tiny", "score: a signal ends it, and nothing stays behind", async (model) => {
  const { images } = await generate(model, { labels: "sea" });
  const controller = new AbortController();
  const running = score(model, images.map(({ tokens }) => tokens), [0, 1, 2, 3, 4], {
    batch: 1,
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(new Error("enough")));
  await assertRejects(() => running, Error, "enough");
});
