/**
 * `varscale evaluate`: pictures of files to a table and to JSON, by the oracle of the bundled model, which
 * comes with the project.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openNpz } from "../../../evaluation/mod.ts";
import { RgbaImage } from "../../../mod.ts";
import { pytorchFile, stored } from "../../models/vision/formula.ts";
import { inceptionTensors } from "../../models/vision/inception_layout.ts";
import { filesIn, fixture, run, succeed, testInFolder } from "../run.ts";

/** Writes pictures of a run: squares of a gray and of a place that tell them apart. */
async function writeRun(
  folder: string,
  facts: { classes: number[]; each: number; shade?: number },
): Promise<void> {
  const { classes, each, shade = 0 } = facts;
  await Deno.mkdir(folder, { recursive: true });
  for (const label of classes) {
    for (let number = 0; number < each; number++) {
      const image = new RgbaImage(64, 64);
      for (let y = 0; y < 64; y++) {
        for (let x = 0; x < 64; x++) {
          const inside = x > 8 + 4 * number && x < 40 + 4 * number && y > 16 && y < 48;
          image.data.set(
            inside ? [40 * label % 256, 250 - 20 * label, shade + 60 * number] : [90, 90, 90],
            4 * (64 * y + x),
          );
        }
      }
      await Deno.writeFile(`${folder}/class_${label}_img_${number}.png`, image.png());
    }
  }
  const model = { name: "demo", family: "var" };
  const record = {
    format: "varscale-series",
    version: 1,
    settings: {},
    model,
    classes,
    imagesPerClass: each,
  };
  await Deno.writeTextFile(`${folder}/run.json`, JSON.stringify(record));
}

const CPU = ["--device", "cpu", "--cpu-provider", "wasm"];

testInFolder("varscale evaluate: a run of the bundled model is judged by its oracle", async (folder) => {
  const place = `${folder}/run`;
  await writeRun(place, { classes: [0, 1, 2, 3], each: 3 });
  await Deno.remove(`${place}/class_3_img_2.png`);
  const output = `${folder}/metrics.json`;
  const { out, err } = await succeed("evaluate", place, "--output", output, ...CPU);
  assertStringIncludes(out, `${place}: 11 pictures, by demo-oracle, against demo_reference.npz`);
  for (const line of ["Fréchet distance ↓  ", "Inception Score ↑   ", "class accuracy ↑    "]) {
    assertStringIncludes(out, `  ${line}`);
  }
  assertStringIncludes(out, "note: 1 of the 12 pictures of the run are missing");
  assertStringIncludes(out, "Fréchet distance: of 11 pictures, so biased upwards");
  assertStringIncludes(err, "loading demo-oracle");
  const report = JSON.parse(await Deno.readTextFile(output));
  assertEquals(
    [report.format, report.network.name, report.reference.place, report.pictures.length],
    ["varscale-evaluation", "demo-oracle", "demo_reference.npz", 1],
  );
  assertEquals(Object.keys(report.pictures[0].values), ["fid", "is", "accuracy"]);
  const { out: json } = await succeed("evaluate", place, "--json", "--quiet", ...CPU);
  assertEquals(JSON.parse(json), report);
});

testInFolder("varscale evaluate: what is kept gives the same, and serves as a reference", async (folder) => {
  const [first, second] = [`${folder}/first`, `${folder}/second`];
  await writeRun(first, { classes: [0, 1], each: 3 });
  await writeRun(second, { classes: [4, 5], each: 3 });
  const [rows, statistics] = [`${folder}/rows.safetensors`, `${folder}/statistics.npz`];
  const metrics = ["--metrics", "fid,kid,diversity", "--json", "--quiet", ...CPU];
  const values = async (...args: string[]): Promise<unknown> => {
    return JSON.parse((await succeed("evaluate", ...args, ...metrics)).out).pictures[0].values;
  };
  const kept = ["--write-features", rows, "--write-reference", statistics];
  const looked = await values(first, "--reference", second, ...kept);
  assertEquals(await values(first, "--reference", second, "--features", rows), looked);
  const { fid } = await values(second, "--reference", statistics) as Record<string, { value: number }>;
  const { fid: mirrored } = looked as Record<string, { value: number }>;
  assert(Math.abs(fid!.value / mirrored!.value - 1) < 1e-6, `${fid!.value} ${mirrored!.value}`);
  const same = await values(first, "--reference", rows) as typeof looked & Record<string, { value: number }>;
  assert(same.fid!.value < 1e-6 * fid!.value);
  using npz = await openNpz(statistics);
  assertEquals((await npz.describe("sigma")).shape, [192, 192]);
  assertEquals(
    new TextDecoder().decode((await npz.read("network")).values as Uint8Array<ArrayBuffer>),
    "demo-oracle",
  );
  const refused = await run(["evaluate", second, "--features", rows, ...metrics]);
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.err, "as they are of other pictures");
});

testInFolder("varscale evaluate: several are compared with the first, picture by picture", async (folder) => {
  const places = [`${folder}/plain`, `${folder}/scaled`];
  await writeRun(places[0]!, { classes: [0, 1], each: 2 });
  await writeRun(places[1]!, { classes: [0, 1], each: 2, shade: 100 });
  const args = ["evaluate", ...places, "--metrics", "accuracy", "--quiet", ...CPU];
  const { out } = await succeed(...args);
  assertStringIncludes(out, `${places[1]}: 4 pictures, by demo-oracle`);
  assert(/class accuracy ↑ .* [+−]\d.* \[.*\], p = \d\S* to the first/.test(out.split("\n\n")[1]!), out);
  assert(!/to the first/.test(out.split("\n\n")[0]!), out);
  const [, second] = JSON.parse((await succeed(...args, "--json")).out).pictures;
  assertEquals(Object.keys(second.differences.accuracy), ["value", "low", "high", "p"]);
});

testInFolder("varscale evaluate: variants of a generation are evaluated each for itself", async (folder) => {
  await writeRun(folder, { classes: [0, 1], each: 2 });
  const images = [0, 1].flatMap((label) =>
    [0, 1].map((number) => {
      const variant = ["plain", "var-scaling"][number];
      return { file: `class_${label}_img_${number}.png`, variant, label: { id: label, name: `${label}` } };
    })
  );
  const record = { format: "varscale-run", version: 1, model: { name: "demo" }, images };
  await Deno.writeTextFile(`${folder}/run.json`, JSON.stringify(record));
  const { out } = await succeed("evaluate", folder, "--metrics", "accuracy", "--quiet", ...CPU);
  assertStringIncludes(out, `${folder}, plain: 2 pictures`);
  assertStringIncludes(out, `${folder}, var-scaling: 2 pictures`);
});

testInFolder("varscale evaluate: a wrong command line, before anything is loaded", async (folder) => {
  await writeRun(`${folder}/run`, { classes: [0], each: 1 });
  await Deno.writeTextFile(`${folder}/there.json`, "");
  const refused = async (message: string, ...args: string[]): Promise<void> => {
    const { code, err } = await run(["evaluate", ...args, ...CPU]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
    assert(!err.includes("loading"), err);
  };
  const there = `${folder}/run`;
  await refused("PICTURES is needed");
  await refused("no such file or folder", `${folder}/absent`);
  await refused("no such file or folder", there, "--reference", `${folder}/absent.npz`);
  await refused("Option --metrics must be some of fid, is, sfid", there, "--metrics", "fidd");
  await refused("Options --chunk and --splits exclude each other", there, "--chunk", "5", "--splits", "2");
  const unused = async (option: string, value: string, metrics: string): Promise<void> => {
    await refused(
      `Option ${option} needs one of these in --metrics: `,
      there,
      option,
      value,
      "--metrics",
      metrics,
    );
  };
  for (const option of ["--chunk", "--splits", "--seed"]) await unused(option, "2", "fid,accuracy");
  await unused("--order", "as-is", "accuracy");
  await unused("--reference", there, "accuracy,is");
  await unused("--prompts", `${folder}/there.json`, "fid");
  await refused("--order as-is is another", there, "--seed", "1", "--order", "as-is");
  await refused("it is a file", there, "--write-features", `${folder}/there.json/a.safetensors`);
  await refused(
    "choose another --write-features",
    there,
    "--write-features",
    `${folder}/there.json/a.safetensors`,
  );
  await refused("there.json: it exists", there, "--output", `${folder}/there.json`);
  await refused("--write-reference must end in .npz", there, "--write-reference", `${folder}/a.json`);
  await refused("--write-features must end in .safetensors", there, "--write-features", `${folder}/a.npz`);
  await refused(
    "Options --features and --write-features exclude each other",
    ...[there, "--features", `${folder}/there.json`, "--write-features", `${folder}/b.safetensors`],
  );
  await refused("Option --features goes with one set", there, there, "--features", `${folder}/there.json`);
  assertEquals(filesIn(folder), ["run", "there.json"]);
});

testInFolder(
  "varscale evaluate: what cannot be evaluated is said by name, and nothing is written",
  async (folder) => {
    const place = `${folder}/run`;
    await writeRun(place, { classes: [0, 1], each: 2 });
    const output = `${folder}/metrics.json`;
    const failed = async (code: number, message: string, ...args: string[]): Promise<void> => {
      const outcome = await run(["evaluate", ...args, "--output", output, "--quiet", ...CPU]);
      assertEquals(outcome.code, code, outcome.err);
      assertStringIncludes(outcome.err, message);
      assertEquals(filesIn(folder), ["run"]);
    };
    await failed(2, '"inception-fid", "inception", "clip"', place, "--network", "inceptoin");
    await failed(2, "resize must be absent", place, "--resize", "clean");
    await failed(1, "by clip as demo-oracle does not read texts", place, "--metrics", "clip");
    await failed(1, "at least the 10 splits", place, "--metrics", "is");
    await failed(1, "a multiple of the chunk, 5000", place, "--chunk", "5000");
    await failed(
      1,
      "the reference has 4 features a picture, and demo-oracle has 192",
      ...[place, "--metrics", "fid", "--reference", fixture("evaluation/npz/pytorch_fid.npz")],
    );
    await failed(
      1,
      "expected finite numbers, found NaN",
      ...[place, "--reference", fixture("evaluation/npz/not_finite.npz")],
    );
    await Deno.writeTextFile(`${place}/class_1_img_1.png`, "no picture");
    await failed(1, `Cannot use the picture ${place}/class_1_img_1.png`, place);
  },
);

testInFolder("varscale evaluate: what was looked at stays until all is written", async (folder) => {
  const place = `${folder}/run`;
  await writeRun(place, { classes: [0, 1], each: 2 });
  const rows = `${folder}/rows.safetensors`;
  const args = ["evaluate", place, "--metrics", "accuracy", "--write-features", rows, ...CPU];
  // Something takes the place of the file meanwhile; a folder cannot be replaced by it.
  await Deno.mkdir(`${rows}/inside`, { recursive: true });
  const { code } = await run([...args, "--overwrite"]);
  assertEquals([code, filesIn(folder)], [1, ["rows.safetensors", "rows.safetensors.part", "run"]]);
  await Deno.remove(rows, { recursive: true });
  const { err } = await succeed(...args);
  assertStringIncludes(err, "going on after 4 pictures");
  assertEquals(filesIn(folder), ["rows.safetensors", "run"]);
});

testInFolder("varscale evaluate: a reference of features that were kept has no others", async (folder) => {
  const tensors = [...inceptionTensors(16), { name: "fc.weight", shape: [1008, 128] }, {
    name: "fc.bias",
    shape: [1008],
  }];
  await using file = await pytorchFile(stored(tensors));
  await writeRun(`${folder}/run`, { classes: [0], each: 2 });
  const [rows, reference] = [`${folder}/rows.safetensors`, `${folder}/reference.npz`];
  const args = ["evaluate", `${folder}/run`, "--network", `inception-fid:${file.path}`, ...CPU];
  const { out: looked } = await succeed(...args, "--metrics", "diversity", "--write-features", rows);
  const kept = ["--metrics", "diversity", "--features", rows, "--write-reference", reference];
  assertEquals((await succeed(...args, ...kept)).out, looked);
  using npz = await openNpz(reference);
  assertEquals(npz.names, ["mu", "sigma", "features", "count", "network", "fingerprint"]);
  const { code, err } = await run([
    ...args,
    "--metrics",
    "sfid",
    "--features",
    rows,
    "--reference",
    `${folder}/run`,
  ]);
  assertEquals(code, 1);
  assertStringIncludes(err, "the kept rows have no spatial: the pictures have to be looked at for them");
});

testInFolder(
  "varscale evaluate: the mean of a verifier's scores, beside a network or alone",
  async (folder) => {
    await writeRun(`${folder}/run`, { classes: [3, 21], each: 3 });
    const model = new URL("../../../models/demo", import.meta.url).pathname;
    const asked = ["evaluate", `${folder}/run`, "--device", "cpu", "--verifier", model];
    const { out } = await succeed(...asked, "--metrics", "accuracy");
    assertStringIncludes(out, "demo reward ↑");
    const alone = await succeed(...asked, "--network", "none", "--json");
    const { metrics, pictures: [{ values }] } = JSON.parse(alone.out);
    assertEquals(metrics.map(({ key }: { key: string }) => key), ["verifier"]);
    // A logarithm of a probability.
    assert(values.verifier.value < 0 && values.verifier.low <= values.verifier.value);
    for (
      const [args, message] of [
        [["--network", "none"], "Option --network none goes with --verifier and without metrics"],
        [["--network", "none", "--verifier", model, "--metrics", "is"], "goes with --verifier and without"],
        [["--verifier-template", "a {label}"], "Option --verifier-template needs --verifier"],
        [["--verifier", "nobody"], "nobody"],
      ] as const
    ) {
      const { code, err } = await run(["evaluate", `${folder}/run`, "--device", "cpu", ...args]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, message);
    }
  },
);

testInFolder(
  "varscale evaluate: precision and recall by distances of halves, as an option",
  async (folder) => {
    await writeRun(`${folder}/run`, { classes: [3, 21], each: 3 });
    const asked = ["evaluate", `${folder}/run`, "--device", "cpu"];
    const noteOf = async (...args: string[]): Promise<string> => {
      const { out } = await succeed(...asked, "--metrics", "pr", ...args, "--json");
      return JSON.parse(out).pictures[0].notes.join();
    };
    assertEquals((await noteOf()).includes("float16"), false);
    assertStringIncludes(await noteOf("--pr-distances", "f16"), "distances in float16");
    const { code, err } = await run([...asked, "--metrics", "accuracy", "--pr-distances", "f16"]);
    assertEquals(code, 2);
    assertStringIncludes(err, "Option --pr-distances needs one of these in --metrics: pr");
  },
);
