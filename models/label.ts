/**
 * What a model is asked to paint: a class by number or name, or a text. How a text is understood is left to
 * the families that take one.
 *
 * @module
 */

import { mustBe, shown } from "../kernels/arguments.ts";

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
  /** What else each of them is called, in the same order, if anything is known of that. */
  readonly synonyms?: readonly (readonly string[])[];
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
 * Finds the class that a label means. Capitals, underscores and hyphens do not matter: `Golden_Retriever` is
 * the golden retriever. A name comes before what only another class is called, too; several names of one
 * class may stand together, between commas, as in lists of WordNet's synsets.
 *
 * @throws {TypeError} If it is neither number, text nor `null`.
 * @throws {RangeError} If the model has no such class, or several that are called so.
 *
 * @example
 * ```ts
 * import { resolveClass } from "./label.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const labels = { kind: "classes", count: 2, names: ["red cube", "blue cone"] } as const;
 * const model = { name: "two", labels };
 * assertEquals(resolveClass(model, "Blue_cone"), { id: 1, name: "blue cone" });
 * assertEquals(resolveClass(model, null), { id: null, name: "null class" });
 * ```
 */
export function resolveClass(model: ClassModel, label: Label): ResolvedLabel {
  if (label === null) return { id: null, name: "null class" };
  if (typeof label === "number") {
    if (!Number.isInteger(label) || label < 0 || label >= model.labels.count) {
      const wanted = `a class from 0 to ${model.labels.count - 1}`;
      throw new RangeError(mustBe(wanted, label, "a label", "generate"));
    }
    return named(model, label);
  }
  if (typeof label !== "string") {
    throw new TypeError(mustBe("a number or a name", label, "a label", "generate"));
  }
  const wanted = label.trim().toLowerCase();
  const { names } = model.labels;
  const exact = names.findIndex((name) => name.toLowerCase() === wanted);
  if (exact >= 0) return named(model, exact);
  if (/^\d+$/.test(wanted)) return resolveClass(model, Number(wanted));
  const called = classesCalled(wanted, model.labels);
  if (called.length === 1) return named(model, called[0]!);
  const question = (ids: readonly number[]): string => {
    return `did you mean ${ids.map((id) => shown(names[id])).join(", ")}?`;
  };
  if (called.length > 1) {
    throw new RangeError(
      `Cannot tell which class is ${shown(label)} in the model ${shown(model.name)}; ${question(called)}`,
    );
  }
  const near = names.length === 0 ? [] : classesNear(wanted, model.labels);
  const hint = names.length === 0
    ? "the model has no class names, use a number"
    : near.length > 0
    ? question(near)
    : `class names are like ${shown(names[0])}`;
  throw new RangeError(`Cannot find the class ${shown(label)} in the model ${shown(model.name)}; ${hint}`);
}

function named(model: ClassModel, id: number): ResolvedLabel {
  return { id, name: model.labels.names[id] ?? `class ${id}` };
}

/** What classes are called, as {@linkcode plain} writes it, and which are. */
interface ClassIndex {
  /** By their names. */
  readonly names: ReadonlyMap<string, readonly number[]>;
  /** By their names and what else they are called. */
  readonly all: ReadonlyMap<string, readonly number[]>;
}

/** Made once for a model's labels, and only when a name is not written as it stands there. */
const INDICES = new WeakMap<ClassLabels, ClassIndex>();

function indexOf(labels: ClassLabels): ClassIndex {
  const made = INDICES.get(labels);
  if (made !== undefined) return made;
  const { names, synonyms = [] } = labels;
  const group = (terms: readonly (readonly string[])[]): ReadonlyMap<string, readonly number[]> => {
    const pairs = terms.flatMap((called, id) =>
      [...new Set(called.map(plain))].map((term) => ({ term, id }))
    );
    const groups = Map.groupBy(pairs, ({ term }) => term);
    return new Map([...groups].map(([term, members]) => [term, members.map(({ id }) => id)]));
  };
  const index = {
    names: group(names.map((name) => [name])),
    all: group(names.map((name, id) => [name, ...synonyms[id] ?? []])),
  };
  INDICES.set(labels, index);
  return index;
}

/** A term without what people write in several ways. */
function plain(term: string): string {
  return term.normalize("NFKC").toLowerCase().replaceAll("’", "'").replace(/[\s_-]+/g, " ").trim();
}

/** The classes that are called so; of several terms between commas, those that are called all of them. */
function classesCalled(label: string, labels: ClassLabels): readonly number[] {
  const { names, all } = indexOf(labels);
  const term = plain(label);
  // A whole line of the list of synsets: the id, and names that must be of the same class.
  const [, id, rest] = /^(n\d{8}) (.+)$/.exec(term) ?? [];
  if (id !== undefined && rest !== undefined) {
    const called = classesCalled(rest, labels);
    return all.get(id)?.filter((own) => called.includes(own)) ?? [];
  }
  return names.get(term) ?? all.get(term) ??
    term.split(",")
      .map((part) => all.get(part.trim()) ?? [])
      .reduce((rest, ids) => rest.filter((id) => ids.includes(id)));
}

/**
 * Up to three classes that have all words of a label, or else the one that is spelled almost so, or else up
 * to three that share most words.
 */
function classesNear(label: string, labels: ClassLabels): number[] {
  const wanted = plain(label);
  const words = new Set(wanted.split(/[ ,]+/));
  const terms = [...indexOf(labels).all].flatMap(([term, ids]) => ids.map((id) => ({ id, term })));
  const sharing = terms.map(({ id, term }) => {
    const own = new Set(term.split(" "));
    return { id, shared: words.intersection(own).size, others: own.difference(words).size };
  }).filter(({ shared }) => shared > 0)
    .sort((a, b) => b.shared - a.shared || a.others - b.others || a.id - b.id);
  const best = [...new Set(sharing.map(({ id }) => id))].slice(0, 3);
  if (sharing[0]?.shared === words.size) return best;
  // A number is right or wrong, and not nearly right.
  const [spelled] = terms.filter(({ term }) => !/\d/.test(term))
    .map(({ id, term }) => ({ id, edits: edits(wanted, term) }))
    .filter(({ edits }) => edits <= Math.max(1, Math.floor(wanted.length / 3)))
    .sort((a, b) => a.edits - b.edits);
  return spelled === undefined ? best : [spelled.id];
}

/** Letters to insert, remove or replace until one text is the other: Levenshtein's distance. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (from[i] === to[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[to.length]!;
}
