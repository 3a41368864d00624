/**
 * `varscale run` on the CPU: the images are those of the library, however the run was cut, split, grown or
 * broken.
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "node:fs";
import { generate, loadModel, type Model, RgbaImage, varScaling } from "../../../mod.ts";
import { hasGpu, requireGpu } from "../../devices.ts";
import { TINY_NAMES, tinyCheckpoints } from "../../sampler/models.ts";
import { filesIn, type Outcome, ROOT, run, succeed, testInFolder } from "../run.ts";

/** Every class of the tiny model, three images each. */
const ALL = TINY_NAMES.flatMap((_, classId) => [0, 1, 2].map((image) => `class_${classId}_img_${image}.png`));

/** Writes the tiny model's checkpoints; the class embedding of `broken`, if any, is no number. */
async function checkpoints(folder: string, broken?: number): Promise<string[]> {
  const files = await tinyCheckpoints();
  if (broken !== undefined) {
    const view = new DataView(files.var.buffer, files.var.byteOffset);
    const length = Number(view.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(files.var.subarray(8, 8 + length)));
    const { shape: [, width], data_offsets: [start] } = header["class_emb.weight"];
    for (let i = 0; i < width; i++) view.setFloat32(8 + length + start + 4 * (broken * width + i), NaN, true);
  }
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeFile(`${folder}/var.safetensors`, files.var);
  await Deno.writeFile(`${folder}/vae.safetensors`, files.vae);
  return [
    "--vae_ckpt",
    `${folder}/vae.safetensors`,
    "--var_ckpt",
    `${folder}/var.safetensors`,
    "--device",
    "cpu",
  ];
}

/** Content of the images in a folder, by name. */
function images(folder: string): Record<string, string> {
  const names = filesIn(folder).filter((name) => name.endsWith(".png"));
  return Object.fromEntries(
    names.map((name) => [name, Deno.readFileSync(`${folder}/${name}`).toHex()]),
  );
}

/** Runs a command line and ends it as Ctrl-C does, once the folder has `count` images. */
async function interrupted(args: readonly string[], folder: string, count: number): Promise<Outcome> {
  const controller = new AbortController();
  const timer = setInterval(() => {
    try {
      if (Object.keys(images(folder)).length >= count) controller.abort();
    } catch { /* The folder is not there yet. */ }
  }, 5);
  try {
    return await run(args, { signal: controller.signal });
  } finally {
    clearInterval(timer);
  }
}

testInFolder(
  "varscale run: the published command line works as it stands, and makes the library's images",
  async (folder) => {
    const model = await checkpoints(`${folder}/model`);
    const output = `${folder}/out`;
    const { out } = await succeed(
      ...["run", ...model, "--output_dir", output, "--model_depth", "1", "--num_images_per_class", "3"],
      ...[
        "--cfg",
        "2.0",
        "--seed",
        "11",
        "--enable_scaling",
        "--scaling_scale",
        "2",
        "--scaling_samples",
        "12",
      ],
      ...["--scaling_alpha", "1.5", "--scaling_rep_num", "4", "--conflict_thresh", "0.5"],
    );
    assertMatch(out, /^15 of 15 images are in .*out: 15 made in /);
    assertEquals(filesIn(output), [".lock", ...ALL, "run.json"]);
    const { settings, classes, imagesPerClass } = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
    assertEquals([classes, imagesPerClass], [[0, 1, 2, 3, 4], 3]);
    const scaling = varScaling({
      scale: 2,
      samples: 12,
      alpha: 1.5,
      representatives: 4,
      conflictThreshold: 0.5,
    });
    assertEquals(settings, {
      seed: 11,
      sharedNoise: false,
      cfg: 2,
      guidance: "ramp",
      topK: 900,
      topP: 0.96,
      minP: 0,
      temperature: 1,
      moreSmooth: false,
      published: false,
      scaling: { ...scaling.settings, strategy: "var-scaling", pick: "density" },
    });

    await using loaded = await loadTiny(`${folder}/model`);
    const wanted = await generate(loaded, {
      labels: [4, 0, 2],
      // Image by image, and in each class by class.
      indices: [0 * 5 + 4, 1 * 5 + 0, 2 * 5 + 2],
      seed: 11,
      cfg: 2,
      hooks: [scaling],
    });
    for (const [i, name] of ["class_4_img_0.png", "class_0_img_1.png", "class_2_img_2.png"].entries()) {
      const { data } = RgbaImage.decode(await Deno.readFile(`${output}/${name}`));
      assertEquals(data, wanted.images[i]!.data, name);
    }
  },
);

async function loadTiny(folder: string): Promise<Model> {
  return await loadModel({ var: `${folder}/var.safetensors`, vae: `${folder}/vae.safetensors` }, {
    device: "cpu",
  });
}

testInFolder("varscale run: without options, the settings are the published script's", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const settings = async (...args: string[]) => {
    const output = `${folder}/${crypto.randomUUID()}`;
    await succeed("run", ...model, "-o", output, "--classes", "0", "-n", "1", ...args);
    return JSON.parse(await Deno.readTextFile(`${output}/run.json`)).settings;
  };
  const { seed, cfg, topK, topP, moreSmooth, scaling } = await settings();
  assertEquals([seed, cfg, topK, topP, moreSmooth], [0, 1, 900, 0.96, false]);
  const { scale, samples, alpha, representatives, conflictThreshold } = scaling;
  assertEquals([scale, samples, alpha, representatives, conflictThreshold], [[1], 50, 2.3, 10, 1.8]);
  assertEquals((await settings("--no-enable_scaling")).scaling, null);
  // What the preset leaves to the model stands there by value.
  const { preset: _preset, ...released } = varScaling({ preset: "published" }).settings!;
  assertEquals((await settings("--preset", "published")).scaling, {
    ...released,
    ...{ scale: [1], samples: 50, representatives: 10, alpha: 2.3, conflictThreshold: 1.8 },
    ...{ strategy: "var-scaling", pick: "density" },
  });
  const { preset: _paper, ...printed } = varScaling({ preset: "paper" }).settings!;
  assertEquals((await settings("--preset", "paper")).scaling, {
    ...printed,
    ...{ scale: [1], samples: 50, representatives: 10, conflictThreshold: 0 },
    ...{ strategy: "var-scaling", pick: "density" },
  });
  assertEquals((await settings("--more_smooth")).moreSmooth, true);
});

testInFolder("varscale run: an interrupted run goes on where it stopped, and grows", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const settings = [...model, "--samples", "8", "--cfg", "1.5", "--seed", "3"];
  await succeed("run", ...settings, "-n", "3", "-o", `${folder}/whole`);
  const whole = images(`${folder}/whole`);
  assertEquals(Object.keys(whole), ALL);
  assertEquals(new Set(Object.values(whole)).size, ALL.length);

  const output = `${folder}/parts`;
  const args = ["run", ...settings, "-o", output, "--batch", "2"];
  const { code, out, err } = await interrupted([...args, "-n", "2"], output, 3);
  assertEquals([code, out], [130, ""], err);
  assertMatch(
    err,
    /varscale: [34] of 10 images are in .*; the same command makes the others\nvarscale: interrupted\n$/,
  );
  const made = Object.keys(images(output));
  assert(made.length >= 3 && made.length < 10);

  // What a killed process or a power failure may leave behind.
  const [first, second] = made as [string, string];
  await Deno.writeFile(`${output}/${first}`, (await Deno.readFile(`${output}/${first}`)).subarray(0, -3));
  await Deno.writeFile(`${output}/${second}`, new Uint8Array());
  await Deno.writeTextFile(`${output}/class_4_img_1.png.${crypto.randomUUID()}.tmp`, "half");
  await Deno.writeTextFile(`${output}/class_4_img_9.png.${crypto.randomUUID()}.tmp`, "of another run");
  const { out: resumed } = await succeed(...args, "-n", "2");
  assertStringIncludes(resumed, `10 of 10 images are in ${output}: ${10 - made.length + 2} made in`);
  const { "class_0_img_2.png": _0, ...others } = whole;
  const two = Object.fromEntries(Object.entries(others).filter(([name]) => !name.endsWith("_2.png")));
  assertEquals(images(output), two);
  assertEquals(filesIn(output).filter((name) => name.endsWith(".tmp")).length, 1);

  const { out: again } = await succeed(...args, "-n", "2");
  assertEquals(again, `10 of 10 images are in ${output}: all of them were\n`);
  const { out: more } = await succeed(...args, "-n", "3");
  assertStringIncludes(more, "5 made in");
  assertEquals(images(output), whole);
  assertEquals(JSON.parse(await Deno.readTextFile(`${output}/run.json`)).imagesPerClass, 3);
});

testInFolder("varscale run: going on elsewhere, or with another version, is told", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const args = ["run", ...model, "-o", `${folder}/out`, "-n", "1", "--classes", "0"];
  const { err } = await succeed(...args);
  assert(!err.includes("warning"), err);
  const path = `${folder}/out/run.json`;
  const record = JSON.parse(await Deno.readTextFile(path));
  assertEquals(record.device.cpuProvider, "wasm");
  assertEquals(record.device.provider, "wasm");
  for (
    const [change, message] of [
      [{ device: { ...record.device, cpuProvider: "native" } }, "the run began on CPU"],
      [
        { device: { ...record.device, name: "Another one" } },
        "the run began on Another one, and this is CPU",
      ],
      [{ versions: { varscale: "0.0.1" } }, "the run began with varscale 0.0.1, and this is"],
    ] as const
  ) {
    await Deno.writeTextFile(path, JSON.stringify({ ...record, ...change }));
    const again = await succeed(...args);
    assertStringIncludes(again.err, `varscale: warning: ${message}`);
  }
});

testInFolder("varscale run: a run from before guidance was a choice goes on", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const args = ["run", ...model, "-o", `${folder}/out`, "-n", "1", "--samples", "8"];
  await succeed(...args, "--classes", "0");
  const path = `${folder}/out/run.json`;
  const record = JSON.parse(await Deno.readTextFile(path));
  const { guidance, published, ...settings } = record.settings;
  assertEquals([guidance, published], ["ramp", false]);
  await Deno.writeTextFile(path, JSON.stringify({ ...record, settings }));
  const { out } = await succeed(...args, "--classes", "0,1", "--guidance", "ramp");
  assertStringIncludes(out, "2 of 2 images");
  const { code, err } = await run([...args, "--guidance", "constant"]);
  assertEquals(code, 2);
  assertStringIncludes(err, 'guidance is "ramp" there and "constant" here');
});

testInFolder(
  "varscale run: what differs whatever the model is like is told before it is loaded",
  async (folder) => {
    const model = await checkpoints(`${folder}/model`);
    const common = ["-o", `${folder}/out`, "-n", "1", "--classes", "0"];
    await succeed("run", ...model, ...common, "--samples", "8");
    const none = ["run", "--var_ckpt", `${folder}/none`, "--vae_ckpt", `${folder}/none`, ...common];
    const cases: [more: string[], message: string][] = [
      [["--cfg", "2"], "cfg is 1 there and 2 here"],
      [["--cfg", "1,2"], "cfg is 1 there and [1, 2] here"],
      [["--guidance", "constant"], 'guidance is "ramp" there and "constant" here'],
      [["--top-k", "5"], "topK is 900 there and 5 here"],
      [["--top-p", "0.5"], "topP is 0.96 there and 0.5 here"],
      [["--min-p", "0.5"], "minP is 0 there and 0.5 here"],
      [["--temperature", "2"], "temperature is 1 there and 2 here"],
      [["--more-smooth"], "moreSmooth is false there and true here"],
      [["--published"], "published is false there and true here"],
      [["--seed", "1"], "seed is 0 there and 1 here"],
      [["--shared-noise"], "sharedNoise is false there and true here"],
      [["--no-scaling"], "scaling is given there and none here"],
      [[], "scaling.samples is 8 there and 50 here"],
      [["--samples", "8", "--alpha", "2"], "scaling.alpha is 2.3 there and 2 here"],
      [["--samples", "8", "--scale", "1-2"], "scaling.scale is [1] there and [1, 2] here"],
      [["--samples", "8", "--preset", "published"], "scaling.filter is"],
    ];
    for (const [more, message] of cases) {
      const { code, err } = await run([...none, ...more]);
      assertEquals(code, 2, err);
      assertStringIncludes(err, `Cannot go on in ${folder}/out: `);
      assertStringIncludes(err, message);
    }
    // With the same settings it gets as far as the model, which is not there.
    const { code, err } = await run([...none, "--samples", "8"]);
    assertEquals(code, 2);
    assertStringIncludes(err, `Cannot open the model file: ${folder}/none`);
  },
);

testInFolder("varscale run: shards are disjoint, and together the whole", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const settings = ["run", ...model, "--samples", "8", "-n", "3"];
  await succeed(...settings, "-o", `${folder}/whole`);
  const whole = images(`${folder}/whole`);
  const parts: string[] = [];
  for (const [i, part] of ["1/4", "2/4", "3/4", "4/4"].entries()) {
    await succeed(...settings, "-o", `${folder}/part${i}`, "--shard", part, "--batch", `${i + 1}`);
    parts.push(...Object.keys(images(`${folder}/part${i}`)));
    for (const [name, content] of Object.entries(images(`${folder}/part${i}`))) {
      assertEquals(content, whole[name], name);
    }
  }
  assertEquals(parts, ALL);

  // In one folder, the second part before the first; then nothing is left to do.
  await succeed(...settings, "-o", `${folder}/both`, "--shard", "2/2");
  assertEquals(Object.keys(images(`${folder}/both`)), ALL.slice(7));
  await succeed(...settings, "-o", `${folder}/both`, "--shard", "1/2", "--memory", "8MB", "--batch", "auto");
  assertEquals(images(`${folder}/both`), whole);
  const { out } = await succeed(...settings, "-o", `${folder}/both`);
  assertStringIncludes(out, "all of them were");

  // More parts than images: some have none.
  await succeed(...settings, "--classes", "1", "-o", `${folder}/none`, "--shard", "1/9");
  assertEquals(images(`${folder}/none`), {});
});

testInFolder("varscale run: a killed process loses no image and leaves no half one", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const args = ["run", ...model, "--samples", "8", "-n", "40", "--classes", "snow,3-4"];
  const output = `${folder}/killed`;
  const names = ["--class-names", `${folder}/names.json`];
  await Deno.writeTextFile(`${folder}/names.json`, JSON.stringify(TINY_NAMES));
  {
    await using child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `${ROOT}cli/main.ts`, ...args, ...names, "-o", output, "--quiet", "--batch", "2"]
        // As here; by itself it would take the native library. One image alone is decoded in another order of
        // sums than several.
        .concat("--cpu-provider", "wasm"),
      env: { NO_COLOR: "1" },
    }).spawn();
    const count = (): number => {
      try {
        return filesIn(output).filter((name) => name.endsWith(".png")).length;
      } catch {
        return 0;
      }
    };
    const ended = child.status.then(() => true);
    while (count() < 7) {
      if (await Promise.race([ended, new Promise<false>((resolve) => setTimeout(() => resolve(false), 5))])) {
        break;
      }
    }
    child.kill("SIGKILL");
    assertEquals((await child.status).signal, "SIGKILL");
  }
  const left = images(output);
  assert(Object.keys(left).length >= 7 && Object.keys(left).length < 120);
  await succeed(...args, ...names, "-o", output);
  await succeed(...args, ...names, "-o", `${folder}/whole`, "--batch", "16");
  assertEquals(images(output), images(`${folder}/whole`));
  assertEquals(Object.keys(images(output)).length, 120);
  assertEquals(filesIn(output).filter((name) => name.endsWith(".tmp")), []);
});

testInFolder("varscale run: other settings are refused, each by name", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const output = `${folder}/out`;
  const args = ["run", ...model, "-o", output];
  await succeed(...args, "-n", "2", "--classes", "0,1");
  const cases: [more: string[], message: string][] = [
    [
      ["--cfg", "2", "--alpha", "2", "-n", "2"],
      "cfg is 1 there and 2 here and scaling.alpha is 2.3 there and 2 here",
    ],
    [["--no-scaling", "-n", "2"], "scaling is given there and none here"],
    [["-n", "1"], "imagesPerClass is 2 there and 1 here"],
    [["--classes", "1-3", "-n", "2"], "classes is [0, 1] there and [1, 2, 3] here"],
    [["--preset", "published", "-n", "2"], "scaling.filter is"],
    [["--preset", "default", "-n", "2"], 'scaling.alpha is 2.3 there and "preset" here'],
    [["--guidance", "constant", "-n", "2"], 'guidance is "ramp" there and "constant" here'],
    [["--scale", "2", "-n", "2"], "scaling.scale is [1] there and [2] here"],
    [["--conflict_thresh", "1", "-n", "2"], "scaling.conflictThreshold is 1.8 there and 1 here"],
    [
      ["--top-k", "5", "--seed", "9", "-n", "2"],
      "seed is 0 there and 9 here and topK is 900 there and 5 here",
    ],
  ];
  for (const [more, message] of cases) {
    const { code, err } = await run([...args, ...more]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, `Cannot go on in ${output}: `);
    assertStringIncludes(err, message);
    assertStringIncludes(err, "; choose another --output");
  }
  const other = await checkpoints(`${folder}/other`, 2);
  const { code, err } = await run(["run", ...other, "-o", output, "-n", "2"]);
  assertEquals(code, 2);
  assertStringIncludes(err, "model.fingerprints.");

  for (const [name, content] of [["run.json", "{}"], ["class_0_img_0.png", ""]] as const) {
    await Deno.mkdir(`${folder}/strange`);
    await Deno.writeTextFile(`${folder}/strange/${name}`, content);
    const strange = await run(["run", ...model, "-o", `${folder}/strange`]);
    assertEquals(strange.code, 2);
    assertStringIncludes(strange.err, `Cannot use ${folder}/strange: it`);
    await Deno.remove(`${folder}/strange`, { recursive: true });
  }
  const deep = await run([...args, "--model_depth", "30"]);
  assertEquals(deep.code, 2);
  assertStringIncludes(deep.err, "depth must be its own, 1: current value is 30");
});

testInFolder(
  "varscale run: an image that fails is listed, costs no other one, and is tried again",
  async (folder) => {
    const healthy = await checkpoints(`${folder}/healthy`);
    const broken = await checkpoints(`${folder}/broken`, 3);
    // Recipes tell of weights and places, which are not the same.
    const settings = ["-n", "3", "--samples", "8", "--batch", "4", "--no-recipe"];
    await succeed("run", ...healthy, ...settings, "-o", `${folder}/whole`);
    const output = `${folder}/out`;
    const { code, out, err } = await run(["run", ...broken, ...settings, "-o", output, "--npz"]);
    assertEquals(code, 1);
    assertStringIncludes(out, `12 of 15 images are in ${output}: 12 made in`);
    assertMatch(err, /varscale: class_3_img_0\.png failed: Cannot draw a token for image 3 at scale 0/);
    assertMatch(
      err,
      /varscale: 3 images failed; .*out\/failed\.json tells why, and the same command tries again\n$/,
    );
    const whole = Object.entries(images(`${folder}/whole`)).filter(([name]) => !name.startsWith("class_3"));
    assertEquals(images(output), Object.fromEntries(whole));
    const failed = JSON.parse(await Deno.readTextFile(`${output}/failed.json`));
    assertEquals(failed.map(({ file, label }: { file: string; label: string }) => [file, label]), [
      ["class_3_img_0.png", "class 3"],
      ["class_3_img_1.png", "class 3"],
      ["class_3_img_2.png", "class 3"],
    ]);
    assertStringIncludes(failed[2].reason, "Cannot draw a token for image 13 at scale 0");
    assert(!filesIn(folder).includes("out.npz"));

    const again = await run(["run", ...broken, ...settings, "-o", output, "--shard", "1/1", "--quiet"]);
    assertEquals([again.code, again.out], [1, ""]);
    assertMatch(again.err, /class_3_img_2\.png failed[^]*failed-1-of-1\.json tells why/);
  },
);

testInFolder("varscale run: a file that cannot be written ends the run with its name", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const output = `${folder}/out`;
  await Deno.mkdir(`${output}/class_1_img_0.png`, { recursive: true });
  const args = ["run", ...model, "-n", "1", "--samples", "8", "--batch", "1", "-o", output];
  const strange = await run(args);
  assertStringIncludes(strange.err, "it has images and no run.json");
  await Deno.remove(`${output}/class_1_img_0.png`);
  await succeed(...args, "--classes", "0");
  await Deno.mkdir(`${output}/class_1_img_0.png`);
  const { code, err } = await run(args);
  assertEquals(code, 1);
  assertMatch(err, /1 of 5 images are in .*\nvarscale: Cannot write .*\/class_1_img_0\.png: it is a folder/);
  assertEquals(filesIn(output).filter((name) => name.endsWith(".tmp") || name === "failed.json"), []);
});

testInFolder(
  "varscale run: with the released code's bandwidth, the images of a class stay one batch",
  async (folder) => {
    const model = await checkpoints(`${folder}/model`);
    // Settings with which the branch of some images depends on the bandwidth.
    const args = [
      ...[
        "run",
        ...model,
        "--preset",
        "published",
        "--samples",
        "16",
        "--alpha",
        "1.1",
        "--conflict-threshold",
        "0",
      ],
      ...["--seed", "3", "--no-recipe"],
    ];
    const output = `${folder}/whole`;
    await succeed(...args, "-n", "4", "-o", output);
    const whole = images(output);
    assertEquals(Object.keys(whole).length, 20);
    await using loaded = await loadTiny(`${folder}/model`);
    const request = {
      labels: 3,
      count: 4,
      indices: [0, 1, 2, 3].map((image) => image * 5 + 3),
      seed: 3,
      cfg: 1,
      hooks: [varScaling({ preset: "published", samples: 16, alpha: 1.1, conflictThreshold: 0 })],
    };
    const names = [0, 1, 2, 3].map((image) => `class_3_img_${image}.png`);
    const pngs = async (batch: number): Promise<string[]> => {
      return (await generate(loaded, { ...request, batch })).images.map((image) => image.png().toHex());
    };
    assertEquals(names.map((name) => whole[name]), await pngs(4));
    assertNotEquals(names.map((name) => whole[name]), await pngs(1), "The batch does not matter");

    // Cut in the middle of a class, at each place, and split in parts that are whole classes.
    for (const name of names) {
      await Deno.remove(`${output}/${name}`);
      const { ino } = await Deno.stat(`${output}/class_3_img_${name === names[0] ? 1 : 0}.png`);
      const { out } = await succeed(...args, "-n", "4", "-o", output);
      assertStringIncludes(out, "20 of 20 images");
      assertStringIncludes(out, "1 made in");
      assertEquals(images(output), whole);
      const kept = await Deno.stat(`${output}/class_3_img_${name === names[0] ? 1 : 0}.png`);
      assertEquals(kept.ino, ino, "An image that was there is written again");
    }
    await succeed(...args, "-n", "4", "-o", `${folder}/part`, "--shard", "3/4");
    const part = images(`${folder}/part`);
    assertEquals(Object.keys(part).length, 4);
    for (const [name, content] of Object.entries(part)) assertEquals(content, whole[name], name);

    const more = await run([...args, "-n", "5", "-o", output]);
    assertStringIncludes(more.err, "imagesPerClass is 4 there and 5 here");
    const batch = await run([...args, "-n", "4", "-o", `${folder}/new`, "--batch", "2"]);
    const two = String(Math.ceil(loaded.weightBytes + 2 * loaded.schedule().imageBytes));
    const memory = await run([...args, "-n", "4", "-o", `${folder}/new`, "--memory", two]);
    assertMatch(
      memory.err,
      /Option --memory must be at least [0-9.]+ MiB for the 4 images of a class together/,
    );
    assertStringIncludes(batch.err, "Option --batch must be left out");
    assertEquals([more.code, batch.code, memory.code], [2, 2, 2]);
  },
);

testInFolder(
  "varscale run: shared noise gives image i of every class the same random numbers",
  async (folder) => {
    const model = await checkpoints(`${folder}/model`);
    const output = `${folder}/out`;
    await succeed("run", ...model, "-n", "2", "--no-scaling", "--seed", "9", "--shared-noise", "-o", output);
    await using loaded = await loadTiny(`${folder}/model`);
    const wanted = await generate(loaded, {
      labels: [0, 1, 2, 3, 4],
      count: 2,
      indices: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
      seed: 9,
      cfg: 1,
    });
    for (const [i, { data }] of wanted.images.entries()) {
      const name = `class_${Math.floor(i / 2)}_img_${i % 2}.png`;
      assertEquals(RgbaImage.decode(await Deno.readFile(`${output}/${name}`)).data, data, name);
    }
  },
);

testInFolder("varscale run: a run can end with the archive of its images", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const args = ["run", ...model, "-n", "1", "--no-scaling", "-o", `${folder}/out`, "--npz"];
  const { out } = await succeed(...args);
  assertStringIncludes(out, `\n${folder}/out.npz: 5 images, uint8 [5, 8, 8, 3], 960 bytes\n`);
  const again = await run(args);
  assertEquals(again.code, 2);
  assertStringIncludes(again.err, `Cannot write ${folder}/out.npz: it exists`);
  const shard = await run([...args, "--shard", "1/2"]);
  assertEquals(shard.code, 2);
  assertStringIncludes(shard.err, "Options --npz and --shard exclude each other");
});

function testOnLostGpu(name: string, search: readonly string[]): void {
  Deno.test({
    name,
    ignore: !hasGpu && !requireGpu,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "varscale-cli-" });
      const { requestDevice } = GPUAdapter.prototype;
      const devices: GPUDevice[] = [];
      GPUAdapter.prototype.requestDevice = async function (...args) {
        const device = await requestDevice.apply(this, args);
        devices.push(device);
        return device;
      };
      const output = `${folder}/lost`;
      const timer = setInterval(() => {
        if (existsSync(`${output}/class_0_img_1.png`)) devices[0]!.destroy();
      }, 5);
      try {
        const model = await checkpoints(`${folder}/model`);
        const args = ["run", ...model.slice(0, -1), "webgpu", "-n", "2", "--batch", "2", ...search];
        const { out, err } = await succeed(...args, "-o", output);
        assertMatch(err, /varscale: GPU device lost/);
        assertMatch(out, /10 of 10 images/);
        assertEquals(devices.length, 2);
        clearInterval(timer);
        await succeed(...args, "-o", `${folder}/whole`);
        assertEquals(images(output), images(`${folder}/whole`));
      } finally {
        clearInterval(timer);
        GPUAdapter.prototype.requestDevice = requestDevice;
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

testOnLostGpu("varscale run: a GPU that is lost on the way is opened again", ["--samples", "8"]);
testOnLostGpu("varscale run: a network that judges is opened again, too, when a GPU is lost", [
  ...["--method", "best-of-n", "--attempts", "2", "--verifier", `${ROOT}models/demo/verifier.json`],
]);

testInFolder("varscale run: a run that is refused leaves nothing behind", async (folder) => {
  const model = await checkpoints(`${folder}/model`);
  const refused = async (output: string, ...args: string[]): Promise<void> => {
    const { code, err } = await run(["run", ...model, "-n", "1", "-o", output, ...args]);
    assertEquals(code, 2, err);
  };
  for (const part of [[], ["--shard", "1/2"]]) {
    await refused(`${folder}/a/b`, "--classes", "99", ...part);
    await refused(`${folder}/a/b`, "--scale", "77", ...part);
    await refused(`${folder}/a/b`, "--memory", "1KB", ...part);
    assertEquals(filesIn(folder), ["model"]);
  }
  const other = `${folder}/other`;
  await Deno.mkdir(other);
  await refused(other, "--classes", "99");
  assertEquals(filesIn(other), []);
  await Deno.writeTextFile(`${other}/run.json`, "{}");
  await refused(other);
  assertEquals(filesIn(other), ["run.json"]);
});
