import { assertEquals } from "@std/assert";
import { type Documentation, documentationOf, undocumented, withoutExample } from "./documentation.ts";

const EXAMPLE = { doc: "Does.", tags: [{ kind: "throws" }, { kind: "example" }] };

const documentation: Documentation = {
  nodes: {
    "mod.ts": {
      symbols: [
        { name: "shown", declarations: [{ kind: "function", jsDoc: EXAMPLE }] },
        { name: "Told", declarations: [{ kind: "class", jsDoc: { doc: "Is." } }] },
        { name: "Silent", declarations: [{ kind: "interface" }] },
        { name: "empty", declarations: [{ kind: "function", jsDoc: { doc: "\n", tags: [] } }] },
        { name: "overloaded", declarations: [{ kind: "function" }, { kind: "function", jsDoc: EXAMPLE }] },
        { name: "Made", declarations: [{ kind: "class", def: { constructors: [{}, { jsDoc: EXAMPLE }] } }] },
        { name: "LIMIT", declarations: [{ kind: "variable", jsDoc: { doc: "Is." } }] },
      ],
    },
    "kernels/mod.ts": {
      module_doc: { doc: "The kernels." },
      symbols: [{ name: "Told", declarations: [{ kind: "class", jsDoc: { doc: "Is." } }] }],
    },
  },
};

Deno.test("undocumented: names exports, and modules, without a word", () => {
  assertEquals(undocumented(documentation), [
    "mod.ts does not say what it offers: give it a module comment",
    "Silent of mod.ts is exported without a word: document it",
    "empty of mod.ts is exported without a word: document it",
    "Made of mod.ts is exported without a word: document it",
  ]);
});

Deno.test("withoutExample: names functions and classes once, by the door that comes first", () => {
  assertEquals(withoutExample(documentation), [
    "Told of mod.ts has no @example: show its use, with a result to check",
    "empty of mod.ts has no @example: show its use, with a result to check",
  ]);
});

Deno.test("documentationOf: follows what a module takes from others", async () => {
  const { nodes } = await documentationOf(new URL("../../", import.meta.url), ["kernels/mod.ts"]);
  const kde = nodes["kernels/mod.ts"]?.symbols?.find(({ name }) => name === "kde");
  assertEquals(kde?.declarations[0]?.kind, "function");
  assertEquals(kde?.declarations[0]?.jsDoc?.tags?.some(({ kind }) => kind === "example"), true);
});
