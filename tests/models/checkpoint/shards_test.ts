/** Checkpoints in several files, by their index: on the disk and on the web. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { isShardIndex, shardPlaces } from "../../../models/checkpoint/shards.ts";
import { convertModel, openModelSource } from "../../../models/convert.ts";
import { createModelFolder } from "../../../models/folder/folder_writer.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { writeCheckpoint } from "../checkpoint_files.ts";
import { filledFlexVar, type FilledTensor } from "../flexvar/checkpoints.ts";
import { inFolder } from "../folder/small_folder.ts";

/** Writes a checkpoint as Hugging Face's libraries do a large one. */
async function writeShards(
  folder: string,
  tensors: readonly FilledTensor[],
  shards: readonly string[],
): Promise<string> {
  const holder = (i: number): string => shards[i % shards.length]!;
  for (const shard of shards) {
    await writeCheckpoint(`${folder}/${shard}`, tensors.filter((_, i) => holder(i) === shard));
  }
  const index = `${folder}/model.safetensors.index.json`;
  const map = Object.fromEntries(tensors.map(({ name }, i) => [name, holder(i)]));
  await Deno.writeTextFile(index, JSON.stringify({ metadata: { total_size: 1 }, weight_map: map }));
  return index;
}

Deno.test("openCheckpoint: the shards of an index are one checkpoint", () =>
  inFolder(async (path) => {
    const { var: tensors } = filledFlexVar();
    for (
      const shards of [["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"], ["a.pth", "b c.pth"]]
    ) {
      const index = await writeShards(path, tensors, shards);
      assertEquals(await shardPlaces(index), shards.map((shard) => `${path}/${shard}`));
      await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
        const { pathname } = new URL(request.url);
        return new Response(await Deno.readFile(path + decodeURIComponent(pathname)));
      });
      const web = `http://127.0.0.1:${server.addr.port}/model.safetensors.index.json?signed`;
      for (const place of [index, new URL(`file://${index}`), web]) {
        assert(isShardIndex(place));
        using checkpoint = await openCheckpoint(place);
        assertEquals(checkpoint.format, shards[0]!.endsWith(".pth") ? "pytorch" : "safetensors");
        assertEquals([...checkpoint.tensors.keys()], tensors.map(({ name }) => name));
        for (const { name, shape, values } of tensors) {
          assertEquals(checkpoint.tensors.get(name)!.shape, shape);
          assertEquals(await checkpoint.readFloat32(name), values);
        }
        assertEquals((await checkpoint.read("pos_start")).length, 4 * 64);
        await assertRejects(() => checkpoint.read("odd"), ModelFileError, "Cannot find the tensor");
      }
    }
  }));

Deno.test("openModelSource: a model of shards is the same model, and is told from others by all of them", () =>
  inFolder(async (path) => {
    const { var: tensors, vae } = filledFlexVar();
    await writeCheckpoint(`${path}/vae.safetensors`, vae);
    await writeCheckpoint(`${path}/whole.safetensors`, tensors);
    const index = await writeShards(path, tensors, ["1.safetensors", "2.safetensors"]);
    const source = { var: index, vae: `${path}/vae.safetensors` };
    using whole = await openModelSource({ ...source, var: `${path}/whole.safetensors` });
    using folder = await openModelSource(source);
    assertEquals(folder.manifest.config, whole.manifest.config);
    using a = await folder.weights("transformer");
    using b = await whole.weights("transformer");
    for (const name of b.tensors.keys()) assertEquals(await a.read(name), await b.read(name));
    // Another second shard is another model.
    const changed = tensors.map((tensor) => ({ ...tensor, values: tensor.values.map((value) => value + 1) }));
    await writeShards(path, changed, ["1.safetensors", "2.safetensors"]);
    using other = await openModelSource(source);
    assertNotEquals(other.fingerprints["transformer as f32"], folder.fingerprints["transformer as f32"]);
    await using writer = await createModelFolder(`${path}/model`);
    assertEquals((await convertModel(source, writer)).manifest.config, whole.manifest.config);
  }));

Deno.test("openCheckpoint: an index that is none, and shards that are not there, are named", () =>
  inFolder(async (path) => {
    const { var: tensors } = filledFlexVar();
    const index = await writeShards(path, tensors, ["1.safetensors", "2.safetensors"]);
    const whole = JSON.parse(await Deno.readTextFile(index));
    const refusal = async (content: unknown): Promise<string> => {
      await Deno.writeTextFile(index, typeof content === "string" ? content : JSON.stringify(content));
      const error = await assertRejects(() => openCheckpoint(index), ModelFileError);
      return error.message.replaceAll(path, "");
    };
    assert((await refusal("Entry not found")).includes("Cannot read the index of shards: /model.safe"));
    assert((await refusal("null")).includes('expected a "weight_map" of tensors and their files'));
    assert((await refusal({ weight_map: {} })).includes("found {}"));
    for (const shard of ["../1.safetensors", "/etc/passwd", "a\\b", ".x", "", 1, "other.index.json", "c:x"]) {
      assert((await refusal({ weight_map: { a: shard } })).includes("expected names of files beside it"));
    }
    assert((await refusal({ weight_map: { a: "3.safetensors" } })).includes("/3.safetensors"));
    assertEquals(
      await refusal({ weight_map: { ...whole.weight_map, odd: "2.safetensors" } }),
      "Cannot find a tensor where /model.safetensors.index.json says it is: /2.safetensors, odd",
    );
  }));
