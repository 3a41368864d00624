/**
 * The bundled text-to-image model against numbers recorded by running the published modules: from the words
 * of a prompt to the pixels, and back from pixels to bits.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { type Checkpoint, openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { BUNDLED_MODELS, loadModel } from "../../../models/load.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { TextTokenizer } from "../../../models/text/tokenizer.ts";
import { testOnDevices } from "../../devices.ts";
import { goldenFile, maxDifference } from "../../fixtures/golden/golden.ts";

/** Logits up to 20 in size. An implementation that is not ours came within 1e-4. */
const LOGIT_TOLERANCE = 2e-4;
/** Text features up to 6 in size. */
const TEXT_TOLERANCE = 2e-5;
/** Pixels from 0 to 1. */
const PIXEL_TOLERANCE = 2e-3;

/** Scales of the bundled model. */
const SCALES = 5;

const openRecorded = (): Promise<Checkpoint> => openCheckpoint(goldenFile("demo-t2i/expected.safetensors"));

/** The prompts of the recorded runs. */
function promptsOf({ metadata }: Checkpoint): string[] {
  return JSON.parse(String(metadata.prompts));
}

/** Recorded bits of a token, one byte each, as words. */
async function recordedBits(recorded: Checkpoint, name: string): Promise<Uint32Array<ArrayBuffer>> {
  const bits = await recorded.readFloat32(name);
  const width = recorded.tensors.get(name)!.shape.at(-1)!;
  assert(width <= 32, "a token has one word");
  const words = new Uint32Array(bits.length / width);
  for (const [i, bit] of bits.entries()) words[Math.floor(i / width)]! |= bit << (i % width);
  return words;
}

Deno.test("TextTokenizer: the bundled model cuts recorded prompts into the recorded tokens", async () => {
  using recorded = await openRecorded();
  using folder = await openModelFolder(BUNDLED_MODELS["demo-t2i"]!);
  const tokenizer = await TextTokenizer.parse(await folder.read("text_tokenizer.json"), "tokenizer.json");
  for (const [i, prompt] of promptsOf(recorded).entries()) {
    assertEquals(tokenizer.encode(prompt), [...await recorded.readFloat32(`${i}.ids`)]);
  }
});

testOnDevices(
  "BUNDLED_MODELS: prompts become the recorded features, logits, bits and pictures",
  async (device) => {
    using recorded = await openRecorded();
    await using model = await loadModel("demo-t2i", { device });
    const prompts = promptsOf(recorded);
    const textFeatures = await model.encodeText!(prompts);
    const schedule = model.schedule({ cfg: 3, temperature: 0.5 });
    assertEquals(schedule.scales.length, SCALES);
    for (const [i, prompt] of prompts.entries()) {
      const text = textFeatures.require(prompt).values;
      assert(maxDifference(text, await recorded.readFloat32(`${i}.text`)) < TEXT_TOLERANCE);
      using generation = await model.start({
        labels: [model.resolveLabel(prompt)],
        guided: true,
        schedule,
        textFeatures,
      });
      for (let scale = 0; scale < SCALES; scale++) {
        using logits = await generation.logits();
        const raw = await recorded.readFloat32(`${i}.logits_raw.${scale}`);
        const difference = maxDifference(await readFloats(logits), raw);
        assert(difference < LOGIT_TOLERANCE, `logits of scale ${scale} are off by ${difference}`);
        using tokens = device.upload(await recordedBits(recorded, `${i}.bits.${scale}`));
        generation.accept(tokens);
        const summed = await recorded.readFloat32(`${i}.summed.${scale}`);
        assert(maxDifference(await readFloats(generation.accumulated!), summed) < 2e-6);
      }
      using pictures = await generation.decode();
      const pixels = (await readFloats(pictures.array)).map((value) =>
        (Math.max(-1, Math.min(1, value)) + 1) / 2
      );
      assert(maxDifference(pixels, await recorded.readFloat32(`${i}.image`)) < PIXEL_TOLERANCE);
    }
  },
);

testOnDevices("BUNDLED_MODELS: pictures become the recorded bits, and pictures again", async (device) => {
  using recorded = await openRecorded();
  await using model = await loadModel("demo-t2i", { device });
  const pixels = await recorded.readFloat32("encode.image");
  using array = device.upload(pixels);
  using encoding = await model.encode({ array, width: 64, height: 64 }, 2);
  const features = await recorded.readFloat32("encode.h");
  assert(maxDifference(await readFloats(encoding.features), features) < 1e-4);
  for (const [scale, tokens] of encoding.tokens.entries()) {
    await assertSameBits(device, tokens, await recordedBits(recorded, `encode.bits.${scale}`));
  }
  using decoded = await encoding.decode();
  const wanted = await recorded.readFloat32("encode.reconstruction");
  // Recorded after clamping, which the decoder's own values are not.
  const clamped = (await readFloats(decoded.array)).map((value) => Math.max(-1, Math.min(1, value)));
  assert(maxDifference(clamped, wanted) < 2 * PIXEL_TOLERANCE);
});

async function assertSameBits(
  _device: Device,
  tokens: Parameters<typeof readWords>[0],
  wanted: Uint32Array,
): Promise<void> {
  assertEquals([...await readWords(tokens)], [...wanted]);
}
