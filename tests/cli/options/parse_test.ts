/** Reading of command lines, by a small table of its own. */

import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../cli/io.ts";
import { choice, flag, integer, number, text, texts, toggle } from "../../../cli/options/kinds.ts";
import { section } from "../../../cli/options/options.ts";
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

Deno.test("parse: an option that collects may be given again, and all of them count", () => {
  const table = {
    hook: { kind: texts, collects: true, help: "Hooks" },
    seed: { kind: text("N"), help: "Seed" },
  };
  assertEquals(parse(table, ["--hook", "a", "--seed", "1", "--hook=b,c"]).options.hook, ["a", "b", "c"]);
  assertEquals(parse(table, []).options.hook, undefined);
});

Deno.test("parse reads options in every way to write them", () => {
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

Deno.test("parse: options that are not given have their defaults", () => {
  assertEquals(parse(TABLE, []).options, {
    topK: 900,
    cfg: undefined,
    output: undefined,
    device: "auto",
    grid: undefined,
    quiet: false,
  });
});

Deno.test("parse refuses wrong options with what was wanted and given", () => {
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

const NUMBERS = { ...TABLE, cfg: { ...TABLE.cfg, kind: number("X", -10, 10) } };

Deno.test("parse takes what is written, and nothing else, for a value", () => {
  const cases: readonly [args: readonly string[], options: object, operands: readonly string[]][] = [
    // A value may hold anything behind the first "=".
    [["--output=a=b"], { output: "a=b" }, []],
    [["--output=--quiet"], { output: "--quiet" }, []],
    [["--output=first\nsecond", "-q"], { output: "first\nsecond", quiet: true }, []],
    [["--output", "__proto__"], { output: "__proto__" }, []],
    [["--output", "true"], { output: "true" }, []],
    // Letters: switches in a group, and at its end an option with its value.
    [["-qo", "dir"], { quiet: true, output: "dir" }, []],
    [["-qodir"], { quiet: true, output: "dir" }, []],
    [["-odir2"], { output: "dir2" }, []],
    [["-ofirst\nsecond"], { output: "first\nsecond" }, []],
    [["-o=dir"], { output: "=dir" }, []],
    [["-o-dir"], { output: "-dir" }, []],
    // Negative numbers and leading zeros.
    [["--cfg", "-1"], { cfg: -1 }, []],
    [["--cfg", "-.5"], { cfg: -0.5 }, []],
    [["--cfg=-1e0"], { cfg: -1 }, []],
    [["--top-k", "007"], { topK: 7 }, []],
    // A switch leaves alone what follows it.
    [["--quiet", "true"], { quiet: true }, ["true"]],
    [["-q", "false"], { quiet: true }, ["false"]],
    [["--no-grid", "5"], { grid: false }, ["5"]],
    // What is no option stays the text it is, in its order.
    [["007", "1e3", "", "-", "red torus"], {}, ["007", "1e3", "", "-", "red torus"]],
    [["a", "-q", "b", "--", "--cfg", "-x", "--", "c_d"], { quiet: true }, [
      ...["a", "b", "--cfg", "-x", "--", "c_d"],
    ]],
    // Underscores are dashes in names, and only there.
    [["--top_k=5", "--guidance_scale", "2"], { topK: 5, cfg: 2 }, []],
    [["--output", "a_b", "c_d"], { output: "a_b" }, ["c_d"]],
  ];
  const defaults = parse(NUMBERS, []).options;
  for (const [args, options, operands] of cases) {
    const parsed = parse(NUMBERS, args);
    assertEquals(parsed.options, { ...defaults, ...options }, args.join(" "));
    assertEquals(parsed.operands, operands, args.join(" "));
  }
});

Deno.test("parse tells what is wrong first, by the name that was written", () => {
  const cases: readonly [readonly string[], string][] = [
    [["--cfg", "--", "1"], "Option --cfg needs a value: --cfg X"],
    [["--output", "-"], "Option --output needs a value: --output DIR"],
    [["-o"], "Option -o needs a value: -o DIR"],
    [["-qo"], "Option -o needs a value: -o DIR"],
    [["-o", "-q"], "Option -o needs a value: -o DIR"],
    [["--output", ""], 'Option --output must not be empty: current value is ""'],
    [["--quiet="], 'Option --quiet takes no value: current value is ""'],
    [["--quiet=true"], 'Option --quiet takes no value: current value is "true"'],
    [["-qq"], "Option -q is given twice"],
    [["-o", "a", "--output=b"], "Options -o and --output are the same, and both are given"],
    [["-q", "--quiet"], "Options -q and --quiet are the same, and both are given"],
    [["--guidance_scale=1", "--guidance-scale=1"], "Option --guidance-scale is given twice"],
    [["-abc"], "Unknown option -a"],
    [["-qx"], "Unknown option -x"],
    [["-q=1"], "Unknown option -="],
    [["-1"], "Unknown option -1"],
    [["-_"], "Unknown option -_"],
    [["--q"], "Unknown option --q"],
    [["--o=dir"], "Unknown option --o"],
    [["-q", "---quiet"], "Unknown option ---quiet; did you mean --quiet?"],
    [["--no-cfg=5"], "Unknown option --no-cfg"],
    [["--no-gird"], "Unknown option --no-gird; did you mean --no-grid?"],
    [["--constructor"], "Unknown option --constructor"],
    [["--constructor=1"], "Unknown option --constructor"],
    [["--__proto__=1"], "Unknown option ----proto--"],
    [["--output.name=1"], "Unknown option --output.name"],
    [["--=x"], "Unknown option --=x"],
    // Of several mistakes the first one.
    [["--top-k=x", "--nothing"], 'Option --top-k must be an integer of at least 0: current value is "x"'],
    [["--nothing", "--top-k=x"], "Unknown option --nothing"],
    [["--cfg", "--nothing"], "Option --cfg needs a value: --cfg X"],
  ];
  for (const [args, message] of cases) {
    assertEquals(assertThrows(() => parse(NUMBERS, args), UsageError).message, message);
  }
});
