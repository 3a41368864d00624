import { assertEquals, assertThrows } from "@std/assert";
import { readWords } from "../../../kernels/device/device.ts";
import { mergeMaps, type MergeMapsArguments } from "../../../kernels/maps/merge.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

testOnDevices(
  "mergeMaps: merge takes the source's words where they are kept, and no others",
  async (device) => {
    const random = testRandom(3);
    for (
      const [images, repeats, channels, positions, sourceRows] of [
        [1, 1, 1, 1, 1],
        [2, 1, 1, 4, 1],
        [3, 5, 1, 9, 2],
        [4, 1, 32, 25, 3],
        [2, 3, 4, 37, 2],
        [5, 50, 1, 16, 5],
        [1, 1, 3, 1025, 1],
        [7, 10, 1, 300, 4],
        [3, 1, 1, 2048, 0],
      ] as const
    ) {
      const integers = (length: number, below: number): Uint32Array =>
        Uint32Array.from({ length }, () => random() * below);
      const from = integers(sourceRows * channels * positions, 2 ** 32);
      const before = integers(images * repeats * channels * positions, 2 ** 32);
      // One row may be none.
      const chosen = integers(images, sourceRows + 1);
      chosen[images - 1] = images > 1 ? 0xffffffff : 0;
      const mask = integers(positions, 3);
      const expected: number[] = [];
      for (let image = 0; image < images; image++) {
        for (let repeat = 0; repeat < repeats; repeat++) {
          for (let channel = 0; channel < channels; channel++) {
            for (let position = 0; position < positions; position++) {
              const kept = mask[position] !== 0 && chosen[image]! < sourceRows;
              expected.push(
                kept
                  ? from[(chosen[image]! * channels + channel) * positions + position]!
                  : before[expected.length]!,
              );
            }
          }
        }
      }
      // Arrays go on behind what is theirs.
      using source = device.upload(Uint32Array.of(...from, 7, 7, 7));
      using rows = device.upload(Uint32Array.of(...chosen, 0));
      using keep = device.upload(Uint32Array.of(...mask, 1));
      using target = device.upload(Uint32Array.of(...before, 0xdeadbeef, 0xdeadbeef));
      device.run(mergeMaps, { target, source, rows, keep, images, repeats, channels, positions, sourceRows });
      assertEquals([...await readWords(target)], [...expected, 0xdeadbeef, 0xdeadbeef]);
    }
  },
);

testOnDevices("mergeMaps: merge copies bits: NaN, infinity and -0 stay what they are", async (device) => {
  const bits = [0x7fc00001, 0xff800000, 0x80000000, 0x00000001];
  using source = device.upload(Uint32Array.from(bits));
  using target = device.upload(new Uint32Array(4).fill(0x7fa00000));
  using rows = device.upload(new Uint32Array([0]));
  using keep = device.upload(new Uint32Array([1, 1, 0xffffffff, 0]));
  device.run(mergeMaps, { target, source, rows, keep, images: 1, positions: 4, sourceRows: 1 });
  assertEquals([...await readWords(target)], [...bits.slice(0, 3), 0x7fa00000]);
});

testOnDevices("mergeMaps: merge into no images does nothing", async (device) => {
  using source = device.upload(new Uint32Array([1]));
  using target = device.upload(new Uint32Array([5]));
  using rows = device.allocate(0);
  using keep = device.upload(new Uint32Array([1]));
  device.run(mergeMaps, { target, source, rows, keep, images: 0, positions: 1, sourceRows: 1 });
  assertEquals([...await readWords(target)], [5]);
});

testOnDevices("mergeMaps: merge refuses bad calls", (device) => {
  using source = device.allocate(12, "source");
  using target = device.allocate(24, "target");
  using rows = device.allocate(2, "rows");
  using keep = device.allocate(3, "keep");
  const good = {
    ...{ target, source, rows, keep, images: 2, repeats: 2, channels: 2, positions: 3, sourceRows: 2 },
  };
  device.run(mergeMaps, good);
  const bad: [Partial<Record<keyof MergeMapsArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ repeats: 0 }, RangeError, "repeats must be an integer >= 1: current value is 0"],
    [{ channels: 0.5 }, RangeError, "channels must be an integer >= 1: current value is 0.5"],
    [{ positions: 0 }, RangeError, "positions must be an integer >= 1: current value is 0"],
    [{ sourceRows: "2" }, TypeError, 'sourceRows must be a number: current value is "2"'],
    [{ source: target }, TypeError, 'source and target must be two arrays: both are "target"'],
    [{ images: 3 }, RangeError, '"target" must hold at least 36 words: it holds 24'],
    [{ sourceRows: 3 }, RangeError, '"source" must hold at least 18 words: it holds 12'],
    [{ rows: keep, keep: rows }, RangeError, '"rows" must hold at least 3 words: it holds 2'],
    [{ rows: device.allocate(1, "one") }, RangeError, '"one" must hold at least 2 words: it holds 1'],
  ];
  for (const [change, type, message] of bad) {
    const args = { ...good, ...change } as unknown as MergeMapsArguments;
    const error = assertThrows(() => device.run(mergeMaps, args), type);
    assertEquals((error as Error).message, `Cannot merge maps as ${message}`);
  }
});
