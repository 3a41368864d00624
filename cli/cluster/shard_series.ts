/**
 * A run as a queue or a manifest holds it: its command line, seen to be right as far as that goes without its
 * model, and the names of its parts. Carrying it out is left to `shard_process.ts`.
 *
 * @module
 */

import { UsageError } from "../io.ts";
import { modelPlace } from "../options/model_options.ts";
import { requirePlaces } from "../options/open_search.ts";
import { type Arguments, refuseOperands } from "../options/options.ts";
import { parse } from "../options/parse.ts";
import { SERIES_OPTIONS, type Shard } from "../options/series_options.ts";
import { sha256 } from "../output/sha256.ts";
import { givenPrompts, requireConsistent } from "../series/series_work.ts";
import { searchOfSeries } from "../series/series_settings.ts";
import { shardName } from "../series/share.ts";

/** Digits of a run's name, of the 64 of its SHA-256. */
const NAME_DIGITS = 16;

/** A run whose parts are made by others. */
export interface ShardSeries {
  /** Its options as `varscale run` has them, without the part. */
  readonly args: readonly string[];
  /** The folder in which its paths mean something. */
  readonly folder: string;
}

/**
 * Reads the options of a run that is to be made in parts.
 *
 * @throws {UsageError} If `varscale run` would refuse them, or workers could not use them.
 */
export function seriesOptions(args: readonly string[]): Arguments<typeof SERIES_OPTIONS> {
  const parsed = parse(SERIES_OPTIONS, args);
  const { options, operands } = parsed;
  refuseOperands(operands, 0);
  if (options.shard !== undefined) {
    throw new UsageError("Option --shard must be left out behind --, as each job has its own; see --shards");
  }
  if (options.npz) {
    throw new UsageError("Option --npz must be left out behind --: pack the folder when all parts are done");
  }
  if ((options.prompts ?? options.metadata) === "-") {
    throw new UsageError("Prompts must be in a file behind --, as workers have no standard input of yours");
  }
  requireConsistent(options);
  searchOfSeries(options);
  modelPlace(options);
  return parsed;
}

/**
 * The name of a run: the same for the same command line, prompts and folder.
 *
 * @throws {UsageError} If `varscale run` would refuse the options.
 */
export async function seriesName({ args, folder }: ShardSeries): Promise<string> {
  const { options, given } = seriesOptions(args);
  await requirePlaces(searchOfSeries(options));
  const prompts = await givenPrompts(options, { signal: new AbortController().signal });
  const facts = [...given].filter((name) => name !== "quiet").sort().map((name) => [name, options[name]]);
  const text = JSON.stringify({ folder, facts, prompts }, (_, value) => {
    return typeof value === "bigint" ? String(value) : value;
  });
  return (await sha256(new TextEncoder().encode(text))).slice(0, NAME_DIGITS);
}

/** The name of a part of a run. */
export function jobName(series: string, shard: Shard): string {
  return `${series}-${shardName(shard)}`;
}
