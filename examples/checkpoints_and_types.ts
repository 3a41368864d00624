/**
 * Checkpoints and types of weights: converts a model to a folder in each type, loads it by its path, and
 * paints the same pictures with each, a row a type. Takes checkpoints as they are published or as a trainer
 * saves them (`var_d16.pth vae_ch160v4096z32.pth`); without any, the bundled demo model is what is converted.
 *
 *     deno run -R -W examples/checkpoints_and_types.ts [FOLDER [TRANSFORMER TOKENIZER]]
 *
 * @module
 */

import {
  type ConversionSource,
  convertModel,
  createModelFolder,
  DEMO_MODEL,
  DTYPES,
  generate,
  type GeneratedImage,
  gridImage,
  loadModel,
} from "../mod.ts";

const [folder = "out/checkpoints_and_types", transformer, tokenizer] = Deno.args;
const source: ConversionSource = transformer !== undefined && tokenizer !== undefined
  ? { var: transformer, vae: tokenizer }
  : { folder: DEMO_MODEL };
await Deno.mkdir(folder, { recursive: true });

const images: GeneratedImage[] = [];
for (const dtype of DTYPES) {
  const path = `${folder}/${dtype}`;
  await using writer = await createModelFolder(path, { overwrite: true });
  const { manifest } = await convertModel(source, writer, { dtype });
  const bytes = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);

  await using model = await loadModel(path);
  // Without labels, classes are drawn from the seed: the same ones for each type.
  const result = await generate(model, { count: 6, seed: 5 });
  images.push(...result.images);
  console.log(`${path}: ${(bytes / 1e6).toFixed(1)} MB, ${Math.round(result.trace.total)} ms`);
}

const sheet = gridImage(images.map((image) => ({ image, caption: image.label.name })), {
  columns: images.length / DTYPES.length,
  rowTitles: DTYPES,
  scale: 2,
});
await Deno.writeFile(`${folder}/sheet.png`, sheet.png());
console.log(`${folder}/sheet.png`);
