/**
 * Judging the lanes of a step: by a verifier that looks at their pictures, or by what the model itself knows
 * of them. Scores come to the host in one readback, pictures never; whatever a verifier does wrong ends here.
 *
 * @module
 */

import { mustBe, shown } from "../kernels/arguments.ts";
import { DeviceLostError } from "../kernels/device/errors.ts";
import type {
  FeatureExtractor,
  Features,
  JudgeOptions,
  Scores,
  Verifier,
} from "../models/vision/verifier.ts";
import type { Schedule } from "../models/schedule.ts";
import type { ScaleStep } from "./step.ts";

/** Judges lanes by what the model knows of them, without a picture. */
export interface LaneVerifier {
  /** Name in records and errors. */
  readonly name: string;
  /** Looks at a step after its tokens are accepted, on every scale, to remember what scores are made of. */
  observe?(step: ScaleStep): void | Promise<void>;
  /**
   * Operations that it takes for each lane after a scale; `undefined` if it cannot tell. Without it, it takes
   * none worth counting.
   */
  flopsAfter?(schedule: Schedule, scale: number): number | undefined;
  /** One score for each lane, as of a {@linkcode Verifier}. */
  scoreLanes(step: ScaleStep): Scores | Promise<Scores>;
}

/** Describes lanes by what the model knows of them, without a picture. */
export interface LaneFeatureExtractor {
  /** Name in records and errors. */
  readonly name: string;
  /** One description for each lane, as of a {@linkcode FeatureExtractor}. */
  featuresOfLanes(step: ScaleStep): Features | Promise<Features>;
}

/** Descriptions on the host. */
export interface HostFeatures {
  /** [count, tokens, channels]. */
  readonly values: Float32Array;
  /** Rows of a lane. */
  readonly tokens: number;
  /** Numbers of a row. */
  readonly channels: number;
}

/**
 * A verifier, or another judge, that failed. Its `cause` is what was thrown.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, VerifierError, verifierOf } from "../mod.ts";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const undecided = verifierOf({ name: "undecided", score: () => [] });
 * const hooks = [bestOfN({ samples: 2, verifier: undecided })];
 * const error = await assertRejects(() => generate(model, { labels: 0, hooks }), VerifierError);
 * assertEquals(error.verifier, "undecided");
 * ```
 */
export class VerifierError extends Error {
  /** The class's name. */
  override readonly name = "VerifierError";
  /** Name of the judge. */
  readonly verifier: string;

  /**
   * Made by {@linkcode judgeLanes} and {@linkcode describeLanes}.
   *
   * @param verifier Name of the judge.
   * @param message What went wrong.
   * @param options Its cause.
   */
  constructor(verifier: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.verifier = verifier;
  }
}

/**
 * Scores of the lanes of a step as they are now, in `gather` of a hook.
 *
 * @param step The step.
 * @param verifier Who judges.
 * @returns A number for each lane, which may be NaN or infinite. Costs a readback and, unless the judge needs
 * no pictures, a decode.
 * @throws {VerifierError} If the verifier fails, or gives anything but one number for each lane.
 *
 * @example A method of one's own: of four attempts at an image, the one that the verifier likes best
 * ```ts
 * import { generate, judgeLanes, loadModel, type ScaleHook, type Verifier } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A verifier that knows nothing: the further down in the batch, the better.
 * const last: Verifier = { name: "last", needsPrompt: false, score: (_, labels) => [...labels.keys()] };
 * const best: ScaleHook = {
 *   name: "best of four",
 *   lanes: 4,
 *   scales: [-1],
 *   async gather(step) {
 *     const scores = await judgeLanes(step, last);
 *     return [scores.indexOf(Math.max(...scores))];
 *   },
 * };
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images: [image] } = await generate(model, { labels: "red torus", hooks: [best] });
 * assertEquals(image!.lane, 3);
 * ```
 */
export async function judgeLanes(step: ScaleStep, verifier: Verifier | LaneVerifier): Promise<Float64Array> {
  const { lanes } = step;
  const { signal } = step.request;
  // Copies, as the lanes' own are what pictures come back with.
  const labels = lanes.map(({ label }) => ({ ...label }));
  const flops = "scoreLanes" in verifier ? flopsOfLanes(verifier, step) : verifier.flops;
  return await step.cost.judge({ pictures: lanes.length, flops }, () => {
    return ofJudge(step, verifier, async () => {
      const scores = "scoreLanes" in verifier
        ? await verifier.scoreLanes(step)
        : await verifier.score(await step.pictures(verifier), labels, { signal });
      return await readScores(scores, lanes.length, { name: verifier.name, signal });
    });
  });
}

function flopsOfLanes(verifier: LaneVerifier, { schedule, scale }: ScaleStep): number | undefined {
  return verifier.flopsAfter === undefined ? 0 : verifier.flopsAfter(schedule, scale);
}

/**
 * Descriptions of the lanes of a step as they are now, in `gather` of a hook. Costs a readback and, unless
 * the extractor needs no pictures, a decode.
 *
 * @throws {VerifierError} If the extractor fails, or gives anything but as many rows of finite numbers for
 * each lane.
 *
 * @example
 * ```ts
 * import { describeLanes, generate, latentFeatures, loadModel, type ScaleHook } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const lengths: number[] = [];
 * const look: ScaleHook = {
 *   name: "look",
 *   scales: [-1],
 *   async gather(step) {
 *     const { values, tokens, channels } = await describeLanes(step, latentFeatures({ side: 2 }));
 *     lengths.push(values.length, tokens, channels);
 *     return undefined;
 *   },
 * };
 * await using model = await loadModel("demo", { device: "cpu" });
 * await generate(model, { labels: "red torus", hooks: [look] });
 * assertEquals(lengths, [64, 4, 16]);
 * ```
 */
export async function describeLanes(
  step: ScaleStep,
  extractor: FeatureExtractor | LaneFeatureExtractor,
): Promise<HostFeatures> {
  const { signal } = step.request;
  const pictures = step.lanes.length;
  const flops = "featuresOfLanes" in extractor ? 0 : extractor.flops;
  return await step.cost.judge({ pictures, flops }, () => {
    return ofJudge(step, extractor, async () => {
      const features = "featuresOfLanes" in extractor
        ? await extractor.featuresOfLanes(step)
        : await extractor.features(await step.pictures(extractor), { signal });
      return await readFeatures(features, pictures, { name: extractor.name, signal });
    });
  });
}

/**
 * What a judge answers, unless the signal ends the generation before: then it is not waited for, and what it
 * still brings is freed.
 */
async function ofJudge<Answer>(
  { scale, request: { signal } }: ScaleStep,
  { name }: { readonly name: string },
  ask: () => Promise<Answer>,
): Promise<Answer> {
  signal?.throwIfAborted();
  const answer = ask();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal!.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([answer, aborted]);
  } catch (error) {
    answer.catch(() => {});
    if (signal?.aborted) throw signal.reason;
    if (error instanceof DeviceLostError || error instanceof VerifierError) throw error;
    const reason = error instanceof Error ? error.message : shown(error);
    const message = `Cannot judge the lanes of scale ${scale} as "${name}" failed: ${reason}`;
    throw new VerifierError(name, message, { cause: error });
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Who answered, and what ends the reading of it. */
interface Answering extends JudgeOptions {
  readonly name: string;
}

async function readFeatures(
  features: Features,
  pictures: number,
  { name, signal }: Answering,
): Promise<HostFeatures> {
  const refuse = (wanted: string, given: unknown): never => {
    throw new VerifierError(name, mustBe(wanted, given, `what "${name}" gives`, "describe lanes"));
  };
  const kind = "features, with an array on the device";
  if (typeof features !== "object" || features === null || !(Symbol.dispose in features)) {
    return refuse(kind, features);
  }
  using owned = features;
  const { array, tokens, channels } = owned;
  if (!(typeof array === "object" && array !== null && "device" in array)) return refuse(kind, features);
  const size = pictures * tokens * channels;
  if (![tokens, channels].every((count) => Number.isInteger(count) && count > 0) || array.length < size) {
    return refuse(`${pictures} × ${tokens} × ${channels} numbers`, `${array.length} numbers`);
  }
  signal?.throwIfAborted();
  const [words] = await array.device.read([array]);
  const values = new Float32Array(words!.buffer, 0, size);
  const strange = values.find((value) => !Number.isFinite(value));
  if (strange !== undefined) return refuse("finite numbers", strange);
  return { values, tokens, channels };
}

async function readScores(scores: Scores, count: number, { name, signal }: Answering): Promise<Float64Array> {
  const wanted = `a number for each of ${count} lanes`;
  const refuse = (given: unknown): never => {
    throw new VerifierError(name, mustBe(wanted, given, `what "${name}" gives`, "judge lanes"));
  };
  if (typeof scores !== "object" || scores === null) return refuse(scores);
  if ("device" in scores) {
    using array = scores;
    if (array.length !== count) return refuse(`${array.length} numbers`);
    signal?.throwIfAborted();
    const [words] = await array.device.read([array]);
    return Float64Array.from(new Float32Array(words!.buffer, 0, count));
  }
  if (scores.length !== count) {
    return refuse(scores.length === undefined ? scores : `${scores.length} numbers`);
  }
  for (let i = 0; i < count; i++) if (typeof scores[i] !== "number") return refuse(scores[i]);
  return Float64Array.from(scores);
}
