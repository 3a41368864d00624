/**
 * Infinity's layout of the convolutional networks: names in both spellings, and the recorded decoders.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { TensorInfo } from "../../../models/checkpoint/mod.ts";
import type { Autoencoder } from "../../../models/autoencoder/config.ts";
import { readLevels } from "../../../models/autoencoder/config.ts";
import { decoderGraph, encoderGraph } from "../../../models/autoencoder/graph.ts";
import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import type { CheckpointPart } from "../../../models/family.ts";
import { INFINITY_LAYOUT, tokenizerName } from "../../../models/infinity/layout.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { type PartPlace, partPlaces } from "../../../models/part_places.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { elementsOf } from "../../../models/weights/model_tensor.ts";
import { testOnDevices } from "../../devices.ts";
import {
  decodeHashed,
  DECODER_CASES,
  hashedSizes,
  requireHashed,
  truncatedBytes,
} from "../autoencoder/hashed_decoder.ts";

function published(channels: number): Autoencoder {
  const levels = (blocks: number) => {
    return [128, 256, 512, 512, 512].map((channels) => ({ channels, blocks, attention: false }));
  };
  return { layout: INFINITY_LAYOUT, channels, decoder: levels(3), encoder: levels(2) };
}

Deno.test("INFINITY_LAYOUT: the published tokenizers have as many tensors and parameters as are known", () => {
  const count = (sizes: Autoencoder): [number, number] => {
    const tensors = autoencoderTensors(sizes);
    return [tensors.length, elementsOf(tensors)];
  };
  for (
    const [channels, decoder] of [[16, 65_018_627], [24, 65_055_491], [32, 65_092_355], [64, 65_239_811]]
  ) {
    assertEquals(count({ ...published(channels!), encoder: null }), [154, decoder]);
  }
  assertEquals(count({ ...published(32), decoder: null }), [114, 45_025_696]);
  const { decoder } = published(14);
  // Of the 8B model, with eight pixels a token.
  assertEquals(count({ ...published(14), decoder: decoder!.slice(0, 4), encoder: null })[1], 48_484_611);
});

Deno.test("INFINITY_LAYOUT: both graphs are built for every width of a code, of exactly the tensors there are", () => {
  for (const channels of [14, 16, 24, 32, 56, 64]) {
    const sizes = published(channels);
    const set = new WeightSet(
      "vae.pth",
      new Map(autoencoderTensors(sizes).map(({ name, shape }) => [name, { shape, dtype: "F32" }])),
    );
    assertEquals(readLevels("decoder", set, INFINITY_LAYOUT), sizes.decoder);
    assertEquals(readLevels("encoder", set, INFINITY_LAYOUT), sizes.encoder);
    const nowhere = () => ({ file: "", offset: 0, length: 0, type: "float32", shape: [] } as const);
    decoderGraph(sizes, set, nowhere);
    encoderGraph(sizes, set, nowhere);
    set.requireAllTaken(/^$/);
    assertThrows(() => decoderGraph({ ...sizes, channels: channels + 2 }, set, nowhere), ModelFileError);
  }
});

const PART: CheckpointPart = {
  name: "vae",
  weights: "tokenizer",
  title: "the tokenizer",
  landmark: "decoder.conv_in.weight",
  unused: /^quantize/,
  nameOf: tokenizerName,
  isIn: (tensors) => tensors.has("decoder.conv_in.weight"),
};

function tensorsNamed(...names: readonly string[]): Map<string, TensorInfo> {
  return new Map(names.map((name) => [name, { name, dtype: "F32", shape: [1] }]));
}

Deno.test("tokenizerName: a part is found in either spelling, behind whatever stands in front", () => {
  for (const prefix of ["", "vae.", "trainer.vae.module."]) {
    for (const [convolution, norm] of [["", ""], [".conv", ".norm"]]) {
      const stored = [
        `decoder.conv_in${convolution}.weight`,
        `decoder.up.1.upsample.conv${convolution}.bias`,
        `decoder.up.0.block.0.norm1${norm}.weight`,
        `encoder.down.0.downsample.conv${convolution}.weight`,
      ].map((name) => prefix + name);
      const [places] = partPlaces([PART], { tensors: tensorsNamed(...stored) });
      const [{ tensors, prefix: found }] = places as [PartPlace];
      assertEquals(found, prefix);
      assertEquals([...tensors.keys()], [
        "decoder.conv_in.weight",
        "decoder.up.1.upsample.conv.bias",
        "decoder.up.0.block.0.norm1.weight",
        "encoder.down.0.downsample.conv.weight",
      ]);
      assertEquals([...tensors.values()].map(({ name }) => name), stored);
    }
  }
});

Deno.test("tokenizerName: of a name in both spellings the plain one is meant, and the other is left over", () => {
  const names = ["decoder.conv_in.conv.weight", "decoder.conv_in.weight"];
  for (const order of [names, names.toReversed()]) {
    const [[place]] = partPlaces([PART], { tensors: tensorsNamed(...order) }) as unknown as [[PartPlace]];
    assertEquals(place.tensors.get("decoder.conv_in.weight")!.name, "decoder.conv_in.weight");
    assertEquals([...place.tensors.keys()].toSorted(), names);
  }
});

for (const recorded of DECODER_CASES) {
  const { tag, n_tensors, uint8_bgr_first: bytes } = recorded;
  testOnDevices(`INFINITY_LAYOUT: pixels of the recorded decoder ${tag}`, async (device) => {
    assertEquals(autoencoderTensors(hashedSizes(recorded)).length, n_tensors);
    const pixels = await decodeHashed(device, recorded);
    requireHashed(pixels, recorded);
    assertEquals(truncatedBytes(pixels, bytes.length), bytes);
    // A picture of other values is told apart.
    await assertRejects(() =>
      Promise.try(() => requireHashed(pixels.map((value) => value + 1e-3), recorded))
    );
  });
}
