/**
 * Drawing tokens from logits: guidance, temperature, top-k, top-p, min-p and any number of independent draws
 * in one kernel. The same logits and seed give the same tokens, bit for bit, on every device, alone or in a
 * batch: all that decides is integer arithmetic.
 *
 * Which of several drawn candidates is taken is left to the hooks, and what a token stands for to the models.
 *
 * @module
 */

import { requireInteger, requireNumber } from "../arguments.ts";
import { words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, type Plan, spread } from "../device/device.ts";
import { bitsFloat, exp2Negative, floatBits, randomPoint, share } from "../exact/exact.ts";
import {
  canonical,
  guideRow,
  INFINITE_KEY,
  keyBits,
  keyRow,
  LOGIT_WGSL,
  type LogitArguments,
  requireLogits,
  requireTemperature,
  type RowScratch,
  rowScratch,
} from "./logit.ts";
import {
  PURPOSE,
  requireStream,
  type Seed,
  streamKey,
  threefry2x32,
  THREEFRY_WGSL,
} from "../exact/threefry.ts";
import wgsl from "./sample.wgsl" with { type: "text" };

/** Stands where nothing can be drawn because every logit is NaN or -infinity. */
export const NO_TOKEN = 0xffffffff;

/** As the index of a truncation: all tokens tied at the threshold are kept. */
export const ALL_TIES = 0xffffffff;

/** Arguments of {@linkcode sampleTokens}. */
export interface SampleArguments extends LogitArguments {
  /** Where the tokens go: u32 [images, draws, positions]. */
  tokens: DeviceArray;
  /** Index of each image in its request, u32 [images]: what its random numbers depend on. */
  lanes: DeviceArray;
  /**
   * What logits are divided by, 1 by default: 0 for the largest logit (lowest index in a tie), or from 1e-6
   * to 1e6.
   */
  temperature?: number;
  /** Keeps the k largest logits and all that tie with the last of them; 0 (default) is off. */
  topK?: number;
  /**
   * Keeps a token if the tokens ranked before it (larger logit, then lower index) have less than this share
   * of the mass that top-k left; resolved to 2^-24. 0 (default) and 1 are off.
   */
  topP?: number;
  /**
   * Keeps a token if its probability is at least this share of the largest one, after top-k and top-p, as in
   * Hugging Face transformers. No other token changes that ratio, so it is decided on logits: one stays if it
   * is no more than `-ln(minP) * temperature` below the largest, both in float32. 0 (default) is off, 1 keeps
   * what ties with the largest.
   */
  minP?: number;
  /** Independent draws per position, 1 by default. */
  draws?: number;
  /**
   * Applies top-p (and min-p after it) once more before every further draw, to what the one before it left,
   * as the published code of VAR-Scaling does by editing logits in place; `false` by default.
   * With a vocabulary from 16384 on, nearly flat logits and hundreds of draws, the passes exceed what a
   * thread may loop on Mesa's software Vulkan (65535 turns), which then draws wrong tokens without a word.
   */
  compounding?: boolean;
  /** The seed; see `seedWords`. */
  seed: Seed;
  /** Index of the scale, 0-based. */
  scale: number;
  /**
   * Number of the first draw, 0 by default: draws 5 to 9 are the same, whether drawn together with 0 to 4 or
   * apart.
   */
  firstDraw?: number;
}

/** Arguments of {@linkcode sampleAndTruncate}. */
export interface SampleAndTruncateArguments extends SampleArguments {
  /**
   * Where the truncation of every row goes, u32 [images, positions, 2]: a key of the threshold in the order
   * of the logits (`logit_key` in `logit.wgsl`), and the index of the last kept token among those tied at it,
   * {@linkcode ALL_TIES} if they all are. The key is 1 if nothing is cut off, with min-p at least that of the
   * smallest logit it would keep, and 2^32 - 1 if nothing can be drawn. With `compounding` it is that of the
   * last draw.
   */
  truncation: DeviceArray;
}

const SILENT = "\nfn report(end: u32) {}\n";
const REPORTING = `
@group(0) @binding(4) var<storage, read_write> truncation: array<vec2u>;

fn report(end: u32) {
  if (lane == 0u && end == parameters.first_draw + parameters.draws) {
    truncation[row] = vec2u(threshold, last);
  }
}
`;

/**
 * Draws tokens. Per row (image and position): guided logits as in `guidance`, divided by the temperature, cut
 * off by top-k, by top-p and by min-p in this order, then independent draws by inverse distribution function
 * in order of token index. Weights are integers in units of 2^-30 of the largest one (so tokens more than 21
 * nats below it are never drawn), with a relative error below 3e-7 and one unit.
 *
 * NaN and -infinity are never drawn; where a row holds nothing else, the token is {@linkcode NO_TOKEN}.
 * Logits of +infinity share all the weight equally.
 *
 * Top-k and top-p follow VAR's sampling (top-k keeps all ties; top-p keeps a token iff the mass ranked before
 * it is below p), min-p is that of arXiv 2407.01082, and `compounding` follows the candidates of the
 * published VAR-Scaling code (arXiv 2601.07293). Min-p agrees with exact arithmetic wherever the ratio of
 * probabilities is not within a relative `1.2e-7 * ln(1 / minP)` of `minP`.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { sampleTokens } from "./sample.ts";
 * import { seedWords } from "../exact/threefry.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using logits = device.upload(new Float32Array([2, 1, 0.5, 1, -1, 0.5, 3, 0.5]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using tokens = device.allocate(100);
 * const row = {
 *   logits,
 *   tokens,
 *   lanes,
 *   images: 1,
 *   positions: 1,
 *   vocabulary: 8,
 *   seed: seedWords(7),
 *   scale: 0,
 * };
 *
 * device.run(sampleTokens, { ...row, draws: 100, topK: 4, topP: 0.7 });
 * assert((await readWords(tokens)).every((token) => token === 0 || token === 6));
 *
 * device.run(sampleTokens, { ...row, temperature: 0 });
 * assertEquals((await readWords(tokens))[0], 6);
 * ```
 */
export const sampleTokens: Kernel<SampleArguments> = {
  name: "sample",
  wgsl: LOGIT_WGSL + THREEFRY_WGSL + wgsl + SILENT,
  plan,
  twin: (args) => draw(args, undefined),
};

/**
 * {@linkcode sampleTokens}, which also reports what was cut off, for kernels that use the truncated
 * distribution itself.
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { ALL_TIES, sampleAndTruncate } from "./sample.ts";
 * import { keyBits } from "./logit.ts";
 * import { bitsFloat } from "../exact/exact.ts";
 * import { seedWords } from "../exact/threefry.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using logits = device.upload(new Float32Array([2, 1, 0.5, 1]));
 * using lanes = device.upload(new Uint32Array([0]));
 * using tokens = device.allocate(1);
 * using truncation = device.allocate(2);
 * const row = {
 *   logits,
 *   tokens,
 *   lanes,
 *   images: 1,
 *   positions: 1,
 *   vocabulary: 4,
 *   seed: seedWords(7),
 *   scale: 0,
 * };
 * device.run(sampleAndTruncate, { ...row, truncation, topK: 2 });
 * const [threshold, last] = await readWords(truncation);
 * assertEquals(bitsFloat(keyBits(threshold!)), 1);
 * assertEquals(last, ALL_TIES);
 * ```
 */
export const sampleAndTruncate: Kernel<SampleAndTruncateArguments> = {
  name: "sample_and_truncate",
  wgsl: LOGIT_WGSL + THREEFRY_WGSL + wgsl + REPORTING,
  plan(args) {
    const { truncation, images, positions } = args;
    const common = plan(args);
    requireLength(truncation, 2 * images * positions, "draw tokens");
    return { ...common, arrays: [...common.arrays, truncation] };
  },
  twin: (args) => draw(args, words(args.truncation)),
};

function plan(args: SampleArguments): Plan {
  const { logits, tokens, lanes, images, positions, vocabulary, seed, scale } = args;
  const { topK = 0, draws = 1, compounding = false, firstDraw = 0 } = args;
  const action = "draw tokens";
  const weight = requireLogits(args, action);
  requireTemperature(args.temperature ?? 1, action);
  requireInteger(topK, "topK", action, { min: 0 });
  requireNumber(args.topP ?? 0, "topP", action, { min: 0, max: 1 });
  requireNumber(args.minP ?? 0, "minP", action, { min: 0, max: 1 });
  requireInteger(draws, "draws", action, { min: 0, max: 0x7fffffff });
  requireInteger(firstDraw, "firstDraw", action, { min: 0, max: 0x7fffffff });
  requireStream(seed, scale, action);
  requireLength(lanes, images, action);
  const rows = images * positions;
  requireLength(tokens, rows * draws, action);
  const k = effectiveTopK(topK, vocabulary);
  const p = units(args.topP ?? 0);
  const drawsEach = drawsPerWorkgroup(vocabulary);
  const [x, y] = spread(draws === 0 ? 0 : rows);
  return {
    arrays: [logits, lanes, tokens],
    parameters: [
      ["u32", rows],
      ["u32", positions],
      ["u32", vocabulary],
      ["u32", draws],
      ["u32", firstDraw],
      ["u32", k],
      ["u32", p],
      ["u32", reachBits(args)],
      ["f32", weight],
      ["f32", sharpness(args.temperature ?? 1)],
      ["u32", compounding ? 1 : 0],
      ["u32", scale],
      ["u32", seed[0]],
      ["u32", seed[1]],
      ["u32", drawsEach],
    ],
    workgroups: [x, y, Math.ceil(draws / drawsEach)],
    constants: { long: Number(vocabulary > KEPT_KEYS), truncating: Number(k > 0 || p > 0) },
  };
}

/** Threads of a workgroup, as in the shader. */
const THREADS = 64;
/** Tokens of a row whose keys fit into the registers of a workgroup. */
const KEPT_KEYS = 4096;

/**
 * How many draws one workgroup takes on: as many as keep the loops of a thread below 2^15 turns, since
 * llvmpipe ends them at 65535.
 */
function drawsPerWorkgroup(vocabulary: number): number {
  const turns = 8 + Math.ceil(vocabulary / 256);
  return THREADS * Math.floor(2 ** 15 / turns);
}

/** Top-k; 0 is off. */
function effectiveTopK(topK: number, vocabulary: number): number {
  return topK < vocabulary ? topK : 0;
}

/** top-p in units of 2^-24; 0 is off. */
function units(topP: number): number {
  if (topP === 0) return 0;
  return Math.max(1, Math.round(topP * 2 ** 24)) % 2 ** 24;
}

/** How far below the greatest logit min-p lets another be, as the bits of a float32; all set is off. */
function reachBits({ minP = 0, temperature = 1 }: SampleArguments): number {
  return minP === 0 ? OFF : floatBits(Math.abs(Math.log(minP)) * temperature);
}

const OFF = 0xffffffff;

/** What a difference of logits is multiplied by to be a power of 2; 0 stands for temperature 0. */
function sharpness(temperature: number): number {
  return temperature === 0 ? 0 : Math.fround(Math.LOG2E / temperature);
}

const { fround } = Math;

function draw(args: SampleArguments, truncation: Uint32Array | undefined): void {
  const { images, positions, vocabulary, seed, scale } = args;
  const { topK = 0, draws = 1, compounding = false, firstDraw = 0 } = args;
  if (draws === 0) return;
  const weight = requireLogits(args, "draw tokens");
  const row = new Row(vocabulary, sharpness(args.temperature ?? 1));
  const k = effectiveTopK(topK, vocabulary);
  const p = units(args.topP ?? 0);
  const reach = reachBits(args);
  const logits = words(args.logits);
  const lanes = words(args.lanes);
  const tokens = words(args.tokens);
  const rows = images * positions;
  const end = firstDraw + draws;
  const pair = new Uint32Array(2);
  for (let image = 0; image < images; image++) {
    const [key0, key1] = streamKey(seed, lanes[image]!, scale, PURPOSE.token);
    for (let position = 0; position < positions; position++) {
      const r = image * positions + position;
      row.load(logits, { at: r * vocabulary, unconditionalAt: (rows + r) * vocabulary, weight });
      if (k > 0) row.keepCount(k);
      row.weigh();
      let next = firstDraw;
      // With compounding, draw d sees the filter applied d + 1 times; once a pass changes nothing, the
      // remaining draws are alike.
      for (let pass = 0; next < end; pass++) {
        const cut = p > 0 && row.keepShare(p);
        const changed = (reach !== OFF && row.keepReached(reach)) || cut;
        const settled = !compounding || !changed;
        if (!settled && pass < next) continue;
        const until = settled ? end : next + 1;
        for (; next < until; next++) {
          threefry2x32(key0, key1, position, next, pair);
          tokens[(image * draws + next - firstDraw) * positions + position] = row.tokenAt(pair);
        }
      }
      truncation?.set([row.threshold, row.last], 2 * r);
    }
  }
}

/** One row of logits on the host: the twin of a workgroup. */
class Row {
  /** The truncation, as in {@linkcode SampleAndTruncateArguments.truncation}. */
  threshold = 0;
  last = 0;
  #sharpness: number;
  #logits: RowScratch;
  #keys: Uint32Array;
  #greatest = 0;
  /** The kept tokens in order of index with their keys and weights, and the running sum of the weights. */
  #kept = 0;
  #tokens: Uint32Array;
  #keptKeys: Uint32Array;
  #weights: Uint32Array;
  #sums: Float64Array;
  #ones: Uint32Array;
  #search: RankSearch;

  constructor(vocabulary: number, sharpness: number) {
    this.#sharpness = sharpness;
    this.#logits = rowScratch(vocabulary);
    this.#keys = new Uint32Array(vocabulary);
    this.#tokens = new Uint32Array(vocabulary);
    this.#keptKeys = new Uint32Array(vocabulary);
    this.#weights = new Uint32Array(vocabulary);
    this.#sums = new Float64Array(vocabulary);
    this.#ones = new Uint32Array(vocabulary).fill(1);
    this.#search = new RankSearch(vocabulary);
  }

  /** Reads a row; nothing is cut off yet, except at temperature 0 all but the best token. */
  load(logits: Uint32Array, place: { at: number; unconditionalAt: number; weight: number }): void {
    guideRow(logits, this.#logits, place);
    this.#greatest = keyRow(this.#logits.u32, this.#keys);
    this.threshold = this.#greatest === 0 ? 0xffffffff : 1;
    this.last = ALL_TIES;
    if (this.#greatest !== 0 && this.#sharpness === 0) {
      this.threshold = this.#greatest;
      this.last = this.#keys.indexOf(this.#greatest);
    }
  }

  /** Top-k. */
  keepCount(k: number): void {
    if (this.threshold !== 1) return;
    this.#search.run(this.#keys, this.#ones, this.#keys.length, k);
    // Keys of 0, which cannot be drawn, rank last: when the search ends at one, all others stay.
    this.threshold = Math.max(1, this.#search.key);
  }

  /** Lists what is kept, with weights. */
  weigh(): void {
    const keys = this.#keys;
    const tokens = this.#tokens;
    const keptKeys = this.#keptKeys;
    const { threshold, last } = this;
    let n = 0;
    for (let token = 0; token < keys.length; token++) {
      const key = keys[token]!;
      tokens[n] = token;
      keptKeys[n] = key;
      n += Number(key > threshold || (key === threshold && token <= last));
    }
    this.#kept = n;
    const { f32 } = this.#logits;
    const weights = this.#weights;
    const sums = this.#sums;
    const sharpness = this.#sharpness;
    const greatest = bitsFloat(keyBits(this.#greatest));
    const infinite = greatest === Infinity;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const logit = f32[tokens[i]!]!;
      const weight = infinite
        ? (logit === Infinity ? 2 ** 30 : 0)
        : exp2Negative(fround(fround(greatest - logit) * sharpness));
      weights[i] = weight;
      sums[i] = sum += weight;
    }
  }

  /**
   * Top-p on what is kept.
   *
   * @param part In units of 2^-24.
   * @returns Whether it moved the threshold.
   */
  keepShare(part: number): boolean {
    const n = this.#kept;
    if (n === 0) return false;
    const limit = share(this.#sums[n - 1]!, part);
    const search = this.#search;
    search.run(this.#keptKeys, this.#weights, n, limit);
    const { key: threshold } = search;
    const { threshold: oldThreshold, last: oldLast } = this;
    if (threshold !== oldThreshold) this.last = ALL_TIES;
    this.threshold = threshold;
    const tokens = this.#tokens;
    const keys = this.#keptKeys;
    const weights = this.#weights;
    const sums = this.#sums;
    let kept = 0;
    let sum = 0;
    let front = search.before;
    let lastTie = 0;
    for (let i = 0; i < n; i++) {
      const key = keys[i]!;
      if (key < threshold) continue;
      const token = tokens[i]!;
      const weight = weights[i]!;
      if (key === threshold) {
        // Of the ties those stay that have less than the limit in front of them.
        if (front >= limit) {
          this.last = lastTie;
          continue;
        }
        front += weight;
        lastTie = token;
      }
      tokens[kept] = token;
      keys[kept] = key;
      weights[kept] = weight;
      sums[kept] = sum += weight;
      kept++;
    }
    this.#kept = kept;
    return threshold !== oldThreshold || this.last !== oldLast;
  }

  /**
   * Min-p on what is kept.
   *
   * @param reach The bits of the largest distance from the greatest logit.
   * @returns Whether it moved the threshold.
   */
  keepReached(reach: number): boolean {
    if (this.#kept === 0) return false;
    // The smallest key within reach, from the key of -infinity on.
    const top = bitsFloat(keyBits(this.#greatest));
    let low = 0x007fffff;
    let high = this.#greatest;
    while (low + 1 < high && this.#greatest !== INFINITE_KEY) {
      const middle = low + ((high - low) >>> 1);
      if (floatBits(top - bitsFloat(canonical(keyBits(middle)))) <= reach) high = middle;
      else low = middle;
    }
    if (high <= this.threshold) return false;
    this.threshold = high;
    this.last = ALL_TIES;
    let kept = 0;
    let sum = 0;
    for (let i = 0; i < this.#kept; i++) {
      const key = this.#keptKeys[i]!;
      if (key < high) continue;
      const weight = this.#weights[i]!;
      this.#tokens[kept] = this.#tokens[i]!;
      this.#keptKeys[kept] = key;
      this.#weights[kept] = weight;
      this.#sums[kept] = sum += weight;
      kept++;
    }
    this.#kept = kept;
    return true;
  }

  /**
   * The token at which the running sum of weights first exceeds the fraction of the total that two random
   * words stand for.
   */
  tokenAt(pair: Uint32Array): number {
    if (this.#kept === 0) return NO_TOKEN;
    const sums = this.#sums;
    const point = randomPoint(sums[this.#kept - 1]!, pair[0]!, pair[1]!);
    let low = 0;
    let high = this.#kept - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (point < sums[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.#tokens[low]!;
  }
}

/**
 * Finds the key at which a running amount in descending order of keys reaches a limit, eight bits of the keys
 * at a time.
 */
class RankSearch {
  /** The key found. */
  key = 0;
  /** The amount of all greater keys. */
  before = 0;
  #bins = new Float64Array(256);
  #keys: Uint32Array;
  #amounts: Uint32Array;

  constructor(capacity: number) {
    this.#keys = new Uint32Array(capacity);
    this.#amounts = new Uint32Array(capacity);
  }

  /** Searches the first `length` keys for a limit that is above 0 and not above the sum of their amounts. */
  run(keys: Uint32Array, amounts: Uint32Array, length: number, limit: number): void {
    const bins = this.#bins;
    const keptKeys = this.#keys;
    const keptAmounts = this.#amounts;
    this.before = 0;
    for (let shift = 24; shift >= 0; shift -= 8) {
      bins.fill(0);
      for (let i = 0; i < length; i++) bins[(keys[i]! >>> shift) & 255]! += amounts[i]!;
      let bin = 255;
      while (this.before + bins[bin]! < limit) this.before += bins[bin--]!;
      let matches = 0;
      for (let i = 0; i < length; i++) {
        const key = keys[i]!;
        // Stored in any case and kept by counting on: whether a key matches is hard to predict.
        keptKeys[matches] = key;
        keptAmounts[matches] = amounts[i]!;
        matches += Number(((key >>> shift) & 255) === bin);
      }
      keys = keptKeys;
      amounts = keptAmounts;
      length = matches;
    }
    this.key = keys[0]!;
  }
}
