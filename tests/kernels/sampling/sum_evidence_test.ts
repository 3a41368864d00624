import { assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { sumEvidence, type SumEvidenceArguments } from "../../../kernels/sampling/sum_evidence.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

testOnDevices("sumEvidence: minus the exact sum, rounded towards 0", async (device) => {
  const random = testRandom(51);
  for (
    const [rows, items, largest] of [[1, 1, 2 ** 32], [3, 7, 2 ** 40], [5, 300, 2 ** 36], [
      2,
      70_000,
      2 ** 31,
    ], [
      0,
      4,
      1,
    ]] as const
  ) {
    const values = Array.from({ length: rows * items }, () => Math.floor(random() * largest));
    using sums = device.upload(
      Uint32Array.from(values.flatMap((value) => [value % 2 ** 32, value / 2 ** 32])),
    );
    using evidence = device.upload(new Float32Array(rows + 1).fill(7));
    device.run(sumEvidence, { sums, evidence, rows, items });
    const found = await readFloats(evidence);
    for (let row = 0; row < rows; row++) {
      const total = values.slice(row * items, (row + 1) * items).reduce((a, b) => a + BigInt(b), 0n);
      // 24 bits from the first one on.
      const drop = 2n ** BigInt(Math.max(0, total.toString(2).length - 24));
      assertEquals(found[row], -Number(total / drop * drop) * 2 ** -22);
    }
    assertEquals(found[rows], 7);
  }
});

testOnDevices("sumEvidence: nothing at all is no negative zero", async (device) => {
  using sums = device.allocate(6);
  using evidence = device.allocate(1);
  device.run(sumEvidence, { sums, evidence, rows: 1, items: 3 });
  assertEquals(Object.is((await readFloats(evidence))[0], 0), true);
});

testOnDevices("sumEvidence: bad calls are refused", (device) => {
  using sums = device.allocate(12, "sums");
  using evidence = device.allocate(2, "evidence");
  const good = { sums, evidence, rows: 2, items: 3 };
  device.run(sumEvidence, good);
  const bad: [Partial<SumEvidenceArguments>, string][] = [
    [{ rows: -1 }, "rows must be an integer >= 0: current value is -1"],
    [{ items: 0 }, "items must be an integer from 1 to 4194304: current value is 0"],
    [{ items: 4 }, '"sums" must hold at least 16 words: it holds 12'],
    [{ rows: 3, items: 2 }, '"evidence" must hold at least 3 words: it holds 2'],
  ];
  for (const [change, message] of bad) {
    const error = assertThrows(() => device.run(sumEvidence, { ...good, ...change }), RangeError);
    assertEquals(error.message, `Cannot sum evidence as ${message}`);
  }
});
