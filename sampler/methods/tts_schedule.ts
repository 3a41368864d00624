/**
 * When TTS-VAR thins lanes out, and to how many: lists for the numbers of scales that models have, and the
 * checks of lists of one's own.
 *
 * @module
 */

import { mustBe, requireInteger, requireList } from "../../kernels/arguments.ts";
import { MAX_LANES } from "../request.ts";
import { scaleIndex } from "../scale_index.ts";

/** What happens to the lanes of an image, scale by scale. */
export interface TtsSchedule {
  /** Lanes after each scale, as the released code's `bs_sis` has them. */
  readonly sizes: readonly number[];
  /** Scales after which lanes are clustered, in order. */
  readonly clusterScales: readonly number[];
  /** Scales after which lanes are resampled, in order. */
  readonly resampleScales: readonly number[];
}

/** What may be given instead of the preset. */
export interface TtsScheduleOptions {
  /** Lanes after each scale; may not grow. */
  readonly sizes?: readonly number[] | undefined;
  /** Scales after which lanes are clustered; negative ones count from the end. */
  readonly clusterScales?: readonly number[] | undefined;
  /** Scales after which lanes are resampled; negative ones count from the end. */
  readonly resampleScales?: readonly number[] | undefined;
  /** Multiplies the preset's sizes. */
  readonly multiple?: number | undefined;
}

/** Lanes that a preset starts with. */
export const PRESET_LANES = 8;

/**
 * By number of scales. That of 13 is the released code's; 10 and 7 cluster and resample at the same parts of
 * the way (VAR's list is preset I of the comparison in `docs/methods.md`). With 5 and 6 scales, each one
 * between the first and the last has its turn: pictures tell little after the first, and after the last there
 * is nothing left to save.
 */
const PRESETS: Readonly<Record<number, TtsSchedule>> = {
  5: { sizes: [8, 6, 4, 2, 1], clusterScales: [1, 2], resampleScales: [3] },
  6: { sizes: [8, 6, 4, 2, 1, 1], clusterScales: [1, 2], resampleScales: [3, 4] },
  7: { sizes: [8, 6, 6, 4, 2, 1, 1], clusterScales: [1, 3], resampleScales: [4, 5] },
  10: { sizes: [8, 8, 6, 6, 4, 2, 2, 1, 1, 1], clusterScales: [2, 4], resampleScales: [5, 7] },
  13: { sizes: [8, 8, 6, 6, 6, 4, 2, 2, 2, 1, 1, 1, 1], clusterScales: [2, 5], resampleScales: [6, 9] },
};

/**
 * The schedule for a number of scales.
 *
 * @param scales How many scales there are.
 * @param options What is given instead of the preset.
 * @throws {TypeError} If a list is of the wrong type.
 * @throws {RangeError} If there is no preset for so many scales, or a schedule cannot be followed: sizes that
 * grow, shrink where nothing happens, or stay where lanes are clustered.
 *
 * @example
 * ```ts
 * import { ttsSchedule } from "./tts_schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(ttsSchedule(10).clusterScales, [2, 4]);
 * assertEquals(ttsSchedule(5, { multiple: 2 }).sizes, [16, 12, 8, 4, 2]);
 * ```
 */
export function ttsSchedule(scales: number, options: TtsScheduleOptions = {}): TtsSchedule {
  const preset = PRESETS[scales];
  const { multiple = 1 } = options;
  if (preset === undefined && options.sizes === undefined) {
    throw new RangeError(
      mustBe(
        `given for ${scales} scales, as there are presets for ${Object.keys(PRESETS).join(", ")}`,
        undefined,
        "sizes",
        ACTION,
      ),
    );
  }
  const given = options.clusterScales !== undefined || options.resampleScales !== undefined;
  const named = (wanted: readonly number[] | undefined, name: string, usual: readonly number[]): number[] => {
    const list = requireList(wanted ?? usual, name, ACTION, "a list of scales") as readonly number[];
    const found = list.map((scale) => scaleIndex(scale, scales, `a scale of ${name}`, ACTION));
    return [...new Set(found)].sort((a, b) => a - b);
  };
  // Whoever says when one of the two happens has said all.
  const usual = given || preset === undefined ? NOTHING : preset;
  const schedule = {
    sizes: options.sizes ?? preset!.sizes.map((size) => size * multiple),
    clusterScales: named(options.clusterScales, "clusterScales", usual.clusterScales),
    resampleScales: named(options.resampleScales, "resampleScales", usual.resampleScales),
  };
  requireFollowable(schedule, scales);
  return schedule;
}

/** Numbers of scales that there are presets for. */
export const PRESET_SCALES: readonly number[] = Object.keys(PRESETS).map(Number);

/**
 * The preset's schedules for any number of lanes: sizes in the same proportions, each rounded down or up.
 * Where that leaves nothing to thin out, nothing happens.
 *
 * @param scales How many scales there are.
 * @param lanes Lanes that an image starts with.
 * @throws {RangeError} If there is no preset for so many scales.
 *
 * @example
 * ```ts
 * import { scaledTtsSchedules } from "./tts_schedule.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const schedules = scaledTtsSchedules(6, 4);
 * assertEquals(schedules.map(({ sizes }) => sizes), [[4, 3, 2, 1, 1, 1]]);
 * assertEquals(scaledTtsSchedules(6, 5).length, 8);
 * ```
 */
export function scaledTtsSchedules(scales: number, lanes: number): TtsSchedule[] {
  const { sizes: usual, clusterScales, resampleScales } = ttsSchedule(scales);
  /** Sizes of the scales so far. */
  let lists: number[][] = [[]];
  for (const [scale, size] of usual.entries()) {
    const share = lanes * size / PRESET_LANES;
    const rounded = new Set([Math.max(1, Math.floor(share)), Math.max(1, Math.ceil(share))]);
    lists = lists.flatMap((sizes) => {
      const before = sizes.at(-1);
      const choices = size === usual[scale - 1] ? [before!] : [...rounded];
      return choices.filter((choice) => choice <= (before ?? lanes)).map((choice) => [...sizes, choice]);
    });
  }
  return lists.map((sizes) => {
    const thins = (scale: number): boolean => sizes[scale]! < sizes[scale - 1]!;
    return {
      sizes,
      clusterScales: clusterScales.filter(thins),
      resampleScales: resampleScales.filter(thins),
    };
  });
}

const NOTHING: Pick<TtsSchedule, "clusterScales" | "resampleScales"> = {
  clusterScales: [],
  resampleScales: [],
};

const ACTION = "schedule TTS-VAR";

function requireFollowable({ sizes, clusterScales, resampleScales }: TtsSchedule, scales: number): void {
  requireList(sizes, "sizes", ACTION, "a list of numbers");
  if (sizes.length !== scales) {
    throw new RangeError(
      mustBe(`one number for each of ${scales} scales`, `${sizes.length} numbers`, "sizes", ACTION),
    );
  }
  for (const size of sizes) requireInteger(size, "each size", ACTION, { min: 1, max: MAX_LANES });
  const both = clusterScales.find((scale) => resampleScales.includes(scale));
  if (both !== undefined) {
    throw new RangeError(mustBe("in one list of scales", both, "a scale that is in both", ACTION));
  }
  for (const [scale, size] of sizes.entries()) {
    // Of the first scale it is what the lanes are thinned to, or begin with.
    const before = sizes[scale - 1] ?? size;
    if (size > before) {
      throw new RangeError(
        mustBe(`at most ${before}, as after the scale before`, size, `size ${scale}`, ACTION),
      );
    }
    const acts = clusterScales.includes(scale) || resampleScales.includes(scale) || scale === scales - 1;
    if (size < before && !acts) {
      const wanted = `${before}, as after the scale before, since scale ${scale} is in no list`;
      throw new RangeError(mustBe(wanted, size, `size ${scale}`, ACTION));
    }
    if (scale === 0 && clusterScales.includes(scale)) {
      throw new RangeError(
        mustBe("from 1 on, as an image begins with size 0", 0, "a scale of clusterScales", ACTION),
      );
    }
    if (size === before && clusterScales.includes(scale)) {
      throw new RangeError(mustBe(`less than ${before} to cluster`, size, `size ${scale}`, ACTION));
    }
  }
}
