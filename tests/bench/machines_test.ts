import { assertEquals, assertStringIncludes } from "@std/assert";
import {
  addMachine,
  machineRecord,
  MACHINES_PAGE,
  machinesPage,
  readMachines,
} from "../../bench/machines.ts";
import type { ModelRecord } from "../../bench/model_ways.ts";
import type { TimeReport } from "../../bench/model_worker.ts";

const MACHINE = { cpu: "some CPU", instructions: ["AVX2"], cores: 2, os: "linux 6" };

function turn(total: number): TimeReport {
  return { total, condition: 0, scales: [], decode: 0, resident: 1e9, peak: 2e9 };
}

function record(): ModelRecord {
  const load = { name: "PyTorch 2.13.0", load: 1, gpu: null, resident: 1, peak: 1 };
  const way = { dtype: "f32", weights: 1, load, first: turn(1) } as const;
  return {
    ...{ date: "2026-11-29T01:02:03.000Z", commit: "abc", deno: "2.9.6", machine: MACHINE },
    model: {
      ...{ name: "VAR-d16", classes: 1000, logits: 4096, channels: 32, words: 1 },
      scales: [{
        ...{ width: 16, height: 16, picture: { width: 256, height: 256 } },
        sampling: { guidanceWeight: 1, topK: 0, topP: 0, minP: 0, temperature: 1 },
      }],
    },
    options: {
      ...{ size: undefined, dtypes: ["f32"], places: ["native", "webgpu"], batch: 2, rounds: 3, threads: 1 },
      ...{ scaling: false, pytorch: "python3" },
    },
    ...{ reference: "PyTorch", deviation: 1 },
    peer: { ...way, place: "PyTorch", rounds: [turn(4000), turn(8000), turn(6000)] },
    rows: [
      {
        ...{ ...way, place: "native", peak: 3.25e9 },
        rounds: [turn(2000), turn(2000), turn(9000)],
        peer: [turn(4000), turn(8000), turn(6000)],
      },
      { ...way, place: "webgpu", problem: "No adapter" },
    ],
  };
}

Deno.test("machineRecord: seconds for each image, and ratios turn by turn", () => {
  assertEquals(machineRecord(record()), {
    ...{ date: "2026-11-29", commit: "abc", machine: MACHINE, deno: "2.9.6" },
    ...{ model: "VAR-d16 at 256×256", batch: 2, rounds: 3, threads: 1 },
    peer: { name: "PyTorch 2.13.0", seconds: 3 },
    // 0.5, 0.25 and 1.5 of PyTorch's.
    rows: [{ way: "f32 on native", seconds: 1, ratio: 0.5, peak: 3.25e9 }],
  });
  assertEquals(machineRecord({ ...record(), model: undefined }), undefined);
  assertEquals(machineRecord({ ...record(), rows: [] }), undefined);
});

Deno.test("addMachine: a line more, and the page made of all of them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const places = { file: `${folder}/machines.jsonl`, page: `${folder}/machines.md` };
    const line = machineRecord(record())!;
    await addMachine(line, places);
    await addMachine({ ...line, machine: { ...MACHINE, cpu: "another" }, batch: 1 }, places);
    assertEquals((await readMachines(places.file)).length, 2);
    const page = await Deno.readTextFile(places.page);
    assertStringIncludes(page, "## some CPU; AVX2; 2 cores; linux 6\n");
    assertStringIncludes(page, "## another; AVX2; 2 cores; linux 6\n");
    assertStringIncludes(
      page,
      "| VAR-d16 at 256×256, 2 at a time | f32 on native | 1 | 0.50× | 3.25 | 2026-11-29, abc, 1 thread, 3 turns |",
    );
    assertStringIncludes(page, "| VAR-d16 at 256×256, 2 at a time | PyTorch 2.13.0 | 3 |  |  |");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("machinesPage: the page in docs/ is made of the lines", async () => {
  assertEquals(await Deno.readTextFile(MACHINES_PAGE), machinesPage(await readMachines()));
});
