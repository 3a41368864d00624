import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { glyphOf, GLYPHS, textWidth, wrapText } from "../../../sampler/pictures/glyphs.ts";
import { type GridCell, gridImage, type GridOptions, stretchImage } from "../../../sampler/pictures/grid.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";

const PAPER = "250,250,250,255";
const INK = "58,58,58,255";

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A picture in which every pixel differs, and none has the color of paper or ink. */
function picture(id: number, width = 32, height = 20): RgbaImage {
  const image = new RgbaImage(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set([i % width, Math.floor(i / width), 100 + id], 4 * i);
  }
  return image;
}

function pixel(image: RgbaImage, x: number, y: number): string {
  return image.data.subarray(4 * (y * image.width + x), 4 * (y * image.width + x) + 4).join();
}

/** The smallest box around all pixels of a color. */
function bounds(image: RgbaImage, color: string, within?: Box): Box | undefined {
  const area = within ?? { x: 0, y: 0, width: image.width, height: image.height };
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let y = area.y; y < area.y + area.height; y++) {
    for (let x = area.x; x < area.x + area.width; x++) {
      if (pixel(image, x, y) !== color) continue;
      [left, right, top, bottom] = [
        Math.min(left, x),
        Math.max(right, x),
        Math.min(top, y),
        Math.max(bottom, y),
      ];
    }
  }
  return left > right ? undefined : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function assertPictureAt(
  grid: RgbaImage,
  image: RgbaImage,
  at: { x: number; y: number; scale?: number },
): void {
  const { x: left, y: top, scale = 1 } = at;
  for (let y = 0; y < image.height * scale; y++) {
    for (let x = 0; x < image.width * scale; x++) {
      const wanted = pixel(image, Math.floor(x / scale), Math.floor(y / scale));
      assertEquals(pixel(grid, left + x, top + y), wanted, `${x}, ${y}`);
    }
  }
}

/** How many pixels are neither paper nor ink. */
function coloredPixels(grid: RgbaImage): number {
  let count = 0;
  for (let i = 0; i < grid.width * grid.height; i++) {
    if (![PAPER, INK].includes(pixel(grid, i % grid.width, Math.floor(i / grid.width)))) count++;
  }
  return count;
}

Deno.test("gridImage places pictures in rows with a gap around each", () => {
  const cells = Array.from({ length: 5 }, (_, i) => ({ image: picture(i) }));
  const grid = gridImage(cells, { columns: 3, gap: 7 });
  assertEquals([grid.width, grid.height], [3 * 32 + 4 * 7, 2 * 20 + 3 * 7]);
  for (const [i, { image }] of cells.entries()) {
    assertPictureAt(grid, image, { x: 7 + (i % 3) * 39, y: 7 + Math.floor(i / 3) * 27 });
  }
  assertEquals(coloredPixels(grid), 5 * 32 * 20);
  assertEquals(bounds(grid, INK), undefined);
});

Deno.test("gridImage repeats each pixel when it scales", () => {
  const cells = [{ image: picture(0) }, { image: picture(1) }];
  const grid = gridImage(cells, { columns: 1, gap: 0, scale: 3 });
  assertEquals([grid.width, grid.height], [96, 120]);
  assertPictureAt(grid, cells[0]!.image, { x: 0, y: 0, scale: 3 });
  assertPictureAt(grid, cells[1]!.image, { x: 0, y: 60, scale: 3 });
});

Deno.test("gridImage has a gap that grows with the picture, and no empty columns", () => {
  assertEquals(gridImage([{ image: picture(0) }], { columns: 4 }).width, 32 + 2 * 8);
  assertEquals(gridImage([{ image: picture(0) }], { columns: 4, scale: 10 }).width, 320 + 2 * 20);
});

Deno.test("gridImage puts captions beneath their pictures and nowhere else", () => {
  const cells: GridCell[] = [
    { image: picture(0, 64, 20), caption: "red torus" },
    { image: picture(1, 64, 20) },
    { image: picture(2, 64, 20), caption: "a very long caption that cannot fit" },
    { image: picture(3, 64, 20), caption: "gypq" },
  ];
  const grid = gridImage(cells, { columns: 2, gap: 9 });
  // The longest caption takes two lines of 10 pixels, 4 below the picture; all rows leave that room.
  const rowHeight = 20 + 4 + 2 * 10 + 9;
  assertEquals([grid.width, grid.height], [2 * 64 + 3 * 9, 9 + 2 * rowHeight]);
  let inked = 0;
  for (const [i, { image, caption }] of cells.entries()) {
    const x = 9 + (i % 2) * 73;
    const y = 9 + Math.floor(i / 2) * rowHeight;
    assertPictureAt(grid, image, { x, y });
    const area = { x, y: y + 24, width: 64, height: 20 };
    assertEquals(bounds(grid, INK, area) !== undefined, caption !== undefined);
    for (let p = 0; p < area.width * area.height; p++) {
      if (pixel(grid, area.x + p % area.width, area.y + Math.floor(p / area.width)) === INK) inked++;
    }
  }
  let total = 0;
  for (let i = 0; i < grid.width * grid.height; i++) {
    if (pixel(grid, i % grid.width, Math.floor(i / grid.width)) === INK) total++;
  }
  assertEquals(inked, total);
  assertEquals(coloredPixels(grid), 4 * 64 * 20);
});

Deno.test("gridImage draws the letters of the font, larger under larger pictures", () => {
  for (const [scale, size] of [[1, 1], [2, 1], [4, 2], [6, 3]] as const) {
    const grid = gridImage([{ image: picture(0, 64, 8), caption: "T!" }], { columns: 1, gap: 5, scale });
    const art = ["#####.#", "..#...#", "..#...#", "..#...#", "..#...#", "..#....", "..#...#"];
    const top = 5 + 8 * scale + 4 * size;
    assertEquals(grid.height, top + 10 * size + 5);
    for (let y = 0; y < 10 * size; y++) {
      for (let x = 0; x < 64 * scale; x++) {
        const wanted = art[Math.floor(y / size)]?.[Math.floor(x / size)] === "#" ? INK : PAPER;
        assertEquals(pixel(grid, 5 + x, top + y), wanted, `scale ${scale}: ${x}, ${y}`);
      }
    }
  }
});

Deno.test("gridImage leaves no room for captions that are off or absent", () => {
  const cells = [{ image: picture(0), caption: "one" }];
  const plain = gridImage([{ image: picture(0) }], { columns: 1 });
  assertEquals(gridImage(cells, { columns: 1, captions: false }), plain);
  assertEquals(gridImage([{ image: picture(0), caption: " " }], { columns: 1 }), plain);
  assertEquals(gridImage(cells, { columns: 1 }).height, plain.height + 14);
});

Deno.test("gridImage puts row titles to the left, in the middle of their rows", () => {
  const cells = Array.from({ length: 3 }, (_, i) => ({ image: picture(i, 64, 40) }));
  const grid = gridImage(cells, { columns: 1, gap: 6, rowTitles: ["plain", "", "VAR-Scaling N=50"] });
  const titleWidth = textWidth("VAR-Scaling");
  assertEquals(grid.width, 6 + titleWidth + 6 + 64 + 6);
  for (const [i, { image }] of cells.entries()) {
    assertPictureAt(grid, image, { x: titleWidth + 12, y: 6 + 46 * i });
  }
  // "plain" spans from the ascender of l to the descender of p; the baseline is 7 below the top.
  assertEquals(bounds(grid, INK, { x: 0, y: 0, width: grid.width, height: 52 }), {
    x: 6,
    y: 6 + 16,
    width: textWidth("plain"),
    height: 9,
  });
  assertEquals(bounds(grid, INK, { x: 0, y: 52, width: grid.width, height: 46 }), undefined);
  assertEquals(bounds(grid, INK, { x: 0, y: 98, width: grid.width, height: 52 }), {
    x: 6,
    y: 98 + 11,
    width: titleWidth,
    height: 17,
  });
});

Deno.test("gridImage puts the title above, smaller or on two lines where it is long", () => {
  const cells = [{ image: picture(0, 64, 20) }];
  const draw = (title: string): RgbaImage => gridImage(cells, { columns: 1, gap: 6, title });
  for (
    const [title, height, width] of [
      ["TITLE", 20, 2 * textWidth("TITLE")],
      ["A LONG TITLE", 10, textWidth("A LONG TITLE")],
      ["A TITLE THAT TAKES TWO LINES OR MORE", 20, undefined],
    ] as const
  ) {
    const grid = draw(title);
    assertEquals([grid.width, grid.height], [76, 6 + height + 6 + 20 + 6]);
    assertPictureAt(grid, cells[0]!.image, { x: 6, y: height + 12 });
    const text = bounds(grid, INK)!;
    assertEquals([text.x, text.y], [6, 6]);
    assert(text.x + text.width <= 70 && text.y + text.height <= 6 + height);
    if (width !== undefined) assertEquals(text.width, width);
  }
});

Deno.test("gridImage never draws text over pictures or beyond the grid, however little room there is", () => {
  const text = "WWW gggg WWWWWWWWWWWWWWWWWWWW";
  for (const [width, height, gap] of [[1, 1, 0], [4, 4, 0], [5, 30, 1], [16, 9, 0], [40, 12, 2]] as const) {
    const cells = Array.from({ length: 4 }, (_, i) => ({ image: picture(i, width, height), caption: text }));
    const grid = gridImage(cells, { columns: 2, gap, title: text, rowTitles: [text, text] });
    assertEquals(coloredPixels(grid), 4 * width * height);
  }
});

Deno.test("gridImage uses the given colors and lets them shine through transparent pixels", () => {
  const image = new RgbaImage(64, 1, new Uint8Array(256));
  image.data.set([200, 100, 0, 51], 4);
  const grid = gridImage([{ image, caption: "." }], {
    columns: 1,
    gap: 1,
    background: "#0A141e",
    ink: "#ffFE00",
  });
  assertEquals(pixel(grid, 0, 0), "10,20,30,255");
  assertEquals(pixel(grid, 1, 1), "10,20,30,255");
  // 51 / 255 = 1 / 5 of the picture.
  assertEquals(pixel(grid, 2, 1), "48,36,24,255");
  assertEquals(bounds(grid, "255,254,0,255"), { x: 1, y: 2 + 4 + 6, width: 1, height: 1 });
});

Deno.test("gridImage refuses what it cannot lay out", () => {
  const cells = [{ image: picture(0) }, { image: picture(1) }];
  assertThrows(() => gridImage([], { columns: 1 }), RangeError, "Cannot draw a grid as there are no images");
  assertThrows(
    () => gridImage([...cells, { image: picture(2, 20, 32) }], { columns: 1 }),
    RangeError,
    "Cannot draw a grid as all images must have the same size: current sizes are 32×20 and 20×32",
  );
  const refused: [GridOptions, string][] = [
    [{ columns: 0 }, "columns must be an integer >= 1: current value is 0"],
    [{ columns: 1.5 }, "columns must be an integer >= 1: current value is 1.5"],
    [{ columns: 1, scale: 0.5 }, "scale must be an integer >= 1: current value is 0.5"],
    [{ columns: 1, gap: -1 }, "gap must be an integer >= 0: current value is -1"],
    [{ columns: 1, rowTitles: ["a"] }, "one row title for each of 2 rows: current number is 1"],
    [
      { columns: 1, background: "white" },
      'background must be a color like #fafafa: current value is "white"',
    ],
    [{ columns: 1, ink: "#12345g" }, 'ink must be a color like #fafafa: current value is "#12345g"'],
  ];
  for (const [options, message] of refused) {
    assertThrows(() => gridImage(cells, options), RangeError, message);
  }
});

Deno.test("GLYPHS: the font has a shape of its own for every character", () => {
  const wanted = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
  assertEquals([...GLYPHS.keys()], [...wanted, "×", "–", "…", "\ufffd"]);
  const seen = new Map<string, string>();
  for (const [character, { width, rows }] of GLYPHS) {
    assertEquals(rows.length, 9, character);
    for (const row of rows) assert(row.length === width && /^[#.]+$/.test(row), character);
    assert(width >= 1 && width <= 5, character);
    const art = rows.join("\n");
    assertEquals(seen.get(art), undefined, `${character} looks like another`);
    seen.set(art, character);
    assertEquals(art.includes("#"), character !== " ", character);
    // No blank columns at the sides, so that letters keep an even distance.
    if (character !== " ") {
      assert(rows.some((row) => row.startsWith("#")) && rows.some((row) => row.endsWith("#")), character);
    }
  }
});

Deno.test("glyphOf: the font shows a box for what it lacks", () => {
  assertEquals(glyphOf("é"), glyphOf("\ufffd"));
  assertEquals(glyphOf("\n"), glyphOf("\ufffd"));
  assertNotEquals(glyphOf("O"), glyphOf("\ufffd"));
  // A character outside the basic plane is one box and not two.
  assertEquals(textWidth("🍩"), 5);
});

Deno.test("wrapText breaks between words, then within, and shortens the last line", () => {
  const wrap = (text: string, width: number, lines: number): string[] => wrapText(text, { width, lines });
  assertEquals(wrap("HHH HHH HHH", 17, 3), ["HHH", "HHH", "HHH"]);
  assertEquals(wrap("HHH HHH HHH", 38, 3), ["HHH HHH", "HHH"]);
  assertEquals(wrap("HHH HHH HHH", 37, 3), ["HHH", "HHH", "HHH"]);
  assertEquals(wrap("  HHH\n\tHHH ", 100, 3), ["HHH HHH"]);
  assertEquals(wrap("HHHHH", 17, 2), ["HHH", "HH"]);
  assertEquals(wrap("HHHHHHH", 17, 2), ["HHH", "HH…"]);
  assertEquals(wrap("HHH HHH HHH", 17, 2), ["HHH", "HH…"]);
  assertEquals(wrap("HH H", 19, 1), ["HH…"]);
  assertEquals(wrap("🍩🍩🍩", 11, 2), ["🍩🍩", "🍩"]);
  assertEquals(wrap("HHH", 4, 2), []);
  assertEquals(wrap("HHH", 5, 2), ["H", "…"]);
  assertEquals(wrap("HHH", 100, 0), []);
  assertEquals(wrap(" ", 100, 2), []);
});

Deno.test("wrapText never exceeds its width", () => {
  const text = "green octahedron with a rather-long-name #9 (VAR-Scaling, N=50) iiiiiiiiiiiiiiiiiiiiiiiiii";
  for (let width = 0; width < 120; width++) {
    for (const lines of [1, 2, 3]) {
      const wrapped = wrapText(text, { width, lines });
      assert(wrapped.length <= lines);
      for (const line of wrapped) assert(textWidth(line) <= width && line === line.trim() && line !== "");
    }
  }
});

Deno.test("stretchImage: a stretched picture has the nearest pixel everywhere", () => {
  const image = picture(1, 3, 2);
  for (const [width, height] of [[3, 2], [6, 2], [9, 8], [7, 5], [2, 1]] as const) {
    const stretched = stretchImage(image, { width, height });
    assertEquals([stretched.width, stretched.height], [width, height]);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        // The pixel in which the middle of this one lies.
        const from = 4 * (Math.floor((y + 0.5) / height * 2) * 3 + Math.floor((x + 0.5) / width * 3));
        const at = 4 * (y * width + x);
        assertEquals([...stretched.data.subarray(at, at + 4)], [...image.data.subarray(from, from + 4)]);
      }
    }
  }
  const { message } = assertThrows(() => stretchImage(image, { width: 0, height: 1 }), RangeError);
  assertEquals(message, "Cannot stretch the picture as width must be an integer >= 1: current value is 0");
});
