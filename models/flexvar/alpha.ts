/**
 * The settings with which VAR-Scaling's authors search on FlexVAR, as far as their paper states them.
 *
 * @module
 */

import type { ModelTuning } from "../folder/model_folder.ts";
import type { SearchDefaults, SearchSettings } from "../model.ts";

/** The experiments' settings: candidates of the 3×3 map. */
export const SEARCH: SearchSettings = {
  scale: 2,
  samples: 50,
  representatives: 10,
  strategy: "var-scaling",
  pick: "density",
};

/**
 * The conflict threshold is VAR's: between code vectors of length 1, it is below the distance of any maps
 * that differ in two tokens.
 */
const PUBLISHED = {
  ...{ cfg: 2.5, alpha: 2.5, conflictThreshold: 1.8 },
  ...{ scale: SEARCH.scale, samples: SEARCH.samples },
};

/**
 * α by number of candidates. The paper states 2.5 to 2.8 for 10 to 100 of them; which belongs to which number
 * is ours.
 */
const ALPHA: readonly (readonly [samples: number, alpha: number])[] = [[20, 2.5], [50, 2.65], [100, 2.8]];

/** α for a number of candidates in hundredths, on straight lines between the numbers that are known. */
function alphaOf(samples: number): number {
  const after = ALPHA.findIndex(([known]) => samples <= known);
  if (after < 0) return ALPHA.at(-1)![1];
  const [to, high] = ALPHA[after]!;
  const [from, low] = ALPHA[after - 1] ?? [0, high];
  return Math.round((low + (high - low) * (samples - from) / (to - from)) * 100) / 100;
}

/**
 * Settings of VAR-Scaling for a model.
 *
 * @param tuning What its folder says.
 *
 * @example
 * ```ts
 * import { flexVarSearch } from "./alpha.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { scale, alpha, conflictThreshold } = flexVarSearch({});
 * assertEquals([scale, conflictThreshold], [2, 1.8]);
 * assertEquals([10, 20, 50, 100].map((samples) => alpha({ scale, samples })), [2.5, 2.5, 2.65, 2.8]);
 * ```
 */
export function flexVarSearch(tuning: ModelTuning): SearchDefaults {
  const { scale = SEARCH.scale, samples: tuned = SEARCH.samples } = tuning;
  const shift = tuning.alpha === undefined ? 0 : tuning.alpha - alphaOf(tuned);
  return {
    ...SEARCH,
    scale,
    samples: tuned,
    alpha: ({ samples }) => {
      // Without what adding and subtracting leaves in the last digits, and within a search's bounds.
      return Math.min(2 ** 20, Math.max(0, Math.round((alphaOf(samples) + shift) * 1e9) / 1e9));
    },
    conflictThreshold: tuning.conflictThreshold ?? PUBLISHED.conflictThreshold,
    published: PUBLISHED,
  };
}
