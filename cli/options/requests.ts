/**
 * What a command line asks of a model, checked against it: classes or prompts, and whole requests. What is
 * wrong here is wrong with the command line.
 *
 * @module
 */

import {
  type ClassLabels,
  type GenerateRequest,
  type Label,
  type Model,
  type ModelOutline,
  type ResolvedRequest,
  resolveRequest,
} from "../../mod.ts";
import { UsageError } from "../io.ts";

/** What labels are checked against: a model, loaded or not. */
export type Labelled = Pick<Model, "name" | "labels" | "resolveLabel">;

/**
 * Refuses labels and schedules that a model cannot have, before it is loaded.
 *
 * @throws {UsageError} If there are any.
 */
export function checkOutline(outline: ModelOutline, { labels = [], ...request }: GenerateRequest): void {
  asked(() => {
    for (const label of new Set([labels].flat())) outline.resolveLabel(label);
    outline.requireSchedule(request);
  });
}

/**
 * What a text means to a model: a class, or the text itself for one that takes texts.
 *
 * @throws {UsageError} If the model has no such class, or several that are called so.
 */
export function labelOf(model: Labelled, text: string): Exclude<Label, null> {
  return asked(() => model.resolveLabel(text).id) ?? text;
}

/** Labels between commas; of a model that takes texts, which may have commas too, a single one. */
export function listedLabels({ labels }: Labelled, listed: string | undefined): string[] {
  if (listed === undefined) return [];
  return labels.kind === "texts" ? [listed] : listed.split(",").map((label) => label.trim());
}

/**
 * What a word for labels means: a class or a text, `null` for none, `all` for every class.
 *
 * @throws {UsageError} If the model has no such class, or no classes where all are meant.
 */
export function labelsOf(model: Labelled, label: string): Label[] {
  if (label === "null") return [null];
  if (label !== "all") return [labelOf(model, label)];
  const { count } = requireClasses(model, 'generate "all" classes');
  return Array.from({ length: count }, (_, id) => id);
}

/**
 * The class that a text names, of a model that has classes.
 *
 * @throws {UsageError} If the model has no such class.
 */
export function classOf(model: Labelled, text: string): number {
  return labelOf(model, text) as number;
}

/**
 * The classes of a model, for what is possible with classes only.
 *
 * @throws {UsageError} If it takes texts.
 */
export function requireClasses({ name, labels }: Labelled, action: string): ClassLabels {
  if (labels.kind === "classes") return labels;
  throw new UsageError(`Cannot ${action} as the model "${name}" has none: it takes texts`);
}

/**
 * Completes a request.
 *
 * @throws {UsageError} If the model cannot do it.
 */
export function checkRequest(model: Model, request: GenerateRequest): ResolvedRequest {
  return asked(() => resolveRequest(model, request));
}

/** Does what the command line asks for; what is wrong with it becomes a {@linkcode UsageError}. */
export function asked<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(error.message, { cause: error });
    }
    throw error;
  }
}

/** The same for what takes its time. */
export async function askedFor<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    return asked(() => {
      throw error;
    });
  }
}
