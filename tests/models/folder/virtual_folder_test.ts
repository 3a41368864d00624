/**
 * A folder that is stored nowhere has the same bytes as one that is written, whichever of them are asked for.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { SafetensorsEntry } from "../../../models/checkpoint/mod.ts";
import { layoutSafetensors, writeSafetensors } from "../../../models/checkpoint/safetensors.ts";
import { VirtualSource } from "../../../models/checkpoint/virtual_source.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { createVirtualFolder } from "../../../models/folder/virtual_folder.ts";
import { writePyTorch } from "../../../bench/pytorch_file.ts";
import { fileURLToPath } from "node:url";
import { FACTS } from "./small_folder.ts";

/** Tensors of bytes, and which of them have been asked for. */
function counted(...lengths: number[]): { entries: SafetensorsEntry[]; asked: string[] } {
  const asked: string[] = [];
  const entries = lengths.map((length, i): SafetensorsEntry => ({
    name: `t${i}`,
    dtype: "U8",
    shape: [length],
    bytes: () => {
      asked.push(`t${i}`);
      return Promise.resolve(Uint8Array.from({ length }, (_, j) => 31 * i + j));
    },
  }));
  return { entries, asked };
}

/** The file as it would be written. */
async function written(entries: SafetensorsEntry[]): Promise<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [bytes] = await Promise.all([new Response(readable).bytes(), writeSafetensors(writable, entries)]);
  return bytes;
}

Deno.test("VirtualSource: any range of a virtual file is that of the written one", async () => {
  const { entries } = counted(64, 0, 7, 128, 1, 0, 33);
  const whole = await written(entries);
  using source = new VirtualSource("virtual", layoutSafetensors(entries));
  assertEquals(source.size, whole.length);
  for (let offset = 0; offset <= whole.length; offset += offset < whole.length - 240 ? 37 : 1) {
    for (const length of [0, 1, 7, 64, 65, 200, whole.length - offset]) {
      if (offset + length > whole.length) continue;
      assertEquals(await source.read(offset, length), whole.slice(offset, offset + length));
    }
  }
  await assertRejects(() => source.read(0, whole.length + 1), ModelFileError, "past the end");
  // At the same time, too.
  const reads = Array.from({ length: 40 }, (_, i) => i * 7 % whole.length);
  const found = await Promise.all(reads.map((offset) => source.read(offset, whole.length - offset)));
  assertEquals(found, reads.map((offset) => whole.slice(offset)));
});

Deno.test("layoutSafetensors: a tensor that is read in pieces is produced once, and not before", async () => {
  const { entries, asked } = counted(256, 256, 256);
  const layout = layoutSafetensors(entries);
  using source = new VirtualSource("virtual", layout);
  const { header, places } = layout;
  await source.read(0, header.length);
  assertEquals(asked, []);
  for (const { offset } of places) {
    for (let i = 0; i < 256; i += 64) await source.read(offset + i, 64);
  }
  assertEquals(asked, ["t0", "t1", "t2"]);
  // It was let go at its end.
  await source.read(places[2]!.offset, 10);
  assertEquals(asked.splice(0), ["t0", "t1", "t2", "t2"]);
  // Two who read the same piece at the same time share it.
  await Promise.all([source.read(places[1]!.offset, 10), source.read(places[1]!.offset, 20)]);
  assertEquals(asked, ["t1"]);
});

Deno.test("layoutSafetensors: what was read belongs to the reader", async () => {
  const { entries } = counted(64);
  const layout = layoutSafetensors(entries);
  using source = new VirtualSource("virtual", layout);
  const { offset } = layout.places[0]!;
  (await source.read(offset, 60)).fill(9);
  assertEquals((await source.read(offset, 60))[5], 5);
  (await source.read(0, 8)).fill(9);
  assertEquals((await source.read(0, 8))[7], 0);
});

Deno.test("layoutSafetensors: a tensor that cannot be produced is told, and asked for again the next time", async () => {
  let fails = true;
  const bytes = (): Promise<Uint8Array> => {
    return fails
      ? Promise.reject(new ModelFileError("Cannot read it", { file: "f" }))
      : Promise.resolve(new Uint8Array(4));
  };
  const layout = layoutSafetensors([
    { name: "a", dtype: "F32", shape: [1], bytes },
    { name: "b", dtype: "F32", shape: [1], bytes: () => new Uint8Array(5) },
  ]);
  using source = new VirtualSource("virtual", layout);
  const [a, b] = layout.places.map(({ offset }) => offset) as [number, number];
  await assertRejects(() => source.read(a, 4), ModelFileError, "Cannot read it");
  fails = false;
  assertEquals(await source.read(a, 4), new Uint8Array(4));
  await assertRejects(() => source.read(b, 4), ModelFileError, "b as F32 [1] needs 4 bytes");
});

Deno.test("createVirtualFolder: a virtual folder lends its files and closes what it owns at the end", async () => {
  let open = 1;
  const { entries } = counted(64, 3);
  await using writer = createVirtualFolder("place", {
    fingerprints: () => ({ part: "12" }),
  });
  writer.own({ [Symbol.dispose]: () => void open-- });
  await writer.write("graph.onnx", new Uint8Array([1, 2]));
  await writer.writeTensors("part", entries);
  {
    using folder = await writer.finish(FACTS);
    assertEquals(Object.keys(folder.manifest.files), ["graph.onnx"]);
    assertEquals(folder.fingerprints, { part: "12" });
    assertEquals(folder.location, "place");
    assertEquals(await folder.read("graph.onnx"), new Uint8Array([1, 2]));
    const whole = await written(entries);
    assertEquals(await folder.read("part.safetensors"), whole);
    for (let i = 0; i < 2; i++) {
      using weights = await folder.weights("part");
      assertEquals([...weights.tensors.keys()], ["t0", "t1"]);
      const [file] = weights.files;
      assertEquals([file!.path, await file!.data.bytes()], ["part.safetensors", whole]);
    }
    const error = await assertRejects(() => folder.weights("other"), ModelFileError);
    assertEquals([error.expected, error.found], ['"other.safetensors"', '"graph.onnx", "part.safetensors"']);
    await writer[Symbol.asyncDispose]();
    assertEquals(open, 1);
  }
  assertEquals(open, 0);
});

Deno.test("createVirtualFolder: a virtual folder that is not finished closes what it owns", async () => {
  let open = 2;
  {
    await using writer = createVirtualFolder("place");
    for (let i = 0; i < 2; i++) writer.own({ [Symbol.dispose]: () => void open-- });
  }
  assertEquals(open, 0);
  const signal = AbortSignal.abort(new Error("enough"));
  await using writer = createVirtualFolder("place", { signal });
  await assertRejects(() => writer.finish(FACTS), Error, "enough");
});

Deno.test("createVirtualFolder: an abort ends reading", async () => {
  const controller = new AbortController();
  await using writer = createVirtualFolder("place", { signal: controller.signal });
  const { entries } = counted(64);
  await writer.writeTensors("part", entries);
  using folder = await writer.finish(FACTS);
  using weights = await folder.weights("part");
  assert((await weights.read("t0")).length === 64);
  controller.abort(new Error("enough"));
  await assertRejects(() => weights.read("t0"), Error, "enough");
});

Deno.test({
  name: "createVirtualFolder: weights that are stored somewhere pass through one piece of memory",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const [count, length] = [6, 2 ** 24];
    const path = await Deno.makeTempFile({ suffix: ".pth" });
    try {
      const zeros = new Uint8Array(length);
      const tensors = Array.from({ length: count }, (_, i) => ({
        ...{ name: `t${i}`, dtype: "F32" as const, shape: [length / 4], bytes: () => [zeros] },
      }));
      using file = await Deno.open(path, { write: true });
      writePyTorch(file, tensors);
      const script = fileURLToPath(new URL("streamed_folder.ts", import.meta.url));
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", script, path],
        stderr: "inherit",
      }).output();
      assert(success);
      const { grown, bytes } = JSON.parse(new TextDecoder().decode(stdout));
      assertEquals(bytes, count * length);
      // A buffer of 4 MiB and as much for V8's own heap: less than one of the six tensors.
      assert(grown < length, `${grown} bytes`);
    } finally {
      await Deno.remove(path);
    }
  },
});
