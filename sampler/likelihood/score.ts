/**
 * How likely a model finds token maps that are there already, under labels: what a picture's encoding, or one
 * that was generated, is worth to it. Choosing among labels by it is left to `classify.ts`.
 *
 * @module
 */

import { requireInteger, requireList, requireObject, requireOptions } from "../../kernels/arguments.ts";
import type { Label, ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import { MAX_COUNT } from "../../models/sampling.ts";
import type { Schedule, ScheduleRequest } from "../../models/schedule.ts";
import { requireTextFeatures, type TextFeatures } from "../../models/text/text_features.ts";
import { resolveGivenTokens, type TokenMaps } from "../given_tokens.ts";
import { scaleIndex } from "../scale_index.ts";
import { forceRows, requireEvidence, rowsTogether } from "./forced_rows.ts";

/** What says which maps a model has; the rest of a {@linkcode ScheduleRequest} is about drawing tokens. */
export type MapRequest = Pick<ScheduleRequest, "patchNumbers" | "size" | "published" | "familyOptions">;

/** Options of {@linkcode score}. */
export interface ScoreOptions extends MapRequest, Pick<ScheduleRequest, "cfg" | "guidance"> {
  /** The last scale that counts, negative from the end; that of the last map by default. */
  readonly until?: number | undefined;
  /** Rows, a picture under a label each, that run together; 16 by default, or as many as have room. */
  readonly batch?: number | undefined;
  /** Features of prompts that have been kept, for a model that takes texts; others it encodes. */
  readonly textFeatures?: TextFeatures | undefined;
  /** Ends the work before its next scale. */
  readonly signal?: AbortSignal | undefined;
}

/** Names of options that say which maps there are. */
export const MAP_OPTIONS = [
  "patchNumbers",
  "size",
  "published",
  "familyOptions",
] as const satisfies (keyof MapRequest)[];

const OPTIONS = [
  ...MAP_OPTIONS,
  "cfg",
  "guidance",
  "until",
  "batch",
  "textFeatures",
  "signal",
] as const satisfies (keyof ScoreOptions)[];

const ACTION = "score tokens";

/** What {@linkcode TokenScores} are made of. */
export interface TokenScoreFacts {
  /** Natural logarithms of probabilities, f32 [pictures, labels, scales]. */
  readonly logProbabilities: Float32Array<ArrayBuffer>;
  /** The labels, in the order in which they were given. */
  readonly labels: readonly ResolvedLabel[];
  /** Number of scales that were weighed. */
  readonly scales: number;
  /** Operations that it took. */
  readonly flops: number | undefined;
}

/**
 * How likely a model finds pictures under labels.
 *
 * @example
 * ```ts
 * import { TokenScores } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // One picture, two labels, two scales.
 * const scores = new TokenScores({
 *   logProbabilities: new Float32Array([-4, -30, -5, -40]),
 *   labels: [{ id: 0, name: "red cube" }, { id: 1, name: "blue cone" }],
 *   scales: 2,
 *   flops: undefined,
 * });
 * assertEquals([scores.of(0, 0), scores.of(0, 1)], [-34, -45]);
 * assertEquals(scores.of(0, 1, 1), -5); // by the first scale alone
 * ```
 */
export class TokenScores implements TokenScoreFacts {
  /**
   * Natural logarithms of probabilities, in nats, f32 [pictures, labels, scales]: of all tokens of a scale
   * together, given the scales before and the label.
   */
  readonly logProbabilities: Float32Array<ArrayBuffer>;
  /** Number of pictures. */
  readonly pictures: number;
  /** The labels, in the order in which they were given. */
  readonly labels: readonly ResolvedLabel[];
  /** Number of scales that were weighed. */
  readonly scales: number;
  /**
   * Operations of the transformer that it took, as a generation's trace counts them; `undefined` if the
   * model's family cannot tell.
   */
  readonly flops: number | undefined;

  /** Scores are made by {@linkcode score}. @param facts What they are made of. */
  constructor({ logProbabilities, labels, scales, flops }: TokenScoreFacts) {
    this.logProbabilities = logProbabilities;
    this.labels = labels;
    this.scales = scales;
    this.flops = flops;
    this.pictures = logProbabilities.length / (labels.length * scales);
  }

  /**
   * The logarithm of the probability of a picture under a label: the sum over scales.
   *
   * @param picture Place of the picture.
   * @param label Place of the label.
   * @param scales How many of the scales count, from the coarsest on; all by default.
   * @throws {RangeError} If there is no such picture, label or scale.
   */
  of(picture: number, label: number, scales: number = this.scales): number {
    const action = "tell a score";
    requireInteger(picture, "picture", action, { min: 0, max: this.pictures - 1 });
    requireInteger(label, "label", action, { min: 0, max: this.labels.length - 1 });
    requireInteger(scales, "scales", action, { min: 0, max: this.scales });
    const first = (picture * this.labels.length + label) * this.scales;
    return this.logProbabilities.subarray(first, first + scales).reduce((sum, value) => sum + value, 0);
  }
}

/**
 * Tells how likely a model finds token maps under labels: it is fed the tokens scale by scale, as if it had
 * drawn them, and log p(tokens of the scale | scales before, label) is weighed by its logits as they are.
 * Temperature and truncation have no part in it. With `cfg` the logits are guided first: then it is how
 * likely guided drawing, with nothing truncated, gives these tokens.
 *
 * All pictures are weighed under all labels, those of a picture side by side in a batch, and all of it comes
 * back in one readback. Right to about 1e-6 of a sum, by the logits that the model computes.
 *
 * @param model A loaded model.
 * @param tokens Of each picture its maps, coarse to fine, as many for one as for the other, each row-major as
 * in the `tokens` of a generated or reconstructed image. There may be fewer than the model has scales.
 * @param labels One label or several; `null` is no condition, so that the difference to it is the model's own
 * evidence for a label.
 * @param options How.
 * @throws {TypeError} If an option is unknown or of the wrong type, or tokens are no lists of maps.
 * @throws {RangeError} If a value is out of range, the model has no such class, maps are not those of its
 * scales, or its tokens tell no probability.
 *
 * @example
 * ```ts
 * import { generate, loadModel, score } from "../../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await generate(model, { labels: "red torus", seed: 7 });
 * const maps = images.map((image) => image.tokens);
 * const scores = await score(model, maps, ["red torus", "red cube", null]);
 * assertEquals([scores.pictures, scores.labels.length, scores.scales], [1, 3, 6]);
 * const [torus, cube, anything] = scores.labels.map((_, label) => scores.of(0, label));
 * assert(torus! > cube! && torus! > anything!);
 * ```
 */
export async function score(
  model: Model,
  tokens: readonly TokenMaps[],
  labels: Label | readonly Label[],
  options: ScoreOptions = {},
): Promise<TokenScores> {
  requireObject(options, "the options", ACTION);
  requireOptions(options, OPTIONS, ACTION);
  const { until, textFeatures, signal } = options;
  requireEvidence(model);
  const schedule = scoringSchedule(model, options);
  const { scales } = schedule;
  requireList(tokens, "tokens", ACTION, "a list of token maps for each picture");
  requireInteger(tokens.length, "the number of pictures", ACTION, { min: 1 });
  const given = until === undefined ? undefined : scaleIndex(until, scales.length, "until", ACTION);
  const maps = resolveGivenTokens(
    given === undefined ? tokens : tokens.map((maps, i) => upTo(maps, given, `tokens[${i}]`)),
    { model, schedule, until: given ?? scales.length - 1, images: tokens.length, action: ACTION },
  );
  if (given === undefined) requireInteger(maps.scales, "the number of maps", ACTION, { min: 1 });
  const resolved = resolveScoredLabels(model, labels, ACTION);
  const rows = tokens.flatMap((_, picture) => resolved.map((label) => ({ picture, label })));
  const { values, flops } = await forceRows({
    ...{ model, schedule, given: maps, rows, signal, until: maps.scales - 1 },
    batch: requireRows(model, schedule, options, ACTION),
    textFeatures: requireFeatures(model, textFeatures, ACTION),
  });
  return new TokenScores({ logProbabilities: values, labels: resolved, scales: maps.scales, flops });
}

/** The maps up to a scale. */
function upTo(maps: TokenMaps, until: number, name: string): TokenMaps {
  requireList(maps as readonly unknown[], name, ACTION, "a list of token maps");
  if (maps.length > until) return maps.slice(0, until + 1);
  throw new RangeError(
    `Cannot ${ACTION} as ${name} must hold at least ${until + 1} maps: current number is ${maps.length}`,
  );
}

/** The schedule of scoring: unguided, unless something else is asked for. */
export function scoringSchedule(
  model: Model,
  options: MapRequest & Pick<ScheduleRequest, "cfg" | "guidance">,
): Schedule {
  const asked = Object.fromEntries(
    ([...MAP_OPTIONS, "cfg", "guidance"] as const).map((name) => [name, options[name]])
      .filter(([, value]) => value !== undefined),
  );
  const guided = "cfg" in asked || "guidance" in asked;
  return model.schedule({ ...(guided ? {} : { cfg: 1, guidance: "constant" }), ...asked });
}

/**
 * Understands the labels that tokens are scored under.
 *
 * @throws {RangeError} If there are none.
 */
export function resolveScoredLabels(
  model: Model,
  labels: Label | readonly Label[],
  action: string,
): readonly ResolvedLabel[] {
  const list = Array.isArray(labels) ? labels as readonly Label[] : [labels as Label];
  requireInteger(list.length, "the number of labels", action, { min: 1 });
  return list.map((label) => model.resolveLabel(label));
}

/** Checks how many rows are to run together. */
export function requireRows(
  model: Model,
  schedule: Schedule,
  { batch }: Pick<ScoreOptions, "batch">,
  action: string,
): number {
  if (batch !== undefined) requireInteger(batch, "batch", action, { min: 1, max: MAX_COUNT });
  return rowsTogether(model, schedule, batch);
}

/**
 * Checks features of prompts.
 *
 * @throws {TypeError} If they are none, or the model takes no texts.
 */
export function requireFeatures(
  model: Model,
  textFeatures: TextFeatures | undefined,
  action: string,
): TextFeatures | undefined {
  if (textFeatures === undefined) return undefined;
  requireTextFeatures(textFeatures, "textFeatures", action);
  if (model.requireTextFeatures === undefined) {
    throw new TypeError(
      `Cannot ${action} with textFeatures as the model "${model.name}" takes no texts: leave them out`,
    );
  }
  model.requireTextFeatures(textFeatures);
  return textFeatures;
}
