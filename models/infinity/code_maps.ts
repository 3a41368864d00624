/**
 * Tokens of a scale and the feature map that they add up to: codes of bits are enlarged to the finest scale's
 * map, of which the next scale gets a smaller picture. Bilinear both ways, without smoothing, as the
 * transformer was trained; only encoding takes means.
 *
 * @module
 */

import { bitCodes, signBits } from "../../kernels/codebook/bits.ts";
import type { FeatureLayout } from "../../kernels/codebook/lookup.ts";
import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { resample, type ResampleMethod, ResampleTables } from "../../kernels/maps/resample.ts";
import { unshufflePixels } from "../../kernels/maps/shuffle.ts";
import type { MapSize } from "../schedule.ts";
import { featureMap } from "./config.ts";

/** Where tokens of a scale belong. */
export interface ScaleMaps {
  /** Their map. */
  readonly map: MapSize;
  /** The map of the finest scale. */
  readonly finest: MapSize;
  /** Images in the batch. */
  readonly images: number;
}

/** Codes of one model on a device. Disposing frees what it keeps of sizes that have occurred. */
export class CodeMaps implements Disposable {
  readonly #device: Device;
  readonly #channels: number;
  readonly #patchify: boolean;
  readonly #tables: ResampleTables;

  /**
   * @param device Where the maps are.
   * @param codes Channels of a code, and whether a token holds the bits of a patch of 2×2 positions.
   */
  constructor(
    device: Device,
    { channels, patchify }: { readonly channels: number; readonly patchify: boolean },
  ) {
    this.#device = device;
    this.#tables = new ResampleTables(device);
    this.#channels = channels;
    this.#patchify = patchify;
  }

  /** Channels of a code. */
  get channels(): number {
    return this.#channels;
  }

  /** Map of the features behind a map of tokens. */
  featureMap(map: MapSize): MapSize {
    return featureMap(map, this.#patchify);
  }

  /** Feature maps of zeros behind the finest map of tokens. */
  allocate(images: number, finest: MapSize): DeviceArray {
    const { width, height } = this.featureMap(finest);
    return this.#device.allocate(images * this.#channels * width * height, "accumulated features");
  }

  /**
   * Adds what tokens stand for to feature maps, or takes it away.
   *
   * @param tokens Tokens of the scale, u32 [images, positions, words].
   * @param sums Feature maps behind the finest scale, f32 [images, channels, height, width].
   */
  add(tokens: DeviceArray, sums: DeviceArray, { map, finest, images }: ScaleMaps, sign: 1 | -1 = 1): void {
    const channels = this.#channels;
    const from = this.featureMap(map);
    using planes = this.#device.allocate(images * channels * from.width * from.height, "codes");
    this.#device.run(bitCodes, {
      bits: tokens,
      output: planes,
      images,
      tokens: map.width * map.height,
      channels,
      layout: "planes",
      ...(this.#patchify ? { patchWidth: map.width } : {}),
    });
    this.#resize(planes, sums, {
      method: "bilinear",
      from,
      to: this.featureMap(finest),
      images,
      layout: "planes",
      sign,
    });
  }

  /** What a scale begins with, f32 [images, positions, bits of a token]. It belongs to the caller. */
  rows(sums: DeviceArray, { map, finest, images }: ScaleMaps): DeviceArray {
    const channels = this.#channels;
    const to = this.featureMap(map);
    const output = this.#device.allocate(images * channels * to.width * to.height, "features");
    const resizing = { method: "bilinear", from: this.featureMap(finest), to, images, sign: 0 } as const;
    if (!this.#patchify) {
      this.#resize(sums, output, { ...resizing, layout: "rows" });
      return output;
    }
    using planes = this.#device.allocate(output.length, "features of positions");
    this.#resize(sums, planes, { ...resizing, layout: "planes" });
    this.#device.run(unshufflePixels, {
      input: planes,
      output,
      images,
      channels,
      width: map.width,
      height: map.height,
    });
    return output;
  }

  /** The signs of the means of feature maps, as tokens of a scale. They belong to the caller. */
  bits(features: DeviceArray, { map, finest, images }: ScaleMaps): DeviceArray {
    const channels = this.#channels;
    const to = this.featureMap(map);
    const tokens = map.width * map.height;
    const words = Math.ceil(channels * (this.#patchify ? 4 : 1) / 32);
    using planes = this.#device.allocate(images * channels * to.width * to.height, "means");
    this.#resize(features, planes, {
      method: "area",
      from: this.featureMap(finest),
      to,
      images,
      layout: "planes",
      sign: 0,
    });
    const bits = this.#device.allocate(images * tokens * words, "tokens");
    this.#device.run(signBits, {
      features: planes,
      bits,
      images,
      tokens,
      channels,
      layout: "planes",
      ...(this.#patchify ? { patchWidth: map.width } : {}),
    });
    return bits;
  }

  #resize(
    input: DeviceArray,
    output: DeviceArray,
    { method, from, to, images, layout, sign }: {
      readonly method: ResampleMethod;
      readonly from: MapSize;
      readonly to: MapSize;
      readonly images: number;
      readonly layout: FeatureLayout;
      readonly sign: 1 | 0 | -1;
    },
  ): void {
    this.#device.run(resample, {
      input,
      output,
      table: this.#tables.get(method, from.height, to.height),
      across: this.#tables.get(method, from.width, to.width),
      images,
      channels: this.#channels,
      layout,
      sign,
    });
  }

  /** Frees the tables. */
  [Symbol.dispose](): void {
    this.#tables[Symbol.dispose]();
  }
}
