/**
 * What the command line says must be there: without these words a test that misses something is reported as
 * ignored, with them it fails.
 *
 * @module
 */

/** `--require-gpu`: a WebGPU adapter, and the packages that a look at the shaders needs. */
export const requireGpu: boolean = Deno.args.includes("--require-gpu");

/** `--require-chromium`: Chromium, for its pages and for the Vulkan driver that comes with it. */
export const requireChromium: boolean = Deno.args.includes("--require-chromium");

/** `--require-redis`: a Redis server, for the queue. */
export const requireRedis: boolean = Deno.args.includes("--require-redis");
