/** Hints to the word that was meant. */

import { assertEquals } from "@std/assert";
import { nearest } from "../../../cli/options/nearest.ts";

Deno.test("nearest: a hint is given only for what is near", () => {
  assertEquals(nearest("sample", ["samples", "scale"]), "samples");
  assertEquals(nearest("zebra", ["samples", "scale"]), undefined);
  assertEquals(nearest("zebra", []), undefined);
});
