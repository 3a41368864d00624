/**
 * What benches compare with: the slow reference, the checks of a peer's output, and the choice among a
 * library's formulations.
 *
 * @module
 */

import { assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { PeerRun, PeerTask } from "../../bench/peer.ts";
import { type Formulation, libraryPeer } from "../../bench/peers/library.ts";
import { checkOutput, checkSupport, checkTask, referenceValues } from "../../bench/peers/reference.ts";

const WRONG = "Computes something else";

Deno.test("referenceValues: by hand", () => {
  const values = (kernel: string, shape: PeerTask["shape"], inputs: PeerTask["inputs"]): number[] => {
    return [...referenceValues({ kernel, shape, inputs })];
  };
  const a = new Float32Array([0, 0, 1, 1]);
  const b = new Float32Array([3, 4]);
  assertEquals(values("distance", { rows: 2, columns: 1, dimensions: 2 }, { a, b }), [25, 13]);
  const points = new Float32Array([0, 2]);
  const kde = { points: 2, queries: 1, dimensions: 1, bandwidth: 2 };
  assertEquals(values("kde", kde, { points, queries: new Float32Array([0]) }), [1 + Math.exp(-1 / 2)]);
  const codebook = new Float32Array([1, 2, 3, 4]);
  const lookup = { positions: 1, vocabulary: 2, channels: 2 };
  assertEquals(values("lookup", lookup, { codebook, tokens: new Uint32Array([1]) }), [3, 4]);
  // Two candidates that differ in one bit of two: deviations 1/2 and 0, Silverman's factor (2 * 4 /
  // 4)^(-1/6).
  const bandwidth = 0.25 * 2 ** (-1 / 6) + 1e-6;
  const [density] = values("hamming density", { draws: 2, positions: 1, bits: 2 }, {
    tokens: new Uint32Array([0b01, 0b11]),
  });
  assertAlmostEquals(density!, 1 + Math.exp(-1 / (2 * bandwidth ** 2)), 1e-12);
});

for (const kernel of ["distance", "kde", "lookup", "hamming density"]) {
  Deno.test(`checkOutput: ${kernel} within 1e-5 of the largest value`, () => {
    const task = checkTask(kernel);
    const right = Float32Array.from(referenceValues(task));
    checkOutput(task, right);
    const largest = Math.max(...right.map(Math.abs));
    assertThrows(() => checkOutput(task, right.with(7, right[7]! + 3e-5 * largest)), Error, WRONG);
    assertThrows(() => checkOutput(task, right.with(7, NaN)), Error, WRONG);
    assertThrows(() => checkOutput(task, right.subarray(1)), Error, WRONG);
  });
}

Deno.test("checkOutput: nearest is the nearest", () => {
  const task: PeerTask = {
    kernel: "nearest",
    shape: { count: 1, vocabulary: 3, channels: 1 },
    inputs: { features: new Float32Array([0]), codebook: new Float32Array([2, -1, 1]) },
  };
  checkOutput(task, new Uint32Array([1]));
  checkOutput(task, new Uint32Array([2]));
  assertThrows(() => checkOutput(task, new Uint32Array([0])), Error, WRONG);
  assertThrows(() => checkOutput(task, new Uint32Array([3])), Error, WRONG);
});

Deno.test("checkOutput: draws have the distribution of what truncation leaves", () => {
  // Probabilities 1/2, 1/4, 1/8 and so on: top-k 3 and top-p 0.8 leave the first two, 2/3 and 1/3.
  const rows = 3000;
  const logits = Float32Array.from({ length: rows * 8 }, (_, i) => -Math.LN2 * (i % 8));
  const task: PeerTask = {
    kernel: "sample",
    shape: { rows, vocabulary: 8, topK: 3, topP: 0.8 },
    inputs: { logits },
  };
  checkOutput(task, Uint32Array.from({ length: rows }, (_, i) => Number(i % 3 === 2)));
  assertThrows(() => checkOutput(task, Uint32Array.from({ length: rows }, (_, i) => i % 2)), Error, WRONG);
  const outside = Uint32Array.from({ length: rows }, (_, i) => i === 5 ? 2 : Number(i % 3 === 2));
  assertThrows(() => checkSupport(task, outside), Error, "row 5 gets token 2");
  checkSupport({ ...task, shape: { ...task.shape, topP: 0 } }, outside);
  checkSupport({ ...task, shape: { ...task.shape, topK: 0, topP: 0 } }, outside.with(5, 7));
  assertThrows(() => checkSupport(task, outside.with(5, 8)), Error, WRONG);
});

/** A formulation that computes `output`, slowly if need be, and counts its runs that are open. */
function fake(
  output: (task: PeerTask) => Float32Array,
  options: { milliseconds?: number; open?: Set<PeerRun> } = {},
): Formulation {
  const { milliseconds = 0, open = new Set() } = options;
  return (task) => {
    const run: PeerRun = {
      call: () => new Promise((resolve) => setTimeout(resolve, milliseconds)),
      finish: () => Promise.resolve(),
      output: () => Promise.resolve(output(task)),
      [Symbol.asyncDispose]: () => {
        open.delete(run);
        return Promise.resolve();
      },
    };
    open.add(run);
    return Promise.resolve(run);
  };
}

const right = (task: PeerTask): Float32Array => Float32Array.from(referenceValues(task));
const wrong = (task: PeerTask): Float32Array => right(task).map((value) => value + 1);
const failing: Formulation = () => Promise.reject(new Error("No memory"));

Deno.test("libraryPeer takes the fastest formulation that is right", async () => {
  const slow = new Set<PeerRun>();
  const fast = new Set<PeerRun>();
  const quick = new Set<PeerRun>();
  const peer = libraryPeer({
    name: "fake",
    kernels: {
      lookup: {
        slow: fake(right, { milliseconds: 30, open: slow }),
        failing,
        fast: fake(right, { milliseconds: 5, open: fast }),
        wrong: fake(wrong, { open: quick }),
      },
    },
  });
  assertEquals(peer.kernels, ["lookup"]);
  const task = checkTask("lookup");
  const run = await peer.open(task);
  assertEquals([slow.size, fast.has(run), fast.size, quick.size], [0, true, 1, 0]);
  assertEquals(run.check, undefined);
  await run[Symbol.asyncDispose]();
  assertEquals(fast.size, 0);
});

Deno.test("libraryPeer says why it cannot", async () => {
  const peer = libraryPeer({ name: "fake", kernels: { lookup: { wrong: fake(wrong), failing } } });
  const error = await assertRejects(() => peer.open(checkTask("lookup")), Error, `wrong: ${WRONG}`);
  assertEquals(error.message.endsWith("; failing: No memory"), true);
  await assertRejects(() => peer.open(checkTask("kde")), Error, 'fake has no formulation of "kde"');
});

Deno.test("referenceValues: recorded figures are complete", async () => {
  const file = new URL("../../bench/peers/recorded.json", import.meta.url);
  const entries: Record<string, unknown>[] = JSON.parse(await Deno.readTextFile(file));
  assertEquals(entries.length > 0, true);
  for (const { kernel, shape, library, version, machine, milliseconds, date, ...rest } of entries) {
    for (const text of [kernel, library, version, machine]) {
      assertEquals(typeof text === "string" && text !== "", true);
    }
    assertEquals(Object.values(shape as object).every(Number.isFinite), true);
    assertEquals((milliseconds as number) > 0, true);
    assertEquals(/^\d{4}-\d\d-\d\d$/.test(date as string), true);
    assertEquals(rest, {});
  }
});
