/**
 * From finished batches on the device to pictures with their tokens and decisions, and to what the work took:
 * one readback, however many batches there are.
 *
 * @module
 */

import type { DeviceArray } from "../kernels/device/device.ts";
import type { Model } from "../models/model.ts";
import type { Batch, DroppedLane, LaneRecord, TrackedLane } from "./batch.ts";
import { pixelsOf } from "./pictures/paint.ts";
import type { ResolvedRequest } from "./request.ts";
import {
  type Attempt,
  type BatchTimings,
  GeneratedImage,
  type HookDecision,
  type ImageOrigin,
} from "./result.ts";

/** Batches whose results are still on the device. */
export class PendingBatches implements Disposable {
  readonly #model: Model;
  readonly #request: ResolvedRequest;
  #batches: Batch[] = [];

  /** @param model What made them. @param request What was asked for. */
  constructor(model: Model, request: ResolvedRequest) {
    this.#model = model;
    this.#request = request;
  }

  /** Takes a finished batch over. */
  add(batch: Batch): void {
    this.#batches.push(batch);
  }

  /** Reads all batches back at once. */
  async deliver(): Promise<{ images: GeneratedImage[]; timing: BatchTimings }[]> {
    return await this.#read((batch, data) => {
      const picture = batch.picture!;
      const pixels = data.get(picture.array)!;
      return this.#origins(batch, data).map(({ row, origin }) => {
        return new GeneratedImage(picture, pixelsOf(picture, pixels, row), origin);
      });
    });
  }

  /** The same without pictures, of batches that have none. */
  async deliverDrafts(): Promise<{ images: ImageOrigin[]; timing: BatchTimings }[]> {
    return await this.#read((batch, data) => this.#origins(batch, data).map(({ origin }) => origin));
  }

  async #read<Image>(
    imagesOf: (batch: Batch, data: Map<DeviceArray, Uint32Array<ArrayBuffer>>) => Image[],
  ): Promise<{ images: Image[]; timing: BatchTimings }[]> {
    const { device } = this.#model;
    const words = await device.read(this.#batches.flatMap((batch) => batch.arrays));
    const ended = performance.now();
    const delivered = this.#batches.map((batch, i) => {
      const data = new Map<DeviceArray, Uint32Array<ArrayBuffer>>();
      for (const array of batch.arrays) data.set(array, words.shift()!);
      // Several batches read together have one end; each lasted until the next one began.
      const total = (this.#batches[i + 1]?.started ?? ended) - batch.started;
      return { images: imagesOf(batch, data), timing: timingOf(batch, data, total) };
    });
    this[Symbol.dispose]();
    return delivered;
  }

  /** Frees those that were not delivered. */
  [Symbol.dispose](): void {
    for (const batch of this.#batches.splice(0)) batch[Symbol.dispose]();
  }

  /** Where each image of a batch comes from, and its row there. */
  #origins(
    batch: Batch,
    data: Map<DeviceArray, Uint32Array<ArrayBuffer>>,
  ): { readonly row: number; readonly origin: ImageOrigin }[] {
    const model = this.#model;
    const wordsOf = ({ array, row, length }: LaneRecord): Uint32Array => {
      return data.get(array)!.slice(row * length, (row + 1) * length);
    };
    const rows = [...batch.lanes.entries()];
    rows.sort(([, a], [, b]) => a.image - b.image || a.lane - b.lane);
    const decisionsOf = ({ reports }: TrackedLane): HookDecision[] => {
      return reports.map(({ hook, scale, value }) => ({ hook, scale, value: value(wordsOf) }));
    };
    const attempts = attemptsOf(batch, decisionsOf);
    return rows.map(([row, { image, index, lane, attempt, label, tokens }]) => {
      const maps = tokens.map(wordsOf);
      for (const [scale, map] of maps.entries()) {
        const { missing } = tokens[scale]!;
        requireTokens(model, map, { scale, image: index, found: missing && wordsOf(missing)[0] });
      }
      const origin = {
        place: image,
        index,
        lane,
        label,
        seed: this.#request.seed,
        tokens: maps,
        decisions: attempts.get(image)![attempt]!.decisions,
        attempt,
        attempts: attempts.get(image)!,
      };
      return { row, origin };
    });
  }
}

/** What became of all lanes of each image, in the order of their numbers. */
function attemptsOf(
  { lanes, dropped }: Batch,
  decisionsOf: (lane: TrackedLane) => HookDecision[],
): Map<number, Attempt[]> {
  const all = [...lanes, ...dropped].sort((a, b) => a.attempt - b.attempt);
  const images = Map.groupBy(all, ({ image }) => image);
  return new Map([...images].map(([image, tracked]) => [
    image,
    tracked.map((lane: TrackedLane & Partial<DroppedLane>): Attempt => ({
      attempt: lane.attempt,
      lane: lane.lane,
      ...(lane.from && { from: lane.from }),
      ...(lane.dropped && { dropped: lane.dropped }),
      decisions: decisionsOf(lane),
    })),
  ]));
}

/**
 * A position without a single usable logit has no token, which only broken weights or a hook that forbids
 * everything bring about.
 */
function requireTokens(
  { tokens }: Model,
  map: Uint32Array,
  { scale, image, found }: {
    readonly scale: number;
    readonly image: number;
    readonly found: number | undefined;
  },
): void {
  const position = tokens.firstMissing(map, found);
  if (position < 0) return;
  throw new RangeError(
    `Cannot draw a token for image ${image} at scale ${scale}, position ${position}, as all its logits are NaN or -Infinity`,
  );
}

function timingOf(
  batch: Batch,
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
