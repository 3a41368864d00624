/** Bytes of caches by formula against what a generation really keeps, and what pools add to them. */

import { assert, assertEquals } from "@std/assert";
import type { Device } from "../../../kernels/device/device.ts";
import type { CacheDtype } from "../../../models/graphs/cache_values.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { type GraphSession, sizeOf } from "../../../models/graphs/graph_session.ts";
import { cacheBytes, peakBytes, pooledBytes } from "../../../models/graphs/peak.ts";
import { testOnDevices } from "../../devices.ts";
import { DEPTH, HEAD_WIDTH, HEADS, LENGTHS, runTiny, tinyFile, wholeGraph } from "./tiny_transformer.ts";

/**
 * Bytes of keys and values when a graph has been run, scale by scale: those that it was fed, with the room
 * behind them that the scale needs, and those that it gave.
 */
async function bytesKept(device: Device, dtype: CacheDtype): Promise<number[]> {
  await using inner = await createGraphSession(device, wholeGraph(dtype), { externalFiles: [tinyFile()] });
  const kept: number[] = [];
  const session: GraphSession = {
    run: async (inputs, wanted) => {
      const results = await inner.run(inputs, wanted);
      const given = Object.entries(results).filter(([name]) => name.startsWith("new_"));
      const fed = Object.entries(inputs).filter(([name]) => name.startsWith("past_"));
      const rows = sizeOf(fed[0]![1].shape.slice(1));
      const length = given.length === 0 ? 0 : LENGTHS[kept.length]!;
      let words = given.reduce((sum, [, array]) => sum + array.length, 0);
      for (const [, { array, shape, type }] of fed) {
        const needed = (shape[0]! + length) * rows / (type === "float16" ? 2 : 1);
        // The host has room for all scales from the first one on, of which nobody has written to the rest.
        if (device.kind === "cpu") assert(array.length >= needed);
        else assertEquals(array.length, needed);
        words += needed;
      }
      kept.push(4 * words);
      return results;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await runTiny(session, device, dtype);
  return kept;
}

testOnDevices("cacheBytes: what a generation keeps, with one block's beside it", async (device) => {
  const width = HEADS * HEAD_WIDTH;
  // Two images with guidance, three in the last scale.
  const rows = [4, 4, 6];
  const pasts = [0, LENGTHS[0]!, LENGTHS[0]! + LENGTHS[1]!];
  const [kept, halves] = [await bytesKept(device, "f32"), await bytesKept(device, "f16")];
  for (const [k, length] of LENGTHS.entries()) {
    const scale = { past: pasts[k]!, length, last: k === LENGTHS.length - 1 };
    const { past } = scale;
    // Keys and values of a block: those of the past in another order, and then those of the scale with them.
    const computed = rows[k]! * 2 * 4 * width * (past + past + length);
    assertEquals(rows[k]! * cacheBytes({ depth: DEPTH, width }, scale), kept[k]! + computed, `scale ${k}`);
    assertEquals(
      rows[k]! * cacheBytes({ depth: DEPTH, width, dtype: "f16" }, scale),
      halves[k]! + rows[k]! * 2 * 2 * width * past + computed,
      `scale ${k} as f16`,
    );
    assertEquals(2 * halves[k]!, kept[k]!);
  }
});

Deno.test("peakBytes: scales and decoder take turns, but in a pool", () => {
  for (const provider of ["wasm", "native"] as const) {
    assertEquals(peakBytes({ scales: 10, decoder: 30 }, provider), 30);
    assertEquals(pooledBytes(1e9, provider), 0);
  }
  assertEquals(peakBytes({ scales: 10, decoder: 30 }, "webgpu"), 40);
  assertEquals(peakBytes({ scales: 100, decoder: 30 }, "webgpu"), 160);
  assertEquals([1e6, 1e9].map((image) => pooledBytes(image, "webgpu")), [1e6, 100e6]);
});
