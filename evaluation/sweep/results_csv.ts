/**
 * Results of a sweep as comma-separated values, a line for each row, for spreadsheets and plotting tools.
 *
 * @module
 */

import type { SweepResults, SweepRow } from "./results.ts";

/** A column: its name, and what stands in it. */
type Column = readonly [name: string, of: (row: SweepRow) => unknown];

/**
 * Writes results as CSV (RFC 4180): identity, settings by name, cost, and of each metric value, interval,
 * difference to the first row that it is held against, its p, and what is published. What is not known is
 * empty.
 *
 * @example
 * ```ts
 * import { formatCsv } from "./results_csv.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const row = {
 *   ...{ id: "demo.plain", model: "demo", method: "plain", title: "plain", settings: {} },
 *   ...{ seeds: [0], pictures: 2, planned: 2, metrics: { fid: { value: 2.25 } }, examples: [] },
 * };
 * const csv = formatCsv({
 *   ...{ format: "varscale-sweep-results", version: 1, title: "one", complete: true, plan: {}, made: {} },
 *   ...{ models: [], metrics: [{ key: "fid", title: "FID", better: "lower" }], rows: [row] },
 * });
 * assertEquals(csv.split("\r\n")[1]?.startsWith("demo.plain,demo,plain,plain,0,2,2,,,,,2.25,"), true);
 * ```
 */
export function formatCsv({ rows, metrics }: SweepResults): string {
  const settings = [...new Set(rows.flatMap(({ settings }) => Object.keys(settings)))];
  const branches = [...new Set(rows.flatMap(({ branches = {} }) => Object.keys(branches)))];
  const columns: readonly Column[] = [
    ["id", ({ id }) => id],
    ["model", ({ model }) => model],
    ["method", ({ method }) => method],
    ["title", ({ title }) => title],
    ["seeds", ({ seeds }) => seeds.join(" ")],
    ["pictures", ({ pictures }) => pictures],
    ["planned", ({ planned }) => planned],
    ["missing", ({ missing }) => missing],
    ["flops", ({ cost }) => cost?.flops],
    ["ratio", ({ cost }) => cost?.ratio],
    ["seconds", ({ cost }) => cost?.seconds],
    ...metrics.flatMap(({ key }): Column[] => [
      [key, ({ metrics }) => metrics[key]?.value],
      [`${key} low`, ({ metrics }) => metrics[key]?.low],
      [`${key} high`, ({ metrics }) => metrics[key]?.high],
      [`${key} difference`, ({ differences }) => differences?.[key]?.[0]?.value],
      [`${key} difference to`, ({ differences }) => differences?.[key]?.[0]?.to],
      [`${key} p`, ({ differences }) => differences?.[key]?.[0]?.p],
      [`${key} published`, ({ published }) => published?.[key]],
    ]),
    ...branches.map((name): Column => [`branch ${name}`, ({ branches }) => branches?.[name]]),
    ...settings.map((name): Column => [`setting ${name}`, ({ settings }) => settings[name]]),
  ];
  const lines = [columns.map(([name]) => name), ...rows.map((row) => columns.map(([, of]) => of(row)))];
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
