import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { silvermanBandwidth } from "../../kernels/bandwidth.ts";
import { CpuDevice } from "../../kernels/cpu_device.ts";
import { type DeviceArray, readFloats, readWords } from "../../kernels/device.ts";
import { runDensity } from "../../kernels/group_density.ts";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import type { EditRequest } from "../../sampler/edit.ts";
import { uploadPictures } from "../../sampler/fit.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { RgbaImage } from "../../sampler/image.ts";
import { keptPositions, keptShares, type Region } from "../../sampler/mask.ts";
import { reconstruct } from "../../sampler/reconstruct.ts";
import type { GenerateRequest } from "../../sampler/request.ts";
import { varScaling, type VarScalingDecision } from "../../sampler/var_scaling.ts";
import { hasGpu, requireGpu, testRandom } from "../devices.ts";
import { changed, randomCheckpoints, sharedModel, testOnModel, tokensOf, withGenerations } from "./models.ts";

function noise(size: number, seed: number): RgbaImage {
  const random = testRandom(seed);
  const image = new RgbaImage(size, size);
  for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
  return image;
}

const LEFT: Region = { box: [0, 0, 1, 0.5] };

/** Where each scale keeps the source. */
function keptOf({ patchNumbers, imageSize: size }: Model, region: Region): Uint32Array[] {
  const pictures = [{ width: size, height: size }];
  const shares = keptShares(region, { side: patchNumbers.at(-1)!, size, pictures });
  return patchNumbers.map((side) => keptPositions(shares, side));
}

async function tokensOfPictures(model: Model, images: readonly RgbaImage[]): Promise<number[][][]> {
  return tokensOf(await reconstruct(model, images));
}

/** The published method step by step: tokens are drawn as ever, brought to the host, mixed there, and forced upon the generation. */
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

testOnModel("coded", "an edit is the published method, step by step", async (model) => {
  const { imageSize: size } = model;
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
  "keeping everything is a reconstruction, and each preview a stage of it",
  async (model) => {
    const picture = noise(model.imageSize, 4);
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
  "generating everything is a generation whose first token is the source's",
  async (model) => {
    const picture = noise(model.imageSize, 5);
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
  "with moreSmooth, code vectors of the source are kept and mixed ones generated",
  async (model) => {
    const picture = noise(model.imageSize, 6);
    const [source] = await tokensOfPictures(model, [picture]);
    const codes = await readFloats(model.codebook.array);
    const { channels } = model.codebook;
    const run = async (mask: number[][]): Promise<Float32Array[]> => {
      const seen: Promise<Float32Array>[] = [];
      const watched = withGenerations(model, (generation) => ({
        acceptFeatures: (features: DeviceArray) => {
          seen.push(readFloats(features));
          generation.acceptFeatures(features);
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

testOnModel("coded", "VAR-Scaling in an edit compares what is generated", async (model) => {
  const picture = noise(model.imageSize, 7);
  const [source] = await tokensOfPictures(model, [picture]);
  const { vocabulary, channels, array: codebook } = model.codebook;
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

testOnModel("coded", "an edit follows lanes, and leaves a hook's own tokens alone", async (model) => {
  const pictures = [noise(model.imageSize, 8), noise(model.imageSize, 9)];
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
});

testOnModel("coded", "a source that images share is encoded once, others batch by batch", async (model) => {
  const encoded: number[] = [];
  const counting = changed(model, {
    encode: (pictures, images, options) => {
      encoded.push(images);
      return model.encode(pictures, images, options);
    },
  });
  const labels = [0, 1, 2, 3, 4];
  const pictures = labels.map((label) => noise(model.imageSize, label));
  await generate(counting, { labels, batch: 2, edit: { image: pictures[0]!, ...LEFT } });
  assertEquals(encoded.splice(0), [1]);
  await generate(counting, { labels, batch: 2, edit: { image: pictures, ...LEFT } });
  assertEquals(encoded.splice(0), [2, 2, 1]);
});

Deno.test({
  name: "the demo's edits are the same on both devices",
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

testOnModel("coded", "edits that cannot be done", async (model) => {
  const { imageSize: size } = model;
  const image = noise(size, 1);
  const cases: [EditRequest, ErrorConstructor, string][] = [
    [
      { image, box: [0, 0, 1, 1], masks: [[1]] } as unknown as EditRequest,
      TypeError,
      'Cannot edit as the option "masks" is unknown: options are image, box, mask, mode, fit',
    ],
    [{ image }, TypeError, "Cannot edit as a box or a mask must be given"],
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
      }; fit "crop" would resize it`,
    ],
    [
      { ...LEFT } as unknown as EditRequest,
      TypeError,
      "Cannot fit the picture as it must be an RgbaImage, such as RgbaImage.decode() makes of a PNG file: current value is undefined",
    ],
  ];
  for (const [edit, type, message] of cases) {
    const error = await assertRejects(() => generate(model, { labels: [0, 1], edit }), type);
    assertEquals((error as Error).message, message);
  }
});

testOnModel("tiny", "a model without an encoder cannot edit", async (model) => {
  await assertRejects(
    () => generate(model, { edit: { image: noise(model.imageSize, 1), ...LEFT } }),
    TypeError,
    "Cannot encode as the model",
  );
});

Deno.test({
  name: "a model of the published sizes for 512 pixels encodes, edits and decodes",
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
    assertEquals(model.imageSize, 512);
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
