/**
 * Pictures that are fetched by an address of their own: kept for a time, and never more bytes than agreed;
 * when there are too many, the oldest go. The address is all that is needed, so it cannot be guessed.
 *
 * @module
 */

/** How much is kept, and for how long. */
export interface StoreLimits {
  /** Bytes of all pictures. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly milliseconds: number;
}

/** A picture that is kept. */
interface Kept {
  readonly png: Uint8Array<ArrayBuffer>;
  /** Until when, as the clock tells. */
  readonly until: number;
}

/** Pictures by name. */
export class PictureStore {
  readonly #limits: StoreLimits;
  readonly #now: () => number;
  /** Oldest first. */
  readonly #pictures = new Map<string, Kept>();
  #bytes = 0;

  /** @param limits How much. @param now A clock, in milliseconds. */
  constructor(limits: StoreLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Number of pictures. */
  get size(): number {
    this.#expire();
    return this.#pictures.size;
  }

  /** Bytes of all pictures. */
  get bytes(): number {
    this.#expire();
    return this.#bytes;
  }

  /** Keeps a picture; what is answered names it. */
  put(png: Uint8Array<ArrayBuffer>): string {
    const name = crypto.randomUUID();
    this.#pictures.set(name, { png, until: this.#now() + this.#limits.milliseconds });
    this.#bytes += png.length;
    this.#expire();
    return name;
  }

  /** The picture of that name, if it is still there. */
  get(name: string): Uint8Array<ArrayBuffer> | undefined {
    this.#expire();
    return this.#pictures.get(name)?.png;
  }

  /** Drops what is too old, and the oldest while there is too much. */
  #expire(): void {
    const now = this.#now();
    for (const [name, { png, until }] of this.#pictures) {
      if (until > now && this.#bytes <= this.#limits.bytes) break;
      this.#pictures.delete(name);
      this.#bytes -= png.length;
    }
  }
}
