/**
 * The options of `varscale generate` as the page shows them: made from the same tables as its help, so that
 * the two cannot differ.
 *
 * @module
 */

import { FAMILIES } from "../../mod.ts";
import { COUNT_OPTIONS } from "../options/generate_options.ts";
import { flag } from "../options/kinds.ts";
import { METHOD_OPTIONS } from "../options/method_options.ts";
import { type Option, optionName, type OptionTable } from "../options/options.ts";
import { MAP_OPTIONS, SAMPLING_OPTIONS } from "../options/sampling_options.ts";
import { SCALING_OPTIONS } from "../options/scaling_options.ts";
import { isJudged, METHOD_TITLES, METHODS } from "../options/search.ts";
import type { MethodForm, OptionForm, OptionSection } from "./protocol.ts";

/** Heading of the options that all have. */
const COUNT_TITLE = "Pictures";

/** The options that a form may have, by name. */
export const STUDIO_OPTIONS: OptionTable = {
  ...Object.fromEntries(
    Object.entries(COUNT_OPTIONS).map(([name, option]) => [name, { ...option, section: COUNT_TITLE }]),
  ),
  ...SAMPLING_OPTIONS,
  ...METHOD_OPTIONS,
  ...SCALING_OPTIONS,
};

/** Options for which the page has a control of its own. */
const CHOSEN_ELSEWHERE: readonly string[] = ["method", "scaling"];

/** Heading of the options that all methods but VAR-Scaling share. */
const SHARED_TITLE = STUDIO_OPTIONS.method!.section!;

/**
 * What a form has for a model.
 *
 * @param own Names of the options that not every model has, and this one does.
 * @param defaults What holds for it, where that is known.
 */
export function optionSections(
  own: readonly string[],
  defaults: Readonly<Record<string, unknown>> = {},
): OptionSection[] {
  const particular = [
    ...Object.keys(MAP_OPTIONS),
    ...FAMILIES.flatMap(({ options }) => Object.keys(options)),
  ];
  const offered = Object.entries(STUDIO_OPTIONS).filter(([name]) => {
    return !CHOSEN_ELSEWHERE.includes(name) && (!particular.includes(name) || own.includes(name));
  });
  return [...Map.groupBy(offered, ([, { section }]) => section!)].map(([title, entries]) => ({
    title,
    options: entries.map(([name, option]) => optionForm(name, option, defaults[name])),
  }));
}

/** The methods that can be chosen, plain painting first. */
export function methodForms(): MethodForm[] {
  const titles = [...new Set(Object.values(STUDIO_OPTIONS).map(({ section }) => section!))];
  return [
    { name: "none", title: "Plain", sections: [] },
    ...METHODS.map((name): MethodForm => {
      const title = METHOD_TITLES[name];
      const own = titles.filter((section) => section.toLowerCase() === title.toLowerCase());
      return {
        name,
        title: title[0]!.toUpperCase() + title.slice(1),
        sections: isJudged(name) ? [...own, SHARED_TITLE] : own,
      };
    }),
  ];
}

function optionForm(name: string, option: Option<unknown>, known: unknown): OptionForm {
  const { kind, help, defaultText } = option;
  const standard = known === undefined || typeof known === "function" || typeof known === "object"
    ? defaultText ?? option.default
    : known;
  const field = kind.placeholder === undefined
    ? kind === flag ? "switch" : "toggle"
    : kind.choices === undefined
    ? "text"
    : "choice";
  return {
    name,
    flag: optionName(name),
    help,
    field,
    ...(kind.placeholder === undefined ? {} : { placeholder: kind.placeholder }),
    ...(kind.choices === undefined ? {} : { choices: kind.choices }),
    ...(standard === undefined ? {} : { default: String(standard) }),
  };
}
