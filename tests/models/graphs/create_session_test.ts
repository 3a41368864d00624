/** The runtime that will be needed starts before the first graph is there. */

import { assert } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { createGraphSession, prepareRuntime } from "../../../models/graphs/create_session.ts";
import { example, WEIGHTS } from "./example_graph.ts";

Deno.test("prepareRuntime: a graph that comes later finds the runtime started", async () => {
  using device = new CpuDevice();
  const { instantiate } = WebAssembly;
  let started = 0;
  WebAssembly.instantiate = ((...args: Parameters<typeof instantiate>) => {
    started++;
    return instantiate(...args);
  }) as typeof instantiate;
  try {
    prepareRuntime(device);
    while (started === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const externalFiles = [{ path: "w.bin", data: WEIGHTS }];
    for (let i = 0; i < 2; i++) {
      await using _session = await createGraphSession(device, example(), { externalFiles });
      prepareRuntime(device);
    }
    assert(started === 1);
  } finally {
    WebAssembly.instantiate = instantiate;
  }
});
