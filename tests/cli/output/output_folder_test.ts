/** The folder of a generation, an edit or a reconstruction: one process, one record, nothing left over. */

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { OutputFolder } from "../../../cli/output/output_folder.ts";
import { RgbaImage } from "../../../mod.ts";
import { lockFolder } from "../../../cli/series/folder_lock.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

const NEW = { record: "run.json", overwrite: false };
const AGAIN = { record: "run.json", overwrite: true };
const PNG = new Uint8Array([1, 2, 3]);

testInFolder("OutputFolder: what was made for nothing goes, and all else stays", async (folder) => {
  {
    await using _nothing = await OutputFolder.open(`${folder}/a/b/c`, NEW);
    assertEquals(filesIn(`${folder}/a/b/c`), [".lock"]);
  }
  assertEquals(filesIn(folder), []);
  await Deno.mkdir(`${folder}/there`);
  {
    await using _nothing = await OutputFolder.open(`${folder}/there`, NEW);
  }
  assertEquals(filesIn(folder), ["there"]);
  {
    await using output = await OutputFolder.open(`${folder}/a/b`, NEW);
    await output.write("1.png", PNG);
  }
  assertEquals(filesIn(`${folder}/a/b`), ["1.png"]);
});

testInFolder(
  "OutputFolder: a record goes before the first picture that it does not tell of",
  async (folder) => {
    await Deno.writeTextFile(`${folder}/run.json`, "old");
    await assertRejects(() => OutputFolder.open(folder, NEW), UsageError, "run.json: it exists");
    assertEquals(filesIn(folder), ["run.json"]);
    {
      await using _failed = await OutputFolder.open(folder, AGAIN);
    }
    assertEquals(filesIn(folder), ["run.json"]);
    {
      await using interrupted = await OutputFolder.open(folder, AGAIN);
      await interrupted.write("1.png", PNG);
    }
    assertEquals(filesIn(folder), ["1.png"]);
    await using output = await OutputFolder.open(folder, AGAIN);
    await output.write("1.png", PNG);
    assertEquals(await output.finish("new"), undefined);
    assertEquals(await Deno.readTextFile(`${folder}/run.json`), "new");
  },
);

testInFolder("OutputFolder: pictures that are there already are said", async (folder) => {
  for (const name of ["b.png", "a.PNG", "notes.txt", "1.png"]) await Deno.writeFile(`${folder}/${name}`, PNG);
  await using output = await OutputFolder.open(folder, AGAIN);
  await output.write("1.png", PNG);
  const said = `${folder} has 2 pictures beside these that are of another run: a.PNG and b.png`;
  assertEquals(await output.finish("new"), said);
});

testInFolder("OutputFolder: of two that are opened at once, one has the folder", async (folder) => {
  const path = `${folder}/out`;
  for (let round = 0; round < 20; round++) {
    let working = 0;
    const work = async (): Promise<boolean> => {
      try {
        await using output = await OutputFolder.open(path, AGAIN);
        assertEquals(++working, 1);
        await output.write("1.png", PNG);
        working--;
        return true;
      } catch (error) {
        assertStringIncludes((error as Error).message, "as another process is at it");
        return false;
      }
    };
    const done = await Promise.all(Array.from({ length: 4 }, work));
    assertEquals([done.includes(true), filesIn(path)], [true, ["1.png"]]);
    await Deno.remove(path, { recursive: true });
  }
});

testInFolder("varscale: generate, edit and reconstruct lock their folder as run does", async (folder) => {
  const picture = `${folder}/picture.png`;
  await Deno.writeFile(picture, new RgbaImage(64, 64).png());
  const commands = [
    ["generate", "1"],
    ["edit", picture, "--box", "0,0,0.5,1"],
    ["reconstruct", picture],
    ["run"],
  ];
  const out = `${folder}/out`;
  await Deno.mkdir(out);
  for (const command of commands) {
    using _busy = await lockFolder(out, undefined);
    const { code, err } = await run([...command, "-o", out, "--device", "cpu"]);
    assertEquals([code, err], [1, `varscale: Cannot work in ${out} as another process is at it\n`]);
  }
  await succeed("generate", "1", "-o", out, "--device", "cpu", "--quiet");
  const { err } = await succeed(...["generate", "2", "-o", out, "--device", "cpu", "--quiet", "--overwrite"]);
  assertStringIncludes(err, `varscale: warning: ${out} has 1 picture beside these that is of another run: `);
});
