/**
 * VAR-Scaling's choice among the candidates of each image, from their densities: whether the image is a low-
 * or a high-density one, in which order the candidates are searched, which of them become representatives,
 * and which representative is drawn. The densities come from `density.ts`; when to do all this is up to the
 * sampler.
 *
 * @module
 */

import { requireChoice, requireInteger, requireNumber } from "../arguments.ts";
import { floats, words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { bitsFloat, floatBits, product, reciprocal } from "../exact/exact.ts";
import { addSquaredDistance, EXACT_SUMS_WGSL, MAX_DRAWS, truncate } from "../exact/exact_sums.ts";
import { countOnes } from "./count_ones.ts";
import { DistinctRows } from "./distinct_rows.ts";
import wgsl from "./select.wgsl" with { type: "text" };
import {
  PURPOSE,
  requireStream,
  type Seed,
  streamKey,
  threefry,
  threefry2x32,
  THREEFRY_WGSL,
} from "../exact/threefry.ts";

/**
 * Which candidates are searched first: `"top-k"` the densest, `"small-k"` the least dense, `"random-k"` in
 * random order; `"var-scaling"` is random for low-density images and the densest first for the others (arXiv
 * 2601.07293, section 3.3).
 */
export type Strategy = "var-scaling" | "top-k" | "small-k" | "random-k";

/**
 * When an image is a low-density one: `"published"`, as the published code decides, if the greatest score is
 * below alpha times the mean score; `"paper"`, as the paper prints it (eq. 9), if alpha times the mean is
 * below the greatest.
 */
export type DensityRule = "published" | "paper";

/**
 * How one representative is chosen: `"density"`, with a probability proportional to its score; `"argmax"`,
 * the one with the greatest score; `"uniform"`, each with the same probability; `"rank"`, of k
 * representatives the one accepted as number r, from 0 on, with probability `(k - r) / (k (k + 1) / 2)`, as
 * VAR-Scaling's released code for Infinity does.
 */
export type PickRule = "density" | "argmax" | "uniform" | "rank";

/** Every {@linkcode Strategy}. */
export const STRATEGIES: readonly Strategy[] = ["var-scaling", "top-k", "small-k", "random-k"];

/** Every {@linkcode DensityRule}. */
export const RULES: readonly DensityRule[] = ["published", "paper"];

/** Every {@linkcode PickRule}. */
export const PICKS: readonly PickRule[] = ["density", "argmax", "uniform", "rank"];

/** Arguments of {@linkcode selectCandidates}. */
export interface SelectArguments {
  /** Densities, f32 [images, draws]; anything but a finite number above 2^-90 counts as 2^-90. */
  scores: DeviceArray;
  /** Token ids, or words of bits, u32 [images, draws, positions]. */
  candidates: DeviceArray;
  /**
   * The codebook in which conflicts are measured, f32 [vocabulary, channels]; finite, below 2^16 in
   * magnitude. Without one, candidates are bits: two maps that differ in n of them are at the distance
   * sqrt(n), that of vectors of 0 and 1.
   */
  codebook?: DeviceArray;
  /** The image index of each row, u32 [images]: the random numbers are those of this image. */
  lanes: DeviceArray;
  /** The search order that was used, u32 [images, draws]. */
  order: DeviceArray;
  /** The chosen candidates' tokens, u32 [images, positions]. */
  tokens: DeviceArray;
  /** What was decided, u32 [images, decisionLength(representatives)]; see {@linkcode readDecision}. */
  decision: DeviceArray;
  /** Number of images. */
  images: number;
  /** Candidates of one image, 1 to 8192. */
  draws: number;
  /** Tokens of one candidate; of bits, words. */
  positions: number;
  /** Number of codebook vectors, where there is a codebook. */
  vocabulary?: number;
  /** Words of one codebook vector, where there is a codebook. */
  channels?: number;
  /** How many candidates are kept at most, 1 to `draws`. */
  representatives: number;
  /** Threshold factor on the mean score, from 0 to 2^20. */
  alpha: number;
  /**
   * A candidate whose flattened map of code vectors is at a smaller Euclidean distance from one kept before
   * is passed over; 0 is off, and then even copies are kept. At most 2^40.
   */
  conflictThreshold: number;
  /** Search order; `"var-scaling"` by default. */
  strategy?: Strategy;
  /** Rule for low density; `"published"` by default. */
  rule?: DensityRule;
  /** Final choice; `"density"` by default. */
  pick?: PickRule;
  /**
   * A search order, u32 [images, draws], to use instead of the strategy's, which reproduces a recorded run.
   * An index beyond the last candidate means the last.
   */
  givenOrder?: DeviceArray;
  /** The seed. */
  seed: Seed;
  /** Index of the scale, which keys the random numbers too. */
  scale: number;
}

/** What {@linkcode selectCandidates} decided for one image. */
export interface Decision {
  /** Greatest score. */
  readonly max: number;
  /** Mean score. */
  readonly mean: number;
  /** `max / mean`, what alpha is compared with. */
  readonly ratio: number;
  /** Whether the rule calls the image a low-density one. */
  readonly low: boolean;
  /** Number of different candidates. */
  readonly unique: number;
  /** Index of the chosen candidate. */
  readonly chosen: number;
  /** The chosen candidate's probability, as in `kept`. */
  readonly probability: number;
  /** The representatives, in the order in which they were accepted. */
  readonly kept: readonly {
    /** Index of the candidate. */
    readonly candidate: number;
    /**
     * The probability with which it is drawn by `"density"` or `"rank"`, if that was the pick. `"argmax"` and
     * `"uniform"` record the same as `"density"`: its part of the sum of the kept scores.
     */
    readonly probability: number;
  }[];
}

/**
 * Words of an image's record before the representatives: max, mean, low, unique, number kept, chosen, its
 * probability.
 */
export const DECISION_WORDS = 7;

/**
 * Words of one image's record: {@linkcode DECISION_WORDS}, then an index and a probability for each
 * representative.
 *
 * @example
 * ```ts
 * import { DECISION_WORDS, decisionLength } from "./select.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(decisionLength(10), DECISION_WORDS + 20);
 * ```
 */
export function decisionLength(representatives: number): number {
  return DECISION_WORDS + 2 * representatives;
}

/**
 * Reads one image's record: f32 max, f32 mean, u32 low (0 or 1), u32 unique, u32 number kept, u32 chosen, f32
 * probability, and then (u32 candidate, f32 probability) for each of the representatives, the unused ones
 * (0xffffffff, 0).
 *
 * @param record Words of the `decision` array.
 * @param offset Where the record starts: the image times {@linkcode decisionLength}.
 *
 * @example
 * ```ts
 * import { readDecision } from "./select.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const two = 0x40000000, one = 0x3f800000;
 * const decision = readDecision(new Uint32Array([two, one, 1, 3, 1, 4, one, 4, one]));
 * assertEquals(decision.ratio, 2);
 * assertEquals(decision.low, true);
 * assertEquals(decision.kept, [{ candidate: 4, probability: 1 }]);
 * ```
 */
export function readDecision(record: Uint32Array, offset: number = 0): Decision {
  const word = (i: number): number => record[offset + i]!;
  const max = bitsFloat(word(0));
  const mean = bitsFloat(word(1));
  return {
    max,
    mean,
    ratio: max / mean,
    low: word(2) === 1,
    unique: word(3),
    chosen: word(5),
    probability: bitsFloat(word(6)),
    kept: Array.from({ length: word(4) }, (_, i) => ({
      candidate: word(DECISION_WORDS + 2 * i),
      probability: bitsFloat(word(DECISION_WORDS + 2 * i + 1)),
    })),
  };
}

const ACTION = "select candidates";
const NONE = 0xffffffff;
/**
 * The bits of 2^-90: anything but a finite number above it counts as this, so that every candidate can be
 * drawn.
 */
const LEAST_SCORE = 0x12800000;

/**
 * Chooses one candidate per image (VAR-Scaling, arXiv 2601.07293, and its published code):
 *
 * 1. The rule compares the greatest score with alpha times the mean score, both strictly.
 * 2. The strategy puts the candidates in a search order: by score, equal scores with the lower index first,
 *    or by random words (threefry, purpose 1, position 0, one draw per candidate), ascending.
 * 3. Walking the order, a candidate is kept unless it conflicts with one kept before, until there are
 *    `representatives`.
 * 4. One of those is chosen with the random word of purpose 2 (position 0, draw 0): by inverting the
 *    cumulative sum of their scores, or of the weights k, k - 1, ... 1 (`"rank"`), in the order in which they
 *    were kept, or uniformly; `"argmax"` takes the greatest score, among equals the lower index.
 *
 * The same bits come out on every device: for sums, mean and draw, a score is an integer in units of 2^-35 of
 * the power of 2 below the image's greatest score, rounded down, at least 1. The published code divides by
 * the sum plus 1e-6, which f32 can hardly tell.
 *
 * @throws {RangeError} From `plan`, if a number is out of range or an array is too short.
 * @throws {TypeError} From `plan`, if an option is unknown or the seed is not two words.
 *
 * @example
 * ```ts
 * import { decisionLength, readDecision, selectCandidates } from "./select.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { seedWords } from "../exact/threefry.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using scores = device.upload(new Float32Array([2, 2, 1]));
 * using candidates = device.upload(new Uint32Array([0, 0, 1]));
 * using codebook = device.upload(new Float32Array([0, 5]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using order = device.allocate(3);
 * using tokens = device.allocate(1);
 * using decision = device.allocate(decisionLength(2));
 * device.run(selectCandidates, {
 *   ...{ scores, candidates, codebook, lanes, order, tokens, decision },
 *   ...{ images: 1, draws: 3, positions: 1, vocabulary: 2, channels: 1 },
 *   ...{ representatives: 2, alpha: 1, conflictThreshold: 1.8, pick: "argmax" },
 *   ...{ seed: seedWords(7), scale: 1 },
 * });
 * const [map, record] = await device.read([tokens, decision]);
 * assertEquals([...map!], [0]);
 * const { low, unique, kept } = readDecision(record!);
 * assertEquals({ low, unique }, { low: false, unique: 2 });
 * assertEquals(kept.map(({ candidate }) => candidate), [0, 2]);
 * ```
 */
export const selectCandidates: Kernel<SelectArguments> = {
  name: "select",
  wgsl: EXACT_SUMS_WGSL + THREEFRY_WGSL + wgsl,
  plan(args) {
    const { scores, candidates, codebook, lanes, order, tokens, decision } = args;
    const { images, draws, positions, representatives } = args;
    const { vocabulary, channels } = codesOf(args);
    const { alpha, conflictThreshold, seed, scale } = args;
    const { strategy = "var-scaling", rule = "published", pick = "density", givenOrder } = args;
    requireInteger(images, "images", ACTION, { min: 0 });
    requireInteger(draws, "draws", ACTION, { min: 1, max: MAX_DRAWS });
    requireInteger(positions, "positions", ACTION, { min: 1 });
    requireInteger(representatives, "representatives", ACTION, { min: 1, max: draws });
    requireNumber(alpha, "alpha", ACTION, { min: 0, max: 2 ** 20 });
    requireNumber(conflictThreshold, "conflictThreshold", ACTION, { min: 0, max: 2 ** 40 });
    requireChoice(strategy, STRATEGIES, "strategy", ACTION);
    requireChoice(rule, RULES, "rule", ACTION);
    requireChoice(pick, PICKS, "pick", ACTION);
    requireStream(seed, scale, ACTION);
    requireLength(scores, images * draws, ACTION);
    requireLength(candidates, images * draws * positions, ACTION);
    if (codebook !== undefined) requireLength(codebook, vocabulary * channels, ACTION);
    requireLength(lanes, images, ACTION);
    requireLength(order, images * draws, ACTION);
    if (givenOrder !== undefined) requireLength(givenOrder, images * draws, ACTION);
    requireLength(tokens, images * positions, ACTION);
    requireLength(decision, images * decisionLength(representatives), ACTION);
    return {
      arrays: [scores, candidates, codebook ?? scores, lanes, givenOrder ?? lanes, order, tokens, decision],
      parameters: [
        ["u32", images],
        ["u32", draws],
        ["u32", positions],
        ["u32", vocabulary],
        ["u32", channels],
        ["u32", representatives],
        ["u32", STRATEGIES.indexOf(strategy)],
        ["u32", RULES.indexOf(rule)],
        ["u32", PICKS.indexOf(pick)],
        ["u32", givenOrder === undefined ? 0 : 1],
        ["u32", seed[0]],
        ["u32", seed[1]],
        ["u32", scale],
        ["f32", alpha],
        ["f32", conflictLimit(conflictThreshold)],
      ],
      workgroups: spread(images),
    };
  },
  twin(args) {
    const { images, draws, positions, representatives, alpha, seed, scale } = args;
    const { strategy = "var-scaling", rule = "published", pick = "density", givenOrder } = args;
    const scores = words(args.scores);
    const lanes = words(args.lanes);
    const candidates = words(args.candidates);
    const record = words(args.decision);
    const allFloats = floats(args.decision);
    const stride = decisionLength(representatives);
    for (let image = 0; image < images; image++) {
      const bits = scores.slice(image * draws, (image + 1) * draws);
      for (let i = 0; i < draws; i++) {
        if (bits[i]! < LEAST_SCORE || bits[i]! > 0x7f7fffff) bits[i] = LEAST_SCORE;
      }
      const maps = candidates.subarray(image * draws * positions, (image + 1) * draws * positions);
      const order = words(args.order).subarray(image * draws, (image + 1) * draws);

      const greatest = bits.reduce((a, b) => a > b ? a : b);
      const top = greatest >>> 23;
      let sum = 0;
      for (let i = 0; i < draws; i++) sum += weight(bits[i]!, top);
      const max = bitsFloat(greatest);
      const mean = truncate(Math.floor(sum / draws)) * 2 ** (top - 35 - 127);
      const bound = product(Math.fround(alpha), mean);
      const low = rule === "paper" ? bound < max : max < bound;

      if (givenOrder !== undefined) {
        const given = words(givenOrder).subarray(image * draws, (image + 1) * draws);
        order.set(given.map((candidate) => Math.min(candidate, draws - 1)));
      } else {
        const random = strategy === "random-k" || (strategy === "var-scaling" && low);
        const stream = streamKey(seed, lanes[image]!, scale, PURPOSE.permutation);
        order.set(searchOrder(bits, random ? { random: stream } : { ascending: strategy === "small-k" }));
      }

      const kept = walk(args, maps, order);
      const weights = kept.map((candidate, place) => {
        return pick === "rank" ? kept.length - place : weight(bits[candidate]!, top);
      });
      const total = weights.reduce((a, b) => a + b);
      const [word] = threefry(streamKey(seed, lanes[image]!, scale, PURPOSE.choice), [0, 0]);
      let drawn = 0;
      if (pick === "density" || pick === "rank") {
        const mark = scaled(total, word);
        for (let reached = weights[0]!; reached <= mark; reached += weights[drawn]!) drawn++;
      } else if (pick === "uniform") {
        drawn = scaled(kept.length, word);
      } else {
        for (let i = 1; i < kept.length; i++) {
          const better = bits[kept[i]!]! - bits[kept[drawn]!]!;
          if (better > 0 || (better === 0 && kept[i]! < kept[drawn]!)) drawn = i;
        }
      }
      const chosen = kept[drawn]!;

      const oneOverTotal = reciprocal(truncate(total));
      const start = image * stride;
      for (let i = 0; i < representatives; i++) {
        const entry = start + DECISION_WORDS + 2 * i;
        record[entry] = kept[i] ?? NONE;
        allFloats[entry + 1] = i < kept.length ? product(truncate(weights[i]!), oneOverTotal) : 0;
      }
      const probability = allFloats[start + DECISION_WORDS + 2 * drawn + 1]!;
      record.set([floatBits(max), floatBits(mean), low ? 1 : 0, countMaps(maps, draws, positions)], start);
      record.set([kept.length, chosen, floatBits(probability)], start + 4);
      words(args.tokens).set(maps.subarray(chosen * positions, (chosen + 1) * positions), image * positions);
    }
  },
};

/** The sizes of the codebook, checked; no vectors if there is none. */
function codesOf(
  { codebook, vocabulary = 0, channels = 0 }: SelectArguments,
): { vocabulary: number; channels: number } {
  if (codebook === undefined) return { vocabulary: 0, channels: 0 };
  requireInteger(vocabulary, "vocabulary", ACTION, { min: 1 });
  requireInteger(channels, "channels", ACTION, { min: 1 });
  return { vocabulary, channels };
}

/** The square of the threshold, kept above 0 where f32 has no square for it: it still tells copies. */
function conflictLimit(threshold: number): number {
  return threshold === 0 ? 0 : Math.max(Math.fround(threshold ** 2), 2 ** -100);
}

/**
 * A score as an integer of at most 36 bits, at least 1; `top` is the exponent field of the greatest score.
 */
function weight(bits: number, top: number): number {
  const gap = top - (bits >>> 23);
  return Math.max(1, Math.floor(((bits & 0x7fffff) | 0x800000) * 2 ** (12 - gap)));
}

/** `floor(total * word / 2^32)`. */
function scaled(total: number, word: number): number {
  return Number((BigInt(total) * BigInt(word)) >> 32n);
}

/** The candidates sorted by score or by random words, equal ones by index. */
function searchOrder(
  bits: Uint32Array,
  by: { random: readonly [number, number] } | { ascending: boolean },
): Uint32Array {
  // Key and index share one double, so that the sort needs no comparison function.
  const sorted = new Float64Array(bits.length);
  const pair = new Uint32Array(2);
  for (let i = 0; i < bits.length; i++) {
    let key = bits[i]!;
    if ("random" in by) {
      threefry2x32(by.random[0], by.random[1], 0, i, pair);
      key = pair[0]!;
    } else if (!by.ascending) {
      key = 0xffffffff - key;
    }
    sorted[i] = key * MAX_DRAWS + i;
  }
  sorted.sort();
  return Uint32Array.from(sorted, (entry) => entry % MAX_DRAWS);
}

/** The candidates that are kept, in the order in which they are accepted. */
function walk(
  args: SelectArguments,
  maps: Uint32Array,
  order: Uint32Array,
): number[] {
  const { codebook, draws, positions, representatives, conflictThreshold } = args;
  const limit = conflictLimit(conflictThreshold);
  const { vocabulary, channels } = codesOf(args);
  const codes = codebook === undefined ? undefined : floats(codebook);
  const zeros = new Float32Array(channels);
  const kept: number[] = [];
  const inConflict = (a: number, b: number): boolean => {
    let sum = 0;
    for (let position = 0; position < positions && sum < limit; position++) {
      const x = maps[a * positions + position]!;
      const y = maps[b * positions + position]!;
      if (x === y) continue;
      if (codes === undefined) {
        sum += countOnes(x ^ y);
        continue;
      }
      const [left, leftStart] = x < vocabulary ? [codes, x * channels] : [zeros, 0];
      const [right, rightStart] = y < vocabulary ? [codes, y * channels] : [zeros, 0];
      sum = addSquaredDistance(sum, left, leftStart, right, rightStart, channels, limit);
    }
    return sum < limit;
  };
  if (limit === 0) return [...order.subarray(0, representatives)];
  for (let place = 0; place < draws && kept.length < representatives; place++) {
    const candidate = order[place]!;
    if (!kept.some((other) => inConflict(other, candidate))) kept.push(candidate);
  }
  return kept;
}

/** The number of different maps. */
function countMaps(maps: Uint32Array, draws: number, positions: number): number {
  const different = new DistinctRows(draws, { size: positions });
  for (let i = 0; i < draws; i++) different.add(maps, i * positions);
  return different.count;
}
