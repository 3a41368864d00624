/**
 * Visual prefix guidance (arXiv 2605.30317): logits are pushed away from those that the model gives for a
 * prefix which is not quite right, a share of whose positions have the embeddings of others. Costs as much
 * again as the transformer. The generation beside the batch is `shadows.ts`.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireNumber,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../kernels/exact/threefry.ts";
import { guidance } from "../../kernels/sampling/guidance.ts";
import type { Model } from "../../models/model.ts";
import { type MapSize, ofScale, type PerScale, type Schedule } from "../../models/schedule.ts";
import type { ScaleHook, SearchEvent } from "../hook.ts";
import { laneWord, type ScaleStep } from "../step.ts";

/** When a prefix is corrupted. */
export const CORRUPTIONS = ["once", "anew"] as const;
/** One of {@linkcode CORRUPTIONS}. */
export type Corruption = typeof CORRUPTIONS[number];

/** Options of {@linkcode prefixGuidance}. */
export interface PrefixGuidanceOptions {
  /**
   * Weight λ, from 0 on; 0 does nothing, and costs nothing. A list gives each scale its own, as with `cfg`.
   * By default what the authors state for the model: VAR of depth 16, 20, 24 and 30 has 3, 2.4, 1.8 and 1.3,
   * Infinity 0.2 (`model.prefixWeight`); for all others {@linkcode DEFAULT_PREFIX_WEIGHT}.
   */
  weight?: PerScale;
  /**
   * Share of the positions of each scale that take the embedding of another one, from 0 to 1; 0.1 by default,
   * as published. It is rounded to whole positions: of a map of 2×2, a tenth is none of them.
   */
  share?: number;
  /**
   * `"once"` (default): each scale is corrupted when it becomes part of the prefix, and stays so. `"anew"`:
   * at each scale the whole prefix is corrupted once more, with other positions, which takes going through
   * all of it again. The paper's text leaves open which of them it is.
   */
  corruption?: Corruption;
}

/**
 * Weight λ for a model for which none is published: of 0.5, 1, 2 and 3 on the bundled model of classes the
 * one with the best accuracy that costs no reward, though none differs much; see `docs/methods.md`.
 */
export const DEFAULT_PREFIX_WEIGHT = 1;

const ACTION = "make the prefix guidance hook";
/** The largest weight of guidance. */
const MAX_WEIGHT = 2 ** 32;

/** Everything settled but what depends on the model. */
interface Settings {
  readonly weight: PerScale | undefined;
  readonly share: number;
  readonly corruption: Corruption;
}

/**
 * Makes the hook of prefix guidance: `g + λ (g - s)`, where g are the guided logits and s those of a shadow,
 * guided by the same weight, in whose prefix a share of the positions of each scale, the one at hand
 * included, have the whole embedding, code and place, of another position of the same scale (arXiv
 * 2605.30317).
 *
 * Which positions those are depends on the seed, the image, its lane and the scale alone. Positions that
 * are moved are drawn without replacement, and each takes any other one with the same chance, whether that is
 * moved itself or taken twice.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 *
 * @example
 * ```ts
 * import { costOf, generate, loadModel, prefixGuidance } from "../../mod.ts";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const request = { labels: "red torus", seed: 7 };
 * const plain = await generate(model, request);
 * const guided = await generate(model, { ...request, hooks: [prefixGuidance({ weight: 1 })] });
 * assertNotEquals(guided.images[0]!.tokens[3], plain.images[0]!.tokens[3]);
 * assertEquals(guided.trace.cost.passes, 2 * plain.trace.cost.passes);
 * ```
 */
export function prefixGuidance(options: PrefixGuidanceOptions = {}): ScaleHook<never> {
  const settings = resolve(options);
  const { weight, share, corruption } = settings;
  const off = share === 0 || (weight !== undefined && isZero(weight));
  return {
    name: "prefix-guidance",
    shadows: off ? 0 : 1,
    settings: { weight: weight ?? "preset", share, corruption },
    plan: (schedule, model) => plan(schedule, { ...settings, weight: weightOf(settings, model) }),
    guide: (step) => guide(step, settings),
  };
}

/**
 * The weight that prefix guidance has with a model unless another one is given.
 *
 * @example
 * ```ts
 * import { loadModel } from "../../mod.ts";
 * import { DEFAULT_PREFIX_WEIGHT, prefixWeightOf } from "./prefix_guidance.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(prefixWeightOf(model), DEFAULT_PREFIX_WEIGHT);
 * ```
 */
export function prefixWeightOf(model: Pick<Model, "prefixWeight">): number {
  return model.prefixWeight ?? DEFAULT_PREFIX_WEIGHT;
}

function weightOf({ weight }: Settings, model: Model): PerScale {
  return weight ?? prefixWeightOf(model);
}

function isZero(weight: PerScale): boolean {
  return typeof weight === "number" ? weight === 0 : weight.every((item) => item === 0);
}

/** What each scale will cost; a weight that is missing for one of them is refused here. */
function plan(
  { scales }: Schedule,
  { weight, share, corruption }: Settings & { readonly weight: PerScale },
): SearchEvent[] {
  if (typeof weight !== "number" && weight.length < scales.length) {
    throw new RangeError(
      `Cannot guide by the prefix as weight must hold a number for each of ${scales.length} scales: current number is ${weight.length}`,
    );
  }
  return scales.flatMap((_, scale): SearchEvent[] => {
    if (ofScale(weight, scale) === 0 || !isCorrupted(scales, scale, share)) return [];
    const from = (acted: number): number => corruption === "anew" ? 0 : acted + 1;
    const reruns = (acted: number): number[] => {
      return Array.from({ length: scale + 1 - from(acted) }, (_, i) => from(acted) + i);
    };
    return [{ scale, lanes: (before) => before, looks: [], reruns }];
  });
}

/** Whether a position of a scale, or of one before, is moved; without that, the shadow is no other. */
function isCorrupted(scales: readonly MapSize[], scale: number, share: number): boolean {
  return scales.slice(0, scale + 1).some((map) => movedPositions(map, share) > 0);
}

function movedPositions({ width, height }: MapSize, share: number): number {
  const positions = width * height;
  return positions < 2 ? 0 : Math.round(share * positions);
}

async function guide(step: ScaleStep<never>, settings: Settings): Promise<void> {
  const { model, scale, schedule } = step;
  const { share, corruption } = settings;
  const weight = ofScale(weightOf(settings, model), scale);
  if (weight === 0 || !isCorrupted(schedule.scales, scale, share)) return;
  const { seedWords: seed } = step.request;
  // One corruption of all scales before differs from that at another scale.
  const round = corruption === "anew" ? scale : 0;
  const other = await step.shadow({
    fresh: corruption === "anew",
    sources: (map) => {
      const moved = movedPositions(map, share);
      if (moved === 0) return undefined;
      const positions = map.width * map.height;
      const sources = new Uint32Array(step.lanes.length * positions);
      for (const [row, lane] of step.lanes.entries()) {
        const key = { seed, lane: laneWord(lane), scale: map.scale, round };
        sources.set(movedSources(key, positions, moved), row * positions);
      }
      return sources;
    },
  });
  const { logits: vocabulary } = model.tokens;
  const rows = step.lanes.length * step.positions;
  contrastLogits(step.logits, other, { rows, vocabulary, weight });
}

/**
 * Pushes logits away from others, in place: `logits + weight · (logits - others)`, by the kernel of
 * classifier-free guidance, whose bits are the same on every device.
 *
 * @param logits f32 [rows, vocabulary], which changes.
 * @param others As many, on the same device.
 *
 * @example
 * ```ts
 * import { contrastLogits } from "./prefix_guidance.ts";
 * import { CpuDevice, readFloats } from "../../kernels/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using logits = device.upload(new Float32Array([1, 2, 3]));
 * using others = device.upload(new Float32Array([2, 2, 1]));
 * contrastLogits(logits, others, { rows: 1, vocabulary: 3, weight: 0.5 });
 * assertEquals([...await readFloats(logits)], [0.5, 2, 4]);
 * ```
 */
export function contrastLogits(
  logits: DeviceArray,
  others: DeviceArray,
  { rows, vocabulary, weight }: {
    readonly rows: number;
    readonly vocabulary: number;
    readonly weight: number;
  },
): void {
  const { device } = logits;
  const length = rows * vocabulary;
  using both = device.allocate(2 * length, "logits and others");
  device.copy(logits, both, { length });
  device.copy(others, both, { length, targetOffset: length });
  device.run(guidance, {
    logits: both,
    guided: logits,
    images: 1,
    positions: rows,
    vocabulary,
    weight,
  });
}

/** What decides which positions are moved. */
export interface MovingKey {
  /** Seed of the request. */
  readonly seed: Seed;
  /** Word by which the lane is known; see {@linkcode laneWord}. */
  readonly lane: number;
  /** Index of the scale. */
  readonly scale: number;
  /** 0, or the scale at which the prefix is corrupted anew. */
  readonly round: number;
}

/**
 * For each position of a map the one whose embedding it takes: its own, but for some, drawn without
 * replacement, each of which takes any other one with the same chance.
 *
 * @param key What decides which.
 * @param positions Positions of the map, at least 2.
 * @param moved How many of them are moved.
 *
 * @example
 * ```ts
 * import { movedSources } from "./prefix_guidance.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sources = movedSources({ seed: [7, 0], lane: 0, scale: 5, round: 0 }, 64, 6);
 * assertEquals([...sources].filter((source, position) => source !== position).length, 6);
 * ```
 */
export function movedSources(
  { seed, lane, scale, round }: MovingKey,
  positions: number,
  moved: number,
): Uint32Array<ArrayBuffer> {
  const key = streamKey(seed, lane, scale, PURPOSE.moving);
  const below = (word: number, count: number): number => Math.floor(word / 2 ** 32 * count);
  const order = Array.from({ length: positions }, (_, position) => position);
  const sources = Uint32Array.from(order);
  for (let i = 0; i < moved; i++) {
    const [first, second] = threefry(key, [i, round]);
    const at = i + below(first, positions - i);
    const position = order[at]!;
    order[at] = order[i]!;
    const other = below(second, positions - 1);
    sources[position] = other < position ? other : other + 1;
  }
  return sources;
}

function resolve(options: PrefixGuidanceOptions): Settings {
  requireObject(options, "the options", ACTION);
  requireOptions(options, ["weight", "share", "corruption"], ACTION);
  const { weight, share = 0.1, corruption = "once" } = options;
  requireNumber(share, "share", ACTION, { min: 0, max: 1 });
  requireChoice(corruption, CORRUPTIONS, "corruption", ACTION);
  if (Array.isArray(weight)) {
    if (weight.length === 0) throw new RangeError(mustBe("a number or some", weight, "weight", ACTION));
    const list = Array.from(weight as readonly number[], (item, scale) => {
      return requireNumber(item, `weight[${scale}]`, ACTION, { min: 0, max: MAX_WEIGHT });
    });
    return { weight: list, share, corruption };
  }
  if (weight !== undefined) requireNumber(weight as number, "weight", ACTION, { min: 0, max: MAX_WEIGHT });
  return { weight, share, corruption };
}
