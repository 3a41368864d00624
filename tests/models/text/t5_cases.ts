/**
 * A text encoder's features beside those of the published implementation, on any device and provider.
 *
 * @module
 */

import { assert } from "@std/assert";
import type { Device } from "../../../kernels/device/device.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import type { GraphSessionOptions } from "../../../models/graphs/graph_session.ts";
import type { Dtype } from "../../../models/weights/dtype.ts";
import { goldenFile, maxDifference } from "../../fixtures/golden/golden.ts";
import { DEMO_ENCODER, encoderFolder, featuresOf, textFixture } from "./text_folder.ts";

/**
 * What f32 may be off, in units of the largest feature. Each of the two layers has six products in a row, of
 * at most 300 terms whose roundings of 2^-24 add up like their root; norms keep it in proportion. Twelve
 * times 17 roundings are 1.2e-5.
 */
export const TOLERANCE = 1.2e-5;

/** How an encoder is stored and run. */
export interface EncoderCase extends GraphSessionOptions {
  readonly dtype: Dtype;
  readonly halves?: boolean;
}

/** Checks features against others. */
export function requireClose(found: ArrayLike<number>, wanted: ArrayLike<number>, what: string): void {
  const scale = Array.from(wanted).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const difference = maxDifference(found, wanted) / scale;
  assert(difference <= TOLERANCE, `${what}: ${difference} of the largest feature`);
}

/** The encoder of random weights, whose heads are wider together than its features. */
export async function requireRandom(device: Device, { dtype, ...options }: EncoderCase): Promise<void> {
  using expected = await openCheckpoint(textFixture("t5_expected.safetensors"));
  using folder = await encoderFolder(textFixture("t5.safetensors"), { dtype });
  const prompts: number[][] = [];
  for (const i of [0, 1, 2]) prompts.push([...await expected.readFloat32(`ids.${i}`)]);
  const found = await featuresOf(folder, device, prompts, options);
  for (const [i, features] of found.entries()) {
    const wanted = await expected.readFloat32(`features.${i}`);
    const ends = features.length === wanted.length
      ? features
      : [...features.subarray(0, wanted.length / 2), ...features.subarray(-wanted.length / 2)];
    requireClose(ends, wanted, `${prompts[i]!.length} tokens, ${dtype}`);
  }
}

/** The demo's encoder, which is trained. */
export async function requireDemo(device: Device, { dtype, ...options }: EncoderCase): Promise<void> {
  using expected = await openCheckpoint(goldenFile("demo-t2i/expected.safetensors"));
  using folder = await encoderFolder(DEMO_ENCODER, { dtype });
  const prompts: number[][] = [];
  for (const i of [0, 1, 2, 3]) prompts.push([...await expected.readFloat32(`${i}.ids`)]);
  for (const [i, features] of (await featuresOf(folder, device, prompts, options)).entries()) {
    requireClose(features, await expected.readFloat32(`${i}.text`), `prompt ${i}, ${dtype}`);
  }
}
