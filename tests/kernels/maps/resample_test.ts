import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import type { FeatureLayout } from "../../../kernels/codebook/lookup.ts";
import {
  createResampleTable,
  resample,
  type ResampleArguments,
  type ResampleMethod,
  type ResampleTable,
  resampleWeights,
} from "../../../kernels/maps/resample.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

async function resized(
  device: Device,
  method: ResampleMethod,
  values: Float32Array,
  shape: { images: number; channels: number; from: number; to: number; layout?: FeatureLayout },
): Promise<Float32Array> {
  const { images, channels, from, to, layout = "planes" } = shape;
  using table = createResampleTable(device, method, from, to);
  using input = device.upload(values);
  using output = device.upload(new Float32Array(images * channels * to * to).fill(NaN));
  device.run(resample, { input, output, table, images, channels, layout });
  return await readFloats(output);
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assertEquals(actual.length, expected.length);
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    assert(difference <= tolerance, `value ${i} is ${actual[i]}, expected ${expected[i]}`);
  }
}

/** The weights as a full [to, from] matrix. */
function matrix(method: ResampleMethod, from: number, to: number): number[][] {
  const { first, count, weights, taps } = resampleWeights(method, from, to);
  return Array.from({ length: to }, (_, k) => {
    const row = Array<number>(from).fill(0);
    for (let i = 0; i < count[k]!; i++) row[first[k]! + i] = weights[k * taps + i]!;
    return row;
  });
}

// Columns and rows of the bicubic matrices as the published quantiser has them (to 8 decimals).
Deno.test("resampleWeights: bicubic weights are the published quantiser's", () => {
  // deno-fmt-ignore
  const column = [
    1.1038208, 1.11077881, 1.09283447, 1.04119873, 0.95031738, 0.83630371, 0.7076416, 0.57019043,
    0.42980957, 0.2923584, 0.16369629, 0.04968262, -0.04119873, -0.09283447, -0.11077881, -0.1038208,
  ];
  const two = matrix("bicubic", 2, 16);
  assertClose(two.map((row) => row[0]!), column, 1e-8);
  assertClose(two.map((row) => row[1]!), column.toReversed(), 1e-8);
  const three = matrix("bicubic", 3, 16);
  assertClose(three[0]!, [1.10741425, -0.10741425, 0], 1e-8);
  assertClose(three[1]!, [1.1001358, -0.1001358, 0], 1e-8);
  assertClose(three[2]!, [1.02199554, -0.02199554, 0], 1e-8);
  assertClose(three[3]!, [0.8664093, 0.14904022, -0.01544952], 1e-8);
  const thirteen = matrix("bicubic", 13, 16);
  assertClose(thirteen[1]!.slice(0, 4), [0.25914001, 0.84983063, -0.10897064, 0], 1e-8);
  assertClose(
    thirteen[8]!.slice(4, 10),
    [0, -0.10741425, 0.71247101, 0.46843719, -0.07349396, 0],
    1e-8,
  );
  assertEquals(matrix("bicubic", 1, 16), Array(16).fill([1]));
});

Deno.test("resampleWeights: area bins are the published quantiser's", () => {
  // deno-fmt-ignore
  const bins: [number, [number, number][]][] = [
    [13, [[0, 2], [1, 3], [2, 4], [3, 5], [4, 7], [6, 8], [7, 9], [8, 10], [9, 12], [11, 13], [12, 14], [13, 15], [14, 16]]],
    [10, [[0, 2], [1, 4], [3, 5], [4, 7], [6, 8], [8, 10], [9, 12], [11, 13], [12, 15], [14, 16]]],
    [6, [[0, 3], [2, 6], [5, 8], [8, 11], [10, 14], [13, 16]]],
    [5, [[0, 4], [3, 7], [6, 10], [9, 13], [12, 16]]],
    [3, [[0, 6], [5, 11], [10, 16]]],
  ];
  for (const [to, expected] of bins) {
    const { first, count, weights, taps } = resampleWeights("area", 16, to);
    assertEquals([...first].map((begin, k) => [begin, begin + count[k]!]), expected);
    for (const [k, n] of count.entries()) assertEquals(weights[k * taps], 1 / n);
  }
});

Deno.test("resampleWeights: weights sum to 1 and equal sides give the identity, for every method", () => {
  for (const method of ["bicubic", "area", "bilinear", "asymmetric", "antialiased"] as const) {
    for (const side of [1, 2, 5, 16]) {
      const identity = Array.from(
        { length: side },
        (_, k) => Array.from({ length: side }, (_, i) => i === k ? 1 : 0),
      );
      assertEquals(matrix(method, side, side), identity);
      for (const to of [1, 2, 3, 7, 16, 33]) {
        for (const row of matrix(method, side, to)) {
          assertClose([row.reduce((sum, weight) => sum + weight, 0)], [1], 1e-14);
        }
      }
    }
  }
});

Deno.test("resample: the mask of an edit keeps the published number of tokens", () => {
  // Box 0.1 to 0.8 of a 16 x 16 map is generated (rows and columns 2 to 12); a token is kept where the
  // resized mask exceeds 1/2.
  const kept = [0, 5, 8, 16, 20, 29, 51, 89, 135];
  for (const [i, side] of [2, 3, 4, 5, 6, 8, 10, 13, 16].entries()) {
    const inside = matrix("bilinear", 16, side).map((row) => {
      return row.reduce((sum, weight, k) => k >= 2 && k < 13 ? sum + weight : sum, 0);
    });
    let count = 0;
    for (const y of inside) for (const x of inside) if (1 - y * x > 0.5) count++;
    assertEquals(count, kept[i]);
  }
});

testOnDevices("resample gives the published quantiser's vectors", async (device) => {
  const up = await resized(device, "bicubic", new Float32Array([1, 2, 3, 5]), {
    images: 1,
    channels: 1,
    from: 2,
    to: 16,
  });
  // deno-fmt-ignore
  assertClose(up.subarray(0, 16), [
    0.699316, 0.693081, 0.709162, 0.755437, 0.836883, 0.93906, 1.054364, 1.177545,
    1.303351, 1.426532, 1.541837, 1.644013, 1.725459, 1.771734, 1.787815, 1.781579,
  ], 2e-6);
  assertClose(up.subarray(7 * 16, 7 * 16 + 4), [1.711175, 1.701227, 1.726884, 1.800713], 2e-6);
  assertClose([Math.min(...up), Math.max(...up)], [0.679936, 5.566166], 2e-6);
  assertClose([up.reduce((sum, value) => sum + value, 0)], [704], 1e-3);
  const down = await resized(device, "area", up, { images: 1, channels: 1, from: 16, to: 3 });
  // deno-fmt-ignore
  assertClose(
    down,
    [0.932881, 1.443644, 1.954407, 1.966187, 2.75, 3.533813, 2.999492, 4.056356, 5.113219],
    2e-6,
  );
  const ramp = Float32Array.from({ length: 256 }, (_, i) => i);
  const thirteen = await resized(device, "area", ramp, { images: 1, channels: 1, from: 16, to: 13 });
  // deno-fmt-ignore
  assertClose(
    thirteen.subarray(0, 13),
    [8.5, 9.5, 10.5, 11.5, 13, 14.5, 15.5, 16.5, 18, 19.5, 20.5, 21.5, 22.5],
    2e-5,
  );
  const three = await resized(device, "area", ramp, { images: 1, channels: 1, from: 16, to: 3 });
  assertClose(three, [42.5, 47.5, 52.5, 122.5, 127.5, 132.5, 202.5, 207.5, 212.5], 2e-4);
});

Deno.test("resampleWeights: TensorFlow 1 leaves out what half-pixel centres begin with", () => {
  // Output k of 4 lies at k / 2 of two pixels, and what lies beyond the last one is the last one.
  assertEquals(matrix("asymmetric", 2, 4), [[1, 0], [0.5, 0.5], [0, 1], [0, 1]]);
  assertEquals(matrix("bilinear", 2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]);
  assertEquals(matrix("asymmetric", 4, 2), [[1, 0, 0, 0], [0, 0, 1, 0]]);
  // The last of 299 lies at 63.79 of 64 pixels, beyond the last one.
  const { first, count } = resampleWeights("asymmetric", 64, 299);
  assertEquals([first[0], count[0], first.at(-1), count.at(-1)], [0, 1, 63, 1]);
});

testOnDevices("resample agrees with TensorFlow 1 and with Pillow in floats", async (device) => {
  // As below; the first by (k * np.float32(5 / n)) and the two pixels around it in float32, which is what
  // TensorFlow's kernel computes, the second by Image.fromarray(x, mode="F").resize((n, n), BICUBIC) of
  // Pillow 12.3
  // deno-fmt-ignore
  const recorded = {
    asymmetric: [
      [-0.176075622, -0.731368259, -0.36408659, 0.482209603, 0.78436636, -0.00335751791, -0.639473319, 0.778739828, 0.125935699, -0.396065071, -0.590934601, 0.173912439, 0.517046603, 0.659670092],
      [-0.176075622, -0.0366429836, 0.350040772, 0.436546974, -0.250116956, 0.0952764812, -0.468989841, 0.280634426, -0.136054768],
    ],
    antialiased: [
      [-0.0937239677, -0.753877163, -0.78120172, 0.418965071, 0.980882466, 0.273773879, -0.757287085, 1.05437624, 0.486654848, -0.371346414, -0.987756073, -0.0994228274, 0.645241201, 0.951975703],
      [-0.305811405, 0.256083786, -0.231455997, 0.171042666, -0.17773132, 0.201840103, -0.154984608, 0.222731665, -0.312309563],
    ],
  } as const;
  const x = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i * 1.7));
  for (const method of ["asymmetric", "antialiased"] as const) {
    const [up, down] = recorded[method];
    const seven = await resized(device, method, x, { images: 2, channels: 2, from: 5, to: 7 });
    const plane = seven.subarray(2 * 49, 3 * 49);
    // Four or seven taps of values up to 1 in float32, and what is rounded between the passes.
    assertClose([...plane.subarray(0, 7), ...plane.subarray(21, 28)], up, 1e-6);
    const three = await resized(device, method, x, { images: 2, channels: 2, from: 5, to: 3 });
    assertClose(three.subarray(18, 27), down, 1e-6);
  }
});

testOnDevices("resample agrees with PyTorch", async (device) => {
  // x = torch.sin(torch.arange(100, dtype=torch.float64) * 1.7).float().reshape(2, 2, 5, 5)
  // F.interpolate(x, size=(7, 7), mode=mode)[1, 0, [0, 3]] and F.interpolate(x, size=(3, 3), mode=mode)[1,
  // 0], torch 2.13 deno-fmt-ignore
  const recorded: Partial<Record<ResampleMethod, [number[], number[]]>> = {
    bicubic: [
      [-0.0611322522, -0.849760652, -0.823433638, 0.417976886, 1.08256161, 0.348926246, -0.802207291, 1.07529724, 0.502524674, -0.448108524, -0.987756073, -0.164258122, 0.681038976, 0.964932859],
      [-0.451523989, 0.517972052, -0.34171021, 0.726353109, -0.987756073, 0.786319256, -0.226978242, 0.404712319, -0.392807573],
    ],
    bilinear: [
      [-0.176075622, -0.62030977, -0.560552716, 0.421778291, 0.723935068, 0.208681479, -0.639473319, 0.994826794, 0.4106749, -0.301815391, -0.987756073, -0.0808066651, 0.553310871, 0.915094793],
      [-0.350732565, 0.437876165, -0.25132978, 0.654071569, -0.987756073, 0.704054058, -0.151742145, 0.320943564, -0.289542615],
    ],
    area: [
      [-0.176075622, -0.564780474, -0.265853524, 0.421778291, 0.633287966, 0.102662176, -0.639473319, 0.994826794, 0.483693898, -0.507597506, -0.987756073, -0.352891624, 0.598533809, 0.915094793],
      [-0.248717085, 0.11033836, -0.23985751, -0.0328950174, 0.0166216288, -0.0407050438, -0.175567269, 0.104049742, -0.285161525],
    ],
  };
  const x = Float32Array.from({ length: 100 }, (_, i) => Math.sin(i * 1.7));
  for (const [method, [up, down]] of Object.entries(recorded) as [ResampleMethod, [number[], number[]]][]) {
    const seven = await resized(device, method, x, { images: 2, channels: 2, from: 5, to: 7 });
    const plane = seven.subarray(2 * 49, 3 * 49);
    // PyTorch computes source coordinates and weights in float32: a few units of 2^-24 times a slope of about
    // 1 a tap.
    assertClose([...plane.subarray(0, 7), ...plane.subarray(21, 28)], up, 2e-6);
    const three = await resized(device, method, x, { images: 2, channels: 2, from: 5, to: 3 });
    assertClose(three.subarray(18, 27), down, 2e-6);
  }
});

testOnDevices("resample agrees with a float64 product of matrices in both layouts", async (device) => {
  const random = testRandom(5);
  for (
    const [method, images, channels, from, to] of [
      ["bicubic", 2, 3, 3, 16],
      ["area", 3, 5, 16, 13],
      ["bilinear", 1, 1, 16, 9],
      ["area", 1, 2, 3, 8],
      ["bicubic", 1, 33, 13, 16],
      ["bicubic", 2, 2, 1, 1],
      ["area", 3, 8, 16, 1],
      ["bilinear", 2, 9, 2, 5],
      ["bicubic", 1, 15, 5, 9],
      ["bilinear", 2, 12, 3, 4],
      ["area", 1, 6, 4, 3],
      ["asymmetric", 1, 3, 7, 19],
      ["antialiased", 2, 3, 19, 6],
    ] as const
  ) {
    const shape = { images, channels, from, to };
    const values = Float32Array.from({ length: images * channels * from * from }, () => random() * 200 - 100);
    const side = matrix(method, from, to).map((row) => row.map(Math.fround));
    const [planes, rows] = [
      await resized(device, method, values, shape),
      await resized(device, method, values, { ...shape, layout: "rows" }),
    ];
    const { taps } = resampleWeights(method, from, to);
    for (let plane = 0; plane < images * channels; plane++) {
      const [image, channel] = [Math.floor(plane / channels), plane % channels];
      for (let y = 0; y < to; y++) {
        for (let x = 0; x < to; x++) {
          let [sum, magnitude] = [0, 0];
          for (let v = 0; v < from; v++) {
            for (let u = 0; u < from; u++) {
              const term = side[y]![v]! * side[x]![u]! * values[(plane * from + v) * from + u]!;
              sum += term;
              magnitude += Math.abs(term);
            }
          }
          const bound = (2 * taps + 3) * 2 ** -24 * magnitude;
          const position = y * to + x;
          assertClose([planes[plane * to * to + position]!], [sum], bound);
          assertClose([rows[(image * to * to + position) * channels + channel]!], [sum], bound);
        }
      }
    }
  }
});

/** Resizes by `table` for rows and `across` for columns, into an array that holds NaN before. */
async function resizedAcross(
  device: Device,
  values: Float32Array,
  { across, ...shape }: Omit<ResampleArguments, "input" | "output" | "across"> & { across: ResampleTable },
): Promise<Float32Array> {
  const { images, channels, table } = shape;
  using input = device.upload(values);
  using output = device.upload(new Float32Array(images * channels * table.to * across.to).fill(NaN));
  device.run(resample, { input, output, across, ...shape });
  return await readFloats(output);
}

testOnDevices(
  "resample with a table of each side agrees with a float64 product of matrices",
  async (device) => {
    const random = testRandom(11);
    const whole = (most: number) => 1 + Math.floor(random() * most);
    const methods = ["bicubic", "area", "bilinear"] as const;
    const shapes: [number, number, readonly [number, number], readonly [number, number]][] = [
      [1, 1, [1, 1], [1, 2]],
      [1, 9, [1, 2], [3, 1]],
      [2, 33, [8, 16], [16, 32]],
      [1, 8, [32, 32], [7, 13]],
      [1, 2, [2, 40], [40, 2]],
      [3, 7, [5, 11], [5, 4]],
    ];
    for (let i = 0; i < 12; i++) {
      shapes.push([whole(3), whole(12), [whole(9), whole(20)], [
        whole(20),
        whole(9),
      ]]);
    }
    for (const [i, [images, channels, from, to]] of shapes.entries()) {
      // The ways of the two sides differ as a rule, so that neither table can stand in for the other.
      const [down, right] = [methods[i % 3]!, methods[(i + Math.floor(i / 3)) % 3]!];
      using table = createResampleTable(device, down, from[0], to[0]);
      using across = createResampleTable(device, right, from[1], to[1]);
      const scale = 10 ** Math.floor(random() * 20 - 10);
      const values = Float32Array.from(
        { length: images * channels * from[0] * from[1] },
        () => (random() * 2 - 1) * scale,
      );
      const call = { table, across, images, channels };
      const planes = await resizedAcross(device, values, { ...call, layout: "planes" });
      const rows = await resizedAcross(device, values, { ...call, layout: "rows" });
      const [vertical, horizontal] = [matrix(down, from[0], to[0]), matrix(right, from[1], to[1])]
        .map((side) => side.map((row) => row.map(Math.fround))) as [number[][], number[][]];
      const area = to[0] * to[1];
      for (let at = 0; at < images * channels * area; at++) {
        const [plane, position] = [Math.floor(at / area), at % area];
        const [y, x] = [Math.floor(position / to[1]), position % to[1]];
        let [sum, magnitude] = [0, 0];
        for (let v = 0; v < from[0]; v++) {
          for (let u = 0; u < from[1]; u++) {
            const term = vertical[y]![v]! * horizontal[x]![u]! * values[(plane * from[0] + v) * from[1] + u]!;
            sum += term;
            magnitude += Math.abs(term);
          }
        }
        const bound = (table.taps + across.taps + 3) * 2 ** -24 * magnitude;
        const [image, channel] = [Math.floor(plane / channels), plane % channels];
        assertClose([planes[at]!, rows[(image * area + position) * channels + channel]!], [sum, sum], bound);
      }
    }
  },
);

testOnDevices("resample with a table of each side agrees with PyTorch", async (device) => {
  // x = torch.sin(torch.arange(84, dtype=torch.float64) * 1.7).float().reshape(2, 2, 3, 7)
  // F.interpolate(x, size=(5, 4), mode=mode)[1, 0, [0, 3]], torch 2.13
  // deno-fmt-ignore
  const recorded: Partial<Record<ResampleMethod, number[]>> = {
    bicubic: [0.161328375, -0.346344054, 0.460362256, -0.464686245, 0.753050566, -0.968887508, 0.967633784, -0.749715149],
    bilinear: [0.192192316, -0.381277084, 0.403151155, -0.417538077, 0.634583712, -0.821114361, 0.82188338, -0.642506361],
    area: [0.00437632203, -0.139350474, 0.0824741945, -0.529611051, 0.526889801, -0.233744189, 0.227595583, -0.583670199],
  };
  const x = Float32Array.from({ length: 84 }, (_, i) => Math.sin(i * 1.7));
  for (const [method, expected] of Object.entries(recorded) as [ResampleMethod, number[]][]) {
    using table = createResampleTable(device, method, 3, 5);
    using across = createResampleTable(device, method, 7, 4);
    const shape = { table, across, images: 2, channels: 2, layout: "planes" } as const;
    const plane = (await resizedAcross(device, x, shape)).subarray(2 * 20, 3 * 20);
    // PyTorch computes source coordinates and weights in float32: a few units of 2^-24 times a slope of about
    // 1 a tap.
    assertClose([...plane.subarray(0, 4), ...plane.subarray(12, 16)], expected, 2e-6);
  }
});

testOnDevices(
  "resample gives the same bits with one table of both sides and with one of each",
  async (device) => {
    const random = testRandom(12);
    for (const [method, from, to] of [["bicubic", 13, 16], ["area", 16, 13], ["bilinear", 5, 9]] as const) {
      const [images, channels] = [2, 11];
      const values = Float32Array.from({ length: images * channels * from ** 2 }, () => random() * 2 - 1);
      using table = createResampleTable(device, method, from, to);
      using across = createResampleTable(device, method, from, to);
      for (const layout of ["rows", "planes"] as const) {
        const one = await resized(device, method, values, { images, channels, from, to, layout });
        const each = await resizedAcross(device, values, { table, across, images, channels, layout });
        assertEquals(new Uint32Array(each.buffer), new Uint32Array(one.buffer));
      }
    }
  },
);

testOnDevices("resample adds to maps and takes from them, in both layouts", async (device) => {
  const random = testRandom(31);
  const values = Float32Array.from({ length: 2 * 3 * 25 }, () => random() - 0.5);
  const before = Float32Array.from({ length: 2 * 3 * 64 }, () => random() - 0.5);
  using table = createResampleTable(device, "bilinear", 5, 8);
  using input = device.upload(values);
  for (const layout of ["planes", "rows"] as const) {
    const sizes = { table, images: 2, channels: 3, layout };
    using alone = device.allocate(before.length);
    device.run(resample, { input, output: alone, ...sizes });
    const resized = await readFloats(alone);
    for (const sign of [1, -1] as const) {
      using output = device.upload(before);
      device.run(resample, { input, output, ...sizes, sign });
      assertClose(await readFloats(output), before.map((value, i) => value + sign * resized[i]!), 2 ** -23);
    }
    using taken = device.upload(new Float32Array(before.length).fill(NaN));
    device.run(resample, { input, output: taken, ...sizes, sign: 0 });
    assertClose(await readFloats(taken), resized, 0);
  }
});

testOnDevices("resample to the same height and width copies, also what is not finite", async (device) => {
  const values = new Float32Array([1, NaN, -Infinity, 0.1, 3e38, -1e-40]);
  // A device may take what is smaller than 2^-126 for 0.
  const kept = [1, NaN, -Infinity, Math.fround(0.1), Math.fround(3e38)];
  for (const method of ["bicubic", "area", "bilinear"] as const) {
    using table = createResampleTable(device, method, 2, 2);
    using across = createResampleTable(device, method, 3, 3);
    for (const layout of ["rows", "planes"] as const) {
      const same = await resizedAcross(device, values, { table, across, images: 1, channels: 1, layout });
      assertEquals([...same.subarray(0, 5)], kept);
      assert(same[5] === 0 || same[5] === values[5]);
    }
  }
});

testOnDevices("resample to the same side copies, also what is not finite", async (device) => {
  const values = new Float32Array([1, NaN, -Infinity, 0.1]);
  for (const method of ["bicubic", "area", "bilinear"] as const) {
    const same = await resized(device, method, values, { images: 1, channels: 1, from: 2, to: 2 });
    assertEquals([...same], [...values]);
  }
});

testOnDevices("createResampleTable: a table holds three arrays and gives them back", (device) => {
  const before = device.counters;
  const table = createResampleTable(device, "area", 16, 5);
  assertEquals(device.counters.liveArrays, before.liveArrays + 3);
  table[Symbol.dispose]();
  table[Symbol.dispose]();
  assertEquals(device.counters.liveArrays, before.liveArrays);
  assertEquals(device.counters.liveBytes, before.liveBytes);
});

testOnDevices("resample refuses bad calls", (device) => {
  using table = createResampleTable(device, "area", 4, 2);
  using input = device.allocate(32, "input");
  using output = device.allocate(8, "output");
  using across = createResampleTable(device, "area", 5, 3);
  const good = { input, output, table, images: 1, channels: 2, layout: "rows" };
  const bad: [Partial<Record<keyof ResampleArguments, unknown>>, ErrorConstructor, string][] = [
    [{ images: -1 }, RangeError, "images must be an integer >= 0: current value is -1"],
    [{ channels: 0 }, RangeError, "channels must be an integer >= 1: current value is 0"],
    [{ layout: "" }, TypeError, 'layout must be one of "rows", "planes": current value is ""'],
    [{ channels: 3 }, RangeError, '"input" must hold at least 48 words: it holds 32'],
    [{ across }, RangeError, '"input" must hold at least 40 words: it holds 32'],
    [
      { across, channels: 1, output: table.weights },
      RangeError,
      '"area 4 to 2, weights" must hold at least 6 words: it holds 4',
    ],
    [{ output: table.first }, RangeError, '"area 4 to 2, first" must hold at least 8 words: it holds 2'],
  ];
  for (const [change, type, message] of bad) {
    const args = { ...good, ...change } as unknown as ResampleArguments;
    const error = assertThrows(() => device.run(resample, args), type);
    assertEquals((error as Error).message, `Cannot resample feature maps as ${message}`);
  }
  assertThrows(
    () => createResampleTable(device, "nearest" as ResampleMethod, 2, 2),
    TypeError,
    'Cannot compute resampling weights as method must be one of "bicubic", "area", "bilinear", "asymmetric", "antialiased": current value is "nearest"',
  );
  assertThrows(
    () => resampleWeights("area", 0, 2),
    RangeError,
    "Cannot compute resampling weights as from must be an integer >= 1: current value is 0",
  );
  assertThrows(
    () => resampleWeights("area", 2, 1.5),
    RangeError,
    "Cannot compute resampling weights as to must be an integer >= 1: current value is 1.5",
  );
});
