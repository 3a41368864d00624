import { assertEquals } from "@std/assert";
import {
  bareCounts,
  constantsKnownTo,
  constantsOf,
  sharedConstants,
  uncomparedSizes,
  unequalConstants,
  unlistedBindings,
} from "./twins.ts";

/** A shader whose workgroups are tiles of 64. */
const TILES = {
  path: "a.wgsl",
  text: "const TILE = 8u;\nconst LANES = TILE * TILE;\n@compute @workgroup_size(LANES)\nfn main() {}\n",
};

Deno.test("unlistedBindings: storage is named in the sentence about bindings, not elsewhere", () => {
  const text = "@group(0) @binding(0) var<uniform> parameters: P;\n" +
    "@group(0) @binding(1) var<storage, read> input: array<u32>;\n" +
    "@group(0) @binding(2) var<storage, read_write> output: array<u32>;\n";
  const offence = (name: string) =>
    `a.wgsl binds ${name}, which its header does not list: name it in "Bindings: …"`;
  const of = (header: string) => unlistedBindings({ path: "a.wgsl", text, header });
  assertEquals(of("Adds. Bindings: input [count] as b.wgsl has it, output [count]. Expects nothing."), []);
  assertEquals(of("Adds. Bindings: input [count]. The output is exact."), [offence("output")]);
  assertEquals(of("Adds. Bindings: inputs [count], output."), [offence("input")]);
  assertEquals(of("Adds input to output."), [offence("input"), offence("output")]);
});

Deno.test("constantsOf: literals of both languages, powers and products", () => {
  const source =
    "export const A: number = 0xffu;\nconst B = 2 ** 24;\nconst C = 1_000;\nconst D = 2u * C;\n" +
    'const E = "a";\nconst F = B - 1;\nconst lower = 1;\nfn f() {\n  const G = 1u;\n}\n';
  assertEquals(Object.fromEntries(constantsOf(source)), { A: 255, B: 2 ** 24, C: 1000, D: 2000 });
});

Deno.test("constantsKnownTo: a module's own and those that it imports by name, not what is private elsewhere", () => {
  const tree = new Map([
    ["maps/a.ts", 'import { f, LIMIT, type T, WIDE as W } from "../b/c.ts";\nconst OWN = 1;\n'],
    [
      "b/c.ts",
      "const LANES = 64;\nexport const LIMIT = 2;\nexport const WIDE = 3;\nexport const OTHER = 4;\n",
    ],
  ]);
  assertEquals(Object.fromEntries(constantsKnownTo("maps/a.ts", tree)), { OWN: 1, LIMIT: 2, W: 3 });
});

Deno.test("unequalConstants: what both have must be the same", () => {
  const shader = { path: "a.wgsl", text: "const LANES = 64u;\nconst HALO = 10u;\n" };
  assertEquals(unequalConstants(shader, new Map([["LANES", 64], ["HALF", 5]])), []);
  assertEquals(unequalConstants(shader, new Map([["LANES", 128]])), [
    "a.wgsl has 64 for LANES and its twin 128: make them one",
  ]);
  assertEquals(sharedConstants(shader.text, new Map([["LANES", 128], ["HALF", 5]])), ["LANES"]);
});

Deno.test("uncomparedSizes: a twin knows what the size of workgroups is made of", () => {
  assertEquals(uncomparedSizes(TILES, new Map([["TILE", 8]])), []);
  assertEquals(uncomparedSizes(TILES, new Map([["LANES", 64]])), [
    "a.wgsl has workgroups of TILE, which its twin does not know: count workgroups by it",
  ]);
  assertEquals(uncomparedSizes(TILES, new Map(), "TILE"), []);
  assertEquals(uncomparedSizes(TILES, new Map([["TILE", 8]]), "TILE"), [
    "a.wgsl is listed with TILE for nothing: take it out",
  ]);
  const compiledIn = { path: "a.wgsl", text: "override LANES: u32;\n@compute @workgroup_size(LANES)\n" };
  assertEquals(uncomparedSizes(compiledIn, new Map()), []);
});

Deno.test("bareCounts: workgroups are counted by names", () => {
  assertEquals(
    bareCounts("a.ts", "  workgroups: spread(Math.ceil(count / LANES)),\n  const size = count / 64;\n"),
    [],
  );
  assertEquals(bareCounts("a.ts", "const [x, y] = spread(Math.ceil(count / 64));\n"), [
    "a.ts counts workgroups by 64: give it the name that the shader has for it",
  ]);
  assertEquals(bareCounts("a.ts", "  workgroups: [Math.ceil(count / 4 / 256), 1, 1],\n"), [
    "a.ts counts workgroups by 256: give it the name that the shader has for it",
  ]);
});
