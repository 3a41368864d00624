/**
 * GenEval's prompts: what a picture must show, and what makes it wrong. Whether one does, `rules.ts` decides.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";

/** What GenEval's prompts are about, in the order of its table. */
export const GENEVAL_TAGS = [
  "single_object",
  "two_object",
  "counting",
  "colors",
  "position",
  "color_attr",
] as const;

/** Where one object can be of another. */
export const RELATIONS = ["left of", "right of", "above", "below"] as const;
/** One of {@linkcode RELATIONS}. */
export type Relation = typeof RELATIONS[number];

/** Objects that a picture must show, or must not show so many of. */
export interface Requirement {
  /** What they are. */
  readonly class: string;
  /** How many. */
  readonly count: number;
  /** Colour of all of them; any without. */
  readonly color?: string;
  /** Where they are of those of an earlier requirement, which is told by its index. */
  readonly position?: readonly [Relation, number];
}

/** A prompt with what makes a picture of it right, as `evaluation_metadata.jsonl` holds it. */
export interface GenEvalPrompt {
  /** Its kind: one of {@linkcode GENEVAL_TAGS}, or one of your own. */
  readonly tag: string;
  /** What a picture must show, all of it. */
  readonly include: readonly Requirement[];
  /** What it must not show so many of. */
  readonly exclude?: readonly Requirement[];
  /** The words. */
  readonly prompt: string;
}

/**
 * Reads GenEval's metadata: one line of JSON for each prompt. Empty lines do not count.
 *
 * @param text Content of the file.
 * @param file Its name, for messages.
 * @throws {TypeError} If a line is none of a prompt; it is named by its number.
 *
 * @example
 * ```ts
 * import { parseMetadata } from "./metadata.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const line = `{"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a dog"}`;
 * const [prompt] = parseMetadata(`${line}\n`);
 * assertEquals(prompt!.include, [{ class: "dog", count: 1 }]);
 * assertThrows(() => parseMetadata(`${line}\n{"tag": 1}\n`), TypeError, "line 2 of the metadata");
 * ```
 */
export function parseMetadata(text: string, file: string = "the metadata"): GenEvalPrompt[] {
  return text.split("\n").flatMap((line, i) => {
    return line.trim() === "" ? [] : [parsePrompt(line, `line ${i + 1} of ${file}`)];
  });
}

/**
 * Reads one prompt.
 *
 * @param json The prompt, as a line has it.
 * @param place What to call the line in messages.
 * @throws {TypeError} If it is none.
 */
export function parsePrompt(json: string, place: string): GenEvalPrompt {
  let content: unknown;
  try {
    content = JSON.parse(json);
  } catch (cause) {
    throw new TypeError(`Cannot read ${place} as it is no JSON: ${(cause as Error).message}`, { cause });
  }
  const { tag, include, exclude, prompt } = objectOf(content, place, "an object");
  for (const [name, value] of Object.entries({ tag, prompt })) {
    if (typeof value !== "string") refuse(place, `a text as "${name}"`, value);
  }
  if (!Array.isArray(include) || include.length === 0) refuse(place, 'a list as "include"', include);
  if (exclude !== undefined && !Array.isArray(exclude)) refuse(place, 'a list as "exclude"', exclude);
  for (const name of ["include", "exclude"] as const) {
    const list = (name === "include" ? include : exclude ?? []) as readonly unknown[];
    for (const [i, item] of list.entries()) requireRequirement(item, i, { name, place });
  }
  return content as GenEvalPrompt;
}

function requireRequirement(
  item: unknown,
  index: number,
  { name, place }: { readonly name: "include" | "exclude"; readonly place: string },
): void {
  const path = `"${name}[${index}]`;
  const { class: kind, count, color, position } = objectOf(item, place, `an object as ${path}"`);
  if (typeof kind !== "string" || kind === "") refuse(place, `a text as ${path}.class"`, kind);
  if (!Number.isSafeInteger(count) || (count as number) < 1) {
    refuse(place, `an integer >= 1 as ${path}.count"`, count);
  }
  if (color !== undefined && typeof color !== "string") refuse(place, `a text as ${path}.color"`, color);
  if (position === undefined) return;
  const [relation, other, ...more] = Array.isArray(position) ? position : [];
  const isPosition = RELATIONS.includes(relation) && Number.isSafeInteger(other) && more.length === 0;
  if (!isPosition || other < 0 || other >= index) {
    const relations = RELATIONS.map((known) => `"${known}"`).join(", ");
    refuse(place, `one of ${relations} and the index of an earlier object as ${path}.position"`, position);
  }
}

function objectOf(content: unknown, place: string, wanted: string): Readonly<Record<string, unknown>> {
  if (typeof content === "object" && content !== null && !Array.isArray(content)) {
    return content as Readonly<Record<string, unknown>>;
  }
  return refuse(place, wanted, content);
}

function refuse(place: string, wanted: string, found: unknown): never {
  throw new TypeError(`Cannot read ${place} as it must have ${wanted}: current value is ${shown(found)}`);
}
