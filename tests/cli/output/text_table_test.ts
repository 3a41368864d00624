import { assertEquals } from "@std/assert";
import { textTable } from "../../../cli/output/text_table.ts";

Deno.test("textTable: columns are as wide as their widest cell, and no line ends with spaces", () => {
  const table = textTable(["label", "α"], [["red torus", "1.7"], ["円", ""]]);
  assertEquals(table, "label      α\n---------  ---\nred torus  1.7\n円\n");
});

Deno.test("textTable: a cell is one line, whatever is in it", () => {
  assertEquals(textTable(["a"], [["x\ny"]]).split("\n").length, 4);
});
