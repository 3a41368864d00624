import { assertEquals, assertRejects } from "@std/assert";
import { followTokens } from "../../../evaluation/analyses/followed_tokens.ts";
import { generate } from "../../../sampler/generate.ts";
import { testOnModel, tokensOf } from "../../sampler/models.ts";

testOnModel(
  "tiny",
  "followTokens: lanes follow their tokens, and draw their own after them",
  async (model) => {
    const request = { labels: ["sea", "sky", "snow"], seed: 3 };
    const plain = await generate(model, request);
    const other = await generate(model, { ...request, seed: 4 });
    // The first follows two scales of another picture, the second none, the third all.
    const kept = [2, 0, 4];
    for (const batch of [1, 2, 8]) {
      const hooks = [followTokens(({ image }) => other.images[image]!.tokens.slice(0, kept[image]))];
      const followed = tokensOf(await generate(model, { ...request, batch, hooks }));
      assertEquals(followed[0]!.slice(0, 2), tokensOf(other)[0]!.slice(0, 2));
      assertEquals(followed[1], tokensOf(plain)[1]);
      assertEquals(followed[2], tokensOf(other)[2]);
    }
  },
);

testOnModel("tiny", "followTokens: one's own tokens change nothing", async (model) => {
  const request = { labels: ["sea"], seed: 3 };
  const plain = await generate(model, request);
  for (const scales of [1, 2, 4]) {
    const hooks = [followTokens(() => plain.images[0]!.tokens.slice(0, scales))];
    assertEquals(tokensOf(await generate(model, { ...request, hooks })), tokensOf(plain));
  }
});

testOnModel("tiny", "followTokens: a map of another size is refused", async (model) => {
  const hooks = [followTokens(() => [new Uint32Array(1), new Uint32Array(3)])];
  await assertRejects(
    () => generate(model, { labels: ["sea"], hooks }),
    RangeError,
    "Cannot follow tokens as a token map of scale 1 must be of 4 words: current value is 3",
  );
});
