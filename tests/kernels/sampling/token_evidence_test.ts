import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import { NO_TOKEN } from "../../../kernels/sampling/sample.ts";
import {
  bitEvidence,
  type BitEvidenceArguments,
  runBitEvidence,
  runTokenEvidence,
  tokenEvidence,
  type TokenEvidenceArguments,
} from "../../../kernels/sampling/token_evidence.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

/** What is asked: sizes and data on the host. A position has `bits` rows of two values, or one row. */
interface Case {
  readonly images: number;
  readonly positions: number;
  readonly vocabulary: number;
  readonly bits?: number;
  readonly guided: boolean;
  readonly logits: Float32Array;
  readonly tokens: Uint32Array;
  readonly kept?: Uint32Array | undefined;
}

/** Rows of a position. */
function rowsOf({ bits = 1 }: Case): number {
  return bits;
}

async function run(device: Device, { bits, vocabulary, ...rest }: Case): Promise<Float32Array> {
  using logits = device.upload(rest.logits);
  using tokens = device.upload(rest.tokens);
  using kept = rest.kept && device.upload(rest.kept);
  using evidence = device.upload(new Float32Array(rest.images * (rest.guided ? 2 : 1) + 1).fill(7));
  const { images, positions, guided } = rest;
  const args = { logits, tokens, evidence, images, positions, guided, ...(kept && { kept }) };
  if (bits === undefined) runTokenEvidence(device, { ...args, vocabulary });
  else runBitEvidence(device, { ...args, bits });
  const found = await readFloats(evidence);
  assertEquals(found.at(-1), 7);
  return found.slice(0, -1);
}

/** The logarithm of the probability of a value of a row, in float64 and by the stated rules. */
function logProbability(row: readonly number[], value: number): number {
  const known = row.map((logit) => Number.isNaN(logit) ? -Infinity : logit);
  const largest = Math.max(...known);
  if (largest === -Infinity || value >= row.length) return 0;
  if (largest === Infinity) {
    return known[value] === Infinity ? -Math.log(known.filter((logit) => logit === Infinity).length) : -512;
  }
  const sum = known.reduce((total, logit) => total + Math.exp(logit - largest), 0);
  return Math.max(-512, known[value]! - largest - Math.log(sum));
}

/** The evidence in float64. */
function evidenceOf(given: Case): number[] {
  const { images, positions, vocabulary, bits, guided, logits, tokens, kept } = given;
  const rows = rowsOf(given);
  const words = Math.ceil(rows / 32);
  return Array.from({ length: images * (guided ? 2 : 1) }, (_, number) => {
    const [image, side] = guided ? [number >> 1, number & 1] : [number, 0];
    let total = 0;
    for (let position = 0; position < positions; position++) {
      if (kept?.[position] === 1) continue;
      for (let bit = 0; bit < rows; bit++) {
        const word = tokens[(image * positions + position) * words + (bit >> 5)]!;
        const at = (((side * images + image) * positions + position) * rows + bit) * vocabulary;
        const row = [...logits.subarray(at, at + vocabulary)];
        total += logProbability(row, bits === undefined ? word : word >>> (bit & 31) & 1);
      }
    }
    return total;
  });
}

function assertEvidence(found: Float32Array, given: Case): void {
  const { positions, vocabulary, images, guided } = given;
  for (const [i, wanted] of evidenceOf(given).entries()) {
    // The bound that is stated.
    const allowed = positions * rowsOf(given) * (2e-6 + vocabulary * 2 ** -29) + 3e-7 * Math.abs(wanted);
    const message = `${images}×${positions}×${vocabulary} ${guided} ${i}: ${found[i]} for ${wanted}`;
    assert(Math.abs(found[i]! - wanted) <= allowed, message);
  }
}

function randomCase(
  sizes: Pick<Case, "images" | "positions" | "vocabulary" | "bits" | "guided">,
  options: {
    readonly random: () => number;
    readonly spread?: number;
    readonly odd?: number;
    readonly kept?: boolean;
  },
): Case {
  const { images, positions, vocabulary, bits, guided } = sizes;
  const { random, spread = 6, odd = 0, kept = false } = options;
  const count = images * positions * (bits ?? 1) * vocabulary * (guided ? 2 : 1);
  const values = [NaN, -Infinity, Infinity, -0, 1e-40, 3e38, -3e38, -NaN, 80, -600];
  const logits = Float32Array.from({ length: count }, () => {
    if (random() < odd) return values[Math.floor(random() * values.length)]!;
    return (random() + random() + random() - 1.5) * spread;
  });
  const tokens = Uint32Array.from({ length: images * positions * Math.ceil((bits ?? 1) / 32) }, () => {
    if (bits !== undefined) return Math.floor(random() * 2 ** 32);
    return random() < odd ? NO_TOKEN : Math.floor(random() * vocabulary);
  });
  const mask = kept ? Uint32Array.from({ length: positions }, () => random() < 0.4 ? 1 : 0) : undefined;
  return { ...sizes, logits, tokens, kept: mask };
}

testOnDevices(
  "tokenEvidence: sums of logarithms of probabilities, the same bits everywhere",
  async (device) => {
    const random = testRandom(41);
    using cpu = new CpuDevice();
    for (
      const [images, positions, vocabulary] of [
        [1, 1, 1],
        [1, 1, 2],
        [3, 5, 7],
        [2, 16, 300],
        [5, 257, 3],
        [
          1,
          4,
          4099,
        ],
        [2, 1, 65536],
        [0, 3, 4],
      ] as const
    ) {
      for (const guided of [false, true]) {
        for (const spread of [0.1, 6, 60, 900]) {
          const given = randomCase({ images, positions, vocabulary, guided }, {
            random,
            spread,
            kept: spread === 6,
          });
          const found = await run(device, given);
          assertEvidence(found, given);
          assertEquals(found, await run(cpu, given));
        }
      }
    }
  },
);

testOnDevices("bitEvidence: sums over the bits of tokens, the same bits everywhere", async (device) => {
  const random = testRandom(42);
  using cpu = new CpuDevice();
  for (
    const [images, positions, bits] of [[1, 1, 1], [3, 5, 7], [2, 16, 32], [1, 36, 33], [2, 9, 64], [
      1,
      300,
      14,
    ]] as const
  ) {
    for (const guided of [false, true]) {
      for (const spread of [0.1, 6, 200]) {
        const given = randomCase(
          { images, positions, vocabulary: 2, bits, guided },
          { random, spread, kept: spread === 6 },
        );
        const found = await run(device, given);
        assertEvidence(found, given);
        assertEquals(found, await run(cpu, given));
      }
    }
  }
});

testOnDevices(
  "tokenEvidence: NaN, infinities, huge logits and what is no token, the same bits",
  async (device) => {
    const random = testRandom(43);
    using cpu = new CpuDevice();
    for (let round = 0; round < 12; round++) {
      for (const bits of [undefined, 13]) {
        const vocabulary = bits === undefined ? 1 + Math.floor(random() * 9) : 2;
        const sizes = { images: 2, positions: 40, vocabulary, guided: true };
        const odd = [0.02, 0.3, 1][round % 3]!;
        const given = randomCase(bits === undefined ? sizes : { ...sizes, bits }, { random, odd });
        const found = await run(device, given);
        assert(found.every(Number.isFinite));
        assertEvidence(found, given);
        assertEquals(found, await run(cpu, given));
      }
    }
  },
);

testOnDevices("tokenEvidence: the rules at the ends, one by one", async (device) => {
  const cases: [row: number[], value: number, wanted: number][] = [
    [[0, 0, 0, 0], 2, -Math.log(4)],
    [[5], 0, 0],
    [[NaN, 1], 1, 0],
    [[NaN, 1], 0, -512],
    [[-Infinity, 1], 0, -512],
    [[NaN, -Infinity], 1, 0],
    [[Infinity, 3], 0, 0],
    [[Infinity, 3], 1, -512],
    [[Infinity, 3, Infinity], 2, -Math.LN2],
    [[0, -511], 1, -511],
    [[0, -513], 1, -512],
    [[3.4e38, -3.4e38], 1, -512],
    [[1, 2], 2, 0],
    [[1, 2], NO_TOKEN, 0],
  ];
  for (const [row, value, wanted] of cases) {
    const given = {
      ...{ images: 1, positions: 1, vocabulary: row.length, guided: false },
      logits: new Float32Array(row),
      tokens: new Uint32Array([value]),
    };
    const [found] = await run(device, given);
    assert(Math.abs(found! - wanted) <= 3e-6 + 3e-7 * Math.abs(wanted), `${row}, ${value}: ${found}`);
    // Not a negative zero, which records would show.
    if (wanted === 0) assert(Object.is(found, 0), `${row}, ${value}: ${found}`);
  }
});

testOnDevices("tokenEvidence: an image has the same evidence alone and in a batch", async (device) => {
  const random = testRandom(44);
  const sizes = { images: 4, positions: 9, vocabulary: 50, guided: true };
  const given = randomCase(sizes, { random, kept: true });
  const together = await run(device, given);
  const size = 9 * 50;
  for (let image = 0; image < 4; image++) {
    const logits = new Float32Array(2 * size);
    logits.set(given.logits.subarray(image * size, (image + 1) * size));
    logits.set(given.logits.subarray((4 + image) * size, (5 + image) * size), size);
    const tokens = given.tokens.slice(image * 9, (image + 1) * 9);
    const alone = await run(device, { ...given, images: 1, logits, tokens });
    assertEquals(alone, together.slice(2 * image, 2 * image + 2));
  }
  // What is kept alone counts nothing.
  const none = await run(device, { ...given, kept: new Uint32Array(9).fill(1) });
  assertEquals([...none], Array(8).fill(0));
});

testOnDevices("tokenEvidence: what each token counts is theirs alone", async (device) => {
  using logits = device.upload(new Float32Array([0, 0, Math.log(3), 0, NaN, 0, 0, Math.log(7)]));
  using tokens = device.upload(new Uint32Array([1, 0]));
  using sums = device.allocate(8);
  device.run(tokenEvidence, { logits, tokens, sums, images: 1, positions: 2, vocabulary: 2, guided: true });
  const found = await readWords(sums);
  for (const [i, wanted] of [2, 4 / 3, 1, 8].entries()) {
    assertEquals(found[2 * i + 1], 0);
    assertAlmostEquals(found[2 * i]! * 2 ** -22, Math.log(wanted), 3e-6);
  }
});

testOnDevices("tokenEvidence: bad calls are refused, and nothing is left of them", (device) => {
  using logits = device.allocate(24, "logits");
  using tokens = device.allocate(4, "tokens");
  using evidence = device.allocate(4, "evidence");
  using sums = device.allocate(12, "sums");
  using kept = device.allocate(1, "kept");
  const good = { logits, tokens, images: 2, positions: 2, vocabulary: 3, guided: true };
  runTokenEvidence(device, { ...good, evidence });
  const bits = { logits, tokens, images: 1, positions: 2, bits: 3, guided: true };
  runBitEvidence(device, { ...bits, evidence });
  const { liveBytes } = device.counters;
  const bad: [Partial<TokenEvidenceArguments>, string][] = [
    [{ images: -1 }, "images must be an integer >= 0: current value is -1"],
    [{ positions: 0 }, "positions must be an integer >= 1: current value is 0"],
    [{ positions: 2 ** 22 + 1 }, "positions must be an integer from 1 to 4194304: current value is 4194305"],
    [{ vocabulary: 65537 }, "vocabulary must be an integer from 1 to 65536: current value is 65537"],
    [{ vocabulary: 4 }, '"logits" must hold at least 32 words: it holds 24'],
    [{ images: 5, positions: 1, vocabulary: 1 }, '"tokens" must hold at least 5 words: it holds 4'],
    [{ kept }, '"kept" must hold at least 2 words: it holds 1'],
  ];
  const refused = (call: () => void, message: string): void => {
    const error = assertThrows(call, RangeError);
    assertEquals(error.message, `Cannot weigh the evidence of tokens as ${message}`);
  };
  for (const [change, message] of bad) {
    refused(() => device.run(tokenEvidence, { ...good, sums, ...change }), message);
    refused(() => runTokenEvidence(device, { ...good, evidence, ...change }), message);
  }
  refused(
    () => device.run(tokenEvidence, { ...good, sums }),
    '"sums" must hold at least 16 words: it holds 12',
  );
  refused(
    () => runTokenEvidence(device, { ...good, evidence, images: 3, positions: 1 }),
    '"evidence" must hold at least 6 words: it holds 4',
  );
  const badBits: [Partial<BitEvidenceArguments>, string][] = [
    [{ bits: 0 }, "bits must be an integer from 1 to 65536: current value is 0"],
    [{ bits: 4 }, '"logits" must hold at least 32 words: it holds 24'],
    [
      { positions: 65536, bits: 65 },
      "positions * bits must be an integer from 1 to 4194304: current value is 4259840",
    ],
  ];
  for (const [change, message] of badBits) {
    refused(() => device.run(bitEvidence, { ...bits, sums, ...change }), message);
    refused(() => runBitEvidence(device, { ...bits, evidence, ...change }), message);
  }
  assertEquals(device.counters.liveBytes, liveBytes);
});
