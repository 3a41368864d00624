/**
 * Figures: that they show the numbers of the rows, in the right order and place, and are not drawn where
 * there is nothing to show.
 *
 * @module
 */

import { assert, assertAlmostEquals, assertEquals, assertFalse } from "@std/assert";
import type { SweepResults } from "../../../evaluation/mod.ts";
import { type Figure, sweepFigures } from "../../../evaluation/report/figures.ts";
import { halfFinished, madeUp } from "./made_up.ts";
import { parseXml, type XmlElement } from "./xml.ts";

async function figuresOf(results: SweepResults, model: string): Promise<Map<string, Figure>> {
  const figures = (await sweepFigures(results)).get(model) ?? [];
  return new Map(figures.map((figure) => [figure.title, figure]));
}

/** Places of symbols with the text that they say, in their order. */
function pointsOf(svg: string): { readonly text: string; readonly x: number; readonly y: number }[] {
  const marked = (element: XmlElement): XmlElement[] =>
    element.children.flatMap((
      child,
    ) => [...(child.all("title").length > 0 ? [child] : []), ...marked(child)]);
  return marked(parseXml(svg)).flatMap((element) => {
    const place = /^translate\(([\d.]+),([\d.]+)\)$/.exec(element.attributes.transform ?? "");
    const { cx, cy } = element.attributes;
    const [x, y] = place === null ? [cx, cy] : [place[1], place[2]];
    const [title] = element.children.filter(({ name }) => name === "title");
    if (title === undefined || x === undefined) return [];
    return [{ text: title.text, x: Number(x), y: Number(y) }];
  });
}

Deno.test("sweepFigures: every kind of figure that the results have numbers for", async () => {
  const figures = await figuresOf(madeUp(), "VAR d16");
  assertEquals([...figures.keys()], [
    "FID against samples",
    "FID against operations",
    "FID against seconds",
    "IS against samples",
    "IS against operations",
    "IS against seconds",
    "accuracy against samples",
    "accuracy against operations",
    "accuracy against seconds",
    // What has no good direction is not held against its cost.
    "diversity against samples",
    "FID against IS",
    "Branches taken",
  ]);
  for (const { svg, title } of figures.values()) {
    const root = parseXml(svg);
    assertEquals([root.attributes.role, root.attributes["aria-label"]], ["img", title]);
    assertFalse(svg.includes("NaN"), title);
  }
});

Deno.test("sweepFigures: a point stands where its row's values are", async () => {
  const results = madeUp();
  const rows = results.rows.filter(({ model, method }) => model === "VAR d16" && method !== "plain");
  const { svg } = (await figuresOf(results, "VAR d16")).get("FID against samples")!;
  const points = pointsOf(svg).filter(({ text }) => text.includes(" FID "));
  assertEquals(
    points.map(({ text }) => text),
    rows.map(({ title, metrics: { fid } }) =>
      `${title}: FID ${fid!.value.toFixed(2)} [${fid!.low!.toFixed(2)}, ${fid!.high!.toFixed(2)}]`
    ),
  );
  // Places are linear in FID and in log N: two points say where all others must be, to the rounding.
  const of = (i: number) => ({
    fid: rows[i]!.metrics.fid!.value,
    n: Math.log(Number(rows[i]!.settings.samples)),
  });
  const last = rows.length - 1;
  const yPerFid = (points[last]!.y - points[0]!.y) / (of(last).fid - of(0).fid);
  const xPerN = (points[last]!.x - points[0]!.x) / (of(last).n - of(0).n);
  assert(yPerFid < 0 && xPerN > 0);
  for (const [i, { x, y }] of points.entries()) {
    assertAlmostEquals(y, points[0]!.y + yPerFid * (of(i).fid - of(0).fid), 0.03);
    assertAlmostEquals(x, points[0]!.x + xPerN * (of(i).n - of(0).n), 0.03);
  }
});

Deno.test("sweepFigures: cost and the plane of FID and IS have plain in them", async () => {
  const figures = await figuresOf(madeUp(), "VAR d20");
  for (const title of ["FID against operations", "FID against seconds", "FID against IS"]) {
    const points = pointsOf(figures.get(title)!.svg);
    assertEquals(points.length, 17, title);
    assert(points[0]!.text.startsWith("plain: FID 2.87"), title);
  }
  // Costs grow from left to right within a method, in the order of the rows.
  const best = pointsOf(figures.get("FID against seconds")!.svg).filter(({ text }) =>
    text.startsWith("Best-of-N")
  );
  assertEquals(best.map(({ x }) => x), best.map(({ x }) => x).toSorted((a, b) => a - b));
});

Deno.test("sweepFigures: bars of branches are as long as their shares", async () => {
  const results = madeUp();
  const { svg } = (await figuresOf(results, "VAR d16")).get("Branches taken")!;
  const bars = parseXml(svg).all("rect").filter((bar) => bar.all("title").length > 0);
  const rows = results.rows.filter(({ model, branches }) => model === "VAR d16" && branches !== undefined);
  const shares = rows.flatMap(({ branches }) => Object.values(branches!));
  assertEquals(bars.length, shares.length);
  // Each bar has a pixel less at either end, so that neighbours do not touch.
  const lengths = bars.map(({ attributes }) => Number(attributes.width) + 2);
  const whole = lengths[0]! / shares[0]!;
  for (const [i, share] of shares.entries()) assertAlmostEquals(lengths[i]!, whole * share, 0.06);
});

Deno.test("sweepFigures: nothing is drawn of nothing, nor of a single point", async () => {
  const results = madeUp();
  assertEquals([...(await sweepFigures(results)).keys()], ["VAR d16", "VAR d20"]);
  assertEquals((await sweepFigures({ ...results, rows: [] })).size, 0);
  assertEquals((await sweepFigures({ ...results, rows: results.rows.slice(0, 1) })).size, 0);
  // Two rows that cost nothing more than plain: no axis of costs.
  const free = await figuresOf({ ...results, rows: results.rows.slice(0, 3) }, "VAR d16");
  assertFalse(free.has("FID against operations"));
  assert(free.has("FID against samples"));
});

Deno.test("sweepFigures: what is the same in all rows has no figure", async () => {
  const results = madeUp();
  const rows = results.rows.map((row) => ({
    ...row,
    metrics: { ...row.metrics, accuracy: { value: 1, low: 0.57, high: 1 } },
  }));
  const figures = await figuresOf({ ...results, rows }, "VAR d16");
  assertEquals([...figures.keys()].filter((title) => title.startsWith("accuracy")), []);
  assert(figures.has("IS against samples"));
});

Deno.test("sweepFigures: a sweep that is not finished shows what is there", async () => {
  const figures = await figuresOf(halfFinished(), "VAR d20");
  const { svg } = figures.get("FID against samples")!;
  assertFalse(svg.includes("TTS-VAR"));
  assert(svg.includes("Best-of-N"));
});

Deno.test("sweepFigures: hostile and long names leave figures well-formed", async () => {
  const name = `</svg><script>alert(1)</script>${"x".repeat(300)}&`;
  const results = madeUp();
  const rows = results.rows.map((row) => ({ ...row, method: `${name}${row.method}`, title: name }));
  const metrics = results.metrics.map((metric) => ({ ...metric, title: name }));
  const figures = (await sweepFigures({ ...results, rows, metrics })).get("VAR d16")!;
  assert(figures.length > 5);
  for (const { svg } of figures) {
    assertFalse(svg.includes("<script"));
    parseXml(svg);
  }
});
