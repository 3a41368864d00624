/**
 * From the bytes of a picture's file to the picture: PNG, JPEG and WebP, turned as their camera was held.
 * Everything else is refused by the name of what it is.
 *
 * @module
 */

import { mustBe, shown } from "../../kernels/arguments.ts";
import { loadJpegDecoder, loadWebpDecoder } from "./codecs.ts";
import { fileKind } from "./file_kind.ts";
import { MAX_SIDE, RgbaImage } from "./image.ts";
import { exifOrientation, type Orientation, turned } from "./orientation.ts";

const ACTION = "decode the picture";

/** What stands before Exif data in a JPEG file, and in some WebP files. */
const EXIF = "Exif\0\0";

/** Markers of JPEG (ITU-T T.81, table B.1). */
const FIRST_FRAME = 0xc0;
const LAST_HUFFMAN_FRAME = 0xc2;
const LAST_FRAME = 0xcf;
/** Tables and an extension, in the middle of the frames. */
const NO_FRAMES = [0xc4, 0xc8, 0xcc];
const SCAN = 0xda;
const APP1 = 0xe1;
/** Any number of these may stand before a marker. */
const FILL = 0xff;

/** What stands before the chunks of a PNG file. */
const PNG_SIGNATURE_BYTES = 8;

/** The bit in the extended header of a WebP file that says it is an animation. */
const WEBP_ANIMATION = 0b10;

/**
 * Reads a picture's file: PNG as `RgbaImage.decode` does, JPEG and WebP with sides of at most 16384 pixels.
 * The pixels of these are those that Pillow reads. All are turned as Exif data say, as by Pillow's
 * `ImageOps.exif_transpose`. Color profiles are not applied. The decoders of JPEG and WebP are fetched from
 * npm when the first such file is read, and kept in Deno's cache.
 *
 * @param bytes The file.
 * @throws {TypeError} If it is no whole and valid file of these kinds, an animation, or a JPEG that is not in
 * gray or RGB; the message names what it is.
 * @throws {Error} If a decoder cannot be fetched.
 *
 * @example
 * ```ts
 * import { decodeImage, RgbaImage } from "../mod.ts";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * // const photo = await decodeImage(await Deno.readFile("photo.jpg"));
 * const image = await decodeImage(new RgbaImage(3, 2).png());
 * assertEquals([image.width, image.height], [3, 2]);
 * await assertRejects(() => decodeImage(new TextEncoder().encode("GIF89a")), TypeError, "it is a GIF");
 * ```
 */
export async function decodeImage(bytes: Uint8Array): Promise<RgbaImage> {
  if (!(bytes instanceof Uint8Array)) throw new TypeError(mustBe("a Uint8Array", bytes, "it", ACTION));
  const kind = fileKind(bytes);
  if (kind === "a PNG") {
    const image = RgbaImage.decode(bytes);
    return turned(image, orientationOf(pngExif(bytes)));
  }
  if (kind !== "a JPEG" && kind !== "a WebP") throw new TypeError(`Cannot ${ACTION} as ${unreadable(bytes)}`);
  const attempt = <Value>(step: () => Value): Value => {
    try {
      return step();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TypeError(`Cannot decode the ${kind.slice(2)} of ${bytes.length} bytes: ${reason}`, {
        cause,
      });
    }
  };
  const orientation = attempt(() => kind === "a JPEG" ? checkJpeg(bytes) : checkWebp(bytes));
  const decode = await (kind === "a JPEG" ? loadJpegDecoder() : loadWebpDecoder());
  const { width, height, data } = attempt(() => decode(bytes));
  return turned(new RgbaImage(width, height, data), orientation);
}

/** Why a file that is no PNG, JPEG or WebP is not read. */
function unreadable(bytes: Uint8Array): string {
  if (bytes.length === 0) return "the file is empty";
  const kind = fileKind(bytes);
  if (kind !== undefined) return `it is ${kind}: PNG, JPEG and WebP can be read`;
  return `it is no PNG, JPEG or WebP, and begins with ${
    shown(new TextDecoder().decode(bytes.subarray(0, 16)))
  }`;
}

/** Refuses a JPEG file that is not decoded, and tells how the others are turned. */
function checkJpeg(bytes: Uint8Array): Orientation {
  const { frame, exif } = jpegHeader(bytes);
  requireDecodable(bytes, frame);
  return orientationOf(exif);
}

/** Refuses a WebP file that is not decoded, and tells how the others are turned. */
function checkWebp(bytes: Uint8Array): Orientation {
  let exif: Uint8Array | undefined;
  for (const { name, data } of webpChunks(bytes)) {
    if (name === "VP8X" && (data[0]! & WEBP_ANIMATION) !== 0) {
      throw new Error("it is an animation, of which no single picture is taken");
    }
    if (name === "EXIF") exif ??= data;
  }
  return orientationOf(exif);
}

function orientationOf(exif: Uint8Array | undefined): Orientation {
  if (exif === undefined) return 1;
  const prefixed = textOf(exif.subarray(0, EXIF.length)) === EXIF;
  return exifOrientation(prefixed ? exif.subarray(EXIF.length) : exif);
}

/** The Exif data of a PNG file that is whole; of several the last, as Pillow has it. */
function pngExif(bytes: Uint8Array): Uint8Array | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let exif: Uint8Array | undefined;
  for (let at = PNG_SIGNATURE_BYTES, name = ""; name !== "IEND" && at + 12 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at);
    name = textOf(bytes.subarray(at + 4, at + 8));
    if (name === "eXIf") exif = bytes.subarray(at + 8, end);
    // A checksum stands behind what a chunk holds.
    at = end + 4;
  }
  return exif;
}

/** What a frame's header says. */
interface JpegFrame {
  /** Its marker. */
  readonly marker: number;
  /** Bits per sample. */
  readonly bits: number;
  readonly width: number;
  readonly height: number;
  /** 1 for gray, 3 for color, 4 for the inks of a printer. */
  readonly components: number;
}

/** What a JPEG file says before its first pixels. */
function jpegHeader(bytes: Uint8Array): { readonly frame: JpegFrame; readonly exif: Uint8Array | undefined } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: JpegFrame | undefined;
  let exif: Uint8Array | undefined;
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!;
    if (marker === SCAN) break;
    if (marker === FILL) {
      at++;
      continue;
    }
    const segment = bytes.subarray(at + 4, at + 2 + view.getUint16(at + 2));
    if (marker === APP1 && textOf(segment.subarray(0, EXIF.length)) === EXIF) exif ??= segment;
    if (marker >= FIRST_FRAME && marker <= LAST_FRAME && !NO_FRAMES.includes(marker) && segment.length >= 6) {
      const height = view.getUint16(at + 5);
      frame ??= { marker, bits: segment[0]!, width: view.getUint16(at + 7), height, components: segment[5]! };
    }
    at += 2 + view.getUint16(at + 2);
  }
  if (frame === undefined) throw new Error("it ends too early, or is damaged");
  return { frame, exif };
}

/** Refuses what libjpeg would not decode, or only after it has taken all memory. */
function requireDecodable(bytes: Uint8Array, { marker, bits, width, height, components }: JpegFrame): void {
  if (marker > LAST_HUFFMAN_FRAME) {
    throw new Error("it is lossless, or coded by arithmetic, which few programs read");
  }
  if (bits !== 8) throw new Error(`it has ${bits} bits per channel, and only 8 are read`);
  if (components === 4) throw new Error("it is in CMYK, for printers: convert it to RGB first");
  if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new Error(`its sides must be from 1 to ${MAX_SIDE}, and are ${width}×${height}`);
  }
  // One component at least has a block for each 8×8 pixels, and no block takes less than a bit.
  if (bytes.length < width * height / 64 / 8) throw new Error("it ends too early, or is damaged");
}

/** The chunks of a WebP file, as far as they are whole. */
function* webpChunks(bytes: Uint8Array): Iterable<{ readonly name: string; readonly data: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 < bytes.length;) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > bytes.length) return;
    yield { name: textOf(bytes.subarray(at, at + 4)), data: bytes.subarray(at + 8, end) };
    // Chunks begin at even bytes.
    at = end + end % 2;
  }
}

/** Bytes as characters, each its own. */
function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
