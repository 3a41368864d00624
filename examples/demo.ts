/**
 * Both bundled models: one paints classes, the other what a text says, each plainly and once more with
 * VAR-Scaling from the same seed. Writes each picture and one sheet of all. `deno task demo` runs it.
 *
 *     deno run -R -W examples/demo.ts [FOLDER]
 *
 * @module
 */

import { generate, type GridCell, gridImage, loadModel, varScaling } from "../mod.ts";

const [folder = "out/demo"] = Deno.args;
await Deno.mkdir(folder, { recursive: true });

const WISHES = {
  "demo": [
    ...["red torus", "blue cube", "cyan cross", "gray sphere"],
    ...["purple diamond", "green cone", "orange capsule", "yellow cylinder"],
  ],
  "demo-t2i": [
    ...["a red sphere and a blue cone", "two green cubes", "a yellow torus above a gray cylinder"],
    ...["three purple cones", "a cyan cross left of a red cube", "a photo of an orange sphere"],
    ...["two blue cylinders", "a green torus below a yellow sphere"],
  ],
};

const cells: GridCell[] = [];
for (const [place, labels] of Object.entries(WISHES)) {
  await using model = await loadModel(place);
  for (const hooks of [[], [varScaling()]]) {
    const { images, trace } = await generate(model, { labels, seed: 1, hooks });
    for (const [i, image] of images.entries()) {
      const search = hooks.length === 0 ? "plain" : "scaled";
      await Deno.writeFile(`${folder}/${place}-${i}-${search}.png`, image.png());
      cells.push({ image, caption: image.label.name });
    }
    const how = hooks.length === 0 ? "plain" : "VAR-Scaling";
    console.log(`${place}, ${how}: ${Math.round(trace.total)} ms on ${trace.device.name}`);
  }
}
const sheet = gridImage(cells, {
  columns: 8,
  rowTitles: ["classes", "VAR-Scaling", "texts", "VAR-Scaling"],
  scale: 2,
});
await Deno.writeFile(`${folder}/grid.png`, sheet.png());
console.log(`${folder}/grid.png`);
