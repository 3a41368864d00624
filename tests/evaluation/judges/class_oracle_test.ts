import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClassOracle } from "../../../evaluation/judges/class_oracle.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";
import { picturesOf, TOLERANCE } from "./recorded.ts";

Deno.test("ClassOracle: gives the recorded log-probabilities", async () => {
  using golden = await openCheckpoint(goldenFile("demo/judges.safetensors"));
  const painted = picturesOf(await golden.readFloat32("pictures"));
  const labels = [...await golden.readFloat32("labels")];
  const logits = await golden.readFloat32("oracle.logits");
  await using oracle = await ClassOracle.open();
  const other = labels.map((label) => (label + 1) % 64);
  for (const asked of [labels, other]) {
    const verdicts = await oracle.judge(painted, asked);
    for (const [i, { label, logProbability, right }] of verdicts.entries()) {
      const row = [...logits.subarray(64 * i, 64 * (i + 1))];
      const most = Math.max(...row);
      const total = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - most), 0)) + most;
      assertEquals(label, row.indexOf(most));
      assertEquals(right, label === asked[i]);
      const off = Math.abs(logProbability - (row[asked[i]!]! - total));
      assert(off < TOLERANCE * most, `picture ${i} is off by ${off}`);
    }
  }
  assertEquals(await oracle.judge([], []), []);
});

Deno.test("ClassOracle: says what it cannot judge", async () => {
  await using oracle = await ClassOracle.open();
  const picture = new RgbaImage(64, 64);
  await assertRejects(() => oracle.judge([new RgbaImage(32, 64)], [0]), RangeError, '"32×64"');
  await assertRejects(() => oracle.judge([picture], []), RangeError, "labels must be one for each of 1");
  for (const label of [-1, 64, 0.5]) {
    await assertRejects(() => oracle.judge([picture], [label]), RangeError, "an integer from 0 to 63");
  }
});
