import { assert, assertEquals } from "@std/assert";
import type { Verifier } from "../../models/vision/verifier.ts";
import { type Cost, guides, imagesTogether, sumOfCosts, totalFlops } from "../../sampler/cost.ts";
import { generate } from "../../sampler/generate.ts";
import { beamSearch } from "../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { generateSeries } from "../../sampler/series.ts";
import { sharedModel, testOnModel } from "./models.ts";

/** Gives its scores on the device, as a network does. */
function network(facts: Partial<Verifier> = {}): Verifier {
  return {
    name: "network",
    needsPrompt: false,
    flops: 1000,
    ...facts,
    score: ({ array: { device }, count }) =>
      device.upload(Float32Array.from({ length: count }, (_, i) => i), "scores"),
  };
}

testOnModel("tiny", "generate: the cost of a search is its lanes, pictures and operations", async (model) => {
  const { scales, condition, decode } = model.flops!(model.schedule());
  // Two images of four lanes; after scale 1 the two best go on twice, in small pictures.
  const small = network({ smallestEdge: 4 });
  const hooks = [
    beamSearch({ scales: [1], verifier: small }),
    bestOfN({ samples: 4, verifier: network({ flops: 7 }) }),
  ];
  const { trace: { cost, readbacks } } = await generate(model, { labels: [0, 1], hooks });
  assertEquals(cost.passes, 2 * 4 * 4);
  // All lanes at half the size after scales 1 and 3, and in full size what the first judge has left.
  assertEquals([cost.decodes, cost.judged], [8 + 8 + 2, 8 + 8 + 2]);
  const perLane = scales.reduce((sum, flops) => sum + flops);
  assertEquals(cost.transformerFlops, 2 * condition + 8 * perLane);
  assertEquals(cost.decoderFlops, 16 * decode(3, 2) + 2 * decode(3));
  assertEquals(cost.judgeFlops, 16 * 1000 + 2 * 7);
  // One for each time that somebody judges, and the last one for all that comes back.
  assertEquals(readbacks, 4);
});

testOnModel(
  "tiny",
  "generate: the time of a cost is divided, and its bytes are those that were there",
  async (model) => {
    let judged = 0;
    const slow: Verifier = {
      name: "slow",
      needsPrompt: false,
      async score({ array, count }) {
        judged = array.device.counters.liveBytes;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return new Float32Array(count);
      },
    };
    const { trace } = await generate(model, { labels: 0, hooks: [bestOfN({ samples: 3, verifier: slow })] });
    const { seconds: { scales, decode, judge }, peakBytes } = trace.cost;
    assert(judge >= 0.049 && scales > 0 && decode > 0, `${scales} ${decode} ${judge}`);
    // The counter begins when the request is checked.
    const whole = trace.total / 1000;
    const parts = scales + decode + judge;
    assert(parts <= whole && parts > 0.5 * whole, `${parts} of ${whole}`);
    assert(peakBytes >= judged && judged > 0, `${peakBytes} ${judged}`);
    assert(peakBytes > model.device.counters.liveBytes);
  },
);

testOnModel("coded", "generate: an edit costs what it generates", async (model) => {
  const { images: [image], trace: { cost } } = await generate(model, { labels: 0 });
  const edit = { image: image!, box: [0, 0, 1, 0.5] as const };
  const edited = await generate(model, { labels: 0, edit });
  const { passes, decodes, flops } = edited.trace.cost;
  assertEquals([passes, decodes, flops], [cost.passes, cost.decodes, cost.flops]);
});

testOnModel("tiny", "sumOfCosts: a series has cost what its batches have", async (model) => {
  const hooks = [bestOfN({ samples: 2, verifier: network() })];
  const request = { labels: [0, 1, 2], batch: 4, hooks };
  const { trace: { cost: whole } } = await generate(model, request);
  const costs: Cost[] = [];
  for await (const { progress } of generateSeries(model, request)) costs.push(progress.cost);
  assertEquals(costs.map(({ passes }) => passes), [16, 24]);
  const { peakBytes, seconds, ...counts } = costs[1]!;
  const { peakBytes: _bytes, seconds: _seconds, ...wanted } = whole;
  assertEquals(counts, wanted);
  assert(peakBytes >= costs[0]!.peakBytes && seconds.scales > costs[0]!.seconds.scales);
  assertEquals(sumOfCosts([]).flops, 0);
  assertEquals(sumOfCosts([whole, { ...whole, flops: undefined }]).flops, undefined);
});

Deno.test("totalFlops: nothing is known of a sum of which a part is not known", () => {
  const known = { passes: 0, decodes: 0, judged: 0, transformerFlops: 1, decoderFlops: 2, judgeFlops: 3 };
  assertEquals(totalFlops(known), 6);
  for (const part of ["transformerFlops", "decoderFlops", "judgeFlops"]) {
    assertEquals(totalFlops({ ...known, [part]: undefined }), undefined);
  }
});

testOnModel(
  "tiny",
  "guides: batches have unconditional rows if something is to be guided",
  async (classes) => {
    const [sand, none] = [0, null].map((label) => classes.resolveLabel(label));
    const schedule = classes.schedule();
    assertEquals([[sand!], [none!], [none!, sand!]].map((labels) => guides(classes, labels, schedule)), [
      true,
      false,
      true,
    ]);
    assertEquals(guides(classes, [sand!], classes.schedule({ cfg: 0 })), false);
    assertEquals([[8, 3], [7, 8]].map(([batch, lanes]) => imagesTogether({ batch: batch!, lanes: lanes! })), [
      2,
      1,
    ]);
    const texts = await sharedModel("texts", "cpu");
    const away = texts.schedule({ familyOptions: { negativePrompt: "a cube" } });
    assertEquals([away, texts.schedule()].map((s) => guides(texts, [texts.resolveLabel(null)], s)), [
      true,
      false,
    ]);
  },
);
