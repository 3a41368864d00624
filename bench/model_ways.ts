/**
 * A model stored and run in each way there is, whatever its family: processes that load it and answer, what
 * is asked of them, in turns with PyTorch, and the tables of what they take. `model_report.ts` and
 * `infinity_report.ts` say which models, and what they paint.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requireInteger } from "../kernels/arguments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { familyOfCheckpoints } from "../models/families.ts";
import { type Checkpoint, DTYPES, type KeptDtype, openCheckpoint, type PictureSize } from "../models/mod.ts";
import { partPlaces } from "../models/part_places.ts";
import { bytesAs } from "../models/weights/model_tensor.ts";
import { Answering } from "./answering.ts";
import { commitOf } from "./history.ts";
import { formatMachine, type Machine, thisMachine } from "./machine.ts";
import type {
  CompareReport,
  CompareRequest,
  LoadReport,
  ModelConfiguration,
  ModelFacts,
  TimeReport,
  TimeRequest,
  WorkerReport,
} from "./model_worker.ts";
import { table } from "./tables.ts";

/** Where a model may run. */
export const PLACES = ["wasm", "native", "webgpu"] as const satisfies ModelConfiguration["place"][];

/** In which ways to run a model, and what to measure. */
export interface WayOptions {
  /** Size of the pictures; the model's usual one by default. */
  readonly size: ModelConfiguration["size"];
  /** Types of the large weights; `"int8"` for products of integers. */
  readonly dtypes: readonly KeptDtype[];
  /** Where to run. */
  readonly places: readonly ModelConfiguration["place"][];
  /** Images at a time. */
  readonly batch: number;
  /** Batches that are timed, the first one apart. */
  readonly rounds: number;
  /** Threads on the CPU, PyTorch's included. */
  readonly threads: number;
  /** Whether VAR-Scaling is timed, too. */
  readonly scaling: boolean;
  /** A Python that has PyTorch. */
  readonly pytorch: string | undefined;
}

/** What a report is asked for beside the ways. */
export interface ReportOptions extends WayOptions {
  /** Scales whose logits are compared. */
  readonly compare: number;
  /** Path for every figure. */
  readonly output: string | undefined;
  /** Whether a line for this machine is added to the table of machines. */
  readonly json: boolean;
}

/** How large weights may be kept. */
const KEPT_DTYPES: readonly KeptDtype[] = [...DTYPES, "int8"];

/** Options of a report's command line, as `parseArgs` takes them. */
export const REPORT_ARGUMENTS = {
  size: { type: "string" },
  dtype: { type: "string", default: DTYPES.join() },
  on: { type: "string", default: "wasm,native" },
  batch: { type: "string", default: "1" },
  rounds: { type: "string", default: "3" },
  threads: { type: "string", default: `${navigator.hardwareConcurrency}` },
  scaling: { type: "boolean", default: false },
  compare: { type: "string", default: "4" },
  pytorch: { type: "string" },
  output: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

/** Values of {@linkcode REPORT_ARGUMENTS}. */
interface ReportValues {
  readonly size?: string | undefined;
  readonly dtype: string;
  readonly on: string;
  readonly batch: string;
  readonly rounds: string;
  readonly threads: string;
  readonly scaling: boolean;
  readonly compare: string;
  readonly pytorch?: string | undefined;
  readonly output?: string | undefined;
  readonly json: boolean;
}

/**
 * Reads what the command line of a report says.
 *
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function reportOptions(values: ReportValues, action: string): ReportOptions {
  const integer = (name: "batch" | "rounds" | "threads" | "compare", max: number): number => {
    return requireInteger(Number(values[name]), `--${name}`, action, { min: 1, max });
  };
  const { size, scaling, pytorch, output, json } = values;
  return {
    size: size === undefined ? undefined : sizeOf(size),
    dtypes: words(values.dtype, "--dtype", KEPT_DTYPES),
    places: words(values.on, "--on", PLACES),
    batch: integer("batch", 1000),
    rounds: integer("rounds", 1000),
    threads: integer("threads", 1024),
    compare: integer("compare", 100),
    ...{ scaling, pytorch, output, json },
  };
}

/** A model of a family, and what it paints. */
export interface Subject {
  /** Paths of its checkpoints, by part. */
  readonly checkpoints: ModelConfiguration["checkpoints"];
  /** Bytes of the weights that generation uses when the large ones are of a type. */
  readonly bytes: (dtype: KeptDtype) => number;
  /** What the timed batches show, and the tokens of the comparison. */
  readonly task: (model: ModelFacts) => Pick<CompareRequest, "labels" | "tokens">;
  /** File of the program that runs it in PyTorch, beside this one, and its arguments but for the scales. */
  readonly peer: readonly [file: string, ...args: string[]];
}

/** What only encoding needs of a tokenizer. */
const ENCODER = /^(encoder|quant_conv)\./;

/** Bytes of the weights that generation uses, as they are stored when the large ones are of a type. */
export async function weightBytes(
  places: Readonly<Record<string, string>>,
): Promise<(dtype: KeptDtype) => number> {
  using stack = new DisposableStack();
  const checkpoints: Record<string, Checkpoint> = {};
  for (const [part, place] of Object.entries(places)) {
    checkpoints[part] = stack.use(await openCheckpoint(place));
  }
  const family = familyOfCheckpoints(checkpoints);
  const tensors = family.parts.flatMap((part, i) => {
    const checkpoint = checkpoints[part.name];
    const [place] = checkpoint === undefined ? [] : partPlaces(family.parts, checkpoint)[i]!;
    return Array.from(place?.tensors ?? [], ([name, { shape }]) => ({ name, shape }))
      .filter(({ name }) => !part.unused.test(name) && !(part.name === "vae" && ENCODER.test(name)));
  });
  return (dtype) => {
    return tensors.reduce((sum, { name, shape }) => {
      return sum + bytesAs(shape, family.storedDtype(name, shape, dtype));
    }, 0);
  };
}

/** What one way of running takes. Times are of batches, in milliseconds. */
export interface ModelRow {
  /** Type of the large weights. */
  readonly dtype: KeptDtype;
  /** Where it runs. */
  readonly place: ModelConfiguration["place"] | "PyTorch";
  /** Why there are no figures. */
  readonly problem?: string;
  /** Bytes of the weights that generation uses, as they are stored. */
  readonly weights: number;
  /** Loading. */
  readonly load?: LoadReport;
  /** The first batch of the process. */
  readonly first?: TimeReport;
  /** The batches after it. */
  readonly rounds?: readonly TimeReport[];
  /** Those with VAR-Scaling, right after each of them. */
  readonly scaled?: readonly TimeReport[];
  /** PyTorch's, in turns with them. */
  readonly peer?: readonly TimeReport[];
  /** Largest differences from the row that others are compared with. */
  readonly off?: { readonly logits: number; readonly image: number };
  /** The most memory of the process, in bytes. */
  readonly peak?: number | null;
}

/** Every figure of a run. */
export interface ModelRecord {
  /** When it began, ISO 8601. */
  readonly date: string;
  /** The commit, followed by `+` if files had been changed since, or `null` without git. */
  readonly commit: string | null;
  /** Version of Deno. */
  readonly deno: string;
  /** The machine. */
  readonly machine: Machine;
  /** The model, if it could be loaded in any way. */
  readonly model: ModelFacts | undefined;
  /** What was asked for. */
  readonly options: WayOptions;
  /** What the others are compared with. */
  readonly reference: string;
  /** Standard deviation of its logits, to judge differences by. */
  readonly deviation: number;
  /** PyTorch, if it took part: its figures are of the turns with the first row that ran. */
  readonly peer: ModelRow | undefined;
  /** Each way of running. */
  readonly rows: readonly ModelRow[];
}

/** What the turns of one run have in common. */
interface Task {
  readonly model: ModelFacts;
  readonly request: TimeRequest;
  readonly comparison: CompareRequest;
}

/** Logits and pixels of the comparison, of whoever came first. */
interface Reference {
  readonly name: string;
  readonly values: Float32Array;
  readonly sizes: readonly number[];
}

async function compare(
  process: Answering,
  name: string,
  { comparison, model }: Task,
): Promise<Reference> {
  const { sizes } = await process.ask<CompareReport>(comparison);
  const wanted = comparison.tokens.map((scale) => 2 * model.logits * scale.flat().length);
  if (`${sizes.slice(0, -1)}` !== `${wanted}`) {
    throw new Error(
      `Cannot compare as each scale must have ${wanted} logits: ${name} has ${sizes.slice(0, -1)}`,
    );
  }
  const bytes = await Deno.readFile(comparison.output);
  return { name, sizes, values: new Float32Array(bytes.buffer) };
}

function differences(one: Reference, other: Reference): { logits: number; image: number } {
  if (one.sizes.join() !== other.sizes.join()) {
    throw new Error(
      `Cannot compare as ${one.name} has values ${one.sizes}, and ${other.name} ${other.sizes}`,
    );
  }
  const logits = one.values.length - one.sizes.at(-1)!;
  const largest = (begin: number, end: number): number => {
    let most = 0;
    for (let i = begin; i < end; i++) {
      // What is no number stays so.
      most = Math.max(most, Math.abs(one.values[i]! - other.values[i]!));
    }
    return most;
  };
  return { logits: largest(0, logits), image: largest(logits, one.values.length) };
}

function deviationOf({ values, sizes }: Reference): number {
  const logits = values.subarray(0, values.length - sizes.at(-1)!);
  const mean = logits.reduce((sum, value) => sum + value, 0) / logits.length;
  return Math.sqrt(logits.reduce((sum, value) => sum + (value - mean) ** 2, 0) / logits.length);
}

/** A process that has loaded the model, the others that it is held against, and what is asked of it. */
interface Candidate {
  readonly name: string;
  readonly process: Answering;
  readonly task: Task;
  readonly peer: Answering | undefined;
  readonly reference: Reference | undefined;
  readonly options: WayOptions;
}

/** Compares and times a process, in turns with PyTorch. */
async function measure(
  { name, process, task, peer, reference, options }: Candidate,
): Promise<{ figures: Partial<ModelRow>; reference: Reference }> {
  const { request } = task;
  const { rounds, scaling } = options;
  const result = await compare(process, name, task);
  const off = reference === undefined ? undefined : differences(reference, result);
  const first = await process.ask<TimeReport>(request);
  const times = { own: [] as TimeReport[], scaled: [] as TimeReport[], peer: [] as TimeReport[] };
  for (let round = 0; round < rounds; round++) {
    const turns: (() => Promise<unknown>)[] = [
      async () => times.own.push(await process.ask<TimeReport>({ ...request, seed: round })),
    ];
    if (scaling) {
      turns.push(async () => {
        times.scaled.push(await process.ask<TimeReport>({ ...request, seed: round, scaling }));
      });
    }
    if (peer !== undefined) turns.push(async () => times.peer.push(await peer.ask<TimeReport>(request)));
    if (round % 2 === 1) turns.reverse();
    for (const turn of turns) await turn();
  }
  const figures = {
    ...{ first, rounds: times.own, peak: process.peak },
    ...(scaling ? { scaled: times.scaled } : {}),
    ...(peer === undefined ? {} : { peer: times.peer }),
    ...(off === undefined ? {} : { off }),
  };
  return { figures, reference: reference ?? result };
}

function taskOf(subject: Subject, model: ModelFacts, output: string): Task {
  const { labels, tokens } = subject.task(model);
  return {
    model,
    request: { kind: "time", labels, seed: 0, scaling: false },
    comparison: { kind: "compare", labels, tokens, output },
  };
}

/** Starts PyTorch, which is told the token maps, and lets it show its values and a first batch. */
async function startPyTorch(
  python: string,
  { subject, task, threads }: {
    readonly subject: Subject;
    readonly task: Task;
    readonly threads: number;
  },
): Promise<{ process: Answering; row: ModelRow; reference: Reference }> {
  await using stack = new AsyncDisposableStack();
  const [file, ...places] = subject.peer;
  const args = ["-B", pathOf(file), ...places];
  const scales = JSON.stringify(task.model.scales);
  const process = stack.use(new Answering("PyTorch", python, [...args, scales, `--threads=${threads}`]));
  const load = await process.answer<LoadReport>();
  const reference = await compare(process, load.name, task);
  const row: ModelRow = {
    ...{ dtype: "f32", place: "PyTorch", weights: subject.bytes("f32"), load },
    first: await process.ask<TimeReport>(task.request),
  };
  stack.move();
  return { process, row, reference };
}

/** Measures a model in every way that is asked for. */
export async function measureWays(
  subject: Subject,
  options: WayOptions,
  progress: (line: string) => void = () => {},
): Promise<ModelRecord> {
  const date = new Date().toISOString();
  const folder = await Deno.makeTempDir({ prefix: "varscale-bench-" });
  try {
    await using stack = new AsyncDisposableStack();
    let task: Task | undefined;
    let reference: Reference | undefined;
    let peer: Answering | undefined;
    let peerRow: ModelRow | undefined;
    const rows: ModelRow[] = [];
    for (const place of options.places) {
      for (const dtype of options.dtypes) {
        const name = `${dtype} on ${place}`;
        progress(name);
        const [{ checkpoints }, { size, threads }] = [subject, options];
        const configuration: ModelConfiguration = { checkpoints, size, dtype, place, threads };
        const way = { dtype, place, weights: subject.bytes(dtype) };
        await using process = new Answering(`The process on ${place}`, Deno.execPath(), [
          ...["run", "-A", "--no-lock", pathOf("./model_worker.ts"), JSON.stringify(configuration)],
        ]);
        const report = await process.answer<WorkerReport>().catch((error: Error) => error);
        if (report instanceof Error) {
          rows.push({ ...way, problem: report.message });
          continue;
        }
        const { model, ...load } = report;
        task ??= taskOf(subject, model, join(folder, "values"));
        if (options.pytorch !== undefined && peer === undefined) {
          progress("PyTorch");
          const started = await startPyTorch(options.pytorch, { subject, task, threads });
          ({ row: peerRow, reference } = started);
          peer = stack.use(started.process);
        }
        try {
          const measured = await measure({ name, process, task, peer, reference, options });
          reference = measured.reference;
          rows.push({ ...way, load, ...measured.figures });
        } catch (error) {
          rows.push({ ...way, load, problem: (error as Error).message });
        }
      }
    }
    const turns = rows.find((row) => row.peer !== undefined)?.peer;
    return {
      ...{ date, commit: await commitOf(new URL("..", import.meta.url)), deno: Deno.version.deno },
      ...{ machine: await thisMachine(), model: task?.model, options },
      reference: reference?.name ?? "nothing",
      deviation: reference === undefined ? NaN : deviationOf(reference),
      peer: peerRow && { ...peerRow, peak: peer!.peak, ...(turns === undefined ? {} : { rounds: turns }) },
      rows,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function median(reports: readonly TimeReport[], of: (report: TimeReport) => number): number {
  return percentile(reports.map(of), 0.5);
}

/** A model and the size of its pictures. */
function named(model: ModelFacts | undefined): string {
  if (model === undefined) return "A model that could not be loaded";
  const { width, height } = model.scales.at(-1)!.picture;
  return `${model.name} at ${width}×${height}`;
}

/** The record as Markdown: times and memory of each way, then where the time goes. */
export function formatModelRecord(record: ModelRecord): string {
  const { options: { batch, rounds, threads, scaling }, model, reference, deviation } = record;
  const rows = record.peer === undefined ? record.rows : [record.peer, ...record.rows];
  const counted = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? "" : "s"}`;
  const head = [
    `${named(model)}, ${counted(batch, "image")} with guidance, ${counted(threads, "thread")}, medians of ` +
    `${rounds}; Deno ${record.deno}`,
    formatMachine(record.machine),
    `Logits (standard deviation ${deviation.toFixed(2)}) and pixels are compared with ${reference}'s`,
  ];
  const maps = (model?.scales ?? []).map(({ width, height }) => `${width}×${height}`);
  const onGpu = rows.some(({ load }) => load?.gpu);
  const seconds = (milliseconds: number): string => (milliseconds / 1000).toPrecision(3);
  const perImage = (milliseconds: number): string => seconds(milliseconds / batch);
  const gigabytes = (bytes: number | null | undefined): string => bytes ? (bytes / 1e9).toFixed(2) : "";
  const figures = rows.map(
    ({ dtype, place, weights, problem, load, first, rounds: turns, scaled, peer, off, peak }) => {
      if (load === undefined || turns === undefined) {
        return [`${dtype} on ${place}: ${problem ?? "no turn"}`, gigabytes(weights)];
      }
      const total = median(turns, (turn) => turn.total);
      const totals = turns.map((turn) => turn.total);
      const ratio = peer?.length
        ? percentile(turns.map((turn, i) => turn.total / peer[i]!.total), 0.5).toFixed(2) + "×"
        : "";
      return [
        ...[`${dtype} on ${place}`, gigabytes(weights)],
        ...[seconds(load.load), seconds(first!.total), perImage(total)],
        `${perImage(Math.min(...totals))}–${perImage(Math.max(...totals))}`,
        ...(scaling ? [scaled === undefined ? "" : perImage(median(scaled, (turn) => turn.total))] : []),
        ...[ratio, gigabytes(load.resident), gigabytes(peak)],
        ...(onGpu ? [gigabytes(load.gpu)] : []),
        ...(off === undefined ? ["", ""] : [off.logits.toExponential(1), off.image.toExponential(1)]),
      ];
    },
  );
  const parts = rows.flatMap(({ dtype, place, rounds: turns }) => {
    if (turns === undefined) return [];
    return [[
      `${dtype} on ${place}`,
      seconds(median(turns, (turn) => turn.condition)),
      ...maps.map((_, scale) => seconds(median(turns, (turn) => turn.scales[scale]!))),
      seconds(median(turns, (turn) => turn.decode)),
    ]];
  });
  const heads = [
    ...["weights", "GB", "load s", "first s", "s per image", "range"],
    ...(scaling ? ["VAR-Scaling"] : []),
    ...["/ PyTorch", "GB loaded", "GB at most"],
    ...(onGpu ? ["GB on the GPU"] : []),
    ...["logits off by", "pixels off by"],
  ];
  return [
    ...head,
    table(heads, figures.map((cells) => heads.map((_, i) => cells[i] ?? "")), 1),
    "Seconds of a batch, by part:",
    table(["weights", "condition", ...maps, "decode"], parts, 1),
  ].join("\n\n");
}

/**
 * Reads a list of words of a command line.
 *
 * @throws {RangeError} If one of them is none of those that are allowed.
 */
export function words<Word extends string>(text: string, name: string, allowed: readonly Word[]): Word[] {
  return text.split(",").map((item) => word(item, name, allowed, ", separated by commas"));
}

/**
 * Reads a word of a command line.
 *
 * @throws {RangeError} If it is none of those that are allowed.
 */
export function word<Word extends string>(
  text: string,
  name: string,
  allowed: readonly Word[],
  more = "",
): Word {
  if ((allowed as readonly string[]).includes(text)) return text as Word;
  throw new RangeError(
    `Cannot report as ${name} must be of ${allowed.join(", ")}${more}: current value is "${text}"`,
  );
}

/**
 * Reads a size of pictures of a command line.
 *
 * @throws {RangeError} If it is none.
 */
export function sizeOf(text: string): number | PictureSize {
  const [, width, height] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (width === undefined) {
    throw new RangeError(
      `Cannot report as --size must be a size in pixels, like "512" or "512x256": current value is "${text}"`,
    );
  }
  return height === undefined ? Number(width) : { width: Number(width), height: Number(height) };
}
