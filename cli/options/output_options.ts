/**
 * Options of what is printed and what is replaced, alike in all commands that have them.
 *
 * @module
 */

import { flag, toggle } from "./kinds.ts";
import type { Option } from "./options.ts";

/** Files may be replaced. */
export const OVERWRITE_OPTION = {
  kind: flag,
  help: "Replace files that are there already; without it that is an error",
};

/** What a picture carries. */
export const RECIPE_OPTION = {
  kind: toggle,
  help:
    "Have each PNG carry its recipe, by which generate --repeat makes it again; --no-recipe leaves it out",
  defaultText: "on",
};

/** The result for programs. */
export const JSON_OPTION = { kind: flag, help: "Print one JSON object" };

/** Silence, but for what is named. */
export function quietOption(but: string): Option<boolean> {
  return { kind: flag, short: "q", help: `Print nothing but ${but}` };
}
