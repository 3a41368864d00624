import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { silvermanBandwidth } from "../../../kernels/candidates/bandwidth.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DeviceArray, readFloats, readWords } from "../../../kernels/device/device.ts";
import { runDensity } from "../../../kernels/candidates/group_density.ts";
import { loadModel } from "../../../models/load.ts";
import type { Model } from "../../../models/model.ts";
import { type EditRequest, resolveEdit } from "../../../sampler/editing/edit.ts";
import { uploadPictures } from "../../../sampler/pictures/fit.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { keptPositions, keptShares, type Region } from "../../../sampler/editing/mask.ts";
import { reconstruct } from "../../../sampler/editing/reconstruct.ts";
import type { GenerateRequest } from "../../../sampler/request.ts";
import { varScaling, type VarScalingDecision } from "../../../sampler/methods/var_scaling.ts";
import { hasGpu, requireGpu, testRandom } from "../../devices.ts";
import {
  changed,
  randomCheckpoints,
  sharedModel,
  testOnModel,
  tokensOf,
  withGenerations,
} from "../models.ts";

function noise(size: number, seed: number): RgbaImage {
  const random = testRandom(seed);
  const image = new RgbaImage(size, size);
  for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
  return image;
}

/** Edge of the model's usual pictures, which are squares. */
function edgeOf(model: Model): number {
  return model.schedule().picture.width;
}

const LEFT: Region = { box: [0, 0, 1, 0.5] };

/** Where each scale keeps the source. */
function keptOf(model: Model, region: Region): Uint32Array[] {
  const { scales, picture } = model.schedule();
  const shares = keptShares(region, { map: scales.at(-1)!, size: picture, pictures: [picture], fit: "crop" });
  return scales.map((map) => keptPositions(shares, map));
}

async function tokensOfPictures(model: Model, images: readonly RgbaImage[]): Promise<number[][][]> {
  return tokensOf(await reconstruct(model, images));
}

/**
 * The published method step by step: tokens are drawn as ever, brought to the host, mixed there, and forced
 * upon the generation.
 */
function mixing(sources: readonly number[][][], kept: readonly Uint32Array[]): ScaleHook {
  return {
    name: "mixing",
    choose: async (step) => {
      const tokens = await readWords(step.tokens ?? step.draw());
      const map = step.lanes.flatMap(({ image }, lane) => {
        const source = sources[sources.length === 1 ? 0 : image]![step.scale]!;
        return [...kept[step.scale]!].map((keep, i) =>
          keep ? source[i]! : tokens[lane * step.positions + i]!
        );
      });
      const mixed = step.allocate(map.length);
      step.device.write(mixed, Uint32Array.from(map));
      step.choose(mixed);
    },
  };
}

testOnModel("coded", "EditRequest: an edit is the published method, step by step", async (model) => {
  const size = edgeOf(model);
  const pictures = [noise(size, 1), noise(size, 2), noise(size, 3)];
  const sources = await tokensOfPictures(model, pictures);
  const request: GenerateRequest = { labels: [1, null, 4], seed: 5, cfg: 3 };
  const regions: Region[] = [
    LEFT,
    { ...LEFT, mode: "outpaint" },
    { mask: [[1, 1, 0], [0, 0, 0], [0, 1, 1]] },
  ];
  for (const region of regions) {
    const kept = keptOf(model, region);
    for (const [image, maps] of [[pictures[0]!, sources.slice(0, 1)], [pictures, sources]] as const) {
      const edited = await generate(model, { ...request, edit: { image, ...region } });
      assertEquals(edited.trace.readbacks, 1);
      const expected = await generate(model, { ...request, hooks: [mixing(maps, kept)] });
      assertEquals(tokensOf(edited), tokensOf(expected));
      assertEquals(edited.images.map(({ data }) => data), expected.images.map(({ data }) => data));
      // Something is kept and something is generated.
      for (const [i, { tokens }] of edited.images.entries()) {
        const source = maps[maps.length === 1 ? 0 : i]!;
        const pairs = tokens.flatMap((map, scale) =>
          [...map].map((token, at) => [kept[scale]![at]!, token === source[scale]![at]] as const)
        );
        assert(pairs.every(([keep, same]) => keep === 0 || same));
        assert(pairs.some(([keep, same]) => keep === 0 && !same));
      }
    }
    // In any batch, and alone by its number.
    const all = await generate(model, { ...request, edit: { image: pictures, ...region } });
    const inTwos = await generate(model, { ...request, batch: 2, edit: { image: pictures, ...region } });
    assertEquals(tokensOf(inTwos), tokensOf(all));
    const alone = await generate(model, {
      ...{ labels: 4, seed: 5, cfg: 3, indices: [2], edit: { image: pictures[2]!, ...region } },
    });
    assertEquals(tokensOf(alone)[0], tokensOf(all)[2]);
  }
});

testOnModel(
  "coded",
  "EditRequest: keeping everything is a reconstruction, and each preview a stage of it",
  async (model) => {
    const picture = noise(edgeOf(model), 4);
    const { images: [copy] } = await reconstruct(model, picture, { progressive: true });
    const edit: EditRequest = { image: picture, mask: [[1]], mode: "outpaint" };
    for (const moreSmooth of [false, true]) {
      const previews: RgbaImage[] = [];
      for await (const event of generate.stream(model, { labels: 2, edit, previews: true, moreSmooth })) {
        if (event.type === "preview") previews.push(event.images[0]!.image);
        if (event.type !== "image") continue;
        assertEquals(event.image.data, copy!.data);
        assertEquals(tokensOf({ images: [event.image] }), tokensOf({ images: [copy!] }));
      }
      assertEquals(previews.map(({ data }) => data), copy!.stages.map(({ data }) => data));
    }
  },
);

testOnModel(
  "coded",
  "EditRequest: generating everything is a generation whose first token is the source's",
  async (model) => {
    const picture = noise(edgeOf(model), 5);
    const [source] = await tokensOfPictures(model, [picture]);
    const first: ScaleHook = {
      name: "first token",
      scales: [0],
      choose: (step) => {
        const tokens = step.allocate(step.lanes.length);
        step.device.write(tokens, new Uint32Array(step.lanes.length).fill(source![0]![0]!));
        step.choose(tokens);
      },
    };
    for (const moreSmooth of [false, true]) {
      const request: GenerateRequest = { labels: [3, 0], seed: 9, moreSmooth };
      const edited = await generate(model, { ...request, edit: { image: picture, mask: [[1]] } });
      const forced = await generate(model, { ...request, hooks: [first] });
      assertEquals(tokensOf(edited), tokensOf(forced));
      assertEquals(edited.images.map(({ data }) => data), forced.images.map(({ data }) => data));
    }
  },
);

testOnModel(
  "coded",
  "EditRequest: with moreSmooth, code vectors of the source are kept and mixed ones generated",
  async (model) => {
    const picture = noise(edgeOf(model), 6);
    const [source] = await tokensOfPictures(model, [picture]);
    const { array, channels } = model.tokens.codebook!;
    const codes = await readFloats(array);
    const run = async (mask: number[][]): Promise<Float32Array[]> => {
      const seen: Promise<Float32Array>[] = [];
      const watched = withGenerations(model, (generation) => ({
        acceptFeatures: (features: DeviceArray) => {
          seen.push(readFloats(features));
          generation.acceptFeatures!(features);
        },
      }));
      await generate(watched, { labels: [1, 2], seed: 3, moreSmooth: true, edit: { image: picture, mask } });
      return await Promise.all(seen);
    };
    const half = await run([[1, 0], [1, 0]]);
    const none = await run([[1]]);
    const kept = keptOf(model, LEFT);
    for (const [scale, features] of half.entries()) {
      const positions = kept[scale]!.length;
      let mixed = 0;
      for (const [i, value] of features.entries()) {
        const position = i % positions;
        const channel = Math.floor(i / positions) % channels;
        const code = codes[source![scale]![position]! * channels + channel]!;
        if (kept[scale]![position] === 1) assertEquals(value, code);
        else if (value !== code) mixed++;
        // Both runs have the same logits on the first two scales.
        if (scale === 1 && kept[scale]![position] === 0) assertEquals(value, none[scale]![i]);
      }
      assert(scale === 0 || mixed > 0);
    }
  },
);

testOnModel("coded", "EditRequest: VAR-Scaling in an edit compares what is generated", async (model) => {
  const picture = noise(edgeOf(model), 7);
  const [source] = await tokensOfPictures(model, [picture]);
  const { vocabulary, channels, array: codebook } = model.tokens.codebook!;
  const kept = keptOf(model, LEFT);
  const draws = 12;
  let checked = 0;
  const inspect: ScaleHook = {
    name: "inspect",
    scales: [1, 2, 3],
    choose: async (step) => {
      assertEquals(step.kept, kept[step.scale]);
      const { scale, positions, device, lanes: { length: images } } = step;
      const candidates = step.draw(draws);
      const tokens = await readWords(candidates);
      const generated = [...kept[scale]!.keys()].filter((i) => kept[scale]![i] === 0);
      const compact: number[] = [];
      for (const [i, token] of tokens.entries()) {
        if (kept[scale]![i % positions] === 0) compact.push(token);
        else assertEquals(token, source![scale]![i % positions]);
      }
      const output = step.allocate(images * generated.length);
      const scores = step.allocate(images * draws);
      using few = device.upload(Uint32Array.from(compact));
      const shape = {
        tokens: few,
        codebook,
        images,
        draws,
        vocabulary,
        channels,
        positions: generated.length,
      };
      const rest = { ...shape, features: "position" } as const;
      device.run(silvermanBandwidth, { ...rest, output, deviation: "population" });
      runDensity(device, { ...rest, bandwidth: output, scores, batchBandwidth: false });
      assertEquals(await readFloats(step.density(candidates, draws)), await readFloats(scores));
      checked++;
    },
  };
  const edit: EditRequest = { image: picture, ...LEFT };
  await generate(model, { labels: [1, 2], seed: 2, edit, hooks: [inspect] });
  assertEquals(checked, 3);

  // The hook's choice, then the mask.
  const hooks = [varScaling({ scale: [1, 2], samples: draws })];
  const { images, trace } = await generate(model, { labels: [1, 2], seed: 2, edit, hooks });
  assertEquals(trace.readbacks, 1);
  for (const { decisions, tokens } of images) {
    assertEquals(decisions.map(({ scale }) => scale), [1, 2]);
    assertEquals((decisions[0]!.value as VarScalingDecision).samples, draws);
    for (const [scale, map] of tokens.entries()) {
      assert(map.every((token, i) => kept[scale]![i] === 0 || token === source![scale]![i]));
    }
  }
  const plain = await generate(model, { labels: [1, 2], seed: 2, edit });
  assertNotEquals(tokensOf({ images }), tokensOf(plain));
  // Where all is kept there is nothing to choose from.
  const whole: EditRequest = { image: picture, mask: [[1]], mode: "outpaint" };
  const { images: [same] } = await generate(model, {
    ...{ labels: 1, edit: whole, hooks: [varScaling({ scale: [0, 1] })] },
  });
  assertEquals(same!.decisions, []);
  const first = await generate(model, { labels: 1, edit, hooks: [varScaling({ scale: [0, 1] })] });
  assertEquals(first.images[0]!.decisions.map(({ scale }) => scale), [1]);
});

testOnModel(
  "coded",
  "EditRequest: an edit follows lanes, and leaves a hook's own tokens alone",
  async (model) => {
    const pictures = [noise(edgeOf(model), 8), noise(edgeOf(model), 9)];
    const sources = await tokensOfPictures(model, pictures);
    const kept = keptOf(model, LEFT);
    // The second image's only lane comes first.
    const swap: ScaleHook = {
      name: "swap",
      scales: [1],
      lanes: 2,
      gather: ({ lanes }) => [3, 0, 0].filter((lane) => lane < lanes.length),
    };
    const edit: EditRequest = { image: pictures, ...LEFT };
    const { images } = await generate(model, { labels: [1, 2], seed: 2, edit, hooks: [swap] });
    assertEquals(images.map(({ index, lane }) => [index, lane]), [[0, 0], [0, 1], [1, 1]]);
    for (const { index, tokens } of images) {
      for (const [scale, map] of tokens.entries()) {
        assert(map.every((token, i) => kept[scale]![i] === 0 || token === sources[index]![scale]![i]));
      }
    }
    let own: DeviceArray | undefined;
    let after: Uint32Array | undefined;
    const stubborn: ScaleHook = {
      name: "stubborn",
      scales: [2],
      choose: (step) => {
        own = step.device.upload(new Uint32Array(2 * step.positions).fill(7));
        step.choose(own);
      },
      gather: async () => {
        after = await readWords(own!);
        own![Symbol.dispose]();
        return undefined;
      },
    };
    const chosen = await generate(model, { labels: [1, 2], edit, hooks: [stubborn] });
    assertEquals([...after!], new Array(after!.length).fill(7));
    for (const [row, { tokens }] of chosen.images.entries()) {
      assertEquals([...tokens[2]!], [...kept[2]!].map((keep, i) => keep ? sources[row]![2]![i]! : 7));
    }
  },
);

testOnModel(
  "coded",
  "EditRequest: a source that images share is encoded once, others batch by batch",
  async (model) => {
    const encoded: number[] = [];
    const counting = changed(model, {
      encode: (pictures, images, options) => {
        encoded.push(images);
        return model.encode(pictures, images, options);
      },
    });
    const labels = [0, 1, 2, 3, 4];
    const pictures = labels.map((label) => noise(edgeOf(model), label));
    await generate(counting, { labels, batch: 2, edit: { image: pictures[0]!, ...LEFT } });
    assertEquals(encoded.splice(0), [1]);
    await generate(counting, { labels, batch: 2, edit: { image: pictures, ...LEFT } });
    assertEquals(encoded.splice(0), [2, 2, 1]);
  },
);

Deno.test({
  name: "EditRequest: the demo's edits are the same on both devices",
  ignore: !hasGpu && !requireGpu,
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const cpu = await sharedModel("demo", "cpu");
    const gpu = await sharedModel("demo", "webgpu");
    const { images: [image] } = await generate(cpu, { labels: "red torus", seed: 1, cfg: 3 });
    const request: GenerateRequest = {
      ...{ labels: ["blue cube", null], seed: 4, hooks: [varScaling()], edit: { image: image!, ...LEFT } },
    };
    const a = await generate(cpu, request);
    const b = await generate(gpu, request);
    assertEquals(tokensOf(b), tokensOf(a));
    for (const [i, { data }] of a.images.entries()) {
      // As for generated pictures: one step of 1/255 by rounding at most.
      assert(data.every((value, at) => Math.abs(value - b.images[i]!.data[at]!) <= 1));
    }
  },
});

testOnModel(
  "coded",
  "EditRequest: on some scales alone, all of the source or a region of it is kept",
  async (model) => {
    const picture = noise(edgeOf(model), 10);
    const [source] = await tokensOfPictures(model, [picture]);
    const request: GenerateRequest = { labels: [1, null], seed: 5, cfg: 3 };
    const { scales } = model.schedule();
    const cases: [Pick<EditRequest, "scales"> & Region, (scale: number) => Uint32Array][] = [
      [{ scales: [2, 0, -2] }, (scale) => {
        return new Uint32Array(scales[scale]!.width ** 2).fill(scale === 0 || scale === 2 ? 1 : 0);
      }],
      [{ scales: [1, 3], ...LEFT }, (scale) => {
        const kept = keptOf(model, LEFT)[scale]!;
        return scale % 2 === 1 ? kept : kept.map(() => 0);
      }],
    ];
    for (const [where, keptOn] of cases) {
      const kept = scales.map((_, scale) => keptOn(scale));
      const seen: (Uint32Array | undefined)[] = [];
      const watch: ScaleHook = { name: "watch", choose: (step) => void seen.push(step.kept) };
      const edit = { image: picture, ...where };
      const edited = await generate(model, { ...request, hooks: [watch], edit });
      const expected = await generate(model, { ...request, hooks: [mixing([source!], kept)] });
      assertEquals(tokensOf(edited), tokensOf(expected));
      assertEquals(edited.images.map(({ data }) => data), expected.images.map(({ data }) => data));
      assertEquals(seen, kept.map((map) => map.includes(1) ? map : undefined));
      assertNotEquals(tokensOf(edited), tokensOf(await generate(model, request)));
      for (const { tokens } of edited.images) {
        assert(tokens.some((map, scale) => map.some((token, at) => token !== source![scale]![at])));
      }
    }
    // The encoder makes no more than the last of the scales needs.
    const wanted: (number | undefined)[] = [];
    const counting = changed(model, {
      encode: (pictures, images, options) => {
        wanted.push(options?.last);
        return model.encode(pictures, images, options);
      },
    });
    await generate(counting, { ...request, edit: { image: picture, scales: [1, 0] } });
    await generate(counting, { ...request, edit: { image: picture, ...LEFT } });
    assertEquals(wanted, [1, 3]);
  },
);

testOnModel(
  "coded",
  "EditRequest: a smaller picture is laid in the middle and what surrounds it is generated",
  async (model) => {
    const edge = edgeOf(model);
    const pictures = [1, 2].map((seed) => {
      const random = testRandom(seed);
      const image = new RgbaImage(edge / 2, edge);
      for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
      return image;
    });
    // By hand: a quarter of the edge is left on each side, and shows the picture's first or last column.
    const extended = pictures.map((image) => {
      const canvas = new RgbaImage(edge, edge);
      for (let y = 0; y < edge; y++) {
        for (let x = 0; x < edge; x++) {
          const column = Math.min(Math.max(x - edge / 4, 0), edge / 2 - 1);
          const from = 4 * (y * edge / 2 + column);
          canvas.data.set(image.data.subarray(from, from + 4), 4 * (y * edge + x));
        }
      }
      return canvas;
    });
    const sources = await tokensOfPictures(model, extended);
    const kept = keptOf(model, { box: [0, 0.25, 1, 0.75], mode: "outpaint" });
    const request: GenerateRequest = { labels: [1, 3], seed: 8 };
    const expanded = await generate(model, { ...request, edit: { image: pictures, expand: true } });
    const expected = await generate(model, { ...request, hooks: [mixing(sources, kept)] });
    assertEquals(tokensOf(expanded), tokensOf(expected));
    // On the last scale alone, too.
    const last = kept.map((map, scale) => scale === 3 ? map : map.map(() => 0));
    const few = await generate(model, { ...request, edit: { image: pictures, expand: true, scales: [3] } });
    assertEquals(
      tokensOf(few),
      tokensOf(await generate(model, { ...request, hooks: [mixing(sources, last)] })),
    );
  },
);

testOnModel("coded", "resolveEdit: a resolved edit says what repeats it", async (model) => {
  const edge = edgeOf(model);
  const request: GenerateRequest = { labels: [1, 2], seed: 3 };
  const small = new RgbaImage(edge / 2, edge / 2);
  const edits: EditRequest[] = [
    { image: noise(edge + 5, 1), mask: [[1, 0.7, 0], [0, 0.2, 1], [0, 0, 0]] },
    { image: noise(edge, 2), box: [0, 0, 1, 0.5], mode: "outpaint", scales: [0, 2] },
    { image: noise(edge, 3), scales: [1] },
    { image: small, expand: true },
  ];
  for (const edit of edits) {
    const { sources, shares, scales, oversampling, kept } = resolveEdit(model.schedule(), edit, 2);
    const mask = Array.from({ length: shares.height }, (_, y) => {
      return [...shares.values.subarray(y * shares.width, (y + 1) * shares.width)];
    });
    const again: EditRequest = {
      ...{
        image: sources[0]!,
        mask,
        mode: "outpaint",
        scales,
        oversampling: oversampling as 1,
        fit: "exact",
      },
    };
    assertEquals(resolveEdit(model.schedule(), again, 2).kept, kept);
    assertEquals(
      tokensOf(await generate(model, { ...request, edit: again })),
      tokensOf(await generate(model, { ...request, edit })),
    );
  }
});

testOnModel("coded", "EditRequest: edits that cannot be done", async (model) => {
  const size = edgeOf(model);
  const image = noise(size, 1);
  const cases: [EditRequest, ErrorConstructor, string][] = [
    [
      { image, box: [0, 0, 1, 1], masks: [[1]] } as unknown as EditRequest,
      TypeError,
      'Cannot edit as the option "masks" is unknown: options are image, box, mask, mode, fit, scales, refine, expand, oversampling',
    ],
    [{ image }, TypeError, "Cannot edit as box, mask, scales, refine or expand must be given"],
    [
      { image: [image], ...LEFT },
      RangeError,
      "Cannot edit as a list of sources must hold one for each of 2 images: current number is 1",
    ],
    [
      { image: noise(size + 1, 1), fit: "exact", ...LEFT },
      RangeError,
      `Cannot fit the picture as it must have ${size}×${size} pixels: it has ${size + 1}×${
        size + 1
      }; fit "crop" or "cover" would resize it`,
    ],
    [
      { ...LEFT } as unknown as EditRequest,
      TypeError,
      "Cannot fit the picture as it must be an RgbaImage, such as decodeImage() makes of a file: current value is undefined",
    ],
    [
      { image, mode: "outpaint", scales: [0] },
      TypeError,
      "Cannot edit as mode needs a box or a mask",
    ],
    [
      { image, scales: [] },
      RangeError,
      "Cannot edit as the number of scales must be an integer >= 1: current value is 0",
    ],
    [
      { image, scales: [0, 4] },
      RangeError,
      "Cannot edit as a scale must be an integer from -4 to 3: current value is 4",
    ],
    [
      { image, scales: 2 as unknown as number[] },
      TypeError,
      "Cannot edit as scales must be a list of scales: current value is 2",
    ],
    [
      { image, scales: [3, 2, 1, 0] },
      RangeError,
      "Cannot edit as nothing would be generated: all of the source would be kept on all scales, 0 to 3",
    ],
    [
      { image, scales: [3, 2], mask: [[1]] },
      RangeError,
      "Cannot edit as nothing of the source would be kept on scales 2, 3",
    ],
    [
      { image, refine: true },
      RangeError,
      "Cannot edit as nothing would be generated: all of the source would be kept on all scales, 0 to 3",
    ],
    [
      { image: noise(size - 1, 1), refine: true },
      RangeError,
      `Cannot edit as a source to be refined must be as large as the first scale's picture, ${size}×${size}, at least: it has ${
        size - 1
      }×${size - 1}`,
    ],
    [
      { image, refine: true, scales: [0] },
      TypeError,
      "Cannot edit as refine and scales cannot be given together",
    ],
    [{ image, refine: true, ...LEFT }, TypeError, "Cannot edit as refine and box cannot be given together"],
    [
      { image, refine: true, expand: true },
      TypeError,
      "Cannot edit as refine and expand cannot be given together",
    ],
    [
      { image, expand: true, mask: [[1]] },
      TypeError,
      "Cannot edit as expand and mask cannot be given together",
    ],
    [
      { image, expand: true, fit: "crop" },
      TypeError,
      "Cannot edit as expand and fit cannot be given together",
    ],
    [
      { image, refine: 1 as unknown as boolean },
      TypeError,
      "Cannot edit as refine must be a boolean: current value is 1",
    ],
    [
      { image, expand: "wide" as unknown as boolean },
      TypeError,
      'Cannot edit as expand must be a boolean: current value is "wide"',
    ],
    [
      { image, expand: true },
      RangeError,
      `Cannot edit as a source to be expanded must be smaller than ${size}×${size}: it has ${size}×${size}`,
    ],
    [
      { image: new RgbaImage(size + 1, 2), expand: true },
      RangeError,
      `Cannot edit as a source to be expanded must be smaller than ${size}×${size}: it has ${size + 1}×2`,
    ],
    [
      { image: [new RgbaImage(size, 4), new RgbaImage(size, 6)], expand: true },
      RangeError,
      `Cannot edit as sources to be expanded must have one size: one has ${size}×4, another ${size}×6`,
    ],
    [
      { image: new RgbaImage(1, 1), expand: true },
      RangeError,
      "Cannot edit as a source to be expanded must be about as large as a token, 2×2 pixels, at least: it has 1×1",
    ],
    [
      { image, oversampling: 3 as 2, ...LEFT },
      RangeError,
      "Cannot edit as oversampling must be 1 or 2: current value is 3",
    ],
    [
      { image, fit: "exact", oversampling: 2, ...LEFT },
      RangeError,
      `Cannot fit the picture as it must have ${2 * size}×${
        2 * size
      } pixels: it has ${size}×${size}; fit "crop" or "cover" would resize it`,
    ],
  ];
  for (const [edit, type, message] of cases) {
    const error = await assertRejects(() => generate(model, { labels: [0, 1], edit }), type);
    assertEquals((error as Error).message, message);
  }
});

testOnModel("tiny", "EditRequest: a model without an encoder cannot edit", async (model) => {
  await assertRejects(
    () => generate(model, { edit: { image: noise(edgeOf(model), 1), ...LEFT } }),
    TypeError,
    "Cannot encode as the model",
  );
});

Deno.test({
  name: "EditRequest: a model of the published sizes for 512 pixels encodes, edits and decodes",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const checkpoints = await randomCheckpoints({
      patchNumbers: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
      classes: 3,
      vocabulary: 64,
      shared: true,
      residuals: 4,
      levels: 5,
      encoder: true,
    });
    using device = new CpuDevice();
    await using model = await loadModel(checkpoints, { device });
    assertEquals(edgeOf(model), 512);
    const picture = noise(512, 1);
    using pixels = uploadPictures(device, [picture]);
    using encoding = await model.encode(pixels, 1);
    const region: Region = { box: [0.1, 0.1, 0.8, 0.8] };
    const { images: [edited], trace } = await generate(model, {
      labels: 2,
      edit: { image: picture, ...region },
    });
    assertEquals([edited!.width, edited!.height, trace.readbacks], [512, 512, 1]);
    for (const [scale, kept] of keptOf(model, region).entries()) {
      const source = await readWords(encoding.tokens[scale]!);
      const differing = edited!.tokens[scale]!.filter((token, i) => token !== source[i]).length;
      assert(
        edited!.tokens[scale]!.every((token, i) => kept[i] === 0 || token === source[i]),
        `scale ${scale}`,
      );
      assert(scale === 0 || differing > 0, `scale ${scale}`);
    }
  },
});
