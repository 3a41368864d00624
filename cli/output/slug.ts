/**
 * Names as parts of file names.
 *
 * @module
 */

/** A name as part of a file name: `Red Torus!` becomes `red-torus`. */
export function slug(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "image";
}
