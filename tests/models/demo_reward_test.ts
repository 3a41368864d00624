/**
 * The reward of the class-conditional demo against what PyTorch computes of the same pictures, through the
 * runtimes of this project.
 *
 * @module
 */

import { assert } from "@std/assert";
import { readFloats } from "../../kernels/device/device.ts";
import { openCheckpoint } from "../../models/checkpoint/mod.ts";
import { createGraphSession } from "../../models/graphs/create_session.ts";
import { testOnDevices } from "../devices.ts";
import { goldenFile, maxDifference } from "../fixtures/golden/golden.ts";

const REWARD = new URL("../../models/demo/reward.onnx", import.meta.url);

/** Sums of the same products in another order; ONNX Runtime's own library is within 1e-5 of PyTorch. */
const LOGIT_TOLERANCE = 1e-4;
const FEATURE_TOLERANCE = 2e-5;

testOnDevices("createGraphSession: runs the demo's reward to the recorded numbers", async (device) => {
  using golden = await openCheckpoint(goldenFile("demo/judges.safetensors"));
  const bytes = await golden.readFloat32("pictures");
  const logits = await golden.readFloat32("reward.logits");
  const features = await golden.readFloat32("reward.features");
  await using session = await createGraphSession(device, await Deno.readFile(REWARD));
  // All pictures, and fewer than the graph was traced with.
  for (const count of [logits.length / 64, 1]) {
    const area = 64 * 64;
    const planes = new Float32Array(count * 3 * area).map((_, i) => {
      const [picture, channel, p] = [Math.floor(i / 3 / area), Math.floor(i / area) % 3, i % area];
      return bytes[3 * (picture * area + p) + channel]! / 255;
    });
    using array = device.upload(planes);
    const outputs = await session.run({ image: { array, shape: [count, 3, 64, 64] } });
    using foundLogits = outputs.logits!;
    using foundFeatures = outputs.features!;
    const wanted = logits.subarray(0, 64 * count);
    const off = maxDifference(await readFloats(foundLogits), wanted);
    assert(off < LOGIT_TOLERANCE, `logits are off by ${off}`);
    const patches = features.subarray(0, 64 * 64 * count);
    const offBy = maxDifference((await readFloats(foundFeatures)).subarray(0, patches.length), patches);
    assert(offBy < FEATURE_TOLERANCE, `features are off by ${offBy}`);
  }
});
