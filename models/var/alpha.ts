/**
 * Settings of VAR-Scaling (arXiv 2601.07293) that suit VAR models: above all its threshold factor α, as the
 * authors have found it for depths, scales and numbers of samples.
 *
 * @module
 */

import { requireInteger } from "../../kernels/arguments.ts";
import type { ModelTuning } from "../folder/model_folder.ts";
import type { SearchDefaults, SearchSettings } from "../model.ts";

/**
 * α for the columns N = 20, 50, 100: by depth at scale 1 (paper, table 3a), and by scale at depth 30 (table
 * 2).
 */
const ALPHA_COLUMNS = [20, 50, 100] as const;
const ALPHA_BY_DEPTH: Readonly<Record<number, readonly number[]>> = {
  16: [2.4, 2.4, 2.6],
  20: [2.3, 2.4, 2.5],
  24: [2.7, 2.7, 2.8],
  30: [2.3, 2.4, 2.4],
};
const ALPHA_BY_SCALE: readonly (readonly number[])[] = [
  [2.3, 2.4, 2.5],
  [2.3, 2.4, 2.4],
  [1.7, 1.7, 1.8],
  [1.9, 1.9, 1.8],
  [1.9, 1.9, 2.0],
  [1.8, 1.8, 2.0],
  [1.7, 1.7, 1.9],
  [1.4, 1.4, 1.5],
  [1.2, 1.2, 1.3],
  [1.1, 1.1, 1.3],
];

/**
 * The paper's α (tables 2 and 3a) for the nearest depth and number of samples. Scales other than 1 were tuned
 * at depth 30 only; for other depths their α is shifted by as much as the depth's differs at scale 1.
 *
 * @throws {RangeError} If a number is no integer or below the first possible one.
 *
 * @example
 * ```ts
 * import { alphaPreset } from "./alpha.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(alphaPreset({ depth: 30, scale: 1, samples: 50 }), 2.4);
 * assertEquals(alphaPreset({ depth: 30, scale: 7, samples: 100 }), 1.5);
 * ```
 */
export function alphaPreset(setting: { depth: number; scale: number; samples: number }): number {
  const { depth, scale, samples } = setting;
  requireInteger(depth, "depth", "find alpha", { min: 1 });
  requireInteger(scale, "scale", "find alpha", { min: 0 });
  requireInteger(samples, "samples", "find alpha", { min: 1 });
  const nearest = (values: readonly number[], wanted: number): number => {
    return values.reduce((best, value) => Math.abs(value - wanted) < Math.abs(best - wanted) ? value : best);
  };
  const column = ALPHA_COLUMNS.findIndex((value) => value === nearest(ALPHA_COLUMNS, samples));
  const byDepth = ALPHA_BY_DEPTH[nearest(Object.keys(ALPHA_BY_DEPTH).map(Number), depth)]![column]!;
  const byScale = ALPHA_BY_SCALE[Math.min(scale, ALPHA_BY_SCALE.length - 1)]![column]!;
  const shift = byDepth - ALPHA_BY_DEPTH[30]![column]!;
  return Math.round((byScale + shift) * 100) / 100;
}

/** The experiments' settings: candidates of the 2×2 map. */
export const SEARCH: SearchSettings = {
  scale: 1,
  samples: 50,
  representatives: 10,
  strategy: "var-scaling",
  pick: "density",
};

/** What the released code takes. The threshold is in units of the published codebook. */
const PUBLISHED: SearchDefaults["published"] = {
  cfg: 1,
  alpha: 2.3,
  conflictThreshold: 1.8,
  scale: SEARCH.scale,
  samples: SEARCH.samples,
};

/**
 * Settings that suit a model: {@linkcode alphaPreset}, shifted if the model's folder knows another α for its
 * scale and number of candidates, and what else the folder says.
 *
 * @param depth Depth of the model.
 * @param tuning What its folder says.
 */
export function varSearch(depth: number, tuning: ModelTuning): SearchDefaults {
  const { scale = SEARCH.scale, samples = SEARCH.samples } = tuning;
  const { conflictThreshold = PUBLISHED.conflictThreshold } = tuning;
  const preset = alphaPreset({ depth, scale, samples });
  const { alpha = preset } = tuning;
  return {
    ...SEARCH,
    scale,
    samples,
    alpha: (setting) => {
      const shifted = alphaPreset({ depth, ...setting }) + (alpha - preset);
      // Without what adding and subtracting leaves in the last digits, and within a search's bounds.
      return Math.min(2 ** 20, Math.max(0, Math.round(shifted * 1e9) / 1e9));
    },
    conflictThreshold,
    published: PUBLISHED,
  };
}
