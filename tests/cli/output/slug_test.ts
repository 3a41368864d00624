/** Names as parts of file names. */

import { assertEquals } from "@std/assert";
import { slug } from "../../../cli/output/slug.ts";

Deno.test("slug keeps letters and numbers of any script", () => {
  assertEquals(slug("Red Torus!"), "red-torus");
  assertEquals(slug("tench, Tinca tinca"), "tench-tinca-tinca");
  assertEquals(slug("../../etc"), "etc");
  assertEquals(slug("…"), "image");
});
