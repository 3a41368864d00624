/**
 * How a camera was held: the turn that a picture's Exif data ask for, found and carried out. Where a file
 * keeps its Exif data is left to who knows the file.
 *
 * @module
 */

import { RgbaImage } from "./image.ts";

/** The number of Exif's orientation, from 1 (as it is) to 8. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;
const ENTRY_BYTES = 12;

/**
 * The orientation that Exif data name, which are a TIFF file (Exif 3.0, section 4.6.5): 1 where they name
 * none, or are damaged, as the pixels are whole all the same.
 *
 * @param exif The data, from the byte order on.
 */
export function exifOrientation(exif: Uint8Array): Orientation {
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const holds = (end: number): boolean => end <= view.byteLength;
  if (!holds(8)) return 1;
  const order = view.getUint16(0);
  const little = order === 0x4949;
  if (!little && order !== 0x4d4d) return 1;
  const first = view.getUint32(4, little);
  if (!holds(first + 2)) return 1;
  const entries = view.getUint16(first, little);
  for (let i = 0, at = first + 2; i < entries && holds(at + ENTRY_BYTES); i++, at += ENTRY_BYTES) {
    if (view.getUint16(at, little) !== ORIENTATION_TAG || view.getUint16(at + 2, little) !== SHORT) continue;
    const value = view.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value as Orientation : 1;
  }
  return 1;
}

/** The picture as it is to be seen. */
export function turned(image: RgbaImage, orientation: Orientation): RgbaImage {
  if (orientation === 1) return image;
  const { width, height } = image;
  const onSide = orientation >= 5;
  const mirrorsRows = [2, 3, 7, 8].includes(orientation);
  const mirrorsColumns = [3, 4, 6, 7].includes(orientation);
  const result = onSide ? new RgbaImage(height, width) : new RgbaImage(width, height);
  // By whole pixels; only a copy is sure to begin where words may.
  const from = new Uint32Array(image.data.slice().buffer);
  const to = new Uint32Array(result.data.buffer);
  for (let y = 0, at = 0; y < result.height; y++) {
    for (let x = 0; x < result.width; x++, at++) {
      const [column, row] = onSide ? [y, x] : [x, y];
      const sourceColumn = mirrorsRows ? width - 1 - column : column;
      const sourceRow = mirrorsColumns ? height - 1 - row : row;
      to[at] = from[sourceRow * width + sourceColumn]!;
    }
  }
  return result;
}
