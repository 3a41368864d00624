/**
 * A model on a device as far as families do not differ: what it is and where it runs, its networks between
 * pictures and codes, and what has to be waited for before it is unloaded.
 *
 * @module
 */

import { requireInteger } from "../kernels/arguments.ts";
import type { Device, DeviceArray } from "../kernels/device/device.ts";
import { decoderFlops, type DecoderWork } from "./autoencoder/flops.ts";
import type { AutoencoderNetworks, FeatureMaps } from "./autoencoder/networks.ts";
import { shrinksOf } from "./autoencoder/shrunk.ts";
import { GUIDED_ROWS, rowFlops, type TransformerWork } from "./costs.ts";
import type { ModelFolder, ModelTuning } from "./folder/model_folder.ts";
import type { ModelSize } from "./folder/sizes.ts";
import { batchLimitOn, requireBatch, requireFit } from "./graphs/fit.ts";
import type { GraphSessionOptions } from "./graphs/graph_session.ts";
import type { Provider, Room } from "./graphs/room.ts";
import { Work } from "./graphs/work.ts";
import type { ClassLabels, Label, ResolvedLabel, TextLabels } from "./label.ts";
import { type ModelCosts, neededBytes } from "./loading.ts";
import type {
  DecodedPictures,
  EncodeOptions,
  Encoding,
  Generation,
  Model,
  ModelFlops,
  PictureArray,
  SearchDefaults,
  StartOptions,
} from "./model.ts";
import {
  isGuided,
  type MapSize,
  type PictureSize,
  type SamplingDefaults,
  type Scale,
  type Schedule,
  type ScheduleRequest,
} from "./schedule.ts";
import type { TokenSpace } from "./tokens/token_space.ts";
import { DESCRIPTION } from "./vision/described_network.ts";
import { ModelVerifier } from "./vision/model_verifier.ts";
import type { FeatureExtractor, Verifier } from "./vision/verifier.ts";
import type { Compute, Dtype, KeptDtype } from "./weights/dtype.ts";

/** What a model has of which families do not differ. */
export interface LoadedParts {
  /** Name of its family. */
  readonly family: string;
  /** How tokens are drawn unless something else is asked for. */
  readonly defaults: SamplingDefaults;
  /** Where it was loaded from. */
  readonly folder: ModelFolder;
  /** What it takes. */
  readonly costs: ModelCosts;
  /** Type of the large weights. */
  readonly dtype: KeptDtype;
  /** Type that they have in the folder that was loaded. */
  readonly stored: Dtype;
  /** Where it runs, and with how many bytes. */
  readonly room: Room;
  /** The networks between pictures and codes. */
  readonly networks: AutoencoderNetworks;
  /** How graphs are run. */
  readonly sessionOptions: GraphSessionOptions;
  /** What the operations of their decoder depend on. */
  readonly decoder: DecoderWork;
  /** What is unloaded with the model. What its family loads beside these parts goes here, too. */
  readonly owned: AsyncDisposableStack;
}

/** What a family makes of encoded pictures. */
export interface Quantized {
  /** Tokens of the scales in order, u32 [images, positions, words]. */
  readonly tokens: readonly DeviceArray[];
  /**
   * Features of the picture that the tokens show up to a scale, for the decoder. They belong to the caller.
   */
  features(scale: number): FeatureMaps;
}

/** What the operations of a model depend on beside its decoder. */
export interface ModelWork {
  /** The transformer. */
  readonly transformer: TransformerWork;
  /** Operations for the modulations of a row. */
  readonly modulations: number;
  /** Size of the map that is decoded after a scale. */
  decoded(scale: number): MapSize;
}

/** What is the same in all models that are loaded from a folder. */
export abstract class LoadedModel<Parts extends LoadedParts> implements Model {
  abstract readonly labels: ClassLabels | TextLabels;
  abstract readonly tokens: TokenSpace;
  abstract readonly size: ModelSize;
  abstract readonly patchNumbers: readonly number[];
  abstract readonly search: SearchDefaults;
  /** Its parts, for its family. */
  protected readonly parts: Parts;
  /** What it is busy with. */
  protected readonly work: Work;
  readonly verifier?: () => Promise<Verifier>;
  readonly extractor?: () => Promise<FeatureExtractor>;

  /** Takes over the parts. */
  constructor(parts: Parts) {
    this.parts = parts;
    this.work = new Work(this.name);
    const { folder, room, sessionOptions: { threads, cpuProvider }, owned } = parts;
    if (!folder.has(DESCRIPTION)) return;
    const options = { ...(threads && { threads }), ...(cpuProvider && { cpuProvider }) };
    const network = owned.use(new ModelVerifier(folder, room.device, options));
    this.verifier = () => this.work.run("load the verifier", () => network.verifier());
    this.extractor = () => this.work.run("load the feature extractor", () => network.extractor());
  }

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

  get provider(): Provider {
    return this.parts.room.provider;
  }

  get dtype(): Dtype {
    const { dtype } = this.parts;
    return dtype === "int8" ? "f32" : dtype;
  }

  get compute(): Compute {
    return this.parts.dtype === "int8" ? "int8" : "f32";
  }

  get storedDtype(): Dtype {
    return this.parts.stored;
  }

  get weightBytes(): number {
    const { costs, dtype, room: { provider } } = this.parts;
    return costs.weights(dtype, provider);
  }

  get memoryLimit(): number | undefined {
    return this.parts.room.most;
  }

  get defaults(): SamplingDefaults {
    return this.parts.defaults;
  }

  get tuning(): ModelTuning {
    const { evidence: _found, ...tuning } = this.parts.folder.manifest.tuning ?? {};
    return tuning;
  }

  get encodes(): boolean {
    return this.parts.networks.encodes;
  }

  get decodes(): boolean {
    return this.parts.networks.decodes;
  }

  abstract resolveLabel(label: Label): ResolvedLabel;

  abstract schedule(request?: ScheduleRequest): Schedule;

  abstract start(options: StartOptions): Promise<Generation>;

  flops(schedule: Schedule, guided: boolean = isGuided(schedule)): ModelFlops {
    const { transformer, modulations, decoded } = this.workOf(schedule);
    const rows = this.rowsOf(schedule, guided);
    const mapAfter = (scale: number): MapSize => {
      const { length } = schedule.scales;
      return decoded(requireInteger(scale, "a scale", "count operations", { min: 0, max: length - 1 }));
    };
    return {
      condition: rows * modulations,
      scales: rowFlops(transformer, schedule.scales).map((flops) => rows * flops),
      shrinks: (scale) => shrinksOf(mapAfter(scale)),
      decode: (scale, shrink = 1) => {
        const { width, height } = mapAfter(scale);
        return decoderFlops(this.parts.decoder, { width: width / shrink, height: height / shrink });
      },
    };
  }

  /** What the operations of a schedule's images depend on. */
  protected abstract workOf(schedule: Schedule): ModelWork;

  /** Rows of the transformer for each image. */
  protected rowsOf(_schedule: Schedule, guided: boolean): 1 | 2 {
    return guided ? GUIDED_ROWS : 1;
  }

  async encode(pictures: PictureArray, images: number, options: EncodeOptions = {}): Promise<Encoding> {
    const { networks } = this.parts;
    const action = "encode";
    networks.requireEncoder();
    const { schedule = this.schedule(), last = schedule.scales.length - 1, adjust } = options;
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
    return await this.work.run(action, async () => {
      using stack = new DisposableStack();
      const features = await networks.encode(pictures, images);
      stack.use(features.array);
      await adjust?.(features.array);
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
    return await this.work.run("decode", () => this.parts.networks.decode(features));
  }

  /**
   * Checks that the weights fit together with one guided image of these token maps.
   *
   * @param action What cannot be done otherwise, for the message.
   * @throws {RangeError} If they do not.
   */
  protected requireFit(maps: readonly MapSize[], action: string): void {
    const { costs, room, dtype, stored } = this.parts;
    const largestArray = costs.largestArray(dtype, maps);
    requireFit(neededBytes(costs, room.provider, maps), room, { dtype, stored, largestArray, action });
  }

  /** What the images of a schedule take where they run, and how many of them may run together. */
  protected costs(maps: readonly MapSize[]): Pick<Schedule, "imageBytes" | "batchLimit"> {
    const { costs, dtype, room: { device, provider } } = this.parts;
    const batchLimit = batchLimitOn(device, costs.largestActivation(maps));
    return {
      imageBytes: costs.image(dtype, provider, maps),
      ...(batchLimit && { batchLimit }),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.work.end();
    await this.parts.owned.disposeAsync();
  }
}
