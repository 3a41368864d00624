/**
 * How much memory a VAR model takes where it runs, from its sizes alone, and which type of weights fits. The sums are estimates of the
 * peak, held against what loaded models really took; nothing here reserves or limits anything.
 *
 * @module
 */

import type { Device } from "../../kernels/device.ts";
import { WebGpuDevice } from "../../kernels/webgpu_device.ts";
import { type Dtype, DTYPES } from "../dtype.ts";
import type { CpuProvider } from "../graph_session.ts";
import type { ModelMemory } from "../model.ts";
import { BLOCK } from "../quantize.ts";
import { conditionWords, keptConditionBytes } from "./condition.ts";
import type { TokenizerConfig, TokenizerLevel, VarConfig } from "./config.ts";
import { storedDtype } from "./precision.ts";

/** Who computes the graphs. */
export type Provider = "webgpu" | CpuProvider;

/** A tensor of a checkpoint. */
export interface ModelTensor {
  /** Name in the published checkpoints. */
  readonly name: string;
  /** Shape there. */
  readonly shape: readonly number[];
}

/** The tensors of a model's two checkpoints, without the buffers that serve training only. */
export interface ModelTensors {
  /** Tensors of the transformer. */
  readonly transformer: readonly ModelTensor[];
  /** Tensors of the tokenizer. */
  readonly tokenizer: readonly ModelTensor[];
}

/**
 * Lists the tensors of a model of given sizes. The tokenizer's middle blocks are taken to have attention if any level has, as in the
 * published one, and the convolutions beside its networks to be there.
 *
 * @example The tokenizer of the published models
 * ```ts
 * import { elementsOf, varTensors } from "./memory.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const levels = (blocks: number) => {
 *   return [160, 160, 320, 320, 640].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
 * };
 * const { tokenizer } = varTensors({
 *   depth: 16,
 *   width: 1024,
 *   heads: 16,
 *   classes: 1000,
 *   patchNumbers: [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
 *   sharedAdaptiveNorm: false,
 *   normalizedAttention: true,
 *   tokenizer: { vocabulary: 4096, channels: 32, residuals: 4, decoder: levels(3), encoder: levels(2) },
 * });
 * assertEquals(elementsOf(tokenizer), 108_948_355);
 * ```
 */
export function varTensors(config: VarConfig): ModelTensors {
  return { transformer: transformerTensors(config), tokenizer: tokenizerTensors(config.tokenizer) };
}

/** What a model's memory depends on besides its sizes. */
export interface MemoryOptions {
  /** Type of the large weights. */
  readonly dtype: Dtype;
  /** Who computes. */
  readonly provider: Provider;
}

/** Weights that the graph `transformer` reads, which stay in the type they are stored in. All others become f32 when they are loaded. */
const TRANSFORMER_WEIGHT = /^(blocks\.\d+\.(attn|ffn)|head|word_embed)\./;
/** Projections of the blocks, which {@linkcode keptConditionBytes} accounts for. */
const PROJECTION = /^blocks\.\d+\.ada_lin\./;
/** Tensors of the tokenizer that only encoding needs; they are loaded when something is encoded. */
const ENCODER = /^(encoder|quant_conv)\./;

/** Estimates the memory of a model. */
export function estimateMemory(config: VarConfig, options: MemoryOptions): ModelMemory {
  const weights = weightBytes(config, options.dtype);
  const conditions = 2 * 4 * conditionWords(config);
  const scales = scalesBytes(config, options.provider);
  const decoder = LIVE_MAPS * 4 * largestMap(config);
  if (options.provider !== "webgpu") return { weights, image: conditions + Math.max(scales, decoder) };
  // What the scales took is in the pool, in other sizes than the decoder's, when it begins.
  const image = conditions + Math.ceil(Math.max(POOL.factor * scales, scales + decoder));
  return { weights: weights + Math.min(POOL.bytes, image), image };
}

function weightBytes(config: VarConfig, dtype: Dtype): number {
  const { transformer, tokenizer } = varTensors(config);
  let bytes = keptConditionBytes(config);
  let largestCast = 0;
  for (const { name, shape } of transformer) {
    if (PROJECTION.test(name)) continue;
    const stored = TRANSFORMER_WEIGHT.test(name) ? storedDtype(name, shape, dtype) : "f32";
    if (stored === "f16") largestCast = Math.max(largestCast, bytesAs("f32", shape));
    bytes += bytesAs(stored, shape);
    // The sums that are added to embedded features, beside what they are made of.
    if (name === "pos_1LC") bytes += bytesAs("f32", shape);
  }
  for (const { name, shape } of tokenizer) if (!ENCODER.test(name)) bytes += bytesAs("f32", shape);
  return bytes + largestCast;
}

/** Activations of a block that are alive at once, in units of its width: residual, hidden layer before and after its activation, rest. */
const LIVE_WIDTHS = 12;
/** Arrays of the decoder's largest size that are alive at once: the published decoder took 299 MB for 256 px. */
const LIVE_MAPS = 7;
/**
 * ONNX Runtime's WebGPU provider rounds sizes up to those of its pool and keeps a number of arrays of each size when they are free. A
 * simulation of such a pool gave 400 MB for one image of the model of depth 16, whose first nine scales were measured to take 403; the
 * factor and the bytes that are there once are fitted to it for depths 16 to 36.
 */
const POOL = { factor: 1.6, bytes: 100e6 };

/** Bytes of a guided image at the scale that takes most. */
function scalesBytes(config: VarConfig, provider: Provider): number {
  const { depth, width, heads, patchNumbers, tokenizer: { vocabulary } } = config;
  // With guidance an image has two rows.
  const rows = 2;
  let most = 0;
  let past = 0;
  for (const [scale, side] of patchNumbers.entries()) {
    const length = side * side;
    const total = past + length;
    // The last scale's caches do not leave the graph, so only one block's is alive at a time.
    const present = scale === patchNumbers.length - 1 ? total : total * depth;
    const caches = 2 * (past * depth + present) * width;
    const activations = length * (LIVE_WIDTHS * width + 2 * vocabulary);
    const scores = provider === "webgpu" ? 0 : heads * length * total;
    most = Math.max(most, caches + activations + scores);
    past = total;
  }
  return rows * 4 * most;
}

/** Words of the decoder's largest activation. */
function largestMap({ patchNumbers, tokenizer: { decoder } }: VarConfig): number {
  const levels = decoder ?? [];
  let side = patchNumbers.at(-1)!;
  let width = levels.at(-1)?.channels ?? 0;
  let most = 0;
  for (const { channels } of levels.toReversed()) {
    // A level begins with what the one before it has been enlarged to.
    most = Math.max(most, Math.max(width, channels) * side * side);
    width = channels;
    side *= 2;
  }
  return most;
}

/** Bytes of the largest array that a guided image needs. */
export function largestArrayBytes(config: VarConfig, dtype: Dtype): number {
  const { width, patchNumbers, tokenizer: { vocabulary } } = config;
  const rows = 2;
  const length = patchNumbers.at(-1)! ** 2;
  const total = patchNumbers.reduce((sum, side) => sum + side * side, 0);
  const words = [largestMap(config), rows * length * Math.max(4 * width, vocabulary), rows * total * width];
  // Halves are cast before they are used, and projections are fed as f32.
  const weights = varTensors(config).transformer.map(({ name, shape }) => {
    const stored = storedDtype(name, shape, dtype);
    return bytesAs(stored === "f16" ? "f32" : stored, shape);
  });
  return Math.max(...words.map((count) => 4 * count), ...weights);
}

/**
 * Bytes of weights and activations that WebAssembly's 4 GiB have room for beside the runtime itself: 3840 MiB of f32 weights, 3840 of f16
 * and 3420 of 8-bit ones were loaded and run; 3968 were not.
 */
export const WASM_BYTES: number = 3840 * 2 ** 20;

/** What {@linkcode chooseDtype} assumes where nothing tells: WebGPU does not, and the host only with the permission `--allow-sys`. */
export const ASSUMED_BYTES: number = 4 * 2 ** 30;

/** Who computes the graphs of a model on a device. */
export function providerOf(device: Device, cpuProvider: CpuProvider = "wasm"): Provider {
  return device instanceof WebGpuDevice ? "webgpu" : cpuProvider;
}

/**
 * Bytes that a model may take on a device, or `undefined` where nothing tells.
 *
 * @param device Where it is to run.
 * @param options Who computes on the CPU, and what the caller knows, which counts before all else except WebAssembly's own limit.
 */
export async function availableBytes(
  device: Device,
  options: { cpuProvider?: CpuProvider | undefined; memory?: number | undefined } = {},
): Promise<number | undefined> {
  const provider = providerOf(device, options.cpuProvider);
  const onHost = provider !== "webgpu" || isSoftware(device as WebGpuDevice);
  const told = options.memory ?? (onHost ? await hostBytes() : undefined);
  if (provider === "wasm") return Math.min(told ?? WASM_BYTES, WASM_BYTES);
  return told;
}

/** Whether an adapter is a program on the CPU. */
function isSoftware({ info }: WebGpuDevice): boolean {
  return info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(info.description);
}

/** Free memory of the host, if it may be asked. */
async function hostBytes(): Promise<number | undefined> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "systemMemoryInfo" });
  return state === "granted" ? Deno.systemMemoryInfo().available : undefined;
}

/** What {@linkcode chooseDtype} chooses from. */
export interface DtypeChoice {
  /** How the weights are stored. */
  readonly stored: Dtype;
  /** Who computes. */
  readonly provider: Provider;
  /** Bytes there are; where that is not known, {@linkcode ASSUMED_BYTES} are assumed, and what takes least is tried at the worst. */
  readonly available: number | undefined;
  /** Whether half-precision weights can be used as they are: on WebGPU, the feature `shader-f16`. True by default. */
  readonly halves?: boolean;
}

/** Bytes of a small transformer in f32. */
const SMALL_BYTES = 256 * 2 ** 20;

/**
 * The most precise type whose weights fit with one guided image. It is never more precise than what is stored, except that halves become
 * f32 where that is faster: on the CPU, for small models, and where there are no halves. Integers stay what they are.
 *
 * @throws {RangeError} If it is known that none fits.
 */
export function chooseDtype(config: VarConfig, choice: DtypeChoice): Dtype {
  const { stored, provider, available, halves = true } = choice;
  const widens = stored === "f16" && (provider !== "webgpu" || !halves || isSmall(config));
  const begin = widens ? 0 : DTYPES.indexOf(stored);
  const end = isQuantized(stored) ? begin + 1 : DTYPES.length;
  const candidates = DTYPES.slice(begin, end).filter((dtype) => dtype !== "f16" || halves);
  const room = { provider, available: available ?? ASSUMED_BYTES, stored };
  const fitting = candidates.find((dtype) => fits(config, dtype, room));
  if (fitting !== undefined) return fitting;
  const least = candidates.at(-1)!;
  if (available !== undefined) requireFit(config, least, room);
  return least;
}

/** Whether a transformer is so small that its halves are widened everywhere: casts in each run would cost more than memory does. */
export function isSmall(config: VarConfig): boolean {
  return storedBytes(varTensors(config).transformer, "f32") <= SMALL_BYTES;
}

function isQuantized(dtype: Dtype): boolean {
  return dtype === "q8" || dtype === "q4";
}

function neededBytes(config: VarConfig, dtype: Dtype, provider: Provider): number {
  const { weights, image } = estimateMemory(config, { dtype, provider });
  return weights + image;
}

/** Who computes, and with how many bytes. */
interface Room {
  readonly provider: Provider;
  readonly available: number;
  /** How the weights are stored, f32 by default; integers stay what they are. */
  readonly stored?: Dtype;
}

function fits(config: VarConfig, dtype: Dtype, { provider, available }: Room): boolean {
  return neededBytes(config, dtype, provider) <= available;
}

/**
 * Checks that a type's weights fit with one guided image.
 *
 * @throws {RangeError} If they do not, naming what would.
 */
export function requireFit(
  config: VarConfig,
  dtype: Dtype,
  { provider, available, stored = "f32" }: Room,
): void {
  const needed = neededBytes(config, dtype, provider);
  if (needed <= available) return;
  const smaller = DTYPES.slice(DTYPES.indexOf(dtype) + 1)
    .filter((candidate) => !isQuantized(stored) || candidate === stored)
    .filter((candidate) => fits(config, candidate, { provider, available }))
    .map((candidate) => `dtype: "${candidate}"`);
  // Where it is not WebAssembly that is too small, nobody else has more.
  const elsewhere = provider === "wasm" && available >= WASM_BYTES
    ? ['device: "webgpu"', 'cpuProvider: "native"']
    : [];
  const ways = [...smaller, ...elsewhere];
  throw new RangeError(
    `Cannot load the model as ${dtype} as it needs ${needed} bytes with one image and there are ${available}` +
      (ways.length === 0 ? "" : `; possible are ${ways.join(" or ")}`),
  );
}

/**
 * Checks that a GPU's limits admit the largest array that one guided image needs.
 *
 * @throws {RangeError} If they do not.
 */
export function requireLimits(config: VarConfig, dtype: Dtype, device: WebGpuDevice): void {
  const needed = largestArrayBytes(config, dtype);
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"] as const) {
    const offered = device.gpu.limits[limit];
    if (needed <= offered) continue;
    throw new RangeError(
      `Cannot load the model on "${device.name}" as one image needs an array of ${needed} bytes and the device's limit ${limit} is ${offered}; use device: "cpu"`,
    );
  }
}

/** Number of elements. */
export function elementsOf(tensors: readonly ModelTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** Bytes of the tensors as they are stored in files. */
export function storedBytes(tensors: readonly ModelTensor[], dtype: Dtype): number {
  return tensors.reduce((sum, { name, shape }) => {
    return sum + bytesAs(storedDtype(name, shape, dtype), shape);
  }, 0);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function bytesAs(dtype: Dtype, shape: readonly number[]): number {
  if (dtype === "f32") return 4 * sizeOf(shape);
  if (dtype === "f16") return 2 * sizeOf(shape);
  const [rows = 0, columns = 0] = shape;
  return rows * Math.ceil(columns / BLOCK) * (BLOCK * (dtype === "q8" ? 8 : 4) / 8 + 4);
}

/** A linear layer or convolution. */
function layer(name: string, weight: readonly number[]): ModelTensor[] {
  return [{ name: `${name}.weight`, shape: weight }, { name: `${name}.bias`, shape: weight.slice(0, 1) }];
}

function transformerTensors(config: VarConfig): ModelTensor[] {
  const { width, depth, heads, classes, patchNumbers, sharedAdaptiveNorm, normalizedAttention } = config;
  const { vocabulary, channels } = config.tokenizer;
  const tokens = patchNumbers.reduce((sum, side) => sum + side * side, 0);
  const block = (i: number): ModelTensor[] => {
    const name = `blocks.${i}`;
    return [
      ...(sharedAdaptiveNorm
        ? [{ name: `${name}.ada_gss`, shape: [1, 1, 6, width] }]
        : layer(`${name}.ada_lin.1`, [6 * width, width])),
      ...(normalizedAttention ? [{ name: `${name}.attn.scale_mul_1H11`, shape: [1, heads, 1, 1] }] : []),
      { name: `${name}.attn.q_bias`, shape: [width] },
      { name: `${name}.attn.v_bias`, shape: [width] },
      { name: `${name}.attn.mat_qkv.weight`, shape: [3 * width, width] },
      ...layer(`${name}.attn.proj`, [width, width]),
      ...layer(`${name}.ffn.fc1`, [4 * width, width]),
      ...layer(`${name}.ffn.fc2`, [width, 4 * width]),
    ];
  };
  return [
    { name: "pos_start", shape: [1, 1, width] },
    { name: "pos_1LC", shape: [1, tokens, width] },
    ...layer("word_embed", [width, channels]),
    { name: "class_emb.weight", shape: [classes + 1, width] },
    { name: "lvl_embed.weight", shape: [patchNumbers.length, width] },
    ...(sharedAdaptiveNorm ? layer("shared_ada_lin.1", [6 * width, width]) : []),
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
    ...layer("head_nm.ada_lin.1", [2 * width, width]),
    ...layer("head", [vocabulary, width]),
  ];
}

function tokenizerTensors(config: TokenizerConfig): ModelTensor[] {
  const { vocabulary, channels, residuals, decoder, encoder } = config;
  const square = [channels, channels, 3, 3];
  return [
    ...(encoder === null ? [] : encoderTensors(encoder, channels)),
    ...(decoder === null ? [] : decoderTensors(decoder, channels)),
    ...["quant_conv", "post_quant_conv"].flatMap((name) => layer(name, square)),
    ...Array.from({ length: residuals }, (_, i) => layer(`quantize.quant_resi.qresi_ls.${i}`, square)).flat(),
    { name: "quantize.embedding.weight", shape: [vocabulary, channels] },
  ];
}

function residualBlock(name: string, inputs: number, outputs: number): ModelTensor[] {
  return [
    ...layer(`${name}.norm1`, [inputs]),
    ...layer(`${name}.conv1`, [outputs, inputs, 3, 3]),
    ...layer(`${name}.norm2`, [outputs]),
    ...layer(`${name}.conv2`, [outputs, outputs, 3, 3]),
    ...(inputs === outputs ? [] : layer(`${name}.nin_shortcut`, [outputs, inputs, 1, 1])),
  ];
}

function attentionBlock(name: string, width: number): ModelTensor[] {
  return [
    ...layer(`${name}.norm`, [width]),
    ...layer(`${name}.qkv`, [3 * width, width, 1, 1]),
    ...layer(`${name}.proj_out`, [width, width, 1, 1]),
  ];
}

function levelTensors(name: string, inputs: number, level: TokenizerLevel): ModelTensor[] {
  const { channels, blocks, attention } = level;
  return Array.from({ length: blocks }, (_, i) => [
    ...residualBlock(`${name}.block.${i}`, i === 0 ? inputs : channels, channels),
    ...(attention ? attentionBlock(`${name}.attn.${i}`, channels) : []),
  ]).flat();
}

function middleTensors(name: string, levels: readonly TokenizerLevel[]): ModelTensor[] {
  const { channels } = levels.at(-1)!;
  return [
    ...residualBlock(`${name}.mid.block_1`, channels, channels),
    ...(levels.some(({ attention }) => attention) ? attentionBlock(`${name}.mid.attn_1`, channels) : []),
    ...residualBlock(`${name}.mid.block_2`, channels, channels),
  ];
}

function decoderTensors(levels: readonly TokenizerLevel[], channels: number): ModelTensor[] {
  let width = levels.at(-1)!.channels;
  const tensors = [
    ...layer("decoder.conv_in", [width, channels, 3, 3]),
    ...middleTensors("decoder", levels),
  ];
  for (const [i, level] of [...levels.entries()].reverse()) {
    tensors.push(...levelTensors(`decoder.up.${i}`, width, level));
    width = level.channels;
    if (i > 0) tensors.push(...layer(`decoder.up.${i}.upsample.conv`, [width, width, 3, 3]));
  }
  return [...tensors, ...layer("decoder.norm_out", [width]), ...layer("decoder.conv_out", [3, width, 3, 3])];
}

function encoderTensors(levels: readonly TokenizerLevel[], channels: number): ModelTensor[] {
  let width = levels[0]!.channels;
  const tensors = layer("encoder.conv_in", [width, 3, 3, 3]);
  for (const [i, level] of levels.entries()) {
    tensors.push(...levelTensors(`encoder.down.${i}`, width, level));
    width = level.channels;
    if (i < levels.length - 1) {
      tensors.push(...layer(`encoder.down.${i}.downsample.conv`, [width, width, 3, 3]));
    }
  }
  return [
    ...tensors,
    ...middleTensors("encoder", levels),
    ...layer("encoder.norm_out", [width]),
    ...layer("encoder.conv_out", [channels, width, 3, 3]),
  ];
}
