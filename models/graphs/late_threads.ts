/**
 * The threads of a runtime in WebAssembly, which begin when it has computed for a while and not when it is
 * loaded.
 *
 * To begin a thread takes 25 to 40 ms, as long as half a small model's picture, and from then on it waits
 * busily for work, on a core that V8 needs to compile what runs often. The runtime does alone what a thread
 * has not begun, the same pieces of the same sums, so results do not depend on when one begins.
 *
 * @module
 */

import { Worker } from "node:worker_threads";

/** What the runtime asks of a thread: a part of Node's `Worker`. */
export interface Thread {
  /** Tells it something. */
  postMessage(...message: unknown[]): void;
  /** Listens to what it tells. */
  on(event: string, listener: (value: unknown) => void): unknown;
  /** Lets the process end while it waits. */
  unref(): void;
  /** Ends it. */
  terminate(): unknown;
}

/** How a thread is begun: the place of its JavaScript, and what it is given. */
export type BeginThread = (place: URL, options: { readonly workerData: unknown }) => Thread;

/** Options of {@linkcode LateThreads}. */
export interface LateThreadsOptions {
  /**
   * Milliseconds of computing after which one more thread begins: what that takes, divided by what it spares.
   * With 0, all begin at once.
   */
  readonly patience: number;
  /** Begins one; by default one of Node's, for which the runtime's JavaScript is made. */
  readonly begin?: BeginThread;
}

/**
 * Threads that have been asked for, and begin one by one.
 *
 * @example
 * ```ts
 * import { LateThreads } from "./late_threads.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const told: unknown[] = [];
 * const threads = new LateThreads({
 *   patience: 0,
 *   begin: () => ({
 *     postMessage: (message) => told.push(message),
 *     on: () => {},
 *     unref: () => {},
 *     terminate: () => {},
 *   }),
 * });
 * const thread = new threads.Worker(new URL("file:///glue.mjs"), { workerData: "thread" });
 * thread.postMessage("run");
 * assertEquals(told, []);
 *
 * assertEquals(await threads.compute(() => Promise.resolve(1)), 1);
 * assertEquals(told, ["run"]);
 * ```
 */
export class LateThreads {
  /** What stands in the place of Node's `Worker` while the runtime makes its threads. */
  readonly Worker: new (...order: Parameters<BeginThread>) => Thread;
  readonly #patience: number;
  /** Each begins one. */
  readonly #waiting: (() => void)[] = [];
  #computed = 0;

  /** Threads that begin as the options say. */
  constructor({ patience, begin = (place, options) => new Worker(place, options) }: LateThreadsOptions) {
    this.#patience = patience;
    const waiting = this.#waiting;
    this.Worker = class {
      #thread: Thread | undefined;
      #ended = false;
      /** What to do with the thread when it begins. */
      readonly #orders: ((thread: Thread) => void)[] = [];
      declare onmessage?: (event: { data: unknown }) => void;

      constructor(...order: Parameters<BeginThread>) {
        waiting.push(() => {
          if (this.#ended) return;
          const thread = this.#thread = begin(...order);
          for (const order of this.#orders.splice(0)) order(thread);
        });
      }

      #order(order: (thread: Thread) => void): void {
        if (this.#thread === undefined) this.#orders.push(order);
        else order(this.#thread);
      }

      postMessage(...message: unknown[]): void {
        this.#order((thread) => thread.postMessage(...message));
        // The runtime waits until every thread has loaded the WebAssembly. A thread keeps what it is told
        // until it is ready, so the answer need not be waited for.
        const [key] = Object.entries(message[0] ?? {}).find(([, value]) => value === "load") ?? [];
        if (key !== undefined) queueMicrotask(() => this.onmessage?.({ data: { [key]: "loaded" } }));
      }

      on(event: string, listener: (value: unknown) => void): void {
        this.#order((thread) => thread.on(event, listener));
      }

      unref(): void {
        this.#order((thread) => thread.unref());
      }

      terminate(): void {
        this.#ended = true;
        this.#thread?.terminate();
      }
    };
  }

  /** Begins the threads for which the time has come, and computes. */
  async compute<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#computed >= this.#patience) {
      this.#computed = 0;
      for (const begin of this.#waiting.splice(0, this.#patience === 0 ? Infinity : 1)) begin();
    }
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#computed += performance.now() - start;
    }
  }
}
