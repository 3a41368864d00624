/**
 * A model of full size, stored and run in each way there is: time to load, seconds per image with guidance,
 * where they go, and memory; with a Python that has PyTorch, beside the same model there. Before anything is
 * timed, logits and a picture of given tokens are compared, so that all are known to compute the same thing.
 * Without checkpoints, synthetic ones of a family and a depth are written first.
 *
 *     deno run -A bench/model_report.ts [--family=var|flexvar] [--depth=16] [--size=N|WxH]
 *     [--dtype=f32,f16,q8,q4] [--on=wasm,native] [--batch=1] [--rounds=3] [--threads=N] [--scaling]
 *     [--compare=4] [--pytorch=PYTHON] [--output=FILE] [--checkpoints=out/checkpoints] [--var=FILE
 *     --vae=FILE]
 *
 * `--size` is for a family whose models paint several; `--on` names `wasm`, `native` and `webgpu`;
 * `--scaling` times VAR-Scaling, too; `--compare` is the number of scales whose logits are compared;
 * `--output` takes every figure as JSON. `--var` and `--vae` may name the same file. Each way runs in a
 * process of its own and takes turns with PyTorch alone.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { requireInteger } from "../kernels/arguments.ts";
import { percentile } from "../kernels/profile/profile.ts";
import { familyOfCheckpoints } from "../models/families.ts";
import { partPlaces } from "../models/part_places.ts";
import { storedBytes } from "../models/class_conditional/memory.ts";
import { type Dtype, DTYPES, openCheckpoint, type PictureSize } from "../models/mod.ts";
import type { ModelTensor } from "../models/weights/model_tensor.ts";
import { writeSynthetic } from "./checkpoint_writer.ts";
import { commitOf } from "./history.ts";
import type {
  CompareReport,
  CompareRequest,
  LoadReport,
  MemoryReport,
  ModelConfiguration,
  ModelFacts,
  TimeReport,
  TimeRequest,
  WorkerReport,
} from "./model_worker.ts";
import {
  parseSyntheticRequest,
  SYNTHETIC_FAMILIES,
  syntheticFiles,
  type SyntheticSizes,
} from "./synthetic_checkpoint.ts";
import { table } from "./tables.ts";

const PLACES = ["wasm", "native", "webgpu"] as const;

/** What the command line asks for. */
export interface ModelReportOptions {
  /** Paths of checkpoints, or family and depth of synthetic ones and the folder that has or gets them. */
  readonly checkpoints: { readonly var: string; readonly vae: string } | {
    readonly family: SyntheticSizes["family"];
    readonly depth: number;
    readonly folder: string;
  };
  /** Size of the pictures; the model's usual one by default. */
  readonly size: number | PictureSize | undefined;
  /** Types of the large weights. */
  readonly dtypes: readonly Dtype[];
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
  /** Scales whose logits are compared. */
  readonly compare: number;
  /** A Python that has PyTorch. */
  readonly pytorch: string | undefined;
  /** Path for every figure. */
  readonly output: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, or one checkpoint without the other, or checkpoints and what
 * others are made of.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parseModelReportOptions(args: readonly string[]): ModelReportOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      family: { type: "string" },
      depth: { type: "string" },
      checkpoints: { type: "string" },
      var: { type: "string" },
      vae: { type: "string" },
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
    },
  });
  const action = "report";
  const integer = (
    name: "depth" | "batch" | "rounds" | "threads" | "compare",
    text: string,
    max: number,
  ): number => {
    const value = Number(text);
    requireInteger(value, `--${name}`, action, { min: 1, max });
    return value;
  };
  if ((values.var === undefined) !== (values.vae === undefined)) {
    throw new TypeError(`Cannot ${action} as --var and --vae go together: one of them is missing`);
  }
  const { pytorch, output, scaling, family = "var", depth = "16" } = values;
  const made = (["family", "depth", "checkpoints"] as const).find((name) => values[name] !== undefined);
  if (values.var !== undefined && made !== undefined) {
    throw new TypeError(
      `Cannot ${action} with --${made} as it is for checkpoints that are made: --var is ${values.var}`,
    );
  }
  return {
    checkpoints: values.var !== undefined && values.vae !== undefined
      ? { var: values.var, vae: values.vae }
      : {
        family: word(family, "--family", SYNTHETIC_FAMILIES),
        depth: integer("depth", depth, 100),
        folder: values.checkpoints ?? join("out", "checkpoints"),
      },
    size: values.size === undefined ? undefined : sizeOf(values.size),
    dtypes: words(values.dtype, "--dtype", DTYPES),
    places: words(values.on, "--on", PLACES),
    batch: integer("batch", values.batch, 1000),
    rounds: integer("rounds", values.rounds, 1000),
    threads: integer("threads", values.threads, 1024),
    scaling,
    compare: integer("compare", values.compare, 100),
    pytorch,
    output,
  };
}

function words<Word extends string>(text: string, name: string, allowed: readonly Word[]): Word[] {
  return text.split(",").map((item) => word(item, name, allowed, ", separated by commas"));
}

function word<Word extends string>(text: string, name: string, allowed: readonly Word[], more = ""): Word {
  if ((allowed as readonly string[]).includes(text)) return text as Word;
  throw new RangeError(
    `Cannot report as ${name} must be of ${allowed.join(", ")}${more}: current value is "${text}"`,
  );
}

function sizeOf(text: string): number | PictureSize {
  const [, width, height] = /^([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?$/.exec(text) ?? [];
  if (width === undefined) {
    throw new RangeError(
      `Cannot report as --size must be a size in pixels, like "512" or "512x256": current value is "${text}"`,
    );
  }
  return height === undefined ? Number(width) : { width: Number(width), height: Number(height) };
}

/** What one way of running takes. Times are of batches, in milliseconds. */
export interface ModelRow {
  /** Type of the large weights. */
  readonly dtype: Dtype;
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
  /** The operating system and its release. */
  readonly os: string;
  /** The model, if it could be loaded in any way. */
  readonly model: ModelFacts | undefined;
  /** What was asked for. */
  readonly options: ModelReportOptions;
  /** What the others are compared with. */
  readonly reference: string;
  /** Standard deviation of its logits, to judge differences by. */
  readonly deviation: number;
  /** PyTorch, if it took part: its figures are of the turns with the first row that ran. */
  readonly peer: ModelRow | undefined;
  /** Each way of running. */
  readonly rows: readonly ModelRow[];
}

async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

/** A process that answers lines of JSON. */
class Answering implements AsyncDisposable {
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #answers: AsyncGenerator<string, void, void>;
  readonly #complaints: Promise<string[]>;
  /** The most memory it has told of. */
  peak: number | null = null;

  constructor(name: string, program: string, args: readonly string[]) {
    this.#name = name;
    this.#child = new Deno.Command(program, {
      args: [...args],
      env: { NO_COLOR: "1" },
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    this.#requests = this.#child.stdin.getWriter();
    this.#answers = lines(this.#child.stdout);
    this.#complaints = Array.fromAsync(lines(this.#child.stderr));
  }

  /** The next answer. */
  async answer<Answer extends MemoryReport>(): Promise<Answer> {
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done) throw new Error(`${this.#name} ended: ${await this.#reason()}`);
      // Libraries may have something to say, too.
      if (!value.startsWith("{")) continue;
      const answer = JSON.parse(value) as Answer;
      this.peak = answer.peak;
      return answer;
    }
  }

  /** Sends a request and waits for its answer. */
  async ask<Answer extends MemoryReport>(request: TimeRequest | CompareRequest): Promise<Answer> {
    // If the process has ended, the answer that does not come tells why.
    await this.#requests.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`)).catch(() => {});
    return await this.answer<Answer>();
  }

  async #reason(): Promise<string> {
    const complaints = await this.#complaints;
    const { code, signal } = await this.#child.status;
    // Deno begins with the error, Python ends with it.
    const line = complaints.find((line) => line.startsWith("error: ")) ?? complaints.findLast(Boolean);
    return line?.replace(/^error: (Uncaught )?(\(in promise\) )?/, "") ?? `${signal ?? `code ${code}`}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#answers.return();
    await this.#complaints;
    await this.#child.status;
  }
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
      const off = Math.abs(one.values[i]! - other.values[i]!);
      // Not a number is the largest difference of all.
      if (!(off <= most)) most = off;
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
  readonly options: ModelReportOptions;
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

/** Paths of the checkpoints; synthetic ones are written if they are not there. */
async function findCheckpoints(
  { checkpoints }: ModelReportOptions,
): Promise<{ readonly var: string; readonly vae: string }> {
  if ("var" in checkpoints) return checkpoints;
  const { family, depth, folder } = checkpoints;
  const request = [`--family=${family}`, `--depth=${depth}`, `--output=${folder}`];
  const { sizes, parts } = parseSyntheticRequest(request);
  await Deno.mkdir(folder, { recursive: true });
  const paths: string[] = [];
  for (const { name, state } of syntheticFiles(sizes, { parts })) {
    const path = join(folder, name);
    paths.push(path);
    try {
      await writeSynthetic(path, state);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  return { var: paths[0]!, vae: paths[1]! };
}

/** What only encoding needs of a tokenizer. */
const ENCODER = /^(encoder|quant_conv)\./;

/** Tensors that generation uses, named as a model folder names them. */
async function usedTensors(places: { readonly var: string; readonly vae: string }): Promise<ModelTensor[]> {
  using transformer = await openCheckpoint(places.var);
  using tokenizer = await openCheckpoint(places.vae);
  const checkpoints: Readonly<Record<string, typeof transformer>> = { var: transformer, vae: tokenizer };
  const { parts } = familyOfCheckpoints(checkpoints);
  return parts.flatMap((part, i) => {
    const [place] = partPlaces(parts, checkpoints[part.name]!)[i]!;
    return Array.from(place!.tensors, ([name, { shape }]) => ({ name, shape }))
      .filter(({ name }) => !part.unused.test(name) && !ENCODER.test(name));
  });
}

/**
 * Classes that the timed batches show, and tokens for the comparison: any will do, as long as all get the
 * same.
 */
function taskOf(model: ModelFacts, options: ModelReportOptions, output: string): Task {
  const labels = Array.from({ length: options.batch }, (_, i) => (207 + 373 * i) % model.classes);
  const tokens = model.scales.slice(0, options.compare).map(({ width, height }, scale) =>
    labels.map((_, image) =>
      Array.from(
        { length: width * height },
        (_, i) => (1 + 7919 * i + 104729 * (scale + image)) % model.logits,
      )
    )
  );
  return {
    model,
    request: { kind: "time", labels, seed: 0, scaling: false },
    comparison: { kind: "compare", labels, tokens, output },
  };
}

/** Starts PyTorch, which is told the token maps, and lets it show its values and a first batch. */
async function startPyTorch(
  python: string,
  { checkpoints, task, tensors, threads }: {
    readonly checkpoints: { readonly var: string; readonly vae: string };
    readonly task: Task;
    readonly tensors: readonly ModelTensor[];
    readonly threads: number;
  },
): Promise<{ process: Answering; row: ModelRow; reference: Reference }> {
  await using stack = new AsyncDisposableStack();
  const args = ["-B", pathOf("./pytorch_model.py"), checkpoints.var, checkpoints.vae];
  const scales = JSON.stringify(task.model.scales);
  const process = stack.use(new Answering("PyTorch", python, [...args, scales, `--threads=${threads}`]));
  const load = await process.answer<LoadReport>();
  const reference = await compare(process, load.name, task);
  const row: ModelRow = {
    ...{ dtype: "f32", place: "PyTorch", weights: storedBytes(tensors, "f32"), load },
    first: await process.ask<TimeReport>(task.request),
  };
  stack.move();
  return { process, row, reference };
}

/** Measures everything that is asked for. */
export async function measureModel(
  options: ModelReportOptions,
  progress: (line: string) => void = () => {},
): Promise<ModelRecord> {
  const date = new Date().toISOString();
  const checkpoints = await findCheckpoints(options);
  const tensors = await usedTensors(checkpoints);
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
        const { size, threads } = options;
        const configuration: ModelConfiguration = { ...checkpoints, size, dtype, place, threads };
        const way = { dtype, place, weights: storedBytes(tensors, dtype) };
        await using process = new Answering(`The process on ${place}`, Deno.execPath(), [
          ...["run", "-A", "--no-lock", pathOf("./model_worker.ts"), JSON.stringify(configuration)],
        ]);
        const report = await process.answer<WorkerReport>().catch((error: Error) => error);
        if (report instanceof Error) {
          rows.push({ ...way, problem: report.message });
          continue;
        }
        const { model, ...load } = report;
        task ??= taskOf(model, options, join(folder, "values"));
        if (options.pytorch !== undefined && peer === undefined) {
          progress("PyTorch");
          const started = await startPyTorch(options.pytorch, { checkpoints, task, tensors, threads });
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
      ...{ os: `${Deno.build.os} ${Deno.osRelease()}`, model: task?.model, options },
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
    `${rounds}; Deno ${record.deno}, ${record.os}`,
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

if (import.meta.main) {
  const options = parseModelReportOptions(Deno.args);
  const record = await measureModel(options, (line) => console.error(line));
  console.log(formatModelRecord(record));
  if (options.output !== undefined) {
    await Deno.writeTextFile(options.output, JSON.stringify(record, undefined, 2) + "\n");
  }
}
