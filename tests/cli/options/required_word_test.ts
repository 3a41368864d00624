import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { requireWord } from "../../../cli/options/required_word.ts";

Deno.test("requireWord: a word is known, or what is wanted is said", () => {
  const require = (word: string | undefined) => requireWord(word, ["add", "status", "drain"], "What to do");
  assertEquals(require("status"), "status");
  for (
    const [word, message] of [
      [undefined, "What to do is needed: add, status or drain"],
      ["stats", 'What to do must be add, status or drain: current value is "stats"; did you mean status?'],
      ["toString", 'What to do must be add, status or drain: current value is "toString"'],
    ] as const
  ) {
    assertEquals(assertThrows(() => require(word), UsageError).message, message);
  }
});
