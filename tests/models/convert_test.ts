/**
 * Converting to each type, to disk and on the fly, from checkpoints and from folders: all ways come to the
 * same bytes, and these are what rounding the checkpoint's own numbers gives.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Checkpoint, openCheckpoint } from "../../models/checkpoint/mod.ts";
import { DTYPES, type KeptDtype } from "../../models/weights/dtype.ts";
import { createModelFolder } from "../../models/folder/folder_writer.ts";
import { type ModelFolder, openModelFolder } from "../../models/folder/model_folder.ts";
import { DEMO_MODEL } from "../../models/load.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { dequantizeBlocks, quantizeBlocks } from "../../models/weights/quantize.ts";
import {
  type ConversionSource,
  convertModel,
  describeCheckpoint,
  openModelSource,
} from "../../models/convert.ts";
import type { ConvertOptions } from "../../models/folder_conversion.ts";
import { storedDtype } from "../../models/class_conditional/precision.ts";
import type { VarConfig } from "../../models/var/config.ts";
import { goldenCheckpoints } from "../fixtures/golden/golden.ts";
import { prefixed, writeCheckpoint } from "./checkpoint_files.ts";
import { filledFlexVar, SMALL_FLEXVAR } from "./flexvar/checkpoints.ts";
import { inFolder } from "./folder/small_folder.ts";

const SOURCE = goldenCheckpoints("var-adaln");
const PARTS = ["transformer", "tokenizer"];

async function convert(
  source: ConversionSource,
  path: string,
  options: ConvertOptions = {},
): Promise<ModelFolder> {
  await using writer = await createModelFolder(path);
  return await convertModel(source, writer, options);
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
  Deno.test(`convertModel: weights in ${dtype} are the checkpoint's, rounded`, () =>
    inFolder(async (path) => {
      const folder = await convert(SOURCE, `${path}/model`, { dtype });
      assertEquals(folder.manifest.dtype, dtype);
      const counts: Partial<Record<KeptDtype, number>> = {};
      for (const [part, file] of [["transformer", SOURCE.var], ["tokenizer", SOURCE.vae]] as const) {
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

  Deno.test(`openModelSource: on the fly, ${dtype} weights are those that are written`, () =>
    inFolder(async (path) => {
      const wanted = await contents(await convert(SOURCE, `${path}/model`, { dtype }));
      using virtual = await openModelSource(SOURCE, { dtype });
      assertEquals(await contents(virtual), wanted);
      assertEquals(virtual.manifest.dtype, dtype);
    }));
}

Deno.test("openModelSource: a folder's weights are converted like the checkpoint's, to disk and on the fly", () =>
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
      using virtual = await openModelSource({ folder: original }, { dtype });
      assertEquals(await contents(virtual), wanted);
      assertEquals(virtual.location, original.location);
      assertEquals(virtual.fingerprints, {
        [`transformer.safetensors as ${dtype}`]: original.fingerprints["transformer.safetensors"],
        [`tokenizer.safetensors as ${dtype}`]: original.fingerprints["tokenizer.safetensors"],
      });
    }
    // Fingerprints are of what was there at first, however often the type changes.
    using twice = await openModelSource({ folder: await openModelSource(SOURCE) }, { dtype: "q8" });
    assertEquals(Object.keys(twice.fingerprints), ["transformer as q8", "tokenizer as q8"]);
    // What has been rounded stays so.
    const half = await convert(SOURCE, `${path}/half`, { dtype: "f16" });
    using wide = await openModelSource({ folder: half }, { dtype: "f32" });
    using weights = await wide.weights("transformer");
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
    // How settings were found is said as long as they are the same.
    const found = { scale: 2, samples: 20, alpha: 1.5, evidence: { better: true } };
    const manifest = { ...tuned.manifest, tuning: found };
    await Deno.writeTextFile(`${path}/tuned/model.json`, JSON.stringify(manifest));
    const kept = await convert({ folder: `${path}/tuned` }, `${path}/kept`, { tuning: { alpha: 1.5 } });
    assertEquals(kept.manifest.tuning, found);
    const other = await convert({ folder: `${path}/kept` }, `${path}/other`, { tuning: { alpha: 2 } });
    assertEquals(other.manifest.tuning, { scale: 2, samples: 20, alpha: 2 });
    for (const source of [SOURCE, { folder: half }]) {
      await assertRejects(
        () => convert(source, `${path}/deep`, { depth: 16 }),
        RangeError,
        "depth must be its own, 2: current value is 16",
      );
    }
  }));

Deno.test("convertModel: quantized weights are not converted again, and folders of other families not at all", () =>
  inFolder(async (path) => {
    for (const dtype of ["q8", "q4"] as const) {
      const folder = await convert(SOURCE, `${path}/${dtype}`, { dtype });
      for (const target of DTYPES) {
        const error = await assertRejects(
          () => openModelSource({ folder }, { dtype: target }),
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
      () => openModelSource({ folder: `${path}/q8` }),
      ModelFileError,
      "family",
    );
    assertEquals([error.expected, error.found], ['"var" or "flexvar" or "infinity"', '"x"']);
  }));

Deno.test("convertModel: the demo's folder can be converted", () =>
  inFolder(async (path) => {
    const folder = await convert({ folder: DEMO_MODEL }, `${path}/demo`, { dtype: "q8" });
    const demo = await openModelFolder(DEMO_MODEL);
    assertEquals(folder.manifest.classNames, demo.manifest.classNames);
    assertEquals(folder.manifest.config, demo.manifest.config);
  }));

Deno.test("convertModel: a value that no integer can stand for is told with its tensor", () =>
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

Deno.test("openModelSource: fingerprints of checkpoints are their checksums, which are not looked for if they are given", async () => {
  const sum = async (url: URL): Promise<string> => {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", await Deno.readFile(url))).toHex();
  };
  const [transformer, tokenizer] = [await sum(SOURCE.var), await sum(SOURCE.vae)];
  using found = await openModelSource(SOURCE, { dtype: "q4" });
  assertEquals(found.fingerprints, { "transformer as q4": transformer, "tokenizer as q4": tokenizer });
  using given = await openModelSource(SOURCE, { sha256: { var: "1".repeat(64) } });
  assertEquals(given.fingerprints, { "transformer as f32": "1".repeat(64), "tokenizer as f32": tokenizer });
  using bytes = await openModelSource({ var: await Deno.readFile(SOURCE.var), vae: SOURCE.vae });
  assertEquals(bytes.fingerprints, { "transformer as f32": transformer, "tokenizer as f32": tokenizer });
});

Deno.test("openModelSource: a checkpoint that changes before its fingerprint is wanted has none", () =>
  inFolder(async (path) => {
    const file = `${path}/vae.pth`;
    await Deno.copyFile(SOURCE.vae, file);
    using folder = await openModelSource({ var: SOURCE.var, vae: file });
    using steady = await openModelSource({ var: SOURCE.var, vae: file });
    const { fingerprints } = steady;
    await Deno.writeFile(file, new Uint8Array(1), { append: true });
    assertThrows(() => folder.fingerprints, ModelFileError, "it has changed since it was opened");
    assertEquals(steady.fingerprints, fingerprints);
    await Deno.remove(file);
    assertThrows(() => folder.fingerprints, ModelFileError, "no such file");
  }));

Deno.test("openModelSource: checkpoints stay open as long as the folder, and no longer", async () => {
  const folder = await openModelSource(SOURCE);
  using weights = await folder.weights("transformer");
  assert((await weights.readFloat32("pos_start")).length > 0);
  folder[Symbol.dispose]();
  await assertRejects(() => weights.readFloat32("pos_start"), ModelFileError);
});

Deno.test("convertModel: progress counts the bytes of all tensors", () =>
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

/** How FlexVAR's two files are published, and how the trainers of its two parts save them. */
const LAYOUTS: Readonly<Record<string, Readonly<Record<"var" | "vae", string>>>> = {
  flat: { var: "", vae: "" },
  "as published": { var: "", vae: "model." },
  "as its trainer saves it": { var: "trainer.var_wo_ddp.", vae: "trainer.vae_local." },
};

/** Writes a FlexVAR model to a folder. */
async function writeFlexVar(path: string, layout: keyof typeof LAYOUTS, ending: string): Promise<
  Record<"var" | "vae", string>
> {
  const tensors = filledFlexVar();
  const prefixes = LAYOUTS[layout]!;
  const files = { var: `${path}/var.${ending}`, vae: `${path}/vae.${ending}` };
  for (const part of ["var", "vae"] as const) {
    await writeCheckpoint(files[part], prefixed(prefixes[part], tensors[part]));
  }
  return files;
}

for (const layout of Object.keys(LAYOUTS)) {
  for (const ending of ["pth", "safetensors"]) {
    Deno.test(`openModelSource: FlexVAR's checkpoints ${layout} are recognised and converted to all types, from .${ending}`, () =>
      inFolder(async (path) => {
        const source = await writeFlexVar(path, layout, ending);
        const values = new Map(
          Object.values(filledFlexVar()).flat().map((tensor) => [tensor.name, tensor] as const),
        );
        for (const dtype of DTYPES) {
          using folder = await openModelSource(source, { dtype });
          const { family, name, config, classNames } = folder.manifest;
          assertEquals({ family, name, config, classNames }, {
            family: "flexvar",
            name: "FlexVAR-d1",
            config: SMALL_FLEXVAR,
            classNames: [],
          });
          let count = 0;
          for (const part of PARTS) {
            using weights = await folder.weights(part);
            for (const stored of weights.tensors.keys()) {
              if (stored.endsWith(".scales")) continue;
              const { shape, values: original } = values.get(stored)!;
              const type = storedDtype(stored, shape, dtype);
              const [rows = 0, columns = 0] = shape;
              const blocks = { rows, columns, bits: type === "q8" ? 8 : 4 } as const;
              const wanted = type === "f32"
                ? original
                : type === "f16"
                ? original.map((value) => Math.f16round(value))
                : dequantizeBlocks(quantizeBlocks(original, blocks), blocks);
              assertEquals(await weights.readFloat32(stored), wanted, stored);
              count++;
            }
          }
          // All but the buffers.
          assertEquals(count, values.size - SMALL_FLEXVAR.depth - 2);
        }
      }));
  }
}

Deno.test("convertModel: a FlexVAR folder's weights are converted like the checkpoint's", () =>
  inFolder(async (path) => {
    const source = await writeFlexVar(path, "as published", "pth");
    const original = await convert(source, `${path}/f32`);
    using virtual = await openModelSource({ folder: original }, { dtype: "q4" });
    const wanted = await contents(await convert(source, `${path}/q4`, { dtype: "q4" }));
    assertEquals(await contents(virtual), wanted);
    assertEquals(virtual.manifest.config, SMALL_FLEXVAR);
    assertEquals(
      await contents(await convert({ folder: `${path}/f32` }, `${path}/again`, { dtype: "q4" })),
      wanted,
    );
  }));

Deno.test("openModelSource: one file may hold both parts of a FlexVAR model", () =>
  inFolder(async (path) => {
    const { var: transformer, vae } = filledFlexVar();
    const file = `${path}/ar-ckpt-last.pth`;
    await writeCheckpoint(file, [
      ...prefixed("trainer.var_wo_ddp.", transformer),
      ...prefixed("trainer.vae_local.", vae),
      ...prefixed("trainer.var_opt.state.", vae.slice(0, 2)),
    ]);
    using whole = await openModelSource({ var: file, vae: file }, { dtype: "f16" });
    using parts = await openModelSource(await writeFlexVar(path, "flat", "safetensors"), { dtype: "f16" });
    assertEquals(await contents(whole), await contents(parts));
    // The file is read where its lists of tensors stand, and once for its checksum when somebody wants it.
    const { size } = await Deno.stat(file);
    const { read, readSync } = Deno.FsFile.prototype;
    let count = 0;
    Deno.FsFile.prototype.read = async function (bytes) {
      const length = await read.call(this, bytes);
      count += length ?? 0;
      return length;
    };
    Deno.FsFile.prototype.readSync = function (bytes) {
      const length = readSync.call(this, bytes);
      count += length ?? 0;
      return length;
    };
    try {
      using folder = await openModelSource({ var: file, vae: file });
      const opened = count;
      const { fingerprints } = folder;
      assertEquals(new Set(Object.values(fingerprints)).size, 1);
      assertEquals([folder.fingerprints, count - opened], [fingerprints, size]);
      assert(opened < 0.1 * size, `${opened} of ${size}`);
    } finally {
      Object.assign(Deno.FsFile.prototype, { read, readSync });
    }
    using checkpoint = await openCheckpoint(file);
    assertEquals((await summaryOf(checkpoint)).slice(0, 2), ["flexvar", ["var", "vae"]]);
  }));

Deno.test("openModelSource: tensors that no model has, and folders without those that it has, are refused", () =>
  inFolder(async (path) => {
    const source = await writeFlexVar(path, "flat", "pth");
    const odd = { name: "odd", shape: [1], values: new Float32Array(1) };
    for (const part of ["var", "vae"] as const) {
      const file = `${path}/odd-${part}.pth`;
      await writeCheckpoint(file, [...filledFlexVar()[part], odd]);
      await assertRejects(
        () => openModelSource({ ...source, [part]: file }),
        ModelFileError,
        `Cannot build the model as it has no place for some tensors: ${file} (found "odd")`,
      );
    }
    const { manifest } = await openModelFolder(DEMO_MODEL);
    await using writer = await createModelFolder(`${path}/empty`);
    for (const part of PARTS) {
      await writer.writeTensors(part, [
        { name: "odd", dtype: "F32", shape: [1], bytes: () => new Uint8Array(4) },
      ]);
    }
    await writer.finish(manifest);
    const error = await assertRejects(() => openModelSource({ folder: `${path}/empty` }), ModelFileError);
    assertEquals(
      error.message,
      `Cannot find the model in the checkpoint: ${path}/empty/transformer (expected a tensor "pos_start", found "odd" …)`,
    );
  }));

Deno.test("openModelSource: parts of different families make no model", () =>
  inFolder(async (path) => {
    const flexVar = await writeFlexVar(path, "as published", "pth");
    const mixed = { var: SOURCE.var, vae: flexVar.vae };
    const error = await assertRejects(() => openModelSource(mixed), ModelFileError);
    assertEquals(
      error.message.replaceAll(path, "").replaceAll(SOURCE.var.href, "var.pth"),
      "Cannot make a model of parts of different families: /vae.pth (expected the tokenizer of VAR, " +
        "as the transformer in var.pth is, found the tokenizer of FlexVAR)",
    );
    const other = await assertRejects(
      () => openModelSource({ var: flexVar.var, vae: SOURCE.vae }),
      ModelFileError,
      "different families",
    );
    assertEquals(other.found, "the tokenizer of VAR");
    const swapped = await assertRejects(
      () => openModelSource({ var: flexVar.vae, vae: flexVar.var }),
      ModelFileError,
      "Cannot find the model in the checkpoint",
    );
    assertEquals(swapped.expected, 'a tensor "pos_start" or "pos_1LC"');
    // What one file holds tells what the other one should.
    const half = await assertRejects(
      () => openModelSource({ var: flexVar.var, vae: flexVar.var }),
      ModelFileError,
    );
    assertEquals([half.file, half.expected], [flexVar.var, 'a tensor "quantize.embedding.weight"']);
  }));

Deno.test("openModelSource: a source that is none is refused with what may be one", async () => {
  for (
    const source of [undefined, null, 4, {}, { var: SOURCE.var }, { ...SOURCE, clip: "x" }, {
      var: undefined,
      vae: "",
    }]
  ) {
    await assertRejects(
      () => openModelSource(source as unknown as ConversionSource),
      TypeError,
      "Cannot convert the model as its source must be { var, vae } or { infinity, vae, t5? }, or { folder }: current value is",
    );
  }
});

/** What matters of a description. */
async function summaryOf(checkpoint: Checkpoint): Promise<unknown[]> {
  const { family, parts, config, classNames, problem } = await describeCheckpoint(checkpoint);
  return [family?.name, parts.map(({ name }) => name), config, classNames.length, problem];
}

Deno.test("describeCheckpoint: a checkpoint is described by its tensors", () =>
  inFolder(async (path) => {
    const of = async (file: string | URL): Promise<unknown[]> => {
      using checkpoint = await openCheckpoint(file);
      return await summaryOf(checkpoint);
    };
    const { tokenizer, ...transformer } = SMALL_FLEXVAR;
    const flexVar = await writeFlexVar(path, "as published", "pth");
    assertEquals(await of(flexVar.var), ["flexvar", ["var"], transformer, 0, undefined]);
    assertEquals(await of(flexVar.vae), ["flexvar", ["vae"], { tokenizer }, 0, undefined]);
    const { tokenizer: codes, ...sizes } = (await convert(SOURCE, `${path}/model`)).manifest
      .config as VarConfig;
    assertEquals(await of(SOURCE.var), ["var", ["var"], sizes, 0, undefined]);
    assertEquals(await of(SOURCE.vae), ["var", ["vae"], { tokenizer: codes }, 0, undefined]);
    // A folder's weights are without the buffer that tells the patch numbers.
    assertEquals(await of(`${path}/model/transformer.safetensors`), ["var", ["var"], sizes, 0, undefined]);
    await writeCheckpoint(`${path}/other.pth`, [{ name: "x", shape: [1], values: new Float32Array(1) }]);
    assertEquals(await of(`${path}/other.pth`), [undefined, [], {}, 0, undefined]);
    // What it looks like can still be told.
    await writeCheckpoint(
      `${path}/broken.pth`,
      filledFlexVar().var.filter(({ name }) => name !== "class_emb.weight"),
    );
    using broken = await openCheckpoint(`${path}/broken.pth`);
    const found = await describeCheckpoint(broken);
    assertEquals([found.family?.title, found.config], ["FlexVAR", {}]);
    assertEquals(
      found.problem,
      `Cannot find a tensor of the model: ${path}/broken.pth, class_emb.weight (expected [any, 64])`,
    );
  }));

Deno.test("openModelSource: names of classes and the depth are checked in every family", () =>
  inFolder(async (path) => {
    const source = await writeFlexVar(path, "flat", "pth");
    await assertRejects(
      () => openModelSource(source, { classNames: ["one"] }),
      RangeError,
      "it has 5 classes: the number of class names is 1",
    );
    await assertRejects(
      () => openModelSource(source, { depth: 16 }),
      RangeError,
      'Cannot convert the model "FlexVAR-d1" as depth must be its own, 1: current value is 16',
    );
    const sha256 = { vae: "2".repeat(64) };
    using folder = await openModelSource(source, { sha256 });
    assertEquals(folder.fingerprints["tokenizer as f32"], sha256.vae);
    assertEquals(folder.fingerprints["transformer as f32"]?.length, 64);
    assertEquals(folder.location, `${path}/var.pth + ${path}/vae.pth`);
  }));
