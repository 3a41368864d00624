import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import type { Model } from "../../../models/model.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { judgeLanes } from "../../../sampler/judging.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ownEvidence } from "../../../sampler/methods/own_evidence.ts";
import type { ScaleStep } from "../../../sampler/step.ts";
import { testOnModel } from "../models.ts";

/** Σ log p(tokens | label) - log p(tokens), by feeding them to the model anew, in float64. */
async function evidenceOf(model: Model, label: string, maps: readonly Uint32Array[]): Promise<number> {
  const { device, tokens: { logits: vocabulary } } = model;
  using generation = await model.start({ labels: [model.resolveLabel(label)], guided: true });
  let sum = 0;
  for (const map of maps) {
    using array = await generation.logits();
    const logits = await readFloats(array);
    for (const [row, sign] of [[0, 1], [1, -1]] as const) {
      for (const [position, token] of map.entries()) {
        const begin = (row * map.length + position) * vocabulary;
        const values = [...logits.subarray(begin, begin + vocabulary)];
        const most = Math.max(...values);
        const total = values.reduce((sum, value) => sum + Math.exp(value - most), 0);
        sum += sign * (values[token]! - most - Math.log(total));
      }
    }
    using tokens = device.upload(map);
    generation.accept(tokens);
  }
  return sum;
}

testOnModel("tiny", "ownEvidence: what the tokens gain by the label, over all scales", async (model) => {
  const scores: number[][] = [];
  const verifier = ownEvidence();
  const look: ScaleHook = {
    name: "look",
    lanes: 3,
    async gather(step: ScaleStep) {
      await verifier.observe!(step);
      if (step.scale === 3) scores.push([...await judgeLanes(step, verifier)]);
      // The first image's lanes change places, the second's first goes on twice.
      return step.scale === 1 ? [2, 1, 0, 3, 3, 5] : undefined;
    },
  };
  const { images } = await generate(model, { labels: ["sea", "sky"], cfg: 3, seed: 4, hooks: [look] });
  assertEquals(images.length, 6);
  const expected: number[] = [];
  for (const { label, tokens } of images) expected.push(await evidenceOf(model, label.name, tokens));
  const found = [...scores[0]!].sort((a, b) => a - b);
  expected.sort((a, b) => a - b);
  for (const [i, value] of expected.entries()) assertAlmostEquals(found[i]!, value, 1e-4);
  assert(new Set(found).size > 3);
});

testOnModel("demo", "ownEvidence: is more for the label than for another", async (model) => {
  const search = bestOfN({ samples: 4, verifier: ownEvidence() });
  const { images: [image], trace } = await generate(model, { labels: "red torus", hooks: [search] });
  const scores = image!.attempts.map(({ decisions }) => (decisions[0]!.value as { score: number }).score);
  assertEquals(scores[image!.attempt], Math.max(...scores));
  assertEquals(trace.cost.decodes, 1);
  assertEquals(trace.readbacks, 2);
  const own = await evidenceOf(model, "red torus", image!.tokens);
  assertAlmostEquals(scores[image!.attempt]!, own, 1e-3 * Math.abs(own));
  assert(own > await evidenceOf(model, "blue cone", image!.tokens) + 10);
});

testOnModel("tiny", "ownEvidence: without guidance there is none", async (model) => {
  const hooks = [bestOfN({ verifier: ownEvidence() })];
  await assertRejects(
    () => generate(model, { labels: 0, cfg: 0, hooks }),
    RangeError,
    "set cfg so that it guides",
  );
});
