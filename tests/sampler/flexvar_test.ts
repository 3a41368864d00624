/**
 * The sampler with a family whose schedules, sizes and previews differ from VAR's: a small FlexVAR model of
 * random weights. It paints two pixels for each token, and every scale is a picture of its own size.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { readWords } from "../../kernels/device/device.ts";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { type EditRequest, resolveEdit } from "../../sampler/editing/edit.ts";
import { fitImage, uploadPictures } from "../../sampler/pictures/fit.ts";
import { generate } from "../../sampler/generate.ts";
import { gridImage, stretchImage } from "../../sampler/pictures/grid.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { RgbaImage } from "../../sampler/pictures/image.ts";
import { reconstruct } from "../../sampler/editing/reconstruct.ts";
import { type GenerateRequest, resolveRequest } from "../../sampler/request.ts";
import { generateSeries } from "../../sampler/series.ts";
import { varScaling, type VarScalingDecision } from "../../sampler/methods/var_scaling.ts";
import { hasGpu, requireGpu, sharedGpu, testRandom } from "../devices.ts";
import { flexVarCheckpoints } from "../models/flexvar/checkpoints.ts";
import { changed, tokensOf } from "./models.ts";

const loaded = new Map<string, Promise<Model>>();

/** The model, loaded once per device. */
function flexVar(kind: "cpu" | "webgpu"): Promise<Model> {
  const load = async (): Promise<Model> => {
    const device = kind === "cpu" ? new CpuDevice() : await sharedGpu();
    return await loadModel(await flexVarCheckpoints(), { device });
  };
  if (!loaded.has(kind)) loaded.set(kind, load());
  return loaded.get(kind)!;
}

/**
 * Registers a test once per device. On the CPU it runs twice: maps of positions stay there for the second
 * time, but nothing else may.
 */
function testOnFlexVar(title: string, test: (model: Model) => Promise<void>): void {
  for (const kind of ["cpu", "webgpu"] as const) {
    Deno.test({
      name: `generate: FlexVAR: ${title} [${kind}]`,
      ignore: kind === "webgpu" && !hasGpu && !requireGpu,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const model = await flexVar(kind);
        await test(model);
        if (kind === "webgpu") return;
        const { liveArrays } = model.device.counters;
        await test(model);
        assertEquals(model.device.counters.liveArrays, liveArrays, "arrays left behind");
      },
    });
  }
}

function noise({ width, height }: PictureSize, seed: number): RgbaImage {
  const random = testRandom(seed);
  const image = new RgbaImage(width, height);
  for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
  return image;
}

const square = (edge: number): PictureSize => ({ width: edge, height: edge });
const sizeOf = ({ width, height }: PictureSize): string => `${width}×${height}`;

testOnFlexVar("generate: schedules and sizes of one's own, the same images in any batch", async (model) => {
  const requests: [GenerateRequest, string, number[]][] = [
    [{ patchNumbers: [1, 2, 4] }, "8×8", [1, 4, 16]],
    [{ patchNumbers: [1, 3, 5], size: 10 }, "10×10", [1, 9, 25]],
    [{ patchNumbers: [1, 2, 4], size: { width: 16, height: 8 } }, "16×8", [1, 4 * 2, 8 * 4]],
    [{ size: { width: 4, height: 8 }, cfg: 3, guidance: "constant" }, "4×8", []],
  ];
  for (const [schedule, size, lengths] of requests) {
    const request: GenerateRequest = { labels: [0, 3, null], seed: 2, ...schedule };
    const together = await generate(model, request);
    assertEquals(together.trace.readbacks, 1);
    for (const { width, height, tokens } of together.images) {
      assertEquals(sizeOf({ width, height }), size);
      if (lengths.length > 0) assertEquals(tokens.map((map) => map.length), lengths);
    }
    for (const batch of [1, 2]) {
      const { images } = await generate(model, { ...request, batch });
      assertEquals(tokensOf({ images }), tokensOf(together));
      assertEquals(images.map(({ data }) => data), together.images.map(({ data }) => data));
    }
    // What is settled repeats it.
    const { cfg, guidance, topK, topP, maps, familyOptions, published } = resolveRequest(model, request);
    const again = {
      labels: [0, 3, null],
      seed: 2,
      cfg,
      guidance,
      topK,
      topP,
      published,
      familyOptions,
      ...maps,
    };
    const series = await Array.fromAsync(generateSeries(model, again));
    assertEquals(tokensOf({ images: series.flatMap(({ images }) => images) }), tokensOf(together));
  }
});

testOnFlexVar("generate: steps, events and previews have the size of their scale", async (model) => {
  const seen: string[] = [];
  const watch: ScaleHook = {
    name: "watch",
    lanes: 2,
    choose: ({ scale, width, height, positions, schedule }) => {
      assertEquals([width, height], [schedule.scales[scale]!.width, schedule.scales[scale]!.height]);
      seen.push(`${sizeOf({ width, height })} ${positions}`);
    },
    gather: ({ scale, lanes }) =>
      scale === 1 ? [...lanes.keys()].filter((i) => lanes[i]!.lane === 1) : undefined,
  };
  const request: GenerateRequest = {
    ...{
      labels: [1, 2],
      patchNumbers: [1, 2, 4],
      size: { width: 16, height: 8 },
      previews: true,
      hooks: [watch],
    },
  };
  const events: string[] = [];
  const previews: RgbaImage[] = [];
  const images: RgbaImage[] = [];
  for await (const event of generate.stream(model, request)) {
    if (event.type === "scale") events.push(sizeOf(event));
    if (event.type === "preview") previews.push(event.images[1]!.image);
    if (event.type === "image") images.push(event.image);
  }
  assertEquals(events, ["1×1", "4×2", "8×4"]);
  assertEquals(seen, ["1×1 1", "4×2 8", "8×4 32"]);
  assertEquals(previews.map(sizeOf), ["2×2", "8×4", "16×8"]);
  assertEquals(previews[2]!.data, images[1]!.data);
  // They stand in one grid when they have one size.
  const cells = previews.map((image) => ({ image: stretchImage(image, images[0]!) }));
  assertEquals(gridImage(cells, { columns: 3, gap: 0 }).width, 48);
  assertEquals([...cells[1]!.image.data.subarray(4 * 5, 4 * 6)], [
    ...previews[1]!.data.subarray(4 * 2, 4 * 3),
  ]);
});

testOnFlexVar(
  "generate: a picture is refined: its own scales are kept and larger ones generated",
  async (model) => {
    const picture = noise(square(8), 1);
    const patchNumbers = [1, 2, 4, 6];
    const { images: [copy] } = await reconstruct(model, picture, { patchNumbers: [1, 2, 4] });
    for (const source of [picture, noise({ width: 8, height: 11 }, 2)]) {
      const request: GenerateRequest = { labels: [1, 4], seed: 3, patchNumbers };
      const { images } = await generate(model, { ...request, edit: { image: source, refine: true } });
      const { images: [known] } = await reconstruct(model, source, { patchNumbers: [1, 2, 4], fit: "cover" });
      for (const { tokens, width } of images) {
        assertEquals(width, 12);
        assertEquals(tokensOf({ images: [{ tokens: tokens.slice(0, 3) }] }), tokensOf({ images: [known!] }));
      }
      assertNotEquals(images[0]!.tokens[3], images[1]!.tokens[3]);
    }
    // By hand: the same tokens are chosen on the first three scales.
    const forced: ScaleHook = {
      name: "forced",
      scales: [0, 1, 2],
      choose: (step) => {
        const tokens = step.allocate(step.positions);
        step.device.write(tokens, copy!.tokens[step.scale]!.slice());
        step.choose(tokens);
      },
    };
    const request: GenerateRequest = { labels: 1, seed: 3, patchNumbers };
    const expected = await generate(model, { ...request, hooks: [forced] });
    const edit: EditRequest = { image: picture, refine: true };
    assertEquals(tokensOf(await generate(model, { ...request, edit })), tokensOf(expected));
    // Of several sources, none may be smaller than what is kept of it.
    for (const small of [{ width: 12, height: 4 }, { width: 4, height: 12 }]) {
      const image = [noise(square(12), 1), noise(small, 2)];
      const resolved = resolveEdit(model.schedule({ patchNumbers }), { image, refine: true }, 2);
      assertEquals([resolved.scales, resolved.sources.map(sizeOf)], [[0, 1], ["4×4", "4×4"]]);
    }
    const refused: [RgbaImage, string][] = [
      [noise(square(12), 1), "Cannot edit as nothing would be generated"],
      [
        noise({ width: 8, height: 1 }, 1),
        "Cannot edit as a source to be refined must be as large as the first scale's picture, 2×2, at least: it has 8×1",
      ],
    ];
    for (const [image, message] of refused) {
      await assertRejects(
        () => generate(model, { ...request, edit: { image, refine: true } }),
        RangeError,
        message,
      );
    }
  },
);

testOnFlexVar("generate: a picture is expanded to one that is not square", async (model) => {
  const picture = noise(square(8), 4);
  const size = { width: 16, height: 8 };
  const canvas = new RgbaImage(16, 8);
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 16; x++) {
      const from = 4 * (8 * y + Math.min(Math.max(x - 4, 0), 7));
      canvas.data.set(picture.data.subarray(from, from + 4), 4 * (16 * y + x));
    }
  }
  const { images: [source] } = await reconstruct(model, canvas, { size });
  const request: GenerateRequest = { labels: [1, null], seed: 6, size };
  const plain = await generate(model, request);
  const { images } = await generate(model, { ...request, edit: { image: picture, expand: true } });
  const finest = source!.tokens.length - 1;
  for (const [i, { tokens }] of images.entries()) {
    assertEquals(tokens[0], source!.tokens[0]);
    const inside = (at: number): boolean => at % 8 >= 2 && at % 8 < 6;
    assert(tokens[finest]!.every((token, at) => !inside(at) || token === source!.tokens[finest]![at]));
    assert(tokens[finest]!.some((token, at) => !inside(at) && token !== source!.tokens[finest]![at]));
    assertNotEquals(tokens, plain.images[i]!.tokens);
  }
});

testOnFlexVar(
  "generate: sources are encoded at the size of the last scale that keeps them, or twice that",
  async (model) => {
    const patchNumbers = [1, 2, 4];
    const encoded: string[] = [];
    const watched = changed(model, {
      encode: (pictures, images, options) => {
        encoded.push(`${sizeOf(pictures)} ${options?.last}`);
        return model.encode(pictures, images, options);
      },
    });
    const picture = noise(square(32), 5);
    const request: GenerateRequest = { labels: 2, seed: 4, patchNumbers };
    for (
      const [scales, oversampling, size] of [[[0, 1, 2], 1, 8], [[0, 1, 2], 2, 16], [[1], 1, 4], [
        [1],
        2,
        8,
      ]] as const
    ) {
      const edit: EditRequest = {
        image: picture,
        box: [0, 0, 1, 0.5],
        mode: "outpaint",
        scales,
        oversampling,
      };
      const { images: [image] } = await generate(watched, { ...request, edit });
      const last = scales.at(-1)!;
      assertEquals(encoded.splice(0), [`${size}×${size} ${last}`]);
      using pictures = uploadPictures(model.device, [fitImage(picture, size)]);
      using encoding = await model.encode(pictures, 1, { schedule: model.schedule({ patchNumbers }), last });
      const tokens = await readWords(encoding.tokens[last]!);
      const side = patchNumbers[last]!;
      for (let at = 0; at < side * side; at++) {
        if (at % side < side / 2) assertEquals(image!.tokens[last]![at], tokens[at]);
      }
    }
    // A source of twice the size is neither resized nor cut.
    const exact: EditRequest = { image: noise(square(16), 1), fit: "exact", oversampling: 2, scales: [2] };
    const { sources } = resolveEdit(model.schedule({ patchNumbers }), exact, 1);
    assertEquals(sources[0], exact.image);
  },
);

testOnFlexVar(
  "generate: a source of the finished size, or one that is refined, is kept to its borders",
  (model) => {
    const schedule = model.schedule({ patchNumbers: [1, 2, 4, 8] });
    const sourceOf = (edit: EditRequest): RgbaImage => resolveEdit(schedule, edit, 1).sources[0]!;
    const scales = [0, 1, 2];
    const finished = noise(schedule.picture, 3);
    assertEquals(sourceOf({ image: finished, scales }), fitImage(finished, 8, "cover"));
    assertEquals(sourceOf({ image: finished, scales, fit: "crop" }), fitImage(finished, 8, "crop"));
    const small = noise({ width: 15, height: 12 }, 4);
    assertEquals(sourceOf({ image: small, refine: true }), fitImage(small, 8, "cover"));
    const large = noise(square(40), 5);
    assertEquals(sourceOf({ image: large, scales }), fitImage(large, 8, "crop"));
    // A mask stays where it was painted: the uppermost eighth of the picture is one row of tokens.
    const mask = Array.from({ length: 16 }, (_, y) => new Array(16).fill(y < 2 ? 1 : 0));
    const { shares } = resolveEdit(schedule, { image: finished, mask, mode: "outpaint", scales: [0, 2] }, 1);
    assertEquals([...shares.values], Array.from({ length: 64 }, (_, at) => at < 8 ? 1 : 0));
    return Promise.resolve();
  },
);

testOnFlexVar("generate: reconstructions at a size, and their stages in one grid", async (model) => {
  const picture = noise({ width: 40, height: 30 }, 7);
  const size = { width: 16, height: 8 };
  const options = { size, patchNumbers: [1, 2, 4], progressive: true };
  const result = await reconstruct(model, [picture, noise(size, 8)], options);
  for (const image of result.images) {
    assertEquals(sizeOf(image.source), "16×8");
    assertEquals(image.stages.map(sizeOf), ["2×2", "8×4", "16×8"]);
    assertEquals(image.tokens.map(({ length }) => length), [1, 8, 32]);
    assertEquals(image.stages[2], image);
  }
  const { images: [alone] } = await reconstruct(model, picture, { ...options, progressive: false });
  assertEquals(alone!.data, result.images[0]!.data);
  const grid = result.grid({ captions: false, gap: 0, scale: 1 });
  assertEquals(sizeOf(grid), "64×16");
  // The first stage, a picture of 2×2 pixels, is stretched over its cell of 16×8.
  const [first] = result.images[0]!.stages;
  for (const [x, y] of [[16, 0], [23, 3], [24, 3], [31, 7]] as const) {
    const at = 4 * (y * grid.width + x);
    const from = 4 * (Math.floor(y / 4) * 2 + Math.floor((x - 16) / 8));
    assertEquals([...grid.data.subarray(at, at + 4)], [...first!.data.subarray(from, from + 4)]);
  }
});

testOnFlexVar("generate: VAR-Scaling searches on the family's scale with its thresholds", async (model) => {
  const request: GenerateRequest = { labels: [0, 1], seed: 1, patchNumbers: [1, 2, 3, 4] };
  const { images, trace } = await generate(model, { ...request, hooks: [varScaling({ samples: 20 })] });
  assertEquals(trace.readbacks, 1);
  for (const { decisions } of images) {
    assertEquals(decisions.map(({ scale }) => scale), [2]);
    const { alpha, samples, max, mean, low } = decisions[0]!.value as VarScalingDecision;
    assertEquals([alpha, samples, low], [2.5, 20, max < 2.5 * mean]);
  }
  await assertRejects(
    () => generate(model, { ...request, patchNumbers: [1, 2], hooks: [varScaling()] }),
    RangeError,
    'Cannot generate as a scale of the hook "var-scaling" must be an integer from -2 to 1: current value is 2',
  );
  await assertRejects(
    () => generate(model, { ...request, moreSmooth: true }),
    RangeError,
    "Cannot generate with moreSmooth as the model",
  );
});

testOnFlexVar(
  "generate: each scale is drawn and guided as the schedule says, unless a hook says otherwise",
  async (model) => {
    // By the rules of the released code, 7 tokens along an edge are not sampled, and a ramp that is longer
    // than ten scales exceeds cfg.
    const patchNumbers = [1, 2, 7];
    const likeliest: ScaleHook = { name: "sure", choose: (step) => step.choose(step.draw(1, { topK: 1 })) };
    const { topK } = model.schedule({ patchNumbers }).scales[2]!.sampling;
    const drawn: ScaleHook = {
      name: "drawn",
      scales: [2],
      choose: (step) => step.choose(step.draw(1, { topK })),
    };
    const weights: number[] = [];
    const watch: ScaleHook = { name: "watch", guide: (step) => void weights.push(step.guidanceWeight) };
    const request: GenerateRequest = { labels: [0, 1], seed: 1, patchNumbers, cfg: 3 };
    const published = tokensOf(await generate(model, { ...request, published: true, hooks: [watch] }));
    const own = tokensOf(await generate(model, request));
    assertEquals(weights, [0, 1.5, 3]);
    assertEquals(published.map((maps) => maps.slice(0, 2)), own.map((maps) => maps.slice(0, 2)));
    assertNotEquals(published, own);
    const sure = tokensOf(await generate(model, { ...request, hooks: [{ ...likeliest, scales: [2] }] }));
    assertEquals(published, sure);
    assertEquals(tokensOf(await generate(model, { ...request, published: true, hooks: [drawn] })), own);
  },
);

Deno.test({
  name: "generate: FlexVAR: the same tokens and pictures on both devices",
  ignore: !hasGpu && !requireGpu,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const [cpu, gpu] = [await flexVar("cpu"), await flexVar("webgpu")];
    const size = { width: 16, height: 8 };
    const requests: GenerateRequest[] = [
      { labels: [0, 4], seed: 5 },
      { labels: [0, null], seed: 5, size, hooks: [varScaling({ samples: 10 })] },
      { labels: 2, seed: 5, size, edit: { image: noise(square(8), 1), expand: true } },
    ];
    for (const request of requests) {
      const [a, b] = [await generate(cpu, request), await generate(gpu, request)];
      assertEquals(tokensOf(b), tokensOf(a));
      for (const [i, { data }] of a.images.entries()) {
        // As for VAR's pictures: one step of 1/255 by rounding at most.
        assert(data.every((value, at) => Math.abs(value - b.images[i]!.data[at]!) <= 1));
      }
    }
  },
});
