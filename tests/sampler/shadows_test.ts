/**
 * Shadows against what attention does not care about: a scale whose embeddings change places gives the logits
 * of the places they came from, and the scales after it notice nothing.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { readFloats } from "../../kernels/device/device.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { costOf } from "../../sampler/planned_cost.ts";
import type { ShadowOptions } from "../../sampler/shadow_options.ts";
import type { ScaleStep } from "../../sampler/step.ts";
import { ranking, testOnModel, tokensOf } from "./models.ts";

/** What differs at most between logits that are the same but for the order of sums. */
const ROUNDING = 1e-4;

/** Positions in opposite order, of all lanes. */
function mirrored({ width, height, lanes }: { width: number; height: number; lanes: number }): Uint32Array {
  const positions = width * height;
  return Uint32Array.from({ length: lanes * positions }, (_, i) => positions - 1 - i % positions);
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

/** Rows of a scale's logits, taken from the position that `mirrored` names. */
function mirrorRows(logits: Float32Array, { lanes, positions }: ScaleStep, vocabulary: number): number[] {
  return Array.from({ length: logits.length }, (_, at) => {
    const [row, i] = [Math.floor(at / vocabulary), at % vocabulary];
    const [lane, position] = [Math.floor(row / positions), row % positions];
    assert(lane < lanes.length);
    return logits[(lane * positions + positions - 1 - position) * vocabulary + i]!;
  });
}

/** A hook that compares its shadow's logits with those of the batch. */
function comparing(
  options: (step: ScaleStep) => ShadowOptions,
  compare: (own: Float32Array, shadow: Float32Array, step: ScaleStep) => void,
  scales?: readonly number[],
): ScaleHook {
  return {
    name: "compare",
    shadows: 1,
    ...(scales && { scales }),
    async guide(step) {
      compare(await readFloats(step.logits), await readFloats(await step.shadow(options(step))), step);
    },
  };
}

testOnModel(
  "tiny",
  "ScaleStep: shadow: without sources they see what the batch sees, bit by bit",
  async (model) => {
    const request = { labels: ["sea", "sky", "sand"], seed: 2, cfg: 2, batch: 2 };
    const plain = await generate(model, request);
    const thin = bestOfN({ samples: 2, verifier: ranking([1, 2]) });
    for (const fresh of [false, true]) {
      for (const scales of [undefined, [1, 3]]) {
        let compared = 0;
        const hook = comparing(() => ({ fresh }), (own, shadow) => {
          assertEquals(shadow, own);
          compared++;
        }, scales);
        const { images, trace } = await generate(model, { ...request, hooks: [hook] });
        assertEquals([tokensOf({ images }), compared], [
          tokensOf(plain),
          2 * (scales ?? [0, 1, 2, 3]).length,
        ]);
        // 3 lanes through 4 scales, and their shadows: all scales so far when fresh, or those not gone
        // through.
        const more = scales === undefined ? (fresh ? 1 + 2 + 3 + 4 : 4) : fresh ? 2 + 4 : 4;
        assertEquals(trace.cost.passes, 3 * (4 + more));
        await generate(model, { ...request, hooks: [hook, thin] });
      }
    }
  },
);

testOnModel("tiny", "ScaleStep: shadow: lanes that are rearranged keep theirs", async (model) => {
  const turn: ScaleHook = { name: "turn", scales: [0, 1, 2], lanes: 3, gather: () => [2, 0, 0, 1] };
  const last: ScaleHook = { name: "last", scales: [3], gather: () => [1] };
  const hook = comparing(() => ({}), (own, shadow) => assertEquals(shadow, own));
  await generate(model, { labels: "sea", hooks: [hook, turn, last], seed: 8 });
});

testOnModel(
  "tiny",
  "ScaleStep: shadow: moved embeddings give the logits of where they came from",
  async (model) => {
    for (const moved of [1, 2, 3]) {
      const hook = comparing(
        () => ({ sources: (scale) => scale.scale === moved ? mirrored(scale) : undefined }),
        (own, shadow, step) => {
          const wanted = step.scale === moved ? mirrorRows(own, step, model.tokens.logits) : own;
          assert(largestDifference(shadow, wanted) < ROUNDING);
        },
      );
      await generate(model, { labels: ["sea", "sky"], cfg: 1.5, hooks: [hook] });
    }
    // Where embeddings are lost instead of moved, the scales after it do notice.
    const differences: number[] = [];
    const hook = comparing(
      () => ({
        sources: ({ scale, width, height, lanes }) => {
          return scale === 1 ? new Uint32Array(width * height * lanes) : undefined;
        },
      }),
      (own, shadow) => void differences.push(largestDifference(shadow, own)),
    );
    await generate(model, { labels: ["sea", "sky"], cfg: 1.5, hooks: [hook] });
    assertEquals(differences[0], 0);
    assert(differences.slice(1).every((difference) => difference > 10 * ROUNDING));
  },
);

testOnModel(
  "tiny",
  "ScaleStep: shadow: a fresh one moves earlier scales anew, another keeps them",
  async (model) => {
    const asked: string[] = [];
    for (const fresh of [false, true]) {
      const hook = comparing(
        ({ scale: at }) => ({ fresh, sources: ({ scale }) => void asked.push(`${fresh} ${at} ${scale}`) }),
        () => {},
        [1, 2],
      );
      await generate(model, { labels: "sea", hooks: [hook] });
    }
    assertEquals(asked, [
      ...["false 1 0", "false 1 1", "false 2 2"],
      ...["true 1 0", "true 1 1", "true 2 0", "true 2 1", "true 2 2"],
    ]);
  },
);

testOnModel(
  "tiny",
  "ScaleStep: shadow: their cost is counted beforehand, and they need a plan for it",
  async (model) => {
    const hook = comparing(() => ({}), () => {});
    const planned: ScaleHook = {
      ...hook,
      plan: ({ scales }) =>
        scales.map((_, scale) => ({ scale, lanes: (n) => n, looks: [], reruns: [scale] })),
    };
    const request = { labels: ["sea", "sky"], hooks: [planned] };
    const { trace: { cost } } = await generate(model, request);
    const { passes, flops, ratio } = await costOf(model, request);
    assertEquals([passes, flops], [cost.passes, cost.flops]);
    assert(ratio! > 1.5 && ratio! < 2);
    await assertRejects(
      () => costOf(model, { hooks: [hook] }),
      TypeError,
      'Cannot tell the cost as the hook "compare" must say in plan how often its shadow runs: it has no plan',
    );
  },
);

testOnModel(
  "tiny",
  "ScaleStep: shadow: sources that fit no scale are refused, and nothing is left behind",
  async (model) => {
    const hook = comparing(() => ({ sources: () => new Uint32Array(3) }), () => {}, [1]);
    await assertRejects(
      () => generate(model, { labels: "sea", hooks: [hook] }),
      RangeError,
      "Cannot move positions as sources must hold one for each of 1 × 4 positions: current number is 3",
    );
    const plain = comparing(() => ({}), () => {}, [1]);
    await assertRejects(
      () => generate(model, { labels: "sea", hooks: [plain], moreSmooth: true }),
      RangeError,
      'Cannot generate with moreSmooth and the hook "compare"',
    );
    // One that does not say beforehand that it has one is refused where it asks.
    const { shadows: _unsaid, ...silent } = plain;
    await assertRejects(
      () => generate(model, { labels: "sea", hooks: [silent], moreSmooth: true }),
      RangeError,
      "Cannot run a shadow with moreSmooth",
    );
  },
);
