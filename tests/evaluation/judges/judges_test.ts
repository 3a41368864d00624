import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CaptionOracle,
  ClassOracle,
  fulfills,
  groupByTag,
  objectsOf,
  parseCaptions,
  type Pixels,
  TAGS,
} from "../../../evaluation/judges/judges.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";
import recorded from "../../fixtures/judges/verdicts.json" with { type: "json" };

/** Products of the same numbers in another order, of values up to 1; 1e-6 between two runtimes on the CPU. */
const TOLERANCE = 2e-5;

const captions = parseCaptions(await Deno.readTextFile(goldenFile("demo-t2i/captions.jsonl")));
const outputs = await openCheckpoint(new URL("../../fixtures/judges/verdicts.safetensors", import.meta.url));
const pictures = picturesOf(await outputs.readFloat32("pictures"));
const detected = rowsOf(await outputs.readFloat32("detected"));
const made = rowsOf(await outputs.readFloat32("made"));
outputs[Symbol.dispose]();

function rowsOf(values: Float32Array): Float32Array[] {
  const row = 4 * 19;
  return Array.from({ length: values.length / row }, (_, i) => values.slice(i * row, (i + 1) * row));
}

/** Recorded pictures of red, green and blue. */
function picturesOf(values: Float32Array): Pixels[] {
  const area = 64 * 64;
  return Array.from({ length: values.length / (3 * area) }, (_, i) => {
    const image = new RgbaImage(64, 64);
    for (let p = 0; p < area; p++) {
      image.data.set([...values.subarray(3 * (i * area + p), 3 * (i * area + p + 1)), 255], 4 * p);
    }
    return image;
  });
}

Deno.test("fulfills: gives the recorded verdicts on recorded outputs of the detector", () => {
  const seen = new Map<string, Set<boolean>>();
  for (const [cases, rows] of [[recorded.detected, detected], [recorded.made, made]] as const) {
    assertEquals(cases.length, rows.length);
    for (const [i, { captions: wanted, verdicts }] of cases.entries()) {
      const objects = objectsOf(rows[i]!);
      for (const [k, caption] of wanted.entries()) {
        const { tag, prompt } = captions[caption]!;
        assertEquals(fulfills(objects, captions[caption]!), verdicts[k], `${i}: ${prompt}`);
        seen.set(tag, (seen.get(tag) ?? new Set()).add(verdicts[k]!));
      }
    }
  }
  // Both answers occur for every kind of caption, but for the one that objects were made to fit.
  for (const tag of TAGS) {
    assert(tag === "single_object" || tag === "colors" || seen.get(tag)!.size === 2, tag);
  }
});

Deno.test("CaptionOracle: sees what was recorded, and judges by it", async () => {
  await using oracle = await CaptionOracle.open();
  // The same pictures for each of their captions, so that there is more than one batch.
  const asked = recorded.detected.flatMap(({ captions: wanted, verdicts }, i) =>
    wanted.map((caption, k) => ({ i, caption: captions[caption]!, verdict: verdicts[k]! }))
  );
  assert(asked.length > 64);
  const judged = await oracle.judge(asked.map(({ i }) => pictures[i]!), asked.map((it) => it.caption));
  for (const [n, { i, caption, verdict }] of asked.entries()) {
    const { objects, right } = judged[n]!;
    assertEquals(right, verdict, caption.prompt);
    const wanted = objectsOf(detected[i]!);
    assertEquals(objects.map(({ shape, color }) => [shape, color]), wanted.map((it) => [it.shape, it.color]));
    for (const [k, object] of objects.entries()) {
      for (const field of ["score", "x", "y", "width", "height"] as const) {
        const off = Math.abs(object[field] - wanted[k]![field]);
        assert(off < TOLERANCE, `${field} is off by ${off}`);
      }
    }
  }
});

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
  await assertRejects(() => oracle.judge([new RgbaImage(32, 64)], [0]), RangeError, '"32 by 64"');
  await assertRejects(() => oracle.judge([picture], []), RangeError, "labels must be one for each of 1");
  for (const label of [-1, 64, 0.5]) {
    await assertRejects(() => oracle.judge([picture], [label]), RangeError, "an integer from 0 to 63");
  }
});

Deno.test("groupByTag: a group for each kind of caption, in the order of the table", () => {
  const groups = groupByTag(captions, captions.map((_, i) => i));
  assertEquals([...groups.keys()], [...TAGS]);
  assertEquals([...groups.values()].map((group) => group.length), [6, 28, 42, 36, 44, 44]);
  assertEquals([...groups.values()].flat().sort((a, b) => a - b), captions.map((_, i) => i));
  assertThrows(() => groupByTag(captions, [1]), RangeError, "scores must be one for each of 200");
});
