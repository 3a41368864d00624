import { assert, assertEquals, assertRejects } from "@std/assert";
import { analyzeRepresentatives } from "../../../evaluation/analyses/representatives.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { changed, testOnModel } from "../../sampler/models.ts";

testOnModel("tiny", "analyzeRepresentatives: the branch taken is VAR-Scaling's own", async (model) => {
  const labels = ["sea", "sky"];
  const samples = [6, 3, 20];
  const { data } = await analyzeRepresentatives(model, { labels, seed: 4, scale: -2, samples });
  assertEquals(data.scale, 2);
  assertEquals(data.labels.map(({ label, samples }) => [label, samples]), [
    ...[3, 6, 20].map((amount) => ["sea", amount]),
    ...[3, 6, 20].map((amount) => ["sky", amount]),
  ]);
  for (const amount of samples) {
    const search = varScaling({ scale: 2, samples: amount });
    const { images } = await generate(model, { labels, seed: 4, hooks: [search] });
    for (const image of images) {
      const { chosen, low, ratio } = image.decisionsOf(search)[0]!.value;
      const row = data.labels.find(({ label, samples }) => label === image.label.name && samples === amount)!;
      assertEquals([row.branch, row.ratio], [low ? "low" : "high", ratio]);
      assertEquals(row[row.branch].candidate, chosen);
      // The share of nine positions and all candidates.
      assertEquals(row.high.share, row.high.density / (9 * amount));
      assert(row.high.place < amount && row.low.place < amount);
    }
  }
});

testOnModel(
  "tiny",
  "analyzeRepresentatives: a search without branches takes always the same",
  async (model) => {
    const other = changed(model, { search: { ...model.search, strategy: "top-k", pick: "rank" } });
    const options = { labels: ["sea", "sky"], samples: [40], seed: 1 };
    const { data: { labels } } = await analyzeRepresentatives(other, options);
    const search = varScaling({ samples: 40 });
    const { images } = await generate(other, { labels: options.labels, seed: 1, hooks: [search] });
    assertEquals(labels.map(({ branch }) => branch), ["high", "high"]);
    const chosen = images.map((image) => image.decisionsOf(search)[0]!.value.chosen);
    assertEquals(labels.map(({ high }) => high.candidate), chosen);
    assert(labels.some(({ high, low }) => high.candidate !== low.candidate));
  },
);

testOnModel("tiny", "analyzeRepresentatives: a sheet a label and a curve", async (model) => {
  const analysis = await analyzeRepresentatives(model, { labels: ["sea"], samples: [2, 4] });
  const names = (await analysis.pictures()).map(({ name }) => name);
  assertEquals(names, ["representatives-0-sea.png", "representatives.svg"]);
  assertEquals(analysis.table.rows.map(([amount]) => amount), ["2", "4"]);
});

testOnModel("tiny", "analyzeRepresentatives: what cannot be done is refused", async (model) => {
  const refused = (options: object, message: string) =>
    assertRejects(() => analyzeRepresentatives(model, { labels: ["sea"], ...options }), Error, message);
  await refused({ samples: [1] }, "samples must be an integer from 2 to 8192: current value is 1");
  await refused({ samples: [] }, "samples must be at least one number");
  await refused({ scale: 4 }, "scale must be an integer from -4 to 3: current value is 4");
});
