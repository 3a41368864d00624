/**
 * Drawing on a picture: other pictures, letters of the font in `glyphs.ts`, and rectangles. Where what goes
 * is left to the sheets that are made of them.
 *
 * @module
 */

import { glyphOf } from "./glyphs.ts";
import type { RgbaImage } from "./image.ts";

/** A color: red, green and blue from 0 to 255. */
export type Rgb = readonly [number, number, number];

/** Rows of the font from one line to the next. */
export const LINE_PITCH = 10;

/** A part of a picture in pixels. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Draws a picture over what is there, of which `opacity` lets some through. */
export function drawImage(
  to: RgbaImage,
  image: RgbaImage,
  at: { readonly x: number; readonly y: number; readonly scale?: number; readonly opacity?: number },
): void {
  const { scale = 1, opacity = 1 } = at;
  for (let y = 0; y < image.height * scale; y++) {
    for (let x = 0; x < image.width * scale; x++) {
      const source = 4 * (Math.floor(y / scale) * image.width + Math.floor(x / scale));
      const target = 4 * ((at.y + y) * to.width + at.x + x);
      const alpha = opacity * image.data[source + 3]! / 255;
      for (let c = 0; c < 3; c++) {
        // The array rounds; an opaque pixel is copied exactly.
        to.data[target + c] = alpha * image.data[source + c]! + (1 - alpha) * to.data[target + c]!;
      }
    }
  }
}

/** Draws lines of text from a top left corner on, each pixel of the font as a square of `size` pixels. */
export function drawLines(
  to: RgbaImage,
  lines: readonly string[],
  at: { readonly x: number; readonly y: number; readonly size: number; readonly ink: Rgb },
): void {
  const { size } = at;
  for (const [i, line] of lines.entries()) {
    let { x } = at;
    for (const character of line) {
      const glyph = glyphOf(character);
      for (const [r, row] of glyph.rows.entries()) {
        const y = at.y + (i * LINE_PITCH + r) * size;
        for (let c = 0; c < glyph.width; c++) {
          if (row[c] !== "#") continue;
          fillRectangle(to, { x: x + c * size, y, width: size, height: size }, at.ink);
        }
      }
      x += (glyph.width + 1) * size;
    }
  }
}

/** Fills a part that lies within the picture. */
export function fillRectangle(to: RgbaImage, part: Rectangle, [red, green, blue]: Rgb): void {
  const { data, width } = to;
  for (let y = part.y; y < part.y + part.height; y++) {
    const end = 4 * (y * width + part.x + part.width);
    for (let at = 4 * (y * width + part.x); at < end; at += 4) {
      data[at] = red;
      data[at + 1] = green;
      data[at + 2] = blue;
    }
  }
}
