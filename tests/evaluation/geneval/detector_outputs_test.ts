import { assertEquals, assertThrows } from "@std/assert";
import {
  type DetectedPictures,
  objectsIn,
  outputIn,
  outputNames,
} from "../../../evaluation/geneval/detector_outputs.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { fieldsIn } from "../../../models/vision/network_description.ts";

const of: DetectedPictures = {
  sizes: [{ width: 100, height: 50 }, { width: 10, height: 10 }],
  image: {
    input: "image",
    size: { width: 20, height: 20 },
    resize: "bilinear",
    fit: "squash",
    mean: [0, 0, 0],
    std: [1, 1, 1],
  },
  labels: ["cone", "", "cup"],
  least: 0.25,
  file: "eyes.onnx",
};

const read = (content: unknown) => {
  return outputIn(fieldsIn(new TextEncoder().encode(JSON.stringify(content)), "eyes.json"));
};

Deno.test("outputIn: names of outputs are those that exporters give, unless others are", () => {
  const named = (content: unknown): readonly string[] => outputNames(read(content));
  assertEquals(named({ kind: "detr", probabilities: "sigmoid" }), ["logits", "pred_boxes"]);
  assertEquals(named({ kind: "detr", probabilities: "sigmoid", boxes: "dets" }), ["logits", "dets"]);
  assertEquals(named({ kind: "boxes", labels: "kinds" }), ["boxes", "scores", "kinds"]);
  assertEquals(named({ kind: "objects", colors: ["red"] }), ["objects"]);
  assertThrows(() => read({ kind: "boxes", units: "feet" }), ModelFileError, '"pixels" or "shares"');
  assertThrows(() => read({ kind: "objects" }), ModelFileError, '"colors"');
});

Deno.test("objectsIn: the likeliest class and colour of each row, for each picture", () => {
  const output = read({ kind: "objects", colors: ["red", "blue"] });
  const row = (score: number, kinds: number[], colors: number[]): number[] => {
    return [score, 0.5, 0.5, 0.5, 0.25, ...kinds, ...colors];
  };
  const rows = [
    row(0.75, [0.25, 0, 0.5], [0.5, 0.25]),
    row(0.25, [1, 0, 0], [1, 0]),
    // Of equal ones the first; and one that is nothing that is wanted.
    row(0.5, [0.5, 0, 0.5], [0.5, 0.5]),
    row(1, [0, 1, 0], [1, 0]),
  ];
  assertEquals(objectsIn(output, new Map([["objects", Float32Array.from(rows.flat())]]), of), [
    [{ label: "cup", score: 0.75, box: [25, 18.75, 50, 12.5], color: "red" }],
    [{ label: "cone", score: 0.5, box: [2.5, 3.75, 5, 2.5], color: "red" }],
  ]);
  const short = new Map([["objects", new Float32Array(15)]]);
  assertThrows(() => objectsIn(output, short, of), ModelFileError, "eyes.onnx (expected rows of 10 numbers");
});

Deno.test("objectsIn: corners in pixels of the input or as shares of it", () => {
  const numbers = (corners: number[]) =>
    new Map(
      Object.entries({
        boxes: Float32Array.from(corners),
        scores: Float32Array.of(0.5),
        labels: Float32Array.of(2),
      }),
    );
  const one = { ...of, sizes: of.sizes.slice(0, 1) };
  const found = [[{ label: "cup", score: 0.5, box: [25, 25, 50, 25] }]];
  assertEquals(objectsIn(read({ kind: "boxes" }), numbers([5, 10, 15, 20]), one), found as never);
  const shares = read({ kind: "boxes", units: "shares" });
  assertEquals(objectsIn(shares, numbers([0.25, 0.5, 0.75, 1]), one), found as never);
  assertThrows(
    () => objectsIn(shares, numbers([0, 0, 1]), one),
    ModelFileError,
    "found 3, 1 and 1 numbers",
  );
  const none = new Map(["boxes", "scores", "labels"].map((name) => [name, new Float32Array()]));
  assertEquals(objectsIn(shares, none, one), [[]]);
});
