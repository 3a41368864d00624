/**
 * Which of many candidates is representative: densities of token maps among their like, and the choice that
 * VAR-Scaling makes by them, for tokens that index a codebook and for tokens that are bits. For work of one's
 * own; the sampler calls the kernels itself.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireNumber, requireOptions } from "../arguments.ts";
import { type FeatureGrouping, silvermanBandwidth } from "../candidates/bandwidth.ts";
import type { Device, DeviceArray } from "../device/device.ts";
import { readFloats } from "../device/device.ts";
import { MAX_DRAWS, MAX_TERMS } from "../exact/exact_sums.ts";
import { runDensity } from "../candidates/group_density.ts";
import { hammingBandwidth, MAX_BITS } from "../candidates/hamming_bandwidth.ts";
import { runHammingDensity } from "../candidates/hamming_density.ts";
import type { DeviceChoice } from "../device/open_device.ts";
import {
  type Decision,
  decisionLength,
  type DensityRule,
  type PickRule,
  PICKS,
  readDecision,
  RULES,
  selectCandidates,
  STRATEGIES,
  type Strategy,
} from "../candidates/select.ts";
import { seedWords } from "../exact/threefry.ts";
import { unitRows } from "../codebook/unit_rows.ts";
import {
  fillOutput,
  type FloatInput,
  lengthOf,
  takeInput,
  type Target,
  withDevice,
  type WordInput,
} from "./input.ts";

/**
 * What tokens stand for: rows of a codebook, f32 [vocabulary, channels], or `bits` bits each, in
 * `ceil(bits / 32)` words, the first bit lowest.
 */
export type TokenCodes =
  | { readonly codebook: FloatInput; readonly channels: number }
  | { readonly bits: number };

/** How densities are estimated. */
export interface CandidateDensityOptions {
  /**
   * How code vectors are compared for the density, `"euclidean"` by default. Bits are compared by the Hamming
   * distance always.
   */
  distance?: "euclidean" | "cosine";
  /** A density per position, summed (default), or one of the whole map; for codebooks only. */
  features?: FeatureGrouping;
  /** Divisor of the variance in Silverman's rule, N (default) or N - 1. */
  deviation?: "population" | "sample";
  /** Added to each bandwidth, at most 2^40; 1e-6 by default. */
  epsilon?: number;
  /** Leave out each candidate's own term, which is 1 per position; off by default. */
  leaveOneOut?: boolean;
}

/** The sizes of a pool of candidates; the number of images follows from the number of tokens. */
export interface CandidateSizes {
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate, 1 by default; `draws * positions` may be 2^23 at most. */
  positions?: number;
}

/** How one of the candidates is chosen; by default the densest, among equals the first. */
export interface CandidateChoice {
  /** Which candidates come first, `"top-k"` by default; see `selectCandidates`. */
  strategy?: Strategy;
  /** When an image is a low-density one, for the strategy `"var-scaling"`; `"published"` by default. */
  rule?: DensityRule;
  /** Threshold factor on the mean density for that rule, 1 by default. */
  alpha?: number;
  /** How many candidates are kept at most, 1 by default. */
  representatives?: number;
  /**
   * Candidates nearer than this to a kept one are passed over, 0 (off) by default; for codebooks only. It is
   * the Euclidean distance of the maps' code vectors as the codebook has them, as in VAR-Scaling's released
   * code, whatever `distance` the densities go by.
   */
  conflictThreshold?: number;
  /** How one of the kept is taken; `"density"` by default. */
  pick?: PickRule;
  /** Seed of the random numbers, 0 by default. Image i of a call has those of image i. */
  seed?: number | bigint;
}

/** Options of {@linkcode CandidateDensity.scores}. */
export interface ScoresOptions extends CandidateSizes {
  /** Where the densities go, f32 [images, draws]; a new array by default. */
  output?: Target;
}

/** Options of {@linkcode CandidateDensity.choose}. */
export interface ChooseOptions extends CandidateSizes, CandidateChoice {
  /**
   * Densities from elsewhere, f32 [images, draws]; those of {@linkcode CandidateDensity.scores} by default.
   */
  scores?: FloatInput;
  /** Where the records go; a new array by default. */
  output?: Target;
}

/** Options of {@linkcode candidateDensity}. */
export interface CandidateDensityCallOptions extends CandidateDensityOptions, CandidateSizes {
  /** Where to compute; `"auto"` by default: the CPU for little work, an adapter for much. */
  device?: Device | DeviceChoice;
}

/** Options of {@linkcode representativeCandidate}. */
export interface RepresentativeOptions extends CandidateDensityCallOptions, CandidateChoice {}

/** What {@linkcode representativeCandidate} returns. */
export interface Representative {
  /** The chosen candidate of each image. */
  readonly index: Uint32Array<ArrayBuffer>;
  /** The densities of all candidates, [images, draws]. */
  readonly scores: Float32Array<ArrayBuffer>;
  /** What was decided for each image, with the representatives and their probabilities. */
  readonly decisions: readonly Decision[];
}

const CREATE = "create a candidate density";
const SCORE = "estimate densities of candidates";
const CHOOSE = "choose among candidates";
const DENSITY_OPTIONS = ["distance", "features", "deviation", "epsilon", "leaveOneOut"] as const;
const SIZES = ["draws", "positions"] as const;
const CHOICE = ["strategy", "rule", "alpha", "representatives", "conflictThreshold", "pick", "seed"] as const;

/** What tokens stand for, on the device. */
type DeviceCodes = {
  /** The code vectors, f32 [vocabulary, channels]. */
  readonly codebook: DeviceArray;
  /** The same as they are compared for the density: of length 1 for cosines. */
  readonly compared: DeviceArray;
  readonly vocabulary: number;
  readonly channels: number;
} | { readonly bits: number };

/**
 * Densities of candidates with one codebook or number of bits. Made by {@linkcode createCandidateDensity}.
 *
 * @example
 * ```ts
 * import { createCandidateDensity } from "./candidates.ts";
 * import { readDecision } from "../candidates/select.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assert } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using density = createCandidateDensity(device, { bits: 4 });
 * const tokens = new Uint32Array([0b0000, 0b0001, 0b0000, 0b1111]); // four candidates of one token
 * using record = density.choose(tokens, { draws: 4, representatives: 1 });
 * const { chosen } = readDecision(await readWords(record));
 * assert(chosen === 0 || chosen === 2); // the outlier is never the densest
 * ```
 */
export class CandidateDensity implements Disposable {
  readonly #device: Device;
  readonly #codes: DeviceCodes;
  readonly #options: CandidateDensityOptions;

  /** Made by {@linkcode createCandidateDensity}, which checks what it passes. */
  constructor(
    device: Device,
    codes: DeviceCodes,
    options: CandidateDensityOptions,
  ) {
    this.#device = device;
    this.#codes = codes;
    this.#options = options;
  }

  /**
   * The density of each candidate among those of its image, f32 [images, draws], left on the device: the sum
   * over positions of `sum over candidates c of exp(-|x - x_c|^2 / (2 h^2))`, h by Silverman's rule from the
   * candidates at that position. Each candidate's own term is 1 per position, so a density lies between
   * `positions` and `positions * draws` (without its own terms, between 0 and `positions * (draws - 1)`). The
   * same bits on every device, whatever the order of the candidates.
   *
   * @param tokens u32 [images, draws, positions], or [images, draws, positions, ceil(bits / 32)] for bits.
   * @throws {TypeError} If an argument is of the wrong type or an option is unknown.
   * @throws {RangeError} If a size is out of range or does not fit the tokens.
   */
  scores(tokens: WordInput, options: ScoresOptions): DeviceArray {
    requireOptions(options, [...SIZES, "output"], SCORE);
    const { words, ...shape } = this.#shape(tokens, options, SCORE);
    const { images, draws, positions } = shape;
    using input = takeInput(this.#device, tokens, {
      type: "u32",
      name: "tokens",
      action: SCORE,
      multipleOf: draws * positions * words,
    });
    const wanted = { length: images * draws, name: "output", action: SCORE };
    return fillOutput(this.#device, options.output, wanted, (scores) => this.#estimate(input, scores, shape));
  }

  /**
   * Chooses one candidate per image by density, by default the densest. The result is u32 [images, record] on
   * the device, where a record has `decisionLength(min(representatives, draws))` words that `readDecision`
   * reads.
   *
   * @param tokens As for {@linkcode CandidateDensity.scores}.
   * @throws {TypeError} If an argument is of the wrong type or an option is unknown.
   * @throws {RangeError} If a size or number is out of range or does not fit the tokens.
   */
  choose(tokens: WordInput, options: ChooseOptions): DeviceArray {
    requireOptions(options, [...SIZES, ...CHOICE, "scores", "output"], CHOOSE);
    const { words, ...shape } = this.#shape(tokens, options, CHOOSE);
    const { images, draws, positions } = shape;
    const { representatives, seed, ...choice } = requireChoices(options, this.#codes);
    const kept = Math.min(representatives, draws);
    const device = this.#device;
    using owned = new DisposableStack();
    const input = owned.use(takeInput(device, tokens, {
      type: "u32",
      name: "tokens",
      action: CHOOSE,
      multipleOf: draws * positions * words,
    }));
    const scores = owned.use(
      options.scores === undefined
        ? device.allocate(images * draws, "scores")
        : takeInput(device, options.scores, {
          type: "f32",
          name: "scores",
          action: CHOOSE,
          length: images * draws,
        }),
    );
    const wanted = { length: images * decisionLength(kept), name: "output", action: CHOOSE };
    return fillOutput(device, options.output, wanted, (decision) => {
      if (options.scores === undefined) this.#estimate(input, scores, shape);
      device.run(selectCandidates, {
        ...("bits" in this.#codes ? {} : this.#codes),
        ...choice,
        scores,
        candidates: input,
        lanes: owned.use(device.upload(Uint32Array.from({ length: images }, (_, i) => i), "images")),
        order: owned.use(device.allocate(images * draws, "search order")),
        tokens: owned.use(device.allocate(images * positions * words, "chosen tokens")),
        decision,
        images,
        draws,
        positions: positions * words,
        representatives: kept,
        seed,
        scale: 0,
      });
    });
  }

  /** Frees the codebook, unless it is the caller's. */
  [Symbol.dispose](): void {
    if ("bits" in this.#codes) return;
    const { codebook, compared } = this.#codes;
    if (compared !== codebook) compared[Symbol.dispose]();
    codebook[Symbol.dispose]();
  }

  /** Checks the sizes; the number of images is what the tokens are enough for. */
  #shape(
    tokens: WordInput,
    sizes: CandidateSizes,
    action: string,
  ): { images: number; draws: number; positions: number; words: number } {
    const { draws, positions = 1 } = sizes;
    const least = this.#options.deviation === "sample" ? 2 : 1;
    requireInteger(draws, "draws", action, { min: least, max: MAX_DRAWS });
    requireInteger(positions, "positions", action, { min: 1 });
    requireInteger(draws * positions, "draws * positions", action, { min: 1, max: MAX_TERMS });
    const words = "bits" in this.#codes ? Math.ceil(this.#codes.bits / 32) : 1;
    return {
      images: Math.floor((lengthOf(tokens) ?? 0) / (draws * positions * words)),
      draws,
      positions,
      words,
    };
  }

  #estimate(
    tokens: DeviceArray,
    scores: DeviceArray,
    shape: { images: number; draws: number; positions: number },
  ): void {
    const { deviation = "population", features = "position", epsilon = 1e-6, leaveOneOut = false } =
      this.#options;
    const { images, positions } = shape;
    const device = this.#device;
    using bandwidth = device.allocate(features === "joint" ? images : images * positions, "bandwidth");
    if ("bits" in this.#codes) {
      const { bits } = this.#codes;
      device.run(hammingBandwidth, { tokens, output: bandwidth, ...shape, bits, deviation });
      runHammingDensity(device, { tokens, bandwidth, scores, ...shape, bits, epsilon, leaveOneOut });
    } else {
      const { compared: codebook, vocabulary, channels } = this.#codes;
      const args = { tokens, codebook, vocabulary, channels, ...shape, features };
      device.run(silvermanBandwidth, { ...args, output: bandwidth, deviation });
      runDensity(device, { ...args, bandwidth, scores, epsilon, leaveOneOut });
    }
  }
}

/**
 * Prepares densities of candidates: any number of calls with the same codebook or number of bits.
 *
 * @param codes What the tokens stand for. A codebook on the device is used where it is and must outlive the
 * operation; a typed array is copied there.
 * @throws {TypeError} If an argument is of the wrong type, an option is unknown, or one that needs a codebook
 * is given with bits.
 * @throws {RangeError} If a number is out of range, or the codebook's length is no multiple of its channels.
 *
 * @example
 * ```ts
 * import { createCandidateDensity } from "./candidates.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * const codebook = new Float32Array([0, 0, 9, 9]);
 * using density = createCandidateDensity(device, { codebook, channels: 2 });
 * using scores = density.scores(new Uint32Array([0, 0, 0, 1]), { draws: 4 });
 * assertEquals([...await readFloats(scores)].map(Math.round), [3, 3, 3, 1]);
 * ```
 */
export function createCandidateDensity(
  device: Device,
  codes: TokenCodes,
  options: CandidateDensityOptions = {},
): CandidateDensity {
  requireOptions(options, DENSITY_OPTIONS, CREATE);
  if (typeof codes !== "object" || codes === null) {
    throw new TypeError(mustBe("{ codebook, channels } or { bits }", codes, "the codes", CREATE));
  }
  requireOptions(codes, "bits" in codes ? ["bits"] : ["codebook", "channels"], CREATE);
  const { distance = "euclidean", features = "position", deviation = "population", epsilon = 1e-6 } = options;
  requireChoice(distance, ["euclidean", "cosine"], "distance", CREATE);
  requireChoice(features, ["position", "joint"], "features", CREATE);
  requireChoice(deviation, ["population", "sample"], "deviation", CREATE);
  requireNumber(epsilon, "epsilon", CREATE, { min: 0, max: 2 ** 40 });
  if ("bits" in codes) {
    for (
      const [name, value, usual] of [["distance", distance, "euclidean"], ["features", features, "position"]]
    ) {
      if (value === usual) continue;
      throw new TypeError(`Cannot ${CREATE} as ${name} "${value}" needs a codebook: the tokens are bits`);
    }
    requireInteger(codes.bits, "bits", CREATE, { min: 1, max: MAX_BITS });
    return new CandidateDensity(device, { bits: codes.bits }, { ...options });
  }
  const { channels } = codes;
  requireInteger(channels, "channels", CREATE, { min: 1 });
  const input = takeInput(device, codes.codebook, {
    type: "f32",
    name: "codebook",
    action: CREATE,
    length: channels,
    multipleOf: channels,
  });
  const vocabulary = input.length / channels;
  using owned = new DisposableStack();
  const codebook = owned.use(input);
  let compared = codebook;
  if (distance === "cosine") {
    compared = owned.use(device.allocate(codebook.length, "unit codebook"));
    device.run(unitRows, { input: codebook, output: compared, count: vocabulary, channels });
  }
  owned.move();
  return new CandidateDensity(device, { codebook, compared, vocabulary, channels }, { ...options });
}

/** Operations of the density: few per pair of candidates, as the twins count equal tokens once. */
function workOf(tokens: Uint32Array, { draws }: CandidateSizes): number {
  return 8 * tokens?.length * draws;
}

/**
 * The density of each candidate among those of its image, [images, draws]; see
 * {@linkcode CandidateDensity.scores}.
 *
 * @throws {TypeError} If an argument is of the wrong type or an option is unknown.
 * @throws {RangeError} If a size is out of range or does not fit.
 * @throws {NoAdapterError} If `device` is `"webgpu"` and there is no adapter.
 *
 * @example
 * ```ts
 * import { candidateDensity } from "./candidates.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // Three maps of two tokens of four bits each; the first two agree.
 * const tokens = new Uint32Array([0b0011, 0b0101, 0b0011, 0b0101, 0b1100, 0b1010]);
 * const scores = await candidateDensity(tokens, { bits: 4 }, { draws: 3, positions: 2, device: "cpu" });
 * assertEquals([...scores].map((score) => score.toFixed(2)), ["4.00", "4.00", "2.00"]);
 * ```
 */
export async function candidateDensity(
  tokens: Uint32Array,
  codes: TokenCodes,
  options: CandidateDensityCallOptions,
): Promise<Float32Array<ArrayBuffer>> {
  requireOptions(options, ["device", ...DENSITY_OPTIONS, ...SIZES], SCORE);
  return await withDevice(options.device, workOf(tokens, options), async (device) => {
    using density = createCandidateDensity(device, codes, only(options, DENSITY_OPTIONS));
    using scores = density.scores(tokens, only(options, SIZES));
    return await readFloats(scores);
  });
}

/**
 * The representative candidate of each image: by default the densest, with the options of
 * {@linkcode CandidateChoice} any choice that VAR-Scaling makes.
 *
 * @throws {TypeError} If an argument is of the wrong type or an option is unknown.
 * @throws {RangeError} If a size or number is out of range or does not fit.
 * @throws {NoAdapterError} If `device` is `"webgpu"` and there is no adapter.
 *
 * @example
 * ```ts
 * import { representativeCandidate } from "./candidates.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const codebook = new Float32Array([0, 1, 2, 9]);
 * const tokens = new Uint32Array([3, 0, 1, 2]);
 * const { index } = await representativeCandidate(tokens, { codebook, channels: 1 }, {
 *   draws: 4,
 *   device: "cpu",
 * });
 * // The token between its two neighbours.
 * assertEquals([...index], [2]);
 * ```
 */
export async function representativeCandidate(
  tokens: Uint32Array,
  codes: TokenCodes,
  options: RepresentativeOptions,
): Promise<Representative> {
  requireOptions(options, ["device", ...DENSITY_OPTIONS, ...SIZES, ...CHOICE], CHOOSE);
  requireChoices(options, codes);
  return await withDevice(options.device, workOf(tokens, options), async (device) => {
    using density = createCandidateDensity(device, codes, only(options, DENSITY_OPTIONS));
    const sizes = only(options, SIZES);
    using input = takeInput(device, tokens, { type: "u32", name: "tokens", action: CHOOSE });
    using scores = density.scores(input, sizes);
    using records = density.choose(input, { ...sizes, ...only(options, CHOICE), scores });
    const [densities, words] = await device.read([scores, records]);
    const length = decisionLength(Math.min(options.representatives ?? 1, options.draws));
    const decisions = Array.from(
      { length: words!.length / length },
      (_, i) => readDecision(words!, i * length),
    );
    return {
      index: Uint32Array.from(decisions, ({ chosen }) => chosen),
      scores: new Float32Array(densities!.buffer),
      decisions,
    };
  });
}

/** Checks the options of a choice and fills in what is not given. */
function requireChoices(
  options: CandidateChoice,
  codes: TokenCodes | { codebook: DeviceArray },
): Required<Omit<CandidateChoice, "seed">> & { seed: readonly [number, number] } {
  const { strategy = "top-k", rule = "published", pick = "density", seed = 0 } = options;
  const { alpha = 1, representatives = 1, conflictThreshold = 0 } = options;
  requireChoice(strategy, STRATEGIES, "strategy", CHOOSE);
  requireChoice(rule, RULES, "rule", CHOOSE);
  requireChoice(pick, PICKS, "pick", CHOOSE);
  requireNumber(alpha, "alpha", CHOOSE, { min: 0, max: 2 ** 20 });
  requireInteger(representatives, "representatives", CHOOSE, { min: 1 });
  requireNumber(conflictThreshold, "conflictThreshold", CHOOSE, { min: 0, max: 2 ** 40 });
  if (conflictThreshold > 0 && "bits" in codes) {
    throw new TypeError(
      `Cannot ${CHOOSE} as a conflictThreshold above 0 needs a codebook: the tokens are bits`,
    );
  }
  return { strategy, rule, pick, alpha, representatives, conflictThreshold, seed: seedWords(seed) };
}

/** The named options that are given. */
function only<Options extends object, Name extends keyof Options>(
  options: Options,
  names: readonly Name[],
): { [Key in Name]: Options[Key] } {
  const given = names.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]])) as { [Key in Name]: Options[Key] };
}
