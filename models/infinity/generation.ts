/**
 * Images of an Infinity model on their way through the scales: codes of bits add up to one feature map, of
 * which each next scale begins with a smaller picture; texts and the scales before act through keys and
 * values.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import type { FeatureMaps } from "../autoencoder/networks.ts";
import { decodeShrunk, shrinksOf } from "../autoencoder/shrunk.ts";
import { positionsOf } from "../costs.ts";
import type { CacheDtype } from "../graphs/cache_values.ts";
import { requireBatch } from "../graphs/fit.ts";
import type { GraphTensor } from "../graphs/graph_session.ts";
import { disposeAll, FEWEST_ROWS, KeyValueCaches, repeatRows, withRows } from "../graphs/key_value_caches.ts";
import { MovedPositions } from "../graphs/moved_positions.ts";
import type { Work } from "../graphs/work.ts";
import type { DecodedPictures, DecodeOptions, FeatureArray, Generation, LogitsOptions } from "../model.ts";
import { type MapSize, ofScale, type Scale, type Schedule } from "../schedule.ts";
import type { InfinityTransformerConfig } from "./config.ts";
import type { RowConditions } from "./conditions.ts";
import { crossKey, crossValue, PLACES } from "./graphs.ts";
import type { CodeMaps } from "./code_maps.ts";
import { rotations } from "./rope.ts";
import { coordinateMap, type InfinityOptions, insertionLayers } from "./schedule.ts";
import type { TransformerSessions } from "./transformer_sessions.ts";

/** What an {@linkcode InfinityGeneration} is made of. */
export interface InfinityGenerationParts {
  /** Where it is kept. */
  readonly device: Device;
  /** Sizes of the transformer. */
  readonly config: InfinityTransformerConfig;
  /** Type in which keys and values are kept. */
  readonly cacheDtype: CacheDtype;
  /** The transformer. */
  readonly sessions: TransformerSessions;
  /** What the model is busy with. */
  readonly work: Work;
  /** Codes between tokens and features. */
  readonly codes: CodeMaps;
  /** Added to the embedded features of each scale but the first, f32 [C]. */
  readonly starts: readonly DeviceArray[];
  /** What the texts of the rows give; it is the generation's from then on. */
  readonly conditions: RowConditions;
  /** Images in the batch. */
  readonly images: number;
  /** Whether there are unconditional rows, too. */
  readonly branches: 1 | 2;
  /** Whether logits are guided outside. */
  readonly guided: boolean;
  /** The scales. */
  readonly schedule: Schedule;
  /** Decodes features. */
  readonly decode: (features: FeatureMaps) => Promise<DecodedPictures>;
}

/** A batch of images between two scales. */
export class InfinityGeneration implements Generation {
  readonly guided: boolean;
  readonly #parts: InfinityGenerationParts;
  readonly #caches: KeyValueCaches;
  readonly #conditions: Record<string, DeviceArray>;
  readonly #scales: readonly Scale[];
  readonly #options: InfinityOptions;
  #features: DeviceArray;
  #accumulated: DeviceArray;

  /** Begins with features of zeros. */
  constructor(parts: InfinityGenerationParts) {
    const { device, config: { depth, heads, width, bits }, conditions, images, branches, schedule, codes } =
      parts;
    this.#parts = parts;
    this.guided = parts.guided;
    this.#scales = schedule.scales;
    this.#options = schedule.settings.familyOptions as InfinityOptions;
    this.#conditions = { ...conditions.arrays };
    this.#caches = new KeyValueCaches({
      device,
      depth,
      heads,
      headWidth: width / heads,
      images,
      guided: branches === 2,
      lengths: schedule.scales.map(positionsOf),
      dtype: parts.cacheDtype,
    });
    this.#features = device.allocate(this.#rows * bits, "features");
    this.#accumulated = codes.allocate(images, this.#scales.at(-1)!);
  }

  get images(): number {
    return this.#caches.images;
  }

  get features(): DeviceArray {
    return this.#features;
  }

  get accumulated(): DeviceArray {
    return this.#accumulated;
  }

  /** Rows of features: what the sampler knows of. */
  get #rows(): number {
    return this.guided ? 2 * this.images : this.images;
  }

  async logits(options: LogitsOptions = {}): Promise<DeviceArray> {
    return await this.#parts.work.run("go on with a generation", () => this.#logits(options));
  }

  async #logits({ sources }: LogitsOptions): Promise<DeviceArray> {
    const { device, sessions } = this.#parts;
    const { scale, rows, length } = this.#caches;
    const fed = scale === 0 ? Math.max(rows, FEWEST_ROWS) : rows;
    using stack = new DisposableStack();
    // The only position of the first scale can take no other's embedding.
    const feeds = this.#feeds(length, fed, stack, scale === 0 ? undefined : sources);
    const mixed = this.#mixedAfter;
    const logits = await sessions.run(mixed, (session) => this.#caches.run(session, feeds, fed));
    if (this.#rows === rows) return logits;
    using both = logits;
    const own = device.allocate(logits.length / 2, "logits");
    device.copy(both, own, { length: own.length });
    return own;
  }

  /** Blocks from the end after which both branches become their mix. */
  get #mixedAfter(): readonly number[] {
    return this.#caches.guided ? insertionLayers(this.#options).blocks : [];
  }

  /**
   * What the transformer is fed for the next scale, in as many rows; what is made for it goes to `owned`. An
   * embedding takes its place with it: what the token is turned by.
   */
  #feeds(
    length: number,
    fed: number,
    owned: DisposableStack,
    sources: Uint32Array | undefined,
  ): Record<string, GraphTensor> {
    const { device, config: { depth, heads, width, bits }, conditions, starts, schedule } = this.#parts;
    const { scale, rows } = this.#caches;
    const text = conditions.length;
    const fill = (array: DeviceArray): DeviceArray => {
      return fed === rows ? array : owned.use(withRows(device, array, { from: rows, to: fed }));
    };
    const condition = (name: string): DeviceArray => fill(this.#conditions[name]!);
    const upload = (data: Float32Array<ArrayBuffer>, name: string): DeviceArray => {
      return owned.use(device.upload(data, name));
    };
    // Guidance of blocks needs both branches where the sampler knows of one.
    const unmoved = this.#rows === rows ? this.#features : owned.use(twice(this.#features));
    const features = sources === undefined ? unmoved : owned.use(
      owned.use(new MovedPositions(device, sources, { rows, images: this.images, length })).ofRows(unmoved),
    );
    const places = Array.from({ length: fed * length }, (_, i) => {
      return sources === undefined ? i % length : sources[i % sources.length]!;
    });
    const rotated = rotations(this.#scales[scale]!, coordinateMap(this.#options), width / heads);
    const half = width / heads / 2;
    const feeds: Record<string, GraphTensor> = {
      features: { array: fill(features), shape: [fed, length, bits] },
      start: scale === 0
        ? { array: condition("first"), shape: [fed, 1, width] }
        : { array: starts[scale]!, shape: [1, 1, width] },
      map_shape: { array: [fed, length, width], shape: [3] },
      modulation: { array: condition("modulation"), shape: [fed, 6, width] },
      "modulation.head": { array: condition("modulation.head"), shape: [fed, 2, width] },
      mask: {
        array: owned.use(repeatRows(condition("mask"), fed, length)),
        shape: [fed, 1, length, text],
      },
      cos: { array: upload(rotated.cos, "cosines"), shape: [length, half] },
      sin: { array: upload(rotated.sin, "sines"), shape: [length, half] },
      [PLACES]: { array: places, shape: [fed, length] },
    };
    for (let i = 0; i < depth; i++) {
      for (const name of [crossKey(i), crossValue(i)]) {
        feeds[name] = { array: condition(name), shape: [fed, text, width] };
      }
    }
    if (this.#mixedAfter.length > 0) {
      const mix = mixOf(ofScale(schedule.settings.cfg, scale), this.images, fed);
      feeds.mix = { array: upload(mix, "mix of branches"), shape: [fed, fed] };
    }
    return feeds;
  }

  accept(tokens: DeviceArray): void {
    const { codes } = this.#parts;
    const { scale, images } = this.#caches;
    const finest = this.#scales.at(-1)!;
    codes.add(tokens, this.#accumulated, { map: this.#scales[scale]!, finest, images });
    this.#caches.advance();
    const next = this.#scales[scale + 1];
    if (next === undefined) return;
    const rows = codes.rows(this.#accumulated, { map: next, finest, images });
    this.#features[Symbol.dispose]();
    if (!this.guided) {
      this.#features = rows;
      return;
    }
    using _rows = rows;
    this.#features = twice(rows);
  }

  featuresOf(tokens: DeviceArray, count: number): FeatureArray {
    const { codes } = this.#parts;
    const { scale, images } = this.#caches;
    const maps = images * count;
    using owned = new DisposableStack();
    const array = owned.use(repeatRows(this.#accumulated, images, count));
    codes.add(tokens, array, { map: this.#scales[scale]!, finest: this.#scales.at(-1)!, images: maps });
    owned.move();
    return { array, channels: codes.channels, ...this.accumulatedMap };
  }

  gather(lanes: readonly number[]): void {
    requireBatch(lanes.length, this.#parts.schedule.batchLimit, "gather lanes");
    using gather = this.#caches.gather(lanes);
    gather.replaceRows(this.#conditions);
    this.#features = this.guided ? gather.rows(this.#features) : gather.images(this.#features);
    this.#accumulated = gather.images(this.#accumulated);
  }

  get accumulatedMap(): MapSize {
    return this.#parts.codes.featureMap(this.#scales.at(-1)!);
  }

  get shrinks(): readonly number[] {
    return shrinksOf(this.accumulatedMap);
  }

  async decode({ shrink = 1 }: DecodeOptions = {}): Promise<DecodedPictures> {
    const { codes, decode } = this.#parts;
    this.#caches.requireDone("decode");
    const features = { array: this.#accumulated, images: this.images, ...this.accumulatedMap };
    return await decodeShrunk(features, { channels: codes.channels, shrink, decode });
  }

  [Symbol.dispose](): void {
    disposeAll(this.#conditions);
    this.#caches[Symbol.dispose]();
    this.#features[Symbol.dispose]();
    this.#accumulated[Symbol.dispose]();
  }
}

/** What of each row becomes part of each where both branches become `strength · c + (1 - strength) · u`. */
function mixOf(strength: number, images: number, rows: number): Float32Array<ArrayBuffer> {
  const mix = new Float32Array(rows * rows);
  for (let row = 0; row < 2 * images; row++) {
    mix[row * rows + row % images] = strength;
    mix[row * rows + row % images + images] = 1 - strength;
  }
  return mix;
}

/** An array twice, one copy after the other. */
function twice(array: DeviceArray): DeviceArray {
  const { device, length, label } = array;
  const both = device.allocate(2 * length, label);
  device.copy(array, both);
  device.copy(array, both, { targetOffset: length });
  return both;
}
