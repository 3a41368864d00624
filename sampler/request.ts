/**
 * What a person asks for, checked and completed: the model understands the labels and makes the schedule of
 * scales, every option gets its value, and whatever cannot be done is refused before anything runs.
 *
 * @module
 */

import {
  mustBe,
  requireBoolean,
  requireFunction,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
} from "../kernels/arguments.ts";
import { type Seed, seedWords, threefry } from "../kernels/exact/threefry.ts";
import type { Label, ResolvedLabel } from "../models/label.ts";
import type { Model } from "../models/model.ts";
import { MAX_COUNT, SCHEDULE_OPTIONS } from "../models/sampling.ts";
import type {
  BatchLimit,
  GuidanceFormula,
  PerScale,
  PictureSize,
  Schedule,
  ScheduleRequest,
} from "../models/schedule.ts";
import { requireTextFeatures, type TextFeatures } from "../models/text/text_features.ts";
import { type EditRequest, type ResolvedEdit, resolveEdit } from "./editing/edit.ts";
import { type GivenTokens, resolveGivenTokens, type TokenMaps } from "./given_tokens.ts";
import { type ScaleHook, scalesOf } from "./hook.ts";
import { scaleIndex } from "./scale_index.ts";
import type { SamplingSettings } from "./settings.ts";

/**
 * What to generate and how. Every field is optional; how tokens are drawn unless it says so is the model's
 * matter, `model.defaults`.
 */
export interface GenerateRequest {
  /** One class or prompt, or several; without it, classes are drawn at random from the seed. */
  labels?: Label | readonly Label[];
  /** Images per label; 1 by default. */
  count?: number;
  /**
   * The number by which the random numbers know each image, and as which it comes back: 0, 1, 2, … by
   * default. So `indices: [5]` makes image 5 of a large request alone. Images of the same number share their
   * noise, as image i of every class does in the published script. One per image, integers from 0 to 2^24 -
   * 1; images come in the order of the request, whatever their numbers are.
   */
  indices?: readonly number[];
  /**
   * Seed, an integer from 0 to 2^64 - 1; 0 by default. Image i depends on the seed and on i alone, not on the
   * batch it is in.
   */
  seed?: number | bigint;
  /**
   * Strength of classifier-free guidance: at weight t the logits are
   * `conditional + t * (conditional - unconditional)`. A list gives each scale its own, coarse to fine;
   * numbers beyond the last scale are not used.
   */
  cfg?: PerScale;
  /**
   * How cfg becomes the weight of each scale. `"ramp"`: it grows from 0 to cfg, so that cfg 0 is off, and
   * twice as fast. `"constant"`: it is `cfg - 1` on every scale, so that cfg 1 is off.
   */
  guidance?: GuidanceFormula;
  /** Draw from the k likeliest tokens; 0 is off. A list gives each scale its own, as with `cfg`. */
  topK?: PerScale;
  /** Draw from the likeliest tokens that make up this probability; 0 is off. Lists as with `cfg`. */
  topP?: PerScale;
  /**
   * Draw only from tokens with at least this share of the largest probability; 0 is off. Lists as with `cfg`.
   */
  minP?: PerScale;
  /**
   * What logits are divided by before drawing; 0 always takes the likeliest token. A list gives each scale
   * its own, as with `cfg`.
   */
  temperature?: PerScale;
  /** Sides of the token maps, coarse to fine, for a model that can follow others than its own. */
  patchNumbers?: readonly number[] | undefined;
  /** Size of the pictures, for a model that can paint several; a number is a square's. */
  size?: number | PictureSize | undefined;
  /** Do what the released code of the model's family does, where something else is done by default. */
  published?: boolean;
  /** Options that only the model's family has, by name. */
  familyOptions?: Readonly<Record<string, unknown>>;
  /**
   * Mix vectors of tokens instead of taking one's, for smoother pictures (VAR's `more_smooth`), where the
   * model can; not for measuring.
   */
  moreSmooth?: boolean;
  /**
   * Images that run together; the images do not depend on it. `"auto"` takes as many as fit into `memory`,
   * from 1 to 64, and is the default where that is given; otherwise the default is 8, or as many as the
   * model's `memoryLimit` has room for. Where the device's limits admit fewer (`Schedule.batchLimit`), fewer
   * run together, and `trace.batchLimit` says so.
   */
  batch?: number | "auto";
  /** Memory in bytes for the model's weights and one batch, which `batch: "auto"` goes by. */
  memory?: number;
  /**
   * Features of prompts that have been kept, for a model that takes texts; those of others it encodes before
   * the first batch.
   */
  textFeatures?: TextFeatures | undefined;
  /**
   * Tokens of the first scales, which are then not drawn: of each image a list of maps, coarse to fine, as
   * many for one as for the other, each row-major as in the `tokens` of a generated image; or a single such
   * list for all. Hooks do not act on these scales, as nothing is left to choose there.
   */
  tokens?: readonly TokenMaps[] | undefined;
  /**
   * The last scale that is painted, negative from the end; the finest by default. The picture is what the
   * scales up to it show.
   */
  until?: number | undefined;
  /** A picture of which a part is generated anew; without it, all of each image is generated. */
  edit?: EditRequest;
  /** What acts between the scales, in this order. */
  hooks?: readonly ScaleHook[];
  /**
   * Scales after which {@linkcode generate.stream} decodes a preview, negative ones from the end; each costs
   * a decode and a readback.
   */
  previews?: boolean | readonly number[];
  /** Ends the generation before its next scale. */
  signal?: AbortSignal | undefined;
}

/** A {@linkcode GenerateRequest} with nothing left open. */
export interface ResolvedRequest extends SamplingSettings {
  /** The scales. */
  readonly schedule: Schedule;
  /** Features of prompts that are at hand. */
  readonly textFeatures: TextFeatures | undefined;
  /** Tokens of the first scales that are given. */
  readonly given: GivenTokens;
  /** Index of the last scale that is painted. */
  readonly until: number;
  /** What is edited. */
  readonly edit: ResolvedEdit | undefined;
  /** What makes batches smaller than was asked for. */
  readonly batchLimit?: BatchLimit;
  /** Hooks in order. */
  readonly hooks: readonly ScaleHook[];
  /** Scales on which each of them acts, or `undefined` for all. */
  readonly hookScales: readonly (readonly number[] | undefined)[];
  /** Scales with a preview. */
  readonly previews: ReadonlySet<number>;
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "labels",
  "count",
  "indices",
  "seed",
  ...SCHEDULE_OPTIONS,
  "moreSmooth",
  "batch",
  "memory",
  "textFeatures",
  "tokens",
  "until",
  "edit",
  "hooks",
  "previews",
  "signal",
] as const satisfies (keyof GenerateRequest)[];

/** Lane numbers share a 32-bit word with image numbers. */
export const MAX_LANES = 256;
/** Images of one request, and numbers that they may have; see {@linkcode MAX_LANES}. */
export const MAX_IMAGES = 2 ** 24;

/** Images that run together unless something else is asked for. */
const DEFAULT_BATCH = 8;
/** More at once would make nothing faster. */
const MAX_AUTO_BATCH = 64;

/**
 * Counter of the classes of images without a label, where other draws have scale and purpose: beyond any
 * scale.
 */
const CLASS_STREAM = 0xffffffff;

/**
 * Checks and completes a request.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type, or the model needs a prompt and there is
 * none.
 * @throws {RangeError} If a value is out of range, a label is no class of the model, or the model cannot do
 * what is asked.
 *
 * @example
 * ```ts
 * import { loadModel, resolveRequest } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { labels, seed, schedule } = resolveRequest(model, { labels: "red torus" });
 * assertEquals([labels.map(({ name }) => name), seed], [["red torus"], 0]);
 * assertEquals(schedule.scales.length, model.patchNumbers.length);
 * ```
 */
export function resolveRequest(model: Model, request: GenerateRequest): ResolvedRequest {
  if (typeof model?.start !== "function") {
    throw new TypeError(mustBe("what loadModel() resolves to", model, "the model", "generate"));
  }
  requireObject(request, "the request", "generate");
  requireOptions(request, OPTIONS, "generate");
  const { hooks = [], moreSmooth = false, seed = 0, textFeatures, signal } = request;
  const count = requireInteger(request.count ?? 1, "count", "generate", { min: 1, max: MAX_COUNT });
  const asked = SCHEDULE_OPTIONS.filter((name) => request[name] !== undefined);
  const schedule = model.schedule(
    Object.fromEntries(asked.map((name) => [name, request[name]])) as ScheduleRequest,
  );
  const wanted = resolveBatch(model, schedule, request);
  requireBoolean(moreSmooth, "moreSmooth", "generate");
  if (moreSmooth && model.tokens.mix === undefined) {
    throw new RangeError(
      `Cannot generate with moreSmooth as the model "${model.name}" does not take mixed vectors`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(mustBe("an AbortSignal", signal, "signal", "generate"));
  }
  if (textFeatures !== undefined) requireFeaturesOf(model, textFeatures);
  const words = seedWords(seed);
  const indices = resolveIndices(request, count);
  const labels = resolveLabels(model, request, { count, indices, seed: words });
  const edit = request.edit === undefined ? undefined : resolveEdit(schedule, request.edit, labels.length);
  const until = request.until === undefined
    ? schedule.scales.length - 1
    : scaleIndex(request.until, schedule.scales.length, "until", "generate");
  const given = resolveGivenTokens(request.tokens, { model, schedule, until, images: labels.length });
  if (edit !== undefined && given.scales > 0) {
    throw new TypeError(
      "Cannot generate as tokens and edit exclude each other: an edit's tokens come from its picture",
    );
  }
  const { hookScales, lanes } = checkHooks(model, hooks, schedule);
  const shadowed = hooks.find(({ shadows = 0 }) => shadows > 0);
  if (moreSmooth && shadowed !== undefined) {
    throw new RangeError(
      `Cannot generate with moreSmooth and the hook "${shadowed.name}" as what it runs beside the batch is fed tokens, not mixed vectors`,
    );
  }
  const { batchLimit } = schedule;
  const together = Math.min(wanted, labels.length * lanes);
  const limited = batchLimit !== undefined && Math.max(together, lanes) > batchLimit.images;
  if (limited) requireDivisible(hooks, lanes, { batch: request.batch, limit: batchLimit });
  const previews = resolvePreviews(schedule, request.previews ?? false);
  return {
    ...schedule.settings,
    labels,
    indices,
    seed,
    seedWords: words,
    moreSmooth,
    batch: limited ? batchLimit.images : wanted,
    ...(limited && { batchLimit }),
    schedule,
    textFeatures,
    given,
    until,
    edit,
    hooks,
    hookScales,
    previews,
    lanes,
    signal,
  };
}

function requireFeaturesOf(model: Model, textFeatures: TextFeatures): void {
  requireTextFeatures(textFeatures, "textFeatures", "generate");
  if (model.requireTextFeatures === undefined) {
    throw new TypeError(
      `Cannot generate with textFeatures as the model "${model.name}" takes no texts: leave them out`,
    );
  }
  model.requireTextFeatures(textFeatures);
}

/** Images that run together, as given or as memory allows. */
function resolveBatch(model: Model, schedule: Schedule, { batch, memory, hooks }: GenerateRequest): number {
  // What runs beside a batch keeps as much of each image as the batch does; wrong hooks are told later.
  const together = 1 +
    (Array.isArray(hooks) ? hooks : []).reduce((sum, hook) => sum + (hook?.shadows ?? 0), 0);
  const fitting = (bytes: number, most: number): number => {
    const images = Math.floor((bytes - model.weightBytes) / (together * schedule.imageBytes));
    return Math.min(Math.max(1, images), most);
  };
  if (batch === undefined && memory === undefined) {
    return fitting(model.memoryLimit ?? Infinity, DEFAULT_BATCH);
  }
  if (typeof batch === "string" ? batch !== "auto" : memory === undefined) {
    return requireInteger(batch as number, "batch", "generate", { min: 1, max: MAX_COUNT });
  }
  if (memory === undefined || typeof batch === "number") {
    throw new RangeError(
      `Cannot generate as memory and batch: "auto" go together: current values are ${memory} and ${batch}`,
    );
  }
  requireNumber(memory, "memory", "generate", { min: 1, max: Number.MAX_SAFE_INTEGER });
  return fitting(memory, MAX_AUTO_BATCH);
}

/**
 * Checks that a batch may be divided: an image with all its lanes must be admitted, and images that depend on
 * those beside them stay together.
 */
function requireDivisible(
  hooks: readonly ScaleHook[],
  lanes: number,
  { batch, limit }: { readonly batch: GenerateRequest["batch"]; readonly limit: BatchLimit },
): void {
  const wanted = `at most ${limit.images}, since ${limit.reason}`;
  if (lanes > limit.images) {
    throw new RangeError(mustBe(wanted, lanes, "the number of lanes of an image", "generate"));
  }
  const coupling = hooks.find(({ coupled }) => coupled);
  if (coupling === undefined || typeof batch !== "number") return;
  const name = `batch, which the hook "${coupling.name}" does not let divide,`;
  throw new RangeError(mustBe(wanted, batch, name, "generate"));
}

/** The numbers of the images, as given or 0, 1, 2, … */
function resolveIndices({ labels, indices }: GenerateRequest, count: number): readonly number[] {
  const images = count * (Array.isArray(labels) ? labels.length : 1);
  if (images > MAX_IMAGES) {
    throw new RangeError(
      `Cannot generate more than ${MAX_IMAGES} images at once: the request is for ${images}`,
    );
  }
  if (indices === undefined) return Array.from({ length: images }, (_, i) => i);
  for (const index of requireList(indices, "indices", "generate", "a list of numbers")) {
    requireInteger(index, "an index", "generate", { min: 0, max: MAX_IMAGES - 1 });
  }
  if (indices.length !== images) {
    throw new RangeError(
      `Cannot generate as indices must hold one number for each of ${images} images: current number is ${indices.length}`,
    );
  }
  return [...indices as readonly number[]];
}

function resolveLabels(
  model: Model,
  { labels }: GenerateRequest,
  drawn: { readonly count: number; readonly indices: readonly number[]; readonly seed: Seed },
): ResolvedLabel[] {
  const { count, indices, seed } = drawn;
  if (labels === undefined) {
    const { labels: known } = model;
    if (known.kind === "texts") {
      throw new TypeError(
        `Cannot generate as labels must hold a prompt: the model "${model.name}" has no classes to draw from`,
      );
    }
    return indices.map((index) => {
      const [word] = threefry(seed, [index, CLASS_STREAM]);
      return model.resolveLabel(Math.floor(word / 2 ** 32 * known.count));
    });
  }
  const list = Array.isArray(labels) ? labels as readonly Label[] : [labels as Label];
  if (list.length === 0) {
    throw new RangeError("Cannot generate as labels must not be empty: current value is []");
  }
  return list.flatMap((label) => new Array<ResolvedLabel>(count).fill(model.resolveLabel(label)));
}

function checkHooks(
  model: Model,
  hooks: readonly ScaleHook[],
  schedule: Schedule,
): Pick<ResolvedRequest, "hookScales" | "lanes"> {
  requireList(hooks, "hooks", "generate");
  const { length: scales } = schedule.scales;
  let lanes = 1;
  const hookScales: (readonly number[] | undefined)[] = [];
  for (const hook of hooks) {
    if (typeof hook?.name !== "string") {
      throw new TypeError(mustBe("an object with a name", hook, "a hook", "generate"));
    }
    const parts = ["combine", "guide", "choose", "gather"] as const;
    if (parts.every((part) => hook[part] === undefined)) {
      throw new TypeError(
        `Cannot generate as the hook "${hook.name}" has none of combine, guide, choose and gather`,
      );
    }
    for (const part of parts) {
      const value = hook[part];
      if (value !== undefined) requireFunction(value, `${part} of the hook "${hook.name}"`, "generate");
    }
    hookScales.push(resolveHookScales(hook, model, scales));
    hook.plan?.(schedule, model);
    const wanted = hook.lanes ?? 1;
    requireInteger(wanted, `lanes of the hook "${hook.name}"`, "generate", { min: 1, max: MAX_LANES });
    requireInteger(hook.shadows ?? 0, `shadows of the hook "${hook.name}"`, "generate", { min: 0, max: 1 });
    lanes = Math.max(lanes, wanted);
  }
  requireOneCombination(hooks, hookScales, scales);
  const starter = hooks.find((hook) => (hook.lanes ?? 1) > 1);
  if (starter !== undefined && hooks.every(({ gather }) => gather === undefined)) {
    throw new TypeError(
      `Cannot generate as the hook "${starter.name}" starts ${starter.lanes} lanes of each image and no hook has a gather to thin them: for ${starter.lanes} pictures of each label there is count`,
    );
  }
  return { hookScales, lanes };
}

/** Two hooks that combine the logits of a scale would undo each other. */
function requireOneCombination(
  hooks: readonly ScaleHook[],
  hookScales: readonly (readonly number[] | undefined)[],
  scales: number,
): void {
  for (let scale = 0; scale < scales; scale++) {
    const names = hooks.filter(({ combine }, i) => {
      return combine !== undefined && (hookScales[i]?.includes(scale) ?? true);
    }).map(({ name }) => `"${name}"`);
    if (names.length < 2) continue;
    throw new TypeError(
      `Cannot generate as one hook may combine the logits of a scale: ${
        names.join(" and ")
      } do on scale ${scale}`,
    );
  }
}

/** The scales on which a hook acts, or `undefined` for all. */
function resolveHookScales(hook: ScaleHook, model: Model, scales: number): readonly number[] | undefined {
  const wanted = scalesOf(hook, model);
  if (wanted === undefined) return undefined;
  return requireList(wanted, `scales of the hook "${hook.name}"`, "generate").map((scale) => {
    return scaleIndex(scale, scales, `a scale of the hook "${hook.name}"`, "generate");
  });
}

function resolvePreviews(
  { scales: { length: scales } }: Schedule,
  previews: boolean | readonly number[],
): ReadonlySet<number> {
  if (typeof previews === "boolean") return new Set(Array(previews ? scales : 0).keys());
  const wanted = requireList(previews, "previews", "generate", "a boolean or a list of scales");
  return new Set(wanted.map((scale) => scaleIndex(scale, scales, "each scale of previews", "generate")));
}
