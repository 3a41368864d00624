import { assertEquals } from "@std/assert";
import { doubled } from "./doubled_flops.ts";
import { decoderFlops, type DecoderWork, decoderWork } from "../../../models/autoencoder/flops.ts";
import { autoencoderTensors } from "../../../models/autoencoder/tensors.ts";
import { FLEXVAR_LAYOUT } from "../../../models/flexvar/config.ts";
import { INFINITY_LAYOUT } from "../../../models/infinity/layout.ts";
import { VAR_LAYOUT } from "../../../models/var/config.ts";
import type { MapSize } from "../../../models/schedule.ts";
import { publishedTokenizer } from "../infinity/sizes.ts";

/** Attends where the published networks of classes do: at the coarsest level and in the middle. */
function attending(
  channels: readonly number[],
): Pick<DecoderWork, "decoder" | "encoder" | "middleAttention"> {
  const decoder = channels.map((channels, level) => ({ channels, blocks: 3, attention: level === 4 }));
  return { decoder, encoder: null, middleAttention: true };
}

const square = (side: number) => ({ width: side, height: side });

Deno.test("decoderFlops: published decoders take what was counted of their descriptions", () => {
  const giga = (flops: number): number => Number((flops / 1e9).toPrecision(3));
  const vqvae = { ...attending([160, 160, 320, 320, 640]), layout: VAR_LAYOUT, channels: 32 };
  // As their authors run them, doubled maps are stored and each of their values is multiplied by itself.
  const stored = (work: DecoderWork, map: MapSize): number => decoderFlops(work, map) + doubled(work, map);
  assertEquals(giga(stored(vqvae, square(16))), 394);
  assertEquals(giga(decoderFlops(vqvae, square(16))), 352);
  const flexvae = {
    ...attending([128, 128, 256, 256, 512]),
    layout: FLEXVAR_LAYOUT,
    channels: 32,
    latentChannels: 256,
  };
  assertEquals([3, 5, 8, 13, 16].map((side) => giga(stored(flexvae, square(side)))), [
    8.87,
    24.6,
    63.1,
    167,
    253,
  ]);
  assertEquals(giga(decoderFlops(flexvae, square(16))), 226);
  const infinity = { ...publishedTokenizer("2B"), layout: INFINITY_LAYOUT, middleAttention: false };
  assertEquals(giga(stored(infinity, square(64))), 9850);
  assertEquals(giga(decoderFlops(infinity, square(64))), 8260);
});

Deno.test("decoderFlops: a quarter of the positions takes a quarter, but for attention", () => {
  const networks = { ...publishedTokenizer("125M"), layout: INFINITY_LAYOUT, middleAttention: false };
  const whole = decoderFlops(networks, { width: 12, height: 8 });
  assertEquals(decoderFlops(networks, { width: 6, height: 4 }), whole / 4);
  // Two products of 96 × 96 positions, and four matrices.
  const attention = 2 * (2 * 96 ** 2 * 512 + 96 * 4 * 512 ** 2);
  assertEquals(
    decoderFlops({ ...networks, middleAttention: true }, { width: 12, height: 8 }),
    whole + attention,
  );
  assertEquals(decoderFlops({ ...networks, decoder: null }, square(8)), 0);
});

Deno.test("decoderWork: tensors tell whether the middle attends", () => {
  for (const layout of [VAR_LAYOUT, FLEXVAR_LAYOUT, INFINITY_LAYOUT]) {
    for (const middle of [true, false]) {
      const levels = [{ channels: 32, blocks: 1, attention: middle }];
      const networks = { layout, channels: 4, decoder: levels, encoder: levels };
      const names = autoencoderTensors(networks).map(({ name }) => [name, {}] as const);
      const tensors = new Map(names.filter(([name]) => middle || !name.startsWith("encoder.mid")));
      assertEquals(decoderWork(networks, { tensors }).middleAttention, middle);
    }
  }
});
