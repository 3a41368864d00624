/**
 * One case measured: the kernel, its naive version, its twin and what others have written, all checked
 * against the twin first, then timed taking turns.
 *
 * @module
 */

import {
  type Profile,
  type ProfileSubject,
  profileTurns,
  type TurnOptions,
} from "../kernels/profile/profile.ts";
import { CpuDevice } from "../kernels/mod.ts";
import { Workbench } from "../kernels/check/workbench.ts";
import { type BenchCase, deviation, Subject, verify } from "./case.ts";
import type { Devices } from "./devices.ts";
import { type Peer, PEER_TOLERANCE, type PeerRun, type PeerTask } from "./peer.ts";

/** What somebody else's implementation did on a case. */
export interface PeerRow {
  /** The peer's name. */
  readonly name: string;
  /** What it cost, if it could do it. */
  readonly profile?: Profile;
  /**
   * How far its output is from the twin's; see {@linkcode deviation}. Missing for outputs that cannot be
   * compared.
   */
  readonly off?: number;
  /** Why it was not timed. */
  readonly problem?: string;
}

/** One case. */
export interface KernelRow {
  /** Name of the kernel. */
  readonly kernel: string;
  /** The size, as tables show it. */
  readonly size: string;
  /** The size in numbers. */
  readonly shape?: Readonly<Record<string, number>>;
  /** The kernel on WebGPU, if there is an adapter. */
  readonly webgpu?: Profile;
  /** The naive version there. */
  readonly naive?: Profile;
  /** The twin on the CPU. */
  readonly twin: Profile;
  /** The others, in their order. */
  readonly peers: readonly PeerRow[];
}

/** Checks and times a case. */
export async function measureCase(
  item: BenchCase,
  devices: Devices,
  options: TurnOptions & { readonly peers: readonly Peer[] },
): Promise<KernelRow> {
  const { peers: offered, ...turns } = options;
  const { cpu, gpu } = devices;
  await using owned = new AsyncDisposableStack();
  const subjects: ProfileSubject[] = [];
  const add = (subject: Subject) => {
    const { device, call } = owned.use(subject);
    subjects.push({ ...item.cost, device, call });
  };
  add(new Subject(item, "twin", cpu));
  if (gpu !== undefined) {
    for (const variant of ["webgpu", "naive"] as const) {
      await verify(item, variant, gpu);
      add(new Subject(item, variant, gpu));
    }
  }
  const ours = subjects.length;
  const rows: PeerRow[] = [];
  const failures = new Map<string, string>();
  const fitting = offered.filter(({ kernels }) => kernels.includes(item.kernel));
  const task = fitting.length === 0 ? undefined : await taskOf(item);
  for (const peer of fitting) {
    if (task === undefined) break;
    try {
      const { run, off } = await openPeer(peer, task);
      owned.use(run);
      rows.push({ name: peer.name, ...(off === undefined ? {} : { off }) });
      const guarded = guard((error) => failures.set(peer.name, messageOf(error)));
      subjects.push({
        call: () => guarded(() => run.call()),
        finish: async () => await guarded(() => run.finish()),
      });
    } catch (error) {
      rows.push({ name: peer.name, problem: messageOf(error) });
    }
  }
  const profiles = await profileTurns(subjects, turns);
  const [twin, webgpu, naive] = profiles.slice(0, ours);
  const timed = profiles.slice(ours).values();
  return {
    kernel: item.kernel,
    size: item.size,
    ...(item.shape === undefined ? {} : { shape: item.shape }),
    ...(webgpu === undefined ? {} : { webgpu }),
    ...(naive === undefined ? {} : { naive }),
    twin: twin!,
    peers: rows.map((row) => {
      if (row.problem !== undefined) return row;
      const profile = timed.next().value!;
      const problem = failures.get(row.name);
      return problem === undefined ? { ...row, profile } : { name: row.name, problem };
    }),
  };
}

/**
 * Runs steps until one fails and none from then on, so that a peer that breaks down does not take the others
 * with it.
 */
function guard(report: (error: unknown) => void): (step: () => void | Promise<void>) => void | Promise<void> {
  let failed = false;
  const fail = (error: unknown) => {
    failed = true;
    report(error);
  };
  return (step) => {
    if (failed) return;
    try {
      const pending = step();
      return pending instanceof Promise ? pending.catch(fail) : pending;
    } catch (error) {
      fail(error);
    }
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What peers get, and what the twin makes of it. */
interface CheckedTask extends PeerTask {
  readonly wanted: Uint32Array;
  readonly type: "f32" | "u32";
}

/** A case for others, or `undefined` if it is not meant for them. */
async function taskOf(item: BenchCase): Promise<CheckedTask | undefined> {
  using cpu = new CpuDevice();
  using bench = new Workbench(cpu);
  const { inputs, outputs, kernel } = item.setUp(bench);
  const [output] = outputs;
  if (inputs === undefined || item.shape === undefined || output === undefined) return undefined;
  const names = Object.keys(inputs);
  const words = await cpu.read(Object.values(inputs));
  const typed = names.map((name, i) => {
    const data = words[i]!;
    return [name, bench.typeOf(inputs[name]!) === "u32" ? data : new Float32Array(data.buffer)] as const;
  });
  kernel();
  const [wanted] = await cpu.read([output.array]);
  return {
    kernel: item.kernel,
    shape: item.shape,
    inputs: Object.fromEntries(typed),
    wanted: wanted!,
    type: output.type,
  };
}

/** Opens a peer and makes sure that it computes the right thing. */
async function openPeer(peer: Peer, task: CheckedTask): Promise<{ run: PeerRun; off?: number }> {
  const { wanted, type, kernel, shape, inputs } = task;
  const run = await peer.open({ kernel, shape, inputs });
  try {
    await run.call();
    await run.finish();
    const output = await run.output();
    if (run.check !== undefined) {
      await run.check(output);
      return { run };
    }
    if (output.length !== wanted.length) {
      throw new Error(`Its output has ${output.length} values where the twin's has ${wanted.length}`);
    }
    // Some have integers as floats only.
    const values = type === "u32" ? Uint32Array.from(output) : Float32Array.from(output);
    const off = deviation(wanted, new Uint32Array(values.buffer), type);
    const allowed = run.allowed ?? PEER_TOLERANCE;
    if (!(off <= allowed)) {
      throw new Error(`Its output is off by ${off.toPrecision(2)}, allowed are ${allowed}`);
    }
    return { run, off };
  } catch (error) {
    await run[Symbol.asyncDispose]();
    throw error;
  }
}
