/**
 * Puts requests that wait together into one batch, where they ask for the same and so can be painted
 * together: an image depends on its seed and number alone, so nobody can tell. The queue is bounded; a batch
 * that fails is done again one request at a time, so that nobody pays for what another one asked for.
 *
 * @module
 */

import type {
  HostedEvent,
  HostedImageEvent,
  HostedJob,
  HostedPlace,
  HostedPreviewEvent,
} from "../hosting/hosted_job.ts";
import { Inbox } from "../hosting/inbox.ts";
import { UsageError } from "../io.ts";
import { ApiError, badRequest } from "./api_error.ts";
import type { GivenValues } from "./request_options.ts";

/** Who paints: a model in a thread of its own. */
export interface Painter {
  /** Does a job. */
  generate(job: HostedJob, options: { readonly signal: AbortSignal }): AsyncIterable<HostedEvent>;
}

/** What the batcher is told, and what it tells. */
export interface BatcherOptions {
  /** Images of a batch. */
  readonly batch: number;
  /** Images that may wait. */
  readonly waiting: number;
  /** Milliseconds for which a request waits for company where there is nothing else to do. */
  readonly linger: number;
  /** Seed of requests that bring none. */
  readonly seed: number | bigint;
  /** Numbers that there are under a seed, from 0 on. */
  readonly numbers?: number;
  /** A batch has ended. */
  readonly onBatch?: (batch: EndedBatch) => void;
}

/** What is told of a batch. */
export interface EndedBatch {
  /** Requests that were painted together. */
  readonly requests: number;
  /** Their images. */
  readonly images: number;
  /** Seconds that it took. */
  readonly seconds: number;
  /** How it ended; a batch that is split is done again one request at a time. */
  readonly outcome: "done" | "split" | "failed" | "aborted";
}

/** What a request wants painted. */
export interface Wanted {
  /** The class or prompt. */
  readonly prompt: string;
  /** How many images. */
  readonly images: number;
  /** Options of `varscale generate`. */
  readonly values: GivenValues;
  /** Whether what becomes of an image depends on those beside it. */
  readonly coupled: boolean;
  /** Scales with a preview. */
  readonly previews: readonly number[];
  /** Seed and numbers of the images; the server's own without them. */
  readonly seed?: number | bigint | undefined;
  readonly indices?: readonly number[] | undefined;
}

/** A picture after a scale, by its place in the request. */
export type WantedPreview = HostedPreviewEvent["images"][number] & { readonly seed: number | bigint };

/** What happens to a request: what concerns its own images, by their places in it. */
export type WantedEvent =
  | { readonly type: "begun" }
  | { readonly type: "preview"; readonly scale: number; readonly images: readonly WantedPreview[] }
  | HostedImageEvent;

/** Numbers that images may have. */
const MAX_INDEX = 2 ** 24;

type Message =
  | { readonly type: "event"; readonly event: WantedEvent }
  | { readonly type: "ended" }
  | { readonly type: "failed"; readonly error: unknown };

/** A request that waits, or is painted. */
interface Entry {
  readonly wanted: Wanted & { readonly seed: number | bigint; readonly indices: readonly number[] };
  /** Requests of the same key can be painted together. */
  readonly key: string;
  readonly inbox: Inbox<Message>;
  /** Whether it must be painted alone. */
  alone: boolean;
  /** Whether nobody waits for it any more. */
  left: boolean;
  /** Called when nobody waits for it any more. */
  onLeave: () => void;
}

/** A queue of requests in front of a model. */
export class Batcher {
  readonly #painter: Painter;
  readonly #options: BatcherOptions;
  #queue: Entry[] = [];
  #running: readonly Entry[] = [];
  #working = false;
  #idle = Promise.resolve();
  #seed: bigint;
  #next = 0;
  /** Seconds that an image takes, as the last batches have shown. */
  #pace: number | undefined;

  /** @param painter Who paints. @param options How. */
  constructor(painter: Painter, options: BatcherOptions) {
    this.#painter = painter;
    this.#options = options;
    this.#seed = BigInt(options.seed);
  }

  /** Requests that wait. */
  get waitingRequests(): number {
    return this.#queue.length;
  }

  /** Images that wait. */
  get waitingImages(): number {
    return imagesOf(this.#queue);
  }

  /** Images that are painted now. */
  get runningImages(): number {
    return imagesOf(this.#running);
  }

  /** Resolves when nothing waits and nothing is painted. */
  async idle(): Promise<void> {
    while (this.#working) await this.#idle;
  }

  /** Seconds until what waits now is painted, at least 1. */
  get patience(): number {
    const images = this.waitingImages + this.runningImages;
    return Math.max(1, Math.ceil(images * (this.#pace ?? 1)));
  }

  /**
   * Has a request painted. It takes its place in the queue at once; leaving the loop, or the signal, gives it
   * up, and where nobody else wants anything of the batch, that ends.
   *
   * @throws {ApiError} If the queue is full, the model cannot do it, or it fails; and the signal's reason.
   */
  submit(wanted: Wanted, signal: AbortSignal): AsyncGenerator<WantedEvent, void, void> {
    const waiting = this.waitingImages;
    // What a request asks for may be more than may wait, but not be refused for ever.
    if (waiting > 0 && waiting + wanted.images > this.#options.waiting) {
      throw new ApiError(
        `The queue is full: ${waiting} images are waiting; try again in ${this.patience} seconds`,
        { status: 429, code: "queue_full", headers: { "retry-after": String(this.patience) } },
      );
    }
    const { seed = undefined, indices = undefined } = wanted;
    const numbered = seed === undefined ? this.#numbers(wanted.images) : {
      seed,
      indices: indices ?? Array.from({ length: wanted.images }, (_, index) => index),
    };
    const entry: Entry = {
      wanted: { ...wanted, ...numbered },
      key: keyOf(wanted, numbered.seed),
      inbox: new Inbox(),
      alone: wanted.coupled,
      left: false,
      onLeave: () => {},
    };
    this.#queue.push(entry);
    this.#work();
    return this.#follow(entry, signal);
  }

  async *#follow(entry: Entry, signal: AbortSignal): AsyncGenerator<WantedEvent, void, void> {
    const leave = () => {
      entry.left = true;
      this.#queue = this.#queue.filter((other) => other !== entry);
      entry.onLeave();
      entry.inbox.fail(signal.reason);
    };
    signal.addEventListener("abort", leave);
    try {
      signal.throwIfAborted();
      while (true) {
        const message = await entry.inbox.next();
        signal.throwIfAborted();
        if (message.type === "event") yield message.event;
        else if (message.type === "ended") return;
        else throw answerOf(message.error);
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }

  /** Numbers for images under the server's own seed; when they are used up, there is another one. */
  #numbers(images: number): { readonly seed: number | bigint; readonly indices: readonly number[] } {
    if (this.#next + images > (this.#options.numbers ?? MAX_INDEX)) {
      this.#seed = BigInt.asUintN(64, this.#seed + 1n);
      this.#next = 0;
    }
    const first = this.#next;
    this.#next += images;
    const seed = this.#seed <= Number.MAX_SAFE_INTEGER ? Number(this.#seed) : this.#seed;
    return { seed, indices: Array.from({ length: images }, (_, i) => first + i) };
  }

  /** Paints what waits until nothing does. */
  #work(): void {
    if (this.#working) return;
    this.#working = true;
    this.#idle = (async () => {
      await new Promise((resolve) => setTimeout(resolve, this.#options.linger));
      while (this.#queue.length > 0) await this.#paint(this.#together());
      this.#working = false;
    })();
  }

  /** The request that has waited longest, and those that can be painted with it. */
  #together(): Entry[] {
    const [first, ...rest] = this.#queue as [Entry, ...Entry[]];
    const batch = [first];
    let images = first.wanted.images;
    for (const entry of first.alone ? [] : rest) {
      if (entry.alone || entry.key !== first.key || images + entry.wanted.images > this.#options.batch) {
        continue;
      }
      batch.push(entry);
      images += entry.wanted.images;
    }
    this.#queue = this.#queue.filter((entry) => !batch.includes(entry));
    return batch;
  }

  async #paint(batch: readonly Entry[]): Promise<void> {
    this.#running = batch;
    const begun = performance.now();
    const controller = new AbortController();
    for (const entry of batch) {
      entry.onLeave = () => {
        if (batch.every(({ left }) => left)) controller.abort();
      };
    }
    // The entry of each image, and the place that it has there.
    const places = batch.flatMap((entry) => entry.wanted.indices.map((_, place) => ({ entry, place })));
    let painted = false;
    let outcome: EndedBatch["outcome"] = "done";
    try {
      for await (const event of this.#painter.generate(this.#jobOf(batch), { signal: controller.signal })) {
        painted ||= event.type === "image";
        deliver(event, batch, places);
      }
      for (const { inbox } of batch) inbox.put({ type: "ended" });
    } catch (error) {
      const waiting = batch.filter(({ left }) => !left);
      if (waiting.length === 0) outcome = "aborted";
      else if (batch.length === 1 || painted) {
        outcome = "failed";
        for (const { inbox } of waiting) inbox.put({ type: "failed", error });
      } else {
        outcome = "split";
        for (const entry of waiting) entry.alone = true;
        this.#queue.unshift(...waiting);
      }
    }
    const seconds = (performance.now() - begun) / 1000;
    const images = places.length;
    if (outcome === "done") this.#pace = ((this.#pace ?? seconds / images) + seconds / images) / 2;
    this.#running = [];
    this.#options.onBatch?.({ requests: batch.length, images, seconds, outcome });
  }

  #jobOf(batch: readonly Entry[]): HostedJob {
    const [{ wanted: { seed, values, previews } }] = batch as [Entry];
    return {
      options: {
        ...values,
        seed,
        batch: this.#options.batch,
        ...(previews.length > 0 && { preview: previews }),
      },
      labels: batch.flatMap(({ wanted: { prompt, images } }) => new Array<string>(images).fill(prompt)),
      indices: batch.flatMap(({ wanted: { indices } }) => indices),
    };
  }
}

/** Images of requests. */
function imagesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { wanted: { images } }) => sum + images, 0);
}

/** What must be the same where requests are painted together: all but the prompts and the numbers. */
function keyOf({ values, previews }: Wanted, seed: number | bigint): string {
  const { indices: _numbers, ...settings } = values;
  const sorted = Object.entries(settings).filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([String(seed), previews, sorted]);
}

/** Hands what happens to the images of a batch to those who wait for them. */
function deliver(
  event: HostedEvent,
  batch: readonly Entry[],
  places: readonly { readonly entry: Entry; readonly place: number }[],
): void {
  const placeIn = ({ place }: HostedPlace) => places[place]!;
  switch (event.type) {
    case "begun":
      for (const { inbox } of batch) inbox.put({ type: "event", event: { type: "begun" } });
      break;
    case "preview":
      for (const [entry, images] of Map.groupBy(event.images, (image) => placeIn(image).entry)) {
        const { seed } = entry.wanted;
        const own = images.map((image) => ({ ...image, place: placeIn(image).place, seed }));
        entry.inbox.put({ type: "event", event: { type: "preview", scale: event.scale, images: own } });
      }
      break;
    case "image": {
      const { entry, place } = placeIn(event);
      entry.inbox.put({ type: "event", event: { ...event, place } });
    }
  }
}

/** What a client is told of a failure. */
function answerOf(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (error instanceof UsageError) return badRequest(error.message);
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(`The picture could not be painted: ${message}`, {
    status: 500,
    code: "generation_failed",
  });
}
