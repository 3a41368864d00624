/**
 * What a finished generation shows to people and programs: the sheet with all images, the summary, the JSON
 * object.
 *
 * @module
 */

import {
  type GeneratedImage,
  type GridCell,
  gridImage,
  type Model,
  type ResolvedRequest,
  RgbaImage,
  type Trace,
  viewScale,
} from "../../mod.ts";
import { describeDevice } from "../options/model_options.ts";
import { duration } from "../output/units.ts";
import { list, plural } from "../output/words.ts";
import { REGION_FILE } from "./edit_record.ts";
import type { Agreement, ImageRecord, RunRecord, Variant } from "./run_record.ts";
import { completeSampling, describeSampling, samplingRecord } from "./sampling_record.ts";

/** What came out of one variant. */
export interface VariantResult {
  readonly name: string;
  readonly records: readonly ImageRecord[];
  /** The pictures, if a grid wants them. */
  readonly images: readonly GeneratedImage[];
  readonly trace: Trace;
}

const TITLES: Readonly<Record<string, string>> = { "var-scaling": "VAR-Scaling" };

function titleOf(variant: string): string {
  return TITLES[variant] ?? variant;
}

/** Text above the sheet: what all images have in common. */
export function title(
  model: Model,
  variants: readonly Variant[],
  request: ResolvedRequest,
): string {
  const facts = [
    model.name,
    ...describeSampling(samplingRecord(request), model),
    `seed ${request.seed}`,
  ];
  const settings = variants.flatMap(({ hooks }) => hooks)[0]?.settings;
  if (settings !== undefined) facts.push(`VAR-Scaling ${describeScaling(settings, model)}`);
  return facts.join(", ");
}

function describeScaling(settings: Readonly<Record<string, unknown>>, { search }: Model): string {
  const { samples, scale } = settings as {
    samples: number | "preset";
    scale: readonly number[] | "preset";
  };
  const searched = scale === "preset" ? [search.scale] : scale;
  const scales = `scale${searched.length === 1 ? "" : "s"} ${list(searched.map(String), "and")}`;
  return `with ${plural(samples === "preset" ? search.samples : samples, "sample")} at ${scales}`;
}

/** All images on one sheet; of several variants, rows of the same images one below the other. */
export function drawGrid(
  results: readonly VariantResult[],
  options: { columns: number; title: string },
): RgbaImage {
  const [first] = results[0]!.images as [GeneratedImage];
  const columns = Math.min(options.columns, results[0]!.images.length);
  const scale = viewScale(first);
  const caption = (image: GeneratedImage): GridCell => ({ image, caption: image.caption });
  if (results.length === 1) {
    return gridImage(results[0]!.images.map(caption), { columns, scale, title: options.title });
  }
  const background = "#fafafa";
  const empty = new RgbaImage(first.width, first.height);
  empty.data.fill(0xfa);
  const cells: GridCell[] = [];
  const rowTitles: string[] = [];
  for (let start = 0; start < results[0]!.images.length; start += columns) {
    for (const { name, images } of results) {
      const row = images.slice(start, start + columns).map(caption);
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
    run: `${output}/run.json`,
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
    })),
    ...(agreement === undefined ? {} : { repeat: agreement }),
  };
}

/** What is printed for people. */
export function summary(
  record: RunRecord,
  facts: { readonly model: Model; readonly output: string; readonly agreement: Agreement | undefined },
): string {
  const { model, output, agreement } = facts;
  const { images, device, request, variants } = record;
  const sampling = describeSampling(completeSampling(request), model);
  const total = Object.values(record.timings.variants).reduce((sum, { total }) => sum + total, 0);
  const lines = [
    `${plural(images.length, "image")} in ${duration(total)}: ${
      [model.name, ...sampling, `seed ${request.seed}`].join(", ")
    }, on ${describeDevice(device)}`,
  ];
  for (const { name, hooks } of variants) {
    const [hook] = hooks;
    if (hook === undefined) continue;
    const decisions = images.filter(({ variant }) => variant === name).flatMap((image) => image.decisions);
    const values = decisions.map(({ value }) => value as { low: boolean; ratio: number; alpha: number });
    const scaling = `${titleOf(name)} ${describeScaling(hook.settings as Record<string, unknown>, model)}`;
    if (values.length === 0) {
      lines.push(`${scaling}: nothing to choose, as all of it is kept`);
      continue;
    }
    const alphas = [...new Set(values.map(({ alpha }) => Number(alpha.toFixed(3))))].map(String);
    const ratios = values.map(({ ratio }) => ratio);
    const low = values.filter((value) => value.low).length;
    lines.push(
      `${scaling}: max/mean density from ` +
        `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, alpha ${
          list(alphas, "and")
        }, ` +
        `${low} of ${values.length} low`,
    );
  }
  if (agreement !== undefined) {
    const { images, sameTokens, sameFiles } = agreement;
    lines.push(
      `Repeated: ${sameTokens} of ${
        plural(images, "image")
      } with the same tokens, ${sameFiles} with the same pixels`,
    );
  }
  const files = images.map(({ file }) => `  ${output}/${file}`);
  lines.push(...(files.length > 12 ? [...files.slice(0, 10), "  …", files.at(-1)!] : files));
  const previews = images.reduce((sum, image) => sum + image.previews.length, 0);
  if (previews > 0) lines.push(`  ${output}/*_scale-*.png  ${plural(previews, "preview")}`);
  if (request.edit !== undefined) lines.push(`  ${output}/${REGION_FILE}  what is generated`);
  if (record.grid !== null) lines.push(`  ${output}/${record.grid.file}`);
  lines.push(`  ${output}/run.json`);
  return `${lines.join("\n")}\n`;
}
