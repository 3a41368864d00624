/** Texts laid out for a terminal. */

import { assertEquals } from "@std/assert";
import { columns, wrap } from "../../../cli/output/columns.ts";

Deno.test("wrap breaks at spaces, by columns", () => {
  assertEquals(wrap("red torus, blue cone", 10), ["red torus,", "blue cone"]);
  assertEquals(wrap("赤い トーラス と 円錐", 10), ["赤い", "トーラス", "と 円錐"]);
  assertEquals(wrap("unbreakable", 3), ["unbreakable"]);
  assertEquals(wrap("", 3), [""]);
});

Deno.test("columns are aligned whatever the script", () => {
  assertEquals(
    columns([["torus", "1"], ["ドーナツ", "2"], ["Gro\u0308ße", "3"]], "  "),
    "  torus     1\n  ドーナツ  2\n  Gro\u0308ße     3\n",
  );
  assertEquals(columns([]), "");
});
