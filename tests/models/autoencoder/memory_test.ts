/** How much a decoder takes that holds its maps whole. */

import { assertEquals } from "@std/assert";
import { largestMapWords, liveDecoderBytes } from "../../../models/autoencoder/memory.ts";

const LEVELS = [128, 256, 512, 512, 512].map((channels) => ({ channels }));

Deno.test("largestMapWords: what a level begins with counts, with its width before", () => {
  // 256 channels at the full size of the published decoder.
  assertEquals(largestMapWords(LEVELS, { width: 64, height: 64 }), 256 * 1024 * 1024);
  assertEquals(largestMapWords(LEVELS, { width: 111, height: 37 }), 256 * 111 * 37 * 256);
  assertEquals(largestMapWords(LEVELS.slice(4), { width: 3, height: 5 }), 512 * 15);
  assertEquals(largestMapWords(null, { width: 64, height: 64 }), 0);
});

Deno.test("liveDecoderBytes: several maps of the largest size", () => {
  assertEquals(liveDecoderBytes(LEVELS, { width: 16, height: 16 }), 7 * 4 * 256 * 256 * 256);
});
