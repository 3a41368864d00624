/**
 * The models that the sampler's tests run on, loaded once per file and device: the bundled demo, and a tiny
 * VAR model of random weights that is made on the spot. The tiny one paints 8×8 pictures in four scales, a
 * tenth of a second each even on a software GPU, and serves where a model is needed but not a good one.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Device } from "../../kernels/device/device.ts";
import { writeSafetensors } from "../../models/checkpoint/mod.ts";
import { loadModel } from "../../models/load.ts";
import { generate } from "../../sampler/generate.ts";
import type { Generation, Model } from "../../models/model.ts";
import type { Verifier } from "../../models/vision/verifier.ts";
import { hasGpu, requireGpu, sharedGpu, testRandom } from "../devices.ts";

/** Sides of its token maps. */
export const TINY_PATCH_NUMBERS = [1, 2, 3, 4] as const;
/** Size of its vocabulary. */
export const TINY_VOCABULARY = 48;
/** Its classes. */
export const TINY_NAMES = ["sand", "snow", "sea", "sky", "Red Rock"] as const;

/** Sizes of a model that is made on the spot; one transformer block, one residual block per level. */
export interface RandomModel {
  /** Sides of its token maps. */
  readonly patchNumbers: readonly number[];
  /** Number of classes. */
  readonly classes: number;
  /** Number of codes. */
  readonly vocabulary: number;
  /** Whether all blocks share their adaptive norm, as in the published model for 512 pixels. */
  readonly shared: boolean;
  /** φ convolutions of the tokenizer. */
  readonly residuals: number;
  /** Resolution levels of the tokenizer. */
  readonly levels: number;
  /** Whether it has an encoder. */
  readonly encoder: boolean;
}

const TINY: RandomModel = {
  patchNumbers: TINY_PATCH_NUMBERS,
  classes: TINY_NAMES.length,
  vocabulary: TINY_VOCABULARY,
  shared: false,
  residuals: 2,
  levels: 2,
  encoder: false,
};

const WIDTH = 64;
const CHANNELS = 4;
const BASE = 32;

/** Both checkpoints, as safetensors files. */
export async function randomCheckpoints(sizes: RandomModel): Promise<{ var: Uint8Array; vae: Uint8Array }> {
  const { patchNumbers, classes, vocabulary, shared, residuals, levels, encoder } = sizes;
  const scales = patchNumbers.flatMap((side, scale) => new Array<number>(side * side).fill(scale));
  const linear = (name: string, inputs: number, outputs: number, gain: number): Weight[] => [
    [`${name}.weight`, [outputs, inputs], gain / Math.sqrt(inputs)],
    [`${name}.bias`, [outputs], 0.1],
  ];
  const convolution = (name: string, inputs: number, outputs: number, side: number): Weight[] => [
    [`${name}.weight`, [outputs, inputs, side, side], 1 / Math.sqrt(inputs * side * side)],
    [`${name}.bias`, [outputs], 0.1],
  ];
  const norm = (name: string): Weight[] => [[`${name}.weight`, [BASE], 1], [`${name}.bias`, [BASE], 0.1]];
  const block = (name: string): Weight[] => [
    ...norm(`${name}.norm1`),
    ...convolution(`${name}.conv1`, BASE, BASE, 3),
    ...norm(`${name}.norm2`),
    ...convolution(`${name}.conv2`, BASE, BASE, 3),
  ];
  const upwards = Array.from({ length: levels }, (_, i) => levels - 1 - i);
  return {
    var: await checkpoint([
      ["pos_start", [1, 1, WIDTH], 1],
      ["pos_1LC", [1, scales.length, WIDTH], 1],
      ["lvl_embed.weight", [patchNumbers.length, WIDTH], 1],
      ["class_emb.weight", [classes + 1, WIDTH], 1],
      ...linear("word_embed", CHANNELS, WIDTH, 1),
      ["blocks.0.attn.scale_mul_1H11", [1, 1, 1, 1], 1],
      ["blocks.0.attn.q_bias", [WIDTH], 0.1],
      ["blocks.0.attn.v_bias", [WIDTH], 0.1],
      ["blocks.0.attn.mat_qkv.weight", [3 * WIDTH, WIDTH], 1 / Math.sqrt(WIDTH)],
      ...linear("blocks.0.attn.proj", WIDTH, WIDTH, 1),
      ...linear("blocks.0.ffn.fc1", WIDTH, 4 * WIDTH, 1),
      ...linear("blocks.0.ffn.fc2", 4 * WIDTH, WIDTH, 1),
      ...linear(shared ? "shared_ada_lin.1" : "blocks.0.ada_lin.1", WIDTH, 6 * WIDTH, 1),
      ...(shared ? [["blocks.0.ada_gss", [1, 1, 6, WIDTH], 0.1] as const] : []),
      ...linear("head_nm.ada_lin.1", WIDTH, 2 * WIDTH, 1),
      ...linear("head", WIDTH, vocabulary, 2),
    ], scales),
    vae: await checkpoint([
      ["quantize.embedding.weight", [vocabulary, CHANNELS], 1],
      ...Array.from({ length: residuals }, (_, i) => i).flatMap((i) =>
        convolution(`quantize.quant_resi.qresi_ls.${i}`, CHANNELS, CHANNELS, 3)
      ),
      ...convolution("post_quant_conv", CHANNELS, CHANNELS, 3),
      ...convolution("decoder.conv_in", CHANNELS, BASE, 3),
      ...block("decoder.mid.block_1"),
      ...block("decoder.mid.block_2"),
      ...upwards.flatMap((level) => [
        ...block(`decoder.up.${level}.block.0`),
        ...(level > 0 ? convolution(`decoder.up.${level}.upsample.conv`, BASE, BASE, 3) : []),
      ]),
      ...norm("decoder.norm_out"),
      ...convolution("decoder.conv_out", BASE, 3, 3),
      ...(!encoder ? [] : [
        ...convolution("encoder.conv_in", 3, BASE, 3),
        ...upwards.toReversed().flatMap((level) => [
          ...block(`encoder.down.${level}.block.0`),
          ...(level < levels - 1 ? convolution(`encoder.down.${level}.downsample.conv`, BASE, BASE, 3) : []),
        ]),
        ...block("encoder.mid.block_1"),
        ...block("encoder.mid.block_2"),
        ...norm("encoder.norm_out"),
        ...convolution("encoder.conv_out", BASE, CHANNELS, 3),
        ...convolution("quant_conv", CHANNELS, CHANNELS, 3),
      ]),
    ]),
  };
}

/** The checkpoints of the tiny model. */
export function tinyCheckpoints(): Promise<{ var: Uint8Array; vae: Uint8Array }> {
  return randomCheckpoints(TINY);
}

/** Name, shape and scale of the values. */
type Weight = readonly [name: string, shape: readonly number[], scale: number];

async function checkpoint(weights: readonly Weight[], scales?: readonly number[]): Promise<Uint8Array> {
  const random = testRandom(weights.length);
  const entries = weights.map(([name, shape, scale]) => {
    // The sum of four uniform numbers: normal enough.
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => {
      return scale * Math.sqrt(3) * (random() + random() + random() + random() - 2);
    });
    return { name, dtype: "F32" as const, shape, bytes: () => new Uint8Array(values.buffer) };
  });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  const level = BigInt64Array.from(scales ?? [], BigInt);
  await writeSafetensors(writable, [
    ...entries,
    ...(scales === undefined ? [] : [{
      name: "lvl_1L",
      dtype: "I64" as const,
      shape: [1, level.length],
      bytes: () => new Uint8Array(level.buffer),
    }]),
  ]);
  return await file;
}

/** Loads the tiny model. */
export async function loadTiny(device: Device): Promise<Model> {
  return await loadModel(await tinyCheckpoints(), { device, classNames: TINY_NAMES });
}

const LOADERS = {
  tiny: loadTiny,
  /** The tiny model with an encoder. */
  coded: async (device: Device) => loadModel(await randomCheckpoints({ ...TINY, encoder: true }), { device }),
  demo: (device: Device) => loadModel("demo", { device }),
  /** The bundled model of texts; what it keeps for each map, once used, is there. */
  texts: async (device: Device) => {
    const model = await loadModel("demo-t2i", { device });
    await generate(model, { labels: "a red cube" });
    return model;
  },
} as const;
type ModelName = keyof typeof LOADERS;

const loaded = new Map<string, Promise<Model>>();

/** The model of that name, loaded once per file; it lives until the process ends. */
export function sharedModel(name: ModelName, kind: "cpu" | "webgpu"): Promise<Model> {
  const key = `${name} ${kind}`;
  const load = async (): Promise<Model> => {
    return await LOADERS[name](kind === "cpu" ? new CpuDevice() : await sharedGpu());
  };
  if (!loaded.has(key)) loaded.set(key, load());
  return loaded.get(key)!;
}

/** Registers a test once per device; the test fails, too, if it leaves arrays behind. */
export function testOnModel(
  name: ModelName,
  title: string,
  test: (model: Model) => Promise<void>,
): void {
  for (const kind of ["cpu", "webgpu"] as const) {
    Deno.test({
      name: `${title} [${kind}]`,
      ignore: kind === "webgpu" && !hasGpu && !requireGpu,
      // The model stays loaded, and its threads with it.
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        const model = await sharedModel(name, kind);
        const { liveArrays } = model.device.counters;
        await test(model);
        assertEquals(model.device.counters.liveArrays, liveArrays, "arrays left behind");
      },
    });
  }
}

/** What a device holds. */
export function holdings({ device }: Model): { liveArrays: number; liveBytes: number } {
  const { liveArrays, liveBytes } = device.counters;
  return { liveArrays, liveBytes };
}

/** The tokens of all images. */
export function tokensOf(
  { images }: { readonly images: readonly { readonly tokens: readonly Uint32Array[] }[] },
): number[][][] {
  return images.map(({ tokens }) => tokens.map((map) => [...map]));
}

/** A model that runs as another one does, except for what `changes` puts in the place of its members. */
export function changed<Target extends object>(target: Target, changes: Partial<Target>): Target {
  return new Proxy(target, {
    get(_, key) {
      if (key in changes) return changes[key as keyof Target];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** A model of which every generation is changed; see {@linkcode changed}. */
export function withGenerations(
  model: Model,
  change: (generation: Generation) => Partial<Generation>,
): Model {
  return changed(model, {
    start: async (options) => {
      const generation = await model.start(options);
      return changed(generation, change(generation));
    },
  });
}

/** A verifier that gives the lanes of each image these scores, in turn, whatever they look like. */
export function ranking(scores: readonly number[]): Verifier {
  return {
    name: "ranking",
    needsPrompt: false,
    score: (_pictures, labels) => labels.map((_, lane) => scores[lane % scores.length]!),
  };
}
