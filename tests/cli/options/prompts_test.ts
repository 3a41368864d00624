/** Files of prompts, in all their forms. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { promptsIn, readPrompts } from "../../../cli/options/prompts.ts";
import { fixture, testInFolder } from "../run.ts";

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
    const captions = await readPrompts(path);
    assertEquals(captions.length, 200);
    assertEquals(captions.map(({ line }) => `${line}\n`).join(""), await Deno.readTextFile(path));
    assertEquals(
      captions.map(({ line, prompt }) => JSON.parse(line).prompt === prompt).includes(false),
      false,
    );

    await Deno.writeFile(`${folder}/marked`, new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0x0a]));
    assertEquals((await readPrompts(`${folder}/marked`)).map(({ prompt }) => prompt), ["a"]);
    await Deno.writeFile(`${folder}/latin`, new Uint8Array([0x63, 0x61, 0x66, 0xe9]));
    for (
      const [file, message] of [
        ["latin", "it is no text in UTF-8"],
        ["none", "no such file"],
        [".", "it is a folder"],
      ] as const
    ) {
      const error = await assertRejects(() => readPrompts(`${folder}/${file}`), UsageError);
      assertEquals(error.message.startsWith(`Cannot read ${folder}/${file}: `), true);
      assertEquals(error.message.includes(message), true, error.message);
    }
  },
);
