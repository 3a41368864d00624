/** Rows and moments of many pictures, a batch in memory at a time. */

import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { Moments } from "../../../evaluation/numbers/moments.ts";
import { lookAtPictures } from "../../../evaluation/pictures/look.ts";
import type { PictureSource } from "../../../evaluation/pictures/picture_source.ts";
import { RgbaImage } from "../../../sampler/mod.ts";
import { levelNetwork } from "../level_network.ts";

/** Pictures of two sizes in turn, made as they are asked for. */
function made(count: number): PictureSource {
  const names = Array.from({ length: count }, (_, i) => `${i}`);
  return {
    ...{ place: "made", count, names, fingerprint: "made", notes: [] },
    async *pictures() {
      for (const [i, name] of names.entries()) {
        const image = new RgbaImage(1 + i % 2, 1);
        image.data.fill(i % 251);
        yield await Promise.resolve({ name, image });
      }
    },
  };
}

Deno.test("lookAtPictures: rows keep the order of pictures of several sizes, over batches", async () => {
  await using network = levelNetwork();
  const { rows, moments } = await lookAtPictures(made(600), network, {
    rows: ["features"],
    moments: ["features", "logits"],
  });
  const { values, count, dimensions } = rows.features!;
  assertEquals([count, dimensions], [600, 6]);
  for (let i = 0; i < 600; i++) assertEquals(values[6 * i], Math.fround(i % 251 / 255));
  const sum = new Moments(6);
  sum.update(rows.features!);
  const whole = sum.compute();
  assertEquals(moments.features!.count, 600);
  for (const [i, value] of whole.covariance.entries()) {
    // Blocks of other sizes are added in another order: a few roundings of f64.
    assertAlmostEquals(moments.features!.covariance[i]!, value, 1e-13);
  }
  assertEquals([rows.logits, moments.logits?.dimensions], [undefined, 4]);
});

Deno.test("lookAtPictures: a signal ends it between two batches", async () => {
  await using network = levelNetwork();
  const controller = new AbortController();
  await assertRejects(
    () =>
      lookAtPictures(made(600), network, {
        rows: ["features"],
        moments: [],
        signal: controller.signal,
        onProgress: (done) => done === 256 && controller.abort(new Error("enough")),
      }),
    Error,
    "enough",
  );
  assertEquals(network.looks.pictures, 256);
});
