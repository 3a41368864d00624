/** What the images of a run show: numbers and names of files, before there is any image. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { FolderPlace } from "../../../cli/series/folder_place.ts";
import {
  cellOfClassImage,
  classImage,
  ClassSubjects,
  isSeriesImage,
  MAX_PROMPTS,
  PromptSubjects,
} from "../../../cli/series/subjects.ts";
import { filesIn, testInFolder } from "../run.ts";

/** Prompts of which nothing is known. */
function given(...prompts: string[]) {
  return prompts.map((prompt) => ({ prompt, line: JSON.stringify({ prompt }) }));
}

Deno.test("classImage and cellOfClassImage are inverse, and other names are no images", () => {
  for (const cell of [{ subject: 0, image: 0 }, { subject: 999, image: 1234 }]) {
    assertEquals(cellOfClassImage(classImage(cell)), cell);
  }
  for (const name of ["class_1_img_.png", "class_1_img_1.png.tmp", "00001", "class_-1_img_1.png"]) {
    assertEquals(cellOfClassImage(name), undefined);
  }
  assertEquals(["class_3_img_0.png", "00012", "123456", "0001", "samples", "run.json"].map(isSeriesImage), [
    ...[true, true, true, false, false, false],
  ]);
});

Deno.test("ClassSubjects: a number belongs to one image, and stays when there are more images", () => {
  const numbers = (each: number) => {
    const subjects = new ClassSubjects({ classes: [0, 2, 4], imagesPerClass: each }, 5);
    return new Map(subjects.cells.map((cell) => [subjects.fileOf(cell), subjects.numberOf(cell)]));
  };
  const [few, many] = [numbers(2), numbers(3)];
  assertEquals(new Set(many.values()).size, 9);
  for (const [file, number] of few) assertEquals(many.get(file), number);
  const error = assertThrows(
    () => new ClassSubjects({ classes: [0], imagesPerClass: 16778 }, 1000),
    UsageError,
  );
  assertEquals(
    error.message,
    "Option --num-images-per-class must be at most 16777 for 1000 classes: current value is 16778",
  );
});

Deno.test("PromptSubjects: files are where GenEval's scorer looks, and numbers stay when the run grows", () => {
  const numbers = (each: number, ...prompts: string[]) => {
    const subjects = new PromptSubjects(given(...prompts), each);
    return new Map(subjects.cells.map((cell) => [subjects.fileOf(cell), subjects.numberOf(cell)]));
  };
  const few = numbers(2, "a", "b");
  assertEquals([...few.keys()], [
    "00000/samples/00000.png",
    "00000/samples/00001.png",
    "00001/samples/00000.png",
    "00001/samples/00001.png",
  ]);
  const many = numbers(4, "a", "b", "b");
  assertEquals(new Set(many.values()).size, 12);
  for (const [file, number] of few) assertEquals(many.get(file), number);
  // The last number that an image may have.
  const last = new PromptSubjects(given(...Array(MAX_PROMPTS).fill("a")), 1);
  assertEquals(last.numberOf({ subject: MAX_PROMPTS - 1, image: 255 }), 2 ** 24 - 1);
  assertThrows(() => new PromptSubjects(given(...Array(MAX_PROMPTS + 1).fill("a")), 1), UsageError, "65536");
  assertThrows(() => new PromptSubjects(given("a"), 257), UsageError, "--num-images must be at most 256");
});

testInFolder("PromptSubjects: what is known of a prompt lies beside its images, once", async (folder) => {
  const line = '{"tag":  "colors", "prompt": "a red cube"}';
  const place = new FolderPlace(folder);
  const subjects = new PromptSubjects([...given("a"), { prompt: "a red cube", line }], 1);
  await subjects.begin(place, subjects.cells.slice(1));
  assertEquals(filesIn(folder), ["00001"]);
  assertEquals(filesIn(`${folder}/00001`), ["metadata.jsonl", "samples"]);
  assertEquals(await Deno.readTextFile(`${folder}/00001/metadata.jsonl`), `${line}\n`);
  const { mtime } = await Deno.stat(`${folder}/00001/metadata.jsonl`);
  await subjects.begin(place, subjects.cells);
  assertEquals((await Deno.stat(`${folder}/00001/metadata.jsonl`)).mtime, mtime);
  const other = new PromptSubjects(given("a", "a red cube"), 1);
  await assertRejects(
    () => other.begin(place, other.cells),
    UsageError,
    "00001/metadata.jsonl tells something else of the prompt; choose another --output",
  );
});
