/**
 * How a picture came about: what it looked like after each scale, as a strip from coarse to fine. Of a search
 * it shows the lane that led to the picture; all lanes, `search_tree.ts` shows. It watches and changes
 * nothing.
 *
 * @module
 */

import type { ScaleHook } from "../hook.ts";
import { atMost } from "../pictures/fit.ts";
import { type GridCell, gridImage, type GridOptions, stretchImage, viewScale } from "../pictures/grid.ts";
import type { RgbaImage } from "../pictures/image.ts";
import type { GeneratedImage } from "../result.ts";

/** What {@linkcode stepwise} notes of each lane after each scale, under `decisions`. */
export interface StepwiseNote {
  /** Tokens in a row of the map. */
  readonly width: number;
  /** Rows of the map. */
  readonly height: number;
  /**
   * What the lane looks like, at most 256 pixels wide and high; of the last scale the image itself shows it.
   */
  readonly picture?: RgbaImage;
}

/** A hook that watches pictures come about, and shows it. */
export interface Stepwise extends ScaleHook<StepwiseNote> {
  /**
   * Draws how an image came about: what it looked like after each scale, side by side, under each the size of
   * the scale's map, such as `2×2`. Pictures of more than 256 pixels are drawn smaller.
   *
   * @param image An image that was made with this hook.
   * @param options How it is laid out; by default in one row, with the image's caption as the title.
   * @throws {TypeError} If the hook was not among those that the image was made with.
   */
  image(image: GeneratedImage, options?: Partial<GridOptions>): RgbaImage;
}

/** Pixels along an edge of a picture at the most. */
const EDGE = 256;
const NAME = "stepwise";

/**
 * Makes a hook that watches pictures come about. Each scale but the last one costs it a decode of all lanes
 * and a readback, which the trace counts; tokens and pixels stay the same. It may stand anywhere among the
 * hooks.
 *
 * @example
 * ```ts
 * import { bestOfN, generate, loadModel, ownDensity, stepwise } from "../../mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const steps = stepwise();
 * const search = bestOfN({ samples: 2, verifier: ownDensity() });
 * const { images: [image] } = await generate(model, { labels: "blue cone", hooks: [steps, search] });
 * const strip = steps.image(image!);
 * // await Deno.writeFile("blue-cone_steps.png", strip.png());
 * assertEquals(image!.decisionsOf(steps).map(({ value }) => value.width), model.patchNumbers);
 * assertEquals(strip.width > 6 * 192, true); // six scales, three times as large as they are
 * ```
 */
export function stepwise(): Stepwise {
  return {
    name: NAME,
    plan: ({ scales }) => {
      const looks = [{ name: NAME, flops: 0 }];
      return Array.from(scales.keys()).slice(0, -1).map((scale) => ({
        scale,
        lanes: (before) => before,
        looks,
      }));
    },
    async gather(step) {
      const { width, height, lanes: { length: pictures } } = step;
      const isLast = step.scale === step.scales - 1;
      const previews = isLast ? [] : await step.cost.judge({ pictures, flops: 0 }, () => step.preview());
      for (const row of step.lanes.keys()) {
        const preview = previews[row];
        step.note(row, { width, height, ...(preview && { picture: atMost(preview, EDGE) }) });
      }
      return undefined;
    },
    image: drawStrip,
  };
}

function drawStrip(image: GeneratedImage, options: Partial<GridOptions> = {}): RgbaImage {
  const notes = image.decisionsOf<StepwiseNote>({ name: NAME });
  if (notes.length === 0) {
    throw new TypeError(
      `Cannot draw the scales of "${image.caption}" as nobody watched them: stepwise() must be among the hooks`,
    );
  }
  const finished = atMost(image, EDGE);
  const cells = notes.map(({ value: { width, height, picture = finished } }): GridCell => {
    const isSmaller = picture.width !== finished.width || picture.height !== finished.height;
    return { image: isSmaller ? stretchImage(picture, finished) : picture, caption: `${width}×${height}` };
  });
  return gridImage(cells, {
    columns: cells.length,
    scale: viewScale(finished),
    title: image.caption,
    ...options,
  });
}
