/** Files that are there whole or not at all. */

import { assertEquals, assertRejects } from "@std/assert";
import { replaceFile, requireFolder, writeWhole } from "../../../cli/output/whole_file.ts";
import { UsageError } from "../../../cli/io.ts";
import { deno } from "../../deno_process.ts";
import { filesIn, testInFolder } from "../run.ts";

testInFolder("writeWhole writes a file whole or not at all", async (folder) => {
  await writeWhole(`${folder}/a`, "first");
  await writeWhole(`${folder}/a`, "second");
  assertEquals(await Deno.readTextFile(`${folder}/a`), "second");
  await Deno.mkdir(`${folder}/taken`);
  const taken = `${folder}/taken`;
  await assertRejects(() => writeWhole(taken, "content"), Error, `Cannot write ${taken}: it is a folder`);
  assertEquals(filesIn(folder), ["a", "taken"]);
});

Deno.test({
  name: "replaceFile: a full disk is said of the file that was meant, other errors stay as they are",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    // In a process that may do everything, as nobody else may open a device.
    const { out } = await deno([
      "eval",
      `import { replaceFile } from "./cli/output/whole_file.ts";
      const full = replaceFile("/none/images.npz", async () => {
        using file = await Deno.open("/dev/full", { write: true });
        await file.write(new Uint8Array(1));
      });
      console.log(await full.catch(({ message }) => message));`,
    ]);
    assertEquals(out, "Cannot write /none/images.npz: the disk is full\n");
    const read = replaceFile("/none/images.npz", async () => void await Deno.readFile("/none/other.png"));
    await assertRejects(() => read, Deno.errors.NotFound, "'/none/other.png'");
    const own = replaceFile("/none/images.npz", () => Promise.reject(new UsageError("no images")));
    await assertRejects(() => own, UsageError, "no images");
  },
});

testInFolder("requireFolder: a folder that can be made passes, and nothing is made", async (folder) => {
  await Deno.writeTextFile(`${folder}/file`, "");
  await requireFolder(folder);
  await requireFolder(`${folder}/a/b`);
  const refused = async (path: string, reason: string): Promise<void> => {
    const { message } = await assertRejects(() => requireFolder(path), UsageError);
    assertEquals(message, `Cannot write to ${path}: ${reason}; choose another --output`);
  };
  await refused(`${folder}/file`, "it is a file and no folder");
  await refused(`${folder}/file/a/b`, `${folder}/file is a file and no folder`);
  await refused(`${folder}/${"a".repeat(300)}`, "its name is too long");
  await refused(`${folder}/a\0b`, "its name holds a NUL character");
  assertEquals(filesIn(folder), ["file"]);
});
