import { assert, assertEquals, assertThrows } from "@std/assert";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { generate } from "../../../sampler/generate.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ownDensity } from "../../../sampler/methods/own_density.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { ranking, testOnModel, tokensOf } from "../models.ts";

testOnModel("tiny", "bestOfN: takes the best attempt, which is what it would be alone", async (model) => {
  const verifier = ranking([2, 0, 3, 1]);
  const request = { labels: ["sea", "sky"], seed: 3, cfg: 1 };
  const search = bestOfN({ samples: 4, verifier });
  const found = await generate(model, { ...request, hooks: [search] });
  assertEquals(found.images.map(({ lane }) => lane), [2, 2]);
  // Lane 2 by itself: all others are dropped after the first scale.
  const alone: ScaleHook = {
    name: "alone",
    lanes: 4,
    scales: [0],
    gather: ({ lanes }) => [...lanes.keys()].filter((row) => lanes[row]!.lane === 2),
  };
  assertEquals(tokensOf(found), tokensOf(await generate(model, { ...request, hooks: [alone] })));
  const [image] = found.images;
  assertEquals(image!.attempts.map(({ attempt, lane, dropped }) => [attempt, lane, dropped?.scale]), [
    [0, 0, 3],
    [1, 1, 3],
    [2, 2, undefined],
    [3, 3, 3],
  ]);
  assertEquals(image!.attempt, 2);
  assertEquals(image!.decisionsOf(search).map(({ value }) => value), [{ score: 3, rank: 0 }]);
  assertEquals(image!.attempts[1]!.decisions.map(({ value }) => value), [{ score: 0, rank: 3 }]);
});

testOnModel("tiny", "bestOfN: an image does not depend on its batch", async (model) => {
  const request = { labels: ["sea", "sky", "snow"], seed: 8, hooks: [bestOfN({ verifier: ownDensity() })] };
  const together = await generate(model, { ...request, batch: 64 });
  const apart = await generate(model, { ...request, batch: 4 });
  assertEquals(tokensOf(apart), tokensOf(together));
  assertEquals(apart.images.map(({ lane }) => lane), together.images.map(({ lane }) => lane));
});

testOnModel("tiny", "bestOfN: one attempt is the plain picture, and several may be kept", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 3 };
  const plain = await generate(model, request);
  const one = await generate(model, { ...request, hooks: [bestOfN({ samples: 1, verifier: ranking([0]) })] });
  assertEquals(tokensOf(one), tokensOf(plain));
  assertEquals(one.images.map(({ data }) => data), plain.images.map(({ data }) => data));
  const hooks = [bestOfN({ samples: 4, keep: 2, verifier: ranking([2, 0, 3, 1]) })];
  const two = await generate(model, { ...request, hooks });
  assertEquals(two.images.map(({ index, lane }) => [index, lane]), [[0, 0], [0, 2], [1, 0], [1, 2]]);
});

testOnModel(
  "tiny",
  "bestOfN: goes together with VAR-Scaling, which every attempt does on its own",
  async (model) => {
    const search = varScaling({ scale: 1, samples: 8 });
    const hooks = [search, bestOfN({ samples: 3, verifier: ranking([0, 2, 1]) })];
    const { images: [image], trace } = await generate(model, { labels: "sea", hooks });
    assertEquals(image!.lane, 1);
    for (const { decisions } of image!.attempts) {
      assertEquals(decisions.map(({ hook }) => hook), ["var-scaling", "best-of-n"]);
    }
    const densities = image!.attempts.map(({ decisions }) => (decisions[0]!.value as { mean: number }).mean);
    assert(new Set(densities).size === 3);
    assertEquals(trace.cost.decodes, 3);
  },
);

Deno.test("bestOfN: bad options are refused", () => {
  assertThrows(() => bestOfN({ samples: 0 }), RangeError, "samples must be");
  assertThrows(() => bestOfN({ samples: 257 }), RangeError, "samples must be");
  assertThrows(() => bestOfN({ samples: 2, keep: 3 }), RangeError, "keep must be at most 2, the samples");
  assertThrows(() => bestOfN({ verifier: {} as never }), TypeError, "a verifier with a name and score");
  assertThrows(() => bestOfN({ verifier: { name: "x" } as never }), TypeError, 'score of the verifier "x"');
  assertThrows(() => bestOfN({ n: 3 } as never), TypeError);
});

testOnModel("tiny", "bestOfN: without a verifier, a model that has none says what to give", async (model) => {
  const error = await generate(model, { labels: 0, hooks: [bestOfN()] }).then(
    () => undefined,
    (error) => error,
  );
  assert(error instanceof TypeError);
  assertEquals(
    error.message,
    'Cannot use Best of N without a verifier as the model "VAR-d1" brings none: give one, such as loadVerifier() loads, or ownEvidence(), which needs no network',
  );
});
