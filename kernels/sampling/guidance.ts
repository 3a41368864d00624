/**
 * Classifier-free guidance as a step of its own, for those who want to see or change guided logits. Sampling
 * applies the same guidance while it reads (`sample.ts`), so nobody needs this kernel just to draw tokens.
 *
 * @module
 */

import { words } from "../device/cpu_device.ts";
import { requireLength } from "../device/array_checks.ts";
import { type DeviceArray, type Kernel, spread } from "../device/device.ts";
import { guideRow, LOGIT_WGSL, type LogitArguments, requireLogits, rowScratch } from "./logit.ts";
import wgsl from "./guidance.wgsl" with { type: "text" };

/** Arguments of {@linkcode guidance}. */
export interface GuidanceArguments extends Omit<LogitArguments, "guided" | "weight"> {
  /** Where the guided logits go: f32 [images, positions, vocabulary]. */
  guided: DeviceArray;
  /** Weight t in `conditional + t * (conditional - unconditional)`, from -2^32 to 2^32. */
  weight: number;
}

/** Threads of a workgroup, each of which makes four values, as in the shader. */
const THREADS = 256;

/**
 * Guided logits: `conditional + weight * (conditional - unconditional)`, where `logits` holds all conditional
 * rows and then all unconditional ones. The same bits on every device, right to within 4e-7 of the larger of
 * the two terms.
 *
 * - A value below 2^-64 in size counts as 0, a finite one beyond 2^90 as 2^90, before and after.
 * - A conditional NaN or infinity passes through. Where only the unconditional value is NaN or infinite,
 *   guidance has nothing to say and the conditional value is the result.
 * - With weight 0 the result is the conditional logits, and the unconditional ones are not read; they may
 *   then be missing.
 *
 * In VAR the weight grows from 0 at the first scale to `cfg` at the last (`cfg * scale / (scales - 1)`).
 *
 * @throws {TypeError} If an argument has the wrong type.
 * @throws {RangeError} If an argument is out of range or an array too short.
 *
 * @example
 * ```ts
 * import { guidance } from "./guidance.ts";
 * import { CpuDevice } from "../device/cpu_device.ts";
 * import { readFloats } from "../device/device.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using device = new CpuDevice();
 * using logits = device.upload(new Float32Array([1, 2, 3, 2, 2, 1])); // conditional, then unconditional
 * using guided = device.allocate(3);
 * device.run(guidance, { logits, guided, images: 1, positions: 1, vocabulary: 3, weight: 0.5 });
 * assertEquals([...await readFloats(guided)], [0.5, 2, 4]);
 * ```
 */
export const guidance: Kernel<GuidanceArguments> = {
  name: "guidance",
  wgsl: LOGIT_WGSL + wgsl,
  plan(args) {
    const { logits, guided, images, positions, vocabulary } = args;
    const action = "guide logits";
    const weight = requireLogits({ ...args, guided: args.weight !== 0 }, action);
    const count = images * positions * vocabulary;
    requireLength(guided, count, action);
    return {
      arrays: [logits, guided],
      parameters: [["u32", count], ["f32", weight]],
      workgroups: spread(Math.ceil(count / (4 * THREADS))),
    };
  },
  twin(args) {
    const { logits, guided, images, positions, vocabulary } = args;
    const weight = requireLogits({ ...args, guided: args.weight !== 0 }, "guide logits");
    const rows = images * positions;
    const source = words(logits);
    const target = words(guided);
    const row = rowScratch(vocabulary);
    for (let r = 0; r < rows; r++) {
      const at = r * vocabulary;
      guideRow(source, row, { at, unconditionalAt: rows * vocabulary + at, weight });
      target.set(row.u32, at);
    }
  },
};
