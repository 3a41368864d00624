import { assert, assertEquals, assertRejects } from "@std/assert";
import { objectsIn, outputIn } from "../../../evaluation/geneval/detector_outputs.ts";
import { GENEVAL_TAGS, parseMetadata } from "../../../evaluation/geneval/metadata.ts";
import { type Detection, fulfills, GENEVAL_RULES } from "../../../evaluation/geneval/rules.ts";
import { CaptionOracle } from "../../../evaluation/judges/caption_oracle.ts";
import description from "../../../evaluation/judges/demo_t2i_detector.json" with { type: "json" };
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { fieldsIn, imageIn } from "../../../models/vision/network_description.ts";
import { RgbaImage } from "../../../sampler/pictures/image.ts";
import { goldenFile } from "../../fixtures/golden/golden.ts";
import recorded from "../../fixtures/judges/verdicts.json" with { type: "json" };
import { picturesOf, TOLERANCE } from "./recorded.ts";

const captions = parseMetadata(await Deno.readTextFile(goldenFile("demo-t2i/captions.jsonl")));
const outputs = await openCheckpoint(new URL("../../fixtures/judges/verdicts.safetensors", import.meta.url));
const pictures = picturesOf(await outputs.readFloat32("pictures"));
const detected = await outputs.readFloat32("detected");
const made = await outputs.readFloat32("made");
outputs[Symbol.dispose]();

const rules = { ...GENEVAL_RULES, ...description.rules } as typeof GENEVAL_RULES;

/** What the bundled description makes of the detector's numbers. */
function objectsOf(values: Float32Array): Detection[][] {
  const fields = fieldsIn(new TextEncoder().encode(JSON.stringify(description)), "the description");
  return objectsIn(outputIn(fields.object("output")), new Map([["objects", values]]), {
    sizes: Array.from({ length: values.length / (4 * 19) }, () => ({ width: 64, height: 64 })),
    image: imageIn(fields.object("image")),
    labels: description.labels,
    least: rules.score,
    file: "recorded",
  });
}

Deno.test("CaptionOracle: its rules give the recorded verdicts on recorded outputs of the detector", () => {
  const seen = new Map<string, Set<boolean>>();
  for (const [cases, values] of [[recorded.detected, detected], [recorded.made, made]] as const) {
    // That scoring took objects as they came, which the network gives in order and the made ones have not.
    const found = objectsOf(values).map((objects) => objects.map((it, i) => ({ ...it, score: 1 - i / 8 })));
    assertEquals(cases.length, found.length);
    for (const [i, { captions: wanted, verdicts }] of cases.entries()) {
      for (const [k, caption] of wanted.entries()) {
        const { tag, prompt } = captions[caption]!;
        assertEquals(fulfills(found[i]!, captions[caption]!, rules), verdicts[k], `${i}: ${prompt}`);
        seen.set(tag, (seen.get(tag) ?? new Set()).add(verdicts[k]!));
      }
    }
  }
  // Both answers occur for every kind of caption, but for the one that objects were made to fit.
  for (const tag of GENEVAL_TAGS) {
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
  const wanted = objectsOf(detected);
  for (const [n, { i, caption, verdict }] of asked.entries()) {
    const { objects, right } = judged[n]!;
    assertEquals(right, verdict, caption.prompt);
    assertEquals(objects.map(kindOf), wanted[i]!.map(kindOf));
    for (const [k, { score, box }] of objects.entries()) {
      const off = [
        score - wanted[i]![k]!.score,
        ...box.map((side, s) => (side - wanted[i]![k]!.box[s]!) / 64),
      ];
      assert(off.every((difference) => Math.abs(difference) < 1.5 * TOLERANCE), `off by ${off}`);
    }
  }
});

function kindOf({ label, color }: Detection): string {
  return `${color} ${label}`;
}

Deno.test("CaptionOracle: says what it cannot judge", async () => {
  await using oracle = await CaptionOracle.open();
  const [caption] = captions;
  await assertRejects(() => oracle.judge([new RgbaImage(32, 64)], [caption!]), RangeError, '"32×64"');
  await assertRejects(() => oracle.judge([], [caption!]), RangeError, "prompts must be one for each of 0");
});
