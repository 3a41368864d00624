/**
 * Inception-v3 up to its last pooling as a graph: pictures to one vector each. What the network is made of
 * stands in a table, by the names of torchvision's file; widths are read off the tensors. Batch norms become
 * part of the convolutions before them. Formulas: arXiv 1512.00567, with batch norms after all convolutions.
 *
 * @module
 */

import type { SafetensorsEntry } from "../checkpoint/safetensors.ts";
import { GraphWeights } from "../graphs/graph_weights.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { ModelTensor } from "../weights/model_tensor.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import type { WeightSet } from "../weights/weight_set.ts";

/** Batch norms add this to the variance. */
const NORM_EPSILON = 1e-3;
/** Edge of all pools but the last, which is of the whole map. */
const POOL = 3;
/** Channels of a picture. */
const CHANNELS = 3;

/** Tensors that serve training and classes: the second classifier, the last layer, counts of batches. */
export const UNUSED_INCEPTION: RegExp = /^(AuxLogits|fc)\.|\.num_batches_tracked$/;

/** What differs between the published networks of these tensors. */
export interface InceptionPools {
  /** Whether means at the border count the zeros beyond it. */
  readonly countsBorder: boolean;
  /** What the last block pools by. */
  readonly last: "average" | "max";
}

/** As in torchvision. */
export const TORCHVISION_POOLS: InceptionPools = { countsBorder: true, last: "average" };
/** As in the network by which FID is measured. */
export const FID_POOLS: InceptionPools = { countsBorder: false, last: "max" };

/** A convolution, its batch norm, and ReLU. */
interface Convolution {
  readonly name: string;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: 1 | 2;
  /** Whether zeros around the map keep its size. */
  readonly padded: boolean;
}

/** A pool of 3×3. */
interface Pool {
  readonly pool: "average" | "max";
  readonly stride: 1 | 2;
  readonly padded: boolean;
}

/** What follows each other; a list within is of paths side by side, whose channels are joined. */
type Path = readonly Step[];
type Step = Convolution | Pool | Block | readonly Path[];

/** Paths under a name. */
interface Block {
  readonly block: string;
  readonly paths: readonly Path[];
}

function same(name: string, height: number, width: number = height): Convolution {
  return { name, kernel: [height, width], stride: 1, padded: true };
}

function shrinking(name: string, stride: 1 | 2): Convolution {
  return { name, kernel: [3, 3], stride, padded: false };
}

const HALVING_POOL: Pool = { pool: "max", stride: 2, padded: false };
const MEAN: Pool = { pool: "average", stride: 1, padded: true };

const DOUBLE_3X3 = [same("branch3x3dbl_1", 1), same("branch3x3dbl_2", 3)];

const BLOCK_A: readonly Path[] = [
  [same("branch1x1", 1)],
  [same("branch5x5_1", 1), same("branch5x5_2", 5)],
  [...DOUBLE_3X3, same("branch3x3dbl_3", 3)],
  [MEAN, same("branch_pool", 1)],
];
const BLOCK_B: readonly Path[] = [
  [shrinking("branch3x3", 2)],
  [...DOUBLE_3X3, shrinking("branch3x3dbl_3", 2)],
  [HALVING_POOL],
];
const BLOCK_C: readonly Path[] = [
  [same("branch1x1", 1)],
  [same("branch7x7_1", 1), same("branch7x7_2", 1, 7), same("branch7x7_3", 7, 1)],
  [
    same("branch7x7dbl_1", 1),
    same("branch7x7dbl_2", 7, 1),
    same("branch7x7dbl_3", 1, 7),
    same("branch7x7dbl_4", 7, 1),
    same("branch7x7dbl_5", 1, 7),
  ],
  [MEAN, same("branch_pool", 1)],
];
const BLOCK_D: readonly Path[] = [
  [same("branch3x3_1", 1), shrinking("branch3x3_2", 2)],
  [
    same("branch7x7x3_1", 1),
    same("branch7x7x3_2", 1, 7),
    same("branch7x7x3_3", 7, 1),
    shrinking("branch7x7x3_4", 2),
  ],
  [HALVING_POOL],
];
const blockE = (pool: InceptionPools["last"]): readonly Path[] => [
  [same("branch1x1", 1)],
  [same("branch3x3_1", 1), [[same("branch3x3_2a", 1, 3)], [same("branch3x3_2b", 3, 1)]]],
  [...DOUBLE_3X3, [[same("branch3x3dbl_3a", 1, 3)], [same("branch3x3dbl_3b", 3, 1)]]],
  [{ ...MEAN, pool }, same("branch_pool", 1)],
];

/** The whole network. */
function layout({ last }: InceptionPools): Path {
  return [
    shrinking("Conv2d_1a_3x3", 2),
    shrinking("Conv2d_2a_3x3", 1),
    same("Conv2d_2b_3x3", 3),
    HALVING_POOL,
    same("Conv2d_3b_1x1", 1),
    shrinking("Conv2d_4a_3x3", 1),
    HALVING_POOL,
    ...["5b", "5c", "5d"].map((name) => ({ block: `Mixed_${name}`, paths: BLOCK_A })),
    { block: "Mixed_6a", paths: BLOCK_B },
    ...["6b", "6c", "6d", "6e"].map((name) => ({ block: `Mixed_${name}`, paths: BLOCK_C })),
    { block: "Mixed_7a", paths: BLOCK_D },
    { block: "Mixed_7b", paths: blockE("average") },
    { block: "Mixed_7c", paths: blockE(last) },
  ];
}

/** What a walk through the table makes of a map: a node of a graph, say, or its size. */
interface Meaning<Map> {
  convolution(map: Map, convolution: Convolution): Map;
  pool(map: Map, pool: Pool): Map;
  join(maps: readonly Map[]): Map;
}

function walk<Map>(path: Path, start: Map, meaning: Meaning<Map>, block = ""): Map {
  return path.reduce((map, step) => {
    const within = (paths: readonly Path[], name: string): Map => {
      return meaning.join(paths.map((side) => walk(side, map, meaning, name)));
    };
    if ("block" in step) return within(step.paths, `${step.block}.`);
    if ("pool" in step) return meaning.pool(map, step);
    if ("kernel" in step) return meaning.convolution(map, { ...step, name: block + step.name });
    return within(step, block);
  }, start);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/**
 * The convolutions of a file with their shapes, as far as graphs use them.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inceptionConvolutions(set: WeightSet): ModelTensor[] {
  const found: ModelTensor[] = [];
  walk<number>(layout(TORCHVISION_POOLS), CHANNELS, {
    convolution(inputs, { name, kernel }) {
      const shape = set.take(`${name}.conv.weight`, [-1, inputs, ...kernel]);
      for (const part of NORM_PARTS) set.take(`${name}.bn.${part}`, [shape[0]!]);
      found.push({ name, shape });
      return shape[0]!;
    },
    pool: (channels) => channels,
    join: sum,
  });
  return found;
}

/** Tensors of a batch norm. */
const NORM_PARTS = ["weight", "bias", "running_mean", "running_var"] as const;

/** What reads the tensors of a file. */
interface TensorReader {
  readonly file: string;
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
}

/**
 * Weights and biases of convolutions that have their batch norms in them, as a graph takes them:
 * `NAME.weight` and `NAME.bias`. They are computed in double precision when they are asked for.
 *
 * @param convolutions As {@linkcode inceptionConvolutions} lists them.
 */
export function foldedConvolutions(
  convolutions: readonly ModelTensor[],
  reader: TensorReader,
): SafetensorsEntry[] {
  const norm = async (name: string): Promise<{ scale: Float64Array; shift: Float64Array }> => {
    const [gain, bias, mean, variance] = await Promise.all(
      NORM_PARTS.map((part) => reader.readFloat32(`${name}.bn.${part}`)),
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const scale = Float64Array.from(gain, (value, i) => value / Math.sqrt(variance[i]! + NORM_EPSILON));
    const wrong = scale.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) {
      throw new ModelFileError("Cannot use a batch norm of the network", {
        file: reader.file,
        tensor: `${name}.bn.running_var`,
        expected: "variances from 0 on",
        found: `${variance[wrong]} in channel ${wrong}`,
      });
    }
    return { scale, shift: Float64Array.from(bias, (value, i) => value - mean[i]! * scale[i]!) };
  };
  const bytesOf = (values: Float32Array<ArrayBuffer>): Uint8Array => new Uint8Array(values.buffer);
  return convolutions.flatMap(({ name, shape }): SafetensorsEntry[] => [
    {
      ...{ name: `${name}.weight`, dtype: "F32", shape },
      async bytes() {
        const [{ scale }, weight] = [await norm(name), await reader.readFloat32(`${name}.conv.weight`)];
        const each = weight.length / scale.length;
        return bytesOf(weight.map((value, i) => value * scale[Math.floor(i / each)]!));
      },
    },
    {
      ...{ name: `${name}.bias`, dtype: "F32", shape: shape.slice(0, 1) },
      bytes: async () => bytesOf(new Float32Array((await norm(name)).shift)),
    },
  ]);
}

/** A map within the network. */
interface NamedMap {
  readonly name: string;
  readonly channels: number;
}

/** Zeros around a map: above, left, below, right. */
function padsOf(kernel: readonly [number, number], padded: boolean): number[] {
  const around = kernel.map((side) => padded ? side >> 1 : 0);
  return [...around, ...around];
}

/** The layers up to the last map, and what was made on the way. */
interface Trunk {
  readonly weights: GraphWeights;
  readonly last: NamedMap;
  /** The map behind each convolution, by its name. */
  readonly maps: ReadonlyMap<string, NamedMap>;
}

/**
 * Pictures [count, 3, height, width] to `result` [count, 1, channels], the mean of the last map.
 *
 * @param set Convolutions with their batch norms in them.
 * @param places Where they lie.
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function inceptionGraph(
  set: WeightSet,
  places: WeightPlaces,
  pools: InceptionPools = TORCHVISION_POOLS,
): Uint8Array<ArrayBuffer> {
  const { weights: { graph }, last } = trunkOf(new GraphWeights("inception", set, places), pools);
  const pooled = graph.add("GlobalAveragePool", [last.name]);
  graph.output(
    { name: "result", type: "float32", shape: ["count", 1, last.channels] },
    graph.reshape(pooled, [-1, 1, last.channels]),
  );
  return graph.bytes();
}

/** Classes of its last layer, `fc`. */
export const FID_CLASSES = 1008;

/** The convolution behind which sFID looks; TensorFlow's graph calls what it gives `mixed_6/conv`. */
const SPATIAL_CONVOLUTION = "Mixed_6d.branch1x1";
/** Channels that sFID takes of it, the first ones: 7, so that 17 · 17 · 7 are about as many as features. */
export const SPATIAL_CHANNELS = 7;

/**
 * The network by which FID is measured: pictures [count, 3, height, width] to `result` [count, numbers].
 * These are the mean of the last map; its products with the weights of the last layer, without the biases, as
 * Inception Scores are taken from; and the map that sFID is measured by, place by place.
 *
 * @param set Convolutions with their batch norms in them, and the last layer's weights.
 * @param places Where they lie.
 * @param range Values that inputs are cut off at, where preparing pictures may overshoot.
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function fidInceptionGraph(
  set: WeightSet,
  places: WeightPlaces,
  range?: readonly [low: number, high: number],
): Uint8Array<ArrayBuffer> {
  const { weights, last, maps } = trunkOf(new GraphWeights("inception_fid", set, places), FID_POOLS, range);
  const { graph } = weights;
  const features = graph.add("Flatten", [graph.add("GlobalAveragePool", [last.name])]);
  const logits = weights.linear(features, "fc", last.channels, FID_CLASSES, null);
  const seen = graph.add("Slice", [
    maps.get(SPATIAL_CONVOLUTION)!.name,
    ...[0, SPATIAL_CHANNELS, 1].map((at) => graph.constant("int64", [at])),
  ]);
  const spatial = graph.add("Flatten", [graph.add("Transpose", [seen], { perm: [0, 2, 3, 1] })]);
  graph.output(
    { name: "result", type: "float32", shape: ["count", "numbers"] },
    graph.add("Concat", [features, logits, spatial], { axis: 1 }),
  );
  return graph.bytes();
}

/** Adds the layers of the network to a graph that has none. */
function trunkOf(
  weights: GraphWeights,
  pools: InceptionPools,
  range?: readonly [low: number, high: number],
): Trunk {
  const { graph } = weights;
  const pictures = graph.input({
    name: "pictures",
    type: "float32",
    shape: ["count", CHANNELS, "height", "width"],
  });
  const bounds = range?.map((bound) => graph.constant("float32", [bound], []));
  const first = bounds === undefined ? pictures : graph.add("Clip", [pictures, ...bounds]);
  const maps = new Map<string, NamedMap>();
  const last = walk<NamedMap>(layout(pools), { name: first, channels: CHANNELS }, {
    convolution(from, { name, kernel, stride, padded }) {
      const shape = weights.shape(`${name}.weight`, [-1, from.channels, ...kernel]);
      const channels = shape[0]!;
      const parameters = [
        weights.tensor(`${name}.weight`, shape),
        weights.tensor(`${name}.bias`, [channels]),
      ];
      const convolved = graph.add("Conv", [from.name, ...parameters], {
        kernel_shape: kernel,
        strides: [stride, stride],
        pads: padsOf(kernel, padded),
      });
      const map = { name: graph.add("Relu", [convolved]), channels };
      maps.set(name, map);
      return map;
    },
    pool({ name, channels }, { pool, stride, padded }) {
      const window = { kernel_shape: [POOL, POOL], strides: [stride, stride] };
      const pads = padsOf([POOL, POOL], padded);
      const pooled = pool === "max"
        ? graph.add("MaxPool", [name], { ...window, pads })
        : graph.add("AveragePool", [name], {
          ...window,
          pads,
          count_include_pad: pools.countsBorder ? 1 : 0,
        });
      return { name: pooled, channels };
    },
    join(maps) {
      const name = graph.add("Concat", maps.map((map) => map.name), { axis: 1 });
      return { name, channels: sum(maps.map(({ channels }) => channels)) };
    },
  });
  return { weights, last, maps };
}

/** Size of a map. */
interface MapSize {
  readonly channels: number;
  readonly sides: readonly number[];
}

/** What a picture costs, and what comes out. */
export interface InceptionCost {
  /** Floating-point operations, two for each product that is added; those of pools do not count. */
  readonly flops: number;
  /** Numbers of a picture's features. */
  readonly channels: number;
  /** Places of the map that sFID is measured by. */
  readonly places: number;
}

/**
 * What a picture of an edge costs.
 *
 * @param convolutions As {@linkcode inceptionConvolutions} lists them.
 */
export function inceptionCost(convolutions: readonly ModelTensor[], edge: number): InceptionCost {
  const shapes = new Map(convolutions.map(({ name, shape }) => [name, shape]));
  const shrunk = (side: number, window: number, { stride, padded }: Convolution | Pool): number => {
    return Math.floor((side + (padded ? 2 * (window >> 1) : 0) - window) / stride) + 1;
  };
  let flops = 0;
  let places = 0;
  const { channels } = walk<MapSize>(layout(TORCHVISION_POOLS), { channels: CHANNELS, sides: [edge, edge] }, {
    convolution(map, convolution) {
      const [outputs = 0, inputs = 0, ...kernel] = shapes.get(convolution.name)!;
      const sides = map.sides.map((side, i) => shrunk(side, kernel[i]!, convolution));
      flops += [inputs, outputs, ...kernel, ...sides].reduce((product, size) => product * size, 2);
      if (convolution.name === SPATIAL_CONVOLUTION) places = sides[0]! * sides[1]!;
      return { channels: outputs, sides };
    },
    pool: (map, pool) => ({ ...map, sides: map.sides.map((side) => shrunk(side, POOL, pool)) }),
    join: (maps) => ({ ...maps[0]!, channels: sum(maps.map(({ channels }) => channels)) }),
  });
  return { flops, channels, places };
}
