import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { generate } from "../../../sampler/generate.ts";
import { describeLanes, type HostFeatures } from "../../../sampler/judging.ts";
import { latentFeatures } from "../../../sampler/methods/latent_features.ts";
import { testOnModel } from "../models.ts";

testOnModel("tiny", "latentFeatures: means of the accumulated map over areas", async (model) => {
  const live = model.device.counters.liveArrays;
  await generate(model, {
    labels: ["sea", "sky"],
    hooks: [{
      name: "look",
      lanes: 2,
      async gather(step) {
        const { array, channels, width, height } = step.accumulated!;
        const map = await readFloats(array);
        assertEquals([channels, width, height], [4, 4, 4]);
        const check = ({ values, tokens, channels }: HostFeatures, side: number): void => {
          const area = width / side;
          assertEquals([tokens, values.length], [side * side, step.lanes.length * side * side * channels]);
          for (const [i, value] of values.entries()) {
            const [lane, token] = [Math.floor(i / (tokens * channels)), Math.floor(i / channels) % tokens];
            const plane = (lane * channels + i % channels) * width * height;
            let sum = 0;
            for (let y = 0; y < area; y++) {
              for (let x = 0; x < area; x++) {
                const row = Math.floor(token / side) * area + y;
                sum += map[plane + row * width + (token % side) * area + x]!;
              }
            }
            assertAlmostEquals(value, sum / area ** 2, 1e-6);
          }
        };
        check(await describeLanes(step, latentFeatures({ side: 2 })), 2);
        // Areas are never smaller than a position.
        check(await describeLanes(step, latentFeatures({ side: 9 })), 4);
        return step.scale === 1 ? [3, 0] : undefined;
      },
    }],
  });
  assertEquals(model.device.counters.liveArrays, live);
});

Deno.test("latentFeatures: bad options are refused", () => {
  assertThrows(() => latentFeatures({ side: 0 }), RangeError, "side must be");
  assertThrows(() => latentFeatures({ size: 2 } as never), TypeError);
});
