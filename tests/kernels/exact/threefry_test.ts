import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readWords } from "../../../kernels/device/device.ts";
import {
  PURPOSE,
  type Purpose,
  randomWords,
  type RandomWordsArguments,
  seedWords,
  streamKey,
  threefry,
} from "../../../kernels/exact/threefry.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

// Random123, tests/kat_vectors: threefry2x32 with 20 rounds.
Deno.test("threefry gives the published known answers", () => {
  assertEquals(threefry([0, 0], [0, 0]), [0x6b200159, 0x99ba4efe]);
  assertEquals(
    threefry([0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff]),
    [0x1cb996fc, 0xbb002be7],
  );
  assertEquals(
    threefry([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3]),
    [0xc4923a9c, 0x483df7a0],
  );
});

Deno.test("threefry: a stream's key is the word of (image, scale * 256 + purpose) under the seed", () => {
  assertEquals(streamKey([5, 6], 3, 9, PURPOSE.choice), threefry([5, 6], [3, 9 * 256 + 2]));
  assertEquals(
    streamKey([0x13198a2e, 0x03707344], 0x243f6a88, 0x85a308, 0xd3 as Purpose),
    [0xc4923a9c, 0x483df7a0],
  );
});

Deno.test("seedWords: seeds are split into two words and checked", () => {
  assertEquals(seedWords(0), [0, 0]);
  assertEquals(seedWords(2 ** 32 + 5), [5, 1]);
  assertEquals(seedWords(0xfedcba9876543210n), [0x76543210, 0xfedcba98]);
  assertThrows(
    () => seedWords(-1),
    RangeError,
    "Cannot use seed as it must be an integer from 0 to 2^64 - 1: current value is -1",
  );
  assertThrows(
    () => seedWords(2n ** 64n),
    RangeError,
    "Cannot use seed as it must be an integer from 0 to 2^64 - 1: current value is 18446744073709551616",
  );
  assertThrows(
    () => seedWords(1.5),
    RangeError,
    "Cannot use seed as it must be an integer below 2^53, or a bigint: current value is 1.5",
  );
  assertThrows(
    () => seedWords("7" as unknown as number),
    TypeError,
    'Cannot use seed as it must be a number or a bigint: current value is "7"',
  );
});

testOnDevices("threefry: a device's words are those of the function", async (device) => {
  const random = testRandom(3);
  const word = () => Math.floor(random() * 2 ** 32);
  for (const count of [0, 1, 255, 256, 257, 5000]) {
    for (const purpose of Object.values(PURPOSE)) {
      const seed = [word(), word()] as const;
      const image = word();
      const scale = word() >>> 8;
      const position = word();
      using output = device.allocate(2 * count);
      device.run(randomWords, { output, count, seed, image, scale, purpose, position });
      const key = streamKey(seed, image, scale, purpose);
      const expected = Array.from({ length: count }, (_, draw) => threefry(key, [position, draw])).flat();
      assertEquals([...await readWords(output)], expected);
    }
  }
});

testOnDevices(
  "randomWords: words are uniform and streams differ in every bit of their names",
  async (device) => {
    const count = 4096;
    const seen = new Set<number>();
    let words = 0;
    const one = { seed: [7, 0], image: 0, scale: 0, purpose: PURPOSE.token, position: 0 } as const;
    const variants: Omit<RandomWordsArguments, "output" | "count">[] = [
      one,
      { ...one, seed: [6, 0] },
      { ...one, seed: [7, 1] },
      { ...one, image: 1 },
      { ...one, scale: 1 },
      { ...one, purpose: PURPOSE.permutation },
      { ...one, position: 1 },
    ];
    for (const variant of variants) {
      using output = device.allocate(2 * count);
      device.run(randomWords, { ...variant, output, count });
      const ones = new Float64Array(32);
      for (const value of await readWords(output)) {
        seen.add(value);
        words++;
        for (let bit = 0; bit < 32; bit++) ones[bit]! += (value >>> bit) & 1;
      }
      // Each bit is set in half of the 8192 words, give or take five standard deviations of sqrt(8192) / 2.
      for (const sum of ones) assert(Math.abs(sum - count) < 5 * Math.sqrt(2 * count) / 2, `${sum} bits set`);
    }
    // 57344 words of 32 bits hold about 0.4 equal pairs by chance; equal streams would hold thousands.
    assert(words - seen.size < 8, `${words - seen.size} words occur twice`);
  },
);

Deno.test("randomWords: bad calls for random words say what is wrong", () => {
  using device = new CpuDevice();
  using output = device.allocate(4, "words");
  const good = { output, count: 2, seed: [1, 2], image: 0, scale: 0, purpose: PURPOSE.token } as const;
  const bad = (change: object, kind: new () => Error, message: string) => {
    assertThrows(() => device.run(randomWords, { ...good, ...change }), kind, message);
  };
  bad(
    { count: 3 },
    RangeError,
    'Cannot make random words as "words" must hold at least 6 words: it holds 4',
  );
  bad(
    { count: -1 },
    RangeError,
    "Cannot make random words as count must be an integer from 0 to 2147483647: current value is -1",
  );
  bad(
    { image: 0.5 },
    RangeError,
    "Cannot make random words as image must be an integer from 0 to 4294967295: current value is 0.5",
  );
  bad(
    { scale: 2 ** 24 },
    RangeError,
    "Cannot make random words as scale must be an integer from 0 to 16777215: current value is 16777216",
  );
  bad(
    { position: "1" },
    TypeError,
    'Cannot make random words as position must be a number: current value is "1"',
  );
  bad(
    { purpose: 256 },
    RangeError,
    "Cannot make random words as purpose must be an integer from 0 to 255: current value is 256",
  );
  bad({ seed: 7 }, TypeError, "Cannot make random words as seed must be two words: current value is 7");
  bad(
    { seed: [1, 2 ** 32] },
    RangeError,
    "Cannot make random words as each word of seed must be an integer from 0 to 4294967295: current value is 4294967296",
  );
});
