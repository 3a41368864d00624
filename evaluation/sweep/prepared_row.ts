/**
 * A row of a sweep on its model: the hooks of its settings, of equal cost where the plan wants that, and what
 * they cost. Networks that settings name are opened once for all rows of a model.
 *
 * @module
 */

import { loadFeatures, loadModel, loadVerifier, type Model } from "../../models/mod.ts";
import {
  bestOfN,
  costOf,
  type GenerateRequest,
  latentFeatures,
  ownDensity,
  ownEvidence,
  plan as planSearch,
  type PlannedMethod,
  resolveRequest,
  type ScaleHook,
} from "../../sampler/mod.ts";
import { hooksOf, partsOf, requestSettings, scalingHooks, type SearchJudges } from "./methods.ts";
import type { PlannedRow, SweepPlan } from "./plan.ts";

/** A row, ready to run. */
export interface PreparedRow {
  /** The row. */
  readonly row: PlannedRow;
  /** What it consists of. */
  readonly hooks: readonly ScaleHook[];
  /** How tokens are drawn. */
  readonly request: GenerateRequest;
  /** Operations of a picture. */
  readonly flops: number;
  /** Operations of a plain picture. */
  readonly plainFlops: number;
}

/** A row that the model cannot have. */
export interface MisfitRow {
  /** The row. */
  readonly row: PlannedRow;
  /** Why. */
  readonly missing: string;
}

/** The networks that judge and describe lanes for the rows of a model, by their places. */
export class RowNetworks implements AsyncDisposable {
  readonly #model: Model;
  readonly #owned = new AsyncDisposableStack();
  readonly #opened = new Map<string, Promise<unknown>>();

  /** @param model What they judge. */
  constructor(model: Model) {
    this.#model = model;
  }

  /** Those of a row. */
  async of({ settings, method }: PlannedRow, signal?: AbortSignal): Promise<SearchJudges> {
    const { verifier, features } = settings as { verifier?: string; features?: string };
    const describes = partsOf(method).search === "tts-var";
    return {
      ...(verifier === undefined ? {} : { verifier: await this.#verifier(verifier, signal) }),
      ...(features === undefined || !describes ? {} : { features: await this.#features(features, signal) }),
    };
  }

  #verifier(place: string, signal?: AbortSignal): Promise<NonNullable<SearchJudges["verifier"]>> {
    return this.#once(`verifier ${place}`, async () => {
      if (place === "evidence") return ownEvidence();
      if (place.startsWith("evidence:")) {
        const other = await loadModel(place.slice("evidence:".length), {
          device: this.#model.device,
          signal,
        });
        return ownEvidence({ model: this.#owned.use(other) });
      }
      if (place === "density") return ownDensity();
      if (place === "own") return await required(this.#model, "verifier")();
      return this.#owned.use(await loadVerifier(place, { model: this.#model, signal }));
    });
  }

  #features(place: string, signal?: AbortSignal): Promise<NonNullable<SearchJudges["features"]>> {
    return this.#once(`features ${place}`, async () => {
      if (place === "latent") return latentFeatures();
      if (place === "own") return await required(this.#model, "extractor")();
      return this.#owned.use(await loadFeatures(place, { model: this.#model, signal }));
    });
  }

  #once<Network>(name: string, open: () => Promise<Network>): Promise<Network> {
    const opened = this.#opened.get(name) as Promise<Network> | undefined ?? open();
    this.#opened.set(name, opened);
    return opened;
  }

  /** Unloads them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

function required<Name extends "verifier" | "extractor">(model: Model, name: Name): NonNullable<Model[Name]> {
  const found = model[name];
  if (found !== undefined) return found as NonNullable<Model[Name]>;
  throw new RangeError(`the model "${model.name}" brings no ${name} of its own`);
}

/**
 * Prepares a row.
 *
 * @param label Something that the model can paint, for costs.
 * @returns The row with its hooks, or why the model cannot have it.
 */
export async function prepareRow(
  model: Model,
  row: PlannedRow,
  { plan: { equal }, networks, label, signal }: {
    readonly plan: Pick<SweepPlan, "equal">;
    readonly networks: RowNetworks;
    readonly label: number | string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<PreparedRow | MisfitRow> {
  const { method, settings } = row;
  const request = requestSettings(settings);
  const plain = { ...request, labels: label };
  try {
    const judges = await networks.of(row, signal);
    const found = equal === "compute" && partsOf(method).search !== undefined
      ? await equalHooks(model, row, judges, plain)
      : hooksOf(method, settings, { ...judges, scales: model.schedule(scheduleOf(request)).scales.length });
    if (typeof found === "string") return { row, missing: found };
    resolveRequest(model, { ...plain, hooks: found });
    const { flops, transformerFlops, decoderFlops } = await costOf(model, { ...plain, hooks: found });
    const { flops: plainFlops } = await costOf(model, { labels: label });
    // A verifier that does not tell its operations is not counted.
    const counted = flops ?? (transformerFlops ?? NaN) + (decoderFlops ?? NaN);
    return { row, hooks: found, request, flops: counted, plainFlops: plainFlops ?? NaN };
  } catch (error) {
    // What a model cannot do is said before it does anything; all else is no matter of a row.
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    return { row, missing: error.message };
  }
}

/** The settings of a request that a schedule is made of. */
function scheduleOf(request: GenerateRequest): GenerateRequest {
  return request;
}

/** The largest setting that costs no more than Best-of-N, or why there is none. */
async function equalHooks(
  model: Model,
  { method, settings }: PlannedRow,
  judges: SearchJudges,
  request: GenerateRequest,
): Promise<readonly ScaleHook[] | string> {
  const { search } = partsOf(method);
  const samples = settings.samples as number;
  // Best-of-N with the model's own network sets the budget, whoever judges in the row.
  const best = model.verifier === undefined
    ? undefined
    : await costOf(model, { ...request, hooks: [bestOfN({ samples })] });
  const { searches: [found] } = await planSearch(model, {
    budget: best?.flops ?? `${samples}x`,
    methods: [search as PlannedMethod],
    request,
    ...judges,
  });
  const { fits, hooks, cost } = found!;
  if (fits) return [...scalingHooks(method, settings), ...hooks];
  return `the least that it needs is ${cost.ratio!.toFixed(2)} plain pictures`;
}
