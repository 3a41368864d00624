import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, readWords } from "../../../kernels/device/device.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import {
  projectedGuidance,
  type ProjectedGuidanceArguments,
  runProjectedGuidance,
} from "../../../kernels/sampling/projected_guidance.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

interface Case {
  readonly rows: number;
  readonly length: number;
  readonly conditional: Float32Array;
  readonly unconditional: Float32Array;
  readonly weight: number;
  readonly eta: number;
  readonly normThreshold?: number;
}

async function run(device: Device, { conditional, unconditional, ...rest }: Case): Promise<Uint32Array> {
  using a = device.upload(conditional);
  using b = device.upload(unconditional);
  using guided = device.upload(new Float32Array(rest.rows * rest.length + 1).fill(7));
  runProjectedGuidance(device, { conditional: a, unconditional: b, guided, ...rest });
  const found = await readWords(guided);
  assertEquals(new Float32Array(found.buffer).at(-1), 7);
  return found.slice(0, -1);
}

const FIXTURES = new URL("../../fixtures/guidance/", import.meta.url);

async function recordedFloats(name: string): Promise<Float32Array> {
  return new Float32Array((await Deno.readFile(new URL(name, FIXTURES))).buffer);
}

testOnDevices("projectedGuidance: a rule in NumPy on recorded logits of the demo model", async (device) => {
  const [raw, expected] = [await recordedFloats("logits.f32"), await recordedFloats("expected.f32")];
  const vocabulary = 64;
  const halves = (at: number, positions: number) => {
    const size = positions * vocabulary;
    return { conditional: raw.slice(at, at + size), unconditional: raw.slice(at + size, at + 2 * size) };
  };
  const third = halves(2 * 9 * vocabulary, 16);
  const fourth = halves(2 * 25 * vocabulary, 36);
  const map = { ...third, rows: 1, length: 16 * vocabulary, weight: 0.9 };
  const found = [
    await run(device, { ...map, eta: 0 }),
    await run(device, { ...map, eta: 0.25, normThreshold: 0.2 }),
    await run(device, { ...fourth, rows: 36, length: 64, weight: 1.2, eta: 0, normThreshold: 0.5 }),
  ].flatMap((words) => [...new Float32Array(words.buffer)]);
  const rest = expected.subarray(expected.length - found.length);
  for (const [i, value] of found.entries()) assertAlmostEquals(value, rest[i]!, 1e-5, `${i}`);
});

testOnDevices("projectedGuidance: a rule in float64, the same bits everywhere", async (device) => {
  const random = testRandom(71);
  using cpu = new CpuDevice();
  for (
    const [rows, length] of [[1, 1], [3, 7], [2, 512], [1, 4096], [2, 4097], [1, 9000], [0, 4]] as const
  ) {
    for (const spread of [1e-4, 20, 1e6]) {
      for (
        const [eta, normThreshold] of [[0, 0], [1, 0], [0.3, 0.5], [-2, 5], [0, 1e-6], [1, 1e4]] as const
      ) {
        const draw = (center: number): Float32Array =>
          Float32Array.from({ length: rows * length }, () => (random() + random() - center) * spread);
        const [conditional, unconditional] = [draw(0.9), draw(1)];
        const weight = random() * 8 - 2;
        const given = { rows, length, conditional, unconditional, weight, eta, normThreshold };
        const found = await run(device, given);
        assertEquals(
          found,
          await run(cpu, given),
          JSON.stringify({ ...given, conditional: 0, unconditional: 0 }),
        );
        const values = new Float32Array(found.buffer);
        for (let row = 0; row < rows; row++) {
          const own = conditional.slice(row * length, (row + 1) * length);
          const other = unconditional.slice(row * length, (row + 1) * length);
          const wanted = exactRow(own, other, given);
          for (const [i, value] of wanted.value.entries()) {
            const off = Math.abs(values[row * length + i]! - value);
            assert(off <= wanted.bound[i]!, `${rows}x${length} ${spread} ${eta} ${normThreshold}: ${off}`);
          }
        }
      }
    }
  }
});

/** A row by the rule in float64, with the bound that is stated. */
function exactRow(
  conditional: Float32Array,
  unconditional: Float32Array,
  { weight, eta, normThreshold = 0 }: Case,
): { value: number[]; bound: number[] } {
  const difference = [...conditional].map((value, i) => value - unconditional[i]!);
  const sum = (term: (i: number) => number): number => difference.reduce((total, _, i) => total + term(i), 0);
  const square = sum((i) => conditional[i]! ** 2);
  const share = square === 0 ? 0 : (1 - eta) * sum((i) => difference[i]! * conditional[i]!) / square;
  const sizes = square === 0 ? 0 : sum((i) => Math.abs(difference[i]! * conditional[i]!)) / square;
  const length = Math.sqrt(sum((i) => difference[i]! ** 2));
  const longest = normThreshold * Math.sqrt(difference.length);
  const shortened = longest > 0 && length > longest ? Math.max(longest / length, 2 ** -30) : 1;
  const value = difference.map((d, i) =>
    conditional[i]! + weight * shortened * (d - share * conditional[i]!)
  );
  const bound = difference.map((d, i) => {
    const parallel = Math.abs(conditional[i]!) * (4e-6 * Math.abs(1 - eta) * sizes + 2 ** -30);
    const moved = Math.abs(d) + Math.abs(share * conditional[i]!);
    return Math.abs(weight) * shortened * (parallel + 5e-6 * moved) + 4e-7 * Math.abs(conditional[i]!);
  });
  return { value, bound };
}

testOnDevices("projectedGuidance: eta 1 without a threshold is guidance, to the bit", async (device) => {
  const random = testRandom(72);
  const odd = [NaN, Infinity, -Infinity, 0, -0, 1e-40, 2 ** -63, 1e30, -3e38];
  for (const share of [0, 0.2, 1]) {
    const [positions, vocabulary] = [6, 300];
    const logits = Float32Array.from({ length: 2 * positions * vocabulary }, () => {
      if (random() < share) return odd[Math.floor(random() * odd.length)]!;
      return (random() - 0.5) * 30;
    });
    for (const weight of [0, 0.3, -1.7, 33]) {
      using raw = device.upload(logits);
      using guided = device.allocate(positions * vocabulary);
      device.run(guidance, { logits: raw, guided, images: 1, positions, vocabulary, weight });
      const half = positions * vocabulary;
      const found = await run(device, {
        ...{ conditional: logits.slice(0, half), unconditional: logits.slice(half) },
        ...{ rows: 1, length: half, weight, eta: 1 },
      });
      assertEquals(found, await readWords(guided));
    }
  }
});

testOnDevices("projectedGuidance: NaN and infinities stay where they are, the same bits", async (device) => {
  const random = testRandom(73);
  using cpu = new CpuDevice();
  const odd = [NaN, Infinity, -Infinity, 0, -0, 1e-40, 2 ** -63, 1e30, -3e38];
  for (const share of [0.05, 0.5, 1]) {
    const draw = (): Float32Array =>
      Float32Array.from({ length: 2 * 500 }, () => {
        if (random() < share) return odd[Math.floor(random() * odd.length)]!;
        return (random() - 0.5) * 30;
      });
    const [conditional, unconditional] = [draw(), draw()];
    for (const [eta, normThreshold] of [[0, 0], [0.5, 2]] as const) {
      const given = { rows: 2, length: 500, conditional, unconditional, weight: 2.5, eta, normThreshold };
      const found = await run(device, given);
      assertEquals(found, await run(cpu, given));
      const values = new Float32Array(found.buffer);
      for (const [i, value] of conditional.entries()) {
        if (!Number.isFinite(value)) assertEquals(values[i], value);
        else assert(Number.isFinite(values[i]!));
      }
    }
  }
});

testOnDevices(
  "projectedGuidance: a row does not see others, and the length of one is kept to",
  async (device) => {
    const conditional = new Float32Array([3, 0, 4, 0, 1, 1, 1, 1]);
    const unconditional = new Float32Array([3, 2, 4, -2, 0, 0, 0, 0]);
    const given = { rows: 2, length: 4, conditional, unconditional, weight: 1, eta: 0 };
    const values = async (change: Partial<Case>): Promise<number[]> => {
      return [...new Float32Array((await run(device, { ...given, ...change })).buffer)];
    };
    // The first row's difference stands at right angles, the second's lies along.
    assertEquals((await values({})).map((value) => Math.round(value * 1e5) / 1e5), [3, -2, 4, 2, 1, 1, 1, 1]);
    const short = await values({ normThreshold: 0.5 });
    // Of length √8, to be 1.
    assertAlmostEquals(short[1]!, -Math.SQRT1_2, 1e-6);
    assertAlmostEquals(short[3]!, Math.SQRT1_2, 1e-6);
    assertEquals(await values({ normThreshold: 2 }), await values({}));
  },
);

testOnDevices("projectedGuidance: bad calls are refused, and nothing is left of them", (device) => {
  using conditional = device.allocate(6, "conditional");
  using unconditional = device.allocate(6, "unconditional");
  using guided = device.allocate(6, "guided");
  using sums = device.allocate(6, "sums");
  using short = device.allocate(5, "short");
  const good = { conditional, unconditional, guided, rows: 2, length: 3, weight: 1, eta: 0 };
  runProjectedGuidance(device, good);
  const { liveBytes } = device.counters;
  const bad: [Partial<ProjectedGuidanceArguments>, string][] = [
    [{ rows: -1 }, "rows must be an integer >= 0: current value is -1"],
    [{ length: 2 ** 24 + 1 }, "length must be an integer from 1 to 16777216: current value is 16777217"],
    [{ length: 4 }, '"conditional" must hold at least 8 words: it holds 6'],
    [{ weight: NaN }, "weight must be from -4294967296 to 4294967296: current value is NaN"],
    [{ eta: 1025 }, "eta must be from -1024 to 1024: current value is 1025"],
    [{ normThreshold: -1 }, "normThreshold must be from 0 to 1048576: current value is -1"],
    [{ normThreshold: 1e-7 }, "normThreshold must be 0 or at least 1e-6: current value is 1e-7"],
  ];
  const refused = (call: () => void, message: string): void => {
    const error = assertThrows(call, RangeError);
    assertEquals(error.message, `Cannot guide logits by a projection as ${message}`);
  };
  for (const [change, message] of bad) {
    refused(() => device.run(projectedGuidance, { ...good, sums, ...change }), message);
    refused(() => runProjectedGuidance(device, { ...good, ...change }), message);
  }
  refused(
    () => runProjectedGuidance(device, { ...good, guided: short }),
    '"short" must hold at least 6 words: it holds 5',
  );
  refused(
    () => device.run(projectedGuidance, { ...good, sums: short }),
    '"short" must hold at least 6 words: it holds 5',
  );
  assertEquals(device.counters.liveBytes, liveBytes);
});
