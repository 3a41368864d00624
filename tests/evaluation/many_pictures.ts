/**
 * An evaluation of more pictures than whose rows are kept, as a program: prints as JSON how many bytes arrays
 * take after each thousand of them, garbage aside, and how many the rows would take.
 *
 *     deno run --v8-flags=--expose-gc tests/evaluation/many_pictures.ts
 *
 * @module
 */

import { evaluatePictures } from "../../evaluation/evaluate.ts";
import { metricNetworkOf } from "../../evaluation/networks/own_network.ts";
import { CpuDevice } from "../../kernels/mod.ts";
import { RgbaImage } from "../../sampler/mod.ts";

const [COUNT, DIMENSIONS] = [16_384, 256];
const BATCH = 64;

using device = new CpuDevice();
await using network = metricNetworkOf({
  ...{ name: "noise", fingerprint: "noise 1", outputs: ["features"], device },
  look({ count }) {
    const values = Float32Array.from({ length: count * DIMENSIONS }, Math.random);
    return Promise.resolve({ features: { values, count, dimensions: DIMENSIONS } });
  },
});
const names = Array.from({ length: COUNT }, (_, i) => `${i}`);
const covariance = new Float64Array(DIMENSIONS ** 2);
for (let i = 0; i < DIMENSIONS; i++) covariance[i * (DIMENSIONS + 1)] = 1;
const features = { count: COUNT, dimensions: DIMENSIONS, mean: new Float64Array(DIMENSIONS), covariance };
const collect = (globalThis as unknown as { gc: () => void }).gc;
const taken: number[] = [];
const { values } = await evaluatePictures({
  pictures: {
    ...{ place: "made", count: COUNT, names, fingerprint: "made", notes: [] },
    async *pictures() {
      for (const name of names) yield await Promise.resolve({ name, image: new RgbaImage(1, 1) });
    },
  },
  network,
  reference: { place: "made", statistics: { features } },
  metrics: ["fid"],
  onProgress({ done }) {
    if (done % (16 * BATCH) !== 0) return;
    collect();
    taken.push(Deno.memoryUsage().external);
  },
});
console.log(JSON.stringify({ taken, rows: 4 * COUNT * DIMENSIONS, fid: values.fid!.value }));
