/**
 * Where things are: a path, which means something from one folder only, an address, or a repository of the
 * Hugging Face hub.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type HubPlace, parseHubPlace } from "../../mod.ts";
import { UsageError } from "../io.ts";

/** Whether a text is the address of something on a web server, or a `file:` address. */
export function isUrl(place: string): boolean {
  return /^(https?|file):\/\//i.test(place);
}

/** A path that means the same from everywhere; addresses do already. */
export function absolute(place: string): string {
  return isUrl(place) ? place : resolve(place);
}

/** A folder of somebody's own, whose name often is a person's, at the beginning of a path. */
const HOME =
  /^((?:[\w-]{2,}:(?![/\\]{2}))?)(?:\/home\/[^/]+|\/Users\/[^/]+|\/root|[A-Z]:[/\\]Users[/\\][^/\\]+)(?=[/\\]|$)/i;

/**
 * A place for others to read: of a path in a home folder, `~` stands for that folder, so that no person is
 * named. Everything else stays.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(withoutHome("/home/ada/models/var_d16.pth"), "~/models/var_d16.pth");
 * assertEquals(["/data/var", "hf:owner/name"].map(withoutHome), ["/data/var", "hf:owner/name"]);
 * ```
 */
export function withoutHome(place: string): string {
  const path = /^file:/i.test(place) ? fileURLToPath(place) : place;
  return path.replace(HOME, "$1~");
}

/**
 * The place that {@linkcode withoutHome} has shortened, for who is here now.
 *
 * @throws {UsageError} If nothing tells where the home folder is.
 */
export function withHome(place: string): string {
  const [, kind, rest] = /^((?:[\w-]{2,}:)?)~([/\\].*)?$/s.exec(place) ?? [];
  if (kind === undefined) return place;
  const home = Deno.env.get(Deno.build.os === "windows" ? "USERPROFILE" : "HOME");
  if (home === undefined || home === "") {
    throw new UsageError(`Cannot find ${place}: nothing tells where the home folder is`);
  }
  return `${kind}${home}${rest ?? ""}`;
}

/**
 * The repository that a text names, or `undefined` if it names something else.
 *
 * @throws {UsageError} If it begins like the name of a repository and is none.
 */
export function hubPlace(text: string): HubPlace | undefined {
  if (isUrl(text)) return undefined;
  try {
    return parseHubPlace(text);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
