/**
 * Models of any family as a person names them, checkpoints as published or as a trainer saves them and model
 * folders, made into a model folder on disk or into one that is stored nowhere; and what a single checkpoint
 * holds.
 *
 * @module
 */

import { mustBe, shown } from "../kernels/arguments.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint/mod.ts";
import { checkpointFile } from "./checkpoint/checkpoint_folder.ts";
import { isShardIndex, shardPlaces, shardsSha256 } from "./checkpoint/shards.ts";
import { addressOf, isOnWeb, openSource, sha256, sha256Later, sourceSha256 } from "./checkpoint/source.ts";
import {
  FAMILIES,
  familiesOfParts,
  familyOfCheckpoints,
  familyOfFolder,
  knownParts,
  partsIn,
  partsLeftOut,
} from "./families.ts";
import type { CheckpointPart, Fact, Family } from "./family.ts";
import { type ModelFolder, openModelFolder } from "./folder/model_folder.ts";
import {
  convertFolder,
  type ConvertOptions,
  convertParts,
  openFolderAs,
  type OpenParts,
  weightsOf,
} from "./folder_conversion.ts";
import type { FolderWriter } from "./folder/folder_writer.ts";
import { classNamesOf } from "./label.ts";
import { type FoundCompanion, leftOut, readCompanions } from "./companions.ts";
import { ModelFileError } from "./model_file_error.ts";
import { PartialFolder } from "./folder/partial_folder.ts";
import { createVirtualFolder } from "./folder/virtual_folder.ts";
import { choosePlaces, namesOfPlaces, type PartPlace, partPlaces } from "./part_places.ts";
import { verifierFiles } from "./vision/model_verifier.ts";

/**
 * Checkpoints of a model by part, as paths, URLs or bytes: `{ var, vae }` for a transformer and its
 * tokenizer. A place may be a file, the index of one that lies in several files, or the folder that holds
 * either. One file may hold several parts, as trainers save them. The family is told by the tensors.
 */
export type Checkpoints = { readonly [part: string]: string | URL | Uint8Array };

/** A model folder as what another is made from. Its weights must not be quantized. */
export interface FolderSource {
  /** Path or URL, or an open folder, which stays the caller's. */
  readonly folder: string | URL | ModelFolder;
}

/** What a model folder is made from. */
export type ConversionSource = Checkpoints | FolderSource;

/** Options of {@linkcode openModelSource}. */
export interface OpenModelOptions extends Omit<ConvertOptions, "onProgress"> {
  /**
   * SHA-256 of checkpoints in hexadecimal by part, where they are known; else they are read once to find it
   * out: on the disk when somebody asks for the fingerprints, elsewhere at once.
   */
  sha256?: Readonly<Record<string, string | undefined>>;
}

/**
 * Converts a model, one tensor in memory at a time.
 *
 * @param source The checkpoints, or a model folder whose weights are to have another type.
 * @param writer Where the folder is written.
 * @throws {TypeError} If the source is none.
 * @throws {ModelFileError} If a file is no checkpoint, its tensors do not make a model, it holds several sets
 * of them and `weights` does not say which, or its weights are quantized already.
 * @throws {RangeError} If the model is of another size, has no set of `weights`, has another number of
 * classes than there are names, or cannot do `without` a part.
 *
 * @example
 * ```ts
 * import { convertModel } from "./convert.ts";
 * import { createModelFolder } from "./folder/folder_writer.ts";
 * import { DEMO_MODEL } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempDir();
 * await using writer = await createModelFolder(`${path}/demo-q8`);
 * const { manifest } = await convertModel({ folder: DEMO_MODEL }, writer, { dtype: "q8" });
 * assertEquals([manifest.family, manifest.dtype], ["var", "q8"]);
 * await Deno.remove(path, { recursive: true });
 * ```
 */
export async function convertModel(
  source: ConversionSource,
  writer: FolderWriter,
  options: ConvertOptions = {},
): Promise<ModelFolder> {
  const { signal } = options;
  if (isFolderSource(source)) {
    const folder = isFolder(source.folder)
      ? source.folder
      : writer.own(await openModelFolder(source.folder, { signal }));
    const family = convertible(folder);
    const wanted = withoutParts(family, folder, options);
    for (const name of await verifierFiles(wanted)) await writer.write(name, await wanted.read(name));
    return await convertFolder(family, wanted, { ...options, writer });
  }
  const { family, ...parts } = writer.own(await openCheckpoints(source, options));
  return await convertParts(family, parts, { ...options, writer });
}

/**
 * Opens checkpoints, or a model folder whose weights are to have another type, as a model folder that is
 * stored nowhere: each tensor is converted when it is read. The checkpoints stay open until the folder is
 * disposed.
 *
 * What it costs at once: the graphs are built from the list of tensors; a checkpoint in memory or on a web
 * server whose SHA-256 is not told is read once to find it out, as are the files of a folder, to check them.
 *
 * @throws {TypeError} If the source is none.
 * @throws {ModelFileError} If a file is no checkpoint, its tensors do not make a model, it holds several sets
 * of them and `weights` does not say which, or its weights are quantized already.
 * @throws {RangeError} If the model is of another size, has no set of `weights`, has another number of
 * classes than there are names, or cannot do `without` a part.
 *
 * @example
 * ```ts
 * import { openModelSource } from "./convert.ts";
 * import { DEMO_MODEL } from "./load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using folder = await openModelSource({ folder: DEMO_MODEL }, { dtype: "f32" });
 * assertEquals([folder.manifest.dtype, folder.manifest.name], ["f32", "demo"]);
 * ```
 */
export async function openModelSource(
  source: ConversionSource,
  options: OpenModelOptions = {},
): Promise<ModelFolder> {
  const { sha256: hashesKnown = {}, ...conversion } = options;
  const { dtype = "f32", signal } = conversion;
  if (isFolderSource(source)) {
    const { folder } = source;
    using opened = isFolder(folder) ? undefined : await openModelFolder(folder, { signal });
    const original = opened ?? folder as ModelFolder;
    const family = convertible(original);
    return await openFolderAs(family, withoutParts(family, original, conversion), conversion);
  }
  using stack = new DisposableStack();
  const open = stack.use(await openCheckpoints(source, conversion));
  const { family, files, choices, ...parts } = open;
  const given = family.parts.filter(({ name }) => files[name] !== undefined);
  const location = given.map(({ name }) => describePlace(source[name]!)).join(" + ");
  const fingerprints: [name: string, sha256: () => string][] = [];
  await using writer = createVirtualFolder(location, {
    signal,
    fingerprints: () => Object.fromEntries(fingerprints.map(([name, sha256]) => [name, sha256()])),
  });
  writer.own(open);
  stack.move();
  using made = new DisposableStack();
  const folder = made.use(await convertParts(family, parts, { ...conversion, writer }));
  const known = await hashes(files, hashesKnown, signal);
  for (const { name, weights } of given) {
    const chosen = choices[weights] === undefined ? "" : ` of ${shown(choices[weights])}`;
    fingerprints.push([`${weights}${chosen} as ${dtype}`, known.get(name)!]);
  }
  for (const { companion: { as }, bytes } of parts.companions) {
    if (as === undefined) continue;
    const hash = await sha256(bytes);
    fingerprints.push([as, () => hash]);
  }
  made.move();
  return folder;
}

/** SHA-256 of checkpoints by part; what is not known is found out, once for each file. */
async function hashes(
  checkpoints: Checkpoints,
  known: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, () => string>> {
  const byPlace = new Map<Checkpoints[string], () => string>();
  const byPart = new Map<string, () => string>();
  for (const [part, place] of Object.entries(checkpoints)) {
    const told = known[part];
    const hash = told === undefined ? byPlace.get(place) ?? await hashOf(place, signal) : () => told;
    byPlace.set(place, hash);
    byPart.set(part, hash);
  }
  return byPart;
}

async function hashOf(place: Checkpoints[string], signal: AbortSignal | undefined): Promise<() => string> {
  const hashes = await Promise.all(
    (await filesOf(place, signal)).map(async (file) => {
      const path = pathOf(file);
      if (path !== undefined) return await sha256Later(path);
      using bytes = await openSource(file, { signal });
      const hash = await sourceSha256(bytes);
      return () => hash;
    }),
  );
  let found: string | undefined;
  return () => {
    if (found !== undefined) return found;
    const parts = hashes.map((hash) => hash());
    return found = parts.length === 1 ? parts[0]! : shardsSha256(parts);
  };
}

/** The path of a checkpoint on the disk, or its `file:` address. */
function pathOf(place: Checkpoints[string]): string | URL | undefined {
  if (place instanceof Uint8Array) return undefined;
  const address = addressOf(place);
  return address === undefined ? place : isOnWeb(address) ? undefined : address;
}

/** The files that a checkpoint is in: one, or an index and its shards. */
async function filesOf(
  place: Checkpoints[string],
  signal: AbortSignal | undefined,
): Promise<Checkpoints[string][]> {
  return isShardIndex(place) ? [place, ...await shardPlaces(place, { signal })] : [place];
}

function describePlace(place: Checkpoints[string]): string {
  return place instanceof Uint8Array ? "bytes in memory" : String(place);
}

function convertible(folder: ModelFolder): Family {
  return familyOfFolder(folder, "convert a model of this family");
}

function isFolderSource(source: ConversionSource): source is FolderSource {
  return typeof source === "object" && source !== null && "folder" in source;
}

function isFolder(place: FolderSource["folder"]): place is ModelFolder {
  return typeof place === "object" && !(place instanceof URL);
}

/**
 * A folder without the parts that are to be left out; it owns the folder.
 *
 * @throws {RangeError} If a model of the family cannot do without one of them.
 */
export function withoutParts(
  family: Family,
  folder: ModelFolder,
  { without = [] }: Pick<ConvertOptions, "without">,
): ModelFolder {
  const left = partsLeftOut(family, without);
  return left.length === 0 ? folder : new PartialFolder(folder, leftOut(left));
}

/** Checkpoints that are open, of a family that has been told by them. */
interface OpenCheckpoints extends OpenParts, Disposable {
  readonly family: Family;
  /** The file of each part, or the index of its files. */
  readonly files: Checkpoints;
  /** Names of the sets of weights that were chosen, of parts that have several in their checkpoints. */
  readonly choices: Readonly<Record<string, string | undefined>>;
}

/** Opens checkpoints, tells their family, and finds its parts in them. */
async function openCheckpoints(
  places: Checkpoints,
  { weights: wanted, without = [], signal }: Pick<ConvertOptions, "weights" | "without" | "signal">,
): Promise<OpenCheckpoints> {
  const given = typeof places === "object" && places !== null ? Object.keys(places) : [];
  const [likely] = familiesOfParts(given);
  if (likely === undefined || given.some((name) => places[name] === undefined)) {
    throw new TypeError(mustBe(`${knownParts()}, or { folder }`, places, "its source", "convert the model"));
  }
  const names = given.filter((name) => !without.includes(name));
  // What is left is no model of any family.
  if (familiesOfParts(names).length === 0) partsLeftOut(likely, without);
  using stack = new DisposableStack();
  const files: Record<string, Checkpoints[string]> = {};
  const byPart: Record<string, Checkpoint> = {};
  for (const name of names) {
    files[name] = await checkpointFile(places[name]!, { signal });
    byPart[name] = stack.use(await openCheckpoint(files[name], { signal }));
  }
  const family = familyOfCheckpoints(byPart);
  partsLeftOut(family, without);
  const parts = family.parts.filter(({ name }) => byPart[name] !== undefined);
  const chosen = choosePlaces(
    parts.map((part) => {
      const checkpoint = byPart[part.name]!;
      const found = partPlaces(family.parts, checkpoint)[family.parts.indexOf(part)]!;
      return { part, file: checkpoint.file, places: found };
    }),
    wanted,
  );
  const byWeights = <Value>(valueOf: (part: CheckpointPart, i: number) => Value): Record<string, Value> => {
    return Object.fromEntries(parts.map((part, i) => [part.weights, valueOf(part, i)]));
  };
  const origins: (string | undefined)[] = [];
  const companions: FoundCompanion[] = [];
  for (const [i, part] of parts.entries()) {
    const origin = await originOf(files[part.name]!, signal);
    const set = chosen[i]!.name;
    origins.push(origin === undefined || set === undefined ? origin : `${shown(set)} in ${origin}`);
    companions.push(...await readCompanions(part, files[part.name]!, { signal }));
  }
  const owned = stack.move();
  return {
    family,
    files,
    choices: byWeights((_, i) => chosen[i]!.name),
    checkpoints: byWeights(({ name }) => byPart[name]!),
    places: byWeights((_, i) => chosen[i]!.place),
    companions,
    defaults: {},
    origin: origins.includes(undefined) ? undefined : () => origins.join(" and "),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Tells a file from others, and from itself at another time, without reading it. */
async function originOf(
  place: Checkpoints[string],
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (pathOf(place) === undefined) return undefined;
  const origins: string[] = [];
  for (const file of await filesOf(place, signal)) {
    const path = pathOf(file)!;
    const { size, mtime } = await Deno.stat(path);
    origins.push(`${await Deno.realPath(path)} of ${size} bytes of ${mtime?.toISOString()}`);
  }
  return origins.join(", ");
}

/** What a checkpoint holds of a model. */
export interface CheckpointDescription {
  /** The family that it is of, or `undefined` if it holds no part of a model of a known one. */
  readonly family: Family | undefined;
  /** The parts of a model that it holds. */
  readonly parts: readonly CheckpointPart[];
  /** The sizes of these parts, as `model.json` would hold them; empty if there is a problem. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The sizes in words. */
  readonly facts: readonly Fact[];
  /** Names that the classes of such a model have. */
  readonly classNames: readonly string[];
  /** Why the tensors make no such part after all. */
  readonly problem: string | undefined;
}

/**
 * Tells what a checkpoint holds of a model, from the names and shapes of its tensors: one part, several, as
 * trainers save them, or none.
 *
 * @example
 * ```ts
 * import { describeCheckpoint } from "./convert.ts";
 * import { DEMO_MODEL } from "./load.ts";
 * import { openCheckpoint } from "./checkpoint/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * using checkpoint = await openCheckpoint(new URL("tokenizer.safetensors", DEMO_MODEL));
 * const { family, parts, problem } = await describeCheckpoint(checkpoint);
 * assertEquals([family?.name, parts.map(({ title }) => title), problem], [
 *   "var",
 *   ["the tokenizer"],
 *   undefined,
 * ]);
 * ```
 */
export async function describeCheckpoint(checkpoint: Checkpoint): Promise<CheckpointDescription> {
  const held = FAMILIES.map((family) => ({ family, parts: partsIn(family, checkpoint) }));
  const most = Math.max(...held.map(({ parts }) => parts.length));
  const nothing = { config: {}, facts: [], classNames: [], problem: undefined };
  if (most === 0) return { family: undefined, parts: [], ...nothing };
  const { family, parts } = held.find((found) => found.parts.length === most)!;
  // Sets of the same part differ in their values only.
  const places = Object.fromEntries(
    partPlaces(family.parts, checkpoint).flatMap((sets, i): [string, readonly PartPlace[]][] => {
      return sets.length === 0 ? [] : [[family.parts[i]!.weights, sets]];
    }),
  );
  try {
    const config = await family.infer(weightsOf({
      checkpoints: Object.fromEntries(parts.map(({ weights }) => [weights, checkpoint])),
      places: Object.fromEntries(Object.entries(places).map(([part, [first]]) => [part, first!])),
    }));
    return {
      family,
      parts,
      config,
      facts: [...family.describe(config), ...setFacts(places)],
      classNames: classNamesOf(family.labels(config)),
      problem: undefined,
    };
  } catch (error) {
    if (error instanceof ModelFileError) return { family, parts, ...nothing, problem: error.message };
    throw error;
  }
}

/** Which sets of weights there are to choose from, if there is a choice. */
function setFacts(places: Readonly<Record<string, readonly PartPlace[]>>): Fact[] {
  return Object.entries(places).filter(([, sets]) => sets.length > 1)
    .map(([part, sets]) => [`${part} weights`, `${sets.length} sets: ${namesOfPlaces(sets).join(", ")}`]);
}
