import { assertEquals, assertThrows } from "@std/assert";
import { infinityFiles, parseInfinityRequest } from "../../bench/infinity_checkpoint.ts";

const parse = (line: string) => parseInfinityRequest(line.split(" "));

Deno.test("parseInfinityRequest: the command line says what is written and what it cannot write", () => {
  assertEquals(parse("--family infinity --output out"), {
    ...{ size: "125M", dtype: "F32", parts: ["infinity", "vae"], sharded: false },
    ...{ textLayers: 24, textTokenizer: undefined, seed: 0, output: "out", overwrite: false },
  });
  const other = parse("--size 2B --dtype f16 --text-tokenizer t.json --text-layers 2 --sharded --output out");
  assertEquals([other.size, other.dtype, other.sharded], ["2B", "F16", true]);
  assertEquals([other.parts, other.textLayers], [["infinity", "vae", "t5"], 2]);
  assertEquals(parse("--size 8B --vae --output out").parts, ["vae"]);
  assertEquals(parse("--size 8B --output out").sharded, true);
  assertThrows(() => parse("--size 2B"), TypeError, "--output must name a folder");
  assertThrows(() => parse("--size 20B --output out"), TypeError, "--size must be one of");
  assertThrows(() => parse("--dtype q8 --output out"), TypeError, "--dtype must be one of");
  assertThrows(() => parse("--t5 --output out"), TypeError, "--text-tokenizer must name its tokenizer.json");
  assertThrows(() => parse("--text-layers 0 --output out"), RangeError, "--text-layers must be an integer");
  assertThrows(() => parse("--depth 12 --output out"), TypeError, "--depth");
});

Deno.test("infinityFiles: files have the published names, and are laid out as published", async () => {
  const names = async (line: string) => (await infinityFiles(parse(line))).map(({ name }) => name);
  assertEquals(await names("--output out"), ["infinity_125M_256x256.pth", "infinity_vae_d16.pth"]);
  assertEquals(await names("--size 2B --output out"), ["infinity_2b_reg.pth", "infinity_vae_d32reg.pth"]);
  assertEquals(await names("--size 2B --sharded --infinity --output out"), ["infinity_2b_reg_weights"]);
  assertEquals(await names("--size 8B --output out"), [
    "infinity_8b_weights",
    "infinity_vae_d56_f8_14_patchify.pth",
  ]);
  const [vae] = await infinityFiles(parse("--vae --output out"));
  assertEquals("state" in vae! && Object.keys(vae.state), ["vae"]);
});
