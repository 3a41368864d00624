/**
 * Tables of options: one table per command, from which both the parsing of its arguments and the text of its
 * help are made, so that the two cannot differ. What the options mean is left to the commands.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { closestString } from "npm:deno-std@1.4.0/text/closest_string.js";
import { levenshteinDistance } from "npm:deno-std@1.4.0/text/levenshtein_distance.js";
import type { PictureSize } from "../../mod.ts";
import { UsageError } from "../io.ts";
import { wrap } from "../output/columns.ts";
import { list } from "../output/words.ts";

/** What an option's value is: how it is shown in the help and read from the command line. */
export interface Kind<Value> {
  /** Stands for the value in the help; without it the option is a switch. */
  readonly placeholder?: string;
  /** Whether `--no-NAME` turns a switch off. */
  readonly negatable?: boolean;
  /** Allowed words, for a hint to the one that was meant. */
  readonly choices?: readonly string[];
  /** Reads the text of a value. Throws a `RangeError` with what is wanted otherwise. */
  parse(text: string): Value;
}

/** One option. */
export interface Option<Value> {
  readonly kind: Kind<Value>;
  /** What it does, one or two sentences without a final period. */
  readonly help: string;
  /** One letter, used as `-l`. */
  readonly short?: string;
  /** Other names. */
  readonly aliases?: readonly string[];
  /** Value where the option is not given. */
  readonly default?: Value;
  /** What the help says about the default where `default` does not hold it. */
  readonly defaultText?: string;
  /** Heading of the help under which it stands. */
  readonly section?: string;
}

/** Options by their names in camel case; `topK` is `--top-k` on the command line. */
// deno-lint-ignore no-explicit-any
export type OptionTable = Readonly<Record<string, Option<any>>>;

/** What a command gets: the values of the options that were given or have a default. */
export type Values<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends { default: infer _Default; kind: Kind<infer Value> }
    ? Value
    : Table[Name] extends { kind: Kind<infer Value> } ? Value | undefined
    : never;
};

/** A parsed command line. */
export interface Arguments<Table extends OptionTable> {
  /** Values by name. */
  readonly options: Values<Table>;
  /** Names of the options that were given. */
  readonly given: ReadonlySet<keyof Table & string>;
  /** Everything that is no option. */
  readonly operands: readonly string[];
}

/** Puts options under a heading of the help. */
export function section<Table extends OptionTable>(title: string, table: Table): Table {
  return Object.fromEntries(
    Object.entries(table).map(([name, option]) => [name, { ...option, section: title }]),
  ) as unknown as Table;
}

/** A switch, off unless given. */
export const flag: Kind<boolean> = { parse: () => true };

/** A switch with `--no-`. */
export const toggle: Kind<boolean> = { negatable: true, parse: () => true };

/** Any text but the empty one. */
export function text(placeholder: string): Kind<string> {
  return {
    placeholder,
    parse: (value) => {
      if (value === "") throw new RangeError("must not be empty");
      return value;
    },
  };
}

/** One of a few words. */
export function choice<const Choices extends readonly string[]>(choices: Choices): Kind<Choices[number]> {
  return {
    placeholder: choices.join("|"),
    choices,
    parse: (value) => {
      if (!choices.includes(value)) throw new RangeError(`must be ${list(choices, "or")}`);
      return value as Choices[number];
    },
  };
}

/** A number within bounds, both included. */
export function number(placeholder: string, min: number, max: number): Kind<number> {
  return {
    placeholder,
    parse: (value) => {
      const parsed = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : NaN;
      if (!(parsed >= min && parsed <= max)) throw new RangeError(`must be a number from ${min} to ${max}`);
      return parsed;
    },
  };
}

/** An integer of at least `min`. */
export function integer(placeholder: string, min: number, max: number = 2 ** 31 - 1): Kind<number> {
  return {
    placeholder,
    parse: (value) => {
      const parsed = /^[+-]?\d+$/.test(value) ? Number(value) : NaN;
      if (!(parsed >= min && parsed <= max)) {
        throw new RangeError(
          max === 2 ** 31 - 1
            ? `must be an integer of at least ${min}`
            : `must be an integer from ${min} to ${max}`,
        );
      }
      return parsed;
    },
  };
}

/** An integer of at least `min`, or `auto`. */
export function integerOrAuto(placeholder: string, min: number): Kind<number | "auto"> {
  const { parse } = integer(placeholder, min);
  return { placeholder: `${placeholder}|auto`, parse: (value) => value === "auto" ? value : parse(value) };
}

/** An amount of memory in bytes, written as people do: `8GB`, `512 MiB`. */
export const bytes: Kind<number> = {
  placeholder: "SIZE",
  parse: (value) => {
    const [, amount, prefix, binary] = /^(\d+\.?\d*|\.\d+) ?(?:([kmgt])(i)?)?b?$/i.exec(value) ?? [];
    const power = prefix === undefined ? 0 : "kmgt".indexOf(prefix.toLowerCase()) + 1;
    const parsed = Math.floor(Number(amount) * (binary === undefined ? 1000 : 1024) ** power);
    if (!(parsed >= 1)) throw new RangeError('must be an amount of memory, like "8GB" or "512MiB"');
    return parsed;
  },
};

/** A seed: an integer of 64 bits. */
export const seed: Kind<number | bigint> = {
  placeholder: "N",
  parse: (value) => {
    const parsed = /^\d+$/.test(value) ? BigInt(value) : -1n;
    if (parsed < 0n || parsed >= 2n ** 64n) throw new RangeError("must be an integer from 0 to 2^64 - 1");
    return parsed <= Number.MAX_SAFE_INTEGER ? Number(parsed) : parsed;
  },
};

/** Scales and ranges of them, separated by commas. */
export const scales: Kind<readonly number[]> = {
  placeholder: "K,…",
  parse: (value) => {
    const ranges = value.split(",").map((item) => {
      const [, first, last = first] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(item) ?? [];
      return { first: Number(first), last: Number(last) };
    });
    if (!ranges.every(({ first, last }) => first <= last)) {
      throw new RangeError(
        'must be numbers of scales from 0 on, separated by commas, like "1" or "1,2", or ranges like "0-9"',
      );
    }
    const numbers = ranges.flatMap(({ first, last }) => {
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    return [...new Set(numbers)];
  },
};

/** Sides of token maps, separated by commas, or by underscores as in published scripts. */
export const sides: Kind<readonly number[]> = {
  placeholder: "N,…",
  parse: (value) => {
    if (!/^[1-9]\d{0,3}([,_][1-9]\d{0,3})*$/.test(value)) {
      throw new RangeError('must be sides of token maps, separated by commas, like "1,2,3,4"');
    }
    return value.split(/[,_]/).map(Number);
  },
};

/** A size in pixels: one number for a square, or width and height. */
export const pictureSize: Kind<number | PictureSize> = {
  placeholder: "N|WxH",
  parse: (value) => {
    const [, width, height] = /^([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?$/i.exec(value) ?? [];
    if (width === undefined) {
      throw new RangeError('must be a size in pixels, like "512", or width and height, like "512x256"');
    }
    return height === undefined ? Number(width) : { width: Number(width), height: Number(height) };
  },
};

/** Scales, or `all` of them. */
export const scalesOrAll: Kind<readonly number[] | true> = {
  placeholder: "K,…|all",
  parse: (value) => value === "all" || scales.parse(value),
};

/** Texts, separated by commas. */
export const texts: Kind<readonly string[]> = {
  placeholder: "A,B,…",
  parse: (value) => {
    const items = value.split(",").map((item) => item.trim());
    if (items.includes("")) throw new RangeError("must be texts separated by commas, none of them empty");
    return items;
  },
};

/** Every way to write an option on the command line, without its dashes, and what it stands for. */
interface Spelling {
  readonly name: string;
  readonly option: Option<unknown>;
  readonly negated: boolean;
}

/**
 * Reads a command line.
 *
 * @throws {UsageError} If an option is unknown, given twice, lacks its value, or has a wrong one.
 */
export function parse<Table extends OptionTable>(
  table: Table,
  args: readonly string[],
): Arguments<Table> {
  const spellings = spellingsOf(table);
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = {};
  for (const [spelling, { option, negated }] of spellings) {
    options[spelling] = {
      type: option.kind.placeholder === undefined ? "boolean" : "string",
      ...(option.short === undefined || negated ? {} : { short: option.short }),
    };
  }
  const { tokens } = parseArgs({
    args: dashed(args),
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, unknown> = {};
  const given = new Map<string, string>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const found = spellings.get(token.name);
    // A misspelt option of one dash, such as -foo, comes letter by letter; the first one tells.
    if (found === undefined) throw new UsageError(unknown(token.rawName, [...spellings.keys()]));
    const { name, option, negated } = found;
    const before = given.get(name);
    if (before !== undefined) {
      throw new UsageError(
        before === token.rawName
          ? `Option ${token.rawName} is given twice`
          : `Options ${before} and ${token.rawName} are the same, and both are given`,
      );
    }
    given.set(name, token.rawName);
    values[name] = negated ? false : valueOf(token, option.kind);
  }
  for (const [name, option] of Object.entries(table)) {
    if (!(name in values)) values[name] = option.default ?? (option.kind === flag ? false : undefined);
  }
  return {
    options: values as Values<Table>,
    given: new Set(given.keys()) as Set<keyof Table & string>,
    operands,
  };
}

/**
 * Refuses arguments beyond the first `count`.
 *
 * @throws {UsageError} If there is one.
 */
export function refuseOperands(operands: readonly string[], count: number): void {
  if (operands.length > count) throw new UsageError(`Unexpected argument "${operands[count]}"`);
}

/** Name of an option on the command line. */
export function optionName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function spellingsOf(table: OptionTable): Map<string, Spelling> {
  const spellings = new Map<string, Spelling>();
  for (const [name, option] of Object.entries(table)) {
    for (const spelling of [optionName(name).slice(2), ...option.aliases ?? []]) {
      spellings.set(spelling, { name, option, negated: false });
      if (option.kind.negatable) spellings.set(`no-${spelling}`, { name, option, negated: true });
    }
  }
  return spellings;
}

/** Underscores in names of options count as dashes, as the published scripts write them. */
function dashed(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  return args.map((argument, i) => {
    if (end >= 0 && i >= end) return argument;
    return argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-"));
  });
}

function valueOf(
  token: {
    readonly rawName: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
  kind: Kind<unknown>,
): unknown {
  const { rawName, value, inlineValue } = token;
  if (kind.placeholder === undefined) {
    if (value !== undefined) {
      throw new UsageError(`Option ${rawName} takes no value: current value is "${value}"`);
    }
    return kind.parse("");
  }
  // Without "=", what looks like the next option is not taken for a value; a negative number is.
  if (value === undefined || (!inlineValue && /^-(?!\.?\d)/.test(value))) {
    throw new UsageError(`Option ${rawName} needs a value: ${rawName} ${kind.placeholder}`);
  }
  try {
    return kind.parse(value);
  } catch (error) {
    const hint = kind.choices === undefined ? undefined : nearest(value, kind.choices);
    throw new UsageError(
      `Option ${rawName} ${(error as Error).message}: current value is "${value}"${
        hint === undefined ? "" : `; did you mean ${hint}?`
      }`,
    );
  }
}

function unknown(rawName: string, spellings: readonly string[]): string {
  const hint = rawName.startsWith("--") ? nearest(rawName.slice(2), spellings) : undefined;
  return `Unknown option ${rawName}${hint === undefined ? "" : `; did you mean --${hint}?`}`;
}

/** The word that was probably meant, if any is near. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  if (words.length === 0) return undefined;
  const closest = closestString(word, [...words]);
  return levenshteinDistance(word, closest) <= Math.max(1, Math.floor(word.length / 3)) ? closest : undefined;
}

/** Columns of a help text. */
const WIDTH = 96;
/** Column at which explanations start. */
const INDENT = 30;

/** The part of a help text that lists options, section by section. */
export function describeOptions(table: OptionTable): string {
  const sections = new Map<string, string[]>();
  for (const [name, option] of Object.entries(table)) {
    const title = option.section ?? "Options";
    sections.set(title, [...sections.get(title) ?? [], describeOption(name, option)]);
  }
  return [...sections].map(([title, lines]) => `${title}:\n${lines.join("\n")}`).join("\n\n");
}

function describeOption(name: string, option: Option<unknown>): string {
  const { kind, short, aliases = [] } = option;
  const long = kind.negatable ? optionName(name).replace("--", "--[no-]") : optionName(name);
  const head = `  ${short === undefined ? "   " : `-${short},`} ${long}${
    kind.placeholder === undefined ? "" : ` ${kind.placeholder}`
  }`;
  const facts = [
    ...defaultOf(option),
    ...(aliases.length === 0 ? [] : [`also ${aliases.map((alias) => `--${alias}`).join(", ")}`]),
  ];
  const lines = wrap(`${option.help}${facts.length === 0 ? "" : ` (${facts.join("; ")})`}`, WIDTH - INDENT);
  const pad = " ".repeat(INDENT);
  const first = head.length + 2 <= INDENT ? head.padEnd(INDENT) + lines.shift() : head;
  return [first, ...lines.map((line) => pad + line)].join("\n");
}

function defaultOf({ default: value, defaultText }: Option<unknown>): string[] {
  if (defaultText !== undefined) return [`default: ${defaultText}`];
  return value === undefined || typeof value === "boolean" ? [] : [`default: ${value}`];
}
