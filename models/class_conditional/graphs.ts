/**
 * All graphs of a model of a class-conditional transformer and a convolutional tokenizer.
 *
 * @module
 */

import type { AutoencoderLayout } from "../autoencoder/config.ts";
import { decoderGraph, encoderGraph } from "../autoencoder/graph.ts";
import { takeQuantConvolutions } from "../autoencoder/tensors.ts";
import { type ClassConditionalConfig, TOKENIZER, TRANSFORMER } from "./model.ts";
import type { ModelWeights } from "../family.ts";
import type { WeightPlaces } from "../weights/weight_places.ts";
import { conditionGraph, type FirstPosition, transformerGraph } from "./transformer/graph.ts";

/** What families do differently. */
export interface ClassConditionalGraphOptions {
  /** Where the bytes of each tensor lie, by part. */
  readonly places: Readonly<Record<string, WeightPlaces>>;
  /** Layout of the tokenizer's tensors. */
  readonly layout: AutoencoderLayout;
  /** The position of the first token. */
  readonly firstPosition: FirstPosition;
}

/**
 * Builds the graphs by file name, and takes all tensors that they use, and those that the kernels of every
 * family use.
 *
 * @throws {ModelFileError} If a tensor is missing or of another shape.
 */
export function classConditionalGraphs(
  config: ClassConditionalConfig,
  weights: ModelWeights,
  { places, layout, firstPosition }: ClassConditionalGraphOptions,
): Map<string, Uint8Array<ArrayBuffer>> {
  const { vocabulary, channels, decoder, encoder } = config.tokenizer;
  const transformer = { set: weights[TRANSFORMER]!.set, places: places[TRANSFORMER]! };
  const tokenizer = { set: weights[TOKENIZER]!.set, places: places[TOKENIZER]! };
  const sizes = { ...config, vocabulary, channels };
  const autoencoder = { ...config.tokenizer, layout };
  const graphs = new Map([
    [
      "condition.onnx",
      conditionGraph(config, transformer.set, { places: transformer.places, firstPosition }),
    ],
    ["transformer.onnx", transformerGraph(sizes, transformer.set, { places: transformer.places })],
  ]);
  if (decoder !== null) {
    graphs.set("decoder.onnx", decoderGraph(autoencoder, tokenizer.set, tokenizer.places));
  }
  if (encoder !== null) {
    graphs.set("encoder.onnx", encoderGraph(autoencoder, tokenizer.set, tokenizer.places));
  }
  transformer.set.take("word_embed.bias", [config.width]);
  tokenizer.set.take("quantize.embedding.weight", [vocabulary, channels]);
  takeQuantConvolutions(autoencoder, tokenizer.set);
  return graphs;
}
