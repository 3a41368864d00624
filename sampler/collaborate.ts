/**
 * Collaborative decoding (CoDe, arXiv 2411.17787): a large model draws the coarse scales of a picture, which
 * decide most of it and have few tokens, and a small one the fine scales, which have most tokens. The only
 * method here that makes pictures cheaper. How scales are drawn is `generate.ts`.
 *
 * @module
 */

import { requireInteger, requireObject } from "../kernels/arguments.ts";
import { readWords } from "../kernels/device/device.ts";
import { bitsFloat } from "../kernels/exact/exact.ts";
import type { Model } from "../models/model.ts";
import type { Schedule } from "../models/schedule.ts";
import { sumOfCosts } from "./cost.ts";
import { type AbortedEvent, type DoneEvent, draft, generate, type GenerateEvent } from "./generate.ts";
import { type GenerateRequest, resolveRequest } from "./request.ts";
import { GeneratedImage, GenerateResult, type ImageOrigin, type Trace } from "./result.ts";

/**
 * A model, or what loads one when it is its turn: such a model is unloaded as soon as it has done its part,
 * so that the memory of both is never taken together.
 */
export type ModelOrLoader = Model | (() => Promise<Model>);

/**
 * What the released script for pictures to be measured takes (`sample_CoDe.py`), for models of ten scales: a
 * drafter of depth 30 for eight of them, a refiner of depth 16 for the last two.
 */
export const PUBLISHED_COLLABORATION = {
  from: 8,
  cfg: 1.5,
  topK: 600,
  topP: 0.96,
  temperature: [1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1, 1, 1],
} as const;

/**
 * What to generate and how: as for {@linkcode generate}, without what only one model could do. Hooks act on
 * each scale in whichever model draws it; those that rearrange lanes are refused.
 */
export interface CollaborateRequest
  extends Omit<GenerateRequest, "tokens" | "until" | "edit" | "moreSmooth"> {
  /**
   * The first scale that the refiner draws: 0 leaves all of them to it, their number none. Negative ones
   * count from the end; -2 by default, as in the paper's main setting.
   */
  from?: number;
}

const ACTION = "generate with two models";

/** What of a request belongs to one model alone. */
const REFUSED: Readonly<Record<string, string>> = {
  tokens: "the drafter gives them",
  until: "all scales are drawn",
  edit: "what is kept would have to be encoded by both",
  moreSmooth: "what is drafted are tokens, not mixed vectors",
};

/**
 * Generates pictures with two models that have the same tokens: the drafter draws the scales before `from`,
 * the refiner goes through their tokens and draws the others. With one model in both places, the tokens are
 * those of {@linkcode generate}.
 *
 * Drafts of all images come first, so that a drafter that is given as what loads it is gone before the
 * refiner comes. They take a readback of their own, and so does the codebook of each model, once, which the
 * trace leaves out; both models must have the same. Random numbers are those of the scales, so an image
 * depends on the seed, its index, the models and `from` alone.
 *
 * @param drafter What draws the first scales.
 * @param refiner What draws the others, and decodes.
 * @param request What to generate and how.
 * @returns The pictures; the trace is of both models together.
 * @throws {TypeError} If an option is unknown, of the wrong type, or of those that only one model could do.
 * @throws {RangeError} If a value is out of range, or the models have other tokens, maps or classes.
 *
 * @example
 * ```ts
 * import { collaborate, generate, loadModel } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const request = { labels: "red torus", seed: 7 };
 * const together = await collaborate(model, model, { ...request, from: 4 });
 * const alone = await generate(model, request);
 * assertEquals(together.images[0]!.tokens, alone.images[0]!.tokens);
 * // Four scales by the drafter, and all six by the refiner, which has to know the first four.
 * assertEquals(together.trace.cost.passes, 4 + 6);
 * ```
 */
export async function collaborate(
  drafter: ModelOrLoader,
  refiner: ModelOrLoader,
  request: CollaborateRequest = {},
): Promise<GenerateResult> {
  const images: GeneratedImage[] = [];
  for await (const event of run(drafter, refiner, request, generateQuietly)) {
    if (event.type === "image") images.push(event.image);
    else if (event.type === "done") return new GenerateResult(images, event.trace);
  }
  throw new Error("The generation ended early");
}

/**
 * The same, telling what happens on the way, as {@linkcode generate.stream} does: first the batches and
 * scales of the drafts, then those of the refiner, which include the scales that it is given.
 */
collaborate.stream = function stream(
  drafter: ModelOrLoader,
  refiner: ModelOrLoader,
  request: CollaborateRequest = {},
): AsyncGenerator<GenerateEvent, void, void> {
  return run(drafter, refiner, request, generate.stream);
};

type Generate = (model: Model, request: GenerateRequest) => AsyncGenerator<GenerateEvent, void, void>;

/** A generation that tells of its images at the end, so that it keeps its one readback. */
async function* generateQuietly(
  model: Model,
  request: GenerateRequest,
): AsyncGenerator<GenerateEvent, void, void> {
  const { images, trace } = await generate(model, request);
  for (const image of images) yield { type: "image", image };
  yield { type: "done", trace };
}

async function* run(
  drafter: ModelOrLoader,
  refiner: ModelOrLoader,
  given: CollaborateRequest,
  generateWith: Generate,
): AsyncGenerator<GenerateEvent, void, void> {
  const { from: wanted, ...sampling } = requireRequest(given);
  if (wanted === 0) {
    await using turn = await Turn.of(refiner);
    yield* generateWith(turn.model, sampling);
    return;
  }
  const begun = performance.now();
  let drafted: Drafted | undefined;
  {
    await using turn = await Turn.of(drafter);
    const { model } = turn;
    const { schedule } = resolveRequest(model, sampling);
    const from = firstRefined(wanted, schedule.scales.length);
    if (from === schedule.scales.length) {
      yield* generateWith(model, sampling);
      return;
    }
    if (from > 0) {
      if (isModel(refiner)) await requireAlike(await factsOf(model, schedule), refiner, sampling);
      const other = isModel(refiner) && refiner !== model ? refiner : undefined;
      const part = { ...sharedWith(other, sampling), until: from - 1, previews: false };
      for await (const event of draft(model, part)) {
        if (event.type === "drafts") {
          drafted = { from, drafts: event.drafts, facts: await factsOf(model, schedule), trace: undefined };
        } else if (event.type === "done" || event.type === "aborted") {
          const trace = withOther(event.trace, model, other);
          if (event.type === "aborted") yield { ...event, trace };
          else drafted = { ...drafted!, trace };
        } else {
          yield event;
        }
      }
    }
  }
  await using turn = await Turn.of(refiner);
  const { model } = turn;
  if (drafted === undefined) {
    yield* generateWith(model, sampling);
    return;
  }
  const { facts, drafts, from } = drafted;
  const other = isModel(drafter) && drafter !== model ? drafter : undefined;
  if (!isModel(refiner)) await requireAlike(facts, model, sampling);
  const part: GenerateRequest = {
    ...sharedWith(other, sampling),
    count: 1,
    labels: drafts.map(({ label: { id, prompt } }) => prompt ?? id),
    indices: drafts.map(({ index }) => index),
    tokens: drafts.map(({ tokens }) => tokens.slice(0, from)),
  };
  let images = 0;
  for await (const event of generateWith(model, part)) {
    if (event.type === "image") {
      yield { type: "image", image: withDecisions(event.image, drafts[images++]!) };
    } else if (event.type === "done" || event.type === "aborted") {
      yield joined(event, drafted, { total: performance.now() - begun, model, other });
    } else {
      yield event;
    }
  }
}

/** What a drafter has done. */
interface Drafted {
  /** The first scale that is the refiner's. */
  readonly from: number;
  readonly drafts: readonly ImageOrigin[];
  /** What of the drafter the refiner must have, too. */
  readonly facts: DrafterFacts;
  /** Told when all drafts have been read. */
  readonly trace: Trace | undefined;
}

/** A model as long as it is its turn: what was loaded for it is unloaded afterwards. */
class Turn implements AsyncDisposable {
  readonly model: Model;
  readonly #owned: boolean;

  private constructor(model: Model, owned: boolean) {
    this.model = model;
    this.#owned = owned;
  }

  static async of(given: ModelOrLoader): Promise<Turn> {
    return isModel(given) ? new Turn(given, false) : new Turn(await given(), true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owned) await this.model[Symbol.asyncDispose]();
  }
}

function isModel(given: ModelOrLoader): given is Model {
  return typeof given !== "function";
}

function requireRequest(request: CollaborateRequest): CollaborateRequest & { readonly from: number } {
  requireObject(request, "the request", ACTION);
  for (const [name, reason] of Object.entries(REFUSED)) {
    const value: unknown = Reflect.get(request, name);
    if (value === undefined || value === false) continue;
    throw new TypeError(`Cannot ${ACTION} and ${name}: ${reason}`);
  }
  const { from = -2, hooks = [] } = request;
  requireInteger(from, "from", ACTION, { min: -1000, max: 1000 });
  // What is wrong with hooks otherwise, the models' requests say.
  const gathering = Array.isArray(hooks) ? hooks.find((hook) => hook?.gather !== undefined) : undefined;
  if (gathering !== undefined) {
    throw new TypeError(
      `Cannot ${ACTION} and the hook "${gathering.name}": it rearranges lanes, and the refiner goes on with one draft of each image`,
    );
  }
  return { ...request, from };
}

function firstRefined(from: number, scales: number): number {
  requireInteger(from, "from", ACTION, { min: -scales, max: scales });
  return from < 0 ? from + scales : from;
}

/** A request for a model beside which another one stays loaded. */
function sharedWith(other: Model | undefined, request: GenerateRequest): GenerateRequest {
  const { memory } = request;
  if (other === undefined || memory === undefined) return request;
  return { ...request, memory: Math.max(1, memory - other.weightBytes) };
}

/** What of a drafter a refiner must have, too. */
interface DrafterFacts {
  readonly model: Pick<Model, "name" | "family" | "fingerprints" | "labels">;
  readonly schedule: Schedule;
  readonly tokens: Pick<Model["tokens"], "words" | "logits">;
  /** Its codebook on the host. */
  readonly codebook: Uint32Array | undefined;
}

async function factsOf(model: Model, schedule: Schedule): Promise<DrafterFacts> {
  const { name, family, labels, tokens: { words, logits } } = model;
  const codebook = await codebookOf(model);
  // Of a checkpoint the whole file is read for them.
  const fingerprints = codebook === undefined ? model.fingerprints : {};
  return { model: { name, family, fingerprints, labels }, schedule, tokens: { words, logits }, codebook };
}

const codebooks = new WeakMap<Model, Promise<Uint32Array>>();

/** The codebook of a model on the host, read once. */
async function codebookOf(model: Model): Promise<Uint32Array | undefined> {
  const { codebook } = model.tokens;
  if (codebook === undefined) return undefined;
  const known = codebooks.get(model) ?? readWords(codebook.array);
  codebooks.set(model, known);
  known.catch(() => codebooks.delete(model));
  return await known;
}

/** Checks that a refiner can go on with the tokens of a drafter. */
async function requireAlike(
  { model: drafter, schedule, tokens, codebook }: DrafterFacts,
  refiner: Model,
  sampling: GenerateRequest,
): Promise<void> {
  const refuse = (what: string): never => {
    throw new RangeError(
      `Cannot ${ACTION} as "${drafter.name}" and "${refiner.name}" ${what}: use two of one tokenizer`,
    );
  };
  if (refiner.family !== drafter.family) {
    refuse(`are of different families, ${drafter.family} and ${refiner.family}`);
  }
  const { words, logits } = refiner.tokens;
  if (words !== tokens.words || logits !== tokens.logits) {
    refuse(`have other tokens, with ${tokens.logits} and ${logits} logits`);
  }
  const { labels } = refiner;
  if (
    labels.kind === "classes" && drafter.labels.kind === "classes" && labels.count !== drafter.labels.count
  ) {
    refuse(`know ${drafter.labels.count} and ${labels.count} classes`);
  }
  const { schedule: other } = resolveRequest(refiner, sampling);
  const maps = [schedule, other].map(({ scales }) =>
    scales.map(({ width, height }) => width === height ? `${width}` : `${height}×${width}`).join(" ")
  );
  if (maps[0] !== maps[1]) refuse(`have other maps, ${maps[0]} and ${maps[1]}`);
  if (codebook !== undefined) {
    if (!isSame(codebook, (await codebookOf(refiner))!)) refuse("have other codebooks");
  } else if (tokenizerOf(drafter) === undefined || tokenizerOf(drafter) !== tokenizerOf(refiner)) {
    refuse("have tokenizers of different files, and nothing but those tells what bits stand for");
  }
}

/** SHA-256 of a model's tokenizer, if its folder has one by itself. */
function tokenizerOf({ fingerprints }: Pick<Model, "fingerprints">): string | undefined {
  return Object.entries(fingerprints).find(([name]) => name.startsWith("tokenizer."))?.[1];
}

/** Whether two codebooks are the same but for what halves leave of them. */
function isSame(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => {
    const [x, y] = [bitsFloat(word), bitsFloat(b[i]!)];
    return x === y || Math.abs(x - y) <= 2 ** -10 * Math.max(Math.abs(x), Math.abs(y)) + 2 ** -24;
  });
}

/** An image with what hooks decided about its draft before the rest. */
function withDecisions(image: GeneratedImage, { decisions: before }: ImageOrigin): GeneratedImage {
  if (before.length === 0) return image;
  const { place, index, lane, label, seed, tokens, attempt, attempts } = image;
  const decisions = [...before, ...image.decisions];
  return new GeneratedImage(image, image.data, {
    ...{ place, index, lane, label, seed, tokens, attempt, decisions },
    attempts: attempts.map((tried) => ({ ...tried, decisions: [...before, ...tried.decisions] })),
  });
}

/** A trace that counts what another model keeps on a device of its own meanwhile. */
function withOther(trace: Trace, model: Model, other: Model | undefined): Trace {
  if (other === undefined || other.device === model.device) return trace;
  const { cost } = trace;
  const peakBytes = cost.peakBytes + other.device.counters.liveBytes;
  return { ...trace, cost: { ...cost, peakBytes } };
}

/** The end of a generation, with the trace of both parts. */
function joined<Event extends DoneEvent | AbortedEvent>(
  event: Event,
  { facts, trace: draft }: Drafted,
  { total, model, other }: {
    readonly total: number;
    readonly model: Model;
    readonly other: Model | undefined;
  },
): Event {
  const refined = withOther(event.trace, model, other);
  const drafting = draft!;
  const batchLimit = refined.batchLimit ?? drafting.batchLimit;
  const trace: Trace = {
    ...refined,
    model: `${facts.model.name} and ${refined.model}`,
    total,
    batches: [...drafting.batches, ...refined.batches],
    ...(batchLimit && { batchLimit }),
    readbacks: drafting.readbacks + refined.readbacks,
    bytesRead: drafting.bytesRead + refined.bytesRead,
    dispatches: drafting.dispatches + refined.dispatches,
    cost: sumOfCosts([drafting.cost, refined.cost]),
  };
  return { ...event, trace };
}
