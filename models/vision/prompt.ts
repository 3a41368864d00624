/**
 * The text that a picture should show, from the label that it was painted for.
 *
 * @module
 */

import { mustBe, shown } from "../../kernels/arguments.ts";
import type { ResolvedLabel } from "../label.ts";

/** Options of {@linkcode textOfLabel}. */
export interface TextOfLabelOptions {
  /** Name of the verifier that asks, for messages. */
  readonly verifier: string;
  /** The text for a class, in which `{label}` stands for its name. */
  readonly template?: string | undefined;
}

/**
 * The prompt of a label, or what a template makes of its class.
 *
 * @throws {RangeError} If it is a class and there is no template, or no class at all.
 *
 * @example
 * ```ts
 * import { textOfLabel } from "./prompt.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const options = { verifier: "clip", template: "a photo of a {label}" };
 * assertEquals(textOfLabel({ id: 32, name: "red torus" }, options), "a photo of a red torus");
 * assertEquals(textOfLabel({ id: null, name: "a fox", prompt: "a fox" }, options), "a fox");
 * ```
 */
export function textOfLabel(
  { id, name, prompt }: ResolvedLabel,
  { verifier, template }: TextOfLabelOptions,
): string {
  if (prompt !== undefined) return prompt;
  const action = `Cannot judge pictures of ${shown(name)} as the verifier "${verifier}" needs a text`;
  if (id === null) {
    throw new RangeError(`${action}: give labels that say what to paint, or take another verifier`);
  }
  if (template !== undefined) return template.replaceAll("{label}", () => name);
  throw new RangeError(
    `${action}, and the label is a class: give it a template, such as "a photo of a {label}", or take another verifier`,
  );
}

/**
 * Checks that there is a label for each picture.
 *
 * @throws {RangeError} If there are more or fewer.
 */
export function requireLabels(labels: readonly ResolvedLabel[], pictures: number): void {
  if (labels.length === pictures) return;
  const wanted = `${pictures}, one for each picture`;
  throw new RangeError(mustBe(wanted, labels.length, "the number of labels", "judge pictures"));
}
