/**
 * What the native CPU provider must do, as tests for a process of its own: `native_graph_session_test.ts`
 * runs them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { concat } from "../../../bench/pytorch_file.ts";
import { SourceBlob } from "../../../models/checkpoint/blob.ts";
import type { ByteSource, DiskPlace } from "../../../models/checkpoint/source.ts";
import { CpuDevice } from "../../../kernels/device/cpu_device.ts";
import { readFloats } from "../../../kernels/device/device.ts";
import { type Dtype, DTYPES } from "../../../models/weights/dtype.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { openModelFolder } from "../../../models/folder/model_folder.ts";
import type {
  CpuProvider,
  ExternalFile,
  GraphSession,
  GraphSessionOptions,
} from "../../../models/graphs/graph_session.ts";
import { enlargingConvolution } from "../../../models/autoencoder/enlarging.ts";
import { groupNorm } from "../../../models/autoencoder/group_norm.ts";
import { createGraphSession } from "../../../models/graphs/create_session.ts";
import { FEWEST_ROWS } from "../../../models/graphs/key_value_caches.ts";
import type { Model } from "../../../models/model.ts";
import { GraphBuilder } from "../../../models/graphs/graph_builder.ts";
import { openModelSource } from "../../../models/convert.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { VAR } from "../../../models/var/family.ts";
import {
  differenceOf,
  forceScale,
  goldenCheckpoints,
  maxDifference,
  openGolden,
  recordedTokens,
} from "../../fixtures/golden/golden.ts";
import { assertSameAlone } from "../class_conditional/alone.ts";
import { decodeHashed, DECODER_CASES, requireHashed } from "../autoencoder/hashed_decoder.ts";
import { ENLARGED_MAPS, ENLARGING_TOLERANCE, worstEnlarged } from "../autoencoder/enlarged_map.ts";
import { LARGE_GROUPS, MEANS, NORM_TOLERANCE, worstError } from "../autoencoder/large_group.ts";
import { farFile, farGraph, runFar } from "./far_weight.ts";
import { testRandom } from "../../devices.ts";
import { assertSameInParts } from "./blocks.ts";
import { assertRoundedCaches } from "./tiny_transformer.ts";
import { assertHalves, halvesGraph, runSmall, smallGraph } from "./small_graph.ts";

/** As for the other providers, see `var/golden_test.ts`: logits and features, and pixels from 0 to 1. */
const FEATURE_TOLERANCE = 1e-4;
const PIXEL_TOLERANCE = 2e-3;

function clamp(value: number): number {
  return Math.min(1, Math.max(-1, value));
}

/** Loads a model. */
async function load(
  device: CpuDevice,
  source: "demo" | "var-adaln" | "var-shared-adaln",
  options: { dtype?: Dtype; cpuProvider?: CpuProvider } = {},
): Promise<Model> {
  const { dtype, cpuProvider = "native" } = options;
  const folder = source === "demo"
    ? await openModelFolder(DEMO_MODEL)
    : await openModelSource(goldenCheckpoints(source), dtype === undefined ? {} : { dtype });
  return await VAR.load(folder, device, { cpuProvider, threads: 2 });
}

/** Logits of every scale and the picture, if there is a decoder, with the recorded tokens. */
async function replay(
  model: Model,
  name: "demo" | "var-adaln" | "var-shared-adaln",
): Promise<Float32Array[]> {
  using recorded = await openGolden(name);
  const labels = [...await recorded.readFloat32("labels")].map((label) => model.resolveLabel(label));
  using generation = await model.start({ labels, guided: true });
  const found: Float32Array[] = [];
  for (const scale of model.patchNumbers.keys()) {
    using tokens = await recordedTokens(model.device, recorded, `tokens.${scale}`);
    found.push(await forceScale(generation, tokens));
  }
  if (recorded.tensors.has("image")) {
    using image = await generation.decode();
    found.push((await readFloats(image.array)).map((value) => (clamp(value) + 1) / 2));
  }
  return found;
}

Deno.test("createGraphSession: what is damaged is named natively, too", async () => {
  using device = new CpuDevice();
  const options = { cpuProvider: "native", file: "model/decoder.onnx" } as const;
  for (const graph of [new Uint8Array(100).fill(7), smallGraph("NoSuchOperator")]) {
    const error = await assertRejects(() => createGraphSession(device, graph, options), ModelFileError);
    assertEquals(error.file, "model/decoder.onnx");
  }
  const { var: path, vae } = goldenCheckpoints("var-adaln");
  const bytes = await Deno.readFile(path);
  bytes[bytes.length >> 1]! ^= 0xff;
  using folder = await openModelSource({ var: bytes, vae });
  const error = await assertRejects(
    () => VAR.load(folder, device, { cpuProvider: "native", threads: 2 }),
    ModelFileError,
    "as its bytes have changed",
  );
  assertEquals(error.tensor, "blocks.1.attn.mat_qkv.weight");
});

for (const name of ["var-adaln", "var-shared-adaln"] as const) {
  Deno.test(`openModelFolder: the native provider gives the published logits and pixels of ${name}`, async () => {
    using device = new CpuDevice();
    await using model = await load(device, name);
    using recorded = await openGolden(name);
    const found = await replay(model, name);
    for (const scale of model.patchNumbers.keys()) {
      const difference = maxDifference(found[scale]!, await recorded.readFloat32(`logits.${scale}`));
      assert(difference <= FEATURE_TOLERANCE, `logits of scale ${scale}: ${difference}`);
    }
    if (!recorded.tensors.has("image")) return;
    const difference = maxDifference(found.at(-1)!, await recorded.readFloat32("image"));
    assert(difference <= PIXEL_TOLERANCE, `image: ${difference}`);
  });
}

Deno.test("openModelFolder: the native encoder gives the published features and tokens", async () => {
  using device = new CpuDevice();
  await using model = await load(device, "var-adaln");
  using recorded = await openGolden("var-adaln");
  const { shape } = recorded.tensors.get("encode.image")!;
  const [images, , height, width] = shape as [number, 3, number, number];
  using array = device.upload(await recorded.readFloat32("encode.image"));
  using encoding = await model.encode({ array, width, height }, images);
  const difference = await differenceOf(encoding.features, await recorded.readFloat32("encode.f"));
  assert(difference <= FEATURE_TOLERANCE, `features: ${difference}`);
  for (const [scale, map] of (await device.read(encoding.tokens)).entries()) {
    assertEquals([...map], [...await recorded.readFloat32(`encode.tokens.${scale}`)], `scale ${scale}`);
  }
});

Deno.test("openModelFolder: both CPU providers compute the same from weights of every type, up to rounding", async () => {
  using device = new CpuDevice();
  const compare = async (name: "demo" | "var-adaln", dtype?: Dtype): Promise<void> => {
    const options = dtype === undefined ? {} : { dtype };
    await using native = await load(device, name, options);
    await using wasm = await load(device, name, { ...options, cpuProvider: "wasm" });
    const found = await replay(native, name);
    const wanted = await replay(wasm, name);
    assertEquals(found.length, wanted.length);
    for (const [i, values] of wanted.entries()) {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      const difference = maxDifference(found[i]!, values) / largest;
      assert(difference <= FEATURE_TOLERANCE, `${name} as ${dtype}, ${i}: ${difference}`);
    }
    // Sums of another order: if not one bit differs, then nobody else has computed.
    assertNotEquals(found, wanted);
  };
  await compare("demo");
  for (const dtype of DTYPES) await compare("var-adaln", dtype);
});

/**
 * The weights of y = x wᵀ + b in a file: after 8 bytes of nothing, 7 MB of ones for w and 8 bytes of twos for
 * b.
 */
const COLUMNS = 900_000;
const file = new Uint8Array(4 * (2 * COLUMNS + 4));
new Float32Array(file.buffer).fill(1, 2, 2 + 2 * COLUMNS).fill(2, 2 + 2 * COLUMNS);

function linearGraph(): Uint8Array<ArrayBuffer> {
  const graph = new GraphBuilder("linear");
  const x = graph.input({ name: "x", type: "float32", shape: ["rows", COLUMNS] });
  const place = { file: "weights.bin", type: "float32" as const };
  const length = 8 * COLUMNS;
  const w = graph.weight("w", { ...place, offset: 8, length, shape: [2, COLUMNS] });
  const b = graph.weight("b", { ...place, offset: 8 + length, length: 8, shape: [2] });
  graph.output(
    { name: "y", type: "float32", shape: ["rows", 2] },
    graph.add("Gemm", [x, w, b], { transB: 1 }),
  );
  return graph.bytes();
}

async function runLinear(session: GraphSession, device: CpuDevice): Promise<number[]> {
  using x = device.upload(new Float32Array(COLUMNS).fill(0.5));
  const { y } = await session.run({ x: { array: x, shape: [1, COLUMNS] } });
  using result = y!;
  return [...await readFloats(result)];
}

function createNative(
  device: CpuDevice,
  graph: Uint8Array,
  options: GraphSessionOptions = {},
): Promise<GraphSession> {
  return createGraphSession(device, graph, { ...options, cpuProvider: "native" });
}

/** The weights in memory, whose bytes are found on the disk, too; notes where it is read. */
function diskSource(placeOf: (offset: number) => DiskPlace, read: number[]): ByteSource {
  return {
    file: "weights",
    size: file.length,
    signal: undefined,
    read: (offset, length) => {
      read.push(offset);
      return Promise.resolve(file.slice(offset, offset + length));
    },
    onDisk: (offset) => {
      const place = placeOf(offset);
      return Promise.resolve({ ...place, offset: place.offset + offset });
    },
    [Symbol.dispose]() {},
  };
}

/** Remembers which parts of it have been read. */
class WatchedBlob extends Blob {
  readonly read: [number, number][] = [];
  override slice(start: number = 0, end: number = this.size): Blob {
    this.read.push([start, end]);
    return super.slice(start, end);
  }
}

Deno.test("createGraphSession: weights come from bytes, blobs or files, which are free once the graph is loaded", async () => {
  using device = new CpuDevice();
  const folder = await Deno.makeTempDir();
  try {
    const wanted = [COLUMNS / 2 + 2, COLUMNS / 2 + 2];
    const path = "weights.bin";
    const bytes = file.slice();
    const blob = new WatchedBlob([file]);
    await Deno.writeFile(`${folder}/${path}`, file);
    const sources: ExternalFile[] = [{ path, data: bytes }, { path, data: blob }];
    // Under another name on the disk, at another place, and in two files of one folder and of two.
    await Deno.writeFile(`${folder}/moved.pth`, concat(new Uint8Array(64), file));
    await Deno.mkdir(`${folder}/other`);
    await Deno.writeFile(`${folder}/other/far.bin`, file);
    const own = (): DiskPlace => ({ path: `${folder}/${path}`, offset: 0 });
    const moved = (): DiskPlace => ({ path: `${folder}/moved.pth`, offset: 64 });
    const near = (offset: number): DiskPlace => offset > 8 ? own() : moved();
    const far = (offset: number): DiskPlace => {
      return offset > 8 ? own() : { path: `${folder}/other/far.bin`, offset: 0 };
    };
    const read: number[] = [];
    for (const placeOf of [own, moved, near, far]) {
      sources.push({ path, data: new SourceBlob(diskSource(placeOf, read)) });
    }
    const counts: number[] = [];
    for (const source of sources) {
      await using session = await createNative(device, linearGraph(), { externalFiles: [source] });
      bytes.fill(0);
      assertEquals(await runLinear(session, device), wanted);
      counts.push(read.length);
    }
    // Only what the graph names; of a blob, and of what cannot be mapped as it lies in two folders.
    assertEquals(blob.read, [[8, 8 + 8 * COLUMNS], [8 + 8 * COLUMNS, 16 + 8 * COLUMNS]]);
    assertEquals(counts, [0, 0, 0, 0, 0, 2]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("createGraphSession: weights that are not rearranged give the same sums in another order", async () => {
  using device = new CpuDevice();
  const [rows, inputs, outputs] = [8, 1000, 40];
  const random = testRandom(3);
  const floats = (length: number) => Float32Array.from({ length }, () => 2 * random() - 1);
  const [x, w] = [floats(rows * inputs), floats(outputs * inputs)];
  const graph = new GraphBuilder("product");
  const input = graph.input({ name: "x", type: "float32", shape: ["rows", inputs] });
  const place = { file: "w.bin", offset: 0, length: w.byteLength, type: "float32" } as const;
  const weight = graph.weight("w", { ...place, shape: [outputs, inputs] });
  const product = graph.add("Gemm", [input, weight], { transB: 1 });
  graph.output({ name: "y", type: "float32", shape: ["rows", outputs] }, product);
  const externalFiles = [{ path: "w.bin", data: new Uint8Array(w.buffer) }];
  const run = async (prepack: boolean, some: number = rows): Promise<Float32Array> => {
    await using session = await createNative(device, graph.bytes(), { externalFiles, prepack });
    using array = device.upload(x);
    const { y } = await session.run({ x: { array, shape: [some, inputs] } });
    using result = y!;
    return await readFloats(result);
  };
  const [rearranged, plain] = [await run(true), await run(false)];
  assertNotEquals(plain, rearranged);
  // Either way, a few rows alone are what they are among others.
  for (const [prepack, wanted] of [[true, rearranged], [false, plain]] as const) {
    assertEquals(await run(prepack, FEWEST_ROWS), wanted.subarray(0, FEWEST_ROWS * outputs));
  }
  // Each is off by (terms + 1) roundings of the sum of sizes, at most.
  for (const [i, value] of plain.entries()) {
    const [row, column] = [Math.floor(i / outputs), i % outputs];
    let size = 0;
    for (let j = 0; j < inputs; j++) size += Math.abs(x[row * inputs + j]! * w[column * inputs + j]!);
    const difference = Math.abs(value - rearranged[i]!);
    assert(difference <= 2 * (inputs + 1) * 2 ** -24 * size, `${i}: ${difference}`);
  }
});

Deno.test("openModelFolder: a model folder on the disk tells where its weights can be mapped from", async () => {
  using folder = await openModelFolder(DEMO_MODEL);
  using weights = await folder.weights("transformer");
  const files = await Promise.all(weights.files.map(({ data }) => (data as SourceBlob).onDisk(64, 4)));
  assertEquals(files, [{
    path: fileURLToPath(new URL("transformer.safetensors", DEMO_MODEL)),
    offset: 64,
  }]);
});

Deno.test("createGraphSession: an array may be longer than the shape it is fed with", async () => {
  using device = new CpuDevice();
  await using session = await createNative(device, smallGraph());
  using array = device.upload(new Float32Array([1, 2, 3]));
  const { y } = await session.run({ x: { array, shape: [2] } });
  using result = y!;
  assertEquals([...await readFloats(result)], [2, 3]);
});

Deno.test("createGraphSession: natively, too, halves go in and come out, two to a word", async () => {
  using device = new CpuDevice();
  await using session = await createNative(device, halvesGraph());
  await assertHalves(session, device);
  using short = device.allocate(1);
  await assertRejects(() => session.run({ x: { array: short, shape: [3], type: "float16" } }), Error);
});

Deno.test("createGraphSession: natively, too, keys and values of f16 are those of f32, rounded", async () => {
  using device = new CpuDevice();
  await assertRoundedCaches(device, { cpuProvider: "native" });
});

Deno.test("createGraphSession: natively, too, parts compute to the bit what the whole does", async () => {
  using device = new CpuDevice();
  for (const prepack of [true, false]) await assertSameInParts(device, { cpuProvider: "native", prepack });
});

Deno.test("groupNorm: large groups agree with f64 natively, too, whatever their mean", async () => {
  using device = new CpuDevice();
  for (const group of LARGE_GROUPS) {
    for (const mean of MEANS) {
      const error = await worstError(groupNorm, device, group, { mean, cpuProvider: "native" });
      assert(error <= NORM_TOLERANCE, `${group.channels} channels, mean ${mean}: ${error}`);
    }
  }
});

Deno.test("decodeHashed: the native provider gives the pixels of the recorded decoders", async () => {
  using device = new CpuDevice();
  for (const recorded of DECODER_CASES) {
    requireHashed(await decodeHashed(device, recorded, "native"), recorded);
  }
});

Deno.test("enlargingConvolution: doubled maps agree with f64 natively, too", async () => {
  using device = new CpuDevice();
  for (const map of ENLARGED_MAPS) {
    for (const byRows of [false, true]) {
      const error = await worstEnlarged(enlargingConvolution, device, map, { byRows, cpuProvider: "native" });
      assert(error <= ENLARGING_TOLERANCE, `${map.inputs} channels, by rows ${byRows}: ${error}`);
    }
  }
});

Deno.test("VAR: natively, too, an image alone is to the bit what it is in a batch", async () => {
  using device = new CpuDevice();
  await assertSameAlone(device, { cpuProvider: "native" });
});

Deno.test("createGraphSession: natively, too, weights may lie beyond 4 GiB of their file", async () => {
  using device = new CpuDevice();
  await using session = await createNative(device, farGraph(), { externalFiles: [farFile()] });
  assertEquals(await runFar(session, device), [13, 28]);
});

Deno.test("native sessions may be made, run and released all at the same time", async () => {
  using device = new CpuDevice();
  const one = async (i: number): Promise<number[][]> => {
    await using session = await createNative(device, smallGraph());
    return await Promise.all([runSmall(session, device, [i]), runSmall(session, device, [i, 10 * i])]);
  };
  assertEquals(await Promise.all([0, 1, 2].map(one)), [0, 1, 2].map((i) => [[i + 1], [i + 1, 10 * i + 1]]));
});

Deno.test("createGraphSession: a graph that the native runtime cannot load or run does no harm to others", async () => {
  using device = new CpuDevice();
  const session = await createNative(device, smallGraph());
  await assertRejects(() => createNative(device, new Uint8Array(100).fill(7)), Error);
  await assertRejects(() => createNative(device, smallGraph("NoSuchOperator")), Error);
  await assertRejects(() => createNative(device, linearGraph()), Error);
  await assertRejects(() => session.run({}), Error);
  assertEquals(await runSmall(session, device, [4]), [5]);
  await session[Symbol.asyncDispose]();
  await session[Symbol.asyncDispose]();
});

Deno.test({
  name: "createGraphSession: a native session has the threads that were asked for",
  // Where the number of threads can be read.
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    using device = new CpuDevice();
    const count = async (): Promise<number> => {
      return Number(/Threads:\s+(\d+)/.exec(await Deno.readTextFile("/proc/self/status"))![1]);
    };
    const added = async (threads: number): Promise<number> => {
      const before = await count();
      await using _ = await createNative(device, smallGraph(), { threads });
      return await count() - before;
    };
    await added(1);
    // The caller is one of them.
    assertEquals(await added(7) - await added(1), 6);
  },
});
