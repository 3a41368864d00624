/**
 * From pictures and their prompts to verdicts: objects are found, colours told where they decide, and all is
 * held against the prompts. Where pictures come from is left to `folder.ts`, where verdicts go to
 * `results_log.ts`.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { Pixels } from "../networks/picture_graph.ts";
import type { ColorClassifier } from "./colors.ts";
import type { Detector } from "./detector.ts";
import type { GenEvalPrompt } from "./metadata.ts";
import { detailsOf, type GenEvalResult, pythonJson } from "./results_file.ts";
import { type Detection, type GenEvalVerdict, objectsToColor, verdictOf } from "./rules.ts";

/** Who judges; both stay the caller's. */
export interface GenEvalJudge {
  /** Who finds objects. */
  readonly detector: Detector;
  /** Who tells their colours, instead of the detector where that tells them, too. */
  readonly colors?: ColorClassifier;
}

/** What is said of a picture, and why. */
export interface JudgedPicture extends GenEvalVerdict {
  /** What the detector has found; those whose colours decide have one. */
  readonly detections: readonly Detection[];
}

/** Options of judging. */
export interface JudgeGenEvalOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

const ACTION = "judge pictures";

/** Characters of a fingerprint that tell networks apart for people. */
const TOLD = 12;

/**
 * Who judges, in the words of results: what they say differs as soon as this does.
 *
 * @example
 * ```ts
 * import { judgeName } from "./harness.ts";
 * import { loadDetector } from "./detector.ts";
 * import { assertMatch } from "@std/assert";
 *
 * await using detector = await loadDetector("demo-t2i-oracle");
 * assertMatch(judgeName({ detector }), /^demo-t2i-oracle [0-9a-f]{12}, its colours$/);
 * ```
 */
export function judgeName({ detector, colors }: GenEvalJudge): string {
  const told = ({ name, fingerprint }: { readonly name: string; readonly fingerprint: string }) => {
    return `${name} ${fingerprint.slice(0, TOLD)}`.trim();
  };
  const painter = colors !== undefined
    ? `colours by ${told(colors)}`
    : detector.colors === undefined
    ? "no colours"
    : "its colours";
  return `${told(detector)}, ${painter}`;
}

/**
 * Refuses prompts that nobody can judge, before anything runs.
 *
 * @throws {RangeError} If they name classes that the detector does not know, or colours that nobody tells;
 * all of them are named.
 *
 * @example
 * ```ts
 * import { requireKnown } from "./harness.ts";
 * import { loadDetector } from "./detector.ts";
 * import { assertThrows } from "@std/assert";
 *
 * await using detector = await loadDetector("demo-t2i-oracle");
 * const include = [{ class: "dog", count: 1 }, { class: "cone", count: 1, color: "beige" }];
 * assertThrows(
 *   () => requireKnown([{ tag: "two_object", include, prompt: "a dog, a beige cone" }], { detector }),
 *   RangeError,
 *   'the classes "dog" and the colours "beige"',
 * );
 * ```
 */
export function requireKnown(
  prompts: readonly GenEvalPrompt[],
  { detector, colors = detector }: {
    readonly detector: Pick<Detector, "name" | "labels" | "colors">;
    readonly colors?: Pick<Detector, "colors">;
  },
): void {
  const wanted = prompts.flatMap(({ include, exclude = [] }) => [...include, ...exclude]);
  const lacking = [
    ["classes", wanted.map(({ class: label }) => label), detector.labels],
    ["colours", prompts.flatMap(({ include }) => include.flatMap(({ color }) => color ?? [])), colors.colors],
  ].flatMap(([noun, names, known = []]) => {
    const unknown = [...new Set(names)].filter((name) => !known.includes(name));
    return unknown.length === 0 ? [] : `the ${noun} ${unknown.map((name) => `"${name}"`).join(", ")}`;
  });
  if (lacking.length === 0) return;
  throw new RangeError(
    `Cannot ${ACTION} as ${detector.name} must know what prompts name: it does not know ${
      lacking.join(" and ")
    }`,
  );
}

/**
 * Whether a prompt asks for colours.
 *
 * @example
 * ```ts
 * import { asksForColors } from "./harness.ts";
 * import { assert } from "@std/assert";
 *
 * const include = [{ class: "cup", count: 1, color: "red" }];
 * assert(asksForColors({ tag: "colors", include, prompt: "a red cup" }));
 * ```
 */
export function asksForColors({ include }: GenEvalPrompt): boolean {
  return include.some(({ color }) => color !== undefined);
}

/**
 * Judges pictures by the prompts that they were painted from.
 *
 * @param pictures Pictures of any sizes.
 * @param prompts One for each of them.
 * @throws {RangeError} If there are not as many prompts, or as {@linkcode requireKnown} does.
 * @throws {ModelFileError} If the detector says what none says.
 *
 * @example
 * ```ts
 * import { judgePictures } from "./harness.ts";
 * import { loadDetector } from "./detector.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using detector = await loadDetector("demo-t2i-oracle");
 * const prompt = { tag: "single_object", include: [{ class: "cone", count: 1 }], prompt: "a cone" };
 * const [black] = await judgePictures([new RgbaImage(64, 64)], [prompt], { detector });
 * assertEquals([black!.correct, black!.reason], [false, "cone: 1 wanted, 0 found"]);
 * ```
 */
export async function judgePictures(
  pictures: readonly Pixels[],
  prompts: readonly GenEvalPrompt[],
  judge: GenEvalJudge,
  options: JudgeGenEvalOptions = {},
): Promise<JudgedPicture[]> {
  const { detector, colors } = judge;
  if (prompts.length !== pictures.length) {
    throw new RangeError(mustBe(`one for each of ${pictures.length}`, prompts.length, "prompts", ACTION));
  }
  requireKnown(prompts, judge);
  const found = await detector.detect(pictures, options);
  const judged: JudgedPicture[] = [];
  for (const [i, prompt] of prompts.entries()) {
    const detections = colors === undefined
      ? found[i]!
      : await colored(found[i]!, prompt, { ...options, judge, colors, picture: pictures[i]! });
    judged.push({ detections, ...verdictOf(detections, prompt, detector.rules) });
  }
  return judged;
}

/** Detections with the colours that decide. */
async function colored(
  detections: readonly Detection[],
  prompt: GenEvalPrompt,
  { judge, colors, picture, signal }: JudgeGenEvalOptions & {
    readonly judge: GenEvalJudge;
    readonly colors: ColorClassifier;
    readonly picture: Pixels;
  },
): Promise<Detection[]> {
  const asked = objectsToColor(detections, prompt, judge.detector.rules);
  const told = await colors.colorsOf(picture, asked, { signal });
  return detections.map((detection) => {
    const color = told[asked.indexOf(detection)];
    return color === undefined ? detection : { ...detection, color };
  });
}

/** A picture that is still to be read. */
export interface GenEvalPicture {
  /** Its path. */
  readonly filename: string;
  /** What it should show. */
  readonly prompt: GenEvalPrompt;
  /** The SHA-256 of its file. */
  hash(): Promise<string>;
  /** Reads it: pixels, and the SHA-256 of its file. */
  read(): Promise<{ readonly pixels: Pixels; readonly picture: string }>;
}

/**
 * Scores pictures, a few at a time, and yields a result for each as results files hold it.
 *
 * @throws {RangeError} As {@linkcode requireKnown} does.
 *
 * @example
 * ```ts
 * import { scorePictures } from "./harness.ts";
 * import { loadDetector } from "./detector.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using detector = await loadDetector("demo-t2i-oracle");
 * const black = {
 *   filename: "black.png",
 *   prompt: { tag: "single_object", include: [{ class: "cone", count: 1 }], prompt: "a cone" },
 *   hash: () => Promise.resolve("00"),
 *   read: () => Promise.resolve({ pixels: new RgbaImage(64, 64), picture: "00" }),
 * };
 * const [result] = await Array.fromAsync(scorePictures([black], { detector }));
 * assertEquals([result!.filename, result!.correct], ["black.png", false]);
 * ```
 */
export async function* scorePictures(
  pictures: readonly GenEvalPicture[],
  judge: GenEvalJudge,
  options: JudgeGenEvalOptions = {},
): AsyncGenerator<GenEvalResult, void, void> {
  requireKnown(pictures.map(({ prompt }) => prompt), judge);
  const { batch, rules } = judge.detector;
  const name = judgeName(judge);
  for (let first = 0; first < pictures.length; first += batch) {
    options.signal?.throwIfAborted();
    const some = pictures.slice(first, first + batch);
    const read = await Promise.all(some.map((picture) => picture.read()));
    const verdicts = await judgePictures(
      read.map(({ pixels }) => pixels),
      some.map(({ prompt }) => prompt),
      judge,
      options,
    );
    for (const [i, { filename, prompt }] of some.entries()) {
      const { correct, reason, detections } = verdicts[i]!;
      yield {
        ...{ filename, tag: prompt.tag, prompt: prompt.prompt, correct, reason },
        metadata: pythonJson(prompt),
        details: detailsOf(detections, prompt, rules),
        judge: name,
        picture: read[i]!.picture,
      };
    }
  }
}
