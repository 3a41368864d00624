/**
 * What the rows of a sweep paint: classes, prompts, or captions with what a picture of them must show, from a
 * plan's words about them. Who judges the pictures is left to `judging.ts`.
 *
 * @module
 */

import { mustBe, shown } from "../../kernels/arguments.ts";
import { sha256 } from "../../models/checkpoint/source.ts";
import type { Label, Model } from "../../models/mod.ts";
import { type GenEvalPrompt, parseMetadata } from "../geneval/metadata.ts";
import type { SweepSubjects } from "./plan.ts";

/** Something to paint. */
export interface Subject {
  /** Its number among all subjects of the model, which keys its random numbers. */
  readonly number: number;
  /** What the model is asked for. */
  readonly label: Exclude<Label, null>;
  /** Class number, where it is a class. */
  readonly id: number | null;
  /** Kind of subject; all kinds have the same weight. Of captions the tag, of classes the class. */
  readonly group: string;
  /** What a picture must show, where that is known. */
  readonly caption?: GenEvalPrompt;
}

/** Captions that come with the bundled model of texts, in GenEval's form. */
const BUNDLED_CAPTIONS = new URL("../judges/demo_t2i_captions.jsonl", import.meta.url);

const ACTION = "sweep";

/**
 * The subjects that a plan names.
 *
 * @param model What they are painted by.
 * @throws {TypeError} If the model takes the other kind of them, or a file holds something else.
 * @throws {RangeError} If there is no such class, or one is there twice.
 */
export async function subjectsOf(
  model: Pick<Model, "name" | "labels" | "resolveLabel">,
  { labels, prompts, file, limit }: SweepSubjects = {},
): Promise<Subject[]> {
  const texts = model.labels.kind === "texts";
  if (texts && prompts === undefined && file === undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as the model "${model.name}" takes texts: the plan's subjects must have prompts or a file`,
    );
  }
  if (!texts && (prompts ?? file) !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION} as the model "${model.name}" takes classes: the plan's subjects must have labels`,
    );
  }
  const all = texts
    ? prompts?.map((prompt, number) => promptSubject(prompt, number)) ?? await captionsIn(file!)
    : classesOf(model, labels);
  return spread(all, limit);
}

function classesOf(
  model: Pick<Model, "labels" | "resolveLabel">,
  labels: SweepSubjects["labels"] = "all",
): Subject[] {
  const count = model.labels.kind === "classes" ? model.labels.count : 0;
  const wanted = labels === "all" ? Array.from({ length: count }, (_, i) => i) : labels;
  const seen = new Set<number>();
  return wanted.map((label, number) => {
    const { id, name } = model.resolveLabel(label);
    if (seen.has(id!)) {
      throw new RangeError(mustBe("all different", `${shown(name)} twice`, "labels", ACTION));
    }
    seen.add(id!);
    return { number, label: id!, id, group: name };
  });
}

function promptSubject(prompt: string, number: number): Subject {
  return { number, label: prompt, id: null, group: "" };
}

/** The prompts of a file: lines of text, or of JSON, which may be GenEval's. */
async function captionsIn(file: string): Promise<Subject[]> {
  const place = file === "demo-t2i" ? BUNDLED_CAPTIONS : file;
  const text = await Deno.readTextFile(place);
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) {
    throw new TypeError(mustBe("a line for each prompt", "an empty file", file, ACTION));
  }
  if (!lines[0]!.startsWith("{")) return lines.map((line, number) => promptSubject(line.trim(), number));
  if (lines.every((line) => line.includes('"include"'))) {
    return parseMetadata(text, file).map((caption, number) => ({
      ...promptSubject(caption.prompt, number),
      ...{ group: caption.tag, caption },
    }));
  }
  return lines.map((line, number) => promptSubject(promptOf(line, `line ${number + 1} of ${file}`), number));
}

function promptOf(line: string, place: string): string {
  try {
    const { prompt } = JSON.parse(line);
    if (typeof prompt === "string") return prompt;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new TypeError(mustBe("JSON with prompt, as the first line is", line, place, ACTION));
}

/** SHA-256 of what is painted and of what it must show. */
export async function checksumOf(subjects: readonly Subject[]): Promise<string> {
  const told = JSON.stringify(subjects.map(({ number, label, caption }) => [number, label, caption]));
  return await sha256(new TextEncoder().encode(told));
}

/**
 * What people call the subjects of a model that has painted, by their numbers.
 *
 * @param groups Kinds of the subjects, which are the names of classes.
 * @param checksum That of the subjects that were painted, if it was written down.
 * @returns Nothing where a file of prompts is not there any more, or another one is.
 */
export async function namesOf(
  { prompts, file, limit }: SweepSubjects,
  { groups, checksum }: { readonly groups: readonly string[]; readonly checksum?: string | undefined },
): Promise<readonly string[]> {
  if (prompts !== undefined) return prompts;
  if (file === undefined) return groups;
  try {
    const captions = await captionsIn(file);
    if (checksum !== undefined && await checksumOf(spread(captions, limit)) !== checksum) return [];
    return captions.map(({ label }) => `${label}`);
  } catch {
    // Results are worth the same without the words.
    return [];
  }
}

/**
 * So many of a list, evenly spread; all of them without a number.
 *
 * @example
 * ```ts
 * import { spread } from "./subjects.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(spread([0, 1, 2, 3, 4, 5, 6], 3), [0, 2, 4]);
 * ```
 */
export function spread<Item>(list: readonly Item[], count: number = list.length): Item[] {
  const kept = Math.min(count, list.length);
  return Array.from({ length: kept }, (_, i) => list[Math.floor(i * list.length / kept)]!);
}
