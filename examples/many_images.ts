/**
 * Many images: a series that writes each picture as soon as its batch is done, can be stopped at any time,
 * and goes on where it was when it is started again. A picture depends on the seed and its own number alone,
 * so the folder is the same in the end.
 *
 *     deno run -R -W examples/many_images.ts [FOLDER [IMAGES PER LABEL]]
 *
 * @module
 */

import { generateSeries, loadModel, varScaling } from "../mod.ts";

const [folder = "out/many_images", perLabel = "8"] = Deno.args;
await Deno.mkdir(folder, { recursive: true });

const LABELS = ["red torus", "green sphere", "blue cone", "yellow cube"];
const wanted = LABELS.flatMap((label, row) =>
  Array.from({ length: Number(perLabel) }, (_, i) => ({ label, index: 1000 * row + i }))
);
const pathOf = (index: number): string => `${folder}/${String(index).padStart(4, "0")}.png`;
const there = new Set(Array.from(Deno.readDirSync(folder), ({ name }) => `${folder}/${name}`));
const missing = wanted.filter(({ index }) => !there.has(pathOf(index)));
console.log(`${missing.length} of ${wanted.length} to make`);

if (missing.length > 0) {
  await using model = await loadModel("demo");
  const series = generateSeries(model, {
    labels: missing.map(({ label }) => label),
    indices: missing.map(({ index }) => index),
    seed: 1,
    batch: 8,
    hooks: [varScaling()],
  });
  for await (const { images, failures, progress } of series) {
    for (const image of images) {
      // Under its name only when it is whole, or a run that is stopped now would leave half a picture.
      const path = pathOf(image.index);
      await Deno.writeFile(`${path}.part`, image.png());
      await Deno.rename(`${path}.part`, path);
    }
    for (const { index, error } of failures) console.error(`image ${index}: ${error.message}`);
    const { made, total, perSecond, secondsLeft } = progress;
    console.log(`${made} of ${total}, ${perSecond.toFixed(1)} a second, ${secondsLeft.toFixed(0)} s left`);
  }
}
console.log(folder);
