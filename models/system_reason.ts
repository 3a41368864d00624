/**
 * Why the operating system refused a file, in words for people. Which file it was, and what was to be done
 * with it, is left to whoever reports it.
 *
 * @module
 */

/** What the codes of POSIX mean to whoever named the file. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EBUSY: "it is in use",
  EDQUOT: "the disk quota is used up",
  EEXIST: "it exists already",
  EFBIG: "it is too large for the disk",
  EIO: "the disk failed",
  EISDIR: "it is a folder",
  ELOOP: "its links lead in a circle",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "its name is too long",
  ENFILE: "too many files are open",
  ENOENT: "no such file",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of its path is a file and no folder",
  ENOTEMPTY: "the folder is not empty",
  EPERM: "permission denied",
  EROFS: "the disk can only be read",
  ETXTBSY: "it is being run",
};

/**
 * The reason why something failed: of the operating system's errors in words, without numbers and names of
 * calls, and of any other error its message.
 *
 * @example
 * ```ts
 * import { systemReason } from "./system_reason.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const failure = await Deno.readFile(".").catch((error) => error);
 * assertEquals(systemReason(failure), "it is a folder");
 * assertEquals(systemReason(new Error("no PNG")), "no PNG");
 * ```
 */
export function systemReason(error: unknown): string {
  const { message, code } = (error instanceof Error ? error : new Error(String(error))) as Error & {
    readonly code?: unknown;
  };
  if (message.includes("unexpected NUL byte")) return "its name holds a NUL character";
  const [, words] = /^(.*?) \(os error \d+\)/.exec(message) ?? [];
  if (typeof code !== "string" || (words === undefined && REASONS[code] === undefined)) return message;
  return REASONS[code] ?? words!.toLowerCase();
}
