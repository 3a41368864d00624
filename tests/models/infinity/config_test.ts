/**
 * What is read from the names and shapes of Infinity's tensors, and how checkpoints that do not make a model
 * are refused. Values do not matter here, so they are zeros.
 */

import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import type { AutoencoderConfig } from "../../../models/autoencoder/config.ts";
import { type Checkpoints, convertModel } from "../../../models/convert.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import {
  blockName,
  inferInfinityConfig,
  type InfinityConfig,
  type InfinityTransformerConfig,
  publishedSize,
  requireInfinityConfig,
  sizeName,
  tokenizerTensors,
  tokenPixels,
  transformerTensors,
} from "../../../models/infinity/config.ts";
import { BUNDLED_MODELS } from "../../../models/load.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { t5Tensors } from "../../../models/text/t5_graph.ts";
import type { PartWeights } from "../../../models/family.ts";
import { elementsOf, type ModelTensor } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { PUBLISHED, publishedTokenizer, SMALL, SMALL_NETWORKS } from "./sizes.ts";
import { tensorFile } from "./hashed_model.ts";

function part(file: string, tensors: readonly ModelTensor[]): PartWeights {
  const entries = tensors.map(({ name, shape }) => [name, { shape, dtype: "F32" }] as const);
  return {
    set: new WeightSet(file, new Map(entries)),
    readFloat32: () => Promise.reject(new Error("values")),
  };
}

function infer(
  transformer: InfinityTransformerConfig,
  tokenizer: AutoencoderConfig,
): Partial<InfinityConfig> {
  return inferInfinityConfig({
    transformer: part("infinity.pth", transformerTensors(transformer)),
    tokenizer: part("vae.pth", tokenizerTensors(tokenizer)),
  });
}

/** A safetensors file of zeros. */
function zeros(tensors: readonly ModelTensor[]): Promise<Uint8Array<ArrayBuffer>> {
  return tensorFile(tensors, (tensor) => new Float32Array(elementsOf([tensor])));
}

async function convert(checkpoints: Checkpoints): Promise<InfinityConfig> {
  await using writer = createVirtualFolder("test");
  using folder = await convertModel(checkpoints, writer);
  return folder.manifest.config as InfinityConfig;
}

async function convertTensors(
  transformer: readonly ModelTensor[],
  networks: readonly ModelTensor[],
): Promise<InfinityConfig> {
  return await convert({ infinity: await zeros(transformer), vae: await zeros(networks) });
}

const WANTED: InfinityConfig = { ...SMALL, scales: 13, patchify: false, tokenizer: SMALL_NETWORKS };

Deno.test("transformerTensors: the published sizes have exactly as many parameters as are known", () => {
  const known = { "125M": 125_148_800, "2B": 2_204_564_032, "8B": 8_375_791_824 };
  for (const [name, parameters] of Object.entries(known)) {
    const config = PUBLISHED[name]!;
    assertEquals(elementsOf(transformerTensors(config)), parameters);
    assertEquals([sizeName(config), publishedSize(config)?.name], [name, name]);
  }
  // Of 694 tensors 65 are buffers of zeros, two of each block and one of the pooled text.
  assertEquals(transformerTensors(PUBLISHED["2B"]!).length, 694 - 65);
});

Deno.test("inferInfinityConfig: the published sizes are read from names and shapes", () => {
  const scales: Record<string, number> = { "125M": 7, "2B": 13, "8B": 13 };
  for (const [name, transformer] of Object.entries(PUBLISHED)) {
    const tokenizer = publishedTokenizer(name);
    const config = infer(transformer, tokenizer);
    assertEquals(config, { ...transformer, scales: scales[name]!, patchify: name === "8B", tokenizer });
    // Sixteen pixels a token, of which two by two positions are one with 8B.
    assertEquals(tokenPixels(config as InfinityConfig), 16);
  }
});

Deno.test("inferInfinityConfig: blocks are found in groups of any size, and without groups", async () => {
  const names = (depth: number, chunks: number): string[] => {
    return Array.from({ length: depth }, (_, i) => blockName({ ...SMALL, depth, chunks }, i));
  };
  assertEquals(names(4, 2), [
    "block_chunks.0.module.0",
    "block_chunks.0.module.1",
    "block_chunks.1.module.0",
    "block_chunks.1.module.1",
  ]);
  assertEquals(names(2, 0), ["blocks.0", "blocks.1"]);
  for (const [depth, chunks] of [[4, 2], [4, 4], [4, 1], [3, 0], [12, 4]] as const) {
    const config = { ...SMALL, depth, chunks };
    assertEquals(infer(config, SMALL_NETWORKS), { ...WANTED, depth, chunks });
  }
  for (const chunks of [0, 2]) {
    const config = { ...SMALL, chunks };
    const found = await convertTensors(transformerTensors(config), tokenizerTensors(SMALL_NETWORKS));
    assertEquals(found, { ...WANTED, chunks });
  }
  const uneven = transformerTensors(SMALL).filter(({ name }) => !name.startsWith("block_chunks.1.module.0."));
  assertThrows(
    () => inferInfinityConfig({ transformer: part("infinity.pth", uneven) }),
    ModelFileError,
    "as many blocks in each of block_chunks",
  );
});

Deno.test("inferInfinityConfig: tensors keep their meaning behind whatever trainers put in front", async () => {
  const networks = tokenizerTensors(SMALL_NETWORKS);
  const transformer = transformerTensors(SMALL);
  const renamed = (tensors: readonly ModelTensor[], rename: (name: string) => string): ModelTensor[] => {
    return tensors.map(({ name, shape }) => ({ name: rename(name), shape }));
  };
  const inFront: readonly ((name: string) => string)[] = [
    (name) => name,
    (name) => `trainer.gpt_fsdp.${name}`,
    (name) => `trainer.gpt_fsdp._fsdp_wrapped_module.${name}`,
    (name) => `module.${name.replace(/^(block_chunks\.\d+)\./, "$1._fsdp_wrapped_module.")}`,
    (name) => `state_dict.${name.replace(/(module\.\d+)\./, "$1._checkpoint_wrapped_module.")}`,
  ];
  for (const rename of inFront) {
    assertEquals(await convertTensors(renamed(transformer, rename), networks), WANTED);
  }
  const spellings: readonly ((name: string) => string)[] = [
    (name) => `vae.${name}`,
    (name) => `trainer.vae_local.${name.replace(/(conv\w*|nin_shortcut)\.(weight|bias)$/, "$1.conv.$2")}`,
    (name) => name.replace(/(norm\w*)\.(weight|bias)$/, "$1.norm.$2"),
  ];
  for (const rename of spellings) {
    assertEquals(await convertTensors(transformer, renamed(networks, rename)), WANTED);
  }
  // Both in one file, with buffers that nobody needs.
  const file = await zeros([
    ...renamed(transformer, (name) => `trainer.gpt_fsdp.${name}`),
    { name: "trainer.gpt_fsdp.text_proj_for_sos.ca.zero_k_bias", shape: [SMALL.width] },
    { name: `trainer.gpt_fsdp.${blockName(SMALL, 1)}.sa.zero_k_bias`, shape: [SMALL.width] },
    { name: "trainer.vae_local.quantizer.lfq.mask", shape: [8] },
    ...renamed(networks, (name) => `trainer.vae_local.${name}`),
  ]);
  assertEquals(await convert({ infinity: file, vae: file }), WANTED);
});

Deno.test("inferInfinityConfig: a tensor that is missing, of another shape or left over is told by its name", async () => {
  const transformer = transformerTensors({ ...SMALL, depth: 2 });
  const networks = tokenizerTensors(SMALL_NETWORKS);
  for (const [kind, tensors] of [["infinity", transformer], ["vae", networks]] as const) {
    const make = (changed: readonly ModelTensor[]): Promise<InfinityConfig> => {
      return kind === "infinity" ? convertTensors(changed, networks) : convertTensors(transformer, changed);
    };
    for (const [i, { name, shape }] of tensors.entries()) {
      // By its first block a model is told, and of a part without its landmark nothing is known.
      const missing = await assertRejects(() => make(tensors.toSpliced(i, 1)), ModelFileError);
      const isMark = name === "text_proj_for_sos.ca.mat_q" || /^(de|en)coder\.conv_in\.weight$/.test(name);
      if (!isMark) assertStringIncludes(missing.message, name);
      if (shape.length === 1) continue;
      const longer = { name, shape: [...shape.slice(0, -1), shape.at(-1)! + 1] };
      await assertRejects(() => make(tensors.with(i, longer)), ModelFileError);
    }
    const more = kind === "infinity"
      ? `${blockName(SMALL, 0)}.sa.ca_gamma`
      : "decoder.mid.block_3.conv1.weight";
    const error = await assertRejects(() => make([...tensors, { name: more, shape: [4] }]), ModelFileError);
    assertStringIncludes(error.message, more);
  }
});

Deno.test("inferInfinityConfig: a tokenizer that does not belong to the transformer is refused with the one that does", () => {
  const files: Record<string, string> = {
    "125M": "infinity_vae_d16.pth",
    "2B": "infinity_vae_d32reg.pth",
    "8B": "infinity_vae_d56_f8_14_patchify.pth",
  };
  for (const own of Object.keys(PUBLISHED)) {
    for (const other of Object.keys(PUBLISHED)) {
      if (own === other) continue;
      const error = assertThrows(
        () => infer(PUBLISHED[own]!, publishedTokenizer(other)),
        ModelFileError,
        "the tokenizer is not the one that the transformer was trained with",
      );
      assertStringIncludes(error.message, files[own]!);
      assertStringIncludes(error.message, "infinity.pth");
      assertStringIncludes(error.message, "vae.pth");
      assertStringIncludes(error.message, `${publishedTokenizer(other).channels} channels`);
    }
  }
  // Of another transformer no file is known.
  const error = assertThrows(() => infer(SMALL, publishedTokenizer("2B")), ModelFileError);
  assert(!error.message.includes(".pth, which is"));
  // A code for each patch of four.
  const { patchify } = infer({ ...SMALL, bits: 32 }, SMALL_NETWORKS);
  assertEquals(patchify, true);
});

Deno.test("inferInfinityConfig: a text encoder of another width is refused with the width that is read", () => {
  const text = { layers: 1, width: 16, heads: 1, headWidth: 16, hidden: 8, vocabulary: 20, buckets: 32 };
  const encoder = (width: number): PartWeights => {
    return part("t5.safetensors", t5Tensors({ ...text, width }));
  };
  const weights = (width: number) => ({
    transformer: part("infinity.pth", transformerTensors(SMALL)),
    tokenizer: part("vae.pth", tokenizerTensors(SMALL_NETWORKS)),
    text_encoder: encoder(width),
  });
  assertEquals(inferInfinityConfig(weights(SMALL.textChannels)).text?.width, SMALL.textChannels);
  const error = assertThrows(() => inferInfinityConfig(weights(24)), ModelFileError, "another width");
  for (const words of [`width ${SMALL.textChannels}`, "width 24", "infinity.pth", "t5.safetensors"]) {
    assertStringIncludes(error.message, words);
  }
});

Deno.test("inferInfinityConfig: sizes that cannot be divided are refused", () => {
  const own = (change: Partial<InfinityTransformerConfig>): Partial<InfinityConfig> => {
    return inferInfinityConfig({
      transformer: part("infinity.pth", transformerTensors({ ...SMALL, ...change })),
    });
  };
  assertThrows(() => own({ heads: 3 }), ModelFileError, "attention heads");
  // Pairs of channels turn by the row or by the column, so a head needs four.
  assertThrows(() => own({ heads: 8 }), ModelFileError, "attention heads");
  // Fewer embeddings than the table has scales.
  assertEquals(own({ levels: 5 }).scales, 5);
  assertEquals(own({ levels: 15 }).scales, 13);
});

Deno.test("requireInfinityConfig: a description without one of the sizes is refused by its name", async () => {
  const text = await Deno.readTextFile(new URL("model.json", BUNDLED_MODELS["demo-t2i"]));
  const { config } = JSON.parse(text);
  assertEquals(requireInfinityConfig(config, "model.json"), config);
  const refused = (changed: unknown): string | undefined => {
    return assertThrows(() => requireInfinityConfig(changed, "model.json"), ModelFileError).expected;
  };
  for (const name of Object.keys(config)) {
    if (name === "text") continue;
    for (const value of [undefined, null, -1, 1.5, "4"]) {
      assertEquals(refused({ ...config, [name]: value }), `an Infinity model's "config.${name}"`);
    }
  }
  for (const name of Object.keys(config.tokenizer)) {
    const tokenizer = { ...config.tokenizer, [name]: undefined };
    assertEquals(refused({ ...config, tokenizer }), `an Infinity model's "config.tokenizer.${name}"`);
  }
  assertEquals(refused({ ...config, scales: 14 }), `an Infinity model's "config.scales"`);
  assertEquals(
    refused({ ...config, levels: 4 }),
    'at most 4 as "config.scales", which the transformer has embeddings for',
  );
  assertThrows(() => requireInfinityConfig({ ...config, text: {} }, "model.json"), ModelFileError);
  assertThrows(() => requireInfinityConfig(undefined, "model.json"), ModelFileError);
});
