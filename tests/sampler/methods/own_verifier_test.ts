import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { ResolvedLabel } from "../../../models/label.ts";
import { type OwnVerifierOptions, verifierOf } from "../../../sampler/methods/own_verifier.ts";
import { testOnDevices } from "../../devices.ts";
import { packedPicture } from "../../vision_pictures.ts";

const LABELS: readonly ResolvedLabel[] = ["one", "two"].map((name, id) => ({ id, name }));

testOnDevices("verifierOf: a function sees every picture with its label, at one readback", async (device) => {
  const seen: unknown[] = [];
  const own = verifierOf({
    name: "own",
    score: (images, labels) => {
      for (const [i, { width, height, data }] of images.entries()) {
        seen.push([width, height, [...new Uint32Array(data.slice().buffer)], labels[i]!.name]);
      }
      return Promise.resolve([3, 4]);
    },
  });
  const pictures = [0, 1].map((i) => packedPicture(3, 2).map((word) => (word + i) >>> 0));
  using array = device.upload(Uint32Array.from(pictures.flatMap((words) => [...words])));
  const { readbacks } = device.counters;
  assertEquals(await own.score({ array, count: 2, width: 3, height: 2 }, LABELS), [3, 4]);
  assertEquals(device.counters.readbacks, readbacks + 1);
  assertEquals(seen, pictures.map((words, i) => [3, 2, [...words], LABELS[i]!.name]));
});

testOnDevices(
  "verifierOf: what a function throws comes through, and so does the signal's reason",
  async (device) => {
    using array = device.allocate(2);
    const pictures = { array, count: 2, width: 1, height: 1 };
    const broken = verifierOf({ name: "broken", score: () => Promise.reject(new Error("No idea")) });
    await assertRejects(async () => await broken.score(pictures, LABELS), Error, "No idea");
    const never = verifierOf({ name: "never", score: () => [] });
    const signal = AbortSignal.abort(new Error("Enough"));
    await assertRejects(async () => await never.score(pictures, LABELS, { signal }), Error, "Enough");
  },
);

Deno.test("verifierOf: what is said of a function is handed on, or refused", () => {
  const score = (): number[] => [];
  const { needsPrompt, smallestEdge } = verifierOf({
    name: "own",
    score,
    needsPrompt: true,
    smallestEdge: 32,
  });
  assertEquals([needsPrompt, smallestEdge], [true, 32]);
  assertEquals(verifierOf({ name: "own", score }).needsPrompt, false);
  const cases: [options: object, words: string][] = [
    [{ score }, "name must be a text: current value is undefined"],
    [{ name: "own" }, "score must be a function: current value is undefined"],
    [{ name: "own", score, needsPrompt: 1 }, "needsPrompt must be a boolean: current value is 1"],
    [{ name: "own", score, prompt: true }, 'the option "prompt" is unknown'],
  ];
  for (const [options, words] of cases) {
    assertThrows(() => verifierOf(options as OwnVerifierOptions), TypeError, words);
  }
  assertThrows(
    () => verifierOf({ name: "own", score, smallestEdge: 0 }),
    RangeError,
    "smallestEdge must be an integer >= 1",
  );
});
