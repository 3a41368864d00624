/**
 * The first pictures: the bundled demo model paints four labels plainly, then once more with VAR-Scaling from
 * the same seed, and says what it chose. Writes each picture and a sheet of both rows.
 *
 *     deno run -R -W examples/first_picture.ts [FOLDER]
 *
 * @module
 */

import { generate, gridImage, loadModel, varScaling } from "../mod.ts";

const [folder = "out/first_picture"] = Deno.args;
await Deno.mkdir(folder, { recursive: true });

await using model = await loadModel("demo");
const request = { labels: ["red torus", "blue cube", "cyan cross", "purple diamond"], seed: 1 };
const plain = await generate(model, request);
const search = varScaling({ samples: 50 });
const scaled = await generate(model, { ...request, hooks: [search] });

for (const [name, { images }] of Object.entries({ plain, scaled })) {
  for (const image of images) {
    await Deno.writeFile(`${folder}/${image.label.name}, ${name}.png`, image.png());
  }
}
const sheet = gridImage(
  [...plain.images, ...scaled.images].map((image) => ({ image, caption: image.caption })),
  { columns: plain.images.length, rowTitles: ["plain", "VAR-Scaling"], scale: 3 },
);
await Deno.writeFile(`${folder}/sheet.png`, sheet.png());

for (const image of scaled.images) {
  const { chosen, samples, low, kept } = image.decisionsOf(search)[0]!.value;
  const density = low ? "low" : "high";
  console.log(`${image.caption}: candidate ${chosen} of ${samples}; ${density} density, ${kept.length} kept`);
}
console.log(`${plain.trace.device.name}: ${Math.round(plain.trace.total)} ms for the plain row`);
console.log(`${folder}/sheet.png`);
