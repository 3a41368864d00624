import { assertEquals, assertStringIncludes } from "@std/assert";
import { drawCurves } from "../../../evaluation/analyses/curves.ts";
import { parseXml } from "../report/xml.ts";

Deno.test("drawCurves: a curve and a name for each series, bands where there are intervals", async () => {
  const points = ["first", "second"].flatMap((series) =>
    [1, 2, 4].map((place) => ({
      ...{ series, place, value: place },
      ...(series === "first" && { low: place - 1, high: place + 1 }),
    }))
  );
  const svg = await drawCurves(points, { below: "steps", left: "height", logarithmic: true, marks: [2] });
  const root = parseXml(svg);
  assertEquals(root.name, "svg");
  for (const text of [">first<", ">second<", "steps", "height"]) assertStringIncludes(svg, text);
  // Two curves, and one band.
  const fills = root.all("path").map(({ attributes }) => attributes["fill-opacity"]);
  assertEquals(svg.match(/aria-label="area"/g)?.length, 1);
  assertEquals(fills.length >= 2, true);
});

Deno.test("drawCurves: places may be words, which keep their order", async () => {
  const points = ["9: 1×1", "10: 2×2"].map((place, i) => ({ series: "s", place, value: i }));
  const svg = await drawCurves(points, { below: "scale", left: "share" });
  assertEquals(svg.indexOf("9: 1×1") < svg.indexOf("10: 2×2"), true);
});

Deno.test("drawCurves: more curves than colours are told apart, and do not squeeze each other", async () => {
  const heights = [];
  for (const count of [2, 25]) {
    const points = Array.from({ length: count }, (_, i) => ({ series: `s${i}`, place: 1, value: i }));
    const svg = await drawCurves(points, { below: "x", left: "y" });
    const root = parseXml(svg);
    heights.push(Number(root.attributes.height) - 16 * count);
    const lines = root.all("g").filter(({ attributes }) => attributes["aria-label"] === "line")
      .flatMap((line) =>
        line.all("path").map(({ attributes }) => {
          return `${attributes.stroke} ${line.attributes["stroke-dasharray"]}`;
        })
      );
    assertEquals([lines.length, new Set(lines).size], [count, count]);
    assertEquals(svg.match(/ \(dashed\)</g)?.length, count === 2 ? undefined : 10);
  }
  assertEquals(heights[0], heights[1]);
});
