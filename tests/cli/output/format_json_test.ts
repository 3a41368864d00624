/** JSON for people and programs. */

import { assertEquals } from "@std/assert";
import { formatJson } from "../../../cli/output/format_json.ts";

Deno.test("formatJson keeps every value, lists of numbers on one line", () => {
  const value = {
    numbers: Array.from({ length: 200 }, (_, i) => i / 3),
    nested: [{ a: [], b: {}, c: null }, ["x".repeat(200), 'quote " and \n']],
    gone: undefined,
    seed: 2n ** 64n - 1n,
  };
  const text = formatJson(value);
  const { gone: _gone, ...rest } = value;
  assertEquals(JSON.parse(text), { ...rest, seed: "18446744073709551615" });
  assertEquals(text.split("\n").filter((line) => line.includes('"numbers"')).length, 1);
  assertEquals(formatJson({ a: 1, b: ["c"] }), '{ "a": 1, "b": ["c"] }');
});
