/**
 * Which files of a repository on the Hugging Face hub make a model: those of a model folder, or the
 * checkpoints of one of the families by the names under which they were published.
 *
 * @module
 */

import { basename, dirname, posix } from "node:path";
import { requireInteger, shown } from "../kernels/arguments.ts";
import { isShardIndex, shardPlaces, shardsSha256 } from "./checkpoint/shards.ts";
import { leftOut } from "./companions.ts";
import { FAMILIES, familyOfFolder, partsLeftOut } from "./families.ts";
import type { CheckpointPart, Family, FileElsewhere, TunedRepository } from "./family.ts";
import { sha256 } from "./checkpoint/source.ts";
import { MANIFEST, openModelFolder } from "./folder/model_folder.ts";
import { isLeftOut } from "./folder/partial_folder.ts";
import { type ModelSize, sizeInWords } from "./folder/sizes.ts";
import {
  describePlace,
  HubError,
  type HubFile,
  hubFile,
  hubFileNames,
  hubModelFolder,
  type HubOptions,
  type HubPlace,
} from "./hub/mod.ts";

/** Options of {@linkcode hubModel}. */
export interface HubModelOptions extends HubOptions {
  /** Names of parts that are not wanted, of those that a model can do without. */
  without?: readonly string[];
}

/** Checkpoints of a published model on the own disk, by part. */
export interface HubCheckpoints {
  /** Their paths. */
  readonly checkpoints: Readonly<Record<string, string>>;
  /** Their SHA-256 in hexadecimal, where the hub tells; of one in several files, that of all together. */
  readonly sha256: Readonly<Record<string, string | undefined>>;
}

/** A model of the hub on the own disk: a model folder, or checkpoints. */
export type HubModel = { readonly folder: string } | HubCheckpoints;

/**
 * Gets a model from a repository: one that holds a model folder, or checkpoints as they were published, like
 * `var_d16.pth` and the tokenizer `vae_ch160v4096z32.pth`. Of which family they are, the names tell. With a
 * checkpoint come the shards that it names, if it is an index, and the files that belong beside it.
 *
 * @param place The repository, for example that of `hf:FoundationVision/var`.
 * @param size Depth of the transformer, or the name of a size; it may be `undefined` where the repository has
 * only one, and does not count where the place names one of its files.
 * @returns Path of the model folder, or paths of the checkpoints, those of a repository all of one commit.
 * @throws {RangeError} If a depth is none, or the model cannot do `without` a part.
 * @throws {HubError} If the repository has no such model, or a file cannot be got.
 * @throws {ModelFileError} If the repository holds a folder of a family that is not known.
 *
 * @example
 * ```ts
 * import { hubModel } from "./hub_model.ts";
 * import { HubError, parseHubPlace } from "./hub/mod.ts";
 * import { assertRejects } from "@std/assert";
 *
 * const place = parseHubPlace("hf:FoundationVision/var")!;
 * const cacheFolder = await Deno.makeTempDir();
 * await assertRejects(() => hubModel(place, 16, { cacheFolder, offline: true }), HubError, "var_d16.pth");
 * await Deno.remove(cacheFolder);
 * ```
 */
export async function hubModel(
  place: HubPlace,
  size: ModelSize | undefined,
  { without = [], ...options }: HubModelOptions = {},
): Promise<HubModel> {
  const wish = { without, options };
  if (place.file !== undefined) {
    const { file, ...repository } = place;
    const [named] = transformersIn([file]);
    if (named === undefined) throw unknownFile(place);
    return await withOtherParts(repository, await getTransformer(repository, named, wish), wish);
  }
  if (size === undefined) {
    const names = await hubFileNames(place, options);
    if (names.includes(MANIFEST)) return { folder: await wholeFolder(place, without, options) };
    const found = await getTransformer(place, onlyTransformer(place, names), wish);
    return await withOtherParts(place, found, wish);
  }
  if (typeof size === "number") requireInteger(size, "depth", "find the model", { min: 1 });
  try {
    const found = await transformerOfSize(place, size, wish);
    return await withOtherParts(place, found, wish);
  } catch (error) {
    if (!isAbsent(error) || !(await namesIfKnown(place, options)).includes(MANIFEST)) throw error;
    return { folder: await folderOfSize(place, size, { without, options }) };
  }
}

function unknownFile(place: HubPlace): HubError {
  const examples = FAMILIES.map(({ published }) => published.example).join(", ");
  return new HubError(
    "missing",
    `Cannot find a model in ${
      describePlace(place)
    }: by its name the file is no transformer, as ${examples} and the like are; of other names give checkpoints of the own disk`,
  );
}

/**
 * What is to be known of a repository before one of its files is used: its licence and what its files are
 * for; of repositories of the families' own authors, and of those that nobody here knows, nothing.
 *
 * @example
 * ```ts
 * import { hubNotice } from "./hub_model.ts";
 * import { parseHubPlace } from "./hub/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const ddo = parseHubPlace("hf:nvidia/DirectDiscriminativeOptimization")!;
 * assertEquals(hubNotice(ddo)?.commercial, false);
 * assertEquals(hubNotice(parseHubPlace("hf:FoundationVision/var")!), undefined);
 * ```
 */
export function hubNotice({ repository }: HubPlace): TunedRepository | undefined {
  return FAMILIES.map(({ published: { tuned = {} } }) => tuned[repository]).find((notice) => notice);
}

/** What is to be left out, and how the hub is asked. */
interface Wish {
  readonly without: readonly string[];
  readonly options: HubOptions;
}

/** A model folder, of which some parts may be left out. */
async function wholeFolder(
  place: HubPlace,
  without: readonly string[],
  options: HubOptions,
): Promise<string> {
  if (without.length === 0) return await hubModelFolder(place, options);
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const folder = await openModelFolder(dirname(path), { signal: options.signal });
  const left = leftOut(partsLeftOut(familyOfFolder(folder, "use a model of this family"), without));
  const isWanted = (name: string): boolean => !isLeftOut(name, left);
  return await hubModelFolder({ ...place, revision: commit }, options, isWanted);
}

/** A model folder, whose size is looked at before gigabytes are fetched. */
async function folderOfSize(place: HubPlace, size: ModelSize, { without, options }: Wish): Promise<string> {
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const folder = await openModelFolder(dirname(path), { signal: options.signal });
  const family = familyOfFolder(folder, "use a model of this family");
  const found = family.size(family.requireConfig(folder.manifest.config, path));
  if (found === size) return await wholeFolder({ ...place, revision: commit }, without, options);
  throw new HubError(
    "missing",
    `Cannot find a model of ${sizeInWords(size)} in ${describePlace(place)}: the one that is there has ${
      sizeInWords(found)
    }`,
  );
}

/** A file that is a transformer by its name. */
interface NamedTransformer {
  readonly family: Family;
  readonly name: string;
  readonly size: ModelSize;
}

/** One that has been got. */
interface FoundTransformer extends Pick<NamedTransformer, "family" | "size"> {
  readonly transformer: HubFile;
}

async function getTransformer(
  place: HubPlace,
  { family, name, size }: NamedTransformer,
  { without, options }: Wish,
): Promise<FoundTransformer> {
  // Before gigabytes are fetched.
  partsLeftOut(family, without);
  return { family, size, transformer: await checkpointOf(family.parts[0]!, place, { name, options }) };
}

/**
 * A checkpoint with all that belongs to it, of one commit: what lies beside it, without which the gigabytes
 * are of no use, and then the shards, if it is an index.
 */
async function checkpointOf(
  { companions = [] }: CheckpointPart,
  place: HubPlace,
  { name, options }: { readonly name: string; readonly options: HubOptions },
): Promise<HubFile> {
  const file = await hubFile(place, name, options);
  const beside = async (other: string): Promise<HubFile> => {
    return await hubFile(
      { ...place, revision: file.commit },
      posix.join(posix.dirname(name), other),
      options,
    );
  };
  for (const companion of companions) {
    try {
      await beside(companion.name);
    } catch (error) {
      if (companion.required || !isAbsent(error)) throw error;
    }
  }
  if (!isShardIndex(name)) return file;
  const hashes: (string | undefined)[] = [await sha256(await Deno.readFile(file.path))];
  for (const shard of await shardPlaces(file.path, { signal: options.signal })) {
    hashes.push((await beside(basename(String(shard)))).sha256);
  }
  const known = hashes.filter((hash) => hash !== undefined);
  return { ...file, sha256: known.length === hashes.length ? shardsSha256(known) : undefined };
}

/** The transformers among files, in order of size: by depth, then by name, of which 2 comes before 10. */
function transformersIn(names: readonly string[]): NamedTransformer[] {
  const order = new Intl.Collator("en", { numeric: true });
  return names.flatMap((name) =>
    FAMILIES.flatMap((family) => {
      const size = family.published.sizeOf(name);
      return size === undefined ? [] : [{ family, name, size }];
    })
  ).sort((a, b) => {
    return typeof a.size === typeof b.size
      ? order.compare(`${a.size}`, `${b.size}`)
      : typeof a.size === "number"
      ? -1
      : 1;
  });
}

function onlyTransformer(place: HubPlace, names: readonly string[]): NamedTransformer {
  const found = transformersIn(names);
  const [first] = found;
  if (first === undefined) {
    const examples = FAMILIES.map(({ published }) => published.example).join(", ");
    throw new HubError(
      "missing",
      `Cannot find a model in ${
        describePlace(place)
      }: it has neither ${MANIFEST} nor ${examples} or the like`,
    );
  }
  if (found.every(({ size }) => size === first.size)) return chooseOfSize(place, first.size, found)!;
  throw new HubError(
    "missing",
    `Cannot choose a model of ${describePlace(place)}: it has several, say which by its ${
      sizesOf(found, ":")
    }`,
  );
}

/** The sizes that there are, in words: `depth 16, 20`, `size 2B, 8B`, or both. */
function sizesOf(transformers: readonly NamedTransformer[], after: string = ""): string {
  const sizes = [...new Set(transformers.map(({ size }) => size))];
  const depths = sizes.filter((size) => typeof size === "number");
  const names = sizes.filter((size) => typeof size === "string");
  return [
    ...(depths.length === 0 ? [] : [`depth${after} ${depths.join(", ")}`]),
    ...(names.length === 0 ? [] : [`size${after} ${names.join(", ")}`]),
  ].join(" or ");
}

/**
 * The transformer of a size. Asking for the file that is most likely there costs less than asking what is
 * there.
 */
async function transformerOfSize(
  place: HubPlace,
  size: ModelSize,
  wish: Wish,
): Promise<FoundTransformer> {
  const likely = likelyTransformer(place, size, wish.without);
  const get = (named: NamedTransformer): Promise<FoundTransformer> => getTransformer(place, named, wish);
  let absent = new HubError(
    "missing",
    `Cannot find a model of ${sizeInWords(size)} in ${describePlace(place)}`,
  );
  if (likely !== undefined) {
    try {
      return await get(likely);
    } catch (error) {
      absent = requireAbsent(error);
    }
  }
  const there = transformersIn(await namesIfKnown(place, wish.options));
  const found = chooseOfSize(place, size, there);
  if (found !== undefined) return await get(found);
  throw there.length === 0 ? absent : addHint(absent, `there is ${sizesOf(there)}`);
}

/**
 * A transformer that a repository may have: of the family whose repository it is, or of the first one that
 * knows a name and has the parts that are to be left out.
 */
function likelyTransformer(
  { repository }: HubPlace,
  size: ModelSize,
  without: readonly string[],
): NamedTransformer | undefined {
  const owners = FAMILIES.filter(({ published }) => published.repository === repository);
  const others = FAMILIES.filter(({ parts }) => {
    return without.every((name) => parts.some((part) => part.optional && part.name === name));
  });
  const candidates = (owners.length > 0 ? owners : others).flatMap((family) => {
    return namesOfSize(family, size).map((name) => ({ family, name, size }));
  });
  return candidates[0];
}

/** Names that the transformer of a size may have, the likeliest first. */
function namesOfSize({ published }: Family, size: ModelSize): readonly string[] {
  const names = published.transformer(size) ?? [];
  return typeof names === "string" ? [names] : names;
}

/**
 * The transformer of a size, if there is one: with its published name, in the order of the families, or else
 * the only one.
 */
function chooseOfSize(
  place: HubPlace,
  size: ModelSize,
  there: readonly NamedTransformer[],
): NamedTransformer | undefined {
  const found = there.filter((transformer) => transformer.size === size);
  for (const usual of FAMILIES.flatMap((family) => namesOfSize(family, size))) {
    const published = found.find(({ name }) => name === usual);
    if (published !== undefined) return published;
  }
  if (found.length < 2) return found[0];
  const names = found.map(({ name }) => name).join(" and ");
  const one = describePlace({ ...place, file: found[0]!.name });
  throw new HubError(
    "missing",
    `Cannot choose a model of ${sizeInWords(size)} of ${
      describePlace(place)
    }: it has ${names}; name one, like "${one}"`,
  );
}

/**
 * The other parts of a transformer's model: those beside it of the same commit, whatever is pushed meanwhile,
 * and those that their family has elsewhere.
 */
async function withOtherParts(
  place: HubPlace,
  { family, size, transformer }: FoundTransformer,
  { without, options }: Wish,
): Promise<HubCheckpoints> {
  const left = partsLeftOut(family, without);
  const pinned = { ...place, revision: transformer.commit };
  const [first, ...others] = family.parts as [CheckpointPart, ...CheckpointPart[]];
  const files = new Map([[first.name, transformer]]);
  const candidates = family.published.others(size, place.repository);
  for (const part of others.filter((other) => !left.includes(other))) {
    const { name, optional = false } = part;
    files.set(
      name,
      await otherPart(part, pinned, { candidates: candidates[name] ?? [], options }).catch((error) => {
        throw optional && isAbsent(error) ? addHint(error, `the model can do without ${shown(name)}`) : error;
      }),
    );
  }
  return {
    checkpoints: Object.fromEntries([...files].map(([part, { path }]) => [part, path])),
    sha256: Object.fromEntries([...files].map(([part, { sha256 }]) => [part, sha256])),
  };
}

/**
 * The first of some files that is there, or, for a part that may lie beside the transformer, the only
 * checkpoint that is no transformer.
 */
async function otherPart(
  part: CheckpointPart,
  place: HubPlace,
  { candidates, options }: {
    readonly candidates: readonly (string | FileElsewhere)[];
    readonly options: HubOptions;
  },
): Promise<HubFile> {
  let absent: HubError | undefined;
  let names: readonly string[] | undefined;
  for (const candidate of candidates) {
    // What is less likely beside the transformer is asked for only if it is there.
    if (typeof candidate === "string" && absent !== undefined) {
      names ??= await namesIfKnown(place, options);
      if (!names.includes(candidate)) continue;
    }
    const { name, ...elsewhere } = typeof candidate === "string" ? { name: candidate } : candidate;
    try {
      const where = "repository" in elsewhere ? { revision: "main", ...elsewhere } : place;
      return await checkpointOf(part, where, { name, options });
    } catch (error) {
      absent ??= requireAbsent(error);
    }
  }
  absent ??= new HubError("missing", `Cannot find all parts of the model in ${describePlace(place)}`);
  if (candidates.length > 0 && candidates.every((candidate) => typeof candidate !== "string")) throw absent;
  names ??= await namesIfKnown(place, options);
  const rest = names.filter((name) => name.endsWith(".pth") && transformersIn([name]).length === 0);
  if (rest.length === 1) return await checkpointOf(part, place, { name: rest[0]!, options });
  throw rest.length === 0
    ? absent
    : addHint(absent, `which of ${rest.join(", ")} stands for it is not known`);
}

function isAbsent(error: unknown): error is HubError {
  return error instanceof HubError && (error.reason === "missing" || error.reason === "offline");
}

/** The error of a file that is not there; any other one is thrown. */
function requireAbsent(error: unknown): HubError {
  if (isAbsent(error)) return error;
  throw error;
}

function addHint(cause: HubError, hint: string): HubError {
  return new HubError(cause.reason, `${cause.message}; ${hint}`, { cause });
}

async function namesIfKnown(place: HubPlace, options: HubOptions): Promise<readonly string[]> {
  return await hubFileNames(place, options).catch((error) => {
    if (error instanceof HubError) return [];
    throw error;
  });
}
