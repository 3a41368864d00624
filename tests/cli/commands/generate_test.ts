/**
 * `varscale generate` on the CPU with the bundled model: what it writes is what the library makes of the same
 * request.
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import type { RunRecord } from "../../../cli/generation/run_record.ts";
import {
  generate,
  type GenerateRequest,
  loadModel,
  RgbaImage,
  varScaling,
  type VarScalingDecision,
} from "../../../mod.ts";
import { deno } from "../../deno_process.ts";
import { testNative } from "../../models/graphs/native_processes.ts";
import { filesIn, fixture, run, succeed, testInFolder } from "../run.ts";

async function readRun(folder: string): Promise<RunRecord> {
  return JSON.parse(await Deno.readTextFile(`${folder}/run.json`));
}

async function sha256(file: string): Promise<string> {
  return await sha256Of(await Deno.readFile(file));
}

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

testInFolder(
  "varscale generate: images, grid and record are written, and repeating the record gives the same",
  async (folder) => {
    const first = `${folder}/first`;
    const { out } = await succeed(
      ...["generate", "red torus", "--labels", "3,blue cone", "--seed", "18446744073709551615"],
      ...["--cfg", "2", "--top-k", "300", "--top-p", "0.9", "--temperature", "1.1", "--batch", "2"],
      ...["--min-p", "0.02"],
      ...["--preview", "0,2", "--columns", "2", "--device", "cpu", "--output", first],
    );
    assertMatch(out, /^3 images in .*: demo, cfg 2, seed 18446744073709551615, on CPU/);
    const names = ["000_red-torus", "001_green-sphere", "002_blue-cone"];
    const files = filesIn(first);
    for (const name of names) {
      for (const end of ["", "_scale-0", "_scale-2"]) assert(files.includes(`${name}${end}.png`), name);
    }
    assertEquals(files.length, 3 * 3 + 2);

    // The same request to the library: same tokens, same pixels.
    const record = await readRun(first);
    await using model = await loadModel("demo", { device: "cpu" });
    const { images } = await generate(model, {
      labels: ["red torus", 3, "blue cone"],
      seed: 2n ** 64n - 1n,
      cfg: 2,
      topK: 300,
      topP: 0.9,
      minP: 0.02,
      temperature: 1.1,
    });
    assertEquals(
      record.images.map(({ tokens }) => tokens),
      images.map(({ tokens }) => tokens.map((map) => [...map])),
    );
    assertEquals(record.images.map(({ label }) => label), images.map(({ label }) => label));
    for (const [i, image] of images.entries()) {
      const { file, sha256: hash } = record.images[i]!;
      assertEquals(RgbaImage.decode(await Deno.readFile(`${first}/${file}`)).data, image.data);
      assertEquals(await sha256(`${first}/${file}`), hash);
    }
    assertEquals(record.model.fingerprints, model.fingerprints);
    assertEquals(record.request.previews, [0, 2]);
    assertEquals(record.request.batch, 2);
    assertEquals(record.timings.variants.plain!.batches.map(({ lanes }) => lanes), [2, 1]);

    const again = `${folder}/again`;
    const args = ["--repeat", `${first}/run.json`, "--device", "cpu", "--output", again];
    const { out: repeated, err } = await succeed("generate", ...args, "--quiet", "--json");
    assertEquals(err, "");
    assertEquals(JSON.parse(repeated).repeat, { images: 3, sameTokens: 3, sameFiles: 3 });
    assertEquals(filesIn(again), files);
    for (const file of files.filter((name) => name.endsWith(".png"))) {
      assertEquals(await sha256(`${again}/${file}`), await sha256(`${first}/${file}`), file);
    }
    const { timings: _before, ...facts } = record;
    const { timings: _now, ...repeatedFacts } = await readRun(again);
    assertEquals(repeatedFacts, facts);
  },
);

testInFolder(
  "varscale generate: --indices makes images of a larger run alone, and two of one number",
  async (folder) => {
    const common = ["--seed", "5", "--device", "cpu", "-q"];
    await succeed("generate", "red torus", "-n", "4", ...common, "--no-grid", "-o", `${folder}/all`);
    const some = ["blue cone", "red torus", "red torus", "--indices", "3,2,3", "--preview", "1"];
    await succeed("generate", ...some, ...common, "--no-grid", "-o", `${folder}/some`);
    const [all, few] = await Promise.all([readRun(`${folder}/all`), readRun(`${folder}/some`)]);
    assertEquals(all.request.indices, undefined);
    assertEquals(few.request.indices, [3, 2, 3]);
    assertEquals(few.images.map(({ index, label }) => [index, label.name]), [
      [3, "blue cone"],
      [2, "red torus"],
      [3, "red torus"],
    ]);
    const names = ["000_blue-cone", "001_red-torus", "002_red-torus"];
    assertEquals(
      filesIn(`${folder}/some`),
      [...names.flatMap((name) => [`${name}.png`, `${name}_scale-1.png`]), "run.json"].sort(),
    );
    assertEquals(few.images[1]!.sha256, all.images[2]!.sha256);
    assertEquals(few.images[2]!.sha256, all.images[3]!.sha256);
    const { out } = await succeed(
      ...["generate", "--repeat", `${folder}/some/run.json`, ...common.slice(2), "--json", "-o"],
      `${folder}/again`,
    );
    assertEquals(JSON.parse(out).repeat, { images: 3, sameTokens: 3, sameFiles: 3 });
    const { code, err } = await run(["generate", "red torus", "-n", "2", "--indices", "1", ...common]);
    assertEquals(code, 2);
    assertStringIncludes(err, "indices must hold one number for each of 2 images: current number is 1");
  },
);

testInFolder(
  "varscale generate: repeating warns of what is not as it was, and refuses other settings",
  async (folder) => {
    const common = ["--device", "cpu", "-q"];
    await succeed("generate", "red torus", ...common, "-o", `${folder}/a`);
    const record = await readRun(`${folder}/a`);
    const changed = {
      ...record,
      versions: { ...record.versions, varscale: "0.0.1" },
      device: { ...record.device, cpuProvider: "native" },
      model: {
        ...record.model,
        fingerprints: { ...record.model.fingerprints, "transformer.safetensors": "0" },
      },
      request: { ...record.request, seed: 1 },
    };
    const file = `${folder}/run.json`;
    await Deno.writeTextFile(file, JSON.stringify(changed));
    const { err, out } = await succeed(
      "generate",
      "--repeat",
      file,
      ...common,
      "--json",
      "-o",
      `${folder}/b`,
    );
    assertStringIncludes(
      err,
      "warning: the weights are not those of the recorded run: transformer.safetensors",
    );
    assertMatch(err, /warning: the run was recorded by varscale 0\.0\.1, and this is/);
    const { name } = record.device;
    assertStringIncludes(err, `warning: the run was recorded on ${name}, native, and this is ${name}\n`);
    assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 0, sameFiles: 0 });

    const refused = await run(["generate", "x", "--repeat", file, "--cfg", "3", "-o", `${folder}/c`]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.err, "Cannot use LABEL and --cfg with --repeat");

    await Deno.writeTextFile(
      file,
      JSON.stringify({ ...record, variants: [{ name: "x", hooks: [{ name: "y" }] }] }),
    );
    const unknown = await run(["generate", "--repeat", file, "-o", `${folder}/c`]);
    assertEquals(unknown.code, 2);
    assertStringIncludes(unknown.err, 'Cannot repeat the run: The hook "y" is unknown');
  },
);

testInFolder(
  "varscale generate: run.json has the numbers that were used, and both types of weights",
  async (folder) => {
    const common = ["--device", "cpu", "-q", "--samples", "12", "--dtype", "f32"];
    const searchOf = async (output: string, ...more: string[]) => {
      await succeed("generate", "red torus", ...common, ...more, "-o", `${folder}/${output}`);
      const { variants: [variant], images: [image], model } = await readRun(`${folder}/${output}`);
      assertEquals([model.dtype, model.storedDtype], ["f32", "f16"]);
      const decisions = image!.decisions.map(({ value }) => value as { alpha: number; samples: number });
      return { settings: variant!.hooks[0]!.settings as Record<string, unknown>, decisions };
    };
    const { settings, decisions: [decision] } = await searchOf("default");
    assertEquals([settings.scale, settings.alpha, settings.samples], [[1], decision!.alpha, 12]);
    assertEquals(Object.entries(settings).filter(([, value]) => value === "preset"), []);
    const published = await searchOf("published", "--preset", "published");
    assertEquals(published.settings.alpha, published.decisions[0]!.alpha);
    // No one number is right where scales differ; each decision has its own.
    const several = await searchOf("several", "--scale", "1,2");
    const alphas = new Set(several.decisions.map(({ alpha }) => alpha));
    assertEquals(several.settings.alpha, alphas.size === 1 ? [...alphas][0] : "preset");
    const { out } = await succeed(
      ...["generate", "--repeat", `${folder}/default/run.json`, "--device", "cpu", "--json", "-q"],
      ...["-o", `${folder}/again`],
    );
    assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 1, sameFiles: 1 });
  },
);

testInFolder(
  "varscale generate: a comparison makes each image twice from the same seed, on one sheet",
  async (folder) => {
    const output = `${folder}/out`;
    const labels = ["red torus", "blue cube", "green cone"];
    const { out } = await succeed(
      ...["generate", ...labels, "--compare", "--samples", "20", "--columns", "2"],
      ...["--device", "cpu", "--json", "--output", output],
    );
    const report = JSON.parse(out);
    assertEquals(
      report.images.map(({ file }: { file: string }) => file.slice(output.length + 1)),
      ["plain", "var-scaling"].flatMap((variant) => [
        `000_red-torus_${variant}.png`,
        `001_blue-cube_${variant}.png`,
        `002_green-cone_${variant}.png`,
      ]),
    );
    assertEquals(report.grid, `${output}/grid.png`);

    const { images } = await readRun(output);
    await using model = await loadModel("demo", { device: "cpu" });
    const plain = await generate(model, { labels });
    const scaled = await generate(model, { labels, hooks: [varScaling({ samples: 20 })] });
    const expected = [...plain.images, ...scaled.images];
    assertEquals(
      images.map(({ tokens }) => tokens),
      expected.map(({ tokens }) => tokens.map((map) => [...map])),
    );
    assertEquals(images[0]!.tokens[0], images[3]!.tokens[0], "The scale before the search is the same");

    // Rows: plain, VAR-Scaling, plain, VAR-Scaling; the second half of the last two is empty.
    const grid = RgbaImage.decode(await Deno.readFile(`${output}/grid.png`));
    const places = images.map(({ file }) => file).map((file) => locate(grid, `${output}/${file}`));
    const [a, b, c, d, e, f] = places as [Place, Place, Place, Place, Place, Place];
    assert(a.y < d.y && d.y < c.y && c.y < f.y);
    assertEquals([a.y, d.y, a.x, a.x, a.x], [b.y, e.y, d.x, c.x, f.x]);
    assertEquals(b.x, e.x);
    assert(b.x > a.x);
  },
);

interface Place {
  readonly x: number;
  readonly y: number;
}

/** Where a picture lies on a sheet that shows it three times as large. */
function locate(sheet: RgbaImage, file: string): Place {
  const image = RgbaImage.decode(Deno.readFileSync(file));
  const pixel = (of: RgbaImage, x: number, y: number): number => {
    return new DataView(of.data.buffer).getUint32(4 * (y * of.width + x));
  };
  const matches = (x: number, y: number): boolean => {
    for (let i = 0; i < image.width; i++) {
      if (pixel(image, i, i) !== pixel(sheet, x + 3 * i, y + 3 * i)) return false;
    }
    return true;
  };
  for (let y = 0; y <= sheet.height - 3 * image.height; y++) {
    for (let x = 0; x <= sheet.width - 3 * image.width; x++) if (matches(x, y)) return { x, y };
  }
  throw new Error(`${file} is not on the sheet`);
}

testInFolder(
  "varscale generate: the published script's flags do what they say, on checkpoints",
  async (folder) => {
    const { out } = await succeed(
      ...["generate", "4", "7", "--vae_ckpt", fixture("golden/var-adaln/vae.pth")],
      ...["--var_ckpt", fixture("golden/var-adaln/var.pth"), "--output_dir", `${folder}/out`],
      ...[
        "--model_depth",
        "2",
        "--num_images_per_class",
        "2",
        "--cfg",
        "1.0",
        "--seed",
        "5",
        "--more_smooth",
      ],
      ...["--enable_scaling", "--scaling_scale", "2", "--scaling_samples", "6", "--scaling_alpha", "1.5"],
      ...["--scaling_rep_num", "3", "--conflict_thresh", "0.25", "--device", "cpu", "--json"],
    );
    const { images, request, variants, model } = JSON.parse(out);
    assertEquals(images.map(({ label }: { label: { id: number } }) => label.id), [4, 4, 7, 7]);
    assertEquals([request.cfg, request.seed, request.moreSmooth], [1, 5, true]);
    assertEquals(variants.length, 1);
    const { settings } = variants[0].hooks[0];
    assertEquals([settings.scale, settings.samples, settings.alpha], [[2], 6, 1.5]);
    assertEquals([settings.representatives, settings.conflictThreshold], [3, 0.25]);
    for (const { decisions } of images) {
      const { scale, value } = decisions[0] as { scale: number; value: VarScalingDecision };
      assertEquals([scale, value.samples, value.alpha], [2, 6, 1.5]);
      assert(value.kept.length <= 3);
    }
    assertEquals(model.depth, 2);

    const { code, err } = await run([
      ...["generate", "4", "--vae_ckpt", fixture("golden/var-adaln/vae.pth"), "--device", "cpu"],
      ...["--var_ckpt", fixture("golden/var-adaln/var.pth"), "--model_depth", "16", "-o", `${folder}/deep`],
    ]);
    assertEquals(code, 2);
    assertStringIncludes(err, "depth must be its own, 2: current value is 16");
  },
);

testInFolder(
  "varscale generate: every setting of VAR-Scaling reaches the hook, and --no-scaling turns it off",
  async (folder) => {
    const settings = {
      scale: [1, 2],
      samples: 7,
      alpha: 1.25,
      representatives: 2,
      conflictThreshold: 0.5,
      strategy: "random-k",
      distance: "cosine",
      rule: "paper",
      filter: "compounding",
      bandwidth: "batch",
      deviation: "sample",
      features: "joint",
      pick: "rank",
    };
    const args = Object.entries(settings).flatMap(([name, value]) => {
      return [`--${name.replace("T", "-t")}`, String(value)];
    });
    const common = ["generate", "red cube", "--device", "cpu", "--json", "-q"];
    const scaled = JSON.parse((await succeed(...common, ...args, "-o", `${folder}/a`)).out);
    assertEquals(scaled.variants[0].hooks[0].settings, settings);
    assertEquals(scaled.images[0].decisions.map(({ scale }: { scale: number }) => scale), [1, 2]);
    for (const { value } of scaled.images[0].decisions as { value: VarScalingDecision }[]) {
      assertEquals(value.kept.map(({ probability }) => Math.round(3 * probability)), [2, 1]);
    }

    const off = JSON.parse(
      (await succeed(...common, ...args, "--no-enable-scaling", "-o", `${folder}/b`)).out,
    );
    assertEquals(off.variants, [{ name: "plain", hooks: [] }]);
    assertNotEquals(off.images[0].sha256, scaled.images[0].sha256);

    // The demo has six scales, so -5 is the one on which it is searched by itself.
    const last = JSON.parse(
      (await succeed(...common, "--scale=-5", "--samples", "5", "-o", `${folder}/l`)).out,
    );
    assertEquals(last.images[0].decisions.map(({ scale }: { scale: number }) => scale), [1]);
    assertEquals(last.variants[0].hooks[0].settings.alpha, 1.7);
    const replayed = ["generate", "--repeat", `${folder}/l/run.json`, "--device", "cpu", "--json", "-q"];
    const same = JSON.parse((await succeed(...replayed, "-o", `${folder}/m`)).out);
    assertEquals(same.images[0].sha256, last.images[0].sha256);

    const preset = JSON.parse((await succeed(...common, "--preset", "published", "-o", `${folder}/c`)).out);
    // What the preset leaves to the model stands there by value.
    assertEquals(preset.variants[0].hooks[0].settings, {
      ...varScaling({ preset: "published" }).settings,
      ...{ scale: [1], samples: 50, representatives: 10, alpha: 2.3, conflictThreshold: 1.8 },
      ...{ strategy: "var-scaling", pick: "density" },
    });
    const { out } = await succeed(
      ...[
        "generate",
        "--repeat",
        `${folder}/c/run.json`,
        "--device",
        "cpu",
        "--json",
        "-q",
        "-o",
        `${folder}/d`,
      ],
    );
    assertEquals(JSON.parse(out).variants, preset.variants);
    assertEquals(JSON.parse(out).images[0].decisions, preset.images[0].decisions);
    assertEquals(preset.images[0].decisions[0].value.alpha, 2.3);
  },
);

testInFolder(
  "varscale generate: labels: all classes, the null class, numbers, and at random",
  async (folder) => {
    const labels = async (...args: string[]): Promise<(number | null)[]> => {
      const common = ["--device", "cpu", "--json", "-q", "--no-grid", "--overwrite", "-o", `${folder}/out`];
      const { out } = await succeed("generate", ...args, ...common);
      return JSON.parse(out).images.map(({ label }: { label: { id: number | null } }) => label.id);
    };
    const tiny = [
      "--var-ckpt",
      fixture("golden/var-adaln/var.pth"),
      "--vae-ckpt",
      fixture("golden/var-adaln/vae.pth"),
    ];
    assertEquals(await labels("all", "--cfg", "0", "--batch", "10", ...tiny), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assertEquals(await labels("null", "63", "RED TORUS"), [null, 63, 32]);
    const random = await labels("--count", "4", "--seed", "3");
    assertEquals(random, await labels("--count", "4", "--seed", "3", "--batch", "2"));
    assert(new Set(random).size > 1);

    const { code, err } = await run(["generate", "red tours", "--device", "cpu", "-o", `${folder}/none`]);
    assertEquals(code, 2);
    assertStringIncludes(
      err,
      'Cannot find the class "red tours" in the model "demo"; did you mean "red torus"?',
    );
    assertEquals(filesIn(folder), ["out"]);
  },
);

testInFolder(
  "varscale generate: guidance is recorded and repeated, and records from before it was a choice are",
  async (folder) => {
    const common = ["--device", "cpu", "--json", "-q"];
    const { out } = await succeed(
      ...["generate", "red torus", "--guidance", "constant", "--cfg", "3", "--scaling", "--samples", "12"],
      ...[...common, "-o", `${folder}/constant`],
    );
    const record = await readRun(`${folder}/constant`);
    assertEquals(JSON.parse(out).request, JSON.parse(JSON.stringify(record.request)));
    const { guidance, cfg, published, minP } = record.request;
    assertEquals([guidance, cfg, published, minP], ["constant", 3, false, 0]);
    await using model = await loadModel("demo", { device: "cpu" });
    const hooks = [varScaling({ samples: 12 })];
    const tokens = async (request: GenerateRequest): Promise<number[][]> => {
      const { images } = await generate(model, { labels: "red torus", hooks, ...request });
      return images[0]!.tokens.map((map) => [...map]);
    };
    const [constant, ramp] = [await tokens({ guidance: "constant", cfg: 3 }), await tokens({ cfg: 3 })];
    assertNotEquals(constant, ramp);
    assertEquals(record.images[0]!.tokens, constant);
    const repeat = async (file: string, name: string): Promise<RunRecord> => {
      const { out } = await succeed("generate", "--repeat", file, ...common, "-o", `${folder}/${name}`);
      assertEquals(JSON.parse(out).repeat, { images: 1, sameTokens: 1, sameFiles: 1 });
      return await readRun(`${folder}/${name}`);
    };
    assertEquals((await repeat(`${folder}/constant/run.json`, "again")).request, record.request);

    // As it was written before there were these settings, of a model whose defaults have changed since.
    const { guidance: _guidance, published: _published, minP: _minP, ...request } = record.request;
    const [plain] = (await generate(model, { labels: "red torus", hooks, cfg: 3 })).images;
    const { pixels: _pixels, ...image } = record.images[0]!;
    const old = {
      ...record,
      request,
      variants: [{
        name: "var-scaling",
        hooks: [{ name: "var-scaling", settings: { scale: [1], samples: 12 } }],
      }],
      images: [{ ...image, tokens: ramp, sha256: await sha256Of(plain!.png()) }],
    };
    await Deno.writeTextFile(`${folder}/old.json`, JSON.stringify(old));
    const again = await repeat(`${folder}/old.json`, "old");
    assertEquals([again.request.guidance, again.request.published, again.request.minP], ["ramp", false, 0]);
  },
);

testInFolder("varscale generate: what a model is not made for is refused with the reason", async (folder) => {
  for (
    const [args, reason] of [
      [["--patch-numbers", "1,2,3"], "patchNumbers"],
      [["--infer_patch_nums", "1_2_3"], "patchNumbers"],
      [["--size", "128"], "size"],
      [["--size", "128x64"], "size"],
      [["--published"], "published"],
      [["--maxpn", "24"], "maxpn"],
      [["--scale", "6"], 'a scale of the hook "var-scaling" must be an integer from -6 to 5'],
      [["--preview", "6"], "each scale of previews must be an integer from -6 to 5"],
    ] as const
  ) {
    const { code, err } = await run([
      ...["generate", "red torus", ...args, "--device", "cpu", "-o", `${folder}/out`],
    ]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, reason);
  }
  assertEquals(filesIn(folder), []);
  // What is its own anyway may be said.
  await succeed(
    ...["generate", "red torus", "--patch-numbers", "1,2,3,4,6,8", "--size", "64", "--device", "cpu", "-q"],
    ...["-o", `${folder}/own`],
  );
});

testInFolder("varscale generate: what is there already is not touched unless it may be", async (folder) => {
  const args = ["generate", "red torus", "--device", "cpu", "--output", folder];
  const file = `${folder}/000_red-torus.png`;
  await Deno.writeTextFile(file, "mine");
  const { code, err } = await run(args);
  assertEquals(code, 2);
  assertStringIncludes(err, `Cannot write ${file}: it exists; choose another --output, or --overwrite`);
  assertEquals(await Deno.readTextFile(file), "mine");
  assertEquals(filesIn(folder), ["000_red-torus.png"]);
  await succeed(...args, "--overwrite");
  RgbaImage.decode(await Deno.readFile(file));
  assertEquals((await run(args)).code, 2);
});

testInFolder(
  "varscale generate: on a terminal one line is drawn again and again, and taken away in the end",
  async (folder) => {
    const args = ["generate", "red torus", "--device", "cpu", "--output", `${folder}/out`];
    const { err } = await run(args, { terminal: true });
    const lines = err.split("\r\x1b[2K");
    assertMatch(lines.shift()!, /^varscale: computing in WebAssembly; .*\nvarscale: loading demo\n$/);
    assertEquals(lines.pop(), "");
    assertMatch(lines[0]!, /^plain {2}batch 1\/1 {2}images 0\/1 {2}\d/);
    assertMatch(lines[6]!, /^plain {2}batch 1\/1 {2}scale 6\/6 {2}images 0\/1 {2}\d/);
    assert(lines.every((line) => line.length < 80 && !line.includes("\n")));
  },
);

testInFolder(
  "varscale generate: an interrupted generation leaves no folder where nothing was finished",
  async (folder) => {
    const args = ["generate", "red torus", "--device", "cpu", "--output", `${folder}/out`];
    const { code, out, err } = await run(args, { signal: AbortSignal.abort() });
    assertEquals([code, out], [130, ""]);
    assertStringIncludes(err, "varscale: interrupted\n");
    assertEquals(filesIn(folder), []);
  },
);

testNative("varscale generate: who computes is said, recorded, and the same when repeated", async () => {
  const folder = await Deno.makeTempDir({ prefix: "varscale-native-" });
  const generate = async (flags: readonly string[], ...args: string[]): Promise<string> => {
    const command = ["run", "--no-check", "-A", ...flags, "cli/main.ts", "generate", "--device", "cpu"];
    const { success, output } = await deno([...command, ...args]);
    assert(success, output);
    return output;
  };
  const repeat = (name: string): string[] => ["--repeat", `${folder}/${name}/run.json`];
  try {
    const first = await generate([], "red torus", "-o", `${folder}/a`);
    assertStringIncludes(first, "varscale: computing natively\n");
    const { device, timings } = await readRun(`${folder}/a`);
    const told = [device.cpuProvider, device.provider, timings.variants.plain!.provider];
    assertEquals(told, ["native", "native", "native"]);

    const forbidden = await generate(["--deny-ffi"], ...repeat("a"), "-o", `${folder}/b`);
    assertStringIncludes(
      forbidden,
      "computing in WebAssembly; native libraries are not allowed: --allow-ffi",
    );
    assertMatch(forbidden, /warning: the run was recorded on CPU.*, native, and this is CPU/);
    const again = await generate([], ...repeat("b"), "-o", `${folder}/c`);
    assert(!/computing|warning/.test(again), again);
    assertEquals((await readRun(`${folder}/c`)).device.provider, "wasm");
    const asked = await generate([], ...repeat("b"), "--cpu-provider", "native", "-o", `${folder}/d`);
    assertMatch(asked, /warning: the run was recorded on CPU.*, and this is CPU.*, native/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
