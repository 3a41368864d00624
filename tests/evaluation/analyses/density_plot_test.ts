import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { drawDensities, plotDensities } from "../../../evaluation/analyses/density_plot.ts";
import { parseXml } from "../report/xml.ts";

Deno.test("plotDensities: a row a label, with its ratio, its branch, and a mark at what was taken", async () => {
  const { svg, title } = await plotDensities([
    // Means 2 and 4: the densest are 1.5 and 1.25 times as dense.
    { label: "red torus", densities: [1, 2, 3], chosen: 2 },
    { label: "blue cube", densities: Float32Array.of(3, 4, 5), chosen: 0 },
    { label: "cyan cross", densities: [1, 1] },
  ], { alpha: 1.4, caption: "own words" });
  assertEquals(title, "Densities of candidates: red torus, blue cube, cyan cross");
  const root = parseXml(svg);
  assertEquals(root.name, "svg");
  for (const words of [">own words", "1.50, high", "1.25, low", "1.00, low", ">α = 1.40<"]) {
    assertStringIncludes(svg, words);
  }
  // Places are affine in the densities over their means: 1 is the line that is not dashed, α the dashed one.
  const marks = [...svg.matchAll(/translate\(([\d.]+),[\d.]+\)"[^>]*>▼/g)].map(([, x]) => Number(x));
  assertEquals(marks.length, 2);
  const dashed = Number(svg.match(/<g[^>]*stroke-dasharray.*?x1="([\d.]+)"/s)![1]);
  const mean = Number(svg.match(/<g[^>]*stroke-opacity="0.5".*?x1="([\d.]+)"/s)![1]);
  const at = (ratio: number): number => mean + (dashed - mean) * (ratio - 1) / 0.4;
  // Plot moves what it draws by half a pixel for sharp lines.
  assertAlmostEquals(marks[0]!, at(1.5), 1.01);
  assertAlmostEquals(marks[1]!, at(0.75), 1.01);
});

Deno.test("plotDensities: as many candidates as one draws make a plot of the same size", async () => {
  const labels = [{ label: "many", densities: Float64Array.from({ length: 8192 }, (_, i) => 1 + i % 97) }];
  const { svg } = await plotDensities(labels, { alpha: 1.4 });
  assert(svg.length < 20_000, `${svg.length} letters`);
});

Deno.test("plotDensities: what is no density is refused with what is wanted", async () => {
  const good = { label: "a", densities: [1, 2] };
  const cases: [labels: unknown, options: unknown, message: string][] = [
    [[], { alpha: 1 }, "labels must be at least one label"],
    ["a", { alpha: 1 }, "labels must be a list of labels with densities"],
    [[good], {}, "alpha must be"],
    [[good], { alpha: -1 }, "alpha must be"],
    [[good], { alpha: 1, bars: 3 }, 'the option "bars" is unknown'],
    [[good], { alpha: 1, caption: 5 }, "caption must be"],
    [[{ ...good, label: 7 }], { alpha: 1 }, "label must be"],
    [[{ ...good, densities: [1] }], { alpha: 1 }, "densities must be of at least two candidates"],
    [[{ ...good, densities: [1, NaN] }], { alpha: 1 }, "each density must be a positive number"],
    [[{ ...good, densities: [1, 0] }], { alpha: 1 }, "each density must be a positive number"],
    [[{ ...good, chosen: 2 }], { alpha: 1 }, "chosen must be"],
  ];
  for (const [labels, options, message] of cases) {
    const error = await assertRejects(() => plotDensities(labels as never, options as never), Error);
    assertStringIncludes(error.message, `Cannot plot densities as ${message}`);
  }
});

Deno.test("drawDensities: every candidate stands in one bar", async () => {
  const densities = Array.from({ length: 200 }, (_, i) => 1 + (i * i) % 37);
  const mean = densities.reduce((sum, density) => sum + density) / densities.length;
  const row = { label: "a", densities, mean, ratio: 37 / mean, low: false };
  const svg = await drawDensities([row], { alpha: 1.4, caption: "density" });
  // Heights are in pixels of an axis whose ticks say how many candidates they are.
  const heights = [...svg.matchAll(/<rect[^>]* height="([\d.]+)"/g)].map(([, height]) => Number(height));
  const ticks = [...svg.matchAll(/translate\(\d+,([\d.]+)\)"[^>]*>(\d+)<\/text>/g)];
  assert(heights.length > 5 && ticks.length >= 2);
  const [zero, other] = [
    ticks.find(([, , text]) => text === "0")!,
    ticks.findLast(([, , text]) => text !== "0")!,
  ];
  const perCandidate = (Number(zero[1]) - Number(other[1])) / Number(other[2]);
  assertAlmostEquals(heights.reduce((sum, height) => sum + height) / perCandidate, 200, 1);
});
