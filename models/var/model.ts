/**
 * A VAR model on a device, and its state between scales: the growing key and value caches, and the feature map that the scales add to.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device.ts";
import { WebGpuDevice } from "../../kernels/webgpu_device.ts";
import { gatherRows } from "../../kernels/gather.ts";
import { codebookLookup } from "../../kernels/lookup.ts";
import { nearestCodes } from "../../kernels/nearest.ts";
import { createResampleTable, resample, type ResampleTable } from "../../kernels/resample.ts";
import { residualUpdate } from "../../kernels/residual.ts";
import { MANIFEST, type ModelFolder, type ModelTuning } from "../folder.ts";
import type { WeightFiles } from "../weight_files.ts";
import type {
  CodeVectors,
  EncodeOptions,
  Encoding,
  Generation,
  Model,
  ModelMemory,
  StartOptions,
} from "../model.ts";
import type { Dtype } from "../dtype.ts";
import {
  type CpuProvider,
  createGraphSession,
  type GraphSession,
  type GraphSessionOptions,
  type GraphTensor,
} from "../graph_session.ts";
import { keepHalves } from "../onnx.ts";
import { ConditionCache } from "./condition.ts";
import {
  availableBytes,
  chooseDtype,
  estimateMemory,
  isSmall,
  providerOf,
  requireFit,
  requireLimits,
} from "./memory.ts";
import { requireDepth, requireVarConfig, residualOfScale, type VarConfig } from "./config.ts";
import { openVarSource, TOKENIZER, TRANSFORMER } from "./convert.ts";

/** What one scale needs besides the tokens. */
interface Scale {
  /** Side of its token map. */
  readonly side: number;
  /** Added to its embedded features, f32 [length, C]; the first scale's are part of the condition. */
  readonly positions: DeviceArray;
  /** From its side up to full resolution. */
  readonly up: ResampleTable;
  /** From full resolution down to its side. */
  readonly down: ResampleTable;
  /** Its φ convolution. */
  readonly residual: { readonly weight: DeviceArray; readonly bias: DeviceArray };
}

/** Options of {@linkcode loadVarModel}. */
export interface LoadVarOptions extends Omit<GraphSessionOptions, "externalFiles"> {
  /** Type of the large weights where the model runs; by default `"auto"`, which is what {@linkcode chooseDtype} says. */
  dtype?: Dtype | "auto";
  /** Bytes it may take; what the device has, by default, as far as that can be told. */
  memory?: number;
  /** Depth that it must have. */
  depth?: number;
  /** Whether the model disposes the device. */
  ownsDevice?: boolean;
}

/**
 * Loads a VAR model from its folder, which is the model's from then on. Weights of another type than the folder's are converted as they
 * are read.
 *
 * @throws {ModelFileError} If the files are no VAR model, or are quantized and another type was asked for.
 * @throws {RangeError} If the model is of another depth, or does not fit where it is to run.
 */
export async function loadVarModel(
  folder: ModelFolder,
  device: Device,
  options: LoadVarOptions = {},
): Promise<Model> {
  const { ownsDevice = false, dtype: choice = "auto", memory, depth, ...sessionOptions } = options;
  await using stack = new AsyncDisposableStack();
  if (ownsDevice) stack.use(device);
  stack.use(folder);
  const config = requireVarConfig(folder.manifest.config, `${folder.location}/${MANIFEST}`);
  const { dtype: stored, name } = folder.manifest;
  requireDepth({ name, depth: config.depth }, depth, "load");
  const dtype = await resolveDtype(config, { ...sessionOptions, device, choice, stored, memory });
  // The runtime widens what is small enough; a conversion would take longer to set up.
  const widened = dtype === "f32" && stored === "f16" && isSmall(config);
  if (dtype !== stored && !widened) folder = stack.use(await openVarSource({ folder }, { dtype }));
  // Projections of the condition are read when they are needed.
  const transformer = stack.use(await folder.weights(TRANSFORMER));
  using tokenizer = await folder.weights(TOKENIZER);

  const session = async (graph: Uint8Array, { files }: WeightFiles): Promise<GraphSession> => {
    return stack.use(await createGraphSession(device, graph, { ...sessionOptions, externalFiles: files }));
  };
  // All graphs before the first session, so that a damaged folder is found out before anything large is loaded.
  const conditionGraph = await folder.read("condition.onnx");
  const transformerGraph = await folder.read("transformer.onnx");
  const decoderGraph = config.tokenizer.decoder === null ? undefined : await folder.read("decoder.onnx");
  const sessions: Sessions = {
    transformer: await session(
      dtype === "f16" ? keepHalves(transformerGraph) : transformerGraph,
      transformer,
    ),
    decoder: decoderGraph && await session(decoderGraph, tokenizer),
  };
  const conditionSession = await session(conditionGraph, transformer);
  const conditions = stack.use(
    await ConditionCache.create(
      { device, config, session: conditionSession, weights: transformer },
      sessionOptions,
    ),
  );

  const upload = async (name: string): Promise<DeviceArray> => {
    return stack.use(device.upload(await tokenizer.readFloat32(name), name));
  };
  const codebook = await upload("quantize.embedding.weight");
  const residuals: Scale["residual"][] = [];
  for (let i = 0; i < config.tokenizer.residuals; i++) {
    const name = `quantize.quant_resi.qresi_ls.${i}`;
    residuals.push({ weight: await upload(`${name}.weight`), bias: await upload(`${name}.bias`) });
  }
  const { patchNumbers, width } = config;
  const positions = await transformer.readFloat32("pos_1LC");
  const levels = await transformer.readFloat32("lvl_embed.weight");
  const bias = await transformer.readFloat32("word_embed.bias");
  const finest = patchNumbers.at(-1)!;
  let begin = 0;
  const scales = patchNumbers.map((side, scale): Scale => {
    const sums = new Float32Array(side * side * width);
    for (let i = 0; i < sums.length; i++) {
      const column = i % width;
      sums[i] = positions[begin * width + i]! + levels[scale * width + column]! + bias[column]!;
    }
    begin += side * side;
    return {
      side,
      positions: stack.use(device.upload(sums, `positions of scale ${scale}`)),
      up: stack.use(createResampleTable(device, "bicubic", side, finest)),
      down: stack.use(createResampleTable(device, "area", finest, side)),
      residual: residuals[residualOfScale(scale, patchNumbers.length, residuals.length)]!,
    };
  });
  const loadEncoder = async (): Promise<GraphSession> => {
    using weights = await folder.weights(TOKENIZER);
    return await createGraphSession(device, await folder.read("encoder.onnx"), {
      ...sessionOptions,
      externalFiles: weights.files,
    });
  };
  return new VarModel({
    folder,
    config,
    dtype,
    memory: estimateMemory(config, { dtype, provider: providerOf(device, sessionOptions.cpuProvider) }),
    device,
    sessions,
    conditions,
    codebook,
    scales,
    loadEncoder,
    owned: stack.move(),
  });
}

/**
 * The type of the large weights: what was asked for, if it fits, or what fits.
 *
 * @throws {RangeError} If it does not fit, or the GPU cannot hold an array that one image needs.
 */
async function resolveDtype(
  config: VarConfig,
  options: {
    readonly device: Device;
    readonly choice: Dtype | "auto";
    readonly stored: Dtype;
    readonly cpuProvider?: CpuProvider;
    readonly memory: number | undefined;
  },
): Promise<Dtype> {
  const { device, choice, stored, memory } = options;
  const provider = providerOf(device, options.cpuProvider);
  const halves = !(device instanceof WebGpuDevice) || device.gpu.features.has("shader-f16");
  const available = await availableBytes(device, options);
  const dtype = choice === "auto" ? chooseDtype(config, { stored, provider, available, halves }) : choice;
  if (dtype === "f16" && !halves) {
    throw new RangeError(
      `Cannot load the model as f16 as "${device.name}" has no shader-f16; possible are dtype: "f32" or dtype: "q8"`,
    );
  }
  // A host may have more than is free just now; WebAssembly has not, and whoever tells the memory means it.
  if (available !== undefined && (provider === "wasm" || memory !== undefined)) {
    requireFit(config, dtype, { provider, available, stored });
  }
  if (device instanceof WebGpuDevice) requireLimits(config, dtype, device);
  return dtype;
}

interface Sessions {
  readonly transformer: GraphSession;
  readonly decoder: GraphSession | undefined;
}

/** What a model is busy with. Unloading waits for it: a graph must not lose its inputs in the middle of a run. */
class Work {
  readonly #running = new Set<Promise<unknown>>();
  readonly #model: string;
  #ended = false;

  /** @param model Name of the model, for messages. */
  constructor(model: string) {
    this.#model = model;
  }

  /**
   * Does a piece of work.
   *
   * @throws {TypeError} If the model has been disposed.
   */
  async run<Result>(action: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#ended) {
      throw new TypeError(`Cannot ${action} as the model "${this.#model}" has been disposed`);
    }
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Refuses what comes from now on, and waits for the rest. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.allSettled(this.#running);
  }
}

interface VarModelParts {
  readonly folder: ModelFolder;
  readonly config: VarConfig;
  readonly dtype: Dtype;
  readonly memory: ModelMemory;
  readonly device: Device;
  readonly sessions: Sessions;
  readonly conditions: ConditionCache;
  readonly codebook: DeviceArray;
  readonly scales: readonly Scale[];
  readonly loadEncoder: () => Promise<GraphSession>;
  readonly owned: AsyncDisposableStack;
}

class VarModel implements Model {
  readonly family = "var";
  readonly #parts: VarModelParts;
  readonly #work: Work;
  /** Loaded when it is first needed: generation never does. */
  #encoder: Promise<GraphSession> | undefined;

  constructor(parts: VarModelParts) {
    this.#parts = parts;
    this.#work = new Work(this.name);
  }

  get name(): string {
    return this.#parts.folder.manifest.name;
  }

  get location(): string {
    return this.#parts.folder.location;
  }

  get fingerprints(): Readonly<Record<string, string>> {
    return this.#parts.folder.fingerprints;
  }

  get device(): Device {
    return this.#parts.device;
  }

  get dtype(): Dtype {
    return this.#parts.dtype;
  }

  get memory(): ModelMemory {
    return this.#parts.memory;
  }

  get depth(): number {
    return this.#parts.config.depth;
  }

  get classes(): number {
    return this.#parts.config.classes;
  }

  get classNames(): readonly string[] {
    return this.#parts.folder.manifest.classNames;
  }

  get patchNumbers(): readonly number[] {
    return this.#parts.config.patchNumbers;
  }

  get imageSize(): number {
    const { patchNumbers, tokenizer: { decoder, encoder } } = this.#parts.config;
    const levels = decoder ?? encoder;
    return levels === null ? 0 : patchNumbers.at(-1)! * 2 ** (levels.length - 1);
  }

  get codebook(): CodeVectors {
    const { vocabulary, channels } = this.#parts.config.tokenizer;
    return { array: this.#parts.codebook, vocabulary, channels };
  }

  get tuning(): ModelTuning {
    return this.#parts.folder.manifest.tuning ?? {};
  }

  async start(options: StartOptions): Promise<Generation> {
    const { config, device, sessions, conditions, scales } = this.#parts;
    const { labels, guided } = options;
    const action = "start a generation";
    requireInteger(labels.length, "the number of labels", action, { min: 1 });
    // A GPU reads anything for a class that is not there.
    for (const label of labels) requireInteger(label, "a label", action, { min: 0, max: config.classes });
    const all = guided ? [...labels, ...labels.map(() => config.classes)] : labels;
    return await this.#work.run(action, async () =>
      new VarGeneration({
        model: this,
        work: this.#work,
        config,
        device,
        sessions,
        scales,
        condition: await conditions.condition(all),
        images: labels.length,
        guided,
      }));
  }

  async decode(features: DeviceArray, images: number): Promise<DeviceArray> {
    const { config, sessions: { decoder } } = this.#parts;
    if (decoder === undefined) {
      throw new TypeError(`Cannot decode as the model "${this.name}" has no decoder`);
    }
    const side = config.patchNumbers.at(-1)!;
    const { image } = await this.#work.run("decode", () =>
      decoder.run({
        features: { array: features, shape: [images, config.tokenizer.channels, side, side] },
        map_shape: { array: [0, -1, side, side], shape: [4] },
      }));
    return image!;
  }

  async encode(
    pictures: DeviceArray,
    images: number,
    options: EncodeOptions = {},
  ): Promise<Encoding> {
    const { config, device } = this.#parts;
    if (config.tokenizer.encoder === null) {
      throw new TypeError(`Cannot encode as the model "${this.name}" has no encoder`);
    }
    const side = config.patchNumbers.at(-1)!;
    const size = this.imageSize;
    return await this.#work.run("encode", async () => {
      const encoder = await (this.#encoder ??= this.#loadEncoder());
      const { features } = await encoder.run({
        image: { array: pictures, shape: [images, 3, size, size] },
        map_shape: { array: [0, -1, side, side], shape: [4] },
      });
      return this.#quantize(device, features!, { images, keepSnapshots: options.snapshots ?? false });
    });
  }

  async #loadEncoder(): Promise<GraphSession> {
    const { owned, loadEncoder } = this.#parts;
    try {
      return owned.use(await loadEncoder());
    } catch (error) {
      // Somebody may mend the cause, a file that is missing say, and try again.
      this.#encoder = undefined;
      throw error;
    }
  }

  /** Finds the codes of each scale in what the scales before it have left over. */
  #quantize(
    device: Device,
    features: DeviceArray,
    { images, keepSnapshots }: { readonly images: number; readonly keepSnapshots: boolean },
  ): Encoding {
    const { scales, codebook: table, config: { tokenizer: { vocabulary, channels } } } = this.#parts;
    using stack = new DisposableStack();
    stack.use(features);
    const finest = scales.at(-1)!.side;
    const length = images * channels * finest * finest;
    const accumulated = stack.use(device.allocate(length, "accumulated features"));
    using rest = device.allocate(length, "rest");
    device.copy(features, rest, { length });
    const snapshots: DeviceArray[] = [];
    const tokens = scales.map(({ side, up, down, residual }, scale): DeviceArray => {
      const positions = side * side;
      const codes = stack.use(device.allocate(images * positions, "tokens"));
      using rows = device.allocate(images * positions * channels, "rows");
      device.run(resample, { input: rest, output: rows, table: down, images, channels, layout: "rows" });
      const count = images * positions;
      device.run(nearestCodes, {
        features: rows,
        codebook: table,
        tokens: codes,
        count,
        vocabulary,
        channels,
      });
      using planes = device.allocate(images * channels * positions, "code vectors");
      using full = device.allocate(length, "features at full resolution");
      device.run(codebookLookup, {
        tokens: codes,
        codebook: table,
        output: planes,
        images,
        positions,
        vocabulary,
        channels,
        layout: "planes",
      });
      device.run(resample, { input: planes, output: full, table: up, images, channels, layout: "planes" });
      const update = { features: full, ...residual, images, channels, side: finest };
      device.run(residualUpdate, { ...update, state: accumulated });
      if (scale === scales.length - 1) return codes;
      device.run(residualUpdate, { ...update, state: rest, sign: -1 });
      if (keepSnapshots) {
        const snapshot = stack.use(device.allocate(length, "snapshot"));
        device.copy(accumulated, snapshot, { length });
        snapshots.push(snapshot);
      }
      return codes;
    });
    const owned = stack.move();
    return { tokens, features, accumulated, snapshots, [Symbol.dispose]: () => owned.dispose() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.#parts.owned.disposeAsync();
  }
}

interface VarGenerationParts {
  readonly model: VarModel;
  readonly work: Work;
  readonly config: VarConfig;
  readonly device: Device;
  readonly sessions: Sessions;
  readonly scales: readonly Scale[];
  readonly condition: Record<string, DeviceArray>;
  readonly images: number;
  readonly guided: boolean;
}

class VarGeneration implements Generation {
  readonly guided: boolean;
  readonly #parts: VarGenerationParts;
  #images: number;
  #scale = 0;
  /** Tokens in the caches. */
  #past = 0;
  #condition: Record<string, DeviceArray>;
  #caches: Record<string, DeviceArray> = {};
  #features: DeviceArray;
  #accumulated: DeviceArray;

  constructor(parts: VarGenerationParts) {
    const { device, images, guided, condition, config: { tokenizer: { channels }, patchNumbers } } = parts;
    this.#parts = parts;
    this.#images = images;
    this.guided = guided;
    this.#condition = condition;
    const finest = patchNumbers.at(-1)!;
    const first = patchNumbers[0]!;
    this.#features = device.allocate(this.#rows * first * first * channels, "features");
    this.#accumulated = device.allocate(images * channels * finest * finest, "accumulated features");
  }

  get images(): number {
    return this.#images;
  }

  get accumulated(): DeviceArray {
    return this.#accumulated;
  }

  get features(): DeviceArray {
    return this.#features;
  }

  get #rows(): number {
    return this.guided ? 2 * this.#images : this.#images;
  }

  /** The scale that comes next. */
  get #current(): Scale {
    const scale = this.#parts.scales[this.#scale];
    if (scale !== undefined) return scale;
    throw new RangeError(`Cannot go on as all ${this.#scale} scales are done`);
  }

  async logits(): Promise<DeviceArray> {
    return await this.#parts.work.run("go on with a generation", () => this.#logits());
  }

  async #logits(): Promise<DeviceArray> {
    const { config, device, sessions, scales } = this.#parts;
    const { depth, width, heads, tokenizer: { channels } } = config;
    const { side, positions } = this.#current;
    const length = side * side;
    const rows = this.#rows;
    const headWidth = width / heads;
    const feeds: Record<string, GraphTensor> = {
      features: { array: this.#features, shape: [rows, length, channels] },
      positions: this.#scale === 0
        ? { array: this.#condition.first!, shape: [rows, 1, width] }
        : { array: positions, shape: [1, length, width] },
      map_shape: { array: [rows, length, width], shape: [3] },
      "modulation.head": { array: this.#condition["modulation.head"]!, shape: [rows, 2, width] },
    };
    using empty = device.allocate(0, "empty cache");
    for (let i = 0; i < depth; i++) {
      feeds[`modulation.${i}`] = { array: this.#condition[`modulation.${i}`]!, shape: [rows, 6, width] };
      for (const part of ["key", "value"]) {
        const array = this.#caches[`present_${part}.${i}`] ?? empty;
        feeds[`past_${part}.${i}`] = { array, shape: [rows, heads, this.#past, headWidth] };
      }
    }
    // Nothing follows the last scale, so its caches need not leave the graph.
    const wanted = this.#scale === scales.length - 1 ? ["logits"] : undefined;
    const { logits, ...caches } = await sessions.transformer.run(feeds, wanted);
    disposeAll(this.#caches);
    this.#caches = caches;
    this.#past += length;
    return logits!;
  }

  accept(tokens: DeviceArray): void {
    const { model: { codebook }, device } = this.#parts;
    const { array, vocabulary, channels } = codebook;
    const images = this.#images;
    const positions = this.#current.side ** 2;
    using planes = device.allocate(images * channels * positions, "code vectors");
    device.run(codebookLookup, {
      tokens,
      codebook: array,
      output: planes,
      images,
      positions,
      vocabulary,
      channels,
      layout: "planes",
    });
    this.acceptFeatures(planes);
  }

  acceptFeatures(features: DeviceArray): void {
    const { device, scales, config: { tokenizer: { channels } } } = this.#parts;
    const images = this.#images;
    const { up, residual } = this.#current;
    const state = this.#accumulated;
    using full = device.allocate(state.length, "features at full resolution");
    device.run(resample, { input: features, output: full, table: up, images, channels, layout: "planes" });
    device.run(residualUpdate, { features: full, state, ...residual, images, channels, side: up.to });
    const next = scales[++this.#scale];
    if (next === undefined) return;
    const length = images * next.side ** 2 * channels;
    using rows = device.allocate(length, "features of the images");
    device.run(resample, { input: state, output: rows, table: next.down, images, channels, layout: "rows" });
    this.#features[Symbol.dispose]();
    this.#features = device.allocate(this.guided ? 2 * length : length, "features");
    device.copy(rows, this.#features);
    if (this.guided) device.copy(rows, this.#features, { targetOffset: length });
  }

  gather(lanes: readonly number[]): void {
    const { device } = this.#parts;
    const before = this.#images;
    requireInteger(lanes.length, "the number of lanes", "gather lanes", { min: 1 });
    for (const lane of lanes) requireInteger(lane, "a lane", "gather lanes", { min: 0, max: before - 1 });
    using perImage = device.upload(Uint32Array.from(lanes), "lanes");
    const all = this.guided ? [...lanes, ...lanes.map((lane) => lane + before)] : lanes;
    using perRow = device.upload(Uint32Array.from(all), "rows");
    const gathered = (input: DeviceArray, rows: DeviceArray, inputRows: number): DeviceArray => {
      const stride = input.length / inputRows;
      const output = device.allocate(rows.length * stride, input.label);
      device.run(gatherRows, { input, output, rows, count: rows.length, stride, inputRows });
      input[Symbol.dispose]();
      return output;
    };
    const rowsBefore = this.#rows;
    const gatherAll = (arrays: Record<string, DeviceArray>): Record<string, DeviceArray> => {
      return Object.fromEntries(
        Object.entries(arrays).map(([name, array]) => [name, gathered(array, perRow, rowsBefore)]),
      );
    };
    this.#condition = gatherAll(this.#condition);
    this.#caches = gatherAll(this.#caches);
    this.#features = gathered(this.#features, perRow, rowsBefore);
    this.#accumulated = gathered(this.#accumulated, perImage, before);
    this.#images = lanes.length;
  }

  async decode(): Promise<DeviceArray> {
    return await this.#parts.model.decode(this.#accumulated, this.#images);
  }

  [Symbol.dispose](): void {
    disposeAll(this.#condition);
    disposeAll(this.#caches);
    this.#features[Symbol.dispose]();
    this.#accumulated[Symbol.dispose]();
  }
}

function disposeAll(arrays: Record<string, DeviceArray>): void {
  for (const array of Object.values(arrays)) array[Symbol.dispose]();
}
