/**
 * What a method makes of a model's pictures: the same subjects from the same random numbers, plain and with
 * its hooks, held against networks that no method has seen. Which methods there are, and how results are
 * shown, is left to others.
 *
 * @module
 */

import { mustBe, requireInteger } from "../../kernels/arguments.ts";
import { resolveCpuProvider } from "../../models/graphs/cpu_provider.ts";
import type { Model, TextFeatures } from "../../models/mod.ts";
import { featuresOf } from "../../sampler/generate.ts";
import {
  type Cost,
  generate,
  type GeneratedImage,
  type GenerateRequest,
  resolveRequest,
  type ScaleHook,
} from "../../sampler/mod.ts";
import { DEMO_DETECTOR } from "../geneval/detector.ts";
import { judgeOfModel } from "../reference.ts";
import { average, bootstrapDifference, type Groups, type Interval } from "../statistics/intervals.ts";
import { openJudge, type SweepJudge } from "../sweep/judging.ts";
import type { PictureRecord } from "../sweep/records.ts";
import { shareDifference } from "../sweep/shares.ts";
import { type Subject, subjectsOf } from "../sweep/subjects.ts";

/** Options of {@linkcode PairedPictures.open}. */
export interface PairedOptions {
  /** Subjects, evenly spread over all that the model is judged by; all of them by default. */
  readonly subjects?: number;
  /** Pictures of each; 1 by default. */
  readonly count?: number;
  /** Seed of all pictures; 1 by default. */
  readonly seed?: number;
  /** Ends the work between batches. */
  readonly signal?: AbortSignal | undefined;
}

/** One number about plain pictures, about those of the method, and what lies between. */
export interface PairedNumber {
  /** Of the plain ones. */
  readonly plain: number;
  /** Of the method's. */
  readonly method: number;
  /** The method's less the plain ones, over the same pictures, with 95 % of what chance makes of it. */
  readonly difference: Interval;
}

/** What a method has come to. */
export interface PairedEffect {
  /** Pictures of each kind. */
  readonly pictures: number;
  /** Subjects that they show. */
  readonly subjects: number;
  /** The seed. */
  readonly seed: number;
  /** The share that shows what it should; of captions with the same weight for each of their kinds. */
  readonly right?: PairedNumber;
  /** What the judge gives the right class, a natural logarithm. */
  readonly logProbability?: PairedNumber;
  /** What the model's own verifier gives. */
  readonly reward?: PairedNumber;
  /** What it cost, as so many times a plain picture. */
  readonly cost: {
    /** Counted operations; `undefined` where they cannot be counted. */
    readonly flops: number | undefined;
    /** Lanes through scales. */
    readonly passes: number;
  };
}

/** A subject's pictures. */
interface Painted {
  readonly records: readonly (PictureRecord & { readonly subject: Subject })[];
  readonly cost: Pick<Cost, "flops" | "passes">;
}

/** Pictures that are painted together. */
const BATCH = 8;
const ACTION = "compare pictures";

/** A model with its judges, and with plain pictures that methods are compared with. */
export class PairedPictures implements AsyncDisposable {
  readonly #model: Model;
  readonly #judge: SweepJudge;
  readonly #subjects: readonly Subject[];
  readonly #textFeatures: TextFeatures | undefined;
  readonly #options: Required<Pick<PairedOptions, "count" | "seed">> & PairedOptions;
  #plain: Promise<Painted> | undefined;

  private constructor(
    model: Model,
    judge: SweepJudge,
    facts: {
      readonly subjects: readonly Subject[];
      readonly textFeatures: TextFeatures | undefined;
      readonly options: PairedOptions;
    },
  ) {
    this.#model = model;
    this.#judge = judge;
    this.#subjects = facts.subjects;
    this.#textFeatures = facts.textFeatures;
    this.#options = { count: 1, seed: 1, ...facts.options };
  }

  /**
   * Opens the judges of a bundled model; the model stays the caller's.
   *
   * @throws {RangeError} If nobody judges the model, or a number is out of range.
   */
  static async open(model: Model, options: PairedOptions = {}): Promise<PairedPictures> {
    const { subjects: limit, count = 1, signal } = options;
    requireInteger(count, "count", ACTION, { min: 1 });
    if (limit !== undefined) requireInteger(limit, "subjects", ACTION, { min: 1 });
    const texts = model.labels.kind === "texts";
    const network = judgeOfModel(model.name);
    if (network === undefined) {
      throw new RangeError(mustBe("one of the bundled ones", model.name, "the model", ACTION));
    }
    const subjects = await subjectsOf(model, {
      ...(texts ? { file: model.name } : { labels: "all" as const }),
      ...(limit !== undefined && { limit }),
    });
    const cpuProvider = model.provider === "webgpu" ? await resolveCpuProvider("auto") : model.provider;
    await using owned = new AsyncDisposableStack();
    const judge = owned.use(
      await openJudge(model, {
        ...{ network, cpuProvider, subjects, signal },
        ...(texts && { detector: DEMO_DETECTOR }),
      }),
    );
    const labels = subjects.map(({ label }) => label);
    const textFeatures = await featuresOf(model, resolveRequest(model, { labels, signal }));
    owned.move();
    return new PairedPictures(model, judge, { subjects, textFeatures, options });
  }

  /** Paints with hooks what was painted without, and says what differs. */
  async effectOf(hooks: readonly ScaleHook[], onProgress?: (done: number) => void): Promise<PairedEffect> {
    const plain = await (this.#plain ??= this.#paint([]));
    const method = await this.#paint(hooks, onProgress);
    const { seed } = this.#options;
    const flops = method.cost.flops === undefined || plain.cost.flops === undefined
      ? undefined
      : method.cost.flops / plain.cost.flops;
    const numbers = {
      right: paired(
        plain,
        method,
        ({ right }) => right === undefined ? undefined : Number(right),
        shareDifference,
      ),
      logProbability: paired(plain, method, ({ logProbability }) => logProbability),
      reward: paired(plain, method, ({ reward }) => reward),
    };
    return {
      pictures: method.records.length,
      subjects: this.#subjects.length,
      seed,
      ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined)),
      cost: { flops, passes: method.cost.passes / plain.cost.passes },
    };
  }

  async #paint(hooks: readonly ScaleHook[], onProgress?: (done: number) => void): Promise<Painted> {
    const { count, seed, signal } = this.#options;
    const all = this.#subjects.flatMap((subject) => new Array<Subject>(count).fill(subject));
    const records: Painted["records"][number][] = [];
    let flops: number | undefined = 0;
    let passes = 0;
    for (let first = 0; first < all.length; first += BATCH) {
      signal?.throwIfAborted();
      const subjects = all.slice(first, first + BATCH);
      const request: GenerateRequest = {
        labels: subjects.map(({ label }) => label),
        indices: subjects.map((_, i) => first + i),
        seed,
        hooks,
        signal,
        ...(this.#textFeatures && { textFeatures: this.#textFeatures }),
      };
      const { images, trace } = await generate(this.#model, request);
      const { pictures } = await this.#judge.judge(onePerSubject(images, first, subjects), subjects);
      records.push(...pictures.map((picture, i) => ({ ...picture, subject: subjects[i]! })));
      flops = flops === undefined || trace.cost.flops === undefined ? undefined : flops + trace.cost.flops;
      passes += trace.cost.passes;
      onProgress?.(records.length);
    }
    return { records, cost: { flops, passes } };
  }

  /** Unloads the judges. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge[Symbol.asyncDispose]();
  }
}

/** A method that leaves an image several pictures would be judged by the best of them, and is refused. */
function onePerSubject(
  images: readonly GeneratedImage[],
  first: number,
  subjects: readonly Subject[],
): readonly GeneratedImage[] {
  if (images.length !== subjects.length || images.some(({ index }, i) => index !== first + i)) {
    throw new RangeError(
      `Cannot ${ACTION} as a method must leave one picture of each image: current number is ${images.length} for ${subjects.length}`,
    );
  }
  return images;
}

function paired(
  plain: Painted,
  method: Painted,
  of: (record: PictureRecord) => number | undefined,
  fallback?: (first: Groups, second: Groups) => Interval,
): PairedNumber | undefined {
  const groupsOf = ({ records }: Painted): number[][] | undefined => {
    const groups = Map.groupBy(
      records,
      ({ subject: { group, caption } }) => caption === undefined ? "" : group,
    );
    const values = [...groups.values()].map((group) => group.map((record) => of(record)));
    return values.flat().some((value) => value === undefined) ? undefined : values as number[][];
  };
  const [before, after] = [groupsOf(plain), groupsOf(method)];
  if (before === undefined || after === undefined) return undefined;
  const mean = (groups: Groups): number => average(groups.map((group) => average([...group])));
  const differs = before.some((group, g) => group.some((value, i) => value !== after[g]![i]));
  // Where no picture differs, a bootstrap is certain of what it cannot know.
  const difference = differs || fallback === undefined
    ? bootstrapDifference(after, before)
    : fallback(after, before);
  return { plain: mean(before), method: mean(after), difference };
}
