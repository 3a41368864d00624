/**
 * Whether products of integers are worth it where a model is to run: they are refused where they would gain
 * nothing, or be wrong. Nothing tells which instructions a processor has without a permission of its own, so
 * a small product is timed, once a process, in some 30 ms.
 *
 * @module
 */

import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import { readFloats } from "../../kernels/device/device.ts";
import { createGraphSession } from "./create_session.ts";
import { GraphBuilder } from "./graph_builder.ts";
import type { GraphSession } from "./graph_session.ts";
import { integerProduct } from "./integer_product.ts";
import type { Provider } from "./room.ts";

/** What is known of a processor's products of integers. */
export interface IntegerSpeed {
  /** Milliseconds of a product of floats, the least of some. */
  readonly floats: number;
  /** Those of the same product of integers, with all that makes integers of floats and floats of integers. */
  readonly integers: number;
  /**
   * Whether the sums of integers are right. Processors without instructions for whole sums add pairs of
   * products in 16 bits, which overflow silently.
   */
  readonly exact: boolean;
}

/** How many times as fast as floats integers must be; processors with instructions for them are 3 to 5. */
const WORTH = 2;
/** Rows, inputs and outputs of the product. */
const [ROWS, SIZE] = [64, 1024];
/** Times that both products are run at the most; other work on the machine must leave one of them alone. */
const ROUNDS = 20;

let known: Promise<IntegerSpeed> | undefined;

/**
 * Checks that products of integers are worth it.
 *
 * @param room Who computes.
 * @param measure How it is found out; by a product that is timed once a process.
 * @throws {RangeError} If they are not, with what to do about it.
 */
export async function requireFastIntegers(
  { provider }: { readonly provider: Provider },
  measure: () => Promise<IntegerSpeed> = measureOnce,
): Promise<void> {
  const reason = PROVIDERS[provider] ?? unworthy(await measure());
  if (reason !== undefined) throw new RangeError(`Cannot load the model with compute "int8" as ${reason}`);
}

/** Why a provider is not asked for them at all. */
const PROVIDERS: Readonly<Record<Provider, string | undefined>> = {
  webgpu:
    'ONNX Runtime has no such products on WebGPU; use device: "cpu" with cpuProvider: "native", or compute: "f32"',
  wasm:
    'WebAssembly gains too little by them, 1.2 to 1.7 times the speed of one product; use cpuProvider: "native", or compute: "f32"',
  native: undefined,
};

function unworthy({ floats, integers, exact }: IntegerSpeed): string | undefined {
  if (!exact) {
    return 'sums of integers overflow on this processor, which has no instructions for them; use compute: "f32"';
  }
  if (floats >= WORTH * integers) return undefined;
  const [less, more] = [integers, floats].map((time) => time.toPrecision(3));
  return `this processor gains too little by it: a product takes ${less} ms instead of ${more}, and half would be worth it; use compute: "f32"`;
}

function measureOnce(): Promise<IntegerSpeed> {
  return known ??= measureIntegers().catch((error) => {
    // Somebody may mend the cause, a missing package say, and try again.
    known = undefined;
    throw error;
  });
}

/**
 * Times a product of floats and one of integers by the native library, on one thread, until the latter are
 * known to be worth it.
 *
 * @throws {Error} If the native library cannot be loaded.
 */
export async function measureIntegers(): Promise<IntegerSpeed> {
  using device = new CpuDevice();
  using input = device.upload(new Float32Array(ROWS * SIZE).fill(1));
  const x = { array: input, shape: [ROWS, SIZE] };
  await using floats = await probe(device, "float32");
  await using integers = await probe(device, "int8");
  let exact = true;
  const timed = async (session: GraphSession): Promise<number> => {
    const begun = performance.now();
    const { y } = await session.run({ x });
    const time = performance.now() - begun;
    using result = y!;
    // All values are as large as integers can be, with one sign in a column.
    const sums = await readFloats(result);
    exact &&= sums.every((sum, i) => Math.abs(sum - signOf(i) * SIZE) < 1e-3 * SIZE);
    return time;
  };
  let least = { floats: Infinity, integers: Infinity };
  for (let round = 0; round < ROUNDS && !(round > 2 && least.floats >= WORTH * least.integers); round++) {
    const times = { floats: await timed(floats), integers: await timed(integers) };
    least = {
      floats: Math.min(least.floats, times.floats),
      integers: Math.min(least.integers, times.integers),
    };
  }
  return { ...least, exact };
}

function signOf(output: number): 1 | -1 {
  return output % 2 === 0 ? 1 : -1;
}

/** A linear layer whose weights are 1 in one column and -1 in the next. */
async function probe(device: CpuDevice, type: "float32" | "int8"): Promise<GraphSession> {
  const graph = new GraphBuilder(`speed of ${type}`);
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", SIZE] });
  const signs = Float32Array.from({ length: SIZE * SIZE }, (_, i) => signOf(i));
  const values = type === "float32" ? signs : Int8Array.from(signs, (sign) => 127 * sign);
  const data = new Uint8Array(values.buffer);
  const weight = graph.weight("weight", {
    file: "weights",
    offset: 0,
    length: data.length,
    type,
    shape: [SIZE, SIZE],
  });
  const scales = graph.constant("float32", new Array(SIZE).fill(1 / 127));
  const y = type === "float32"
    ? graph.add("Gemm", [x, weight])
    : integerProduct(graph, x, { weight, scales });
  graph.output({ name: "y", type: "float32", shape: ["rows", SIZE] }, y);
  return await createGraphSession(device, graph.bytes(), {
    cpuProvider: "native",
    threads: 1,
    externalFiles: [{ path: "weights", data }],
  });
}
