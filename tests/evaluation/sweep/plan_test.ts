import { assert, assertEquals, assertThrows } from "@std/assert";
import { parsePlan, planRows } from "../../../evaluation/sweep/plan.ts";

const PLAN = { title: "a plan", models: [{ name: "demo", place: "demo" }], methods: [{ method: "plain" }] };

Deno.test("parsePlan: what is left out", () => {
  const { seeds, equal, examples, models } = parsePlan(PLAN);
  assertEquals([seeds, equal, examples, models], [[0], "n", 4, PLAN.models]);
});

Deno.test("parsePlan: a model has its own of everything that a plan has for all", () => {
  const models = [{
    ...{ name: "t2i", place: "demo-t2i", subjects: { file: "demo-t2i" } },
    ...{ network: "clip", reference: "r.npz", detector: "demo-t2i-oracle", colors: "clip:FILE" },
  }];
  assertEquals(parsePlan({ ...PLAN, models }).models, models);
});

Deno.test("planRows: every combination within what belongs together, for the models that are named", () => {
  const rows = planRows(parsePlan({
    ...PLAN,
    models: [{ name: "a" }, { name: "b" }],
    subjects: { labels: "all", count: 50 },
    seeds: [1, 2],
    methods: [
      { method: "plain", vary: { cfg: [1, 1.5] } },
      {
        method: "var-scaling",
        models: ["b"],
        settings: [{ samples: 20, alpha: 2.3 }, { samples: 50, alpha: 2.4 }],
        vary: { scale: [0, 1], distance: ["cosine"] },
      },
      { method: "best-of-n", models: ["a"], vary: { samples: [100] }, limit: 8, count: 1, seeds: [2] },
    ],
  }));
  assertEquals(rows.map(({ id }) => id), [
    "a.plain.cfg-1",
    "a.plain.cfg-1.5",
    "a.best-of-n.samples-100",
    "b.plain.cfg-1",
    "b.plain.cfg-1.5",
    "b.var-scaling.alpha-2.3.distance-cosine.samples-20.scale-0",
    "b.var-scaling.alpha-2.3.distance-cosine.samples-20.scale-1",
    "b.var-scaling.alpha-2.4.distance-cosine.samples-50.scale-0",
    "b.var-scaling.alpha-2.4.distance-cosine.samples-50.scale-1",
  ]);
  const { seeds, count, limit, title } = rows[2]!;
  assertEquals([seeds, count, limit, title], [[2], 1, 8, "Best-of-N, N = 100"]);
  assertEquals([rows[0]!.seeds, rows[0]!.count, rows[0]!.limit], [[1, 2], 50, undefined]);
});

Deno.test("planRows: identifiers name files and stay apart where file names may not tell them", () => {
  const place = (verifier: string): string => {
    const methods = [{ method: "best-of-n", vary: { verifier: [verifier] } }];
    return planRows(parsePlan({ ...PLAN, methods }))[0]!.id;
  };
  const [first, second] = [place("clip:a/b"), place("clip_a/b")];
  assertEquals(/^demo\.best-of-n\.verifier-clip_a_b-[0-9a-f]{8}$/.test(first), true, first);
  assertEquals([first === second, first === place("clip:a/b")], [false, true]);
  const long = place("x".repeat(400));
  assertEquals([long.length < 140, long === place("x".repeat(401))], [true, false]);
});

Deno.test("parsePlan: says where, what is wanted and what is there", () => {
  const refused: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ title: 3 }, "Cannot read the plan as title must be a text: current value is 3"],
    [{ colour: 1 }, 'the plan has "colour", which is unknown: there are title, description'],
    [{ models: [] }, "models must be a list of at least one: current value is []"],
    [{ models: [{ name: "a" }, { name: "a" }] }, "names of models must be all different: current value is"],
    [
      { models: [{ name: "a", dtype: "f8" }] },
      'models[0].dtype must be one of "auto", "f32", "f16", "q8", "q4"',
    ],
    [
      { models: [{ name: "a", subjects: { labels: [1.5] } }] },
      "models[0].subjects.labels[0] must be the number",
    ],
    [
      { subjects: { labels: "all", file: "x" } },
      'subjects must be one of labels, prompts and file: current value is "labels and file"',
    ],
    [{ subjects: { count: 0 } }, "subjects.count must be an integer from 1 to 1000000: current value is 0"],
    [{ seeds: [1, 1] }, 'seeds must be all different: current value is "1 twice"'],
    [{ seeds: [-1] }, "seeds[0] must be an integer >= 0: current value is -1"],
    [{ equal: "time" }, 'equal must be one of "n", "compute": current value is "time"'],
    [{ metrics: ["fid", "vibes"] }, "metrics[1] must be one of "],
    [{ methods: [{ method: "luck" }] }, 'methods[0].method must be one of "plain", "adaptive-guidance"'],
    [{ methods: [{ method: "plain", models: ["d30"] }] }, 'methods[0].models[0] must be one of "demo"'],
    [
      { methods: [{ method: "plain", vary: { alpha: [1] } }] },
      'methods[0].vary.alpha is no setting of "plain": its settings are cfg',
    ],
    [
      { methods: [{ method: "var-scaling", vary: { alpha: 2 } }] },
      "methods[0].vary.alpha must be a list of values: current value is 2",
    ],
    [
      { methods: [{ method: "var-scaling", vary: { alpha: [2, 2] } }] },
      "methods[0].vary.alpha must be all different",
    ],
    [
      { methods: [{ method: "var-scaling", vary: { strategy: ["best"] } }] },
      "methods[0] has a row that cannot be, VAR-Scaling, strategy = best: Cannot make the VAR-Scaling hook as strategy must be one of",
    ],
    [
      { methods: [{ method: "var-scaling", vary: { samples: [0] } }] },
      "samples must be an integer from 1 to 8192: current value is 0",
    ],
    [
      { methods: [{ method: "beam", vary: { samples: [5] } }] },
      "samples must be a multiple of the width, 2: current value is 5",
    ],
    [
      { methods: [{ method: "best-of-n", vary: { verifier: [3] } }] },
      "verifier must be a text: current value is 3",
    ],
    [
      { methods: [{ method: "var-scaling", vary: { alpha: [1] }, settings: [{ alpha: 2 }] }] },
      "methods[0].settings[0].alpha must not be in methods[0].vary, too",
    ],
    [
      { methods: [{ method: "plain", seeds: [7] }] },
      "methods[0].seeds[0] must be one of the plan's, 0: current value is 7",
    ],
    [{ methods: [{ method: "plain", count: 2 }] }, "methods[0].count must be at most 1"],
    [
      { equal: "compute", methods: [{ method: "beam", vary: { width: [3], samples: [6] } }] },
      'methods[0].vary.width must be left out where equal is "compute"',
    ],
    [
      { equal: "compute", methods: [{ method: "beam" }] },
      "samples must be a number: current value is undefined",
    ],
    [
      { methods: [{ method: "plain" }, { method: "plain" }] },
      'rows must be all different: current value is "demo.plain twice"',
    ],
    [
      { published: [{ model: "demo", method: "plain", values: { fid: "2" } }] },
      'published[0].values.fid must be a number: current value is "2"',
    ],
    [
      { published: [{ model: "d30", method: "plain", values: { fid: 2 } }] },
      'published[0].model must be one of "demo": current value is "d30"',
    ],
    [
      { published: [{ model: "demo", method: "plain", values: { FID: 2 } }] },
      "a name in published[0].values must be one of ",
    ],
    [
      { published: [{ model: "demo", method: "plain", settings: { alpha: 2 }, values: { fid: 2 } }] },
      "a name in published[0].settings must be one of ",
    ],
    [{ title: " " }, 'title must be a text with something in it: current value is " "'],
    [{ models: [{ name: "" }] }, "models[0].name must be a text with something in it"],
    [{ subjects: { prompts: ["a cat", ""] } }, "subjects.prompts[1] must be a text with something in it"],
    ...Object.entries({
      ...{ cfg: "much", temperature: "hot", guidance: "strong" },
      ...{ topK: -1, topP: 2, minP: -1, samples: null, verifier: null },
    }).map(([name, value]): readonly [Record<string, unknown>, string] => [
      { methods: [{ method: "best-of-n", vary: { [name]: [value] } }] },
      `methods[0] has a row that cannot be, Best-of-N, ${name === "samples" ? "N" : name} = `,
    ]),
  ];
  for (const [change, words] of refused) {
    const error = assertThrows(() => parsePlan({ ...PLAN, ...change }), Error);
    assertEquals([error.message.includes(words), error.message.startsWith("Cannot read the plan as ")], [
      true,
      true,
    ], error.message);
  }
  assertThrows(() => parsePlan([]), TypeError, "Cannot read the plan as the plan must be an object");
});

Deno.test("parsePlan: the plans of bench/ are plans, of rows that there are", async () => {
  const folder = new URL("../../../bench/", import.meta.url);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) =>
    name.endsWith(".json")
  );
  for (const name of names) {
    const rows = planRows(parsePlan(JSON.parse(await Deno.readTextFile(new URL(name, folder)))));
    assert(rows.length > 1, name);
    assertEquals(new Set(rows.map(({ id }) => id)).size, rows.length, name);
  }
  assertEquals(names.sort(), ["guidance_methods.json", "guidance_tuning.json", "methods.json"]);
});
