import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import {
  createKde,
  type Kde,
  kde,
  type KdeCallOptions,
  type KdeOptions,
} from "../../../kernels/operations/kde.ts";
import { distanceMatrix } from "../../../kernels/points/distance.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { RECORDED, type RecordedDensity } from "../../fixtures/kde/recorded.ts";

/** The points of the recorded densities: near normal, each column leaning on the one before. */
function rows(
  seed: number,
  count: number,
  dimensions: number,
  spread: RecordedDensity["spread"] = {},
): Float32Array {
  const { mix = 0, scale = [1], offset = [0], cluster = 0 } = spread;
  const random = testRandom(seed);
  const out = new Float32Array(count * dimensions);
  for (let j = 0; j < count; j++) {
    let before = 0;
    for (let k = 0; k < dimensions; k++) {
      const x = random() + random() + random() + random() - 2 + mix * before;
      before = x;
      out[j * dimensions + k] = (x + cluster * (j % 3)) * scale[k % scale.length]! +
        offset[k % offset.length]!;
    }
  }
  return out;
}

function weightsOf(seed: number, count: number): Float32Array {
  const random = testRandom(seed + 2000);
  const weights = Float32Array.from({ length: count }, random);
  weights[3] = 0;
  return weights;
}

/** Six queries near the points, the last of them far away. */
function queriesOf({ seed, dimensions, spread }: RecordedDensity): Float32Array {
  const queries = rows(seed + 1000, 6, dimensions, spread);
  for (let i = 5 * dimensions; i < queries.length; i++) queries[i]! *= 8;
  return queries;
}

interface Model {
  points: Float32Array;
  weights: Float32Array;
  dimensions: number;
  covariance: "data" | "isotropic" | "identity";
  factor: number;
}

/** The density in float64 by the textbook, with what the bounds are made of. */
function oracle(
  { points, weights, dimensions: d, covariance, factor }: Model,
): (query: ArrayLike<number>, leftOut?: number) => { log: number; t: number; r: number; spread: number } {
  const n = weights.length;
  const total = weights.reduce((sum, w) => sum + w, 0);
  const mean = Array.from(
    { length: d },
    (_, k) => weights.reduce((sum, w, j) => sum + w / total * points[j * d + k]!, 0),
  );
  const population = Array.from(
    { length: d },
    (_, i) =>
      Array.from(
        { length: d },
        (_, k) =>
          weights.reduce(
            (sum, w, j) =>
              sum + w / total * (points[j * d + i]! - mean[i]!) * (points[j * d + k]! - mean[k]!),
            0,
          ),
      ),
  );
  const correction = 1 - weights.reduce((sum, w) => sum + (w / total) ** 2, 0);
  const radius = covariance === "identity"
    ? 1
    : population.reduce((sum, line, i) => sum + Math.sqrt(line[i]!), 0) / d;
  const matrix = population.map((line, i) =>
    line.map((x, k) => covariance === "data" ? x / correction : i === k ? radius ** 2 : 0)
  );
  const lower = matrix.map((line) => line.map(() => 0));
  for (let i = 0; i < d; i++) {
    for (let k = 0; k <= i; k++) {
      let rest = matrix[i]![k]!;
      for (let m = 0; m < k; m++) rest -= lower[i]![m]! * lower[k]![m]!;
      lower[i]![k] = i === k ? Math.sqrt(rest) : rest / lower[k]![k]!;
    }
  }
  const solve = (delta: number[]): number[] => {
    const y: number[] = [];
    for (let i = 0; i < d; i++) {
      let rest = delta[i]!;
      for (let m = 0; m < i; m++) rest -= lower[i]![m]! * y[m]!;
      y.push(rest / lower[i]![i]!);
    }
    return y.map((x) => x / factor);
  };
  const norm = (y: number[]): number => Math.hypot(...y);
  const logDeterminant = lower.reduce((sum, line, i) => sum + Math.log(line[i]!), 0);
  const columns = Array.from(
    { length: d },
    (_, k) => solve(Array.from({ length: d }, (_, i) => i === k ? 1 : 0)),
  );
  const whitened = Array.from({ length: n }, (_, j) => solve(mean.map((x, k) => points[j * d + k]! - x)));
  const farthest = Math.max(...whitened.map(norm));
  const greatest = Math.max(...weights);
  return (query, leftOut = -1) => {
    const own = solve(mean.map((x, k) => query[k]! - x));
    const terms = whitened.map((y, j) => ({
      weight: j === leftOut ? 0 : weights[j]!,
      half: y.reduce((sum, x, k) => sum + (x - own[k]!) ** 2, 0) / 2,
    })).filter(({ weight }) => weight > 0);
    const least = Math.min(...terms.map(({ half }) => half));
    const shares = terms.map(({ weight, half }) => weight * Math.exp(least - half));
    const sum = shares.reduce((a, b) => a + b, 0);
    const others = total - (leftOut < 0 ? 0 : weights[leftOut]!);
    return {
      log: Math.log(sum) - least - Math.log(others) - d / 2 * Math.log(2 * Math.PI) - d * Math.log(factor) -
        logDeterminant,
      t: terms.reduce(
        (mean, { weight, half }, i) => mean + shares[i]! / sum * (half + Math.log(2 * greatest / weight)),
        0,
      ),
      r: Math.max(farthest, norm(own)),
      // Of the kernel that whitens queries on the device: sum over k of |matrix[i][k]| |x[k] - mean[k]|.
      spread: norm(
        Array.from(
          { length: d },
          (_, i) =>
            columns.reduce((sum, column, k) => sum + Math.abs(column[i]! * (query[k]! - mean[k]!)), 0),
        ),
      ),
    };
  };
}

/** The stated bound, to first order; `onDevice`: with queries that the device whitens. */
function bound(
  { dimensions: d, weights, covariance }: Model,
  { t, r, spread }: { t: number; r: number; spread: number },
  onDevice = false,
): number {
  const kernel = 2 ** -24 * ((d + 12) * t + 80 + Math.sqrt(weights.length) / 7);
  const whitening = covariance === "data" ? 2 ** -23 * Math.sqrt(2 * t) * r : 0;
  return kernel + whitening + (onDevice ? (d + 5) * 2 ** -24 * spread * Math.sqrt(2 * t) : 0);
}

function assertDensities(
  found: { density: Float32Array; log: Float32Array },
  wanted: { log: number }[],
  limits: number[],
  name: string,
): void {
  assertEquals([found.density.length, found.log.length], [wanted.length, wanted.length]);
  for (const [i, { log }] of wanted.entries()) {
    const density = Math.exp(log);
    // 2^-126: below it a density may become 0.
    assert(
      Math.abs(found.density[i]! - density) <= Math.expm1(Math.min(limits[i]!, 700)) * density + 2 ** -126,
      `${name}, ${i}: ${found.density[i]} for ${density}, within ${limits[i]}`,
    );
    assert(
      Math.abs(found.log[i]! - log) <= 1.01 * limits[i]! + 2 ** -21 + 2 ** -22 * Math.abs(log),
      `${name}, ${i}: log ${found.log[i]} for ${log}, within ${limits[i]}`,
    );
  }
}

async function evaluate(
  density: Kde,
  queries?: Float32Array | DeviceArray,
  leaveOneOut = false,
): Promise<{ density: Float32Array; log: Float32Array }> {
  using plain = density.run(queries, { leaveOneOut });
  using log = density.run(queries, { leaveOneOut, log: true });
  const [plainWords, logWords] = await density.device.read([plain, log]);
  return { density: new Float32Array(plainWords!.buffer), log: new Float32Array(logWords!.buffer) };
}

testOnDevices("createKde: densities are those recorded from SciPy and scikit-learn", async (device) => {
  for (const recorded of RECORDED) {
    const { name, count, dimensions, seed, spread, weighted, bandwidth, covariance } = recorded;
    const points = rows(seed, count, dimensions, spread);
    const weights = weighted ? weightsOf(seed, count) : new Float32Array(count).fill(1);
    const queries = queriesOf(recorded);
    using density = await createKde(device, points, {
      dimensions,
      bandwidth,
      covariance,
      ...(weighted ? { weights } : {}),
    });
    assert(Math.abs(density.factors[0]! / recorded.factor - 1) < 1e-7);
    assert(Math.abs(density.effectiveCounts[0]! / recorded.neff - 1) < 1e-12);
    const model = { points, weights, dimensions, covariance, factor: recorded.factor };
    const exact = oracle(model);
    const parts = Array.from(
      { length: 6 },
      (_, i) => exact(queries.subarray(i * dimensions, (i + 1) * dimensions)),
    );
    const wanted = recorded.log.map((log) => ({ log }));
    // The oracle of the other tests is SciPy's.
    for (const [i, { log }] of parts.entries()) {
      assert(Math.abs(log - recorded.log[i]!) < 1e-9 * (1 + Math.abs(log)));
    }
    const label = `${name}, ${bandwidth}, weighted: ${weighted}`;
    assertDensities(await evaluate(density, queries), wanted, parts.map((part) => bound(model, part)), label);
    using there = device.upload(queries);
    const limits = parts.map((part) => bound(model, part, true));
    assertDensities(await evaluate(density, there), wanted, limits, `${label}, on the device`);
  }
});

testOnDevices(
  "createKde: densities of more points than one stretch, at more queries than one workgroup",
  async (device) => {
    for (
      const [count, dimensions, covariance] of [[700, 3, "data"], [333, 40, "isotropic"], [
        513,
        32,
        "identity",
      ]] as const
    ) {
      const points = rows(count, count, dimensions, { mix: 0.3 });
      const weights = weightsOf(count, count);
      const queries = rows(9, 300, dimensions, { mix: 0.3 });
      using density = await createKde(device, points, {
        dimensions,
        weights,
        covariance,
        bandwidth: "silverman",
      });
      const model = { points, weights, dimensions, covariance, factor: density.factors[0]! };
      const exact = oracle(model);
      const wanted = Array.from(
        { length: 300 },
        (_, i) => exact(queries.subarray(i * dimensions, (i + 1) * dimensions)),
      );
      const limits = wanted.map((part) => bound(model, part));
      assertDensities(
        await evaluate(density, queries),
        wanted,
        limits,
        `${count} x ${dimensions} ${covariance}`,
      );
    }
  },
);

testOnDevices(
  "createKde: leaving one out is the density of the others at the bandwidth of all",
  async (device) => {
    const [count, dimensions] = [150, 2];
    const points = rows(31, count, dimensions, { mix: 0.5 });
    for (const weighted of [false, true]) {
      const weights = weighted ? weightsOf(31, count) : new Float32Array(count).fill(1);
      using density = await createKde(device, points, { dimensions, ...(weighted ? { weights } : {}) });
      const model = { points, weights, dimensions, covariance: "data" as const, factor: density.factors[0]! };
      const exact = oracle(model);
      const at = (i: number): Float32Array => points.subarray(i * dimensions, (i + 1) * dimensions);
      const found = await evaluate(density, undefined, true);
      const wanted = Array.from({ length: count }, (_, i) => exact(at(i), i));
      assertDensities(found, wanted, wanted.map((part) => bound(model, part)), `weighted: ${weighted}`);
      // (n full - self) / (n - 1), for equal weights.
      if (weighted) continue;
      const full = await evaluate(density);
      using alone = await createKde(device, points, { dimensions, normalize: false });
      using sums = alone.run();
      const self = full.density[0]! / (await readFloats(sums))[0]!;
      for (const [i, value] of found.density.entries()) {
        const other = (count * full.density[i]! - count * self) / (count - 1);
        // The difference loses what the two terms are larger than it.
        const limit = (bound(model, exact(at(i))) + 2 ** -20) * (full.density[i]! + self) * count /
          (count - 1);
        assert(Math.abs(value - other) <= 2 * limit, `${i}: ${value}, ${other}`);
      }
    }
    using lonely = await createKde(device, new Float32Array([1, 2]), {
      dimensions: 2,
      bandwidth: 1,
      covariance: "identity",
    });
    const found = await evaluate(lonely, undefined, true);
    assertEquals([...found.density, ...found.log], [0, -Infinity]);
    // All the weight on one point: the others have no density of their own, and it has none from them.
    using heavy = await createKde(device, new Float32Array([1, 2]), {
      dimensions: 1,
      bandwidth: 1,
      covariance: "identity",
      weights: new Float32Array([0, 3]),
    });
    const [first, second] = (await evaluate(heavy, undefined, true)).density;
    assert(Math.abs(first! - Math.exp(-0.5) / Math.sqrt(2 * Math.PI)) < 1e-6);
    assertEquals(second, 0);
    // What the others weigh is added up, not what is left of 1.
    using uneven = await createKde(device, new Float32Array([1, 2]), {
      dimensions: 1,
      bandwidth: 1,
      covariance: "identity",
      weights: new Float32Array([1e-20, 1]),
    });
    for (const value of (await evaluate(uneven, undefined, true)).density) {
      assert(Math.abs(value - Math.exp(-0.5) / Math.sqrt(2 * Math.PI)) < 1e-6);
    }
  },
);

testOnDevices("createKde: logarithms stay finite where densities do not", async (device) => {
  const points = new Float32Array([0, 0, 1, 0]);
  using density = await createKde(device, points, { dimensions: 2, covariance: "identity", bandwidth: 1 });
  const far = await evaluate(density, new Float32Array([1e3, 0, 1e9, 1e9, 0, -1e17, 3, 4]));
  assertEquals([...far.density.subarray(0, 3)], [0, 0, 0]);
  for (const [i, wanted] of [-999 * 999 / 2 - Math.log(4 * Math.PI), -1e18, -5e33].entries()) {
    assert(Math.abs(far.log[i]! / wanted - 1) < 2 ** -20, `${far.log[i]}, ${wanted}`);
  }
  assert(Math.abs(far.log[3]! - Math.log(far.density[3]!)) < 1e-5);
  // A narrow kernel in many dimensions, and a wide one, leave the range of float32.
  const many = rows(3, 5, 64);
  for (const bandwidth of [1e-3, 1e6]) {
    using steep = await createKde(device, many, { dimensions: 64, covariance: "identity", bandwidth });
    const found = await evaluate(steep);
    const wanted = -Math.log(bandwidth === 1e6 ? 1 : 5) - 32 * Math.log(2 * Math.PI) -
      64 * Math.log(bandwidth);
    assertEquals([...found.density], Array(5).fill(bandwidth < 1 ? Infinity : 0));
    for (const log of found.log) {
      assert(Math.abs(log - wanted) < 2 ** -20 + 2 ** -21 * Math.abs(wanted), `${log}, ${wanted}`);
    }
  }
});

testOnDevices("createKde: bandwidths and points of any size work as far as float32 goes", async (device) => {
  for (const scale of [1e-30, 1e-12, 1, 1e12, 1e30]) {
    const points = new Float32Array([0, 1, 3]).map((x) => x * scale);
    for (const covariance of ["data", "isotropic", "identity"] as const) {
      const bandwidth = covariance === "identity" ? 0.5 * scale : 0.5;
      using density = await createKde(device, points, { dimensions: 1, covariance, bandwidth });
      const weights = new Float32Array(3).fill(1);
      const model = { points, weights, dimensions: 1, covariance, factor: bandwidth };
      const exact = oracle(model);
      const wanted = [...points].map((x) => exact([x]));
      assertDensities(
        await evaluate(density),
        wanted,
        wanted.map((part) => bound(model, part)),
        `${covariance}, ${scale}`,
      );
    }
  }
  // Distances far outside of the range are no kernels, and equal points still are.
  const points = new Float32Array([1e30, 1e30, -1e30]);
  using density = await createKde(device, points, {
    dimensions: 1,
    covariance: "identity",
    bandwidth: 1e-30,
    normalize: false,
  });
  assertEquals([...(await evaluate(density)).density], [2, 2, 1]);
});

testOnDevices(
  "createKde: moving, scaling and reordering the points change nothing that they should not",
  async (device) => {
    const [count, dimensions] = [200, 3];
    const points = rows(41, count, dimensions, { mix: 0.6 });
    const weights = new Float32Array(count).fill(1);
    const logs = async (data: Float32Array, queries: Float32Array): Promise<Float32Array> => {
      using density = await createKde(device, data, { dimensions });
      return (await evaluate(density, queries)).log;
    };
    const queries = rows(42, 50, dimensions);
    const base = await logs(points, queries);
    const model = { points, weights, dimensions, covariance: "data" as const, factor: count ** (-1 / 7) };
    const exact = oracle(model);
    const limits = Array.from(
      base,
      (log, i) =>
        2 * bound(model, exact(queries.subarray(i * 3, i * 3 + 3))) + 2 ** -20 + 2 ** -21 * Math.abs(log),
    );
    const same = (found: Float32Array, shift: number): void => {
      for (const [i, log] of found.entries()) {
        assert(Math.abs(log - shift - base[i]!) <= limits[i]!, `${log}, ${base[i]}`);
      }
    };
    const order = Array.from({ length: count }, (_, i) => (i * 77 + 13) % count);
    same(
      await logs(
        Float32Array.from({ length: 600 }, (_, i) => points[order[Math.floor(i / 3)]! * 3 + i % 3]!),
        queries,
      ),
      0,
    );
    // Powers of two scale exactly; the density of all three columns scales by their product.
    const factors = [2 ** -20, 8, 2 ** 30];
    const scaled = (data: Float32Array): Float32Array => data.map((x, i) => x * factors[i % 3]!);
    same(await logs(scaled(points), scaled(queries)), -13 * Math.LN2);
    // Points on a grid of 2^-10 move exactly.
    const grid = (data: Float32Array): Float32Array => data.map((x) => Math.round(x * 1024) / 1024);
    const moved = (data: Float32Array): Float32Array =>
      grid(data).map((x, i) => x + [1000, -4096, 8000][i % 3]!);
    const still = await logs(grid(points), grid(queries));
    for (const [i, log] of (await logs(moved(points), moved(queries))).entries()) {
      assert(Math.abs(log - still[i]!) <= limits[i]!, `${log}, ${still[i]}`);
    }
  },
);

testOnDevices(
  "createKde: runs repeat to the bit, whatever else is on the device, for any part of the queries",
  async (device) => {
    const [count, dimensions] = [1000, 5];
    const points = rows(51, count, dimensions);
    using density = await createKde(device, points, { dimensions });
    using first = density.run();
    using other = device.upload(rows(52, 90, 16));
    using matrix = device.allocate(90 * 90);
    const shape = { rows: 90, columns: 90, dimensions: 16, metric: "squared-euclidean" } as const;
    device.run(distanceMatrix, { a: other, b: other, output: matrix, ...shape });
    using few = density.run(rows(53, 7, dimensions));
    device.run(distanceMatrix, { a: other, b: other, output: matrix, ...shape });
    using second = density.run();
    using again = await createKde(device, points, { dimensions });
    using third = again.run(points);
    using part = again.run(points.subarray(600 * dimensions, 741 * dimensions));
    const [a, b, c, d] = await device.read([first, second, third, part, few]);
    assertEquals(a, b);
    assertEquals(a, c);
    assertEquals(a!.subarray(600, 741), d);
  },
);

testOnGpu("createKde: long work goes in several parts, which change nothing", async (device) => {
  // 2^34 operations are 1792 of these queries.
  const points = rows(61, 200_000, 1);
  using density = await createKde(device, points, { dimensions: 1, bandwidth: 0.01 });
  const before = device.counters.dispatches;
  using all = density.run(points.subarray(0, 1900));
  assertEquals(device.counters.dispatches - before, 4);
  using part = density.run(points.subarray(1780, 1800));
  assertEquals((await readFloats(all)).slice(1780, 1800), await readFloats(part));
});

testOnDevices("createKde: batches are densities side by side", async (device) => {
  const [batch, count, dimensions] = [3, 70, 2];
  const points = rows(71, batch * count, dimensions, { mix: 0.4 }).map((x, i) =>
    x * (1 + Math.floor(i / 140))
  );
  const queries = rows(72, batch * 10, dimensions);
  const size = count * dimensions;
  const shared = weightsOf(71, count);
  const own = weightsOf(73, batch * count);
  own[count + 5] = 1e4;
  for (const covariance of ["data", "isotropic", "identity"] as const) {
    for (const weights of [undefined, shared, own]) {
      const base = { dimensions, covariance, bandwidth: 0.7 };
      using together = await createKde(device, points, { ...base, batch, ...(weights && { weights }) });
      using there = device.upload(queries);
      for (const at of [undefined, queries, there]) {
        for (const leaveOneOut of at === undefined ? [false, true] : [false]) {
          const found = await evaluate(together, at, leaveOneOut);
          const each = found.log.length / batch;
          for (let element = 0; element < batch; element++) {
            const part = weights === own ? own.subarray(element * count, (element + 1) * count) : weights;
            using alone = await createKde(device, points.subarray(element * size, (element + 1) * size), {
              ...base,
              ...(part && { weights: part }),
            });
            using mine = device.upload(queries.subarray(element * 20, (element + 1) * 20));
            const wanted = await evaluate(alone, at === undefined ? undefined : mine, leaveOneOut);
            for (let i = 0; i < each; i++) {
              const log = found.log[element * each + i]!;
              assert(
                Math.abs(log - wanted.log[i]!) <= (at === queries ? 1e-4 : 0),
                `${covariance}, ${element}, ${i}: ${log}, ${wanted.log[i]}`,
              );
            }
          }
        }
      }
    }
  }
});

testOnDevices("createKde: weights act like repeated points, whatever their scale", async (device) => {
  const points = rows(81, 30, 2);
  const weights = Float32Array.from({ length: 30 }, (_, i) => i % 4);
  const repeated = Float32Array.from(
    [...weights].flatMap((times, i) => Array(times).fill([points[2 * i]!, points[2 * i + 1]!]).flat()),
  );
  const options = { dimensions: 2, covariance: "isotropic", bandwidth: 0.8 } as const;
  using one = await createKde(device, repeated, options);
  const wanted = await evaluate(one, points);
  for (const scale of [1, 3e-37, 1e37]) {
    using other = await createKde(device, points, { ...options, weights: weights.map((w) => w * scale) });
    const found = await evaluate(other, points);
    for (const [i, log] of found.log.entries()) {
      assert(Math.abs(log - wanted.log[i]!) < 2e-5, `${log}, ${wanted.log[i]}`);
    }
  }
  // Plain sums do see the scale.
  using plain = await createKde(device, points, {
    ...options,
    weights: weights.map((w) => 5 * w),
    normalize: false,
  });
  using single = await createKde(device, points, { ...options, weights, normalize: false });
  const five = await evaluate(plain);
  const ones = await evaluate(single);
  for (const [i, x] of five.density.entries()) assert(Math.abs(x / ones.density[i]! - 5) < 2e-5);
  // A heavy point far away must not silence a light one near by.
  using uneven = await createKde(device, new Float32Array([0, 1e4]), {
    dimensions: 1,
    covariance: "identity",
    bandwidth: 1,
    weights: new Float32Array([1e-30, 1e5]),
  });
  const [near, , between] = (await evaluate(uneven, new Float32Array([0, 1e4, 4e3]))).log;
  const constant = -Math.log(2 * Math.PI) / 2 + Math.log(1e-35);
  assert(Math.abs(near! - constant) < 1e-3);
  assert(Math.abs(between! - constant + 8e6) < 4);
});

testOnDevices(
  "createKde: one point, equal points, no queries, queries at infinity and queries that are no numbers",
  async (device) => {
    const options = { dimensions: 2, covariance: "identity", bandwidth: 2 } as const;
    using density = await createKde(device, new Float32Array([1, 1, 1, 1, 1, 1]), options);
    const found = await evaluate(
      density,
      new Float32Array([1, 1, Infinity, 0, 0, -Infinity, NaN, 0, Infinity, NaN]),
    );
    assert(Math.abs(found.density[0]! - 1 / (8 * Math.PI)) < 1e-8);
    assertEquals([...found.density.subarray(1)], [0, 0, NaN, NaN]);
    assertEquals([...found.log.subarray(1)], [-Infinity, -Infinity, NaN, NaN]);
    assertEquals((await evaluate(density, new Float32Array(0))).log.length, 0);
    // The same where the queries are turned, by the host and by the device.
    using turned = await createKde(device, rows(91, 40, 2, { mix: 0.9 }), { dimensions: 2 });
    const edge = new Float32Array([
      Infinity,
      0,
      0,
      -Infinity,
      -Infinity,
      Infinity,
      NaN,
      0,
      Infinity,
      NaN,
      0,
      NaN,
    ]);
    using there = device.upload(edge);
    for (const at of [edge, there]) {
      const { density: values, log } = await evaluate(turned, at);
      assertEquals([...values], [0, 0, 0, NaN, NaN, NaN]);
      assertEquals([...log], [-Infinity, -Infinity, -Infinity, NaN, NaN, NaN]);
    }
  },
);

testOnDevices(
  "createKde: points, weights, queries and results may be views at odd offsets",
  async (device) => {
    const points = rows(95, 90, 3);
    const weights = weightsOf(95, 90);
    const queries = rows(96, 11, 3);
    using expected = await createKde(device, points, { dimensions: 3, weights });
    using there = device.upload(queries);
    const wanted = await evaluate(expected, there);
    using all = device.upload(new Float32Array([9, ...points, 9, 9, ...weights, 9, ...queries, 9]));
    using target = device.upload(new Float32Array(20).fill(7));
    using density = await createKde(device, device.view(all, 1, 270), {
      dimensions: 3,
      weights: device.view(all, 273, 90),
    });
    const output = device.view(target, 5, 11);
    using result = density.run(device.view(all, 364, 33), { output, log: true });
    assertEquals(result.length, 11);
    assertEquals([...await readFloats(target)], [...Array(5).fill(7), ...wanted.log, ...Array(4).fill(7)]);
  },
);

testOnGpu("createKde: GPU buffers go in and out", async (device) => {
  const points = rows(97, 64, 4);
  using array = device.upload(points);
  using expected = await createKde(device, points, { dimensions: 4, covariance: "isotropic" });
  using wanted = expected.run();
  using density = await createKde(device, array.buffer, { dimensions: 4, covariance: "isotropic" });
  using target = device.allocate(64);
  density.run(array.buffer, { output: target.buffer })[Symbol.dispose]();
  assertEquals(await readFloats(target), await readFloats(wanted));
});

testOnDevices("createKde: nothing leaks, and a fit that fails allocates nothing", async (device) => {
  const before = device.counters;
  {
    using density = await createKde(device, rows(1, 100, 2), { dimensions: 2, weights: weightsOf(1, 100) });
    using queries = device.upload(rows(2, 10, 2));
    density.run(queries)[Symbol.dispose]();
    density.run(undefined, { leaveOneOut: true })[Symbol.dispose]();
    device.flush();
    const held = device.counters;
    density.run(rows(2, 10, 2), { log: true })[Symbol.dispose]();
    assertThrows(() => density.run(new Float32Array(3)));
    assertThrows(() => density.run(undefined, { output: queries }), RangeError);
    assertThrows(() => density.run(queries, { leaveOneOut: true }), TypeError);
    device.flush();
    assertEquals([device.counters.liveArrays, device.counters.liveBytes], [held.liveArrays, held.liveBytes]);
  }
  using constant = device.upload(new Float32Array(20).fill(3));
  await assertRejects(() => createKde(device, constant, { dimensions: 2 }), RangeError);
  constant[Symbol.dispose]();
  device.flush();
  assertEquals([device.counters.liveArrays, device.counters.liveBytes], [
    before.liveArrays,
    before.liveBytes,
  ]);
  const density = await createKde(device, rows(1, 100, 2), { dimensions: 2 });
  density[Symbol.dispose]();
  density[Symbol.dispose]();
  assertThrows(() => density.run(), TypeError, "Cannot evaluate a density as it has been disposed");
});

Deno.test("kde takes and returns typed arrays", async () => {
  const points = rows(5, 50, 2);
  using device = new CpuDevice();
  using density = await createKde(device, points, {
    dimensions: 2,
    bandwidth: (n, d) => n ** (-1 / (d + 4)),
  });
  const at = rows(6, 4, 2);
  const wanted = await evaluate(density, at);
  const before = device.counters.liveArrays;
  assertEquals(await kde(points, { dimensions: 2, at, device: "cpu" }), wanted.density);
  assertEquals(await kde(points, { dimensions: 2, at, device, logpdf: true }), wanted.log);
  assertEquals(await kde(points, { dimensions: 2, at, device, log: true }), wanted.log);
  assertEquals(
    await kde(points, { dimensions: 2, device, leaveOneOut: true }),
    (await evaluate(density, undefined, true)).density,
  );
  // The density that is still alive.
  assertEquals(device.counters.liveArrays, before);
});

Deno.test("kde refuses bad calls before anything is allocated", async () => {
  using device = new CpuDevice();
  const points = rows(5, 4, 2);
  const refused = async (
    options: Record<string, unknown>,
    error: typeof RangeError,
    message: string,
    data: unknown = points,
  ): Promise<void> => {
    const all = { dimensions: 2, device, ...options } as KdeCallOptions;
    await assertRejects(() => kde(data as Float32Array, all), error, message);
    assertEquals(device.counters.dispatches + device.counters.liveBytes, 0);
  };
  await refused(
    { dimensions: 0 },
    RangeError,
    "Cannot fit a density as dimensions must be an integer from 1 to 32768: current value is 0",
  );
  await refused(
    { dimensions: undefined },
    TypeError,
    "Cannot fit a density as dimensions must be a number: current value is undefined",
  );
  await refused(
    { dimensions: 3 },
    RangeError,
    "Cannot fit a density as the number of values in points must be a multiple of 3: it holds 8",
  );
  await refused(
    { batch: 0 },
    RangeError,
    "Cannot fit a density as batch must be an integer from 1 to 65535: current value is 0",
  );
  await refused(
    { batch: 3 },
    RangeError,
    "Cannot fit a density as the number of values in points must be a multiple of 6: it holds 8",
  );
  await refused(
    { bandwidht: 1 },
    TypeError,
    'Cannot fit a density as the option "bandwidht" is unknown: options are dimensions, batch,',
  );
  await refused(
    { bandwidth: "silvermann" },
    TypeError,
    'Cannot fit a density as bandwidth must be one of "scott", "silverman": current value is "silvermann"',
  );
  for (const bandwidth of [0, -1, NaN, Infinity]) {
    const message =
      `Cannot fit a density as the bandwidth must be above 0 and finite: current value is ${bandwidth}`;
    await refused({ bandwidth }, RangeError, message);
    await refused({ bandwidth: () => bandwidth }, RangeError, message);
  }
  await refused(
    { covariance: "full" },
    TypeError,
    'Cannot fit a density as covariance must be one of "data", "isotropic", "identity": current value is "full"',
  );
  await refused(
    { normalize: 1 },
    TypeError,
    "Cannot fit a density as normalize must be a boolean: current value is 1",
  );
  await refused(
    { log: "yes" },
    TypeError,
    'Cannot evaluate a density as log must be a boolean: current value is "yes"',
  );
  await refused(
    { at: new Float32Array(3) },
    RangeError,
    "Cannot evaluate a density as the number of values in at must be a multiple of 2: it holds 3",
  );
  await refused(
    { at: [1, 2] },
    TypeError,
    "Cannot fit a density as at must be a Float32Array, a device array or a GPUBuffer: current value is [1, 2]",
  );
  await refused(
    { at: points, leaveOneOut: true },
    TypeError,
    "Cannot evaluate a density as leaveOneOut goes with the points themselves: at is given",
  );
  await refused(
    {},
    RangeError,
    "Cannot fit a density as there must be points: none is given",
    new Float32Array(0),
  );
  await refused(
    {},
    TypeError,
    "Cannot fit a density as points must be a Float32Array, a device array or a GPUBuffer: current value is Float64Array",
    new Float64Array(8),
  );
  await refused(
    {},
    RangeError,
    "Cannot fit a density as the points must be finite: value 3 is not",
    new Float32Array([0, 1, 2, NaN, 4, 5, 6, 7]),
  );
  const weights = (...values: number[]): { weights: Float32Array } => ({ weights: new Float32Array(values) });
  await refused(
    weights(1, 2),
    RangeError,
    "Cannot fit a density as the number of weights must be 4: 2 are given",
  );
  await refused(
    { batch: 2, ...weights(1, 2, 3) },
    RangeError,
    "Cannot fit a density as the number of weights must be 2 or 4: 3 are given",
  );
  await refused(
    weights(1, 2, -1, 3),
    RangeError,
    "Cannot fit a density as weights must be from 0 on and finite: weight 2 is -1",
  );
  await refused(
    weights(1, 2, 1, NaN),
    RangeError,
    "Cannot fit a density as weights must be from 0 on and finite: weight 3 is NaN",
  );
  await refused(
    weights(0, 0, 0, 0),
    RangeError,
    "Cannot fit a density as some weight must be above 0: all are 0",
  );
});

Deno.test("kde says why a covariance is singular and what helps", async () => {
  using device = new CpuDevice();
  const cure = "; leave out columns that follow from others, give more points than dimensions, or use " +
    'covariance: "isotropic", or "identity" with a bandwidth in units of the points';
  const refused = async (points: number[], why: string, options: Partial<KdeOptions> = {}): Promise<void> => {
    await assertRejects(
      () => kde(new Float32Array(points), { dimensions: 2, device, ...options }),
      RangeError,
      `Cannot fit a density as the covariance of the points is singular (${why})${cure}`,
    );
  };
  await refused([1, 2], "only one point has a weight");
  await refused([1, 2, 3, 4, 5, 7], "only one point has a weight", { weights: new Float32Array([0, 1, 0]) });
  await refused([1, 2, 1, 4, 1, 7], "column 0 is constant");
  await refused([1, 2, 3, 4], "column 1 follows from those before it");
  await refused([1, 1, 1, 1], "column 0 is constant");
  // As far as float32 can tell: the sum of two columns, rounded.
  const random = testRandom(7);
  const sums = Array.from({ length: 40 }, () => {
    const [a, b] = [random(), random() * 100];
    return [a, b, Math.fround(a) + Math.fround(b)];
  }).flat();
  await refused(sums, "column 2 follows from those before it", { dimensions: 3 });
  // And not where a float32 shows the difference.
  const loose = sums.map((x, i) => i % 3 === 2 ? x + 1e-2 * random() : x);
  assertEquals((await kde(new Float32Array(loose), { dimensions: 3, device })).length, 40);
  await assertRejects(
    () => kde(new Float32Array([1, 1, 1]), { dimensions: 1, device, covariance: "isotropic" }),
    RangeError,
    "Cannot fit a density as all points with a weight are the same, which leaves no scale; use covariance: " +
      '"identity" with a bandwidth in units of the points',
  );
});
