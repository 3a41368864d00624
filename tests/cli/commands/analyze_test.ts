/**
 * `varscale analyze` on the CPU with the bundled model.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Interruption } from "../../../cli/io.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

const CPU = ["--device", "cpu"];

testInFolder("varscale analyze: pictures, one record and a table", async (folder) => {
  const output = `${folder}/out`;
  const args = ["analyze", "densities", "red torus", "gray cube", "--samples", "20", ...CPU, "-o", output];
  const { out } = await succeed(...args);
  assertMatch(out, /^Densities of 20 candidates on scale 1, 2×2\n\nlabel +max \/ mean/);
  assertMatch(out, /\nred torus +\d\.\d{3} +1\.70 +(low|high) /);
  assertStringIncludes(out, `${output}: densities.svg and analysis.json\n`);
  assertEquals(filesIn(output), ["analysis.json", "densities.svg"]);
  const record = JSON.parse(await Deno.readTextFile(`${output}/analysis.json`));
  assertEquals([record.format, record.version, record.kind], ["varscale-analysis", 1, "densities"]);
  assertEquals(record.model.name, "demo");
  assertEquals(record.settings, {
    ...{ labels: ["red torus", "gray cube"], seed: 0, scale: 1, samples: 20 },
    ...{ alpha: 1.7, conflictThreshold: 0.5 },
  });
  assertEquals(record.data.labels[0].densities.length, 20);
  assertEquals(record.pictures, ["densities.svg"]);

  const refused = await run(args);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, "it exists; choose another --output, or --overwrite");
  const { out: json } = await succeed(...args, "--overwrite", "--json", "-q");
  assertEquals(JSON.parse(json), { output, ...record });
});

testInFolder("varscale analyze: every kind makes its pictures", async (folder) => {
  const kinds: Readonly<Record<string, readonly string[]>> = {
    perturbation: ["--variants", "1", "--sheets", "1"],
    representatives: ["--samples", "5,10", "--seed", "4"],
    scales: ["--pictures", "2", "--verifier", "evidence"],
    branches: ["--seeds", "0-1", "--samples", "5", "--alphas", "1.5"],
  };
  for (const [kind, options] of Object.entries(kinds)) {
    const output = `${folder}/${kind}`;
    await succeed("analyze", kind, "red torus", ...options, ...CPU, "-q", "-o", output);
    const record = JSON.parse(await Deno.readTextFile(`${output}/analysis.json`));
    assertEquals([record.kind, filesIn(output)], [kind, ["analysis.json", ...record.pictures].sort()]);
    assert(record.pictures.includes(`${kind}.svg`));
  }
});

testInFolder(
  "varscale analyze: what is wrong with the command line is said before anything is made",
  async (folder) => {
    const wrong: readonly (readonly [string[], string])[] = [
      [[], "KIND is needed: perturbation, representatives, densities, scales or branches"],
      [["density"], "kinds are perturbation, representatives, densities, scales and branches"],
      [["branches", "--variants", "2"], "Option --variants goes with perturbation, not with branches"],
      [
        ["perturbation", "--samples", "5"],
        "Option --samples goes with representatives, densities or branches",
      ],
      [["densities", "--samples", "1"], "Option --samples must be integers from 2 to 8192"],
      [
        ["densities", "--samples", "5,6", ...CPU],
        'Option --samples must be a single number here: current value is "5,6"',
      ],
      [["densities", "--scale", "6", ...CPU], "scale must be an integer from -6 to 5: current value is 6"],
      [["densities", "moon", ...CPU], "moon"],
      [["densities", "--model", "demo-t2i", ...CPU], "give some prompts"],
      [["perturbation", "--more-smooth"], "Unknown option --more-smooth"],
    ];
    for (const [args, message] of wrong) {
      const { code, err } = await run(["analyze", ...args, "-o", `${folder}/out`]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
    }
    assertEquals(filesIn(folder), []);
  },
);

testInFolder("varscale analyze: an interruption leaves nothing behind", async (folder) => {
  const controller = new AbortController();
  const args = ["analyze", "perturbation", ...CPU, "-o", `${folder}/deep/out`];
  const running = run(args, { signal: controller.signal });
  setTimeout(() => controller.abort(new Interruption("SIGINT")), 1500);
  const { code } = await running;
  assertEquals(code, 130);
  // The command had some time for an orderly end.
  for (let i = 0; i < 50 && filesIn(folder).length > 0; i++) await new Promise((end) => setTimeout(end, 100));
  assertEquals(filesIn(folder), []);
});
