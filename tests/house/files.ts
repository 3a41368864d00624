/**
 * Rules about the files themselves: what they are called, how they open, which test belongs to which. Each
 * gives one sentence for every offence, saying which file breaks it and what to do.
 *
 * @module
 */

import { reachedFrom } from "./imports.ts";
import type { Import, Tree } from "./tree.ts";

/** Folders whose files each have a test, in `tests/` under the same path. */
const TESTED = /^(kernels|models|sampler|evaluation|cli|studio)\//;

/** Modules that do not open with a comment that says what they are for. The test of a file needs none. */
export function unintroduced(tree: Tree): string[] {
  return [...tree].flatMap(([path, text]) => {
    if (!path.endsWith(".ts") || path.endsWith(".d.ts") || isMirrored(tree, path)) return [];
    const [opening = ""] = /^\/\*\*[\s\S]*?\*\//.exec(text) ?? [];
    if (/^ \* @module$/m.test(opening) && /^ \* [^@\s]/m.test(opening)) return [];
    return [
      `${path} does not open with a comment and @module: say what it is for and what it leaves to others`,
    ];
  });
}

/** Files whose name says nothing about their content. */
export function vagueNames(paths: Iterable<string>): string[] {
  return [...paths].flatMap((path) => {
    const stem = path.split("/").at(-1)!.replace(/(_test)?(\.d)?\.\w+$/, "");
    if (/(^|_)(utils?|helpers?|misc|common|shared|stuff)$/.test(stem)) {
      return [`${path} has a name for anything: call it by the one story it tells`];
    }
    return /^[a-z0-9]+(_[a-z0-9]+)*$/.test(stem) ? [] : [`${path} is not in snake_case: rename it`];
  });
}

/** Tests that belong to no source file. `stories` lists those that tell one of their own. */
export function strayTests(tree: Tree, stories: readonly string[]): string[] {
  const stray = [...tree.keys()].flatMap((path) => {
    if (!path.endsWith("_test.ts") || stories.includes(path) || isMirrored(tree, path)) return [];
    return [
      `${path} mirrors no file ${sourceOf(path)}: move it, or list it in house_test.ts`,
    ];
  });
  return [...stray, ...stale(tree, stories, (path) => isMirrored(tree, path))];
}

/**
 * Source files without a test of their own. `covered` names those that a test of another file covers from
 * above, with that test, which must reach them by imports.
 */
export function untested(
  tree: Tree,
  imports: readonly Import[],
  covered: Readonly<Record<string, string>>,
): string[] {
  const hasTest = (path: string): boolean => tree.has(testOf(path));
  const reached = new Map(
    [...new Set(Object.values(covered))].map((test) => [test, reachedFrom(imports, [test])]),
  );
  const missing = [...tree.keys()].flatMap((path) => {
    if (!TESTED.test(path) || !path.endsWith(".ts") || hasTest(path)) return [];
    const test = covered[path];
    if (test === undefined) {
      return [`${path} has no test: write ${testOf(path)}, or list in covered.ts which test covers it`];
    }
    if (!tree.has(test)) {
      return [`${path} is to be covered by ${test}, which is not there: correct covered.ts`];
    }
    return reached.get(test)!.has(path)
      ? []
      : [`${path} is to be covered by ${test}, which does not reach it by imports: correct covered.ts`];
  });
  return [...missing, ...stale(tree, Object.keys(covered), hasTest)];
}

/** Lines of shaders whose comments end beyond a width; those of modules are the linter's. */
export function wideComments(tree: Tree, width: number): string[] {
  return [...tree].flatMap(([path, text]) =>
    path.endsWith(".wgsl")
      ? text.split("\n").flatMap((line, i) =>
        line.includes("//") && [...line].length > width
          ? [`${path}:${i + 1} has a comment beyond column ${width}: wrap it`]
          : []
      )
      : []
  );
}

/** Tests that change what belongs to the whole process: files of tests run beside each other in one. */
export function processWide(tree: Tree): string[] {
  return [...tree].flatMap(([path, text]) =>
    path.startsWith("tests/")
      ? [...text.matchAll(/\bDeno\.(?:chdir|umask|env\.(?:set|delete))(?=\()/g)]
        .map(([call]) => `${path} calls ${call}: take environment.ts, or a process of its own`)
      : []
  );
}

/** Entries of a list that are about nothing any more. */
function stale(tree: Tree, listed: readonly string[], needless: (path: string) => boolean): string[] {
  return listed.flatMap((path) => {
    if (!tree.has(path)) return [`${path} is listed and not there: take it out of the list`];
    return needless(path) ? [`${path} is listed for nothing, as it has its counterpart: take it out`] : [];
  });
}

function isMirrored(tree: Tree, test: string): boolean {
  return test.startsWith("tests/") && test.endsWith("_test.ts") && tree.has(sourceOf(test));
}

/** `tests/kernels/maps/pack_test.ts` as `kernels/maps/pack.ts`; helpers of tests lie beside theirs. */
function sourceOf(test: string): string {
  const path = test.replace(/_test\.ts$/, ".ts");
  return path.startsWith("tests/house/") ? path : path.slice("tests/".length);
}

function testOf(source: string): string {
  return `tests/${source.replace(/\.ts$/, "_test.ts")}`;
}
