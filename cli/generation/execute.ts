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
  type ScaleHook,
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
import { usedSettings } from "../options/search.ts";
import { OpenedSearch, requirePlaces } from "../options/open_search.ts";
import { checkOutline, checkRequest } from "../options/requests.ts";
import { readFeatures } from "../options/text_features.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { Progress } from "../output/progress.ts";
import { sha256 } from "../output/sha256.ts";
import { list, plural } from "../output/words.ts";
import { VERSION } from "../version.ts";
import { drawRegion, recordEdit, REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import { GRID_FILE, lanesAfter, Layout, RECORD_FILE } from "./layout.ts";
import type { GenerationPlan } from "./plan.ts";
import {
  compareRuns,
  type ImageRecord,
  imageRecord,
  type RunRecord,
  runRecord,
  type VariantRecord,
} from "./run_record.ts";
import { drawGrid, jsonSummary, summary, title, type VariantResult } from "./run_report.ts";
import { samplingRecord } from "./sampling_record.ts";
import { TreeFiles } from "./tree_files.ts";

/** Carries out a generation. */
export async function execute(plan: GenerationPlan, options: GenerateValues, io: Io): Promise<void> {
  const { output, overwrite = false, quiet, json } = options;
  // Loading a large model takes minutes; what can be refused before that should be.
  await using folder = await OutputFolder.open(output, { record: RECORD_FILE, overwrite });
  const given = plan.textFeatures === undefined
    ? {}
    : { textFeatures: await readFeatures(plan.textFeatures) };
  // At most one of the variants searches, the last one.
  const { search } = plan.variants.at(-1)!;
  await requirePlaces(search);
  const begun = performance.now();
  await using model = await load(
    plan.place,
    { ...options, ...plan.loading },
    io,
    (outline) => checkOutline(outline, plan.request(outline)),
  );
  const loading = performance.now() - begun;
  const asked: GenerateRequest = { ...plan.request(model), ...given };
  await using opened = await OpenedSearch.open(search, model, { request: asked, options, io });
  const variants = plan.variants.map(({ name, search: { methods } }): ReadyVariant => {
    const hooks = methods.length === 0 ? [] : opened.hooks;
    return { name, hooks, request: checkRequest(model, { ...asked, hooks }) };
  });
  const [{ request }] = variants as [ReadyVariant];
  const layout = new Layout(request, plan, (name, scale) => {
    return lanesAfter(variants.find((variant) => variant.name === name)!.request, model, scale);
  });
  await folder.refuse(layout.files());
  const tree = plan.tree === undefined
    ? undefined
    : new TreeFiles(plan.tree, { folder, output, labels: request.labels });
  await tree?.refuse(overwrite);
  const device = deviceRecord(model);
  for (const warning of warnings(model, device, plan.record)) say(io, `warning: ${warning}`);
  if (!quiet) { for (const note of request.schedule.notes ?? []) say(io, note); }

  const results = await makeVariants(variants, {
    model,
    asked,
    output,
    folder,
    layout,
    tree,
    quiet: quiet ?? false,
    io,
  });
  await writeSheets(plan, { model, request, results, folder, layout, opened });
  const record = await recordOf(model, plan, {
    variants,
    opened,
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
  else if (!quiet) io.out(summary(record, { model, output, agreement, tree: tree?.describe() }));
}

/** A variant that can be made. */
interface ReadyVariant {
  readonly name: string;
  readonly hooks: readonly ScaleHook[];
  /** What is asked of the model for it. */
  readonly request: ResolvedRequest;
}

/** Makes the images of all variants. If it is interrupted, those that are finished stay. */
async function makeVariants(
  variants: readonly ReadyVariant[],
  job: {
    readonly model: Model;
    readonly asked: GenerateRequest;
    readonly output: string;
    readonly folder: OutputFolder;
    readonly layout: Layout;
    readonly tree: TreeFiles | undefined;
    readonly quiet: boolean;
    readonly io: Io;
  },
): Promise<VariantResult[]> {
  const { model, asked, output, folder, layout, tree, quiet, io } = job;
  const progress = new Progress(io, { total: layout.cells, quiet });
  const results: VariantResult[] = [];
  try {
    for (const [i, { name, hooks }] of variants.entries()) {
      // The one that searches is the last.
      const watched = i === variants.length - 1 ? tree : undefined;
      const request = {
        ...asked,
        hooks: watched === undefined ? hooks : [watched.hook, ...hooks],
        signal: io.signal,
      };
      results.push(await makeVariant({ model, request, name, folder, layout, tree: watched, progress }));
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
  readonly tree: TreeFiles | undefined;
  readonly progress: Progress;
}): Promise<VariantResult> {
  const { model, request, name, folder, layout, tree, progress } = job;
  const records: ImageRecord[] = [];
  const images: GeneratedImage[] = [];
  const pictures = new Counter();
  let trace: Trace | undefined;
  let batch = "";
  let left = 0;
  for await (const event of library.stream(model, request)) {
    if (event.type === "batch") {
      batch = `${name}  batch ${event.batch + 1}/${event.batches}`;
      left = event.images.length * layout.pictures(name);
      progress.draw(batch);
    } else if (event.type === "scale") {
      progress.draw(`${batch}  scale ${event.scale + 1}/${event.scales}`);
    } else if (event.type === "preview") {
      const { scale } = event;
      const previews = new Counter();
      for (const { index, image } of event.images) {
        await folder.write(layout.file(name, index, { scale, picture: previews.next(index) }), image.png());
      }
    } else if (event.type === "image") {
      const { image } = event;
      const file = layout.file(name, image.index, { picture: pictures.next(image.index) });
      const png = image.png();
      await folder.write(file, png);
      await tree?.write(image);
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

/** Counts things of each number. */
class Counter {
  readonly #counts = new Map<number, number>();

  /** How many of this number there were before. */
  next(number: number): number {
    const before = this.#counts.get(number) ?? 0;
    this.#counts.set(number, before + 1);
    return before;
  }
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
    readonly opened: OpenedSearch;
  },
): Promise<void> {
  const { model, request, results, folder, layout, opened } = facts;
  const { edit, schedule } = request;
  if (layout.grid) {
    const sheet = drawGrid(results, { columns: plan.columns, title: title(model, opened.hooks, request) });
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
    readonly variants: readonly ReadyVariant[];
    readonly opened: OpenedSearch;
    readonly request: ResolvedRequest;
    readonly results: readonly VariantResult[];
    readonly loading: number;
    readonly grid: boolean;
    readonly device: DeviceRecord;
    readonly threads: number;
  },
): Promise<RunRecord> {
  const { variants, opened, request, results, loading, grid, device, threads } = facts;
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
    variants: variants.map(({ name, hooks }): VariantRecord => ({
      name,
      hooks: hooks.map((hook) => ({
        name: hook.name,
        settings: usedSettings(hook, model, { scales: request.schedule.scales.length }),
      })),
      ...(hooks.length > 0 && opened.records),
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
