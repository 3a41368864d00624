/**
 * The completions of zsh, by its own `_arguments`.
 *
 * @module
 */

import type { CommandVocabulary, OptionVocabulary, Places } from "./vocabulary.ts";

/** The script for zsh. */
export function zshScript(commands: readonly CommandVocabulary[]): string {
  const titles = [
    ...commands.map(({ name, summary }) => `${name}:${summary}`),
    "help:Show the help of a command",
  ];
  return `#compdef varscale
# Completions of varscale for zsh; to load them: source <(varscale completions zsh)

_varscale() {
  local -a commands
  commands=(
${titles.map((title) => `    ${quoted(title)}`).join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    return
  fi
  local command=$words[2]
  if [[ $command == help ]]; then
    _describe -t commands command commands
    return
  fi
  # The name of the command stands for that of the program.
  shift words
  ((CURRENT--))
  case $command in
${commands.map(commandCase).join("\n")}
  esac
}

compdef _varscale varscale
`;
}

function commandCase({ name, options, first, others }: CommandVocabulary): string {
  const specs = [
    ...options.flatMap(optionSpecs),
    ...operandSpec("1", first),
    ...operandSpec("*", others),
  ];
  return `  ${name})\n    _arguments -s \\\n${
    specs.map((spec) => `      ${quoted(spec)}`).join(" \\\n")
  }\n    ;;`;
}

function optionSpecs(option: OptionVocabulary): string[] {
  const { name, short, negation, help, placeholder, value } = option;
  const all = [name, ...(negation === undefined ? [] : [negation]), ...(short === undefined ? [] : [short])];
  // What is given once is not offered again.
  const excluded = `(${all.join(" ")})`;
  const tail = `[${escaped(help)}]${placeholder === undefined ? "" : valueSpec(placeholder, value)}`;
  return all.map((one) => {
    if (placeholder === undefined) return `${excluded}${one}${tail}`;
    return one.startsWith("--") ? `${excluded}${one}=${tail}` : `${excluded}${one}+${tail}`;
  });
}

function operandSpec(which: string, places: Places): string[] {
  const action = actionOf(places);
  return action === "" ? [] : [`${which}:argument:${action}`];
}

function valueSpec(placeholder: string, places: Places): string {
  return `:${escaped(placeholder)}:${actionOf(places)}`;
}

/** What offers the values: a function of zsh, or words in parentheses. */
function actionOf({ words, listed, paths }: Places): string {
  const files = paths === "folders" ? "_files -/" : "_files";
  const plain = `(${words.map((word) => escaped(word).replaceAll(" ", "\\ ")).join(" ")})`;
  if (words.length === 0) return paths === undefined ? "" : files;
  if (paths !== undefined) return `_alternative "words:word:${plain}" "paths:path:${files}"`;
  return listed ? `_values -s , value ${words.join(" ")}` : plain;
}

/** A text inside a specification, whose parts colons and brackets tell apart. */
function escaped(text: string): string {
  return text.replaceAll(/[\\:[\]()"]/g, "\\$&");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
