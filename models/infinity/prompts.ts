/**
 * Which texts a request asks for: prompts, with the released code's words about faces where they are wanted,
 * and what to guide away from.
 *
 * @module
 */

import { mustBe, shown } from "../../kernels/arguments.ts";
import type { Label, ResolvedLabel } from "../label.ts";
import { requirePromptLength } from "../text/tokenizer.ts";
import type { InfinityOptions } from "./schedule.ts";

/** Parts of words that, wherever they stand in a prompt, name a person to the released code. */
const PERSONS: readonly string[] = [
  ...["man", "woman", "men", "women", "boy", "girl", "child", "person", "human", "adult", "teenager"],
  ...["employee", "employer", "worker", "mother", "father", "sister", "brother"],
  ...["grandmother", "grandfather", "son", "daughter"],
];

/** What the released code adds to prompts that name a person. */
const FACES = ". very smooth faces, good looking faces, face to the camera, perfect facial features";

/**
 * Understands a label: any text is a prompt, also an empty one, and `null` is no text at all.
 *
 * @throws {TypeError} If it is no text.
 * @throws {RangeError} If it is longer than what is ever encoded.
 */
export function resolvePrompt(model: string, label: Label): ResolvedLabel {
  if (label === null) return { id: null, name: "no prompt" };
  if (typeof label === "string") return { id: null, name: label, prompt: requirePromptLength(label) };
  throw new TypeError(
    mustBe(`a prompt, as the model ${shown(model)} paints texts`, label, "a label", "generate"),
  );
}

/** The text that stands for a label, or `undefined` for none. */
export function textOf(
  { prompt }: ResolvedLabel,
  { positivePrompt = false }: InfinityOptions,
): string | undefined {
  if (prompt === undefined || !positivePrompt) return prompt;
  return PERSONS.some((word) => prompt.includes(word)) ? prompt + FACES : prompt;
}

/**
 * All texts of a request, each once.
 *
 * @example The released code takes "mango" for a man
 * ```ts
 * import { textsOf } from "./prompts.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const labels = ["a mango", "a cone"].map((prompt) => ({ id: null, name: prompt, prompt }));
 * const texts = textsOf(labels, { positivePrompt: true, negativePrompt: "blurred" });
 * assertEquals(texts.length, 3);
 * assertEquals(texts.map((text) => text.slice(0, 9)), ["a mango. ", "a cone", "blurred"]);
 * ```
 */
export function textsOf(labels: readonly ResolvedLabel[], options: InfinityOptions): string[] {
  const { negativePrompt } = options;
  const texts = labels.flatMap((label) => textOf(label, options) ?? []);
  return [...new Set([...texts, ...(negativePrompt === undefined ? [] : [negativePrompt])])];
}
