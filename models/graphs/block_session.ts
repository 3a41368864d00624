/**
 * A transformer that is cut into graphs, whose weights need not be in memory together: each part is loaded
 * when its turn comes and unloaded afterwards, except those for which there is room. Where a transformer is
 * cut, and what its parts compute, is left to the families.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { createGraphSession } from "./create_session.ts";
import type { GraphValue } from "./graph_builder.ts";
import { describeGraph, externalRanges } from "./graph_file.ts";
import type { GraphSession, GraphSessionOptions, GraphTensor } from "./graph_session.ts";

/** How a {@linkcode BlockwiseSession} runs. */
export interface BlockwiseSessionOptions extends GraphSessionOptions {
  /**
   * Bytes that weights may take at once, those of the part among them that is loaded for its turn. As many of
   * the first parts as this leaves room for stay loaded; none by default. A part that is larger is loaded
   * nevertheless.
   */
  memory?: number;
}

/** What a {@linkcode BlockwiseSession} has done, for tests and reports. */
export interface BlockwiseCounters {
  /** Runs of all its parts. */
  readonly runs: number;
  /** Parts that have been loaded for their turn. */
  readonly loads: number;
  /** Bytes of weights that this has read. */
  readonly bytesRead: number;
}

/** A graph that is a part of another. */
interface Part {
  readonly name: string;
  readonly graph: Uint8Array;
  /** Bytes of its weights as they are stored. */
  readonly bytes: number;
  /** Names of the files that they lie in. */
  readonly files: ReadonlySet<string>;
  readonly inputs: readonly GraphValue[];
  readonly outputs: readonly GraphValue[];
}

function readPart(graph: Uint8Array): Part {
  const { name, inputs, outputs } = describeGraph(graph);
  const ranges = externalRanges(graph);
  const bytes = ranges.reduce((sum, { length }) => sum + length, 0);
  return { name, graph, bytes, files: new Set(ranges.map(({ file }) => file)), inputs, outputs };
}

/** What a part does in a run. */
interface Step {
  readonly part: Part;
  /** Outputs that somebody wants. */
  readonly wanted: readonly string[];
}

/**
 * Graphs that are run one after the other as if they were one: what one of them gives and a later one takes
 * under the same name goes from the one to the other and is freed after its last use; all else is fed by the
 * caller and comes out to the caller. Names must be unique among the outputs of all parts, and a dimension of
 * what goes between parts must be a number or named in the shape of something that the caller feeds.
 *
 * The result is to the bit that of one graph of the same nodes and with the same `prepack`, which is false
 * by default for the native provider.
 *
 * @example (x + 1) + 1
 * ```ts
 * import { BlockwiseSession } from "./block_session.ts";
 * import { GraphBuilder } from "./graph_builder.ts";
 * import { CpuDevice } from "../../kernels/device/cpu_device.ts";
 * import { readFloats } from "../../kernels/device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const add = (from: string, to: string): Uint8Array => {
 *   const graph = new GraphBuilder(`${from} to ${to}`);
 *   const x = graph.input({ name: from, type: "float32", shape: ["n"] });
 *   const y = graph.add("Add", [x, graph.constant("float32", [1])]);
 *   graph.output({ name: to, type: "float32", shape: ["n"] }, y);
 *   return graph.bytes();
 * };
 * using device = new CpuDevice();
 * await using session = await BlockwiseSession.create(device, [add("x", "y"), add("y", "z")]);
 * using x = device.upload(new Float32Array([1, 2]));
 * const { z } = await session.run({ x: { array: x, shape: [2] } });
 * assertEquals([...await readFloats(z!)], [3, 4]);
 * assertEquals(session.resident, 2); // graphs without weights stay loaded
 * ```
 */
export class BlockwiseSession implements GraphSession {
  readonly #device: Device;
  readonly #parts: readonly Part[];
  readonly #options: GraphSessionOptions;
  readonly #resident: Map<Part, GraphSession>;
  readonly #owned: AsyncDisposable;
  #counters = { runs: 0, loads: 0, bytesRead: 0 };
  /** What is being done; two runs at once would take the memory of two parts. */
  #turn: Promise<unknown> = Promise.resolve();
  #released = false;

  private constructor(
    device: Device,
    parts: readonly Part[],
    options: GraphSessionOptions,
    resident: Map<Part, GraphSession>,
    owned: AsyncDisposable,
  ) {
    this.#device = device;
    this.#parts = parts;
    this.#options = options;
    this.#resident = resident;
    this.#owned = owned;
  }

  /**
   * Makes a session of parts, and loads those that stay loaded.
   *
   * @param parts The graphs in the order in which they are run; `externalFiles` must stay readable as long as
   * the session lives.
   * @throws {TypeError} If two of them give an output of the same name, or the shape of what goes from one to
   * the other cannot be told.
   * @throws {RangeError} If not all of them can stay loaded on a GPU.
   * @throws {ModelFileError} If a graph or weights are damaged.
   */
  static async create(
    device: Device,
    parts: readonly Uint8Array[],
    { memory = 0, ...options }: BlockwiseSessionOptions = {},
  ): Promise<BlockwiseSession> {
    requireInteger(memory, "memory", "run a graph in parts", { min: 0 });
    const read = parts.map(readPart);
    requireParts(read);
    requireUnloading(device, read, memory);
    await using stack = new AsyncDisposableStack();
    const resident = new Map<Part, GraphSession>();
    for (const part of residentParts(read, memory)) {
      resident.set(part, stack.use(await load(device, part, options)));
    }
    return new BlockwiseSession(device, read, options, resident, stack.move());
  }

  /** Number of parts that stay loaded. */
  get resident(): number {
    return this.#resident.size;
  }

  /** Running totals. */
  get counters(): BlockwiseCounters {
    return { ...this.#counters };
  }

  /**
   * Runs the parts, of which only those are loaded that something wanted depends on. The results belong to
   * the caller, who disposes them. Runs take turns.
   *
   * @param inputs What to feed, by name, each part what it takes.
   * @param wanted Names of the outputs to fetch; by default all that no part takes.
   * @throws {TypeError} If an output is wanted that is none, or the session has been disposed.
   */
  async run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted: readonly string[] = lastOutputs(this.#parts),
  ): Promise<Record<string, DeviceArray>> {
    if (this.#released) throw new TypeError("Cannot run a graph in parts as it has been disposed");
    const steps = stepsFor(this.#parts, wanted);
    const running = this.#turn.then(() => this.#run(steps, inputs, wanted));
    this.#turn = running.catch(() => {});
    return await running;
  }

  async #run(
    steps: readonly Step[],
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted: readonly string[],
  ): Promise<Record<string, DeviceArray>> {
    const sizes = dimensions(this.#parts, inputs);
    const between = new Map<string, GraphTensor & { readonly array: DeviceArray }>();
    const results: Record<string, DeviceArray> = {};
    try {
      for (const [i, { part, wanted: outputs }] of steps.entries()) {
        const feeds: Record<string, GraphTensor> = {};
        for (const { name } of part.inputs) {
          const tensor = between.get(name) ?? inputs[name];
          if (tensor !== undefined) feeds[name] = tensor;
        }
        const given = await this.#runPart(part, feeds, outputs);
        const later = namesTaken(steps.slice(i + 1).map(({ part }) => part));
        for (const { name, shape, type } of part.outputs) {
          const array = given[name];
          if (array === undefined) continue;
          if (wanted.includes(name)) results[name] = array;
          const tensor = { array, shape: shape.map((side) => sizes.get(side) ?? Number(side)) };
          between.set(name, type === "float16" ? { ...tensor, type } : tensor);
        }
        for (const [name, { array }] of between) {
          if (later.has(name)) continue;
          between.delete(name);
          if (results[name] === undefined) array[Symbol.dispose]();
        }
      }
      this.#counters.runs++;
      return results;
    } catch (error) {
      for (const { array } of between.values()) array[Symbol.dispose]();
      for (const array of Object.values(results)) array[Symbol.dispose]();
      throw error;
    }
  }

  async #runPart(
    part: Part,
    feeds: Readonly<Record<string, GraphTensor>>,
    outputs: readonly string[],
  ): Promise<Record<string, DeviceArray>> {
    const resident = this.#resident.get(part);
    if (resident !== undefined) return await resident.run(feeds, outputs);
    await using session = await load(this.#device, part, this.#options);
    this.#counters.loads++;
    this.#counters.bytesRead += part.bytes;
    return await session.run(feeds, outputs);
  }

  /** Unloads what is loaded, after the runs that have begun. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    await this.#turn;
    await this.#owned[Symbol.asyncDispose]();
  }
}

function load(device: Device, part: Part, options: GraphSessionOptions): Promise<GraphSession> {
  const { externalFiles = [], prepack = packs(options) } = options;
  return createGraphSession(device, part.graph, {
    ...options,
    prepack,
    externalFiles: externalFiles.filter(({ path }) => part.files.has(path)),
  });
}

/**
 * Whether weights are rearranged if nobody says. What is loaded once for each run is better used where it
 * lies: a block of 270 MB that is mapped takes the native library 2 ms and 265 for 512 rows instead of 300
 * and 245. WebAssembly has to copy weights anyway.
 */
function packs({ cpuProvider }: GraphSessionOptions): boolean {
  return cpuProvider !== "native";
}

/**
 * Checks that parts which are unloaded free their memory. ONNX Runtime 1.30 keeps the weights of released
 * sessions on a GPU as long as any session is left there: four runs of 34 MB of weights, beside one session
 * of another model, left 134 MB.
 */
function requireUnloading(device: Device, parts: readonly Part[], memory: number): void {
  const needed = bytesOf(parts);
  if (!(device instanceof WebGpuDevice) || needed <= memory) return;
  throw new RangeError(
    `Cannot run a graph in parts that are unloaded on "${device.name}" as ONNX Runtime keeps their weights there; use device: "cpu", or memory for all ${needed} bytes`,
  );
}

function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The first parts that can stay loaded while each of the others is loaded for its turn. */
function residentParts(parts: readonly Part[], memory: number): readonly Part[] {
  if (bytesOf(parts) <= memory) return parts;
  let room = memory - Math.max(...parts.map((part) => part.bytes));
  return parts.filter((part) => {
    if (part.bytes > room) return false;
    room -= part.bytes;
    return true;
  });
}

/** The parts that what is wanted depends on, each with what is wanted of it. */
function stepsFor(parts: readonly Part[], wanted: readonly string[]): readonly Step[] {
  const given = new Set(parts.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  for (const name of wanted) {
    if (given.has(name)) continue;
    throw new TypeError(
      mustBe("one that a part gives", name, "the name of an output", "run a graph in parts"),
    );
  }
  const open = new Set(wanted);
  const steps: Step[] = [];
  for (const part of parts.toReversed()) {
    const mine = part.outputs.map(({ name }) => name).filter((name) => open.has(name));
    if (mine.length === 0) continue;
    steps.unshift({ part, wanted: mine });
    for (const { name } of part.inputs) open.add(name);
  }
  return steps;
}

function namesTaken(parts: readonly Part[]): ReadonlySet<string> {
  return new Set(parts.flatMap(({ inputs }) => inputs.map(({ name }) => name)));
}

/** Names of the outputs that no part takes. */
function lastOutputs(parts: readonly Part[]): string[] {
  const taken = namesTaken(parts);
  return parts.flatMap(({ outputs }) => outputs.map(({ name }) => name)).filter((name) => !taken.has(name));
}

/** Sizes of the named dimensions, as what is fed tells. */
function dimensions(
  parts: readonly Part[],
  inputs: Readonly<Record<string, GraphTensor>>,
): ReadonlyMap<unknown, number> {
  const sizes = new Map<unknown, number>();
  for (const { name, shape } of parts.flatMap((part) => part.inputs)) {
    const given = inputs[name]?.shape ?? [];
    for (const [i, size] of given.entries()) {
      const side = shape[i];
      if (typeof side !== "string") continue;
      const known = sizes.get(side) ?? size;
      if (known !== size) {
        throw new TypeError(
          `Cannot run a graph in parts as "${side}" must be the same in all that is fed: it is ${known}, and ${size} in "${name}"`,
        );
      }
      sizes.set(side, size);
    }
  }
  return sizes;
}

/** Checks that parts go together. */
function requireParts(parts: readonly Part[]): void {
  const givers = new Map<string, string>();
  for (const { name: part, outputs } of parts) {
    for (const { name } of outputs) {
      const other = givers.get(name);
      if (other !== undefined) {
        throw new TypeError(`Cannot run a graph in parts as both "${other}" and "${part}" give "${name}"`);
      }
      givers.set(name, part);
    }
  }
  const inputs = parts.flatMap((part) => part.inputs);
  const known = new Set<unknown>(
    inputs.filter(({ name }) => !givers.has(name)).flatMap(({ shape }) => shape),
  );
  const taken = namesTaken(parts);
  const given = new Set<string>();
  for (const part of parts) {
    for (const { name } of part.inputs) {
      if (given.has(name) || !givers.has(name)) continue;
      throw new TypeError(
        `Cannot run a graph in parts as "${part.name}" takes "${name}", which "${
          givers.get(name)
        }" gives later`,
      );
    }
    for (const { name, shape } of part.outputs) {
      given.add(name);
      const unknown = shape.find((side) => typeof side === "string" && !known.has(side));
      if (unknown === undefined || !taken.has(name)) continue;
      throw new TypeError(
        `Cannot run a graph in parts as nothing that is fed tells "${unknown}" of "${name}", which "${part.name}" gives`,
      );
    }
  }
}
