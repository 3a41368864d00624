/**
 * Converting to each type, to disk and on the fly, from checkpoints and from folders: all ways come to the same bytes, and these are what
 * rounding the checkpoint's own numbers gives.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { type Dtype, DTYPES } from "../../../models/dtype.ts";
import { createModelFolder } from "../../../models/folder_writer.ts";
import { type ModelFolder, openModelFolder } from "../../../models/folder.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { dequantizeBlocks, quantizeBlocks } from "../../../models/quantize.ts";
import {
  convertVar,
  type ConvertVarOptions,
  openVarSource,
  TOKENIZER,
  TRANSFORMER,
  type VarSource,
} from "../../../models/var/convert.ts";
import { storedDtype } from "../../../models/var/precision.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";
import { inFolder } from "../small_folder.ts";

const SOURCE = goldenCheckpoints("var-adaln");
const PARTS = [TRANSFORMER, TOKENIZER];

async function convert(
  source: VarSource,
  path: string,
  options: ConvertVarOptions = {},
): Promise<ModelFolder> {
  await using writer = await createModelFolder(path);
  return await convertVar(source, writer, options);
}

/** Everything that a model is loaded from. */
async function contents(folder: ModelFolder): Promise<Record<string, Uint8Array>> {
  const all: Record<string, Uint8Array> = {};
  for (const part of PARTS) {
    using weights = await folder.weights(part);
    for (const { path, data } of weights.files) all[path] = await data.bytes();
  }
  for (const graph of ["condition.onnx", "transformer.onnx", "decoder.onnx", "encoder.onnx"]) {
    all[graph] = await folder.read(graph);
  }
  return all;
}

for (const dtype of DTYPES) {
  Deno.test(`weights in ${dtype} are the checkpoint's, rounded`, () =>
    inFolder(async (path) => {
      const folder = await convert(SOURCE, `${path}/model`, { dtype });
      assertEquals(folder.manifest.dtype, dtype);
      const counts: Partial<Record<Dtype, number>> = {};
      for (const [part, file] of [[TRANSFORMER, SOURCE.var], [TOKENIZER, SOURCE.vae]] as const) {
        using weights = await folder.weights(part);
        using checkpoint = await openCheckpoint(file);
        for (const [name, { shape, dtype: type }] of weights.tensors) {
          if (name.endsWith(".scales")) continue;
          const original = await checkpoint.readFloat32(name);
          const stored = storedDtype(name, checkpoint.tensors.get(name)!.shape, dtype);
          counts[stored] = (counts[stored] ?? 0) + 1;
          const values = await weights.readFloat32(name);
          if (stored === "f32" || stored === "f16") {
            assertEquals([type, shape], [
              stored === "f32" ? "F32" : "F16",
              checkpoint.tensors.get(name)!.shape,
            ]);
            assertEquals(values, stored === "f32" ? original : original.map((value) => Math.f16round(value)));
          } else {
            const [rows, columns] = checkpoint.tensors.get(name)!.shape as [number, number];
            const options = { rows, columns, bits: stored === "q8" ? 8 : 4 } as const;
            assertEquals([type, columns % 32], ["U8", 0]);
            assertEquals(values, dequantizeBlocks(quantizeBlocks(original, options), options));
          }
        }
      }
      assertEquals(
        Object.keys(counts).sort(),
        {
          f32: ["f32"],
          f16: ["f16", "f32"],
          q8: ["f16", "f32", "q8"],
          q4: ["f16", "f32", "q4", "q8"],
        }[dtype],
      );
    }));

  Deno.test(`on the fly, ${dtype} weights are those that are written`, () =>
    inFolder(async (path) => {
      const wanted = await contents(await convert(SOURCE, `${path}/model`, { dtype }));
      using virtual = await openVarSource(SOURCE, { dtype });
      assertEquals(await contents(virtual), wanted);
      assertEquals(virtual.manifest.dtype, dtype);
    }));
}

Deno.test("a folder's weights are converted like the checkpoint's, to disk and on the fly", () =>
  inFolder(async (path) => {
    const facts = {
      name: "mine",
      classNames: Array.from({ length: 10 }, (_, i) => `c${i}`),
      tuning: { alpha: 3 },
    };
    const original = await convert(SOURCE, `${path}/f32`, facts);
    for (const dtype of DTYPES) {
      const wanted = await contents(await convert(SOURCE, `${path}/wanted-${dtype}`, { dtype }));
      const folder = await convert({ folder: `${path}/f32` }, `${path}/${dtype}-again`, { dtype });
      assertEquals(await contents(folder), wanted);
      const { name, classNames, tuning, config } = folder.manifest;
      assertEquals({ name, classNames, tuning }, facts);
      assertEquals(config, original.manifest.config);
      using virtual = await openVarSource({ folder: original }, { dtype });
      assertEquals(await contents(virtual), wanted);
      assertEquals(virtual.location, original.location);
      assertEquals(virtual.fingerprints, {
        [`transformer.safetensors as ${dtype}`]: original.fingerprints["transformer.safetensors"],
        [`tokenizer.safetensors as ${dtype}`]: original.fingerprints["tokenizer.safetensors"],
      });
    }
    // What has been rounded stays so.
    const half = await convert(SOURCE, `${path}/half`, { dtype: "f16" });
    using wide = await openVarSource({ folder: half }, { dtype: "f32" });
    using weights = await wide.weights(TRANSFORMER);
    using checkpoint = await openCheckpoint(SOURCE.var);
    const name = "blocks.1.ffn.fc1.weight";
    const rounded = (await checkpoint.readFloat32(name)).map((value) => Math.f16round(value));
    assertEquals(weights.tensors.get(name)!.dtype, "F32");
    assertEquals(await weights.readFloat32(name), rounded);
    // Options go before what the folder says.
    const renamed = await convert({ folder: half }, `${path}/renamed`, {
      name: "other",
      tuning: { alpha: 1 },
      depth: 2,
    });
    assertEquals([renamed.manifest.name, renamed.manifest.tuning], ["other", { alpha: 1 }]);
    // One setting does not cost another.
    const tuned = await convert({ folder: `${path}/renamed` }, `${path}/tuned`, {
      tuning: { conflictThreshold: 5 },
    });
    assertEquals(tuned.manifest.tuning, { alpha: 1, conflictThreshold: 5 });
    for (const source of [SOURCE, { folder: half }]) {
      await assertRejects(
        () => convert(source, `${path}/deep`, { depth: 16 }),
        RangeError,
        "depth must be its own, 2: current value is 16",
      );
    }
  }));

Deno.test("quantized weights are not converted again, and folders of other families not at all", () =>
  inFolder(async (path) => {
    for (const dtype of ["q8", "q4"] as const) {
      const folder = await convert(SOURCE, `${path}/${dtype}`, { dtype });
      for (const target of DTYPES) {
        const error = await assertRejects(
          () => openVarSource({ folder }, { dtype: target }),
          ModelFileError,
          "Cannot convert weights that are quantized, as what is lost would be lost twice",
        );
        assertEquals(error.found, dtype);
      }
    }
    const file = `${path}/q8/model.json`;
    await Deno.writeTextFile(
      file,
      (await Deno.readTextFile(file)).replace('"family": "var"', '"family": "x"'),
    );
    const error = await assertRejects(
      () => openVarSource({ folder: `${path}/q8` }),
      ModelFileError,
      "family",
    );
    assertEquals([error.expected, error.found], ['"var"', '"x"']);
  }));

Deno.test("the demo's folder can be converted", () =>
  inFolder(async (path) => {
    const folder = await convert({ folder: DEMO_MODEL }, `${path}/demo`, { dtype: "q8" });
    const demo = await openModelFolder(DEMO_MODEL);
    assertEquals(folder.manifest.classNames, demo.manifest.classNames);
    assertEquals(folder.manifest.config, demo.manifest.config);
  }));

Deno.test("a value that no integer can stand for is told with its tensor", () =>
  inFolder(async (path) => {
    await convert(SOURCE, `${path}/f32`);
    const file = `${path}/f32/transformer.safetensors`;
    const bytes = await Deno.readFile(file);
    const header = new TextDecoder().decode(
      bytes.subarray(8, 8 + new DataView(bytes.buffer).getUint32(0, true)),
    );
    const [begin] = JSON.parse(header)["blocks.1.attn.proj.weight"].data_offsets;
    new DataView(bytes.buffer).setFloat32(8 + header.length + begin + 4 * 5, NaN, true);
    await Deno.writeFile(file, bytes);
    const manifest = JSON.parse(await Deno.readTextFile(`${path}/f32/model.json`));
    manifest.files["transformer.safetensors"].sha256 = new Uint8Array(
      await crypto.subtle.digest("SHA-256", bytes),
    ).toHex();
    await Deno.writeTextFile(`${path}/f32/model.json`, JSON.stringify(manifest));
    const error = await assertRejects(
      () => convert({ folder: `${path}/f32` }, `${path}/q8`, { dtype: "q8" }),
      ModelFileError,
    );
    assertEquals(
      error.message.replace(path, ""),
      [
        "Cannot quantize a tensor of the model: /f32/transformer, blocks.1.attn.proj.weight ",
        "(expected finite values, found Cannot quantize the values as they must be finite: value 5 is NaN)",
      ].join(""),
    );
    // Floats may be what they like.
    await convert({ folder: `${path}/f32` }, `${path}/f16`, { dtype: "f16" });
  }));

Deno.test("fingerprints of checkpoints are their checksums, which are not looked for if they are given", async () => {
  const sum = async (url: URL): Promise<string> => {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(url))).toHex();
  };
  const [transformer, tokenizer] = [await sum(SOURCE.var), await sum(SOURCE.vae)];
  using found = await openVarSource(SOURCE, { dtype: "q4" });
  assertEquals(found.fingerprints, { "transformer as q4": transformer, "tokenizer as q4": tokenizer });
  using given = await openVarSource({ ...SOURCE, sha256: { var: "1".repeat(64) } });
  assertEquals(given.fingerprints, { "transformer as f32": "1".repeat(64), "tokenizer as f32": tokenizer });
  using bytes = await openVarSource({ var: await Deno.readFile(SOURCE.var), vae: SOURCE.vae });
  assertEquals(bytes.fingerprints, { "transformer as f32": transformer, "tokenizer as f32": tokenizer });
});

Deno.test("checkpoints stay open as long as the folder, and no longer", async () => {
  const folder = await openVarSource(SOURCE);
  using weights = await folder.weights(TRANSFORMER);
  assert((await weights.readFloat32("pos_start")).length > 0);
  folder[Symbol.dispose]();
  await assertRejects(() => weights.readFloat32("pos_start"), ModelFileError);
});

Deno.test("progress counts the bytes of all tensors", () =>
  inFolder(async (path) => {
    const steps: [number, number][] = [];
    const folder = await convert(SOURCE, `${path}/model`, {
      dtype: "q4",
      onProgress: (...step) => steps.push(step),
    });
    let tensors = 0;
    let bytes = 0;
    for (const part of PARTS) {
      using weights = await folder.weights(part);
      tensors += weights.tensors.size;
      for (const name of weights.tensors.keys()) bytes += (await weights.read(name)).length;
    }
    assertEquals(steps.length, tensors);
    assertEquals(steps.at(-1), [bytes, bytes]);
  }));
