import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { shrinksOf } from "../../models/autoencoder/shrunk.ts";
import { rowFlops } from "../../models/costs.ts";
import { usualMaps } from "../../models/infinity/schedule.ts";
import { loadModel } from "../../models/load.ts";
import type { Schedule } from "../../models/schedule.ts";
import expected from "../fixtures/flops/expected.json" with { type: "json" };
import { doubled } from "./autoencoder/doubled_flops.ts";
import { flexVarCheckpoints, SMALL_FLEXVAR } from "./flexvar/checkpoints.ts";
import { hashedCheckpoints, TRANSFORMER_CASES } from "./infinity/hashed_model.ts";
import { PUBLISHED } from "./infinity/sizes.ts";

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

Deno.test("rowFlops: a guided sample of published models takes what was counted of their descriptions", () => {
  const var16 = { depth: 16, width: 1024, heads: 16, logits: 4096, features: 32 };
  const maps = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16].map((side) => ({ width: side, height: side }));
  assertAlmostEquals(2 * sum(rowFlops(var16, maps)) / 1e12, 0.6, 0.005);
  const { bits, ...shape } = PUBLISHED["2B"]!;
  // Attention to a text of no token: its queries and its projection are there.
  const infinity = { ...shape, logits: 2 * bits, features: bits, text: 0 };
  const scales = rowFlops(infinity, usualMaps(13)).map((flops) => 2 * flops / 1e12);
  const counted = [0.008, 0.030, 0.120, 0.272, 0.485, 1.10, 1.99, 3.20, 4.78, 9.05, 15.5, 25.1, 53.4];
  for (const [k, tera] of counted.entries()) {
    // Three digits, but the first number has one.
    assertAlmostEquals(scales[k]!, tera, k === 0 ? 5e-4 : 0.005 * tera, `scale ${k}`);
  }
  assertAlmostEquals(sum(scales), 115.0, 0.05);
});

Deno.test("loadModel: the operations of bundled models are what PyTorch counts", async () => {
  const device = new CpuDevice();
  await using classes = await loadModel("demo", { device });
  const { condition, scales, decode, shrinks } = classes.flops!(classes.schedule());
  const demo = expected.demo;
  // There, doubled maps are stored.
  const classDecoder = {
    decoder: [32, 32, 64, 128].map((channels) => ({ channels, blocks: 2, attention: false })),
  };
  const [whole, half] = [8, 4].map((side) => doubled(classDecoder, { width: side, height: side }));
  assertEquals([condition, decode(3) + whole!, decode(3, 2) + half!], [
    demo.condition,
    demo.decode,
    demo.decodeHalf,
  ]);
  assertEquals(shrinks(0), [1, 2, 4, 8]);
  // PyTorch's side embeds the next scale when a scale ends, once for both rows, and counts the φ convolution.
  const positions = [1, 4, 9, 16, 36, 64];
  const [width, channels] = [256, 16];
  const convolution = 2 * 9 * channels ** 2 * 64;
  const atEnd = positions.map((length, k) => {
    const embedded = 2 * channels * width;
    const next = positions[k + 1] ?? 0;
    return scales[k]! - 2 * length * embedded + next * embedded + convolution;
  });
  assertEquals(atEnd, demo.scales);

  await using texts = await loadModel("demo-t2i", { device });
  const flops = texts.flops!(texts.schedule());
  const t2i = expected["demo-t2i"];
  const sides = [1, 2, 4, 6, 8];
  assertEquals(
    sides.map((side, k) => {
      const embedded = 2 * 16 * 192;
      return flops.scales[k]! - 2 * side ** 2 * embedded + (sides[k + 1] ?? 0) ** 2 * embedded;
    }),
    t2i.scales,
  );
  const decoder = [32, 32, 64, 128].map((channels) => ({ channels, blocks: 2, attention: false }));
  const map = { width: 8, height: 8 };
  assertEquals(flops.decode(0) + doubled({ decoder }, map), t2i.decode);
});

Deno.test("loadModel: rows of operations are those that guidance takes", async () => {
  const device = new CpuDevice();
  await using model = await loadModel("demo", { device });
  const guided = model.flops!(model.schedule({ cfg: 1.5 }));
  const plain = model.flops!(model.schedule({ cfg: 0 }));
  // The first scale of a ramp has weight 0 and both rows all the same.
  assertEquals(guided.scales, plain.scales.map((flops) => 2 * flops));
  assertEquals(guided.condition, 2 * plain.condition);
  assertEquals(guided.decode(0), plain.decode(0));
  assertEquals(model.flops!(model.schedule({ cfg: 1.5 }), false).scales, plain.scales);

  await using texts = await loadModel("demo-t2i", { device });
  const rows = (schedule: Schedule): number => {
    return texts.flops!(schedule).scales[0]! / texts.flops!(texts.schedule({ cfg: 1 })).scales[0]!;
  };
  assertEquals(rows(texts.schedule()), 2);
  const inserted = { familyOptions: { cfgInsertionLayer: "-2" } };
  assertEquals(rows(texts.schedule(inserted)), 2);
  assertEquals(rows(texts.schedule({ ...inserted, cfg: 1 })), 1);
});

Deno.test("loadModel: decoding a scale that does not add up takes what its own size takes", async () => {
  await using model = await loadModel(await flexVarCheckpoints(), { device: new CpuDevice() });
  const flops = model.flops!(model.schedule({ patchNumbers: [1, 2, 4] }));
  const work = { ...SMALL_FLEXVAR, logits: SMALL_FLEXVAR.tokenizer.vocabulary, features: 0 };
  assert(flops.scales[2]! > 2 * rowFlops(work, [{ width: 4, height: 4 }])[0]!);
  assertEquals([0, 1, 2].map((scale) => flops.shrinks(scale)), [[1], [1, 2], [1, 2, 4]]);
  assertEquals(flops.decode(2, 2), flops.decode(1));
  assert(flops.decode(2) > 4 * flops.decode(1));
  assertThrows(() => flops.decode(3), RangeError, "a scale must be an integer from 0 to 2");
});

Deno.test("loadModel: a token of patches is decoded, and counted, as four positions", async () => {
  const patchy = TRANSFORMER_CASES.find(({ config }) => config.patchify === 1)!;
  await using model = await loadModel(await hashedCheckpoints(patchy), { device: new CpuDevice() });
  const schedule = model.schedule({ familyOptions: { pn: "0.06M" } });
  const { width, height } = schedule.scales.at(-1)!;
  const { shrinks } = model.flops!(schedule);
  assertEquals(shrinks(0), shrinksOf({ width: 2 * width, height: 2 * height }));
});
