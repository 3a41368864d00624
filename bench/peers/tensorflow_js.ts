/**
 * TensorFlow.js (https://github.com/tensorflow/tfjs): formulas run operator by operator, on WebGPU or as
 * WebAssembly. In Deno the latter has one thread, as with Node.
 *
 * @module
 */

import type { PeerRun, PeerTask } from "../peer.ts";
import { type Library, mapFormulations, onGpu } from "./library.ts";
import { bitBandwidthFactor, type BitShape, unpackBits } from "./reference.ts";
import type * as Tf from "./tensorflow_js_package.d.ts";

const VERSION = "4.22.0";

type Backend = "webgpu" | "wasm";

/** Sets a task up: the result is called again and again, within a `tidy`. */
type SetUp = (tf: typeof Tf, task: PeerTask) => { inputs: Tf.Tensor[]; formula: () => Tf.Tensor };

function matrix(tf: typeof Tf, data: Float32Array | Uint32Array, rows: number, columns: number): Tf.Tensor {
  return tf.tensor2d(data as Float32Array, [rows, columns]);
}

/** A way to −2ab + ‖b‖² for all rows of a and b. */
type Product = (tf: typeof Tf, a: Tf.Tensor, b: Tf.Tensor) => Tf.Tensor;

const plainProduct: Product = (tf, a, b) => {
  return tf.sub(tf.sum(tf.square(b), 1), tf.mul(tf.matMul(a, b, false, true), 2));
};

/**
 * Adds within the matrix product. In WebAssembly, version 4.22.0 computes it wrong, so that the check leaves
 * it out there.
 */
const fusedProduct: Product = (tf, a, b) => {
  const bias = tf.sum(tf.square(b), 1);
  return tf.fused.matMul({ a: tf.mul(a, -2), b, transposeB: true, bias });
};

function distance(product: Product): SetUp {
  return (tf, { shape, inputs }) => {
    const { rows, columns, dimensions } = shape as Record<"rows" | "columns" | "dimensions", number>;
    const a = matrix(tf, inputs.a!, rows, dimensions);
    const b = matrix(tf, inputs.b!, columns, dimensions);
    const formula = () => tf.relu(tf.add(product(tf, a, b), tf.sum(tf.square(a), 1, true)));
    return { inputs: [a, b], formula };
  };
}

function kde(product: Product): SetUp {
  return (tf, { shape, inputs }) => {
    const { points, queries, dimensions, bandwidth } = shape as Record<
      "points" | "queries" | "dimensions" | "bandwidth",
      number
    >;
    const a = matrix(tf, inputs.queries ?? inputs.points!, queries, dimensions);
    const b = matrix(tf, inputs.points!, points, dimensions);
    // With the points scaled, the squared distance is the exponent but for its sign.
    const scale = Math.SQRT1_2 / bandwidth;
    const formula = () => {
      const scaledA = tf.mul(a, scale);
      const scaledB = tf.mul(b, scale);
      const squares = tf.sum(tf.square(scaledA), 1, true);
      return tf.sum(tf.exp(tf.neg(tf.add(product(tf, scaledA, scaledB), squares))), 1);
    };
    return { inputs: [a, b], formula };
  };
}

function nearest(product: Product): SetUp {
  return (tf, { shape, inputs }) => {
    const { count, vocabulary, channels } = shape as Record<"count" | "vocabulary" | "channels", number>;
    const features = matrix(tf, inputs.features!, count, channels);
    const codebook = matrix(tf, inputs.codebook!, vocabulary, channels);
    return { inputs: [features, codebook], formula: () => tf.argMin(product(tf, features, codebook), 1) };
  };
}

const lookup: SetUp = (tf, { shape, inputs }) => {
  const { vocabulary, channels } = shape as Record<"vocabulary" | "channels", number>;
  const tokens = tf.tensor1d(Int32Array.from(inputs.tokens!), "int32");
  const codebook = matrix(tf, inputs.codebook!, vocabulary, channels);
  return { inputs: [tokens, codebook], formula: () => tf.gather(codebook, tokens) };
};

const sample: SetUp = (tf, { shape, inputs }) => {
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  const logits = matrix(tf, inputs.logits!, rows, vocabulary);
  const count = topK || vocabulary;
  const rowStarts = tf.range(0, rows * count, count, "int32");
  let seed = 0;
  const draw = (values: Tf.Tensor) => tf.reshape(tf.multinomial(values, 1, ++seed), [rows]);
  const formula = () => {
    if (!(topK > 0 || topP > 0)) return draw(logits);
    const { values, indices } = tf.topk(logits, count);
    const before = tf.cumsum(tf.softmax(values), 1, true);
    const kept = tf.where(tf.less(before, topP || 1), values, tf.fill(values.shape, -1e30));
    // In WebAssembly, version 4.22.0 reads out of bounds when it gathers from each row by itself.
    return tf.gather(tf.reshape(indices, [rows * count]), tf.add(rowStarts, draw(kept)));
  };
  return { inputs: [logits, rowStarts], formula };
};

/**
 * Kernel values of the candidates at each position, summed. The distance of vectors of 0 and 1 is the number
 * of bits that differ.
 */
function bitDensity(tf: typeof Tf, size: BitShape, bits: Tf.Tensor): Tf.Tensor {
  const [positions, draws] = bits.shape as [number, number];
  const share = tf.mean(bits, 1);
  const deviations = tf.sqrt(tf.sub(share, tf.square(share)));
  const bandwidths = tf.add(tf.mul(tf.mean(deviations, 1), bitBandwidthFactor(size)), 1e-6);
  const scales = tf.reshape(tf.reciprocal(tf.mul(tf.square(bandwidths), -2)), [positions, 1, 1]);
  const ones = tf.sum(bits, 2);
  const sums = tf.add(tf.reshape(ones, [positions, draws, 1]), tf.reshape(ones, [positions, 1, draws]));
  const different = tf.sub(sums, tf.mul(tf.matMul(bits, bits, false, true), 2));
  return tf.sum(tf.exp(tf.mul(different, scales)), [0, 2]);
}

/** All positions as one product of batches of matrices. */
const hammingDensity: SetUp = (tf, { shape, inputs }) => {
  const size = shape as BitShape;
  const bits = tf.tensor3d(unpackBits(size, inputs.tokens!), [size.positions, size.draws, size.bits]);
  return { inputs: [bits], formula: () => bitDensity(tf, size, bits) };
};

/** Position by position, as the matrices of all may not fit. */
const hammingDensityInTurn: SetUp = (tf, { shape, inputs }) => {
  const size = shape as BitShape;
  const { positions, draws, bits } = size;
  const values = unpackBits(size, inputs.tokens!);
  const places = Array.from({ length: positions }, (_, i) => {
    return tf.tensor3d(values.slice(i * draws * bits, (i + 1) * draws * bits), [1, draws, bits]);
  });
  const formula = () => {
    return places.map((place) => tf.tidy(() => bitDensity(tf, size, place))).reduce((a, b) => tf.add(a, b));
  };
  return { inputs: places, formula };
};

const KERNELS = {
  distance: { "plain": distance(plainProduct), "fused": distance(fusedProduct) },
  kde: { "plain": kde(plainProduct), "fused": kde(fusedProduct) },
  nearest: { "plain": nearest(plainProduct), "fused": nearest(fusedProduct) },
  lookup: { "gather": lookup },
  sample: { "top-k": sample },
  "hamming density": { "batched": hammingDensity, "in turn": hammingDensityInTurn },
};

/** TensorFlow.js on one of its backends. */
export function tensorflowJs(backend: Backend): Library {
  const kernels = mapFormulations<SetUp>(KERNELS, (setUp) => async (task) => {
    const tf = await load();
    if (!await tf.setBackend(backend)) throw new Error(`The backend "${backend}" does not start`);
    const open = (): Promise<PeerRun> => Promise.resolve(new Run(tf, backend, setUp(tf, task)));
    return backend === "webgpu" ? await onGpu(tf.backend().device, open) : await open();
  });
  return {
    name: `TensorFlow.js ${VERSION} (${backend === "webgpu" ? "WebGPU" : "wasm, one thread"})`,
    kernels,
  };
}

/**
 * The library with its backends, by names that are not where they are imported: what static analysis sees
 * there, everybody downloads who runs the project.
 */
async function load(): Promise<typeof Tf> {
  const core = `npm:@tensorflow/tfjs-core@${VERSION}`;
  const tf = await import(core);
  for (const name of ["wasm", "webgpu"]) {
    const backend = `npm:@tensorflow/tfjs-backend-${name}@${VERSION}`;
    await import(backend);
  }
  return tf;
}

class Run implements PeerRun {
  readonly #tf: typeof Tf;
  readonly #backend: Backend;
  readonly #inputs: readonly Tf.Tensor[];
  readonly #formula: () => Tf.Tensor;
  #last: Tf.Tensor | undefined;

  constructor(tf: typeof Tf, backend: Backend, { inputs, formula }: ReturnType<SetUp>) {
    this.#tf = tf;
    this.#backend = backend;
    this.#inputs = inputs;
    this.#formula = formula;
  }

  async call(): Promise<void> {
    await this.#choose();
    this.#last?.dispose();
    this.#last = this.#tf.tidy(this.#formula);
  }

  /**
   * On WebGPU what was recorded goes out, and is waited for, when something is read. WebAssembly has finished
   * when a call returns.
   */
  async finish(): Promise<void> {
    if (this.#backend === "wasm" || this.#last === undefined) return;
    await this.#choose();
    const last = this.#last;
    const first = this.#tf.tidy(() => this.#tf.slice(this.#tf.reshape(last, [last.size]), 0, 1));
    await first.data();
    first.dispose();
  }

  async output(): Promise<Float32Array | Uint32Array> {
    await this.#choose();
    const data = await this.#last!.data();
    return data instanceof Int32Array ? Uint32Array.from(data) : data as Float32Array;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#choose();
    this.#last?.dispose();
    this.#last = undefined;
    for (const input of this.#inputs) input.dispose();
  }

  /** Operators run on the backend that is chosen at the moment. */
  async #choose(): Promise<void> {
    if (this.#tf.getBackend() !== this.#backend) await this.#tf.setBackend(this.#backend);
  }
}
