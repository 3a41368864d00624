/** Weights in one file or several: divided without splitting a tensor, and read as one. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { encodeFloat16, openCheckpoint, type SafetensorsEntry } from "../../../models/checkpoint/mod.ts";
import { SourceBlob } from "../../../models/checkpoint/blob.ts";
import { openSource } from "../../../models/checkpoint/source.ts";
import { createModelFolder, type FolderWriter } from "../../../models/folder/folder_writer.ts";
import { type ModelFolder, openModelFolder } from "../../../models/folder/model_folder.ts";
import { transformerGraph } from "../../../models/class_conditional/transformer/graph.ts";
import { openFolderAs } from "../../../models/folder_conversion.ts";
import { DEMO_MODEL } from "../../../models/load.ts";
import { VAR } from "../../../models/var/family.ts";
import { DTYPES } from "../../../models/weights/dtype.ts";
import { WeightSet } from "../../../models/weights/weight_set.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { dequantizeBlocks, quantizeBlocks, SCALES } from "../../../models/weights/quantize.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import {
  describeWeights,
  openWeightFiles,
  planWeightFiles,
  weightFileNames,
} from "../../../models/weights/weight_files.ts";
import { FACTS, inFolder } from "../folder/small_folder.ts";

/** Tensors t0, t1, … of so many numbers each: 0.5 in the first place, then counting on. */
function tensors(...lengths: number[]): SafetensorsEntry[] {
  return lengths.map((length, i) => ({
    name: `t${i}`,
    dtype: "F32",
    shape: [length],
    bytes: () => new Uint8Array(values(i, length).buffer),
  }));
}

function values(tensor: number, length: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => 1000 * tensor + i + 0.5);
}

Deno.test("planWeightFiles: tensors are divided in order, and none is split", () => {
  const divided = (limit: number, ...lengths: number[]): [string, string[]][] => {
    return planWeightFiles("part", tensors(...lengths), limit).map(({ name, layout }) => {
      return [name, layout.places.map(({ entry }) => entry.name).sort()];
    });
  };
  assertEquals(divided(64, 4, 4, 4, 4), [["part.safetensors", ["t0", "t1", "t2", "t3"]]]);
  assertEquals(divided(63, 4, 4, 4, 4), [
    ["part-00001-of-00002.safetensors", ["t0", "t1", "t2"]],
    ["part-00002-of-00002.safetensors", ["t3"]],
  ]);
  // One that is too large by itself has a file of its own.
  assertEquals(divided(32, 4, 100, 4, 4, 1), [
    ["part-00001-of-00004.safetensors", ["t0"]],
    ["part-00002-of-00004.safetensors", ["t1"]],
    ["part-00003-of-00004.safetensors", ["t2", "t3"]],
    ["part-00004-of-00004.safetensors", ["t4"]],
  ]);
  assertEquals(divided(32), [["part.safetensors", []]]);
});

Deno.test("weightFileNames: a part's files are found in order, and must belong together", () => {
  const of = (...names: string[]): string[] => weightFileNames(names, "a.b", "folder");
  assertEquals(of("a.b.safetensors", "c.safetensors"), ["a.b.safetensors"]);
  assertEquals(of("axb.safetensors", "a.b-c.safetensors", "a.b.onnx"), ["a.b.safetensors"]);
  const three = [1, 2, 3].map((i) => `a.b-0000${i}-of-00003.safetensors`);
  assertEquals(of(...three.toReversed(), "model.json"), three);
  for (
    const wrong of [
      three.slice(1),
      [...three.slice(0, 2), "a.b-00004-of-00003.safetensors"],
      [...three, "a.b.safetensors"],
      [...three, "a.b-00001-of-00002.safetensors"],
      ["a.b-00000-of-00000.safetensors"],
    ]
  ) {
    const error = assertThrows(() => of(...wrong), ModelFileError, "do not belong together");
    assertEquals(error.found, wrong.toSorted().join(", "));
  }
});

/** A folder of twelve tensors in files of at most 100 bytes. */
async function writeDivided(writer: FolderWriter): Promise<ModelFolder> {
  await using _ = writer;
  const entries = tensors(5, 16, 1, 30, 2, 2, 7, 7, 16, 0, 3, 1);
  const places = await writer.writeTensors("part", entries);
  const folder = await writer.finish(FACTS);
  using weights = await folder.weights("part");
  for (const { name, shape } of entries) {
    const { file, offset, length, type, shape: placed } = places(name);
    // Whoever reads the folder finds the same places.
    assertEquals(weights.places(name), places(name));
    using source = await folder.open(file);
    const bytes = await source.read(offset, length);
    assertEquals([new Float32Array(bytes.buffer), type, placed], [
      values(Number(name.slice(1)), shape[0]!),
      "float32",
      shape,
    ]);
  }
  assertThrows(() => weights.places("none"), ModelFileError, "Cannot find the tensor");
  return folder;
}

Deno.test("createModelFolder: places of tensors in several files are where their bytes lie", () =>
  inFolder(async (path) => {
    const folder = await writeDivided(await createModelFolder(`${path}/model`, { weightFileBytes: 100 }));
    const files = Object.keys(folder.manifest.files);
    assertEquals(files.length, 4);
    assertEquals(files[3], "part-00004-of-00004.safetensors");
    assertEquals(Object.keys(folder.fingerprints), files);
    using virtual = await writeDivided(createVirtualFolder("virtual"));
    assertEquals(virtual.manifest.files, {});
  }));

Deno.test("createModelFolder: several files are read as one, as tensors and as blobs", () =>
  inFolder(async (path) => {
    const folder = await writeDivided(await createModelFolder(`${path}/model`, { weightFileBytes: 100 }));
    const weights = await folder.weights("part");
    {
      using _ = weights;
      assertEquals([...weights.tensors.keys()].sort(), tensors(...Array(12)).map(({ name }) => name).sort());
      assertEquals(await weights.readFloat32("t3"), values(3, 30));
      assertEquals((await weights.read("t10")).length, 12);
      const error = await assertRejects(() => weights.read("none"), ModelFileError);
      assertEquals([error.file, error.tensor], [`${path}/model/part`, "none"]);
      for (const { path: name, data } of weights.files) {
        assert(data instanceof Blob);
        assertEquals(await data.bytes(), await Deno.readFile(`${path}/model/${name}`));
      }
    }
    await assertRejects(() => weights.read("t3"), ModelFileError);
    // Every file is one that others can read.
    for (const name of Object.keys(folder.manifest.files)) {
      using checkpoint = await openCheckpoint(`${path}/model/${name}`);
      assert(checkpoint.tensors.size > 0);
    }
  }));

Deno.test("createModelFolder: a tensor that no graph can read has no place", () =>
  inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    const bytes = () => new Uint8Array(8);
    await writer.writeTensors("part", [{ name: "wide", dtype: "F64", shape: [1], bytes }], {});
    const folder = await writer.finish(FACTS);
    using weights = await folder.weights("part");
    for (const [name, found] of [["wide", "F64"], ["none", undefined]] as const) {
      const error = assertThrows(() => weights.places(name), ModelFileError);
      assertEquals([error.tensor, error.found], [name, found]);
    }
  }));

Deno.test("createModelFolder: each of several files is checked, and all are closed when one is wrong", () =>
  inFolder(async (path) => {
    const folder = await writeDivided(await createModelFolder(`${path}/model`, { weightFileBytes: 100 }));
    for (const name of Object.keys(folder.manifest.files)) {
      const file = `${path}/model/${name}`;
      const bytes = await Deno.readFile(file);
      await Deno.writeFile(file, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
      const changed = await assertRejects(() => folder.weights("part"), ModelFileError, "SHA-256 is wrong");
      assertEquals(changed.file, file);
      await Deno.writeFile(file, bytes.subarray(1));
      const short = await assertRejects(() => folder.weights("part"), ModelFileError, "size is wrong");
      assertEquals([short.expected, short.found], [`${bytes.length} bytes`, `${bytes.length - 1}`]);
      await Deno.remove(file);
      const missing = await assertRejects(() => folder.weights("part"), ModelFileError);
      assertEquals(
        missing.message,
        `Cannot read a file of the model folder: ${file} (found no such file)`,
      );
      await Deno.writeFile(file, bytes);
    }
    const none = await assertRejects(() => folder.weights("other"), ModelFileError);
    assertEquals(none.expected, '"other.safetensors"');
  }));

Deno.test("createModelFolder: two files with a tensor of one name are refused", () =>
  inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    for (const i of [1, 2]) await writer.writeTensors(`part-0000${i}-of-00002`, tensors(1));
    const folder = await writer.finish(FACTS);
    const error = await assertRejects(
      () => folder.weights("part"),
      ModelFileError,
      "two tensors of one name",
    );
    assertEquals(error.tensor, "t0");
  }));

Deno.test("describeWeights: weights in blocks of integers are read as float32, and listed as one", () =>
  inFolder(async (path) => {
    const options = { rows: 4, columns: 64, bits: 4 } as const;
    const matrix = Float32Array.from({ length: 256 }, (_, i) => Math.sin(i));
    const { packed, scales } = quantizeBlocks(matrix, options);
    const scaleBytes = new Uint8Array(scales.buffer);
    await using writer = await createModelFolder(`${path}/model`, { weightFileBytes: 1 });
    const places = await writer.writeTensors("part", [
      ...tensors(3),
      { name: "w", dtype: "U8", shape: [4, 2, 16], bytes: () => packed },
      { name: `w${SCALES}`, dtype: "F32", shape: [4, 2], bytes: () => scaleBytes },
    ]);
    assertEquals([places("w").type, places("w").shape], ["uint8", [4, 2, 16]]);
    const folder = await writer.finish(FACTS);
    using weights = await folder.weights("part");
    assertEquals(weights.files.length, 3);
    assertEquals(await weights.readFloat32("w"), dequantizeBlocks({ packed, scales }, options));
    assertEquals(await weights.read("w"), packed);
    for (const name of ["w", `w${SCALES}`, "t0"]) assertEquals(weights.places(name), places(name));
    assertEquals(describeWeights(weights), [
      { name: "t0", dtype: "F32", shape: [3], bytes: 12 },
      { name: "w", dtype: "Q4", shape: [4, 64], bytes: 128 + 32 },
    ]);
  }));

for (const dtype of DTYPES) {
  Deno.test(`describeWeights: with the places of ${dtype} weights, a graph can be built when a folder is loaded`, async () => {
    using demo = await openModelFolder(DEMO_MODEL);
    using folder = await openFolderAs(VAR, demo, { dtype });
    const config = VAR.requireConfig(folder.manifest.config, "model.json");
    using weights = await folder.weights("transformer");
    const tensors = describeWeights(weights).map(({ name, dtype, shape }) =>
      [name, { dtype, shape }] as const
    );
    const set = new WeightSet("transformer", new Map(tensors));
    const built = transformerGraph({ ...config, ...config.tokenizer }, set, { places: weights.places });
    assertEquals(built, await folder.read("transformer.onnx"));
  });
}

Deno.test("createModelFolder: a tensor of a type that graphs do not know has no place", () =>
  inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    const bytes = () => new Uint8Array(8);
    await writer.writeTensors("part", [{ name: "d", dtype: "F64", shape: [1], bytes }]);
    const folder = await writer.finish(FACTS);
    using weights = await folder.weights("part");
    const error = assertThrows(() => weights.places("d"), ModelFileError, "Cannot use the tensor in a graph");
    assertEquals([error.tensor, error.expected, error.found], ["d", "F32, F16, I64, U8, I8", "F64"]);
  }));

Deno.test("createModelFolder: a large file on a web server is read by range, a small one whole and once", async () => {
  const requests: string[] = [];
  await inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    // The large one is just beyond 64 MiB.
    const zeros = new Uint8Array(2 ** 26);
    await writer.writeTensors("large", [
      { name: "zeros", dtype: "U8", shape: [zeros.length], bytes: () => zeros },
      ...tensors(3),
    ]);
    await writer.writeTensors("small", tensors(3));
    await writer.finish(FACTS);
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      async (request) => {
        const name = new URL(request.url).pathname.slice(1);
        const bytes = await Deno.readFile(`${path}/model/${name}`).catch(() => undefined);
        if (bytes === undefined) return new Response(null, { status: 404 });
        const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
        requests.push(`${name} ${from === undefined ? "whole" : Number(to) - Number(from) + 1}`);
        if (from === undefined) return new Response(bytes);
        const part = bytes.subarray(Number(from), Number(to) + 1);
        const range = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
        return new Response(part, { status: 206, headers: { "content-range": range } });
      },
    );
    const folder = await openModelFolder(`http://127.0.0.1:${server.addr.port}`);
    requests.length = 0;
    using small = await folder.weights("small");
    assertEquals(await small.readFloat32("t0"), values(0, 3));
    assertEquals(requests, ["small.safetensors whole"]);
    requests.length = 0;
    using large = await folder.weights("large");
    assert(requests.every((request) => /^large\.safetensors \d+$/.test(request)), requests[0]);
    // The beginning when it is opened, all of it once to check it, in pieces of 4 MiB, and the beginning
    // again for the list of tensors.
    assertEquals(requests.length, 1 + 17 + 1);
    requests.length = 0;
    assertEquals(await large.readFloat32("t0"), values(0, 3));
    assert(requests.length <= 1, String(requests));
    await Deno.truncate(`${path}/model/large.safetensors`, 1000);
    await assertRejects(() => folder.weights("large"), ModelFileError, "size is wrong");
    await Deno.remove(`${path}/model/large.safetensors`);
    const error = await assertRejects(() => folder.weights("large"), ModelFileError);
    assertEquals(error.file, `http://127.0.0.1:${server.addr.port}/large.safetensors`);
  });
});

Deno.test("SourceBlob: a blob over a source is a blob", async () => {
  const bytes = Uint8Array.from({ length: 9_000_001 }, (_, i) => i * 7 + (i >> 8));
  using source = await openSource(bytes);
  const blob = new SourceBlob(source);
  const real = new Blob([bytes]);
  assert(blob instanceof Blob);
  assertEquals(blob.size, real.size);
  for (
    const [begin, end] of [
      [0, 10],
      [5, undefined],
      [-4, undefined],
      [-4, -2],
      [7, 3],
      [2, 99_000_000],
      [-99_000_000, 4],
      [99_000_000, undefined],
    ] as const
  ) {
    assertEquals(await blob.slice(begin, end).bytes(), await real.slice(begin, end).bytes());
  }
  const part = blob.slice(1000, 8_900_000).slice(10, -10);
  assertEquals(part.size, 8_898_980);
  assertEquals(await new Response(part.stream()).bytes(), bytes.subarray(1010, 8_899_990));
  assertEquals(new Uint8Array(await part.slice(0, 5).arrayBuffer()), bytes.subarray(1010, 1015));
  assertEquals(await blob.slice(3, 3).bytes(), new Uint8Array());
  assertEquals(await new Response(blob.slice(3, 3).stream()).bytes(), new Uint8Array());
  using text = await openSource(new TextEncoder().encode("ähm"));
  assertEquals(await new SourceBlob(text).text(), "ähm");
  // Pieces are read when they are asked for, not before.
  let reads = 0;
  const counted = new SourceBlob({
    file: "counted",
    size: 5e9,
    signal: undefined,
    read: (_, length) => Promise.resolve(new Uint8Array(length).fill(++reads)),
    [Symbol.dispose]: () => {},
  });
  const reader = counted.slice(4.5e9).stream().getReader();
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(reads, 0);
  const first = await reader.read();
  assertEquals([reads, first.value?.length], [1, 2 ** 22]);
  await reader.cancel();
});

Deno.test("openWeightFiles: rows of a matrix are read as they are asked for, and no others", async () => {
  const matrix = Float32Array.from({ length: 5 * 3 }, (_, i) => i + 0.5);
  const entries: SafetensorsEntry[] = [
    { name: "f32", dtype: "F32", shape: [5, 3], bytes: () => new Uint8Array(matrix.slice().buffer) },
    { name: "f16", dtype: "F16", shape: [5, 3], bytes: () => encodeFloat16(matrix) },
  ];
  const rows = (...indices: number[]): Float32Array => {
    return Float32Array.from(indices.flatMap((index) => [...matrix.subarray(3 * index, 3 * index + 3)]));
  };
  await inFolder(async (path) => {
    await using writer = await createModelFolder(`${path}/model`);
    await writer.writeTensors("part", entries);
    using _folder = await writer.finish(FACTS);
    const read: [number, number][] = [];
    const source = await openSource(`${path}/model/part.safetensors`);
    const { read: readAll } = source;
    source.read = (offset, length) => (read.push([offset, length]), readAll.call(source, offset, length));
    using weights = await openWeightFiles("part", [{ path: "part.safetensors", source }]);
    read.length = 0;
    assertEquals(await weights.readRows("f32", [4, 0, 4, 2]), rows(4, 0, 4, 2));
    assertEquals(read.map(([, length]) => length), [12, 12, 12]);
    assertEquals(await weights.readRows("f16", [1, 3]), rows(1, 3));
    assertEquals(await weights.readRows("f16", []), new Float32Array());
    for (const index of [5, -1, 0.5]) {
      await assertRejects(
        () => weights.readRows("f32", [0, index]),
        RangeError,
        `a row must be an integer from 0 to 4: current value is ${index}`,
      );
    }
    await assertRejects(() => weights.readRows("f64", [0]), ModelFileError, "f64");
  });
});
