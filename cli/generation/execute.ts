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
import { type Io, say } from "../io.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import {
  describeDevice,
  type DeviceRecord,
  deviceRecord,
  load,
  memoryRecord,
  sizeRecord,
} from "../options/model_options.ts";
import { checkOutline, checkRequest } from "../options/requests.ts";
import { usedSettings } from "../options/scaling_options.ts";
import { readFeatures } from "../options/text_features.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { Progress } from "../output/progress.ts";
import { sha256 } from "../output/sha256.ts";
import { list, plural } from "../output/words.ts";
import { VERSION } from "../version.ts";
import { drawRegion, recordEdit, REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import { GRID_FILE, Layout, RECORD_FILE } from "./layout.ts";
import type { GenerationPlan } from "./plan.ts";
import { compareRuns, type ImageRecord, imageRecord, type RunRecord, runRecord } from "./run_record.ts";
import { drawGrid, jsonSummary, summary, title, type VariantResult } from "./run_report.ts";
import { samplingRecord } from "./sampling_record.ts";

/** Carries out a generation. */
export async function execute(plan: GenerationPlan, options: GenerateValues, io: Io): Promise<void> {
  const { output, overwrite = false, quiet, json } = options;
  // Loading a large model takes minutes; what can be refused before that should be.
  await using folder = await OutputFolder.open(output, { record: RECORD_FILE, overwrite });
  const given = plan.textFeatures === undefined
    ? {}
    : { textFeatures: await readFeatures(plan.textFeatures) };
  const begun = performance.now();
  await using model = await load(
    plan.place,
    { ...options, ...plan.loading },
    io,
    (outline) => checkOutline(outline, plan.request(outline)),
  );
  const loading = performance.now() - begun;
  const asked: GenerateRequest = { ...plan.request(model), ...given };
  const requests = plan.variants.map(({ hooks }) => checkRequest(model, { ...asked, hooks }));
  const [request] = requests as [ResolvedRequest];
  const layout = new Layout(request, plan);
  await folder.refuse(layout.files());
  const device = deviceRecord(model, options);
  for (const warning of warnings(model, device, plan.record)) say(io, `warning: ${warning}`);
  if (!quiet) { for (const note of request.schedule.notes ?? []) say(io, note); }

  const results = await makeVariants(plan, {
    model,
    asked,
    output,
    folder,
    layout,
    quiet: quiet ?? false,
    io,
  });
  await writeSheets(plan, { model, request, results, folder, layout });
  const record = await recordOf(model, plan, {
    request,
    results,
    loading,
    grid: layout.grid,
    device,
    threads: options.threads ?? navigator.hardwareConcurrency,
  });
  const strangers = await folder.finish(`${formatJson(record)}\n`);
  if (strangers !== undefined) say(io, `warning: ${strangers}`);
  const agreement = plan.record === undefined ? undefined : compareRuns(plan.record.images, record.images);
  if (json) io.out(`${formatJson(jsonSummary(record, output, agreement))}\n`);
  else if (!quiet) io.out(summary(record, { model, output, agreement }));
}

/** Makes the images of all variants. If it is interrupted, those that are finished stay. */
async function makeVariants(
  plan: GenerationPlan,
  job: {
    readonly model: Model;
    readonly asked: GenerateRequest;
    readonly output: string;
    readonly folder: OutputFolder;
    readonly layout: Layout;
    readonly quiet: boolean;
    readonly io: Io;
  },
): Promise<VariantResult[]> {
  const { model, asked, output, folder, layout, quiet, io } = job;
  const progress = new Progress(io, { total: layout.cells, quiet });
  const results: VariantResult[] = [];
  try {
    for (const { name, hooks } of plan.variants) {
      const request = { ...asked, hooks, signal: io.signal };
      results.push(await makeVariant({ model, request, name, folder, layout, progress }));
    }
  } catch (error) {
    progress.clear();
    if (progress.done > 0 && !quiet) {
      say(io, `${progress.done} of ${plural(layout.cells, "image")} are in ${output}`);
    }
    throw error;
  }
  progress.clear();
  return results;
}

/** Makes the images of one variant, and keeps them if a grid wants them. */
async function makeVariant(job: {
  readonly model: Model;
  readonly request: GenerateRequest;
  readonly name: string;
  readonly folder: OutputFolder;
  readonly layout: Layout;
  readonly progress: Progress;
}): Promise<VariantResult> {
  const { model, request, name, folder, layout, progress } = job;
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
        await folder.write(layout.file(name, index, event.scale), image.png());
      }
    } else if (event.type === "image") {
      const { image } = event;
      const file = layout.file(name, image.index);
      const png = image.png();
      await folder.write(file, png);
      const previews = layout.previews(name, image.index);
      records.push(imageRecord(image, { file, variant: name, sha256: await sha256(png), previews }));
      if (layout.grid) images.push(image);
      progress.image();
      if (--left === 0) progress.batch();
    } else {
      trace = event.trace;
    }
  }
  return { name, records, images, trace: trace! };
}

/** Writes the grid of all images, and what is edited beside what is kept, where there is such a thing. */
async function writeSheets(
  plan: GenerationPlan,
  facts: {
    readonly model: Model;
    readonly request: ResolvedRequest;
    readonly results: readonly VariantResult[];
    readonly folder: OutputFolder;
    readonly layout: Layout;
  },
): Promise<void> {
  const { model, request, results, folder, layout } = facts;
  const { edit, schedule } = request;
  if (layout.grid) {
    const sheet = drawGrid(results, { columns: plan.columns, title: title(model, plan.variants, request) });
    await folder.write(GRID_FILE, sheet.png());
  }
  if (edit !== undefined) {
    await folder.write(SOURCE_FILE, edit.sources[0]!.png());
    await folder.write(REGION_FILE, drawRegion(edit, schedule).png());
  }
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
      ...sizeRecord(model.size),
      ...memoryRecord(model),
      place: plan.place,
      fingerprints: model.fingerprints,
      tuning: model.tuning,
    },
    device: { ...device, threads },
    request: {
      ...recordedRequest(request),
      ...(request.edit === undefined ? {} : { edit: await recordEdit(request.edit, plan.edit!) }),
      ...(plan.textFeatures === undefined ? {} : { textFeatures: plan.textFeatures }),
    },
    variants: plan.variants.map(({ name, hooks }) => ({
      name,
      hooks: hooks.map((hook) => ({
        name: hook.name,
        settings: usedSettings(hook, model, { scales: request.schedule.scales.length }),
      })),
    })),
    grid: grid ? { file: GRID_FILE, columns: plan.columns } : null,
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
