/**
 * How a library becomes a peer: it may offer several formulations of a kernel, each is first checked on a
 * small task, and the one that is fastest on the task at hand counts. So a peer is never compared on other
 * numbers than ours, nor on a formulation that does not suit it.
 *
 * @module
 */

import { openDevices } from "../devices.ts";
import type { Peer, PeerRun, PeerTask } from "../peer.ts";
import { checkOutput, checkSupport, checkTask } from "./reference.ts";

/** Sets up one way of computing a kernel. */
export type Formulation = (task: PeerTask) => Promise<PeerRun>;

/** A library on one of its backends. */
export interface Library {
  /** Name, version and where it runs. */
  readonly name: string;
  /** What it can compute, by kernel: formulations by name. */
  readonly kernels: Readonly<Record<string, Readonly<Record<string, Formulation>>>>;
}

/** Turns a table of set-ups into a table of formulations. */
export function mapFormulations<SetUp>(
  kernels: Readonly<Record<string, Readonly<Record<string, SetUp>>>>,
  formulate: (setUp: SetUp) => Formulation,
): Record<string, Record<string, Formulation>> {
  return mapValues(kernels, (formulations) => mapValues(formulations, formulate));
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** Calls by which a formulation is judged, after one that compiles. */
const TRIALS = 3;
/** Milliseconds of a call above which a formulation is left out, so that a report takes minutes. */
const LIMIT = 5000;

/** Makes a peer of a library. */
export function libraryPeer(library: Library): Peer {
  const checks = new Map<Formulation, Promise<void>>();
  const open = async (task: PeerTask): Promise<PeerRun> => {
    const formulations = library.kernels[task.kernel];
    if (formulations === undefined) throw new Error(`${library.name} has no formulation of "${task.kernel}"`);
    let fastest: { formulation: Formulation; time: number } | undefined;
    const failures: string[] = [];
    for (const [name, formulation] of Object.entries(formulations)) {
      try {
        let check = checks.get(formulation);
        if (check === undefined) checks.set(formulation, check = checkFormulation(formulation, task.kernel));
        await check;
        // One at a time, as two may not fit into memory.
        const time = await tryOut(formulation, task);
        if (fastest === undefined || time < fastest.time) fastest = { formulation, time };
      } catch (error) {
        failures.push(`${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    if (fastest === undefined) throw new Error(failures.join("; "));
    return Object.assign(await fastest.formulation(task), comparison(task));
  };
  return { name: library.name, kernels: Object.keys(library.kernels), open };
}

/**
 * Milliseconds of a call.
 *
 * @throws {Error} If it takes too long.
 */
async function tryOut(formulation: Formulation, task: PeerTask): Promise<number> {
  await using run = await formulation(task);
  await timeCall(run);
  let best = Infinity;
  for (let i = 0; i < TRIALS; i++) {
    best = Math.min(best, await timeCall(run));
    if (best > LIMIT) throw new Error(`Takes ${(best / 1000).toFixed(0)} s a call`);
  }
  return best;
}

/** How outputs are compared that need not be equal to the last of them. */
function comparison(task: PeerTask): Pick<PeerRun, "allowed" | "check"> {
  // Where two codes are equally near but for rounding, either is right.
  if (task.kernel === "nearest") return { allowed: 0.002 };
  if (task.kernel === "sample") return { check: (output) => checkSupport(task, output) };
  return {};
}

/**
 * Runs a formulation on a small task.
 *
 * @throws {Error} If it computes something else than the kernel.
 */
export async function checkFormulation(formulation: Formulation, kernel: string): Promise<void> {
  const task = checkTask(kernel);
  await using run = await formulation(task);
  // Twice, as later calls may go other ways than the first.
  for (let i = 0; i < 2; i++) {
    await timeCall(run);
    checkOutput(task, await run.output());
  }
}

async function timeCall(run: PeerRun): Promise<number> {
  const start = performance.now();
  await run.call();
  await run.finish();
  return performance.now() - start;
}

/**
 * Sets a run up on a library's GPU device, with the errors caught that libraries leave to the console.
 *
 * @throws {Error} With the GPU's message, or if the library chose another adapter than the kernels.
 */
export async function onGpu<Run extends PeerRun>(gpu: GPUDevice, setUp: () => Promise<Run>): Promise<Run> {
  const ours = (await openDevices()).gpu?.info;
  const theirs = gpu.adapterInfo;
  if (theirs.device !== ours?.device || theirs.description !== ours.description) {
    throw new Error(`Runs on another adapter: ${theirs.description}, wanted is ${ours?.description}`);
  }
  gpu.pushErrorScope("out-of-memory");
  gpu.pushErrorScope("validation");
  let run: Run | undefined;
  let failure: unknown;
  try {
    run = await setUp();
    // Not before the first call is anything allocated and compiled.
    await timeCall(run);
  } catch (error) {
    failure = error;
  }
  const errors = [await gpu.popErrorScope(), await gpu.popErrorScope()];
  const message = errors.find((error) => error !== null)?.message;
  if (message === undefined && failure === undefined) return run!;
  await run?.[Symbol.asyncDispose]();
  if (message === undefined) throw failure;
  throw new Error(message.split("\n", 1)[0], { cause: failure });
}
