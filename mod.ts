/**
 * varscale: inference-time scaling of visual autoregressive image models, on WebGPU or the CPU.
 *
 * @example
 * ```ts
 * import { generate, loadModel, varScaling } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * await using model = await loadModel("demo", { device: "cpu" });
 * const { images } = await generate(model, { labels: "red torus", seed: 7, hooks: [varScaling()] });
 * assertEquals([images[0]!.width, images[0]!.height], [64, 64]);
 * ```
 *
 * @module
 */

export * from "./kernels/mod.ts";
export * from "./models/mod.ts";
export * from "./sampler/mod.ts";
