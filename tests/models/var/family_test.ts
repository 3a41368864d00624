/** VAR as a registered family: how its checkpoints are told from others, and what it says about models. */

import { classNamesOf } from "../../../models/label.ts";
import { assertEquals } from "@std/assert";
import { openCheckpoint, type TensorInfo } from "../../../models/checkpoint/mod.ts";
import type { CheckpointPart } from "../../../models/family.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { IMAGENET_CLASSES } from "../../../models/class_conditional/imagenet.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { partPlaces } from "../../../models/part_places.ts";
import type { VarConfig } from "../../../models/var/config.ts";
import { PUBLISHED_PATCH_NUMBERS } from "../../../models/var/patch_numbers.ts";
import { VAR } from "../../../models/var/family.ts";
import type { StoredTensor } from "../../../models/weights/weight_set.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";

const [TRANSFORMER, TOKENIZER] = VAR.parts as [CheckpointPart, CheckpointPart];

function tensors(shapes: Record<string, readonly number[]>): Map<string, StoredTensor> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }]));
}

/** Of each part, what stands in front of its tensors in a file. */
function prefixes(names: Iterable<readonly [string, StoredTensor]>): string[][] {
  const tensors = new Map(Array.from(names, ([name, { shape }]): [string, TensorInfo] => {
    return [name, { name, shape, dtype: "F32" }];
  }));
  return partPlaces(VAR.parts, { tensors }).map((places) => places.map(({ prefix }) => prefix));
}

Deno.test("openCheckpoint: each part is found in its own file, as published and as the trainer saves it", async () => {
  for (const name of ["var-adaln", "var-shared-adaln"] as const) {
    const files = goldenCheckpoints(name);
    using transformer = await openCheckpoint(files.var);
    using tokenizer = await openCheckpoint(files.vae);
    assertEquals(prefixes(transformer.tensors), [[""], []]);
    assertEquals(prefixes(tokenizer.tensors), [[], [""]]);
    const both = [
      ...transformer.tensors.entries().map(([name, tensor]) =>
        [`trainer.var_wo_ddp.${name}`, tensor] as const
      ),
      ...tokenizer.tensors.entries().map(([name, tensor]) => [`trainer.vae_local.${name}`, tensor] as const),
    ];
    assertEquals(prefixes(both), [["trainer.var_wo_ddp."], ["trainer.vae_local."]]);
  }
});

Deno.test("VAR: another family's parts are not taken for VAR's", () => {
  const start = { "pos_start": [1, 1, 64] };
  assertEquals(TRANSFORMER.isIn(tensors({ ...start, "pos_1LC": [1, 64, 32, 32] })), false);
  assertEquals(TRANSFORMER.isIn(tensors({ "lvl_embed.weight": [4, 64] })), false);
  const text = { "lvl_embed.weight": [15, 64], "cfg_uncond": [512, 128] };
  assertEquals(TRANSFORMER.isIn(tensors({ ...start, ...text })), false);
  // A file that is damaged is still recognised, so that what is wrong with it can be told.
  assertEquals(TRANSFORMER.isIn(tensors({ ...start, "pos_1LC": [1, 30, 64] })), true);
  assertEquals(TRANSFORMER.isIn(tensors({ ...start, "lvl_embed.weight": [4, 64] })), true);
  assertEquals(
    TRANSFORMER.isIn(tensors({ ...start, "pos_1LC": [1, 30, 64, 1], "lvl_embed.weight": [4, 64] })),
    true,
  );

  const codes = { "quantize.embedding.weight": [64, 8] };
  assertEquals(TOKENIZER.isIn(tensors(codes)), false);
  assertEquals(
    TOKENIZER.isIn(tensors({ ...codes, "decoder.conv_blocks.0.res.0.norm1.weight": [8] })),
    false,
  );
  assertEquals(TOKENIZER.isIn(tensors({ "decoder.up.0.block.0.norm1.weight": [8] })), false);
  for (
    const own of [
      "quantize.quant_resi.qresi_ls.0.bias",
      "decoder.up.0.block.0.norm1.bias",
      "encoder.down.0.block.0.norm1.bias",
    ]
  ) assertEquals(TOKENIZER.isIn(tensors({ ...codes, [own]: [8] })), true);
});

Deno.test("VAR: sizes are told in words, of a model and of each part", async () => {
  const { manifest } = await openModelFolder(DEMO_MODEL);
  const config = manifest.config as VarConfig;
  const facts = VAR.describe(config);
  assertEquals(facts, [
    ["transformer", "depth 4, width 256, 4 heads, 64 classes, normalised attention"],
    ["patch numbers", "1, 2, 3, 4, 6, 8"],
    ["tokenizer", "512 codes of 16 channels, 4 φ convolutions"],
    ["decoder", "4 levels, channels × blocks from fine to coarse: 32×2, 32×2, 64×2, 128×2"],
    ["encoder", "4 levels, channels × blocks from fine to coarse: 32×1, 32×1, 64×1, 128×1"],
    ["pictures", "64×64"],
  ]);
  const { tokenizer, ...transformer } = config;
  assertEquals(VAR.describe(transformer), facts.slice(0, 2));
  assertEquals(VAR.describe({ tokenizer }), facts.slice(2, 5));
  const plain: VarConfig = {
    ...config,
    heads: 1,
    classes: 1,
    sharedAdaptiveNorm: true,
    normalizedAttention: false,
    tokenizer: {
      ...tokenizer,
      decoder: [{ channels: 32, blocks: 3, attention: true }],
      encoder: null,
    },
  };
  assertEquals(VAR.describe(plain), [
    ["transformer", "depth 4, width 256, 1 head, 1 class, shared adaLN"],
    ["patch numbers", "1, 2, 3, 4, 6, 8"],
    ["tokenizer", "512 codes of 16 channels, 4 φ convolutions"],
    ["decoder", "1 level, channels × blocks from fine to coarse: 32×3 with attention"],
    ["encoder", "none"],
    ["pictures", "8×8"],
  ]);
  // Without a decoder nothing tells the size.
  assertEquals(
    VAR.describe({ ...plain, tokenizer: { ...tokenizer, decoder: null } }).map(([name]) => name),
    ["transformer", "patch numbers", "tokenizer", "decoder", "encoder"],
  );
});

Deno.test("VAR: models of published sizes know ImageNet's classes", () => {
  const names = (config: Partial<VarConfig>): readonly string[] => classNamesOf(VAR.labels(config));
  for (const patchNumbers of Object.values(PUBLISHED_PATCH_NUMBERS)) {
    assertEquals(names({ classes: 1000, patchNumbers }), IMAGENET_CLASSES);
    assertEquals(names({ classes: 999, patchNumbers }), []);
  }
  assertEquals(names({ classes: 1000, patchNumbers: [1, 2, 3] }), []);
  assertEquals(names({ classes: 1000 }), []);
  assertEquals(VAR.labels({ classes: 5 }), { kind: "classes", count: 5, names: [] });
  assertEquals(VAR.labels({}), undefined);
});

Deno.test("VAR: names of published files tell the depth", () => {
  const { sizeOf, transformer, others } = VAR.published;
  const names = ["var_d16.pth", "var_d36-s.pth", "var_d016.pth", "vae_ch160v4096z32.pth", "my_var_d16.pth"];
  assertEquals(names.map(sizeOf), [16, undefined, undefined, undefined, undefined]);
  assertEquals([transformer(30), sizeOf("var_d30.pth")], ["var_d30.pth", 30]);
  assertEquals(transformer("2B"), undefined);
  assertEquals(others(30, VAR.published.repository), { vae: ["vae_ch160v4096z32.pth"] });
});
