/**
 * Files of prompts, in the forms in which lists of them are published: a text with one prompt in each line,
 * or JSON, whose objects may say more than the prompt.
 *
 * @module
 */

import { type Io, UsageError } from "../io.ts";
import { readInputText, readText, STANDARD_INPUT } from "./given_files.ts";

/** A prompt as a file gives it. */
export interface GivenPrompt {
  /** The prompt. */
  readonly prompt: string;
  /** All that the file says of it, as JSON in one line: the line itself, where that is JSON. */
  readonly line: string;
}

/**
 * Reads a file of prompts, or standard input, which is called `-`.
 *
 * @throws {UsageError} If there is no such file, or it is none of prompts.
 */
export async function readPrompts(
  path: string,
  io: Pick<Io, "input" | "signal">,
): Promise<readonly GivenPrompt[]> {
  return path === "-"
    ? promptsIn(await readInputText(io), STANDARD_INPUT)
    : promptsIn(await readText(path), path);
}

/**
 * The prompts in a text: one in each line; or, if it begins like JSON, a `prompt` in the object of each line,
 * as in GenEval's metadata, or a list of such objects or of texts. Lines of nothing but spaces do not count.
 *
 * @param content The text.
 * @param file Where it is from, for messages.
 * @throws {UsageError} Naming the first line or item that is no prompt, or if there is none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * const line = '{"tag": "animal", "prompt": "a fox"}';
 * assertEquals(promptsIn(`${line}\n`, "prompts.jsonl"), [{ prompt: "a fox", line }]);
 * const [, second] = promptsIn("a fox\nthe sea\n", "prompts.txt");
 * assertEquals(second!.prompt, "the sea");
 * ```
 */
export function promptsIn(content: string, file: string): readonly GivenPrompt[] {
  const [first] = content.trimStart();
  const prompts = first === "[" ? itemsIn(content, file) : linesIn(content, file, first === "{");
  if (prompts.length === 0) throw new UsageError(`Cannot read ${file}: it has no prompts`);
  return prompts;
}

function linesIn(content: string, file: string, json: boolean): GivenPrompt[] {
  return content.split(/\r?\n/).flatMap((line, i) => {
    if (line.trim() === "") return [];
    if (!json) return [{ prompt: line, line: JSON.stringify({ prompt: line }) }];
    return [{ prompt: promptOf(parsed(line), () => `line ${i + 1} of ${file}`), line: line.trim() }];
  });
}

function itemsIn(content: string, file: string): GivenPrompt[] {
  const items = parsed(content);
  if (!Array.isArray(items)) throw new UsageError(`Cannot read ${file}: it begins like JSON and is none`);
  return items.map((item, i) => {
    if (typeof item === "string") return { prompt: item, line: JSON.stringify({ prompt: item }) };
    return { prompt: promptOf(item, () => `item ${i} of ${file}`), line: JSON.stringify(item) };
  });
}

/** What JSON holds; `undefined` if it is none. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function promptOf(item: unknown, place: () => string): string {
  const { prompt } = (item ?? {}) as { readonly prompt?: unknown };
  if (typeof prompt === "string") return prompt;
  throw new UsageError(`Cannot use ${place()}: it must be a JSON object with a text "prompt"`);
}
