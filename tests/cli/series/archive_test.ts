/** The archive of a folder; packing is tested with its command. */

import { assertEquals } from "@std/assert";
import { resolve } from "node:path";
import { archiveOf } from "../../../cli/series/archive.ts";

Deno.test("archiveOf is beside the folder, however that is named", () => {
  for (const given of ["samples", "samples/", "a/b", ".", "..", "a/..", "/a/b/"]) {
    assertEquals(resolve(archiveOf(given)), `${resolve(given)}.npz`, given);
  }
});
