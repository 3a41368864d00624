/**
 * Checks of the sizes that a model folder's description gives, and of the size that somebody asks for. Which
 * sizes a family has is left to the families.
 *
 * @module
 */

import { ModelFileError } from "../model_file_error.ts";

/** Whether a value can be what it stands for. */
export type SizeCheck = (value: unknown) => boolean;

/** A size: an integer from 1 on. */
export const isSize: SizeCheck = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
/** Yes or no. */
export const isFlag: SizeCheck = (value) => typeof value === "boolean";
/** Sizes in order, at least one. */
export const isSizes: SizeCheck = (value) => Array.isArray(value) && value.length > 0 && value.every(isSize);

/** What {@linkcode requireSizes} says when it refuses. */
export interface SizesPlace {
  /** The description's path or URL. */
  readonly file: string;
  /** What the model is, with its article: `"a VAR model"`. */
  readonly model: string;
  /** Where the sizes stand in the description: `"config"`. */
  readonly path: string;
}

/**
 * Checks that all sizes are there.
 *
 * @param sizes What the description gives.
 * @param checks A check for each size, by name.
 * @throws {ModelFileError} Naming the first one that is missing or none.
 */
export function requireSizes<Sizes extends object>(
  sizes: unknown,
  checks: Readonly<Record<keyof Sizes, SizeCheck>>,
  { file, model, path }: SizesPlace,
): Sizes {
  const demand = (value: unknown, name: string, check: SizeCheck): void => {
    if (check(value)) return;
    throw new ModelFileError("Cannot use the sizes of the model", {
      file,
      expected: `${model}'s "${name}"`,
      found: JSON.stringify(value)?.slice(0, 80) ?? "nothing",
    });
  };
  demand(sizes, path, (value) => typeof value === "object" && value !== null);
  for (const [name, check] of Object.entries<SizeCheck>(checks)) {
    demand((sizes as Sizes)[name as keyof Sizes], `${path}.${name}`, check);
  }
  return sizes as Sizes;
}

/**
 * Size of a model as its family tells several apart: the depth of its transformer, or a name, `"2B"` for
 * example.
 */
export type ModelSize = number | string;

/**
 * The size that is asked for by one of two options, if any.
 *
 * @param action What cannot be done otherwise, for the message.
 * @throws {TypeError} If both are given.
 */
export function askedSize(
  { depth, size }: { readonly depth?: number | undefined; readonly size?: string | undefined },
  action: string,
): ModelSize | undefined {
  if (depth === undefined || size === undefined) return depth ?? size;
  throw new TypeError(`Cannot ${action} as depth and size exclude each other: a family knows one of them`);
}

/** A size in words: `depth 16`, or `size "2B"`. */
export function sizeInWords(size: ModelSize): string {
  return typeof size === "number" ? `depth ${size}` : `size "${size}"`;
}

/**
 * Checks that a model has the size that was asked for.
 *
 * @param model What it is called, and its size.
 * @param size The size that it must have; any by default.
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If it has another one.
 *
 * @example
 * ```ts
 * import { requireModelSize } from "./sizes.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const model = { name: "VAR-d16", size: 16 };
 * requireModelSize(model, 16, "load");
 * assertThrows(() => requireModelSize(model, 30, "load"), RangeError, "depth must be its own, 16");
 * ```
 */
export function requireModelSize(
  model: { readonly name: string; readonly size: ModelSize },
  size: ModelSize | undefined,
  action: string,
): void {
  if (size === undefined || size === model.size) return;
  const what = typeof model.size === "number" ? "depth" : "size";
  throw new RangeError(
    `Cannot ${action} the model "${model.name}" as ${what} must be its own, ${model.size}: current value is ${size}`,
  );
}
