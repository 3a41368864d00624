/**
 * The record of a run, `run.json`: everything that is needed to make the same images again, and everything
 * that came out. It does not depend on the options of the command line.
 *
 * @module
 */

import {
  type Attempt,
  type GeneratedImage,
  type HookDecision,
  type ModelTuning,
  type ResolvedLabel,
  searchTree,
  type Trace,
} from "../../mod.ts";
import { UsageError } from "../io.ts";
import { readJson } from "../options/given_files.ts";
import { recordedSearch, type Search } from "../options/search.ts";
import type { DeviceRecord, MemoryRecord, ModelPlace } from "../options/model_options.ts";
import type { JudgeRecords } from "../options/open_search.ts";
import type { EditRecord } from "./edit_record.ts";
import type { OldSamplingRecord } from "./sampling_record.ts";

/** Version of the layout. */
const RECORD_VERSION = 1;

/** One way of making the images of a run. */
export interface Variant {
  /** Short name, part of file names where there are several. */
  readonly name: string;
  /** What is done between the scales. */
  readonly search: Search;
}

/** An image of a run. */
export interface ImageRecord {
  /** File name within the folder of the run. */
  readonly file: string;
  /** Name of its variant. */
  readonly variant: string;
  /** Index in the request. */
  readonly index: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
  /** SHA-256 of the PNG file. */
  readonly sha256: string;
  /** File names of its previews. */
  readonly previews: readonly string[];
  /** What the hooks decided. */
  readonly decisions: readonly HookDecision[];
  /** Its number among the attempts, where there were several. */
  readonly attempt?: number;
  /** What became of all lanes that were tried for the image, where there were several. */
  readonly attempts?: readonly Attempt[];
  /** The tokens of each scale, row-major. */
  readonly tokens: readonly (readonly number[])[];
}

/** What was asked for, with nothing left open. */
export interface RecordedRequest extends OldSamplingRecord {
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** Seed; beyond 2^53 as decimal text. */
  readonly seed: number | bigint | string;
  /** Images that ran together. */
  readonly batch: number;
  /** Scales with a preview. */
  readonly previews: readonly number[];
  /** What was edited, if anything. */
  readonly edit?: EditRecord;
  /** File with the features of the prompts, if one was given. */
  readonly textFeatures?: string;
}

/** What a record says of a variant. */
export interface VariantRecord extends JudgeRecords {
  /** Its name. */
  readonly name: string;
  /** Its hooks in order. */
  readonly hooks: readonly { readonly name: string; readonly settings: unknown }[];
}

/** Content of `run.json`. */
export interface RunRecord {
  /** Marks the file as ours. */
  readonly format: "varscale-run";
  /** Version of the layout. */
  readonly version: number;
  /** What made it. */
  readonly versions: { readonly varscale: string; readonly deno: string; readonly "onnxruntime-web": string };
  /** The model and its weights. */
  readonly model: MemoryRecord & {
    readonly name: string;
    readonly family: string;
    readonly depth?: number;
    readonly size?: string;
    readonly place: ModelPlace;
    readonly fingerprints: Readonly<Record<string, string>>;
    readonly tuning: ModelTuning;
  };
  /** Where it ran. */
  readonly device: DeviceRecord & { readonly threads: number };
  /** What was asked for. */
  readonly request: RecordedRequest;
  /** How: each variant with the settings of its hooks, the model's numbers where they were left to it. */
  readonly variants: readonly VariantRecord[];
  /** The sheet with all images, if there is one. */
  readonly grid: { readonly file: string; readonly columns: number } | null;
  /** Milliseconds: loading, and the trace of each variant. */
  readonly timings: { readonly load: number; readonly variants: Readonly<Record<string, Trace>> };
  /** What came out. */
  readonly images: readonly ImageRecord[];
}

/** Makes a record of its facts. */
export function runRecord(facts: Omit<RunRecord, "format" | "version">): RunRecord {
  return { format: "varscale-run", version: RECORD_VERSION, ...facts };
}

/** What a record says of an image. */
export function imageRecord(
  image: GeneratedImage,
  facts: Pick<ImageRecord, "file" | "variant" | "sha256" | "previews">,
): ImageRecord {
  const { index, label, attempt } = image;
  const tokens = image.tokens.map((map) => [...map]);
  const decisions = decided(image.decisions);
  const attempts = image.attempts.map((tried) => ({ ...tried, decisions: decided(tried.decisions) }));
  return { ...facts, index, label, decisions, ...(attempts.length > 1 && { attempt, attempts }), tokens };
}

/** What hooks decided; one that only watched has pictures, which have files of their own. */
function decided(decisions: readonly HookDecision[]): readonly HookDecision[] {
  return decisions.filter(({ hook }) => hook !== searchTree().name);
}

/**
 * Reads the record of a run.
 *
 * @throws {UsageError} If the file is none, or one of another version.
 */
export async function readRunRecord(path: string): Promise<RunRecord> {
  const record = await readJson(path) as Partial<RunRecord> | null;
  if (record?.format !== "varscale-run") {
    throw new UsageError(`Cannot repeat ${path}: it is not the run.json of a generation`);
  }
  if (record.version !== RECORD_VERSION) {
    throw new UsageError(
      `Cannot repeat ${path}: its version must be ${RECORD_VERSION}: current value is ${record.version}`,
    );
  }
  const { model, request, variants, images, versions } = record;
  if (!model?.place || !request?.labels || !Array.isArray(variants) || !Array.isArray(images) || !versions) {
    throw new UsageError(`Cannot repeat ${path}: it is not complete`);
  }
  return record as RunRecord;
}

/**
 * The variants of a recorded run.
 *
 * @throws {UsageError} If a hook or one of its settings is unknown.
 */
export function recordedVariants(record: RunRecord): Variant[] {
  try {
    return record.variants.map(({ name, hooks, verifier, features, template }) => ({
      name,
      search: recordedSearch(hooks, {
        ...(verifier && { verifier: verifier.place }),
        ...(features && { features: features.place }),
        ...(template !== undefined && { template }),
      }),
    }));
  } catch (error) {
    throw new UsageError(`Cannot repeat the run: ${(error as Error).message}`);
  }
}

/** How far a repeated run agrees with the recorded one, in numbers of images. */
export interface Agreement {
  /** All images. */
  readonly images: number;
  /** Images with the same tokens. */
  readonly sameTokens: number;
  /** Images with the same PNG file. */
  readonly sameFiles: number;
}

/** Images by variant, index, and number among the pictures of the same. */
function byPlace(images: readonly ImageRecord[]): Map<string, ImageRecord> {
  const groups = Map.groupBy(images, ({ variant, index }) => `${index} ${variant}`);
  return new Map([...groups].flatMap(([place, same]) => same.map((image, i) => [`${i} ${place}`, image])));
}

/** Compares the images of two runs. */
export function compareRuns(before: readonly ImageRecord[], now: readonly ImageRecord[]): Agreement {
  const recorded = byPlace(before);
  const pairs = [...byPlace(now)].map(([place, image]) => ({ image, there: recorded.get(place) }));
  const tokens = pairs.filter(({ image, there }) => {
    return JSON.stringify(there?.tokens) === JSON.stringify(image.tokens);
  });
  const files = pairs.filter(({ image, there }) => there?.sha256 === image.sha256);
  return { images: now.length, sameTokens: tokens.length, sameFiles: files.length };
}
