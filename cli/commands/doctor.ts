/**
 * `varscale doctor`: what this machine offers, what `--device auto` and `--cpu-provider auto` make of it, and
 * whether the bundled model runs.
 *
 * @module
 */

import {
  adapterNote,
  checkDevice,
  CpuDevice,
  type CpuProvider,
  DEMO_MODEL,
  describeGraph,
  type DeviceCheck,
  type DeviceKind,
  fitModel,
  generate,
  loadModel,
  type ModelFit,
  type ModelNeeds,
  modelNeeds,
  type NativeLibrary,
  nativeLibrary,
  openDevice,
  openModelFolder,
  type Provider,
  RUNTIME_VERSION,
  whyNoGpu,
} from "../../mod.ts";
import { command } from "../command.ts";
import { type Io, untilEnded, UsageError } from "../io.ts";
import { readPlaces } from "../options/given_files.ts";
import { bytes, flag, text, toggle } from "../options/kinds.ts";
import {
  CHECKPOINT_OPTIONS,
  checkpointsOf,
  DEPTH_OPTION,
  modelPlace,
  SIZE_OPTION,
} from "../options/model_options.ts";
import { type Arguments, refuseOperands, section, type Values } from "../options/options.ts";
import { JSON_OPTION } from "../options/output_options.ts";
import { askedFor } from "../options/requests.ts";
import { columns } from "../output/columns.ts";
import { deviceCheckRows } from "../output/device_check_rows.ts";
import { formatJson } from "../output/format_json.ts";
import { modelFitRows, type ModelReport } from "../output/model_fit_rows.ts";
import { StatusLine } from "../output/status_line.ts";
import { duration, size } from "../output/units.ts";
import { exists } from "../output/whole_file.ts";
import { VERSION } from "../version.ts";

const CHECKS = section("Checks", {
  run: {
    kind: toggle,
    help: "Generate images with the bundled model on each device",
    defaultText: "on, without a model to tell about",
  },
  quick: { kind: flag, help: "Take a second: look at what is there, generate, verify and measure nothing" },
  check: {
    kind: flag,
    help:
      "Run every kernel on the GPU beside its twin, measure what the GPU can do, and say what a picture of each published model takes there; less than a minute on a real one",
  },
  json: JSON_OPTION,
});

const OPTIONS = {
  ...section("Model", {
    model: {
      kind: text("PLACE"),
      short: "m",
      help:
        'Tell which types of weights of this model fit here, with bytes and seconds of each: a model folder, a published name like "var-d16", "flexvar-d24" or "infinity-2B", "hf:OWNER/NAME", or a bundled model; weights are neither downloaded nor read',
    },
    ...CHECKPOINT_OPTIONS,
    modelDepth: { ...DEPTH_OPTION, help: "Depth of the model, of a repository that has several" },
    modelSize: { ...SIZE_OPTION, help: "Name of its size, like 2B, of a repository that has several" },
    memory: { kind: bytes, help: "Memory that it may take", defaultText: "what there is" },
  }),
  ...CHECKS,
};

/** The command. */
export const doctor = command({
  usage: ["[OPTIONS]"],
  description: ["The exit code is 1 if something that is there does not work. No GPU is no failure."],
  options: OPTIONS,
  examples: [
    "",
    "--quick",
    "--model var-d30",
    "--model hf:FoundationVision/Infinity --model-size 2B --quick",
    "--check",
    "--check --json > gpu.json",
    "--no-run --json",
  ],
  run,
});

/** Limits of an adapter that decide how large a model can be. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
] as const;
/** Features that make a difference. */
const FEATURES = ["shader-f16", "timestamp-query", "subgroups"] as const;

interface AdapterReport {
  readonly name: string;
  readonly vendor: string;
  readonly software: boolean;
  /** What is done because of it, if anything is. */
  readonly note: string | null;
  readonly limits: Readonly<Record<string, number>>;
  readonly features: Readonly<Record<string, boolean>>;
}

interface TrialReport {
  readonly device: DeviceKind;
  /** Milliseconds: loading, the first image, and the second, which finds everything prepared. */
  readonly load?: number;
  readonly first?: number;
  readonly second?: number;
  /** Who computes the nodes of the graphs that it loaded, and how many there are. */
  readonly provider: Provider;
  readonly nodes?: Readonly<Record<string, number>>;
  readonly error?: string;
}

interface Report {
  readonly versions: Readonly<Record<string, string>>;
  readonly platform: string;
  readonly cores: number;
  /** Whether WebAssembly can share memory between threads. */
  readonly threads: boolean;
  /** The native library for the CPU. */
  readonly native: NativeLibrary;
  readonly adapter: AdapterReport | null;
  /** What `auto` takes, who computes there, and why not a GPU. */
  readonly auto: {
    readonly device: DeviceKind;
    readonly provider: Provider;
    readonly reason: string | null;
  };
  /** The bundled model; `null` if it was not looked at. */
  readonly demo: { readonly place: string; readonly bytes: number; readonly problem: string | null } | null;
  readonly trials: readonly TrialReport[];
  /** Whether all trials drew the same tokens from the same seed; `null` if there are no two. */
  readonly agree: boolean | null;
  /** What a model takes and where it fits; `null` if none was named. */
  readonly model: ModelReport | null;
  /** What the check of the GPU found; `null` if it was not asked for, or there is none. */
  readonly check: DeviceCheck | null;
  /** Checks that were not made, in words. */
  readonly leftOut: readonly string[];
}

async function run({ options, operands }: Arguments<typeof OPTIONS>, io: Io): Promise<number> {
  refuseOperands(operands, 0);
  const place = modelPlace(options);
  const { quick = false, run = !quick && place === undefined, check: checks = false } = options;
  for (const [name, given] of [["run", run], ["check", checks]] as const) {
    if (quick && given) throw new UsageError(`Options --quick and --${name} exclude each other`);
  }
  // What is wrong with the name of a model is told at once.
  const needs = place === undefined ? undefined : await needsOf(options, io);
  const adapter = await adapterReport();
  const reason = await whyNoGpu() ?? null;
  const native = await nativeLibrary();
  const auto = reason === null
    ? { device: "webgpu", provider: "webgpu", reason } as const
    : { device: "cpu", provider: native.state === "ready" ? "native" : "wasm", reason } as const;
  const demo = quick || !run && place !== undefined ? null : await demoReport(io.signal);
  const trials: TrialReport[] = [];
  const tokens: string[] = [];
  if (run && demo?.problem === null) {
    for (
      const place of [
        { device: "cpu", cpuProvider: "wasm" },
        ...native.state === "ready" ? [{ device: "cpu", cpuProvider: "native" } as const] : [],
        ...adapter === null ? [] : [{ device: "webgpu" } as const],
      ] as const
    ) {
      const trial = await tryPlace(place, io.signal);
      trials.push(trial.report);
      if (trial.tokens !== undefined) tokens.push(trial.tokens);
    }
  }
  const check = checks && adapter !== null ? await checkGpu(io) : null;
  const model = needs === undefined ? null : await modelReport(needs, {
    ...{ memory: options.memory, io },
    places: [
      ...(adapter === null ? [] : ["webgpu"] as const),
      ...(native.state === "ready" ? ["native"] as const : []),
      "wasm",
    ],
    measured: quick ? undefined : auto.provider,
  });
  const report: Report = {
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    platform: `${Deno.build.os} ${Deno.build.arch}`,
    cores: navigator.hardwareConcurrency,
    threads: sharesMemory(),
    native,
    adapter,
    auto,
    demo,
    trials,
    agree: tokens.length < 2 ? null : tokens.every((text) => text === tokens[0]),
    model,
    check,
    leftOut: [
      ...(demo === null ? ["the checksums of the bundled model"] : []),
      ...(run ? [] : ["images of it on each device, and whether their tokens are the same"]),
      ...(checks && adapter === null ? ["the check of a GPU, as there is none"] : []),
      ...(needs === undefined ? [] : [`how long a picture takes${quick ? "" : " elsewhere"}`]),
    ],
  };
  io.out(options.json ? `${formatJson(report)}\n` : show(report));
  const failed = (demo?.problem ?? null) !== null || native.state === "broken" ||
    trials.some(({ error }) => error !== undefined);
  const broken = check?.kernels.some(({ passed }) => !passed) ?? false;
  return failed || broken || report.agree === false ? 1 : 0;
}

/** What a model takes, which its place on the disk or its name tells. */
async function needsOf(options: Values<typeof OPTIONS>, { signal }: Io): Promise<ModelNeeds> {
  const { model, modelDepth: depth, modelSize } = options;
  const place = modelPlace(options)!;
  // A published name is no path, unless there is something.
  const folder = "folder" in place
    ? model !== undefined && await exists(place.folder) ? place.folder : model!
    : "";
  const source = "folder" in place ? folder : checkpointsOf(place);
  const places = typeof source === "string" ? [source] : Object.values(source).map(String);
  return await askedFor(() =>
    readPlaces(places, () =>
      modelNeeds(source, {
        signal,
        ...(depth === undefined ? {} : { depth }),
        ...(modelSize === undefined ? {} : { size: modelSize }),
      }))
  );
}

/** Where a model fits, of the places that there are; where it would run, its speed is measured. */
async function modelReport(needs: ModelNeeds, facts: {
  readonly places: readonly Provider[];
  readonly measured: Provider | undefined;
  readonly memory: number | undefined;
  readonly io: Io;
}): Promise<ModelReport> {
  const { measured, memory, io } = facts;
  const line = new StatusLine(io);
  const places: ModelFit[] = [];
  try {
    for (const provider of facts.places) {
      const measure = provider === measured;
      using device = provider === "webgpu" ? await openDevice("webgpu") : new CpuDevice();
      if (measure && io.terminal) line.draw(`Measuring "${device.name}"`);
      places.push(
        await fitModel(needs, device, {
          ...{ measure, signal: io.signal },
          ...(provider === "webgpu" ? {} : { cpuProvider: provider }),
          ...(memory === undefined ? {} : { memory }),
        }),
      );
    }
  } finally {
    line.clear();
  }
  const { name, family, picture, stored } = needs;
  return { needs: { name, family, picture, stored }, places };
}

async function checkGpu(io: Io): Promise<DeviceCheck> {
  const line = new StatusLine(io);
  using device = await openDevice("webgpu");
  try {
    return await checkDevice(device, {
      signal: io.signal,
      onProgress: (part) => {
        if (io.terminal) line.draw(`Checking "${device.name}": ${part}`);
      },
    });
  } finally {
    line.clear();
  }
}

function sharesMemory(): boolean {
  try {
    const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    return buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

async function adapterReport(): Promise<AdapterReport | null> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const { info, limits, features } = adapter;
  return {
    name: info.description || info.device || "unnamed",
    vendor: info.vendor,
    software: info.isFallbackAdapter,
    note: adapterNote(info) ?? null,
    limits: Object.fromEntries(LIMITS.map((limit) => [limit, limits[limit]])),
    features: Object.fromEntries(FEATURES.map((feature) => [feature, features.has(feature)])),
  };
}

async function demoReport(signal: AbortSignal): Promise<NonNullable<Report["demo"]>> {
  const place = DEMO_MODEL.href;
  try {
    const folder = await openModelFolder(DEMO_MODEL, { signal });
    let bytes = 0;
    for (const file of Object.keys(folder.manifest.files)) bytes += (await folder.read(file)).length;
    return { place, bytes, problem: null };
  } catch (error) {
    signal.throwIfAborted();
    return { place, bytes: 0, problem: (error as Error).message };
  }
}

async function tryPlace(
  place: { readonly device: DeviceKind; readonly cpuProvider?: CpuProvider },
  signal: AbortSignal,
): Promise<{ report: TrialReport; tokens?: string }> {
  const { device, cpuProvider: provider = "webgpu" } = place;
  try {
    const begun = performance.now();
    await using model = await untilEnded(signal, loadModel("demo", place));
    const loaded = performance.now();
    const request = { labels: "red torus", seed: 7, signal };
    const { images } = await generate(model, request);
    const first = performance.now();
    await generate(model, request);
    const second = performance.now();
    const times = { load: loaded - begun, first: first - loaded, second: second - first };
    // On WebGPU a graph is refused of which a node would run elsewhere, so all of a loaded one run there.
    return {
      report: { device, ...times, provider: model.provider, nodes: await demoNodes() },
      tokens: images[0]!.tokens.join(),
    };
  } catch (error) {
    signal.throwIfAborted();
    return { report: { device, provider, error: (error as Error).message } };
  }
}

/** Nodes of each graph that the folder stores and generating loads; the decoder's is made when it loads. */
async function demoNodes(): Promise<Record<string, number>> {
  using folder = await openModelFolder(DEMO_MODEL);
  const nodes: Record<string, number> = {};
  for (const graph of ["condition", "transformer"]) {
    const { operators } = describeGraph(await folder.read(`${graph}.onnx`));
    nodes[graph] = Object.values(operators).reduce((sum, count) => sum + count, 0);
  }
  return nodes;
}

function show(report: Report): string {
  const { versions, adapter, auto, demo, trials, agree, model, check, leftOut } = report;
  const rows: [string, string][] = Object.entries(versions);
  rows.push(["platform", `${report.platform}, ${report.cores} cores`]);
  rows.push([
    "threads",
    report.threads ? `✓ ${report.cores} WebAssembly threads` : "✗ no shared WebAssembly memory",
  ]);
  rows.push(["native", describeNative(report.native)]);
  if (adapter === null) {
    rows.push(["adapter", "none"]);
  } else {
    rows.push(["adapter", `${adapter.name}${adapter.software ? " (software)" : ""}`]);
    if (adapter.note !== null) rows.push(["  note", adapter.note]);
    for (const [name, value] of Object.entries(adapter.limits)) {
      rows.push([`  ${name}`, name.endsWith("Size") ? size(value) : String(value)]);
    }
    for (const [name, has] of Object.entries(adapter.features)) rows.push([`  ${name}`, has ? "yes" : "no"]);
  }
  rows.push(["auto", `${placeOf(auto)}${auto.reason === null ? "" : `: ${auto.reason}`}`]);
  if (demo !== null) {
    rows.push(["demo model", demo.problem === null ? `✓ intact, ${size(demo.bytes)}` : `✗ ${demo.problem}`]);
  }
  for (const trial of trials) {
    const { load = 0, first = 0, second = 0, error, provider, nodes } = trial;
    const times = `✓ loaded in ${duration(load)}, first image ${duration(first)}, second ${duration(second)}`;
    rows.push([`run on ${placeOf(trial)}`, error === undefined ? times : `✗ ${error}`]);
    if (nodes === undefined) continue;
    const counts = Object.entries(nodes).map(([graph, count]) => `${graph} ${count}`);
    rows.push(["  nodes", `all on ${provider}: ${counts.join(", ")}`]);
  }
  if (agree !== null) {
    rows.push(["same tokens", agree ? "✓ in all runs" : "✗ the runs drew different tokens"]);
  }
  if (model !== null) rows.push(...modelFitRows(model));
  if (check !== null) rows.push(...deviceCheckRows(check));
  if (leftOut.length > 0) rows.push(["left out", leftOut.join("; ")]);
  return columns(rows);
}

/** A place in words: WebAssembly is what a CPU has anyway. */
function placeOf({ device, provider }: { readonly device: DeviceKind; readonly provider: string }): string {
  return provider === "native" ? `${device}, native` : device;
}

function describeNative({ state, reason, folder, bytes }: NativeLibrary): string {
  if (state === "ready") return `✓ loads: ${folder}`;
  if (state === "absent") return `none; ${reason} (${size(bytes.download)})`;
  return `${state === "broken" ? "✗" : "none;"} ${reason}`;
}
