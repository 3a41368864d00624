/**
 * What every model family offers to the sampler: a schedule of scales for a request, and a generation that
 * turns features into logits and accepts tokens, scale by scale. Nothing here knows a particular family.
 *
 * @module
 */

import type { Device, DeviceArray } from "../kernels/device/device.ts";
import type { PickRule, Strategy } from "../kernels/candidates/select.ts";
import type { Provider } from "./graphs/room.ts";
import type { Compute, Dtype } from "./weights/dtype.ts";
import type { ModelTuning } from "./folder/model_folder.ts";
import type { ModelSize } from "./folder/sizes.ts";
import type { CacheDtype } from "./graphs/cache_values.ts";
import type { ClassLabels, Label, ResolvedLabel, TextLabels } from "./label.ts";
import type { MapSize, PictureSize, SamplingDefaults, Schedule, ScheduleRequest } from "./schedule.ts";
import type { TextFeatures } from "./text/text_features.ts";
import type { TokenSpace } from "./tokens/token_space.ts";
import type { FeatureExtractor, Verifier } from "./vision/verifier.ts";

/** Pictures on a device. */
export interface PictureArray extends PictureSize {
  /** f32 [images, 3, height, width] from -1 to 1; what a model has decoded is not clamped. */
  readonly array: DeviceArray;
}

/** Decoded pictures. Disposing them frees the array. */
export interface DecodedPictures extends PictureArray, Disposable {}

/** What a generation starts from. */
export interface StartOptions {
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** Whether unconditional logits are wanted beside the conditional ones. */
  readonly guided: boolean;
  /** The scales, as {@linkcode Model.schedule} made them; the model's usual ones by default. */
  readonly schedule?: Schedule;
  /** Features of prompts that are at hand, for a model that takes texts; others it encodes itself. */
  readonly textFeatures?: TextFeatures;
}

/** Options of {@linkcode Model.encodeText}. */
export interface EncodeTextOptions {
  /** Called after each prompt with how many are done, and how many there are. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the encoding before the next prompt. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Generation.logits}. */
export interface LogitsOptions {
  /**
   * The position whose embedding each position takes, with the place that the other has: [images, positions],
   * each a position of the same scale. Both rows of a guided image take the same.
   */
  readonly sources?: Uint32Array | undefined;
}

/** Feature maps on a device. */
export interface FeatureArray extends MapSize {
  /** f32 [maps, channels, height, width]. */
  readonly array: DeviceArray;
  /** Channels of a map. */
  readonly channels: number;
}

/**
 * Images on their way through the scales, with everything a model keeps between two of them. Disposing it
 * frees all of that.
 */
export interface Generation extends Disposable {
  /** Images (lanes) in the batch. */
  readonly images: number;
  /** Whether {@linkcode Generation.logits} holds unconditional rows too. */
  readonly guided: boolean;
  /** Input of the next scale, f32 [images, positions, channels]; guided, twice as many rows. */
  readonly features: DeviceArray;
  /**
   * What the scales have added up to, f32 [images, channels, height, width], in a family whose scales add up.
   */
  readonly accumulated?: DeviceArray;
  /** Width and height of {@linkcode Generation.accumulated}. */
  readonly accumulatedMap?: MapSize;
  /**
   * Logits of the next scale, f32 [images, positions, logits of a position]; guided, twice as many rows: all
   * conditional ones first. They belong to the caller.
   */
  logits(options?: LogitsOptions): Promise<DeviceArray>;
  /** Ends the scale with these tokens, u32 [images, positions, words]. */
  accept(tokens: DeviceArray): void;
  /**
   * Ends the scale with feature vectors instead of tokens, f32 [images, channels, positions], in a family
   * whose tokens can be mixed.
   */
  acceptFeatures?(features: DeviceArray): void;
  /**
   * What {@linkcode Generation.decode} would decode once the scale were ended with these tokens, for `count`
   * candidates of each image, u32 [images, count, positions, words]: f32 [images, count, channels, height,
   * width]. It belongs to the caller, and nothing is ended.
   */
  featuresOf?(tokens: DeviceArray, count: number): FeatureArray;
  /**
   * Rearranges the batch between two scales: the new lane i continues the old lane `lanes[i]`.
   *
   * @throws {RangeError} If no lane would be left, or one of them is none.
   */
  gather(lanes: readonly number[]): void;
  /**
   * What {@linkcode DecodeOptions.shrink} may be for the pictures that the scales so far show, 1 first; 1
   * alone if it does not say.
   */
  readonly shrinks?: readonly number[];
  /**
   * Decodes what the scales so far show: pictures of the last accepted scale's size.
   *
   * @throws {TypeError} If the model has no decoder, or no scale has been accepted.
   * @throws {RangeError} If the pictures cannot be shrunk so.
   */
  decode(options?: DecodeOptions): Promise<DecodedPictures>;
}

/** Options of {@linkcode Generation.decode}. */
export interface DecodeOptions {
  /**
   * How many times narrower and lower the pictures are than they will be, which takes less work by its
   * square: features become means of so many positions before they are decoded. 1 by default.
   */
  readonly shrink?: number;
}

/**
 * Floating-point operations of a model, two for each product that is added: those of its matrices,
 * convolutions and attention. The rest is a few hundredths of them and left out.
 */
export interface ModelFlops {
  /**
   * Of an image before its first scale, whatever the number of its lanes: the modulations of all blocks. What
   * is made of a text alone is left out, and it is not reckoned that a model may still have those of a class.
   */
  readonly condition: number;
  /** Of the transformer for one lane at each scale, with the rows that its guidance takes. */
  readonly scales: readonly number[];
  /** What {@linkcode DecodeOptions.shrink} may be after a scale, 1 first. */
  shrinks(scale: number): readonly number[];
  /** Of the decoder for one picture after a scale, `shrink` times as narrow and low (1 by default). */
  decode(scale: number, shrink?: number): number;
}

/** Token maps of encoded pictures. */
export interface Encoding extends Disposable {
  /** Tokens of the scales in order, u32 [images, positions, words]. */
  readonly tokens: readonly DeviceArray[];
  /** The encoder's features, f32 [images, channels, height, width]. */
  readonly features: DeviceArray;
  /**
   * Decodes what the tokens show up to a scale, by default the last encoded one.
   *
   * @throws {TypeError} If the model has no decoder.
   */
  decode(scale?: number): Promise<DecodedPictures>;
}

/** Options of {@linkcode Model.encode}. */
export interface EncodeOptions {
  /** The scales whose tokens are wanted; the model's usual ones by default. */
  readonly schedule?: Schedule;
  /** Index of the last scale that is wanted, of which the pictures have the size; the finest by default. */
  readonly last?: number;
  /**
   * Changes the encoder's features, f32 [images, channels, height, width], in place, before tokens are made
   * of them.
   */
  readonly adjust?: (features: DeviceArray) => void | Promise<void>;
}

/**
 * Settings of VAR-Scaling that are the same for all models of a family, from what the method's authors state.
 */
export interface SearchSettings {
  /** The scale on which to search. */
  readonly scale: number;
  /** Candidates N per image. */
  readonly samples: number;
  /** Candidates that are kept at most. */
  readonly representatives: number;
  /** Which candidates are kept. */
  readonly strategy: Strategy;
  /** How one of the kept is taken. */
  readonly pick: PickRule;
}

/** Settings of VAR-Scaling that suit a model, also from what its folder says. */
export interface SearchDefaults extends SearchSettings {
  /** Threshold factor α on the mean density. */
  alpha(setting: { readonly scale: number; readonly samples: number }): number;
  /** Conflict threshold, in units of the codebook. */
  readonly conflictThreshold: number;
  /** What the authors' experiments take, whatever the model and its folder. */
  readonly published: Partial<SearchSettings> & {
    readonly cfg: number;
    readonly alpha: number;
    readonly conflictThreshold: number;
  };
  /**
   * What the authors' paper states for the family where the settings above are those of the released code, or
   * of this project.
   */
  readonly paper?: Partial<SearchSettings> & { readonly alpha?: number; readonly conflictThreshold?: number };
}

/**
 * A model that is loaded on a device. Disposing it unloads it, when what has begun is done, and the device
 * too if the model opened it.
 */
export interface Model extends AsyncDisposable {
  /** Family, for example `"var"`. */
  readonly family: string;
  /** Name for people. */
  readonly name: string;
  /** Where it was loaded from. */
  readonly location: string;
  /**
   * SHA-256 of its weight files and of what else decides what it paints, by name. Checkpoints on the disk are
   * read for it when it is first asked for, 0.6 s per GB; that throws a {@linkcode ModelFileError} if one has
   * changed since it was opened.
   */
  readonly fingerprints: Readonly<Record<string, string>>;
  /** Where it runs. */
  readonly device: Device;
  /** Who computes its graphs there. */
  readonly provider: Provider;
  /** Type of its large weights there; where their products are of integers, of all others. */
  readonly dtype: Dtype;
  /**
   * Type that they have in the folder that it was loaded from, if it is another; checkpoints count as f32, or
   * as the type that was asked for, to which they are converted as they are read.
   */
  readonly storedDtype?: Dtype;
  /** How its large products are computed; f32 if it does not say. */
  readonly compute?: Compute;
  /** Type in which its keys and values are kept; f32 if it does not say. */
  readonly cacheDtype?: CacheDtype;
  /** Which of its weights are read whenever they are used; none if it does not say. */
  readonly offload?: "none" | "blocks";
  /** An estimate of the bytes that stay there as long as it is loaded. */
  readonly weightBytes: number;
  /** Bytes that it and what it makes may take there at the most, where that is known. */
  readonly memoryLimit: number | undefined;
  /** What tells it from others of its family: the depth of its transformer, or a name. */
  readonly size: ModelSize;
  /** What it may be asked for: classes or texts. */
  readonly labels: ClassLabels | TextLabels;
  /** Sides of the token maps of its usual schedule, coarse to fine. */
  readonly patchNumbers: readonly number[];
  /** How tokens are drawn unless a request says otherwise. */
  readonly defaults: SamplingDefaults;
  /** Settings of VAR-Scaling that suit it. */
  readonly search: SearchDefaults;
  /**
   * Weight λ of prefix guidance (arXiv 2605.30317) that its authors state for models of its size; without it,
   * they state none.
   */
  readonly prefixWeight?: number | undefined;
  /** Search settings that its folder gives; how they were found, the folder's description says. */
  readonly tuning: ModelTuning;
  /** Its tokens. */
  readonly tokens: TokenSpace;
  /** Whether it has an encoder. */
  readonly encodes: boolean;
  /** Whether it has a decoder. */
  readonly decodes: boolean;
  /**
   * Understands a label.
   *
   * @throws {TypeError} If it is of the wrong type.
   * @throws {RangeError} If the model has no such class.
   */
  resolveLabel(label: Label): ResolvedLabel;
  /**
   * Makes the schedule of a request, the usual one by default.
   *
   * @throws {TypeError} If an option is of the wrong type, or none of the family's.
   * @throws {RangeError} If the model cannot follow it, with the reason.
   */
  schedule(request?: ScheduleRequest): Schedule;
  /**
   * Floating-point operations of a schedule's images; a family that cannot tell is without it.
   *
   * @param guided Whether there are unconditional rows beside the conditional ones; by default, whether the
   * schedule needs them.
   */
  flops?(schedule: Schedule, guided?: boolean): ModelFlops;
  /**
   * The model's own judge of pictures: loaded when it is first asked for, unloaded with the model. Without
   * it, its folder holds none.
   *
   * @throws {TypeError} If what the folder holds only describes pictures.
   * @throws {ModelFileError} If its files are not what they should be.
   */
  verifier?(): Promise<Verifier>;
  /**
   * What describes the model's pictures, in the same way.
   *
   * @throws {TypeError} If what the folder holds only judges pictures.
   * @throws {ModelFileError} If its files are not what they should be.
   */
  extractor?(): Promise<FeatureExtractor>;
  /**
   * The texts whose features a batch needs, each once: prompts of labels, and what the schedule's options
   * add. Models that take classes are without it.
   */
  textsOf?(labels: readonly ResolvedLabel[], schedule: Schedule): readonly string[];
  /**
   * Encodes prompts, equal ones once, so that their features can be kept. Models that take classes are
   * without it.
   *
   * @throws {TypeError} If the model has no text encoder, or a prompt is no text.
   * @throws {RangeError} If a prompt is too long.
   */
  encodeText?(prompts: readonly string[], options?: EncodeTextOptions): Promise<TextFeatures>;
  /**
   * Checks that features are of the text encoder that the model was trained with, as far as that is known.
   * Models that take classes are without it.
   *
   * @throws {RangeError} If they have another width, or are known to be of another encoder.
   */
  requireTextFeatures?(features: TextFeatures): void;
  /**
   * Starts a batch.
   *
   * @throws {RangeError} If there is no label, or one of them is no class.
   */
  start(options: StartOptions): Promise<Generation>;
  /**
   * Encodes pictures to token maps.
   *
   * @throws {TypeError} If the model has no encoder.
   * @throws {RangeError} If the pictures have not the size of the last wanted scale, or one that the family
   * admits instead.
   */
  encode(pictures: PictureArray, images: number, options?: EncodeOptions): Promise<Encoding>;
}
