import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import {
  bitsToCodes,
  codesToBits,
  createCodebook,
  lookup,
  nearest,
} from "../../../kernels/operations/codebook.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

function data(seed: number, count: number, vocabulary: number, channels: number) {
  const random = testRandom(seed);
  const value = (): number => random() * 2 - 1;
  return {
    features: Float32Array.from({ length: count * channels }, value),
    codes: Float32Array.from({ length: vocabulary * channels }, value),
  };
}

/** Distances of one row to all codes in float64, by either metric. */
function distances(row: Float32Array, codes: Float32Array, metric: "euclidean" | "cosine"): number[] {
  const size = (x: Float32Array): number => metric === "cosine" ? Math.hypot(...x) : 1;
  return Array.from({ length: codes.length / row.length }, (_, code) => {
    const vector = codes.subarray(code * row.length, (code + 1) * row.length);
    return row.reduce((sum, x, c) => sum + (x / size(row) - vector[c]! / size(vector)) ** 2, 0);
  });
}

testOnDevices(
  "nearest: a codebook finds the nearest codes, by distance or by angle, and gives their vectors",
  async (device) => {
    const [count, vocabulary, channels] = [30, 200, 6];
    const { features, codes } = data(51, count, vocabulary, channels);
    for (const metric of ["euclidean", "cosine"] as const) {
      using codebook = createCodebook(device, codes, { channels, metric });
      assertEquals([codebook.vocabulary, codebook.channels, codebook.metric], [vocabulary, channels, metric]);
      using measured = device.upload(new Float32Array(count + 1).fill(-1));
      using tokens = codebook.nearest(features, { distances: measured });
      const [ids, found] = [await readWords(tokens), await readFloats(measured)];
      assertEquals(tokens.length, count);
      for (let row = 0; row < count; row++) {
        const wanted = distances(features.subarray(row * channels, (row + 1) * channels), codes, metric);
        assertEquals(ids[row], wanted.indexOf(Math.min(...wanted)));
        // Each vector of length 1 is off by (1.5 · 6 + 5)·2^-23 at most, so a distance of at most 2 by twice
        // that, and its square by 112.
        assert(Math.abs(found[row]! - wanted[ids[row]!]!) < 128 * 2 ** -23, `${found[row]} of row ${row}`);
      }
      assertEquals(found[count], -1);
      using map = codebook.lookup(tokens);
      assertEquals(
        [...await readFloats(map)],
        [...ids].flatMap((id) => [...codes.subarray(id * channels, (id + 1) * channels)]),
      );
    }
  },
);

testOnDevices("lookup lays out planes image by image, and zeros for no token", async (device) => {
  using codebook = createCodebook(device, new Float32Array([1, 2, 3, 4]), { channels: 2 });
  const tokens = new Uint32Array([0, 1, 1, 0xffffffff]);
  using one = codebook.lookup(tokens, { layout: "planes" });
  assertEquals([...await readFloats(one)], [1, 3, 3, 0, 2, 4, 4, 0]);
  using two = codebook.lookup(tokens, { layout: "planes", positions: 2 });
  assertEquals([...await readFloats(two)], [1, 3, 2, 4, 3, 0, 4, 0]);
  using none = codebook.lookup(new Uint32Array(0));
  assertEquals(none.length, 0);
  using nobody = codebook.nearest(new Float32Array(0));
  assertEquals(nobody.length, 0);
});

testOnDevices(
  "createCodebook: results go where the caller wants them, and nothing of the caller's is freed",
  async (device) => {
    const before = device.counters.liveArrays;
    const bytes = device.counters.liveBytes;
    {
      using vectors = device.upload(new Float32Array([9, 1, 2, 3, 4]));
      using features = device.upload(new Float32Array([9, 9, 3, 5]));
      using output = device.upload(new Uint32Array(3).fill(7));
      using map = device.upload(new Float32Array(4));
      {
        using codebook = createCodebook(device, device.view(vectors, 1), { channels: 2, metric: "cosine" });
        const tokens = codebook.nearest(device.view(features, 2), { output: device.view(output, 1, 1) });
        assertEquals([...await readWords(tokens)], [0]);
        const found = codebook.lookup(tokens, { output: map });
        assertEquals([...await readFloats(found)].slice(0, 2), [1, 2]);
        tokens[Symbol.dispose]();
        found[Symbol.dispose]();
      }
      assertEquals([...await readWords(output)], [7, 0, 7]);
      assertEquals([...await readFloats(map)], [1, 2, 0, 0]);
      assertEquals([...await readFloats(vectors)], [9, 1, 2, 3, 4]);
    }
    assertEquals(device.counters.liveArrays, before);
    assertEquals(device.counters.liveBytes, bytes);
  },
);

testOnGpu("createCodebook: a codebook takes and fills GPU buffers", async (device) => {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.gpu.createBuffer({ size: 64, usage });
  device.gpu.queue.writeBuffer(buffer, 4, new Float32Array([0, 1, 5, 0.8, 4]));
  {
    using codebook = createCodebook(device, { buffer, offset: 4, size: 12 }, { channels: 1 });
    using tokens = codebook.nearest({ buffer, offset: 16, size: 8 }, {
      output: { buffer, offset: 32, size: 8 },
    });
    assertEquals([...await readWords(tokens)], [1, 2]);
  }
  buffer.destroy();
});

testOnDevices("codesToBits: the calls at once say the same as the pieces", async (device) => {
  const before = device.counters.liveArrays;
  const { features, codes } = data(52, 12, 40, 5);
  using cpu = new CpuDevice();
  using codebook = createCodebook(cpu, codes, { channels: 5, metric: "cosine" });
  using tokens = codebook.nearest(features);
  const wanted = await readWords(tokens);
  const measured = new Float32Array(13).fill(-1);
  const found = await nearest(features, codes, {
    channels: 5,
    metric: "cosine",
    device,
    distances: measured,
  });
  assertEquals(found, wanted);
  for (const [row, id] of found.entries()) {
    const all = distances(features.subarray(row * 5, row * 5 + 5), codes, "cosine");
    assert(Math.abs(measured[row]! - all[id]!) < 1e-5);
  }
  assertEquals(measured[12], -1);
  const map = await lookup(found, codes, { channels: 5, layout: "planes", positions: 4, device });
  using planes = codebook.lookup(tokens, { layout: "planes", positions: 4 });
  assertEquals(map, await readFloats(planes));
  const bits = await codesToBits(features, {
    channels: 5,
    images: 3,
    layout: "planes",
    patchWidth: 1,
    device,
  });
  assertEquals(bits.length, 3);
  const corners = await bitsToCodes(bits, {
    ...{ channels: 5, images: 3, layout: "planes", patchWidth: 1, magnitude: 2, device },
  });
  assertEquals(corners, features.map((x) => x > 0 ? 2 : -2));
  assertEquals((await codesToBits(corners, { channels: 5, device })).length, 12);
  assertEquals(device.counters.liveArrays, before);
});

testOnDevices(
  "createCodebook: bad codebooks and calls are refused, and leave nothing behind",
  async (device) => {
    using codebook = createCodebook(device, new Float32Array(6), { channels: 2 });
    using short = device.allocate(1, "short");
    const before = device.counters;
    const refused = (call: () => unknown, type: ErrorConstructor, message: string): void => {
      assertEquals((assertThrows(call, type) as Error).message, message);
      assertEquals(device.counters.liveArrays, before.liveArrays, message);
      assertEquals(device.counters.liveBytes, before.liveBytes, message);
    };
    // deno-lint-ignore no-explicit-any
    const any = (value: unknown): any => value;
    const six = new Float32Array(6);
    const create = (vectors: unknown, options: unknown) => () =>
      createCodebook(device, any(vectors), any(options));
    const start = "Cannot create a codebook as";
    refused(
      create(six, { chanels: 2 }),
      TypeError,
      `${start} the option "chanels" is unknown: options are channels, metric`,
    );
    refused(create(six, {}), TypeError, `${start} channels must be a number: current value is undefined`);
    refused(
      create(six, { channels: 0 }),
      RangeError,
      `${start} channels must be an integer >= 1: current value is 0`,
    );
    refused(
      create(six, { channels: 2, metric: "l1" }),
      TypeError,
      `${start} metric must be one of "euclidean", "cosine": current value is "l1"`,
    );
    refused(
      create(six, { channels: 4 }),
      RangeError,
      `${start} the number of values in vectors must be a multiple of 4: it holds 6`,
    );
    refused(
      create(new Float32Array(0), { channels: 4 }),
      RangeError,
      `${start} vectors must hold at least 4 values: it holds 0`,
    );
    refused(
      create([1, 2], { channels: 1 }),
      TypeError,
      `${start} vectors must be a Float32Array, a device array or a GPUBuffer: current value is [1, 2]`,
    );
    const find = "Cannot find nearest codes as";
    refused(
      () => codebook.nearest(six, any({ out: short })),
      TypeError,
      `${find} the option "out" is unknown: options are output, distances`,
    );
    refused(
      () => codebook.nearest(new Float32Array(3)),
      RangeError,
      `${find} the number of values in features must be a multiple of 2: it holds 3`,
    );
    refused(
      () => codebook.nearest(any(new Uint32Array(4))),
      TypeError,
      `${find} features must be a Float32Array, a device array or a GPUBuffer: current value is Uint32Array(4)`,
    );
    refused(
      () => codebook.nearest(six, { output: short }),
      RangeError,
      `${find} "short" must hold at least 3 words: it holds 1`,
    );
    refused(
      () => codebook.nearest(six, { distances: short }),
      RangeError,
      `${find} "short" must hold at least 3 words: it holds 1`,
    );
    const look = "Cannot look up codebook vectors as";
    const ids = new Uint32Array(3);
    refused(
      () => codebook.lookup(ids, any({ layout: "grid" })),
      TypeError,
      `${look} layout must be one of "rows", "planes": current value is "grid"`,
    );
    refused(
      () => codebook.lookup(ids, { positions: 2 }),
      RangeError,
      `${look} the number of values in tokens must be a multiple of 2: it holds 3`,
    );
    refused(
      () => codebook.lookup(ids, { positions: 0 }),
      RangeError,
      `${look} positions must be an integer >= 1: current value is 0`,
    );
    refused(
      () => codebook.lookup(any(six)),
      TypeError,
      `${look} tokens must be a Uint32Array, a device array or a GPUBuffer: current value is Float32Array(6)`,
    );
    refused(
      () => codebook.lookup(ids, { output: short }),
      RangeError,
      `${look} "short" must hold at least 6 words: it holds 1`,
    );
    using other: Device = new CpuDevice();
    using elsewhere = other.allocate(6, "elsewhere");
    refused(() => codebook.nearest(elsewhere), TypeError, `${find} features belongs to another device`);
    const rejected = async (
      call: Promise<unknown>,
      type: ErrorConstructor,
      message: string,
    ): Promise<void> => {
      assertEquals((await assertRejects(() => call, type) as Error).message, message);
      assertEquals(device.counters.liveArrays, before.liveArrays, message);
    };
    await rejected(
      nearest(six, six, any({ channels: 2, k: 3 })),
      TypeError,
      `${find} the option "k" is unknown: options are channels, metric, distances, device`,
    );
    await rejected(
      nearest(any(undefined), six, { channels: 2, device }),
      TypeError,
      `${find} features must be a Float32Array, a device array or a GPUBuffer: current value is undefined`,
    );
    await rejected(
      nearest(six, six, { channels: 2, device, distances: new Float32Array(2) }),
      RangeError,
      `${find} distances must hold at least 3 values: it holds 2`,
    );
    await rejected(
      nearest(six, six, any({ channels: 2, device, distances: [1, 2, 3] })),
      TypeError,
      `${find} distances must be a Float32Array: current value is [1, 2, 3]`,
    );
    await rejected(
      lookup(ids, six, any({ channels: 2, device, output: short })),
      TypeError,
      `${look} the option "output" is unknown: options are channels, layout, positions, device`,
    );
    await rejected(
      bitsToCodes(ids, { channels: 40, device }),
      RangeError,
      "Cannot turn bits into codes as the number of values in bits must be a multiple of 2: it holds 3",
    );
    await rejected(
      bitsToCodes(ids, any({ bits: 4 })),
      TypeError,
      'Cannot turn bits into codes as the option "bits" is unknown: options are channels, layout, images, patchWidth, magnitude, device',
    );
    await rejected(
      codesToBits(six, { channels: 2, patchWidth: 1, device }),
      RangeError,
      "Cannot turn features into bits as the number of values in features must be a multiple of 8: it holds 6",
    );
    await rejected(
      codesToBits(six, { channels: 2, images: 0, device }),
      RangeError,
      "Cannot turn features into bits as images must be an integer >= 1: current value is 0",
    );
  },
);
