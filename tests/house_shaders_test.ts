/**
 * Rules that every shader of a kernel keeps: what its header says and that it is true, one spelling of types,
 * sizes by name, and constants that are the same in the twin.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotMatch, assertThrows } from "@std/assert";
import { PICKS, STRATEGIES } from "../kernels/candidates/select.ts";
import { PURPOSE } from "../kernels/exact/threefry.ts";
import { DISTANCE_METRICS } from "../kernels/points/distance.ts";
import { readTree } from "./house/tree.ts";
import {
  bareCounts,
  constantsKnownTo,
  sharedConstants,
  uncomparedSizes,
  unequalConstants,
  unlistedBindings,
} from "./house/twins.ts";
import { allKernels, combinations, completeText, overridesOf, PROJECT, shadersIn } from "./shaders.ts";

const shaders = await shadersIn("kernels/");
const kernels = await allKernels();
const tree = await readTree(PROJECT, [".ts"], ["bench", "docs", "out", "tests"]);

/** The path of the file beside it that a shader's header names as its twin. */
function twinOf({ path, header }: { path: string; header: string }): string {
  const [, name] = /Twin: (\w+\.ts)\./.exec(header) ?? [];
  if (name === undefined) throw new Error(`${path} names no twin: "Twin: NAME.ts."`);
  return path.slice(0, path.lastIndexOf("/") + 1) + name;
}

Deno.test("shaders: a shader's header says what it computes, its bindings, what it expects and its twin", () => {
  assert(shaders.length > 30);
  for (const shader of shaders) {
    const { path, text, header, expects } = shader;
    assertMatch(text, /^\/\/ \w/, `${path} opens with no sentence`);
    assertEquals(unlistedBindings(shader), []);
    assertMatch(
      header,
      /Expects (nothing|\w+\.wgsl.*?) in front of it\b/,
      `${path} says not what it expects`,
    );
    const twin = tree.get(twinOf(shader)) ?? "";
    // What stands in front of others has a twin, too, in the file that hands it on.
    assert(twin.includes(`from "./${path.split("/").at(-1)}"`), `${path} is not of ${twinOf(shader)}`);
    for (const name of expects) {
      assert(shaders.some((other) => other.path.endsWith(`/${name}`)), `${path} expects ${name}`);
    }
  }
});

Deno.test("shaders: a kernel's text is what its shader's header expects, then the shader", () => {
  const entries = shaders.filter(({ text }) => text.includes("@compute"));
  for (const { path, kernel } of kernels) {
    const own = entries.find((shader) => kernel.wgsl.startsWith(completeText(shader, shaders)));
    if (own === undefined) throw new Error(`${path} has a text that is of no header`);
    // Only where the header says so does something stand behind.
    assertEquals(kernel.wgsl !== completeText(own, shaders), own.header.includes(" behind."), path);
  }
});

Deno.test("shaders: a kernel names every value of the numbers that its shader is compiled with", () => {
  for (const { path, kernel } of kernels) {
    try {
      assert(combinations(overridesOf(kernel)).length > 0);
    } catch (cause) {
      throw new Error(`${path}: ${(cause as Error).message}`, { cause });
    }
  }
  const wgsl = "override SIZE: u32;\noverride FAST: bool = false;\n";
  assertThrows(() => overridesOf({ wgsl }), Error, "lack the values of SIZE");
  assertThrows(() => overridesOf({ wgsl, overrides: { SIZE: [1], WIDTH: [2] } }), Error, "name WIDTH");
  assertEquals(combinations(overridesOf({ wgsl, overrides: { SIZE: [4, 8] } })), [
    { SIZE: 4, FAST: 0 },
    { SIZE: 4, FAST: 1 },
    { SIZE: 8, FAST: 0 },
    { SIZE: 8, FAST: 1 },
  ]);
});

Deno.test("shaders spell types and sizes in one way", async () => {
  for (const { path, text } of [...shaders, ...await shadersIn("bench/naive/")]) {
    assertNotMatch(text, /\b(vec[234]|mat[234]x[234])<[fiu]32>/, `${path}: vec4u, not vec4<u32>`);
  }
  for (const { path, text } of shaders) {
    assertNotMatch(text, /@workgroup_size\([^)]*\d/, `${path}: the size of a workgroup has a name`);
    assertNotMatch(
      text,
      /var<(workgroup|private)> \w+: array<.*, \d+u?>;/,
      `${path}: an array's length has a name`,
    );
  }
});

/** Where a shader has names of its own for the values that its twin has, by path. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  "kernels/exact/threefry.wgsl": {
    TOKEN_PURPOSE: PURPOSE.token,
    PERMUTATION_PURPOSE: PURPOSE.permutation,
    CHOICE_PURPOSE: PURPOSE.choice,
    NOISE_PURPOSE: PURPOSE.noise,
  },
  "kernels/points/distance.wgsl": {
    SQUARED_EUCLIDEAN: DISTANCE_METRICS.indexOf("squared-euclidean"),
    EUCLIDEAN: DISTANCE_METRICS.indexOf("euclidean"),
    COSINE: DISTANCE_METRICS.indexOf("cosine"),
    INNER_PRODUCT: DISTANCE_METRICS.indexOf("inner-product"),
  },
  "kernels/candidates/select.wgsl": {
    BY_RULE: STRATEGIES.indexOf("var-scaling"),
    DENSEST_FIRST: STRATEGIES.indexOf("top-k"),
    SPARSEST_FIRST: STRATEGIES.indexOf("small-k"),
    AT_RANDOM: STRATEGIES.indexOf("random-k"),
    GREATEST: PICKS.indexOf("argmax"),
    UNIFORMLY: PICKS.indexOf("uniform"),
    BY_RANK: PICKS.indexOf("rank"),
  },
};

/** Sizes on which no plan depends: a workgroup has its image, its row, or a number of words. */
const INNER: Readonly<Record<string, string>> = {
  "kernels/candidates/bandwidth.wgsl": "LANES",
  "kernels/candidates/density.wgsl": "LANES",
  "kernels/candidates/expected_density.wgsl": "LANES",
  "kernels/candidates/group_tokens.wgsl": "LANES",
  "kernels/candidates/hamming_bandwidth.wgsl": "LANES",
  "kernels/candidates/select.wgsl": "LANES",
  "kernels/maps/merge.wgsl": "LANES",
  "kernels/points/kernel_density_sum.wgsl": "SLICES",
  "kernels/sampling/missing_bits.wgsl": "LANES",
  "kernels/sampling/smooth.wgsl": "THREADS",
  "kernels/sampling/sum_evidence.wgsl": "LANES",
};

Deno.test("shaders: what a shader and its twin both know is equal", () => {
  const shared = new Set<string>();
  const offences = shaders.flatMap((shader) => {
    const { path, text } = shader;
    const own = constantsKnownTo(twinOf(shader), tree);
    const twin = new Map([...own, ...Object.entries(RENAMED[path] ?? {})]);
    for (const name of sharedConstants(text, twin)) shared.add(`${path}: ${name}`);
    return [
      ...unequalConstants(shader, twin),
      ...uncomparedSizes(shader, twin, INNER[path]),
      ...bareCounts(twinOf(shader), tree.get(twinOf(shader))!),
    ];
  });
  assertEquals(offences, []);
  assertEquals(Object.keys(INNER).filter((path) => !shaders.some((shader) => shader.path === path)), []);
  // All renamed ones, and some that would read as wrong numbers, not as an error, so that what is compared
  // does not dwindle unseen.
  const renamed = Object.entries(RENAMED).flatMap(([path, names]) =>
    Object.keys(names).map((name) => `${path}: ${name}`)
  );
  const lasting = [
    "candidates/hamming_density.wgsl: MAX_BITS",
    "candidates/select.wgsl: DECISION_WORDS",
    "candidates/select.wgsl: LEAST_SCORE",
    "candidates/select.wgsl: MAX_DRAWS",
    "codebook/bit_codes.wgsl: GROUP_CHANNELS",
    "codebook/nearest.wgsl: LANES",
    "codebook/nearest.wgsl: ROWS",
    "maps/merge.wgsl: GROUP_WORDS",
    "points/distance.wgsl: LANES",
    "sampling/logit.wgsl: INFINITE_KEY",
    "sampling/sample.wgsl: KEPT_KEYS",
  ].map((constant) => `kernels/${constant}`);
  assertEquals([...renamed, ...lasting].filter((constant) => !shared.has(constant)), [], "not compared");
});
