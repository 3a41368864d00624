/** Places on the finest grid against exact arithmetic, and rotations against recorded angles. */

import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { finestPlace, rotations } from "../../../models/infinity/rope.ts";
import { ASPECT_KEYS, coordinateMap, infinitySchedule } from "../../../models/infinity/schedule.ts";
import type { MapSize } from "../../../models/schedule.ts";
import { TRANSFORMER_CASES } from "./hashed_model.ts";

/** Maps of a ratio, coarse to fine. */
function mapsOf(aspect: string): readonly MapSize[] {
  const model = { name: "any", scales: 13, levels: 13, depth: 1, pixels: 16 };
  return infinitySchedule(model, { familyOptions: { aspect } }).scales;
}

/** `i · finest / side` in integers without bounds, halves to the even number, and whether it is a half. */
function exactPlace(i: number, side: number, finest: number): { place: number; tie: boolean } {
  const doubled = 2n * BigInt(i) * BigInt(finest);
  const unit = 2n * BigInt(side);
  const whole = doubled / unit;
  const rest = doubled % unit;
  const tie = 2n * rest === unit;
  const up = tie ? whole % 2n === 1n : 2n * rest > unit;
  return { place: Number(up ? whole + 1n : whole), tie };
}

Deno.test("finestPlace: all places of all ratios are those of exact arithmetic, with 516 halves", () => {
  let ties = 0;
  let roundedOtherwise = 0;
  for (const aspect of ASPECT_KEYS) {
    const finest = coordinateMap({ aspect });
    for (const map of mapsOf(aspect)) {
      for (const side of ["height", "width"] as const) {
        for (let i = 0; i < map[side]; i++) {
          const { place, tie } = exactPlace(i, map[side], finest[side]);
          assertEquals(finestPlace(i, map[side], finest[side]), place);
          assert(place >= 0 && place < finest[side]);
          if (!tie) continue;
          ties++;
          if (Math.round(i * finest[side] / map[side]) !== place) roundedOtherwise++;
          assert(aspect !== "1", "squares have no halves");
        }
      }
    }
  }
  assertEquals(ties, 516);
  assert(roundedOtherwise > 0, "how halves are rounded makes a difference");
});

Deno.test("finestPlace: places of squares are those that were recorded", () => {
  const places = (side: number): number[] => Array.from({ length: side }, (_, i) => finestPlace(i, side, 64));
  const repeated = (first: readonly number[], step: number): number[] => {
    return Array.from({ length: 64 / step }, (_, i) => first.map((place) => place + i * step)).flat();
  };
  assertEquals(places(1), [0]);
  assertEquals(places(2), [0, 32]);
  assertEquals(places(4), [0, 16, 32, 48]);
  assertEquals(places(6), [0, 11, 21, 32, 43, 53]);
  assertEquals(places(8), repeated([0], 8));
  assertEquals(places(12), [0, 5, 11, 16, 21, 27, 32, 37, 43, 48, 53, 59]);
  assertEquals(places(16), repeated([0], 4));
  assertEquals(places(20), [0, 3, 6, 10, 13, 16, 19, 22, 26, 29, 32, 35, 38, 42, 45, 48, 51, 54, 58, 61]);
  assertEquals(places(24), repeated([0, 3, 5, 8, 11, 13, 16, 19, 21, 24, 27, 29], 32));
  assertEquals(places(32), repeated([0], 2));
  assertEquals(places(40), repeated([0, 2, 3, 5, 6], 8));
  assertEquals(places(48), repeated([0, 1, 3], 4));
  assertEquals(places(64), repeated([0], 1));
});

for (const { tag, config, schedule, intermediates: { rope_angles_scale3: recorded } } of TRANSFORMER_CASES) {
  Deno.test(`rotations: ${tag} turns its fourth map by the recorded angles`, () => {
    const [height, width] = schedule[3] as [number, number];
    const finest = coordinateMap({ aspect: `${config.h_div_w}` });
    const headWidth = config.C / config.heads;
    const { cos, sin } = rotations({ width, height }, finest, headWidth);
    assertEquals([cos.length, sin.length], [recorded.n, recorded.n]);
    const half = headWidth / 2;
    const pairs = half / 2;
    let sum = 0;
    for (let at = 0; at < cos.length; at++) {
      const token = Math.floor(at / half);
      const j = at % half;
      const place = j < pairs
        ? exactPlace(Math.floor(token / width), height, finest.height).place
        : exactPlace(token % width, width, finest.width).place;
      const angle = place * 10000 ** (-(j % pairs) / pairs);
      sum += angle;
      // Angles are f32 of up to 64: an error of 2^-19 at most, and once more that of the speed.
      assertAlmostEquals(cos[at]!, Math.cos(angle), 8e-6);
      assertAlmostEquals(sin[at]!, Math.sin(angle), 8e-6);
      const last = at - (recorded.n - recorded.last.length);
      const written = at < recorded.first.length ? recorded.first[at] : recorded.last[last];
      if (written !== undefined) assertAlmostEquals(angle, written, 1e-5);
    }
    // Recorded with three digits after the point.
    assertAlmostEquals(sum, recorded.sum, 1e-2);
  });
}

Deno.test("rotations: each is a turn, rows turn the first half of a head and columns the second", () => {
  const { cos, sin } = rotations({ width: 3, height: 2 }, { width: 30, height: 20 }, 8);
  for (let i = 0; i < cos.length; i++) assertAlmostEquals(cos[i]! ** 2 + sin[i]! ** 2, 1, 1e-6);
  const token = (row: number, column: number): number[] => [...sin.slice(4 * (3 * row + column)).slice(0, 4)];
  assertEquals(token(0, 0), [0, 0, 0, 0]);
  assertEquals(token(0, 2).slice(0, 2), [0, 0]);
  assertEquals(token(1, 0).slice(2), [0, 0]);
  for (const [i, angle] of [10, 0.1, 10, 0.1].entries()) {
    assertAlmostEquals(token(1, 1)[i]!, Math.sin(angle), 1e-6);
  }
});
