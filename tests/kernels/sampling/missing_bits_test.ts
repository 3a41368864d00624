import { assertEquals, assertThrows } from "@std/assert";
import { readWords } from "../../../kernels/device/device.ts";
import {
  missingBits,
  type MissingBitsArguments,
  NONE_MISSING,
} from "../../../kernels/sampling/missing_bits.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

testOnDevices("missingBits: the first position of each image at which a bit has no value", async (device) => {
  const random = testRandom(81);
  for (
    const [images, positions, bits] of [[1, 1, 1], [3, 5, 7], [2, 300, 16], [4, 257, 33], [1, 1025, 64], [
      0,
      3,
      2,
    ]]
  ) {
    const shape = { images: images!, positions: positions!, bits: bits! };
    const data = Float32Array.from({ length: images! * positions! * bits! * 2 }, () => random() * 9 - 4);
    // Values of which one may be drawn, infinity among them, and others are as many as one likes.
    const values = [NaN, -Infinity, Infinity, -NaN];
    for (let i = 0; i < data.length; i += 2) {
      if (random() < 0.1) data[i + Math.floor(random() * 2)] = values[Math.floor(random() * 4)]!;
    }
    const wanted = Array.from({ length: images! }, (_, image) => {
      if (image % 3 === 1) return NONE_MISSING;
      const places = Array.from({ length: 2 }, () => Math.floor(random() * positions!));
      for (const place of places) {
        const bit = Math.floor(random() * bits!);
        const at = 2 * ((image * positions! + place) * bits! + bit);
        data[at] = random() < 0.5 ? NaN : -Infinity;
        data[at + 1] = random() < 0.5 ? NaN : -Infinity;
      }
      return Math.min(...places);
    });
    using logits = device.upload(data);
    using missing = device.upload(new Uint32Array(images! + 1).fill(7));
    device.run(missingBits, { logits, missing, ...shape });
    assertEquals([...await readWords(missing)], [...wanted, 7]);
  }
});

testOnDevices("missingBits: bad calls are refused", (device) => {
  using logits = device.allocate(12, "logits");
  using missing = device.allocate(1, "missing");
  const good = { logits, missing, images: 1, positions: 2, bits: 3 };
  device.run(missingBits, good);
  const bad: [Partial<MissingBitsArguments>, string][] = [
    [{ images: -1 }, "images must be an integer >= 0: current value is -1"],
    [{ positions: 0 }, "positions must be an integer >= 1: current value is 0"],
    [{ bits: 65537 }, "bits must be an integer from 1 to 65536: current value is 65537"],
    [{ bits: 4 }, '"logits" must hold at least 16 words: it holds 12'],
    [{ images: 2, positions: 1 }, '"missing" must hold at least 2 words: it holds 1'],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(missingBits, { ...good, ...change }), RangeError);
    assertEquals(error.message, `Cannot find missing bits as ${message}`);
  }
});
