/**
 * What a scale hook is: a method that acts between the scales of a generation. It may say how conditional and
 * unconditional logits become one, change the guided logits, choose the tokens of a scale, or rearrange the
 * lanes of the batch after it; the published methods of inference-time scaling are all of this form.
 *
 * @module
 */

import type { Model } from "../models/model.ts";
import type { Schedule } from "../models/schedule.ts";
import type { Verifier } from "../models/vision/verifier.ts";
import type { ScaleStep } from "./step.ts";

/**
 * A method that acts between scales. Hooks run in the order in which they are given.
 *
 * @typeParam Decision What it reports and notes about an image, which `decisionsOf` of the image gives back.
 *
 * @example A method of one's own: always take the likeliest tokens of the first two scales
 * ```ts
 * import { generate, loadModel, type ScaleHook } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sure: ScaleHook = {
 *   name: "sure start",
 *   scales: [0, 1],
 *   choose: (step) => step.choose(step.draw(1, { temperature: 0 })),
 * };
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const request = { labels: "red cube", hooks: [sure] };
 * const { images: [a] } = await generate(model, { ...request, seed: 1 });
 * const { images: [b] } = await generate(model, { ...request, seed: 2 });
 * assertEquals(a!.tokens[1], b!.tokens[1]);
 * ```
 */
export interface ScaleHook<Decision = unknown> {
  /** Name in reports and errors. */
  readonly name: string;
  /**
   * Scales on which it acts, 0-based, negative ones from the end, or a function that tells those that suit a
   * model; all by default.
   */
  readonly scales?: readonly number[] | ((model: Model) => readonly number[]);
  /**
   * Lanes that each image shall start with, for hooks that later thin them by `gather`; 1 by default. An
   * image comes back once for each lane that is left in the end. Without any `gather` they are refused, as
   * several pictures of a label are what `count` is for.
   */
  readonly lanes?: number;
  /**
   * Generations that it has run beside that of the batch, by {@linkcode ScaleStep.shadow}; 0 by default. Each
   * takes as much memory again as the batch itself, which `batch: "auto"` reckons with.
   */
  readonly shadows?: number;
  /**
   * Whether what becomes of an image depends on the images beside it in the batch, as with a bandwidth
   * averaged over the batch. Without it, an image must depend on its number alone.
   */
  readonly coupled?: boolean;
  /**
   * What it will do to the lanes of an image, for those who want to know beforehand what it costs. It is
   * asked before anything runs, so this is where it refuses a schedule that it cannot follow.
   */
  plan?(schedule: Schedule, model: Model): readonly SearchEvent[];
  /** Settings to be written down with a run, as plain data. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /**
   * Makes one of the conditional and the unconditional logits, {@linkcode ScaleStep.conditional} and
   * {@linkcode ScaleStep.unconditional}, by {@linkcode ScaleStep.setLogits}; without it, or where it sets
   * none, they are guided as usual. Comes first; on each scale one hook may have it.
   */
  combine?(step: ScaleStep<Decision>): void | Promise<void>;
  /** Changes the guided logits, {@linkcode ScaleStep.logits}, in place by kernels. */
  guide?(step: ScaleStep<Decision>): void | Promise<void>;
  /**
   * Chooses the tokens of the scale by {@linkcode ScaleStep.choose}; without any choice they are drawn as
   * usual.
   */
  choose?(step: ScaleStep<Decision>): void | Promise<void>;
  /**
   * Rearranges the lanes after the scale: the returned list names, for each new lane, the old one that it
   * continues. Every image must keep at least one lane. `undefined` leaves all as it is.
   */
  gather?(step: ScaleStep<Decision>): readonly number[] | undefined | Promise<readonly number[] | undefined>;
}

/** What a hook will do to the lanes of each image after a scale. */
export interface SearchEvent {
  /** Index of the scale. */
  readonly scale: number;
  /** Lanes of an image afterwards, or how they follow from those before. */
  readonly lanes: number | ((before: number) => number);
  /** Who looks at the lanes before; `"own"` is the verifier of the model itself. */
  readonly looks: readonly (Look | "own")[];
  /**
   * Scales that the transformer goes through once more for each lane, beside the scale itself and before
   * lanes are rearranged; none by default. A function is told the last scale on which the hook has acted
   * before, or -1: a shadow that goes on from there has to go through those between, as hooks do not act on
   * scales whose tokens are given.
   */
  readonly reruns?: readonly number[] | ((acted: number) => readonly number[]);
}

/** Somebody who looks at lanes, as far as it costs something. */
export interface Look extends Pick<Verifier, "name" | "smallestEdge" | "flops"> {
  /** Whether it needs their pictures; `false` for who goes by what the model itself knows. */
  readonly pictures?: boolean;
  /** Operations for each lane after a scale, where they depend on it; instead of `flops`. */
  flopsAfter?(schedule: Schedule, scale: number): number | undefined;
}

/**
 * The scales on which a hook acts with a model, as it names them, or `undefined` for all.
 *
 * @example
 * ```ts
 * import { scalesOf } from "./hook.ts";
 * import { loadModel, varScaling } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * assertEquals(scalesOf(varScaling({ scale: 1 }), model), [1]);
 * assertEquals(scalesOf({ name: "looks at everything" }, model), undefined);
 * ```
 */
export function scalesOf({ scales }: ScaleHook, model: Model): readonly number[] | undefined {
  return typeof scales === "function" ? scales(model) : scales;
}
