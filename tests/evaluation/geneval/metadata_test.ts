import { assertEquals, assertThrows } from "@std/assert";
import { parseMetadata } from "../../../evaluation/geneval/metadata.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";

const line = (change: Record<string, unknown> = {}): string =>
  JSON.stringify({ tag: "colors", include: [{ class: "cup", count: 1 }], prompt: "a cup", ...change });

Deno.test("parseMetadata: reads what is there, with what it does not know", async () => {
  const captions = parseMetadata(await Deno.readTextFile(goldenFile("demo-t2i/captions.jsonl")));
  assertEquals(captions.length, 200);
  const [first, second] = parseMetadata(`\n${line({ tag: "mine", more: [1] })}\r\n\n${line()}`);
  assertEquals(JSON.stringify(first), line({ tag: "mine", more: [1] }));
  assertEquals(second!.tag, "colors");
});

Deno.test("parseMetadata: says which line is none of a prompt, and why", () => {
  const position = (value: unknown): string =>
    line({ include: [{ class: "cup", count: 1 }, { class: "dog", count: 1, position: value }] });
  const bad: [string, string][] = [
    ["{", "as it is no JSON"],
    ["[1]", "an object: current value is [1]"],
    [line({ tag: 3 }), 'a text as "tag": current value is 3'],
    [line({ prompt: undefined }), 'a text as "prompt": current value is undefined'],
    [line({ include: [] }), 'a list as "include"'],
    [line({ exclude: {} }), 'a list as "exclude"'],
    [line({ include: [null] }), 'an object as "include[0]"'],
    [line({ include: [{ count: 1 }] }), 'a text as "include[0].class"'],
    [line({ exclude: [{ class: "cup", count: 0 }] }), 'an integer >= 1 as "exclude[0].count"'],
    [line({ include: [{ class: "cup", count: 1, color: 1 }] }), 'a text as "include[0].color"'],
    [position(["beside", 0]), 'an earlier object as "include[1].position"'],
    [position(["above", 1]), 'an earlier object as "include[1].position"'],
    [position(["above", -1]), 'an earlier object as "include[1].position"'],
  ];
  for (const [text, words] of bad) {
    const error = assertThrows(() => parseMetadata(`${line()}\n${text}`, "prompts.jsonl"), TypeError, words);
    assertEquals(error.message.startsWith("Cannot read line 2 of prompts.jsonl"), true, error.message);
  }
});
