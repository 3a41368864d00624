/**
 * A VAR model of full size, stored and run in each way there is: time to load, seconds per image with guidance, where they go, and memory;
 * with a Python that has PyTorch, beside the same model there. Before anything is timed, logits and a picture of given tokens are
 * compared, so that all are known to compute the same thing. Without checkpoints, synthetic ones of the depth are written first.
 *
 *     deno run -A bench/var_report.ts [--depth=16] [--dtype=f32,f16,q8,q4] [--on=wasm,native] [--batch=1] [--rounds=3]
 *                                     [--threads=N] [--scaling] [--compare=4] [--pytorch=PYTHON] [--output=FILE]
 *                                     [--checkpoints=out/checkpoints] [--var=FILE --vae=FILE]
 *
 * `--on` names `wasm`, `native` and `webgpu`; `--scaling` times VAR-Scaling, too; `--compare` is the number of scales whose logits are
 * compared; `--output` takes every figure as JSON. Each way runs in a process of its own and takes turns with PyTorch alone.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { requireInteger } from "../kernels/mod.ts";
import { percentile } from "../kernels/profile.ts";
import { type Dtype, DTYPES, openCheckpoint } from "../models/mod.ts";
import { type ModelTensor, storedBytes } from "../models/var/memory.ts";
import { commitOf } from "./history.ts";
import {
  fileNames,
  parseSyntheticRequest,
  vaeTensors,
  varTensors,
  writeSynthetic,
} from "./synthetic_checkpoint.ts";
import { table } from "./tables.ts";
import type {
  CompareReport,
  CompareRequest,
  LoadReport,
  MemoryReport,
  TimeReport,
  TimeRequest,
  VarConfiguration,
} from "./var_worker.ts";

const PLACES = ["wasm", "native", "webgpu"] as const;

/** What the command line asks for. */
export interface VarReportOptions {
  /** Paths of checkpoints, or the depth of synthetic ones and the folder that has or gets them. */
  readonly checkpoints: { readonly var: string; readonly vae: string } | {
    readonly depth: number;
    readonly folder: string;
  };
  /** Types of the large weights. */
  readonly dtypes: readonly Dtype[];
  /** Where to run. */
  readonly places: readonly VarConfiguration["place"][];
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
 * @throws {TypeError} If it has unknown options, or one checkpoint without the other.
 * @throws {RangeError} If a number or a word is none of those that are allowed.
 */
export function parseVarReportOptions(args: readonly string[]): VarReportOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      depth: { type: "string", default: "16" },
      checkpoints: { type: "string", default: join("out", "checkpoints") },
      var: { type: "string" },
      vae: { type: "string" },
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
  const integer = (name: "depth" | "batch" | "rounds" | "threads" | "compare", max: number): number => {
    const value = Number(values[name]);
    requireInteger(value, `--${name}`, action, { min: 1, max });
    return value;
  };
  if ((values.var === undefined) !== (values.vae === undefined)) {
    throw new TypeError(`Cannot ${action} as --var and --vae go together: one of them is missing`);
  }
  const { pytorch, output, scaling } = values;
  return {
    checkpoints: values.var !== undefined && values.vae !== undefined
      ? { var: values.var, vae: values.vae }
      : { depth: integer("depth", 100), folder: values.checkpoints },
    dtypes: words(values.dtype, "--dtype", DTYPES),
    places: words(values.on, "--on", PLACES),
    batch: integer("batch", 1000),
    rounds: integer("rounds", 1000),
    threads: integer("threads", 1024),
    scaling,
    compare: integer("compare", 100),
    pytorch,
    output,
  };
}

function words<Word extends string>(text: string, name: string, allowed: readonly Word[]): Word[] {
  return text.split(",").map((word) => {
    if ((allowed as readonly string[]).includes(word)) return word as Word;
    throw new RangeError(
      `Cannot report as ${name} must be of ${
        allowed.join(", ")
      }, separated by commas: current value is "${text}"`,
    );
  });
}

/** What one way of running takes. Times are of batches, in milliseconds. */
export interface VarRow {
  /** Type of the large weights. */
  readonly dtype: Dtype;
  /** Where it runs. */
  readonly place: VarConfiguration["place"] | "PyTorch";
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
export interface VarRecord {
  /** When it began, ISO 8601. */
  readonly date: string;
  /** The commit, followed by `+` if files had been changed since, or `null` without git. */
  readonly commit: string | null;
  /** Version of Deno. */
  readonly deno: string;
  /** The operating system and its release. */
  readonly os: string;
  /** Depth of the transformer. */
  readonly depth: number;
  /** Sides of the token maps. */
  readonly patchNumbers: readonly number[];
  /** What was asked for. */
  readonly options: VarReportOptions;
  /** What the others are compared with. */
  readonly reference: string;
  /** Standard deviation of its logits, to judge differences by. */
  readonly deviation: number;
  /** PyTorch, if it took part: its figures are of the turns with the first row that ran. */
  readonly peer: VarRow | undefined;
  /** Each way of running. */
  readonly rows: readonly VarRow[];
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
  readonly options: VarReportOptions;
  readonly checkpoints: { readonly var: string; readonly vae: string };
  readonly request: TimeRequest;
  readonly comparison: CompareRequest;
  readonly vocabulary: number;
  /** What generation uses. */
  readonly tensors: readonly ModelTensor[];
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
  { comparison, vocabulary }: Task,
): Promise<Reference> {
  const { sizes } = await process.ask<CompareReport>(comparison);
  const wanted = comparison.tokens.map((scale) => 2 * vocabulary * scale.flat().length);
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

/** Runs one way in a process of its own, in turns with PyTorch. */
async function measure(
  configuration: VarConfiguration,
  task: Task,
  beside: { peer: Answering | undefined; reference: Reference | undefined },
): Promise<{ row: VarRow; reference: Reference | undefined }> {
  const { dtype, place } = configuration;
  const { options: { rounds, scaling }, request } = task;
  const { peer } = beside;
  const way = { dtype, place, weights: storedBytes(task.tensors, dtype) };
  const worker = fileURLToPath(new URL("./var_worker.ts", import.meta.url));
  await using process = new Answering(`The process on ${place}`, Deno.execPath(), [
    ...["run", "-A", "--no-lock", worker, JSON.stringify(configuration)],
  ]);
  let reference = beside.reference;
  try {
    const load = await process.answer<LoadReport>();
    const result = await compare(process, `${dtype} on ${place}`, task);
    const off = reference === undefined ? undefined : differences(reference, result);
    reference ??= result;
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
    const row: VarRow = {
      ...{ ...way, load, first, rounds: times.own, peak: process.peak },
      ...(scaling ? { scaled: times.scaled } : {}),
      ...(peer === undefined ? {} : { peer: times.peer }),
      ...(off === undefined ? {} : { off }),
    };
    return { row, reference };
  } catch (error) {
    return { row: { ...way, problem: (error as Error).message }, reference };
  }
}

/** Paths of the checkpoints; synthetic ones are written if they are not there. */
async function findCheckpoints({ checkpoints }: VarReportOptions): Promise<Task["checkpoints"]> {
  if ("var" in checkpoints) return checkpoints;
  const { depth, folder } = checkpoints;
  const { sizes } = parseSyntheticRequest([`--depth=${depth}`, `--output=${folder}`]);
  const names = fileNames(sizes);
  const paths = { var: join(folder, names.var), vae: join(folder, names.vae) };
  await Deno.mkdir(folder, { recursive: true });
  for (const [path, tensors] of [[paths.var, varTensors], [paths.vae, vaeTensors]] as const) {
    try {
      await writeSynthetic(path, tensors(sizes));
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
  return paths;
}

/** Tensors that generation has no use for: buffers of the training, and the tokenizer's encoder. */
const UNUSED =
  /^(lvl_1L|attn_bias_for_masking|.*zero_k_bias|quantize\.ema_vocab_hit_SV|encoder\..*|quant_conv\..*)$/;

/** Classes that the timed batches show, and tokens for the comparison: any will do, as long as all get the same. */
async function taskOf(
  options: VarReportOptions,
  output: string,
): Promise<Task & { depth: number; sides: number[] }> {
  const checkpoints = await findCheckpoints(options);
  using transformer = await openCheckpoint(checkpoints.var);
  using tokenizer = await openCheckpoint(checkpoints.vae);
  const scales = await transformer.readFloat32("lvl_1L");
  const counts = Object.values(Object.groupBy(scales, String)).map((group) => group!.length);
  const classes = transformer.tensors.get("class_emb.weight")!.shape[0]! - 1;
  const [vocabulary] = tokenizer.tensors.get("quantize.embedding.weight")!.shape;
  const labels = Array.from({ length: options.batch }, (_, i) => (207 + 373 * i) % classes);
  const tokens = counts.slice(0, options.compare).map((count, scale) =>
    labels.map((_, image) =>
      Array.from({ length: count }, (_, i) => (1 + 7919 * i + 104729 * (scale + image)) % vocabulary!)
    )
  );
  return {
    options,
    checkpoints,
    request: { kind: "time", labels, seed: 0, cfg: 1.5, topK: 900, topP: 0.96, scaling: false },
    comparison: { kind: "compare", labels, tokens, output },
    vocabulary: vocabulary!,
    tensors: [transformer, tokenizer].flatMap(({ tensors }) =>
      [...tensors.values()].filter(({ name }) => !UNUSED.test(name))
    ),
    depth: new Set(
      [...transformer.tensors.keys()].flatMap((name) => name.match(/^blocks\.(\d+)\./)?.[1] ?? []),
    ).size,
    sides: counts.map(Math.sqrt),
  };
}

/** Measures everything that is asked for. */
export async function measureVar(
  options: VarReportOptions,
  progress: (line: string) => void = () => {},
): Promise<VarRecord> {
  const date = new Date().toISOString();
  const folder = await Deno.makeTempDir({ prefix: "varscale-bench-" });
  try {
    const { depth, sides, ...task } = await taskOf(options, join(folder, "values"));
    const { checkpoints, request } = task;
    await using stack = new AsyncDisposableStack();
    let reference: Reference | undefined;
    let peer: Answering | undefined;
    let peerRow: VarRow | undefined;
    if (options.pytorch !== undefined) {
      progress("PyTorch");
      const program = fileURLToPath(new URL("./pytorch_var.py", import.meta.url));
      const args = ["-B", program, checkpoints.var, checkpoints.vae, `--threads=${options.threads}`];
      peer = stack.use(new Answering("PyTorch", options.pytorch, args));
      const load = await peer.answer<LoadReport>();
      reference = await compare(peer, load.name, task);
      peerRow = {
        ...{ dtype: "f32", place: "PyTorch", weights: storedBytes(task.tensors, "f32"), load },
        first: await peer.ask<TimeReport>(request),
      };
    }
    const rows: VarRow[] = [];
    for (const place of options.places) {
      for (const dtype of options.dtypes) {
        progress(`${dtype} on ${place}`);
        const configuration = { ...checkpoints, dtype, place, threads: options.threads };
        const measured = await measure(configuration, task, { peer, reference });
        reference = measured.reference;
        rows.push(measured.row);
      }
    }
    const turns = rows.find((row) => row.peer !== undefined)?.peer;
    return {
      ...{ date, commit: await commitOf(new URL("..", import.meta.url)), deno: Deno.version.deno },
      ...{ os: `${Deno.build.os} ${Deno.osRelease()}`, depth, patchNumbers: sides, options },
      reference: reference?.name ?? "nothing",
      deviation: reference === undefined ? NaN : deviationOf(reference),
      peer: peerRow && { ...peerRow, peak: peer!.peak, ...(turns === undefined ? {} : { rounds: turns }) },
      rows,
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function median(reports: readonly TimeReport[], of: (report: TimeReport) => number): number {
  return percentile(reports.map(of), 0.5);
}

/** The record as Markdown: times and memory of each way, then where the time goes. */
export function formatVarRecord(record: VarRecord): string {
  const { options: { batch, rounds, threads, scaling }, depth, patchNumbers, reference, deviation } = record;
  const rows = record.peer === undefined ? record.rows : [record.peer, ...record.rows];
  const head = [
    `Depth ${depth}, ${
      batch === 1 ? "1 image" : `${batch} images`
    } with guidance, ${threads} threads, medians of ` +
    `${rounds}; Deno ${record.deno}, ${record.os}`,
    `Logits (standard deviation ${deviation.toFixed(2)}) and pixels are compared with ${reference}'s`,
  ];
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
      ...patchNumbers.map((_, scale) => seconds(median(turns, (turn) => turn.scales[scale]!))),
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
    table(["weights", "condition", ...patchNumbers.map((side) => `${side}×${side}`), "decode"], parts, 1),
  ].join("\n\n");
}

if (import.meta.main) {
  const options = parseVarReportOptions(Deno.args);
  const record = await measureVar(options, (line) => console.error(line));
  console.log(formatVarRecord(record));
  if (options.output !== undefined) {
    await Deno.writeTextFile(options.output, JSON.stringify(record, undefined, 2) + "\n");
  }
}
