/**
 * GenEval's rules: whether what a detector has found in a picture is what its prompt says. They are those of
 * https://github.com/djghosh13/geneval, of which `evaluate_images.py` decides. Who finds the objects is left
 * to `detector.ts`, who tells their colours to `colors.ts`.
 *
 * @module
 */

import type { GenEvalPrompt, Relation, Requirement } from "./metadata.ts";

/** An object that a detector has found. */
export interface Detection {
  /** What it is. */
  readonly label: string;
  /** How sure that is, from 0 to 1. */
  readonly score: number;
  /** Left edge, top edge, width and height, in pixels of the picture. */
  readonly box: readonly [x: number, y: number, width: number, height: number];
  /** Its colour, where somebody has told it. */
  readonly color?: string;
}

/** What may differ between one way of judging and another. */
export interface GenEvalRules {
  /** Objects count above this score. */
  readonly score: number;
  /** The same for prompts whose tag is `counting`. */
  readonly countingScore: number;
  /** Objects of a class that count at most, the surest. */
  readonly objects: number;
  /**
   * Whose colours matter: `"surest"`: as many of the surest of a class as the prompt wants must have the
   * colour; `"any"`: as many of the class as it wants, however sure.
   */
  readonly colors: "surest" | "any";
  /**
   * What the distance that is left after a tenth of the boxes' sizes is compared with: more than half of the
   * `"whole"` distance, or of what is `"left"` of it, must lie in the direction.
   */
  readonly direction: "whole" | "left";
}

/** The rules as they are published. */
export const GENEVAL_RULES: GenEvalRules = {
  score: 0.3,
  countingScore: 0.9,
  objects: 16,
  colors: "surest",
  direction: "whole",
};

/** What is said of a picture. */
export interface GenEvalVerdict {
  /** Whether it shows what its prompt says. */
  readonly correct: boolean;
  /** Why not, a line for each requirement that is not met; empty if it does. */
  readonly reason: string;
}

/** Part of the summed sizes of two boxes by which their centres may be apart and count as in one place. */
const PLACE_TOLERANCE = 0.1;
/** Pixels that are no distance. */
const NO_DISTANCE = 1e-3;

/**
 * The objects that count, by their classes, the surest first; of those that are as sure the last, as in a
 * sorted list that is turned round. Scores are compared in float32, in which detectors compute them.
 */
export function countedObjects(
  detections: readonly Detection[],
  { tag }: Pick<GenEvalPrompt, "tag">,
  rules: GenEvalRules = GENEVAL_RULES,
): Map<string, Detection[]> {
  const least = Math.fround(tag === "counting" ? rules.countingScore : rules.score);
  const found = new Map<string, Detection[]>();
  for (const detection of detections.toReversed().sort((a, b) => b.score - a.score)) {
    if (!(Math.fround(detection.score) > least)) continue;
    const group = found.get(detection.label) ?? [];
    if (group.length < rules.objects) found.set(detection.label, [...group, detection]);
  }
  return found;
}

/**
 * The objects whose colours decide, by the classes as which they are asked for.
 *
 * @example
 * ```ts
 * import { type Detection, objectsToColor } from "./rules.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const cup: Detection = { label: "cup", score: 0.9, box: [0, 0, 9, 9] };
 * const include = [{ class: "cup", count: 1, color: "red" }];
 * const prompt = { tag: "colors", include, prompt: "a red cup" };
 * assertEquals(objectsToColor([{ ...cup, score: 0.5 }, cup], prompt), [cup]);
 * ```
 */
export function objectsToColor(
  detections: readonly Detection[],
  prompt: GenEvalPrompt,
  rules: GenEvalRules = GENEVAL_RULES,
): Detection[] {
  const found = countedObjects(detections, prompt, rules);
  const asked = prompt.include.flatMap(({ class: label, count, color }) => {
    const objects = found.get(label) ?? [];
    if (color === undefined || objects.length < count) return [];
    return rules.colors === "any" ? objects : objects.slice(0, count);
  });
  return [...new Set(asked)];
}

/**
 * Holds what was found in a picture against its prompt. Each requirement takes as many of its class as it
 * wants, the surest; all of these have its colour and stand where it says of all that the other requirement
 * took; and nothing is there too often.
 *
 * @throws {TypeError} If an object of {@linkcode objectsToColor} has no colour.
 *
 * @example
 * ```ts
 * import { type Detection, verdictOf } from "./rules.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const prompt = {
 *   tag: "counting",
 *   include: [{ class: "clock", count: 1 }],
 *   exclude: [{ class: "clock", count: 2 }],
 *   prompt: "a photo of one clock",
 * };
 * const clock: Detection = { label: "clock", score: 0.95, box: [10, 10, 50, 50] };
 * assertEquals(verdictOf([clock], prompt), { correct: true, reason: "" });
 * const { reason } = verdictOf([clock, { ...clock, box: [80, 10, 50, 50] }], prompt);
 * assertEquals(reason, "clock: fewer than 2 wanted, 2 found");
 * ```
 */
export function verdictOf(
  detections: readonly Detection[],
  prompt: GenEvalPrompt,
  rules: GenEvalRules = GENEVAL_RULES,
): GenEvalVerdict {
  const found = countedObjects(detections, prompt, rules);
  const groups: (readonly Detection[] | undefined)[] = [];
  const reasons: string[] = [];
  for (const requirement of prompt.include) {
    const objects = found.get(requirement.class) ?? [];
    const taken = take(objects, requirement, rules);
    const reason = typeof taken === "string"
      ? taken
      : misplaced(taken, requirement, { groups, include: prompt.include, rules });
    if (reason !== undefined) reasons.push(reason);
    groups.push(reason === undefined ? taken as readonly Detection[] : undefined);
  }
  for (const { class: label, count } of prompt.exclude ?? []) {
    const { length } = found.get(label) ?? [];
    if (length >= count) reasons.push(`${label}: fewer than ${count} wanted, ${length} found`);
  }
  return { correct: reasons.length === 0, reason: reasons.join("\n") };
}

/**
 * Whether objects are what a prompt says: {@linkcode verdictOf} without its reasons.
 *
 * @example
 * ```ts
 * import { fulfills } from "./rules.ts";
 * import { assert } from "@std/assert";
 *
 * const include = [{ class: "cone", count: 1 }];
 * const cone = { label: "cone", score: 0.9, box: [4, 4, 9, 9] } as const;
 * assert(fulfills([cone], { tag: "single_object", include, prompt: "a cone" }));
 * ```
 */
export function fulfills(
  detections: readonly Detection[],
  prompt: GenEvalPrompt,
  rules: GenEvalRules = GENEVAL_RULES,
): boolean {
  return verdictOf(detections, prompt, rules).correct;
}

/** What a requirement takes of the objects of its class, or why it cannot. */
function take(
  objects: readonly Detection[],
  { class: label, count, color }: Requirement,
  { colors }: GenEvalRules,
): readonly Detection[] | string {
  if (objects.length < count) return `${label}: ${count} wanted, ${objects.length} found`;
  if (color === undefined) return objects.slice(0, count);
  const asked = colors === "any" ? objects : objects.slice(0, count);
  const seen = new Map<string, number>();
  for (const object of asked) {
    if (object.color === undefined) {
      throw new TypeError(`Cannot judge by GenEval's rules as a ${label} must have a colour: it has none`);
    }
    seen.set(object.color, (seen.get(object.color) ?? 0) + 1);
  }
  const fitting = asked.filter((object) => object.color === color);
  if (fitting.length >= count) return fitting.slice(0, count);
  const others = [...seen].map(([name, number]) => `${number} ${name}`).join(", ");
  return `${color} ${label}: ${count} wanted, ${fitting.length} found: ${others}`;
}

/** Why objects are not where they should be of those of another requirement, if they are not. */
function misplaced(
  taken: readonly Detection[],
  { class: label, position }: Requirement,
  { groups, include, rules }: {
    readonly groups: readonly (readonly Detection[] | undefined)[];
    readonly include: readonly Requirement[];
    readonly rules: GenEvalRules;
  },
): string | undefined {
  if (position === undefined) return undefined;
  const [relation, other] = position;
  const { class: base } = include[other]!;
  const targets = groups[other];
  if (targets === undefined) return `${label}: to be ${relation} the ${base}, which is not there`;
  for (const object of taken) {
    for (const target of targets) {
      const relations = relationsOf(object, target, rules);
      if (relations.includes(relation)) continue;
      const found = relations.length === 0 ? "no side" : relations.join(" and ");
      return `${label}: ${relation} the ${base} wanted, ${found} found`;
    }
  }
  return undefined;
}

/**
 * Where an object is of another: on no side, on one, or on two.
 *
 * @example
 * ```ts
 * import { GENEVAL_RULES, relationsOf } from "./rules.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const dog = { label: "dog", score: 1, box: [0, 0, 10, 10] } as const;
 * assertEquals(relationsOf({ ...dog, box: [40, 40, 10, 10] }, dog, GENEVAL_RULES), ["right of", "below"]);
 * assertEquals(relationsOf({ ...dog, box: [1, 0, 10, 10] }, dog, GENEVAL_RULES), []);
 * ```
 */
export function relationsOf(
  { box: [x, y, width, height] }: Detection,
  { box: [baseX, baseY, baseWidth, baseHeight] }: Detection,
  { direction }: Pick<GenEvalRules, "direction">,
): Relation[] {
  const offset = [x + width / 2 - baseX - baseWidth / 2, y + height / 2 - baseY - baseHeight / 2] as const;
  const left = [
    beyond(offset[0], PLACE_TOLERANCE * (width + baseWidth)),
    beyond(offset[1], PLACE_TOLERANCE * (height + baseHeight)),
  ] as const;
  if (left.every((side) => Math.abs(side) < NO_DISTANCE)) return [];
  const length = Math.hypot(...(direction === "whole" ? offset : left));
  const [right, down] = left.map((side) => side / length);
  return [
    ...(right! < -0.5 ? ["left of" as const] : []),
    ...(right! > 0.5 ? ["right of" as const] : []),
    ...(down! < -0.5 ? ["above" as const] : []),
    ...(down! > 0.5 ? ["below" as const] : []),
  ];
}

function beyond(offset: number, tolerance: number): number {
  return Math.sign(offset) * Math.max(Math.abs(offset) - tolerance, 0);
}
