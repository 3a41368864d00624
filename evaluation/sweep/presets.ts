/**
 * Plans that are known by name: the tables and figures of the papers on VAR-Scaling and TTS-VAR with the
 * values that they publish, and all methods of this project on the bundled models. The values are in
 * `published.ts`.
 *
 * @module
 */

import { requireChoice } from "../../kernels/arguments.ts";
import type { Settings } from "./methods.ts";
import { parsePlan, planRows, type PublishedValues, type SweepMethod, type SweepPlan } from "./plan.ts";
import {
  ALPHA,
  BASELINE,
  FIGURE_3,
  FIGURE_5,
  FIGURE_6,
  type Pair,
  SAMPLES,
  TABLE_2,
  TABLE_3A,
  TABLE_3B,
  TABLE_3C,
  TABLE_3D,
  TABLE_3E,
  TTS_TABLE_1,
} from "./published.ts";

/** FID and Inception Score of a pair. */
function values([fid, is]: Pair): Readonly<Record<string, number>> {
  return { fid, is };
}

/** Draws as VAR-Scaling's authors do, whose code takes one bandwidth for all pictures of a class. */
const RELEASED = { preset: "published" };
const VAR_SUBJECTS = { labels: "all", count: 50 } as const;
const PAPER = "VAR-Scaling (arXiv 2601.07293)";
const UNTIL_FID =
  "FID and Inception Score are of 50,000 pictures by --network inception-fid:FILE and --reference FILE, ImageNet's 256 px statistics.";

const UNTIL_GENEVAL =
  "GenEval's 553 prompts, four pictures each, are in its evaluation_metadata.jsonl; --prompts FILE says where.";

/** A plan of VAR models, 50 pictures of each of 1000 classes. */
function varPlan(
  title: string,
  description: string,
  methods: readonly SweepMethod[],
  published: readonly PublishedValues[],
  depths: readonly number[] = [30],
): SweepPlan {
  return parsePlan({
    title,
    description: `${description} ${UNTIL_FID}`,
    models: depths.map((depth) => ({ name: `d${depth}`, depth, batch: 50 })),
    subjects: VAR_SUBJECTS,
    methods,
    published,
  });
}

/** The row without a method at a strength of guidance, and what is published of it. */
function plainRow(model: string, cfg: number, pair: Pair): [SweepMethod, PublishedValues] {
  const of = { method: "plain", settings: { cfg } };
  return [{ ...of, models: [model], settings: [{ cfg }] }, { ...of, model, values: values(pair) }];
}

/** Rows of VAR-Scaling, and what is published of them. */
function scalingRows(
  model: string,
  cells: readonly (readonly [Settings, Pair])[],
): [SweepMethod, PublishedValues[]] {
  const method = "var-scaling";
  return [
    { method, models: [model], settings: cells.map(([settings]) => settings) },
    cells.map(([settings, pair]) => ({ model, method, settings, values: values(pair) })),
  ];
}

/** A table of d30: the plain row, then cells. */
function table(
  title: string,
  description: string,
  cells: readonly (readonly [Settings, Pair])[],
): SweepPlan {
  const [plain, baseline] = plainRow("d30", 1, BASELINE);
  const [rows, published] = scalingRows("d30", cells);
  return varPlan(title, description, [plain, rows], [baseline, ...published]);
}

/** Cells of a line of a table that has a column for each number of candidates. */
function columns(
  line: readonly Pair[],
  settings: Settings,
  alphas: readonly number[] = ALPHA,
  samples: readonly number[] = SAMPLES,
): [Settings, Pair][] {
  return line.map((pair, i) => [
    {
      ...RELEASED,
      cfg: 1,
      samples: samples[i]!,
      ...(alphas.length > 0 && { alpha: alphas[i]! }),
      ...settings,
    },
    pair,
  ]);
}

const PRESETS = {
  table2: () =>
    table(
      "Table 2: scales",
      `${PAPER}, table 2: VAR-Scaling on each scale of VAR-d30, with the α that its authors found.`,
      TABLE_2.flatMap((line, scale) =>
        columns(line.map(([, ...pair]) => pair), { scale }, line.map(([alpha]) => alpha))
      ),
    ),
  table3a: () => {
    const parts = TABLE_3A.map(([depth, baseline, line]) => {
      const model = `d${depth}`;
      const cells = columns(line.map(([, ...pair]) => pair), {}, line.map(([alpha]) => alpha));
      return { plain: plainRow(model, 1, baseline), scaled: scalingRows(model, cells) };
    });
    return varPlan(
      "Table 3a: sizes",
      `${PAPER}, table 3a: VAR-Scaling on VAR of four depths.`,
      parts.flatMap(({ plain: [plain], scaled: [scaled] }) => [plain, scaled]),
      parts.flatMap(({ plain: [, plain], scaled: [, scaled] }) => [plain, ...scaled]),
      TABLE_3A.map(([depth]) => depth),
    );
  },
  table3b: () =>
    table(
      "Table 3b: strategies",
      `${PAPER}, table 3b: which candidates are kept.`,
      Object.entries(TABLE_3B).flatMap(([strategy, line]) => columns(line, { strategy })),
    ),
  table3c: () =>
    table(
      "Table 3c: representatives",
      `${PAPER}, table 3c: how many candidates are kept; the paper's first two headings are swapped.`,
      TABLE_3C.flatMap(([representatives, line]) => columns(line, { representatives })),
    ),
  table3d: () => {
    const parts = TABLE_3D.map(([cfg, baseline, line]) => {
      const cells = columns(line.map(([, ...pair]) => pair), { cfg }, line.map(([alpha]) => alpha));
      return { plain: plainRow("d30", cfg, baseline), scaled: scalingRows("d30", cells) };
    });
    return varPlan(
      "Table 3d: guidance",
      `${PAPER}, table 3d: strengths of guidance; the third one that its text announces is not printed.`,
      parts.flatMap(({ plain: [plain], scaled: [scaled] }) => [plain, scaled]),
      parts.flatMap(({ plain: [, plain], scaled: [, scaled] }) => [plain, ...scaled]),
    );
  },
  table3e: () =>
    table(
      "Table 3e: distances",
      `${PAPER}, table 3e: how code vectors are compared.`,
      Object.entries(TABLE_3E).flatMap(([distance, line]) => columns(line, { distance })),
    ),
  fig3: () =>
    varPlan(
      "Figure 3: strategies over N",
      `${PAPER}, figure 3: always the densest, always the least dense, always random ones. Values are read off, ` +
        "to 0.02 of FID and 2 of Inception Score, where they can be; they disagree with table 3b.",
      [
        { method: "plain", settings: [{ cfg: 1 }] },
        {
          method: "var-scaling",
          settings: [{ ...RELEASED, cfg: 1 }],
          vary: { strategy: ["top-k", "small-k", "random-k"], samples: [10, 25, 50, 75, 100] },
        },
      ],
      FIGURE_3.map(([strategy, samples, pair]) => ({
        ...(strategy === undefined
          ? { method: "plain" }
          : { method: "var-scaling", settings: { strategy, samples } }),
        model: "d30",
        values: values(pair),
      })),
    ),
  fig5: () => {
    const models = Object.keys(FIGURE_5.lines);
    return parsePlan({
      title: "Figure 5: VAR and FlexVAR over N",
      description:
        `${PAPER}, figure 5. Values are read off, to 0.02 of FID and 2 of Inception Score. ${UNTIL_FID}`,
      models: models.map((name) => ({ name, depth: FIGURE_5.lines[name]!.depth, batch: 50 })),
      subjects: VAR_SUBJECTS,
      methods: models.flatMap((model) => {
        const { cfg } = FIGURE_5.lines[model]!;
        const own = { models: [model], settings: [{ cfg }] };
        return [
          { method: "plain", ...own },
          { method: "var-scaling", ...own, vary: { samples: FIGURE_5.samples } },
        ];
      }),
      published: models.flatMap((model) => {
        const { pairs } = FIGURE_5.lines[model]!;
        return pairs.map((pair, i) => {
          const settings = { samples: FIGURE_5.samples[i]! };
          return { model, method: "var-scaling", settings, values: values(pair) };
        });
      }),
    });
  },
  fig6: () =>
    parsePlan({
      title: "Figure 6: Infinity over N",
      description:
        `${PAPER}, its curve of GenEval over candidates for Infinity-2B. Values are read off. ${UNTIL_GENEVAL}`,
      models: [INFINITY_2B],
      subjects: GENEVAL,
      methods: [
        { method: "plain", settings: [{ cfg: 4 }] },
        {
          method: "var-scaling",
          settings: [{ cfg: 4 }],
          vary: { samples: FIGURE_6.map(([samples]) => samples) },
        },
      ],
      published: FIGURE_6.map(([samples, geneval]) => {
        return { model: "infinity-2b", method: "var-scaling", settings: { samples }, values: { geneval } };
      }),
    }),
  "tts-table1": () =>
    parsePlan({
      title: "TTS-VAR, table 1",
      description:
        "TTS-VAR (arXiv 2507.18537): GenEval without rewritten prompts. Its authors judge by ImageReward and cluster by " +
        "DINOv2; strength of guidance and temperature are not stated, and those of the released script are taken. " +
        UNTIL_GENEVAL,
      models: [INFINITY_2B, { name: "infinity-8b", size: "8B" }],
      subjects: GENEVAL,
      methods: [
        { method: "plain", settings: [SCRIPT] },
        { method: "best-of-n", models: ["infinity-2b"], settings: [{ ...SCRIPT, samples: 8, ...REWARD }] },
        ...([["infinity-2b", [2, 8]], ["infinity-8b", [4]]] as const).map(([model, multiples]) => ({
          method: "tts-var",
          models: [model],
          settings: [{ ...SCRIPT, preset: "published", features: "dinov2", ...REWARD }],
          vary: { multiple: multiples },
        })),
      ],
      published: TTS_TABLE_1,
    }),
  bundled: () => parsePlan(BUNDLED),
} satisfies Record<string, () => SweepPlan>;

const INFINITY_2B = { name: "infinity-2b", size: "2B" };
const GENEVAL = { file: "evaluation_metadata.jsonl", count: 4 };
const SCRIPT = { cfg: 3, temperature: 0.5 };
const REWARD = { verifier: "image-reward" };

/** Searches of the bundled models, each at what Best-of-N costs. */
const COMPARED = [
  "best-of-n",
  "var-scaling+best-of-n",
  "beam",
  "tts-var",
  "var-scaling+tts-var",
] as const;

/** Numbers N of the searches. */
const ATTEMPTS = [10, 20, 50, 100];
/** Subjects that each of them paints, the same for every N, so that N is all that differs. */
const SEARCHED = 12;

/** All methods on the bundled models, sized for three quarters of an hour on two cores. */
const BUNDLED = {
  title: "All methods on the bundled models",
  description:
    "Searches get what Best-of-N costs with as many attempts; VAR-Scaling runs no network, so N is its candidates. " +
    "Searches paint few pictures, and their intervals say what that takes of certainty.",
  models: [
    { name: "demo", place: "demo", subjects: { labels: "all", count: 4 } },
    { name: "demo-t2i", place: "demo-t2i", subjects: { file: "demo-t2i", count: 1 } },
  ],
  seeds: [1],
  equal: "compute",
  methods: [
    { method: "plain" },
    { method: "var-scaling", vary: { samples: [10, 20, 50, 100] } },
    { method: "var-scaling", models: ["demo-t2i"], vary: { samples: [500, 1000, 3000] } },
    ...ATTEMPTS.flatMap((samples) => {
      return COMPARED.map((method) => ({ method, limit: SEARCHED, count: 1, vary: { samples: [samples] } }));
    }),
  ],
  examples: 6,
};

/** Names of all presets. */
export const SWEEP_PRESETS: readonly string[] = Object.keys(PRESETS);

/** Options of {@linkcode presetPlan}. */
export interface PresetOptions {
  /**
   * A model that all rows are painted by instead of the paper's: a bundled one, or a place. Whatever was
   * tuned to the paper's model (α, presets, one guidance for all rows) is then left to the model, and
   * published values are left out, as they are of another.
   */
  readonly model?: string;
}

/** Settings that were chosen for the paper's model. */
const TUNED = ["preset", "alpha", "temperature"];

/**
 * A plan by its name.
 *
 * @throws {TypeError} If there is none of this name.
 *
 * @example
 * ```ts
 * import { planRows, presetPlan } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [plain, first] = planRows(presetPlan("table2"));
 * assertEquals([plain!.title, plain!.published], ["plain, cfg = 1", { fid: 2.25, is: 274.7 }]);
 * assertEquals([first!.settings.alpha, first!.published], [2.3, { fid: 2.44, is: 285.2 }]);
 * const same = planRows(presetPlan("table2", { model: "demo" }));
 * assertEquals([same.length, same[0]!.title, same[0]!.published], [31, "plain", undefined]);
 * ```
 */
export function presetPlan(name: string, { model }: PresetOptions = {}): SweepPlan {
  requireChoice(name, SWEEP_PRESETS, "the preset", "make a plan");
  const plan = PRESETS[name as keyof typeof PRESETS]();
  return model === undefined ? plan : transplanted(plan, model);
}

/** Pictures of each subject where a paper has fifty: what a bundled model paints in minutes. */
const FEWER = 4;

/** The same rows on another model. */
function transplanted(plan: SweepPlan, place: string): SweepPlan {
  const { published: _published, models, subjects, methods, ...others } = plan;
  const first = planRows(plan).filter((row) => row.model === models[0]!.name);
  const guidances = new Set(first.map(({ settings: { cfg } }) => cfg));
  const tuned = guidances.size > 1 ? TUNED : [...TUNED, "cfg"];
  const fitting = (settings: Settings): Settings => {
    const kept = Object.entries(settings).filter(([name]) => !tuned.includes(name));
    // Networks that judge photographs are no judges of a model of one's own choice.
    return Object.fromEntries(kept.filter(([name]) => name !== "verifier" && name !== "features"));
  };
  const seen = new Set<string>();
  // A model of the plan itself keeps its own rows.
  const own = models.find((model) => model.place === place);
  const rows = methods.flatMap(({ method, settings = [{}], models: meant, ...entry }) => {
    if (own !== undefined && !(meant?.includes(own.name) ?? true)) return [];
    const different = settings.map(fitting).filter((set) => {
      const key = JSON.stringify([method, entry.vary, set]);
      return !seen.has(key) && seen.add(key);
    });
    return different.length === 0 ? [] : [{ ...entry, method, settings: different }];
  });
  const painted = own?.subjects ?? subjects ?? models[0]!.subjects;
  const count = Math.min(painted?.count ?? 1, FEWER);
  const fitted = place === "demo-t2i"
    ? { file: "demo-t2i" }
    : place === "demo"
    ? { labels: "all" as const, count }
    : { ...painted, count };
  // What is said of the paper's pictures and where its judges are is not of these.
  const about = [UNTIL_FID, UNTIL_GENEVAL].reduce(
    (text, sentence) => text.replace(sentence, "").trim(),
    plan.description ?? "",
  );
  return parsePlan({
    ...others,
    description:
      `${about} Here the rows are of another model, whose own settings fill in what was tuned to the paper's.`,
    models: [{ name: place.replace(/[^\w.+-]+/g, "_"), place, subjects: fitted }],
    methods: rows,
  });
}
