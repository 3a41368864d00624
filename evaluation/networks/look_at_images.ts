/**
 * Shows pictures that lie on the host to a network, a batch at a time, whatever their sizes. Where pictures
 * come from is left to `pictures/`.
 *
 * @module
 */

import { mustBe, requireInteger, requireOptions } from "../../kernels/arguments.ts";
import { CpuDevice } from "../../kernels/device/cpu_device.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork, MetricOutput } from "./metric_network.ts";
import { requireWanted } from "./own_network.ts";

/** A picture on the host, such as an `RgbaImage`. */
export interface HostImage {
  /** Width. */
  readonly width: number;
  /** Height. */
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row; alpha is not looked at. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Options of {@linkcode lookAtImages}. */
export interface LookOptions {
  /** Pictures that are shown at once, all of one size; 64 by default. */
  readonly batch?: number;
  /** Called with the number of pictures that have been looked at, after each batch. */
  readonly onProgress?: (done: number) => void;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = ["batch", "onProgress", "signal"] as const satisfies (keyof LookOptions)[];

const ACTION = "look at pictures";

/** Pictures of one size that wait until there are enough of them. */
interface Waiting {
  readonly images: HostImage[];
  /** Which they are in the order in which they came. */
  readonly places: number[];
}

/**
 * Shows pictures to a network. Those of one size go together, and as they come: of each size less than a
 * batch waits in memory, never all.
 *
 * @param images The pictures.
 * @param wanted Some of the network's outputs.
 * @returns A row for each picture, in the order of the pictures.
 * @throws {RangeError} If there are no pictures, one has no pixels or not as many as it says, or something is
 * wanted that the network cannot say.
 *
 * @example
 * ```ts
 * import { loadMetricNetwork } from "./load.ts";
 * import { lookAtImages } from "./look_at_images.ts";
 * import { RgbaImage } from "../../sampler/pictures/image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using network = await loadMetricNetwork("demo-t2i-oracle");
 * const images = [new RgbaImage(64, 64), new RgbaImage(64, 64)];
 * const { features } = await lookAtImages(network, images, ["features"]);
 * assertEquals([features!.count, features!.dimensions], [2, 192]);
 * ```
 */
export async function lookAtImages(
  network: MetricNetwork,
  images: Iterable<HostImage> | AsyncIterable<HostImage>,
  wanted: readonly MetricOutput[],
  options: LookOptions = {},
): Promise<Readonly<Partial<Record<MetricOutput, Rows>>>> {
  requireOptions(options, OPTIONS, ACTION);
  const { batch = 64, onProgress, signal } = options;
  requireInteger(batch, "batch", ACTION, { min: 1 });
  requireWanted(network, wanted);
  using host = network.device === undefined ? new CpuDevice() : undefined;
  const device = network.device ?? host!;
  const sizes = new Map<string, Waiting>();
  const said: {
    readonly places: readonly number[];
    readonly rows: Awaited<ReturnType<MetricNetwork["look"]>>;
  }[] = [];
  let count = 0;
  let done = 0;
  const show = async ({ images, places }: Waiting): Promise<void> => {
    signal?.throwIfAborted();
    const { width, height } = images[0]!;
    using array = device.upload(packed(images), "pictures to look at");
    const rows = await network.look({ array, count: images.length, width, height }, wanted, { signal });
    said.push({ places: [...places], rows });
    done += places.length;
    onProgress?.(done);
    images.length = places.length = 0;
  };
  for await (const image of images) {
    requirePixels(image, count);
    const size = `${image.width}×${image.height}`;
    const waiting = sizes.get(size) ?? { images: [], places: [] };
    sizes.set(size, waiting);
    waiting.images.push(image);
    waiting.places.push(count++);
    if (waiting.images.length === batch) await show(waiting);
  }
  if (count === 0) throw new RangeError(mustBe("at least one", "none", "the pictures", ACTION));
  for (const waiting of sizes.values()) if (waiting.images.length > 0) await show(waiting);
  return Object.fromEntries(wanted.map((output) => {
    const { dimensions } = said[0]!.rows[output]!;
    const values = new Float32Array(count * dimensions);
    for (const { places, rows } of said) {
      for (const [i, place] of places.entries()) {
        const row = rows[output]!.values.subarray(i * dimensions, (i + 1) * dimensions);
        values.set(row, place * dimensions);
      }
    }
    return [output, { values, count, dimensions }];
  }));
}

function requirePixels({ width, height, data }: HostImage, at: number): void {
  requireInteger(width, `the width of picture ${at}`, ACTION, { min: 1 });
  requireInteger(height, `the height of picture ${at}`, ACTION, { min: 1 });
  const wanted = 4 * width * height;
  if (data.length === wanted) return;
  throw new RangeError(mustBe(`${wanted} bytes`, data.length, `the data of picture ${at}`, ACTION));
}

/** Pixels of pictures of one size as words, red in the lowest byte. */
export function packed(images: readonly HostImage[]): Uint32Array<ArrayBuffer> {
  const bytes = images[0]!.data.length;
  const all = new Uint8Array(images.length * bytes);
  for (const [i, { data }] of images.entries()) all.set(data, i * bytes);
  return new Uint32Array(all.buffer);
}
