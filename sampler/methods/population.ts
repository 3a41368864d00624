/**
 * Several lanes of an image as a population: which rows of a batch belong together, how the best of them are
 * found, and who judges. Images in one batch are populations of their own, whoever else is beside them.
 *
 * @module
 */

import { mustBe, requireFunction, requireObject } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import type { FeatureExtractor, Verifier } from "../../models/vision/verifier.ts";
import type { Look } from "../hook.ts";
import { judgeLanes, type LaneFeatureExtractor, type LaneVerifier } from "../judging.ts";
import type { Lane, ScaleStep } from "../step.ts";
import { bestOf } from "./potentials.ts";

/** Who judges lanes. Without one it is the model's own verifier. */
export type Judge = Verifier | LaneVerifier;

/** The rows of each image, in the order of the batch. */
export function populations(lanes: readonly Lane[]): readonly (readonly number[])[] {
  return [...Map.groupBy(lanes.keys(), (row) => lanes[row]!.image).values()];
}

/**
 * The `count` best of these rows, best first. NaN counts as less than anything, and of equal ones the first
 * is the better.
 *
 * @example
 * ```ts
 * import { best } from "./population.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(best([0, 1, 2, 3], [NaN, 0.5, 2, 0.5], 2), [2, 1]);
 * ```
 */
export function best(rows: readonly number[], scores: ArrayLike<number>, count: number): number[] {
  return bestOf(rows.map((row) => scores[row]!), count).map((i) => rows[i]!);
}

/**
 * Checks who is to judge.
 *
 * @throws {TypeError} If it is no verifier.
 */
export function requireJudge(judge: Judge | undefined, action: string): void {
  if (judge === undefined) return;
  requireObject(judge, "verifier", action);
  if (typeof judge.name !== "string") {
    throw new TypeError(mustBe("a verifier with a name and score", judge, "verifier", action));
  }
  const score = "scoreLanes" in judge ? judge.scoreLanes : judge.score;
  requireFunction(score, `score of the verifier "${judge.name}"`, action);
}

/** How a judge, or who describes lanes, looks at them. */
export function lookOf(judge: Judge | FeatureExtractor | LaneFeatureExtractor): Look {
  if ("score" in judge || "features" in judge) return judge;
  const flopsAfter = "scoreLanes" in judge ? judge.flopsAfter?.bind(judge) : undefined;
  return { name: judge.name, flops: 0, pictures: false, ...(flopsAfter && { flopsAfter }) };
}

/**
 * Who looks at lanes when a judge scores.
 *
 * @throws {TypeError} If there is no judge, and the model has none of its own.
 */
export function looksOf(judge: Judge | undefined, model: Model, name: string): readonly (Look | "own")[] {
  if (judge !== undefined) return [lookOf(judge)];
  if (model.verifier !== undefined) return ["own"];
  throw new TypeError(
    `Cannot use ${name} without a verifier as the model "${model.name}" brings none: give one, such as loadVerifier() loads, or ownEvidence(), which needs no network`,
  );
}

/** The judge, or the model's own. */
export async function judgeOf(judge: Judge | undefined, { model }: ScaleStep): Promise<Judge> {
  return judge ?? await model.verifier!();
}

/** Lets a judge look at a scale on which it is not asked. */
export async function observe(judge: Judge | undefined, step: ScaleStep): Promise<void> {
  if (judge !== undefined && "observe" in judge) await judge.observe?.(step);
}

/** What a verifier says of a lane among those of its image. */
export interface Place {
  /** What it gave. */
  readonly score: number;
  /** Its place among them, 0 for the best. */
  readonly rank: number;
}

/**
 * Has lanes judged, and notes the place of each.
 *
 * @param judge Who judges; the model's own verifier by default.
 * @param noteOf What is noted of a lane.
 * @param ties Which of equal lanes is the better one.
 * @returns The rows of each image, best first.
 */
export async function rankLanes<Decision>(
  step: ScaleStep<Decision>,
  judge: Judge | undefined,
  noteOf: (place: Place) => Decision,
  ties: "first" | "last" = "first",
): Promise<readonly (readonly number[])[]> {
  const scores = await judgeLanes(step, await judgeOf(judge, step));
  return populations(step.lanes).map((rows) => {
    const order = best(ties === "last" ? rows.toReversed() : rows, scores, rows.length);
    for (const [rank, row] of order.entries()) step.note(row, noteOf({ score: scores[row]!, rank }));
    return order;
  });
}
