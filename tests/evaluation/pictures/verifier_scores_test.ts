/** Scores of a verifier for the pictures of a source: in order, whatever batches and sizes there are. */

import { assertEquals, assertRejects } from "@std/assert";
import { evaluatePictures } from "../../../evaluation/evaluate.ts";
import { openPictures } from "../../../evaluation/pictures/source.ts";
import { verifierScores } from "../../../evaluation/pictures/verifier_scores.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readWords } from "../../../kernels/device/device.ts";
import type { ResolvedLabel, Verifier } from "../../../models/mod.ts";
import { RgbaImage } from "../../../sampler/mod.ts";
import { testInFolder } from "../../cli/run.ts";
import { levelNetwork } from "../level_network.ts";

/** Scores a picture by the red of its first pixel, and remembers what it was shown. */
class RedVerifier implements Verifier {
  readonly name = "red";
  readonly needsPrompt: boolean;
  readonly shown: { width: number; labels: readonly ResolvedLabel[] }[] = [];

  constructor(needsPrompt = false) {
    this.needsPrompt = needsPrompt;
  }

  async score(
    { array, count, width, height }: Parameters<Verifier["score"]>[0],
    labels: readonly ResolvedLabel[],
  ): Promise<number[]> {
    this.shown.push({ width, labels });
    const words = await readWords(array);
    return Array.from({ length: count }, (_, i) => words[i * width * height]! & 255);
  }
}

/** Writes a picture for each red. */
async function writeReds(folder: string, reds: readonly number[], edges: readonly number[]): Promise<void> {
  for (const [i, red] of reds.entries()) {
    const image = new RgbaImage(edges[i % edges.length]!, 2);
    image.data[0] = red;
    await Deno.writeFile(`${folder}/${i}.png`, image.png());
  }
}

const reds = Array.from({ length: 75 }, (_, i) => (37 * i) % 251);

testInFolder("verifierScores: in the order of the source, whatever batches and sizes", async (folder) => {
  await writeReds(folder, reds, [2, 2, 3]);
  using device = new CpuDevice();
  const source = await openPictures(folder);
  const labels = reds.map((red, id) => ({ id, name: `${red}` }));
  const done: number[] = [];
  const verifier = new RedVerifier();
  const scores = await verifierScores(source, verifier, {
    ...{ device, labels },
    onProgress: (count) => done.push(count),
  });
  assertEquals(scores, reds);
  assertEquals(verifier.shown.flatMap(({ labels }) => labels), labels);
  assertEquals([done[0], done.at(-1)], [0, 75]);
});

testInFolder("verifierScores: what is no score is refused, with the picture", async (folder) => {
  await writeReds(folder, [1, 2, 3], [2]);
  using device = new CpuDevice();
  const source = await openPictures(folder);
  const labels = [0, 1, 2].map((id) => ({ id, name: `${id}` }));
  const giving = (scores: number[]): Promise<number[]> => {
    const verifier = { name: "odd", needsPrompt: false, score: () => scores };
    return verifierScores(source, verifier, { device, labels });
  };
  await assertRejects(() => giving([1, NaN, 2]), RangeError, "odd makes NaN of 1.png");
  await assertRejects(() => giving([1, 2]), RangeError, "one for each of 3 pictures: current value is 2");
  const aborted = AbortSignal.abort(new Error("enough"));
  const verifier = new RedVerifier();
  await assertRejects(
    () => verifierScores(source, verifier, { device, labels, signal: aborted }),
    Error,
    "enough",
  );
});

testInFolder("evaluatePictures: the mean of a verifier's scores, with prompts or classes", async (folder) => {
  await writeReds(folder, reds, [2]);
  await using network = levelNetwork({ outputs: ["features"] });
  const pictures = await openPictures(folder);
  const prompts = reds.map((red) => `red ${red}`);
  const verifier = new RedVerifier(true);
  const { values, each, metrics } = await evaluatePictures({ pictures, network, verifier, prompts });
  const mean = reds.reduce((sum, red) => sum + red, 0) / reds.length;
  assertEquals(values.verifier!.value, mean);
  assertEquals([values.verifier!.low! < mean, mean < values.verifier!.high!], [true, true]);
  assertEquals(each.verifier, reds);
  assertEquals(metrics.at(-1), { key: "verifier", title: "red", better: "higher", network: "red" });
  assertEquals(verifier.shown[0]!.labels[1], { id: null, name: "red 37", prompt: "red 37" });
  const classes = new RedVerifier(true);
  await evaluatePictures({ pictures, network, verifier: classes, labels: reds });
  assertEquals(classes.shown[0]!.labels[1]!.id, 37);
  // Nothing but a verifier: the network is not asked.
  const looks = network.looks.pictures;
  await evaluatePictures({ pictures, network, verifier: new RedVerifier() });
  assertEquals(network.looks.pictures, looks);
  await assertRejects(
    () => evaluatePictures({ pictures, network, verifier: new RedVerifier(true) }),
    RangeError,
    "red compares pictures with texts, and nothing says which prompt or class",
  );
});
