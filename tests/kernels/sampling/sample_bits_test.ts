import { assert, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { sampleBits, type SampleBitsArguments } from "../../../kernels/sampling/sample_bits.ts";
import { PURPOSE, type Seed, streamKey, threefry } from "../../../kernels/exact/threefry.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";

type Options = Partial<Omit<SampleBitsArguments, "logits" | "tokens" | "lanes">>;

/** Draws from `data`, by default for one image and as many positions as the data holds. */
async function draw(
  device: Device,
  data: Float32Array,
  options: Options & { bits: number; imageIndices?: number[] },
): Promise<Uint32Array> {
  const { bits, guided = false, images = 1, draws = 1, imageIndices } = options;
  const positions = options.positions ?? data.length / (2 * bits) / images / (guided ? 2 : 1);
  using logits = device.upload(data);
  using lanes = device.upload(Uint32Array.from({ length: images }, (_, i) => imageIndices?.[i] ?? i));
  using tokens = device.allocate(images * positions * draws * Math.ceil(bits / 32));
  const rest = { seed: [7, 0] as Seed, scale: 1, ...options, images, positions };
  device.run(sampleBits, { logits, lanes, tokens, ...rest });
  return (await device.read([tokens]))[0]!;
}

/** How often each bit of the one position was 1. */
function ones(tokens: Uint32Array, bits: number): number[] {
  const words = Math.ceil(bits / 32);
  return Array.from({ length: bits }, (_, bit) => {
    let count = 0;
    for (let i = bit >>> 5; i < tokens.length; i += words) count += (tokens[i]! >>> (bit & 31)) & 1;
    return count;
  });
}

/** The values that a bit with the given logits takes in 400 draws. */
async function values(device: Device, zero: number, one: number, options: Options = {}): Promise<number[]> {
  const tokens = await draw(device, new Float32Array([zero, one]), { bits: 1, draws: 400, ...options });
  return [...new Set(tokens)].sort();
}

// The random word of a bit, as documented.
function randomWord(
  seed: Seed,
  image: number,
  scale: number,
  index: number,
  bit: number,
  draw: number,
): number {
  return threefry(streamKey(seed, image, scale, PURPOSE.token), [index, draw])[bit & 1]!;
}

// What PyTorch 2.x left of these pairs (softmax, ascending sort, running sum <= 0.03 dropped, softmax anew),
// in float32.
const CUT_AT_097 = [
  [[0, 0], 0.5],
  [[0, 3.4000000953674316], 0.9677046],
  [[0, 3.4700000286102295], 0.969822],
  [[0, 3.4800000190734863], 1],
  [[5, 0], 0],
  [[-1, 2.4000000953674316], 0.9677046],
] as const;

testOnDevices("sampleBits: top-p leaves of a pair what Infinity's code leaves", async (device) => {
  const draws = 20000;
  const data = new Float32Array(CUT_AT_097.flatMap(([pair]) => [...pair]));
  const counts = ones(await draw(device, data, { bits: 6, draws, topP: 0.97 }), 6);
  for (const [i, [pair, one]] of CUT_AT_097.entries()) {
    // Five standard deviations; nothing where the value is certain.
    const room = 5 * Math.sqrt(draws * one * (1 - one));
    assert(Math.abs(counts[i]! - draws * one) <= room, `${pair}: ${counts[i]} of ${draws}, not ${one}`);
  }
});

testOnDevices("sampleBits: bits are drawn by the documented word of random numbers", async (device) => {
  const random = testRandom(1);
  const [bits, positions, draws] = [35, 7, 33];
  const data = Float32Array.from({ length: 2 * bits * positions }, () => (random() - 0.5) * 8);
  for (const temperature of [1, 0.4, 3]) {
    const seed: Seed = [123, 456];
    const options = { bits, draws, temperature, topP: 0.98, seed, scale: 5, imageIndices: [9], firstDraw: 4 };
    const tokens = await draw(device, data, options);
    let compared = 0;
    for (let position = 0; position < positions; position++) {
      for (let bit = 0; bit < bits; bit++) {
        const at = 2 * (position * bits + bit);
        const difference = (data[at + 1]! - data[at]!) / temperature;
        const likelier = Number(difference > 0);
        const other = 1 / (1 + Math.exp(Math.abs(difference)));
        if (Math.abs(other - 0.02) < 1e-6) continue;
        for (let d = 0; d < draws; d++) {
          const u = randomWord(seed, 9, 5, position * 18 + (bit >> 1), bit, d + 4) / 2 ** 32;
          // Probabilities are right to within 4e-7.
          if (Math.abs(u - other) < 4e-7) continue;
          const wanted = other > 0.02 && u < other ? 1 - likelier : likelier;
          const word = tokens[(d * positions + position) * 2 + (bit >> 5)]!;
          assertEquals((word >>> (bit & 31)) & 1, wanted, `position ${position}, bit ${bit}, draw ${d}`);
          compared++;
        }
      }
    }
    assert(compared > 8000);
  }
});

testOnDevices("sampleBits: bits have the frequencies of the softmax, each on its own", async (device) => {
  const bits = 64;
  const draws = 20000;
  // Differences from -6.3 to 6.3: chances from 0.0018 to 0.9982.
  const differences = Array.from({ length: bits }, (_, i) => (i - 31.5) / 5);
  const data = new Float32Array(differences.flatMap((difference) => [0.25, 0.25 + difference]));
  const tokens = await draw(device, data, { bits, draws });
  const chances = differences.map((difference) => 1 / (1 + Math.exp(-difference)));
  const counts = ones(tokens, bits);
  const chi = counts.reduce((sum, count, i) => {
    const p = chances[i]!;
    return sum + (count - draws * p) ** 2 / (draws * p * (1 - p));
  }, 0);
  // 64 degrees of freedom: outside of 30 to 115 with a chance of 2e-4.
  assert(chi > 30 && chi < 115, `chi-square ${chi}`);
  // Neighbouring bits, which share a call of the generator or do not, and the same bit of neighbouring draws
  // are independent.
  const bitOf = (draw: number, bit: number) => (tokens[2 * draw + (bit >> 5)]! >>> (bit & 31)) & 1;
  for (const [bitStep, drawStep] of [[1, 0], [2, 0], [32, 0], [0, 1]] as const) {
    let sum = 0;
    let pairs = 0;
    for (let bit = 0; bit + bitStep < bits; bit++) {
      const [p, q] = [chances[bit]!, chances[bit + bitStep]!];
      let covariance = 0;
      for (let d = 0; d + drawStep < draws; d++) {
        covariance += (bitOf(d, bit) - p) * (bitOf(d + drawStep, bit + bitStep) - q);
      }
      sum += covariance ** 2 / ((draws - drawStep) * p * (1 - p) * q * (1 - q));
      pairs++;
    }
    // A sum of `pairs` squares of standard normal values, five standard deviations.
    assert(Math.abs(sum - pairs) < 5 * Math.sqrt(2 * pairs), `${bitStep}, ${drawStep}: ${sum} of ${pairs}`);
  }
});

testOnDevices("sampleBits: bits are packed from the lowest on, token by token", async (device) => {
  const random = testRandom(2);
  for (const bits of [1, 2, 31, 32, 33, 64, 70]) {
    const words = Math.ceil(bits / 32);
    for (const draws of [1, 40]) {
      const [images, positions] = [2, 3];
      const wanted = Array.from({ length: images * positions * bits }, () => Math.round(random()));
      // Certain bits, the same in all draws.
      const data = new Float32Array(wanted.flatMap((bit) => bit === 1 ? [0, 30] : [30, 0]));
      const tokens = await draw(device, data, { bits, images, positions, draws });
      assertEquals(tokens.length, images * draws * positions * words);
      for (const [i, word] of tokens.entries()) {
        const image = Math.floor(i / (draws * positions * words));
        const at = ((image * positions + Math.floor(i / words) % positions) * bits) + i % words * 32;
        const count = Math.min(32, bits - i % words * 32);
        const expected = wanted.slice(at, at + count).reduce((sum, bit, b) => sum + bit * 2 ** b, 0);
        assertEquals(word, expected, `${bits} bits, word ${i}`);
      }
    }
  }
});

testOnDevices("sampleBits: an image draws the same alone, in a batch, and in parts", async (device) => {
  const random = testRandom(3);
  const [bits, positions, images, draws] = [48, 5, 3, 70];
  const size = positions * bits * 2;
  const data = Float32Array.from({ length: images * size }, () => random() * 4);
  const options = { bits, positions, topP: 0.9 };
  const indices = [4, 0, 70000];
  const batch = await draw(device, data, { ...options, images, draws, imageIndices: indices });
  const length = positions * 2;
  for (let image = 0; image < images; image++) {
    const alone = data.subarray(image * size, (image + 1) * size);
    // 31 draws and 32 are laid out in two ways.
    for (const [firstDraw, count] of [[0, 70], [0, 1], [5, 31], [36, 32], [69, 1]] as const) {
      const part = await draw(device, alone, {
        ...options,
        draws: count,
        firstDraw,
        imageIndices: [indices[image]!],
      });
      const start = (image * draws + firstDraw) * length;
      assertEquals(
        part,
        batch.slice(start, start + count * length),
        `image ${image}, draws from ${firstDraw}`,
      );
    }
  }
});

testOnDevices("sampleBits: NaN, infinities, ties and greedy drawing follow the rules", async (device) => {
  const { NaN: nan, Infinity: inf } = { NaN, Infinity };
  const both = [0, 1];
  for (
    const [zero, one, wanted] of [
      [nan, nan, [0]],
      [nan, -inf, [0]],
      [-inf, -inf, [0]],
      [nan, -5, [1]],
      [-5, nan, [0]],
      [-inf, -3e38, [1]],
      [-3e38, -inf, [0]],
      [inf, 3e38, [0]],
      [3e38, inf, [1]],
      [nan, inf, [1]],
      [inf, inf, both],
      [3e38, 2e38, both],
      [0, -0, both],
      [1e-30, -1e-30, both],
      [0, 3, both],
      [3, 0, both],
      [0, 30, [1]],
      [-3e38, 3e38, [1]],
    ] as const
  ) {
    assertEquals(await values(device, zero, one), [...wanted], `${zero}, ${one}`);
    // Never drawn at temperature 0 or with top-k 1 is what is less likely; of a tie, 1.
    const greedy = wanted.length === 1 ? wanted[0] : Number(one > zero && one - zero > 1e-20);
    for (const options of [{ temperature: 0 }, { topK: 1 }, { topP: 0.5 }, { topP: 1e-9 }]) {
      assertEquals(
        await values(device, zero, one, options),
        [greedy],
        `${zero}, ${one}, ${JSON.stringify(options)}`,
      );
    }
    for (const options of [{ topK: 2 }, { topK: 900 }, { topP: 0 }, { topP: 1 }]) {
      assertEquals(await values(device, zero, one, options), [...wanted], `${zero}, ${one}`);
    }
  }
});

testOnDevices("sampleBits: min-p is decided exactly, and the stricter truncation counts", async (device) => {
  for (const [minP, temperature] of [[0.1, 1], [0.5, 0.5], [1e-4, 2]] as const) {
    // The other value's share of the likelier one's probability is e^(-difference / temperature).
    const limit = Math.fround(-Math.log(minP) * temperature);
    const above = limit + 2 ** (Math.floor(Math.log2(limit)) - 23);
    const options = { minP, temperature, draws: 200_000 };
    for (const sign of [1, -1]) {
      assertEquals((await values(device, 0, sign * limit, options)).length, 2);
      assertEquals((await values(device, 0, sign * above, options)).length, 1);
    }
  }
  assertEquals(await values(device, 0, 1e-6, { minP: 1 }), [1]);
  assertEquals(await values(device, 0, 0, { minP: 1 }), [0, 1]);
  // At a difference of 2 the other value has 0.135 of the likelier one's probability, 0.119 of all.
  for (
    const [topP, minP, left] of [[0.9, 0.1, 1 + 1], [0.9, 0.14, 1], [0.85, 0.1, 1], [0, 0.14, 1]] as const
  ) {
    assertEquals((await values(device, 0, 2, { topP, minP })).length, left, `${topP}, ${minP}`);
  }
});

testOnDevices("sampleBits: top-p is decided exactly", async (device) => {
  for (const [topP, temperature] of [[0.97, 1], [0.9, 0.5], [0.6, 7]] as const) {
    const rest = Math.fround(1 - topP);
    const limit = Math.fround(Math.log((1 - rest) / rest) * temperature);
    const below = limit - 2 ** (Math.floor(Math.log2(limit)) - 23);
    for (const sign of [1, -1]) {
      assertEquals((await values(device, 0, sign * limit, { topP, temperature })).length, 1);
      assertEquals((await values(device, 0, sign * below, { topP, temperature })).length, 2);
    }
  }
});

testOnDevices("sampleBits: what is certain is drawn whatever the random word", async (device) => {
  // Words 3 and 2 of the first 2^30 draws, found by going through them: the smallest there are, at which a
  // chance of 2^-30 would come true.
  for (const [firstDraw, bit, word] of [[721188855, 0, 3], [212077909, 1, 2]] as const) {
    assertEquals(randomWord([7, 0], 0, 1, 0, bit, firstDraw), word);
    const common = { bits: 2, firstDraw };
    assertEquals([...await draw(device, new Float32Array([30, 0, 30, 0]), common)], [0]);
    assertEquals([...await draw(device, new Float32Array([0, 30, 0, 30]), common)], [3]);
    // Beside it a chance that is not 0 does come true: e^-16 is 1.1e-7.
    assertEquals([...await draw(device, new Float32Array([30, 14, 30, 14]), common)], [1 << bit]);
  }
});

testOnDevices("sampleBits: guidance moves away from the unconditional logits", async (device) => {
  // 0.5 + 3 * (0.5 - 0.5) = 0.5 against 0 + 3 * (0 - 1) = -3; then with weight 0 the conditional ones alone.
  const data = new Float32Array([0.5, 0, 0.5, 1]);
  assertEquals([...await draw(device, data, { bits: 1, guided: true, weight: 3, temperature: 0 })], [0]);
  assertEquals([...await draw(device, data, { bits: 1, guided: true, weight: -3, temperature: 0 })], [1]);
  assertEquals([...await draw(device, data, { bits: 1, guided: true, weight: 0, temperature: 0 })], [0]);
  // Several images: all conditional rows come first.
  const two = new Float32Array([0, 1, 0, 1, 0, 1, 0, 9]);
  const options = { bits: 1, images: 2, positions: 1, guided: true, weight: 1, temperature: 0 };
  assertEquals([...await draw(device, two, options)], [1, 0]);
});

testOnGpu("sampleBits: random settings give the same on the GPU as on the CPU", async (gpu) => {
  using cpu = new CpuDevice();
  const random = testRandom(4);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!;
  let drawn = 0;
  for (let round = 0; round < 120; round++) {
    const bits = pick([1, 2, 14, 16, 31, 32, 33, 56, 64, 100]);
    const images = pick([1, 2, 3]);
    const positions = pick([1, 2, 4, 36, 67]);
    const guided = random() < 0.5;
    const spread = pick([0, 1, 6, 100, 1e38]);
    const data = Float32Array.from(
      { length: 2 * images * positions * bits * (guided ? 2 : 1) },
      () => (random() - 0.5) * spread,
    );
    if (random() < 0.3) new Uint32Array(data.buffer).forEach((_, i, bits) => bits[i] = random() * 2 ** 32);
    const options = {
      bits,
      images,
      positions,
      draws: pick([1, 3, 31, 32, 64, 200]),
      firstDraw: pick([0, 0, 9]),
      temperature: pick([1, 1, 0, 0.5, 1e-6, 1e6]),
      topK: pick([0, 0, 0, 1, 2]),
      topP: pick([0, 0.97, 0.97, random(), 1, 1 - 1e-9]),
      ...(guided ? { guided, weight: pick([0, 3, -0.3]) } : {}),
      seed: [Math.floor(random() * 2 ** 32), round] as Seed,
      scale: round,
      imageIndices: [5, 900000, 2 ** 31],
    };
    const [a, b] = [await draw(cpu, data, options), await draw(gpu, data, options)];
    assertEquals(b, a, JSON.stringify({ ...options, round }));
    drawn += a.length;
  }
  assert(drawn > 1e5);
});

testOnDevices("sampleBits: no images or no draws leave everything as it is", async (device) => {
  using logits = device.upload(new Float32Array([1, 2]));
  using lanes = device.upload(new Uint32Array([0]));
  using tokens = device.upload(new Uint32Array([5]));
  const common = { logits, lanes, tokens, positions: 1, bits: 1, seed: [1, 2], scale: 0 } as const;
  device.run(sampleBits, { ...common, images: 0 });
  device.run(sampleBits, { ...common, images: 1, draws: 0 });
  assertEquals([...(await device.read([tokens]))[0]!], [5]);
});

Deno.test("sampleBits: bad calls for drawing bits say what is wrong", () => {
  using device = new CpuDevice();
  using logits = device.allocate(16, "logits");
  using lanes = device.allocate(2, "lanes");
  using tokens = device.allocate(4, "tokens");
  const good = { logits, lanes, tokens, images: 2, positions: 2, bits: 2, seed: [1, 2], scale: 0 } as const;
  device.run(sampleBits, good);
  const bad = (change: object, kind: new () => Error, message: string) => {
    assertThrows(() => device.run(sampleBits, { ...good, ...change }), kind, message);
  };
  bad({ guided: true }, RangeError, 'Cannot draw bits as "logits" must hold at least 32 words: it holds 16');
  bad({ draws: 2 }, RangeError, 'Cannot draw bits as "tokens" must hold at least 8 words: it holds 4');
  bad(
    { lanes: logits, logits: lanes },
    RangeError,
    'Cannot draw bits as "lanes" must hold at least 16 words: it holds 2',
  );
  bad(
    { images: 3, positions: 1 },
    RangeError,
    'Cannot draw bits as "lanes" must hold at least 3 words: it holds 2',
  );
  bad(
    { bits: 0 },
    RangeError,
    "Cannot draw bits as bits must be an integer from 1 to 65536: current value is 0",
  );
  bad(
    { positions: 0 },
    RangeError,
    "Cannot draw bits as positions must be an integer >= 1: current value is 0",
  );
  bad({ images: -1 }, RangeError, "Cannot draw bits as images must be an integer >= 0: current value is -1");
  bad(
    { weight: 1 },
    TypeError,
    "Cannot draw bits as a weight of guidance needs unconditional logits: current weight is 1",
  );
  bad(
    { temperature: -1 },
    RangeError,
    "Cannot draw bits as temperature must be from 0.000001 to 1000000: current value is -1",
  );
  bad({ topK: 0.5 }, RangeError, "Cannot draw bits as topK must be an integer >= 0: current value is 0.5");
  bad({ topP: 1.5 }, RangeError, "Cannot draw bits as topP must be from 0 to 1: current value is 1.5");
  bad(
    { draws: -1 },
    RangeError,
    "Cannot draw bits as draws must be an integer from 0 to 2147483647: current value is -1",
  );
  bad(
    { firstDraw: -1 },
    RangeError,
    "Cannot draw bits as firstDraw must be an integer from 0 to 2147483647: current value is -1",
  );
  bad({ seed: [1] }, TypeError, "Cannot draw bits as seed must be two words: current value is [1]");
});
