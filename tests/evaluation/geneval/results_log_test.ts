import { assert, assertEquals, assertRejects } from "@std/assert";
import type { GenEvalPicture } from "../../../evaluation/geneval/harness.ts";
import {
  type GenEvalResult,
  parseGenEvalResults,
  pythonJson,
} from "../../../evaluation/geneval/results_file.ts";
import { ResultsLog } from "../../../evaluation/geneval/results_log.ts";

const prompt = { tag: "single_object", include: [{ class: "dog", count: 1 }], prompt: "a dog" };
const JUDGE = "an owl";

const pictures = Array.from({ length: 3 }, (_, i): GenEvalPicture => ({
  filename: `images/0000${i}/samples/00000.png`,
  prompt,
  hash: () => Promise.resolve(`hash ${i}`),
  read: () => Promise.reject(new Error("It is not read")),
}));

const results = pictures.map(({ filename }, i): GenEvalResult => ({
  ...{ filename, tag: prompt.tag, prompt: prompt.prompt, correct: i === 1, reason: "", details: "{}" },
  ...{ metadata: pythonJson(prompt), judge: JUDGE, picture: `hash ${i}` },
}));

async function inFolder(test: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-log-" });
  try {
    await test(`${folder}/results.jsonl`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const namesIn = (path: string) =>
  Array.from(Deno.readDirSync(path.replace(/\/[^/]*$/, "")), ({ name }) => name).sort();

Deno.test("ResultsLog: what was interrupted goes on, and has its name when it is whole", async () => {
  await inFolder(async (path) => {
    {
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
      assertEquals(log.missing, pictures);
      await log.append(results[0]!);
      await log.append(results[1]!);
    }
    assertEquals(namesIn(path), ["results.jsonl.part"]);
    // As a process leaves it that ends in the middle of a line.
    await Deno.writeTextFile(`${path}.part`, '{"filename":"ima', { append: true });
    {
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
      assertEquals([log.results, log.missing], [results.slice(0, 2), pictures.slice(2)]);
      await log.append(results[2]!);
      await log.finish();
      assertEquals(log.results, results);
    }
    assertEquals(namesIn(path), ["results.jsonl"]);
    assertEquals(parseGenEvalResults(await Deno.readTextFile(path)), results);
    const { mtime } = await Deno.stat(path);
    using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
    await log.finish();
    assertEquals([log.results, log.missing], [results, []]);
    assertEquals((await Deno.stat(path)).mtime, mtime);
  });
});

Deno.test("ResultsLog: more pictures add to results that are whole, which stay until then", async () => {
  await inFolder(async (path) => {
    const before = async (count: number) => {
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures: pictures.slice(0, count) });
      for (const picture of log.missing) await log.append(results[pictures.indexOf(picture)]!);
      await log.finish();
    };
    await before(2);
    using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
    assertEquals(log.missing, pictures.slice(2));
    assertEquals(parseGenEvalResults(await Deno.readTextFile(path)).length, 2);
    await assertRejects(
      () => ResultsLog.open(path, { judge: JUDGE, pictures }),
      Error,
      "another process is at it",
    );
    await log.append(results[2]!);
    await log.finish();
    assertEquals(parseGenEvalResults(await Deno.readTextFile(path)), results);
  });
});

Deno.test("ResultsLog: one in which nothing was written leaves no file", async () => {
  await inFolder(async (path) => {
    {
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
      assertEquals([log.missing, namesIn(path)], [pictures, ["results.jsonl.part"]]);
    }
    assertEquals(namesIn(path), []);
    {
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures: [] });
      await log.finish();
    }
    assertEquals(namesIn(path), ["results.jsonl"]);
  });
});

Deno.test("ResultsLog: refuses results of others, and begins anew if it is told to", async () => {
  const { judge: _judge, ...official } = results[0]!;
  const bad: [GenEvalResult, string][] = [
    [official, "it has one by GenEval's script or somebody unnamed"],
    [{ ...results[0]!, judge: "a fox" }, "must have results by an owl: it has one by a fox"],
    [
      { ...results[0]!, filename: "images/00007/samples/00000.png" },
      "of this folder: it has one of images/00007",
    ],
    [{ ...results[0]!, metadata: "{}", prompt: "a cup" }, 'it has one of "a cup"'],
    [{ ...results[0]!, picture: "another" }, "of these pictures: it has one of another images/00000"],
  ];
  for (const [result, words] of bad) {
    await inFolder(async (path) => {
      await Deno.writeTextFile(path, `${JSON.stringify(result)}\n`);
      await assertRejects(() => ResultsLog.open(path, { judge: JUDGE, pictures }), RangeError, words);
      assertEquals(namesIn(path), ["results.jsonl"]);
      using log = await ResultsLog.open(path, { judge: JUDGE, pictures, overwrite: true });
      assertEquals([log.results, log.missing], [[], pictures]);
      assert(namesIn(path).includes("results.jsonl"));
    });
  }
});

Deno.test("ResultsLog: the same results are good wherever the folder lies", async () => {
  await inFolder(async (path) => {
    const moved = results.map((result) => ({
      ...result,
      filename: `C:\\elsewhere\\${result.filename.replaceAll("/", "\\")}`,
    }));
    await Deno.writeTextFile(path, moved.map((result) => `${JSON.stringify(result)}\n`).join(""));
    using log = await ResultsLog.open(path, { judge: JUDGE, pictures });
    assertEquals(log.missing, []);
  });
});
