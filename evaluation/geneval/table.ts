/**
 * What GenEval's results come to: the share of right pictures for each kind of prompt and the overall score,
 * as `summary_scores.py` prints them, and how sure they are. How a table looks is left to whoever shows it.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { bootstrapInterval, type IntervalOptions } from "../statistics/intervals.ts";
import { GENEVAL_TAGS } from "./metadata.ts";
import type { GenEvalResult } from "./results_file.ts";

/** A share and where it would lie with other prompts of the same kinds. */
export interface GenEvalScore {
  /** The share, from 0 to 1. */
  readonly value: number;
  /** Lower end of its interval. */
  readonly low: number;
  /** Upper end. */
  readonly high: number;
}

/** What the pictures of one kind of prompt come to. */
export interface GenEvalRow extends GenEvalScore {
  /** The kind. */
  readonly tag: string;
  /** Pictures that are right. */
  readonly correct: number;
  /** Pictures. */
  readonly images: number;
}

/** What all pictures come to. */
export interface GenEvalTable {
  /** `"GenEval"`, or `"GenEval-like"` if anyone else than its own script has judged. */
  readonly title: "GenEval" | "GenEval-like";
  /** Who else, if results say so. */
  readonly judges: readonly string[];
  /** Kinds of prompts: GenEval's in the order of its table, then others. */
  readonly tags: readonly GenEvalRow[];
  /** The overall score: the mean of the kinds, all with the same weight. */
  readonly overall: GenEvalScore;
  /** Pictures. */
  readonly images: number;
  /** Share of pictures that are right. */
  readonly correctImages: number;
  /** Prompts. */
  readonly prompts: number;
  /** Share of prompts of which a picture is right. */
  readonly correctPrompts: number;
}

/**
 * The table of results. Intervals are those of the bootstrap over prompts: pictures of one prompt are right
 * and wrong together, so they are drawn together.
 *
 * @param results What is said of each picture, in any order.
 * @throws {RangeError} If there are none.
 *
 * @example
 * ```ts
 * import { genEvalTable } from "./table.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const right = { tag: "colors", metadata: "a red cup", correct: true };
 * const wrong = { tag: "counting", metadata: "two dogs", correct: false };
 * const { title, overall, correctImages } = genEvalTable([right, right, right, wrong]);
 * assertEquals([title, overall.value, correctImages], ["GenEval", 0.5, 0.75]);
 * ```
 */
export function genEvalTable(
  results: readonly Pick<GenEvalResult, "tag" | "metadata" | "correct" | "judge">[],
  options: IntervalOptions = {},
): GenEvalTable {
  if (results.length === 0) {
    throw new RangeError(mustBe("at least one", 0, "the number of results", "make a table"));
  }
  const judges = [...new Set(results.flatMap(({ judge }) => judge ?? []))];
  const groups = [...Map.groupBy(results, ({ tag }) => tag)].toSorted(([a], [b]) => placeOf(a) - placeOf(b));
  const scores = groups.map(([, some]) => promptsIn(some).map(shareOf));
  const tags = groups.map(([tag, some], i): GenEvalRow => {
    const correct = some.filter((result) => result.correct).length;
    const { low, high } = bootstrapInterval([scores[i]!], options);
    return { tag, correct, images: some.length, value: correct / some.length, low, high };
  });
  const { low, high } = bootstrapInterval(scores, options);
  const prompts = promptsIn(results);
  return {
    title: judges.length === 0 ? "GenEval" : "GenEval-like",
    judges,
    tags,
    overall: { value: tags.reduce((sum, { value }) => sum + value, 0) / tags.length, low, high },
    images: results.length,
    correctImages: shareOf(results),
    prompts: prompts.length,
    correctPrompts: prompts.filter((some) => some.some(({ correct }) => correct)).length / prompts.length,
  };
}

function placeOf(tag: string): number {
  const place = GENEVAL_TAGS.findIndex((known) => known === tag);
  return place === -1 ? GENEVAL_TAGS.length : place;
}

type Judged = Pick<GenEvalResult, "metadata" | "correct">;

/** Pictures by their prompts, told apart as the official summary tells them. */
function promptsIn(results: readonly Judged[]): (readonly Judged[])[] {
  return [...Map.groupBy(results, ({ metadata }) => metadata).values()];
}

function shareOf(results: readonly Judged[]): number {
  return results.filter(({ correct }) => correct).length / results.length;
}

/**
 * Scores, one for each prompt, in a group for each tag: as `bootstrapInterval` takes them, whose mean is then
 * GenEval's overall score, in which every tag has the same weight.
 *
 * @param scores 1 for a right picture and 0 for a wrong one, or the share of a prompt's pictures that are
 * right.
 * @returns The groups: GenEval's tags in the order of its table, then others.
 * @throws {RangeError} If there are not as many scores as prompts.
 *
 * @example
 * ```ts
 * import { groupByTag } from "./table.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const prompts = ["colors", "counting", "colors"].map((tag) => ({ tag }));
 * assertEquals([...groupByTag(prompts, [1, 0, 0.5])], [["counting", [0]], ["colors", [1, 0.5]]]);
 * ```
 */
export function groupByTag(
  prompts: readonly { readonly tag: string }[],
  scores: readonly number[],
): Map<string, number[]> {
  if (scores.length !== prompts.length) {
    const wanted = `one for each of ${prompts.length}`;
    throw new RangeError(mustBe(wanted, scores.length, "scores", "group by tags"));
  }
  const groups = Map.groupBy(scores.keys(), (i) => prompts[i]!.tag);
  return new Map(
    [...groups].toSorted(([a], [b]) => placeOf(a) - placeOf(b)).map(([tag, places]) => {
      return [tag, places.map((i) => scores[i]!)];
    }),
  );
}
