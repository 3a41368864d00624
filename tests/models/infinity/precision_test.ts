/** The type of each tensor, over all names of the published models. */

import { assertEquals } from "@std/assert";
import { tokenizerTensors, transformerTensors } from "../../../models/infinity/config.ts";
import { storedDtype } from "../../../models/infinity/precision.ts";
import { PUBLISHED, publishedTokenizer } from "./sizes.ts";

/** How many of a model's tensors have each type. */
function countOf(name: string, dtype: "f32" | "f16" | "q8" | "q4"): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const tensor of transformerTensors(PUBLISHED[name]!)) {
    const stored = storedDtype(tensor.name, tensor.shape, dtype);
    counts[stored] = (counts[stored] ?? 0) + 1;
  }
  return counts;
}

Deno.test("storedDtype: seven weights of each block are integers, and the head keeps eight bits", () => {
  for (const [name, { depth }] of Object.entries(PUBLISHED)) {
    const total = transformerTensors(PUBLISHED[name]!).length;
    assertEquals(countOf(name, "f32"), { f32: total });
    // sa: mat_qkv, proj; ca: mat_q, mat_kv, proj; ffn: fc1, fc2.
    assertEquals(countOf(name, "q8").q8, 7 * depth + 1);
    assertEquals([countOf(name, "q4").q4, countOf(name, "q4").q8], [7 * depth, 1]);
  }
});

Deno.test("storedDtype: what is small or precious stays f32, the tokenizer is never of integers", () => {
  const precious = /(bias|norm\.weight|scale_mul_1H11|pos_start)$/;
  for (const [name, config] of Object.entries(PUBLISHED)) {
    for (const dtype of ["f16", "q8", "q4"] as const) {
      for (const tensor of transformerTensors(config)) {
        const stored = storedDtype(tensor.name, tensor.shape, dtype);
        if (precious.test(tensor.name) && tensor.shape.length === 1 && tensor.shape[0]! < 16384) {
          assertEquals(stored, "f32", tensor.name);
        }
      }
      for (const tensor of tokenizerTensors(publishedTokenizer(name))) {
        const stored = storedDtype(tensor.name, tensor.shape, dtype);
        assertEquals(stored === "f32" || stored === "f16", true, tensor.name);
      }
    }
  }
});
