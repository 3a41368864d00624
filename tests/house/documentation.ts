/**
 * Rules about what `deno doc` finds at the project's doors. Each gives one sentence for every offence, saying
 * which symbol breaks it and what to do.
 *
 * @module
 */

/** The part of the output of `deno doc --json` that the rules look at: by module, what it exports. */
export interface Documentation {
  readonly nodes: Readonly<Record<string, ModuleDoc>>;
}

/** One module. */
export interface ModuleDoc {
  readonly module_doc?: JsDoc;
  readonly symbols?: readonly SymbolDoc[];
}

/** One name that a module exports; overloads and merged declarations are several. */
export interface SymbolDoc {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly jsDoc?: JsDoc;
    /** Of a class, its constructors. */
    readonly def?: { readonly constructors?: readonly { readonly jsDoc?: JsDoc }[] };
  }[];
}

interface JsDoc {
  readonly doc?: string;
  readonly tags?: readonly { readonly kind: string }[];
}

/**
 * Runs `deno doc` on modules, given by their paths from `root`; on each by itself, as it documents what one
 * module takes from another only once.
 */
export async function documentationOf(root: URL, modules: readonly string[]): Promise<Documentation> {
  const nodes = await Promise.all(modules.map(async (module) => {
    const command = new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", module],
      cwd: root,
      stdin: "null",
      stderr: "inherit",
    });
    const { stdout } = await command.output();
    const documentation: Documentation = JSON.parse(new TextDecoder().decode(stdout));
    return [module, Object.values(documentation.nodes)[0]!] as const;
  }));
  return { nodes: Object.fromEntries(nodes) };
}

/** Exports without documentation, and modules without any of their own. */
export function undocumented({ nodes }: Documentation): string[] {
  return Object.entries(nodes).flatMap(([module, { module_doc, symbols = [] }]) => [
    ...(module_doc?.doc?.trim() ? [] : [`${module} does not say what it offers: give it a module comment`]),
    ...symbols.filter(({ declarations }) => !declarations.some(({ jsDoc }) => jsDoc?.doc?.trim()))
      .map(({ name }) => `${name} of ${module} is exported without a word: document it`),
  ]);
}

/** Exported functions and classes that are not shown in use, by themselves or by their constructor. */
export function withoutExample({ nodes }: Documentation): string[] {
  const seen = new Set<string>();
  return Object.entries(nodes).flatMap(([module, { symbols = [] }]) =>
    symbols.filter(({ name, declarations }) =>
      declarations.some(({ kind }) => kind === "function" || kind === "class") &&
      !declarations.flatMap((declaration) => [declaration, ...declaration.def?.constructors ?? []]).some(
        hasExample,
      ) &&
      !seen.has(name) && seen.add(name)
    ).map(({ name }) => `${name} of ${module} has no @example: show its use, with a result to check`)
  );
}

function hasExample({ jsDoc }: { readonly jsDoc?: JsDoc }): boolean {
  return jsDoc?.tags?.some(({ kind }) => kind === "example") ?? false;
}
