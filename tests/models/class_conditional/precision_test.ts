/**
 * Which tensors are stored how, and what the graphs make of them: exactly what is stored, with sums in
 * float32, and logits no further from those of float32 than the weights are.
 */

import { assert, assertEquals } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { type SafetensorsEntry, writeSafetensors } from "../../../models/checkpoint/mod.ts";
import { type Dtype, DTYPES, type KeptDtype } from "../../../models/weights/dtype.ts";
import type { ModelFolder } from "../../../models/folder/model_folder.ts";
import { SCALES } from "../../../models/weights/quantize.ts";
import type { WeightFiles } from "../../../models/weights/weight_files.ts";
import { type VarConfig, varSizes } from "../../../models/var/config.ts";
import { VAR } from "../../../models/var/family.ts";
import { openModelSource } from "../../../models/convert.ts";
import { storedDtype } from "../../../models/class_conditional/precision.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { goldenCheckpoints, maxDifference } from "../../fixtures/golden/golden.ts";

/** How a tensor is stored with each type, in the order of {@linkcode DTYPES}. */
function stored(name: string, shape: readonly number[]): KeptDtype[] {
  return DTYPES.map((dtype) => storedDtype(name, shape, dtype));
}

Deno.test("storedDtype: the blocks' linear layers and the head are quantized, whatever their size", () => {
  for (const layer of ["attn.mat_qkv", "attn.proj", "ffn.fc1", "ffn.fc2"]) {
    assertEquals(stored(`blocks.12.${layer}.weight`, [1024, 1024]), ["f32", "f16", "q8", "q4"]);
    assertEquals(stored(`blocks.0.${layer}.weight`, [64, 64]), ["f32", "f32", "q8", "q4"]);
  }
  assertEquals(stored("head.weight", [4096, 1024]), ["f32", "f16", "q8", "q8"]);
});

Deno.test("storedDtype: everything else that is large is f16 unless all is f32", () => {
  const large: [string, number[]][] = [
    ["blocks.0.ada_lin.1.weight", [6144, 1024]],
    ["shared_ada_lin.1.weight", [13824, 2304]],
    ["head_nm.ada_lin.1.weight", [2048, 1024]],
    ["class_emb.weight", [1001, 1024]],
    ["pos_1LC", [1, 680, 1024]],
    ["word_embed.weight", [1024, 32]],
    ["decoder.up.0.block.0.conv1.weight", [160, 160, 3, 3]],
    ["decoder.mid.attn_1.proj_out.weight", [640, 640, 1, 1]],
    ["just.large.enough", [128, 128]],
  ];
  for (const [name, shape] of large) assertEquals(stored(name, shape), ["f32", "f16", "f16", "f16"], name);
});

Deno.test("storedDtype: small tensors, codebook and φ are f32 with every type", () => {
  const precious: [string, number[]][] = [
    ["blocks.0.ffn.fc1.bias", [4096]],
    ["head.bias", [4096]],
    ["blocks.0.attn.scale_mul_1H11", [1, 16, 1, 1]],
    ["one.too.few", [16383]],
    ["quantize.embedding.weight", [4096, 32]],
    ["quantize.quant_resi.qresi_ls.0.weight", [1000, 32, 3, 3]],
  ];
  for (const [name, shape] of precious) assertEquals(stored(name, shape), ["f32", "f32", "f32", "f32"], name);
});

/** Logits of all scales after each other, for the same random tokens. */
async function logitsOf(device: Device, folder: ModelFolder, dtype: Dtype): Promise<Float32Array> {
  await using model = await VAR.load(folder, device, { dtype });
  assertEquals(model.dtype, dtype);
  const labels = [3, 5].map((id) => ({ id, name: `${id}` }));
  using generation = await model.start({ labels, guided: true });
  const random = testRandom(5);
  const found: number[] = [];
  for (const side of model.patchNumbers) {
    using logits = await generation.logits();
    found.push(...await readFloats(logits));
    const tokens = Uint32Array.from({ length: labels.length * side * side }, () => {
      return Math.floor(random() * model.tokens.logits);
    });
    using array = device.upload(tokens);
    generation.accept(array);
  }
  return Float32Array.from(found);
}

/** Checkpoints in float32 of exactly the values that the weights of a folder stand for. */
async function restored(folder: ModelFolder): Promise<{ var: Uint8Array; vae: Uint8Array }> {
  const config = folder.manifest.config as VarConfig;
  const tensors = varSizes(config).tensors;
  const bytesOf = async (part: "transformer" | "tokenizer"): Promise<Uint8Array> => {
    using weights: WeightFiles = await folder.weights(part);
    const entries = tensors[part].map(({ name, shape }): SafetensorsEntry => ({
      name,
      shape,
      dtype: "F32",
      bytes: async () => new Uint8Array((await weights.readFloat32(name)).buffer),
    }));
    const scales = config.patchNumbers.flatMap((side, i) => new Array(side * side).fill(i));
    if (part === "transformer") {
      entries.push({
        name: "lvl_1L",
        shape: [1, scales.length],
        dtype: "F32",
        bytes: () => Promise.resolve(new Uint8Array(new Float32Array(scales).buffer)),
      });
    }
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const [bytes] = await Promise.all([
      new Response(readable).bytes(),
      writeSafetensors(writable, entries),
    ]);
    return bytes;
  };
  return { var: await bytesOf("transformer"), vae: await bytesOf("tokenizer") };
}

function rootMeanSquare(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/**
 * How far the weights of the linear layers are from those of float32, as a share of their size: the most of
 * any layer.
 */
async function weightError(folder: ModelFolder, original: ModelFolder): Promise<number> {
  using weights = await folder.weights("transformer");
  using exact = await original.weights("transformer");
  let most = 0;
  for (const { name, shape } of varSizes(folder.manifest.config as VarConfig).tensors.transformer) {
    if (shape.length !== 2 || !name.endsWith(".weight")) continue;
    const wanted = await exact.readFloat32(name);
    const found = await weights.readFloat32(name);
    const errors = wanted.map((value, i) => found[i]! - value);
    most = Math.max(most, rootMeanSquare(errors) / rootMeanSquare(wanted));
  }
  return most;
}

for (const dtype of ["f16", "q8", "q4"] as const) {
  testOnDevices(`${dtype} gives what its values give in float32`, async (device) => {
    for (const name of ["var-adaln", "var-shared-adaln"] as const) {
      const source = goldenCheckpoints(name);
      using stored = await openModelSource(source, { dtype });
      using weights = await stored.weights("transformer");
      assertEquals([...weights.tensors.keys()].some((tensor) => tensor.endsWith(SCALES)), dtype !== "f16");
      const exact = await logitsOf(device, await openModelSource(await restored(stored)), "f32");
      const found = await logitsOf(device, await openModelSource(source, { dtype }), dtype);
      // Only the order of the same float32 sums differs.
      const difference = maxDifference(found, exact);
      assert(difference <= 1e-5, `${name}: ${difference}`);
    }
  });

  testOnDevices(
    `openModelSource: a folder in float32 is converted to ${dtype} when it is loaded`,
    async (device) => {
      const source = goldenCheckpoints("var-adaln");
      const wanted = await logitsOf(device, await openModelSource(source, { dtype }), dtype);
      const found = await logitsOf(device, await openModelSource(source), dtype);
      assertEquals(maxDifference(found, wanted), 0);
    },
  );

  testOnDevices(
    `storedDtype: the logits of ${dtype} are as near to those of float32 as the weights are`,
    async (device) => {
      const source = goldenCheckpoints("var-adaln");
      using original = await openModelSource(source);
      using stored = await openModelSource(source, { dtype });
      const config = original.manifest.config as VarConfig;
      const wanted = await logitsOf(device, await openModelSource(source), "f32");
      const found = await logitsOf(device, await openModelSource(source, { dtype }), dtype);
      const error = rootMeanSquare(found.map((value, i) => value - wanted[i]!));
      // A layer adds noise of this share of its result's size, as its products add up with errors that are
      // independent of each other. So are the noises of the layers that follow each other: four in a block
      // and the head, and the projection of the class in each block.
      const share = await weightError(stored, original);
      const layers = 5 * config.depth + 2;
      const bound = Math.sqrt(layers) * share * rootMeanSquare(wanted);
      assert(error > 0 && error <= bound, `${error} > ${bound}, with weights off by ${share}`);
    },
  );
}
