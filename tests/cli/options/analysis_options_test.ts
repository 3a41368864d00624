import { assertEquals, assertThrows } from "@std/assert";
import {
  givenLabels,
  integerList,
  numberList,
  paintingOf,
  seeds,
} from "../../../cli/options/analysis_options.ts";
import { UsageError } from "../../../cli/io.ts";

/** No standard input. */
const NOBODY = { signal: new AbortController().signal };

Deno.test("seeds: numbers and ranges of them, each once", () => {
  assertEquals(seeds.parse("0-3, 17,2"), [0, 1, 2, 3, 17]);
  assertEquals(seeds.parse("18446744073709551615"), [2n ** 64n - 1n]);
  for (const wrong of ["", "3-1", "a", "1,,2", "-1", "0-200000", "1-2-3"]) {
    assertThrows(() => seeds.parse(wrong), RangeError, "must be seeds");
  }
});

Deno.test("integerList: integers within bounds, with commas between", () => {
  const kind = integerList("N", 2, 100);
  assertEquals(kind.parse("10, 20,2"), [10, 20, 2]);
  for (const wrong of ["1", "101", "2.5", "", "5,", "5 6"]) {
    assertThrows(() => kind.parse(wrong), RangeError, "must be integers from 2 to 100");
  }
});

Deno.test("numberList: numbers within bounds, with commas between", () => {
  const kind = numberList("X", 0, 10);
  assertEquals(kind.parse("1.5, .5,10"), [1.5, 0.5, 10]);
  for (const wrong of ["-1", "10.1", "", "1,", "NaN"]) assertThrows(() => kind.parse(wrong), RangeError);
});

Deno.test("givenLabels: labels of all places, in order, and none if none is given", async () => {
  const resolveLabel = (label: unknown) => {
    if (label === "d") throw new RangeError("no such class");
    return { id: "abc".indexOf(String(label)), name: String(label) };
  };
  const model = {
    name: "three",
    labels: { kind: "classes", count: 3, names: ["a", "b", "c"] },
    resolveLabel,
  };
  const values = { labels: "a, c", prompts: undefined };
  const given = await givenLabels(["b", "all"], values, NOBODY);
  assertEquals(given(model as never), { labels: [1, 0, 1, 2, 0, 2] });
  assertEquals(
    (await givenLabels([], { labels: undefined, prompts: undefined }, NOBODY))(model as never),
    {},
  );
  const wrong = await givenLabels(["d"], { labels: undefined, prompts: undefined }, NOBODY);
  assertThrows(() => wrong(model as never), UsageError, "no such class");
});

Deno.test("paintingOf: what was given, and nothing that analyses do not take", async () => {
  assertEquals(await paintingOf({ cfg: 2, topK: 5, batch: 4 } as never), { cfg: 2, topK: 5, batch: 4 });
  assertEquals(await paintingOf({} as never), {});
});
