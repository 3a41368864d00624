import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { analyzeDensities, placeOf } from "../../../evaluation/analyses/densities.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { sharedModel, testOnModel } from "../../sampler/models.ts";

testOnModel("tiny", "analyzeDensities: says what VAR-Scaling decides", async (model) => {
  const labels = ["sea", "sky", "snow"];
  for (const alpha of [0, 1.5, 100]) {
    const settings = { scale: 1, samples: 30, alpha, conflictThreshold: 1 };
    const search = varScaling(settings);
    const { images } = await generate(model, { labels, seed: 2, hooks: [search] });
    const { data } = await analyzeDensities(model, { labels, seed: 2, ...settings });
    for (const [i, found] of data.labels.entries()) {
      const { max, mean, ratio, low, unique, chosen, kept } = images[i]!.decisionsOf(search)[0]!.value;
      const { densities, conflicts, label, ...decided } = found;
      assertEquals(label, labels[i]);
      assertEquals(decided, {
        ...{ max, mean, ratio, low, unique, chosen },
        kept: kept.map(({ candidate }) => candidate),
      });
      assertEquals(densities.length, 30);
      // Representatives are sought from the densest on; whatever lies between them was passed over.
      const places = kept.map(({ candidate }) => placeOf(Float32Array.from(densities), candidate));
      assertEquals(conflicts, low ? undefined : Math.max(...places) + 1 - kept.length);
    }
  }
});

testOnModel("tiny", "analyzeDensities: histograms stand one a label, with α", async (model) => {
  const analysis = await analyzeDensities(model, { labels: ["sea", "sea"], samples: 10, alpha: 1.25 });
  const [{ name, bytes }] = await analysis.pictures() as [{ name: string; bytes: Uint8Array }];
  assertEquals(name, "densities.svg");
  const svg = new TextDecoder().decode(bytes);
  assertStringIncludes(svg, ">α = 1.25<");
  assertEquals(svg.match(/>sea<\/tspan>.*?>\d\.\d\d, (low|high)</g)?.length, 2);
});

Deno.test({
  name: "analyzeDensities: a long prompt leaves room for its branch, and what no branch follows from says so",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("texts", "cpu");
    const labels = ["a blue cube far to the left of a red sphere"];
    const analysis = await analyzeDensities(model, { labels, samples: 4, scale: 1 });
    const svg = new TextDecoder().decode((await analysis.pictures())[0]!.bytes);
    assertStringIncludes(svg, ">a blue cube far to the left…</tspan>");
    assertStringIncludes(analysis.title, '; the model\'s own search takes "top-k" whatever the density');
  },
});

testOnModel("tiny", "analyzeDensities: no bar of a histogram stands on both sides of α", async (model) => {
  for (const alpha of [0, 0.9, 1.25, 40]) {
    const analysis = await analyzeDensities(model, { labels: ["sea", "sky"], samples: 40, alpha });
    const svg = new TextDecoder().decode((await analysis.pictures())[0]!.bytes);
    const dashed = svg.match(/<g[^>]*stroke-dasharray.*?<\/g>/s)![0];
    const at = Number(dashed.match(/x1="([\d.]+)"/)![1]);
    const bars = [...svg.matchAll(/<rect[^>]* width="([\d.]+)"[^>]* x="([\d.]+)"/g)];
    assert(bars.length >= 2);
    for (const [, width, x] of bars) {
      // Plot leaves half a pixel beside each bar, and lines stand on half pixels.
      assert(Number(x) + Number(width) <= at + 1 || Number(x) >= at - 1, `${x} + ${width} at ${at}`);
    }
    // Every candidate is in a bar.
    assertEquals(analysis.data.labels.map(({ densities }) => densities.length), [40, 40]);
  }
});

testOnModel("tiny", "analyzeDensities: what cannot be done is refused", async (model) => {
  const refused = (options: object, message: string) =>
    assertRejects(() => analyzeDensities(model, { labels: ["sea"], ...options }), Error, message);
  await refused({ samples: 1 }, "samples must be an integer from 2 to 8192");
  await refused({ alpha: -1 }, "alpha must be from 0 to 1048576");
  await refused({ conflictThreshold: NaN }, "conflictThreshold must be");
  await refused({ labels: [] }, "labels must be at least one label");
});

Deno.test("placeOf: the densest is first, and equal ones are in order", () => {
  const densities = new Float32Array([3, 1, 3, 7]);
  assertEquals([0, 1, 2, 3].map((candidate) => placeOf(densities, candidate)), [1, 3, 2, 0]);
  assert(Number.isInteger(placeOf(densities, 0)));
});
