import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device, DeviceArray } from "../../../kernels/device/device.ts";
import { hammingMatrix, type HammingMatrixArguments } from "../../../kernels/points/hamming.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

type Shape = Omit<HammingMatrixArguments, "a" | "b" | "output">;

/** Runs the kernel on views at an odd offset, between guards. */
async function distances(
  device: Device,
  left: Uint32Array,
  right: Uint32Array,
  shape: Shape,
  before = 0,
): Promise<number[]> {
  using stack = new DisposableStack();
  const length = (shape.batch ?? 1) * shape.rows * shape.columns;
  const place = (words: Uint32Array): [whole: DeviceArray, view: DeviceArray] => {
    const guarded = new Uint32Array(before + words.length + 2).fill(0xdeadbeef);
    guarded.set(words, before);
    const whole = stack.use(device.upload(guarded));
    return [whole, stack.use(device.view(whole, before, words.length))];
  };
  const [whole, output] = place(new Uint32Array(length));
  device.run(hammingMatrix, { ...shape, a: place(left)[1], b: place(right)[1], output });
  const [words] = await device.read([whole]);
  for (const [i, word] of words!.entries()) {
    if (i < before || i >= before + length) assertEquals(word, 0xdeadbeef);
  }
  return [...words!.subarray(before, before + length)];
}

/** Counts by the digits of the binary number. */
function oracle(a: Uint32Array, b: Uint32Array, shape: Shape): number[] {
  const { batch = 1, rows, columns, words } = shape;
  return Array.from({ length: batch * rows * columns }, (_, i) => {
    const row = Math.floor(i / columns);
    const column = Math.floor(row / rows) * columns + i % columns;
    let digits = "";
    for (let k = 0; k < words; k++) {
      digits += ((a[row * words + k]! ^ b[column * words + k]!) >>> 0).toString(2).replaceAll("0", "");
    }
    return digits.length;
  });
}

testOnDevices("hammingMatrix: hamming distances are the differing digits", async (device) => {
  const random = testRandom(1);
  const sizes = [
    ...[[1, 1, 1, 1], [1, 3, 70, 2], [1, 40, 5, 3], [1, 33, 9, 4], [2, 5, 6, 5], [1, 2, 300, 7]],
    ...[[1, 300, 2, 8], [3, 7, 4, 16], [1, 9, 10, 17], [1, 8, 266, 20], [2, 17, 3, 33]],
  ];
  for (const [batch, rows, columns, words] of sizes as [number, number, number, number][]) {
    const draw = (count: number): Uint32Array =>
      Uint32Array.from({ length: batch * count * words }, () => random() * 2 ** 32);
    const [a, b] = [draw(rows), draw(columns)];
    const shape = { batch, rows, columns, words };
    const wanted = oracle(a, b, shape);
    assertEquals(await distances(device, a, b, shape), wanted);
    assertEquals(await distances(device, a, b, shape, 3), wanted);
  }
});

testOnDevices("hammingMatrix: every number of words up to 20, all bits and none", async (device) => {
  for (let words = 1; words <= 20; words++) {
    const a = new Uint32Array(2 * words).fill(0xffffffff, words);
    const shape = { rows: 2, columns: 2, words };
    assertEquals(await distances(device, a, a, shape), [0, 32 * words, 32 * words, 0]);
    // One word differs in one bit, which word it is must not matter.
    for (let k = 0; k < words; k++) {
      const b = new Uint32Array(words);
      b[k] = 2 ** (k % 32);
      assertEquals(await distances(device, a, b, { ...shape, columns: 1 }), [1, 32 * words - 1]);
    }
  }
});

testOnDevices("hammingMatrix: distances are a metric", async (device) => {
  const random = testRandom(2);
  const [count, words] = [20, 3];
  const a = Uint32Array.from({ length: count * words }, () => random() * 2 ** 32 & random() * 2 ** 32);
  const found = await distances(device, a, a, { rows: count, columns: count, words });
  for (let i = 0; i < count; i++) {
    assertEquals(found[i * count + i], 0);
    for (let j = 0; j < count; j++) {
      assertEquals(found[i * count + j], found[j * count + i]);
      for (let k = 0; k < count; k++) {
        assertEquals(found[i * count + k]! <= found[i * count + j]! + found[j * count + k]!, true);
      }
    }
  }
});

testOnDevices("hammingMatrix: the largest number of words", async (device) => {
  const words = 65535;
  const a = new Uint32Array(words).fill(0x80000001);
  const shape = { rows: 1, columns: 1, words };
  assertEquals(await distances(device, a, new Uint32Array(words), shape), [2 * words]);
});

testOnDevices("hammingMatrix: no rows, no columns or no matrices are no distances", async (device) => {
  const some = new Uint32Array(2);
  assertEquals(await distances(device, some, some, { rows: 0, columns: 2, words: 1 }), []);
  assertEquals(await distances(device, some, some, { rows: 2, columns: 0, words: 1 }), []);
  assertEquals(await distances(device, some, some, { batch: 0, rows: 2, columns: 2, words: 1 }), []);
});

Deno.test("hammingMatrix: hamming distances refuse bad calls", () => {
  using device = new CpuDevice();
  const a = device.allocate(6, "a");
  const output = device.allocate(4, "output");
  const good: HammingMatrixArguments = { a, b: a, output, rows: 2, columns: 2, words: 3 };
  const refused = (change: Partial<HammingMatrixArguments>, message: string): void => {
    const thrown = assertThrows(() => device.run(hammingMatrix, { ...good, ...change }), RangeError);
    assertEquals(thrown.message, `Cannot count differing bits as ${message}`);
  };
  device.run(hammingMatrix, good);
  refused({ rows: -1 }, "rows must be an integer >= 0: current value is -1");
  refused({ columns: 0.5 }, "columns must be an integer >= 0: current value is 0.5");
  refused({ batch: NaN }, "batch must be an integer >= 0: current value is NaN");
  refused({ words: 0 }, "words must be an integer from 1 to 65535: current value is 0");
  refused({ words: 65536 }, "words must be an integer from 1 to 65535: current value is 65536");
  refused({ rows: 3 }, '"a" must hold at least 9 words: it holds 6');
  refused({ columns: 3, b: output }, '"output" must hold at least 9 words: it holds 4');
  refused({ columns: 1, rows: 1, b: device.allocate(2, "b") }, '"b" must hold at least 3 words: it holds 2');
  refused({ batch: 2, words: 1 }, '"output" must hold at least 8 words: it holds 4');
});
