/** Time spans and amounts of memory. */

import { assertEquals } from "@std/assert";
import { duration, size } from "../../../cli/output/units.ts";

Deno.test("duration and size choose the unit that suits", () => {
  assertEquals([size(812), size(1024), size(15.5 * 2 ** 20), size(2 ** 31 - 1)], [
    "812 bytes",
    "1.0 KiB",
    "15.5 MiB",
    "2.0 GiB",
  ]);
  assertEquals([duration(12.4), duration(999.6), duration(59_949), duration(59_951), duration(245_000)], [
    "12 ms",
    "1.0 s",
    "59.9 s",
    "1 min 00 s",
    "4 min 05 s",
  ]);
  assertEquals([duration(3_599_400), duration(3_599_600), duration(111_720_000)], [
    "59 min 59 s",
    "1 h 00 min",
    "31 h 02 min",
  ]);
});
