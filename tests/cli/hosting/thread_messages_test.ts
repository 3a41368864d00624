/** Errors that cross from one thread to the other. */

import { assert, assertEquals } from "@std/assert";
import { arrivedError, sentError } from "../../../cli/hosting/thread_messages.ts";
import { UsageError } from "../../../cli/io.ts";
import { OutOfMemoryError } from "../../../mod.ts";

Deno.test("arrivedError: says what was sent, and a usage error stays one", () => {
  const usage = arrivedError(structuredClone(sentError(new UsageError("Option --cfg must be less"))));
  assert(usage instanceof UsageError);
  assertEquals(usage.message, "Option --cfg must be less");
  const sent = new OutOfMemoryError("logits", 8, 2);
  const memory = arrivedError(structuredClone(sentError(sent)));
  assertEquals([memory.name, memory.message, memory.stack], ["OutOfMemoryError", sent.message, sent.stack]);
  assert(!(memory instanceof UsageError));
  assertEquals(arrivedError(sentError("a text")).message, "a text");
});
