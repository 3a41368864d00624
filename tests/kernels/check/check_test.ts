import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { checkKernel, checkKernels, type KernelCheck } from "../../../kernels/check/check.ts";
import type { KernelCase } from "../../../kernels/check/kernel_case.ts";
import { CpuDevice, floats, words } from "../../../kernels/device/cpu_device.ts";
import type { DeviceArray, Kernel } from "../../../kernels/device/device.ts";
import { DeviceLostError, ShaderCompilationError } from "../../../kernels/device/errors.ts";
import { testOnDevices } from "../../devices.ts";
import { allKernels } from "../../shaders.ts";

/** A CPU on which something else happens when a kernel has run. */
class OtherDevice extends CpuDevice {
  readonly ran = new Set<string>();
  readonly after: (name: string, args: Readonly<Record<string, unknown>>) => void;

  constructor(after: OtherDevice["after"] = () => {}) {
    super();
    this.after = after;
  }

  override run<Arguments>(kernel: Kernel<Arguments>, args: Arguments): void {
    super.run(kernel, args);
    this.ran.add(kernel.name);
    this.after(kernel.name, args as Record<string, unknown>);
  }
}

function failed(results: readonly KernelCheck[]): KernelCheck[] {
  return results.filter(({ passed }) => !passed);
}

testOnDevices("checkKernels: every kernel keeps its promise, and nothing stays behind", async (device) => {
  const before = device.counters.liveArrays;
  const seen: KernelCheck[] = [];
  const results = await checkKernels(device, { onResult: (result) => seen.push(result) });
  assertEquals(failed(results), []);
  assertEquals(seen, results);
  assert(results.every(({ values }) => values > 0));
  assertEquals(device.counters.liveArrays, before);
});

Deno.test("checkKernels: no kernel is left out", async () => {
  using device = new OtherDevice();
  await checkKernels(device);
  const names = (await allKernels()).map(({ kernel }) => kernel.name);
  assertEquals([...device.ran].sort(), [...new Set(names)].sort());
});

Deno.test("checkKernels: one word that differs is found where bits are promised", async () => {
  using device = new OtherDevice((name, { output }) => {
    if (name === "gather") words(output as DeviceArray)[3]! ^= 1;
  });
  const [only, ...others] = failed(await checkKernels(device));
  assertEquals(others, []);
  assertEquals(only, { kernel: "gather rows", promise: "bits", values: 333, off: 1 / 333, passed: false });
});

Deno.test("checkKernels: differences are measured where a bound is promised, and NaN is none", async () => {
  for (const [factor, passed] of [[1 + 1e-7, true], [1 + 1e-4, false], [NaN, false]] as const) {
    using device = new OtherDevice((name, { state }) => {
      if (name !== "residual") return;
      const values = floats(state as DeviceArray);
      values.forEach((value, i) => values[i] = value * factor);
    });
    const results = await checkKernels(device);
    const result = results.find(({ kernel }) => kernel === "residual update")!;
    assertEquals(result.passed, passed, `${factor}`);
    assertEquals(failed(results).length, passed ? 0 : 1);
  }
});

Deno.test("checkKernels: a kernel that the driver refuses is one that did not pass", async () => {
  const refused: KernelCase = {
    name: "refused",
    promise: "bits",
    setUp: (bench) => ({
      run: () => {
        if (bench.device instanceof OtherDevice) throw new ShaderCompilationError("refused", "line 1: no");
      },
      outputs: [bench.allocate(1)],
    }),
  };
  using device = new OtherDevice();
  const { passed, values, error } = await checkKernel(refused, device);
  assertEquals([passed, values], [false, 0]);
  assertStringIncludes(error!, "line 1: no");
});

Deno.test("checkKernels: it ends with its signal, and with the device", async () => {
  using device = new OtherDevice();
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => checkKernels(device, { signal }), Error, "enough");
  using lost = new OtherDevice((name) => {
    if (name === "guidance") throw new DeviceLostError("unknown", "unplugged");
  });
  await assertRejects(() => checkKernels(lost), DeviceLostError, "unplugged");
});

Deno.test("checkKernels: options are checked", async () => {
  using device = new CpuDevice();
  await assertRejects(() => checkKernels(device, { onProgress: 1 } as never), TypeError, "onProgress");
  await assertRejects(() => checkKernels(device, { onResult: 1 } as never), TypeError, "onResult");
});
