import { assertEquals, assertRejects } from "@std/assert";
import { writeSyntheticFolder } from "../../bench/checkpoint_writer.ts";
import { infinityTensors, infinityVaeTensors, textEncoderTensors } from "../../bench/infinity_tensors.ts";
import { openCheckpoint } from "../../models/checkpoint/mod.ts";

const SMALL = { depth: 2, chunks: 2, width: 64, heads: 2, bits: 8, textWidth: 128 };

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-synthetic-" });
  try {
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("writeSyntheticFolder: shards hold what their index says, with the values that were meant", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/weights`;
    const tensors = infinityTensors(SMALL, { seed: 3 });
    const beside = { "config.json": new TextEncoder().encode("{}") };
    await writeSyntheticFolder(path, { tensors, beside }, { limit: 100_000 });
    const names = Array.from(Deno.readDirSync(path), ({ name }) => name).sort();
    const count = names.length - 2;
    assertEquals(count > 9, true);
    assertEquals(names.slice(0, 2), ["config.json", `model-00001-of-000${count}.safetensors`]);

    using checkpoint = await openCheckpoint(`${path}/model.safetensors.index.json`);
    assertEquals(
      Array.from(checkpoint.tensors.values(), ({ name, shape }) => `${name} ${shape}`).sort(),
      tensors.map(({ name, shape }) => `${name} ${shape}`).sort(),
    );
    const [meant] = tensors.find(({ name }) => name === "head.weight")!.bytes();
    assertEquals(await checkpoint.readFloat32("head.weight"), new Float32Array(meant!.buffer));
    const index = JSON.parse(await Deno.readTextFile(`${path}/model.safetensors.index.json`));
    const bytes = tensors.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
    assertEquals(index.metadata.total_size, bytes);

    await assertRejects(() => writeSyntheticFolder(path, { tensors, beside }), Deno.errors.AlreadyExists);
    await writeSyntheticFolder(path, { tensors, beside }, { overwrite: true });
    assertEquals(Array.from(Deno.readDirSync(path), ({ name }) => name).sort(), [
      "config.json",
      "model.safetensors",
    ]);
  });
});

Deno.test("writeSyntheticFolder: a folder that fails leaves nothing, and what was there stays", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/weights`;
    await Deno.mkdir(path);
    await Deno.writeTextFile(`${path}/mine`, "mine");
    const short = { name: "x", dtype: "F32", shape: [3], bytes: () => [new Uint8Array(8)] } as const;
    await assertRejects(
      () => writeSyntheticFolder(path, { tensors: [short], beside: {} }, { overwrite: true }),
      TypeError,
      "needs 12 bytes: current length is 8",
    );
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["weights"]);
    assertEquals(await Deno.readTextFile(`${path}/mine`), "mine");
  });
});

Deno.test("writeSyntheticFolder: halves are the rounded numbers of the whole ones", async () => {
  await inFolder(async (folder) => {
    const sizes = { layers: 1, width: 64, heads: 2, hidden: 128, vocabulary: 104 };
    const whole = textEncoderTensors(sizes, { seed: 1 });
    await writeSyntheticFolder(`${folder}/t5`, {
      tensors: textEncoderTensors(sizes, { seed: 1, dtype: "F16" }),
      beside: {},
    });
    using checkpoint = await openCheckpoint(`${folder}/t5/model.safetensors`);
    assertEquals(checkpoint.tensors.get("shared.weight")!.dtype, "F16");
    const [meant] = whole.find(({ name }) => name === "shared.weight")!.bytes();
    const rounded = Float32Array.from(new Float32Array(meant!.buffer), Math.f16round);
    assertEquals(await checkpoint.readFloat32("shared.weight"), rounded);
    // Integers stay integers.
    const masks = infinityVaeTensors({ channels: [32, 32], latent: 4, blocks: 1 }, { seed: 0, dtype: "F16" });
    assertEquals(masks.at(-1)!.dtype, "I64");
  });
});
