import { assert, assertEquals, assertThrows } from "@std/assert";
import { parsePlan, planRows } from "../../../evaluation/sweep/plan.ts";
import { presetPlan, SWEEP_PRESETS } from "../../../evaluation/sweep/presets.ts";

const PAPERS = SWEEP_PRESETS.filter((name) => name !== "bundled");

Deno.test("presetPlan: every published value has its row, and no weights are assumed", () => {
  for (const name of PAPERS) {
    const plan = presetPlan(name);
    const found = planRows(plan).filter(({ published }) => published !== undefined);
    assertEquals(found.length, plan.published!.length, name);
    assert(plan.models.every(({ place }) => place === undefined), name);
    // What was parsed is a plan as a file would hold it.
    assertEquals(parsePlan(JSON.parse(JSON.stringify(plan))), JSON.parse(JSON.stringify(plan)));
  }
});

Deno.test("presetPlan: cells of the papers' tables", () => {
  const value = (name: string, id: string): Record<string, number> | undefined => {
    const row = planRows(presetPlan(name)).find((row) => row.id === id);
    assert(row !== undefined, `${name} has ${id}`);
    return row?.published;
  };
  const released = "cfg-1.preset-published";
  assertEquals(value("table2", `d30.var-scaling.alpha-1.3.${released}.samples-100.scale-9`), {
    fid: 2.16,
    is: 281.8,
  });
  assertEquals(value("table3a", `d24.var-scaling.alpha-2.8.${released}.samples-100`), {
    fid: 2.21,
    is: 280.3,
  });
  assertEquals(value("table3b", `d30.var-scaling.alpha-2.4.${released}.samples-50.strategy-top-k`), {
    fid: 2.46,
    is: 304.7,
  });
  assertEquals(value("table3c", `d30.var-scaling.alpha-2.3.${released}.representatives-15.samples-20`), {
    fid: 2.13,
    is: 278.8,
  });
  assertEquals(value("table3d", "d30.plain.cfg-1.5"), { fid: 2.01, is: 305.7 });
  assertEquals(
    value("table3e", `d30.var-scaling.alpha-2.4.cfg-1.distance-cosine.preset-published.samples-100`),
    { fid: 2.18, is: 288.1 },
  );
  assertEquals(value("fig5", "flexvar-d24.var-scaling.cfg-2.5.samples-50"), { fid: 2.28, is: 303 });
  assertEquals(value("fig6", "infinity-2b.var-scaling.cfg-4.samples-1000"), { geneval: 0.695 });
  const searched = planRows(presetPlan("tts-table1")).filter(({ method }) => method === "tts-var");
  assertEquals(searched.map(({ published }) => published!.geneval), [0.7403, 0.753, 0.819]);
});

Deno.test("presetPlan: on another model the same rows, without what was tuned or published", () => {
  for (const name of PAPERS) {
    for (const model of ["demo", "demo-t2i"]) {
      const plan = presetPlan(name, { model });
      const rows = planRows(plan);
      assertEquals([plan.models.length, plan.models[0]!.place, plan.published], [1, model, undefined]);
      assert(rows.every(({ published }) => published === undefined));
      assert(!/50,000|553|--/.test(plan.description!), plan.description);
      assert(
        rows.every(({ settings }) =>
          !("alpha" in settings || "preset" in settings || "verifier" in settings)
        ),
        name,
      );
    }
  }
  assertEquals(planRows(presetPlan("table3d", { model: "demo" })).map(({ settings }) => settings.cfg), [
    ...[1, 1, 1, 1],
    ...[1.5, 1.5, 1.5, 1.5],
  ]);
  assertEquals(planRows(presetPlan("table3a", { model: "demo" })).length, 4);
});

Deno.test("presetPlan: all methods on the bundled models within three quarters of an hour", () => {
  const plan = presetPlan("bundled");
  const rows = planRows(plan);
  for (const samples of [10, 20, 50, 100]) {
    const methods = rows.filter(({ model, settings }) => model === "demo" && settings.samples === samples);
    assertEquals(methods.length, 6, "VAR-Scaling and five searches");
  }
  const scaled = rows.filter(({ model, method }) => model === "demo-t2i" && method === "var-scaling");
  assertEquals(scaled.map(({ settings }) => settings.samples), [10, 20, 50, 100, 500, 1000, 3000]);
  // Plain pictures that it is worth, at 0.07 s of processor time each, which two cores share: 23,300 took
  // 27 minutes of it, 3000 candidates as much as another picture.
  const subjects = { "demo": 64, "demo-t2i": 200 } as Record<string, number>;
  const seconds = rows.reduce((sum, { model, method, settings, limit, count }) => {
    const pictures = Math.min(limit ?? Infinity, subjects[model]!) * count;
    const worth = ["plain", "var-scaling"].includes(method)
      ? 1 + Number(settings.samples === 3000)
      : settings.samples as number;
    return sum + pictures * worth * 0.07;
  }, 0);
  assert(seconds < 45 * 60, `${seconds} s`);
});

Deno.test("presetPlan: a model of the plan itself keeps its own rows", () => {
  const samples = (model: string): unknown[] => {
    const rows = planRows(presetPlan("bundled", { model }));
    return rows.filter(({ method }) => method === "var-scaling").map(({ settings }) => settings.samples);
  };
  assertEquals(samples("demo"), [10, 20, 50, 100]);
  assertEquals(samples("demo-t2i"), [10, 20, 50, 100, 500, 1000, 3000]);
});

Deno.test("presetPlan: names that there are not", () => {
  assertThrows(() => presetPlan("table9"), TypeError, 'as the preset must be one of "table2"');
});
