import { assertEquals, assertRejects } from "@std/assert";
import { checksumOf, namesOf, spread, subjectsOf } from "../../../evaluation/sweep/subjects.ts";
import { resolveClass } from "../../../models/label.ts";

const labels = { kind: "classes", count: 3, names: ["red cube", "blue cone", "green torus"] } as const;
const classes = {
  name: "three",
  labels,
  resolveLabel: (label: number | string | null) => resolveClass({ name: "three", labels }, label),
};
const texts = {
  name: "words",
  labels: { kind: "texts" },
  resolveLabel: () => ({ id: null, name: "" }),
} as const;

Deno.test("subjectsOf: classes by number and name, each its own group", async () => {
  assertEquals((await subjectsOf(classes)).map(({ label, group }) => [label, group]), [
    [0, "red cube"],
    [1, "blue cone"],
    [2, "green torus"],
  ]);
  const some = await subjectsOf(classes, { labels: ["green torus", 0] });
  assertEquals(some.map(({ number, id }) => [number, id]), [[0, 2], [1, 0]]);
  await assertRejects(() => subjectsOf(classes, { labels: [0, "red cube"] }), RangeError, "all different");
  await assertRejects(
    () => subjectsOf(classes, { prompts: ["a cube"] }),
    TypeError,
    'as the model "three" takes classes',
  );
});

Deno.test("subjectsOf: prompts, files of them, and the bundled captions with their tags", async () => {
  assertEquals((await subjectsOf(texts, { prompts: ["a", "b"] })).map(({ label, group }) => [label, group]), [
    ["a", ""],
    ["b", ""],
  ]);
  const all = await subjectsOf(texts, { file: "demo-t2i" });
  assertEquals([all.length, all[0]!.label, all[0]!.group, all[0]!.caption!.include], [
    200,
    "a photo of a sphere",
    "single_object",
    [{ class: "sphere", count: 1 }],
  ]);
  const few = await subjectsOf(texts, { file: "demo-t2i", limit: 4 });
  assertEquals(few.map(({ number }) => number), [0, 50, 100, 150]);
  await assertRejects(() => subjectsOf(texts), TypeError, "the plan's subjects must have prompts or a file");
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, "a fox\n\n a cat \n");
    assertEquals((await subjectsOf(texts, { file })).map(({ label }) => label), ["a fox", "a cat"]);
    await Deno.writeTextFile(file, '{"prompt": "a fox"}\n{"text": "a cat"}\n');
    await assertRejects(
      () => subjectsOf(texts, { file }),
      TypeError,
      `as line 2 of ${file} must be JSON with prompt`,
    );
    await Deno.writeTextFile(file, "\n");
    await assertRejects(() => subjectsOf(texts, { file }), TypeError, "a line for each prompt");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("subjectsOf: the bundled captions are those of the recorded pictures", async () => {
  const [bundled, recorded] = await Promise.all(
    ["evaluation/judges/demo_t2i_captions.jsonl", "tests/fixtures/golden/demo-t2i/captions.jsonl"].map(
      (path) => {
        return Deno.readTextFile(new URL(`../../../${path}`, import.meta.url));
      },
    ),
  );
  assertEquals(bundled, recorded);
});

Deno.test("spread: all of a list, or some with even gaps", () => {
  assertEquals(spread([1, 2, 3]), [1, 2, 3]);
  assertEquals(spread([1, 2, 3], 9), [1, 2, 3]);
  assertEquals(spread([...Array(200).keys()], 4), [0, 50, 100, 150]);
});

Deno.test("namesOf: classes by their kinds, prompts as long as their file is the same", async () => {
  assertEquals(await namesOf({ labels: "all" }, { groups: ["red cube"] }), ["red cube"]);
  assertEquals(await namesOf({ prompts: ["a", "b"] }, { groups: ["", ""] }), ["a", "b"]);
  const file = await Deno.makeTempFile();
  const names = async (checksum?: string) => await namesOf({ file, limit: 2 }, { groups: [], checksum });
  await Deno.writeTextFile(file, "a cat\na dog\na fox\n");
  const checksum = await checksumOf(await subjectsOf(texts, { file, limit: 2 }));
  assertEquals([await names(checksum), (await names()).length], [["a cat", "a dog", "a fox"], 3]);
  await Deno.writeTextFile(file, "a cow\na dog\na fox\n");
  assertEquals([await names(checksum), (await names()).length], [[], 3]);
  await Deno.remove(file);
  assertEquals(await names(checksum), []);
});
