/**
 * The history of reports: one line of JSON per run, so that a run can be compared with the last one on the
 * same hardware.
 *
 * @module
 */

import type { Profile, Roof } from "../kernels/profile/profile.ts";
import type { KernelRow } from "./measure.ts";
import type { PipelineRow } from "./pipeline.ts";

/** A run of the report. */
export interface BenchRecord {
  /** When it began, ISO 8601. */
  readonly date: string;
  /** The commit, followed by `+` if files had been changed since, or `null` without git. */
  readonly commit: string | null;
  /** The adapter, or `null` without one. */
  readonly adapter: string | null;
  /** The CPU device. */
  readonly cpu: string;
  /** Version of Deno. */
  readonly deno: string;
  /** The operating system and its release. */
  readonly os: string;
  /** How long was measured. */
  readonly settings: { readonly rounds: number; readonly span: number };
  /** What the devices can do at most. */
  readonly roof: { readonly cpu?: Roof; readonly webgpu?: Roof };
  /** The kernels. */
  readonly kernels: readonly KernelRow[];
  /** The whole pipeline. */
  readonly pipeline: readonly PipelineRow[];
}

/** What of a case is compared with earlier runs. */
export type ComparedVariant = "webgpu" | "twin";

/** A median and the one before it. */
export interface Change {
  /** Name of the kernel. */
  readonly kernel: string;
  /** The size. */
  readonly size: string;
  /** What was timed. */
  readonly variant: ComparedVariant;
  /** Milliseconds in the last record that has this case on this hardware. */
  readonly before: number;
  /** Milliseconds now. */
  readonly now: number;
  /** Now by before: above 1 is slower. */
  readonly ratio: number;
}

/** Reads a history; a file that does not exist is an empty one. */
export async function readHistory(path: string | URL): Promise<BenchRecord[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as BenchRecord];
    } catch (cause) {
      throw new SyntaxError(`Cannot read line ${i + 1} of the history ${path} as it is not JSON`, { cause });
    }
  });
}

/** Adds a record at the end of a history. */
export async function appendHistory(path: string | URL, record: BenchRecord): Promise<void> {
  await Deno.writeTextFile(path, JSON.stringify(record) + "\n", { append: true });
}

/**
 * A run beside the last records of the same cases, on the same adapter for WebGPU, on the same CPU for twins,
 * and by the same clock. Cases that were never recorded are left out.
 */
export function compare(history: readonly BenchRecord[], current: BenchRecord): Change[] {
  const changes: Change[] = [];
  for (const row of current.kernels) {
    for (const variant of ["webgpu", "twin"] as const) {
      const profile = row[variant];
      const before = profile && lastProfile(history, current, row, variant, profile.clock);
      if (profile === undefined || before === undefined) continue;
      const now = profile.milliseconds;
      const ratio = now / before.milliseconds;
      changes.push({ kernel: row.kernel, size: row.size, variant, before: before.milliseconds, now, ratio });
    }
  }
  return changes;
}

/** The changes that are for the worse by more than some percent. */
export function regressions(changes: readonly Change[], percent: number): Change[] {
  return changes.filter(({ ratio }) => ratio > 1 + percent / 100);
}

function lastProfile(
  history: readonly BenchRecord[],
  current: BenchRecord,
  { kernel, size }: KernelRow,
  variant: ComparedVariant,
  clock: Profile["clock"],
): Profile | undefined {
  const hardware = variant === "webgpu" ? "adapter" : "cpu";
  for (const record of history.toReversed()) {
    if (record[hardware] !== current[hardware]) continue;
    const profile = record.kernels.find((row) => row.kernel === kernel && row.size === size)?.[variant];
    if (profile?.clock === clock) return profile;
  }
  return undefined;
}

/** The commit that a folder's files are at, or `null` if git is not there to ask. */
export async function commitOf(folder: URL): Promise<string | null> {
  const git = async (...args: string[]): Promise<string> => {
    const { success, stdout } = await new Deno.Command("git", { args, cwd: folder, stderr: "null" }).output();
    if (!success) throw new Error("No repository");
    return new TextDecoder().decode(stdout).trim();
  };
  try {
    const commit = await git("rev-parse", "--short=12", "HEAD");
    return await git("status", "--porcelain") === "" ? commit : `${commit}+`;
  } catch {
    return null;
  }
}
