import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { generate } from "../../../sampler/generate.ts";
import { judgeLanes } from "../../../sampler/judging.ts";
import { ownDensity } from "../../../sampler/methods/own_density.ts";
import { testOnModel } from "../models.ts";

testOnModel("tiny", "ownDensity: the lane's own draw among those that could have been", async (model) => {
  const samples = 6;
  const wanted: number[][] = [];
  const found: number[][] = [];
  await generate(model, {
    labels: ["sea", "sky"],
    seed: 4,
    hooks: [{
      name: "look",
      lanes: 2,
      async choose(step) {
        // Draw 0 is what is taken without a choice.
        const count = samples + 1;
        const densities = await readFloats(step.density(step.draw(count), count));
        wanted.push(step.lanes.map((_, lane) => {
          const [own, ...others] = densities.subarray(lane * count, (lane + 1) * count);
          return Math.log(own! / (others.reduce((sum, value) => sum + value, 0) / samples));
        }));
      },
      async gather(step) {
        found.push([...await judgeLanes(step, ownDensity({ samples }))]);
        return undefined;
      },
    }],
  });
  for (const [scale, scores] of wanted.entries()) {
    for (const [lane, score] of scores.entries()) assertAlmostEquals(found[scale]![lane]!, score, 1e-6);
  }
});

testOnModel("tiny", "ownDensity: scores follow lanes that an earlier hook has rearranged", async (model) => {
  const scores: number[][] = [];
  const judge = {
    name: "judge",
    scales: [1],
    async gather(step: Parameters<typeof judgeLanes>[0]) {
      scores.push([...await judgeLanes(step, ownDensity({ samples: 5 }))]);
      return undefined;
    },
  };
  const turn = { name: "turn", lanes: 3, scales: [1], gather: () => [2, 0, 2] };
  await generate(model, { labels: "sea", hooks: [judge, turn, judge] });
  const [before, after] = scores as [number[], number[]];
  assertEquals(after, [before[2], before[0], before[2]]);
});

Deno.test("ownDensity: bad options are refused", () => {
  assertThrows(() => ownDensity({ samples: 0 }), RangeError, "samples must be");
  assertThrows(() => ownDensity({ draws: 2 } as never), TypeError);
});
