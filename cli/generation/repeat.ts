/**
 * From what was recorded to a plan that does the same again: the record of a run, `run.json`, or the recipe
 * that a picture carries. A picture may come from anybody, so its recipe names no address that is called
 * unasked. What may stand beside `--repeat` is left to the command.
 *
 * @module
 */

import { dirname } from "node:path";
import type { EditRequest } from "../../mod.ts";
import { UsageError } from "../io.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import { readBytes } from "../options/given_files.ts";
import { mapPlace, modelPlace, providerAgain } from "../options/model_options.ts";
import type { JudgeRecord } from "../options/open_search.ts";
import { absolute, withHome } from "../options/place.ts";
import { exists } from "../output/whole_file.ts";
import { recordedRefiner, type RefinerValues } from "./collaboration.ts";
import { type EditRecord, recordedEdit, SOURCE_FILE } from "./edit_record.ts";
import type { GenerationPlan } from "./plan.ts";
import { readRecipe, type Recipe, type RecipeRequest } from "./recipe.ts";
import {
  outcomesOf,
  readRunRecord,
  recordedVariants,
  type Repeatable,
  type RunRecord,
  type VariantRecord,
} from "./run_record.ts";
import { completeSampling } from "./sampling_record.ts";

/**
 * Reads what can be done again: a `run.json`, or a PNG file with its recipe.
 *
 * @throws {UsageError} If the file is neither.
 */
export async function readRepeatable(path: string): Promise<Repeatable> {
  const bytes = await readBytes(path);
  // Of JSON only an object will do; whoever reads it says what else is wrong with it.
  if (/^\s*\{/.test(new TextDecoder().decode(bytes.subarray(0, 64)))) {
    return await repeatableRun(await readRunRecord(path));
  }
  const refuse = (reason: string): never => {
    throw new UsageError(
      `Cannot repeat ${path}: it must be a run.json, or a PNG file with the recipe that varscale writes into it: ${reason}`,
    );
  };
  let recipe: Recipe | undefined;
  try {
    recipe = readRecipe(bytes);
  } catch (error) {
    refuse((error as Error).message);
  }
  return recipe === undefined ? refuse("this one has none") : repeatableRecipe(recipe, path);
}

async function repeatableRun(record: RunRecord): Promise<Repeatable> {
  const { versions, model, collaboration, device, request, variants, grid, images } = record;
  return {
    version: versions.varscale,
    model,
    ...(collaboration && { collaboration }),
    place: () => model.place,
    device,
    request,
    variants,
    grid,
    outcomes: await outcomesOf(images),
    featuresGiven: false,
  };
}

/**
 * What a recipe asks for, with places of this machine.
 *
 * @param recipe The recipe.
 * @param path Where it was found, for messages.
 * @throws {UsageError} If it names an address.
 */
export function repeatableRecipe(recipe: Recipe, path: string): Repeatable {
  const { versions, model, device, request, variants, grid, images } = recipe;
  const here = (what: string, place: string, remedy: string): string => {
    if (/^[\\/]{2}|https?:\/\//i.test(place)) {
      throw new UsageError(
        `Cannot repeat ${path}: its ${what} is at ${place}, and no picture is trusted to name an address; ${remedy}`,
      );
    }
    return withHome(place);
  };
  const module = variants.flatMap(({ hooks }) => hooks).find(({ module }) => module !== undefined)?.module;
  if (module !== undefined) {
    throw new UsageError(
      `Cannot repeat ${path}: it was made with the hook ${module.path}, and no picture is trusted to name code that is run; use the run.json of its run`,
    );
  }
  const judge = (what: string, record: JudgeRecord): JudgeRecord => {
    return { ...record, place: here(what, record.place, "use the run.json of its run") };
  };
  return {
    version: versions.varscale,
    model,
    place: () => mapPlace(model.place, (place) => here("model", place, "name it with --model")),
    device: { ...device, name: device.kind === "cpu" ? "a CPU" : "a GPU" },
    request: recordedRequest(request),
    variants: variants.map(({ verifier, features, ...variant }): VariantRecord => ({
      ...variant,
      ...(verifier && { verifier: judge("verifier", verifier) }),
      ...(features && { features: judge("network for features", features) }),
    })),
    grid: grid ?? null,
    outcomes: images,
    featuresGiven: request.featuresGiven === true,
  };
}

/** What a recipe asks for, and nothing that it may hold beside that. */
function recordedRequest(request: RecipeRequest): Repeatable["request"] {
  const { labels, indices, seed, batch, only, edit } = request;
  const { cfg, guidance, topK, topP, minP, temperature, published, moreSmooth } = request;
  const { patchNumbers, size, familyOptions } = request;
  return {
    ...{ labels, indices, seed, cfg, guidance, topK, topP, minP, temperature, published, moreSmooth },
    ...(patchNumbers === undefined ? {} : { patchNumbers }),
    ...(size === undefined ? {} : { size }),
    ...(familyOptions === undefined ? {} : { familyOptions }),
    ...(batch === undefined ? {} : { batch }),
    ...(only === undefined ? {} : { only }),
    ...(edit === undefined ? {} : { edit: { ...edit, source: SOURCE_FILE } }),
  };
}

/** Options that count beside what is repeated. */
export type RepeatValues =
  & GenerateValues
  & RefinerValues
  & { readonly given: ReadonlySet<string> };

/**
 * A plan that does the same again.
 *
 * @param record What.
 * @param path Where it was found; what was edited lies beside it.
 * @param options Where to read and write, and nothing that changes an image.
 * @throws {UsageError} If what was edited is not there, or a hook or a setting is unknown.
 */
export async function planOfRecord(
  record: Repeatable,
  path: string,
  options: RepeatValues,
): Promise<GenerationPlan> {
  const { model } = record;
  const { labels, indices, only, seed, batch, previews, stepwise, edit, textFeatures, ...sampling } =
    record.request;
  const again = edit === undefined ? undefined : await editAgain(edit, path);
  const refiner = recordedRefiner(record.collaboration, options);
  return {
    place: modelPlace(options) ?? record.place(),
    loading: {
      modelDepth: options.modelDepth ?? model.depth,
      modelSize: options.modelSize ?? model.size,
      dtype: model.dtype ?? options.dtype,
      compute: model.compute,
      cacheDtype: model.cacheDtype,
      offload: options.offload ?? model.offload,
      cpuProvider: providerAgain(options.cpuProvider, record.device),
    },
    variants: recordedVariants(record),
    request: () => ({
      ...completeSampling(sampling),
      ...(batch === undefined ? {} : { batch }),
      previews: previews ?? false,
      ...(again === undefined ? {} : { edit: again }),
      labels: labels.map(({ id, prompt }) => prompt ?? id),
      ...(indices === undefined ? {} : { indices }),
      seed: typeof seed === "string" ? BigInt(seed) : seed,
    }),
    only,
    grid: options.grid ?? record.grid !== null,
    columns: options.given.has("columns") ? options.columns : record.grid?.columns ?? options.columns,
    edit: edit?.given,
    tree: options.tree,
    stepwise: options.stepwise || (stepwise ?? false),
    // A recipe tells of one model.
    recipe: (options.recipe ?? true) && refiner === undefined,
    refiner,
    textFeatures: options.textFeatures === undefined ? textFeatures : absolute(options.textFeatures),
    record,
  };
}

/** What was edited lies beside the record, or the picture. */
async function editAgain(edit: EditRecord, path: string): Promise<EditRequest> {
  const source = `${dirname(path)}/${edit.source}`;
  if (!await exists(source)) {
    throw new UsageError(
      `Cannot repeat ${path}: it was made of another picture, which must lie beside it as ${edit.source}`,
    );
  }
  return await recordedEdit(edit, path);
}
