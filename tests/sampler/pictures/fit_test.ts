import { assertEquals, assertThrows } from "@std/assert";
import recorded from "../../fixtures/editing/resized.json" with { type: "json" };
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { extendImage, type Fit, fitImage, uploadPictures } from "../../../sampler/pictures/fit.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { testRandom } from "../../devices.ts";

/** Patches of noise beside patches of black and white, whose edges overshoot. */
function picture(width: number, height: number): RgbaImage {
  const random = testRandom(1000 * width + height);
  const image = new RgbaImage(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        const value = Math.floor(random() * 256);
        const noise = (Math.floor(x / 5) + Math.floor(y / 7)) % 2 === 0;
        image.data[4 * (y * width + x) + c] = noise ? value : value > 127 ? 255 : 0;
      }
    }
  }
  return image;
}

const rgbOf = ({ data }: RgbaImage): Uint8Array<ArrayBuffer> => {
  return Uint8Array.from(data.filter((_, i) => i % 4 !== 3));
};

Deno.test(`fitImage: pictures are resized and cropped to the byte as by ${recorded.by}`, async () => {
  for (const { width, height, size, sha256 } of recorded.cases) {
    const fitted = fitImage(picture(width, height), size);
    assertEquals([fitted.width, fitted.height], [size, size]);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", rgbOf(fitted))).toHex();
    assertEquals(hash, sha256, `${width}×${height} to ${size}`);
  }
});

Deno.test("fitImage: a picture of the size stays as it is, whatever the fit", () => {
  const image = picture(20, 20);
  for (const fit of ["crop", "cover", "exact"] as const) {
    const fitted = fitImage(image, 20, fit);
    assertEquals(fitted, image);
    // It is one of its own.
    fitted.data[0]! ^= 255;
    assertEquals(fitted.data[0], 255 - image.data[0]!);
  }
});

Deno.test("fitImage: a picture that covers the size loses only what sticks out", () => {
  // A frame of four pixels around 48×40: at half the size two, of which those at the left and right are cut
  // off with two more columns.
  const image = new RgbaImage(48, 40);
  for (let at = 0; at < image.data.length; at += 4) {
    const [x, y] = [at / 4 % 48, Math.floor(at / 4 / 48)];
    image.data.set([x < 4 || x >= 44 || y < 4 || y >= 36 ? 255 : 0, 0, 0, 255], at);
  }
  const rows = (fit: Fit): string => {
    const { data } = fitImage(image, 20, fit);
    return Array.from({ length: 20 }, (_, y) => data[4 * (20 * y + 10)]! > 127 ? 1 : 0).join("");
  };
  assertEquals(rows("cover"), "11000000000000000011");
  assertEquals(rows("crop"), "10000000000000000001");
  const { data } = fitImage(image, 20, "cover");
  assertEquals([0, 19].map((x) => data[4 * (20 * 10 + x)]! > 127), [false, false]);
});

Deno.test("fitImage: what is transparent is laid on white", () => {
  const image = new RgbaImage(
    2,
    2,
    new Uint8Array([10, 20, 30, 255, 10, 20, 30, 0, 0, 0, 0, 128, 9, 9, 9, 255]),
  );
  assertEquals([...fitImage(image, 2).data], [
    ...[10, 20, 30, 255, 255, 255, 255, 255],
    ...[127, 127, 127, 255, 9, 9, 9, 255],
  ]);
  // Also before resizing: a transparent black picture is white.
  const clear = new RgbaImage(9, 5, new Uint8Array(9 * 5 * 4));
  assertEquals(fitImage(clear, 4).data.every((value) => value === 255), true);
});

/** Part of a picture. */
function part(
  image: RgbaImage,
  box: { left: number; top: number; width: number; height: number },
): RgbaImage {
  const { left, top, width, height } = box;
  const cut = new RgbaImage(width, height);
  for (let y = 0; y < height; y++) {
    const from = 4 * ((top + y) * image.width + left);
    cut.data.set(image.data.subarray(from, from + 4 * width), 4 * y * width);
  }
  return cut;
}

Deno.test("fitImage: pictures are fitted to sizes that are not square", () => {
  const size = { width: 96, height: 64 };
  assertEquals(fitImage(picture(96, 64), size, "exact"), picture(96, 64));
  // Larger by 1.125 at least, and in one direction at most: nothing is resized, and the middle is left.
  for (
    const [width, height, left, top] of [[108, 72, 6, 4], [216, 72, 60, 4], [108, 90, 6, 13], [
      108,
      145,
      6,
      40,
    ]] as const
  ) {
    const image = picture(width, height);
    assertEquals(fitImage(image, size), part(image, { ...size, left, top }), `${width}×${height}`);
  }
  // Half as large: twice as many pixels make the same as the square of one of the edges.
  const large = picture(216, 144);
  const fitted = fitImage(large, size);
  const narrow = fitImage(part(large, { left: 36, top: 0, width: 144, height: 144 }), 64);
  // The filter reaches 6 pixels, so that far from the cut edges both are the same.
  assertEquals(
    part(fitted, { left: 24, top: 0, width: 48, height: 64 }),
    part(narrow, { left: 8, top: 0, width: 48, height: 64 }),
  );
  const refused: [() => void, string][] = [
    [() => fitImage(large, { width: 0, height: 4 }), "width must be an integer >= 1: current value is 0"],
    [
      () => fitImage(large, { width: 4, height: 1.5 }),
      "height must be an integer >= 1: current value is 1.5",
    ],
    [
      () => fitImage(large, size, "exact"),
      'it must have 96×64 pixels: it has 216×144; fit "crop" or "cover" would resize it',
    ],
  ];
  for (const [call, message] of refused) {
    assertEquals(assertThrows(call, RangeError).message, `Cannot fit the picture as ${message}`);
  }
  assertThrows(() => fitImage(large, null as unknown as number), TypeError, "width must be a number");
});

Deno.test("extendImage: a picture is continued by its border, and what is transparent is laid on white", () => {
  const image = new RgbaImage(2, 1, new Uint8Array([10, 20, 30, 255, 0, 0, 0, 0]));
  const extended = extendImage(image, { width: 5, height: 3 });
  const row = [...Array(2).fill([10, 20, 30, 255]), ...Array(3).fill([255, 255, 255, 255])].flat();
  assertEquals([...extended.data], [...row, ...row, ...row]);
});

Deno.test("fitImage: the longest and the smallest pictures", () => {
  const line = new RgbaImage(4000, 1);
  for (let x = 1990; x < 2010; x++) line.data.fill(200, 4 * x, 4 * x + 3);
  assertEquals(fitImage(line, 16).width, 16);
  const dot = new RgbaImage(1, 1, new Uint8Array([5, 6, 7, 255]));
  assertEquals([...fitImage(dot, 2).data], [5, 6, 7, 255, 5, 6, 7, 255, 5, 6, 7, 255, 5, 6, 7, 255]);
});

Deno.test("fitImage: pictures that cannot be fitted", () => {
  const image = new RgbaImage(30, 20);
  const cases: [() => void, ErrorConstructor, string][] = [
    [
      () => fitImage(image, 20, "exact"),
      RangeError,
      'it must have 20×20 pixels: it has 30×20; fit "crop" or "cover" would resize it',
    ],
    [
      () => fitImage(image, 20, "stretch" as Fit),
      TypeError,
      'fit must be one of "crop", "cover", "exact": current value is "stretch"',
    ],
    [() => fitImage(image, 0), RangeError, "size must be an integer >= 1: current value is 0"],
    [
      () => fitImage("a.png" as unknown as RgbaImage, 20),
      TypeError,
      'it must be an RgbaImage, such as decodeImage() makes of a file: current value is "a.png"',
    ],
  ];
  for (const [call, type, message] of cases) {
    assertEquals((assertThrows(call, type) as Error).message, `Cannot fit the picture as ${message}`);
  }
});

Deno.test("uploadPictures: pixels go to the device as planes from -1 to 1, in float32 as PyTorch computes them", async () => {
  using device = new CpuDevice();
  const a = new RgbaImage(2, 1, new Uint8Array([0, 51, 255, 255, 1, 2, 3, 255]));
  const b = new RgbaImage(2, 1, new Uint8Array([102, 0, 0, 255, 0, 0, 254, 255]));
  using planes = uploadPictures(device, [a, b]);
  // ((x / 255) * 2) - 1, each step rounded to float32.
  const { fround } = Math;
  const value = (byte: number): number => fround(fround(fround(byte / 255) * 2) - 1);
  assertEquals(
    [...await readFloats(planes.array)],
    [0, 1, 51, 2, 255, 3, 102, 0, 0, 0, 0, 254].map(value),
  );
});
