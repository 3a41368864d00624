import { assert, assertEquals, assertRejects } from "@std/assert";
import { analyzeScales } from "../../../evaluation/analyses/scales.ts";
import { generate } from "../../../sampler/generate.ts";
import { ownEvidence } from "../../../sampler/methods/own_evidence.ts";
import { verifierOf } from "../../../sampler/methods/own_verifier.ts";
import { ranking, sharedModel, testOnModel } from "../../sampler/models.ts";

testOnModel(
  "tiny",
  "analyzeScales: ranks within labels, and the last scale agrees with itself",
  async (model) => {
    // Four pictures a label, scale by scale: upside down, as in the end, all equal, the end.
    const end = [1, 4, 2, 3];
    const turns = [[4, 1, 3, 2], [10, 40, 20, 30], [7, 7, 7, 7], end];
    let looks = 0;
    const verifier = verifierOf({
      name: "turns",
      score: (images) => images.map((_, i) => turns[looks % 4]![i % 4]!).slice(0, (looks++, images.length)),
    });
    const { data } = await analyzeScales(model, { labels: ["sea", "sky"], pictures: 4, verifier });
    assertEquals(data.scales.map(({ spearman }) => Math.round(spearman.value * 1e9) / 1e9), [-1, 1, 0, 1]);
    assertEquals(data.scales.map(({ kendall }) => Math.round(kendall.value * 1e9) / 1e9), [-1, 1, 0, 1]);
    // The best by the first look is the worst in the end, (1 - 2.5) / (4 - 2.5); so is the first of equals.
    assertEquals(data.scales.map(({ gain }) => gain.value), [-1, 1, -1, 1]);
    assertEquals(data.scales[3]!.spearman, { value: 1, low: 1, high: 1 });
    assertEquals(data.labels[0]!.scores[1], [1, 40, 7, 4]);
  },
);

Deno.test({
  name: "analyzeScales: the demo's verifier says little early and all at the end, and a look has its price",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("demo", "cpu");
    const { data } = await analyzeScales(model, { labels: ["red torus"], pictures: 3, seed: 2 });
    assertEquals(data.verifier, "demo reward");
    assertEquals(data.scales.at(-1)!.spearman.value, 1);
    // What is spent at the end is a plain picture, and looks before it take a decode that it does not have.
    const costs = data.scales.map(({ cost }) => cost!);
    assertEquals(costs.at(-1)!.spent.toFixed(9), "1.000000000");
    const { condition, scales, decode } = model.flops!(model.schedule());
    const plain = condition + scales.reduce((sum, it) => sum + it, 0) + decode(5);
    const { flops } = await model.verifier!();
    assert(Math.abs(costs[2]!.look - (decode(2) + flops!) / plain) < 1e-12);
    assert(Math.abs(costs.at(-1)!.look - flops! / plain) < 1e-12);
  },
});

testOnModel(
  "tiny",
  "analyzeScales: what the model itself knows judges, too, without a picture",
  async (model) => {
    const options = { labels: ["sea"], pictures: 3, painting: { cfg: 2 }, verifier: ownEvidence() };
    const { data, table } = await analyzeScales(model, options);
    const plain = model.flops!(model.schedule({ cfg: 2 }));
    assertEquals(data.scales.map(({ cost }) => cost!.look), plain.scales.map(() => 0));
    assertEquals(data.fingerprint, undefined);
    assertEquals(table.rows.length, 4);
    await generate(model, { labels: "sea" });
  },
);

testOnModel("tiny", "analyzeScales: another verifier may have the last word", async (model) => {
  const [verifier, against] = [ranking([1, 2, 3]), { ...ranking([3, 2, 1]), name: "other" }];
  const { data, settings } = await analyzeScales(model, { labels: ["sea"], pictures: 3, verifier, against });
  assertEquals(data.scales.map(({ kendall }) => Math.round(kendall.value * 1e9) / 1e9), [-1, -1, -1, -1]);
  assertEquals([data.against, settings.against, data.labels[0]!.against], ["other", "other", [3, 2, 1]]);
});

testOnModel("tiny", "analyzeScales: what cannot be done is refused", async (model) => {
  const refused = (options: object, message: string) =>
    assertRejects(() => analyzeScales(model, { labels: ["sea"], pictures: 2, ...options }), Error, message);
  await refused({}, 'Cannot judge scales without a verifier as the model "VAR-d1" brings none');
  await refused({ verifier: {} }, "verifier must be a verifier with a name and score");
  await refused({ verifier: ranking([1]), pictures: 1 }, "pictures must be an integer from 2 to 10000");
  await refused({ verifier: ranking([1]) }, '"ranking" finds all pictures of each label equally good');
  await refused({ verifier: ranking([1, NaN]) }, 'scores of "ranking" must be finite numbers');
});
