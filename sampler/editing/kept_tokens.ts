/**
 * What an edit keeps on one scale of one batch: where the tokens are the source's, and which they are. The
 * step of the scale loop asks it; what a mask keeps, and how sources become tokens, is left to others.
 *
 * @module
 */

import type { Device, DeviceArray } from "../../kernels/device/device.ts";
import { gatherRows } from "../../kernels/maps/gather.ts";
import { mergeMaps } from "../../kernels/maps/merge.ts";
import type { TokenSpace } from "../../models/tokens/token_space.ts";

/** What {@linkcode KeptTokens} are made of. */
export interface KeptTokensParts {
  /** Where everything runs. */
  readonly device: Device;
  /** What tokens are. */
  readonly space: TokenSpace;
  /** Where the source's tokens are kept, 1 or 0 per position. */
  readonly kept: Uint32Array<ArrayBuffer>;
  /** Tokens of the sources, u32 [sources, positions, words of a token]; they stay their owner's. */
  readonly tokens: DeviceArray;
  /** Which source belongs to each lane. */
  readonly sources: readonly number[];
}

/** The tokens of sources that the lanes of a batch keep on a scale. */
export class KeptTokens implements Disposable {
  /** Where they are kept, 1 or 0 per position. */
  readonly kept: Uint32Array<ArrayBuffer>;
  readonly #device: Device;
  readonly #space: TokenSpace;
  readonly #tokens: DeviceArray;
  readonly #owned: DisposableStack;
  readonly #rows: DeviceArray;
  readonly #keep: DeviceArray;
  readonly #keepWords: DeviceArray;

  /** @param parts Where they are kept, and whose they are. */
  constructor({ device, space, kept, tokens, sources }: KeptTokensParts) {
    this.kept = kept;
    this.#device = device;
    this.#space = space;
    this.#tokens = tokens;
    using owned = new DisposableStack();
    const upload = (words: Uint32Array<ArrayBuffer>, label: string): DeviceArray => {
      return owned.use(device.upload(words, label));
    };
    this.#rows = upload(Uint32Array.from(sources), "source rows");
    this.#keep = upload(kept, "kept positions");
    this.#keepWords = space.words === 1 ? this.#keep : upload(repeated(kept, space.words), "kept words");
    this.#owned = owned.move();
  }

  /** Puts them into `count` token maps of each lane, in place. */
  mergeTokens(target: DeviceArray, count: number): void {
    this.#device.run(mergeMaps, {
      ...{ target, source: this.#tokens, keep: this.#keepWords, rows: this.#rows },
      ...{ images: this.#rows.length, repeats: count, sourceRows: this.#sources },
      positions: this.#keepWords.length,
    });
  }

  /** Puts their vectors into a map of vectors of each lane, in place. */
  mergeVectors(target: DeviceArray): void {
    const { channels } = this.#space;
    const positions = this.kept.length;
    const maps = this.#sources;
    using source = this.#device.allocate(maps * positions * channels, "vectors of the sources");
    this.#space.vectors(this.#device, { tokens: this.#tokens, output: source, maps, positions });
    this.#device.run(mergeMaps, {
      ...{ target, source, keep: this.#keep, rows: this.#rows },
      ...{ images: this.#rows.length, channels, positions, sourceRows: maps },
    });
  }

  /** Of `maps` token maps, what is not kept, which belongs to the caller. */
  generated(tokens: DeviceArray, maps: number): { readonly tokens: DeviceArray; readonly positions: number } {
    const places = [...this.kept.entries()].flatMap(([place, kept]) => kept === 0 ? [place] : []);
    const count = maps * places.length;
    const output = this.#device.allocate(count * this.#space.words, "generated positions");
    if (count === 0) return { tokens: output, positions: 0 };
    const chosen = Uint32Array.from({ length: count }, (_, i) => {
      return Math.floor(i / places.length) * this.kept.length + places[i % places.length]!;
    });
    using rows = this.#device.upload(chosen, "generated positions");
    this.#device.run(gatherRows, {
      input: tokens,
      output,
      rows,
      count,
      stride: this.#space.words,
      inputRows: maps * this.kept.length,
    });
    return { tokens: output, positions: places.length };
  }

  /** Frees what belongs to it. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  /** Number of sources. */
  get #sources(): number {
    return this.#tokens.length / this.#keepWords.length;
  }
}

/** Each of the values `times` times. */
function repeated(values: Uint32Array, times: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: values.length * times }, (_, i) => values[Math.floor(i / times)]!);
}
