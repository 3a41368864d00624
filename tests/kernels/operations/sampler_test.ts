import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import {
  createBitSampler,
  createTokenSampler,
  type DrawingOptions,
  sample,
  sampleBitTokens,
} from "../../../kernels/operations/sampler.ts";
import { sampleBits } from "../../../kernels/sampling/sample_bits.ts";
import { sampleTokens } from "../../../kernels/sampling/sample.ts";
import { seedWords } from "../../../kernels/exact/threefry.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

function randomLogits(length: number, seed: number): Float32Array<ArrayBuffer> {
  const random = testRandom(seed);
  return Float32Array.from({ length }, () => (random() - 0.5) * 8);
}

const SEED = 2n ** 63n + 5n;

testOnDevices("createTokenSampler: a sampler of tokens draws what the kernel draws", async (device) => {
  const [vocabulary, images, positions, draws] = [50, 2, 3, 7];
  const data = randomLogits(2 * images * positions * vocabulary, 1);
  const settings = { temperature: 0.8, topK: 30, topP: 0.9, minP: 0.01 };
  using logits = device.upload(data);
  using lanes = device.upload(new Uint32Array([4, 9]));
  using wanted = device.allocate(images * positions * draws);
  device.run(sampleTokens, {
    ...settings,
    ...{ logits, lanes, tokens: wanted, images, positions, vocabulary, draws, guided: true, weight: 1.5 },
    ...{ seed: seedWords(SEED), scale: 6, firstDraw: 2 },
  });
  const numbers = { draws, images: [4, 9], scale: 6, firstDraw: 2 };
  using sampler = createTokenSampler(device, { vocabulary, cfg: 1.5, seed: SEED, ...settings });
  using fromArray = sampler.run(data, numbers);
  using fromDevice = sampler.run(logits, { ...numbers, images: new Uint32Array([4, 9]) });
  using output = device.allocate(wanted.length + 1);
  using returned = sampler.run(logits, { ...numbers, output });
  const [a, b, c, d, e] = await device.read([wanted, fromArray, fromDevice, output, returned]);
  assertEquals(b, a);
  assertEquals(c, a);
  assertEquals(d!.slice(0, -1), a);
  assertEquals(e, d);
  assertEquals(
    await sample(data, { vocabulary, cfg: 1.5, seed: SEED, ...settings, ...numbers, device }),
    a,
  );
});

testOnDevices("createBitSampler: a sampler of bits draws what the kernel draws", async (device) => {
  const [bits, images, positions, draws] = [40, 2, 3, 5];
  const data = randomLogits(2 * images * positions * bits * 2, 2);
  using logits = device.upload(data);
  using lanes = device.upload(new Uint32Array([0, 1]));
  using wanted = device.allocate(images * positions * draws * 2);
  device.run(sampleBits, {
    ...{ logits, lanes, tokens: wanted, images, positions, bits, draws, guided: true, weight: 3 },
    ...{ temperature: 0.5, topP: 0.97, seed: seedWords(SEED), scale: 3 },
  });
  const settings = { bits, cfg: 3, temperature: 0.5, topP: 0.97, topK: 900, seed: SEED };
  const numbers = { draws, images: [0, 1], scale: 3 };
  using sampler = createBitSampler(device, settings);
  using fromArray = sampler.run(data, numbers);
  using output = device.allocate(wanted.length);
  using returned = sampler.run(logits, { ...numbers, output });
  const [a, b, c, d] = await device.read([wanted, fromArray, output, returned]);
  assertEquals(b, a);
  assertEquals(c, a);
  assertEquals(d, a);
  assertEquals(await sampleBitTokens(data, { ...settings, ...numbers, device }), a);
});

testOnDevices(
  "createTokenSampler: an image draws the same alone, in a batch of any order, and in parts",
  async (device) => {
    const [vocabulary, positions, draws] = [70, 4, 6];
    const size = positions * vocabulary;
    const data = randomLogits(3 * size, 3);
    using sampler = createTokenSampler(device, { vocabulary, topP: 0.95, seed: 7 });
    const draw = async (logits: Float32Array, options: DrawingOptions): Promise<Uint32Array> => {
      using tokens = sampler.run(logits, options);
      return await readWords(tokens);
    };
    const batch = await draw(data, { draws, images: [3, 1, 2] });
    for (const [i, image] of [3, 1, 2].entries()) {
      const own = data.subarray(i * size, (i + 1) * size);
      const wanted = batch.slice(i * draws * positions, (i + 1) * draws * positions);
      assertEquals(await draw(own, { draws, images: [image] }), wanted);
      assertEquals(await draw(own, { draws: 2, firstDraw: 4, images: [image] }), wanted.slice(4 * positions));
    }
    // Without indices all rows are positions of image 0.
    assertEquals(await draw(data, {}), await draw(data, { images: [0], draws: 1, scale: 0, firstDraw: 0 }));
    // Other numbers draw something else.
    const plain = await draw(data, { draws });
    for (const options of [{ scale: 1 }, { firstDraw: 6 }, { images: [1] }]) {
      assert(String(plain) !== String(await draw(data, { draws, ...options })), JSON.stringify(options));
    }
  },
);

testOnDevices(
  "createTokenSampler: nothing is left behind, and indices are written only when they change",
  async (device) => {
    const before = device.counters;
    {
      using sampler = createTokenSampler(device, { vocabulary: 4 });
      const logits = randomLogits(8, 4);
      for (const images of [[0], [0], [1, 0], [1, 0], [0]]) {
        using tokens = sampler.run(logits, { images });
        await readWords(tokens);
      }
      // The array of indices.
      assertEquals(device.counters.liveArrays, before.liveArrays + 1);
      // What fails leaves nothing either.
      using short = device.allocate(1, "short");
      assertThrows(
        () => sampler.run(logits, { output: short }),
        RangeError,
        '"short" must hold at least 2 words',
      );
      assertThrows(() => sampler.run(logits.subarray(1)), RangeError);
      assertEquals(device.counters.liveArrays, before.liveArrays + 2);
      sampler[Symbol.dispose]();
      assertThrows(
        () => sampler.run(logits),
        TypeError,
        "Cannot draw tokens as the sampler has been disposed",
      );
    }
    await device.read([]);
    assertEquals(device.counters.liveArrays, before.liveArrays);
    assertEquals(device.counters.liveBytes, before.liveBytes);
  },
);

testOnGpu("createTokenSampler: logits and tokens may be buffers of somebody else", async (device) => {
  const data = randomLogits(2 * 33, 5);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const logits = device.gpu.createBuffer({ size: 4 * (3 + data.length), usage });
  const target = device.gpu.createBuffer({ size: 64, usage });
  device.gpu.queue.writeBuffer(logits, 12, data);
  using sampler = createTokenSampler(device, { vocabulary: 33, seed: 1 });
  using wanted = sampler.run(data, { draws: 3 });
  using tokens = sampler.run({ buffer: logits, offset: 12 }, {
    draws: 3,
    output: { buffer: target, offset: 4 },
  });
  const [a, b] = await device.read([wanted, tokens]);
  assertEquals(b!.slice(0, 6), a);
  logits.destroy();
  target.destroy();
});

Deno.test("sample: one call opens a device of its own", async () => {
  const logits = randomLogits(300, 6);
  const options = { vocabulary: 100, topK: 5, draws: 4 };
  using device = new CpuDevice();
  assertEquals(
    await sample(logits, { ...options, device: "cpu" }),
    await sample(logits, { ...options, device }),
  );
  assertEquals((await sample(logits, options)).length, 12);
});

Deno.test("createTokenSampler: bad samplers and calls say what is wrong", async () => {
  using device: Device = new CpuDevice();
  const tokens = (options: object) => createTokenSampler(device, { vocabulary: 4, ...options });
  const bits = (options: object) => createBitSampler(device, { bits: 4, ...options });
  const run = (options: object, logits: unknown = new Float32Array(8)) => {
    using sampler = tokens({});
    using _drawn = sampler.run(logits as Float32Array, options);
  };
  const known = "vocabulary, temperature, topK, topP, minP, cfg, seed";
  const cases: [() => unknown, typeof TypeError | typeof RangeError, string][] = [
    [
      () => tokens({ top_k: 3 }),
      TypeError,
      `Cannot draw tokens as the option "top_k" is unknown: options are ${known}`,
    ],
    [() => bits({ minP: 2 }), RangeError, "Cannot draw bits as minP must be from 0 to 1: current value is 2"],
    [() => bits({ vocabulary: 4 }), TypeError, 'Cannot draw bits as the option "vocabulary" is unknown'],
    [
      () => tokens({ vocabulary: 0 }),
      RangeError,
      "Cannot draw tokens as vocabulary must be an integer from 1 to 65536: current value is 0",
    ],
    [
      () => tokens({ vocabulary: undefined }),
      TypeError,
      "Cannot draw tokens as vocabulary must be a number: current value is undefined",
    ],
    [() => bits({ bits: 1.5 }), RangeError, "Cannot draw bits as bits must be an integer from 1 to 65536"],
    [() => tokens({ topK: -1 }), RangeError, "topK must be an integer >= 0: current value is -1"],
    [() => tokens({ minP: 2 }), RangeError, "minP must be from 0 to 1: current value is 2"],
    [
      () => tokens({ cfg: NaN }),
      RangeError,
      "cfg must be from -4294967296 to 4294967296: current value is NaN",
    ],
    [() => tokens({ seed: -1 }), RangeError, "seed"],
    [() => bits({ temperature: "1" }), TypeError, 'temperature must be a number: current value is "1"'],
    [
      () => run({ drws: 2 }),
      TypeError,
      'the option "drws" is unknown: options are draws, images, scale, firstDraw',
    ],
    [
      () => run({ draws: -1 }),
      RangeError,
      "draws must be an integer from 0 to 2147483647: current value is -1",
    ],
    [() => run({ scale: 2 ** 24 }), RangeError, "scale must be an integer from 0 to 16777215"],
    [
      () => run({ images: [] }),
      TypeError,
      "Cannot draw tokens as images must be a list of one or more indices: current value is []",
    ],
    [() => run({ images: 2 }), TypeError, "images must be a list of one or more indices: current value is 2"],
    [() => run({ images: [-1] }), RangeError, "each of images must be an integer from 0 to 4294967295"],
    [
      () => run({ images: [0, 1, 2] }),
      RangeError,
      "Cannot draw tokens as logits must hold at least 12 values: it holds 8",
    ],
    [
      () => run({}, new Float32Array(9)),
      RangeError,
      "Cannot draw tokens as the number of values in logits must be a multiple of 4: it holds 9",
    ],
    [() => run({}, new Float32Array(0)), RangeError, "logits must hold at least 4 values: it holds 0"],
    [
      () => run({}, [1, 2, 3, 4]),
      TypeError,
      "Cannot draw tokens as logits must be a Float32Array, a device array or a GPUBuffer: current value is [1, 2, 3, 4]",
    ],
    [() => run({ output: new Uint32Array(2) }), TypeError, "output must be a device array or a GPUBuffer"],
  ];
  for (const [call, kind, message] of cases) assertThrows(call, kind, message);
  assertEquals(device.counters.liveArrays, 0);
  assertEquals(device.counters.liveBytes, 0);
  await assertRejects(
    () => sample(new Float32Array(4), { vocabulary: 4, device, output: 1 } as never),
    TypeError,
    `Cannot draw tokens as the option "output" is unknown: options are ${known}, draws, images, scale, firstDraw, device`,
  );
  await assertRejects(
    () => sampleBitTokens(new Float32Array(4), { bits: 4, device }),
    RangeError,
    "Cannot draw bits as logits must hold at least 8 values: it holds 4",
  );
});
