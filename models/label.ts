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

/** What a model that knows classes may be asked for. */
export interface ClassLabels {
  /** Tells it from texts. */
  readonly kind: "classes";
  /** Number of classes, the null class not counted. */
  readonly count: number;
  /** Their names in order; empty where they have none. */
  readonly names: readonly string[];
}

/** What a model that takes texts may be asked for: anything. */
export interface TextLabels {
  /** Tells it from classes. */
  readonly kind: "texts";
}

/** Names of the classes; none where there are no classes, or nothing is known of them. */
export function classNamesOf(labels: ClassLabels | TextLabels | undefined): readonly string[] {
  return labels?.kind === "classes" ? labels.names : [];
}

/** A model whose labels are classes. */
export interface ClassModel {
  /** Its name, for messages. */
  readonly name: string;
  /** Its classes. */
  readonly labels: ClassLabels;
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
 * const labels = { kind: "classes", count: 2, names: ["red cube", "blue cone"] } as const;
 * const model = { name: "two", labels };
 * assertEquals(resolveClass(model, "Blue cone"), { id: 1, name: "blue cone" });
 * assertEquals(resolveClass(model, null), { id: null, name: "null class" });
 * ```
 */
export function resolveClass(model: ClassModel, label: Label): ResolvedLabel {
  if (label === null) return { id: null, name: "null class" };
  if (typeof label === "number") {
    if (!Number.isInteger(label) || label < 0 || label >= model.labels.count) {
      throw new RangeError(
        `Cannot generate as a label must be a class from 0 to ${
          model.labels.count - 1
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
  const { names } = model.labels;
  const exact = names.findIndex((name) => name.toLowerCase() === wanted);
  if (exact >= 0) return named(model, exact);
  if (/^\d+$/.test(wanted)) return resolveClass(model, Number(wanted));
  const terms = wanted.split(/\s+/);
  const shared = (name: string): number => terms.filter((term) => name.toLowerCase().includes(term)).length;
  const near = names.filter((name) => shared(name) > 0).sort((a, b) => shared(b) - shared(a));
  const hint = names.length === 0
    ? "the model has no class names, use a number"
    : near.length > 0
    ? `did you mean ${near.slice(0, 3).map((name) => `"${name}"`).join(", ")}?`
    : `class names are like "${names[0]}"`;
  throw new RangeError(`Cannot find the class "${label}" in the model "${model.name}"; ${hint}`);
}

function named(model: ClassModel, id: number): ResolvedLabel {
  return { id, name: model.labels.names[id] ?? `class ${id}` };
}
