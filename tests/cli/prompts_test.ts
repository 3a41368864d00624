/**
 * Prompts on the command line with the bundled model of texts: a record keeps what was asked for, and
 * repeating it makes the same bits and files.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { filesIn, ROOT, run, succeed, testInFolder } from "./run.ts";

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

/** Runs the command line in a process of its own, with a text piped into it. */
async function piped(
  text: string,
  args: readonly string[],
): Promise<{ code: number; out: string; err: string }> {
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "-A", `${ROOT}cli/main.ts`, ...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  return { code, out, err };
}

testInFolder(
  "varscale generate: prompts come from a pipe, and the record repeats without it",
  async (folder) => {
    const common = ["--model", "demo-t2i", "--device", "cpu", "--cpu-provider", "wasm", "--quiet"];
    const { code, err } = await piped('{"prompt": "a red cube"}\n{"prompt": "two blue cones"}\n', [
      ...["generate", "--prompts", "-", ...common, "-o", `${folder}/first`],
    ]);
    assertEquals([code, err], [0, ""]);
    const record = JSON.parse(await Deno.readTextFile(`${folder}/first/run.json`));
    const prompts = record.request.labels.map(({ prompt }: { prompt: string }) => prompt);
    assertEquals(prompts, ["a red cube", "two blue cones"]);
    const { out } = await succeed(
      ...["generate", "--repeat", `${folder}/first/run.json`, "--device", "cpu", "-o", `${folder}/again`],
      ...["--quiet", "--json"],
    );
    assertEquals(JSON.parse(out).repeat, { images: 2, sameTokens: 2, sameFiles: 2 });
  },
);

testInFolder("varscale run: prompts come from a pipe, as often as it goes on", async (folder) => {
  const args = ["run", "--prompts", "-", "--model", "demo-t2i", "--device", "cpu", "--cpu-provider", "wasm"];
  const more = ["-n", "1", "-o", folder, "--quiet"];
  // The second go has one prompt more, which is all that it makes.
  for (const text of ["a red cube\n", "a red cube\n\nthe green cone\n"]) {
    const { code, err } = await piped(text, [...args, ...more]);
    assertEquals([code, err], [0, ""]);
  }
  assertEquals(filesIn(folder).filter((name) => /^\d/.test(name)), ["00000", "00001"]);
  assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/run.json`)).prompts, [
    "a red cube",
    "the green cone",
  ]);
});
