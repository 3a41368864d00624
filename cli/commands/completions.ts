/**
 * `varscale completions`: the script with which a shell completes command lines, made from the tables of all
 * commands.
 *
 * @module
 */

import { BUNDLED_MODELS, openModelFolder } from "../../mod.ts";
import { type Command, command, type Title } from "../command.ts";
import { bashScript } from "../completions/bash.ts";
import { fishScript } from "../completions/fish.ts";
import { type CommandVocabulary, vocabularyOf } from "../completions/vocabulary.ts";
import { zshScript } from "../completions/zsh.ts";
import { type Io, UsageError } from "../io.ts";
import { nearest } from "../options/nearest.ts";
import { type Arguments, refuseOperands } from "../options/options.ts";
import { list } from "../output/words.ts";

/** What writes the script of each shell. */
const SHELLS: Readonly<Record<string, (commands: readonly CommandVocabulary[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** A command that can be loaded; the list of them holds this one, too. */
interface Listed extends Title {
  load(): Promise<Command>;
}

/**
 * The command.
 *
 * @param commands All commands.
 */
export function completions(commands: readonly Listed[]): Command {
  return command({
    usage: [Object.keys(SHELLS).join("|")],
    description: [
      "Completes commands, options, the words that an option takes, files and folders, and the classes of the bundled model. " +
      "The script is made once and asks nobody later, so it completes at once; make it anew after an update.",
      "The shell must know varscale as a command: deno install --global --allow-all --name varscale cli/main.ts",
      "bash: source <(varscale completions bash), in ~/.bashrc. zsh: the same with zsh after compinit, in ~/.zshrc. " +
      "fish: varscale completions fish > ~/.config/fish/completions/varscale.fish",
    ],
    options: {},
    examples: ["bash > varscale.bash", "zsh > _varscale", "fish | source"],
    run: (args, io) => run(commands, args, io),
  });
}

async function run(
  commands: readonly Listed[],
  { operands }: Arguments<Record<never, never>>,
  io: Io,
): Promise<void> {
  const [shell] = operands;
  refuseOperands(operands, 1);
  const script = shell !== undefined && Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script === undefined) {
    const names = Object.keys(SHELLS);
    const hint = shell === undefined ? undefined : nearest(shell, names);
    const given = shell === undefined ? "" : `: current value is "${shell}"`;
    throw new UsageError(
      `The shell must be ${list(names, "or")}${given}${hint === undefined ? "" : `; did you mean ${hint}?`}`,
    );
  }
  const known = { models: Object.keys(BUNDLED_MODELS), labels: await bundledLabels() };
  const vocabulary: CommandVocabulary[] = [];
  for (const listed of commands) vocabulary.push(vocabularyOf(listed, await listed.load(), known));
  io.out(script(vocabulary));
}

/** Classes of the model that is taken where none is named. */
async function bundledLabels(): Promise<readonly string[]> {
  using folder = await openModelFolder(BUNDLED_MODELS.demo!);
  const { classNames } = folder.manifest;
  return classNames ?? [];
}
