/**
 * Tables against ones that were written by hand, and texts of anybody's in them.
 *
 * @module
 */

import { assert, assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import type { SweepResults, SweepRow } from "../../../evaluation/mod.ts";
import { escapeMarkdown, htmlTable, markdownTable, modelTables } from "../../../evaluation/report/tables.ts";
import { halfFinished, madeUp } from "./made_up.ts";
import { parseXml } from "./xml.ts";

function row(fields: Partial<SweepRow>): SweepRow {
  return {
    id: fields.title ?? "",
    model: "d16",
    method: "plain",
    title: "plain",
    settings: {},
    seeds: [0],
    pictures: 500,
    planned: 500,
    metrics: {},
    examples: [],
    ...fields,
  };
}

const SMALL: SweepResults = {
  format: "varscale-sweep-results",
  version: 1,
  title: "small",
  complete: false,
  plan: {},
  made: {},
  models: [{ name: "d16", facts: {} }, { name: "d30", facts: {} }],
  metrics: [
    { key: "fid", title: "FID", better: "lower", network: "inception-fid", note: "500 pictures" },
    { key: "accuracy", title: "accuracy", better: "higher" },
    { key: "kid", title: "KID", better: "lower" },
    { key: "diversity", title: "diversity", better: "neither" },
  ],
  rows: [
    row({
      metrics: {
        fid: { value: 12.341, low: 11.9, high: 12.8 },
        accuracy: { value: 0.9 },
        diversity: { value: 61.2 },
      },
      cost: { flops: 597e9, ratio: 1, seconds: 0.41 },
      published: { fid: 3.81 },
    }),
    row({
      id: "n50",
      method: "var-scaling",
      title: "VAR-Scaling, N = 50",
      metrics: { fid: { value: 11.998 }, accuracy: { value: 0.9004 }, diversity: { value: 59 } },
      differences: {
        fid: [{ to: "plain", value: -0.343, low: -0.6, high: -0.1, p: 0.012 }],
        accuracy: [{ to: "plain", value: 0.0004, p: 0.0001 }],
      },
      cost: { flops: 597e9, ratio: 1.0004, seconds: 0.5 },
    }),
    row({
      id: "n100",
      method: "var-scaling",
      title: "VAR-Scaling, N = 100",
      metrics: { fid: { value: 9.5 } },
      pictures: 200,
    }),
    row({
      id: "beam",
      method: "beam",
      title: "beam search",
      pictures: 0,
      missing: "least cost 3.69×",
    }),
  ],
};

Deno.test("modelTables: values, intervals, published values, costs and what was not run", () => {
  const tables = modelTables(SMALL, "d16");
  assertEquals(
    markdownTable(tables[0]!),
    `**d16: metrics and costs**

| method                                  |                FID ↓ | published FID | accuracy ↑ | diversity | operations | s per picture |   pictures |
| --------------------------------------- | -------------------: | ------------: | ---------: | --------: | ---------: | ------------: | ---------: |
| plain                                   | 12.34 [11.90, 12.80] |          3.81 |      0.900 |     61.20 |     1.000× |         0.410 |        500 |
| VAR-Scaling, N = 50                     |            **12.00** |             – |      0.900 |     59.00 |     1.000× |         0.500 |        500 |
| VAR-Scaling, N = 100                    |                 9.50 |             – |          – |         – |          – |             – | 200 of 500 |
| beam search (not run: least cost 3.69×) |                    – |             – |          – |         – |          – |             – |          – |

- FID: by inception-fid; 500 pictures.
- Operations: 1× is 597 GFLOP for a picture.
`,
  );
  assertEquals(
    markdownTable(tables[1]!),
    `**d16: differences to plain, on the same seeds**

| method              |                FID ↓ |     p | accuracy ↑ |       p |
| ------------------- | -------------------: | ----: | ---------: | ------: |
| VAR-Scaling, N = 50 | -0.34 [-0.60, -0.10] | 0.012 |      0.000 | < 0.001 |
`,
  );
  assertEquals(tables.length, 2);
  assertEquals(modelTables(SMALL, "d30"), []);
});

Deno.test("modelTables: says how sure intervals are, who measured, and what has no finite value", () => {
  const [plain, scaled] = SMALL.rows;
  const note = "no finite number in plain, and left out there";
  const [values, differences] = modelTables({
    ...{ ...SMALL, rows: [plain!, scaled!], intervals: { confidence: 0.95, resamples: 2000 } },
    metrics: [
      { key: "fid", title: "Fréchet distance", better: "lower", network: "demo-oracle" },
      { key: "accuracy", title: "accuracy", better: "higher", network: "own" },
      { key: "kid", title: "KID", better: "lower", note },
      { key: "diversity", title: "diversity", better: "neither", network: "demo-oracle" },
    ],
  }, "d16");
  const brackets = "Brackets: intervals of 95 %, where a bootstrap makes them by 2000 draws.";
  assertEquals(values!.notes, [
    brackets,
    "Fréchet distance, diversity: by demo-oracle.",
    "accuracy: by the model's own network.",
    `KID: ${note}.`,
    "Operations: 1× is 597 GFLOP for a picture.",
  ]);
  assertEquals(differences!.notes, [brackets]);
  // What a paper prints has the paper's name.
  assertEquals(values!.columns.map(({ title }) => title).slice(1, 3), [
    "Fréchet distance ↓",
    "published FID",
  ]);
});

Deno.test("modelTables: partners of one method share a table, which names them", () => {
  const value = { fid: { value: 5 } };
  const rows = [
    row({ metrics: value }),
    ...[2, 4].flatMap((n) => [
      row({ id: `best-${n}`, method: "best-of-n", title: `Best-of-N, N = ${n}`, metrics: value }),
      row({
        id: `tts-${n}`,
        method: "tts-var",
        title: `TTS-VAR, ${n}×`,
        metrics: value,
        differences: {
          fid: [{ to: "plain", value: -1, p: 0.5 }, { to: `best-${n}`, value: n / 100, p: 0.04 }],
        },
      }),
    ]),
  ];
  const tables = modelTables({ ...SMALL, rows }, "d16");
  assertEquals(tables.map(({ caption }) => caption), [
    "d16: metrics and costs",
    "d16: differences to plain, on the same seeds",
    "d16: differences, on the same seeds",
  ]);
  assertEquals(
    markdownTable(tables[2]!),
    `**d16: differences, on the same seeds**

| method      | minus            | FID ↓ |     p |
| ----------- | ---------------- | ----: | ----: |
| TTS-VAR, 2× | Best-of-N, N = 2 | +0.02 | 0.040 |
| TTS-VAR, 4× | Best-of-N, N = 4 | +0.04 | 0.040 |
`,
  );
});

Deno.test("modelTables: nothing is the best where all are alike, or where others have more pictures", () => {
  const marked = (rows: readonly SweepRow[]) =>
    modelTables({ ...SMALL, rows }, "d16")[0]!.rows.map((cells) => cells.some(({ best }) => best));
  const of = (id: string, fid: number, planned: number) =>
    row({ id, metrics: { fid: { value: fid } }, pictures: planned, planned });
  assertEquals(marked([of("a", 5, 10), of("b", 5.001, 10)]), [false, false]);
  assertEquals(marked([of("a", 5, 10), of("b", 4, 8), of("c", 6, 10)]), [true, false, false]);
});

Deno.test("modelTables: a model of which nothing was run has none, unless something is published", () => {
  const missing = { ...row({ pictures: 0, missing: "no weights" }) };
  assertEquals(modelTables({ ...SMALL, rows: [missing] }, "d16"), []);
  assertEquals(modelTables({ ...SMALL, rows: [{ ...missing, published: { fid: 2.25 } }] }, "d16").length, 1);
});

Deno.test("modelTables: a row that lacks pictures is never the best, nor is one alone", () => {
  const marked = (results: SweepResults, model: string) =>
    modelTables(results, model)[0]!.rows.flat().filter(({ best }) => best).length;
  assertEquals(marked(madeUp(), "VAR d20"), 3);
  assertEquals(marked(halfFinished(), "VAR d20"), 0);
  assertEquals(marked(madeUp(), "VAR d30"), 0);
});

Deno.test("htmlTable: is a table that can be read and moved without seeing it or a mouse", () => {
  for (const { name } of madeUp().models) {
    for (const table of modelTables(madeUp(), name)) {
      const html = htmlTable(table);
      const wide = parseXml(html.slice(0, html.indexOf("</div>") + 6).replaceAll("<br>", "<br/>"));
      assertEquals(wide.attributes.tabindex, "0");
      assertEquals(wide.attributes["aria-label"], table.caption);
      assertEquals(wide.all("caption").flatMap((c) => c.all("span")).map(({ text }) => text), [
        table.caption,
      ]);
      const rows = wide.all("tbody")[0]!.all("tr");
      assertEquals(rows.length, table.rows.length);
      for (const [i, element] of rows.entries()) {
        assertEquals(element.all("th")[0]!.attributes.scope, "row");
        assertEquals(element.all("th")[0]!.text.replaceAll("\u00a0", " "), table.rows[i]![0]!.text);
        assertEquals(element.children.length, table.columns.length);
      }
    }
  }
});

Deno.test("htmlTable: the minus of typesetting stands before numbers only", () => {
  const html = htmlTable({
    caption: "c",
    columns: [{ title: "method", numbers: false }, { title: "n", numbers: true }],
    rows: [[{ text: "d-16 -5" }, { text: "-0.34 [-0.60, -0.10]" }]],
    notes: [],
  });
  assertStringIncludes(html, '<th scope="row">d-16 -5</th>');
  assertStringIncludes(html, '<td class="n">−0.34 <span class="i">[−0.60, −0.10]</span></td>');
});

Deno.test("escapeMarkdown: names of any kind stay in their cell, as text", () => {
  assertEquals(escapeMarkdown("a|b\nc"), "a\\|b c");
  assertEquals(escapeMarkdown("<script>*x*_y_ `z` #1"), "\\<script>\\*x\\*\\_y\\_ \\`z\\` \\#1");
  assertEquals(
    escapeMarkdown("snake_case p < 0.05 [1, 2] &amp; [a](b)"),
    "snake_case p < 0.05 [1, 2] \\&amp; [a\\](b)",
  );
});

Deno.test("markdownTable: hostile names add neither rows nor columns", () => {
  const name = "x | y\n| a | b |\n\\|<img src=x onerror=alert(1)>";
  const text = markdownTable({
    caption: name,
    columns: [{ title: name, numbers: false }, { title: "n", numbers: true }],
    rows: [[{ text: name, note: name }, { text: "1" }]],
    notes: [name],
  });
  const lines = text.split("\n").filter((line) => line.startsWith("|"));
  assertEquals(lines.length, 3);
  for (const line of lines) assertEquals(line.match(/(?<!\\)(\\\\)*\|/g)?.length, 3, line);
  assertFalse(/(?<!\\)<img/.test(text));
  assert(new Set(lines.map((line) => [...line].length)).size === 1);
});
