/**
 * Vector quantization for work of one's own: a codebook that is put on a device once and then turns feature
 * vectors into tokens and tokens into feature maps; and the same for binary codes, which need no codebook.
 * The kernels are in `nearest.ts`, `lookup.ts` and `bits.ts`.
 *
 * @module
 */

import { mustBe, requireChoice, requireInteger, requireOptions } from "../arguments.ts";
import { bitCodes, type BitsShape, signBits } from "../codebook/bits.ts";
import { codeDistances } from "../codebook/code_distance.ts";
import { type Device, type DeviceArray, readFloats, readWords } from "../device/device.ts";
import { codebookLookup, type FeatureLayout } from "../codebook/lookup.ts";
import { nearestCodes } from "../codebook/nearest.ts";
import type { DeviceChoice } from "../device/open_device.ts";
import { unitRows } from "../codebook/unit_rows.ts";
import {
  fillOutput,
  type FloatInput,
  lengthOf,
  type OutputOptions,
  takeInput,
  takeOutput,
  type Target,
  withDevice,
  type WordInput,
} from "./input.ts";

/**
 * What makes a code the nearest: the least Euclidean distance, or the least angle. For angles, vectors and
 * codes are compared at length 1; they must be finite and below 2^60 in magnitude.
 */
export type CodebookMetric = "euclidean" | "cosine";

/** As work, a copy is never worth a device of its own. */
const COPY = 0;

/** Options of {@linkcode createCodebook}. */
export interface CodebookOptions {
  /** Values of one vector. */
  channels: number;
  /** What {@linkcode Codebook.nearest} compares by; default `"euclidean"`. */
  metric?: CodebookMetric;
}

/** Options of {@linkcode Codebook.lookup}. */
export interface CodebookLookupOptions {
  /** Layout of the result: vector after vector, or channel after channel for each image; default `"rows"`. */
  layout?: FeatureLayout;
  /** Tokens of one image, for planes; by default all tokens are one image. */
  positions?: number;
  /** Where the result goes, f32; by default a new array. */
  output?: Target;
}

/** Options of {@linkcode Codebook.nearest}. */
export interface CodebookNearestOptions {
  /** Where the tokens go, u32, one per vector; by default a new array. */
  output?: Target;
  /**
   * Where the squared Euclidean distances to the codes go, f32, one per vector. By the metric `"cosine"` they
   * are those of the vectors at length 1: twice the cosine distance.
   */
  distances?: Target;
}

/**
 * A codebook on a device; make it with {@linkcode createCodebook}. Disposing it frees it.
 *
 * @example
 * ```ts
 * import { createCodebook } from "./codebook.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using codebook = createCodebook(device, new Float32Array([0, 0, 3, 4]), { channels: 2 });
 * assertEquals(codebook.vocabulary, 2);
 * using vectors = codebook.lookup(new Uint32Array([1, 0]));
 * assertEquals([...await readFloats(vectors)], [3, 4, 0, 0]);
 * ```
 */
export class Codebook implements Disposable {
  /** Where it is. */
  readonly device: Device;
  /** Number of codes. */
  readonly vocabulary: number;
  /** Values of a code. */
  readonly channels: number;
  /** What {@linkcode Codebook.nearest} compares by. */
  readonly metric: CodebookMetric;
  readonly #resources: DisposableStack;
  readonly #vectors: DeviceArray;
  /** The vectors that features are compared with. */
  readonly #compared: DeviceArray;

  /** Codebooks are made by {@linkcode createCodebook}. */
  constructor(device: Device, vectors: FloatInput, options: CodebookOptions) {
    const action = "create a codebook";
    requireOptions(options, ["channels", "metric"], action);
    const { channels, metric = "euclidean" } = options;
    requireInteger(channels, "channels", action, { min: 1 });
    requireChoice(metric, ["euclidean", "cosine"], "metric", action);
    this.device = device;
    this.channels = channels;
    this.metric = metric;
    using resources = new DisposableStack();
    this.#vectors = resources.use(
      takeInput(device, vectors, {
        type: "f32",
        name: "vectors",
        action,
        multipleOf: channels,
        length: channels,
      }),
    );
    this.vocabulary = this.#vectors.length / channels;
    this.#compared = metric === "cosine"
      ? unit(resources, this.#vectors, this.vocabulary, channels)
      : this.#vectors;
    this.#resources = resources.move();
  }

  /**
   * The vectors of tokens. A token that is no index into the codebook gives zeros.
   *
   * @param tokens Token ids, u32.
   * @returns The vectors, f32: [tokens, channels], or [images, channels, positions]. The caller disposes it.
   * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
   * @throws {RangeError} If a length does not fit.
   */
  lookup(tokens: WordInput, options: CodebookLookupOptions = {}): DeviceArray {
    const action = "look up codebook vectors";
    requireOptions(options, ["layout", "positions", "output"], action);
    const { layout = "rows", output } = options;
    requireChoice(layout, ["rows", "planes"], "layout", action);
    if (options.positions !== undefined) requireInteger(options.positions, "positions", action, { min: 1 });
    const { device, channels, vocabulary } = this;
    const count = lengthOf(tokens) ?? 0;
    const positions = options.positions ?? Math.max(1, count);
    const wanted = { length: count * channels, name: "output", action };
    checkTarget(device, output, wanted);
    using ids = takeInput(device, tokens, { type: "u32", name: "tokens", action, multipleOf: positions });
    return fillOutput(device, output, wanted, (result) => {
      const shape = { images: count / positions, positions, vocabulary, channels };
      device.run(codebookLookup, { ...shape, tokens: ids, codebook: this.#vectors, output: result, layout });
    });
  }

  /**
   * The nearest code of each feature vector; of equally near ones, the first. The same tokens come out on
   * every device.
   *
   * @param features Vector after vector, f32 [count, channels].
   * @returns The tokens, u32 [count]. The caller disposes it.
   * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
   * @throws {RangeError} If a length does not fit.
   */
  nearest(features: FloatInput, options: CodebookNearestOptions = {}): DeviceArray {
    const action = "find nearest codes";
    requireOptions(options, ["output", "distances"], action);
    const { device, channels, vocabulary } = this;
    const wanted = { length: Math.floor((lengthOf(features) ?? 0) / channels), name: "output", action };
    checkTarget(device, options.output, wanted);
    using resources = new DisposableStack();
    const distances = options.distances &&
      resources.use(takeOutput(device, options.distances, { ...wanted, name: "distances" }));
    const given = resources.use(
      takeInput(device, features, { type: "f32", name: "features", action, multipleOf: channels }),
    );
    const count = wanted.length;
    return fillOutput(device, options.output, wanted, (tokens) => {
      const compared = this.metric === "cosine" ? unit(resources, given, count, channels) : given;
      const args = { features: compared, codebook: this.#compared, tokens, count, vocabulary, channels };
      device.run(nearestCodes, args);
      if (distances !== undefined) device.run(codeDistances, { ...args, distances });
    });
  }

  /** Frees what it holds on the device; harmless when done twice. */
  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/**
 * Puts a codebook on a device.
 *
 * @param vectors The codes, f32 [vocabulary, channels]. Arrays and buffers of the caller's must live as long
 * as the codebook.
 * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
 * @throws {RangeError} If there is no code, or the values are no multiple of the channels.
 *
 * @example
 * ```ts
 * import { createCodebook } from "./codebook.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats, readWords } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice(); // or: await WebGpuDevice.open()
 * using codebook = createCodebook(device, new Float32Array([0, 0, 1, 1, 4, 2]), { channels: 2 });
 * using tokens = codebook.nearest(new Float32Array([3, 3, 0.9, 0.7]));
 * assertEquals([...await readWords(tokens)], [2, 1]);
 * using map = codebook.lookup(tokens, { layout: "planes" });
 * assertEquals([...await readFloats(map)], [4, 1, 2, 1]);
 * ```
 */
export function createCodebook(device: Device, vectors: FloatInput, options: CodebookOptions): Codebook {
  return new Codebook(device, vectors, options);
}

/** Options of {@linkcode nearest}. */
export interface NearestOptions extends CodebookOptions {
  /**
   * Filled with the squared distances to the codes, one per vector; see
   * {@linkcode CodebookNearestOptions.distances}.
   */
  distances?: Float32Array;
  /** Where to compute; default `"auto"`: the CPU for little work, an adapter for much. */
  device?: Device | DeviceChoice;
}

/**
 * The nearest code of each feature vector, in one call; see {@linkcode Codebook.nearest}.
 *
 * @param features Vector after vector, [count, channels].
 * @param codebook Code after code, [vocabulary, channels].
 * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
 * @throws {RangeError} If a length does not fit.
 *
 * @example
 * ```ts
 * import { nearest } from "./codebook.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const distances = new Float32Array(2);
 * const codebook = new Float32Array([0, 0, 1, 1, 4, 2]);
 * const tokens = await nearest(new Float32Array([3, 3, 1, 0]), codebook, { channels: 2, distances });
 * assertEquals([...tokens], [2, 0]);
 * assertEquals([...distances], [2, 1]);
 * ```
 */
export async function nearest(
  features: Float32Array,
  codebook: Float32Array,
  options: NearestOptions,
): Promise<Uint32Array<ArrayBuffer>> {
  const action = "find nearest codes";
  requireOptions(options, ["channels", "metric", "distances", "device"], action);
  const { device: choice, distances, ...rest } = options;
  if (distances !== undefined) requireFloats(distances, "distances", action);
  const work = 3 * (features?.length / options.channels) * codebook?.length;
  return await withDevice(choice, work, async (device) => {
    using book = createCodebook(device, codebook, rest);
    const count = Math.floor((lengthOf(features) ?? 0) / book.channels);
    if (distances !== undefined && distances.length < count) {
      throw new RangeError(
        `Cannot ${action} as distances must hold at least ${count} values: it holds ${distances.length}`,
      );
    }
    using resources = new DisposableStack();
    const measured = distances && resources.use(device.allocate(count, "distances"));
    const tokens = resources.use(book.nearest(features, { ...(measured && { distances: measured }) }));
    const [words, bits] = await device.read(measured ? [tokens, measured] : [tokens]);
    if (bits !== undefined) distances!.set(new Float32Array(bits.buffer));
    return words!;
  }, { vectors: true });
}

/** Options of {@linkcode lookup}. */
export interface LookupOptions extends Omit<CodebookLookupOptions, "output"> {
  /** Values of one vector. */
  channels: number;
  /** Where to compute; default `"auto"`: the CPU for little work, an adapter for much. */
  device?: Device | DeviceChoice;
}

/**
 * The vectors of tokens, in one call; see {@linkcode Codebook.lookup}.
 *
 * @param tokens Token ids.
 * @param codebook Code after code, [vocabulary, channels].
 * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
 * @throws {RangeError} If a length does not fit.
 *
 * @example
 * ```ts
 * import { lookup } from "./codebook.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const codebook = new Float32Array([0, 0, 1, 1, 4, 2]);
 * assertEquals([...await lookup(new Uint32Array([2, 1]), codebook, { channels: 2 })], [4, 2, 1, 1]);
 * ```
 */
export async function lookup(
  tokens: Uint32Array,
  codebook: Float32Array,
  options: LookupOptions,
): Promise<Float32Array<ArrayBuffer>> {
  requireOptions(options, ["channels", "layout", "positions", "device"], "look up codebook vectors");
  const { device: choice, channels, ...rest } = options;
  return await withDevice(choice, COPY, async (device) => {
    using book = createCodebook(device, codebook, { channels });
    using vectors = book.lookup(tokens, rest);
    return await readFloats(vectors);
  });
}

/** Options of {@linkcode codesToBits}. */
export interface CodesToBitsOptions {
  /** Channels of the feature map. */
  channels: number;
  /** Layout of the feature map; default `"rows"`. */
  layout?: FeatureLayout;
  /** Number of feature maps, one after another; default 1. */
  images?: number;
  /**
   * Tokens in a line of the map, for tokens that hold patches of 2×2 positions; see
   * {@linkcode BitsShape.patchWidth}.
   */
  patchWidth?: number;
  /** Where to compute; default `"auto"`: the CPU for little work, an adapter for much. */
  device?: Device | DeviceChoice;
}

/** Options of {@linkcode bitsToCodes}. */
export interface BitsToCodesOptions extends CodesToBitsOptions {
  /**
   * What bits stand for: plus or minus this. Default 1 / sqrt(channels), which makes the vectors' length 1.
   */
  magnitude?: number;
}

/**
 * The vectors that the bits of tokens stand for, in one call.
 *
 * @param bits The bits, from the lowest of a token's first word on: [images, tokens, ceil(bits of a token /
 * 32)].
 * @returns The feature map, [images, positions, channels] or [images, channels, positions].
 * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
 * @throws {RangeError} If a length does not fit.
 *
 * @example
 * ```ts
 * import { bitsToCodes } from "./codebook.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const codes = await bitsToCodes(new Uint32Array([0b0110]), { channels: 4 });
 * assertEquals([...codes], [-0.5, 0.5, 0.5, -0.5]);
 * ```
 */
export async function bitsToCodes(
  bits: Uint32Array,
  options: BitsToCodesOptions,
): Promise<Float32Array<ArrayBuffer>> {
  const action = "turn bits into codes";
  requireOptions(options, ["channels", "layout", "images", "patchWidth", "magnitude", "device"], action);
  const { device: choice, magnitude, ...rest } = options;
  const { shape, perToken, positions } = bitsShape(rest, action);
  return await withDevice(choice, COPY, async (device) => {
    const multipleOf = shape.images * perToken;
    using input = takeInput(device, bits, { type: "u32", name: "bits", action, multipleOf });
    const tokens = input.length / multipleOf;
    using output = device.allocate(shape.images * tokens * positions * shape.channels, "codes");
    device.run(bitCodes, {
      ...shape,
      tokens,
      bits: input,
      output,
      ...(magnitude !== undefined && { magnitude }),
    });
    return await readFloats(output);
  });
}

/**
 * The bits of feature vectors, in one call: 1 where a value is above 0, and 0 for zeros, NaN and what is
 * below.
 *
 * @param features The feature map, [images, positions, channels] or [images, channels, positions].
 * @returns The bits, from the lowest of a token's first word on: [images, tokens, ceil(bits of a token /
 * 32)].
 * @throws {TypeError} If an argument is of the wrong kind or an option is unknown.
 * @throws {RangeError} If a length does not fit.
 *
 * @example
 * ```ts
 * import { codesToBits } from "./codebook.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const bits = await codesToBits(new Float32Array([-0.5, 0.5, 0.5, -0.5]), { channels: 4 });
 * assertEquals([...bits], [0b0110]);
 * ```
 */
export async function codesToBits(
  features: Float32Array,
  options: CodesToBitsOptions,
): Promise<Uint32Array<ArrayBuffer>> {
  const action = "turn features into bits";
  requireOptions(options, ["channels", "layout", "images", "patchWidth", "device"], action);
  const { device: choice, ...rest } = options;
  const { shape, perToken, positions } = bitsShape(rest, action);
  return await withDevice(choice, COPY, async (device) => {
    const multipleOf = shape.images * positions * shape.channels;
    using input = takeInput(device, features, { type: "f32", name: "features", action, multipleOf });
    const tokens = input.length / multipleOf;
    using bits = device.allocate(shape.images * tokens * perToken, "bits");
    device.run(signBits, { ...shape, tokens, features: input, bits });
    return await readWords(bits);
  });
}

/** A shape without its tokens, the words of a token and its positions. */
function bitsShape(
  options: Omit<CodesToBitsOptions, "device">,
  action: string,
): { shape: Omit<BitsShape, "tokens">; perToken: number; positions: number } {
  const { channels, layout = "rows", images = 1, patchWidth } = options;
  requireInteger(channels, "channels", action, { min: 1, max: 65535 });
  requireInteger(images, "images", action, { min: 1 });
  const positions = patchWidth === undefined ? 1 : 4;
  const shape = { images, channels, layout, ...(patchWidth !== undefined && { patchWidth }) };
  return { shape, perToken: Math.ceil(channels * positions / 32), positions };
}

function requireFloats(value: unknown, name: string, action: string): void {
  if (value instanceof Float32Array) return;
  throw new TypeError(mustBe("a Float32Array", value, name, action));
}

/** The rows of `input` at length 1, freed with `resources`. */
function unit(resources: DisposableStack, input: DeviceArray, count: number, channels: number): DeviceArray {
  const output = resources.use(input.device.allocate(input.length, `${input.label} at length 1`));
  input.device.run(unitRows, { input, output, count, channels });
  return output;
}

/** Finds out whether a target will do, before anything is allocated. */
function checkTarget(device: Device, target: Target | undefined, wanted: OutputOptions): void {
  if (target !== undefined) takeOutput(device, target, wanted)[Symbol.dispose]();
}
