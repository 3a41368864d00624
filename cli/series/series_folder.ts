/**
 * The folder of a long run between two goes: whose it is, which images it still lacks, and what has failed.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { UsageError } from "../io.ts";
import { describeDevice } from "../options/model_options.ts";
import type { Shard } from "../options/series_options.ts";
import { formatJson } from "../output/format_json.ts";
import { exists, missingFolders, removeEmpty, writeWhole } from "../output/whole_file.ts";
import { list } from "../output/words.ts";
import { lockFolder } from "./folder_lock.ts";
import { differences, extentIn, readSeriesRecord, type SeriesRecord } from "./series_record.ts";
import { shardName } from "./share.ts";
import { type Cell, type Extent, isSeriesImage, type Subjects } from "./subjects.ts";

/** What a PNG file ends with: the chunk IEND, which is empty. */
const PNG_END = [0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82];

/**
 * Makes the folder of a run if it is not there, and locks it. If it has no record of a run when it is
 * disposed, as the run was refused, the files of the locks go, and so do folders that were made for nothing.
 *
 * @throws {Error} If another process is at work there.
 */
export async function openSeriesFolder(folder: string, shard: Shard | undefined): Promise<AsyncDisposable> {
  const made = await missingFolders(folder);
  await Deno.mkdir(folder, { recursive: true });
  const lock = await lockFolder(folder, shard);
  return {
    [Symbol.asyncDispose]: async () => {
      lock[Symbol.dispose]();
      // Why the run was refused is to be told, and not why something is left of it.
      await removeLocks(folder).catch(() => {});
      await removeEmpty(made);
    },
  };
}

/** Removes the files of the locks in a folder that is no run's, unless another process is at work there. */
async function removeLocks(folder: string): Promise<void> {
  if (await readSeriesRecord(folder) !== undefined) return;
  // Whoever has all of it may remove the locks of parts, too: each part begins with the lock of all.
  using _whole = await lockFolder(folder, undefined);
  if (await readSeriesRecord(folder) !== undefined) return;
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  const parts = names.filter((name) => /^\.lock-\d+-of-\d+$/.test(name));
  for (const name of [...parts, ".lock"]) await Deno.remove(`${folder}/${name}`);
}

/**
 * Refuses a folder without the record of a run in which there are images or another record: nobody could tell
 * what they are.
 *
 * @throws {UsageError} If it is such a folder.
 */
export async function refuseStrangers(folder: string): Promise<void> {
  if (await exists(`${folder}/run.json`)) {
    throw new UsageError(
      `Cannot use ${folder}: its run.json is not that of varscale run; choose another --output`,
    );
  }
  for await (const { name } of Deno.readDir(folder)) {
    if (!isSeriesImage(name)) continue;
    throw new UsageError(`Cannot use ${folder}: it has images and no run.json; choose another --output`);
  }
}

/**
 * Refuses to mix images of different settings.
 *
 * @throws {UsageError} If there are differences.
 */
export function refuseDifferences(folder: string, differing: readonly string[]): void {
  if (differing.length === 0) return;
  throw new UsageError(`Cannot go on in ${folder}: ${list(differing, "and")}; choose another --output`);
}

/**
 * Writes the record of a run, or takes up the one that is there. The run may grow, by classes or by
 * prompts at the end, and by images of each, but not shrink.
 *
 * @param folder Where.
 * @param records The record that is there and the one of this go.
 * @param coupled Whether an image depends on the others of its class or prompt, so that their number is one
 * of the settings.
 * @returns What a person should know.
 * @throws {UsageError} If its images were made otherwise.
 */
export async function takeUp(
  folder: string,
  records: { readonly before: SeriesRecord | undefined; readonly now: SeriesRecord },
  coupled: boolean,
): Promise<string[]> {
  const { before, now } = records;
  const facts = (
    { settings, model: { family, depth, size, dtype, compute, cacheDtype = "f32", fingerprints, tuning } }:
      SeriesRecord,
  ): unknown => {
    return { ...settings, model: { family, depth, size, dtype, compute, cacheDtype, fingerprints, tuning } };
  };
  if (before !== undefined) {
    refuseDifferences(folder, [
      ...differences(facts(before), facts(now)),
      ...extentDifferences({ before: extentIn(before), now: extentIn(now) }, coupled),
    ]);
  }
  const extent = extentIn(now);
  if (before === undefined || formatJson(extentIn(before)) !== formatJson(extent)) {
    await writeWhole(`${folder}/run.json`, `${formatJson({ ...before ?? now, ...extent })}\n`);
  }
  if (before === undefined) return [];
  const [began, here] = [before, now].map(({ device }) => describeDevice(device));
  return [
    ...(began === here ? [] : [`the run began on ${began}, and this is ${here}; their rounding may differ`]),
    ...(before.versions.varscale === now.versions.varscale
      ? []
      : [`the run began with varscale ${before.versions.varscale}, and this is ${now.versions.varscale}`]),
  ];
}

/** How a run would shrink, or change its size where images depend on each other. */
export function extentDifferences(
  { before, now }: Readonly<Record<"before" | "now", Extent>>,
  coupled: boolean,
): string[] {
  const sizes = (there: number, here: number, name: string): string[] => {
    return there > here || (coupled && there < here) ? differences(there, here, name) : [];
  };
  if ("classes" in before && "classes" in now) {
    const asked = new Set(now.classes);
    const dropped = before.classes.some((id) => !asked.has(id));
    return [
      ...sizes(before.imagesPerClass, now.imagesPerClass, "imagesPerClass"),
      ...(dropped ? differences(before.classes, now.classes, "classes") : []),
    ];
  }
  if ("prompts" in before && "prompts" in now) {
    const other = before.prompts.findIndex((prompt, i) => prompt !== now.prompts[i]);
    return [
      ...sizes(before.imagesPerPrompt, now.imagesPerPrompt, "imagesPerPrompt"),
      ...(other < 0 ? [] : differences(before.prompts[other], now.prompts[other], `prompt ${other}`)),
    ];
  }
  const [there, here] = [before, now].map((extent) => "classes" in extent ? "classes" : "prompts");
  return [`its images are of ${there} there and of ${here} here`];
}

/** Which of these images a folder lacks. What a killed process has left half-written of them is removed. */
export async function missingIn(
  folder: string,
  subjects: Subjects,
  cells: readonly Cell[],
): Promise<readonly Cell[]> {
  const wanted = Map.groupBy(cells, (cell) => dirname(`${folder}/${subjects.fileOf(cell)}`));
  const there = new Set<Cell>();
  for (const [inside, own] of wanted) {
    if (!await exists(inside)) continue;
    const byName = new Map(own.map((cell) => [basename(subjects.fileOf(cell)), cell]));
    for await (const { name, isFile } of Deno.readDir(inside)) {
      const cell = byName.get(name);
      if (isFile && cell !== undefined && isWhole(`${inside}/${name}`)) there.add(cell);
      const [, target] = /^(.+\.png)\.[0-9a-f-]{36}\.tmp$/.exec(name) ?? [];
      if (target !== undefined && byName.has(target)) await Deno.remove(`${inside}/${name}`);
    }
  }
  return cells.filter((cell) => !there.has(cell));
}

/** Whether a PNG file has its end, which it may lack after a power failure. */
function isWhole(path: string): boolean {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  if (size <= PNG_END.length) return false;
  file.seekSync(-PNG_END.length, Deno.SeekMode.End);
  const end = new Uint8Array(PNG_END.length);
  return file.readSync(end) === end.length && PNG_END.every((byte, i) => end[i] === byte);
}

/** An image that could not be made. */
export interface FailureRecord {
  /** Path of the file that is not there, in the folder of the run. */
  readonly file: string;
  /** Name of the class, or the prompt. */
  readonly label: string;
  /** Why. */
  readonly reason: string;
}

/** The list of what has failed in this go, kept on the disk. */
export class FailureList {
  readonly #path: string;
  readonly #records: FailureRecord[] = [];

  /** @param path The file. */
  constructor(path: string) {
    this.#path = path;
  }

  /** An empty list in a folder; that of an earlier go, of the same part of the run, is removed. */
  static async begin(folder: string, shard: Shard | undefined): Promise<FailureList> {
    const list = new FailureList(
      `${folder}/failed${shard === undefined ? "" : `-${shardName(shard)}`}.json`,
    );
    if (await exists(list.path)) await Deno.remove(list.path);
    return list;
  }

  /** Where the list is. */
  get path(): string {
    return this.#path;
  }

  /** Number of failures. */
  get length(): number {
    return this.#records.length;
  }

  /** Adds to the list. */
  async add(records: readonly FailureRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.#records.push(...records);
    await writeWhole(this.#path, `${formatJson(this.#records)}\n`);
  }
}
