/**
 * The part of a help text that lists options, made from the same table as the reading of them.
 *
 * @module
 */

import { wrap } from "../output/columns.ts";
import { padColumns, textWidth } from "../output/text_width.ts";
import { type Option, optionName, type OptionTable } from "./options.ts";

/** Column at which explanations start. */
const INDENT = 30;

/** The part of a help text that lists options, section by section, in lines of at most `width` columns. */
export function describeOptions(table: OptionTable, width: number): string {
  const sections = new Map<string, string[]>();
  for (const [name, option] of Object.entries(table)) {
    const title = option.section ?? "Options";
    sections.set(title, [...sections.get(title) ?? [], describeOption(name, option, width)]);
  }
  return [...sections].map(([title, lines]) => `${title}:\n${lines.join("\n")}`).join("\n\n");
}

function describeOption(name: string, option: Option<unknown>, width: number): string {
  const { kind, short, aliases = [] } = option;
  const long = kind.negatable ? optionName(name).replace("--", "--[no-]") : optionName(name);
  const head = `  ${short === undefined ? "   " : `-${short},`} ${long}${
    kind.placeholder === undefined ? "" : ` ${kind.placeholder}`
  }`;
  const facts = [
    ...defaultOf(option),
    ...(aliases.length === 0 ? [] : [`also ${aliases.map((alias) => `--${alias}`).join(", ")}`]),
  ];
  const lines = wrap(`${option.help}${facts.length === 0 ? "" : ` (${facts.join("; ")})`}`, width - INDENT);
  const pad = " ".repeat(INDENT);
  const first = textWidth(head) + 2 <= INDENT ? padColumns(head, INDENT) + lines.shift() : head;
  return [first, ...lines.map((line) => pad + line)].join("\n");
}

function defaultOf({ default: value, defaultText }: Option<unknown>): string[] {
  if (defaultText !== undefined) return [`default: ${defaultText}`];
  return value === undefined || typeof value === "boolean" ? [] : [`default: ${value}`];
}
