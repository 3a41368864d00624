/**
 * What the numbers of a detector mean: objects in pixels of the picture. Which network gave them is left to
 * `detector.ts`, which objects count to `rules.ts`.
 *
 * @module
 */

import { ModelFileError } from "../../models/model_file_error.ts";
import type { PictureSize } from "../../models/schedule.ts";
import type { DescribedImage, Fields } from "../../models/vision/network_description.ts";
import { coverOf } from "../../models/vision/preprocessing.ts";
import type { Detection } from "./rules.ts";

/**
 * The outputs of a detector, by their names.
 *
 * `"detr"`: `logits` [pictures, queries, classes], of which `"softmax"` makes probabilities, the last one
 * that of no object, or `"sigmoid"`; and `boxes` [pictures, queries, 4]: centre, width and height, of which
 * the input's sides are 1. `"boxes"`, of one picture: `boxes` [found, 4]: left, top, right and bottom in
 * pixels of the input or as shares of it; `scores` [found], and `labels` [found], numbers of classes.
 * `"objects"`: [pictures, found, 5 + classes + colours]: score, centre, width and height as shares, and
 * probabilities.
 */
export type DetectorOutput =
  | {
    readonly kind: "detr";
    readonly logits: string;
    readonly boxes: string;
    readonly probabilities: "softmax" | "sigmoid";
  }
  | {
    readonly kind: "boxes";
    readonly boxes: string;
    readonly scores: string;
    readonly labels: string;
    readonly units: "pixels" | "shares";
  }
  | { readonly kind: "objects"; readonly objects: string; readonly colors: readonly string[] };

/** Reads what a description says of outputs. */
export function outputIn(fields: Fields): DetectorOutput {
  const kind = fields.choice("kind", ["detr", "boxes", "objects"]);
  const named = <Name extends string>(name: Name): string => {
    return fields.optional(name, () => fields.text(name)) ??
      (name === "boxes" && kind === "detr" ? "pred_boxes" : name);
  };
  const output: DetectorOutput = kind === "detr"
    ? {
      kind,
      logits: named("logits"),
      boxes: named("boxes"),
      probabilities: fields.choice("probabilities", ["softmax", "sigmoid"]),
    }
    : kind === "boxes"
    ? {
      ...{ kind, boxes: named("boxes"), scores: named("scores"), labels: named("labels") },
      units: fields.optional("units", (name) => fields.choice(name, ["pixels", "shares"])) ?? "pixels",
    }
    : { kind, objects: named("objects"), colors: fields.texts("colors") };
  fields.end();
  return output;
}

/** Names of the outputs that are read. */
export function outputNames(output: DetectorOutput): readonly string[] {
  switch (output.kind) {
    case "detr":
      return [output.logits, output.boxes];
    case "boxes":
      return [output.boxes, output.scores, output.labels];
    case "objects":
      return [output.objects];
  }
}

/** What the numbers are of. */
export interface DetectedPictures {
  /** Sizes of the pictures. */
  readonly sizes: readonly PictureSize[];
  /** How they were prepared. */
  readonly image: DescribedImage;
  /** Names of the classes, those of none empty. */
  readonly labels: readonly string[];
  /** Objects of this score and below are left out. */
  readonly least: number;
  /** The network's file, for messages. */
  readonly file: string;
}

/**
 * The objects in each picture.
 *
 * @param numbers What the network says, by the names of outputs.
 * @throws {ModelFileError} If there are not as many numbers as there must be, or one is NaN.
 *
 * @example
 * ```ts
 * import { objectsIn } from "./detector_outputs.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const image = {
 *   input: "x", size: { width: 100, height: 100 }, resize: "bilinear", fit: "squash",
 *   mean: [0, 0, 0], std: [1, 1, 1],
 * } as const;
 * const output = { kind: "objects", objects: "objects", colors: ["red", "blue"] } as const;
 * const row = Float32Array.of(0.75, 0.5, 0.5, 0.25, 0.5, 1, 0, 1);
 * const [found] = objectsIn(output, new Map([["objects", row]]), {
 *   sizes: [{ width: 64, height: 32 }], image, labels: ["cone"], least: 0.5, file: "solids.onnx",
 * });
 * assertEquals(found, [{ label: "cone", score: 0.75, box: [24, 8, 16, 16], color: "blue" }]);
 * ```
 */
export function objectsIn(
  output: DetectorOutput,
  numbers: ReadonlyMap<string, Float32Array>,
  of: DetectedPictures,
): Detection[][] {
  const named = outputNames(output).map((name) => numbers.get(name)!);
  for (const [i, values] of named.entries()) {
    if (values.some(Number.isNaN)) refuse(of, "numbers", `NaN as "${outputNames(output)[i]}"`);
  }
  switch (output.kind) {
    case "detr":
      return queries(named[0]!, named[1]!, output.probabilities, of);
    case "boxes":
      return [boxes(named[0]!, named[1]!, named[2]!, output.units, of)];
    case "objects":
      return solids(named[0]!, output.colors, of);
  }
}

function queries(
  logits: Float32Array,
  boxes: Float32Array,
  probabilities: "softmax" | "sigmoid",
  of: DetectedPictures,
): Detection[][] {
  const { sizes, labels, least } = of;
  const classes = labels.length + (probabilities === "softmax" ? 1 : 0);
  const count = boxes.length / 4 / sizes.length;
  if (!Number.isInteger(count) || logits.length !== sizes.length * count * classes) {
    const wanted = `as many boxes as rows of ${classes} logits`;
    refuse(of, wanted, `${boxes.length} and ${logits.length} numbers`);
  }
  return sizes.map((size, picture) =>
    Array.from({ length: count }, (_, i) => picture * count + i).flatMap((query) => {
      const row = logits.subarray(query * classes, (query + 1) * classes);
      const [x, y, width, height] = boxes.subarray(4 * query, 4 * query + 4);
      const box = placeOf([x! - width! / 2, y! - height! / 2, width!, height!], size, of.image);
      const scores = probabilities === "sigmoid" ? row.map(sigmoid) : softmax(row);
      // Of a softmax one class can be right, of sigmoids each may be.
      const best = probabilities === "softmax" ? indexOfMost(scores.subarray(0, labels.length)) : undefined;
      return labels.flatMap((label, i): Detection[] => {
        const isMeant = label !== "" && (best === undefined || best === i) && scores[i]! > least;
        return isMeant ? [{ label, score: scores[i]!, box }] : [];
      });
    })
  );
}

function boxes(
  corners: Float32Array,
  scores: Float32Array,
  classes: Float32Array,
  units: "pixels" | "shares",
  of: DetectedPictures,
): Detection[] {
  const { sizes: [size], image, labels, least } = of;
  if (corners.length !== 4 * scores.length || classes.length !== scores.length) {
    const lengths = `${corners.length}, ${scores.length} and ${classes.length} numbers`;
    refuse(of, "four corners and a label for each score", lengths);
  }
  const [across, down] = units === "pixels" ? [image.size.width, image.size.height] : [1, 1];
  return Array.from(scores).flatMap((score, i): Detection[] => {
    if (!(score > least)) return [];
    const label = labels[classes[i]!];
    if (label === undefined) refuse(of, `labels from 0 to ${labels.length - 1}`, `${classes[i]}`);
    const [left, top, right, bottom] = corners.subarray(4 * i, 4 * i + 4);
    const share = [left! / across, top! / down, (right! - left!) / across, (bottom! - top!) / down] as const;
    return label === "" ? [] : [{ label, score, box: placeOf(share, size!, image) }];
  });
}

function solids(values: Float32Array, colors: readonly string[], of: DetectedPictures): Detection[][] {
  const { sizes, image, labels, least } = of;
  const fields = 5 + labels.length + colors.length;
  const count = values.length / fields / sizes.length;
  if (!Number.isInteger(count)) refuse(of, `rows of ${fields} numbers`, `${values.length} numbers`);
  return sizes.map((size, picture) =>
    Array.from({ length: count }, (_, i) => {
      const [score, x, y, width, height, ...kinds] = values.subarray(
        (picture * count + i) * fields,
        (picture * count + i + 1) * fields,
      );
      return {
        label: labels[indexOfMost(kinds.slice(0, labels.length))]!,
        score: score!,
        box: placeOf([x! - width! / 2, y! - height! / 2, width!, height!], size, image),
        color: colors[indexOfMost(kinds.slice(labels.length))]!,
      };
    }).filter(({ label, score }) => label !== "" && score > least)
  );
}

/** A box in pixels of the picture, of which the network has seen all or, where it was cut, the middle. */
function placeOf(
  [x, y, width, height]: Detection["box"],
  picture: PictureSize,
  { size, fit }: DescribedImage,
): Detection["box"] {
  if (fit === "squash" || (picture.width === size.width && picture.height === size.height)) {
    return [x * picture.width, y * picture.height, width * picture.width, height * picture.height];
  }
  const cover = coverOf(picture, size);
  const [across, down] = [picture.width / cover.width, picture.height / cover.height];
  return [
    (x * size.width + cover.left) * across,
    (y * size.height + cover.top) * down,
    width * size.width * across,
    height * size.height * down,
  ];
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

function softmax(logits: Float32Array): Float32Array {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / total);
}

function indexOfMost(values: ArrayLike<number>): number {
  return Array.from(values).reduce((best, value, i, all) => value > all[best]! ? i : best, 0);
}

function refuse({ file }: DetectedPictures, expected: string, found: string): never {
  throw new ModelFileError("Cannot use what the detector says", { file, expected, found });
}
