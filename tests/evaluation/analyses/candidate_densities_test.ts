import { assert, assertEquals, assertRejects } from "@std/assert";
import { candidatesOf } from "../../../evaluation/analyses/candidate_densities.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { testOnModel } from "../../sampler/models.ts";

testOnModel("tiny", "candidatesOf: decides as VAR-Scaling's hook does, in any batch", async (model) => {
  const request = { labels: ["sea", "sky", "snow"], seed: 8 };
  const samples = [5, 12];
  for (const batch of [1, 2, 8]) {
    const found = await candidatesOf(model, { ...request, scale: 2, samples, painting: { batch } });
    assertEquals(found.map((pools) => pools.map(({ place }) => place)), [[0, 0], [1, 1], [2, 2]]);
    for (const [i, amount] of samples.entries()) {
      const search = varScaling({ scale: 2, samples: amount });
      const { images } = await generate(model, { ...request, hooks: [search] });
      const wanted = images.map((image) => {
        const { samples: _samples, alpha: _alpha, ...decision } = image.decisionsOf(search)[0]!.value;
        return decision;
      });
      assertEquals(found.map((pools) => pools[i]!.decision), wanted);
    }
  }
});

testOnModel("tiny", "candidatesOf: densities are those that the decision is made of", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 8, scale: 1, samples: [20], alpha: 0 };
  for (const [pool] of await candidatesOf(model, request)) {
    const { densities, decision, alpha } = pool!;
    assertEquals([densities.length, alpha, decision.low], [20, 0, false]);
    assertEquals(Math.max(...densities), decision.max);
    // The mean is rounded to 24 bits.
    const mean = densities.reduce((sum, density) => sum + density, 0) / 20;
    assert(Math.abs(mean - decision.mean) <= mean * 2 ** -23);
    // Four positions, each with at least itself and at most all twenty.
    assert(densities.every((density) => density >= 4 && density <= 80));
  }
});

testOnModel("tiny", "candidatesOf: pictures end with the scale, and indices name them", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 8, samples: [5] };
  const before = model.device.counters.dispatches;
  const all = await candidatesOf(model, { ...request, scale: 1 });
  const early = model.device.counters.dispatches - before;
  await generate(model, { labels: request.labels, seed: 8 });
  assert(early < model.device.counters.dispatches - before - early, "as much as whole pictures");
  const [alone] = await candidatesOf(model, { ...request, labels: ["sky"], indices: [1], scale: 1 });
  assertEquals(alone![0]!.densities, all[1]![0]!.densities);
});

testOnModel("tiny", "candidatesOf: a signal ends it", async (model) => {
  const reason = new Error("enough");
  await assertRejects(
    () =>
      candidatesOf(model, {
        labels: ["sea"],
        seed: 0,
        scale: 1,
        samples: [5],
        signal: AbortSignal.abort(reason),
      }),
    Error,
    "enough",
  );
});
