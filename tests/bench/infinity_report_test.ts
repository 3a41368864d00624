import { assert, assertEquals, assertThrows } from "@std/assert";
import { infinityTask, parseInfinityReportOptions } from "../../bench/infinity_report.ts";
import type { Scale } from "../../mod.ts";

const parse = (line: string) => parseInfinityReportOptions(line.split(" "));

Deno.test("parseInfinityReportOptions: the command line says what is measured and what it cannot measure", () => {
  assertEquals(parse("--text-tokenizer=t.json --threads=3"), {
    checkpoints: {
      ...{ model: "125M", stored: "f32", textLayers: 2, textTokenizer: "t.json" },
      folder: "out/checkpoints",
    },
    size: 256,
    dtypes: ["f32", "f16", "q8", "q4"],
    places: ["wasm", "native"],
    ...{ batch: 1, rounds: 3, threads: 3, scaling: false, compare: 4, keepText: false, padText: undefined },
    ...{ pytorch: undefined, output: undefined, json: false },
  });
  const own = parse("--infinity=a --vae=b --t5=c --batch=8 --on=webgpu --keep-text --pad-text=512");
  assertEquals(own.checkpoints, { infinity: "a", vae: "b", t5: "c" });
  // A model of one's own paints its usual size.
  assertEquals([own.size, own.batch, own.keepText, own.padText], [undefined, 8, true, 512]);
  assertThrows(() => parse("--infinity=a --vae=b"), TypeError, "--infinity, --vae and --t5 go together");
  assertThrows(
    () => parse("--infinity=a --vae=b --t5=c --model=2B"),
    TypeError,
    "with --model as it is for checkpoints that are made",
  );
  assertThrows(() => parse("--model=2B"), TypeError, "--text-tokenizer must name a tokenizer.json");
  assertThrows(() => parse("--text-tokenizer=t --model=1B"), TypeError, "--model must be one of");
  assertThrows(() => parse("--text-tokenizer=t --stored=q8"), TypeError, "--stored must be one of");
  assertThrows(() => parse("--text-tokenizer=t --size=big"), RangeError, "--size must be a size in pixels");
  assertThrows(() => parse("--text-tokenizer=t --pad-text=513"), RangeError, "--pad-text must be an integer");
});

Deno.test("infinityTask: prompts differ in length, and tokens have the bits that they can have", () => {
  const sampling = { guidanceWeight: 3, topK: 0, topP: 0.97, minP: 0, temperature: 1 };
  const scales = [1, 2, 4].map((side): Scale => {
    return { width: side, height: side, picture: { width: 8 * side, height: 8 * side }, sampling };
  });
  const { labels, tokens } = infinityTask({ scales, channels: 56, words: 2 }, { batch: 2, compare: 2 });
  assertEquals(labels, ["a photo of a red sphere", "a photo of a blue cube and a purple sphere"]);
  assertEquals(tokens.map((scale) => scale.map((map) => map.length)), [[2, 2], [8, 8]]);
  const [low, high] = [0, 1].map((word) => tokens[1]![0]!.filter((_, i) => i % 2 === word));
  assert(low!.some((word) => word >= 2 ** 31) && low!.every((word) => Number.isInteger(word) && word >= 0));
  assert(high!.every((word) => word < 2 ** 24) && high!.some((word) => word >= 2 ** 23));
  const small = infinityTask({ scales, channels: 16, words: 1 }, { batch: 1, compare: 3 });
  assert(small.tokens.flat(2).every((word) => word < 2 ** 16));
  assertEquals(new Set(small.tokens.flat(2)).size, 21);
});
