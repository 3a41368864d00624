/** Locks of folders, as processes take them. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { lockFolder } from "../../../cli/series/folder_lock.ts";
import { run, testInFolder } from "../run.ts";

testInFolder(
  "lockFolder: two processes cannot do the same work, but different parts of it",
  async (folder) => {
    const locked = async (shard?: string): Promise<boolean> => {
      const [part, parts] = shard?.split("/").map(Number) ?? [];
      try {
        using _lock = await lockFolder(
          folder,
          shard === undefined ? undefined : { part: part!, parts: parts! },
        );
        return false;
      } catch (error) {
        assertStringIncludes((error as Error).message, `Cannot work in ${folder} as another process is at `);
        return true;
      }
    };
    {
      using _whole = await lockFolder(folder, undefined);
      assertEquals([await locked(), await locked("1/2")], [true, true]);
      const { code, err } = await run(["run", "-o", folder, "--device", "cpu"]);
      assertEquals(code, 1);
      assertEquals(err, `varscale: Cannot work in ${folder} as another process is at it\n`);
    }
    {
      using _part = await lockFolder(folder, { part: 1, parts: 2 });
      assertEquals([await locked(), await locked("1/2"), await locked("2/2")], [true, true, false]);
      // A third overlaps with a half, and takes a file of it that is not finished for what a killed process
      // left.
      assertEquals([await locked("1/3"), await locked("3/3")], [true, true]);
    }
    assertEquals([await locked(), await locked("1/2"), await locked("1/3")], [false, false, false]);
  },
);
