/**
 * What a hook gets in its hands: one scale of one batch, with the operations that search methods are made of
 * (draw candidates, measure densities, select, report), written against the device and so the same on CPU and
 * GPU.
 *
 * Arrays that a step hands out belong to it and live until the scale is done.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireInteger,
  requireObject,
  requireOptions,
} from "../kernels/arguments.ts";
import type { FeatureGrouping } from "../kernels/candidates/bandwidth.ts";
import { requireLength } from "../kernels/device/array_checks.ts";
import type { Device, DeviceArray } from "../kernels/device/device.ts";
import { guidance } from "../kernels/sampling/guidance.ts";
import {
  decisionLength,
  type DensityRule,
  type PickRule,
  type Strategy,
} from "../kernels/candidates/select.ts";
import type { ResolvedLabel } from "../models/label.ts";
import type { FeatureArray, Generation, Model } from "../models/model.ts";
import { requireScaleSampling } from "../models/sampling.ts";
import type { MapSize, Scale, ScaleSampling, Schedule } from "../models/schedule.ts";
import type { Distance, DrawArguments } from "../models/tokens/token_space.ts";
import type { Pictures } from "../models/vision/verifier.ts";
import type { CostCounter, JudgeMeter } from "./cost.ts";
import type { KeptTokens } from "./editing/kept_tokens.ts";
import { gatherLanes, isOnDevice, type LaneMemory } from "./lane_memory.ts";
import type { RgbaImage } from "./pictures/image.ts";
import type { CurrentPictures } from "./pictures/current.ts";
import type { SamplingSettings } from "./settings.ts";
import type { ShadowOptions } from "./shadow_options.ts";

/** One row of the batch: an image, or one of several attempts at it. */
export interface Lane {
  /** Place of its image in the request, 0-based. */
  readonly image: number;
  /** Number by which the random numbers know its image: the place, unless the request gives indices. */
  readonly index: number;
  /** Number of the attempt, which keys its random numbers. */
  readonly lane: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
}

/**
 * What keys the random numbers of a lane: its image's index and, above 24 bits, the number of the attempt.
 *
 * @example
 * ```ts
 * import { laneWord } from "./step.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(laneWord({ index: 5, lane: 2 }), 2 * 2 ** 24 + 5);
 * ```
 */
export function laneWord({ index, lane }: Pick<Lane, "index" | "lane">): number {
  return (index | lane << 24) >>> 0;
}

/** Options of {@linkcode ScaleStep.draw}. */
export interface DrawOptions {
  /** Instead of the scale's. */
  topK?: number;
  /** Instead of the scale's. */
  topP?: number;
  /** Instead of the scale's. */
  minP?: number;
  /** Instead of the scale's. */
  temperature?: number;
  /** Filter the logits anew for every further draw, as the published code of VAR-Scaling does. */
  compounding?: boolean;
  /** Number of the first draw; draws of other numbers are independent of each other. */
  firstDraw?: number;
}

/** Options of {@linkcode ScaleStep.density}. */
export interface DensityOptions {
  /** `"euclidean"` by default. */
  distance?: Distance;
  /** One density per position, summed (default), or one of the whole map. */
  features?: FeatureGrouping;
  /** Bandwidth from each image alone (default) or averaged over the batch. */
  bandwidth?: "image" | "batch";
  /** Divisor of the standard deviation, N (default) or N - 1. */
  deviation?: "population" | "sample";
}

/** Options of {@linkcode ScaleStep.expectedDensity}: how the candidates were drawn, and among how many. */
export interface ExpectedDensityOptions extends Omit<DrawOptions, "compounding" | "firstDraw"> {
  /** Number of candidates that a density stands for, 1 to 8192; as many as there are by default. */
  nominal?: number;
}

/** Options of {@linkcode ScaleStep.select}. */
export interface SelectOptions {
  /** Threshold factor on the mean density. */
  alpha: number;
  /** Candidates that are kept at most. */
  representatives: number;
  /**
   * Candidates closer than this to a kept one are passed over; 0 is off. Where tokens have code vectors, it
   * is the Euclidean distance of those as the codebook has them, whatever distance densities go by.
   */
  conflictThreshold: number;
  /** Which candidates to prefer; `"var-scaling"` by default. */
  strategy?: Strategy;
  /** When a density counts as low; `"published"` by default. */
  rule?: DensityRule;
  /** How one of the kept is taken; `"density"` by default. */
  pick?: PickRule;
}

/** What a {@linkcode ScaleStep} is made of. */
export interface ScaleStepParts {
  readonly model: Model;
  readonly generation: Generation;
  readonly request: SamplingSettings;
  readonly schedule: Schedule;
  readonly scale: number;
  /** The batch's rows as they are now. */
  readonly lanes: () => readonly Lane[];
  /** Random-number index of each lane, u32 [lanes]. */
  readonly laneArray: DeviceArray;
  /** Raw logits as the model gave them. */
  readonly logits: DeviceArray;
  /** Runs a generation beside that of the batch for the hook that acts, and gives its raw logits. */
  readonly shadow: (options: ShadowOptions) => Promise<DeviceArray>;
  /** What an edit keeps on this scale. */
  readonly kept?: KeptTokens | undefined;
  /** The pictures of the batch. */
  readonly pictures: CurrentPictures;
  /** What hooks remember of its lanes. */
  readonly memory: LaneMemory;
  /** Counts what it costs. */
  readonly cost: CostCounter;
  /** The tokens that the lanes have on a scale, for the step to own; `undefined` where there are none yet. */
  readonly tokensOf: (scale: number) => DeviceArray | undefined;
  /** Which row of the logits each lane came from, once lanes have been rearranged. */
  readonly order: () => readonly number[] | undefined;
  /** Who acts, so that hooks do not mix up what they remember. */
  readonly owner: () => string;
  /** Takes a report of a hook, a copy of which outlives the step. */
  readonly onReport: (array: DeviceArray, length: number, read: (words: Uint32Array) => unknown) => void;
  /** Takes a note of a hook about a lane. */
  readonly onNote: (lane: number, value: unknown) => void;
}

/**
 * One scale of one batch, in the hands of a hook.
 *
 * @typeParam Decision What the hook reports and notes.
 *
 * @example
 * ```ts
 * import { generate, loadModel, readFloats, type ScaleHook } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A hook that looks at the densities of eight draws on the third scale, and takes the first of them.
 * const densities: number[] = [];
 * const look: ScaleHook = {
 *   name: "look",
 *   scales: [2],
 *   async choose(step) {
 *     const candidates = step.draw(8);
 *     densities.push(...await readFloats(step.density(candidates, 8)));
 *   },
 * };
 * await using model = await loadModel("demo", { device: "cpu" });
 * await generate(model, { labels: "red torus", hooks: [look] });
 * assertEquals(densities.length, 8);
 * ```
 */
export class ScaleStep<Decision = unknown> implements Disposable {
  readonly #parts: ScaleStepParts;
  readonly #owned = new DisposableStack();
  #guided: DeviceArray | undefined;
  #conditional: DeviceArray | undefined;
  #unconditional: DeviceArray | undefined;
  #sampling: ScaleSampling;
  #tokens: DeviceArray | undefined;
  #accepted: DeviceArray | undefined;
  #missing: DeviceArray | undefined;
  #drawn = false;

  /** Steps are made by the sampler. */
  constructor(parts: ScaleStepParts) {
    this.#parts = parts;
    this.#sampling = parts.schedule.scales[parts.scale]!.sampling;
  }

  /** The model. */
  get model(): Model {
    return this.#parts.model;
  }

  /** Where everything runs. */
  get device(): Device {
    return this.#parts.model.device;
  }

  /** What was asked for, hooks and previews apart. */
  get request(): SamplingSettings {
    return this.#parts.request;
  }

  /** Index of the scale, 0-based. */
  get scale(): number {
    return this.#parts.scale;
  }

  /** All scales. */
  get schedule(): Schedule {
    return this.#parts.schedule;
  }

  /** Number of scales. */
  get scales(): number {
    return this.schedule.scales.length;
  }

  /** Tokens in a row of the map. */
  get width(): number {
    return this.#current.width;
  }

  /** Rows of the map. */
  get height(): number {
    return this.#current.height;
  }

  /** Tokens of the map. */
  get positions(): number {
    return this.width * this.height;
  }

  /**
   * The batch's rows; once a hook has gathered them, the new ones. Logits, draws and tokens stay those of the
   * rows before.
   */
  get lanes(): readonly Lane[] {
    return this.#parts.lanes();
  }

  /** Where an edit keeps the source's tokens, 1 or 0 per position; `undefined` where it keeps none. */
  get kept(): Uint32Array | undefined {
    return this.#parts.kept?.kept;
  }

  /** Weight t of guidance on this scale: `conditional + t · (conditional - unconditional)`. */
  get guidanceWeight(): number {
    return this.#parts.generation.guided ? this.#sampling.guidanceWeight : 0;
  }

  /** How the tokens of this scale are drawn, with what hooks have changed. */
  get sampling(): ScaleSampling {
    return this.#sampling;
  }

  /**
   * Changes how the tokens of this scale are drawn, and how strongly it is guided: in `combine` and `guide`,
   * for all draws that follow.
   *
   * @param sampling What changes.
   * @throws {TypeError} If it is not a setting of a scale.
   * @throws {RangeError} If it is out of range, tokens have been drawn or logits guided with what was before,
   * or the batch has no unconditional rows to be guided by: those are there if any scale's weight is not 0.
   */
  setSampling(sampling: Partial<ScaleSampling>): void {
    const action = `change the sampling of scale ${this.scale}`;
    requireScaleSampling(sampling, action);
    if (this.#drawn) throw new RangeError(`Cannot ${action} as tokens have been drawn`);
    const { guidanceWeight } = sampling;
    if (guidanceWeight !== undefined && guidanceWeight !== this.guidanceWeight) {
      if (!this.#parts.generation.guided) {
        throw new RangeError(
          `Cannot ${action} as there are no logits without a label to be guided by: set cfg so that it guides`,
        );
      }
      if (this.#guided !== undefined) throw new RangeError(`Cannot ${action} as its logits have been guided`);
    }
    const given = Object.entries(sampling).filter(([, value]) => value !== undefined);
    this.#sampling = { ...this.#sampling, ...Object.fromEntries(given) };
  }

  /**
   * The conditional logits as the model gave them, f32 [lanes, positions, logits of a position]: a copy, of
   * which changes do not count.
   */
  get conditional(): DeviceArray {
    return this.#conditional ??= this.#rawRows(0, "conditional logits");
  }

  /**
   * The unconditional ones; `undefined` where nothing is guided, as they are not computed then.
   */
  get unconditional(): DeviceArray | undefined {
    if (!this.#parts.generation.guided) return undefined;
    return this.#unconditional ??= this.#rawRows(1, "unconditional logits");
  }

  /**
   * Makes these the guided logits of the scale, f32 [lanes, positions, logits of a position], an array that
   * lives until the scale is done: in `combine` and `guide`, before tokens are drawn.
   *
   * @throws {RangeError} If the array is too short, or tokens have been drawn.
   */
  setLogits(logits: DeviceArray): void {
    const action = `set the logits of scale ${this.scale}`;
    const { images, positions } = this.#sizes();
    requireLength(logits, images * positions * this.model.tokens.logits, action);
    if (this.#drawn) throw new RangeError(`Cannot ${action} as tokens have been drawn`);
    this.#guided = logits;
  }

  /**
   * Logits of a generation that runs beside that of the batch: the same labels, the same tokens on all scales
   * before, guided by the same weight, but with embeddings that are moved from position to position. Made
   * anew at each call, f32 [lanes, positions, logits of a position], until the scale is done.
   *
   * Each hook has one such generation, which costs as much memory and time as the batch's own; the hook says
   * so in `shadows` and `reruns`.
   *
   * @throws {RangeError} If the sources of a scale are not one for each of its positions, or vectors are
   * mixed.
   */
  async shadow(options: ShadowOptions = {}): Promise<DeviceArray> {
    requireObject(options, "the options", "run a shadow");
    requireOptions(options, ["sources", "fresh"], "run a shadow");
    if (this.request.moreSmooth) {
      throw new RangeError("Cannot run a shadow with moreSmooth as it is fed tokens, not mixed vectors");
    }
    const { images, positions } = this.#sizes();
    const { logits: vocabulary } = this.model.tokens;
    using raw = await this.#parts.shadow(options);
    const guided = this.allocate(images * positions * vocabulary, "logits of a shadow");
    const weight = this.guidanceWeight;
    this.device.run(guidance, { logits: raw, guided, images, positions, vocabulary, weight });
    return guided;
  }

  /**
   * What the picture would be decoded from if the scale ended with each of `count` candidates, u32 [lanes,
   * count, positions, words of a token]: feature maps, f32 [lanes, count, channels, height, width], without a
   * pass of the transformer. Until the scale is done.
   *
   * @throws {TypeError} If the model's family cannot tell.
   * @throws {RangeError} If there are fewer candidates, or tokens have been accepted.
   */
  featuresOf(candidates: DeviceArray, count: number): FeatureArray {
    const action = "tell the features of candidates";
    const { generation } = this.#parts;
    const { images, positions, words } = this.#sizes();
    requireInteger(count, "count", action, { min: 1 });
    requireLength(candidates, images * count * positions * words, action);
    if (this.#accepted !== undefined) {
      throw new RangeError(`Cannot ${action} as scale ${this.scale} has its tokens: ask in choose`);
    }
    if (generation.featuresOf === undefined) {
      throw new TypeError(`Cannot ${action} as models of the family "${this.model.family}" do not tell them`);
    }
    const features = generation.featuresOf(candidates, count);
    this.#owned.use(features.array);
    return features;
  }

  /**
   * The guided logits, f32 [lanes, positions, logits of a position]. Asking for them has them computed;
   * changes to them count.
   */
  get logits(): DeviceArray {
    if (this.#guided !== undefined) return this.#guided;
    const { logits, generation } = this.#parts;
    const { images, positions } = this.#sizes();
    if (!generation.guided) return this.#guided = logits;
    const { logits: vocabulary } = this.model.tokens;
    const guided = this.allocate(images * positions * vocabulary, "guided logits");
    this.device.run(guidance, { logits, guided, images, positions, vocabulary, weight: this.guidanceWeight });
    return this.#guided = guided;
  }

  /**
   * Feature vectors that the transformer gets: until the tokens are accepted those of this scale, and in
   * `gather` those of the next one, f32 [lanes, positions, channels], guided twice as many rows. Changes made
   * in `gather` count.
   */
  get features(): DeviceArray {
    return this.#parts.generation.features;
  }

  /**
   * What the scales have added up to, with the map that it lies on, f32 [lanes, channels, height, width]; of
   * a family whose scales do not add up, `undefined`.
   */
  get accumulated(): (MapSize & { readonly array: DeviceArray; readonly channels: number }) | undefined {
    const { accumulated: array, accumulatedMap: map } = this.#parts.generation;
    if (array === undefined || map === undefined) return undefined;
    const channels = array.length / (this.lanes.length * map.width * map.height);
    return { array, channels, width: map.width, height: map.height };
  }

  /**
   * The tokens chosen so far, u32 [lanes, positions, words of a token], or `undefined`; in `gather` those
   * that the scale ended with.
   */
  get tokens(): DeviceArray | undefined {
    return this.#accepted ?? this.#tokens;
  }

  /**
   * The tokens with which a scale has ended, of the lanes as they are now, u32 [lanes, positions, words of a
   * token]; of this scale in `gather`. Until this one is done.
   *
   * @throws {RangeError} If there is no such scale, or it has no tokens yet.
   */
  tokensOf(scale: number): DeviceArray {
    const action = "tell the tokens of a scale";
    requireInteger(scale, "scale", action, { min: 0, max: this.scale });
    const tokens = this.#parts.tokensOf(scale);
    if (tokens === undefined) {
      throw new RangeError(`Cannot ${action} as scale ${scale} has none yet: ask in gather`);
    }
    return this.#owned.use(tokens);
  }

  /** Counts what judges cost. */
  get cost(): JudgeMeter {
    return this.#parts.cost;
  }

  /**
   * What the draws of this step have found missing, u32 [lanes], where the model's tokens need it; see
   * `TokenSpace.findMissing`.
   */
  get missing(): DeviceArray | undefined {
    return this.#missing;
  }

  /**
   * Allocates an array that lives until the scale is done.
   *
   * @throws {TypeError} If it is done.
   */
  allocate(length: number, label: string = "hook's array"): DeviceArray {
    if (this.#owned.disposed) {
      throw new TypeError(`Cannot allocate "${label}" as the step of scale ${this.scale} is over`);
    }
    return this.#owned.use(this.device.allocate(length, label));
  }

  /**
   * Draws `count` token maps per lane, independent of each other, u32 [lanes, count, positions, words of a
   * token]. Draw 0 is what would be taken without any hook. What an edit keeps is the source's in each of
   * them.
   */
  draw(count: number = 1, options: DrawOptions = {}): DeviceArray {
    this.#drawn = true;
    const { images, positions, words } = this.#sizes();
    const tokens = this.allocate(images * count * positions * words, "candidates");
    this.model.tokens.draw(this.device, { ...this.#drawing(options), tokens, draws: count });
    this.#findMissing();
    this.#parts.kept?.mergeTokens(tokens, count);
    return tokens;
  }

  /**
   * Density of each candidate among its lane's `count`, f32 [lanes, count]: the sum of Gaussian kernels over
   * the vectors of tokens. In an edit only the generated positions count, and without any the densities are
   * 0.
   */
  density(candidates: DeviceArray, count: number, options: DensityOptions = {}): DeviceArray {
    const { distance = "euclidean", features = "position", bandwidth = "image", deviation = "population" } =
      options;
    requireChoice(distance, ["euclidean", "cosine"], "distance", "estimate densities");
    requireChoice(bandwidth, ["image", "batch"], "bandwidth", "estimate densities");
    const { images } = this.#sizes();
    const scores = this.allocate(images * count, "densities");
    const { tokens, positions } = this.#generated(candidates, images * count);
    if (positions === 0) return scores;
    const sizes = { images, draws: count, positions };
    const how = { distance, features, bandwidth, deviation };
    this.model.tokens.density(this.device, { tokens, scores, ...sizes, ...how });
    return scores;
  }

  /**
   * The density that each of `count` candidates has on average among `nominal` of them, f32 [lanes, count],
   * in closed form from the logits: nothing is compared, so a few candidates will do. In an edit only the
   * generated positions count.
   *
   * @throws {RangeError} If the model's tokens have no closed form.
   */
  expectedDensity(candidates: DeviceArray, count: number, options: ExpectedDensityOptions = {}): DeviceArray {
    const { nominal = count, ...drawing } = options;
    const { tokens: space, name } = this.model;
    if (space.expectedDensity === undefined) {
      throw new RangeError(
        `Cannot expect densities as only tokens of bits have a closed form, not those of the model "${name}": use density`,
      );
    }
    const { lanes: _lanes, seed: _seed, scale: _scale, compounding: _off, firstDraw: _first, ...drawn } = this
      .#drawing(drawing);
    const scores = this.allocate(drawn.images * count, "densities");
    using kept = this.kept && this.device.upload(this.kept, "kept positions");
    space.expectedDensity(this.device, {
      ...{ ...drawn, tokens: candidates, draws: count, nominal, scores },
      ...(kept && { kept }),
    });
    return scores;
  }

  /** Selects one of `count` candidates per lane; see `selectCandidates` of the kernels. */
  select(
    candidates: DeviceArray,
    scores: DeviceArray,
    count: number,
    options: SelectOptions,
  ): { tokens: DeviceArray; decision: DeviceArray } {
    const { images, positions, words } = this.#sizes();
    const representatives = Math.min(options.representatives, count);
    const tokens = this.allocate(images * positions * words, "selected tokens");
    const order = this.allocate(images * count, "search order");
    const decision = this.allocate(images * decisionLength(representatives), "decisions");
    this.model.tokens.select(this.device, {
      ...options,
      representatives,
      scores,
      candidates,
      order,
      tokens,
      decision,
      images,
      draws: count,
      positions,
      lanes: this.#parts.laneArray,
      seed: this.request.seedWords,
      scale: this.scale,
    });
    return { tokens, decision };
  }

  /**
   * Makes these the tokens of the scale, u32 [lanes, positions, words of a token]. What an edit keeps stays
   * the source's all the same.
   */
  choose(tokens: DeviceArray): void {
    const { images, positions, words } = this.#sizes();
    const wanted = images * positions * words;
    if (tokens.length < wanted) {
      throw new RangeError(
        `Cannot choose tokens for scale ${this.scale} as ${wanted} are needed: the array holds ${tokens.length}`,
      );
    }
    this.#tokens = tokens;
  }

  /**
   * Reports `length` words per lane from an array of the step. They come to the host with the pictures,
   * without a readback of their own, and `read` makes of them what is found under `decisions` of the image.
   */
  report(array: DeviceArray, length: number, read: (words: Uint32Array) => Decision): void {
    this.#parts.onReport(array, length, read);
  }

  /**
   * Notes a value that the hook has on the host, such as the score of a preview, about a lane: a place in
   * {@linkcode ScaleStep.lanes}, as in the list that `gather` returns. It follows the lane, and is found
   * under `decisions` of its image.
   *
   * @throws {RangeError} If there is no such lane.
   */
  note(lane: number, value: Decision): void {
    requireInteger(lane, "lane", "note a value", { min: 0, max: this.lanes.length - 1 });
    this.#parts.onNote(lane, value);
  }

  /**
   * Keeps something of each lane for later scales, under a name of the hook's own: a list of values, or a
   * copy of an array [lanes, …]. It follows the lanes as they are rearranged.
   *
   * @throws {TypeError} If it is neither an array nor a list.
   * @throws {RangeError} If it has not a row for each lane.
   */
  remember(name: string, rows: DeviceArray | ArrayLike<unknown>): void {
    if (typeof rows !== "object" || rows === null) {
      throw new TypeError(mustBe("an array or a list", rows, "what is kept", "remember"));
    }
    const lanes = this.lanes.length;
    if (isOnDevice(rows) ? rows.length % lanes !== 0 : rows.length !== lanes) {
      throw new RangeError(
        mustBe(`a row for each of ${lanes} lanes`, `${rows.length} in all`, "what is kept", "remember"),
      );
    }
    this.#parts.memory.remember(`${this.#parts.owner()}: ${name}`, rows);
  }

  /**
   * What the hook has kept of the lanes as they are now, or `undefined`. An array lives until something else
   * is kept under its name, or lanes are rearranged.
   */
  recall(name: string): DeviceArray | readonly unknown[] | undefined {
    return this.#parts.memory.recall(`${this.#parts.owner()}: ${name}`);
  }

  /**
   * In `gather`, the rows that an array of this step holds for the lanes as they are now, where an earlier
   * hook may have rearranged them: what was computed from logits and draws has a row for each lane before.
   */
  ofLanes(array: DeviceArray): DeviceArray {
    const order = this.#parts.order();
    return order === undefined ? array : this.#owned.use(gatherLanes(array, order, this.#sizes().images));
  }

  /**
   * In `gather`, how likely the tokens that the scale ended with are: f32 [lanes, 2], the natural logarithms
   * of their probabilities for the label and without one, summed over positions, by the logits as the model
   * gave them. In an edit only the generated positions count.
   *
   * @throws {RangeError} If there are no unconditional logits, or the model's tokens cannot be weighed.
   */
  evidence(): DeviceArray {
    const { tokens: space, name } = this.model;
    const { logits, generation: { guided } } = this.#parts;
    const { images, positions } = this.#sizes();
    const tokens = this.#accepted;
    if (tokens === undefined) throw new RangeError("Cannot weigh evidence before the scale has its tokens");
    if (space.evidence === undefined) {
      throw new RangeError(`Cannot weigh evidence as the tokens of the model "${name}" tell no probability`);
    }
    if (!guided) {
      throw new RangeError(
        "Cannot weigh evidence as there are no logits without a label: set cfg so that it guides",
      );
    }
    const evidence = this.allocate(2 * images, "evidence");
    using kept = this.kept && this.device.upload(this.kept, "kept positions");
    space.evidence(this.device, {
      logits,
      tokens,
      evidence,
      images,
      positions,
      guided,
      ...(kept && { kept }),
    });
    return this.ofLanes(evidence);
  }

  /**
   * What has been painted so far as pixels on the device, one picture per lane. Costs a decode, which all who
   * ask for this size share; none on the last scale, where it is that of the finished pictures.
   *
   * @param options The shorter edge that is enough; the full size by default.
   */
  async pictures({ smallestEdge }: { readonly smallestEdge?: number | undefined } = {}): Promise<Pictures> {
    const { pictures } = this.#parts;
    const { array, width, height } = await pictures.of(pictures.shrinkTo(smallestEdge));
    return { array, width, height, count: this.lanes.length };
  }

  /** The same on the host, in full size. Costs a readback, too. */
  preview(): Promise<RgbaImage[]> {
    return this.#parts.pictures.read();
  }

  /**
   * The tokens of the scale, drawn as usual unless a hook has chosen; with `moreSmooth` mixed features too.
   */
  finish(): { tokens: DeviceArray; features: DeviceArray | undefined } {
    const finished = this.#finish();
    this.#accepted = finished.tokens;
    return finished;
  }

  #finish(): { tokens: DeviceArray; features: DeviceArray | undefined } {
    if (this.#tokens !== undefined) return { tokens: this.#withKept(this.#tokens), features: undefined };
    if (!this.request.moreSmooth) return { tokens: this.draw(), features: undefined };
    const { images, positions, words } = this.#sizes();
    const { tokens: space } = this.model;
    const tokens = this.allocate(images * positions * words, "tokens");
    const features = this.allocate(images * space.channels * positions, "mixed features");
    const ratio = this.scales > 1 ? this.scale / (this.scales - 1) : 0;
    // Requests for it are refused where there is no mixing.
    space.mix!(this.device, { ...this.#drawing({}), tokens, output: features, ratio });
    this.#findMissing();
    this.#parts.kept?.mergeTokens(tokens, 1);
    this.#parts.kept?.mergeVectors(features);
    return { tokens, features };
  }

  /** Frees the arrays of the step. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  /** The conditional rows of the raw logits, or the unconditional ones. */
  #rawRows(half: 0 | 1, label: string): DeviceArray {
    const { images, positions } = this.#sizes();
    const length = images * positions * this.model.tokens.logits;
    const rows = this.allocate(length, label);
    this.device.copy(this.#parts.logits, rows, { sourceOffset: half * length, length });
    return rows;
  }

  get #current(): Scale {
    return this.schedule.scales[this.scale]!;
  }

  #findMissing(): void {
    const { tokens: space } = this.model;
    if (space.findMissing === undefined || this.#missing !== undefined) return;
    const { images, positions } = this.#sizes();
    const missing = this.#missing = this.allocate(images, "missing tokens");
    const logits = this.#guided ?? this.#parts.logits;
    space.findMissing(this.device, { logits, missing, images, positions });
  }

  /** The tokens with those that an edit keeps; a hook's array is left alone. */
  #withKept(tokens: DeviceArray): DeviceArray {
    const { kept } = this.#parts;
    if (kept === undefined) return tokens;
    const { images, positions, words } = this.#sizes();
    const merged = this.allocate(images * positions * words, "tokens");
    this.device.copy(tokens, merged, { length: merged.length });
    kept.mergeTokens(merged, 1);
    return merged;
  }

  /** Of `maps` token maps, the positions that are generated. */
  #generated(tokens: DeviceArray, maps: number): { tokens: DeviceArray; positions: number } {
    const { kept } = this.#parts;
    if (kept === undefined) return { tokens, positions: this.positions };
    const generated = kept.generated(tokens, maps);
    this.#owned.use(generated.tokens);
    return generated;
  }

  #sizes(): { images: number; positions: number; words: number } {
    const { laneArray: { length: images } } = this.#parts;
    return { images, positions: this.positions, words: this.model.tokens.words };
  }

  #drawing(options: DrawOptions): Omit<DrawArguments, "tokens" | "draws"> {
    const { request, scale } = this;
    const sampling = this.#sampling;
    const { images, positions } = this.#sizes();
    const raw = this.#guided === undefined;
    return {
      logits: this.#guided ?? this.#parts.logits,
      lanes: this.#parts.laneArray,
      images,
      positions,
      guided: raw && this.#parts.generation.guided,
      weight: raw ? this.guidanceWeight : 0,
      temperature: options.temperature ?? sampling.temperature,
      topK: options.topK ?? sampling.topK,
      topP: options.topP ?? sampling.topP,
      minP: options.minP ?? sampling.minP,
      compounding: options.compounding ?? false,
      firstDraw: options.firstDraw ?? 0,
      seed: request.seedWords,
      scale,
    };
  }
}
