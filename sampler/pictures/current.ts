/**
 * The pictures of a batch as it is now, on the device: decoded when somebody first asks for them, in the size
 * that is asked for, rearranged with the lanes, and gone with the next scale. So several who look at a scale
 * share one decode, and pictures that were judged last are those that are delivered.
 *
 * @module
 */

import type { Device } from "../../kernels/device/device.ts";
import type { Generation } from "../../models/model.ts";
import type { PictureSize, Schedule } from "../../models/schedule.ts";
import type { CostCounter } from "../cost.ts";
import { gatherLanes } from "../lane_memory.ts";
import type { RgbaImage } from "./image.ts";
import { pack, type PackedPictures, readPictures } from "./paint.ts";

/** What {@linkcode CurrentPictures} are made of. */
export interface CurrentPicturesParts {
  readonly device: Device;
  readonly generation: Generation;
  readonly schedule: Schedule;
  readonly cost: CostCounter;
}

/**
 * How many times smaller pictures may be decoded whose shorter edge shall still have so many pixels; without
 * a number, 1.
 *
 * @param size Size of the pictures.
 * @param shrinks What is possible, ascending.
 *
 * @example
 * ```ts
 * import { shrinkTo } from "./current.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const size = { width: 256, height: 256 };
 * assertEquals([224, 64, undefined].map((edge) => shrinkTo(edge, size, [1, 2, 4])), [1, 4, 1]);
 * ```
 */
export function shrinkTo(
  smallestEdge: number | undefined,
  { width, height }: PictureSize,
  shrinks: readonly number[] = [1],
): number {
  if (smallestEdge === undefined) return 1;
  return shrinks.findLast((shrink) => Math.min(width, height) / shrink >= smallestEdge) ?? 1;
}

/** Pictures of one batch between two scales. */
export class CurrentPictures implements Disposable {
  readonly #parts: CurrentPicturesParts;
  /** Pictures by how much they were shrunk. */
  readonly #decoded = new Map<number, PackedPictures>();
  #scale = -1;

  /** @param parts Where they come from. */
  constructor(parts: CurrentPicturesParts) {
    this.#parts = parts;
  }

  /** Another scale has been accepted, so what was decoded is of the past. */
  advance(): void {
    this[Symbol.dispose]();
    this.#scale++;
  }

  /**
   * How many times smaller pictures may be decoded whose shorter edge shall still have so many pixels;
   * without a number, 1.
   */
  shrinkTo(smallestEdge: number | undefined): number {
    const { generation: { shrinks }, schedule } = this.#parts;
    // Before the first scale there is nothing to decode, which the model says.
    const picture = schedule.scales[this.#scale]?.picture;
    return picture === undefined ? 1 : shrinkTo(smallestEdge, picture, shrinks);
  }

  /** One picture per lane, which stay this object's until lanes are gathered or a scale is accepted. */
  async of(shrink: number = 1): Promise<PackedPictures> {
    const known = this.#decoded.get(shrink);
    if (known !== undefined) return known;
    const { device, generation, schedule: { pixelRule: rule }, cost } = this.#parts;
    const { images } = generation;
    const packed = await cost.decode({ scale: this.#scale, pictures: images, shrink }, async () => {
      using decoded = await generation.decode({ shrink });
      return pack(device, decoded, { images, rule });
    });
    this.#decoded.set(shrink, packed);
    return packed;
  }

  /** The same on the host. Costs a readback. */
  async read(): Promise<RgbaImage[]> {
    return await readPictures(await this.of(), this.#parts.generation.images);
  }

  /** The finished pictures, which are the caller's. */
  async take(): Promise<PackedPictures> {
    const packed = await this.of();
    this.#decoded.delete(1);
    return packed;
  }

  /** Goes on with these of so many lanes. */
  gather(order: readonly number[], lanes: number): void {
    for (const [shrink, packed] of this.#decoded) {
      const array = gatherLanes(packed.array, order, lanes);
      packed[Symbol.dispose]();
      const { width, height } = packed;
      this.#decoded.set(shrink, { array, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() });
    }
  }

  /** Frees them. */
  [Symbol.dispose](): void {
    for (const packed of this.#decoded.values()) packed[Symbol.dispose]();
    this.#decoded.clear();
  }
}
