/**
 * What methods are compared on: the bundled models, the labels that they paint, and who judges what comes of
 * it. The judges have seen neither a search nor the verifier that leads one.
 *
 * @module
 */

import { type DeviceArray, type GeneratedImage, loadModel, type Model, readFloats } from "../mod.ts";
import type { CpuProvider } from "../models/graphs/graph_session.ts";
import { parseMetadata } from "../evaluation/geneval/metadata.ts";
import { CaptionOracle } from "../evaluation/judges/caption_oracle.ts";
import { ClassOracle } from "../evaluation/judges/class_oracle.ts";

/** Something to paint. */
export interface Prompt {
  /** Its number among all prompts of the model. */
  readonly prompt: number;
  /** What the model is asked for. */
  readonly label: string | number;
  /** The kind of prompt that it is, each of which has the same weight in the score. */
  readonly group: string;
}

/** What a judge says of a picture. */
export interface Verdict {
  /** Whether it shows what it should. */
  readonly right: boolean;
  /** Logarithm of the probability that the judge gives the label, if it gives one. */
  readonly logProbability?: number;
  /** What the model's own verifier gives it. */
  readonly reward: number;
}

/** What a judge says of the pictures of one label. */
export interface Judgement {
  /** Of each picture. */
  readonly verdicts: readonly Verdict[];
  /** Mean distance between two of them, by the features of the model's own network. */
  readonly diversity: number;
}

/** A model with its labels and its judge. */
export interface MethodSubject extends AsyncDisposable {
  /** The model. */
  readonly model: Model;
  /** Everything that it paints. */
  readonly prompts: readonly Prompt[];
  /** Pictures of each label. */
  readonly count: number;
  /** What the score is called in which every group of prompts has the same weight. */
  readonly score: string;
  /** Judges the pictures of one label. */
  judge(prompt: Prompt, images: readonly GeneratedImage[]): Promise<Judgement>;
}

/** Models that methods are compared on. */
export const METHOD_MODELS = ["demo", "demo-t2i"] as const;
/** One of {@linkcode METHOD_MODELS}. */
export type MethodModel = typeof METHOD_MODELS[number];

/** Captions in GenEval's form. */
export const CAPTIONS: URL = new URL("../tests/fixtures/golden/demo-t2i/captions.jsonl", import.meta.url);

/** Opens a model with its judge. Both run on the CPU, where runs are the same everywhere. */
export async function openSubject(name: MethodModel, cpuProvider: CpuProvider): Promise<MethodSubject> {
  await using owned = new AsyncDisposableStack();
  const model = owned.use(await loadModel(name, { device: "cpu", cpuProvider }));
  const look = await networkOf(model);
  const judged = name === "demo"
    ? await classes(model, owned.use(await ClassOracle.open({ cpuProvider })))
    : await captions(owned.use(await CaptionOracle.open({ cpuProvider })));
  const { prompts, count, score, say } = judged;
  const kept = owned.move();
  return {
    ...{ model, prompts, count, score },
    async judge(prompt, images) {
      const said = await say(prompt, images);
      const { rewards, diversity } = await look(images);
      return { verdicts: said.map((verdict, i) => ({ ...verdict, reward: rewards[i]! })), diversity };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What is asked of a judge, and the judge. */
interface Judged {
  readonly prompts: readonly Prompt[];
  readonly count: number;
  readonly score: string;
  readonly say: (
    prompt: Prompt,
    images: readonly GeneratedImage[],
  ) => Promise<readonly Omit<Verdict, "reward">[]>;
}

/** Every class, seven times. */
function classes({ labels }: Model, oracle: ClassOracle): Judged {
  if (labels.kind !== "classes") throw new TypeError("The demo takes classes");
  const prompts = Array.from({ length: labels.count }, (_, label): Prompt => {
    return { prompt: label, label, group: labels.names[label] ?? `${label}` };
  });
  return {
    ...{ prompts, count: 7, score: "accuracy" },
    say: async ({ label }, images) => {
      const verdicts = await oracle.judge(images, images.map(() => label as number));
      return verdicts.map(({ right, logProbability }) => ({ right, logProbability }));
    },
  };
}

/** Every caption, twice. */
async function captions(oracle: CaptionOracle): Promise<Judged> {
  const all = parseMetadata(await Deno.readTextFile(CAPTIONS));
  return {
    prompts: all.map(({ prompt: label, tag: group }, prompt) => ({ prompt, label, group })),
    count: 2,
    score: "overall",
    say: async ({ prompt }, images) => {
      const verdicts = await oracle.judge(images, images.map(() => all[prompt]!));
      return verdicts.map(({ right }) => ({ right }));
    },
  };
}

/** What the model's own network says of finished pictures. */
async function networkOf(
  { device, verifier, extractor, name }: Model,
): Promise<(images: readonly GeneratedImage[]) => Promise<{ rewards: Float32Array; diversity: number }>> {
  if (verifier === undefined || extractor === undefined) {
    throw new TypeError(`Cannot compare methods on "${name}" as it brings no verifier that describes, too`);
  }
  const [judge, describe] = [await verifier(), await extractor()];
  return async (images) => {
    const { width, height } = images[0]!;
    const words = new Uint32Array(images.length * width * height);
    for (const [i, { data }] of images.entries()) {
      words.set(new Uint32Array(data.buffer, data.byteOffset, width * height), i * width * height);
    }
    using array = device.upload(words, "pictures");
    const pictures = { array, count: images.length, width, height };
    const scores = await judge.score(pictures, images.map(({ label }) => label));
    using features = await describe.features(pictures);
    const rewards = "device" in scores ? await floatsOf(scores) : Float32Array.from(scores);
    const all = await readFloats(features.array);
    const length = features.tokens * features.channels;
    const rows = images.map((_, i) => all.subarray(i * length, (i + 1) * length));
    return { rewards, diversity: meanDistance(rows) };
  };
}

async function floatsOf(owned: DeviceArray): Promise<Float32Array> {
  using array = owned;
  return await readFloats(array);
}

/**
 * The mean Euclidean distance between two different rows; 0 of a single one.
 *
 * @example
 * ```ts
 * import { meanDistance } from "./method_subjects.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(meanDistance([[0, 0], [3, 4], [0, 0]]), 10 / 3);
 * ```
 */
export function meanDistance(rows: readonly ArrayLike<number>[]): number {
  const distances = rows.flatMap((row, i) =>
    rows.slice(i + 1).map((other) => {
      return Math.hypot(...Array.from(row, (value, k) => value - other[k]!));
    })
  );
  return distances.reduce((sum, distance) => sum + distance, 0) / Math.max(1, distances.length);
}
