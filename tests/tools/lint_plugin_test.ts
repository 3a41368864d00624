/**
 * The project's lint rules on small made-up sources: what each refuses, and what it lets pass.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import plugin, { STORIES } from "../../tools/lint_plugin.ts";

/** What the plug-in reports for a source, as the rule and the part of the source that it points at. */
function reports(source: string): string[] {
  return Deno.lint.runPlugin(plugin, "made_up_test.ts", source).map(({ id, range: [from, to] }) =>
    `${id.replace("varscale/", "")}: ${source.slice(from, to)}`
  );
}

Deno.test("plugin: a module's primitives are written in upper case", () => {
  assertEquals(reports(`const limit = 1 << 20; export const name = "a"; const low = -1; const t = \`t\`;`), [
    "upper-case-constants: limit",
    "upper-case-constants: name",
    "upper-case-constants: low",
    "upper-case-constants: t",
  ]);
  assertEquals(reports(`const huge = 2n ** 64n; const on = true as const;`), [
    "upper-case-constants: huge",
    "upper-case-constants: on",
  ]);
  assertEquals(
    reports(`
      const LIMIT = 1 << 20;
      export const A1_B = "a";
      let count = 0;
      const list = [1, 2];
      const pattern = /a/;
      const sum = LIMIT + 1;
      const text = \`\${LIMIT}\`;
      const { length } = "abc";
      function inner(): number { const local = 7; return local; }
    `),
    [],
  );
});

Deno.test("plugin: the hint spells the constant as it should be", () => {
  const [report] = Deno.lint.runPlugin(plugin, "a.ts", "const maxSha256Bytes = 1;");
  assertEquals(report?.hint, "Call it MAX_SHA256_BYTES");
});

Deno.test("plugin: constructors declare no fields", () => {
  assertEquals(reports("class A { constructor(readonly a: number, private b = 1, c = 2) { f(c); } }"), [
    "no-parameter-properties: readonly a: number",
    "no-parameter-properties: private b = 1",
  ]);
  assertEquals(reports("class A { readonly a: number; constructor(a: number) { this.a = a; } }"), []);
});

Deno.test("plugin: modules list what they export", () => {
  assertEquals(reports(`export * from "./a.ts"; export * as b from "./b.ts";`), [
    `no-export-all: export * from "./a.ts";`,
    `no-export-all: export * as b from "./b.ts";`,
  ]);
  assertEquals(reports(`export { a, type B } from "./a.ts"; import * as c from "./c.ts"; f(c);`), []);
});

Deno.test("plugin: comments keep within the formatter's width", () => {
  assertEquals(reports(`// ${"x".repeat(107)} yz\n`), ["comment-width:  yz"]);
  assertEquals(reports(`/**\n * ${"–".repeat(107)}\n */\n`), []);
  assertEquals(reports(`/**\n * ${"–".repeat(107)}!\n * b\n * ${"c".repeat(108)}\n */\n`), [
    "comment-width: !",
    "comment-width: c",
  ]);
  assertEquals(reports(`f(${"1".repeat(99)}); // one\n`), []);
  assertEquals(reports(`f(${"1".repeat(99)}); // ones\n`), ["comment-width: s"]);
  assertEquals(reports(`// https://example.org/${"a".repeat(120)}\n`), []);
  assertEquals(reports(`//  https://example.org/${"a".repeat(87)}\n`), []);
  assertEquals(reports(`// See https://example.org/${"a".repeat(87)}\n`), ["comment-width: aaaa"]);
  assertEquals(reports(`f("${"1".repeat(200)}");\n`), []);
});

Deno.test("plugin: titles of tests begin with a name that the file imports, or a story", () => {
  const file = (titled: string): string =>
    `import { assert } from "@std/assert";\nimport A, { b, type C as D } from "../a.ts";\n${titled}`;
  const good = [
    `Deno.test("A: does", f);`,
    `Deno.test("b() does", f);`,
    `Deno.test("D.field does", f);`,
    `Deno.test({ ignore: true, name: "b: does", fn });`,
    `Deno.test({ "name": "b: does", fn });`,
    "Deno.test(`b: ${what}`, f);",
    "Deno.test(name, function inner() {});",
    "Deno.test({ ...rest, name });",
    "Deno.test(definition);",
    "Deno.test(`b: does ${n} times`, f);",
    "Deno.test(`${name}: does`, f);",
    "Deno.test(name, f);",
    `testOnDevices("b, twice", f);`,
    `testOnModel("demo", "b: does", f);`,
    `testOnGpu("${STORIES[0]} generate: does", f);`,
    `Deno.test("bad input: is refused", f);`,
    `testRandom(7); test("does", f); run("does");`,
  ];
  for (const titled of good) assertEquals(reports(file(titled)), [], titled);
  const bad = [
    `"does"`,
    `"bee: does"`,
    `"C: does"`,
    `"bad inputs are refused"`,
    "`does ${n} times`",
    `"b"`,
    `"b: "`,
    "`b: `",
    `"${STORIES[0]}"`,
    `"assert"`,
    `"assert: holds"`,
  ];
  for (const title of bad) {
    assertEquals(reports(file(`Deno.test(${title}, f);`)), [`test-titles: ${title}`]);
    assertEquals(reports(file(`Deno.test({ fn, name: ${title} });`)), [`test-titles: ${title}`]);
    assertEquals(reports(file(`Deno.test({ "name": ${title}, fn });`)), [`test-titles: ${title}`]);
    assertEquals(reports(file(`testOnDevices(${title}, f);`)), [`test-titles: ${title}`]);
    assertEquals(reports(file(`Deno.test.ignore(${title}, f);`)), [`test-titles: ${title}`]);
    assertEquals(reports(file(`testOnModel("demo", ${title}, f);`)), [`test-titles: ${title}`]);
  }
  for (
    const named of [
      "Deno.test(function b() {});",
      "Deno.test({ ignore: true }, function b() {});",
      "Deno.test({ fn: function b() {} });",
    ]
  ) assertEquals(reports(file(named)), ["test-titles: b"], named);
});
