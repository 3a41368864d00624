/**
 * The tiny transformer in parts against the same in one graph, for tests on each provider.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { BlockwiseSession } from "../../../models/graphs/block_session.ts";
import type { CacheDtype } from "../../../models/graphs/cache_values.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import type { GraphSession, GraphSessionOptions } from "../../../models/graphs/graph_session.ts";
import {
  freeFeeds,
  partGraphs,
  runTiny,
  tinyBytes,
  tinyFeeds,
  tinyFile,
  wholeGraph,
} from "./tiny_transformer.ts";

/** Runs two rows of three tokens without a past, and reads what comes out. */
export async function runOnce(
  session: GraphSession,
  device: Device,
  wanted: readonly string[] = ["logits"],
  left: readonly string[] = [],
): Promise<number[]> {
  const feeds = tinyFeeds(device, { rows: 2, length: 3, seed: 7, past: 0 });
  try {
    const fed = Object.fromEntries(Object.entries(feeds).filter(([name]) => !left.includes(name)));
    const results = await session.run(fed, wanted);
    assertEquals(Object.keys(results).sort(), [...wanted].sort());
    const values: number[] = [];
    for (const name of wanted) {
      using array = results[name]!;
      values.push(...await readFloats(array));
    }
    return values;
  } finally {
    freeFeeds(feeds);
  }
}

/** Asserts that a generation in parts, of which none, some or all stay loaded, is that of the whole. */
export async function assertSameInParts(device: Device, options: GraphSessionOptions = {}): Promise<void> {
  const common = { ...options, externalFiles: [tinyFile()] };
  for (const dtype of ["f32", "f16"] satisfies CacheDtype[]) {
    await using whole = await createGraphSession(device, wholeGraph(dtype), common);
    const wanted = await runTiny(whole, device, dtype);
    const before = device.counters.liveArrays;
    // A GPU keeps all.
    const less = device.kind === "cpu" ? [0, tinyBytes() / 2] : [];
    for (const memory of [...less, tinyBytes()]) {
      await using session = await BlockwiseSession.create(device, partGraphs(dtype), { ...common, memory });
      assertEquals(await runTiny(session, device, dtype), wanted, `${dtype}, ${memory} bytes`);
    }
    assertEquals(device.counters.liveArrays, before);
  }
}
