/**
 * The options that analyses of a model share: labels, lists of numbers and seeds, and how pictures are
 * painted.
 *
 * @module
 */

import type { Label } from "../../mod.ts";
import type { Painting } from "../../evaluation/mod.ts";
import type { Io } from "../io.ts";
import { Progress } from "../output/progress.ts";
import { inputFile, type Kind, seed, text } from "./kinds.ts";
import { section, type Values } from "./options.ts";
import { readPrompts } from "./prompts.ts";
import { type Labelled, labelOf, labelsOf, listedLabels } from "./requests.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS, samplingRequest } from "./sampling_options.ts";
import { readFeatures, TEXT_FEATURES_OPTION } from "./text_features.ts";

/** Numbers within bounds, separated by commas. */
export function numberList(placeholder: string, min: number, max: number): Kind<readonly number[]> {
  return {
    placeholder: `${placeholder},…`,
    parse: (value) => {
      const numbers = value.split(",").map((item) => {
        return /^ *(\d+\.?\d*|\.\d+) *$/.test(item) ? Number(item) : NaN;
      });
      if (numbers.some((number) => !(number >= min && number <= max))) {
        throw new RangeError(`must be numbers from ${min} to ${max}, separated by commas`);
      }
      return numbers;
    },
  };
}

/** Integers within bounds, separated by commas. */
export function integerList(placeholder: string, min: number, max: number): Kind<readonly number[]> {
  return {
    placeholder: `${placeholder},…`,
    parse: (value) => {
      const numbers = value.split(",").map((item) => /^ *\d+ *$/.test(item) ? Number(item) : NaN);
      if (numbers.some((number) => !(number >= min && number <= max))) {
        throw new RangeError(`must be integers from ${min} to ${max}, separated by commas`);
      }
      return numbers;
    },
  };
}

/** Seeds that a range may stand for. */
const MOST_SEEDS = 100_000;

/** Seeds and ranges of them, separated by commas: `0-3,17`. */
export const seeds: Kind<readonly (number | bigint)[]> = {
  placeholder: "N,…",
  parse: (value) => {
    const wanted = 'must be seeds, or ranges of them, separated by commas, like "0-3,17"';
    const found = value.split(",").flatMap((item) => {
      const [, first, last = first] = /^ *(\d+)(?:-(\d+))? *$/.exec(item) ?? [];
      if (first === undefined) throw new RangeError(wanted);
      if (first === last) return [seed.parse(first)];
      const [from, to] = [Number(first), Number(last)];
      if (!(from <= to && to - from < MOST_SEEDS && Number.isSafeInteger(to))) throw new RangeError(wanted);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    });
    return [...new Map(found.map((one) => [BigInt(one), one])).values()];
  },
};

/** What is looked at. */
export const LABEL_OPTIONS = section("What to look at", {
  labels: {
    kind: text("A,B,…"),
    help:
      "Classes, like the arguments LABEL; these come after them. For a model that takes texts, all of this is one text",
    defaultText: "eight classes, spread over all",
  },
  prompts: {
    kind: inputFile,
    help:
      'More labels from a file or, for -, from standard input: one in each line, or JSON with "prompt", by the line or as a list',
  },
});

const { moreSmooth: _mixed, ...DRAWN_OPTIONS } = SAMPLING_OPTIONS;

/** How pictures are painted. */
export const PAINTING_OPTIONS = {
  ...DRAWN_OPTIONS,
  ...BATCH_OPTIONS,
  ...section("Sampling", { textFeatures: TEXT_FEATURES_OPTION }),
};

/** The labels that a command line names, for a model; without any, what suits is left to the analysis. */
export async function givenLabels(
  operands: readonly string[],
  { labels, prompts }: Values<typeof LABEL_OPTIONS>,
  io: Pick<Io, "input" | "signal">,
): Promise<(model: Labelled) => { readonly labels?: readonly Label[] }> {
  const listed = prompts === undefined ? [] : await readPrompts(prompts, io);
  return (model) => {
    const given = [
      ...[...operands, ...listedLabels(model, labels)].flatMap((label) => labelsOf(model, label)),
      ...listed.map(({ prompt }) => labelOf(model, prompt)),
    ];
    return given.length === 0 ? {} : { labels: given };
  };
}

/** How the options have pictures painted. */
export async function paintingOf(options: Values<typeof PAINTING_OPTIONS>): Promise<Painting> {
  const { moreSmooth: _off, ...request } = samplingRequest({ ...options, moreSmooth: undefined });
  const { batch, memory, textFeatures } = options;
  return {
    ...request,
    ...(batch === undefined ? {} : { batch }),
    ...(memory === undefined ? {} : { memory }),
    ...(textFeatures === undefined ? {} : { textFeatures: await readFeatures(textFeatures) }),
  };
}

/** Shows how many pictures of an analysis are done, and takes that away in the end. */
export function pictureProgress(
  io: Io,
  { quiet }: { readonly quiet: boolean },
): Disposable & { readonly show: (done: number, total: number) => void } {
  let progress: Progress | undefined;
  return {
    show: (done, total) => {
      progress ??= new Progress(io, { total, quiet, noun: "picture" });
      while (progress.done < done) progress.image();
      if (done > 0) progress.batch();
      progress.draw("");
    },
    [Symbol.dispose]: () => progress?.clear(),
  };
}
