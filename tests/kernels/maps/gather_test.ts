import { assertEquals, assertThrows } from "@std/assert";
import { readFloats, readWords } from "../../../kernels/device/device.ts";
import { gatherRows, type GatherRowsArguments } from "../../../kernels/maps/gather.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

testOnDevices("gatherRows: gather copies the chosen rows and zeros what is out of range", async (device) => {
  const random = testRandom(2);
  for (
    const [inputRows, stride, count] of [
      [1, 1, 1],
      [4, 3, 9],
      [3, 65, 5],
      [8, 1, 1000],
      [6, 4097, 6],
      [0, 2, 3],
      [5, 8, 70],
      [5, 255, 9],
      [5, 256, 9],
      [3, 513, 70],
      [2, 700, 3],
    ]
  ) {
    const shape = { inputRows: inputRows!, stride: stride!, count: count! };
    const data = Uint32Array.from({ length: shape.inputRows * shape.stride }, () => random() * 2 ** 32);
    const chosen = Uint32Array.from(
      { length: shape.count },
      () => Math.floor(random() * (shape.inputRows + 1)),
    );
    chosen[0] = 0xffffffff;
    const expected: number[] = [];
    for (const row of chosen) {
      for (let i = 0; i < shape.stride; i++) expected.push(data[row * shape.stride + i] ?? 0);
    }
    // The array goes on behind the last row.
    using input = device.upload(Uint32Array.of(...data, ...Array(shape.stride).fill(7)));
    using rows = device.upload(chosen);
    using output = device.upload(new Uint32Array(expected.length + 1).fill(0xdeadbeef));
    device.run(gatherRows, { input, output, rows, ...shape });
    assertEquals([...await readWords(output)], [...expected, 0xdeadbeef]);
  }
});

testOnGpu("gatherRows: gather takes more long rows than workgroups fit on one side", async (device) => {
  const [inputRows, stride, count] = [3, 256, 65537];
  using input = device.upload(Uint32Array.from({ length: inputRows * stride }, (_, i) => i + 1));
  using rows = device.upload(Uint32Array.from({ length: count }, (_, i) => i % 4));
  using output = device.allocate(count * stride);
  device.run(gatherRows, { input, output, rows, count, stride, inputRows });
  const found = await readWords(output);
  const wrong = found.findIndex((word, i) => {
    const row = Math.floor(i / stride) % 4;
    return word !== (row < inputRows ? row * stride + i % stride + 1 : 0);
  });
  assertEquals(wrong, -1);
});

testOnDevices("gatherRows: gather of no rows does nothing", async (device) => {
  using input = device.allocate(2);
  using rows = device.allocate(0);
  using output = device.upload(new Float32Array([5]));
  device.run(gatherRows, { input, output, rows, count: 0, stride: 2, inputRows: 1 });
  assertEquals([...await readFloats(output)], [5]);
});

testOnDevices("gatherRows: gather refuses bad calls", (device) => {
  using input = device.allocate(6, "input");
  using rows = device.allocate(2, "rows");
  using output = device.allocate(4, "output");
  const good = { input, output, rows, count: 2, stride: 2, inputRows: 3 };
  const bad: [Partial<Record<keyof GatherRowsArguments, unknown>>, ErrorConstructor, string][] = [
    [{ count: -1 }, RangeError, "count must be an integer >= 0: current value is -1"],
    [{ stride: 0 }, RangeError, "stride must be an integer >= 1: current value is 0"],
    [{ inputRows: 0.5 }, RangeError, "inputRows must be an integer >= 0: current value is 0.5"],
    [{ output: input }, TypeError, 'input and output must be two arrays: both are "input"'],
    [{ inputRows: 4 }, RangeError, '"input" must hold at least 8 words: it holds 6'],
    [{ count: 3 }, RangeError, '"rows" must hold at least 3 words: it holds 2'],
    [{ stride: 3, inputRows: 2 }, RangeError, '"output" must hold at least 6 words: it holds 4'],
  ];
  for (const [change, type, message] of bad) {
    const args = { ...good, ...change } as unknown as GatherRowsArguments;
    const error = assertThrows(() => device.run(gatherRows, args), type);
    assertEquals((error as Error).message, `Cannot gather rows as ${message}`);
  }
});
