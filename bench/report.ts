/**
 * All kernel benchmarks in one run: times on the GPU's clock and on the host's, GB/s and Gop/s and how close
 * that is to what the device can do at all, beside naive WGSL, the CPU twin, other libraries and the last run
 * on the same hardware. Then the whole pipeline, plain and with VAR-Scaling.
 *
 *     deno run -A bench/report.ts [kernel …] [--rounds=5] [--span=150] [--quick] [--no-peers]
 *                                 [--json] [--history=bench/history.jsonl] [--fail-on-regression=10]
 *
 * Parts of names choose kernels, and parts of `name, size` some of their sizes: `kde`, or `"kde, N=4096"`.
 * `pipeline`, `pipeline-cpu` and `pipeline-webgpu` are names, too. Without any, everything runs.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { requireInteger, requireNumber } from "../kernels/arguments.ts";
import { measureRoof } from "../kernels/profile/profile.ts";
import type { BenchCase } from "./case.ts";
import { openDevices } from "./devices.ts";
import { appendHistory, type BenchRecord, commitOf, compare, readHistory, regressions } from "./history.ts";
import { type KernelRow, measureCase } from "./measure.ts";
import type { Peer, RecordedPeer } from "./peer.ts";
import type { PipelineRow } from "./pipeline.ts";
import { formatReport } from "./tables.ts";

/** What the command line asks for. */
export interface ReportOptions {
  /** Parts of the names of what to measure; none is everything. */
  readonly names: readonly string[];
  /** Rounds in which candidates take turns. */
  readonly rounds: number;
  /** Milliseconds of a turn. */
  readonly span: number;
  /** Whether the pipeline is left out unless it is named. */
  readonly quick: boolean;
  /** Whether other libraries are timed. */
  readonly peers: boolean;
  /** Whether the run is added to the history. */
  readonly json: boolean;
  /** Path of the history. */
  readonly history: string | URL;
  /** Percent by which a median may be worse than the last one; `undefined` allows anything. */
  readonly failOnRegression: number | undefined;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseReportOptions(args: readonly string[]): ReportOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: "string" },
      span: { type: "string" },
      quick: { type: "boolean", default: false },
      "no-peers": { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      history: { type: "string" },
      "fail-on-regression": { type: "string" },
    },
  });
  const { quick, json } = values;
  const rounds = Number(values.rounds ?? (quick ? 3 : 5));
  const span = Number(values.span ?? (quick ? 20 : 150));
  const limit = values["fail-on-regression"];
  const failOnRegression = limit === undefined ? undefined : Number(limit);
  requireInteger(rounds, "--rounds", "report", { min: 1, max: 1000 });
  requireNumber(span, "--span", "report", { min: 0, max: 60000 });
  if (failOnRegression !== undefined) {
    requireNumber(failOnRegression, "--fail-on-regression", "report", { min: 0, max: 1e6 });
  }
  const history = values.history ?? new URL("./history.jsonl", import.meta.url);
  return {
    names: positionals,
    rounds,
    span,
    quick,
    peers: !values["no-peers"],
    json,
    history,
    failOnRegression,
  };
}

/** The cases of all `*_bench.ts` files of a folder that export some, in the order of the files' names. */
export async function findCases(folder: URL): Promise<BenchCase[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(folder)) if (name.endsWith("_bench.ts")) names.push(name);
  const cases: BenchCase[] = [];
  for (const name of names.sort()) {
    const module = await import(new URL(name, folder).href) as { cases?: readonly BenchCase[] };
    cases.push(...module.cases ?? []);
  }
  return cases;
}

/** What a case is called on the command line. */
function nameOf({ kernel, size }: BenchCase): string {
  return `${kernel}, ${size}`;
}

/** Runs what is asked for. Progress goes to the standard error stream. */
export async function measureAll(options: ReportOptions): Promise<BenchRecord> {
  const { names, rounds, span } = options;
  const date = new Date().toISOString();
  const folder = new URL("./", import.meta.url);
  const cases = await findCases(folder);
  const pipelines = ["pipeline-cpu", "pipeline-webgpu"] as const;
  const known = [...cases.map(nameOf), ...pipelines];
  for (const word of names) {
    if (known.some((name) => name.includes(word))) continue;
    throw new RangeError(
      `Cannot report "${word}" as no case is named so: names are ${
        known.map((name) => `"${name}"`).join(", ")
      }`,
    );
  }
  const isChosen = (name: string) => names.some((word) => name.includes(word));
  const chosen = cases.filter((item) => names.length === 0 || isChosen(nameOf(item)));
  const devices = await openDevices();
  const { cpu, gpu } = devices;
  const peers = options.peers && chosen.length > 0 ? await importPeers() : [];
  const roof = chosen.length === 0 ? {} : {
    cpu: await measureRoof(cpu),
    ...(gpu === undefined ? {} : { webgpu: await measureRoof(gpu) }),
  };
  const kernels: KernelRow[] = [];
  for (const item of chosen) {
    const row = await measureCase(item, devices, { rounds, span, peers });
    kernels.push(row);
    const { milliseconds } = row.webgpu ?? row.twin;
    console.error(
      `${nameOf(item)}: ${milliseconds.toPrecision(3)} ms on ${row.webgpu ? "WebGPU" : "the CPU"}`,
    );
  }
  const pipeline: PipelineRow[] = [];
  for (const device of gpu === undefined ? [cpu] : [cpu, gpu]) {
    const name = `pipeline-${device.kind}`;
    if (!(isChosen(name) || (names.length === 0 && !options.quick))) continue;
    console.error(name);
    const { measurePipeline } = await import("./pipeline.ts");
    pipeline.push(...await measurePipeline(device, rounds));
  }
  return {
    date,
    commit: await commitOf(folder),
    adapter: gpu?.name ?? null,
    cpu: cpu.name,
    deno: Deno.version.deno,
    os: `${Deno.build.os} ${Deno.osRelease()}`,
    settings: { rounds, span },
    ...{ roof, kernels, pipeline },
  };
}

/**
 * The other libraries. They are imported only when they are wanted, as they are large; a machine may not have
 * them all.
 */
async function importPeers(): Promise<readonly Peer[]> {
  try {
    const { PEERS } = await import("./peers/mod.ts") as { PEERS: readonly Peer[] };
    return PEERS;
  } catch (error) {
    console.error(`No other libraries: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

/** The figures of libraries that cannot be called from here. */
async function readRecorded(): Promise<readonly RecordedPeer[]> {
  try {
    return JSON.parse(await Deno.readTextFile(new URL("./peers/recorded.json", import.meta.url)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Measures, prints, records, and says how it went: 1 for a regression. */
async function main(args: readonly string[]): Promise<number> {
  const options = parseReportOptions(args);
  const history = await readHistory(options.history);
  const record = await measureAll(options);
  const changes = compare(history, record);
  console.log(formatReport(record, changes, options.peers ? await readRecorded() : []));
  const limit = options.failOnRegression;
  const worse = limit === undefined ? [] : regressions(changes, limit);
  for (const { kernel, size, variant, before, now } of worse) {
    const times = `${before.toPrecision(3)} ms before, ${now.toPrecision(3)} ms now`;
    console.error(`Slower by more than ${limit} %: ${kernel}, ${size}, ${variant}: ${times}`);
  }
  if (worse.length > 0) return 1;
  // A run that failed is not recorded, or the next one would be compared with it and pass.
  if (options.json) await appendHistory(options.history, record);
  return 0;
}

if (import.meta.main) {
  let code = 2;
  try {
    code = await main(Deno.args);
  } catch (error) {
    console.error(error instanceof TypeError || error instanceof RangeError ? error.message : error);
  }
  // The GPU device would keep the process alive, and so may other libraries.
  Deno.exit(code);
}
