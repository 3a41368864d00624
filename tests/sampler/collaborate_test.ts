import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Device } from "../../kernels/device/device.ts";
import { loadModel } from "../../models/load.ts";
import type { Model } from "../../models/model.ts";
import { publishedVarModels } from "../../models/var/published.ts";
import { collaborate, type CollaborateRequest, PUBLISHED_COLLABORATION } from "../../sampler/collaborate.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { prefixGuidance } from "../../sampler/methods/prefix_guidance.ts";
import { varScaling } from "../../sampler/methods/var_scaling.ts";
import { changed, randomCheckpoints, sharedModel, testOnModel, TINY_NAMES, tokensOf } from "./models.ts";

const REQUEST = { labels: ["sea", "sky", "snow"], seed: 5, cfg: 1 };

/** The tiny model with the same tokenizer and another transformer: all of its blocks share their norm. */
async function loadOther(device: Device): Promise<Model> {
  const sizes = { patchNumbers: [1, 2, 3, 4], classes: 5, vocabulary: 48, residuals: 2, levels: 2 };
  const tokenizer = await randomCheckpoints({ ...sizes, shared: false, encoder: false });
  const transformer = await randomCheckpoints({ ...sizes, shared: true, encoder: false });
  return await loadModel({ var: transformer.var, vae: tokenizer.vae }, { device, classNames: TINY_NAMES });
}

testOnModel("tiny", "collaborate: one model in both places paints what it paints alone", async (model) => {
  const alone = await generate(model, REQUEST);
  for (const from of [0, 1, 3, 4, -1]) {
    const { images, trace } = await collaborate(model, model, { ...REQUEST, from });
    assertEquals(tokensOf({ images }), tokensOf(alone), `from ${from}`);
    assertEquals(images.map(({ data }) => data), alone.images.map(({ data }) => data));
    const drafted = from < 0 ? from + 4 : from % 4;
    assertEquals(trace.cost.passes, 3 * (4 + drafted));
    assertEquals([trace.cost.decodes, trace.readbacks], [3, drafted === 0 ? 1 : 2]);
  }
});

testOnModel(
  "tiny",
  "collaborate: each model draws its scales, and hooks act on each scale once",
  async (model) => {
    await using refiner = await loadOther(model.device);
    const drafted = await generate(model, REQUEST);
    const refined = await generate(refiner, REQUEST);
    const both = await collaborate(model, refiner, { ...REQUEST, from: 2 });
    const until = (images: { tokens: readonly Uint32Array[] }[]): unknown => {
      return images.map(({ tokens }) => tokens.slice(0, 2));
    };
    assertEquals(until([...both.images]), until([...drafted.images]));
    assertNotEquals(until([...both.images]), until([...refined.images]));
    // What comes next is what the refiner draws where it is given these tokens.
    const tokens = drafted.images.map(({ tokens }) => tokens.slice(0, 2));
    const given = await generate(refiner, { ...REQUEST, tokens });
    assertEquals(tokensOf(both), tokensOf(given));
    assertEquals(both.images.map(({ data }) => data), given.images.map(({ data }) => data));
    assertNotEquals(tokensOf(both), tokensOf(drafted));
    const { cost } = both.trace;
    const flops = model.flops!(model.schedule({ cfg: 1 }));
    const own = refiner.flops!(refiner.schedule({ cfg: 1 }));
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    const transformer = flops.condition + sum(flops.scales.slice(0, 2)) + own.condition + sum(own.scales);
    assertEquals(cost.transformerFlops, 3 * transformer);
    assertEquals(cost.decoderFlops, given.trace.cost.decoderFlops);
    assertEquals(both.trace.batches.map(({ scales }) => scales.length), [2, 4]);

    const hooks: ScaleHook[] = [varScaling({ scale: [1, 3], samples: 6 }), prefixGuidance({ weight: 1 })];
    const hooked = await collaborate(model, refiner, { ...REQUEST, from: 2, hooks });
    assertEquals(hooked.images[2]!.decisions.map(({ hook, scale }) => [hook, scale]), [
      ["var-scaling", 1],
      ["var-scaling", 3],
    ]);
    assertEquals(hooked.images[2]!.attempts[0]!.decisions, hooked.images[2]!.decisions);
    // An image is what it is in any batch.
    const alone = { ...REQUEST, from: 2, hooks, labels: ["snow"], indices: [2] };
    assertEquals(tokensOf(await collaborate(model, refiner, alone))[0], tokensOf(hooked)[2]);
  },
);

testOnModel(
  "tiny",
  "collaborate: models that are loaded for it are unloaded when their turn is over",
  async (model) => {
    const { device } = model;
    const before = device.counters.liveArrays;
    const seen: string[] = [];
    const load = (name: string) => async (): Promise<Model> => {
      seen.push(`${name} among ${device.counters.liveArrays - before > 0 ? "others" : "none"}`);
      return await loadOther(device);
    };
    const request = { ...REQUEST, from: 2 };
    const found = await collaborate(load("drafter"), load("refiner"), request);
    assertEquals(seen, ["drafter among none", "refiner among none"]);
    assertEquals(device.counters.liveArrays, before);
    assertEquals(tokensOf(found), tokensOf(await collaborate(load("a"), model, { ...REQUEST, from: 4 })));
  },
);

testOnModel("tiny", "collaborate: streams what each model does, and ends with the signal", async (model) => {
  const scales: number[] = [];
  const images: number[] = [];
  for await (const event of collaborate.stream(model, model, { ...REQUEST, from: 2, previews: [3] })) {
    if (event.type === "scale") scales.push(event.scale);
    if (event.type === "image") images.push(event.image.index);
  }
  assertEquals([scales, images], [[0, 1, 0, 1, 2, 3], [0, 1, 2]]);
  const controller = new AbortController();
  const events: string[] = [];
  await assertRejects(
    async () => {
      const request = { ...REQUEST, from: 2, signal: controller.signal };
      for await (const event of collaborate.stream(model, model, request)) {
        events.push(event.type);
        if (event.type === "scale" && events.length > 4) controller.abort(new Error("enough"));
      }
    },
    Error,
    "enough",
  );
  assertEquals(events.at(-1), "aborted");
});

Deno.test("collaborate: what the published pair costs is counted", () => {
  const models = new Map(publishedVarModels().map((model) => [model.name, model]));
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b);
  const { from } = PUBLISHED_COLLABORATION;
  /** Of the transformer's work of a large model, and of all its work. */
  const shares = (drafter: string, refiner: string): number[] => {
    const [large, small] = [models.get(drafter)!, models.get(refiner)!];
    const drafted = sum(large.scales.slice(0, from)) + sum(small.scales);
    const { decoder } = large;
    return [drafted / sum(large.scales), (drafted + decoder) / (sum(large.scales) + decoder)];
  };
  assertEquals(shares("VAR-d24", "VAR-d16").map((share) => share.toFixed(3)), ["0.671", "0.721"]);
  assertEquals(shares("VAR-d30", "VAR-d16").map((share) => share.toFixed(3)), ["0.525", "0.566"]);
});

Deno.test("collaborate: models that do not go together are refused, with the reason", async () => {
  const [tiny, demo, texts] = await Promise.all([
    sharedModel("tiny", "cpu"),
    sharedModel("demo", "cpu"),
    sharedModel("texts", "cpu"),
  ]);
  const refuses = (drafter: Model, refiner: Model, message: string, more: CollaborateRequest = {}) => {
    const request = { labels: drafter === texts ? "a red cube" : 0, from: 2, ...more };
    return assertRejects(() => collaborate(drafter, refiner, request), RangeError, message);
  };
  await refuses(tiny, texts, "are of different families, var and infinity: use two of one tokenizer");
  await refuses(tiny, demo, "have other tokens, with 48 and 512 logits");
  const labels = { ...tiny.labels, count: 3 } as Model["labels"];
  await refuses(tiny, changed(tiny, { labels }), "know 5 and 3 classes");
  const schedule: Model["schedule"] = (request) => {
    const made = tiny.schedule(request);
    return { ...made, scales: made.scales.slice(0, 3) };
  };
  await refuses(tiny, changed(tiny, { schedule }), "have other maps, 1 2 3 4 and 1 2 3");
  const { array, ...sizes } = tiny.tokens.codebook!;
  using elsewhere = new CpuDevice();
  using codes = elsewhere.upload(new Float32Array(array.length).fill(0.5));
  const tokens = changed(tiny.tokens, { codebook: { ...sizes, array: codes } });
  await refuses(tiny, changed(tiny, { tokens }), "have other codebooks");
  const fingerprints = { ...texts.fingerprints, "tokenizer.safetensors": "0".repeat(64) };
  await refuses(texts, changed(texts, { fingerprints }), "have tokenizers of different files");
  await refuses(tiny, tiny, "from must be an integer from -4 to 4: current value is 5", { from: 5 });
});

Deno.test("collaborate: what only one model could do is refused", async () => {
  const model = await sharedModel("tiny", "cpu");
  const refuses = (more: object, message: string): Promise<unknown> => {
    return assertRejects(() => collaborate(model, model, more as CollaborateRequest), TypeError, message);
  };
  await refuses({ tokens: [] }, "Cannot generate with two models and tokens: the drafter gives them");
  await refuses({ until: 2 }, "and until: all scales are drawn");
  await refuses({ edit: {} }, "and edit: what is kept would have to be encoded by both");
  await refuses({ moreSmooth: true }, "and moreSmooth: what is drafted are tokens, not mixed vectors");
  const gather = { name: "mine", gather: () => undefined };
  await refuses({ hooks: [gather] }, 'and the hook "mine": it rearranges lanes');
  await refuses({ from: "2" }, "from must be a number");
  await refuses({ refineFrom: 2 }, "refineFrom");
});
