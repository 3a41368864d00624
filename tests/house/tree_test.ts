import { assertEquals } from "@std/assert";
import { importsOf, readTree } from "./tree.ts";

Deno.test("importsOf: finds every form of import, and resolves those of the tree", () => {
  const tree = new Map([
    [
      "a/b.ts",
      `import "./side.ts";
       import x, { type Y } from "../a/x.ts";
       import type { Z } from "npm:z@1.0.0/deep.js";
       export { w } from "../../beyond.ts";
       export * from "./all.ts";
       type T = import("./type.ts").T;
       const late = await import("./late.ts");
       const hidden = await import(name);
       import text from "./k.wgsl" with { type: "text" };
       const PACKAGE: string = "npm:y@1.0.0";
       const named = await import(\`npm:@v/\${name}@1.0.0\`);
       run(new URL("cases.ts", import.meta.url), new URL("../a/url.ts", import.meta.url).href);
       read(new URL("data.json", import.meta.url), new URL("elsewhere.ts", root), "as npm: has it");
       // import "./comment.ts"; "npm:comment@1.0.0"
       const code = 'import "./text.ts"';`,
    ],
    ["a/k.wgsl", `import "./none.ts";`],
  ]);
  assertEquals(importsOf(tree).map(({ from, specifier, to }) => [from, specifier, to]), [
    ["a/b.ts", "./side.ts", "a/side.ts"],
    ["a/b.ts", "../a/x.ts", "a/x.ts"],
    ["a/b.ts", "npm:z@1.0.0/deep.js", undefined],
    ["a/b.ts", "../../beyond.ts", "beyond.ts"],
    ["a/b.ts", "./all.ts", "a/all.ts"],
    ["a/b.ts", "./type.ts", "a/type.ts"],
    ["a/b.ts", "./late.ts", "a/late.ts"],
    ["a/b.ts", "./k.wgsl", "a/k.wgsl"],
    ["a/b.ts", "npm:y@1.0.0", undefined],
    ["a/b.ts", "npm:@v/", undefined],
    ["a/b.ts", "./cases.ts", "a/cases.ts"],
    ["a/b.ts", "../a/url.ts", "a/url.ts"],
  ]);
});

Deno.test("readTree: reads what ends as asked, without hidden and skipped folders", async () => {
  const tree = await readTree(new URL("./", import.meta.url), [".ts"], ["covered.ts"]);
  assertEquals(tree.has("tree.ts") && tree.has("tree_test.ts"), true);
  assertEquals(tree.has("covered.ts"), false);
  const above = await readTree(new URL("../", import.meta.url), ["tree.ts"], []);
  assertEquals([...above.keys()], ["house/tree.ts"]);
});
