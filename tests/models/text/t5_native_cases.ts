/**
 * The text encoder under the native CPU provider, as tests for a process of its own, which
 * `../graphs/native_graph_session_test.ts` starts.
 *
 * @module
 */

import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { requireDemo, requireRandom } from "./t5_cases.ts";

for (
  const [name, options] of Object.entries(
    {
      "floats": { dtype: "f32" },
      "halves that are widened": { dtype: "f16" },
      "halves that stay halves": { dtype: "f16", halves: true },
    } as const,
  )
) {
  Deno.test(`native: a text encoder has the recorded features with ${name}`, async () => {
    using device = new CpuDevice();
    await requireRandom(device, { ...options, cpuProvider: "native" });
    await requireDemo(device, { ...options, cpuProvider: "native" });
  });
}
