/**
 * Gaussian kernel density estimates of points of one's own, by the names and formulas of SciPy's
 * `gaussian_kde`, or of scikit-learn's `KernelDensity`. Fitting happens on the host in float64; what is
 * quadratic streams through the kernels. The scores of VAR-Scaling, with the same bits on every device, are
 * in `density.ts`.
 *
 * @module
 */

import { mustBe, requireBoolean, requireChoice, requireInteger, requireOptions } from "../arguments.ts";
import { silvermanFactor } from "../candidates/bandwidth.ts";
import { type Device, type DeviceArray, readFloats } from "../device/device.ts";
import { kernelDensity, stretchCount } from "../points/kernel_density.ts";
import { kernelDensitySum } from "../points/kernel_density_sum.ts";
import type { DeviceChoice } from "../device/open_device.ts";
import { addWideProducts, type CenteredRows, centeredRows, centerRows } from "../pairs/pairs.ts";
import { whiten, whitenRows } from "../points/whiten.ts";
import { type FloatInput, requireInput, takeInput, takeOutput, type Target, withDevice } from "./input.ts";

/**
 * What the bandwidth factor is: a rule of thumb, the factor itself, or a function of the effective number of
 * points and the number of dimensions. Scott's rule is `n^(-1 / (d + 4))`, Silverman's
 * `(n (d + 2) / 4)^(-1 / (d + 4))`.
 */
export type BandwidthRule = "scott" | "silverman" | number | ((points: number, dimensions: number) => number);

/**
 * The shape of the kernel, before the factor: `"data"`, the covariance of the points; `"isotropic"`, a ball
 * with the mean of their standard deviations over the dimensions as radius; `"identity"`, a ball of radius 1,
 * so that the factor is the bandwidth.
 */
export type KernelCovariance = "data" | "isotropic" | "identity";

/** Options of {@linkcode createKde}. */
export interface KdeOptions {
  /** Values of one point. */
  dimensions: number;
  /**
   * Number of densities side by side, each of as many points: the points are then [batch, n, dimensions]. 1
   * by default.
   */
  batch?: number;
  /** The bandwidth factor; `"scott"` by default, as in SciPy. */
  bandwidth?: BandwidthRule;
  /**
   * The shape of the kernel. By default `"data"`, as in SciPy; `"identity"` is scikit-learn's, and
   * `"isotropic"` VAR-Scaling's (arXiv 2601.07293, eq. 3, with the standard deviations of the population).
   */
  covariance?: KernelCovariance;
  /**
   * Weights of the points from 0 on, [n] for all of the batch or [batch, n]; all the same by default. Their
   * scale does not matter.
   */
  weights?: FloatInput;
  /**
   * Scale to a probability density. On by default; off gives the plain `sum of w_j exp(-m^2 / 2)`, where m is
   * the Mahalanobis distance, and then the scale of the weights does matter.
   */
  normalize?: boolean;
}

/** Options of {@linkcode Kde.run}. */
export interface KdeRunOptions {
  /** Natural logarithms of the densities, which are finite for points however far away; off by default. */
  log?: boolean;
  /**
   * Densities at the points, each without its own term, as if it were not there; the bandwidth stays that of
   * all points. Off by default.
   */
  leaveOneOut?: boolean;
  /** Where the densities go; a new array by default. */
  output?: Target;
}

/** Options of {@linkcode kde}. */
export interface KdeCallOptions extends KdeOptions, Omit<KdeRunOptions, "output"> {
  /** Where the density is wanted, [m, dimensions] or [batch, m, dimensions]; at the points by default. */
  at?: Float32Array;
  /** The same as `log`, by the name of SciPy's method. */
  logpdf?: boolean;
  /**
   * A device, or which to open for this call; `"auto"` by default: the CPU for little work, an adapter for
   * much.
   */
  device?: Device | DeviceChoice;
}

const FIT_OPTIONS = ["dimensions", "batch", "bandwidth", "covariance", "weights", "normalize"] as const;
const RUN_OPTIONS = ["log", "leaveOneOut", "output"] as const;
const CALL_OPTIONS = [...FIT_OPTIONS, "log", "leaveOneOut", "at", "logpdf", "device"] as const;

const FIT = "fit a density";
const RUN = "evaluate a density";
/** Partial sums of one call of the kernel, far below WebGPU's default limit of 128 MiB a binding. */
const MAX_PARTIAL_WORDS = 2 ** 23;
/** Operations of one submission, about a second of a slow GPU, so that no watchdog ends it. */
const MAX_OPERATIONS = 2 ** 34;
/**
 * Variance that is left of a column after all before it, below which float32 points cannot tell it from none.
 */
const LEAST_VARIANCE = 2 ** -44;

/**
 * Operations for one query and one point: the squared distance, and the exponential with what is around it.
 */
function operationsOfPair(dimensions: number): number {
  return 3 * dimensions + 32;
}

/** One batch element, fitted. */
interface Fit {
  /** Subtracted from points and queries. */
  readonly mean: Float64Array;
  /** What they are multiplied by then: a lower triangle, or a diagonal. */
  readonly matrix: Float64Array;
  /** The bandwidth after that. */
  readonly bandwidth: number;
  /** log2 of what the weighted sum is multiplied by. */
  readonly scale: number;
  readonly factor: number;
  readonly effectiveCount: number;
}

/**
 * A fitted density. Make it by {@linkcode createKde}.
 *
 * @example
 * ```ts
 * import { createKde } from "./kde.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using density = await createKde(device, new Float32Array([0, 0, 1, 2]), { dimensions: 1 });
 * assertEquals(density.count, 4);
 * assertAlmostEquals(density.factors[0]!, 4 ** (-1 / 5), 1e-12); // Scott's rule
 * using early = density.run(new Float32Array([0.5]));
 * using late = density.run(new Float32Array([3.5])); // the fit serves again
 * assertEquals((await readFloats(early))[0]! > (await readFloats(late))[0]!, true);
 * ```
 */
export class Kde implements Disposable {
  /** Where it runs. */
  readonly device: Device;
  /** Number of densities side by side. */
  readonly batch: number;
  /** Points of one density. */
  readonly count: number;
  /** Values of one point. */
  readonly dimensions: number;
  /** The bandwidth factor of each density: SciPy's `factor`. */
  readonly factors: readonly number[];
  /** The effective number of points of each density, `(sum of w)^2 / sum of w^2`: SciPy's `neff`. */
  readonly effectiveCounts: readonly number[];

  readonly #diagonal: boolean;
  readonly #fits: readonly Fit[];
  readonly #stride: number;
  readonly #ownWeights: boolean;
  readonly #owned: DisposableStack;
  readonly #points: DeviceArray;
  readonly #weights: DeviceArray;
  readonly #inverseBandwidths: DeviceArray;
  readonly #scales: DeviceArray;
  /**
   * The scales without one of the points, where all weigh the same, and else each point's share of the weight
   * of the others.
   */
  readonly #scalesWithoutOne: DeviceArray;
  readonly #sharesOfOthers: DeviceArray | undefined;
  #transform: { mean: DeviceArray; matrix: DeviceArray } | undefined;
  #partials: DeviceArray | undefined;

  /**
   * Fits a density to points on the host; {@linkcode createKde} takes them from anywhere.
   *
   * @throws {TypeError} If an option is unknown or of the wrong type.
   * @throws {RangeError} If a size or number is out of range, a value is not finite, or a covariance
   * singular.
   */
  constructor(device: Device, points: Float32Array, options: KdeOptions & { weights?: Float32Array }) {
    const { batch, count, dimensions } = requireShape(points, options);
    const { covariance = "data", weights, normalize = true } = options;
    this.device = device;
    this.batch = batch;
    this.count = count;
    this.dimensions = dimensions;
    this.#stride = Math.ceil(dimensions / 4) * 4;
    this.#diagonal = covariance !== "data";
    this.#ownWeights = weights !== undefined && weights.length !== count;
    if (!points.every(Number.isFinite)) {
      throw new RangeError(
        `Cannot ${FIT} as the points must be finite: value ${points.findIndex(infinite)} is not`,
      );
    }
    // Powers of two bring the largest weight to [1, 2), so that small ones stay above 2^-126 as long as they
    // can.
    const scaled = new Float32Array(this.#ownWeights ? batch * count : count).fill(1);
    const shifts: number[] = [];
    for (let start = 0; start < scaled.length; start += count) {
      const exponent = weights === undefined
        ? 0
        : requireWeights(weights.subarray(start, start + count), start);
      if (weights !== undefined) {
        const shift = 2 ** -exponent;
        for (let i = start; i < start + count; i++) scaled[i] = weights[i]! * shift;
      }
      shifts.push(exponent);
    }
    const fits: Fit[] = [];
    const rows = new Float32Array(batch * count * this.#stride);
    const scales = new Float32Array(2 * batch);
    const scalesWithoutOne = new Float32Array(2 * batch);
    for (let element = 0; element < batch; element++) {
      const own = points.subarray(element * count * dimensions, (element + 1) * count * dimensions);
      const start = this.#ownWeights ? element * count : 0;
      const fitted = fit(own, scaled.subarray(start, start + count), options);
      const output = rows.subarray(element * count * this.#stride, (element + 1) * count * this.#stride);
      whiten(own, { ...fitted, output, diagonal: this.#diagonal });
      fits.push(fitted);
      const scale = normalize ? fitted.scale : shifts[this.#ownWeights ? element : 0]!;
      const others = normalize && weights === undefined ? Math.log2(count / Math.max(count - 1, 1)) : 0;
      scales.set(split(scale), 2 * element);
      scalesWithoutOne.set(split(scale + others), 2 * element);
    }
    this.#fits = fits;
    this.factors = fits.map(({ factor }) => factor);
    this.effectiveCounts = fits.map(({ effectiveCount }) => effectiveCount);
    stretchCount(count, this.#stride, FIT);

    using made = new DisposableStack();
    this.#points = made.use(device.upload(rows, "points"));
    this.#weights = made.use(device.upload(scaled, "weights"));
    const inverses = Float32Array.from(fits, ({ bandwidth }) => 1 / bandwidth);
    this.#inverseBandwidths = made.use(device.upload(inverses, "inverse bandwidths"));
    this.#scales = made.use(device.upload(scales, "scales"));
    this.#scalesWithoutOne = made.use(device.upload(scalesWithoutOne, "scales without one"));
    if (weights !== undefined && normalize) {
      this.#sharesOfOthers = made.use(device.upload(sharesOfOthers(scaled, count), "shares of others"));
    }
    this.#owned = made.move();
  }

  /**
   * Densities at queries, or at the points themselves. The work is recorded; nothing is waited for.
   *
   * @param queries f32 [batch, m, dimensions]; the points by default. Those in a typed array are moved and
   * turned in float64 before they are rounded; those on the device in float32, which loses digits where the
   * covariance is nearly singular.
   * @returns The densities, f32 [batch, m], to be disposed by the caller: 0 (logarithm: -infinity) at
   * infinity, NaN at NaN.
   * @throws {TypeError} If an option is unknown, or queries are given to be left out.
   * @throws {RangeError} If the number of values does not fit.
   */
  run(queries?: FloatInput, options: KdeRunOptions = {}): DeviceArray {
    requireOptions(options, RUN_OPTIONS, RUN);
    const { log = false, leaveOneOut = false, output: target } = options;
    const { device, batch, count } = this;
    requireFlags({ log, leaveOneOut }, RUN);
    if (this.#owned.disposed) throw new TypeError(`Cannot ${RUN} as it has been disposed`);
    if (leaveOneOut && queries !== undefined) {
      throw new TypeError(`Cannot ${RUN} as leaveOneOut goes with the points themselves: queries are given`);
    }
    using scratch = new DisposableStack();
    const at = queries === undefined ? this.#points : this.#take(queries, scratch);
    const queryCount = at.length / (batch * this.#stride);
    using made = new DisposableStack();
    const output = made.use(
      takeOutput(device, target, { length: batch * queryCount, name: "output", action: RUN }),
    );
    const shares = leaveOneOut ? this.#sharesOfOthers : undefined;
    const shape = { batch, count, queryCount, dimensions: this.#stride };
    const { block, blocks } = this.#divide(queryCount);
    const partials = blocks === 0 ? undefined : this.#scratch(block);
    for (let i = 0; i < blocks; i++) {
      const first = i * block;
      const part = { ...shape, first, block: Math.min(block, queryCount - first), partials: partials! };
      device.run(kernelDensity, {
        ...part,
        points: this.#points,
        queries: at,
        weights: this.#weights,
        inverseBandwidths: this.#inverseBandwidths,
        ownWeights: this.#ownWeights,
        leaveOneOut,
      });
      device.run(kernelDensitySum, {
        ...part,
        scales: leaveOneOut ? this.#scalesWithoutOne : this.#scales,
        ...(shares === undefined ? {} : { shares, ownShares: this.#ownWeights }),
        output,
        log,
      });
      if (blocks > 1) device.flush();
    }
    made.move();
    return output;
  }

  /** Frees what is on the device. */
  [Symbol.dispose](): void {
    this.#partials?.[Symbol.dispose]();
    this.#partials = undefined;
    this.#owned.dispose();
  }

  /** Queries as rows for the kernel. */
  #take(queries: FloatInput, scratch: DisposableStack): DeviceArray {
    const { device, batch, dimensions } = this;
    const multipleOf = batch * dimensions;
    if (queries instanceof Float32Array) {
      requireInput(queries, { type: "f32", name: "queries", action: RUN, multipleOf });
      const count = queries.length / multipleOf;
      const rows = new Float32Array(batch * count * this.#stride);
      for (const [element, fitted] of this.#fits.entries()) {
        const own = queries.subarray(element * count * dimensions, (element + 1) * count * dimensions);
        const output = rows.subarray(element * count * this.#stride, (element + 1) * count * this.#stride);
        whiten(own, { ...fitted, output, diagonal: this.#diagonal });
      }
      return scratch.use(device.upload(rows, "queries"));
    }
    const input = scratch.use(
      takeInput(device, queries, { type: "f32", name: "queries", action: RUN, multipleOf }),
    );
    const count = input.length / multipleOf;
    const output = scratch.use(device.allocate(batch * count * this.#stride, "queries"));
    const { mean, matrix } = this.#transform ??= this.#uploadTransform();
    device.run(whitenRows, {
      input,
      mean,
      matrix,
      output,
      batch,
      count,
      dimensions,
      diagonal: this.#diagonal,
    });
    return output;
  }

  #uploadTransform(): { mean: DeviceArray; matrix: DeviceArray } {
    const { device, batch, dimensions } = this;
    const size = dimensions * (this.#diagonal ? 1 : dimensions);
    const mean = new Float32Array(2 * batch * dimensions);
    const matrix = new Float32Array(batch * size);
    for (const [element, fitted] of this.#fits.entries()) {
      matrix.set(fitted.matrix, element * size);
      for (const [i, value] of fitted.mean.entries()) {
        const at = 2 * (element * dimensions + i);
        mean[at] = value;
        mean[at + 1] = value - mean[at]!;
      }
    }
    return {
      mean: this.#owned.use(device.upload(mean, "mean")),
      matrix: this.#owned.use(device.upload(matrix, "matrix")),
    };
  }

  /** How many queries one submission takes. What a query gets does not depend on it. */
  #divide(queryCount: number): { block: number; blocks: number } {
    const { batch, count } = this;
    const perQuery = batch * Math.max(1, stretchCount(count, this.#stride, RUN)) * 2;
    const operations = batch * count * operationsOfPair(this.#stride);
    const most = Math.min(MAX_PARTIAL_WORDS / perQuery, MAX_OPERATIONS / operations);
    // Whole workgroups.
    const block = Math.min(
      queryCount,
      most < 256 ? Math.max(1, Math.floor(most)) : Math.floor(most / 256) * 256,
    );
    return { block, blocks: queryCount === 0 ? 0 : Math.ceil(queryCount / block) };
  }

  /** Room for the partial sums of a block, kept from run to run. */
  #scratch(block: number): DeviceArray {
    const length = 2 * this.batch * stretchCount(this.count, this.#stride, RUN) * block;
    if (this.#partials !== undefined && this.#partials.length >= length) return this.#partials;
    this.#partials?.[Symbol.dispose]();
    this.#partials = undefined;
    return this.#partials = this.device.allocate(length, "partial sums");
  }
}

/**
 * Fits a density to points, once for any number of evaluations. The kernel is Gaussian with covariance
 * `factor^2 C`, where C is chosen by `covariance` and the factor by `bandwidth`; as in SciPy, weights count
 * in both.
 *
 * The fit is made on the host in float64: points and weights that live on a device are brought back in one
 * readback. Points are rows, [n, dimensions], where SciPy wants columns.
 *
 * Let t be half the squared distance from a query to a point in units of the bandwidth, plus |ln| of the
 * point's weight as a share of the largest, averaged over the points by their shares of the density. Then a
 * density is, to first order, within a relative `2^-24 ((d + 12) t + 80 + sqrt(n) / 7)` of the true one for
 * the same float32 points, and under `"data"` within a further `2^-23 sqrt(2 t) r`, where r is the largest
 * distance from the mean of any query or point in the same units. A logarithm is within that sum plus
 * `2^-21 + 2^-22 |result|`. See `kernelDensity` and `kernelDensitySum` for the parts.
 *
 * @throws {TypeError} If an argument or option is of the wrong type or unknown.
 * @throws {RangeError} If a size or number is out of range, a value is not finite, all weights are 0, or a
 * covariance is singular.
 *
 * @example
 * ```ts
 * import { createKde } from "./kde.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using density = await createKde(device, new Float32Array([-1, 0, 1]), { dimensions: 1 });
 * using values = density.run(new Float32Array([0, 2]));
 * const [middle, right] = await readFloats(values);
 * // scipy.stats.gaussian_kde([-1, 0, 1])([0, 2])
 * assertAlmostEquals(middle!, 0.31815622, 1e-6);
 * assertAlmostEquals(right!, 0.08383787, 1e-6);
 * ```
 */
export async function createKde(device: Device, points: FloatInput, options: KdeOptions): Promise<Kde> {
  requireOptions(options, FIT_OPTIONS, FIT);
  requireShape(points, options);
  const [ownPoints, ownWeights] = await toHost(device, [
    { input: points, name: "points" },
    { input: options.weights, name: "weights" },
  ]);
  return new Kde(
    device,
    ownPoints!,
    {
      ...options,
      ...(ownWeights === undefined ? {} : { weights: ownWeights }),
    } as KdeOptions & { weights?: Float32Array },
  );
}

/**
 * Density of points in one call; see {@linkcode createKde}. Opens a device, unless one is given, evaluates
 * and closes it.
 *
 * @param points f32 [n, dimensions], or [batch, n, dimensions].
 * @returns The densities at `at`, or at the points: [m], or [batch, m].
 * @throws {TypeError} If an argument or option is of the wrong type or unknown.
 * @throws {RangeError} If a size or number is out of range, a value is not finite, all weights are 0, or a
 * covariance is singular.
 *
 * @example
 * ```ts
 * import { kde } from "./kde.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const points = new Float32Array([0, 0, 1, 0, 0, 1, 1, 2]);
 * const at = new Float32Array([0.5, 0.5]);
 * const [density] = await kde(points, { dimensions: 2, at, bandwidth: "silverman", device: "cpu" });
 * // scipy.stats.gaussian_kde(points.reshape(4, 2).T, "silverman")([0.5, 0.5])
 * assertAlmostEquals(density!, 0.15452617, 1e-6);
 * ```
 */
export async function kde(points: Float32Array, options: KdeCallOptions): Promise<Float32Array<ArrayBuffer>> {
  requireOptions(options, CALL_OPTIONS, FIT);
  const { at, log = false, logpdf = false, leaveOneOut = false, device: where, ...fitOptions } = options;
  const { batch, dimensions } = requireShape(points, fitOptions);
  requireFlags({ log, logpdf, leaveOneOut }, RUN);
  if (at !== undefined) {
    // What it is belongs to the call, how long it is to the evaluation.
    requireInput(at, { type: "f32", name: "at", action: FIT });
    requireInput(at, { type: "f32", name: "at", action: RUN, multipleOf: batch * dimensions });
  }
  if (leaveOneOut && at !== undefined) {
    throw new TypeError(`Cannot ${RUN} as leaveOneOut goes with the points themselves: at is given`);
  }
  const count = points.length / (batch * dimensions);
  const queryCount = (at ?? points).length / (batch * dimensions);
  const work = batch * count * queryCount * operationsOfPair(dimensions);
  return await withDevice(where, work, async (device) => {
    using fitted = await createKde(device, points, fitOptions);
    using densities = fitted.run(at, { log: log || logpdf, leaveOneOut });
    return await readFloats(densities);
  }, { vectors: true });
}

/** The given inputs as typed arrays, those on a device in one readback. */
async function toHost(
  device: Device,
  inputs: readonly { input: FloatInput | undefined; name: string }[],
): Promise<(Float32Array | undefined)[]> {
  using taken = new DisposableStack();
  const arrays = inputs.map(({ input, name }) => {
    if (input === undefined || input instanceof Float32Array) return undefined;
    return taken.use(takeInput(device, input, { type: "f32", name, action: FIT }));
  });
  const known = arrays.filter((array) => array !== undefined);
  const words = known.length === 0 ? [] : await device.read(known);
  return inputs.map(({ input }, i) => {
    if (arrays[i] === undefined) return input as Float32Array | undefined;
    return new Float32Array(words[known.indexOf(arrays[i])]!.buffer);
  });
}

/** The sizes, checked, and with them all options that need no look at the points. */
function requireShape(
  points: FloatInput,
  options: KdeOptions,
): { batch: number; count: number; dimensions: number } {
  const { dimensions, batch = 1, bandwidth = "scott", covariance = "data", normalize = true, weights } =
    options;
  requireInteger(dimensions, "dimensions", FIT, { min: 1, max: 32768 });
  requireInteger(batch, "batch", FIT, { min: 1, max: 65535 });
  requireChoice(covariance, ["data", "isotropic", "identity"], "covariance", FIT);
  requireFlags({ normalize }, FIT);
  if (typeof bandwidth === "number") requireFactor(bandwidth);
  else if (typeof bandwidth !== "function") {
    requireChoice(bandwidth, ["scott", "silverman"], "bandwidth", FIT);
  }
  const length = requireInput(points, {
    type: "f32",
    name: "points",
    action: FIT,
    multipleOf: batch * dimensions,
  });
  const count = length / (batch * dimensions);
  if (count === 0) throw new RangeError(`Cannot ${FIT} as there must be points: none is given`);
  const given = weights === undefined
    ? count
    : requireInput(weights, { type: "f32", name: "weights", action: FIT });
  if (given !== count && given !== batch * count) {
    const wanted = batch === 1 ? `${count}` : `${count} or ${batch * count}`;
    throw new RangeError(`Cannot ${FIT} as the number of weights must be ${wanted}: ${given} are given`);
  }
  return { batch, count, dimensions };
}

function requireFlags(flags: Readonly<Record<string, boolean>>, action: string): void {
  for (const [name, value] of Object.entries(flags)) {
    requireBoolean(value, name, action);
  }
}

function requireFactor(factor: number): number {
  if (typeof factor === "number" && factor > 0 && factor < Infinity) return factor;
  throw new RangeError(mustBe("above 0 and finite", factor, "the bandwidth", FIT));
}

/** Checks the weights of one density and returns the exponent of the largest, as a power of two. */
function requireWeights(weights: Float32Array, start: number): number {
  let greatest = 0;
  for (const [i, weight] of weights.entries()) {
    if (!(weight >= 0 && weight < Infinity)) {
      throw new RangeError(
        `Cannot ${FIT} as weights must be from 0 on and finite: weight ${start + i} is ${weight}`,
      );
    }
    greatest = Math.max(greatest, weight);
  }
  if (greatest === 0) throw new RangeError(`Cannot ${FIT} as some weight must be above 0: all are 0`);
  return Math.floor(Math.log2(greatest));
}

/** Mean, matrix and bandwidth of one batch element. */
function fit(points: Float32Array, weights: Float32Array, options: KdeOptions): Fit {
  const { dimensions, bandwidth: rule = "scott", covariance = "data" } = options;
  let total = 0;
  let squares = 0;
  for (const weight of weights) {
    total += weight;
    squares += weight * weight;
  }
  const effectiveCount = total * total / squares;
  const factor = requireFactor(factorOf(rule, effectiveCount, dimensions));
  const constant = -Math.log2(total) - dimensions / 2 * Math.log2(2 * Math.PI);
  if (covariance === "data") {
    const { mean, variances } = covarianceOf(points, weights, total, dimensions);
    // SciPy's (NumPy's) correction for a sample: 1 - sum of squared shares.
    const correction = 1 - squares / (total * total);
    const { matrix, logDeterminant } = whitening(variances, correction, dimensions);
    const { bandwidth, shift } = inRange(factor, 2 ** 20);
    for (let i = 0; i < matrix.length; i++) matrix[i]! *= shift;
    const scale = constant - dimensions * Math.log2(factor) - logDeterminant / 2;
    return { mean, matrix, bandwidth, scale, factor, effectiveCount };
  }
  const radius = covariance === "identity" ? 1 : meanDeviation(points, weights, total, dimensions);
  const width = factor * radius;
  const { bandwidth, shift } = inRange(width, points.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-38));
  const matrix = new Float64Array(dimensions).fill(shift);
  const scale = constant - dimensions * Math.log2(width);
  return { mean: new Float64Array(dimensions), matrix, bandwidth, scale, factor, effectiveCount };
}

function factorOf(rule: BandwidthRule, points: number, dimensions: number): number {
  if (typeof rule === "number") return rule;
  if (rule === "scott") return points ** (-1 / (dimensions + 4));
  if (rule === "silverman") return silvermanFactor(points, dimensions);
  return rule(points, dimensions);
}

/**
 * A power of two that brings a bandwidth near 1, so that squared distances stay in float32's range, as far as
 * values up to `greatest` stay there, too.
 */
function inRange(width: number, greatest: number): { bandwidth: number; shift: number } {
  const most = Math.min(62 - Math.ceil(Math.log2(greatest)), 126);
  const exponent = Math.max(-126, Math.min(-Math.round(Math.log2(width)), most));
  const bandwidth = Math.max(2 ** -60, Math.min(width * 2 ** exponent, 2 ** 60));
  return { bandwidth, shift: 2 ** exponent };
}

/** Weighted mean and, times `total`, covariances: [dimensions, dimensions]. */
function covarianceOf(
  points: Float32Array,
  weights: Float32Array,
  total: number,
  dimensions: number,
): { mean: Float64Array; variances: Float64Array } {
  const mean = new Float64Array(dimensions);
  const variances = new Float64Array(dimensions * dimensions);
  const count = weights.length;
  // Column by column, so that products are sums over some points at a time.
  const step = centeredRows(dimensions);
  const left = new Float64Array(dimensions * Math.min(step, count));
  const right = new Float64Array(left.length);
  const zeros = new Float64Array(dimensions);
  const ones = new Float64Array(step).fill(1);
  const inSteps = (add: (part: Pick<CenteredRows, "values" | "shares">, some: number) => void): void => {
    for (let first = 0; first < count; first += step) {
      const some = Math.min(step, count - first);
      const values = points.subarray(first * dimensions, (first + some) * dimensions);
      const shares = Float64Array.from(weights.subarray(first, first + some), (weight) => weight / total);
      add({ values, shares }, some);
    }
  };
  inSteps((part, some) => {
    centerRows({ ...part, mean: zeros, transposed: true, output: left });
    addWideProducts({ left, right: ones, rows: dimensions, columns: 1, dimensions: some, output: mean });
  });
  inSteps((part, some) => {
    centerRows({ ...part, mean, transposed: true, output: left });
    centerRows({ ...part, mean, shares: ones.subarray(0, some), transposed: true, output: right });
    const shape = { rows: dimensions, columns: dimensions, dimensions: some };
    addWideProducts({ left, right, ...shape, output: variances });
  });
  return { mean, variances };
}

function meanDeviation(
  points: Float32Array,
  weights: Float32Array,
  total: number,
  dimensions: number,
): number {
  let sum = 0;
  for (let i = 0; i < dimensions; i++) {
    let mean = 0;
    for (let j = 0; j < weights.length; j++) mean += weights[j]! / total * points[j * dimensions + i]!;
    let variance = 0;
    for (let j = 0; j < weights.length; j++) {
      variance += weights[j]! / total * (points[j * dimensions + i]! - mean) ** 2;
    }
    sum += Math.sqrt(variance);
  }
  if (sum > 0) return sum / dimensions;
  throw new RangeError(
    `Cannot ${FIT} as all points with a weight are the same, which leaves no scale; use covariance: "identity" with a bandwidth in ` +
      "units of the points",
  );
}

/**
 * The inverse of the Cholesky factor of a covariance, and log2 of the covariance's determinant. It is the
 * correlations that are factored, so that columns of very different scales do no harm.
 */
function whitening(
  variances: Float64Array,
  correction: number,
  dimensions: number,
): { matrix: Float64Array; logDeterminant: number } {
  const singular = (why: string): RangeError =>
    new RangeError(
      `Cannot ${FIT} as the covariance of the points is singular (${why}); leave out columns that follow from others, give more points ` +
        'than dimensions, or use covariance: "isotropic", or "identity" with a bandwidth in units of the points',
    );
  const deviations = new Float64Array(dimensions);
  let logDeterminant = 0;
  for (let i = 0; i < dimensions; i++) {
    deviations[i] = Math.sqrt(variances[i * dimensions + i]! / correction);
    if (!(correction > 0 && deviations[i]! > 0)) {
      throw singular(correction > 0 ? `column ${i} is constant` : "only one point has a weight");
    }
    logDeterminant += 2 * Math.log2(deviations[i]!);
  }
  const lower = new Float64Array(dimensions * dimensions);
  for (let i = 0; i < dimensions; i++) {
    for (let k = 0; k <= i; k++) {
      let rest = i === k
        ? 1
        : variances[i * dimensions + k]! / correction / (deviations[i]! * deviations[k]!);
      for (let m = 0; m < k; m++) rest -= lower[i * dimensions + m]! * lower[k * dimensions + m]!;
      if (i !== k) lower[i * dimensions + k] = rest / lower[k * dimensions + k]!;
      else if (rest > dimensions * LEAST_VARIANCE) lower[i * dimensions + i] = Math.sqrt(rest);
      else throw singular(`column ${i} follows from those before it`);
    }
    logDeterminant += 2 * Math.log2(lower[i * dimensions + i]!);
  }
  const matrix = new Float64Array(dimensions * dimensions);
  for (let k = 0; k < dimensions; k++) {
    for (let i = k; i < dimensions; i++) {
      let rest = i === k ? 1 : 0;
      for (let m = k; m < i; m++) rest -= lower[i * dimensions + m]! * matrix[m * dimensions + k]!;
      matrix[i * dimensions + k] = rest / lower[i * dimensions + i]!;
    }
  }
  for (let i = 0; i < dimensions; i++) {
    for (let k = 0; k <= i; k++) matrix[i * dimensions + k]! /= deviations[k]!;
  }
  return { matrix, logDeterminant };
}

/**
 * For each point, the weight of all others as a share of the whole weight; summed, not subtracted, so that
 * small shares keep their digits.
 */
function sharesOfOthers(weights: Float32Array, count: number): Float32Array {
  const shares = new Float32Array(weights.length);
  const before = new Float64Array(count);
  for (let start = 0; start < weights.length; start += count) {
    let sum = 0;
    for (let i = 0; i < count; i++) {
      before[i] = sum;
      sum += weights[start + i]!;
    }
    const total = sum;
    sum = 0;
    for (let i = count - 1; i >= 0; i--) {
      shares[start + i] = (before[i]! + sum) / total;
      sum += weights[start + i]!;
    }
  }
  return shares;
}

/** 2^exponent as a factor from 1 to 2 and an integer power. */
function split(exponent: number): [mantissa: number, power: number] {
  const power = Math.floor(exponent);
  return [2 ** (exponent - power), power];
}

function infinite(value: number): boolean {
  return !Number.isFinite(value);
}
