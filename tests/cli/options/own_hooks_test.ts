/**
 * Hooks of a reader's own on the command line, with the bundled model on the CPU.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { hookFileName, hookPlaces, openHooks } from "../../../cli/options/own_hooks.ts";
import { UsageError } from "../../../cli/io.ts";
import { DeviceLostError, generate, loadModel, type ScaleHook, type ScaleStep } from "../../../mod.ts";
import { run, succeed, testInFolder } from "../run.ts";

/** Makes its draws at another temperature. */
const COLD = `
export default ({ temperature = 1, ...others }) => {
  for (const name in others) throw new TypeError("there is no option " + name);
  return {
    name: "cold",
    scales: [1, 2],
    settings: { temperature },
    choose: (step) => step.choose(step.draw(1, { temperature })),
  };
};
`;

Deno.test("hookPlaces: a path, and options behind it", () => {
  const parse = (text: string) => hookPlaces.parse(text)[0]!;
  assertEquals(parse("./mine.ts"), { path: "./mine.ts", options: {} });
  assertEquals(parse("a b/mine.ts?strength=2&name=sea&scales=[1,-1]&on=true"), {
    path: "a b/mine.ts",
    options: { strength: 2, name: "sea", scales: [1, -1], on: true },
  });
  assertEquals(hookFileName(parse("../x.y/mine.hook.ts?a=1")), "mine.hook");
});

testInFolder("openHooks: takes what a module exports, and says what it does not", async (folder) => {
  const open = async (content: string | undefined, options: Record<string, unknown> = {}) => {
    const path = `${folder}/${crypto.randomUUID()}.ts`;
    if (content !== undefined) await Deno.writeTextFile(path, content);
    return (await openHooks([{ path, options }]))[0]!;
  };
  const { hook, record } = await open("export const hook: object = { name: 'mine', lanes: 2, gather() {} };");
  assertEquals([hook.name, hook.lanes, Object.keys(hook).sort()], ["mine", 2, ["gather", "lanes", "name"]]);
  assertMatch(record.sha256, /^[0-9a-f]{64}$/);
  const made = await open("export default async (o) => ({ name: 'made', settings: o });", { strength: 2 });
  assertEquals([made.hook.settings, made.record.options], [{ strength: 2 }, { strength: 2 }]);

  const refuse = async (content: string | undefined, message: string, options = {}) => {
    await assertRejects(() => open(content, options), UsageError, message);
  };
  await refuse(undefined, "it must be a module that is there: no such file");
  await refuse("export const a = 1, b = 2;", 'by the name "hook": it exports a, b');
  await refuse("", "it exports nothing");
  await refuse("export default (", "it cannot be loaded: ");
  await refuse("throw new Error('not today');", "it cannot be loaded: not today");
  await refuse("export default 7;", "must be a hook, an object with a name");
  await refuse("export default { name: 'mine' };", "it takes no options", { strength: 2 });
  await refuse(COLD, "there is no option strength", { strength: 2 });
});

testInFolder("openHooks: a hook that fails is named, and what is not its doing is not", async (folder) => {
  const path = `${folder}/mine.ts`;
  await Deno.writeTextFile(
    path,
    `export const hook = {
      name: "mine",
      error: undefined,
      guide() { throw this.error ?? new RangeError("too much"); },
      choose(step) { throw step.given; },
      plan() { throw "no plan"; },
    };`,
  );
  const [{ hook }] = await openHooks([{ path, options: {} }]) as unknown as readonly [{ hook: ScaleHook }];
  const step = (given?: unknown, signal?: AbortSignal) => {
    return { scale: 3, given, request: { signal } } as unknown as ScaleStep;
  };
  await assertRejects(
    () => hook.guide!(step()) as Promise<void>,
    RangeError,
    `The hook "mine" of ${path} failed in guide on scale 3: too much`,
  );
  const planned = await assertRejects(async () => void await hook.plan!({} as never, {} as never), Error);
  assertStringIncludes(planned.message, "failed in plan: no plan");
  const lost = new DeviceLostError("destroyed", "gone");
  assertEquals(await assertRejects(() => hook.choose!(step(lost)) as Promise<void>), lost);
  const enough = new Error("enough");
  const signal = AbortSignal.abort(enough);
  assertEquals(await assertRejects(() => hook.choose!(step(enough, signal)) as Promise<void>), enough);
});

testInFolder("varscale generate --hook: is the library's hook, recorded and repeated", async (folder) => {
  const path = `${folder}/cold.ts`;
  await Deno.writeTextFile(path, COLD);
  const common = ["--device", "cpu", "-q"];
  const out = `${folder}/out`;
  await succeed("generate", "red torus", ...common, "--hook", `${path}?temperature=0`, "-o", out);
  const record = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
  const [{ name, hooks: [hook] }] = record.variants;
  assertEquals([name, hook.name, hook.settings], ["cold", "cold", { temperature: 0 }]);
  assertEquals([hook.module.path, hook.module.options], [path, { temperature: 0 }]);
  await using model = await loadModel("demo", { device: "cpu" });
  const own: ScaleHook = {
    name: "own",
    scales: [1, 2],
    choose: (step) => step.choose(step.draw(1, { temperature: 0 })),
  };
  const { images: [image] } = await generate(model, { labels: "red torus", hooks: [own] });
  assertEquals(record.images[0].tokens, image!.tokens.map((map) => [...map]));

  const repeat = ["generate", "--repeat", `${out}/run.json`, "--device", "cpu", "--json"];
  await Deno.writeTextFile(path, `${COLD}// changed since\n`);
  const { out: json, err } = await succeed(...repeat, "-o", `${folder}/again`);
  assertEquals(JSON.parse(json).repeat, { images: 1, sameTokens: 1, sameFiles: 1 });
  assertStringIncludes(err, `warning: the file of the hook ${path} is not that of the recorded run`);
  await Deno.remove(path);
  const refused = await run([...repeat, "-o", `${folder}/never`]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, "it must be a module that is there: no such file");
});

testInFolder("varscale run --hook: goes on with the same file only", async (folder) => {
  const path = `${folder}/cold.ts`;
  await Deno.writeTextFile(path, COLD);
  const out = `${folder}/out`;
  const command = ["run", "--classes", "3", "-n", "1", "--hook", `${path}?temperature=0`, "-o", out];
  await succeed(...command, "--device", "cpu", "-q");
  const { settings } = JSON.parse(await Deno.readTextFile(`${out}/run.json`));
  // Nothing else acts beside it.
  assertEquals(settings.scaling, null);
  assertEquals(
    settings.hooks.map(({ name, options }: { name: string; options: object }) => [name, options]),
    [
      ["cold", { temperature: 0 }],
    ],
  );
  await succeed(...command, "--device", "cpu", "-q");
  await Deno.writeTextFile(path, `${COLD}// changed since\n`);
  const refused = await run([...command, "--device", "cpu", "-q"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.err, `Cannot go on in ${out}: hooks is `);
});

Deno.test("varscale --hook: what it does not go with is refused before anything is loaded", async () => {
  const refuse = async (args: readonly string[], message: string) => {
    const { code, err } = await run(["generate", "red torus", ...args]);
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  };
  await refuse(["--hook", "https://example.org/mine.ts"], "must be a module on this machine");
  await refuse(["--hook", "./mine.ts?a=1&a=2"], "must have each option once");
  await refuse(["--hook", "./mine.ts", "--hook", "./nothing.ts"], "Option --hook ./mine.ts: it must be");
  await refuse(
    ["--method", "tts-var", "--budget", "4x", "--hook", "./mine.ts"],
    "Options --budget and --hook exclude each other",
  );
  assert(!(await run(["generate", "--help"])).out.includes("undefined"));
});
