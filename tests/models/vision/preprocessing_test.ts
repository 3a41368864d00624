import { assertEquals, assertThrows } from "@std/assert";
import recorded from "../../fixtures/vision/inputs.json" with { type: "json" };
import { readFloats, readWords } from "../../../kernels/device/device.ts";
import {
  coverOf,
  type FloatPreprocessing,
  preprocess,
  preprocessInFloats,
  type Preprocessing,
  roundHalfEven,
} from "../../../models/vision/preprocessing.ts";
import { testOnDevices } from "../../devices.ts";
import { packedPicture } from "../../vision_pictures.ts";

testOnDevices(`preprocess: a network gets the bits of ${recorded.by}`, async (device) => {
  for (const { from, size, resize, fit, mean, std, sha256 } of recorded.cases) {
    const [width, height] = from as [number, number];
    const pixels = packedPicture(width, height);
    // Two pictures, of which the second one is compared too.
    using array = device.upload(Uint32Array.from([...pixels.toReversed(), ...pixels]));
    const wanted = {
      size: { width: size, height: size },
      resize,
      fit,
      mean,
      std,
    } as unknown as Preprocessing;
    const { liveArrays } = device.counters;
    using input = preprocess(device, { array, count: 2, width, height }, wanted);
    assertEquals(device.counters.liveArrays, liveArrays + 1);
    const second = (await readWords(input)).slice(3 * size ** 2);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", second)).toHex();
    assertEquals(hash, sha256, `${resize} ${fit} ${width}×${height} to ${size}`);
  }
});

testOnDevices("preprocess: a network that resizes no picture refuses one of another size", (device) => {
  using array = device.allocate(12);
  const wanted: Preprocessing = {
    size: { width: 4, height: 4 },
    resize: "none",
    fit: "squash",
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
  const { liveArrays } = device.counters;
  assertThrows(
    () => preprocess(device, { array, count: 1, width: 4, height: 3 }, wanted),
    RangeError,
    `Cannot prepare pictures for a network that resizes none as the pictures' size must be 4×4 pixels: current value is "4×3"`,
  );
  assertEquals(device.counters.liveArrays, liveArrays);
});

testOnDevices("preprocess: pictures that are gone, or fewer than is said, leave nothing behind", (device) => {
  const { liveArrays } = device.counters;
  const wanted: Preprocessing = {
    size: { width: 4, height: 4 },
    resize: "bicubic",
    fit: "squash",
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
  const array = device.allocate(16);
  for (const [width, height] of [[4, 4], [4, 5], [5, 4]] as const) {
    assertThrows(() => preprocess(device, { array, count: 2, width, height }, wanted), RangeError);
  }
  array[Symbol.dispose]();
  for (const [width, height] of [[4, 4], [8, 2]] as const) {
    assertThrows(
      () => preprocess(device, { array, count: 1, width, height }, wanted),
      TypeError,
      "it has been disposed",
    );
  }
  assertEquals(device.counters.liveArrays, liveArrays);
});

Deno.test("coverOf: the edge that is longer in proportion is truncated and cut on both sides", () => {
  const size = { width: 224, height: 224 };
  assertEquals(coverOf({ width: 333, height: 250 }, size), { width: 298, height: 224, left: 37, top: 0 });
  // Python rounds halves to even: 0.5 to 0, 1.5 to 2.
  assertEquals(coverOf({ width: 224, height: 225 }, size), { ...size, height: 225, left: 0, top: 0 });
  assertEquals(coverOf({ width: 227, height: 224 }, size), { ...size, width: 227, left: 2, top: 0 });
  const wide = { width: 200, height: 100 };
  assertEquals(coverOf({ width: 100, height: 100 }, wide), { width: 200, height: 200, left: 0, top: 50 });
});

Deno.test("roundHalfEven: halves are rounded to even", () => {
  const values = [0.5, 1.5, 2.5, 3.5, 0.49999999999999994, 2.4, 2.6, 7];
  assertEquals(values.map(roundHalfEven), [0, 2, 2, 4, 0, 2, 3, 7]);
});

testOnDevices("preprocessInFloats: levels are replaced and resized without being rounded", async (device) => {
  // Two pictures of 2×1: red 0 and 100, and all colours of both 255.
  using array = device.upload(new Uint32Array([0xff000000, 0xff000064, 0xffffffff, 0xffffffff]));
  const pictures = { array, count: 2, width: 2, height: 1 };
  const wanted = (method: FloatPreprocessing["method"], width: number): FloatPreprocessing => {
    return { size: { width, height: 1 }, method, level: (value) => value / 2 };
  };
  const rowsOf = async (preprocessing: FloatPreprocessing): Promise<number[]> => {
    const { liveArrays } = device.counters;
    using input = preprocessInFloats(device, pictures, preprocessing);
    assertEquals(device.counters.liveArrays, liveArrays + 1);
    return [...(await readFloats(input)).slice(0, 6 * preprocessing.size.width)];
  };
  const [black, white] = [
    (width: number) => Array(2 * width).fill(0),
    (width: number) => Array(3 * width).fill(127.5),
  ];
  assertEquals(await rowsOf(wanted("asymmetric", 4)), [0, 25, 50, 50, ...black(4), ...white(4)]);
  assertEquals(await rowsOf(wanted("bilinear", 4)), [0, 12.5, 37.5, 50, ...black(4), ...white(4)]);
  // In its own size nothing is resized.
  assertEquals(await rowsOf(wanted("antialiased", 2)), [0, 50, ...black(2), ...white(2)]);
});
