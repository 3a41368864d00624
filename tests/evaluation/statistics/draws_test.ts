import { assert, assertEquals } from "@std/assert";
import { draws, shuffled } from "../../../evaluation/statistics/draws.ts";
import { threefry } from "../../../kernels/exact/threefry.ts";

Deno.test("draws: are threefry's words of the seed, the stream and the place", () => {
  const draw = draws(7, 3);
  for (let place = 0; place < 5; place++) {
    const [high] = threefry([7, 0], [3, place]);
    assertEquals(draw(256), high >>> 24);
  }
});

Deno.test("shuffled: is a permutation, each seed and stream another, and every place is as likely", () => {
  for (const count of [0, 1, 2, 100]) {
    assertEquals(
      [...shuffled(count, 1, 0)].sort((a, b) => a - b),
      Array.from({ length: count }, (_, i) => i),
    );
  }
  assert(`${shuffled(100, 1, 0)}` !== `${shuffled(100, 2, 0)}`);
  assert(`${shuffled(100, 1, 0)}` !== `${shuffled(100, 1, 1)}`);
  const counts = new Uint32Array(6);
  for (let stream = 0; stream < 6000; stream++) counts[shuffled(3, 5, stream)[0]! * 2]!++;
  // Each of three is first 2000 times, within five standard deviations of √(6000 · 1/3 · 2/3) = 37.
  for (const first of [0, 1, 2]) assert(Math.abs(counts[first * 2]! - 2000) < 5 * 37);
});
