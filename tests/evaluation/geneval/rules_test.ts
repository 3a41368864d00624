import { assert, assertEquals, assertThrows } from "@std/assert";
import type { GenEvalPrompt } from "../../../evaluation/geneval/metadata.ts";
import { GENEVAL_TAGS } from "../../../evaluation/geneval/metadata.ts";
import {
  countedObjects,
  type Detection,
  fulfills,
  GENEVAL_RULES,
  objectsToColor,
  relationsOf,
  verdictOf,
} from "../../../evaluation/geneval/rules.ts";
import recorded from "../../fixtures/evaluation/geneval/rules.json" with { type: "json" };

const cases = recorded.cases.map(({ prompt, detections, wrong }) => ({
  prompt: prompt as unknown as GenEvalPrompt,
  wrong,
  detections: detections.map(([label, score, x, y, width, height, color]): Detection => ({
    label: recorded.classes[label!]!,
    score: score!,
    box: [x!, y!, width!, height!],
    color: recorded.colors[color!]!,
  })),
}));

Deno.test("verdictOf: says of made-up objects what the published rules say, requirement by requirement", () => {
  const seen = new Map<string, Set<boolean>>();
  for (const [i, { prompt, detections, wrong }] of cases.entries()) {
    const { correct, reason } = verdictOf(detections, prompt);
    const place = `case ${i}: ${JSON.stringify(prompt)}: ${reason}`;
    assertEquals(correct, wrong.length === 0, place);
    assertEquals(reason === "" ? 0 : reason.split("\n").length, wrong.length, place);
    assertEquals(fulfills(detections, prompt), correct);
    seen.set(prompt.tag, (seen.get(prompt.tag) ?? new Set()).add(correct));
  }
  for (const tag of GENEVAL_TAGS) assertEquals(seen.get(tag)!.size, 2, tag);
});

const dog: Detection = { label: "dog", score: 0.95, box: [0, 0, 16, 16] };
const cup: Detection = { ...dog, label: "cup" };

Deno.test("verdictOf: tells why, a line for each requirement", () => {
  const include = [
    { class: "dog", count: 2, color: "red" },
    { class: "cup", count: 1, position: ["above", 0] as const },
    { class: "bench", count: 3 },
  ];
  const prompt = { tag: "position", include, exclude: [{ class: "cup", count: 1 }], prompt: "many" };
  const dogs = ["red", "black"].map((color) => ({ ...dog, color }));
  assertEquals(verdictOf([...dogs, cup], prompt).reason.split("\n"), [
    "red dog: 2 wanted, 1 found: 1 black, 1 red",
    "cup: to be above the dog, which is not there",
    "bench: 3 wanted, 0 found",
    "cup: fewer than 1 wanted, 1 found",
  ]);
  const beside = { ...prompt, include: [{ class: "dog", count: 1 }, include[1]!], exclude: [] };
  assertEquals(
    verdictOf([dog, { ...cup, box: [100, 0, 16, 16] }], beside).reason,
    "cup: above the dog wanted, right of found",
  );
  assertEquals(verdictOf([dog, cup], beside).reason, "cup: above the dog wanted, no side found");
});

Deno.test("verdictOf: wants a colour of objects whose colour decides, and of no other", () => {
  const prompt = { tag: "colors", include: [{ class: "dog", count: 1, color: "red" }], prompt: "a red dog" };
  assertThrows(() => verdictOf([dog], prompt), TypeError, "a dog must have a colour");
  const weaker = { ...dog, score: 0.5 };
  assertEquals(objectsToColor([weaker, dog, cup], prompt), [dog]);
  assert(fulfills([weaker, { ...dog, color: "red" }, cup], prompt));
  const any = { ...GENEVAL_RULES, colors: "any" } as const;
  assertEquals(objectsToColor([weaker, dog, cup], prompt, any), [dog, weaker]);
  const colored = [{ ...weaker, color: "red" }, { ...dog, color: "blue" }];
  assertEquals([fulfills(colored, prompt), fulfills(colored, prompt, any)], [false, true]);
});

Deno.test("countedObjects: 16 of a class, above the score in float32, the surest first", () => {
  const many = Array.from({ length: 20 }, (_, i) => ({ ...dog, score: 0.5 + i / 100 }));
  const scores = countedObjects(many, { tag: "colors" }).get("dog")!.map(({ score }) => score);
  assertEquals(scores, many.slice(4).reverse().map(({ score }) => score));
  // The float nearest to 0.3 is greater than 0.3 and no more than the threshold.
  const at = { ...dog, score: Math.fround(0.3) };
  assert(at.score > 0.3);
  assertEquals(countedObjects([at], { tag: "colors" }).size, 0);
  assertEquals(countedObjects([{ ...dog, score: 0.9 }], { tag: "counting" }).size, 0);
  assertEquals(countedObjects([{ ...dog, score: NaN }], { tag: "colors" }).size, 0);
});

Deno.test("relationsOf: what is left of the distance counts against the whole or against itself", () => {
  const near: Detection = { ...dog, box: [6, 0, 16, 16] };
  // 6 pixels less 3.2 are 2.8, which is less than half of 6.
  assertEquals(relationsOf(near, dog, { direction: "whole" }), []);
  assertEquals(relationsOf(near, dog, { direction: "left" }), ["right of"]);
  assertEquals(relationsOf(dog, { ...dog, box: [40, 40, 16, 16] }, GENEVAL_RULES), ["left of", "above"]);
});
