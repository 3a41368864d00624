/**
 * What people take for a checkpoint and is none: told by its beginning or its members, with what to do about
 * it. Nothing here is read any further.
 *
 * @module
 */

import { shown } from "../../kernels/arguments.ts";

/** What a file is instead of a checkpoint. */
export interface Misfit {
  /** What is wanted, or what to do. */
  readonly expected: string;
  /** What it is. */
  readonly found: string;
}

const SAVE_AGAIN =
  "a zip archive; load it with torch.load and save it again with torch.save (PyTorch 1.6 or later)";
const STATE_DICT = "a state dict; load it with torch.jit.load and save its state_dict() with torch.save";
const ITSELF = "the file itself";
const CHECKPOINT = "a .pth or .safetensors file";
const UNPACKED = "what is in it; unpack it first";

/** First bytes, one character each, and what has them. */
const BEGINNINGS: readonly (Misfit & { readonly start: string; readonly at?: number })[] = [
  { start: "\x80", expected: SAVE_AGAIN, found: "a bare pickle" },
  { start: "ustar", at: 257, expected: SAVE_AGAIN, found: "a TAR archive" },
  { start: "sys_info\0", expected: SAVE_AGAIN, found: "a TAR archive" },
  { start: "\x1f\x8b", expected: UNPACKED, found: "a gzip archive" },
  { start: "\x28\xb5\x2f\xfd", expected: UNPACKED, found: "a Zstandard archive" },
  { start: "\xfd7zXZ\0", expected: UNPACKED, found: "an xz archive" },
  { start: "BZh", expected: UNPACKED, found: "a bzip2 archive" },
  { start: "7z\xbc\xaf\x27\x1c", expected: UNPACKED, found: "a 7z archive" },
  { start: "Rar!\x1a\x07", expected: UNPACKED, found: "a RAR archive" },
  { start: "GGUF", expected: CHECKPOINT, found: "a GGUF file" },
  { start: "\x89HDF\r\n", expected: CHECKPOINT, found: "an HDF5 file" },
  { start: "\x93NUMPY", expected: CHECKPOINT, found: "a NumPy array" },
  { start: "\x89PNG\r\n", expected: CHECKPOINT, found: "a PNG picture" },
  { start: "\xff\xd8\xff", expected: CHECKPOINT, found: "a JPEG picture" },
];

/** Characters of a text that a message repeats. */
const SHOWN_CHARACTERS = 60;

/**
 * What a file is, by its first bytes; `undefined` if they may begin a checkpoint, or anything.
 *
 * @param head The first 512 bytes, or all if there are fewer.
 *
 * @example
 * ```ts
 * import { misfitOf } from "./misfits.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const answer = new TextEncoder().encode("Entry not found");
 * assertEquals(misfitOf(answer)?.found, 'a text that begins with "Entry not found"');
 * assertEquals(misfitOf(new Uint8Array(16)), undefined);
 * ```
 */
export function misfitOf(head: Uint8Array): Misfit | undefined {
  // A text may begin like an archive, but no archive goes on like a text.
  const text = textOf(head);
  if (text !== undefined) return textMisfit(text);
  const bytes = String.fromCharCode(...head.subarray(0, 512));
  return BEGINNINGS.find(({ start, at = 0 }) => bytes.startsWith(start, at));
}

function textMisfit(text: string): Misfit {
  const begins = `that begins with ${shown(text.slice(0, SHOWN_CHARACTERS))}`;
  if (text.startsWith("version https://git-lfs")) {
    return { expected: ITSELF, found: `a Git LFS pointer to it (run git lfs pull) ${begins}` };
  }
  if (text.startsWith("<")) return { expected: ITSELF, found: `a web page or XML ${begins}` };
  if (/^[{[]/.test(text)) {
    if (text.includes('"varscale-model"')) {
      return {
        expected: "a checkpoint, or the folder that it lies in",
        found: "the description of a model folder",
      };
    }
    if (text.includes('"weight_map"')) {
      return {
        expected: "its path or address, as the shards lie beside it, with a name that ends in .index.json",
        found: "an index of shards",
      };
    }
    return { expected: CHECKPOINT, found: `JSON ${begins}` };
  }
  return { expected: CHECKPOINT, found: `a text ${begins}` };
}

/** The text that bytes are, without white space before it; `undefined` if they are none. */
function textOf(head: Uint8Array): string | undefined {
  try {
    // The last character may have been cut.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    // deno-lint-ignore no-control-regex
    return text.trim() === "" || /[\x00-\x08\x0e-\x1f\x7f]/.test(text) ? undefined : text.trimStart();
  } catch {
    return undefined;
  }
}

/** What a zip archive is, by the names of its members; `undefined` if it may be a checkpoint. */
export function archiveMisfit(names: readonly string[]): Misfit | undefined {
  if (names.some((name) => /^[^/]+\/(code\/|constants\.pkl$)/.test(name))) {
    return { expected: STATE_DICT, found: "a TorchScript archive, which is a program with its weights" };
  }
  if (names.some((name) => /^([^/]+\/)?archive_format$/.test(name))) {
    return {
      expected: "a state dict; save the module's state_dict() with torch.save",
      found: "an exported program (.pt2)",
    };
  }
  if (names.length > 0 && names.every((name) => name.endsWith(".npy"))) {
    return { expected: CHECKPOINT, found: "an archive of NumPy arrays (.npz)" };
  }
  return undefined;
}
