/**
 * Reads `results.json`: what a sweep wrote, and what anybody may have changed since. What is made of it is
 * left to `report.ts`.
 *
 * @module
 */

import { mustBe, quoted, requireText, shown } from "../../kernels/arguments.ts";
import type { SweepResults } from "../sweep/results.ts";

/**
 * Reads the text of a `results.json`, and checks all of it: whoever has the result need not ask whether a
 * number is one. Fields that this version does not know are left as they are.
 *
 * @param text The text of the file.
 * @param name What the file is called in messages.
 * @returns The results.
 * @throws {RangeError} If it is no JSON, no results of a sweep, of a version that is not known, or damaged;
 * the message says where.
 *
 * @example
 * ```ts
 * import { parseSweepResults } from "./results_file.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(
 *   () => parseSweepResults('{"format": "varscale-sweep-results", "version": 2}', "results.json"),
 *   RangeError,
 *   "Cannot read results.json as version must be 1: current value is 2",
 * );
 * ```
 */
export function parseSweepResults(text: string, name = "results.json"): SweepResults {
  const action = `read ${name}`;
  let value: unknown;
  try {
    value = JSON.parse(requireText(text, "the text", action));
  } catch (error) {
    if (error instanceof TypeError) throw error;
    throw new RangeError(`Cannot ${action} as it is no JSON: ${(error as Error).message}`, { cause: error });
  }
  const check = new Check(action);
  const results = check.object(value, "it");
  if (results.format !== "varscale-sweep-results") {
    throw new RangeError(mustBe('"varscale-sweep-results"', results.format, "format", action));
  }
  if (results.version !== 1) throw new RangeError(mustBe("1", results.version, "version", action));
  check.text(results.title, "title");
  if (results.description !== undefined) check.text(results.description, "description");
  check.boolean(results.complete, "complete");
  check.texts(results.made, "made");
  const models = check.list(results.models, "models").map((model, i) => {
    const { name, facts, subjects } = check.object(model, `models[${i}]`);
    check.texts(facts, `models[${i}].facts`);
    if (subjects !== undefined) check.texts(subjects, `models[${i}].subjects`);
    return check.text(name, `models[${i}].name`);
  });
  check.distinct(models, "models", "name");
  if (results.intervals !== undefined) {
    const { confidence, resamples } = check.object(results.intervals, "intervals");
    check.share(confidence, "intervals.confidence");
    check.count(resamples, "intervals.resamples");
  }
  const keys = check.list(results.metrics, "metrics").map((metric, i) => checkMetric(check, metric, i));
  check.distinct(keys, "metrics", "key");
  const ids = check.list(results.rows, "rows").map((row, i) => checkRow(check, row, `rows[${i}]`, models));
  check.distinct(ids, "rows", "id");
  return value as SweepResults;
}

function checkMetric(check: Check, value: unknown, index: number): string {
  const name = `metrics[${index}]`;
  const { key, title, better, network, note } = check.object(value, name);
  check.text(title, `${name}.title`);
  check.choice(better, ["higher", "lower", "neither"], `${name}.better`);
  if (network !== undefined) check.text(network, `${name}.network`);
  if (note !== undefined) check.text(note, `${name}.note`);
  return check.key(key, `${name}.key`);
}

function checkRow(check: Check, value: unknown, name: string, models: readonly string[]): string {
  const row = check.object(value, name);
  const id = check.text(row.id, `${name}.id`);
  check.choice(row.model, models, `${name}.model`);
  for (const field of ["method", "title"]) check.text(row[field], `${name}.${field}`);
  check.object(row.settings, `${name}.settings`);
  check.list(row.seeds, `${name}.seeds`).forEach((seed, i) => check.count(seed, `${name}.seeds[${i}]`));
  for (const field of ["pictures", "planned"]) check.count(row[field], `${name}.${field}`);
  if (row.cost !== undefined) {
    const cost = check.object(row.cost, `${name}.cost`);
    for (const field of ["flops", "ratio", "seconds"]) check.amount(cost[field], `${name}.cost.${field}`);
  }
  for (const [key, measured] of check.entries(row.metrics, `${name}.metrics`)) {
    checkMeasured(check, measured, `${name}.metrics.${key}`);
  }
  for (const [key, list] of check.entries(row.differences, `${name}.differences`)) {
    check.list(list, `${name}.differences.${key}`).forEach((difference, i) => {
      const at = `${name}.differences.${key}[${i}]`;
      const { to, p } = checkMeasured(check, difference, at);
      check.text(to, `${at}.to`);
      check.share(p, `${at}.p`);
    });
  }
  for (const [key, share] of check.entries(row.branches, `${name}.branches`)) {
    check.share(share, `${name}.branches.${key}`);
  }
  for (const [key, number] of check.entries(row.published, `${name}.published`)) {
    check.number(number, `${name}.published.${key}`);
  }
  if (row.missing !== undefined) check.text(row.missing, `${name}.missing`);
  check.list(row.examples, `${name}.examples`).forEach((path, i) =>
    check.inside(path, `${name}.examples[${i}]`)
  );
  return id;
}

function checkMeasured(check: Check, value: unknown, name: string): Readonly<Record<string, unknown>> {
  const measured = check.object(value, name);
  check.number(measured.value, `${name}.value`);
  if (measured.low !== undefined) check.number(measured.low, `${name}.low`);
  if (measured.high !== undefined) check.number(measured.high, `${name}.high`);
  return measured;
}

/** Checks of values whose names say where in the file they stand. */
class Check {
  readonly #action: string;

  constructor(action: string) {
    this.#action = action;
  }

  object(value: unknown, name: string): Readonly<Record<string, unknown>> {
    return this.#that(
      typeof value === "object" && value !== null && !Array.isArray(value),
      value as Readonly<Record<string, unknown>>,
      "an object",
      name,
    );
  }

  /** Entries of an object that may be left out. */
  entries(value: unknown, name: string): [string, unknown][] {
    return value === undefined ? [] : Object.entries(this.object(value, name));
  }

  list(value: unknown, name: string): readonly unknown[] {
    return this.#that(Array.isArray(value), value as readonly unknown[], "a list", name);
  }

  text(value: unknown, name: string): string {
    return this.#that(typeof value === "string", value as string, "a text", name);
  }

  /** A text by which values are found in objects, and nothing but them. */
  key(value: unknown, name: string): string {
    const key = this.text(value, name);
    return this.#that(key !== "" && !(key in {}), key, "a name that no object has by itself", name);
  }

  texts(value: unknown, name: string): void {
    for (const [key, text] of Object.entries(this.object(value, name))) this.text(text, `${name}.${key}`);
  }

  boolean(value: unknown, name: string): void {
    this.#that(typeof value === "boolean", value, "a boolean", name);
  }

  choice(value: unknown, choices: readonly string[], name: string): void {
    const wanted = choices.length === 0 ? "one of no models" : `one of ${choices.map(quoted).join(", ")}`;
    this.#that(choices.includes(value as string), value, wanted, name);
  }

  number(value: unknown, name: string): void {
    // JSON has no NaN: who writes one leaves null.
    this.#that(Number.isFinite(value), value, "a finite number", name);
  }

  amount(value: unknown, name: string): void {
    this.#that(Number.isFinite(value) && Number(value) >= 0, value, "a finite number >= 0", name);
  }

  share(value: unknown, name: string): void {
    this.#that(typeof value === "number" && value >= 0 && value <= 1, value, "from 0 to 1", name);
  }

  count(value: unknown, name: string): void {
    this.#that(Number.isSafeInteger(value) && Number(value) >= 0, value, "an integer >= 0", name);
  }

  /** A path that leads nowhere but into the folder of the results. */
  inside(value: unknown, name: string): void {
    const path = this.text(value, name);
    const parts = path.split(/[/\\]/);
    this.#that(
      path !== "" && !path.includes("\0") && !/^([/\\]|[A-Za-z]:)/.test(path) && !parts.includes(".."),
      path,
      "a path within the folder of the results",
      name,
    );
  }

  distinct(values: readonly string[], list: string, field: string): void {
    const twice = values.find((value, i) => values.indexOf(value) < i);
    if (twice === undefined) return;
    throw new RangeError(`Cannot ${this.#action} as two of ${list} have the ${field} ${shown(twice)}`);
  }

  #that<Value>(holds: boolean, value: Value, wanted: string, name: string): Value {
    if (holds) return value;
    throw new RangeError(mustBe(wanted, value, name, this.#action));
  }
}
