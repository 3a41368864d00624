/**
 * The report of a sweep: one page of HTML that needs neither network nor scripts nor a folder beside it, or
 * the same without figures and pictures as Markdown. What stands in its tables and figures is left to the
 * files beside this one.
 *
 * @module
 */

import { requireFunction, requireInteger, requireObject, requireOptions } from "../../kernels/arguments.ts";
import type { SweepResults } from "../sweep/results.ts";
import { collectExamples, type Example, type Examples } from "./examples.ts";
import { type Figure, sweepFigures } from "./figures.ts";
import { escapeHtml, htmlParagraphs } from "./html.ts";
import { PAGE_STYLE } from "./page_style.ts";
import { trapsOf } from "./reading.ts";
import { findingsOf, standingOf } from "./summary.ts";
import {
  escapeMarkdown,
  htmlTable,
  keptTogether,
  markdownTable,
  modelTables,
  type Table,
  withMinus,
} from "./tables.ts";

/** Options of {@linkcode reportPage}. */
export interface ReportOptions {
  /** Reads an example by its path from the folder of the results; without it the page has no pictures. */
  readonly readExample?: (path: string) => Promise<Uint8Array>;
  /** Pictures of a row at most; 6 by default. */
  readonly examples?: number;
  /** Bytes of picture files at most, for the whole page; 8 MiB by default, of which a page makes 11 MB. */
  readonly exampleBytes?: number;
}

const ACTION = "make a report";
/** Characters of the plan that a page shows. */
const PLAN_CHARACTERS = 20_000;
/** Paths that are named at most. */
const NAMED = 5;

/**
 * Results of a sweep as one self-contained page: what was asked, what came out, figures, samples, what ran,
 * what was not run, and how to read it. The same results give the same bytes; texts in them may hold
 * anything. Results of a sweep that is not finished are shown as such.
 *
 * @param results What a sweep came to.
 * @param options Where pictures are read, and how many get into the page.
 * @returns The text of an HTML file.
 * @throws {TypeError} If the results are no object, or an option is unknown.
 * @throws {RangeError} If an option is out of range.
 *
 * @example
 * ```ts
 * import { reportPage } from "./report.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const page = await reportPage({
 *   format: "varscale-sweep-results",
 *   version: 1,
 *   title: "N < 100",
 *   complete: true,
 *   plan: {},
 *   made: { deno: "2.9.6" },
 *   models: [],
 *   metrics: [],
 *   rows: [],
 * });
 * assertStringIncludes(page, "<h1>N &lt; 100</h1>");
 * ```
 */
export async function reportPage(results: SweepResults, options: ReportOptions = {}): Promise<string> {
  requireObject(results, "results", ACTION, "results of a sweep");
  requireOptions(options, ["readExample", "examples", "exampleBytes"], ACTION);
  const { readExample, examples = 6, exampleBytes = 8 * 2 ** 20 } = options;
  if (readExample !== undefined) requireFunction(readExample, "readExample", ACTION);
  const columns = requireInteger(examples, "examples", ACTION, { min: 0 });
  const bytes = requireInteger(exampleBytes, "exampleBytes", ACTION, { min: 0 });
  const figures = await sweepFigures(results);
  const samples = readExample === undefined
    ? undefined
    : await collectExamples(results, { readExample, columns, bytes });
  const sections = [
    resultSection(results),
    figureSection(figures),
    sampleSection(results, samples),
    missingSection(results),
    readingSection(results),
    madeSection(results),
  ].filter((section) => section !== undefined);
  const links = sections.map(({ id, title }) => `<li><a href="#${id}">${title}</a></li>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="varscale">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeHtml(results.title)}</title>
<style>
${PAGE_STYLE}</style>
</head>
<body>
<a class="skip" href="#results">Skip to the results</a>
<header>
<h1>${escapeHtml(results.title)}</h1>
${htmlParagraphs(results.description ?? "")}
<p class="facts">${escapeHtml(factsOf(results))}</p>
</header>
${banner(results)}<nav aria-label="Sections"><ul>${links.join("")}</ul></nav>
<main>
${
    sections.map(({ id, title, html }) => `<section id="${id}">\n<h2>${title}</h2>\n${html}</section>`).join(
      "\n",
    )
  }
</main>
</body>
</html>
`;
}

/** A part of the page. */
interface Section {
  readonly id: string;
  readonly title: string;
  readonly html: string;
}

function factsOf({ models, rows, made }: SweepResults): string {
  const pictures = rows.reduce((sum, row) => sum + row.pictures, 0);
  const counts = [counted(models.length, "model"), counted(rows.length, "row"), counted(pictures, "picture")];
  return [...counts, ...(made.day === undefined ? [] : [made.day])].join(" · ");
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** What is not there yet, where anything is not. */
function unfinishedOf(results: SweepResults): { readonly text: string; readonly table?: Table } | undefined {
  const { pictures, planned, unfinished, missing } = standingOf(results);
  if (unfinished.length === 0 && (results.complete || missing.length > 0)) return undefined;
  if (unfinished.length === 0) return { text: "The sweep has not ended; its metrics may lack rows." };
  return {
    text: `${pictures} of ${planned} pictures are there, and ${counted(unfinished.length, "row")} of ` +
      `${results.rows.length} ${
        unfinished.length === 1 ? "lacks" : "lack"
      } some. Metrics are of the pictures ` +
      "that are there; no row below that lacks pictures counts as the best.",
    table: {
      caption: "Rows that lack pictures",
      columns: [
        { title: "method", numbers: false },
        { title: "model", numbers: false },
        { title: "pictures", numbers: true },
        { title: "planned", numbers: true },
        { title: "there", numbers: true },
      ],
      rows: unfinished.map(({ title, model, pictures, planned }) => [
        { text: title },
        { text: model },
        { text: `${pictures}` },
        { text: planned === 0 ? "not known yet" : `${planned}` },
        // Not all of them are there before all of them are.
        { text: `${planned === 0 ? 0 : Math.floor(100 * pictures / planned)} %` },
      ]),
      notes: [],
    },
  };
}

function banner(results: SweepResults): string {
  const unfinished = unfinishedOf(results);
  if (unfinished === undefined) return "";
  const table = unfinished.table === undefined ? "" : htmlTable(unfinished.table);
  return `<aside class="banner" aria-labelledby="unfinished">
<h2 id="unfinished">This sweep is not finished</h2>
<p>${escapeHtml(unfinished.text)}</p>
${table}</aside>
`;
}

function resultSection(results: SweepResults): Section {
  const findings = findingsOf(results);
  const list = findings.length === 0
    ? ""
    : `<ul class="findings">\n${
      findings.map(({ model, text }) =>
        `<li>${escapeHtml(model)}: ${keptTogether(withMinus(escapeHtml(text)))}.</li>`
      )
        .join("\n")
    }\n</ul>\n`;
  const models = tablesOf(results).map(({ model, tables }) =>
    `<h3>${escapeHtml(model)}</h3>\n${tables.map(htmlTable).join("")}`
  );
  const content = list + models.join("");
  return { id: "results", title: "What came out", html: content || "<p>Nothing has been run yet.</p>\n" };
}

/** Tables of the models that were run. */
function tablesOf(results: SweepResults): { readonly model: string; readonly tables: readonly Table[] }[] {
  return results.models
    .map(({ name }) => ({ model: name, tables: modelTables(results, name) }))
    .filter(({ tables }) => tables.length > 0);
}

function figureSection(figures: ReadonlyMap<string, readonly Figure[]>): Section | undefined {
  if (figures.size === 0) return undefined;
  const models = [...figures].map(([model, figures]) => {
    const drawn = figures.map(({ title, caption, svg }) =>
      `<figure><b>${escapeHtml(title)}</b>\n${svg}\n<figcaption>${escapeHtml(caption)}</figcaption></figure>`
    );
    return `<h3>${escapeHtml(model)}</h3>\n<div class="figures">\n${drawn.join("\n")}\n</div>\n`;
  });
  return { id: "figures", title: "Figures", html: models.join("") };
}

function sampleSection(results: SweepResults, samples: Examples | undefined): Section | undefined {
  if (samples === undefined || !results.rows.some(({ examples }) => examples.length > 0)) return undefined;
  const grids = samples.grids.map(({ model, columns, rows }) => {
    const head = columns.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join("");
    const body = rows.map(({ title, pictures }) => {
      const cells = pictures.map((picture, i) => {
        const shown = picture === undefined ? "–" : image(picture, `${title}: ${columns[i]}`);
        // Where there is no room for columns, each picture has its name below it.
        return `<td>${shown}<small aria-hidden="true">${escapeHtml(columns[i] ?? "")}</small></td>`;
      });
      return `<tr><th scope="row">${keptTogether(escapeHtml(title))}</th>${cells.join("")}</tr>`;
    });
    const caption = `${model}: in a column the same subject from the same seed`;
    return `<div class="wide" role="region" aria-label="${escapeHtml(`Samples of ${model}`)}" tabindex="0">` +
      `<table class="samples">
<caption><span>${escapeHtml(caption)}</span></caption>
<thead><tr><th scope="col">method</th>${head}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table></div>
`;
  });
  const { left, unreadable } = samples;
  const more = left === 0
    ? ""
    : `<p class="facts">${counted(left, "more example")} ${
      left === 1 ? "lies" : "lie"
    } in the folder of the results.</p>\n`;
  const named = unreadable.slice(0, NAMED).map((path) => `<code>${escapeHtml(path)}</code>`).join(", ");
  const beyond = unreadable.length > NAMED ? ` and ${unreadable.length - NAMED} more` : "";
  const lost = unreadable.length === 0
    ? ""
    : `<p class="facts">Not there, or no pictures: ${named}${beyond}.</p>\n`;
  return { id: "samples", title: "Samples", html: grids.join("") + more + lost };
}

/** Pictures of fewer pixels than this are shown with their pixels. */
const SMALL = 128;

function image({ source, width, height }: Example, text: string): string {
  const size = width === undefined ? "" : ` width="${width}" height="${height}"`;
  const small = width !== undefined && width < SMALL ? ' class="small"' : "";
  return `<img src="${source}" alt="${escapeHtml(text)}"${size}${small} loading="lazy">`;
}

function missingTable(results: SweepResults): Table | undefined {
  const { missing } = standingOf(results);
  if (missing.length === 0) return undefined;
  return {
    caption: "Rows of the plan that were not run",
    columns: ["method", "model", "why"].map((title) => ({ title, numbers: false })),
    rows: missing.map(({ title, model, missing = "" }) => [title, model, missing].map((text) => ({ text }))),
    notes: [],
  };
}

function missingSection(results: SweepResults): Section | undefined {
  const table = missingTable(results);
  return table && { id: "missing", title: "What was not run", html: htmlTable(table) };
}

function readingSection(results: SweepResults): Section | undefined {
  const traps = trapsOf(results);
  if (traps.length === 0) return undefined;
  const items = traps.map(({ title, text }) => `<dt>${escapeHtml(title)}</dt>\n<dd>${escapeHtml(text)}</dd>`);
  return { id: "reading", title: "How to read it", html: `<dl class="traps">\n${items.join("\n")}\n</dl>\n` };
}

/** What ran, as tables of names and values. */
function madeTables({ made, models }: SweepResults): Table[] {
  const facts = [...new Set(models.flatMap(({ facts }) => Object.keys(facts)))];
  const machine: Table = {
    caption: "Program and machine",
    columns: ["what", "which"].map((title) => ({ title, numbers: false })),
    rows: Object.entries(made).map(([name, value]) => [{ text: name }, { text: value }]),
    notes: [],
  };
  const weights: Table = {
    caption: "Models",
    columns: ["model", ...facts].map((title) => ({ title, numbers: false })),
    rows: models.map(({ name, facts: own }) => [
      { text: name },
      ...facts.map((fact) => ({ text: own[fact] ?? "–" })),
    ]),
    notes: [],
  };
  return [machine, weights].filter(({ rows }) => rows.length > 0);
}

function madeSection(results: SweepResults): Section {
  const plan = JSON.stringify(results.plan, null, 2) ?? "";
  const shown = plan.slice(0, PLAN_CHARACTERS);
  const rest = plan.length - shown.length;
  const cut = rest === 0 ? "" : `\n… ${rest} more characters stand in results.json`;
  const details = `<details>\n<summary>The plan</summary>\n<pre tabindex="0">${
    escapeHtml(shown + cut)
  }</pre>\n</details>\n`;
  return {
    id: "made",
    title: "What ran on what",
    html: madeTables(results).map(htmlTable).join("") + details,
  };
}

/**
 * The same as Markdown, for a pull request or a paper's appendix: without figures and pictures.
 *
 * @param results What a sweep came to.
 * @returns The text of a Markdown file.
 * @throws {TypeError} If the results are no object.
 *
 * @example
 * ```ts
 * import { reportMarkdown } from "./report.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const text = reportMarkdown({
 *   format: "varscale-sweep-results",
 *   version: 1,
 *   title: "N < 100",
 *   complete: true,
 *   plan: {},
 *   made: { deno: "2.9.6" },
 *   models: [],
 *   metrics: [],
 *   rows: [],
 * });
 * assertEquals(text.split("\n")[0], "# N < 100");
 * ```
 */
export function reportMarkdown(results: SweepResults): string {
  requireObject(results, "results", ACTION, "results of a sweep");
  const { title, description = "" } = results;
  const unfinished = unfinishedOf(results);
  const missing = missingTable(results);
  const traps = trapsOf(results);
  const parts = [
    `# ${escapeMarkdown(title)}\n`,
    ...description.split(/\r?\n\s*\r?\n/).filter((text) => text.trim() !== "")
      .map((text) => `${escapeMarkdown(text.trim())}\n`),
    ...(unfinished === undefined ? [] : [`**This sweep is not finished.** ${unfinished.text}\n`]),
    ...(unfinished?.table === undefined ? [] : [markdownTable(unfinished.table)]),
    "## What came out\n",
    listOf(
      findingsOf(results).map(({ model, text }) => `${escapeMarkdown(model)}: ${escapeMarkdown(text)}.`),
    ),
    ...tablesOf(results).flatMap(({ tables }) => tables.map(markdownTable)),
    ...(missing === undefined ? [] : ["## What was not run\n", markdownTable(missing)]),
    ...(traps.length === 0 ? [] : [
      "## How to read it\n",
      listOf(traps.map(({ title, text }) => `**${title}.** ${escapeMarkdown(text)}`)),
    ]),
    "## What ran on what\n",
    ...madeTables(results).map(markdownTable),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

function listOf(items: readonly string[]): string {
  return items.map((item) => `- ${item}\n`).join("");
}
