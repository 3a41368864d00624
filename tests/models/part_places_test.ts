/**
 * Checkpoints as trainers, wrappers and averaging leave them: the same model comes of them as of the
 * published layout, and where there are several sets of weights, the one that was asked for.
 */

import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { openCheckpoint, type TensorInfo } from "../../models/checkpoint/mod.ts";
import { type Checkpoints, describeCheckpoint, openModelSource } from "../../models/convert.ts";
import type { ModelFolder } from "../../models/folder/model_folder.ts";
import { loadModel } from "../../models/load.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { partPlaces } from "../../models/part_places.ts";
import { VAR } from "../../models/var/family.ts";
import { goldenCheckpoints } from "../fixtures/golden/golden.ts";
import type { CheckpointPart } from "../../models/family.ts";
import { writeCheckpoint, writeShards } from "./checkpoint_files.ts";
import { safetensors } from "./flexvar/checkpoints.ts";
import { inFolder } from "./folder/small_folder.ts";

const GOLDEN = goldenCheckpoints("var-adaln");
type Named = { name: string; shape: readonly number[]; values: Float32Array<ArrayBuffer> };

async function tensorsOf(file: URL): Promise<Named[]> {
  using checkpoint = await openCheckpoint(file);
  const read = Array.from(checkpoint.tensors.values(), async ({ name, shape }) => {
    return { name, shape, values: await checkpoint.readFloat32(name) };
  });
  return await Promise.all(read);
}

const TRANSFORMER = await tensorsOf(GOLDEN.var);
const TOKENIZER = await tensorsOf(GOLDEN.vae);

function renamed(tensors: readonly Named[], rename: string | ((name: string) => string)): Named[] {
  const nameOf = typeof rename === "string" ? (name: string) => rename + name : rename;
  return tensors.map((tensor) => ({ ...tensor, name: nameOf(tensor.name) }));
}

/** Averaged weights, which any other numbers stand for. */
function averaged(tensors: readonly Named[]): Named[] {
  return tensors.map((tensor) =>
    tensor.name === "lvl_1L" ? tensor : { ...tensor, values: tensor.values.map((value) => value / 2) }
  );
}

/** Everything that a model is made of. */
async function contents(folder: ModelFolder): Promise<unknown> {
  const all: Record<string, Uint8Array> = {};
  for (const part of ["transformer", "tokenizer"]) {
    using weights = await folder.weights(part);
    for (const { path, data } of weights.files) all[path] = await data.bytes();
  }
  for (const graph of Object.keys(folder.manifest.files)) all[graph] = await folder.read(graph);
  return { config: folder.manifest.config, all };
}

async function contentsOf(source: Checkpoints, weights?: string): Promise<unknown> {
  using folder = await openModelSource(source, weights === undefined ? {} : { weights });
  return await contents(folder);
}

const PLAIN = await contentsOf(GOLDEN);

Deno.test("partPlaces: what trainers and wrappers put into names makes no difference", async () => {
  const compiled = (name: string): string => `model.${name.replace(/^(blocks\.\d+)\./, "$1._orig_mod.")}`;
  const sharded = (name: string): string =>
    `_fsdp_wrapped_module.${
      name.replace(/^((?:blocks\.\d+)|\w+)\./, "$1._fsdp_wrapped_module._checkpoint_wrapped_module.")
    }`;
  const cases: readonly (string | ((name: string) => string))[] = [
    "module.",
    "_orig_mod.",
    "model.",
    "state_dict.model.",
    "state_dict.module._orig_mod.",
    "trainer.var_wo_ddp.",
    "0.model.",
    compiled,
    sharded,
  ];
  for (const rename of cases) {
    const source = {
      var: await safetensors(renamed(TRANSFORMER, rename)),
      vae: await safetensors(renamed(TOKENIZER, rename)),
    };
    assertEquals(await contentsOf(source), PLAIN, String(rename));
  }
});

Deno.test("partPlaces: one file may hold both parts, one within the other, and what training needs beside", async () => {
  const beside = ["optimizer.state.pos_start.exp_avg", "optimizer.exp_avg.pos_start"].map((name) => {
    return { name, shape: [1], values: new Float32Array(1) };
  });
  for (
    const [transformer, tokenizer] of [["state_dict.var.", "state_dict.vae."], ["", "vae_proxy.0.module."]]
  ) {
    const file = await safetensors([
      ...renamed(TRANSFORMER, transformer!),
      ...renamed(TOKENIZER, tokenizer!),
      ...(transformer === "" ? [] : beside),
    ]);
    assertEquals(await contentsOf({ var: file, vae: file }), PLAIN, transformer);
  }
});

Deno.test("openModelSource: of raw and averaged weights in one file one is asked for, and taken", async () => {
  const averages = averaged(TRANSFORMER);
  const wanted = await contentsOf({ var: await safetensors(averages), vae: GOLDEN.vae });
  assertNotEquals(wanted, PLAIN);
  for (const [raw, ema, name] of [["model.", "ema.module.", "model"], ["", "ema.", ""]] as const) {
    const file = await safetensors([...renamed(TRANSFORMER, raw), ...renamed(averages, ema)]);
    const source = { var: file, vae: GOLDEN.vae };
    const error = await assertRejects(() => openModelSource(source), ModelFileError);
    assertEquals(
      error.message,
      'Cannot tell which weights of the transformer to take, as there are 2 sets of them: say which by the option "weights": ' +
        `bytes in memory (expected "${name}" or "${ema.slice(0, -1)}", found no choice)`,
    );
    assertEquals(await contentsOf(source, name), PLAIN);
    for (const weights of ["ema", ema, ema.slice(0, -1)]) {
      assertEquals(await contentsOf(source, weights), wanted);
    }
    await assertRejects(
      () => openModelSource(source, { weights: "emma" }),
      RangeError,
      `weights must be "${name}" or "${
        ema.slice(0, -1)
      }" for the transformer in bytes in memory: current value is "emma"`,
    );
    // Fingerprints are of the weights, which one file may hold twice.
    using chosen = await openModelSource(source, { weights: "ema" });
    assertEquals(Object.keys(chosen.fingerprints), [
      `transformer of "${ema.slice(0, -1)}" as f32`,
      "tokenizer as f32",
    ]);
    // What can be chosen from is told.
    using checkpoint = await openCheckpoint(file);
    const { facts, problem } = await describeCheckpoint(checkpoint);
    assertEquals([facts.at(-1), problem], [
      ["transformer weights", `2 sets: "${name}", "${ema.slice(0, -1)}"`],
      undefined,
    ]);
  }
});

Deno.test("openModelSource: a set is found by a word of its name where no part of it is called so", async () => {
  const averages = averaged(TRANSFORMER);
  const wanted = await contentsOf({ var: await safetensors(averages), vae: GOLDEN.vae });
  const sets = async (...prefixes: string[]): Promise<Checkpoints> => {
    const tensors = prefixes.flatMap((prefix) =>
      renamed(prefix.includes("ema") ? averages : TRANSFORMER, prefix)
    );
    return { var: await safetensors(tensors), vae: GOLDEN.vae };
  };
  const usual = await sets("model.", "model_ema.module.");
  assertEquals(await contentsOf(usual, "ema"), wanted);
  assertEquals(await contentsOf(usual, "model"), PLAIN);
  // What is called so goes before what only holds the word, and of two with the word none is taken.
  assertEquals(await contentsOf(await sets("model-raw-ema.", "model.", "ema."), "ema"), wanted);
  const twice = await sets("slow-ema.", "fast_ema.");
  for (const weights of ["ema", "em"]) {
    await assertRejects(
      () => openModelSource(twice, { weights }),
      RangeError,
      `weights must be "slow-ema" or "fast_ema" for the transformer in bytes in memory: current value is "${weights}"`,
    );
  }
  const tokenizers = await safetensors([...renamed(TOKENIZER, "a."), ...renamed(TOKENIZER, "b.")]);
  await assertRejects(
    () => openModelSource({ var: GOLDEN.var, vae: tokenizers }, { weights: "ema" }),
    RangeError,
    'weights must be "a" or "b" for the tokenizer',
  );
});

Deno.test("loadModel: weights are chosen for checkpoints only", async () => {
  await assertRejects(
    () => loadModel("demo", { device: "cpu", weights: "ema" }),
    TypeError,
    'Cannot load the model with weights "ema" as "demo" is a model folder, which has one set of them',
  );
  await assertRejects(
    () => loadModel(GOLDEN, { device: "cpu", weights: 1 as unknown as string }),
    TypeError,
    "weights must be a text",
  );
  await assertRejects(() => loadModel(GOLDEN, { device: "cpu", weights: "ema" }), RangeError, '"ema"');
  const source = { var: await safetensors(renamed(TRANSFORMER, "ema.module.")), vae: GOLDEN.vae };
  await using model = await loadModel(source, { device: "cpu", weights: "ema" });
  assertEquals(model.name, "VAR-d2");
});

Deno.test("partPlaces: a file of endless sets is looked at for a while only", () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `${i}.pos_start`);
  const tensors = new Map(names.map((name): [string, TensorInfo] => {
    return [name, { name, dtype: "F32", shape: [1, 1, 1] }];
  }));
  assertEquals(partPlaces(VAR.parts, { tensors }).map(({ length }) => length), [32, 0]);
});

/** A transformer of texts, whose blocks lie in lists called `module`. */
const TEXT_TO_IMAGE: CheckpointPart = {
  name: "net",
  weights: "transformer",
  title: "the transformer",
  landmark: "text_proj_for_sos.ca.mat_q",
  unused: /^$/,
  isIn: (tensors) => tensors.has("text_proj_for_sos.ca.mat_q"),
};
const BLOCKS = [0, 1].flatMap((chunk) => [0, 1].map((block) => `block_chunks.${chunk}.module.${block}`));
/** Its tensors, each of other values. */
const PUBLISHED: readonly Named[] = [
  ...["cfg_uncond", "pos_start", "text_norm.weight", "text_proj_for_sos.ca.mat_q"],
  ...["text_proj_for_sos.ca.mat_kv.weight", "text_proj_for_ca.0.weight", "shared_ada_lin.1.weight"],
  ...BLOCKS.flatMap((
    block,
  ) => [`${block}.ada_gss`, `${block}.sa.mat_qkv.weight`, `${block}.ca.mat_q.weight`]),
].map((name, i) => ({ name, shape: [2, 3], values: new Float32Array(6).fill(i) }));

/** As fully sharded training wraps it: the whole, every chunk and the attention that pools the text. */
function fullySharded(name: string): string {
  const inner = name.replace(/^(block_chunks\.\d+|text_proj_for_sos)\./, "$1._fsdp_wrapped_module.")
    .replace(/(module\.\d+)\./, "$1._fsdp_wrapped_module._checkpoint_wrapped_module.");
  return `_fsdp_wrapped_module.${inner}`;
}

Deno.test("partPlaces: flat files, those of trainers and of fully sharded training, and shards are one transformer", () =>
  inFolder(async (path) => {
    const sharded = renamed(PUBLISHED, fullySharded);
    assertEquals(
      sharded.at(-1)!.name,
      "_fsdp_wrapped_module.block_chunks.1._fsdp_wrapped_module.module.1._fsdp_wrapped_module." +
        "_checkpoint_wrapped_module.ca.mat_q.weight",
    );
    const trainer = ["trainer", "gpt_fsdp"];
    await writeCheckpoint(`${path}/flat.pth`, PUBLISHED);
    await writeCheckpoint(`${path}/flat.safetensors`, PUBLISHED);
    await writeCheckpoint(`${path}/trainer.pth`, PUBLISHED, trainer);
    await writeCheckpoint(`${path}/fsdp.pth`, sharded);
    await writeCheckpoint(`${path}/trainer-fsdp.pth`, sharded, trainer);
    for (const [format, kind] of [["safetensors", "model.safetensors"], ["bin", "pytorch_model.bin"]]) {
      const shards = [1, 2, 3].map((i) => `${kind!.split(".")[0]}-0000${i}-of-00003.${format}`);
      await Deno.mkdir(`${path}/${format}`);
      await writeShards(`${path}/${format}`, PUBLISHED, { shards, index: `${kind}.index.json` });
    }
    const places = {
      "flat.pth": "",
      "flat.safetensors": "",
      "trainer.pth": "trainer.gpt_fsdp.",
      "fsdp.pth": "_fsdp_wrapped_module.",
      "trainer-fsdp.pth": "trainer.gpt_fsdp._fsdp_wrapped_module.",
      "safetensors": "",
      "bin": "",
    };
    for (const [name, prefix] of Object.entries(places)) {
      using checkpoint = await openCheckpoint(`${path}/${name}`);
      const [[place, ...others] = []] = partPlaces([TEXT_TO_IMAGE], checkpoint);
      assertEquals([place!.prefix, others.length], [prefix, 0], name);
      assertEquals([...place!.tensors.keys()], PUBLISHED.map((tensor) => tensor.name), name);
      for (const tensor of PUBLISHED) {
        const values = await checkpoint.readFloat32(place!.tensors.get(tensor.name)!.name);
        assertEquals(values, tensor.values, `${name}: ${tensor.name}`);
      }
    }
  }));

Deno.test("partPlaces: a part that is spelt in several ways is found by each of them, once", () => {
  const part = { ...TEXT_TO_IMAGE, landmark: ["conv_in.conv.weight", "conv_in.weight"], isIn: () => true };
  const prefixesOf = (names: readonly string[]): string[] => {
    const tensors = new Map(
      names.map((name): [string, TensorInfo] => [name, { name, dtype: "F32", shape: [1] }]),
    );
    return partPlaces([part], { tensors })[0]!.map(({ prefix }) => prefix);
  };
  assertEquals(prefixesOf(["vae.conv_in.weight", "vae.conv_in.bias"]), ["vae."]);
  assertEquals(prefixesOf(["vae.conv_in.conv.weight"]), ["vae."]);
  assertEquals(prefixesOf(["a.conv_in.conv.weight", "a.conv_in.weight", "b.conv_in.weight"]), ["a.", "b."]);
});
