/**
 * What came out of a sweep in a few sentences, and how far it has come. The whole of it is left to the
 * tables.
 *
 * @module
 */

import type { MetricFacts, SweepResults, SweepRow } from "../sweep/results.ts";
import { comparable } from "./tables.ts";
import { decimalsOf, fixed, probability, signed, withInterval } from "./number_text.ts";

/** A sentence about a model. */
export interface Finding {
  /** Name of the model. */
  readonly model: string;
  /** The sentence. */
  readonly text: string;
}

/** For each model and metric the best row of those that can be compared, beside plain. */
export function findingsOf({ models, metrics, rows }: SweepResults): Finding[] {
  return models.flatMap(({ name: model }) => {
    const own = rows.filter((row) => row.model === model);
    return metrics.flatMap((metric) => {
      const text = findingOf(metric, own);
      return text === undefined ? [] : [{ model, text }];
    });
  });
}

function findingOf({ key, title, better }: MetricFacts, rows: readonly SweepRow[]): string | undefined {
  const all = rows.filter(({ metrics }) => key in metrics);
  const measured = comparable(rows).filter(({ metrics }) => key in metrics);
  const valueOf = (row: SweepRow) => row.metrics[key]?.value ?? NaN;
  if (measured.length < 2 || better === "neither") return undefined;
  // As many as in the table, so that both have the same rows as the best.
  const decimals = decimalsOf(all.map(valueOf));
  const among = measured.length < all.length ? ` of ${measured[0]?.pictures} pictures` : "";
  const extreme = better === "lower"
    ? Math.min(...measured.map(valueOf))
    : Math.max(...measured.map(valueOf));
  const written = fixed(extreme, decimals);
  const winners = measured.filter((row) => fixed(valueOf(row), decimals) === written);
  if (winners.length === measured.length) return `${title} ${written} in all rows${among}`;
  const of = among === "" ? "" : `, among rows${among}`;
  const words = `${better === "lower" ? "lowest" : "highest"} ${title} ${written}`;
  if (winners.some(({ method }) => method === "plain")) return `${words} without any search${of}`;
  const best = winners.find((row) => valueOf(row) === extreme) ?? winners[0];
  if (best === undefined) return undefined;
  const plain = new Set(measured.filter(({ method }) => method === "plain").map(({ id }) => id));
  const difference = best.differences?.[key]?.find(({ to }) => plain.has(to));
  const against = difference === undefined
    ? ""
    : `, ${withInterval(difference, decimals, signed)} against plain, p ${equals(probability(difference.p))}`;
  return `${words} with ${best.title}${against}${of}`;
}

function equals(p: string): string {
  return p.startsWith("<") ? p : `= ${p}`;
}

/** How far a sweep has come. */
export interface Standing {
  /** Pictures that are there, of rows that are run. */
  readonly pictures: number;
  /** Pictures that these rows shall have. */
  readonly planned: number;
  /** Rows that lack some. */
  readonly unfinished: readonly SweepRow[];
  /** Rows that are not run. */
  readonly missing: readonly SweepRow[];
}

/** How far a sweep has come. */
export function standingOf({ rows }: SweepResults): Standing {
  const run = rows.filter(({ missing }) => missing === undefined);
  return {
    pictures: run.reduce((sum, { pictures }) => sum + pictures, 0),
    planned: run.reduce((sum, { planned }) => sum + planned, 0),
    // Of a row whose model was not opened yet nothing is planned.
    unfinished: run.filter(({ pictures, planned }) => pictures < planned || planned === 0),
    missing: rows.filter(({ missing }) => missing !== undefined),
  };
}
