/**
 * Tables of options, apart from what is read and shown by them.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { flag } from "../../../cli/options/kinds.ts";
import { optionName, refuseOperands, section } from "../../../cli/options/options.ts";

Deno.test("section puts its title on each option and leaves the table alone", () => {
  const table = { quiet: { kind: flag, help: "Silence" } };
  assertEquals(section("Output", table), { quiet: { ...table.quiet, section: "Output" } } as typeof table);
  assertEquals(Object.keys(table.quiet), ["kind", "help"]);
});

Deno.test("optionName writes camel case with dashes", () => {
  assertEquals(["cfg", "topK", "numImagesPerClass"].map(optionName), [
    ...["--cfg", "--top-k", "--num-images-per-class"],
  ]);
});

Deno.test("refuseOperands names the first argument that is too much", () => {
  refuseOperands([], 0);
  refuseOperands(["a"], 1);
  const error = assertThrows(() => refuseOperands(["a", "b", "c"], 1), UsageError);
  assertEquals(error.message, 'Unexpected argument "b"');
});
