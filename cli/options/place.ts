/**
 * Where things are: a path, which means something from one folder only, an address, or a repository of the
 * Hugging Face hub.
 *
 * @module
 */

import { resolve } from "node:path";
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
