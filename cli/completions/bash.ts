/**
 * The completions of bash, from version 4 on, without the package of that name. The script asks nobody: what
 * can be typed is written in it.
 *
 * @module
 */

import type { CommandVocabulary, OptionVocabulary, Places } from "./vocabulary.ts";

/** The script for bash. */
export function bashScript(commands: readonly CommandVocabulary[]): string {
  const names = [...commands.map(({ name }) => name), "help"];
  return `# Completions of varscale for bash; to load them: source <(varscale completions bash)

# A candidate. Within quotes, which bash closes itself, it stands as it is.
_varscale_add() {
  local word=$1
  if [[ $_varscale_current != [\\"\\']* ]]; then printf -v word %q "$word"; fi
  COMPREPLY+=("$word")
}

# Candidates that begin with what is typed: words, one in each line.
_varscale_words() {
  local word
  while IFS= read -r word; do
    if [[ $word == "$_varscale_typed"* ]]; then _varscale_add "$word"; fi
  done
}

_varscale_paths() {
  local path
  while IFS= read -r path; do
    [[ -n $path ]] || continue
    if [[ -d $path ]]; then
      compopt -o nospace 2> /dev/null
      path+=/
    fi
    _varscale_add "$path"
  done < <(compgen "$1" -- "$_varscale_typed")
}

# Words of a list with commas: those that are not in it yet, after what is.
_varscale_list() {
  local word taken=""
  if [[ $_varscale_typed == *,* ]]; then taken="\${_varscale_typed%,*},"; fi
  while IFS= read -r word; do
    if [[ ,$taken == *,"$word",* ]]; then continue; fi
    if [[ $taken$word == "$_varscale_typed"* ]]; then COMPREPLY+=("$taken$word"); fi
  done
}

_varscale_value() {
  case "$1" in
${commands.flatMap(valueCases).join("\n")}
  *) return 1 ;;
  esac
}

_varscale_options() {
  case "$1" in
${commands.map(optionCase).join("\n")}
  esac
}

_varscale_operand() {
  case "$1" in
${commands.flatMap(operandCases).join("\n")}
  esac
}

_varscale() {
  local _varscale_current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local _varscale_typed command=\${COMP_WORDS[1]} i operands=0
  COMPREPLY=()
  # "=" is a word of its own here: --option = value.
  if [[ $previous == "=" ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $_varscale_current == "=" ]]; then
    _varscale_current=""
  fi
  _varscale_typed=\${_varscale_current#[\\"\\']}
  if [[ $_varscale_typed == "$_varscale_current" ]]; then
    # Not quoted: backslashes stand before what is meant.
    _varscale_typed=\${_varscale_typed//\\\\/}
  fi
  if ((COMP_CWORD == 1)); then
    _varscale_words <<'END'
${names.join("\n")}
--help
--version
END
    return
  fi
  if [[ $command == help ]]; then
    _varscale_words <<'END'
${commands.map(({ name }) => name).join("\n")}
END
    return
  fi
  if _varscale_value "$command \${previous//_/-}"; then return; fi
  if [[ $_varscale_current == -* ]]; then
    _varscale_options "$command"
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* && \${COMP_WORDS[i]} != "=" ]]; then
      if ! _varscale_takes_value "$command \${COMP_WORDS[i-1]//_/-}"; then operands=$((operands + 1)); fi
    fi
  done
  _varscale_operand "$command $((operands > 0))"
}

_varscale_takes_value() {
  case "$1" in
${commands.flatMap(takerCases).join("\n")}
  "${"${command}"} =") return 0 ;;
  esac
  return 1
}

complete -F _varscale varscale
`;
}

/** The options of a command that have something to offer, those with the same in one case. */
function valueCases({ name, options }: CommandVocabulary): string[] {
  const byOffer = new Map<string, string[]>();
  for (const option of options) {
    if (option.placeholder === undefined) continue;
    const lines = offer(option.value);
    byOffer.set(lines, [...byOffer.get(lines) ?? [], ...patterns(name, option)]);
  }
  return [...byOffer].map(([lines, patterns]) => caseOf(patterns, lines));
}

/** All options of a command that take a value. */
function takerCases({ name, options }: CommandVocabulary): string[] {
  const takers = options.filter(({ placeholder }) => placeholder !== undefined);
  if (takers.length === 0) return [];
  return [`  ${takers.flatMap((option) => patterns(name, option)).join(" | ")}) return 0 ;;`];
}

function patterns(command: string, { name, short, aliases }: OptionVocabulary): string[] {
  return [name, ...(short === undefined ? [] : [short]), ...aliases].map((one) => `"${command} ${one}"`);
}

function optionCase({ name, options }: CommandVocabulary): string {
  const names = options.flatMap(({ name, short, negation }) =>
    [name, negation, short].filter((one) => one !== undefined)
  );
  return caseOf([name], wordsOffer(names));
}

function operandCases({ name, first, others }: CommandVocabulary): string[] {
  return [caseOf([`"${name} 0"`], offer(first)), caseOf([`"${name} 1"`], offer(others))];
}

function caseOf(patterns: readonly string[], lines: string): string {
  return `  ${patterns.join(" | ")})\n${lines === "" ? "" : `${lines}\n`}    ;;`;
}

/** The lines of the script that offer what may stand somewhere. */
function offer({ words, listed, paths }: Places): string {
  const flags = { files: "-f", folders: "-d" };
  return [
    ...(words.length === 0 ? [] : [wordsOffer(words, listed)]),
    ...(paths === undefined ? [] : [`    _varscale_paths ${flags[paths]}`]),
  ].join("\n");
}

function wordsOffer(words: readonly string[], listed: boolean = false): string {
  return `    ${listed ? "_varscale_list" : "_varscale_words"} <<'END'\n${words.join("\n")}\nEND`;
}
