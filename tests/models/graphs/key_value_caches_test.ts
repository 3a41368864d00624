/** Caches of a transformer: what its graph is fed, what grows, what follows the lanes, what is freed. */

import { assertEquals, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { type Device, type DeviceArray, readFloats } from "../../../kernels/device/device.ts";
import type { GraphSession, GraphTensor } from "../../../models/graphs/graph_session.ts";
import { KeyValueCaches } from "../../../models/graphs/key_value_caches.ts";
import { testOnDevices } from "../../devices.ts";

const HEADS = 2;
const HEAD_WIDTH = 3;

/**
 * A transformer of no arithmetic: a key of a token is its row, a value its row and a half, in each of the
 * heads; what has been fed is noted.
 */
class FakeTransformer implements GraphSession {
  readonly fed: Readonly<Record<string, GraphTensor>>[] = [];
  readonly wanted: (readonly string[] | undefined)[] = [];
  /** Values of the last run, as they were when it was fed. */
  values: Float32Array = new Float32Array();
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
  }

  async run(
    inputs: Readonly<Record<string, GraphTensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, DeviceArray>> {
    this.fed.push(inputs);
    this.wanted.push(wanted);
    this.values = await readFloats(inputs["past_value.0"]!.array as DeviceArray);
    const { shape: [rows = 0, length = 0] } = inputs.features!;
    const results: Record<string, DeviceArray> = { logits: this.#device.allocate(rows * length, "logits") };
    for (const name of Object.keys(inputs)) {
      if (!name.startsWith("past_") || wanted !== undefined) continue;
      const more = name.startsWith("past_value") ? 0.5 : 0;
      const words = HEADS * HEAD_WIDTH;
      const values = Float32Array.from({ length: length * rows * words }, (_, i) => {
        return Math.floor(i / words) % rows + more;
      });
      results[name.replace("past", "new")] = this.#device.upload(values, name);
    }
    return results;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

testOnDevices("KeyValueCaches grow scale by scale, and need not leave the last one", async (device) => {
  const before = device.counters.liveBytes;
  {
    using caches = new KeyValueCaches({
      ...{ device, depth: 2, heads: HEADS, headWidth: HEAD_WIDTH },
      ...{ images: 2, guided: true, lengths: [1, 4, 9] },
    });
    assertEquals([caches.images, caches.rows, caches.scale], [2, 4, 0]);
    assertThrows(
      () => caches.requireDone("decode"),
      TypeError,
      "Cannot decode as no scale has been accepted",
    );
    const session = new FakeTransformer(device);
    for (const length of [1, 4, 9]) {
      using features = device.allocate(4 * length);
      using logits = await caches.run(session, {
        features: { array: features, shape: [4, length] },
      });
      assertEquals(logits.length, 4 * length);
      caches.advance();
    }
    const names = ["features", "past_key.0", "past_key.1", "past_value.0", "past_value.1"];
    for (const [k, past] of [0, 1, 5].entries()) {
      const { features: _, ...pasts } = session.fed[k]!;
      assertEquals(Object.keys(session.fed[k]!).sort(), names);
      for (const { shape } of Object.values(pasts)) assertEquals(shape, [past, 4, HEADS, HEAD_WIDTH]);
    }
    assertEquals(session.wanted, [undefined, undefined, ["logits"]]);
    caches.requireDone("decode");
    assertThrows(() => caches.scale, RangeError, "Cannot go on as all 3 scales are done");
    assertThrows(() => caches.advance(), RangeError, "Cannot go on as all 3 scales are done");
  }
  assertEquals(device.counters.liveBytes, before);
});

for (const guided of [false, true]) {
  testOnDevices(`KeyValueCaches follow their lanes, ${guided ? "" : "not "}guided`, async (device) => {
    const before = device.counters.liveBytes;
    {
      using caches = new KeyValueCaches({
        ...{ device, depth: 1, heads: HEADS, headWidth: HEAD_WIDTH },
        ...{ images: 3, guided, lengths: [1, 1] },
      });
      const session = new FakeTransformer(device);
      const run = async (): Promise<void> => {
        using features = device.allocate(caches.rows);
        const feeds = { features: { array: features, shape: [caches.rows, 1] } };
        using _ = await caches.run(session, feeds);
        caches.advance();
      };
      await run();
      for (const lanes of [[], [3], [0, -1], [0.5]]) {
        assertThrows(() => caches.gather(lanes), RangeError, "Cannot gather lanes");
      }
      using gather = caches.gather([2, 0]);
      assertEquals([caches.images, caches.rows], [2, guided ? 4 : 2]);
      const rows = guided ? [2, 0, 5, 3] : [2, 0];
      using perRow = gather.rows(
        device.upload(new Float32Array([0, 1, 2, 3, 4, 5].slice(0, guided ? 6 : 3))),
      );
      assertEquals([...await readFloats(perRow)], rows);
      using perImage = gather.images(device.upload(new Float32Array([0, 0.5, 1, 1.5, 2, 2.5])));
      assertEquals([...await readFloats(perImage)], [2, 2.5, 0, 0.5]);
      await run();
      assertEquals(session.fed[1]!["past_key.0"]!.shape, [1, caches.rows, HEADS, HEAD_WIDTH]);
      const words = HEADS * HEAD_WIDTH;
      assertEquals(
        [...session.values.subarray(0, caches.rows * words)],
        rows.flatMap((row) => new Array(words).fill(row + 0.5)),
      );
    }
    assertEquals(device.counters.liveBytes, before);
  });
}

Deno.test("KeyValueCaches: a rearrangement that fails half-way leaks nothing", async () => {
  for (let failing = 1; failing <= 8; failing++) {
    using device = new CpuDevice();
    const session = new FakeTransformer(device);
    {
      using caches = new KeyValueCaches({
        ...{ device, depth: 2, heads: HEADS, headWidth: HEAD_WIDTH },
        ...{ images: 2, guided: true, lengths: [1, 1, 1] },
      });
      using features = device.allocate(4, "features");
      using _logits = await caches.run(session, { features: { array: features, shape: [4, 1, 1] } });
      caches.advance();
      failAt(device, failing);
      let failed = false;
      try {
        caches.gather([1, 0])[Symbol.dispose]();
      } catch (error) {
        assertEquals((error as Error).message, "no room");
        failed = true;
      }
      // Three lists of lanes, then keys and values of two blocks.
      assertEquals(failed, failing <= 7, `allocation ${failing}`);
    }
    assertEquals(device.counters.liveArrays, 0, `allocation ${failing}`);
  }
});

/** Lets the allocation of that number, counted from now on, fail. */
function failAt(device: CpuDevice, number: number): void {
  let made = 0;
  const allocate = device.allocate.bind(device);
  // An upload allocates, too.
  Object.defineProperty(device, "allocate", {
    value: (length: number, label?: string): DeviceArray => {
      if (++made === number) throw new RangeError("no room");
      return allocate(length, label);
    },
  });
}

testOnDevices("KeyValueCaches of f16 take half the words, and follow their lanes", async (device) => {
  const before = device.counters.liveBytes;
  {
    using caches = new KeyValueCaches({
      ...{ device, depth: 1, heads: 2, headWidth: 3, dtype: "f16" },
      ...{ images: 2, guided: false, lengths: [1, 1] },
    });
    const fed: Readonly<Record<string, GraphTensor>>[] = [];
    const halves = Float16Array.from({ length: 2 * 2 * 1 * 3 }, (_, i) => i / 8);
    const session: GraphSession = {
      run: (inputs) => {
        fed.push(inputs);
        const upload = (): DeviceArray => device.upload(new Uint32Array(halves.buffer));
        return Promise.resolve({
          logits: device.allocate(2),
          "new_key.0": upload(),
          "new_value.0": upload(),
        });
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    (await caches.run(session, {}))[Symbol.dispose]();
    caches.advance();
    caches.gather([1, 1, 0])[Symbol.dispose]();
    (await caches.run(session, {}))[Symbol.dispose]();
    assertEquals(fed.map((inputs) => inputs["past_key.0"]!.type), ["float16", "float16"]);
    const { array, shape } = fed[1]!["past_value.0"]!;
    assertEquals(shape, [1, 3, 2, 3]);
    assertEquals((array as DeviceArray).length, 3 * 3);
  }
  assertEquals(device.counters.liveBytes, before);
  assertThrows(
    () => {
      new KeyValueCaches({
        ...{ device, depth: 1, heads: 3, headWidth: 3, dtype: "f16" },
        ...{ images: 1, guided: false, lengths: [1, 1] },
      });
    },
    RangeError,
    "Cannot keep caches of f16 as the width of a token must be even: current value is 9",
  );
});
