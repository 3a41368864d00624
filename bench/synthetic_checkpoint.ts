/**
 * Checkpoints of the published sizes with random values, to run, convert and time a model of full size
 * without a download: names, shapes, types and order are those of the official files, and the values keep
 * activations near 1 through any depth. Pictures made with them are noise. The lists of tensors are apart
 * from those in `models/`, so that each can be held against the other.
 *
 *     deno run -A bench/synthetic_checkpoint.ts --output DIR [--family var|flexvar] [--depth 16] [--seed 0]
 *     [--var] [--vae] [--trainer] [--overwrite] [--pixels 256|512] [--channels N]
 *     deno run -A bench/synthetic_checkpoint.ts --output DIR --family infinity [--size 125M|2B|8B]
 *     [--dtype f32|f16] [--sharded] [--text-tokenizer FILE] [--text-layers 24] [--seed 0]
 *     [--infinity] [--vae] [--t5] [--overwrite]
 *
 * Writes a transformer and a tokenizer, or the one that is asked for, under the names of the published files;
 * with `--trainer` in one file, as the trainers save them. `--pixels` is for VAR, whose models paint one
 * size. Infinity's text encoder is written if there is a tokenizer's file to put beside it, and may have
 * fewer layers, as models go by its width alone. Memory stays small whatever the size.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { join } from "node:path";
import { requireChoice, requireInteger } from "../kernels/arguments.ts";
import { type SyntheticFile, writeSynthetic, writeSyntheticFolder } from "./checkpoint_writer.ts";
import { infinityFiles, parseInfinityRequest } from "./infinity_checkpoint.ts";
import type { PyTorchTensor } from "./pytorch_file.ts";
import { constant, normal, TensorList } from "./random_tensors.ts";

/** Sizes of a synthetic checkpoint that differ among the published ones of both families. */
interface CommonSizes {
  /** Transformer blocks; width and heads follow from it. */
  readonly depth: number;
  /** Channels of the tokenizer's finest level, a multiple of 32. */
  readonly channels: number;
  /** Selects the values. */
  readonly seed: number;
}

/** Sizes of a VAR model. */
export interface VarSizes extends CommonSizes {
  /** Which it is. */
  readonly family: "var";
  /** Side of the picture. The 512 px model shares one adaLN projection among all blocks. */
  readonly pixels: 256 | 512;
}

/** Sizes of a FlexVAR model, which paints pictures of any size. */
export interface FlexVarSizes extends CommonSizes {
  /** Which it is. */
  readonly family: "flexvar";
}

/** Sizes of a synthetic checkpoint. */
export type SyntheticSizes = VarSizes | FlexVarSizes;

/** The families that there are checkpoints of. */
export const SYNTHETIC_FAMILIES = ["var", "flexvar"] as const satisfies SyntheticSizes["family"][];

const CODE_CHANNELS = 32;
const CLASSES = 1000;
const PATCH_NUMBERS: Readonly<Record<VarSizes["pixels"], readonly number[]>> = {
  256: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  512: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
};
/** Side of FlexVAR's map of positions. */
const POSITION_SIDE = 32;

/** What the families' tokenizers differ in. */
interface Layout {
  readonly vocabulary: number;
  /** Channels of the published tokenizer's finest level. */
  readonly channels: number;
  /** Channels between the networks and the convolutions beside them. */
  readonly latent: number;
  /** Side of the kernels of those convolutions. */
  readonly quantSide: 1 | 3;
  /** Names of the layers between the levels: residual, attention, residual. */
  readonly middle: readonly [string, string, string];
  /** Name of a list of residual blocks. */
  readonly blocks: string;
  /** Projections of attention, with their outputs in units of its channels. */
  readonly projections: Readonly<Record<string, number>>;
  /** Name of a level, 0 being the finest. */
  readonly level: (network: "encoder" | "decoder", level: number) => string;
}

const LEVELS = [1, 1, 2, 2, 4];
const COARSEST = LEVELS.length - 1;

const LAYOUTS: Readonly<Record<SyntheticSizes["family"], Layout>> = {
  var: {
    vocabulary: 4096,
    channels: 160,
    latent: CODE_CHANNELS,
    quantSide: 3,
    middle: ["block_1", "attn_1", "block_2"],
    blocks: "block",
    projections: { qkv: 3 },
    level: (network, level) => `${network === "encoder" ? "down" : "up"}.${level}`,
  },
  flexvar: {
    vocabulary: 8912,
    channels: 128,
    latent: 256,
    quantSide: 1,
    middle: ["0", "1", "2"],
    blocks: "res",
    projections: { q: 1, k: 1, v: 1 },
    // Steps are counted as they are taken.
    level: (network, level) => `conv_blocks.${network === "encoder" ? level : COARSEST - level}`,
  },
};

/** The state dict of a transformer, in the order of its file. */
export function varTensors(sizes: SyntheticSizes): readonly PyTorchTensor[] {
  const { family, depth, seed } = sizes;
  const { vocabulary } = LAYOUTS[family];
  const width = 64 * depth;
  const shared = family === "var" && sizes.pixels === 512;
  const sides = PATCH_NUMBERS[family === "var" ? sizes.pixels : 256];
  const scaleOf = sides.flatMap((side, scale) => Array<number>(side * side).fill(scale));
  const length = scaleOf.length;
  const list = new TensorList({ seed });
  const embedding = normal(1 / Math.sqrt(width));
  // The bias is what gates, scales and shifts are without a class, the weight how far apart the classes are:
  // 0.1, as half of a class's embedding passes the SiLU.
  const modulation = { gain: 0.2 * Math.sqrt(width), bias: 0.3 };

  list.add("pos_start", [1, 1, width], embedding);
  list.add(
    "pos_1LC",
    family === "var" ? [1, length, width] : [1, width, POSITION_SIDE, POSITION_SIDE],
    embedding,
  );
  if (family === "var") list.addIntegers("lvl_1L", [1, length], scaleOf);
  list.add("attn_bias_for_masking", [1, 1, length, length], (values, start) => {
    for (let i = 0; i < values.length; i++) {
      const [query, key] = [Math.floor((start + i) / length), (start + i) % length];
      values[i] = scaleOf[query]! >= scaleOf[key]! ? 0 : -Infinity;
    }
  });
  // FlexVAR's codes are of length 1.
  list.linear("word_embed", width, CODE_CHANNELS, { gain: family === "var" ? 1 : Math.sqrt(CODE_CHANNELS) });
  list.add("class_emb.weight", [CLASSES + 1, width], embedding);
  if (family === "var") list.add("lvl_embed.weight", [sides.length, width], embedding);
  if (shared) list.linear("shared_ada_lin.1", 6 * width, width, modulation);
  for (let i = 0; i < depth; i++) {
    const block = `blocks.${i}`;
    if (shared) list.add(`${block}.ada_gss`, [1, 1, 6, width], normal(modulation.bias));
    list.add(`${block}.attn.scale_mul_1H11`, [1, depth, 1, 1], constant(Math.log(4)));
    list.add(`${block}.attn.q_bias`, [width], normal(0.02));
    list.add(`${block}.attn.v_bias`, [width], normal(0.02));
    list.add(`${block}.attn.zero_k_bias`, [width], constant(0));
    list.add(`${block}.attn.mat_qkv.weight`, [3 * width, width], embedding);
    list.linear(`${block}.attn.proj`, width, width);
    list.linear(`${block}.ffn.fc1`, 4 * width, width);
    list.linear(`${block}.ffn.fc2`, width, 4 * width);
    if (!shared) list.linear(`${block}.ada_lin.1`, 6 * width, width, modulation);
  }
  list.linear("head_nm.ada_lin.1", 2 * width, width, modulation);
  // Logits with a deviation of 2 leave top-k and top-p something to decide.
  list.linear("head", vocabulary, width, { gain: 2 });
  return list.tensors;
}

/** Lists the two networks of a tokenizer. */
class Networks {
  readonly #list: TensorList;
  readonly #layout: Layout;
  /** Channels of the levels, the finest first. */
  readonly #levels: readonly number[];

  constructor(list: TensorList, layout: Layout, channels: number) {
    this.#list = list;
    this.#layout = layout;
    this.#levels = LEVELS.map((factor) => factor * channels);
  }

  add(network: "encoder" | "decoder"): void {
    const list = this.#list;
    const { latent, level: nameOf } = this.#layout;
    const [levels, top] = [this.#levels, this.#levels[COARSEST]!];
    const finest = levels[0]!;
    if (network === "encoder") {
      list.convolution("encoder.conv_in", finest, 3, 3);
      for (const level of levels.keys()) this.#level(network, level);
      this.#middle("encoder.mid", top);
      list.norm("encoder.norm_out", top);
      list.convolution("encoder.conv_out", latent, top, 3);
    } else {
      list.convolution("decoder.conv_in", top, latent, 3);
      this.#middle("decoder.mid", top);
      // In the order of their numbers.
      const byName = (one: number, other: number): number =>
        nameOf(network, one) < nameOf(network, other) ? -1 : 1;
      for (const level of [...levels.keys()].sort(byName)) this.#level(network, level);
      list.norm("decoder.norm_out", finest);
      list.convolution("decoder.conv_out", 3, finest, 3);
    }
  }

  /**
   * A level of the encoder begins with what the finer one gives it, one of the decoder with what the coarser
   * one does.
   */
  #level(network: "encoder" | "decoder", level: number): void {
    const { blocks, level: nameOf } = this.#layout;
    const [encodes, levels] = [network === "encoder", this.#levels];
    const [name, outputs] = [`${network}.${nameOf(network, level)}`, levels[level]!];
    const inputs = levels[encodes ? level - 1 : level + 1] ?? outputs;
    const count = encodes ? 2 : 3;
    for (let i = 0; i < count; i++) {
      this.#residual(`${name}.${blocks}.${i}`, i === 0 ? inputs : outputs, outputs);
    }
    for (let i = 0; i < count && level === COARSEST; i++) this.#attention(`${name}.attn.${i}`, outputs);
    if (encodes && level < COARSEST) this.#list.convolution(`${name}.downsample.conv`, outputs, outputs, 3);
    if (!encodes && level > 0) this.#list.convolution(`${name}.upsample.conv`, outputs, outputs, 3);
  }

  #residual(name: string, inputs: number, outputs: number): void {
    const list = this.#list;
    list.norm(`${name}.norm1`, inputs);
    list.convolution(`${name}.conv1`, outputs, inputs, 3);
    list.norm(`${name}.norm2`, outputs);
    list.convolution(`${name}.conv2`, outputs, outputs, 3);
    if (inputs !== outputs) list.convolution(`${name}.nin_shortcut`, outputs, inputs, 1);
  }

  #attention(name: string, channels: number): void {
    this.#list.norm(`${name}.norm`, channels);
    for (const [projection, factor] of Object.entries(this.#layout.projections)) {
      this.#list.convolution(`${name}.${projection}`, factor * channels, channels, 1);
    }
    this.#list.convolution(`${name}.proj_out`, channels, channels, 1);
  }

  #middle(name: string, channels: number): void {
    const [first, attention, second] = this.#layout.middle;
    this.#residual(`${name}.${first}`, channels, channels);
    this.#attention(`${name}.${attention}`, channels);
    this.#residual(`${name}.${second}`, channels, channels);
  }
}

/** The state dict of a tokenizer, in the order of its file. */
export function vaeTensors({ family, channels, seed }: SyntheticSizes): readonly PyTorchTensor[] {
  const layout = LAYOUTS[family];
  const { vocabulary, latent, quantSide } = layout;
  const list = new TensorList({ seed });
  const networks = new Networks(list, layout, channels);
  networks.add("encoder");
  networks.add("decoder");
  if (family === "var") {
    list.add("quantize.ema_vocab_hit_SV", [10, vocabulary], constant(0));
    for (let i = 0; i < 4; i++) {
      list.convolution(`quantize.quant_resi.qresi_ls.${i}`, CODE_CHANNELS, CODE_CHANNELS, 3);
    }
  } else {
    list.add("quantize.codebook_used", [65536], constant(0));
  }
  list.add("quantize.embedding.weight", [vocabulary, CODE_CHANNELS], normal(1));
  list.convolution("quant_conv", CODE_CHANNELS, latent, quantSide);
  list.convolution("post_quant_conv", latent, CODE_CHANNELS, quantSide);
  return list.tensors;
}

/** Training epochs that stand in the names of FlexVAR's published transformers. */
const EPOCHS: Readonly<Record<number, string>> = { 16: "-epo179", 20: "-epo249", 24: "-epo349" };

/** Official names of the two files. */
export function fileNames(sizes: SyntheticSizes): { readonly var: string; readonly vae: string } {
  const { family, depth, channels } = sizes;
  const { vocabulary, channels: published } = LAYOUTS[family];
  if (family === "var") {
    return { var: `var_d${depth}.pth`, vae: `vae_ch${channels}v${vocabulary}z${CODE_CHANNELS}.pth` };
  }
  return {
    var: `FlexVARd${depth}${EPOCHS[depth] ?? ""}.pth`,
    vae: channels === published ? "FlexVAE.pth" : `FlexVAE_ch${channels}.pth`,
  };
}

/**
 * The files of a model.
 *
 * @param sizes Its sizes.
 * @param options Which parts are wanted, both by default, and whether in one file as trainers save them.
 */
export function syntheticFiles(
  sizes: SyntheticSizes,
  options: { readonly parts?: readonly ("var" | "vae")[]; readonly trainer?: boolean } = {},
): readonly SyntheticFile[] {
  const { parts = ["var", "vae"], trainer = false } = options;
  const { family, depth } = sizes;
  const names = fileNames(sizes);
  const tensors = { var: varTensors, vae: vaeTensors };
  if (trainer) {
    const keys = { var: "var_wo_ddp", vae: "vae_local" };
    const state = Object.fromEntries(parts.map((part) => [keys[part], tensors[part](sizes)]));
    return [{ name: `ar-ckpt-${family}-d${depth}.pth`, state: { trainer: state } }];
  }
  return parts.map((part) => {
    const state = tensors[part](sizes);
    return { name: names[part], state: family === "flexvar" && part === "vae" ? { model: state } : state };
  });
}

/** What the command line asks for. */
export interface SyntheticRequest {
  /** Sizes and seed. */
  readonly sizes: SyntheticSizes;
  /** Folder of the files. */
  readonly output: string;
  /** Which parts to write. */
  readonly parts: readonly ("var" | "vae")[];
  /** Whether in one file, as trainers save them. */
  readonly trainer: boolean;
  /** Whether to replace files. */
  readonly overwrite: boolean;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options, or no folder, or the family is none or without the option.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseSyntheticRequest(args: readonly string[]): SyntheticRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      family: { type: "string", default: "var" },
      depth: { type: "string", default: "16" },
      pixels: { type: "string" },
      channels: { type: "string" },
      seed: { type: "string", default: "0" },
      output: { type: "string" },
      var: { type: "boolean", default: false },
      vae: { type: "boolean", default: false },
      trainer: { type: "boolean", default: false },
      overwrite: { type: "boolean", default: false },
    },
  });
  const action = "write a synthetic checkpoint";
  if (!values.output) throw new TypeError(`Cannot ${action} as --output must name a folder`);
  requireChoice(values.family, SYNTHETIC_FAMILIES, "--family", action);
  const family = values.family as SyntheticSizes["family"];
  const depth = Number(values.depth);
  const channels = Number(values.channels ?? LAYOUTS[family].channels);
  const seed = Number(values.seed);
  requireInteger(depth, "--depth", action, { min: 1, max: 100 });
  requireInteger(seed, "--seed", action, { min: 0, max: 2 ** 32 - 1 });
  requireInteger(channels, "--channels", action, { min: 32, max: 1024 });
  if (channels % 32 !== 0) {
    throw new RangeError(
      `Cannot ${action} as --channels must be a multiple of 32: current value is ${channels}`,
    );
  }
  if (family !== "var" && values.pixels !== undefined) {
    throw new TypeError(
      `Cannot ${action} with --pixels as only VAR's models paint one size: --family is ${family}`,
    );
  }
  const parts = (["var", "vae"] as const).filter((part) => values[part]);
  const { output, overwrite, trainer } = values;
  const common = { depth, channels, seed };
  return {
    sizes: family === "var"
      ? { family, ...common, pixels: pixelsOf(values.pixels ?? (depth === 36 ? "512" : "256"), action) }
      : { family, ...common },
    parts: parts.length > 0 ? parts : ["var", "vae"],
    ...{ output, trainer, overwrite },
  };
}

function pixelsOf(text: string, action: string): VarSizes["pixels"] {
  const pixels = Number(text);
  if (pixels === 256 || pixels === 512) return pixels;
  throw new RangeError(`Cannot ${action} as --pixels must be 256 or 512: current value is ${text}`);
}

/** What is to be written of the family that the command line names, and where. */
async function requestedFiles(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: { family: { type: "string" } },
    ...{ strict: false, allowPositionals: true },
  });
  const family = String(values.family ?? "var");
  requireChoice(family, [...SYNTHETIC_FAMILIES, "infinity"], "--family", "write a synthetic checkpoint");
  if (family === "infinity") {
    const request = parseInfinityRequest(args);
    return { ...request, files: await infinityFiles(request) };
  }
  const request = parseSyntheticRequest(args);
  return { ...request, files: syntheticFiles(request.sizes, request) };
}

async function bytesOf(path: string): Promise<number> {
  const { isDirectory, size } = await Deno.stat(path);
  if (!isDirectory) return size;
  let sum = 0;
  for await (const { name } of Deno.readDir(path)) sum += await bytesOf(join(path, name));
  return sum;
}

if (import.meta.main) {
  const { files, output, overwrite } = await requestedFiles(Deno.args);
  await Deno.mkdir(output, { recursive: true });
  for (const file of files) {
    const path = join(output, file.name);
    const start = performance.now();
    if ("state" in file) await writeSynthetic(path, file.state, { overwrite });
    else await writeSyntheticFolder(path, file, { overwrite });
    const size = await bytesOf(path);
    const rate = size / 1e3 / (performance.now() - start);
    console.log(`${path}: ${(size / 1e6).toFixed(1)} MB at ${rate.toFixed(0)} MB/s`);
  }
}
