/** What Infinity takes, by formula: against published sizes, and against itself where one asks for more. */

import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import type { InfinityConfig } from "../../../models/infinity/config.ts";
import { infinityCosts } from "../../../models/infinity/memory.ts";
import { infinitySchedule } from "../../../models/infinity/schedule.ts";
import { loadModel } from "../../../models/load.ts";
import type { T5Config } from "../../../models/text/t5_graph.ts";
import type { Dtype } from "../../../models/weights/dtype.ts";
import type { MapSize } from "../../../models/schedule.ts";
import { PUBLISHED, publishedTokenizer } from "./sizes.ts";
import "../../native.ts";

const GB = 1e9;
const PROVIDERS = ["wasm", "webgpu", "native"] as const;

/** The text encoder of the published models: flan-t5-xl's. */
const T5: T5Config = {
  ...{ layers: 24, width: 2048, heads: 32, headWidth: 64, hidden: 5120, vocabulary: 32128, buckets: 32 },
};

function configOf(name: string): InfinityConfig {
  return {
    ...PUBLISHED[name]!,
    scales: name === "125M" ? 7 : 13,
    patchify: name === "8B",
    tokenizer: publishedTokenizer(name),
  };
}

function maps(pn: string, aspect = "1"): readonly MapSize[] {
  const model = { name: "any", scales: 13, levels: 15, depth: 1, pixels: 16 };
  return infinitySchedule(model, { familyOptions: { pn, aspect } }).scales;
}

Deno.test("infinityCosts: weights are what the published files hold, and what the decoder adds", () => {
  // Parameters of transformer and decoder, in f32; beside them lies what a runtime keeps of an image.
  const known = {
    "125M": 125_148_800 + 65_018_627,
    "2B": 2_204_564_032 + 65_092_355,
    "8B": 8_375_791_824 + 48_484_611,
  };
  for (const [name, parameters] of Object.entries(known)) {
    // Behind each doubled map four kernels of 2 by 2 take the place of one of 3 by 3: 7 more words a pair.
    const doubled = name === "8B" ? [512, 512, 256] : [512, 512, 512, 256];
    const enlarging = 7 * doubled.reduce((sum, width) => sum + width ** 2, 0);
    assertEquals(infinityCosts(configOf(name)).weights("f32", "native"), 4 * (parameters + enlarging));
  }
});

Deno.test("infinityCosts: types of fewer bits take less, larger pictures more, and blocks from disk least", () => {
  for (const name of Object.keys(PUBLISHED)) {
    const costs = infinityCosts(configOf(name));
    for (const provider of PROVIDERS) {
      const sizes = ["f32", "f16", "q8", "q4"].map((dtype) => costs.weights(dtype as Dtype, provider));
      assert(sizes.every((size, i) => i === 0 || size < sizes[i - 1]!), `${name} ${provider} ${sizes}`);
      const images = ["0.06M", "0.25M", "0.60M", "1M"].map((pn) => costs.image("f32", provider, maps(pn)));
      assert(images.every((size, i) => i === 0 || size > images[i - 1]!), `${name} ${provider} ${images}`);
      const halves = infinityCosts(configOf(name), { cacheDtype: "f16" });
      assert(halves.image("f32", provider, maps("1M")) <= costs.image("f32", provider, maps("1M")));
      const parts = infinityCosts(configOf(name), { offload: "blocks" });
      assert(parts.weights("f32", provider) < costs.weights("f32", provider));
      assertEquals(parts.image("f32", provider), costs.image("f32", provider));
      assertEquals(parts.small, false);
    }
    // A portrait takes what its landscape does.
    assertEquals(costs.image("f32", "wasm", maps("1M", "2")), costs.image("f32", "wasm", maps("1M", "0.5")));
    assert(costs.largestArray("f32", maps("1M")) >= costs.largestActivation(maps("1M")));
    assert(costs.largestActivation(maps("1M")) > costs.largestActivation(maps("0.06M")));
  }
});

Deno.test("infinityCosts: keys and values of the published models are as many as they are known to be", () => {
  // Both branches of 2B at 1M: 6425 positions before the last scale, of 32 blocks, keys and values of 2048.
  const kept = 2 * 6425 * 32 * 2 * 2048 * 4;
  assertAlmostEquals(kept, 6.74 * GB, 0.01 * GB);
  const costs = infinityCosts(configOf("2B"));
  const halves = infinityCosts(configOf("2B"), { cacheDtype: "f16" });
  const image = costs.image("f32", "native", maps("1M"));
  assert(image > kept, `${image}`);
  const saved = image - halves.image("f32", "native", maps("1M"));
  assert(saved > 0.4 * kept && saved < 0.75 * kept, `${saved} of ${kept}`);
});

Deno.test("infinityCosts: a text encoder is needed for a while, and in halves where weights have fewer bits", () => {
  const config = configOf("2B");
  assertEquals(infinityCosts(config).transient?.("f32", "wasm"), 0);
  const costs = infinityCosts({ ...config, text: T5 });
  // The encoder half of flan-t5-xl has 1 223 527 424 parameters, the embedding among them.
  const [whole, half, eighth] = (["f32", "f16", "q8"] as const).map((dtype) =>
    costs.transient!(dtype, "wasm")
  );
  assertEquals(whole, 4 * 1_223_527_424);
  assert(half! > 2 * 1_223_527_424 && half! < 2.5 * 1_223_527_424, `${half}`);
  assertEquals(eighth, half);
  assertEquals(costs.weights("f32", "wasm"), infinityCosts(config).weights("f32", "wasm"));
  assertEquals(infinityCosts(configOf("125M")).small, false);
});

Deno.test("infinityCosts: what does not fit is refused before anything is read, with what would", async () => {
  using device = new CpuDevice();
  const { liveArrays } = device.counters;
  const error = await assertRejects(
    () => loadModel("demo-t2i", { device, dtype: "f32", memory: 2 * 2 ** 20 }),
    RangeError,
  );
  assert(error.message.includes("there are 2097152"), error.message);
  assertEquals(device.counters.liveArrays, liveArrays);
});
