/**
 * How well the class-conditional demo classifies fresh pictures of its kind, by how many scales and in which
 * stages: the tables of `docs/likelihood.md`. Rendering the pictures is left to `fresh_pictures.py`.
 *
 *     deno run -A tools/likelihood/measure.ts FOLDER SCORES.bin [PICTURES]
 *
 * Scores, f32 [pictures, 64 classes, 6 scales], are kept in SCORES.bin, and what is there already is not
 * computed again. Pictures come a round of all classes after the other.
 *
 * @module
 */

import { wilsonInterval } from "../../evaluation/mod.ts";
import { decodeImage, loadModel, type Model, reconstruct, score } from "../../mod.ts";

const CLASSES = 64;
const COLOURS = 8;
const SCALES = 6;
/** Pictures between two writes. */
const TOGETHER = 8;

/** Stages to compare: scales, and labels that are left. */
const STAGES = [
  [[6, 1]],
  [[5, 1]],
  [[4, 1]],
  [[4, 10], [6, 1]],
  [[3, 10], [6, 1]],
  [[3, 16], [5, 3], [6, 1]],
  [[3, 16], [4, 5], [6, 1]],
  [[4, 3], [6, 1]],
] as const;

const [folder, file, limit = "256"] = Deno.args;
if (folder === undefined || file === undefined) {
  throw new Error("Usage: measure.ts FOLDER SCORES.bin [PICTURES]");
}
const pictures = Array.from({ length: Number(limit) }, (_, i) => {
  return {
    label: i % CLASSES,
    name: `${String(i % CLASSES).padStart(2, "0")}_${Math.floor(i / CLASSES)}.png`,
  };
});
await using model = await loadModel("demo", { device: "cpu" });
const scores = await scored(model, pictures.map(({ name }) => `${folder}/${name}`));
const flops = model.flops!(model.schedule({ cfg: 1, guidance: "constant" }), false);

/** Scores of all pictures: those of the file, and behind them what it lacks. */
async function scored(model: Model, paths: readonly string[]): Promise<Float32Array> {
  const stride = CLASSES * SCALES;
  const before = await Deno.readFile(file!).catch(() => new Uint8Array());
  const values = new Float32Array(paths.length * stride);
  const there = Math.min(paths.length, Math.floor(before.length / (4 * stride)));
  values.set(new Float32Array(before.buffer, 0, there * stride));
  using output = await Deno.open(file!, { write: true, create: true });
  await output.seek(4 * there * stride, Deno.SeekMode.Start);
  for (let first = there; first < paths.length; first += TOGETHER) {
    const part = paths.slice(first, first + TOGETHER);
    const images = await Promise.all(part.map(async (path) => decodeImage(await Deno.readFile(path))));
    const { images: coded } = await reconstruct(model, images);
    const { logProbabilities } = await score(
      model,
      coded.map(({ tokens }) => tokens),
      [...Array(CLASSES).keys()],
      { batch: CLASSES },
    );
    values.set(logProbabilities, first * stride);
    await output.write(new Uint8Array(logProbabilities.buffer));
    console.error(`${first + part.length} of ${paths.length}`);
  }
  return values;
}

/** Log-probability of a picture under a class by its first scales. */
function sumOf(picture: number, label: number, scales: number): number {
  const begin = (picture * CLASSES + label) * SCALES;
  return scores.subarray(begin, begin + scales).reduce((sum, value) => sum + value, 0);
}

/** Labels by how likely they are. */
function ranked(picture: number, scales: number, among: readonly number[]): number[] {
  return among.toSorted((a, b) => sumOf(picture, b, scales) - sumOf(picture, a, scales) || a - b);
}

function share(hits: number): string {
  const { low, high } = wilsonInterval(hits, pictures.length);
  const [part, least, most] = [hits / pictures.length, low, high].map((value) => (100 * value).toFixed(1));
  return `${part} % [${least}, ${most}]`;
}

function count(holds: (picture: number, label: number) => boolean): number {
  return pictures.filter(({ label }, picture) => holds(picture, label)).length;
}

const all = [...Array(CLASSES).keys()];
console.log(
  `${pictures.length} pictures\n\n| scales | right | shape | colour | among 3 | among 10 | margin |`,
);
console.log("| --- | --- | --- | --- | --- | --- | ---: |");
for (let scales = 1; scales <= SCALES; scales++) {
  const rankings = pictures.map((_, picture) => ranked(picture, scales, all));
  const among = (n: number) =>
    share(count((picture, label) => rankings[picture]!.slice(0, n).includes(label)));
  const shape = (id: number): number => Math.floor(id / COLOURS);
  const margins = rankings.map(([best, second], i) => sumOf(i, best!, scales) - sumOf(i, second!, scales));
  const cells = [
    among(1),
    share(count((picture, label) => shape(rankings[picture]![0]!) === shape(label))),
    share(count((picture, label) => rankings[picture]![0]! % COLOURS === label % COLOURS)),
    among(3),
    among(10),
    margins.sort((a, b) => a - b)[Math.floor(margins.length / 2)]!.toFixed(1),
  ];
  console.log(`| ${scales} | ${cells.join(" | ")} |`);
}

const work = flops.scales.map((_, scale) => {
  return flops.scales.slice(0, scale + 1).reduce((sum, each) => sum + each, flops.condition);
});
console.log("\n| stages | right | work |\n| --- | --- | ---: |");
for (const stages of STAGES) {
  let spent = 0;
  const right = count((picture, label) => {
    let left: readonly number[] = all;
    for (const [scales, keep] of stages) {
      spent += left.length * work[scales - 1]!;
      left = ranked(picture, scales, left).slice(0, keep);
    }
    return left[0] === label;
  });
  const part = spent / (pictures.length * CLASSES * work[SCALES - 1]!);
  const name = stages.map((stage) => stage.join(":")).join(",");
  console.log(`| ${name} | ${share(right)} | ${(100 * part).toFixed(0)} % |`);
}
for (const [picture, { name, label }] of pictures.entries()) {
  const [found] = ranked(picture, SCALES, all);
  if (found === label) continue;
  const { names } = model.labels as { readonly names: readonly string[] };
  console.log(`${name}: ${names[label]} taken for ${names[found!]}`);
}
