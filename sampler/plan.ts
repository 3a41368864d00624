/**
 * Searches for a budget: of each method the largest setting that costs no more than so many plain images, so
 * many seconds or so many operations, counted exactly. How costs are counted is in `planned_cost.ts`.
 *
 * @module
 */

import {
  mustBe,
  requireChoice,
  requireList,
  requireObject,
  requireOptions,
  shown,
} from "../kernels/arguments.ts";
import { isUnconditional } from "../models/label.ts";
import type { Model } from "../models/model.ts";
import type { FeatureExtractor } from "../models/vision/verifier.ts";
import { generate } from "./generate.ts";
import type { ScaleHook } from "./hook.ts";
import type { LaneFeatureExtractor } from "./judging.ts";
import { beamSearch } from "./methods/beam_search.ts";
import { bestOfN } from "./methods/best_of.ts";
import type { Judge } from "./methods/population.ts";
import { PRESET_SCALES, scaledTtsSchedules } from "./methods/tts_schedule.ts";
import { ttsVar } from "./methods/tts_var.ts";
import { varScaling } from "./methods/var_scaling.ts";
import { costOf, type PlannedCost, plannedCost } from "./planned_cost.ts";
import { type GenerateRequest, MAX_LANES, resolveRequest } from "./request.ts";

/** A method, or two together, for which {@linkcode plan} finds settings. */
export type PlannedMethod = "best-of-n" | "beam" | "tts-var" | "var-scaling" | "var-scaling+tts-var";

/** Options of {@linkcode plan}. */
export interface PlanOptions {
  /**
   * What an image may cost: `"4x"`, as much as so many plain images; `"8 s"`, so many seconds, for which one
   * plain image is timed; or operations, as a number or as a text like `"2.5e12"`.
   */
  budget: string | number;
  /** What is wanted; by default all that the number of scales allows. */
  methods?: readonly PlannedMethod[];
  /** Who judges; the model's own verifier by default. It must say how many operations it takes. */
  verifier?: Judge;
  /** What TTS-VAR compares lanes by; what the model itself knows of them by default. */
  features?: FeatureExtractor | LaneFeatureExtractor;
  /**
   * What is to be generated, and how, without hooks. Plans are made for one image of it, its first that has a
   * label; without labels for any.
   */
  request?: GenerateRequest;
}

/** A setting of a method. */
export interface PlannedSearch {
  /** The method. */
  readonly method: PlannedMethod;
  /** Whether it costs no more than the budget. If not, this is the least that the method has. */
  readonly fits: boolean;
  /** What its hook is made with, or the second of two, beside verifier and features, as plain data. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Its hooks, for the request. */
  readonly hooks: readonly ScaleHook[];
  /** What it costs for an image. */
  readonly cost: PlannedCost;
}

/** What {@linkcode plan} has found. */
export interface SearchPlan {
  /** Operations that an image may take. */
  readonly budget: number;
  /** What a plain image costs. */
  readonly plain: PlannedCost;
  /** Seconds that one took, where the budget is in seconds. */
  readonly plainSeconds?: number;
  /** One for each method, in the order in which they were asked for. */
  readonly searches: readonly PlannedSearch[];
}

/** What settings are looked for. */
interface Setting {
  readonly options: Readonly<Record<string, unknown>>;
  readonly hooks: readonly ScaleHook[];
}

/** What settings depend on. */
interface SettingsContext extends Pick<PlanOptions, "verifier" | "features"> {
  /** Scales of the schedule. */
  readonly scales: number;
  /** Lanes that an image may have. */
  readonly most: number;
}

/**
 * The settings of each method by groups, the least first. No group takes less of the transformer than the one
 * before; of judges it may, where rounded sizes leave an event with nothing to thin out.
 */
const METHODS: Readonly<Record<PlannedMethod, (context: SettingsContext) => Iterable<readonly Setting[]>>> = {
  "best-of-n": function* ({ most, verifier }) {
    for (let samples = 2; samples <= most; samples++) {
      yield [{ options: { samples }, hooks: [bestOfN({ samples, ...(verifier && { verifier }) })] }];
    }
  },
  "beam": function* ({ most, verifier }) {
    for (let lanes = 2; lanes <= most; lanes++) {
      // Of equal numbers of lanes, more that are kept and fewer copies.
      const width = [2, 3].find((width) => lanes % width === 0);
      if (width === undefined) continue;
      const options = { beams: lanes / width, width };
      yield [{ options, hooks: [beamSearch({ ...options, ...(verifier && { verifier }) })] }];
    }
  },
  "tts-var": ttsSettings,
  "var-scaling": () => [[{ options: {}, hooks: [varScaling()] }]],
  "var-scaling+tts-var": function* (context) {
    for (const group of ttsSettings(context)) {
      yield group.map(({ options, hooks }) => ({ options, hooks: [varScaling(), ...hooks] }));
    }
  },
};

function* ttsSettings({ scales, most, verifier, features }: SettingsContext): Iterable<readonly Setting[]> {
  const judges = { ...(verifier && { verifier }), ...(features && { features }) };
  for (let lanes = 2; lanes <= most; lanes++) {
    // Lanes that nobody judges would be thinned out in vain.
    const judged = scaledTtsSchedules(scales, lanes).filter(({ sizes, resampleScales }) => {
      return resampleScales.length > 0 || sizes.at(-2)! > 1;
    });
    yield judged.map((schedule) => {
      const options = { ...schedule };
      return { options, hooks: [ttsVar({ ...options, ...judges })] };
    });
  }
}

const ACTION = "plan";

/**
 * Finds the largest setting of each method that a budget allows.
 *
 * Costs are operations, those of {@linkcode costOf}. VAR-Scaling adds none to them, as it runs no network, so
 * its settings are the model's: what its kernels take is in `docs/methods.md`.
 *
 * @param model A loaded model.
 * @throws {TypeError} If an option is unknown or of the wrong type, the model does not tell its operations or
 * the verifier or the features not theirs, or there is no verifier for a method that asks one.
 * @throws {RangeError} If a value is out of range.
 *
 * @example What four plain images cost
 * ```ts
 * import { generate, loadModel, ownDensity, plan } from "../mod.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { searches } = await plan(model, {
 *   budget: "4x",
 *   methods: ["best-of-n", "tts-var"],
 *   verifier: ownDensity(),
 * });
 * for (const { method, fits, options, cost } of searches) console.log(method, fits, options, cost.ratio);
 * const [bestOfN] = searches;
 * // Five lanes fit, as a judge that looks at no picture leaves one to decode.
 * assertEquals([bestOfN!.fits, bestOfN!.options], [true, { samples: 5 }]);
 * assert(searches.every(({ cost }) => cost.ratio! <= 4));
 * await generate(model, { labels: "red torus", hooks: bestOfN!.hooks });
 * ```
 */
export async function plan(model: Model, options: PlanOptions): Promise<SearchPlan> {
  requireObject(options, "the options", ACTION);
  requireOptions(options, ["budget", "methods", "verifier", "features", "request"], ACTION);
  const budget = parseBudget(options.budget);
  const request = requestOf(model, options.request ?? {});
  const { schedule } = resolveRequest(model, request);
  const scales = schedule.scales.length;
  const methods = methodsOf(options.methods, scales);
  if (model.flops === undefined) {
    throw new TypeError(
      `Cannot plan as models of the family "${model.family}" do not tell how many operations they take`,
    );
  }
  const plain = await costOf(model, request);
  const plainSeconds = budget.unit === "s" ? await secondsOf(model, request) : undefined;
  const limit = plainSeconds === undefined
    ? budget.value * (budget.unit === "x" ? plain.flops! : 1)
    : budget.value / plainSeconds * plain.flops!;
  const { verifier, features } = options;
  const context = {
    scales,
    most: Math.min(MAX_LANES, schedule.batchLimit?.images ?? MAX_LANES),
    ...(verifier && { verifier }),
    ...(features && { features }),
  };
  const searches: PlannedSearch[] = [];
  for (const method of methods) {
    searches.push(await largest(model, method, { request, plain, limit, groups: METHODS[method](context) }));
  }
  return { budget: limit, plain, ...(plainSeconds !== undefined && { plainSeconds }), searches };
}

/** The setting that costs most of those within the limit, or else the one that costs least. */
async function largest(
  model: Model,
  method: PlannedMethod,
  { request, plain, limit, groups }: {
    readonly request: GenerateRequest;
    readonly plain: PlannedCost;
    readonly limit: number;
    readonly groups: Iterable<readonly Setting[]>;
  },
): Promise<PlannedSearch> {
  let least: PlannedSearch | undefined;
  let found: PlannedSearch | undefined;
  for (const group of groups) {
    let possible = false;
    for (const { options, hooks } of group) {
      const cost = await plannedCost(model, resolveRequest(model, { ...request, hooks }), plain);
      const flops = requireFlops(cost, hooks, model);
      const fits = flops <= limit;
      const search = { method, fits, options, hooks, cost };
      if (fits && flops > (found?.cost.flops ?? 0)) found = search;
      if (flops < (least?.cost.flops ?? Infinity)) least = search;
      possible ||= cost.transformerFlops! <= limit;
    }
    if (!possible && group.length > 0) break;
  }
  return found ?? least!;
}

function requireFlops({ flops }: PlannedCost, hooks: readonly ScaleHook[], { name }: Model): number {
  if (flops !== undefined) return flops;
  const judges = hooks.map(({ settings = {} }) => [settings.verifier, settings.features]).flat();
  const known = judges.filter((judge) => judge !== undefined && judge !== "own");
  const who = known.length === 0 ? `the verifier of the model "${name}"` : known.map(shown).join(" or ");
  throw new TypeError(
    `Cannot plan as ${who} does not tell how many operations a picture takes: give it "flops", 0 if they are few`,
  );
}

/** A budget as it is given. */
interface Budget {
  readonly value: number;
  readonly unit: "x" | "s" | "flops";
}

function parseBudget(budget: unknown): Budget {
  const wanted = 'like "4x", "8 s" or 2.5e12';
  if (typeof budget !== "string" && typeof budget !== "number") {
    throw new TypeError(mustBe(wanted, budget, "budget", ACTION));
  }
  const [, digits, unit] = /^\s*(\d+\.?\d*(?:e\+?\d+)?)\s*([xs]?)\s*$/i.exec(String(budget)) ?? [];
  const value = Number(digits);
  if (!(value > 0 && value < Infinity)) throw new RangeError(mustBe(wanted, budget, "budget", ACTION));
  return { value, unit: unit === "" ? "flops" : unit!.toLowerCase() as "x" | "s" };
}

/** One image of a request. */
function requestOf(model: Model, request: GenerateRequest): GenerateRequest {
  requireObject(request, "request", ACTION);
  if (request.hooks !== undefined) {
    throw new TypeError(
      mustBe("left out, as methods are hooks", request.hooks, "hooks of the request", ACTION),
    );
  }
  // What an image costs does not depend on its text.
  const anything = model.labels.kind === "texts" ? { labels: "a picture" } : {};
  const { labels } = resolveRequest(model, { ...anything, ...request });
  const { id, prompt } = labels.find((label) => !isUnconditional(label)) ?? labels[0]!;
  const { count: _, indices: _numbers, edit: _edit, previews: _previews, ...others } = request;
  return { ...others, labels: [prompt ?? id] };
}

function methodsOf(methods: readonly PlannedMethod[] | undefined, scales: number): readonly PlannedMethod[] {
  const all = Object.keys(METHODS) as PlannedMethod[];
  if (methods === undefined) {
    const presets = PRESET_SCALES.includes(scales);
    return all.filter((method) => presets || !method.endsWith("tts-var"));
  }
  requireList(methods, "methods", ACTION);
  for (const method of methods) requireChoice(method, all, "a method", ACTION);
  return methods;
}

/** Seconds of a plain image; the first prepares what the second needs, too. */
async function secondsOf(model: Model, request: GenerateRequest): Promise<number> {
  await generate(model, request);
  const { trace } = await generate(model, request);
  return trace.total / 1000;
}
