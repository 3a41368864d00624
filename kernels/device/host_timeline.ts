/**
 * A timeline on the host's clock, for the CPU and for adapters without timestamps.
 *
 * @module
 */

import { requireInteger } from "../arguments.ts";
import type { Timeline } from "./device.ts";

/** WebGPU's limit of timestamps in one query set. */
const MAX_MARKS = 4096;

/** A timeline on the host's clock: right where kernels have run when their call returns. */
export function hostTimeline(capacity: number): Timeline {
  requireInteger(capacity, "capacity", "start a timeline", { min: 1, max: MAX_MARKS });
  const marks: number[] = [];
  return {
    clock: "host",
    mark: () => {
      requireInteger(marks.length + 1, "the number of marks", "mark a timeline", { min: 1, max: capacity });
      marks.push(performance.now());
    },
    finish: () => undefined,
    durations: () => marks.slice(1).map((mark, i) => mark - marks[i]!),
    [Symbol.dispose]: () => {},
  };
}
