import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { DeviceArray } from "../../../kernels/device/device.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { Clip } from "../../../models/vision/clip.ts";
import type { ResolvedLabel } from "../../../models/label.ts";
import { loadFeatures, loadVerifier } from "../../../models/vision/load.ts";
import { testOnDevices } from "../../devices.ts";
import {
  CLIP_TOKENIZER,
  PUBLISHED,
  publishedFile,
  randomPictures,
  recorded,
  requireClose,
  TOLERANCE,
  valuesOf,
} from "./published_networks.ts";

const CHANNELS = 48;
const EDGE = 224;
const PROMPTS = PUBLISHED.prompts.map(({ prompt }) => prompt);

const labelOf = (prompt: string): ResolvedLabel => ({ id: null, name: prompt, prompt });

async function open(device: CpuDevice, options = {}): Promise<Clip> {
  return await Clip.open(
    device,
    { weights: await publishedFile("clip_hf"), tokenizer: CLIP_TOKENIZER },
    options,
  );
}

for (const network of ["clip_hf", "open_clip"]) {
  testOnDevices(`published: a small ${network} sees and reads what the original does`, async (device) => {
    const files = { weights: await publishedFile(network), tokenizer: CLIP_TOKENIZER };
    await using clip = await Clip.open(device, files);
    const pictures = randomPictures(device, { seed: 8, count: 2, edge: EDGE });
    using _pixels = pictures.array;
    const { array, tokens, channels } = await clip.features(pictures);
    assertEquals([tokens, channels], [1, CHANNELS]);
    const seen = await recorded(`${network}.pictures`);
    requireClose(await valuesOf(array), seen, "pictures");
    const read = await recorded(`${network}.texts`);
    for (const [i, prompt] of PROMPTS.entries()) {
      const wanted = read.subarray(i * CHANNELS, (i + 1) * CHANNELS);
      requireClose(await clip.text(prompt), wanted, prompt.slice(0, 40));
      const labels = [labelOf(prompt), labelOf(PROMPTS[0]!)];
      const scores = await valuesOf(await clip.score(pictures, labels));
      for (const [picture, text] of [[0, i], [1, 0]] as const) {
        const dot = Array.from({ length: CHANNELS }, (_, c) => {
          return seen[picture * CHANNELS + c]! * read[text * CHANNELS + c]!;
        }).reduce((sum, value) => sum + value, 0);
        assert(Math.abs(scores[picture]! - dot) <= TOLERANCE, `${scores[picture]} for ${dot}`);
      }
    }
  });
}

Deno.test("Clip: a description decides what the tensors do not tell", async () => {
  using device = new CpuDevice();
  const weights = await publishedFile("open_clip");
  const vectorOf = async (config?: object): Promise<Float32Array> => {
    const bytes = config === undefined ? undefined : new TextEncoder().encode(JSON.stringify(config));
    const files = { weights, tokenizer: CLIP_TOKENIZER, ...bytes === undefined ? {} : { config: bytes } };
    await using clip = await Clip.open(device, files);
    return await clip.text(PROMPTS[0]!);
  };
  const towers = (visual: object): object => ({ vision_config: visual, text_config: {} });
  const plain = await vectorOf();
  assertEquals(await vectorOf(towers({ hidden_act: "gelu", num_attention_heads: 2 })), plain);
  assertEquals(
    await vectorOf({ model_cfg: { vision_cfg: { width: 128, head_width: 64 }, text_cfg: {} } }),
    plain,
  );
  const quick = await vectorOf(towers({ hidden_act: "quick_gelu" }));
  assert(quick.some((value, i) => Math.abs(value - plain[i]!) > 1e-4));
  assertEquals(await vectorOf({ model_cfg: { quick_gelu: true } }), quick);
});

Deno.test("Clip: its fingerprint tells its files from others", async () => {
  using device = new CpuDevice();
  await using one = await open(device);
  await using same = await open(device, { scale: 2 });
  assertEquals(one.fingerprint, same.fingerprint);
  const weights = await publishedFile("open_clip");
  await using other = await Clip.open(device, { weights, tokenizer: CLIP_TOKENIZER });
  assertNotEquals(one.fingerprint, other.fingerprint);
});

Deno.test("Clip: scores are multiplied by the scale", async () => {
  using device = new CpuDevice();
  const pictures = randomPictures(device, { seed: 8, count: 1, edge: EDGE });
  const scores: number[] = [];
  for (const scale of [1, 100]) {
    await using clip = await open(device, { scale });
    scores.push(...await valuesOf(await clip.score(pictures, [labelOf("a red cone")])));
  }
  assert(Math.abs(scores[1]! - 100 * scores[0]!) <= 1e-5 * Math.abs(scores[1]!));
});

Deno.test("Clip: labels that it cannot judge by are refused, and nothing is left behind", async () => {
  using device = new CpuDevice();
  await using clip = await open(device);
  const pictures = randomPictures(device, { seed: 8, count: 2, edge: EDGE });
  const before = device.counters.liveBytes;
  const red = labelOf("a red cone");
  await assertRejects(
    () => clip.score(pictures, [red]),
    RangeError,
    "must be 2, one for each picture: current value is 1",
  );
  const dog = { id: 207, name: "golden retriever" };
  await assertRejects(() => clip.score(pictures, [red, dog]), RangeError, "give it a template");
  await assertRejects(() => clip.score({ ...pictures, count: 0 }, []), RangeError, "the number of pictures");
  const long = labelOf("a".repeat(30_000));
  await assertRejects(() => clip.score(pictures, [red, long]), RangeError, "30000");
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => clip.score(pictures, [red, red], { signal }), Error, "enough");
  assertEquals(device.counters.liveBytes, before);
  await clip[Symbol.asyncDispose]();
  await assertRejects(() => clip.score(pictures, [red, red]), TypeError, "has been disposed");
});

Deno.test("Clip: classes are judged by the text that a template makes of them", async () => {
  using device = new CpuDevice();
  const pictures = randomPictures(device, { seed: 8, count: 1, edge: EDGE });
  await using clip = await open(device, { template: "a red {label}" });
  const scores = await valuesOf(await clip.score(pictures, [{ id: 3, name: "cone" }]));
  assertEquals(scores, await valuesOf(await clip.score(pictures, [labelOf("a red cone")])));
});

Deno.test("Clip: files that are none are refused", async () => {
  using device = new CpuDevice();
  const tokenizer = CLIP_TOKENIZER;
  const refused = async (weights: Uint8Array, message: string, config?: string): Promise<void> => {
    const files = {
      weights,
      tokenizer,
      ...config === undefined ? {} : { config: new TextEncoder().encode(config) },
    };
    await assertRejects(() => Clip.open(device, files), ModelFileError, message);
  };
  await refused(await publishedFile("siglip"), '"vision_model.embeddings.class_embedding" (transformers)');
  const missing = "text_model.encoder.layers.1.layer_norm2.bias";
  const rename = (name: string): string | undefined => name === missing ? undefined : name;
  await refused(await publishedFile("clip_hf", { rename }), missing);
  const other = (name: string): string => name === "logit_scale" ? "text_model.pooler" : name;
  await refused(await publishedFile("clip_hf", { rename: other }), "text_model.pooler");
  const file = await publishedFile("clip_hf");
  await refused(file, "hidden_act", '{"vision_config":{"hidden_act":"relu"}}');
  await refused(file, "a number of attention heads", '{"vision_config":{"num_attention_heads":"12"}}');
  await refused(file, '"vision_config" and "text_config"', "{}");
  await refused(file, "JSON", "{");
  assertEquals(device.counters.liveBytes, 0);
});

Deno.test("loadVerifier: a folder with files of CLIP is enough, also as HPS v2.1 is published", async () => {
  using device = new CpuDevice();
  const pictures = randomPictures(device, { seed: 8, count: 1, edge: EDGE });
  const folder = await Deno.makeTempDir();
  const at = (name: string): string => `${folder}/${name}`;
  const rename = (name: string): string => `state_dict.${name}`;
  await Deno.writeFile(at("HPS_v2.1_compressed.pt"), await publishedFile("open_clip", { rename }));
  await Deno.copyFile(CLIP_TOKENIZER, at("tokenizer.json"));
  {
    await using judge = await loadVerifier(`clip:${folder}`, { device, template: "a red {label}" });
    const scores = await judge.score(pictures, [{ id: 3, name: "cone" }]) as DeviceArray;
    const [read, seen] = [await recorded("open_clip.texts"), await recorded("open_clip.pictures")];
    const cosine = read.subarray(0, CHANNELS).reduce((sum, value, i) => sum + value * seen[i]!, 0);
    assert(Math.abs((await valuesOf(scores))[0]! - cosine) <= TOLERANCE);
    await using extractor = await loadFeatures(`clip:${folder}`, { device });
    assertEquals(extractor.smallestEdge, EDGE);
  }
  await Deno.remove(folder, { recursive: true });
});
