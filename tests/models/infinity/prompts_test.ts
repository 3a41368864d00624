/** Which texts a request asks for. */

import { assertEquals, assertThrows } from "@std/assert";
import type { Label, ResolvedLabel } from "../../../models/label.ts";
import { resolvePrompt, textOf, textsOf } from "../../../models/infinity/prompts.ts";

const FACES = ". very smooth faces, good looking faces, face to the camera, perfect facial features";

/** The words by which the released code tells a person. */
const PERSONS =
  "man woman men women boy girl child person human adult teenager employee employer worker mother " +
  "father sister brother grandmother grandfather son daughter";

function labelsOf(...labels: Label[]): ResolvedLabel[] {
  return labels.map((label) => resolvePrompt("a model", label));
}

Deno.test("resolvePrompt: any text is a prompt, and null is none", () => {
  for (const prompt of ["a cone", "", " ", "0", "\u{1f680}", "x".repeat(20_000)]) {
    assertEquals(resolvePrompt("a model", prompt), { id: null, name: prompt, prompt });
  }
  assertThrows(
    () => resolvePrompt("a model", "x".repeat(20_001)),
    RangeError,
    "Cannot encode a prompt as its length must be at most 20000 characters: current value is 20001",
  );
  assertEquals(resolvePrompt("a model", null), { id: null, name: "no prompt" });
  for (const label of [3, undefined, {}, ["a cone"], true, Symbol.iterator]) {
    assertThrows(
      () => resolvePrompt("demo-t2i", label as Label),
      TypeError,
      'a label must be a prompt, as the model "demo-t2i" paints texts',
    );
  }
});

Deno.test("textOf: words about faces come after prompts that name a person, wherever the word stands", () => {
  const positive = (prompt: string): string | undefined =>
    textOf(labelsOf(prompt)[0]!, { positivePrompt: true });
  for (const word of PERSONS.split(" ")) {
    assertEquals(positive(`a ${word} in a chair`), `a ${word} in a chair${FACES}`);
  }
  // Parts of words count, large letters do not, and nothing is added twice.
  for (const prompt of ["a mango", "the season", "a woman and a man"]) {
    assertEquals(positive(prompt), prompt + FACES);
  }
  for (const prompt of ["a cone", "", "a Boy", "A MAN"]) assertEquals(positive(prompt), prompt);
  assertEquals(textOf(labelsOf("a woman")[0]!, {}), "a woman");
  assertEquals(textOf(labelsOf("a woman")[0]!, { positivePrompt: false }), "a woman");
  assertEquals(textOf(labelsOf(null)[0]!, { positivePrompt: true }), undefined);
});

Deno.test("textsOf: each text once, with the one to guide away from, which stays as it is", () => {
  const labels = labelsOf("a cone", "a cone", null, "", "a son");
  assertEquals(textsOf(labels, {}), ["a cone", "", "a son"]);
  assertEquals(textsOf(labels, { negativePrompt: "" }), ["a cone", "", "a son"]);
  assertEquals(textsOf(labels, { negativePrompt: "a man", positivePrompt: true }), [
    "a cone",
    "",
    `a son${FACES}`,
    "a man",
  ]);
  assertEquals(textsOf(labelsOf(null), {}), []);
  assertEquals(textsOf(labelsOf(null), { negativePrompt: "a cone" }), ["a cone"]);
});
