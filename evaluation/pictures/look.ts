/**
 * Looks at all pictures of a source once: a batch in memory at a time, and of what the network says only what
 * metrics need, rows or their moments. Which that is, is left to `evaluate.ts`.
 *
 * @module
 */

import type { RgbaImage } from "../../sampler/pictures/image.ts";
import { RowsJournal, type SaidRows } from "../files/rows_journal.ts";
import type { Rows } from "../metrics/rows.ts";
import { lookAtImages } from "../networks/look_at_images.ts";
import type { MetricNetwork, MetricOutput } from "../networks/metric_network.ts";
import { Moments, type MomentStatistics } from "../numbers/moments.ts";
import type { PictureSource } from "./picture_source.ts";

/** Pictures that are in memory at most, and bytes of their pixels. */
const BATCH = 64;
const BATCH_BYTES = 1 << 26;

/** What is asked of {@linkcode lookAtPictures}. */
export interface LookRequest {
  /** Outputs whose rows are kept. */
  readonly rows: readonly MetricOutput[];
  /** Outputs whose mean and covariance are taken. */
  readonly moments: readonly MetricOutput[];
  /** File in which what is said is written down meanwhile, and from which interrupted work goes on. */
  readonly journal?: string | undefined;
  /** Called with what is said of each batch, before it is written down; what it throws ends the looking. */
  readonly check?: ((said: SaidRows) => void) | undefined;
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
 * Looks at all pictures. A journal stays where it is; whoever has made use of all rows removes it.
 *
 * @throws {RangeError} If a number is not finite; it says of which picture, or moments of fewer than two are
 * wanted.
 * @throws {Error} If a picture cannot be read.
 */
export async function lookAtPictures(
  source: PictureSource,
  network: MetricNetwork,
  { rows: kept, moments: taken, journal: path, check, signal, onProgress }: LookRequest,
): Promise<LookedAt> {
  const wanted = [...new Set([...kept, ...taken])].sort();
  const rows: Partial<Record<MetricOutput, KeptSoFar>> = {};
  const moments: Partial<Record<MetricOutput, Moments>> = {};
  let done = 0;
  const take = (said: SaidRows): void => {
    for (const output of wanted) {
      const part = said[output]!;
      if (kept.includes(output)) {
        (rows[output] ??= new KeptSoFar(source.count, part.dimensions)).add(part, done);
      }
      if (taken.includes(output)) (moments[output] ??= new Moments(part.dimensions)).update(part);
    }
    done += said[wanted[0]!]!.count;
  };
  using journal = path === undefined
    ? undefined
    : await RowsJournal.open(path, { network, pictures: source.fingerprint, outputs: wanted });
  if (journal !== undefined) { for await (const said of journal.read()) take(said); }
  onProgress?.(done);
  for await (const images of batches(source, done, signal)) {
    signal?.throwIfAborted();
    const said = await lookAtImages(network, images, wanted, { signal });
    for (const output of wanted) requireFinite(said[output]!, output, network.name, source.names, done);
    check?.(said);
    await journal?.append(said);
    take(said);
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
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<RgbaImage[]> {
  let batch: RgbaImage[] = [];
  let bytes = 0;
  for await (const { image } of source.pictures({ from, signal })) {
    batch.push(image);
    bytes += image.data.length;
    if (batch.length < BATCH && bytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}
