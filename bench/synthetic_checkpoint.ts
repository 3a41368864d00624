/**
 * Checkpoints of the published sizes with random values, to run, convert and time a model of full size without a download: names, shapes,
 * types and order are those of the official files, and the values keep activations near 1 through any depth. Pictures made with them are
 * noise.
 *
 *     deno run -A bench/synthetic_checkpoint.ts --depth 16 --output DIR [--seed 0] [--var] [--vae] [--overwrite]
 *                                               [--pixels 256|512] [--channels 160]
 *
 * Writes `var_d16.pth` and `vae_ch160v4096z32.pth`, or the one that is asked for. Memory stays small whatever the size.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { join } from "node:path";
import { exists, replaceFile } from "../cli/files.ts";
import { requireInteger } from "../kernels/mod.ts";
import { type PyTorchTensor, writePyTorch } from "./pytorch_file.ts";

/** Sizes of a synthetic checkpoint that differ among the published ones. */
export interface SyntheticSizes {
  /** Transformer blocks; width and heads follow from it. */
  readonly depth: number;
  /** Side of the picture. The 512 px model shares one adaLN projection among all blocks. */
  readonly pixels: 256 | 512;
  /** Channels of the tokenizer's finest level, a multiple of 32; 160 in the published one. */
  readonly channels: number;
  /** Selects the values. */
  readonly seed: number;
}

const VOCABULARY = 4096;
const CODE_CHANNELS = 32;
const CLASSES = 1000;
const PATCH_NUMBERS: Readonly<Record<SyntheticSizes["pixels"], readonly number[]>> = {
  256: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
  512: [1, 2, 3, 4, 6, 9, 13, 18, 24, 32],
};

/** Bytes that are made and written at a time. */
const PIECE = 1 << 22;

/** Gives the values of a tensor from element `start` on. */
type Fill = (values: Float32Array<ArrayBuffer>, start: number, noise: Noise) => void;

/** Normal numbers, over a gigabyte a second: 16 random bits choose one of a bank of them. */
class Noise {
  static #bank: Float32Array | undefined;
  #state: number;

  /** The stream of a seed and a tensor's name, so that values depend neither on the other tensors nor on the size of pieces. */
  constructor(seed: number, name: string) {
    // FNV-1a
    let hash = 0x811c9dc5 ^ seed;
    for (const character of name) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    this.#state = hash;
  }

  static get bank(): Float32Array {
    if (this.#bank !== undefined) return this.#bank;
    const bank = new Float32Array(1 << 16);
    const noise = new Noise(0, "bank");
    const uniform = (): number => (noise.#next() + 0.5) / 2 ** 32;
    // Box–Muller
    for (let i = 0; i < bank.length; i++) {
      bank[i] = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    }
    return this.#bank = bank;
  }

  /** 32 random bits (mulberry32). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  /** Fills an array with numbers of a standard deviation around a mean. */
  fill(values: Float32Array, deviation: number, mean: number): void {
    const bank = Noise.bank;
    for (let i = 0; i < values.length; i += 2) {
      const bits = this.#next();
      values[i] = bank[bits & 0xffff]! * deviation + mean;
      values[i + 1] = bank[bits >>> 16]! * deviation + mean;
    }
  }
}

function normal(deviation: number, mean = 0): Fill {
  return (values, _start, noise) => noise.fill(values, deviation, mean);
}

function constant(value: number): Fill {
  return (values) => values.fill(value);
}

/** Lists the tensors of one file. */
class TensorList {
  readonly tensors: PyTorchTensor[] = [];
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  add(name: string, shape: readonly number[], fill: Fill): void {
    const count = shape.reduce((product, size) => product * size, 1);
    const noise = (): Noise => new Noise(this.#seed, name);
    this.tensors.push({
      name,
      dtype: "F32",
      shape,
      *bytes() {
        const values = new Float32Array(Math.min(count, PIECE / 4));
        const stream = noise();
        for (let start = 0; start < count; start += values.length) {
          const piece = values.subarray(0, count - start);
          fill(piece, start, stream);
          yield new Uint8Array(piece.buffer, 0, piece.byteLength);
        }
      },
    });
  }

  /** Integers, few enough to be held. */
  addIntegers(name: string, shape: readonly number[], values: readonly number[]): void {
    const array = BigInt64Array.from(values, BigInt);
    this.tensors.push({ name, dtype: "I64", shape, bytes: () => [new Uint8Array(array.buffer)] });
  }

  /** A projection that keeps the size of what it is given. */
  linear(
    name: string,
    outputs: number,
    inputs: number,
    options: { gain?: number; bias?: number } = {},
  ): void {
    const { gain = 1, bias = 0.02 } = options;
    this.add(`${name}.weight`, [outputs, inputs], normal(gain / Math.sqrt(inputs)));
    this.add(`${name}.bias`, [outputs], normal(bias));
  }

  convolution(name: string, outputs: number, inputs: number, side: 1 | 3): void {
    const deviation = 1 / Math.sqrt(inputs * side * side);
    this.add(`${name}.weight`, [outputs, inputs, side, side], normal(deviation));
    this.add(`${name}.bias`, [outputs], normal(0.02));
  }

  norm(name: string, channels: number): void {
    this.add(`${name}.weight`, [channels], constant(1));
    this.add(`${name}.bias`, [channels], constant(0));
  }

  residual(name: string, inputs: number, outputs: number): void {
    this.norm(`${name}.norm1`, inputs);
    this.convolution(`${name}.conv1`, outputs, inputs, 3);
    this.norm(`${name}.norm2`, outputs);
    this.convolution(`${name}.conv2`, outputs, outputs, 3);
    if (inputs !== outputs) this.convolution(`${name}.nin_shortcut`, outputs, inputs, 1);
  }

  attention(name: string, channels: number): void {
    this.norm(`${name}.norm`, channels);
    this.convolution(`${name}.qkv`, 3 * channels, channels, 1);
    this.convolution(`${name}.proj_out`, channels, channels, 1);
  }

  middle(name: string, channels: number): void {
    this.residual(`${name}.block_1`, channels, channels);
    this.attention(`${name}.attn_1`, channels);
    this.residual(`${name}.block_2`, channels, channels);
  }
}

/** The state dict of a transformer, in the order of its file. */
export function varTensors(sizes: SyntheticSizes): readonly PyTorchTensor[] {
  const { depth, pixels, seed } = sizes;
  const width = 64 * depth;
  const shared = pixels === 512;
  const scaleOf = PATCH_NUMBERS[pixels].flatMap((side, scale) => Array<number>(side * side).fill(scale));
  const length = scaleOf.length;
  const list = new TensorList(seed);
  const embedding = normal(1 / Math.sqrt(width));
  // The bias is what gates, scales and shifts are without a class, the weight how far apart the classes are: 0.1, as half of a class's
  // embedding passes the SiLU.
  const modulation = { gain: 0.2 * Math.sqrt(width), bias: 0.3 };

  list.add("pos_start", [1, 1, width], embedding);
  list.add("pos_1LC", [1, length, width], embedding);
  list.addIntegers("lvl_1L", [1, length], scaleOf);
  list.add("attn_bias_for_masking", [1, 1, length, length], (values, start) => {
    for (let i = 0; i < values.length; i++) {
      const [query, key] = [Math.floor((start + i) / length), (start + i) % length];
      values[i] = scaleOf[query]! >= scaleOf[key]! ? 0 : -Infinity;
    }
  });
  list.linear("word_embed", width, CODE_CHANNELS);
  list.add("class_emb.weight", [CLASSES + 1, width], embedding);
  list.add("lvl_embed.weight", [PATCH_NUMBERS[pixels].length, width], embedding);
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
  list.linear("head", VOCABULARY, width, { gain: 2 });
  return list.tensors;
}

/** The state dict of a tokenizer, in the order of its file. */
export function vaeTensors(sizes: SyntheticSizes): readonly PyTorchTensor[] {
  const { channels, seed } = sizes;
  const levels = [1, 1, 2, 2, 4].map((factor) => factor * channels);
  const coarsest = levels.length - 1;
  const top = levels[coarsest]!;
  const list = new TensorList(seed);

  list.convolution("encoder.conv_in", channels, 3, 3);
  levels.forEach((outputs, level) => {
    const name = `encoder.down.${level}`;
    for (let i = 0; i < 2; i++) {
      list.residual(`${name}.block.${i}`, i === 0 ? levels[level - 1] ?? channels : outputs, outputs);
    }
    for (let i = 0; i < 2 && level === coarsest; i++) list.attention(`${name}.attn.${i}`, outputs);
    if (level < coarsest) list.convolution(`${name}.downsample.conv`, outputs, outputs, 3);
  });
  list.middle("encoder.mid", top);
  list.norm("encoder.norm_out", top);
  list.convolution("encoder.conv_out", CODE_CHANNELS, top, 3);

  list.convolution("decoder.conv_in", top, CODE_CHANNELS, 3);
  list.middle("decoder.mid", top);
  levels.forEach((outputs, level) => {
    const name = `decoder.up.${level}`;
    for (let i = 0; i < 3; i++) {
      list.residual(`${name}.block.${i}`, i === 0 ? levels[level + 1] ?? top : outputs, outputs);
    }
    for (let i = 0; i < 3 && level === coarsest; i++) list.attention(`${name}.attn.${i}`, outputs);
    if (level > 0) list.convolution(`${name}.upsample.conv`, outputs, outputs, 3);
  });
  list.norm("decoder.norm_out", channels);
  list.convolution("decoder.conv_out", 3, channels, 3);

  list.add("quantize.ema_vocab_hit_SV", [10, VOCABULARY], constant(0));
  for (let i = 0; i < 4; i++) {
    list.convolution(`quantize.quant_resi.qresi_ls.${i}`, CODE_CHANNELS, CODE_CHANNELS, 3);
  }
  list.add("quantize.embedding.weight", [VOCABULARY, CODE_CHANNELS], normal(1));
  list.convolution("quant_conv", CODE_CHANNELS, CODE_CHANNELS, 3);
  list.convolution("post_quant_conv", CODE_CHANNELS, CODE_CHANNELS, 3);
  return list.tensors;
}

/** Official names of the two files. */
export function fileNames(sizes: SyntheticSizes): { readonly var: string; readonly vae: string } {
  return {
    var: `var_d${sizes.depth}.pth`,
    vae: `vae_ch${sizes.channels}v${VOCABULARY}z${CODE_CHANNELS}.pth`,
  };
}

/**
 * Writes a checkpoint; the file appears when it is whole.
 *
 * @throws {Deno.errors.AlreadyExists} If there is such a file and it is not to be overwritten.
 */
export async function writeSynthetic(
  path: string,
  tensors: readonly PyTorchTensor[],
  options: { overwrite?: boolean } = {},
): Promise<void> {
  if (!options.overwrite && await exists(path)) {
    throw new Deno.errors.AlreadyExists(`Cannot write ${path} as it exists: give --overwrite to replace it`);
  }
  await replaceFile(path, async (temporary) => {
    using file = await Deno.open(temporary, { createNew: true, write: true });
    writePyTorch(file, tensors);
  });
}

/** What the command line asks for. */
export interface SyntheticRequest {
  /** Sizes and seed. */
  readonly sizes: SyntheticSizes;
  /** Folder of the files. */
  readonly output: string;
  /** Which files to write. */
  readonly files: readonly ("var" | "vae")[];
  /** Whether to replace files. */
  readonly overwrite: boolean;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it has unknown options or no folder.
 * @throws {RangeError} If a number is out of bounds.
 */
export function parseSyntheticRequest(args: readonly string[]): SyntheticRequest {
  const { values } = parseArgs({
    args: [...args],
    options: {
      depth: { type: "string", default: "16" },
      pixels: { type: "string" },
      channels: { type: "string", default: "160" },
      seed: { type: "string", default: "0" },
      output: { type: "string" },
      var: { type: "boolean", default: false },
      vae: { type: "boolean", default: false },
      overwrite: { type: "boolean", default: false },
    },
  });
  const action = "write a synthetic checkpoint";
  if (!values.output) throw new TypeError(`Cannot ${action} as --output must name a folder`);
  const depth = Number(values.depth);
  const pixels = Number(values.pixels ?? (depth === 36 ? 512 : 256));
  const channels = Number(values.channels);
  const seed = Number(values.seed);
  requireInteger(depth, "--depth", action, { min: 1, max: 100 });
  requireInteger(seed, "--seed", action, { min: 0, max: 2 ** 32 - 1 });
  requireInteger(channels, "--channels", action, { min: 32, max: 1024 });
  if (channels % 32 !== 0) {
    throw new RangeError(
      `Cannot ${action} as --channels must be a multiple of 32: current value is ${channels}`,
    );
  }
  if (pixels !== 256 && pixels !== 512) {
    throw new RangeError(
      `Cannot ${action} as --pixels must be 256 or 512: current value is ${values.pixels}`,
    );
  }
  const chosen = (["var", "vae"] as const).filter((file) => values[file]);
  return {
    sizes: { depth, pixels, channels, seed },
    output: values.output,
    files: chosen.length > 0 ? chosen : ["var", "vae"],
    overwrite: values.overwrite,
  };
}

if (import.meta.main) {
  const { sizes, output, files, overwrite } = parseSyntheticRequest(Deno.args);
  await Deno.mkdir(output, { recursive: true });
  for (const file of files) {
    const path = join(output, fileNames(sizes)[file]);
    const start = performance.now();
    await writeSynthetic(path, file === "var" ? varTensors(sizes) : vaeTensors(sizes), { overwrite });
    const { size } = await Deno.stat(path);
    const rate = size / 1e3 / (performance.now() - start);
    console.log(`${path}: ${(size / 1e6).toFixed(1)} MB at ${rate.toFixed(0)} MB/s`);
  }
}
