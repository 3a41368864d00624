/**
 * Prompts on the command line with the bundled model of texts: a record keeps what was asked for, and
 * repeating it makes the same bits and files.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { filesIn, run, succeed, testInFolder } from "./run.ts";

testInFolder("varscale generate: a run of prompts is repeated to the bit", async (folder) => {
  const args = [
    "generate",
    "a red cube",
    "--model",
    "demo-t2i",
    "--device",
    "cpu",
    "--size",
    "48",
    "--seed",
    "5",
  ];
  const more = [
    "--negative-prompt",
    "a blue cone",
    "--cfg-insertion-layer=0,-2",
    "--cfg",
    "4,3,2,1",
    "--published",
  ];
  await succeed(...args, ...more, "-o", `${folder}/first`);
  const record = JSON.parse(await Deno.readTextFile(`${folder}/first/run.json`));
  const text = JSON.stringify(record);
  for (const words of ["a red cube", "a blue cone", "0,-2", "[4,3,2,1]", '"published":true']) {
    assertStringIncludes(text, words);
  }
  const { out } = await succeed(
    ...["generate", "--repeat", `${folder}/first/run.json`, "--device", "cpu", "-o", `${folder}/again`],
    ...["--quiet", "--json"],
  );
  assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 1, sameFiles: 1 });
  assertEquals(filesIn(`${folder}/again`), filesIn(`${folder}/first`));
});

testInFolder("varscale generate: what no prompt can have is refused with what can", async (folder) => {
  const ask = async (...args: string[]): Promise<string> => {
    const common = ["generate", "a cube", "--model", "demo-t2i", "--device", "cpu", "-o", `${folder}/none`];
    const { code, err } = await run([...common, ...args]);
    assertEquals(code === 0, false);
    return err;
  };
  assertStringIncludes(await ask("--aspect", "1.6"), "aspect must be 1, 1.25, 0.8");
  assertStringIncludes(await ask("--pn", "2M"), '"0.06M", "0.25M", "0.60M", "1M"');
  assertStringIncludes(await ask("--cfg", "4,3"), "cfg");
  assertStringIncludes(await ask("--cfg-insertion-layer=-9"), "from -4 to 0");
  assertStringIncludes(await ask("--patch-numbers", "1,2"), "published table");
});
