/**
 * Checksums as the hub gives them, which are the names of contents in the cache: large files have their
 * SHA-256, others the name that git gives their content.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";

/** Read at once. */
const CHUNK_BYTES = 1 << 22;

/** Whether a checksum is a SHA-256, as of every large file. */
export function isSha256(etag: string): boolean {
  return /^[0-9a-f]{64}$/.test(etag);
}

/** What a file of so many bytes is hashed with to be compared with its checksum, if that is one. */
export function hashFor(
  { etag, bytes }: { readonly etag: string; readonly bytes: number },
): Hash | undefined {
  if (isSha256(etag)) return createHash("sha256");
  return /^[0-9a-f]{40}$/.test(etag) ? createHash("sha1").update(`blob ${bytes}\0`) : undefined;
}

/**
 * Checksum of a file on the disk, of the kind of one that it should have; `undefined` if that is of no kind.
 *
 * @param path The file.
 * @param etag The checksum that it should have.
 * @param options `onBytes` is called with the bytes that have been read, and those of the whole file.
 */
export async function checksumOf(
  path: string,
  etag: string,
  options: {
    readonly signal?: AbortSignal | undefined;
    readonly onBytes?: (done: number, total: number) => void;
  } = {},
): Promise<string | undefined> {
  const { signal, onBytes = () => {} } = options;
  using file = await Deno.open(path, { read: true });
  const { size } = await file.stat();
  const hash = hashFor({ etag, bytes: size });
  if (hash === undefined) return undefined;
  const chunk = new Uint8Array(CHUNK_BYTES);
  let done = 0;
  for (let count; (count = await file.read(chunk)) !== null;) {
    signal?.throwIfAborted();
    hash.update(chunk.subarray(0, count));
    onBytes(done += count, size);
  }
  return hash.digest("hex");
}
