/**
 * Commands, exit codes, and the program as a process of its own.
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Interruption } from "../../cli/io.ts";
import config from "../../deno.json" with { type: "json" };
import { RgbaImage } from "../../mod.ts";
import { filesIn, ROOT, run, succeed, testInFolder } from "./run.ts";

const COMMANDS = [
  "generate",
  "run",
  "queue",
  "worker",
  "manifest",
  "edit",
  "reconstruct",
  "classify",
  "encode-text",
  "run-infinity",
  "eval-infinity",
  "geneval",
  "tts-var",
  "analyze",
  "tune",
  "sweep",
  "report",
  "gallery",
  "serve",
  "npz",
  "evaluate",
  "download",
  "convert",
  "inspect",
  "studio",
  "setup",
  "doctor",
  "completions",
];

Deno.test("varscale: the help of each command, by both ways to ask, names its options and fits a terminal", async () => {
  const { out: overview } = await succeed("--help");
  assertEquals((await succeed("help")).out, overview);
  assertEquals((await run([])).code, 2);
  for (const command of COMMANDS) {
    assertMatch(overview, new RegExp(`^  ${command} +[A-Z]`, "m"));
    const { out } = await succeed(command, "--help");
    assertEquals((await succeed("help", command)).out, out);
    assertStringIncludes(out, `Usage: varscale ${command}`);
    assertStringIncludes(out, "--debug");
    assertStringIncludes(out, "Examples:\n");
    assert(out.endsWith("\n") && !/ \n/.test(out));
    const [texts] = out.split("Examples:") as [string];
    assert(texts.split("\n").every((line) => line.length <= 96));
  }
});

Deno.test("varscale: no two options of a command share a name, and what FlexVAR's scripts take is among them", async () => {
  for (const command of COMMANDS) {
    const { out } = await succeed(command, "--help");
    const text = out.replaceAll(/\s+/g, " ");
    const names = [...out.matchAll(/^ {2}(?:-\w,| {3}) --(?:\[no-\])?([\w-]+)/gm)].map(([, name]) => name!);
    const others = [...text.matchAll(/also ((?:--[\w-]+, )*--[\w-]+)\)/g)]
      .flatMap(([, also]) => also!.split(", ").map((name) => name.slice(2)));
    const all = [...names, ...others];
    assertEquals(all.toSorted(), [...new Set(all)].toSorted(), command);
    if (command !== "generate" && command !== "run") continue;
    for (
      const name of [
        ...["var-ckpt", "vae-ckpt", "cfg", "top-k", "top-p", "maxpn", "depth", "infer-patch-nums"],
        ...["batch-size", "guidance", "patch-numbers", "size", "published"],
      ]
    ) assert(all.includes(name), `${command} ${name}`);
    // What the model decides is told for each family.
    assertStringIncludes(text, "(default: 0.96 for VAR, 0.95 for FlexVAR, 0.97 for Infinity)");
    assertMatch(text, /--top-k K\|K,… [^()]*\(default: 900\)/);
    assertMatch(text, /--scale K,… [^()]*\(default: 1 for VAR, 2 for FlexVAR, 3 for Infinity;/);
    assertMatch(text, /--maxpn N [^()]*; for FlexVAR \(default: 16\)/);
    assertMatch(text, /--published [^()]* FlexVAR: /);
  }
});

Deno.test("varscale: the version is that of the project", async () => {
  assertEquals((await succeed("--version")).out, `varscale ${config.version}\n`);
});

Deno.test("varscale: a wrong command line ends with code 2, its reason, and where the help is", async () => {
  const cases: readonly [string, string][] = [
    ["genrate", "Unknown command genrate; did you mean generate?"],
    ["help nothing", `Unknown command nothing; commands are ${COMMANDS.join(", ")} and help`],
    ["--verbose", "Unknown option --verbose"],
    ["generate --sample 5", "Unknown option --sample; did you mean --samples?"],
    ["generate --samples", "Option --samples needs a value: --samples N"],
    ["generate --samples 0", 'Option --samples must be an integer from 1 to 8192: current value is "0"'],
    ["generate --samples 5 --scaling_samples 5", "Options --samples and --scaling-samples are the same"],
    ["generate --seed -1", "Option --seed must be an integer from 0 to 2^64 - 1"],
    ["generate --top-p 1.1", "Option --top-p must be a number from 0 to 1"],
    ["generate --min-p 2", "Option --min-p must be a number from 0 to 1"],
    ["generate --strategy topk", "must be var-scaling, top-k, small-k or random-k"],
    ["generate --scale 1.5", "Option --scale must be numbers of scales from 0 on"],
    ["generate --compare --no-scaling", "Options --compare and --no-scaling exclude each other"],
    ["generate --var_ckpt a.pth", "Option --vae-ckpt is needed too"],
    [
      "generate --vae_ckpt a.pth --model demo",
      "Options --model and --var-ckpt, --vae-ckpt, --infinity-ckpt or --t5-ckpt exclude each other",
    ],
    [
      "generate --class-names a.json",
      "Option --class-names goes with --var-ckpt, --vae-ckpt, --infinity-ckpt or --t5-ckpt",
    ],
    ["generate --guidance linear", "Option --guidance must be ramp or constant"],
    ["generate --size 512x", 'Option --size must be a size in pixels, like "512", or width and height'],
    ["generate --patch-numbers 1;2", "Option --patch-numbers must be sides of token maps"],
    [
      "generate --patch_numbers 1,2 --infer_patch_nums 1_2",
      "Options --patch-numbers and --infer-patch-nums are the same, and both are given",
    ],
    ["generate --maxpn 0", 'Option --maxpn must be an integer of at least 1: current value is "0"'],
    ["generate --publish", "Unknown option --publish; did you mean --published?"],
    ["generate --batch 2 --batch_size 2", "Options --batch and --batch-size are the same"],
    ["generate --repeat none.json", "Cannot read none.json: no such file"],
    ["generate --repeat ROOT/deno.json", "it is not the run.json of a generation"],
    ["generate --batch 0", 'Option --batch must be an integer of at least 1: current value is "0"'],
    ["generate --memory 8XB", 'Option --memory must be an amount of memory, like "8GB" or "512MiB"'],
    ["edit --box 0,0,1,1", "The picture to edit is missing: IMAGE"],
    ["edit a.png", "Option --box or --mask is needed, or --expand, --refine or --keep-scales"],
    ["edit a.png --outpaint", "Option --outpaint goes with --box or --mask"],
    ["edit a.png --outpaint --keep-scales 0", "Option --outpaint goes with --box or --mask"],
    ["edit a.png --refine --box 0,0,1,1", "Options --refine and --box exclude each other"],
    ["edit a.png --refine --mask b.png", "Options --refine and --mask exclude each other"],
    ["edit a.png --refine --expand", "Options --refine and --expand exclude each other"],
    ["edit a.png --refine --keep-scales 1", "Options --refine and --keep-scales exclude each other"],
    ["edit a.png --expand --fit exact", "Options --expand and --fit exclude each other"],
    ["edit a.png --keep-scales 3-1", "Option --keep-scales must be numbers of scales"],
    ["edit a.png --oversampling 3 --refine", "Option --oversampling must be 1 or 2"],
    ["edit a.png --maxpn 16", "Option --box or --mask is needed"],
    ["edit a.png --box 0,0,1,1 --mask b.png", "Options --box and --mask exclude each other"],
    ["edit a.png b.png --box 0,0,1,1", 'Unexpected argument "b.png"'],
    ["edit none.png --box 0,0,1,1", "Cannot read none.png: no such file"],
    [
      "edit ROOT/deno.json --box 0,0,1,1",
      "deno.json: Cannot decode the picture as it is no PNG, JPEG or WebP",
    ],
    ["edit a.png --box 0,0,1", "Option --box must be top, left, bottom and right edge, each from 0 to 1"],
    ["edit a.png --box 0,0.5,1,0.5", 'bottom=0.8: current value is "0,0.5,1,0.5"'],
    ["edit a.png --box x=0,y=0,width=1", "or by name, like x=0.1,y=0.1,width=0.7,height=0.7"],
    ["edit a.png --box x=0,y=0,width=1,bottom=1", "Option --box must be top, left"],
    ["edit a.png --box x=0,x=0,y=0,width=1", "Option --box must be top, left"],
    ["edit a.png --box x=0.5,y=0,width=0.6,height=1", "each from 0 to 1"],
    ["edit a.png --box 0,0,1,right=1", "Option --box must be top, left"],
    ["edit a.png --box 0,0,1,1.5", "each from 0 to 1"],
    ["edit a.png --repeat run.json", "Unknown option --repeat"],
    ["reconstruct", "The pictures to reconstruct are missing: IMAGE …"],
    ["reconstruct none.png", "Cannot read none.png: no such file"],
    ["run", "Option --output is needed: the folder for the images"],
    ["run out", 'Unexpected argument "out"'],
    ["run -o none --shard 3/2", 'must be a part and the number of parts, from "1/N" to "N/N"'],
    ["run -o none --npz --shard 1/2", "Options --npz and --shard exclude each other"],
    ["run -o none --vae_ckpt a", "Option --var-ckpt or --infinity-ckpt is needed too"],
    ["run -o none --npz --output_dir none", "Options -o and --output-dir are the same"],
    ["run -o none --maxpn x", "Option --maxpn must be an integer of at least 1"],
    ["reconstruct a.png --size 0", "Option --size must be a size in pixels"],
    ["npz", "DIR is needed"],
    ["npz a b", 'Unexpected argument "b"'],
    ["npz ROOT/cli --order random", "Option --order must be shuffled or name"],
    ["convert --vae-ckpt a --output b", "Option --var-ckpt or --infinity-ckpt is needed"],
    [
      "convert --var-ckpt a --vae-ckpt a --output ROOT/tests",
      "/tests: it exists; choose another --output, or --overwrite",
    ],
    ["convert a", 'Unexpected argument "a"'],
    ["generate --model constructor --device cpu --quiet -o none", "constructor"],
    ["convert -o none", "Option --var-ckpt is needed, or --model"],
    ["inspect", "PLACE is needed"],
    ["inspect demo demo", 'Unexpected argument "demo"'],
    ["doctor demo", 'Unexpected argument "demo"'],
  ];
  for (const [line, message] of cases) {
    const { code, out, err } = await run(line.replace("ROOT", ROOT).split(" "));
    assertEquals([code, out], [2, ""], line);
    assertStringIncludes(err, message);
    const [first, second] = err.split("\n") as [string, string];
    assert(first.startsWith("varscale: "));
    const command = line.split(" ")[0]!;
    assertEquals(second, `Try: varscale ${COMMANDS.includes(command) ? `${command} ` : ""}--help`);
    assert(!err.includes("    at "), "No stack");
  }
});

testInFolder("varscale: what steers a terminal is shown escaped, wherever it comes from", async (folder) => {
  const evil = "a\x1b[2J\nvarscale: \x9b\u202eb\u2028\x07\r";
  const shown = "a\\u001b[2J\\nvarscale: \\u009b\\u202eb\\u2028\\u0007\\u000d";
  const model = `${folder}/model`;
  const args = ["--model", model, "--device", "cpu", "--threads", "1", "--output", `${folder}/${evil}`];
  await succeed("convert", "--model", "demo", "--name", evil, "--output", model);
  const manifest = JSON.parse(await Deno.readTextFile(`${model}/model.json`));
  manifest.classNames[0] = evil;
  await Deno.writeTextFile(`${model}/model.json`, JSON.stringify(manifest));

  const outcomes = [
    await run(["convert", "--model", model, "--output", `${folder}/again`]),
    await run(["inspect", model]),
    await run(["inspect", model, "--classes"]),
    await run(["inspect", model, "--json"]),
    await run(["inspect", evil]),
    await run(["generate", evil.replace("a", "b"), ...args]),
    await run(["generate", evil, ...args]),
    await run(["generate", `--${evil}`]),
    await run([evil]),
    await run(["reconstruct", evil]),
    await run(["generate", evil, ...args], { terminal: true }),
  ];
  for (const { out, err } of outcomes) {
    // Only our own line is drawn again.
    const text = (out + err).replaceAll("\r\x1b[2K", "");
    assertMatch(text, /\\u001b\[2J/);
    // deno-lint-ignore no-control-regex
    assert(!/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]/.test(text), text);
    assert(text.split("\n").every((line) => !line.startsWith("varscale: \\u009b")), text);
  }
  const [, , , json] = outcomes.map(({ out }) => out);
  assertEquals(JSON.parse(json!).manifest.name, evil);
  assertStringIncludes(outcomes[1]!.out.replaceAll(/ +/g, " "), `model ${shown}\n`);
});

testInFolder("varscale: a failure ends with code 1 and no stack, unless one is asked for", async (folder) => {
  const args = [
    "generate",
    "--device",
    "cpu",
    "--model",
    folder,
    "--output",
    `${folder}/out`,
    "-q",
  ];
  const { code, out, err } = await run(args);
  assertEquals([code, out], [1, ""]);
  assertEquals(
    err,
    `varscale: Cannot read a file of the model folder: ${folder}/model.json (found no such file)\n`,
  );
  assertMatch((await run([...args, "--debug"])).err, /ModelFileError[^]*\n +at /);
  assertEquals(filesIn(folder), []);
});

testInFolder(
  "varscale: what is named and not there, or cannot be, is a wrong command line",
  async (folder) => {
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "");
    const none = `${folder}/none`;
    const path = "a part of its path is a file and no folder";
    const noFolder = `Cannot write to ${file}: it is a file and no folder; choose another --output`;
    const below = `Cannot write to ${file}/out: ${file} is a file and no folder; choose another --output`;
    const missing = `Cannot read a file of the model folder: ${none}/model.json (found no such file)`;
    const device = ["--device", "cpu", "--threads", "1", "-q"];
    const cases: readonly [string[], string][] = [
      [["inspect", none], `Cannot inspect ${none}: no such file or folder`],
      [["inspect", `${file}/x`], `Cannot inspect ${file}/x: ${path}`],
      [["npz", none], `Cannot pack ${none}: no such folder`],
      [["npz", file], `Cannot pack ${file}: ${path}`],
      [["npz", folder, "-o", `${file}/out/a.npz`], below],
      [["reconstruct", folder], `Cannot read ${folder}: it is a folder`],
      [["generate", "--repeat", folder], `Cannot read ${folder}: it is a folder`],
      [["generate", "-o", file, ...device], noFolder],
      [["generate", "-o", `${file}/out`, ...device], below],
      [["run", "-o", file, ...device], noFolder],
      [["run", "-o", `${file}/out`, ...device], below],
      [["convert", "--model", "demo", "-o", `${file}/out/model`], below],
      [["generate", "--model", none, "-o", `${folder}/out`, ...device], missing],
      [["convert", "--model", none, "-o", `${folder}/out`], missing],
      [
        ["generate", "--var-ckpt", none, "--vae-ckpt", none, "-o", `${folder}/out`, ...device],
        `Cannot open the model file: ${none} (found no such file)`,
      ],
    ];
    for (const [args, message] of cases) {
      const { code, out, err } = await run(args);
      assertEquals([code, out, err], [
        2,
        "",
        `varscale: ${message}\nTry: varscale ${args[0]} --help\n`,
      ]);
    }
    assertEquals(filesIn(folder), ["file"]);
  },
);

testInFolder("varscale: what model.json tells is refused before the weights are read", async (folder) => {
  // Weights of any model would be missed here.
  const bare = `${folder}/bare`;
  await Deno.mkdir(bare);
  await Deno.copyFile(`${ROOT}models/demo/model.json`, `${bare}/model.json`);
  const picture = `${folder}/picture.png`;
  await Deno.writeFile(picture, new RgbaImage(64, 64).png());
  await succeed("run", "-o", `${folder}/begun`, "--classes", "3,4", "-n", "1", "--device", "cpu", "-q");
  const labels = 'Cannot find the class "red tours" in the model "demo"';
  const cases: readonly [string[], string][] = [
    [["generate", "red tours"], labels],
    [["generate", "64"], "a label must be a class from 0 to 63: current value is 64"],
    [["generate", "red torus", "--size", "128"], "64"],
    [["edit", picture, "--box", "0,0,1,0.5", "--label", "red tours"], labels],
    [["reconstruct", picture, "--patch-numbers", "1,2"], "knows no others"],
    [["run", "--classes", "red tours"], labels],
    [["run", "--size", "128"], "64"],
    [["run", "-n", "1000000"], "Option --num-images-per-class must be at most 262144 for 64 classes"],
  ];
  for (const [i, [args, message]] of cases.entries()) {
    const given = ["--model", bare, "-o", `${folder}/out${i}`, "--device", "cpu", "-q"];
    const { code, err } = await run([...args, ...given]);
    assertEquals(code, 2, err);
    assertStringIncludes(err, message);
  }
  const begun = ["run", "-o", `${folder}/begun`, "--model", bare, "--device", "cpu", "-q", "-n", "1"];
  const { code, err } = await run([...begun, "--classes", "3"]);
  assertEquals(code, 2, err);
  assertStringIncludes(err, `Cannot go on in ${folder}/begun: classes`);
  const right = await run([
    "generate",
    "red torus",
    "--model",
    bare,
    "-o",
    `${folder}/out`,
    "--device",
    "cpu",
  ]);
  assertStringIncludes(right.err, "no such file");
});

/** Starts the program as people do. */
function start(folder: string, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", "--allow-write", `${ROOT}cli/main.ts`, ...args],
    cwd: folder,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

testInFolder(
  "varscale: as a process, it needs no permission but reading and writing, and prints JSON alone",
  async (folder) => {
    const args = [
      "generate",
      "red torus",
      "--device",
      "cpu",
      "--threads",
      "1",
      "--json",
      "--output",
      "pictures",
    ];
    const { code, stdout, stderr } = await start(folder, args).output();
    const err = new TextDecoder().decode(stderr);
    assertEquals(code, 0, err);
    const report = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals(report.images.map(({ file }: { file: string }) => file), ["pictures/000_red-torus.png"]);
    assertEquals(filesIn(`${folder}/pictures`), ["000_red-torus.png", "run.json"]);
    assert(!err.includes("\x1b"), "No drawing where there is no terminal");
  },
);

Deno.test("varscale: drivers have nothing to complain of where there is no desktop", async () => {
  const { XDG_RUNTIME_DIR: _desktop, ...env } = Deno.env.toObject();
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "-R",
      "--allow-env=XDG_RUNTIME_DIR",
      `${ROOT}cli/main.ts`,
      "doctor",
      "--quick",
    ],
    env,
    clearEnv: true,
  }).output();
  assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
});

testInFolder("varscale: Ctrl-C and SIGTERM end it while a model loads, with one line", async (folder) => {
  for (
    const [signal, code, line] of [["SIGINT", 130, "interrupted"], ["SIGTERM", 143, "terminated"]] as const
  ) {
    await using child = start(folder, ["generate", "all", "--device", "cpu", "--cpu-provider", "wasm"]);
    let err = "";
    let sent = 0;
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      err += text;
      if (sent > 0 || !err.includes("loading demo")) continue;
      sent = performance.now();
      child.kill(signal);
    }
    assertEquals((await child.status).code, code);
    // One second is what is promised; a machine that does other things beside may take several.
    assert(performance.now() - sent < 5000);
    assertEquals(err, `varscale: loading demo\nvarscale: ${line}\n`);
    await child.stdout.cancel();
  }
  assertEquals(filesIn(folder), []);
});

testInFolder("Interruption: a command that does not end in time is left", async (folder) => {
  if (Deno.build.os === "windows") return;
  // Opening a pipe from which nobody reads waits, and asks no signal.
  const pipe = `${folder}/.lock`;
  await new Deno.Command("mkfifo", { args: [pipe] }).output();
  const controller = new AbortController();
  const ended = run(["generate", "1", "--device", "cpu", "-o", folder], { signal: controller.signal });
  setTimeout(() => controller.abort(new Interruption("SIGTERM")), 100);
  assertEquals(await ended, { code: 143, out: "", err: "varscale: terminated\n" });
  // Lets go of the thread that waits.
  await Deno.readFile(pipe);
});

testInFolder("varscale: Ctrl-C ends it with code 130 and leaves only whole files", async (folder) => {
  const args = [
    "generate",
    "red torus",
    "--count",
    "500",
    "--batch",
    "1",
    "--device",
    "cpu",
    "--output",
    "pictures",
  ];
  await using child = start(folder, args);
  let err = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    const waiting = !err.includes(" of 500 images");
    err += text;
    if (waiting && err.includes(" of 500 images")) child.kill("SIGINT");
  }
  assertEquals((await child.status).code, 130, err);
  assertEquals(await new Response(child.stdout).text(), "");
  assertMatch(err, /\d+ of 500 images are in pictures\nvarscale: interrupted\n$/);
  const files = filesIn(`${folder}/pictures`);
  assert(files.length > 0 && files.length < 500);
  for (const file of files) {
    assertMatch(file, /^\d{3}_red-torus\.png$/);
    const png = await Deno.readFile(`${folder}/pictures/${file}`);
    assertEquals(new TextDecoder("latin1").decode(png.slice(-8, -4)), "IEND");
  }
});
