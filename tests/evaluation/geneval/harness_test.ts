import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { ColorClassifier } from "../../../evaluation/geneval/colors.ts";
import type { Detector } from "../../../evaluation/geneval/detector.ts";
import {
  asksForColors,
  type GenEvalPicture,
  judgeName,
  judgePictures,
  requireKnown,
  scorePictures,
} from "../../../evaluation/geneval/harness.ts";
import { type Detection, GENEVAL_RULES } from "../../../evaluation/geneval/rules.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

const dog: Detection = { label: "dog", score: 0.5, box: [1, 2, 3, 4] };
const red = { tag: "colors", include: [{ class: "dog", count: 1, color: "red" }], prompt: "a red dog" };
const one = { tag: "single_object", include: [{ class: "dog", count: 1 }], prompt: "a dog" };

/** A detector that finds the same in every picture, and notes how many it is shown at once. */
function detectorOf(...found: Detection[]): Detector & { readonly shown: number[] } {
  const shown: number[] = [];
  return {
    ...{
      name: "eyes",
      fingerprint: "0123456789abcdef",
      labels: ["dog", "cup"],
      rules: GENEVAL_RULES,
      batch: 2,
      shown,
    },
    detect: (pictures) => {
      shown.push(pictures.length);
      return Promise.resolve(pictures.map(() => found));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Sees one colour everywhere, and notes of what it is asked. */
function colorsOf(color: string): ColorClassifier & { readonly asked: Detection[] } {
  const asked: Detection[] = [];
  return {
    ...{ name: "paint", fingerprint: "fedcba9876543210", colors: ["red", "blue"], asked },
    colorsOf: (_, objects) => {
      asked.push(...objects);
      return Promise.resolve(objects.map(() => color));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

Deno.test("judgePictures: asks for the colours that decide, and for no others", async () => {
  const detector = detectorOf(dog, { ...dog, score: 0.9 }, { ...dog, label: "cup" });
  for (const color of ["red", "blue"]) {
    const colors = colorsOf(color);
    const pictures = [new RgbaImage(8, 8), new RgbaImage(8, 8)];
    const [first, second] = await judgePictures(pictures, [one, red], { detector, colors });
    assertEquals([first!.correct, second!.correct], [true, color === "red"]);
    assertEquals(colors.asked, [{ ...dog, score: 0.9 }]);
    assertEquals(second!.detections.map((it) => it.color), [undefined, color, undefined]);
  }
  await assertRejects(
    () => judgePictures([], [one], { detector }),
    RangeError,
    "prompts must be one for each of 0",
  );
});

Deno.test("requireKnown: names all classes and colours that nobody knows, before anything runs", async () => {
  const include = ["fox", "owl", "fox", "cup"].map((name) => ({ class: name, count: 1 }));
  const prompts = [{ ...one, include, exclude: [{ class: "bat", count: 2 }] }, red];
  const detector = detectorOf(dog);
  assertThrows(
    () => requireKnown(prompts, { detector }),
    RangeError,
    'it does not know the classes "fox", "owl", "bat" and the colours "red"',
  );
  requireKnown([red], { detector, colors: { colors: ["red"] } });
  assertThrows(
    () => requireKnown([red], { detector, colors: { colors: ["blue"] } }),
    RangeError,
    'colours "red"',
  );
  await assertRejects(() => judgePictures([new RgbaImage(8, 8)], [red], { detector }), RangeError, '"red"');
  assertEquals(detector.shown, []);
});

Deno.test("scorePictures: reads no more at once than the detector takes, and yields results by the line", async () => {
  const detector = detectorOf(dog);
  const pictures = Array.from({ length: 5 }, (_, i): GenEvalPicture => ({
    filename: `${i}.png`,
    prompt: i === 4 ? { ...one, exclude: [{ class: "dog", count: 1 }] } : one,
    hash: () => Promise.resolve(`${i}`),
    read: () => Promise.resolve({ pixels: new RgbaImage(8, 8), picture: `${i}` }),
  }));
  const results = await Array.fromAsync(scorePictures(pictures, { detector }));
  assertEquals(detector.shown, [2, 2, 1]);
  assertEquals(results.map(({ correct, picture }) => [correct, picture]).at(-1), [false, "4"]);
  assertEquals(results[0], {
    filename: "0.png",
    tag: "single_object",
    prompt: "a dog",
    correct: true,
    reason: "",
    metadata: '{"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a dog"}',
    details: '{"dog": [[1, 2, 4, 6, 0.5]]}',
    judge: "eyes 0123456789ab, no colours",
    picture: "0",
  });
  const signal = AbortSignal.abort(new Error("over"));
  await assertRejects(
    () => Array.fromAsync(scorePictures(pictures, { detector }, { signal })),
    Error,
    "over",
  );
});

Deno.test("judgeName: tells detectors and who sees colours apart", () => {
  const detector = detectorOf();
  assertEquals(
    judgeName({ detector, colors: colorsOf("red") }),
    "eyes 0123456789ab, colours by paint fedcba987654",
  );
  assertEquals(judgeName({ detector: { ...detector, colors: ["red"] } }), "eyes 0123456789ab, its colours");
  assertEquals([one, red].map(asksForColors), [false, true]);
});
