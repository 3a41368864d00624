import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { tune } from "../../../evaluation/analyses/tuning.ts";
import type { Model } from "../../../models/model.ts";
import type { Verifier } from "../../../models/vision/verifier.ts";
import { generate } from "../../../sampler/generate.ts";
import { verifierOf } from "../../../sampler/methods/own_verifier.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { changed, ranking, sharedModel } from "../../sampler/models.ts";

/** What differs between devices is tested where it is done; here are many pictures. */
function testOnTiny(title: string, test: (model: Model) => Promise<void>): void {
  Deno.test({
    name: title,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => await test(await sharedModel("tiny", "cpu")),
  });
}

const LABELS = ["sea", "sky", "snow"];
/** A setting of the tiny model, whose own is scale 1, N = 50, α = 2.4 and 1.8. */
const WANTED = { scale: 2, samples: 12, alpha: 1.2, conflictThreshold: 0 };
const GRID = { labels: LABELS, scales: [1, 2], samples: [12, 50], conflictThresholds: [0], alphas: [1.2, 3] };

/** A verifier that likes nothing but the pictures that a setting paints on some seeds. */
async function fond(model: Model, seeds: readonly number[], sign: 1 | -1 = 1): Promise<Verifier> {
  const known = new Set<string>();
  for (const seed of seeds) {
    const { images } = await generate(model, { labels: LABELS, seed, hooks: [varScaling(WANTED)] });
    for (const { data } of images) known.add(data.join());
  }
  return verifierOf({
    name: sign === 1 ? "fond" : "averse",
    score: (images) => images.map(({ data }) => known.has(data.join()) ? sign : 0),
  });
}

testOnTiny("tune: finds what a verifier is fond of, and held-out seeds agree", async (model) => {
  const verifier = await fond(model, [0, 1, 5, 6, 7]);
  const options = { ...GRID, verifier, seeds: [0, 1], heldOutSeeds: [5, 6, 7], date: "2026-01-02" };
  const { data, title, table, pictures } = await tune(model, options);
  assertEquals(data.tuned, WANTED);
  assertEquals(data.tried[0]!.score, 1);
  assertEquals(data.own, { scale: 1, samples: 50, alpha: 2.4, conflictThreshold: 1.8 });
  const [found] = data.heldOut;
  assertEquals([found!.tuned.value, found!.own.value, found!.difference.low], [1, 0, 1]);
  const { plain, own, tuned } = found!.scores;
  assertEquals([plain.length, own, tuned], [9, new Array(9).fill(0), new Array(9).fill(1)]);
  // Nine differences of 1: of their 2^9 signs, two make as much of them.
  assertEquals(found!.p, 2 / 2 ** 9);
  assertEquals([data.better, data.misled], [true, false]);
  assertStringIncludes(title, "Better than the model's own by 1.000");
  assertEquals(table.columns.length, table.rows[0]!.length);
  const svg = new TextDecoder().decode((await pictures())[0]!.bytes);
  assertEquals(
    Array.from(svg.matchAll(/>scale (\d), N = (\d+)/g), ([, scale, samples]) => `${scale} ${samples}`),
    [
      ...["1 12", "1 50", "1 50", "2 12", "2 50"],
    ],
  );
  const { evidence, ...settings } = data.tuning;
  assertEquals(settings, WANTED);
  const { date, verifier: who, before, better } = evidence!;
  assertEquals([date, who, before, better], ["2026-01-02", { name: "fond" }, data.own, true]);
  // A model folder has room for what came of them, not for all scores.
  const { scores: _scores, ...kept } = found!;
  assertEquals(evidence!.heldOut, [kept]);
  assertEquals(JSON.parse(JSON.stringify(data.tuning)), data.tuning);
});

testOnTiny(
  "tune: scores are those of pictures that VAR-Scaling paints with each α",
  async (model) => {
    // Brightness, which differs from picture to picture.
    const verifier = verifierOf({
      name: "bright",
      score: (images) => images.map(({ data }) => data.reduce((sum, level) => sum + level, 0) / data.length),
    });
    const options = {
      labels: LABELS,
      verifier,
      samples: [20],
      conflictThresholds: [0.5],
      alphas: [1, 1.6, 1.9],
    };
    const { data } = await tune(model, { ...options, seeds: [3, 4], heldOutSeeds: [5] });
    // Four with 20 candidates, the fourth what suits them, and the model's own.
    assertEquals(data.tried.length, 5);
    for (const { score, low, ...setting } of data.tried) {
      const { scale, samples, alpha, conflictThreshold } = setting;
      const search = varScaling({ scale, samples, alpha, conflictThreshold });
      let [sum, count] = [0, 0];
      for (const seed of [3, 4]) {
        const { images } = await generate(model, { labels: LABELS, seed, hooks: [search] });
        for (const image of images) {
          sum += image.data.reduce((sum, level) => sum + level, 0) / image.data.length / 6;
          count += image.decisionsOf(search)[0]!.value.low ? 1 : 0;
        }
      }
      assert(Math.abs(score - sum) < 1e-9, `${score} is not ${sum}`);
      assertEquals(low, count / 6);
    }
  },
);

testOnTiny("tune: what only the tried seeds like is not better", async (model) => {
  const verifier = await fond(model, [0, 1]);
  const { data, title } = await tune(model, { ...GRID, verifier, seeds: [0, 1], heldOutSeeds: [5, 6] });
  assertEquals([data.tuned, data.better], [WANTED, false]);
  assertEquals(data.heldOut[0]!.difference.value, 0);
  assertStringIncludes(title, "is not surely better on held-out seeds");
});

testOnTiny("tune: a few held-out pictures make nothing sure, however much better they are", async (model) => {
  const verifier = await fond(model, [0, 1, 5]);
  const { data } = await tune(model, { ...GRID, verifier, seeds: [0, 1], heldOutSeeds: [5] });
  const [{ difference, p }] = data.heldOut as [typeof data.heldOut[0]];
  // Three of three are better, which chance has happen one time in four.
  assertEquals([difference, p, data.better], [{ value: 1, low: 1, high: 1 }, 2 / 2 ** 3, false]);
});

testOnTiny("tune: whom nothing pleases keeps the model's own settings", async (model) => {
  const { data, title } = await tune(model, {
    ...GRID,
    verifier: ranking([4]),
    seeds: [0],
    heldOutSeeds: [5],
  });
  assertEquals([data.tuned, data.heldOut, data.better], [data.own, [], false]);
  assertStringIncludes(title, "Nothing that was tried beats the model's own settings");
});

testOnTiny("tune: a judge tells when only the verifier was pleased", async (model) => {
  const verifier = await fond(model, [0, 5, 6, 7]);
  const judge = await fond(model, [0, 5, 6, 7], -1);
  const options = { ...GRID, verifier, judge, seeds: [0], heldOutSeeds: [5, 6, 7] };
  const { data, title } = await tune(model, options);
  assertEquals([data.better, data.misled, data.tried[0]!.judged], [true, true, -1]);
  assertEquals(data.heldOut.map(({ name }) => name), ["fond", "averse"]);
  assertStringIncludes(title, "only the verifier was pleased");
  assertEquals(data.tuning.evidence!.misled, true);
});

testOnTiny("tune: a search that does not go by α is tuned without it", async (model) => {
  const other = changed(model, { search: { ...model.search, strategy: "top-k" } });
  const options = { labels: ["sea"], verifier: ranking([1, 2]), seeds: [0], heldOutSeeds: [1] };
  const { data } = await tune(other, { ...options, samples: [5], conflictThresholds: [0] });
  assertEquals(data.tried.map(({ low }) => low), [0, 0]);
  await assertRejects(
    () => tune(other, { ...options, alphas: [1] }),
    RangeError,
    'takes its "top-k" candidates',
  );
});

testOnTiny("tune: what cannot be done is refused, and a signal ends it", async (model) => {
  const verifier = ranking([1, 2]);
  const refused = (options: object, message: string) =>
    assertRejects(() => tune(model, { labels: ["sea"], verifier, ...options }), Error, message);
  await refused({ verifier: undefined }, 'without a verifier as the model "VAR-d1" brings none');
  await refused({ labels: [] }, "labels must be at least one label");
  await refused({ seeds: [] }, "seeds must be at least one seed");
  await refused(
    { seeds: [1, 2], heldOutSeeds: [2n] },
    "heldOutSeeds must be other seeds than those that are tried",
  );
  await refused({ samples: [1] }, "samples must be an integer from 2 to 8192");
  await refused({ scales: [4] }, "each of scales must be an integer from -4 to 3");
  await refused({ scales: [] }, "scales must be at least one number");
  await refused({ alphas: [] }, "alphas must be at least one number");
  await refused({ conflictThresholds: [-1] }, "conflictThresholds must be from 0");
  await refused({ seed: 3 }, 'the option "seed" is unknown');
  await refused({ verifier: ranking([NaN]) }, "each score must be finite");
  await refused({ signal: AbortSignal.abort(new Error("enough")) }, "enough");
});
