/**
 * What depends on a class alone: the first token and the modulations of all blocks. It is evaluated when a
 * class is first asked for and kept, so that a long run evaluates each class once, and so that the blocks'
 * projections, a third of a model's weights, are read from its files one after the other and need not stay in
 * memory.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { gatherRows } from "../../../kernels/maps/gather.ts";
import { createGraphSession } from "../../graphs/create_session.ts";
import type { GraphSession, GraphSessionOptions } from "../../graphs/graph_session.ts";
import { FEWEST_ROWS } from "../../graphs/key_value_caches.ts";
import type { WeightFiles } from "../../weights/weight_files.ts";
import type { TransformerConfig } from "./config.ts";
import { modulationGraph } from "./graph.ts";

/**
 * Bytes for 165 classes of the model of depth 16 or 47 of depth 30, and for the projections of small models
 * only, as reading them again would take longer than they are worth.
 */
const BUDGET: ConditionBudget = { classes: 64 * 2 ** 20, projections: 64 * 2 ** 20 };

/** Words of one class: first token, modulation of the head, modulations of the blocks. */
export function conditionWords(config: TransformerConfig): number {
  return (1 + 2 + 6 * config.depth) * config.width;
}

/** Operations of the projections that make the modulations of one class. */
export function modulationFlops({ width, depth, sharedAdaptiveNorm }: TransformerConfig): number {
  return 2 * (6 * (sharedAdaptiveNorm ? 1 : depth) + 2) * width ** 2;
}

/** Bytes of the blocks' projections as they are fed. */
function projectionBytes({ depth, width, sharedAdaptiveNorm }: TransformerConfig): number {
  return sharedAdaptiveNorm ? 0 : depth * 6 * width * (width + 1) * 4;
}

/** Bytes that are kept for classes and projections. */
export function keptConditionBytes(config: TransformerConfig): number {
  const classes = slotsOf(config, BUDGET) * conditionWords(config) * 4;
  return classes + (keepsProjections(config, BUDGET) ? projectionBytes(config) : 0);
}

function slotsOf(config: TransformerConfig, { classes }: ConditionBudget): number {
  // Guidance needs two: a class and the null class.
  const affordable = Math.max(2, Math.floor(classes / (conditionWords(config) * 4)));
  return Math.min(config.classes + 1, affordable);
}

function keepsProjections(config: TransformerConfig, { projections }: ConditionBudget): boolean {
  return projectionBytes(config) <= projections;
}

/** A block's projection on the device. */
interface Projection extends Disposable {
  readonly weight: DeviceArray;
  readonly bias: DeviceArray;
}

/** What a {@linkcode ConditionCache} works with. It owns none of it. */
export interface ConditionParts {
  /** Where the conditions are kept. */
  readonly device: Device;
  /** Sizes of the model. */
  readonly config: TransformerConfig;
  /** The graph `condition`. */
  readonly session: GraphSession;
  /** The transformer's weights. */
  readonly weights: WeightFiles;
  /** Bytes for conditions and for projections that are kept, if not the usual ones. */
  readonly budget?: ConditionBudget;
}

/** Bytes that a {@linkcode ConditionCache} may keep. */
export interface ConditionBudget {
  /** For conditions of classes. One batch may exceed it. */
  readonly classes: number;
  /** For the blocks' projections, of which all are kept or none. */
  readonly projections: number;
}

/** Conditions of classes. Rows of labels are put together from what is kept, without a readback. */
export class ConditionCache implements AsyncDisposable {
  readonly #parts: ConditionParts;
  readonly #modulation: GraphSession | undefined;
  /** Names of the arrays with the words of one row. */
  readonly #strides: ReadonlyMap<string, number>;
  readonly #kept: Projection[] = [];
  #tables = new Map<string, DeviceArray>();
  #capacity: number;
  /** Row of each class in the tables; the class that was asked for last stands last. */
  #rows = new Map<number, number>();
  #last: Promise<unknown> = Promise.resolve();

  private constructor(parts: ConditionParts, modulation: GraphSession | undefined) {
    const { config: { depth, width } } = parts;
    this.#parts = parts;
    this.#modulation = modulation;
    this.#strides = new Map([
      ["first", width],
      ["modulation.head", 2 * width],
      ...Array.from({ length: depth }, (_, i): [string, number] => [`modulation.${i}`, 6 * width]),
    ]);
    this.#capacity = slotsOf(parts.config, parts.budget ?? BUDGET);
    this.#allocate(this.#capacity);
  }

  /** Loads what evaluates conditions. */
  static async create(parts: ConditionParts, options: GraphSessionOptions): Promise<ConditionCache> {
    const { device, config, budget = BUDGET } = parts;
    if (config.sharedAdaptiveNorm) return new ConditionCache(parts, undefined);
    const modulation = await createGraphSession(device, modulationGraph(config.width), options);
    await using stack = new AsyncDisposableStack();
    const cache = stack.use(new ConditionCache(parts, modulation));
    for (let block = 0; block < config.depth && keepsProjections(config, budget); block++) {
      cache.#kept.push(await cache.#readProjection(block));
    }
    stack.move();
    return cache;
  }

  /**
   * For each label its rows of all arrays: `first`, `modulation.head` and `modulation.0` and so on. They
   * belong to the caller.
   */
  condition(labels: readonly number[]): Promise<Record<string, DeviceArray>> {
    // One at a time: another batch may need the rows of this one's classes.
    const condition = this.#last.then(() => this.#condition(labels));
    this.#last = condition.catch(() => {});
    return condition;
  }

  async #condition(labels: readonly number[]): Promise<Record<string, DeviceArray>> {
    const wanted = new Set(labels);
    // A batch of more classes than fit makes room for itself; that may also have failed before.
    const fits = wanted.size <= this.#capacity && this.#tables.size === this.#strides.size;
    if (!fits) this.#allocate(Math.max(wanted.size, this.#capacity));
    const missing = [...wanted].filter((label) => !this.#rows.has(label));
    if (missing.length > 0) await this.#evaluate(missing, wanted);
    for (const label of wanted) {
      const row = this.#rows.get(label)!;
      this.#rows.delete(label);
      this.#rows.set(label, row);
    }
    const { device } = this.#parts;
    const count = labels.length;
    using rows = device.upload(Uint32Array.from(labels, (label) => this.#rows.get(label)!), "rows of labels");
    using stack = new DisposableStack();
    const condition: Record<string, DeviceArray> = {};
    for (const [name, stride] of this.#strides) {
      const output = condition[name] = stack.use(device.allocate(count * stride, name));
      const input = this.#tables.get(name)!;
      device.run(gatherRows, { input, output, rows, count, stride, inputRows: this.#capacity });
    }
    stack.move();
    return condition;
  }

  /** Evaluates classes and keeps them, in the place of those that were not asked for the longest. */
  async #evaluate(missing: readonly number[], wanted: ReadonlySet<number>): Promise<void> {
    const { config: { depth }, session } = this.#parts;
    const rows = this.#makeRoom(missing.length, wanted);
    // More rows than are kept, so that a class does not depend on those it is evaluated with.
    const count = Math.max(missing.length, FEWEST_ROWS);
    const labels = Array.from({ length: count }, (_, i) => missing[i] ?? missing[0]!);
    const { activated, ...arrays } = await session.run({ labels: { array: labels, shape: [count] } });
    using stack = new DisposableStack();
    if (activated !== undefined) stack.use(activated);
    for (const [name, array] of Object.entries(arrays)) {
      stack.use(array);
      this.#keep(name, array, rows);
    }
    for (let block = 0; this.#modulation !== undefined && block < depth; block++) {
      using modulation = await this.#modulate(this.#modulation, block, activated!, count);
      this.#keep(`modulation.${block}`, modulation, rows);
    }
    for (const [i, label] of missing.entries()) this.#rows.set(label, rows[i]!);
  }

  async #modulate(
    session: GraphSession,
    block: number,
    activated: DeviceArray,
    count: number,
  ): Promise<DeviceArray> {
    const { width } = this.#parts.config;
    using stack = new DisposableStack();
    const projection = this.#kept[block] ?? stack.use(await this.#readProjection(block));
    const { modulation } = await session.run({
      activated: { array: activated, shape: [count, width] },
      weight: { array: projection.weight, shape: [6 * width, width] },
      bias: { array: projection.bias, shape: [6 * width] },
    });
    return modulation!;
  }

  async #readProjection(block: number): Promise<Projection> {
    const { device, weights } = this.#parts;
    const name = `blocks.${block}.ada_lin.1`;
    const values = await weights.readFloat32(`${name}.weight`);
    const offsets = await weights.readFloat32(`${name}.bias`);
    using stack = new DisposableStack();
    const weight = stack.use(device.upload(values, `${name}.weight`));
    const bias = stack.use(device.upload(offsets, `${name}.bias`));
    const owned = stack.move();
    return { weight, bias, [Symbol.dispose]: () => owned.dispose() };
  }

  /** Makes tables for so many classes, empty ones. */
  #allocate(classes: number): void {
    this.#disposeTables();
    this.#capacity = classes;
    for (const [name, stride] of this.#strides) {
      this.#tables.set(name, this.#parts.device.allocate(this.#capacity * stride, `${name} of classes`));
    }
  }

  /** Rows of the tables for `count` more classes, none of them a row of a wanted class. */
  #makeRoom(count: number, wanted: ReadonlySet<number>): number[] {
    const excess = this.#rows.size + count - this.#capacity;
    const unwanted = [...this.#rows.keys()].filter((label) => !wanted.has(label));
    for (const label of unwanted.slice(0, Math.max(0, excess))) this.#rows.delete(label);
    const taken = new Set(this.#rows.values());
    const free: number[] = [];
    for (let row = 0; free.length < count; row++) if (!taken.has(row)) free.push(row);
    return free;
  }

  #keep(name: string, array: DeviceArray, rows: readonly number[]): void {
    const { device } = this.#parts;
    const length = this.#strides.get(name)!;
    const table = this.#tables.get(name)!;
    for (const [i, row] of rows.entries()) {
      device.copy(array, table, { sourceOffset: i * length, targetOffset: row * length, length });
    }
  }

  #disposeTables(): void {
    for (const table of this.#tables.values()) table[Symbol.dispose]();
    this.#tables.clear();
    this.#rows.clear();
  }

  /** Unloads it, when what has been asked for is done. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#disposeTables();
    for (const projection of this.#kept) projection[Symbol.dispose]();
    this.#kept.length = 0;
    await this.#modulation?.[Symbol.asyncDispose]();
  }
}
