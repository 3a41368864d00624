/** Columns of texts, by what terminals draw. */

import { assertEquals } from "@std/assert";
import { cutColumns, padColumns, textWidth } from "../../../cli/output/text_width.ts";

const WIDTHS: readonly [string, number][] = [
  ["", 0],
  ["red torus", 9],
  ["12 × 3 … ✓", 10],
  ["Größe", 5],
  ["Gro\u0308ße", 5],
  ["Δοκιμή, Тест", 12],
  ["עברית", 5],
  ["天地玄黃", 8],
  ["赤いトーラス", 12],
  ["ﾄｰﾗｽ", 4],
  ["빨간 도넛", 9],
  ["\u1112\u1161\u11ab", 2],
  ["（全角）ＡＢ", 12],
  ["。、「」", 8],
  ["🦕🍩", 4],
  ["👩‍🔬", 2],
  ["🇩🇪", 2],
  ["a\u200bb", 2],
];

Deno.test("textWidth counts columns, not units of UTF-16", () => {
  for (const [text, width] of WIDTHS) assertEquals(textWidth(text), width, text);
});

Deno.test("padColumns fills up to a column", () => {
  assertEquals(["ab", "天", "天地"].map((text) => `${padColumns(text, 3)}|`), ["ab |", "天 |", "天地|"]);
});

Deno.test("cutColumns cuts no character in two", () => {
  assertEquals([0, 1, 2, 3, 4, 9].map((width) => cutColumns("天地人", width)), [
    ...["", "", "天", "天", "天地", "天地人"],
  ]);
  assertEquals(cutColumns("Gro\u0308ße", 3), "Gro\u0308");
  assertEquals(cutColumns("a👩‍🔬b", 2), "a");
  assertEquals(cutColumns("red torus", 3), "red");
});
