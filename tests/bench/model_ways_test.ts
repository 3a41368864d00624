import { fileURLToPath } from "node:url";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { formatModelRecord, type ModelRecord, weightBytes, words } from "../../bench/model_ways.ts";
import type { TimeReport } from "../../bench/model_worker.ts";
import type { Scale } from "../../mod.ts";

Deno.test("formatModelRecord: the report shows medians per image, turns beside PyTorch, memory and differences", () => {
  const turn = (total: number): TimeReport => ({
    ...{ total, condition: total / 10, scales: [total / 5, total / 2], decode: total / 5 },
    ...{ resident: 1e9, peak: 2e9 },
  });
  const scale = (width: number, height: number): Scale => ({
    ...{ width, height, picture: { width: 16 * width, height: 16 * height } },
    sampling: { guidanceWeight: 1, topK: 0, topP: 0, minP: 0, temperature: 1 },
  });
  const load = { name: "it", load: 2500, gpu: null, resident: 1.5e9, peak: 2e9 };
  const record: ModelRecord = {
    ...{
      date: "2026-01-01T00:00:00.000Z",
      commit: null,
      deno: "2",
      machine: { cpu: "some CPU", instructions: ["AVX2"], cores: 2, os: "linux" },
    },
    model: {
      name: "VAR-d1",
      classes: 3,
      logits: 4,
      channels: 2,
      words: 1,
      scales: [scale(1, 1), scale(3, 2)],
    },
    options: {
      ...{ size: undefined, dtypes: ["q8", "f16"], places: ["native", "webgpu"] },
      ...{ batch: 2, rounds: 3, threads: 2, scaling: false, pytorch: undefined },
    },
    ...{ reference: "PyTorch 2", deviation: 2 },
    peer: {
      dtype: "f32",
      place: "PyTorch",
      weights: 1.25e9,
      load,
      first: turn(9000),
      rounds: [turn(4000)],
      peak: 3.25e9,
    },
    rows: [
      {
        ...{ dtype: "q8", place: "native", weights: 5e8, load, first: turn(8000), peak: 2.75e9 },
        ...{ rounds: [turn(6000), turn(5000), turn(7000)], peer: [turn(4000), turn(5000), turn(2000)] },
        off: { logits: 0.012345, image: 0.5 },
      },
      { dtype: "f16", place: "webgpu", weights: 1e9, problem: "No adapter" },
    ],
  };
  const report = formatModelRecord(record);
  assertStringIncludes(
    report,
    "VAR-d1 at 48×32, 2 images with guidance, 2 threads, medians of 3; Deno 2\n\nsome CPU; AVX2; 2 cores; linux",
  );
  assertStringIncludes(report, "Logits (standard deviation 2.00) and pixels are compared with PyTorch 2's");
  assertStringIncludes(
    report,
    "| f32 on PyTorch | 1.25 | 2.50 | 9.00 | 2.00 | 2.00–2.00 |  | 1.50 | 3.25 |  |  |",
  );
  assertStringIncludes(
    report,
    "| q8 on native | 0.50 | 2.50 | 8.00 | 3.00 | 2.50–3.50 | 1.50× | 1.50 | 2.75 | 1.2e-2 | 5.0e-1 |",
  );
  assertStringIncludes(report, "| f16 on webgpu: No adapter | 1.00 |  |");
  assertStringIncludes(report, "| weights | condition | 1×1 | 3×2 | decode |");
  assertStringIncludes(report, "| q8 on native | 0.600 | 1.20 | 3.00 | 1.20 |");
});

Deno.test("weightBytes: weights that generation does not use are not counted", async () => {
  const file = fileURLToPath(new URL("../fixtures/flexvar/ar-ckpt.pth", import.meta.url));
  const bytes = await weightBytes({ var: file, vae: file });
  assertEquals(bytes("f32"), 6_636_956);
  assertEquals(bytes("q8") < bytes("f16") && bytes("f16") < bytes("f32"), true);
});

Deno.test("words: a word that is not allowed is told", () => {
  assertEquals(words("b,a", "--on", ["a", "b"]), ["b", "a"]);
  assertThrows(
    () => words("a,c", "--on", ["a", "b"]),
    RangeError,
    "--on must be of a, b, separated by commas",
  );
});
