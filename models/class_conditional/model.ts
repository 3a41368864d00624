/**
 * A model of a class-conditional transformer and a convolutional tokenizer on a device, as VAR and FlexVAR
 * are: how it is loaded from its folder, and all of a model that does not depend on what its scales are and
 * what comes of their tokens. That is left to the families.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { type AutoencoderConfig, pixelsPerToken } from "../autoencoder/config.ts";
import { AutoencoderNetworks, type FeatureMaps } from "../autoencoder/networks.ts";
import type { Family, LoadFamilyOptions } from "../family.ts";
import { MANIFEST, type ModelFolder, type ModelTuning } from "../folder/model_folder.ts";
import { requireModelSize } from "../folder/sizes.ts";
import { openFolderAs, requireOwnSizes } from "../folder_conversion.ts";
import { createGraphSession } from "../graphs/create_session.ts";
import { batchLimitOn, requireBatch, requireFit, resolveDtype } from "../graphs/fit.ts";
import { keepHalves } from "../graphs/graph_file.ts";
import { type GraphSession, type GraphSessionOptions, refuseGraph } from "../graphs/graph_session.ts";
import { type Room, roomOn } from "../graphs/room.ts";
import { Work } from "../graphs/work.ts";
import { type ClassLabels, type Label, resolveClass, type ResolvedLabel } from "../label.ts";
import type {
  DecodedPictures,
  EncodeOptions,
  Encoding,
  Generation,
  Model,
  PictureArray,
  SearchDefaults,
  StartOptions,
} from "../model.ts";
import type {
  MapSize,
  PictureSize,
  SamplingDefaults,
  Scale,
  Schedule,
  ScheduleRequest,
} from "../schedule.ts";
import type { CodebookTokens } from "../tokens/codebook_tokens.ts";
import type { Dtype } from "../weights/dtype.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { withSynonyms } from "./imagenet.ts";
import {
  bytesNeeded,
  estimateMemory,
  isSmall,
  largestActivationBytes,
  largestArrayBytes,
  type ModelSizes,
} from "./memory.ts";
import { ConditionCache } from "./transformer/condition.ts";
import type { TransformerConfig } from "./transformer/config.ts";
import { TransformerState } from "./transformer/generation.ts";

/** Name of the transformer's weights in a model folder. */
export const TRANSFORMER = "transformer";
/** Name of the tokenizer's weights. */
export const TOKENIZER = "tokenizer";

/** Sizes of such a model. */
export interface ClassConditionalConfig extends TransformerConfig {
  /** The tokenizer. */
  readonly tokenizer: AutoencoderConfig & {
    /** Codebook entries V. */
    readonly vocabulary: number;
  };
}

/** A model as it is loaded, but for what only its family has. */
export interface ModelParts<Config> {
  /** Name of its family. */
  readonly family: string;
  /** How tokens are drawn unless something else is asked for. */
  readonly defaults: SamplingDefaults;
  /** Where it was loaded from. */
  readonly folder: ModelFolder;
  /** Its sizes. */
  readonly config: Config;
  /** What its memory depends on. */
  readonly sizes: ModelSizes;
  /** Type of the large weights. */
  readonly dtype: Dtype;
  /** Type that they have in the folder that was loaded. */
  readonly stored: Dtype;
  /** Where it runs, and with how many bytes. */
  readonly room: Room;
  /** The graph `transformer`. */
  readonly transformer: GraphSession;
  /** Conditions of its classes. */
  readonly conditions: ConditionCache;
  /** The tokenizer's networks. */
  readonly networks: AutoencoderNetworks;
  /** What is unloaded with the model. What its family loads beside these parts goes here, too. */
  readonly owned: AsyncDisposableStack;
}

/**
 * Files of a model that is being loaded. They are closed when it is; those of the transformer when it is
 * unloaded.
 */
export interface OpenWeights {
  /** Weights of the transformer. */
  readonly transformer: WeightFiles;
  /** Weights of the tokenizer. */
  readonly tokenizer: WeightFiles;
}

/** Options of {@linkcode loadClassConditional}. */
export interface LoadClassConditionalOptions<Config> extends LoadFamilyOptions {
  /** Its family. */
  readonly family: Family<Config>;
  /** What the memory of a model of given sizes depends on. */
  readonly sizesOf: (config: Config) => ModelSizes;
  /** Makes the model of its parts, and loads what only its family has. */
  readonly make: (parts: ModelParts<Config>, weights: OpenWeights) => Promise<Model>;
}

/**
 * Loads a model from its folder, which is the model's from then on. Weights of another type than the folder's
 * are converted as they are read.
 *
 * @throws {ModelFileError} If the files are no model of the family, or weights are quantized and another type
 * was asked for.
 * @throws {RangeError} If the model is of another depth, or does not fit where it is to run.
 */
export async function loadClassConditional<Config extends ClassConditionalConfig>(
  folder: ModelFolder,
  device: Device,
  options: LoadClassConditionalOptions<Config>,
): Promise<Model> {
  const { family, sizesOf, make, threads, cpuProvider, memory, size } = options;
  const { dtype: choice = "auto", ownsDevice = false } = options;
  await using stack = new AsyncDisposableStack();
  const owned = stack.use(new AsyncDisposableStack());
  if (ownsDevice) owned.use(device);
  owned.use(folder);
  const { dtype: stored, name } = folder.manifest;
  const config = family.requireConfig(folder.manifest.config, `${folder.location}/${MANIFEST}`);
  requireModelSize({ name, size: config.depth }, size, "load");
  await requireOwnSizes(family, folder, config);
  const sizes = sizesOf(config);
  const room = await roomOn(device, { cpuProvider, memory });
  const small = isSmall(sizes);
  const dtype = resolveDtype(bytesNeeded(sizes, { provider: room.provider }), room, {
    choice,
    stored,
    small,
    largestArray: (dtype) => largestArrayBytes(sizes, { dtype }),
  });
  // The runtime widens what is small enough; a conversion would take longer to set up.
  const widened = dtype === "f32" && stored === "f16" && small;
  const source = dtype === stored || widened
    ? folder
    : owned.use(await openFolderAs(family, folder, { dtype }));
  // Projections of the condition are read when they are needed.
  const transformer = owned.use(await source.weights(TRANSFORMER));
  using tokenizer = await source.weights(TOKENIZER);

  const sessionOptions: GraphSessionOptions = {
    ...(threads === undefined ? {} : { threads }),
    ...(cpuProvider === undefined ? {} : { cpuProvider }),
  };
  const session = (graph: GraphFile, { files }: WeightFiles): Promise<GraphSession> => {
    const { file, bytes } = graph;
    return createGraphSession(device, bytes, { ...sessionOptions, file, externalFiles: files });
  };
  const read = async (name: string): Promise<GraphFile> => {
    return { file: `${source.location}/${name}`, bytes: await source.read(name) };
  };
  // All graphs before the first session, so that a damaged folder is found out before anything large is
  // loaded.
  const conditionGraph = await read("condition.onnx");
  const stepGraph = await read("transformer.onnx");
  const decoderGraph = config.tokenizer.decoder === null ? undefined : await read("decoder.onnx");
  const transformerGraph = dtype === "f16" ? withHalves(stepGraph) : stepGraph;
  const transformerSession = owned.use(await session(transformerGraph, transformer));
  const networks = owned.use(
    new AutoencoderNetworks({
      model: name,
      config: config.tokenizer,
      decoder: decoderGraph && await session(decoderGraph, tokenizer),
      loadEncoder: async () => {
        using weights = await source.weights(TOKENIZER);
        return await session(await read("encoder.onnx"), weights);
      },
    }),
  );
  const conditions = owned.use(
    await ConditionCache.create({
      device,
      config,
      session: owned.use(await session(conditionGraph, transformer)),
      weights: transformer,
    }, sessionOptions),
  );
  const model = await make({
    family: family.name,
    defaults: family.defaults,
    folder: source,
    config,
    sizes,
    dtype,
    stored,
    room,
    transformer: transformerSession,
    conditions,
    networks,
    owned,
  }, { transformer, tokenizer });
  // From here on everything is the model's.
  stack.move();
  return model;
}

/** A graph of a folder. */
interface GraphFile {
  /** Path or URL, for messages. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * The same graph with weights that stay halves where it runs.
 *
 * @throws {ModelFileError} If it is no graph.
 */
function withHalves({ file, bytes }: GraphFile): GraphFile {
  try {
    return { file, bytes: keepHalves(bytes) };
  } catch (error) {
    return refuseGraph(error, "load", file);
  }
}

/** What a family makes of encoded pictures. */
export interface Quantized {
  /** Tokens of the scales in order, u32 [images, positions]. */
  readonly tokens: readonly DeviceArray[];
  /**
   * Features of the picture that the tokens show up to a scale, for the decoder. They belong to the caller.
   */
  features(scale: number): FeatureMaps;
}

/** What is the same in all such models. */
export abstract class ClassConditionalModel<Config extends ClassConditionalConfig> implements Model {
  readonly labels: ClassLabels;
  /** Its parts, for its family. */
  protected readonly parts: ModelParts<Config>;
  readonly tokens: CodebookTokens;
  readonly #work: Work;

  /** Takes over the parts. */
  constructor(parts: ModelParts<Config>, tokens: CodebookTokens) {
    this.parts = parts;
    this.tokens = tokens;
    const { config: { classes }, folder: { manifest: { classNames } } } = parts;
    this.labels = withSynonyms({ kind: "classes", count: classes, names: classNames });
    this.#work = new Work(this.name);
  }

  abstract readonly patchNumbers: readonly number[];
  abstract readonly search: SearchDefaults;

  get family(): string {
    return this.parts.family;
  }

  get name(): string {
    return this.parts.folder.manifest.name;
  }

  get location(): string {
    return this.parts.folder.location;
  }

  get fingerprints(): Readonly<Record<string, string>> {
    return this.parts.folder.fingerprints;
  }

  get device(): Device {
    return this.parts.room.device;
  }

  get dtype(): Dtype {
    return this.parts.dtype;
  }

  get storedDtype(): Dtype {
    return this.parts.stored;
  }

  get weightBytes(): number {
    const { sizes, dtype, room: { provider } } = this.parts;
    return estimateMemory(sizes, { dtype, provider }).weights;
  }

  get memoryLimit(): number | undefined {
    return this.parts.room.most;
  }

  /** Depth of the transformer. */
  get size(): number {
    return this.parts.config.depth;
  }

  get defaults(): SamplingDefaults {
    return this.parts.defaults;
  }

  get tuning(): ModelTuning {
    return this.parts.folder.manifest.tuning ?? {};
  }

  get encodes(): boolean {
    return this.parts.networks.encodes;
  }

  get decodes(): boolean {
    return this.parts.networks.decodes;
  }

  resolveLabel(label: Label): ResolvedLabel {
    return resolveClass(this, label);
  }

  abstract schedule(request?: ScheduleRequest): Schedule;

  async start(options: StartOptions): Promise<Generation> {
    const { device, parts: { config, transformer, conditions } } = this;
    const { labels, guided, schedule = this.schedule() } = options;
    const action = "start a generation";
    requireInteger(labels.length, "the number of labels", action, { min: 1 });
    requireBatch(labels.length, schedule.batchLimit, action);
    for (const { id } of labels) {
      // A GPU reads anything for a class that is not there.
      if (id !== null) requireInteger(id, "a label", action, { min: 0, max: config.classes - 1 });
    }
    const classes = labels.map(({ id }) => id ?? config.classes);
    const all = guided ? [...classes, ...classes.map(() => config.classes)] : classes;
    return await this.#work.run(action, async () => {
      using stack = new DisposableStack();
      const state = stack.use(
        new TransformerState({
          device,
          sizes: { ...config, ...config.tokenizer },
          session: transformer,
          work: this.#work,
          condition: await conditions.condition(all),
          images: labels.length,
          guided,
          scales: schedule.scales.length,
          batchLimit: schedule.batchLimit,
        }),
      );
      const generation = this.begin(state, schedule);
      stack.move();
      return generation;
    });
  }

  async encode(pictures: PictureArray, images: number, options: EncodeOptions = {}): Promise<Encoding> {
    const { networks } = this.parts;
    const action = "encode";
    networks.requireEncoder();
    const { schedule = this.schedule(), last = schedule.scales.length - 1 } = options;
    requireInteger(images, "the number of pictures", action, { min: 1 });
    requireBatch(images, schedule.batchLimit, action);
    requireInteger(last, "the last scale", action, { min: 0, max: schedule.scales.length - 1 });
    const scales = schedule.scales.slice(0, last + 1);
    const wanted = scales.at(-1)!.picture;
    if (!this.admits(pictures, wanted)) {
      const [given, size] = [pictures, wanted].map(({ width, height }) => `${width}×${height}`);
      throw new RangeError(
        `Cannot encode pictures for scale ${last} as they must have ${size} pixels: they have ${given}`,
      );
    }
    return await this.#work.run(action, async () => {
      using stack = new DisposableStack();
      const features = await networks.encode(pictures, images);
      stack.use(features.array);
      const { tokens, features: featuresOf } = this.quantize(features, scales, stack);
      const owned = stack.move();
      return {
        tokens,
        features: features.array,
        decode: async (scale = last) => {
          networks.requireDecoder();
          requireInteger(scale, "a scale", "decode", { min: 0, max: last });
          const decoded = featuresOf(scale);
          using _array = decoded.array;
          return await this.decode(decoded);
        },
        [Symbol.dispose]: () => owned.dispose(),
      };
    });
  }

  /** Begins a generation, whose state is the generation's from then on. */
  protected abstract begin(state: TransformerState, schedule: Schedule): Generation;

  /**
   * Finds the tokens of encoded features.
   *
   * @param features The features, which stay the encoding's.
   * @param scales The scales whose tokens are wanted.
   * @param owned What is freed with the encoding: everything that is allocated for longer than the call goes
   * here.
   */
  protected abstract quantize(
    features: FeatureMaps,
    scales: readonly Scale[],
    owned: DisposableStack,
  ): Quantized;

  /** Whether pictures of one size may be encoded where those of another are wanted. */
  protected admits(pictures: PictureSize, wanted: PictureSize): boolean {
    return pictures.width === wanted.width && pictures.height === wanted.height;
  }

  /** Decodes features, which stay the caller's. */
  protected async decode(features: FeatureMaps): Promise<DecodedPictures> {
    this.parts.networks.requireDecoder();
    return await this.#work.run("decode", () => this.parts.networks.decode(features));
  }

  /** Size of the picture of a token map; 0 by 0 for a model that can neither decode nor encode any. */
  protected pictureOf({ width, height }: MapSize): PictureSize {
    const factor = pixelsPerToken(this.parts.config.tokenizer);
    return { width: width * factor, height: height * factor };
  }

  /**
   * Checks that the weights fit together with one guided image of these token maps.
   *
   * @param action What cannot be done otherwise, for the message.
   * @throws {RangeError} If they do not.
   */
  protected requireFit(maps: readonly MapSize[], action: string): void {
    const { sizes, room, dtype, stored } = this.parts;
    const largestArray = largestArrayBytes(sizes, { dtype, maps });
    requireFit(bytesNeeded(sizes, { provider: room.provider, maps }), room, {
      dtype,
      stored,
      largestArray,
      action,
    });
  }

  /** What the images of a schedule take where they run, and how many of them may run together. */
  protected costs(maps: readonly MapSize[]): Pick<Schedule, "imageBytes" | "batchLimit"> {
    const { sizes, dtype, room: { device, provider } } = this.parts;
    const batchLimit = batchLimitOn(device, largestActivationBytes(sizes, maps));
    return {
      imageBytes: estimateMemory(sizes, { dtype, provider, maps }).image,
      ...(batchLimit && { batchLimit }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#work.end();
    await this.parts.owned.disposeAsync();
  }
}
