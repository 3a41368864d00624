import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  distanceBuckets,
  embeddingName,
  inferT5,
  requireT5Config,
  requireT5Description,
  storedT5Dtype,
  type T5Config,
  t5Part,
  t5Tensors,
  TEXT_ENCODER,
} from "../../../models/text/t5_graph.ts";
import { bytesAs } from "../../../models/weights/model_tensor.ts";
import { SCALES } from "../../../models/weights/quantize.ts";
import { type StoredTensor, WeightSet } from "../../../models/weights/weight_set.ts";
import { testOnDevices } from "../../devices.ts";
import { requireClose, requireDemo, requireRandom } from "./t5_cases.ts";
import { DEMO_ENCODER, encoderFolder, featuresOf, repackedFloats, textFixture } from "./text_folder.ts";

const XL: T5Config = {
  layers: 24,
  width: 2048,
  heads: 32,
  headWidth: 64,
  hidden: 5120,
  vocabulary: 32128,
  buckets: 32,
};
const DEMO: T5Config = {
  layers: 2,
  width: 128,
  heads: 4,
  headWidth: 32,
  hidden: 256,
  vocabulary: 104,
  buckets: 32,
};
const IDS = [7, 33, 2, 59, 12, 12, 40, 1];

testOnDevices(
  "published: a random text encoder has the recorded features, however it is stored",
  async (device) => {
    await requireRandom(device, { dtype: "f32" });
    await requireRandom(device, { dtype: "f16" });
    await requireRandom(device, { dtype: "f16", halves: true });
  },
);

testOnDevices("published: the demo's text encoder has the recorded features", async (device) => {
  await requireDemo(device, { dtype: "f32" });
  await requireDemo(device, { dtype: "f16", halves: true });
});

for (const dtype of ["q8", "q4"] as const) {
  testOnDevices(
    `storedT5Dtype: ${dtype} computes with just the weights that it stands for`,
    async (device) => {
      using folder = await encoderFolder(textFixture("t5.safetensors"), { dtype });
      using weights = await folder.weights(TEXT_ENCODER);
      using original = await openCheckpoint(textFixture("t5.safetensors"));
      const floats = await repackedFloats(weights, (name) => {
        if (name.endsWith(SCALES)) return [];
        const shape = original.tensors.get(name)!.shape;
        const [rows = 0, columns = 1] = shape;
        // Rows of integers are whole blocks.
        const values = (all: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> => {
          const stride = all.length / rows;
          return Float32Array.from({ length: rows * columns }, (_, i) => {
            return all[Math.floor(i / columns) * stride + i % columns]!;
          });
        };
        return [{ name, shape, ...(weights.tensors.has(name + SCALES) ? { values } : {}) }];
      });
      using widened = await encoderFolder(floats);
      const [found] = await featuresOf(folder, device, [IDS]);
      const [wanted] = await featuresOf(widened, device, [IDS]);
      requireClose(found!, wanted!, dtype);
    },
  );
}

Deno.test("embeddingName: the embedding is found under either name, and the decoder is left", async () => {
  using device = new CpuDevice();
  using original = await openCheckpoint(textFixture("t5.safetensors"));
  const other = "encoder.embed_tokens.weight";
  const files = await Promise.all([
    repackedFloats(original, (name) => [{ name }]),
    repackedFloats(original, (name) => [{ name: name === "shared.weight" ? other : name }]),
    repackedFloats(original, (name) => [
      { name },
      ...(name === "shared.weight"
        ? [{ name: other }, { name: "lm_head.weight" }, { name: "decoder.embed_tokens.weight" }]
        : []),
      ...(name.includes("block.1.layer.1") ? [{ name: name.replace("encoder", "decoder") }] : []),
    ]),
    repackedFloats(original, (name) => [{ name: `module.text.${name}` }]),
  ]);
  const found: Float32Array[] = [];
  for (const [i, file] of files.entries()) {
    using folder = await encoderFolder(file);
    const tensors = await folder.tensors(TEXT_ENCODER);
    assertEquals(tensors.size, original.tensors.size);
    assertEquals(embeddingName(tensors), i === 1 ? other : "shared.weight");
    found.push(...await featuresOf(folder, device, [IDS]));
  }
  for (const features of found) assertEquals(features, found[0]);
});

Deno.test("t5Part: a tensor that has no place is refused", async () => {
  using original = await openCheckpoint(textFixture("t5.safetensors"));
  const file = await repackedFloats(original, (name) => [
    { name },
    ...(name === "encoder.final_layer_norm.weight" ? [{ name: "encoder.final_layer_norm.bias" }] : []),
  ]);
  await assertRejects(() => encoderFolder(file), ModelFileError, '"encoder.final_layer_norm.bias"');
});

Deno.test("distanceBuckets: distances have the published kinds", async () => {
  using expected = await openCheckpoint(textFixture("t5_expected.safetensors"));
  for (const buckets of [32, 16]) {
    const wanted = [...await expected.readFloat32(`buckets.${buckets}`)];
    const found = distanceBuckets(512, buckets);
    for (const row of [0, 1, 100, 511]) {
      assertEquals(found.slice(row * 512, (row + 1) * 512), wanted.slice(511 - row, 1023 - row));
    }
  }
  assertEquals(distanceBuckets(1, 32), [0]);
});

function setOf(
  config: T5Config,
  changes: Readonly<Record<string, readonly number[] | null>> = {},
): WeightSet {
  const shapes = new Map<string, readonly number[] | null>(
    t5Tensors(config).map(({ name, shape }) => [name, shape]),
  );
  for (const [name, shape] of Object.entries(changes)) shapes.set(name, shape);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shape] of shapes) if (shape !== null) tensors.set(name, { shape, dtype: "F32" });
  return new WeightSet("t5.safetensors", tensors);
}

Deno.test("inferT5: sizes are read from the tensors, of a checkpoint and of a folder in any type", async () => {
  assertEquals(inferT5(setOf(XL)), XL);
  for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
    using folder = await encoderFolder(DEMO_ENCODER, { dtype });
    assertEquals(inferT5(new WeightSet("folder", await folder.tensors(TEXT_ENCODER))), DEMO);
    assertEquals(folder.manifest.config, DEMO);
  }
});

Deno.test("inferT5: encoders of another kind are refused", () => {
  const refused = (changes: Readonly<Record<string, readonly number[] | null>>, words: string): void => {
    assertThrows(() => inferT5(setOf(DEMO, changes)), ModelFileError, words);
  };
  const [attention, dense] = [
    "encoder.block.0.layer.0.SelfAttention",
    "encoder.block.0.layer.1.DenseReluDense",
  ];
  refused(
    { [`${dense}.wi_0.weight`]: null, [`${dense}.wi_1.weight`]: null, [`${dense}.wi.weight`]: [256, 128] },
    "have no gate",
  );
  refused({ "shared.weight": null }, "shared.weight (expected [any, 128])");
  refused({ "shared.weight": [104, 64] }, "expected [any, 128], found [104, 64]");
  refused({ "encoder.final_layer_norm.weight": null }, "encoder.final_layer_norm.weight");
  refused({ [`${attention}.q.weight`]: [126, 128] }, "a multiple of 4 rows");
  refused({ [`${attention}.q.weight`]: [0, 128] }, "a multiple of 4 rows");
  refused({ [`${attention}.relative_attention_bias.weight`]: [3, 4] }, "an even number of rows from 4 on");
  refused({ [`${attention}.relative_attention_bias.weight`]: [2, 4] }, "an even number of rows from 4 on");
  refused({ [`${attention}.relative_attention_bias.weight`]: null }, "relative_attention_bias");
});

Deno.test("t5Tensors: the published encoder has as many parameters as it should", () => {
  const elements = t5Tensors(XL).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assertEquals(elements, 1_223_527_424);
});

Deno.test("storedT5Dtype: linear layers have the type, the embedding is halves, the rest floats", () => {
  const attention = "encoder.block.3.layer.0.SelfAttention";
  const dense = "encoder.block.3.layer.1.DenseReluDense";
  const expected: Readonly<Record<string, readonly string[]>> = {
    [`${attention}.q.weight`]: ["f32", "f16", "q8", "q4"],
    [`${attention}.o.weight`]: ["f32", "f16", "q8", "q4"],
    [`${dense}.wi_1.weight`]: ["f32", "f16", "q8", "q4"],
    [`${dense}.wo.weight`]: ["f32", "f16", "q8", "q4"],
    "shared.weight": ["f32", "f16", "f16", "f16"],
    "encoder.embed_tokens.weight": ["f32", "f16", "f16", "f16"],
    "encoder.final_layer_norm.weight": ["f32", "f32", "f32", "f32"],
    [`${attention}.relative_attention_bias.weight`]: ["f32", "f32", "f32", "f32"],
  };
  for (const [name, types] of Object.entries(expected)) {
    const found = (["f32", "f16", "q8", "q4"] as const).map((dtype) => storedT5Dtype(name, [64, 64], dtype));
    assertEquals(found, types, name);
  }
  const bytes = t5Tensors(XL).reduce((sum, { name, shape }) => {
    return sum + bytesAs(shape, storedT5Dtype(name, shape, "q8"));
  }, 0);
  // 1.16 billion weights of 1.125 bytes, 65.8 million of 2.
  assertEquals(Math.round(bytes / 1e6), 1434);
});

Deno.test("requireT5Config: a description gives all sizes or is refused", () => {
  assertEquals(requireT5Config(DEMO, "model.json"), DEMO);
  for (const name of Object.keys(DEMO)) {
    for (const value of [undefined, 0, 1.5, "4", -1]) {
      assertThrows(
        () => requireT5Config({ ...DEMO, [name]: value }, "model.json"),
        ModelFileError,
        `the text encoder's "config.textEncoder.${name}"`,
      );
    }
  }
  assertThrows(() => requireT5Config(null, "model.json"), ModelFileError, '"config.textEncoder"');
});

Deno.test("requireT5Description: config.json must be that of the tensors", () => {
  const published = {
    d_ff: 256,
    d_kv: 32,
    d_model: 128,
    feed_forward_proj: "gated-gelu",
    layer_norm_epsilon: 1e-6,
    num_heads: 4,
    num_layers: 2,
    relative_attention_max_distance: 128,
  };
  const check = (description: unknown): void => {
    requireT5Description(new TextEncoder().encode(JSON.stringify(description)), "t5/config.json", DEMO);
  };
  check(published);
  const { relative_attention_max_distance: _distance, layer_norm_epsilon: _epsilon, ...older } = published;
  check(older);
  const refused = (change: Readonly<Record<string, unknown>>, words: string): void => {
    assertThrows(() => check({ ...published, ...change }), ModelFileError, words);
  };
  refused({ feed_forward_proj: "relu" }, 'expected "feed_forward_proj": "gated-gelu", found relu');
  refused({ feed_forward_proj: undefined }, "found relu");
  refused({ relative_attention_max_distance: 20 }, '"relative_attention_max_distance": 128, found 20');
  refused({ layer_norm_epsilon: 1e-5 }, "found 0.00001");
  refused({ d_model: 2048 }, '"d_model": 128, found 2048');
  refused({ num_heads: 8 }, '"num_heads": 4, found 8');
  refused({ d_kv: 64 }, '"d_kv": 32, found 64');
  refused({ d_ff: undefined }, '"d_ff": 256, found nothing');
  refused({ num_layers: 24 }, '"num_layers": 2, found 24');
  assertThrows(() => check([]), ModelFileError, "feed_forward_proj");
  assertThrows(() => check(5), ModelFileError, "expected an object, found 5");
  const noJson = new TextEncoder().encode("{");
  assertThrows(
    () => requireT5Description(noJson, "c.json", DEMO),
    ModelFileError,
    "the JSON of a config.json",
  );
});

Deno.test("t5Part: an encoder is told from a decoder and from other models", () => {
  const names = t5Tensors(DEMO).map(({ name, shape }) => [name, { shape, dtype: "F32" }] as const);
  assert(t5Part.isIn(new Map(names)));
  assert(!t5Part.isIn(new Map(names.map(([name, tensor]) => [name.replace("encoder", "decoder"), tensor]))));
  assert(!t5Part.isIn(new Map([["encoder.final_layer_norm.weight", { shape: [4], dtype: "F32" }]])));
});
