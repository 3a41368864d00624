/** What Infinity registers: its parts, its files by size, and what a person is told of it. */

import { assert, assertEquals } from "@std/assert";
import { FAMILIES } from "../../../models/families.ts";
import type { InfinityConfig } from "../../../models/infinity/config.ts";
import { INFINITY } from "../../../models/infinity/family.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import { BUNDLED_MODELS } from "../../../models/load.ts";
import { PUBLISHED, publishedTokenizer } from "./sizes.ts";

Deno.test("INFINITY: it is registered with a transformer, a tokenizer, and a text encoder that may be missing", () => {
  assert(FAMILIES.includes(INFINITY));
  assertEquals(INFINITY.parts.map(({ name, weights, optional = false }) => [name, weights, optional]), [
    ["infinity", "transformer", false],
    ["vae", "tokenizer", false],
    ["t5", "text_encoder", true],
  ]);
  assertEquals(INFINITY.loading, ["compute", "offload", "cacheDtype", "keepTextEncoder"]);
  assertEquals(Object.keys(INFINITY.options), [
    ...["pn", "aspect", "negativePrompt", "positivePrompt", "cfgInsertionLayer"],
  ]);
  assert(INFINITY.publishedHelp !== undefined);
});

Deno.test("INFINITY: each size has its transformer, the tokenizer that belongs to it, and one text encoder", () => {
  const { transformer, others, sizeOf, repository } = INFINITY.published;
  assertEquals(repository, "FoundationVision/Infinity");
  const tokenizers = {
    "125M": "infinity_vae_d16.pth",
    "2B": "infinity_vae_d32reg.pth",
    "8B": "infinity_vae_d56_f8_14_patchify.pth",
  };
  for (const [size, tokenizer] of Object.entries(tokenizers)) {
    const { vae, t5 } = others(size, INFINITY.published.repository);
    assertEquals(vae, [tokenizer]);
    assert([t5].flat().every((file) => typeof file === "object" && file.repository === "google/flan-t5-xl"));
    for (const file of [transformer(size)].flat()) assertEquals(sizeOf(file as string), size);
    const config = {
      ...PUBLISHED[size]!,
      scales: 7,
      patchify: size === "8B",
      tokenizer: publishedTokenizer(size),
    };
    assertEquals([INFINITY.size(config), INFINITY.modelName(config)], [size, `Infinity-${size}`]);
  }
  assertEquals(
    [transformer("20B"), others("20B", INFINITY.published.repository).vae, sizeOf("unknown.pth")],
    [undefined, [], undefined],
  );
});

Deno.test("INFINITY: the bundled model is told in words", async () => {
  using folder = await openModelFolder(BUNDLED_MODELS["demo-t2i"]!);
  const facts = Object.fromEntries(INFINITY.describe(folder.manifest.config as Partial<InfinityConfig>));
  assertEquals(facts["transformer"], "depth 4, width 192, 4 heads, 16 bits a token");
  assertEquals(facts["token maps"], "1×1, 2×2, 4×4, 6×6, 8×8");
  assertEquals(facts["pictures"], "usually 64×64");
  assertEquals(INFINITY.describe({}), []);
});
