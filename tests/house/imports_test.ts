import { assertEquals } from "@std/assert";
import { circles, forbidden, packageDoors, sideDoors, unresolvable, upwardImports } from "./imports.ts";
import type { Import } from "./tree.ts";

/** Imports from pairs of `from → to`; what holds a colon is a package. */
function imports(...pairs: readonly [from: string, to: string][]): Import[] {
  return pairs.map(([from, to]) => ({ from, specifier: to, to: /[:@]/.test(to) ? undefined : to }));
}

Deno.test("circles: each is told once, in its shortest form", () => {
  const tree = imports(
    ["a.ts", "b.ts"],
    ["b.ts", "c.ts"],
    ["c.ts", "a.ts"],
    ["c.ts", "d.ts"],
    ["d.ts", "d.ts"],
    ["e.ts", "a.ts"],
  );
  assertEquals(circles(tree), [
    "a.ts → b.ts → c.ts → a.ts is a circle: move what both ends need to a file of its own",
    "d.ts → d.ts is a circle: move what both ends need to a file of its own",
  ]);
  assertEquals(circles(imports(["a.ts", "b.ts"], ["a.ts", "c.ts"], ["b.ts", "d.ts"], ["c.ts", "d.ts"])), []);
});

Deno.test("upwardImports: downwards and from outside is allowed, upwards and to outside is not", () => {
  const floors = ["cli", "mod.ts", "kernels"];
  const good = imports(
    ["cli/a.ts", "mod.ts"],
    ["cli/a.ts", "cli/b.ts"],
    ["mod.ts", "kernels/mod.ts"],
    ["kernels/a.ts", "npm:cli@1.0.0"],
    ["tests/a.ts", "cli/a.ts"],
    ["tests/a.ts", "tools/a.ts"],
  );
  assertEquals(upwardImports(good, floors), []);
  assertEquals(upwardImports(imports(["kernels/a.ts", "mod.ts"], ["mod.ts", "tests/a.ts"]), floors), [
    "kernels/a.ts imports mod.ts and so upwards from kernels to mod.ts: move what it needs down",
    "mod.ts imports tests/a.ts, which is no part of the program: move what it needs onto a floor",
  ]);
});

Deno.test("sideDoors: insiders know one another and the front door", () => {
  const tree = imports(
    ["cli/a.ts", "cli/b.ts"],
    ["cli/a.ts", "studio/a.ts"],
    ["cli/a.ts", "mod.ts"],
    ["cli/a.ts", "npm:a@1.0.0"],
    ["cli/a.ts", "models/load.ts"],
    ["models/a.ts", "models/load.ts"],
  );
  assertEquals(sideDoors(tree, ["cli", "studio"], ["mod.ts"]), [
    "cli/a.ts imports models/load.ts: take it from mod.ts, the face that users have, or offer it there",
  ]);
});

Deno.test("forbidden: one room does not know the other", () => {
  const tree = imports(["bench/a.ts", "cli/a.ts"], ["bench/a.ts", "mod.ts"], ["tests/a.ts", "cli/a.ts"]);
  assertEquals(forbidden(tree, "bench", "cli"), [
    "bench/a.ts imports cli/a.ts, and bench must not know cli: move what it needs down, or write its own",
  ]);
});

Deno.test("packageDoors: a package has a door, everybody uses it, and no door leads nowhere", () => {
  const doors = { "a": ["x.ts"], "@b/c": ["cli/", "tests/"], "unused": ["x.ts"] };
  const tree = imports(
    ["x.ts", "npm:a@1.2.3"],
    ["cli/y.ts", "npm:@b/c@1.2.3/part.js"],
    ["tests/y.ts", "@b/c"],
    ["y.ts", "npm:a@1.2.3/part"],
    ["y.ts", "jsr:@d/e@^1"],
    ["y.ts", "node:path"],
    ["y.ts", "x.ts"],
  );
  assertEquals(packageDoors(tree, doors), [
    "y.ts imports the package a past its door: use x.ts",
    "y.ts imports the package @d/e, which has no door: give it one file, listed in house_test.ts",
    "The package unused is imported by nobody: take its door out of the list",
  ]);
});

Deno.test("unresolvable: what the roots reach names packages in full", () => {
  const tree = imports(
    ["mod.ts", "a.ts"],
    ["a.ts", "b.ts"],
    ["b.ts", "@std/assert"],
    ["b.ts", "npm:a@^1.0.0"],
    ["b.ts", "npm:a"],
    ["b.ts", "npm:@a/b@1.0.0-rc.1/part.js"],
    ["b.ts", "npm:a@1.0.0"],
    ["b.ts", "node:path"],
    ["tests/a.ts", "@std/assert"],
    ["tests/a.ts", "mod.ts"],
  );
  const cure = "which an import by URL cannot resolve: write npm:, the name, the exact version";
  assertEquals(unresolvable(tree, ["mod.ts"]), [
    `b.ts imports "@std/assert", ${cure}`,
    `b.ts imports "npm:a@^1.0.0", ${cure}`,
    `b.ts imports "npm:a", ${cure}`,
  ]);
});
