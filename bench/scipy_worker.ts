/**
 * Distances and densities on the CPU, for `scipy_report.ts`: a process that answers each line of JSON with
 * another one. `scipy_worker.py` answers the same requests.
 *
 * @module
 */

import { stdin } from "node:process";
import { createInterface } from "node:readline";
import type { CpuDevice } from "../kernels/mod.ts";
import { processorTime } from "./process_costs.ts";

/** What is measured. */
export interface TwinRequest {
  /** Which function. */
  readonly task: "distances" | "kde";
  /** One call on typed arrays, or a call of what was prepared before. */
  readonly form: "one call" | "run";
  /** Rows of both sets. */
  readonly count: number;
  /** Values of a row. */
  readonly dimensions: number;
  /** Calls in a row. */
  readonly calls: number;
}

/** What it took, in milliseconds for each call. */
export interface TwinAnswer {
  /** By the clock. */
  readonly wall: number;
  /** Of the process, in all its threads. */
  readonly cpu: number;
  /** The first results, to be compared. */
  readonly results: readonly number[];
}

const RESULTS = 4;

if (import.meta.main) {
  // Another build may be measured beside this one.
  const kernels: Kernels = await import(
    Deno.args[0] ?? new URL("../kernels/mod.ts", import.meta.url).href
  );
  using device = new kernels.CpuDevice();
  const calls = new Map<string, Call>();
  for await (const line of createInterface({ input: stdin })) {
    const request: TwinRequest = JSON.parse(line);
    const { task, form, count, dimensions } = request;
    const key = `${task}, ${form}, ${count}, ${dimensions}`;
    const call = calls.get(key) ?? await prepare(kernels, device, request);
    calls.set(key, call);
    const [begin, used] = [performance.now(), processorTime()];
    let found: Float32Array = new Float32Array();
    for (let i = 0; i < request.calls; i++) found = await call();
    const [end, usedThen] = [performance.now(), processorTime()];
    const answer: TwinAnswer = {
      wall: (end - begin) / request.calls,
      cpu: (usedThen - used) / request.calls,
      results: [...found.subarray(0, RESULTS)],
    };
    console.log(JSON.stringify(answer));
  }
}

/** Uniform on [-1, 1), the same in Python. */
function values(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 23 - 1;
  });
}

type Kernels = typeof import("../kernels/mod.ts");
type Call = () => Promise<Float32Array> | Float32Array;

/** A call, and on the device what it needs. */
async function prepare(kernels: Kernels, device: CpuDevice, request: TwinRequest): Promise<Call> {
  const { task, form, count, dimensions } = request;
  const [a, b] = [values(count * dimensions, 1), values(count * dimensions, 2)];
  if (task === "distances") {
    const options = { dimensions, metric: "squared-euclidean" } as const;
    if (form === "one call") return () => kernels.distances(a, b, { ...options, device: "cpu" });
    const measure = kernels.createDistances(device, options);
    const output = device.allocate(count * count);
    return () => {
      measure.between(a, b, { output })[Symbol.dispose]();
      return output.f32;
    };
  }
  if (form === "one call") return () => kernels.kde(a, { dimensions, at: b, device: "cpu" });
  const density = await kernels.createKde(device, a, { dimensions });
  const output = device.allocate(count);
  return () => {
    density.run(b, { output })[Symbol.dispose]();
    return output.f32;
  };
}
