/**
 * Checks of the sizes that a model folder's description gives, and of the depth that somebody asks for. Which
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
 * Checks that a model has the depth that was asked for.
 *
 * @param model What it is called, and its depth.
 * @param depth The depth that it must have; any by default.
 * @param action What cannot be done otherwise, for the message.
 * @throws {RangeError} If it has another one.
 */
export function requireDepth(
  model: { readonly name: string; readonly depth: number },
  depth: number | undefined,
  action: string,
): void {
  if (depth === undefined || depth === model.depth) return;
  throw new RangeError(
    `Cannot ${action} the model "${model.name}" as depth must be its own, ${model.depth}: current value is ${depth}`,
  );
}
