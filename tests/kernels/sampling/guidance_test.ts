import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import { bitsFloat, floatBits } from "../../../kernels/exact/exact.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

/** Guides `conditional` against `unconditional` and returns the bits. */
async function guide(
  device: Device,
  conditional: Uint32Array,
  unconditional: Uint32Array,
  weight: number,
): Promise<Uint32Array> {
  const vocabulary = conditional.length;
  const both = new Uint32Array(2 * vocabulary);
  both.set(conditional);
  both.set(unconditional, vocabulary);
  using logits = device.upload(both);
  using guided = device.allocate(vocabulary);
  device.run(guidance, { logits, guided, images: 1, positions: 1, vocabulary, weight });
  return await readWords(guided);
}

const bits = (values: number[]) => new Uint32Array(new Float32Array(values).buffer);

testOnDevices("guidance: guided logits follow the formula to within rounding", async (device) => {
  const random = testRandom(4);
  const count = 20000;
  for (const weight of [1 / 6, 1.5, 4, -0.75, 1e-3, 1000.1]) {
    const value = () => (random() - 0.5) * 10 ** Math.floor(random() * 6 - 2);
    const conditional = Float32Array.from({ length: count }, value);
    const unconditional = Float32Array.from(
      conditional,
      (c) => random() < 0.5 ? value() : c * (1 + random() * 1e-3),
    );
    const result = new Float32Array(
      (await guide(
        device,
        new Uint32Array(conditional.buffer),
        new Uint32Array(unconditional.buffer),
        weight,
      ))
        .buffer,
    );
    const exactWeight = Math.fround(weight);
    for (let i = 0; i < count; i++) {
      const c = conditional[i]!;
      const term = exactWeight * (c - unconditional[i]!);
      // Three roundings in the product, one in the difference, one in the sum, which may be twice the larger
      // term: 6 * 2^-24.
      const error = Math.abs(result[i]! - (c + term)) / Math.max(Math.abs(c), Math.abs(term));
      assert(error <= 6 * 2 ** -24, `${c}, ${unconditional[i]}, ${weight}: off by a relative ${error}`);
    }
  }
});

testOnDevices("guidance: values that are not finite, tiny or huge follow the rules", async (device) => {
  const { NaN: nan, Infinity: inf, tiny, huge } = { NaN, Infinity, tiny: 2 ** -65, huge: 3e38 };
  const limit = 2 ** 90;
  const cases: [conditional: number, unconditional: number, weight: number, guided: number][] = [
    [nan, 1, 2, nan],
    [nan, nan, 2, nan],
    [inf, 1, 2, inf],
    [inf, inf, 2, inf],
    [-inf, inf, 2, -inf],
    [-inf, -inf, 2, -inf],
    [1.5, nan, 2, 1.5],
    [1.5, inf, 2, 1.5],
    [1.5, -inf, 2, 1.5],
    [tiny, 0, 2, 0],
    [-tiny, tiny, 2 ** 32, 0],
    [-0, 0, 1, 0],
    [2 ** -64, 0, 1, 2 ** -63],
    [1, 1 + 2 ** -23, -1, 1 + 2 ** -23],
    [2 ** -64, 2 ** -64 * (1 + 2 ** -23), -1, 2 ** -64 * (1 + 2 ** -23)],
    [huge, 0, 0, limit],
    [-huge, 0, 0, -limit],
    [huge, -huge, 2 ** 32, limit],
    [-huge, huge, 2 ** 32, -limit],
    [tiny, nan, 0, 0],
    [1.25, nan, 0, 1.25],
    [3, 1, 2 ** -65, 3],
  ];
  for (const [conditional, unconditional, weight, guided] of cases) {
    const [result] = await guide(device, bits([conditional]), bits([unconditional]), weight);
    assertEquals(
      result,
      Object.is(guided, NaN) ? 0x7fc00000 : floatBits(guided),
      `${conditional}, ${unconditional}, ${weight}: ${bitsFloat(result!)} instead of ${guided}`,
    );
  }
  // All bit patterns of NaN are one.
  const [result] = await guide(device, new Uint32Array([0xff800001]), bits([1]), 1);
  assertEquals(result, 0x7fc00000);
});

testOnGpu("guidance: guided logits have the same bits on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const random = testRandom(5);
  for (const count of [1, 255, 257, 65536]) {
    // Any bits at all: every exponent, subnormal numbers, infinities, NaN.
    const conditional = Uint32Array.from({ length: count }, () => random() * 2 ** 32);
    const unconditional = conditional.map((c) =>
      random() < 0.5 ? c + 32 * random() - 16 : random() * 2 ** 32
    );
    for (const weight of [0, 1e-19, 0.3, -7.1, 1 / 3, 2 ** 32]) {
      assertEquals(
        await guide(gpu, conditional, unconditional, weight),
        await guide(cpu, conditional, unconditional, weight),
      );
    }
  }
});

testOnDevices(
  "guidance: unconditional rows follow all conditional ones, and are not needed at weight 0",
  async (device) => {
    using logits = device.upload(new Float32Array([1, 2, 3, 4, 0, 0, 1, 1]));
    using guided = device.allocate(4);
    device.run(guidance, { logits, guided, images: 2, positions: 1, vocabulary: 2, weight: 1 });
    assertEquals([...new Float32Array((await readWords(guided)).buffer)], [2, 4, 5, 7]);
    using alone = device.upload(new Float32Array([5, 6, 7, 8]));
    device.run(guidance, { logits: alone, guided, images: 1, positions: 2, vocabulary: 2, weight: 0 });
    assertEquals([...new Float32Array((await readWords(guided)).buffer)], [5, 6, 7, 8]);
    device.run(guidance, { logits: alone, guided, images: 0, positions: 2, vocabulary: 2, weight: 1 });
    assertEquals([...new Float32Array((await readWords(guided)).buffer)], [5, 6, 7, 8]);
  },
);

Deno.test("guidance: bad calls for guidance say what is wrong", () => {
  using device = new CpuDevice();
  using logits = device.allocate(8, "logits");
  using guided = device.allocate(4, "guided");
  const good = { logits, guided, images: 1, positions: 2, vocabulary: 2, weight: 1 };
  const bad = (change: object, kind: new () => Error, message: string) => {
    assertThrows(() => device.run(guidance, { ...good, ...change }), kind, message);
  };
  bad({ images: 2 }, RangeError, 'Cannot guide logits as "logits" must hold at least 16 words: it holds 8');
  bad(
    { images: 2, weight: 0 },
    RangeError,
    'Cannot guide logits as "guided" must hold at least 8 words: it holds 4',
  );
  bad(
    { images: -1 },
    RangeError,
    "Cannot guide logits as images must be an integer >= 0: current value is -1",
  );
  bad(
    { positions: 0 },
    RangeError,
    "Cannot guide logits as positions must be an integer >= 1: current value is 0",
  );
  bad(
    { vocabulary: 65537 },
    RangeError,
    "Cannot guide logits as vocabulary must be an integer from 1 to 65536: current value is 65537",
  );
  bad(
    { weight: NaN },
    RangeError,
    "Cannot guide logits as weight must be from -4294967296 to 4294967296: current value is NaN",
  );
  bad({ weight: "1" }, TypeError, 'Cannot guide logits as weight must be a number: current value is "1"');
});
