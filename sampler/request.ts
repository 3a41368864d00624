/**
 * What a person asks for, checked and completed: labels become class numbers, every option gets its value, and whatever
 * cannot be done is refused before anything runs.
 *
 * @module
 */

import { requireOptions } from "../kernels/arguments.ts";
import { type Seed, seedWords, threefry } from "../kernels/threefry.ts";
import type { Model } from "../models/model.ts";
import { type EditRequest, type ResolvedEdit, resolveEdit } from "./edit.ts";
import type { ScaleHook } from "./hook.ts";
import type { ResolvedLabel, SamplingSettings } from "./settings.ts";

/** A class by number or name, or `null` for the null class, which means "anything". */
export type Label = number | string | null;

/** What to generate and how. Every field is optional. */
export interface GenerateRequest {
  /** One class or several; without it, classes are drawn at random from the seed. */
  labels?: Label | readonly Label[];
  /** Images per label; 1 by default. */
  count?: number;
  /**
   * The number by which the random numbers know each image, and as which it comes back: 0, 1, 2, … by default. So `indices: [5]` makes
   * image 5 of a large request alone. Images of the same number share their noise, as image i of every class does in the published
   * script. One per image, integers from 0 to 2^24 - 1; images come in the order of the request, whatever their numbers are.
   */
  indices?: readonly number[];
  /** Seed, an integer from 0 to 2^64 - 1; 0 by default. Image i depends on the seed and on i alone, not on the batch it is in. */
  seed?: number | bigint;
  /**
   * Strength of classifier-free guidance; 1.5 by default. It grows over the scales, from 0 at the first to this at the last, as in
   * VAR: at weight t the logits are `conditional + t * (conditional - unconditional)`. 0 is off and twice as fast.
   */
  cfg?: number;
  /** Draw from the k likeliest tokens; 900 by default, 0 is off. */
  topK?: number;
  /** Draw from the likeliest tokens that make up this probability; 0.96 by default, 0 is off. */
  topP?: number;
  /** Draw only from tokens with at least this share of the largest probability; 0 is off (default). */
  minP?: number;
  /** What logits are divided by before drawing; 1 by default, 0 always takes the likeliest token. */
  temperature?: number;
  /** Mix code vectors instead of drawing one, for smoother pictures (VAR's `more_smooth`); not for measuring. */
  moreSmooth?: boolean;
  /**
   * Images that run together; the images do not depend on it. `"auto"` takes as many as fit into `memory`, from 1 to 64, and is the
   * default where that is given; otherwise the default is 8.
   */
  batch?: number | "auto";
  /** Memory in bytes for the model's weights and one batch, which `batch: "auto"` goes by. */
  memory?: number;
  /** A picture of which a part is generated anew; without it, all of each image is generated. */
  edit?: EditRequest;
  /** What acts between the scales, in this order. */
  hooks?: readonly ScaleHook[];
  /** Scales after which {@linkcode generate.stream} decodes a preview; each costs a decode and a readback. */
  previews?: boolean | readonly number[];
  /** Ends the generation before its next scale. */
  signal?: AbortSignal | undefined;
}

/** A {@linkcode GenerateRequest} with nothing left open. */
export interface ResolvedRequest extends SamplingSettings {
  /** What is edited. */
  readonly edit: ResolvedEdit | undefined;
  /** Hooks in order. */
  readonly hooks: readonly ScaleHook[];
  /** Scales with a preview. */
  readonly previews: ReadonlySet<number>;
}

/** Names of all options, to tell a misspelt one. */
const OPTIONS = [
  "labels",
  "count",
  "indices",
  "seed",
  "cfg",
  "topK",
  "topP",
  "minP",
  "temperature",
  "moreSmooth",
  "batch",
  "memory",
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

/** Counter of the classes of images without a label, where other draws have scale and purpose: beyond any scale. */
const CLASS_STREAM = 0xffffffff;

/**
 * Checks and completes a request.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a label is no class of the model.
 */
export function resolveRequest(model: Model, request: GenerateRequest): ResolvedRequest {
  if (typeof model?.start !== "function") {
    throw new TypeError(
      `Cannot generate as the model must be what loadModel() resolves to: current value is ${String(model)}`,
    );
  }
  if (typeof request !== "object" || request === null) {
    throw new TypeError(
      `Cannot generate as the request must be an object: current value is ${String(request)}`,
    );
  }
  requireOptions(request, OPTIONS, "generate");
  const { hooks = [], moreSmooth = false, seed = 0, signal } = request;
  const count = integer("count", request.count ?? 1, 1);
  const batch = resolveBatch(model, request);
  const topK = integer("topK", request.topK ?? 900, 0);
  const topP = number("topP", request.topP ?? 0.96, 0, 1);
  const minP = number("minP", request.minP ?? 0, 0, 1);
  const cfg = number("cfg", request.cfg ?? 1.5, 0, 1e6);
  const temperature = number("temperature", request.temperature ?? 1, 0, 1e6);
  if (temperature !== 0 && temperature < 1e-6) {
    throw new RangeError(
      `Cannot generate as temperature must be 0 or at least 1e-6: current value is ${temperature}`,
    );
  }
  if (typeof moreSmooth !== "boolean") {
    throw new TypeError(
      `Cannot generate as moreSmooth must be a boolean: current value is ${String(moreSmooth)}`,
    );
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError(
      `Cannot generate as signal must be an AbortSignal: current value is ${String(signal)}`,
    );
  }
  const words = seedWords(seed);
  const indices = resolveIndices(request, count);
  const labels = resolveLabels(model, request, { count, indices, seed: words });
  const edit = request.edit === undefined ? undefined : resolveEdit(model, request.edit, labels.length);
  const lanes = checkHooks(model, hooks);
  const previews = resolvePreviews(model, request.previews ?? false);
  return {
    labels,
    indices,
    seed,
    seedWords: words,
    cfg,
    topK,
    topP,
    minP,
    temperature,
    moreSmooth,
    batch,
    edit,
    hooks,
    previews,
    lanes,
    signal,
  };
}

function number(name: string, value: number, min: number, max: number): number {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot generate as ${name} must be a number: current value is ${Deno.inspect(value)}`,
    );
  }
  if (!(value >= min && value <= max)) {
    throw new RangeError(
      `Cannot generate as ${name} must be from ${min} to ${max}: current value is ${value}`,
    );
  }
  return value;
}

function integer(name: string, value: number, min: number): number {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot generate as ${name} must be a number: current value is ${Deno.inspect(value)}`,
    );
  }
  if (!Number.isSafeInteger(value) || value < min || value >= 2 ** 31) {
    throw new RangeError(
      `Cannot generate as ${name} must be an integer >= ${min}: current value is ${value}`,
    );
  }
  return value;
}

/** Images that run together, as given or as memory allows. */
function resolveBatch(model: Model, { batch, memory }: GenerateRequest): number {
  if (typeof batch === "string" ? batch !== "auto" : memory === undefined) {
    return integer("batch", (batch ?? DEFAULT_BATCH) as number, 1);
  }
  if (memory === undefined || typeof batch === "number") {
    throw new RangeError(
      `Cannot generate as memory and batch: "auto" go together: current values are ${memory} and ${batch}`,
    );
  }
  number("memory", memory, 1, Number.MAX_SAFE_INTEGER);
  const { weights, image } = model.memory;
  return Math.min(Math.max(1, Math.floor((memory - weights) / image)), MAX_AUTO_BATCH);
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
  if (!Array.isArray(indices)) {
    throw new TypeError(
      `Cannot generate as indices must be a list of numbers: current value is ${Deno.inspect(indices)}`,
    );
  }
  for (const index of indices as readonly number[]) {
    if (!Number.isInteger(index) || index < 0 || index >= MAX_IMAGES) {
      throw new RangeError(
        `Cannot generate as an index must be an integer from 0 to ${MAX_IMAGES - 1}: current value is ${
          Deno.inspect(index)
        }`,
      );
    }
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
    return indices.map((index) => {
      const [word] = threefry(seed, [index, CLASS_STREAM]);
      return named(model, Math.floor(word / 2 ** 32 * model.classes));
    });
  }
  const list = Array.isArray(labels) ? labels as readonly Label[] : [labels as Label];
  if (list.length === 0) {
    throw new RangeError("Cannot generate as labels must not be empty: current value is []");
  }
  return list.flatMap((label) => new Array<ResolvedLabel>(count).fill(resolveLabel(model, label)));
}

function named(model: Model, id: number): ResolvedLabel {
  return { id, name: model.classNames[id] ?? `class ${id}` };
}

/**
 * Finds the class that a label means.
 *
 * @throws {TypeError} If it is neither number, text nor `null`.
 * @throws {RangeError} If the model has no such class.
 */
export function resolveLabel(model: Model, label: Label): ResolvedLabel {
  if (label === null) return { id: null, name: "null class" };
  if (typeof label === "number") {
    if (!Number.isInteger(label) || label < 0 || label >= model.classes) {
      throw new RangeError(
        `Cannot generate as a label must be a class from 0 to ${
          model.classes - 1
        }: current value is ${label}`,
      );
    }
    return named(model, label);
  }
  if (typeof label !== "string") {
    throw new TypeError(
      `Cannot generate as a label must be a number or a name: current value is ${Deno.inspect(label)}`,
    );
  }
  const wanted = label.trim().toLowerCase();
  const exact = model.classNames.findIndex((name) => name.toLowerCase() === wanted);
  if (exact >= 0) return named(model, exact);
  if (/^\d+$/.test(wanted)) return resolveLabel(model, Number(wanted));
  const terms = wanted.split(/\s+/);
  const shared = (name: string): number => terms.filter((term) => name.toLowerCase().includes(term)).length;
  const near = model.classNames.filter((name) => shared(name) > 0).sort((a, b) => shared(b) - shared(a));
  const hint = model.classNames.length === 0
    ? "the model has no class names, use a number"
    : near.length > 0
    ? `did you mean ${near.slice(0, 3).map((name) => `"${name}"`).join(", ")}?`
    : `class names are like "${model.classNames[0]}"`;
  throw new RangeError(`Cannot find the class "${label}" in the model "${model.name}"; ${hint}`);
}

function checkHooks(model: Model, hooks: readonly ScaleHook[]): number {
  if (!Array.isArray(hooks)) {
    throw new TypeError(`Cannot generate as hooks must be a list: current value is ${String(hooks)}`);
  }
  let lanes = 1;
  for (const hook of hooks as readonly ScaleHook[]) {
    if (typeof hook?.name !== "string") {
      throw new TypeError(
        `Cannot generate as a hook must be an object with a name: current value is ${String(hook)}`,
      );
    }
    if (hook.guide === undefined && hook.choose === undefined && hook.gather === undefined) {
      throw new TypeError(`Cannot generate as the hook "${hook.name}" has none of guide, choose and gather`);
    }
    for (const part of ["guide", "choose", "gather"] as const) {
      const value: unknown = hook[part];
      if (value !== undefined && typeof value !== "function") {
        throw new TypeError(
          `Cannot generate as ${part} of the hook "${hook.name}" must be a function: current value is ${
            String(value)
          }`,
        );
      }
    }
    if (!Array.isArray(hook.scales ?? [])) {
      throw new TypeError(
        `Cannot generate as scales of the hook "${hook.name}" must be a list: current value is ${
          String(hook.scales)
        }`,
      );
    }
    for (const scale of hook.scales ?? []) {
      if (!Number.isInteger(scale) || scale < 0 || scale >= model.patchNumbers.length) {
        throw new RangeError(
          `Cannot generate as the hook "${hook.name}" acts on scale ${scale}: the model has scales 0 to ${
            model.patchNumbers.length - 1
          }`,
        );
      }
    }
    const wanted = hook.lanes ?? 1;
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX_LANES) {
      throw new RangeError(
        `Cannot generate as the lanes of the hook "${hook.name}" must be from 1 to ${MAX_LANES}: current value is ${wanted}`,
      );
    }
    lanes = Math.max(lanes, wanted);
  }
  return lanes;
}

function resolvePreviews(model: Model, previews: boolean | readonly number[]): ReadonlySet<number> {
  const scales = model.patchNumbers.length;
  if (typeof previews === "boolean") return new Set(previews ? model.patchNumbers.keys() : []);
  if (!Array.isArray(previews)) {
    throw new TypeError(
      `Cannot generate as previews must be a boolean or a list of scales: current value is ${
        String(previews)
      }`,
    );
  }
  for (const scale of previews as readonly number[]) {
    if (!Number.isInteger(scale) || scale < 0 || scale >= scales) {
      throw new RangeError(
        `Cannot generate as previews must be scales from 0 to ${scales - 1}: current value is ${scale}`,
      );
    }
  }
  return new Set(previews as readonly number[]);
}
