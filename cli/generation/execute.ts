/**
 * Carries out a generation: loads the model, generates, and writes images and record. What is to be done says
 * the plan; how the result is shown, the report.
 *
 * @module
 */

import {
  type GeneratedImage,
  type GenerateRequest,
  type GridCell,
  type Model,
  type ResolvedRequest,
  RgbaImage,
  type ScaleHook,
  type Stepwise,
  stepwise,
  type Trace,
} from "../../mod.ts";
import { type Io, say } from "../io.ts";
import type { GenerateValues } from "../options/generate_options.ts";
import { describeDevice, type DeviceRecord, deviceRecord, load } from "../options/model_options.ts";
import { isSearched } from "../options/search.ts";
import { OpenedSearch, requirePlaces } from "../options/open_search.ts";
import { checkOutline, checkRequest } from "../options/requests.ts";
import { readFeatures } from "../options/text_features.ts";
import { formatJson } from "../output/format_json.ts";
import { OutputFolder } from "../output/output_folder.ts";
import { Progress } from "../output/progress.ts";
import { list, plural } from "../output/words.ts";
import { VERSION } from "../version.ts";
import { Painter } from "./collaboration.ts";
import { drawRegion, REGION_FILE, SOURCE_FILE } from "./edit_record.ts";
import { recordOfRun } from "./finished_run.ts";
import { GRID_FILE, lanesAfter, Layout, RECORD_FILE, SHEET } from "./layout.ts";
import type { GenerationPlan } from "./plan.ts";
import { pictureFile, Recipes, withRecipe } from "./recipe.ts";
import { compareRuns, type ImageRecord, imageRecord, type Outcome, type Repeatable } from "./run_record.ts";
import { drawGrid, jsonSummary, summary, title, type VariantResult } from "./run_report.ts";
import { TreeFiles } from "./tree_files.ts";

/** Carries out a generation. */
export async function execute(plan: GenerationPlan, options: GenerateValues, io: Io): Promise<void> {
  const { output, overwrite = false, quiet, json } = options;
  // Loading a large model takes minutes; what can be refused before that should be.
  await using folder = await OutputFolder.open(output, { record: RECORD_FILE, overwrite });
  const given = plan.textFeatures === undefined
    ? {}
    : { textFeatures: await readFeatures(plan.textFeatures) };
  // At most one of the variants searches, the last one.
  const { search } = plan.variants.at(-1)!;
  await requirePlaces(search);
  const begun = performance.now();
  await using model = await load(
    plan.place,
    { ...options, ...plan.loading },
    io,
    (outline) => checkOutline(outline, plan.request(outline)),
  );
  const loading = performance.now() - begun;
  const asked: GenerateRequest = { ...plan.request(model), ...given };
  await using painter = await Painter.open(model, plan.refiner, {
    values: { ...options, ...plan.loading },
    request: asked,
    io,
  });
  await using opened = await OpenedSearch.open(search, model, { request: asked, options, io });
  const variants = plan.variants.map(({ name, search }): ReadyVariant => {
    const hooks = isSearched(search) ? opened.hooks : [];
    return { name, hooks, request: checkRequest(model, { ...asked, hooks }) };
  });
  const [{ request }] = variants as [ReadyVariant];
  const layout = new Layout(request, plan, (name, scale) => {
    return lanesAfter(variants.find((variant) => variant.name === name)!.request, model, scale);
  });
  await folder.refuse(layout.files());
  const tree = plan.tree === undefined
    ? undefined
    : new TreeFiles(plan.tree, { folder, output, labels: request.labels });
  await tree?.refuse(overwrite);
  const device = deviceRecord(model);
  for (const warning of warnings(model, { device, opened, record: plan.record })) {
    say(io, `warning: ${warning}`);
  }
  if (!quiet) { for (const note of request.schedule.notes ?? []) say(io, note); }

  const recipes = plan.recipe ? await recipesOf(model, plan, { variants, opened }) : undefined;
  const results = await makeVariants(variants, {
    ...{ painter, asked, output, folder, layout, recipes, tree, io },
    quiet: quiet ?? false,
    stepwise: plan.stepwise,
  });
  await writeSheets(plan, { model, request, results, folder, layout, opened, recipes });
  const short = results.some(({ withoutRecipe }) => withoutRecipe);
  if (short) {
    say(io, "warning: recipes are too long for a PNG file; pictures are without, and run.json has it all");
  }
  const record = await recordOfRun(model, plan, {
    variants,
    judges: opened.records,
    own: opened.own,
    painter,
    request,
    results,
    loading,
    grid: layout.grid,
    device,
    threads: options.threads ?? navigator.hardwareConcurrency,
  });
  const strangers = await folder.finish(`${formatJson(record)}\n`);
  if (strangers !== undefined) say(io, `warning: ${strangers}`);
  const agreement = plan.record === undefined
    ? undefined
    : compareRuns(plan.record.outcomes, results.flatMap(({ outcomes }) => outcomes));
  if (json) io.out(`${formatJson(jsonSummary(record, output, agreement))}\n`);
  else if (!quiet) io.out(summary(record, { model, output, agreement, tree: tree?.describe() }));
}

/** A variant that can be made. */
interface ReadyVariant {
  readonly name: string;
  readonly hooks: readonly ScaleHook[];
  /** What is asked of the model for it. */
  readonly request: ResolvedRequest;
}

/** Makes the images of all variants. If it is interrupted, those that are finished stay. */
async function makeVariants(
  variants: readonly ReadyVariant[],
  job: {
    readonly painter: Painter;
    readonly asked: GenerateRequest;
    readonly output: string;
    readonly folder: OutputFolder;
    readonly layout: Layout;
    readonly recipes: Recipes | undefined;
    readonly tree: TreeFiles | undefined;
    readonly stepwise: boolean;
    readonly quiet: boolean;
    readonly io: Io;
  },
): Promise<VariantResult[]> {
  const { painter, asked, output, folder, layout, recipes, tree, quiet, io } = job;
  const progress = new Progress(io, { total: layout.cells, quiet });
  const results: VariantResult[] = [];
  try {
    for (const [i, { name, hooks, request: resolved }] of variants.entries()) {
      // The one that searches is the last.
      const watched = i === variants.length - 1 ? tree : undefined;
      const steps = job.stepwise ? stepwise() : undefined;
      const watching = [watched?.hook, steps].filter((hook) => hook !== undefined);
      const request = { ...asked, hooks: [...watching, ...hooks], signal: io.signal };
      results.push(
        await makeVariant({
          ...{ painter, request, resolved, name, folder, layout, recipes, tree: watched, steps, progress },
        }),
      );
    }
  } catch (error) {
    progress.clear();
    if (progress.done > 0 && !quiet) {
      say(io, `${progress.done} of ${plural(layout.cells, "image")} are in ${output}`);
    }
    throw error;
  }
  progress.clear();
  return results;
}

/** Makes the images of one variant, and keeps them if a grid wants them. */
async function makeVariant(job: {
  readonly painter: Painter;
  readonly request: GenerateRequest;
  /** The same with nothing left open. */
  readonly resolved: ResolvedRequest;
  readonly name: string;
  readonly folder: OutputFolder;
  readonly layout: Layout;
  readonly recipes: Recipes | undefined;
  readonly tree: TreeFiles | undefined;
  readonly steps: Stepwise | undefined;
  readonly progress: Progress;
}): Promise<VariantResult> {
  const { painter, request, resolved, name, folder, layout, recipes, tree, steps, progress } = job;
  const records: ImageRecord[] = [];
  const outcomes: Outcome[] = [];
  const images: GridCell[] = [];
  const pictures = new Counter();
  let together: readonly Pick<GeneratedImage, "index" | "label">[] = [];
  let made = 0;
  let withoutRecipe = false;
  let trace: Trace | undefined;
  let batch = "";
  let left = 0;
  for await (const event of painter.stream(request)) {
    if (event.type === "batch") {
      batch = `${name}  batch ${event.batch + 1}/${event.batches}`;
      left = event.images.length * layout.pictures(name);
      together = event.images.map((index, i) => ({ index, label: resolved.labels[made + i]! }));
      made += event.images.length;
      progress.draw(batch);
    } else if (event.type === "scale") {
      progress.draw(`${batch}  scale ${event.scale + 1}/${event.scales}`);
    } else if (event.type === "preview") {
      const { scale } = event;
      const previews = new Counter();
      for (const { place, image } of event.images) {
        await folder.write(layout.file(name, place, { scale, picture: previews.next(place) }), image.png());
      }
    } else if (event.type === "image") {
      const { image } = event;
      const { place } = image;
      const picture = pictures.next(place);
      if (layout.wants(place, picture)) {
        const several = layout.pictures(name) > 1;
        const made = await pictureFile(image, {
          ...{ recipes, variant: name, batch: together, ...(several && { picture }) },
        });
        const { png, outcome, recipe, ...hashes } = made;
        const file = layout.file(name, place, { picture });
        await folder.write(file, png);
        const strip = layout.strip(name, place, picture);
        if (strip !== undefined) {
          await folder.write(strip, withRecipe(steps!.image(image).png(SHEET), recipe));
        }
        await tree?.write(image, recipe);
        records.push(imageRecord(image, {
          ...{ file, variant: name, ...hashes },
          previews: layout.previews(name, place),
          ...(strip !== undefined && { stepwise: strip }),
        }));
        outcomes.push(outcome);
        // What hooks that watched have noted is not kept for the sheet.
        if (layout.grid) {
          images.push({
            image: new RgbaImage(image.width, image.height, image.data),
            caption: image.caption,
          });
        }
        if (recipes !== undefined && recipe === undefined) withoutRecipe = true;
        progress.image();
      }
      if (--left === 0) progress.batch();
    } else {
      trace = event.trace;
    }
  }
  return { name, records, outcomes, images, withoutRecipe, trace: trace! };
}

/** Counts things of each number. */
class Counter {
  readonly #counts = new Map<number, number>();

  /** How many of this number there were before. */
  next(number: number): number {
    const before = this.#counts.get(number) ?? 0;
    this.#counts.set(number, before + 1);
    return before;
  }
}

/** Writes the grid of all images, and what is edited beside what is kept, where there is such a thing. */
async function writeSheets(
  plan: GenerationPlan,
  facts: {
    readonly model: Model;
    readonly request: ResolvedRequest;
    readonly results: readonly VariantResult[];
    readonly folder: OutputFolder;
    readonly layout: Layout;
    readonly opened: OpenedSearch;
    readonly recipes: Recipes | undefined;
  },
): Promise<void> {
  const { model, request, results, folder, layout, opened, recipes } = facts;
  const { edit, schedule } = request;
  if (layout.grid) {
    const { columns } = plan;
    const sheet = drawGrid(results, { columns, title: title(model, opened, request) });
    const recipe = recipes?.sheet(results.flatMap(({ outcomes }) => outcomes), { columns });
    await folder.write(GRID_FILE, withRecipe(sheet.png(SHEET), recipe));
  }
  if (edit !== undefined) {
    await folder.write(SOURCE_FILE, edit.sources[0]!.png());
    await folder.write(REGION_FILE, drawRegion(edit, schedule).png());
  }
}

/** What is written into pictures; the search is that of the last variant. */
async function recipesOf(
  model: Model,
  { place, edit }: GenerationPlan,
  { variants, opened }: { readonly variants: readonly ReadyVariant[]; readonly opened: OpenedSearch },
): Promise<Recipes> {
  return await Recipes.of(model, {
    ...{ place, edit },
    request: variants.at(-1)!.request,
    variants: variants.map(({ name, hooks }) => ({ name, hooks, judges: opened.records, own: opened.own })),
  });
}

function warnings(
  model: Model,
  { device, opened, record }: {
    readonly device: DeviceRecord;
    readonly opened: OpenedSearch;
    readonly record: Repeatable | undefined;
  },
): string[] {
  if (record === undefined) return [];
  const recorded = record.variants.at(-1)!.hooks.flatMap(({ module }) => module ?? []);
  const otherHooks = opened.own.filter(({ record: { sha256 } }, i) => sha256 !== recorded[i]?.sha256);
  const { fingerprints, tuning } = record.model;
  const provider = ({ cpuProvider = "wasm" }: DeviceRecord): string => cpuProvider;
  const names = new Set([...Object.keys(fingerprints), ...Object.keys(model.fingerprints)]);
  const differing = [...names].filter((name) => fingerprints[name] !== model.fingerprints[name]);
  return [
    ...(differing.length === 0
      ? []
      : [`the weights are not those of the recorded run: ${list(differing, "and")} differ`]),
    ...otherHooks.map(({ record: { path } }) =>
      `the file of the hook ${path} is not that of the recorded run`
    ),
    ...(formatJson(tuning) === formatJson(model.tuning)
      ? []
      : ["the search settings of the model are not those of the recorded run"]),
    ...(record.version === VERSION
      ? []
      : [`the run was recorded by varscale ${record.version}, and this is ${VERSION}`]),
    ...(record.device.kind === device.kind && provider(record.device) === provider(device)
      ? []
      : [`the run was recorded on ${describeDevice(record.device)}, and this is ${describeDevice(device)}`]),
  ];
}
