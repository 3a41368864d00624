/**
 * A method of your own: best of N. Each picture starts as four attempts, and after the fourth scale only the
 * one whose preview is the most colourful goes on, so that the expensive last scales are computed once.
 * Writes a sheet with the first attempts above and the best below.
 *
 *     deno run -R -W examples/own_hook.ts [FOLDER]
 *
 * It exports the hook, too, for a command line:
 *
 *     varscale generate "red torus" --hook 'examples/own_hook.ts?attempts=8&scale=2'
 *
 * @module
 */

import { generate, gridImage, loadModel, type RgbaImage, type ScaleHook } from "../mod.ts";

/** Starts `attempts` at each picture and keeps, after `scale`, the one whose preview scores highest. */
function bestOf(attempts: number, scale: number, score: (preview: RgbaImage) => number): ScaleHook<number> {
  return {
    name: `best of ${attempts}`,
    lanes: attempts,
    scales: [scale],
    async gather(step) {
      const scores = (await step.preview()).map(score);
      for (const [lane, score] of scores.entries()) step.note(lane, score);
      const best = new Map<number, number>();
      for (const [lane, { image }] of step.lanes.entries()) {
        const rival = best.get(image);
        if (rival === undefined || scores[lane]! > scores[rival]!) best.set(image, lane);
      }
      return [...best.values()];
    },
  };
}

/** Mean distance of the strongest from the weakest channel. */
function colourfulness({ data, width, height }: RgbaImage): number {
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [red, green, blue] = [data[i]!, data[i + 1]!, data[i + 2]!];
    sum += Math.max(red, green, blue) - Math.min(red, green, blue);
  }
  return sum / (width * height);
}

/** The hook for a command line, with what stands behind the path of this file. */
export default function colourful(options: { attempts?: number; scale?: number }): ScaleHook<number> {
  const { attempts = 4, scale = 3, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new TypeError(`There is no option ${unknown}, but attempts and scale`);
  return bestOf(attempts, scale, colourfulness);
}

/** Without the hook and with it. */
async function compare(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });

  await using model = await loadModel("demo");
  const request = { labels: ["red torus", "green cone", "orange capsule", "yellow cylinder"], seed: 3 };
  const first = await generate(model, request);
  const hook = bestOf(4, 3, colourfulness);
  const best = await generate(model, { ...request, hooks: [hook] });

  const cells = [...first.images, ...best.images].map((image) => ({
    image,
    caption: `attempt ${image.lane}: ${colourfulness(image).toFixed(1)}`,
  }));
  const sheet = gridImage(cells, {
    columns: request.labels.length,
    rowTitles: ["first", "best of 4"],
    scale: 3,
  });
  await Deno.writeFile(`${folder}/sheet.png`, sheet.png());

  for (const image of best.images) {
    const [score] = image.decisionsOf(hook);
    console.log(
      `${image.label.name}: attempt ${image.lane}, whose preview scored ${score!.value.toFixed(1)}`,
    );
  }
  console.log(`${folder}/sheet.png`);
}

if (import.meta.main) await compare(Deno.args[0] ?? "out/own_hook");
