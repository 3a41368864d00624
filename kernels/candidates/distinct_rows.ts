/**
 * Telling equal rows of words from different ones: what the twins of this room make of many candidates of
 * which few differ.
 *
 * @module
 */

/** Numbers rows of words so that equal ones have the same number: 0, 1, 2, … as they first come. */
export class DistinctRows {
  readonly #size: number;
  readonly #lastWord: number;
  readonly #slots: Int32Array;
  /** Words of the distinct rows, one after the other. */
  readonly words: Uint32Array;
  /** How often each of them came. */
  readonly counts: Uint32Array;
  #count = 0;

  /**
   * @param most Rows at most.
   * @param options `size` is the words of a row, `lastWord` the bits of the last one that count, by default
   * all.
   */
  constructor(most: number, { size, lastWord = 0xffffffff }: { size: number; lastWord?: number }) {
    this.#size = size;
    this.#lastWord = lastWord;
    // At most half of the slots are ever taken, so that every search ends soon.
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * most)));
    this.words = new Uint32Array(most * size);
    this.counts = new Uint32Array(most);
    this.clear();
  }

  /** Number of distinct rows. */
  get count(): number {
    return this.#count;
  }

  /** Forgets all rows. */
  clear(): void {
    this.#slots.fill(-1);
    this.counts.fill(0, 0, this.#count);
    this.#count = 0;
  }

  /** The number of the row of `source` that begins at word `start`. */
  add(source: Uint32Array, start: number): number {
    const size = this.#size;
    const end = size - 1;
    const last = source[start + end]! & this.#lastWord;
    let hash = last;
    for (let i = 0; i < end; i++) hash = Math.imul(hash ^ source[start + i]!, 0x9e3779b1) ^ (hash >>> 15);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash ^ (hash >>> 13)) & mask;
    for (; slots[slot]! >= 0; slot = (slot + 1) & mask) {
      const at = slots[slot]! * size;
      let i = 0;
      while (i < end && this.words[at + i] === source[start + i]) i++;
      if (i === end && this.words[at + end] === last >>> 0) {
        this.counts[slots[slot]!]!++;
        return slots[slot]!;
      }
    }
    const number = this.#count++;
    slots[slot] = number;
    this.words.set(source.subarray(start, start + end), number * size);
    this.words[number * size + end] = last;
    this.counts[number] = 1;
    return number;
  }
}
