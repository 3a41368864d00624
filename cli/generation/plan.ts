/**
 * What a generation will do, with nothing left to ask the command line for: from options here, from the
 * record of a run in the command that repeats one. Doing it is left to `execute.ts`.
 *
 * @module
 */

import type { GenerateRequest, Label } from "../../mod.ts";
import { UsageError } from "../io.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import { type LoadValues, type ModelPlace, modelPlace } from "../options/model_options.ts";
import type { GivenPrompt } from "../options/prompts.ts";
import { type Labelled, labelOf, requireClasses } from "../options/requests.ts";
import { samplingRequest } from "../options/sampling_options.ts";
import { scalingHook } from "../options/scaling_options.ts";
import type { GivenEdit, PlannedEdit } from "./edit_record.ts";
import type { RunRecord, Variant } from "./run_record.ts";

/** A run with nothing left to ask the command line for. */
export interface GenerationPlan {
  readonly place: ModelPlace;
  /** What is known of the model beside the options. */
  readonly loading?: Pick<LoadValues, "modelDepth" | "modelSize" | "dtype" | "cacheDtype" | "offload">;
  readonly variants: readonly Variant[];
  /** The request for a model, hooks and signal apart. */
  readonly request: (model: Labelled) => GenerateRequest;
  /** Whether a grid is wanted; `undefined` leaves it to the number of images. */
  readonly grid: boolean | undefined;
  readonly columns: number;
  /** What the command line says of the picture that is edited. */
  readonly edit?: GivenEdit | undefined;
  /** What is repeated. */
  readonly record?: RunRecord;
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
export function planOfOptions(options: GenerateValues, wanted: Wanted): GenerationPlan {
  const { labels = [], listed, prompts = [], edit } = wanted;
  const { compare, preview, count, seed, grid, columns, batch, memory } = options;
  if (compare && options.scaling === false) {
    throw new UsageError("Options --compare and --no-scaling exclude each other");
  }
  const hook = scalingHook(options, compare ?? false);
  const plain: Variant = { name: "plain", hooks: [] };
  const scaled = hook === undefined ? undefined : { name: "var-scaling", hooks: [hook] };
  return {
    place: modelPlace(options) ?? { folder: "demo" },
    variants: scaled === undefined ? [plain] : compare ? [plain, scaled] : [scaled],
    request: (model) => ({
      count,
      seed,
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
  };
}

function listedLabels({ labels }: Labelled, listed: string | undefined): string[] {
  if (listed === undefined) return [];
  return labels.kind === "texts" ? [listed] : listed.split(",").map((label) => label.trim());
}

function labelsOf(model: Labelled, label: string): Label[] {
  if (label === "null") return [null];
  if (label !== "all") return [labelOf(model, label)];
  const { count } = requireClasses(model, 'generate "all" classes');
  return Array.from({ length: count }, (_, id) => id);
}
