import { assert, assertEquals, assertThrows } from "@std/assert";
import recorded from "../fixtures/editing/masks.json" with { type: "json" };
import { RgbaImage } from "../../sampler/image.ts";
import {
  type Box,
  type EditMode,
  keptPositions,
  keptShares,
  type Mask,
  type Region,
} from "../../sampler/mask.ts";

/** The published models' token maps. */
const SIDES_256 = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16];
const SIDES_512 = [1, 2, 3, 4, 6, 9, 13, 18, 24, 32];

function keptOf(region: Region, sides: readonly number[]): Uint32Array[] {
  const side = sides.at(-1)!;
  const shares = keptShares(region, {
    side,
    size: 16 * side,
    pictures: [{ width: 16 * side, height: 16 * side }],
  });
  return sides.map((size) => keptPositions(shares, size));
}

const rowsOf = (kept: Uint32Array): string => {
  return kept.join("").match(new RegExp(`.{${Math.sqrt(kept.length)}}`, "g"))!.join("/");
};

Deno.test("the published example: in-painting of the box from 0.1 to 0.8", () => {
  const kept = keptOf({ box: [0.1, 0.1, 0.8, 0.8] }, SIDES_256);
  assertEquals(kept.map((map) => map.reduce((a, b) => a + b)), [1, 0, 5, 8, 16, 20, 29, 51, 89, 135]);
  assertEquals(rowsOf(kept[2]!), "001/001/111");
  assertEquals(rowsOf(kept[3]!), "1001/0001/0001/1111");
  assertEquals(rowsOf(kept[4]!), "11111/10001/10001/10001/11111");
  // On the 24×24 map an edge lies at exactly one half, which is not more than that.
  const large = keptOf({ box: [0.1, 0.1, 0.8, 0.8] }, SIDES_512);
  assertEquals(large.map((map) => map.reduce((a, b) => a + b)), [1, 0, 5, 7, 20, 45, 70, 155, 255, 495]);
});

Deno.test(`maps are those of ${recorded.by}`, async () => {
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

Deno.test("edges of a box are rounded to tokens as Python does, halves to even", () => {
  // 2.5 and 4.5 tokens of 8, and 3.5 and 6.5.
  const shares = keptShares({ box: [2.5 / 8, 3.5 / 8, 4.5 / 8, 6.5 / 8], mode: "outpaint" }, {
    side: 8,
    size: 64,
    pictures: [{ width: 16, height: 16 }],
  });
  const rows = Array.from({ length: 8 }, (_, y) => shares.slice(8 * y, 8 * y + 8).join(""));
  const empty = "00000000";
  assertEquals(rows, [empty, empty, "00001100", "00001100", empty, empty, empty, empty]);
});

Deno.test("what is marked is generated, or kept", () => {
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

Deno.test("masks as numbers and as pictures, of any size", () => {
  const small: Mask = [[1, 0], [0, 0]];
  const picture = new RgbaImage(40, 40);
  for (let y = 0; y < 20; y++) picture.data.fill(255, 160 * y, 160 * y + 80);
  const box = keptOf({ box: [0, 0, 0.5, 0.5] }, SIDES_256);
  assertEquals(keptOf({ mask: small }, SIDES_256), box);
  assertEquals(keptOf({ mask: picture }, SIDES_256), box);
  // White is marked as far as it is opaque, and so are colors in part.
  const share = (...rgba: number[]): number => {
    const mask = new RgbaImage(1, 1, new Uint8Array(rgba));
    return keptShares({ mask, mode: "outpaint" }, {
      side: 1,
      size: 16,
      pictures: [{ width: 16, height: 16 }],
    })[0]!;
  };
  assertEquals(share(255, 255, 255, 255), 1);
  assertEquals(share(255, 255, 255, 0), 0);
  assertEquals(share(0, 0, 0, 255), 0);
  assertEquals(share(255, 0, 0, 255), Math.fround(1 / 3));
  assertEquals(share(255, 255, 255, 51), Math.fround(0.2));
});

Deno.test("a token's share is the mean over its part of the mask, also of parts of pixels", () => {
  const frame = { side: 2, size: 16, pictures: [{ width: 16, height: 16 }] };
  const mask = [[1, 0, 0], [1, 1, 0], [0, 0, 1]];
  // 1.5×1.5 pixels each: one whole pixel, two halves and a quarter.
  const expected = [1 + 0 + 0.5 + 0.25, 0 + 0 + 0.25 + 0, 0.5 + 0 + 0 + 0.25, 1 + 0.25].map((sum) =>
    sum / 2.25
  );
  assertEquals([...keptShares({ mask, mode: "outpaint" }, frame)], expected.map(Math.fround));
  assertEquals(
    [...keptShares({ mask, mode: "inpaint" }, frame)],
    expected.map((share) => Math.fround(1 - Math.fround(share))),
  );
});

Deno.test("a mask of the picture's own size is cropped with it", () => {
  // 54×36 is resized to 27×18, of which columns 5.5 to 21.5 rounded to even, 6 to 22, and rows 1 to 17 are left.
  const picture = { width: 54, height: 36 };
  const marked = new RgbaImage(54, 36);
  for (let y = 0; y < 36; y++) marked.data.fill(255, 4 * 54 * y + 4 * 28, 4 * 54 * y + 4 * 44);
  const frame = { side: 4, size: 16, pictures: [picture, picture] };
  // Columns 28 to 44 are 14 to 22 after resizing, and 8 to 16 of the crop: its right half.
  const right = [0, 0, 1, 1];
  assertEquals([...keptShares({ mask: marked, mode: "outpaint" }, frame)], [
    ...right,
    ...right,
    ...right,
    ...right,
  ]);
  // A picture that has the model's size is not cropped, nor is its mask.
  const exact = { side: 2, size: 2, pictures: [{ width: 2, height: 2 }] };
  assertEquals([...keptShares({ mask: [[1, 0], [0, 1]], mode: "outpaint" }, exact)], [1, 0, 0, 1]);
  // A square one larger than the model's size is.
  const large = { side: 4, size: 4, pictures: [{ width: 40, height: 40 }] };
  const corner = Array.from(
    { length: 40 },
    (_, y) => Array.from({ length: 40 }, (_, x) => y < 4 && x < 4 ? 1 : 0),
  );
  // 40 pixels become round(4.5) = 4, and all of them are left: a token is 10 pixels wide.
  assertEquals(keptShares({ mask: corner, mode: "outpaint" }, large)[0], Math.fround(0.16));
});

Deno.test("regions that are none", () => {
  const frame = { side: 16, size: 256, pictures: [{ width: 300, height: 200 }] };
  const box = (...edges: number[]): Region => ({ box: edges as unknown as Box });
  const wanted =
    "box must be [top, left, bottom, right] with 0 <= top < bottom <= 1 and 0 <= left < right <= 1";
  const cases: [Region, ErrorConstructor, string][] = [
    [{}, TypeError, "a box or a mask must be given"],
    [{ box: [0, 0, 1, 1], mask: [[1]] }, TypeError, "either box or mask, not both, must be given"],
    [
      { box: [0, 0, 1, 1], mode: "both" as EditMode },
      TypeError,
      'mode must be one of "inpaint", "outpaint": current value is both',
    ],
    [box(0, 0, 1), RangeError, `${wanted}: current value is [ 0, 0, 1 ]`],
    [box(0.5, 0, 0.5, 1), RangeError, `${wanted}: current value is [ 0.5, 0, 0.5, 1 ]`],
    [box(0, 0, 1, 1.1), RangeError, `${wanted}: current value is [ 0, 0, 1, 1.1 ]`],
    [box(0, NaN, 1, 1), RangeError, `${wanted}: current value is [ 0, NaN, 1, 1 ]`],
    [
      box(0, 0, 0.02, 1),
      RangeError,
      "the box must be about as large as a token, 1/16 of the picture, at least: current value is [ 0, 0, 0.02, 1 ]",
    ],
    [
      { mask: [] },
      TypeError,
      "mask must be an RgbaImage or rows of numbers, all of one length: current value is []",
    ],
    [
      { mask: [[1, 0], [1]] },
      TypeError,
      "mask must be an RgbaImage or rows of numbers, all of one length: current value is [ [Array], [Array] ]",
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
