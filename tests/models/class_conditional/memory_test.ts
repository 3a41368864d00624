/** Sizes of models by formula: against the published ones, against files, against what loaded models hold. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { WebGpuDevice } from "../../../kernels/device/webgpu_device.ts";
import { type Dtype, DTYPES } from "../../../models/weights/dtype.ts";
import { SCALES } from "../../../models/weights/quantize.ts";
import { openModelSource } from "../../../models/convert.ts";
import { elementsOf, type ModelTensor } from "../../../models/weights/model_tensor.ts";
import { flexVarSizes } from "../../../models/flexvar/config.ts";
import { type VarConfig, varSizes } from "../../../models/var/config.ts";
import { VAR } from "../../../models/var/family.ts";
import { chooseDtype, type DtypeChoice, type FitOptions, requireFit } from "../../../models/graphs/fit.ts";
import { ASSUMED_BYTES, type Provider, type Room, roomOn, WASM_BYTES } from "../../../models/graphs/room.ts";
import {
  bytesNeeded,
  estimateMemory,
  isSmall,
  largestArrayBytes,
  type MemoryOptions,
  type ModelSizes,
  storedBytes,
} from "../../../models/class_conditional/memory.ts";
import type { MapSize } from "../../../models/schedule.ts";
import { FOLDER_VERSION, type ModelFolder, openModelFolder } from "../../../models/folder/model_folder.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { testOnGpu } from "../../devices.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";

/** Sizes of a published model. */
function published(depth: number): ModelSizes {
  return varSizes(publishedConfig(depth));
}

function publishedConfig(depth: number): VarConfig {
  const levels = (blocks: number): { channels: number; blocks: number; attention: boolean }[] => {
    return [160, 160, 320, 320, 640].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
  };
  return {
    depth,
    width: 64 * depth,
    heads: depth,
    classes: 1000,
    patchNumbers: depth === 36 ? [1, 2, 3, 4, 6, 9, 13, 18, 24, 32] : [1, 2, 3, 4, 5, 6, 8, 10, 13, 16],
    sharedAdaptiveNorm: depth === 36,
    normalizedAttention: true,
    tokenizer: { vocabulary: 4096, channels: 32, residuals: 4, decoder: levels(3), encoder: levels(2) },
  };
}

const GB = 1e9;

/** The type of weights that is chosen for a model of these sizes. */
function chooseFor(sizes: ModelSizes, choice: DtypeChoice): Dtype {
  const { provider } = choice;
  return chooseDtype(bytesNeeded(sizes, { provider }), { ...choice, small: isSmall(sizes) });
}

/** Checks that a model of these sizes fits with an image of these maps. */
function requireRoom(
  sizes: ModelSizes,
  room: Room,
  { maps = sizes.maps, ...options }: Omit<FitOptions, "largestArray"> & Pick<MemoryOptions, "maps">,
): void {
  requireFit(bytesNeeded(sizes, { provider: room.provider, maps }), room, {
    ...options,
    largestArray: largestArrayBytes(sizes, { dtype: options.dtype, maps }),
  });
}

/** A folder of a published model of which nothing can be read but the lists of its tensors. */
function unreadable(depth: number, dtype: Dtype): ModelFolder {
  const refuse = (): Promise<never> => Promise.reject(new Error("Nothing may be read"));
  return {
    location: "nowhere",
    manifest: {
      format: "varscale-model",
      version: FOLDER_VERSION,
      family: "var",
      name: `VAR-d${depth}`,
      dtype,
      config: publishedConfig(depth),
      classNames: [],
      files: {},
    },
    fingerprints: {},
    has: () => true,
    hasWeights: () => true,
    open: refuse,
    read: refuse,
    weights: refuse,
    tensors: (part) => {
      const lists = published(depth).tensors as Readonly<Record<string, readonly ModelTensor[]>>;
      return Promise.resolve(
        new Map(lists[part]!.map(({ name, shape }) => [name, { name, shape, dtype: "F32" }])),
      );
    },
    [Symbol.dispose]: () => {},
  };
}

Deno.test("storedBytes: the published models have the published numbers of parameters", () => {
  const parameters: [number, number][] = [
    [16, 310_283_520],
    [20, 600_917_136],
    [24, 1_033_399_360],
    [30, 2_010_020_356],
    [36, 2_353_893_904],
  ];
  for (const [depth, count] of parameters) {
    const { transformer, tokenizer } = published(depth).tensors;
    assertEquals([elementsOf(transformer), elementsOf(tokenizer)], [count, 108_948_355], `depth ${depth}`);
    assertEquals(storedBytes(transformer, "f32"), 4 * count);
  }
});

for (const dtype of DTYPES) {
  Deno.test(`storedBytes: the listed tensors are those of a folder, and as large, in ${dtype}`, async () => {
    for (const name of ["var-adaln", "var-shared-adaln"] as const) {
      using folder = await openModelSource(goldenCheckpoints(name), { dtype });
      const config = folder.manifest.config as VarConfig;
      const { tensors } = varSizes(config);
      for (const part of ["transformer", "tokenizer"] as const) {
        using weights = await folder.weights(part);
        const names = [...weights.tensors.keys()].filter((tensor) => !tensor.endsWith(SCALES)).sort();
        assertEquals(names, tensors[part].map((tensor) => tensor.name).sort());
        let bytes = 0;
        for (const { shape, dtype: type } of weights.tensors.values()) {
          bytes += shape.reduce((product, size) => product * size, 1) *
            ({ F32: 4, F16: 2, U8: 1 }[type as "F32"]);
        }
        assertEquals(storedBytes(tensors[part], dtype), bytes, `${name} ${part}`);
      }
    }
  });
}

Deno.test("estimateMemory: weights are what the type says, without the blocks' projections", () => {
  // Parameters without projections, section by section, of depth 16: what the transformer graph reads, and
  // what becomes f32.
  const config = published(16);
  const linear = 16 * (12 * 1024 ** 2 + 8 * 1024 + 1024 + 1024 + 16) - 16 * 1024 + 1024 * 33 +
    4096 * 1025;
  const of = (dtype: Dtype): number => estimateMemory(config, { dtype, provider: "native" }).weights;
  // From f32 to f16 half of the large weights go, but for the largest of them, which is cast.
  const large = 16 * 12 * 1024 ** 2 + 32 * 1024 + 4096 * 1024;
  assert(large < linear);
  assertEquals(of("f32") - of("f16"), 2 * large - 4 * 4 * 1024 ** 2);
  // 8 bits and a scale of 32 for 32 weights; word_embed stays f16.
  assertEquals(of("f32") - of("q8"), (4 - 1.125) * (large - 32 * 1024) + (2 - 4) * 32 * 1024);
  // The head keeps 8 bits.
  assertEquals(of("q8") - of("q4"), 0.5 * (large - 32 * 1024 - 4096 * 1024));
  // 823 MB of linear layers, 259 of the decoder and codebook, 67 for classes, 18 for embeddings and the
  // head's projection; and 18 as the 23 of kernels behind doubled maps become 16 / 9 of that.
  assert(Math.abs(of("f32") - 1.185 * GB) < 0.001 * GB, `${of("f32")}`);
});

Deno.test("estimateMemory: an image of the model of depth 16 takes what caches, activations and logits take, or the decoder", () => {
  const sizes = published(16);
  const imageBytes = (decoder: ModelSizes["decoder"]): number => {
    return estimateMemory({ ...sizes, decoder }, { dtype: "f32", provider: "wasm" }).image;
  };
  const image = imageBytes(null);
  // Keys and values of 255 tokens and twice of 169 at the scale before the last: the specification's 178.3 MB
  // for 680 tokens, in proportion.
  const caches = 178.3e6 * (255 + 2 * 169) / 680;
  assert(image > caches && image < 1.35 * caches, `${image}`);
  // What was measured of the published decoder for one image of 256 px.
  const decoder = imageBytes(sizes.decoder);
  assert(Math.abs(decoder - 299e6) < 0.02 * 299e6, `${decoder}`);
});

Deno.test("estimateMemory: a guided lane of depth 30 takes 0.55 of what it took with whole caches of floats", () => {
  const sizes = { ...published(30), decoder: null };
  for (const provider of ["native", "wasm", "webgpu"] as const) {
    // Two rows: keys and values of 30 blocks for 255 and 424 tokens, and what 169 tokens have in a block, as
    // logits and on the CPU as scores of 30 heads.
    const scores = provider === "webgpu" ? 0 : 30 * 169 * 424;
    const whole = 2 * 4 * (2 * 1920 * 30 * (255 + 424) + 169 * (12 * 1920 + 2 * 4096) + scores);
    const before = 2 * 4 * (1 + 2 + 6 * 30) * 1920 + (provider === "webgpu" ? 1.6 : 1) * whole;
    const shares = (["f32", "f16"] as const).map((cacheDtype) => {
      return estimateMemory(sizes, { dtype: "f32", provider, cacheDtype }).image / before;
    });
    assert(shares[0]! < 0.92 && shares[1]! <= 0.55, `${provider}: ${shares}`);
  }
});

testOnGpu("estimateMemory: a loaded model holds what is estimated", async () => {
  for (const dtype of DTYPES) {
    // The runtime's pool is shared by all models on a device.
    using device = await WebGpuDevice.open();
    const before = device.counters.liveBytes;
    const folder = dtype === "f16"
      ? await openModelFolder(DEMO_MODEL)
      : await openModelSource(goldenCheckpoints("var-adaln"), { dtype });
    await using model = await VAR.load(folder, device, { dtype });
    assertEquals(model.dtype, dtype);
    using _ = await model.start({ labels: [{ id: 1, name: "1" }], guided: true });
    const held = device.counters.liveBytes - before;
    const sizes = varSizes(folder.manifest.config as VarConfig);
    const estimate = estimateMemory(sizes, { dtype, provider: "webgpu" });
    assertEquals([model.weightBytes, model.schedule().imageBytes], [estimate.weights, estimate.image]);
    // Without what the runtime's pool will hold.
    const { weights } = estimateMemory(sizes, { dtype, provider: "wasm" });
    assert(held >= 0.9 * weights && held <= 1.01 * weights, `${dtype}: ${held} and ${weights}`);
  }
});

Deno.test("bytesNeeded: the most precise type that fits is chosen", () => {
  const choose = (depth: number, provider: Provider, available: number): Dtype =>
    chooseFor(published(depth), { stored: "f32", provider, available });
  assertEquals([16, 20, 24, 30].map((depth) => choose(depth, "wasm", WASM_BYTES)), [
    "f32",
    "f32",
    "f32",
    "f16",
  ]);
  assertEquals([16, 20, 24, 30, 36].map((depth) => choose(depth, "webgpu", 8 * GB)), [
    "f32",
    "f32",
    "f32",
    "f32",
    "q8",
  ]);
  assertEquals([4.5, 3.5, 2.5].map((size) => choose(30, "webgpu", size * GB)), ["f16", "q8", "q4"]);
});

Deno.test("isSmall: stored precision bounds the choice, and halves widen where that is faster", () => {
  const config = published(16);
  const roomy = { provider: "webgpu", available: 100 * GB } as const;
  for (const stored of DTYPES) assertEquals(chooseFor(config, { ...roomy, stored }), stored);
  assertEquals(chooseFor(config, { ...roomy, stored: "f16", provider: "wasm" }), "f32");
  assertEquals(chooseFor(config, { ...roomy, stored: "f16", halves: false }), "f32");
  const needed = (dtype: Dtype): number => {
    const { weights, image } = estimateMemory(config, { dtype, provider: "webgpu" });
    return weights + image;
  };
  const narrow = { provider: "webgpu", available: needed("f16"), stored: "f32" } as const;
  assertEquals(chooseFor(config, narrow), "f16");
  assertEquals(chooseFor(config, { ...narrow, halves: false }), "q8");
  assert(!isSmall(config));
  const small = varSizes({ ...publishedConfig(16), depth: 2, width: 128, heads: 2 });
  assert(isSmall(small));
  assertEquals(chooseFor(small, { ...roomy, stored: "f16" }), "f32");
  // Integers are not made smaller once more, and nobody is told that they could be.
  const available = needed("q8") - 1;
  assert(needed("q4") <= available);
  const refused = assertThrows(() => chooseFor(config, { ...narrow, stored: "q8", available }), RangeError);
  assertEquals(
    refused.message,
    `Cannot load the model as q8 as it needs ${
      available + 1
    } bytes with one image and there are ${available}`,
  );
});

Deno.test("isSmall: where memory is not known, a usual size is assumed and the smallest type is tried at the worst", () => {
  const unknown = { stored: "f32", provider: "webgpu", available: undefined } as const;
  for (const depth of [16, 24, 30]) {
    const known = { ...unknown, available: ASSUMED_BYTES };
    assertEquals(chooseFor(published(depth), unknown), chooseFor(published(depth), known));
  }
  assertEquals(chooseFor(published(36), unknown), "q4");
  assertThrows(() => chooseFor(published(36), { ...unknown, available: ASSUMED_BYTES }), RangeError);
});

Deno.test("estimateMemory: what does not fit is refused with the size and what would", () => {
  using device = new CpuDevice();
  const room = (provider: Provider, most: number): Room => ({ device, provider, available: most, most });
  const wasm = room("wasm", WASM_BYTES);
  requireRoom(published(24), wasm, { dtype: "f32" });
  const error = assertThrows(() => requireRoom(published(30), wasm, { dtype: "f32" }), RangeError);
  const { weights, image } = estimateMemory(published(30), { dtype: "f32", provider: "wasm" });
  assert(weights > 5.5 * GB && image > 0.5 * GB);
  assertEquals(
    error.message,
    `Cannot load the model as f32 as it needs ${
      weights + image
    } bytes with one image and there are ${WASM_BYTES}` +
      '; possible are dtype: "f16" or dtype: "q8" or dtype: "q4" or device: "webgpu" or cpuProvider: "native"',
  );
  // Somebody's own limit is the same everywhere.
  const told = assertThrows(
    () => requireRoom(published(30), room("wasm", 3 * GB), { dtype: "f32" }),
    RangeError,
  );
  assertEquals(told.message.split("; ")[1], 'possible are dtype: "q8" or dtype: "q4"');
  assertThrows(
    () => requireRoom(published(36), room("webgpu", 2 * GB), { dtype: "q4" }),
    RangeError,
    "there are 2000000000",
  );
  // What is free just now bounds nothing.
  requireRoom(published(36), { ...room("native", 100 * GB), available: 1 }, { dtype: "f32" });
  requireRoom(published(36), { device, provider: "webgpu", available: 1, most: undefined }, { dtype: "f32" });
});

Deno.test("estimateMemory: a schedule that does not fit is refused with the size and what would", () => {
  using device = new CpuDevice();
  const wasm = { device, provider: "wasm", available: WASM_BYTES, most: WASM_BYTES } as const;
  const large = { maps: LARGE, action: "generate pictures of 1024×1024" };
  requireRoom(publishedFlexVar(24), wasm, { dtype: "f32" });
  requireRoom(publishedFlexVar(24), wasm, { dtype: "f32", maps: squares(1, 16) });
  const { weights, image } = estimateMemory(publishedFlexVar(24), {
    dtype: "f32",
    provider: "wasm",
    maps: LARGE,
  });
  const error = assertThrows(
    () => requireRoom(publishedFlexVar(24), wasm, { dtype: "f32", ...large }),
    RangeError,
  );
  assertEquals(
    error.message,
    `Cannot generate pictures of 1024×1024 as f32 as it needs ${
      weights + image
    } bytes with one image and there are ` +
      `${WASM_BYTES}; possible are device: "webgpu" or cpuProvider: "native"`,
  );
  // Seven arrays of 128 channels of 1024 px leave no room for any weights; 768 px leave some.
  const smaller = { maps: squares(1, 16, 48), action: "generate" };
  const said = assertThrows(
    () => requireRoom(publishedFlexVar(24), wasm, { dtype: "f32", ...smaller }),
    RangeError,
  ).message;
  assert(said.includes('; possible are dtype: "f16" or dtype: "q8" or dtype: "q4" or device'), said);
  const kept = assertThrows(
    () => requireRoom(publishedFlexVar(24), wasm, { dtype: "q8", stored: "q8", ...large }),
    RangeError,
  ).message;
  assert(kept.endsWith('; possible are device: "webgpu" or cpuProvider: "native"'), kept);
});

Deno.test("estimateMemory: a model that cannot fit is refused before anything is loaded", async () => {
  using device = new CpuDevice();
  await assertRejects(
    () => VAR.load(unreadable(30, "f32"), device, { dtype: "f32" }),
    RangeError,
    "Cannot load the model as f32",
  );
  await assertRejects(() => VAR.load(unreadable(16, "f32"), device, {}), Error, "Nothing may be read");
  const load = async (options: { dtype?: Dtype; memory: number }): Promise<string> => {
    await using model = await VAR.load(
      await openModelSource(goldenCheckpoints("var-adaln")),
      device,
      options,
    );
    return model.dtype;
  };
  using folder = await openModelSource(goldenCheckpoints("var-adaln"));
  const sizes = varSizes(folder.manifest.config as VarConfig);
  const needed = (dtype: Dtype): number => {
    const { weights, image } = estimateMemory(sizes, { dtype, provider: "wasm" });
    return weights + image;
  };
  await assertRejects(() => load({ dtype: "f32", memory: needed("f32") - 1 }), RangeError, "as f32");
  assertEquals(await load({ dtype: "f32", memory: needed("f32") }), "f32");
  assertEquals(await load({ memory: needed("f32") - 1 }), "f16");
  assertEquals(await load({ memory: needed("q8") }), "q8");
  await assertRejects(() => load({ memory: needed("q4") - 1 }), RangeError, "as q4");
});

Deno.test("largestArrayBytes: the largest array of a 512 px image exceeds WebGPU's default limit, that of a 256 px one does not", () => {
  const limit = 128 * 2 ** 20;
  // The decoder's finest maps, 160 channels.
  assertEquals(largestArrayBytes(published(36), { dtype: "q8" }), 160 * 512 ** 2 * 4);
  assertEquals(160 * 512 ** 2 * 4 > limit, true);
  for (const depth of [16, 20, 24, 30]) assert(largestArrayBytes(published(depth), { dtype: "f32" }) < limit);
  // The projection of a block, fed as f32 whatever it is stored as.
  assertEquals(largestArrayBytes(published(30), { dtype: "f16" }), 6 * 1920 ** 2 * 4);
});

testOnGpu("bytesNeeded: limits that one image exceeds are told when the model is loaded", async (device) => {
  requireRoom(published(16), await roomOn(device), { dtype: "f32" });
  const adapter = await navigator.gpu.requestAdapter();
  // A device with the limits that WebGPU promises.
  const gpu = await adapter!.requestDevice();
  try {
    using plain = WebGpuDevice.from(gpu);
    const room = { device: plain, provider: "webgpu", available: undefined, most: undefined } as const;
    assertEquals(gpu.limits.maxStorageBufferBindingSize, 128 * 2 ** 20);
    assertThrows(
      () => requireRoom(published(36), room, { dtype: "q8" }),
      RangeError,
      "needs an array of 167772160 bytes and the device's limit maxStorageBufferBindingSize is 134217728",
    );
    requireRoom(published(30), room, { dtype: "q8" });
    await assertRejects(
      () => VAR.load(unreadable(36, "q8"), plain, { dtype: "q8" }),
      RangeError,
      "maxStorageBufferBindingSize",
    );
  } finally {
    gpu.destroy();
  }
});

/** Sizes of a published FlexVAR model. */
function publishedFlexVar(depth: number): ModelSizes {
  const levels = (blocks: number): { channels: number; blocks: number; attention: boolean }[] => {
    return [128, 128, 256, 256, 512].map((channels, i) => ({ channels, blocks, attention: i === 4 }));
  };
  return flexVarSizes({
    depth,
    width: 64 * depth,
    heads: depth,
    classes: 1000,
    sharedAdaptiveNorm: false,
    normalizedAttention: true,
    positionSide: 32,
    tokenizer: {
      vocabulary: 8912,
      channels: 32,
      latentChannels: 256,
      decoder: levels(3),
      encoder: levels(2),
    },
  });
}

function squares(...sides: number[]): MapSize[] {
  return sides.map((side) => ({ width: side, height: side }));
}

const LARGE = squares(1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 23, 32, 45, 64);

Deno.test("estimateMemory: the published FlexVAR models have the specification's numbers of parameters", () => {
  for (const [depth, count] of [[16, 315_561_936], [20, 607_513_952], [24, 1_041_314_576]] as const) {
    const { transformer, tokenizer } = publishedFlexVar(depth).tensors;
    assertEquals([elementsOf(transformer), elementsOf(tokenizer)], [count, 72_049_827], `depth ${depth}`);
  }
});

Deno.test("estimateMemory: an image takes what the maps of its schedule need, of any shape", () => {
  const sizes = publishedFlexVar(16);
  const of = (maps: readonly MapSize[], provider: Provider = "wasm"): number => {
    return estimateMemory(sizes, { dtype: "f32", provider, maps }).image;
  };
  assertEquals(of(sizes.maps), estimateMemory(sizes, { dtype: "f32", provider: "wasm" }).image);
  // Seven arrays of the decoder's finest level, 128 channels of 16 × 16 pixels a token, and the class: (1 + 2
  // + 6 · 16) vectors twice.
  const decoded = (tokens: number): number => 7 * 4 * 128 * 256 * tokens + 2 * 4 * 99 * 1024;
  assertEquals(of(squares(1, 32)), decoded(32 * 32));
  assertEquals(of([{ width: 1, height: 1 }, { width: 24, height: 12 }]), decoded(24 * 12));
  assertEquals(of([{ width: 1, height: 1 }, { width: 12, height: 24 }]), decoded(24 * 12));
  // Two rows of keys and values of 16 blocks for 1209 tokens, and of one block for these and for all 2233;
  // and what 1024 tokens have in a block and as logits.
  const scales = estimateMemory({ ...sizes, decoder: null }, {
    dtype: "f32",
    provider: "webgpu",
    maps: [...sizes.maps, ...squares(23, 32)],
  }).image;
  const caches = 2 * 4 * 2 * 1024 * (16 * 1209 + 1209 + 2233);
  const activations = 2 * 4 * 1024 * (12 * 1024 + 2 * 8912);
  assertEquals(scales, Math.ceil(1.6 * (caches + activations)) + 2 * 4 * 99 * 1024);
  // On the CPU, 16 heads of scores too, of 1024 tokens with all 2233.
  const onCpu = estimateMemory({ ...sizes, decoder: null }, {
    dtype: "f32",
    provider: "wasm",
    maps: [...sizes.maps, ...squares(23, 32)],
  }).image;
  const last = 2 * (1209 * 16 + 1209 + 2233) * 1024 + 1024 * (12 * 1024 + 2 * 8912) + 16 * 1024 * 2233;
  assertEquals(onCpu, 2 * 4 * last + 2 * 4 * 99 * 1024);
  // A level that begins with more channels than it has.
  const narrow = estimateMemory({ ...sizes, decoder: [{ channels: 32 }, { channels: 51200 }] }, {
    dtype: "f32",
    provider: "wasm",
    maps: squares(1, 8),
  }).image;
  assertEquals(narrow, 7 * 4 * 51200 * 4 * 8 ** 2 + 2 * 4 * 99 * 1024);
  // Weights do not depend on what is generated.
  const weights = (maps: readonly MapSize[]): number => {
    return estimateMemory(sizes, { dtype: "f16", provider: "wasm", maps }).weights;
  };
  assertEquals(weights(LARGE), weights(sizes.maps));
});

Deno.test("largestArrayBytes: the largest array depends on the schedule", () => {
  const sizes = publishedFlexVar(16);
  // 128 channels of 1024 px.
  assertEquals(largestArrayBytes(sizes, { dtype: "f16", maps: LARGE }), 4 * 128 * 1024 ** 2);
  assertEquals(largestArrayBytes(sizes, { dtype: "f16", maps: squares(1, 16) }), 4 * 8912 * 1024);
  const wide = [{ width: 1, height: 1 }, { width: 128, height: 32 }];
  assertEquals(largestArrayBytes(sizes, { dtype: "f16", maps: wide }), 4 * 128 * 1024 ** 2);
  // Scores of a decoder of small maps.
  const shallow = { ...sizes, decoder: [{ channels: 32 }] };
  assertEquals(largestArrayBytes(shallow, { dtype: "f16", maps: squares(1, 256) }), 4 * 256 ** 4);
  // Logits, where nothing is decoded.
  const blind = { ...sizes, decoder: null };
  assertEquals(largestArrayBytes(blind, { dtype: "f16", maps: squares(1, 64) }), 2 * 4 * 8912 * 64 ** 2);
  // Caches of all tokens, where there are many small maps.
  const many = new Array(40).fill({ width: 16, height: 16 });
  assertEquals(largestArrayBytes(sizes, { dtype: "f32", maps: many }), 2 * 4 * 40 * 256 * 1024);
});

testOnGpu("bytesNeeded: a schedule that the GPU's limits do not admit is refused by name", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await adapter!.requestDevice();
  try {
    using plain = WebGpuDevice.from(gpu);
    const sizes = publishedFlexVar(24);
    const room = { device: plain, provider: "webgpu", available: undefined, most: undefined } as const;
    requireRoom(sizes, room, { dtype: "f16" });
    requireRoom(sizes, room, { dtype: "f16", maps: squares(1, 16, 31), action: "generate" });
    const error = assertThrows(
      () => requireRoom(sizes, room, { dtype: "f16", maps: LARGE, action: "generate 1024×1024 pictures" }),
      RangeError,
    );
    assertEquals(
      error.message,
      `Cannot generate 1024×1024 pictures on "${plain.name}" as one image needs an array of 536870912 bytes and the ` +
        'device\'s limit maxStorageBufferBindingSize is 134217728; use device: "cpu"',
    );
  } finally {
    gpu.destroy();
  }
});
