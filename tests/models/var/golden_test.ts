/**
 * The whole model against numbers recorded from the published implementation: the same tokens are forced, so
 * every scale can be compared on its own; see the fixture's README.
 *
 * The aims are 1e-4 on logits and features and 2e-3 on pixels, absolute, for float32 weights.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { Device } from "../../../kernels/device/device.ts";
import { guidance } from "../../../kernels/sampling/guidance.ts";
import type { Checkpoint } from "../../../models/checkpoint/mod.ts";
import { loadModel, type ModelSource } from "../../../models/load.ts";
import type { Generation, Model } from "../../../models/model.ts";
import { testOnDevices } from "../../devices.ts";
import { differenceOf, goldenCheckpoints, openGolden, recordedTokens } from "../../fixtures/golden/golden.ts";

/** Logits and feature maps, float32. */
const FEATURE_TOLERANCE = 1e-4;
/** Pixels from 0 to 1, float32. */
const PIXEL_TOLERANCE = 2e-3;
/** Half a unit in the last place of float16, relative: what rounding may change in a weight. */
const HALF_ROUNDING = 2 ** -11;

/** The greatest difference of each recorded quantity over all scales. */
interface Differences {
  logits: number;
  guided: number;
  accumulated: number;
  /** Not recorded of the demo. */
  features: number | undefined;
  /** Not recorded where there is no decoder. */
  image: number | undefined;
}

/** Generates with the recorded tokens and compares all that was recorded. */
async function replay(model: Model, recorded: Checkpoint): Promise<Differences> {
  const { device, tokens: { logits: vocabulary, channels } } = model;
  const labels = [...await recorded.readFloat32("labels")].map((label) => model.resolveLabel(label));
  const cfg = Number(recorded.metadata.cfg);
  assert(cfg > 0);
  const schedule = model.schedule({ cfg });
  const { scales } = schedule;
  using generation = await model.start({ labels, guided: true, schedule });
  const most: Differences = { logits: 0, guided: 0, accumulated: 0, features: undefined, image: undefined };
  for (const [scale, { width, height, sampling: { guidanceWeight } }] of scales.entries()) {
    const positions = width * height;
    using logits = await generation.logits();
    using guided = device.allocate(labels.length * positions * vocabulary);
    device.run(guidance, {
      logits,
      guided,
      images: labels.length,
      positions,
      vocabulary,
      weight: guidanceWeight,
    });
    using tokens = await recordedTokens(device, recorded, `tokens.${scale}`);
    generation.accept(tokens);
    const compare = (name: keyof Differences, difference: number): void => {
      most[name] = Math.max(most[name] ?? 0, difference);
    };
    const wanted = (name: string): Promise<Float32Array> => recorded.readFloat32(`${name}.${scale}`);
    compare("logits", await differenceOf(logits, await wanted("logits")));
    compare("guided", await differenceOf(guided, await wanted("logits_cfg")));
    compare("accumulated", await differenceOf(generation.accumulated!, await wanted("f_hat")));
    const next = scales[scale + 1];
    if (next === undefined || !recorded.tensors.has(`next_input.${scale}`)) continue;
    const rows = toRows(await wanted("next_input"), { channels, positions: next.width * next.height });
    compare("features", await differenceOf(generation.features, Float32Array.of(...rows, ...rows)));
  }
  if (recorded.tensors.has("image")) most.image = await pictureDifference(generation, recorded);
  return most;
}

/** Planes [B, C, l] as rows [B, l, C]. */
function toRows(planes: Float32Array, sizes: { channels: number; positions: number }): Float32Array {
  const { channels, positions } = sizes;
  return planes.map((_, i) => {
    const [image, position, channel] = [
      Math.floor(i / channels / positions),
      Math.floor(i / channels) % positions,
      i % channels,
    ];
    return planes[(image * channels + channel) * positions + position]!;
  });
}

function clamp(value: number): number {
  return Math.min(1, Math.max(-1, value));
}

async function pictureDifference(generation: Generation, recorded: Checkpoint): Promise<number> {
  using image = await generation.decode();
  return await differenceOf(
    image.array,
    await recorded.readFloat32("image"),
    (value) => (clamp(value) + 1) / 2,
  );
}

function requireBelow(found: number | undefined, bound: number, what: string): void {
  assert(found !== undefined && found <= bound, `${what}: ${found} > ${bound}`);
}

function requireFloat32(found: Differences): void {
  for (const name of ["logits", "guided", "accumulated"] as const) {
    requireBelow(found[name], FEATURE_TOLERANCE, name);
  }
}

testOnDevices(
  "published: per-block adaLN gives the published logits, features and pixels",
  async (device) => {
    await using model = await loadModel(goldenCheckpoints("var-adaln"), { device });
    using recorded = await openGolden("var-adaln");
    const found = await replay(model, recorded);
    requireFloat32(found);
    requireBelow(found.features, FEATURE_TOLERANCE, "features");
    requireBelow(found.image, PIXEL_TOLERANCE, "image");
  },
);

testOnDevices("published: shared adaLN gives the published logits and features", async (device) => {
  await using model = await loadModel(goldenCheckpoints("var-shared-adaln"), { device });
  using recorded = await openGolden("var-shared-adaln");
  const found = await replay(model, recorded);
  requireFloat32(found);
  requireBelow(found.features, FEATURE_TOLERANCE, "features");
});

testOnDevices(
  "published: the encoder gives the published features, tokens and reconstruction",
  async (device) => {
    await using model = await loadModel(goldenCheckpoints("var-adaln"), { device });
    using recorded = await openGolden("var-adaln");
    const [images, , height, width] = recorded.tensors.get("encode.image")!.shape as [
      number,
      3,
      number,
      number,
    ];
    using array = device.upload(await recorded.readFloat32("encode.image"));
    using encoding = await model.encode({ array, width, height }, images);
    const features = await differenceOf(encoding.features, await recorded.readFloat32("encode.f"));
    requireBelow(features, FEATURE_TOLERANCE, "features");
    const tokens = await device.read(encoding.tokens);
    assertEquals(tokens.length, model.patchNumbers.length);
    for (const [scale, map] of tokens.entries()) {
      assertEquals([...map], [...await recorded.readFloat32(`encode.tokens.${scale}`)], `scale ${scale}`);
    }
    using reconstruction = await encoding.decode();
    const wanted = await recorded.readFloat32("encode.reconstruction");
    // Recorded from -1 to 1, twice the range of the tolerance.
    requireBelow(
      await differenceOf(reconstruction.array, wanted, clamp),
      2 * PIXEL_TOLERANCE,
      "reconstruction",
    );
  },
);

/**
 * Bound of what float16 weights may change in a value that went through `layers` linear layers, one after the
 * other, and whose root mean square is `size`. A weight is off by up to 2^-11 of itself, evenly spread, so a
 * layer adds noise of 2^-11 / √3 of its result's size (its products add up with their errors independent of
 * each other); the layers' noises are independent, hence the root; and 6 times the noise is not met by chance
 * among the 10^6 values that are compared.
 */
function halfTolerance(layers: number, size: number): number {
  return 6 * Math.sqrt(layers) * HALF_ROUNDING / Math.sqrt(3) * size;
}

async function rootMeanSquare(recorded: Checkpoint, name: string): Promise<number> {
  const values = await recorded.readFloat32(name);
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

testOnDevices(
  "published: the demo's float16 weights are within their rounding of the published numbers",
  async (device) => {
    await using model = await loadModel("demo", { device });
    using recorded = await openGolden("demo");
    const found = await replay(model, recorded);
    const sizes = await Promise.all(
      model.patchNumbers.map((_, scale) => rootMeanSquare(recorded, `logits.${scale}`)),
    );
    const size = Math.max(...sizes);
    // Four blocks of four linear layers, and the head.
    const logits = halfTolerance(4 * Number(model.size) + 1, size);
    requireBelow(found.logits, logits, "logits");
    // At the last scale (1 + t) conditional - t unconditional logits, whose errors are independent.
    requireBelow(found.guided, logits * Math.hypot(1 + 1.5, 1.5), "guided logits");
    // Codebook and φ keep float32.
    requireBelow(found.accumulated, FEATURE_TOLERANCE, "accumulated");
    requireBelow(found.image, PIXEL_TOLERANCE, "image");
  },
);

/** The demo's checkpoints before conversion: not part of the project. */
const originals: ModelSource = {
  var: new URL("../../../../shared/demo/var.pth", import.meta.url),
  vae: new URL("../../../../shared/demo/vae.pth", import.meta.url),
};
const hasOriginals = await Deno.stat(originals.var as URL).then(() => true, () => false);
const ORIGINALS_TEST = "the demo's original checkpoints give the published numbers";

async function compareOriginals(device: Device): Promise<void> {
  await using model = await loadModel(originals, { device });
  using recorded = await openGolden("demo");
  const found = await replay(model, recorded);
  requireFloat32(found);
  requireBelow(found.image, PIXEL_TOLERANCE, "image");
}

if (hasOriginals) testOnDevices(ORIGINALS_TEST, compareOriginals);
else {
  Deno.test({
    name: `${ORIGINALS_TEST} (needs ../shared/demo beside the project, which is not there)`,
    ignore: true,
    fn: () => compareOriginals(new CpuDevice()),
  });
}
