/**
 * The scale loop: from labels to pictures, scale by scale, with hooks between. Everything stays on the device
 * from the request to the pixels; pictures, tokens, reports and timings come back together in one readback.
 *
 * @module
 */

import type { DeviceArray } from "../kernels/device/device.ts";
import { nextTurn } from "../kernels/device/next_turn.ts";
import type { ResolvedLabel } from "../models/label.ts";
import type { Generation, Model } from "../models/model.ts";
import type { TextFeatures } from "../models/text/text_features.ts";
import { Batch } from "./batch.ts";
import { CostCounter, guides, imagesTogether } from "./cost.ts";
import { PendingBatches } from "./delivery.ts";
import { EditSources } from "./editing/edit.ts";
import type { ScaleHook } from "./hook.ts";
import { CurrentPictures } from "./pictures/current.ts";
import type { RgbaImage } from "./pictures/image.ts";
import { type GenerateRequest, type ResolvedRequest, resolveRequest } from "./request.ts";
import {
  type BatchTimings,
  type GeneratedImage,
  GenerateResult,
  type ImageOrigin,
  type Trace,
} from "./result.ts";
import { Shadows } from "./shadows.ts";
import { type Lane, laneWord, ScaleStep } from "./step.ts";

/** A batch starts. */
export interface BatchEvent {
  /** Tells it from other events. */
  readonly type: "batch";
  /** Number of the batch, 0-based. */
  readonly batch: number;
  /** Number of batches. */
  readonly batches: number;
  /** Its images' indices. */
  readonly images: readonly number[];
}

/** A scale is done: on a GPU, all its work has been handed over. */
export interface ScaleEvent {
  /** Tells it from other events. */
  readonly type: "scale";
  /** Number of the batch. */
  readonly batch: number;
  /** Index of the scale, 0-based. */
  readonly scale: number;
  /** Number of scales. */
  readonly scales: number;
  /** Tokens in a row of the map. */
  readonly width: number;
  /** Rows of the map. */
  readonly height: number;
  /** Lanes after the scale. */
  readonly lanes: number;
}

/** What one lane looks like after a scale. */
export interface PreviewImage {
  /** Place of its image in the request, 0-based. */
  readonly place: number;
  /** Number of its image. */
  readonly index: number;
  /** Number of the attempt where an image has several lanes; 0 otherwise. */
  readonly lane: number;
  /** Its class or prompt. */
  readonly label: ResolvedLabel;
  /** The picture. */
  readonly image: RgbaImage;
}

/** What the pictures look like after a scale. */
export interface PreviewEvent {
  /** Tells it from other events. */
  readonly type: "preview";
  /** Number of the batch. */
  readonly batch: number;
  /** Index of the scale. */
  readonly scale: number;
  /** One picture per lane, of the size that a picture has after this scale, with what it is to become. */
  readonly images: readonly PreviewImage[];
}

/** An image is finished. */
export interface ImageEvent {
  /** Tells it from other events. */
  readonly type: "image";
  /** The picture. */
  readonly image: GeneratedImage;
}

/** All images are finished. */
export interface DoneEvent {
  /** Tells it from other events. */
  readonly type: "done";
  /** How they were made. */
  readonly trace: Trace;
}

/** The signal has ended the generation; what the signal gives as the reason is thrown next. */
export interface AbortedEvent {
  /** Tells it from other events. */
  readonly type: "aborted";
  /** How far it came. Its batches are those that were finished. */
  readonly trace: Trace;
}

/** What {@linkcode generate.stream} yields. */
export type GenerateEvent = BatchEvent | ScaleEvent | PreviewEvent | ImageEvent | DoneEvent | AbortedEvent;

/**
 * Generates pictures.
 *
 * @param model A loaded model.
 * @param request What to generate and how.
 * @returns The pictures, in the order of the request, and a trace. On WebGPU all of it comes back in one
 * readback.
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a label is no class of the model.
 * @throws {DeviceLostError} If the GPU device is lost.
 *
 * @example
 * ```ts
 * import { generate, loadModel, varScaling } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images, trace } = await generate(model, {
 *   labels: ["red torus", "blue cone"],
 *   seed: 7,
 *   cfg: 1.5,
 *   hooks: [varScaling({ scale: 1, samples: 50 })],
 * });
 * assertEquals(images.map((image) => image.caption), ["red torus #0", "blue cone #1"]);
 * assertEquals(trace.readbacks, 1);
 * // await Deno.writeFile("torus.png", images[0].png());
 * ```
 */
export async function generate(model: Model, request: GenerateRequest = {}): Promise<GenerateResult> {
  const images: GeneratedImage[] = [];
  for await (const event of run(model, request, "end")) {
    if (event.type === "image") images.push(event.image);
    else if (event.type === "done") return new GenerateResult(images, event.trace);
  }
  throw new Error("The generation ended early");
}

/**
 * Generates pictures and tells what happens on the way: each scale, previews where wanted, each image as soon
 * as its batch is done. Each batch and each preview costs a readback. Leaving the loop early ends the
 * generation and frees what it holds. A signal ends it, too, with the trace as its last event.
 */
generate.stream = function stream(
  model: Model,
  request: GenerateRequest = {},
): AsyncGenerator<GenerateEvent, void, void> {
  return run(model, request, "batch");
};

/** What images show so far, without a picture of it. */
export interface DraftsEvent {
  /** Tells it from other events. */
  readonly type: "drafts";
  /** Where they come from, with the tokens of the scales that were painted. */
  readonly drafts: readonly ImageOrigin[];
}

/**
 * Paints the scales up to `until` as {@linkcode generate} does, and gives their tokens instead of pictures:
 * nothing is decoded, and all images come in one event before the last, in one readback.
 */
export function draft(
  model: Model,
  request: GenerateRequest,
): AsyncGenerator<GenerateEvent | DraftsEvent, void, void> {
  return run(model, request, "drafts");
}

/**
 * What is delivered, and when: pictures with each batch or at the end, or all tokens at the end without any
 * picture.
 */
type Delivery = "batch" | "end" | "drafts";

/** A generation from the request to the trace. */
function run(
  model: Model,
  given: GenerateRequest,
  deliver: Exclude<Delivery, "drafts">,
): AsyncGenerator<GenerateEvent, void, void>;
function run(
  model: Model,
  given: GenerateRequest,
  deliver: Delivery,
): AsyncGenerator<GenerateEvent | DraftsEvent, void, void>;
async function* run(
  model: Model,
  given: GenerateRequest,
  deliver: Delivery,
): AsyncGenerator<GenerateEvent | DraftsEvent, void, void> {
  const begun = performance.now();
  const resolved = resolveRequest(model, given);
  // Previews are for those who watch; `generate()` alone keeps its one readback.
  const request = deliver === "batch" ? resolved : { ...resolved, previews: new Set<number>() };
  const { device } = model;
  const before = device.counters;
  const timings: BatchTimings[] = [];
  const cost = new CostCounter(device);
  const trace = (): Trace => {
    const after = device.counters;
    return {
      model: model.name,
      device: { kind: device.kind, name: device.name },
      provider: model.provider,
      total: performance.now() - begun,
      batches: timings,
      ...(request.batchLimit && { batchLimit: request.batchLimit }),
      readbacks: after.readbacks - before.readbacks,
      bytesRead: after.bytesRead - before.bytesRead,
      dispatches: after.dispatches - before.dispatches,
      cost: cost.cost,
    };
  };
  try {
    yield* runBatches(model, request, { deliver, timings, cost });
  } catch (error) {
    const { signal } = request;
    if (signal?.aborted && signal.reason === error) yield { type: "aborted", trace: trace() };
    throw error;
  }
  yield { type: "done", trace: trace() };
}

/** All batches, one after the other, and what they took. */
async function* runBatches(
  model: Model,
  request: ResolvedRequest,
  { deliver, timings, cost }: {
    readonly deliver: Delivery;
    readonly timings: BatchTimings[];
    readonly cost: CostCounter;
  },
): AsyncGenerator<GenerateEvent | DraftsEvent, void, void> {
  const textFeatures = await featuresOf(model, request);
  using pending = new PendingBatches(model, request);
  using sources = request.edit === undefined
    ? undefined
    : new EditSources(model, request.schedule, request.edit);
  const perBatch = imagesTogether(request);
  const batches = Math.ceil(request.labels.length / perBatch);
  const turns = deliver !== "end" || request.signal !== undefined;
  const decodes = deliver !== "drafts";
  for (let batch = 0; batch < batches; batch++) {
    const first = batch * perBatch;
    const labels = request.labels.slice(first, first + perBatch);
    yield { type: "batch", batch, batches, images: request.indices.slice(first, first + perBatch) };
    pending.add(
      yield* runBatch(model, request, { batch, first, labels, textFeatures, sources, turns, decodes, cost }),
    );
    if (deliver !== "batch" && batch < batches - 1) continue;
    if (deliver === "drafts") {
      const delivered = await pending.deliverDrafts();
      timings.push(...delivered.map(({ timing }) => timing));
      yield { type: "drafts", drafts: delivered.flatMap(({ images }) => images) };
      continue;
    }
    for (const { images, timing } of await pending.deliver()) {
      timings.push(timing);
      for (const image of images) yield { type: "image", image };
    }
  }
}

/**
 * Features of all prompts of a request: all of them before the first batch, so that the text encoder is
 * loaded once, and gone before there are pictures.
 */
export async function featuresOf(
  model: Model,
  { labels, schedule, textFeatures, signal }: Pick<
    ResolvedRequest,
    "labels" | "schedule" | "textFeatures" | "signal"
  >,
): Promise<TextFeatures | undefined> {
  const texts = model.textsOf?.(labels, schedule) ?? [];
  const missing = texts.filter((text) => textFeatures?.get(text) === undefined);
  if (missing.length === 0 || model.encodeText === undefined) return textFeatures;
  const encoded = await model.encodeText(missing, { signal });
  return textFeatures === undefined ? encoded : textFeatures.and(encoded);
}

/** One batch of a request. */
interface BatchPlan {
  readonly batch: number;
  /** Place of its first image. */
  readonly first: number;
  /** One label per image. */
  readonly labels: readonly ResolvedLabel[];
  /** Features of all prompts, for a model that takes texts. */
  readonly textFeatures: TextFeatures | undefined;
  readonly sources: EditSources | undefined;
  /** Whether somebody waits for something between the scales: events, or a signal. */
  readonly turns: boolean;
  /** Whether pictures are wanted in the end. */
  readonly decodes: boolean;
  readonly cost: CostCounter;
}

/** Paints a batch, which belongs to the caller and is still on the device. */
async function* runBatch(
  model: Model,
  request: ResolvedRequest,
  plan: BatchPlan,
): AsyncGenerator<GenerateEvent, Batch, void> {
  const { signal, schedule } = request;
  const { scales } = schedule;
  const { first, labels, textFeatures, sources, cost } = plan;
  using owned = new DisposableStack();
  const painted = scales.slice(0, request.until + 1);
  const batch = owned.use(new Batch(model.device, lanesOf(request, plan), painted.length));
  signal?.throwIfAborted();
  batch.mark();
  await sources?.encode(first, first + labels.length);
  const guided = guides(model, labels, schedule);
  cost.begin(labels.length, model.flops?.(schedule, guided));
  const start = (): Promise<Generation> => {
    return model.start({
      labels: batch.lanes.map(({ label }) => label),
      guided,
      schedule,
      ...(textFeatures && { textFeatures }),
    });
  };
  using generation = await start();
  using shadows = new Shadows({ batch, cost, scales, start });
  using pictures = new CurrentPictures({ device: model.device, generation, schedule, cost });
  batch.mark();
  for (const [scale, { width, height }] of painted.entries()) {
    signal?.throwIfAborted();
    const parts = { model, request, batch, generation, pictures, cost, scale };
    if (scale < request.given.scales) await passScale(parts);
    else await runScale({ ...parts, shadows, sources });
    const lanes = batch.lanes.length;
    yield { type: "scale", batch: plan.batch, scale, scales: painted.length, width, height, lanes };
    if (plan.turns) await nextTurn();
    if (!request.previews.has(scale)) continue;
    const previews = await pictures.read();
    const images = previews.map((image, row) => {
      const { image: place, index, lane, label } = batch.lanes[row]!;
      return { place, index, lane, label, image };
    });
    yield { type: "preview", batch: plan.batch, scale, images };
  }
  signal?.throwIfAborted();
  batch.finish(plan.decodes ? await pictures.take() : undefined);
  owned.move();
  return batch;
}

/** The lanes that a batch starts with. */
function lanesOf({ lanes, indices }: ResolvedRequest, { first, labels }: BatchPlan): Lane[] {
  return labels.flatMap((label, i) => {
    const image = first + i;
    return Array.from({ length: lanes }, (_, lane) => ({ image, index: indices[image]!, lane, label }));
  });
}

/** What a scale of a batch is made with. */
interface ScaleParts {
  readonly model: Model;
  readonly request: ResolvedRequest;
  readonly batch: Batch;
  readonly generation: Generation;
  readonly pictures: CurrentPictures;
  readonly cost: CostCounter;
  readonly scale: number;
}

/** A scale whose tokens are given: the model only gets to know them, and no hook acts. */
async function passScale(
  { model, request, batch, generation, pictures, cost, scale }: ScaleParts,
): Promise<void> {
  const { device } = model;
  {
    using _logits = await generation.logits();
  }
  using tokens = device.upload(
    request.given.of(scale, batch.lanes.map(({ image }) => image)),
    "given tokens",
  );
  generation.accept(tokens);
  pictures.advance();
  cost.pass(scale, batch.lanes.length);
  batch.addTokens(tokens, tokens.length / batch.lanes.length);
  device.flush();
  batch.mark();
}

/** One scale of a batch: logits, hooks, tokens, and the lanes that go on. */
async function runScale(
  { model, request, batch, generation, sources, pictures, shadows, cost, scale }: ScaleParts & {
    readonly sources: EditSources | undefined;
    readonly shadows: Shadows;
  },
): Promise<void> {
  const { device } = model;
  const { schedule, hooks, hookScales } = request;
  using laneArray = device.upload(Uint32Array.from(batch.lanes, laneWord), "lanes");
  using logits = await generation.logits();
  using kept = sources?.scale(scale, batch.lanes.map(({ image }) => image));
  const lanes = batch.lanes.length;
  let acting = "";
  let owner = "";
  let gathered: readonly number[] | undefined;
  using step = new ScaleStep({
    ...{ model, generation, request, schedule, scale, laneArray, logits, kept, pictures, cost },
    lanes: () => batch.lanes,
    memory: batch.memory,
    tokensOf: (scale) => batch.tokensOf(scale),
    order: () => gathered,
    owner: () => owner,
    shadow: (options) => shadows.logits(owner, scale, options),
    onReport: (array, length, read) => batch.report({ hook: acting, scale }, array, length, read),
    onNote: (row, value) => batch.note({ hook: acting, scale }, row, value),
  });
  const active = [...hooks.entries()].filter(([i]) => hookScales[i]?.includes(scale) ?? true);
  const inTurn = function* (): Iterable<ScaleHook> {
    for (const [i, hook] of active) {
      acting = hook.name;
      owner = `hook ${i}`;
      yield hook;
    }
  };
  for (const hook of inTurn()) await hook.combine?.(step);
  for (const hook of inTurn()) await hook.guide?.(step);
  for (const hook of inTurn()) await hook.choose?.(step);
  const { tokens, features } = step.finish();
  if (features === undefined) generation.accept(tokens);
  else acceptFeatures(generation, features);
  shadows.accept(tokens);
  pictures.advance();
  cost.pass(scale, lanes);
  batch.addTokens(tokens, step.positions * model.tokens.words, step.missing);
  for (const hook of inTurn()) {
    const order = await hook.gather?.(step);
    if (order === undefined) continue;
    const before = batch.lanes.length;
    batch.gather(order, { hook: hook.name, scale });
    generation.gather(order);
    pictures.gather(order, before);
    shadows.gather(order);
    gathered = gathered === undefined ? order : order.map((lane) => gathered![lane]!);
  }
  device.flush();
  batch.mark();
}

function acceptFeatures(generation: Generation, features: DeviceArray): void {
  if (generation.acceptFeatures === undefined) {
    throw new RangeError("Cannot go on with mixed vectors as the model takes only those of tokens");
  }
  generation.acceptFeatures(features);
}
