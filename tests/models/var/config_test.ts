/**
 * What is read from the names and shapes of tensors, and how checkpoints that do not make a model are
 * refused. Refusals depend on the list of tensors alone, so most checkpoints here have the names and shapes
 * of the golden ones and zeros for values.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Checkpoints, convertModel } from "../../../models/convert.ts";
import { openCheckpoint, type SafetensorsEntry, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import type { ModelFolder } from "../../../models/folder/model_folder.ts";
import { DEMO_MODEL, loadModel } from "../../../models/load.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import {
  inferVarConfig,
  requireVarConfig,
  residualOfScale,
  type VarConfig,
} from "../../../models/var/config.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";
import "../../native.ts";

async function convert(checkpoints: Checkpoints): Promise<ModelFolder> {
  await using writer = createVirtualFolder("test");
  return await convertModel(checkpoints, writer);
}

const demo: VarConfig = {
  depth: 4,
  width: 256,
  heads: 4,
  classes: 64,
  patchNumbers: [1, 2, 3, 4, 6, 8],
  sharedAdaptiveNorm: false,
  normalizedAttention: true,
  tokenizer: {
    vocabulary: 512,
    channels: 16,
    residuals: 4,
    decoder: [32, 32, 64, 128].map((channels) => ({ channels, blocks: 2, attention: false })),
    encoder: [32, 32, 64, 128].map((channels) => ({ channels, blocks: 1, attention: false })),
  },
};

Deno.test("VarConfig: the demo's sizes are those it was trained with", async () => {
  const text = await Deno.readTextFile(new URL("../../../models/demo/model.json", import.meta.url));
  assertEquals(JSON.parse(text).config, demo);
});

Deno.test("requireVarConfig: a description without one of the sizes is refused by its name", () => {
  assertEquals(requireVarConfig(demo, "model.json"), demo);
  const refused = (config: unknown): string | undefined => {
    return assertThrows(() => requireVarConfig(config, "model.json"), ModelFileError).expected;
  };
  for (const name of Object.keys(demo)) {
    assertEquals(refused({ ...demo, [name]: undefined }), `a VAR model's "config.${name}"`);
  }
  for (const name of Object.keys(demo.tokenizer)) {
    const tokenizer = { ...demo.tokenizer, [name]: undefined };
    assertEquals(refused({ ...demo, tokenizer }), `a VAR model's "config.tokenizer.${name}"`);
  }
});

Deno.test("inferVarConfig: sizes of one part alone are inferred and checked", async () => {
  const shapes: Record<string, readonly number[]> = {
    "pos_start": [1, 1, 128],
    "pos_1LC": [1, 30, 128],
    "lvl_embed.weight": [4, 128],
    "class_emb.weight": [11, 128],
    "blocks.0.attn.scale_mul_1H11": [1, 2, 1, 1],
  };
  const infer = (changes: Record<string, readonly number[]>): Promise<Partial<VarConfig>> => {
    const tensors = Object.entries({ ...shapes, ...changes })
      .map(([name, shape]) => [name, { shape, dtype: "F32" }] as const);
    const set = new WeightSet("var.pth", new Map(tensors));
    return inferVarConfig({ transformer: { set, readFloat32: () => Promise.reject() } }, [1, 2, 3, 4]);
  };
  assertEquals(await infer({}), {
    depth: 1,
    width: 128,
    heads: 2,
    classes: 10,
    patchNumbers: [1, 2, 3, 4],
    sharedAdaptiveNorm: false,
    normalizedAttention: true,
  });
  await assertRejects(() => infer({ "lvl_embed.weight": [5, 128] }), ModelFileError, "lvl_embed.weight");
  await assertRejects(() => infer({ "pos_1LC": [1, 31, 128] }), ModelFileError, "pos_1LC");
});

Deno.test("VarConfig: sizes with per-block adaLN are inferred", async () => {
  const { manifest } = await convert(goldenCheckpoints("var-adaln"));
  assertEquals(manifest.name, "VAR-d2");
  const { tokenizer, ...config } = manifest.config as VarConfig;
  assertEquals(config, {
    depth: 2,
    width: 128,
    heads: 2,
    classes: 10,
    patchNumbers: [1, 2, 3, 4],
    sharedAdaptiveNorm: false,
    normalizedAttention: true,
  });
  assertEquals([tokenizer.vocabulary, tokenizer.channels, tokenizer.residuals], [96, 16, 4]);
  // As the official tokenizer: attention at the coarsest level only, one block more per level in the decoder.
  for (const [levels, blocks] of [[tokenizer.decoder, 3], [tokenizer.encoder, 2]] as const) {
    assertEquals(levels!.map((level) => level.attention), levels!.map((_, i) => i === levels!.length - 1));
    assertEquals(new Set(levels!.map((level) => level.blocks)), new Set([blocks]));
  }
});

Deno.test("VarConfig: sizes with shared adaLN and a tokenizer without networks are inferred", async () => {
  const { manifest } = await convert(goldenCheckpoints("var-shared-adaln"));
  assertEquals(manifest.config, {
    depth: 2,
    width: 128,
    heads: 2,
    classes: 6,
    patchNumbers: [1, 2, 3, 4, 6, 9, 13],
    sharedAdaptiveNorm: true,
    normalizedAttention: true,
    tokenizer: { vocabulary: 64, channels: 8, residuals: 4, decoder: null, encoder: null },
  });
  assertEquals(Object.keys(manifest.files).filter((name) => name.endsWith(".onnx")).sort(), [
    "condition.onnx",
    "transformer.onnx",
  ]);
});

Deno.test("residualOfScale: each scale has the published φ convolution", () => {
  const table = (scales: number, residuals: number): number[] => {
    return Array.from({ length: scales }, (_, scale) => residualOfScale(scale, scales, residuals));
  };
  // Scales 2 and 7 lie exactly between two ticks.
  assertEquals(table(10, 4), [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]);
  assertEquals(table(10, 1), new Array(10).fill(0));
  // As many convolutions as scales: one each.
  assertEquals(table(10, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(table(1, 4), [0]);
});

type Shapes = ReadonlyMap<string, readonly number[]>;

const golden = goldenCheckpoints("var-adaln");

async function shapesOf(file: URL): Promise<Shapes> {
  using checkpoint = await openCheckpoint(file);
  return new Map(checkpoint.tensors.values().map(({ name, shape }) => [name, shape]));
}

/** Which scale each token of patch numbers 1 2 3 4 belongs to. */
const SCALES = [1, 2, 3, 4].flatMap((side, scale) => new Array<number>(side * side).fill(scale));

/**
 * A safetensors file with these tensors, bytes of zero all but `lvl_1L`, which comes first and tells the
 * scales.
 */
function fileOf(shapes: Shapes): Uint8Array<ArrayBuffer> {
  const names = [...shapes.keys()].sort((a, b) => Number(b === "lvl_1L") - Number(a === "lvl_1L"));
  let end = 0;
  const header = Object.fromEntries(names.map((name) => {
    const shape = shapes.get(name)!;
    const begin = end;
    end += shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: "U8", shape, data_offsets: [begin, end] }];
  }));
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  if (shapes.has("lvl_1L")) file.set(SCALES, 8 + json.length);
  return file;
}

const transformerShapes = await shapesOf(golden.var);
const tokenizerShapes = await shapesOf(golden.vae);
const transformerFile = fileOf(transformerShapes);
const tokenizerFile = fileOf(tokenizerShapes);

/** Converts with one of the two files replaced and returns the refusal. */
async function refusal(part: "var" | "vae", shapes: Shapes, what: string): Promise<ModelFileError> {
  const error = await convert({ var: transformerFile, vae: tokenizerFile, [part]: fileOf(shapes) }).then(
    () => undefined,
    (error) => error,
  );
  assert(error instanceof ModelFileError, `${what}: ${error ?? "was converted"}`);
  assertEquals(error.file, "bytes in memory", what);
  return error;
}

const PARTS = [["var", transformerShapes], ["vae", tokenizerShapes]] as const;

Deno.test("VarConfig: a checkpoint with the right names and shapes is converted", async () => {
  const { manifest } = await convert({ var: transformerFile, vae: tokenizerFile });
  assertEquals(manifest.config, (await convert(golden)).manifest.config);
});

Deno.test("VarConfig: each tensor that is missing is missed", async () => {
  // Derivable, or for training only.
  const optional = /(lvl_1L|attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV)$/;
  /** Those whose lack shows elsewhere. */
  const elsewhere: string[] = [];
  for (const [part, all] of PARTS) {
    for (const name of all.keys()) {
      const shapes = new Map(all);
      shapes.delete(name);
      if (optional.test(name)) continue;
      const error = await refusal(part, shapes, `without ${name}`);
      assert((error.expected ?? error.found) !== undefined, error.message);
      if (error.tensor === name) assert(error.message.startsWith("Cannot "), error.message);
      else elsewhere.push(name);
    }
  }
  // The first and last are what a checkpoint is told by; without the second, the first block has another kind
  // of attention.
  assertEquals(elsewhere, ["pos_start", "blocks.0.attn.scale_mul_1H11", "quantize.embedding.weight"]);
});

Deno.test("VarConfig: each tensor of another shape is refused with both shapes", async () => {
  const unused = /(attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV)$/;
  for (const [part, all] of PARTS) {
    for (const [name, shape] of all) {
      if (unused.test(name) || name === "lvl_1L") continue;
      const others = shape.map((_, axis) => shape.map((size, i) => i === axis ? size + 1 : size));
      others.push([...shape, 1], shape.length === 0 ? [2] : shape.slice(1));
      if (String([...shape].reverse()) !== String(shape)) others.push([...shape].reverse());
      // One class more is a model, too.
      if (name === "class_emb.weight") others.shift();
      for (const other of others) {
        const what = `${name} [${shape}] as [${other}]`;
        const error = await refusal(part, new Map(all).set(name, other), what);
        assert(error.expected !== undefined, `${what}: ${error.message}`);
        if (error.tensor === name) {
          assertEquals(error.found, `[${other.join(", ")}]`, what);
        } else {
          // A size that others depend on is believed, and the first of them refused.
          assert(error.found !== undefined, `${what}: ${error.message}`);
        }
      }
    }
  }
});

Deno.test("VarConfig: a tensor that has no place is refused by name", async () => {
  for (const [part, all] of PARTS) {
    const error = await refusal(part, new Map(all).set("blocks.0.lora.weight", [2]), "one more");
    assertEquals(error.found, '"blocks.0.lora.weight"');
    const many = ["a", "b", "c", "d", "e"].map((name) => [name, [1]] as const);
    const { message } = await refusal(part, new Map([...all, ...many]), "five more");
    assert(message.includes('"a", "b", "c" and 2 more'), message);
  }
});

Deno.test("VarConfig: a renamed tensor is refused by its old name", async () => {
  const shapes = new Map(transformerShapes);
  const shape = shapes.get("head.weight")!;
  shapes.delete("head.weight");
  const error = await refusal("var", shapes.set("output.weight", shape), "renamed");
  assertEquals([error.tensor, error.expected], ["head.weight", "[96, 128]"]);
});

Deno.test("VarConfig: a checkpoint of something else is refused with what it holds", async () => {
  const error = await refusal("var", tokenizerShapes, "a tokenizer for the transformer");
  assertEquals(error.expected, 'a tensor "pos_start"');
  assert(error.found!.startsWith('"'), error.message);
  await refusal("vae", transformerShapes, "a transformer for the tokenizer");
  await refusal("var", new Map(), "nothing");
});

Deno.test("VarConfig: class names must be as many as the classes", async () => {
  await using writer = createVirtualFolder("test");
  const checkpoints = { var: transformerFile, vae: tokenizerFile };
  await assertRejects(
    () => convertModel(checkpoints, writer, { classNames: ["a"] }),
    RangeError,
    "10 classes",
  );
});

Deno.test("VarConfig: without the scales of the tokens the published patch numbers are taken", async () => {
  for (
    const [tokens, patchNumbers] of [
      [680, [1, 2, 3, 4, 5, 6, 8, 10, 13, 16]],
      [2240, [1, 2, 3, 4, 6, 9, 13, 18, 24, 32]],
    ] as const
  ) {
    const shapes = new Map(transformerShapes).set("pos_1LC", [1, tokens, 128]).set("lvl_embed.weight", [
      10,
      128,
    ]);
    shapes.delete("lvl_1L");
    const { manifest } = await convert({ var: fileOf(shapes), vae: tokenizerFile });
    assertEquals((manifest.config as VarConfig).patchNumbers, patchNumbers);
  }
});

Deno.test("VarConfig: without the buffers that can be derived the model is the same", async () => {
  const derivable = /(^|\.)(lvl_1L|attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV)$/;
  const rewritten = async (file: URL, left: RegExp): Promise<Uint8Array<ArrayBuffer>> => {
    const all = await Array.fromAsync(renamed(file, ""));
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const bytes = new Response(readable).bytes();
    await writeSafetensors(writable, all.filter(({ name }) => !left.test(name)));
    return await bytes;
  };
  // The numbers of the second one have several lists of sides; its mask tells which.
  for (const [name, left] of [["var-adaln", derivable], ["var-shared-adaln", /^lvl_1L$/]] as const) {
    const { var: transformer, vae } = goldenCheckpoints(name);
    const manifestOf = async (left: RegExp): Promise<unknown> => {
      const files = { var: await rewritten(transformer, left), vae: await rewritten(vae, left) };
      return (await convert(files)).manifest;
    };
    assertEquals(await manifestOf(left), await manifestOf(/^$/));
  }
});

Deno.test("loadModel: sizes of a folder that are not those of its tensors are refused before anything runs", async () => {
  const path = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(DEMO_MODEL)) {
      await Deno.copyFile(new URL(name, DEMO_MODEL), `${path}/${name}`);
    }
    const manifest = JSON.parse(await Deno.readTextFile(`${path}/model.json`));
    const load = async (config: object): Promise<ModelFileError> => {
      await Deno.writeTextFile(`${path}/model.json`, JSON.stringify({ ...manifest, config }));
      using device = new CpuDevice();
      const error = await assertRejects(() => loadModel(path, { device }), ModelFileError);
      assertEquals(device.counters.liveArrays, 0);
      return error;
    };
    const sides: readonly [number[], string][] = [
      [[1, 2, 3, 4, 2, 8], "that begin with 1 and never decrease"],
      [[1, 2, 4, 3, 6, 8], "that begin with 1 and never decrease"],
      [[2, 2, 3, 4, 6, 8], "that begin with 1 and never decrease"],
      [[1, 1, 3, 4, 6, 8], "Cannot use the patch numbers [1, 1, 3, 4, 6, 8]"],
      [[1, 2, 65, 66, 67, 68], "Cannot use the patch numbers [1, 2, 65, 66, 67, 68]"],
      // As many tokens, on fewer scales.
      [[1, 4, 7, 8], "lvl_embed.weight (expected [4, 256], found [6, 256])"],
    ];
    for (const [patchNumbers, message] of sides) {
      const error = await load({ ...demo, patchNumbers });
      assert(error.message.includes(message), error.message);
    }
    for (const name of ["depth", "heads", "width", "classes"] as const) {
      const error = await load({ ...demo, [name]: 2 * demo[name] });
      assertEquals([error.expected, error.found], [`"config.${name}": ${demo[name]}`, `${2 * demo[name]}`]);
    }
    const { tokenizer } = demo;
    const changes = { vocabulary: 64, channels: 8, residuals: 1, decoder: null, encoder: tokenizer.decoder };
    for (const [name, value] of Object.entries(changes)) {
      const error = await load({ ...demo, tokenizer: { ...tokenizer, [name]: value } });
      assert(error.expected!.startsWith(`"config.tokenizer.${name}`), error.message);
    }
    await Deno.writeTextFile(`${path}/model.json`, JSON.stringify(manifest));
    await using model = await loadModel(path, { device: "cpu" });
    assertEquals(model.patchNumbers, demo.patchNumbers);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("VarConfig: attention without l2 norm has heads of width 64 and runs", async () => {
  const shapes = new Map(transformerShapes.entries().filter(([name]) => !name.includes("scale_mul")));
  const source = { var: fileOf(shapes), vae: tokenizerFile };
  const { manifest } = await convert(source);
  const { heads, normalizedAttention } = manifest.config as VarConfig;
  assertEquals([heads, normalizedAttention], [2, false]);
  await using model = await loadModel(source, { device: "cpu", threads: 1 });
  using generation = await model.start({ labels: [model.resolveLabel(0)], guided: false });
  using logits = await generation.logits();
  assertEquals(logits.length, 96);
});

/** The tensors of a checkpoint under other names. */
async function* renamed(file: URL, prefix: string): AsyncGenerator<SafetensorsEntry> {
  using checkpoint = await openCheckpoint(file);
  for (const { name, dtype, shape } of checkpoint.tensors.values()) {
    const bytes = await checkpoint.read(name);
    yield { name: prefix + name, dtype, shape, bytes: () => bytes };
  }
}

Deno.test("VarConfig: the trainer's file with both models gives the same model", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const shared = goldenCheckpoints("var-shared-adaln");
  const entries = [
    ...await Array.fromAsync(renamed(shared.var, "trainer.var_wo_ddp.")),
    ...await Array.fromAsync(renamed(shared.vae, "trainer.vae_local.")),
  ];
  const [file] = await Promise.all([new Response(readable).bytes(), writeSafetensors(writable, entries)]);
  const { manifest } = await convert({ var: file, vae: file });
  assertEquals(manifest, (await convert(shared)).manifest);
});
