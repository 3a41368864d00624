/**
 * An Infinity model on a device: how it is loaded from its folder, how its texts become features, and how its
 * pictures become bits. What happens between two scales is in `generation.ts`.
 *
 * @module
 */

import { quoted, requireInteger } from "../../kernels/arguments.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { decoderWork } from "../autoencoder/flops.ts";
import type { FeatureMaps } from "../autoencoder/networks.ts";
import type { Family, LoadFamilyOptions } from "../family.ts";
import type { ModelFolder } from "../folder/model_folder.ts";
import { BlockwiseSession } from "../graphs/block_session.ts";
import { type CacheDtype, requireCacheDtype } from "../graphs/cache_values.ts";
import { requireBatch } from "../graphs/fit.ts";
import type { GraphSession } from "../graphs/graph_session.ts";
import type { Label, ResolvedLabel, TextLabels } from "../label.ts";
import { LoadedModel, type LoadedParts, type ModelWork, type Quantized } from "../loaded_model.ts";
import {
  asKept,
  beginLoading,
  cachingTransformer,
  listedWeights,
  type Loading,
  loadNetworks,
  neededBytes,
} from "../loading.ts";
import type { EncodeTextOptions, Generation, Model, SearchDefaults, StartOptions } from "../model.ts";
import { type MapSize, ofScale, type Scale, type Schedule, type ScheduleRequest } from "../schedule.ts";
import { TEXT_ENCODER } from "../text/t5_graph.ts";
import { PromptEncoder } from "../text/text_encoder.ts";
import { encodePrompts, requireFeaturesFor, type TextFeatures } from "../text/text_features.ts";
import { BitTokens } from "../tokens/bit_tokens.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { CodeMaps } from "./code_maps.ts";
import { evaluateTexts, type RowText } from "./conditions.ts";
import {
  featureMap,
  type InfinityConfig,
  sizeName,
  TOKENIZER,
  tokenPixels,
  TRANSFORMER,
  transformerTensors,
} from "./config.ts";
import { InfinityGeneration } from "./generation.ts";
import {
  conditionParts,
  PLACES,
  transformerGraph,
  type TransformerGraphOptions,
  transformerParts,
} from "./graphs.ts";
import { INFINITY_LAYOUT } from "./layout.ts";
import { infinityCosts, infinityWork, largestScores } from "./memory.ts";
import { resolvePrompt, textOf, textsOf } from "./prompts.ts";
import { type InfinityOptions, infinitySchedule, insertionLayers, usualMaps } from "./schedule.ts";
import { infinitySearch } from "./search.ts";
import { TransformerSessions } from "./transformer_sessions.ts";

/** Tokens of the learnt features that stand for no text where there is no prompt beside to be as long as. */
const NO_PROMPT_TOKENS = 8;

/**
 * Bytes up to which a text encoder stays loaded after use: below it, loading it again would take longer than
 * it is worth.
 */
const SMALL_ENCODER_BYTES = 64 * 2 ** 20;

/** Bytes of an array of scores beyond which attention failed by WebAssembly: 1.4 GB did, 0.5 GB did not. */
const WASM_SCORES = 2 ** 29;

/** Weight of prefix guidance: that of Infinity-2B (arXiv 2605.30317), as none is stated for other sizes. */
const PREFIX_WEIGHT = 0.2;

/** A model as it is loaded. */
interface InfinityParts extends LoadedParts {
  /** Its sizes. */
  readonly config: InfinityConfig;
  /** Type in which keys and values are kept. */
  readonly cacheDtype: CacheDtype;
  /** Whether the transformer's weights are read block by block. */
  readonly offload: "none" | "blocks";
  /** The transformer. */
  readonly sessions: TransformerSessions;
  /** The graph `condition`. */
  readonly condition: GraphSession;
  /** Learnt features that stand for no text, [rows, textChannels]. */
  readonly unconditional: Float32Array<ArrayBuffer>;
  /** Added to the embedded features of each scale but the first, f32 [C]. */
  readonly starts: readonly DeviceArray[];
  /** Codes between tokens and features. */
  readonly codes: CodeMaps;
  /** The text encoder, loaded when it is needed, or `undefined` where the model has none. */
  readonly encoder: TextEncoderOnDemand | undefined;
}

/**
 * Loads a model from its folder, which is the model's from then on. Weights of another type than the folder's
 * are converted as they are read.
 *
 * @throws {ModelFileError} If the files are no model of the family, or weights are quantized and another type
 * was asked for.
 * @throws {RangeError} If the model is of another size, or does not fit where it is to run.
 */
export async function loadInfinity(
  family: Family<InfinityConfig>,
  folder: ModelFolder,
  device: Device,
  options: LoadFamilyOptions,
): Promise<Model> {
  const { offload = "none", cacheDtype = "f32" } = options;
  const loading = await beginLoading(folder, device, {
    ...options,
    family,
    costsOf: ({ text, ...config }) => {
      const encoder = text && folder.hasWeights(TEXT_ENCODER) ? { text } : {};
      return infinityCosts({ ...config, ...encoder }, options);
    },
  });
  const { config, owned, folder: source, room } = loading;
  await using stack = new AsyncDisposableStack();
  stack.use(owned);
  requireCacheDtype(device, cacheDtype, "load the model");
  const weights = owned.use(await source.weights(TRANSFORMER));
  using tokenizer = await source.weights(TOKENIZER);
  const networks = owned.use(
    await loadNetworks(loading, { part: TOKENIZER, weights: tokenizer }, {
      ...config.tokenizer,
      layout: INFINITY_LAYOUT,
    }),
  );
  const sessions = owned.use(
    await TransformerSessions.create((mixedAfter) => {
      return loadTransformer(loading, weights, { offload, cacheDtype, mixedAfter });
    }),
  );
  const condition = owned.use(await loadCondition(loading, weights, { offload }));
  const { channels } = config.tokenizer;
  const model = new InfinityModel({
    ...loading,
    family: family.name,
    defaults: family.defaults,
    networks,
    decoder: decoderWork({ ...config.tokenizer, layout: INFINITY_LAYOUT }, tokenizer),
    cacheDtype,
    offload,
    sessions,
    condition,
    unconditional: await weights.readFloat32("cfg_uncond"),
    starts: await readStarts(weights, device, { config, owned }),
    codes: owned.use(new CodeMaps(room.device, { channels, patchify: config.patchify })),
    encoder: source.hasWeights(TEXT_ENCODER)
      ? owned.use(new TextEncoderOnDemand(loading, options.keepTextEncoder ?? false))
      : undefined,
  });
  // From here on everything is the model's.
  stack.move();
  return model;
}

/** How the transformer of a model is kept. */
type Keeping = Pick<LoadFamilyOptions, "offload" | "cacheDtype">;

/** Loads a transformer whole, as it is stored or made from the list of weights, or in parts. */
async function loadTransformer(
  loading: Loading<InfinityConfig>,
  weights: WeightFiles,
  { offload, ...options }: Keeping & TransformerGraphOptions,
): Promise<GraphSession> {
  const { config } = loading;
  const listed = listedWeights(transformerTensors(config), weights);
  if (offload === "blocks") {
    const parts = transformerParts(config, listed, weights.places, options);
    return await loadParts(loading, weights, parts, residentBytes(loading));
  }
  const build = (): Uint8Array => transformerGraph(config, listed, weights.places, options);
  if (options.mixedAfter?.length) {
    return await loading.session(asKept(loading, { file: weights.file, bytes: build() }), weights);
  }
  const { cacheDtype = "f32" } = options;
  const built = { cacheDtype, weights, build, takes: PLACES };
  return await loading.session(await cachingTransformer(loading, built), weights);
}

/** Loads what evaluates texts, whole or in parts. */
async function loadCondition(
  loading: Loading<InfinityConfig>,
  weights: WeightFiles,
  { offload }: Keeping,
): Promise<GraphSession> {
  const { config } = loading;
  if (offload !== "blocks") {
    return await loading.session(asKept(loading, await loading.graph("condition.onnx")), weights);
  }
  const parts = conditionParts(config, listedWeights(transformerTensors(config), weights), weights.places);
  // They run once a batch, so none of them stays loaded.
  return await loadParts(loading, weights, parts, 0);
}

async function loadParts(
  loading: Loading<InfinityConfig>,
  { file, files }: WeightFiles,
  parts: readonly Uint8Array[],
  memory: number,
): Promise<GraphSession> {
  const graphs = parts.map((bytes) => asKept(loading, { file, bytes }).bytes);
  return await BlockwiseSession.create(loading.room.device, graphs, {
    ...loading.sessionOptions,
    file,
    externalFiles: files,
    memory,
  });
}

/** Bytes of blocks that may stay loaded: what the rest of the model and an image leave of the room. */
function residentBytes({ costs, dtype, room: { available, provider } }: Loading<InfinityConfig>): number {
  if (available === undefined) return 0;
  return Math.max(0, Math.floor(available - neededBytes(costs, provider)(dtype)));
}

/** Level and bias of each scale. */
async function readStarts(
  weights: WeightFiles,
  device: Device,
  { config: { levels, width }, owned }: {
    readonly config: InfinityConfig;
    readonly owned: AsyncDisposableStack;
  },
): Promise<readonly DeviceArray[]> {
  const embedding = await weights.readFloat32("lvl_embed.weight");
  const bias = await weights.readFloat32("word_embed.bias");
  return Array.from({ length: levels }, (_, scale) => {
    const start = embedding.slice(scale * width, (scale + 1) * width).map((value, i) => value + bias[i]!);
    return owned.use(device.upload(start, `start of scale ${scale}`));
  });
}

/** The text encoder of a model, which is unloaded after use unless it is small or to be kept. */
class TextEncoderOnDemand implements AsyncDisposable {
  readonly #loading: Loading<InfinityConfig>;
  readonly #keeps: boolean;
  #kept: Promise<PromptEncoder> | undefined;

  constructor(loading: Loading<InfinityConfig>, keep: boolean) {
    const { costs, dtype, room: { provider } } = loading;
    this.#loading = loading;
    this.#keeps = keep || (costs.transient?.(dtype, provider) ?? 0) <= SMALL_ENCODER_BYTES;
  }

  /** Encodes prompts. */
  async encode(prompts: readonly string[], options: EncodeTextOptions): Promise<TextFeatures> {
    if (this.#keeps) return await encodePrompts(await this.#keep(), prompts, options);
    await using encoder = await this.#load();
    return await encodePrompts(encoder, prompts, options);
  }

  #keep(): Promise<PromptEncoder> {
    return this.#kept ??= this.#load().catch((error) => {
      // Somebody may mend the cause and try again.
      this.#kept = undefined;
      throw error;
    });
  }

  #load(): Promise<PromptEncoder> {
    const { folder, room, dtype, costs, sessionOptions: { threads, cpuProvider } } = this.#loading;
    return PromptEncoder.load(folder, room.device, {
      ...(threads === undefined ? {} : { threads }),
      ...(cpuProvider === undefined ? {} : { cpuProvider }),
      halves: dtype !== "f32" && !costs.small,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#kept)?.[Symbol.asyncDispose]();
  }
}

class InfinityModel extends LoadedModel<InfinityParts> {
  readonly labels: TextLabels = { kind: "texts" };
  readonly tokens: BitTokens;

  constructor(parts: InfinityParts) {
    super(parts);
    const { config: { bits, patchify } } = parts;
    this.tokens = new BitTokens(bits, { patchify });
  }

  get search(): SearchDefaults {
    return infinitySearch(this.tuning);
  }

  get cacheDtype(): CacheDtype {
    return this.parts.cacheDtype;
  }

  get offload(): "none" | "blocks" {
    return this.parts.offload;
  }

  get size(): string {
    return sizeName(this.parts.config);
  }

  get prefixWeight(): number {
    return PREFIX_WEIGHT;
  }

  get patchNumbers(): readonly number[] {
    return usualMaps(this.parts.config.scales).map(({ height }) => height);
  }

  resolveLabel(label: Label): ResolvedLabel {
    return resolvePrompt(this.name, label);
  }

  schedule(request: ScheduleRequest = {}): Schedule {
    const { name, parts: { config } } = this;
    const { scales, levels, depth } = config;
    const model = { name, scales, levels, depth, pixels: tokenPixels(config) };
    const schedule = infinitySchedule(model, request);
    const { scales: maps, picture: { width, height } } = schedule;
    const action = `generate pictures of ${width}×${height}`;
    this.requireFit(maps, action);
    this.#requireScores(maps, action);
    return { ...schedule, ...this.costs(maps) };
  }

  /** WebAssembly's product of queries and keys fails on large maps, when all scales before it are done. */
  #requireScores(maps: readonly MapSize[], action: string): void {
    const { config: { heads }, room: { provider } } = this.parts;
    const bytes = largestScores(maps, heads);
    if (provider !== "wasm" || bytes <= WASM_SCORES) return;
    throw new RangeError(
      `Cannot ${action} by WebAssembly as the attention of one image needs an array of ${bytes} bytes and ${WASM_SCORES} are possible; use device: "webgpu" or cpuProvider: "native", or a smaller pn`,
    );
  }

  textsOf(labels: readonly ResolvedLabel[], { settings: { familyOptions } }: Schedule): readonly string[] {
    return textsOf(labels, familyOptions as InfinityOptions);
  }

  async encodeText(prompts: readonly string[], options: EncodeTextOptions = {}): Promise<TextFeatures> {
    return await this.work.run("encode prompts", () => this.#encode(prompts, options));
  }

  async #encode(prompts: readonly string[], options: EncodeTextOptions): Promise<TextFeatures> {
    const { encoder } = this.parts;
    if (encoder !== undefined) return await encoder.encode(prompts, options);
    throw new TypeError(
      `Cannot encode the prompt ${
        quoted(prompts[0] ?? "")
      } as the model "${this.name}" has no text encoder: load it with one, or give features that encode-text has kept`,
    );
  }

  protected workOf({ scales }: Schedule): ModelWork {
    const { config } = this.parts;
    const decoded = featureMap(scales.at(-1)!, config.patchify);
    return { ...infinityWork(config), decoded: () => decoded };
  }

  /** Guidance within the transformer takes both branches, too. */
  protected override rowsOf({ scales, settings }: Schedule, guided: boolean): 1 | 2 {
    const { cfg, familyOptions } = settings;
    const { blocks } = insertionLayers(familyOptions as InfinityOptions);
    const mixes = blocks.length > 0 && scales.some((_, k) => ofScale(cfg, k) !== 1);
    return guided || mixes ? 2 : 1;
  }

  async start(options: StartOptions): Promise<Generation> {
    const { device, work, parts: { config, cacheDtype, sessions, condition, codes, starts } } = this;
    const { labels, guided, schedule = this.schedule() } = options;
    const action = "start a generation";
    requireInteger(labels.length, "the number of labels", action, { min: 1 });
    requireBatch(labels.length, schedule.batchLimit, action);
    const familyOptions = schedule.settings.familyOptions as InfinityOptions;
    const branches = this.rowsOf(schedule, guided);
    return await work.run(action, async () => {
      const features = await this.#features(options, schedule);
      const rows = this.#rows(labels, { features, familyOptions, branches });
      const conditions = await evaluateTexts(device, condition, { rows, config });
      return new InfinityGeneration({
        device,
        config,
        cacheDtype,
        sessions,
        work,
        codes,
        starts,
        conditions,
        images: labels.length,
        branches,
        guided,
        schedule,
        decode: (features) => this.decode(features),
      });
    });
  }

  /** Features of all texts of a batch: those that were brought along, or else encoded now. */
  async #features(
    { labels, textFeatures }: StartOptions,
    schedule: Schedule,
  ): Promise<(text: string) => Float32Array<ArrayBuffer>> {
    if (textFeatures !== undefined) this.requireTextFeatures(textFeatures);
    const missing = this.textsOf(labels, schedule).filter((text) => textFeatures?.get(text) === undefined);
    const encoded = missing.length === 0 ? undefined : await this.#encode(missing, {});
    return (text) => (textFeatures?.get(text) ?? encoded!.require(text)).values;
  }

  /**
   * Checks that features are of the model's text encoder.
   *
   * @throws {RangeError} If they are not.
   */
  requireTextFeatures(features: TextFeatures): void {
    const { config: { textChannels }, folder } = this.parts;
    const encoder = Object.fromEntries(
      Object.entries(folder.fingerprints).filter(([name]) => name.startsWith(TEXT_ENCODER)),
    );
    requireFeaturesFor({ channels: textChannels, encoder }, features);
  }

  /** Texts of a batch's rows: the labels', and as long as they, with guidance, those that stand for none. */
  #rows(
    labels: readonly ResolvedLabel[],
    { features, familyOptions, branches }: {
      readonly features: (text: string) => Float32Array<ArrayBuffer>;
      readonly familyOptions: InfinityOptions;
      readonly branches: 1 | 2;
    },
  ): RowText[] {
    const { config: { textChannels, unconditionalRows }, unconditional } = this.parts;
    const written = (text: string): RowText => ({ key: `text ${text}`, features: features(text) });
    const none = (length: number): RowText => {
      const tokens = requireInteger(length, "the number of a prompt's tokens", "guide", {
        min: 1,
        max: unconditionalRows,
      });
      return { key: `none ${tokens}`, features: unconditional.subarray(0, tokens * textChannels) };
    };
    const own = labels.map((label) => {
      const text = textOf(label, familyOptions);
      return text === undefined ? none(Math.min(NO_PROMPT_TOKENS, unconditionalRows)) : written(text);
    });
    if (branches === 1) return own;
    const { negativePrompt } = familyOptions;
    const other = own.map(({ features }) => {
      return negativePrompt === undefined ? none(features.length / textChannels) : written(negativePrompt);
    });
    return [...own, ...other];
  }

  /** Finds the bits of each scale in what the scales before it have left over. */
  protected quantize(features: FeatureMaps, scales: readonly Scale[], owned: DisposableStack): Quantized {
    const { device, parts: { codes } } = this;
    const { images, width, height } = features;
    const finest = this.#tokenMap(features);
    using rest = device.allocate(features.array.length, "features left over");
    device.copy(features.array, rest, { length: rest.length });
    const tokens = scales.map((map, k): DeviceArray => {
      const bits = owned.use(codes.bits(rest, { map, finest, images }));
      if (k < scales.length - 1) codes.add(bits, rest, { map, finest, images }, -1);
      return bits;
    });
    return {
      tokens,
      features: (last) => {
        const array = codes.allocate(images, finest);
        for (const [k, bits] of tokens.slice(0, last + 1).entries()) {
          codes.add(bits, array, { map: scales[k]!, finest, images });
        }
        return { array, images, width, height };
      },
    };
  }

  /** Map of tokens behind a map of features. */
  #tokenMap({ width, height }: MapSize): MapSize {
    return this.parts.config.patchify ? { width: width / 2, height: height / 2 } : { width, height };
  }
}
