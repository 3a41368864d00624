import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { sweep } from "../../../cli/commands/sweep.ts";
import { filesIn, run, succeed, testInFolder } from "../run.ts";

/** What a command line that is refused says. */
async function refused(...args: string[]): Promise<string> {
  const { code, err, out } = await run(["sweep", ...args]);
  assertEquals([code, out], [2, ""], err);
  return err;
}

const QUICK = ["--cpu-provider", "wasm", "--threads", "1"];

testInFolder(
  "sweep: options make a plan, which goes on, and comes to results, a table and a page",
  async (folder) => {
    const output = `${folder}/look`;
    const args = [
      "--model",
      "demo",
      "--methods",
      "plain,var-scaling",
      "--samples",
      "10",
      "--labels",
      "3,red torus",
    ];
    const { out, err } = await succeed("sweep", ...args, "-o", output, ...QUICK);
    assertStringIncludes(err, "demo: 4 pictures to paint, about ");
    assertStringIncludes(out, "VAR-Scaling, N = 10         2");
    assertStringIncludes(out, `${output}/results.json`);
    assertEquals(filesIn(output), [
      "examples",
      "plan.json",
      "records-1-of-1.f32",
      "records-1-of-1.jsonl",
      "report.html",
      "results.csv",
      "results.json",
    ]);
    assertStringIncludes(await Deno.readTextFile(`${output}/report.html`), "data:image/png;base64,");
    const again = await succeed("sweep", ...args, "-o", output, ...QUICK, "--json", "--quiet", "--no-report");
    assertEquals([again.err, JSON.parse(again.out).complete], ["", true]);
    const other = await run(["sweep", ...args, "--seeds", "1", "-o", output, ...QUICK]);
    assertEquals([other.code, other.out], [1, ""]);
    assertStringIncludes(other.err, "it is that of another plan: seeds[0] was 0 and is 1");
  },
);

testInFolder(
  "sweep: a paper's plan without weights says so, row by row, and shows what is published",
  async (folder) => {
    const { out, err } = await succeed("sweep", "--preset", "table3e", "-o", `${folder}/table`);
    assertStringIncludes(
      err,
      "d30: 7 rows left open: no weights of d30: say where they are with --weights d30=PLACE",
    );
    assertStringIncludes(out, "distance = cosine");
    const { rows, metrics } = JSON.parse(await Deno.readTextFile(`${folder}/table/results.json`));
    assertEquals([rows[0].published, rows[0].pictures], [{ fid: 2.25, is: 274.7 }, 0]);
    assertEquals(metrics.map(({ key }: { key: string }) => key), ["fid", "is"]);
  },
);

testInFolder("sweep: a plan in a file, results alone, and an interruption", async (folder) => {
  const plan = `${folder}/plan.json`;
  const models = [{ name: "demo", place: "demo" }];
  await Deno.writeTextFile(plan, JSON.stringify({ title: "one", models, methods: [{ method: "plain" }] }));
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  const ended = await run(["sweep", plan, "-o", `${folder}/out`, ...QUICK], { signal: controller.signal });
  assert(ended.code !== 0);
  const { out } = await succeed("sweep", plan, "-o", `${folder}/out`, "--results-only");
  assertStringIncludes(out, "plain       0/?\n");
  assert(!out.includes("Brackets"));
  const unready = await run(["report", `${folder}/half`]);
  assertStringIncludes(unready.err, `Cannot read ${folder}/half`);
  await Deno.remove(`${folder}/out/results.json`);
  const early = await run(["report", `${folder}/out`]);
  assertEquals(early.code, 2);
  const how = `sweep ${folder}/out/plan.json --output ${folder}/out --results-only`;
  assertStringIncludes(early.err, how);
  await succeed(...how.split(" "));
  await succeed("report", `${folder}/out`);
  const none = await run(["sweep", plan, "-o", `${folder}/none`, "--results-only"]);
  assertEquals(none.code, 1);
  assertStringIncludes(none.err, "as no sweep is there");
});

Deno.test("sweep: command lines that cannot be", async () => {
  assert(sweep.help({ name: "sweep", summary: "" }).length > 0);
  assertStringIncludes(await refused("--model", "demo"), "Option --output is needed");
  assertStringIncludes(
    await refused("a.json", "--preset", "table2", "-o", "x"),
    "--preset and a file of a plan exclude each other",
  );
  assertStringIncludes(
    await refused("--preset", "table2", "--count", "1", "-o", "x"),
    "Option --count and --preset exclude each other",
  );
  assertStringIncludes(
    await refused("a.json", "--model", "demo", "-o", "x"),
    "Option --model and a file of a plan exclude each other",
  );
  assertStringIncludes(await refused("a.json", "-o", "x"), "Cannot read a.json");
  assertStringIncludes(
    await refused("--methods", "plain", "--alphas", "2", "-o", "x"),
    "Option --alphas is of none of the methods plain",
  );
  assertStringIncludes(
    await refused("--methods", "luck", "-o", "x"),
    'methods[0].method must be one of "plain"',
  );
  assertStringIncludes(
    await refused("--strategies", "best", "-o", "x"),
    "Cannot make the VAR-Scaling hook as strategy must be",
  );
  assertStringIncludes(await refused("--labels", "9-3", "-o", "x"), "the range 9-3 ends before it begins");
  assertStringIncludes(
    await refused("--preset", "table2", "--weights", "d16=x", "-o", "x"),
    'Option --weights names "d16", and the plan\'s models are d30',
  );
  assertStringIncludes(
    await refused("--preset", "table2", "--weights", "d30", "-o", "x"),
    "must be names with places",
  );
  assertStringIncludes(await refused("--preset", "tabel2", "-o", "x"), "table2");
  const idle = ["--shard 1/2", "--threads 1", "--device cpu", "--weights demo=x", "--cpu-provider wasm"];
  for (const [name, value] of idle.map((option) => option.split(" "))) {
    assertStringIncludes(
      await refused("--model", "demo", "-o", "x", "--results-only", name!, value!),
      `Option ${name} and --results-only exclude each other`,
    );
  }
});
