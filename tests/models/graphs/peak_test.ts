/** Bytes of caches by formula against what a generation really keeps, and what pools add to them. */

import { assertEquals } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { CacheDtype } from "../../../models/graphs/cache_values.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { cacheBytes, peakBytes, pooledBytes } from "../../../models/graphs/peak.ts";
import { DEPTH, HEAD_WIDTH, HEADS, LENGTHS, runTiny, tinyFile, wholeGraph } from "./tiny_transformer.ts";

/** Bytes of the keys and values that are fed to each run and come out of it. */
async function bytesKept(dtype: CacheDtype): Promise<number[]> {
  using device = new CpuDevice();
  await using inner = await createGraphSession(device, wholeGraph(dtype), { externalFiles: [tinyFile()] });
  const kept: number[] = [];
  const session: GraphSession = {
    run: async (inputs, wanted) => {
      const results = await inner.run(inputs, wanted);
      const arrays = [
        ...Object.entries(inputs).map(([name, { array }]) => [name, array] as const),
        ...Object.entries(results),
      ];
      const words = arrays.filter(([name]) => /^(past|present)_/.test(name))
        .reduce((sum, [, { length }]) => sum + length, 0);
      kept.push(4 * words);
      return results;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await runTiny(session, device, dtype);
  return kept;
}

Deno.test("cacheBytes: what a generation keeps, and one block's beside it in the last scale or as floats", async () => {
  const width = HEADS * HEAD_WIDTH;
  const sizes = { depth: DEPTH, width };
  // Two images with guidance, three in the last scale.
  const rows = [4, 4, 6];
  const pasts = [0, LENGTHS[0]!, LENGTHS[0]! + LENGTHS[1]!];
  const [kept, halves] = [await bytesKept("f32"), await bytesKept("f16")];
  for (const [k, length] of LENGTHS.entries()) {
    const scale = { past: pasts[k]!, length, last: k === LENGTHS.length - 1 };
    const total = scale.past + length;
    const inGraph = scale.last ? 2 * width * total : 0;
    assertEquals(rows[k]! * cacheBytes(sizes, scale), kept[k]! + rows[k]! * 4 * inGraph, `scale ${k}`);
    const wide = 2 * width * (scale.past + total);
    assertEquals(
      rows[k]! * cacheBytes({ ...sizes, dtype: "f16" }, scale),
      halves[k]! + rows[k]! * (2 * inGraph + 4 * wide),
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
