/**
 * A picture as the output of a notebook's cell: itself, or where it is too large, a link to its file and a
 * smaller one.
 *
 * @module
 */

import { fits, keepFile, linkTo, type MimeBundle, OUTPUT_FOLDER } from "./output.ts";

/** What is known of a picture: its pixels, and how pixels become a file. */
export interface Pixels {
  /** Pixels in a row. */
  readonly width: number;
  /** Number of rows. */
  readonly height: number;
  /** Red, green, blue and alpha of each. */
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Longest side of what is shown of a picture that is too large; twice its raw bytes in base64 still fit. */
const SMALL_SIDE = 720;

/**
 * What a notebook shows of a picture.
 *
 * @param picture The picture.
 * @param encode Makes a PNG file.
 * @param folder Where files of large ones go.
 */
export function pictureOutput(
  picture: Pixels,
  encode: (picture: Pixels) => Uint8Array<ArrayBuffer>,
  folder: string = OUTPUT_FOLDER,
): MimeBundle {
  const png = encode(picture);
  const size = `${picture.width}×${picture.height} image`;
  const whole = { "image/png": png.toBase64(), "text/plain": size };
  if (fits(whole)) return whole;
  const { html, plain } = linkTo(keepFile(png, "png", folder), size);
  const small = encode(shrink(picture)).toBase64();
  return {
    "image/png": small,
    "text/plain": plain,
    "text/html": `${html}<img alt="${size}, smaller" src="data:image/png;base64,${small}">`,
  };
}

/** The picture at a whole fraction of its size: each pixel is the mean of a square, cut at the edges. */
export function shrink({ width, height, data }: Pixels, side: number = SMALL_SIDE): Pixels {
  const step = Math.ceil(Math.max(width, height) / side);
  const small = { width: Math.ceil(width / step), height: Math.ceil(height / step) };
  const pixels = new Uint8ClampedArray(small.width * small.height * 4);
  const sums = new Float64Array(4);
  for (let y = 0, to = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++, to += 4) {
      sums.fill(0);
      const [right, bottom] = [Math.min(width, (x + 1) * step), Math.min(height, (y + 1) * step)];
      for (let row = y * step; row < bottom; row++) {
        for (let at = 4 * (row * width + x * step); at < 4 * (row * width + right); at += 4) {
          // What is transparent has no colour to add.
          const alpha = data[at + 3]!;
          for (let channel = 0; channel < 3; channel++) sums[channel]! += data[at + channel]! * alpha;
          sums[3]! += alpha;
        }
      }
      const count = (right - x * step) * (bottom - y * step);
      for (let channel = 0; channel < 3; channel++) {
        pixels[to + channel] = sums[3] === 0 ? 0 : sums[channel]! / sums[3]!;
      }
      pixels[to + 3] = sums[3]! / count;
    }
  }
  return { ...small, data: pixels };
}
