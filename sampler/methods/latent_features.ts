/**
 * Lanes described by what the model itself keeps of them: the accumulated map, taken together to a few
 * positions. Needs neither a picture nor a network.
 *
 * @module
 */

import { requireInteger, requireObject, requireOptions } from "../../kernels/arguments.ts";
import type { DeviceArray } from "../../kernels/device/device.ts";
import { areaMeans } from "../../kernels/maps/resample.ts";
import type { MapSize } from "../../models/schedule.ts";
import { featuresOf } from "../../models/vision/verifier.ts";
import type { LaneFeatureExtractor } from "../judging.ts";
import type { ScaleStep } from "../step.ts";

/** Options of {@linkcode latentFeatures}. */
export interface LatentFeaturesOptions {
  /** Positions along an edge at the most; 4 by default. */
  side?: number;
}

/**
 * Makes a feature extractor of lanes: means of the accumulated map over `side` × `side` areas; in a family
 * whose scales do not add up, of the code vectors of the last map. [lanes, positions, channels].
 *
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If `side` is no integer >= 1.
 *
 * @example
 * ```ts
 * import { describeLanes, generate, latentFeatures, loadModel, type ScaleHook } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const look: ScaleHook = {
 *   name: "look",
 *   scales: [2],
 *   async gather(step) {
 *     const { tokens, channels } = await describeLanes(step, latentFeatures());
 *     assertEquals([tokens, channels], [16, 16]);
 *     return undefined;
 *   },
 * };
 * await using model = await loadModel("demo", { device: "cpu" });
 * await generate(model, { labels: "red torus", hooks: [look] });
 * ```
 */
export function latentFeatures(options: LatentFeaturesOptions = {}): LaneFeatureExtractor {
  const action = "make latent features";
  requireObject(options, "the options", action);
  requireOptions(options, ["side"], action);
  const side = requireInteger(options.side ?? 4, "side", action, { min: 1 });
  return {
    name: "latent",
    featuresOfLanes(step) {
      const maps = step.accumulated ?? vectors(step);
      const { channels } = maps;
      const size = { width: Math.min(side, maps.width), height: Math.min(side, maps.height) };
      const images = step.lanes.length;
      const array = areaMeans(maps.array, { images, channels, from: maps, to: size, layout: "rows" });
      return featuresOf(array, { tokens: size.width * size.height, channels });
    },
  };
}

interface Maps extends MapSize {
  readonly array: DeviceArray;
  readonly channels: number;
}

/** Code vectors of the tokens that the scale ended with. */
function vectors(step: ScaleStep): Maps {
  const { device, model: { tokens: space }, positions, width, height } = step;
  const tokens = step.ofLanes(step.tokens!);
  const maps = step.lanes.length;
  const array = step.allocate(maps * positions * space.channels, "code vectors");
  space.vectors(device, { tokens, output: array, maps, positions });
  return { array, channels: space.channels, width, height };
}
