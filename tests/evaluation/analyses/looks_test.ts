import { assertEquals } from "@std/assert";
import { noteFeatures, noteScores } from "../../../evaluation/analyses/looks.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { featuresOf } from "../../../models/vision/verifier.ts";
import { generate } from "../../../sampler/generate.ts";
import { ownEvidence } from "../../../sampler/methods/own_evidence.ts";
import { bestOfN } from "../../../sampler/methods/best_of.ts";
import { ranking, testOnModel, tokensOf } from "../../sampler/models.ts";

testOnModel(
  "tiny",
  "noteScores: scores are noted where they are wanted, and nothing changes",
  async (model) => {
    const request = { labels: ["sea", "sky"], seed: 3 };
    const look = noteScores(ranking([5, 7]), [1, 3]);
    const seen = await generate(model, { ...request, hooks: [look] });
    assertEquals(tokensOf(seen), tokensOf(await generate(model, request)));
    assertEquals(
      seen.images.map((image) => image.decisionsOf(look).map(({ scale, value }) => [scale, value])),
      [
        [[1, 5], [3, 5]],
        [[1, 7], [3, 7]],
      ],
    );
  },
);

testOnModel("tiny", "noteScores: evidence of all scales counts, as it does in a search", async (model) => {
  const request = { labels: ["sea"], seed: 3, cfg: 2 };
  const look = noteScores(ownEvidence(), [3]);
  const { images: [image] } = await generate(model, { ...request, hooks: [look] });
  const search = bestOfN({ samples: 1, verifier: ownEvidence() });
  const { images: [found] } = await generate(model, { ...request, hooks: [search] });
  assertEquals(image!.decisionsOf(look)[0]!.value, found!.decisionsOf(search)[0]!.value.score);
});

testOnModel("tiny", "noteFeatures: all rows of a picture's features stand side by side", async (model) => {
  const device = new CpuDevice();
  const look = noteFeatures({
    name: "counting",
    features: ({ count }) => {
      const values = Float32Array.from({ length: count * 6 }, (_, i) => i);
      return featuresOf(device.upload(values), { tokens: 2, channels: 3 });
    },
  });
  const { images } = await generate(model, { labels: ["sea", "sky"], hooks: [look] });
  assertEquals(images.map((image) => [...image.decisionsOf(look)[0]!.value]), [
    [0, 1, 2, 3, 4, 5],
    [6, 7, 8, 9, 10, 11],
  ]);
  assertEquals(device.counters.liveArrays, 0);
});
