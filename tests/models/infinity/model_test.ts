/**
 * The bundled text-to-image model from prompts to pictures: the same on both devices, features that are
 * brought along, rounding, edits, previews and hooks, and what is left when all is done.
 */

import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { loadModel, type LoadModelOptions } from "../../../models/load.ts";
import type { Model } from "../../../models/model.ts";
import { infinitySearch } from "../../../models/infinity/search.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { encodeTextFeatures, readTextFeatures, TextFeatures } from "../../../models/text/text_features.ts";
import { reconstruct } from "../../../sampler/editing/reconstruct.ts";
import { generate } from "../../../sampler/generate.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import type { RgbaImage } from "../../../sampler/pictures/image.ts";
import type { GenerateRequest } from "../../../sampler/request.ts";
import { generateSeries } from "../../../sampler/series.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";
import { changed, tokensOf } from "../../sampler/models.ts";

/** Pictures of 48×48 pixels in four scales are enough for most of what is tested here. */
const QUICK: GenerateRequest = { labels: ["a red cube"], seed: 1, size: 48 };
const LONG = "a small red sphere to the left of a large blue cone";

async function onCpu(options: LoadModelOptions = {}): Promise<Model & { device: CpuDevice }> {
  return await loadModel("demo-t2i", { device: new CpuDevice(), ...options }) as Model & {
    device: CpuDevice;
  };
}

/** Largest difference of two pictures' bytes. */
function byteDifference(a: RgbaImage, b: RgbaImage): number {
  return a.data.reduce((most, value, at) => Math.max(most, Math.abs(value - b.data[at]!)), 0);
}

testOnGpu(
  "Model: both devices draw the same bits, with one readback and one a new prompt",
  async (gpu) => {
    await using cpu = await onCpu();
    const before = gpu.counters.liveArrays;
    {
      await using model = await loadModel("demo-t2i", { device: gpu });
      const requests: GenerateRequest[] = [
        { labels: ["a red cube", LONG, "", null], seed: 3, familyOptions: { negativePrompt: "a blue cone" } },
        {
          ...QUICK,
          cfg: [4, 3, 2, 1],
          temperature: [0.5, 1, 1, 0.7],
          familyOptions: { cfgInsertionLayer: "0,-2" },
        },
      ];
      for (const [i, request] of requests.entries()) {
        const { readbacks } = gpu.counters;
        const [wanted, found] = [await generate(cpu, request), await generate(model, request)];
        // Prompts of the first: three, and what is guided away from. A model keeps none of them.
        assertEquals(gpu.counters.readbacks - readbacks, 1 + (i === 0 ? 4 : 1));
        assertEquals(tokensOf(found), tokensOf(wanted));
        for (const [image, picture] of wanted.images.entries()) {
          // As for other families: one step of 1/255 by rounding at most.
          assert(byteDifference(found.images[image]!, picture) <= 1);
        }
        assertNotEquals(found.images[0]!.tokens, found.images.at(1)?.tokens);
      }
      const textFeatures = await model.encodeText!(["a red cube"]);
      const { readbacks } = gpu.counters;
      await generate(model, { ...QUICK, textFeatures });
      assertEquals(gpu.counters.readbacks - readbacks, 1);
    }
    assertEquals(gpu.counters.liveArrays, before);
  },
);

Deno.test("Model: a model says what it is, and how it wants to be asked", async () => {
  await using model = await onCpu();
  assertEquals([model.family, model.name, model.size], ["infinity", "demo-t2i", "4x192"]);
  assertEquals([model.offload, model.cacheDtype, model.labels], ["none", "f32", { kind: "texts" }]);
  assertEquals([model.patchNumbers, model.encodes, model.decodes], [[1, 2, 4, 6, 8], true, true]);
  assertEquals([model.search.scale, model.search.samples, model.search.representatives], [3, 3000, 100]);
  assertEquals(model.search.alpha({ scale: 3, samples: 3000 }), 1);
  assertEquals([model.tokens.words, model.tokens.logits, model.tokens.channels], [1, 32, 16]);
  assert(model.weightBytes > 0);
});

Deno.test("Model: features that are brought along take the place of the encoder", async () => {
  await using model = await onCpu();
  await using bare = await onCpu({ without: ["t5"] });
  await using kept = await onCpu({ keepTextEncoder: true });
  const request = { ...QUICK, labels: ["a red cube", LONG] };
  const wanted = await generate(model, request);
  const features = await model.encodeText!(request.labels);
  const read = await readTextFeatures(await encodeTextFeatures(features));
  for (const textFeatures of [features, read]) {
    assertEquals(tokensOf(await generate(bare, { ...request, textFeatures })), tokensOf(wanted));
  }
  for (const _ of [1, 2]) assertEquals(tokensOf(await generate(kept, request)), tokensOf(wanted));
  // Only what is missing is encoded.
  const one = await model.encodeText!([LONG]);
  assertEquals(tokensOf(await generate(model, { ...request, textFeatures: one })), tokensOf(wanted));

  const { liveArrays } = bare.device.counters;
  await assertRejects(() => generate(bare, request), TypeError, "has no text encoder");
  await assertRejects(
    () => generate(bare, { ...request, textFeatures: one }),
    TypeError,
    "has no text encoder",
  );
  const wide = new TextFeatures(256, new Map([["a red cube", new Float32Array(512)]]));
  await assertRejects(
    () => generate(bare, { ...QUICK, textFeatures: wide }),
    RangeError,
    "of another text encoder",
  );
  const values = features.require("a red cube").values.slice();
  const foreign = new TextFeatures(128, new Map([["a red cube", values]]), {
    encoder: { "text_encoder": "0123" },
  });
  await assertRejects(
    () => generate(model, { ...QUICK, textFeatures: foreign }),
    RangeError,
    "another text encoder",
  );
  values[5] = NaN;
  assertThrows(
    () => new TextFeatures(128, new Map([["a red cube", values]])),
    ModelFileError,
    "finite numbers",
  );
  for (const label of [3, {}, ["a"]]) {
    await assertRejects(
      () => generate(model, { ...QUICK, labels: [label as unknown as string] }),
      TypeError,
      "must be a prompt",
    );
  }
  assertEquals(bare.device.counters.liveArrays, liveArrays);
});

Deno.test("Model: more words for faces, no prompt, and what to guide away from change the picture", async () => {
  await using model = await onCpu();
  const bitsOf = async (request: Partial<GenerateRequest>): Promise<string> => {
    return JSON.stringify(tokensOf(await generate(model, { ...QUICK, ...request })));
  };
  const plain = await bitsOf({ labels: ["a human cube"] });
  const positive = { familyOptions: { positivePrompt: true } };
  const words = ". very smooth faces, good looking faces, face to the camera, perfect facial features";
  assertNotEquals(await bitsOf({ labels: ["a human cube"], ...positive }), plain);
  assertEquals(
    await bitsOf({ labels: ["a human cube"], ...positive }),
    await bitsOf({ labels: [`a human cube${words}`] }),
  );
  assertEquals(await bitsOf({ labels: ["a red cube"], ...positive }), await bitsOf({}));
  assertNotEquals(await bitsOf({ labels: [null] }), await bitsOf({ labels: [""] }));
  // Away from itself is nowhere.
  const same = { familyOptions: { negativePrompt: "a red cube" } };
  assertEquals(await bitsOf(same), await bitsOf({ cfg: 1 }));
});

testOnDevices(
  "Model: pictures are rounded, and cut as the released code does where that is asked for",
  async (device) => {
    await using model = await loadModel("demo-t2i", { device });
    const textFeatures = await model.encodeText!(QUICK.labels as string[]);
    const { images: [rounded] } = await generate(model, { ...QUICK, textFeatures });
    const { images: [cut] } = await generate(model, { ...QUICK, textFeatures, published: true });
    assertEquals(cut!.tokens, rounded!.tokens);
    const steps = rounded!.data.map((value, at) => value - cut!.data[at]!);
    assertEquals([...new Set(steps)].toSorted(), [0, 1]);
    // Half of all values lie nearer to the upper level.
    const share = steps.reduce((sum, step) => sum + step, 0) / (steps.length * 3 / 4);
    assert(share > 0.3 && share < 0.7, `${share}`);
  },
);

Deno.test("Model: edits keep bits, reconstructions lead back, previews come scale by scale", async () => {
  const model = await onCpu();
  const first = await generate(model, { labels: ["a red cube"], seed: 2 });
  const source = first.images[0]!;
  const { images: [copy] } = await reconstruct(model, source);
  assert(copy!.psnr > 20, `${copy!.psnr} dB`);
  const edit = { image: source, box: [0, 0, 1, 0.5] as const, mode: "outpaint" as const };
  const { images: [edited] } = await generate(model, { labels: ["a blue cone"], seed: 2, edit });
  for (const [at, token] of edited!.tokens[4]!.entries()) {
    if (at % 8 < 4) assertEquals(token, copy!.tokens[4]![at]);
  }
  assertNotEquals(edited!.tokens[4], copy!.tokens[4]);

  const seen: string[] = [];
  for await (const event of generate.stream(model, { ...QUICK, previews: [1, 3] })) {
    if (event.type === "preview") {
      const { image } = event.images[0]!;
      seen.push(`${event.scale} ${image.width}×${image.height}`);
    }
    if (event.type === "image") {
      const { images: [plain] } = await generate(model, QUICK);
      assertEquals(event.image.tokens, plain!.tokens);
    }
  }
  assertEquals(seen, ["1 48×48", "3 48×48"]);
  // While it is loaded, a model keeps its encoder and what resizes maps of sizes that have occurred.
  await model[Symbol.asyncDispose]();
  assertEquals(model.device.counters.liveArrays, 0);
});

Deno.test("infinitySearch: a folder's settings take the place of the released ones, and those stay known", () => {
  const tuned = infinitySearch({ scale: 4, samples: 200, alpha: 1.2, conflictThreshold: 3 });
  assertEquals([tuned.scale, tuned.samples, tuned.conflictThreshold], [4, 200, 3]);
  assertEquals(tuned.alpha({ scale: 4, samples: 200 }), 1.2);
  const { published, paper } = tuned;
  assertEquals([published.scale, published.samples, published.alpha], [3, 3000, 1]);
  assertEquals([paper!.scale, paper!.samples, paper!.alpha], [3, 3000, 1]);
});

Deno.test("Model: VAR-Scaling searches on the fourth scale, in a series, too", async () => {
  await using model = await onCpu();
  const plain = await generate(model, { ...QUICK, labels: ["a red cube", "a blue cone"] });
  const request = { ...QUICK, labels: ["a red cube", "a blue cone"], hooks: [varScaling({ samples: 50 })] };
  const { images } = await generate(model, request);
  for (const [i, { tokens, decisions }] of images.entries()) {
    assertEquals(decisions.map(({ scale }) => scale), [3]);
    assertEquals(tokens.slice(0, 3), plain.images[i]!.tokens.slice(0, 3));
  }
  const encoded: (readonly string[])[] = [];
  const watched = changed(model as Model, {
    encodeText: (prompts, options) => {
      encoded.push(prompts);
      return model.encodeText!(prompts, options);
    },
  });
  const batches = await Array.fromAsync(generateSeries(watched, { ...request, batch: 1 }));
  assertEquals(encoded, [request.labels]);
  assertEquals(tokensOf({ images: batches.flatMap((batch) => batch.images) }), tokensOf({ images }));
});
