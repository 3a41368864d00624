import { assertEquals } from "@std/assert";
import { processWide, strayTests, unintroduced, untested, vagueNames, wideComments } from "./files.ts";
import type { Import, Tree } from "./tree.ts";

/** A tree of files without content. */
function files(...paths: readonly string[]): Tree {
  return new Map(paths.map((path) => [path, ""]));
}

Deno.test("unintroduced: modules open with a comment of their own, save tests of files", () => {
  const tree = new Map([
    ["good.ts", "/**\n * What it is for.\n *\n * @module\n */\n"],
    ["late.ts", "const a = 1;\n/**\n * What it is for.\n *\n * @module\n */\n"],
    ["empty.ts", "/**\n * @module\n */\n"],
    ["no_module.ts", "/** What the next thing is for. */\nexport const A = 1;\n"],
    ["types.d.ts", "declare const a: number;"],
    ["kernel.wgsl", "fn main() {}"],
    ["tests/good_test.ts", "Deno.test();"],
    ["tests/story_test.ts", "Deno.test();"],
  ]);
  const offence = "does not open with a comment and @module: say what it is for and what it leaves to others";
  assertEquals(unintroduced(tree), [
    `late.ts ${offence}`,
    `empty.ts ${offence}`,
    `no_module.ts ${offence}`,
    `tests/story_test.ts ${offence}`,
  ]);
});

Deno.test("vagueNames: a name tells one story, in snake_case", () => {
  assertEquals(vagueNames(["a/pack.ts", "pack_test.ts", "pack.wgsl", "types.d.ts", "shared_rows.ts"]), []);
  const vague = ["utils.ts", "a/gpu_helpers.ts", "common.wgsl", "tests/misc_test.ts"];
  assertEquals(
    vagueNames(vague),
    vague.map((path) => `${path} has a name for anything: call it by the one story it tells`),
  );
  const spelled = ["openDevice.ts", "open-device.ts", "Device.ts"];
  assertEquals(vagueNames(spelled), spelled.map((path) => `${path} is not in snake_case: rename it`));
});

Deno.test("strayTests: a test mirrors a file or is listed, and no entry is idle", () => {
  const tree = files(
    "kernels/pack.ts",
    "tests/kernels/pack_test.ts",
    "tests/kernels/old_test.ts",
    "tests/url_test.ts",
    "tests/house/tree.ts",
    "tests/house/tree_test.ts",
    "tests/kernels/fixtures.ts",
  );
  assertEquals(strayTests(tree, ["tests/url_test.ts"]), [
    "tests/kernels/old_test.ts mirrors no file kernels/old.ts: move it, or list it in house_test.ts",
  ]);
  const listed = [
    "tests/url_test.ts",
    "tests/kernels/old_test.ts",
    "tests/gone_test.ts",
    "tests/kernels/pack_test.ts",
  ];
  assertEquals(strayTests(tree, listed), [
    "tests/gone_test.ts is listed and not there: take it out of the list",
    "tests/kernels/pack_test.ts is listed for nothing, as it has its counterpart: take it out",
  ]);
});

Deno.test("untested: a file has a test or is covered by one that reaches it", () => {
  const tree = files(
    "mod.ts",
    "bench/a.ts",
    "kernels/a.ts",
    "kernels/a.wgsl",
    "kernels/b.ts",
    "kernels/c.ts",
    "tests/kernels/a_test.ts",
  );
  const imports: Import[] = [
    { from: "tests/kernels/a_test.ts", specifier: "../../mod.ts", to: "mod.ts" },
    { from: "mod.ts", specifier: "./kernels/b.ts", to: "kernels/b.ts" },
  ];
  assertEquals(untested(tree, imports, { "kernels/b.ts": "tests/kernels/a_test.ts" }), [
    "kernels/c.ts has no test: write tests/kernels/c_test.ts, or list in covered.ts which test covers it",
  ]);
  assertEquals(
    untested(tree, imports, {
      "kernels/a.ts": "tests/kernels/a_test.ts",
      "kernels/b.ts": "tests/kernels/gone_test.ts",
      "kernels/c.ts": "tests/kernels/a_test.ts",
      "kernels/d.ts": "tests/kernels/a_test.ts",
    }),
    [
      "kernels/b.ts is to be covered by tests/kernels/gone_test.ts, which is not there: correct covered.ts",
      "kernels/c.ts is to be covered by tests/kernels/a_test.ts, which does not reach it by imports: correct " +
      "covered.ts",
      "kernels/a.ts is listed for nothing, as it has its counterpart: take it out",
      "kernels/d.ts is listed and not there: take it out of the list",
    ],
  );
});

Deno.test("wideComments: in shaders only, by characters", () => {
  const tree = new Map([
    ["a.wgsl", "// 45678\n// 456789\nlet wide_code = 1;\n// ––––––\n"],
    ["a.ts", "// 456789\n"],
  ]);
  assertEquals(wideComments(tree, 8), [
    "a.wgsl:2 has a comment beyond column 8: wrap it",
    "a.wgsl:4 has a comment beyond column 8: wrap it",
  ]);
});

Deno.test("processWide: tests that move the whole process, and what they call", () => {
  const tree = new Map([
    ["tests/moves_test.ts", "Deno." + "chdir(folder);"],
    ["tests/sets_test.ts", "Deno.env." + "set(name, value); Deno.env." + "delete(name);"],
    ["tests/asks_test.ts", "Deno.env.get(name); Deno.cwd();"],
    ["cli/main.ts", "Deno.env." + "set(name, value);"],
  ]);
  assertEquals(processWide(tree), [
    "tests/moves_test.ts calls Deno.chdir: take environment.ts, or a process of its own",
    "tests/sets_test.ts calls Deno.env.set: take environment.ts, or a process of its own",
    "tests/sets_test.ts calls Deno.env.delete: take environment.ts, or a process of its own",
  ]);
});
