/**
 * What is done between the scales, as plain data: what options say, and what the records of runs hold. Hooks
 * are made of it here; the networks that it names are opened in `open_search.ts`.
 *
 * @module
 */

import {
  adaptiveGuidance,
  beamSearch,
  bestOfN,
  type Judge,
  latentFeatures,
  type Model,
  prefixGuidance,
  prefixWeightOf,
  type ScaleHook,
  spatialGuidance,
  ttsSchedule,
  ttsVar,
  type TtsVarOptions,
  varScaling,
} from "../../mod.ts";
import { hookFileName, type HookPlace, type OwnHookRecord } from "./own_hooks.ts";
import { usedScaling } from "./scaling_options.ts";

/** Methods that change logits, and go with each other and with all that follow. */
export const GUIDING = ["adaptive-guidance", "prefix-guidance", "spatial-guidance"] as const;
/** Methods that thin out lanes by a judge, of which there can be one. */
export const JUDGED = ["tts-var", "best-of-n", "beam"] as const;
/** The methods by name, as hooks and records have them, in the order in which they act. */
export const METHODS = [...GUIDING, "var-scaling", ...JUDGED] as const;

/** Name of a method. */
export type MethodName = typeof METHODS[number];

/** Whether a method changes logits. */
export function isGuiding(name: string): name is typeof GUIDING[number] {
  return (GUIDING as readonly string[]).includes(name);
}

/** Whether a method thins out lanes by a judge. */
export function isJudged(name: string): name is typeof JUDGED[number] {
  return (JUDGED as readonly string[]).includes(name);
}

/** What people call them. */
export const METHOD_TITLES: Readonly<Record<MethodName, string>> = {
  "adaptive-guidance": "adaptive guidance",
  "prefix-guidance": "prefix guidance",
  "spatial-guidance": "spatial guidance",
  "var-scaling": "VAR-Scaling",
  "tts-var": "TTS-VAR",
  "best-of-n": "Best-of-N",
  "beam": "beam search",
};

/** A method with its settings, by the names that its function has for them. */
export interface MethodSettings {
  readonly name: MethodName;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What is done between the scales, as plain data. */
export interface Search {
  /** The methods in order. */
  readonly methods: readonly MethodSettings[];
  /** Where the verifier is, or `"evidence"` or `"density"`; the model's own without it. */
  readonly verifier?: string;
  /** The text for a class. */
  readonly template?: string;
  /** Where the network is that describes lanes; latent features without it. */
  readonly features?: string;
  /** What it may cost, where that decides the settings. */
  readonly budget?: string;
  /** Hooks of the reader's own, which act after the methods. */
  readonly hooks?: readonly HookPlace[];
}

/** Whether anything is done. */
export function isSearched({ methods, hooks = [] }: Search): boolean {
  return methods.length + hooks.length > 0;
}

/** What is done, as a name for files and variants. */
export function searchName({ methods, hooks = [] }: Search): string {
  return [...methods.map(({ name }) => name), ...hooks.map(hookFileName)].join("+");
}

/** Nothing is done. */
export const NO_SEARCH: Search = { methods: [] };

/** Who judges and describes for the hooks of a search. */
export interface Judges {
  readonly verifier?: Judge;
  readonly features?: NonNullable<TtsVarOptions["features"]>;
}

/** Those of whom only the name is known yet. */
const STAND_INS: Required<Judges> = {
  verifier: { name: "verifier", needsPrompt: false, score: () => [] },
  features: {
    name: "features",
    features: () => {
      throw new Error("It only stands in for a network");
    },
  },
};

/** The judges of a search that is not opened yet, to find out what is wrong with the rest of it. */
export function standInsFor({ verifier, features }: Search): Judges {
  return {
    ...(verifier === undefined ? {} : { verifier: STAND_INS.verifier }),
    ...(features === undefined
      ? {}
      : { features: features === "latent" ? latentFeatures() : STAND_INS.features }),
  };
}

/**
 * Makes the hooks of a search.
 *
 * @throws {TypeError} If a setting is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range.
 */
export function hooksOf({ methods }: Pick<Search, "methods">, { verifier, features }: Judges): ScaleHook[] {
  const judge = verifier === undefined ? {} : { verifier };
  return methods.map(({ name, settings }): ScaleHook => {
    switch (name) {
      case "adaptive-guidance":
        return adaptiveGuidance(settings);
      case "prefix-guidance":
        return prefixGuidance(settings);
      case "spatial-guidance":
        return spatialGuidance(settings);
      case "var-scaling":
        return varScaling(settings);
      case "tts-var":
        return ttsVar({ ...settings, ...judge, ...(features === undefined ? {} : { features }) });
      case "best-of-n":
        return bestOfN({ ...settings, ...judge });
      case "beam":
        return beamSearch({ ...settings, ...judge });
    }
  });
}

/** The settings of a hook with what the model decided in their places. */
export function usedSettings(
  hook: ScaleHook,
  model: Model,
  facts: { readonly scales: number },
): Readonly<Record<string, unknown>> {
  const { name, settings = {} } = hook;
  if (name === "var-scaling") return usedScaling(hook, model, facts);
  if (name === "prefix-guidance" && settings.weight === "preset") {
    return { ...settings, weight: prefixWeightOf(model) };
  }
  if (name !== "tts-var") return settings;
  const schedule = Object.entries(settings).filter(([name, value]) =>
    SCHEDULE.includes(name) && value !== "preset"
  );
  // The sizes are multiplied already.
  return { ...settings, ...ttsSchedule(facts.scales, Object.fromEntries(schedule)), multiple: 1 };
}

/** Settings of TTS-VAR that depend on the number of scales. */
const SCHEDULE = ["sizes", "multiple", "clusterScales", "resampleScales"];

/** A hook as a record has it. */
export interface RecordedHook {
  /** Its name. */
  readonly name: string;
  /** Its settings. */
  readonly settings: unknown;
  /** Where it comes from, if it is one of the reader's own. */
  readonly module?: OwnHookRecord;
}

/**
 * The search that a record describes.
 *
 * @param hooks The hooks in the record, with what they tell of themselves.
 * @throws {TypeError} If a hook is unknown.
 */
export function recordedSearch(
  hooks: readonly RecordedHook[],
  networks: Omit<Search, "methods" | "hooks">,
): Search {
  const own = hooks.flatMap(({ module }) => module ?? []);
  const methods = hooks.filter(({ module }) => module === undefined).map(
    ({ name, settings }): MethodSettings => {
      const known = METHODS.find((method) => method === name);
      if (known === undefined) throw new TypeError(`The hook "${name}" is unknown`);
      // Who judges is told by its place; what was left to the model is looked up again.
      const told = isJudged(known) ? ["verifier", "features"] : [];
      const own = Object.entries(settings as object).filter(([name, value]) => {
        return value !== "preset" && !told.includes(name);
      });
      return { name: known, settings: Object.fromEntries(own) };
    },
  );
  const search = { ...networks, methods, ...(own.length > 0 && { hooks: own }) };
  hooksOf(search, standInsFor(search));
  return search;
}
