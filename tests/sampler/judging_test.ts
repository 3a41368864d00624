import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import type { Device } from "../../kernels/device/device.ts";
import type { Model } from "../../models/model.ts";
import type { FeatureExtractor, Features, Pictures, Scores, Verifier } from "../../models/vision/verifier.ts";
import { generate } from "../../sampler/generate.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import { describeLanes, judgeLanes, VerifierError } from "../../sampler/judging.ts";
import { bestOfN } from "../../sampler/methods/best_of.ts";
import { testOnModel, TINY_PATCH_NUMBERS, tokensOf } from "./models.ts";

const LAST = TINY_PATCH_NUMBERS.length - 1;

/** A verifier of one's own. */
function verifierOf(score: Verifier["score"], facts: Partial<Verifier> = {}): Verifier {
  return { name: "own", needsPrompt: false, ...facts, score };
}

/** The best of three by a verifier. */
async function bestOfThree(model: Model, verifier: Verifier, signal?: AbortSignal): Promise<void> {
  const hooks = [bestOfN({ samples: 3, verifier })];
  await generate(model, { labels: ["sea", "sky"], hooks, ...(signal && { signal }) });
}

testOnModel("tiny", "judgeLanes: a verifier sees each lane's picture and label, once", async (model) => {
  const seen: { pictures: Pictures; labels: string[] }[] = [];
  const verifier = verifierOf((pictures, labels) => {
    seen.push({ pictures: { ...pictures }, labels: labels.map(({ name }) => name) });
    return [1, 3, 2, 5, 4, 6];
  }, { flops: 10 });
  const { images, trace } = await generate(model, {
    labels: ["sea", "sky"],
    hooks: [bestOfN({ samples: 3, verifier })],
  });
  assertEquals(images.map(({ lane }) => lane), [1, 2]);
  assertEquals(seen.length, 1);
  const [{ pictures, labels }] = seen as [typeof seen[0]];
  assertEquals([pictures.count, pictures.width, pictures.height], [6, 8, 8]);
  assertEquals(labels, ["sea", "sea", "sea", "sky", "sky", "sky"]);
  const { passes, decodes, judged, judgeFlops } = trace.cost;
  assertEquals([passes, decodes, judged, judgeFlops], [6 * (LAST + 1), 6, 6, 60]);
  // The scores were on the host, so pictures and tokens at the end are the only readback.
  assertEquals(trace.readbacks, 1);
});

testOnModel("tiny", "judgeLanes: the pictures judged last are those that come back", async (model) => {
  let words: Uint32Array | undefined;
  const verifier = verifierOf(async ({ array }) => {
    [words] = await array.device.read([array]);
    return [0, 1, 0];
  });
  const { images: [image] } = await generate(model, {
    labels: "sea",
    hooks: [bestOfN({ samples: 3, verifier })],
  });
  assertEquals(new Uint32Array(image!.data.buffer, image!.data.byteOffset, 64), words!.subarray(64, 128));
});

testOnModel(
  "tiny",
  "judgeLanes: scores on the device come back in one readback and are freed",
  async (model) => {
    const { device } = model;
    const verifier = verifierOf(() => device.upload(new Float32Array([0, 2, 1]), "scores"));
    const live = device.counters.liveArrays;
    const { images: [image], trace } = await generate(model, {
      labels: "sea",
      hooks: [bestOfN({ samples: 3, verifier })],
    });
    assertEquals(image!.lane, 1);
    assertEquals(trace.readbacks, 2);
    assertEquals(device.counters.liveArrays, live);
  },
);

testOnModel(
  "tiny",
  "judgeLanes: whatever a verifier does wrong is said, and nothing stays behind",
  async (model) => {
    const { device } = model;
    const live = device.counters.liveArrays;
    const cases: [(device: Device) => unknown, string][] = [
      [() => {
        throw new TypeError("no eyes");
      }, 'Cannot judge the lanes of scale 3 as "own" failed: no eyes'],
      [() => Promise.reject("a text"), 'as "own" failed: "a text"'],
      [() => [1, 2], 'what "own" gives must be a number for each of 6 lanes: current value is "2 numbers"'],
      [() => [1, 2, 3, 4, 5, "6"], 'must be a number for each of 6 lanes: current value is "6"'],
      [() => undefined, "must be a number for each of 6 lanes: current value is undefined"],
      [() => 3, "must be a number for each of 6 lanes: current value is 3"],
      [(device) => device.allocate(7), 'current value is "7 numbers"'],
      [(device) => {
        const array = device.allocate(6, "freed scores");
        array[Symbol.dispose]();
        return array;
      }, 'as "own" failed: Cannot use "freed scores" as it has been disposed'],
    ];
    for (const [score, message] of cases) {
      const verifier = verifierOf(() => score(device) as Scores);
      const error = await assertRejects(() => bestOfThree(model, verifier), VerifierError);
      assertStringIncludes(error.message, message);
      assertEquals(error.verifier, "own");
      assertEquals(device.counters.liveArrays, live);
    }
    const error = await assertRejects(() =>
      bestOfThree(
        model,
        verifierOf(() => {
          throw new TypeError("no eyes");
        }),
      )
    );
    assertInstanceOf((error as Error).cause, TypeError);
  },
);

testOnModel(
  "tiny",
  "judgeLanes: NaN and infinities are ordered: NaN last, ties to the lower lane",
  async (model) => {
    for (
      const [scores, lane] of [
        [[NaN, -Infinity, NaN], 0],
        [[NaN, -1e300, NaN], 1],
        [[1, Infinity, Infinity], 1],
        [[0, 0, 0], 0],
        [[NaN, NaN, NaN], 0],
      ] as const
    ) {
      const hooks = [bestOfN({ samples: 3, verifier: verifierOf(() => scores) })];
      const { images: [image] } = await generate(model, { labels: "sea", hooks });
      assertEquals(image!.lane, lane, `${scores}`);
    }
  },
);

testOnModel("tiny", "judgeLanes: a signal ends a verifier that never answers", async (model) => {
  const { device } = model;
  const live = device.counters.liveArrays;
  const controller = new AbortController();
  const late = Promise.withResolvers<Scores>();
  const told: (AbortSignal | undefined)[] = [];
  const verifier = verifierOf((_pictures, _labels, options) => {
    told.push(options?.signal);
    controller.abort(new Error("enough"));
    return late.promise;
  });
  await assertRejects(() => bestOfThree(model, verifier, controller.signal), Error, "enough");
  assert(told[0] === controller.signal);
  // What it brings in the end is freed.
  late.resolve(device.allocate(6, "late scores"));
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(device.counters.liveArrays, live);
});

testOnModel("tiny", "describeLanes: features come to the host, of the lanes as they are", async (model) => {
  const { device } = model;
  const live = device.counters.liveArrays;
  const extractor = (length: number): FeatureExtractor => ({
    name: "numbers",
    features: ({ count }) => {
      const array = device.upload(Float32Array.from({ length: count * length }, (_, i) => i), "features");
      return { array, tokens: 2, channels: 3, [Symbol.dispose]: () => array[Symbol.dispose]() };
    },
  });
  let values: number[] = [];
  await generate(model, {
    labels: "sea",
    hooks: [{
      name: "look",
      scales: [1],
      gather: async (step) => {
        values = [...(await describeLanes(step, extractor(6))).values];
        return undefined;
      },
    }],
  });
  assertEquals(values, [0, 1, 2, 3, 4, 5]);
  const hook = {
    name: "look",
    gather: async (step: Parameters<typeof describeLanes>[0]) => {
      await describeLanes(step, extractor(5));
      return undefined;
    },
  };
  const error = await assertRejects(() => generate(model, { labels: "sea", hooks: [hook] }), VerifierError);
  assertStringIncludes(error.message, 'must be 1 × 2 × 3 numbers: current value is "5 numbers"');
  assertEquals(device.counters.liveArrays, live);
});

testOnModel(
  "tiny",
  "describeLanes: what are no features is said, and nothing stays behind",
  async (model) => {
    const { device } = model;
    const made = (length: number, facts: Partial<Features>, value = 0): Features => {
      const array = device.upload(new Float32Array(length).fill(value), "features");
      return { array, tokens: 1, channels: 2, [Symbol.dispose]: () => array[Symbol.dispose](), ...facts };
    };
    const sized = (tokens: number): Features => made(100, { tokens });
    const cases: [() => unknown, string][] = [
      [() => undefined, "features, with an array on the device: current value is undefined"],
      [
        () => ({ array: new Float32Array(8), tokens: 1, channels: 2 }),
        "features, with an array on the device",
      ],
      [() => ({ ...sized(1), array: new Float32Array(8) }), "features, with an array on the device"],
      [() => sized(NaN), "must be 2 × NaN × 2 numbers"],
      [() => sized(0), "must be 2 × 0 × 2 numbers"],
      [() => sized(-1), "must be 2 × -1 × 2 numbers"],
      [() => sized(1.5), "must be 2 × 1.5 × 2 numbers"],
      [() => made(4, {}, NaN), 'what "odd" gives must be finite numbers: current value is NaN'],
      [() => made(4, {}, -Infinity), "must be finite numbers: current value is -Infinity"],
    ];
    for (const [features, message] of cases) {
      const odd: FeatureExtractor = { name: "odd", features: () => features() as Features };
      const hook: ScaleHook = {
        name: "look",
        gather: async (step) => void await describeLanes(step, odd),
      };
      const request = { labels: ["sea", "sky"], hooks: [hook] };
      const error = await assertRejects(() => generate(model, request), VerifierError);
      assertStringIncludes(error.message, message);
    }
  },
);

testOnModel("tiny", "judgeLanes: a verifier that spoils what it gets spoils no picture", async (model) => {
  const verifier = verifierOf((_, labels) => {
    for (const label of labels) Object.assign(label, { id: 0, name: "spoiled" });
    return labels.map(() => 0);
  });
  const { images: [image] } = await generate(model, {
    labels: "sky",
    hooks: [bestOfN({ samples: 2, verifier })],
  });
  assertEquals(image!.label, model.resolveLabel("sky"));
  // Pictures are lent: whoever frees them ends the generation, and nothing else.
  const frees = verifierOf(({ array }) => {
    array[Symbol.dispose]();
    return [0, 1, 2, 3, 4, 5];
  });
  await assertRejects(
    () => bestOfThree(model, frees),
    TypeError,
    'Cannot use "pixels" as it has been disposed',
  );
});

testOnModel("tiny", "judgeLanes: judging changes nothing of the pictures", async (model) => {
  const request = { labels: ["sea", "sky"], seed: 5 };
  const plain = await generate(model, request);
  const look = {
    name: "look",
    gather: async (step: Parameters<typeof judgeLanes>[0]) => {
      await judgeLanes(step, verifierOf((_, labels) => labels.map(() => 0)));
      return undefined;
    },
  };
  const judged = await generate(model, { ...request, hooks: [look] });
  assertEquals(tokensOf(judged), tokensOf(plain));
  assertEquals(judged.images.map(({ data }) => data), plain.images.map(({ data }) => data));
});
