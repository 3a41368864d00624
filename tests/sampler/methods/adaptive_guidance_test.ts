import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import type { Model } from "../../../models/model.ts";
import { generate } from "../../../sampler/generate.ts";
import type { ScaleHook } from "../../../sampler/hook.ts";
import {
  adaptiveGuidance,
  type AdaptiveGuidanceOptions,
} from "../../../sampler/methods/adaptive_guidance.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { spatialGuidance } from "../../../sampler/methods/spatial_guidance.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import type { GenerateRequest } from "../../../sampler/request.ts";
import { holdings, ranking, sharedModel, testOnModel, tokensOf } from "../models.ts";

/** Checks what the hook makes of each scale by the rule in float64; tells on how many it made something. */
async function checkRule(
  model: Model,
  request: GenerateRequest,
  options: Required<AdaptiveGuidanceOptions>,
): Promise<number> {
  let guided = 0;
  const look: ScaleHook = {
    name: "look",
    async guide(step) {
      const { lanes, positions, guidanceWeight: weight } = step;
      const vocabulary = step.model.tokens.logits;
      const conditional = await readFloats(step.conditional);
      const unconditional = step.unconditional && await readFloats(step.unconditional);
      const found = await readFloats(step.logits);
      if (unconditional === undefined || weight === 0) {
        assertEquals(found.subarray(0, conditional.length), conditional);
        return;
      }
      guided++;
      const rows = options.over === "map" ? lanes.length : lanes.length * positions;
      const length = conditional.length / rows;
      for (let row = 0; row < rows; row++) {
        const own = conditional.subarray(row * length, (row + 1) * length);
        const other = unconditional.subarray(row * length, (row + 1) * length);
        const wanted = exactRow(own, other, { ...options, weight });
        for (const [i, value] of wanted.entries()) {
          assertAlmostEquals(found[row * length + i]!, value, 2e-5, `${step.scale} ${row} ${i}`);
        }
      }
      assert(conditional.length === lanes.length * positions * vocabulary);
    },
  };
  await generate(model, { ...request, hooks: [adaptiveGuidance(options), look] });
  return guided;
}

/** The rule in float64. */
function exactRow(
  conditional: Float32Array,
  unconditional: Float32Array,
  { weight, eta, normThreshold }: Required<AdaptiveGuidanceOptions> & { readonly weight: number },
): number[] {
  let difference = Array.from(conditional, (value, i) => value - unconditional[i]!);
  const norm = (values: Iterable<number>): number => Math.hypot(...values);
  const longest = normThreshold * Math.sqrt(difference.length);
  const length = norm(difference);
  if (longest > 0 && length > longest) difference = difference.map((d) => d * longest / length);
  const size = norm(conditional);
  const along = difference.reduce((sum, d, i) => sum + d * conditional[i]! / size, 0);
  return difference.map((d, i) => {
    const parallel = along * conditional[i]! / size;
    return conditional[i]! + weight * (d - parallel + eta * parallel);
  });
}

testOnModel("tiny", "adaptiveGuidance: the rule on every scale that is guided", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 3, cfg: 3 };
  for (const over of ["map", "position"] as const) {
    // VAR's first scale is not.
    assertEquals(await checkRule(model, request, { eta: 0, normThreshold: 0, over }), 3);
    assertEquals(await checkRule(model, request, { eta: 0.4, normThreshold: 0.3, over }), 3);
  }
  assertEquals(await checkRule(model, { ...request, cfg: 0 }, { eta: 0, normThreshold: 0, over: "map" }), 0);
});

testOnModel("texts", "adaptiveGuidance: the rule on logits of bits", async (model) => {
  const request = { labels: "a red cube", seed: 2 };
  assertEquals(await checkRule(model, request, { eta: 0, normThreshold: 0.5, over: "map" }), 5);
  assertEquals(await checkRule(model, request, { eta: -1, normThreshold: 0, over: "position" }), 5);
});

testOnModel(
  "tiny",
  "adaptiveGuidance: with eta 1 and no threshold it is ordinary guidance",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 5, cfg: 2 };
    const plain = await generate(model, request);
    const same = await generate(model, { ...request, hooks: [adaptiveGuidance({ eta: 1 })] });
    assertEquals(tokensOf(same), tokensOf(plain));
    assertEquals(same.trace.dispatches, plain.trace.dispatches);
    // A threshold that is never reached does compute something, and the same.
    const far = await generate(model, {
      ...request,
      hooks: [adaptiveGuidance({ eta: 1, normThreshold: 1e5 })],
    });
    assertEquals(tokensOf(far), tokensOf(plain));
    const other = await generate(model, { ...request, hooks: [adaptiveGuidance()] });
    assertNotEquals(tokensOf(other), tokensOf(plain));
  },
);

testOnModel("tiny", "adaptiveGuidance: any batch, one readback, and nothing stays", async (model) => {
  for (const over of ["map", "position"] as const) {
    const hooks = [adaptiveGuidance({ normThreshold: 0.5, over })];
    const request = { labels: ["sea", "sky", "snow", "sand"], seed: 8, cfg: 4, hooks };
    const together = await generate(model, request);
    assertEquals(together.trace.readbacks, 1);
    const held = holdings(model);
    assertEquals(tokensOf(await generate(model, { ...request, batch: 1 })), tokensOf(together));
    assertEquals(holdings(model), held);
    const other = await sharedModel("tiny", "cpu");
    assertEquals(tokensOf(await generate(other, request)), tokensOf(together));
  }
});

testOnModel("tiny", "adaptiveGuidance: with spatial guidance, VAR-Scaling and Best-of-N", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 3, cfg: 3 };
  const hooks = [adaptiveGuidance(), spatialGuidance({ strength: 1 })];
  const alone = await generate(model, { ...request, hooks });
  // Who combines comes first, in whatever order they are given.
  assertEquals(
    tokensOf(await generate(model, { ...request, hooks: hooks.toReversed() })),
    tokensOf(alone),
  );
  const searched = await generate(model, {
    ...request,
    hooks: [
      ...hooks,
      varScaling({ scale: 1, samples: 8 }),
      bestOfN({ samples: 3, verifier: ranking([1, 3, 2]) }),
    ],
  });
  assertEquals(searched.images.map(({ lane }) => lane), [1, 1]);
  const first = [...hooks, bestOfN({ samples: 2, verifier: ranking([3, 2]) })];
  assertEquals(tokensOf(await generate(model, { ...request, hooks: first })), tokensOf(alone));
});

testOnModel("tiny", "adaptiveGuidance: two who combine are refused", async (model) => {
  const hooks = [adaptiveGuidance(), adaptiveGuidance({ eta: 0.5 })];
  await assertRejects(
    () => generate(model, { labels: 0, hooks }),
    TypeError,
    "one hook may combine the logits of a scale",
  );
});

Deno.test("adaptiveGuidance: bad options are refused", () => {
  const bad: [object, new () => Error, string][] = [
    [{ eta: NaN }, RangeError, "eta must be from -1024 to 1024: current value is NaN"],
    [{ eta: "0" }, TypeError, 'eta must be a number: current value is "0"'],
    [{ normThreshold: -0.1 }, RangeError, "normThreshold must be from 0 to 1048576: current value is -0.1"],
    [{ normThreshold: 1e-9 }, RangeError, "normThreshold must be 0 or at least 1e-6: current value is 1e-9"],
    [{ over: "batch" }, TypeError, 'over must be one of "map", "position": current value is "batch"'],
    [{ momentum: 0.5 }, TypeError, 'the option "momentum" is unknown: options are eta, normThreshold, over'],
  ];
  for (const [options, kind, message] of bad) {
    assertThrows(() => adaptiveGuidance(options), kind, `Cannot make the adaptive guidance as ${message}`);
  }
});
