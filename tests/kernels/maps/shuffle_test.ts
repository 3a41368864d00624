import { assertEquals, assertThrows } from "@std/assert";
import { bitCodes } from "../../../kernels/codebook/bits.ts";
import { readFloats, readWords } from "../../../kernels/device/device.ts";
import { type ShuffleArguments, shufflePixels, unshufflePixels } from "../../../kernels/maps/shuffle.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

const SHAPES = [
  { images: 1, channels: 1, width: 1, height: 1 },
  { images: 2, channels: 3, width: 5, height: 2 },
  { images: 1, channels: 14, width: 7, height: 9 },
  { images: 3, channels: 1, width: 1, height: 33 },
  { images: 2, channels: 65, width: 4, height: 1 },
  { images: 0, channels: 2, width: 3, height: 3 },
];

testOnDevices(
  "shufflePixels: every word goes where its patch says, and unshufflePixels brings it back",
  async (device) => {
    const random = testRandom(71);
    for (const shape of SHAPES) {
      for (const layout of ["rows", "planes"] as const) {
        const { images, channels, width, height } = shape;
        const count = images * channels * 4 * width * height;
        const data = Uint32Array.from({ length: count }, () => random() * 2 ** 32);
        const wanted = Array.from({ length: count }, (_, i) => {
          const x = i % (2 * width);
          const y = Math.floor(i / (2 * width)) % (2 * height);
          const c = Math.floor(i / (4 * width * height)) % channels;
          const image = Math.floor(i / (4 * width * height * channels));
          const [row, column] = [Math.floor(y / 2), Math.floor(x / 2)];
          const token = row * width + column;
          const word = c * 4 + (y - 2 * row) * 2 + (x - 2 * column);
          return layout === "rows"
            ? data[(image * width * height + token) * 4 * channels + word]!
            : data[(image * 4 * channels + word) * width * height + token]!;
        });
        // Arrays go on behind what is theirs.
        using input = device.upload(Uint32Array.of(...data, 7));
        using maps = device.upload(new Uint32Array(count + 1).fill(0xdeadbeef));
        device.run(shufflePixels, { input, output: maps, ...shape, layout });
        assertEquals([...await readWords(maps)], [...wanted, 0xdeadbeef]);
        using output = device.upload(new Uint32Array(count + 1).fill(0xdeadbeef));
        device.run(unshufflePixels, { input: maps, output, ...shape, layout });
        assertEquals([...await readWords(output)], [...data, 0xdeadbeef]);
      }
    }
  },
);

testOnDevices("shufflePixels: bits in patches become the maps of bitCodes", async (device) => {
  const random = testRandom(72);
  const [images, channels, width, height] = [2, 14, 3, 4];
  const tokens = width * height;
  const data = Uint32Array.from({ length: images * tokens * 2 }, () => random() * 2 ** 32);
  using bits = device.upload(data);
  const magnitude = 1 / Math.sqrt(channels);
  using rows = device.allocate(images * tokens * 56);
  device.run(bitCodes, { bits, output: rows, images, tokens, channels: 56, layout: "rows", magnitude });
  using shuffled = device.allocate(rows.length);
  device.run(shufflePixels, { input: rows, output: shuffled, images, channels, width, height });
  using direct = device.allocate(rows.length);
  const shape = { images, tokens, channels, layout: "planes", patchWidth: width } as const;
  device.run(bitCodes, { bits, output: direct, ...shape });
  assertEquals(await readFloats(shuffled), await readFloats(direct));
});

testOnDevices("shufflePixels: bad calls are refused, as those of unshufflePixels", (device) => {
  using input = device.allocate(48, "input");
  using output = device.allocate(47, "output");
  const good = { input, output, images: 1, channels: 1, width: 2, height: 3 };
  const bad: [Partial<Record<keyof ShuffleArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ channels: 0 }, RangeError, "channels must be an integer >= 1: current value is 0"],
    [{ width: 0.5 }, RangeError, "width must be an integer >= 1: current value is 0.5"],
    [{ height: 0 }, RangeError, "height must be an integer >= 1: current value is 0"],
    [{ layout: "columns" }, TypeError, 'layout must be one of "rows", "planes": current value is "columns"'],
    [{ output: input }, TypeError, 'input and output must be two arrays: both are "input"'],
    [{ images: 2, height: 4 }, RangeError, '"input" must hold at least 64 words: it holds 48'],
    [{ images: 2 }, RangeError, '"output" must hold at least 48 words: it holds 47'],
  ];
  for (const [name, kernel] of Object.entries({ shuffle: shufflePixels, unshuffle: unshufflePixels })) {
    device.run(kernel, good);
    for (const [change, type, message] of bad) {
      const args = { ...good, ...change } as unknown as ShuffleArguments;
      const error = assertThrows(() => device.run(kernel, args), type);
      assertEquals((error as Error).message, `Cannot ${name} pixels as ${message}`);
    }
  }
});
