import { assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { Dinov2, inferDinov2 } from "../../../models/vision/dinov2.ts";
import { DINOV2 } from "../../../models/vision/networks.ts";
import {
  type VisionTransformerConfig,
  visionTransformerFlops,
  visionTransformerTensors,
} from "../../../models/vision/vision_transformer.ts";
import { elementsOf } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { testOnDevices } from "../../devices.ts";
import { publishedFile, randomPictures, recorded, requireClose, valuesOf } from "./published_networks.ts";

const LARGE: VisionTransformerConfig = {
  prefix: "",
  layers: 24,
  width: 1024,
  heads: 16,
  hidden: 4096,
  activation: "gelu",
  epsilon: 1e-6,
  joined: true,
  layerScale: true,
  patch: 14,
  grid: 37,
  classToken: true,
  registers: 4,
  patchBias: true,
  firstNorm: false,
};
const WIDTH = 128;
const CLASS_TOKENS = new URL("../../fixtures/evaluation/networks.safetensors", import.meta.url);

async function tokensOf(device: Device, file: Uint8Array, count = 2): Promise<Float32Array> {
  await using network = await Dinov2.open(device, file);
  const pictures = randomPictures(device, { seed: 7, count, edge: 224 });
  using _pixels = pictures.array;
  const { array, tokens, channels } = await network.features(pictures);
  assertEquals([tokens, channels], [256, WIDTH]);
  return await valuesOf(array);
}

for (const name of ["dinov2_reg", "dinov2", "dinov2_gated", "dinov2_hf", "dinov2_hf_gated"]) {
  testOnDevices(`published: a small ${name} sees what the original sees`, async (device) => {
    const tokens = await tokensOf(device, await publishedFile(name));
    const every34th = Float32Array.from({ length: 2 * 8 * WIDTH }, (_, i) => {
      const [row, channel] = [Math.floor(i / WIDTH), i % WIDTH];
      return tokens[(Math.floor(row / 8) * 256 + row % 8 * 34) * WIDTH + channel]!;
    });
    requireClose(every34th, await recorded(`${name}.tokens`), name);
  });
}

testOnDevices("Dinov2: the token of the whole picture is the original's", async (device) => {
  await using network = await Dinov2.open(device, await publishedFile("dinov2_hf"), { tokens: "class" });
  const pictures = randomPictures(device, { seed: 7, count: 2, edge: 224 });
  using _pixels = pictures.array;
  const { array, tokens, channels } = await network.features(pictures);
  assertEquals([tokens, channels], [1, WIDTH]);
  using wanted = await openCheckpoint(CLASS_TOKENS);
  requireClose(
    (await valuesOf(array)).slice(0, 2 * WIDTH),
    await wanted.readFloat32("class_tokens"),
    "class",
  );
});

Deno.test("Dinov2: weights in halves, in bfloat16 and under a trainer's names are the same weights", async () => {
  using device = new CpuDevice();
  // Values that halves and bfloat16 both hold: 8 bits of fraction, not far below 1.
  const change = (values: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> => {
    return values.map((value) => Math.round(value * 128) / 128);
  };
  const wanted = await tokensOf(device, await publishedFile("dinov2_reg", { change }), 1);
  for (const dtype of ["F16", "BF16"] as const) {
    assertEquals(await tokensOf(device, await publishedFile("dinov2_reg", { change, dtype }), 1), wanted);
  }
  const rename = (name: string): string => `teacher.module.${name}`;
  assertEquals(await tokensOf(device, await publishedFile("dinov2_reg", { change, rename }), 1), wanted);
});

Deno.test("Dinov2: what is no DINOv2 is refused", async () => {
  using device = new CpuDevice();
  const refused = async (file: Uint8Array, message: string): Promise<void> => {
    await assertRejects(() => Dinov2.open(device, file), ModelFileError, message);
  };
  await refused(await publishedFile("siglip"), 'expected "patch_embed.proj.weight" (the authors\' file)');
  const without = "blocks.1.norm2.bias";
  const rename = (name: string): string | undefined => name === without ? undefined : name;
  await refused(await publishedFile("dinov2_reg", { rename }), without);
  const shapes = { pos_embed: [1, 1369, WIDTH] };
  await refused(await publishedFile("dinov2_reg", { shapes }), "a square number of positions, and one more");
  const other = (name: string): string => name === "mask_token" ? "decoder.weight" : name;
  await refused(await publishedFile("dinov2_reg", { rename: other }), '"decoder.weight"');
});

Deno.test("Dinov2: a disposed network refuses pictures", async () => {
  using device = new CpuDevice();
  const network = await Dinov2.open(device, await publishedFile("dinov2"));
  await network[Symbol.asyncDispose]();
  const pictures = randomPictures(device, { seed: 7, count: 1, edge: 224 });
  await assertRejects(() => network.features(pictures), TypeError, '"dinov2" has been disposed');
});

Deno.test("Dinov2: an aborted request is not begun", async () => {
  using device = new CpuDevice();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  await using network = await Dinov2.open(device, await publishedFile("dinov2"));
  const pictures = randomPictures(device, { seed: 7, count: 1, edge: 224 });
  assertEquals(await assertRejects(() => network.features(pictures, { signal })), reason);
});

Deno.test("inferDinov2: the published sizes have the published numbers of parameters", () => {
  const tensors = visionTransformerTensors(LARGE);
  // The mask token is a parameter, too.
  assertEquals(elementsOf(tensors) + LARGE.width, 304_372_736);
  const set = new WeightSet("", new Map(tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }])));
  assertEquals(inferDinov2(set), LARGE);
  assertEquals(Math.round(visionTransformerFlops({ ...LARGE, grid: 16 }) / 1e9), 165);
});

Deno.test("DINOV2: opens the file that it names", async () => {
  using device = new CpuDevice();
  const file = await Deno.makeTempFile({ suffix: ".pth" });
  await Deno.writeFile(file, await publishedFile("dinov2"));
  await using network = await DINOV2.open(device, { weights: file });
  assertEquals([network.name, network.smallestEdge], ["dinov2", 224]);
  await Deno.remove(file);
});
