import { assertEquals, assertThrows } from "@std/assert";
import {
  copyRange,
  requireDisjoint,
  requireLength,
  requireRange,
  requireWords,
  writtenBindings,
} from "../../../kernels/device/array_checks.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";

function refused(call: () => void, type: ErrorConstructor, message: string): void {
  assertEquals((assertThrows(call, type) as Error).message, message);
}

Deno.test("requireLength and requireRange name the array, its words and what was asked for", () => {
  using device = new CpuDevice();
  using array = device.allocate(2, "short");
  requireLength(array, 2, "act");
  requireRange(array, 2, 0, "act");
  refused(
    () => requireLength(array, 3, "act"),
    RangeError,
    'Cannot act as "short" must hold at least 3 words: it holds 2',
  );
  refused(
    () => requireRange(array, 1, 2, "act"),
    RangeError,
    'Cannot act as offset + length must be <= 2, the words of "short": offset is 1 and length is 2',
  );
});

Deno.test("copyRange fills in what is left out, and refuses one array for both ends", () => {
  using device = new CpuDevice();
  using source = device.allocate(3, "from");
  using target = device.allocate(5, "to");
  assertEquals(copyRange(source, target, { sourceOffset: 1 }), {
    sourceOffset: 1,
    targetOffset: 0,
    length: 2,
  });
  refused(
    () => copyRange(source, source, {}),
    TypeError,
    'Cannot copy words as source and target must be two arrays: both are "from"',
  );
});

Deno.test("requireWords takes what a device stores as it is", () => {
  requireWords(new Float32Array(1), "act");
  requireWords(new Uint32Array(1), "act");
  refused(
    () => requireWords(new Int32Array(4) as unknown as Uint32Array, "act"),
    TypeError,
    "Cannot act as the data must be a Float32Array or Uint32Array: current value is Int32Array(4)",
  );
});

Deno.test("requireDisjoint refuses words that one call both writes and binds again", () => {
  const wgsl = `
    @group(0) @binding(1) var<storage, read> input: array<f32>;
    @group(0) @binding(2) var<storage, read_write> output: array<f32>;`;
  assertEquals(writtenBindings(wgsl), [false, true]);
  using device = new CpuDevice();
  using input = device.allocate(4, "in");
  using output = device.allocate(4, "out");
  const memory = {};
  const bound = (start: number) => [{ memory, start: 0, end: 8 }, { memory, start, end: start + 8 }];
  requireDisjoint({ name: "copy", wgsl }, [input, output], bound(8));
  refused(
    () => requireDisjoint({ name: "copy", wgsl }, [input, output], bound(4)),
    TypeError,
    'Cannot run "copy" as it writes "out", which shares words with "in" in the same call',
  );
});
