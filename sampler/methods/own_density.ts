/**
 * VAR-Scaling's density as a judge of lanes: how representative the tokens of a lane are among candidates
 * that the same logits could have given. Needs neither a picture nor a network.
 *
 * @module
 */

import { requireInteger, requireObject, requireOptions } from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import type { LaneVerifier } from "../judging.ts";
import type { ScaleStep } from "../step.ts";

/** Options of {@linkcode ownDensity}. */
export interface OwnDensityOptions {
  /** Candidates that each lane is compared with; 50 by default. */
  samples?: number;
}

/**
 * Makes a judge of lanes: the logarithm of how many times denser the tokens of the last scale lie than its
 * candidates do on average, which is 0 for average ones. It looks at one scale, whatever came before.
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If `samples` is no integer from 1 to 8191.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, ownDensity } from "../../mod.ts";
 * import { assert } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const search = bestOfN({ samples: 2, verifier: ownDensity({ samples: 20 }) });
 * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [search] });
 * assert(Number.isFinite(image!.decisionsOf(search)[0]!.value.score));
 * ```
 */
export function ownDensity(options: OwnDensityOptions = {}): LaneVerifier {
  const action = "make a judge by density";
  requireObject(options, "the options", action);
  requireOptions(options, ["samples"], action);
  const samples = requireInteger(options.samples ?? 50, "samples", action, { min: 1, max: 8191 });
  return {
    name: "density",
    async scoreLanes(step) {
      const count = samples + 1;
      const densities = step.ofLanes(step.density(withDraws(step, samples), count));
      const [words] = await step.device.read([densities]);
      const values = new Float32Array(words!.buffer);
      return step.lanes.map((_, lane) => {
        const [own, ...others] = values.subarray(lane * count, (lane + 1) * count);
        return Math.log(own! * others.length / others.reduce((sum, value) => sum + value, 0));
      });
    },
  };
}

/** The tokens of each lane, followed by draws from its logits, u32 [lanes, 1 + samples, positions, words]. */
function withDraws(step: ScaleStep, samples: number): DeviceArray {
  const { device, tokens, positions, model: { tokens: { words } } } = step;
  // Draw 0 is the lane's own unless a hook has chosen another.
  const draws = step.draw(samples, { firstDraw: 1 });
  const map = positions * words;
  const lanes = draws.length / (samples * map);
  const all = step.allocate(lanes * (samples + 1) * map, "tokens and draws");
  for (let lane = 0; lane < lanes; lane++) {
    const targetOffset = lane * (samples + 1) * map;
    device.copy(tokens!, all, { sourceOffset: lane * map, targetOffset, length: map });
    const rest = {
      sourceOffset: lane * samples * map,
      targetOffset: targetOffset + map,
      length: samples * map,
    };
    device.copy(draws, all, rest);
  }
  return all;
}
