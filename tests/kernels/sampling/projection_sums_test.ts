import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import {
  projectionSums,
  type ProjectionSumsArguments,
  sumsOfRow,
} from "../../../kernels/sampling/projection_sums.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Case {
  readonly rows: number;
  readonly length: number;
  readonly conditional: Float32Array;
  readonly unconditional: Float32Array;
}

async function run(device: Device, { rows, length, ...data }: Case): Promise<Float32Array> {
  using conditional = device.upload(data.conditional);
  using unconditional = device.upload(data.unconditional);
  using sums = device.upload(new Float32Array(3 * rows * sumsOfRow(length) + 1).fill(7));
  device.run(projectionSums, { conditional, unconditional, sums, rows, length });
  const found = new Float32Array((await readWords(sums)).buffer);
  assertEquals(found.at(-1), 7);
  return found.slice(0, -1);
}

/** Sums in float64 by the stated rules, each with the sum of the sizes. */
function sumsOf({ rows, length, conditional, unconditional }: Case): { sum: number; size: number }[] {
  const held = (x: number): number =>
    Math.abs(x) < 2 ** -40 ? 0 : Math.sign(x) * Math.min(Math.abs(x), 2 ** 38);
  const chunks = sumsOfRow(length);
  return Array.from({ length: 3 * rows * chunks }, (_, k) => {
    const [row, chunk] = [Math.floor(k / 3 / chunks), Math.floor(k / 3) % chunks];
    let [sum, size] = [0, 0];
    for (let i = chunk * 4096; i < Math.min((chunk + 1) * 4096, length); i++) {
      const [a, b] = [conditional[row * length + i]!, unconditional[row * length + i]!];
      if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
      const [value, difference] = [held(a), held(Math.fround(a - b))];
      const term = [difference * value, value * value, difference * difference][k % 3]!;
      sum += term;
      size += Math.abs(term);
    }
    return { sum, size };
  });
}

testOnDevices("projectionSums: sums in float64, the same bits everywhere", async (device) => {
  const random = testRandom(61);
  using cpu = new CpuDevice();
  const odd = [NaN, Infinity, -Infinity, 0, -0, 1e-40, 2 ** -63, 1e30, -3e38];
  for (
    const [rows, length] of [[1, 1], [3, 7], [2, 256], [5, 4096], [2, 4097], [1, 20000], [0, 5]] as const
  ) {
    for (const [spread, share] of [[1, 0], [1e-11, 0], [1e11, 0], [20, 0.1], [20, 1]] as const) {
      const draw = (): Float32Array =>
        Float32Array.from({ length: rows * length }, () => {
          if (random() < share) return odd[Math.floor(random() * odd.length)]!;
          return (random() + random() - 0.8) * spread;
        });
      const given = { rows, length, conditional: draw(), unconditional: draw() };
      const found = await run(device, given);
      assertEquals(new Uint32Array(found.buffer), new Uint32Array((await run(cpu, given)).buffer));
      for (const [i, { sum, size }] of sumsOf(given).entries()) {
        assert(Math.abs(found[i]! - sum) <= 3e-6 * size, `${rows}x${length} ${spread} ${share} ${i}`);
      }
    }
  }
});

testOnDevices("projectionSums: bad calls are refused", (device) => {
  using conditional = device.allocate(6, "conditional");
  using unconditional = device.allocate(8, "unconditional");
  using sums = device.allocate(6, "sums");
  const good: ProjectionSumsArguments = { conditional, unconditional, sums, rows: 2, length: 3 };
  device.run(projectionSums, good);
  const bad: [Partial<ProjectionSumsArguments>, string][] = [
    [{ rows: -1 }, "rows must be an integer >= 0: current value is -1"],
    [{ length: 0 }, "length must be an integer from 1 to 16777216: current value is 0"],
    [{ length: 4 }, '"conditional" must hold at least 8 words: it holds 6'],
    [
      { conditional: unconditional, unconditional: conditional, length: 4 },
      '"conditional" must hold at least 8 words: it holds 6',
    ],
    [{ rows: 3, length: 2 }, '"sums" must hold at least 9 words: it holds 6'],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(projectionSums, { ...good, ...change }), RangeError);
    assertEquals(error.message, `Cannot sum up projections as ${message}`);
  }
});
