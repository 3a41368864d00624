/** Which type of weights fits, for a model of which nothing is known but the bytes that it needs. */

import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import {
  batchLimitOn,
  type BytesNeeded,
  chooseDtype,
  requireBatch,
  requireFit,
  resolveDtype,
} from "../../../models/graphs/fit.ts";
import { type Provider, type Room, WASM_BYTES } from "../../../models/graphs/room.ts";
import { lowerLimits, testOnGpu } from "../../devices.ts";
import { type Dtype, DTYPES, type KeptDtype } from "../../../models/weights/dtype.ts";

const BYTES: Readonly<Record<KeptDtype, number>> = { int8: 1032, f32: 4000, f16: 2000, q8: 1125, q4: 625 };
const needed: BytesNeeded = (dtype) => BYTES[dtype];

function roomOf(device: CpuDevice, bytes: number | undefined, provider: Provider = "native"): Room {
  return { device, provider, available: bytes, most: bytes };
}

Deno.test("chooseDtype takes the most precise type that fits, from the stored one on", () => {
  const choose = (available: number, options: Partial<Parameters<typeof chooseDtype>[1]> = {}): Dtype =>
    chooseDtype(needed, { stored: "f32", provider: "webgpu", available, ...options });
  assertEquals([4000, 3999, 1999, 1124].map((bytes) => choose(bytes)), [...DTYPES]);
  for (const stored of DTYPES) assertEquals(choose(4000, { stored }), stored);
  assertEquals(choose(3999, { halves: false }), "q8");
  // Halves become f32 where that is faster, and there is room.
  for (const how of [{ small: true }, { halves: false }, { provider: "wasm" }] as const) {
    assertEquals(choose(4000, { stored: "f16", ...how }), "f32");
  }
  assertEquals(choose(3999, { stored: "f16", small: true }), "f16");
  assertThrows(() => choose(4000 - 1, { stored: "q8", available: 1124 }), RangeError, "as q8");
});

Deno.test("requireFit names what would fit", () => {
  using device = new CpuDevice();
  const refuse = (room: Room, options: Partial<Parameters<typeof requireFit>[2]> = {}): string =>
    assertThrows(
      () => requireFit(needed, room, { dtype: "f32", largestArray: 1, ...options }),
      RangeError,
    ).message;
  requireFit(needed, roomOf(device, 4000), { dtype: "f32", largestArray: 1e12 });
  requireFit(needed, roomOf(device, undefined), { dtype: "f32", largestArray: 1 });
  assertEquals(
    refuse(roomOf(device, 1200), { action: "paint" }),
    "Cannot paint as f32 as it needs 4000 bytes with one image and there are 1200; " +
      'possible are dtype: "q8" or dtype: "q4"',
  );
  // Integers stay what they are.
  assertEquals(
    refuse(roomOf(device, 700), { dtype: "q8", stored: "q8" }),
    "Cannot load the model as q8 as it needs 1125 bytes with one image and there are 700",
  );
  // Where WebAssembly is what is too small, others have more.
  const large: BytesNeeded = () => WASM_BYTES + 1;
  const room = roomOf(device, WASM_BYTES, "wasm");
  assertThrows(
    () => requireFit(large, room, { dtype: "f32", largestArray: 1 }),
    RangeError,
    `there are ${WASM_BYTES}; possible are device: "webgpu" or cpuProvider: "native"`,
  );
});

Deno.test("resolveDtype takes what was asked for, if it fits", () => {
  using device = new CpuDevice();
  const arrays: KeptDtype[] = [];
  const resolve = (bytes: number, choice: KeptDtype | "auto"): KeptDtype =>
    resolveDtype(needed, roomOf(device, bytes), {
      choice,
      stored: "f32",
      largestArray: (dtype) => arrays.push(dtype),
    });
  assertEquals(resolve(3000, "auto"), "f16");
  assertEquals(resolve(3000, "q4"), "q4");
  assertEquals(arrays, ["f16", "q4"]);
  assertThrows(() => resolve(3000, "f32"), RangeError, 'possible are dtype: "f16"');
  // Integers for products are no type among others.
  assertEquals(resolve(6000, "int8"), "int8");
  const refused = assertThrows(() => resolve(100, "int8"), RangeError);
  assertEquals(
    refused.message,
    `Cannot load the model as int8 as it needs ${needed("int8")} bytes with one image and there are 100`,
  );
});

testOnGpu("batchLimitOn: the smaller of a GPU's limits counts, and one image is left", (device) => {
  using _ = lowerLimits(device, { maxStorageBufferBindingSize: 1000, maxBufferSize: 800 });
  const limit = batchLimitOn(device, 300);
  const reason = `the limit maxBufferSize of "${device.name}" is 800 and each image takes 300 bytes`;
  assertEquals(limit, { images: 2, reason });
  // Whether one fits is asked elsewhere.
  assertEquals(batchLimitOn(device, 900)?.images, 1);
  using cpu = new CpuDevice();
  assertEquals(batchLimitOn(cpu, 300), undefined);
  requireBatch(2, limit, "paint");
  requireBatch(1e6, undefined, "paint");
  assertEquals(
    assertThrows(() => requireBatch(3, limit, "paint"), RangeError).message,
    `Cannot paint as the number of images at once must be at most 2, since ${reason}: current value is 3`,
  );
});
