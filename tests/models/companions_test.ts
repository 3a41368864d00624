/** Files beside a checkpoint: which are read, from where, and what is refused. */

import { assertEquals, assertRejects } from "@std/assert";
import { pathToFileURL } from "node:url";
import {
  companionNames,
  type FoundCompanion,
  keptCompanions,
  leftOut,
  readCompanions,
} from "../../models/companions.ts";
import type { CheckpointPart } from "../../models/family.ts";
import { createVirtualFolder } from "../../models/folder/virtual_folder.ts";
import type { ModelFolder } from "../../models/folder/model_folder.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { FACTS, inFolder } from "./folder/small_folder.ts";

const PART: CheckpointPart = {
  name: "t5",
  weights: "text_encoder",
  title: "the text encoder",
  landmark: "shared.weight",
  unused: /^$/,
  isIn: () => true,
  companions: [
    { name: "tokenizer.json", as: "text_tokenizer.json", required: true },
    { name: "merges.txt", as: "merges.txt", required: false },
    { name: "config.json", required: false },
  ],
};

/** What was found, in short. */
function told(found: readonly FoundCompanion[]): [name: string, file: string, content: string][] {
  return found.map(({ companion, file, bytes }) => [companion.name, file, new TextDecoder().decode(bytes)]);
}

async function virtualFolder(files: Readonly<Record<string, string>>): Promise<ModelFolder> {
  await using writer = createVirtualFolder("nowhere");
  for (const [name, content] of Object.entries(files)) {
    await writer.write(name, new TextEncoder().encode(content));
  }
  return await writer.finish(FACTS);
}

Deno.test("readCompanions: files are read in the checkpoint's folder, by path or address, those that may be missing if they are there", () =>
  inFolder(async (path) => {
    await Deno.writeTextFile(`${path}/tokenizer.json`, "cuts");
    await Deno.writeTextFile(`${path}/config.json`, "sizes");
    const checkpoint = `${path}/model.safetensors.index.json`;
    const wanted = [["tokenizer.json", `${path}/tokenizer.json`, "cuts"], [
      "config.json",
      `${path}/config.json`,
      "sizes",
    ]];
    assertEquals(told(await readCompanions(PART, checkpoint)), wanted);
    const contents = told(await readCompanions(PART, pathToFileURL(checkpoint))).map(([name, , content]) => [
      name,
      content,
    ]);
    assertEquals(contents, [["tokenizer.json", "cuts"], ["config.json", "sizes"]]);
    assertEquals(await readCompanions({ ...PART, companions: [] }, checkpoint), []);
    await Deno.remove(`${path}/tokenizer.json`);
    const error = await assertRejects(() => readCompanions(PART, checkpoint), ModelFileError);
    assertEquals(error.file, `${path}/tokenizer.json`);
  }));

Deno.test("readCompanions: on a web server, too, where what is refused counts as missing and what is large is not fetched", () =>
  inFolder(async () => {
    let status = 404;
    let large = false;
    let sent = 0;
    const files: Record<string, string> = { "/a%20b/tokenizer.json": "cuts" };
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ url }) => {
      const { pathname } = new URL(url);
      if (files[pathname] === undefined) return new Response(null, { status });
      if (!large) return new Response(files[pathname]);
      // Whoever reads all of it reads a gigabyte.
      const endless = new ReadableStream({
        pull(controller) {
          sent += 2 ** 20;
          controller.enqueue(new Uint8Array(2 ** 20));
          if (sent >= 2 ** 30) controller.close();
        },
      });
      return new Response(endless);
    });
    const base = `http://127.0.0.1:${server.addr.port}/a%20b`;
    for (status of [404, 403, 401, 410]) {
      const found = told(await readCompanions(PART, `${base}/model.safetensors`));
      assertEquals(found, [["tokenizer.json", `${base}/tokenizer.json`, "cuts"]]);
    }
    // What cannot be said now is not missing.
    status = 500;
    await assertRejects(
      () => readCompanions(PART, `${base}/model.safetensors`),
      ModelFileError,
      "merges.txt",
    );
    large = true;
    await assertRejects(
      () => readCompanions(PART, `${base}/model.safetensors`),
      ModelFileError,
      `expected at most ${2 ** 26} bytes, found more`,
    );
    assertEquals(sent < 2 ** 28, true);
  }));

Deno.test("readCompanions: bytes have nothing beside them", async () => {
  const bytes = new Uint8Array(2);
  const error = await assertRejects(() => readCompanions(PART, bytes), TypeError);
  assertEquals(
    error.message,
    "Cannot make the model as t5 must be a path or URL, as tokenizer.json is read beside the text encoder: " +
      "current value is Uint8Array(2)",
  );
  const companions = [{ name: "config.json", required: false }];
  assertEquals(await readCompanions({ ...PART, companions }, bytes), []);
});

Deno.test("keptCompanions: a folder gives what it keeps, and must have what is needed", async () => {
  using folder = await virtualFolder({ "text_tokenizer.json": "cuts", "config.json": "another's" });
  assertEquals(told(await keptCompanions(PART, folder)), [
    ["tokenizer.json", "nowhere/text_tokenizer.json", "cuts"],
  ]);
  using empty = await virtualFolder({ "merges.txt": "merged" });
  const error = await assertRejects(() => keptCompanions(PART, empty), ModelFileError);
  assertEquals([error.file, error.expected], ["nowhere/model.json", '"text_tokenizer.json"']);
  const companions = PART.companions!.slice(1);
  assertEquals(told(await keptCompanions({ ...PART, companions }, empty)), [
    ["merges.txt", "nowhere/merges.txt", "merged"],
  ]);
});

Deno.test("leftOut: with a part go its weights and the files that a folder keeps", () => {
  assertEquals(companionNames(PART), ["text_tokenizer.json", "merges.txt"]);
  assertEquals(leftOut([PART]), { weights: ["text_encoder"], files: ["text_tokenizer.json", "merges.txt"] });
});
