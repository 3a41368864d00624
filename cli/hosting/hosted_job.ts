/**
 * What goes to a model in a thread of its own, and what comes back: plain data that one thread can send to
 * another. How it gets there is left to `hosted_model.ts`, and what is done with it to `job_runner.ts`.
 *
 * @module
 */

import type {
  Attempt,
  BatchLimit,
  Box,
  ClassLabels,
  GenerateEvent,
  HookDecision,
  ModelSize,
  PictureSize,
  ResolvedLabel,
  SamplingDefaults,
  SearchSettings,
  TextLabels,
  Trace,
  VarScalingDecision,
} from "../../mod.ts";
import type { EditSettings } from "../generation/edit_record.ts";
import type { RunRecord } from "../generation/run_record.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import type { DeviceRecord, LoadValues, MemoryRecord, ModelPlace } from "../options/model_options.ts";

/** Which model, and how it is loaded. */
export interface HostedOptions {
  /** Where it is. */
  readonly place: ModelPlace;
  /** How it is loaded. */
  readonly loading: LoadValues;
}

/** What is known of a model that is loaded. */
export interface HostedFacts extends MemoryRecord {
  /** Name for people. */
  readonly name: string;
  /** Its family, for example `"var"`. */
  readonly family: string;
  /** Where it was loaded from. */
  readonly location: string;
  /** What names it, as records have it. */
  readonly place: ModelPlace;
  /** What tells it from others of its family. */
  readonly size: ModelSize;
  /** Where it runs. */
  readonly device: DeviceRecord;
  /** What it may be asked for. */
  readonly labels: ClassLabels | TextLabels;
  /** Sides of the token maps of its usual schedule. */
  readonly patchNumbers: readonly number[];
  /** The token maps of its usual schedule, and the picture that each of them decodes to. */
  readonly scales: readonly (PictureSize & { readonly picture: PictureSize })[];
  /** Size of its usual pictures. */
  readonly pictureSize: PictureSize;
  /** Which maps a request may choose: `"patchNumbers"`, `"size"`, both or none. */
  readonly flexible: readonly string[];
  /** Options that only its family has. */
  readonly familyOptions: readonly string[];
  /** How tokens are drawn unless a job says otherwise. */
  readonly defaults: SamplingDefaults;
  /** Settings of VAR-Scaling that suit it; alpha is that of these settings. */
  readonly search: SearchSettings & { readonly alpha: number; readonly conflictThreshold: number };
  /** Whether it can encode pictures, without which nothing can be edited. */
  readonly encodes: boolean;
  /** Whether it has a decoder. */
  readonly decodes: boolean;
  /** Whether it brings a judge of its own. */
  readonly verifier: boolean;
  /** Whether it brings somebody who describes pictures. */
  readonly extractor: boolean;
  /** An estimate of the bytes that stay in memory as long as it is loaded. */
  readonly weightBytes: number;
  /** What makes batches smaller than is asked for, if anything does. */
  readonly batchLimit?: BatchLimit;
  /** Milliseconds that loading took. */
  readonly loading: number;
}

/** A picture that is edited, as files. */
export interface HostedEdit extends EditSettings {
  /** A PNG, JPEG or WebP file. */
  readonly image: Uint8Array<ArrayBuffer>;
  /** What the record calls it; `picture.png` by default. */
  readonly name?: string;
  /** The region: a box in parts of the picture, top, left, bottom and right. */
  readonly box?: Box;
  /** The region instead of a box: what is white in this file. */
  readonly mask?: Uint8Array<ArrayBuffer>;
}

/** What is to be generated. */
export interface HostedJob {
  /**
   * Options of `varscale generate` by the names that a parsed command line has: sampling, search, count,
   * seed, batch, previews. Those that name a model, a device or an output have no meaning here and are
   * refused; what is left out has the command's defaults.
   */
  readonly options: Partial<GenerateValues>;
  /**
   * A class by name or number, or a prompt, or `null` for none, each by itself: no word here stands for
   * others. Without any, classes are drawn at random.
   */
  readonly labels: readonly (string | null)[];
  /** Number of each image; 0, 1, 2, … by default. */
  readonly indices?: readonly number[];
  /** What is edited. */
  readonly edit?: HostedEdit;
  /** Whether pictures carry their recipe, which names the model's place; previews never do. */
  readonly recipes?: boolean;
  /** Whether candidates of VAR-Scaling are told, which costs a readback for each searched scale. */
  readonly candidates?: boolean;
  /** Whether lanes are told with their pictures, which costs a decode of all of them after each scale. */
  readonly tree?: boolean;
}

/** Which image something is about. */
export interface HostedPlace {
  /** Place of the image in the job, 0-based. */
  readonly place: number;
  /** Its number, by which the random numbers know it. */
  readonly index: number;
  /** Number of the attempt where an image has several lanes; 0 otherwise. */
  readonly lane: number;
}

/** A picture as a file. */
export interface HostedPicture extends PictureSize {
  /** A PNG file. */
  readonly png: Uint8Array<ArrayBuffer>;
}

/** A job has begun: its turn has come, and nothing is wrong with it. */
export interface HostedBegunEvent {
  readonly type: "begun";
  /** Images, not counting further pictures of the same. */
  readonly images: number;
  /** Their size. */
  readonly picture: PictureSize;
  /** Token maps. */
  readonly scales: number;
  /** What a person should know, in sentences. */
  readonly notes: readonly string[];
}

/** What images look like after a scale. */
export interface HostedPreviewEvent {
  readonly type: "preview";
  readonly batch: number;
  readonly scale: number;
  readonly images: readonly (HostedPlace & HostedPicture & { readonly caption: string })[];
}

/** The candidates of a scale for one lane, and what VAR-Scaling decided. */
export interface HostedCandidatesEvent extends HostedPlace {
  readonly type: "candidates";
  readonly scale: number;
  /** Two numbers of each candidate: its code vectors along their two principal axes. */
  readonly points: Float32Array<ArrayBuffer>;
  /** Density of each. */
  readonly densities: Float32Array<ArrayBuffer>;
  /** Those that were kept, in the order in which they were accepted. */
  readonly kept: Uint32Array<ArrayBuffer>;
  /** The one that was taken. */
  readonly chosen: number;
  /** What the largest density was compared with: alpha times the mean. */
  readonly threshold: number;
  /** All that the hook reports. */
  readonly decision: VarScalingDecision;
}

/** A lane of a search. */
export interface HostedBranch {
  /** Its number among the attempts. */
  readonly attempt: number;
  /** What keyed its random numbers. */
  readonly lane: number;
  /** For a copy, what it continued. */
  readonly from?: Attempt["from"];
  /** Where it ended, if it did. */
  readonly dropped?: Attempt["dropped"];
  /** What it looked like after each of its scales, at most 128 pixels wide and high. */
  readonly pictures: readonly (HostedPicture & { readonly scale: number })[];
  /** What hooks decided about it. */
  readonly decisions: readonly HookDecision[];
}

/** All lanes that were tried for an image. */
export interface HostedTreeEvent {
  readonly type: "tree";
  readonly place: number;
  readonly index: number;
  readonly branches: readonly HostedBranch[];
}

/** An image is finished. */
export interface HostedImageEvent extends HostedPlace, HostedPicture {
  readonly type: "image";
  /** What the record calls it. */
  readonly file: string;
  readonly label: ResolvedLabel;
  readonly caption: string;
  /** Seed of the job; with the index it determines the image. */
  readonly seed: number | bigint;
  readonly sha256: string;
  /** The tokens of each scale. */
  readonly tokens: readonly Uint32Array[];
  readonly decisions: readonly HookDecision[];
  readonly attempt: number;
  readonly attempts: readonly Attempt[];
}

/** All images are finished. */
export interface HostedDoneEvent {
  readonly type: "done";
  readonly trace: Trace;
  /** What `varscale generate` would have written, with which `--repeat` makes the same. */
  readonly record: RunRecord;
  /** Files that the record needs beside it, by name: the source of an edit, and a picture of its region. */
  readonly files: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
}

/** The job was ended; what ended it is thrown next. */
export interface HostedAbortedEvent {
  readonly type: "aborted";
}

/** What happens to a job, in order. */
export type HostedEvent =
  | HostedBegunEvent
  | Extract<GenerateEvent, { readonly type: "batch" | "scale" }>
  | HostedCandidatesEvent
  | HostedPreviewEvent
  | HostedTreeEvent
  | HostedImageEvent
  | HostedDoneEvent
  | HostedAbortedEvent;
