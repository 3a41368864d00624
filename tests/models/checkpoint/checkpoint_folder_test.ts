/** Checkpoints that are named by their folder: which of its files is taken, on the disk and on the web. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { pathToFileURL } from "node:url";
import { checkpointFile } from "../../../models/checkpoint/checkpoint_folder.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { openModelSource } from "../../../models/convert.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { writeCheckpoint, writeShards } from "../checkpoint_files.ts";
import { filledFlexVar } from "../flexvar/checkpoints.ts";
import { inFolder } from "../folder/small_folder.ts";

const USUAL = [
  "model.safetensors.index.json",
  "pytorch_model.bin.index.json",
  "model.safetensors",
  "pytorch_model.bin",
];
/** What lies beside, and is no checkpoint by its name. */
const OTHERS = ["config.json", "tokenizer.json", "README.md", "flax_model.msgpack"];

/** Fills a folder with empty files. */
async function fill(folder: string, names: readonly string[]): Promise<string> {
  await Deno.mkdir(folder, { recursive: true });
  for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, "");
  return folder;
}

Deno.test("checkpointFile: of a folder the index or file of a usual name is taken, whatever else is there", () =>
  inFolder(async (path) => {
    for (let i = 0; i < USUAL.length; i++) {
      const names = [
        ...USUAL.slice(i),
        ...OTHERS,
        "odd.pth",
        "training_args.bin",
        "x.safetensors.index.json",
      ];
      const folder = await fill(`${path}/${i}`, names);
      assertEquals(await checkpointFile(folder), `${folder}/${USUAL[i]}`);
      assertEquals(await checkpointFile(`${folder}/`), `${folder}/${USUAL[i]}`);
      for (const place of [pathToFileURL(folder), pathToFileURL(`${folder}/`)]) {
        assertEquals(String(await checkpointFile(place)), `file://${folder}/${USUAL[i]}`);
      }
      assertEquals(String(await checkpointFile(`file://${folder}`)), `file://${folder}/${USUAL[i]}`);
    }
  }));

Deno.test("checkpointFile: of other names there must be one, an index before its shards", () =>
  inFolder(async (path) => {
    const single = ["a.safetensors", "b c.pth", "d.bin", "e.pt"];
    for (const [i, name] of single.entries()) {
      assertEquals(
        await checkpointFile(await fill(`${path}/${i}`, [name, ...OTHERS])),
        `${path}/${i}/${name}`,
      );
    }
    const shards = ["my-1.safetensors", "my-2.safetensors"];
    const indexed = await fill(`${path}/indexed`, ["my.safetensors.index.json", ...shards]);
    assertEquals(await checkpointFile(indexed), `${indexed}/my.safetensors.index.json`);
    const refusal = async (folder: string): Promise<string | undefined> => {
      const error = await assertRejects(() => checkpointFile(folder), ModelFileError);
      assertEquals(error.file, folder);
      assert(error.message.startsWith("Cannot find a checkpoint in the folder"), error.message);
      assertEquals(error.expected, `${USUAL.join(" or ")}, or a single checkpoint of another name`);
      return error.found;
    };
    assertEquals(await refusal(await fill(`${path}/shards`, [...shards, ...OTHERS])), shards.join(", "));
    const indices = ["a.bin.index.json", "b.safetensors.index.json"];
    assertEquals(await refusal(await fill(`${path}/indices`, [...indices, "c.pth"])), indices.join(", "));
    assertEquals(await refusal(await fill(`${path}/none`, [])), "no files");
    const many = Array.from({ length: 11 }, (_, i) => `${10 + i}.txt`);
    assertEquals(
      await refusal(await fill(`${path}/many`, many)),
      `${many.slice(0, 8).join(", ")} and 3 more`,
    );
    // A folder of the name of a checkpoint is none.
    await Deno.mkdir(`${path}/none/model.safetensors`);
    assertEquals(await refusal(`${path}/none`), "no files");
  }));

Deno.test("checkpointFile: anything but a folder stays what it is", () =>
  inFolder(async (path) => {
    await fill(path, ["a.pth"]);
    const bytes = new Uint8Array(3);
    const places = [
      bytes,
      `${path}/a.pth`,
      `${path}/gone`,
      pathToFileURL(`${path}/a.pth`),
      "http://localhost:1/a",
    ];
    for (const place of places) assert(await checkpointFile(place) === place);
  }));

Deno.test("checkpointFile: a web server is asked for the usual names, and one that refuses to say has none", () =>
  inFolder(async (path) => {
    const asked: string[] = [];
    let missing = 404;
    await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async ({ url }) => {
      const { pathname } = new URL(url);
      asked.push(pathname);
      const file = await Deno.readFile(path + pathname).catch(() => undefined);
      return file === undefined ? new Response(null, { status: missing }) : new Response(file);
    });
    const folder = `http://127.0.0.1:${server.addr.port}/t5/`;
    await fill(`${path}/t5`, []);
    const error = await assertRejects(
      () => checkpointFile(folder),
      ModelFileError,
      "expected model.safetensors",
    );
    assertEquals([error.file, error.found], [folder, "none of them"]);
    assertEquals(asked, USUAL.map((name) => `/t5/${name}`));
    const { vae } = filledFlexVar();
    await writeCheckpoint(`${path}/t5/pytorch_model.bin`, vae);
    for (missing of [404, 403]) {
      assertEquals(String(await checkpointFile(folder)), `${folder}pytorch_model.bin`);
      using checkpoint = await openCheckpoint(folder);
      assertEquals(checkpoint.tensors.size, vae.length);
    }
    // Without the stroke it is a file.
    assertEquals(await checkpointFile(folder.slice(0, -1)), folder.slice(0, -1));
    // What a server cannot say now is no reason to take another file.
    missing = 503;
    await assertRejects(() => openCheckpoint(folder), ModelFileError, "status 503");
  }));

Deno.test("openModelSource: folders of shards make the model that their files make", () =>
  inFolder(async (path) => {
    const { var: tensors, vae } = filledFlexVar();
    await writeCheckpoint(`${path}/vae.safetensors`, vae);
    await writeCheckpoint(`${path}/var.safetensors`, tensors);
    using whole = await openModelSource({ var: `${path}/var.safetensors`, vae: `${path}/vae.safetensors` });
    const cases = [
      { shards: ["model-1.safetensors", "model-2.safetensors"], index: USUAL[0]! },
      { shards: ["pytorch_model-1.bin", "pytorch_model-2.bin"], index: USUAL[1]! },
    ];
    for (const [i, files] of cases.entries()) {
      const folder = await fill(`${path}/${i}`, OTHERS);
      await writeShards(folder, tensors, files);
      using model = await openModelSource({ var: folder, vae: `${path}/vae.safetensors` });
      assertEquals(model.manifest.config, whole.manifest.config);
      using a = await model.weights("transformer");
      using b = await whole.weights("transformer");
      for (const name of b.tensors.keys()) assertEquals(await a.read(name), await b.read(name));
    }
  }));
