import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Pace } from "../../sampler/pace.ts";

Deno.test("Pace: the pace is that of the last marks", () => {
  let time = 1000;
  const pace = new Pace(1000, { now: () => time });
  assertEquals([pace.perSecond, pace.secondsLeft], [0, Infinity]);
  // A slow start of 100 s, then 4 images in each half second.
  time += 100_000;
  pace.mark(4);
  assertAlmostEquals(pace.perSecond, 0.04);
  for (let done = 8; done <= 200; done += 4) {
    time += 500;
    pace.mark(done);
  }
  assertAlmostEquals(pace.perSecond, 8);
  assertAlmostEquals(pace.secondsLeft, 100);
  time += 1e6;
  assertAlmostEquals(pace.perSecond, 8, 1e-9, "Only marks count");
});

Deno.test("Pace: what was there before counts for the end and not for the pace", () => {
  let time = 0;
  const pace = new Pace(10, { done: 8, now: () => time });
  time = 4000;
  pace.mark(9);
  assertEquals([pace.perSecond, pace.secondsLeft], [0.25, 4]);
  time = 6000;
  pace.mark(10);
  assertEquals(pace.secondsLeft, 0);
  assertEquals(new Pace(3, { done: 3 }).secondsLeft, 0);
});
