import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { readFloats, readWords } from "../../../kernels/device/device.ts";
import type { Model } from "../../../models/model.ts";
import { fitImage, uploadPictures } from "../../../sampler/pictures/fit.ts";
import type { MimeBundle } from "../../../sampler/notebook/output.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import {
  pictureError,
  reconstruct,
  type ReconstructedImage,
  type ReconstructOptions,
} from "../../../sampler/editing/reconstruct.ts";
import { testRandom } from "../../devices.ts";
import { sharedModel, testOnModel, tokensOf } from "../models.ts";

function noise(width: number, height: number, seed: number): RgbaImage {
  const random = testRandom(seed);
  const image = new RgbaImage(width, height);
  for (let i = 0; i < image.data.length; i++) if (i % 4 !== 3) image.data[i] = random() * 256;
  return image;
}

/** Edge of the model's usual pictures, which are squares. */
function edgeOf(model: Model): number {
  return model.schedule().picture.width;
}

const errorOf = ({ mse, psnr }: ReconstructedImage): number[] => [mse, psnr];

testOnModel("coded", "reconstruct: a reconstruction is what the tokens decode to", async (model) => {
  const { device } = model;
  const size = edgeOf(model);
  const pictures = [noise(size, size, 1), noise(size, size, 2), noise(size, size, 3)];
  const { readbacks } = device.counters;
  const { images } = await reconstruct(model, pictures);
  assertEquals(device.counters.readbacks, readbacks + 1);
  using planes = uploadPictures(device, pictures);
  using encoding = await model.encode(planes, 3);
  using decoded = await encoding.decode();
  assertEquals([decoded.width, decoded.height], [size, size]);
  const values = await readFloats(decoded.array);
  const maps = await Promise.all(encoding.tokens.map((map) => readWords(map)));
  for (const [row, image] of images.entries()) {
    assertEquals(image.source, fitImage(pictures[row]!, size));
    assertEquals(image.stages, []);
    assertEquals(
      image.tokens.map((map) => [...map]),
      maps.map((map) => [...map.subarray(row * map.length / 3, (row + 1) * map.length / 3)]),
    );
    let sum = 0;
    for (let i = 0; i < size * size; i++) {
      for (let c = 0; c < 3; c++) {
        const value = values[(3 * row + c) * size * size + i]!;
        const painted = image.data[4 * i + c]!;
        // Clamped and cut to bytes; a value at the very edge of a byte may fall on either side.
        const exact = (Math.min(1, Math.max(-1, value)) + 1) * 127.5;
        assert(painted <= exact + 1e-3 && painted > exact - 1 - 1e-3, `${painted} of ${exact}`);
        sum += ((painted - pictures[row]!.data[4 * i + c]!) / 255) ** 2;
      }
    }
    assertAlmostEquals(image.mse, sum / (3 * size * size), 1e-12);
    assertAlmostEquals(image.psnr, 10 * Math.log10(1 / image.mse), 1e-9);
  }
});

testOnModel(
  "coded",
  "reconstruct: pictures do not depend on their batch, and a single one needs no list",
  async (model) => {
    const size = edgeOf(model);
    const pictures = [noise(size, size, 1), noise(30, 20, 2), noise(5, 9, 3)];
    for (const progressive of [false, true]) {
      const together = await reconstruct(model, pictures, { progressive });
      const inTwos = await reconstruct(model, pictures, { progressive, batch: 2 });
      assertEquals(tokensOf(inTwos), tokensOf(together));
      assertEquals(inTwos.images.map(errorOf), together.images.map(errorOf));
      const alone = await reconstruct(model, pictures[2]!, { progressive });
      assertEquals(alone.images[0]!.data, together.images[2]!.data);
      assertEquals(alone.images[0]!.stages.length, progressive ? model.patchNumbers.length : 0);
      assertEquals(alone.images[0]!.stages.at(-1), progressive ? alone.images[0] : undefined);
    }
    const { images: [fitted] } = await reconstruct(model, pictures[1]!);
    assertEquals(fitted!.source, fitImage(pictures[1]!, size));
  },
);

testOnModel("coded", "reconstruct: a result shows sources, stages and copies in rows", async (model) => {
  const size = edgeOf(model);
  const { images } = await reconstruct(model, noise(size, size, 1), { progressive: true });
  assertEquals(images.length, 1);
  const result = await reconstruct(model, [noise(size, size, 1), noise(size, size, 2)], {
    progressive: true,
  });
  const grid = result.grid({ captions: false, gap: 8, scale: 1 });
  const columns = model.patchNumbers.length + 1;
  assertEquals([grid.width, grid.height], [8 + columns * (size + 8), 8 + 2 * (size + 8)]);
  const cell = (row: number, column: number): number[] => {
    const at = 4 * ((8 + row * (size + 8)) * grid.width + 8 + column * (size + 8));
    return [...grid.data.subarray(at, at + 4 * size)];
  };
  for (const [row, image] of result.images.entries()) {
    const pictures = [image.source, ...image.stages];
    for (const [column, { data }] of pictures.entries()) {
      assertEquals(cell(row, column), [...data.subarray(0, 4 * size)]);
    }
  }
  const shown = (result as unknown as Record<symbol, () => MimeBundle>)[Symbol.for("Jupyter.display")]!();
  assertEquals(RgbaImage.decode(Uint8Array.fromBase64(shown["image/png"])), result.grid());
});

Deno.test({
  name: "reconstruct: the demo's tokenizer paints what it has seen",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("demo", "cpu");
    const size = edgeOf(model);
    // A dark ball on light ground.
    const ball = new RgbaImage(size, size);
    for (let i = 0; i < size * size; i++) {
      const inside = Math.hypot(i % size - size / 2, Math.floor(i / size) - size / 2) < size / 4;
      ball.data.set(inside ? [40, 60, 160] : [200, 200, 190], 4 * i);
    }
    const { images: [image] } = await reconstruct(model, ball, { progressive: true });
    assert(image!.psnr > 20, `${image!.psnr} dB`);
    // Each scale adds something, and the last is far better than the first.
    const errors = image!.stages.map((stage) => pictureError(stage, ball).mse);
    assert(errors.at(-1)! < errors[0]! / 4, errors.join());
  },
});

Deno.test("pictureError: the distance of pictures", () => {
  const a = new RgbaImage(2, 1, new Uint8Array([0, 0, 0, 255, 255, 255, 255, 255]));
  const b = new RgbaImage(2, 1, new Uint8Array([51, 0, 0, 0, 255, 255, 255, 255]));
  assertAlmostEquals(pictureError(a, b).mse, 0.04 / 6, 1e-15);
  assertAlmostEquals(pictureError(a, b).psnr, 21.760912590556813, 1e-12);
  assertEquals(pictureError(a, a), { mse: 0, psnr: Infinity });
  const error = assertThrows(() => pictureError(a, new RgbaImage(1, 2)), RangeError);
  assertEquals(
    error.message,
    "Cannot compare pictures as they must have one size: one has 2×1, the other 1×2",
  );
});

testOnModel("coded", "reconstruct: reconstructions that cannot be made", async (model) => {
  const image = noise(9, 9, 1);
  const size = edgeOf(model);
  const cases: [unknown, ReconstructOptions, ErrorConstructor, string][] = [
    [
      [],
      {},
      RangeError,
      "Cannot reconstruct as the number of pictures must be an integer >= 1: current value is 0",
    ],
    [
      image,
      { batch: 0 },
      RangeError,
      "Cannot reconstruct as batch must be an integer >= 1: current value is 0",
    ],
    [
      image,
      { progressive: 1 as unknown as boolean },
      TypeError,
      "Cannot reconstruct as progressive must be a boolean: current value is 1",
    ],
    [
      image,
      { stages: true } as ReconstructOptions,
      TypeError,
      'Cannot reconstruct as the option "stages" is unknown: options are progressive, patchNumbers, size, fit, batch, signal',
    ],
    [
      image,
      { fit: "exact" },
      RangeError,
      `Cannot fit the picture as it must have ${size}×${size} pixels: it has 9×9; fit "crop" or "cover" would resize it`,
    ],
    [
      [image, "b.png"],
      {},
      TypeError,
      'Cannot fit the picture as it must be an RgbaImage, such as decodeImage() makes of a file: current value is "b.png"',
    ],
  ];
  for (const [given, options, type, message] of cases) {
    const error = await assertRejects(() => reconstruct(model, given as RgbaImage, options), type);
    assertEquals((error as Error).message, message);
  }
  const stopped = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => reconstruct(model, image, { signal: stopped }), Error, "enough");
});

Deno.test("reconstruct: a reconstruction on the CPU can be ended on the way", async () => {
  const model = await sharedModel("demo", "cpu");
  const pictures = Array.from({ length: 8 }, () => new RgbaImage(edgeOf(model), edgeOf(model)));
  const controller = new AbortController();
  // As Ctrl-C does: from a task of its own, while the first batch runs.
  const begun = reconstruct(model, pictures, { batch: 1, signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")));
  await assertRejects(() => begun, Error, "enough");
});
