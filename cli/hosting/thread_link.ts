/**
 * The near end of a model's thread: starts it, sends jobs, tells each job what happens to it, and notices
 * when the thread has ended on its own.
 *
 * @module
 */

import type { HostedEvent, HostedFacts, HostedJob, HostedOptions } from "./hosted_job.ts";
import { Inbox } from "./inbox.ts";
import { arrivedError, type FromThread, type ToThread } from "./thread_messages.ts";

/** What a thread is started with. */
export interface ThreadHooks {
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly module?: URL;
}

/** Messages of one job. */
type JobMessage = Extract<FromThread, { readonly job: number }>;

/** A thread with a model that is loaded. */
export class ModelThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #jobs = new Map<number, Inbox<JobMessage>>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #onNotice: (line: string) => void;
  readonly #loaded = Promise.withResolvers<HostedFacts>();
  #facts: HostedFacts | undefined;
  #ended = false;
  #last = 0;

  private constructor(options: HostedOptions, { onNotice = () => {}, module }: ThreadHooks) {
    this.#onNotice = onNotice;
    this.#worker = new Worker(module ?? new URL("./model_thread.ts", import.meta.url), {
      type: "module",
      name: "varscale model",
    });
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => this.#take(data);
    this.#worker.onerror = (event) => {
      // Nobody else need hear of it: those who wait are told.
      event.preventDefault();
      this.#end(new Error(`The thread of the model has ended: ${event.message}`));
    };
    this.#post({ type: "open", options });
  }

  /**
   * Starts a thread and has it load a model.
   *
   * @throws {Error} What loading threw, or the signal's reason; then no thread is left.
   */
  static async start(options: HostedOptions, hooks: ThreadHooks): Promise<ModelThread> {
    const { signal } = hooks;
    signal?.throwIfAborted();
    const thread = new ModelThread(options, hooks);
    const end = () => thread.#end(signal!.reason);
    signal?.addEventListener("abort", end);
    try {
      thread.#facts = await thread.#loaded.promise;
      return thread;
    } catch (error) {
      thread.#worker.terminate();
      throw error;
    } finally {
      signal?.removeEventListener("abort", end);
    }
  }

  /** What is known of the model. */
  get facts(): HostedFacts {
    return this.#facts!;
  }

  /** Whether the thread has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Does a job, which must be the only one. */
  async *generate(work: HostedJob, signal: AbortSignal): AsyncGenerator<HostedEvent, void, void> {
    const job = ++this.#last;
    const inbox = new Inbox<JobMessage>();
    this.#jobs.set(job, inbox);
    const abort = () => this.#post({ type: "abort", job });
    let over = false;
    signal.addEventListener("abort", abort);
    try {
      this.#post({ type: "generate", job, work });
      if (signal.aborted) abort();
      while (true) {
        const message = await inbox.next();
        if (message.type === "event") {
          yield message.event;
          continue;
        }
        over = true;
        if (message.error === undefined) return;
        throw signal.aborted ? signal.reason : arrivedError(message.error);
      }
    } catch (error) {
      // What cannot be sent has not begun, and what has ended needs no end.
      over ||= this.#ended || error instanceof DOMException;
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      if (!over) {
        abort();
        // The next job begins when this one has left the device.
        while ((await inbox.next().catch(() => undefined))?.type === "event");
      }
      this.#jobs.delete(job);
    }
  }

  /** Has the model unloaded, and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#post({ type: "close" });
    await this.#closed.promise;
    this.#end(new Error("The thread of the model was closed"));
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #take(message: FromThread): void {
    switch (message.type) {
      case "notice":
        this.#onNotice(message.line);
        break;
      case "opened":
        this.#loaded.resolve(message.facts);
        break;
      case "failed":
        this.#end(arrivedError(message.error));
        break;
      case "closed":
        this.#closed.resolve();
        break;
      default:
        this.#jobs.get(message.job)?.put(message);
    }
  }

  /** The thread is gone, or is to be. */
  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#worker.terminate();
    this.#loaded.promise.catch(() => {});
    this.#loaded.reject(reason);
    this.#closed.resolve();
    for (const inbox of this.#jobs.values()) inbox.fail(reason);
  }
}
