import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readFloats, readWords } from "../../../kernels/device/device.ts";
import {
  coarseContrast,
  type CoarseContrastArguments,
  createPriorTable,
  type PositionMap,
  priorWeights,
} from "../../../kernels/sampling/coarse_contrast.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import { testOnDevices, testRandom } from "../../devices.ts";
import { spatialPrior } from "../../spatial_prior.ts";

/** A case of `fixtures/guidance/prior.json`: heights and widths, and values [positions, 2]. */
interface Recorded {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
  readonly values: readonly number[];
}

const FIXTURES = new URL("../../fixtures/guidance/", import.meta.url);
const RECORDED = JSON.parse(await Deno.readTextFile(new URL("prior.json", FIXTURES))) as Recorded[];

async function recordedFloats(name: string): Promise<Float32Array> {
  return new Float32Array((await Deno.readFile(new URL(name, FIXTURES))).buffer);
}

/** The numbers that `prior.py` says. */
function recordedNumbers(seed: number, count: number): Float32Array {
  let x = seed;
  const next = (): number => x = (Math.imul(1664525, x) + 1013904223) >>> 0;
  for (let i = 0; i < 16; i++) next();
  return Float32Array.from({ length: count }, () => next() / 2 ** 32 - 0.5);
}

function sizeOf({ width, height }: PositionMap): number {
  return width * height;
}

/** What is asked: maps and data on the host. */
interface Case {
  readonly from: PositionMap;
  readonly to: PositionMap;
  readonly lanes: number;
  readonly vocabulary: number;
  readonly weight: number;
  readonly coarse: Float32Array;
  readonly logits: Float32Array;
}

async function run(device: Device, { from, to, coarse, logits, ...sizes }: Case): Promise<Uint32Array> {
  using table = createPriorTable(device, from, to);
  using before = device.upload(coarse);
  // One word more, which must stay.
  using after = device.upload(new Float32Array([...logits, 7]));
  device.run(coarseContrast, { coarse: before, logits: after, table, ...sizes });
  const found = await readWords(after);
  assertEquals(new Float32Array(found.buffer).at(-1), 7);
  return found.slice(0, -1);
}

/** The prior itself: 0 + -1 · (0 - prior). */
async function prior(
  device: Device,
  given: Pick<Case, "from" | "to" | "vocabulary" | "coarse">,
): Promise<Float32Array> {
  const logits = new Float32Array(sizeOf(given.to) * given.vocabulary);
  const found = await run(device, { ...given, lanes: 1, weight: -1, logits });
  return new Float32Array(found.buffer);
}

testOnDevices("priorWeights: what SciPy's transforms and PyTorch's interpolation give", async (device) => {
  for (const [number, { from: [h, w], to: [height, width], values }] of RECORDED.entries()) {
    const [from, to] = [{ height: h, width: w }, { height, width }];
    const coarse = recordedNumbers(number, h * w * 2);
    const found = await prior(device, { from, to, vocabulary: 2, coarse });
    assertEquals(found.length, values.length);
    // The bound that is stated, of values up to 1/2; what is found is much nearer.
    const groups = Math.ceil(h / 2) * Math.ceil(w / 2);
    for (const [i, value] of values.entries()) {
      assertAlmostEquals(found[i]!, value, (groups + 8) * 2 ** -23, `${h}x${w} to ${height}x${width}, ${i}`);
      assertAlmostEquals(found[i]!, value, 5e-7);
    }
  }
});

testOnDevices("coarseContrast: a rule in NumPy on recorded logits of the demo model", async (device) => {
  const [raw, expected] = [await recordedFloats("logits.f32"), await recordedFloats("expected.f32")];
  const vocabulary = 64;
  const guide = async (at: number, positions: number, weight: number): Promise<Float32Array> => {
    using logits = device.upload(raw.slice(at, at + 2 * positions * vocabulary));
    using guided = device.allocate(positions * vocabulary);
    device.run(guidance, { logits, guided, images: 1, positions, vocabulary, weight });
    return await readFloats(guided);
  };
  const second = await guide(0, 9, 0.6);
  const third = await guide(2 * 9 * vocabulary, 16, 0.9);
  const fourth = await guide(2 * 25 * vocabulary, 36, 1.2);
  const square = (side: number): PositionMap => ({ width: side, height: side });
  const sizes = { lanes: 1, vocabulary };
  const moved = [
    await run(device, {
      ...{ ...sizes, from: square(3), to: square(4) },
      ...{ coarse: second, logits: third, weight: 0.3 },
    }),
    await run(device, {
      ...{ ...sizes, from: square(4), to: square(6) },
      ...{ coarse: third, logits: fourth, weight: 0.2 },
    }),
  ].flatMap((words) => [...new Float32Array(words.buffer)]);
  for (const [i, value] of moved.entries()) assertAlmostEquals(value, expected[i]!, 1e-5, `${i}`);
});

testOnDevices("coarseContrast: the same bits everywhere, within the stated bound", async (device) => {
  const random = testRandom(51);
  using cpu = new CpuDevice();
  for (
    const [w, h, width, height, vocabulary, lanes] of [
      [1, 1, 1, 1, 1, 1],
      [1, 1, 2, 2, 5, 3],
      [2, 2, 3, 3, 64, 2],
      [3, 3, 4, 4, 65, 2],
      [5, 3, 2, 7, 33, 3],
      [1, 4, 6, 4, 7, 1],
      [6, 6, 8, 8, 512, 1],
      [8, 8, 5, 5, 20, 2],
      [13, 13, 16, 16, 520, 1],
      [12, 18, 14, 20, 4, 1],
      [2, 2, 3, 3, 4, 0],
    ] as const
  ) {
    const [from, to] = [{ width: w, height: h }, { width, height }];
    for (const spread of [1e-15, 30, 1e20]) {
      const draw = (count: number): Float32Array =>
        Float32Array.from({ length: count }, () => (random() + random() - 1) * spread);
      const coarse = draw(lanes * sizeOf(from) * vocabulary);
      const logits = draw(lanes * sizeOf(to) * vocabulary);
      const given = { from, to, lanes, vocabulary, coarse, logits, weight: random() * 4 - 1 };
      assertEquals(await run(device, given), await run(cpu, given), JSON.stringify([from, to, spread]));
      if (lanes !== 1) continue;
      const found = await prior(device, given);
      const groups = Math.ceil(w / 2) * Math.ceil(h / 2);
      const tokens = Math.min(vocabulary, 9);
      const wanted = spatialPrior(coarse, { from, to, vocabulary, tokens });
      for (let token = 0; token < tokens; token++) {
        let largest = 0;
        for (let i = token; i < coarse.length; i += vocabulary) {
          largest = Math.max(largest, Math.abs(coarse[i]!));
        }
        for (let i = 0; i < sizeOf(to); i++) {
          const off = Math.abs(found[i * vocabulary + token]! - wanted[i * tokens + token]!);
          assert(off <= (groups + 8) * 2 ** -22 * largest + 2 ** -64, `${w}x${h} ${spread} ${token} ${i}`);
        }
      }
    }
  }
});

testOnDevices("coarseContrast: NaN and infinities spoil no other token, the same bits", async (device) => {
  const random = testRandom(52);
  using cpu = new CpuDevice();
  const values = [NaN, -Infinity, Infinity, -0, 1e-40, -(2 ** -70), 3e38, -3e38];
  for (const odd of [0.01, 0.2, 1]) {
    const [from, to] = [{ width: 4, height: 3 }, { width: 6, height: 5 }];
    const draw = (count: number): Float32Array =>
      Float32Array.from({ length: count }, () => {
        if (random() < odd) return values[Math.floor(random() * values.length)]!;
        return (random() - 0.5) * 20;
      });
    const given = {
      ...{ from, to, lanes: 3, vocabulary: 70, weight: 0.7 },
      ...{ coarse: draw(3 * 12 * 70), logits: draw(3 * 30 * 70) },
    };
    assertEquals(await run(device, given), await run(cpu, given));
  }
  // Tokens 0 and 2 have a value that is none in their coarse maps, one of them in the second lane only.
  const coarse = new Float32Array([NaN, 1, 0, 0, 1, 0, 0, 1, -Infinity, 0, 1, 0]);
  const logits = new Float32Array([5, 3, -Infinity, 5, 3, 5, 5, NaN, 5, 5, 3, 5]);
  const map = { width: 2, height: 1 };
  const given = { from: map, to: map, lanes: 2, vocabulary: 3, weight: 1, coarse, logits };
  assertEquals([...new Float32Array((await run(device, given)).buffer)], [
    ...[5, 5, -Infinity, 5, 5, 10],
    ...[10, NaN, 5, 10, 5, 5],
  ]);
});

testOnDevices(
  "coarseContrast: weight 0 leaves logits alone, and a lane does not see others",
  async (device) => {
    const random = testRandom(53);
    const [from, to] = [{ width: 2, height: 3 }, { width: 3, height: 4 }];
    const draw = (count: number): Float32Array =>
      Float32Array.from({ length: count }, () => random() * 9 - 4);
    const [coarse, logits] = [draw(2 * 6 * 10), draw(2 * 12 * 10)];
    const given = { from, to, lanes: 2, vocabulary: 10, coarse, logits, weight: 0.5 };
    const untouched = await run(device, { ...given, weight: 0 });
    assertEquals(new Float32Array(untouched.buffer), logits);
    const together = await run(device, given);
    for (const lane of [0, 1]) {
      const alone = await run(device, {
        ...given,
        lanes: 1,
        coarse: coarse.slice(lane * 60, (lane + 1) * 60),
        logits: logits.slice(lane * 120, (lane + 1) * 120),
      });
      assertEquals(alone, together.slice(lane * 120, (lane + 1) * 120));
    }
  },
);

Deno.test("priorWeights: constants stay what they are, whatever the maps", () => {
  for (const [w, h, width, height] of [[1, 1, 4, 3], [5, 2, 7, 7], [9, 9, 4, 4], [3, 4, 3, 4]] as const) {
    const weights = priorWeights({ width: w, height: h }, { width, height });
    const groups = Math.ceil(w / 2) * Math.ceil(h / 2);
    // A constant is even along both axes, and folded it comes four times.
    for (let quad = 0; quad < weights.length / (4 * groups); quad++) {
      let sum = 0;
      for (let group = 0; group < groups; group++) sum += 4 * weights[(quad * groups + group) * 4]!;
      assertAlmostEquals(sum, 1, 1e-6);
    }
  }
});

testOnDevices("coarseContrast: bad calls are refused", (device) => {
  const [from, to] = [{ width: 2, height: 2 }, { width: 3, height: 3 }];
  using table = createPriorTable(device, from, to);
  using coarse = device.allocate(4 * 5, "coarse");
  using logits = device.allocate(9 * 5, "logits");
  const good: CoarseContrastArguments = { coarse, logits, table, lanes: 1, vocabulary: 5, weight: 1 };
  device.run(coarseContrast, good);
  const { liveBytes } = device.counters;
  const bad: [Partial<CoarseContrastArguments>, string][] = [
    [{ lanes: -1 }, "images must be an integer >= 0: current value is -1"],
    [{ lanes: 2 }, '"logits" must hold at least 90 words: it holds 45'],
    [{ vocabulary: 0 }, "vocabulary must be an integer from 1 to 65536: current value is 0"],
    [{ coarse: logits, logits: coarse }, '"coarse" must hold at least 45 words: it holds 20'],
    [{ weight: Infinity }, "weight must be from -4294967296 to 4294967296: current value is Infinity"],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(coarseContrast, { ...good, ...change }), RangeError);
    assertEquals(error.message, `Cannot contrast logits with those of a coarser map as ${message}`);
  }
  const maps: [object, string][] = [
    [{ width: 0, height: 1 }, "from.width must be an integer from 1 to 256: current value is 0"],
    [{ width: 1, height: 257 }, "from.height must be an integer from 1 to 256: current value is 257"],
    [{ width: 91, height: 92 }, 'from must be a map of at most 8192 positions: current value is "91x92"'],
  ];
  for (const [map, message] of maps) {
    const error = assertThrows(() => createPriorTable(device, map as PositionMap, to), RangeError);
    assertEquals(error.message, `Cannot compute the weights of a prior as ${message}`);
  }
  assertThrows(
    () => createPriorTable(device, null as never, to),
    TypeError,
    "from must be a width and a height",
  );
  assertEquals(device.counters.liveBytes, liveBytes);
});
