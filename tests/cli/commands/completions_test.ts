/**
 * `varscale completions`: the scripts of all shells, completing in a real bash, and in zsh and fish where
 * they are installed as far as each can tell without a terminal.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { COMMANDS } from "../../../cli/commands.ts";
import { run, succeed, testInFolder } from "../run.ts";

/** Runs a program on a text; `undefined` if it is not installed. */
async function ask(program: string, args: readonly string[], cwd: string): Promise<string | undefined> {
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd,
      env: { HOME: cwd, LC_ALL: "C.UTF-8" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    assertEquals([code, err], [0, ""]);
    return out;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** What bash would offer for a command line, whose last word is being typed. */
const ASK_BASH = `
source ../completions.bash
while IFS= read -r line; do
  IFS='|' read -r -a COMP_WORDS <<< "$line|"
  COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)) COMPREPLY=()
  _varscale
  (IFS='|'; printf '%s\\n' "\${COMPREPLY[*]}")
done < ../lines
complete -p varscale
`;

testInFolder("varscale completions: bash completes all that the tables know", async (folder) => {
  const { out } = await succeed("completions", "bash");
  await Deno.writeTextFile(`${folder}/completions.bash`, out);
  await Deno.mkdir(`${folder}/here/models`, { recursive: true });
  await Deno.writeTextFile(`${folder}/here/a picture.png`, "");
  const reds = "sphere cube cylinder cone torus diamond cross capsule".split(" ");
  // The words of a line, separated by bars, and what is offered for the last.
  const cases: [line: string, offered: readonly string[]][] = [
    ["varscale|", [...COMMANDS.map(({ name }) => name), "help", "--help", "--version"]],
    ["varscale|gene", ["generate", "geneval"]],
    ["varscale|help|sw", ["sweep"]],
    ["varscale|generate|--me", ["--memory", "--method"]],
    ["varscale|generate|--no-gr", ["--no-grid"]],
    ["varscale|generate|--device|", ["auto", "webgpu", "cpu"]],
    ["varscale|generate|--device|=|w", ["webgpu"]],
    ["varscale|generate|--cpu_provider|na", ["native"]],
    ["varscale|generate|--method|tts-var,v", ["tts-var,var-scaling"]],
    ["varscale|generate|--method|var-scaling,v", []],
    ["varscale|generate|--model|de", ["demo", "demo-t2i"]],
    ["varscale|generate|--prompts|", ["a\\ picture.png", "models/"]],
    ["varscale|generate|-o|", ["models/"]],
    ["varscale|generate|--seed|", []],
    ["varscale|generate|red", reds.map((solid) => `red\\ ${solid}`)],
    ["varscale|generate|--seed|7|red\\ tor", ["red\\ torus"]],
    ['varscale|generate|"red tor', ["red torus"]],
    ["varscale|analyze|sc", ["scales"]],
    ["varscale|analyze|--seed|3|sc", ["scales"]],
    ["varscale|analyze|scales|red\\ tor", ["red\\ torus"]],
    ["varscale|edit|a", ["a\\ picture.png"]],
    ["varscale|npz|", ["models/"]],
    ["varscale|setup|", ["native"]],
    ["varscale|completions|", ["bash", "zsh", "fish"]],
    ["varscale|no-such-command|--", []],
  ];
  await Deno.writeTextFile(`${folder}/lines`, cases.map(([line]) => `${line}\n`).join(""));
  const answer = await ask("bash", ["--norc", "-c", ASK_BASH], `${folder}/here`);
  if (answer === undefined) throw new Error("bash is needed for this test");
  const offered = answer.trimEnd().split("\n");
  for (const [i, [line, expected]] of cases.entries()) {
    const found = offered[i]!.split("|").filter((word) => word !== "");
    assertEquals(found.sort(), [...expected].sort(), line);
  }
  assertEquals(offered.at(-1), "complete -F _varscale varscale");
});

testInFolder(
  "varscale completions: every option of every command is offered by each shell",
  async (folder) => {
    const scripts = { bash: "", zsh: "", fish: "" };
    for (const shell of ["bash", "zsh", "fish"] as const) {
      scripts[shell] = (await succeed("completions", shell)).out;
    }
    for (const { name, load } of COMMANDS) {
      for (const key of Object.keys((await load()).options)) {
        const option = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
        assertStringIncludes(scripts.bash, `${option}\n`, `${name} ${option}`);
        assertStringIncludes(scripts.zsh, `)${option}`, `${name} ${option}`);
        assertStringIncludes(
          scripts.fish,
          `'__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`,
          `${name} ${option}`,
        );
      }
    }
    await Deno.writeTextFile(`${folder}/_varscale`, scripts.zsh);
    await Deno.writeTextFile(`${folder}/varscale.fish`, scripts.fish);
    await ask("zsh", ["-n", "_varscale"], folder);
    const fish = await ask("fish", [
      "-N",
      "-c",
      'source varscale.fish; complete -C "varscale generate --device w"',
    ], folder);
    if (fish !== undefined) assertEquals(fish.split("\t")[0], "webgpu");
  },
);

Deno.test("varscale completions: a shell that is none is refused with those that are", async () => {
  for (
    const [args, words] of [
      [["bsh"], 'The shell must be bash, zsh or fish: current value is "bsh"; did you mean bash?'],
      [[], "The shell must be bash, zsh or fish\n"],
      [["constructor"], 'current value is "constructor"'],
      [["bash", "zsh"], 'Unexpected argument "zsh"'],
    ] as const
  ) {
    const { code, err } = await run(["completions", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(err, words);
  }
});
