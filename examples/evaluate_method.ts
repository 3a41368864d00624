/**
 * Is a method any better? One picture of each of the demo's 64 classes, painted plainly and with VAR-Scaling
 * from the same seed, judged by a network that no search has seen. Prints accuracy and Fréchet distance with
 * 95 % intervals, and the difference picture by picture, which says more than two intervals side by side.
 *
 *     deno run -R examples/evaluate_method.ts [SEED]
 *
 * @module
 */

import * as evaluation from "../evaluation/mod.ts";
import { generate, loadModel, varScaling } from "../mod.ts";

const [seed = "0"] = Deno.args;
await using model = await loadModel("demo", { device: "cpu" });
const request = { labels: Array.from({ length: 64 }, (_, label) => label), seed: Number(seed) };
const plain = await generate(model, request);
const scaled = await generate(model, { ...request, hooks: [varScaling()] });

await using oracle = await evaluation.loadMetricNetwork("demo-oracle");
const { statistics } = (await evaluation.openBundledReference(oracle))!;
const real = statistics!.features!;
const look = async (images: typeof plain.images) => {
  const { logits, features } = await evaluation.lookAtImages(oracle, images, ["logits", "features"]);
  const { right } = evaluation.accuracy(logits!, request.labels);
  return { right: right.map(Number), features: features! };
};
const [before, after] = [await look(plain.images), await look(scaled.images)];

const distanceOf = ({ features }: typeof before, kept: Uint32Array): number => {
  return evaluation.frechetDistance(evaluation.rowsAt(features, kept), real);
};
const distance = (value: (kept: Uint32Array) => number): evaluation.Interval => {
  // A set of pictures has one distance, so parts of it are left out to see how much that depends on them.
  return evaluation.jackknifeInterval(request.labels.length, value, { groups: 8 });
};
const hits = (right: readonly number[]): number => right.filter((one) => one === 1).length;

// 64 pictures are few, and a set so small is far from any other; sets are compared at equal numbers only.
const rows: Readonly<Record<string, Readonly<Record<string, evaluation.Interval>>>> = {
  "accuracy": {
    "plain": evaluation.wilsonInterval(hits(before.right), before.right.length),
    "VAR-Scaling": evaluation.wilsonInterval(hits(after.right), after.right.length),
    "difference": evaluation.bootstrapDifference([after.right], [before.right]),
  },
  "Fréchet distance": {
    "plain": distance((kept) => distanceOf(before, kept)),
    "VAR-Scaling": distance((kept) => distanceOf(after, kept)),
    "difference": distance((kept) => distanceOf(after, kept) - distanceOf(before, kept)),
  },
};
for (const [metric, methods] of Object.entries(rows)) {
  for (const [method, { mean, low, high }] of Object.entries(methods)) {
    const interval = `${low.toFixed(2)} to ${high.toFixed(2)}`;
    console.log(`${metric.padEnd(16)}  ${method.padEnd(11)}  ${mean.toFixed(2).padStart(6)}  (${interval})`);
  }
}
const { p } = evaluation.pairedTest(after.right, before.right);
console.log(`a difference of accuracy as large by chance: p = ${p.toFixed(2)}`);
