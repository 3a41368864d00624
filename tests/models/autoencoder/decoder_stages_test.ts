/**
 * A decoder as stages: that they are all of its tensors in the order in which they are passed, and how rows
 * are divided among arrays of a size.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Autoencoder } from "../../../models/autoencoder/config.ts";
import {
  decoderStages,
  divideRows,
  rowsWithin,
  stripBytes,
  tiledMemory,
} from "../../../models/autoencoder/decoder_stages.ts";
import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import { FLEXVAR_LAYOUT } from "../../../models/flexvar/config.ts";
import { INFINITY_LAYOUT } from "../../../models/infinity/layout.ts";
import { testRandom } from "../../devices.ts";

/** The published decoder. */
const SIZES: Autoencoder = {
  layout: INFINITY_LAYOUT,
  channels: 32,
  decoder: [128, 256, 512, 512, 512].map((channels) => ({ channels, blocks: 3, attention: false })),
  encoder: null,
};

Deno.test("decoderStages: use every layer of the decoder once", () => {
  const used = decoderStages(SIZES).flatMap(({ convolution, norm, keeps }) => {
    return [convolution, norm, keeps].filter((name) => typeof name === "string");
  });
  const layers = autoencoderTensors(SIZES).map(({ name }) => name.replace(/\.\w+$/, ""));
  assertEquals(used.toSorted(), [...new Set(layers)].toSorted());
  assertEquals(used.length, 154 / 2);
});

Deno.test("decoderStages: each goes on with the channels of the one before, and is measured for its norm", () => {
  const stages = decoderStages(SIZES);
  for (const [i, { outputs, measures, keeps, most, inputs, enlarges }] of stages.entries()) {
    const next = stages[i + 1];
    assertEquals(measures, next?.norm !== undefined, String(i));
    assertEquals(next?.inputs ?? 3, outputs);
    assertEquals(next?.adds ?? false, keeps !== undefined, String(i));
    assert(most >= outputs && (enlarges || most >= inputs));
  }
  assertEquals(stages.filter(({ enlarges }) => enlarges).length, 4);
  assertEquals(
    stages.find(({ keeps }) => typeof keeps === "string")!.keeps,
    "decoder.up.1.block.0.nin_shortcut",
  );
});

Deno.test("decoderStages: networks that need the whole map at once are refused", () => {
  const attending = SIZES.decoder!.map((level, i) => ({ ...level, attention: i === 4 }));
  for (
    const [autoencoder, reason] of [
      [{ ...SIZES, decoder: attending }, "it attends to all positions"],
      [{ ...SIZES, decoder: null }, "it has none"],
      [{ ...SIZES, layout: FLEXVAR_LAYOUT }, "there is one"],
    ] as const
  ) {
    assertThrows(() => decoderStages(autoencoder), TypeError, reason);
  }
});

Deno.test("divideRows: stretches follow each other, none is empty or too long, all are about as long", () => {
  const random = testRandom(4);
  for (let i = 0; i < 200; i++) {
    const rows = 1 + Math.floor(100 * random());
    const most = 1 + Math.floor(40 * random());
    const stretches = divideRows(rows, most);
    const lengths = stretches.map(([begin, end]) => end - begin);
    assertEquals(stretches.map(([begin]) => begin), [0, ...stretches.slice(0, -1).map(([, end]) => end)]);
    assertEquals(stretches.at(-1)![1], rows);
    assert(Math.min(...lengths) >= 1 && Math.max(...lengths) <= most);
    assert(Math.max(...lengths) - Math.min(...lengths) <= 1);
    assertEquals(stretches.length, Math.ceil(rows / most));
  }
});

Deno.test("rowsWithin: arrays with their neighbours are within the bytes, as far as rows allow", () => {
  for (const stage of decoderStages(SIZES)) {
    for (const width of [37, 1024]) {
      for (const bytes of [1e6, 2 ** 25, 2 ** 27]) {
        const rows = rowsWithin(stage, width, bytes);
        const least = stage.enlarges ? 2 : 1;
        assert(rows === least || stripBytes(stage, width, rows) <= bytes);
        assert(stripBytes(stage, width, rows + least) > bytes);
        if (stage.enlarges) assertEquals(rows % 2, 0);
      }
      assertEquals(rowsWithin(stage, width, 1), stage.enlarges ? 2 : 1);
    }
  }
});

Deno.test("tiledMemory: every published size is within WebGPU's default limits", () => {
  for (const [width, height] of [[64, 64], [40, 100], [100, 40], [37, 111], [111, 37]] as const) {
    const { largestArray, picture, bytes } = tiledMemory(SIZES, { width, height });
    assert(largestArray <= 2 ** 25, `${largestArray}`);
    assertEquals(picture, 4 * 3 * 256 * width * height);
    // The map after the last enlargement, and a quarter of it, and the strips.
    const largest = 4 * 256 * 256 * width * height;
    assert(bytes > largest && bytes < 1.25 * largest + 12 * 2 ** 25 + picture + 1, `${bytes / largest}`);
  }
  // One row with its neighbours is the least.
  assertEquals(tiledMemory(SIZES, { width: 1, height: 64 }, 1).largestArray, 4 * 3 * 256 * 64);
});
