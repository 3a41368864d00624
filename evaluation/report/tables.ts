/**
 * Tables of a sweep as papers print them: a row for each method and setting, a column for each metric, values
 * with intervals, published values beside them, differences with their probabilities, what was not run and
 * why. How a page is made of them is left to `report.ts`.
 *
 * @module
 */

import type { Difference, Measured, MetricFacts, SweepResults, SweepRow } from "../sweep/results.ts";
import { escapeHtml } from "./html.ts";
import {
  counted,
  decimalsOf,
  fixed,
  operations,
  percent,
  probability,
  signed,
  withInterval,
} from "./number_text.ts";

/** A cell. */
export interface Cell {
  /** What stands in it. */
  readonly text: string;
  /** What stands below it, smaller. */
  readonly note?: string;
  /** Whether it is the best of its column. */
  readonly best?: boolean;
}

/** A column. */
export interface Column {
  /** Its name. */
  readonly title: string;
  /** Whether numbers stand in it, which are set to the right. */
  readonly numbers: boolean;
}

/** A table; the first cell of a row is the row's name. */
export interface Table {
  /** What it shows. */
  readonly caption: string;
  /** Columns. */
  readonly columns: readonly Column[];
  /** Rows with a cell for each column. */
  readonly rows: readonly (readonly Cell[])[];
  /** What must be known to read it. */
  readonly notes: readonly string[];
  /** Numbers of the rows with which something else begins, as another method does. */
  readonly parts?: readonly number[];
}

const NAME: Column = { title: "method", numbers: false };
const EMPTY: Cell = { text: "–" };

/**
 * The tables of a model: its values, and for each row that others are compared with their differences to it.
 *
 * @param results What a sweep came to, finished or not.
 * @param model Name of the model in the plan.
 * @returns No table where nothing of the model was run, nor published.
 *
 * @example
 * ```ts
 * import { markdownTable, modelTables } from "./tables.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [table] = modelTables({
 *   format: "varscale-sweep-results",
 *   version: 1,
 *   title: "N",
 *   complete: true,
 *   plan: {},
 *   made: {},
 *   models: [{ name: "demo", facts: {} }],
 *   metrics: [{ key: "fid", title: "FID", better: "lower" }],
 *   rows: [{
 *     id: "0",
 *     model: "demo",
 *     method: "plain",
 *     title: "plain",
 *     settings: {},
 *     seeds: [0],
 *     pictures: 448,
 *     planned: 448,
 *     metrics: { fid: { value: 7.5, low: 7.25, high: 7.75 } },
 *     examples: [],
 *   }],
 * }, "demo");
 * assertEquals(markdownTable(table!).split("\n")[2], "| method |             FID ↓ | pictures |");
 * assertEquals(markdownTable(table!).split("\n")[4], "| plain  | 7.50 [7.25, 7.75] |      448 |");
 * ```
 */
export function modelTables(results: SweepResults, model: string): Table[] {
  const rows = results.rows.filter((row) => row.model === model);
  // What was not run is listed for itself; here it stands beside what was, or what a paper has.
  if (!rows.some(({ missing, published }) => missing === undefined || published !== undefined)) return [];
  const byId = new Map(results.rows.map((row) => [row.id, row]));
  const others = new Set(
    rows.flatMap(({ differences = {} }) => Object.values(differences).flat().map(({ to }) => to)),
  );
  // At equal costs each row has a partner of its own, as Best-of-N of its budget: one table for all of them.
  const partners = Map.groupBy(others, (to) => byId.get(to)?.method ?? to);
  return [
    valueTable(results, rows, model),
    ...[...partners.values()].map((ids) => {
      const others = ids.map((id) => ({ id, title: byId.get(id)?.title ?? id }));
      return differenceTable(results, rows, others, model);
    }),
  ];
}

/** Values with intervals and costs. */
function valueTable(results: SweepResults, rows: readonly SweepRow[], model: string): Table {
  const { metrics } = results;
  const shown = metrics.filter(({ key }) =>
    rows.some(({ metrics, published = {} }) => key in metrics || key in published)
  );
  const columns: Column[] = [NAME];
  const cells = rows.map((row) => [nameCell(row)]);
  const add = (title: string, write: (row: SweepRow) => Cell) => {
    columns.push({ title, numbers: true });
    rows.forEach((row, i) => cells[i]?.push(write(row)));
  };
  for (const metric of shown) {
    const { key } = metric;
    const decimals = decimalsOf(rows.map(({ metrics }) => metrics[key]?.value ?? 0));
    const best = bestOf(metric, rows, decimals);
    add(titleWithArrow(metric), ({ metrics, id }) => {
      const measured = metrics[key];
      if (measured === undefined) return EMPTY;
      return { text: withInterval(measured, decimals), ...(best.has(id) ? { best: true } : {}) };
    });
    if (rows.some(({ published = {} }) => key in published)) {
      const printed = rows.flatMap(({ published = {} }) => published[key] ?? []);
      // As many digits as the paper has, though JSON leaves out its zeros.
      const digits = Math.max(...printed.map((value) => `${value}`.split(".")[1]?.length ?? 0));
      add(`published ${PRINTED[key] ?? metric.title}`, ({ published = {} }) => {
        const value = published[key];
        return value === undefined ? EMPTY : { text: fixed(value, Math.min(digits, 10)) };
      });
    }
  }
  if (rows.some(({ cost }) => cost !== undefined)) {
    add("operations", ({ cost }) => cost === undefined ? EMPTY : { text: `${fixed(cost.ratio, 3)}×` });
    add("s per picture", ({ cost }) => cost === undefined ? EMPTY : { text: counted(cost.seconds) });
  }
  add("pictures", ({ pictures, planned, missing }) => {
    if (missing !== undefined) return EMPTY;
    return { text: pictures === planned ? `${pictures}` : `${pictures} of ${planned}` };
  });
  return {
    caption: `${model}: metrics and costs`,
    columns,
    rows: cells,
    notes: notesOf(results, shown, rows),
    parts: partsOf(rows),
  };
}

/** Differences to rows of one method on the same seeds. */
function differenceTable(
  { metrics, intervals }: SweepResults,
  rows: readonly SweepRow[],
  others: readonly { readonly id: string; readonly title: string }[],
  model: string,
): Table {
  const differenceOf = (row: SweepRow, id: string, key: string): Difference | undefined =>
    row.differences?.[key]?.find(({ to }) => to === id);
  const pairs = rows.flatMap((row) => others.map((other) => ({ row, other }))).filter(({ row, other }) =>
    metrics.some(({ key }) => differenceOf(row, other.id, key) !== undefined)
  );
  const shown = metrics.filter(({ key }) =>
    pairs.some(({ row, other }) => differenceOf(row, other.id, key) !== undefined)
  );
  const decimals = new Map(shown.map(({ key }) => [
    key,
    decimalsOf(rows.map((row) => row.metrics[key]?.value ?? 0)),
  ]));
  const several = others.length > 1;
  return {
    caption: several
      ? `${model}: differences, on the same seeds`
      : `${model}: differences to ${others[0]?.title}, on the same seeds`,
    columns: [
      NAME,
      ...(several ? [{ title: "minus", numbers: false }] : []),
      ...shown.flatMap((metric) => [
        { title: titleWithArrow(metric), numbers: true },
        { title: "p", numbers: true },
      ]),
    ],
    rows: pairs.map(({ row, other }) => [
      nameCell(row),
      ...(several ? [{ text: other.title }] : []),
      ...shown.flatMap(({ key }): Cell[] => {
        const difference = differenceOf(row, other.id, key);
        if (difference === undefined) return [EMPTY, EMPTY];
        return [
          { text: withInterval(difference, decimals.get(key) ?? 3, signed) },
          { text: probability(difference.p) },
        ];
      }),
    ]),
    notes: intervalNotes(
      intervals,
      pairs.flatMap(({ row, other }) => shown.map(({ key }) => differenceOf(row, other.id, key))),
    ),
    parts: partsOf(pairs.map(({ row }) => row)),
  };
}

/** Where another method begins. */
function partsOf(rows: readonly SweepRow[]): number[] {
  return rows.flatMap(({ method }, i) => i > 0 && rows[i - 1]?.method !== method ? [i] : []);
}

function nameCell({ title, missing }: SweepRow): Cell {
  return missing === undefined ? { text: title } : { text: title, note: `not run: ${missing}` };
}

/**
 * Rows whose values can be held against one another: those that have all of their pictures, and as many as
 * any. What has fewer has other subjects.
 */
export function comparable(rows: readonly SweepRow[]): SweepRow[] {
  const run = rows.filter(({ missing }) => missing === undefined);
  const most = Math.max(...run.map(({ planned }) => planned));
  return run.filter(({ pictures, planned }) => pictures >= planned && planned === most);
}

/** Rows with the best value as it is written. */
function bestOf({ key, better }: MetricFacts, rows: readonly SweepRow[], decimals: number): Set<string> {
  const whole = comparable(rows).filter(({ metrics }) => key in metrics);
  const written = whole.map(({ metrics }) => fixed(metrics[key]?.value ?? NaN, decimals));
  // Nothing is the best where all are alike.
  if (better === "neither" || new Set(written).size < 2) return new Set();
  const values = whole.map(({ metrics }) => metrics[key]?.value ?? NaN);
  const best = fixed(better === "lower" ? Math.min(...values) : Math.max(...values), decimals);
  return new Set(whole.filter((_, i) => written[i] === best).map(({ id }) => id));
}

/** A metric's name with the direction that is good. */
export function titleWithArrow({ title, better }: MetricFacts): string {
  return better === "neither" ? title : `${title} ${better === "lower" ? "↓" : "↑"}`;
}

/** What papers call a column that has another name here, as it is by another network. */
const PRINTED: Readonly<Record<string, string>> = { fid: "FID" };

/** What brackets mean, where there are any. */
function intervalNotes(
  intervals: SweepResults["intervals"],
  values: readonly (Measured | undefined)[],
): string[] {
  if (intervals === undefined || !values.some((measured) => measured?.low !== undefined)) return [];
  const { confidence, resamples } = intervals;
  return [
    `Brackets: intervals of ${percent(confidence)}, where a bootstrap makes them by ${resamples} draws.`,
  ];
}

function notesOf(
  results: SweepResults,
  shown: readonly MetricFacts[],
  rows: readonly SweepRow[],
): string[] {
  const notes = intervalNotes(results.intervals, rows.flatMap(({ metrics }) => Object.values(metrics)));
  // A column that no row has is none, and what is said of it says why.
  const absent = results.metrics.filter(({ key, note }) => {
    return note !== undefined && !results.rows.some(({ metrics, published = {} }) => {
      return key in metrics || key in published;
    });
  });
  const said = [...shown, ...absent].map(({ title, network, note }) => {
    const parts = [
      ...(network === undefined ? [] : [`by ${network === "own" ? "the model's own network" : network}`]),
      ...(note === undefined ? [] : [note]),
    ];
    return { title, text: parts.join("; ") };
  });
  // What is the same of several is said once.
  for (const [text, columns] of Map.groupBy(said, ({ text }) => text)) {
    if (text !== "") notes.push(`${columns.map(({ title }) => title).join(", ")}: ${text}.`);
  }
  const plain = rows.find(({ method, cost }) => method === "plain" && cost !== undefined);
  if (plain?.cost !== undefined) {
    notes.push(`Operations: 1× is ${operations(plain.cost.flops)} for a picture.`);
  }
  return notes;
}

/**
 * A table as Markdown, its columns padded as the formatter pads them; the best value of a column is bold.
 *
 * @param table The table; texts in it may hold anything.
 * @returns Caption, table and notes, with a line break at the end of each line.
 *
 * @example
 * ```ts
 * import { markdownTable } from "./tables.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const table = {
 *   caption: "demo",
 *   columns: [{ title: "method", numbers: false }, { title: "FID ↓", numbers: true }],
 *   rows: [[{ text: "a|b" }, { text: "7.1", best: true }]],
 *   notes: [],
 * };
 * assertEquals(
 *   markdownTable(table),
 *   "**demo**\n\n| method |   FID ↓ |\n| ------ | ------: |\n| a\\|b   | **7.1** |\n",
 * );
 * ```
 */
export function markdownTable({ caption, columns, rows, notes }: Table): string {
  const texts = [
    columns.map(({ title }) => escapeMarkdown(title)),
    ...rows.map((row) => row.map(markdownCell)),
  ];
  const widths = columns.map((_, i) => Math.max(3, ...texts.map((row) => lengthOf(row[i] ?? ""))));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const padded = texts.map((row) =>
    line(row.map((text, i) => {
      const room = " ".repeat(Math.max(0, (widths[i] ?? 0) - lengthOf(text)));
      return columns[i]?.numbers ? room + text : text + room;
    }))
  );
  const rule = line(columns.map(({ numbers }, i) => {
    const dashes = "-".repeat(widths[i] ?? 3);
    return numbers ? `${dashes.slice(1)}:` : dashes;
  }));
  const [head = "", ...body] = padded;
  const below = notes.length === 0 ? "" : `\n${notes.map((note) => `- ${escapeMarkdown(note)}\n`).join("")}`;
  return `**${escapeMarkdown(caption)}**\n\n${head}${rule}${body.join("")}${below}`;
}

function markdownCell({ text, note, best }: Cell): string {
  const escaped = escapeMarkdown(text);
  const value = best ? `**${escaped}**` : escaped;
  return note === undefined ? value : `${value} (${escapeMarkdown(note)})`;
}

/** Characters that a reader sees. */
function lengthOf(text: string): number {
  return [...text].length;
}

/** A text on one line in which nothing is Markdown or HTML. */
export function escapeMarkdown(text: string): string {
  return text.toWellFormed()
    // deno-lint-ignore no-control-regex
    .replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]+/g, " ")
    // What means something only where it stands, as an underscore within a word does not, is left alone.
    .replace(/[\\`*|#~]|<(?=[A-Za-z/!?])|(?<!\w)_|_(?!\w)|\](?=[[(:])|!(?=\[)|&(?=#?\w+;)/g, "\\$&");
}

/**
 * A table as HTML, in a frame of its own that scrolls where the table is wider than the page.
 *
 * @param table The table; texts in it may hold anything.
 * @returns `<div …><table>…</table></div>`, notes below it.
 *
 * @example
 * ```ts
 * import { htmlTable } from "./tables.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const table = {
 *   caption: "demo",
 *   columns: [{ title: "method", numbers: false }],
 *   rows: [[{ text: "<b>plain" }]],
 *   notes: [],
 * };
 * assertStringIncludes(htmlTable(table), '<th scope="row">&lt;b&gt;plain</th>');
 * ```
 */
export function htmlTable({ caption, columns, rows, notes, parts = [] }: Table): string {
  const head = columns
    .map(({ title, numbers }) =>
      `<th scope="col"${numbers ? ' class="n"' : ""}>${keptTogether(escapeHtml(title))}</th>`
    )
    .join("");
  const body = rows.map((row, at) => {
    const cells = row.map((cell, i) => {
      const numbers = columns[i]?.numbers === true;
      const content = htmlCell(cell, numbers);
      if (i === 0) return `<th scope="row">${content}</th>`;
      return `<td${numbers ? ' class="n"' : ""}>${content}</td>`;
    });
    return `<tr${parts.includes(at) ? ' class="part"' : ""}>${cells.join("")}</tr>`;
  });
  const below = notes.length === 0
    ? ""
    : `<ul class="notes">${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join("")}</ul>\n`;
  // Whoever has only a keyboard scrolls what has the focus.
  return `<div class="wide" role="region" aria-label="${escapeHtml(caption)}" tabindex="0"><table>
<caption><span>${escapeHtml(caption)}</span></caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table></div>
${below}`;
}

/** The minus of typesetting, as wide as a plus, before numbers. */
export function withMinus(text: string): string {
  return text.replace(/(?<![\w.])-(?=\d)/g, "−");
}

/** No line ends before a setting's value, or before the arrow of a metric. */
export function keptTogether(text: string): string {
  return text.replaceAll(" = ", "\u00a0=\u00a0").replace(/ (?=[↑↓])/g, "\u00a0");
}

function htmlCell({ text, note, best }: Cell, numbers: boolean): string {
  const escaped = escapeHtml(text);
  const content = numbers
    ? withMinus(escaped).replace(/^(\S+) (\[.*\])$/, '$1 <span class="i">$2</span>')
    : keptTogether(escaped);
  const value = best ? `<strong>${content}</strong>` : content;
  return note === undefined ? value : `${value}<br><small>${escapeHtml(note)}</small>`;
}
