/**
 * What a generation costs, counted as it goes: passes of the transformer, decoded and judged pictures, the
 * operations that they take, and the time. Telling it beforehand is left to `planned_cost.ts`.
 *
 * @module
 */

import type { Device } from "../kernels/device/device.ts";
import { isUnconditional, type ResolvedLabel } from "../models/label.ts";
import type { Model, ModelFlops } from "../models/model.ts";
import { isGuided, type Schedule } from "../models/schedule.ts";

/** What is counted of a generation. Floating-point operations are two for each product that is added. */
export interface CostCounts {
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
  /** All of these; `undefined` if one of them is. */
  readonly flops: number | undefined;
}

/** What a generation has cost. */
export interface Cost extends CostCounts {
  /** The most bytes on the device behind any part of the work, with all that the model keeps there. */
  readonly peakBytes: number;
  /**
   * Seconds on the host's clock: in the decoder, in verifiers with feature extractors, and in all the rest.
   * On WebGPU, work that was handed over before is waited for where something is read.
   */
  readonly seconds: { readonly scales: number; readonly decode: number; readonly judge: number };
}

/** Whether unconditional rows run beside those of a batch of these labels. */
export function guides(model: Model, labels: readonly ResolvedLabel[], schedule: Schedule): boolean {
  if (!isGuided(schedule)) return false;
  // Guidance must have something to guide to or, with a text for all images, away from.
  return !labels.every(isUnconditional) || (model.textsOf?.(labels, schedule) ?? []).length > 0;
}

/** Images of a request that run together. */
export function imagesTogether({ batch, lanes }: { readonly batch: number; readonly lanes: number }): number {
  return Math.max(1, Math.floor(batch / lanes));
}

/** All counted operations. */
export function totalFlops(
  { transformerFlops, decoderFlops, judgeFlops }: Omit<CostCounts, "flops">,
): number | undefined {
  if (transformerFlops === undefined || decoderFlops === undefined || judgeFlops === undefined) {
    return undefined;
  }
  return transformerFlops + decoderFlops + judgeFlops;
}

/**
 * The cost of several generations, one after the other.
 *
 * @example
 * ```ts
 * import { sumOfCosts } from "./cost.ts";
 * import { generate, loadModel } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { trace: { cost } } = await generate(model, { labels: "red torus" });
 * assertEquals(sumOfCosts([cost, cost]).passes, 2 * cost.passes);
 * assertEquals(sumOfCosts([cost, cost]).peakBytes, cost.peakBytes);
 * ```
 */
export function sumOfCosts(costs: readonly Cost[]): Cost {
  const sum = <Part>(parts: readonly Part[], of: (part: Part) => number | undefined): number | undefined => {
    return parts.reduce<number | undefined>((total, part) => {
      const value = of(part);
      return total === undefined || value === undefined ? undefined : total + value;
    }, 0);
  };
  const seconds = costs.map(({ seconds }) => seconds);
  return {
    passes: sum(costs, ({ passes }) => passes)!,
    decodes: sum(costs, ({ decodes }) => decodes)!,
    judged: sum(costs, ({ judged }) => judged)!,
    transformerFlops: sum(costs, ({ transformerFlops }) => transformerFlops),
    decoderFlops: sum(costs, ({ decoderFlops }) => decoderFlops),
    judgeFlops: sum(costs, ({ judgeFlops }) => judgeFlops),
    flops: sum(costs, ({ flops }) => flops),
    peakBytes: Math.max(0, ...costs.map(({ peakBytes }) => peakBytes)),
    seconds: {
      scales: sum(seconds, ({ scales }) => scales)!,
      decode: sum(seconds, ({ decode }) => decode)!,
      judge: sum(seconds, ({ judge }) => judge)!,
    },
  };
}

/** Counts what judges cost. */
export interface JudgeMeter {
  /** Judges or describes pictures by `work`, each of which takes so many operations. */
  judge<Result>(
    counted: { readonly pictures: number; readonly flops: number | undefined },
    work: () => Promise<Result>,
  ): Promise<Result>;
}

/** Counts what a generation costs. */
export class CostCounter implements JudgeMeter {
  readonly #device: Device;
  #flops: ModelFlops | undefined;
  #known = true;
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

  /** @param device Where it runs. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** A batch of so many images begins, of which the model says what it takes. */
  begin(images: number, flops: ModelFlops | undefined): void {
    this.#flops = flops;
    this.#known &&= flops !== undefined;
    this.#transformer += images * (flops?.condition ?? 0);
    this.mark();
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
    const [decode, judge] = [this.#decodeTime / 1000, this.#judgeTime / 1000];
    const counts = {
      passes: this.#passes,
      decodes: this.#decodes,
      judged: this.#judged,
      transformerFlops: this.#known ? this.#transformer : undefined,
      decoderFlops: this.#known ? this.#decoder : undefined,
      judgeFlops: this.#judges,
    };
    return {
      ...counts,
      flops: totalFlops(counts),
      peakBytes: this.#peak,
      seconds: { scales: (performance.now() - this.#begun) / 1000 - decode - judge, decode, judge },
    };
  }
}
