/**
 * What is known so far of a sweep: files that only grow, one of lines of JSON and one of numbers for each
 * part of the work, so that a sweep that was interrupted goes on where it stopped and several processes can
 * share it. What is made of them is left to `summary.ts`.
 *
 * @module
 */

import type { NetworkIdentity } from "../files/reference.ts";
import type { Rows } from "../metrics/rows.ts";
import type { Settings } from "./methods.ts";

/** A part of a whole that is split among several processes. */
export interface SweepShard {
  /** Number of the part, from 1. */
  readonly part: number;
  /** Number of parts. */
  readonly parts: number;
}

/** A model that has painted. */
export interface ModelRecord {
  readonly kind: "model";
  /** Name in the plan. */
  readonly name: string;
  /** What decides its pictures and how they are judged: all parts of a sweep must have the same. */
  readonly identity: Readonly<Record<string, string>>;
  /** Facts for people. */
  readonly facts: Readonly<Record<string, string>>;
  /** Kind of each subject by its number. */
  readonly groups: readonly string[];
  /** What tells the subjects from others, as a file of prompts may change under the same name. */
  readonly subjects?: string;
  /** The network of metrics. */
  readonly network?: NetworkIdentity;
}

/** A row, once its model is known. The last one of an id counts. */
export interface RowRecord {
  readonly kind: "row";
  /** {@linkcode PlannedRow.id}. */
  readonly id: string;
  /** What its hooks are set to. */
  readonly hooks?: readonly Settings[];
  /** Pictures that it is to have. */
  readonly planned: number;
  /** Operations of a plain picture. */
  readonly plainFlops?: number;
  /** Why it cannot be run. */
  readonly missing?: string;
}

/** Where numbers of some pictures lie in the other file. */
export interface StoredRows {
  /** First number. */
  readonly at: number;
  /** Numbers of a picture. */
  readonly dimensions: number;
}

/** What came of one picture. */
export interface PictureRecord {
  /** Whether it shows what it should. */
  readonly right?: boolean;
  /** Natural logarithm of the probability that the judge gives the wanted class. */
  readonly logProbability?: number;
  /** What the model's own verifier gives it. */
  readonly reward?: number;
  /** Branches that VAR-Scaling took. */
  readonly branches?: readonly string[];
}

/** The pictures of a row, a subject and a seed. */
export interface PicturesRecord {
  readonly kind: "pictures";
  /** {@linkcode PlannedRow.id}. */
  readonly row: string;
  /** Seed. */
  readonly seed: number;
  /** Number of the subject. */
  readonly subject: number;
  /** One for each picture. */
  readonly pictures: readonly PictureRecord[];
  /** Mean distance between two of them, by the features of the model's own network. */
  readonly diversity?: number;
  /** Operations for a picture. */
  readonly flops: number;
  /** Seconds for a picture. */
  readonly seconds: number;
  /** What a network said of them, by the name of its output. */
  readonly rows?: Readonly<Record<string, StoredRows>>;
}

/** A line. */
export type SweepRecord = ModelRecord | RowRecord | PicturesRecord;

/** What tells pictures from all others. */
export function unitKey({ row, seed, subject }: Pick<PicturesRecord, "row" | "seed" | "subject">): string {
  return JSON.stringify([row, seed, subject]);
}

/** Everything that the parts of a sweep have written. */
export interface SweepRecords {
  /** Models by name, as the first part has them. */
  readonly models: ReadonlyMap<string, ModelRecord>;
  /** Rows by id. */
  readonly rows: ReadonlyMap<string, RowRecord>;
  /** Pictures by {@linkcode unitKey}, with the file of their numbers. */
  readonly pictures: ReadonlyMap<string, PicturesRecord & { readonly file: string }>;
}

/** Bytes of a number. */
const BYTES = 4;

/** Names of the files of a part. */
function filesOf({ part, parts }: SweepShard): { lines: string; numbers: string } {
  const name = `records-${part}-of-${parts}`;
  return { lines: `${name}.jsonl`, numbers: `${name}.f32` };
}

/**
 * Reads what all parts have written so far.
 *
 * @throws {Error} If a line is none of ours, or parts are of different models.
 */
export async function readRecords(folder: string): Promise<SweepRecords> {
  const names = await linesIn(folder);
  const models = new Map<string, ModelRecord>();
  const rows = new Map<string, RowRecord>();
  const pictures = new Map<string, PicturesRecord & { file: string }>();
  for (const name of names.sort()) {
    const file = numbersOf(name);
    for (const record of wholeLines(await Deno.readFile(`${folder}/${name}`), name).records) {
      if (record.kind === "model") {
        const before = models.get(record.name);
        if (before === undefined) models.set(record.name, record);
        else requireSame(folder, before, record);
      } else if (record.kind === "row") {
        if (saysMore(record, rows.get(record.id))) rows.set(record.id, record);
      } else {
        const key = unitKey(record);
        if (!pictures.has(key)) pictures.set(key, { ...record, file });
      }
    }
  }
  return { models, rows, pictures };
}

/** Names of the files of lines of all parts. */
async function linesIn(folder: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  return names.filter((name) => /^records-\d+-of-\d+\.jsonl$/.test(name));
}

/** Whether nothing was painted in a folder, and nobody is at it but whoever holds the file of this name. */
export async function isUnpainted(folder: string, held?: string): Promise<boolean> {
  for (const name of await linesIn(folder)) {
    if (name === held) continue;
    using file = await Deno.open(`${folder}/${name}`, { read: true, write: true });
    if (!await file.tryLock(true)) return false;
  }
  return (await readRecords(folder)).pictures.size === 0;
}

/** Removes the files of all parts but one. */
export async function clearOthers(folder: string, held: string): Promise<void> {
  for (const name of await linesIn(folder)) {
    if (name === held) continue;
    await Deno.remove(`${folder}/${name}`);
    await Deno.remove(`${folder}/${numbersOf(name)}`).catch(() => {});
  }
}

/** Name of the file of numbers beside one of lines. */
function numbersOf(lines: string): string {
  return lines.replace(/jsonl$/, "f32");
}

/**
 * Whether what is known of a row now is more than before: a row that could be run once is not missing, and a
 * model that was opened says better why it cannot have a row than that there was none.
 */
export function saysMore(
  now: Pick<RowRecord, "missing" | "planned">,
  before: RowRecord | undefined,
): boolean {
  if (before === undefined) return true;
  return before.missing !== undefined &&
    (now.missing === undefined || before.planned === 0 && now.planned > 0);
}

/**
 * Refuses a model that is not the one before, or that paints something else.
 *
 * @throws {Error} Saying what differs.
 */
export function requireSame(
  folder: string,
  before: Pick<ModelRecord, "identity" | "subjects">,
  now: Pick<ModelRecord, "name" | "identity" | "subjects">,
): void {
  if (before.subjects !== undefined && now.subjects !== undefined && before.subjects !== now.subjects) {
    throw new Error(
      `Cannot sweep in ${folder} as the model "${now.name}" has other subjects than before: their file has changed`,
    );
  }
  const names = new Set([...Object.keys(before.identity), ...Object.keys(now.identity)]);
  const different = [...names].find((name) => before.identity[name] !== now.identity[name]);
  if (different === undefined) return;
  throw new Error(
    `Cannot sweep in ${folder} as the model "${now.name}" has another ${different} than before: ${
      before.identity[different] ?? "none"
    } was there, ${now.identity[different] ?? "none"} is here`,
  );
}

/** Whole lines of a file, and how long they are together in bytes. */
function wholeLines(file: Uint8Array, name: string): { records: SweepRecord[]; bytes: number } {
  const bytes = file.lastIndexOf("\n".charCodeAt(0)) + 1;
  const lines = new TextDecoder().decode(file.subarray(0, bytes)).split("\n").slice(0, -1);
  const records = lines.map((line, i) => {
    const record = parsedRecord(line);
    if (record !== undefined) return record;
    throw new Error(
      `Cannot read line ${i + 1} of ${name} as it is no record of a sweep: ` +
        "where it is taken out, what it told of is painted again",
    );
  });
  return { records, bytes };
}

/** A record, if it has all that others rely on. */
function parsedRecord(line: string): SweepRecord | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isObject(record)) return undefined;
  const { kind, name, id, row, seed, subject, pictures, seconds, rows = {} } = record;
  const whole = kind === "model"
    ? isText(name) && isObject(record.identity) && isObject(record.facts) && Array.isArray(record.groups)
    : kind === "row"
    ? isText(id) && isCount(record.planned)
    : kind === "pictures" && isText(row) && isCount(seed) && isCount(subject) && Number.isFinite(seconds) &&
      Array.isArray(pictures) && pictures.every(isObject) && isObject(rows) &&
      Object.values(rows).every((it) => isObject(it) && isCount(it.at) && isCount(it.dimensions));
  return whole ? record as unknown as SweepRecord : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && value as number >= 0;
}

/** Says that numbers are lost that records tell of. */
function lostNumbers(folder: string, file: string): Error {
  return new Error(
    `Cannot read ${folder}/${file} as it ends before what its records tell of: where it and ` +
      `${file.replace(/f32$/, "jsonl")} are removed, the part is painted again`,
  );
}

/** The two files of a part, which are its own as long as it is open. */
export class RecordsFile implements Disposable {
  /** Name of the file of lines. */
  readonly name: string;
  readonly #lines: Deno.FsFile;
  readonly #numbers: Deno.FsFile;
  /** Numbers that are there. */
  #count: number;

  private constructor(name: string, lines: Deno.FsFile, numbers: Deno.FsFile, count: number) {
    this.name = name;
    this.#lines = lines;
    this.#numbers = numbers;
    this.#count = count;
  }

  /**
   * Opens the files of a part, and cuts off what an interruption has left of a line and of its numbers.
   *
   * @throws {Error} If another process is at this part.
   */
  static async open(folder: string, shard: SweepShard): Promise<RecordsFile> {
    const names = filesOf(shard);
    using files = new DisposableStack();
    const open = async (name: string): Promise<Deno.FsFile> => {
      return files.use(await Deno.open(`${folder}/${name}`, { read: true, write: true, create: true }));
    };
    const lines = await open(names.lines);
    // The system lets go of it when the process ends, however it ends.
    if (!await lines.tryLock(true)) {
      throw new Error(
        `Cannot sweep in ${folder} as another process is at part ${shard.part} of ${shard.parts}`,
      );
    }
    const numbers = await open(names.numbers);
    const { records, bytes } = wholeLines(await Deno.readFile(`${folder}/${names.lines}`), names.lines);
    await lines.truncate(bytes);
    await lines.seek(0, Deno.SeekMode.End);
    const count = records.flatMap((record) => record.kind === "pictures" ? [endOf(record)] : [])
      .reduce((most, end) => Math.max(most, end), 0);
    if ((await numbers.stat()).size < count * BYTES) throw lostNumbers(folder, names.numbers);
    await numbers.truncate(count * BYTES);
    await numbers.seek(0, Deno.SeekMode.End);
    files.move();
    return new RecordsFile(names.lines, lines, numbers, count);
  }

  /** Adds a line. */
  async append(record: SweepRecord): Promise<void> {
    await writeAll(this.#lines, new TextEncoder().encode(`${JSON.stringify(record)}\n`));
  }

  /** Adds numbers, which a line is to tell of afterwards. */
  async store({ values, dimensions }: Rows): Promise<StoredRows> {
    const at = this.#count;
    await writeAll(this.#numbers, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    this.#count += values.length;
    return { at, dimensions };
  }

  /** Takes everything back. */
  async clear(): Promise<void> {
    for (const file of [this.#lines, this.#numbers]) {
      await file.truncate(0);
      await file.seek(0, Deno.SeekMode.Start);
    }
    this.#count = 0;
  }

  /** Lets go of both. */
  [Symbol.dispose](): void {
    this.#lines.close();
    this.#numbers.close();
  }
}

/** Where the numbers of a record end. */
function endOf({ rows = {}, pictures }: PicturesRecord): number {
  return Math.max(0, ...Object.values(rows).map(({ at, dimensions }) => at + dimensions * pictures.length));
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

/**
 * Reads what a network said of pictures, in the order of the records.
 *
 * @param output Name of the output.
 * @returns The rows; `undefined` if some of the records have none.
 */
export async function readStoredRows(
  folder: string,
  records: readonly (PicturesRecord & { readonly file: string })[],
  output: string,
): Promise<Rows | undefined> {
  const dimensions = records[0]?.rows?.[output]?.dimensions;
  if (dimensions === undefined || records.some(({ rows }) => rows?.[output]?.dimensions !== dimensions)) {
    return undefined;
  }
  const count = records.reduce((sum, { pictures }) => sum + pictures.length, 0);
  const values = new Float32Array(count * dimensions);
  const bytes = new Uint8Array(values.buffer);
  const open = new Map<string, Deno.FsFile>();
  using files = new DisposableStack();
  let filled = 0;
  for (const { file, rows, pictures } of records) {
    const numbers = open.get(file) ?? files.use(await openNumbers(folder, file));
    open.set(file, numbers);
    await numbers.seek(rows![output]!.at * BYTES, Deno.SeekMode.Start);
    const end = filled + pictures.length * dimensions * BYTES;
    while (filled < end) {
      const read = await numbers.read(bytes.subarray(filled, end));
      if (read === null) throw lostNumbers(folder, file);
      filled += read;
    }
  }
  return { values, count, dimensions };
}

async function openNumbers(folder: string, file: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(`${folder}/${file}`);
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? lostNumbers(folder, file) : error;
  }
}
