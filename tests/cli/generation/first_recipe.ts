/**
 * A recipe as version 0.1.0 writes it: of picture 5 of seed 7 of the bundled model, plain. What it says must
 * be understood by every later version.
 *
 * @module
 */

import type { Recipe } from "../../../cli/generation/recipe.ts";

/** The recipe. */
export const FIRST_RECIPE: Recipe = {
  format: "varscale-recipe",
  version: 1,
  versions: { varscale: "0.1.0" },
  model: {
    name: "demo",
    family: "var",
    depth: 4,
    dtype: "f32",
    storedDtype: "f16",
    cacheDtype: "f32",
    place: { folder: "demo" },
    fingerprints: {
      "transformer.safetensors": "c9c2315768f5abaa83d6186f3f57cd2a887e04907c10afb9923f8b0f35e1c545",
      "tokenizer.safetensors": "267594132f362bcbd86701e7aa5cd38966409a99fa06fd4cc0cca1c93f29eb0d",
    },
    tuning: { alpha: 1.7, conflictThreshold: 0.5 },
  },
  device: { kind: "cpu", cpuProvider: "wasm", provider: "wasm" },
  request: {
    labels: [{ id: 32, name: "red torus" }],
    indices: [5],
    seed: 7,
    cfg: 1.5,
    guidance: "ramp",
    topK: 900,
    topP: 0.96,
    minP: 0,
    temperature: 1,
    published: false,
    moreSmooth: false,
  },
  variants: [{ name: "plain", hooks: [] }],
  images: [{ variant: "plain", index: 5, tokens: "TOKENS", pixels: "PIXELS" }],
};
