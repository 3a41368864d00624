import { assertEquals, assertThrows } from "@std/assert";
import {
  bitCodes,
  type BitCodesArguments,
  signBits,
  type SignBitsArguments,
} from "../../../kernels/codebook/bits.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import type { FeatureLayout } from "../../../kernels/codebook/lookup.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Shape {
  images: number;
  /** Tokens down and across. */
  height: number;
  width: number;
  channels: number;
  patches: boolean;
  layout: FeatureLayout;
}

const SIZES = [
  [1, 1, 1, 1],
  [2, 3, 5, 31],
  [1, 9, 8, 32],
  [3, 2, 7, 33],
  [1, 4, 4, 56],
  [2, 5, 13, 64],
  [2, 6, 6, 14],
  [1, 1, 70, 7],
  [4, 1, 1, 8],
] as const;

function* shapes(): Generator<Shape> {
  for (const [images, height, width, channels] of SIZES) {
    for (const patches of [false, true]) {
      for (const layout of ["rows", "planes"] as const) {
        yield { images, height, width, channels, patches, layout };
      }
    }
  }
}

/** Each value of a feature map with its token and its bit: loops over images, channels, lines and columns. */
function* values(shape: Shape): Generator<{ token: number; bit: number; place: number }> {
  const { images, height, width, channels, patches, layout } = shape;
  const scale = patches ? 2 : 1;
  for (let image = 0; image < images; image++) {
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < scale * height; y++) {
        for (let x = 0; x < scale * width; x++) {
          const token = (image * height + Math.floor(y / scale)) * width + Math.floor(x / scale);
          const bit = patches ? c * 4 + (y % 2) * 2 + x % 2 : c;
          const plane = ((image * channels + c) * scale * height + y) * scale * width + x;
          const row = ((image * scale * height + y) * scale * width + x) * channels + c;
          yield { token, bit, place: layout === "rows" ? row : plane };
        }
      }
    }
  }
}

function kernelShape({ images, height, width, channels, patches, layout }: Shape) {
  const shape = { images, tokens: height * width, channels, layout };
  return patches ? { ...shape, patchWidth: width } : shape;
}

async function codes(device: Device, packed: Uint32Array, shape: Shape): Promise<Float32Array> {
  const length = shape.images * shape.height * shape.width * shape.channels * (shape.patches ? 4 : 1);
  using bits = device.upload(packed);
  using output = device.upload(new Float32Array(length + 1).fill(NaN));
  device.run(bitCodes, { bits, output, ...kernelShape(shape) });
  const found = await readFloats(output);
  assertEquals(found[length], NaN);
  return found.subarray(0, length);
}

async function bitsOf(device: Device, map: Float32Array, shape: Shape): Promise<Uint32Array> {
  const length = shape.images * shape.height * shape.width *
    Math.ceil(shape.channels * (shape.patches ? 4 : 1) / 32);
  using features = device.upload(map);
  using bits = device.upload(new Uint32Array(length + 1).fill(0xdeadbeef));
  device.run(signBits, { features, bits, ...kernelShape(shape) });
  const found = await readWords(bits);
  assertEquals(found[length], 0xdeadbeef);
  return found.subarray(0, length);
}

testOnDevices("bitCodes: bits become codes, and codes the same bits again", async (device) => {
  const random = testRandom(41);
  for (const shape of shapes()) {
    const tokenBits = shape.channels * (shape.patches ? 4 : 1);
    const stride = Math.ceil(tokenBits / 32);
    const tokens = shape.images * shape.height * shape.width;
    const packed = Uint32Array.from({ length: tokens * stride }, () => random() * 2 ** 32);
    const wanted = new Float32Array(tokens * tokenBits);
    const clean = new Uint32Array(packed.length);
    for (const { token, bit, place } of values(shape)) {
      const one = (packed[token * stride + Math.floor(bit / 32)]! / 2 ** (bit % 32)) % 2 >= 1;
      wanted[place] = (one ? 1 : -1) / Math.sqrt(shape.channels);
      if (one) clean[token * stride + Math.floor(bit / 32)]! += 2 ** (bit % 32);
    }
    const found = await codes(device, packed, shape);
    assertEquals(found, wanted, JSON.stringify(shape));
    // Bits beyond the last are no part of the token.
    assertEquals(await bitsOf(device, found, shape), clean, JSON.stringify(shape));
  }
});

testOnDevices("signBits: a bit is 1 where a value is above 0, and nowhere else", async (device) => {
  const map = new Float32Array([1, -1, 0, -0, NaN, Infinity, -Infinity, 1e-45, -1e-45, 3e38, 1e-38]);
  new Uint32Array(map.buffer)[1] = 0xffffffff;
  const shape = { images: 1, height: 1, width: 1, channels: 11, patches: false, layout: "rows" } as const;
  assertEquals([...await bitsOf(device, map, shape)], [0b11010100001]);
});

testOnDevices("bitCodes: codes have the magnitude that is asked for", async (device) => {
  using bits = device.upload(new Uint32Array([0b101]));
  using output = device.allocate(3);
  const shape = { images: 1, tokens: 1, channels: 3, layout: "planes" } as const;
  device.run(bitCodes, { bits, output, ...shape, magnitude: 1 });
  assertEquals([...await readFloats(output)], [1, -1, 1]);
});

testOnDevices("bitCodes: no images, no work; views at odd places work", async (device) => {
  using bits = device.upload(new Uint32Array([9, 9, 9, 0b01, 0b10, 9]));
  using output = device.upload(new Float32Array(8).fill(7));
  const shape = { tokens: 2, channels: 2, layout: "planes", magnitude: 1 } as const;
  device.run(bitCodes, { bits, output, ...shape, images: 0 });
  device.run(bitCodes, {
    bits: device.view(bits, 3, 2),
    output: device.view(output, 1, 4),
    ...shape,
    images: 1,
  });
  assertEquals([...await readFloats(output)], [7, 1, -1, -1, 1, 7, 7, 7]);
  device.run(signBits, {
    ...{ tokens: 2, channels: 2, layout: "planes", images: 1 },
    features: device.view(output, 1, 4),
    bits: device.view(bits, 1, 2),
  });
  assertEquals([...await readWords(bits)], [9, 0b01, 0b10, 0b01, 0b10, 9]);
});

Deno.test("signBits: bits refuse bad calls", () => {
  using device = new CpuDevice();
  const shape = { images: 1, tokens: 4, channels: 2, layout: "rows" } as const;
  const bits = device.allocate(4, "bits");
  const map = device.allocate(8, "map");
  const bad: [Partial<Record<keyof BitCodesArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ tokens: "4" }, TypeError, 'tokens must be a number: current value is "4"'],
    [{ channels: 0 }, RangeError, "channels must be an integer from 1 to 65535: current value is 0"],
    [{ layout: "lines" }, TypeError, 'layout must be one of "rows", "planes": current value is "lines"'],
    [{ patchWidth: 0 }, RangeError, "patchWidth must be an integer >= 1: current value is 0"],
    [{ patchWidth: 3 }, RangeError, "tokens must be a multiple of patchWidth, 3: current value is 4"],
    [{ bits: device.allocate(3, "few") }, RangeError, '"few" must hold at least 4 words: it holds 3'],
    [{ channels: 3 }, RangeError, '"map" must hold at least 12 words: it holds 8'],
    [{ patchWidth: 2 }, RangeError, '"map" must hold at least 32 words: it holds 8'],
  ];
  for (const [change, type, message] of bad) {
    const there = { bits, output: map, ...shape, ...change } as unknown as BitCodesArguments;
    const refusedThere = assertThrows(() => device.run(bitCodes, there), type) as Error;
    assertEquals(refusedThere.message, `Cannot turn bits into codes as ${message}`);
    const back = { features: map, bits, ...shape, ...change } as unknown as SignBitsArguments;
    const refusedBack = assertThrows(() => device.run(signBits, back), type) as Error;
    assertEquals(refusedBack.message, `Cannot turn features into bits as ${message}`);
  }
  const magnitude = -1;
  assertThrows(
    () => device.run(bitCodes, { bits, output: map, ...shape, magnitude }),
    RangeError,
    "Cannot turn bits into codes as magnitude must be from 0 to ",
  );
});
