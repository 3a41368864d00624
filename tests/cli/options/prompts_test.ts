/** Files of prompts, in all their forms. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { type StandardInput, UsageError } from "../../../cli/io.ts";
import { promptsIn, readPrompts } from "../../../cli/options/prompts.ts";
import { fixture, testInFolder } from "../run.ts";

/** No standard input. */
const NOBODY = { signal: new AbortController().signal };

/** Standard input that gives these bytes, piece by piece, and tells when nobody wants more. */
function inputOf(pieces: readonly (string | Uint8Array)[], { terminal = false, ends = true } = {}) {
  const state = { given: 0, ended: false };
  const input: StandardInput = {
    terminal,
    open: () =>
      new ReadableStream({
        pull(controller) {
          const piece = pieces[state.given];
          if (piece === undefined) {
            if (ends) controller.close();
            return;
          }
          state.given += 1;
          controller.enqueue(typeof piece === "string" ? new TextEncoder().encode(piece) : piece);
        },
        cancel: () => void (state.ended = true),
      }, { highWaterMark: 0 }),
  };
  return { input, state };
}

/** The prompts alone. */
function prompts(content: string): string[] {
  return promptsIn(content, "prompts").map(({ prompt }) => prompt);
}

Deno.test("promptsIn: a line is a prompt, blank ones apart, whatever ends it", () => {
  assertEquals(prompts("a fox\nthe sea, at night\n"), ["a fox", "the sea, at night"]);
  assertEquals(prompts('a fox\r\n\r\n  \n a "b" {c}'), ["a fox", ' a "b" {c}']);
  const [quoted] = promptsIn('say "hi"\t', "prompts");
  assertEquals(JSON.parse(quoted!.line), { prompt: 'say "hi"\t' });
});

Deno.test("promptsIn: JSON by the line or as a list keeps what else is said", () => {
  const line = '{"tag": "counting", "include": [{"class": "bus", "count": 2}], "prompt": "two  buses"}';
  assertEquals(promptsIn(`\n${line}\r\n\n{"prompt":""} \n`, "prompts"), [
    { prompt: "two  buses", line },
    { prompt: "", line: '{"prompt":""}' },
  ]);
  assertEquals(promptsIn('[{"id": "7", "prompt": "a fox"},\n "the sea"]', "prompts"), [
    { prompt: "a fox", line: '{"id":"7","prompt":"a fox"}' },
    { prompt: "the sea", line: '{"prompt":"the sea"}' },
  ]);
});

Deno.test("promptsIn: what is no prompt is named", () => {
  for (
    const [content, message] of [
      ["", "Cannot read file: it has no prompts"],
      [" \n\n", "Cannot read file: it has no prompts"],
      ["[]", "Cannot read file: it has no prompts"],
      ["[1, 2", "Cannot read file: it begins like JSON and is none"],
      ['{"prompt": "a"}\nplain', 'Cannot use line 2 of file: it must be a JSON object with a text "prompt"'],
      ['\n{"prompt": 3}', "Cannot use line 2 of file"],
      ['{"text": "a"}', "Cannot use line 1 of file"],
      ['["a", null]', "Cannot use item 1 of file"],
      ['{"prompt": "a"}\n[]', "Cannot use line 2 of file"],
    ] as const
  ) {
    const error = assertThrows(() => promptsIn(content, "file"), UsageError);
    assertEquals(error.message.slice(0, message.length), message);
  }
});

testInFolder(
  "readPrompts: the recorded captions are GenEval's lines; other bytes are refused",
  async (folder) => {
    const path = fixture("golden/demo-t2i/captions.jsonl");
    const captions = await readPrompts(path, NOBODY);
    assertEquals(captions.length, 200);
    assertEquals(captions.map(({ line }) => `${line}\n`).join(""), await Deno.readTextFile(path));
    assertEquals(
      captions.map(({ line, prompt }) => JSON.parse(line).prompt === prompt).includes(false),
      false,
    );

    await Deno.writeFile(`${folder}/marked`, new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0x0a]));
    assertEquals((await readPrompts(`${folder}/marked`, NOBODY)).map(({ prompt }) => prompt), ["a"]);
    await Deno.writeFile(`${folder}/latin`, new Uint8Array([0x63, 0x61, 0x66, 0xe9]));
    for (
      const [file, message] of [
        ["latin", "it is no text in UTF-8"],
        ["none", "no such file"],
        [".", "it is a folder"],
      ] as const
    ) {
      const error = await assertRejects(() => readPrompts(`${folder}/${file}`, NOBODY), UsageError);
      assertEquals(error.message.startsWith(`Cannot read ${folder}/${file}: `), true);
      assertEquals(error.message.includes(message), true, error.message);
    }
  },
);

Deno.test("readPrompts: a dash is standard input, whatever pieces it comes in", async () => {
  const { signal } = NOBODY;
  const fox = new TextEncoder().encode("a füchs");
  const { input } = inputOf([fox.subarray(0, 4), fox.subarray(4), "\nthe", " sea\n"]);
  const lines = await readPrompts("-", { input, signal });
  assertEquals(lines.map(({ prompt }) => prompt), ["a füchs", "the sea"]);
  const json = inputOf(['{"prompt": "a fox", "tag": 1}\n', '{"prompt": "the sea"}\n']);
  assertEquals((await readPrompts("-", { input: json.input, signal }))[0], {
    prompt: "a fox",
    line: '{"prompt": "a fox", "tag": 1}',
  });
});

Deno.test("readPrompts: standard input that gives no prompts is refused with the reason", async () => {
  const { signal } = NOBODY;
  const cases: [input: StandardInput | undefined, reason: string][] = [
    [undefined, "Cannot read standard input: there is none"],
    [inputOf([], { terminal: true }).input, "it is a terminal; pipe a text into it, or name a file"],
    [inputOf([]).input, "Cannot read standard input: it has no prompts"],
    [inputOf([new Uint8Array([0xff])]).input, "it is no text in UTF-8"],
    [inputOf(['{"prompt": 1}']).input, "Cannot use line 1 of standard input"],
  ];
  for (const [input, reason] of cases) {
    const error = await assertRejects(() => readPrompts("-", { input, signal }), UsageError);
    assertStringIncludes(error.message, reason);
  }
});

Deno.test("readPrompts: standard input without an end is read as far as it may be long", async () => {
  const piece = new Uint8Array(2 ** 24).fill(0x61);
  const { input, state } = inputOf(Array(1000).fill(piece));
  const error = await assertRejects(() => readPrompts("-", { input, signal: NOBODY.signal }), UsageError);
  assertStringIncludes(error.message, "it must have at most 64.0 MiB: more is coming");
  assertEquals(state, { given: 5, ended: true });
});

Deno.test("readPrompts: who waits for standard input can be ended", async () => {
  const controller = new AbortController();
  const { input, state } = inputOf(["a fox"], { ends: false });
  const waiting = readPrompts("-", { input, signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")));
  await assertRejects(() => waiting, UsageError, "enough");
  assertEquals(state.ended, true);
});
