import { assert, assertEquals, assertThrows } from "@std/assert";
import { hostTimeline } from "../../../kernels/device/host_timeline.ts";

Deno.test("hostTimeline measures between marks and refuses more than it was opened for", () => {
  using timeline = hostTimeline(3);
  for (let i = 0; i < 3; i++) timeline.mark();
  const spans = timeline.durations(undefined, 1);
  assertEquals(spans.length, 2);
  assert(spans.every((span) => span >= 0));
  assertEquals(timeline.finish(), undefined);
  assertThrows(() => timeline.mark(), RangeError, "the number of marks must be an integer from 1 to 3");
});

Deno.test("hostTimeline takes no more marks than a query set has", () => {
  assertThrows(() => hostTimeline(4097), RangeError, "capacity must be an integer from 1 to 4096");
});
