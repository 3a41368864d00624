/**
 * What a command is, and what it talks to: tables of options above, standard output and standard error below,
 * so that a test can run a command without a process of its own.
 *
 * @module
 */

import type { Io } from "./io.ts";
import { describeOptions } from "./options/help.ts";
import { flag } from "./options/kinds.ts";
import { type Arguments, type OptionTable, section } from "./options/options.ts";
import { parse } from "./options/parse.ts";
import { wrap } from "./output/columns.ts";

/** How a command is listed. */
export interface Title {
  /** First word of its command line. */
  readonly name: string;
  /** What it does, in a line. */
  readonly summary: string;
}

/** One command as it is written. */
export interface CommandSpec<Table extends OptionTable> {
  /** What follows its name, one line for each form. */
  readonly usage: readonly string[];
  /** What is to know beyond the options, one paragraph each. */
  readonly description?: readonly string[];
  /** Its options. */
  readonly options: Table;
  /** What the first argument may be, where it is one of a few words and the usage does not list them. */
  readonly words?: readonly string[];
  /** Command lines to copy. */
  readonly examples: readonly string[];
  /** Does it. A result other than 0 is the exit code. */
  run(args: Arguments<Table>, io: Io): Promise<number | void>;
}

/** A command as the program calls it. */
export interface Command {
  /** What follows its name, one line for each form. */
  readonly usage: readonly string[];
  /** Its options, with those that every command has. */
  readonly options: OptionTable;
  /** What its first argument may be, if that is one of a few words. */
  readonly words: readonly string[];
  /** The text of its help. */
  help(title: Title): string;
  /** Parses its arguments and does it; the result is the exit code. */
  run(title: Title, args: readonly string[], io: Io): Promise<number>;
}

/** Options that every command has. */
const COMMON = section("General", {
  debug: { kind: flag, help: "Show where an error comes from, with its stack" },
  help: { kind: flag, short: "h", help: "Show this help" },
});

/** Columns of a help text. */
const WIDTH = 96;

/** Makes a command of its description. */
export function command<Table extends OptionTable>(spec: CommandSpec<Table>): Command {
  const table = { ...spec.options, ...COMMON };
  const help = ({ name, summary }: Title): string => {
    const usage = spec.usage.map((form, i) => `${i === 0 ? "Usage:" : "      "} varscale ${name} ${form}`);
    const examples = spec.examples.map((example) => `  varscale ${name} ${example}`.trimEnd());
    return [
      `${summary}.`,
      usage.join("\n"),
      ...(spec.description ?? []).map((paragraph) => wrap(paragraph, WIDTH).join("\n")),
      describeOptions(table, WIDTH),
      ["Examples:", ...examples].join("\n"),
    ].join("\n\n") + "\n";
  };
  return {
    usage: spec.usage,
    options: table,
    words: spec.words ?? [],
    help,
    async run(title, args, io) {
      const parsed = parse(table, args);
      if ((parsed.options as { help: boolean }).help) {
        io.out(help(title));
        return 0;
      }
      return await spec.run(parsed as unknown as Arguments<Table>, io) ?? 0;
    },
  };
}
