/**
 * The methods that the gallery shows, in the order in which people meet them. A method that is added to the
 * project gets its entry here, which a test asks for.
 *
 * @module
 */

import {
  adaptiveGuidance,
  beamSearch,
  bestOfN,
  ownEvidence,
  prefixGuidance,
  spatialGuidance,
  ttsVar,
  varScaling,
} from "../../sampler/mod.ts";
import type { GalleryEntry } from "./entry.ts";

/** All entries. */
export const GALLERY: readonly GalleryEntry[] = [
  {
    name: "spatial-guidance",
    title: "Spatial guidance",
    what:
      "Moves the logits of each scale away from what the coarser one before has said already, resized to the map " +
      "with its own low band of the cosine transform. No further pass of the transformer.",
    command: "--method spatial-guidance",
    paper: {
      source: "SSG, arXiv 2602.05534",
      figure: "VAR on ImageNet 256: FID of d16 3.42 to 3.27, of d30 2.02 to 1.68",
    },
    more: "../methods.md#spatial-guidance",
    hooks: () => [spatialGuidance()],
  },
  {
    name: "adaptive-guidance",
    title: "Adaptive guidance",
    what:
      "Guides without the part of guidance that only makes the conditional logits larger, which is what " +
      "oversaturates pictures at large weights. No further pass of the transformer.",
    command: "--method adaptive-guidance",
    paper: {
      source: "APG, arXiv 2410.02416, which InfinityStar guides by",
      figure: "made for diffusion; nothing is printed for models of scales",
    },
    more: "../methods.md#adaptive-guidance",
    hooks: () => [adaptiveGuidance()],
  },
  {
    name: "prefix-guidance",
    title: "Prefix guidance",
    what:
      "Pushes logits away from those that the model gives where a tenth of all positions so far have the " +
      "embedding of another one. The transformer goes through every scale twice.",
    command: "--method prefix-guidance",
    paper: {
      source: "VPG, arXiv 2605.30317",
      figure: "VAR d16 on ImageNet 256: FID 3.35 to 2.72; Infinity-2B: GenEval 0.70 to 0.71",
    },
    more: "../methods.md#prefix-guidance",
    hooks: () => [prefixGuidance()],
  },
  {
    name: "var-scaling",
    title: "VAR-Scaling",
    what:
      "Draws many maps of one early scale, measures by Gaussian kernels how dense each lies among the others, " +
      "and goes on from one that is representative. No further pass of the transformer.",
    command: "--method var-scaling",
    paper: {
      source: "VAR-Scaling, arXiv 2601.07293",
      figure: "VAR d30 on ImageNet 256: Inception Score 274.7 to 298.7 at FID 2.25 both (50 candidates)",
    },
    more: "../methods.md#var-scaling",
    hooks: () => [varScaling()],
  },
  {
    name: "best-of-n",
    title: "Best-of-N",
    what:
      "Paints every image several times, here four, and keeps the one that a verifier likes best: the model's " +
      "own reward. What every other search has to beat at the same cost.",
    command: "--method best-of-n --attempts 4",
    paper: {
      source: "TTS-VAR, arXiv 2507.18537, as its baseline",
      figure: "Infinity-2B, N = 8: GenEval 0.695 to 0.736",
    },
    more: "../methods.md#side-by-side",
    hooks: () => [bestOfN({ samples: 4 })],
  },
  {
    name: "best-of-n-evidence",
    title: "Best-of-N by the model's own evidence",
    what:
      "The same four attempts, judged without any network: by how much likelier the model holds an image's tokens " +
      "with its label than without one, which guidance has computed anyway.",
    command: "--method best-of-n --attempts 4 --verifier evidence",
    paper: {
      source: "A-VARC, arXiv 2510.12060, which classifies by it",
      figure: "within 1 % of a diffusion classifier on ImageNet-100 with 89 times less compute",
    },
    more: "../verifiers.md",
    hooks: () => [bestOfN({ samples: 4, verifier: ownEvidence() })],
  },
  {
    name: "beam",
    title: "Beam search",
    what:
      "After chosen scales keeps the best of several lanes by a look at what they show so far, and goes on in " +
      "copies that part ways.",
    command: "--method beam",
    paper: {
      source: "Beam search over scales, arXiv 2510.16751",
      figure: "Infinity-2B beats FLUX.1-dev of 12B on DrawBench with 1365 against 2880 evaluations",
    },
    more: "../methods.md#side-by-side",
    hooks: () => [beamSearch()],
  },
  {
    name: "tts-var",
    title: "TTS-VAR",
    what:
      "Starts eight lanes of an image; on early scales one of each cluster of features goes on, on later ones " +
      "those with the best scores, and the best is left.",
    command: "--method tts-var",
    paper: {
      source: "TTS-VAR, arXiv 2507.18537",
      figure: "Infinity-2B, N = 8: GenEval 0.695 to 0.753",
    },
    more: "../methods.md#tts-var",
    hooks: () => [ttsVar()],
  },
];
