/** Codes on their way between tokens and feature maps, against the published resizes in plain numbers. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { readFloats, readWords } from "../../../kernels/device/device.ts";
import { CodeMaps } from "../../../models/infinity/code_maps.ts";
import type { MapSize } from "../../../models/schedule.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

/** Codes of a model: channels, and whether a token is a patch. */
const CODES = [{ channels: 5, patchify: false }, { channels: 14, patchify: true }, {
  channels: 40,
  patchify: false,
}];

const FINEST: MapSize = { width: 5, height: 7 };
const MAPS: readonly MapSize[] = [{ width: 1, height: 1 }, { width: 3, height: 2 }, FINEST];

/** A plane resized as PyTorch does without aligned corners and without smoothing. */
function bilinear(plane: ArrayLike<number>, from: MapSize, to: MapSize): number[] {
  const along = (i: number, source: number, target: number): [number, number, number] => {
    const at = Math.max(0, (i + 0.5) * source / target - 0.5);
    const low = Math.min(Math.floor(at), source - 1);
    return [low, Math.min(low + 1, source - 1), at - low];
  };
  const values: number[] = [];
  for (let y = 0; y < to.height; y++) {
    const [top, bottom, down] = along(y, from.height, to.height);
    for (let x = 0; x < to.width; x++) {
      const [left, right, across] = along(x, from.width, to.width);
      const row = (line: number): number => {
        return (1 - across) * plane[line * from.width + left]! + across * plane[line * from.width + right]!;
      };
      values.push((1 - down) * row(top) + down * row(bottom));
    }
  }
  return values;
}

/** Bit of a token's channel at a position of its map of features; within patches by rows, then columns. */
function bitAt(
  tokens: Uint32Array,
  { map, channels, patchify }: { map: MapSize; channels: number; patchify: boolean },
  { image, channel, x, y }: { image: number; channel: number; x: number; y: number },
): number {
  const side = patchify ? 2 : 1;
  const words = Math.ceil(channels * side * side / 32);
  const token = image * map.width * map.height + Math.floor(y / side) * map.width + Math.floor(x / side);
  const bit = patchify ? 4 * channel + 2 * (y % 2) + x % 2 : channel;
  return tokens[token * words + (bit >> 5)]! >>> (bit & 31) & 1;
}

function randomTokens(count: number, bits: number, random: () => number): Uint32Array<ArrayBuffer> {
  const words = Math.ceil(bits / 32);
  const tokens = new Uint32Array(count * words);
  for (let token = 0; token < count; token++) {
    for (let bit = 0; bit < bits; bit++) {
      if (random() < 0.5) tokens[token * words + (bit >> 5)]! |= 1 << (bit & 31);
    }
  }
  return tokens;
}

for (const { channels, patchify } of CODES) {
  const name = `${channels} channels${patchify ? " in patches" : ""}`;
  const images = 2;
  testOnDevices(`CodeMaps: tokens add up to maps, of which scales begin: ${name}`, async (device) => {
    const { liveArrays } = device.counters;
    {
      using codes = new CodeMaps(device, { channels, patchify });
      const side = patchify ? 2 : 1;
      const bits = channels * side * side;
      const full = codes.featureMap(FINEST);
      assertEquals(full, { width: side * FINEST.width, height: side * FINEST.height });
      const area = full.width * full.height;
      using sums = codes.allocate(images, FINEST);
      const wanted = new Float64Array(images * channels * area);
      const random = testRandom(channels);
      for (const map of MAPS) {
        const small = codes.featureMap(map);
        const tokens = randomTokens(images * map.width * map.height, bits, random);
        using array = device.upload(tokens);
        codes.add(array, sums, { map, finest: FINEST, images });
        for (let image = 0; image < images; image++) {
          for (let channel = 0; channel < channels; channel++) {
            const plane = Array.from({ length: small.width * small.height }, (_, at) => {
              const place = { image, channel, x: at % small.width, y: Math.floor(at / small.width) };
              return (2 * bitAt(tokens, { map, channels, patchify }, place) - 1) / Math.sqrt(channels);
            });
            const start = (image * channels + channel) * area;
            bilinear(plane, small, full).forEach((value, at) => wanted[start + at]! += value);
          }
        }
        const found = await readFloats(sums);
        // Sums of up to three numbers below 1, and the weights of their corners.
        wanted.forEach((value, at) => assertAlmostEquals(found[at]!, value, 1e-6));

        using rows = codes.rows(sums, { map, finest: FINEST, images });
        const begun = await readFloats(rows);
        assertEquals(begun.length, images * map.width * map.height * bits);
        for (let plane = 0; plane < images * channels; plane++) {
          const [image, channel] = [Math.floor(plane / channels), plane % channels];
          const reduced = bilinear(wanted.subarray(plane * area, (plane + 1) * area), full, small);
          for (const [at, value] of reduced.entries()) {
            const [x, y] = [at % small.width, Math.floor(at / small.width)];
            const token = (image * map.height + Math.floor(y / side)) * map.width + Math.floor(x / side);
            const bit = patchify ? 4 * channel + 2 * (y % 2) + x % 2 : channel;
            assertAlmostEquals(begun[token * bits + bit]!, value, 2e-6);
          }
        }
        // What was added can be taken away.
        codes.add(array, sums, { map, finest: FINEST, images }, -1);
        codes.add(array, sums, { map, finest: FINEST, images });
      }
    }
    assertEquals(device.counters.liveArrays, liveArrays);
  });

  testOnDevices(`CodeMaps: bits of a map are the signs of its means: ${name}`, async (device) => {
    using codes = new CodeMaps(device, { channels, patchify });
    const side = patchify ? 2 : 1;
    const random = testRandom(channels + 1);
    // Codes of the finest map lead back to their bits.
    const tokens = randomTokens(images * FINEST.width * FINEST.height, channels * side * side, random);
    using array = device.upload(tokens);
    using features = codes.allocate(images, FINEST);
    codes.add(array, features, { map: FINEST, finest: FINEST, images });
    using same = codes.bits(features, { map: FINEST, finest: FINEST, images });
    assertEquals(await readWords(same), tokens);
    // Of one token (or patch), means over all of a plane, or a quarter of it.
    const full = codes.featureMap(FINEST);
    const area = full.width * full.height;
    const values = Float32Array.from({ length: images * channels * area }, () => random() - 0.5);
    using noise = device.upload(values);
    const map = { width: 1, height: 1 };
    using one = codes.bits(noise, { map, finest: FINEST, images });
    const found = await readWords(one);
    for (let plane = 0; plane < images * channels; plane++) {
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          let sum = 0;
          for (let at = 0; at < area; at++) {
            const inX = Math.floor(side * (at % full.width) / full.width) === x;
            const inY = Math.floor(side * Math.floor(at / full.width) / full.height) === y;
            if (inX && inY) sum += values[plane * area + at]!;
          }
          assert(Math.abs(sum) > 1e-4, "a bit is decided by nothing");
          const place = { image: Math.floor(plane / channels), channel: plane % channels, x, y };
          assertEquals(bitAt(found, { map, channels, patchify }, place), sum > 0 ? 1 : 0);
        }
      }
    }
  });
}
