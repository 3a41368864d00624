/**
 * Names of the classes that detectors of COCO tell, as GenEval's prompts call them.
 *
 * @module
 */

/** What GenEval calls otherwise than COCO, whose names could mean other things. */
const RENAMED: Readonly<Record<string, string>> = {
  mouse: "computer mouse",
  remote: "tv remote",
  keyboard: "computer keyboard",
};

/** COCO's 80 classes in the order of their numbers (https://cocodataset.org), each with what follows it. */
const COCO = [
  "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, ",
  "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, ",
  "backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, ",
  "baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, ",
  "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, ",
  "potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, ",
  "oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush",
].join("").split(", ");

/** Numbers from 1 to 90 that COCO gives to no class. */
const UNUSED: ReadonlySet<number> = new Set([12, 26, 29, 30, 45, 66, 68, 69, 71, 83]);

/** Lists that a description can name: `"coco"` counts the 80, `"coco-numbers"` has COCO's own numbers. */
export const CLASS_LISTS: Readonly<Record<string, readonly string[]>> = {
  coco: genEvalNames(COCO),
  "coco-numbers": numbered(),
};

/**
 * Names as GenEval's prompts have them.
 *
 * @example
 * ```ts
 * import { genEvalNames } from "./class_names.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(genEvalNames(["mouse", "dog"]), ["computer mouse", "dog"]);
 * ```
 */
export function genEvalNames(names: readonly string[]): string[] {
  return names.map((name) => RENAMED[name] ?? name);
}

/** 91 places, of which 0 and those that COCO leaves out are empty. */
function numbered(): string[] {
  const names = genEvalNames(COCO).values();
  return Array.from({ length: 91 }, (_, i) => i === 0 || UNUSED.has(i) ? "" : names.next().value!);
}
