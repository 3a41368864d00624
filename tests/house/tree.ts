/**
 * A tree of source files in memory, and what its modules import, read by Deno's own parser. The rules about
 * it stand beside; which rules hold here is left to `house_test.ts`.
 *
 * @module
 */

/** Texts by their path, with slashes and without a leading one: `kernels/mod.ts`. */
export type Tree = ReadonlyMap<string, string>;

/** That a module names another one. */
export interface Import {
  /** Path of the module that imports. */
  readonly from: string;
  /** As it is written, such as `./device.ts` or `npm:pngjs@7.0.0`. */
  readonly specifier: string;
  /** Path of what it names; none outside the tree. */
  readonly to: string | undefined;
}

/** Reads the texts of a folder that end in one of `endings`, without hidden ones and those of `skip`. */
export async function readTree(
  root: URL,
  endings: readonly string[],
  skip: readonly string[],
): Promise<Tree> {
  const tree = new Map<string, string>();
  const visit = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const path = folder + name;
      if (name.startsWith(".") || skip.includes(path)) continue;
      if (isDirectory) await visit(`${path}/`);
      else if (endings.some((ending) => name.endsWith(ending))) {
        tree.set(path, await Deno.readTextFile(new URL(path, root)));
      }
    }
  };
  await visit("");
  return new Map([...tree].sort(([a], [b]) => a < b ? -1 : 1));
}

/**
 * All imports of a tree's modules: of values and types, static and dynamic, and those of `export … from`. As
 * nobody knows what a dynamic one computes, every text that begins as the address of a package counts, and
 * every address of a module beside the own one, `new URL("a.ts", import.meta.url)`.
 */
export function importsOf(tree: Tree): Import[] {
  const imports: Import[] = [];
  for (const [from, text] of tree) {
    if (!/\.[jt]s$/.test(from)) continue;
    for (const specifier of specifiersOf(text)) {
      const local = /^\.\.?\//.test(specifier);
      imports.push({
        from,
        specifier,
        to: local ? new URL(specifier, `file:///${from}`).pathname.slice(1) : undefined,
      });
    }
  }
  return imports;
}

function specifiersOf(text: string): Set<string> {
  const specifiers = new Set<string>();
  const add = (node: Deno.lint.Node | null | undefined): void => {
    if (node?.type === "Literal" && typeof node.value === "string") specifiers.add(node.value);
  };
  const plugin: Deno.lint.Plugin = {
    name: "imports",
    rules: {
      specifiers: {
        create: ({ sourceCode }) => ({
          ImportDeclaration: ({ source }) => add(source),
          ExportNamedDeclaration: ({ source }) => add(source),
          ExportAllDeclaration: ({ source }) => add(source),
          ImportExpression: ({ source }) => add(source),
          Literal: (node) => {
            if (String(node.value).startsWith("npm:")) add(node);
          },
          TemplateElement: ({ cooked }) => {
            if (cooked.startsWith("npm:")) specifiers.add(cooked);
          },
          "NewExpression[callee.name=URL]": ({ arguments: [path, base] }: Deno.lint.NewExpression) => {
            if (path?.type !== "Literal" || !/\.ts$/.test(String(path.value))) return;
            if (base === undefined || sourceCode.getText(base) !== "import.meta.url") return;
            specifiers.add(String(path.value).replace(/^(?!\.)/, "./"));
          },
          TSImportType: ({ argument }) =>
            add(argument.type === "TSLiteralType" ? argument.literal : argument),
        }),
      },
    },
  };
  Deno.lint.runPlugin(plugin, "module.ts", text);
  return specifiers;
}
