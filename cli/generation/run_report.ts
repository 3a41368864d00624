/**
 * What a finished generation shows to people and programs: the sheet with all images, the summary, the JSON
 * object.
 *
 * @module
 */

import {
  type GridCell,
  gridImage,
  type Model,
  type ResolvedRequest,
  RgbaImage,
  type Trace,
  viewScale,
} from "../../mod.ts";
import { isGuiding, METHOD_TITLES, type MethodName } from "../options/search.ts";
import { describeDevice } from "../options/model_options.ts";
import type { OpenedSearch } from "../options/open_search.ts";
import { printableLine } from "../output/printable.ts";
import { duration, operations } from "../output/units.ts";
import { list, plural } from "../output/words.ts";
import { REGION_FILE } from "./edit_record.ts";
import { RECORD_FILE } from "./layout.ts";
import { describeMethod } from "./method_words.ts";
import type { Agreement, ImageRecord, Outcome, RunRecord, VariantRecord } from "./run_record.ts";
import { completeSampling, describeSampling, samplingRecord } from "./sampling_record.ts";

/** What came out of one variant. */
export interface VariantResult {
  readonly name: string;
  readonly records: readonly ImageRecord[];
  readonly outcomes: readonly Outcome[];
  /** The pictures with captions, if a grid wants them. */
  readonly images: readonly GridCell[];
  /** Whether recipes were wanted, and some were too long. */
  readonly withoutRecipe: boolean;
  readonly trace: Trace;
}

function titleOf(variant: string): string {
  return variant.split("+").map((name) => METHOD_TITLES[name as MethodName] ?? name).join(" + ");
}

/** Text above the sheet: what all images have in common. */
export function title(
  model: Model,
  { hooks, own }: Pick<OpenedSearch, "hooks" | "own">,
  request: ResolvedRequest,
): string {
  const facts = [
    model.name,
    ...describeSampling(samplingRecord(request), model),
    `seed ${request.seed}`,
    ...hooks.map((hook) => {
      const { name, settings = {} } = hook;
      return own.some((one) => one.hook === hook)
        ? name
        : describeMethod(name as MethodName, settings, model);
    }),
  ];
  return facts.join(", ");
}

/** All images on one sheet; of several variants, rows of the same images one below the other. */
export function drawGrid(
  results: readonly VariantResult[],
  options: { columns: number; title: string },
): RgbaImage {
  const [{ image: first }] = results[0]!.images as [GridCell];
  const columns = Math.min(options.columns, results[0]!.images.length);
  const scale = viewScale(first);
  if (results.length === 1) {
    return gridImage(results[0]!.images, { columns, scale, title: options.title });
  }
  const background = "#fafafa";
  const empty = new RgbaImage(first.width, first.height);
  empty.data.fill(0xfa);
  const cells: GridCell[] = [];
  const rowTitles: string[] = [];
  for (let start = 0; start < results[0]!.images.length; start += columns) {
    for (const { name, images } of results) {
      const row = images.slice(start, start + columns);
      while (row.length < columns) row.push({ image: empty });
      cells.push(...row);
      rowTitles.push(titleOf(name));
    }
  }
  return gridImage(cells, { columns, scale, title: options.title, rowTitles, background });
}

/** What `--json` prints: the record without tokens, with paths instead of file names. */
export function jsonSummary(record: RunRecord, output: string, agreement: Agreement | undefined): unknown {
  return {
    output,
    run: `${output}/${RECORD_FILE}`,
    grid: record.grid === null ? null : `${output}/${record.grid.file}`,
    model: record.model,
    device: record.device,
    request: record.request,
    variants: record.variants,
    timings: record.timings,
    images: record.images.map(({ tokens: _tokens, ...image }) => ({
      ...image,
      file: `${output}/${image.file}`,
      previews: image.previews.map((file) => `${output}/${file}`),
      ...(image.stepwise === undefined ? {} : { stepwise: `${output}/${image.stepwise}` }),
    })),
    ...(agreement === undefined ? {} : { repeat: agreement }),
  };
}

/** What is printed for people. */
export function summary(
  record: RunRecord,
  facts: {
    readonly model: Model;
    readonly output: string;
    readonly agreement: Agreement | undefined;
    /** Where the pictures of searches are. */
    readonly tree?: string | undefined;
  },
): string {
  const { model, output, agreement, tree } = facts;
  const { images, device, request, variants } = record;
  const sampling = describeSampling(completeSampling(request), model);
  const total = Object.values(record.timings.variants).reduce((sum, { total }) => sum + total, 0);
  const made = [model.name, ...sampling, `seed ${request.seed}`].join(", ");
  const lines = [
    `${plural(images.length, "image")} in ${duration(total)}: ${made}, on ${describeDevice(device)}`,
    ...describeCollaboration(record),
    ...variants.flatMap((variant) => describeSearch(variant, record, model)),
    ...(agreement === undefined ? [] : [describeAgreement(agreement)]),
    ...listFiles(record, output),
    ...(tree === undefined ? [] : [`  ${tree}  the search`]),
  ];
  return lines.map((line) => `${printableLine(line)}\n`).join("");
}

/** Who drew the last scales. */
function describeCollaboration({ collaboration, timings }: RunRecord): string[] {
  if (collaboration === undefined) return [];
  const { refiner, from } = collaboration;
  const { flops } = Object.values(timings.variants)[0]!.cost;
  const cost = flops === undefined ? "" : `, ${operations(flops)} in all`;
  return [`scales from ${from} on drawn by ${refiner.name}${cost}`];
}

/** What the search of a variant found, and what it cost. */
function describeSearch(
  { name, hooks, verifier }: VariantRecord,
  record: RunRecord,
  model: Model,
): string[] {
  if (hooks.length === 0) return [];
  const images = record.images.filter(({ variant }) => variant === name);
  return [
    ...hooks.map((hook) => {
      if (hook.module !== undefined) return `${hook.name}, the hook of ${hook.module.path}`;
      const method = describeMethod(hook.name as MethodName, hook.settings as Record<string, unknown>, model);
      if (isGuiding(hook.name)) return method;
      if (hook.name === "var-scaling") {
        return `${method}: ${describeDensities(decisionsOf(images, hook.name))}`;
      }
      const tried = images.reduce((sum, { attempts = [] }) => sum + attempts.length, 0);
      return `${method}, judged by ${verifier?.name}: ${images.length} of ${plural(tried, "lane")} ${
        images.length === 1 ? "is" : "are"
      } left${describeScores(images, hook.name)}`;
    }),
    ...describeCost(record.timings.variants[name]!),
  ];
}

function decisionsOf(images: readonly ImageRecord[], name: string): readonly unknown[] {
  return images.flatMap(({ decisions }) => decisions).filter(({ hook }) => hook === name)
    .map(({ value }) => value);
}

function describeDensities(decisions: readonly unknown[]): string {
  const values = decisions as readonly { low: boolean; ratio: number; alpha: number }[];
  if (values.length === 0) return "nothing to choose, as all of it is kept";
  const alphas = [...new Set(values.map(({ alpha }) => Number(alpha.toFixed(3))))].map(String);
  const ratios = values.map(({ ratio }) => ratio);
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  const low = values.filter((value) => value.low).length;
  return `max/mean density from ${least} to ${most}, alpha ${
    list(alphas, "and")
  }, ${low} of ${values.length} low`;
}

/** The scores that the pictures had when they were judged last. */
function describeScores(images: readonly ImageRecord[], name: string): string {
  const scores = images.flatMap((image) => {
    const [last] = decisionsOf([image], name).slice(-1) as { readonly score?: number | null }[];
    return last?.score ?? [];
  });
  if (scores.length === 0) return "";
  const [least, most] = [Math.min(...scores), Math.max(...scores)].map((score) =>
    String(Number(score.toPrecision(3)))
  );
  return least === most ? `, with the score ${most}` : `, with scores from ${least} to ${most}`;
}

/** What it has cost, beside the same images without a search where that is known. */
function describeCost({ cost }: Trace): string[] {
  if (cost === undefined) return [];
  const { passes, decodes, judged, transformerFlops, decoderFlops, judgeFlops } = cost;
  const known = [transformerFlops, decoderFlops, judgeFlops];
  const flops = known.includes(undefined)
    ? []
    : [operations(known.reduce<number>((sum, each) => sum + each!, 0))];
  return [
    `Cost: ${
      list([
        `${plural(passes, "lane")} through a scale`,
        `${plural(decodes, "picture")} decoded`,
        `${judged} judged`,
        ...flops,
      ], "and")
    }`,
  ];
}

function describeAgreement({ images, sameTokens, sameFiles }: Agreement): string {
  const all = plural(images, "image");
  return `Repeated: ${sameTokens} of ${all} with the same tokens, ${sameFiles} with the same pixels`;
}

/** The files of a run, of many images only some. */
function listFiles({ images, request, grid }: RunRecord, output: string): string[] {
  const files = images.map(({ file }) => `  ${output}/${file}`);
  const previews = images.reduce((sum, image) => sum + image.previews.length, 0);
  const strips = images.filter(({ stepwise }) => stepwise !== undefined).length;
  return [
    ...(files.length > 12 ? [...files.slice(0, 10), "  …", files.at(-1)!] : files),
    ...(previews > 0 ? [`  ${output}/*_scale-*.png  ${plural(previews, "preview")}`] : []),
    ...(strips > 0 ? [`  ${output}/*_stepwise.png  ${plural(strips, "strip")} of scales`] : []),
    ...(request.edit === undefined ? [] : [`  ${output}/${REGION_FILE}  what is generated`]),
    ...(grid === null ? [] : [`  ${output}/${grid.file}`]),
    `  ${output}/${RECORD_FILE}`,
  ];
}
