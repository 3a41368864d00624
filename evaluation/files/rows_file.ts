/**
 * What a network has said of pictures, kept in a file, so that they need not be looked at again: safetensors
 * with the names of the network and of the pictures, which are refused where others are wanted. Who looks is
 * left to `networks/`.
 *
 * @module
 */

import { requireOptions, shown } from "../../kernels/arguments.ts";
import { openSafetensors, writeSafetensors } from "../../models/checkpoint/safetensors.ts";
import { openSource } from "../../models/checkpoint/source.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import type { Rows } from "../metrics/rows.ts";
import type { MetricOutput } from "../networks/metric_network.ts";
import type { NetworkIdentity } from "./reference.ts";

const FORMAT = "varscale-rows";
const VERSION = "1";
const OUTPUTS: readonly MetricOutput[] = ["features", "logits", "spatial"];
const LABELS = "labels";

/** Rows with what they are of. */
export interface KeptRows {
  /** The network that looked. */
  readonly network: NetworkIdentity;
  /** What tells the pictures from others, as `PictureSource.fingerprint` has it. */
  readonly pictures: string;
  /** What it said: a row for each picture, in their order. */
  readonly rows: Readonly<Partial<Record<MetricOutput, Rows>>>;
  /** Classes that the pictures should be of, where they are known. */
  readonly labels?: readonly number[];
}

/**
 * Writes rows under a temporary name, and then gives the file its own.
 *
 * @throws {TypeError} If rows and labels are not of as many pictures.
 *
 * @example
 * ```ts
 * import { readRows, writeRows } from "./rows_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile({ suffix: ".safetensors" });
 * const network = { name: "inception-fid", fingerprint: "6726825d" };
 * const features = { values: new Float32Array([1, 2, 3, 4]), count: 2, dimensions: 2 };
 * await writeRows(path, { network, pictures: "a1b2", rows: { features } });
 * assertEquals((await readRows(path, { network })).rows.features, features);
 * await Deno.remove(path);
 * ```
 */
export async function writeRows(path: string, kept: KeptRows): Promise<void> {
  const { network, pictures, rows, labels } = kept;
  const outputs = OUTPUTS.flatMap((name) => rows[name] === undefined ? [] : [{ name, ...rows[name] }]);
  const count = outputs[0]?.count ?? 0;
  const counts = [...outputs.map((output) => output.count), ...(labels === undefined ? [] : [labels.length])];
  if (count === 0 || counts.some((other) => other !== count)) {
    throw new TypeError(
      `Cannot write the rows as all must be of as many pictures: current numbers are ${shown(counts)}`,
    );
  }
  const tensors = outputs.map(({ name, dimensions, values }) => ({
    name,
    dtype: "F32" as const,
    shape: [count, dimensions],
    bytes: () => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  }));
  const classes = labels === undefined ? [] : [{
    name: LABELS,
    dtype: "I32" as const,
    shape: [count],
    bytes: () => new Uint8Array(Int32Array.from(labels).buffer),
  }];
  await writeSafetensors(path, [...tensors, ...classes], {
    metadata: {
      format: FORMAT,
      version: VERSION,
      network: network.name,
      fingerprint: network.fingerprint,
      pictures,
    },
  });
}

/** What the rows of a file must be of. */
export interface ReadRowsOptions {
  /** The network that must have looked. */
  readonly network?: NetworkIdentity;
  /** The pictures that it must have looked at. */
  readonly pictures?: string;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads rows that {@linkcode writeRows} wrote.
 *
 * @throws {ModelFileError} If the file is none of these, is damaged, holds a number that is not finite, or
 * the rows are of another network or of other pictures.
 * @throws {TypeError} If an option is unknown.
 *
 * @example
 * ```ts
 * import { ModelFileError } from "../../models/mod.ts";
 * import { readRows } from "./rows_file.ts";
 * import { assertRejects } from "@std/assert";
 *
 * await assertRejects(() => readRows("no_such.safetensors"), ModelFileError, "no_such.safetensors");
 * ```
 */
export async function readRows(path: string | URL, options: ReadRowsOptions = {}): Promise<KeptRows> {
  requireOptions(options, ["network", "pictures", "signal"], "read rows");
  const { network: wanted, pictures: shownPictures, signal } = options;
  const source = await openSource(path, { signal });
  using checkpoint = await openSafetensors(source).catch((error) => {
    source[Symbol.dispose]();
    throw error;
  });
  const { file, metadata, tensors } = checkpoint;
  const refuse = (action: string, expected: string, found: string): never => {
    throw new ModelFileError(`Cannot use the kept rows${action}`, { file, expected, found });
  };
  const { network: name, fingerprint, pictures } = metadata;
  if (
    metadata.format !== FORMAT || name === undefined || fingerprint === undefined || pictures === undefined
  ) {
    return refuse("", "rows that were kept by varscale", "another file");
  }
  if (metadata.version !== VERSION) {
    return refuse(" as their version differs", VERSION, metadata.version ?? "none");
  }
  const network = { name, fingerprint };
  if (wanted !== undefined) {
    requireNetwork(file, wanted, network, "Cannot use the kept rows as another network made them");
  }
  if (shownPictures !== undefined && shownPictures !== pictures) {
    refuse(" as they are of other pictures", shownPictures.slice(0, 16), pictures.slice(0, 16));
  }
  const rows: Partial<Record<MetricOutput, Rows>> = {};
  let labels: readonly number[] | undefined;
  let pictureCount: number | undefined;
  for (const { name, dtype, shape } of tensors.values()) {
    const [count = 0, dimensions = 0] = shape;
    pictureCount ??= count;
    if (name === LABELS && dtype === "I32" && shape.length === 1 && count === pictureCount) {
      labels = [...new Int32Array((await checkpoint.read(name)).buffer)];
      continue;
    }
    const output = OUTPUTS.find((known) => known === name);
    if (output === undefined || dtype !== "F32" || shape.length !== 2 || count !== pictureCount) {
      return refuse("", "F32 rows of as many pictures each", `${name} ${dtype} [${shape.join(", ")}]`);
    }
    const values = await checkpoint.readFloat32(name);
    const wrong = values.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) return refuse("", "finite numbers", `${values[wrong]} in ${name}`);
    rows[output] = { values, count, dimensions };
  }
  return { network, pictures, rows, ...(labels === undefined ? {} : { labels }) };
}

/**
 * Refuses numbers of another network.
 *
 * @param sentence What is said then, before the file and both networks.
 * @throws {ModelFileError} If name or fingerprint differ.
 */
export function requireNetwork(
  file: string,
  wanted: NetworkIdentity,
  found: NetworkIdentity,
  sentence: string,
): void {
  if (wanted.name === found.name && wanted.fingerprint === found.fingerprint) return;
  const brief = ({ name, fingerprint }: NetworkIdentity): string => `${name} ${fingerprint.slice(0, 16)}`;
  throw new ModelFileError(sentence, {
    file,
    expected: brief(wanted),
    found: brief(found),
  });
}
