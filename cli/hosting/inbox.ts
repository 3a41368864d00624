/**
 * Messages that wait for their reader, or a reader that waits for them.
 *
 * @module
 */

/** Messages in order, each of which is read once. */
export class Inbox<Message> {
  readonly #waiting: Message[] = [];
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** Puts one in. */
  put(message: Message): void {
    this.#waiting.push(message);
    this.#wake?.();
  }

  /** There will be no more. */
  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#wake?.();
  }

  /** The next one, when there is one. */
  async next(): Promise<Message> {
    while (this.#waiting.length === 0) {
      if (this.#failure !== undefined) throw this.#failure.reason;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#waiting.shift()!;
  }
}
