import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import {
  appendHistory,
  type BenchRecord,
  commitOf,
  compare,
  readHistory,
  regressions,
} from "../../bench/history.ts";
import type { KernelRow } from "../../bench/measure.ts";
import type { Profile } from "../../kernels/profile/profile.ts";

function time(milliseconds: number, clock: Profile["clock"] = "wall"): Profile {
  return {
    ...{ milliseconds, clock, low: milliseconds, high: milliseconds, wallMilliseconds: milliseconds },
    ...{ times: [milliseconds], calls: 1, dispatches: 1, readbacks: 0 },
  };
}

function row(kernel: string, size: string, twin: number, webgpu?: Profile): KernelRow {
  return { kernel, size, twin: time(twin), peers: [], ...(webgpu === undefined ? {} : { webgpu }) };
}

function record(kernels: KernelRow[], adapter: string | null = "A", cpu: string = "C"): BenchRecord {
  return {
    ...{ date: "2026-01-01T00:00:00.000Z", commit: null, adapter, cpu, deno: "2", os: "linux" },
    ...{ settings: { rounds: 1, span: 1 }, roof: {}, kernels, pipeline: [] },
  };
}

Deno.test("readHistory: a history is a line per run, in their order; none is an empty one", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.remove(path);
    assertEquals(await readHistory(path), []);
    const runs = [record([row("k", "1", 2)]), record([])];
    for (const run of runs) await appendHistory(path, run);
    assertEquals((await Deno.readTextFile(path)).split("\n").length, 3);
    assertEquals(await readHistory(path), runs);
    await Deno.writeTextFile(path, "{\n", { append: true });
    const error = await assertRejects(() => readHistory(path), SyntaxError);
    assertEquals(error.message, `Cannot read line 3 of the history ${path} as it is not JSON`);
  } finally {
    await Deno.remove(path).catch(() => {});
  }
});

Deno.test("compare: a case is compared with its last record on the same hardware", () => {
  const history = [
    record([row("k", "1", 10, time(4, "gpu")), row("k", "2", 100)]),
    record([row("k", "1", 20, time(5, "gpu"))]),
    record([row("k", "1", 1, time(1, "gpu"))], "B", "D"),
  ];
  const changes = compare(
    history,
    record([row("k", "1", 30, time(4, "gpu")), row("k", "2", 50), row("k", "3", 7)]),
  );
  assertEquals(changes.map(({ size, variant, before, now }) => [size, variant, before, now]), [
    ["1", "webgpu", 5, 4],
    ["1", "twin", 20, 30],
    ["2", "twin", 100, 50],
  ]);
  assertAlmostEquals(changes[0]!.ratio, 0.8, 1e-12);
});

Deno.test("compare: times by another clock are not compared, and twins do not need the same adapter", () => {
  const history = [record([row("k", "1", 10, time(4, "wall"))])];
  const now = record([row("k", "1", 10, time(4, "gpu"))], "B");
  assertEquals(compare(history, now).map(({ variant }) => variant), ["twin"]);
  assertEquals(compare(history, record([row("k", "1", 10, time(4, "gpu"))])).map(({ variant }) => variant), [
    "twin",
  ]);
  assertEquals(compare([], now), []);
});

Deno.test("regressions: a regression is a median that is worse by more than the percentage", () => {
  const changes = compare(
    [record([row("a", "1", 100), row("b", "1", 100), row("c", "1", 100)])],
    record([row("a", "1", 109), row("b", "1", 111), row("c", "1", 50)]),
  );
  assertEquals(regressions(changes, 10).map(({ kernel }) => kernel), ["b"]);
  assertEquals(regressions(changes, 0).map(({ kernel }) => kernel), ["a", "b"]);
  assertEquals(regressions(changes, 12), []);
});

Deno.test("commitOf: a folder without git has no commit", async () => {
  const folder = await Deno.makeTempDir();
  try {
    assertEquals(await commitOf(new URL(`file://${folder}/`)), null);
  } finally {
    await Deno.remove(folder);
  }
});
