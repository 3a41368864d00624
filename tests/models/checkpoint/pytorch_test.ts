import { assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { openPyTorch } from "../../../models/checkpoint/pytorch.ts";
import type { StoredBytes } from "../../../models/checkpoint/tensor.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { expectedFiles, fixture } from "./fixtures.ts";
import { concat, CountingSource, pickle, pth } from "./forge.ts";

for (const [file, { tensors, metadata }] of Object.entries(expectedFiles)) {
  Deno.test(`${file} holds what torch put in`, async () => {
    using checkpoint = await openCheckpoint(fixture(file));
    assertEquals(checkpoint.format, file.endsWith(".pth") ? "pytorch" : "safetensors");
    assertEquals(checkpoint.metadata, metadata as typeof checkpoint.metadata);
    assertEquals([...checkpoint.tensors.keys()].sort(), Object.keys(tensors).sort());
    for (const [name, { dtype, shape, bytes, float32 }] of Object.entries(tensors)) {
      assertEquals(checkpoint.tensors.get(name), { name, dtype, shape } as unknown, name);
      assertEquals((await checkpoint.read(name)).toHex(), bytes, name);
      if (float32 === null) {
        const text = `${name} (expected real numbers of 8 bits or more, found ${dtype})`;
        await assertRejects(() => checkpoint.readFloat32(name), ModelFileError, text);
        continue;
      }
      const values = await checkpoint.readFloat32(name);
      assertEquals(
        new Uint8Array(values.buffer, values.byteOffset, values.byteLength).toHex(),
        float32,
        name,
      );
    }
  });
}

for (const file of Object.keys(expectedFiles)) {
  Deno.test(`openCheckpoint: stored bytes of ${file} are those of its tensors, in pieces and on the disk`, async () => {
    using checkpoint = await openCheckpoint(fixture(file));
    const path = await Deno.realPath(fixture(file));
    const whole = await Deno.readFile(path);
    for (const name of checkpoint.tensors.keys()) {
      const stored = checkpoint.stored(name);
      if (stored === undefined) continue;
      const wanted = await checkpoint.read(name);
      const buffer = new Uint8Array(7);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < wanted.length; at += 7) {
        const piece = await stored.read(at, Math.min(7, wanted.length - at), buffer);
        assertEquals(piece.buffer, buffer.buffer, name);
        pieces.push(piece.slice());
      }
      assertEquals(concat(...pieces), wanted, name);
      const { offset, ...place } = (await stored.onDisk())!;
      assertEquals(place, { path });
      assertEquals(whole.subarray(offset, offset + wanted.length), wanted, name);
    }
  });
}

Deno.test("openCheckpoint: tensors keep the order of the file", async () => {
  using checkpoint = await openCheckpoint(fixture("trainer_2.pth"));
  assertEquals([...checkpoint.tensors.keys()].slice(0, 3), [
    "trainer.var_wo_ddp.0.weight",
    "trainer.var_wo_ddp.0.bias",
    "trainer.var_wo_ddp.1.weight",
  ]);
});

Deno.test("openCheckpoint: a key named __proto__ reaches no prototype", async () => {
  using checkpoint = await openCheckpoint(fixture("trainer_2.pth"));
  assertEquals(checkpoint.metadata["__proto__.polluted"], true);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
  using bare = await openCheckpoint(pth(pickle.whole(pickle.dict(pickle.text("__proto__"), "\x88"))));
  assertEquals(Object.entries(bare.metadata), [["__proto__", true]]);
  assertEquals(Object.getPrototypeOf(bare.metadata), Object.prototype);
});

const refused: Readonly<Record<string, string>> = {
  "refused_module.pth": '"torch.nn.modules.linear.Linear"',
};

for (const [file, text] of Object.entries(refused)) {
  Deno.test(`${file} is refused, and closed`, async () => {
    await assertRejects(() => openCheckpoint(fixture(file)), ModelFileError, text);
  });
}

for (const file of ["unreadable.pth", "stream_unreadable.pth"]) {
  Deno.test(`openCheckpoint: tensors of ${file} that are no dense ones are listed and refused when read`, async () => {
    using checkpoint = await openCheckpoint(fixture(file));
    const listed = Object.fromEntries(
      Array.from(checkpoint.tensors.values(), ({ name, dtype, shape }) => [name, `${dtype} [${shape}]`]),
    );
    assertEquals(listed, {
      coo: "F32 [2,3]",
      csr: "F32 [2,3]",
      quantised: "I8 [2]",
      channels: "U8 [2,2]",
      meta: "F16 [3,4]",
      conjugated: "C64 [1]",
      negated: "F32 [1]",
      dense: "F32 [2]",
    });
    assertEquals(await checkpoint.readFloat32("dense"), new Float32Array([1.5, -2]));
    const kinds = {
      coo: "a sparse one",
      csr: "a sparse one",
      quantised: "a quantised one",
      channels: "a quantised one",
      meta: "one without values",
      conjugated: "one still to be conjugated or negated",
      negated: "one still to be conjugated or negated",
    };
    for (const [name, kind] of Object.entries(kinds)) {
      const text = `${name} (expected a dense one, as it is stored, found ${kind})`;
      await assertRejects(() => checkpoint.read(name), ModelFileError, text);
    }
  });
}

Deno.test("openCheckpoint: bytes behind the archive are taken as torch.load takes them", async () => {
  for (const name of ["views.pth", "zip64.pth"]) {
    const bytes = await Deno.readFile(fixture(name));
    for (const rest of [new Uint8Array(1), new Uint8Array(512), new Uint8Array(60000).fill(0x78)]) {
      using checkpoint = await openCheckpoint(concat(bytes, rest));
      assertEquals((await checkpoint.read("turned")).toHex(), expectedFiles[name]!.tensors["turned"]!.bytes);
    }
  }
});

Deno.test("openCheckpoint: a tensor that is not there is named", async () => {
  using checkpoint = await openCheckpoint(fixture("single.pth"));
  const error = await assertRejects(() => checkpoint.read("tensors"), ModelFileError);
  assertEquals(error.tensor, "tensors");
});

Deno.test("openCheckpoint: each read gives a buffer of its own", async () => {
  for (const file of ["views.pth", "deflated.pth", "stream_views.pth"]) {
    using checkpoint = await openCheckpoint(await Deno.readFile(fixture(file)));
    const first = await checkpoint.readFloat32("grid");
    first.fill(-1);
    assertEquals((await checkpoint.readFloat32("grid"))[5], 5, file);
  }
});

Deno.test("openCheckpoint: tensors can be read at once", async () => {
  for (const file of ["views.pth", "deflated.pth", "stream_views.pth"]) {
    using checkpoint = await openCheckpoint(fixture(file));
    const names = [...checkpoint.tensors.keys()];
    const all = await Promise.all(names.map((name) => checkpoint.read(name)));
    assertEquals(
      all.map((bytes) => bytes.toHex()),
      names.map((name) => expectedFiles[file]!.tensors[name]!.bytes),
    );
  }
});

Deno.test("openPyTorch: of a large archive only the wanted bytes are read", async () => {
  const count = 1 << 16;
  const storages: Record<string, Uint8Array> = {};
  const items: string[] = [];
  for (let key = 0; key < 16; key++) {
    storages[key] = new Uint8Array(new Float32Array(count).fill(key).buffer);
    const storage = pickle.storage(`${key}`, "FloatStorage", count);
    items.push(pickle.text(`whole.${key}`), pickle.tensor(storage, 0, [count], [1]));
    items.push(pickle.text(`part.${key}`), pickle.tensor(storage, 1000, [10, 3], [16, 2]));
  }
  const source = new CountingSource(pth(pickle.whole(pickle.dict(...items)), storages));
  using checkpoint = await openPyTorch(source);
  // zip.js looks for the list of members in the last 64 KiB and a little more.
  assertEquals(source.bytesRead < 100_000, true, `${source.bytesRead} bytes to open`);

  const localHeader = 30;
  source.bytesRead = 0;
  assertEquals((await checkpoint.readFloat32("whole.7"))[count - 1], 7);
  assertEquals(source.bytesRead, localHeader + 4 * count);

  source.bytesRead = 0;
  assertEquals(await checkpoint.readFloat32("part.3"), new Float32Array(30).fill(3));
  assertEquals(source.bytesRead, localHeader + 4 * (9 * 16 + 2 * 2 + 1));
});

/** A file of one tensor `t` of 100 000 bytes, of which one byte may be wrong. */
function large(wrong?: number): { file: Uint8Array<ArrayBuffer>; data: Uint8Array; localHeader: number } {
  const data = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7 + (i >> 8));
  const storage = pickle.storage("0", "ByteStorage", data.length);
  const items = [
    ...[pickle.text("t"), pickle.tensor(storage, 0, [data.length], [1])],
    ...[pickle.text("part"), pickle.tensor(storage, 10, [20], [1])],
    ...[pickle.text("turned"), pickle.tensor(storage, 0, [3, 2], [1, 3])],
  ];
  const file = pth(pickle.whole(pickle.dict(...items)), { 0: data });
  if (wrong !== undefined) file[indexOf(file, data.subarray(0, 32)) + wrong]! ^= 1;
  return { file, data, localHeader: 30 };
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  for (let at = 0;; at += 64) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
}

Deno.test("openPyTorch: stored bytes are read once in order, and once more where they are not", async () => {
  const { file, data, localHeader } = large();
  const source = new CountingSource(file);
  using checkpoint = await openPyTorch(source);
  const stored = checkpoint.stored("t")!;
  const bytesRead = async (...ranges: [begin: number, length: number][]): Promise<number> => {
    source.bytesRead = 0;
    for (const [begin, length] of ranges) {
      assertEquals(await stored.read(begin, length), data.slice(begin, begin + length));
    }
    return source.bytesRead;
  };
  // Whole, and beginning again.
  const half = data.length / 2;
  assertEquals(await bytesRead([0, half], [0, half], [half, half]), localHeader + 3 * half);
  // What is known to be right is not read again for a part of it.
  assertEquals(await bytesRead([500, 10], [20, 10]), 20);
  using again = await openPyTorch(source);
  source.bytesRead = 0;
  await again.stored("t")!.read(500, 10);
  await again.stored("t")!.read(20, 10);
  assertEquals(source.bytesRead, localHeader + data.length + 20);
  // A part of a storage has no checksum, and what is turned has to be made.
  using third = await openPyTorch(source);
  source.bytesRead = 0;
  assertEquals(await third.stored("part")!.read(0, 20), data.slice(10, 30));
  assertEquals([source.bytesRead, third.stored("turned")], [localHeader + 20, undefined]);
});

Deno.test("openPyTorch: stored bytes on the disk are checked once, and mapped where they are right", async () => {
  const { file, data, localHeader } = large();
  const source = new CountingSource(file);
  source.path = "/somewhere";
  using checkpoint = await openPyTorch(source);
  source.bytesRead = 0;
  for (let i = 0; i < 3; i++) {
    const { path, offset } = (await checkpoint.stored("t")!.onDisk())!;
    assertEquals([path, file.slice(offset, offset + data.length)], ["/somewhere", data]);
  }
  assertEquals(source.bytesRead, localHeader + data.length);
  // Where there is nothing to map, there is nothing to check.
  source.path = undefined;
  using away = await openPyTorch(source);
  source.bytesRead = 0;
  assertEquals([await away.stored("t")!.onDisk(), source.bytesRead], [undefined, localHeader]);
});

Deno.test("openPyTorch: a byte that has changed is found out in whatever way it is read", async () => {
  for (const wrong of [0, 60_000, 99_999]) {
    const { file } = large(wrong);
    const open = async (): Promise<StoredBytes> => {
      const source = new CountingSource(file);
      source.path = "/somewhere";
      return (await openPyTorch(source)).stored("t")!;
    };
    const changed = "as its bytes have changed: counted, t (expected checksum";
    const inOrder = await open();
    await inOrder.read(0, 50_000);
    await assertRejects(() => inOrder.read(50_000, 50_000), ModelFileError, changed);
    const apart = await open();
    await assertRejects(() => apart.read(10, 10), ModelFileError, changed);
    const crossing = await open();
    await crossing.read(0, 10);
    await assertRejects(() => crossing.read(20, 10), ModelFileError, changed);
    const mapped = await open();
    await assertRejects(() => mapped.onDisk(), ModelFileError, changed);
  }
});
