/**
 * A look at a search: what each lane of an image looked like after each scale, drawn as a tree in which
 * scales go across and lanes down, with who was dropped, by whom, and why. It watches and changes nothing.
 *
 * @module
 */

import type { ScaleHook } from "../hook.ts";
import { drawImage, drawLines, fillRectangle, LINE_PITCH, type Rgb } from "../pictures/drawing.ts";
import { atMost, fitImage } from "../pictures/fit.ts";
import { wrapText } from "../pictures/glyphs.ts";
import { stretchImage } from "../pictures/grid.ts";
import { RgbaImage } from "../pictures/image.ts";
import type { Attempt, GeneratedImage, HookDecision } from "../result.ts";

/** What {@linkcode searchTree} notes of each lane after each scale, under `decisions`. */
export interface SearchTreeNote {
  /** What the lane looks like, at most 128 pixels wide and high. */
  readonly picture: RgbaImage;
  /** Tokens in a row of the map. */
  readonly width: number;
  /** Rows of the map. */
  readonly height: number;
}

/** A hook that watches a search, and draws it. */
export interface SearchTree extends ScaleHook<SearchTreeNote> {
  /**
   * Draws the search for an image: a row for each lane that was tried, copies below the lane that they
   * continue; the last picture of a dropped lane is faint, and what led to this image has a frame.
   *
   * @throws {TypeError} If the hook was not among those that the image was made with.
   */
  image(image: GeneratedImage): RgbaImage;
}

/** Pixels along an edge of a picture at the most. */
const EDGE = 128;
/** Pixels between two scales, for the lines. */
const GAP = 24;
/** Pixels around everything. */
const MARGIN = 16;
/** Rows of pixels for what was decided about a lane, beneath its picture. */
const CAPTION = 4 + 2 * LINE_PITCH + 8;
/** Many lanes are drawn smaller, so that the sheet has no more rows of pixels than this where it can. */
const MOST_ROWS = 16_000;

const NAME = "search-tree";
const BACKGROUND: Rgb = [0xfa, 0xfa, 0xfa];
const INK: Rgb = [0x3a, 0x3a, 0x3a];
const FAINT: Rgb = [0xc8, 0xc8, 0xc8];
const DROPPED: Rgb = [0xb0, 0x3a, 0x2e];
const TAKEN: Rgb = [0x1e, 0x84, 0x49];

/**
 * Makes a hook that watches a search. As the first of the hooks it sees all lanes before they are thinned
 * out. Each scale costs it a decode of all of them and a readback, which the trace counts.
 *
 * @example
 * ```ts
 * import { beamSearch, generate, loadModel, ownDensity, searchTree } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const tree = searchTree();
 * const search = beamSearch({ scales: [2], verifier: ownDensity() });
 * const { images: [image] } = await generate(model, { labels: "blue cone", hooks: [tree, search] });
 * const sheet = tree.image(image!);
 * // await Deno.writeFile("tree.png", sheet.png());
 * assertEquals(image!.decisionsOf(tree).length, 6); // one for each scale
 * assertEquals(sheet.width > 6 * 128, true);
 * ```
 */
export function searchTree(): SearchTree {
  return {
    name: NAME,
    plan: ({ scales }) => {
      const looks = [{ name: NAME, flops: 0 }];
      return Array.from(scales.keys(), (scale) => ({ scale, lanes: (before) => before, looks }));
    },
    async gather(step) {
      const { width, height, lanes: { length: pictures } } = step;
      const previews = await step.cost.judge({ pictures, flops: 0 }, () => step.preview());
      for (const [row, picture] of previews.entries()) {
        step.note(row, { picture: atMost(picture, EDGE), width, height });
      }
      return undefined;
    },
    image: drawTree,
  };
}

/** One lane of the tree. */
interface Branch {
  readonly attempt: Attempt;
  /** Row in which it is drawn. */
  readonly row: number;
  /** Its first and last scale. */
  readonly first: number;
  readonly last: number;
  /** Its notes by scale, those of the attempt that it continues left out. */
  readonly notes: readonly SearchTreeNote[];
  /** The last of its scales that led to the image, or -1. */
  readonly leads: number;
}

function drawTree(image: GeneratedImage): RgbaImage {
  const branches = branchesOf(image);
  const scales = Math.max(...branches.map(({ last }) => last)) + 1;
  const layout = new Layout(branches, scales);
  const sheet = new RgbaImage(layout.width, layout.height);
  fillRectangle(sheet, { x: 0, y: 0, width: sheet.width, height: sheet.height }, BACKGROUND);
  drawLines(sheet, wrapText(image.caption, { width: Math.floor((sheet.width - 2 * MARGIN) / 2), lines: 1 }), {
    ...{ x: MARGIN, y: MARGIN, size: 2, ink: INK },
  });
  for (const { first, notes } of branches) {
    for (const [i, { width, height }] of notes.entries()) {
      const { x, y } = layout.headerOf(first + i);
      drawText(sheet, `scale ${first + i}: ${width}×${height}`, { x, y, width: layout.cell.width, lines: 1 });
    }
  }
  // What leads to the image lies above all other lines.
  for (const taken of [false, true]) {
    for (const branch of branches) drawConnections(sheet, branch, { branches, layout, taken });
  }
  for (const branch of branches) drawBranch(sheet, branch, layout, image);
  return sheet;
}

/** Which lanes there were, in the order in which they are drawn. */
function branchesOf({ attempts, attempt: own, caption }: GeneratedImage): Branch[] {
  const leads = new Map<number, number>();
  for (let number: number | undefined = own, scale = Infinity; number !== undefined;) {
    leads.set(number, scale);
    const from: Attempt["from"] = attempts[number]?.from;
    number = from?.attempt;
    scale = from?.scale ?? scale;
  }
  return inOrder(attempts).map((attempt, row) => {
    const noted = attempt.decisions.filter(({ hook }) => hook === NAME) as HookDecision<SearchTreeNote>[];
    const first = (attempt.from?.scale ?? -1) + 1;
    const notes = noted.filter(({ scale }) => scale >= first).map(({ value }) => value);
    if (noted.length === 0) {
      throw new TypeError(
        `Cannot draw the search for "${caption}" as nobody watched it: searchTree() must be among the hooks`,
      );
    }
    return {
      attempt,
      row,
      first,
      last: first + notes.length - 1,
      notes,
      leads: leads.get(attempt.attempt) ?? -1,
    };
  });
}

/** Lanes with their copies below them, the latest first, so that no two lines cross. */
function inOrder(attempts: readonly Attempt[]): Attempt[] {
  const withCopies = (attempt: Attempt): Attempt[] => {
    const copies = attempts.filter(({ from }) => from?.attempt === attempt.attempt)
      .sort((a, b) => b.from!.scale - a.from!.scale || a.attempt - b.attempt);
    return [attempt, ...copies.flatMap(withCopies)];
  };
  return attempts.filter(({ from }) => from === undefined).flatMap(withCopies);
}

/** Where everything is. */
class Layout {
  readonly width: number;
  readonly height: number;
  /** Size of a picture. */
  readonly cell: { readonly width: number; readonly height: number };
  /** Whether there is room for texts beneath pictures. */
  readonly captions: boolean;
  readonly #top: number;
  readonly #pitch: number;

  constructor(branches: readonly Branch[], scales: number) {
    const pictures = branches.flatMap(({ notes }) => notes.map(({ picture }) => picture));
    const largest = pictures.reduce((a, b) => b.width > a.width ? b : a);
    const edge = [EDGE, EDGE / 2, EDGE / 4]
      .find((edge) => branches.length * (edge + CAPTION) <= MOST_ROWS) ?? EDGE / 8;
    const factor = edge / Math.max(largest.width, largest.height);
    const times = factor >= 1 ? Math.floor(factor) : factor;
    const [width, height] = [largest.width, largest.height].map((size) => Math.round(size * times));
    this.cell = { width: width!, height: height! };
    this.captions = edge > EDGE / 4;
    this.#top = 2 * MARGIN + 2 * LINE_PITCH + LINE_PITCH + 4;
    this.#pitch = this.cell.height + (this.captions ? CAPTION : 4);
    // The fates of those that were finished stand behind the last scale.
    this.width = 2 * MARGIN + (scales + 1) * (this.cell.width + GAP);
    this.height = this.#top + branches.length * this.#pitch + MARGIN;
  }

  /** Top left corner of a picture; with a scale beyond the last, of what is said behind it. */
  placeOf(row: number, scale: number): { readonly x: number; readonly y: number } {
    return { x: MARGIN + scale * (this.cell.width + GAP), y: this.#top + row * this.#pitch };
  }

  /** Where the name of a scale is. */
  headerOf(scale: number): { readonly x: number; readonly y: number } {
    return { x: this.placeOf(0, scale).x, y: this.#top - LINE_PITCH - 2 };
  }
}

/** The lines from the lane that it continues, and from each of its pictures to the next. */
function drawConnections(
  sheet: RgbaImage,
  { attempt: { from }, row, first, last, leads }: Branch,
  facts: { readonly branches: readonly Branch[]; readonly layout: Layout; readonly taken: boolean },
): void {
  const { branches, layout, taken } = facts;
  const { width, height } = layout.cell;
  const ink = taken ? TAKEN : FAINT;
  const middle = (row: number): number => layout.placeOf(row, 0).y + (height >> 1) - 1;
  if (from !== undefined && taken === leads >= first) {
    const source = branches.find(({ attempt }) => attempt.attempt === from.attempt)!;
    const x = layout.placeOf(row, from.scale).x + width;
    const bend = x + (GAP >> 1) - 1;
    const [above, below] = [middle(source.row), middle(row)];
    fillRectangle(sheet, { x, y: above, width: bend - x, height: 2 }, ink);
    fillRectangle(sheet, { x: bend, y: above, width: 2, height: below - above + 2 }, ink);
    fillRectangle(sheet, { x: bend, y: below, width: x + GAP - bend, height: 2 }, ink);
  }
  for (let scale = first; scale < last; scale++) {
    if (taken !== leads > scale) continue;
    fillRectangle(
      sheet,
      { x: layout.placeOf(row, scale).x + width, y: middle(row), width: GAP, height: 2 },
      ink,
    );
  }
}

/** The pictures of a lane, what was decided about it, and what became of it. */
function drawBranch(
  sheet: RgbaImage,
  branch: Branch,
  layout: Layout,
  { attempt: own }: GeneratedImage,
): void {
  const { attempt, row, first, last, notes, leads } = branch;
  const { cell } = layout;
  const isEnd = ({ hook, scale }: HookDecision): boolean => {
    return hook === attempt.dropped?.hook && scale === attempt.dropped.scale;
  };
  for (const [i, { picture }] of notes.entries()) {
    const scale = first + i;
    const { x, y } = layout.placeOf(row, scale);
    const ends = attempt.dropped !== undefined && scale === last;
    if (leads >= scale) {
      fillRectangle(sheet, { x: x - 3, y: y - 3, width: cell.width + 6, height: cell.height + 6 }, TAKEN);
    }
    drawImage(sheet, inCell(picture, cell), { x, y, opacity: ends ? 0.4 : 1 });
    if (!layout.captions) continue;
    const text = reasonsOf(attempt, (decision) => decision.scale === scale && !isEnd(decision)).join(", ");
    drawText(sheet, text, { x, y: y + cell.height + 6, width: cell.width, lines: 2 });
  }
  const { x, y } = layout.placeOf(row, last + 1);
  const lines = Math.max(1, Math.floor(cell.height / LINE_PITCH) - 1);
  const fate = attempt.dropped === undefined
    ? attempt.attempt === own ? { text: "this picture", ink: TAKEN } : { text: "finished, too", ink: INK }
    : { text: `dropped by ${attempt.dropped.hook}`, ink: DROPPED };
  const at = { x, y: y + (cell.height >> 1) - LINE_PITCH, width: cell.width, ink: fate.ink };
  drawText(sheet, fate.text, { ...at, lines: 1 });
  const why = reasonsOf(attempt, isEnd).join(", ");
  drawText(sheet, why, { ...at, y: at.y + LINE_PITCH, lines: lines - 1 });
}

function inCell(picture: RgbaImage, cell: Layout["cell"]): RgbaImage {
  if (picture.width === cell.width && picture.height === cell.height) return picture;
  return picture.width > cell.width ? fitImage(picture, cell, "cover") : stretchImage(picture, cell);
}

function drawText(
  sheet: RgbaImage,
  text: string,
  at: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly lines: number;
    readonly ink?: Rgb;
  },
): void {
  const { width, lines, ink = INK } = at;
  drawLines(sheet, wrapText(text, { width, lines }), { x: at.x, y: at.y, size: 1, ink });
}

/** Numbers that hooks note of lanes, as they are called here. */
const REASONS: Readonly<Record<string, (value: number) => string>> = {
  cluster: (value) => `cluster ${value}`,
  score: (value) => `score ${Number(value.toPrecision(3))}`,
  weight: (value) => `weight ${Number(value.toPrecision(2))}`,
  rank: (value) => `place ${value + 1}`,
  ratio: (value) => `densest ${value.toFixed(2)} × the mean`,
};

/** What was decided about a lane, in a few words each. */
function reasonsOf({ decisions }: Attempt, wanted: (decision: HookDecision) => boolean): string[] {
  return decisions.filter(wanted).flatMap(({ value }) => {
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(REASONS).flatMap(([name, text]) => {
      const number = Reflect.get(value, name);
      return typeof number === "number" ? [text(number)] : [];
    });
  });
}
