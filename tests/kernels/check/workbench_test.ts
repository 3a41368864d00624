import { assert, assertEquals } from "@std/assert";
import { hardLogits } from "../../../kernels/check/kernel_case.ts";
import { Workbench } from "../../../kernels/check/workbench.ts";
import { CpuDevice, floats, words } from "../../../kernels/device/cpu_device.ts";

Deno.test("Workbench: the same numbers every time, other ones from call to call, all freed", () => {
  using device = new CpuDevice();
  const made = [0, 1].map(() => {
    using bench = new Workbench(device);
    assertEquals(bench.typeOf(bench.integers(3, 10)), "u32");
    assertEquals(bench.typeOf(bench.normal(3)), "f32");
    return [floats(bench.normal(999)).slice(), floats(bench.normal(999)).slice()];
  });
  assertEquals(made[0], made[1]);
  assert(made[0]![0]!.some((value, i) => value !== made[0]![1]![i]));
  assertEquals(device.counters.liveArrays, 0);
});

Deno.test("Workbench: values are normally distributed, integers below their bound", () => {
  using device = new CpuDevice();
  using bench = new Workbench(device);
  const count = 20_000;
  const values = bench.normalValues(count, 3);
  assertEquals(values.length, count);
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  // Four standard errors of each.
  assert(Math.abs(mean) < 4 * 3 / Math.sqrt(count), `${mean}`);
  assert(Math.abs(variance / 9 - 1) < 4 * Math.sqrt(2 / count), `${variance}`);
  assertEquals(new Set(words(bench.integers(999, 5))), new Set([0, 1, 2, 3, 4]));
});

Deno.test("hardLogits: some are forbidden, some equal, and a last row all the same", () => {
  using device = new CpuDevice();
  using bench = new Workbench(device);
  const logits = hardLogits(bench, 3, 100);
  assert(logits.subarray(0, 200).includes(-Infinity));
  assert(new Set(logits.subarray(0, 200)).size < 200);
  assertEquals(new Set(logits.subarray(200)), new Set([1]));
});
