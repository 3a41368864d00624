/** Files that are there whole or not at all. */

import { assertEquals, assertRejects } from "@std/assert";
import { writeWhole } from "../../../cli/output/whole_file.ts";
import { filesIn, testInFolder } from "../run.ts";

testInFolder("writeWhole writes a file whole or not at all", async (folder) => {
  await writeWhole(`${folder}/a`, "first");
  await writeWhole(`${folder}/a`, "second");
  assertEquals(await Deno.readTextFile(`${folder}/a`), "second");
  await Deno.mkdir(`${folder}/taken`);
  await assertRejects(() => writeWhole(`${folder}/taken`, "content"));
  assertEquals(filesIn(folder), ["a", "taken"]);
});
