/** What a model folder's description gives as sizes, and how it is refused. */

import { assertEquals, assertThrows } from "@std/assert";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { isFlag, isSize, isSizes, requireSizes } from "../../../models/folder/sizes.ts";

const CHECKS = { depth: isSize, shared: isFlag, sides: isSizes };
const PLACE = { file: "model.json", model: "a toy model", path: "config" };

Deno.test("requireSizes: sizes that are all there are handed on", () => {
  const sizes = { depth: 2, shared: false, sides: [1, 2] };
  assertEquals(requireSizes(sizes, CHECKS, PLACE), sizes);
});

Deno.test("isSize: a size that is missing or none is refused by name", () => {
  const good = { depth: 2, shared: false, sides: [1, 2] };
  for (
    const [name, value] of [
      ["depth", undefined],
      ["depth", 0],
      ["depth", 1.5],
      ["depth", "2"],
      ["shared", 1],
      ["sides", []],
      ["sides", [1, 0]],
      ["sides", 3],
    ] as const
  ) {
    const error = assertThrows(() => requireSizes({ ...good, [name]: value }, CHECKS, PLACE), ModelFileError);
    assertEquals(
      [error.file, error.expected, error.found],
      ["model.json", `a toy model's "config.${name}"`, JSON.stringify(value) ?? "nothing"],
    );
  }
  for (const none of [undefined, null, 3, "sizes"]) {
    const error = assertThrows(() => requireSizes(none, CHECKS, PLACE), ModelFileError);
    assertEquals(error.expected, `a toy model's "config"`);
  }
});
