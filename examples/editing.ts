/**
 * Editing without training: the upper part of a yellow cylinder is painted anew as a yellow cone, the rest is
 * kept, and what the model's tokenizer makes of the picture is shown scale by scale. Writes two sheets.
 *
 *     deno run -R -W examples/editing.ts [FOLDER [PICTURE]]
 *
 * @module
 */

import { decodeImage, generate, gridImage, loadModel, reconstruct } from "../mod.ts";

const [folder = "out/editing", picture] = Deno.args;
await Deno.mkdir(folder, { recursive: true });

await using model = await loadModel("demo");
const image = picture === undefined
  ? (await generate(model, { labels: "yellow cylinder", seed: 1 })).images[0]!
  : await decodeImage(await Deno.readFile(picture));

// Top, left, bottom and right edge, in parts of the picture. Outside, the tokens are the picture's own.
const box = [0, 0, 0.6, 1] as const;
const edited = await generate(model, { labels: "yellow cone", count: 4, seed: 1, edit: { image, box } });
const copied = await reconstruct(model, image, { progressive: true });

const cells = [
  { image: copied.images[0]!.source, caption: "source" },
  ...edited.images.map((image) => ({ image, caption: image.caption })),
];
const sheet = gridImage(cells, { columns: cells.length, scale: 3 });
await Deno.writeFile(`${folder}/edited.png`, sheet.png());
await Deno.writeFile(`${folder}/reconstructed.png`, copied.grid().png());

console.log(`reconstructed with ${copied.images[0]!.psnr.toFixed(1)} dB`);
console.log(`${folder}/edited.png, ${folder}/reconstructed.png`);
