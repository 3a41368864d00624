/** Parts that do not belong together, told by what either has. */

import { assertEquals, assertThrows } from "@std/assert";
import { requireSameCodes } from "../../../models/class_conditional/codes.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";

Deno.test("requireSameCodes: parts that speak of other codes are told by both numbers", () => {
  const shapes = { "head.bias": [96], "word_embed.weight": [128, 16] };
  const transformer = new WeightSet(
    "var.pth",
    new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "F32" }])),
  );
  const tokenizer = new WeightSet("vae.pth", new Map());
  requireSameCodes(transformer, tokenizer, { vocabulary: 96, channels: 16, width: 128 });
  const refusal = (vocabulary: number, channels: number): ModelFileError => {
    return assertThrows(
      () => requireSameCodes(transformer, tokenizer, { vocabulary, channels, width: 128 }),
      ModelFileError,
    );
  };
  assertEquals(
    refusal(16, 16).message,
    "Cannot make a model of these parts as the tokenizer has 16 codes, the transformer 96: vae.pth " +
      "(expected 96 codes, as the transformer in var.pth has, found 16)",
  );
  assertEquals(
    refusal(96, 8).message,
    "Cannot make a model of these parts as the tokenizer has 8 channels in a code, the transformer 16: " +
      "vae.pth (expected 16 channels in a code, as the transformer in var.pth has, found 8)",
  );
});
