/**
 * The plan of a sweep: models, methods with what is varied, subjects and seeds, as plain data. It is checked
 * here as far as that goes without a model, and multiplied out to rows; carrying it out is left to
 * `sweep.ts`.
 *
 * @module
 */

import {
  mustBe,
  quoted,
  requireChoice,
  requireInteger,
  requireList,
  requireNumber,
  requireObject,
  requireText,
  shown,
} from "../../kernels/arguments.ts";
import { resolveSampling } from "../../models/sampling.ts";
import type { Judge } from "../../sampler/mod.ts";
import {
  hooksOf,
  isDecidedByBudget,
  partsOf,
  requestSettings,
  type Settings,
  settingsOf,
  SWEEP_METHODS,
  titleOf,
} from "./methods.ts";
import { METRIC_KEYS } from "./sweep_metrics.ts";

/** What is painted. Exactly one of the first three says so; without any, all classes of the model. */
export interface SweepSubjects {
  /** Classes by number or name; `"all"` of the model. */
  readonly labels?: "all" | readonly (number | string)[];
  /** Prompts. */
  readonly prompts?: readonly string[];
  /**
   * A file of prompts: a line each, as text or as JSON with `prompt`; GenEval's metadata are JSON with what a
   * picture must show, too. `"demo-t2i"` means the captions that come with the bundled model.
   */
  readonly file?: string;
  /** So many of them, evenly spread; all by default. */
  readonly limit?: number;
  /** Pictures of each for every seed; 1 by default. */
  readonly count?: number;
}

/** A model of a plan. */
export interface SweepModel {
  /** Its name in the plan. */
  readonly name: string;
  /**
   * Where it is, as `loadModel()` takes it: a bundled model, a folder, a repository. Without it, whoever runs
   * the plan must say; otherwise rows of the model are left open.
   */
  readonly place?: string;
  /** Type of its large weights; the most precise one that fits by default. */
  readonly dtype?: string;
  /** Depth that it must have: which one of a repository with several. */
  readonly depth?: number;
  /** The same where models are told by the name of a size, like `"2B"`. */
  readonly size?: string;
  /** Pictures that run together; 32 by default. They do not depend on it. */
  readonly batch?: number;
  /** What it paints, instead of the plan's subjects. */
  readonly subjects?: SweepSubjects;
  /** Network that features and logits are taken by, instead of the plan's. */
  readonly network?: string;
  /** Reference statistics of that network, instead of the plan's. */
  readonly reference?: string;
  /** Detector of what captions ask for, instead of the plan's. */
  readonly detector?: string;
  /** Who tells the colours, instead of the plan's. */
  readonly colors?: string;
}

/** Rows of one method. */
export interface SweepMethod {
  /** One of {@linkcode SWEEP_METHODS}. */
  readonly method: string;
  /** Models that it is for, by their names; all by default. */
  readonly models?: readonly string[];
  /** Lists of values by the names of settings: a row for each combination. */
  readonly vary?: Readonly<Record<string, readonly unknown[]>>;
  /** Settings that belong together: a row for each, with every combination of `vary`. */
  readonly settings?: readonly Settings[];
  /** Of the subjects only so many, evenly spread, as a dear method asks for. */
  readonly limit?: number;
  /** Pictures of each subject, at most those of the plan. */
  readonly count?: number;
  /** Some of the plan's seeds. */
  readonly seeds?: readonly number[];
}

/** Values that somebody has published for rows. */
export interface PublishedValues {
  /** Name of the model in the plan. */
  readonly model: string;
  /** The method. */
  readonly method: string;
  /** Settings that the row must have; it may have others. */
  readonly settings?: Settings;
  /** By {@linkcode MetricFacts.key}. */
  readonly values: Readonly<Record<string, number>>;
}

/** A plan, complete. */
export interface SweepPlan {
  /** What it is called. */
  readonly title: string;
  /** What it is to show. */
  readonly description?: string;
  /** Models. */
  readonly models: readonly SweepModel[];
  /** What all models paint unless they say otherwise. */
  readonly subjects?: SweepSubjects;
  /** Seeds. */
  readonly seeds: readonly number[];
  /** Methods, in the order of tables. */
  readonly methods: readonly SweepMethod[];
  /**
   * What `samples` of a search means. `"n"`: its own N, the lanes that an image starts with. `"compute"`: it
   * may cost what Best-of-N costs with so many, and gets the largest setting of that cost.
   */
  readonly equal: "n" | "compute";
  /** Network that features and logits are taken by. */
  readonly network?: string;
  /** Reference statistics of that network. */
  readonly reference?: string;
  /** Detector that tells whether pictures show what GenEval's captions ask for. */
  readonly detector?: string;
  /** Who tells the colours of what it finds, if it does not; OpenAI's CLIP by default. */
  readonly colors?: string;
  /** Keys of the metrics that are wanted; all that can be told by default. */
  readonly metrics?: readonly string[];
  /** Subjects of which each row keeps a picture; 4 by default. */
  readonly examples: number;
  /** Published values. */
  readonly published?: readonly PublishedValues[];
}

/** A row of a plan. */
export interface PlannedRow {
  /** What tells it from all others, fit for a file name. */
  readonly id: string;
  /** Name of the model. */
  readonly model: string;
  /** The method. */
  readonly method: string;
  /** Name for people. */
  readonly title: string;
  /** Its settings. */
  readonly settings: Settings;
  /** Seeds. */
  readonly seeds: readonly number[];
  /** Subjects at most. */
  readonly limit?: number;
  /** Pictures of each subject and seed. */
  readonly count: number;
  /** Published values. */
  readonly published?: Readonly<Record<string, number>>;
}

const ACTION = "read the plan";

/**
 * Reads a plan.
 *
 * @param value What `JSON.parse` has made of it.
 * @throws {TypeError} If something is unknown, missing or of the wrong type; the message says where.
 * @throws {RangeError} If a value is out of range, or two rows are the same.
 *
 * @example
 * ```ts
 * import { parsePlan, planRows } from "./plan.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const plan = parsePlan({
 *   title: "a first look",
 *   models: [{ name: "demo", place: "demo" }],
 *   methods: [{ method: "plain" }, { method: "var-scaling", vary: { samples: [20, 50] } }],
 * });
 * assertEquals(planRows(plan).map(({ id }) => id), [
 *   "demo.plain",
 *   "demo.var-scaling.samples-20",
 *   "demo.var-scaling.samples-50",
 * ]);
 * ```
 */
export function parsePlan(value: unknown): SweepPlan {
  const plan = object(value, "the plan");
  known(plan, "the plan", [
    ...["title", "description", "models", "subjects", "seeds", "methods", "equal"],
    ...["network", "reference", "detector", "colors", "metrics", "examples", "published"],
  ]);
  texts(plan, "", ["description", "network", "reference", "detector", "colors"]);
  words(plan.title, "title");
  const { subjects, seeds = [0], equal = "n", metrics, examples = 4, published } = plan;
  const models = items(plan.models, "models").map((model, i) => parseModel(model, `models[${i}]`));
  distinct(models.map(({ name }) => name), "names of models");
  if (subjects !== undefined) parseSubjects(subjects, "subjects");
  const parsed = {
    ...plan,
    seeds: parseSeeds(seeds, "seeds"),
    equal: requireChoice(equal as "n", ["n", "compute"], "equal", ACTION),
    examples: requireInteger(examples as number, "examples", ACTION, { min: 0, max: 1000 }),
  } as unknown as SweepPlan;
  for (const [i, metric] of (metrics === undefined ? [] : items(metrics, "metrics")).entries()) {
    requireChoice(metric as string, METRIC_KEYS, `metrics[${i}]`, ACTION);
  }
  for (const [i, method] of items(plan.methods, "methods").entries()) {
    parseMethod(method, `methods[${i}]`, parsed);
  }
  for (const [i, values] of (published === undefined ? [] : items(published, "published")).entries()) {
    parsePublished(values, `published[${i}]`, parsed);
  }
  planRows(parsed);
  return parsed;
}

/**
 * The rows of a plan, in its order: methods within models.
 *
 * @throws {RangeError} If two of them are the same.
 *
 * @example
 * ```ts
 * import { parsePlan, planRows } from "./plan.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const models = [{ name: "d30" }];
 * const methods = [{ method: "var-scaling", vary: { samples: [50], alpha: [1.8, 2.4] } }];
 * const [, row] = planRows(parsePlan({ title: "α", models, methods }));
 * assertEquals([row!.title, row!.settings], ["VAR-Scaling, N = 50, α = 2.4", { samples: 50, alpha: 2.4 }]);
 * ```
 */
export function planRows(plan: SweepPlan): PlannedRow[] {
  const rows = plan.models.flatMap((model) => {
    return plan.methods.flatMap((entry, i) => {
      if (!(entry.models?.includes(model.name) ?? true)) return [];
      const most = (model.subjects ?? plan.subjects)?.count ?? 1;
      const count = entry.count ?? most;
      if (count > most) {
        const name = `methods[${i}].count`;
        throw new RangeError(
          mustBe(`at most ${most}, the subjects' count for "${model.name}"`, count, name, ACTION),
        );
      }
      return combinations(entry).map((settings): PlannedRow => {
        const published = publishedFor(plan, { model: model.name, method: entry.method, settings });
        return {
          id: idOf(model.name, entry.method, settings),
          model: model.name,
          method: entry.method,
          title: titleOf(entry.method, settings),
          settings,
          seeds: entry.seeds ?? plan.seeds,
          ...(entry.limit === undefined ? {} : { limit: entry.limit }),
          count,
          ...(published && { published }),
        };
      });
    });
  });
  distinct(rows.map(({ id }) => id), "rows");
  return rows;
}

/** Every combination of what is varied, the last name changing first. */
function combinations({ vary = {}, settings = [{}] }: SweepMethod): Settings[] {
  return settings.flatMap((together) =>
    Object.entries(vary).reduce<Settings[]>(
      (sets, [name, values]) => sets.flatMap((set) => values.map((value) => ({ ...set, [name]: value }))),
      [together],
    )
  );
}

function publishedFor(
  { published = [] }: SweepPlan,
  row: Pick<PlannedRow, "model" | "method" | "settings">,
): Readonly<Record<string, number>> | undefined {
  return published.find(({ model, method, settings = {} }) => {
    return model === row.model && method === row.method &&
      Object.entries(settings).every(([name, value]) => {
        return JSON.stringify(row.settings[name]) === JSON.stringify(value);
      });
  })?.values;
}

/** Characters of an identifier, which names files, too. */
const MAX_ID = 120;

/** An identifier that does not depend on the order of settings. */
function idOf(model: string, method: string, settings: Settings): string {
  const parts = Object.entries(settings).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, value]) => `${name}-${typeof value === "string" ? value : JSON.stringify(value)}`);
  const said = [model, method, ...parts].join(".");
  const plain = said.replace(/[^\w.+-]+/g, "_");
  if (plain === said && plain.length <= MAX_ID) return plain;
  return `${plain.slice(0, MAX_ID)}-${checksum(said)}`;
}

/** Tells texts apart that only differ where a file name may not (FNV-1a). */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

function parseModel(value: unknown, path: string): SweepModel {
  const model = object(value, path);
  known(model, path, [
    ...["name", "place", "dtype", "depth", "size", "batch", "subjects"],
    ...["network", "reference", "detector", "colors"],
  ]);
  words(model.name, `${path}.name`);
  texts(model, path, ["place", "size", "network", "reference", "detector", "colors"]);
  if (model.dtype !== undefined) {
    requireChoice(model.dtype as string, ["auto", "f32", "f16", "q8", "q4"], `${path}.dtype`, ACTION);
  }
  for (const name of ["depth", "batch"]) {
    if (model[name] === undefined) continue;
    requireInteger(model[name] as number, `${path}.${name}`, ACTION, { min: 1, max: 4096 });
  }
  if (model.subjects !== undefined) parseSubjects(model.subjects, `${path}.subjects`);
  return model as unknown as SweepModel;
}

function parseSubjects(value: unknown, path: string): void {
  const subjects = object(value, path);
  known(subjects, path, ["labels", "prompts", "file", "limit", "count"]);
  const kinds = ["labels", "prompts", "file"].filter((name) => subjects[name] !== undefined);
  if (kinds.length > 1) {
    throw new TypeError(mustBe("one of labels, prompts and file", kinds.join(" and "), path, ACTION));
  }
  const { labels, prompts, limit, count } = subjects;
  texts(subjects, path, ["file"]);
  if (labels !== undefined && labels !== "all") {
    for (const [i, label] of items(labels, `${path}.labels`, '"all" or a list of classes').entries()) {
      if (typeof label === "string" || (Number.isInteger(label) && label as number >= 0)) continue;
      throw new TypeError(mustBe("the number or name of a class", label, `${path}.labels[${i}]`, ACTION));
    }
  }
  for (const [i, prompt] of (prompts === undefined ? [] : items(prompts, `${path}.prompts`)).entries()) {
    words(prompt, `${path}.prompts[${i}]`);
  }
  for (const [name, number] of Object.entries({ limit, count })) {
    if (number === undefined) continue;
    requireInteger(number as number, `${path}.${name}`, ACTION, { min: 1, max: 1_000_000 });
  }
}

function parseMethod(value: unknown, path: string, plan: SweepPlan): void {
  const entry = object(value, path);
  known(entry, path, ["method", "models", "vary", "settings", "limit", "count", "seeds"]);
  const method = requireChoice(entry.method as string, SWEEP_METHODS, `${path}.method`, ACTION);
  const { models, vary = {}, settings = [{}], limit, count, seeds } = entry;
  const names = plan.models.map(({ name }) => name);
  for (const [i, model] of (models === undefined ? [] : items(models, `${path}.models`)).entries()) {
    requireChoice(model as string, names, `${path}.models[${i}]`, ACTION);
  }
  for (const [name, number] of Object.entries({ limit, count })) {
    if (number === undefined) continue;
    requireInteger(number as number, `${path}.${name}`, ACTION, { min: 1, max: 1_000_000 });
  }
  for (const [i, seed] of (seeds === undefined ? [] : parseSeeds(seeds, `${path}.seeds`)).entries()) {
    if (plan.seeds.includes(seed)) continue;
    throw new RangeError(
      mustBe(`one of the plan's, ${plan.seeds.join(", ")}`, seed, `${path}.seeds[${i}]`, ACTION),
    );
  }
  const check = (name: string, at: string): void => {
    const all = settingsOf(method);
    if (!all.includes(name)) {
      throw new TypeError(
        `Cannot ${ACTION} as ${at} is no setting of "${method}": its settings are ${all.join(", ")}`,
      );
    }
    if (plan.equal === "compute" && isDecidedByBudget(method, name)) {
      throw new TypeError(
        `Cannot ${ACTION} as ${at} must be left out where equal is "compute", which chooses it: current value is given`,
      );
    }
  };
  for (const [name, values] of Object.entries(object(vary, `${path}.vary`))) {
    check(name, `${path}.vary.${name}`);
    distinct(items(values, `${path}.vary.${name}`, "a list of values").map(shown), `${path}.vary.${name}`);
  }
  for (const [i, set] of items(settings, `${path}.settings`).entries()) {
    for (const name of Object.keys(object(set, `${path}.settings[${i}]`))) {
      check(name, `${path}.settings[${i}].${name}`);
      if (!Object.hasOwn(vary as object, name)) continue;
      throw new TypeError(
        `Cannot ${ACTION} as ${path}.settings[${i}].${name} must not be in ${path}.vary, too`,
      );
    }
  }
  for (const set of combinations(entry as unknown as SweepMethod)) {
    checkValues(method, set, plan, path);
  }
}

/** Stands for what a model draws by where a row does not say it. */
const ANY_SAMPLING = { cfg: 0, guidance: "ramp", topK: 0, topP: 0, minP: 0, temperature: 1 } as const;
/** Stands for a verifier that is not opened yet. */
const STAND_IN: Judge = { name: "verifier", needsPrompt: false, score: () => [] };

/** Whatever can be wrong with the values of a row is wrong now, and not after a night. */
function checkValues(method: string, settings: Settings, plan: SweepPlan, path: string): void {
  const { verifier, features } = settings;
  const { search } = partsOf(method);
  try {
    for (const [name, setting] of Object.entries(settings)) {
      // Whatever takes it would take its own default instead, without a word.
      if (setting === null) throw new TypeError(mustBe("a value", setting, name, ACTION));
    }
    for (
      const [name, place] of Object.entries(search === "tts-var" ? { verifier, features } : { verifier })
    ) {
      if (place !== undefined) requireText(place as string, name, ACTION);
    }
    resolveSampling(requestSettings(settings), ANY_SAMPLING);
    if (plan.equal === "compute" && search !== undefined) {
      requireInteger(settings.samples as number, "samples", ACTION, { min: 1, max: 4096 });
    }
    const free = plan.equal === "compute" ? { ...settings, samples: undefined } : settings;
    const own = search === undefined ? settings : free;
    const described = {
      name: "features",
      features: () => Promise.reject(new Error("It stands in for a network")),
    };
    hooksOf(method, own, { verifier: STAND_IN, ...(search === "tts-var" ? { features: described } : {}) });
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    const Class = error instanceof TypeError ? TypeError : RangeError;
    const row = titleOf(method, settings);
    throw new Class(`Cannot ${ACTION} as ${path} has a row that cannot be, ${row}: ${error.message}`, {
      cause: error,
    });
  }
}

function parsePublished(value: unknown, path: string, { models }: SweepPlan): void {
  const published = object(value, path);
  known(published, path, ["model", "method", "settings", "values"]);
  requireChoice(published.model as string, models.map(({ name }) => name), `${path}.model`, ACTION);
  const method = requireChoice(published.method as string, SWEEP_METHODS, `${path}.method`, ACTION);
  for (const name of Object.keys(object(published.settings ?? {}, `${path}.settings`))) {
    requireChoice(name, settingsOf(method), `a name in ${path}.settings`, ACTION);
  }
  for (const [key, number] of Object.entries(object(published.values, `${path}.values`))) {
    requireChoice(key, METRIC_KEYS, `a name in ${path}.values`, ACTION);
    requireNumber(number as number, `${path}.values.${key}`, ACTION);
  }
}

function parseSeeds(value: unknown, path: string): number[] {
  const seeds = items(value, path, "a list of seeds").map((seed, i) => {
    return requireInteger(seed as number, `${path}[${i}]`, ACTION, { min: 0 });
  });
  distinct(seeds, path);
  return seeds;
}

function object(value: unknown, path: string): Record<string, unknown> {
  return requireObject(value as object, path, ACTION) as Record<string, unknown>;
}

function items(value: unknown, path: string, wanted = "a list"): readonly unknown[] {
  const list = requireList(value as readonly unknown[], path, ACTION, wanted);
  if (list.length === 0) throw new RangeError(mustBe("a list of at least one", list, path, ACTION));
  return list;
}

/** A text with something in it. */
function words(value: unknown, path: string): string {
  const text = requireText(value as string, path, ACTION);
  if (text.trim() === "") throw new RangeError(mustBe("a text with something in it", text, path, ACTION));
  return text;
}

function texts(record: Readonly<Record<string, unknown>>, path: string, names: readonly string[]): void {
  for (const name of names) {
    const at = path === "" ? name : `${path}.${name}`;
    if (record[name] !== undefined) words(record[name], at);
  }
}

function known(record: object, path: string, names: readonly string[]): void {
  const unknown = Object.keys(record).find((name) => !names.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(
    `Cannot ${ACTION} as ${path} has ${quoted(unknown)}, which is unknown: there are ${names.join(", ")}`,
  );
}

function distinct(values: readonly unknown[], path: string): void {
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice === undefined) return;
  throw new RangeError(mustBe("all different", `${twice} twice`, path, ACTION));
}
