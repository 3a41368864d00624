import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { openCheckpoint, type SafetensorsEntry, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { layoutSafetensors } from "../../../models/checkpoint/safetensors.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { PromptEncoder } from "../../../models/text/text_encoder.ts";
import {
  encodePrompts,
  encodeTextFeatures,
  readTextFeatures,
  requireFeaturesFor,
  TextFeatures,
  writeTextFeatures,
} from "../../../models/text/text_features.ts";
import { testRandom } from "../../devices.ts";
import { inFolder } from "../folder/small_folder.ts";
import { demoTokenizer } from "./text_fixtures.ts";
import { DEMO_ENCODER, encoderFolder, textFixture } from "./text_folder.ts";

const CHANNELS = 6;
const ENCODER = { "text_encoder.safetensors": "0123456789abcdef".repeat(4) };

/** Numbers that halves hold. */
function numbers(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = testRandom(seed);
  return Float32Array.from({ length }, () => Math.round(random() * 2048) / 256 - 4);
}

const PROMPTS = ["a red cube", "", '東京 👩‍🚀 "quoted"\n\u0000', "\ud83d", "x".repeat(3000)];

function made(): TextFeatures {
  const features = PROMPTS.map((prompt, i) => [prompt, numbers(CHANNELS * (i + 1), i)] as const);
  return new TextFeatures(CHANNELS, new Map(features), { encoder: ENCODER });
}

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`TextFeatures: what is written as ${dtype} is read again`, async () => {
    const features = made();
    const bytes = await encodeTextFeatures(features, { dtype });
    const read = await readTextFeatures(bytes);
    assertEquals([read.channels, read.encoder, read.prompts], [CHANNELS, ENCODER, PROMPTS]);
    for (const [i, prompt] of PROMPTS.entries()) {
      assertEquals(read.get(prompt), { length: i + 1, values: numbers(CHANNELS * (i + 1), i) });
      assertEquals(read.require(prompt), read.get(prompt));
    }
    await inFolder(async (path) => {
      await writeTextFeatures(`${path}/features.safetensors`, features, { dtype });
      assertEquals(await Deno.readFile(`${path}/features.safetensors`), bytes);
      const again = await readTextFeatures(`${path}/features.safetensors`);
      assertEquals([again.file, again.prompts], [`${path}/features.safetensors`, PROMPTS]);
    });
  });
}

Deno.test("TextFeatures: the file is one that others can read", async () => {
  using checkpoint = await openCheckpoint(await encodeTextFeatures(made(), { dtype: "f16" }));
  assertEquals(checkpoint.tensors.get("features.4"), {
    name: "features.4",
    dtype: "F16",
    shape: [5, CHANNELS],
  });
  assertEquals(checkpoint.metadata.format, "varscale-text-features");
  assertEquals(JSON.parse(String(checkpoint.metadata.prompts)), PROMPTS);
});

Deno.test("TextFeatures: a prompt that is not there is named, with some that are", () => {
  const features = made();
  assertEquals(features.get("a blue cube"), undefined);
  assertThrows(
    () => features.require("a blue cube"),
    RangeError,
    'Cannot find features of the prompt "a blue cube": features in memory has those of "a red cube", ""',
  );
  assertThrows(() => features.require(3 as never), TypeError, "the prompt must be a text");
});

Deno.test("TextFeatures: wrong numbers are refused", () => {
  const refused = (values: Float32Array<ArrayBuffer>, words: string): void => {
    assertThrows(() => new TextFeatures(CHANNELS, new Map([["a cone", values]])), ModelFileError, words);
  };
  refused(
    new Float32Array(7),
    '"a cone": features in memory (expected 1 to 512 tokens of 6 channels, found 7',
  );
  refused(new Float32Array(0), "found 0 numbers");
  refused(new Float32Array(513 * CHANNELS), "found 3078 numbers");
  refused(new Float32Array(12).fill(NaN, 8, 9), "found NaN for token 1");
  refused(new Float32Array(12).fill(-Infinity, 0, 1), "found -Infinity for token 0");
  assertThrows(() => new TextFeatures(CHANNELS, new Map()), RangeError, "there must be a prompt");
});

Deno.test("encodeTextFeatures: what halves do not hold, and types that are none, are refused", async () => {
  const features = new TextFeatures(1, new Map([["a cone", new Float32Array([65504, -1e5])]]));
  await assertRejects(
    () => encodeTextFeatures(features, { dtype: "f16" }),
    RangeError,
    "has -100000; write f32",
  );
  assertEquals((await readTextFeatures(await encodeTextFeatures(features))).require("a cone").length, 2);
  await assertRejects(
    () => encodeTextFeatures(features, { dtype: "q8" as never }),
    TypeError,
    '"f32", "f16"',
  );
  await inFolder(async (path) => {
    const file = `${path}/features.safetensors`;
    await assertRejects(() => writeTextFeatures(file, features, { dtype: "f16" }), RangeError);
    const signal = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => writeTextFeatures(file, features, { signal }), Error, "enough");
    assertEquals([...Deno.readDirSync(path)], []);
  });
});

Deno.test("readTextFeatures: files that are none, or lie, are refused", async () => {
  const good = {
    format: "varscale-text-features",
    version: "1",
    prompts: JSON.stringify(["a cone", "a cube"]),
  };
  const entry = (
    name: string,
    shape: readonly number[],
    values?: Float32Array<ArrayBuffer>,
  ): SafetensorsEntry => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { name, dtype: "F32", shape, bytes: () => new Uint8Array((values ?? numbers(length, 1)).buffer) };
  };
  const [cone, cube] = [entry("features.0", [2, 4]), entry("features.1", [1, 4])];
  const refused = async (
    words: string,
    entries: readonly SafetensorsEntry[],
    changes: Readonly<Record<string, string | undefined>> = {},
  ): Promise<void> => {
    const metadata = Object.fromEntries(
      Object.entries({ ...good, ...changes }).filter(([, value]) => value !== undefined),
    ) as Record<string, string>;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const [file] = await Promise.all([
      new Response(readable).bytes(),
      writeSafetensors(writable, entries, { metadata }),
    ]);
    await assertRejects(() => readTextFeatures(file), ModelFileError, words);
  };
  await refused(
    '"format": "varscale-text-features", as encode-text writes them, found nothing',
    [cone, cube],
    {
      format: undefined,
    },
  );
  await refused("found gguf", [cone, cube], { format: "gguf" });
  await refused("expected version 1, found 2", [cone, cube], { version: "2" });
  for (const prompts of [undefined, "", "{}", '["a cone", 5]']) {
    await refused('a JSON list of texts, "prompts"', [cone, cube], { prompts });
  }
  await refused('each prompt once, found "a cone" twice', [cone, cube], { prompts: '["a cone", "a cone"]' });
  await refused("at least one prompt", [], { prompts: "[]" });
  await refused("2 tensors, one a prompt, found 1", [cone]);
  await refused("2 tensors, one a prompt, found 3", [cone, cube, entry("other", [2])]);
  await refused("features.1 (expected a tensor of the features of each prompt", [cone, entry("other", [2])]);
  await refused("features.1 (expected [1 to 512, 4], found [1, 5])", [cone, entry("features.1", [1, 5])]);
  await refused("found [4])", [cone, entry("features.1", [4])]);
  await refused("found [1, 1, 4])", [cone, entry("features.1", [1, 1, 4])]);
  await refused("found [0, 4])", [cone, entry("features.1", [0, 4])]);
  await refused("found [513, 4])", [cone, entry("features.1", [513, 4])]);
  await refused("found [2, 0])", [entry("features.0", [2, 0]), cube]);
  await refused("F32 or F16, found I32", [cone, { ...cube, dtype: "I32" }]);
  await refused('"a cube"', [cone, entry("features.1", [1, 4], Float32Array.of(0, NaN, 0, 0))]);
  for (const encoder of ["[]", "5", '{"a": "b"}', "no JSON"]) {
    await refused('SHA-256s, "encoder"', [cone, cube], { encoder });
  }
  await assertRejects(() => readTextFeatures(new Uint8Array(100)), ModelFileError);
  await assertRejects(() => readTextFeatures("/nowhere/features.safetensors"), ModelFileError);
  // A model's weights instead.
  await assertRejects(
    () => readTextFeatures(textFixture("t5.safetensors")),
    ModelFileError,
    'metadata with "format": "varscale-text-features"',
  );
});

Deno.test("readTextFeatures: features beyond 2 GiB are refused before they are read", async () => {
  // 1025 prompts of 512 tokens of 1024 channels: a file with a hole where the numbers would be.
  const shape = [512, 1024];
  const prompts = Array.from({ length: 1025 }, (_, i) => `prompt ${i}`);
  const entries = prompts.map((_, i): SafetensorsEntry => ({
    name: `features.${i}`,
    dtype: "F16",
    shape,
    bytes: () => new Uint8Array(2 * 512 * 1024),
  }));
  await inFolder(async (path) => {
    const file = `${path}/large.safetensors`;
    const metadata = {
      format: "varscale-text-features",
      version: "1",
      prompts: JSON.stringify(prompts),
    };
    const { header, size } = layoutSafetensors(entries, metadata);
    await Deno.writeFile(file, header);
    await Deno.truncate(file, size);
    await assertRejects(() => readTextFeatures(file), ModelFileError, "at most 2147483648 bytes of features");
  });
});

Deno.test("requireFeaturesFor: features of another encoder are refused, saying both", () => {
  const features = made();
  const same = Object.values(ENCODER)[0]!;
  const other = "f".repeat(64);
  requireFeaturesFor({ channels: CHANNELS }, features);
  requireFeaturesFor({ channels: CHANNELS, encoder: {} }, features);
  requireFeaturesFor({ channels: CHANNELS, encoder: ENCODER }, features);
  requireFeaturesFor({ channels: CHANNELS, encoder: { "text_encoder as q8": same } }, features);
  const unknown = new TextFeatures(CHANNELS, new Map([["a cone", numbers(CHANNELS, 1)]]), { encoder: {} });
  assertEquals(unknown.encoder, undefined);
  requireFeaturesFor({ channels: CHANNELS, encoder: ENCODER }, unknown);
  assertThrows(
    () => requireFeaturesFor({ channels: 2048, encoder: ENCODER }, features),
    RangeError,
    "of another text encoder: the model's has 2048 channels, theirs 6; encode the prompts",
  );
  assertThrows(
    () =>
      requireFeaturesFor({ channels: CHANNELS, encoder: { "text_encoder.safetensors": other } }, features),
    RangeError,
    `the model's has SHA-256 ${other}, theirs ${same}`,
  );
});

Deno.test("encodePrompts: prompts are encoded one after the other, equal ones once", async () => {
  using device = new CpuDevice();
  using folder = await encoderFolder(DEMO_ENCODER, {
    tokenizer: demoTokenizer,
    fingerprints: ENCODER,
  });
  await using encoder = await PromptEncoder.load(folder, device);
  const told: string[] = [];
  const prompts = ["a red cube", "a cone", "a red cube"];
  const features = await encodePrompts(encoder, prompts, {
    onProgress: (done, total) => told.push(`${done} of ${total}`),
  });
  assertEquals(told, ["1 of 3", "2 of 3", "3 of 3"]);
  assertEquals([features.prompts, features.channels, features.encoder], [
    ["a red cube", "a cone"],
    128,
    ENCODER,
  ]);
  assertEquals(features.require("a cone").values, await encoder.encode("a cone"));

  const controller = new AbortController();
  const stopped = encodePrompts(encoder, prompts, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error("enough")),
  });
  await assertRejects(() => stopped, Error, "enough");
  await assertRejects(() => encodePrompts(encoder, []), RangeError, "there must be a prompt");
  assert(features.require("a red cube").length === 4);
});
