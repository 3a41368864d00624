/**
 * How much memory a model with a class-conditional transformer and a convolutional tokenizer takes where it
 * runs, from its sizes alone, and which type of weights fits. The sums are estimates of the peak, held
 * against what loaded models really took; nothing here reserves or limits anything.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { type Dtype, DTYPES } from "../weights/dtype.ts";
import type { CpuProvider } from "../graphs/graph_session.ts";
import type { ModelTensor } from "../weights/model_tensor.ts";
import { storedDtype } from "./precision.ts";
import { BLOCK } from "../weights/quantize.ts";
import type { MapSize } from "../schedule.ts";
import { conditionWords, keptConditionBytes } from "./transformer/condition.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** Who computes the graphs. */
export type Provider = "webgpu" | CpuProvider;

/** Sizes of a model, as far as its memory depends on them. */
export interface ModelSizes {
  /** The transformer. */
  readonly transformer: TransformerConfig;
  /** Logits of a position. */
  readonly vocabulary: number;
  /** Token maps of its usual schedule, coarse to fine. */
  readonly maps: readonly MapSize[];
  /** Levels of the tokenizer's decoder from the finest to the coarsest, or `null` where there is none. */
  readonly decoder: readonly { readonly channels: number }[] | null;
  /** The tensors of its two checkpoints, without the buffers that serve training only. */
  readonly tensors: {
    readonly transformer: readonly ModelTensor[];
    readonly tokenizer: readonly ModelTensor[];
  };
}

/** What a model's memory depends on besides its sizes. */
export interface MemoryOptions {
  /** Type of the large weights. */
  readonly dtype: Dtype;
  /** Who computes. */
  readonly provider: Provider;
  /** Token maps of a schedule; those of the usual one by default. */
  readonly maps?: readonly MapSize[];
}

/** Bytes that a model takes. */
export interface MemoryEstimate {
  /** As long as it is loaded. */
  readonly weights: number;
  /** For each image of a guided batch, at the peak. */
  readonly image: number;
}

/**
 * Weights that the graph `transformer` reads, which stay in the type they are stored in. All others become
 * f32 when they are loaded.
 */
const TRANSFORMER_WEIGHT = /^(blocks\.\d+\.(attn|ffn)|head|word_embed)\./;
/** Projections of the blocks, which {@linkcode keptConditionBytes} accounts for. */
const PROJECTION = /^blocks\.\d+\.ada_lin\./;
/** Tensors of the tokenizer that only encoding needs; they are loaded when something is encoded. */
const ENCODER = /^(encoder|quant_conv)\./;

/** Estimates the memory of a model. */
export function estimateMemory(model: ModelSizes, options: MemoryOptions): MemoryEstimate {
  const { dtype, provider, maps = model.maps } = options;
  const weights = weightBytes(model, dtype);
  const conditions = 2 * 4 * conditionWords(model.transformer);
  const scales = scalesBytes(model, maps, provider);
  const decoder = LIVE_MAPS * 4 * largestActivation(model.decoder, maps);
  if (provider !== "webgpu") return { weights, image: conditions + Math.max(scales, decoder) };
  // What the scales took is in the pool, in other sizes than the decoder's, when it begins.
  const image = conditions + Math.ceil(Math.max(POOL.factor * scales, scales + decoder));
  return { weights: weights + Math.min(POOL.bytes, image), image };
}

function weightBytes({ transformer, tensors }: ModelSizes, dtype: Dtype): number {
  let bytes = keptConditionBytes(transformer);
  let largestCast = 0;
  for (const { name, shape } of tensors.transformer) {
    if (PROJECTION.test(name)) continue;
    const stored = TRANSFORMER_WEIGHT.test(name) ? storedDtype(name, shape, dtype) : "f32";
    if (stored === "f16") largestCast = Math.max(largestCast, bytesAs("f32", shape));
    bytes += bytesAs(stored, shape);
    // The sums that are added to embedded features, beside what they are made of.
    if (name === "pos_1LC") bytes += bytesAs("f32", shape);
  }
  for (const { name, shape } of tensors.tokenizer) if (!ENCODER.test(name)) bytes += bytesAs("f32", shape);
  return bytes + largestCast;
}

/**
 * Activations of a block that are alive at once, in units of its width: residual, hidden layer before and
 * after its activation, rest.
 */
const LIVE_WIDTHS = 12;
/**
 * Arrays of the decoder's largest size that are alive at once: the published decoder took 299 MB for 256 px.
 */
const LIVE_MAPS = 7;
/**
 * ONNX Runtime's WebGPU provider rounds sizes up to those of its pool and keeps a number of arrays of each
 * size when they are free. A simulation of such a pool gave 400 MB for one image of the model of depth 16,
 * whose first nine scales were measured to take 403; the factor and the bytes that are there once are fitted
 * to it for depths 16 to 36.
 */
const POOL = { factor: 1.6, bytes: 100e6 };

/** Bytes of a guided image at the scale that takes most. */
function scalesBytes(model: ModelSizes, maps: readonly MapSize[], provider: Provider): number {
  const { transformer: { depth, width, heads }, vocabulary } = model;
  let most = 0;
  let past = 0;
  for (const [scale, map] of maps.entries()) {
    const length = positionsOf(map);
    const total = past + length;
    // The last scale's caches do not leave the graph, so only one block's is alive at a time.
    const present = scale === maps.length - 1 ? total : total * depth;
    const caches = 2 * (past * depth + present) * width;
    const activations = length * (LIVE_WIDTHS * width + 2 * vocabulary);
    const scores = provider === "webgpu" ? 0 : heads * length * total;
    most = Math.max(most, caches + activations + scores);
    past = total;
  }
  return GUIDED_ROWS * 4 * most;
}

/** With guidance an image has two rows. */
const GUIDED_ROWS = 2;

function positionsOf({ width, height }: MapSize): number {
  return width * height;
}

/** Words of the decoder's largest activation, for the last map. */
function largestActivation(decoder: ModelSizes["decoder"], maps: readonly MapSize[]): number {
  const levels = decoder ?? [];
  let positions = positionsOf(maps.at(-1)!);
  let width = levels.at(-1)?.channels ?? 0;
  let most = 0;
  for (const { channels } of levels.toReversed()) {
    // A level begins with what the one before it has been enlarged to.
    most = Math.max(most, Math.max(width, channels) * positions);
    width = channels;
    positions *= 4;
  }
  return most;
}

/** Bytes of the largest array that a guided image needs. */
export function largestArrayBytes(
  model: ModelSizes,
  { dtype, maps = model.maps }: Pick<MemoryOptions, "dtype" | "maps">,
): number {
  const { transformer: { width }, vocabulary, decoder, tensors } = model;
  const lengths = maps.map(positionsOf);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const words = [
    largestActivation(decoder, maps),
    // Scores of the decoder's attention, which outgrow small maps.
    decoder === null ? 0 : lengths.at(-1)! ** 2,
    GUIDED_ROWS * lengths.at(-1)! * Math.max(4 * width, vocabulary),
    GUIDED_ROWS * total * width,
  ];
  // Halves are cast before they are used, and projections are fed as f32.
  const weights = tensors.transformer.map(({ name, shape }) => {
    const stored = storedDtype(name, shape, dtype);
    return bytesAs(stored === "f16" ? "f32" : stored, shape);
  });
  return Math.max(...words.map((count) => 4 * count), ...weights);
}

/**
 * Bytes of weights and activations that WebAssembly's 4 GiB have room for beside the runtime itself: 3840 MiB
 * of f32 weights, 3840 of f16 and 3420 of 8-bit ones were loaded and run; 3968 were not.
 */
export const WASM_BYTES: number = 3840 * 2 ** 20;

/**
 * What {@linkcode chooseDtype} assumes where nothing tells: WebGPU does not, and the host only with the
 * permission `--allow-sys`.
 */
export const ASSUMED_BYTES: number = 4 * 2 ** 30;

/** Who computes the graphs of a model on a device. */
function providerOf(device: Device, cpuProvider: CpuProvider = "wasm"): Provider {
  return device instanceof WebGpuDevice ? "webgpu" : cpuProvider;
}

/** Where a model is to run, and with how many bytes. */
export interface Room {
  /** Where. */
  readonly device: Device;
  /** Who computes there. */
  readonly provider: Provider;
  /** Bytes that are free, by which a type of weights is chosen; `undefined` where nothing tells. */
  readonly available: number | undefined;
  /**
   * Bytes beyond which nothing is tried; `undefined` where nothing tells. A host may have more than is free
   * just now; WebAssembly has not, and whoever tells the memory means it.
   */
  readonly most: number | undefined;
}

/**
 * The room that there is on a device.
 *
 * @param device Where a model is to run.
 * @param options Who computes on the CPU, and what the caller knows, which counts before all else except
 * WebAssembly's own limit.
 */
export async function roomOn(
  device: Device,
  options: { cpuProvider?: CpuProvider | undefined; memory?: number | undefined } = {},
): Promise<Room> {
  const { cpuProvider, memory } = options;
  const provider = providerOf(device, cpuProvider);
  const onHost = provider !== "webgpu" || isSoftware(device as WebGpuDevice);
  const host = onHost && memory === undefined ? await hostBytes() : undefined;
  const available = memory ?? host?.available;
  if (provider !== "wasm") return { device, provider, available, most: memory ?? host?.most };
  const bytes = Math.min(available ?? WASM_BYTES, WASM_BYTES);
  return { device, provider, available: bytes, most: bytes };
}

/** Whether an adapter is a program on the CPU. */
function isSoftware({ info }: WebGpuDevice): boolean {
  return info.isFallbackAdapter || /llvmpipe|swiftshader|basic render/i.test(info.description);
}

/** Memory of the host that is free, and all that it has, if it may be asked. */
async function hostBytes(): Promise<Pick<Room, "available" | "most"> | undefined> {
  const { state } = await Deno.permissions.query({ name: "sys", kind: "systemMemoryInfo" });
  if (state !== "granted") return undefined;
  const { available, total, swapTotal } = Deno.systemMemoryInfo();
  return { available, most: total + swapTotal };
}

/** What {@linkcode chooseDtype} chooses from. */
export interface DtypeChoice {
  /** How the weights are stored. */
  readonly stored: Dtype;
  /** Who computes. */
  readonly provider: Provider;
  /**
   * Bytes there are; where that is not known, {@linkcode ASSUMED_BYTES} are assumed, and what takes least is
   * tried at the worst.
   */
  readonly available: number | undefined;
  /**
   * Whether half-precision weights can be used as they are: on WebGPU, the feature `shader-f16`. True by
   * default.
   */
  readonly halves?: boolean;
}

/** Bytes of a small transformer in f32. */
const SMALL_BYTES = 256 * 2 ** 20;

/**
 * The most precise type whose weights fit with one guided image. It is never more precise than what is
 * stored, except that halves become f32 where that is faster: on the CPU, for small models, and where there
 * are no halves. Integers stay what they are.
 *
 * @throws {RangeError} If it is known that none fits.
 */
export function chooseDtype(model: ModelSizes, choice: DtypeChoice): Dtype {
  const { stored, provider, available, halves = true } = choice;
  const widens = stored === "f16" && (provider !== "webgpu" || !halves || isSmall(model));
  const begin = widens ? 0 : DTYPES.indexOf(stored);
  const end = isQuantized(stored) ? begin + 1 : DTYPES.length;
  const candidates = DTYPES.slice(begin, end).filter((dtype) => dtype !== "f16" || halves);
  const room = { provider, bytes: available ?? ASSUMED_BYTES };
  const fitting = candidates.find((dtype) => neededBytes(model, { dtype, provider }) <= room.bytes);
  if (fitting !== undefined) return fitting;
  const least = candidates.at(-1)!;
  if (available !== undefined) requireBytes(model, room, { dtype: least, stored });
  return least;
}

/**
 * Whether a transformer is so small that its halves are widened everywhere: casts in each run would cost more
 * than memory does.
 */
export function isSmall(model: ModelSizes): boolean {
  return storedBytes(model.tensors.transformer, "f32") <= SMALL_BYTES;
}

function isQuantized(dtype: Dtype): boolean {
  return dtype === "q8" || dtype === "q4";
}

function neededBytes(model: ModelSizes, options: MemoryOptions): number {
  const { weights, image } = estimateMemory(model, options);
  return weights + image;
}

/** Options of {@linkcode requireFit}. */
export interface FitOptions extends Pick<MemoryOptions, "dtype" | "maps"> {
  /** How the weights are stored, f32 by default; integers stay what they are. */
  readonly stored?: Dtype;
  /** What cannot be done otherwise, for the message: to load the model by default. */
  readonly action?: string;
}

/**
 * Checks that weights fit together with one guided image, and that a GPU's limits admit the largest array
 * that they need.
 *
 * @throws {RangeError} If they do not, naming what would.
 */
export function requireFit(model: ModelSizes, room: Room, options: FitOptions): void {
  const { device, provider, most } = room;
  if (most !== undefined) requireBytes(model, { provider, bytes: most }, options);
  if (!(device instanceof WebGpuDevice)) return;
  const { action = "load the model" } = options;
  const needed = largestArrayBytes(model, options);
  for (const limit of ["maxStorageBufferBindingSize", "maxBufferSize"] as const) {
    const offered = device.gpu.limits[limit];
    if (needed <= offered) continue;
    throw new RangeError(
      `Cannot ${action} on "${device.name}" as one image needs an array of ${needed} bytes and the device's limit ${limit} is ${offered}; use device: "cpu"`,
    );
  }
}

function requireBytes(
  model: ModelSizes,
  { provider, bytes }: { readonly provider: Provider; readonly bytes: number },
  { dtype, maps, stored = "f32", action = "load the model" }: FitOptions,
): void {
  const neededAs = (dtype: Dtype): number => {
    return neededBytes(model, { dtype, provider, ...(maps === undefined ? {} : { maps }) });
  };
  const needed = neededAs(dtype);
  if (needed <= bytes) return;
  const smaller = DTYPES.slice(DTYPES.indexOf(dtype) + 1)
    .filter((candidate) => !isQuantized(stored) || candidate === stored)
    .filter((candidate) => neededAs(candidate) <= bytes)
    .map((candidate) => `dtype: "${candidate}"`);
  // Where it is not WebAssembly that is too small, nobody else has more.
  const elsewhere = provider === "wasm" && bytes >= WASM_BYTES
    ? ['device: "webgpu"', 'cpuProvider: "native"']
    : [];
  const ways = [...smaller, ...elsewhere];
  throw new RangeError(
    `Cannot ${action} as ${dtype} as it needs ${needed} bytes with one image and there are ${bytes}` +
      (ways.length === 0 ? "" : `; possible are ${ways.join(" or ")}`),
  );
}

/** What {@linkcode resolveDtype} goes by. */
export interface DtypeOptions {
  /** What was asked for. */
  readonly choice: Dtype | "auto";
  /** How the weights are stored. */
  readonly stored: Dtype;
}

/**
 * The type of the large weights: what was asked for, if it fits, or what fits.
 *
 * @throws {RangeError} If it does not fit, or the GPU cannot hold an array that one image needs.
 */
export function resolveDtype(model: ModelSizes, room: Room, { choice, stored }: DtypeOptions): Dtype {
  const { device, provider, available } = room;
  const halves = !(device instanceof WebGpuDevice) || device.gpu.features.has("shader-f16");
  const dtype = choice === "auto" ? chooseDtype(model, { stored, provider, available, halves }) : choice;
  if (dtype === "f16" && !halves) {
    throw new RangeError(
      `Cannot load the model as f16 as "${device.name}" has no shader-f16; possible are dtype: "f32" or dtype: "q8"`,
    );
  }
  requireFit(model, room, { dtype, stored });
  return dtype;
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
