/**
 * The formulas as ONNX graphs in ONNX Runtime (https://github.com/microsoft/onnxruntime), on the GPU device
 * that the kernels use, or as WebAssembly with a thread per core.
 *
 * @module
 */

import { type Device, type DeviceArray, GpuArray } from "../../kernels/mod.ts";
import { readFloats, readWords } from "../../kernels/device/device.ts";
import { GraphBuilder } from "../../models/graphs/graph_builder.ts";
import { createGraphSession } from "../../models/graphs/create_session.ts";
import type { GraphSession } from "../../models/graphs/graph_session.ts";
import { RUNTIME_VERSION } from "../../models/graphs/web_graph_session.ts";
import { finish, openDevices } from "../devices.ts";
import type { PeerRun, PeerTask } from "../peer.ts";
import { type Library, mapFormulations, onGpu } from "./library.ts";
import { bitBandwidthFactor, type BitShape, unpackBits } from "./reference.ts";

/** Numbers of element types in ONNX. */
const FLOAT32 = 1;
const INT32 = 6;
const INT64 = 7;

/** Far below every logit. */
const MASKED = -1e30;

type Backend = "webgpu" | "wasm";

/** Builds a task's graph. */
type SetUp = (graph: Graph, task: PeerTask, backend: Backend) => void;

/** What goes into a graph. */
interface Feed {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** A graph with one output and what it is fed with. */
class Graph extends GraphBuilder {
  readonly feeds: Record<string, Feed> = {};
  /** Name of the input that gets new random numbers before each call, if any. */
  random: string | undefined;
  /** Whether the output is integers of 64 bits. */
  isInt64 = false;

  feed(name: string, data: Float32Array | Uint32Array, shape: readonly number[]): string {
    // The session feeds floats, which are exact for indices below 2^24.
    this.feeds[name] = { data: data instanceof Float32Array ? data : Float32Array.from(data), shape };
    return this.input({ name, type: "float32", shape });
  }

  result(result: string, shape: readonly number[], type: "float32" | "int64" = "float32"): void {
    this.isInt64 = type === "int64";
    this.output({ name: "result", type, shape }, result);
  }

  scalar(value: number): string {
    return this.constant("float32", [value], []);
  }

  sum(x: string, axis: number, keepdims: 0 | 1 = 0): string {
    return this.add("ReduceSum", [x, this.constant("int64", [axis])], { keepdims });
  }

  squares(x: string, keepdims: 0 | 1): string {
    return this.sum(this.add("Mul", [x, x]), 1, keepdims);
  }

  /** alpha·abᵀ + beta·c. */
  product(a: string, b: string, c: string, alpha: number, beta: number = 1): string {
    return this.add("Gemm", [a, b, c], { transB: 1, alpha: { float: alpha }, beta: { float: beta } });
  }

  /**
   * Running sums of rows, as products with triangles of ones within blocks and over blocks: the runtime's own
   * operator takes 2 s for 8 rows of 16384 on the GPU.
   */
  runningSums(x: string, rows: number, length: number): string {
    let block = Math.ceil(Math.sqrt(length));
    while (length % block !== 0) block++;
    const blocks = length / block;
    const within = this.add("MatMul", [this.reshape(x, [rows, blocks, block]), this.#triangle(block, 0)]);
    const totals = this.sum(this.reshape(x, [rows, blocks, block]), 2);
    const before = this.add("MatMul", [totals, this.#triangle(blocks, 1)]);
    return this.reshape(this.add("Add", [within, this.reshape(before, [rows, blocks, 1])]), [rows, length]);
  }

  /** Ones where the column is the row plus `offset`, or farther right. */
  #triangle(side: number, offset: number): string {
    const ones = Array.from({ length: side * side }, (_, i) => {
      return Number(i % side >= Math.floor(i / side) + offset);
    });
    return this.constant("float32", ones, [side, side]);
  }
}

const distance: SetUp = (graph, { shape, inputs }) => {
  const { rows, columns, dimensions } = shape as Record<"rows" | "columns" | "dimensions", number>;
  const a = graph.feed("a", inputs.a!, [rows, dimensions]);
  const b = graph.feed("b", inputs.b!, [columns, dimensions]);
  const partial = graph.product(a, b, graph.squares(b, 0), -2);
  graph.result(graph.add("Relu", [graph.add("Add", [partial, graph.squares(a, 1)])]), [rows, columns]);
};

/** The query's own square is subtracted from each exponent, or from the logarithm of the sum. */
function kde(sums: "logarithm" | "plain"): SetUp {
  return (graph, { shape, inputs }) => {
    const { points, queries, dimensions, bandwidth } = shape as Record<
      "points" | "queries" | "dimensions" | "bandwidth",
      number
    >;
    const b = graph.feed("points", inputs.points!, [points, dimensions]);
    const a = inputs.queries === undefined ? b : graph.feed("queries", inputs.queries, [queries, dimensions]);
    const scale = 1 / (2 * bandwidth ** 2);
    const partial = graph.product(a, b, graph.squares(b, 0), 2 * scale, -scale);
    const squares = graph.add("Mul", [graph.squares(a, 1), graph.scalar(scale)]);
    if (sums === "logarithm") {
      const logarithm = graph.add("ReduceLogSumExp", [partial], { axes: [1], keepdims: 1 });
      const densities = graph.add("Exp", [graph.add("Sub", [logarithm, squares])]);
      graph.result(graph.reshape(densities, [queries]), [queries]);
    } else {
      graph.result(graph.sum(graph.add("Exp", [graph.add("Sub", [partial, squares])]), 1), [queries]);
    }
  };
}

const nearest: SetUp = (graph, { shape, inputs }, backend) => {
  const { count, vocabulary, channels } = shape as Record<"count" | "vocabulary" | "channels", number>;
  const features = graph.feed("features", inputs.features!, [count, channels]);
  const codebook = graph.feed("codebook", inputs.codebook!, [vocabulary, channels]);
  const partial = graph.product(features, codebook, graph.squares(codebook, 0), -2);
  integers(graph, graph.add("ArgMin", [partial], { axis: 1, keepdims: 0 }), [count], backend);
};

const lookup: SetUp = (graph, { shape, inputs }) => {
  const { positions, vocabulary, channels } = shape as Record<
    "positions" | "vocabulary" | "channels",
    number
  >;
  const tokens = graph.feed("tokens", inputs.tokens!, [positions]);
  const codebook = graph.feed("codebook", inputs.codebook!, [vocabulary, channels]);
  const indices = graph.add("Cast", [tokens], { to: INT32 });
  graph.result(graph.add("Gather", [codebook, indices], { axis: 0 }), [positions, channels]);
};

/**
 * Sorted logits give the least that is kept; the draw inverts the running sum of what is kept. There are no
 * random operators on the GPU and no arithmetic of the integers that sorting returns, so uniform numbers come
 * from the host and the token is a count.
 */
const sampleByInversion: SetUp = (graph, { shape, inputs }) => {
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  let kept = graph.feed("logits", inputs.logits!, [rows, vocabulary]);
  if (topK > 0 || topP > 0) {
    const count = topK || vocabulary;
    const [values] = graph.addMany("TopK", [kept, graph.constant("int64", [count])], 2, { axis: -1 });
    let candidates = values!;
    if (topP > 0) {
      const probabilities = graph.add("Softmax", [candidates]);
      const before = graph.add("Sub", [graph.runningSums(probabilities, rows, count), probabilities]);
      const keep = graph.add("Less", [before, graph.scalar(topP)]);
      candidates = graph.add("Where", [keep, candidates, graph.scalar(-MASKED)]);
    }
    const least = graph.add("ReduceMin", [candidates], { axes: [1], keepdims: 1 });
    const keep = graph.add("GreaterOrEqual", [kept, least]);
    kept = graph.add("Where", [keep, kept, graph.scalar(MASKED)]);
  }
  const sums = graph.runningSums(graph.add("Softmax", [kept]), rows, vocabulary);
  const uniform = graph.feed("uniform", new Float32Array(rows), [rows, 1]);
  graph.random = uniform;
  const passed = graph.add("Cast", [graph.add("LessOrEqual", [sums, uniform])], { to: FLOAT32 });
  graph.result(graph.sum(passed, 1), [rows]);
};

/** The operator for draws, which exists on the CPU only. */
const sampleByOperator: SetUp = (graph, { shape, inputs }) => {
  const { rows, vocabulary, topK, topP } = shape as Record<"rows" | "vocabulary" | "topK" | "topP", number>;
  const logits = graph.feed("logits", inputs.logits!, [rows, vocabulary]);
  const attributes = { sample_size: 1, dtype: INT32, seed: { float: 7 } };
  const draw = (values: string) =>
    graph.add("Cast", [graph.add("Multinomial", [values], attributes)], { to: INT64 });
  let tokens: string;
  if (topK > 0 || topP > 0) {
    const count = graph.constant("int64", [topK || vocabulary]);
    const [values, indices] = graph.addMany("TopK", [logits, count], 2, { axis: -1 });
    const axis = graph.constant("int64", [1], []);
    const before = graph.add("CumSum", [graph.add("Softmax", [values!]), axis], { exclusive: 1 });
    const keep = graph.add("Less", [before, graph.scalar(topP || 1)]);
    const kept = graph.add("Where", [keep, values!, graph.scalar(MASKED)]);
    tokens = graph.add("GatherElements", [indices!, draw(kept)], { axis: 1 });
  } else {
    tokens = draw(logits);
  }
  integers(graph, graph.reshape(tokens, [rows]), [rows], "wasm");
};

/** The distance of vectors of 0 and 1 is the number of bits that differ. */
const hammingDensity: SetUp = (graph, { shape, inputs }) => {
  const size = shape as BitShape;
  const { positions, draws } = size;
  const bits = graph.feed("bits", unpackBits(size, inputs.tokens!), [positions, draws, size.bits]);
  const share = graph.add("ReduceMean", [bits], { axes: [1], keepdims: 0 });
  const variances = graph.add("Sub", [share, graph.add("Mul", [share, share])]);
  const deviations = graph.add("ReduceMean", [graph.add("Sqrt", [variances])], { axes: [1], keepdims: 0 });
  const scaled = graph.add("Mul", [deviations, graph.scalar(bitBandwidthFactor(size))]);
  const bandwidths = graph.add("Add", [scaled, graph.scalar(1e-6)]);
  const squares = graph.add("Mul", [graph.add("Mul", [bandwidths, bandwidths]), graph.scalar(-2)]);
  const ones = graph.sum(bits, 2);
  const sums = graph.add("Add", [
    graph.reshape(ones, [positions, draws, 1]),
    graph.reshape(ones, [positions, 1, draws]),
  ]);
  const both = graph.add("MatMul", [bits, graph.add("Transpose", [bits], { perm: [0, 2, 1] })]);
  const different = graph.add("Sub", [sums, graph.add("Mul", [both, graph.scalar(2)])]);
  const scales = graph.reshape(graph.add("Reciprocal", [squares]), [positions, 1, 1]);
  const values = graph.add("Exp", [graph.add("Mul", [different, scales])]);
  graph.result(graph.sum(graph.sum(values, 2), 0), [draws]);
};

/**
 * Makes integers of 64 bits the result: as they are on the GPU, where there is no operator that converts
 * them, else as floats.
 */
function integers(graph: Graph, result: string, shape: readonly number[], backend: Backend): void {
  if (backend === "webgpu") graph.result(result, shape, "int64");
  else graph.result(graph.add("Cast", [result], { to: FLOAT32 }), shape);
}

const KERNELS = {
  distance: { "Gemm": distance },
  kde: { "ReduceSum": kde("plain"), "ReduceLogSumExp": kde("logarithm") },
  nearest: { "ArgMin": nearest },
  lookup: { "Gather": lookup },
  sample: { "inversion": sampleByInversion },
  "hamming density": { "MatMul": hammingDensity },
};

/** ONNX Runtime on one of its backends. */
export function onnxRuntime(backend: Backend): Library {
  const kernels = backend === "webgpu"
    ? KERNELS
    : { ...KERNELS, sample: { ...KERNELS.sample, "Multinomial": sampleByOperator } };
  return {
    name: `ONNX Runtime ${RUNTIME_VERSION} (${backend === "webgpu" ? "WebGPU" : "wasm"})`,
    kernels: mapFormulations<SetUp>(kernels, (setUp) => async (task) => {
      const { cpu, gpu } = await openDevices();
      const graph = new Graph(task.kernel);
      setUp(graph, task, backend);
      if (backend === "wasm") return await Run.open(cpu, graph);
      if (gpu === undefined) throw new Error("There is no adapter");
      return await onGpu(gpu.gpu, () => Run.open(gpu, graph));
    }),
  };
}

class Run implements PeerRun {
  readonly #device: Device;
  readonly #session: GraphSession;
  readonly #inputs: Readonly<Record<string, { array: DeviceArray; shape: readonly number[] }>>;
  readonly #random: DeviceArray | undefined;
  readonly #isInt64: boolean;
  #last: DeviceArray | undefined;

  private constructor(device: Device, session: GraphSession, { feeds, random, isInt64 }: Graph) {
    this.#device = device;
    this.#session = session;
    this.#inputs = Object.fromEntries(
      Object.entries(feeds).map((
        [name, { data, shape }],
      ) => [name, { array: device.upload(data, name), shape }]),
    );
    this.#random = random === undefined ? undefined : this.#inputs[random]!.array;
    this.#isInt64 = isInt64;
  }

  static async open(device: Device, graph: Graph): Promise<Run> {
    return new Run(device, await createGraphSession(device, graph.bytes()), graph);
  }

  async call(): Promise<void> {
    const random = this.#random;
    if (random !== undefined) {
      // Less than 1 by more than the rounding of a running sum.
      this.#device.write(
        random,
        Float32Array.from({ length: random.length }, () => Math.random() * (1 - 2 ** -16)),
      );
    }
    this.#last?.[Symbol.dispose]();
    const { result } = await this.#session.run(this.#inputs);
    this.#last = result;
  }

  async finish(): Promise<void> {
    await finish(this.#device);
  }

  async output(): Promise<Float32Array | Uint32Array> {
    const last = this.#last!;
    if (!this.#isInt64 || !(last instanceof GpuArray)) return await readFloats(last);
    using all = last.device.wrap(last.buffer);
    const words = await readWords(all);
    return words.filter((_, i) => i % 2 === 0).subarray(0, last.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#last?.[Symbol.dispose]();
    this.#last = undefined;
    for (const { array } of Object.values(this.#inputs)) array[Symbol.dispose]();
    await this.#session[Symbol.asyncDispose]();
  }
}
