/** The place of a long run that another process may begin at the same moment. */

import { assertEquals, assertRejects } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { recordIn } from "../../../cli/series/series_folder.ts";
import type { SeriesPlace } from "../../../cli/series/series_place.ts";

const RECORD = JSON.stringify({
  ...{ format: "varscale-series", version: 1, settings: {}, model: {} },
  ...{ classes: [1], imagesPerClass: 1 },
});

/** A place whose record is read so, one time after the other, and that has these files. */
function place(records: readonly (string | undefined)[], names: readonly string[]): SeriesPlace {
  const left = [...records];
  const unexpected = (): never => {
    throw new Error("Nobody asked for this");
  };
  return {
    name: "out",
    read: () => Promise.resolve(left.length > 1 ? left.shift() : left[0]),
    names: async function* () {
      yield* names;
    },
    ...{ write: unexpected, folder: unexpected, remove: unexpected, whole: unexpected },
    [Symbol.asyncDispose]: unexpected,
  };
}

Deno.test("recordIn: a run that another process begins meanwhile is taken up", async () => {
  for (const names of [[], ["run.json"], ["00000", "run.json"]]) {
    for (const records of [[RECORD], [undefined, RECORD]]) {
      const found = await recordIn(place(records, names));
      // Where there is no image yet, both begin the same run.
      const begun = records.length === 1 || names.length === 2;
      assertEquals(found && "classes" in found && found.classes, begun ? [1] : undefined);
    }
  }
});

Deno.test("recordIn: images without a record are refused, and so is another record", async () => {
  assertEquals(await recordIn(place([undefined], ["notes.txt"])), undefined);
  await assertRejects(
    () => recordIn(place([undefined], ["00000"])),
    UsageError,
    "Cannot use out: it has images and no run.json",
  );
  for (const records of [['{"format":"varscale-run"}'], [undefined, "{}"]]) {
    await assertRejects(
      () => recordIn(place(records, ["00000"])),
      UsageError,
      "Cannot use out: its run.json is not that of varscale run",
    );
  }
});
