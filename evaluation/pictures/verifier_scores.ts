/**
 * What a verifier says of all pictures of a source, so that rewards of finished pictures can be averaged and
 * compared. Who verifies is loaded elsewhere; how sure the mean is, `evaluate.ts` says.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import type { ResolvedLabel, Verifier } from "../../models/mod.ts";
import type { RgbaImage } from "../../sampler/pictures/image.ts";
import { packed } from "../networks/look_at_images.ts";
import type { PictureSource } from "./picture_source.ts";

/** What is asked of {@linkcode verifierScores}. */
export interface VerifyRequest {
  /** Where the verifier runs. */
  readonly device: Device;
  /** What each picture should show, in the order of the source. */
  readonly labels: readonly ResolvedLabel[];
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Called before the first and after every batch with the number of pictures that were judged. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** Pictures that are judged at once, all of one size. */
const BATCH = 32;

const ACTION = "evaluate";

/**
 * The score of each picture, in the order of the source.
 *
 * @throws {RangeError} If the verifier gives no finite number for each picture; it says for which.
 * @throws {Error} If a picture cannot be read.
 */
export async function verifierScores(
  source: PictureSource,
  verifier: Verifier,
  { device, labels, signal, onProgress }: VerifyRequest,
): Promise<number[]> {
  const scores: number[] = [];
  const judge = async (images: readonly RgbaImage[]): Promise<void> => {
    signal?.throwIfAborted();
    const { width, height } = images[0]!;
    using array = device.upload(packed(images), "pictures to verify");
    const pictures = { array, count: images.length, width, height };
    const wanted = labels.slice(scores.length, scores.length + images.length);
    const said = await verifier.score(pictures, wanted, { signal });
    const values = "device" in said ? await floatsOf(said) : Array.from(said);
    if (values.length !== images.length) {
      throw new RangeError(
        mustBe(
          `one for each of ${images.length} pictures`,
          values.length,
          `scores of ${verifier.name}`,
          ACTION,
        ),
      );
    }
    for (const value of values) {
      if (!Number.isFinite(value)) {
        const name = source.names[scores.length];
        throw new RangeError(`Cannot ${ACTION} as ${verifier.name} makes ${value} of ${name}`);
      }
      scores.push(value);
    }
    onProgress?.(scores.length);
  };
  onProgress?.(0);
  let batch: RgbaImage[] = [];
  for await (const { image } of source.pictures({ signal })) {
    const [first = image] = batch;
    if (batch.length === BATCH || image.width !== first.width || image.height !== first.height) {
      await judge(batch);
      batch = [];
    }
    batch.push(image);
  }
  if (batch.length > 0) await judge(batch);
  return scores;
}

async function floatsOf(owned: Parameters<typeof readFloats>[0] & Disposable): Promise<number[]> {
  using array = owned;
  return Array.from(await readFloats(array));
}
