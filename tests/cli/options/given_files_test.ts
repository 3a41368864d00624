/** Files that a command line names. */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { readClassNames } from "../../../cli/options/given_files.ts";
import { testInFolder } from "../run.ts";

testInFolder("readClassNames takes a JSON list of texts", async (folder) => {
  const file = `${folder}/names.json`;
  await Deno.writeTextFile(file, '["cat", "dog"]');
  assertEquals(await readClassNames(file), ["cat", "dog"]);
  await Deno.writeTextFile(file, '{"0": "cat"}');
  await assertRejects(() => readClassNames(file), UsageError, "must be a JSON list of texts");
  await Deno.writeTextFile(file, "[");
  await assertRejects(() => readClassNames(file), UsageError, `Cannot read ${file}`);
  await assertRejects(() => readClassNames(`${folder}/none`), UsageError, "no such file");
});
