/**
 * The completions of fish: a line for each thing that can be typed.
 *
 * @module
 */

import type { CommandVocabulary, OptionVocabulary, Places } from "./vocabulary.ts";

/** The script for fish. */
export function fishScript(commands: readonly CommandVocabulary[]): string {
  const names = [...commands.map(({ name }) => name), "help"];
  const lines = [
    "complete -c varscale -f",
    ...commands.map(({ name, summary }) => offerCommand(name, summary)),
    offerCommand("help", "Show the help of a command"),
    `complete -c varscale -n '__fish_seen_subcommand_from help' -a ${quoted(names.join(" "))}`,
    ...commands.flatMap(linesOf),
  ];
  return `# Completions of varscale for fish; to load them: varscale completions fish | source

${lines.join("\n")}
`;
}

function offerCommand(name: string, summary: string): string {
  return `complete -c varscale -n '__fish_use_subcommand' -a ${quoted(name)} -d ${quoted(summary)}`;
}

function linesOf({ name, options, first, others }: CommandVocabulary): string[] {
  const seen = `complete -c varscale -n '__fish_seen_subcommand_from ${name}'`;
  return [
    ...options.flatMap((option) => optionLines(seen, option)),
    ...[...new Set([first, others].flatMap(({ words }) => words))].map((word) =>
      `${seen} -a ${quoted(word.includes(" ") ? `"${word}"` : word)}`
    ),
    ...([first, others].some(({ paths }) => paths !== undefined) ? [`${seen} -F`] : []),
  ];
}

function optionLines(seen: string, option: OptionVocabulary): string[] {
  const { name, short, negation, help, placeholder, value } = option;
  const letters = short === undefined ? "" : ` -s ${short.slice(1)}`;
  const taken = placeholder === undefined ? "" : ` -r${valueWords(value)}`;
  const line = `${seen} -l ${name.slice(2)}${letters}${taken} -d ${quoted(help)}`;
  return negation === undefined ? [line] : [line, `${seen} -l ${negation.slice(2)} -d ${quoted(help)}`];
}

/** What follows an option: words, files, or both. */
function valueWords({ words, paths }: Places): string {
  const offered = words.length === 0 ? "" : ` -a ${quoted(words.join(" "))}`;
  if (paths === "folders") return `${offered} -a '(__fish_complete_directories)' -f`;
  return `${offered} ${paths === undefined ? "-f" : "-F"}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
