/** Files that a command line names. */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { readClassNames, readPicture } from "../../../cli/options/given_files.ts";
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

testInFolder(
  "readPicture takes PNG, JPEG and WebP by what is in them, and names what it does not",
  async (folder) => {
    const fixtures = new URL("../../fixtures/pictures/", import.meta.url);
    const file = `${folder}/picture.png`;
    for (const name of ["baseline.jpg", "lossy.webp"]) {
      await Deno.copyFile(new URL(name, fixtures), file);
      const { width, height } = await readPicture(file);
      assertEquals([width, height], [45, 33]);
    }
    await Deno.copyFile(new URL("other.avif", fixtures), file);
    await assertRejects(
      () => readPicture(file),
      UsageError,
      `Cannot read ${file}: Cannot decode the picture as it is an AVIF`,
    );
  },
);
