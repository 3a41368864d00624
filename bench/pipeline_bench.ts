/**
 * The whole pipeline under `deno bench`: loading, one image and a batch of eight, plain and with VAR-Scaling, on the CPU and, where there
 * is an adapter, on WebGPU.
 *
 * @module
 */

import { CpuDevice, type Device, generate, type Model, WebGpuDevice } from "../mod.ts";
import { loadDemo, PIPELINE_CASES } from "./pipeline.ts";

const hasGpu = await navigator.gpu.requestAdapter() !== null;

for (const kind of hasGpu ? ["cpu", "webgpu"] as const : ["cpu"] as const) {
  let device: Device | undefined;
  let model: Promise<Model> | undefined;
  const open = async (): Promise<Device> => {
    return device ??= kind === "cpu" ? new CpuDevice() : await WebGpuDevice.open();
  };
  Deno.bench({
    name: `load the bundled model: ${kind}`,
    group: "load",
    n: 3,
    // A first load is what this is about.
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
        n: 5,
        warmup: 1,
        fn: async (b) => {
          const loaded = await (model ??= open().then(loadDemo));
          b.start();
          await generate(loaded, request);
          b.end();
        },
      });
    }
  }
}
