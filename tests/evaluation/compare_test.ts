/** Differences of pictures that go in pairs, beside formulas written down anew. */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { compareEvaluations } from "../../evaluation/compare.ts";
import { evaluatePictures, type Evaluation } from "../../evaluation/evaluate.ts";
import { openPictures } from "../../evaluation/pictures/source.ts";
import { openReference } from "../../evaluation/reference.ts";
import { RgbaImage } from "../../sampler/mod.ts";
import { fixture, testInFolder } from "../cli/run.ts";
import { levelNetwork } from "./level_network.ts";

/** Pictures of one color each; the second ones a little brighter in one channel. */
async function evaluated(folder: string, shift: number): Promise<Evaluation> {
  const place = `${folder}/${shift}`;
  await Deno.mkdir(place);
  for (let i = 0; i < 40; i++) {
    const image = new RgbaImage(2, 2);
    for (let k = 0; k < 4; k++) image.data.set([37 * i % 200, 91 * i % 200 + shift, 53 * i % 200], 4 * k);
    await Deno.writeFile(`${place}/class_${i % 4}_img_${i}.png`, image.png());
  }
  await using network = levelNetwork();
  return await evaluatePictures({
    pictures: await openPictures(place),
    network,
    reference: await openReference(fixture("evaluation/evaluate/statistics.npz")),
    metrics: ["fid", "accuracy"],
  });
}

testInFolder("compareEvaluations: what pairs share says nothing of the difference", async (folder) => {
  const [plain, brighter] = [await evaluated(folder, 0), await evaluated(folder, 8)];
  const { fid, accuracy } = compareEvaluations(brighter, plain);
  const [here, there] = [brighter.values, plain.values];
  assertEquals(fid!.value, here.fid!.value - there.fid!.value);
  assertEquals(fid!.p, undefined);
  // The jackknife of 20 groups, and Student's 2.093 for 19 degrees of freedom.
  const parts = brighter.parts.fid!.map((part, i) => part - plain.parts.fid![i]!);
  const mean = parts.reduce((sum, part) => sum + part) / 20;
  const error = Math.sqrt(19 / 20 * parts.reduce((sum, part) => sum + (part - mean) ** 2, 0));
  assertAlmostEquals(fid!.high! - fid!.low!, 2 * 2.093024 * error, 1e-6 * error);
  // Surer than both values, which differ by the pictures that they are of.
  assert(fid!.high! - fid!.low! < (there.fid!.high! - there.fid!.low!) / 2);
  assertAlmostEquals(accuracy!.value, here.accuracy!.value - there.accuracy!.value, 1e-12);
  assert(accuracy!.low! <= accuracy!.value && accuracy!.value <= accuracy!.high!);
  assert(accuracy!.p! > 0 && accuracy!.p! <= 1);
});

testInFolder(
  "compareEvaluations: other names are no pairs, and another network is refused",
  async (folder) => {
    const own = await evaluated(folder, 0);
    const names = own.names.map((name) => `other_${name}`);
    assertEquals(compareEvaluations(own, { ...own, names }), {});
    assertEquals(compareEvaluations(own, { ...own, names: own.names.slice(1) }), {});
    assertThrows(
      () => compareEvaluations(own, { ...own, network: { name: "clip", fingerprint: "2" } }),
      RangeError,
      "the network must be levels for both",
    );
  },
);
