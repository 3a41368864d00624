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
  type ResolvedRequest,
  resolveRequest,
} from "../../mod.ts";
import { UsageError } from "../io.ts";
import { nearest } from "./nearest.ts";

/**
 * What a text means to a model: a class, or the text itself for one that takes texts.
 *
 * @throws {UsageError} If the model has no such class.
 */
export function labelOf(model: Model, text: string): Exclude<Label, null> {
  try {
    return model.resolveLabel(text).id ?? text;
  } catch (error) {
    const { labels } = model;
    const hint = labels.kind === "classes" ? nearest(text, labels.names) : undefined;
    throw new UsageError(
      hint === undefined
        ? (error as Error).message
        : `Cannot find the class "${text}" in the model "${model.name}"; did you mean "${hint}"?`,
    );
  }
}

/**
 * The class that a text names, of a model that has classes.
 *
 * @throws {UsageError} If the model has no such class.
 */
export function classOf(model: Model, text: string): number {
  return labelOf(model, text) as number;
}

/**
 * The classes of a model, for what is possible with classes only.
 *
 * @throws {UsageError} If it takes texts.
 */
export function requireClasses({ name, labels }: Model, action: string): ClassLabels {
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
