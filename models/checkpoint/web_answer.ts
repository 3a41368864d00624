/**
 * What a web server answers when it is asked for a model file: no more of it than is wanted, and no longer
 * than the server goes on sending. What is asked for is left to whoever asks.
 *
 * @module
 */

/** Milliseconds of silence after which a server counts as gone; `huggingface_hub` waits as long. */
const SILENCE = 10_000;

/** What {@linkcode WebAnswer.to} is asked with. */
export interface WebRequest {
  /** Headers of the request. */
  readonly headers?: HeadersInit;
  /** Milliseconds of silence after which the server counts as gone; 10 s by default. */
  readonly timeout?: number | undefined;
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose body is still to come. Disposing it ends the transfer. */
export class WebAnswer implements Disposable {
  /** Status and headers. */
  readonly response: Response;
  readonly #clock: Clock;

  private constructor(response: Response, clock: Clock) {
    this.response = response;
    this.#clock = clock;
  }

  /**
   * Sends a request.
   *
   * @throws {Error} If the server cannot be reached, or is silent.
   */
  static async to(url: URL, { headers = {}, timeout = SILENCE, signal }: WebRequest): Promise<WebAnswer> {
    const clock = new Clock(timeout, signal);
    try {
      const response = await clock.over(() => fetch(url, { headers, signal: clock.signal }));
      return new WebAnswer(response, clock);
    } catch (error) {
      clock.stop();
      throw error;
    }
  }

  /** Bytes that the server says the body has; `undefined` for one that is packed, as it says nothing then. */
  get told(): number | undefined {
    const { headers } = this.response;
    const length = headers.get("content-length");
    return length === null || headers.has("content-encoding") ? undefined : Number(length);
  }

  /**
   * The body as it is when unpacked.
   *
   * @param most Bytes that it may have.
   * @returns The bytes, or `undefined` as soon as it is plain that there are more.
   * @throws {Error} If the transfer breaks off, or the server is silent.
   */
  async body(most: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if ((this.told ?? 0) > most) return undefined;
    const reader = this.response.body?.getReader();
    const chunks: Uint8Array[] = [];
    let length = 0;
    while (reader !== undefined) {
      const { done, value } = await this.#clock.over(() => reader.read());
      if (done) break;
      length += value.length;
      if (length > most) return undefined;
      chunks.push(value);
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  [Symbol.dispose](): void {
    this.#clock.stop();
  }
}

/** Ends a transfer when a step of it takes too long, or when nobody wants it any more. */
class Clock {
  readonly #timeout: number;
  readonly #caller: AbortSignal | undefined;
  readonly #controller = new AbortController();
  readonly #abort = (): void => this.#controller.abort(this.#caller?.reason);

  constructor(timeout: number, caller: AbortSignal | undefined) {
    this.#timeout = timeout;
    this.#caller = caller;
    caller?.throwIfAborted();
    caller?.addEventListener("abort", this.#abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async over<Value>(step: () => Promise<Value>): Promise<Value> {
    const silence = new Error(`The server was silent for ${this.#timeout / 1000} s`);
    const timer = setTimeout(() => this.#controller.abort(silence), this.#timeout);
    try {
      return await step();
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  }

  stop(): void {
    this.#caller?.removeEventListener("abort", this.#abort);
    this.#controller.abort();
  }
}
