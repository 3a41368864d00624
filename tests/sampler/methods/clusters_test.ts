import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { kMeans, type KMeansOptions, survivorsOf } from "../../../sampler/methods/clusters.ts";
import { testRandom } from "../../devices.ts";
import golden from "../../fixtures/golden/tts-var/expected.json" with { type: "json" };

/** A set of `record.py` beside the fixture, which makes the points in the same way. */
interface Recorded {
  readonly points: readonly Float64Array[];
  readonly k: number;
  readonly seeds: readonly number[];
  readonly labels: readonly number[];
  readonly inertia: number;
  readonly steps: number;
  /** The labels in float32. */
  readonly rounded: readonly number[];
}

const fixture = new URL("../../fixtures/clusters/sklearn.txt", import.meta.url);
const sets = (await Deno.readTextFile(fixture)).trim().split("\n").slice(1).map((line, number): Recorded => {
  const [sizes, seeds, labels, [inertia], [steps], rounded] = line.split("; ").map((field) => {
    return field.split(" ").map(Number);
  }) as [number[], number[], number[], number[], number[], number[]?];
  const [count, k, dimensions] = sizes as [number, number, number];
  let x = number;
  const next = (): number => (x = (Math.imul(1664525, x) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < 16; i++) next();
  const coordinate = (): number => next() + next() + next() + next() - 2;
  const points = Array.from({ length: count }, () => Float64Array.from({ length: dimensions }, coordinate));
  return { points, k, seeds, labels, inertia: inertia!, steps: steps!, rounded: rounded ?? labels };
});

function table(count: number, dimensions: number, value: (i: number, j: number) => number): Float32Array[] {
  return Array.from(
    { length: count },
    (_, i) => Float32Array.from({ length: dimensions }, (_, j) => value(i, j)),
  );
}

const GOLDEN_8 = table(8, 4, (i, j) => Math.sin(1.3 * i + 0.7 * j) * (1 + 0.25 * i));

Deno.test("kMeans: seeds, labels and inertia are the golden ones", () => {
  for (const wanted of golden.kmeans.cases) {
    const found = kMeans(GOLDEN_8, wanted.k);
    assertEquals(found.seeds, wanted.kpp_init_indices);
    assertEquals([...found.labels], wanted.labels);
    assertAlmostEquals(found.inertia, wanted.inertia, 1e-6 * wanted.inertia);
  }
  const points = table(16, 16, (i, j) => {
    return Math.sin(0.37 * i * i + 0.11 * j * (i + 1)) + 0.3 * Math.cos(1.9 * i * j);
  });
  const wanted = golden.kmeans_16_12;
  const found = kMeans(points, 12);
  assertEquals(found.seeds, wanted.kpp_init_indices);
  assertEquals([...found.labels], wanted.labels);
  assertAlmostEquals(found.inertia, wanted.inertia, 1e-6 * wanted.inertia);
});

Deno.test("kMeans: seeds, labels, inertia and steps are scikit-learn's but where its rounding decides", () => {
  assertEquals(sets.length, 540);
  // Of two trials that are each other's nearest points both leave the same, so that seeds or labels are
  // others.
  const [otherSeeds, otherLabels] = [[301, 348, 354, 505, 507, 519], [348, 354, 505, 507, 519]];
  for (const [number, { points, k, seeds, labels, inertia, steps }] of sets.entries()) {
    const found = kMeans(points, k);
    assertEquals(found.seeds.some((seed, i) => seed !== seeds[i]), otherSeeds.includes(number), `${number}`);
    assertEquals(
      found.labels.some((label, i) => label !== labels[i]),
      otherLabels.includes(number),
      `${number}`,
    );
    if (otherLabels.includes(number)) continue;
    assertEquals(found.steps, steps, `${number}`);
    assertAlmostEquals(found.inertia, inertia, 1e-12 * (1 + inertia), `${number}`);
  }
});

Deno.test("kMeans: labels of float32 data are scikit-learn's in float32 but in three sets", () => {
  const other = sets.flatMap(({ points, k, rounded }, number) => {
    const { labels } = kMeans(points.map((point) => new Float32Array(point)), k);
    return labels.some((label, i) => label !== rounded[i]) ? [number] : [];
  });
  assertEquals(other, [164, 232, 353]);
});

Deno.test("kMeans: centers are the means of their points, which belong to the nearest", () => {
  const random = testRandom(5);
  for (let round = 0; round < 50; round++) {
    const [count, dimensions] = [2 + Math.floor(random() * 30), 1 + Math.floor(random() * 6)];
    const points = table(count, dimensions, () => random() * 8 - 3);
    const k = 1 + Math.floor(random() * count);
    const { labels, centers, steps } = kMeans(points, k, { tolerance: 0, seed: round });
    assert(steps <= 300);
    const squared = (point: Float32Array, center: Float64Array): number => {
      return point.reduce((sum, value, j) => sum + (value - center[j]!) ** 2, 0);
    };
    for (const [cluster, center] of centers.entries()) {
      const members = points.filter((_, i) => labels[i] === cluster);
      assert(members.length > 0);
      for (const [j, value] of center.entries()) {
        const mean = members.reduce((sum, point) => sum + point[j]!, 0) / members.length;
        assertAlmostEquals(value, mean, 1e-12);
      }
    }
    for (const [i, point] of points.entries()) {
      const own = squared(point, centers[labels[i]!]!);
      for (const center of centers) assert(own <= squared(point, center) + 1e-12);
    }
  }
});

Deno.test("kMeans: an empty cluster takes the point farthest from its center, as in scikit-learn", () => {
  const points = [0, 1, 2, 10, 11, 30, 33, 70].map((value) => [value]);
  // KMeans(k, init=points[seeds], n_init=1).fit_predict(points): of equal centers all but the first are
  // empty.
  const wanted: [seeds: number[], labels: number[]][] = [
    [[0, 0], [0, 0, 0, 0, 0, 0, 0, 1]],
    [[3, 3], [0, 0, 0, 0, 0, 0, 0, 1]],
    [[7, 7, 7], [1, 1, 1, 2, 2, 0, 0, 0]],
    [[0, 0, 0], [0, 0, 0, 0, 0, 2, 2, 1]],
    [[1, 1, 5], [0, 0, 0, 0, 0, 2, 2, 1]],
    [[5, 4, 4, 4], [3, 3, 3, 1, 1, 0, 0, 2]],
    [[2, 6, 2, 6], [0, 0, 0, 3, 3, 1, 1, 2]],
    [[0, 0, 1, 1, 1], [0, 0, 0, 2, 2, 4, 3, 1]],
  ];
  for (const [seeds, labels] of wanted) {
    assertEquals([...kMeans(points, seeds.length, { seeds }).labels], labels, `${seeds}`);
  }
});

Deno.test("survivorsOf: of each golden cluster an acceptable member goes on, of a pair the lower one", () => {
  for (const { k, acceptable_selection_per_cluster: acceptable } of golden.kmeans.cases) {
    const { survivors, substitutes } = survivorsOf(GOLDEN_8, k);
    assertEquals(survivors, acceptable.map((members) => Math.min(...members)));
    assertEquals(substitutes, 0);
    assertEquals(
      survivorsOf(GOLDEN_8, k, { order: "candidate" }).survivors,
      survivors.toSorted((a, b) => a - b),
    );
  }
});

Deno.test("survivorsOf: distances that differ by rounding are ties", () => {
  // Corners of a regular polygon far from the origin, as far from their middle but for rounding.
  for (let corners = 3; corners < 12; corners++) {
    const points = Array.from({ length: corners }, (_, i) => {
      const angle = 2 * Math.PI * i / corners + 0.3;
      return [1000 + Math.cos(angle) / 3, 500 + Math.sin(angle) / 3];
    });
    assertEquals(survivorsOf([...points, [0, 0]], 2).survivors.toSorted(), [0, corners]);
  }
  // A distance that float32 resolves is none.
  assertEquals(survivorsOf([[-1], [0.25], [1]], 1).survivors, [1]);
  assertEquals(survivorsOf([[3, 0], [0, 3.001], [-3, 0], [0, -2.999]], 1).survivors, [3]);
});

Deno.test("survivorsOf: empty clusters are filled with the lowest that are left", () => {
  for (let count = 1; count < 9; count++) {
    const equal = Array.from({ length: count }, () => [0.1, 0.2, 0.7]);
    for (let k = 1; k <= count; k++) {
      const { survivors, substitutes } = survivorsOf(equal, k);
      assertEquals(survivors, Array.from({ length: k }, (_, i) => i));
      assertEquals(substitutes, k - 1);
    }
  }
  const random = testRandom(11);
  for (let round = 0; round < 200; round++) {
    const count = 1 + Math.floor(random() * 12);
    const k = 1 + Math.floor(random() * count);
    const different = table(1 + Math.floor(random() * count), 3, () => random());
    const points = Array.from({ length: count }, () => different[Math.floor(random() * different.length)]!);
    const { survivors, labels, substitutes } = survivorsOf(points, k);
    assertEquals(survivors.length, k);
    assertEquals(new Set(survivors).size, k);
    assert(survivors.every((survivor) => survivor >= 0 && survivor < count));
    assertEquals(substitutes, k - new Set(labels).size);
    assertEquals(new Set(labels).size, Math.min(k, new Set(points).size));
    // Equal candidates are in one cluster, whose first one goes on.
    for (const survivor of survivors.toSorted().slice(0, k - substitutes)) assert(labels[survivor]! < k);
  }
});

Deno.test("survivorsOf: all go on, or the one nearest to the middle", () => {
  const points = table(6, 5, (i, j) => Math.sin(i * i + j));
  assertEquals(survivorsOf(points, 6, { order: "candidate" }).survivors, [0, 1, 2, 3, 4, 5]);
  assertEquals(survivorsOf([[0], [10], [4]], 1).survivors, [2]);
  // As they were chosen by scikit-learn's order of seeds.
  assertEquals(survivorsOf(points, 6).survivors, kMeans(points, 6).seeds);
});

Deno.test("survivorsOf: neither a shift nor a power of two as a scale changes who goes on", () => {
  const random = testRandom(3);
  for (const scale of [2 ** -60, 2 ** -20, 2 ** 20, 2 ** 100]) {
    const points = table(16, 8, () => Math.floor(random() * 4096) / 4096);
    const wanted = survivorsOf(points, 12);
    assertEquals(survivorsOf(points.map((point) => point.map((value) => value * scale)), 12), wanted);
    assertEquals(survivorsOf(points.map((point) => point.map((value) => value + 32)), 12), wanted);
  }
});

Deno.test("survivorsOf: what cannot be clustered is refused", () => {
  const points = [[0, 1], [1, 0], [1, 1]];
  const bad: [unknown, number, object, string][] = [
    [points, 0, {}, "k must be an integer from 1 to 3: current value is 0"],
    [points, 4, {}, "k must be an integer from 1 to 3: current value is 4"],
    [[], 1, {}, "the number of points must be an integer >= 1: current value is 0"],
    [[[]], 1, {}, "the length of point 0 must be an integer >= 1: current value is 0"],
    [[[0, 1], [1]], 1, {}, "the length of point 1 must be an integer from 2 to 2: current value is 1"],
    [[[0, 1], [1, NaN]], 1, {}, "number 1 of point 1 must be finite in float32: current value is NaN"],
    [[[Infinity, 1]], 1, {}, "number 0 of point 0 must be finite in float32: current value is Infinity"],
    [[[1e39]], 1, {}, "number 0 of point 0 must be finite in float32: current value is 1e+39"],
    [points, 1, { steps: 0 }, "steps must be an integer >= 1: current value is 0"],
    [points, 2, { seeds: [0] }, "the number of seeds must be an integer from 2 to 2: current value is 1"],
    [points, 1, { seeds: [3] }, "each of seeds must be an integer from 0 to 2: current value is 3"],
    [points, 1, { tolerance: NaN }, "tolerance must be a finite number >= 0: current value is NaN"],
  ];
  for (const [given, k, options, message] of bad) {
    const error = assertThrows(
      () => survivorsOf(given as number[][], k, options as KMeansOptions),
      RangeError,
    );
    assertEquals(error.message, `Cannot cluster points as ${message}`);
  }
  assertThrows(
    () => survivorsOf(points, 1, { order: "score" as "cluster" }),
    TypeError,
    'Cannot cluster points as order must be one of "cluster", "candidate": current value is "score"',
  );
});
