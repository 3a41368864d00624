/**
 * A model in a thread of its own, for programs that must answer while it computes: WebAssembly and the native
 * library hold the thread that they run on, and with it every timer and every connection.
 *
 * @module
 */

import type { HostedEvent, HostedFacts, HostedJob, HostedOptions } from "./hosted_job.ts";
import { ModelThread } from "./thread_link.ts";

/** What a host is told, and what ends its loading. */
export interface HostedHooks {
  /** Takes what there is to say while the model is loaded and jobs are done, a line each. */
  readonly onNotice?: (line: string) => void;
  /** Ends the loading. */
  readonly signal?: AbortSignal | undefined;
  /** The module of the thread; this project's own by default. */
  readonly module?: URL;
}

/** A model that a thread of its own has loaded, and does jobs with. */
export class HostedModel implements AsyncDisposable {
  /** What is known of the model. */
  readonly facts: HostedFacts;
  readonly #options: HostedOptions;
  readonly #hooks: HostedHooks;
  readonly #closing = new AbortController();
  #thread: ModelThread | undefined;
  /** The end of the job before, for which the next one waits. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(options: HostedOptions, hooks: HostedHooks, thread: ModelThread) {
    this.#options = options;
    this.#hooks = hooks;
    this.#thread = thread;
    this.facts = thread.facts;
  }

  /**
   * Starts a thread and has it load a model.
   *
   * @throws {UsageError} If the model is not there, or does not fit; whatever else loading throws comes as an
   * `Error` of the same name and message. No thread is left then.
   */
  static async open(options: HostedOptions, hooks: HostedHooks = {}): Promise<HostedModel> {
    return new HostedModel(options, hooks, await ModelThread.start(options, hooks));
  }

  /**
   * Does a job when those that came before are done. Leaving the loop, or the signal, ends it before its next
   * scale; the signal's reason is thrown then, after an event that says so.
   *
   * @throws {UsageError} If the model cannot do it.
   * @throws {Error} If the thread has ended, which the next job starts anew, or the model is closed.
   */
  async *generate(
    job: HostedJob,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<HostedEvent, void, void> {
    const before = this.#turn;
    const { promise: done, resolve: end } = Promise.withResolvers<void>();
    this.#turn = before.then(() => done);
    using ending = eitherOf(this.#closing.signal, signal);
    try {
      await untilAborted(ending.signal, before);
      if (ending.signal.aborted) {
        yield { type: "aborted" };
        throw ending.signal.reason;
      }
      const thread = await this.#started();
      yield* thread.generate(job, ending.signal);
    } finally {
      end();
    }
  }

  /** Ends the thread; what it does is aborted before its next scale. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("The model is closed"));
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.[Symbol.asyncDispose]();
  }

  /** The thread, a new one if the one before has ended. */
  async #started(): Promise<ModelThread> {
    if (this.#thread?.ended === false) return this.#thread;
    const { signal } = this.#closing;
    const thread = await ModelThread.start(this.#options, { ...this.#hooks, signal });
    return this.#thread = thread;
  }
}

/**
 * A signal that follows others until it is disposed. `AbortSignal.any` would stay with the one that lives as
 * long as the model.
 */
function eitherOf(...signals: readonly (AbortSignal | undefined)[]): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const given = signals.filter((signal) => signal !== undefined);
  const follow = ({ target }: Pick<Event, "target">) => controller.abort((target as AbortSignal).reason);
  for (const signal of given) {
    if (signal.aborted) follow({ target: signal });
    signal.addEventListener("abort", follow);
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of given) signal.removeEventListener("abort", follow);
    },
  };
}

/** Waits for work, or for a signal. */
async function untilAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  await Promise.race([work, promise]);
  signal.removeEventListener("abort", end);
}
