/**
 * The record of a long run, `run.json` in its folder: what its images depend on, and which of them there
 * shall be. With it a run can be taken up again, and a folder be checked for completeness.
 *
 * @module
 */

import { systemReason } from "../../mod.ts";
import type { ModelRecord } from "../generation/model_record.ts";
import { completeSampling, type SamplingRecord } from "../generation/sampling_record.ts";
import { UsageError } from "../io.ts";
import type { DeviceRecord } from "../options/model_options.ts";
import type { OwnHookRecord } from "../options/own_hooks.ts";
import type { JudgeRecords } from "../options/open_search.ts";
import { formatJson } from "../output/format_json.ts";
import type { SeriesPlace } from "./series_place.ts";
import type { ClassExtent, Extent, PromptExtent } from "./subjects.ts";

/** Version of the layout. */
const RECORD_VERSION = 1;

/** A method that judges, with who does it. */
export interface SearchRecord extends JudgeRecords {
  /** Its name. */
  readonly method: string;
  /** Its settings. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What is settled about every image. */
export interface SeriesSettings extends SamplingRecord {
  /** Seed; beyond 2^53 as decimal text once it is read from a file. */
  readonly seed: number | bigint | string;
  /** Whether image i of every class or prompt has the same noise. */
  readonly sharedNoise: boolean;
  /** SHA-256 of the first prompt's features, where features were given. */
  readonly textFeatures?: string;
  /** Settings of VAR-Scaling, or `null` without it. */
  readonly scaling: Readonly<Record<string, unknown>> | null;
  /** Methods that change logits, with their settings, where some were chosen. */
  readonly guiding?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The method that judges, where one was chosen. */
  readonly search?: SearchRecord;
  /** Hooks of the reader's own, where there are any. */
  readonly hooks?: readonly SeriesHook[];
}

/** A hook of the reader's own; with another file, images would be others. */
export interface SeriesHook extends Pick<OwnHookRecord, "path" | "options" | "sha256"> {
  /** Its name. */
  readonly name: string;
  /** Its settings. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What `run.json` says beside which images there shall be. */
interface SeriesFacts {
  /** Marks the file as ours. */
  readonly format: "varscale-series";
  /** Version of the layout. */
  readonly version: number;
  /** What made it. */
  readonly versions: Readonly<Record<string, string>>;
  /** The model and its weights. */
  readonly model: ModelRecord;
  /** Where it ran first. */
  readonly device: DeviceRecord;
  /** What every image depends on. */
  readonly settings: SeriesSettings;
}

/** Content of `run.json`. */
export type SeriesRecord = SeriesFacts & Extent;

/** Makes a record of its facts. */
export function seriesRecord(
  facts: Omit<SeriesFacts, "format" | "version">,
  extent: Extent,
): SeriesRecord {
  return { format: "varscale-series", version: RECORD_VERSION, ...facts, ...extent };
}

/** The part of a record that says which images there shall be. */
export function extentIn(record: SeriesRecord): Extent {
  return "prompts" in record
    ? { prompts: record.prompts, imagesPerPrompt: record.imagesPerPrompt }
    : { classes: record.classes, imagesPerClass: record.imagesPerClass };
}

/**
 * Reads the record in a place; `undefined` if there is none, or `run.json` is something else.
 *
 * @throws {UsageError} If the record is damaged, or one of another version.
 */
export async function readSeriesRecord(
  place: Pick<SeriesPlace, "name" | "read">,
): Promise<SeriesRecord | undefined> {
  const text = await place.read("run.json");
  return text === undefined ? undefined : parseSeriesRecord(text, place.name);
}

/**
 * The record that a `run.json` holds; `undefined` if it is something else.
 *
 * @param name Of its place, for messages.
 * @throws {UsageError} If the record is damaged, or one of another version.
 */
export function parseSeriesRecord(text: string, name: string): SeriesRecord | undefined {
  let record: Partial<SeriesFacts> | null;
  try {
    record = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`Cannot read ${name}/run.json: ${systemReason(error)}`);
  }
  if (record?.format !== "varscale-series") return undefined;
  if (record.version !== RECORD_VERSION) {
    throw new UsageError(
      `Cannot use ${name}: the version of its run.json must be ${RECORD_VERSION}: current value is ${record.version}`,
    );
  }
  if (!record.settings || !record.model || !hasExtent(record)) {
    throw new UsageError(`Cannot use ${name}: its run.json is not complete`);
  }
  const { settings, ...facts } = record as SeriesRecord;
  return { ...facts, settings: completeSampling(settings) };
}

function hasExtent(record: object): boolean {
  const { classes, imagesPerClass, prompts, imagesPerPrompt } = record as Partial<ClassExtent & PromptExtent>;
  return Array.isArray(classes ?? prompts) &&
    Boolean(classes === undefined ? imagesPerPrompt : imagesPerClass);
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
