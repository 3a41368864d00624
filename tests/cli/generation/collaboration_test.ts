/**
 * `varscale generate --refiner`: two models, recorded and repeated.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { refinedSampling, refinerOf } from "../../../cli/generation/collaboration.ts";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import { run, succeed, testInFolder } from "../run.ts";

testInFolder(
  "varscale generate: a refiner draws the last scales, is recorded and repeated",
  async (folder) => {
    const cpu = ["--device", "cpu", "--cpu-provider", "wasm"];
    const args = ["generate", "red torus", "blue cone", "--seed", "7", ...cpu];
    await succeed(...args, "--output", `${folder}/plain`);
    const two = ["--refiner", "demo", "--refine-from", "4"];
    const { out } = await succeed(...args, ...two, "--output", `${folder}/two`);
    assertStringIncludes(out, "scales from 4 on drawn by demo");
    const read = async (name: string): Promise<RunRecord> => {
      return JSON.parse(await Deno.readTextFile(`${folder}/${name}/run.json`));
    };
    const record = await read("two");
    const { from, unload, refiner } = record.collaboration!;
    assertEquals([from, unload, refiner.name, refiner.place], [4, false, "demo", { folder: "demo" }]);
    assertEquals(Object.keys(refiner.fingerprints).length > 0, true);
    // One model in both places paints what it paints alone.
    const hashes = ({ images }: RunRecord): string[] => images.map(({ sha256, pixels }) => pixels ?? sha256);
    assertEquals(hashes(record), hashes(await read("plain")));
    const again = ["generate", "--repeat", `${folder}/two/run.json`, ...cpu, "--unload-drafter"];
    const repeated = await succeed(...again, "--output", `${folder}/again`);
    assertStringIncludes(repeated.out, "2 of 2 images with the same tokens, 2 with the same pixels");
    assertEquals((await read("again")).collaboration!.unload, true);
    const plain = ["generate", "--repeat", `${folder}/plain/run.json`, "--refiner", "demo"];
    const refused = await run([...plain, "--output", `${folder}/no`]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, "Option --refiner must be left out, as one model has made");
  },
);

Deno.test("varscale generate: options of a refiner that contradict others are refused", async () => {
  const cases: readonly [args: string[], message: string][] = [
    [["--refine-from", "4"], "Option --refine-from goes with --refiner"],
    [["--unload-drafter"], "Option --unload-drafter goes with --refiner"],
    [["--refiner", "demo", "--refine-from", "x"], "must be the number of a scale"],
    [
      ["--refiner", "demo", "--refiner-depth", "4", "--refiner-size", "2B"],
      "Options --refiner-depth and --refiner-size exclude each other",
    ],
    [
      ["--refiner", "demo", "--unload-drafter", "--compare"],
      "Options --unload-drafter and --compare exclude each other",
    ],
    [["--refiner", "demo", "--method", "beam"], "Options --refiner and --method beam exclude each other"],
    [
      ["--refiner", "demo", "--method", "var-scaling", "--budget", "2x"],
      "Options --refiner and --budget exclude each other",
    ],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await run(["generate", "red torus", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  }
});

Deno.test("refinerOf: the published script's settings, and what is given beside them", () => {
  const none = { methods: [] };
  const published = { refiner: "demo", refinePreset: "published" } as const;
  assertEquals(refinerOf(published, none)?.from, 8);
  assertEquals(refinerOf({ ...published, refineFrom: 3 }, none)?.from, 3);
  assertEquals(refinerOf({ refiner: "demo" }, none)?.from, -2);
  assertEquals(refinerOf({}, none), undefined);
  const { cfg, topK, topP, temperature } = refinedSampling(published);
  assertEquals([cfg, topK, topP], [1.5, 600, 0.96]);
  assertEquals(temperature, [1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.1, 1, 1, 1]);
  assertEquals(refinedSampling({}), {});
});
