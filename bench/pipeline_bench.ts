/**
 * The whole pipeline under `deno bench`: loading, one image and a batch of eight, plain and with VAR-Scaling,
 * on the CPU and, where there is an adapter, on WebGPU.
 *
 * @module
 */

import { CpuDevice, type Device, generate, type Model, WebGpuDevice } from "../mod.ts";
import { loadDemo, PIPELINE_CASES } from "./pipeline.ts";

const adapter = await navigator.gpu.requestAdapter();

/** The model after a first image of either kind, which compiles the shaders. */
async function loadWarm(device: Device): Promise<Model> {
  const model = await loadDemo(device);
  const { plain, scaled } = PIPELINE_CASES[0]!;
  await generate(model, plain);
  await generate(model, scaled);
  return model;
}

for (const kind of adapter !== null ? ["cpu", "webgpu"] as const : ["cpu"] as const) {
  let device: Device | undefined;
  let model: Promise<Model> | undefined;
  // An adapter that is software takes seconds for an image, so once has to do.
  const n = kind === "webgpu" && adapter!.info.isFallbackAdapter ? 1 : 5;
  const open = async (): Promise<Device> => {
    return device ??= kind === "cpu" ? new CpuDevice() : await WebGpuDevice.open();
  };
  Deno.bench({
    name: `load the bundled model: ${kind}`,
    group: "load",
    n,
    warmup: 0,
    fn: async (b) => {
      const target = await open();
      b.start();
      const loaded = await loadDemo(target);
      b.end();
      await loaded[Symbol.asyncDispose]();
    },
  });
  for (const { name, plain, scaled } of PIPELINE_CASES) {
    const group = `${name}, ${kind}`;
    for (const [label, request] of [["plain", plain], ["VAR-Scaling N=50", scaled]] as const) {
      Deno.bench({
        name: `${group}: ${label}`,
        group,
        baseline: label === "plain",
        n,
        warmup: 0,
        fn: async (b) => {
          const loaded = await (model ??= open().then(loadWarm));
          b.start();
          await generate(loaded, request);
          b.end();
        },
      });
    }
  }
}
