/**
 * From the two checkpoints of a VAR model, as published or as its trainer saves them, to a model folder: graphs are built, weights
 * are copied tensor by tensor under their own names, as f32 or with the large ones in a smaller type.
 *
 * @module
 */

import {
  byteLength,
  type Checkpoint,
  encodeFloat16,
  openCheckpoint,
  type SafetensorsEntry,
} from "../checkpoint/mod.ts";
import { openSource, sourceSha256 } from "../checkpoint/source.ts";
import type { Dtype } from "../dtype.ts";
import { MANIFEST, type ModelFolder, type ModelTuning, openModelFolder } from "../folder.ts";
import type { FolderWriter, WriteTensorsOptions } from "../folder_writer.ts";
import { ModelFileError } from "../model_file_error.ts";
import type { WeightPlaces } from "../onnx.ts";
import { type BlockOptions, blockShapes, quantizeBlocks, type QuantizedBlocks, SCALES } from "../quantize.ts";
import { createVirtualFolder } from "../virtual_folder.ts";
import { WeightSet } from "../weights.ts";
import {
  inferTokenizerConfig,
  inferTransformerConfig,
  inferVarConfig,
  requireDepth,
  requireVarConfig,
  type TokenizerConfig,
  type VarConfig,
} from "./config.ts";
import { conditionGraph, decoderGraph, encoderGraph, transformerGraph } from "./graph.ts";
import { publishedClassNames } from "./imagenet.ts";
import { storedDtype } from "./precision.ts";

/** Name of the transformer's weights in a model folder. */
export const TRANSFORMER = "transformer";
/** Name of the tokenizer's weights. */
export const TOKENIZER = "tokenizer";

/** Checkpoints of a VAR model: paths, URLs, or bytes. One file may hold both, as the trainer saves them. */
export interface VarCheckpoints {
  /** The transformer, for example `var_d16.pth`. */
  readonly var: string | URL | Uint8Array;
  /** The tokenizer, for example `vae_ch160v4096z32.pth`. */
  readonly vae: string | URL | Uint8Array;
  /** SHA-256 of the two in hexadecimal, where they are known; else they are read once to find it out. */
  readonly sha256?: { readonly var?: string | undefined; readonly vae?: string | undefined };
}

/** A model folder as what another is made from. Its weights must not be quantized. */
export interface VarFolder {
  /** Path or URL, or an open folder, which stays the caller's. */
  readonly folder: string | URL | ModelFolder;
}

/** What a model folder is made from. */
export type VarSource = VarCheckpoints | VarFolder;

/** Options of {@linkcode convertVar}. */
export interface ConvertVarOptions {
  /** How the large weights are stored; `"f32"` by default. */
  dtype?: Dtype;
  /** Name for people; `"VAR-d"` and the depth by default, or the name of the folder it is made from. */
  name?: string;
  /**
   * Names of the classes in order. By default those of the folder it is made from, else those of ImageNet for a model of a published size,
   * else none.
   */
  classNames?: readonly string[];
  /** Search settings that suit the model; those that are left out are of the folder it is made from, if it is made from one. */
  tuning?: ModelTuning;
  /** Depth that the model must have; any by default. */
  depth?: number;
  /** Called whenever a tensor has been written, with the bytes of tensors written so far and in all. */
  onProgress?: (done: number, total: number) => void;
  /** Ends the conversion. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode openVarSource}. */
export type OpenVarOptions = Omit<ConvertVarOptions, "onProgress">;

/** Where the trainer's files keep the two state dictionaries; published files are one themselves. */
const PREFIXES = {
  transformer: ["", "trainer.var_wo_ddp."],
  tokenizer: ["", "trainer.vae_local."],
} as const;

/** Tensors by which the two are recognised. */
const TRANSFORMER_LANDMARK = "pos_start";
const TOKENIZER_LANDMARK = "quantize.embedding.weight";

/** Buffers that are derivable or serve training only. */
const UNUSED = /(^|\.)(lvl_1L|attn_bias_for_masking|zero_k_bias|ema_vocab_hit_SV)$/;

/** Raised whenever other bytes come of the same checkpoint, so that a conversion that was killed before is not continued with them. */
const CONVERSION = 1;

/**
 * Converts a VAR model, one tensor in memory at a time.
 *
 * @param source The checkpoints, or a model folder whose weights are to have another type.
 * @param writer Where the folder is written.
 * @throws {ModelFileError} If a file is no checkpoint, its tensors do not make a VAR model, or its weights are quantized already.
 * @throws {RangeError} If the model is of another depth, or has another number of classes than there are names.
 */
export async function convertVar(
  source: VarSource,
  writer: FolderWriter,
  options: ConvertVarOptions = {},
): Promise<ModelFolder> {
  const { dtype = "f32", depth, onProgress, signal } = options;
  const { transformer, tokenizer, scales, defaults, origin } = "folder" in source
    ? await openFolder(source.folder, writer, signal)
    : await openCheckpoints(source, writer, signal);
  const transformerSet = weightSet(transformer, PREFIXES.transformer, TRANSFORMER_LANDMARK);
  const tokenizerSet = weightSet(tokenizer, PREFIXES.tokenizer, TOKENIZER_LANDMARK);

  const config = inferVarConfig(
    transformerSet,
    tokenizerSet,
    scales === undefined ? await scalesOf(transformer, transformerSet) : { scales },
  );
  const {
    classNames = defaults.classNames ?? publishedClassNames(config),
    name = defaults.name ?? `VAR-d${config.depth}`,
  } = options;
  const tuning = { ...defaults.tuning, ...options.tuning };
  requireDepth({ name, depth: config.depth }, depth, "convert");
  if (classNames.length !== 0 && classNames.length !== config.classes) {
    throw new RangeError(
      `Cannot convert the model as it has ${config.classes} classes: the number of class names is ${classNames.length}`,
    );
  }

  // Building the graphs asserts every tensor; the places of the bytes are known only once they are written.
  buildGraphs(
    config,
    transformerSet,
    tokenizerSet,
    () => ({ file: "", offset: 0, length: 0, type: "float32", shape: [] }),
  );
  takeKernelWeights(config, transformerSet, tokenizerSet);
  transformerSet.requireAllTaken(UNUSED);
  // One file may hold both state dictionaries, side by side; each set sees its own prefix only.
  tokenizerSet.requireAllTaken(UNUSED);

  const transformerEntries = entries(transformer, transformerSet, dtype);
  const tokenizerEntries = entries(tokenizer, tokenizerSet, dtype);
  const total = [...transformerEntries, ...tokenizerEntries].reduce(
    (sum, entry) => sum + byteLength(entry),
    0,
  );
  let done = 0;
  const writing: WriteTensorsOptions = {
    ...(origin === undefined ? {} : { origin: `conversion ${CONVERSION} to ${dtype} of ${origin}` }),
    onBytes: (count) => onProgress?.(done += count, total),
  };
  const graphs = buildGraphs(
    config,
    transformerSet,
    tokenizerSet,
    await writer.writeTensors(TRANSFORMER, transformerEntries, writing),
    await writer.writeTensors(TOKENIZER, tokenizerEntries, writing),
  );
  for (const [file, bytes] of graphs) await writer.write(file, bytes);
  return await writer.finish({ family: "var", name, dtype, config, classNames, tuning });
}

/**
 * Opens checkpoints, or a model folder whose weights are to have another type, as a model folder that is stored nowhere: each tensor is
 * converted when it is read. The checkpoints stay open until the folder is disposed.
 *
 * What it costs at once: the graphs are built from the list of tensors; a checkpoint whose SHA-256 is not told is read once
 * to find it out, as are the files of a folder, to check them.
 *
 * @throws {ModelFileError} If a file is no checkpoint, its tensors do not make a VAR model, or its weights are quantized already.
 */
export async function openVarSource(source: VarSource, options: OpenVarOptions = {}): Promise<ModelFolder> {
  const { dtype = "f32", signal } = options;
  const shown = (place: string | URL | Uint8Array): string =>
    place instanceof Uint8Array ? "bytes in memory" : String(place);
  if ("folder" in source) {
    const { folder } = source;
    using opened = isFolder(folder) ? undefined : await openModelFolder(folder, { signal });
    const original = opened ?? folder as ModelFolder;
    const fingerprints = Object.entries(original.fingerprints)
      .map(([file, hash]) => [`${file.replace(/ as \w+$/, "")} as ${dtype}`, hash] as const);
    await using writer = createVirtualFolder(original.location, {
      signal,
      fingerprints: () => Promise.resolve(Object.fromEntries(fingerprints)),
    });
    return await convertVar({ folder: original }, writer, options);
  }
  const hashOf = async (place: string | URL | Uint8Array): Promise<string> => {
    using bytes = await openSource(place, { signal });
    return await sourceSha256(bytes);
  };
  await using writer = createVirtualFolder(`${shown(source.var)} + ${shown(source.vae)}`, {
    signal,
    fingerprints: async () => {
      const { sha256 = {} } = source;
      const transformer = sha256.var ?? await hashOf(source.var);
      const tokenizer = sha256.vae ?? (source.vae === source.var ? transformer : await hashOf(source.vae));
      return { [`${TRANSFORMER} as ${dtype}`]: transformer, [`${TOKENIZER} as ${dtype}`]: tokenizer };
    },
  });
  return await convertVar(source, writer, options);
}

/** What the two parts of a model are read from, and what is known of it beside the tensors. */
interface OpenParts {
  readonly transformer: Checkpoint;
  readonly tokenizer: Checkpoint;
  /** Scale of each token, where it is known from elsewhere than the tensors. */
  readonly scales?: readonly number[];
  readonly defaults: Pick<ConvertVarOptions, "name" | "classNames" | "tuning">;
  /** Tells these bytes from others; unknown for what comes from memory or a web server. */
  readonly origin: string | undefined;
}

async function openCheckpoints(
  checkpoints: VarCheckpoints,
  writer: FolderWriter,
  signal: AbortSignal | undefined,
): Promise<OpenParts> {
  const transformer = writer.own(await openCheckpoint(checkpoints.var, { signal }));
  const tokenizer = writer.own(await openCheckpoint(checkpoints.vae, { signal }));
  const origins = [await originOf(checkpoints.var), await originOf(checkpoints.vae)];
  const origin = origins.includes(undefined) ? undefined : origins.join(" and ");
  return { transformer, tokenizer, defaults: {}, origin };
}

async function openFolder(
  place: VarFolder["folder"],
  writer: FolderWriter,
  signal: AbortSignal | undefined,
): Promise<OpenParts> {
  const folder = isFolder(place) ? place : writer.own(await openModelFolder(place, { signal }));
  const { family, dtype, name, classNames, tuning = {} } = folder.manifest;
  const file = `${folder.location}/${MANIFEST}`;
  if (family !== "var") {
    throw new ModelFileError("Cannot convert a model of this family", {
      file,
      expected: '"var"',
      found: `"${family}"`,
    });
  }
  if (dtype !== "f32" && dtype !== "f16") {
    throw new ModelFileError(
      "Cannot convert weights that are quantized, as what is lost would be lost twice",
      {
        file,
        expected: "weights in f32 or f16, or the original checkpoints",
        found: dtype,
      },
    );
  }
  const { patchNumbers } = requireVarConfig(folder.manifest.config, file);
  return {
    transformer: writer.own(await folder.weights(TRANSFORMER)),
    tokenizer: writer.own(await folder.weights(TOKENIZER)),
    scales: patchNumbers.flatMap((side, scale) => new Array<number>(side * side).fill(scale)),
    defaults: { name, classNames, tuning },
    origin: JSON.stringify(folder.fingerprints),
  };
}

function isFolder(place: VarFolder["folder"]): place is ModelFolder {
  return typeof place === "object" && !(place instanceof URL);
}

/** Tells a file from others, and from itself at another time, without reading it. */
async function originOf(place: string | URL | Uint8Array): Promise<string | undefined> {
  if (place instanceof Uint8Array || /^https?:/i.test(String(place))) return undefined;
  const path = /^file:/i.test(String(place)) ? new URL(place) : place;
  const { size, mtime } = await Deno.stat(path);
  return `${await Deno.realPath(path)} of ${size} bytes of ${mtime?.toISOString()}`;
}

/** What a checkpoint holds of a VAR model: one part, both, as the trainer saves them, or none. */
export interface VarCheckpointContent {
  /** Sizes of the transformer, if it is there. */
  readonly transformer: Omit<VarConfig, "tokenizer"> | undefined;
  /** Sizes of the tokenizer, if it is there. */
  readonly tokenizer: TokenizerConfig | undefined;
}

/**
 * Tells what a checkpoint holds of a VAR model, from the names and shapes of its tensors.
 *
 * @throws {ModelFileError} If a part is there whose tensors contradict each other.
 *
 * @example
 * ```ts
 * import { describeVarCheckpoint } from "./convert.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { openCheckpoint } from "../checkpoint/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using checkpoint = await openCheckpoint(new URL("tokenizer.safetensors", DEMO_MODEL));
 * const { transformer, tokenizer } = await describeVarCheckpoint(checkpoint);
 * assertEquals([transformer, tokenizer?.vocabulary], [undefined, 512]);
 * ```
 */
export async function describeVarCheckpoint(checkpoint: Checkpoint): Promise<VarCheckpointContent> {
  const transformer = findWeightSet(checkpoint, PREFIXES.transformer, TRANSFORMER_LANDMARK);
  const tokenizer = findWeightSet(checkpoint, PREFIXES.tokenizer, TOKENIZER_LANDMARK);
  return {
    transformer: transformer && inferTransformerConfig(transformer, await scalesOf(checkpoint, transformer)),
    tokenizer: tokenizer && inferTokenizerConfig(tokenizer),
  };
}

/** The scale of each token, where the transformer's file tells. */
async function scalesOf(checkpoint: Checkpoint, set: WeightSet): Promise<{ scales?: Float32Array }> {
  return set.has("lvl_1L") ? { scales: await checkpoint.readFloat32(set.fullName("lvl_1L")) } : {};
}

function findWeightSet(
  checkpoint: Checkpoint,
  prefixes: readonly string[],
  landmark: string,
): WeightSet | undefined {
  const prefix = prefixes.find((candidate) => checkpoint.tensors.has(candidate + landmark));
  return prefix === undefined ? undefined : new WeightSet(checkpoint.file, checkpoint.tensors, prefix);
}

function weightSet(checkpoint: Checkpoint, prefixes: readonly string[], landmark: string): WeightSet {
  const found = findWeightSet(checkpoint, prefixes, landmark);
  if (found !== undefined) return found;
  const names = [...checkpoint.tensors.keys()].slice(0, 3).map((name) => `"${name}"`).join(", ");
  throw new ModelFileError("Cannot find the model in the checkpoint", {
    file: checkpoint.file,
    expected: `a tensor "${landmark}"`,
    found: names === "" ? "no tensors" : `${names} …`,
  });
}

function buildGraphs(
  config: VarConfig,
  transformerSet: WeightSet,
  tokenizerSet: WeightSet,
  transformer: WeightPlaces,
  tokenizer: WeightPlaces = transformer,
): Map<string, Uint8Array<ArrayBuffer>> {
  const graphs = new Map([
    ["condition.onnx", conditionGraph(config, transformerSet, transformer)],
    ["transformer.onnx", transformerGraph(config, transformerSet, transformer)],
  ]);
  const { decoder, encoder } = config.tokenizer;
  if (decoder !== null) graphs.set("decoder.onnx", decoderGraph(config.tokenizer, tokenizerSet, tokenizer));
  if (encoder !== null) graphs.set("encoder.onnx", encoderGraph(config.tokenizer, tokenizerSet, tokenizer));
  return graphs;
}

/** The tensors that our own kernels read. */
function takeKernelWeights(config: VarConfig, transformer: WeightSet, tokenizer: WeightSet): void {
  const { vocabulary, channels, residuals } = config.tokenizer;
  transformer.take("word_embed.bias", [config.width]);
  tokenizer.take("quantize.embedding.weight", [vocabulary, channels]);
  for (let i = 0; i < residuals; i++) {
    tokenizer.take(`quantize.quant_resi.qresi_ls.${i}.weight`, [channels, channels, 3, 3]);
    tokenizer.take(`quantize.quant_resi.qresi_ls.${i}.bias`, [channels]);
  }
  // A file without one of the two networks may still hold the convolution beside it.
  for (const name of ["quant_conv", "post_quant_conv"]) {
    if (!tokenizer.hasAny(`${name}.`)) continue;
    tokenizer.take(`${name}.weight`, [channels, channels, 3, 3]);
    tokenizer.take(`${name}.bias`, [channels]);
  }
}

function entries(checkpoint: Checkpoint, set: WeightSet, dtype: Dtype): SafetensorsEntry[] {
  return set.taken().flatMap((name): SafetensorsEntry[] => {
    const source = set.fullName(name);
    const tensor = checkpoint.tensors.get(source)!;
    const { shape } = tensor;
    const stored = storedDtype(name, shape, dtype);
    const read = (): Promise<Float32Array<ArrayBuffer>> => checkpoint.readFloat32(source);
    if (stored === "q8" || stored === "q4") {
      return quantizedEntries(name, shape, stored, { file: checkpoint.file, tensor: source, read });
    }
    const type = stored === "f32" ? "F32" : "F16";
    const bytes = async (): Promise<Uint8Array> => {
      if (type === tensor.dtype) return await checkpoint.read(source);
      return stored === "f32" ? bytesOf(await read()) : encodeFloat16(await read());
    };
    return [{ name, dtype: type, shape, bytes }];
  });
}

/** Integers and scales of a matrix. */
function quantizedEntries(
  name: string,
  shape: readonly number[],
  dtype: "q8" | "q4",
  { file, tensor, read }: { file: string; tensor: string; read: () => Promise<Float32Array> },
): SafetensorsEntry[] {
  const [rows = 0, columns = 0] = shape;
  const options: BlockOptions = { rows, columns, bits: dtype === "q4" ? 4 : 8 };
  const shapes = blockShapes(options);
  // The scales tend to be asked for right after the integers, and are a small part of them.
  let scales: Float32Array<ArrayBuffer> | undefined;
  const quantize = async (): Promise<QuantizedBlocks> => {
    const values = await read();
    try {
      return quantizeBlocks(values, options);
    } catch (cause) {
      throw new ModelFileError("Cannot quantize a tensor of the model", {
        file,
        tensor,
        expected: "finite values",
        found: (cause as Error).message,
        cause,
      });
    }
  };
  const packedBytes = async (): Promise<Uint8Array> => {
    const blocks = await quantize();
    scales = blocks.scales;
    return blocks.packed;
  };
  const scaleBytes = async (): Promise<Uint8Array> => {
    const known = scales ?? (await quantize()).scales;
    scales = undefined;
    return bytesOf(known);
  };
  return [
    { name, dtype: "U8", shape: shapes.packed, bytes: packedBytes },
    { name: name + SCALES, dtype: "F32", shape: shapes.scales, bytes: scaleBytes },
  ];
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
