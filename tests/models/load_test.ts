/** Loading: what names a model, where it runs, who owns the device, and that unloading leaves nothing. */

import { classNamesOf } from "../../models/label.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CpuDevice, type HostArray } from "../../kernels/device/cpu_device.ts";
import { type Device, readFloats } from "../../kernels/device/device.ts";
import { NoAdapterError } from "../../kernels/device/errors.ts";
import { WebGpuDevice } from "../../kernels/device/webgpu_device.ts";
import { familyNamed, registerFamily } from "../../models/families.ts";
import type { LoadFamilyOptions } from "../../models/family.ts";
import { DEMO_MODEL, loadModel, type ModelSource } from "../../models/load.ts";
import type { Model, PictureArray } from "../../models/model.ts";
import { ModelFileError } from "../../models/model_file_error.ts";
import { hasGpu, stubAdapter, testOnDevices, testOnGpu } from "../devices.ts";
import { goldenCheckpoints, maxDifference } from "../fixtures/golden/golden.ts";
import { FakeHub, sha256 } from "./hub/fake_hub.ts";
import { prefixed, writeCheckpoint } from "./checkpoint_files.ts";
import { filledFlexVar } from "./flexvar/checkpoints.ts";
import { inFolder } from "./folder/small_folder.ts";

/** Generates as far as the logits of the first scale. */
async function firstLogits(model: Model, label: number = 0): Promise<Float32Array> {
  using generation = await model.start({ labels: [model.resolveLabel(label)], guided: false });
  using logits = await generation.logits();
  return await readFloats(logits);
}

/** A picture of nothing. */
function blank(model: Model): PictureArray & Disposable {
  const { width, height } = model.schedule().picture;
  const array = model.device.upload(new Float32Array(3 * width * height));
  return { array, width, height, [Symbol.dispose]: () => array[Symbol.dispose]() };
}

testOnDevices(
  "loadModel: a checkpoint whose bytes have changed is told by file and tensor",
  async (device) => {
    const { var: path, vae } = goldenCheckpoints("var-adaln");
    const bytes = await Deno.readFile(path);
    // Within the weights of one layer, which only the runtime asks for.
    bytes[bytes.length >> 1]! ^= 0xff;
    await inFolder(async (folder) => {
      const file = `${folder}/var.pth`;
      await Deno.writeFile(file, bytes);
      const error = await assertRejects(
        () => loadModel({ var: file, vae }, { device }),
        ModelFileError,
        "as its bytes have changed",
      );
      assertEquals([error.file, error.tensor], [file, "blocks.1.attn.mat_qkv.weight"]);
    });
  },
);

testOnDevices("loadModel: the demo is loaded by its name", async (device) => {
  await using model = await loadModel("demo", { device });
  assertEquals(
    {
      family: model.family,
      name: model.name,
      size: model.size,
      classes: model.labels.kind === "classes" && model.labels.count,
      patchNumbers: model.patchNumbers,
      flexible: familyNamed(model.family).flexible,
      picture: model.schedule().picture,
    },
    {
      family: "var",
      name: "demo",
      size: 4,
      classes: 64,
      patchNumbers: [1, 2, 3, 4, 6, 8],
      flexible: [],
      picture: { width: 64, height: 64 },
    },
  );
  const { vocabulary, channels, array } = model.tokens.codebook!;
  assertEquals([vocabulary, channels, array.length], [512, 16, 512 * 16]);
  assertEquals(classNamesOf(model.labels)[32], "red torus");
  assert(model.device === device);
  assertEquals((await firstLogits(model)).length, 512);
});

Deno.test("loadModel: fingerprints are the checksums of the weight files", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  const { files } = JSON.parse(await Deno.readTextFile(new URL("model.json", DEMO_MODEL)));
  assertEquals(model.fingerprints, {
    "transformer.safetensors": files["transformer.safetensors"].sha256,
    "tokenizer.safetensors": files["tokenizer.safetensors"].sha256,
  });
});

Deno.test("loadModel: checkpoints are loaded by URL, by path and from memory", async () => {
  const urls = goldenCheckpoints("var-shared-adaln");
  const classNames = ["a", "b", "c", "d", "e", "f"];
  await using byUrl = await loadModel(urls, { device: "cpu", classNames });
  assertEquals(classNamesOf(byUrl.labels), classNames);
  assertStringIncludes(byUrl.location, "var-shared-adaln/var.pth");
  const wanted = await firstLogits(byUrl);
  const path = (url: URL): string => decodeURIComponent(url.pathname);
  await using byPath = await loadModel({ var: path(urls.var), vae: path(urls.vae) }, { device: "cpu" });
  await using fromMemory = await loadModel(
    { var: await Deno.readFile(urls.var), vae: await Deno.readFile(urls.vae) },
    { device: "cpu" },
  );
  assertEquals(classNamesOf(byPath.labels), []);
  for (const model of [byPath, fromMemory]) {
    assertEquals(model.fingerprints, byUrl.fingerprints);
    assertEquals(await firstLogits(model), wanted);
  }
});

Deno.test("loadModel: a signal ends the loading, and nothing after it", async () => {
  const sources = [goldenCheckpoints("var-adaln"), DEMO_MODEL];
  for (const source of sources) {
    const controller = new AbortController();
    const { signal } = controller;
    await using model = await loadModel(source, { device: "cpu", signal });
    controller.abort(new Error("enough"));
    for (const label of [1, 2]) assert((await firstLogits(model, label)).every(Number.isFinite));
  }
});

Deno.test("loadModel: a signal that comes while files are read ends the loading with its reason", async () => {
  const { read, readSync } = Deno.FsFile.prototype;
  const abortedAt = async (reads: number): Promise<unknown> => {
    const controller = new AbortController();
    const { signal } = controller;
    const count = (): void => {
      if (--reads === 0) controller.abort(new Error("enough"));
    };
    Deno.FsFile.prototype.read = function (bytes) {
      count();
      return read.call(this, bytes);
    };
    Deno.FsFile.prototype.readSync = function (bytes) {
      count();
      return readSync.call(this, bytes);
    };
    try {
      await using model = await loadModel(goldenCheckpoints("var-adaln"), { device: "cpu", signal });
      return model.name;
    } catch (error) {
      return error;
    } finally {
      Object.assign(Deno.FsFile.prototype, { read, readSync });
    }
  };
  for (const reads of [1, 5, 40, 150]) {
    const error = await abortedAt(reads);
    assert(error instanceof Error && error.message === "enough", `${reads}: ${error}`);
  }
  assertEquals(await abortedAt(1e9), "VAR-d2");
});

Deno.test("loadModel: what names no model is refused", async () => {
  const load = (source: unknown) => () => loadModel(source as ModelSource, { device: "cpu" });
  for (const source of [undefined, null, 4, {}, { var: "var.pth" }, { var: "var.pth", vae: undefined }]) {
    await assertRejects(
      load(source),
      TypeError,
      'must be "demo", a folder, "hf:owner/name", or { var, vae }',
    );
  }
  await assertRejects(load("no-such-folder"), ModelFileError, "no-such-folder/model.json");
  await assertRejects(load({ var: "no.pth", vae: "no.pth" }), ModelFileError, "no.pth");
  for (const place of ["FoundationVision/var", "https://huggingface.co/FoundationVision/var/tree/main"]) {
    await assertRejects(load(place), ModelFileError, '"hf:FoundationVision/var');
  }
  const missing = await assertRejects(load("FoundationVision/var"), ModelFileError);
  assertEquals(missing.found, 'no such file; did you mean "hf:FoundationVision/var"?');
  const urls = goldenCheckpoints("var-adaln");
  await assertRejects(load({ var: urls.vae, vae: urls.var }), ModelFileError, "pos_start");
  await assertRejects(
    () => loadModel(urls, { device: "cpu", classNames: ["one"] }),
    RangeError,
    "10 classes",
  );
});

Deno.test("loadModel: a model folder has class names of its own", async () => {
  const options = { device: "cpu", classNames: ["a"] } as const;
  for (const source of ["demo", DEMO_MODEL]) {
    await assertRejects(() => loadModel(source, options), TypeError, `"${source}" is a model folder`);
  }
});

Deno.test("loadModel: threads must be a positive integer", async () => {
  for (const threads of [0, -1, 1.5, NaN, Infinity]) {
    await assertRejects(
      () => loadModel("demo", { device: "cpu", threads }),
      RangeError,
      `threads must be an integer >= 1: current value is ${threads}`,
    );
  }
});

Deno.test("loadModel: without an adapter a model runs on the CPU, unless WebGPU was asked for", async () => {
  using _ = stubAdapter(() => Promise.resolve(null));
  await assertRejects(() => loadModel("demo", { device: "webgpu" }), NoAdapterError);
  await using model = await loadModel("demo");
  assertEquals(model.device.kind, "cpu");
});

Deno.test("loadModel: a device of an unknown kind is refused", async () => {
  await assertRejects(
    () => loadModel("no-such-folder", { device: "gpu" as "webgpu" }),
    TypeError,
    'device must be "auto", "webgpu", "cpu" or a device: current value is "gpu"',
  );
});

async function freshDevice(kind: string): Promise<Device> {
  return kind === "cpu" ? new CpuDevice() : await WebGpuDevice.open();
}

testOnDevices("loadModel: unloading leaves the caller's device as it was", async ({ kind }) => {
  using device = await freshDevice(kind);
  const before = device.counters;
  {
    await using model = await loadModel(goldenCheckpoints("var-adaln"), { device });
    assert(device.counters.liveArrays > before.liveArrays);
    await firstLogits(model);
    using pictures = blank(model);
    using encoding = await model.encode(pictures, 1);
    assertEquals(encoding.tokens.length, 4);
  }
  const { liveArrays, liveBytes } = device.counters;
  assertEquals([liveArrays, liveBytes], [0, before.liveBytes]);
  using array = device.upload(new Float32Array([1, 2]));
  assertEquals([...await readFloats(array)], [1, 2]);
});

testOnDevices("loadModel: a load that fails leaves the caller's device as it was", async ({ kind }) => {
  using device = await freshDevice(kind);
  const before = device.counters;
  const path = await Deno.makeTempDir();
  try {
    for await (const { name } of Deno.readDir(DEMO_MODEL)) {
      await Deno.copyFile(new URL(name, DEMO_MODEL), `${path}/${name}`);
    }
    // By then a part is open.
    await Deno.truncate(`${path}/transformer.onnx`, 100);
    await assertRejects(() => loadModel(path, { device }), ModelFileError, "transformer.onnx");
  } finally {
    await Deno.remove(path, { recursive: true });
  }
  const { liveArrays, liveBytes } = device.counters;
  assertEquals([liveArrays, liveBytes], [0, before.liveBytes]);
  await using model = await loadModel("demo", { device });
  assertEquals((await firstLogits(model)).length, 512);
});

testOnDevices("loadModel: unloading waits for what has begun and refuses the rest", async ({ kind }) => {
  using device = await freshDevice(kind);
  const model = await loadModel(goldenCheckpoints("var-adaln"), { device });
  using generation = await model.start({ labels: [model.resolveLabel(1)], guided: true });
  {
    using logits = await generation.logits();
    using tokens = device.upload(new Uint32Array(1));
    generation.accept(tokens);
    assertEquals(logits.length, 2 * model.tokens.logits);
  }
  using pictures = blank(model);
  const begun = [
    generation.logits(),
    model.start({ labels: [model.resolveLabel(2)], guided: false }),
    model.encode(pictures, 1),
  ];
  const unloaded = model[Symbol.asyncDispose]();
  // The generation holds results of a graph that is gone.
  for (const result of await Promise.all(begun)) result[Symbol.dispose]();
  await unloaded;
  const refused = 'as the model "VAR-d2" has been disposed';
  await assertRejects(() => generation.logits(), TypeError, `Cannot go on with a generation ${refused}`);
  await assertRejects(() => generation.decode(), TypeError, `Cannot decode ${refused}`);
  await assertRejects(() => model.encode(pictures, 1), TypeError, `Cannot encode ${refused}`);
  await assertRejects(
    () => model.start({ labels: [model.resolveLabel(1)], guided: true }),
    TypeError,
    `Cannot start a generation ${refused}`,
  );
  generation[Symbol.dispose]();
  pictures[Symbol.dispose]();
  assertEquals(device.counters.liveArrays, 0);
  // The runtime has not been harmed.
  await using again = await loadModel("demo", { device });
  assertEquals((await firstLogits(again)).length, 512);
});

Deno.test("loadModel: pictures that are encoded at the same time share one encoder", async () => {
  await using model = await loadModel("demo", { device: "cpu" });
  using pictures = blank(model);
  const { open } = Deno;
  const opened: string[] = [];
  Deno.open = (path, options) => {
    opened.push(String(path));
    return open(path, options);
  };
  try {
    const encodings = await Promise.all([1, 2, 3].map(() => model.encode(pictures, 1)));
    for (const encoding of encodings) encoding[Symbol.dispose]();
  } finally {
    Deno.open = open;
  }
  assertEquals(
    opened,
    ["tokenizer.safetensors", "encoder.onnx"].map((name) => new URL(name, DEMO_MODEL).href),
  );
});

testOnGpu("loadModel: a device that the model opened goes with the model", async () => {
  const model = await loadModel("demo", { device: "webgpu" });
  const device = model.device as WebGpuDevice;
  assertEquals(device.lost, undefined);
  await model[Symbol.asyncDispose]();
  assertEquals(device.lost?.reason, "destroyed");
  assertEquals(device.counters.liveArrays, 0);
  // Unloading twice is harmless.
  await model[Symbol.asyncDispose]();
});

Deno.test("loadModel: models may be loaded at the same time", async () => {
  const kinds = ["cpu", "cpu", ...hasGpu ? ["webgpu"] as const : []] as const;
  const models = await Promise.all(kinds.map((device) => loadModel("demo", { device })));
  const [first, ...others] = await Promise.all(models.map((model) => firstLogits(model)));
  for (const logits of others) {
    // Both providers compute the same graph in float32.
    for (const [i, value] of first!.entries()) assert(Math.abs(logits[i]! - value) < 1e-4);
  }
  for (const model of models) await model[Symbol.asyncDispose]();
});

Deno.test("loadModel: a repository of the hub is downloaded once and loaded from there", async () => {
  await using hub = new FakeHub();
  const urls = goldenCheckpoints("var-adaln");
  hub.files.set("var_d2.pth", await Deno.readFile(urls.var));
  hub.files.set("var_d16.pth", new Uint8Array(200));
  hub.files.set("vae_ch160v4096z32.pth", await Deno.readFile(urls.vae));
  const seen = new Set<string>();
  const options = {
    device: "cpu",
    hub: hub.options(),
    onProgress: ({ file }: { file: string }) => void seen.add(file),
  } as const;
  await using model = await loadModel("hf:owner/name", { ...options, depth: 2 });
  assertEquals([...seen], ["var_d2.pth", "vae_ch160v4096z32.pth"]);
  assertEquals(model.fingerprints, {
    "transformer as f32": sha256(hub.files.get("var_d2.pth")!),
    "tokenizer as f32": sha256(hub.files.get("vae_ch160v4096z32.pth")!),
  });
  await using direct = await loadModel(urls, { device: "cpu" });
  assertEquals(await firstLogits(model), await firstLogits(direct));
  const transfers = hub.transfers.length;
  await using again = await loadModel("hf:owner/name", { ...options, depth: 2, dtype: "q4" });
  assertEquals([again.dtype, hub.transfers.length], ["q4", transfers]);
  // What the hub has told is not found out again, which would take another reading of all.
  const { read } = Deno.FsFile.prototype;
  let count = 0;
  Deno.FsFile.prototype.read = async function (bytes) {
    const length = await read.call(this, bytes);
    count += length ?? 0;
    return length;
  };
  try {
    await using told = await loadModel("hf:owner/name", { ...options, depth: 2 });
    assertEquals(told.fingerprints, model.fingerprints);
  } finally {
    Deno.FsFile.prototype.read = read;
  }
  const size = hub.files.get("var_d2.pth")!.length + hub.files.get("vae_ch160v4096z32.pth")!.length;
  assert(count < 1.25 * size, `${count} of ${size} bytes were read`);
  await assertRejects(() => loadModel("hf:owner/name", options), Error, "2");
  await assertRejects(() => loadModel("hf:owner", options), TypeError, "hf:owner");
});

Deno.test("loadModel: a model of another depth is refused before anything is loaded", async () => {
  class WatchedDevice extends CpuDevice {
    uploads = 0;
    override upload(...args: Parameters<CpuDevice["upload"]>): HostArray {
      this.uploads++;
      return super.upload(...args);
    }
  }
  using device = new WatchedDevice();
  await assertRejects(
    () => loadModel("demo", { device, depth: 16 }),
    RangeError,
    'Cannot load the model "demo" as depth must be its own, 4: current value is 16',
  );
  assertEquals([device.uploads, device.counters.liveArrays], [0, 0]);
  await assertRejects(
    () => loadModel("demo", { device, depth: 1.5 }),
    RangeError,
    "depth must be an integer",
  );
  await assertRejects(
    () => loadModel("demo", { device, size: "2B" }),
    RangeError,
    'Cannot load the model "demo" as depth must be its own, 4: current value is "2B"',
  );
  await assertRejects(
    () => loadModel("demo", { device, size: 4 as unknown as string }),
    TypeError,
    "Cannot load the model as size must be a text: current value is 4",
  );
  await assertRejects(
    () => loadModel("demo", { device, depth: 4, size: "2B" }),
    TypeError,
    "Cannot load the model as depth and size exclude each other",
  );
});

testOnDevices(
  "loadModel: weights have the type that was asked for, and options are checked",
  async (device) => {
    const small = goldenCheckpoints("var-adaln");
    for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
      await using model = await loadModel(small, { device, dtype });
      assertEquals(model.dtype, dtype);
      assertEquals(Object.keys(model.fingerprints), [`transformer as ${dtype}`, `tokenizer as ${dtype}`]);
      assert((await firstLogits(model)).every(Number.isFinite));
    }
    const bad = (options: object) => () => loadModel("demo", { device, ...options });
    await assertRejects(
      bad({ dtype: "int4" }),
      TypeError,
      'dtype must be one of "auto", "f32", "f16", "q8", "q4"',
    );
    await assertRejects(
      bad({ cpuProvider: "cuda" }),
      TypeError,
      'cpuProvider must be one of "auto", "wasm", "native"',
    );
    await assertRejects(bad({ memory: 0 }), RangeError, "memory must be an integer >= 1");
    await assertRejects(bad({ memory: 1000 }), RangeError, "there are 1000");
    await assertRejects(bad({ memory: 1000, dtype: "q4" }), RangeError, "there are 1000");
  },
);

testOnDevices("loadModel: FlexVAR's checkpoints are loaded like VAR's", (device) =>
  inFolder(async (path) => {
    const { var: transformer, vae } = filledFlexVar();
    const source = { var: `${path}/FlexVARd1.pth`, vae: `${path}/FlexVAE.pth` };
    await writeCheckpoint(source.var, transformer);
    await writeCheckpoint(source.vae, prefixed("model.", vae));
    const wanted: Float32Array[] = [];
    for (const dtype of ["f32", "f16", "q8", "q4"] as const) {
      await using model = await loadModel(source, { device, dtype });
      assertEquals([model.family, model.name, model.dtype, model.size], [
        "flexvar",
        "FlexVAR-d1",
        dtype,
        1,
      ]);
      const logits = await firstLogits(model, 3);
      assertEquals(logits.length, model.tokens.logits);
      assert(logits.every(Number.isFinite));
      wanted.push(logits);
    }
    // Each type loses more than the one before it.
    const losses = wanted.map((logits) => maxDifference(logits, wanted[0]!));
    for (const [i, loss] of losses.slice(1).entries()) assert(loss > losses[i]!, `${losses}`);
    // From the hub, with the family told by names.
    await using hub = new FakeHub();
    hub.files.set("FlexVARd1-epo1.pth", await Deno.readFile(source.var));
    hub.files.set("FlexVAE.pth", await Deno.readFile(source.vae));
    await using model = await loadModel("hf:owner/name", { device, depth: 1, hub: hub.options() });
    assertEquals(model.fingerprints, {
      "transformer as f32": sha256(hub.files.get("FlexVARd1-epo1.pth")!),
      "tokenizer as f32": sha256(hub.files.get("FlexVAE.pth")!),
    });
    assertEquals(await firstLogits(model, 3), wanted[0]);
  }));

Deno.test("loadModel: a family is given the choices that it offers, and others are told who offers them", async () => {
  const refused = () => assertRejects(() => loadModel("demo", { device: "cpu", offload: "blocks" }));
  const none = await refused();
  assertEquals(
    (none as Error).message,
    'Cannot load the model with offload "blocks" as VAR has no such choice; Infinity has',
  );
  const seen: LoadFamilyOptions[] = [];
  const VAR = familyNamed("var");
  const [transformer, ...others] = VAR.parts;
  registerFamily({
    ...VAR,
    name: "choosy",
    title: "Choosy",
    parts: [{ ...transformer!, name: "choosy" }, ...others],
    loading: ["cacheDtype", "offload"],
    load: (folder, device, options) => {
      seen.push(options);
      return VAR.load(folder, device, options);
    },
  });
  const { var: choosy, vae } = goldenCheckpoints("var-adaln");
  for (const choices of [{}, { cacheDtype: "f16" }, { offload: "blocks", cacheDtype: "f32" }] as const) {
    await using _model = await loadModel({ choosy, vae }, { device: "cpu", ...choices });
    assertEquals(seen.at(-1), { cpuProvider: "wasm", ownsDevice: true, ...choices });
  }
  await assertRejects(
    () => loadModel({ choosy, vae }, { device: "cpu", keepTextEncoder: false }),
    RangeError,
    "Cannot load the model with keepTextEncoder false as Choosy has no such choice; Infinity has",
  );
  const told = await refused();
  assertStringIncludes((told as Error).message, "as VAR has no such choice; Infinity and Choosy have");
  assertEquals(seen.length, 3);
});
