/**
 * A hook by which pictures follow given tokens for some scales and then draw their own: what analyses take
 * pictures apart with. Where the tokens come from is left to them.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import type { ScaleHook } from "../../sampler/hook.ts";
import type { Lane } from "../../sampler/step.ts";

/**
 * Makes the hook. Tokens of scales that a lane is given none for are drawn as they would be without it.
 *
 * @param tokensOf Token maps of a lane from scale 0 on, as `tokens` of a picture holds them.
 * @throws {RangeError} As it acts, if a map has not the size of its scale.
 *
 * @example
 * ```ts
 * import { followTokens } from "./followed_tokens.ts";
 * import { generate } from "../../sampler/generate.ts";
 * import { loadModel } from "../../models/load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images: [first] } = await generate(model, { labels: "red torus" });
 * const hooks = [followTokens(() => first!.tokens.slice(0, 3))];
 * const { images: [second] } = await generate(model, { labels: "red torus", seed: 1, hooks });
 * assertEquals(second!.tokens.slice(0, 3), first!.tokens.slice(0, 3));
 * ```
 */
export function followTokens(tokensOf: (lane: Lane) => readonly Uint32Array[]): ScaleHook {
  return {
    name: "follow tokens",
    choose(step) {
      const { device, model, positions, scale } = step;
      const maps = step.lanes.map((lane) => tokensOf(lane)[scale]);
      if (maps.every((map) => map === undefined)) return;
      const length = positions * model.tokens.words;
      const tokens = maps.includes(undefined) ? step.draw() : step.allocate(maps.length * length);
      for (const [row, map] of maps.entries()) {
        if (map === undefined) continue;
        if (map.length !== length) {
          const name = `a token map of scale ${scale}`;
          throw new RangeError(mustBe(`of ${length} words`, map.length, name, "follow tokens"));
        }
        device.write(tokens, map, row * length);
      }
      step.choose(tokens);
    },
  };
}
