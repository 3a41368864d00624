/**
 * What a generation will do, with nothing left to ask the command line for: from options here, from the
 * record of a run in the command that repeats one. Doing it is left to `execute.ts`.
 *
 * @module
 */

import type { GenerateRequest } from "../../mod.ts";
import { UsageError } from "../io.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import { searchOf } from "../options/method_options.ts";
import { isSearched, NO_SEARCH, searchName } from "../options/search.ts";
import { type LoadValues, type ModelPlace, modelPlace } from "../options/model_options.ts";
import { absolute } from "../options/place.ts";
import type { GivenPrompt } from "../options/prompts.ts";
import { type Labelled, labelOf, labelsOf, listedLabels } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import { type PlannedRefiner, refinedSampling, refinerOf, type RefinerValues } from "./collaboration.ts";
import type { GivenEdit, PlannedEdit } from "./edit_record.ts";
import type { Repeatable, Variant, WantedPicture } from "./run_record.ts";

/** A run with nothing left to ask the command line for. */
export interface GenerationPlan {
  readonly place: ModelPlace;
  /** What is known of the model beside the options. */
  readonly loading?: Pick<
    LoadValues,
    "modelDepth" | "modelSize" | "dtype" | "compute" | "cacheDtype" | "offload" | "cpuProvider"
  >;
  readonly variants: readonly Variant[];
  /** The request for a model, hooks and signal apart. */
  readonly request: (model: Labelled) => GenerateRequest;
  /** Whether a grid is wanted; `undefined` leaves it to the number of images. */
  readonly grid: boolean | undefined;
  readonly columns: number;
  /** What the command line says of the picture that is edited. */
  readonly edit?: GivenEdit | undefined;
  /** The only picture that is written, where the request makes more. */
  readonly only?: WantedPicture | undefined;
  /** Where pictures of the searches go, if they are wanted. */
  readonly tree?: string | undefined;
  /** Whether a strip of the scales of each image is written. */
  readonly stepwise: boolean;
  /** Whether pictures carry their recipes. */
  readonly recipe: boolean;
  /** Who draws the last scales, if another model does. */
  readonly refiner?: PlannedRefiner | undefined;
  /** Where features of prompts are at hand. */
  readonly textFeatures?: string | undefined;
  /** What is repeated. */
  readonly record?: Repeatable;
}

/** What a run shows. */
interface Wanted {
  /** Labels, each by itself. */
  readonly labels?: readonly string[];
  /** Labels between commas; for a model that takes texts, which may have commas too, a single one. */
  readonly listed?: string | undefined;
  /** Labels from a file, each by itself; none of them is a word for others. */
  readonly prompts?: readonly GivenPrompt[];
  /** What is edited, if anything. */
  readonly edit?: PlannedEdit;
}

/** A run as the options say. */
export function planOfOptions(options: GenerateValues & RefinerValues, wanted: Wanted): GenerationPlan {
  const { labels = [], listed, prompts = [], edit } = wanted;
  const { compare, preview, count, seed, indices, grid, columns, batch, memory } = options;
  const search = searchOf(options, compare ?? false);
  const searched = isSearched(search);
  if (compare && !searched) {
    const given = options.method === undefined ? "--no-scaling" : "--method none";
    throw new UsageError(`Options --compare and ${given} exclude each other`);
  }
  if (compare && (options.keep ?? 1) > 1) {
    throw new UsageError(
      "Options --compare and --keep exclude each other: of a plain image there is one picture",
    );
  }
  const refiner = refinerOf(options, search);
  const plain: Variant = { name: "plain", search: NO_SEARCH };
  const scaled: Variant = { name: searchName(search), search };
  return {
    place: modelPlace(options) ?? { folder: "demo" },
    variants: !searched ? [plain] : compare ? [plain, scaled] : [scaled],
    request: (model) => ({
      count,
      seed,
      ...(indices === undefined ? {} : { indices }),
      ...refinedSampling(options),
      ...samplingRequest(options),
      ...(batch === undefined ? {} : { batch }),
      ...(memory === undefined ? {} : { memory }),
      previews: preview ?? false,
      ...(edit === undefined ? {} : { edit: edit.request }),
      ...(labels.length === 0 && listed === undefined && prompts.length === 0 ? {} : {
        labels: [
          ...[...labels, ...listedLabels(model, listed)].flatMap((label) => labelsOf(model, label)),
          ...prompts.map(({ prompt }) => labelOf(model, prompt)),
        ],
      }),
    }),
    grid,
    columns,
    edit: edit?.given,
    tree: options.tree,
    stepwise: options.stepwise ?? false,
    // A recipe tells of one model.
    recipe: (options.recipe ?? true) && refiner === undefined,
    refiner,
    textFeatures: options.textFeatures === undefined ? undefined : absolute(options.textFeatures),
  };
}
