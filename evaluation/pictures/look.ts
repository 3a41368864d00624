/**
 * Looks at all pictures of a source once: a batch in memory at a time, and of what the network says only what
 * metrics need, rows or their moments. Which that is, is left to `evaluate.ts`.
 *
 * @module
 */

import type { RgbaImage } from "../../sampler/pictures/image.ts";
import type { Rows } from "../metrics/rows.ts";
import { lookAtImages } from "../networks/look_at_images.ts";
import type { MetricNetwork, MetricOutput } from "../networks/metric_network.ts";
import { Moments, type MomentStatistics } from "../numbers/moments.ts";
import type { PictureSource } from "./picture_source.ts";

/** Pictures that are in memory at most, and bytes of their pixels. */
const BATCH = 256;
const BATCH_BYTES = 1 << 26;

/** What is asked of {@linkcode lookAtPictures}. */
export interface LookRequest {
  /** Outputs whose rows are kept. */
  readonly rows: readonly MetricOutput[];
  /** Outputs whose mean and covariance are taken. */
  readonly moments: readonly MetricOutput[];
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Called before the first and after every batch with the number of pictures that were looked at. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** What a network says of all pictures. */
export interface LookedAt {
  /** Rows by output. */
  readonly rows: Readonly<Partial<Record<MetricOutput, Rows>>>;
  /** Moments by output. */
  readonly moments: Readonly<Partial<Record<MetricOutput, MomentStatistics>>>;
}

/**
 * Looks at all pictures.
 *
 * @throws {RangeError} If a number is not finite; it says of which picture, or moments of fewer than two are
 * wanted.
 * @throws {Error} If a picture cannot be read.
 */
export async function lookAtPictures(
  source: PictureSource,
  network: MetricNetwork,
  { rows: kept, moments: taken, signal, onProgress }: LookRequest,
): Promise<LookedAt> {
  const wanted = [...new Set([...kept, ...taken])];
  const rows: Partial<Record<MetricOutput, KeptSoFar>> = {};
  const moments: Partial<Record<MetricOutput, Moments>> = {};
  let done = 0;
  onProgress?.(0);
  for await (const images of batches(source, signal)) {
    signal?.throwIfAborted();
    const said = await lookAtImages(network, images, wanted, { signal });
    for (const output of wanted) {
      const part = said[output]!;
      requireFinite(part, output, network.name, source.names, done);
      if (kept.includes(output)) {
        (rows[output] ??= new KeptSoFar(source.count, part.dimensions)).add(part, done);
      }
      if (taken.includes(output)) (moments[output] ??= new Moments(part.dimensions)).update(part);
    }
    done += images.length;
    onProgress?.(done);
  }
  return {
    rows: mapped(rows, ({ rows }) => rows),
    moments: mapped(moments, (sum) => sum.compute()),
  };
}

/** Rows of all pictures, as far as they are there. */
class KeptSoFar {
  readonly rows: Rows;

  constructor(count: number, dimensions: number) {
    this.rows = { values: new Float32Array(count * dimensions), count, dimensions };
  }

  add(part: Rows, at: number): void {
    this.rows.values.set(part.values, at * this.rows.dimensions);
  }
}

function mapped<From, To>(
  record: Partial<Record<MetricOutput, From>>,
  make: (value: From) => To,
): Partial<Record<MetricOutput, To>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, make(value as From)]));
}

/** One picture that breaks a network would make a NaN of every metric, and nobody would know which it was. */
function requireFinite(
  { values, dimensions }: Rows,
  output: MetricOutput,
  network: string,
  names: readonly string[],
  first: number,
): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const name = names[first + Math.floor(at / dimensions)];
  throw new RangeError(`Cannot evaluate as ${network} makes ${values[at]} of ${name}: its ${output}`);
}

async function* batches(
  source: PictureSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<RgbaImage[]> {
  let batch: RgbaImage[] = [];
  let bytes = 0;
  for await (const { image } of source.pictures({ signal })) {
    batch.push(image);
    bytes += image.data.length;
    if (batch.length < BATCH && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
