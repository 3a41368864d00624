import { assert, assertEquals, assertThrows } from "@std/assert";
import recorded from "../../fixtures/editing/masks.json" with { type: "json" };
import type { PictureSize } from "../../../models/schedule.ts";
import type { Fit } from "../../../sampler/pictures/fit.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import {
  type Box,
  type EditMode,
  type Frame,
  keptPositions,
  keptShares,
  type Mask,
  middleShares,
  type Region,
  type Shares,
} from "../../../sampler/editing/mask.ts";

/** The published models' token maps. */
const SIDES_256 = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];
const SIDES_512 = [1, 2, 3, 4, 6, 9, 13, 18, 24, 32];

function square(edge: number): PictureSize {
  return { width: edge, height: edge };
}

function frameOf(side: number, size: PictureSize, pictures: readonly PictureSize[] = [size]): Frame {
  return { map: square(side), size, pictures, fit: "crop" };
}

function keptOf(region: Region, sides: readonly number[]): Uint32Array[] {
  const side = sides.at(-1)!;
  const shares = keptShares(region, frameOf(side, square(16 * side)));
  return sides.map((size) => keptPositions(shares, square(size)));
}

const rowsOf = (kept: Uint32Array): string => {
  return kept.join("").match(new RegExp(`.{${Math.sqrt(kept.length)}}`, "g"))!.join("/");
};

Deno.test("keptShares: the published example: in-painting of the box from 0.1 to 0.8", () => {
  const kept = keptOf({ box: [0.1, 0.1, 0.8, 0.8] }, SIDES_256);
  assertEquals(kept.map((map) => map.reduce((a, b) => a + b)), [1, 0, 5, 8, 16, 20, 29, 51, 89, 135]);
  assertEquals(rowsOf(kept[2]!), "001/001/111");
  assertEquals(rowsOf(kept[3]!), "1001/0001/0001/1111");
  assertEquals(rowsOf(kept[4]!), "11111/10001/10001/10001/11111");
  // On the 24×24 map an edge lies at exactly one half, which is not more than that.
  const large = keptOf({ box: [0.1, 0.1, 0.8, 0.8] }, SIDES_512);
  assertEquals(large.map((map) => map.reduce((a, b) => a + b)), [1, 0, 5, 7, 20, 45, 70, 155, 255, 495]);
});

Deno.test(`keptShares: maps are those of ${recorded.by}`, async () => {
  for (const { sides, box, mask, mode, counts, sha256 } of recorded.cases) {
    const region = {
      ...(box === undefined ? { mask: mask! } : { box: box as unknown as Box }),
      mode: mode as EditMode,
    };
    const kept = keptOf(region, sides);
    assertEquals(kept.map((map) => map.reduce((a, b) => a + b)), counts);
    const text = new TextEncoder().encode(kept.map((map) => map.join("")).join(""));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
    assertEquals(hash, sha256, Deno.inspect(box));
  }
});

Deno.test("keptShares: edges of a box are rounded to tokens as Python does, halves to even", () => {
  // 2.5 and 4.5 tokens of 8, and 3.5 and 6.5.
  const box: Box = [2.5 / 8, 3.5 / 8, 4.5 / 8, 6.5 / 8];
  const { values } = keptShares({ box, mode: "outpaint" }, frameOf(8, square(64), [square(16)]));
  const rows = Array.from({ length: 8 }, (_, y) => values.slice(8 * y, 8 * y + 8).join(""));
  const empty = "00000000";
  assertEquals(rows, [empty, empty, "00001100", "00001100", empty, empty, empty, empty]);
});

Deno.test("keptShares: what is marked is generated, or kept", () => {
  const box: Box = [0, 0.5, 1, 1];
  const inside = keptOf({ box, mode: "outpaint" }, SIDES_256);
  const outside = keptOf({ box, mode: "inpaint" }, SIDES_256);
  assertEquals(outside, keptOf({ box }, SIDES_256));
  for (const [scale, map] of inside.entries()) {
    // Never both; the 1×1 map is kept either way, and halves are not.
    if (scale > 0) assert(map.every((kept, i) => kept + outside[scale]![i]! <= 1));
  }
  assertEquals(rowsOf(inside[3]!), "0011/0011/0011/0011");
});

Deno.test("keptShares: masks as numbers and as pictures, of any size", () => {
  const small: Mask = [[1, 0], [0, 0]];
  const picture = new RgbaImage(40, 40);
  for (let y = 0; y < 20; y++) picture.data.fill(255, 160 * y, 160 * y + 80);
  const box = keptOf({ box: [0, 0, 0.5, 0.5] }, SIDES_256);
  assertEquals(keptOf({ mask: small }, SIDES_256), box);
  assertEquals(keptOf({ mask: picture }, SIDES_256), box);
  // White is marked as far as it is opaque, and so are colors in part.
  const share = (...rgba: number[]): number => {
    const mask = new RgbaImage(1, 1, new Uint8Array(rgba));
    return keptShares({ mask, mode: "outpaint" }, frameOf(1, square(16))).values[0]!;
  };
  assertEquals(share(255, 255, 255, 255), 1);
  assertEquals(share(255, 255, 255, 0), 0);
  assertEquals(share(0, 0, 0, 255), 0);
  assertEquals(share(255, 0, 0, 255), Math.fround(1 / 3));
  assertEquals(share(255, 255, 255, 51), Math.fround(0.2));
});

Deno.test("Frame: a token's share is the mean over its part of the mask, also of parts of pixels", () => {
  const frame = frameOf(2, square(16));
  const mask = [[1, 0, 0], [1, 1, 0], [0, 0, 1]];
  // 1.5×1.5 pixels each: one whole pixel, two halves and a quarter.
  const expected = [1 + 0 + 0.5 + 0.25, 0 + 0 + 0.25 + 0, 0.5 + 0 + 0 + 0.25, 1 + 0.25].map((sum) =>
    sum / 2.25
  );
  assertEquals([...keptShares({ mask, mode: "outpaint" }, frame).values], expected.map(Math.fround));
  assertEquals(
    [...keptShares({ mask, mode: "inpaint" }, frame).values],
    expected.map((share) => Math.fround(1 - Math.fround(share))),
  );
});

Deno.test("keptShares: a mask of the picture's own size is cropped with it", () => {
  // 54×36 is resized to 27×18, of which columns 5.5 to 21.5 rounded to even, 6 to 22, and rows 1 to 17 are
  // left.
  const picture = { width: 54, height: 36 };
  const marked = new RgbaImage(54, 36);
  for (let y = 0; y < 36; y++) marked.data.fill(255, 4 * 54 * y + 4 * 28, 4 * 54 * y + 4 * 44);
  const frame = frameOf(4, square(16), [picture, picture]);
  // Columns 28 to 44 are 14 to 22 after resizing, and 8 to 16 of the crop: its right half.
  const right = [0, 0, 1, 1];
  assertEquals([...keptShares({ mask: marked, mode: "outpaint" }, frame).values], [
    ...right,
    ...right,
    ...right,
    ...right,
  ]);
  // A picture that has the model's size is not cropped, nor is its mask.
  const exact = frameOf(2, square(2));
  assertEquals([...keptShares({ mask: [[1, 0], [0, 1]], mode: "outpaint" }, exact).values], [1, 0, 0, 1]);
  // A square one larger than the model's size is.
  const large = frameOf(4, square(4), [square(40)]);
  const corner = Array.from(
    { length: 40 },
    (_, y) => Array.from({ length: 40 }, (_, x) => y < 4 && x < 4 ? 1 : 0),
  );
  // 40 pixels become round(4.5) = 4, and all of them are left: a token is 10 pixels wide.
  assertEquals(keptShares({ mask: corner, mode: "outpaint" }, large).values[0], Math.fround(0.16));
});

Deno.test("keptShares: regions that are none", () => {
  const frame = frameOf(16, square(256), [{ width: 300, height: 200 }]);
  const box = (...edges: number[]): Region => ({ box: edges as unknown as Box });
  const wanted =
    "box must be [top, left, bottom, right] with 0 <= top < bottom <= 1 and 0 <= left < right <= 1";
  const cases: [Region, ErrorConstructor, string][] = [
    [{}, TypeError, "a box or a mask must be given"],
    [{ box: [0, 0, 1, 1], mask: [[1]] }, TypeError, "either box or mask, not both, must be given"],
    [
      { box: [0, 0, 1, 1], mode: "both" as EditMode },
      TypeError,
      'mode must be one of "inpaint", "outpaint": current value is "both"',
    ],
    [box(0, 0, 1), RangeError, `${wanted}: current value is [0, 0, 1]`],
    [box(0.5, 0, 0.5, 1), RangeError, `${wanted}: current value is [0.5, 0, 0.5, 1]`],
    [box(0, 0, 1, 1.1), RangeError, `${wanted}: current value is [0, 0, 1, 1.1]`],
    [box(0, NaN, 1, 1), RangeError, `${wanted}: current value is [0, NaN, 1, 1]`],
    [
      box(0, 0, 0.02, 1),
      RangeError,
      "the box must be about as large as a token, 1/16 of the picture, at least: current value is [0, 0, 0.02, 1]",
    ],
    [
      { mask: [] },
      TypeError,
      "mask must be an RgbaImage or rows of numbers, all of one length: current value is []",
    ],
    [
      { mask: [[1, 0], [1]] },
      TypeError,
      "mask must be an RgbaImage or rows of numbers, all of one length: current value is [[…], […]]",
    ],
    [{ mask: [[2]] }, RangeError, "values of the mask must be from 0 to 1: current value is 2"],
    [
      { mask: new RgbaImage(200, 300) },
      RangeError,
      "the mask must have the size of the picture, 300×200, or equal sides: it has 200×300",
    ],
  ];
  for (const [region, type, message] of cases) {
    assertEquals(
      (assertThrows(() => keptShares(region, frame), type) as Error).message,
      `Cannot edit as ${message}`,
    );
  }
});

const wide: PictureSize = { width: 96, height: 64 };
const wideFrame: Frame = { map: { width: 6, height: 4 }, size: wide, pictures: [wide], fit: "crop" };

function text(values: Iterable<number>, width: number): string {
  return [...values].join("").match(new RegExp(`.{${width}}`, "g"))!.join("/");
}

Deno.test("keptShares: boxes and masks on maps that are not square", () => {
  const box = keptShares({ box: [0.25, 0, 1, 0.5], mode: "outpaint" }, wideFrame);
  assertEquals([box.width, box.height, text(box.values, 6)], [6, 4, "000000/111000/111000/111000"]);
  // A square mask covers the picture, and so does one of its proportions, and one that has a value for each
  // token.
  const quarter = "111000/111000/000000/000000";
  const masks: Mask[] = [
    [[1, 0], [0, 0]],
    [[1, 0, 0], [0, 0, 0]],
  ];
  assertEquals(text(keptShares({ mask: masks[0]!, mode: "outpaint" }, wideFrame).values, 6), quarter);
  assertEquals(
    text(keptShares({ mask: masks[1]!, mode: "outpaint" }, wideFrame).values, 6),
    "110000/110000/000000/000000",
  );
  // 5×3 tokens are not of the picture's proportions.
  const odd: Frame = { map: { width: 5, height: 3 }, size: wide, pictures: [wide], fit: "crop" };
  const each = [[1, 0, 0, 0, 0.25], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]];
  assertEquals([...keptShares({ mask: each, mode: "outpaint" }, odd).values], each.flat());
  const refused: [Region, string][] = [
    [
      { mask: [[1, 0, 0, 1], [1, 1, 1, 1]] },
      "the mask must have the size of the picture, 96×64, or the proportions of 96×64, or equal sides: it has 4×2",
    ],
    [
      { box: [0, 0, 0.1, 1] },
      "the box must be about as large as a token, 1/4 of the height and 1/6 of the width, at least: current value is [0, 0, 0.1, 1]",
    ],
  ];
  for (const [region, message] of refused) {
    const { message: given } = assertThrows(() => keptShares(region, wideFrame), RangeError);
    assertEquals(given, `Cannot edit as ${message}`);
  }
});

Deno.test("keptShares: a mask of the picture's own size is cropped with it to one that is not square", () => {
  // 576×144 is resized to 288×72, so that its height is 1.125 · 64, and of that columns 96 to 192 and rows 4
  // to 68 are left.
  const picture = { width: 576, height: 144 };
  const mask = Array.from({ length: 144 }, () => Array.from({ length: 576 }, (_, x) => x < 288 ? 1 : 0));
  const { values } = keptShares({ mask, mode: "outpaint" }, { ...wideFrame, pictures: [picture] });
  assertEquals(text(values, 6), "111000/111000/111000/111000");
  // Covering keeps all rows: columns 80 to 176 of 256×64 are left.
  const top = mask.map((row, y) => row.map(() => y < 8 ? 1 : 0));
  const shareOf = (fit: Fit): number => {
    const frame = { ...wideFrame, pictures: [picture], fit };
    return keptShares({ mask: top, mode: "outpaint" }, frame).values[0]!;
  };
  // 8 of a token's 36 rows, or with the first eight cut off none.
  assertEquals([shareOf("cover"), shareOf("crop")], [Math.fround(8 / 36), 0]);
});

Deno.test("keptPositions: maps of any shape are resized by rows and columns apart", () => {
  const shares: Shares = {
    width: 6,
    height: 4,
    values: Float32Array.from("111000111000000000000000", Number),
  };
  assertEquals(text(keptPositions(shares, { width: 6, height: 4 }), 6), "111000/111000/000000/000000");
  assertEquals(text(keptPositions(shares, { width: 3, height: 2 }), 3), "100/000");
  // Two tokens are resized like any others: only a single one is always kept.
  assertEquals([...keptPositions(shares, { width: 2, height: 1 })], [0, 0]);
  assertEquals([...keptPositions(shares, { width: 1, height: 2 })], [0, 0]);
  assertEquals([...keptPositions(shares, { width: 1, height: 1 })], [1]);
  const left: Shares = { ...shares, values: Float32Array.from("111000111000111000111000", Number) };
  assertEquals([...keptPositions(left, { width: 2, height: 1 })], [1, 0]);
  // Beyond its borders a map goes on as it ends.
  const two: Shares = { width: 2, height: 1, values: new Float32Array([1, 0]) };
  assertEquals([...keptPositions(two, { width: 6, height: 1 })], [1, 1, 1, 0, 0, 0]);
});

Deno.test("middleShares: a picture in the middle of a larger one is kept where it covers tokens", () => {
  const shares = middleShares({ width: 40, height: 64 }, wideFrame);
  // From column 28 to 68 in tokens of 16: a quarter of the second, all of the next two, and a quarter of the
  // fifth.
  const row = [0, 0.25, 1, 1, 0.25, 0];
  assertEquals([...shares.values], [...row, ...row, ...row, ...row]);
  // In the middle of an odd rest it lies further left and up.
  const dot = middleShares({ width: 1, height: 1 }, {
    map: { width: 4, height: 2 },
    size: { width: 4, height: 2 },
  });
  assertEquals([...dot.values], [0, 1, 0, 0, 0, 0, 0, 0]);
});
