/**
 * What a network has said of all pictures of a row together, beside its reference: FID and what else compares
 * distributions, as `varscale evaluate` takes them.
 *
 * @module
 */

import { requireNetwork } from "../files/rows_file.ts";
import { METRIC_TABLE, type MetricName, type Said } from "../measure.ts";
import { openBundledReference, openReference } from "../reference.ts";
import type { ModelRecord, PicturesRecord } from "./records.ts";
import { readStoredRows } from "./records.ts";
import type { Measured } from "./results.ts";

/** Pictures below which the rows of a sweep say too little of a distribution. */
const LEAST = 100;
/** Pictures of which papers take the Inception Score in ten parts. */
const MANY = 50_000;

const METRICS: readonly MetricName[] = ["fid", "is", "kid", "pr"];

/**
 * Opens what a network has said of real pictures: at a place, or the statistics that come with a judge of a
 * bundled model; none without either.
 *
 * @throws {ModelFileError} If it is of another network.
 */
export async function openRealRows(
  { network, reference }: Pick<ModelRecord, "network"> & { readonly reference?: string },
): Promise<Said | undefined> {
  if (network === undefined) return undefined;
  const opened = reference === undefined
    ? await openBundledReference(network)
    : await openReference(reference);
  const statistics = opened?.statistics;
  if (statistics === undefined) return undefined;
  if (statistics.network !== undefined) {
    const sentence = "Cannot compare with the reference as another network made it";
    requireNetwork(opened!.place, network, statistics.network, sentence);
  }
  const { features, rows } = statistics;
  return {
    rows: rows === undefined ? {} : { features: rows },
    moments: features === undefined ? {} : { features },
  };
}

/** What a row came to as a whole. */
export interface RowDistances {
  /** Values by the keys of metrics. */
  readonly values: Readonly<Record<string, Measured>>;
  /** Keys of metrics that are no finite numbers. */
  readonly lost: readonly string[];
}

/** Keys of what is made of each output. */
const KEYS = {
  features: ["fid", "kid", "precision", "recall", "density", "coverage"],
  logits: ["is"],
} as const;

/**
 * Takes the metrics of a row that has pictures enough.
 *
 * @param folder Folder of the sweep.
 * @param records The pictures of the row.
 * @param network Name of the network that looked.
 * @param real What it said of real pictures.
 */
export async function distancesOf(
  folder: string,
  records: readonly (PicturesRecord & { readonly file: string })[],
  network: string,
  real: Said | undefined,
): Promise<RowDistances> {
  const count = records.reduce((sum, { pictures }) => sum + pictures.length, 0);
  if (count < LEAST) return { values: {}, lost: [] };
  const lost: string[] = [];
  const [features, logits] = await Promise.all((["features", "logits"] as const).map(async (output) => {
    const rows = await readStoredRows(folder, records, output);
    if (rows?.values.every(Number.isFinite) ?? true) return rows;
    lost.push(...KEYS[output]);
    return undefined;
  }));
  const seen = {
    ...{ count, network, moments: {}, inceptionScore: { splits: count < MANY ? 1 : 10, seed: 0 } },
    rows: { ...(features && { features }), ...(logits && { logits }) },
    ...(real && { real }),
  };
  const values: Record<string, Measured> = {};
  for (const name of METRICS) {
    const { output, takes, compares, measure } = METRIC_TABLE[name];
    if ((output === "logits" ? logits : features) === undefined) continue;
    if (compares && real?.rows.features === undefined && (takes === "rows" || !real?.moments.features)) {
      continue;
    }
    for (const { facts: { key }, measured } of measure(seen)) {
      if (Number.isFinite(measured.value)) values[key] = measured;
      else lost.push(key);
    }
  }
  return { values, lost };
}
