import { assert, assertAlmostEquals, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { floats } from "../../kernels/device/cpu_device.ts";
import { type DeviceArray, type Kernel, readFloats, spread } from "../../kernels/device/device.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { RgbaImage } from "../../sampler/pictures/image.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import type { ScaleStep } from "../../sampler/step.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { testOnModel, TINY_PATCH_NUMBERS, TINY_VOCABULARY, tokensOf } from "./models.ts";

const SCALES = TINY_PATCH_NUMBERS.length;
const LAST = SCALES - 1;

/** Makes every second token impossible: a kernel as a user would write one. */
const forbidOdd: Kernel<{ logits: DeviceArray }> = {
  name: "forbid_odd",
  wgsl: `
    @group(0) @binding(0) var<uniform> count: u32;
    @group(0) @binding(1) var<storage, read_write> logits: array<u32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x < count && id.x % 2u == 1u) { logits[id.x] = 0xff800000u; }
    }`,
  plan: ({ logits }) => ({
    arrays: [logits],
    parameters: [["u32", logits.length]],
    workgroups: spread(Math.ceil(logits.length / 64)),
  }),
  twin: ({ logits }) => floats(logits).forEach((_, i, all) => all[i] = i % 2 === 1 ? -Infinity : all[i]!),
};

testOnModel("tiny", "ScaleHook: a guide's changes to the logits are respected", async (model) => {
  const guide: ScaleHook = {
    name: "even",
    scales: [1, 3],
    guide: (step) => step.device.run(forbidOdd, { logits: step.logits }),
  };
  for (
    const request of [{}, { cfg: 0 }, { temperature: 0 }, { moreSmooth: true }] satisfies GenerateRequest[]
  ) {
    const odd = new Array<number>(SCALES).fill(0);
    const { images } = await generate(model, { labels: [0, 1, 2, 3, 4], hooks: [guide], ...request });
    for (const { tokens } of images) {
      for (const [scale, map] of tokens.entries()) {
        odd[scale]! += map.filter((token) => token % 2 === 1).length;
      }
    }
    assertEquals([odd[1], odd[3]], [0, 0]);
    assert(odd[0]! + odd[2]! > 0);
  }
  // Candidates come from the changed logits, too.
  const { images: [image] } = await generate(model, {
    labels: 0,
    hooks: [varScaling({ scale: [1, 3] }), guide],
  });
  assert([...image!.tokens[1]!, ...image!.tokens[3]!].every((token) => token % 2 === 0));
});

testOnModel("tiny", "ScaleHook: looking at the logits changes nothing", async (model) => {
  const look: ScaleHook = {
    name: "look",
    guide: async (step) => {
      assertEquals(step.logits, step.logits);
      await readFloats(step.logits);
    },
    choose: (step) => {
      assertEquals(step.tokens, undefined);
      step.draw(4);
      step.choose(step.draw());
    },
  };
  const request: GenerateRequest = { labels: ["sea", "sky"], cfg: 2, seed: 4 };
  assertEquals(
    tokensOf(await generate(model, { ...request, hooks: [look] })),
    tokensOf(await generate(model, request)),
  );
});

testOnModel(
  "tiny",
  "ScaleHook: hooks run in order, each on its scales, and are waited for",
  async (model) => {
    const calls: string[] = [];
    const hook = (name: string, scales?: readonly number[]): ScaleHook => {
      const note = (part: string) => async (step: ScaleStep): Promise<void> => {
        // Were it not waited for, the notes of the next hook would come first.
        await new Promise((resolve) => setTimeout(resolve, 1));
        const { scale, width, height, positions, scales, schedule } = step;
        assertEquals(schedule.scales.map(({ width }) => width), [...TINY_PATCH_NUMBERS]);
        assertEquals([width, height, positions, scales], [
          TINY_PATCH_NUMBERS[scale],
          TINY_PATCH_NUMBERS[scale],
          TINY_PATCH_NUMBERS[scale]! ** 2,
          SCALES,
        ]);
        calls.push(`${scale} ${part} ${name}`);
      };
      return {
        name,
        ...(scales && { scales }),
        guide: note("guide"),
        choose: note("choose"),
        gather: (step) => note("gather")(step).then(() => undefined),
      };
    };
    await generate(model, { labels: 0, cfg: 0, hooks: [hook("a", [0, 2]), hook("b"), hook("none", [])] });
    const parts = ["guide", "choose", "gather"];
    assertEquals(
      calls,
      [...TINY_PATCH_NUMBERS.keys()].flatMap((scale) =>
        parts.flatMap((part) =>
          (scale % 2 === 0 ? ["a", "b"] : ["b"]).map((name) => `${scale} ${part} ${name}`)
        )
      ),
    );
  },
);

testOnModel(
  "tiny",
  "ScaleHook: the last chooser has the last word and sees what was chosen before",
  async (model) => {
    const always = (token: number): ScaleHook => ({
      name: `always ${token}`,
      choose: (step) => {
        const array = step.allocate(step.lanes.length * step.positions);
        step.device.write(array, new Uint32Array(array.length).fill(token));
        step.choose(array);
      },
    });
    const seen: number[] = [];
    const look: ScaleHook = {
      name: "look",
      scales: [1],
      choose: async (step) => {
        const [tokens] = await step.device.read([step.tokens!]);
        seen.push(...tokens!);
      },
    };
    const { images } = await generate(model, { labels: [0, 1], hooks: [always(7), look, always(11)] });
    assertEquals(seen, new Array(8).fill(7));
    for (const { tokens } of images) assert(tokens.every((map) => map.every((token) => token === 11)));
  },
);

/** Best of N: paint N attempts at each image and keep the one that scores best. */
function bestOf(count: number, score: (image: RgbaImage) => number): ScaleHook {
  return {
    name: "best of n",
    lanes: count,
    scales: [LAST],
    async gather(step) {
      const scores = (await step.preview()).map(score);
      const attempts = Map.groupBy(step.lanes.keys(), (lane) => step.lanes[lane]!.image);
      return [...attempts.values()].map((lanes) => lanes.reduce((a, b) => scores[b]! > scores[a]! ? b : a));
    },
  };
}

const redness = ({ data }: RgbaImage): number =>
  data.reduce((sum, value, i) => i % 4 === 0 ? sum + value : sum, 0);

/** Keeps all lanes, so that each is seen in the end. */
const keepAll = (lanes: number): ScaleHook => ({ name: "keep all", lanes, gather: () => undefined });

testOnModel("tiny", "ScaleHook: best of n as a hook keeps the best attempt of each image", async (model) => {
  const request: GenerateRequest = { labels: ["sea", "sky", "Red Rock"], seed: 2 };
  const plain = await generate(model, request);
  const all = await generate(model, { ...request, hooks: [keepAll(4)] });
  assertEquals(
    all.images.map(({ index, lane }) => [index, lane]),
    [0, 1, 2].flatMap((index) => [0, 1, 2, 3].map((lane) => [index, lane])),
  );
  // The first attempt is the one that would be made without any, and the others differ from it.
  assertEquals(tokensOf({ images: all.images.filter(({ lane }) => lane === 0) }), tokensOf(plain));
  assertEquals(new Set(tokensOf(all).map(String)).size, 12);

  const best = await generate(model, { ...request, hooks: [bestOf(4, redness)] });
  const wanted = [0, 1, 2].map((index) => {
    const attempts = all.images.filter((image) => image.index === index);
    return attempts.reduce((a, b) => redness(b) > redness(a) ? b : a);
  });
  assertEquals(best.images.map(({ lane }) => lane), wanted.map(({ lane }) => lane));
  assertEquals(tokensOf(best), tokensOf({ images: wanted }));
  for (const [i, image] of best.images.entries()) assertEquals(redness(image), redness(wanted[i]!));
  // Attempts count as images of a batch of 8: two of these and then the third; each batch costs a preview,
  // and all one readback.
  assertEquals(best.trace.batches.map(({ lanes }) => lanes), [8, 4]);
  assertEquals(best.trace.readbacks, 3);
  for (const batch of [1, 4, 12]) {
    const other = await generate(model, { ...request, batch, hooks: [bestOf(4, redness)] });
    assertEquals(tokensOf(other), tokensOf(best));
  }
});

/**
 * Scaled spatial guidance (arXiv 2602.05534), in short: what a scale's logits add to those of the scale
 * before, stretched to its size, is amplified. Keeps the logits of the scale before between two calls, hence
 * the disposal.
 */
function spatialGuidance(strength: number): ScaleHook & Disposable {
  let before: { logits: DeviceArray; side: number } | undefined;
  const forget = (): void => {
    before?.logits[Symbol.dispose]();
    before = undefined;
  };
  return {
    name: "spatial guidance",
    guide(step) {
      const { device, logits, width: side } = step;
      const kept = device.allocate(logits.length, "logits of the scale before");
      device.copy(logits, kept);
      if (step.scale > 0) {
        const count = step.lanes.length;
        device.run(amplify, {
          logits,
          coarse: before!.logits,
          side,
          coarseSide: before!.side,
          count,
          strength,
        });
      }
      forget();
      before = { logits: kept, side };
    },
    [Symbol.dispose]: forget,
  };
}

interface AmplifyArguments {
  logits: DeviceArray;
  coarse: DeviceArray;
  side: number;
  coarseSide: number;
  count: number;
  strength: number;
}

const amplify: Kernel<AmplifyArguments> = {
  name: "amplify",
  wgsl: `
    struct Parameters { length: u32, side: u32, coarseSide: u32, strength: f32 }
    @group(0) @binding(0) var<uniform> p: Parameters;
    @group(0) @binding(1) var<storage, read_write> logits: array<f32>;
    @group(0) @binding(2) var<storage, read> coarse: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x >= p.length) { return; }
      let row = id.x / ${TINY_VOCABULARY}u;
      let place = row % (p.side * p.side);
      let y = place / p.side * p.coarseSide / p.side;
      let x = place % p.side * p.coarseSide / p.side;
      let place_before = (row / (p.side * p.side) * p.coarseSide + y) * p.coarseSide + x;
      let old = coarse[place_before * ${TINY_VOCABULARY}u + id.x % ${TINY_VOCABULARY}u];
      logits[id.x] += p.strength * (logits[id.x] - old);
    }`,
  plan: ({ logits, coarse, side, coarseSide, strength }) => ({
    arrays: [logits, coarse],
    parameters: [["u32", logits.length], ["u32", side], ["u32", coarseSide], ["f32", strength]],
    workgroups: spread(Math.ceil(logits.length / 64)),
  }),
  twin({ logits, coarse, side, coarseSide, count, strength }) {
    const [to, from] = [floats(logits), floats(coarse)];
    for (let row = 0; row < count * side * side; row++) {
      const [image, place] = [Math.floor(row / side ** 2), row % side ** 2];
      const y = Math.floor(Math.floor(place / side) * coarseSide / side);
      const x = Math.floor(place % side * coarseSide / side);
      const at = ((image * coarseSide + y) * coarseSide + x) * TINY_VOCABULARY;
      for (let v = 0; v < TINY_VOCABULARY; v++) {
        const i = row * TINY_VOCABULARY + v;
        to[i]! += strength * (to[i]! - from[at + v]!);
      }
    }
  },
};

testOnModel("tiny", "ScaleHook: spatial guidance as a hook", async (model) => {
  const request: GenerateRequest = { labels: ["sea", "sky"], seed: 6 };
  const plain = tokensOf(await generate(model, request));
  const seen: Float32Array[] = [];
  const look: ScaleHook = {
    name: "look",
    guide: async (step) => void seen.push(await readFloats(step.logits)),
  };
  {
    using hook = spatialGuidance(0);
    assertEquals(tokensOf(await generate(model, { ...request, hooks: [hook] })), plain);
  }
  using hook = spatialGuidance(0.8);
  const guided = tokensOf(await generate(model, { ...request, batch: 1, hooks: [look, hook, look] }));
  assertEquals(guided.map((maps) => maps[0]), plain.map((maps) => maps[0]));
  assertNotEquals(guided, plain);
  const [coarse, , before, after] = seen as [Float32Array, Float32Array, Float32Array, Float32Array];
  for (let i = 0; i < after.length; i++) {
    const expected = before[i]! + 0.8 * (before[i]! - coarse[i % TINY_VOCABULARY]!);
    assertAlmostEquals(after[i]!, expected, 1e-5);
  }
});

/**
 * More variety, after DiverseVAR (arXiv 2511.17074): what all positions of an early scale have in common is
 * weakened in the feature vectors that the transformer gets.
 */
function weakenCommon(share: number, scales: readonly number[]): ScaleHook {
  return {
    name: "weaken common",
    // The features of a scale are ready when the scale before is done.
    scales: scales.map((scale) => scale - 1),
    gather({ device, model: { tokens: { channels } }, schedule, features, scale }) {
      const { width, height } = schedule.scales[scale + 1]!;
      device.run(weaken, { features, share, channels, positions: width * height });
      return undefined;
    },
  };
}

const weaken: Kernel<{ features: DeviceArray; share: number; channels: number; positions: number }> = {
  name: "weaken",
  wgsl: `
    struct Parameters { count: u32, channels: u32, positions: u32, share: f32 }
    @group(0) @binding(0) var<uniform> p: Parameters;
    @group(0) @binding(1) var<storage, read_write> features: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
      if (id.x >= p.count) { return; }
      let first = id.x / p.channels * p.positions * p.channels + id.x % p.channels;
      var sum = 0.0;
      for (var i = 0u; i < p.positions; i++) { sum += features[first + i * p.channels]; }
      for (var i = 0u; i < p.positions; i++) { features[first + i * p.channels] -= p.share * sum / f32(p.positions); }
    }`,
  plan({ features, share, channels, positions }) {
    const count = features.length / positions;
    return {
      arrays: [features],
      parameters: [["u32", count], ["u32", channels], ["u32", positions], ["f32", share]],
      workgroups: spread(Math.ceil(count / 64)),
    };
  },
  twin({ features, share, channels, positions }) {
    const all = floats(features);
    for (let i = 0; i < all.length / positions; i++) {
      const first = Math.floor(i / channels) * positions * channels + i % channels;
      const places = Array.from({ length: positions }, (_, place) => first + place * channels);
      const mean = places.reduce((sum, place) => sum + all[place]!, 0) / positions;
      for (const place of places) all[place]! -= share * mean;
    }
  },
};

testOnModel("tiny", "ScaleHook: weakening what positions share as a hook", async (model) => {
  const request: GenerateRequest = { labels: ["sea", "sky"], seed: 6 };
  const plain = tokensOf(await generate(model, request));
  const seen: Float32Array[] = [];
  const look: ScaleHook = {
    name: "look",
    scales: [0],
    gather: async (step) => void seen.push(await readFloats(step.features)),
  };
  const changed = tokensOf(
    await generate(model, { ...request, hooks: [look, weakenCommon(0.7, [1, 2]), look] }),
  );
  assertEquals(changed.map((maps) => maps[0]), plain.map((maps) => maps[0]));
  assertNotEquals(changed, plain);
  const [before, after] = seen as [Float32Array, Float32Array];
  const { channels } = model.tokens;
  assertEquals(before.length, 2 * 2 * 4 * channels);
  for (let i = 0; i < before.length; i++) {
    const row = i - i % (4 * channels) + i % channels;
    const mean = [0, 1, 2, 3].reduce((sum, position) => sum + before[row + position * channels]!, 0) / 4;
    assertAlmostEquals(after[i]!, before[i]! - 0.7 * mean, 1e-6);
  }
});

testOnModel(
  "tiny",
  "ScaleHook: lanes that are repeated part ways, and the first copy goes on as before",
  async (model) => {
    const request: GenerateRequest = { labels: ["sea", "sky"], seed: 8 };
    const plain = tokensOf(await generate(model, request));
    const split: ScaleHook = { name: "split", scales: [1], gather: () => [1, 0, 0, 1, 0] };
    const { images } = await generate(model, { ...request, hooks: [split] });
    assertEquals(images.map(({ index, lane }) => [index, lane]), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]]);
    assertEquals(images.map(({ label }) => label.name), ["sea", "sea", "sea", "sky", "sky"]);
    for (const [i, tokens] of tokensOf({ images }).entries()) {
      const { index, lane } = images[i]!;
      assertEquals(tokens.slice(0, 2), plain[index]!.slice(0, 2));
      if (lane === 0) assertEquals(tokens, plain[index]);
    }
    assertEquals(new Set(tokensOf({ images }).map((maps) => String(maps[2]))).size, 5);

    // A lane keeps its own random numbers wherever it stands: attempt 2 after the others are gone is attempt
    // 2 among four.
    const all = await generate(model, { ...request, hooks: [keepAll(4)] });
    const only: ScaleHook = { name: "only", lanes: 4, scales: [0], gather: () => [6, 2] };
    const kept = await generate(model, { ...request, hooks: [only] });
    assertEquals(kept.images.map(({ index, lane }) => [index, lane]), [[0, 2], [1, 2]]);
    assertEquals(tokensOf(kept), tokensOf({ images: all.images.filter(({ lane }) => lane === 2) }));
  },
);

testOnModel("tiny", "ScaleHook: a second gatherer of a scale sees the lanes of the first", async (model) => {
  const seen: string[] = [];
  const look: ScaleHook = {
    name: "look",
    scales: [1],
    gather: async (step) => {
      const previews = await step.preview();
      seen.push(step.lanes.map(({ image, lane }) => `${image}.${lane}`).join(" "));
      assertEquals(previews.length, step.lanes.length);
      const rows = step.allocate(step.lanes.length);
      step.device.write(rows, Uint32Array.from(step.lanes, ({ image, lane }) => 10 * image + lane));
      step.report(rows, 1, ([word]) => word);
      return undefined;
    },
  };
  const order = (name: string, lanes: readonly number[]): ScaleHook => ({
    name,
    scales: [1],
    gather: () => lanes,
  });
  const { images } = await generate(model, {
    labels: ["sea", "sky"],
    hooks: [look, order("grow", [0, 1, 1, 0, 1]), look, order("thin", [4, 3]), look],
  });
  assertEquals(seen, ["0.0 1.0", "0.0 1.0 1.1 0.1 1.2", "1.2 0.1"]);
  assertEquals(
    images.map(({ index, lane, decisions }) => [index, lane, decisions.map(({ value }) => value)]),
    [[0, 1, [0, 1, 1]], [1, 2, [10, 12, 12]]],
  );
});

testOnModel(
  "tiny",
  "ScaleHook: lane numbers are used again, so that resampling may go on for ever",
  async (model) => {
    // Of 200 attempts 199 are dropped, and the last one is repeated: more numbers than there are, if none
    // came back.
    const resample: ScaleHook = {
      name: "resample",
      lanes: 200,
      scales: [0, 1],
      gather: ({ lanes }) => lanes.map(() => 199),
    };
    const thin: ScaleHook = {
      name: "thin",
      scales: [1],
      gather: ({ lanes }) => [...lanes.keys()].slice(0, 12),
    };
    const { images } = await generate(model, { labels: 0, cfg: 0, hooks: [resample, thin] });
    assertEquals(images.length, 12);
    assertEquals(new Set(images.map(({ lane }) => lane)).size, 12);
    assert(images.every(({ lane }) => lane < 256));
    assertEquals(new Set(tokensOf({ images }).map((maps) => String(maps[3]))).size, 12);
  },
);

testOnModel("tiny", "ScaleHook: orders that cannot be followed", async (model) => {
  const run = (order: unknown): Promise<unknown> => {
    const hook = { name: "shuffle", scales: [1], lanes: 2, gather: () => order } as ScaleHook;
    return generate(model, { labels: ["sea", "sky"], hooks: [hook] });
  };
  const cases: [order: unknown, type: typeof TypeError, message: string][] = [
    [[0, 1], RangeError, 'Cannot gather lanes as the hook "shuffle" left no lane of image 1'],
    [[], RangeError, 'Cannot gather lanes as the hook "shuffle" left no lane of image 0'],
    [
      [0, 4],
      RangeError,
      'Cannot gather lanes as the hook "shuffle" asked for lane 4: there are lanes 0 to 3',
    ],
    [
      [-1, 2],
      RangeError,
      'Cannot gather lanes as the hook "shuffle" asked for lane -1: there are lanes 0 to 3',
    ],
    [
      [0.5, 2],
      RangeError,
      'Cannot gather lanes as the hook "shuffle" asked for lane 0.5: there are lanes 0 to 3',
    ],
    [
      7,
      TypeError,
      'Cannot gather lanes as the hook "shuffle" must return a list of lanes: current value is 7',
    ],
    [
      [0, ...new Array<number>(257).fill(2)],
      RangeError,
      'Cannot gather lanes as the hook "shuffle" asked for 257 lanes of image 1: at most 256 are possible',
    ],
  ];
  for (const [order, type, message] of cases) {
    const error = await assertRejects(() => run(order), type);
    assertEquals(error.message, message);
  }
});

testOnModel("tiny", "ScaleHook: reports cost no readback and follow their lanes", async (model) => {
  // Each lane reports its own number and the token it has drawn.
  const report = (scales: readonly number[]): ScaleHook => ({
    name: "report",
    scales,
    choose: (step) => {
      const draws = step.draw();
      const first = step.allocate(2 * step.lanes.length);
      for (const [row, { image, lane }] of step.lanes.entries()) {
        step.device.write(first, Uint32Array.of(100 * image + lane), 2 * row);
        step.device.copy(draws, first, {
          sourceOffset: row * step.positions,
          targetOffset: 2 * row + 1,
          length: 1,
        });
      }
      step.report(first, 2, ([name, token]) => ({ name, token }));
    },
  });
  const order = [5, 2, 2, 0, 3];
  const swap: ScaleHook = { name: "swap", lanes: 3, scales: [1], gather: () => order };
  const { images, trace } = await generate(model, {
    labels: ["sea", "sky"],
    hooks: [report([0, 1, 3]), swap],
  });
  assertEquals(trace.readbacks, 1);
  // Lanes before: image 0 has 0, 1, 2 and image 1 has 3, 4, 5. Lane 2 is continued twice, the copy under the
  // free number 1.
  const origins = [[0, 0], [0, 2], [0, 2], [1, 0], [1, 2]];
  const now = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 2]];
  assertEquals(images.map(({ index, lane }) => [index, lane]), now);
  for (const [i, { decisions, tokens }] of images.entries()) {
    const name = ([image, lane]: number[]): number => 100 * image! + lane!;
    assertEquals(
      decisions,
      [0, 1, 3].map((scale) => ({
        hook: "report",
        scale,
        value: { name: name(scale === 3 ? now[i]! : origins[i]!), token: tokens[scale]![0] },
      })),
    );
  }
});

testOnModel(
  "tiny",
  "ScaleHook: notes of host values follow their lanes, among the reports",
  async (model) => {
    const score: ScaleHook<string> = {
      name: "score",
      scales: [0, -1],
      choose: (step) => {
        for (const [row, { image, lane }] of step.lanes.entries()) step.note(row, `${image}.${lane}`);
        // About one of them a second time, where a report is about all.
        if (step.scale === 0) step.note(0, "first");
      },
      gather: ({ scale }) => scale === 0 ? [3, 0, 1, 1] : undefined,
    };
    const report: ScaleHook<number> = {
      name: "report",
      scales: [0],
      lanes: 2,
      choose: (step) => step.report(step.allocate(step.lanes.length), 1, ([word]) => word!),
    };
    const { images, trace } = await generate(model, { labels: ["sea", "sky"], hooks: [report, score] });
    assertEquals(trace.readbacks, 1);
    // Of the second lane's two copies the further one gets the next free number.
    assertEquals(
      images.map((
        image,
      ) => [image.caption, image.decisionsOf(score).map(({ value }) => value.toUpperCase())]),
      [
        ["sea #0", ["0.0", "FIRST", "0.0"]],
        ["sea #0, lane 1", ["0.1", "0.1"]],
        ["sea #0, lane 2", ["0.1", "0.2"]],
        ["sky #1, lane 1", ["1.1", "1.1"]],
      ],
    );
    for (const image of images) {
      assertEquals(image.decisionsOf(report), [{ hook: "report", scale: 0, value: 0 }]);
      assertEquals(image.decisions[0], image.decisionsOf(report)[0]);
    }
    for (const lane of [-1, 2, 0.5]) {
      const wrong: ScaleHook = { name: "wrong", choose: (step) => step.note(lane, 0) };
      const error = await assertRejects(
        () => generate(model, { labels: ["sea", "sky"], hooks: [wrong] }),
        RangeError,
      );
      assertEquals(
        error.message,
        `Cannot note a value as lane must be an integer from 0 to 1: current value is ${lane}`,
      );
    }
  },
);

testOnModel("tiny", "ScaleHook: lanes that nothing gathers are refused", async (model) => {
  const look: ScaleHook = { name: "look", lanes: 3, choose: () => {} };
  const error = await assertRejects(() => generate(model, { labels: "sea", hooks: [look] }), TypeError);
  assertEquals(
    error.message,
    'Cannot generate as the hook "look" starts 3 lanes of each image and no hook has a gather to thin them: for 3 pictures of each label there is count',
  );
  const { images } = await generate(model, { labels: "sea", hooks: [look, keepAll(1)] });
  assertEquals(images.map(({ caption }) => caption), ["sea #0", "sea #0, lane 1", "sea #0, lane 2"]);
});

testOnModel("tiny", "ScaleHook: several hooks report in order, under their names", async (model) => {
  const number = (name: string, value: number): ScaleHook => ({
    name,
    scales: [0],
    guide: (step) => {
      const array = step.allocate(step.lanes.length);
      step.device.write(array, new Uint32Array(array.length).fill(value));
      step.report(array, 1, (words) => words[0]);
    },
  });
  const { images } = await generate(model, {
    labels: ["sea", "sky"],
    hooks: [number("a", 1), varScaling({ scale: [0, 2], samples: 3 }), number("b", 2)],
  });
  for (const { decisions } of images) {
    assertEquals(decisions.map(({ hook, scale }) => `${hook} ${scale}`), [
      "a 0",
      "b 0",
      "var-scaling 0",
      "var-scaling 2",
    ]);
    assertEquals(decisions.slice(0, 2).map(({ value }) => value), [1, 2]);
  }
});

testOnModel("tiny", "ScaleHook: lanes and batches do not change what an image becomes", async (model) => {
  const request: GenerateRequest = {
    labels: [0, 1, 2],
    seed: 4,
    hooks: [keepAll(2), varScaling({ samples: 6 })],
  };
  const together = await generate(model, { ...request, batch: 6 });
  assertEquals(together.trace.batches.map(({ lanes }) => lanes), [6]);
  for (const [batch, lanes] of [[1, [2, 2, 2]], [3, [2, 2, 2]], [5, [4, 2]]] as const) {
    const other = await generate(model, { ...request, batch });
    assertEquals(other.trace.batches.map((timing) => timing.lanes), [...lanes]);
    assertEquals(tokensOf(other), tokensOf(together));
    assertEquals(
      other.images.map(({ decisions }) => decisions),
      together.images.map(({ decisions }) => decisions),
    );
  }
});

testOnModel(
  "tiny",
  "ScaleHook: draws of other numbers are the same however they are grouped",
  async (model) => {
    const maps: number[][] = [];
    const hook: ScaleHook = {
      name: "draws",
      scales: [2],
      choose: async (step) => {
        const arrays = [
          step.draw(6),
          step.draw(2),
          step.draw(4, { firstDraw: 2 }),
          step.draw(1, { temperature: 0 }),
          step.draw(1, { topK: 1 }),
          step.draw(1, { topP: 1e-6 }),
          step.draw(1, { minP: 1 }),
          step.draw(3, { compounding: true }),
        ];
        maps.push(...(await step.device.read(arrays)).map((array) => [...array]));
        await assertRejects(
          // deno-lint-ignore require-await -- a rejection is what is asked for
          async () => step.choose(step.allocate(8)),
          RangeError,
          "Cannot choose tokens for scale 2 as 9 are needed: the array holds 8",
        );
      },
    };
    await generate(model, { labels: 0, hooks: [hook] });
    const [six, two, four, coldest, single, surest, only, compounding] = maps as [
      number[],
      number[],
      number[],
      number[],
      number[],
      number[],
      number[],
      number[],
    ];
    assertEquals([...two, ...four], six);
    assertEquals(coldest, single);
    assertEquals(coldest, surest);
    assertEquals(coldest, only);
    // The first draw sees the filter once either way.
    assertEquals(compounding.slice(0, 9), six.slice(0, 9));
    assertNotEquals(six.slice(0, 9), six.slice(9, 18));
  },
);

testOnModel("tiny", "ScaleStep: what is asked too early or too late is refused", async (model) => {
  const run = (hook: Omit<ScaleHook, "name">): Promise<unknown> => {
    return generate(model, { labels: "sea", hooks: [{ name: "look", ...hook }] });
  };
  for (const smallestEdge of [undefined, 4]) {
    await assertRejects(
      () => run({ choose: async (step) => void await step.pictures({ smallestEdge }) }),
      TypeError,
      "Cannot decode as no scale has been accepted",
    );
  }
  await assertRejects(
    () => run({ choose: (step) => void step.evidence() }),
    RangeError,
    "Cannot weigh evidence before the scale has its tokens",
  );
  let over: ScaleStep | undefined;
  await assertRejects(
    () =>
      run({
        gather: (step) => {
          over?.evidence();
          over = step;
          return undefined;
        },
      }),
    TypeError,
    'Cannot allocate "evidence" as the step of scale 0 is over',
  );
  await assertRejects(
    () => run({ gather: (step) => void step.remember("mine", "text" as never) }),
    TypeError,
    'Cannot remember as what is kept must be an array or a list: current value is "text"',
  );
});

testOnModel(
  "tiny",
  "ScaleHook: conditional and unconditional logits are those that guidance takes",
  async (model) => {
    let looked = 0;
    const look: ScaleHook = {
      name: "look",
      async guide(step) {
        const [conditional, unconditional, guided] = await Promise.all(
          [step.conditional, step.unconditional!, step.logits].map((array) => readFloats(array)),
        );
        const weight = step.guidanceWeight;
        assertEquals(conditional!.length, step.lanes.length * step.positions * TINY_VOCABULARY);
        for (const [i, value] of guided!.entries()) {
          // Guidance is right to within 4e-7 of the larger of its two terms.
          const term = weight * (conditional![i]! - unconditional![i]!);
          const bound = 4e-7 * Math.max(Math.abs(conditional![i]!), Math.abs(term)) + 1e-12;
          assertAlmostEquals(value, conditional![i]! + term, bound);
        }
        looked++;
      },
    };
    const request: GenerateRequest = { labels: ["sea", null], cfg: 2, seed: 4 };
    const plain = await generate(model, request);
    assertEquals(tokensOf(await generate(model, { ...request, hooks: [look] })), tokensOf(plain));
    assertEquals(looked, SCALES);
    const unguided: ScaleHook = {
      name: "unguided",
      async guide(step) {
        assertEquals(step.unconditional, undefined);
        assertEquals(await readFloats(step.conditional), await readFloats(step.logits));
      },
    };
    await generate(model, { ...request, cfg: 0, hooks: [unguided] });
  },
);

testOnModel(
  "tiny",
  "ScaleHook: what combine sets takes the place of guidance, before any guide",
  async (model) => {
    const request: GenerateRequest = { labels: ["sea", "sky"], cfg: 3, seed: 6 };
    const combine = (step: ScaleStep): void => step.setLogits(step.conditional);
    const conditional: ScaleHook = { name: "conditional", combine };
    const even: ScaleHook = {
      name: "even",
      guide: (step) => step.device.run(forbidOdd, { logits: step.logits }),
    };
    const unguided = await generate(model, { ...request, cfg: 0, hooks: [even] });
    for (const hooks of [[conditional, even], [even, conditional]]) {
      assertEquals(tokensOf(await generate(model, { ...request, hooks })), tokensOf(unguided));
    }
    assertNotEquals(tokensOf(await generate(model, { ...request, hooks: [even] })), tokensOf(unguided));
    // One that sets nothing leaves the usual guidance, and two on one scale would undo each other.
    const nothing: ScaleHook = { name: "nothing", combine() {} };
    assertEquals(
      tokensOf(await generate(model, { ...request, hooks: [nothing] })),
      tokensOf(await generate(model, request)),
    );
    await generate(model, {
      ...request,
      hooks: [{ ...conditional, scales: [0, 1] }, { ...nothing, scales: [2] }],
    });
    await assertRejects(
      () => generate(model, { ...request, hooks: [conditional, { ...nothing, scales: [2] }] }),
      TypeError,
      'Cannot generate as one hook may combine the logits of a scale: "conditional" and "nothing" do on scale 2',
    );
  },
);

testOnModel("tiny", "ScaleHook: settings of drawing can be changed by scale, as by lists", async (model) => {
  const request: GenerateRequest = { labels: ["sea", "sky"], cfg: 2, guidance: "constant", seed: 3 };
  const changes = [
    { topK: 1 },
    { temperature: 0 },
    { topP: 0.2 },
    { minP: 0.9, guidanceWeight: 4 },
  ];
  const hook: ScaleHook = {
    name: "change",
    guide: (step) => {
      const before = step.sampling;
      step.setSampling(changes[step.scale]!);
      assertEquals(step.sampling, { ...before, ...changes[step.scale] });
    },
  };
  const { defaults: { topK, topP, minP, temperature } } = model;
  const listed = await generate(model, {
    ...request,
    cfg: [2, 2, 2, 5],
    topK: [1, topK, topK, topK],
    temperature: [temperature, 0, temperature, temperature],
    topP: [topP, topP, 0.2, topP],
    minP: [minP, minP, minP, 0.9],
  });
  assertEquals(tokensOf(await generate(model, { ...request, hooks: [hook] })), tokensOf(listed));
  assertNotEquals(tokensOf(await generate(model, request)), tokensOf(listed));
});

testOnModel("tiny", "ScaleHook: settings are refused where they would come too late", async (model) => {
  const refuse = async (
    hook: Omit<ScaleHook, "name">,
    message: string,
    more: GenerateRequest = {},
  ): Promise<void> => {
    const request = { labels: "sea", ...more, hooks: [{ name: "late", scales: [1], ...hook }] };
    await assertRejects(() => generate(model, request), RangeError, message);
  };
  await refuse(
    {
      guide: (step) => {
        step.draw();
        step.setSampling({ topK: 1 });
      },
    },
    "Cannot change the sampling of scale 1 as tokens have been drawn",
  );
  await refuse(
    {
      guide: (step) => {
        step.draw();
        step.setLogits(step.conditional);
      },
    },
    "Cannot set the logits of scale 1 as tokens have been drawn",
  );
  await refuse(
    {
      guide: (step) => {
        assert(step.logits.length > 0);
        step.setSampling({ guidanceWeight: 7 });
      },
    },
    "Cannot change the sampling of scale 1 as its logits have been guided",
  );
  await refuse(
    { combine: (step) => step.setSampling({ guidanceWeight: 7 }) },
    "Cannot change the sampling of scale 1 as there are no logits without a label to be guided by",
    { cfg: 0 },
  );
  await refuse(
    { combine: (step) => step.setSampling({ topP: 2 }) },
    "Cannot change the sampling of scale 1 as topP must be from 0 to 1: current value is 2",
  );
  await refuse(
    { combine: (step) => step.setLogits(step.allocate(5)) },
    "Cannot set the logits of scale 1",
  );
});

for (const name of ["tiny", "texts"] as const) {
  testOnModel(
    name,
    `ScaleHook: features of candidates are what they would lead to (${name})`,
    async (model) => {
      const found: { wanted: Float32Array[]; got: Float32Array | undefined }[] = [];
      const take = (index: number): ScaleHook => ({
        name: "take",
        async choose(step) {
          const count = 3;
          const candidates = step.draw(count);
          const { array, channels, width, height } = step.featuresOf(candidates, count);
          const size = channels * width * height;
          const all = await readFloats(array);
          assertEquals(all.length, step.lanes.length * count * size);
          const words = step.positions * step.model.tokens.words;
          const chosen = step.allocate(step.lanes.length * words);
          const wanted: Float32Array[] = [];
          for (const lane of step.lanes.keys()) {
            const at = lane * count + index;
            step.device.copy(candidates, chosen, {
              sourceOffset: at * words,
              targetOffset: lane * words,
              length: words,
            });
            wanted.push(all.slice(at * size, (at + 1) * size));
          }
          step.choose(chosen);
          found.push({ wanted, got: undefined });
        },
        async gather(step) {
          found.at(-1)!.got = await readFloats(step.accumulated!.array);
          return undefined;
        },
      });
      for (const index of name === "tiny" ? [0, 2] : [1]) {
        await generate(model, {
          labels: name === "tiny" ? ["sea", "sky"] : "a red cube",
          hooks: [take(index)],
        });
      }
      for (const { wanted, got } of found) {
        assertEquals(got, Float32Array.from(wanted.flatMap((map) => [...map])));
      }
      assertEquals(found.length, (name === "tiny" ? 2 : 1) * model.patchNumbers.length);
    },
  );
}
