/**
 * All kernel benchmarks as one table, with what `deno bench` cannot show: the wait taken out, GB/s and Gop/s, and how close that is to
 * what the adapter can do at all. Then the whole pipeline, plain and with VAR-Scaling.
 *
 *     deno run -A bench/report.ts [kernel …] [--rounds=5] [--span=150] [--json]
 *
 * Parts of names choose kernels; `pipeline`, `pipeline-cpu` and `pipeline-webgpu` are names, too. Without any, everything runs.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type BenchCase, type Variant, verify } from "./case.ts";
import { type Devices, openDevices, Subject, timeCalls } from "./clock.ts";
import { cases as density } from "./density_bench.ts";
import { cases as distance } from "./distance_bench.ts";
import { cases as gather } from "./gather_bench.ts";
import { cases as guidance } from "./guidance_bench.ts";
import { cases as lookup } from "./lookup_bench.ts";
import { cases as nearest } from "./nearest_bench.ts";
import { cases as pack } from "./pack_bench.ts";
import { measurePipeline, type PipelineRow } from "./pipeline.ts";
import { cases as resample } from "./resample_bench.ts";
import { cases as residual } from "./residual_bench.ts";
import { measureRoof, type Roof } from "./roof.ts";
import { cases as sample } from "./sample_bench.ts";
import { cases as select } from "./select_bench.ts";
import { cases as smooth } from "./smooth_bench.ts";
import { cases as randomWords } from "./threefry_bench.ts";
import { cases as unitRows } from "./unit_rows_bench.ts";

const CASES: readonly BenchCase[] = [
  ...[randomWords, guidance, sample, smooth, density, select],
  ...[lookup, resample, residual, nearest, distance, unitRows, gather, pack],
].flat();

/** One line of the table. Times are in milliseconds per call. */
interface KernelRow {
  readonly kernel: string;
  readonly size: string;
  readonly webgpu?: number;
  readonly naive?: number;
  readonly twin: number;
  /** 10^9 bytes per second on WebGPU. */
  readonly gigabytes?: number;
  /** 10^9 operations per second on WebGPU. */
  readonly gigaops?: number;
  /** Share of the nearer roof, from 0 to 1. */
  readonly share?: number;
}

interface Settings {
  readonly rounds: number;
  readonly span: number;
}

async function measure(
  item: BenchCase,
  devices: Devices,
  roof: Roof | undefined,
  settings: Settings,
): Promise<KernelRow> {
  const { cpu, gpu } = devices;
  using owned = new DisposableStack();
  const subjects = new Map<Variant, Subject>();
  if (gpu !== undefined) {
    for (const variant of ["webgpu", "naive"] as const) {
      await verify(item, variant, gpu);
      subjects.set(variant, owned.use(new Subject(item, variant, gpu)));
    }
  }
  subjects.set("twin", owned.use(new Subject(item, "twin", cpu)));
  const times = await timeCalls([...subjects.values()], settings);
  const timeOf = new Map([...subjects.keys()].map((variant, i) => [variant, times[i]!]));
  const { kernel, size, cost } = item;
  const twin = timeOf.get("twin")!;
  const webgpu = timeOf.get("webgpu");
  const naive = timeOf.get("naive");
  if (webgpu === undefined || naive === undefined || roof === undefined) return { kernel, size, twin };
  const gigabytes = (cost.bytes ?? 0) / webgpu / 1e6;
  const gigaops = (cost.operations ?? 0) / webgpu / 1e6;
  const share = Math.max(gigabytes / roof.gigabytes, gigaops / roof.gigaflops);
  return {
    ...{ kernel, size, webgpu, naive, twin },
    ...(cost.bytes === undefined ? {} : { gigabytes }),
    ...(cost.operations === undefined ? {} : { gigaops }),
    ...(share > 0 ? { share } : {}),
  };
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return "";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function rate(value: number | undefined): string {
  return value === undefined ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

function ratio(value: number | undefined, base: number | undefined): string {
  return value === undefined || base === undefined ? "" : `${(value / base).toFixed(2)}×`;
}

/** A Markdown table whose first two columns are text and the rest numbers. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, heads.map((_, i) => i < 2 ? "---" : "---:"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function kernelTable(rows: readonly KernelRow[]): string {
  return table(
    [
      "kernel",
      "size",
      "WebGPU ms",
      "naive ms",
      "twin ms",
      "naive / WebGPU",
      "twin / WebGPU",
      "GB/s",
      "Gop/s",
      "of the roof",
    ],
    rows.map((row) => [
      ...[row.kernel, row.size, milliseconds(row.webgpu), milliseconds(row.naive), milliseconds(row.twin)],
      ...[ratio(row.naive, row.webgpu), ratio(row.twin, row.webgpu), rate(row.gigabytes), rate(row.gigaops)],
      row.share === undefined ? "" : `${(100 * row.share).toFixed(0)} %`,
    ]),
  );
}

function pipelineTable(rows: readonly PipelineRow[]): string {
  return table(
    ["device", "request", "plain ms", "VAR-Scaling ms", "VAR-Scaling / plain", "load ms"],
    rows.map((row) => [
      ...[row.device, row.request, milliseconds(row.plain), milliseconds(row.scaled)],
      ...[`${row.ratio.toFixed(3)}×`, milliseconds(row.load)],
    ]),
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    span: { type: "string", default: "150" },
    json: { type: "boolean", default: false },
  },
});
const settings: Settings = { rounds: Number(values.rounds), span: Number(values.span) };
const wanted = (name: string): boolean => {
  return positionals.length === 0 || positionals.some((word) => name.includes(word));
};
const devices = await openDevices();
const { cpu, gpu } = devices;
const chosen = CASES.filter(({ kernel }) => wanted(kernel));
const roof = gpu === undefined || chosen.length === 0 ? undefined : await measureRoof(gpu, settings);
const kernels: KernelRow[] = [];
for (const item of chosen) {
  console.error(`${item.kernel}, ${item.size}`);
  kernels.push(await measure(item, devices, roof, settings));
}
const pipeline: PipelineRow[] = [];
for (const device of gpu === undefined ? [cpu] : [cpu, gpu]) {
  const name = `pipeline-${device.kind}`;
  if (!wanted(name)) continue;
  console.error(name);
  pipeline.push(...await measurePipeline(device, settings.rounds));
}
const platform = { adapter: gpu?.name ?? null, cpu: cpu.name, deno: Deno.version.deno, os: Deno.build.os };
if (values.json) {
  console.log(JSON.stringify({ ...platform, ...settings, roof, kernels, pipeline }, null, 2));
} else {
  console.log(`Adapter: ${gpu?.name ?? "none"}; ${cpu.name}; Deno ${platform.deno}, ${platform.os}\n`);
  if (roof !== undefined) {
    console.log(`Roof: copy ${rate(roof.gigabytes)} GB/s, multiply-add ${rate(roof.gigaflops)} Gflop/s\n`);
  }
  if (kernels.length > 0) console.log(kernelTable(kernels) + "\n");
  if (pipeline.length > 0) console.log(pipelineTable(pipeline));
}
// The GPU device keeps the process alive.
gpu?.[Symbol.dispose]();
