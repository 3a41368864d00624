import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { MethodRecord } from "../../bench/method_records.ts";
import { formatMethods, groupsOf, methodRows } from "../../bench/method_tables.ts";

/** A label's record in a few words. */
function record(
  method: string,
  prompt: number,
  { group = "one", right = [1, 1], budget = 2, flops = 2 }: {
    readonly group?: string;
    readonly right?: readonly number[];
    readonly budget?: number;
    readonly flops?: number;
  } = {},
): MethodRecord {
  return {
    ...{ model: "demo-t2i", method, budget, seed: 1, prompt, group, flops, seconds: 0.25 },
    settings: [{ hook: "own", samples: budget, keep: 1 }],
    verdicts: right.map((it) => ({ right: it === 1, reward: 10 * it })),
    diversity: prompt,
  };
}

Deno.test("methodRows: by budget and method, labels in order, whatever order they were judged in", () => {
  const rows = methodRows([
    record("beam search", 1),
    record("plain", 1, { budget: 1 }),
    record("beam search", 0),
    record("plain", 0, { budget: 1 }),
  ]);
  assertEquals(rows.map(({ method, budget, records }) => [method, budget, records.map((it) => it.prompt)]), [
    ["plain", 1, [0, 1]],
    ["beam search", 2, [0, 1]],
  ]);
});

Deno.test("methodRows: methods on different labels are refused", () => {
  assertThrows(
    () => methodRows([record("plain", 0, { budget: 1 }), record("beam search", 1)]),
    RangeError,
    "Cannot compare methods as beam search at 2x",
  );
});

Deno.test("groupsOf: labels count once, and pictures where a kind has one label", () => {
  const records = [
    record("plain", 0, { group: "a", right: [1, 0] }),
    record("plain", 1, { group: "b", right: [1, 0] }),
    record("plain", 2, { group: "a", right: [1, 1] }),
  ];
  assertEquals(groupsOf({ records }, "right"), [[0.5, 1], [1, 0]]);
  assertEquals(groupsOf({ records }, "right", true), [[0.5, 0.5, 1]]);
  assertEquals(groupsOf({ records }, "diversity", true), [[0, 1, 2]]);
});

Deno.test("formatMethods: operations by plain ones, differences to plain and to the same budget", () => {
  // Best-of-N at budget 2 is right everywhere, plain nowhere, beam search in one of two pictures each.
  const rows = methodRows([0, 1].flatMap((prompt) => [
    record("plain", prompt, { budget: 1, flops: 1, right: [0, 0] }),
    record("Best-of-N", prompt, { flops: 2 }),
    record("beam search", prompt, { flops: 3, right: [1, 0] }),
  ]));
  const text = formatMethods(rows, { score: "overall", resamples: 100 });
  const cells = (method: string, table: number): string[] => {
    const lines = text.split("\n").filter((line) => line.startsWith(`| ${method} |`));
    return lines[table]!.split("|").map((cell) => cell.trim()).slice(2, -1);
  };
  assertEquals(cells("plain", 0), ["1×", "1.000×", "0.250", "0.000 [0.000, 0.000]", "", ""]);
  assertEquals(cells("Best-of-N", 0).slice(1), [
    "2.000×",
    "0.250",
    "1.000 [1.000, 1.000]",
    "+1.000 [+1.000, +1.000]",
    "",
  ]);
  assertEquals(cells("beam search", 0).slice(3), [
    "0.500 [0.500, 0.500]",
    "+0.500 [+0.500, +0.500]",
    "-0.500 [-0.500, -0.500]",
  ]);
  assertEquals(cells("beam search", 2)[1], "5.000 [5.000, 5.000]");
  // Settings that are the same everywhere are told once.
  assertEquals(cells("beam search", 3), ["2×", "`own` samples 2"]);
  assertStringIncludes(text, "- All of `own`: keep 1.");
  assert(!text.includes("log-probability"));
});
