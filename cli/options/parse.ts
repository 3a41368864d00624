/**
 * Reads a command line by a table of options.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { UsageError } from "../io.ts";
import { flag, type Kind } from "./kinds.ts";
import { nearest } from "./nearest.ts";
import { type Arguments, type Option, optionName, type OptionTable, type Values } from "./options.ts";

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
