import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { residualUpdate, type ResidualUpdateArguments } from "../../../kernels/maps/residual.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Problem {
  h: Float32Array;
  state: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
  images: number;
  channels: number;
  side: number;
  blend?: number;
  sign?: 1 | -1;
}

async function updated(device: Device, problem: Problem): Promise<Float32Array> {
  const { h, state: before, weight: w, bias: b, ...rest } = problem;
  using features = device.upload(h);
  using state = device.upload(before);
  using weight = device.upload(w);
  using bias = device.upload(b);
  device.run(residualUpdate, { features, state, weight, bias, ...rest });
  return await readFloats(state);
}

/** The update in float64, straight from its formula, with the sum of its terms' magnitudes. */
function oracle({ h, state, weight, bias, images, channels, side, blend = 0.5, sign = 1 }: Problem): {
  values: Float64Array;
  magnitudes: Float64Array;
} {
  const values = new Float64Array(state);
  const magnitudes = values.map(Math.abs);
  for (let i = 0; i < images * channels * side * side; i++) {
    const x = i % side;
    const y = Math.floor(i / side) % side;
    const output = Math.floor(i / side ** 2) % channels;
    const image = Math.floor(i / (side ** 2 * channels));
    let sum = bias[output]!;
    let magnitude = Math.abs(sum);
    for (let input = 0; input < channels; input++) {
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (y + dy < 0 || y + dy >= side || x + dx < 0 || x + dx >= side) continue;
          const term = weight[((output * channels + input) * 3 + dy + 1) * 3 + dx + 1]! *
            h[((image * channels + input) * side + y + dy) * side + x + dx]!;
          sum += term;
          magnitude += Math.abs(term);
        }
      }
    }
    values[i]! += sign * ((1 - blend) * h[i]! + blend * sum);
    magnitudes[i]! += Math.abs((1 - blend) * h[i]!) + Math.abs(blend) * magnitude;
  }
  return { values, magnitudes };
}

testOnDevices("residualUpdate: residual agrees with the formula in float64", async (device) => {
  const random = testRandom(6);
  const draw = (length: number, range: number) =>
    Float32Array.from({ length }, () => (random() * 2 - 1) * range);
  for (
    const [images, channels, side, blend, sign] of [
      [1, 1, 1, 0.5, 1],
      [2, 3, 2, 0.5, -1],
      [1, 5, 7, 0.25, 1],
      [3, 4, 8, 1, -1],
      [1, 17, 9, 0, 1],
      [2, 16, 8, undefined, undefined],
      [1, 32, 16, -0.5, 1],
      [1, 2, 33, 0.5, 1],
    ] as const
  ) {
    const size = images * channels * side * side;
    const problem: Problem = {
      h: draw(size, 3),
      state: draw(size, 10),
      weight: draw(channels * channels * 9, 0.5),
      bias: draw(channels, 1),
      images,
      channels,
      side,
      ...(blend === undefined ? {} : { blend }),
      ...(sign === undefined ? {} : { sign }),
    };
    const actual = await updated(device, problem);
    const { values, magnitudes } = oracle(problem);
    for (let i = 0; i < size; i++) {
      const bound = (9 * channels + 6) * 2 ** -24 * magnitudes[i]!;
      assert(
        Math.abs(actual[i]! - values[i]!) <= bound,
        `channels ${channels}, side ${side}: value ${i} is ${actual[i]}, expected ${
          values[i]
        } within ${bound}`,
      );
    }
  }
});

testOnDevices("residualUpdate: residual agrees with PyTorch", async (device) => {
  // g = lambda n, p: torch.sin(torch.arange(n, dtype=torch.float64) * p).float(), h = g(360, 1.7).reshape(2,
  // 5, 6, 6), state = g(360, 0.9).reshape(2, 5, 6, 6), w = g(225, 0.37).reshape(5, 5, 3, 3) * 0.2, b = g(5,
  // 2.3), then all .double(); phi = lambda r: (1 - r) * h + r * F.conv2d(h, w, b, padding=1): (state +
  // phi(0.5))[1, 4] and (state - phi(0.25))[0, 2, 0] deno-fmt-ignore
  const added = [
    0.289933678, -0.419579257, -0.362901148, -0.650829108, -0.488564752, 0.91972196,
    1.67504624, 0.472783423, -0.68898476, -0.55645367, -0.339737199, -0.278705879,
    0.454173341, 1.55675051, 0.792145985, -0.744706726, -0.885102186, -0.312823741,
    0.00691912124, 0.358334307, 1.31379092, 1.03807178, -0.586944044, -1.12702798,
    -0.287024765, 0.29322084, 0.379505116, 0.978970124, 1.09912178, -0.281529529,
    -1.43679947, -0.54063269, 0.523896431, 0.593542961, 0.709811545, 0.854640415,
  ];
  const subtracted = [1.04876419, 1.26606878, -0.439706084, -1.47196854, -0.119562711, 1.05435745];
  const wave = (length: number, step: number, factor = 1) => {
    return Float32Array.from({ length }, (_, i) => Math.fround(Math.sin(i * step)) * factor);
  };
  const problem: Problem = {
    h: wave(360, 1.7),
    state: wave(360, 0.9),
    weight: wave(225, 0.37, Math.fround(0.2)),
    bias: wave(5, 2.3),
    images: 2,
    channels: 5,
    side: 6,
  };
  const check = (actual: Float32Array, expected: number[]) => {
    assertEquals(actual.length, expected.length);
    // 51 roundings of sums below 8.
    for (const [i, value] of expected.entries()) assert(Math.abs(actual[i]! - value) < 51 * 2 ** -24 * 8);
  };
  check((await updated(device, problem)).subarray(9 * 36), added);
  check(
    (await updated(device, { ...problem, blend: 0.25, sign: -1 })).subarray(2 * 36, 2 * 36 + 6),
    subtracted,
  );
});

testOnDevices(
  "residualUpdate: residual leaves words behind the maps alone and NaN in its neighbourhood",
  async (device) => {
    const h = new Float32Array(16 * 16);
    h[3 * 16 + 4] = NaN;
    const state = new Float32Array(16 * 16 + 3).fill(2);
    const weight = new Float32Array(9).fill(1);
    const bias = new Float32Array(1);
    const actual = await updated(device, { h, state, weight, bias, images: 1, channels: 1, side: 16 });
    for (const [i, value] of actual.entries()) {
      const near = i < 256 && Math.abs(Math.floor(i / 16) - 3) <= 1 && Math.abs(i % 16 - 4) <= 1;
      assertEquals(value, near ? NaN : 2, `value ${i}`);
    }
  },
);

testOnDevices("residualUpdate: residual refuses bad calls", (device) => {
  using features = device.allocate(8, "features");
  using state = device.allocate(8, "state");
  using weight = device.allocate(36, "weight");
  using bias = device.allocate(2, "bias");
  const good = { features, state, weight, bias, images: 1, channels: 2, side: 2 };
  const bad: [Partial<Record<keyof ResidualUpdateArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ channels: 0 }, RangeError, "channels must be an integer >= 1: current value is 0"],
    [{ side: 2.5 }, RangeError, "side must be an integer >= 1: current value is 2.5"],
    [{ blend: NaN }, RangeError, "blend must be a finite number: current value is NaN"],
    [{ sign: 2 }, RangeError, "sign must be 1 or -1: current value is 2"],
    [{ state: features }, TypeError, 'features and state must be two arrays: both are "features"'],
    [{ features: bias }, RangeError, '"bias" must hold at least 8 words: it holds 2'],
    [{ state: bias }, RangeError, '"bias" must hold at least 8 words: it holds 2'],
    [{ weight: state }, RangeError, '"state" must hold at least 36 words: it holds 8'],
    [{ channels: 3, side: 1, weight: state }, RangeError, '"state" must hold at least 81 words: it holds 8'],
  ];
  for (const [change, type, message] of bad) {
    const args = { ...good, ...change } as unknown as ResidualUpdateArguments;
    const error = assertThrows(() => device.run(residualUpdate, args), type);
    assertEquals((error as Error).message, `Cannot update the residual as ${message}`);
  }
});
