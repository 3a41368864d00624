/**
 * What a family of models registers, in one place: how its checkpoints are recognised, where they lie on the
 * hub, how they become a model folder, how that is loaded, and what a person may ask of it. `families.ts`
 * lists the families; whatever works with models of any family (`load.ts`, `convert.ts`, `hub_model.ts`, the
 * command line) goes by this.
 *
 * @module
 */

import type { Device } from "../kernels/device/device.ts";
import type { Compute, Dtype, KeptDtype } from "./weights/dtype.ts";
import type { ModelFolder } from "./folder/model_folder.ts";
import type { ModelSize } from "./folder/sizes.ts";
import type { CacheDtype } from "./graphs/cache_values.ts";
import type { CpuProvider } from "./graphs/graph_session.ts";
import type { ClassLabels, TextLabels } from "./label.ts";
import type { Model, SearchSettings } from "./model.ts";
import type { WeightPlaces } from "./weights/weight_places.ts";
import type { PublishedModel } from "./published_model.ts";
import type { SamplingDefaults, Schedule, ScheduleRequest, ScheduleSettings } from "./schedule.ts";
import type { StoredTensor, WeightSet } from "./weights/weight_set.ts";

/** A file that lies beside a checkpoint and belongs to its part: what cuts a text into tokens, say. */
export interface Companion {
  /** Its name in the checkpoint's folder; no two of a family have the same. */
  readonly name: string;
  /** Its name in a model folder; without one it is only looked at when the model is made. */
  readonly as?: string | undefined;
  /** Whether there is no part without it. */
  readonly required: boolean;
}

/** A file that was found beside a checkpoint. */
export interface CompanionFile {
  /** Path or URL, for messages. */
  readonly file: string;
  /** Its content. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A checkpoint that a model is made from. */
export interface CheckpointPart {
  /** Key in `{ var, vae }` and, with `-ckpt`, name of the command line's option. */
  readonly name: string;
  /** Name of its weights in a model folder. */
  readonly weights: string;
  /** What it is, for people: `"the transformer"`. */
  readonly title: string;
  /** Whether a model can do without it: it is made, loaded and written with the part or without. */
  readonly optional?: true;
  /** Files that lie beside the checkpoint and belong to it. */
  readonly companions?: readonly Companion[];
  /**
   * A tensor by which it is looked for, under whatever names trainers put in front, and missed; several where
   * files spell it in several ways.
   */
  readonly landmark: string | readonly string[];
  /** Tensors that are derivable or serve training only. */
  readonly unused: RegExp;
  /**
   * Name in the model of a tensor that checkpoints spell in several ways, which differ at its end; nothing
   * stands in front of it, or whatever trainers put there. Without it, tensors are called what they are
   * called in the file.
   */
  nameOf?(stored: string): string;
  /** Whether tensors are such a part, a landmark among them; nothing stands in front of their names. */
  isIn(tensors: ReadonlyMap<string, StoredTensor>): boolean;
}

/** Tensors of one part. */
export interface PartWeights {
  /** The tensors, of which what is used is taken. */
  readonly set: WeightSet;
  /** Reads one of them. */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
}

/**
 * Tensors of a model's parts by the names that weights have in a folder. An optional part that the model has
 * not is missing; of one checkpoint alone, any may be.
 */
export type ModelWeights = Readonly<Record<string, PartWeights>>;

/** A file in a repository of its own: a text encoder that others have published, say. */
export interface FileElsewhere {
  /** The repository, like `"google/flan-t5-xl"`. */
  readonly repository: string;
  /** Branch, tag or commit; `"main"` by default. */
  readonly revision?: string;
  /** Name there. */
  readonly name: string;
}

/** What is to be known of a repository with tuned transformers before one is used. */
export interface TunedRepository {
  /** What it is called. */
  readonly title: string;
  /** Its licence. */
  readonly licence: string;
  /** Whether that permits commercial use. */
  readonly commercial: boolean;
  /** How its files are meant to be used. */
  readonly use: string;
}

/** Files of a family on the hub, by the names under which they were published. */
export interface PublishedFiles {
  /** The repository that people know, like `"FoundationVision/var"`. */
  readonly repository: string;
  /** An example of a transformer's name, for messages. */
  readonly example: string;
  /** Size of the model whose transformer has this file name, or `undefined` for any other file. */
  sizeOf(file: string): ModelSize | undefined;
  /**
   * Name of the transformer of a size, where it is known without asking: a checkpoint, or the index of one
   * that lies in several files. Where it may have several names, the likeliest comes first.
   */
  transformer(size: ModelSize): string | readonly string[] | undefined;
  /**
   * Where the other parts of a model of a size may be, in order of preference, by part: names in the
   * transformer's repository, which is told, or files in others. They may be indices, too.
   */
  others(
    size: ModelSize,
    repository: string,
  ): Readonly<Record<string, readonly (string | FileElsewhere)[]>>;
  /** Repositories of others with transformers that fit, by name. */
  readonly tuned?: Readonly<Record<string, TunedRepository>>;
  /** What its models take, by which a device is told what it may expect. */
  models?(): Promise<readonly PublishedModel[]>;
}

/** An option that only one family has. */
export interface FamilyOption {
  /** What its value is. */
  readonly kind: "boolean" | "integer" | "number" | "text";
  /** What it does, a sentence or two without a final period. */
  readonly help: string;
  /** Least value of a number. */
  readonly min?: number;
  /** Largest value of a number. */
  readonly max?: number;
  /** What the help says about the default. */
  readonly defaultText?: string;
}

/** How a model is kept in memory, where its family has a choice. */
export interface FamilyLoading {
  /**
   * `"blocks"` reads the transformer's weights block by block each time one is run, so that all of them need
   * not be in memory together, on the CPU only; `"none"`, the default, keeps them.
   */
  readonly offload?: "none" | "blocks";
  /**
   * How the large products are computed; `"f32"` by default. A family that offers `"int8"` stores the weights
   * of layers that its graphs take by `GraphWeights.linear` so where it is asked for that type.
   */
  readonly compute?: Compute;
  /** Type in which keys and values are kept between two scales; `"f32"` by default. */
  readonly cacheDtype?: CacheDtype;
  /** Whether the text encoder stays loaded after its use; false by default. */
  readonly keepTextEncoder?: boolean;
}

/** How a model is loaded from its folder. */
export interface LoadFamilyOptions extends FamilyLoading {
  /** Threads on the CPU. */
  readonly threads?: number;
  /** Who computes on the CPU. */
  readonly cpuProvider?: CpuProvider;
  /** Type of the large weights where the model runs. */
  readonly dtype?: Dtype | "auto";
  /** Bytes that it may take. */
  readonly memory?: number;
  /** Size that it must have. */
  readonly size?: ModelSize;
  /**
   * Optional parts that somebody left out, for messages: the folder is as if it had none of their weights.
   */
  readonly without?: readonly string[];
  /** Whether the model disposes the device. */
  readonly ownsDevice?: boolean;
}

/** A fact about a model with its name, for people. */
export type Fact = readonly [name: string, value: string];

/** A family of models. `Config` are its sizes, as `model.json` holds them. */
// deno-lint-ignore no-explicit-any
export interface Family<Config = any> {
  /** Name in `model.json`. */
  readonly name: string;
  /** Name for people. */
  readonly title: string;
  /** The checkpoints that a model is made from, the transformer first. */
  readonly parts: readonly CheckpointPart[];
  /** Its files on the hub. */
  readonly published: PublishedFiles;
  /** How tokens are drawn unless something else is asked for. */
  readonly defaults: SamplingDefaults;
  /** What VAR-Scaling does unless something else is asked for, as far as it does not depend on the model. */
  readonly search: SearchSettings;
  /** Which of them requests may name. */
  readonly flexible: readonly (keyof ScheduleSettings["maps"])[];
  /**
   * What `published: true` changes, for people; `undefined` if the family does what the released code does
   * anyway.
   */
  readonly publishedHelp: string | undefined;
  /** Which choices there are when its models are loaded; others are refused. */
  readonly loading: readonly (keyof FamilyLoading)[];
  /** Options that only this family has. */
  readonly options: Readonly<Record<string, FamilyOption>>;
  /**
   * Reads the sizes from the tensors that are there. The sizes of parts without tensors are missing in what
   * it resolves to.
   *
   * @throws {ModelFileError} If tensors contradict each other.
   */
  infer(weights: ModelWeights): Promise<Partial<Config>>;
  /**
   * Checks what a folder's description gives as sizes.
   *
   * @throws {ModelFileError} Naming the first one that is missing or none.
   */
  requireConfig(config: unknown, file: string): Config;
  /**
   * Checks the files that were found beside checkpoints, by their names there, before anything is written;
   * when a folder is converted, those that it keeps.
   *
   * @throws {ModelFileError} If one of them does not go with the tensors.
   */
  requireCompanions?(
    config: Config,
    files: Readonly<Record<string, CompanionFile>>,
  ): Promise<void> | void;
  /** What tells a model from others of the family. */
  size(config: Config): ModelSize;
  /** Name of a model that has been given none. */
  modelName(config: Config): string;
  /**
   * What a model may be asked for. Its classes have the names that it was given; without any they have those
   * of ImageNet for published sizes, else none. `undefined` where the sizes of one part do not tell.
   */
  labels(config: Partial<Config>, names?: readonly string[]): ClassLabels | TextLabels | undefined;
  /**
   * Makes the schedule of a request from the sizes alone, but for the bytes that it takes, so that what no
   * model of these sizes can follow is refused before one is loaded. Without it, the loaded model refuses it.
   *
   * @throws {TypeError} If an option is of the wrong type, or none of the family's.
   * @throws {RangeError} If there can be no such schedule.
   */
  schedule?(
    model: { readonly name: string; readonly config: Config },
    request: ScheduleRequest,
  ): Omit<Schedule, "imageBytes">;
  /**
   * What a model of these sizes takes where it runs, from its sizes alone; `hasWeights` tells which parts it
   * has. Without it, nothing is told of models that are not loaded.
   */
  needs?(
    model: { readonly name: string; readonly config: Config },
    hasWeights: (part: string) => boolean,
  ): Promise<PublishedModel>;
  /** Sizes in words, of a whole model or of one part. */
  describe(config: Partial<Config>): readonly Fact[];
  /** Builds the graphs of the parts that are there, and takes all tensors that they and the kernels use. */
  graphs(
    config: Config,
    weights: ModelWeights,
    places: Readonly<Record<string, WeightPlaces>>,
  ): Map<string, Uint8Array<ArrayBuffer>>;
  /**
   * How a tensor is stored when the large weights have a type; `"int8"` is asked for only where
   * {@linkcode loading} names `compute`.
   */
  storedDtype(name: string, shape: readonly number[], dtype: KeptDtype): KeptDtype;
  /**
   * Reads the sizes from the tensors of a folder, together with the sizes that the folder gives, for what
   * tensors alone do not tell. What differs from those is refused before anything is built from them.
   */
  inferAgain(weights: ModelWeights, config: Config): Promise<Config>;
  /**
   * Loads a model from its folder, which is the model's from then on. Which optional parts it has,
   * {@linkcode ModelFolder.hasWeights} tells, whatever the sizes in the description are.
   *
   * @throws {ModelFileError} If the files are no model of the family.
   * @throws {RangeError} If it is of another size, or does not fit where it is to run.
   */
  load(folder: ModelFolder, device: Device, options: LoadFamilyOptions): Promise<Model>;
}
