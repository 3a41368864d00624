/**
 * What pictures are compared with: statistics in a file, features that were kept, or real pictures that have
 * still to be looked at.
 *
 * @module
 */

import { basename } from "node:path";
import { type NetworkIdentity, readReference, type ReferenceStatistics } from "./files/reference.ts";
import { readRows } from "./files/rows_file.ts";
import type { PictureSource } from "./pictures/picture_source.ts";
import { openPictures } from "./pictures/source.ts";

/** A reference: statistics, pictures, or both, as guided-diffusion's archives have them. */
export interface Reference {
  /** Path of the file or folder; the name alone of a bundled one. */
  readonly place: string;
  /** What a network says of the pictures. */
  readonly statistics?: ReferenceStatistics;
  /** The pictures. */
  readonly pictures?: PictureSource;
}

/** Who judges the pictures of a bundled model, and what it says of pictures that are as they should be. */
interface Judge {
  readonly network: string;
  readonly reference: URL;
}

const JUDGES: Readonly<Record<string, Judge>> = {
  "demo": {
    network: "demo-oracle",
    reference: new URL("./judges/demo_reference.npz", import.meta.url),
  },
  "demo-t2i": {
    network: "demo-t2i-oracle",
    reference: new URL("./judges/demo_t2i_reference.npz", import.meta.url),
  },
};

/**
 * Name of the network that judges the pictures of a model; `undefined` if the model is none of the bundled.
 *
 * @example
 * ```ts
 * import { judgeOfModel } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([judgeOfModel("demo"), judgeOfModel("var-d30")], ["demo-oracle", undefined]);
 * ```
 */
export function judgeOfModel(model: string): string | undefined {
  return Object.hasOwn(JUDGES, model) ? JUDGES[model]!.network : undefined;
}

/**
 * Opens the reference statistics that come with a judge of a bundled model; `undefined` for any other
 * network.
 *
 * @throws {ModelFileError} If the file cannot be read.
 *
 * @example
 * ```ts
 * import { loadMetricNetwork, openBundledReference } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using network = await loadMetricNetwork("demo-oracle");
 * const { statistics } = (await openBundledReference(network))!;
 * assertEquals(statistics?.features?.dimensions, 192);
 * ```
 */
export async function openBundledReference(
  { name, fingerprint }: NetworkIdentity,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Reference | undefined> {
  const found = Object.values(JUDGES).find(({ network }) => network === name);
  if (found === undefined) return undefined;
  const reference = await openReference(found.reference, options);
  return reference.statistics?.network?.fingerprint === fingerprint ? reference : undefined;
}

/**
 * Opens a reference: a folder of pictures, an archive with pictures or statistics, or a file of `writeRows`.
 *
 * @param from Path; statistics may be at an address, too.
 * @throws {ModelFileError} If the file is none of these, or damaged.
 * @throws {Error} If there are no pictures.
 *
 * @example
 * ```ts
 * import { openReference, writeReference } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const place = await Deno.makeTempFile({ suffix: ".npz" });
 * const [mean, covariance] = [new Float64Array([1]), new Float64Array([4])];
 * await writeReference(place, { features: { count: 100, dimensions: 1, mean, covariance } });
 * const { statistics, pictures } = await openReference(place);
 * assertEquals([statistics?.count, pictures], [100, undefined]);
 * await Deno.remove(place);
 * ```
 */
export async function openReference(
  from: string | URL,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Reference> {
  const place = from instanceof URL ? basename(from.pathname) : from;
  if (/\.safetensors$/i.test(place)) {
    const { network, rows } = await readRows(from, options);
    const { features } = rows;
    return { place, statistics: { network, ...(features && { rows: features, count: features.count }) } };
  }
  if (await isFolder(from)) return { place, pictures: await openPictures(place, options) };
  const { pictures, file: _, ...statistics } = await readReference(from, options);
  const known = statistics.features ?? statistics.rows;
  return {
    place,
    ...(known && { statistics }),
    ...(pictures && typeof from === "string" && { pictures: await openPictures(from, options) }),
  };
}

async function isFolder(place: string | URL): Promise<boolean> {
  return typeof place === "string" &&
    await Deno.stat(place).then(({ isDirectory }) => isDirectory, () => false);
}
