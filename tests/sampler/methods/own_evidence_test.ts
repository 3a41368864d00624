import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import type { Model } from "../../../models/model.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import { judgeLanes, type LaneVerifier } from "../../../sampler/judging.ts";
import { costOf } from "../../../sampler/planned_cost.ts";
import { beamSearch } from "../../../sampler/methods/beam_search.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ownEvidence } from "../../../sampler/methods/own_evidence.ts";
import { ttsVar } from "../../../sampler/methods/tts_var.ts";
import type { ScaleStep } from "../../../sampler/step.ts";
import { changed, testOnModel, withGenerations } from "../models.ts";

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

/** Scores that a judge gives lanes after each scale, while they are rearranged. */
function recording(verifier: LaneVerifier, scores: number[][]): ScaleHook {
  return {
    name: `look of ${verifier.name}`,
    lanes: 3,
    async gather(step: ScaleStep) {
      await verifier.observe?.(step);
      scores.push([...await judgeLanes(step, verifier)]);
      return step.scale === 1 ? [2, 1, 0, 3, 3, 5] : undefined;
    },
  };
}

testOnModel(
  "tiny",
  "ownEvidence: of another model is what that model says of the tokens so far",
  async (model) => {
    const own: number[][] = [];
    const others: number[][] = [];
    const some: number[][] = [];
    const request = { labels: ["sea", "sky"], cfg: 3, seed: 4 };
    for (
      const [verifier, scores] of [
        [ownEvidence(), own],
        [ownEvidence({ model }), others],
        [ownEvidence({ scales: [1, -1] }), some],
      ] as const
    ) {
      await generate(model, { ...request, hooks: [recording(verifier, scores)] });
    }
    assertEquals(own.length, 4);
    for (const [scale, scores] of own.entries()) {
      for (const [lane, score] of scores.entries()) assertAlmostEquals(others[scale]![lane]!, score, 1e-4);
    }
    // The second scale counts from there on, after which lanes change places, and then the last one.
    assertEquals(some[0], [0, 0, 0, 0, 0, 0]);
    for (const [lane, score] of some[2]!.entries()) assertEquals(score, some[1]![[2, 1, 0, 3, 3, 5][lane]!]);
    assert(some[3]!.some((score, lane) => score !== some[2]![lane]));
  },
);

testOnModel(
  "tiny",
  "ownEvidence: of another model needs no guidance, and its passes are counted",
  async (model) => {
    const verifier = ownEvidence({ model });
    for (
      const search of [
        bestOfN({ samples: 3, verifier }),
        beamSearch({ beams: 1, width: 2, scales: [1], verifier }),
        ttsVar({ sizes: [3, 3, 2, 1], clusterScales: [], resampleScales: [1, 2], verifier }),
      ]
    ) {
      const request = { labels: ["sea"], cfg: 0, hooks: [search] };
      const { images, trace: { cost } } = await generate(model, request);
      assertEquals(images.length, 1);
      const { judgeFlops, judged } = await costOf(model, request);
      assertEquals([cost.judgeFlops, cost.judged], [judgeFlops, judged]);
      assert(judgeFlops! > 0);
    }
  },
);

testOnModel("tiny", "ownEvidence: another model chooses, whoever paints", async (model) => {
  // Its logits are turned round, so that it likes best what the painter likes least.
  const contrary = changed(
    withGenerations(model, (generation) => ({
      logits: async () => {
        const logits = await generation.logits();
        const values = (await readFloats(logits)).map((value) => -value);
        using negative = logits.device.upload(values);
        logits.device.copy(negative, logits, { length: values.length });
        return logits;
      },
    })),
    { name: "contrary" },
  );
  const verifier = ownEvidence({ model: contrary });
  assertEquals(verifier.name, "evidence of contrary");
  const choices = await Promise.all([verifier, ownEvidence({ model })].map(async (verifier) => {
    const hooks = [bestOfN({ samples: 6, verifier })];
    return (await generate(model, { labels: "sea", seed: 2, hooks })).images[0]!.attempt;
  }));
  assert(choices[0] !== choices[1]);
});

testOnModel("tiny", "ownEvidence: refuses a model of other tokens or labels", async (model) => {
  const asked = (other: Partial<Model>) => {
    const hooks = [bestOfN({ verifier: ownEvidence({ model: changed(model, other) }) })];
    return generate(model, { labels: "sea", hooks });
  };
  const { tokens } = model;
  await assertRejects(() => asked({ tokens: changed(tokens, { logits: 7 }) }), Error, "are not those of");
  await assertRejects(() => asked({ labels: { kind: "texts" } }), Error, "which takes texts");
});
