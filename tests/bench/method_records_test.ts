import { assertEquals, assertNotEquals } from "@std/assert";
import { appendRecords, type MethodRecord, openRecords, recordKey } from "../../bench/method_records.ts";

function record(prompt: number): MethodRecord {
  return {
    model: "demo",
    method: "plain",
    budget: 1,
    seed: 1,
    settings: [{ hook: "own", samples: 2 }],
    prompt,
    group: "red cube",
    verdicts: [{ right: true, logProbability: -0.5, reward: 2 }],
    diversity: 0,
    flops: 1e9,
    seconds: 0.5,
  };
}

Deno.test("openRecords: nothing, then what was added, without what an interruption has left", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/verdicts.jsonl`;
    assertEquals((await openRecords(path)).size, 0);
    await appendRecords(path, [record(0), record(1)]);
    await Deno.writeTextFile(path, '{"model":"demo","meth', { append: true });
    assertEquals([...(await openRecords(path)).values()], [record(0), record(1)]);
    await appendRecords(path, [record(2)]);
    assertEquals([...(await openRecords(path)).values()], [record(0), record(1), record(2)]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("recordKey: everything that decides what is painted, and nothing of what came of it", () => {
  const own = record(3);
  assertEquals(recordKey({ ...own, seconds: 9, verdicts: [] } as MethodRecord), recordKey(own));
  const others: Partial<MethodRecord>[] = [
    { model: "demo-t2i" },
    { method: "beam search" },
    { budget: 2 },
    { seed: 2 },
    { prompt: 4 },
    { settings: [{ hook: "own", samples: 3 }] },
  ];
  for (const other of others) assertNotEquals(recordKey({ ...own, ...other }), recordKey(own));
});
