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
