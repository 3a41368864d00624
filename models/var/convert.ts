/**
 * From the two checkpoints of a VAR model, as published or as its trainer saves them, to a model folder: graphs are built, weights
 * are copied tensor by tensor under their own names, as f32 or with the large ones in a smaller type.
 *
 * @module
 */

import { type Checkpoint, encodeFloat16, openCheckpoint, type SafetensorsEntry } from "../checkpoint/mod.ts";
import type { FolderWriter, ModelFolder, ModelTuning } from "../folder.ts";
import type { Dtype } from "../dtype.ts";
import { ModelFileError } from "../model_file_error.ts";
import { WeightSet } from "../weights.ts";
import {
  inferTokenizerConfig,
  inferTransformerConfig,
  inferVarConfig,
  type TokenizerConfig,
  type VarConfig,
} from "./config.ts";
import type { WeightPlaces } from "../onnx.ts";
import { conditionGraph, decoderGraph, encoderGraph, transformerGraph } from "./graph.ts";

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
}

/** Options of {@linkcode convertVar}. */
export interface ConvertVarOptions {
  /** How the large weights are stored; `"f32"` by default. */
  dtype?: Dtype;
  /** Name for people; `"VAR-d"` and the depth by default. */
  name?: string;
  /** Names of the classes in order. */
  classNames?: readonly string[];
  /** Search settings that suit the model. */
  tuning?: ModelTuning;
  /** Ends the conversion. */
  signal?: AbortSignal | undefined;
}

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

/** Tensors with fewer elements stay float32: norms, biases and codes are precious and small. */
const HALF_MIN_ELEMENTS = 16384;

/**
 * Converts a VAR model.
 *
 * @throws {ModelFileError} If a file is no checkpoint, or its tensors do not make a VAR model.
 */
export async function convertVar(
  checkpoints: VarCheckpoints,
  writer: FolderWriter,
  options: ConvertVarOptions = {},
): Promise<ModelFolder> {
  const { dtype = "f32", signal } = options;
  using transformer = await openCheckpoint(checkpoints.var, { signal });
  using tokenizer = await openCheckpoint(checkpoints.vae, { signal });
  const transformerSet = weightSet(transformer, PREFIXES.transformer, TRANSFORMER_LANDMARK);
  const tokenizerSet = weightSet(tokenizer, PREFIXES.tokenizer, TOKENIZER_LANDMARK);

  const config = inferVarConfig(transformerSet, tokenizerSet, await scalesOf(transformer, transformerSet));
  const { classNames = [], name = `VAR-d${config.depth}`, tuning = {} } = options;
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

  const graphs = buildGraphs(
    config,
    transformerSet,
    tokenizerSet,
    await writer.writeTensors(`${TRANSFORMER}.safetensors`, entries(transformer, transformerSet, dtype)),
    await writer.writeTensors(`${TOKENIZER}.safetensors`, entries(tokenizer, tokenizerSet, dtype)),
  );
  for (const [file, bytes] of graphs) await writer.write(file, bytes);
  return await writer.finish({ family: "var", name, dtype, config, classNames, tuning });
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

function* entries(checkpoint: Checkpoint, set: WeightSet, dtype: Dtype): Generator<SafetensorsEntry> {
  for (const name of set.taken()) {
    const fullName = set.fullName(name);
    const { shape } = checkpoint.tensors.get(fullName)!;
    const elements = shape.reduce((product, size) => product * size, 1);
    // The codebook decides which token is drawn and how far apart two are, so it keeps its precision whatever its size.
    const half = dtype === "f16" && elements >= HALF_MIN_ELEMENTS && !name.startsWith("quantize.");
    yield {
      name,
      dtype: half ? "F16" : "F32",
      shape,
      bytes: async () => {
        const values = await checkpoint.readFloat32(fullName);
        return half
          ? encodeFloat16(values)
          : new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      },
    };
  }
}
