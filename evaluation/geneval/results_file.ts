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

/** Fields that a line must have, with their types. */
const FIELDS = {
  filename: "string",
  tag: "string",
  prompt: "string",
  correct: "boolean",
  reason: "string",
  metadata: "string",
  details: "string",
} as const;

/**
 * Reads a results file. Other fields are passed by.
 *
 * @param text Its content.
 * @param file Its name, for messages.
 * @throws {TypeError} If a line is none of a result; it is named by its number.
 *
 * @example
 * ```ts
 * import { parseResults } from "./results_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const line = String.raw`{"filename":"images\/00000\/samples\/00000.png","tag":"colors","prompt":"a red cup",
 *   "correct":true,"reason":"","metadata":"{}","details":"{}"}`.replace("\n", "");
 * const [result] = parseResults(line);
 * assertEquals([result!.filename, result!.correct], ["images/00000/samples/00000.png", true]);
 * ```
 */
export function parseResults(text: string, file: string = "the results"): GenEvalResult[] {
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
    for (const [name, type] of Object.entries(FIELDS)) requireField(found, name, type, place);
    for (const name of ["judge", "picture"]) {
      if (found[name] !== undefined) requireField(found, name, "string", place);
    }
    const names = [...Object.keys(FIELDS), "judge", "picture"].filter((name) => found[name] !== undefined);
    return [Object.fromEntries(names.map((name) => [name, found[name]])) as unknown as GenEvalResult];
  });
}

function requireField(
  found: Readonly<Record<string, unknown>>,
  name: string,
  type: "string" | "boolean",
  place: string,
): void {
  if (typeof found[name] === type) return;
  const wanted = type === "string" ? "a text" : "true or false";
  throw new TypeError(
    `Cannot read ${place} as "${name}" must be ${wanted}: current value is ${shown(found[name])}`,
  );
}

/**
 * A line of a results file, without its end.
 *
 * @example
 * ```ts
 * import { formatResult, parseResults } from "./results_file.ts";
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
 * assertEquals(parseResults(formatResult(result)), [result]);
 * ```
 */
export function formatResult(result: GenEvalResult): string {
  const names = [...Object.keys(FIELDS), "judge", "picture"] as (keyof GenEvalResult)[];
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, result[name]])));
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
 * assertEquals(pythonJson({ prompt: "café", count: [1, 2] }), String.raw`{"prompt": "caf\u00e9", "count": [1, 2]}`);
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
