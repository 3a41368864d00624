/**
 * Reference statistics: what real pictures are like in the eyes of a network. Read and written in the layouts
 * that the tools of the field have, with the network's name added, so that numbers of two networks are never
 * compared. Distances are left to `metrics/`, pictures of an archive to `pictures/`.
 *
 * | array                    | what                                                | who writes it      |
 * | ------------------------ | --------------------------------------------------- | ------------------ |
 * | `mu`, `sigma`            | mean and covariance of the features                 | pytorch-fid, ADM   |
 * | `mu_s`, `sigma_s`        | the same of the spatial features, for sFID          | ADM                |
 * | `arr_0`                  | the pictures themselves, bytes                      | ADM                |
 * | `features`               | features, a row for each picture                    | this project       |
 * | `count`                  | number of pictures that the statistics are of       | this project       |
 * | `network`, `fingerprint` | the network that looked: bytes of texts in UTF-8    | this project       |
 *
 * ADM is guided-diffusion's evaluator.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricNetwork } from "../networks/metric_network.ts";
import type { MomentStatistics } from "../numbers/moments.ts";
import { type Npz, type NpzArray, openNpz, writeNpz } from "./npz.ts";

/** The network that rows or statistics come from. */
export type NetworkIdentity = Pick<MetricNetwork, "name" | "fingerprint">;

/** The least that has a covariance: the count of statistics that do not tell theirs. */
const UNTOLD = 2;

/** Largest difference across the diagonal, in units of the largest value, as for factors of covariances. */
const ASYMMETRY = 1e-5;

/** What a file of reference statistics holds. */
export interface ReferenceStatistics {
  /** The network that looked, where the file says so; those of other tools do not. */
  readonly network?: NetworkIdentity;
  /** Number of pictures that the statistics are of, where the file says so. */
  readonly count?: number;
  /**
   * Mean and covariance of the features. Their count is 2, the least that has a covariance, where the file
   * does not tell it; no distance depends on it.
   */
  readonly features?: MomentStatistics;
  /** Mean and covariance of the spatial features. */
  readonly spatial?: MomentStatistics;
  /** The features themselves, a row for each picture or for some of them. */
  readonly rows?: Rows;
}

/** What {@linkcode readReference} gives. */
export interface ReferenceFile extends ReferenceStatistics {
  /** Path of the file. */
  readonly file: string;
  /** Whether it holds pictures, too: `arr_0`, which `openPictures` reads. */
  readonly pictures: boolean;
}

/**
 * Reads reference statistics.
 *
 * @param path An archive with `mu` and `sigma`, `features`, or pictures.
 * @param options `signal` ends the reading.
 * @throws {ModelFileError} If it is no archive, holds none of these, arrays do not fit each other, a number
 * is not finite, or what is called a covariance is none.
 *
 * @example
 * ```ts
 * import { readReference, writeReference } from "./reference.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".npz" });
 * const [mean, covariance] = [new Float64Array([1, 2]), new Float64Array([4, 1, 1, 3])];
 * await writeReference(path, {
 *   network: { name: "inception-fid", fingerprint: "6726825d" },
 *   features: { count: 50_000, dimensions: 2, mean, covariance },
 * });
 * const { network, features } = await readReference(path);
 * assertEquals(network?.name, "inception-fid");
 * assertEquals(features, { count: 50_000, dimensions: 2, mean, covariance });
 * await Deno.remove(path);
 * ```
 */
export async function readReference(
  path: string | URL,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ReferenceFile> {
  using npz = await openNpz(path, options);
  const has = (...names: readonly string[]): boolean => names.every((name) => npz.names.includes(name));
  const pictures = has("arr_0");
  if (!has("mu", "sigma") && !has("features") && !pictures) {
    throw new ModelFileError("Cannot use the file as a reference", {
      file: npz.file,
      expected: "the arrays mu and sigma, features, or pictures arr_0",
      found: npz.names.length === 0 ? "no arrays" : npz.names.join(", "),
    });
  }
  const told = has("count") ? await readCount(npz) : undefined;
  const rows = has("features") ? await readRowsOf(npz) : undefined;
  // Statistics may be of more pictures than those whose features are there.
  const count = told ?? (has("mu", "sigma") ? undefined : rows?.count);
  const moments = async (mean: string, covariance: string): Promise<MomentStatistics | undefined> => {
    return has(mean, covariance) ? await readMoments(npz, mean, covariance, count ?? UNTOLD) : undefined;
  };
  const features = await moments("mu", "sigma");
  const spatial = await moments("mu_s", "sigma_s");
  if (features !== undefined && rows !== undefined && features.dimensions !== rows.dimensions) {
    refuse(npz, "features", `${features.dimensions} numbers a row, as mu has`, `${rows.dimensions}`);
  }
  return {
    file: npz.file,
    pictures,
    ...(has("network", "fingerprint") && { network: await readNetwork(npz) }),
    ...(count !== undefined && { count }),
    ...(features && { features }),
    ...(spatial && { spatial }),
    ...(rows && { rows }),
  };
}

/**
 * Writes reference statistics, which other tools read, too: they look for `mu` and `sigma`.
 *
 * @throws {TypeError} If there is nothing to write.
 *
 * @example
 * ```ts
 * import { writeReference } from "./reference.ts";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() => writeReference("reference.npz", {}), TypeError, "must be statistics or rows");
 * ```
 */
export async function writeReference(path: string, reference: ReferenceStatistics): Promise<void> {
  const { network, features, spatial, rows } = reference;
  if (features === undefined && rows === undefined) {
    throw new TypeError(mustBe("statistics or rows", undefined, "features", "write the reference"));
  }
  const told = features?.count ?? rows?.count ?? UNTOLD;
  const count = reference.count ?? (told > UNTOLD ? told : undefined);
  await writeNpz(path, {
    ...momentArrays(features, ""),
    ...momentArrays(spatial, "_s"),
    ...(rows && { features: { shape: [rows.count, rows.dimensions], values: rows.values } }),
    ...(count !== undefined && { count: { shape: [], values: new Float64Array([count]) } }),
    ...(network && { network: textArray(network.name), fingerprint: textArray(network.fingerprint) }),
  });
}

function momentArrays(moments: MomentStatistics | undefined, end: string): Record<string, NpzArray> {
  if (moments === undefined) return {};
  const { dimensions, mean, covariance } = moments;
  return {
    [`mu${end}`]: { shape: [dimensions], values: mean },
    [`sigma${end}`]: { shape: [dimensions, dimensions], values: covariance },
  };
}

function textArray(text: string): NpzArray {
  const values = new TextEncoder().encode(text);
  return { shape: [values.length], values };
}

async function readNetwork(npz: Npz): Promise<NetworkIdentity> {
  const text = async (name: string): Promise<string> => {
    const { type, values } = await npz.read(name);
    if (!(values instanceof Uint8Array)) return refuse(npz, name, "bytes of a text", type);
    return new TextDecoder().decode(values);
  };
  return { name: await text("network"), fingerprint: await text("fingerprint") };
}

async function readCount(npz: Npz): Promise<number> {
  const { values } = await npz.read("count");
  const [count = NaN] = values;
  if (values.length !== 1 || !Number.isSafeInteger(count) || count < 1) {
    return refuse(npz, "count", "a number of pictures", String(values.subarray(0, 3)));
  }
  return count;
}

async function readRowsOf(npz: Npz): Promise<Rows> {
  const { shape, values } = await npz.read("features");
  const [count, dimensions] = shape;
  if (count === undefined || dimensions === undefined || shape.length !== 2 || count < 1 || dimensions < 1) {
    return refuse(npz, "features", "a row for each picture", `shape [${shape.join(", ")}]`);
  }
  requireFinite(npz, "features", values);
  return { values: values instanceof Float32Array ? values : new Float32Array(values), count, dimensions };
}

async function readMoments(
  npz: Npz,
  meanName: string,
  covarianceName: string,
  count: number,
): Promise<MomentStatistics> {
  const [mean, covariance] = [await npz.read(meanName), await npz.read(covarianceName)];
  const [dimensions = 0] = mean.shape;
  if (mean.shape.length !== 1 || dimensions < 1) {
    refuse(npz, meanName, "a vector", `shape [${mean.shape.join(", ")}]`);
  }
  if (covariance.shape.join() !== `${dimensions},${dimensions}`) {
    const found = `[${covariance.shape.join(", ")}]`;
    refuse(npz, covarianceName, `shape [${dimensions}, ${dimensions}], as ${meanName} has it`, found);
  }
  requireFinite(npz, meanName, mean.values);
  requireFinite(npz, covarianceName, covariance.values);
  requireCovariance(npz, covarianceName, covariance.values, dimensions);
  return {
    count,
    dimensions,
    mean: new Float64Array(mean.values),
    covariance: new Float64Array(covariance.values),
  };
}

/** What no pictures have would be found only when all are looked at, by who does not know the file. */
function requireCovariance(npz: Npz, name: string, values: ArrayLike<number>, size: number): void {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  for (let i = 0; i < size; i++) {
    const variance = values[i * size + i]!;
    if (variance < 0) refuse(npz, name, "variances of at least 0", `${variance} in column ${i}`);
    for (let j = 0; j < i; j++) {
      const [here, there] = [values[i * size + j]!, values[j * size + i]!];
      if (Math.abs(here - there) <= ASYMMETRY * largest) continue;
      refuse(npz, name, "a symmetric matrix", `${here} and ${there} of columns ${j} and ${i}`);
    }
  }
}

function requireFinite(npz: Npz, name: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) refuse(npz, name, "finite numbers", `${values[i]} at ${i}`);
  }
}

function refuse(npz: Npz, tensor: string, expected: string, found: string): never {
  throw new ModelFileError("Cannot use the reference statistics", {
    file: npz.file,
    tensor,
    expected,
    found,
  });
}
