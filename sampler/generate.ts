/**
 * The scale loop: from labels to pictures, scale by scale, with hooks between. Everything stays on the device
 * from the request to the pixels; pictures, tokens, reports and timings come back together in one readback.
 *
 * @module
 */

import { shown } from "../kernels/arguments.ts";
import type { DeviceArray, Timeline } from "../kernels/device/device.ts";
import { nextTurn } from "../kernels/device/next_turn.ts";
import { isUnconditional, type ResolvedLabel } from "../models/label.ts";
import type { Generation, Model } from "../models/model.ts";
import { isGuided, type PictureSize } from "../models/schedule.ts";
import { EditSources } from "./editing/edit.ts";
import type { ScaleHook } from "./hook.ts";
import type { RgbaImage } from "./pictures/image.ts";
import { paint, pictures, pixelsOf } from "./pictures/paint.ts";
import { type GenerateRequest, MAX_LANES, type ResolvedRequest, resolveRequest } from "./request.ts";
import { type BatchTimings, GeneratedImage, GenerateResult, type Trace } from "./result.ts";
import { type Lane, type LaneRecord, ScaleStep } from "./step.ts";

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

/** What the pictures look like after a scale. */
export interface PreviewEvent {
  /** Tells it from other events. */
  readonly type: "preview";
  /** Number of the batch. */
  readonly batch: number;
  /** Index of the scale. */
  readonly scale: number;
  /** One picture per lane, of the size that a picture has after this scale. */
  readonly images: readonly { readonly index: number; readonly lane: number; readonly image: RgbaImage }[];
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

/** What {@linkcode generate.stream} yields. */
export type GenerateEvent = BatchEvent | ScaleEvent | PreviewEvent | ImageEvent | DoneEvent;

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
 * generation and frees what it holds.
 */
generate.stream = function stream(
  model: Model,
  request: GenerateRequest = {},
): AsyncGenerator<GenerateEvent, void, void> {
  return run(model, request, "batch");
};

/** A lane with what has been recorded about it. */
interface TrackedLane extends Lane {
  readonly tokens: readonly LaneRecord[];
  readonly reports: readonly LaneRecord[];
}

/** A batch that is painted but not yet read back. */
interface FinishedBatch extends Disposable {
  readonly lanes: readonly TrackedLane[];
  /** Size of the pictures. */
  readonly picture: PictureSize;
  /** Pixels first, then tokens and reports, then the timeline's ticks if any. */
  readonly arrays: readonly DeviceArray[];
  readonly ticks: DeviceArray | undefined;
  readonly timeline: Timeline;
  readonly startedLanes: number;
  readonly started: number;
}

async function* run(
  model: Model,
  given: GenerateRequest,
  deliver: "batch" | "end",
): AsyncGenerator<GenerateEvent, void, void> {
  const begun = performance.now();
  const resolved = resolveRequest(model, given);
  // Previews are for those who watch; `generate()` alone keeps its one readback.
  const request = deliver === "batch" ? resolved : { ...resolved, previews: new Set<number>() };
  const { device } = model;
  const before = device.counters;
  using pending = new PendingBatches(model, request);
  using sources = request.edit === undefined
    ? undefined
    : new EditSources(model, request.schedule, request.edit);
  const timings: BatchTimings[] = [];
  const perBatch = Math.max(1, Math.floor(request.batch / request.lanes));
  const batches = Math.ceil(request.labels.length / perBatch);
  const turns = deliver === "batch" || request.signal !== undefined;
  for (let batch = 0; batch < batches; batch++) {
    const first = batch * perBatch;
    const labels = request.labels.slice(first, first + perBatch);
    yield { type: "batch", batch, batches, images: request.indices.slice(first, first + perBatch) };
    pending.add(yield* runBatch(model, request, { batch, first, labels, sources, turns }));
    if (deliver === "end" && batch < batches - 1) continue;
    for (const { images, timing } of await pending.deliver()) {
      timings.push(timing);
      for (const image of images) yield { type: "image", image };
    }
  }
  const after = device.counters;
  yield {
    type: "done",
    trace: {
      model: model.name,
      device: { kind: device.kind, name: device.name },
      total: performance.now() - begun,
      batches: timings,
      ...(request.batchLimit && { batchLimit: request.batchLimit }),
      readbacks: after.readbacks - before.readbacks,
      bytesRead: after.bytesRead - before.bytesRead,
      dispatches: after.dispatches - before.dispatches,
    },
  };
}

/** Batches whose results are still on the device. */
class PendingBatches implements Disposable {
  readonly #model: Model;
  readonly #request: ResolvedRequest;
  #batches: FinishedBatch[] = [];

  constructor(model: Model, request: ResolvedRequest) {
    this.#model = model;
    this.#request = request;
  }

  add(batch: FinishedBatch): void {
    this.#batches.push(batch);
  }

  /** Reads all batches back at once. */
  async deliver(): Promise<{ images: GeneratedImage[]; timing: BatchTimings }[]> {
    const { device } = this.#model;
    const words = await device.read(this.#batches.flatMap((batch) => batch.arrays));
    const ended = performance.now();
    const delivered = this.#batches.map((batch, i) => {
      const data = new Map<DeviceArray, Uint32Array<ArrayBuffer>>();
      for (const array of batch.arrays) data.set(array, words.shift()!);
      // Several batches read together have one end; each lasted until the next one began.
      const total = (this.#batches[i + 1]?.started ?? ended) - batch.started;
      return { images: this.#images(batch, data), timing: timingOf(batch, data, total) };
    });
    this[Symbol.dispose]();
    return delivered;
  }

  [Symbol.dispose](): void {
    for (const batch of this.#batches.splice(0)) batch[Symbol.dispose]();
  }

  #images(batch: FinishedBatch, data: Map<DeviceArray, Uint32Array<ArrayBuffer>>): GeneratedImage[] {
    const model = this.#model;
    const pixels = data.get(batch.arrays[0]!)!;
    const valueOf = ({ array, row, length }: LaneRecord): Uint32Array => {
      return data.get(array)!.slice(row * length, (row + 1) * length);
    };
    const rows = [...batch.lanes.entries()];
    rows.sort(([, a], [, b]) => a.image - b.image || a.lane - b.lane);
    return rows.map(([row, { index, lane, label, tokens, reports }]) => {
      const maps = tokens.map(valueOf);
      for (const [scale, map] of maps.entries()) requireTokens(model, map, { scale, image: index });
      return new GeneratedImage(batch.picture, pixelsOf(batch.picture, pixels, row), {
        index,
        lane,
        label,
        seed: this.#request.seed,
        tokens: maps,
        decisions: reports.map((record) => ({
          hook: record.hook,
          scale: record.scale,
          value: record.read(valueOf(record)),
        })),
      });
    });
  }
}

/**
 * A position without a single usable logit has no token, which only broken weights or a hook that forbids
 * everything bring about.
 */
function requireTokens(
  { tokens }: Model,
  map: Uint32Array,
  { scale, image }: { readonly scale: number; readonly image: number },
): void {
  const position = tokens.firstMissing(map);
  if (position < 0) return;
  throw new RangeError(
    `Cannot draw a token for image ${image} at scale ${scale}, position ${position}, as all its logits are NaN or -Infinity`,
  );
}

function timingOf(
  batch: FinishedBatch,
  data: Map<DeviceArray, Uint32Array<ArrayBuffer>>,
  total: number,
): BatchTimings {
  const { timeline, ticks, startedLanes: lanes } = batch;
  const [condition = 0, ...rest] = timeline.durations(
    ticks === undefined ? undefined : data.get(ticks),
    total,
  );
  const decode = rest.pop() ?? 0;
  return { lanes, clock: timeline.clock, condition, scales: rest, decode, total };
}

async function* runBatch(
  model: Model,
  request: ResolvedRequest,
  place: {
    readonly batch: number;
    readonly first: number;
    readonly labels: readonly ResolvedLabel[];
    readonly sources: EditSources | undefined;
    /** Whether somebody waits for something between the scales: events, or a signal. */
    readonly turns: boolean;
  },
): AsyncGenerator<GenerateEvent, FinishedBatch, void> {
  const { device, tokens: { words } } = model;
  const { signal, schedule, hooks, hookScales } = request;
  const started = performance.now();
  using kept = new DisposableStack();
  const timeline = kept.use(device.timeline(schedule.scales.length + 3));
  let lanes: TrackedLane[] = place.labels.flatMap((label, i) => {
    return Array.from({ length: request.lanes }, (_, lane) => {
      const image = place.first + i;
      return { image, index: request.indices[image]!, lane, label, tokens: [], reports: [] };
    });
  });
  const startedLanes = lanes.length;
  const arrays: DeviceArray[] = [];
  const keep = (array: DeviceArray): DeviceArray => {
    arrays.push(array);
    return kept.use(array);
  };

  signal?.throwIfAborted();
  timeline.mark();
  await place.sources?.encode(place.first, place.first + place.labels.length);
  using generation = await model.start({
    labels: lanes.map(({ label }) => label),
    guided: isGuided(schedule) && !lanes.every(({ label }) => isUnconditional(label)),
    schedule,
  });
  timeline.mark();
  for (const [scale, { width, height }] of schedule.scales.entries()) {
    signal?.throwIfAborted();
    using laneArray = device.upload(Uint32Array.from(lanes, laneIndex), "lanes");
    using logits = await generation.logits();
    using edit = place.sources?.scale(scale, lanes.map(({ image }) => image));
    const active = hooks.filter((_, i) => hookScales[i]?.includes(scale) ?? true);
    let acting: ScaleHook | undefined;
    const reports: LaneRecord[][] = lanes.map(() => []);
    using step = new ScaleStep({
      model,
      generation,
      request,
      schedule,
      scale,
      lanes: () => lanes,
      laneArray,
      logits,
      edit,
      onReport: (array, length, read) => {
        const hook = acting?.name ?? "";
        keep(array);
        for (const [row, list] of reports.entries()) list.push({ hook, scale, array, row, length, read });
      },
    });
    for (acting of active) await acting.guide?.(step);
    for (acting of active) await acting.choose?.(step);
    const { tokens, features } = step.finish();
    if (features === undefined) generation.accept(tokens);
    else acceptFeatures(generation, features);
    const length = width * height * words;
    const array = keep(device.allocate(lanes.length * length, `tokens of scale ${scale}`));
    device.copy(tokens, array, { length: array.length });
    const record = (row: number): LaneRecord => ({
      hook: "",
      scale,
      array,
      row,
      length,
      read: (words) => words,
    });
    lanes = lanes.map((lane, row) => ({ ...lane, tokens: [...lane.tokens, record(row)] }));
    for (acting of active) {
      const order = await acting.gather?.(step);
      if (order === undefined) continue;
      requireLanes(order, lanes, acting.name);
      generation.gather(order);
      lanes = gatherLanes(lanes, reports, order);
      reports.splice(0, reports.length, ...lanes.map(() => []));
    }
    lanes = lanes.map((lane, row) => ({ ...lane, reports: [...lane.reports, ...reports[row]!] }));
    device.flush();
    timeline.mark();
    yield {
      type: "scale",
      batch: place.batch,
      scale,
      scales: schedule.scales.length,
      width,
      height,
      lanes: lanes.length,
    };
    if (place.turns) await nextTurn();
    if (request.previews.has(scale)) {
      const previews = await pictures(device, generation);
      const images = previews.map((image, row) => ({
        index: lanes[row]!.index,
        lane: lanes[row]!.lane,
        image,
      }));
      yield { type: "preview", batch: place.batch, scale, images };
    }
  }
  signal?.throwIfAborted();
  const picture = kept.use(await paint(device, generation));
  arrays.unshift(picture.array);
  timeline.mark();
  const ticks = timeline.finish();
  if (ticks !== undefined) arrays.push(ticks);
  const owned = kept.move();
  return {
    lanes,
    picture,
    arrays,
    ticks,
    timeline,
    startedLanes,
    started,
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function acceptFeatures(generation: Generation, features: DeviceArray): void {
  if (generation.acceptFeatures === undefined) {
    throw new RangeError("Cannot go on with mixed vectors as the model takes only those of tokens");
  }
  generation.acceptFeatures(features);
}

/**
 * What keys the random numbers of a lane: its image's index and, above 24 bits, the number of the attempt.
 */
function laneIndex({ index, lane }: Lane): number {
  return (index | lane << 24) >>> 0;
}

function requireLanes(order: readonly number[], lanes: readonly Lane[], hook: string): void {
  if (!Array.isArray(order)) {
    throw new TypeError(
      `Cannot gather lanes as the hook "${hook}" must return a list of lanes: current value is ${
        shown(order)
      }`,
    );
  }
  for (const lane of order) {
    if (!Number.isInteger(lane) || lane < 0 || lane >= lanes.length) {
      throw new RangeError(
        `Cannot gather lanes as the hook "${hook}" asked for lane ${lane}: there are lanes 0 to ${
          lanes.length - 1
        }`,
      );
    }
  }
  const left = Map.groupBy(order, (lane) => lanes[lane]!.image);
  for (const { image } of lanes) {
    const count = left.get(image)?.length ?? 0;
    if (count === 0) {
      throw new RangeError(`Cannot gather lanes as the hook "${hook}" left no lane of image ${image}`);
    }
    if (count > MAX_LANES) {
      throw new RangeError(
        `Cannot gather lanes as the hook "${hook}" asked for ${count} lanes of image ${image}: at most ${MAX_LANES} are possible`,
      );
    }
  }
}

/**
 * The new lanes: of a lane that is continued more than once, the further copies get numbers that no other
 * lane of the image goes on with, so that they part ways.
 */
function gatherLanes(
  lanes: readonly TrackedLane[],
  reports: readonly (readonly LaneRecord[])[],
  order: readonly number[],
): TrackedLane[] {
  const used = new Map<number, Set<number>>();
  for (const source of order) {
    const { image, lane } = lanes[source]!;
    used.set(image, (used.get(image) ?? new Set()).add(lane));
  }
  const continued = new Set<number>();
  return order.map((source) => {
    const lane = lanes[source]!;
    const history = { ...lane, reports: [...lane.reports, ...reports[source]!] };
    if (!continued.has(source)) {
      continued.add(source);
      return history;
    }
    const numbers = used.get(lane.image)!;
    let next = 0;
    while (numbers.has(next)) next++;
    numbers.add(next);
    return { ...history, lane: next };
  });
}
