import { assertEquals, assertThrows } from "@std/assert";
import recorded from "../../fixtures/vision/resized.json" with { type: "json" };
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import {
  createPixelTable,
  type PixelFilter,
  pixelWeights,
  resizePixels,
  type ResizePixelsArguments,
} from "../../../kernels/maps/resize_pixels.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { packedPicture, rgbOf } from "../../vision_pictures.ts";

const FILTERS: readonly PixelFilter[] = ["bilinear", "bicubic", "lanczos"];

/** Both passes over pictures; a pass that changes nothing is left out. */
async function resized(
  device: Device,
  pixels: Uint32Array,
  filter: PixelFilter,
  { from, to, images = 1 }: { from: readonly number[]; to: readonly number[]; images?: number },
): Promise<Uint32Array<ArrayBuffer>> {
  const [width, height] = from as [number, number];
  const [toWidth, toHeight] = to as [number, number];
  using stack = new DisposableStack();
  let input = stack.use(device.upload(pixels));
  if (width !== toWidth) {
    const table = stack.use(createPixelTable(device, filter, width, toWidth));
    const output = stack.use(device.allocate(images * height * toWidth));
    device.run(resizePixels, { input, output, table, lines: images * height });
    input = output;
  }
  if (height !== toHeight) {
    const table = stack.use(createPixelTable(device, filter, height, toHeight));
    const output = stack.use(device.allocate(images * toHeight * toWidth));
    device.run(resizePixels, { input, output, table, lines: images, step: toWidth });
    input = output;
  }
  return await readWords(input);
}

testOnDevices(`resizePixels: pictures are resized to the byte as by ${recorded.by}`, async (device) => {
  for (const { filter, from, to, sha256 } of recorded.cases) {
    const pixels = await resized(device, packedPicture(from[0]!, from[1]!), filter as PixelFilter, {
      from,
      to,
    });
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", rgbOf(pixels))).toHex();
    assertEquals(hash, sha256, `${filter} ${from.join("×")} to ${to.join("×")}`);
  }
});

testOnDevices(
  "resizePixels: an axis that keeps its size keeps its pixels, and alpha becomes 255",
  async (device) => {
    const random = testRandom(1);
    const pixels = Uint32Array.from({ length: 3 * 11 }, () => random() * 2 ** 32);
    using input = device.upload(pixels);
    for (const filter of FILTERS) {
      using output = device.allocate(33);
      using across = createPixelTable(device, filter, 11, 11);
      device.run(resizePixels, { input, output, table: across, lines: 3 });
      assertEquals(await readWords(output), pixels.map((word) => (word | 0xff000000) >>> 0));
      using down = createPixelTable(device, filter, 3, 3);
      device.run(resizePixels, { input, output, table: down, lines: 1, step: 11 });
      assertEquals(await readWords(output), pixels.map((word) => (word | 0xff000000) >>> 0));
    }
  },
);

testOnDevices("resizePixels: a part has the pixels that the whole has there", async (device) => {
  const pixels = packedPicture(23, 4);
  using input = device.upload(pixels);
  for (const filter of FILTERS) {
    using whole = device.allocate(4 * 37);
    using all = createPixelTable(device, filter, 23, 37);
    device.run(resizePixels, { input, output: whole, table: all, lines: 4 });
    const expected = await readWords(whole);
    for (const [first, count] of [[0, 37], [5, 20], [36, 1]] as const) {
      using part = device.allocate(4 * count);
      using table = createPixelTable(device, filter, 23, 37, { first, count });
      device.run(resizePixels, { input, output: part, table, lines: 4 });
      const rows = Array.from(
        { length: 4 },
        (_, y) => [...expected.subarray(37 * y + first, 37 * y + first + count)],
      );
      assertEquals([...await readWords(part)], rows.flat());
    }
  }
});

testOnGpu("resizePixels: the shader gives the same bytes as its twin for any pictures", async (device) => {
  using host = new CpuDevice();
  const random = testRandom(2);
  const size = (): number => 1 + Math.floor(random() ** 3 * 150);
  for (let round = 0; round < 24; round++) {
    const images = 1 + round % 3;
    const [from, to] = [[size(), size()], [size(), size()]];
    // Extremes next to one another overshoot most.
    const level = (): number => round % 2 === 0 ? random() * 256 : random() < 0.5 ? 0 : 255;
    const pixels = Uint32Array.from({ length: images * from[0]! * from[1]! }, () => {
      return (level() | level() << 8 | level() << 16) >>> 0;
    });
    const filter = FILTERS[round % 3]!;
    assertEquals(
      await resized(device, pixels, filter, { from, to, images }),
      await resized(host, pixels, filter, { from, to, images }),
      `${filter} ${images}×${from} to ${to}`,
    );
  }
});

Deno.test("pixelWeights: weights add up to one, but for the rounding of each, and stay within the picture", () => {
  const random = testRandom(3);
  for (let round = 0; round < 60; round++) {
    const [from, to] = [1 + Math.floor(random() ** 2 * 500), 1 + Math.floor(random() ** 2 * 500)];
    const { first, count, weights, taps } = pixelWeights(FILTERS[round % 3]!, from, to);
    for (let k = 0; k < to; k++) {
      const row = weights.subarray(k * taps, (k + 1) * taps);
      const sum = row.reduce((a, b) => a + b, 0);
      assertEquals(Math.abs(sum - 2 ** 22) <= count[k]! / 2, true);
      assertEquals(first[k]! + count[k]! <= from, true);
      // What the shader adds up stays within 32 bits.
      const reach = row.reduce((a, b) => a + Math.abs(b), 0);
      assertEquals(reach * 255 + 2 ** 21 < 2 ** 31, true);
    }
  }
});

testOnDevices("resizePixels: bad calls are refused", (device) => {
  using input = device.allocate(12, "input");
  using output = device.allocate(6, "output");
  using table = createPixelTable(device, "bilinear", 4, 2);
  const good = { input, output, table, lines: 3 };
  const bad: [Partial<ResizePixelsArguments>, string][] = [
    [{ lines: 0.5 }, "lines must be an integer >= 0: current value is 0.5"],
    [{ step: 0 }, "step must be an integer >= 1: current value is 0"],
    [{ lines: 4 }, '"input" must hold at least 16 words: it holds 12'],
    [{ input: output, output: input }, '"output" must hold at least 12 words: it holds 6'],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(resizePixels, { ...good, ...change }), RangeError);
    assertEquals((error as Error).message, `Cannot resize pixels as ${message}`);
  }
  assertThrows(
    () => pixelWeights("box" as "bicubic", 1, 1),
    TypeError,
    'one of "bilinear", "bicubic", "lanczos"',
  );
  assertThrows(() => pixelWeights("bicubic", 0, 1), RangeError, "from must be an integer >= 1");
  const part = { first: 2, count: 3 };
  assertThrows(() => pixelWeights("bicubic", 9, 4, part), RangeError, "count must be an integer from 1 to 2");
});
