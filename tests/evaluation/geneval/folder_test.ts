import { assertEquals, assertRejects } from "@std/assert";
import { openGenEvalFolder } from "../../../evaluation/geneval/folder.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

const promptOf = (name: string) => ({
  tag: "single_object",
  include: [{ class: name, count: 1 }],
  prompt: name,
});

/** Writes pictures of some prompts, `counts` of each, and gives the folder to a test. */
async function withFolder(counts: readonly number[], test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-geneval-" });
  try {
    for (const [i, count] of counts.entries()) {
      const place = `${folder}/${String(i).padStart(5, "0")}`;
      await Deno.mkdir(`${place}/samples`, { recursive: true });
      // As Python may write it.
      await Deno.writeTextFile(`${place}/metadata.jsonl`, JSON.stringify(promptOf(`thing ${i}`), null, 1));
      for (let image = 0; image < count; image++) {
        await Deno.writeFile(
          `${place}/samples/${String(image).padStart(4, "0")}.png`,
          new RgbaImage(i + 1, 1).png(),
        );
      }
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openGenEvalFolder: finds pictures in the order of their numbers, and passes by what else is there", async () => {
  await withFolder(Array(12).fill(2), async (folder) => {
    await Deno.writeTextFile(`${folder}/run.json`, "{}");
    await Deno.writeTextFile(`${folder}/00003/samples/0000.txt`, "");
    await Deno.mkdir(`${folder}/notes`);
    const pictures = await openGenEvalFolder(folder);
    assertEquals(pictures.length, 24);
    assertEquals(pictures[7]!.filename, `${folder}/00003/samples/0001.png`);
    const { pixels, picture } = await pictures[7]!.read();
    assertEquals([pixels.width, picture], [4, await pictures[6]!.hash()]);
    assertEquals(pictures[7]!.prompt.prompt, "thing 3");
    const prompts = Array.from({ length: 12 }, (_, i) => promptOf(`thing ${i}`));
    assertEquals((await openGenEvalFolder(folder, { prompts })).length, 24);
    await Deno.remove(`${folder}/00003/metadata.jsonl`);
    assertEquals((await openGenEvalFolder(folder, { prompts })).length, 24);
    await assertRejects(() => openGenEvalFolder(folder), TypeError, "00003/metadata.jsonl is missing");
  });
});

Deno.test("openGenEvalFolder: pictures that are not there are named, unless that is allowed", async () => {
  await withFolder([2, 1, 0], async (folder) => {
    const words = `00001/samples has 1, ${folder}/00002/samples has 0`;
    await assertRejects(() => openGenEvalFolder(folder), RangeError, words);
    assertEquals((await openGenEvalFolder(folder, { allowMissing: true })).length, 3);
    const prompts = [0, 1, 2, 3, 4].map((i) => promptOf(`thing ${i}`));
    await assertRejects(
      () => openGenEvalFolder(folder, { prompts }),
      RangeError,
      "prompt 3, prompt 4 has none",
    );
  });
  await withFolder([0], async (folder) => {
    await assertRejects(() => openGenEvalFolder(folder), RangeError, "must have pictures like");
    await assertRejects(
      () => openGenEvalFolder(`${folder}/00000`),
      RangeError,
      "must have folders like 00000",
    );
    await assertRejects(() => openGenEvalFolder(`${folder}/none`), Deno.errors.NotFound);
  });
});

Deno.test("openGenEvalFolder: refuses prompts that do not fit, and files that are none", async () => {
  await withFolder([1, 1], async (folder) => {
    const prompts = [promptOf("thing 0"), promptOf("thing 5")];
    await assertRejects(
      () => openGenEvalFolder(folder, { prompts }),
      TypeError,
      'prompt 1, "thing 5": it tells of',
    );
    await assertRejects(
      () => openGenEvalFolder(folder, { prompts: prompts.slice(1) }),
      TypeError,
      '"thing 5"',
    );
    const [picture] = await openGenEvalFolder(folder);
    await Deno.writeTextFile(`${folder}/00000/samples/0000.png`, "no picture");
    await assertRejects(() => picture!.read(), TypeError, "00000/samples/0000.png");
    await Deno.writeTextFile(`${folder}/00001/metadata.jsonl`, "{");
    await assertRejects(() => openGenEvalFolder(folder), TypeError, "00001/metadata.jsonl as it is no JSON");
  });
});
