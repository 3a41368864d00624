/**
 * GenEval's results: `results.jsonl`, a line of JSON for each picture, as `evaluate_images.py` writes it and
 * `summary_scores.py` reads it. Lines written here say besides who has judged which picture, which that
 * passes by. What they come to, `table.ts` says.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";
import type { GenEvalPrompt } from "./metadata.ts";
import { countedObjects, type Detection, GENEVAL_RULES, type GenEvalRules } from "./rules.ts";

/** A line of a results file. */
export interface GenEvalResult {
  /** Path of the picture. */
  readonly filename: string;
  /** Kind of the prompt. */
  readonly tag: string;
  /** The prompt. */
  readonly prompt: string;
  /** Whether the picture shows what it says. */
  readonly correct: boolean;
  /** Why not; empty if it does. */
  readonly reason: string;
  /** What is known of the prompt, as JSON: by this text pictures of one prompt are told. */
  readonly metadata: string;
  /** What counted, as JSON: left, top, right, bottom and score of each object, by its class. */
  readonly details: string;
  /** Who judged, where a line says so; without it GenEval's own script did. */
  readonly judge?: string;
  /** SHA-256 of the picture's file, where a line says so. */
  readonly picture?: string;
}

/** Fields that a line must have. */
const FIELDS = ["filename", "tag", "prompt", "correct", "reason", "metadata", "details"] as const;
/** Fields that only lines written here have. */
const OWN_FIELDS = ["judge", "picture"] as const;

/**
 * Reads a results file. Other fields are passed by.
 *
 * @param text Its content.
 * @param file Its name, for messages.
 * @throws {TypeError} If a line is none of a result; it is named by its number.
 *
 * @example
 * ```ts
 * import { parseGenEvalResults } from "./results_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const texts = { tag: "colors", prompt: "a red cup", reason: "", metadata: "{}", details: "{}" };
 * const filename = "images/00000/samples/00000.png";
 * const [result] = parseGenEvalResults(JSON.stringify({ filename, correct: true, ...texts }));
 * assertEquals([result!.filename, result!.correct], [filename, true]);
 * ```
 */
export function parseGenEvalResults(text: string, file: string = "the results"): GenEvalResult[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const place = `line ${i + 1} of ${file}`;
    let content: unknown;
    try {
      content = JSON.parse(line);
    } catch (cause) {
      throw new TypeError(`Cannot read ${place} as it is no JSON: ${(cause as Error).message}`, { cause });
    }
    const found = (content ?? {}) as Readonly<Record<string, unknown>>;
    const names = [...FIELDS, ...OWN_FIELDS.filter((name) => found[name] !== undefined)];
    for (const name of names) requireField(name, found[name], place);
    return [Object.fromEntries(names.map((name) => [name, found[name]])) as unknown as GenEvalResult];
  });
}

function requireField(name: keyof GenEvalResult, value: unknown, place: string): void {
  if (name === "correct" ? typeof value === "boolean" : typeof value === "string") return;
  const wanted = name === "correct" ? "true or false" : "a text";
  throw new TypeError(
    `Cannot read ${place} as "${name}" must be ${wanted}: current value is ${shown(value)}`,
  );
}

/**
 * A line of a results file, without its end.
 *
 * @example
 * ```ts
 * import { formatGenEvalResult, parseGenEvalResults } from "./results_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const result = {
 *   filename: "images/00000/samples/00000.png",
 *   tag: "colors",
 *   prompt: "a red cup",
 *   correct: true,
 *   reason: "",
 *   metadata: "{}",
 *   details: "{}",
 * };
 * assertEquals(parseGenEvalResults(formatGenEvalResult(result)), [result]);
 * ```
 */
export function formatGenEvalResult(result: GenEvalResult): string {
  return JSON.stringify(Object.fromEntries([...FIELDS, ...OWN_FIELDS].map((name) => [name, result[name]])));
}

/**
 * What counted in a picture as results hold it: boxes by their classes, the surest first.
 *
 * @example
 * ```ts
 * import { detailsOf } from "./results_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const dog = { label: "dog", score: 0.5, box: [10, 20, 30, 40] } as const;
 * assertEquals(detailsOf([dog], { tag: "colors" }), '{"dog": [[10, 20, 40, 60, 0.5]]}');
 * ```
 */
export function detailsOf(
  detections: readonly Detection[],
  prompt: Pick<GenEvalPrompt, "tag">,
  rules: GenEvalRules = GENEVAL_RULES,
): string {
  const found = [...countedObjects(detections, prompt, rules)].map(([label, objects]) => {
    const corners = objects.map(({ score, box: [x, y, width, height] }) => {
      return [x, y, x + width, y + height, score];
    });
    return [label, corners] as const;
  });
  return pythonJson(Object.fromEntries(found));
}

/**
 * JSON as Python's `json.dumps` writes it, with a space behind each comma and colon and nothing but ASCII:
 * the same metadata is then the same text whoever wrote it, and pictures of a prompt come together.
 *
 * @example
 * ```ts
 * import { pythonJson } from "./results_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(pythonJson({ color: "café", at: [1, 2] }), String.raw`{"color": "caf\u00e9", "at": [1, 2]}`);
 * ```
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${
      Object.entries(value).map(([name, item]) => `${ascii(name)}: ${pythonJson(item)}`).join(", ")
    }}`;
  }
  return typeof value === "string" ? ascii(value) : JSON.stringify(value);
}

function ascii(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
