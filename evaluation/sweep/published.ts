/**
 * Values that papers publish of their tables and figures, as the plans of `presets.ts` lay them out.
 *
 * @module
 */

import type { PublishedValues } from "./plan.ts";

/** FID and Inception Score. */
export type Pair = readonly [fid: number, inceptionScore: number];
/** An α with what it came to. */
export type Tuned = readonly [alpha: number, fid: number, inceptionScore: number];

/** Columns of VAR-Scaling's tables: numbers of candidates. */
export const SAMPLES = [20, 50, 100] as const;
/** α by column for VAR-d30 on scale 1. */
export const ALPHA = [2.3, 2.4, 2.4] as const;
/** VAR-d30 without a method. */
export const BASELINE: Pair = [2.25, 274.7];

/** Table 2: VAR-d30, a line for each scale. */
export const TABLE_2: readonly (readonly Tuned[])[] = [
  [[2.3, 2.44, 285.2], [2.4, 3.07, 288.2], [2.5, 2.91, 296.0]],
  [[2.3, 2.16, 279.3], [2.4, 2.25, 298.7], [2.4, 2.19, 295.2]],
  [[1.7, 2.18, 283.3], [1.7, 2.25, 298.3], [1.8, 2.24, 296.2]],
  [[1.9, 2.17, 283.2], [1.9, 2.23, 289.4], [1.8, 2.33, 291.1]],
  [[1.9, 2.19, 288.2], [1.9, 2.21, 295.8], [2.0, 2.12, 288.3]],
  [[1.8, 2.21, 289.0], [1.8, 2.25, 293.0], [2.0, 2.10, 285.4]],
  [[1.7, 2.10, 284.3], [1.7, 2.26, 288.2], [1.9, 2.09, 285.4]],
  [[1.4, 2.18, 286.5], [1.4, 2.20, 287.1], [1.5, 2.11, 284.7]],
  [[1.2, 2.18, 282.7], [1.2, 2.24, 286.2], [1.3, 2.12, 284.5]],
  [[1.1, 2.19, 280.2], [1.1, 2.23, 284.3], [1.3, 2.16, 281.8]],
];

/** Table 3a: depths, with the plain row. */
export const TABLE_3A: readonly (readonly [depth: number, baseline: Pair, line: readonly Tuned[]])[] = [
  [16, [3.81, 227.2], [[2.4, 3.77, 227.5], [2.4, 3.75, 228.3], [2.6, 3.69, 232.6]]],
  [20, [2.84, 253.3], [[2.3, 2.72, 267.4], [2.4, 2.81, 262.3], [2.5, 2.78, 261.0]]],
  [24, [2.28, 273.7], [[2.7, 2.18, 275.2], [2.7, 2.24, 276.3], [2.8, 2.21, 280.3]]],
  [30, BASELINE, [[2.3, 2.16, 279.3], [2.4, 2.25, 298.7], [2.4, 2.19, 295.2]]],
];

/** The line of the defaults, which several tables repeat. */
const DEFAULTS: readonly Pair[] = [[2.16, 279.3], [2.25, 298.7], [2.19, 295.2]];

/** Table 3b: strategies. */
export const TABLE_3B: Readonly<Record<string, readonly Pair[]>> = {
  "var-scaling": DEFAULTS,
  "top-k": [[2.30, 296.9], [2.46, 304.7], [2.42, 301.5]],
  "random-k": [[2.25, 276.1], [2.27, 276.7], [2.24, 275.3]],
};

/** Table 3c: representatives. */
export const TABLE_3C: readonly (readonly [representatives: number, line: readonly Pair[]])[] = [
  [5, [[2.17, 279.0], [2.23, 297.5], [2.21, 295.1]]],
  [10, DEFAULTS],
  [15, [[2.13, 278.8], [2.24, 298.4], [2.17, 294.0]]],
];

/** Table 3d: strengths of guidance, with the plain row. */
export const TABLE_3D: readonly (readonly [cfg: number, baseline: Pair, line: readonly Tuned[]])[] = [
  [1, BASELINE, [[2.3, 2.16, 279.3], [2.4, 2.25, 298.7], [2.4, 2.19, 295.2]]],
  [1.5, [2.01, 305.7], [[1.8, 1.97, 310.4], [1.8, 2.16, 320.4], [1.9, 2.13, 319.1]]],
];

/** Table 3e: distances. */
export const TABLE_3E: Readonly<Record<string, readonly Pair[]>> = {
  euclidean: DEFAULTS,
  cosine: [[2.23, 296.8], [2.21, 293.0], [2.18, 288.1]],
};

/** Figure 3, where it can be read: a strategy, none of the plain row, at so many candidates. */
export const FIGURE_3: readonly (readonly [strategy: string | undefined, samples: number, pair: Pair])[] = [
  ["top-k", 50, [2.48, 309]],
  ["top-k", 100, [2.56, 317]],
];

/** Figure 5: VAR and FlexVAR over the number of candidates. */
export const FIGURE_5: {
  readonly samples: readonly number[];
  readonly lines: Readonly<
    Record<string, {
      readonly depth: number;
      readonly cfg: number;
      readonly pairs: readonly Pair[];
    }>
  >;
} = {
  samples: [10, 25, 50, 75, 100],
  lines: {
    "d30": { depth: 30, cfg: 1, pairs: [[2.26, 274], [2.17, 288], [2.24, 298], [2.25, 302], [2.25, 301]] },
    "flexvar-d24": {
      depth: 24,
      cfg: 2.5,
      pairs: [[2.28, 284], [2.20, 295.5], [2.28, 303], [2.30, 304], [2.30, 305]],
    },
  },
};

/** Infinity-2B's GenEval by the number of candidates. */
export const FIGURE_6: readonly (readonly [samples: number, geneval: number])[] = [
  [500, 0.689],
  [1000, 0.695],
  [1650, 0.699],
  [2300, 0.7005],
  [3000, 0.7005],
];

/** A line of TTS-VAR's table: two objects, counting, colour attribution, overall. */
function geneval(
  row: Omit<PublishedValues, "values">,
  [two, counting, attribution, overall]: readonly [number, number, number, number],
): PublishedValues {
  return {
    ...row,
    values: { "geneval": overall, "two-object": two, "counting": counting, "color-attr": attribution },
  };
}

/** TTS-VAR's first table, but for importance sampling, which is no method here. */
export const TTS_TABLE_1: readonly PublishedValues[] = [
  geneval({ model: "infinity-2b", method: "plain" }, [0.835, 0.592, 0.615, 0.695]),
  geneval({ model: "infinity-2b", method: "best-of-n", settings: { samples: 8 } }, [
    0.920,
    0.676,
    0.670,
    0.736,
  ]),
  geneval({ model: "infinity-2b", method: "tts-var", settings: { multiple: 2 } }, [
    0.928,
    0.711,
    0.678,
    0.7403,
  ]),
  geneval({ model: "infinity-2b", method: "tts-var", settings: { multiple: 8 } }, [
    0.950,
    0.741,
    0.680,
    0.7530,
  ]),
  geneval({ model: "infinity-8b", method: "plain" }, [0.887, 0.729, 0.675, 0.765]),
  geneval({ model: "infinity-8b", method: "tts-var", settings: { multiple: 4 } }, [
    0.930,
    0.804,
    0.760,
    0.819,
  ]),
];
