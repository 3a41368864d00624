/** Words as a sentence joins them. */

import { assertEquals } from "@std/assert";
import { list, plural } from "../../../cli/output/words.ts";

Deno.test("plural counts", () => {
  assertEquals([plural(1, "image"), plural(2, "image")], ["1 image", "2 images"]);
});

Deno.test("list joins with commas and a conjunction", () => {
  assertEquals(list([], "and"), "");
  assertEquals(list(["a"], "and"), "a");
  assertEquals(list(["a", "b"], "or"), "a or b");
  assertEquals(list(["a", "b", "c"], "and"), "a, b and c");
});
