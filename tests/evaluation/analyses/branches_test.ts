import { assertEquals, assertRejects } from "@std/assert";
import { analyzeBranches, isLow } from "../../../evaluation/analyses/branches.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { testOnModel } from "../../sampler/models.ts";

testOnModel(
  "tiny",
  "analyzeBranches: counts what VAR-Scaling decides for each α, N and seed",
  async (model) => {
    const labels = ["sea", "sky"];
    const [samples, alphas, seeds] = [[8, 20], [1.3, 1.7], [3, 2n ** 60n]];
    const { data, settings } = await analyzeBranches(model, { labels, scale: 1, samples, alphas, seeds });
    for (const { samples: amount, low } of data.samples) {
      for (const { alpha, value } of low) {
        const search = varScaling({ scale: 1, samples: amount, alpha });
        let found = 0;
        for (const seed of seeds) {
          const { images } = await generate(model, { labels, seed, hooks: [search] });
          found += images.filter((image) => image.decisionsOf(search)[0]!.value.low).length;
        }
        assertEquals(value.toFixed(9), (found / 4).toFixed(9), `N = ${amount}, α = ${alpha}`);
      }
    }
    assertEquals(data.samples.map(({ ratios }) => ratios.length), [4, 4]);
    assertEquals([settings.seeds, settings.seed], [seeds, undefined]);
  },
);

testOnModel("tiny", "analyzeBranches: the model's α is among those of the table", async (model) => {
  const analysis = await analyzeBranches(model, { labels: ["sea"], seeds: [0], samples: [20] });
  const [{ suited, low }] = analysis.data.samples as [typeof analysis.data.samples[0]];
  assertEquals(low.some(({ alpha }) => alpha === suited), true);
  assertEquals(analysis.table.rows.filter(([, cell]) => cell!.endsWith("the model's α")).length, 1);
  assertEquals((await analysis.pictures()).map(({ name }) => name), ["branches.svg"]);
});

testOnModel("tiny", "analyzeBranches: the table leaves out what repeats both neighbours", async (model) => {
  const options = {
    labels: ["sea"],
    seeds: [0],
    samples: [20],
    alphas: [0.1, 0.2, 0.3, 0.4, 20, 21, 22, 23],
  };
  const { data, table } = await analyzeBranches(model, options);
  assertEquals(data.samples[0]!.low.map(({ value }) => value), [0, 0, 0, 0, 1, 1, 1, 1]);
  // Of one label there is no interval either.
  assertEquals(table.rows, [["0.10", "0 %"], ["0.40", "0 %"], ["20.00", "100 %"], ["23.00", "100 %"]]);
});

testOnModel("tiny", "analyzeBranches: what cannot be done is refused", async (model) => {
  const refused = (options: object, message: string) =>
    assertRejects(() => analyzeBranches(model, { labels: ["sea"], ...options }), Error, message);
  await refused({ seeds: [] }, "seeds must be at least one seed");
  await refused({ alphas: [] }, "alphas must be at least one number");
  await refused({ alphas: [-1] }, "alphas must be from 0 to 1048576");
  await refused({ samples: [1] }, "samples must be an integer from 2 to 8192");
  await refused({ seed: 1 }, 'the option "seed" is unknown');
});

Deno.test("isLow: compares as the kernel does, in f32", () => {
  // 0.1f is above 0.1, and so is its product with 3.
  assertEquals(isLow({ max: Math.fround(0.3), mean: 3 }, 0.1), false);
  assertEquals(isLow({ max: 2, mean: 1 }, 2), false);
  assertEquals(isLow({ max: 2, mean: 1 }, 2.0000002), true);
});
