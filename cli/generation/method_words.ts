/**
 * Methods in a few words, as titles of sheets and summaries have them.
 *
 * @module
 */

import { type Model, type PerScale, prefixWeightOf } from "../../mod.ts";
import { METHOD_TITLES, type MethodName } from "../options/search.ts";
import { list, plural } from "../output/words.ts";

type Settings = Readonly<Record<string, unknown>>;

/** The words by method: a method without any does not pass the types. */
const WORDS: Readonly<Record<MethodName, (settings: Settings, model: Model) => string>> = {
  "adaptive-guidance": ({ eta, normThreshold, over }) => {
    const cap = normThreshold === 0 ? "" : `, up to ${normThreshold}`;
    return `${METHOD_TITLES["adaptive-guidance"]} with eta ${eta}${cap} over ${
      over === "map" ? "maps" : "positions"
    }`;
  },
  "prefix-guidance": ({ weight, share, corruption }, model) => {
    const used = weight === "preset" ? prefixWeightOf(model) : weight as PerScale;
    const moved = `${Number((100 * (share as number)).toFixed(4))} % of a prefix`;
    return `${METHOD_TITLES["prefix-guidance"]} with weight ${
      numbers(used)
    } and ${moved} corrupted ${corruption}`;
  },
  "spatial-guidance": ({ strength, scales }) => {
    const where = scales === undefined ? "" : ` at ${named(scales as readonly number[])}`;
    return `${METHOD_TITLES["spatial-guidance"]} with strength ${numbers(strength as PerScale)}${where}`;
  },
  "var-scaling": ({ samples, scale }, { search }) => {
    const searched = scale === "preset" ? [search.scale] : scale as readonly number[];
    const drawn = samples === "preset" ? search.samples : samples as number;
    return `${METHOD_TITLES["var-scaling"]} with ${plural(drawn, "sample")} at ${named(searched)}`;
  },
  "tts-var": ({ preset, multiple }) => {
    const released = preset === "published" ? " as published" : "";
    return `${METHOD_TITLES["tts-var"]}${released}${multiple === 1 ? "" : ` times ${multiple}`}`;
  },
  "best-of-n": ({ samples }) => `best of ${samples}`,
  "beam": ({ beams, width }) => `${METHOD_TITLES.beam} with ${beams} times ${width}`,
};

/**
 * A method with what its settings say.
 *
 * @param settings Those of its hook.
 */
export function describeMethod(name: MethodName, settings: Settings, model: Model): string {
  return WORDS[name](settings, model);
}

function numbers(values: PerScale): string {
  return typeof values === "number" ? `${values}` : values.join(", ");
}

function named(scales: readonly number[]): string {
  return `scale${scales.length === 1 ? "" : "s"} ${list(scales.map(String), "and")}`;
}
