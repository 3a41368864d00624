/**
 * The queue itself: parts of runs as jobs with stable names, kept in Redis or Valkey by BullMQ. Who makes a
 * part, and how, is left to whoever takes it.
 *
 * @module
 */

import { DelayedError, type Job, Queue, UnrecoverableError, WaitingError, Worker } from "npm:bullmq@6.7.0";
import { UsageError } from "../io.ts";
import type { Shard } from "../options/series_options.ts";
import { plural } from "../output/words.ts";
import { VERSION } from "../version.ts";
import type { QueueAddress } from "./queue_address.ts";
import { connectRedis, type RedisConnection } from "./redis_connection.ts";
import type { ShardOutcome } from "./shard_messages.ts";
import { jobName, seriesName, seriesOptions, type ShardSeries } from "./shard_series.ts";

/** In front of all keys. */
const PREFIX = "varscale";
/** Version of what jobs hold and of how they are called. */
const LAYOUT = "1";
/** Milliseconds before a part that failed is tried again, the first time; then twice as long each time. */
const BACKOFF = 1000;
/** Milliseconds before a part is tried again that another process is at. */
const BUSY_DELAY = 2000;
/**
 * Milliseconds that a worker which is done has to tell its queue so. One of BullMQ 6.7 that is closed while
 * its connection waits to be made again is never closed: it waits for the end of a connection that is none.
 */
const FAREWELL = 5000;
/** Jobs that are asked about at once. */
const TOGETHER = 500;

/** What a job holds. */
interface ShardJob extends ShardSeries {
  readonly shard: Shard;
  /** Where its images go. */
  readonly output: string;
  /** Who has added it. */
  readonly varscale: string;
}

/** A part to be made. */
export interface TakenShard {
  readonly series: ShardSeries;
  readonly shard: Shard;
  /** Where its images go. */
  readonly output: string;
}

/** How many parts are in which state. */
export interface QueueCounts {
  readonly waiting: number;
  readonly atWork: number;
  /** Wait for a while, after a failure or as another process is at them. */
  readonly later: number;
  readonly done: number;
  readonly failed: number;
}

/** A part that is given up. */
export interface FailedShard {
  readonly job: string;
  readonly shard: string;
  readonly output: string;
  readonly reason: string;
}

/** What became of parts that were added. */
export interface AddedShards {
  readonly added: number;
  /** Of those, had failed before. */
  readonly again: number;
  /** Were there already. */
  readonly there: number;
}

/** How parts are taken. */
export interface TakeOptions {
  /** Seconds after which a part belongs to others if its worker is silent. */
  readonly lease: number;
  /** Times that a part may change its worker that way. */
  readonly takeovers: number;
  /** Hears of what goes wrong between worker and queue. */
  readonly onTrouble: (sentence: string) => void;
}

/** Something that takes parts, one after the other. */
export interface Taking {
  /** Takes no more, and waits for the part that is at work, and for a few seconds to tell the queue of it. */
  close(): Promise<void>;
}

/** Parts of runs, in the order in which they were added. */
export class ShardQueue implements AsyncDisposable {
  readonly #address: QueueAddress;
  readonly #name: string;
  readonly #connection: RedisConnection;
  readonly #queue: Queue<ShardJob>;

  private constructor(address: QueueAddress, name: string, connection: RedisConnection) {
    this.#address = address;
    this.#name = name;
    this.#connection = connection;
    this.#queue = new Queue(name, { connection: connection.client, prefix: PREFIX, skipVersionCheck: true });
    // What a command asks for tells it itself.
    this.#queue.on("error", () => {});
  }

  /**
   * Reaches a queue.
   *
   * @throws {UsageError} If the server cannot be reached, or the queue is that of another version.
   */
  static async open(address: QueueAddress, name: string, signal: AbortSignal): Promise<ShardQueue> {
    const connection = await connectRedis(address, signal);
    const queue = new ShardQueue(address, name, connection);
    try {
      await queue.#requireLayout();
      return queue;
    } catch (error) {
      await queue[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What a person should know of the server. */
  get warnings(): readonly string[] {
    return this.#connection.warnings;
  }

  /**
   * Adds the parts of a run. Those that are there are not added again; those that have failed are.
   *
   * @param attempts Times that each is tried.
   */
  async add(
    series: ShardSeries,
    { parts, attempts }: { readonly parts: number; readonly attempts: number },
  ): Promise<AddedShards> {
    await this.#connection.client.set(this.#layoutKey, LAYOUT, "NX");
    await this.#requireLayout();
    const name = await seriesName(series);
    const { args, folder } = series;
    const output = seriesOptions(args).options.output!;
    const shards = Array.from({ length: parts }, (_, i) => ({ part: i + 1, parts }));
    let [again, there] = [0, 0];
    const wanted: Shard[] = [];
    for (let from = 0; from < parts; from += TOGETHER) {
      await Promise.all(
        shards.slice(from, from + TOGETHER).map(async (shard) => {
          const state = await this.#queue.getJobState(jobName(name, shard));
          if (state !== "unknown" && state !== "failed") {
            there++;
            return;
          }
          if (state === "failed") {
            // With it goes what it counts of its attempts.
            await this.#queue.remove(jobName(name, shard));
            again++;
          }
          wanted.push(shard);
        }),
      );
    }
    wanted.sort((a, b) => a.part - b.part);
    for (let from = 0; from < wanted.length; from += TOGETHER) {
      await this.#queue.addBulk(
        wanted.slice(from, from + TOGETHER).map((shard) => ({
          name: "shard",
          data: { args, folder, shard, output, varscale: VERSION },
          opts: { jobId: jobName(name, shard), attempts, backoff: { type: "exponential", delay: BACKOFF } },
        })),
      );
    }
    return { added: wanted.length, again, there };
  }

  /** How far it is. */
  async counts(): Promise<QueueCounts> {
    const counts = await this.#queue.getJobCounts();
    const { waiting = 0, paused = 0, prioritized = 0, active = 0, delayed = 0, completed = 0, failed = 0 } =
      counts;
    return {
      waiting: waiting + paused + prioritized,
      atWork: active,
      later: delayed,
      done: completed,
      failed,
    };
  }

  /** Workers that are connected. */
  async workers(): Promise<number> {
    return await this.#queue.getWorkersCount();
  }

  /** Parts that are given up, the latest first: all of them, or so many at most. */
  async failures(most?: number): Promise<FailedShard[]> {
    const jobs = await this.#queue.getFailed(0, most === undefined ? -1 : most - 1);
    return jobs.map(({ id = "", data: { shard, output }, failedReason }) => ({
      job: id,
      shard: `${shard.part}/${shard.parts}`,
      output,
      reason: failedReason,
    }));
  }

  /**
   * Takes out whatever nobody is at: what waits, what is done and what has failed.
   *
   * @returns Their number.
   */
  async drain(): Promise<number> {
    const before = await this.counts();
    await this.#queue.drain(true);
    for (const state of ["completed", "failed"] as const) await this.#queue.clean(0, 0, state);
    const after = await this.counts();
    const sum = ({ waiting, later, done, failed }: QueueCounts): number => waiting + later + done + failed;
    return Math.max(0, sum(before) - sum(after));
  }

  /**
   * Takes parts, one after the other, until it is closed.
   *
   * @param make Makes one; `undefined` gives it back as it was.
   * @throws {UsageError} If the server cannot be reached any more.
   */
  async take(
    make: (taken: TakenShard) => Promise<ShardOutcome | undefined>,
    { lease, takeovers, onTrouble }: TakeOptions,
  ): Promise<Taking> {
    let atWork: Promise<unknown> = Promise.resolve();
    const worker = new Worker<ShardJob>(this.#name, async (job, token) => {
      const { args, folder, shard, output } = job.data;
      const making = make({ series: { args, folder }, shard, output });
      atWork = making.catch(() => {});
      return await settle(job, token!, await making);
    }, {
      connection: this.#connection.client,
      prefix: PREFIX,
      skipVersionCheck: true,
      autorun: false,
      concurrency: 1,
      lockDuration: 1000 * lease,
      stalledInterval: 500 * lease,
      maxStalledCount: takeovers,
      // By itself it would wait a quarter of a minute for a server that has come back.
      runRetryDelay: BUSY_DELAY / 2,
    });
    const { client } = this.#connection;
    const { shown } = this.#address;
    const leave = (): void => onTrouble(`the queue at ${shown} is away; waiting for it`);
    const enter = (): void => onTrouble(`the queue at ${shown} is back`);
    worker.on("error", (error) => {
      // That there is no connection, the connection tells.
      if (!isConnectionError(error)) onTrouble(error.message);
    });
    try {
      // A worker of BullMQ 6.7 whose second connection was lost before it was made takes nothing ever again.
      await worker.waitUntilReady();
    } catch (error) {
      await worker.close(true);
      throw new UsageError(`Cannot reach the queue at ${shown}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    worker.run().catch((error: Error) => onTrouble(error.message));
    // While it is tried to reach it again and again, it closes again and again.
    const listen = (): void => void client.once("close", leave);
    listen();
    client.on("ready", enter).on("ready", listen);
    return {
      close: async () => {
        client.off("close", leave).off("ready", enter).off("ready", listen);
        const closed = worker.close();
        await atWork;
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<void>((resolve) => timer = setTimeout(resolve, FAREWELL));
        await Promise.race([closed, late]);
        clearTimeout(timer);
        if (client.status !== "ready") {
          onTrouble(`the queue at ${shown} is away; what this worker has not told it, others will find out`);
        }
      },
    };
  }

  /** Ends the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.close().catch(() => {});
    this.#connection.client.disconnect();
  }

  get #layoutKey(): string {
    return `${PREFIX}:${this.#name}:layout`;
  }

  async #requireLayout(): Promise<void> {
    const layout = await this.#connection.client.get(this.#layoutKey);
    if (layout === null || layout === LAYOUT) return;
    throw new UsageError(
      `Cannot use the queue "${this.#name}" at ${this.#address.shown}: the version of its layout must be ${LAYOUT}: current value is ${layout}; choose another --name, or the varscale that has added to it`,
    );
  }
}

/** Tells the queue what became of a part. */
async function settle(
  job: Job<ShardJob>,
  token: string,
  outcome: ShardOutcome | undefined,
): Promise<unknown> {
  switch (outcome?.kind) {
    case undefined:
      await job.moveToWait(token);
      throw new WaitingError();
    case "busy":
      await job.moveToDelayed(Date.now() + BUSY_DELAY, token);
      throw new DelayedError();
    case "refused":
      throw new UnrecoverableError(outcome.message);
    case "failed":
      throw new Error(outcome.message);
    case "done":
      return { images: outcome.images, made: outcome.made };
  }
}

function isConnectionError(error: Error): boolean {
  const { code } = error as { readonly code?: string };
  return /^(ECONN|EPIPE|ENOTFOUND|EHOST|ETIMEDOUT)/.test(code ?? "") ||
    /Connection is closed|ECONNREFUSED|ECONNRESET|LOADING|Stream isn't writeable/.test(error.message);
}

/** The counts as a sentence has them. */
export function describeCounts({ waiting, atWork, later, done, failed }: QueueCounts): string {
  return [
    `${plural(done, "shard")} done`,
    `${atWork} at work`,
    `${waiting} waiting`,
    ...(later === 0 ? [] : [`${later} to be tried later`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
  ].join(", ");
}
