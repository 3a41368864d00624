/**
 * A FlexVAR model on a device, and its state between scales. Each scale is a picture by itself: what the next
 * one begins with depends on the tokens of the last one alone, as does the picture that is decoded; the
 * scales before act through the key and value caches.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import type { FeatureLayout } from "../../kernels/codebook/lookup.ts";
import { nearestCodes } from "../../kernels/codebook/nearest.ts";
import { resample, type ResampleMethod, ResampleTables } from "../../kernels/maps/resample.ts";
import { unitRows } from "../../kernels/codebook/unit_rows.ts";
import { pixelsPerToken } from "../autoencoder/config.ts";
import type { FeatureMaps } from "../autoencoder/networks.ts";
import { decodeShrunk, shrinksOf } from "../autoencoder/shrunk.ts";
import { ClassConditionalModel, type ModelParts, type OpenWeights } from "../class_conditional/model.ts";
import type { Quantized } from "../loaded_model.ts";
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
import type { MapSize, PictureSize, Scale, Schedule, ScheduleRequest } from "../schedule.ts";
import type { TransformerState } from "../class_conditional/transformer/generation.ts";
import { flexVarSearch } from "./alpha.ts";
import type { FlexVarConfig } from "./config.ts";
import { flexVarSchedule, PATCH_NUMBERS } from "./schedule.ts";

/** Makes a model of its parts. */
export async function makeFlexVarModel(
  parts: ModelParts<FlexVarConfig>,
  { transformer, tokenizer }: OpenWeights,
): Promise<Model> {
  const { room: { device }, owned, config: { positionSide, tokenizer: { vocabulary, channels } } } = parts;
  const codes = await tokenizer.readFloat32("quantize.embedding.weight");
  using published = device.upload(codes, "codebook as published");
  const codebook = owned.use(device.allocate(codes.length, "codebook"));
  device.run(unitRows, { input: published, output: codebook, count: vocabulary, channels });
  const positions = await transformer.readFloat32("pos_1LC");
  // The weights of a mean add up to 1, so what is added to all positions may be added before.
  const bias = await transformer.readFloat32("word_embed.bias");
  for (let i = 0; i < positions.length; i++) positions[i]! += bias[Math.floor(i / positionSide ** 2)]!;
  return new FlexVarModel(parts, {
    tokens: new CodebookTokens({ array: codebook, vocabulary, channels }),
    positions: owned.use(device.upload(positions, "map of positions")),
  });
}

/** How maps are resized. */
interface Resizing {
  readonly method: ResampleMethod;
  readonly from: MapSize;
  readonly to: MapSize;
  readonly images: number;
  readonly channels: number;
  readonly layout: FeatureLayout;
}

/** What only FlexVAR has of a model. */
interface OwnParts {
  readonly tokens: CodebookTokens;
  /** The learnt positions with the bias of the embedded features, f32 [C, side, side]. */
  readonly positions: DeviceArray;
}

class FlexVarModel extends ClassConditionalModel<FlexVarConfig> {
  readonly patchNumbers = PATCH_NUMBERS;
  readonly #learnt: DeviceArray;
  readonly #tables: ResampleTables;

  constructor(parts: ModelParts<FlexVarConfig>, { tokens, positions }: OwnParts) {
    super(parts, tokens);
    this.#learnt = positions;
    this.#tables = parts.owned.use(new ResampleTables(this.device));
  }

  get search(): SearchDefaults {
    return flexVarSearch(this.tuning);
  }

  schedule(request: ScheduleRequest = {}): Schedule {
    const { name, parts: { config } } = this;
    const schedule = flexVarSchedule({ name, pixelsPerToken: pixelsPerToken(config.tokenizer) }, request);
    const { scales: maps, picture } = schedule;
    const [what, { width, height }] = picture.width > 0
      ? ["pictures", picture] as const
      : ["token maps", maps.at(-1)!] as const;
    this.requireFit(maps, `generate ${what} of ${width}×${height}`);
    return { ...schedule, ...this.costs(maps) };
  }

  protected decodedMap({ scales }: Schedule, scale: number): MapSize {
    return scales[scale]!;
  }

  protected begin(state: TransformerState, { scales }: Schedule): Generation {
    using stack = new DisposableStack();
    const positions = scales.map((map) => stack.use(this.#positionsOf(map)));
    const { channels } = this.tokens;
    return new FlexVarGeneration(state, {
      scales,
      channels,
      positions,
      owned: stack.move(),
      codes: (tokens, map, images) => this.#codes(tokens, map, images),
      enlarge: (codes, { from, to, images }) => {
        return this.#resize(codes, { method: "bicubic", from, to, images, channels, layout: "rows" });
      },
      decode: (features) => this.decode(features),
    });
  }

  protected quantize(features: FeatureMaps, scales: readonly Scale[], owned: DisposableStack): Quantized {
    const { device } = this;
    const { array: codebook, vocabulary, channels } = this.tokens.codebook;
    const { images } = features;
    const tokens = scales.map((map) => {
      const count = images * map.width * map.height;
      const pooling = { method: "area", from: features, to: map, images, channels, layout: "rows" } as const;
      using rows = this.#resize(features.array, pooling);
      using unit = device.allocate(count * channels, "unit features");
      device.run(unitRows, { input: rows, output: unit, count, channels });
      const tokens = owned.use(device.allocate(count, "tokens"));
      device.run(nearestCodes, { features: unit, codebook, tokens, count, vocabulary, channels });
      return tokens;
    });
    return {
      tokens,
      features: (scale) => {
        const { width, height } = scales[scale]!;
        const array = this.#codes(tokens[scale]!, scales[scale]!, images);
        return { array, images, width, height };
      },
    };
  }

  /**
   * A source of twice the size is encoded, too: it may be what the models were trained on, and has finer
   * features to pool.
   */
  protected override admits(pictures: PictureSize, wanted: PictureSize): boolean {
    return [1, 2].some((factor) => {
      return pictures.width === factor * wanted.width && pictures.height === factor * wanted.height;
    });
  }

  /** What is added to the embedded features of a map, f32 [positions, C]. It belongs to the caller. */
  #positionsOf(to: MapSize): DeviceArray {
    const { positionSide, width: channels } = this.parts.config;
    const from = { width: positionSide, height: positionSide };
    return this.#resize(this.#learnt, { method: "area", from, to, images: 1, channels, layout: "rows" });
  }

  /** Code vectors of tokens, f32 [images, channels, height, width]. They belong to the caller. */
  #codes(tokens: DeviceArray, { width, height }: MapSize, images: number): DeviceArray {
    const { device } = this;
    const positions = width * height;
    const output = device.allocate(images * this.tokens.channels * positions, "code vectors");
    this.tokens.vectors(device, { tokens, output, maps: images, positions });
    return output;
  }

  /** Maps of another size. They belong to the caller. */
  #resize(input: DeviceArray, { method, from, to, ...maps }: Resizing): DeviceArray {
    const output = this.device.allocate(maps.images * maps.channels * to.width * to.height, "resized maps");
    this.device.run(resample, {
      ...maps,
      input,
      output,
      table: this.#tables.get(method, from.height, to.height),
      across: this.#tables.get(method, from.width, to.width),
    });
    return output;
  }

  /** How one side is resized. It stays the model's: a few kilobytes for each pair of lengths. */
}

/** What a generation asks of its model. */
interface GenerationParts {
  readonly scales: readonly Scale[];
  /** Length of a code vector. */
  readonly channels: number;
  /** Positions of each scale. */
  readonly positions: readonly DeviceArray[];
  /** What is freed with the generation: the positions. */
  readonly owned: Disposable;
  codes(tokens: DeviceArray, map: MapSize, images: number): DeviceArray;
  enlarge(
    codes: DeviceArray,
    maps: { readonly from: MapSize; readonly to: MapSize; readonly images: number },
  ): DeviceArray;
  decode(features: FeatureMaps): Promise<DecodedPictures>;
}

class FlexVarGeneration implements Generation {
  readonly #state: TransformerState;
  readonly #parts: GenerationParts;
  /** Code vectors of the last scale that has been accepted, f32 [images, channels, height, width]. */
  #codes: DeviceArray | undefined;
  /** Size of its map. */
  #map: MapSize | undefined;

  constructor(state: TransformerState, parts: GenerationParts) {
    this.#state = state;
    this.#parts = parts;
  }

  get images(): number {
    return this.#state.images;
  }

  get guided(): boolean {
    return this.#state.guided;
  }

  get features(): DeviceArray {
    return this.#state.features;
  }

  async logits(options?: LogitsOptions): Promise<DeviceArray> {
    return await this.#state.logits(this.#parts.positions[this.#state.scale]!, options);
  }

  featuresOf(tokens: DeviceArray, count: number): FeatureArray {
    const { scales, channels, codes } = this.#parts;
    const map = scales[this.#state.scale]!;
    const { width, height } = map;
    return { array: codes(tokens, map, this.images * count), channels, width, height };
  }

  accept(tokens: DeviceArray): void {
    const { scale, images } = this.#state;
    const { scales, codes, enlarge } = this.#parts;
    const from = scales[scale]!;
    const to = scales[scale + 1];
    const accepted = codes(tokens, from, images);
    this.#codes?.[Symbol.dispose]();
    this.#codes = accepted;
    this.#map = from;
    using next = to && enlarge(accepted, { from, to, images });
    this.#state.advance(next);
  }

  gather(lanes: readonly number[]): void {
    [this.#codes] = this.#state.gather(lanes, this.#codes === undefined ? [] : [this.#codes]);
  }

  get shrinks(): readonly number[] {
    return this.#map === undefined ? [1] : shrinksOf(this.#map);
  }

  async decode({ shrink = 1 }: DecodeOptions = {}): Promise<DecodedPictures> {
    this.#state.requireDone("decode");
    const { width, height } = this.#map!;
    const { channels, decode } = this.#parts;
    const features = { array: this.#codes!, images: this.images, width, height };
    return await decodeShrunk(features, { channels, shrink, decode });
  }

  [Symbol.dispose](): void {
    this.#codes?.[Symbol.dispose]();
    this.#parts.owned[Symbol.dispose]();
    this.#state[Symbol.dispose]();
  }
}
