/** The bytes that NumPy reads. */

import { assertEquals, assertRejects } from "@std/assert";
import { writeNpz } from "../../../cli/series/npz_file.ts";
import { filesIn, testInFolder } from "../run.ts";
import { readArray } from "../read_npz.ts";

async function* rows(...rows: number[][]): AsyncGenerator<Uint8Array> {
  for (const row of rows) yield Uint8Array.from(row);
}

testInFolder("writeNpz: an archive is byte for byte one that NumPy has read", async (folder) => {
  const path = `${folder}/small.npz`;
  const second = [0, ...new Array<number>(11).fill(1)];
  await writeNpz(path, [2, 2, 2, 3], rows(new Array<number>(12).fill(0), second));
  // np.load(path)["arr_0"] of NumPy 2.4 gave these rows as uint8 [2, 2, 2, 3], and zipfile.testzip() no
  // complaint.
  const recorded = `
    504b03042d000000000000002100340b6f00ffffffffffffffff090014006172725f302e6e7079010010009800000000
    0000009800000000000000934e554d5059010076007b276465736372273a20277c7531272c2027666f727472616e5f6f
    72646572273a2046616c73652c20277368617065273a2028322c20322c20322c2033292c207d20202020202020202020
    2020202020202020202020202020202020202020202020202020202020202020202020202020202020200a0000000000
    00000000000000000101010101010101010101504b01022d032d000000000000002100340b6f00ffffffffffffffff09
    0014000000000000000000a481000000006172725f302e6e70790100100098000000000000009800000000000000504b
    06062c000000000000002d032d000000000000000000010000000000000001000000000000004b00000000000000d300
    000000000000504b0607000000001e0100000000000001000000504b050600000000010001004b000000ffffffff0000
  `;
  assertEquals((await Deno.readFile(path)).toHex(), recorded.replaceAll(/\s/g, ""));
});

testInFolder(
  "writeNpz: an archive with a wrong number of rows or bytes is not left behind",
  async (folder) => {
    const path = `${folder}/wrong.npz`;
    await assertRejects(
      () => writeNpz(path, [2, 3], rows([1, 2, 3])),
      RangeError,
      "there must be 2 rows: there are 1",
    );
    await assertRejects(
      () => writeNpz(path, [1, 3], rows([1, 2])),
      RangeError,
      "row 0 must have 3 bytes: it has 2",
    );
    assertEquals(filesIn(folder), []);
    await writeNpz(path, [3], rows([1], [2], [3]));
    assertEquals([...readArray(path).data], [1, 2, 3]);
    assertEquals(readArray(path).shape, "3,");
  },
);
