import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { type DeviceArray, readFloats } from "../../kernels/device/device.ts";
import { PURPOSE, seedWords, streamKey, threefry } from "../../kernels/exact/threefry.ts";
import type { Generation, Model, StartOptions } from "../../models/model.ts";
import type { GuidanceFormula } from "../../models/schedule.ts";
import { generate } from "../../sampler/generate.ts";
import { reconstruct } from "../../sampler/editing/reconstruct.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import type { GenerateResult } from "../../sampler/result.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import type { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { hasGpu, lowerLimits, requireGpu, testOnGpu } from "../devices.ts";
import {
  changed,
  holdings,
  sharedModel,
  testOnModel,
  TINY_PATCH_NUMBERS,
  TINY_VOCABULARY,
  tokensOf,
  withGenerations,
} from "./models.ts";

const LABELS = ["sea", "sky", 0, "Red Rock", "snow"] as const;

const pixelsOf = ({ images }: GenerateResult): number[][] => images.map(({ data }) => [...data]);

/** The largest difference of two lists of pictures, in steps of 1/255. */
function largestDifference(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(...a.flatMap((image, i) => image.map((value, j) => Math.abs(value - b[i]![j]!))));
}

testOnModel("tiny", "generate: the same seed gives the same pictures, another seed others", async (model) => {
  const request: GenerateRequest = { labels: LABELS, seed: 7, hooks: [varScaling()] };
  const first = await generate(model, request);
  const again = await generate(model, request);
  assertEquals(tokensOf(again), tokensOf(first));
  assertEquals(pixelsOf(again), pixelsOf(first));
  assertEquals(tokensOf(await generate(model, { ...request, seed: 7n })), tokensOf(first));
  assertNotEquals(tokensOf(await generate(model, { ...request, seed: 8 })), tokensOf(first));
  // The upper half of the seed counts as well.
  assertNotEquals(tokensOf(await generate(model, { ...request, seed: 7n + (1n << 32n) })), tokensOf(first));
});

testOnGpu(
  "generate: a batch whose arrays would exceed a limit is divided, with the same tokens",
  async () => {
    const model = await sharedModel("demo", "webgpu");
    const request = { labels: ["red cube", "blue cone", "green torus", "gray cross"], seed: 3 };
    const { images: wanted } = await generate(model, request);
    const { batchLimit: offered } = model.schedule();
    const device = model.device as WebGpuDevice;
    const limit = device.gpu.limits.maxStorageBufferBindingSize;
    const bytes = 32 * 64 * 64 * 4;
    assertEquals(offered?.images, Math.floor(limit / bytes));
    // 32 channels of 64 × 64 pixels, for three images.
    using _ = lowerLimits(device, { maxStorageBufferBindingSize: 4 * bytes - 1 });
    const reason = `the limit maxStorageBufferBindingSize of "${device.name}" is ${
      4 * bytes - 1
    } and each image takes ${bytes} bytes`;
    const batchLimit = { images: 3, reason };
    const { images, trace } = await generate(model, request);
    assertEquals(images.map(({ tokens }) => tokens), wanted.map(({ tokens }) => tokens));
    assertEquals(images.map(({ data }) => data), wanted.map(({ data }) => data));
    assertEquals(trace.batches.map(({ lanes }) => lanes), [3, 1]);
    assertEquals(trace.batchLimit, batchLimit);
    // Nothing has been made smaller.
    assertEquals(
      (await generate(model, { ...request, labels: request.labels.slice(1) })).trace.batchLimit,
      undefined,
    );
    const labels = request.labels.map((label) => model.resolveLabel(label));
    const refused = `must be at most 3, since ${reason}: current value is 4`;
    const start = await assertRejects(() => model.start({ labels, guided: true }), RangeError);
    assertEquals(start.message, `Cannot start a generation as the number of images at once ${refused}`);
    using generation = await model.start({ labels: labels.slice(1), guided: true });
    const gather = assertThrows(() => generation.gather([0, 1, 2, 2]), RangeError);
    assertEquals(gather.message, `Cannot gather lanes as the number of images at once ${refused}`);
    const { images: copies } = await reconstruct(model, wanted);
    assertEquals(copies.length, 4);
  },
);

testOnModel("tiny", "generate: an image does not depend on its batch", async (model) => {
  for (const hooks of [[], [varScaling({ samples: 20 })]]) {
    const request: GenerateRequest = { labels: LABELS, seed: 3, hooks };
    const together = await generate(model, { ...request, batch: 5 });
    assertEquals(together.trace.batches.map(({ lanes }) => lanes), [5]);
    const inTwos = await generate(model, { ...request, batch: 2 });
    assertEquals(inTwos.trace.batches.map(({ lanes }) => lanes), [2, 2, 1]);
    const alone = await generate(model, { ...request, batch: 1 });
    assertEquals(tokensOf(inTwos), tokensOf(together));
    assertEquals(tokensOf(alone), tokensOf(together));
    // Nor on what its mates are: image 4 with others before it.
    const others = await generate(model, { ...request, labels: [1, null, 3, 2, LABELS[4]] });
    assertEquals(tokensOf(others)[4], tokensOf(together)[4]);
    assertNotEquals(tokensOf(others)[0], tokensOf(together)[0]);
  }
});

testOnModel(
  "tiny",
  "generate: an image of a large request can be made alone, by its index",
  async (model) => {
    for (const hooks of [[], [{ ...varScaling({ samples: 20 }), lanes: 2, gather: () => undefined }]]) {
      const request: GenerateRequest = { labels: "sea", seed: 3, hooks };
      const all = await generate(model, { ...request, count: 7 });
      const lanes = hooks.length + 1;
      const one = await generate(model, { ...request, indices: [5] });
      const pick = (index: number) => all.images.filter((image) => image.index === index);
      assertEquals(one.images.map(({ index, lane }) => [index, lane]), [[5, 0], [5, 1]].slice(0, lanes));
      assertEquals(tokensOf(one), tokensOf({ images: pick(5) }));
      if (model.device.kind === "cpu") {
        assertEquals(pixelsOf(one), pick(5).map(({ data }) => [...data]));
      }
      // In any order and batch, and more than once.
      for (const batch of [1, 2, 8]) {
        const some = await generate(model, { ...request, count: 4, indices: [6, 2, 6, 0], batch });
        assertEquals(
          some.images.map(({ place, index }) => [place, index]),
          [6, 2, 6, 0].flatMap((index, place) => Array<number[]>(lanes).fill([place, index])),
        );
        assertEquals(tokensOf(some), tokensOf({ images: [6, 2, 6, 0].flatMap(pick) }));
      }
    }
  },
);

testOnModel(
  "tiny",
  "generate: images of one index share their noise, and lanes are gathered image by image",
  async (model) => {
    // Without guidance and with the class out of the way, the same noise is the same picture.
    const request: GenerateRequest = { labels: [null, null, null], seed: 4 };
    const [a, b, c] = tokensOf(await generate(model, { ...request, indices: [9, 9, 8] }));
    assertEquals(a, b);
    assertNotEquals(a, c);
    // All 24 bits count.
    const others = [9 + 2 ** 8, 9 + 2 ** 16, 9 + 2 ** 23];
    for (const tokens of tokensOf(await generate(model, { ...request, indices: others }))) {
      assertNotEquals(tokens, a);
    }
    const twins: ScaleHook = {
      name: "twins",
      lanes: 2,
      scales: [1],
      // Lanes 0 and 1 belong to the first image, 2 and 3 to the second one, though both have the same number.
      gather: ({ lanes }) => {
        assertEquals(lanes.map(({ image, index, lane }) => [image, index, lane]), [
          [0, 9, 0],
          [0, 9, 1],
          [1, 9, 0],
          [1, 9, 1],
        ]);
        return [0, 3];
      },
    };
    const { images } = await generate(model, {
      labels: [null, null],
      seed: 4,
      indices: [9, 9],
      hooks: [twins],
    });
    assertEquals(images.map(({ place, index, lane }) => [place, index, lane]), [[0, 9, 0], [1, 9, 1]]);
    assertEquals(tokensOf({ images: [images[0]!] }), [a]);
    const dropped: ScaleHook = { ...twins, gather: () => [0, 1] };
    await assertRejects(
      () => generate(model, { labels: [null, null], indices: [9, 9], hooks: [dropped] }),
      RangeError,
      'the hook "twins" left no lane of image 1',
    );
  },
);

testOnModel(
  "tiny",
  "generate: a signal that comes from elsewhere ends a generation in its middle",
  async (model) => {
    const controller = new AbortController();
    const before = model.device.counters.dispatches;
    setTimeout(() => controller.abort(new Error("enough")));
    const request = { count: 64, batch: 1, signal: controller.signal };
    await assertRejects(() => generate(model, request), Error, "enough");
    const used = model.device.counters.dispatches - before;
    const { trace } = await generate(model, { count: 1 });
    assert(used < 3 * trace.dispatches, `${used} dispatches, an image takes ${trace.dispatches}`);
  },
);

Deno.test({
  name: "generate: the demo's tokens and pictures are the same on both devices",
  ignore: !hasGpu && !requireGpu,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const cpu = await sharedModel("demo", "cpu");
    const gpu = await sharedModel("demo", "webgpu");
    // The logits differ by rounding, so that a draw on a knife's edge could differ; none of these seeds has
    // one.
    const requests: GenerateRequest[] = [
      { labels: ["red torus", null], seed: 1 },
      { labels: "red cube", seed: 2, hooks: [varScaling()], cfg: 3 },
      { seed: 12345678901234567890n, cfg: 0, topK: 0, topP: 0, hooks: [varScaling({ scale: [0, 2] })] },
    ];
    for (const request of requests) {
      const a = await generate(cpu, request);
      const b = await generate(gpu, request);
      assertEquals(tokensOf(b), tokensOf(a));
      assertEquals(
        b.images.map(({ decisions }) => decisions),
        a.images.map(({ decisions }) => decisions),
      );
      // Both decoders compute in float32, and their results agree to 2e-3 of 0 to 1, which is half a step of
      // 1/255; the cut to bytes then makes one step of it at most.
      const difference = largestDifference(pixelsOf(a), pixelsOf(b));
      assert(difference <= 1, `pixels differ by ${difference}`);
    }
  },
});

Deno.test("generate: no prompt is guided away from a text, whatever its batch", async () => {
  const model = await sharedModel("texts", "cpu");
  const request = { cfg: 3, familyOptions: { negativePrompt: "a blue sphere" } };
  const [alone] = tokensOf(await generate(model, { ...request, labels: null }));
  const [beside] = tokensOf(await generate(model, { ...request, labels: [null, "a red cone"] }));
  const [unguided] = tokensOf(await generate(model, { labels: null }));
  assertEquals(alone, beside);
  assertNotEquals(alone, unguided);
});

Deno.test("generate: the demo's tokens do not depend on the batch", async () => {
  const model = await sharedModel("demo", "cpu");
  const request: GenerateRequest = { labels: ["red torus", "blue cone", null], seed: 11 };
  const together = await generate(model, request);
  for (const batch of [1, 2]) {
    assertEquals(tokensOf(await generate(model, { ...request, batch })), tokensOf(together));
  }
});

testOnModel(
  "tiny",
  "generate: all batches come back in one readback, with nothing that was not asked for",
  async (model) => {
    const { patchNumbers } = model;
    const { picture } = model.schedule();
    const tokens = patchNumbers.reduce((sum, side) => sum + side * side, 0);
    // Seven words of a decision and two for each of ten representatives.
    const decision = 7 + 2 * 10;
    const { trace } = await generate(model, { labels: LABELS, batch: 2, hooks: [varScaling()] });
    assertEquals(trace.readbacks, 1);
    // Two words for each mark of a GPU's clock: start, condition, every scale, and decoding.
    const ticks = trace.batches[0]!.clock === "webgpu" ? 3 * 2 * (patchNumbers.length + 3) : 0;
    assertEquals(trace.bytesRead, 4 * (5 * (picture.width * picture.height + tokens + decision) + ticks));
    // Asking for previews where nobody can see them changes nothing.
    assertEquals((await generate(model, { previews: true })).trace.readbacks, 1);
  },
);

testOnModel("tiny", "generate: fifty generations leave nothing behind", async (model) => {
  const hook: ScaleHook = { name: "twins", lanes: 2, scales: [2], gather: () => [0, 0] };
  const requests: GenerateRequest[] = [
    { labels: 0, cfg: 0 },
    { labels: 1, cfg: 0, hooks: [varScaling({ samples: 8, distance: "cosine" })] },
    { labels: 2, cfg: 0, moreSmooth: true },
    { labels: 3, cfg: 0, hooks: [hook] },
    { labels: 4 },
  ];
  // The graph runtime keeps buffers for later, so each kind of request has its turn first.
  for (const request of requests) await generate(model, request);
  const before = holdings(model);
  for (let i = 0; i < 50; i++) {
    await generate(model, { ...requests[i % requests.length], seed: i });
    assertEquals(holdings(model), before, `generation ${i}`);
  }
});

testOnModel("tiny", "generate: an abort ends the generation at once and frees everything", async (model) => {
  const scales = TINY_PATCH_NUMBERS.length;
  const request: GenerateRequest = { labels: ["sea", "sky"], batch: 1 };
  await generate(model, request);
  const before = holdings(model);
  const reason = new Error("enough");
  const expect = async (
    when: string,
    begun: readonly string[],
    run: (signal: AbortSignal, abort: () => void, watch: ScaleHook) => Promise<unknown>,
  ): Promise<void> => {
    const controller = new AbortController();
    const seen: string[] = [];
    const watch: ScaleHook = {
      name: "watch",
      guide: ({ lanes, scale }) => void seen.push(`image ${lanes[0]!.image} scale ${scale}`),
    };
    const error = await assertRejects(
      () => run(controller.signal, () => controller.abort(reason), watch),
      when,
    );
    assertStrictEquals(error, reason, when);
    assertEquals(seen, begun, when);
    assertEquals(holdings(model).liveArrays, before.liveArrays, when);
    // The runtime's pool is what its last run has left there; a whole generation leaves what it left before.
    await generate(model, request);
    assertEquals(holdings(model), before, when);
  };
  const image = (index: number, count: number): string[] => {
    return Array.from({ length: count }, (_, scale) => `image ${index} scale ${scale}`);
  };

  await expect("before", [], (signal, abort, watch) => {
    abort();
    return generate(model, { ...request, signal, hooks: [watch] });
  });
  for (const part of ["guide", "choose", "gather"] as const) {
    await expect(`in ${part} of a hook`, image(0, 2), (signal, abort, watch) => {
      const hook: ScaleHook = { name: "abort", scales: [1], [part]: () => abort() };
      return generate(model, { ...request, signal, hooks: [watch, hook] });
    });
  }
  await expect("in the last scale, before the decoder", image(0, scales), (signal, abort, watch) => {
    const hook: ScaleHook = { name: "abort", scales: [scales - 1], choose: () => abort() };
    return generate(model, { labels: "sea", signal, hooks: [watch, hook] });
  });
  const onEvent = (test: (event: { type: string; batch?: number; scale?: number }) => boolean) => {
    return async (signal: AbortSignal, abort: () => void, watch: ScaleHook): Promise<void> => {
      for await (const event of generate.stream(model, { ...request, signal, hooks: [watch] })) {
        if (test(event)) abort();
      }
    };
  };
  await expect("on the event of a scale", image(0, 2), onEvent(({ scale }) => scale === 1));
  await expect(
    "between two batches",
    image(0, scales),
    onEvent(({ type, batch }) => type === "batch" && batch === 1),
  );
  await expect(
    "while the first batch waits on the device",
    [...image(0, scales), ...image(1, 1)],
    (signal, abort, watch) => {
      const guide: ScaleHook["guide"] = ({ lanes }) => {
        if (lanes[0]!.image === 1) abort();
      };
      return generate(model, { ...request, signal, hooks: [watch, { name: "abort", guide }] });
    },
  );
});

testOnModel("tiny", "generate: errors of hooks and bad reports free everything", async (model) => {
  const request: GenerateRequest = { labels: ["sea", "sky"], count: 2, batch: 2, seed: 1 };
  await generate(model, request);
  const before = holdings(model);
  const failure = new Error("score server is down");
  const hooks: Record<string, Partial<ScaleHook>> = {
    guide: {
      guide: (step) => {
        step.logits;
        throw failure;
      },
    },
    choose: {
      choose: (step) => {
        step.draw(10);
        return Promise.reject(failure);
      },
    },
    gather: {
      gather: async (step) => {
        await step.preview();
        throw failure;
      },
    },
  };
  for (const [part, hook] of Object.entries(hooks)) {
    for (const scale of [0, 1, TINY_PATCH_NUMBERS.length - 1]) {
      const given: ScaleHook = { name: part, scales: [scale], ...hook };
      const twins: ScaleHook = { name: "twins", gather: ({ lanes }) => [...lanes.keys()] };
      const error = await assertRejects(() =>
        generate(model, { ...request, hooks: [varScaling(), twins, given] })
      );
      assertStrictEquals(error, failure, part);
      assertEquals(holdings(model), before, `${part} at scale ${scale}`);
    }
  }
  const short: ScaleHook = {
    name: "short",
    choose: (step) => step.report(step.allocate(3), 2, (words) => words),
  };
  await assertRejects(() => generate(model, { ...request, hooks: [short] }), RangeError, "copy words");
  assertEquals(holdings(model), before, "a report longer than its array");
});

testOnModel("tiny", "generate: cfg 0 runs without unconditional rows", async (model) => {
  const started: StartOptions[] = [];
  const rows: number[] = [];
  const watched = withGenerations(model, (generation) => ({
    logits: async () => {
      const logits = await generation.logits();
      rows.push(logits.length / TINY_VOCABULARY);
      return logits;
    },
  }));
  const spy = changed(watched, {
    start: (options) => {
      started.push(options);
      return watched.start(options);
    },
  });
  const asked: number[] = [];
  const hook: ScaleHook = {
    name: "watch",
    guide: (step) => void asked.push(step.logits.length / TINY_VOCABULARY),
  };
  const run = async (request: GenerateRequest): Promise<number[][][]> => {
    started.length = rows.length = asked.length = 0;
    return tokensOf(await generate(spy, { labels: ["sea", "snow"], hooks: [hook], ...request }));
  };
  const positions = TINY_PATCH_NUMBERS.map((side) => side * side);
  const starts = (): unknown => started.map(({ labels, guided }) => [labels.map(({ id }) => id), guided]);

  const unguided = await run({ cfg: 0 });
  assertEquals(starts(), [[[2, 1], false]]);
  assertEquals(rows, positions.map((count) => 2 * count));
  assertEquals(asked, rows);
  const guided = await run({ cfg: 1.5 });
  assertEquals(starts(), [[[2, 1], true]]);
  assertEquals(started[0]!.schedule, model.schedule({ cfg: 1.5 }));
  assertEquals(rows, positions.map((count) => 4 * count));
  assertEquals(asked, positions.map((count) => 2 * count));
  // Guidance grows from 0, so the first scales agree; a weight below 2^-64 counts as none.
  assertEquals(guided.map((maps) => maps[0]), unguided.map((maps) => maps[0]));
  assertNotEquals(guided, unguided);
  assertEquals(await run({ cfg: 1e-20 }), unguided);
  assertEquals(started[0]!.guided, true);

  // A constant weight of cfg - 1 is off at 1.
  assertEquals(await run({ cfg: 1, guidance: "constant" }), unguided);
  assertEquals(starts(), [[[2, 1], false]]);
  await run({ cfg: 0, guidance: "constant" });
  assertEquals(starts(), [[[2, 1], true]]);

  // The null class has nothing to be guided away from.
  const nothing = await run({ labels: [null, null] });
  assertEquals(starts(), [[[null, null], false]]);
  assertEquals(nothing, await run({ labels: [null, null], cfg: 4 }));
  const mixed = await run({ labels: [null, "sea"] });
  assertEquals(starts(), [[[null, 2], true]]);
  assertEquals(mixed[0], nothing[0]);
});

testOnModel(
  "tiny",
  "generate: guided logits follow the formula, with a weight that grows over the scales or stays",
  async (model) => {
    const raw: Float32Array[] = [];
    const spy = withGenerations(model, (generation) => ({
      logits: async () => {
        const logits = await generation.logits();
        raw.push(await readFloats(logits));
        return logits;
      },
    }));
    const cfg = 2.5;
    let checked = 0;
    const check = (guidance: GuidanceFormula): ScaleHook => ({
      name: "check",
      guide: async (step) => {
        const weight = guidance === "ramp" ? cfg * step.scale / (TINY_PATCH_NUMBERS.length - 1) : 1.5;
        assertAlmostEquals(step.guidanceWeight, weight, 1e-15);
        const guided = await readFloats(step.logits);
        const both = raw[step.scale]!;
        assertEquals(both.length, 2 * guided.length);
        for (const [i, value] of guided.entries()) {
          const conditional = both[i]!;
          const difference = conditional - both[guided.length + i]!;
          // Five roundings to float32 and a split product: a few units of 2^-24 of the largest part.
          const bound = 2 ** -21 * (Math.abs(conditional) + Math.abs(weight * difference)) + 2 ** -64;
          assert(Math.abs(value - (conditional + weight * difference)) <= bound, `scale ${step.scale}, ${i}`);
          checked++;
        }
      },
    });
    const labels = ["sea", null];
    const ramp = await generate(spy, { labels, cfg, hooks: [check("ramp")] });
    raw.length = 0;
    const constant = await generate(spy, { labels, cfg, guidance: "constant", hooks: [check("constant")] });
    assertEquals(checked, 2 * 2 * TINY_VOCABULARY * 30);
    // What was not looked at is guided by the same weight.
    for (const [guidance, looked] of [["ramp", ramp], ["constant", constant]] as const) {
      assertEquals(tokensOf(await generate(model, { labels, cfg, guidance })), tokensOf(looked));
    }
    assertNotEquals(tokensOf(constant), tokensOf(ramp));
  },
);

testOnModel(
  "tiny",
  "generate: temperature 0, top-k 1, a small top-p and min-p 1 take the likeliest token, whatever the seed",
  async (model) => {
    const likeliest: number[][] = [];
    const argmax: ScaleHook = {
      name: "argmax",
      guide: async (step) => {
        const logits = await readFloats(step.logits);
        likeliest.push(Array.from({ length: step.positions }, (_, position) => {
          const row = logits.subarray(position * TINY_VOCABULARY, (position + 1) * TINY_VOCABULARY);
          return row.indexOf(Math.max(...row));
        }));
      },
    };
    const [reference] = tokensOf(await generate(model, { labels: 3, temperature: 0, hooks: [argmax] }));
    assertEquals(likeliest, reference);
    for (const [seed, request] of [{ temperature: 0 }, { topK: 1 }, { topP: 1e-6 }, { minP: 1 }].entries()) {
      assertEquals(tokensOf(await generate(model, { labels: 3, seed: seed + 1, ...request })), [reference]);
    }
    assertNotEquals(tokensOf(await generate(model, { labels: 3 })), [reference]);
  },
);

testOnModel(
  "tiny",
  "generate: labels by number, name, case and count name the same images",
  async (model) => {
    const plain = await generate(model, { labels: [4, 4, 2, 2] });
    assertEquals(plain.images.map(({ label }) => label), [
      ...new Array(2).fill({ id: 4, name: "Red Rock" }),
      ...new Array(2).fill({ id: 2, name: "sea" }),
    ]);
    assertEquals(plain.images.map(({ index }) => index), [0, 1, 2, 3]);
    for (
      const request of [
        { labels: ["Red Rock", "sea"], count: 2 },
        { labels: [" RED ROCK ", "SEA"], count: 2 },
        { labels: ["4", 2], count: 2 },
        { labels: ["red rock", 4, "2", "Sea"] },
      ] satisfies GenerateRequest[]
    ) assertEquals(tokensOf(await generate(model, request)), tokensOf(plain));
    // Two images of one class are two images.
    assertNotEquals(tokensOf(plain)[0], tokensOf(plain)[1]);
    assertEquals(tokensOf(await generate(model, { labels: "Red Rock" })), tokensOf(plain).slice(0, 1));
  },
);

testOnModel(
  "tiny",
  "generate: moreSmooth mixes code vectors but draws the same first tokens",
  async (model) => {
    const request: GenerateRequest = { labels: "sky", cfg: 1.5, seed: 5 };
    const plain = await generate(model, request);
    const smooth = await generate(model, { ...request, moreSmooth: true });
    assertEquals(tokensOf(smooth)[0]![0], tokensOf(plain)[0]![0]);
    assertNotEquals(pixelsOf(smooth), pixelsOf(plain));
    assertEquals(pixelsOf(await generate(model, { ...request, moreSmooth: true })), pixelsOf(smooth));
    // One token left is its own mean, up to the rounding of a division.
    const sure = { ...request, temperature: 0 };
    const difference = largestDifference(
      pixelsOf(await generate(model, { ...sure, moreSmooth: true })),
      pixelsOf(await generate(model, sure)),
    );
    assert(difference <= 1, `pixels differ by ${difference}`);
  },
);

testOnModel("tiny", "generate: moreSmooth needs a generation that takes mixed vectors", async (model) => {
  const without = withGenerations(
    model,
    () => ({ acceptFeatures: undefined }) as unknown as Partial<Generation>,
  );
  await assertRejects(
    () => generate(without, { labels: "sky", moreSmooth: true }),
    RangeError,
    "Cannot go on with mixed vectors as the model takes only those of tokens",
  );
});

testOnModel("tiny", "generate: moreSmooth follows VAR's formula, in float64", async (model) => {
  const { array, channels, vocabulary } = model.tokens.codebook!;
  const codes = await readFloats(array);
  const largest = Math.max(...codes.map(Math.abs));
  const logits: Float32Array[] = [];
  const features: Float32Array[] = [];
  const pending: Promise<unknown>[] = [];
  const spy = withGenerations(model, (generation) => ({
    logits: async () => {
      const raw = await generation.logits();
      logits.push(await readFloats(raw));
      return raw;
    },
    acceptFeatures: (mixed) => {
      pending.push(readFloats(mixed).then((values) => features.push(values)));
      generation.acceptFeatures!(mixed);
    },
  }));
  const temperature = 1.3;
  await generate(spy, { labels: "sky", cfg: 0, seed: 5, topK: 0, topP: 0, temperature, moreSmooth: true });
  await Promise.all(pending);
  assertEquals(features.length, TINY_PATCH_NUMBERS.length);
  for (const [scale, side] of TINY_PATCH_NUMBERS.entries()) {
    const ratio = scale / (TINY_PATCH_NUMBERS.length - 1);
    const tau = Math.max(0.27 * (1 - 0.95 * ratio), 0.005);
    const key = streamKey(seedWords(5), 0, scale, PURPOSE.noise);
    for (let position = 0; position < side * side; position++) {
      const scores = Array.from({ length: vocabulary }, (_, token) => {
        const uniform = ((threefry(key, [position, token])[0] >>> 9) + 0.5) / 2 ** 23;
        const logit = logits[scale]![position * vocabulary + token]! / temperature;
        return (logit * (1 + ratio) - Math.log(-Math.log(uniform))) / tau;
      });
      const best = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - best));
      const total = weights.reduce((a, b) => a + b);
      for (let channel = 0; channel < channels; channel++) {
        const mean = weights.reduce((sum, w, token) => sum + w * codes[token * channels + channel]!, 0) /
          total;
        const found = features[scale]![channel * side * side + position]!;
        // The bound that the kernel states.
        const bound = 2e-5 * (1 + 1 / tau) * largest;
        assertAlmostEquals(found, mean, bound, `scale ${scale}, position ${position}, channel ${channel}`);
      }
    }
  }
});

Deno.test({
  name: "generate: moreSmooth paints the same picture on both devices",
  ignore: !hasGpu && !requireGpu,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    for (const name of ["tiny", "demo"] as const) {
      const request: GenerateRequest = { labels: 3, seed: 9, moreSmooth: true };
      const a = await generate(await sharedModel(name, "cpu"), request);
      const b = await generate(await sharedModel(name, "webgpu"), request);
      assertEquals(tokensOf(b), tokensOf(a));
      // Logits agree to about 1e-4. They are multiplied by at most 2 / 0.0135 before the softmax, so a weight
      // is right to 1.5 %, and where two codes share a position evenly, features are off by a quarter of that
      // of their distance: 0.4 %, one step of 255, doubled for the decoder and one more for the cut to bytes.
      const difference = largestDifference(pixelsOf(a), pixelsOf(b));
      assert(difference <= 3, `${name}: pixels differ by ${difference}`);
    }
  },
});

testOnModel(
  "tiny",
  "generate: logits that cannot be drawn from are an error that says where",
  async (model) => {
    const before = holdings(model);
    const filled = (value: number, at: number) => (model: Model): Model => {
      return withGenerations(model, (generation) => {
        let scale = 0;
        return {
          logits: async () => {
            const logits = await generation.logits();
            if (scale++ === at) model.device.write(logits, new Float32Array(logits.length).fill(value));
            return logits;
          },
        };
      });
    };
    const request: GenerateRequest = { labels: ["sea", "sky"] };
    const message = (image: number, scale: number, position: number): string =>
      `Cannot draw a token for image ${image} at scale ${scale}, position ${position}, as all its logits are NaN or -Infinity`;
    for (const [value, scale] of [[NaN, 0], [-Infinity, 2], [NaN, 3]] as const) {
      const error = await assertRejects(() => generate(filled(value, scale)(model), request), RangeError);
      assertEquals(error.message, message(0, scale, 0));
    }
    // A hook that forbids everything for one image at one position.
    const forbid: ScaleHook = {
      name: "forbid",
      scales: [1],
      guide: (step) => {
        const nothing = new Float32Array(TINY_VOCABULARY).fill(-Infinity);
        step.device.write(step.logits, nothing, (step.positions + 2) * TINY_VOCABULARY);
      },
    };
    for (const hooks of [[forbid], [forbid, varScaling({ samples: 5 })]]) {
      const error = await assertRejects(() => generate(model, { ...request, hooks }), RangeError);
      assertEquals(error.message, message(1, 1, 2));
    }
    assertEquals(holdings(model).liveArrays, before.liveArrays);
    // Infinitely likely tokens share everything.
    const likely: ScaleHook = {
      name: "likely",
      guide: (step) => {
        const row = new Float32Array(TINY_VOCABULARY);
        row[7] = row[9] = Infinity;
        for (let i = 0; i < step.lanes.length * step.positions; i++) {
          step.device.write(step.logits, row, i * TINY_VOCABULARY);
        }
      },
    };
    const { images } = await generate(model, { ...request, hooks: [likely] });
    assertEquals(new Set(images.flatMap(({ tokens }) => tokens.flatMap((map) => [...map]))), new Set([7, 9]));
  },
);

testOnModel(
  "tiny",
  "generate: images are told apart up to the last random number of a request",
  async (model) => {
    // Draws of the same image and seed: 40 images of one class must not share their finest map.
    const maps = tokensOf(await generate(model, { labels: 1, count: 40, cfg: 0, batch: 40 })).map((image) =>
      image.join()
    );
    assertEquals(new Set(maps).size, 40);
  },
);

testOnModel("tiny", "generate: arrays of a step end with it", async (model) => {
  let kept: DeviceArray | undefined;
  const hook: ScaleHook = {
    name: "hoard",
    scales: [0],
    choose: (step) => void (kept = step.draw(3)),
  };
  await generate(model, { labels: 0, hooks: [hook] });
  await assertRejects(
    () => model.device.read([kept!]),
    TypeError,
    'Cannot use "candidates" as it has been disposed',
  );
});
