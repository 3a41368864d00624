import { assertEquals, assertThrows } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { findNetwork, nameHere, nameInFile } from "../../../models/vision/network_weights.ts";
import {
  inferSiglip,
  SIGLIP_LAYOUT,
  siglipFlops,
  siglipPreprocessing,
  siglipTensors,
} from "../../../models/vision/siglip_graph.ts";
import {
  type VisionTransformerConfig,
  visionTransformerFlops,
} from "../../../models/vision/vision_transformer.ts";
import { elementsOf } from "../../../models/weights/model_tensor.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { PUBLISHED, publishedFile } from "./published_networks.ts";

/** so400m/14 at 384 pixels. */
const SHAPED: VisionTransformerConfig = {
  prefix: "",
  layers: 27,
  width: 1152,
  heads: 16,
  hidden: 4304,
  activation: "tanh-gelu",
  epsilon: 1e-6,
  joined: false,
  layerScale: false,
  patch: 14,
  grid: 27,
  classToken: false,
  registers: 0,
  patchBias: true,
  firstNorm: false,
};

function setOf(config: VisionTransformerConfig): WeightSet {
  const tensors = siglipTensors(config).map(({ name, shape }) => [name, { shape, dtype: "F32" }] as const);
  return new WeightSet("siglip", new Map(tensors));
}

Deno.test("inferSiglip: the published sizes are read, and cost what the published ones do", () => {
  assertEquals(inferSiglip(setOf(SHAPED)), SHAPED);
  assertEquals(inferSiglip(setOf(SHAPED), { visualHeads: 12, activation: "gelu" }), {
    ...SHAPED,
    heads: 12,
    activation: "gelu",
  });
  // The tower of so400m has 428 million parameters.
  assertEquals(Math.round(elementsOf(siglipTensors(SHAPED)) / 1e6), 428);
  assertEquals(Math.round(visionTransformerFlops(SHAPED) / 1e9), 666);
  // The head's keys and values are 2 matrices for 729 tokens.
  assertEquals(Math.round(siglipFlops(SHAPED) / 1e9), 670);
  assertEquals(siglipPreprocessing(SHAPED).size, { width: 384, height: 384 });
  assertEquals(siglipPreprocessing({ ...SHAPED, patch: 16, grid: 14 }).size, { width: 224, height: 224 });
});

Deno.test("inferSiglip: a class token is refused", () => {
  const config = { ...SHAPED, classToken: true };
  assertThrows(() => inferSiglip(setOf(config)), ModelFileError, "tokens of patches only");
});

Deno.test("SIGLIP_LAYOUT: every published name has its place and comes back, and texts are left", async () => {
  const rename = (name: string): string =>
    name.includes("layers.1.mlp") ? name.replace("vision", "text") : name;
  using checkpoint = await openCheckpoint(await publishedFile("siglip", { rename }));
  const { tensors } = findNetwork("a SigLIP", checkpoint, [SIGLIP_LAYOUT]);
  assertEquals(tensors.has("blocks.0.mlp.fc1.weight"), true);
  assertEquals([...tensors.keys()].some((name) => name.includes("text")), false);
  for (const name of Object.keys(PUBLISHED.files.siglip!.shapes)) {
    const own = name.replace("vision_model.", "");
    assertEquals(nameInFile(SIGLIP_LAYOUT, nameHere(SIGLIP_LAYOUT, own)), own);
  }
});
