/**
 * A report as Markdown.
 *
 * @module
 */

import type { Profile, Roof } from "../kernels/profile/profile.ts";
import type { BenchRecord, Change } from "./history.ts";
import type { KernelRow } from "./measure.ts";
import type { RecordedPeer } from "./peer.ts";
import type { PipelineRow } from "./pipeline.ts";

/** The whole report. */
export function formatReport(
  record: BenchRecord,
  changes: readonly Change[],
  recorded: readonly RecordedPeer[],
): string {
  const { adapter, cpu, deno, os, roof, kernels, pipeline } = record;
  const parts = [`Adapter: ${adapter ?? "none"}; ${cpu}; Deno ${deno}, ${os}`];
  if (roof.webgpu !== undefined) parts.push(`Roof of the adapter: ${formatRoof(roof.webgpu)}`);
  if (roof.cpu !== undefined) parts.push(`Roof of the twins: ${formatRoof(roof.cpu)}`);
  if (kernels.length > 0) parts.push(kernelTable(kernels, changes));
  const peers = peerRows(kernels, recorded);
  if (peers.length > 0) parts.push(table(PEER_HEADS, peers, 3));
  if (pipeline.length > 0) parts.push(pipelineTable(pipeline));
  return parts.join("\n\n");
}

function formatRoof({ gigabytesPerSecond, gigaopsPerSecond }: Roof): string {
  return `copy ${rate(gigabytesPerSecond)} GB/s, multiply-add ${rate(gigaopsPerSecond)} Gflop/s`;
}

/**
 * With an adapter, the kernels' rows are about WebGPU and the twin is a column; without one, they are about
 * the twin.
 */
function kernelTable(rows: readonly KernelRow[], changes: readonly Change[]): string {
  const onGpu = rows.some(({ webgpu }) => webgpu !== undefined);
  const variant = onGpu ? "webgpu" : "twin";
  const clock = rows.some(({ webgpu }) => webgpu?.clock === "gpu") ? "GPU ms" : "WebGPU ms";
  const heads = onGpu
    ? ["kernel", "size", clock, "p10–p90", "wall ms", "naive ms", "twin ms", "naive / GPU", "twin / wall"]
    : ["kernel", "size", "twin ms", "p10–p90"];
  return table(
    [...heads, "GB/s", "Gop/s", "of the roof", "change"],
    rows.map((row) => {
      const { webgpu, naive, twin } = row;
      const profile = row[variant];
      const change = changes.find((other) => {
        return other.variant === variant && other.kernel === row.kernel && other.size === row.size;
      });
      return [
        ...[row.kernel, row.size, milliseconds(profile?.milliseconds), spreadOf(profile)],
        ...(onGpu
          ? [
            milliseconds(webgpu?.wallMilliseconds),
            milliseconds(naive?.milliseconds),
            milliseconds(twin.milliseconds),
            // Each on one clock: two shaders by what the GPU does, host and GPU by what a program waits for.
            ratio(naive?.milliseconds, webgpu?.milliseconds),
            ratio(twin.wallMilliseconds, webgpu?.wallMilliseconds),
          ]
          : []),
        rate(profile?.gigabytesPerSecond),
        rate(profile?.gigaopsPerSecond),
        profile?.roofShare === undefined ? "" : `${(100 * profile.roofShare).toFixed(0)} %`,
        change === undefined ? "" : `${change.ratio.toFixed(2)}×`,
      ];
    }),
  );
}

const PEER_HEADS = ["kernel", "size", "library", "ms", "p10–p90", "/ WebGPU", "/ twin", "off by"];

function peerRows(rows: readonly KernelRow[], recorded: readonly RecordedPeer[]): string[][] {
  return rows.flatMap((row) => {
    const { kernel, size, webgpu, twin } = row;
    const ratios = (time: number) => [
      ratio(time, webgpu?.wallMilliseconds),
      ratio(time, twin.wallMilliseconds),
    ];
    const live = row.peers.map(({ name, profile, off, problem }) => {
      if (profile === undefined) return [kernel, size, `${name}: ${problem}`, "", "", "", "", ""];
      const time = profile.wallMilliseconds;
      return [
        ...[kernel, size, name, milliseconds(time), spreadOf(profile), ...ratios(time)],
        off === undefined ? "" : off === 0 ? "0" : off.toExponential(0),
      ];
    });
    const noted = recorded.filter((other) => isSameCase(other, row)).map((other) => {
      const name = `${other.library} ${other.version}, ${other.machine}, ${other.date}`;
      return [kernel, size, name, milliseconds(other.milliseconds), "", ...ratios(other.milliseconds), ""];
    });
    return [...live, ...noted];
  });
}

/**
 * Whether a recorded figure is about a case: by its size in words, or by numbers that are all the case's,
 * too.
 */
export function isSameCase(recorded: RecordedPeer, { kernel, size, shape }: KernelRow): boolean {
  if (recorded.kernel !== kernel) return false;
  if (recorded.size !== undefined) return recorded.size === size;
  const numbers = Object.entries(recorded.shape ?? {});
  return numbers.length > 0 && numbers.every(([name, value]) => shape?.[name] === value);
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

/** A table whose first columns are text and the rest numbers. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  texts: number = 2,
): string {
  const lines = [heads, heads.map((_, i) => i < texts ? "---" : "---:"), ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join(
    "\n",
  );
}

function milliseconds(value: number | undefined): string {
  if (value === undefined) return "";
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function spreadOf(profile: Profile | undefined): string {
  if (profile === undefined) return "";
  return `${milliseconds(profile.low)}–${milliseconds(profile.high)}`;
}

function rate(value: number | undefined): string {
  return value === undefined ? "" : value >= 100 ? value.toFixed(0) : value.toPrecision(2);
}

function ratio(value: number | undefined, base: number | undefined): string {
  if (value === undefined || base === undefined || base === 0) return "";
  const times = value / base;
  return `${times < 0.1 ? times.toPrecision(2) : times.toFixed(2)}×`;
}
