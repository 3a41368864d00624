/**
 * What a command line asks of a model, checked against it: classes by name or number, and whole requests. What is wrong here is
 * wrong with the command line.
 *
 * @module
 */

import {
  type GenerateRequest,
  type Model,
  type ResolvedRequest,
  resolveLabel,
  resolveRequest,
} from "../mod.ts";
import { nearest, UsageError } from "./options.ts";

/**
 * The class that a text names.
 *
 * @throws {UsageError} If the model has no such class.
 */
export function classOf(model: Model, text: string): number {
  try {
    return resolveLabel(model, text).id!;
  } catch (error) {
    const hint = nearest(text, model.classNames);
    throw new UsageError(
      hint === undefined
        ? (error as Error).message
        : `Cannot find the class "${text}" in the model "${model.name}"; did you mean "${hint}"?`,
    );
  }
}

/**
 * Completes a request.
 *
 * @throws {UsageError} If the model cannot do it.
 */
export function checkRequest(model: Model, request: GenerateRequest): ResolvedRequest {
  try {
    return resolveRequest(model, request);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new UsageError(error.message, { cause: error });
    }
    throw error;
  }
}
