import { assertEquals, assertRejects } from "@std/assert";
import { NoAdapterError } from "../../../kernels/device/errors.ts";
import { openDevice, whyNoGpu } from "../../../kernels/device/open_device.ts";
import { stubAdapter, testOnGpu } from "../../devices.ts";

/** The machine's adapter, with other facts about itself. */
async function adapterWith(facts: { isFallbackAdapter: boolean }): Promise<GPUAdapter> {
  const adapter = await GPU.prototype.requestAdapter.call(navigator.gpu);
  if (adapter === null) throw new Error("No adapter");
  const info = { vendor: "test", description: "an adapter", ...facts };
  return Object.defineProperty(adapter, "info", { value: info });
}

Deno.test("openDevice: without an adapter auto takes the CPU and says so once", async () => {
  using stub = stubAdapter(() => Promise.resolve(null));
  assertEquals(await whyNoGpu(), "no WebGPU adapter found");
  for (let i = 0; i < 2; i++) {
    using device = await openDevice("auto");
    assertEquals(device.kind, "cpu");
  }
  using device = await openDevice();
  assertEquals(device.kind, "cpu");
  assertEquals(stub.lines, ["varscale: no WebGPU adapter found; running on the CPU"]);
  await assertRejects(() => openDevice("webgpu"), NoAdapterError);
});

testOnGpu("openDevice: auto takes a real adapter and passes over one in software", async () => {
  {
    let searches = 0;
    using stub = stubAdapter(() => (searches++, adapterWith({ isFallbackAdapter: false })));
    assertEquals(await whyNoGpu(), undefined);
    searches = 0;
    using device = await openDevice("auto");
    assertEquals([device.kind, device.name, stub.lines, searches], ["webgpu", "an adapter", [], 1]);
  }
  using _ = stubAdapter(() => adapterWith({ isFallbackAdapter: true }));
  assertEquals(await whyNoGpu(), "the only WebGPU adapter is software (an adapter)");
  using device = await openDevice("auto");
  assertEquals(device.kind, "cpu");
});

Deno.test("openDevice: a device of an unknown kind is refused", async () => {
  await assertRejects(() => openDevice("gpu" as "webgpu"), RangeError, 'current value is "gpu"');
});
