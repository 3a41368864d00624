/**
 * How to read the results of a sweep: the traps of its metrics and methods, each only where the sweep can
 * fall into it. What the results are is left to the tables.
 *
 * @module
 */

import type { Difference, SweepResults, SweepRow } from "../sweep/results.ts";
import { fixed } from "./number_text.ts";

/** A trap. */
export interface Trap {
  /** Its name in a few words. */
  readonly title: string;
  /** What happens, and what to look at, in a few sentences. */
  readonly text: string;
}

/** Pictures of which published FIDs are made. */
const PUBLISHED_PICTURES = 50_000;
const FRECHET = /^s?fid$/i;
/** What tells from chance, as papers have it. */
const LEVEL = 0.05;

/** The traps that a sweep's results hold. */
export function trapsOf(results: SweepResults): Trap[] {
  const rows = results.rows.filter(({ metrics }) => Object.keys(metrics).length > 0);
  if (rows.length === 0) return [];
  return [
    ...fewPictures(results, rows),
    ...otherPictures(rows),
    ...collapse(results, rows),
    ...verifiers(results, rows),
    ...branches(rows),
    ...pairs(rows),
    ...chance(rows),
    ...publishedValues(rows),
    ...costs(rows),
  ];
}

function measures(results: SweepResults, rows: readonly SweepRow[], names: RegExp): boolean {
  return results.metrics.some(({ key }) => names.test(key) && rows.some(({ metrics }) => key in metrics));
}

function fewPictures(results: SweepResults, rows: readonly SweepRow[]): Trap[] {
  if (!measures(results, rows, FRECHET)) return [];
  const counts = rows.filter(({ metrics }) => Object.keys(metrics).some((key) => FRECHET.test(key)))
    .map(({ pictures }) => pictures);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  if (fewest >= PUBLISHED_PICTURES) return [];
  const range = fewest === most ? `${fewest}` : `${fewest} to ${most}`;
  return [{
    title: "FID of few pictures is too high",
    text:
      `A distance between estimated Gaussians grows as pictures get fewer, by an amount that depends on ` +
      `the model (Chong and Forsyth, CVPR 2020). Published values are of ${PUBLISHED_PICTURES} pictures, ` +
      `these of ${range}: compare rows of this page with one another, and not with papers.`,
  }];
}

function otherPictures(rows: readonly SweepRow[]): Trap[] {
  const models = Map.groupBy(rows, ({ model }) => model);
  const unequal = [...models.values()].some((rows) => new Set(rows.map(({ pictures }) => pictures)).size > 1);
  if (!unequal) return [];
  return [{
    title: "Rows have different pictures",
    text:
      "A row with fewer pictures than others has fewer subjects or seeds, and other ones may be easier; " +
      "its FID is also higher for that alone. Compare such rows by their differences, which are taken where " +
      "both have pictures. None of them is marked as the best.",
  }];
}

function collapse(results: SweepResults, rows: readonly SweepRow[]): Trap[] {
  if (!measures(results, rows, /^(is|inception[-_ ]?score)$/i)) return [];
  return [{
    title: "The Inception Score rewards collapse",
    text:
      "It asks whether each picture is surely of some class and whether all classes appear, not whether " +
      "two pictures of a class differ: one perfect picture for each class has the highest score there is " +
      "(Barratt and Sharma, 2018). Where it rises while diversity or recall falls, or FID rises with it, " +
      "pictures have become more alike.",
  }];
}

function verifiers(results: SweepResults, rows: readonly SweepRow[]): Trap[] {
  const searches = rows.filter(({ method, settings }) =>
    "verifier" in settings || /best-of|beam|tts/.test(method)
  );
  if (searches.length === 0) return [];
  // A place may follow the name of a network; who says none asks the model's own.
  const used = new Set(searches.flatMap(({ settings: { verifier = "own" } }) => {
    return [`${verifier}`, `${verifier}`.replace(/:.*/s, "")];
  }));
  const same = results.metrics.filter(({ key, network = "" }) => {
    return network.split(", ").some((name) => used.has(name)) &&
      searches.some(({ metrics }) => key in metrics);
  });
  const hit = same.length === 0
    ? ""
    : ` Here ${same.map(({ title }) => title).join(", ")} ${
      same.length === 1 ? "is" : "are"
    } measured by a network that a search was led by: that says how well the search does what it is told.`;
  return [{
    title: "A search finds what its verifier likes",
    text:
      "The more pictures there are to choose from, the more the one that is kept owes to the verifier's " +
      "mistakes, so that its own score rises after quality has stopped to. Believe metrics whose network " +
      `no search has seen.${hit}`,
  }];
}

function branches(rows: readonly SweepRow[]): Trap[] {
  const scaled = rows.filter(({ settings }) => typeof settings.alpha === "number");
  const counts = new Set(scaled.map(({ settings }) => settings.candidates ?? settings.samples));
  if (counts.size < 2) return [];
  const shares = scaled.some(({ branches }) => branches !== undefined)
    ? " The figure of branches says which it is."
    : "";
  return [{
    title: "N and α depend on one another",
    text:
      "α is compared with the highest density divided by the mean, and that ratio grows with the number " +
      "of candidates. With one α for every N the share of pictures that take each branch changes along with " +
      "N, so a line along N shows both at once; with an α for each N it was tuned on something, which should " +
      `not be these pictures.${shares}`,
  }];
}

function pairs(rows: readonly SweepRow[]): Trap[] {
  if (!rows.some(({ differences }) => differences !== undefined)) return [];
  return [{
    title: "Pairs say more than intervals side by side",
    text:
      "All rows start from the same seeds, and differences are taken seed by seed. What makes a seed easy " +
      "or hard falls out of them, so two rows whose own intervals overlap can differ surely. Judge by the " +
      "tables of differences, and not by whether bars touch.",
  }];
}

/** All differences of rows. */
export function differencesOf(rows: readonly SweepRow[]): Difference[] {
  return rows.flatMap(({ differences = {} }) => Object.values(differences).flat());
}

function chance(rows: readonly SweepRow[]): Trap[] {
  const all = differencesOf(rows);
  if (all.length < 2) return [];
  const small = all.filter(({ p }) => p < LEVEL).length;
  return [{
    title: "Many comparisons find something",
    text:
      `Of ${all.length} differences on this page ${small} ${
        small === 1 ? "has" : "have"
      } p below ${LEVEL}; ` +
      `if no method did anything, about ${
        fixed(all.length * LEVEL, all.length * LEVEL < 10 ? 1 : 0)
      } would. ` +
      `One that counts among so many stays below ${LEVEL} when its p is multiplied by ${all.length}. The best ` +
      "of a column is the best by luck, too: run it again with other seeds before you publish it.",
  }];
}

function publishedValues(rows: readonly SweepRow[]): Trap[] {
  if (!rows.some(({ published = {} }) => Object.keys(published).length > 0)) return [];
  return [{
    title: "Published values are of other runs",
    text:
      "Papers disagree about plain pictures of the same weights: those of VAR d30 have FIDs from 1.92 to " +
      "2.02. Compare a paper's gain over its own plain row with the gain here, and not the values themselves.",
  }];
}

function costs(rows: readonly SweepRow[]): Trap[] {
  if (!rows.some(({ cost, method }) => cost !== undefined && method !== "plain")) return [];
  return [{
    title: "Operations are not time",
    text:
      "Operations are those of networks, counted. What a method computes without a network, as densities " +
      "of candidates are, is in the seconds alone, and seconds are of one machine with whatever else ran on it.",
  }];
}
