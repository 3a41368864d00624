import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { EncodeOptions, PictureArray } from "../../../models/model.ts";
import { reconstruct } from "../../../sampler/editing/reconstruct.ts";
import { generate } from "../../../sampler/generate.ts";
import { classify } from "../../../sampler/likelihood/classify.ts";
import { score } from "../../../sampler/likelihood/score.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { testRandom } from "../../devices.ts";
import { changed, sharedModel, testOnModel } from "../models.ts";

/** A picture of anything. */
function noise(seed: number): RgbaImage {
  const random = testRandom(seed);
  return new RgbaImage(8, 8, new Uint8ClampedArray(Array.from({ length: 256 }, () => 256 * random())));
}

testOnModel("coded", "classify: is the likeliest label of the tokens, stage by stage", async (model) => {
  const pictures = [noise(1), noise(2), noise(3)];
  const { images } = await reconstruct(model, pictures);
  const scores = await score(model, images.map(({ tokens }) => tokens), [0, 1, 2, 3, 4]);
  const stages = [{ scales: 2, keep: 3 }, { scales: 4, keep: 2 }, { scales: 4 }];
  const { readbacks } = model.device.counters;
  const found = await classify(model, pictures, undefined, { stages });
  // One for the tokens; what the third stage asks, the second has weighed.
  assertEquals(model.device.counters.readbacks - readbacks, 3);
  for (const [i, { label, ranking, margin, stages: told }] of found.images.entries()) {
    const by = (scales: number, labels: readonly number[]): number[] => {
      return labels.toSorted((a, b) => scores.of(i, b, scales) - scores.of(i, a, scales));
    };
    const first = by(2, [0, 1, 2, 3, 4]);
    const second = by(4, first.slice(0, 3));
    assertEquals(ranking.map(({ id }) => id), [...second, ...first.slice(3)]);
    assertEquals(label.id, second[0]);
    assertAlmostEquals(margin, scores.of(i, second[0]!) - scores.of(i, second[1]!), 1e-4);
    assertEquals(told.map(({ ranking }) => ranking.map(({ label }) => label.id)), [
      first,
      second,
      second.slice(0, 2),
    ]);
    assertAlmostEquals(told[0]!.ranking[4]!.logProbability, scores.of(i, first[4]!, 2), 1e-4);
  }
  const { scales, condition } = model.flops!(model.schedule({ cfg: 1, guidance: "constant" }), false);
  const [two, four] = [2, 4].map((end) => scales.slice(0, end).reduce((sum, each) => sum + each, condition));
  assertEquals(found.flops, 3 * (5 * two! + 3 * four!));
  assertEquals(found.fullFlops, 3 * 5 * four!);
});

testOnModel(
  "coded",
  "classify: samples are encodings with noise, the same for each picture",
  async (model) => {
    const pictures = [noise(4), noise(5)];
    const stages = [{ scales: 4, samples: 3 }];
    /** Standard deviation of what was added to features, for each time that they were encoded. */
    const added: number[] = [];
    const watched = changed(model, {
      encode: (array: PictureArray, images: number, { adjust, ...options }: EncodeOptions = {}) => {
        if (adjust === undefined) added.push(0);
        return model.encode(array, images, {
          ...options,
          ...(adjust && {
            adjust: async (features) => {
              const read = async () => new Float32Array((await features.device.read([features]))[0]!.buffer);
              const before = await read();
              await adjust(features);
              const after = await read();
              const squares = after.map((value, i) => (value - before[i]!) ** 2);
              added.push(Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / squares.length));
            },
          }),
        });
      },
    });
    const found = await classify(watched, pictures, [0, 1, 2], { stages, noise: 0.3 });
    assertEquals(added.length, 3);
    assertEquals(added[0], 0);
    // 64 numbers or more: within four standard errors.
    for (const deviation of added.slice(1)) assertAlmostEquals(deviation, 0.3, 0.3 * 4 / Math.sqrt(128));
    assert(added[1] !== added[2]);
    const [alone] = (await classify(model, pictures[1]!, [0, 1, 2], { stages, noise: 0.3 })).images;
    for (const [i, { label, logProbability }] of alone!.stages[0]!.ranking.entries()) {
      assertEquals(label, found.images[1]!.stages[0]!.ranking[i]!.label);
      assertAlmostEquals(logProbability, found.images[1]!.stages[0]!.ranking[i]!.logProbability, 1e-4);
    }
    // Without noise all samples are the picture's own.
    const [own, mean] = await Promise.all([{ scales: 4 }, { scales: 4, samples: 2 }].map(async (stage) => {
      return (await classify(model, pictures[0]!, [0, 1], { stages: [stage], noise: 0 })).images[0]!;
    }));
    assertAlmostEquals(own!.margin, mean!.margin, 1e-4);
    const other = await classify(model, pictures, [0, 1, 2], { stages, noise: 0.3, seed: 8 });
    assert(other.images[1]!.margin !== found.images[1]!.margin);
  },
);

Deno.test({
  name: "classify: tells what the demo has painted",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("demo", "cpu");
    const { images } = await generate(model, { labels: ["red torus", "gray cube"], seed: 5, cfg: 3 });
    // Labels that share the shape or the colour.
    const labels = ["red torus", "gray torus", "red cube", "gray cube", "red sphere", "blue cube"];
    const found = await classify(model, images, labels, { stages: [{ scales: 4, keep: 2 }, { scales: 6 }] });
    assertEquals(found.images.map(({ label }) => label.name), ["red torus", "gray cube"]);
  },
});

testOnModel("tiny", "classify: needs an encoder", async (model) => {
  await assertRejects(() => classify(model, noise(1)), TypeError, "encoder");
});
