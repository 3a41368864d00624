/**
 * Reads a command line by a table of options. The table says which names there are, which of them take a
 * value and what is wrong, and so puts each option into one argument; the parser of @std/cli, which keeps
 * neither the order nor the spelling of options, tells them from operands.
 *
 * @module
 */

import { parseArgs as untypedParseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
import { UsageError } from "../io.ts";
import { flag, type Kind } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { type Arguments, type Option, optionName, type OptionTable, type Values } from "./options.ts";

/** What is used of the parser; its package has no types. */
const parseArgs: (
  args: readonly string[],
  options: { unknown(argument: string): false },
) => { readonly _: readonly string[] } = untypedParseArgs;

/** What a way to write an option stands for. */
interface Spelling {
  readonly name: string;
  readonly option: Option<unknown>;
  readonly negated: boolean;
}

/** Every way to write an option on the command line, with its dashes. */
type Spellings = ReadonlyMap<string, Spelling>;

/**
 * Reads a command line.
 *
 * @throws {UsageError} If an option is unknown, given twice, lacks its value, or has a wrong one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { integer, toggle } from "./kinds.ts";
 *
 * const table = {
 *   topK: { kind: integer("K", 0), short: "k", help: "Draw from the K likeliest" },
 *   grid: { kind: toggle, help: "Sheet of all" },
 * };
 * const { options, operands } = parse(table, ["--top_k=900", "red torus", "--no-grid"]);
 * assertEquals(options, { topK: 900, grid: false });
 * assertEquals(operands, ["red torus"]);
 * ```
 */
export function parse<Table extends OptionTable>(
  table: Table,
  args: readonly string[],
): Arguments<Table> {
  const spellings = spellingsOf(table);
  const values: Record<string, unknown> = {};
  const given = new Map<string, string>();
  const take = (rawName: string, value: string | undefined): void => {
    const found = spellings.get(rawName);
    // A misspelt option of one dash, such as -foo, comes letter by letter; the first one tells.
    if (found === undefined) throw new UsageError(unknown(rawName, spellings));
    const { name, option, negated } = found;
    const before = given.get(name);
    if (before !== undefined && option.lastCounts !== true && option.collects !== true) {
      throw new UsageError(
        before === rawName
          ? `Option ${rawName} is given twice`
          : `Options ${before} and ${rawName} are the same, and both are given`,
      );
    }
    given.set(name, rawName);
    const parsed = negated ? false : valueOf(rawName, value, option.kind);
    values[name] = option.collects ? [values[name] ?? [], parsed].flat() : parsed;
  };
  const { _: operands } = parseArgs(separate(args, spellings), {
    // None is declared, so that all come here as they were written: the parser itself keeps neither their
    // order nor which of several names was used.
    unknown: (argument) => {
      const rawName = rawNameOf(argument);
      take(rawName, argument === rawName ? undefined : argument.slice(rawName.length + 1));
      return false;
    },
  });
  for (const [name, option] of Object.entries(table)) {
    if (!given.has(name)) values[name] = option.default ?? (option.kind === flag ? false : undefined);
  }
  return {
    options: values as Values<Table>,
    given: new Set(given.keys()) as Set<keyof Table & string>,
    operands,
  };
}

function spellingsOf(table: OptionTable): Spellings {
  const spellings = new Map<string, Spelling>();
  for (const [name, option] of Object.entries(table)) {
    if (option.short !== undefined) spellings.set(`-${option.short}`, { name, option, negated: false });
    for (const spelling of [optionName(name), ...(option.aliases ?? []).map((alias) => `--${alias}`)]) {
      spellings.set(spelling, { name, option, negated: false });
      if (option.kind.negatable) {
        spellings.set(spelling.replace("--", "--no-"), { name, option, negated: true });
      }
    }
  }
  return spellings;
}

/**
 * The same command line with each option in one argument, `--name=value` or `-l=value`, and everything else
 * behind `--`. By itself the parser would guess: that the -1 of `--cfg -1` is an option, that an empty text
 * is no value, that `true` behind a switch is one, and how many options -ofile is.
 */
function separate(args: readonly string[], spellings: Spellings): string[] {
  const options: string[] = [];
  const operands: string[] = [];
  const rest = [...args];
  const takesValue = (rawName: string): boolean => {
    return spellings.get(rawName)?.option.kind.placeholder !== undefined;
  };
  // What looks like the next option is not taken for a value; a negative number is, and for some a dash.
  const isValue = (argument: string | undefined, dash: boolean): boolean => {
    return argument !== undefined && (!/^-(?!\.?\d)/.test(argument) || dash && argument === "-");
  };
  const withValue = (rawName: string): string => {
    const dash = spellings.get(rawName)?.option.kind.dash === true;
    return takesValue(rawName) && isValue(rest[0], dash) ? `${rawName}=${rest.shift()}` : rawName;
  };
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === "--") {
      operands.push(...rest.splice(0));
    } else if (argument.startsWith("--")) {
      const dashed = argument.replace(/^--[^=]+/, (name) => name.replaceAll("_", "-"));
      // Behind a letter the parser would take it for a value.
      if (dashed.startsWith("---")) throw new UsageError(unknown(rawNameOf(dashed), spellings));
      options.push(dashed.includes("=", 3) ? dashed : withValue(dashed));
    } else if (argument.startsWith("-") && argument !== "-") {
      const letter = argument.slice(0, 2);
      if (argument === letter) options.push(withValue(letter));
      else if (takesValue(letter)) options.push(`${letter}=${argument.slice(2)}`);
      else rest.unshift(...switches(argument, takesValue));
    } else {
      operands.push(argument);
    }
  }
  return [...options, "--", ...operands];
}

/** An option without its value, as it was written. */
function rawNameOf(argument: string): string {
  return /^--?.[^=]*/s.exec(argument)![0];
}

/** Switches behind one dash, each with its own: `-qofile` is `-q` and `-ofile`. */
function switches(argument: string, takesValue: (rawName: string) => boolean): string[] {
  const letters = argument.slice(1).split("").map((letter) => `-${letter}`);
  const last = letters.findIndex(takesValue);
  return last < 0 ? letters : [...letters.slice(0, last), `-${argument.slice(last + 1)}`];
}

function valueOf(rawName: string, value: string | undefined, kind: Kind<unknown>): unknown {
  if (kind.placeholder === undefined) {
    if (value !== undefined) {
      throw new UsageError(`Option ${rawName} takes no value: current value is "${value}"`);
    }
    return kind.parse("");
  }
  if (value === undefined) {
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

function unknown(rawName: string, spellings: Spellings): string {
  const names = [...spellings.keys()].filter((spelling) => spelling.startsWith("--"));
  const hint = rawName.startsWith("--")
    ? nearest(rawName.slice(2), names.map((name) => name.slice(2)))
    : undefined;
  return `Unknown option ${rawName}${hint === undefined ? "" : `; did you mean --${hint}?`}`;
}
