/**
 * Lays pictures of equal size out in rows and columns, with captions, row titles and a title, as one picture:
 * what a notebook or a report shows of several images at once. The letters come from the font in `glyphs.ts`.
 *
 * @module
 */

import { mustBe, requireInteger, requireList, requireObject } from "../../kernels/arguments.ts";
import type { PictureSize } from "../../models/schedule.ts";
import { drawImage, drawLines, fillRectangle, LINE_PITCH, type Rgb } from "./drawing.ts";
import { CAP_HEIGHT, textWidth, wrapText } from "./glyphs.ts";
import { RgbaImage } from "./image.ts";

const ACTION = "draw a grid";

/** One picture of a grid. */
export interface GridCell {
  /** The picture; all of a grid have the same size. */
  readonly image: RgbaImage;
  /** The text beneath it, on up to two lines; what is longer is shortened with `…`. */
  readonly caption?: string;
}

/**
 * How many times larger a picture is shown, so that small ones can be looked at: to about 192 pixels, and
 * never smaller than it is.
 *
 * @example
 * ```ts
 * import { viewScale } from "./grid.ts";
 * import { RgbaImage } from "./image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([64, 256].map((size) => viewScale(new RgbaImage(size, size))), [3, 1]);
 * ```
 */
export function viewScale({ width }: RgbaImage): number {
  return Math.max(1, Math.round(192 / width));
}

/**
 * A picture stretched to another size, each pixel taken from the nearest one: so that pictures of different
 * sizes, such as previews of a model whose scales grow, can stand in one grid.
 *
 * @throws {RangeError} If a size is no integer >= 1.
 *
 * @example
 * ```ts
 * import { stretchImage } from "./grid.ts";
 * import { RgbaImage } from "./image.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const dots = new RgbaImage(2, 1, new Uint8Array([1, 1, 1, 255, 2, 2, 2, 255]));
 * const wide = stretchImage(dots, { width: 4, height: 1 });
 * assertEquals([0, 1, 2, 3].map((x) => wide.data[4 * x]), [1, 1, 2, 2]);
 * ```
 */
export function stretchImage(image: RgbaImage, { width, height }: PictureSize): RgbaImage {
  requireInteger(width, "width", "stretch the picture", { min: 1 });
  requireInteger(height, "height", "stretch the picture", { min: 1 });
  const stretched = new RgbaImage(width, height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * image.height / height) * image.width;
    for (let x = 0; x < width; x++) {
      const from = 4 * (row + Math.floor((x + 0.5) * image.width / width));
      stretched.data.set(image.data.subarray(from, from + 4), 4 * (y * width + x));
    }
  }
  return stretched;
}

/** How {@linkcode gridImage} lays pictures out. */
export interface GridOptions {
  /** Pictures in a row. Fewer pictures than that make a narrower grid. */
  columns: number;
  /** Whether captions are drawn. Default: true. */
  captions?: boolean;
  /** A text to the left of each row, one per row, on as many lines as fit beside it. Default: none. */
  rowTitles?: readonly string[];
  /** A text above the grid, on up to two lines. Default: none. */
  title?: string;
  /**
   * Pixels between pictures, and around the grid. Default: a sixteenth of a scaled picture, and at least 8.
   */
  gap?: number;
  /** How many pixels wide and high each pixel of a picture becomes. Default: 1. */
  scale?: number;
  /** The color behind everything, as `#rrggbb`. Default: `#fafafa`. */
  background?: string;
  /** The color of the letters, as `#rrggbb`. Default: `#3a3a3a`. */
  ink?: string;
}

/** Rows of the font between a picture and its caption. */
const CAPTION_SPACE = 4;

/**
 * Draws a list of pictures, row by row, as one opaque picture.
 *
 * Each pixel of the 5×7 font becomes a square whose side is the width of a scaled picture over 128, rounded
 * down and at least 1. Without captions and titles, the picture in row `r` and column `c` has its top left
 * corner at `x = gap + c * (width * scale + gap)`, `y = gap + r * (height * scale + gap)`. With them,
 * pictures move down and to the right, and texts never cover a picture or one another.
 *
 * @throws {RangeError} If there are no pictures, their sizes differ, there is not one row title per row, or
 * an option is out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gridImage } from "./grid.ts";
 * import { RgbaImage } from "./image.ts";
 *
 * const cells = Array.from({ length: 6 }, () => ({ image: new RgbaImage(64, 64) }));
 * const grid = gridImage(cells, { columns: 3, gap: 10 });
 * assertEquals([grid.width, grid.height], [4 * 10 + 3 * 64, 3 * 10 + 2 * 64]);
 * ```
 */
export function gridImage(cells: readonly GridCell[], options: GridOptions): RgbaImage {
  const { captions = true, rowTitles = [], title = "", scale = 1 } = requireObject(
    options,
    "the options",
    ACTION,
  );
  const [first] = requireList(cells, "cells", ACTION, "a list of images with captions");
  if (first === undefined) throw new RangeError("Cannot draw a grid as there are no images");
  const { width, height } = first.image;
  for (const { image } of cells) {
    if (image.width !== width || image.height !== height) {
      throw new RangeError(
        `Cannot draw a grid as all images must have the same size: ` +
          `current sizes are ${width}×${height} and ${image.width}×${image.height}`,
      );
    }
  }
  requireInteger(options.columns, "columns", ACTION, { min: 1 });
  requireInteger(scale, "scale", ACTION, { min: 1 });
  const cellWidth = width * scale;
  const cellHeight = height * scale;
  const gap = options.gap ?? Math.max(8, Math.floor(cellWidth / 16));
  requireInteger(gap, "gap", ACTION, { min: 0 });
  const columns = Math.min(options.columns, cells.length);
  const rows = Math.ceil(cells.length / columns);
  if (rowTitles.length !== 0 && rowTitles.length !== rows) {
    throw new RangeError(
      `Cannot draw a grid as there must be one row title for each of ${rows} rows: current number is ${rowTitles.length}`,
    );
  }
  const background = parseColor("background", options.background ?? "#fafafa");
  const ink = parseColor("ink", options.ink ?? "#3a3a3a");

  // 128 pixels hold some 24 letters of the font as it is: enough for most captions.
  const size = Math.max(1, Math.floor(cellWidth / 128));
  const pitch = LINE_PITCH * size;
  const perCell = Math.floor(cellWidth / size);
  const captionLines = cells.map(({ caption }) =>
    captions ? wrapText(caption ?? "", { width: perCell, lines: 2 }) : []
  );
  const captionRows = Math.max(...captionLines.map((lines) => lines.length));
  const captionHeight = captionRows === 0 ? 0 : CAPTION_SPACE * size + captionRows * pitch;
  const rowTitleLines = rowTitles.map((text) =>
    wrapText(text, { width: perCell, lines: Math.floor(cellHeight / pitch) })
  );
  const rowTitleWidth = size * Math.max(0, ...rowTitleLines.flat().map(textWidth));

  const left = rowTitleWidth === 0 ? gap : rowTitleWidth + 2 * gap;
  const total = left + columns * (cellWidth + gap);
  const inner = total - 2 * gap;
  const large = size + Math.ceil(size / 2);
  const titleSize = large * textWidth(title) <= inner ? large : size;
  const titleLines = wrapText(title, { width: Math.floor(inner / titleSize), lines: 2 });
  const top = titleLines.length === 0 ? gap : titleLines.length * LINE_PITCH * titleSize + 2 * gap;

  const grid = new RgbaImage(total, top + rows * (cellHeight + captionHeight + gap));
  fillRectangle(grid, { x: 0, y: 0, width: grid.width, height: grid.height }, background);
  drawLines(grid, titleLines, { x: gap, y: gap, size: titleSize, ink });
  for (const [row, lines] of rowTitleLines.entries()) {
    const used = (lines.length - 1) * pitch + CAP_HEIGHT * size;
    const middle = top + row * (cellHeight + captionHeight + gap) + Math.floor((cellHeight - used) / 2);
    drawLines(grid, lines, { x: gap, y: middle, size, ink });
  }
  for (const [i, { image }] of cells.entries()) {
    const x = left + (i % columns) * (cellWidth + gap);
    const y = top + Math.floor(i / columns) * (cellHeight + captionHeight + gap);
    drawImage(grid, image, { x, y, scale });
    drawLines(grid, captionLines[i]!, { x, y: y + cellHeight + CAPTION_SPACE * size, size, ink });
  }
  return grid;
}

function parseColor(name: string, value: string): Rgb {
  const [, red, green, blue] = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(value) ?? [];
  if (red === undefined || green === undefined || blue === undefined) {
    throw new RangeError(mustBe("a color like #fafafa", value, name, ACTION));
  }
  return [parseInt(red, 16), parseInt(green, 16), parseInt(blue, 16)];
}
