/**
 * What can be typed: commands, their options, the values of those and the other arguments, taken from the
 * tables that command lines are read by. How a shell is told of it is left to the file of each shell.
 *
 * @module
 */

import type { Command, Title } from "../command.ts";
import { type Option, optionName } from "../options/options.ts";

/** What may stand in a place: words, files, folders, places of models, labels. */
export interface Places {
  /** Words as they are typed. */
  readonly words: readonly string[];
  /** Whether several of the words may stand there, separated by commas. */
  readonly listed: boolean;
  /** Files and folders on the disk, or folders alone. */
  readonly paths: "files" | "folders" | undefined;
}

/** An option. */
export interface OptionVocabulary {
  /** How it is written first of all: `--top-k`. */
  readonly name: string;
  /** One letter. */
  readonly short: string | undefined;
  /** What turns it off. */
  readonly negation: string | undefined;
  /** Everything else that it goes by. */
  readonly aliases: readonly string[];
  /** What it does, in one sentence. */
  readonly help: string;
  /** How its value is called in the help; `undefined` for a switch. */
  readonly placeholder: string | undefined;
  /** Its value. */
  readonly value: Places;
}

/** A command. */
export interface CommandVocabulary extends Title {
  /** Its options. */
  readonly options: readonly OptionVocabulary[];
  /** Its first argument that is no option. */
  readonly first: Places;
  /** Those after it. */
  readonly others: Places;
}

/** What is known of the models that are here. */
export interface ModelVocabulary {
  /** Their names. */
  readonly models: readonly string[];
  /** Classes of the one that is taken where none is named. */
  readonly labels: readonly string[];
}

const NOTHING: Places = { words: [], listed: false, paths: undefined };

/** Words of a usage or a help that stand for something on the disk, and what may stand there. */
const PATHS: Readonly<Record<string, "files" | "folders">> = {
  FILE: "files",
  IMAGE: "files",
  MASK: "files",
  PICTURES: "files",
  PROMPTS: "files",
  PLAN: "files",
  RUN: "files",
  RESULTS: "files",
  PLACE: "files",
  FOLDER: "folders",
  DIR: "folders",
};

/**
 * What can be typed after the name of a command.
 *
 * @example
 * ```ts
 * import { command } from "../command.ts";
 * import { choice } from "../options/kinds.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const options = { device: { kind: choice(["cpu", "webgpu"]), help: "Where to run" } };
 * const own = command({ usage: ["IMAGE [OPTIONS]"], options, examples: [], run: () => Promise.resolve() });
 * const { first, options: [device] } = vocabularyOf({ name: "own", summary: "" }, own, {
 *   models: ["demo"],
 *   labels: [],
 * });
 * assertEquals([first.paths, device!.name, device!.value.words], ["files", "--device", ["cpu", "webgpu"]]);
 * ```
 */
export function vocabularyOf(
  { name, summary }: Title,
  command: Command,
  known: ModelVocabulary,
): CommandVocabulary {
  const [first, others] = operandsOf(command, known);
  const options = Object.entries(command.options).map(([key, option]) => optionOf(key, option, known));
  return { name, summary, options, first, others };
}

function optionOf(key: string, option: Option<unknown>, known: ModelVocabulary): OptionVocabulary {
  const { kind, short, aliases = [], help } = option;
  const name = optionName(key);
  return {
    ...{ name, help: firstSentence(help), placeholder: kind.placeholder },
    short: short === undefined ? undefined : `-${short}`,
    negation: kind.negatable ? name.replace("--", "--no-") : undefined,
    aliases: aliases.map((alias) => `--${alias}`),
    value: valueOf(option, known),
  };
}

function valueOf({ kind: { placeholder, choices } }: Option<unknown>, known: ModelVocabulary): Places {
  if (placeholder === undefined) return NOTHING;
  if (choices !== undefined) return { words: choices, listed: placeholder.endsWith(",…"), paths: undefined };
  // Of "clip[:PLACE]|none" the words that are written as they stand, and what the others stand for.
  const parts = placeholder.split("|");
  const words = parts.filter((part) => /^[a-z][a-z-]*$/.test(part));
  return { words: [...words, ...modelsIn(parts, known)], listed: false, paths: pathsOf(parts) };
}

/** What the first argument and those after it are, by the first form of the usage that has any. */
function operandsOf({ usage, words }: Command, known: ModelVocabulary): [first: Places, others: Places] {
  const forms = usage.map(namedArguments);
  const [first, second] = forms.find((names) => names.length > 0) ?? [];
  if (first === undefined) return [NOTHING, NOTHING];
  const one = argumentOf(first, known);
  const many = /…|\.\.\./.test(usage.find((form) => form.includes(first)) ?? "");
  const rest = second === undefined ? (many ? one : NOTHING) : argumentOf(second, known);
  return [words.length === 0 ? one : { ...NOTHING, words }, rest];
}

/** Names of the arguments in a form of the usage, without its options and their values. */
function namedArguments(form: string): string[] {
  const plain = form.replace(/\[?--?[\w-]+(?:[ =][A-Z][^\s\]]*)?\]?/g, "").replace("[OPTIONS]", "");
  return plain.split(/\s+/).map((word) => word.replace(/[[\]…]|\.\.\./g, "")).filter((word) => word !== "");
}

function argumentOf(name: string, known: ModelVocabulary): Places {
  const parts = name.split("|");
  if (parts.includes("LABEL")) return { words: known.labels, listed: false, paths: undefined };
  const words = parts.filter((part) => /^[a-z][a-z-]*$/.test(part));
  return { words: [...words, ...modelsIn(parts, known)], listed: false, paths: pathsOf(parts) };
}

function modelsIn(parts: readonly string[], { models }: ModelVocabulary): readonly string[] {
  return parts.includes("PLACE") ? models : [];
}

function pathsOf(parts: readonly string[]): "files" | "folders" | undefined {
  const kinds = parts.map((part) => PATHS[/^[A-Z]+/.exec(part)?.[0] ?? ""]);
  return kinds.find((kind) => kind === "files") ?? kinds.find((kind) => kind !== undefined);
}

/** The beginning of a help text, as far as a list beside a name has room for it. */
function firstSentence(help: string): string {
  const [sentence] = help.split(/[.;:](?= )/);
  const words = sentence!.split(/\s+/);
  let text = "";
  for (const word of words) {
    if (`${text} ${word}`.length > 72) return `${text} …`;
    text = text === "" ? word : `${text} ${word}`;
  }
  return text;
}
