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
  type Model,
  type ResolvedLabel,
  type ScaleHook,
  searchTree,
  stepwise,
  type Trace,
} from "../../mod.ts";
import { UsageError } from "../io.ts";
import { readJson } from "../options/given_files.ts";
import type { OwnHook } from "../options/own_hooks.ts";
import { type RecordedHook, recordedSearch, type Search, usedSettings } from "../options/search.ts";
import type { DeviceRecord, ModelPlace } from "../options/model_options.ts";
import type { JudgeRecords } from "../options/open_search.ts";
import { sha256 } from "../output/sha256.ts";
import type { CollaborationRecord } from "./collaboration.ts";
import type { EditRecord } from "./edit_record.ts";
import type { ModelRecord } from "./model_record.ts";
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
  /** Its number: the place in the request, unless that gives indices. */
  readonly index: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
  /** SHA-256 of the PNG file. */
  readonly sha256: string;
  /** SHA-256 of the same file without its recipe, if it has one. */
  readonly pixels?: string;
  /** File names of its previews. */
  readonly previews: readonly string[];
  /** File name of the strip of its scales, if there is one. */
  readonly stepwise?: string;
  /** What the hooks decided. */
  readonly decisions: readonly HookDecision[];
  /** Its number among the attempts, where there were several. */
  readonly attempt?: number;
  /** What became of all lanes that were tried for the image, where there were several. */
  readonly attempts?: readonly Attempt[];
  /** The tokens of each scale, row-major. */
  readonly tokens: readonly (readonly number[])[];
}

/** One of the pictures that a request makes. */
export interface WantedPicture {
  /** The number of its image. */
  readonly index: number;
  /** Which of the pictures of that image, from 0. */
  readonly picture: number;
}

/** What was asked for, with nothing left open. */
export interface RecordedRequest extends OldSamplingRecord {
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** The numbers by which the random numbers know them, where they are not 0, 1, 2, … */
  readonly indices?: readonly number[];
  /** The only picture that was written, where the request made more. */
  readonly only?: WantedPicture;
  /** Seed; beyond 2^53 as decimal text. */
  readonly seed: number | bigint | string;
  /** Images that ran together. */
  readonly batch: number;
  /** Scales with a preview. */
  readonly previews: readonly number[];
  /** Whether there is a strip of the scales of each image. */
  readonly stepwise?: boolean;
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
  readonly hooks: readonly RecordedHook[];
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
  readonly model: ModelRecord;
  /** Who drew the last scales, if another model did. */
  readonly collaboration?: CollaborationRecord;
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

/** What can be done again. */
export interface Repeatable extends Pick<RunRecord, "model" | "variants" | "collaboration"> {
  /** Version of the program that made it. */
  readonly version: string;
  /** Where the model is. */
  readonly place: () => ModelPlace;
  readonly device: DeviceRecord;
  readonly request:
    & Omit<RecordedRequest, "batch" | "previews">
    & Partial<Pick<RecordedRequest, "batch" | "previews">>;
  /** How pictures are laid out on the sheet, if there is one. */
  readonly grid: { readonly columns: number } | null;
  /** What came out. */
  readonly outcomes: readonly Outcome[];
  /** Whether features of prompts came from a file that nobody names. */
  readonly featuresGiven: boolean;
}

/** Makes a record of its facts. */
export function runRecord(facts: Omit<RunRecord, "format" | "version">): RunRecord {
  return { format: "varscale-run", version: RECORD_VERSION, ...facts };
}

/** What a record says of a variant: its hooks with what the model decided in their places. */
export function variantRecord(
  name: string,
  model: Model,
  facts: {
    readonly hooks: readonly ScaleHook[];
    /** Those of them that are the reader's own. */
    readonly own: readonly OwnHook[];
    readonly scales: number;
    readonly judges: JudgeRecords;
  },
): VariantRecord {
  const { hooks, own, scales, judges } = facts;
  return {
    name,
    hooks: hooks.map((hook): RecordedHook => {
      const module = own.find((one) => one.hook === hook)?.record;
      if (module !== undefined) return { name: hook.name, settings: hook.settings ?? {}, module };
      return { name: hook.name, settings: usedSettings(hook, model, { scales }) };
    }),
    ...(hooks.length > 0 && judges),
  };
}

/** What a record says of an image. */
export function imageRecord(
  image: GeneratedImage,
  facts: Pick<ImageRecord, "file" | "variant" | "sha256" | "pixels" | "previews" | "stepwise">,
): ImageRecord {
  const { index, label, attempt } = image;
  const tokens = image.tokens.map((map) => [...map]);
  const decisions = decided(image.decisions);
  const attempts = image.attempts.map((tried) => ({ ...tried, decisions: decided(tried.decisions) }));
  return { ...facts, index, label, decisions, ...(attempts.length > 1 && { attempt, attempts }), tokens };
}

/** What hooks decided; one that only watched has pictures, which have files of their own. */
function decided(decisions: readonly HookDecision[]): readonly HookDecision[] {
  const watching = [searchTree().name, stepwise().name];
  return decisions.filter(({ hook }) => !watching.includes(hook));
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
export function recordedVariants(record: Pick<Repeatable, "variants">): Variant[] {
  try {
    return record.variants.map(({ name, hooks, verifier, features, template }) => ({
      name,
      search: recordedSearch(hooks, {
        // The model's own is what judges where none is named.
        ...(verifier && verifier.place !== "own" && { verifier: verifier.place }),
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
  /** Images with the same PNG file, recipes apart. */
  readonly sameFiles: number;
}

/** What came out, as far as repetitions are compared. */
export interface Outcome {
  /** Name of the variant. */
  readonly variant: string;
  /** Number of the image. */
  readonly index: number;
  /** Its number among the attempts, where there were several. */
  readonly attempt?: number;
  /** SHA-256 of the tokens of all scales in order, as words of 32 bits, little-endian. */
  readonly tokens: string;
  /** SHA-256 of the PNG file without its recipe. */
  readonly pixels: string;
}

/** What came out, of an image. */
export async function outcomeOf(
  { index, attempt, attempts, tokens }: Pick<GeneratedImage, "index" | "attempt" | "attempts" | "tokens">,
  { variant, pixels }: Pick<Outcome, "variant" | "pixels">,
): Promise<Outcome> {
  return {
    variant,
    index,
    ...(attempts.length > 1 && { attempt }),
    tokens: await tokensHash(tokens),
    pixels,
  };
}

/** What came out, of a recorded run. */
export async function outcomesOf(images: readonly ImageRecord[]): Promise<Outcome[]> {
  return await Promise.all(
    images.map(async ({ variant, index, attempt, tokens, sha256, pixels = sha256 }) => ({
      variant,
      index,
      ...(attempt !== undefined && { attempt }),
      tokens: await tokensHash(tokens),
      pixels,
    })),
  );
}

async function tokensHash(tokens: readonly ArrayLike<number>[]): Promise<string> {
  const words = tokens.flatMap((map) => Array.from(map));
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word, true);
  return await sha256(new Uint8Array(view.buffer));
}

/** By variant, index, and number among the pictures of the same. */
function byPlace(outcomes: readonly Outcome[]): Map<string, Outcome> {
  const groups = Map.groupBy(outcomes, ({ variant, index }) => `${index} ${variant}`);
  return new Map([...groups].flatMap(([place, same]) => same.map((each, i) => [`${i} ${place}`, each])));
}

/** Compares what came out of two runs. */
export function compareRuns(before: readonly Outcome[], now: readonly Outcome[]): Agreement {
  const recorded = byPlace(before);
  const pairs = [...byPlace(now)].map(([place, image]) => ({ image, there: recorded.get(place) }));
  return {
    images: now.length,
    sameTokens: pairs.filter(({ image, there }) => there?.tokens === image.tokens).length,
    sameFiles: pairs.filter(({ image, there }) => there?.pixels === image.pixels).length,
  };
}
