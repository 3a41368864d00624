/**
 * Which files of a repository on the Hugging Face hub make a model: those of a model folder, or the
 * checkpoints of one of the families by the names under which they were published.
 *
 * @module
 */

import { dirname } from "node:path";
import { requireInteger } from "../kernels/arguments.ts";
import { FAMILIES, familyOfFolder } from "./families.ts";
import type { CheckpointPart, Family } from "./family.ts";
import { MANIFEST, openModelFolder } from "./folder/model_folder.ts";
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
 * @param depth Depth of the transformer; it may be `undefined` where the repository has only one.
 * @returns Path of the model folder, or paths of the checkpoints, all of one commit.
 * @throws {RangeError} If the depth is none.
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
  depth: number | undefined,
  options: HubOptions = {},
): Promise<HubModel> {
  if (depth === undefined) {
    const names = await hubFileNames(place, options);
    if (names.includes(MANIFEST)) return { folder: await hubModelFolder(place, options) };
    const { family, name } = onlyTransformer(place, names);
    return await withOtherParts(place, family, { transformer: await hubFile(place, name, options), options });
  }
  requireInteger(depth, "depth", "find the model", { min: 1 });
  try {
    const { family, transformer } = await transformerOfDepth(place, depth, options);
    return await withOtherParts(place, family, { transformer, options });
  } catch (error) {
    if (!isAbsent(error) || !(await namesIfKnown(place, options)).includes(MANIFEST)) throw error;
    return { folder: await folderOfDepth(place, depth, options) };
  }
}

/** A model folder, whose depth is looked at before gigabytes are fetched. */
async function folderOfDepth(place: HubPlace, depth: number, options: HubOptions): Promise<string> {
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const folder = await openModelFolder(dirname(path), { signal: options.signal });
  const family = familyOfFolder(folder, "use a model of this family");
  const found = family.depth(family.requireConfig(folder.manifest.config, path));
  if (found === depth) return await hubModelFolder({ ...place, revision: commit }, options);
  throw new HubError(
    "missing",
    `Cannot find a model of depth ${depth} in ${
      describePlace(place)
    }: the one that is there has depth ${found}`,
  );
}

/** A file that is a transformer by its name. */
interface NamedTransformer {
  readonly family: Family;
  readonly name: string;
  readonly depth: number;
}

/** The transformers among files, in order of depth. */
function transformersIn(names: readonly string[]): NamedTransformer[] {
  return names.flatMap((name) =>
    FAMILIES.flatMap((family) => {
      const depth = family.published.depthOf(name);
      return depth === undefined ? [] : [{ family, name, depth }];
    })
  ).sort((a, b) => a.depth - b.depth);
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
  if (found.every(({ depth }) => depth === first.depth)) return chooseOfDepth(place, first.depth, found)!;
  throw new HubError(
    "missing",
    `Cannot choose a model of ${describePlace(place)}: it has several, say which by its depth: ${
      depthsOf(found)
    }`,
  );
}

function depthsOf(transformers: readonly NamedTransformer[]): string {
  return [...new Set(transformers.map(({ depth }) => depth))].join(", ");
}

/**
 * The transformer of a depth. Asking for the file that is most likely there costs less than asking what is
 * there.
 */
async function transformerOfDepth(
  place: HubPlace,
  depth: number,
  options: HubOptions,
): Promise<{ family: Family; transformer: HubFile }> {
  const likely = likelyTransformer(place, depth);
  const get = async ({ family, name }: NamedTransformer): ReturnType<typeof transformerOfDepth> => {
    return { family, transformer: await hubFile(place, name, options) };
  };
  let absent = new HubError("missing", `Cannot find a model of depth ${depth} in ${describePlace(place)}`);
  if (likely !== undefined) {
    try {
      return await get(likely);
    } catch (error) {
      absent = requireAbsent(error);
    }
  }
  const there = transformersIn(await namesIfKnown(place, options));
  const found = chooseOfDepth(place, depth, there);
  if (found !== undefined) return await get(found);
  throw there.length === 0 ? absent : addHint(absent, `there is depth ${depthsOf(there)}`);
}

/**
 * A transformer that a repository may have: of the family whose repository it is, or of the first one that
 * knows a name.
 */
function likelyTransformer({ repository }: HubPlace, depth: number): NamedTransformer | undefined {
  const owners = FAMILIES.filter(({ published }) => published.repository === repository);
  const candidates = (owners.length > 0 ? owners : FAMILIES).flatMap((family) => {
    const name = family.published.transformer(depth);
    return name === undefined ? [] : [{ family, name, depth }];
  });
  return candidates[0];
}

/**
 * The transformer of a depth, if there is one: with its published name, in the order of the families, or else
 * the only one.
 */
function chooseOfDepth(
  place: HubPlace,
  depth: number,
  there: readonly NamedTransformer[],
): NamedTransformer | undefined {
  const found = there.filter((transformer) => transformer.depth === depth);
  for (const { published } of FAMILIES) {
    const usual = found.find(({ name }) => name === published.transformer(depth));
    if (usual !== undefined) return usual;
  }
  if (found.length < 2) return found[0];
  const names = found.map(({ name }) => name).join(" and ");
  throw new HubError(
    "missing",
    `Cannot choose a model of depth ${depth} of ${describePlace(place)}: it has ${names}`,
  );
}

/** The other parts of a transformer's model, of the same commit, whatever is pushed meanwhile. */
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

/** The file of the first of some names that is there, or the only checkpoint that is no transformer. */
async function otherPart(
  place: HubPlace,
  candidates: readonly string[],
  options: HubOptions,
): Promise<HubFile> {
  const [likely, ...less] = candidates;
  let absent = new HubError("missing", `Cannot find all parts of the model in ${describePlace(place)}`);
  if (likely !== undefined) {
    try {
      return await hubFile(place, likely, options);
    } catch (error) {
      absent = requireAbsent(error);
    }
  }
  const names = await namesIfKnown(place, options);
  const rest = names.filter((name) => name.endsWith(".pth") && transformersIn([name]).length === 0);
  const found = less.find((name) => names.includes(name)) ?? (rest.length === 1 ? rest[0] : undefined);
  if (found !== undefined) return await hubFile(place, found, options);
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
