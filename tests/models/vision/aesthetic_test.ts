import { assert, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { Aesthetic, readHead } from "../../../models/vision/aesthetic.ts";
import { AESTHETIC } from "../../../models/vision/networks.ts";
import { testOnDevices } from "../../devices.ts";
import { publishedFile, randomPictures, recorded, requireClose, valuesOf } from "./published_networks.ts";

for (
  const { network, head, seed, edge } of [
    { network: "clip_hf", head: "laion_head", seed: 8, edge: 224 },
    { network: "siglip", head: "v2_5_head", seed: 9, edge: 384 },
  ]
) {
  testOnDevices(`published: ${head} on a small ${network} scores as its layers do`, async (device) => {
    const files = { weights: await publishedFile(network), head: await publishedFile(head) };
    await using judge = await Aesthetic.open(device, files);
    assertEquals([judge.needsPrompt, judge.smallestEdge], [false, edge]);
    const pictures = randomPictures(device, { seed, count: 2, edge });
    using _pixels = pictures.array;
    requireClose(await valuesOf(await judge.score(pictures)), await recorded(`${head}.scores`), head);
  });
}

Deno.test("Aesthetic: pictures that differ have scores that differ", async () => {
  for (const head of ["laion_head", "v2_5_head"]) {
    const [one, other] = await recorded(`${head}.scores`) as unknown as [number, number];
    assert(Math.abs(one - other) > 1e-3 * Math.abs(one), `${one} and ${other}`);
  }
});

Deno.test("Aesthetic: a head for other vectors, or what is none, is refused", async () => {
  using device = new CpuDevice();
  const weights = await publishedFile("clip_hf");
  const refused = async (head: Uint8Array, message: string): Promise<void> => {
    await assertRejects(() => Aesthetic.open(device, { weights, head }), ModelFileError, message);
  };
  await refused(await publishedFile("v2_5_head"), "expected 48 inputs");
  await refused(await publishedFile("siglip"), "a chain of linear layers");
  const renamed = (from: string, to: string | undefined) => {
    return publishedFile("laion_head", { rename: (name) => name === from ? to : name });
  };
  await refused(await renamed("layers.2.bias", undefined), ", layers.2.bias (expected");
  await refused(await renamed("layers.2.bias", "layers.2.scale"), ", layers.2.scale (expected");
  await refused(await renamed("layers.7.weight", "layers.1.weight"), "a tensor that belongs to no layer");
  const shapes = { "layers.7.weight": [2, 4], "layers.7.bias": [2] };
  await refused(await publishedFile("laion_head", { shapes }), "2 outputs for 1");
  assertEquals(device.counters.liveBytes, 0);
});

Deno.test("readHead: a chain comes to one map, in the order of its numbers", async () => {
  using checkpoint = await openCheckpoint(await publishedFile("v2_5_head"));
  const { weights, bias } = await readHead(checkpoint);
  const vector = Float64Array.from(weights, (_, i) => Math.sin(i));
  let x = vector;
  for (const number of [0, 2, 4, 6, 8]) {
    const [matrix, offsets] = await Promise.all(["weight", "bias"].map((kind) => {
      return checkpoint.readFloat32(`scoring_head.${number}.${kind}`);
    })) as [Float32Array, Float32Array];
    x = Float64Array.from(offsets, (offset, row) => {
      return x.reduce((sum, value, i) => sum + value * matrix[row * x.length + i]!, offset);
    });
  }
  const score = weights.reduce((sum, weight, i) => sum + weight * vector[i]!, bias);
  // The weights alone are rounded to f32.
  assert(Math.abs(score - x[0]!) < 1e-6, `${score} for ${x[0]}`);
});

Deno.test("AESTHETIC: opens the files of its roles", async () => {
  using device = new CpuDevice();
  const folder = await Deno.makeTempDir();
  const [weights, head] = [`${folder}/model.safetensors`, `${folder}/head.pth`];
  await Deno.writeFile(weights, await publishedFile("siglip"));
  await Deno.writeFile(head, await publishedFile("v2_5_head"));
  {
    await using network = await AESTHETIC.open(device, { weights, head });
    assertEquals(network.name, "aesthetic");
  }
  await Deno.remove(folder, { recursive: true });
});
