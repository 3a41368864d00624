import { assertEquals } from "@std/assert";
import { literalsOf } from "./literals.ts";

Deno.test("literalsOf: strings, templates and patterns, no comments", () => {
  assertEquals(
    literalsOf(
      'import a from "./a.ts"; /* "b" */ const { c } = { c: \'d\' }; // "e"\nf(`g ${c} h`, /i/u, 7, null);',
    ),
    ["./a.ts", "d", "g ", " h", "/i/u"],
  );
});
