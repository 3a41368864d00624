/**
 * What is known so far of every method: a line of JSON for each label, written when its pictures are judged,
 * so that a run that was interrupted goes on where it stopped. What is made of the lines is left to
 * `method_tables.ts`.
 *
 * @module
 */

import type { Judgement, MethodModel } from "./method_subjects.ts";

/** A method with everything that decides what it paints. */
export interface MethodSetting {
  /** The model. */
  readonly model: MethodModel;
  /** Name of the method. */
  readonly method: string;
  /** Pictures of Best-of-N that may be spent on one; 1 for what costs about as much as a plain one. */
  readonly budget: number;
  /** Seed of all of its pictures. */
  readonly seed: number;
  /** Settings of its hooks. */
  readonly settings: readonly Readonly<Record<string, unknown>>[];
}

/** What came of a label. */
export interface MethodRecord extends MethodSetting, Judgement {
  /** Number of the label among all of the model's. */
  readonly prompt: number;
  /** Its kind. */
  readonly group: string;
  /** Operations for one picture. */
  readonly flops: number;
  /** Seconds for one picture. */
  readonly seconds: number;
}

/** What tells a line from all others. */
export function recordKey(
  { model, method, budget, seed, settings, prompt }: MethodSetting & { readonly prompt: number },
): string {
  return JSON.stringify([model, method, budget, seed, settings, prompt]);
}

/**
 * The lines of a file by their keys; none if there is no such file. What an interruption has left of a line
 * at its end is cut off, so that others can be added.
 */
export async function openRecords(path: string): Promise<Map<string, MethodRecord>> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  if (whole !== text) await Deno.writeTextFile(path, whole);
  const records = whole.split("\n").slice(0, -1).map((line): MethodRecord => JSON.parse(line));
  return new Map(records.map((record) => [recordKey(record), record]));
}

/** Adds lines to a file. */
export async function appendRecords(path: string, records: readonly MethodRecord[]): Promise<void> {
  const lines = records.map((record) => `${JSON.stringify(record)}\n`);
  await Deno.writeTextFile(path, lines.join(""), { append: true });
}
