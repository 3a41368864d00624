import { assertEquals, assertThrows } from "@std/assert";
import { readFloats } from "../../../kernels/device/device.ts";
import { MovedPositions } from "../../../models/graphs/moved_positions.ts";
import { testOnDevices, testRandom } from "../../devices.ts";

testOnDevices("MovedPositions: each position takes what another one of its row has", async (device) => {
  const random = testRandom(7);
  for (const [images, guided, length, width] of [[1, 1, 1, 3], [2, 2, 4, 5], [3, 2, 7, 1], [1, 2, 16, 64]]) {
    const before = device.counters.liveArrays;
    {
      const rows = images! * guided!;
      const sources = Uint32Array.from({ length: images! * length! }, () => Math.floor(random() * length!));
      const own = Float32Array.from({ length: rows * length! * width! }, random);
      const shared = Float32Array.from({ length: length! * width! }, random);
      using array = device.upload(own);
      using places = device.upload(shared);
      using moved = new MovedPositions(device, sources, { rows, images: images!, length: length! });
      using ofRows = moved.ofRows(array);
      using ofAll = moved.ofAll(places);
      const wanted = (from: (row: number, position: number, i: number) => number): number[] => {
        return Array.from({ length: rows * length! * width! }, (_, at) => {
          const [row, position] = [Math.floor(at / width! / length!), Math.floor(at / width!) % length!];
          return from(row, sources[row % images! * length! + position]!, at % width!);
        });
      };
      assertEquals(
        [...await readFloats(ofRows)],
        wanted((row, position, i) => own[(row * length! + position) * width! + i]!),
      );
      assertEquals(
        [...await readFloats(ofAll)],
        wanted((_, position, i) => shared[position * width! + i]!),
      );
    }
    assertEquals(device.counters.liveArrays, before);
  }
});

testOnDevices("MovedPositions: sources that are no positions are refused, and nothing is kept", (device) => {
  const before = device.counters.liveArrays;
  const shape = { rows: 2, images: 1, length: 4 };
  assertThrows(
    () => new MovedPositions(device, new Uint32Array(3), shape),
    RangeError,
    "Cannot move positions as sources must hold one for each of 1 × 4 positions: current number is 3",
  );
  assertThrows(
    () => new MovedPositions(device, new Uint32Array([0, 1, 2, 4]), shape),
    RangeError,
    "Cannot move positions as a source must be an integer from 0 to 3: current value is 4",
  );
  assertEquals(device.counters.liveArrays, before);
});
