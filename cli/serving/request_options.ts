/**
 * Options of `varscale generate` in a request: a JSON object by the command line's names, with underscores.
 * They are read by the same table, so that a value means the same here and is refused in the same words. What
 * would let a client choose files or networks of the server's is left out.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { COUNT_OPTIONS, type GenerateValues } from "../options/generate_options.ts";
import { flag } from "../options/kinds.ts";
import { METHOD_OPTIONS, searchOf } from "../options/method_options.ts";
import { optionName, type OptionTable } from "../options/options.ts";
import { parse } from "../options/parse.ts";
import { asked } from "../options/requests.ts";
import { SAMPLING_OPTIONS } from "../options/sampling_options.ts";
import { SCALING_OPTIONS } from "../options/scaling_options.ts";
import { hooksOf, standInsFor } from "../options/search.ts";
import { badRequest } from "./api_error.ts";

/** Name of the object in a request, and in what is answered. */
export const EXTENSION = "varscale";

/** What methods do, by name. */
const SEARCH_OPTIONS: OptionTable = { ...METHOD_OPTIONS, ...SCALING_OPTIONS };

/** What a request may say. The size is OpenAI's own, and the seed stands beside it, as many tools have it. */
const REQUEST_OPTIONS: OptionTable = (() => {
  const { size: _size, ...sampling } = SAMPLING_OPTIONS;
  const { indices } = COUNT_OPTIONS;
  return { ...sampling, ...SEARCH_OPTIONS, indices };
})();

/** Who judges and describes without a network, or by one that the model brings. */
const SAFE_PLACES: Readonly<Record<string, readonly string[]>> = {
  verifier: ["own", "evidence", "density"],
  features: ["own", "latent", "position", "joint"],
};

/** Options as a command line has them, those that were given. */
export type GivenValues = Partial<GenerateValues>;

/**
 * Reads the options of a request and completes them by those of the server; a request that names a method
 * says all of the search.
 *
 * @throws {ApiError} If one is unknown or wrong, or they contradict each other.
 */
export function requestValues(extension: unknown, server: GivenValues): GivenValues {
  if (typeof extension !== "object" || extension === null || Array.isArray(extension)) {
    throw badRequest(`The value of "${EXTENSION}" must be an object of options`, EXTENSION);
  }
  const own: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(extension)) Object.assign(own, valueOf(name, value, server));
  const kept = own.method === undefined
    ? server
    : Object.fromEntries(Object.entries(server).filter(([name]) => !Object.hasOwn(SEARCH_OPTIONS, name)));
  const values: GivenValues = { ...kept, ...own };
  told(EXTENSION, () => searchOf(values as GenerateValues, false));
  return values;
}

/** Whether what becomes of an image depends on those beside it. */
export function isCoupled(values: GivenValues): boolean {
  const search = searchOf(values as GenerateValues, false);
  return hooksOf(search, standInsFor(search)).some(({ coupled }) => coupled);
}

/** One option, by the name that it has in a table. */
function valueOf(name: string, value: unknown, server: GivenValues): Record<string, unknown> {
  const param = `${EXTENSION}.${name}`;
  if (!/^[a-z][a-z0-9_]*$/i.test(name)) throw badRequest(`Unknown option "${name}"`, param);
  const table = REQUEST_OPTIONS;
  // A switch that is off says nothing on a command line, but here it may be on by the server's options.
  const entry = Object.entries(table).find(([key]) => optionName(key).slice(2) === name.replaceAll("_", "-"));
  if (value === false && entry?.[1].kind === flag) return { [entry[0]]: false };
  const { options, given } = told(param, () => parse(table, [argumentOf(name, value)]));
  const read = Object.fromEntries([...given].map((key) => [key, Reflect.get(options, key)]));
  for (const [key, safe] of Object.entries(SAFE_PLACES)) {
    const place = read[key];
    if (place === undefined || safe.includes(String(place)) || place === Reflect.get(server, key)) continue;
    throw badRequest(
      `Option ${optionName(key)} must be ${
        safe.join(", ")
      }, or what the server was started with: current value is "${place}"`,
      param,
    );
  }
  return read;
}

/** An option as an argument: lists between commas, a switch by its name. */
function argumentOf(name: string, value: unknown): string {
  if (value === true) return `--${name}`;
  if (value === false) return `--no-${name}`;
  const items = Array.isArray(value) ? value : [value];
  if (!items.every((item) => typeof item === "number" || typeof item === "string")) {
    throw new UsageError(
      `Option --${
        name.replaceAll("_", "-")
      } must be a text, a number, true, false, or a list of texts or numbers`,
    );
  }
  return `--${name}=${items.join(",")}`;
}

/** Does what a request asks for; what is wrong with it is told to the client. */
function told<Result>(param: string, work: () => Result): Result {
  try {
    return asked(work);
  } catch (error) {
    if (error instanceof UsageError) throw badRequest(error.message, param);
    throw error;
  }
}
