import { assert, assertAlmostEquals, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  frechetDistance,
  loadMetricNetwork,
  openBundledReference,
  parsePlan,
  parseSweepResults,
  reportPage,
} from "../../../evaluation/mod.ts";
import { type PictureRecord, RecordsFile, type SweepRecord } from "../../../evaluation/sweep/records.ts";
import { summarize } from "../../../evaluation/sweep/summary.ts";

const WHOLE = { part: 1, parts: 1 };

async function withRecords(
  records: readonly SweepRecord[],
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    {
      using file = await RecordsFile.open(folder, WHOLE);
      for (const record of records) await file.append(record);
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A unit of pictures. */
function unit(row: string, subject: number, pictures: readonly PictureRecord[], seed = 0): SweepRecord {
  return { kind: "pictures", row, seed, subject, pictures, flops: 4, seconds: 0.5 };
}

Deno.test("summarize: GenEval's tags have the same weight, whatever the number of their captions", async () => {
  const groups = ["single_object", "single_object", "single_object", "counting"];
  const detector = "demo-t2i-oracle 0123456789ab, its colours";
  const plan = parsePlan({
    title: "four captions",
    models: [{ name: "t2i", place: "demo-t2i" }],
    subjects: { file: "demo-t2i" },
    seeds: [0, 1],
    methods: [{ method: "plain" }, { method: "best-of-n", vary: { samples: [2] }, seeds: [1] }],
  });
  const verdicts = [[1, 0], [1, 1], [1, 1], [0, 1]];
  const best = [1, 1, 1, 1];
  await withRecords([
    { kind: "model", name: "t2i", identity: { detector }, facts: { family: "infinity" }, groups },
    { kind: "row", id: "t2i.plain", planned: 8, plainFlops: 2 },
    { kind: "row", id: "t2i.best-of-n.samples-2", planned: 5, plainFlops: 2 },
    ...verdicts.flatMap((own, subject) =>
      own.map((right, seed) =>
        unit("t2i.plain", subject, [{ right: right === 1, reward: 10 * seed + subject }], seed)
      )
    ),
    ...best.map((right, subject) => {
      return unit("t2i.best-of-n.samples-2", subject, [{ right: right === 1, reward: 13 + subject }], 1);
    }),
  ], async (folder) => {
    const { rows: [plain, searched], metrics, complete, models } = await summarize(plan, {
      folder,
      made: {},
    });
    assertEquals(metrics.map(({ key }) => key), ["geneval", "single-object", "counting", "reward"]);
    // (5/6 + 1/2) / 2, and not 6 of 8.
    assertAlmostEquals(plain!.metrics.geneval!.value, (5 / 6 + 1 / 2) / 2, 1e-12);
    assertEquals([plain!.metrics["counting"]!.value, plain!.metrics["single-object"]!.value > 0.83], [
      0.5,
      true,
    ]);
    assertEquals([plain!.cost, plain!.pictures, plain!.planned], [
      { flops: 4, ratio: 2, seconds: 0.5 },
      8,
      8,
    ]);
    // Of the pictures of seed 1 alone, which both have: 1 - 0, 1 - 1, 1 - 1 and 1 - 1.
    const { geneval, reward } = searched!.differences!;
    assertEquals([geneval![0]!.to, geneval!.length], ["t2i.plain", 1]);
    assertAlmostEquals(geneval![0]!.value, 1 / 3 / 2, 1e-12);
    assertAlmostEquals(reward![0]!.value, 3, 1e-12);
    // Four values say nothing of their spread. The same difference for all is as likely as 2 of 2^4 signs.
    assertEquals([reward![0]!.low, reward![0]!.high], [undefined, undefined]);
    assert(reward![0]!.p > 0.1 && reward![0]!.p < 0.2, `${reward![0]!.p}`);
    assertEquals([complete, models], [false, [{ name: "t2i", facts: { family: "infinity" } }]]);
  });
});

Deno.test("summarize: strata of a few pictures are put together, as their spread would be told too small", async () => {
  const plan = parsePlan({
    title: "six classes",
    models: [{ name: "demo", place: "demo" }],
    subjects: { labels: "all", count: 6 },
    methods: [{ method: "plain" }, { method: "best-of-n", vary: { samples: [2] }, count: 1 }],
  });
  const right = (value: number): PictureRecord => ({ logProbability: -value });
  await withRecords([
    { kind: "model", name: "demo", identity: {}, facts: {}, groups: [..."abcdef"] },
    unit("demo.plain", 0, Array(6).fill(right(1))),
    unit("demo.plain", 1, Array(6).fill(right(3))),
    ...[0, 1, 2].map((subject) => unit("demo.best-of-n.samples-2", subject, [right(1)])),
    ...[3, 4, 5].map((subject) => unit("demo.best-of-n.samples-2", subject, [right(3)])),
  ], async (folder) => {
    const { rows: [many, few] } = await summarize(plan, { folder, made: {} });
    // Classes differ and pictures of a class do not: nothing is unsure where there are enough of each.
    assertEquals(many!.metrics["log-probability"], { value: -2, low: -2, high: -2 });
    const { value, low, high } = few!.metrics["log-probability"]!;
    assertEquals([value, low! < -2.5, high! > -1.5], [-2, true, true]);
  });
});

Deno.test("summarize: the distance of features that were kept, of rows with pictures enough", async () => {
  await using oracle = await loadMetricNetwork("demo-oracle");
  const network = { name: oracle.name, fingerprint: oracle.fingerprint };
  const plan = parsePlan({
    title: "features",
    models: [{ name: "demo", place: "demo" }],
    methods: [{ method: "plain" }, { method: "var-scaling" }],
  });
  const { statistics } = (await openBundledReference(network))!;
  const { dimensions } = statistics!.features!;
  const values = Float32Array.from({ length: 120 * dimensions }, (_, i) => Math.sin(i) ** 2);
  await withRecords(
    [{ kind: "model", name: "demo", identity: {}, facts: {}, groups: [], network }],
    async (folder) => {
      {
        using file = await RecordsFile.open(folder, WHOLE);
        const rows = { features: await file.store({ values, count: 120, dimensions }) };
        const pictures = Array<PictureRecord>(120).fill({});
        await file.append({ ...unit("demo.plain", 0, pictures), rows } as SweepRecord);
        await file.append({ ...unit("demo.var-scaling", 0, pictures.slice(0, 99)), rows } as SweepRecord);
      }
      const { rows: [plain, few], metrics } = await summarize(plan, { folder, made: {} });
      const distance = frechetDistance({ values, count: 120, dimensions }, statistics!.features!);
      assertAlmostEquals(plain!.metrics.fid!.value, distance, 1e-9 * distance);
      assertEquals(few!.metrics.fid, undefined);
      const column = metrics.find(({ key }) => key === "fid");
      assertEquals([column?.title, column?.network], ["Fréchet distance", "demo-oracle"]);
    },
  );
});

Deno.test("summarize: what is no finite number is left out with a note, and never null", async () => {
  await using oracle = await loadMetricNetwork("demo-oracle");
  const network = { name: oracle.name, fingerprint: oracle.fingerprint };
  const plan = parsePlan({
    title: "a verifier that fails",
    models: [{ name: "demo", place: "demo" }],
    methods: [{ method: "plain" }, { method: "best-of-n", vary: { samples: [2] } }],
  });
  const { statistics } = (await openBundledReference(network))!;
  const { dimensions } = statistics!.features!;
  const values = Float32Array.from({ length: 120 * dimensions }, (_, i) => i === 7 ? NaN : Math.sin(i));
  const best = "demo.best-of-n.samples-2";
  await withRecords([
    { kind: "model", name: "demo", identity: {}, facts: {}, groups: ["cube"], network },
    { kind: "row", id: "demo.plain", planned: 120, plainFlops: 2 },
    // What JSON makes of NaN.
    { kind: "row", id: best, planned: 2, plainFlops: null as unknown as number },
    unit(best, 0, [{ reward: NaN, logProbability: -1 }, { reward: 2, logProbability: -Infinity }]),
  ], async (folder) => {
    {
      using file = await RecordsFile.open(folder, WHOLE);
      const rows = { features: await file.store({ values, count: 120, dimensions }) };
      const pictures = Array<PictureRecord>(120).fill({ reward: 1 });
      await file.append({ ...unit("demo.plain", 0, pictures), rows } as SweepRecord);
    }
    const results = await summarize(plan, { folder, made: {} });
    const { rows: [plain, searched], metrics, intervals } = results;
    assertEquals(Object.keys(plain!.metrics), ["reward"]);
    assertEquals([searched!.metrics, searched!.differences, searched!.cost], [{}, undefined, undefined]);
    const notes = new Map(metrics.map(({ key, note }) => [key, note]));
    const words = "no finite number in Best-of-N, N = 2, and left out there";
    assertEquals([notes.get("reward"), notes.get("log-probability")], [words, words]);
    assertEquals(notes.get("fid")!.endsWith("; no finite number in plain, and left out there"), true);
    assertEquals(intervals, { confidence: 0.95, resamples: 2000 });
    assertEquals(parseSweepResults(JSON.stringify(results)).rows.length, 2);
  });
});

Deno.test("summarize: a row whose model was not opened yet is not missing, and nothing is complete", async () => {
  const plan = parsePlan({
    title: "two models",
    models: [{ name: "a", place: "demo" }, { name: "b", place: "demo" }],
    methods: [{ method: "plain" }],
  });
  await withRecords([
    { kind: "model", name: "a", identity: {}, facts: {}, groups: ["cube"] },
    { kind: "row", id: "a.plain", planned: 1, plainFlops: 2 },
    unit("a.plain", 0, [{ right: true }]),
  ], async (folder) => {
    const results = await summarize(plan, { folder, made: {} });
    assertEquals([results.complete, results.rows[1]!.missing, results.rows[1]!.planned], [
      false,
      undefined,
      0,
    ]);
    const page = await reportPage(results);
    assertStringIncludes(page, "This sweep is not finished");
    assertStringIncludes(page, "1 of 1 pictures are there, and 1 row of 2 lacks some");
    assertStringIncludes(page, "not known yet");
  });
});

Deno.test("summarize: captions of kinds of one's own are GenEval's where a detector judged, and classes never", async () => {
  const plan = parsePlan({
    title: "kinds",
    models: [{ name: "t2i", place: "demo-t2i" }, { name: "demo", place: "demo" }],
    methods: [{ method: "plain" }],
  });
  await withRecords([
    { kind: "model", name: "t2i", identity: { detector: "d 0123, no colours" }, facts: {}, groups: ["mine"] },
    { kind: "model", name: "demo", identity: {}, facts: {}, groups: ["position"] },
    unit("t2i.plain", 0, [{ right: true }]),
    unit("demo.plain", 0, [{ right: false }]),
  ], async (folder) => {
    const { rows, metrics } = await summarize(plan, { folder, made: {} });
    assertEquals(rows.map(({ metrics }) => Object.keys(metrics)), [["geneval"], ["accuracy"]]);
    assertEquals(metrics.map(({ key, network }) => [key, network]), [["accuracy", undefined], [
      "geneval",
      "d",
    ]]);
  });
});

Deno.test("summarize: p is that of the difference, in which kinds have the same weight", async () => {
  const groups = [...Array(12).fill("single_object"), "counting", "counting"];
  const plan = parsePlan({
    title: "kinds of different sizes",
    models: [{ name: "t2i", place: "demo-t2i" }],
    methods: [{ method: "plain" }, { method: "best-of-n" }],
  });
  await withRecords([
    { kind: "model", name: "t2i", identity: { detector: "d" }, facts: {}, groups },
    ...groups.map((_, subject) => unit("t2i.plain", subject, [{ right: subject % 2 === 0 }])),
    ...groups.map((_, subject) =>
      unit("t2i.best-of-n", subject, [{ right: subject >= 12 || subject === 2 }])
    ),
  ], async (folder) => {
    const { rows: [, best] } = await summarize(plan, { folder, made: {} });
    const { value, p } = best!.differences!.geneval![0]!;
    // 1/12 - 6/12 of the first kind, 2/2 - 1/2 of the second.
    assertAlmostEquals(value, (-5 / 12 + 1 / 2) / 2, 1e-12);
    // Five pairs of weight 1/24 and one of 1/4: no way to sign them comes to less.
    assertAlmostEquals(p, 1, 1e-12);
  });
});

Deno.test("summarize: whoever ends it is heard", async () => {
  const plan = parsePlan({ title: "a", models: [{ name: "demo" }], methods: [{ method: "plain" }] });
  await withRecords([], async (folder) => {
    const signal = AbortSignal.abort(new Error("enough"));
    await assertRejects(() => summarize(plan, { folder, made: {}, signal }), Error, "enough");
  });
});
