import { assertEquals } from "@std/assert";
import { clockCases, formatClock, measureClock } from "../../bench/method_clock.ts";
import { loadModel } from "../../mod.ts";
import "../native.ts";

Deno.test("measureClock: every case runs, and what is divided costs what it should", async () => {
  await using model = await loadModel("demo-t2i", { device: "cpu" });
  const rows = await measureClock(model, { rounds: 1 });
  assertEquals(rows.map(({ name }) => name), (await clockCases(model)).map(({ name }) => name));
  const [released, passes, batch] = rows;
  // Of 28 decodes, which every lane at every scale takes, 6 are needed: 4 to resample, 2 to choose.
  const { transformer, decode, judge } = await parts();
  const searched = transformer + 6 * (decode + judge);
  assertEquals(released!.flops, searched / (transformer + 28 * decode + (8 + 6 + 4 + 2) * judge));
  assertEquals([passes!.flops, batch!.flops], [1, 8]);

  async function parts(): Promise<{ transformer: number; decode: number; judge: number }> {
    const { condition, scales, decode } = model.flops!(model.schedule({}), true);
    const lanes = [8, 8, 6, 4, 2];
    return {
      transformer: scales.reduce((sum, flops, scale) => sum + lanes[scale]! * flops, condition),
      decode: decode(scales.length - 1, 1),
      judge: (await model.verifier!()).flops!,
    };
  }
});

Deno.test("formatClock: a row for each case", () => {
  const row = { name: "a", base: "b", target: 0.45, milliseconds: [10, 40] as const, rounds: 3 };
  assertEquals(
    formatClock([{ ...row, ratio: 0.25, spread: [0.2, 0.3], flops: 0.333 }]).split("\n").at(-1),
    "| a | b | 10 | 40 | 0.25 | 0.20–0.30 | 0.33 | ≤ 0.45 |",
  );
});
