/**
 * What kind of file some bytes are, by how they begin: so that a file that is no picture, or one of a kind
 * that is not read here, can be told by its name.
 *
 * @module
 */

/** How files begin; a dot stands for any byte. */
const BEGINNINGS: readonly (readonly [kind: string, beginning: string])[] = [
  ["a PNG", "\x89PNG\r\n\x1a\n"],
  ["a JPEG", "\xff\xd8\xff"],
  ["a WebP", "RIFF....WEBP"],
  ["an AVIF", "....ftypavif"],
  ["an AVIF", "....ftypavis"],
  ["a HEIC", "....ftyphei"],
  ["a HEIC", "....ftyphev"],
  ["a HEIF", "....ftypmif1"],
  ["a GIF", "GIF8"],
  ["a TIFF", "II*\0"],
  ["a TIFF", "MM\0*"],
  ["a JPEG XL", "\xff\x0a"],
  ["a JPEG XL", "\0\0\0\x0cJXL "],
  ["a JPEG 2000", "\0\0\0\x0cjP  "],
  ["a Photoshop file", "8BPS"],
  ["an icon", "\0\0\x01\0"],
  ["a QOI", "qoif"],
  ["a video", "....ftyp"],
  ["a PDF", "%PDF"],
  ["a zip archive", "PK\x03\x04"],
  ["an SVG", "<svg"],
  ["a page of HTML", "<!doctype html"],
  ["a page of HTML", "<!DOCTYPE html"],
  ["a page of HTML", "<html"],
  ["an XML file", "<?xml"],
  ["a pointer of Git LFS", "version https://git-lfs"],
  // Two letters are little to go by, so this comes last.
  ["a BMP", "BM"],
];

/**
 * The kind of a file with its article, such as `"a JPEG"`, or `undefined` if it is unknown.
 *
 * @example
 * ```ts
 * import { fileKind } from "./file_kind.ts";
 * import { RgbaImage } from "./image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(fileKind(new RgbaImage(1, 1).png()), "a PNG");
 * assertEquals(fileKind(new TextEncoder().encode("GIF89a")), "a GIF");
 * assertEquals(fileKind(new Uint8Array(20)), undefined);
 * ```
 */
export function fileKind(bytes: Uint8Array): string | undefined {
  const found = BEGINNINGS.find(([, beginning]) => {
    return bytes.length >= beginning.length && beginning.split("").every((character, i) => {
      return character === "." || bytes[i] === character.charCodeAt(0);
    });
  });
  return found?.[0];
}
