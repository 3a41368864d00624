import { assertEquals } from "@std/assert";
import {
  INFINITY_SIZES,
  infinityTensors,
  infinityVaeTensors,
  TEXT_ENCODER_SIZES,
  textEncoderConfig,
  textEncoderTensors,
} from "../../bench/infinity_tensors.ts";
import type { PyTorchTensor } from "../../bench/pytorch_file.ts";

const BUFFERS = /zero_k_bias|lfq\.mask/;

function elements(tensors: readonly PyTorchTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

function parameters(tensors: readonly PyTorchTensor[], prefix = ""): number {
  return elements(tensors.filter(({ name }) => name.startsWith(prefix) && !BUFFERS.test(name)));
}

Deno.test("infinityTensors: transformers have as many tensors and parameters as the published ones", () => {
  const counts = { "125M": [274, 125_148_800], "2B": [694, 2_204_564_032], "8B": [862, 8_375_791_824] };
  for (const [name, { transformer }] of Object.entries(INFINITY_SIZES)) {
    const tensors = infinityTensors(transformer, { seed: 0 });
    assertEquals([tensors.length, parameters(tensors)], counts[name as keyof typeof counts], name);
    assertEquals(new Set(tensors.map(({ name }) => name)).size, tensors.length);
  }
});

Deno.test("infinityTensors: blocks are counted within chunks, and keep their shapes", () => {
  const tensors = infinityTensors(INFINITY_SIZES["2B"].transformer, { seed: 0 });
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const block = "block_chunks.7.module.3";
  assertEquals(shapes.get(`${block}.ada_gss`), [1, 1, 6, 2048]);
  assertEquals(shapes.get(`${block}.sa.scale_mul_1H11`), [1, 16, 1, 1]);
  assertEquals(shapes.get(`${block}.ca.mat_kv.weight`), [4096, 2048]);
  assertEquals(shapes.get("text_proj_for_sos.ca.mat_q"), [1, 16, 128]);
  assertEquals(shapes.get("head.weight"), [64, 2048]);
  assertEquals(tensors.some(({ name }) => name.startsWith("block_chunks.8.")), false);
  // Of the whole file, buffers included.
  const inside = tensors.filter(({ name }) => name.startsWith("block_chunks."));
  assertEquals(elements(inside), 32 * 67_151_888);
  assertEquals(elements(tensors) - elements(inside), 55_836_736);
});

Deno.test("infinityVaeTensors: tokenizers have as many tensors and parameters as the published ones", () => {
  const counts = { "125M": [154, 65_018_627], "2B": [154, 65_092_355], "8B": [128, 48_484_611] };
  for (const [name, { vae }] of Object.entries(INFINITY_SIZES)) {
    const tensors = infinityVaeTensors(vae, { seed: 0 });
    const decoder = tensors.filter(({ name }) => name.startsWith("decoder."));
    assertEquals([decoder.length, parameters(decoder)], counts[name as keyof typeof counts], name);
  }
  const wide = infinityVaeTensors({ ...INFINITY_SIZES["2B"].vae, latent: 64 }, { seed: 0 });
  assertEquals(parameters(wide, "decoder."), 65_239_811);
  const tensors = infinityVaeTensors(INFINITY_SIZES["2B"].vae, { seed: 0 });
  assertEquals(tensors.filter(({ name }) => name.startsWith("encoder.")).length, 114);
  assertEquals(parameters(tensors, "encoder."), 45_025_696);
});

Deno.test("textEncoderTensors: the encoder has as many parameters as that of the published model", () => {
  const tensors = textEncoderTensors(TEXT_ENCODER_SIZES, { seed: 0 });
  assertEquals(parameters(tensors), 1_223_527_424);
  // One table of distances for all layers.
  assertEquals(
    tensors.filter(({ name }) => name.includes("relative_attention_bias")).map(({ name }) => name),
    [
      "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    ],
  );
  const { d_kv, num_layers, vocab_size } = textEncoderConfig(TEXT_ENCODER_SIZES) as Record<string, number>;
  assertEquals([d_kv, num_layers, vocab_size], [64, 24, 32128]);
});
