/**
 * Tables of options: one table per command, from which both the parsing of its arguments and the text of its
 * help are made, so that the two cannot differ. What the options mean is left to the commands.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import type { Kind } from "./kinds.ts";

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
  /** Whether it may be given again, and all of them count: its value is a list. */
  readonly collects?: boolean;
  /** Whether it may be given again, and the last one counts, as in scripts of others. */
  readonly lastCounts?: boolean;
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

/**
 * Refuses arguments beyond the first `count`.
 *
 * @throws {UsageError} If there is one.
 */
export function refuseOperands(operands: readonly string[], count: number): void {
  if (operands.length > count) throw new UsageError(`Unexpected argument "${operands[count]}"`);
}

/**
 * Name of an option on the command line.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(optionName("topK"), "--top-k");
 * ```
 */
export function optionName(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
