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
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ownEvidence } from "../../../sampler/methods/own_evidence.ts";
import { spatialGuidance } from "../../../sampler/methods/spatial_guidance.ts";
import { ttsVar } from "../../../sampler/methods/tts_var.ts";
import { varScaling } from "../../../sampler/methods/var_scaling.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import type { GenerateRequest } from "../../../sampler/request.ts";
import { spatialPrior } from "../../spatial_prior.ts";
import { holdings, ranking, sharedModel, testOnModel, tokensOf } from "../models.ts";

/** A hook that keeps the guided logits of each scale. */
function looking(seen: Float32Array[]): ScaleHook {
  return {
    name: "look",
    async guide({ logits, lanes, positions, model }) {
      const all = await readFloats(logits);
      seen.push(all.subarray(0, lanes.length * positions * model.tokens.logits));
    },
  };
}

/** Checks what the hook makes of each scale by the rule in float64. */
async function checkRule(
  model: Model,
  request: GenerateRequest,
  strengths: readonly number[],
): Promise<void> {
  const [before, after]: [Float32Array[], Float32Array[]] = [[], []];
  const hooks = [looking(before), spatialGuidance({ strength: strengths }), looking(after)];
  const { images } = await generate(model, { ...request, hooks });
  const { scales } = model.schedule({});
  const vocabulary = model.tokens.logits;
  for (const [scale, { width, height }] of scales.entries()) {
    const strength = scale === 0 ? 0 : strengths[scale]!;
    if (strength === 0) {
      assertEquals(after[scale], before[scale]);
      continue;
    }
    const from = scales[scale - 1]!;
    const sizes = [from.width * from.height * vocabulary, width * height * vocabulary] as const;
    for (const lane of images.keys()) {
      const coarse = before[scale - 1]!.subarray(lane * sizes[0], (lane + 1) * sizes[0]);
      const prior = spatialPrior(coarse, { from, to: { width, height }, vocabulary });
      for (const [i, value] of prior.entries()) {
        const logit = before[scale]![lane * sizes[1] + i]!;
        const wanted = logit + strength * (logit - value);
        assertAlmostEquals(after[scale]![lane * sizes[1] + i]!, wanted, 2e-5, `${scale} ${lane} ${i}`);
      }
    }
  }
}

testOnModel("tiny", "spatialGuidance: each scale against the one before, as it was guided", async (model) => {
  await checkRule(model, { labels: ["sea", "sky"], seed: 2 }, [9, 0.5, 0.25, 1]);
  // Without guidance, and where a scale in between is left alone.
  await checkRule(model, { labels: "sea", cfg: 0 }, [0, 0.5, 0, 1]);
});

testOnModel("texts", "spatialGuidance: the logits of both values of a bit", async (model) => {
  await checkRule(model, { labels: "a red cube", seed: 2 }, [0, 0.5, 0.25, 1, 0.1]);
});

testOnModel(
  "tiny",
  "spatialGuidance: of strength 0 it changes nothing, and computes nothing",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 5 };
    const plain = await generate(model, request);
    for (const hook of [spatialGuidance({ strength: 0 }), spatialGuidance({ strength: [1, 0, 0, 0] })]) {
      const none = await generate(model, { ...request, hooks: [hook] });
      assertEquals(tokensOf(none), tokensOf(plain));
      assertEquals(none.images.map(({ data }) => data), plain.images.map(({ data }) => data));
      assertEquals(none.trace.dispatches, plain.trace.dispatches);
    }
  },
);

testOnModel(
  "tiny",
  "spatialGuidance: a number falls in equal steps, and only its scales are moved",
  async (model) => {
    const request = { labels: ["sea", "sky", "snow"], seed: 1 };
    const found = async (...hooks: ScaleHook[]) => tokensOf(await generate(model, { ...request, hooks }));
    assertEquals(
      await found(spatialGuidance({ strength: 1.5 })),
      await found(spatialGuidance({ strength: [0, 1.5, 1, 0.5] })),
    );
    assertEquals(
      await found(spatialGuidance({ strength: 3, scales: [2, -1] })),
      await found(spatialGuidance({ strength: [0, 0, 2, 1] })),
    );
    assertNotEquals(await found(spatialGuidance({ strength: 3 })), await found());
  },
);

testOnModel("tiny", "spatialGuidance: any batch, one readback, and nothing stays", async (model) => {
  const request = {
    labels: ["sea", "sky", "snow", "sand"],
    seed: 8,
    hooks: [spatialGuidance({ strength: 2 })],
  };
  const together = await generate(model, request);
  assertEquals(together.trace.readbacks, 1);
  // A first time, for what the device keeps of the sizes that there are.
  await generate(model, { ...request, batch: 1 });
  const held = holdings(model);
  assertEquals(tokensOf(await generate(model, { ...request, batch: 1 })), tokensOf(together));
  assertEquals(holdings(model), held);
  // What a device draws is the same: the tokens of the other one.
  const other = await sharedModel("tiny", "cpu");
  assertEquals(tokensOf(await generate(other, request)), tokensOf(together));
});

testOnModel("tiny", "spatialGuidance: what is remembered follows the lanes", async (model) => {
  const spatial = spatialGuidance({ strength: 2 });
  const request = { labels: ["sea", "sky"], seed: 3 };
  const three: ScaleHook = { name: "three", lanes: 3, gather: () => undefined };
  const { images: still } = await generate(model, { ...request, hooks: [spatial, three] });
  /** Lanes change places and are dropped, image by image. */
  const moving: ScaleHook = {
    name: "moving",
    lanes: 3,
    gather: ({ scale }) => scale === 0 ? [2, 0, 1, 5, 4, 3] : scale === 1 ? [1, 0, 5] : undefined,
  };
  const { images: moved } = await generate(model, { ...request, hooks: [spatial, moving] });
  assertEquals(moved.length, 3);
  for (const { index, lane, tokens } of moved) {
    assertEquals(tokens, still.find((it) => it.index === index && it.lane === lane)!.tokens);
  }
});

testOnModel("tiny", "spatialGuidance: with VAR-Scaling, Best-of-N and TTS-VAR", async (model) => {
  const spatial = spatialGuidance({ strength: 2 });
  const request = { labels: ["sea", "sky"], seed: 3, cfg: 2 };
  const alone = await generate(model, { ...request, hooks: [spatial] });
  const scaled = await generate(model, {
    ...request,
    hooks: [spatial, varScaling({ scale: 1, samples: 8 })],
  });
  // Scale 0 is as ever, and what is chosen on scale 1 is chosen among what the moved logits give.
  assertEquals(tokensOf(scaled).map((maps) => maps[0]), tokensOf(alone).map((maps) => maps[0]));
  assertEquals(scaled.images[0]!.decisions.length, 1);
  const first = await generate(model, {
    ...request,
    hooks: [spatial, bestOfN({ samples: 3, verifier: ranking([3, 2, 1]) })],
  });
  assertEquals(tokensOf(first), tokensOf(alone));
  const schedule = { sizes: [4, 3, 2, 1], clusterScales: [1], resampleScales: [2] };
  const searched = await generate(model, {
    ...request,
    hooks: [spatial, ttsVar({ ...schedule, verifier: ownEvidence() })],
  });
  assertEquals(searched.images.length, 2);
});

testOnModel(
  "tiny",
  "spatialGuidance: after given tokens, the first scale has nothing before it",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 6 };
    const plain = await generate(model, request);
    const tokens = plain.images.map(({ tokens }) => tokens.slice(0, 2));
    const hooks = [spatialGuidance({ strength: 4 })];
    const found = await generate(model, { ...request, tokens, hooks });
    const maps = (all: number[][][], ...scales: number[]) =>
      all.map((image) => scales.map((scale) => image[scale]));
    assertEquals(maps(tokensOf(found), 0, 1, 2), maps(tokensOf(plain), 0, 1, 2));
    assertNotEquals(maps(tokensOf(found), 3), maps(tokensOf(plain), 3));
    const until = await generate(model, { ...request, until: 2, hooks });
    const whole = await generate(model, { ...request, hooks });
    assertEquals(tokensOf(until), tokensOf(whole).map((image) => image.slice(0, 3)));
  },
);

testOnModel("coded", "spatialGuidance: an edit keeps what it keeps", async (model) => {
  const size = model.schedule({}).picture.width;
  const data = Uint8Array.from({ length: 4 * size * size }, (_, i) => (i * 37) % 256);
  const image = new RgbaImage(size, size, data as Uint8Array<ArrayBuffer>);
  const request = { labels: [0, 1], seed: 4, edit: { image, box: [0, 0, 0.5, 0.5] as const } };
  const plain = await generate(model, request);
  const found = await generate(model, { ...request, hooks: [spatialGuidance({ strength: 4 })] });
  const last = plain.images[0]!.tokens.length - 1;
  const width = model.schedule({}).scales[last]!.width;
  const kept = (tokens: readonly Uint32Array[]) => tokens[last]!.filter((_, i) => i % width >= width / 2 + 1);
  for (const [i, { tokens }] of found.images.entries()) {
    assertEquals(kept(tokens), kept(plain.images[i]!.tokens));
    assert(kept(tokens).length > 0);
  }
});

testOnModel(
  "tiny",
  "spatialGuidance: forbidden tokens stay forbidden, and have no say in others",
  async (model) => {
    const forbid: ScaleHook = {
      name: "forbid",
      guide(step) {
        const { model, positions, lanes } = step;
        const vocabulary = model.tokens.logits;
        // The lower half of the vocabulary may not be drawn.
        const row = new Float32Array(vocabulary / 2).fill(-Infinity);
        for (let i = 0; i < positions * lanes.length; i++) {
          step.device.write(
            step.logits,
            row,
            i * vocabulary,
          );
        }
      },
    };
    const { images } = await generate(model, {
      ...{ labels: ["sea", "sky"], seed: 2, cfg: 2 },
      hooks: [forbid, spatialGuidance({ strength: 1 })],
    });
    for (const { tokens } of images) {
      for (const map of tokens) assert(map.every((token) => token >= model.tokens.logits / 2));
    }
  },
);

Deno.test("spatialGuidance: bad options are refused", () => {
  const bad: [object, new () => Error, string][] = [
    [{ strength: -1 }, RangeError, "strength must be from 0 to 1024: current value is -1"],
    [{ strength: [0, NaN] }, RangeError, "strength[1] must be from 0 to 1024: current value is NaN"],
    [{ strength: "1" }, TypeError, "strength must be a number or a list of numbers"],
    [{ scales: [] }, RangeError, "scales must be a list of at least one scale"],
    [{ scales: [0.5] }, RangeError, "a scale must be an integer from -1000 to 1000"],
    [{ beta: 1 }, TypeError, 'the option "beta" is unknown: options are strength, scales'],
  ];
  for (const [options, kind, message] of bad) {
    assertThrows(() => spatialGuidance(options), kind, `Cannot make the spatial guidance as ${message}`);
  }
});

testOnModel(
  "tiny",
  "spatialGuidance: what a model's scales do not have is refused before it paints",
  async (model) => {
    const refused = (hook: ScaleHook, message: string) =>
      assertRejects(() => generate(model, { labels: 0, hooks: [hook] }), RangeError, message);
    await refused(
      spatialGuidance({ scales: [4] }),
      "Cannot guide by the scale before as a scale must be an integer from -4 to 3: current value is 4",
    );
    await refused(
      spatialGuidance({ strength: [0, 1, 1] }),
      "Cannot guide by the scale before as strength must hold a number for each of 4 scales: current number is 3",
    );
  },
);
