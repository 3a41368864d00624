/**
 * What tells the files of a network from others, for records.
 *
 * @module
 */

import { checkpointFile } from "../checkpoint/checkpoint_folder.ts";
import { isShardIndex, shardPlaces, shardsSha256 } from "../checkpoint/shards.ts";
import { addressOf, isOnWeb, openSource, sha256, sourceSha256 } from "../checkpoint/source.ts";

/**
 * A SHA-256 of files: of theirs, in the order in which they are given.
 *
 * @param files Paths, addresses or contents; what is not there is left out.
 * @returns `undefined` if one is on a web server, from which it would have to come once more.
 *
 * @example
 * ```ts
 * import { fingerprintOf } from "./fingerprint.ts";
 * import { assertEquals, assertNotEquals } from "@std/assert";
 *
 * const [one, other] = [new Uint8Array([1]), new Uint8Array([2])];
 * assertEquals(await fingerprintOf([one, undefined]), await fingerprintOf([one]));
 * assertNotEquals(await fingerprintOf([one, other]), await fingerprintOf([other, one]));
 * ```
 */
export async function fingerprintOf(
  files: readonly (string | URL | Uint8Array | undefined)[],
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string | undefined> {
  const hashes: string[] = [];
  for (const file of files) {
    if (file === undefined) continue;
    const address = file instanceof Uint8Array ? undefined : addressOf(file);
    if (address !== undefined && isOnWeb(address)) return undefined;
    const place = await checkpointFile(file, options);
    const parts = isShardIndex(place) ? await shardPlaces(place, options) : [place];
    const own: string[] = [];
    for (const part of parts) {
      using source = await openSource(part, options);
      own.push(await sourceSha256(source));
    }
    hashes.push(own.length === 1 ? own[0]! : shardsSha256(own));
  }
  return await sha256(new TextEncoder().encode(hashes.join("\n")));
}
