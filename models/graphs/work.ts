/**
 * What a model is busy with, so that unloading can wait for it.
 *
 * @module
 */

/**
 * What a model is busy with. Unloading waits for it: a graph must not lose its inputs in the middle of a run.
 */
export class Work {
  readonly #running = new Set<Promise<unknown>>();
  readonly #model: string;
  #ended = false;

  /** @param model Name of the model, for messages. */
  constructor(model: string) {
    this.#model = model;
  }

  /**
   * Does a piece of work.
   *
   * @throws {TypeError} If the model has been disposed.
   */
  async run<Result>(action: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#ended) {
      throw new TypeError(`Cannot ${action} as the model "${this.#model}" has been disposed`);
    }
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Refuses what comes from now on, and waits for the rest. */
  async end(): Promise<void> {
    this.#ended = true;
    await Promise.allSettled(this.#running);
  }
}
