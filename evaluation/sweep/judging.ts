/**
 * What is said of the pictures of a sweep: the model's own verifier, a network of metrics, and the detector
 * of the bundled model of texts. The last two have seen neither a search nor the verifier that leads one.
 *
 * @module
 */

import { readFloats } from "../../kernels/device/device.ts";
import type { CpuProvider, Model, Scores } from "../../models/mod.ts";
import type { GeneratedImage } from "../../sampler/mod.ts";
import type { NetworkIdentity } from "../files/reference.ts";
import { GENEVAL_COLORS, loadColors } from "../geneval/colors.ts";
import { loadDetector } from "../geneval/detector.ts";
import {
  asksForColors,
  type GenEvalJudge,
  judgeName,
  judgePictures,
  requireKnown,
} from "../geneval/harness.ts";
import type { GenEvalPrompt } from "../geneval/metadata.ts";
import { accuracy } from "../metrics/accuracy.ts";
import type { Rows } from "../metrics/rows.ts";
import { loadMetricNetwork } from "../networks/load.ts";
import { lookAtImages } from "../networks/look_at_images.ts";
import type { MetricNetwork } from "../networks/metric_network.ts";
import type { PictureRecord } from "./records.ts";
import type { Subject } from "./subjects.ts";

/** What is said of some pictures. */
export interface Judgement {
  /** Of each picture. */
  readonly pictures: readonly PictureRecord[];
  /** By the model's own network, for distances between pictures. */
  readonly own?: Rows;
  /** By the network of metrics, by its outputs. */
  readonly rows: Readonly<Record<string, Rows>>;
}

/** Who judges the pictures of a model. */
export interface SweepJudge extends AsyncDisposable {
  /** What tells its numbers from others, by name. */
  readonly identity: Readonly<Record<string, string>>;
  /** The network of metrics. */
  readonly network?: NetworkIdentity;
  /** Judges pictures, one subject for each. */
  judge(images: readonly GeneratedImage[], subjects: readonly Subject[]): Promise<Judgement>;
}

/** Says something of pictures. */
type Opinion = (images: readonly GeneratedImage[], subjects: readonly Subject[]) => Promise<Judgement>;

/** Options of {@linkcode openJudge}. */
export interface OpenJudgeOptions {
  /** Network of metrics; without it none. */
  readonly network?: string;
  /** Who computes on the CPU. */
  readonly cpuProvider: CpuProvider;
  /** Detector that tells whether pictures show what captions say; without it nobody does. */
  readonly detector?: string;
  /** Who tells colours where the detector does not; OpenAI's CLIP by default. */
  readonly colors?: string;
  /** What is painted. */
  readonly subjects: readonly Subject[];
  /** Ends the opening. */
  readonly signal?: AbortSignal | undefined;
}

/** Opens everybody who has something to say of a model's pictures. */
export async function openJudge(model: Model, options: OpenJudgeOptions): Promise<SweepJudge> {
  const { network, detector, cpuProvider, subjects } = options;
  await using owned = new AsyncDisposableStack();
  const opinions: Opinion[] = [];
  const identity: Record<string, string> = {};
  const own = await ownOpinion(model);
  if (own !== undefined) opinions.push(own);
  const metric = network === undefined
    ? undefined
    : owned.use(await loadMetricNetwork(network, { cpuProvider, signal: options.signal }));
  if (metric !== undefined) {
    identity.network = `${metric.name} ${metric.fingerprint}`;
    opinions.push(networkOpinion(metric, model));
  }
  const captions = subjects.flatMap(({ caption }) => caption ?? []);
  // Prompts alone do not say what is right.
  if (detector !== undefined && captions.length === subjects.length) {
    const judge = await openDetector(detector, captions, options, owned);
    identity.detector = judgeName(judge);
    opinions.push(async (images, subjects) => {
      const verdicts = await judgePictures(images, subjects.map(({ caption }) => caption!), judge);
      return { pictures: verdicts.map(({ correct }) => ({ right: correct })), rows: {} };
    });
  }
  const kept = owned.move();
  return {
    identity,
    ...(metric && { network: { name: metric.name, fingerprint: metric.fingerprint } }),
    async judge(images, subjects) {
      const said: Judgement[] = [];
      for (const opinion of opinions) said.push(await opinion(images, subjects));
      const rowsOfOwn = said.find(({ own }) => own !== undefined)?.own;
      return {
        pictures: images.map((_, i) => Object.assign({}, ...said.map(({ pictures }) => pictures[i]))),
        ...(rowsOfOwn && { own: rowsOfOwn }),
        rows: Object.assign({}, ...said.map(({ rows }) => rows)),
      };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Opens a detector, and whoever tells colours: who is asked for, or if it does not, where some are asked. */
async function openDetector(
  place: string,
  captions: readonly GenEvalPrompt[],
  { colors, cpuProvider, signal }: OpenJudgeOptions,
  owned: AsyncDisposableStack,
): Promise<GenEvalJudge> {
  const detector = owned.use(await loadDetector(place, { cpuProvider, signal }));
  const painter = colors ??
    (detector.colors === undefined && captions.some(asksForColors) ? "clip" : undefined);
  if (painter === undefined) {
    requireKnown(captions, { detector });
    return { detector };
  }
  requireKnown(captions, { detector, colors: { colors: GENEVAL_COLORS } });
  return { detector, colors: owned.use(await loadColors(painter, { cpuProvider, signal })) };
}

/** What is kept of what a network of metrics says. */
const OUTPUTS = ["features", "logits"] as const;

/** What a network of metrics says; where its logits are about the model's classes, whether it is right. */
function networkOpinion(network: MetricNetwork, { labels }: Model): Opinion {
  const wanted = OUTPUTS.filter((output) => network.outputs.includes(output));
  const classes = labels.kind === "classes" ? labels.count : undefined;
  return async (images, subjects) => {
    const rows = await lookAtImages(network, images, wanted);
    const { logits } = rows;
    if (logits === undefined || logits.dimensions !== classes) {
      return { pictures: images.map(() => ({})), rows };
    }
    const { right, logProbabilities } = accuracy(logits, subjects.map(({ id }) => id!));
    const pictures = right.map((right, i) => ({ right, logProbability: logProbabilities[i]! }));
    return { pictures, rows };
  };
}

/** What the model's own verifier and extractor say of finished pictures. */
async function ownOpinion(
  { device, verifier, extractor }: Model,
): Promise<Opinion | undefined> {
  const judge = await absentIfOther(verifier);
  const describe = await absentIfOther(extractor);
  if (judge === undefined && describe === undefined) return undefined;
  return async (images) => {
    const { width, height } = images[0]!;
    const words = new Uint32Array(images.length * width * height);
    for (const [i, { data }] of images.entries()) {
      words.set(new Uint32Array(data.buffer, data.byteOffset, width * height), i * width * height);
    }
    using array = device.upload(words, "pictures to judge");
    const pictures = { array, count: images.length, width, height };
    const scores = await judge?.score(pictures, images.map(({ label }) => label));
    const rewards = scores === undefined ? undefined : await hostScores(scores);
    const judged = images.map((_, i): PictureRecord => rewards === undefined ? {} : { reward: rewards[i]! });
    if (describe === undefined) return { pictures: judged, rows: {} };
    using features = await describe.features(pictures);
    const dimensions = features.tokens * features.channels;
    const own = { values: await readFloats(features.array), count: images.length, dimensions };
    return { pictures: judged, own, rows: {} };
  };
}

/** What a model's folder holds may only judge or only describe, and the other one is refused. */
async function absentIfOther<Network>(
  open: (() => Promise<Network>) | undefined,
): Promise<Network | undefined> {
  try {
    return await open?.();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

async function hostScores(scores: Scores): Promise<ArrayLike<number>> {
  if (!("device" in scores)) return scores;
  using owned = scores;
  return await readFloats(owned);
}
