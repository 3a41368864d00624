import { assertEquals } from "@std/assert";
import { command } from "../../../cli/command.ts";
import { vocabularyOf } from "../../../cli/completions/vocabulary.ts";
import { choice, flag, inputFile, integer, text, toggle } from "../../../cli/options/kinds.ts";
import type { OptionTable } from "../../../cli/options/options.ts";

const KNOWN = { models: ["demo", "demo-t2i"], labels: ["red torus", "blue cone"] };
const NOTHING = { words: [], listed: false, paths: undefined };

function vocabulary(usage: readonly string[], options: OptionTable = {}, words: readonly string[] = []) {
  const own = command({ usage, options, words, examples: [], run: () => Promise.resolve() });
  return vocabularyOf({ name: "own", summary: "Own" }, own, KNOWN);
}

Deno.test("vocabularyOf: arguments are those of the usage, without its options", () => {
  const files = { ...NOTHING, paths: "files" as const };
  const folders = { ...NOTHING, paths: "folders" as const };
  const labels = { ...NOTHING, words: KNOWN.labels };
  const cases: [usage: string[], first: unknown, others: unknown][] = [
    [["[LABEL …] [OPTIONS]", "--repeat RUN.json [OPTIONS]"], labels, labels],
    [["--vae-ckpt FILE --output DIR [OPTIONS]", "--model PLACE [OPTIONS]"], NOTHING, NOTHING],
    [["IMAGE --box Y0,X0,Y1,X1 [OPTIONS]", "IMAGE --mask MASK"], files, NOTHING],
    [["IMAGE … [OPTIONS]"], files, files],
    [["PICTURES... [OPTIONS]"], files, files],
    [["FOLDER --detector PLACE [OPTIONS]", "--read FILE [--json]"], folders, NOTHING],
    [["FOLDER|RESULTS.json [OPTIONS]"], files, NOTHING],
    [["PLACE [OPTIONS]"], { words: KNOWN.models, listed: false, paths: "files" }, NOTHING],
    [["bash|zsh|fish"], { ...NOTHING, words: ["bash", "zsh", "fish"] }, NOTHING],
    [["native [OPTIONS]"], { ...NOTHING, words: ["native"] }, NOTHING],
    [["[OPTIONS]"], NOTHING, NOTHING],
  ];
  for (const [usage, first, others] of cases) {
    const found = vocabulary(usage);
    assertEquals([found.first, found.others], [first, others] as typeof found.first[], usage[0]!);
  }
});

Deno.test("vocabularyOf: words take the place of an argument, and what follows stays", () => {
  const { first, others } = vocabulary(["KIND [LABEL …] [OPTIONS]"], {}, ["scales", "densities"]);
  assertEquals(first.words, ["scales", "densities"]);
  assertEquals(others.words, KNOWN.labels);
});

Deno.test("vocabularyOf: options come with their spellings and what they take", () => {
  const methods = { ...choice(["tts-var", "beam"]), placeholder: "NAME,…" };
  const { options } = vocabulary(["[OPTIONS]"], {
    topK: {
      kind: integer("K", 0),
      short: "k",
      help: "Draw from the K likeliest. 0 for all",
      aliases: ["tk"],
    },
    grid: { kind: toggle, help: "Sheet" },
    json: { kind: flag, help: "JSON" },
    method: { kind: methods, help: "What is done" },
    output: { kind: text("DIR"), help: "Folder; made if it is not there" },
    prompts: { kind: inputFile, help: "Prompts" },
    model: { kind: text("PLACE"), help: "Model" },
    colors: { kind: text("clip[:PLACE]|none"), help: "Colours" },
  });
  const by = Object.fromEntries(options.map((option) => [option.name, option]));
  assertEquals(by["--top-k"], {
    ...{ name: "--top-k", short: "-k", negation: undefined, aliases: ["--tk"], placeholder: "K" },
    ...{ help: "Draw from the K likeliest", value: NOTHING },
  });
  assertEquals([by["--grid"]!.negation, by["--grid"]!.placeholder], ["--no-grid", undefined]);
  assertEquals(by["--method"]!.value, { words: ["tts-var", "beam"], listed: true, paths: undefined });
  assertEquals([by["--output"]!.value.paths, by["--output"]!.help], ["folders", "Folder"]);
  assertEquals([by["--prompts"]!.value.paths, by["--model"]!.value.words], ["files", KNOWN.models]);
  assertEquals(by["--colors"]!.value.words, ["none"]);
  // Those that every command has are there, too.
  assertEquals([by["--help"]!.short, by["--debug"]!.placeholder], ["-h", undefined]);
});

Deno.test("vocabularyOf: a long help is cut between words", () => {
  const help = "This option says so very much about what it does that no list beside it has any room";
  const [option] = vocabulary(["[OPTIONS]"], { own: { kind: flag, help } }).options;
  assertEquals(option!.help, "This option says so very much about what it does that no list beside it …");
});
