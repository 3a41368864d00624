/**
 * A model of a class-conditional transformer and a convolutional tokenizer on a device, as VAR and FlexVAR
 * are: how it is loaded from its folder, and all of a model that does not depend on what its scales are and
 * what comes of their tokens. That is left to the families.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { Device } from "../../kernels/device/device.ts";
import { type AutoencoderConfig, type AutoencoderLayout, pixelsPerToken } from "../autoencoder/config.ts";
import { decoderWork } from "../autoencoder/flops.ts";
import type { Family, LoadFamilyOptions } from "../family.ts";
import type { ModelFolder } from "../folder/model_folder.ts";
import { type CacheDtype, requireCacheDtype } from "../graphs/cache_values.ts";
import { requireBatch } from "../graphs/fit.ts";
import type { GraphSession } from "../graphs/graph_session.ts";
import { type ClassLabels, type Label, resolveClass, type ResolvedLabel } from "../label.ts";
import { LoadedModel, type LoadedParts, type ModelWork } from "../loaded_model.ts";
import { positionsOf } from "../costs.ts";
import { beginLoading, cachingTransformer, listedWeights, loadNetworks } from "../loading.ts";
import type { Generation, Model, StartOptions } from "../model.ts";
import type { MapSize, PictureSize, Schedule } from "../schedule.ts";
import type { CodebookTokens } from "../tokens/codebook_tokens.ts";
import type { WeightFiles } from "../weights/weight_files.ts";
import { withSynonyms } from "./imagenet.ts";
import { costsOf, type ModelSizes } from "./memory.ts";
import { ConditionCache, modulationFlops } from "./transformer/condition.ts";
import type { TransformerConfig } from "./transformer/config.ts";
import { TransformerState } from "./transformer/generation.ts";
import { transformerGraph } from "./transformer/graph.ts";

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
export interface ModelParts<Config> extends LoadedParts {
  /** Its sizes. */
  readonly config: Config;
  /** Type in which keys and values are kept. */
  readonly cacheDtype: CacheDtype;
  /** The graph `transformer`. */
  readonly transformer: GraphSession;
  /** Conditions of its classes. */
  readonly conditions: ConditionCache;
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
  /** How its tokenizer names its tensors. */
  readonly layout: AutoencoderLayout;
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
  const { family, layout, sizesOf, make, cacheDtype = "f32" } = options;
  const loading = await beginLoading(folder, device, {
    ...options,
    costsOf: (config) => costsOf(sizesOf(config), cacheDtype),
  });
  const { config, owned, folder: source } = loading;
  await using stack = new AsyncDisposableStack();
  stack.use(owned);
  requireCacheDtype(device, cacheDtype, "load the model");
  // Projections of the condition are read when they are needed.
  const transformer = owned.use(await source.weights(TRANSFORMER));
  // All graphs before the first session, so that a damaged folder is found out before anything large is
  // loaded.
  const conditionGraph = await loading.graph("condition.onnx");
  const transformerFile = await cachingTransformer(loading, {
    cacheDtype,
    weights: transformer,
    build: () => {
      const tensors = listedWeights(sizesOf(config).tensors.transformer, transformer);
      return transformerGraph({ ...config, ...config.tokenizer }, tensors, {
        places: transformer.places,
        cacheDtype,
      });
    },
  });
  using tokenizer = await source.weights(TOKENIZER);
  const networks = owned.use(
    await loadNetworks(loading, { part: TOKENIZER, weights: tokenizer }, { ...config.tokenizer, layout }),
  );
  const transformerSession = owned.use(await loading.session(transformerFile, transformer));
  const conditions = owned.use(
    await ConditionCache.create({
      device,
      config,
      session: owned.use(await loading.session(conditionGraph, transformer)),
      weights: transformer,
    }, loading.sessionOptions),
  );
  const model = await make({
    ...loading,
    family: family.name,
    defaults: family.defaults,
    cacheDtype,
    transformer: transformerSession,
    conditions,
    networks,
    decoder: decoderWork({ ...config.tokenizer, layout }, tokenizer),
  }, { transformer, tokenizer });
  // From here on everything is the model's.
  stack.move();
  return model;
}

/** What is the same in all such models. */
export abstract class ClassConditionalModel<Config extends ClassConditionalConfig>
  extends LoadedModel<ModelParts<Config>> {
  readonly labels: ClassLabels;
  readonly tokens: CodebookTokens;

  /** Takes over the parts. */
  constructor(parts: ModelParts<Config>, tokens: CodebookTokens) {
    super(parts);
    this.tokens = tokens;
    const { config: { classes }, folder: { manifest: { classNames } } } = parts;
    this.labels = withSynonyms({ kind: "classes", count: classes, names: classNames });
  }

  get cacheDtype(): CacheDtype {
    return this.parts.cacheDtype;
  }

  /** Depth of the transformer. */
  get size(): number {
    return this.parts.config.depth;
  }

  resolveLabel(label: Label): ResolvedLabel {
    return resolveClass(this, label);
  }

  async start(options: StartOptions): Promise<Generation> {
    const { device, work, parts: { config, transformer, conditions } } = this;
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
    return await work.run(action, async () => {
      using stack = new DisposableStack();
      const state = stack.use(
        new TransformerState({
          device,
          sizes: { ...config, ...config.tokenizer },
          session: transformer,
          work,
          condition: await conditions.condition(all),
          images: labels.length,
          guided,
          cacheDtype: this.cacheDtype,
          lengths: schedule.scales.map(positionsOf),
          batchLimit: schedule.batchLimit,
        }),
      );
      const generation = this.begin(state, schedule);
      stack.move();
      return generation;
    });
  }

  protected workOf(schedule: Schedule): ModelWork {
    const { config } = this.parts;
    const { vocabulary, channels } = config.tokenizer;
    return {
      transformer: { ...config, logits: vocabulary, features: channels },
      modulations: modulationFlops(config),
      decoded: (scale) => this.decodedMap(schedule, scale),
    };
  }

  /** Size of the map that is decoded after a scale. */
  protected abstract decodedMap(schedule: Schedule, scale: number): MapSize;

  /** Begins a generation, whose state is the generation's from then on. */
  protected abstract begin(state: TransformerState, schedule: Schedule): Generation;

  /** Size of the picture of a token map; 0 by 0 for a model that can neither decode nor encode any. */
  protected pictureOf({ width, height }: MapSize): PictureSize {
    const factor = pixelsPerToken(this.parts.config.tokenizer);
    return { width: width * factor, height: height * factor };
  }
}
