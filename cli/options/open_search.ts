/**
 * Opens what a search needs for a model that is loaded: the networks that judge and describe pictures, and
 * the settings that fit a budget. What the search is, the options or a record have said before.
 *
 * @module
 */

import { isAbsolute } from "node:path";
import {
  type GenerateRequest,
  type Judge,
  latentFeatures,
  loadFeatures,
  loadModel,
  type LoadNetworkOptions,
  loadVerifier,
  type Model,
  ownDensity,
  ownEvidence,
  plan,
  type ScaleHook,
  type Verifier,
} from "../../mod.ts";
import { type Io, say, untilEnded, UsageError } from "../io.ts";
import { Transfer } from "../output/transfer.ts";
import { duration, operations } from "../output/units.ts";
import { exists } from "../output/whole_file.ts";
import { list } from "../output/words.ts";
import { hooksOf, isJudged, type Judges, METHOD_TITLES, type Search, standInsFor } from "./search.ts";
import type { LoadValues } from "./model_options.ts";
import { optionName } from "./options.ts";
import { openHooks, type OwnHook } from "./own_hooks.ts";
import { askedFor, checkRequest } from "./requests.ts";

/** Who judges or describes, as a record holds it. */
export interface JudgeRecord {
  /** Its name. */
  readonly name: string;
  /** Where it is: a place, or a word for what needs no network. */
  readonly place: string;
  /** What tells its files from others, where it is known. */
  readonly fingerprint?: string;
}

/** Who judges and describes, as a record holds it. */
export interface JudgeRecords {
  readonly verifier?: JudgeRecord;
  readonly features?: JudgeRecord;
  /** The text for a class, for a verifier that compares pictures with texts. */
  readonly template?: string;
  /** What an image was to cost at the most, where that decided the settings. */
  readonly budget?: string;
}

/** What a search is opened for. */
export interface OpenSearchOptions {
  /** What the model is asked for, hooks apart. */
  readonly request: GenerateRequest;
  /** How networks are loaded. */
  readonly options: Pick<LoadValues, "threads" | "cpuProvider" | "quiet">;
  readonly io: Io;
}

type Opened = Judges & AsyncDisposable;

/**
 * Refuses places of networks on the disk where nothing is, and hooks of the reader's own that are none.
 * Loading a large model takes minutes, so this comes before.
 *
 * @throws {UsageError} If there is one.
 */
export async function requirePlaces({ verifier, features, hooks = [] }: Search): Promise<void> {
  await openHooks(hooks);
  for (const [option, place] of Object.entries({ verifier, features })) {
    const path = place?.replace(/^[\w-]{2,}:(?!\/\/)/, "") ?? "";
    if (!isAbsolute(path) || await exists(path)) continue;
    throw new UsageError(
      `Option ${optionName(option)} must name a network that is there: current value is "${place}"`,
    );
  }
}

/** A search that can be done; its hooks outlive the loss of the device. */
export class OpenedSearch implements AsyncDisposable {
  /** What acts between the scales. */
  readonly hooks: readonly ScaleHook[];
  /** Those of them that are the reader's own. */
  readonly own: readonly OwnHook[];
  /** Who judges and describes, for a record. */
  readonly records: JudgeRecords;
  readonly #search: Search;
  readonly #options: OpenSearchOptions;
  #judges: Opened;

  private constructor(
    search: Search,
    options: OpenSearchOptions,
    facts: {
      readonly judges: Opened;
      /** The model's own verifier, where it is asked. */
      readonly own: Verifier | undefined;
      readonly hooks: readonly OwnHook[];
    },
  ) {
    const { verifier, features } = this.#judges = facts.judges;
    this.#search = search;
    this.#options = options;
    this.own = facts.hooks;
    const methods = hooksOf(search, {
      ...(verifier && { verifier: this.#lasting(verifier, () => this.#judges.verifier!) }),
      ...(features && { features: this.#lasting(features, () => this.#judges.features!) }),
    });
    this.hooks = [...methods, ...facts.hooks.map(({ hook }) => hook)];
    const { template, budget } = search;
    const judge = verifier ?? facts.own;
    this.records = {
      ...(judge && { verifier: recordOf(judge, search.verifier ?? "own") }),
      ...(features && { features: recordOf(features, search.features!) }),
      ...(template !== undefined && { template }),
      ...(budget !== undefined && { budget }),
    };
  }

  /**
   * Opens a search.
   *
   * @throws {UsageError} If its judges are not there, the model brings none, or cannot be searched so.
   */
  static async open(search: Search, model: Model, options: OpenSearchOptions): Promise<OpenedSearch> {
    const judging = search.methods.find(({ name }) => isJudged(name));
    const needsOwn = judging !== undefined && (search.verifier ?? "own") === "own";
    if (needsOwn && model.verifier === undefined) {
      throw new UsageError(
        `Option --verifier is needed, as the model "${model.name}" brings none of its own: a network, or evidence or density, which need none`,
      );
    }
    const hooks = await openHooks(search.hooks ?? []);
    // What cannot be followed is refused before networks are loaded.
    if (search.budget === undefined) {
      const methods = hooksOf(search, standInsFor(search));
      checkRequest(model, { ...options.request, hooks: [...methods, ...hooks.map(({ hook }) => hook)] });
    }
    const own = needsOwn ? await model.verifier!() : undefined;
    await using stack = new AsyncDisposableStack();
    const judges = stack.use(await openJudges(search, model, options));
    const fitted = search.budget === undefined ? search : await withinBudget(search, model, judges, options);
    const opened = new OpenedSearch(fitted, options, { judges, own, hooks });
    stack.move();
    return opened;
  }

  /** Opens its judges anew, for a model that has taken the place of the one before. */
  async reopen(model: Model): Promise<void> {
    await Promise.resolve(this.#judges[Symbol.asyncDispose]()).catch(() => {});
    this.#judges = { [Symbol.asyncDispose]: () => Promise.resolve() };
    this.#judges = await openJudges(this.#search, model, this.#options);
  }

  /** Unloads them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judges[Symbol.asyncDispose]();
  }

  /** A judge that asks whoever is open by then. */
  #lasting<Asked extends object>(first: Asked, now: () => Asked): Asked {
    return new Proxy(first, {
      get: (_, name) => {
        const value = Reflect.get(now(), name);
        return typeof value === "function" ? value.bind(now()) : value;
      },
    });
  }
}

function recordOf(judge: { readonly name: string }, place: string): JudgeRecord {
  const fingerprint: unknown = Reflect.get(judge, "fingerprint");
  return { name: judge.name, place, ...(typeof fingerprint === "string" && { fingerprint }) };
}

/** The search with the settings that its budget allows. */
async function withinBudget(
  search: Search,
  model: Model,
  { verifier, features }: Judges,
  { request, options: { quiet = false }, io }: OpenSearchOptions,
): Promise<Search> {
  const { methods, budget } = search;
  // VAR-Scaling runs no network, so that it goes with any of the others at the same cost.
  const name = methods.map(({ name }) => name).find(isJudged) ?? "var-scaling";
  const { plain, plainSeconds, searches: [found] } = await askedFor(() =>
    plan(model, {
      budget: budget!,
      methods: [name],
      request,
      ...(verifier && { verifier }),
      ...(features && { features }),
    })
  );
  const { fits, options: settings, cost: { ratio } } = found!;
  const timed = plainSeconds === undefined ? "" : `, which took ${duration(1000 * plainSeconds)}`;
  const cost = `${ratio!.toFixed(2)} times the ${operations(plain.flops!)} of a plain image${timed}`;
  if (!fits) {
    throw new UsageError(
      `Option --budget must allow ${cost}, as ${
        METHOD_TITLES[name]
      } takes no less: current value is "${budget}"`,
    );
  }
  const chosen = Object.entries(settings).map(([option, value]) => `${option} ${value}`);
  const what = chosen.length === 0 ? "" : ` with ${list(chosen, "and")}`;
  if (!quiet) say(io, `for ${budget}: ${METHOD_TITLES[name]}${what}, ${cost}`);
  return { ...search, methods: methods.map((method) => method.name === name ? { name, settings } : method) };
}

async function openJudges(search: Search, model: Model, options: OpenSearchOptions): Promise<Opened> {
  const { verifier, features, template } = search;
  await using stack = new AsyncDisposableStack();
  const judges: Judges = {
    ...(verifier !== undefined && {
      verifier: stack.use(await openVerifier(verifier, model, { ...options, template })).judge,
    }),
    ...(features !== undefined && { features: await openFeatures(features) }),
  };
  const opened = stack.move();
  return { ...judges, [Symbol.asyncDispose]: () => opened.disposeAsync() };

  async function openFeatures(place: string): Promise<NonNullable<Judges["features"]>> {
    if (place === "latent") return latentFeatures();
    if (place === "own") {
      if (model.extractor !== undefined) return await model.extractor();
      throw new UsageError(
        `Option --features must name a network, as the model "${model.name}" brings none of its own`,
      );
    }
    return stack.use(
      await openNetwork("--features", place, options, (how) => loadFeatures(place, { model, ...how })),
    );
  }
}

/** How a judge is opened, and for which option. */
export interface OpenVerifierOptions extends Omit<OpenSearchOptions, "request"> {
  /** Name of the option that says where it is. */
  readonly option?: string;
  /** The text for a class, for one that compares pictures with texts. */
  readonly template?: string | undefined;
}

/**
 * Opens a judge: `own`, `evidence`, `density`, or a network.
 *
 * @throws {UsageError} If it is not there, or the model brings none of its own.
 */
export async function openVerifier(
  place: string,
  model: Model,
  { option = "--verifier", template, ...options }: OpenVerifierOptions,
): Promise<{ readonly judge: Judge } & AsyncDisposable> {
  // What belongs to the model, or to nobody, stays.
  const lent = (judge: Judge) => ({ judge, [Symbol.asyncDispose]: () => Promise.resolve() });
  if (place === "own") {
    if (model.verifier !== undefined) return lent(await model.verifier());
    throw new UsageError(
      `Option ${option} is needed, as the model "${model.name}" brings none of its own: a network, or evidence or density, which need none`,
    );
  }
  if (place === "evidence") return lent(ownEvidence());
  const [, other] = /^evidence:(.+)$/s.exec(place) ?? [];
  if (other !== undefined) {
    const judging = await openNetwork(
      option,
      other,
      options,
      (how) => loadModel(other, { device: model.device, ...how }),
    );
    return {
      judge: ownEvidence({ model: judging }),
      [Symbol.asyncDispose]: () => judging[Symbol.asyncDispose](),
    };
  }
  if (place === "density") return lent(ownDensity());
  const named = template === undefined ? {} : { template };
  const judge = await openNetwork(
    option,
    place,
    options,
    (how) => loadVerifier(place, { model, ...how, ...named }),
  );
  return { judge, [Symbol.asyncDispose]: () => judge[Symbol.asyncDispose]() };
}

/** Loads a network, says so, and names the option where it cannot be. */
async function openNetwork<Network extends AsyncDisposable>(
  option: string,
  place: string,
  { options: { threads, cpuProvider, quiet = false }, io }: Omit<OpenSearchOptions, "request">,
  work: (options: LoadNetworkOptions) => Promise<Network>,
): Promise<Network> {
  using transfer = new Transfer(io);
  if (!quiet) say(io, `loading ${place}`);
  const how: LoadNetworkOptions = {
    cpuProvider,
    signal: io.signal,
    ...(threads === undefined ? {} : { threads }),
    ...(quiet ? {} : { onProgress: transfer.report }),
  };
  try {
    return await untilEnded(io.signal, work(how));
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof TypeError || error instanceof RangeError;
    if (isUsage) throw new UsageError(`Option ${option}: ${error.message}`, { cause: error });
    throw error;
  }
}
