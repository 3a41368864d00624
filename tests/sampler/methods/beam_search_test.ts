import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { generate } from "../../../sampler/generate.ts";
import { beamSearch } from "../../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ownDensity } from "../../../sampler/methods/own_density.ts";
import { ranking, testOnModel, tokensOf } from "../models.ts";

testOnModel(
  "tiny",
  "beamSearch: keeps the best lanes, whose copies begin alike and part ways",
  async (model) => {
    const search = beamSearch({ beams: 2, width: 2, scales: [1], verifier: ranking([1, 4, 2, 3]), keep: 4 });
    const { images, trace } = await generate(model, { labels: "sea", seed: 2, hooks: [search] });
    assertEquals(images.map(({ attempts }) => attempts.length), [6, 6, 6, 6]);
    const [{ attempts }] = images as [typeof images[0]];
    // Lanes 1 and 3 are the best two; their copies take numbers that nobody goes on with.
    assertEquals(attempts.map(({ attempt, lane, from, dropped }) => [attempt, lane, from, dropped?.scale]), [
      [0, 0, undefined, 1],
      [1, 1, undefined, undefined],
      [2, 2, undefined, 1],
      [3, 3, undefined, undefined],
      [4, 0, { attempt: 1, scale: 1 }, undefined],
      [5, 2, { attempt: 3, scale: 1 }, undefined],
    ]);
    const of = (attempt: number) => images.find((image) => image.attempt === attempt)!;
    for (const [first, copy] of [[1, 4], [3, 5]] as const) {
      assertEquals(of(copy).tokens.slice(0, 2), of(first).tokens.slice(0, 2));
      assert(of(copy).tokens.slice(2).join() !== of(first).tokens.slice(2).join());
    }
    assertEquals([trace.cost.passes, trace.cost.decodes, trace.cost.judged], [16, 8, 8]);
  },
);

testOnModel("tiny", "beamSearch: one beam of N with no scale between is Best of N", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 3 };
  const verifier = ownDensity();
  const beam = await generate(model, {
    ...request,
    hooks: [beamSearch({ beams: 1, width: 4, scales: [], verifier })],
  });
  const best = await generate(model, { ...request, hooks: [bestOfN({ samples: 4, verifier })] });
  assertEquals(tokensOf(beam), tokensOf(best));
});

testOnModel("tiny", "beamSearch: images in a batch are populations of their own", async (model) => {
  const request = {
    labels: ["sea", "sky", "snow"],
    seed: 8,
    hooks: [beamSearch({ verifier: ownDensity() })],
  };
  const together = await generate(model, { ...request, batch: 64 });
  const apart = await generate(model, { ...request, batch: 4 });
  assertEquals(tokensOf(apart), tokensOf(together));
});

testOnModel(
  "tiny",
  "beamSearch: by default it judges at half and at three quarters of the way",
  async (model) => {
    const search = beamSearch({ verifier: ranking([0, 1, 2, 3]) });
    const { images: [image] } = await generate(model, { labels: "sea", hooks: [search] });
    assertEquals(image!.decisionsOf(search).map(({ scale }) => scale), [2, 3]);
    await assertRejects(
      () => generate(model, { labels: 0, hooks: [beamSearch({ scales: [9], verifier: ranking([0]) })] }),
      RangeError,
      "a scale of the beam search",
    );
  },
);

Deno.test("beamSearch: bad options are refused", () => {
  assertThrows(() => beamSearch({ beams: 0 }), RangeError, "beams must be");
  assertThrows(() => beamSearch({ beams: 16, width: 17 }), RangeError, "beams · width must be at most 256");
  assertThrows(() => beamSearch({ keep: 5 }), RangeError, "keep must be at most 4, the lanes");
  assertThrows(() => beamSearch({ scales: [0.5] }), RangeError, "a scale must be");
  assertThrows(() => beamSearch({ scales: 3 as never }), TypeError, "scales must be");
});
