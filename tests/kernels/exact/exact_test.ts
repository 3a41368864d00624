import { assert, assertEquals } from "@std/assert";
import { CpuDevice, floats, words } from "../../../kernels/device/cpu_device.ts";
import { type DeviceArray, type Kernel, readWords } from "../../../kernels/device/device.ts";
import {
  addSquare,
  bitsFloat,
  EXACT_WGSL,
  exp2Negative,
  floatBits,
  multiply24,
  product,
  randomPoint,
  reciprocal,
  share,
  squareRoot,
} from "../../../kernels/exact/exact.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

/** All functions of one float argument or two on pairs (a, b): six words per pair. */
const everything: Kernel<{ input: DeviceArray; output: DeviceArray }> = {
  name: "exact_floats",
  wgsl: EXACT_WGSL + `
struct Parameters { count: u32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= parameters.count) { return; }
  let a = input[2u * i];
  let b = input[2u * i + 1u];
  output[6u * i] = bitcast<u32>(product(a, b));
  output[6u * i + 1u] = bitcast<u32>(add_square(abs(a), b));
  output[6u * i + 2u] = exp2_negative(abs(a));
  output[6u * i + 3u] = bitcast<u32>(square_root(abs(a)));
  output[6u * i + 4u] = bitcast<u32>(reciprocal(abs(a)));
  // The argument is a product here, which a compiler could fuse with what follows.
  output[6u * i + 5u] = exp2_negative((a - b) * (a - b));
}
`,
  plan: ({ input, output }) => ({
    arrays: [input, output],
    parameters: [["u32", input.length / 2]],
    workgroups: [Math.ceil(input.length / 128), 1, 1],
  }),
  twin({ input, output }) {
    const x = floats(input);
    const y = words(output);
    const { fround } = Math;
    for (let i = 0; i < x.length / 2; i++) {
      const a = x[2 * i]!;
      const b = x[2 * i + 1]!;
      const size = Math.abs(a);
      const difference = fround(a - b);
      y[6 * i] = floatBits(product(a, b));
      y[6 * i + 1] = floatBits(addSquare(size, b));
      y[6 * i + 2] = exp2Negative(size);
      y[6 * i + 3] = floatBits(squareRoot(size));
      y[6 * i + 4] = floatBits(reciprocal(size));
      y[6 * i + 5] = exp2Negative(fround(difference * difference));
    }
  },
};

/**
 * Values of all kinds between 2^-40 and 2^40 in size: full mantissas, small integers, powers of two and their
 * neighbours.
 */
function samples(count: number): Float32Array<ArrayBuffer> {
  const random = testRandom(1);
  return Float32Array.from({ length: count }, (_, i) => {
    const sign = random() < 0.5 ? -1 : 1;
    if (i % 4 === 0) return sign * Math.floor(random() * 64 + 1);
    if (i % 4 === 1) return sign * random() * 31.5 + 2 ** -40;
    const power = 2 ** Math.floor(random() * 80 - 40);
    if (i % 4 === 2) return sign * power * (1 + random());
    return bitsFloat(floatBits(sign * power) + Math.floor(random() * 3) - 1);
  });
}

testOnGpu("floatBits: exact arithmetic has the same bits on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const data = samples(40000);
  const results = [];
  for (const device of [cpu, gpu]) {
    using input = device.upload(data);
    using output = device.allocate(data.length * 3);
    device.run(everything, { input, output });
    results.push(await readWords(output));
  }
  assertEquals(results[0], results[1]);
});

Deno.test("product and addSquare are right to three roundings", () => {
  const data = samples(20000);
  for (let i = 0; i < data.length; i += 2) {
    const a = data[i]!;
    const b = data[i + 1]!;
    assert(Math.abs(product(a, b) - a * b) <= 1.5 * 2 ** -23 * Math.abs(a * b), `${a} * ${b}`);
    const sum = Math.abs(a) + b * b;
    assert(Math.abs(addSquare(Math.abs(a), b) - sum) <= 1.5 * 2 ** -23 * sum, `${a} + ${b}^2`);
  }
});

Deno.test("exp2Negative is within a relative 3e-7 and one unit of 2^-t", () => {
  assertEquals(exp2Negative(0), 2 ** 30);
  assertEquals(exp2Negative(1), 2 ** 29);
  assertEquals([31, 1e30, Infinity, NaN].map(exp2Negative), [0, 0, 0, 0]);
  let previous = 2 ** 30;
  for (let i = 0; i <= 200000; i++) {
    const t = Math.fround(i * 31 / 200000);
    const exact = 2 ** (30 - t);
    const value = exp2Negative(t);
    assert(Math.abs(value - exact) <= exact * 3e-7 + 1, `2^-${t}: ${value} instead of ${exact}`);
    assert(value <= previous, `2^-${t} is larger than its predecessor`);
    previous = value;
  }
});

Deno.test("squareRoot is the largest float whose square does not exceed the value, reciprocal is rounded down", () => {
  for (const x of samples(20000).map(Math.abs)) {
    const root = squareRoot(x);
    const next = bitsFloat(floatBits(root) + 1);
    // Squares of float32 values are exact in float64.
    assert(root * root <= x && next * next > x, `square root of ${x}`);
    const inverse = reciprocal(x);
    assert(inverse * x <= 1 && bitsFloat(floatBits(inverse) + 1) * x > 1, `1 / ${x}`);
  }
  assertEquals([0, 2 ** -110, -4, NaN].map(squareRoot), [0, 0, 0, 0]);
});

/** All integer functions on pairs (a, b): the low and high words of eight results. */
const integers: Kernel<{ input: DeviceArray; output: DeviceArray }> = {
  name: "exact_integers",
  wgsl: EXACT_WGSL + `
struct Parameters { count: u32 }
@group(0) @binding(0) var<uniform> parameters: Parameters;
@group(0) @binding(1) var<storage, read> input: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read_write> output: array<vec2<u32>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= parameters.count) { return; }
  let a = input[2u * i];
  let b = input[2u * i + 1u];
  output[8u * i] = add64(a, b);
  output[8u * i + 1u] = subtract64(a, b);
  output[8u * i + 2u] = vec2<u32>(u32(less64(a, b)), u32(less64(a, a)));
  output[8u * i + 3u] = multiply_wide(a.x, b.x);
  output[8u * i + 4u] = shift_right64(a, 1u + b.x % 31u);
  output[8u * i + 5u] = vec2<u32>(multiply24(a.x >> 8u, b.y >> 8u), multiply24(16777216u, b.y >> 8u));
  let total = vec2<u32>(a.x, min(a.y & 0x7fffu, 0x3fffu));
  output[8u * i + 6u] = share(total, b.y >> 8u);
  output[8u * i + 7u] = random_point(total, b);
}
`,
  plan: ({ input, output }) => ({
    arrays: [input, output],
    parameters: [["u32", input.length / 4]],
    workgroups: [Math.ceil(input.length / 256), 1, 1],
  }),
  // In big integers; the host's own versions are compared on the way.
  twin({ input, output }) {
    const x = new BigUint64Array(words(input).buffer);
    const y = new BigUint64Array(words(output).buffer);
    for (let i = 0; i < x.length / 2; i++) {
      const a = x[2 * i]!;
      const b = x[2 * i + 1]!;
      const lowA = a & 0xffffffffn;
      const lowB = b & 0xffffffffn;
      const part = Number(b >> 40n);
      const high = a >> 32n & 0x7fffn;
      const total = (high < 0x3fffn ? high : 0x3fffn) << 32n | lowA;
      y[8 * i] = a + b;
      y[8 * i + 1] = a - b;
      y[8 * i + 2] = a < b ? 1n : 0n;
      y[8 * i + 3] = lowA * lowB;
      y[8 * i + 4] = a >> (1n + lowB % 31n);
      y[8 * i + 5] = BigInt(multiply24(Number(lowA >> 8n), part)) + (BigInt(part) << 32n);
      assertEquals(BigInt(multiply24(Number(lowA >> 8n), part)), (lowA >> 8n) * BigInt(part) >> 24n);
      y[8 * i + 6] = (total * BigInt(part) + 0xffffffn) >> 24n;
      y[8 * i + 7] = total * ((lowB >> 8n << 24n) + BigInt(part)) >> 48n;
      assertEquals(BigInt(share(Number(total), part)), y[8 * i + 6]);
      assertEquals(BigInt(randomPoint(Number(total), Number(lowB), Number(b >> 32n))), y[8 * i + 7]);
    }
  },
};

testOnDevices("multiply24: integer helpers agree with big integers", async (device) => {
  using cpu = new CpuDevice();
  const random = testRandom(2);
  const edges = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
  const data = Uint32Array.from({ length: 8000 }, () => {
    return random() < 0.3 ? edges[Math.floor(random() * edges.length)]! : random() * 2 ** 32;
  });
  const results = [];
  for (const each of [cpu, device]) {
    using input = each.upload(data);
    using output = each.allocate(data.length * 4);
    each.run(integers, { input, output });
    results.push(await readWords(output));
  }
  assertEquals(results[0], results[1]);
});
