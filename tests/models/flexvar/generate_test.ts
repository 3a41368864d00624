/**
 * FlexVAR through the public face: what a person asks for is what happens on the scales.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Device } from "../../../kernels/device/device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import {
  type EditRequest,
  generate,
  type GenerateRequest,
  loadModel,
  type Model,
  type RgbaImage,
  type ScaleHook,
  varScaling,
  type VarScalingDecision,
} from "../../../mod.ts";
import { testOnDevices } from "../../devices.ts";
import { flexVarCheckpoints, SMALL_FLEXVAR } from "./checkpoints.ts";

const { tokenizer: { vocabulary } } = SMALL_FLEXVAR;
const checkpoints = await flexVarCheckpoints();

function load(device: Device): Promise<Model> {
  return loadModel(checkpoints, { device, classNames: ["sand", "snow", "sea", "sky", "rock"] });
}

interface Seen {
  /** Weight of guidance of each scale. */
  readonly weights: number[];
  /** The likeliest tokens of each scale. */
  readonly likeliest: number[][];
}

/** A hook that looks on. */
function looksOn(): { hook: ScaleHook; seen: Seen } {
  const seen: Seen = { weights: [], likeliest: [] };
  const hook: ScaleHook = {
    name: "looks on",
    guide: async (step) => {
      const logits = await readFloats(step.logits);
      seen.weights.push(step.guidanceWeight);
      seen.likeliest.push(Array.from({ length: logits.length / vocabulary }, (_, position) => {
        const row = logits.subarray(position * vocabulary, (position + 1) * vocabulary);
        return row.indexOf(Math.max(...row));
      }));
    },
  };
  return { hook, seen };
}

async function generateOne(
  model: Model,
  request: GenerateRequest,
): Promise<Seen & { readonly tokens: number[][]; readonly size: number[] }> {
  const { hook, seen } = looksOn();
  const { images: [image] } = await generate(model, { labels: "sea", seed: 4, ...request, hooks: [hook] });
  const { tokens, width, height } = image!;
  return { ...seen, tokens: tokens.map((map) => [...map]), size: [width, height] };
}

testOnDevices(
  "generate: the released code's rules and ours differ where they should and nowhere else",
  async (device) => {
    await using model = await load(device);
    const request = { patchNumbers: [1, 2, 4, 6, 7, 8, 9], topK: 0, topP: 0 };
    const ours = await generateOne(model, request);
    const theirs = await generateOne(model, { ...request, published: true });
    assertEquals(ours.weights, theirs.weights);
    assertEquals(ours.tokens.slice(0, 4), theirs.tokens.slice(0, 4));
    // Sides 7 and 9 are greedy there.
    assertEquals(theirs.tokens[4], theirs.likeliest[4]);
    assertEquals(theirs.tokens[6], theirs.likeliest[6]);
    for (const k of [2, 3, 5]) assert(`${theirs.tokens[k]}` !== `${theirs.likeliest[k]}`, `scale ${k}`);
    for (const k of [4, 6]) assert(`${ours.tokens[k]}` !== `${ours.likeliest[k]}`, `scale ${k}`);

    const low = await generateOne(model, { ...request, published: true, familyOptions: { maxpn: 2 } });
    assertEquals(low.tokens.slice(2), low.likeliest.slice(2));
    assertEquals(low.weights, [0, 2.5 * (1 / 6), 2.5, 2.5, 2.5, 2.5, 2.5]);
  },
);

testOnDevices(
  "generate: more than ten scales: guidance stays at cfg, or goes on as published",
  async (device) => {
    await using model = await load(device);
    const patchNumbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const ours = await generateOne(model, { patchNumbers, cfg: 3 });
    const theirs = await generateOne(model, { patchNumbers, cfg: 3, published: true });
    assertEquals(ours.weights, patchNumbers.map((_, k) => Math.min(3, 3 * (k / 9))));
    assertEquals(theirs.weights, patchNumbers.map((_, k) => 3 * (k / 9)));
    assertEquals(ours.tokens.map(({ length }) => length), patchNumbers.map((side) => side * side));
    assertEquals(ours.size, [24, 24]);
    // The same beginning, up to the first greedy side.
    assertEquals(ours.tokens.slice(0, 6), theirs.tokens.slice(0, 6));
  },
);

testOnDevices(
  "generate: guidance changes what is painted, and none costs no unconditional rows",
  async (device) => {
    await using model = await load(device);
    const request = { patchNumbers: [1, 2, 3], temperature: 0 };
    const none = await generateOne(model, { ...request, cfg: 0 });
    const constant = await generateOne(model, { ...request, cfg: 1, guidance: "constant" });
    assertEquals(none.weights, [0, 0, 0]);
    assertEquals(constant.weights, [0, 0, 0]);
    assertEquals(none.tokens, constant.tokens);
    const guided = await generateOne(model, { ...request, cfg: 8, guidance: "constant" });
    assertEquals(guided.weights, [7, 7, 7]);
    assert(`${guided.tokens}` !== `${none.tokens}`);
  },
);

testOnDevices(
  "generate: pictures that are not square are painted, with previews of their own sizes",
  async (device) => {
    await using model = await load(device);
    const size = { width: 20, height: 12 };
    const previews: RgbaImage[] = [];
    const images: RgbaImage[] = [];
    for await (
      const event of generate.stream(model, { labels: ["sand", "sky"], size, previews: true, seed: 3 })
    ) {
      if (event.type === "preview") previews.push(...event.images.map(({ image }) => image));
      if (event.type === "image") images.push(event.image);
    }
    const { scales } = model.schedule({ size });
    assertEquals(images.map(({ width, height }) => [width, height]), [[20, 12], [20, 12]]);
    const last = previews.slice(-2);
    const shown = last.map(({ width }) => width).every((side) => side === 20) ? scales : scales.slice(0, -1);
    assertEquals(
      previews.map(({ width, height }) => [width, height]),
      shown.flatMap(({ width, height }) => [[2 * width, 2 * height], [2 * width, 2 * height]]),
    );
  },
);

testOnDevices(
  "generate: tokens and pixels come back together, and nothing is left behind",
  async (device) => {
    await using model = await load(device);
    const request = { labels: ["sand", "sky"], size: { width: 8, height: 12 }, seed: 3 };
    await generate(model, request);
    const { readbacks, liveArrays } = device.counters;
    await generate(model, request);
    assertEquals(device.counters.readbacks, readbacks + 1);
    assertEquals(device.counters.liveArrays, liveArrays);
  },
);

testOnDevices("generate: VAR-Scaling searches on the third scale", async (device) => {
  await using model = await load(device);
  const request = { labels: "sea", seed: 2, patchNumbers: [1, 2, 3, 4] };
  const plain = await generate(model, request);
  const searched = await generate(model, { ...request, hooks: [varScaling({ samples: 20 })] });
  const [decision, ...more] = searched.images[0]!.decisions;
  assertEquals([decision!.hook, decision!.scale, more.length], ["var-scaling", 2, 0]);
  const { samples, alpha } = decision!.value as VarScalingDecision;
  assertEquals([samples, alpha], [20, 2.5]);
  const [before, after] = [plain, searched].map(({ images }) => images[0]!.tokens.map((map) => [...map]));
  assertEquals(after!.slice(0, 2), before!.slice(0, 2));
  assert(`${after![2]}` !== `${before![2]}`);
});

testOnDevices("generate: lanes are thinned between scales", async (device) => {
  await using model = await load(device);
  const keepsLast: ScaleHook = {
    name: "keeps the last",
    scales: [1],
    lanes: 3,
    gather: (step) => step.lanes.flatMap((lane, i) => step.lanes[i + 1]?.image === lane.image ? [] : [i]),
  };
  const { images } = await generate(model, {
    labels: ["sea", "sky"],
    patchNumbers: [1, 2, 3],
    hooks: [keepsLast],
  });
  assertEquals(images.map(({ lane, label }) => [lane, label.name]), [[2, "sea"], [2, "sky"]]);
});

/** Tokens of a picture on the scales of a list. */
async function encoded(
  model: Model,
  image: RgbaImage,
  patchNumbers: number[],
  factor = 1,
): Promise<number[][]> {
  const { width, height, data } = image;
  const plane = width * height;
  const pixels = Float32Array.from({ length: 3 * plane }, (_, i) => {
    return data[4 * (i % plane) + Math.floor(i / plane)]! / 127.5 - 1;
  });
  using array = model.device.upload(pixels);
  const schedule = model.schedule({ patchNumbers });
  const last = schedule.scales.findIndex(({ picture }) => factor * picture.width === width);
  using encoding = await model.encode({ array, width, height }, 1, { schedule, last });
  return (await model.device.read(encoding.tokens)).map((map) => [...map]);
}

testOnDevices("generate: what is kept of a picture is forced on the scales that keep it", async (device) => {
  await using model = await load(device);
  const patchNumbers = [1, 2, 4, 6];
  const { images: [source] } = await generate(model, { labels: "rock", patchNumbers: [1, 3, 4], seed: 9 });
  assertEquals([source!.width, source!.height], [8, 8]);
  const wanted = await encoded(model, source!, patchNumbers);
  const edited = async (edit: Omit<EditRequest, "image">): Promise<number[][]> => {
    const { images: [image] } = await generate(model, {
      labels: "sky",
      patchNumbers,
      seed: 1,
      edit: { image: source!, ...edit },
    });
    assertEquals([image!.width, image!.height], [12, 12]);
    return image!.tokens.map((map) => [...map]);
  };
  // The source has the size of the third scale, so three scales are its own and the fourth is generated.
  assertEquals((await edited({ refine: true })).slice(0, 3), wanted);
  assertEquals((await edited({ scales: [0, 2] })).filter((_, k) => k === 0 || k === 2), [
    wanted[0],
    wanted[2],
  ]);
  // Twice the size of the second scale.
  const finer = await encoded(model, source!, patchNumbers, 2);
  assertEquals((await edited({ refine: true, oversampling: 2 })).slice(0, 2), finer);
  // The left half, whose features are at the left of each map.
  const half = await edited({ scales: [2], box: [0, 0.5, 1, 1] });
  const left = [0, 1, 4, 5, 8, 9, 12, 13];
  assertEquals(left.map((i) => half[2]![i]), left.map((i) => wanted[2]![i]));
  assert(`${half[2]}` !== `${wanted[2]}`);
});

testOnDevices(
  "generate: mixed code vectors are refused, and so is what no schedule knows",
  async (device) => {
    await using model = await load(device);
    await assertRejects(() => generate(model, { moreSmooth: true }), RangeError, "moreSmooth");
    await assertRejects(() => generate(model, { patchNumbers: [2, 3] }), RangeError, "must begin with 1");
    await assertRejects(() => generate(model, { size: 33 }), RangeError, "must be a multiple of 2");
  },
);
