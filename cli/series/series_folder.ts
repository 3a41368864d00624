/**
 * The place of a long run between two goes: whose it is, which images it still lacks, and what has failed.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { describeDevice } from "../options/model_options.ts";
import type { Shard } from "../options/series_options.ts";
import { formatJson } from "../output/format_json.ts";
import { list } from "../output/words.ts";
import type { SeriesPlace } from "./series_place.ts";
import { differences, extentIn, parseSeriesRecord, type SeriesRecord } from "./series_record.ts";
import { shardName } from "./share.ts";
import { type Cell, type Extent, isSeriesImage, type Subjects } from "./subjects.ts";

/**
 * The record of the run in a place; `undefined` if there is none. Another process may begin the same run
 * meanwhile: it writes the record before any image, so an image without a record is looked at again.
 *
 * @throws {UsageError} If there are images without a record, or another record: nobody could tell what they
 * are.
 */
export async function recordIn(place: SeriesPlace): Promise<SeriesRecord | undefined> {
  let text = await place.read("run.json");
  if (text === undefined) {
    if (!await hasImages(place)) return undefined;
    text = await place.read("run.json");
  }
  if (text === undefined) {
    throw new UsageError(
      `Cannot use ${place.name}: it has images and no run.json; choose another --output`,
    );
  }
  const record = parseSeriesRecord(text, place.name);
  if (record !== undefined) return record;
  throw new UsageError(
    `Cannot use ${place.name}: its run.json is not that of varscale run; choose another --output`,
  );
}

async function hasImages(place: SeriesPlace): Promise<boolean> {
  for await (const name of place.names()) if (isSeriesImage(name)) return true;
  return false;
}

/**
 * Refuses to mix images of different settings.
 *
 * @throws {UsageError} If there are differences.
 */
export function refuseDifferences(
  { name }: Pick<SeriesPlace, "name">,
  differing: readonly string[],
): void {
  if (differing.length === 0) return;
  throw new UsageError(`Cannot go on in ${name}: ${list(differing, "and")}; choose another --output`);
}

/**
 * Writes the record of a run, or takes up the one that is there. The run may grow, by classes or by
 * prompts at the end, and by images of each, but not shrink.
 *
 * @param place Where.
 * @param records The record that is there and the one of this go.
 * @param coupled Whether an image depends on the others of its class or prompt, so that their number is one
 * of the settings.
 * @returns What a person should know.
 * @throws {UsageError} If its images were made otherwise.
 */
export async function takeUp(
  place: SeriesPlace,
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
    refuseDifferences(place, [
      ...differences(facts(before), facts(now)),
      ...extentDifferences({ before: extentIn(before), now: extentIn(now) }, coupled),
    ]);
  }
  const extent = extentIn(now);
  if (before === undefined || formatJson(extentIn(before)) !== formatJson(extent)) {
    await place.write("run.json", `${formatJson({ ...before ?? now, ...extent })}\n`);
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

/** Which of these images a place lacks. */
export async function missingIn(
  place: SeriesPlace,
  subjects: Subjects,
  cells: readonly Cell[],
): Promise<readonly Cell[]> {
  const there = await place.whole(cells.map((cell) => subjects.fileOf(cell)));
  return cells.filter((cell) => !there.has(subjects.fileOf(cell)));
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

/** The list of what has failed in this go, kept in the place of the run. */
export class FailureList {
  readonly #place: SeriesPlace;
  readonly #file: string;
  readonly #records: FailureRecord[] = [];

  /**
   * @param place Where it is kept.
   * @param shard Which part of the run it is of; all of it without one.
   */
  constructor(place: SeriesPlace, shard?: Shard) {
    this.#place = place;
    this.#file = `failed${shard === undefined ? "" : `-${shardName(shard)}`}.json`;
  }

  /** An empty list; that of an earlier go, of the same part of the run, is removed. */
  static async begin(place: SeriesPlace, shard: Shard | undefined): Promise<FailureList> {
    const list = new FailureList(place, shard);
    await place.remove(list.#file);
    return list;
  }

  /** Where the list is. */
  get path(): string {
    return `${this.#place.name}/${this.#file}`;
  }

  /** Number of failures. */
  get length(): number {
    return this.#records.length;
  }

  /** Adds to the list. */
  async add(records: readonly FailureRecord[]): Promise<void> {
    if (records.length === 0) return;
    this.#records.push(...records);
    await this.#place.write(this.#file, `${formatJson(this.#records)}\n`);
  }
}
