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
   * Stretches of rows that are computed one after the other, so that what is in between stays small; 1 by
   * default. They have equally many rows of tiles, so the last ones may overlap.
   */
  readonly strips?: number;
  /** Name of the result's size, by which the runtime knows equally large maps; see `GraphBuilder.sized`. */
  readonly size?: string | undefined;
}

/**
 * Convolves a map with a kernel of 3 by 3, which keeps its size, or doubles it first.
 *
 * A tile of 4 by 4 results comes from the 6 by 6 values X that it sees as r ((k K kᵀ) ∘ (t X tᵀ)) rᵀ with the
 * matrices t, k and r of {@linkcode Transforms}: 36 products for each input and output instead of 144, and
 * over all tiles 36 products of matrices [outputs, inputs] and [inputs, tiles]. What is done from both sides
 * is one product with t ⊗ t, and that of all tiles a convolution of each channel alone, by kernels of 6 by 6
 * at every fourth place. A doubled map is never stored: 4 by 4 of what a tile sees differ, so that kernels of
 * 4 by 4 at every second place serve.
 *
 * With everything taken by its size, a result is off by at most (inputs + 54) · 2⁻²⁴ times the same sum plus
 * the bias: sums of 9 terms, 16, all inputs and 25 that are not zero come one after the other, then the bias,
 * and the three transforms are rounded themselves. That sum is some 40 times that of the products of a direct
 * convolution, but rounding errors cancel: 0.00002 was the worst of results of size 3 from up to 640 inputs.
 *
 * The transformed kernels take four times the memory of the kernels. They are made anew in every run, in a
 * hundredth of its time where the maps are large, and freed.
 *
 * @param weights The graph with its weights.
 * @param x A map [images, inputs, height, width].
 * @returns The result [images, outputs, height, width], or of twice the sides.
 */
export function winogradConvolution(weights: GraphWeights, x: string, options: WinogradOptions): string {
  const { name, outputs, strips = 1 } = options;
  const { graph } = weights;
  const map = new TiledMap(graph, x, options);
  const kernels = transformedKernels(weights, map.nothing, options);
  const ofResult = matrix(graph, bothSides(TRANSFORMS.result));
  const bias = graph.reshape(weights.tensor(`${name}.bias`, [outputs]), [1, outputs, 1, 1]);
  const results = Array.from({ length: strips }, (_, strip) => {
    const products = graph.add("MatMul", [kernels, map.tiles(strip)]);
    const squares = graph.add("MatMul", [ofResult, graph.reshape(products, [0, SEEN ** 2, -1])]);
    return map.kept(graph.add("Add", [map.untiled(squares), bias]), strip);
  });
  return strips === 1 ? results[0]! : graph.add("Concat", results, { axis: 2 });
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

/** What multiplies squares, row after row, as the matrix does from both sides: its product with itself. */
function bothSides(rows: Matrix): Matrix {
  return rows.flatMap((row) => rows.map((column) => row.flatMap((a) => column.map((b) => a * b))));
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
  // A shape that is not known before the run keeps the runtime from making them when it loads the graph.
  const shape = graph.add("Concat", [nothing, graph.constant("int64", [-1, 9])], { axis: 0 });
  const kernels = graph.add("Reshape", [weights.tensor(`${name}.weight`, [outputs, inputs, 3, 3]), shape]);
  const ofKernel = matrix(graph, bothSides(TRANSFORMS.kernel));
  const turned = graph.add("Gemm", [ofKernel, graph.reshape(kernels, [-1, 9])], { transB: 1 });
  return graph.reshape(turned, [SEEN ** 2, outputs, inputs]);
}

/** A map as the tiles that are seen, and the result from tiles of it. */
class TiledMap {
  /** A 0, which only a run tells. */
  readonly nothing: string;
  readonly #graph: GraphBuilder;
  readonly #options: WinogradOptions;
  /** The map with each channel as an image of its own, [images · inputs, 1, height, width]. */
  readonly #planes: string;
  /** Rows and columns of the map from one tile to the next. */
  readonly #step: number;
  /** The transform of tiles as kernels of a convolution, [36, 1, seen, seen]. */
  readonly #kernels: string;
  /** What is added to the map so that it is what the tiles of a strip see, a row for each strip. */
  readonly #pads: string;
  /** Shape of the tiles of a strip with their values as channels. */
  readonly #deep: string;
  /** The first row and column of a strip that are kept, a row for each strip; and where they end. */
  readonly #kept: readonly [begins: string, ends: string];

  constructor(graph: GraphBuilder, x: string, options: WinogradOptions) {
    this.#graph = graph;
    this.#options = options;
    const { outputs, doubles = false, strips = 1 } = options;
    const step = this.#step = doubles ? TILE / 2 : TILE;
    const tile = doubles ? folded(TRANSFORMS.tile) : TRANSFORMS.tile;
    this.#kernels = graph.constant("float32", bothSides(tile).flat(), [SEEN ** 2, 1, step + 2, step + 2]);
    // A 0 keeps a side.
    this.#planes = graph.reshape(x, [-1, 1, 0, 0]);
    const shape = graph.add("Shape", [x]);
    const [height, width] = [this.#part(shape, 2), this.#part(shape, 3)];
    this.nothing = graph.add("Sub", [height, height]);
    const divided = (value: string, by: number): string => {
      return graph.add("Div", [this.#plus(value, by - 1), this.#ints([by])]);
    };
    const [high, wide] = [divided(height, step), divided(width, step)];
    const rows = divided(high, strips);
    const firsts = this.#times(rows, this.#ints(Array.from({ length: strips }, (_, i) => i), [strips, 1]));
    const begins = graph.add("Min", [firsts, graph.add("Sub", [high, rows])]);
    this.#pads = this.#padsOf({ begins, rows, wide, height, width });
    this.#deep = graph.add("Concat", [this.#ints([0, TILE ** 2 * outputs, -1]), wide], { axis: 0 });
    const none = this.#ints(Array(strips).fill(0), [strips, 1]);
    const from = this.#times(graph.add("Sub", [firsts, begins]), this.#ints([TILE]));
    const larger = this.#ints([doubles ? 2 : 1]);
    const left = graph.add("Sub", [this.#times(height, larger), this.#times(begins, this.#ints([TILE]))]);
    const columns = graph.add("Add", [none, this.#times(width, larger)]);
    this.#kept = [
      graph.add("Concat", [from, none], { axis: 1 }),
      graph.add("Concat", [left, columns], { axis: 1 }),
    ];
  }

  #padsOf(
    { begins, rows, wide, height, width }: Readonly<
      Record<"begins" | "rows" | "wide" | "height" | "width", string>
    >,
  ): string {
    const graph = this.#graph;
    const { strips = 1 } = this.#options;
    // Where what the first tiles see ends.
    const end = (tiles: string): string => this.#plus(this.#times(tiles, this.#ints([this.#step])), 1);
    // What a strip does not see is left out by zeros of a number below 0.
    const above = graph.add("Sub", [this.#ints([2]), end(begins)]);
    const below = graph.add("Sub", [end(graph.add("Add", [begins, rows])), height]);
    const none = this.#ints(Array(2 * strips).fill(0), [strips, 2]);
    const left = this.#ints(Array(strips).fill(1), [strips, 1]);
    const right = this.#times(left, graph.add("Sub", [end(wide), width]));
    return graph.add("Concat", [none, above, left, none, below, right], { axis: 1 });
  }

  /** The transformed tiles of a strip, [images, 36, inputs, tiles]. */
  tiles(strip: number): string {
    const graph = this.#graph;
    const { inputs } = this.#options;
    const step = this.#step;
    const seen = graph.add("Pad", [this.#planes, this.#ofStrip(this.#pads, strip)]);
    const planes = graph.add("Conv", [
      this.#sized(seen, `images × ${inputs}`, 1, `seen rows by ${step}`, `seen columns by ${step}`),
      this.#kernels,
    ], {
      kernel_shape: [step + 2, step + 2],
      strides: [step, step],
      pads: [0, 0, 0, 0],
    });
    this.#sized(planes, `images × ${inputs}`, SEEN ** 2, "high", "wide");
    const squares = graph.reshape(graph.reshape(planes, [0, SEEN ** 2, 1, -1]), [-1, inputs, SEEN ** 2, 0]);
    const turned = graph.add("Transpose", [squares], { perm: [0, 2, 1, 3] });
    return this.#sized(turned, "images", SEEN ** 2, inputs, "tiles");
  }

  /** The rows of a strip, of tiles [images, 16, …]. */
  untiled(tiles: string): string {
    const graph = this.#graph;
    const { outputs } = this.#options;
    this.#sized(tiles, "images", TILE ** 2, `${outputs} × tiles`);
    const rows = graph.add("DepthToSpace", [graph.add("Reshape", [tiles, this.#deep])], {
      blocksize: TILE,
      mode: "DCR",
    });
    return this.#sized(rows, "images", outputs, "4 × high", "4 × wide");
  }

  /** What is a strip's own, without what its last tiles have beyond the result. */
  kept(rows: string, strip: number): string {
    const [begins, ends] = this.#kept.map((kept) => this.#ofStrip(kept, strip));
    return this.#graph.add("Slice", [rows, begins!, ends!, this.#ints([2, 3])]);
  }

  /** Tells the runtime how large a value is; all but images and numbers depends on the result's size. */
  #sized(value: string, ...shape: (string | number)[]): string {
    const { size, strips = 1 } = this.#options;
    if (size === undefined) return value;
    const named = shape.map((side) => {
      return typeof side === "number" || side.startsWith("images") ? side : `${side} of ${size} / ${strips}`;
    });
    return this.#graph.sized(value, named);
  }

  #ints(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.#graph.constant("int64", values, shape);
  }

  #ofStrip(rows: string, strip: number): string {
    return this.#graph.add("Gather", [rows, this.#graph.constant("int64", [strip], [])], { axis: 0 });
  }

  #plus(value: string, other: number): string {
    return this.#graph.add("Add", [value, this.#ints([other])]);
  }

  #times(value: string, other: string): string {
    return this.#graph.add("Mul", [value, other]);
  }

  /** A number of a list, as a list. */
  #part(list: string, place: number): string {
    return this.#graph.add("Slice", [list, this.#ints([place]), this.#ints([place + 1])]);
  }
}
