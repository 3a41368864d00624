/** Caches as a graph sees them: halves hold what floats hold, rounded once, and nothing else changes. */

import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { CpuDevice, floats } from "../../../kernels/device/cpu_device.ts";
import { type CacheDtype, requireCacheDtype } from "../../../models/graphs/cache_values.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { testOnDevices, testOnGpu } from "../../devices.ts";
import { assertRoundedCaches, runTiny, tinyFile, wholeGraph } from "./tiny_transformer.ts";

testOnDevices("createGraphSession: keys and values of f16 are those of f32, rounded", async (device) => {
  await assertRoundedCaches(device);
});

/** Rounds the keys and values that a session gives to halves, and keeps them as floats. */
function rounding(session: GraphSession): GraphSession {
  return {
    run: async (inputs, wanted) => {
      const results = await session.run(inputs, wanted);
      for (const [name, array] of Object.entries(results)) {
        if (name !== "logits") floats(array).set(Float16Array.from(floats(array)));
      }
      return results;
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

Deno.test("createGraphSession: a generation with caches of f16 is that of f32 with rounded ones", async () => {
  using device = new CpuDevice();
  const session = (dtype: CacheDtype): Promise<GraphSession> => {
    return createGraphSession(device, wholeGraph(dtype), { externalFiles: [tinyFile()] });
  };
  await using whole = await session("f32");
  await using halved = await session("f16");
  const exact = await runTiny(whole, device);
  const found = await runTiny(halved, device, "f16");
  assertEquals(found, await runTiny(rounding(whole), device));
  // Nothing has been kept when the first scale begins.
  assertEquals(found[0], exact[0]);
  for (const scale of [1, 2]) assertNotEquals(found[scale], exact[scale]);
});

testOnGpu("requireCacheDtype: halves need a GPU that has them", (device) => {
  const action = "load the model";
  using host = new CpuDevice();
  requireCacheDtype(host, "f16", action);
  requireCacheDtype(device, "f16", action);
  const { gpu } = device;
  Object.defineProperty(gpu, "features", { value: new Set(), configurable: true });
  try {
    requireCacheDtype(device, "f32", action);
    assertThrows(
      () => requireCacheDtype(device, "f16", action),
      RangeError,
      `Cannot load the model with caches of f16 as "${device.name}" has no shader-f16; use cacheDtype: "f32"`,
    );
  } finally {
    Reflect.deleteProperty(gpu, "features");
  }
});
