import { assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { type LoadPromptEncoderOptions, PromptEncoder } from "../../../models/text/text_encoder.ts";
import { testOnDevices } from "../../devices.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";
import { requireClose } from "./t5_cases.ts";
import { demoTokenizer, tokenizerIn } from "./text_fixtures.ts";
import { DEMO_ENCODER, encoderFolder, type EncoderFolderOptions, repackedFloats } from "./text_folder.ts";

const demoWeights = DEMO_ENCODER;
const FINAL_NORM = "encoder.final_layer_norm.weight";

/** Loads the demo's encoder while something is done with it. */
async function withDemo(
  device: Device,
  use: (encoder: PromptEncoder) => Promise<void>,
  { dtype = "f16", ...options }: LoadPromptEncoderOptions & Pick<EncoderFolderOptions, "dtype"> = {},
): Promise<void> {
  using folder = await encoderFolder(demoWeights, { dtype, tokenizer: demoTokenizer });
  await using encoder = await PromptEncoder.load(folder, device, options);
  await use(encoder);
}

testOnDevices("PromptEncoder: prompts have the published features", async (device) => {
  using expected = await openCheckpoint(goldenFile("demo-t2i/expected.safetensors"));
  const prompts: string[] = JSON.parse(String(expected.metadata.prompts));
  assertEquals(prompts.length, 4);
  for (const options of [{ dtype: "f32" }, { dtype: "f16" }, { dtype: "f16", halves: true }] as const) {
    await withDemo(device, async (encoder) => {
      assertEquals(encoder.channels, 128);
      for (const [i, prompt] of prompts.entries()) {
        requireClose(await encoder.encode(prompt), await expected.readFloat32(`${i}.text`), prompt);
      }
    }, options);
  }
});

testOnDevices(
  "PromptEncoder: features do not depend on other prompts, and nothing is left",
  async (device) => {
    await withDemo(device, async (encoder) => {
      const prompts = ["", "a photo of a red cube", "cone ".repeat(30), "a photo of a red cube", "a cube"];
      const alone: Float32Array[] = [];
      for (const prompt of prompts) alone.push(await encoder.encode(prompt));
      assertEquals(alone.map(({ length }) => length / 128), [1, 7, 31, 7, 3]);
      const before = device.counters.liveArrays;
      const together = await Promise.all(prompts.map((prompt) => encoder.encode(prompt)));
      assertEquals(together, alone);
      assertEquals(device.counters.liveArrays, before);
    });
  },
);

Deno.test("PromptEncoder: the longest prompt has 512 tokens, one that is too long is refused", async () => {
  using device = new CpuDevice();
  await withDemo(device, async (encoder) => {
    assertEquals((await encoder.encode("cone ".repeat(3000))).length, 512 * 128);
    const before = device.counters.liveArrays;
    await assertRejects(
      () => encoder.encode("a".repeat(100_000)),
      RangeError,
      "Cannot encode a prompt as its length must be at most 20000 characters: current value is 100000",
    );
    await assertRejects(() => encoder.encode(7 as never), TypeError, "it must be a text");
    assertEquals(device.counters.liveArrays, before);
  });
});

Deno.test("PromptEncoder: unloading waits for a prompt and refuses the next", async () => {
  using device = new CpuDevice();
  using folder = await encoderFolder(demoWeights, { tokenizer: demoTokenizer });
  const encoder = await PromptEncoder.load(folder, device);
  const running = encoder.encode("a cone");
  await encoder[Symbol.asyncDispose]();
  assertEquals((await running).length, 3 * 128);
  await assertRejects(() => encoder.encode("a cone"), TypeError, "has been disposed");
  await encoder[Symbol.asyncDispose]();
});

Deno.test("PromptEncoder: weights and tokenizer are told from others by the folder's checksums", async () => {
  using device = new CpuDevice();
  const own = {
    "text_encoder as f32": "0123456789abcdef".repeat(4),
    "text_tokenizer.json": "fedcba9876543210".repeat(4),
  };
  using folder = await encoderFolder(demoWeights, {
    tokenizer: demoTokenizer,
    fingerprints: { "transformer as f32": "f".repeat(64), ...own },
  });
  await using encoder = await PromptEncoder.load(folder, device);
  assertEquals(encoder.fingerprints, own);
});

Deno.test("PromptEncoder: folders without what it needs are refused", async () => {
  using device = new CpuDevice();
  const refused = async (
    words: string,
    options: EncoderFolderOptions,
    weights: URL | Uint8Array = demoWeights,
  ): Promise<void> => {
    using folder = await encoderFolder(weights, options);
    await assertRejects(() => PromptEncoder.load(folder, device), ModelFileError, words);
  };
  await refused('"text_tokenizer.json"', {});
  await refused("at most 104 pieces, as many as the text encoder has rows, found 716", {
    tokenizer: await tokenizerIn("wordy"),
  });
  await refused("the JSON of a tokenizer.json", { tokenizer: new Uint8Array(9) });
});

testOnDevices("PromptEncoder: features that are not finite are refused", async (device) => {
  using original = await openCheckpoint(demoWeights);
  for (const wrong of [NaN, Infinity]) {
    const damaged = await repackedFloats(original, (name) => [{
      name,
      values: (all) => name === FINAL_NORM ? all.map((value, i) => i === 77 ? wrong : value) : all,
    }]);
    using folder = await encoderFolder(damaged, { tokenizer: demoTokenizer });
    await using encoder = await PromptEncoder.load(folder, device);
    const error = await assertRejects(
      () => encoder.encode("a cone"),
      ModelFileError,
      "for token 0 of 3",
    );
    assertEquals(error.expected, "finite numbers");
  }
});
