import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import { packPixels, type PackPixelsArguments, type PixelRule } from "../../../kernels/maps/pack.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

async function packed(
  device: Device,
  values: Float32Array | Uint32Array,
  images: number,
  width: number,
  height: number,
  rule?: PixelRule,
): Promise<Uint32Array> {
  using image = device.upload(values);
  using pixels = device.allocate(images * width * height);
  device.run(packPixels, { image, pixels, images, width, height, ...(rule && { rule }) });
  return await readWords(pixels);
}

/** The published order of operations, (x + 1) / 2 * 255, each rounded to float32, then truncated. */
function reference(x: number): number {
  return Math.trunc(exactLevel(x));
}

/** The value whose integer part the published code takes. */
function exactLevel(x: number): number {
  const clamped = Math.min(1, Math.max(-1, x));
  return Math.fround(Math.fround(Math.fround(clamped + 1) / 2) * 255);
}

testOnDevices("packPixels: pack orders planes into RGBA bytes, image after image", async (device) => {
  // Two images of 3 x 2: each value encodes its image, colour and place as a level.
  const level = (image: number, colour: number, place: number) => image * 100 + colour * 30 + place;
  const values: number[] = [];
  for (let image = 0; image < 2; image++) {
    for (let colour = 0; colour < 3; colour++) {
      for (let place = 0; place < 6; place++) values.push((level(image, colour, place) + 0.5) / 127.5 - 1);
    }
  }
  const bytes = new Uint8Array((await packed(device, new Float32Array(values), 2, 3, 2)).buffer);
  for (let i = 0; i < 12; i++) {
    const [image, place] = [Math.floor(i / 6), i % 6];
    const expected = [level(image, 0, place), level(image, 1, place), level(image, 2, place), 255];
    assertEquals([...bytes.subarray(4 * i, 4 * i + 4)], expected);
  }
});

testOnDevices("packPixels: pack truncates, clamps and takes NaN as 0", async (device) => {
  const above = (x: number) => Math.fround(x + 2 ** -23);
  const cases: [number, number][] = [
    [-1, 0],
    [1, 255],
    [0, 127], // 127.5 is cut, not rounded
    [-0, 127],
    [1 - 2 ** -22, 254],
    [1 - 2 ** -24, 255], // x + 1 rounds to 2
    [-1.0000001, 0],
    [1.5, 255],
    [1e30, 255],
    [-1e30, 0],
    [Infinity, 255],
    [-Infinity, 0],
    [NaN, 0],
    [1e-40, 127], // subnormal
    [2 / 255 - 1, reference(Math.fround(2 / 255 - 1))],
    [above(2 / 255 - 1), 1],
  ];
  const values = new Float32Array(cases.flatMap(([x]) => [x, x, x]));
  const area = cases.length;
  const planes = Float32Array.from(values, (_, i) => cases[i % area]![0]);
  const bytes = new Uint8Array((await packed(device, planes, 1, area, 1)).buffer);
  for (const [i, [x, expected]] of cases.entries()) {
    assertEquals([...bytes.subarray(4 * i, 4 * i + 4)], [expected, expected, expected, 255], `for ${x}`);
  }
  // Every kind of NaN: quiet, signalling, negative.
  const nans = new Uint32Array([0x7fc00000, 0x7f800001, 0xffffffff]);
  assertEquals([...await packed(device, nans, 1, 1, 1)], [0xff000000]);
});

testOnDevices("packPixels: pack agrees with the published arithmetic next to every step", async (device) => {
  // Around each level's edge k / 127.5 - 1, where one unit in the last place decides.
  const values: number[] = [];
  for (let k = 0; k <= 255; k++) {
    for (let ulp = -4; ulp <= 4; ulp++) values.push(Math.fround(k / 127.5 - 1) + ulp * 2 ** -25);
  }
  const random = testRandom(3);
  while (values.length % 3 !== 0 || values.length < 12000) values.push(random() * 2.2 - 1.1);
  const planes = new Float32Array(values);
  const area = planes.length / 3;
  const bytes = new Uint8Array((await packed(device, planes, 1, area, 1)).buffer);
  const expected = Uint8Array.from(bytes, (_, i) => {
    return i % 4 === 3 ? 255 : reference(planes[(i % 4) * area + Math.floor(i / 4)]!);
  });
  assertEquals(bytes, expected);
});

testOnDevices(
  "packPixels: rounded values become the nearer level, in the middle the upper one",
  async (device) => {
    const values: number[] = [0, -1, 1, 2, -2, Infinity, -Infinity, NaN, 1e-40];
    for (let half = 0; half <= 511; half++) {
      for (let ulp = -4; ulp <= 4; ulp++) values.push(Math.fround(half / 255 - 1) + ulp * 2 ** -25);
    }
    const random = testRandom(5);
    while (values.length % 3 !== 0 || values.length < 12000) values.push(random() * 2.2 - 1.1);
    const planes = new Float32Array(values);
    const area = planes.length / 3;
    const bytes = new Uint8Array((await packed(device, planes, 1, area, 1, "round")).buffer);
    const expected = Uint8Array.from(bytes, (_, i) => {
      if (i % 4 === 3) return 255;
      const value = planes[(i % 4) * area + Math.floor(i / 4)]!;
      // What is added to a number below 256 and above a half is exact in float64.
      return Number.isNaN(value) ? 0 : Math.floor(exactLevel(value) + 0.5);
    });
    assertEquals(bytes, expected);
    assertEquals([bytes[0], bytes[4], bytes[8]], [128, 0, 255]);
  },
);

testOnGpu("packPixels: pack gives the same bits as its twin for any bits", async (device) => {
  using host = new CpuDevice();
  const random = testRandom(4);
  for (const [images, width, height] of [[1, 1, 1], [2, 13, 7], [1, 256, 256]] as const) {
    const values = Uint32Array.from({ length: images * 3 * width * height }, () => random() * 2 ** 32);
    for (const rule of [undefined, "truncate", "round"] as const) {
      assertEquals(
        await packed(device, values, images, width, height, rule),
        await packed(host, values, images, width, height, rule),
      );
    }
  }
});

testOnDevices("packPixels: pack refuses bad calls", (device) => {
  using image = device.allocate(12, "image");
  using pixels = device.allocate(4, "pixels");
  const good = { image, pixels, images: 1, width: 2, height: 2 };
  const bad: [Partial<Record<keyof PackPixelsArguments, unknown>>, string][] = [
    [{ images: 0.5 }, "images must be an integer >= 0: current value is 0.5"],
    [{ width: 0 }, "width must be an integer >= 1: current value is 0"],
    [{ height: -2 }, "height must be an integer >= 1: current value is -2"],
    [{ height: 3 }, '"image" must hold at least 18 words: it holds 12'],
    [{ pixels: image, image: pixels }, '"pixels" must hold at least 12 words: it holds 4'],
  ];
  for (const [change, message] of bad) {
    const args = { ...good, ...change } as unknown as PackPixelsArguments;
    const error = assertThrows(() => device.run(packPixels, args), RangeError);
    assertEquals((error as Error).message, `Cannot pack pixels as ${message}`);
  }
  assertThrows(
    () => device.run(packPixels, { ...good, rule: "up" as "round" }),
    TypeError,
    'Cannot pack pixels as rule must be one of "truncate", "round": current value is "up"',
  );
});
