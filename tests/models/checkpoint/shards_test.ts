/** Checkpoints in several files, by their index: on the disk and on the web. */

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { isShardIndex, shardPlaces, shardsSha256 } from "../../../models/checkpoint/shards.ts";
import { convertModel, openModelSource } from "../../../models/convert.ts";
import { createModelFolder } from "../../../models/folder/folder_writer.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { writeCheckpoint, writeShards } from "../checkpoint_files.ts";
import { filledFlexVar } from "../flexvar/checkpoints.ts";
import { inFolder } from "../folder/small_folder.ts";

const INDEX = "model.safetensors.index.json";
const TWO = { shards: ["1.safetensors", "2.safetensors"], index: INDEX };

Deno.test("openCheckpoint: the shards of an index are one checkpoint", () =>
  inFolder(async (path) => {
    const { var: tensors } = filledFlexVar();
    for (
      const shards of [
        ["a-00001-of-00002.safetensors", "a-00002-of-00002.safetensors"],
        ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
        ["a.pth", "b c.pth"],
      ]
    ) {
      const index = await writeShards(path, tensors, { shards, index: INDEX });
      assertEquals(await shardPlaces(index), shards.map((shard) => `${path}/${shard}`));
      await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
        const { pathname } = new URL(request.url);
        return new Response(await Deno.readFile(path + decodeURIComponent(pathname)));
      });
      const web = `http://127.0.0.1:${server.addr.port}/model.safetensors.index.json?signed`;
      for (const place of [index, new URL(`file://${index}`), web]) {
        assert(isShardIndex(place));
        using checkpoint = await openCheckpoint(place);
        assertEquals(checkpoint.format, shards[0]!.endsWith(".safetensors") ? "safetensors" : "pytorch");
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
    const index = await writeShards(path, tensors, TWO);
    const source = { var: index, vae: `${path}/vae.safetensors` };
    using whole = await openModelSource({ ...source, var: `${path}/whole.safetensors` });
    using folder = await openModelSource(source);
    assertEquals(folder.manifest.config, whole.manifest.config);
    using a = await folder.weights("transformer");
    using b = await whole.weights("transformer");
    for (const name of b.tensors.keys()) assertEquals(await a.read(name), await b.read(name));
    // Another second shard is another model.
    const { fingerprints } = folder;
    const changed = tensors.map((tensor) => ({ ...tensor, values: tensor.values.map((value) => value + 1) }));
    await writeShards(path, changed, TWO);
    using other = await openModelSource(source);
    assertNotEquals(other.fingerprints["transformer as f32"], fingerprints["transformer as f32"]);
    assertEquals(folder.fingerprints, fingerprints);
    await using writer = await createModelFolder(`${path}/model`);
    assertEquals((await convertModel(source, writer)).manifest.config, whole.manifest.config);
  }));

Deno.test("openCheckpoint: an index that is none, and shards that are not there, are named", () =>
  inFolder(async (path) => {
    const { var: tensors } = filledFlexVar();
    const index = await writeShards(path, tensors, TWO);
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

Deno.test("shardsSha256: the hashes of an index and its shards make one, in their order", async () => {
  const both = await crypto.subtle.digest("SHA-256", new TextEncoder().encode("a1\nb2"));
  assertEquals(shardsSha256(["a1", "b2"]), new Uint8Array(both).toHex());
  assertNotEquals(shardsSha256(["b2", "a1"]), shardsSha256(["a1", "b2"]));
});
