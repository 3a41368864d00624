/**
 * Which files of a repository on the Hugging Face hub make a VAR model: the transformer of a depth and the tokenizer, by the names under
 * which they were published.
 *
 * @module
 */

import { dirname } from "node:path";
import { requireInteger } from "../../kernels/arguments.ts";
import { MANIFEST, openModelFolder } from "../folder.ts";
import {
  describePlace,
  HubError,
  hubFile,
  hubFileNames,
  hubModelFolder,
  type HubOptions,
  type HubPlace,
} from "../hub/mod.ts";
import { requireVarConfig } from "./config.ts";

/** The tokenizer that all published transformers share. */
const OFFICIAL_VAE = "vae_ch160v4096z32.pth";

/** Checkpoints of a published VAR model on the own disk. */
export interface OfficialVarFiles {
  /** Path of the transformer. */
  readonly var: string;
  /** Path of the tokenizer. */
  readonly vae: string;
  /** SHA-256 of the two in hexadecimal, where the hub tells. */
  readonly sha256: { readonly var: string | undefined; readonly vae: string | undefined };
}

/**
 * Gets the checkpoints of a VAR model from a repository that holds them as they were published: `var_d16.pth` and so on, and the
 * tokenizer `vae_ch160v4096z32.pth`.
 *
 * @param place The repository, for example that of `hf:FoundationVision/var`.
 * @param depth Depth of the transformer; it may be `undefined` where the repository has only one.
 * @throws {HubError} If the repository has no such model, or a file cannot be got.
 *
 * @example
 * ```ts
 * import { officialVarFiles } from "./official.ts";
 * import { HubError, parseHubPlace } from "../hub/mod.ts";
 * import { assertRejects } from "@std/assert";
 *
 * const place = parseHubPlace("hf:FoundationVision/var")!;
 * const cacheFolder = await Deno.makeTempDir();
 * await assertRejects(() => officialVarFiles(place, 16, { cacheFolder, offline: true }), HubError, "var_d16.pth");
 * await Deno.remove(cacheFolder);
 * ```
 */
export async function officialVarFiles(
  place: HubPlace,
  depth: number | undefined,
  options: HubOptions = {},
): Promise<OfficialVarFiles> {
  if (depth !== undefined) requireInteger(depth, "depth", "find the model", { min: 1 });
  return await checkpoints(
    place,
    depth === undefined ? onlyTransformer(place, await hubFileNames(place, options)) : nameOf(depth),
    options,
  );
}

/**
 * Gets a model from a repository: one that holds a model folder, or checkpoints as they were published.
 *
 * @param place The repository.
 * @param depth Depth of the transformer; it may be `undefined` where the repository has only one.
 * @returns Path of the model folder, or paths of the checkpoints.
 * @throws {HubError} If the repository has no such model, or a file cannot be got.
 *
 * @example
 * ```ts
 * import { hubModel } from "./official.ts";
 * import { HubError, parseHubPlace } from "../hub/mod.ts";
 * import { assertRejects } from "@std/assert";
 *
 * const place = parseHubPlace("hf:FoundationVision/var")!;
 * const cacheFolder = await Deno.makeTempDir();
 * await assertRejects(() => hubModel(place, 16, { cacheFolder, offline: true }), HubError, "must not be asked");
 * await Deno.remove(cacheFolder);
 * ```
 */
export async function hubModel(
  place: HubPlace,
  depth: number | undefined,
  options: HubOptions = {},
): Promise<string | OfficialVarFiles> {
  if (depth === undefined) {
    const names = await hubFileNames(place, options);
    return names.includes(MANIFEST)
      ? await hubModelFolder(place, options)
      : await checkpoints(place, onlyTransformer(place, names), options);
  }
  try {
    return await officialVarFiles(place, depth, options);
  } catch (error) {
    if (!isAbsent(error) || !(await namesIfKnown(place, options)).includes(MANIFEST)) throw error;
    return await folderOfDepth(place, depth, options);
  }
}

/** A model folder, whose depth is looked at before gigabytes are fetched. */
async function folderOfDepth(place: HubPlace, depth: number, options: HubOptions): Promise<string> {
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const { manifest } = await openModelFolder(dirname(path), { signal: options.signal });
  const { depth: found } = requireVarConfig(manifest.config, path);
  if (found === depth) return await hubModelFolder({ ...place, revision: commit }, options);
  throw new HubError(
    "missing",
    `Cannot find a model of depth ${depth} in ${
      describePlace(place)
    }: the one that is there has depth ${found}`,
  );
}

async function checkpoints(
  place: HubPlace,
  transformerName: string,
  options: HubOptions,
): Promise<OfficialVarFiles> {
  const transformer = await hubFile(place, transformerName, options).catch(async (error) => {
    const depths = isAbsent(error) ? depthsOf(await namesIfKnown(place, options)) : [];
    if (depths.length === 0) throw error;
    throw new HubError(error.reason, `${error.message}; there is depth ${depths.join(", ")}`, {
      cause: error,
    });
  });
  // Both of one commit, whatever is pushed meanwhile.
  const tokenizer = await hubFile({ ...place, revision: transformer.commit }, OFFICIAL_VAE, options);
  return {
    var: transformer.path,
    vae: tokenizer.path,
    sha256: { var: transformer.sha256, vae: tokenizer.sha256 },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof HubError && (error.reason === "missing" || error.reason === "offline");
}

async function namesIfKnown(place: HubPlace, options: HubOptions): Promise<readonly string[]> {
  return await hubFileNames(place, options).catch((error) => {
    if (error instanceof HubError) return [];
    throw error;
  });
}

function nameOf(depth: number): string {
  return `var_d${depth}.pth`;
}

/** Depths of the transformers among files, in order. */
function depthsOf(names: readonly string[]): number[] {
  return names.flatMap((name) => /^var_d([1-9]\d*)\.pth$/.exec(name)?.[1] ?? []).map(Number)
    .sort((a, b) => a - b);
}

function onlyTransformer(place: HubPlace, names: readonly string[]): string {
  const depths = depthsOf(names);
  if (depths.length === 1) return nameOf(depths[0]!);
  throw new HubError(
    "missing",
    depths.length === 0
      ? `Cannot find a model in ${
        describePlace(place)
      }: it has neither ${MANIFEST} nor var_d16.pth or the like`
      : `Cannot choose a model of ${describePlace(place)}: it has several, say which by its depth: ${
        depths.join(", ")
      }`,
  );
}
