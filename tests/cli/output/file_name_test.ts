/** Names as parts of file names. */

import { assertEquals } from "@std/assert";
import { numberedName, slug } from "../../../cli/output/file_name.ts";

Deno.test("slug keeps what every system takes in a file name", () => {
  assertEquals(slug("Red Torus!"), "red-torus");
  assertEquals(slug("tench, Tinca tinca"), "tench-tinca-tinca");
  assertEquals(slug("../../etc"), "etc");
  assertEquals(slug("…"), "image");
  assertEquals(slug(""), "image");
  assertEquals(slug("Ünïcödé Straße ﬁt"), "unicode-stra-e-fit");
  assertEquals(slug("円錐と球"), "image");
  assertEquals(slug("a\0b\\c:d\n*e\u202ef"), "a-b-c-d-e-f");
  assertEquals(slug("CON"), "con");
});

Deno.test("slug cuts a long prompt after a word, or within one that is too long", () => {
  const prompt = "a beautiful painting of a singular lighthouse, shining its light across a tumultuous sea";
  assertEquals(slug(prompt), "a-beautiful-painting-of-a-singular");
  assertEquals(slug(`${prompt.slice(0, 40)}`), "a-beautiful-painting-of-a-singular-light");
  assertEquals(slug("x".repeat(100_000)), "x".repeat(40));
  assertEquals(slug(`a ${"x".repeat(99)}`), `a-${"x".repeat(38)}`);
  assertEquals(slug(`${"e\u0301".repeat(200)}`), "e".repeat(40));
});

Deno.test("numberedName gives all the same number of digits, and three at least", () => {
  assertEquals(numberedName(7, 50, "red torus"), "007_red-torus");
  assertEquals(numberedName(7, 1001, "red torus"), "0007_red-torus");
  assertEquals(numberedName(999, 1000, "…"), "999_image");
});
