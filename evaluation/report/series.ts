/**
 * Which rows of a sweep belong on one line: those of a model and a method that differ in one setting alone,
 * or in others that follow from it, as α follows from N in papers. How lines are drawn is left to
 * `figures.ts`.
 *
 * @module
 */

import type { SweepRow } from "../sweep/results.ts";

/** Rows of one line, in the order of their setting. */
export interface Series {
  /** What tells the line from others: the method, and the settings that are the same all along it. */
  readonly title: string;
  /** The rows. */
  readonly rows: readonly SweepRow[];
}

/** Lines along one setting. */
export interface Along {
  /** The setting. */
  readonly setting: string;
  /** The lines; some have a single point. */
  readonly series: readonly Series[];
}

/** What says how much a method searches; lines follow these first. */
const AMOUNTS: readonly string[] = ["samples", "candidates", "multiple", "lanes", "width"];

/** Names of methods for people. */
const METHODS: Readonly<Record<string, string>> = {
  "plain": "plain",
  "prefix-guidance": "prefix guidance",
  "var-scaling": "VAR-Scaling",
  "best-of-n": "Best-of-N",
  "tts-var": "TTS-VAR",
  "beam": "beam search",
};

/** Name of a method for people: `"VAR-Scaling + Best-of-N"`. */
export function methodTitle(method: string): string {
  return method.split(/\s*\+\s*/).map((part) => METHODS[part] ?? part).join(" + ");
}

/**
 * The settings along which at least one method has a line of two points or more, each with the lines of all
 * methods that have it.
 *
 * @param rows Rows of one model.
 */
export function linesOf(rows: readonly SweepRow[]): Along[] {
  const found: Along[] = [];
  for (const setting of settingsOf(rows)) {
    const earlier = found.map(({ setting }) => setting);
    const series = seriesAlong(rows, setting)
      // Where N varies along with α, the line along N has said it already.
      .filter(({ rows }) => earlier.every((other) => !varies(rows, other)));
    if (series.some(({ rows }) => varies(rows, setting))) found.push({ setting, series });
  }
  return found;
}

/** The lines of rows that have a number for a setting. */
function seriesAlong(rows: readonly SweepRow[], setting: string): Series[] {
  const methods = Map.groupBy(
    rows.filter(({ settings }) => typeof settings[setting] === "number"),
    ({ method }) => method,
  );
  const series = [...methods].flatMap(([method, rows]) => split(methodTitle(method), rows, setting));
  if (methods.size > 1 || series.length === 1) return series;
  // Of one method alone the settings say it all.
  return series.map(({ title, rows }) => ({ title: title.slice(title.indexOf(", ") + 2), rows }));
}

/** Parts rows until each value of the setting has one value of every other. */
function split(title: string, rows: readonly SweepRow[], setting: string): Series[] {
  const free = settingsOf(rows, "all").filter((other) => other !== setting && !follows(rows, other, setting));
  const [parting] = free.toSorted((a, b) => valuesOf(rows, a).size - valuesOf(rows, b).size);
  if (parting === undefined) {
    return [{ title, rows: rows.toSorted((a, b) => numberOf(a, setting) - numberOf(b, setting)) }];
  }
  return [...Map.groupBy(rows, (row) => written(row, parting)).values()].flatMap((part) =>
    split(`${title}, ${settingText(parting, part[0]?.settings[parting])}`, part, setting)
  );
}

/** A setting with its value: `scale 3`. */
export function settingText(name: string, value: unknown): string {
  return `${name} ${
    value === undefined ? "by default" : typeof value === "string" ? value : JSON.stringify(value)
  }`;
}

/** The number that a row has for a setting. */
export function numberOf({ settings }: SweepRow, setting: string): number {
  return Number(settings[setting]);
}

/** Names of settings: those with numbers, amounts before all others, or all. */
function settingsOf(rows: readonly SweepRow[], which: "numbers" | "all" = "numbers"): string[] {
  const names = new Set(rows.flatMap(({ settings }) => Object.keys(settings)));
  if (which === "all") return [...names];
  const rank = (name: string) => AMOUNTS.includes(name) ? AMOUNTS.indexOf(name) : AMOUNTS.length;
  return [...names]
    .filter((name) => rows.some(({ settings }) => typeof settings[name] === "number"))
    .toSorted((a, b) => rank(a) - rank(b));
}

function written(row: SweepRow, setting: string): string {
  return JSON.stringify(row.settings[setting]) ?? "";
}

function valuesOf(rows: readonly SweepRow[], setting: string): Set<string> {
  return new Set(rows.map((row) => written(row, setting)));
}

function varies(rows: readonly SweepRow[], setting: string): boolean {
  return valuesOf(rows, setting).size > 1;
}

/** Whether a setting has one value for each value of another. */
function follows(rows: readonly SweepRow[], setting: string, leading: string): boolean {
  return [...Map.groupBy(rows, (row) => written(row, leading)).values()]
    .every((same) => !varies(same, setting));
}
