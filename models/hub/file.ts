/**
 * Files of the Hugging Face hub on the own disk: found in the cache if they are there and still those that
 * the hub has, downloaded otherwise, by one process while others wait.
 *
 * @module
 */

import { mustBe } from "../../kernels/arguments.ts";
import { dirname } from "node:path";
import { MANIFEST, openModelFolder } from "../folder/model_folder.ts";
import { type CachedFile, RepositoryCache } from "./cache.ts";
import { isSha256 } from "./checksum.ts";
import { download } from "./download.ts";
import { HubError } from "./hub_error.ts";
import { describePlace, type HubPlace, isCommit, isRelativePath } from "./place.ts";
import { HubServer, type RemoteFile } from "./server.ts";
import { type HubOptions, type HubSettings, hubSettings } from "./settings.ts";

/** A file of a repository, on the own disk. */
export interface HubFile {
  /** Where it lies. */
  readonly path: string;
  /** Its size. */
  readonly bytes: number;
  /** The commit that it is of. */
  readonly commit: string;
  /** Its SHA-256 in hexadecimal, of large files only. */
  readonly sha256: string | undefined;
}

/**
 * Gets a file of a repository. It is downloaded if the cache, which other Hugging Face libraries share, does
 * not hold it; a download that broke off goes on where it stopped, and the file is found under its name only
 * when it is whole and has the checksum that the hub promised. If the hub cannot be reached, what the cache
 * holds of the same revision is good enough. What is in the cache already has its checksum compared, too:
 * once, and again whenever the file has changed; where it is another one, the file is downloaded again, or
 * refused without a connection.
 *
 * @param place The repository.
 * @param name Name of the file there, with slashes where it lies in a folder.
 * @throws {HubError} If it cannot be got; its `reason` says why.
 *
 * @example
 * ```ts
 * import { hubFile, parseHubPlace } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A cache as any Hugging Face library leaves it.
 * const cacheFolder = await Deno.makeTempDir();
 * const commit = "0123456789".repeat(4);
 * const snapshot = `${cacheFolder}/models--FoundationVision--var/snapshots/${commit}`;
 * await Deno.mkdir(snapshot, { recursive: true });
 * await Deno.writeTextFile(`${snapshot}/README.md`, "# VAR");
 *
 * const place = parseHubPlace(`hf:FoundationVision/var@${commit}`)!;
 * const { path, bytes } = await hubFile(place, "README.md", { cacheFolder, offline: true });
 * assertEquals([await Deno.readTextFile(path), bytes], ["# VAR", 5]);
 * await Deno.remove(cacheFolder, { recursive: true });
 * ```
 */
export async function hubFile(place: HubPlace, name: string, options: HubOptions = {}): Promise<HubFile> {
  if (!isRelativePath(name)) {
    throw new TypeError(mustBe("a path within the repository", name, "its name", "download a file"));
  }
  const settings = await hubSettings(options);
  const { offline, signal } = settings;
  signal?.throwIfAborted();
  const cache = new RepositoryCache(settings.cacheFolder, place.repository);
  const isIntact = async (path: string, etag: string | undefined): Promise<boolean> => {
    const onBytes = (bytes: number, total: number): void =>
      settings.onProgress({ file: name, bytes, total, checking: true });
    return etag === undefined || await cache.isIntact(path, etag, { signal, onBytes });
  };
  const cached = await cache.find(place.revision, name);
  if (cached !== undefined && (offline || isCommit(place.revision))) {
    if (await isIntact(cached.path, cached.etag)) return fileOf(cached);
    if (offline) throw damagedError(name, place, cached);
  }
  if (offline) throw offlineError(name, place, settings);
  const server = new HubServer(settings);
  let remote: RemoteFile;
  try {
    remote = await server.describe(place, name, cached === undefined ? settings.retries : 0);
  } catch (error) {
    if (cached === undefined || !isPassing(error)) throw error;
    if (await isIntact(cached.path, cached.etag)) return fileOf(cached);
    throw damagedError(name, place, cached, error);
  }
  const { commit, etag, bytes } = remote;
  const known = await cache.find(commit, name);
  if (known?.bytes === bytes && await isIntact(known.path, etag)) {
    // The cache may be read-only for whoever only wants to use it.
    await cache.setCommit(place.revision, commit).catch(() => {});
    return fileOf({ ...known, etag });
  }
  {
    using lock = await cache.lock(etag, signal);
    const blob = cache.blob(etag);
    const { size } = await Deno.stat(blob).catch(() => ({ size: undefined }));
    if (size !== bytes || !await isIntact(blob, etag)) {
      await download(server, remote, { blob, alone: lock !== undefined, settings });
      await cache.remember(blob, etag);
    }
    await cache.point(commit, name, etag);
  }
  await cache.setCommit(place.revision, commit);
  return fileOf({ path: cache.pointer(commit, name), bytes, commit, etag });
}

/**
 * Names of a repository's files; where the hub must not be asked or cannot be reached, of those that the
 * cache holds.
 *
 * @throws {HubError} If nobody can tell.
 *
 * @example
 * ```ts
 * import { hubFileNames, parseHubPlace } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A cache as any Hugging Face library leaves it.
 * const cacheFolder = await Deno.makeTempDir();
 * const commit = "0123456789".repeat(4);
 * const snapshot = `${cacheFolder}/models--FoundationVision--var/snapshots/${commit}`;
 * await Deno.mkdir(snapshot, { recursive: true });
 * await Deno.writeTextFile(`${snapshot}/README.md`, "# VAR");
 *
 * const place = parseHubPlace(`hf:FoundationVision/var@${commit}`)!;
 * assertEquals(await hubFileNames(place, { cacheFolder, offline: true }), ["README.md"]);
 * await Deno.remove(cacheFolder, { recursive: true });
 * ```
 */
export async function hubFileNames(place: HubPlace, options: HubOptions = {}): Promise<readonly string[]> {
  const settings = await hubSettings(options);
  const cached = await new RepositoryCache(settings.cacheFolder, place.repository).names(place.revision);
  if (settings.offline) {
    if (cached.length > 0) return cached;
    throw offlineError("the list of files", place, settings);
  }
  try {
    return await new HubServer(settings).names(place, cached.length === 0 ? settings.retries : 0);
  } catch (error) {
    if (cached.length > 0 && isPassing(error)) return cached;
    throw error;
  }
}

/**
 * Gets all files of a repository that holds a model folder.
 *
 * @param isWanted Says which of them, by their names; all by default.
 * @returns The folder on the own disk.
 * @throws {HubError} If the repository has no `model.json`, or a file cannot be got.
 * @throws {ModelFileError} If `model.json` describes no model folder.
 *
 * @example
 * ```ts
 * import { hubModelFolder, parseHubPlace } from "./mod.ts";
 * import { DEMO_MODEL } from "../load.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // A cache as any Hugging Face library leaves it.
 * const cacheFolder = await Deno.makeTempDir();
 * const commit = "0123456789".repeat(4);
 * const snapshot = `${cacheFolder}/models--owner--demo/snapshots/${commit}`;
 * await Deno.mkdir(snapshot, { recursive: true });
 * for await (const { name } of Deno.readDir(new URL(DEMO_MODEL))) {
 *   await Deno.copyFile(new URL(name, DEMO_MODEL), `${snapshot}/${name}`);
 * }
 *
 * const place = parseHubPlace(`hf:owner/demo@${commit}`)!;
 * assertEquals(await hubModelFolder(place, { cacheFolder, offline: true }), snapshot);
 * await Deno.remove(cacheFolder, { recursive: true });
 * ```
 */
export async function hubModelFolder(
  place: HubPlace,
  options: HubOptions = {},
  isWanted: (name: string) => boolean = () => true,
): Promise<string> {
  const { path, commit } = await hubFile(place, MANIFEST, options);
  const folder = dirname(path);
  const { manifest } = await openModelFolder(folder, { signal: options.signal });
  const pinned = { ...place, revision: commit };
  for (const name of Object.keys(manifest.files).filter(isWanted)) await hubFile(pinned, name, options);
  return folder;
}

function fileOf({ path, bytes, commit, etag }: CachedFile): HubFile {
  return { path, bytes, commit, sha256: etag !== undefined && isSha256(etag) ? etag : undefined };
}

/** Whether a failure says nothing about the file, so that what the cache holds is as good as before. */
function isPassing(error: unknown): boolean {
  return error instanceof HubError && (error.reason === "unreachable" || error.reason === "denied");
}

/** A file in the cache that is not what it was, where another one cannot be got. */
function damagedError(
  name: string,
  place: HubPlace,
  { path, bytes, etag }: CachedFile,
  cause?: unknown,
): HubError {
  const reason = cause === undefined ? "the hub must not be asked" : "the hub could not be asked";
  return new HubError(
    "corrupt",
    `Cannot use ${name} of ${
      describePlace(place)
    }: its ${bytes} bytes in ${path} have changed since they were ` +
      `downloaded, their checksum is not ${etag}, and ${reason}; download it again where there is a connection`,
    cause === undefined ? {} : { cause },
  );
}

function offlineError(subject: string, place: HubPlace, { cacheFolder }: HubSettings): HubError {
  return new HubError(
    "offline",
    `Cannot find ${subject} of ${describePlace(place)} in ${cacheFolder}, and the hub must not be asked; ` +
      "unset HF_HUB_OFFLINE, or download it where there is a connection",
  );
}
