/**
 * `varscale inspect`, of the bundled model and of checkpoints.
 */

import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DEMO_MODEL } from "../../../mod.ts";
import { fixture, run, succeed, testInFolder } from "../run.ts";

Deno.test("varscale inspect: the bundled model: configuration, graphs, checksums", async () => {
  const { out } = await succeed("inspect", "demo");
  assertMatch(out, /^transformer +depth 4, width 256, 4 heads, 64 classes/m);
  assertMatch(out, /^patch numbers +1, 2, 3, 4, 6, 8$/m);
  assertMatch(out, /^pictures +64×64$/m);
  assertMatch(out, /^verifier +its own/m);
  assertMatch(out, /^files +8, 16\.4 MiB, all with the right SHA-256$/m);
  assertMatch(out, /^ +inputs +features float32 \[rows, length, 16\]$/m);
  assertMatch(out, /MultiHeadAttention ×4/);

  const report = JSON.parse((await succeed("inspect", "demo", "--json")).out);
  const manifest = JSON.parse(await Deno.readTextFile(new URL("model.json", DEMO_MODEL)));
  assertEquals(report.manifest.config, manifest.config);
  const { files, ...facts } = manifest;
  assertEquals(report.manifest, facts);
  for (const { file, bytes, sha256, problem } of report.files) {
    assertEquals([{ bytes, sha256 }, problem], [files[file], null]);
  }
});

Deno.test("varscale inspect: the bundled model of texts is found by its name, too", async () => {
  const { out } = await succeed("inspect", "demo-t2i");
  assertMatch(out, /^transformer +depth 4, width 192, 4 heads, 16 bits a token$/m);
  assertMatch(out, /^text encoder +2 layers, width 128, 4 heads, 104 tokens$/m);
});

Deno.test("varscale inspect: a checkpoint: format, tensors, which part of a model it is", async () => {
  const transformer = fixture("golden/var-adaln/var.pth");
  const report = JSON.parse((await succeed("inspect", transformer, "--json")).out);
  assertEquals([report.kind, report.format, report.family], ["checkpoint", "pytorch", "var"]);
  assertEquals([report.config.depth, report.config.patchNumbers], [2, [1, 2, 3, 4]]);
  assertEquals([report.parts, report.config.tokenizer, report.problem], [["var"], undefined, null]);
  const { out } = await succeed("inspect", transformer, "--tensors");
  for (const { name } of report.tensors) assertStringIncludes(out, name);

  const tokenizer = JSON.parse((await succeed("inspect", fixture("golden/var-adaln/vae.pth"), "--json")).out);
  assertEquals([tokenizer.family, tokenizer.parts], ["var", ["vae"]]);
  assertEquals([tokenizer.config.depth, tokenizer.config.tokenizer.vocabulary], [undefined, 96]);

  const other = await succeed("inspect", fixture("checkpoint/official.safetensors"));
  assertMatch(other.out, /^format +safetensors$/m);
  assertMatch(other.out, /^family +not recognised$/m);
});

Deno.test("varscale inspect: tensors of types that no model has are listed beside the others", async () => {
  for (const file of ["rare_dtypes.safetensors", "rare_dtypes.pth"]) {
    const { out } = await succeed("inspect", fixture(`checkpoint/${file}`), "--tensors");
    assertMatch(out, /^ +f8_e4m3 +F8_E4M3 +\[256\]$/m);
    assertMatch(out, /^ +f4 +F4 +\[3, 8\]$/m);
    assertMatch(out, /^ +c64 +C64 +\[2, 2\]$/m);
    assertMatch(out, /^ +u64 +U64 +\[4\]$/m);
  }
});

Deno.test("varscale inspect: a weight file of a folder is shown like a checkpoint", async () => {
  const { out } = await succeed("inspect", fileURLToPath(new URL("transformer.safetensors", DEMO_MODEL)));
  assertMatch(out, /^tensors +58 /m);
  assertMatch(out, /^family +VAR\ntransformer +depth 4, .*\npatch numbers +1, 2, 3, 4, 6, 8$/m);
});

Deno.test("varscale inspect: classes are listed by number and name where they have names", async () => {
  const { out } = await succeed("inspect", "demo", "--classes");
  assertEquals([out.split("\n").length, out.split("\n")[32]], [65, "32  red torus"]);
  assertEquals(JSON.parse((await succeed("inspect", "demo", "--classes", "--json")).out)[32], "red torus");
  const { code, err } = await run(["inspect", fixture("golden/var-adaln/var.pth"), "--classes"]);
  assertEquals(code, 1);
  assertMatch(err, /Cannot list the classes of .*var\.pth: they have no names/);
});

testInFolder("varscale inspect: a damaged folder is told file by file, with exit code 1", async (folder) => {
  for (const { name } of Deno.readDirSync(DEMO_MODEL)) {
    if (name !== "encoder.onnx") await Deno.copyFile(new URL(name, DEMO_MODEL), `${folder}/${name}`);
  }
  const graph = await Deno.readFile(`${folder}/decoder.onnx`);
  graph[100]! ^= 1;
  await Deno.writeFile(`${folder}/decoder.onnx`, graph);
  const { code, out } = await run(["inspect", folder]);
  assertEquals(code, 1);
  assertMatch(out, /2 of them damaged or missing/);
  assertMatch(out, /decoder\.onnx .*\n +✗ .*SHA-256 is wrong/);
  assertMatch(out, /encoder\.onnx .*\n +✗ .*no such file/);
});

Deno.test("varscale inspect: what is nothing to inspect is refused", async () => {
  assertMatch((await run(["inspect", "/none"])).err, /Cannot inspect \/none: no such file or folder\n/);
  assertStringIncludes(
    (await run(["inspect", "FoundationVision/var"])).err,
    'no such file or folder; did you mean "hf:FoundationVision/var"?',
  );
  const { code, err } = await run(["inspect", fixture("golden/README.md")]);
  assertEquals(code, 1);
  assertStringIncludes(err, "expected a .pth or .safetensors file");
});
