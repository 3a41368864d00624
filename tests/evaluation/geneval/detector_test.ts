import { assert, assertEquals, assertRejects } from "@std/assert";
import { DEMO_DETECTOR, type Detector, loadDetector } from "../../../evaluation/geneval/detector.ts";
import { GENEVAL_RULES } from "../../../evaluation/geneval/rules.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { testOnDevices } from "../../devices.ts";
import { boxesModel, detrModel, plain, QUERIES, writeDetector } from "./tiny_detectors.ts";

/** Loads a detector from a folder that is gone when the test is done. */
async function withDetector(
  model: Uint8Array,
  description: Record<string, unknown>,
  test: (place: string) => Promise<void>,
): Promise<void> {
  const { folder, place } = await writeDetector(model, description);
  try {
    await test(place);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Detections with scores to six digits, as those of a GPU differ in the seventh. */
async function detect(detector: Detector, ...pictures: Parameters<Detector["detect"]>[0]) {
  const found = await detector.detect(pictures);
  return found.map((some) => some.map(({ score, ...rest }) => ({ ...rest, score: score.toFixed(6) })));
}

const softmax = (...logits: number[]): number[] => {
  const powers = logits.map(Math.exp);
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
};

testOnDevices(
  "loadDetector: reads boxes of queries by a softmax, the last class of which is none",
  async (device) => {
    const output = { kind: "detr", probabilities: "softmax" };
    await withDetector(detrModel(), { output, labels: ["cone", "mouse"] }, async (place) => {
      await using detector = await loadDetector(place, { device });
      assertEquals([detector.name, detector.labels], ["tiny", ["cone", "computer mouse"]]);
      assertEquals([detector.rules, detector.colors, detector.batch], [GENEVAL_RULES, undefined, 8]);
      // A picture twice as wide: x and width count double.
      const found = await detect(detector, plain([255, 0, 0]), plain([0, 255, 0], 16, 8), plain([0, 0, 255]));
      assertEquals(found[2], []);
      const [sure] = softmax(8, 0, 0);
      const cone = { label: "cone", score: sure!.toFixed(6) };
      const mouse = { ...cone, label: "computer mouse" };
      assertEquals(found[0], [{ ...cone, box: [3, 2, 2, 4] }, { ...mouse, box: [0, 5, 4, 2] }]);
      assertEquals(found[1], [{ ...mouse, box: [6, 2, 4, 4] }, { ...cone, box: [0, 5, 8, 2] }]);
    });
  },
);

Deno.test("loadDetector: of sigmoids each class may be there, and a class without name never is", async () => {
  const output = { kind: "detr", logits: "logits", boxes: "pred_boxes", probabilities: "sigmoid" };
  const rules = { score: 0.6, countingScore: 0.7 };
  await withDetector(detrModel(), { output, rules, name: "many" }, async (place) => {
    await using detector = await loadDetector(place);
    assertEquals(detector.rules, { ...GENEVAL_RULES, ...rules });
    const [found] = await detect(detector, plain([255, 255, 255]));
    const score = (1 / (1 + Math.exp(-8))).toFixed(6);
    const both = ["cone", "computer mouse"];
    assertEquals(
      found!.map(({ label, score }) => [label, score]),
      [...both, ...both].map((label) => [label, score]),
    );
  });
});

testOnDevices("loadDetector: reads boxes with integer labels, however many there are", async (device) => {
  const output = { kind: "boxes" };
  await withDetector(boxesModel(), { output, labels: ["cone", "cup", "dog"] }, async (place) => {
    await using detector = await loadDetector(place, { device });
    const found = await detect(detector, plain([255, 0, 204], 16, 8), plain([0, 0, 0]), plain([0, 153, 0]));
    assertEquals(found, [
      [{ label: "cone", box: [0, 0, 8, 4], score: "1.000000" }, {
        label: "dog",
        box: [8, 0, 8, 8],
        score: "0.800000",
      }],
      [],
      [{ label: "cup", box: [2, 2, 6, 2], score: "0.600000" }],
    ]);
  });
});

Deno.test("loadDetector: numbers of COCO are its classes, by the names that GenEval has for them", async () => {
  const output = { kind: "boxes" };
  await withDetector(boxesModel([1, 74, 90]), { output, labels: "coco-numbers" }, async (place) => {
    await using detector = await loadDetector(place);
    assertEquals(detector.labels.length, 80);
    const [found] = await detector.detect([plain([255, 255, 255])]);
    assertEquals(found!.map(({ label }) => label), ["person", "computer mouse", "toothbrush"]);
  });
});

Deno.test("loadDetector: where a picture was cut, boxes are told in the whole of it", async () => {
  const image = { input: "image", size: 8, resize: "bilinear", fit: "crop" };
  await withDetector(boxesModel(), { image, output: { kind: "boxes" } }, async (place) => {
    await using detector = await loadDetector(place);
    // Of 32 by 16, made 16 by 8, the middle 8 columns are seen.
    const [found] = await detector.detect([plain([255, 0, 0], 32, 16)]);
    assertEquals(found!.map(({ box }) => box), [[8, 0, 8, 8]]);
  });
});

Deno.test("loadDetector: the bundled one says who it is", async () => {
  await using detector = await loadDetector(DEMO_DETECTOR);
  assertEquals([detector.labels.length, detector.colors!.length, detector.batch], [6, 8, 64]);
  assertEquals(detector.fingerprint.length, 64);
  await assertRejects(() => detector.detect([plain([0, 0, 0])]), RangeError, '"8×8"');
});

Deno.test("loadDetector: NaN, labels of no class and odd numbers are errors of the network", async () => {
  const boxes = { output: { kind: "boxes" } };
  await withDetector(boxesModel([0, 1, 3]), boxes, async (place) => {
    await using detector = await loadDetector(place);
    await assertRejects(
      () => detector.detect([plain([0, 0, 255])]),
      ModelFileError,
      "labels from 0 to 2, found 3",
    );
  });
  const detr = { output: { kind: "detr", probabilities: "softmax" }, labels: ["cone", "cup"] };
  await withDetector(detrModel([NaN, ...QUERIES.boxes.slice(1)]), detr, async (place) => {
    await using detector = await loadDetector(place);
    await assertRejects(() => detector.detect([plain([9, 9, 9])]), ModelFileError, 'NaN as "pred_boxes"');
  });
  await withDetector(detrModel(), { ...detr, labels: ["a", "b", "c"] }, async (place) => {
    await using detector = await loadDetector(place);
    await assertRejects(
      () => detector.detect([plain([9, 9, 9])]),
      ModelFileError,
      "as many boxes as rows of 4 logits, found 8 and 6 numbers",
    );
  });
});

Deno.test("loadDetector: a description says wrong things in one place, which is named", async () => {
  const good = { output: { kind: "detr", probabilities: "softmax" } };
  const bad: [Record<string, unknown>, string][] = [
    [{ output: { kind: "yolo" } }, '"detr" or "boxes" or "objects" as "output.kind"'],
    [{ output: { kind: "detr" } }, '"softmax" or "sigmoid" as "output.probabilities"'],
    [{ output: { ...good.output, scores: "s" } }, "output.scores"],
    [{ ...good, output: { ...good.output, logits: "odd" } }, 'an output "odd"'],
    [{ ...good, labels: "lvis" }, '"coco" or "coco-numbers" as "labels"'],
    [{ ...good, labels: [] }, '"labels"'],
    [{ ...good, labels: [""] }, '"labels"'],
    [{ ...good, rules: { score: -1 } }, 'a number >= 0 as "rules.score"'],
    [{ ...good, rules: { colors: "all" } }, '"surest" or "any" as "rules.colors"'],
    [{ ...good, rules: { colour: "any" } }, "rules.colour"],
    [{ ...good, threshold: 0.5 }, '"threshold"'],
    [{ ...good, image: { input: "pixels", size: 8 } }, 'an input "pixels"'],
    [{ ...good, image: { input: "image", size: 16 } }, "[pictures, 3, 16, 16]"],
  ];
  for (const [description, words] of bad) {
    await withDetector(detrModel(), description, async (place) => {
      await assertRejects(() => loadDetector(place), ModelFileError, words);
    });
  }
  await withDetector(new Uint8Array(9), good, async (place) => {
    await assertRejects(() => loadDetector(place), ModelFileError, "an ONNX model");
  });
  await assertRejects(() => loadDetector("nowhere.json"), ModelFileError, "no such file");
  await assertRejects(() => loadDetector(""), TypeError, "its place must be");
  await assertRejects(() => loadDetector(DEMO_DETECTOR, { gpu: true } as never), TypeError, "gpu");
  assert(
    await loadDetector(DEMO_DETECTOR, { signal: AbortSignal.abort(new Error("over")) })
      .then(() => false, (error) => error.message === "over"),
  );
});
