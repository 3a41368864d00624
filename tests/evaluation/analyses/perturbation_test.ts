import { assert, assertEquals, assertRejects } from "@std/assert";
import { analyzePerturbation } from "../../../evaluation/analyses/perturbation.ts";
import { generate } from "../../../sampler/generate.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import type { GeneratedImage } from "../../../sampler/result.ts";
import { sharedModel, testOnModel } from "../../sampler/models.ts";

/** Root of the mean squared difference, in the plainest way. */
function distance(first: GeneratedImage, second: GeneratedImage): number {
  const squares: number[] = [];
  for (let i = 0; i < first.data.length; i++) {
    if (i % 4 < 3) squares.push(((first.data[i]! - second.data[i]!) / 255) ** 2);
  }
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

testOnModel(
  "tiny",
  "analyzePerturbation: from scale 0 on it is another picture of the label",
  async (model) => {
    const labels = ["sea", "sky"];
    const { data, settings } = await analyzePerturbation(model, { labels, seed: 5, variants: 2 });
    const { images: originals } = await generate(model, { labels, seed: 5 });
    // Two labels take 0 and 1; variants follow, label by label.
    for (const [i, label] of labels.entries()) {
      const request = { labels: [label, label], seed: 5, indices: [2 + 2 * i, 3 + 2 * i] };
      const { images } = await generate(model, request);
      const wanted = images.reduce((sum, image) => sum + distance(image, originals[i]!), 0) / 2;
      assert(Math.abs(data.labels[i]!.pixels[0]! - wanted) < 1e-12);
    }
    assertEquals(data.scales.map(({ map }) => map[0]), [1, 2, 3, 4]);
    assertEquals(data.scales[0]!.open, 1);
    assert(data.scales[3]!.pixels.value < data.scales[0]!.pixels.value);
    assertEquals([data.extractor, data.scales[0]!.features], [undefined, undefined]);
    assertEquals(settings, { labels, seed: 5, variants: 2 });
  },
);

testOnModel(
  "tiny",
  "analyzePerturbation: sheets show originals and variants, scale by scale",
  async (model) => {
    const options = { labels: ["sea", "sky", "snow"], variants: 3, sheets: 2 };
    const analysis = await analyzePerturbation(model, options);
    const pictures = await analysis.pictures();
    assertEquals(pictures.map(({ name }) => name), [
      "perturbation-0-sea.png",
      "perturbation-1-sky.png",
      "perturbation.svg",
    ]);
    // Four rows of four pictures, 8 pixels each way, enlarged by 12.
    const sheet = RgbaImage.decode(pictures[0]!.bytes);
    assert(sheet.width > 4 * 96 && sheet.height > 4 * 96);
    assertEquals(analysis.table.rows.length, 4);
  },
);

Deno.test({
  name: "analyzePerturbation: early scales of the demo change everything, the last one details",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("demo", "cpu");
    const options = { labels: ["red torus", "blue cone", "green cube"], variants: 1, sheets: 0 };
    const { data: { scales, extractor } } = await analyzePerturbation(model, options);
    assertEquals(extractor, "demo reward");
    assert(scales[1]!.open > 0.4, `${scales[1]!.open}`);
    assert(scales[5]!.open < 0.1, `${scales[5]!.open}`);
    assert(scales[5]!.features!.value < 0.7 * scales[0]!.features!.value);
  },
});

testOnModel(
  "tiny",
  "analyzePerturbation: what cannot be done is refused, and a signal ends it",
  async (model) => {
    await assertRejects(() => analyzePerturbation(model, { variants: 0 }), RangeError, "variants must be");
    await assertRejects(
      () => analyzePerturbation(model, { scale: 1 } as object),
      TypeError,
      '"scale" is unknown',
    );
    const controller = new AbortController();
    const options = {
      labels: ["sea"],
      signal: controller.signal,
      onProgress: (done: number) => done > 0 && controller.abort(new Error("enough")),
    };
    await assertRejects(() => analyzePerturbation(model, options as object), Error, "enough");
  },
);
