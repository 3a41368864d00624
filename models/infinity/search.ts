/**
 * What VAR-Scaling does with an Infinity model unless something else is asked for: what its authors' release
 * does, as their paper names neither a threshold for bits nor one choice of them.
 *
 * @module
 */

import type { ModelTuning } from "../folder/model_folder.ts";
import type { SearchDefaults, SearchSettings } from "../model.ts";
import { DEFAULTS } from "./schedule.ts";

/** The released settings: at the 6×6 map, one of the hundred densest of 3000, drawn by its rank. */
export const SEARCH: SearchSettings = {
  scale: 3,
  samples: 3000,
  representatives: 100,
  strategy: "top-k",
  pick: "rank",
};

/** α of the paper's text-to-image experiments. */
const ALPHA = 1;

/**
 * Settings of VAR-Scaling for a model of bits, whatever its size.
 *
 * @param tuning What its folder says.
 */
export function infinitySearch(tuning: ModelTuning): SearchDefaults {
  const { scale = SEARCH.scale, samples = SEARCH.samples, alpha = ALPHA, conflictThreshold = 0 } = tuning;
  return {
    ...SEARCH,
    scale,
    samples,
    alpha: () => alpha,
    conflictThreshold,
    published: { ...SEARCH, cfg: DEFAULTS.cfg, alpha: ALPHA, conflictThreshold: 0 },
    // Table 1, and the text on both branches and on the choice by density.
    paper: {
      scale: SEARCH.scale,
      samples: SEARCH.samples,
      representatives: 500,
      strategy: "var-scaling",
      pick: "density",
      alpha: ALPHA,
      conflictThreshold: 0,
    },
  };
}
