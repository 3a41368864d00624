/**
 * Teacher forcing: tokens that are there already are fed to a model under labels, and how likely it finds
 * them is weighed scale by scale. What is asked, and what follows from it, is left to `score.ts`,
 * `classify.ts` and to judges.
 *
 * @module
 */

import type { DeviceArray } from "../../kernels/device/device.ts";
import { nextTurn } from "../../kernels/device/next_turn.ts";
import { guidance } from "../../kernels/sampling/guidance.ts";
import type { ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import type { Schedule } from "../../models/schedule.ts";
import type { TextFeatures } from "../../models/text/text_features.ts";
import { guides } from "../cost.ts";
import { featuresOf } from "../generate.ts";
import type { GivenTokens } from "../given_tokens.ts";

/** Rows that run together unless somebody says otherwise: as many as the guided batch of a generation has. */
const ROWS = 16;

/** One picture under one label. */
export interface ForcedRow {
  /** Place of the picture's maps. */
  readonly picture: number;
  /** The label. */
  readonly label: ResolvedLabel;
}

/** What is fed to whom. */
export interface Forcing {
  readonly model: Model;
  /** Scales; guided ones weigh by guided logits. */
  readonly schedule: Schedule;
  /** Index of the last scale that is weighed. */
  readonly until: number;
  /** The tokens of each picture. */
  readonly given: GivenTokens;
  readonly rows: readonly ForcedRow[];
  /** Rows that run together; see {@linkcode rowsTogether}. */
  readonly batch: number;
  /** Features of prompts that are at hand. */
  readonly textFeatures?: TextFeatures | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How likely the model finds the rows. */
export interface Forced {
  /** Natural logarithms of probabilities, f32 [rows, scales]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Operations that it took, as a generation counts them; `undefined` if the model's family cannot tell. */
  readonly flops: number | undefined;
}

/**
 * Weighs rows, with one readback for all of them.
 *
 * @throws {RangeError} If the model's tokens tell no probability.
 */
export async function forceRows(forcing: Forcing): Promise<Forced> {
  const { model, schedule, until, rows, batch, signal } = forcing;
  const { device } = model;
  requireEvidence(model);
  signal?.throwIfAborted();
  const labels = rows.map(({ label }) => label);
  const textFeatures = await featuresOf(model, {
    ...{ labels, schedule, signal, textFeatures: forcing.textFeatures },
  });
  const scales = until + 1;
  using owned = new DisposableStack();
  const batches: { readonly first: number; readonly rows: number; readonly array: DeviceArray }[] = [];
  let flops: number | undefined = 0;
  for (let first = 0; first < rows.length; first += batch) {
    const part = rows.slice(first, first + batch);
    const array = owned.use(device.allocate(part.length * scales, "log-probabilities"));
    flops = plus(flops, await forceBatch({ ...forcing, rows: part, textFeatures }, array));
    batches.push({ first, rows: part.length, array });
  }
  const words = await device.read(batches.map(({ array }) => array));
  const values = new Float32Array(rows.length * scales);
  for (const [i, { first, rows: count }] of batches.entries()) {
    // On the device, scales come one after the other.
    const found = new Float32Array(words[i]!.buffer);
    for (let row = 0; row < count; row++) {
      for (let scale = 0; scale < scales; scale++) {
        values[(first + row) * scales + scale] = found[scale * count + row]!;
      }
    }
  }
  return { values, flops };
}

/**
 * Rows that may run together: as many as wanted, or else as have room beside the weights.
 *
 * @param wanted What somebody asks for.
 */
export function rowsTogether(
  { weightBytes, memoryLimit = Infinity }: Model,
  { imageBytes, batchLimit }: Schedule,
  wanted: number | undefined,
): number {
  const room = Math.max(1, Math.floor((memoryLimit - weightBytes) / imageBytes));
  return Math.min(wanted ?? Math.min(ROWS, room), batchLimit?.images ?? Infinity);
}

/**
 * Checks that a model can tell how likely tokens are.
 *
 * @throws {RangeError} If it cannot.
 */
export function requireEvidence({ name, tokens }: Model): void {
  if (tokens.evidence !== undefined) return;
  throw new RangeError(`Cannot weigh tokens as those of the model "${name}" tell no probability`);
}

/** Weighs rows that run together into f32 [scales, rows]; returns the operations that it took. */
async function forceBatch(
  { model, schedule, until, given, rows, textFeatures, signal }: Forcing,
  output: DeviceArray,
): Promise<number | undefined> {
  const { device, tokens: space } = model;
  const { length: images } = rows;
  const labels = rows.map(({ label }) => label);
  const pictures = rows.map(({ picture }) => picture);
  const guided = guides(model, labels, schedule);
  using generation = await model.start({
    ...{ labels, guided, schedule },
    ...(textFeatures && { textFeatures }),
  });
  using evidence = device.allocate(images, "evidence");
  for (const [scale, { width, height, sampling }] of schedule.scales.slice(0, until + 1).entries()) {
    signal?.throwIfAborted();
    const positions = width * height;
    using raw = await generation.logits();
    using tokens = device.upload(given.of(scale, pictures), "given tokens");
    using mixed = generation.guided
      ? device.allocate(images * positions * space.logits, "guided logits")
      : undefined;
    if (mixed !== undefined) {
      const weight = sampling.guidanceWeight;
      const sizes = { images, positions, vocabulary: space.logits };
      device.run(guidance, { logits: raw, guided: mixed, weight, ...sizes });
    }
    space.evidence!(device, { logits: mixed ?? raw, tokens, evidence, images, positions });
    device.copy(evidence, output, { targetOffset: scale * images, length: images });
    if (scale < until) generation.accept(tokens);
    device.flush();
    await nextTurn();
  }
  const flops = model.flops?.(schedule, guided);
  if (flops === undefined) return undefined;
  return images * flops.scales.slice(0, until + 1).reduce((sum, each) => sum + each, flops.condition);
}

/** A sum; nothing is known of it once a part is not. */
function plus(sum: number | undefined, part: number | undefined): number | undefined {
  return sum === undefined || part === undefined ? undefined : sum + part;
}
