import { assert, assertEquals, assertRejects } from "@std/assert";
import recorded from "../../fixtures/vision/reward.json" with { type: "json" };
import { type Device, type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import type { ResolvedLabel } from "../../../models/label.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { openTokenizer } from "../../../models/text/word_tokenizer.ts";
import { DESCRIPTION } from "../../../models/vision/described_network.ts";
import type { Network } from "../../../models/vision/network_kind.ts";
import { openOnnxNetwork } from "../../../models/vision/onnx_network.ts";
import type { FeatureExtractor, Verifier } from "../../../models/vision/verifier.ts";
import { testOnDevices } from "../../devices.ts";
import { packedPicture } from "../../vision_pictures.ts";

const DEMO = new URL("../../../models/demo_t2i/", import.meta.url);

type Both = Verifier & FeatureExtractor & AsyncDisposable;

async function openReward(device: Device): Promise<Both> {
  return await openOnnxNetwork(device, {
    place: (name) => name,
    read: (name) => Deno.readFile(new URL(name, DEMO)),
  }, DESCRIPTION) as Both;
}

/** Opens a graph that was built here, by a description. */
async function openBuilt(
  device: Device,
  graph: Uint8Array,
  description: object,
  others: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {},
): Promise<Network> {
  const files: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
    ...others,
    "own.onnx": new Uint8Array(graph),
    [DESCRIPTION]: new TextEncoder().encode(JSON.stringify({ network: "own.onnx", ...description })),
  };
  return await openOnnxNetwork(device, {
    place: (name) => `own/${name}`,
    read: (name) => Promise.resolve(files[name]!),
  }, DESCRIPTION);
}

const prompted = (prompt: string): ResolvedLabel => ({ id: null, name: prompt, prompt });
const classed = (id: number, name: string = `class ${id}`): ResolvedLabel => ({ id, name });

async function floatsOf(scores: DeviceArray | ArrayLike<number>): Promise<number[]> {
  return "device" in scores ? [...await readFloats(scores)] : Array.from(scores);
}

/** What a single-precision network of ten layers is off by, of values up to 10. */
const TOLERANCE = 2e-5;

function assertClose(found: readonly number[], expected: readonly number[], message?: string): void {
  assertEquals(found.length, expected.length, message);
  const worst = Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)));
  assert(worst <= TOLERANCE, `${message}: off by ${worst}`);
}

testOnDevices(`openOnnxNetwork: scores and features are those of ${recorded.by}`, async (device) => {
  await using network = await openReward(device);
  for (const { prompt, size: [width, height], score, first, last } of recorded.cases) {
    using array = device.upload(packedPicture(width!, height!));
    const pictures = { array, count: 1, width: width!, height: height! };
    const scores = await network.score(pictures, [prompted(prompt)]) as DeviceArray;
    using _scores = scores;
    assertClose(await floatsOf(scores), [score], prompt);
    using features = await network.features(pictures);
    assertEquals([features.tokens, features.channels, features.array.length], [64, 64, 64 * 64]);
    const values = [...await readFloats(features.array)];
    assertClose(values.slice(0, 64), first, prompt);
    assertClose(values.slice(-64), last, prompt);
  }
});

testOnDevices("openOnnxNetwork: nothing is read back, and nothing stays behind", async (device) => {
  const before = device.counters.liveArrays;
  {
    await using network = await openReward(device);
    using array = device.upload(new Uint32Array([...packedPicture(64, 64), ...packedPicture(64, 64)]));
    const pictures = { array, count: 2, width: 64, height: 64 };
    const { readbacks, liveArrays } = device.counters;
    const scores = await network.score(pictures, [
      prompted("a red cube"),
      prompted("a blue cone"),
    ]) as DeviceArray;
    using features = await network.features(pictures);
    assertEquals(device.counters.readbacks, readbacks);
    assertEquals(device.counters.liveArrays, liveArrays + 2);
    assertEquals([scores.length, features.array.length], [2, 2 * 64 * 64]);
    scores[Symbol.dispose]();
    await assertRejects(
      async () => await network.score(pictures, [prompted("a")]),
      RangeError,
      "2, one for each picture",
    );
    await assertRejects(
      async () => await network.score(pictures, [prompted("a"), { id: 3, name: "red cube" }]),
      RangeError,
      'Cannot judge pictures of "red cube" as the verifier "demo-t2i reward" needs a text, and the label is a class: give it a template, such as "a photo of a {label}"',
    );
    await assertRejects(
      async () => await network.score(pictures, [prompted("a"), { id: null, name: "null class" }]),
      RangeError,
      "needs a text: give labels that say what to paint",
    );
    const ended = AbortSignal.abort(new Error("Enough"));
    await assertRejects(
      async () => await network.score(pictures, [prompted("a"), prompted("b")], { signal: ended }),
      Error,
      "Enough",
    );
    await assertRejects(async () => await network.features(pictures, { signal: ended }), Error, "Enough");
    assertEquals(device.counters.liveArrays, liveArrays + 1);
  }
  assertEquals(device.counters.liveArrays, before);
});

/** Means of the colours, [n, 3], of pictures of 2 × 2; scaled. */
function means(batch: number | string = "n", factor = 1): Uint8Array {
  const graph = new GraphBuilder("means");
  const x = graph.input({ name: "x", type: "float32", shape: [batch, 3, 2, 2] });
  const mean = graph.add("ReduceMean", [x], { axes: [2, 3], keepdims: 0 });
  const scaled = graph.add("Mul", [mean, graph.constant("float32", [factor])]);
  graph.output({ name: "means", type: "float32", shape: [batch, 3] }, scaled);
  graph.output({ name: "planes", type: "float32", shape: [batch, 3, 2, 2] }, graph.add("Identity", [x]));
  graph.output(
    { name: "tokens", type: "float32", shape: [batch, "t", "c"] },
    graph.add("Transpose", [graph.reshape(x, [0, 0, -1])], { perm: [0, 2, 1] }),
  );
  graph.output(
    { name: "red", type: "float32", shape: [batch, 1] },
    graph.add("Slice", [scaled, ...[[0], [1], [1]].map((at) => graph.constant("int64", at))]),
  );
  return graph.bytes();
}

const IMAGE = { input: "x", size: 2, resize: "none" };

/** Pictures of 2 × 2 with one colour each. */
function plain(device: Device, colours: readonly number[]): DeviceArray {
  return device.upload(Uint32Array.from(colours.flatMap((colour) => [colour, colour, colour, colour])));
}

testOnDevices(
  "openOnnxNetwork: pictures go in few at a time where the network takes no more",
  async (device) => {
    const colours = Array.from({ length: 7 }, (_, i) => i * 30);
    using array = plain(device, colours);
    const pictures = { array, count: 7, width: 2, height: 2 };
    const labels = colours.map((_, i) => classed(i));
    for (const [batch, more] of [["n", {}], ["n", { batch: 3 }], [1, {}]] as const) {
      const description = {
        image: IMAGE,
        score: "red",
        features: { output: "tokens", layout: "tokens", channels: 3, skip: 1 },
        ...more,
      };
      await using network = await openBuilt(device, means(batch), description) as Both;
      assertEquals(network.needsPrompt, false);
      using scores = await network.score(pictures, labels) as DeviceArray;
      assertClose(await floatsOf(scores), colours.map((colour) => colour / 255));
      using features = await network.features(pictures);
      assertEquals([features.tokens, features.channels], [3, 3]);
      const expected = colours.flatMap((colour) => [1, 2, 3].flatMap(() => [colour / 255, 0, 0]));
      assertClose([...await readFloats(features.array)], expected);
    }
  },
);

testOnDevices("openOnnxNetwork: features of every layout become rows of channels", async (device) => {
  // Places that differ: red counts them, green counts pictures.
  using array = device.upload(Uint32Array.from({ length: 8 }, (_, i) => i % 4 | (i >> 2) << 8));
  const pictures = { array, count: 2, width: 2, height: 2 };
  const rows = Array.from({ length: 8 }, (_, i) => [i % 4 / 255, (i >> 2) / 255, 0]).flat();
  for (const layout of ["planes", "tokens"] as const) {
    const features = { output: layout, layout, ...layout === "tokens" ? { channels: 3 } : {} };
    await using network = await openBuilt(device, means(), { image: IMAGE, features }) as Both;
    assertEquals("score" in network, false);
    using found = await network.features(pictures);
    assertEquals([found.tokens, found.channels], [4, 3]);
    assertClose([...await readFloats(found.array)], rows, layout);
  }
  const description = { image: IMAGE, features: { output: "means", layout: "vector" } };
  await using network = await openBuilt(device, means(), description) as Both;
  using found = await network.features(pictures);
  assertEquals([found.tokens, found.channels], [1, 3]);
  assertClose([...await readFloats(found.array)], [1.5 / 255, 0, 0, 1.5 / 255, 1 / 255, 0]);
});

testOnDevices(
  "openOnnxNetwork: a classifier scores by the probability of the label's class",
  async (device) => {
    const colours = [0x0000ff, 0x00ff00, 0x8040c0, 0x000000];
    using array = plain(device, colours);
    const pictures = { array, count: 4, width: 2, height: 2 };
    const labels = [classed(0), classed(0), classed(2), classed(1)];
    const values = colours.map((colour) =>
      [colour & 255, colour >> 8 & 255, colour >> 16].map((v) => v / 255)
    );
    const expected = {
      // 400 makes all other probabilities less than float32 can hold.
      logits: (row: number[], i: number) => row[i]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)),
      probabilities: (row: number[], i: number) => Math.log(row[i]!),
      logProbabilities: (row: number[], i: number) => row[i]!,
    };
    for (const [kind, score] of Object.entries(expected)) {
      const classes = { output: "means", values: kind };
      await using network = await openBuilt(device, means(), { image: IMAGE, classes }) as Both;
      using scores = await network.score(pictures, labels) as DeviceArray;
      const found = await floatsOf(scores);
      for (const [i, label] of labels.entries()) {
        const wanted = score(values[i]!, label.id!);
        if (Number.isFinite(wanted)) assertClose([found[i]!], [wanted], kind);
        else assertEquals(found[i], wanted);
      }
      await assertRejects(
        async () => await network.score(pictures, [...labels.slice(1), classed(3)]),
        RangeError,
        'Cannot judge pictures of "class 3" as the verifier "own" knows a class from 0 to 2 only',
      );
    }
    await using sure = await openBuilt(device, means("n", 400), {
      image: IMAGE,
      classes: { output: "means" },
    }) as Both;
    using certain = await sure.score(pictures, labels) as DeviceArray;
    assertClose((await floatsOf(certain)).slice(0, 2), [0, -400]);
    const named = { output: "means", names: ["Red", "green", "blue"] };
    await using byName = await openBuilt(device, means(), { image: IMAGE, classes: named }) as Both;
    using scores = await byName.score(pictures, [
      classed(9, "red"),
      classed(9, "GREEN"),
      classed(9, "blue"),
      classed(9, "red"),
    ]) as DeviceArray;
    assertClose((await floatsOf(scores)).slice(0, 2), [
      expected.logits([1, 0, 0], 0),
      expected.logits([0, 1, 0], 1),
    ]);
    await assertRejects(
      async () => await byName.score(pictures, [...labels.slice(1), classed(0, "pink")]),
      RangeError,
      "knows one of the 3 classes only",
    );
  },
);

testOnDevices(
  "openOnnxNetwork: texts go in as ids and a mask, those of classes by the template",
  async (device) => {
    // What comes out is a number in which both can be read.
    const graph = new GraphBuilder("texts");
    const x = graph.input({ name: "x", type: "float32", shape: ["n", 3, 2, 2] });
    const sum = (name: string, factor: number): string => {
      const ids = graph.input({ name, type: "int64", shape: ["n", 5] });
      const total = graph.add("ReduceSum", [
        graph.add("Cast", [ids], { to: 1 }),
        graph.constant("int64", [1]),
      ], {
        keepdims: 0,
      });
      return graph.add("Mul", [total, graph.constant("float32", [factor])]);
    };
    const seen = graph.add("ReduceMean", [x], { axes: [1, 2, 3], keepdims: 0 });
    const read = graph.add("Add", [sum("ids", 1), sum("mask", 1000)]);
    graph.output({ name: "score", type: "float32", shape: ["n"] }, graph.add("Add", [read, seen]));
    const tokenizer = await Deno.readFile(new URL("../../fixtures/text/bert.json", import.meta.url));
    const { encode } = await openTokenizer(tokenizer, "bert.json", { length: 5 });
    const description = {
      image: IMAGE,
      text: { input: "ids", tokenizer: "bert.json", length: 5, pad: 7, mask: "mask" },
      template: "red {label}",
      score: "score",
    };
    await using network = await openBuilt(device, graph.bytes(), description, {
      "bert.json": tokenizer,
    }) as Both;
    assertEquals(network.needsPrompt, true);
    using array = plain(device, [0, 0, 0xffffff]);
    const pictures = { array, count: 3, width: 2, height: 2 };
    const texts = ["red", "red cube", "a photo of two red cubes"];
    const labels = [prompted(texts[0]!), classed(4, "cube"), prompted(texts[2]!)];
    using scores = await network.score(pictures, labels) as DeviceArray;
    const expected = texts.map((text, i) => {
      const { ids, count } = encode(text);
      return ids.reduce((a, b) => a + b, 0) + (5 - count) * 7 + 1000 * count + (i === 2 ? 1 : 0);
    });
    assertEquals(await floatsOf(scores), expected);
  },
);

Deno.test("openOnnxNetwork: a network that is not as it is described is refused with what it has", async () => {
  const { CpuDevice } = await import("../../../kernels/device/cpu_device.ts");
  using device = new CpuDevice();
  const cases: [change: object, words: string][] = [
    [{ image: { ...IMAGE, input: "y" } }, 'expected an input "y", found "x"'],
    [
      { image: { ...IMAGE, size: 4 } },
      'expected float32 [pictures, 3, 4, 4] as "x", found float32 [n, 3, 2, 2]',
    ],
    [{ score: "none" }, 'expected a float32 output "none", found "means", "planes", "tokens", "red"'],
    [{ features: { output: "tokens", layout: "tokens" } }, 'or "features.channels" in the description'],
    [
      { features: { output: "planes", layout: "planes", channels: 4 } },
      'expected 4 channels of "planes", found 3',
    ],
    [{ text: { input: "ids", tokenizer: "text_tokenizer.json", length: 4 } }, 'expected an input "ids"'],
  ];
  const tokenizer = await Deno.readFile(new URL("text_tokenizer.json", DEMO));
  for (const [change, words] of cases) {
    const description = { network: "own.onnx", image: IMAGE, score: "red", ...change };
    const error = await assertRejects(
      () =>
        openOnnxNetwork(device, {
          place: (name) => `own/${name}`,
          read: (name) => {
            if (name === "text_tokenizer.json") return Promise.resolve(tokenizer);
            const bytes = name === DESCRIPTION
              ? new TextEncoder().encode(JSON.stringify(description))
              : new Uint8Array(means());
            return Promise.resolve(bytes);
          },
        }, DESCRIPTION),
      ModelFileError,
      words,
    );
    assertEquals(error.file, "own/own.onnx");
  }
  const two = { image: IMAGE, score: "red" };
  await assertRejects(
    () => openBuilt(device, means(2), two),
    ModelFileError,
    "one or any number of pictures, found 2",
  );
  await assertRejects(
    () => openBuilt(device, new Uint8Array([1, 2]), two),
    ModelFileError,
    "expected an ONNX model",
  );
  await using planes = await openBuilt(device, means(), { image: IMAGE, score: "planes" }) as Both;
  using array = plain(device, [0]);
  await assertRejects(
    async () => await planes.score({ array, count: 1, width: 2, height: 2 }, [classed(0)]),
    ModelFileError,
    'expected one score for each picture, found 12 numbers as "planes"',
  );
  await assertRejects(
    async () => await planes.score({ array, count: 1, width: 4, height: 1 }, [classed(0)]),
    RangeError,
    "must be 2×2 pixels",
  );
});

Deno.test("openOnnxNetwork: its fingerprint changes with each of its files", async () => {
  const { CpuDevice } = await import("../../../kernels/device/cpu_device.ts");
  using device = new CpuDevice();
  const description = { image: IMAGE, score: "red" };
  await using one = await openBuilt(device, means(), description);
  await using same = await openBuilt(device, means(), description);
  await using network = await openBuilt(device, means("n", 2), description);
  await using words = await openBuilt(device, means(), { ...description, batch: 3 });
  assertEquals(one.fingerprint, same.fingerprint);
  assertEquals(new Set([one, network, words].map(({ fingerprint }) => fingerprint)).size, 3);
});
