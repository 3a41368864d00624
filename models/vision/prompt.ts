/**
 * What a picture of a label is called, for networks that judge how well it fits a text.
 *
 * @module
 */

import { mustBe, quoted } from "../../kernels/arguments.ts";
import type { ResolvedLabel } from "../label.ts";

/** Where a class's name goes in a template. */
const PLACE = "{label}";

/**
 * Checks a template for the texts of classes.
 *
 * @param template A text with `{label}` in it, which stands for the name of a class.
 * @param action What it is for.
 * @returns The template.
 * @throws {TypeError} If it is no such text.
 */
export function requireTemplate(template: string, action: string): string {
  if (typeof template === "string" && template.includes(PLACE)) return template;
  throw new TypeError(mustBe(`a text with ${PLACE} in it`, template, "the template", action));
}

/**
 * The text of a label: its prompt, or the template with the name of its class.
 *
 * @param network What needs it, for messages.
 * @param template As {@linkcode requireTemplate} checks it; without one, classes have no text.
 * @throws {TypeError} If the label has neither.
 *
 * @example
 * ```ts
 * import { promptOf } from "./prompt.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const fox = { id: null, name: "a fox", prompt: "a fox" };
 * assertEquals(promptOf(fox, "clip"), "a fox");
 * const goldfish = { id: 1, name: "goldfish" };
 * assertEquals(promptOf(goldfish, "clip", "a photo of a {label}"), "a photo of a goldfish");
 * ```
 */
export function promptOf(label: ResolvedLabel, network: string, template?: string): string {
  const { id, name, prompt } = label;
  if (prompt !== undefined) return prompt;
  if (id !== null && template !== undefined) return template.replaceAll(PLACE, () => name);
  const cure = id === null ? "" : `; give a template such as "a photo of a ${PLACE}"`;
  throw new TypeError(
    `Cannot judge a picture by ${quoted(network)} as its label ${quoted(name)} has no text${cure}`,
  );
}
