/**
 * A convolution by Winograd's short algorithm, as nodes of a graph: from a quarter of the products, where
 * WebAssembly's are dear. Which convolutions are computed so is left to `convolutions.ts`.
 *
 * @module
 */

import type { GraphBuilder } from "../graphs/graph_builder.ts";
import type { GraphWeights } from "../graphs/graph_weights.ts";

/** Rows and columns of the result that are computed together. */
const TILE = 4;
/** Rows and columns of the map that they see, and positions of the transformed tile along each side. */
const SEEN = TILE + 2;
/**
 * A tile and a kernel are polynomials whose product is known by its values at as many points: 0, both signs
 * of these two, and infinity. With 1 and 2, which are in every textbook, errors are twice as large.
 */
const POINTS = [5 / 8, 3 / 2] as const;

type Matrix = readonly (readonly number[])[];

/** The three matrices of the algorithm, for tiles, kernels and results. */
interface Transforms {
  /** Of a tile of six values, [6, 6]. */
  readonly tile: Matrix;
  /** Of a kernel of three, [6, 3]. */
  readonly kernel: Matrix;
  /** Of six products to four results, [4, 6]. */
  readonly result: Matrix;
}

/** What {@linkcode winogradConvolution} is to do. */
export interface WinogradOptions {
  /** Name of the convolution's tensors `weight` and `bias`. */
  readonly name: string;
  /** Channels of the map. */
  readonly inputs: number;
  /** Channels of the result. */
  readonly outputs: number;
  /** Whether the map is doubled before, by repeating its values; false by default. */
  readonly doubles?: boolean;
  /**
   * Stretches of rows that are computed one after the other, so that what is in between stays small. Both
   * sides of the result must be multiples of 4 and its rows of four times as many; by default one stretch,
   * and any sides.
   */
  readonly strips?: number;
}

/**
 * Convolves a map with a kernel of 3 by 3, which keeps its size, or doubles it first.
 *
 * A tile of 4 by 4 results comes from the 6 by 6 values X that it sees as r ((k K kᵀ) ∘ (t X tᵀ)) rᵀ with the
 * matrices t, k and r of {@linkcode Transforms}: 36 products for each input and output instead of 144, and
 * over all tiles 36 products of matrices [outputs, inputs] and [inputs, tiles]. A doubled map is never
 * stored: 4 by 4 of what a tile sees differ, so that its transform takes those.
 *
 * With everything taken by its size, a result is off by at most (inputs + 35) · 2⁻²⁴ times the same sum plus
 * the bias: sums of 9 terms, 6 and 6, all inputs, 6 and 6 come one after the other, then the bias, and the
 * transform of kernels is rounded itself. That sum is some 40 times that of the products of a direct
 * convolution, but rounding errors cancel: 0.00001 was the worst of results of size 3 from up to 640 inputs.
 *
 * The transformed kernels take four times the memory of the kernels. They are made anew in every run, in a
 * hundredth of its time where the maps are large, and freed.
 *
 * @param weights The graph with its weights.
 * @param x A map [images, inputs, height, width].
 * @returns The result [images, outputs, height, width], or of twice the sides.
 */
export function winogradConvolution(weights: GraphWeights, x: string, options: WinogradOptions): string {
  const { name, outputs, doubles = false, strips = 1 } = options;
  const { graph } = weights;
  const map = new TiledMap(graph, x, options);
  const kernels = transformedKernels(weights, map.nothing, options);
  const ofTile = matrix(graph, doubles ? folded(TRANSFORMS.tile) : TRANSFORMS.tile);
  const ofResult = matrix(graph, TRANSFORMS.result);
  const results = Array.from({ length: strips }, (_, strip) => {
    const tiles = graph.reshape(
      bothSides(graph, ofTile, map.tiles(strip), [map.seen, SEEN]),
      [0, SEEN ** 2, options.inputs, -1],
    );
    const products = graph.add("MatMul", [kernels, tiles]);
    return map.untiled(bothSides(graph, ofResult, products, [SEEN, TILE]));
  });
  const whole = strips === 1 ? results[0]! : graph.add("Concat", results, { axis: 2 });
  const bias = graph.reshape(weights.tensor(`${name}.bias`, [outputs]), [1, outputs, 1, 1]);
  return graph.add("Add", [map.cropped(whole), bias]);
}

/** The algorithm's matrices for points 0, ±a, ±b and infinity. */
const TRANSFORMS: Transforms = transforms(POINTS);

function transforms([a, b]: readonly [number, number]): Transforms {
  const [a2, b2] = [a * a, b * b];
  const [ofA, ofB] = [1 / (2 * a2 * (a2 - b2)), 1 / (2 * b2 * (b2 - a2))];
  // Rows of the first are the polynomials that are 0 at all points but one, rows of the second the powers of
  // that point over the value there, and columns of the third its powers.
  return {
    tile: [
      [a2 * b2, 0, -(a2 + b2), 0, 1, 0],
      [0, -a * b2, -b2, a, 1, 0],
      [0, a * b2, -b2, -a, 1, 0],
      [0, -b * a2, -a2, b, 1, 0],
      [0, b * a2, -a2, -b, 1, 0],
      [0, a2 * b2, 0, -(a2 + b2), 0, 1],
    ],
    kernel: [
      [1 / (a2 * b2), 0, 0],
      [ofA, ofA * a, ofA * a2],
      [ofA, -ofA * a, ofA * a2],
      [ofB, ofB * b, ofB * b2],
      [ofB, -ofB * b, ofB * b2],
      [0, 0, 1],
    ],
    result: [
      [1, 1, 1, 1, 1, 0],
      [0, a, -a, b, -b, 0],
      [0, a2, a2, b2, b2, 0],
      [0, a ** 3, -(a ** 3), b ** 3, -(b ** 3), 1],
    ],
  };
}

/** The transform of a tile of a doubled map, by the values that differ: 0, 1, 1, 2, 2 and 3. */
function folded(tile: Matrix): Matrix {
  return tile.map(([a, b, c, d, e, f]) => [a!, b! + c!, d! + e!, f!]);
}

function matrix(graph: GraphBuilder, rows: Matrix): string {
  return graph.constant("float32", rows.flat(), [rows.length, rows[0]!.length]);
}

/** Kernels [36, outputs, inputs]. */
function transformedKernels(
  weights: GraphWeights,
  nothing: string,
  { name, inputs, outputs }: WinogradOptions,
): string {
  const { graph } = weights;
  const { kernel } = TRANSFORMS;
  const both = kernel.flatMap((row) => {
    return kernel.map((column) => row.flatMap((a) => column.map((b) => a * b)));
  });
  // A shape that is not known before the run keeps the runtime from making them when it loads the graph.
  const shape = graph.add("Concat", [nothing, graph.constant("int64", [-1, 9])], { axis: 0 });
  const kernels = graph.add("Reshape", [
    weights.tensor(`${name}.weight`, [outputs, inputs, 3, 3]),
    shape,
  ]);
  const turned = graph.reshape(graph.add("Transpose", [kernels], { perm: [2, 0, 1] }), [9, -1]);
  return graph.reshape(graph.add("MatMul", [matrix(graph, both), turned]), [SEEN ** 2, outputs, inputs]);
}

/**
 * Multiplies squares [images, from · from, …], whatever their dimensions, from both sides.
 *
 * @returns Squares [images, to, to, …].
 */
function bothSides(
  graph: GraphBuilder,
  factor: string,
  squares: string,
  [from, to]: readonly [number, number],
): string {
  const rows = graph.add("MatMul", [factor, graph.reshape(squares, [0, from, -1])]);
  return graph.add("MatMul", [factor, graph.reshape(rows, [0, to, from, -1])]);
}

/** A map as the tiles that are seen, and the result from tiles of it. */
class TiledMap {
  /** A 0, which only a run tells. */
  readonly nothing: string;
  /** Rows and columns of the map that a tile of the result sees. */
  readonly seen: number;
  readonly #graph: GraphBuilder;
  readonly #options: WinogradOptions;
  /** Rows and columns of the map from one tile to the next. */
  readonly #step: number;
  readonly #sides: readonly [height: string, width: string];
  /** Tiles of a strip one below the other, and beside each other. */
  readonly #high: string;
  readonly #wide: string;
  /** The map in blocks of a step by a step, [images, step, step, inputs, rows, columns]. */
  readonly #blocks: string;

  constructor(graph: GraphBuilder, x: string, options: WinogradOptions) {
    const { inputs, doubles = false, strips } = options;
    this.#graph = graph;
    this.#options = options;
    const step = this.#step = doubles ? TILE / 2 : TILE;
    this.seen = step + 2;
    const shape = graph.add("Shape", [x]);
    const [height, width] = this.#sides = [this.#slice(shape, 2, 3, 0), this.#slice(shape, 3, 4, 0)];
    this.nothing = graph.add("Sub", [height, height]);
    const tiles = (side: string): string => this.#divided(this.#plus(side, step - 1), step);
    this.#high = strips === undefined ? tiles(height) : this.#divided(height, step * strips);
    this.#wide = strips === undefined ? tiles(width) : this.#divided(width, step);
    // What the last tile sees ends within the block behind it.
    const beyond = (side: string, tiles: string): string => {
      return graph.add("Sub", [this.#plus(graph.add("Mul", [tiles, this.#ints(step)]), step - 1), side]);
    };
    const pads = strips === undefined
      ? graph.add("Concat", [
        this.#ints(0, 0, 1, 1, 0, 0),
        beyond(height, this.#high),
        beyond(width, this.#wide),
      ], { axis: 0 })
      : this.#ints(0, 0, 1, 1, 0, 0, step - 1, step - 1);
    const deep = graph.add("SpaceToDepth", [graph.add("Pad", [x, pads])], { blocksize: step });
    const sizes = [this.#ints(0, step, step, inputs, -1), this.#plus(this.#wide, 1)];
    this.#blocks = graph.add("Reshape", [deep, graph.add("Concat", sizes, { axis: 0 })]);
  }

  /** What the tiles of a strip see, [images, seen, seen, inputs, rows, columns]. */
  tiles(strip: number): string {
    const graph = this.#graph;
    const { strips = 1 } = this.#options;
    const first = graph.add("Mul", [this.#high, this.#ints(strip)]);
    const last = graph.add("Add", [first, this.#high]);
    const blocks = strips === 1
      ? this.#blocks
      : graph.add("Slice", [this.#blocks, first, this.#plus(last, 1), this.#ints(4)]);
    return this.#joined(this.#joined(blocks, { within: 2, along: 5 }), { within: 1, along: 4 });
  }

  /** Blocks, and the first two rows or columns of each one's next. */
  #joined(blocks: string, { within, along }: { readonly within: number; readonly along: number }): string {
    const graph = this.#graph;
    const own = this.#slice(blocks, 0, -1, along);
    const [begin, end, axes] = [[0, 1], [2, END], [within, along]].map((place) => this.#ints(...place));
    const next = graph.add("Slice", [blocks, begin!, end!, axes!]);
    return graph.add("Concat", [own, next], { axis: within });
  }

  /** The rows of a strip, of tiles [images, 4, 4, …]. */
  untiled(tiles: string): string {
    const graph = this.#graph;
    const sizes = [this.#ints(0, TILE ** 2 * this.#options.outputs, -1), this.#wide];
    const deep = graph.add("Reshape", [tiles, graph.add("Concat", sizes, { axis: 0 })]);
    return graph.add("DepthToSpace", [deep], { blocksize: TILE, mode: "DCR" });
  }

  /** The result without what the last tiles have beyond it. */
  cropped(result: string): string {
    const { doubles = false, strips } = this.#options;
    if (strips !== undefined) return result;
    const graph = this.#graph;
    const ends = this.#sides.map((side) => doubles ? graph.add("Mul", [side, this.#ints(2)]) : side);
    return graph.add("Slice", [
      result,
      this.#ints(0, 0),
      graph.add("Concat", ends, { axis: 0 }),
      this.#ints(2, 3),
    ]);
  }

  #ints(...values: number[]): string {
    return this.#graph.constant("int64", values);
  }

  #plus(value: string, other: number): string {
    return this.#graph.add("Add", [value, this.#ints(other)]);
  }

  #divided(value: string, by: number): string {
    return this.#graph.add("Div", [value, this.#ints(by)]);
  }

  #slice(value: string, begin: number, end: number, axis: number): string {
    return this.#graph.add("Slice", [value, this.#ints(begin), this.#ints(end), this.#ints(axis)]);
  }
}

/** A place beyond the end of every map. */
const END = 2 ** 31 - 1;
