/**
 * What a model is asked to paint: a class by number or name, or a text. How a text is understood is left to
 * the families that take one.
 *
 * @module
 */

/**
 * A class by number or name, a prompt for a model that takes texts, or `null` for no condition at all, which
 * means "anything".
 */
export type Label = number | string | null;

/** A label that a model has understood. */
export interface ResolvedLabel {
  /** Class number, or `null` if it is none. */
  readonly id: number | null;
  /** Name of the class or its number as text, or the prompt: what captions show. */
  readonly name: string;
  /** The prompt, for a model that takes texts. */
  readonly prompt?: string;
}

/**
 * Whether a label conditions nothing, so that guidance has nothing to guide to.
 *
 * @example
 * ```ts
 * import { isUnconditional } from "./label.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(isUnconditional({ id: null, name: "none" }), true);
 * assertEquals(isUnconditional({ id: 207, name: "golden retriever" }), false);
 * assertEquals(isUnconditional({ id: null, name: "a fox", prompt: "a fox" }), false);
 * ```
 */
export function isUnconditional({ id, prompt }: ResolvedLabel): boolean {
  return id === null && prompt === undefined;
}

/** A model whose labels are classes. */
export interface ClassModel {
  /** Its name, for messages. */
  readonly name: string;
  /** Number of classes. */
  readonly classes: number;
  /** Their names in order; empty where they have none. */
  readonly classNames: readonly string[];
}

/**
 * Finds the class that a label means.
 *
 * @throws {TypeError} If it is neither number, text nor `null`.
 * @throws {RangeError} If the model has no such class.
 *
 * @example
 * ```ts
 * import { resolveClass } from "./label.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const model = { name: "two", classes: 2, classNames: ["red cube", "blue cone"] };
 * assertEquals(resolveClass(model, "Blue cone"), { id: 1, name: "blue cone" });
 * assertEquals(resolveClass(model, null), { id: null, name: "null class" });
 * ```
 */
export function resolveClass(model: ClassModel, label: Label): ResolvedLabel {
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
  if (/^\d+$/.test(wanted)) return resolveClass(model, Number(wanted));
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

function named(model: ClassModel, id: number): ResolvedLabel {
  return { id, name: model.classNames[id] ?? `class ${id}` };
}
