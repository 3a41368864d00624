/**
 * From the form of a page to what a model is asked for: read like the command line of `varscale generate`,
 * with the same words where something is wrong.
 *
 * @module
 */

import { planOfOptions } from "../generation/plan.ts";
import { UsageError } from "../io.ts";
import { COUNT_OPTIONS, GENERATE_OPTIONS, type GenerateValues } from "../options/generate_options.ts";
import { optionName } from "../options/options.ts";
import { parse } from "../options/parse.ts";
import { METHOD_TITLES, type MethodName } from "../options/search.ts";
import { list } from "../output/words.ts";
import { STUDIO_OPTIONS } from "./option_forms.ts";
import type { EditForm, JobForm } from "./protocol.ts";

/** Pictures of a job at the most: a studio is for looking at them. */
export const MOST_PICTURES = 16;
/** Characters of a label, and of the value of an option, at the most. */
const LONGEST = 4096;

/** One way in which the images of a job are made. */
export interface JobPart {
  /** Its methods, or `"plain"`. */
  readonly name: string;
  readonly options: GenerateValues;
}

/** A form that was understood. */
export interface ReadForm {
  readonly form: JobForm;
  /** What it is called. */
  readonly title: string;
  readonly parts: readonly JobPart[];
}

/** Options of a search, which a plain picture has none of. */
const SEARCHING: readonly string[] = Object.entries(STUDIO_OPTIONS)
  .filter(([name, { section }]) => !["Pictures", "Sampling"].includes(section!) && name !== "method")
  .map(([name]) => name);

/**
 * Reads a form.
 *
 * @throws {UsageError} If it is none, or something in it is wrong.
 */
export function readForm(given: unknown): ReadForm {
  const form = checkedForm(given);
  const { labels, compare = false } = form;
  const values = valuesOf(form.options);
  const plan = planOfOptions(values, { labels });
  const { name, search } = plan.variants.at(-1)!;
  const searched = search.methods.length > 0;
  if (compare && !searched) throw new UsageError("A comparison with plain pictures needs a method");
  if (compare && (values.keep ?? 1) > 1) {
    throw new UsageError("A comparison needs one picture of each image: leave out --keep");
  }
  const images = values.count * Math.max(1, labels.length);
  if (images * (values.keep ?? 1) > MOST_PICTURES) {
    throw new UsageError(
      `Option --count must be for at most ${MOST_PICTURES} pictures: current number is ${
        images * (values.keep ?? 1)
      }; varscale run makes more`,
    );
  }
  const plain: JobPart = { name: "plain", options: plainValues(form.options) };
  const part: JobPart = { name, options: values };
  return { form, title: titleOf(form, name, values), parts: compare ? [plain, part] : [part] };
}

/** What a way of making images is called. */
export function partTitle(name: string): string {
  return name === "plain"
    ? "Plain"
    : name.split("+").map((method) => METHOD_TITLES[method as MethodName] ?? method).join(" + ");
}

function titleOf({ labels, edit }: JobForm, name: string, { seed }: GenerateValues): string {
  const what = labels.length === 0 ? "any class" : labels.join(", ");
  return [
    edit === undefined ? what : `${what}, edited`,
    ...(name === "plain" ? [] : [partTitle(name)]),
    `seed ${seed}`,
  ].join(" · ");
}

function valuesOf(options: JobForm["options"]): GenerateValues {
  const args = Object.entries(options).map(([name, value]) => {
    const flag = optionName(name);
    if (value === true) return flag;
    return value === false ? flag.replace("--", "--no-") : `${flag}=${value}`;
  });
  // What a page watches are pictures after every scale.
  return { ...parse({ ...COUNT_OPTIONS, ...GENERATE_OPTIONS }, args).options, preview: true };
}

/** The same without a search. */
function plainValues(options: JobForm["options"]): GenerateValues {
  const kept = Object.entries(options).filter(([name]) => !SEARCHING.includes(name));
  return valuesOf({ ...Object.fromEntries(kept), method: "none" });
}

/** Refuses what is no form. */
function checkedForm(given: unknown): JobForm {
  if (!isObject(given)) throw new UsageError("The form must be an object");
  const unknown = Object.keys(given).filter((key) => !["labels", "options", "compare", "edit"].includes(key));
  if (unknown.length > 0) throw new UsageError(`The form must not have ${list(unknown, "and")}`);
  const { labels, options, compare, edit } = given;
  if (!Array.isArray(labels) || !labels.every(isLabel)) {
    throw new UsageError(`The labels must be texts of 1 to ${LONGEST} characters`);
  }
  if (labels.length > MOST_PICTURES) {
    throw new UsageError(`There must be at most ${MOST_PICTURES} labels: current number is ${labels.length}`);
  }
  if (!isObject(options)) throw new UsageError("The options must be an object");
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(STUDIO_OPTIONS, name)) {
      throw new UsageError(`The studio has no option ${JSON.stringify(name.slice(0, 64))}`);
    }
    if (typeof value === "boolean" || typeof value === "string" && value.length <= LONGEST) continue;
    throw new UsageError(`Option ${optionName(name)} must be a text, or true or false`);
  }
  if (compare !== undefined && typeof compare !== "boolean") {
    throw new UsageError("Whether to compare must be true or false");
  }
  return {
    labels,
    options: options as JobForm["options"],
    ...(compare === true && { compare }),
    ...(edit !== undefined && { edit: checkedEdit(edit) }),
  };
}

function checkedEdit(edit: unknown): EditForm {
  if (isObject(edit)) {
    const { picture, mask, mode } = edit;
    if (
      typeof picture === "string" && typeof mask === "string" && (mode === "inpaint" || mode === "outpaint")
    ) return { picture, mask, mode };
  }
  throw new UsageError("An edit must have the addresses of a picture and a mask, and a mode");
}

function isLabel(value: unknown): value is string {
  return typeof value === "string" && value.trim() !== "" && value.length <= LONGEST;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
