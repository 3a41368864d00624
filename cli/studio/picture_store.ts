/**
 * The pictures that a page may ask for, in memory, each under an address of its own and with an owner: a job,
 * or the person who brought it.
 *
 * @module
 */

/** Who owns what a person has brought. */
export const BROUGHT = "brought";

/** Bytes of pictures that were brought, together. */
const BROUGHT_BYTES = 2 ** 26;

/** Pictures by their addresses. */
export class PictureStore {
  readonly #pictures = new Map<string, { readonly owner: string; readonly png: Uint8Array<ArrayBuffer> }>();
  readonly #bytes = new Map<string, number>();
  #last = 0;

  /** Keeps a picture and returns its address. Of those that were brought, the oldest make room. */
  put(owner: string, png: Uint8Array<ArrayBuffer>): string {
    if (owner === BROUGHT) this.#makeRoom(png.length);
    const href = `/pictures/${++this.#last}.png`;
    this.#pictures.set(href, { owner, png });
    this.#bytes.set(owner, this.bytesOf(owner) + png.length);
    return href;
  }

  /** The picture at an address. */
  get(href: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#pictures.get(href)?.png;
  }

  /** Bytes of an owner's pictures. */
  bytesOf(owner: string): number {
    return this.#bytes.get(owner) ?? 0;
  }

  /** Forgets all pictures of an owner. */
  forget(owner: string): void {
    for (const [href, picture] of this.#pictures) if (picture.owner === owner) this.#pictures.delete(href);
    this.#bytes.delete(owner);
  }

  #makeRoom(bytes: number): void {
    for (const [href, { owner, png }] of this.#pictures) {
      if (this.bytesOf(BROUGHT) + bytes <= BROUGHT_BYTES) return;
      if (owner !== BROUGHT) continue;
      this.#pictures.delete(href);
      this.#bytes.set(BROUGHT, this.bytesOf(BROUGHT) - png.length);
    }
  }
}
