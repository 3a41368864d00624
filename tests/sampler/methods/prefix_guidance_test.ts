import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import {
  contrastLogits,
  DEFAULT_PREFIX_WEIGHT,
  movedSources,
  prefixGuidance,
  type PrefixGuidanceOptions,
  prefixWeightOf,
} from "../../../sampler/methods/prefix_guidance.ts";
import { ttsVar } from "../../../sampler/methods/tts_var.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { costOf } from "../../../sampler/planned_cost.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { openGolden } from "../../fixtures/golden/golden.ts";
import expected from "../../fixtures/prefix/expected.json" with { type: "json" };
import { changed, ranking, sharedModel, testOnModel, tokensOf, withGenerations } from "../models.ts";

const FEW = { weight: 1, share: 0.3 };

/** Logits of all scales but the first two, before and after prefix guidance, with these tokens forced. */
async function replay(
  model: Model,
  options: PrefixGuidanceOptions,
): Promise<{ before: Float32Array[]; after: Float32Array[] }> {
  using golden = await openGolden("demo");
  const labels = [...await golden.readFloat32("labels")];
  const tokens: number[][] = [];
  for (let s = 0; s < 6; s++) tokens.push([...await golden.readFloat32(`tokens.${s}`)]);
  const before: Float32Array[] = [];
  const after: Float32Array[] = [];
  const look = (name: string, into: Float32Array[]): ScaleHook => ({
    name,
    scales: [2, 3, 4, 5],
    async guide(step) {
      into.push(await readFloats(step.logits));
    },
  });
  const force: ScaleHook = {
    name: "force",
    choose(step) {
      const forced = step.allocate(labels.length * step.positions, "forced");
      using given = step.device.upload(Uint32Array.from(tokens[step.scale]!));
      step.device.copy(given, forced);
      step.choose(forced);
    },
  };
  const hooks = [look("before", before), prefixGuidance(options), look("after", after), force];
  await generate(model, { labels, seed: expected.seed, cfg: expected.cfg, hooks });
  return { before, after };
}

/** Of the first and the last image the first two positions and the last one, twelve logits each. */
function sampled(logits: Float32Array, scale: number): number[] {
  const positions = [1, 2, 3, 4, 6, 8][scale]! ** 2;
  return [0, 3].flatMap((image) =>
    [0, 1, positions - 1].flatMap((position) => {
      const at = (image * positions + position) * 512;
      return [...logits.subarray(at, at + 12)];
    })
  );
}

function greatest(found: readonly number[], wanted: readonly number[]): number {
  assertEquals(found.length, wanted.length);
  return Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)));
}

testOnModel("demo", "prefixGuidance: logits are those of PyTorch without caches", async (model) => {
  for (const corruption of ["once", "anew"] as const) {
    const { weight, share } = expected;
    const { before, after } = await replay(model, { weight, share, corruption });
    for (const [i, run] of expected.runs[corruption].entries()) {
      const found = sampled(after[i]!, run.scale);
      // 1e-4 on logits as of the model itself, and both of them count by the weight.
      assert(greatest(found, run.guided) <= 1e-4 * (1 + 2 * weight), `scale ${run.scale} ${corruption}`);
      const mean = after[i]!.reduce((sum, value) => sum + value, 0) / after[i]!.length;
      assert(Math.abs(mean - run.mean) < 1e-4);
      // The rule itself, of the logits that it got here and those that PyTorch has for the shadow.
      const plain = sampled(before[i]!, run.scale);
      const rule = plain.map((value, k) => value + weight * (value - run.shadow[k]!));
      assert(greatest(found, rule) <= 1e-4 * weight + 1e-5, `the rule at scale ${run.scale} ${corruption}`);
    }
  }
});

testOnDevices("contrastLogits: logits and their distance to others, in f32", async (device) => {
  const random = testRandom(3);
  const logits = Float32Array.from({ length: 700 }, () => 20 * random() - 10);
  const others = Float32Array.from({ length: 700 }, () => 20 * random() - 10);
  using array = device.upload(logits);
  using other = device.upload(others);
  contrastLogits(array, other, { rows: 7, vocabulary: 100, weight: 0.3 });
  const found = await readFloats(array);
  for (const [i, value] of logits.entries()) {
    assert(Math.abs(found[i]! - (value + 0.3 * (value - others[i]!))) <= 1e-5);
  }
});

testOnModel("tiny", "prefixGuidance: weight 0 changes no token and runs nothing", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 3, cfg: 1 };
  const plain = await generate(model, request);
  let starts = 0;
  const watched = changed(model, {
    start: (options) => {
      starts++;
      return model.start(options);
    },
  });
  for (const options of [{ weight: 0 }, { weight: [0, 0, 0, 0] }, { share: 0, weight: 2 }]) {
    const off = await generate(watched, { ...request, hooks: [prefixGuidance(options)] });
    assertEquals(tokensOf(off), tokensOf(plain));
    assertEquals(off.trace.cost.flops, plain.trace.cost.flops);
  }
  assertEquals(starts, 3);
  assertEquals(prefixGuidance({ weight: [0, 0] }).shadows, 0);
});

testOnModel("tiny", "prefixGuidance: an image does not depend on its batch", async (model) => {
  for (const corruption of ["once", "anew"] as const) {
    const request = {
      labels: ["sea", "sky", "snow"],
      seed: 8,
      hooks: [prefixGuidance({ ...FEW, corruption })],
    };
    const together = tokensOf(await generate(model, request));
    assertEquals(tokensOf(await generate(model, { ...request, batch: 1 })), together);
    const alone = await generate(model, { ...request, labels: ["snow"], indices: [2] });
    assertEquals(tokensOf(alone)[0], together[2]);
    assertNotEquals(together, tokensOf(await generate(model, { ...request, hooks: [] })));
  }
});

testOnModel(
  "tiny",
  "prefixGuidance: goes through each scale twice, or anew through all before",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 3, cfg: 1 };
    const plain = await generate(model, request);
    const runs = async (options: PrefixGuidanceOptions, more: object = {}): Promise<number> => {
      const asked = { ...request, ...more, hooks: [prefixGuidance(options)] };
      const { trace } = await generate(model, asked);
      const { passes, flops } = await costOf(model, asked);
      assertEquals([trace.cost.passes, trace.cost.flops, trace.readbacks], [passes, flops, 1]);
      return passes / 2;
    };
    assertEquals(plain.trace.cost.passes, 8);
    assertEquals(await runs(FEW), 8);
    // 2×2 and 3×3 and 4×4 with three tenths: scales 1, 2 and 3 go through 2, 3 and 4 scales.
    assertEquals(await runs({ ...FEW, corruption: "anew" }), 4 + 2 + 3 + 4);
    // A tenth of 2×2 is nothing, so there is no difference before scale 2.
    assertEquals(await runs({ weight: 1, corruption: "anew" }), 4 + 3 + 4);
    assertEquals(await runs({ weight: [1, 1, 0, 1] }), 8);
    assertEquals(await runs({ weight: [1, 1, 0, 0] }), 4);
    const tokens = [plain.images[0]!.tokens.slice(0, 2)];
    assertEquals(await runs(FEW, { tokens }), 8);
    assertEquals(await runs({ ...FEW, corruption: "anew" }, { tokens }), 4 + 3 + 4);
    assertEquals(await runs(FEW, { tokens: [plain.images[0]!.tokens], until: 3 }), 4);
    assertEquals(await runs(FEW, { until: 1 }), 4);
  },
);

testOnModel(
  "tiny",
  "prefixGuidance: goes together with other methods, edits and given tokens",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 3, cfg: 1 };
    const guide = prefixGuidance(FEW);
    // One attempt of several is what it is alone, as each has positions of its own moved.
    const best = bestOfN({ samples: 3, verifier: ranking([1, 2, 0]) });
    const found = await generate(model, { ...request, hooks: [guide, best] });
    assertEquals(found.images.map(({ lane }) => lane), [1, 1]);
    const alone: ScaleHook = {
      name: "alone",
      lanes: 3,
      scales: [0],
      gather: ({ lanes }) => [...lanes.keys()].filter((row) => lanes[row]!.lane === 1),
    };
    assertEquals(tokensOf(found), tokensOf(await generate(model, { ...request, hooks: [guide, alone] })));
    const tts = ttsVar({
      sizes: [4, 3, 2, 1],
      clusterScales: [1],
      resampleScales: [2],
      verifier: ranking([1, 2, 0, 3]),
    });
    const hooks = [varScaling({ scale: 1, samples: 8 }), guide, tts];
    const searched = await generate(model, { ...request, hooks });
    assertEquals(searched.images.length, 2);
    assertEquals(searched.trace.cost.passes, (await costOf(model, { ...request, hooks })).passes);
    // The same tokens given and drawn go on in the same way.
    const [image] = (await generate(model, { ...request, hooks: [guide] })).images;
    const given = { ...request, labels: ["sea"], tokens: [image!.tokens.slice(0, 2)], hooks: [guide] };
    assertEquals(tokensOf(await generate(model, given))[0], tokensOf({ images: [image!] })[0]);
  },
);

/** A model of which every generation runs with positions moved by `sources`, lane by lane. */
function moving(model: Model, scale: number, sources: (lane: number) => number[]): Model {
  return withGenerations(model, (generation: Generation): Partial<Generation> => {
    let next = 0;
    return {
      logits: () => {
        const moved = Uint32Array.from({ length: generation.images }, (_, lane) => lane).length;
        const all = next++ === scale
          ? Array.from({ length: moved }, (_, lane) => sources(lane)).flat()
          : undefined;
        return generation.logits(all === undefined ? {} : { sources: Uint32Array.from(all) });
      },
    };
  });
}

/**
 * The greatest differences, with whole embeddings of scale 2 exchanged, between its logits and the exchanged
 * logits of the plain generation, and between those of the scale after, for which nothing has changed.
 */
async function exchange(model: Model, request: object): Promise<[number, number]> {
  const look = (into: Float32Array[]): ScaleHook => ({
    name: "look",
    async guide(step) {
      into.push(await readFloats(step.logits));
    },
  });
  const plain: Float32Array[] = [];
  const moved: Float32Array[] = [];
  const { images } = await generate(model, { ...request, hooks: [look(plain)] });
  const [{ length: positions }] = images.map(({ tokens }) => tokens[2]!) as [Uint32Array];
  const order = (lane: number): number[] =>
    Array.from({ length: positions }, (_, i) => (i + 1 + lane) % positions);
  const force: ScaleHook = {
    name: "force",
    choose(step) {
      const words = images.flatMap(({ tokens }) => [...tokens[step.scale]!]);
      const forced = step.allocate(words.length, "forced");
      using given = step.device.upload(Uint32Array.from(words));
      step.device.copy(given, forced);
      step.choose(forced);
    },
  };
  await generate(moving(model, 2, order), { ...request, hooks: [look(moved), force] });
  const vocabulary = plain[2]!.length / images.length / positions;
  const wanted = plain[2]!.map((_, i) => {
    const [image, position, logit] = [
      Math.floor(i / vocabulary / positions),
      Math.floor(i / vocabulary) % positions,
      i % vocabulary,
    ];
    return plain[2]![(image * positions + order(image)[position]!) * vocabulary + logit]!;
  });
  return [greatest([...moved[2]!], [...wanted]), greatest([...moved[3]!], [...plain[3]!])];
}

testOnModel(
  "tiny",
  "prefixGuidance: embeddings that change places take their places with them",
  async (model) => {
    const [here, after] = await exchange(model, { labels: ["sea", "sky"], seed: 5, cfg: 2 });
    assert(here < 1e-4 && after < 1e-4, `${here}, ${after}`);
  },
);

testOnModel(
  "texts",
  "prefixGuidance: embeddings of texts' pictures take their places with them",
  async (model) => {
    const labels = ["a red cube", "two blue spheres and a green cone"];
    for (const more of [{ cfg: 3 }, { cfg: 3, familyOptions: { cfgInsertionLayer: "-1" } }]) {
      const [here, after] = await exchange(model, { labels, seed: 5, ...more });
      assert(here < 2e-4 && after < 2e-4, `${JSON.stringify(more)}: ${here}, ${after}`);
    }
  },
);

testOnModel(
  "texts",
  "prefixGuidance: bits of texts' pictures, in any batch and with guidance of blocks",
  async (model) => {
    const labels = ["a red cube", "two blue spheres and a green cone"];
    for (const more of [{}, { familyOptions: { cfgInsertionLayer: "-1" } }]) {
      const request = { labels, seed: 4, ...more, hooks: [prefixGuidance({ weight: 1 })] };
      const together = await generate(model, request);
      assertEquals(tokensOf(await generate(model, { ...request, batch: 1 })), tokensOf(together));
      const plain = await generate(model, { ...request, hooks: [] });
      assertNotEquals(tokensOf(together), tokensOf(plain));
      assertEquals(together.trace.cost.passes, 2 * plain.trace.cost.passes);
    }
  },
);

Deno.test("movedSources: positions and what they take are those of a second implementation", () => {
  for (const [i, sources] of expected.sources.entries()) {
    const positions = sources.length;
    const moved = Math.round(expected.share * positions);
    const key = { seed: [expected.seed, 0], lane: 3, scale: i + 1, round: 0 } as const;
    assertEquals([...movedSources(key, positions, moved)], sources);
  }
});

Deno.test("movedSources: every position is moved as often as any other, to all others alike", () => {
  const [positions, moved, rounds] = [9, 3, 6000];
  const taken = new Float64Array(positions * positions);
  for (let lane = 0; lane < rounds; lane++) {
    const sources = movedSources({ seed: [5, 6], lane, scale: 2, round: 0 }, positions, moved);
    const changes = [...sources.entries()].filter(([position, source]) => position !== source);
    assertEquals(changes.length, moved);
    for (const [position, source] of changes) taken[position * positions + source]!++;
  }
  const mean = rounds * moved / positions / (positions - 1);
  for (const [i, count] of taken.entries()) {
    if (i % (positions + 1) === 0) assertEquals(count, 0);
    // Six standard deviations of a Poisson number.
    else assert(Math.abs(count - mean) < 6 * Math.sqrt(mean), `${i}: ${count} instead of ${mean}`);
  }
});

Deno.test("prefixGuidance: the weight that is published for a model, or else the tuned one", async () => {
  assertEquals(prefixWeightOf({}), DEFAULT_PREFIX_WEIGHT);
  assertEquals(prefixWeightOf(await sharedModel("texts", "cpu")), 0.2);
  assertEquals(prefixWeightOf(await sharedModel("demo", "cpu")), DEFAULT_PREFIX_WEIGHT);
  const { plan, settings } = prefixGuidance();
  assertEquals(settings, { weight: "preset", share: 0.1, corruption: "once" });
  const model = await sharedModel("tiny", "cpu");
  assertThrows(
    () => prefixGuidance({ weight: [1, 2] }).plan!(model.schedule(), model),
    RangeError,
    "Cannot guide by the prefix as weight must hold a number for each of 4 scales: current number is 2",
  );
  assertEquals(plan!(model.schedule(), changed(model, { prefixWeight: 0 })), []);
});

Deno.test("prefixGuidance: bad options are refused", () => {
  assertThrows(() => prefixGuidance({ weight: -1 }), RangeError, "weight must be from 0 to 4294967296");
  assertThrows(() => prefixGuidance({ weight: [1, NaN] }), RangeError, "weight[1] must be");
  assertThrows(() => prefixGuidance({ weight: [] }), RangeError, "weight must be a number or some");
  assertThrows(() => prefixGuidance({ share: 1.5 }), RangeError, "share must be from 0 to 1");
  assertThrows(() => prefixGuidance({ corruption: "twice" as never }), TypeError, 'one of "once", "anew"');
  assertThrows(() => prefixGuidance({ lambda: 1 } as never), TypeError, "lambda");
});

Deno.test("contrastLogits: arrays that are too short are refused", () => {
  using device = new CpuDevice();
  using logits = device.allocate(4, "logits");
  assertThrows(() => contrastLogits(logits, logits, { rows: 2, vocabulary: 4, weight: 1 }), RangeError);
  assertEquals(device.counters.liveArrays, 1);
});
