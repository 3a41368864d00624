/** Sizes of models by formula: against the published ones, against files, against what loaded models hold. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { CpuDevice } from "../../../kernels/cpu_device.ts";
import { WebGpuDevice } from "../../../kernels/webgpu_device.ts";
import { type Dtype, DTYPES } from "../../../models/dtype.ts";
import { SCALES } from "../../../models/quantize.ts";
import type { VarConfig } from "../../../models/var/config.ts";
import { openVarSource } from "../../../models/var/convert.ts";
import {
  ASSUMED_BYTES,
  availableBytes,
  chooseDtype,
  elementsOf,
  estimateMemory,
  isSmall,
  largestArrayBytes,
  type Provider,
  requireFit,
  requireLimits,
  storedBytes,
  varTensors,
  WASM_BYTES,
} from "../../../models/var/memory.ts";
import { loadVarModel } from "../../../models/var/model.ts";
import { FOLDER_VERSION, type ModelFolder, openModelFolder } from "../../../models/folder.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { hasGpu, testOnGpu } from "../../devices.ts";
import { goldenCheckpoints } from "../../fixtures/golden/golden.ts";

/** A published model. */
function published(depth: number): VarConfig {
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

/** A folder of a published model of which nothing can be read. */
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
      config: published(depth),
      classNames: [],
      files: {},
    },
    fingerprints: {},
    open: refuse,
    read: refuse,
    weights: refuse,
    [Symbol.dispose]: () => {},
  };
}

Deno.test("the published models have the published numbers of parameters", () => {
  const parameters: [number, number][] = [
    [16, 310_283_520],
    [20, 600_917_136],
    [24, 1_033_399_360],
    [30, 2_010_020_356],
    [36, 2_353_893_904],
  ];
  for (const [depth, count] of parameters) {
    const { transformer, tokenizer } = varTensors(published(depth));
    assertEquals([elementsOf(transformer), elementsOf(tokenizer)], [count, 108_948_355], `depth ${depth}`);
    assertEquals(storedBytes(transformer, "f32"), 4 * count);
  }
});

for (const dtype of DTYPES) {
  Deno.test(`the listed tensors are those of a folder, and as large, in ${dtype}`, async () => {
    for (const name of ["var-adaln", "var-shared-adaln"] as const) {
      using folder = await openVarSource(goldenCheckpoints(name), { dtype });
      const config = folder.manifest.config as VarConfig;
      const tensors = varTensors(config);
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

Deno.test("weights are what the type says, without the blocks' projections", () => {
  // Parameters without projections, section by section, of depth 16: what the transformer graph reads, and what becomes f32.
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
  // 823 MB of linear layers, 259 of the decoder and codebook, 67 for classes, 18 for embeddings and the head's projection.
  assert(Math.abs(of("f32") - 1.167 * GB) < 0.001 * GB, `${of("f32")}`);
});

Deno.test("an image of the model of depth 16 takes what caches, activations and logits take, or the decoder", () => {
  const { tokenizer, ...config } = published(16);
  const imageBytes = (decoder: VarConfig["tokenizer"]["decoder"]): number => {
    return estimateMemory({ ...config, tokenizer: { ...tokenizer, decoder } }, {
      dtype: "f32",
      provider: "wasm",
    }).image;
  };
  const image = imageBytes(null);
  // Keys and values of 255 and of 424 tokens at the scale before the last: the specification's 178.3 MB for 680 tokens, in proportion.
  const caches = 178.3e6 * (255 + 424) / 680;
  assert(image > caches && image < 1.35 * caches, `${image}`);
  // What was measured of the published decoder for one image of 256 px.
  const decoder = imageBytes(tokenizer.decoder);
  assert(Math.abs(decoder - 299e6) < 0.02 * 299e6, `${decoder}`);
});

testOnGpu("a loaded model holds what is estimated", async () => {
  for (const dtype of DTYPES) {
    // The runtime's pool is shared by all models on a device.
    using device = await WebGpuDevice.open();
    const before = device.counters.liveBytes;
    const folder = dtype === "f16"
      ? await openModelFolder(DEMO_MODEL)
      : await openVarSource(goldenCheckpoints("var-adaln"), { dtype });
    await using model = await loadVarModel(folder, device, { dtype });
    assertEquals(model.dtype, dtype);
    using _ = await model.start({ labels: [1], guided: true });
    const held = device.counters.liveBytes - before;
    const config = folder.manifest.config as VarConfig;
    assertEquals(model.memory, estimateMemory(config, { dtype, provider: "webgpu" }));
    // Without what the runtime's pool will hold.
    const { weights } = estimateMemory(config, { dtype, provider: "wasm" });
    assert(held >= 0.9 * weights && held <= 1.01 * weights, `${dtype}: ${held} and ${weights}`);
  }
});

Deno.test("the most precise type that fits is chosen", () => {
  const choose = (depth: number, provider: Provider, available: number): Dtype =>
    chooseDtype(published(depth), { stored: "f32", provider, available });
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

Deno.test("stored precision bounds the choice, and halves widen where that is faster", () => {
  const config = published(16);
  const roomy = { provider: "webgpu", available: 100 * GB } as const;
  for (const stored of DTYPES) assertEquals(chooseDtype(config, { ...roomy, stored }), stored);
  assertEquals(chooseDtype(config, { ...roomy, stored: "f16", provider: "wasm" }), "f32");
  assertEquals(chooseDtype(config, { ...roomy, stored: "f16", halves: false }), "f32");
  const needed = (dtype: Dtype): number => {
    const { weights, image } = estimateMemory(config, { dtype, provider: "webgpu" });
    return weights + image;
  };
  const narrow = { provider: "webgpu", available: needed("f16"), stored: "f32" } as const;
  assertEquals(chooseDtype(config, narrow), "f16");
  assertEquals(chooseDtype(config, { ...narrow, halves: false }), "q8");
  assert(!isSmall(config));
  const small = { ...config, depth: 2, width: 128, heads: 2 };
  assert(isSmall(small));
  assertEquals(chooseDtype(small, { ...roomy, stored: "f16" }), "f32");
  // Integers are not made smaller once more, and nobody is told that they could be.
  const available = needed("q8") - 1;
  assert(needed("q4") <= available);
  const refused = assertThrows(() => chooseDtype(config, { ...narrow, stored: "q8", available }), RangeError);
  assertEquals(
    refused.message,
    `Cannot load the model as q8 as it needs ${
      available + 1
    } bytes with one image and there are ${available}`,
  );
});

Deno.test("where memory is not known, a usual size is assumed and the smallest type is tried at the worst", () => {
  const unknown = { stored: "f32", provider: "webgpu", available: undefined } as const;
  for (const depth of [16, 24, 30]) {
    const known = { ...unknown, available: ASSUMED_BYTES };
    assertEquals(chooseDtype(published(depth), unknown), chooseDtype(published(depth), known));
  }
  assertEquals(chooseDtype(published(36), unknown), "q4");
  assertThrows(() => chooseDtype(published(36), { ...unknown, available: ASSUMED_BYTES }), RangeError);
});

Deno.test("what does not fit is refused with the size and what would", () => {
  const room = { provider: "wasm", available: WASM_BYTES } as const;
  requireFit(published(24), "f32", room);
  const error = assertThrows(() => requireFit(published(30), "f32", room), RangeError);
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
    () => requireFit(published(30), "f32", { provider: "wasm", available: 3 * GB }),
    RangeError,
  );
  assertEquals(told.message.split("; ")[1], 'possible are dtype: "q8" or dtype: "q4"');
  assertThrows(
    () => requireFit(published(36), "q4", { provider: "webgpu", available: 2 * GB }),
    RangeError,
    "there are 2000000000",
  );
});

Deno.test("a model that cannot fit is refused before anything is loaded", async () => {
  using device = new CpuDevice();
  await assertRejects(
    () => loadVarModel(unreadable(30, "f32"), device, { dtype: "f32" }),
    RangeError,
    "Cannot load the model as f32",
  );
  await assertRejects(() => loadVarModel(unreadable(16, "f32"), device), Error, "Nothing may be read");
  const load = async (options: { dtype?: Dtype; memory: number }): Promise<string> => {
    await using model = await loadVarModel(
      await openVarSource(goldenCheckpoints("var-adaln")),
      device,
      options,
    );
    return model.dtype;
  };
  const config = (await openVarSource(goldenCheckpoints("var-adaln"))).manifest.config as VarConfig;
  const needed = (dtype: Dtype): number => {
    const { weights, image } = estimateMemory(config, { dtype, provider: "wasm" });
    return weights + image;
  };
  await assertRejects(() => load({ dtype: "f32", memory: needed("f32") - 1 }), RangeError, "as f32");
  assertEquals(await load({ dtype: "f32", memory: needed("f32") }), "f32");
  assertEquals(await load({ memory: needed("f32") - 1 }), "f16");
  assertEquals(await load({ memory: needed("q8") }), "q8");
  await assertRejects(() => load({ memory: needed("q4") - 1 }), RangeError, "as q4");
});

Deno.test("memory that is told counts, except beyond what WebAssembly has", async () => {
  using device = new CpuDevice();
  const wasm = await availableBytes(device);
  assert(wasm !== undefined && wasm <= WASM_BYTES);
  assertEquals(await availableBytes(device, { memory: 1e9 }), 1e9);
  assertEquals(await availableBytes(device, { memory: 1e11 }), WASM_BYTES);
  assertEquals(await availableBytes(device, { memory: 1e11, cpuProvider: "native" }), 1e11);
});

Deno.test("without permission to ask, WebAssembly's memory is assumed and nothing is asked", async () => {
  const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const source = `
    import { availableBytes } from ${from("../../../models/var/memory.ts")};
    import { CpuDevice } from ${from("../../../kernels/cpu_device.ts")};
    using device = new CpuDevice();
    console.log(await availableBytes(device), await availableBytes(device, { cpuProvider: "native" }));
  `;
  const url = `data:application/typescript,${encodeURIComponent(source)}`;
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--quiet", "--no-check", "--allow-import", "--allow-read", url],
    stdout: "piped",
    stderr: "piped",
    cwd: new URL("../../..", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout).trim(), `${WASM_BYTES} undefined`);
});

Deno.test("the largest array of a 512 px image exceeds WebGPU's default limit, that of a 256 px one does not", () => {
  const limit = 128 * 2 ** 20;
  // The decoder's finest maps, 160 channels.
  assertEquals(largestArrayBytes(published(36), "q8"), 160 * 512 ** 2 * 4);
  assertEquals(160 * 512 ** 2 * 4 > limit, true);
  for (const depth of [16, 20, 24, 30]) assert(largestArrayBytes(published(depth), "f32") < limit);
  // The projection of a block, fed as f32 whatever it is stored as.
  assertEquals(largestArrayBytes(published(30), "f16"), 6 * 1920 ** 2 * 4);
});

testOnGpu("limits that one image exceeds are told when the model is loaded", async (device) => {
  requireLimits(published(16), "f32", device);
  const adapter = await navigator.gpu.requestAdapter();
  // A device with the limits that WebGPU promises.
  const gpu = await adapter!.requestDevice();
  try {
    using plain = WebGpuDevice.from(gpu);
    assertEquals(gpu.limits.maxStorageBufferBindingSize, 128 * 2 ** 20);
    assertThrows(
      () => requireLimits(published(36), "q8", plain),
      RangeError,
      "needs an array of 167772160 bytes and the device's limit maxStorageBufferBindingSize is 134217728",
    );
    requireLimits(published(30), "q8", plain);
    await assertRejects(
      () => loadVarModel(unreadable(36, "q8"), plain, { dtype: "q8" }),
      RangeError,
      "maxStorageBufferBindingSize",
    );
  } finally {
    gpu.destroy();
  }
});

testOnGpu("an adapter in software has the host's memory", async (device) => {
  assert(hasGpu);
  const software = /llvmpipe|swiftshader|basic render/i.test(device.info.description);
  const found = await availableBytes(device);
  assertEquals(found !== undefined, software);
  assertEquals(await availableBytes(device, { memory: 5 }), 5);
});
