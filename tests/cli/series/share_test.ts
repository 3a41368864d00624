/** Parts of a long run. */

import { assertEquals } from "@std/assert";
import { shareOf, wholeSubjects } from "../../../cli/series/share.ts";
import { ClassSubjects } from "../../../cli/series/subjects.ts";

Deno.test("shareOf splits the images into parts without a gap, or the classes where those stay whole", () => {
  for (const [classes, imagesPerClass] of [[[0, 1, 2], 5], [[7], 3], [[1, 4, 5, 9], 1]] as const) {
    const run = new ClassSubjects({ classes, imagesPerClass });
    const all = run.cells;
    assertEquals(shareOf(run, undefined, false), all);
    for (const parts of [1, 2, 3, 7]) {
      for (const coupled of [false, true]) {
        const shares = Array.from({ length: parts }, (_, i) => shareOf(run, { part: i + 1, parts }, coupled));
        assertEquals(shares.flat(), all);
        if (coupled) { for (const share of shares) assertEquals(wholeSubjects(all, share), share); }
      }
    }
  }
});

Deno.test("wholeSubjects takes all images of the classes that lack one", () => {
  const share = new ClassSubjects({ classes: [0, 1, 2], imagesPerClass: 2 }).cells;
  assertEquals(wholeSubjects(share, [{ subject: 1, image: 1 }]), share.slice(2, 4));
  assertEquals(wholeSubjects(share, []), []);
});
