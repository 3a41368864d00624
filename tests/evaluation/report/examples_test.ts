/**
 * Pictures in a page: which, in which order, and what is not taken.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { SweepResults } from "../../../evaluation/mod.ts";
import { collectExamples } from "../../../evaluation/report/examples.ts";
import { madeUp } from "./made_up.ts";

/** The beginning of a PNG of 3 by 2 pixels, and a byte of its own. */
function png(mark: number): Uint8Array {
  const bytes = [137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 3, 0, 0, 0, 2, mark];
  return new Uint8Array(bytes);
}

/** Two rows of one model with these examples. */
function twoRows(first: readonly string[], second: readonly string[]): SweepResults {
  const results = madeUp();
  const rows = [first, second].map((examples, i) => ({ ...results.rows[i]!, examples }));
  return { ...results, rows };
}

const OPTIONS = { columns: 6, bytes: 1000, readExample: () => Promise.resolve(png(0)) };

Deno.test("collectExamples: files of one name are of one subject, whatever their order", async () => {
  const asked: string[] = [];
  const { grids, left, unreadable } = await collectExamples(
    twoRows(["a/0.png", "a/1.png", "a/2.png"], ["b/2.png", "b/0.png"]),
    {
      ...OPTIONS,
      readExample: (path) => {
        asked.push(path);
        return Promise.resolve(png(path.charCodeAt(0)));
      },
    },
  );
  assertEquals([left, unreadable], [0, []]);
  assertEquals(grids.length, 1);
  assertEquals(grids[0]!.columns, ["0", "1", "2"]);
  const source = (mark: string) => `data:image/png;base64,${png(mark.charCodeAt(0)).toBase64()}`;
  const [first, second] = grids[0]!.rows;
  assertEquals(first!.pictures.map((picture) => picture?.source), [source("a"), source("a"), source("a")]);
  assertEquals(second!.pictures.map((picture) => picture?.source), [source("b"), undefined, source("b")]);
  assertEquals(first!.pictures[0], { source: source("a"), width: 3, height: 2 });
  assertEquals(asked, ["a/0.png", "b/0.png", "a/1.png", "a/2.png", "b/2.png"]);
});

Deno.test("collectExamples: a column has the name of its subject, where that is known", async () => {
  const results = twoRows(["a/0.png", "a/10.png", "a/2.png"], []);
  const subjects = { 0: "red cube", 10: "<b>" };
  const models = results.models.map((model, i) => i === 0 ? { ...model, subjects } : model);
  const { grids } = await collectExamples({ ...results, models }, OPTIONS);
  assertEquals(grids[0]!.columns, ["red cube", "2", "<b>"]);
});

Deno.test("collectExamples: numbers of subjects are in order", async () => {
  const { grids } = await collectExamples(twoRows(["a/0.png", "a/100.png", "a/50.png"], []), OPTIONS);
  assertEquals(grids[0]!.columns, ["0", "50", "100"]);
});

Deno.test("collectExamples: where names differ, their order says what is of one subject", async () => {
  const { grids } = await collectExamples(twoRows(["a/x.png"], ["b/y.png", "b/z.png"]), OPTIONS);
  assertEquals(grids[0]!.columns, ["1", "2"]);
  assertEquals(grids[0]!.rows.map(({ pictures }) => pictures.map((p) => p !== undefined)), [
    [true, false],
    [true, true],
  ]);
});

Deno.test("collectExamples: a column is taken whole or not, and what is left out is counted", async () => {
  const results = twoRows(["a/0.png", "a/1.png", "a/2.png"], ["b/0.png", "b/1.png", "b/2.png"]);
  const shown = async (columns: number, bytes: number) => {
    const { grids, left } = await collectExamples(results, { ...OPTIONS, columns, bytes });
    return [grids[0]?.columns.length ?? 0, left];
  };
  // Each file has 25 bytes, a column 50.
  assertEquals(await shown(6, 150), [3, 0]);
  assertEquals(await shown(2, 150), [2, 2]);
  assertEquals(await shown(6, 149), [2, 2]);
  assertEquals(await shown(6, 49), [0, 6]);
  assertEquals(await shown(0, 1000), [0, 6]);
});

Deno.test("collectExamples: what cannot be read, or is no picture, is named", async () => {
  const results = twoRows(["a/gone.png", "a/text.png", "a/jpeg.jpg", "a/webp.webp"], []);
  const encoder = new TextEncoder();
  const { grids, unreadable } = await collectExamples(results, {
    ...OPTIONS,
    readExample: (path) => {
      if (path.includes("gone")) return Promise.reject(new Deno.errors.NotFound(path));
      if (path.includes("text")) return Promise.resolve(encoder.encode("<svg onload=alert(1)>"));
      if (path.includes("jpeg")) return Promise.resolve(new Uint8Array([0xff, 0xd8, 0xff, 0xe0]));
      return Promise.resolve(encoder.encode("RIFF\0\0\0\0WEBP"));
    },
  });
  assertEquals(unreadable, ["a/gone.png", "a/text.png"]);
  const types = grids[0]!.rows[0]!.pictures.map((picture) => picture?.source.split(";")[0]);
  assertEquals(types, [undefined, undefined, "data:image/jpeg", "data:image/webp"]);
});
