/**
 * Rules that every shader of a kernel keeps: what its header says and that it is true, one spelling of types,
 * sizes by name, and constants that are the same in the twin.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotMatch, assertThrows } from "@std/assert";
import { allKernels, combinations, completeText, overridesOf, PROJECT, shadersIn } from "./shaders.ts";

const shaders = await shadersIn("kernels/");
const kernels = await allKernels();

/** The path of the file beside it that a shader's header names as its twin. */
function twinOf({ path, header }: { path: string; header: string }): string {
  const [, name] = /Twin: (\w+\.ts)\./.exec(header) ?? [];
  if (name === undefined) throw new Error(`${path} names no twin: "Twin: NAME.ts."`);
  return path.slice(0, path.lastIndexOf("/") + 1) + name;
}

Deno.test("shaders: a shader's header says what it computes, its bindings, what it expects and its twin", async () => {
  assert(shaders.length > 30);
  for (const shader of shaders) {
    const { path, text, header, expects } = shader;
    assertMatch(text, /^\/\/ \w/, `${path} opens with no sentence`);
    assert(!text.includes("@binding") || header.includes("Bindings: "), `${path} lists no bindings`);
    assertMatch(
      header,
      /Expects (nothing|\w+\.wgsl.*?) in front of it\b/,
      `${path} says not what it expects`,
    );
    const twin = await Deno.readTextFile(new URL(twinOf(shader), PROJECT));
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

/** Numbers by the names of their constants, of those that are written as one literal or a power of 2. */
function constantsOf(source: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const [, name, value] of source.matchAll(/^(?:export )?const ([A-Z]\w*)(?:: \w+)? = (.+);/gm)) {
    const literal = value!.replaceAll("_", "").replace(/(?<=^(0x[\da-f]+|\d+))u$/i, "");
    const [, base, exponent] = /^(\d+) \*\* (\d+)$/.exec(literal) ?? [];
    const number = base === undefined ? Number(literal) : Number(base) ** Number(exponent);
    if (!Number.isNaN(number)) found.set(name!, number);
  }
  return found;
}

Deno.test("shaders: constants that a shader and its twin both have are equal", async () => {
  const compared = new Set<string>();
  for (const shader of shaders) {
    const twin = twinOf(shader);
    const source = await Deno.readTextFile(new URL(twin, PROJECT));
    const sources = [source];
    // A twin may take a constant from another file.
    for (const [, file] of source.matchAll(/ from "(\.[^"]+\.ts)"/g)) {
      sources.push(await Deno.readTextFile(new URL(file!, new URL(twin, PROJECT))));
    }
    for (const [name, value] of constantsOf(shader.text)) {
      for (const other of sources.map(constantsOf)) {
        if (!other.has(name)) continue;
        assertEquals(other.get(name), value, `${name} in ${shader.path} and by way of ${twin}`);
        compared.add(`${shader.path}: ${name}`);
        break;
      }
    }
  }
  // Some that would read as wrong numbers, not as an error, so that what is compared does not dwindle unseen.
  for (
    const constant of [
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
    ]
  ) assert(compared.has(`kernels/${constant}`), `kernels/${constant} is not compared`);
});
