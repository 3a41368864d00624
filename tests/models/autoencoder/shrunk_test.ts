import { assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { decodeShrunk, shrinksOf, shrunk } from "../../../models/autoencoder/shrunk.ts";
import { testOnDevices } from "../../devices.ts";

Deno.test("shrinksOf: powers of two that divide both edges", () => {
  assertEquals(shrinksOf({ width: 1, height: 8 }), [1]);
  assertEquals(shrinksOf({ width: 8, height: 8 }), [1, 2, 4, 8]);
  assertEquals(shrinksOf({ width: 12, height: 40 }), [1, 2, 4]);
});

testOnDevices("shrunk: positions become means of their squares", async (device) => {
  const values = Float32Array.from({ length: 2 * 3 * 2 * 4 }, (_, i) => i);
  using array = device.upload(values);
  const { array: small, ...size } = shrunk({ array, images: 2, width: 4, height: 2 }, 3, 2);
  using output = small;
  assertEquals(size, { images: 2, width: 2, height: 1 });
  // A plane is 8 long, its halves' means 2.5 and 4.5 above its first value.
  const wanted = Array.from({ length: 6 }, (_, plane) => [8 * plane + 2.5, 8 * plane + 4.5]).flat();
  assertEquals([...await readFloats(output)], wanted);
  assertThrows(
    () => shrunk({ array, images: 2, width: 4, height: 2 }, 3, 4),
    RangeError,
    "Cannot decode as shrink must be 1 or 2: current value is 4",
  );
});

testOnDevices("decodeShrunk: features of the full size are decoded as they are", async (device) => {
  using array = device.upload(new Float32Array([1, 2, 3, 4]));
  const features = { array, images: 1, width: 2, height: 2 };
  const live = device.counters.liveArrays;
  for (const [shrink, wanted] of [[1, [1, 2, 3, 4]], [2, [2.5]]] as const) {
    const seen: number[] = [];
    using _pictures = await decodeShrunk(features, {
      channels: 1,
      shrink,
      decode: async ({ array, width, height }) => {
        seen.push(...await readFloats(array));
        return { array, width, height, [Symbol.dispose]() {} };
      },
    });
    assertEquals(seen, [...wanted]);
  }
  assertEquals(device.counters.liveArrays, live);
});
