/**
 * A network's tensors in a published file, by the names that its graph has for them: which layout a file has,
 * and its tensors as a file of weights that is stored nowhere. Types stay as they are stored where graphs
 * know them, and become f32 where not (bfloat16, which f32 holds exactly). Which tensors there are, and in
 * which shapes, is left to each network.
 *
 * @module
 */

import { byteLength, type Checkpoint, type SafetensorsEntry, type TensorInfo } from "../checkpoint/mod.ts";
import { VirtualSource } from "../checkpoint/virtual_source.ts";
import type { CheckpointPart } from "../family.ts";
import { keepHalves } from "../graphs/graph_file.ts";
import { ModelFileError } from "../model_file_error.ts";
import { namesOfPlaces, type PartPlace, partPlaces } from "../part_places.ts";
import type { ModelTensor } from "../weights/model_tensor.ts";
import { openWeightFiles, planWeightFiles, type WeightFiles } from "../weights/weight_files.ts";
import { WeightSet } from "../weights/weight_set.ts";

/** How a published file names the tensors of a network. */
export interface TensorLayout {
  /** Whose layout it is, for messages. */
  readonly title: string;
  /** A tensor by which it is known, under our name. */
  readonly landmark: string;
  /** Pieces of names, in the file and here, which are replaced one after the other. */
  readonly names: readonly (readonly [inFile: string, here: string])[];
  /** Tensors under our names that no graph reads. */
  readonly unused: RegExp;
}

/** How transformers names the parts of a block, for {@linkcode TensorLayout.names}. */
export const TRANSFORMERS_BLOCK: TensorLayout["names"] = [
  [".self_attn.q_proj.", ".attn.q."],
  [".self_attn.k_proj.", ".attn.k."],
  [".self_attn.v_proj.", ".attn.v."],
  [".self_attn.out_proj.", ".attn.proj."],
  [".layer_norm1.", ".norm1."],
  [".layer_norm2.", ".norm2."],
];

/** Tensors of a network, as they lie in a file. */
export interface NetworkTensors<Layout extends TensorLayout = TensorLayout> {
  /** The file, which stays whoever's it is. */
  readonly checkpoint: Checkpoint;
  /** Its layout. */
  readonly layout: Layout;
  /** The tensors by our names, of which what a network has is taken. */
  readonly set: WeightSet;
  /** The same; each knows its name in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Values that take the place of those in the file. */
export interface ReplacedTensor {
  /** Shape. */
  readonly shape: readonly number[];
  /** Values. */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Bytes of halves that are widened when a graph is loaded; from there on they stay what they are. */
const WIDENED_BYTES = 2 ** 29;

/** Tensors that some files hold without the axes of length 1 in front, and how many axes they have. */
const FULL_AXES: readonly (readonly [name: RegExp, axes: number])[] = [
  [/(^|\.)(cls_token|pos_embed)$/, 3],
];

/**
 * Our name of a tensor.
 *
 * @param name Its name in the file.
 *
 * @example
 * ```ts
 * import { nameHere, nameInFile } from "./network_weights.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const layout = { names: [["encoder.layers.", "blocks."], [".layer_norm1.", ".norm1."]] } as const;
 * assertEquals(nameHere(layout, "encoder.layers.0.layer_norm1.bias"), "blocks.0.norm1.bias");
 * assertEquals(nameInFile(layout, "blocks.0.norm1.bias"), "encoder.layers.0.layer_norm1.bias");
 * ```
 */
export function nameHere({ names }: Pick<TensorLayout, "names">, name: string): string {
  return names.reduce((result, [inFile, here]) => withPiece(result, inFile, here), name);
}

/** Name in the file of a tensor that we call `name`. */
export function nameInFile({ names }: Pick<TensorLayout, "names">, name: string): string {
  return names.reduceRight((result, [inFile, here]) => withPiece(result, here, inFile), name);
}

/** A name with a piece replaced, which begins where a word of the name does. */
function withPiece(name: string, piece: string, other: string): string {
  const dotted = (text: string): string => text.startsWith(".") ? text : `.${text}`;
  return dotted(name).replace(dotted(piece), () => dotted(other)).slice(1);
}

/**
 * Finds a network's tensors in a file, whatever a trainer has put in front of their names.
 *
 * @param title What the network is called, for messages.
 * @param layouts Layouts that it is published in.
 * @throws {ModelFileError} If the file has none of these layouts, or several sets of the tensors.
 */
export function findNetwork<Layout extends TensorLayout>(
  title: string,
  checkpoint: Checkpoint,
  layouts: readonly Layout[],
): NetworkTensors<Layout> {
  const { file } = checkpoint;
  for (const layout of layouts) {
    const { landmark, unused } = layout;
    const part: CheckpointPart = {
      name: title,
      weights: title,
      title,
      landmark,
      unused,
      nameOf: (stored) => nameHere(layout, stored),
      isIn: (tensors) => tensors.has(landmark),
    };
    const [places] = partPlaces([part], checkpoint) as [ReturnType<typeof partPlaces>[number]];
    if (places.length === 0) continue;
    const [place, ...others] = places as [PartPlace, ...PartPlace[]];
    if (others.length > 0) {
      throw new ModelFileError(
        `Cannot tell which weights of ${title} to take: keep one set of them in the file`,
        {
          file,
          expected: "one set",
          found: namesOfPlaces(places).join(" and "),
        },
      );
    }
    const tensors = new Map(
      place.tensors.entries().map(([name, { shape, ...tensor }]) => {
        const axes = FULL_AXES.find(([pattern]) => pattern.test(name))?.[1] ?? shape.length;
        const missing = new Array<number>(Math.max(0, axes - shape.length)).fill(1);
        return [name, { ...tensor, shape: [...missing, ...shape] }];
      }),
    );
    const set = new WeightSet(file, tensors, (name) => {
      return tensors.get(name)?.name ?? place.prefix + nameInFile(layout, name);
    });
    return { checkpoint, layout, set, tensors };
  }
  throw new ModelFileError(`Cannot find ${title} in the file`, {
    file,
    expected: layouts.map((layout) => `"${nameInFile(layout, layout.landmark)}" (${layout.title})`).join(
      " or ",
    ),
    found: `${checkpoint.tensors.size} other tensors`,
  });
}

/**
 * Tensors as files that a graph session reads. The checkpoint must stay open for as long as they are.
 *
 * @param wanted The tensors that a graph reads; they are taken from the set.
 * @param replaced Values for some of them, in their new shapes.
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export async function openNetworkWeights(
  { checkpoint, set, tensors }: NetworkTensors,
  wanted: readonly ModelTensor[],
  replaced: Readonly<Record<string, ReplacedTensor>> = {},
): Promise<WeightFiles> {
  const entries = wanted.map(({ name, shape }): SafetensorsEntry => {
    const other = replaced[name];
    if (other !== undefined) {
      return { name, dtype: "F32", shape: other.shape, bytes: () => new Uint8Array(other.values.buffer) };
    }
    set.take(name, shape);
    const { name: source, dtype } = tensors.get(name)!;
    if (dtype === "F32" || dtype === "F16") {
      return { name, dtype, shape, bytes: () => checkpoint.read(source) };
    }
    const bytes = async (): Promise<Uint8Array> => {
      return new Uint8Array((await checkpoint.readFloat32(source)).buffer);
    };
    return { name, dtype: "F32", shape, bytes };
  });
  return await openWeightEntries(checkpoint.file, entries);
}

/**
 * Tensors that are produced when they are read, as files that a graph session reads.
 *
 * @param file Path or URL of the file that they come from, for messages.
 */
export async function openWeightEntries(
  file: string,
  entries: readonly SafetensorsEntry[],
): Promise<WeightFiles> {
  const sources = planWeightFiles("network", entries).map(({ name, layout }) => {
    return { path: name, source: new VirtualSource(`${file}/${name}`, layout) };
  });
  return await openWeightFiles(file, sources);
}

/**
 * A graph that spares memory where its halves would take more than a GiB as f32: they are then cast in each
 * run, which takes a tenth longer. The ViT-H of HPS v2.1 would be 3.7 GB, about all that WebAssembly has.
 *
 * @param weights The graph's weights.
 */
export function sparing(graph: Uint8Array, { tensors }: Pick<Checkpoint, "tensors">): Uint8Array {
  const halves = [...tensors.values()].filter(({ dtype }) => dtype === "F16");
  return halves.reduce((sum, tensor) => sum + byteLength(tensor), 0) > WIDENED_BYTES
    ? keepHalves(graph)
    : graph;
}
