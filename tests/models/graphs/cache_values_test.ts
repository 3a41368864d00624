/** Caches as a graph sees them: halves hold what floats hold, rounded once, and nothing else changes. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { type Device, readFloats } from "../../../kernels/device/device.ts";
import { CpuDevice, floats } from "../../../kernels/device/cpu_device.ts";
import {
  cachedAttention,
  type CacheDtype,
  newNames,
  pastNames,
  requireCacheDtype,
} from "../../../models/graphs/cache_values.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import type { GraphSession } from "../../../models/graphs/graph_session.ts";
import { testOnDevices, testOnGpu, testRandom } from "../../devices.ts";
import { assertRoundedCaches, runTiny, tinyFile, wholeGraph } from "./tiny_transformer.ts";

testOnDevices("createGraphSession: keys and values of f16 are those of f32, rounded", async (device) => {
  await assertRoundedCaches(device);
});

/** Rounds the keys and values that a session gives to halves, and keeps them as floats. */
function rounding(session: GraphSession): GraphSession {
  return {
    run: async (inputs, wanted) => {
      const results = await session.run(inputs, wanted);
      for (const [name, array] of Object.entries(results)) {
        if (name !== "logits") floats(array).set(Float16Array.from(floats(array)));
      }
      return results;
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

Deno.test("createGraphSession: a generation with caches of f16 is that of f32 with rounded ones", async () => {
  using device = new CpuDevice();
  const session = (dtype: CacheDtype): Promise<GraphSession> => {
    return createGraphSession(device, wholeGraph(dtype), { externalFiles: [tinyFile()] });
  };
  await using whole = await session("f32");
  await using halved = await session("f16");
  const exact = await runTiny(whole, device);
  const found = await runTiny(halved, device, "f16");
  assertEquals(found, await runTiny(rounding(whole), device));
  // Nothing has been kept when the first scale begins.
  assertEquals(found[0], exact[0]);
  for (const scale of [1, 2]) assertNotEquals(found[scale], exact[scale]);
});

testOnGpu("requireCacheDtype: halves need a GPU that has them", (device) => {
  const action = "load the model";
  using host = new CpuDevice();
  requireCacheDtype(host, "f16", action);
  requireCacheDtype(device, "f16", action);
  const { gpu } = device;
  Object.defineProperty(gpu, "features", { value: new Set(), configurable: true });
  try {
    requireCacheDtype(device, "f32", action);
    assertThrows(
      () => requireCacheDtype(device, "f16", action),
      RangeError,
      `Cannot load the model with caches of f16 as "${device.name}" has no shader-f16; use cacheDtype: "f32"`,
    );
  } finally {
    Reflect.deleteProperty(gpu, "features");
  }
});

/** Numbers of one attention: of each row and token the values of all heads. */
interface Tokens {
  readonly rows: number;
  readonly past: number;
  readonly length: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly query: Float32Array;
  /** Keys and values of the scale at hand, [rows, length, heads * headWidth]. */
  readonly given: readonly [key: Float32Array, value: Float32Array];
  /** And of those before, [past, rows, heads * headWidth]. */
  readonly kept: readonly [key: Float32Array, value: Float32Array];
}

/** What attention gives, and how far a computation in f32 may be off. */
function attend({ rows, past, length, heads, headWidth, query, given, kept }: Tokens): {
  readonly wanted: Float64Array;
  readonly tolerance: number;
} {
  const width = heads * headWidth;
  const wanted = new Float64Array(rows * length * width);
  const at = (part: 0 | 1, row: number, token: number, channel: number): number => {
    return token < past
      ? kept[part][(token * rows + row) * width + channel]!
      : given[part][(row * length + token - past) * width + channel]!;
  };
  let [spread, products] = [0, 0];
  const values = [...kept[1], ...given[1]];
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  for (let place = 0; place < rows * length * heads; place++) {
    const [row, own, head] = [
      Math.floor(place / heads / length),
      Math.floor(place / heads) % length,
      place % heads,
    ];
    const scores = Array.from({ length: past + length }, (_, token) => {
      let [score, sum] = [0, 0];
      for (let i = head * headWidth; i < (head + 1) * headWidth; i++) {
        const product = query[(row * length + own) * width + i]! * at(0, row, token, i);
        score += product;
        sum += Math.abs(product);
      }
      products = Math.max(products, sum);
      return score;
    });
    const most = Math.max(...scores);
    spread = Math.max(spread, most - Math.min(...scores));
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = head * headWidth; i < (head + 1) * headWidth; i++) {
      let sum = 0;
      for (const [token, weight] of weights.entries()) {
        sum += weight / total * at(1, row, token, i);
      }
      wanted[(row * length + own) * width + i] = sum;
    }
  }
  // A score is off by a rounding of each of its sums, and a weight by twice that and by what WGSL allows exp,
  // 3 + 2 |x| units in the last place, which moves the mean within the values; then come the sums over all
  // tokens.
  const score = (headWidth + 2) * 2 ** -24 * products;
  const weight = 2 * score + 2 * (3 + 2 * spread) * 2 ** -23;
  const largest = Math.max(-least, greatest);
  const tolerance = weight * (greatest - least) + 2 * (past + length + 4) * 2 ** -24 * largest;
  return { wanted, tolerance };
}

/** Runs the attention on a device. */
async function attendOn(device: Device, tokens: Tokens, dtype: CacheDtype): Promise<{
  readonly attended: Float32Array;
  readonly given: readonly Float32Array[];
}> {
  const { rows, past, length, heads, headWidth, query, given, kept } = tokens;
  const width = heads * headWidth;
  const graph = new GraphBuilder("attention");
  const shape = ["rows", "length", width];
  const [q, k, v] = ["query", "key", "value"].map((name) => {
    return graph.input({ name, type: "float32", shape });
  }) as [string, string, string];
  const attended = cachedAttention(graph, { tokens: [q, k, v], block: 2, heads, headWidth, scale: 1, dtype });
  graph.output({ name: "attended", type: "float32", shape }, attended);
  await using session = await createGraphSession(device, graph.bytes());
  using stack = new DisposableStack();
  const upload = (values: Float32Array | Uint32Array) => stack.use(device.upload(values));
  const own = (values: Float32Array) => ({ array: upload(values), shape: [rows, length, width] });
  const before = kept.map((values) => {
    const fed = { shape: [past, rows, heads, headWidth] };
    if (dtype === "f32") return { ...fed, array: upload(values) };
    return {
      ...fed,
      array: upload(new Uint32Array(Float16Array.from(values).buffer)),
      type: "float16" as const,
    };
  });
  const [pastKey, pastValue] = pastNames(2);
  const results = await session.run({
    query: own(query),
    key: own(given[0]),
    value: own(given[1]),
    [pastKey]: before[0]!,
    [pastValue]: before[1]!,
  });
  for (const array of Object.values(results)) stack.use(array);
  const news = await Promise.all(
    newNames(2).map(async (name) => {
      const words = await readFloats(results[name]!);
      return dtype === "f32" ? words : Float32Array.from(new Float16Array(words.buffer));
    }),
  );
  return { attended: await readFloats(results.attended!), given: news };
}

testOnDevices(
  "cachedAttention: is attention in f32 to all tokens, whatever they are and are kept as",
  async (device) => {
    const random = testRandom(77);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const kinds: Record<string, () => number> = {
      centred: normal,
      positive: () => Math.abs(normal()),
      "mean 300": () => 300 + normal(),
      extreme: () => 60000 * Math.sign(normal()),
    };
    for (
      const [rows, past, length, heads, headWidth] of [[1, 0, 1, 1, 2], [3, 5, 4, 2, 8], [2, 30, 7, 3, 6], [
        4,
        55,
        36,
        2,
        64,
      ]] as const
    ) {
      for (const [kind, draw] of Object.entries(kinds)) {
        const width = heads * headWidth;
        const values = (count: number, one: () => number): Float32Array => {
          return Float32Array.from({ length: count * width }, one);
        };
        const halves = (count: number, one: () => number): Float32Array => {
          return Float32Array.from(Float16Array.from(values(count, one)));
        };
        // Scores of some units, whatever the keys are.
        const step = (({ extreme: 1e-5, "mean 300": 1e-3 } as Record<string, number>)[kind] ?? 1) /
          Math.sqrt(headWidth);
        const tokens: Tokens = {
          ...{ rows, past, length, heads, headWidth },
          query: values(rows * length, () => step * normal()),
          given: [values(rows * length, draw), values(rows * length, draw)],
          // Halves, so that both types keep the same.
          kept: [halves(rows * past, draw), halves(rows * past, draw)],
        };
        const { wanted, tolerance } = attend(tokens);
        for (const dtype of ["f32", "f16"] satisfies CacheDtype[]) {
          const what = `${kind}, ${[rows, past, length, heads, headWidth]}, ${dtype}`;
          const found = await attendOn(device, tokens, dtype);
          const off = Math.max(...found.attended.map((value, i) => Math.abs(value - wanted[i]!)));
          assert(off <= tolerance, `${what}: ${off} and ${tolerance}`);
          // Token by token, with the rows of each.
          for (const [part, given] of found.given.entries()) {
            const inOrder = Float32Array.from({ length: rows * length * width }, (_, i) => {
              const [token, row] = [Math.floor(i / width / rows), Math.floor(i / width) % rows];
              return tokens.given[part]![(row * length + token) * width + i % width]!;
            });
            if (dtype === "f32") assertEquals(given, inOrder, what);
            else {
              for (const [i, value] of inOrder.entries()) {
                // WGSL lets a GPU choose between both neighbours.
                const least = 2 ** Math.max(-24, Math.floor(Math.log2(Math.abs(value))) - 10);
                const most = device.kind === "cpu" ? least / 2 : least;
                assert(Math.abs(given[i]! - value) <= most, `${what}: ${given[i]} for ${value}`);
              }
            }
          }
        }
      }
    }
  },
);
