/**
 * A cold start, in a process of its own: milliseconds from the start of the process to a loaded model, and on
 * to the first image. Source files are taken from Deno's cache; shaders are compiled anew, as nothing keeps
 * them. Prints one line of JSON.
 *
 *     deno run -A bench/cold_start.ts wasm|native|webgpu
 *
 * @module
 */

import { requireChoice } from "../kernels/arguments.ts";
import { generate, loadModel, openDevice, type Provider } from "../mod.ts";

const provider = requireChoice(
  Deno.args[0] as Provider,
  ["wasm", "native", "webgpu"],
  "it",
  "measure a cold start",
);
using device = await openDevice(provider === "webgpu" ? "webgpu" : "cpu");
await using model = await loadModel("demo", {
  device,
  ...(provider !== "webgpu" && { cpuProvider: provider }),
});
// performance.now() counts from the start of the process.
const loaded = performance.now();
await generate(model, { labels: "red torus", seed: 7 });
const first = performance.now();
await generate(model, { labels: "red torus", seed: 7 });
console.log(JSON.stringify({ loaded, first: first - loaded, second: performance.now() - first }));
