/** Products of integers are refused where they gain nothing, with what to do about it. */

import { assertEquals, assertRejects } from "@std/assert";
import { type IntegerSpeed, requireFastIntegers } from "../../../models/graphs/integer_speed.ts";

function measuring(speed: IntegerSpeed): { calls: number; measure: () => Promise<IntegerSpeed> } {
  const probe = {
    calls: 0,
    measure: () => {
      probe.calls++;
      return Promise.resolve(speed);
    },
  };
  return probe;
}

Deno.test("requireFastIntegers: half the time of floats is enough, and more is refused with both times", async () => {
  const native = { provider: "native" } as const;
  for (const integers of [0.1, 0.5]) {
    const probe = measuring({ floats: 1, integers, exact: true });
    await requireFastIntegers(native, probe.measure);
    assertEquals(probe.calls, 1);
  }
  const slow = measuring({ floats: 1.2345, integers: 0.98765, exact: true });
  await assertRejects(
    () => requireFastIntegers(native, slow.measure),
    RangeError,
    'Cannot load the model with compute "int8" as this processor gains too little by it: a product takes 0.988 ms instead of 1.23, and half would be worth it; use compute: "f32"',
  );
});

Deno.test("requireFastIntegers: sums that overflow are refused, however fast", async () => {
  const wrong = measuring({ floats: 10, integers: 1, exact: false });
  await assertRejects(
    () => requireFastIntegers({ provider: "native" }, wrong.measure),
    RangeError,
    'Cannot load the model with compute "int8" as sums of integers overflow on this processor, which has no instructions for them; use compute: "f32"',
  );
});

Deno.test("requireFastIntegers: elsewhere than natively nothing is measured", async () => {
  for (
    const [provider, message] of [
      [
        "wasm",
        'WebAssembly gains too little by them, 1.2 to 1.7 times the speed of one product; use cpuProvider: "native", or compute: "f32"',
      ],
      [
        "webgpu",
        'ONNX Runtime has no such products on WebGPU; use device: "cpu" with cpuProvider: "native", or compute: "f32"',
      ],
    ] as const
  ) {
    const probe = measuring({ floats: 10, integers: 1, exact: true });
    await assertRejects(
      () => requireFastIntegers({ provider }, probe.measure),
      RangeError,
      `Cannot load the model with compute "int8" as ${message}`,
    );
    assertEquals(probe.calls, 0);
  }
});
