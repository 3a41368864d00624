/** Files that a command line names. */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { readClassNames, readJson, readPicture } from "../../../cli/options/given_files.ts";
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

testInFolder(
  "readJson and readPicture read regular files only, and no further than they may",
  async (folder) => {
    const readers = [readJson, readPicture, readClassNames];
    const fifo = `${folder}/fifo`;
    const pipes = Deno.build.os === "windows" ? [] : [fifo, "/dev/null"];
    if (pipes.length > 0) await new Deno.Command("mkfifo", { args: [fifo] }).output();
    for (const read of readers) {
      await assertRejects(() => read(folder), UsageError, `Cannot read ${folder}: it is a folder`);
      for (const path of pipes) {
        // Whoever opens the pipe waits for ever.
        const late = AbortSignal.timeout(2000);
        const waited = new Promise<never>((_, reject) => {
          late.addEventListener("abort", () => reject(late.reason), { once: true });
        });
        const message = `Cannot read ${path}: it is no regular file`;
        await assertRejects(() => Promise.race([read(path), waited]), UsageError, message);
      }
    }
    const file = `${folder}/large`;
    await Deno.writeTextFile(file, `"${"x".repeat(1534)}"`);
    assertEquals(await readJson(file, 1536), "x".repeat(1534));
    for (const read of [readJson, readPicture]) {
      await assertRejects(
        () => read(file, 1024) as Promise<unknown>,
        UsageError,
        `Cannot read ${file}: it must have at most 1.0 KiB: current size is 1.5 KiB`,
      );
    }
  },
);
