import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { loadMetricNetwork } from "../../../evaluation/networks/load.ts";
import type { MetricNetwork } from "../../../evaluation/networks/metric_network.ts";
import { describesTexts } from "../../../evaluation/networks/text_network.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { pictures, pytorchFile, stored } from "../../models/vision/formula.ts";
import { inceptionTensors } from "../../models/vision/inception_layout.ts";
import {
  CLIP_TOKENIZER,
  PUBLISHED,
  publishedFile,
  randomPictures,
  recorded,
  requireClose,
} from "../../models/vision/published_networks.ts";
import { maxDifference } from "../../fixtures/golden/golden.ts";

const RECORDED = new URL("../../fixtures/evaluation/networks.safetensors", import.meta.url);
const INCEPTION = new URL("../../fixtures/vision/inception.safetensors", import.meta.url);
const PROMPTS = PUBLISHED.prompts.map(({ prompt }) => prompt);

/** A file of a published network, or a folder with it and CLIP's tokenizer. */
async function folderOf(network: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  await Deno.writeFile(`${path}/model.safetensors`, await publishedFile(network));
  await Deno.copyFile(CLIP_TOKENIZER, `${path}/tokenizer.json`);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function featuresOf(network: MetricNetwork, device: CpuDevice, seed: number): Promise<Float32Array> {
  const shown = randomPictures(device, { seed, count: 2, edge: 224 });
  using _pixels = shown.array;
  const { features } = await network.look(shown, ["features"]);
  assertEquals([features!.count, features!.values.length], [2, 2 * features!.dimensions]);
  return features!.values;
}

Deno.test("loadMetricNetwork: DINOv2 says the class token of a picture, as transformers does", async () => {
  using device = new CpuDevice();
  await using folder = await folderOf("dinov2_hf");
  await using network = await loadMetricNetwork(`dinov2:${folder.path}`, { device });
  assertEquals([network.name, network.outputs], ["dinov2", ["features"]]);
  using tokens = await openCheckpoint(RECORDED);
  const wanted = await tokens.readFloat32("class_tokens");
  requireClose(await featuresOf(network, device, 7), wanted, "class tokens");
});

Deno.test("describesTexts: CLIP describes pictures and texts as transformers does", async () => {
  using device = new CpuDevice();
  await using folder = await folderOf("clip_hf");
  await using network = await loadMetricNetwork(`clip:${folder.path}`, { device });
  requireClose(await featuresOf(network, device, 8), await recorded("clip_hf.pictures"), "pictures");
  if (!describesTexts(network)) throw new Error("it describes pictures only");
  const { values, count, dimensions } = await network.describeTexts(PROMPTS);
  assertEquals([count, dimensions], [PROMPTS.length, 48]);
  requireClose(values, await recorded("clip_hf.texts"), "texts");
  await assertRejects(() => network.describeTexts([]), RangeError, "the texts must be at least one");
  await assertRejects(() => network.describeTexts(["a", 3 as never]), TypeError, "each text must be a text");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => network.describeTexts(["a"], { signal }), Error, "enough");
});

Deno.test("loadMetricNetwork: torchvision's Inception-v3 is another network than FID's", async () => {
  using device = new CpuDevice();
  await using file = await pytorchFile(stored(inceptionTensors(4)));
  await using network = await loadMetricNetwork(`inception:${file.path}`, { device });
  using shown = pictures(device, "pictures", { count: 2, width: 56, height: 40 });
  const { features } = await network.look(shown, ["features"]);
  using wanted = await openCheckpoint(INCEPTION);
  const values = await wanted.readFloat32("pictures");
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // As in `inception_test.ts`.
  assert(maxDifference(features!.values, values) / largest <= 5.3e-5);
});

Deno.test("loadMetricNetwork: fingerprints are those of the files and of what is made of them", async () => {
  await using folder = await folderOf("dinov2_hf");
  await using other = await folderOf("dinov2");
  const fingerprint = async (place: string): Promise<string> => {
    await using network = await loadMetricNetwork(place);
    return network.fingerprint;
  };
  const own = await fingerprint(`dinov2:${folder.path}`);
  assertEquals(await fingerprint(`dinov2:${folder.path}/model.safetensors`), own);
  assertNotEquals(await fingerprint(`dinov2:${other.path}`), own);
});
