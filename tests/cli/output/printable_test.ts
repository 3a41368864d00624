/** Texts made fit for a terminal. */

import { assertEquals } from "@std/assert";
import { printable, printableLine } from "../../../cli/output/printable.ts";

Deno.test("printable: what steers is escaped as in JSON, and what scripts need stays", () => {
  const steering =
    "\0\t\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\u{e0041}";
  const escaped = printable(steering);
  assertEquals(escaped.startsWith("\\u0000\\u0009\\u000d\\u001b"), true);
  assertEquals(/^[ -~]+$/.test(escaped), true);
  assertEquals(JSON.parse(`"${escaped}"`), steering);
  assertEquals(printable("half \ud83d"), "half \\ud83d");
  for (const text of ["red\ntorus\n", "ドーナツ", "क्\u200dष", "👩\u200d🚀", "naïve \\u001b", "שלום"]) {
    assertEquals(printable(text), text);
  }
});

Deno.test("printableLine: a line stays one", () => {
  assertEquals(printableLine("a\nb\r\n"), "a\\nb\\u000d\\n");
});
