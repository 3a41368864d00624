import { assertEquals, assertThrows } from "@std/assert";
import { ttsSchedule, type TtsScheduleOptions } from "../../../sampler/methods/tts_schedule.ts";

Deno.test("ttsSchedule: that of 13 scales is the released one", () => {
  assertEquals(ttsSchedule(13), {
    sizes: [8, 8, 6, 6, 6, 4, 2, 2, 2, 1, 1, 1, 1],
    clusterScales: [2, 5],
    resampleScales: [6, 9],
  });
});

Deno.test("ttsSchedule: each preset starts with eight lanes, clusters before it resamples, and leaves one", () => {
  for (const scales of [5, 6, 7, 10, 13]) {
    for (const multiple of [1, 2, 32]) {
      const { sizes, clusterScales, resampleScales } = ttsSchedule(scales, { multiple });
      assertEquals([sizes.length, sizes[0], sizes.at(-1)], [scales, 8 * multiple, multiple]);
      assertEquals([clusterScales.length > 0, resampleScales.length > 0], [true, true]);
      assertEquals(Math.max(...clusterScales) < Math.min(...resampleScales), true);
    }
  }
});

Deno.test("ttsSchedule: lists of one's own, counted from the end too", () => {
  assertEquals(
    ttsSchedule(4, { sizes: [5, 3, 2, 1], clusterScales: [1], resampleScales: [-2] }),
    { sizes: [5, 3, 2, 1], clusterScales: [1], resampleScales: [2] },
  );
  // Lanes that stay as many may be resampled all the same, and after the last scale the best are taken.
  assertEquals(ttsSchedule(3, { sizes: [4, 4, 1], resampleScales: [1] }).resampleScales, [1]);
  // Of a scale in neither list, nothing is left of the preset.
  assertEquals(ttsSchedule(3, { sizes: [4, 4, 4] }).clusterScales, []);
});

Deno.test("ttsSchedule: what cannot be followed is refused before anything runs", () => {
  const cases: [number, TtsScheduleOptions, string][] = [
    [8, {}, "sizes must be given for 8 scales, as there are presets for 5, 6, 7, 10, 13"],
    [3, { sizes: [4, 2] }, 'sizes must be one number for each of 3 scales: current value is "2 numbers"'],
    [3, { sizes: [4, 2, 3], resampleScales: [1] }, "size 2 must be at most 2, as after the scale before"],
    [3, { sizes: [4, 2, 1] }, "size 1 must be 4, as after the scale before, since scale 1 is in no list"],
    [3, { sizes: [4, 4, 1], clusterScales: [1] }, "size 1 must be less than 4 to cluster"],
    [3, { sizes: [4, 4, 1], clusterScales: [0] }, "must be from 1 on"],
    [3, { sizes: [4, 2, 1], clusterScales: [1], resampleScales: [1] }, "must be in one list of scales"],
    [3, { sizes: [4, 2, 1], resampleScales: [3] }, "a scale of resampleScales must be"],
    [3, { sizes: [4, 0, 0], resampleScales: [1] }, "each size must be"],
    [3, { sizes: [300, 2, 1], resampleScales: [1] }, "each size must be"],
  ];
  for (const [scales, options, message] of cases) {
    assertThrows(() => ttsSchedule(scales, options), RangeError, message);
  }
});
