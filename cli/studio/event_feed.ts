/**
 * The events of one tab of the browser as server-sent events: numbered, and kept for a while, so that a tab
 * whose connection was lost goes on where it was.
 *
 * @module
 */

import type { StudioEvent } from "./protocol.ts";

/** Events that are kept for who comes back. */
const KEPT = 2048;
/** Bytes of them at the most. */
const KEPT_BYTES = 2 ** 24;
/** Chunks that may wait for a reader; one that is further behind has to come back. */
const WAITING = 4096;
/** Milliseconds after which the browser comes back. */
const RETRY = 500;

/** The events of one tab. */
export class EventFeed {
  readonly #kept: { readonly id: number; readonly text: string }[] = [];
  readonly #readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #bytes = 0;
  #last = 0;

  /** Whether anybody reads. */
  get isRead(): boolean {
    return this.#readers.size > 0;
  }

  /** Tells an event. */
  push(event: StudioEvent): void {
    const id = ++this.#last;
    const text = written(id, event);
    this.#kept.push({ id, text });
    this.#bytes += text.length;
    while (this.#kept.length > KEPT || this.#bytes > KEPT_BYTES) {
      this.#bytes -= this.#kept.shift()!.text.length;
    }
    for (const reader of this.#readers) this.#send(reader, text);
  }

  /**
   * What a reader gets: what it has missed since the event `lastId`, or everything by `hello` if it does not
   * say, or too much has happened since; then what happens.
   */
  open(lastId: number | undefined, hello: () => StudioEvent): ReadableStream<Uint8Array> {
    let reader: ReadableStreamDefaultController<Uint8Array>;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = controller;
        const first = this.#kept[0]?.id ?? this.#last + 1;
        const resumes = lastId !== undefined && lastId >= first - 1 && lastId <= this.#last;
        const missed = resumes
          ? this.#kept.filter(({ id }) => id > lastId).map(({ text }) => text)
          : [written(this.#last, hello())];
        this.#send(reader, `retry: ${RETRY}\n\n`);
        for (const text of missed) this.#send(reader, text);
        this.#readers.add(reader);
      },
      cancel: () => void this.#readers.delete(reader),
    }, { highWaterMark: WAITING });
  }

  /** Lets the readers know that somebody is there, or finds out that they are not. */
  beat(): void {
    for (const reader of this.#readers) this.#send(reader, ":\n\n");
  }

  /** Ends the connections. */
  close(): void {
    for (const reader of this.#readers) end(reader);
    this.#readers.clear();
  }

  #send(reader: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    try {
      reader.enqueue(new TextEncoder().encode(text));
      if ((reader.desiredSize ?? 0) > 0) return;
    } catch {
      // It left at this moment.
    }
    this.#readers.delete(reader);
    end(reader);
  }
}

/** Ends a connection, which may be gone already: who writes to it hears of that, and not before. */
function end(reader: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    reader.close();
  } catch {
    // It is.
  }
}

function written(id: number, event: StudioEvent): string {
  return `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;
}
