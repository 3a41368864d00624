import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, type DeviceArray, readFloats, readWords } from "../../../kernels/device/device.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { loadModel, type LoadModelOptions } from "../../../models/load.ts";
import type { DecodedPictures, Generation, Model } from "../../../models/model.ts";
import type { MapSize, Schedule, ScheduleRequest } from "../../../models/schedule.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import { filledFlexVar, flexVarCheckpoints, safetensors, SMALL_FLEXVAR } from "./checkpoints.ts";

const { tokenizer: { vocabulary, channels }, width, positionSide } = SMALL_FLEXVAR;

const WITHOUT_NETWORKS = {
  ...SMALL_FLEXVAR,
  tokenizer: { vocabulary, channels, latentChannels: channels, decoder: null, encoder: null },
};

const checkpoints = await flexVarCheckpoints();

function load(device: Device, options: LoadModelOptions = {}): Promise<Model> {
  return loadModel(checkpoints, { device, ...options });
}

/** Tokens that look random, other ones for each scale. */
function tokensFor({ width, height }: MapSize, images: number, seed: number): Uint32Array<ArrayBuffer> {
  const random = testRandom(seed);
  return Uint32Array.from({ length: images * width * height }, () => Math.floor(random() * vocabulary));
}

interface Replay {
  readonly generation: Generation;
  readonly schedule: Schedule;
  readonly images: number;
}

/** Goes through scales with forced tokens; `each` sees logits and state after each of them. */
async function replay(
  { generation, schedule, images }: Replay,
  each: (scale: number, logits: DeviceArray) => void | Promise<void> = () => {},
): Promise<void> {
  const { device } = generation.features;
  for (const [scale, map] of schedule.scales.entries()) {
    using logits = await generation.logits();
    using tokens = device.upload(tokensFor(map, images, scale));
    generation.accept(tokens);
    await each(scale, logits);
  }
}

async function start(
  model: Model,
  request: ScheduleRequest,
  { labels = [0, 3], guided = false }: { labels?: (number | null)[]; guided?: boolean } = {},
): Promise<Replay & Disposable> {
  const schedule = model.schedule(request);
  const generation = await model.start({
    labels: labels.map((label) => model.resolveLabel(label)),
    guided,
    schedule,
  });
  return {
    generation,
    schedule,
    images: labels.length,
    [Symbol.dispose]: () => generation[Symbol.dispose](),
  };
}

/** One-dimensional resizing to `to` values, as a matrix by the textbook. */
function areaMatrix(from: number, to: number): number[][] {
  return Array.from({ length: to }, (_, i) => {
    const begin = Math.floor(i * from / to);
    const end = Math.ceil((i + 1) * from / to);
    return Array.from({ length: from }, (_, j) => j >= begin && j < end ? 1 / (end - begin) : 0);
  });
}

function bicubicMatrix(from: number, to: number): number[][] {
  const near = (x: number): number => (1.25 * x - 2.25) * x * x + 1;
  const far = (x: number): number => ((-0.75 * x + 3.75) * x - 6) * x + 3;
  return Array.from({ length: to }, (_, i) => {
    const position = (i + 0.5) * from / to - 0.5;
    const base = Math.floor(position);
    const t = position - base;
    const row = new Array<number>(from).fill(0);
    for (const [k, weight] of [far(1 + t), near(t), near(1 - t), far(2 - t)].entries()) {
      row[Math.min(Math.max(base - 1 + k, 0), from - 1)]! += weight;
    }
    return row;
  });
}

/** A map [height, width] of vectors, resized by a matrix for each side. */
function resized(
  at: (y: number, x: number, channel: number) => number,
  [down, across]: readonly [number[][], number[][]],
  count: number,
): number[][][] {
  return down.map((rows) =>
    across.map((columns) =>
      Array.from({ length: count }, (_, channel) => {
        let sum = 0;
        for (const [y, a] of rows.entries()) {
          for (const [x, b] of columns.entries()) if (a * b !== 0) sum += a * b * at(y, x, channel);
        }
        return sum;
      })
    )
  );
}

function unit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** The codebook at length 1, in float64. */
function unitCodes(): number[][] {
  const { values } = filledFlexVar().vae.find(({ name }) => name === "quantize.embedding.weight")!;
  return Array.from({ length: vocabulary }, (_, code) => {
    return unit([...values.subarray(code * channels, (code + 1) * channels)]);
  });
}

testOnDevices("Model: a loaded model says what it is", async (device) => {
  await using model = await load(device);
  assertEquals([model.family, model.name, model.size], ["flexvar", "FlexVAR-d1", 1]);
  assertEquals(model.patchNumbers, [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]);
  assertEquals([model.encodes, model.decodes], [true, true]);
  assertEquals(model.defaults.cfg, 2.5);
  assertEquals(model.defaults.topP, 0.95);
  assertEquals(model.labels, { kind: "classes", count: 5, names: [] });
  assertEquals(model.tokens.mix, undefined);
  assertEquals([model.tokens.words, model.tokens.logits, model.tokens.channels], [1, vocabulary, channels]);
  const { scale, alpha, conflictThreshold, published } = model.search;
  assertEquals([scale, conflictThreshold, published.cfg, published.conflictThreshold], [2, 1.8, 2.5, 1.8]);
  assertEquals([5, 20, 32, 50, 80, 100, 900].map((samples) => alpha({ scale, samples })), [
    2.5,
    2.5,
    2.56,
    2.65,
    2.74,
    2.8,
    2.8,
  ]);
  // The codes are of length 1, as published they are not.
  const codes = await readFloats(model.tokens.codebook!.array);
  const wanted = unitCodes().flat();
  assert(maxDifference(codes, wanted) < 1e-6);
  assert(model.weightBytes > 1e5);
});

testOnDevices("Model: the memory of a schedule grows with its maps", async (device) => {
  await using model = await load(device);
  const bytes = [8, 16, 32, 64].map((size) => model.schedule({ size }).imageBytes);
  assertEquals(bytes, bytes.toSorted((a, b) => a - b));
  assertEquals(new Set(bytes).size, 4);
  assertEquals(model.schedule().imageBytes, bytes[2]);
  const { width, height } = model.schedule({ size: { width: 32, height: 16 } }).picture;
  assertEquals([width, height], [32, 16]);
});

testOnDevices("Model: a picture that cannot fit is refused with the reason", async (device) => {
  const refused = (model: Model): string => {
    return assertThrows(() => model.schedule({ patchNumbers: [1, 6000] }), RangeError).message;
  };
  await using model = await load(device);
  const limit = /^Cannot generate pictures of 12000×12000 on .* limit max\w+ is \d+/;
  const memory =
    /^Cannot generate pictures of 12000×12000 as f32 as it needs \d+ bytes with one image and there are \d+/;
  const message = refused(model);
  assert(memory.test(message) || (device instanceof WebGpuDevice && limit.test(message)), message);
  // What is told counts everywhere.
  await using told = await load(device, { memory: 1e9 });
  assert(/^Cannot generate pictures of 12000×12000 as f32 .* there are 1000000000$/.test(refused(told)));
  assertEquals(told.schedule({ size: 64 }).imageBytes, model.schedule({ size: 64 }).imageBytes);
  await using blind = await loadModel(await flexVarCheckpoints(WITHOUT_NETWORKS), { device, memory: 1e9 });
  assert(refused(blind).startsWith("Cannot generate token maps of 6000×6000 as f32 as it needs "));
});

testOnDevices(
  "Model: each scale begins with the codes of the one before, at its own width and height",
  async (device) => {
    await using model = await load(device);
    const codes = unitCodes();
    for (const request of [{ size: { width: 24, height: 10 } }, { patchNumbers: [1, 3, 2 + 5] }]) {
      using run = await start(model, request, { guided: true });
      const { schedule: { scales }, images, generation } = run;
      assertEquals([...await readFloats(generation.features)], new Array(2 * images * channels).fill(0));
      await replay(run, async (k) => {
        const [from, to] = [scales[k]!, scales[k + 1]];
        if (to === undefined) return;
        const tokens = tokensFor(from, images, k);
        const wanted = Array.from({ length: images }, (_, image) =>
          resized(
            (y, x, channel) => codes[tokens[(image * from.height + y) * from.width + x]!]![channel]!,
            [bicubicMatrix(from.height, to.height), bicubicMatrix(from.width, to.width)],
            channels,
          )).flat(3);
        const found = await readFloats(generation.features);
        // The same rows for both halves.
        assert(maxDifference(found, [...wanted, ...wanted]) < 1e-5, `scale ${k}`);
      });
    }
  },
);

/** Checkpoints whose blocks add nothing, so that logits follow from embedded features and positions alone. */
async function flatCheckpoints(): Promise<{ var: Uint8Array<ArrayBuffer>; vae: Uint8Array<ArrayBuffer> }> {
  const { var: transformer, vae } = filledFlexVar();
  for (const { name, values } of transformer) if (name.includes("ada_lin")) values.fill(0);
  return { var: await safetensors(transformer), vae: await safetensors(vae) };
}

testOnDevices("Model: positions are the learnt map at the size of each token map", async (device) => {
  await using model = await loadModel(await flatCheckpoints(), { device });
  const { var: tensors } = filledFlexVar();
  const valuesOf = (name: string): Float32Array => tensors.find((tensor) => tensor.name === name)!.values;
  const [learnt, embedding, bias, head, headBias, classes, begin] = [
    "pos_1LC",
    "word_embed.weight",
    "word_embed.bias",
    "head.weight",
    "head.bias",
    "class_emb.weight",
    "pos_start",
  ].map(valuesOf) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const logitsOf = (x: readonly number[]): number[] => {
    const mean = x.reduce((sum, value) => sum + value, 0) / width;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const normal = x.map((value) => (value - mean) / Math.sqrt(variance + 1e-6));
    return Array.from(headBias, (offset, token) => {
      return normal.reduce((sum, value, i) => sum + value * head[token * width + i]!, offset);
    });
  };
  const codes = unitCodes();
  const label = 3;
  // More columns than the learnt map has, fewer rows, and twelve scales.
  for (
    const request of [{ size: { width: 20, height: 6 } }, { size: { width: 6, height: 24 } }, {
      patchNumbers: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    }]
  ) {
    using run = await start(model, request, { labels: [label] });
    const { scales } = run.schedule;
    await replay(run, async (k, logits) => {
      const { width: columns, height: rows } = scales[k]!;
      const positions = resized(
        (y, x, channel) => learnt[(channel * positionSide + y) * positionSide + x]!,
        [areaMatrix(positionSide, rows), areaMatrix(positionSide, columns)],
        width,
      );
      const before = scales[k - 1];
      const tokens = before && tokensFor(before, 1, k - 1);
      const features = before && resized(
        (y, x, channel) => codes[tokens![y * before.width + x]!]![channel]!,
        [bicubicMatrix(before.height, rows), bicubicMatrix(before.width, columns)],
        channels,
      );
      const wanted = positions.flatMap((line, y) =>
        line.flatMap((position, x) =>
          logitsOf(position.map((value, i) => {
            if (features === undefined) return value + classes[label * width + i]! + begin[i]!;
            const embedded = features[y]![x]!.reduce((sum, feature, channel) => {
              return sum + feature * embedding[i * channels + channel]!;
            }, bias[i]!);
            return value + embedded;
          }))
        )
      );
      const difference = maxDifference(await readFloats(logits), wanted);
      assert(difference < 5e-5, `${difference} at scale ${k} of ${rows}×${columns}`);
    });
  }
});

testOnDevices(
  "Model: a preview has the size of its scale, and depends on its tokens alone",
  async (device) => {
    await using model = await load(device);
    const request = { size: { width: 12, height: 16 } };
    using run = await start(model, request);
    const pictures: Float32Array[] = [];
    await replay(run, async (k) => {
      const { picture, width, height } = run.schedule.scales[k]!;
      assertEquals(picture, { width: 2 * width, height: 2 * height });
      using decoded = await run.generation.decode();
      assertEquals([decoded.width, decoded.height], [picture.width, picture.height]);
      pictures.push(await readFloats(decoded.array));
      assertEquals(pictures.at(-1)!.length, 2 * 3 * picture.width * picture.height);
    });
    // The same last map after other maps, of other labels.
    const other = { ...request, patchNumbers: [1, 3, 5] };
    using again = await start(model, other, { labels: [1, 2], guided: true });
    const { scales } = again.schedule;
    assertEquals(scales.length, 3);
    assertEquals(run.schedule.scales.length, 7);
    const last = tokensFor(scales[2]!, 2, 6);
    for (const [k, map] of scales.entries()) {
      using _logits = await again.generation.logits();
      using tokens = device.upload(k === 2 ? last : tokensFor(map, 2, 99));
      again.generation.accept(tokens);
    }
    using decoded = await again.generation.decode();
    assert(maxDifference(await readFloats(decoded.array), pictures.at(-1)!) < 1e-6);
    assert(new Set(pictures.at(-1)).size > 100);
  },
);

testOnDevices("Model: lanes are gathered between scales", async (device) => {
  await using model = await load(device);
  const request = { patchNumbers: [1, 2, 3] };
  const lanes = [2, 0, 2];
  const labels = [4, null, 1];
  for (const guided of [false, true]) {
    using plain = await start(model, request, { labels, guided });
    using gathered = await start(model, request, { labels, guided });
    const [finest, before] = [plain.schedule.scales[2]!, plain.schedule.scales[1]!];
    for (const run of [plain, gathered]) {
      run.generation.gather([0, 1, 2]);
      for (const k of [0, 1]) {
        using _logits = await run.generation.logits();
        using tokens = device.upload(tokensFor(run.schedule.scales[k]!, 3, k));
        run.generation.accept(tokens);
      }
    }
    gathered.generation.gather(lanes);
    assertEquals(gathered.generation.images, 3);
    /** Rows of the lanes, of each half. */
    const rowsOf = (values: Float32Array, rows: number): number[] => {
      const stride = values.length / rows;
      const halves = Array.from({ length: rows / 3 }, (_, half) => lanes.map((lane) => 3 * half + lane))
        .flat();
      return halves.flatMap((row) => [...values.subarray(row * stride, (row + 1) * stride)]);
    };
    const rows = guided ? 6 : 3;
    assertEquals(
      [...await readFloats(gathered.generation.features)],
      rowsOf(await readFloats(plain.generation.features), rows),
    );
    const pictures = async (generation: Generation): Promise<Float32Array> => {
      using decoded: DecodedPictures = await generation.decode();
      assertEquals([decoded.width, decoded.height], [2 * before.width, 2 * before.height]);
      return await readFloats(decoded.array);
    };
    const plainPictures = rowsOf(await pictures(plain.generation), 3);
    assert(maxDifference(await pictures(gathered.generation), plainPictures) < 1e-6);
    using wanted = await plain.generation.logits();
    using found = await gathered.generation.logits();
    const plainLogits = rowsOf(await readFloats(wanted), rows);
    assertEquals(found.length, rows * finest.width * finest.height * vocabulary);
    assert(maxDifference(await readFloats(found), plainLogits) < 1e-5);
    gathered.generation.gather([1]);
    assertEquals(gathered.generation.images, 1);
    assertThrows(() => gathered.generation.gather([1]), RangeError, "a lane must be");
  }
});

testOnDevices(
  "Model: pictures are encoded scale by scale, from their own size or twice that",
  async (device) => {
    await using model = await load(device);
    const codes = unitCodes();
    const schedule = model.schedule({ size: { width: 12, height: 8 }, patchNumbers: [1, 2, 4] });
    assertEquals(schedule.scales.map(({ width, height }) => [width, height]), [[1, 1], [3, 2], [6, 4]]);
    const random = testRandom(5);
    for (const [last, factor] of [[2, 1], [2, 2], [1, 1], [1, 2]] as const) {
      const { picture } = schedule.scales[last]!;
      const size = { width: factor * picture.width, height: factor * picture.height };
      const pixels = Float32Array.from({ length: 2 * 3 * size.width * size.height }, () => 2 * random() - 1);
      using array = device.upload(pixels);
      using encoding = await model.encode({ array, ...size }, 2, { schedule, last });
      assertEquals(encoding.tokens.length, last + 1);
      const features = await readFloats(encoding.features);
      const map = { width: size.width / 2, height: size.height / 2 };
      assertEquals(features.length, 2 * channels * map.width * map.height);
      for (const [k, { width, height }] of schedule.scales.slice(0, last + 1).entries()) {
        const wanted = [0, 1].flatMap((image) =>
          resized(
            (y, x, channel) => features[((image * channels + channel) * map.height + y) * map.width + x]!,
            [areaMatrix(map.height, height), areaMatrix(map.width, width)],
            channels,
          ).flat().map((vector) => {
            const direction = unit(vector);
            const products = codes.map((code) =>
              code.reduce((sum, value, i) => sum + value * direction[i]!, 0)
            );
            return products.indexOf(Math.max(...products));
          })
        );
        assertEquals([...await readWords(encoding.tokens[k]!)], wanted, `scale ${k}`);
        using decoded = await encoding.decode(k);
        assertEquals([decoded.width, decoded.height], [2 * width, 2 * height]);
      }
      using decoded = await encoding.decode();
      assertEquals([decoded.width, decoded.height], [picture.width, picture.height]);
      // What is decoded is what a generation shows that is forced to the same tokens.
      const generation = await model.start({
        labels: [0, 1].map((label) => model.resolveLabel(label)),
        guided: false,
        schedule,
      });
      using _generation = generation;
      for (const tokens of encoding.tokens) {
        using _logits = await generation.logits();
        generation.accept(tokens);
      }
      using shown = await generation.decode();
      assert(maxDifference(await readFloats(shown.array), await readFloats(decoded.array)) < 1e-6);
    }
  },
);

testOnDevices("Model: pictures of other sizes are not encoded", async (device) => {
  await using model = await load(device);
  const schedule = model.schedule({ size: { width: 12, height: 8 } });
  using array = device.allocate(3 * 24 * 24);
  const refused = async (
    width: number,
    height: number,
    message: string,
    options: { last?: number } = {},
  ): Promise<void> => {
    await assertRejects(
      () => model.encode({ array, width, height }, 1, { schedule, ...options }),
      RangeError,
      message,
    );
  };
  await refused(8, 12, "they must have 12×8 pixels: they have 8×12");
  await refused(24, 8, "they must have 12×8 pixels: they have 24×8");
  await refused(6, 4, "they must have 12×8 pixels");
  await refused(12, 8, "the last scale must be", { last: 99 });
});

testOnDevices(
  "Model: nothing is decoded before a scale has been accepted, and nothing follows the last one",
  async (device) => {
    await using model = await load(device);
    using run = await start(model, { patchNumbers: [1, 2] });
    await assertRejects(() => run.generation.decode(), TypeError, "no scale has been accepted");
    await replay(run);
    await assertRejects(() => run.generation.logits(), RangeError, "all 2 scales are done");
    using tokens = device.allocate(8);
    assertThrows(() => run.generation.accept(tokens), RangeError, "all 2 scales are done");
    using decoded = await run.generation.decode();
    assertEquals(decoded.width, 4);
  },
);

testOnDevices(
  "Model: a generation leaves nothing behind but how sides are resized",
  async (device) => {
    const before = device.counters.liveArrays;
    {
      await using model = await load(device);
      const generate = async (request: ScheduleRequest): Promise<number> => {
        using run = await start(model, request, { guided: true });
        await replay(run);
        using _decoded = await run.generation.decode();
        return device.counters.liveArrays;
      };
      await generate({ patchNumbers: [1, 2, 3] });
      const kept = device.counters.liveArrays;
      await generate({ patchNumbers: [1, 2, 3] });
      await generate({ patchNumbers: [1, 2] });
      assertEquals(device.counters.liveArrays, kept);
      await generate({ patchNumbers: [1, 3] });
      // One table of three arrays for the new step.
      assertEquals(device.counters.liveArrays, kept + 3);
      await generate({ patchNumbers: [1, 5] });
      // And two for a new side: of the step, and of the positions, which themselves are freed.
      assertEquals(device.counters.liveArrays, kept + 9);
    }
    assertEquals(device.counters.liveArrays, before);
  },
);

Deno.test("Model: a model without networks still generates tokens", async () => {
  using device = new CpuDevice();
  await using model = await loadModel(await flexVarCheckpoints(WITHOUT_NETWORKS), { device });
  assertEquals([model.encodes, model.decodes], [false, false]);
  assertThrows(() => model.schedule({ size: 32 }), RangeError, "neither decoder nor encoder");
  using run = await start(model, { patchNumbers: [1, 2] });
  await replay(run);
  await assertRejects(() => run.generation.decode(), TypeError, "has no decoder");
  using array = device.allocate(3);
  await assertRejects(() => model.encode({ array, width: 1, height: 1 }, 1), TypeError, "has no encoder");
});

Deno.test("Model: α of a model's folder shifts that of its number of candidates", async () => {
  const { flexVarSearch } = await import("../../../models/flexvar/alpha.ts");
  const { alpha, conflictThreshold, published } = flexVarSearch({ alpha: 2, conflictThreshold: 1 });
  assertAlmostEquals(alpha({ scale: 2, samples: 50 }), 2, 1e-9);
  assertAlmostEquals(alpha({ scale: 2, samples: 100 }), 2.15, 1e-9);
  assertEquals([conflictThreshold, published.conflictThreshold], [1, 1.8]);
});

Deno.test("Model: what a folder says of scale and candidates is what its α is meant for", async () => {
  const { flexVarSearch } = await import("../../../models/flexvar/alpha.ts");
  const { scale, samples, alpha, published } = flexVarSearch({ scale: 3, samples: 20, alpha: 2 });
  assertEquals([scale, samples, alpha({ scale: 3, samples: 20 })], [3, 20, 2]);
  // To the last digit, and within what a search takes.
  const fine = flexVarSearch({ alpha: 1.375, samples: 33 });
  assertEquals(fine.alpha({ scale: 2, samples: 33 }), 1.375);
  const [none, all] = [0, 2 ** 20].map((alpha) => flexVarSearch({ alpha }));
  assertEquals([none!.alpha({ scale: 2, samples: 20 }), all!.alpha({ scale: 2, samples: 100 })], [
    0,
    2 ** 20,
  ]);
  assertAlmostEquals(alpha({ scale: 3, samples: 100 }), 2.3, 1e-9);
  assertEquals([published.scale, published.samples], [2, 50]);
});
