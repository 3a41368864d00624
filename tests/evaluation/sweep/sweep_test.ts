import { assert, assertEquals, assertRejects } from "@std/assert";
import { parsePlan, runSweep, type SweepOptions, type SweepResults } from "../../../evaluation/mod.ts";
import { readRecords } from "../../../evaluation/sweep/records.ts";
import { costOf, loadModel } from "../../../mod.ts";
import { bestOfN } from "../../../sampler/mod.ts";
import "../../native.ts";

const PLAN = parsePlan({
  title: "three classes",
  models: [{ name: "demo", place: "demo" }],
  subjects: { labels: [3, "red torus", 63] },
  seeds: [1, 2],
  methods: [
    { method: "plain" },
    { method: "var-scaling", vary: { samples: [20] } },
    { method: "best-of-n", vary: { samples: [2] }, limit: 2, seeds: [1] },
  ],
  examples: 2,
});

/** One thread, as pictures are few and other tests run beside. */
const ALONE = { cpuProvider: "wasm", threads: 1 } as const;

/** Results without what differs from run to run. */
function timeless({ made: _, rows, ...results }: SweepResults): unknown {
  return {
    ...results,
    rows: rows.map(({ cost, ...row }) => ({ ...row, cost: cost && { ...cost, seconds: 0 } })),
  };
}

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "varscale-sweep-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Registers a test; the graph runtime keeps its threads, so nothing is sanitized. */
function testSweep(name: string, fn: (folder: string) => Promise<void>): void {
  Deno.test({ name, sanitizeOps: false, sanitizeResources: false, fn: () => inFolder(fn) });
}

const run = (folder: string, options: Partial<SweepOptions> = {}): Promise<SweepResults> => {
  return runSweep(PLAN, { folder, ...ALONE, ...options });
};

let whole: Promise<unknown> | undefined;

/** What the plan comes to in one go. */
function expected(): Promise<unknown> {
  return whole ??= (async () => {
    let results: unknown;
    await inFolder(async (folder) => {
      results = timeless(await run(folder));
    });
    return results;
  })();
}

testSweep("runSweep: the same subjects and noise for all rows, at counted cost", async (folder) => {
  const estimates: number[] = [];
  const done: number[] = [];
  const results = await run(folder, {
    onEstimate: ({ pictures }) => estimates.push(pictures),
    onProgress: (progress) => done.push(progress.done),
  });
  assertEquals([estimates, done.at(-1)], [[14], 14]);
  const { complete, rows, metrics } = results;
  assertEquals([complete, rows.map(({ pictures }) => pictures)], [true, [6, 6, 2]]);
  assertEquals(metrics.map(({ key }) => key), ["accuracy", "log-probability", "reward"]);
  const { pictures } = await readRecords(folder);
  const rewards = (row: string): number[][] =>
    [...pictures.values()].filter((record) => record.row === row && record.seed === 1)
      .sort((a, b) => a.subject - b.subject).map((record) => record.pictures.map(({ reward }) => reward!));
  const [plain, best] = [rewards("demo.plain"), rewards("demo.best-of-n.samples-2")];
  // The first of two attempts is the plain picture, so the better one is at least as good. Subjects 0 and 1.
  assertEquals(best.length, 2);
  for (const [i, [reward]] of best.entries()) assert(reward! >= plain[i]![0]!);
  await using model = await loadModel("demo", { device: "cpu", cpuProvider: "wasm" });
  const { flops, ratio } = await costOf(model, { labels: 3, hooks: [bestOfN({ samples: 2 })] });
  assertEquals([rows[2]!.cost!.flops, rows[2]!.cost!.ratio], [flops, ratio]);
  // A mean of what stands in the records, of both seeds.
  const all = [...pictures.values()].filter(({ row }) => row === "demo.plain").flatMap(({ pictures }) =>
    pictures
  );
  const mean = all.reduce((sum, { logProbability }) => sum + logProbability!, 0) / all.length;
  assert(Math.abs(rows[0]!.metrics["log-probability"]!.value - mean) < 1e-12);
  const branches = rows[1]!.branches!;
  assertEquals(Object.values(branches).reduce((sum, share) => sum + share, 0), 1);
  for (const name of Object.keys(branches)) assert(["low density", "high density"].includes(name), name);
  assertEquals(rows[0]!.branches, undefined);
  assertEquals(rows[2]!.differences!.reward!.map(({ to }) => to), ["demo.plain"]);
  assertEquals(rows[0]!.examples, ["examples/demo.plain/0.png", "examples/demo.plain/1.png"]);
  for (const { examples } of rows) {
    for (const path of examples) assert((await Deno.stat(`${folder}/${path}`)).size > 0);
  }
  assertEquals(
    JSON.parse(await Deno.readTextFile(`${folder}/results.json`)),
    JSON.parse(JSON.stringify(results)),
  );
  assertEquals((await Deno.readTextFile(`${folder}/results.csv`)).trimEnd().split("\r\n").length, 4);
});

testSweep(
  "runSweep: goes on after an interruption, and over half a line, with the same results",
  async (folder) => {
    const controller = new AbortController();
    let turns = 0;
    await assertRejects(
      () =>
        run(folder, {
          signal: controller.signal,
          onProgress: () => {
            if (++turns === 2) controller.abort(new Error("enough"));
          },
        }),
      Error,
      "enough",
    );
    const part = await run(folder, { paint: false });
    assertEquals([part.complete, part.rows.some(({ pictures }) => pictures > 0)], [false, true]);
    const file = `${folder}/records-1-of-1.jsonl`;
    const lines = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, lines.slice(0, -60));
    let painted = 0;
    const results = await run(folder, { onEstimate: ({ pictures }) => painted = pictures });
    assertEquals(timeless(results), await expected());
    assert(painted < 14, "what was there is not painted again");
    assertEquals(
      timeless(await run(folder, { onEstimate: ({ pictures }) => painted = pictures })),
      await expected(),
    );
    assertEquals(painted, 0);
  },
);

testSweep("runSweep: parts come to the whole, whoever is last", async (folder) => {
  const first = await run(folder, { shard: { part: 2, parts: 2 } });
  assertEquals(first.complete, false);
  assertEquals(timeless(await run(folder, { shard: { part: 1, parts: 2 } })), await expected());
});

testSweep("runSweep: another plan, another provider and a second process are refused", async (folder) => {
  const few = { shard: { part: 6, parts: 6 } };
  await run(folder, few);
  const other = parsePlan({ ...PLAN, seeds: [1, 3], methods: PLAN.methods.slice(0, 2) });
  await assertRejects(
    () => runSweep(other, { folder, ...ALONE }),
    Error,
    "as it is that of another plan: seeds[1] was 2 and is 3; choose another folder",
  );
  // What says nothing of pictures may become another.
  const named = parsePlan({ ...PLAN, title: "another title", metrics: ["reward"] });
  assertEquals((await runSweep(named, { folder, paint: false })).title, "another title");
  const file = `${folder}/records-6-of-6.jsonl`;
  const lines = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, lines.replace('"provider":"wasm"', '"provider":"native"'));
  await assertRejects(
    () => run(folder, few),
    Error,
    'as the model "demo" has another provider than before: native was',
  );
  using held = await Deno.open(`${folder}/records-2-of-2.jsonl`, { write: true, create: true });
  assert(await held.tryLock(true));
  await assertRejects(
    () => run(folder, { shard: { part: 2, parts: 2 } }),
    Error,
    "another process is at part 2 of 2",
  );
});

testSweep("runSweep: rows without weights, and those that a model cannot have, say why", async (folder) => {
  const plan = parsePlan({
    title: "gaps",
    models: [{ name: "d30" }, { name: "demo", place: "demo" }],
    subjects: { labels: [3] },
    methods: [
      { method: "plain" },
      { method: "var-scaling", vary: { scale: [1, 9] } },
      { method: "beam", vary: { samples: [2] } },
    ],
    equal: "compute",
    published: [{ model: "d30", method: "plain", values: { fid: 2.25 } }],
  });
  const { complete, rows } = await runSweep(plan, { folder, ...ALONE });
  assertEquals(rows.map(({ missing }) => missing?.slice(0, 44)), [
    ...Array(4).fill("no weights of d30: say where they are with -"),
    undefined,
    undefined,
    'Cannot generate as a scale of the hook "var-',
    "the least that it needs is 3.29 plain pictur",
  ]);
  assertEquals([complete, rows[0]!.published], [true, { fid: 2.25 }]);
  const placed = await runSweep(plan, { folder, ...ALONE, weights: { d30: "demo" } });
  assertEquals([placed.rows[0]!.missing, placed.rows[0]!.pictures], [undefined, 1]);
  // With weights it is the model that cannot have the row.
  assertEquals(
    placed.rows.slice(0, 4).map(({ missing }) => missing),
    rows.slice(4).map(({ missing }) => missing),
  );
});

testSweep("runSweep: examples of all rows are of one seed, and named by their subjects", async (folder) => {
  const plan = parsePlan({
    title: "seeds",
    models: [{ name: "demo", place: "demo" }],
    subjects: { labels: ["red torus", 3] },
    seeds: [1, 2],
    methods: [{ method: "plain" }, { method: "best-of-n", vary: { samples: [1] }, seeds: [2] }],
  });
  const { rows, models, intervals } = await runSweep(plan, { folder, ...ALONE });
  const [plain, alone] = await Promise.all(
    rows.map(({ examples }) => Deno.readFile(`${folder}/${examples[0]}`)),
  );
  // One attempt is the plain picture.
  assertEquals(plain, alone);
  const { 0: first, 1: second, ...others } = models[0]!.subjects!;
  assertEquals([first, typeof second, others], ["red torus", "string", {}]);
  assertEquals(intervals, { confidence: 0.95, resamples: 2000 });
});

testSweep(
  "runSweep: a folder in which nothing could be painted is there for another plan",
  async (folder) => {
    const wrong = parsePlan({ ...PLAN, subjects: { labels: [9999] } });
    await assertRejects(() => runSweep(wrong, { folder, ...ALONE }), RangeError, "from 0 to 63");
    const gone = [{ method: "best-of-n", vary: { verifier: [`${folder}/gone.onnx`] } }];
    const later = parsePlan({ ...PLAN, subjects: { labels: [9999] }, methods: gone });
    await assertRejects(
      () => runSweep(later, { folder, ...ALONE, shard: { part: 2, parts: 2 } }),
      RangeError,
    );
    // A model was opened and written down, whose verifier is not there.
    const unled = parsePlan({ ...PLAN, subjects: { labels: [9, 3] }, methods: gone });
    await assertRejects(() => runSweep(unled, { folder, ...ALONE }), Error, "gone.onnx");
    assert((await Deno.stat(`${folder}/records-1-of-1.jsonl`)).size > 0);
    const right = parsePlan({ ...PLAN, subjects: { labels: [3] }, methods: [{ method: "plain" }] });
    {
      using held = await Deno.open(`${folder}/records-1-of-1.jsonl`, { write: true });
      assert(await held.tryLock(true));
      const words = "it is that of another plan: subjects.labels[0] was 9 and is 3";
      await assertRejects(() => runSweep(right, { folder, ...ALONE }), Error, words);
    }
    await assertRejects(() => runSweep(right, { folder, ...ALONE, paint: false }), Error, "another plan");
    assertEquals((await runSweep(right, { folder, ...ALONE })).complete, true);
    await assertRejects(() => runSweep(wrong, { folder, ...ALONE }), Error, "another plan");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    const files = names.filter((name) => /tmp$|of-2/.test(name));
    assertEquals(files, []);
  },
);

testSweep("runSweep: of two plans that begin at once in a folder one is refused", async (folder) => {
  const plans = [1, 2].map((seed) => parsePlan({ ...PLAN, methods: [{ method: "plain" }], seeds: [seed] }));
  const none = (part: number) => ({ folder, ...ALONE, shard: { part, parts: 64 } });
  const ends = await Promise.allSettled(plans.map((plan, i) => runSweep(plan, none(60 + i))));
  assertEquals(ends.filter(({ status }) => status === "fulfilled").length <= 1, true);
  const plan = JSON.parse(await Deno.readTextFile(`${folder}/plan.json`));
  assert([1, 2].includes(plan.seeds[0]));
});

testSweep("runSweep: prompts that have changed in their file are refused", async (folder) => {
  const file = `${folder}/prompts.txt`;
  const plan = parsePlan({
    title: "prompts",
    models: [{ name: "t2i", place: "demo-t2i" }],
    subjects: { file },
    methods: [{ method: "plain" }],
  });
  await Deno.writeTextFile(file, "a red cube\n");
  const { models } = await runSweep(plan, { folder: `${folder}/out`, ...ALONE });
  assertEquals(models[0]!.subjects, { 0: "a red cube" });
  await Deno.writeTextFile(file, "a blue cube\n");
  await assertRejects(
    () => runSweep(plan, { folder: `${folder}/out`, ...ALONE }),
    Error,
    'the model "t2i" has other subjects than before: their file has changed',
  );
});

testSweep("runSweep: what is wrong with judges is said before anything is painted", async (folder) => {
  const refused = async (change: Record<string, unknown>, words: string): Promise<void> => {
    const plan = parsePlan({ ...PLAN, ...change });
    await assertRejects(() => runSweep(plan, { folder, ...ALONE }), Error, words);
    assertEquals((await readRecords(folder)).pictures.size, 0);
  };
  // Each in the folder of the one before, of which nothing is there.
  await refused({ reference: "nowhere.npz" }, "nowhere.npz");
  await refused({ network: "nobody" }, '"demo-oracle"');
  await refused({ detector: "demo-t2i-oracle" }, "is to judge captions and subjects are none");
  await refused({ subjects: { labels: ["mauve dodecahedron"] } }, "mauve dodecahedron");
  await refused({ subjects: { prompts: ["a cube"] } }, 'the model "demo" takes classes');
});
