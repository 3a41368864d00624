import { assertEquals } from "@std/assert";
import { CLASS_LISTS, genEvalNames } from "../../../evaluation/geneval/class_names.ts";

Deno.test("CLASS_LISTS: COCO's classes by place and by number", () => {
  const { coco, "coco-numbers": numbered } = CLASS_LISTS as Record<string, readonly string[]>;
  assertEquals([coco!.length, new Set(coco).size, numbered!.length], [80, 80, 91]);
  assertEquals(numbered!.filter((name) => name !== ""), coco);
  // Numbers by COCO's annotations.
  const known = {
    1: "person",
    11: "fire hydrant",
    13: "stop sign",
    44: "bottle",
    67: "dining table",
    90: "toothbrush",
  };
  for (const [number, name] of Object.entries(known)) assertEquals(numbered![Number(number)], name);
});

Deno.test("genEvalNames: three are called otherwise, and others stay", () => {
  assertEquals(genEvalNames(["mouse", "remote", "keyboard", "fox"]), [
    "computer mouse",
    "tv remote",
    "computer keyboard",
    "fox",
  ]);
  assertEquals(CLASS_LISTS.coco!.includes("mouse"), false);
});
