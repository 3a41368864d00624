/**
 * Carries out a generation: loads the model, generates, and writes images and record. What is to be done says
 * the plan; how the result is shown, the report.
 *
 * @module
 */

import {
  generate as library,
  type GeneratedImage,
  type GenerateRequest,
  type Model,
  type ResolvedRequest,
  RUNTIME_VERSION,
  type Trace,
} from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { type GenerateValues, GRID_IMAGES, MAX_GRID_IMAGES } from "../options/generate_options.ts";
import { describeDevice, type DeviceRecord, deviceRecord, load } from "../options/model_options.ts";
import { list } from "../options/options.ts";
import { checkRequest } from "../options/requests.ts";
import { exists, formatJson, plural, refuseExisting, sha256, writeWhole } from "../output/files.ts";
import { Progress } from "../output/progress.ts";
import { VERSION } from "../version.ts";
import { drawRegion, recordEdit, REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import { Layout } from "./layout.ts";
import type { GenerationPlan } from "./plan.ts";
import { compareRuns, type ImageRecord, imageRecord, type RunRecord, runRecord } from "./run_record.ts";
import { drawGrid, jsonSummary, summary, title, type VariantResult } from "./run_report.ts";
import { samplingRecord } from "./sampling_record.ts";

/** Carries out a run: loads the model, generates, and writes images and record. */
export async function execute(plan: GenerationPlan, options: GenerateValues, io: Io): Promise<void> {
  const { output, overwrite, quiet, json } = options;
  // Loading a large model takes minutes; what can be refused before that should be.
  if (!overwrite) await refuseExisting(output, ["run.json"]);
  const begun = performance.now();
  const notice = (line: string): void => {
    if (!quiet) io.err(`varscale: ${line}\n`);
  };
  await using model = await load(plan.place, { ...options, ...plan.loading }, io);
  const loading = performance.now() - begun;
  const requests = plan.variants.map(({ hooks }) => checkRequest(model, { ...plan.request(model), hooks }));
  const layout = new Layout(requests[0]!, plan.variants);
  const cells = layout.images * plan.variants.length;
  const grid = plan.grid ?? (cells > 1 && cells <= GRID_IMAGES);
  if (grid && cells > MAX_GRID_IMAGES) {
    throw new UsageError(
      `Option --grid must be for at most ${MAX_GRID_IMAGES} images: current number is ${cells}`,
    );
  }
  const { edit } = requests[0]!;
  if (!overwrite) {
    await refuseExisting(output, [
      ...layout.files(),
      ...(edit === undefined ? [] : [SOURCE_FILE, REGION_FILE]),
      ...(grid ? ["grid.png"] : []),
    ]);
  }
  const device = deviceRecord(model, options);
  for (const warning of warnings(model, device, plan.record)) io.err(`varscale: warning: ${warning}\n`);

  const made = !await exists(output);
  await Deno.mkdir(output, { recursive: true });
  const progress = new Progress(io, { total: cells, quiet: quiet ?? false });
  const results: VariantResult[] = [];
  try {
    for (const { name, hooks } of plan.variants) {
      const request = { ...plan.request(model), hooks, signal: io.signal };
      results.push(await runVariant({ model, request, name, output, layout, progress, keep: grid }));
    }
  } catch (error) {
    progress.clear();
    if (progress.done > 0) notice(`${progress.done} of ${plural(cells, "image")} are in ${output}`);
    else if (made) await Deno.remove(output).catch(() => {});
    throw error;
  }
  progress.clear();
  if (grid) {
    const sheet = drawGrid(results, {
      columns: plan.columns,
      title: title(model, plan.variants, requests[0]!),
    });
    await writeWhole(`${output}/grid.png`, sheet.png());
  }
  if (edit !== undefined) {
    await writeWhole(`${output}/${SOURCE_FILE}`, edit.sources[0]!.png());
    await writeWhole(`${output}/${REGION_FILE}`, drawRegion(edit, requests[0]!.schedule).png());
  }
  const record = await recordOf(model, plan, {
    request: requests[0]!,
    results,
    loading,
    grid,
    device,
    threads: options.threads ?? navigator.hardwareConcurrency,
  });
  await writeWhole(`${output}/run.json`, `${formatJson(record)}\n`);
  const agreement = plan.record === undefined ? undefined : compareRuns(plan.record.images, record.images);
  if (json) io.out(`${formatJson(jsonSummary(record, output, agreement))}\n`);
  else if (!quiet) io.out(summary(record, { model, output, agreement }));
}

/** Everything about a finished run. */
async function recordOf(
  model: Model,
  plan: GenerationPlan,
  facts: {
    readonly request: ResolvedRequest;
    readonly results: readonly VariantResult[];
    readonly loading: number;
    readonly grid: boolean;
    readonly device: DeviceRecord;
    readonly threads: number;
  },
): Promise<RunRecord> {
  const { request, results, loading, grid, device, threads } = facts;
  return runRecord({
    versions: { varscale: VERSION, deno: Deno.version.deno, "onnxruntime-web": RUNTIME_VERSION },
    model: {
      name: model.name,
      family: model.family,
      depth: model.depth,
      dtype: model.dtype,
      place: plan.place,
      fingerprints: model.fingerprints,
      tuning: model.tuning,
    },
    device: { ...device, threads },
    request: {
      ...recordedRequest(request),
      ...(request.edit === undefined ? {} : { edit: await recordEdit(request.edit, plan.edit!) }),
    },
    variants: plan.variants.map(({ name, hooks }) => ({
      name,
      hooks: hooks.map((hook) => ({ name: hook.name, settings: hook.settings ?? {} })),
    })),
    grid: grid ? { file: "grid.png", columns: plan.columns } : null,
    timings: {
      load: loading,
      variants: Object.fromEntries(results.map(({ name, trace }) => [name, trace])),
    },
    images: results.flatMap(({ records }) => records),
  });
}

function recordedRequest(request: ResolvedRequest): RunRecord["request"] {
  const { labels, seed, batch, previews } = request;
  return {
    labels,
    seed,
    ...samplingRecord(request),
    batch,
    previews: [...previews].sort((a, b) => a - b),
  };
}

function warnings(model: Model, device: DeviceRecord, record: RunRecord | undefined): string[] {
  if (record === undefined) return [];
  const { fingerprints, tuning } = record.model;
  const provider = ({ cpuProvider = "wasm" }: DeviceRecord): string => cpuProvider;
  const names = new Set([...Object.keys(fingerprints), ...Object.keys(model.fingerprints)]);
  const differing = [...names].filter((name) => fingerprints[name] !== model.fingerprints[name]);
  return [
    ...(differing.length === 0
      ? []
      : [`the weights are not those of the recorded run: ${list(differing, "and")} differ`]),
    ...(formatJson(tuning) === formatJson(model.tuning)
      ? []
      : ["the search settings of the model are not those of the recorded run"]),
    ...(record.versions.varscale === VERSION
      ? []
      : [`the run was recorded by varscale ${record.versions.varscale}, and this is ${VERSION}`]),
    ...(record.device.kind === device.kind && provider(record.device) === provider(device)
      ? []
      : [`the run was recorded on ${describeDevice(record.device)}, and this is ${describeDevice(device)}`]),
  ];
}

async function runVariant(job: {
  readonly model: Model;
  readonly request: GenerateRequest;
  readonly name: string;
  readonly output: string;
  readonly layout: Layout;
  readonly progress: Progress;
  readonly keep: boolean;
}): Promise<VariantResult> {
  const { model, request, name, output, layout, progress, keep } = job;
  const records: ImageRecord[] = [];
  const images: GeneratedImage[] = [];
  let trace: Trace | undefined;
  let batch = "";
  let left = 0;
  for await (const event of library.stream(model, request)) {
    if (event.type === "batch") {
      batch = `${name}  batch ${event.batch + 1}/${event.batches}`;
      left = event.images.length;
      progress.draw(batch);
    } else if (event.type === "scale") {
      progress.draw(`${batch}  scale ${event.scale + 1}/${event.scales}`);
    } else if (event.type === "preview") {
      for (const { index, image } of event.images) {
        await writeWhole(`${output}/${layout.file(name, index, event.scale)}`, image.png());
      }
    } else if (event.type === "image") {
      const { image } = event;
      const file = layout.file(name, image.index);
      const png = image.png();
      await writeWhole(`${output}/${file}`, png);
      const previews = [...layout.previews].map((scale) => layout.file(name, image.index, scale));
      records.push(imageRecord(image, { file, variant: name, sha256: await sha256(png), previews }));
      if (keep) images.push(image);
      progress.image();
      if (--left === 0) progress.batch();
    } else {
      trace = event.trace;
    }
  }
  return { name, records, images, trace: trace! };
}
