import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import type { FeatureExtractor, Verifier } from "../../models/vision/verifier.ts";
import type { Cost } from "../../sampler/cost.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { beamSearch } from "../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { ownDensity } from "../../sampler/methods/own_density.ts";
import { ttsVar } from "../../sampler/methods/tts_var.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { costOf } from "../../sampler/planned_cost.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import { flexVarCheckpoints } from "../models/flexvar/checkpoints.ts";
import { changed, sharedModel, testOnModel } from "./models.ts";

/** Likes pictures by their places in the batch, and says what it costs. */
function verifier(flops: number, smallestEdge?: number): Verifier {
  return {
    name: `verifier of ${smallestEdge}`,
    needsPrompt: false,
    flops,
    ...(smallestEdge && { smallestEdge }),
    score: ({ count }) => Array.from({ length: count }, (_, i) => (i * 7919) % 13),
  };
}

/** Describes pictures by a number each, which are all different. */
function extractor(flops: number, smallestEdge: number): FeatureExtractor {
  return {
    name: "places",
    flops,
    smallestEdge,
    features({ array: { device }, count }) {
      const array = device.upload(Float32Array.from({ length: count }, (_, i) => i), "places");
      return { array, tokens: 1, channels: 1, [Symbol.dispose]: () => array[Symbol.dispose]() };
    },
  };
}

const FULL = verifier(3e6);
const SMALL = verifier(1e6, 3);
const TINY = verifier(1e5, 2);

/** Searches by what they are called. */
const SEARCHES: Readonly<Record<string, () => readonly ScaleHook[]>> = {
  "none": () => [],
  "best of 3": () => [bestOfN({ samples: 3, verifier: FULL })],
  "best of 4 by small pictures, two kept": () => [bestOfN({ samples: 4, keep: 2, verifier: SMALL })],
  "best of 3 by density": () => [bestOfN({ samples: 3, verifier: ownDensity({ samples: 5 }) })],
  "beam": () => [beamSearch({ scales: [1, 2], verifier: SMALL })],
  "beam of other sizes": () => [beamSearch({ beams: 3, width: 2, scales: [0, 2], keep: 3, verifier: FULL })],
  "VAR-Scaling": () => [varScaling({ samples: 5 })],
  "clusters of pictures": () => [
    ttsVar({
      sizes: [5, 3, 2, 2],
      clusterScales: [1],
      resampleScales: [2],
      features: extractor(5e5, 2),
      verifier: SMALL,
    }),
  ],
  "clusters without pictures, many kept": () => [
    ttsVar({ sizes: [6, 4, 4, 4], clusterScales: [1], keep: 3, verifier: FULL }),
  ],
  "resampled at the end": () => [
    ttsVar({ sizes: [4, 4, 3, 2], resampleScales: [2, 3], keep: 2, verifier: TINY }),
  ],
  "VAR-Scaling, then best of 3": () => [varScaling({ samples: 5 }), bestOfN({ samples: 3, verifier: FULL })],
  // Two decodes of one scale, in two sizes, and one that both share.
  "several who look": () => [
    beamSearch({ scales: [2], verifier: SMALL }),
    bestOfN({ samples: 6, keep: 2, verifier: FULL }),
    bestOfN({ samples: 2, verifier: TINY }),
  ],
  "a beam that has fewer lanes than it keeps": () => [
    bestOfN({ samples: 2, verifier: SMALL }),
    beamSearch({ beams: 1, width: 2, scales: [1, 2], verifier: FULL }),
    beamSearch({ beams: 4, width: 1, scales: [2], keep: 4, verifier: TINY }),
  ],
};

const REQUESTS: Readonly<Record<string, GenerateRequest>> = {
  "one image": { labels: [0] },
  "five images by sevens": { labels: [0, 1, 2, 3, 4], batch: 7 },
  "without guidance": { labels: [1, 2], cfg: 0 },
  "some without a class": { labels: [null, 0, null], batch: 1 },
  "previews": { labels: [3], previews: [1, -1] },
};

/** What a trace has that can be told beforehand. */
function counts(
  { peakBytes: _bytes, seconds: _seconds, ...counts }: Cost,
): Omit<Cost, "peakBytes" | "seconds"> {
  return counts;
}

/** Generates with previews, and returns what it has cost. */
async function costOfRun(model: Model, request: GenerateRequest): Promise<Cost> {
  for await (const event of generate.stream(model, request)) {
    if (event.type === "done") return event.trace.cost;
  }
  throw new Error("no end");
}

/** Whether requests cost what was told of them. */
async function requireTold(model: Model, search: string, requests: readonly string[]): Promise<void> {
  for (const name of requests) {
    const request = REQUESTS[name]!;
    const asked = { ...request, hooks: SEARCHES[search]!() };
    const { ratio, ...planned } = await costOf(model, asked);
    const cost = await costOfRun(model, asked);
    assertEquals(counts(cost), planned, name);
    assert(planned.flops! > 0);
    const plain = await costOfRun(model, { ...request, previews: false });
    assertAlmostEquals(ratio!, planned.flops! / plain.flops!, 1e-12);
  }
}

for (const search of Object.keys(SEARCHES)) {
  Deno.test({
    name: `costOf: tells what a trace counts: ${search}`,
    // The model stays loaded.
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => requireTold(await sharedModel("tiny", "cpu"), search, Object.keys(REQUESTS)),
  });
}

testOnModel("tiny", "costOf: tells what a trace counts on any device", async (model) => {
  await requireTold(model, "clusters of pictures", ["one image", "previews"]);
});

Deno.test({
  name: "costOf: pictures of a scale's own size, and prompts",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: ownSizesAndPrompts,
});

async function ownSizesAndPrompts(): Promise<void> {
  await using maps = await loadModel(await flexVarCheckpoints(), { device: "cpu" });
  const texts = await sharedModel("texts", "cpu");
  for (
    const [model, request] of [
      [maps, { labels: [0, 1], patchNumbers: [1, 2, 4, 6] }],
      [texts, { labels: ["a red cube", null] }],
      [texts, { labels: "a red cube", familyOptions: { cfgInsertionLayer: "-2" } }],
    ] satisfies [Model, GenerateRequest][]
  ) {
    const hooks = [
      beamSearch({ scales: [1, 2], verifier: TINY }),
      ttsVar({
        sizes: model === maps ? [4, 3, 2, 1] : [4, 3, 2, 2, 1],
        clusterScales: [1],
        resampleScales: [2, -1],
        verifier: SMALL,
      }),
    ];
    const { ratio: _, ...planned } = await costOf(model, { ...request, hooks });
    const { trace } = await generate(model, { ...request, hooks });
    assertEquals(counts(trace.cost), planned);
  }
}

testOnModel("tiny", "costOf: the model's own verifier is asked what it costs", async (model) => {
  const own = changed(model, { verifier: () => Promise.resolve(SMALL) });
  const hooks = [bestOfN({ samples: 2 })];
  const { judgeFlops, judged } = await costOf(own, { labels: 0, hooks });
  assertEquals([judgeFlops, judged], [2e6, 2]);
});

testOnModel("tiny", "costOf: what is not known is not made up", async (model) => {
  const { flops: _, ...untold } = FULL;
  const some = await costOf(model, { labels: 0, hooks: [bestOfN({ samples: 2, verifier: untold })] });
  assertEquals([some.judged, some.judgeFlops, some.flops, some.ratio], [2, undefined, undefined, undefined]);
  assert(some.transformerFlops! > 0);
  const silent = changed(model, { flops: undefined as never });
  const none = await costOf(silent, { labels: 0 });
  assertEquals([none.passes, none.decodes, none.transformerFlops, none.decoderFlops], [
    4,
    1,
    undefined,
    undefined,
  ]);
  const { trace } = await generate(silent, { labels: 0 });
  assertEquals({ ...counts(trace.cost), ratio: undefined }, none);
  const gathers: ScaleHook = { name: "mine", lanes: 2, gather: () => undefined };
  await assertRejects(
    () => costOf(model, { labels: 0, hooks: [gathers] }),
    TypeError,
    'as the hook "mine" must say in plan what its gather does to lanes: it has no plan',
  );
});
