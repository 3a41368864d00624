/**
 * `varscale tune` on the CPU with the bundled model, whose own settings hold on two pictures.
 */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { writeTuning } from "../../../evaluation/mod.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

const QUICK = [
  ...["red torus", "gray cube", "--device", "cpu", "--samples", "10", "--conflicts", "0.5"],
  ...["--seeds", "0", "--held-out-seeds", "5", "--alphas", "1,2"],
];

testInFolder("varscale tune: says what it has found, and writes only what it is told to", async (folder) => {
  const report = `${folder}/report`;
  const copy = `${folder}/copy`;
  const args = ["tune", ...QUICK, "--report", report, "--output", copy, "--judge", "demo-oracle"];
  const { out } = await succeed(...args);
  assertMatch(out, /\nsettings +by demo reward +by demo-oracle +low density +p\n/);
  assertMatch(out, /, as the model has it +-?\d/);
  assertEquals(filesIn(report), ["analysis.json", "scores.svg"]);
  const record = JSON.parse(await Deno.readTextFile(`${report}/analysis.json`));
  // α = 1, what suits 10 candidates, 2, and the model's own.
  assertEquals([record.kind, record.data.tried.length], ["tune", 4]);
  const { better } = record.data;
  assertEquals(filesIn(folder).includes("copy"), better);

  const forced = await succeed("tune", ...QUICK, "--output", copy, "--force", "--overwrite", "--json", "-q");
  const { written, tuned, tuning } = JSON.parse(forced.out);
  assertEquals(written, copy);
  const manifest = JSON.parse(await Deno.readTextFile(`${copy}/model.json`));
  assertEquals(manifest.tuning, tuning);
  const { scale, samples, alpha, conflictThreshold } = manifest.tuning;
  assertEquals({ scale, samples, alpha, conflictThreshold }, tuned);
  assertMatch(manifest.tuning.evidence.date, /^\d{4}-\d\d-\d\d$/);
  assertMatch(manifest.tuning.evidence.verifier.fingerprint, /^[0-9a-f]{64}$/);
  const { out: shown } = await succeed("inspect", copy);
  assertMatch(shown, /\ntuned samples +\d+\n/);
  assertMatch(shown, /\ntuned by +demo reward, \d{4}-\d\d-\d\d; not better on held-out seeds than /);

  // The copy's own settings are its own now, and it may be written to.
  const again = await succeed("tune", "--model", copy, ...QUICK, "--write");
  const after = JSON.parse(await Deno.readTextFile(`${copy}/model.json`));
  const says = again.out.includes("nothing was written, as nothing beats the model's own settings");
  assertEquals(JSON.stringify(after) === JSON.stringify(manifest), says);
  assertEquals(filesIn(copy), Object.keys(manifest.files).concat("model.json").sort());
});

testInFolder(
  "varscale tune: what is wrong with the command line is said before anything is made",
  async (folder) => {
    const wrong: readonly (readonly [string[], string])[] = [
      [["--write"], "Cannot write into demo, which belongs to the program; --output DIR writes a copy"],
      [["--write", "--output", `${folder}/a`], "Options --write and --output exclude each other"],
      [["--force"], "Option --force goes with --write or --output"],
      [["--model", "hf:a/b", "--write"], "make one of the checkpoints by varscale convert"],
      [["--model", "https://example.org/m", "--write"], "Cannot write into https://example.org/m"],
      [["--output", folder], "it exists; choose another --output, or --overwrite"],
      [["--seeds", "1-0"], "Option --seeds must be seeds"],
      [
        ["--seeds", "3", "--held-out-seeds", "3", "--device", "cpu"],
        "must be other seeds than those that are tried",
      ],
      [["--samples", "1"], "Option --samples must be integers from 2 to 8192"],
      [["--scales", "7", "--device", "cpu"], "each of scales must be an integer from -6 to 5"],
      [["--judge", "nobody", "--device", "cpu"], "Option --judge: "],
      [
        ["--judge", "demo-oracle", "--device", "cpu", "--model", "demo-t2i"],
        'demo-oracle knows the 64 classes of demo, and "demo-t2i" has others',
      ],
    ];
    for (const [args, message] of wrong) {
      const { code, err } = await run(["tune", "red torus", ...args]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
    }
    assertEquals(filesIn(folder), []);
  },
);

Deno.test({
  name: "varscale tune: a folder that cannot be written to is told before the work, and stays as it is",
  // To the system's own user everything can be written to.
  ignore: Deno.build.os === "windows" || Deno.uid() === 0,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    const copy = await writeTuning("demo", {}, { output: `${folder}/copy` });
    try {
      await Deno.chmod(copy, 0o555);
      const { code, err } = await run(["tune", ...QUICK, "--model", copy, "--write"]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, "choose another --model, or --output DIR for a copy");
      await assertRejects(() => writeTuning(copy, { alpha: 2 }), Error, `Cannot write ${copy}/model.json: `);
    } finally {
      await Deno.chmod(copy, 0o755);
      await Deno.remove(folder, { recursive: true });
    }
  },
});
