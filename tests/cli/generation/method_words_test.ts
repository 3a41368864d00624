import { assertEquals } from "@std/assert";
import { describeMethod } from "../../../cli/generation/method_words.ts";
import { hooksOf, type MethodName, METHODS, standInsFor } from "../../../cli/options/search.ts";
import { sharedModel } from "../../sampler/models.ts";

/** What is said of a method's hook. */
async function wordsOf(name: MethodName, settings: Record<string, unknown> = {}): Promise<string> {
  const search = { methods: [{ name, settings }], verifier: "own", features: "latent" };
  const [hook] = hooksOf(search, standInsFor(search));
  return describeMethod(name, hook!.settings!, await sharedModel("tiny", "cpu"));
}

Deno.test("describeMethod: every method has words, of settings that are there", async () => {
  const said = Object.fromEntries(
    await Promise.all(METHODS.map(async (name) => [name, await wordsOf(name)] as const)),
  );
  assertEquals(said, {
    "adaptive-guidance": "adaptive guidance with eta 0 over maps",
    "prefix-guidance": "prefix guidance with weight 1 and 10 % of a prefix corrupted once",
    "spatial-guidance": "spatial guidance with strength 0.1",
    "var-scaling": "VAR-Scaling with 50 samples at scale 1",
    "tts-var": "TTS-VAR",
    "best-of-n": "best of 4",
    "beam": "beam search with 2 times 2",
  });
});

Deno.test("describeMethod: what was chosen is said", async () => {
  assertEquals(
    await wordsOf("adaptive-guidance", { eta: 0.5, normThreshold: 2, over: "position" }),
    "adaptive guidance with eta 0.5, up to 2 over positions",
  );
  assertEquals(
    await wordsOf("spatial-guidance", { strength: [0, 0.5, 1, 0], scales: [1, 2] }),
    "spatial guidance with strength 0, 0.5, 1, 0 at scales 1 and 2",
  );
  assertEquals(
    await wordsOf("prefix-guidance", { weight: 2, share: 0.25, corruption: "anew" }),
    "prefix guidance with weight 2 and 25 % of a prefix corrupted anew",
  );
  assertEquals(await wordsOf("tts-var", { preset: "published" }), "TTS-VAR as published");
  assertEquals(await wordsOf("tts-var", { multiple: 2 }), "TTS-VAR times 2");
});
