/**
 * A VAR model on a device: its scales add up to one feature map, which each next scale begins with. What it
 * shares with other class-conditional models is in `class_conditional/model.ts`.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import { nearestCodes } from "../../kernels/codebook/nearest.ts";
import { createResampleTable, resample, type ResampleTable } from "../../kernels/maps/resample.ts";
import { residualUpdate } from "../../kernels/maps/residual.ts";
import type { FeatureMaps } from "../autoencoder/networks.ts";
import { decodeShrunk, shrinksOf } from "../autoencoder/shrunk.ts";
import { ClassConditionalModel, type ModelParts, type OpenWeights } from "../class_conditional/model.ts";
import type { Quantized } from "../loaded_model.ts";
import { repeatRows } from "../graphs/key_value_caches.ts";
import { CodebookTokens } from "../tokens/codebook_tokens.ts";
import type {
  DecodedPictures,
  DecodeOptions,
  FeatureArray,
  Generation,
  LogitsOptions,
  Model,
  SearchDefaults,
} from "../model.ts";
import type { MapSize, Scale, Schedule, ScheduleRequest } from "../schedule.ts";
import type { TransformerState } from "../class_conditional/transformer/generation.ts";
import { varSearch } from "./alpha.ts";
import { pictureSide, residualOfScale, squareMaps, type VarConfig } from "./config.ts";
import { varSchedule } from "./schedule.ts";
import { varMixing } from "./smoothing.ts";

/** What one scale needs besides the tokens. */
interface VarScale {
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

/** Makes a model of its parts. */
export async function makeVarModel(parts: ModelParts<VarConfig>, weights: OpenWeights): Promise<Model> {
  const { room: { device }, owned, config: { tokenizer: { vocabulary, channels } } } = parts;
  const name = "quantize.embedding.weight";
  const array = owned.use(device.upload(await weights.tokenizer.readFloat32(name), name));
  const tokens = new CodebookTokens({ array, vocabulary, channels }, { mixing: varMixing });
  return new VarModel(parts, tokens, await loadScales(parts, weights));
}

async function loadScales(
  { room: { device }, config, owned }: ModelParts<VarConfig>,
  { transformer, tokenizer }: OpenWeights,
): Promise<VarScale[]> {
  const upload = async (name: string): Promise<DeviceArray> => {
    return owned.use(device.upload(await tokenizer.readFloat32(name), name));
  };
  const residuals: VarScale["residual"][] = [];
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
  return patchNumbers.map((side, scale): VarScale => {
    const sums = new Float32Array(side * side * width);
    for (let i = 0; i < sums.length; i++) {
      const column = i % width;
      sums[i] = positions[begin * width + i]! + levels[scale * width + column]! + bias[column]!;
    }
    begin += side * side;
    return {
      side,
      positions: owned.use(device.upload(sums, `positions of scale ${scale}`)),
      up: owned.use(createResampleTable(device, "bicubic", side, finest)),
      down: owned.use(createResampleTable(device, "area", finest, side)),
      residual: residuals[residualOfScale(scale, patchNumbers.length, residuals.length)]!,
    };
  });
}

/** Weight of prefix guidance by depth (arXiv 2605.30317). */
const PREFIX_WEIGHTS: Readonly<Record<number, number>> = { 16: 3, 20: 2.4, 24: 1.8, 30: 1.3 };

class VarModel extends ClassConditionalModel<VarConfig> {
  readonly #scales: readonly VarScale[];

  constructor(parts: ModelParts<VarConfig>, tokens: CodebookTokens, scales: readonly VarScale[]) {
    super(parts, tokens);
    this.#scales = scales;
  }

  get patchNumbers(): readonly number[] {
    return this.parts.config.patchNumbers;
  }

  get search(): SearchDefaults {
    return varSearch(this.size, this.tuning);
  }

  get prefixWeight(): number | undefined {
    return PREFIX_WEIGHTS[this.size];
  }

  schedule(request: ScheduleRequest = {}): Schedule {
    const { name, parts: { config } } = this;
    const { patchNumbers } = config;
    const model = { name, patchNumbers, pictureSide: pictureSide(config) };
    return { ...varSchedule(model, request), ...this.costs(squareMaps(patchNumbers)) };
  }

  protected decodedMap({ scales }: Schedule): MapSize {
    return scales.at(-1)!;
  }

  protected begin(state: TransformerState, schedule: Schedule): Generation {
    this.#requireOwn(schedule.scales);
    return new VarGeneration({
      state,
      tokens: this.tokens,
      scales: this.#scales,
      accumulated: this.#allocate(state.images),
      decode: (features) => this.decode(features),
    });
  }

  /** Finds the codes of each scale in what the scales before it have left over. */
  protected quantize(features: FeatureMaps, scales: readonly Scale[], owned: DisposableStack): Quantized {
    this.#requireOwn(scales);
    const { device, tokens: space } = this;
    const { images, width, height } = features;
    const { array: codebook, vocabulary, channels } = space.codebook;
    using rest = this.#allocate(images);
    device.copy(features.array, rest, { length: rest.length });
    const tokens = scales.map((_, k): DeviceArray => {
      const scale = this.#scales[k]!;
      const count = images * scale.side ** 2;
      const codes = owned.use(device.allocate(count, "tokens"));
      using rows = device.allocate(count * channels, "rows");
      device.run(resample, {
        input: rest,
        output: rows,
        table: scale.down,
        images,
        channels,
        layout: "rows",
      });
      device.run(nearestCodes, { features: rows, codebook, tokens: codes, count, vocabulary, channels });
      if (k < scales.length - 1) addTokens(codes, rest, { tokens: space, scale, images, sign: -1 });
      return codes;
    });
    return {
      tokens,
      features: (last) => {
        const array = this.#allocate(images);
        for (const [k, codes] of tokens.slice(0, last + 1).entries()) {
          addTokens(codes, array, { tokens: space, scale: this.#scales[k]!, images });
        }
        return { array, images, width, height };
      },
    };
  }

  /** Feature maps at full resolution, of zeros. */
  #allocate(images: number): DeviceArray {
    const { device, patchNumbers, tokens: { channels } } = this;
    return device.allocate(images * channels * patchNumbers.at(-1)! ** 2, "accumulated features");
  }

  /** Checks that scales are the model's own, from the first on. */
  #requireOwn(scales: readonly Scale[]): void {
    for (const [k, { width, height }] of scales.entries()) {
      const side = this.patchNumbers[k];
      if (width === side && height === side) continue;
      throw new RangeError(
        `Cannot follow the schedule as scale ${k} of the model "${this.name}" must have ${side}×${side} tokens: it has ${width}×${height}`,
      );
    }
  }
}

interface AddOptions {
  readonly tokens: CodebookTokens;
  readonly scale: VarScale;
  readonly images: number;
  /** 1, or -1 to take away. */
  readonly sign?: 1 | -1;
}

/** Adds what tokens of a scale stand for, u32 [images, positions], to feature maps. */
function addTokens(codes: DeviceArray, state: DeviceArray, options: AddOptions): void {
  const { tokens, scale, images } = options;
  const { device } = state;
  const positions = scale.side ** 2;
  using planes = device.allocate(images * tokens.channels * positions, "code vectors");
  tokens.vectors(device, { tokens: codes, output: planes, maps: images, positions });
  addVectors(planes, state, options);
}

/** Adds vectors of a scale, f32 [images, channels, positions], to feature maps. */
function addVectors(
  vectors: DeviceArray,
  state: DeviceArray,
  { tokens: { channels }, scale: { up, residual }, images, sign = 1 }: AddOptions,
): void {
  const { device } = state;
  using features = device.allocate(state.length, "features at full resolution");
  device.run(resample, { input: vectors, output: features, table: up, images, channels, layout: "planes" });
  device.run(residualUpdate, { features, state, ...residual, images, channels, side: up.to, sign });
}

interface VarGenerationParts {
  readonly state: TransformerState;
  readonly tokens: CodebookTokens;
  readonly scales: readonly VarScale[];
  /** Feature maps of zeros. */
  readonly accumulated: DeviceArray;
  readonly decode: (features: FeatureMaps) => Promise<DecodedPictures>;
}

class VarGeneration implements Generation {
  readonly #parts: VarGenerationParts;
  #accumulated: DeviceArray;

  constructor(parts: VarGenerationParts) {
    this.#parts = parts;
    this.#accumulated = parts.accumulated;
  }

  get images(): number {
    return this.#parts.state.images;
  }

  get guided(): boolean {
    return this.#parts.state.guided;
  }

  get features(): DeviceArray {
    return this.#parts.state.features;
  }

  get accumulated(): DeviceArray {
    return this.#accumulated;
  }

  async logits(options?: LogitsOptions): Promise<DeviceArray> {
    return await this.#parts.state.logits(this.#scale.positions, options);
  }

  accept(tokens: DeviceArray): void {
    addTokens(tokens, this.#accumulated, this.#adding);
    this.#advance();
  }

  acceptFeatures(features: DeviceArray): void {
    addVectors(features, this.#accumulated, this.#adding);
    this.#advance();
  }

  featuresOf(tokens: DeviceArray, count: number): FeatureArray {
    const { tokens: { channels } } = this.#parts;
    const maps = this.images * count;
    using owned = new DisposableStack();
    const array = owned.use(repeatRows(this.#accumulated, this.images, count));
    addTokens(tokens, array, { ...this.#adding, images: maps });
    owned.move();
    return { array, channels, ...this.accumulatedMap };
  }

  gather(lanes: readonly number[]): void {
    [this.#accumulated] = this.#parts.state.gather(lanes, [this.#accumulated]);
  }

  get accumulatedMap(): MapSize {
    const { side } = this.#parts.scales.at(-1)!;
    return { width: side, height: side };
  }

  get shrinks(): readonly number[] {
    return shrinksOf(this.accumulatedMap);
  }

  async decode({ shrink = 1 }: DecodeOptions = {}): Promise<DecodedPictures> {
    const { state, tokens: { channels }, decode } = this.#parts;
    state.requireDone("decode");
    const features = { array: this.#accumulated, images: state.images, ...this.accumulatedMap };
    return await decodeShrunk(features, { channels, shrink, decode });
  }

  [Symbol.dispose](): void {
    this.#parts.state[Symbol.dispose]();
    this.#accumulated[Symbol.dispose]();
  }

  /** The scale that comes next. */
  get #scale(): VarScale {
    const { state, scales } = this.#parts;
    return scales[state.scale]!;
  }

  get #adding(): AddOptions {
    return { tokens: this.#parts.tokens, scale: this.#scale, images: this.images };
  }

  /** What has been added up is what the next scale begins with, at its resolution. */
  #advance(): void {
    const { state, tokens: { channels }, scales } = this.#parts;
    const next = scales[state.scale + 1];
    if (next === undefined) return state.advance(undefined);
    const { device } = this.#accumulated;
    const { images } = this;
    using rows = device.allocate(images * next.side ** 2 * channels, "features of the images");
    device.run(resample, {
      input: this.#accumulated,
      output: rows,
      table: next.down,
      images,
      channels,
      layout: "rows",
    });
    state.advance(rows);
  }
}
