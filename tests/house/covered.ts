/**
 * Which test covers a source file that has none of its own.
 *
 * @module
 */

/** The test by the path of the file. */
export const COVERED: Readonly<Record<string, string>> = {};
