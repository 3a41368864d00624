import { assertEquals, assertThrows } from "@std/assert";
import { promptOf, requireTemplate } from "../../../models/vision/prompt.ts";

Deno.test("promptOf: a prompt comes first, a class takes the template as it is written", () => {
  const cone = { id: 2, name: "$& cone" };
  assertEquals(promptOf(cone, "clip", "a {label}, {label}"), "a $& cone, $& cone");
  assertEquals(promptOf({ ...cone, prompt: "" }, "clip", "a {label}"), "");
  assertThrows(
    () => promptOf(cone, "clip"),
    TypeError,
    'Cannot judge a picture by "clip" as its label "$& cone" has no text; give a template such as',
  );
});

Deno.test("promptOf: nothing in particular has no text", () => {
  assertThrows(
    () => promptOf({ id: null, name: "null class" }, "clip", "a {label}"),
    TypeError,
    "has no text",
  );
});

Deno.test("requireTemplate: a template has a place for the label", () => {
  assertEquals(requireTemplate("{label}!", "load clip"), "{label}!");
  for (const wrong of ["a photo", "", 7 as unknown as string]) {
    assertThrows(() => requireTemplate(wrong, "load clip"), TypeError, "a text with {label} in it");
  }
});
