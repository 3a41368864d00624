/**
 * Processes that make pictures do not grow: watched from outside of all counters, each in a process of its
 * own, by its memory as Linux tells it.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  anonymousBytes,
  type MemoryTrace,
  parseWatchOptions,
  slopeOf,
  steadySlopeOf,
  type WatchOptions,
  WORKS,
} from "../../bench/process_memory.ts";
import { deno } from "../deno_process.ts";
import { requireGpu } from "../required.ts";
import { PROJECT } from "../shaders.ts";

const MEBIBYTE = 2 ** 20;
// Not from devices.ts: without one permission, which goes there, the system tells nothing of other processes.
const hasGpu = await navigator.gpu.requestAdapter() !== null;
const onLinux = Deno.build.os === "linux";
// Without the compilers that work beside the program: what they keep comes in steps of up to 10 MiB, at
// times that the load of the machine decides, and made one run in four look like growth where none was. With
// them, 80 rounds of lanes are as flat as 20 are without, between such steps.
const V8_FLAGS = "--v8-flags=--expose-gc,--no-opt,--no-maglev";
const elsewhere = onLinux ? "" : " (only Linux tells a process's memory)";

/** What a process of its own sees at work. */
async function watched({ work, place, model, rounds, warm }: WatchOptions): Promise<MemoryTrace> {
  const { success, out, err } = await deno([
    ...["run", "-A", "--quiet", "--no-lock", "--no-check", V8_FLAGS],
    "bench/process_memory.ts",
    ...[`--work=${work}`, `--place=${place}`, `--model=${model}`],
    ...[`--rounds=${rounds}`, `--warm=${warm}`, "--json"],
  ]);
  assert(success, err);
  return JSON.parse(out);
}

/** Registers a test that watches processes; what it lacks, if anything, comes last. */
function testProcess(name: string, test: () => Promise<void>, lacking: string = ""): void {
  Deno.test({ name: name + elsewhere + lacking, ignore: !onLinux || lacking !== "", fn: test });
}

/**
 * Fails if a process grew by more mebibytes a round. On a machine that does much else, 12 rounds have seen
 * steps of garbage in two of three stretches; what is left behind grows as fast in four times as many.
 */
async function assertFlat(limit: number, options: Partial<WatchOptions>): Promise<void> {
  const all = { work: "images", place: "wasm", model: "demo", rounds: 12, warm: 8, ...options } as const;
  let told = "";
  for (const rounds of [all.rounds, 4 * all.rounds]) {
    const { anonymous } = await watched({ ...all, rounds });
    const slope = steadySlopeOf(anonymous);
    if (slope < limit * MEBIBYTE) return;
    const seen = anonymous.map((bytes) => (bytes / MEBIBYTE).toFixed(1)).join(" ");
    told += `${all.work} on ${all.place}: ${slope / MEBIBYTE} MiB a round of ${seen}\n`;
  }
  throw new Error(told);
}

Deno.test("slopeOf: the median of all slopes, which a step does not change", () => {
  assertEquals(slopeOf([3, 5, 7, 9]), 2);
  assertEquals(slopeOf([4, 4]), 0);
  assertEquals(slopeOf([1, 2, 3, 4, 105, 106, 107, 8, 9, 10]), 1);
  assertEquals(slopeOf([0, 1, 0]), 0);
});

Deno.test("steadySlopeOf: a step in the middle is none, and what goes on is all of it", () => {
  // Mebibytes of rounds of editing, as the compiler of JavaScript made them once.
  const step = [127.9, 128, 128, 128, 128, 128, 128, 128.1, 129.9, 129.9, 130, 130, 130.1, 130.1, 130.1];
  assert(slopeOf(step) > 0.1);
  assert(steadySlopeOf(step) < 0.05, `${steadySlopeOf(step)}`);
  assertEquals(steadySlopeOf(step.map((_, i) => 3 * i)), 3);
  // Pages that come two at a time.
  assertEquals(steadySlopeOf(step.map((_, i) => 2 * Math.floor(i / 2))), 1);
});

Deno.test("parseWatchOptions: names and numbers are checked, and what is not said is usual", () => {
  const usual = { work: "images", place: "webgpu", model: "demo", rounds: 100, warm: 20, json: false };
  assertEquals(parseWatchOptions([]), usual as ReturnType<typeof parseWatchOptions>);
  assertEquals(parseWatchOptions(["--work=lanes", "--rounds=7", "--json"]), {
    ...usual as ReturnType<typeof parseWatchOptions>,
    ...{ work: "lanes", rounds: 7, json: true },
  });
  assertThrows(() => parseWatchOptions(["--work=nothing"]), TypeError, '"images", "candidates", "lanes"');
  assertThrows(() => parseWatchOptions(["--place=cpu"]), TypeError, 'current value is "cpu"');
  assertThrows(() => parseWatchOptions(["--rounds=1"]), RangeError, "--rounds");
});

// Convolutions that llvmpipe compiles again and again left 19 MiB an image, and a single one would leave 0.3
// to 1 in each round; what else the process does, such as compiling JavaScript, moves by 0.1 in so few.
const withoutGpu = hasGpu || requireGpu ? "" : " (needs an adapter)";
testProcess("varscale: images in a row on a GPU leave nothing in the process", async () => {
  await assertFlat(0.25, { place: "webgpu" });
}, withoutGpu);

for (const work of WORKS) {
  testProcess(`varscale: rounds of ${work} in WebAssembly leave nothing in the process`, async () => {
    await assertFlat(0.1, { work });
  });
}

// Fetches 113 MB the first time, or never where there is no network.
const { success: hasNative } = await deno([
  ...["eval", "--no-lock", "--no-check"],
  'await (await import("./models/graphs/native_runtime.ts")).startNativeRuntime(); Deno.exit()',
]);
const withoutNative = hasNative ? "" : " (needs the native runtime, which cannot be loaded)";
for (const work of ["images", "lanes"] as const) {
  testProcess(`native: rounds of ${work} leave nothing in the process`, async () => {
    await assertFlat(0.1, { work, place: "native" });
  }, withoutNative);
}

testProcess("varscale run: many images in one go leave nothing in the process", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-memory-" });
  try {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        // As people run it: when garbage is collected is left to the engine, which needs its compilers for
        // that to be soon (1.3 MiB an image come and go more slowly without).
        ...["run", "-A", "--quiet", "--no-check", "cli/main.ts"],
        ...["run", "--model=demo", "--device=cpu", "--cpu-provider=wasm", "--quiet"],
        ...["--num-images-per-class=8", "--classes=0-9", "--batch=1", `--output=${folder}`],
      ],
      cwd: PROJECT,
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const ended = process.output();
    let running = true;
    ended.finally(() => running = false);
    // Its memory at the moment at which there were so many pictures.
    const seen = new Map<number, number>();
    while (running) {
      const pictures = picturesIn(folder);
      try {
        if (!seen.has(pictures)) seen.set(pictures, anonymousBytes(process.pid));
      } catch {
        // It has just ended.
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { success, stderr } = await ended;
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(picturesIn(folder), 80);
    const late = [...seen].filter(([pictures]) => pictures >= 25 && pictures < 80);
    assert(late.length > 20, `seen ${late.length} times`);
    const perReading = steadySlopeOf(late.map(([, bytes]) => bytes));
    const perImage = perReading * (late.length - 1) / (late.at(-1)![0] - late[0]![0]);
    assert(perImage < 0.1 * MEBIBYTE, `${perImage / MEBIBYTE} MiB an image of ${JSON.stringify(late)}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

function picturesIn(folder: string): number {
  let count = 0;
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) count += picturesIn(`${folder}/${name}`);
    else if (name.endsWith(".png")) count++;
  }
  return count;
}
