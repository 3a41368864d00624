import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { formatPrecision, parsePrecisionOptions } from "../../bench/precision_report.ts";

function parse(args: string): ReturnType<typeof parsePrecisionOptions> {
  return parsePrecisionOptions(args.split(" ").filter(Boolean));
}

Deno.test("parsePrecisionOptions: the bundled model in every way by default, or what is asked for", () => {
  assertEquals(parse(""), {
    ...{ source: "demo", ways: ["f16", "q8", "q4", "int8"], images: 16, batch: 8, rounds: 20, threads: 1 },
    output: undefined,
  });
  const other = parse("--var=a --vae=b --ways=int8 --rounds=0 --images=2 --output=c");
  assertEquals([other.source, other.ways, other.rounds, other.output], [
    { var: "a", vae: "b" },
    ["int8"],
    0,
    "c",
  ]);
  assertThrows(() => parse("--ways=f32"), RangeError, "--ways must be of f16, q8, q4, int8");
  assertThrows(() => parse("--rounds=-1"), RangeError, "--rounds must be an integer");
  assertThrows(() => parse("--var=a"), TypeError, "--var and --vae go together");
  assertThrows(
    () => parse("--model=demo --var=a --vae=b"),
    TypeError,
    "--model names another model: it is demo",
  );
  assertThrows(() => parse("--size=5"), TypeError);
});

Deno.test("formatPrecision: judges and times have columns where there are some", () => {
  const row = { way: "int8", rms: 0.012, greatest: 0.1, flipped: 0.0256, divergence: 8e-4 } as const;
  const facts = { model: "it", images: 4 };
  const plain = formatPrecision({ ...facts, rows: [{ ...row, tokens: 0.1, psnr: 25.44 }] });
  assertStringIncludes(plain, "it, 4 pictures, against f32");
  assertStringIncludes(plain, "| int8 | 1.2e-2 | 1.0e-1 | 2.6 % | 8.0e-4 | 10 % | 25.4 dB |");
  const time = { wall: 0.6, cpu: 0.56 };
  const judged = formatPrecision({
    ...{ ...facts, right: 1 },
    rows: [{ ...row, tokens: 0.1, psnr: 25.44, right: 0.75, time }],
  });
  assertStringIncludes(judged, "| right, f32: 100 % | CPU time | time |");
  assertStringIncludes(judged, "| 75 % | 0.56 | 0.60 |");
});
