/**
 * Which files of a repository on the Hugging Face hub make a model: those of a model folder, or the
 * checkpoints of one of the families by the names under which they were published.
 *
 * @module
 */

import { dirname } from "node:path";
import { requireInteger } from "../kernels/arguments.ts";
import { FAMILIES, familyOfFolder } from "./families.ts";
import type { CheckpointPart, Family, FileElsewhere } from "./family.ts";
import { MANIFEST, openModelFolder } from "./folder/model_folder.ts";
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

/** Checkpoints of a published model on the own disk, by part. */
export interface HubCheckpoints {
  /** Their paths. */
  readonly checkpoints: Readonly<Record<string, string>>;
  /** Their SHA-256 in hexadecimal, where the hub tells. */
  readonly sha256: Readonly<Record<string, string | undefined>>;
}

/** A model of the hub on the own disk: a model folder, or checkpoints. */
export type HubModel = { readonly folder: string } | HubCheckpoints;

/**
 * Gets a model from a repository: one that holds a model folder, or checkpoints as they were published, like
 * `var_d16.pth` and the tokenizer `vae_ch160v4096z32.pth`. Of which family they are, the names tell.
 *
 * @param place The repository, for example that of `hf:FoundationVision/var`.
 * @param size Depth of the transformer, or the name of a size; it may be `undefined` where the repository has
 * only one.
 * @returns Path of the model folder, or paths of the checkpoints, those of a repository all of one commit.
 * @throws {RangeError} If a depth is none.
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
  options: HubOptions = {},
): Promise<HubModel> {
  if (size === undefined) {
    const names = await hubFileNames(place, options);
    if (names.includes(MANIFEST)) return { folder: await hubModelFolder(place, options) };
    const { family, name } = onlyTransformer(place, names);
    return await withOtherParts(place, family, { transformer: await hubFile(place, name, options), options });
  }
  if (typeof size === "number") requireInteger(size, "depth", "find the model", { min: 1 });
  try {
    const { family, transformer } = await transformerOfSize(place, size, options);
    return await withOtherParts(place, family, { transformer, options });
  } catch (error) {
    if (!isAbsent(error) || !(await namesIfKnown(place, options)).includes(MANIFEST)) throw error;
    return { folder: await folderOfSize(place, size, options) };
  }
}

/** A model folder, whose size is looked at before gigabytes are fetched. */
async function folderOfSize(place: HubPlace, size: ModelSize, options: HubOptions): Promise<string> {
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const folder = await openModelFolder(dirname(path), { signal: options.signal });
  const family = familyOfFolder(folder, "use a model of this family");
  const found = family.size(family.requireConfig(folder.manifest.config, path));
  if (found === size) return await hubModelFolder({ ...place, revision: commit }, options);
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
  options: HubOptions,
): Promise<{ family: Family; transformer: HubFile }> {
  const likely = likelyTransformer(place, size);
  const get = async ({ family, name }: NamedTransformer): ReturnType<typeof transformerOfSize> => {
    return { family, transformer: await hubFile(place, name, options) };
  };
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
  const there = transformersIn(await namesIfKnown(place, options));
  const found = chooseOfSize(place, size, there);
  if (found !== undefined) return await get(found);
  throw there.length === 0 ? absent : addHint(absent, `there is ${sizesOf(there)}`);
}

/**
 * A transformer that a repository may have: of the family whose repository it is, or of the first one that
 * knows a name.
 */
function likelyTransformer({ repository }: HubPlace, size: ModelSize): NamedTransformer | undefined {
  const owners = FAMILIES.filter(({ published }) => published.repository === repository);
  const candidates = (owners.length > 0 ? owners : FAMILIES).flatMap((family) => {
    const name = family.published.transformer(size);
    return name === undefined ? [] : [{ family, name, size }];
  });
  return candidates[0];
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
  for (const { published } of FAMILIES) {
    const usual = found.find(({ name }) => name === published.transformer(size));
    if (usual !== undefined) return usual;
  }
  if (found.length < 2) return found[0];
  const names = found.map(({ name }) => name).join(" and ");
  throw new HubError(
    "missing",
    `Cannot choose a model of ${sizeInWords(size)} of ${describePlace(place)}: it has ${names}`,
  );
}

/**
 * The other parts of a transformer's model: those beside it of the same commit, whatever is pushed meanwhile,
 * and those that their family has elsewhere.
 */
async function withOtherParts(
  place: HubPlace,
  family: Family,
  { transformer, options }: { transformer: HubFile; options: HubOptions },
): Promise<HubCheckpoints> {
  const pinned = { ...place, revision: transformer.commit };
  const [first, ...others] = family.parts as [CheckpointPart, ...CheckpointPart[]];
  const files = new Map([[first.name, transformer]]);
  for (const { name: part } of others) {
    files.set(part, await otherPart(pinned, family.published.others[part] ?? [], options));
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
  place: HubPlace,
  candidates: readonly (string | FileElsewhere)[],
  options: HubOptions,
): Promise<HubFile> {
  let absent: HubError | undefined;
  let names: readonly string[] | undefined;
  for (const candidate of candidates) {
    // What is less likely beside the transformer is asked for only if it is there.
    if (typeof candidate === "string" && absent !== undefined) {
      names ??= await namesIfKnown(place, options);
      if (!names.includes(candidate)) continue;
    }
    try {
      return typeof candidate === "string"
        ? await hubFile(place, candidate, options)
        : await fileElsewhere(candidate, options);
    } catch (error) {
      absent ??= requireAbsent(error);
    }
  }
  absent ??= new HubError("missing", `Cannot find all parts of the model in ${describePlace(place)}`);
  if (candidates.length > 0 && candidates.every((candidate) => typeof candidate !== "string")) throw absent;
  names ??= await namesIfKnown(place, options);
  const rest = names.filter((name) => name.endsWith(".pth") && transformersIn([name]).length === 0);
  if (rest.length === 1) return await hubFile(place, rest[0]!, options);
  throw rest.length === 0
    ? absent
    : addHint(absent, `which of ${rest.join(", ")} stands for it is not known`);
}

async function fileElsewhere(
  { repository, revision = "main", name }: FileElsewhere,
  options: HubOptions,
): Promise<HubFile> {
  return await hubFile({ repository, revision }, name, options);
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
