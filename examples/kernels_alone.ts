/**
 * The kernels without a model, a package or a permission: a density that finds strays among two thousand
 * points, a codebook that is created once and used often, and tokens drawn from logits. Prints what it finds.
 *
 *     deno run examples/kernels_alone.ts
 *
 * @module
 */

import { createCodebook, distances, kde, nearest, openDevice, readWords, sample } from "../kernels/mod.ts";

// Two thousand points of a ring, and two that are not on it.
const COUNT = 2000;
const points = new Float32Array(2 * COUNT);
for (let i = 0; i < COUNT; i++) {
  const angle = 2 * Math.PI * i / COUNT;
  const radius = 1 + 0.05 * Math.sin(37 * angle);
  points.set([radius * Math.cos(angle), radius * Math.sin(angle)], 2 * i);
}
points.set([0.3, -0.2], 2 * 500);
points.set([1.6, 0.4], 2 * 1500);

// One call: the density at each point as if it were not there itself; strays have the least.
const density = await kde(points, { dimensions: 2, bandwidth: 0.2, leaveOneOut: true });
const order = [...density.keys()].sort((a, b) => density[a]! - density[b]!);
const strays = order.slice(0, 2).sort((a, b) => a - b);
console.log("strays:", strays.join(", "));

// Two sets, and all distances between them: how far each stray is from the centre and from (1, 0).
const places = Float32Array.from(strays.flatMap((i) => [...points.subarray(2 * i, 2 * i + 2)]));
const matrix = await distances(places, new Float32Array([0, 0, 1, 0]), { dimensions: 2 });
console.log("distances:", [...matrix].map((distance) => distance.toFixed(3)).join(", "));

// Created once and run often, with everything left on the device until it is wanted.
const corners = new Float32Array([1, 1, -1, 1, -1, -1, 1, -1]);
using device = await openDevice("cpu"); // "webgpu", or "auto"
using codebook = createCodebook(device, corners, { channels: 2 });
using codes = codebook.nearest(points);
const quarters = new Uint32Array(4);
for (const code of await readWords(codes)) quarters[code]!++;
console.log("points by quarter:", quarters.join(", "));
console.log("the same in one call:", (await nearest(places, corners, { channels: 2 })).join(", "));

// A hundred draws from one row of logits: the same on every device, whatever else is drawn.
const logits = new Float32Array([2, 1, 0, -9]);
const tokens = await sample(logits, { vocabulary: 4, topP: 0.9, seed: 7, draws: 100 });
const drawn = new Uint32Array(4);
for (const token of tokens) drawn[token]!++;
console.log("draws by token:", drawn.join(", "));
