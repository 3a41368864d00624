/** Where things are. */

import { assertEquals } from "@std/assert";
import { absolute } from "../../../cli/options/place.ts";

Deno.test("absolute leaves addresses as they are", () => {
  assertEquals(absolute("https://example.org/model"), "https://example.org/model");
  assertEquals(absolute("models/a/../b"), `${Deno.cwd()}/models/b`);
});
