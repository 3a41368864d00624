/** Names as parts of file names. */

import { assertEquals } from "@std/assert";
import { numberedName, slug } from "../../../cli/output/file_name.ts";

Deno.test("slug keeps letters and numbers of any script", () => {
  assertEquals(slug("Red Torus!"), "red-torus");
  assertEquals(slug("tench, Tinca tinca"), "tench-tinca-tinca");
  assertEquals(slug("../../etc"), "etc");
  assertEquals(slug("…"), "image");
});

Deno.test("numberedName gives all the same number of digits, and three at least", () => {
  assertEquals(numberedName(7, 50, "red torus"), "007_red-torus");
  assertEquals(numberedName(7, 1001, "red torus"), "0007_red-torus");
  assertEquals(numberedName(999, 1000, "…"), "999_image");
});
