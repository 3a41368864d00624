/**
 * The tensors of Infinity's published models in the order of their files, with random values: transformer,
 * tokenizer and the encoder half of T5. The lists are apart from those in `models/`, so that each can be held
 * against the other.
 *
 * @module
 */

import type { PyTorchTensor } from "./pytorch_file.ts";
import { constant, normal, TensorList, type TensorListOptions } from "./random_tensors.ts";

/** What the transformers differ in. */
export interface InfinityTransformerSizes {
  /** Transformer blocks. */
  readonly depth: number;
  /** Groups that the blocks are divided into, which is to be seen in their names. */
  readonly chunks: number;
  /** Width of a token. */
  readonly width: number;
  /** Heads of attention. */
  readonly heads: number;
  /** Bits of a token. */
  readonly bits: number;
  /** Width of the text's tokens, a multiple of 128. */
  readonly textWidth: number;
}

/** What the tokenizers differ in. */
export interface InfinityVaeSizes {
  /** Channels of the levels, the finest first, all multiples of 32. */
  readonly channels: readonly number[];
  /** Channels of a code, one bit each. */
  readonly latent: number;
  /** Residual blocks of a level of the encoder; the decoder has one more. */
  readonly blocks: number;
}

/** Sizes of T5's encoder. */
export interface TextEncoderSizes {
  /** Layers. */
  readonly layers: number;
  /** Width of a token. */
  readonly width: number;
  /** Heads of attention. */
  readonly heads: number;
  /** Width of the layers between. */
  readonly hidden: number;
  /** Rows of the embedding. */
  readonly vocabulary: number;
}

/** A published model. */
export interface InfinitySizes {
  readonly transformer: InfinityTransformerSizes;
  readonly vae: InfinityVaeSizes;
  /** Name of the transformer's file, or of the folder of its shards. */
  readonly transformerName: string;
  /** Name of the tokenizer's file. */
  readonly vaeName: string;
}

const F16 = { channels: [128, 256, 512, 512, 512], blocks: 2 };

/** The models by the names of their sizes. */
export const INFINITY_SIZES = {
  "125M": {
    transformer: { depth: 12, chunks: 4, width: 768, heads: 8, bits: 16, textWidth: 2048 },
    vae: { ...F16, latent: 16 },
    ...{ transformerName: "infinity_125M_256x256.pth", vaeName: "infinity_vae_d16.pth" },
  },
  "2B": {
    transformer: { depth: 32, chunks: 8, width: 2048, heads: 16, bits: 32, textWidth: 2048 },
    vae: { ...F16, latent: 32 },
    ...{ transformerName: "infinity_2b_reg.pth", vaeName: "infinity_vae_d32reg.pth" },
  },
  // Four codes of 14 bits to a token.
  "8B": {
    transformer: { depth: 40, chunks: 8, width: 3584, heads: 28, bits: 56, textWidth: 2048 },
    vae: { channels: [128, 256, 512, 512], blocks: 2, latent: 14 },
    ...{ transformerName: "infinity_8b_weights", vaeName: "infinity_vae_d56_f8_14_patchify.pth" },
  },
} as const satisfies Readonly<Record<string, InfinitySizes>>;

/** Flan-T5 XL, whose encoder all of them use. */
export const TEXT_ENCODER_SIZES: TextEncoderSizes = {
  ...{ layers: 24, width: 2048, heads: 32, hidden: 5120, vocabulary: 32128 },
};

/** Rows of the learned empty text. */
const TEXT_ROWS = 512;
/** Rows of the scales' embedding; the longest schedule has 13. */
const SCALE_ROWS = 15;
/** Width of a head that pools the text. */
const POOLED = 128;
/** Kinds of distances between a text's tokens. */
const BUCKETS = 32;

/** The state dict of a transformer. */
export function infinityTensors(
  { depth, chunks, width, heads, bits, textWidth }: InfinityTransformerSizes,
  options: TensorListOptions,
): readonly PyTorchTensor[] {
  const list = new TensorList(options);
  const pooling = "text_proj_for_sos.ca";
  // Half of a pooled text passes the SiLU: the bias is what all texts share, the weight how far they differ.
  const modulation = { gain: 1, bias: 0.3 };
  const biasOfKeysAndValues = (name: string): void => {
    list.add(`${name}.v_bias`, [width], normal(0.02));
    list.add(`${name}.zero_k_bias`, [width], constant(0));
  };
  list.add("cfg_uncond", [TEXT_ROWS, textWidth], normal(1));
  list.add("pos_start", [1, 1, width], normal(0.3));
  list.add("text_norm.weight", [textWidth], constant(1));
  list.add(`${pooling}.mat_q`, [1, textWidth / POOLED, width * POOLED / textWidth], normal(1));
  biasOfKeysAndValues(pooling);
  list.matrix(`${pooling}.mat_kv.weight`, 2 * width, textWidth);
  list.linear(`${pooling}.proj`, width, width);
  list.linear("text_proj_for_ca.0", width, textWidth);
  list.linear("text_proj_for_ca.2", width, width);
  list.add("lvl_embed.weight", [SCALE_ROWS, width], normal(0.3));
  // Codes are of length 1, whatever their channels.
  list.linear("word_embed", width, bits, { gain: Math.sqrt(bits) });
  list.linear("shared_ada_lin.1", 6 * width, width, modulation);
  for (let i = 0; i < depth; i++) {
    const size = depth / chunks;
    const block = `block_chunks.${Math.floor(i / size)}.module.${i % size}`;
    list.add(`${block}.ada_gss`, [1, 1, 6, width], normal(modulation.bias));
    list.add(`${block}.sa.scale_mul_1H11`, [1, heads, 1, 1], constant(Math.log(4)));
    list.add(`${block}.sa.q_bias`, [width], normal(0.02));
    biasOfKeysAndValues(`${block}.sa`);
    list.matrix(`${block}.sa.mat_qkv.weight`, 3 * width, width);
    list.linear(`${block}.sa.proj`, width, width);
    list.norm(`${block}.ca_norm`, width);
    biasOfKeysAndValues(`${block}.ca`);
    list.linear(`${block}.ca.mat_q`, width, width);
    list.matrix(`${block}.ca.mat_kv.weight`, 2 * width, width);
    list.linear(`${block}.ca.proj`, width, width);
    list.linear(`${block}.ffn.fc1`, 4 * width, width);
    list.linear(`${block}.ffn.fc2`, width, 4 * width);
  }
  list.linear("head_nm.ada_lin.1", 2 * width, width, modulation);
  // Logits with a deviation of 2 leave truncation something to decide.
  list.linear("head", 2 * bits, width, { gain: 2 });
  return list.tensors;
}

/** The state dict of a tokenizer, where convolutions and norms are modules of a module. */
export function infinityVaeTensors(
  { channels, latent, blocks }: InfinityVaeSizes,
  options: TensorListOptions,
): readonly PyTorchTensor[] {
  const list = new TensorList(options);
  const [finest, top] = [channels[0]!, channels.at(-1)!];
  const convolution = (name: string, outputs: number, inputs: number, side: 1 | 3 = 3): void => {
    list.convolution(`${name}.conv`, outputs, inputs, side);
  };
  const norm = (name: string, width: number): void => list.norm(`${name}.norm`, width);
  const residual = (name: string, inputs: number, outputs: number): void => {
    norm(`${name}.norm1`, inputs);
    convolution(`${name}.conv1`, outputs, inputs);
    norm(`${name}.norm2`, outputs);
    convolution(`${name}.conv2`, outputs, outputs);
    if (inputs !== outputs) convolution(`${name}.nin_shortcut`, outputs, inputs, 1);
  };
  const middle = (network: string): void => {
    residual(`${network}.mid.block_1`, top, top);
    residual(`${network}.mid.block_2`, top, top);
  };

  convolution("encoder.conv_in", finest, 3);
  for (const [level, outputs] of channels.entries()) {
    const name = `encoder.down.${level}`;
    // A level begins with what the finer one gives it.
    const inputs = channels[level - 1] ?? outputs;
    for (let i = 0; i < blocks; i++) residual(`${name}.block.${i}`, i === 0 ? inputs : outputs, outputs);
    if (level < channels.length - 1) convolution(`${name}.downsample.conv`, outputs, outputs);
  }
  middle("encoder");
  norm("encoder.norm_out", top);
  convolution("encoder.conv_out", latent, top);

  convolution("decoder.conv_in", top, latent);
  middle("decoder");
  for (const [level, outputs] of channels.entries()) {
    const name = `decoder.up.${level}`;
    // And one of the decoder with what the coarser one does.
    const inputs = channels[level + 1] ?? outputs;
    for (let i = 0; i <= blocks; i++) residual(`${name}.block.${i}`, i === 0 ? inputs : outputs, outputs);
    if (level > 0) convolution(`${name}.upsample.conv`, outputs, outputs);
  }
  norm("decoder.norm_out", finest);
  convolution("decoder.conv_out", 3, finest);

  const powers = Array.from({ length: latent }, (_, bit) => 2 ** bit);
  for (const name of ["quantizer", "quantize"]) list.addIntegers(`${name}.lfq.mask`, [latent], powers);
  return list.tensors;
}

/** The encoder half of T5. */
export function textEncoderTensors(
  { layers, width, heads, hidden, vocabulary }: TextEncoderSizes,
  options: TensorListOptions,
): readonly PyTorchTensor[] {
  const list = new TensorList(options);
  list.add("shared.weight", [vocabulary, width], normal(1));
  for (let i = 0; i < layers; i++) {
    const [attention, feed] = [0, 1].map((part) => `encoder.block.${i}.layer.${part}`);
    for (const name of ["q", "k", "v", "o"]) {
      // Attention is not scaled, so that queries have to be small.
      const gain = name === "q" ? Math.sqrt(heads / width) : 1;
      list.matrix(`${attention}.SelfAttention.${name}.weight`, width, width, gain);
    }
    if (i === 0) {
      list.add(`${attention}.SelfAttention.relative_attention_bias.weight`, [BUCKETS, heads], normal(1));
    }
    list.add(`${attention}.layer_norm.weight`, [width], constant(1));
    list.matrix(`${feed}.DenseReluDense.wi_0.weight`, hidden, width);
    list.matrix(`${feed}.DenseReluDense.wi_1.weight`, hidden, width);
    list.matrix(`${feed}.DenseReluDense.wo.weight`, width, hidden);
    list.add(`${feed}.layer_norm.weight`, [width], constant(1));
  }
  list.add("encoder.final_layer_norm.weight", [width], constant(1));
  return list.tensors;
}

/** What `config.json` says beside T5's weights. */
export function textEncoderConfig({ layers, width, heads, hidden, vocabulary }: TextEncoderSizes): object {
  return {
    architectures: ["T5EncoderModel"],
    model_type: "t5",
    ...{ d_model: width, d_ff: hidden, d_kv: width / heads, num_heads: heads, num_layers: layers },
    ...{ vocab_size: vocabulary, pad_token_id: 0, eos_token_id: 1 },
    ...{ feed_forward_proj: "gated-gelu", dense_act_fn: "gelu_new", is_gated_act: true },
    ...{ relative_attention_num_buckets: BUCKETS, relative_attention_max_distance: 128 },
    layer_norm_epsilon: 1e-6,
  };
}
