/**
 * A safetensors file that is nowhere: its tensors are produced when their bytes are asked for. What produces
 * them is left to the entries.
 *
 * @module
 */

import { entryBytes, type SafetensorsEntry, type SafetensorsLayout } from "./safetensors.ts";
import { type DiskPlace, Source } from "./source.ts";
import { byteLength, type StoredBytes } from "./tensor.ts";

/** A stretch of the file, with what its bytes come from. */
interface Stretch {
  readonly begin: number;
  readonly end: number;
  readonly bytes: () => Promise<Uint8Array>;
  /** The same, where they need not be produced. */
  readonly stored?: StoredBytes | undefined;
}

/**
 * Reads a laid-out file, one tensor in memory at a time. Disposing it does nothing: what the entries read
 * from is their owner's.
 */
export class VirtualSource extends Source {
  readonly #stretches: readonly Stretch[];
  /** A tensor is usually asked for in pieces, one after the other. */
  #last: { readonly stretch: Stretch; readonly bytes: Promise<Uint8Array> } | undefined;

  /**
   * @param file What error messages call it.
   * @param layout Where everything lies.
   * @param signal Ends all reading.
   */
  constructor(file: string, layout: SafetensorsLayout<SafetensorsEntry>, signal?: AbortSignal) {
    super(file, layout.size, signal);
    const { header, places } = layout;
    this.#stretches = [
      { begin: 0, end: header.length, bytes: () => Promise.resolve(header) },
      ...places.map(({ entry, offset }) => {
        const end = offset + byteLength(entry);
        return { begin: offset, end, bytes: () => entryBytes(entry), stored: entry.stored };
      }),
    ];
  }

  protected override async load(
    offset: number,
    length: number,
    buffer: Uint8Array<ArrayBuffer> = new Uint8Array(length),
  ): Promise<Uint8Array<ArrayBuffer>> {
    const result = buffer.subarray(0, length);
    const end = offset + length;
    for (let i = this.#find(offset); i < this.#stretches.length; i++) {
      const stretch = this.#stretches[i]!;
      if (stretch.begin >= end) break;
      const from = Math.max(offset, stretch.begin);
      const to = Math.min(end, stretch.end);
      if (from === to) continue;
      const place = result.subarray(from - offset, to - offset);
      if (stretch.stored !== undefined) {
        const bytes = await stretch.stored.read(from - stretch.begin, to - from, place);
        if (bytes.buffer !== place.buffer) place.set(bytes);
      } else {
        const bytes = await this.#produce(stretch);
        place.set(bytes.subarray(from - stretch.begin, to - stretch.begin));
        // Read to its end, it is not likely to be wanted again, and may be 100 MB.
        if (to === stretch.end && this.#last?.stretch === stretch) this.#last = undefined;
      }
    }
    return result;
  }

  /** Finds a stretch of a tensor on the disk, if its bytes come from there as they are. */
  async onDisk(offset: number, length: number): Promise<DiskPlace | undefined> {
    const { begin, end, stored } = this.#stretches[this.#find(offset)]!;
    const place = offset + length <= end ? await stored?.onDisk() : undefined;
    return place === undefined ? undefined : { ...place, offset: place.offset + offset - begin };
  }

  #produce(stretch: Stretch): Promise<Uint8Array> {
    if (this.#last?.stretch !== stretch) {
      const bytes = stretch.bytes();
      this.#last = { stretch, bytes };
      // A failure is for who asked, not for who asks again.
      bytes.catch(() => this.#last?.bytes === bytes && (this.#last = undefined));
    }
    return this.#last.bytes;
  }

  /** Index of the last stretch that begins at or before a byte. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#stretches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#stretches[middle]!.begin <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
