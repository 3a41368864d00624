/**
 * The transformer as sessions: one graph for guidance of the logits, others for guidance after some blocks,
 * which are made when they are first asked for. Only one of them is loaded at a time, as the weights of two
 * would be there twice.
 *
 * @module
 */

import type { GraphSession } from "../graphs/graph_session.ts";

/** Loads a transformer whose branches are mixed after some blocks, counted from the end. */
export type LoadTransformer = (mixedAfter: readonly number[]) => Promise<GraphSession>;

/** The one transformer that is loaded. Unloading waits for its runs. */
export class TransformerSessions implements AsyncDisposable {
  readonly #load: LoadTransformer;
  #last: Promise<unknown> = Promise.resolve();
  #session: GraphSession | undefined;
  #key = "";

  private constructor(load: LoadTransformer) {
    this.#load = load;
  }

  /** Loads the transformer that mixes nothing. */
  static async create(load: LoadTransformer): Promise<TransformerSessions> {
    const sessions = new TransformerSessions(load);
    sessions.#session = await load([]);
    return sessions;
  }

  /** Runs one of the transformers, when whatever was asked for before is done. */
  run<Result>(
    mixedAfter: readonly number[],
    use: (session: GraphSession) => Promise<Result>,
  ): Promise<Result> {
    const result = this.#last.then(async () => await use(await this.#sessionFor(mixedAfter)));
    this.#last = result.catch(() => {});
    return result;
  }

  async #sessionFor(mixedAfter: readonly number[]): Promise<GraphSession> {
    const key = mixedAfter.join();
    if (this.#session !== undefined && key === this.#key) return this.#session;
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = undefined;
    this.#session = await this.#load(mixedAfter);
    this.#key = key;
    return this.#session;
  }

  /** Unloads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = undefined;
  }
}
