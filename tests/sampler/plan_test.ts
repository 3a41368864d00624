import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import type { FeatureExtractor, Verifier } from "../../models/vision/verifier.ts";
import { generate } from "../../sampler/generate.ts";
import { beamSearch } from "../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { latentFeatures } from "../../sampler/methods/latent_features.ts";
import { ttsVar } from "../../sampler/methods/tts_var.ts";
import { plan, type PlannedMethod } from "../../sampler/plan.ts";
import { costOf } from "../../sampler/planned_cost.ts";
import { flexVarCheckpoints } from "../models/flexvar/checkpoints.ts";
import { changed, sharedModel, testOnModel } from "./models.ts";

const METHODS: readonly PlannedMethod[] = [
  "best-of-n",
  "beam",
  "tts-var",
  "var-scaling",
  "var-scaling+tts-var",
];

/** Likes later pictures better, and says what it costs. */
function verifier(facts: Partial<Verifier> = {}): Verifier {
  const score: Verifier["score"] = ({ count }) => Array.from({ length: count }, (_, i) => i);
  return { name: "later", needsPrompt: false, flops: 5e7, ...facts, score };
}

const SMALL = verifier({ smallestEdge: 32 });

/** Registers a test on the bundled models, which stay loaded. */
function testOnDemos(title: string, test: (model: Model, labels: string) => Promise<void>): void {
  Deno.test({
    name: title,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await test(await sharedModel("demo", "cpu"), "red cube");
      await test(await sharedModel("texts", "cpu"), "a red cube");
    },
  });
}

testOnDemos(
  "plan: what is proposed costs what is told, and never more than the budget",
  async (model, labels) => {
    for (const budget of ["2.5x", "7x"]) {
      const { plain, budget: limit, searches } = await plan(model, {
        budget,
        verifier: SMALL,
        request: { labels, count: 3 },
      });
      assertEquals(limit, parseFloat(budget) * plain.flops!);
      assertEquals(searches.map(({ method }) => method), METHODS);
      for (const { method, fits, hooks, cost } of searches) {
        assertEquals(fits, cost.flops! <= limit, method);
        assertEquals(cost.ratio, cost.flops! / plain.flops!);
        if (budget !== "2.5x") continue;
        const { trace } = await generate(model, { labels, hooks });
        assertEquals(trace.cost.flops, cost.flops, method);
      }
      assert(searches.filter(({ fits }) => fits).length >= 3, budget);
    }
  },
);

testOnDemos("plan: the next larger settings would cost more than the budget", async (model, labels) => {
  const { budget, searches: [best, beam] } = await plan(model, {
    budget: "8x",
    methods: ["best-of-n", "beam"],
    verifier: SMALL,
    request: { labels },
  });
  const { samples } = best!.options as { samples: number };
  const costOfHook = async (
    hook: ReturnType<typeof bestOfN> | ReturnType<typeof beamSearch>,
  ): Promise<number> => {
    return (await costOf(model, { labels, hooks: [hook] })).flops!;
  };
  assert(await costOfHook(bestOfN({ samples: samples + 1, verifier: SMALL })) > budget);
  const { beams, width } = beam!.options as { beams: number; width: number };
  for (const more of [2, 3, 4]) {
    const larger = Math.ceil((beams * width + 1) / more);
    // Five and seven lanes are no beams of copies.
    if (larger * more > beams * width + 2) continue;
    assert(await costOfHook(beamSearch({ beams: larger, width: more, verifier: SMALL })) > budget, `${more}`);
  }
});

testOnDemos("plan: TTS-VAR fills a budget with lists of the preset's shape", async (model, labels) => {
  for (const judge of [SMALL, verifier()]) {
    for (const budget of ["2x", "4x", "8x"]) {
      const { searches: [search] } = await plan(model, {
        budget,
        methods: ["tts-var"],
        verifier: judge,
        features: latentFeatures({ side: 2 }),
        request: { labels },
      });
      const { fits, options, cost } = search!;
      const { sizes } = options as { sizes: number[] };
      const share = cost.ratio! / parseFloat(budget);
      const told = `${model.name}, ${budget}: ${sizes} take ${share}`;
      // Of the model of texts, the least list with a judge of whole pictures takes more than two.
      const tooLittle = model.name === "demo-t2i" && judge !== SMALL && budget === "2x";
      assertEquals(fits, !tooLittle, told);
      if (fits) assert(share >= 0.9 && share <= 1, told);
      const usual = { 5: [8, 6, 4, 2, 1], 6: [8, 6, 4, 2, 1, 1] }[sizes.length]!;
      for (const [scale, size] of sizes.entries()) {
        const proportional = sizes[0]! * usual[scale]! / 8;
        assert(size === 1 || Math.abs(size - proportional) < 1, told);
      }
      // They can be followed as they are told.
      await costOf(model, { labels, hooks: [ttsVar({ ...options, verifier: judge })] });
    }
  }
});

testOnDemos(
  "plan: more lanes may cost less, where an event has nothing to thin out",
  async (model, labels) => {
    const request = { labels };
    const plain = (await costOf(model, request)).flops!;
    // Judges beside which the model costs next to nothing.
    const each = 1e4 * plain;
    const features: FeatureExtractor = {
      name: "costly",
      flops: each,
      features: () => assert(false) as never,
    };
    const { searches: [search] } = await plan(model, {
      budget: 8.5 * each,
      methods: ["tts-var"],
      verifier: verifier({ flops: each }),
      features,
      request,
    });
    // Five are looked at and three of them: four lanes would have nine looks, with an event more.
    assertEquals([search!.fits, search!.cost.judged], [true, 8]);
  },
);

testOnModel("tiny", "plan: a budget is in images, seconds or operations", async (model) => {
  const methods = ["best-of-n"] as const;
  const judge = verifier({ flops: 0 });
  const inImages = await plan(model, { budget: " 3.5X ", methods, verifier: judge });
  assertEquals(inImages.plainSeconds, undefined);
  const { plain } = inImages;
  for (const budget of [3.5 * plain.flops!, `${3.5 * plain.flops!}`, (3.5 * plain.flops!).toExponential()]) {
    assertEquals((await plan(model, { budget, methods, verifier: judge })).searches[0]!.options, {
      samples: 3,
    });
  }
  const { plainSeconds, budget, searches } = await plan(model, { budget: "30 s", methods, verifier: judge });
  assert(plainSeconds! > 0 && plainSeconds! < 30);
  assertAlmostEquals(budget / plain.flops!, 30 / plainSeconds!, 1e-9);
  assert((searches[0]!.options.samples as number) > 1);
});

testOnModel("tiny", "plan: what does not fit is told with the least that it takes", async (model) => {
  const { searches } = await plan(model, {
    budget: "0.5x",
    verifier: SMALL,
    methods: ["best-of-n", "var-scaling"],
  });
  assertEquals(searches.map(({ fits, options }) => [fits, options]), [[false, { samples: 2 }], [false, {}]]);
  assertEquals(searches[1]!.cost.ratio, 1);
  // There is no list of TTS-VAR for four scales.
  const all = await plan(model, { budget: "4x", verifier: SMALL });
  assertEquals(all.searches.map(({ method }) => method), ["best-of-n", "beam", "var-scaling"]);
  await assertRejects(
    () => plan(model, { budget: "4x", verifier: SMALL, methods: ["tts-var"] }),
    RangeError,
    "sizes must be given for 4 scales",
  );
});

testOnModel("tiny", "plan: an image may have as many lanes as the device admits", async (model) => {
  const limited = changed(model, {
    schedule: (request) => ({ ...model.schedule(request), batchLimit: { images: 5, reason: "it is small" } }),
  });
  const { searches: [search] } = await plan(limited, {
    budget: "50x",
    methods: ["best-of-n"],
    verifier: SMALL,
  });
  assertEquals(search!.options, { samples: 5 });
});

testOnModel("tiny", "plan: the model's own verifier judges where none is given", async (model) => {
  const own = changed(model, { verifier: () => Promise.resolve(verifier({ flops: 7 })) });
  const { searches: [search] } = await plan(own, { budget: "3x", methods: ["best-of-n"] });
  // Three fit, since what depends on the class alone is made once.
  assertEquals([search!.cost.judgeFlops, search!.options], [21, { samples: 3 }]);
  await assertRejects(() => plan(model, { budget: "3x" }), TypeError, "without a verifier");
});

Deno.test({
  name: "plan: a model of texts needs no prompt to tell what pictures cost",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("texts", "cpu");
    const options = { budget: "3x", methods: ["best-of-n"], verifier: SMALL } as const;
    const { plain, searches: [search] } = await plan(model, options);
    const prompted = await plan(model, { ...options, request: { labels: "two green cones" } });
    assertEquals([plain, search!.cost], [prompted.plain, prompted.searches[0]!.cost]);
    // Any seconds are of some picture.
    assert((await plan(model, { ...options, budget: "60s" })).plainSeconds! > 0);
  },
});

Deno.test("plan: maps of other numbers, and a label that there is", async () => {
  await using model = await loadModel(await flexVarCheckpoints(), { device: "cpu" });
  const request = { labels: [null, 1], patchNumbers: [1, 2, 3, 4, 6], cfg: 2, batch: 1, previews: true };
  const { plain, searches } = await plan(model, { budget: "4x", verifier: verifier({ flops: 0 }), request });
  const { flops } = await costOf(model, { ...request, labels: 1, previews: false });
  assertEquals(plain.flops, flops);
  assertEquals(searches.length, METHODS.length);
});

testOnModel("tiny", "plan: what cannot be planned is refused with the cure", async (model) => {
  const refused = async (
    change: Record<string, unknown>,
    type: typeof TypeError | typeof RangeError,
    message: string,
  ): Promise<void> => {
    const options = { budget: "4x", verifier: SMALL, ...change } as Parameters<typeof plan>[1];
    await assertRejects(() => plan(model, options), type, message);
  };
  await refused(
    { budget: true },
    TypeError,
    'budget must be like "4x", "8 s" or 2.5e12: current value is true',
  );
  for (const budget of ["", "x", "-4x", "4 y", "0x", 0, -1, NaN, Infinity, "1e999"]) {
    await refused({ budget }, RangeError, "Cannot plan as budget must be like");
  }
  await refused({ methods: ["luck"] }, TypeError, "a method must be");
  await refused({ request: { hooks: [] } }, TypeError, "hooks of the request must be left out");
  await refused(
    { verifier: { ...SMALL, flops: undefined } },
    TypeError,
    'Cannot plan as "later" does not tell',
  );
  await refused({ verifyer: SMALL }, TypeError, "verifyer");
  const silent = changed(model, { flops: undefined as never });
  await assertRejects(
    () => plan(silent, { budget: "4x" }),
    TypeError,
    'models of the family "var" do not tell',
  );
});
