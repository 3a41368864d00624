/**
 * `varscale generate`: pictures and the record of how they were made, written to a folder as they are
 * finished.
 *
 * @module
 */

import {
  generate as library,
  type GeneratedImage,
  type GenerateRequest,
  type Label,
  type Model,
  type ResolvedRequest,
  RUNTIME_VERSION,
  type Trace,
} from "../../mod.ts";
import { command } from "../command.ts";
import {
  drawRegion,
  type GivenEdit,
  type PlannedEdit,
  recordedEdit,
  recordEdit,
  REGION_FILE,
  SOURCE_FILE,
} from "../generation/edit_record.ts";
import {
  compareRuns,
  type ImageRecord,
  imageRecord,
  readRunRecord,
  recordedVariants,
  type RunRecord,
  runRecord,
  type Variant,
} from "../generation/run_record.ts";
import { drawGrid, jsonSummary, summary, title, type VariantResult } from "../generation/run_report.ts";
import { completeSampling, samplingRecord } from "../generation/sampling_record.ts";
import { type Io, UsageError } from "../io.ts";
import {
  CHECKPOINT_OPTIONS,
  describeDevice,
  DEVICE_OPTIONS,
  type DeviceRecord,
  deviceRecord,
  load,
  type LoadValues,
  MODEL_OPTIONS,
  type ModelPlace,
  modelPlace,
} from "../options/model_options.ts";
import {
  type Arguments,
  flag,
  integer,
  list,
  optionName,
  scalesOrAll,
  section,
  seed,
  text,
  toggle,
  type Values,
} from "../options/options.ts";
import { checkRequest, labelOf, requireClasses } from "../options/requests.ts";
import { BATCH_OPTIONS, SAMPLING_OPTIONS, samplingRequest } from "../options/sampling_options.ts";
import { SCALING_OPTIONS, scalingHook } from "../options/scaling_options.ts";
import { exists, formatJson, plural, refuseExisting, sha256, slug, writeWhole } from "../output/files.ts";
import { Progress } from "../output/progress.ts";
import { VERSION } from "../version.ts";

/** More images than this have no grid unless one is asked for. */
const GRID_IMAGES = 64;
/** More than this have none at all: a picture of all of them would not fit into memory. */
const MAX_GRID_IMAGES = 512;

/** How many images, and which: options of all commands that generate. */
export const COUNT_OPTIONS = {
  count: {
    kind: integer("N", 1),
    short: "n",
    help: "Images per label",
    default: 1,
    aliases: ["num-images-per-class"],
  },
  seed: {
    kind: seed,
    short: "s",
    help: "Image i depends on the seed and i alone, not on the batch it is in",
    default: 0,
  },
};

/** How to generate and where to: options of all commands that generate. */
export const GENERATE_OPTIONS = {
  ...MODEL_OPTIONS,
  ...SAMPLING_OPTIONS,
  ...BATCH_OPTIONS,
  ...SCALING_OPTIONS,
  ...DEVICE_OPTIONS,
  ...section("Output", {
    output: {
      kind: text("DIR"),
      short: "o",
      help: "Folder for the images, grid.png and run.json",
      default: "out",
      aliases: ["output-dir"],
    },
    overwrite: { kind: flag, help: "Replace files that are there already; without it that is an error" },
    compare: { kind: flag, help: "Make each image plain and with VAR-Scaling, from the same seed" },
    grid: {
      kind: toggle,
      help: "Write all images on one labelled sheet, grid.png",
      defaultText: `for 2 to ${GRID_IMAGES} images`,
    },
    columns: { kind: integer("N", 1, MAX_GRID_IMAGES), help: "Images in a row of the grid", default: 8 },
    preview: { kind: scalesOrAll, help: "Write what the images look like after these scales, too" },
    json: { kind: flag, help: "Print one JSON object: paths, decisions, timings" },
    quiet: { kind: flag, short: "q", help: "Print nothing but errors, warnings and the JSON object" },
  }),
};

const OPTIONS = {
  ...section("What to generate", {
    labels: {
      kind: text("A,B,…"),
      help:
        "Classes, like the arguments LABEL; these come after them. For a model that takes texts, all of this is one text",
    },
    ...COUNT_OPTIONS,
    repeat: {
      kind: text("RUN.json"),
      help: "Repeat a recorded run exactly; only output, model place, device and grid can be given beside it",
    },
  }),
  ...GENERATE_OPTIONS,
};

/** Values of the options of all commands that generate. */
export type GenerateValues = Values<typeof COUNT_OPTIONS & typeof GENERATE_OPTIONS>;

/** Options that may stand beside `--repeat`: where to read and write, and nothing that changes an image. */
const WITH_REPEAT: ReadonlySet<string> = new Set<string>([
  "repeat",
  "model",
  ...Object.keys(CHECKPOINT_OPTIONS),
  "classNames",
  "modelDepth",
  "device",
  "threads",
  "cpuProvider",
  "output",
  "overwrite",
  "grid",
  "columns",
  "json",
  "quiet",
]);

/** The command. */
export const generate = command({
  name: "generate",
  summary: "Generate images, with or without VAR-Scaling",
  usage: ["[LABEL …] [OPTIONS]", "--repeat RUN.json [OPTIONS]"],
  description: [
    'A LABEL is the name or number of a class, "all" for every class, or "null" for none, which means anything. ' +
    "Without one, classes are drawn at random from the seed. A model that takes texts is told what to paint in any words.",
    "Names of options may be written with dashes or underscores, and the names of published scripts are understood.",
  ],
  options: OPTIONS,
  examples: [
    '"red torus" "blue cone" --count 4 --seed 7',
    "all --cfg 3 --scaling --samples 50 --output scaled",
    '"green cube" --count 8 --compare --preset published',
    "207 --var-ckpt var_d16.pth --vae-ckpt vae_ch160v4096z32.pth --preview all",
    "88 979 --model hf:jiaosiyu1999/FlexVAR --depth 24 --published --patch-numbers 1,2,3,4,5,7,10,13,16",
    "88 --model hf:jiaosiyu1999/FlexVAR --depth 24 --size 512",
    "--repeat out/run.json --output again",
  ],
  run,
});

/** A run with nothing left to ask the command line for. */
export interface Plan {
  readonly place: ModelPlace;
  /** What is known of the model beside the options. */
  readonly loading?: Pick<LoadValues, "modelDepth" | "dtype">;
  readonly variants: readonly Variant[];
  /** The request for a model, hooks and signal apart. */
  readonly request: (model: Model) => GenerateRequest;
  /** Whether a grid is wanted; `undefined` leaves it to the number of images. */
  readonly grid: boolean | undefined;
  readonly columns: number;
  /** What the command line says of the picture that is edited. */
  readonly edit?: GivenEdit | undefined;
  /** What is repeated. */
  readonly record?: RunRecord;
}

async function run(args: Arguments<typeof OPTIONS>, io: Io): Promise<void> {
  const { options, operands } = args;
  const plan = options.repeat === undefined
    ? planOfOptions(options, { labels: operands, listed: options.labels })
    : await planOfRecord(options.repeat, args);
  await execute(plan, options, io);
}

/** Carries out a run: loads the model, generates, and writes images and record. */
export async function execute(plan: Plan, options: GenerateValues, io: Io): Promise<void> {
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
  const layout = new Layout(requests[0]!, plan);
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

/** What a run shows. */
interface Wanted {
  /** Labels, each by itself. */
  readonly labels?: readonly string[];
  /** Labels between commas; for a model that takes texts, which may have commas too, a single one. */
  readonly listed?: string | undefined;
  /** What is edited, if anything. */
  readonly edit?: PlannedEdit;
}

/** A run as the options say. */
export function planOfOptions(options: GenerateValues, wanted: Wanted): Plan {
  const { labels = [], listed, edit } = wanted;
  const { compare, preview, count, seed, grid, columns, batch, memory } = options;
  if (compare && options.scaling === false) {
    throw new UsageError("Options --compare and --no-scaling exclude each other");
  }
  const hook = scalingHook(options, compare ?? false);
  const plain: Variant = { name: "plain", hooks: [] };
  const scaled = hook === undefined ? undefined : { name: "var-scaling", hooks: [hook] };
  return {
    place: modelPlace(options) ?? { folder: "demo" },
    variants: scaled === undefined ? [plain] : compare ? [plain, scaled] : [scaled],
    request: (model) => ({
      count,
      seed,
      ...samplingRequest(options),
      ...(batch === undefined ? {} : { batch }),
      ...(memory === undefined ? {} : { memory }),
      previews: preview ?? false,
      ...(edit === undefined ? {} : { edit: edit.request }),
      ...(labels.length === 0 && listed === undefined ? {} : {
        labels: [...labels, ...listedLabels(model, listed)].flatMap((label) => labelsOf(model, label)),
      }),
    }),
    grid,
    columns,
    edit: edit?.given,
  };
}

function listedLabels({ classes }: Model, listed: string | undefined): string[] {
  if (listed === undefined) return [];
  return classes === 0 ? [listed] : listed.split(",").map((label) => label.trim());
}

function labelsOf(model: Model, label: string): Label[] {
  if (label === "null") return [null];
  if (label !== "all") return [labelOf(model, label)];
  requireClasses(model, 'generate "all" classes');
  return Array.from({ length: model.classes }, (_, id) => id);
}

async function planOfRecord(path: string, args: Arguments<typeof OPTIONS>): Promise<Plan> {
  const record = await readRunRecord(path);
  const { options, given, operands } = args;
  const fixed = [...given].filter((name) => !WITH_REPEAT.has(name)).map(optionName);
  if (operands.length > 0) fixed.unshift("LABEL");
  if (fixed.length > 0) {
    throw new UsageError(`Cannot use ${list(fixed, "and")} with --repeat, which repeats a run as it was`);
  }
  const { labels, seed, batch, previews, edit, ...sampling } = record.request;
  const again = edit === undefined ? undefined : await recordedEdit(edit, path);
  return {
    place: modelPlace(options) ?? record.model.place,
    loading: {
      modelDepth: options.modelDepth ?? record.model.depth,
      dtype: record.model.dtype ?? options.dtype,
    },
    variants: recordedVariants(record),
    request: () => ({
      ...completeSampling(sampling),
      batch,
      previews,
      ...(again === undefined ? {} : { edit: again }),
      labels: labels.map(({ id, prompt }) => prompt ?? id),
      seed: typeof seed === "string" ? BigInt(seed) : seed,
    }),
    grid: options.grid ?? record.grid !== null,
    columns: given.has("columns") ? options.columns : record.grid?.columns ?? options.columns,
    edit: edit?.given,
    record,
  };
}

/** Everything about a finished run. */
async function recordOf(
  model: Model,
  plan: Plan,
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

/** File names of a run. */
class Layout {
  readonly #request: ResolvedRequest;
  readonly #variants: readonly Variant[];
  readonly #digits: number;

  constructor(request: ResolvedRequest, plan: Plan) {
    this.#request = request;
    this.#variants = plan.variants;
    this.#digits = Math.max(3, String(request.labels.length - 1).length);
  }

  /** Images of each variant. */
  get images(): number {
    return this.#request.labels.length;
  }

  /** Scales with a preview. */
  get previews(): ReadonlySet<number> {
    return this.#request.previews;
  }

  /**
   * `000_red-torus.png`, with the variant's name where there are several, and the scale's number for a
   * preview.
   */
  file(variant: string, index: number, scale?: number): string {
    const parts = [String(index).padStart(this.#digits, "0"), slug(this.#request.labels[index]!.name)];
    if (this.#variants.length > 1) parts.push(slug(variant));
    if (scale !== undefined) parts.push(`scale-${scale}`);
    return `${parts.join("_")}.png`;
  }

  /** All of them. */
  files(): string[] {
    return this.#variants.flatMap(({ name }) =>
      Array.from({ length: this.images }, (_, index) => [
        this.file(name, index),
        ...[...this.previews].map((scale) => this.file(name, index, scale)),
      ]).flat()
    );
  }
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
