/**
 * The one error of everything that is got from the Hugging Face hub: it says why, in a word for programs and
 * in a sentence with a cure for people.
 *
 * @module
 */

/**
 * Why a file could not be got:
 *
 * - `"missing"`: the hub has no such repository, revision or file,
 * - `"denied"`: it wants a token, or another one, or that a licence is accepted first,
 * - `"unreachable"`: no connection, a server in trouble, or a transfer that broke off too often,
 * - `"offline"`: the hub must not be asked, and the cache does not hold the file,
 * - `"corrupt"`: what came is not what the hub promised,
 * - `"full"`: the disk has no room.
 */
export type HubFailure = "missing" | "denied" | "unreachable" | "offline" | "corrupt" | "full";

/**
 * A file that could not be got from the Hugging Face hub.
 *
 * @example Telling a missing file from a missing network
 * ```ts
 * import { HubError, hubFile, parseHubPlace } from "./mod.ts";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const place = parseHubPlace("hf:FoundationVision/var")!;
 * const cacheFolder = await Deno.makeTempDir();
 * const error = await assertRejects(
 *   () => hubFile(place, "var_d16.pth", { cacheFolder, offline: true }),
 *   HubError,
 * );
 * assertEquals(error.reason, "offline");
 * await Deno.remove(cacheFolder);
 * ```
 */
export class HubError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "HubError";
  /** Why. */
  readonly reason: HubFailure;
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined;

  /**
   * Makes the error.
   *
   * @param reason Why, for programs.
   * @param message Why and what to do, for people.
   */
  constructor(reason: HubFailure, message: string, details: { cause?: unknown; retryAfter?: number } = {}) {
    const { cause, retryAfter } = details;
    super(message, cause === undefined ? {} : { cause });
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}
