import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { measureModel, parseModelReportOptions } from "../../bench/model_report.ts";
import { formatModelRecord, type ModelRecord } from "../../bench/model_ways.ts";
import { writeSynthetic } from "../../bench/checkpoint_writer.ts";
import { vaeTensors, varTensors } from "../../bench/synthetic_checkpoint.ts";

const parse = (line: string) => parseModelReportOptions(line === "" ? [] : line.split(" "));

Deno.test("parseModelReportOptions: the command line says what is measured and what it cannot measure", () => {
  assertEquals(parse("--threads=3"), {
    checkpoints: { family: "var", depth: 16, folder: "out/checkpoints" },
    size: undefined,
    dtypes: ["f32", "f16", "q8", "q4"],
    places: ["wasm", "native"],
    ...{ batch: 1, rounds: 3, threads: 3, scaling: false, compare: 4 },
    ...{ pytorch: undefined, output: undefined, json: false },
  });
  const other = parse("--var=a --vae=b --dtype=q4 --on=webgpu,wasm --batch=2 --scaling --pytorch=python3");
  assertEquals(other.checkpoints, { var: "a", vae: "b" });
  assertEquals([other.dtypes, other.places, other.batch], [["q4"], ["webgpu", "wasm"], 2]);
  assertEquals([other.scaling, other.pytorch], [true, "python3"]);
  assertEquals(parse("--family=flexvar --depth=20 --checkpoints=x").checkpoints, {
    ...{ family: "flexvar", depth: 20, folder: "x" },
  });
  assertEquals(parse("--size=512").size, 512);
  assertEquals(parse("--size=512x256").size, { width: 512, height: 256 });
  assertThrows(() => parse("--var=a"), TypeError, "--var and --vae go together");
  assertThrows(
    () => parse("--var=a --vae=b --depth=3"),
    TypeError,
    "with --depth as it is for checkpoints that",
  );
  assertThrows(
    () => parse("--family=infinity"),
    RangeError,
    "--family must be of var, flexvar: current value is",
  );
  assertThrows(() => parse("--size=512x"), RangeError, "--size must be a size in pixels");
  assertThrows(() => parse("--dtype=f64"), RangeError, "--dtype must be of f32, f16, q8, q4, int8");
  assertThrows(
    () => parse("--on=gpu"),
    RangeError,
    "--on must be of wasm, native, webgpu, separated by commas",
  );
  assertThrows(() => parse("--rounds=0"), RangeError, "--rounds must be an integer");
  assertThrows(() => parse("--quick"), TypeError, "--quick");
});

function sidesOf({ model }: ModelRecord): string[] {
  return model!.scales.map(({ width, height }) => `${width}×${height}`);
}

Deno.test("measureModel: a small model is measured in processes of its own", async () => {
  const [transformer, tokenizer] = ["var", "vae"].map((name) => {
    return fileURLToPath(new URL(`../fixtures/golden/var-adaln/${name}.pth`, import.meta.url));
  });
  const options = parseModelReportOptions([
    ...[`--var=${transformer}`, `--vae=${tokenizer}`, "--dtype=f32,q8", "--on=wasm"],
    ...["--batch=2", "--rounds=1", "--compare=3", "--scaling"],
  ]);
  const seen: string[] = [];
  const record = await measureModel(options, (line) => seen.push(line));
  assertEquals(seen, ["f32 on wasm", "q8 on wasm"]);
  assertEquals(sidesOf(record), ["1×1", "2×2", "3×3", "4×4"]);
  assertEquals([record.model!.name, record.reference], ["VAR-d2", "f32 on wasm"]);
  assertEquals(record.rows.map(({ problem }) => problem), [undefined, undefined]);
  const [exact, coarse] = record.rows;
  assertEquals(exact!.rounds!.map(({ scales }) => scales.length), [4]);
  assertEquals([exact!.scaled!.length, exact!.peer, exact!.off], [1, undefined, undefined]);
  assertEquals(exact!.scaled![0]!.kernels! > exact!.rounds![0]!.kernels!, true);
  assertEquals(exact!.weights > coarse!.weights, true);
  // Blocks of 8 bits change logits, but little; pixels come of the same tokens by convolutions that are f16
  // at most.
  const { logits, image } = coarse!.off!;
  assertEquals([logits > 0, logits < record.deviation / 10, image < 0.01], [true, true, true]);
});

Deno.test("measureModel: a model that a trainer saved is measured, with pictures of a size of one's own", async () => {
  const file = fileURLToPath(new URL("../fixtures/flexvar/ar-ckpt.pth", import.meta.url));
  const args = [`--var=${file}`, `--vae=${file}`, "--size=48x24", "--dtype=f32", "--on=wasm", "--rounds=1"];
  const record = await measureModel(parseModelReportOptions(args));
  const [row] = record.rows;
  assertEquals(row!.problem, undefined);
  assertEquals(sidesOf(record), ["1×1", "2×1", "3×1", "4×2", "6×3"]);
  assertEquals([row!.rounds![0]!.scales.length, record.model!.logits], [5, 96]);
  // Without buffers and the encoder, in f32.
  assertEquals(row!.weights, 6_636_956);
});

Deno.test("measureModel: a way that fails has its reason in its row", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-var-" });
  try {
    const sizes = { family: "var", depth: 1, pixels: 256, channels: 32, seed: 0 } as const;
    const paths = { var: `${folder}/var.pth`, vae: `${folder}/vae.pth` };
    await writeSynthetic(paths.var, varTensors(sizes));
    await writeSynthetic(
      paths.vae,
      vaeTensors(sizes).filter(({ name }) => name !== "post_quant_conv.weight"),
    );
    const args = [`--var=${paths.var}`, `--vae=${paths.vae}`, "--dtype=f32", "--on=wasm"];
    const record = await measureModel(parseModelReportOptions(args));
    assertMatch(record.rows[0]!.problem!, /^The process on wasm ended: ModelFileError: .*post_quant_conv/);
    assertEquals(record.reference, "nothing");
    const report = formatModelRecord(record);
    assertStringIncludes(report, "| f32 on wasm: The process on wasm ended");
    assertStringIncludes(report, "A model that could not be loaded, 1 image with");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
