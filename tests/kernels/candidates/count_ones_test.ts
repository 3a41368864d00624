import { assertEquals } from "@std/assert";
import { countOnes } from "../../../kernels/candidates/count_ones.ts";

Deno.test("countOnes: the ones of a word, signed or not", () => {
  for (
    const [word, ones] of [[0, 0], [1, 1], [0xffffffff, 32], [-1, 32], [0x80010001, 3], [0x80000000 | 0, 1]]
  ) {
    assertEquals(countOnes(word!), ones);
  }
});
