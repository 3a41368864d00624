/**
 * A model that paints as a judge of what pictures show: they are encoded, and the label under which their
 * tokens are likeliest is the answer. All labels are tried on a few scales, and few of them on all. The rule
 * and its stages are those of A-VARC (arXiv 2510.12060).
 *
 * @module
 */

import {
  mustBe,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireOptions,
} from "../../kernels/arguments.ts";
import { type DeviceArray, readFloats } from "../../kernels/device/device.ts";
import { nextTurn } from "../../kernels/device/next_turn.ts";
import { PURPOSE, type Seed, seedWords, streamKey, threefry } from "../../kernels/exact/threefry.ts";
import type { Label, ResolvedLabel } from "../../models/label.ts";
import type { Model } from "../../models/model.ts";
import type { Schedule } from "../../models/schedule.ts";
import type { TextFeatures } from "../../models/text/text_features.ts";
import { GivenTokens, type TokenMaps } from "../given_tokens.ts";
import { type Fit, fitImage, uploadPictures } from "../pictures/fit.ts";
import type { RgbaImage } from "../pictures/image.ts";
import { type ForcedRow, forceRows, requireEvidence } from "./forced_rows.ts";
import {
  MAP_OPTIONS,
  type MapRequest,
  requireFeatures,
  requireRows,
  resolveScoredLabels,
  type ScoreOptions,
  scoringSchedule,
} from "./score.ts";
import { type ClassifyStage, type ResolvedStage, resolveStages } from "./stages.ts";

/** Options of {@linkcode classify}. */
export interface ClassifyOptions extends MapRequest, Pick<ScoreOptions, "batch" | "textFeatures" | "signal"> {
  /**
   * How many labels are tried on how many scales; see {@linkcode usualStages} for those that are usual. A
   * single stage of all scales tries all labels on all of them.
   */
  readonly stages?: readonly ClassifyStage[] | undefined;
  /** Standard deviation of the noise that is added to the encoder's features for further samples; 0.1. */
  readonly noise?: number | undefined;
  /** Seed of that noise, an integer from 0 to 2^64 - 1; 0 by default. */
  readonly seed?: number | bigint | undefined;
  /** What happens to a picture of another size than the model's; `"crop"` by default. */
  readonly fit?: Fit | undefined;
}

/** A label, and how likely the picture is under it. */
export interface RankedLabel {
  /** The label. */
  readonly label: ResolvedLabel;
  /** The logarithm of the probability of the picture's tokens under it, in nats. */
  readonly logProbability: number;
}

/** What a stage has found. */
export interface StageRanking {
  /** How many scales counted. */
  readonly scales: number;
  /** How many encodings of the picture counted. */
  readonly samples: number;
  /** The labels that were tried, likeliest first. */
  readonly ranking: readonly RankedLabel[];
  /** By how many nats the first is likelier than the second. */
  readonly margin: number;
}

/** What a picture shows. */
export interface Classification {
  /** The likeliest label. */
  readonly label: ResolvedLabel;
  /** By how many nats it is likelier than the second of the last stage. */
  readonly margin: number;
  /** All labels: those that came further first, and of those that came as far the likelier. */
  readonly ranking: readonly ResolvedLabel[];
  /** What each stage has found. */
  readonly stages: readonly StageRanking[];
}

/** What {@linkcode classify} has found. */
export interface ClassifyResult {
  /** Of each picture, in the order in which they were given. */
  readonly images: readonly Classification[];
  /**
   * Operations of the transformer that it took, encoders apart; `undefined` if the model's family cannot
   * tell.
   */
  readonly flops: number | undefined;
  /** What they would have been with all labels tried on all scales, once. */
  readonly fullFlops: number | undefined;
}

const OPTIONS = [
  ...MAP_OPTIONS,
  "stages",
  "noise",
  "seed",
  "fit",
  "batch",
  "textFeatures",
  "signal",
] as const satisfies (keyof ClassifyOptions)[];

const ACTION = "classify pictures";

/** Pictures that are encoded together. */
const PICTURES = 8;

/**
 * Tells what pictures show, by a model that paints: its encoder makes tokens of them, and the label under
 * which the transformer finds those likeliest is the answer, without any training.
 *
 * Labels are dropped in stages, by the coarse scales first. A stage with several `samples` takes the mean
 * over encodings of which all but the first have noise in their features. What was weighed in an earlier
 * stage is not weighed again if that stage had as many scales. What is found of a picture does not depend on
 * those beside it. Takes a readback for the tokens and one for each stage; further samples, one for each
 * eight pictures.
 *
 * @param model A loaded model with an encoder.
 * @param images One picture or several.
 * @param labels What they may show, at least two; all classes of the model by default.
 * @param options How.
 * @throws {TypeError} If an option is unknown or of the wrong type, something is no picture, the model has no
 * encoder, or it takes texts and there are no labels.
 * @throws {RangeError} If a value is out of range, there is no such class, or fewer than two labels are left.
 *
 * @example
 * ```ts
 * import { classify, generate, loadModel } from "../../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await generate(model, { labels: "red torus", seed: 7 });
 * const labels = ["blue cone", "red torus", "red sphere", "gray torus"];
 * const { images: [found] } = await classify(model, images, labels);
 * assertEquals(found!.label.name, "red torus");
 * assert(found!.margin > 10);
 * assertEquals(found!.stages.map(({ ranking }) => ranking.length), [4, 3]);
 * ```
 */
export async function classify(
  model: Model,
  images: RgbaImage | readonly RgbaImage[],
  labels?: readonly Label[],
  options: ClassifyOptions = {},
): Promise<ClassifyResult> {
  requireObject(options, "the options", ACTION);
  requireOptions(options, OPTIONS, ACTION);
  const { fit = "crop", noise = 0.1, seed = 0, textFeatures, signal } = options;
  requireNumber(noise, "noise", ACTION, { min: 0 });
  const given = Array.isArray(images) ? images as readonly RgbaImage[] : [images as RgbaImage];
  requireInteger(given.length, "the number of pictures", ACTION, { min: 1 });
  requireEvidence(model);
  const schedule = scoringSchedule(model, options);
  const candidates = candidatesOf(model, labels);
  const stages = resolveStages(options.stages, {
    ...{ labels: candidates.length, scales: schedule.scales.length, action: ACTION },
  });
  const pictures = given.map((image) => fitImage(image, schedule.picture, fit));
  const work = new Classifying({
    ...{ model, schedule, candidates, pictures, noise, signal },
    seed: seedWords(seed),
    batch: requireRows(model, schedule, options, ACTION),
    textFeatures: requireFeatures(model, textFeatures, ACTION),
  });
  for (const stage of stages) await work.pass(stage);
  return work.result;
}

/** What pictures may show. */
function candidatesOf(model: Model, labels: readonly Label[] | undefined): readonly ResolvedLabel[] {
  if (labels === undefined && model.labels.kind === "texts") {
    throw new TypeError(
      `Cannot ${ACTION} as labels must hold prompts: the model "${model.name}" has no classes to choose from`,
    );
  }
  const all = model.labels.kind === "classes" ? Array(model.labels.count).keys() : [];
  const list = requireList(labels ?? [...all], "labels", ACTION, "a list of labels");
  const resolved = resolveScoredLabels(model, list as readonly Label[], ACTION);
  const names = new Set(resolved.map(({ id, prompt, name }) => `${id} ${prompt ?? name}`));
  if (names.size < 2 || names.size < resolved.length) {
    throw new RangeError(mustBe("at least two different ones, each once", list, "labels", ACTION));
  }
  return resolved;
}

/** What a {@linkcode Classifying} goes by. */
interface ClassifyingParts {
  readonly model: Model;
  readonly schedule: Schedule;
  readonly candidates: readonly ResolvedLabel[];
  /** Pictures of the model's size. */
  readonly pictures: readonly RgbaImage[];
  readonly noise: number;
  readonly seed: Seed;
  /** Rows that run together. */
  readonly batch: number;
  readonly textFeatures: TextFeatures | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Pictures on their way through the stages. */
class Classifying {
  readonly #parts: ClassifyingParts;
  /** Token maps of each sample of each picture. */
  readonly #samples: TokenMaps[][] = [];
  /** Labels of each picture that are left, likeliest first. */
  readonly #left: (readonly number[])[];
  /** Of each picture those that were dropped, the last ones first. */
  readonly #dropped: (readonly number[])[];
  readonly #stages: StageRanking[][];
  /** What was weighed: log-probabilities of scales, by picture, sample and label. */
  readonly #weighed = new Map<string, Float32Array>();
  #flops: number | undefined = 0;

  constructor(parts: ClassifyingParts) {
    this.#parts = parts;
    const all = [...parts.candidates.keys()];
    this.#left = parts.pictures.map(() => all);
    this.#dropped = parts.pictures.map(() => []);
    this.#stages = parts.pictures.map(() => []);
  }

  /** Goes through a stage. */
  async pass({ scales, samples, keep }: ResolvedStage): Promise<void> {
    for (let sample = this.#samples.length; sample < samples; sample++) {
      this.#samples.push(await this.#encode(sample));
    }
    await this.#weigh(scales, samples);
    const { candidates } = this.#parts;
    for (const [picture, labels] of this.#left.entries()) {
      const scored = labels.map((label) => ({
        label,
        score: this.#mean({ picture, label, scales, samples }),
      }));
      // Of equal ones the label that was named first is the likelier.
      scored.sort((a, b) => b.score - a.score || a.label - b.label);
      const order = scored.map(({ label }) => label);
      this.#left[picture] = order.slice(0, keep);
      this.#dropped[picture] = [...order.slice(keep), ...this.#dropped[picture]!];
      const ranking = scored.map(({ label, score }) => ({
        label: candidates[label]!,
        logProbability: score,
      }));
      const margin = scored[0]!.score - scored[1]!.score;
      this.#stages[picture]!.push({ scales, samples, ranking, margin });
    }
  }

  /** What was found. */
  get result(): ClassifyResult {
    const { model, schedule, candidates, pictures } = this.#parts;
    const flops = model.flops?.(schedule, false);
    const row = flops?.scales.reduce((sum, each) => sum + each, flops.condition);
    return {
      images: pictures.map((_, picture): Classification => {
        const stages = this.#stages[picture]!;
        const ranking = [...this.#left[picture]!, ...this.#dropped[picture]!].map((i) => candidates[i]!);
        return { label: ranking[0]!, margin: stages.at(-1)!.margin, ranking, stages };
      }),
      flops: this.#flops,
      fullFlops: row === undefined ? undefined : row * pictures.length * candidates.length,
    };
  }

  /** Token maps of all pictures: the first sample is their own, further ones have noise. */
  async #encode(sample: number): Promise<TokenMaps[]> {
    const { model, schedule, pictures, noise, seed, signal } = this.#parts;
    const { device } = model;
    const most = Math.min(PICTURES, schedule.batchLimit?.images ?? PICTURES);
    using owned = new DisposableStack();
    const batches: { readonly images: number; readonly maps: readonly DeviceArray[] }[] = [];
    for (let first = 0; first < pictures.length; first += most) {
      await nextTurn();
      signal?.throwIfAborted();
      const part = pictures.slice(first, first + most);
      using array = uploadPictures(device, part);
      using encoding = await model.encode(array, part.length, {
        schedule,
        ...(sample > 0 && {
          adjust: (features: DeviceArray) => addNoise(features, { images: part.length, noise, seed, sample }),
        }),
      });
      const maps = encoding.tokens.map((map) => {
        const copy = owned.use(device.allocate(map.length, "tokens"));
        device.copy(map, copy, { length: map.length });
        return copy;
      });
      batches.push({ images: part.length, maps });
    }
    const words = await device.read(batches.flatMap(({ maps }) => maps));
    return batches.flatMap(({ images, maps }) => {
      const read = words.splice(0, maps.length);
      return Array.from({ length: images }, (_, row) => {
        return read.map((map) => map.slice(row * map.length / images, (row + 1) * map.length / images));
      });
    });
  }

  /** Weighs what has not been weighed on so many scales, all in one go. */
  async #weigh(scales: number, samples: number): Promise<void> {
    const { model, schedule, pictures, candidates, batch, textFeatures, signal } = this.#parts;
    const wanted = pictures.flatMap((_, picture) => {
      return Array(samples).keys().toArray().flatMap((sample) => {
        return this.#left[picture]!.map((label) => ({ picture, sample, label }));
      });
    }).filter((it) => (this.#weighed.get(keyOf(it))?.length ?? 0) < scales);
    if (wanted.length === 0) return;
    const given = new GivenTokens(
      this.#samples.slice(0, samples).flat().map((maps) => maps.slice(0, scales)),
    );
    const rows = wanted.map(({ picture, sample, label }): ForcedRow => {
      return { picture: sample * pictures.length + picture, label: candidates[label]! };
    });
    const { values, flops } = await forceRows({
      ...{ model, schedule, given, rows, batch, textFeatures, signal, until: scales - 1 },
    });
    this.#flops = this.#flops === undefined || flops === undefined ? undefined : this.#flops + flops;
    for (const [row, it] of wanted.entries()) {
      this.#weighed.set(keyOf(it), values.subarray(row * scales, (row + 1) * scales));
    }
  }

  /** The mean over samples of the logarithm of a label's probability, by so many scales. */
  #mean({ picture, label, scales, samples }: {
    readonly picture: number;
    readonly label: number;
    readonly scales: number;
    readonly samples: number;
  }): number {
    let sum = 0;
    for (let sample = 0; sample < samples; sample++) {
      const values = this.#weighed.get(keyOf({ picture, sample, label }))!;
      for (let scale = 0; scale < scales; scale++) sum += values[scale]!;
    }
    return sum / samples;
  }
}

/** What a label was weighed on. */
interface Weighed {
  readonly picture: number;
  readonly sample: number;
  readonly label: number;
}

function keyOf({ picture, sample, label }: Weighed): string {
  return `${picture} ${sample} ${label}`;
}

/**
 * Adds normal noise to features, to those of each picture the same, so that none depends on its place.
 */
async function addNoise(
  features: DeviceArray,
  { images, noise, seed, sample }: {
    readonly images: number;
    readonly noise: number;
    readonly seed: Seed;
    readonly sample: number;
  },
): Promise<void> {
  const values = await readFloats(features);
  const each = values.length / images;
  const key = streamKey(seed, sample, 0, PURPOSE.noise);
  for (let i = 0; i < each; i++) {
    const shift = noise * normal(threefry(key, [i, 0]));
    for (let image = 0; image < images; image++) values[image * each + i]! += shift;
  }
  using shifted = features.device.upload(values);
  features.device.copy(shifted, features, { length: values.length });
}

/** A normal number of two random words, as Box and Muller make it. */
function normal([first, second]: readonly [number, number]): number {
  const radius = Math.sqrt(-2 * Math.log((first + 1) / 2 ** 32));
  return radius * Math.cos(2 * Math.PI * second / 2 ** 32);
}
