/**
 * A cold start, in a process of its own: milliseconds from the start of the process to a loaded model, and on
 * to the first image. Source files are taken from Deno's cache; shaders are compiled anew, as nothing keeps
 * them. Prints one line of JSON.
 *
 *     deno run -A bench/cold_start.ts cpu|webgpu
 *
 * @module
 */

import { generate, loadModel, openDevice } from "../mod.ts";

const [kind] = Deno.args;
if (kind !== "cpu" && kind !== "webgpu") {
  throw new RangeError(
    `Cannot measure a cold start as the device must be cpu or webgpu: current value is ${kind}`,
  );
}
using device = await openDevice(kind);
await using model = await loadModel("demo", { device });
// performance.now() counts from the start of the process.
const loaded = performance.now();
await generate(model, { labels: "red torus", seed: 7 });
const first = performance.now();
await generate(model, { labels: "red torus", seed: 7 });
console.log(JSON.stringify({ loaded, first: first - loaded, second: performance.now() - first }));
