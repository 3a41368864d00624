/**
 * The examples as people run them: each by the command that its first comment states, with no other
 * permissions, in a process of its own whose home is empty; and what it leaves behind.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RgbaImage } from "../sampler/pictures/image.ts";
import { filesIn, fixture, ROOT } from "./cli/run.ts";

/** Where packages are kept, which an empty home does not tell. */
const { denoDir } = JSON.parse(await output(["info", "--json"], {})) as { denoDir: string };

async function output(args: readonly string[], env: Record<string, string>): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdout: "piped",
    stderr: "piped",
  });
  const { code, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  assertEquals(code, 0, text.decode(stderr));
  return text.decode(stdout);
}

/** The permissions that an example asks for in the command of its first comment. */
async function permissionsOf(name: string): Promise<string[]> {
  const source = await Deno.readTextFile(`${ROOT}examples/${name}.ts`);
  const [, permissions] = source.match(
    new RegExp(`^ \\* {5}deno run((?: -\\w+)*) examples/${name}.ts`, "m"),
  )!;
  return permissions!.split(" ").filter((permission) => permission !== "");
}

/** Runs an example with a folder to write to; resolves to the lines that it prints. */
async function runExample(name: string, home: string, ...args: string[]): Promise<string[]> {
  const command = ["run", "--no-prompt", ...await permissionsOf(name), `examples/${name}.ts`, ...args];
  return (await output(command, { HOME: home, DENO_DIR: denoDir })).trim().split("\n");
}

/** Registers a test of an example, which gets an empty home and a folder in it to write to. */
function example(name: string, test: (home: string, folder: string) => Promise<void>): void {
  Deno.test(`${name}: does what it says, by the command it states`, async () => {
    const home = await Deno.makeTempDir({ prefix: "varscale-example-" });
    try {
      await test(home, `${home}/out`);
    } finally {
      await Deno.remove(home, { recursive: true });
    }
  });
}

async function sizeOf(path: string): Promise<[width: number, height: number]> {
  const { width, height } = RgbaImage.decode(await Deno.readFile(path));
  return [width, height];
}

example("first_picture", async (home, folder) => {
  const lines = await runExample("first_picture", home, folder);
  assertEquals(lines.filter((line) => line.includes("of 50")).length, 4);
  assertEquals(lines.at(-1), `${folder}/sheet.png`);
  assertEquals(await sizeOf(`${folder}/red torus, plain.png`), [64, 64]);
  assertEquals(filesIn(folder).length, 9);
});

example("demo", async (home, folder) => {
  const lines = await runExample("demo", home, folder);
  assertEquals(lines.length, 5);
  for (const place of ["demo", "demo-t2i"]) {
    const lasted = lines.filter((line) => line.startsWith(`${place}, `));
    assertEquals(lasted.length, 2);
    for (const line of lasted) assertMatch(line, /^[\w-]+, (plain|VAR-Scaling): \d+ ms on /);
    assertEquals(await sizeOf(`${folder}/${place}-7-scaled.png`), [64, 64]);
  }
  assertEquals(filesIn(folder).length, 2 * 2 * 8 + 1);
  assertEquals(lines.at(-1), `${folder}/grid.png`);
});

example("own_hook", async (home, folder) => {
  const lines = await runExample("own_hook", home, folder);
  const attempts = lines.filter((line) =>
    /^\w+ \w+: attempt [0-3], whose preview scored \d+\.\d$/.test(line)
  );
  assertEquals(attempts.length, 4, lines.join("\n"));
  // Of four attempts at four pictures, the first one is not always the best.
  assert(attempts.some((line) => !line.includes("attempt 0")));
  assert((await sizeOf(`${folder}/sheet.png`))[0] > 4 * 192);
});

example("kernels_alone", async (home) => {
  assertEquals(await permissionsOf("kernels_alone"), []);
  const lines = await runExample("kernels_alone", home);
  assertEquals(lines.slice(0, 2), ["strays: 500, 1500", "distances: 0.361, 0.728, 1.649, 0.721"]);
  assertEquals(lines[3], "the same in one call: 3, 0");
  // Top-p of 0.9 leaves two of the four tokens, with odds of e to 1.
  const draws = lines[4]!.match(/\d+/g)!.map(Number);
  assertEquals([draws[0]! + draws[1]!, draws[2], draws[3]], [100, 0, 0]);
  assert(draws[0]! > draws[1]!);
});

example("checkpoints_and_types", async (home, folder) => {
  const lines = await runExample("checkpoints_and_types", home, folder);
  const sizes = lines.slice(0, 4).map((line) => Number(line.match(/([\d.]+) MB/)![1]));
  assertEquals(sizes, sizes.toSorted((a, b) => b - a));
  assertEquals(filesIn(folder), ["f16", "f32", "q4", "q8", "sheet.png"]);
  const checkpoints = ["var.pth", "vae.pth"].map((file) => fixture(`golden/var-adaln/${file}`));
  const other = `${folder}/published`;
  await runExample("checkpoints_and_types", home, other, ...checkpoints);
  const { family, dtype, config } = JSON.parse(await Deno.readTextFile(`${other}/q8/model.json`));
  assertEquals([family, dtype, config.classes], ["var", "q8", 10]);
  assertEquals(filesIn(other), ["f16", "f32", "q4", "q8", "sheet.png"]);
});

example("editing", async (home, folder) => {
  const lines = await runExample("editing", home, folder);
  assertMatch(lines[0]!, /^reconstructed with \d\d\.\d dB$/);
  assertEquals(filesIn(folder), ["edited.png", "reconstructed.png"]);
  // A picture of one's own, larger than the model paints, is fitted.
  const [picture, other] = [`${home}/own.png`, `${home}/other`];
  await Deno.writeFile(picture, new RgbaImage(80, 100).png());
  await runExample("editing", home, other, picture);
  assertEquals(filesIn(other), ["edited.png", "reconstructed.png"]);
});

example("many_images", async (home, folder) => {
  await runExample("many_images", home, folder, "3");
  const files = filesIn(folder);
  assertEquals(files.length, 12);
  const whole = await Promise.all(files.map((file) => Deno.readFile(`${folder}/${file}`)));
  // Stopped in the middle, and half a picture left behind.
  for (const file of files.slice(5)) await Deno.remove(`${folder}/${file}`);
  await Deno.writeFile(`${folder}/${files[5]}.part`, whole[5]!.subarray(0, 100));
  const lines = await runExample("many_images", home, folder, "3");
  assertEquals(lines[0], "7 of 12 to make");
  assertEquals(filesIn(folder), files);
  const again = await Promise.all(files.map((file) => Deno.readFile(`${folder}/${file}`)));
  assertEquals(again, whole);
});

example("evaluate_method", async (home) => {
  assertEquals(await permissionsOf("evaluate_method"), ["-R"]);
  const lines = await runExample("evaluate_method", home);
  const values = lines.slice(0, 6).map((line) => {
    const [, value, low, high] = line.match(/ (-?[\d.]+) +\((-?[\d.]+) to (-?[\d.]+)\)$/)!.map(Number);
    assert(low! <= value! && value! <= high!, line);
    return value!;
  });
  assert(values[0]! > 0.9 && values[1]! > 0.9, `${values}`);
  // Numbers have two digits here.
  for (const at of [0, 3]) assert(Math.abs(values[at + 1]! - values[at]! - values[at + 2]!) < 0.02);
  assertMatch(lines[6]!, /p = [01]\.\d\d$/);
});

Deno.test("house: examples are those that are tested here and named in the README", async () => {
  const names = filesIn(`${ROOT}examples`);
  const tested = (await Deno.readTextFile(new URL(import.meta.url))).matchAll(/^example\("(\w+)"/gm);
  assertEquals(names, Array.from(tested, ([, name]) => `${name}.ts`).sort());
  const readme = await Deno.readTextFile(`${ROOT}README.md`);
  assertEquals(names.filter((name) => !readme.includes(`(examples/${name})`)), []);
});
