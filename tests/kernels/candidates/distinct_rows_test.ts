import { assertEquals } from "@std/assert";
import { DistinctRows } from "../../../kernels/candidates/distinct_rows.ts";
import { testRandom } from "../../devices.ts";

Deno.test("DistinctRows: equal rows have the same number, others the next one", () => {
  const random = testRandom(101);
  for (
    const [size, most, lastWord] of [[1, 1, 0xffffffff], [1, 3000, 0xffff], [2, 500, 0xff], [
      36,
      300,
      0xffffffff,
    ]]
  ) {
    const rows = new DistinctRows(most!, { size: size!, lastWord: lastWord! });
    for (const kinds of [1, 7, 2 ** 32]) {
      rows.clear();
      const source = Uint32Array.from({ length: most! * size! + 5 }, () => {
        return kinds === 2 ** 32 ? random() * kinds : (Math.floor(random() * kinds) * 0x01000193) >>> 0;
      });
      const known = new Map<string, number>();
      const counts: number[] = [];
      for (let row = 0; row < most!; row++) {
        const words = source.slice(5 + row * size!, 5 + (row + 1) * size!);
        words[size! - 1]! &= lastWord!;
        const number = known.get(`${words}`) ?? known.size;
        known.set(`${words}`, number);
        counts[number] = (counts[number] ?? 0) + 1;
        assertEquals(rows.add(source, 5 + row * size!), number);
        assertEquals(rows.words.slice(number * size!, (number + 1) * size!), words);
      }
      assertEquals([rows.count, ...rows.counts.subarray(0, rows.count)], [known.size, ...counts]);
    }
  }
});
