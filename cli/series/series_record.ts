/**
 * The record of a long run, `run.json` in its folder: what its images depend on, and which of them there
 * shall be. With it a run can be taken up again, and a folder be checked for completeness.
 *
 * @module
 */

import type { Dtype, ModelTuning } from "../../mod.ts";
import { completeSampling, type SamplingRecord } from "../generation/sampling_record.ts";
import { UsageError } from "../io.ts";
import { readJson } from "../options/given_files.ts";
import type { DeviceRecord, MemoryRecord, ModelPlace } from "../options/model_options.ts";
import { formatJson } from "../output/format_json.ts";
import { exists } from "../output/whole_file.ts";

/** Version of the layout. */
const RECORD_VERSION = 1;

/** An image of a run. */
export interface Cell {
  /** Its class. */
  readonly classId: number;
  /** Its number among the images of the class. */
  readonly image: number;
}

/** What is settled about every image. */
export interface SeriesSettings extends SamplingRecord {
  /** Seed; beyond 2^53 as decimal text once it is read from a file. */
  readonly seed: number | bigint | string;
  /** Whether image i of every class has the same noise. */
  readonly sharedNoise: boolean;
  /** Settings of VAR-Scaling, or `null` without it. */
  readonly scaling: Readonly<Record<string, unknown>> | null;
}

/** Content of `run.json`. */
export interface SeriesRecord {
  /** Marks the file as ours. */
  readonly format: "varscale-series";
  /** Version of the layout. */
  readonly version: number;
  /** What made it. */
  readonly versions: Readonly<Record<string, string>>;
  /** The model and its weights. */
  readonly model: MemoryRecord & {
    readonly name: string;
    readonly family: string;
    readonly depth?: number;
    readonly size?: string;
    readonly dtype: Dtype;
    readonly place: ModelPlace;
    readonly fingerprints: Readonly<Record<string, string>>;
    readonly tuning: ModelTuning;
  };
  /** Where it ran first. */
  readonly device: DeviceRecord;
  /** What every image depends on. */
  readonly settings: SeriesSettings;
  /** Classes with images. */
  readonly classes: readonly number[];
  /** Images of each class. */
  readonly imagesPerClass: number;
}

/** Makes a record of its facts. */
export function seriesRecord(facts: Omit<SeriesRecord, "format" | "version">): SeriesRecord {
  return { format: "varscale-series", version: RECORD_VERSION, ...facts };
}

/** Name of an image's file, as in the published script. */
export function imageFile({ classId, image }: Cell): string {
  return `class_${classId}_img_${image}.png`;
}

/** The image that a file belongs to by its name, or `undefined`. */
export function imageOfFile(name: string): Cell | undefined {
  const match = /^class_(\d+)_img_(\d+)\.png$/.exec(name);
  return match === null ? undefined : { classId: Number(match[1]), image: Number(match[2]) };
}

/** All images of a run, class by class. */
export function cellsOf(
  { classes, imagesPerClass }: Pick<SeriesRecord, "classes" | "imagesPerClass">,
): Cell[] {
  return classes.flatMap((classId) =>
    Array.from({ length: imagesPerClass }, (_, image) => ({ classId, image }))
  );
}

/**
 * Reads the record in a folder; `undefined` if there is none, or `run.json` is something else.
 *
 * @throws {UsageError} If the record is damaged, or one of another version.
 */
export async function readSeriesRecord(folder: string): Promise<SeriesRecord | undefined> {
  const path = `${folder}/run.json`;
  if (!await exists(path)) return undefined;
  const record = await readJson(path) as Partial<SeriesRecord> | null;
  if (record?.format !== "varscale-series") return undefined;
  if (record.version !== RECORD_VERSION) {
    throw new UsageError(
      `Cannot use ${folder}: the version of its run.json must be ${RECORD_VERSION}: current value is ${record.version}`,
    );
  }
  if (!record.settings || !record.model || !Array.isArray(record.classes) || !record.imagesPerClass) {
    throw new UsageError(`Cannot use ${folder}: its run.json is not complete`);
  }
  const { settings, ...facts } = record as SeriesRecord;
  return { ...facts, settings: completeSampling(settings) };
}

/** What differs between two values of plain data, one text each: `cfg is 1 there and 1.5 here`. */
export function differences(there: unknown, here: unknown, name: string = ""): string[] {
  if (formatJson(there ?? null) === formatJson(here ?? null)) return [];
  if (!isGroup(there) || !isGroup(here)) return [`${name} is ${shown(there)} there and ${shown(here)} here`];
  return [...new Set([...Object.keys(there), ...Object.keys(here)])].flatMap((key) => {
    return differences(there[key], here[key], name === "" ? key : `${name}.${key}`);
  });
}

/**
 * What differs between what is there and the part of it that is known here already. A list counts as a whole.
 */
export function knownDifferences(there: object, known: object): string[] {
  const part = (whole: unknown, wanted: unknown): unknown => {
    if (!isGroup(whole) || !isGroup(wanted)) return whole;
    return Object.fromEntries(Object.keys(wanted).map((key) => [key, part(whole[key], wanted[key])]));
  };
  return differences(part(there, known), known);
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value in a few words. */
function shown(value: unknown): string {
  if (isGroup(value)) return "given";
  if (value === null || value === undefined) return "none";
  const text = formatJson(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
