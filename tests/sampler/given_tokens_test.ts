import { assertEquals, assertRejects } from "@std/assert";
import { generate } from "../../sampler/generate.ts";
import { GivenTokens } from "../../sampler/given_tokens.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { costOf } from "../../sampler/planned_cost.ts";
import { ranking, sharedModel, testOnModel, tokensOf } from "./models.ts";

Deno.test("GivenTokens: lanes get the maps of their images, or all the same", () => {
  const each = new GivenTokens([[[1], [2, 3]], [[4], [5, 6]]]);
  assertEquals([each.scales, [...each.of(1, [1, 1, 0])]], [2, [5, 6, 5, 6, 2, 3]]);
  assertEquals([...new GivenTokens([[[7]]]).of(0, [0, 1, 2])], [7, 7, 7]);
  assertEquals(new GivenTokens([]).scales, 0);
});

for (const name of ["tiny", "texts"] as const) {
  testOnModel(
    name,
    `generate: what was begun until a scale is continued to the same (${name})`,
    async (model) => {
      const { patchNumbers: { length: scales } } = model;
      const labels = name === "tiny" ? ["sea", "Red Rock", null] : ["a red cube"];
      const request = { labels, seed: 5, cfg: 2, batch: 2 };
      const whole = await generate(model, request);
      for (const until of name === "tiny" ? [0, 1, scales - 2, -1] : [1]) {
        const begun = await generate(model, { ...request, until });
        const painted = until < 0 ? scales : until + 1;
        assertEquals(tokensOf(begun), tokensOf(whole).map((maps) => maps.slice(0, painted)));
        assertEquals(begun.trace.batches[0]!.scales.length, painted);
        const continued = await generate(model, {
          ...request,
          tokens: begun.images.map(({ tokens }) => tokens),
        });
        assertEquals(tokensOf(continued), tokensOf(whole));
        assertEquals(continued.images.map(({ data }) => data), whole.images.map(({ data }) => data));
      }
    },
  );
}

testOnModel("tiny", "generate: a picture that ends early is the preview after that scale", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 1 };
  const previews = new Map<number, unknown[]>();
  for await (const event of generate.stream(model, { ...request, previews: true })) {
    if (event.type === "preview") previews.set(event.scale, event.images.map(({ image }) => image.data));
  }
  for (const until of [0, 2]) {
    const { images } = await generate(model, { ...request, until });
    assertEquals(images.map(({ data }) => data), previews.get(until));
  }
});

testOnModel(
  "tiny",
  "generate: one list of given maps is for all images, and no hook acts there",
  async (model) => {
    const acted: number[] = [];
    const look: ScaleHook = { name: "look", choose: ({ scale }) => void acted.push(scale) };
    const given = [[3], [1, 2, 3, 47]];
    const { images, trace } = await generate(model, {
      labels: ["sea", "sky"],
      tokens: [given],
      hooks: [look],
    });
    for (const { tokens } of images) assertEquals(tokens.slice(0, 2).map((map) => [...map]), given);
    assertEquals(acted, [2, 3]);
    assertEquals([trace.readbacks, trace.cost.passes], [1, 8]);
    // Whatever is given, what is counted beforehand is what is counted.
    const hooks = [bestOfN({ samples: 3, verifier: ranking([1, 3, 2]) })];
    for (const more of [{ until: 2 }, { tokens: [given] }, { tokens: [given], until: 1 }]) {
      const request = { labels: ["sea", "sky"], hooks, ...more };
      const { trace: { cost } } = await generate(model, request);
      const { ratio: _, ...planned } = await costOf(model, request);
      assertEquals([cost.passes, cost.decodes, cost.judged, cost.flops], [
        planned.passes,
        planned.decodes,
        planned.judged,
        planned.flops,
      ]);
    }
  },
);

Deno.test({
  name: "generate: given tokens that fit no image, map or model are refused",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const model = await sharedModel("tiny", "cpu");
    const { liveArrays } = model.device.counters;
    const refuse = async (
      tokens: unknown,
      error: ErrorConstructor,
      message: string,
      more = {},
    ): Promise<void> => {
      const request = { labels: ["sea", "sky", "sand"], tokens: tokens as number[][][], ...more };
      await assertRejects(() => generate(model, request), error, `Cannot generate as ${message}`);
    };
    await refuse(3, TypeError, "tokens must be a list of token maps for each image: current value is 3");
    await refuse(
      [[], []],
      RangeError,
      "tokens must hold the maps of each of 3 images, or of one for all: current number is 2",
    );
    await refuse([3], TypeError, "tokens[0] must be a list of token maps: current value is 3");
    await refuse([[3]], TypeError, "tokens[0][0] must be a list of tokens: current value is 3");
    await refuse(
      [[[0], [1, 2]]],
      RangeError,
      "tokens[0][1] must hold 4 numbers for 2×2 tokens: current number is 2",
    );
    await refuse(
      [[[48]]],
      RangeError,
      "tokens[0][0][0] must be an integer from 0 to 47: current value is 48",
    );
    await refuse(
      [[[0.5]]],
      RangeError,
      "tokens[0][0][0] must be an integer from 0 to 47: current value is 0.5",
    );
    await refuse(
      [[[0]], [[0]], []],
      RangeError,
      "tokens must hold as many maps for each image, at most 4: tokens[2] holds 0",
    );
    await refuse(
      [[[0], [0, 0, 0, 0]]],
      RangeError,
      "tokens must hold as many maps for each image, at most 1: tokens[0] holds 2",
      { until: 0 },
    );
    await refuse(undefined, RangeError, "until must be an integer from -4 to 3: current value is 4", {
      until: 4,
    });
    assertEquals(model.device.counters.liveArrays, liveArrays);
    const texts = await sharedModel("texts", "cpu");
    const { words, logits } = texts.tokens;
    const bits = logits / 2 - 32 * (words - 1);
    const beyond = new Array<number>(words).fill(0).with(-1, 2 ** bits);
    await assertRejects(
      () => generate(texts, { labels: "a cube", tokens: [[beyond]] }),
      RangeError,
      `must be an integer from 0 to ${2 ** bits - 1}: current value is ${2 ** bits}`,
    );
  },
});
