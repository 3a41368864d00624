/**
 * What a request will cost, counted before anything runs: lanes scale by scale, as its hooks say that they
 * will thin them, who looks at them, and which decodes are shared. Finding requests for a budget is left to
 * `plan.ts`.
 *
 * @module
 */

import type { ResolvedLabel } from "../models/label.ts";
import type { Model } from "../models/model.ts";
import type { Schedule } from "../models/schedule.ts";
import { type CostCounts, guides, imagesTogether, totalFlops } from "./cost.ts";
import type { Look, ScaleHook, SearchEvent } from "./hook.ts";
import { shrinkTo } from "./pictures/current.ts";
import { type GenerateRequest, type ResolvedRequest, resolveRequest } from "./request.ts";

/** What a request will cost: what `trace.cost` counts once it has been carried out. */
export interface PlannedCost extends CostCounts {
  /** How many times the operations of the same pictures without hooks; `undefined` if those are not known. */
  readonly ratio: number | undefined;
}

/**
 * Counts what a request will cost. Only a verifier of the model's own is loaded for it. Previews count as
 * {@linkcode generate.stream} makes them. What is made of texts alone, encoding of edited pictures and the
 * kernels between the networks are not counted, here or in a trace.
 *
 * @param model A loaded model.
 * @param request What would be generated, and how.
 * @throws {TypeError} If a hook rearranges lanes and does not say how, in `plan`, or the request is refused.
 * @throws {RangeError} If the request is refused.
 *
 * @example
 * ```ts
 * import { bestOfN, costOf, generate, loadModel, ownDensity } from "../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const hooks = [bestOfN({ samples: 4, verifier: ownDensity() })];
 * const { passes, decodes, flops, ratio } = await costOf(model, { labels: "red torus", hooks });
 * // Four lanes through six scales; density needs no picture, so only the best is decoded.
 * assertEquals([passes, decodes, ratio!.toFixed(2)], [24, 1, "3.09"]);
 * const { trace } = await generate(model, { labels: "red torus", hooks });
 * assertEquals(trace.cost.flops, flops);
 * ```
 */
export async function costOf(model: Model, request: GenerateRequest = {}): Promise<PlannedCost> {
  return await plannedCost(model, resolveRequest(model, request));
}

/** The same for a request that is resolved, whose pictures cost `plain` without hooks. */
export async function plannedCost(
  model: Model,
  request: ResolvedRequest,
  plain?: CostCounts,
): Promise<PlannedCost> {
  const counts = await countsOf(model, request);
  const without = { hooks: [], hookScales: [], lanes: 1, previews: new Set<number>() };
  const { flops } = plain ?? await countsOf(model, { ...request, ...without });
  const known = counts.flops !== undefined && flops !== undefined;
  return { ...counts, ratio: known ? counts.flops / flops : undefined };
}

async function countsOf(model: Model, request: ResolvedRequest): Promise<CostCounts> {
  const events = request.hooks.map((hook, i) => {
    const scales = request.hookScales[i];
    return eventsOf(hook, model, request).filter(({ scale }) => scales?.includes(scale) ?? true);
  });
  const asksOwn = events.flat().some(({ looks }) => looks.includes("own"));
  const own = asksOwn ? await model.verifier!() : undefined;
  const count = new Count(model, request, { events, own });
  const together = imagesTogether(request);
  for (let first = 0; first < request.labels.length; first += together) {
    count.batch(request.labels.slice(first, first + together));
  }
  return count.counts;
}

function eventsOf(hook: ScaleHook, model: Model, { schedule }: ResolvedRequest): readonly SearchEvent[] {
  if (hook.plan !== undefined) return hook.plan(schedule, model);
  if (hook.gather === undefined && (hook.shadows ?? 0) === 0) return [];
  const what = hook.gather === undefined ? "how often its shadow runs" : "what its gather does to lanes";
  throw new TypeError(
    `Cannot tell the cost as the hook "${hook.name}" must say in plan ${what}: it has no plan`,
  );
}

interface Search {
  /** What happens to lanes, by hook. */
  readonly events: readonly (readonly SearchEvent[])[];
  /** The model's own verifier, where it is asked. */
  readonly own: Look | undefined;
}

/** Goes through a request as `generate` does, and counts. */
class Count {
  readonly #model: Model;
  readonly #request: ResolvedRequest;
  readonly #search: Search;
  #passes = 0;
  #decodes = 0;
  #judged = 0;
  #transformer: number | undefined = 0;
  #decoder: number | undefined = 0;
  #judges: number | undefined = 0;

  constructor(model: Model, request: ResolvedRequest, search: Search) {
    this.#model = model;
    this.#request = request;
    this.#search = search;
  }

  get counts(): CostCounts {
    const counts = {
      passes: this.#passes,
      decodes: this.#decodes,
      judged: this.#judged,
      transformerFlops: this.#transformer,
      decoderFlops: this.#decoder,
      judgeFlops: this.#judges,
    };
    return { ...counts, flops: totalFlops(counts) };
  }

  /** Images that run together. */
  batch(labels: readonly ResolvedLabel[]): void {
    const { schedule, lanes, previews, given, until } = this.#request;
    const { events, own } = this.#search;
    const images = labels.length;
    const flops = this.#model.flops?.(schedule, guides(this.#model, labels, schedule));
    let left = lanes;
    /** Sizes in which the pictures of a scale are there. */
    const decoded = new Set<number>();
    const decode = (scale: number, shrink: number): void => {
      if (decoded.has(shrink)) return;
      decoded.add(shrink);
      this.#decodes += images * left;
      this.#decoder = plus(this.#decoder, images * left, flops?.decode(scale, shrink));
    };
    this.#transformer = plus(this.#transformer, images, flops?.condition);
    const pass = (scale: number): void => {
      this.#passes += images * left;
      this.#transformer = plus(this.#transformer, images * left, flops?.scales[scale]);
    };
    const acted = events.map(() => -1);
    for (const [scale, { picture }] of schedule.scales.slice(0, until + 1).entries()) {
      decoded.clear();
      pass(scale);
      const here = scale < given.scales
        ? []
        : events.flatMap((own, hook) =>
          own.filter((event) => event.scale === scale).map((event) => ({ ...event, hook }))
        );
      for (const { reruns = [], hook } of here) {
        (typeof reruns === "function" ? reruns(acted[hook]!) : reruns).forEach(pass);
        acted[hook] = scale;
      }
      for (const event of here) {
        for (const look of event.looks) {
          const asked = look === "own" ? own! : look;
          const { smallestEdge, pictures = true } = asked;
          const each = flopsOfLook(asked, schedule, scale);
          this.#judged += images * left;
          this.#judges = plus(this.#judges, images * left, each);
          if (pictures) decode(scale, shrinkTo(smallestEdge, picture, flops?.shrinks(scale)));
        }
        left = typeof event.lanes === "number" ? event.lanes : event.lanes(left);
      }
      if (previews.has(scale)) decode(scale, 1);
    }
    decode(until, 1);
  }
}

/** Operations of a look at a lane after a scale. */
export function flopsOfLook(look: Look, schedule: Schedule, scale: number): number | undefined {
  return look.flopsAfter === undefined ? look.flops : look.flopsAfter(schedule, scale);
}

/** A sum with `count` times a number; nothing is known of it once that is not. */
function plus(sum: number | undefined, count: number, each: number | undefined): number | undefined {
  return sum === undefined || each === undefined ? undefined : sum + count * each;
}
