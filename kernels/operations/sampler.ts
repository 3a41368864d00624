/**
 * Samplers: tokens or bits from logits, for work of one's own. A sampler holds the settings; logits may come
 * from anywhere, and what is drawn stays on the device. The same logits, seed and numbers give the same
 * tokens on every device; the rules are those of the kernels `sampleTokens` and `sampleBits`.
 *
 * @module
 */

import { mustBe, requireInteger, requireNumber, requireOptions } from "../arguments.ts";
import { type Device, type DeviceArray, type Kernel, type Plan, readWords } from "../device/device.ts";
import type { DeviceChoice } from "../device/open_device.ts";
import { sampleBits } from "../sampling/sample_bits.ts";
import { sampleTokens } from "../sampling/sample.ts";
import { type Seed, seedWords } from "../exact/threefry.ts";
import { fillOutput, type FloatInput, takeInput, type Target, withDevice } from "./input.ts";

/** Settings that all samplers have. */
export interface SamplerOptions {
  /**
   * What logits are divided by, 1 by default: 0 takes the largest (lowest index in a tie), else from 1e-6 to
   * 1e6.
   */
  temperature?: number;
  /**
   * Weight t of guidance, `conditional + t * (conditional - unconditional)`. If it is given, logits hold all
   * conditional rows and then all unconditional ones.
   */
  cfg?: number;
  /** The seed, an integer from 0 to 2^64 - 1, beyond 2^53 as a `bigint`; 0 by default. */
  seed?: number | bigint;
}

/** Settings of a {@linkcode TokenSampler}. */
export interface TokenSamplerOptions extends SamplerOptions {
  /** Number of tokens to choose from, up to 65536: the length of a row of logits. */
  vocabulary: number;
  /** Draws from the k largest logits and all that tie with the last of them; 0 (default) is off. */
  topK?: number;
  /** Draws from the likeliest tokens that make up this probability; 0 (default) and 1 are off. */
  topP?: number;
  /** Draws from tokens with at least this share of the largest probability; 0 (default) is off. */
  minP?: number;
}

/** Settings of a {@linkcode BitSampler}. */
export interface BitSamplerOptions extends SamplerOptions {
  /** Bits of a token, each with two logits. */
  bits: number;
  /** 1 takes the likelier value of each bit; 0 (default), 2 and more leave both. */
  topK?: number;
  /**
   * Takes the likelier value for certain where the other's probability is at most `1 - topP`; 0 (default) and
   * 1 are off.
   */
  topP?: number;
  /**
   * Takes the likelier value for certain where the other has less than this share of its probability; 0
   * (default) is off.
   */
  minP?: number;
}

/** What one call of a sampler draws. */
export interface DrawingOptions {
  /** Independent draws per position; 1 by default. */
  draws?: number;
  /**
   * Index of each image (or sequence, or whatever has random numbers of its own). The rows are shared out
   * evenly among them, so that an image draws the same alone and in a batch; `[0]` by default, which makes
   * all rows positions of one image.
   */
  images?: readonly number[] | Uint32Array;
  /**
   * Number of the step or scale, from 0 to 2^24 - 1, 0 by default: calls with other numbers draw
   * independently.
   */
  scale?: number;
  /**
   * Number of the first draw, 0 by default: draws 5 to 9 are the same, whether drawn together with 0 to 4 or
   * apart.
   */
  firstDraw?: number;
}

/** Options of {@linkcode TokenSampler.run} and {@linkcode BitSampler.run}. */
export interface RunOptions extends DrawingOptions {
  /** Where the tokens go, u32; a new array by default. */
  output?: Target;
}

/** Options of {@linkcode sample}. */
export interface SampleOptions extends TokenSamplerOptions, DrawingOptions {
  /**
   * Where to compute: `"auto"` (default: the CPU for little work, an adapter for much), `"webgpu"`, `"cpu"`
   * or a device.
   */
  device?: Device | DeviceChoice;
}

/** Options of {@linkcode sampleBitTokens}. */
export interface SampleBitTokensOptions extends BitSamplerOptions, DrawingOptions {
  /**
   * Where to compute: `"auto"` (default: the CPU for little work, an adapter for much), `"webgpu"`, `"cpu"`
   * or a device.
   */
  device?: Device | DeviceChoice;
}

const DRAWING_OPTIONS = ["draws", "images", "scale", "firstDraw"] as const satisfies (keyof DrawingOptions)[];
const RUN_OPTIONS = [...DRAWING_OPTIONS, "output"] as const satisfies (keyof RunOptions)[];
const TOKEN_OPTIONS = [
  "vocabulary",
  "temperature",
  "topK",
  "topP",
  "minP",
  "cfg",
  "seed",
] as const satisfies (keyof TokenSamplerOptions)[];
const BIT_OPTIONS = [
  "bits",
  "temperature",
  "topK",
  "topP",
  "minP",
  "cfg",
  "seed",
] as const satisfies (keyof BitSamplerOptions)[];

/** What {@linkcode Sampler} knows of its kernel's arguments. */
interface Shape {
  logits: DeviceArray;
  lanes: DeviceArray;
  tokens: DeviceArray;
  images: number;
  positions: number;
  seed: Seed;
  scale: number;
  draws: number;
  firstDraw: number;
  guided: boolean;
  weight: number;
}

/** What the two samplers have in common: sizes, checks, and the array of image indices. */
class Sampler<Settings> implements Disposable {
  readonly #device: Device;
  readonly #kernel: Kernel<Settings & Shape>;
  readonly #settings: Settings;
  readonly #common: { seed: Seed; guided: boolean; weight: number };
  /** Logits and words of tokens per position. */
  readonly #sizes: { logits: number; words: number };
  readonly #action: string;
  #images: readonly number[] = [];
  #lanes: DeviceArray | undefined;
  #disposed = false;

  constructor(
    device: Device,
    kernel: Kernel<Settings & Shape>,
    options: {
      settings: Settings;
      common: SamplerOptions;
      sizes: { logits: number; words: number };
      action: string;
    },
  ) {
    const { cfg, seed = 0 } = options.common;
    if (cfg !== undefined) requireNumber(cfg, "cfg", options.action, { min: -(2 ** 32), max: 2 ** 32 });
    this.#device = device;
    this.#kernel = kernel;
    this.#settings = options.settings;
    this.#common = { seed: seedWords(seed), guided: cfg !== undefined, weight: cfg ?? 0 };
    this.#sizes = options.sizes;
    this.#action = options.action;
    this.#check({ draws: 1, scale: 0, firstDraw: 0 });
  }

  draw(source: FloatInput, options: RunOptions): DeviceArray {
    if (this.#disposed) throw new TypeError(`Cannot ${this.#action} as the sampler has been disposed`);
    requireOptions(options, RUN_OPTIONS, this.#action);
    const { draws = 1, scale = 0, firstDraw = 0, output } = options;
    const numbers = { draws, scale, firstDraw };
    this.#check(numbers);
    const images = this.#indices(options.images ?? [0]);
    const least = images.length * this.#sizes.logits * (this.#common.guided ? 2 : 1);
    using logits = takeInput(this.#device, source, {
      type: "f32",
      name: "logits",
      action: this.#action,
      length: least,
      multipleOf: least,
    });
    const positions = logits.length / least;
    const length = images.length * draws * positions * this.#sizes.words;
    const wanted = { length, name: "output", action: this.#action };
    return fillOutput(this.#device, output, wanted, (tokens) => {
      this.#device.run(this.#kernel, {
        ...this.#settings,
        ...this.#common,
        ...numbers,
        logits,
        lanes: this.#lanesOf(images),
        tokens,
        images: images.length,
        positions,
      });
    });
  }

  [Symbol.dispose](): void {
    this.#lanes?.[Symbol.dispose]();
    this.#disposed = true;
  }

  /** Checks all numbers, before anything is allocated. */
  #check(numbers: { draws: number; scale: number; firstDraw: number }): Plan {
    const nothing = { device: this.#device, length: 0, label: "nothing", [Symbol.dispose]: () => {} };
    return this.#kernel.plan({
      ...this.#settings,
      ...this.#common,
      ...numbers,
      logits: nothing,
      lanes: nothing,
      tokens: nothing,
      images: 0,
      positions: 1,
    });
  }

  #indices(images: readonly number[] | Uint32Array): readonly number[] {
    if (!(images instanceof Uint32Array || Array.isArray(images)) || images.length === 0) {
      throw new TypeError(mustBe("a list of one or more indices", images, "images", this.#action));
    }
    for (const image of images) {
      requireInteger(image, "each of images", this.#action, { min: 0, max: 0xffffffff });
    }
    return [...images];
  }

  /**
   * The indices on the device; written only when they are others than in the call before, as each write ends
   * a batch of commands.
   */
  #lanesOf(images: readonly number[]): DeviceArray {
    const known = this.#images;
    if (
      this.#lanes !== undefined && known.length === images.length &&
      images.every((image, i) => image === known[i])
    ) {
      return this.#lanes;
    }
    this.#lanes?.[Symbol.dispose]();
    this.#images = images;
    return this.#lanes = this.#device.upload(Uint32Array.from(images), "images");
  }
}

/**
 * Draws tokens with the same settings any number of times; made by {@linkcode createTokenSampler}.
 *
 * @example
 * ```ts
 * import { createTokenSampler } from "./sampler.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using sampler = createTokenSampler(device, { vocabulary: 2, cfg: 1 });
 * const logits = new Float32Array([0, 0, 0, 99]); // with the condition, and without it
 * using tokens = sampler.run(logits);
 * assertEquals([...await readWords(tokens)], [0]); // guidance leads away from the second
 * ```
 */
export class TokenSampler implements Disposable {
  readonly #sampler: Sampler<Omit<TokenSamplerOptions, keyof SamplerOptions> & { temperature?: number }>;

  /** See {@linkcode createTokenSampler}. */
  constructor(device: Device, options: TokenSamplerOptions) {
    const action = "draw tokens";
    requireOptions(options, TOKEN_OPTIONS, action);
    const { cfg: _cfg, seed: _seed, ...settings } = options;
    const sizes = { logits: options.vocabulary, words: 1 };
    this.#sampler = new Sampler(device, sampleTokens, { settings, common: options, sizes, action });
  }

  /**
   * Draws tokens.
   *
   * @param logits f32 [images, positions, vocabulary]; with `cfg` all conditional rows, then all
   * unconditional ones.
   * @returns The tokens, u32 [images, draws, positions], or `output`; 2^32 - 1 where every logit is NaN or
   * -infinity. The caller disposes it.
   * @throws {TypeError} If an argument has the wrong type or an option is unknown.
   * @throws {RangeError} If a number is out of range, or the logits are no whole number of rows for each
   * image.
   */
  run(logits: FloatInput, options: RunOptions = {}): DeviceArray {
    return this.#sampler.draw(logits, options);
  }

  /** Frees what it holds on the device; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#sampler[Symbol.dispose]();
  }
}

/**
 * Draws bits with the same settings any number of times; made by {@linkcode createBitSampler}.
 *
 * @example
 * ```ts
 * import { createBitSampler } from "./sampler.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using sampler = createBitSampler(device, { bits: 2, seed: 7 });
 * const logits = new Float32Array([0, 0, 0, 99]); // the first bit is open, the second is 1
 * using first = sampler.run(logits, { draws: 8 });
 * using again = sampler.run(logits, { draws: 8 });
 * assertEquals(await readWords(first), await readWords(again));
 * assertEquals([...await readWords(first)].every((token) => (token & 0b10) !== 0), true);
 * ```
 */
export class BitSampler implements Disposable {
  readonly #sampler: Sampler<Omit<BitSamplerOptions, keyof SamplerOptions> & { temperature?: number }>;

  /** See {@linkcode createBitSampler}. */
  constructor(device: Device, options: BitSamplerOptions) {
    const action = "draw bits";
    requireOptions(options, BIT_OPTIONS, action);
    const { cfg: _cfg, seed: _seed, ...settings } = options;
    const sizes = { logits: 2 * options.bits, words: Math.ceil(options.bits / 32) };
    this.#sampler = new Sampler(device, sampleBits, { settings, common: options, sizes, action });
  }

  /**
   * Draws bits.
   *
   * @param logits Those of 0 and 1, f32 [images, positions, bits, 2]; with `cfg` all conditional rows, then
   * all unconditional ones.
   * @returns The tokens, u32 [images, draws, positions, ceil(bits / 32)], or `output`: bit b is bit b % 32 of
   * word b / 32. The caller disposes it.
   * @throws {TypeError} If an argument has the wrong type or an option is unknown.
   * @throws {RangeError} If a number is out of range, or the logits are no whole number of rows for each
   * image.
   */
  run(logits: FloatInput, options: RunOptions = {}): DeviceArray {
    return this.#sampler.draw(logits, options);
  }

  /** Frees what it holds on the device; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#sampler[Symbol.dispose]();
  }
}

/**
 * Makes a sampler of tokens: guidance, temperature, top-k, top-p, min-p (in this order) and any number of
 * draws, in one pass on the device.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a number is out of range.
 *
 * @example
 * ```ts
 * import { createTokenSampler } from "./sampler.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using sampler = createTokenSampler(device, { vocabulary: 4, topK: 2, seed: 7 });
 * const logits = new Float32Array([3, 1, 2, 0, 0, 5, 1, 6]); // two rows
 * using tokens = sampler.run(logits, { draws: 100 });
 * const drawn = await readWords(tokens); // [draws, positions]
 * assert(drawn.every((token, i) => (i % 2 === 0 ? [0, 2] : [1, 3]).includes(token)));
 *
 * // The second row as an image of its own draws the same, alone or in a batch.
 * using batch = sampler.run(logits, { images: [0, 1] });
 * using alone = sampler.run(logits.subarray(4), { images: [1] });
 * assertEquals((await readWords(batch))[1], (await readWords(alone))[0]);
 * ```
 */
export function createTokenSampler(device: Device, options: TokenSamplerOptions): TokenSampler {
  return new TokenSampler(device, options);
}

/**
 * Makes a sampler of bits, for models with bitwise tokens.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a number is out of range.
 *
 * @example
 * ```ts
 * import { createBitSampler } from "./sampler.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using sampler = createBitSampler(device, { bits: 3, topP: 0.97 });
 * using tokens = sampler.run(new Float32Array([0, 9, 9, 0, -4, 4]));
 * assertEquals([...await readWords(tokens)], [0b101]);
 * ```
 */
export function createBitSampler(device: Device, options: BitSamplerOptions): BitSampler {
  return new BitSampler(device, options);
}

/**
 * Draws tokens from logits in one call; {@linkcode createTokenSampler} is for more than one.
 *
 * @param logits [images, positions, vocabulary]; with `cfg` all conditional rows, then all unconditional
 * ones.
 * @returns The tokens, [images, draws, positions].
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If a number is out of range, or the logits are no whole number of rows for each image.
 *
 * @example
 * ```ts
 * import { sample } from "./sampler.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const logits = new Float32Array([1, 5, 2, 4, 0, 4]); // two rows
 * const tokens = await sample(logits, { vocabulary: 3, temperature: 0, device: "cpu" });
 * assertEquals(tokens, new Uint32Array([1, 0]));
 * ```
 */
export async function sample(
  logits: Float32Array,
  options: SampleOptions,
): Promise<Uint32Array<ArrayBuffer>> {
  requireOptions(options, [...TOKEN_OPTIONS, ...DRAWING_OPTIONS, "device"], "draw tokens");
  const { settings, drawing } = split(options);
  return await withDevice(options.device, 64 * logits?.length, async (device) => {
    using sampler = createTokenSampler(device, settings);
    using tokens = sampler.run(logits, drawing);
    return await readWords(tokens);
  });
}

/**
 * Draws bits from logits in one call; {@linkcode createBitSampler} is for more than one.
 *
 * @param logits Those of 0 and 1, [images, positions, bits, 2]; with `cfg` all conditional rows, then all
 * unconditional ones.
 * @returns The tokens, [images, draws, positions, ceil(bits / 32)].
 * @throws {TypeError} If an argument has the wrong type or an option is unknown.
 * @throws {RangeError} If a number is out of range, or the logits are no whole number of rows for each image.
 *
 * @example
 * ```ts
 * import { sampleBitTokens } from "./sampler.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const logits = new Float32Array([0, 1, 1, 0, 0, 2, 0, 0]); // one token of four bits
 * assertEquals(
 *   await sampleBitTokens(logits, { bits: 4, temperature: 0, device: "cpu" }),
 *   new Uint32Array([0b0101]),
 * );
 * ```
 */
export async function sampleBitTokens(
  logits: Float32Array,
  options: SampleBitTokensOptions,
): Promise<Uint32Array<ArrayBuffer>> {
  requireOptions(options, [...BIT_OPTIONS, ...DRAWING_OPTIONS, "device"], "draw bits");
  const { settings, drawing } = split(options);
  return await withDevice(options.device, 16 * logits?.length * (options.draws ?? 1), async (device) => {
    using sampler = createBitSampler(device, settings);
    using tokens = sampler.run(logits, drawing);
    return await readWords(tokens);
  });
}

/** The options of a single call as those of a sampler and those of its run. */
function split<Options extends DrawingOptions & { device?: Device | DeviceChoice }>(options: Options): {
  settings: Omit<Options, keyof DrawingOptions | "device">;
  drawing: DrawingOptions;
} {
  const { draws, images, scale, firstDraw, device: _device, ...settings } = options;
  const drawing = { draws, images, scale, firstDraw };
  const given = Object.entries(drawing).filter(([, value]) => value !== undefined);
  return { settings, drawing: Object.fromEntries(given) };
}
