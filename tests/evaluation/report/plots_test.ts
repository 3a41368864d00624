/**
 * Plots as texts: that they are well-formed, stand alone, have the same bytes each time, and show numbers
 * where the scale puts them.
 *
 * @module
 */

import { assert, assertEquals, assertFalse, assertMatch, assertRejects } from "@std/assert";
import { drawPlot, SERIES_COLOURS } from "../../../evaluation/report/plots.ts";
import { parseXml } from "./xml.ts";

Deno.test("drawPlot: gives one svg that stands alone", async () => {
  const svg = await drawPlot((plot) => ({
    width: 300,
    height: 200,
    marks: [plot.line([[1, 2], [2, 5], [4, 1]])],
  }));
  const root = parseXml(svg);
  assertEquals(root.name, "svg");
  assertEquals(root.attributes.xmlns, "http://www.w3.org/2000/svg");
  assertEquals(root.attributes.viewBox, "0 0 300 200");
  assertEquals(root.attributes["font-family"], "system-ui, sans-serif");
  assertEquals(root.attributes.fill, "currentColor");
  assertFalse(/<script|<figure|href=|url\(|@import|@font-face/.test(svg));
  assertEquals(svg.replace('xmlns="http://www.w3.org/2000/svg"', "").includes("http"), false);
});

Deno.test("drawPlot: places are those of the scale, to hundredths of a pixel", async () => {
  const svg = await drawPlot((plot) => ({
    width: 240,
    height: 140,
    marginLeft: 40,
    marginRight: 20,
    marginTop: 20,
    marginBottom: 20,
    x: { type: "log", base: 2, domain: [1, 8] },
    y: { domain: [0, 10] },
    marks: [plot.dot([[1, 0], [2, 5], [4, 7.5], [6, 10]], { ariaLabel: "points" })],
  }));
  const dots = parseXml(svg).all("circle").map(({ attributes: { cx, cy } }) => [Number(cx), Number(cy)]);
  // 180 pixels for log2 from 0 to 3, 100 for 0 to 10 upwards.
  const x = (n: number) => Math.round((40 + 60 * Math.log2(n)) * 100) / 100;
  assertEquals(dots, [[x(1), 120], [x(2), 70], [x(4), 45], [x(6), 20]]);
});

Deno.test("drawPlot: names of any kind leave the text well-formed", async () => {
  const hostile = `</text><script>alert("1")</script>&\u0000\u001b[31m\ud800'`;
  const svg = await drawPlot((plot) => ({
    ariaLabel: hostile,
    x: { label: hostile },
    color: { domain: [hostile], range: ["red"] },
    marks: [
      plot.dot([[1, 2]], { title: () => hostile, stroke: () => hostile }),
      plot.text([[1, 2]], { text: () => hostile }),
    ],
  }));
  assertFalse(svg.includes("<script"));
  const root = parseXml(svg);
  const shown = `</text><script>alert("1")</script>&\ufffd\ufffd[31m\ufffd'`;
  assertEquals(root.attributes["aria-label"], shown);
  assertEquals(root.all("title").map(({ text }) => text), [shown]);
  assert(root.all("text").some(({ text }) => text === shown));
});

Deno.test("drawPlot: the same plot has the same bytes, and clip paths of two plots are two", async () => {
  const draw = (height: number) =>
    drawPlot((plot) => ({ height, marks: [plot.line([[1, 2], [2, 5]], { clip: true }), plot.frame()] }));
  const first = await draw(200);
  assertEquals(await draw(200), first);
  const idOf = (svg: string) => /<clipPath id="([^"]+)"/.exec(svg)?.[1];
  assertMatch(first, new RegExp(`clip-path="url\\(#${idOf(first)}\\)"`));
  assert(idOf(await draw(201)) !== idOf(first));
});

Deno.test("drawPlot: what would be HTML is refused", async () => {
  for (const html of [{ title: "FID" }, { caption: "lower is better" }, { subtitle: "d16" }]) {
    await assertRejects(
      () => drawPlot(() => html),
      TypeError,
      "Cannot draw as the plot must be an SVG alone",
    );
  }
});

Deno.test("SERIES_COLOURS: each stands out from white and from near black", () => {
  // Relative luminance and contrast of WCAG 2.2.
  const luminance = (colour: string) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4) as [
        number,
        number,
        number,
      ];
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: string, b: string) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
    return (high + 0.05) / (low + 0.05);
  };
  for (const colour of SERIES_COLOURS) {
    assert(contrast(colour, "#ffffff") >= 3, `${colour} on white: ${contrast(colour, "#ffffff")}`);
    assert(contrast(colour, "#14171c") >= 3, `${colour} on black: ${contrast(colour, "#14171c")}`);
  }
});
