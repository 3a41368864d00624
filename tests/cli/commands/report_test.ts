/**
 * `varscale report`: from the results of a sweep to its page, and what it does not replace.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RgbaImage } from "../../../mod.ts";
import { halfFinished, madeUp } from "../../evaluation/report/made_up.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

async function writeResults(folder: string, results: unknown = madeUp()): Promise<void> {
  await Deno.writeTextFile(`${folder}/results.json`, JSON.stringify(results));
}

testInFolder("varscale report: makes the page beside the results, and makes it anew", async (folder) => {
  await writeResults(folder);
  const picture = new RgbaImage(2, 2, new Uint8Array(16).fill(255)).png();
  await Deno.mkdir(`${folder}/pictures/VAR d16/plain`, { recursive: true });
  await Deno.writeFile(`${folder}/pictures/VAR d16/plain/0.png`, picture);
  const { out, err } = await succeed("report", folder);
  assert(new RegExp(`^${folder}/report.html: 35 rows, \\d+\\.\\d KiB\n$`).test(out), out);
  assertEquals(err, "");
  const page = await Deno.readTextFile(`${folder}/report.html`);
  assertStringIncludes(page, `src="data:image/png;base64,${picture.toBase64()}"`);
  await succeed("report", `${folder}/results.json`, "--quiet");
  assertEquals(await Deno.readTextFile(`${folder}/report.html`), page);
  assertEquals(filesIn(folder), ["pictures", "report.html", "results.json"]);
});

testInFolder("varscale report: --output, and a sweep that is not finished", async (folder) => {
  await writeResults(folder, halfFinished());
  const { out } = await succeed("report", folder, "--output", `${folder}/new/page.html`, "--examples", "0");
  assertStringIncludes(out, "of a sweep that is not finished");
  assertStringIncludes(await Deno.readTextFile(`${folder}/new/page.html`), "This sweep is not finished");
});

testInFolder("varscale report: Markdown goes to standard output or into a file", async (folder) => {
  await writeResults(folder);
  const { out } = await succeed("report", folder, "--markdown");
  assert(out.startsWith("# How far N carries\n"));
  assertEquals(filesIn(folder), ["results.json"]);
  await succeed("report", folder, "--markdown", "-o", `${folder}/table.md`);
  assertEquals(await Deno.readTextFile(`${folder}/table.md`), out);
  const again = await run(["report", folder, "--markdown", "-o", `${folder}/table.md`]);
  assertEquals(again.code, 2);
  assertStringIncludes(again.err, `Cannot write ${folder}/table.md: it exists`);
  await succeed("report", folder, "--markdown", "-o", `${folder}/table.md`, "--overwrite");
});

testInFolder(
  "varscale report: replaces no file that is not a report, and leaves nothing half-written",
  async (folder) => {
    await writeResults(folder);
    await Deno.writeTextFile(`${folder}/report.html`, "<p>mine</p>");
    const refused = await run(["report", folder]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, `Cannot write ${folder}/report.html: it exists`);
    assertEquals(await Deno.readTextFile(`${folder}/report.html`), "<p>mine</p>");
    await succeed("report", folder, "--overwrite");
    const page = await Deno.readTextFile(`${folder}/report.html`);
    await Deno.writeTextFile(`${folder}/results.json`, "{");
    const damaged = await run(["report", folder]);
    assertEquals(damaged.code, 1);
    assertStringIncludes(damaged.err, `Cannot read ${folder}/results.json as it is no JSON: `);
    assertEquals(await Deno.readTextFile(`${folder}/report.html`), page);
    assertEquals(filesIn(folder), ["report.html", "results.json"]);
  },
);

testInFolder("varscale report: says what is wrong with its command line", async (folder) => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], "FOLDER is needed"],
    [[folder], `Cannot find results.json in ${folder}`],
    [[`${folder}/none`], `Cannot read ${folder}/none: `],
    [[folder, folder], "Unexpected argument"],
    [[folder, "--markdown", "--examples", "3"], "--examples needs a page"],
    [[folder, "--markdown", "--overwrite"], "--overwrite needs --output"],
    [[folder, "--markdwn"], "did you mean --markdown?"],
  ];
  for (const [args, sentence] of cases) {
    const { code, err, out } = await run(["report", ...args]);
    assertEquals([code, out], [2, ""], err);
    assertStringIncludes(err, sentence);
  }
});

testInFolder("varscale report: bytes that are no text are refused", async (folder) => {
  await Deno.writeFile(`${folder}/results.json`, new Uint8Array([0xff, 0xfe, 0x7b]));
  const { code, err } = await run(["report", folder]);
  assertEquals(code, 1);
  assertStringIncludes(err, "as it is no text in UTF-8");
});
