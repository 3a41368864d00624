/**
 * What a generation costs, counted as it goes: passes of the transformer, decoded and judged pictures, the
 * operations that they take, and the time. Predicting it is left to `plan.ts`.
 *
 * @module
 */

import type { Device } from "../kernels/device/device.ts";
import type { ModelFlops } from "../models/model.ts";

/** What a generation has cost. Floating-point operations are two for each product that is added. */
export interface Cost {
  /** Lanes that went through a scale, over all scales: 10 for a plain image of 10 scales. */
  readonly passes: number;
  /** Pictures that were decoded, previews included. */
  readonly decodes: number;
  /** Pictures, or lanes, that verifiers and feature extractors have looked at. */
  readonly judged: number;
  /** Operations of the transformer; `undefined` if the model's family cannot tell. */
  readonly transformerFlops: number | undefined;
  /** Operations of the decoder; `undefined` likewise. */
  readonly decoderFlops: number | undefined;
  /** Operations of verifiers and feature extractors; `undefined` if one of them does not tell. */
  readonly judgeFlops: number | undefined;
  /** The most bytes on the device behind any part of the work, with all that the model keeps there. */
  readonly peakBytes: number;
  /**
   * Seconds on the host's clock: in the decoder, in verifiers with feature extractors, and in all the rest.
   * On WebGPU, work that was handed over before is waited for where something is read.
   */
  readonly seconds: { readonly scales: number; readonly decode: number; readonly judge: number };
}

/** Counts what a generation costs. */
export class CostCounter {
  readonly #device: Device;
  readonly #flops: ModelFlops | undefined;
  readonly #begun: number = performance.now();
  #passes = 0;
  #decodes = 0;
  #judged = 0;
  #transformer = 0;
  #decoder = 0;
  #judges: number | undefined = 0;
  #peak = 0;
  #decodeTime = 0;
  #judgeTime = 0;

  /** @param device Where it runs. @param flops What the model says of the schedule. */
  constructor(device: Device, flops: ModelFlops | undefined) {
    this.#device = device;
    this.#flops = flops;
  }

  /** A batch begins. */
  condition(images: number): void {
    this.#transformer += images * (this.#flops?.condition ?? 0);
  }

  /** Lanes went through a scale. */
  pass(scale: number, lanes: number): void {
    this.#passes += lanes;
    this.#transformer += lanes * (this.#flops?.scales[scale] ?? 0);
    this.mark();
  }

  /** Decodes pictures of a scale by `work`. */
  async decode<Result>(
    { scale, pictures, shrink }: {
      readonly scale: number;
      readonly pictures: number;
      readonly shrink: number;
    },
    work: () => Promise<Result>,
  ): Promise<Result> {
    const begun = performance.now();
    const result = await work();
    this.#decodeTime += performance.now() - begun;
    this.#decodes += pictures;
    this.#decoder += pictures * (this.#flops?.decode(scale, shrink) ?? 0);
    this.mark();
    return result;
  }

  /** Judges or describes pictures by `work`, each of which takes so many operations. */
  async judge<Result>(
    { pictures, flops }: { readonly pictures: number; readonly flops: number | undefined },
    work: () => Promise<Result>,
  ): Promise<Result> {
    const begun = performance.now();
    const decoding = this.#decodeTime;
    const result = await work();
    this.#judgeTime += performance.now() - begun - (this.#decodeTime - decoding);
    this.#judged += pictures;
    this.#judges = this.#judges === undefined || flops === undefined
      ? undefined
      : this.#judges + pictures * flops;
    this.mark();
    return result;
  }

  /** Looks at how many bytes there are. */
  mark(): void {
    this.#peak = Math.max(this.#peak, this.#device.counters.liveBytes);
  }

  /** What it has cost so far. */
  get cost(): Cost {
    const known = this.#flops !== undefined;
    const [decode, judge] = [this.#decodeTime / 1000, this.#judgeTime / 1000];
    return {
      passes: this.#passes,
      decodes: this.#decodes,
      judged: this.#judged,
      transformerFlops: known ? this.#transformer : undefined,
      decoderFlops: known ? this.#decoder : undefined,
      judgeFlops: this.#judges,
      peakBytes: this.#peak,
      seconds: { scales: (performance.now() - this.#begun) / 1000 - decode - judge, decode, judge },
    };
  }
}
