/**
 * From the record of a run, or the recipe that a picture carries, back to a form of the page: what was asked
 * for, by the names of the command line's options. Such a form asks for the same again; `generate --repeat`
 * also gets what a form cannot say.
 *
 * @module
 */

import { seedWords } from "../../mod.ts";
import { readRecipe, type Recipe as PictureRecipe } from "../generation/recipe.ts";
import type { RunRecord } from "../generation/run_record.ts";
import { completeSampling } from "../generation/sampling_record.ts";
import { UsageError } from "../io.ts";
import { optionName } from "../options/options.ts";
import { METHODS } from "../options/search.ts";
import { STUDIO_OPTIONS } from "./option_forms.ts";
import type { JobForm } from "./protocol.ts";

/** A form, and what of the run it cannot say. */
export interface StudioRecipe {
  readonly form: JobForm;
  /** Sentences for the person. */
  readonly notes: readonly string[];
}

/** Names of settings that options call otherwise, by hook. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "var-scaling": { features: "densityFeatures" },
  "tts-var": { preset: "ttsPreset" },
  "best-of-n": { samples: "attempts" },
  "beam": { width: "beamWidth", scales: "beamScales" },
};

/** Settings of hooks that tell who judges; a record has that beside the hooks. */
const TOLD: readonly string[] = ["verifier", "features"];

/**
 * Makes a form of the recipe that a PNG file carries.
 *
 * @throws {UsageError} If it is no PNG file, or has none.
 */
export function recipeOfPicture(png: Uint8Array): StudioRecipe {
  let recipe: PictureRecipe | undefined;
  try {
    recipe = readRecipe(png);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  if (recipe === undefined) throw new UsageError("The picture has no recipe");
  return recipeOf({ ...recipe, format: "varscale-run" });
}

/**
 * Makes a form of a record.
 *
 * @throws {UsageError} If it is none, or not complete.
 */
export function recipeOf(given: unknown): StudioRecipe {
  const record = given as Partial<RunRecord> | null;
  if (typeof record !== "object" || record?.format !== "varscale-run") {
    throw new UsageError("This is not the run.json of a generation");
  }
  const { request, variants, model } = record;
  if (!Array.isArray(request?.labels) || !Array.isArray(variants) || variants.length === 0) {
    throw new UsageError("The run.json is not complete");
  }
  const { labels, seed, indices, edit, ...others } = request!;
  const { familyOptions, textFeatures: _features, batch: _batch, previews: _previews, ...drawing } =
    completeSampling(others);
  const variant = variants.at(-1)!;
  const recorded: RunRecord["variants"][number]["hooks"] = variant.hooks ?? [];
  const hooks = recorded.filter(({ name }) => (METHODS as readonly string[]).includes(name));
  const judges = { verifier: variant.verifier?.place, features: variant.features?.place };
  const known = Object.entries(judges).filter(([, place]) => place !== undefined && place !== "own");
  const names = labels.map(({ id, prompt, name }) => prompt ?? (id === null ? "null" : name ?? `${id}`));
  const unique = [...new Set(names)];
  const counts = unique.map((name) => names.filter((it) => it === name).length);
  // Images of a label stand together, as many of each; only then is it a count.
  const isCount = counts.every((count) => count === counts[0]) &&
    names.every((name, i) => name === unique[Math.floor(i / counts[0]!)]);
  requireSeed(seed);
  const methods = hooks.map(({ name }) => name);
  const settings = Object.assign({}, ...hooks.map(({ name, settings }) => settingsOf(name, settings)));
  const options = {
    ...drawing,
    ...familyOptions,
    ...settings,
    ...Object.fromEntries(known.filter(([, place]) => isWord(place!))),
    ...(indices?.some((index, place) => index !== place) && { indices }),
    ...(variant.template !== undefined && { verifierTemplate: variant.template }),
    seed,
    count: isCount ? counts[0] : 1,
    method: methods.length === 0 ? "none" : methods.join(","),
  };
  const texts = Object.entries(options).flatMap(([name, value]) => {
    const text = textOf(name, value);
    return text === undefined ? [] : [[name, text] as const];
  });
  return {
    form: {
      labels: isCount ? unique : names,
      options: Object.fromEntries(texts),
      ...(variants.length > 1 && { compare: true }),
    },
    notes: [
      ...(model === undefined ? [] : [`made with ${model.name}`]),
      ...(edit === undefined ? [] : ["the run edited a picture, which its record does not hold"]),
      ...recorded.filter((hook) => !hooks.includes(hook)).map(({ name }) => `without its hook ${name}`),
      ...known.filter(([, place]) => !isWord(place!)).map(([option, place]) => {
        return `without ${optionName(option)} ${place}, which you may set yourself`;
      }),
    ],
  };
}

/** Whether a place is a name that varscale knows: what others send names no file or address here. */
function isWord(place: string): boolean {
  return /^[\w-]+$/.test(place);
}

function requireSeed(seed: unknown): void {
  try {
    seedWords(typeof seed === "string" ? BigInt(seed) : seed as number);
  } catch {
    throw new UsageError("The run.json is not complete");
  }
}

/** What options say of a hook's settings; what was left to the model is left to it again. */
function settingsOf(hook: string, settings: unknown): Record<string, unknown> {
  const entries = Object.entries((settings ?? {}) as object).flatMap(([name, value]): [string, unknown][] => {
    if (value === "preset" || hook !== "var-scaling" && TOLD.includes(name)) return [];
    const [, top] = /^topk_(\d+)$/.exec(name === "potential" ? String(value) : "") ?? [];
    if (top !== undefined) return [["potential", "topk"], ["top", top]];
    return [[RENAMED[hook]?.[name] ?? name, value]];
  });
  return Object.fromEntries(entries);
}

/** A value as it stands on the command line; nothing for what is no option, or off. */
function textOf(name: string, value: unknown): string | boolean | undefined {
  const option = STUDIO_OPTIONS[name];
  if (option === undefined || value === undefined || value === null) return undefined;
  if (typeof value === "boolean") {
    // A switch is on or not there.
    return option.kind.negatable || value ? value : undefined;
  }
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.join(",");
  if (typeof value === "object") {
    const { width, height } = value as { width?: number; height?: number };
    return width === undefined || height === undefined ? undefined : `${width}x${height}`;
  }
  return String(value);
}
