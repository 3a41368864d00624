/**
 * Painting that can be watched in a notebook's cell: after each scale the pictures as they are by then, and
 * how far it is. The scale loop is left to `generate.ts`, stopping and showing to `long_cell.ts`.
 *
 * @module
 */

import { requireOptions } from "../../kernels/arguments.ts";
import type { Model } from "../../models/model.ts";
import { generate, type PreviewEvent } from "../generate.ts";
import { gridImage, viewScale } from "../pictures/grid.ts";
import type { RgbaImage } from "../pictures/image.ts";
import type { GenerateRequest } from "../request.ts";
import { type GeneratedImage, GenerateResult } from "../result.ts";
import { longCell, type LongCellOptions } from "./long_cell.ts";

/** Pictures of a preview that are shown at most. */
const SHOWN = 32;
/** Pictures in a row. */
const COLUMNS = 8;

/**
 * Generates pictures as {@linkcode generate} does, and shows in the notebook's cell meanwhile what they look
 * like after each scale. The cell's interrupt button stops it between two scales, and the model stays: see
 * {@linkcode longCell}.
 *
 * Each preview decodes all pictures of a batch once more; `previews` in the request says after which scales,
 * all of them by default. Tokens and pictures are those of `generate`.
 *
 * @param model A loaded model.
 * @param request What to generate and how.
 * @param options After how many seconds it is stopped, and by which signal beside the request's own.
 * @returns The pictures, in the order of the request, and a trace.
 * @throws {TypeError} If an option is unknown or of the wrong type.
 * @throws {RangeError} If a value is out of range, or a label is no class of the model.
 * @throws What the signal gives as the reason, once it is stopped.
 *
 * @example
 * ```ts
 * import { generateLive, loadModel } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await generateLive(model, { labels: ["red torus", "blue cube"], seed: 7 });
 * assertEquals(images.map(({ caption }) => caption), ["red torus #0", "blue cube #1"]);
 * ```
 */
export async function generateLive(
  model: Model,
  request: GenerateRequest = {},
  options: LongCellOptions = {},
): Promise<GenerateResult> {
  requireOptions(options, ["seconds", "signal"], "generate");
  const signals = [request.signal, options.signal].filter((signal) => signal !== undefined);
  const { previews = true } = request;
  const pictured = previews === true || Array.isArray(previews) && previews.length > 0;
  return await longCell(async ({ signal, progress, show }) => {
    const images: GeneratedImage[] = [];
    let of = "";
    let [done, total] = [0, 0];
    for await (const event of generate.stream(model, { ...request, previews, signal })) {
      switch (event.type) {
        case "batch":
          of = event.batches === 1 ? "" : `, batch ${event.batch + 1} of ${event.batches}`;
          total = event.batches;
          break;
        case "scale":
          done = event.batch + (event.scale + 1) / event.scales;
          if (!pictured) progress(Math.round(done * event.scales), total * event.scales);
          break;
        case "preview":
          await show(previewSheet(event, of));
          break;
        case "image":
          images.push(event.image);
          break;
        case "done":
          // The pictures are what the cell returns; shown here, too, they would stand there twice.
          progress(images.length, images.length);
          return new GenerateResult(images, event.trace);
      }
    }
    throw new Error("The generation ended early");
  }, { ...options, ...(signals.length > 0 && { signal: AbortSignal.any(signals) }) });
}

/** What pictures look like after a scale, the first of them where there are many. */
function previewSheet({ images, scale }: PreviewEvent, of: string): RgbaImage {
  const cells = images.slice(0, SHOWN).map(({ image, index, lane, label }) => ({
    image,
    caption: `${label.name} #${index}${lane === 0 ? "" : `, lane ${lane}`}`,
  }));
  const more = images.length > SHOWN ? `, ${SHOWN} of ${images.length} pictures` : "";
  return gridImage(cells, {
    columns: COLUMNS,
    scale: viewScale(images[0]!.image),
    title: `scale ${scale}${of}${more}`,
  });
}
