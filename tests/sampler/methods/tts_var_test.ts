import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import type { FeatureExtractor, Verifier } from "../../../models/vision/verifier.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { VerifierError } from "../../../sampler/judging.ts";
import type { Potential } from "../../../sampler/methods/potentials.ts";
import { latentFeatures } from "../../../sampler/methods/latent_features.ts";
import { ownDensity } from "../../../sampler/methods/own_density.ts";
import { ttsVar, type TtsVarDecision, type TtsVarOptions } from "../../../sampler/methods/tts_var.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { ranking, testOnModel, tokensOf } from "../models.ts";

/** A schedule for the four scales of the tiny model. */
const SCHEDULE: TtsVarOptions = { sizes: [6, 4, 2, 1], clusterScales: [1], resampleScales: [2] };

/** Features that are given, one row for each lane in turn. */
function given(rows: readonly (readonly number[])[]): FeatureExtractor {
  return {
    name: "given",
    features: ({ array: { device }, count }) => {
      const values = Array.from({ length: count }, (_, lane) => rows[lane % rows.length]!).flat();
      const array = device.upload(Float32Array.from(values));
      const channels = rows[0]!.length;
      return { array, tokens: 1, channels, [Symbol.dispose]: () => array[Symbol.dispose]() };
    },
  };
}

testOnModel("tiny", "ttsVar: clusters, resamples and takes the best, as scheduled", async (model) => {
  const search = ttsVar({ ...SCHEDULE, verifier: ranking([0, 4, 1, 2]), draw: "best" });
  const { images: [image], trace } = await generate(model, { labels: "sea", hooks: [search] });
  const { passes, decodes, judged } = trace.cost;
  // 6 lanes through two scales, 4 and 2 through one; 4 and 2 pictures, of latent features none.
  assertEquals([passes, decodes, judged], [6 + 6 + 4 + 2, 4 + 2, 6 + 4 + 2]);
  const events = image!.decisionsOf(search).map(({ scale, value }) => [scale, value.event]);
  assertEquals(events, [[1, "cluster"], [2, "resample"], [3, "final"]]);
  assertEquals(image!.attempts.length, 6);
  assertEquals(image!.attempts.filter(({ dropped }) => dropped === undefined).length, 1);
  assertEquals(image!.attempts.map(({ dropped }) => dropped?.scale).filter((scale) => scale === 1).length, 2);
});

testOnModel("tiny", "ttsVar: clustering asks no verifier, and resampling no features", async (model) => {
  const refuses = (): never => {
    throw new Error("asked");
  };
  const blind: Verifier = { name: "blind", needsPrompt: false, score: refuses };
  const unseeing: FeatureExtractor = { name: "unseeing", features: refuses };
  const request = { labels: ["sea", "sky"] };
  const clusters = { sizes: [4, 2, 1, 1], clusterScales: [1, 2] };
  await generate(model, { ...request, hooks: [ttsVar({ ...clusters, verifier: blind })] });
  const resamples = { sizes: [4, 2, 1, 1], resampleScales: [1, 2] };
  await generate(model, {
    ...request,
    hooks: [ttsVar({ ...resamples, features: unseeing, verifier: ranking([0, 1]) })],
  });
});

testOnModel("tiny", "ttsVar: without any event and with one lane, it is plain generation", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 7 };
  const plain = await generate(model, request);
  const search = ttsVar({ sizes: [1, 1, 1, 1], verifier: ranking([0]) });
  const found = await generate(model, { ...request, hooks: [search] });
  assertEquals(tokensOf(found), tokensOf(plain));
  assertEquals(found.images.map(({ data }) => data), plain.images.map(({ data }) => data));
  assertEquals(found.trace.cost.decodes, plain.trace.cost.decodes);
});

testOnModel("tiny", "ttsVar: a survivor is what the same lane is by itself", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 7 };
  const search = ttsVar({ ...SCHEDULE, verifier: ownDensity(), draw: "best" });
  const { images } = await generate(model, { ...request, hooks: [search] });
  for (const image of images) {
    const alone: ScaleHook = {
      name: "alone",
      lanes: 6,
      scales: [0],
      gather: ({ lanes }) => {
        const rows = [...lanes.keys()];
        return rows.filter((row) =>
          lanes[row]!.index !== image.index ? true : lanes[row]!.lane === image.lane
        );
      },
    };
    const solo = await generate(model, { ...request, hooks: [alone] });
    const same = solo.images.find(({ index, lane }) => index === image.index && lane === image.lane)!;
    assertEquals(image.tokens, same.tokens);
    assertEquals(image.data, same.data);
  }
});

testOnModel("tiny", "ttsVar: gathering all lanes in their order changes no bit", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 9 };
  const search = ttsVar({ ...SCHEDULE, verifier: ownDensity() });
  const still: ScaleHook = { name: "still", gather: ({ lanes }) => [...lanes.keys()] };
  const plain = await generate(model, { ...request, hooks: [search] });
  const stirred = await generate(model, { ...request, hooks: [still, search, still] });
  assertEquals(tokensOf(stirred), tokensOf(plain));
  assertEquals(stirred.images.map(({ data }) => data), plain.images.map(({ data }) => data));
});

testOnModel("tiny", "ttsVar: copies begin with the same logits and draw for themselves", async (model) => {
  const logits: Float32Array[] = [];
  const look: ScaleHook = {
    name: "look",
    scales: [2],
    guide: async (step) => void logits.push(await readFloats(step.logits)),
  };
  const search = ttsVar({
    sizes: [4, 4, 4, 4],
    resampleScales: [1],
    keep: 4,
    verifier: ranking([0, 90, 0, 0]),
    lambda: 1e6,
    draw: "systematic",
  });
  const { images } = await generate(model, { labels: "sea", hooks: [look, search] });
  const [all] = logits as [Float32Array];
  const row = all.length / 4;
  for (let lane = 1; lane < 4; lane++) {
    assertEquals(all.subarray(lane * row, (lane + 1) * row), all.subarray(0, row));
  }
  assertEquals(new Set(images.map(({ tokens }) => tokens[1]!.join())).size, 1);
  assertEquals(new Set(images.map(({ tokens }) => tokens.slice(2).join())).size, 4);
  assertEquals(new Set(images.map(({ lane }) => lane)).size, 4);
});

testOnModel("tiny", "ttsVar: an image depends neither on its batch nor on who is in it", async (model) => {
  const search = ttsVar({ ...SCHEDULE, verifier: ownDensity() });
  const request = { labels: ["sea", "sky", "snow"], seed: 11, hooks: [search] };
  const together = await generate(model, { ...request, batch: 64 });
  const apart = await generate(model, { ...request, batch: 6 });
  assertEquals(tokensOf(apart), tokensOf(together));
  assertEquals(
    apart.images.map(({ attempts }) => attempts),
    together.images.map(({ attempts }) => attempts),
  );
});

testOnModel("tiny", "ttsVar: a constant added to all scores changes nothing", async (model) => {
  const run = async (constant: number, options: TtsVarOptions): Promise<number[][][]> => {
    const scores = [0.5, 2, -1, 0.25].map((score) => score + constant);
    const hooks = [ttsVar({ ...SCHEDULE, verifier: ranking(scores), ...options })];
    return tokensOf(await generate(model, { labels: ["sea", "sky"], hooks }));
  };
  for (
    const options of [{}, { draw: "systematic" }, {
      standardize: false,
      draw: "multinomial",
    }] satisfies TtsVarOptions[]
  ) {
    assertEquals(await run(1024, options), await run(0, options));
  }
});

testOnModel(
  "tiny",
  "ttsVar: λ of 0 draws evenly, a huge one the best, and equal scores do no harm",
  async (model) => {
    const weights = async (lambda: number, scores: readonly number[]): Promise<number[]> => {
      const search = ttsVar({ ...SCHEDULE, verifier: ranking(scores), lambda, draw: "systematic" });
      const { images: [image] } = await generate(model, { labels: "sea", hooks: [search] });
      const first = image!.attempts.filter(({ from }) => from === undefined);
      const all = first.flatMap(({ decisions }) => decisions) as { value: TtsVarDecision }[];
      return all.flatMap(({ value }) => value.event === "resample" ? [value.weight!] : []).sort((a, b) =>
        b - a
      );
    };
    assertEquals(await weights(0, [1, 2, 3, 4]), [0.25, 0.25, 0.25, 0.25]);
    assertEquals(await weights(2 ** 40, [1, 2, 3, 4]), [1, 0, 0, 0]);
    assertEquals(await weights(2, [3, 3, 3, 3]), [0.25, 0.25, 0.25, 0.25]);
    assertEquals(await weights(2, [NaN, NaN, NaN, NaN]), [0.25, 0.25, 0.25, 0.25]);
    assertEquals(await weights(2, [NaN, 1, NaN, 1]), [0.5, 0.5, 0, 0]);
    assertEquals(await weights(2, [Infinity, 1, Infinity, 1]), [0.5, 0.5, 0, 0]);
    assertEquals(await weights(2, [-Infinity, 1, -Infinity, 1]), [0.5, 0.5, 0, 0]);
    assertEquals(await weights(2, [NaN, Infinity, NaN, -Infinity]), [1, 0, 0, 0]);
    // As large and as small as numbers are.
    const spread = await weights(2, [1, 2, 3, 4]);
    for (const unit of [1e-300, 1e300]) {
      const scores = [1, 2, 3, 4].map((score) => score * unit);
      for (const [i, weight] of (await weights(2, scores)).entries()) {
        assertAlmostEquals(weight, spread[i]!, 1e-12);
      }
    }
    const [first, second] = await weights(2, [0, 0, 1, 1]);
    // Scores of -1 and 1 once they are in units of their deviation.
    assertAlmostEquals(first!, Math.exp(2) / (2 * Math.exp(2) + 2 * Math.exp(-2)), 1e-12);
    assertEquals(first, second);
  },
);

testOnModel("tiny", "ttsVar: candidates that are all alike fill up their clusters", async (model) => {
  for (const rows of [[[1, 2]], [[0, 0], [5, 5]]]) {
    const search = ttsVar({ ...SCHEDULE, features: given(rows), verifier: ranking([0, 1]) });
    const { images: [image], trace } = await generate(model, { labels: "sea", hooks: [search] });
    assertEquals(trace.cost.passes, 6 + 6 + 4 + 2);
    const kept = image!.attempts.flatMap(({ attempt, decisions }) => {
      const { value } = decisions[0] as { value: TtsVarDecision };
      return value.event === "cluster" && value.kept ? [attempt] : [];
    });
    assertEquals(kept.length, 4);
    assert(kept.includes(0));
  }
  const search = ttsVar({ ...SCHEDULE, features: given([[NaN]]), verifier: ranking([0]) });
  await assertRejects(
    () => generate(model, { labels: "sea", hooks: [search] }),
    VerifierError,
    'what "given" gives must be finite numbers',
  );
});

testOnModel("tiny", "ttsVar: features of one row are points as they are", async (model) => {
  // By themselves single rows have no principal axis: lanes 0 and 3 would go on, whatever they are.
  const features = given([[0, 1], [0, 2], [0, 3], [9, 0]]);
  for (const preset of ["default", "published"] as const) {
    const options = { preset, sizes: [4, 2, 2, 2], clusterScales: [1], keep: 2, features };
    const search = ttsVar({ ...options, verifier: ranking([0]) });
    const { images } = await generate(model, { labels: "sea", hooks: [search] });
    assertEquals(images.map(({ lane }) => lane).toSorted(), [1, 3]);
    const axis = ttsVar({ ...options, verifier: ranking([0]), point: "pca" });
    await assertRejects(
      () => generate(model, { labels: "sea", hooks: [axis] }),
      RangeError,
      'point for the features "given" must be "pool", "flat" or "pca-all"',
    );
  }
});

testOnModel("tiny", "ttsVar: as many pictures come back as are kept, or it is said", async (model) => {
  const run = async (options: TtsVarOptions): Promise<number> => {
    const search = ttsVar({ verifier: ranking([0, 1, 2, 3]), ...options });
    return (await generate(model, { labels: "sea", hooks: [search] })).images.length;
  };
  assertEquals(await run({ sizes: [4, 4, 4, 4], keep: 3 }), 3);
  for (const list of ["clusterScales", "resampleScales"] as const) {
    const thins = { sizes: [4, 4, 4, 2], [list]: [-1] };
    assertEquals(await run({ ...thins, keep: 2 }), 2);
    await assertRejects(() => run(thins), RangeError, "keep must be 2, the last size");
  }
  await assertRejects(
    () => run({ ...SCHEDULE, keep: 3 }),
    RangeError,
    "keep must be at most 2, the lanes of",
  );
});

testOnModel("tiny", "ttsVar: potentials look back on the scores of the lane itself", async (model) => {
  // So close together that each lane goes on once; lane 1 was best at first and is worst then.
  const rounds = [[0, 9, 3, 6], [5, -9, 1, 0]].map((scores) => scores.map((score) => score / 1000));
  const expected: { readonly [Name in Potential]?: readonly number[] } = {
    value: [5, -9, 1, 0],
    diff: [5, -18, -2, -6],
    max: [5, 9, 3, 6],
    sum: [5, 0, 4, 6],
    topk_1: [5, 9, 3, 6],
  };
  for (const [potential, potentials] of Object.entries(expected) as [Potential, readonly number[]][]) {
    const seen: number[] = [];
    const verifier: Verifier = {
      name: "rounds",
      needsPrompt: false,
      score: (_, labels) => rounds[seen.push(labels.length) - 1]!,
    };
    const search = ttsVar({
      sizes: [4, 4, 4, 4],
      resampleScales: [1, 2],
      keep: 4,
      verifier,
      potential,
      standardize: false,
      lambda: 1,
      draw: "systematic",
    });
    const { images } = await generate(model, { labels: "sea", hooks: [search] });
    assertEquals(images.map(({ lane }) => lane), [0, 1, 2, 3]);
    const total = potentials.reduce((sum, value) => sum + Math.exp(value / 1000), 0);
    for (const image of images) {
      const { value } = image.decisionsOf(search).at(-1)!;
      if (value.event !== "resample") throw new Error(`an event of kind ${value.event}`);
      assertAlmostEquals(value.weight!, Math.exp(potentials[image.lane]! / 1000) / total, 1e-12);
    }
  }
});

testOnModel("tiny", "ttsVar: goes together with VAR-Scaling, edits of lanes and previews", async (model) => {
  const hooks = [varScaling({ scale: 1, samples: 8 }), ttsVar({ ...SCHEDULE, verifier: ownDensity() })];
  const { images: [image] } = await generate(model, { labels: "sea", hooks });
  const names = new Set(image!.decisions.map(({ hook }) => hook));
  assertEquals(names, new Set(["var-scaling", "tts-var"]));
  const lanes: number[] = [];
  for await (const event of generate.stream(model, { labels: "sea", hooks, previews: true })) {
    if (event.type === "preview") lanes.push(event.images.length);
  }
  assertEquals(lanes, [6, 4, 2, 1]);
});

Deno.test("ttsVar: what is published is said to want both of its networks", () => {
  assertThrows(
    () => ttsVar({ preset: "published" }),
    TypeError,
    "features must be given to do what is published",
  );
  assertThrows(
    () => ttsVar({ preset: "published", features: latentFeatures() }),
    TypeError,
    "verifier must be given to do what is published",
  );
});

Deno.test("ttsVar: bad options are refused", () => {
  const cases: [TtsVarOptions, string][] = [
    [{ lambda: -1, draw: "systematic" }, "lambda must be"],
    [{ lambda: NaN, draw: "multinomial" }, "lambda must be"],
    [{ lambda: 3 }, 'draw must be "systematic" or "multinomial" where lambda is given'],
    [{ multiple: 0 }, "multiple must be"],
    [{ multiple: 33 }, "multiple must be"],
    [{ multiple: 2, sizes: [4, 2] }, "multiple must be 1 where sizes are given"],
    [{ keep: 0 }, "keep must be"],
    [{ sizes: [0, 1] }, "the first size must be"],
  ];
  for (const [options, message] of cases) assertThrows(() => ttsVar(options), RangeError, message);
  assertThrows(() => ttsVar({ potential: "min" as never }), TypeError, "potential must be");
  assertThrows(() => ttsVar({ draw: "none" as never }), TypeError, "draw must be");
  assertThrows(() => ttsVar({ point: "svd" as never }), TypeError, "point must be");
  assertThrows(() => ttsVar({ sizes: null as never }), TypeError, "sizes must be a list of numbers");
  assertThrows(() => ttsVar({ features: {} as never }), TypeError, "a feature extractor with a name");
  assertThrows(() => ttsVar({ verifier: {} as never }), TypeError, "a verifier with a name and score");
  assertThrows(() => ttsVar({ sises: [1] } as never), TypeError);
});

testOnModel(
  "tiny",
  "ttsVar: a schedule that cannot be followed is refused before anything runs",
  async (model) => {
    const verifier = ranking([0]);
    const grows = ttsVar({ sizes: [2, 4, 2, 1], verifier });
    await assertRejects(
      () => generate(model, { labels: 0, hooks: [grows] }),
      RangeError,
      "size 1 must be at most 2",
    );
    await assertRejects(
      () => generate(model, { labels: 0, hooks: [ttsVar({ verifier })] }),
      RangeError,
      "sizes must be given for 4 scales",
    );
  },
);
