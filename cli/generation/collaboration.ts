/**
 * Two models that paint one picture, as options and records say it: which model draws the last scales, from
 * which one on, and whether the first model is unloaded before. How they do it is the library's.
 *
 * @module
 */

import {
  collaborate,
  generate as library,
  type GenerateEvent,
  type GenerateRequest,
  type Model,
  PUBLISHED_COLLABORATION,
} from "../../mod.ts";
import { type Io, UsageError } from "../io.ts";
import { choice, flag, integer, type Kind, text } from "../options/kinds.ts";
import { load, type LoadValues, type ModelPlace, modelPlace } from "../options/model_options.ts";
import { optionName, section, type Values } from "../options/options.ts";
import { checkOutline } from "../options/requests.ts";
import { isJudged, METHOD_TITLES, type Search } from "../options/search.ts";
import { type ModelRecord, modelRecord } from "./model_record.ts";

/** A scale by its number, from the end if it is negative. */
const scale: Kind<number> = {
  placeholder: "K",
  parse: (value) => {
    if (!/^-?\d{1,3}$/.test(value)) {
      throw new RangeError("must be the number of a scale, negative ones from the end");
    }
    return Number(value);
  },
};

/** Options of a second model. */
export const REFINER_OPTIONS = {
  ...section("Two models", {
    refiner: {
      kind: text("PLACE"),
      help:
        "A model that draws the last scales, as --model names one: smaller than the model, which draws the first ones, with the same tokenizer",
    },
    refineFrom: {
      kind: scale,
      help: "The first scale that the refiner draws; 0 leaves all to it, their number none",
      defaultText: "-2, the last two",
    },
    refinerDepth: { kind: integer("N", 1), help: "Depth that the refiner must have" },
    refinerSize: { kind: text("NAME"), help: "Name of the size that the refiner must have" },
    refinePreset: {
      kind: choice(["default", "published"]),
      help:
        "published draws as the released script of the method, CoDe, for models of ten scales: from scale 8, cfg 1.5, top-k 600, top-p 0.96, temperature 1.1 on the first seven",
      defaultText: "default",
    },
    unloadDrafter: {
      kind: flag,
      help: "Draft all images and unload the model before the refiner is loaded, for less memory",
    },
  }),
};

/** Values of these options, of commands that have them. */
export type RefinerValues = Partial<Values<typeof REFINER_OPTIONS>>;

/** Who draws the last scales, with nothing left to ask the command line for. */
export interface PlannedRefiner {
  readonly place: ModelPlace;
  readonly modelDepth?: number | undefined;
  readonly modelSize?: string | undefined;
  /** The first scale that it draws. */
  readonly from: number;
  /** Whether the drafter is unloaded before it is loaded. */
  readonly unload: boolean;
}

/** What a record says of two models. */
export interface CollaborationRecord {
  /** The first scale that the refiner draws. */
  readonly from: number;
  /** Whether the drafter was unloaded before the refiner was loaded. */
  readonly unload: boolean;
  /** The refiner and its weights. */
  readonly refiner: Omit<ModelRecord, "tuning">;
}

/**
 * What the options say of a second model.
 *
 * @throws {UsageError} If they contradict each other.
 */
export function refinerOf(
  values: RefinerValues & { readonly compare?: boolean | undefined },
  search: Search,
): PlannedRefiner | undefined {
  const { refiner, refineFrom, refinePreset, refinerDepth, refinerSize, unloadDrafter = false } = values;
  if (refiner === undefined) {
    const option = Object.keys(REFINER_OPTIONS).find((name) => {
      return ![undefined, false].includes(Reflect.get(values, name));
    });
    if (option !== undefined) throw new UsageError(`Option ${optionName(option)} goes with --refiner`);
    return undefined;
  }
  if (refinerDepth !== undefined && refinerSize !== undefined) {
    throw new UsageError("Options --refiner-depth and --refiner-size exclude each other");
  }
  if (unloadDrafter && values.compare) {
    throw new UsageError(
      "Options --unload-drafter and --compare exclude each other, as the model is needed for both",
    );
  }
  const judged = search.methods.find(({ name }) => isJudged(name));
  if (judged !== undefined) {
    throw new UsageError(
      `Options --refiner and --method ${judged.name} exclude each other: ${
        METHOD_TITLES[judged.name]
      } rearranges lanes, and the refiner goes on with one draft of each image`,
    );
  }
  if (search.budget !== undefined) {
    throw new UsageError("Options --refiner and --budget exclude each other: what it costs is settled");
  }
  const from = refineFrom ?? (refinePreset === "published" ? PUBLISHED_COLLABORATION.from : -2);
  const place = modelPlace({ model: refiner } as Parameters<typeof modelPlace>[0])!;
  return { place, modelDepth: refinerDepth, modelSize: refinerSize, from, unload: unloadDrafter };
}

/** How the options draw because of the second model; what is given beside wins. */
export function refinedSampling({ refinePreset }: RefinerValues): GenerateRequest {
  if (refinePreset !== "published") return {};
  const { from: _settled, ...sampling } = PUBLISHED_COLLABORATION;
  return sampling;
}

/** The refiner that a record says was there. */
export function recordedRefiner(
  record: CollaborationRecord | undefined,
  { refiner, unloadDrafter = false }: RefinerValues,
): PlannedRefiner | undefined {
  if (record === undefined) {
    if (refiner === undefined) return undefined;
    throw new UsageError("Option --refiner must be left out, as one model has made the recorded run");
  }
  const place = refiner === undefined
    ? record.refiner.place
    : modelPlace({ model: refiner } as Parameters<typeof modelPlace>[0])!;
  const { depth, size } = record.refiner;
  return {
    place,
    modelDepth: depth,
    modelSize: size,
    from: record.from,
    unload: unloadDrafter || record.unload,
  };
}

/** How a plan paints: with the model alone, or with another one that draws the last scales. */
export class Painter implements AsyncDisposable {
  readonly #model: Model;
  readonly #planned: PlannedRefiner | undefined;
  readonly #load: (() => Promise<Model>) | undefined;
  #refiner: Model | undefined;
  #record: CollaborationRecord | undefined;

  private constructor(model: Model, planned?: PlannedRefiner, load?: () => Promise<Model>) {
    this.#model = model;
    this.#planned = planned;
    this.#load = load;
  }

  /** Loads the second model, where there is one, unless the first is to be unloaded before. */
  static async open(
    model: Model,
    planned: PlannedRefiner | undefined,
    { values, request, io }: {
      readonly values: LoadValues;
      readonly request: GenerateRequest;
      readonly io: Io;
    },
  ): Promise<Painter> {
    if (planned === undefined) return new Painter(model);
    const { modelDepth, modelSize, place } = planned;
    const painter = new Painter(model, planned, async () => {
      const refiner = await load(place, { ...values, modelDepth, modelSize }, io, (outline) => {
        checkOutline(outline, request);
      });
      painter.#record = recordOf(refiner, planned);
      return refiner;
    });
    if (planned.unload) {
      // What is asked for afterwards, when its files are closed.
      void model.fingerprints;
    } else {
      painter.#refiner = await painter.#load!();
    }
    return painter;
  }

  /** Paints, and tells what happens. */
  stream(request: GenerateRequest): AsyncGenerator<GenerateEvent, void, void> {
    if (this.#planned === undefined) return library.stream(this.#model, request);
    const { from } = this.#planned;
    const refiner = this.#refiner ?? this.#load!;
    const drafter = this.#refiner === undefined ? () => Promise.resolve(this.#model) : this.#model;
    return collaborate.stream(drafter, refiner, { ...request, from });
  }

  /** What a record says of it, once something has been painted. */
  get record(): CollaborationRecord | undefined {
    return this.#record;
  }

  /** Unloads the second model. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#refiner?.[Symbol.asyncDispose]();
  }
}

function recordOf(refiner: Model, { place, from, unload }: PlannedRefiner): CollaborationRecord {
  // It searches for nothing, so its search settings do not matter.
  const { tuning: _none, ...record } = modelRecord(refiner, place);
  return { from, unload, refiner: record };
}
