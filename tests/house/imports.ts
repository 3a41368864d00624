/**
 * Rules about who imports whom. Each gives one sentence for every offence, saying which file breaks it and
 * what to do.
 *
 * @module
 */

import type { Import } from "./tree.ts";

/** Circles among modules; imports of types count, as a reader follows them like any other. */
export function circles(imports: readonly Import[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports) {
    if (to !== undefined) next.set(from, [...next.get(from) ?? [], to]);
  }
  const found = new Map<string, string>();
  for (const start of next.keys()) {
    const circle = shortestWay(next, start);
    if (circle === undefined) continue;
    const members = [...circle].sort().join();
    if (found.has(members)) continue;
    found.set(
      members,
      `${[...circle, start].join(" → ")} is a circle: move what both ends need to a file of its own`,
    );
  }
  return [...found.values()];
}

/** The shortest way from a module back to itself. */
function shortestWay(next: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const before = new Map<string, string>();
  const queue = [start];
  for (const module of queue) {
    for (const to of next.get(module) ?? []) {
      if (to === start) {
        const way = [module];
        while (way[0] !== start) way.unshift(before.get(way[0]!)!);
        return way;
      }
      if (before.has(to)) continue;
      before.set(to, module);
      queue.push(to);
    }
  }
  return undefined;
}

/**
 * Imports that climb. `floors` lists folders and files of the root from top to bottom; what is on none, tests
 * for instance, may import everything and is imported by no floor.
 */
export function upwardImports(imports: readonly Import[], floors: readonly string[]): string[] {
  return imports.flatMap(({ from, to }) => {
    const [floor, goal] = [floors.indexOf(roomOf(from)), to === undefined ? -1 : floors.indexOf(roomOf(to))];
    if (floor < 0 || to === undefined || goal >= floor) return [];
    return goal < 0
      ? [`${from} imports ${to}, which is no part of the program: move what it needs onto a floor`]
      : [
        `${from} imports ${to} and so upwards from ${floors[floor]} to ${
          floors[goal]
        }: move what it needs down`,
      ];
  });
}

/**
 * Imports past the front door: from the rooms of `insiders`, which may import one another and the files of
 * `doors`, and nothing else of the tree.
 */
export function sideDoors(
  imports: readonly Import[],
  insiders: readonly string[],
  doors: readonly string[],
): string[] {
  return imports.flatMap(({ from, to }) => {
    if (to === undefined || !insiders.includes(roomOf(from))) return [];
    if (doors.includes(to) || insiders.includes(roomOf(to))) return [];
    return [`${from} imports ${to}: take it from ${doors[0]}, the face that users have, or offer it there`];
  });
}

/** Imports from one room into another that it must not know. */
export function forbidden(imports: readonly Import[], room: string, other: string): string[] {
  return imports.flatMap(({ from, to }) => {
    if (to === undefined || roomOf(from) !== room || roomOf(to) !== other) return [];
    return [
      `${from} imports ${to}, and ${room} must not know ${other}: move what it needs down, or write its own`,
    ];
  });
}

/**
 * Imports of packages that do not go through their door. `doors` gives each package its files or, ending in a
 * slash, folders. The platform's own modules (`node:`) need none.
 */
export function packageDoors(
  imports: readonly Import[],
  doors: Readonly<Record<string, readonly string[]>>,
): string[] {
  const used = new Set<string>();
  const offences = imports.flatMap(({ from, specifier, to }) => {
    if (to !== undefined || specifier.startsWith("node:")) return [];
    const name = packageOf(specifier);
    used.add(name);
    const allowed = doors[name];
    if (allowed === undefined) {
      return [
        `${from} imports the package ${name}, which has no door: give it one file, listed in house_test.ts`,
      ];
    }
    if (allowed.some((door) => door.endsWith("/") ? from.startsWith(door) : from === door)) return [];
    return [`${from} imports the package ${name} past its door: use ${allowed.join(" or ")}`];
  });
  for (const name of Object.keys(doors)) {
    if (!used.has(name)) {
      offences.push(`The package ${name} is imported by nobody: take its door out of the list`);
    }
  }
  return offences;
}

/** `npm:@scope/name@1.0.0/part.js` as `@scope/name`; other specifiers up to the first slash behind a name. */
function packageOf(specifier: string): string {
  const bare = specifier.replace(/^(npm|jsr):\/?/, "");
  return /^(@[^/]+\/)?[^/@]+/.exec(bare)?.[0] ?? specifier;
}

/** The modules that some modules reach by imports, themselves included. */
export function reachedFrom(imports: readonly Import[], roots: readonly string[]): Set<string> {
  const reached = new Set(roots);
  for (const module of reached) {
    for (const { from, to } of imports) if (from === module && to !== undefined) reached.add(to);
  }
  return reached;
}

/**
 * What an import from an address would not resolve, in all modules that the roots reach: names of an import
 * map, and packages without an exact version.
 */
export function unresolvable(imports: readonly Import[], roots: readonly string[]): string[] {
  const reached = reachedFrom(imports, roots);
  return imports.flatMap(({ from, specifier, to }) => {
    if (!reached.has(from) || to !== undefined || specifier.startsWith("node:")) return [];
    if (/^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+(-[\w.]+)?(\/.*)?$/.test(specifier)) return [];
    return [
      `${from} imports "${specifier}", which an import by URL cannot resolve: ` +
      "write npm:, the name, the exact version",
    ];
  });
}

/** The top folder of a path, or the file of the root that it is. */
function roomOf(path: string): string {
  return path.split("/", 1)[0]!;
}
