import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  alwaysTaken,
  askedOf,
  fileStem,
  measuredOver,
  shownInNotebooks,
  shownMeasured,
  shownNumber,
  spreadLabels,
} from "../../../evaluation/analyses/analysis.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { sharedModel, testOnModel } from "../../sampler/models.ts";

const HOW = { action: "look" };

Deno.test("spreadLabels: labels differ, and are as many as there are classes at most", () => {
  const model = { name: "many", labels: { kind: "classes", count: 1000, names: [] } } as const;
  const labels = spreadLabels(model, 50);
  assertEquals([labels.length, new Set(labels).size], [50, 50]);
  // Steps of the golden ratio leave no gap wider than 1 / 50 times its square plus 1.
  const sorted = labels.toSorted((a, b) => a - b);
  const gaps = sorted.slice(1).map((label, i) => label - sorted[i]!);
  assert(Math.max(...gaps) <= Math.ceil(1000 / 50 * 2.62), `${gaps}`);
  assertEquals(spreadLabels({ ...model, labels: { ...model.labels, count: 3 } }, 8).toSorted(), [0, 1, 2]);
  const texts = { name: "words", labels: { kind: "texts" } } as const;
  assertThrows(() => spreadLabels(texts, 3), RangeError, 'the model "words" has no classes to choose from');
});

testOnModel("tiny", "askedOf: completes what is asked, and refuses the rest", async (model) => {
  const asked = await askedOf(model, {}, HOW);
  assertEquals(asked.subjects.map(({ name }) => name).toSorted(), ["Red Rock", "sand", "sea", "sky", "snow"]);
  assertEquals([asked.seed, asked.schedule.scales.length], [0, 4]);
  const refused = (options: object, message: string) =>
    assertRejects(() => askedOf(model, options, HOW), Error, message);
  await refused({ labels: [] }, "Cannot look as labels must be at least one label: current value is []");
  await refused({ labels: ["moon"] }, "moon");
  await refused({ seeds: [1] }, 'Cannot look as the option "seeds" is unknown');
  await refused({ painting: { moreSmooth: true } }, 'the option "moreSmooth" is unknown');
  await refused({ painting: { cfg: -1 } }, "cfg");
  await refused({ seed: -1 }, "seed");
  await assertRejects(() => askedOf({} as never, {}, HOW), TypeError, "must be what loadModel() resolves to");
});

Deno.test({
  name: "askedOf: prompts are encoded once, for all that follows",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const model = await sharedModel("texts", "cpu");
    const { painting: { textFeatures }, subjects } = await askedOf(model, { labels: ["a red cube"] }, HOW);
    assert(textFeatures?.get("a red cube") !== undefined);
    assertEquals(subjects[0]!.prompt, "a red cube");
    await assertRejects(() => askedOf(model, {}, HOW), RangeError, "give some prompts");
  },
});

Deno.test("measuredOver: a mean with the interval of other labels", () => {
  assertEquals(measuredOver([2, 2, 2]), { value: 2, low: 2, high: 2 });
  const { value, low, high } = measuredOver([0, 1]);
  assertEquals([value, low, high], [0.5, 0, 1]);
  // What one label says of others is nothing, and not that they were all like it.
  assertEquals(measuredOver([0.25]), { value: 0.25 });
});

Deno.test("shownMeasured: an interval where there is one, and zero without a sign", () => {
  assertEquals(shownMeasured({ value: -0.0004, low: -0.0006, high: 0.0004 }), "0.000 (-0.001 to 0.000)");
  assertEquals(shownMeasured({ value: 0.5 }, 1), "0.5");
  assertEquals([-0.001, -0.04, 10].map((value) => shownNumber(value, 2)), ["0.00", "-0.04", "10.00"]);
});

testOnModel("tiny", "alwaysTaken: says when no branch follows from densities", ({ search }) => {
  assertEquals(alwaysTaken({ search }), "");
  assertStringIncludes(alwaysTaken({ search: { ...search, strategy: "top-k" } }), '"top-k" whatever');
  return Promise.resolve();
});

Deno.test("fileStem: any name is a part of a file's name", () => {
  assertEquals(["Red torus", "../../etc", "夜の海", "", "a".repeat(99)].map(fileStem), [
    "red-torus",
    "etc",
    "夜の海",
    "label",
    "a".repeat(40),
  ]);
});

Deno.test("shownInNotebooks: the first picture is shown, or the table, and the data stay as they are", async () => {
  const image = new RgbaImage(3, 2);
  const svg = { name: "a.svg", bytes: new TextEncoder().encode("<svg/>") };
  const png = { name: "a.png", bytes: image.png() };
  const words = "Own\nlabel\tvalue\nsea\t1";
  const cases: [pictures: { name: string; bytes: Uint8Array }[], shown: Record<string, string>][] = [
    [[svg, png], { "image/svg+xml": "<svg/>", "text/plain": words }],
    [[png, svg], { "image/png": image.png().toBase64(), "text/plain": words }],
    [[], { "text/plain": words }],
  ];
  for (const [pictures, expected] of cases) {
    const table = { columns: ["label", "value"], rows: [["sea", "1"]] };
    const plain = {
      ...{ kind: "own", title: "Own", settings: {}, data: 1, table },
      pictures: () => Promise.resolve(pictures),
    };
    const analysis = shownInNotebooks({ ...plain });
    assertEquals(analysis, plain);
    const show = Reflect.get(analysis, Symbol.for("Jupyter.display")) as () => Promise<unknown>;
    assertEquals(await show(), expected);
  }
});
