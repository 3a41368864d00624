/**
 * The tree of a search: it sees every lane after every scale, changes nothing, and shows who was dropped.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Attempt,
  beamSearch,
  bestOfN,
  costOf,
  generate,
  GeneratedImage,
  type LaneVerifier,
  loadModel,
  RgbaImage,
  searchTree,
  type SearchTreeNote,
} from "../../../mod.ts";
import "../../native.ts";

/** A judge that knows nothing: the further down in the batch, the better. */
const last: LaneVerifier = { name: "last", scoreLanes: ({ lanes }) => [...lanes.keys()] };

const GREEN = [0x1e, 0x84, 0x49];

/** Where the picture of a row and scale begins, as the sheet of pictures of 64 pixels is laid out. */
function cornerOf(row: number, scale: number): { readonly x: number; readonly y: number } {
  return { x: 16 + scale * (128 + 24), y: 66 + row * (128 + 32) };
}

function pixel({ data, width }: RgbaImage, x: number, y: number): number[] {
  return [...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
}

Deno.test("searchTree: it watches each lane after each scale, and the pictures stay the same", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const request = { labels: ["red torus", "blue cone"], seed: 7 };
  const search = beamSearch({ beams: 2, width: 2, scales: [2], verifier: last });
  const tree = searchTree();
  const watched = await generate(model, { ...request, hooks: [tree, search] });
  const plain = await generate(model, { ...request, hooks: [search] });
  assertEquals(watched.images.map(({ data }) => data), plain.images.map(({ data }) => data));
  assertEquals(watched.images.map(({ tokens }) => tokens), plain.images.map(({ tokens }) => tokens));
  for (const image of watched.images) {
    for (const { from, dropped, decisions } of image.attempts) {
      const notes = decisions.filter(({ hook }) => hook === tree.name);
      // A copy has those of the lane that it continues, too.
      assertEquals(notes.map(({ scale }) => scale), [...Array((dropped?.scale ?? 5) + 1).keys()]);
      assert(from === undefined || from.scale === 2);
      assertEquals(
        notes.map(({ value }) => (value as SearchTreeNote).width),
        model.patchNumbers.slice(0, notes.length),
      );
    }
    const [end] = image.decisionsOf(tree).slice(-1);
    assertEquals(end!.value.picture.data, image.data);
  }
  const { passes, decodes, judged } = watched.trace.cost;
  const planned = await costOf(model, { ...request, hooks: [tree, search] });
  assertEquals([passes, decodes, judged], [planned.passes, planned.decodes, planned.judged]);
  // Each lane of each scale is decoded and looked at, beside those that the search judges.
  assertEquals([passes, decodes, judged - plain.trace.cost.judged], [48, 48, 48]);
});

Deno.test("searchTree: the sheet frames what led to the picture, and shows faintly what was dropped", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const tree = searchTree();
  const search = bestOfN({ samples: 3, keep: 2, verifier: last });
  const { images } = await generate(model, { labels: "red torus", hooks: [tree, search] });
  assertEquals(images.map(({ lane }) => lane), [1, 2]);
  const sheet = tree.image(images[1]!);
  assertEquals([sheet.width, sheet.height], [32 + 7 * 152, 66 + 3 * 160 + 16]);
  for (const [row, framed] of [false, false, true].entries()) {
    for (let scale = 0; scale < 6; scale++) {
      const { x, y } = cornerOf(row, scale);
      assertEquals(pixel(sheet, x - 1, y - 1), framed ? GREEN : [0xfa, 0xfa, 0xfa], `${row} ${scale}`);
    }
  }
  const pictureOf = ({ attempt }: { readonly attempt: number }): RgbaImage => {
    const { decisions } = images[0]!.attempts[attempt]!;
    return (decisions.findLast(({ hook }) => hook === tree.name)!.value as SearchTreeNote).picture;
  };
  for (const attempt of [0, 1, 2]) {
    const { x, y } = cornerOf(attempt, 5);
    const shown = pixel(sheet, x + 2 * 30, y + 2 * 40);
    const own = pixel(pictureOf({ attempt }), 30, 40);
    // A dropped one lets 0.6 of the background through.
    const wanted = attempt === 0 ? own.map((value) => Math.round(0.4 * value + 0.6 * 0xfa)) : own;
    assertEquals(shown, wanted);
  }
});

Deno.test("searchTree: lines of copies lead from the lane that they continue", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const tree = searchTree();
  const search = beamSearch({ beams: 1, width: 2, scales: [1], verifier: last });
  const { images: [image] } = await generate(model, { labels: "red torus", hooks: [tree, search] });
  // Lane 1 goes on as itself and as attempt 2, which the judge likes better.
  assertEquals([image!.attempts.length, image!.attempt], [3, 2]);
  const sheet = tree.image(image!);
  const source = cornerOf(1, 1);
  const bend = source.x + 128 + 11;
  for (let y = source.y + 63; y < cornerOf(2, 2).y + 64; y++) assertEquals(pixel(sheet, bend, y), GREEN);
  assertEquals(pixel(sheet, bend, source.y + 60), [0xfa, 0xfa, 0xfa]);
});

Deno.test("searchTree: a picture that nobody watched is refused", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const { images: [image] } = await generate(model, { labels: "red torus" });
  assertThrows(
    () => searchTree().image(image!),
    TypeError,
    'Cannot draw the search for "red torus #0" as nobody watched it: searchTree() must be among the hooks',
  );
});

Deno.test("searchTree: very many lanes are drawn smaller, and large pictures are", () => {
  const picture = new RgbaImage(64, 32);
  const attempts = Array.from({ length: 256 }, (_, attempt): Attempt => ({
    attempt,
    lane: attempt,
    decisions: [{
      hook: "search-tree",
      scale: 0,
      value: { picture, width: 2, height: 1 } satisfies SearchTreeNote,
    }],
    ...(attempt > 0 && { dropped: { hook: "best-of-n", scale: 0 } }),
  }));
  const image = new GeneratedImage(picture, picture.data, {
    place: 0,
    index: 0,
    lane: 0,
    label: { id: 1, name: "class", prompt: undefined } as unknown as GeneratedImage["label"],
    seed: 0,
    tokens: [],
    decisions: attempts[0]!.decisions,
    attempt: 0,
    attempts,
  });
  const sheet = searchTree().image(image);
  assert(sheet.height <= 16_384, `${sheet.height}`);
});
