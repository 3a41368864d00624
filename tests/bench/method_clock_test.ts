import { assert, assertEquals } from "@std/assert";
import { formatClock, guidanceCases, measureClock, searchCases } from "../../bench/method_clock.ts";
import { loadModel } from "../../mod.ts";
import "../native.ts";
import { sharedModel } from "../sampler/models.ts";

Deno.test("measureClock: every case runs, and what is divided costs what it should", async () => {
  await using model = await loadModel("demo-t2i", { device: "cpu" });
  const cases = await searchCases(model);
  const rows = await measureClock(model, { cases, rounds: 1 });
  assertEquals(rows.map(({ name }) => name), cases.map(({ name }) => name));
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

Deno.test("measureClock: of methods that guide, one alone takes operations", async () => {
  const model = await sharedModel("tiny", "cpu");
  const rows = await measureClock(model, { cases: guidanceCases(model), rounds: 1 });
  assertEquals(rows.map(({ name }) => name).slice(0, 3), [
    ...["spatial guidance, 8 pictures", "adaptive guidance, 8 pictures", "prefix guidance, 8 pictures"],
  ]);
  const [spatial, adaptive, prefix] = rows.map(({ flops }) => flops);
  assertEquals(rows.slice(3).map(({ flops }) => flops), [spatial, adaptive, prefix]);
  assertEquals([spatial, adaptive], [1, 1]);
  assert(prefix! > 1.2 && prefix! < 2, `${prefix}`);
});

Deno.test("formatClock: a row for each case", () => {
  const row = { name: "a", base: "b", target: 0.45, milliseconds: [10, 40] as const, rounds: 3 };
  assertEquals(
    formatClock([{ ...row, ratio: 0.25, spread: [0.2, 0.3], flops: 0.333 }]).split("\n").at(-1),
    "| a | b | 10 | 40 | 0.25 | 0.20–0.30 | 0.33 | ≤ 0.45 |",
  );
});
