/**
 * Parsing and help texts of option tables, on a small table of its own.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { describeOptions } from "../../../cli/options/help.ts";
import {
  bytes,
  choice,
  flag,
  integer,
  integerOrAuto,
  number,
  pictureSize,
  scales,
  scalesOrAll,
  seed,
  sides,
  text,
  texts,
  toggle,
} from "../../../cli/options/kinds.ts";
import { nearest } from "../../../cli/options/nearest.ts";
import { optionName, section } from "../../../cli/options/options.ts";
import { parse } from "../../../cli/options/parse.ts";

const TABLE = {
  ...section("First", {
    topK: { kind: integer("K", 0), help: "Draw from the K likeliest", default: 900 },
    cfg: { kind: number("X", 0, 10), help: "Guidance", aliases: ["guidance-scale"] },
    output: { kind: text("DIR"), short: "o", help: "Folder" },
  }),
  ...section("Second", {
    device: { kind: choice(["auto", "webgpu", "cpu"]), help: "Where", default: "auto" },
    grid: { kind: toggle, help: "Sheet", defaultText: "sometimes" },
    quiet: { kind: flag, short: "q", help: "Silence" },
  }),
};

Deno.test("Options are read in every way to write them", () => {
  const { options, given, operands } = parse(TABLE, [
    "red torus",
    "--top_k=5",
    "--guidance_scale",
    "2.5e0",
    "-q",
    "-oout_dir",
    "--no-grid",
    "--",
    "--device",
  ]);
  assertEquals(options, { topK: 5, cfg: 2.5, output: "out_dir", device: "auto", grid: false, quiet: true });
  assertEquals([...given].sort(), ["cfg", "grid", "output", "quiet", "topK"]);
  assertEquals(operands, ["red torus", "--device"]);
});

Deno.test("Options that are not given have their defaults", () => {
  assertEquals(parse(TABLE, []).options, {
    topK: 900,
    cfg: undefined,
    output: undefined,
    device: "auto",
    grid: undefined,
    quiet: false,
  });
});

Deno.test("Wrong options are refused with what was wanted and given", () => {
  const cases: readonly [readonly string[], string][] = [
    [["--top-q", "5"], "Unknown option --top-q; did you mean --top-k?"],
    [["--nothing-like-it"], "Unknown option --nothing-like-it"],
    [["-x"], "Unknown option -x"],
    [["--no-quiet"], "Unknown option --no-quiet"],
    [["--cfg"], "Option --cfg needs a value: --cfg X"],
    [["--cfg", "--quiet"], "Option --cfg needs a value: --cfg X"],
    [["--cfg", "-1"], 'Option --cfg must be a number from 0 to 10: current value is "-1"'],
    [["--cfg", "0x1"], 'Option --cfg must be a number from 0 to 10: current value is "0x1"'],
    [["--cfg="], 'Option --cfg must be a number from 0 to 10: current value is ""'],
    [["--top-k", "1.5"], 'Option --top-k must be an integer of at least 0: current value is "1.5"'],
    [["--top-k", "1", "--top-k", "1"], "Option --top-k is given twice"],
    [
      ["--cfg=1", "--guidance-scale=2"],
      "Options --cfg and --guidance-scale are the same, and both are given",
    ],
    [["--grid", "--no-grid"], "Options --grid and --no-grid are the same, and both are given"],
    [["--quiet=yes"], 'Option --quiet takes no value: current value is "yes"'],
    [["--output="], 'Option --output must not be empty: current value is ""'],
    [
      ["--device", "webgup"],
      'Option --device must be auto, webgpu or cpu: current value is "webgup"; did you mean webgpu?',
    ],
  ];
  for (const [args, message] of cases) {
    const error = assertThrows(() => parse(TABLE, args), UsageError);
    assertEquals(error.message, message);
  }
});

Deno.test("Kinds of values", () => {
  assertEquals(seed.parse("7"), 7);
  assertEquals(seed.parse("18446744073709551615"), 2n ** 64n - 1n);
  assertThrows(() => seed.parse("18446744073709551616"), RangeError);
  assertEquals(scales.parse("1,3,1"), [1, 3]);
  assertThrows(() => scales.parse("1,,3"), RangeError);
  assertThrows(() => scales.parse("all"), RangeError);
  assertEquals(scales.parse("0-3,2,7-7"), [0, 1, 2, 3, 7]);
  for (const wrong of ["3-1", "1-", "-1", "1-2-3", "", "1.5"]) {
    assertThrows(() => scales.parse(wrong), RangeError, "must be numbers of scales from 0 on");
  }
  assertEquals(["1,2,3", "1_2_13", "1"].map(sides.parse), [[1, 2, 3], [1, 2, 13], [1]]);
  for (const wrong of ["", "0,1", "1,,2", "1 2", "1,2,", "-1", "1.5", "12345"]) {
    assertThrows(() => sides.parse(wrong), RangeError, 'separated by commas, like "1,2,3,4"');
  }
  assertEquals(["512", "512x256", "512×256", "96X32"].map(pictureSize.parse), [
    512,
    { width: 512, height: 256 },
    { width: 512, height: 256 },
    { width: 96, height: 32 },
  ]);
  for (const wrong of ["", "0", "512x", "x256", "512x0", "512,256", "1e3", "512x256x3"]) {
    assertThrows(() => pictureSize.parse(wrong), RangeError, "must be a size in pixels");
  }
  assertEquals(scalesOrAll.parse("all"), true);
  assertEquals(texts.parse("red torus, blue cone"), ["red torus", "blue cone"]);
  assertThrows(() => texts.parse("a,"), RangeError);
  assertEquals(["auto", "3"].map(integerOrAuto("N", 1).parse), ["auto", 3]);
  assertThrows(() => integerOrAuto("N", 1).parse("0"), RangeError, "must be an integer of at least 1");
  assertEquals(["8GB", "8gib", "1.5 MB", "512K", "7", "7b", ".5TiB"].map(bytes.parse), [
    8e9,
    8 * 2 ** 30,
    1.5e6,
    512_000,
    7,
    7,
    2 ** 39,
  ]);
  for (const wrong of ["", "0", "GB", "8XB", "-1GB", "1e9", "8iB"]) {
    assertThrows(() => bytes.parse(wrong), RangeError, "must be an amount of memory");
  }
});

Deno.test("The help lists every option with its section, default and other names", () => {
  const help = describeOptions(TABLE);
  for (const [name, { help: explanation }] of Object.entries(TABLE)) {
    assertStringIncludes(help, optionName(name).replace("--grid", "--[no-]grid"));
    assertStringIncludes(help, explanation);
  }
  assertStringIncludes(
    help,
    "First:\n      --top-k K               Draw from the K likeliest (default: 900)\n",
  );
  assertStringIncludes(help, "Guidance (also --guidance-scale)");
  assertStringIncludes(help, "\nSecond:\n      --device auto|webgpu|cpu\n");
  assertStringIncludes(help, "Sheet (default: sometimes)");
  assert(help.split("\n").every((line) => line.length <= 96));
});

Deno.test("A hint is given only for what is near", () => {
  assertEquals(nearest("sample", ["samples", "scale"]), "samples");
  assertEquals(nearest("zebra", ["samples", "scale"]), undefined);
  assertEquals(nearest("zebra", []), undefined);
});
