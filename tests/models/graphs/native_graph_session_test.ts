/** What the native CPU provider computes, in processes of its own. */

import { assert, assertMatch } from "@std/assert";
import { deno } from "../../deno_process.ts";
import { testNative } from "./native_processes.ts";

testNative("native: the native provider does what the others do", async () => {
  const cases = new URL("native_graph_session_cases.ts", import.meta.url).href;
  const { success, output } = await deno(["test", "--no-check", "-A", cases, "--", "--native"]);
  assert(success, output);
  // Not one was left out, but for the threads where they cannot be counted.
  assertMatch(output, /\b(19|20) passed \| 0 failed/);
});

testNative("native: a text encoder has the recorded features under the native provider, too", async () => {
  const cases = new URL("../text/t5_native_cases.ts", import.meta.url).href;
  const { success, output } = await deno(["test", "--no-check", "-A", cases, "--", "--native"]);
  assert(success, output);
  assertMatch(output, /\b3 passed \| 0 failed/);
});

testNative("native: products of integers do under the native provider what they should", async () => {
  const cases = new URL("integer_product_cases.ts", import.meta.url).href;
  const { success, output } = await deno(["test", "--no-check", "-A", cases, "--", "--native"]);
  assert(success, output);
  assertMatch(output, /\b5 passed \| 0 failed/);
});
