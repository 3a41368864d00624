/** The bytes that NumPy reads. */

import { assertEquals, assertRejects } from "@std/assert";
import { openNpz, writeNpz } from "../../../evaluation/files/npz.ts";
import { readArray } from "../../cli/read_npz.ts";
import { filesIn, testInFolder } from "../../cli/run.ts";

async function* rows(...rows: number[][]): AsyncGenerator<Uint8Array> {
  for (const row of rows) yield Uint8Array.from(row);
}

testInFolder("writeNpz: an archive is byte for byte one that NumPy has read", async (folder) => {
  const path = `${folder}/small.npz`;
  const second = [0, ...new Array<number>(11).fill(1)];
  await writeNpz(path, { arr_0: { shape: [2, 2, 2, 3], rows: rows(new Array<number>(12).fill(0), second) } });
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
      () => writeNpz(path, { arr_0: { shape: [2, 3], rows: rows([1, 2, 3]) } }),
      RangeError,
      "there must be 2 rows: there are 1",
    );
    await assertRejects(
      () => writeNpz(path, { arr_0: { shape: [1, 3], rows: rows([1, 2]) } }),
      RangeError,
      "row 0 must have 3 bytes: it has 2",
    );
    assertEquals(filesIn(folder), []);
    await writeNpz(path, { arr_0: { shape: [3], rows: rows([1], [2], [3]) } });
    assertEquals([...readArray(path).data], [1, 2, 3]);
    assertEquals(readArray(path).shape, "3,");
  },
);

testInFolder("writeNpz: several arrays of several types come back as they were", async (folder) => {
  const path = `${folder}/several.npz`;
  const mu = new Float64Array([0.1, Math.PI]);
  const features = new Float32Array([0.1, -2, 3e38, 4, 5, 6]);
  const network = new TextEncoder().encode("inception-fid");
  await writeNpz(path, {
    mu: { shape: [2], values: mu },
    features: { shape: [3, 2], values: features },
    network: { shape: [13], values: network },
    count: { shape: [], values: new Float64Array([3]) },
    arr_0: { shape: [2, 2], rows: rows([1, 2], [3, 4]) },
  });
  using npz = await openNpz(path);
  assertEquals(npz.names, ["mu", "features", "network", "count", "arr_0"]);
  assertEquals((await npz.read("mu")).values, mu);
  assertEquals(await npz.read("features"), { type: "<f4", shape: [3, 2], values: features });
  assertEquals((await npz.read("network")).values, network);
  assertEquals((await npz.read("count")).shape, []);
  assertEquals((await npz.read("arr_0")).values, Uint8Array.of(1, 2, 3, 4));
});

testInFolder("writeNpz: an array that does not fit its shape leaves what was there", async (folder) => {
  const path = `${folder}/kept.npz`;
  await writeNpz(path, { a: { shape: [1], values: Uint8Array.of(7) } });
  await assertRejects(
    () => writeNpz(path, { a: { shape: [2, 2], values: new Float32Array(3) } }),
    RangeError,
    "as [2, 2] takes 4 values: there are 3",
  );
  assertEquals(filesIn(folder), ["kept.npz"]);
  using npz = await openNpz(path);
  assertEquals([...(await npz.read("a")).values], [7]);
  await assertRejects(
    () => writeNpz(`${folder}/absent/a.npz`, {}),
    Error,
    `Cannot write ${folder}/absent/a.npz: no such file`,
  );
});
