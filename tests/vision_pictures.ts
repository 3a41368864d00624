/**
 * Pictures of tests of resizing, as `fixtures/vision/make.py` makes them.
 *
 * @module
 */

import { testRandom } from "./devices.ts";

/** Patches of noise beside patches of black and white, whose edges overshoot; packed, a word a pixel. */
export function packedPicture(width: number, height: number): Uint32Array<ArrayBuffer> {
  const random = testRandom(1000 * width + height);
  return Uint32Array.from({ length: width * height }, (_, i) => {
    const noise = (Math.floor(i % width / 5) + Math.floor(i / width / 7)) % 2 === 0;
    let pixel = 0xff000000;
    for (let c = 0; c < 3; c++) {
      const value = Math.floor(random() * 256);
      pixel |= (noise ? value : value > 127 ? 255 : 0) << 8 * c;
    }
    return pixel >>> 0;
  });
}

/** The red, green and blue bytes of packed pixels. */
export function rgbOf(pixels: Uint32Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(pixels.buffer).filter((_, i) => i % 4 !== 3);
}
