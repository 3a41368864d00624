/**
 * The one error of everything that is read from model files: checkpoints, graphs, folders. It says which
 * file, and where it applies which tensor, and what was expected and found.
 *
 * @module
 */

/** What a {@linkcode ModelFileError} carries beside its message. */
export interface ModelFileErrorDetails {
  /** Path or URL of the file. */
  file: string;
  /** Name of the tensor or archive member the error is about. */
  tensor?: string;
  /** What was wanted, for example a shape or a type. */
  expected?: string;
  /** What the file holds instead. */
  found?: string;
  /** The error that led to this one. */
  cause?: unknown;
}

/**
 * A model file that cannot be used: truncated, corrupted, of an unknown kind, or with tensors of other shapes
 * than the model needs.
 *
 * @example Telling a broken file from a programming error
 * ```ts
 * import { ModelFileError } from "./model_file_error.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new ModelFileError("Cannot read the tensor", {
 *   file: "vae.pth",
 *   expected: "[4]",
 *   found: "[3]",
 * });
 * assertEquals(error.message, "Cannot read the tensor: vae.pth (expected [4], found [3])");
 * ```
 */
export class ModelFileError extends Error {
  /** Name of the class, which survives minification. */
  override readonly name = "ModelFileError";
  /** Path or URL of the file. */
  readonly file: string;
  /** Name of the tensor or archive member the error is about. */
  readonly tensor: string | undefined;
  /** What was wanted. */
  readonly expected: string | undefined;
  /** What the file holds instead. */
  readonly found: string | undefined;

  /**
   * Makes the error.
   *
   * @param action What could not be done, without a final period.
   * @param details What it is about.
   */
  constructor(action: string, details: ModelFileErrorDetails) {
    const { file, tensor, expected, found, cause } = details;
    const place = tensor === undefined ? file : `${file}, ${tensor}`;
    const facts = [
      ...(expected === undefined ? [] : [`expected ${expected}`]),
      ...(found === undefined ? [] : [`found ${found}`]),
    ].join(", ");
    super(`${action}: ${place}${facts === "" ? "" : ` (${facts})`}`, cause === undefined ? {} : { cause });
    this.file = file;
    this.tensor = tensor;
    this.expected = expected;
    this.found = found;
  }
}

/** Characters of a value that an error tells. */
const TOLD_CHARACTERS = 80;

/**
 * A value of a file as what was found: a text as it is, anything else by the beginning of its JSON.
 *
 * @example
 * ```ts
 * import { asFound } from "./model_file_error.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["BPE", [1, 2], undefined].map(asFound), ["BPE", "[1,2]", "nothing"]);
 * ```
 */
export function asFound(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)?.slice(0, TOLD_CHARACTERS) ?? "nothing";
}
