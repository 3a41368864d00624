/**
 * The decoder that runs strip by strip: the picture of the decoder in one piece comes out however the rows
 * are divided, within the limits of a device, and nothing stays behind.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice, type HostArray } from "../../../kernels/device/cpu_device.ts";
import { type Device, type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import type { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import type { Autoencoder } from "../../../models/autoencoder/config.ts";
import { decoderGraph } from "../../../models/autoencoder/graph.ts";
import { largestMapWords, liveDecoderBytes } from "../../../models/autoencoder/memory.ts";
import { AutoencoderNetworks, type FeatureMaps } from "../../../models/autoencoder/networks.ts";
import { TiledDecoder, type TiledDecoderOptions } from "../../../models/autoencoder/tiled_decoder.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { INFINITY_LAYOUT } from "../../../models/infinity/layout.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { lowerLimits, testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";
import {
  DECODER_CASES,
  hashedFeatures,
  hashedSizes,
  hashedTensors,
  requireHashed,
} from "./hashed_decoder.ts";
import { type MadeUpTensor, randomTensors, storeTensors, weightFilesOf } from "./made_up_weights.ts";

const SIZES: Autoencoder = {
  layout: INFINITY_LAYOUT,
  channels: 6,
  decoder: [32, 32, 64].map((channels, i) => ({ channels, blocks: 2 - i % 2, attention: false })),
  encoder: null,
};
const TENSORS = randomTensors(SIZES, 5);
/**
 * Values are of size 1 to 4. A norm multiplies and adds where the one in one piece subtracts first, and sums
 * are of other stretches: each of its twelve norms is off by some 1e-7 of a deviation.
 */
const TOLERANCE = 1e-5;

function tiledDecoder(
  device: Device,
  options: Partial<TiledDecoderOptions> & { readonly tensors?: ReadonlyMap<string, MadeUpTensor> } = {},
): TiledDecoder {
  const { tensors = TENSORS } = options;
  return new TiledDecoder({
    device,
    autoencoder: SIZES,
    openWeights: () => weightFilesOf(tensors),
    ...options,
  });
}

function featuresOn(
  device: Device,
  size: { width: number; height: number },
  images = 1,
): FeatureMaps & Disposable {
  const random = testRandom(9);
  const { channels } = SIZES;
  const values = Float32Array.from(
    { length: images * channels * size.height * size.width },
    () => 2 * random() - 1,
  );
  const array = device.upload(values);
  return { array, images, ...size, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

/** The networks of the decoder in one piece. */
async function wholeNetworks(device: Device, tiled?: TiledDecoder): Promise<AutoencoderNetworks> {
  const { set, places, data } = storeTensors(TENSORS);
  const decoder = await createGraphSession(device, decoderGraph(SIZES, set, places), {
    externalFiles: [{ path: "weights", data }],
  });
  const loadEncoder = () => Promise.reject(new Error("There is none"));
  return new AutoencoderNetworks({ model: "toy", config: SIZES, decoder, tiled, loadEncoder });
}

async function pictureOf(networks: AutoencoderNetworks, features: FeatureMaps): Promise<Float32Array> {
  using pictures = await networks.decode(features);
  assertEquals([pictures.width, pictures.height], [4 * features.width, 4 * features.height]);
  return await readFloats(pictures.array);
}

async function floatsOf(pixels: DeviceArray): Promise<Float32Array> {
  using array = pixels;
  return await readFloats(array);
}

for (const [height, width] of [[5, 3], [1, 4]] as const) {
  testOnDevices(
    `TiledDecoder: ${height} by ${width} tokens, in strips of one row, ragged ones or one, are what they are in one piece`,
    async (device) => {
      using features = featuresOn(device, { width, height }, 2);
      await using networks = await wholeNetworks(device);
      const wanted = await pictureOf(networks, features);
      assert(Math.max(...wanted) > 0.5);
      const before = device.counters.liveArrays;
      for (const stripBytes of [1, 8500, 1e9]) {
        await using tiled = tiledDecoder(device, { stripBytes });
        const found = await floatsOf(await tiled.decode(features.array, features));
        const difference = maxDifference(found, wanted);
        assert(difference <= TOLERANCE, `${stripBytes} bytes: ${difference}`);
        assertEquals(device.counters.liveArrays, before);
      }
    },
  );
}

testOnDevices("TiledDecoder: the recorded decoders give their pixels row by row, too", async (device) => {
  const recorded = DECODER_CASES.find(({ tag }) => tag === "dec8")!;
  const autoencoder = hashedSizes(recorded);
  const { values, ...size } = hashedFeatures(recorded);
  using array = device.upload(values);
  await using tiled = tiledDecoder(device, {
    autoencoder,
    tensors: hashedTensors(autoencoder),
    stripBytes: 1,
  });
  requireHashed(await floatsOf(await tiled.decode(array, { ...size, images: 1 })), recorded);
});

testOnDevices("TiledDecoder: the same strips give the same bits", async (device) => {
  using features = featuresOn(device, { width: 3, height: 3 });
  await using tiled = tiledDecoder(device, { stripBytes: 30_000 });
  const decode = async () => await floatsOf(await tiled.decode(features.array, features));
  assertEquals(await decode(), await decode());
});

Deno.test("TiledDecoder: is taken where one piece needs more than there is, or always", async () => {
  using device = new CpuDevice();
  const map = { width: 8, height: 4 };
  // 64 channels come to the second level, which has twice as many rows and columns.
  assertEquals(largestMapWords(SIZES.decoder, map), 32 * 16 * 32);
  const bytes = liveDecoderBytes(SIZES.decoder, map);
  const takes = (options: Partial<TiledDecoderOptions>, images: number): boolean => {
    return tiledDecoder(device, options).takes({ ...map, images });
  };
  assertEquals(takes({}, 1000), false);
  assertEquals([2, 3].map((images) => takes({ memory: 2 * bytes }, images)), [false, true]);
  assertEquals(takes({ always: true }, 1), true);
  // Networks without the decoder in one piece have nothing else.
  using features = featuresOn(device, map);
  await using whole = await wholeNetworks(device);
  await using networks = new AutoencoderNetworks({
    model: "toy",
    config: SIZES,
    decoder: undefined,
    tiled: tiledDecoder(device),
    loadEncoder: () => Promise.reject(new Error("There is none")),
  });
  assertEquals([networks.decodes, networks.encodes], [true, false]);
  networks.requireDecoder();
  const [found, wanted] = [await pictureOf(networks, features), await pictureOf(whole, features)];
  assert(maxDifference(found, wanted) <= TOLERANCE);
});

testOnGpu("TiledDecoder: within the limits of a device, which one piece exceeds", async (device) => {
  const size = { width: 12, height: 20 };
  const bytes = 4 * largestMapWords(SIZES.decoder, size);
  const limit = 2 ** 18;
  assert(bytes > limit);
  using features = featuresOn(device, size);
  await using whole = await wholeNetworks(device);
  const wanted = await pictureOf(whole, features);
  using _ = lowerLimits(device, { maxStorageBufferBindingSize: limit });
  await using tiled = tiledDecoder(device);
  await using networks = await wholeNetworks(device, tiled);
  assert(tiled.takes(features));
  assert(tiled.memory(size).largestArray <= limit);
  using made = watchBuffers(device);
  const found = await pictureOf(networks, features);
  assert(maxDifference(found, wanted) <= TOLERANCE);
  // The pool of the runtime has buffers that were made before, but never one of each size.
  assert(made.sizes.length > 0);
  assert(Math.max(...made.sizes) <= limit, `${Math.max(...made.sizes)}`);
});

/** Notes the size of every buffer that is made on a device. */
function watchBuffers({ gpu }: WebGpuDevice): { sizes: number[] } & Disposable {
  const sizes: number[] = [];
  const { createBuffer } = gpu;
  gpu.createBuffer = (descriptor) => {
    sizes.push(descriptor.size);
    return createBuffer.call(gpu, descriptor);
  };
  return { sizes, [Symbol.dispose]: () => void (gpu.createBuffer = createBuffer) };
}

/** A device that knows what was alive at the most. */
class CountingDevice extends CpuDevice {
  most = 0;
  override adopt(data: Float32Array<ArrayBuffer>, label?: string): HostArray {
    const array = super.adopt(data, label);
    this.most = Math.max(this.most, this.counters.liveBytes);
    return array;
  }
}

Deno.test("TiledDecoder: no more is alive than was said, and less than in one piece", async () => {
  const size = { width: 16, height: 48 };
  using device = new CountingDevice();
  using features = featuresOn(device, size);
  const stripBytes = 100_000;
  await using tiled = tiledDecoder(device, { stripBytes });
  const { bytes, largestArray, picture } = tiled.memory(size);
  using pixels = await tiled.decode(features.array, features);
  assertEquals(4 * pixels.length, picture);
  assert(largestArray <= Math.max(stripBytes, picture), `${largestArray}`);
  const { most } = device;
  assert(most <= bytes, `${most} of ${bytes}`);
  // The estimate is none that anything would fit.
  assert(most > bytes / 3, `${most} of ${bytes}`);
  assert(bytes < liveDecoderBytes(SIZES.decoder, size) / 2);
  assertEquals(device.counters.liveArrays, 2);
});

Deno.test("TiledDecoder: what is missing or of another shape is named, and can be mended", async () => {
  using device = new CpuDevice();
  using features = featuresOn(device, { width: 2, height: 2 });
  const without = new Map(TENSORS);
  without.delete("decoder.up.1.upsample.conv.bias");
  const broken = new Map(TENSORS).set("decoder.conv_out.weight", {
    shape: [3, 31, 3, 3],
    values: new Float32Array(3 * 31 * 9),
  });
  let tensors: ReadonlyMap<string, MadeUpTensor> = without;
  await using tiled = tiledDecoder(device, { openWeights: () => weightFilesOf(tensors) });
  const decode = () => tiled.decode(features.array, features);
  const missing = await assertRejects(decode, ModelFileError);
  assertEquals(missing.tensor, "decoder.up.1.upsample.conv.bias");
  tensors = broken;
  await assertRejects(decode, ModelFileError, "expected [3, 32, 3, 3], found [3, 31, 3, 3]");
  assertEquals(device.counters.liveArrays, 1);
  tensors = TENSORS;
  using pixels = await decode();
  assertEquals(pixels.length, 3 * 8 * 8);
});

Deno.test("TiledDecoder: strips of no bytes are refused, as are networks that are not cut by rows", () => {
  using device = new CpuDevice();
  for (const stripBytes of [0, -1, NaN]) {
    assertThrows(
      () => tiledDecoder(device, { stripBytes }),
      RangeError,
      `must be a number > 0: current value is`,
    );
  }
  const autoencoder = { ...SIZES, decoder: SIZES.decoder!.map((level) => ({ ...level, attention: true })) };
  assertThrows(() => tiledDecoder(device, { autoencoder }), TypeError, "it attends to all positions");
});
