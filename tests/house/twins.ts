/**
 * Rules about what a shader says of itself and what its twin must agree with. Each gives one sentence for
 * every offence, saying which shader breaks it and what to do.
 *
 * @module
 */

import type { Shader } from "../shaders.ts";
import type { Tree } from "./tree.ts";

/** Values by the names of constants. */
export type Constants = ReadonlyMap<string, number>;

/** Storage that a shader binds and its header's sentence about bindings leaves out. */
export function unlistedBindings({ path, text, header }: Omit<Shader, "expects">): string[] {
  const [, listed = ""] = /Bindings: (.*?)\.(?= |$)/.exec(header) ?? [];
  const names = new Set(listed.match(/\w+/g));
  return [...text.matchAll(/var<storage[^>]*> (\w+)/g)].flatMap(([, name]) =>
    names.has(name!)
      ? []
      : [`${path} binds ${name}, which its header does not list: name it in "Bindings: …"`]
  );
}

/** The constants of a module or a shader that are literals, powers of 2 and products of those. */
export function constantsOf(source: string): Constants {
  const found = new Map<string, number>();
  for (const [, name, value] of source.matchAll(/^(?:export )?const ([A-Z]\w*)(?:: \w+)? = (.+);/gm)) {
    const number = value!.split(" * ").reduce((product, it) => product * (found.get(it) ?? literal(it)), 1);
    if (!Number.isNaN(number)) found.set(name!, number);
  }
  return found;
}

function literal(text: string): number {
  const [base, exponent = 1] = text.replaceAll("_", "").replace(/(?<=^(0x[\da-f]+|\d+))u$/i, "").split(
    " ** ",
  );
  return Number(base) ** Number(exponent);
}

/** The constants that a module has by itself, and those that it imports by their names. */
export function constantsKnownTo(path: string, tree: Tree): Constants {
  const source = tree.get(path) ?? "";
  const found = new Map(constantsOf(source));
  for (const [, names, file] of source.matchAll(/^import \{([^}]*)\} from "(\.[^"]+\.ts)"/gm)) {
    const theirs = constantsOf(tree.get(new URL(file!, `file:///${path}`).pathname.slice(1)) ?? "");
    for (const [, name, alias = name] of names!.matchAll(/(?<!type )\b([A-Z]\w*)(?: as (\w+))?/g)) {
      if (theirs.has(name!)) found.set(alias!, theirs.get(name!)!);
    }
  }
  return found;
}

/** Constants that a shader has in common with its twin. */
export function sharedConstants(shader: string, twin: Constants): string[] {
  return [...constantsOf(shader).keys()].filter((name) => twin.has(name));
}

/** Constants that a shader has in common with its twin and that differ. */
export function unequalConstants({ path, text }: Pick<Shader, "path" | "text">, twin: Constants): string[] {
  return [...constantsOf(text)].flatMap(([name, value]) =>
    (twin.get(name) ?? value) === value
      ? []
      : [`${path} has ${value} for ${name} and its twin ${twin.get(name)}: make them one`]
  );
}

/** Sizes of workgroups that no constant of the twin is for, save `inner`, on which no plan depends. */
export function uncomparedSizes(
  { path, text }: Pick<Shader, "path" | "text">,
  twin: Constants,
  inner?: string,
): string[] {
  const unknown = sizesOf(text).filter((name) => !twin.has(name));
  const offences = unknown.filter((name) => name !== inner).map((name) =>
    `${path} has workgroups of ${name}, which its twin does not know: count workgroups by it`
  );
  if (inner !== undefined && !unknown.includes(inner)) {
    offences.push(`${path} is listed with ${inner} for nothing: take it out`);
  }
  return offences;
}

/** The constants that the size of a shader's workgroups is made of; an `override` comes from the plan. */
function sizesOf(text: string): string[] {
  const factors = (expression: string): string[] =>
    expression.match(/\b[A-Z]\w*/g)?.flatMap((name) => {
      const [, value] = new RegExp(`^const ${name} = (.+);`, "m").exec(text) ?? [];
      if (value === undefined) return [];
      const made = factors(value);
      return made.length === 0 ? [name] : made;
    }) ?? [];
  return [...new Set(factors(/@workgroup_size\(([^)]*)\)/.exec(text)?.[1] ?? ""))];
}

/** Lines of a twin that count workgroups by a bare number. */
export function bareCounts(path: string, source: string): string[] {
  return [...source.matchAll(/^.*(?:\bspread\(|\bworkgroups: ).*\/ (\d+)\).*$/gm)].map(([, number]) =>
    `${path} counts workgroups by ${number}: give it the name that the shader has for it`
  );
}
