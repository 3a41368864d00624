/**
 * jax-js (https://github.com/ekzhang/jax-js): formulas are traced and compiled into fused kernels, on WebGPU
 * or as WebAssembly with one worker per core.
 *
 * @module
 */

import type { PeerRun, PeerTask } from "../peer.ts";
import type * as Jax from "./jax_js_package.d.ts";
import { type Library, mapFormulations, onGpu } from "./library.ts";
import { bitBandwidthFactor, type BitShape, unpackBits } from "./reference.ts";

const VERSION = "0.1.25";
/** Not where it is imported: what static analysis sees there, everybody downloads who runs the project. */
const PACKAGE = `npm:@jax-js/jax@${VERSION}`;

type Backend = "webgpu" | "wasm";

/** Bytes of results that may be under way at once. */
const BUDGET = 2 ** 30;

/** A function of arrays, which it consumes, as functions in jax-js do. */
type Formula = (...inputs: Jax.Array[]) => Jax.Array;

/** What the library is to compute. */
interface SetUp {
  readonly inputs: readonly Jax.Array[];
  /** Compiled. */
  readonly formula: Jax.OwnedFunction<Formula>;
  /** Whether each call gets a key for random numbers besides its inputs. */
  readonly random?: boolean;
}

/** The library, and how arrays get to its backend. */
interface Context {
  readonly jax: typeof Jax;
  readonly array: (data: Float32Array | Uint32Array, ...shape: number[]) => Jax.Array;
}

/** ‖a‖² + ‖b‖² − 2ab, the product as a matrix product. */
function expansion({ numpy: np }: typeof Jax, a: Jax.Array, b: Jax.Array): Jax.Array {
  const squares = np.sum(np.square(a.ref), 1, { keepdims: true }).add(np.sum(np.square(b.ref), 1));
  return np.maximum(squares.sub(np.matmul(a, np.transpose(b)).mul(2)), 0);
}

/** The sum of squared differences; the compiler keeps the differences out of memory. */
function differences({ numpy: np }: typeof Jax, a: Jax.Array, b: Jax.Array): Jax.Array {
  return np.sum(np.square(np.expandDims(a, 1).sub(np.expandDims(b, 0))), 2);
}

function distance({ jax, array }: Context, { shape, inputs }: PeerTask, distances: typeof expansion): SetUp {
  const { rows, columns, dimensions } = shape as Record<"rows" | "columns" | "dimensions", number>;
  return {
    inputs: [array(inputs.a!, rows, dimensions), array(inputs.b!, columns, dimensions)],
    formula: jax.jit((a: Jax.Array, b: Jax.Array) => distances(jax, a, b)),
  };
}

function kde({ jax, array }: Context, { shape, inputs }: PeerTask, distances: typeof expansion): SetUp {
  const { points, queries, dimensions, bandwidth } = shape as Record<
    "points" | "queries" | "dimensions" | "bandwidth",
    number
  >;
  const { numpy: np } = jax;
  return {
    inputs: [
      array(inputs.queries ?? inputs.points!, queries, dimensions),
      array(inputs.points!, points, dimensions),
    ],
    formula: jax.jit((a: Jax.Array, b: Jax.Array) => {
      return np.sum(np.exp(distances(jax, a, b).mul(-1 / (2 * bandwidth ** 2))), 1);
    }),
  };
}

function nearest({ jax, array }: Context, { shape, inputs }: PeerTask, distances: typeof expansion): SetUp {
  const { count, vocabulary, channels } = shape as Record<"count" | "vocabulary" | "channels", number>;
  return {
    inputs: [array(inputs.features!, count, channels), array(inputs.codebook!, vocabulary, channels)],
    formula: jax.jit((a: Jax.Array, b: Jax.Array) => jax.numpy.argmin(distances(jax, a, b), 1)),
  };
}

/** The distance less ‖a‖², which does not matter for the nearest. */
function partialExpansion({ numpy: np }: typeof Jax, a: Jax.Array, b: Jax.Array): Jax.Array {
  return np.sum(np.square(b.ref), 1).sub(np.matmul(a, np.transpose(b)).mul(2));
}

function lookup({ jax, array }: Context, { shape, inputs }: PeerTask): SetUp {
  const { positions, vocabulary, channels } = shape as Record<
    "positions" | "vocabulary" | "channels",
    number
  >;
  return {
    inputs: [array(inputs.tokens!, positions), array(inputs.codebook!, vocabulary, channels)],
    formula: jax.jit((tokens: Jax.Array, codebook: Jax.Array) => jax.numpy.take(codebook, tokens, 0)),
  };
}

function sample({ jax, array }: Context, { shape, inputs }: PeerTask): SetUp {
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  const { numpy: np, random, lax, nn } = jax;
  const truncates = topK! > 0 || topP! > 0;
  return {
    inputs: [array(inputs.logits!, rows, vocabulary)],
    random: true,
    formula: jax.jit((logits: Jax.Array, key: Jax.Array) => {
      if (!truncates) return random.categorical(key, logits);
      const [values, tokens] = lax.topK(logits, topK || vocabulary);
      const probabilities = nn.softmax(values.ref);
      const before = np.cumsum(probabilities.ref, 1).sub(probabilities);
      const kept = np.where(before.less(topP || 1), values, -Infinity);
      const ranks = random.categorical(key, kept);
      return np.squeeze(np.takeAlongAxis(tokens, np.expandDims(ranks, 1), 1), 1);
    }),
  };
}

/**
 * Kernel values of the candidates at a position, summed. The distance of vectors of 0 and 1 is the number of
 * bits that differ.
 */
function bitDensity({ numpy: np }: typeof Jax, factor: number, bits: Jax.Array): Jax.Array {
  const share = np.mean(bits.ref, -2);
  const deviations = np.sqrt(share.ref.sub(np.square(share)));
  const bandwidths = np.mean(deviations, -1).mul(factor).add(1e-6);
  const scales = np.expandDims(np.reciprocal(np.square(bandwidths).mul(-2)), [-2, -1]);
  const ones = np.sum(bits.ref, -1);
  const both = np.matmul(bits.ref, np.matrixTranspose(bits));
  const different = np.expandDims(ones.ref, -1).add(np.expandDims(ones, -2)).sub(both.mul(2));
  return np.sum(np.exp(different.mul(scales)), -1);
}

/** All positions as one product of batches of matrices. */
function hammingDensity({ jax, array }: Context, { shape, inputs }: PeerTask): SetUp {
  const size = shape as BitShape;
  const { positions, draws, bits } = size;
  return {
    inputs: [array(unpackBits(size, inputs.tokens!), positions, draws, bits)],
    formula: jax.jit((x: Jax.Array) => jax.numpy.sum(bitDensity(jax, bitBandwidthFactor(size), x), 0)),
  };
}

/** Position by position, as the matrices of all may not fit. */
function hammingDensityInTurn({ jax, array }: Context, { shape, inputs }: PeerTask): SetUp {
  const size = shape as BitShape;
  const { positions, draws, bits } = size;
  const values = unpackBits(size, inputs.tokens!);
  const place = jax.jit((sums: Jax.Array, x: Jax.Array) =>
    sums.add(bitDensity(jax, bitBandwidthFactor(size), x))
  );
  const formula = (...places: Jax.Array[]): Jax.Array => {
    return places.reduce((sums, x) => place(sums, x), jax.numpy.zeros([draws]));
  };
  return {
    inputs: Array.from({ length: positions }, (_, i) => {
      return array(values.slice(i * draws * bits, (i + 1) * draws * bits), draws, bits);
    }),
    formula: Object.assign(formula, { dispose: () => place.dispose() }),
  };
}

const KERNELS: Readonly<
  Record<string, Readonly<Record<string, (context: Context, task: PeerTask) => SetUp>>>
> = {
  distance: {
    "norm expansion": (context, task) => distance(context, task, expansion),
    "differences": (context, task) => distance(context, task, differences),
  },
  kde: {
    "norm expansion": (context, task) => kde(context, task, expansion),
    "differences": (context, task) => kde(context, task, differences),
  },
  nearest: {
    "norm expansion": (context, task) => nearest(context, task, partialExpansion),
    "differences": (context, task) => nearest(context, task, differences),
  },
  lookup: { "take": lookup },
  sample: { "top-k": sample },
  "hamming density": { "batched": hammingDensity, "in turn": hammingDensityInTurn },
};

/** jax-js on one of its backends. */
export function jaxJs(backend: Backend): Library {
  const kernels = mapFormulations(KERNELS, (setUp) => async (task) => {
    const jax = await load(backend);
    if (!(await jax.init(backend)).includes(backend)) {
      throw new Error(`The backend "${backend}" does not start`);
    }
    const array: Context["array"] = (data, ...dimensions) => {
      const typed = data instanceof Uint32Array ? Int32Array.from(data) : data as Float32Array<ArrayBuffer>;
      return jax.numpy.array(typed, { device: backend, shape: dimensions });
    };
    const open = (): Promise<PeerRun> => Promise.resolve(new Run(jax, backend, setUp({ jax, array }, task)));
    return backend === "webgpu" ? await onGpu(jax.getWebGPUDevice(), open) : await open();
  });
  return { name: `jax-js ${VERSION} (${backend === "webgpu" ? "WebGPU" : "wasm"})`, kernels };
}

/**
 * Each backend has a copy of the library: in version 0.1.25, what was compiled keeps its constants on the
 * device of the first call, and a call on the other device then brings its result there.
 */
async function load(backend: Backend): Promise<typeof Jax> {
  // Once under its plain name, which fetches it if need be and lets its file be found.
  await import(PACKAGE);
  return await import(`${import.meta.resolve(PACKAGE)}?${backend}`);
}

class Run implements PeerRun {
  readonly #jax: typeof Jax;
  readonly #backend: Backend;
  readonly #setUp: SetUp;
  #pending: Promise<unknown>[] = [];
  #pendingBytes = 0;
  #last: { readonly result: Jax.Array; readonly ready: Promise<unknown> } | undefined;
  #calls = 0;

  constructor(jax: typeof Jax, backend: Backend, setUp: SetUp) {
    this.#jax = jax;
    this.#backend = backend;
    this.#setUp = setUp;
  }

  /**
   * The library hands work over only when somebody waits for it. On WebGPU in Deno each wait costs 10 ms, but
   * waits pass side by side: one begins with each call, and `finish` sees the end of all.
   */
  async call(): Promise<void> {
    if (this.#pendingBytes >= BUDGET) await this.finish();
    this.#jax.defaultDevice(this.#backend);
    const inputs = this.#setUp.inputs.map((input) => input.ref);
    if (this.#setUp.random) inputs.push(this.#jax.random.key(this.#calls));
    this.#calls++;
    const result = this.#setUp.formula(...inputs);
    const ready = result.blockUntilReady();
    // A result that is not wanted may go when it is there; before, its computation would be cancelled.
    const freed = this.#free();
    this.#last = { result, ready };
    this.#pending.push(ready, freed);
    this.#pendingBytes += 4 * result.size;
  }

  async finish(): Promise<void> {
    const pending = this.#pending.splice(0);
    this.#pendingBytes = 0;
    if (this.#backend === "webgpu") pending.push(this.#jax.getWebGPUDevice().queue.onSubmittedWorkDone());
    await Promise.all(pending);
  }

  async output(): Promise<Float32Array | Uint32Array> {
    const data = await this.#last!.result.ref.data();
    return data instanceof Int32Array ? Uint32Array.from(data) : data as Float32Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#free();
    await this.finish();
    for (const input of this.#setUp.inputs) input.dispose();
    this.#setUp.formula.dispose();
  }

  async #free(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    await last?.ready;
    last?.result.dispose();
  }
}
