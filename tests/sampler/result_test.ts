import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { generate } from "../../sampler/generate.ts";
import type { MimeBundle } from "../../sampler/notebook/output.ts";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import { GeneratedImage, GenerateResult, type Trace } from "../../sampler/result.ts";
import { varScaling, type VarScalingDecision } from "../../sampler/methods/var_scaling.ts";
import { testOnModel, TINY_PATCH_NUMBERS, TINY_VOCABULARY } from "./models.ts";

const bundleOf = (shown: object): MimeBundle => {
  return (shown as Record<symbol, () => MimeBundle>)[Symbol.for("Jupyter.display")]!();
};

testOnModel("tiny", "generate: an image knows where it comes from", async (model) => {
  const { images, trace } = await generate(model, {
    labels: ["sea", null, 4],
    seed: 2n ** 60n,
    hooks: [varScaling({ samples: 9 })],
  });
  assertEquals(images.map(({ caption }) => caption), ["sea #0", "null class #1", "Red Rock #2"]);
  assertEquals(
    images.map(({ index, lane, seed }) => [index, lane, seed]),
    [0, 1, 2].map((i) => [i, 0, 2n ** 60n]),
  );
  for (const image of images) {
    assert(image instanceof RgbaImage);
    assertEquals([image.width, image.height, image.data.length], [8, 8, 256]);
    assertEquals(image.tokens.map(({ length }) => length), TINY_PATCH_NUMBERS.map((side) => side * side));
    assert(image.tokens.every((map) => map.every((token) => token < TINY_VOCABULARY)));
    assertEquals(image.decisions.map(({ hook, scale }) => [hook, scale]), [["var-scaling", 1]]);
    const { samples, kept, chosen } = image.decisions[0]!.value as VarScalingDecision;
    assertEquals(samples, 9);
    assert(kept.some(({ candidate }) => candidate === chosen));
    // Opaque, and not one color.
    assert(image.data.every((value, i) => i % 4 !== 3 || value === 255));
    assert(new Set(image.data).size > 10);
  }
  assertEquals(trace.model, model.name);
  assertEquals(trace.device, { kind: model.device.kind, name: model.device.name });
});

testOnModel("tiny", "generate: images are independent of each other's memory", async (model) => {
  const { images: [a, b] } = await generate(model, { labels: [0, 1] });
  const pixels = [...b!.data];
  const maps = b!.tokens.map((map) => [...map]);
  a!.data.fill(1);
  for (const map of a!.tokens) map.fill(1);
  assertEquals([...b!.data], pixels);
  assertEquals(b!.tokens.map((map) => [...map]), maps);
});

testOnModel("tiny", "generate: the trace adds up", async (model) => {
  const before = model.device.counters;
  const start = performance.now();
  const { trace } = await generate(model, { labels: [0, 1, 2], batch: 2 });
  const elapsed = performance.now() - start;
  const after = model.device.counters;
  assertEquals(trace.batches.length, 2);
  for (const { condition, scales, decode, total, clock } of trace.batches) {
    assertEquals(scales.length, TINY_PATCH_NUMBERS.length);
    for (const part of [condition, ...scales, decode]) assert(part >= 0, `a part takes ${part} ms`);
    const sum = scales.reduce((a, b) => a + b) + condition + decode;
    // On the host's clock, waiting for the readback is in the total only.
    assert(sum > 0 && sum <= total * (1 + 1e-9), `parts take ${sum} of ${total} ms`);
    assert(clock === "webgpu" || model.device.kind === "cpu" || clock === "host");
    if (clock === "webgpu") assert(Math.abs(sum - total) < 1e-6 * total, `${sum} of ${total} ms`);
  }
  const batches = trace.batches.reduce((sum, { total }) => sum + total, 0);
  assert(batches <= trace.total && trace.total <= elapsed);
  assertEquals(trace.readbacks, after.readbacks - before.readbacks);
  assertEquals(trace.bytesRead, after.bytesRead - before.bytesRead);
  assertEquals(trace.dispatches, after.dispatches - before.dispatches);
  assert(trace.dispatches > 0);
});

testOnModel("tiny", "generate: pictures survive as PNG, and show themselves in a notebook", async (model) => {
  const result = await generate(model, { labels: ["sea", "sky"] });
  for (const image of result.images) {
    assertEquals(RgbaImage.decode(image.png()).data, image.data);
    const bundle = bundleOf(image);
    assertEquals(bundle["text/plain"], "8×8 image");
    assertEquals(RgbaImage.decode(Uint8Array.fromBase64(bundle["image/png"])).data, image.data);
  }
  const grid = result.grid();
  const shown = RgbaImage.decode(Uint8Array.fromBase64(bundleOf(result)["image/png"]));
  assertEquals([shown.width, shown.height], [grid.width, grid.height]);
  assertEquals(shown.data, grid.data);
  assertStringIncludes(bundleOf(result)["text/plain"], `${grid.width}×${grid.height}`);
});

const TRACE: Trace = {
  model: "none",
  device: { kind: "cpu", name: "CPU" },
  provider: "wasm",
  total: 0,
  batches: [],
  readbacks: 0,
  bytesRead: 0,
  dispatches: 0,
  cost: {
    passes: 0,
    decodes: 0,
    judged: 0,
    transformerFlops: 0,
    decoderFlops: 0,
    judgeFlops: 0,
    flops: 0,
    peakBytes: 0,
    seconds: { scales: 0, decode: 0, judge: 0 },
  },
};

/** A result with so many pictures of one size. */
function resultOf(count: number, size: number): GenerateResult {
  const images = Array.from({ length: count }, (_, index) => {
    const data = new Uint8ClampedArray(size * size * 4).fill(index * 5);
    for (let i = 3; i < data.length; i += 4) data[i] = 255;
    const origin = { place: index, index, lane: 0, label: { id: 0, name: "gray" }, seed: 0, tokens: [] };
    const own = { ...origin, decisions: [], attempt: 0, attempts: [{ attempt: 0, lane: 0, decisions: [] }] };
    return new GeneratedImage({ width: size, height: size }, data, own);
  });
  return new GenerateResult(images, TRACE);
}

Deno.test("GenerateResult: the grid has at most eight columns and enlarges small pictures", () => {
  // Each picture is enlarged to about 192 pixels; a gap is a sixteenth of that.
  const sizes: [count: number, size: number, columns: number, rows: number, shown: number][] = [
    [1, 64, 1, 1, 192],
    [3, 64, 3, 1, 192],
    [8, 64, 8, 1, 192],
    [9, 64, 8, 2, 192],
    [2, 256, 2, 1, 256],
    [2, 100, 2, 1, 200],
  ];
  for (const [count, size, columns, rows, shown] of sizes) {
    const gap = Math.max(8, Math.floor(shown / 16));
    const grid = resultOf(count, size).grid({ captions: false });
    assertEquals([grid.width, grid.height], [gap + columns * (shown + gap), gap + rows * (shown + gap)]);
    // The middle of the last picture.
    const x = gap + (count - 1) % columns * (shown + gap) + shown / 2;
    const y = gap + (rows - 1) * (shown + gap) + shown / 2;
    assertEquals([...grid.data.subarray(4 * (y * grid.width + x)).slice(0, 4)], [
      ...new Array(3).fill(5 * (count - 1)),
      255,
    ]);
  }
});

Deno.test("GenerateResult: the grid takes options, and captions make it taller", () => {
  const result = resultOf(4, 64);
  const plain = result.grid({ columns: 2, scale: 1, gap: 0, captions: false });
  assertEquals([plain.width, plain.height], [128, 128]);
  const captioned = result.grid({ columns: 2, scale: 1, gap: 0 });
  assertEquals(captioned.width, 128);
  assert(captioned.height > 128);
});
