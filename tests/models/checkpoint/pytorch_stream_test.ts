import { assert, assertEquals, assertRejects } from "@std/assert";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { openPyTorchStream } from "../../../models/checkpoint/pytorch_stream.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { fixture } from "./fixtures.ts";
import { characters, concat, CountingSource, latin1, pickle, stream } from "./forge.ts";

const { dict, global, int, list, storage, tensor, text, tuple } = pickle;

/** The bytes of two floats. */
const data = new Uint8Array(new Float32Array([1.5, -2]).buffer);
const stored = { key: "0", data, count: 2 };
const two = tensor(storage("0", "FloatStorage", 2), 0, [2], [1]);

/** A persistent id with its sixth item. */
function partOf(key: string, count: number, part: string): string {
  const type = global("torch", "FloatStorage");
  return `${tuple(text("storage"), type, text(key), text("cpu"), int(count), part)}Q`;
}

Deno.test("openPyTorchStream: of a large file only the wanted bytes are read", async () => {
  const count = 1 << 16;
  const items: string[] = [];
  const storages = Array.from({ length: 16 }, (_, key) => {
    const view = storage(`${key}`, "FloatStorage", count);
    items.push(text(`whole.${key}`), tensor(view, 0, [count], [1]));
    items.push(text(`part.${key}`), tensor(view, 1000, [10, 3], [16, 2]));
    return { key: `${key}`, count, data: new Uint8Array(new Float32Array(count).fill(key).buffer) };
  });
  const source = new CountingSource(stream(dict(...items), storages));
  using checkpoint = await openPyTorchStream(source);
  assertEquals(source.bytesRead, 1 << 16);

  const countBytes = 8;
  source.bytesRead = 0;
  assertEquals((await checkpoint.readFloat32("whole.7"))[count - 1], 7);
  assertEquals(source.bytesRead, countBytes + 4 * count);

  source.bytesRead = 0;
  assertEquals(await checkpoint.readFloat32("part.7"), new Float32Array(30).fill(7));
  assertEquals(source.bytesRead, 4 * (9 * 16 + 2 * 2 + 1));
});

Deno.test("openPyTorchStream: pickles longer than the first bytes are read whole", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `a.name.that.is.rather.long.${i}`);
  const file = stream(dict(...names.flatMap((name) => [text(name), two])), [stored]);
  assert(file.length > 3 << 16);
  using checkpoint = await openCheckpoint(file);
  assertEquals([...checkpoint.tensors.keys()], names);
  assertEquals(await checkpoint.readFloat32(names[2999]!), new Float32Array([1.5, -2]));
});

Deno.test("openPyTorchStream: storages lie in the order of the keys, not of the value", async () => {
  const view = (key: string): string => tensor(storage(key, "FloatStorage", 2), 0, [2], [1]);
  const other = { key: "1", data: new Uint8Array(new Float32Array([8, 9]).buffer), count: 2 };
  using checkpoint = await openCheckpoint(
    stream(dict(text("b"), view("1"), text("a"), view("0")), [stored, other]),
  );
  assertEquals(await checkpoint.readFloat32("a"), new Float32Array([1.5, -2]));
  assertEquals(await checkpoint.readFloat32("b"), new Float32Array([8, 9]));
});

Deno.test("openPyTorchStream: a part of a storage is read where it lies", async () => {
  const whole = { key: "0", data: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer), count: 6 };
  const part = tensor(partOf("0", 6, tuple(text("v"), int(2), int(3))), 1, [2], [1]);
  const none = tensor(partOf("0", 6, "N"), 1, [2], [1]);
  using checkpoint = await openCheckpoint(stream(list(part, none), [whole]));
  assertEquals(await checkpoint.readFloat32("0"), new Float32Array([3, 4]));
  assertEquals(await checkpoint.readFloat32("1"), new Float32Array([1, 2]));
});

Deno.test("openPyTorchStream: what Python 2 wrote is read", async () => {
  // Text and bytes are one type, an OrderedDict is made of its items, GPU storages have their own module.
  const string = (value: string): string => `U${characters(value.length, 1)}${value}`;
  const type = global("torch.cuda", "FloatStorage");
  const id = tuple(string("storage"), type, string("0"), string("cuda:0"), "K\x02", "N");
  const view = `${global("torch._utils", "_rebuild_tensor")}${
    tuple(`${id}Q`, "K\x00", tuple("K\x02"), tuple("K\x01"))
  }R`;
  const state = `${global("collections", "OrderedDict")}${tuple(list(list(string("w"), view)))}R`;
  const file = stream(dict(string("state"), state, string("note"), string("\xff\x00")), [stored]);
  using checkpoint = await openCheckpoint(file);
  assertEquals(await checkpoint.readFloat32("state.w"), new Float32Array([1.5, -2]));
  assertEquals(checkpoint.metadata, {});
});

Deno.test("openPyTorchStream: bytes behind the storages are left alone, as by torch.load", async () => {
  const file = concat(await Deno.readFile(fixture("stream_single.pth")), new Uint8Array(100));
  using checkpoint = await openCheckpoint(file);
  assertEquals(await checkpoint.readFloat32("tensor"), new Float32Array([0, 1, 2]));
});

const hostile: readonly [what: string, file: Uint8Array, error: string][] = [
  ["a command as the value", stream(`${global("posix", "system")}${tuple(text("id"))}R`), '"posix.system"'],
  ["a command as the version", stream("}", [], { version: global("os", "getcwd") }), '"os.getcwd"'],
  ["a command as the keys", stream("}", [], { keys: global("builtins", "eval") }), '"builtins.eval"'],
  [
    "storages among the keys",
    stream("}", [], { keys: `${text("0")}Q` }),
    "no persistent ids",
  ],
  [
    "another version",
    stream("}", [], { version: int(1002) }),
    "expected version 1001 of the format, found 1002",
  ],
  ["the magic number alone", stream("}").slice(0, 15), "found the end after 15 bytes"],
  [
    "keys that are a dict",
    stream("}", [], { keys: "}" }),
    "expected a list of the keys of storages, found a dict",
  ],
  ["the key of no storage", stream("}", [stored]), 'expected the key of a storage, found the text "0"'],
  [
    "a key that is a number",
    stream("}", [], { keys: list(int(0)) }),
    "expected the key of a storage, found 0",
  ],
  ["one key twice", stream(list(two), [stored, stored]), 'expected every key once, found "0" again'],
  ["a storage without a key", stream(list(two)), "expected the keys of 1 storages, found 0"],
  [
    "two storages of one key",
    stream(list(two, tensor(storage("0", "FloatStorage", 3), 0, [1], [1])), [stored]),
    'expected 8 bytes of F32 in storage "0", found 12 of F32',
  ],
  [
    "a storage of two types",
    stream(list(two, tensor(storage("0", "IntStorage", 2), 0, [1], [1])), [stored]),
    "found 8 of I32",
  ],
  [
    "a storage of 2^52 elements",
    stream(list(tensor(storage("0", "FloatStorage", 2 ** 52), 0, [1], [1])), [stored]),
    "Cannot read the file as it is cut off",
  ],
  [
    "a tensor past its storage",
    stream(list(tensor(storage("0", "FloatStorage", 2), 1, [2], [1])), [stored]),
    "0 (expected at most 2 elements, found 3)",
  ],
  [
    "a part past its storage",
    stream(list(tensor(partOf("0", 2, tuple(text("v"), int(1), int(2))), 0, [1], [1])), [stored]),
    "expected a part of a storage of 8 bytes, found 8 bytes at 4",
  ],
  [
    "a part that is a number",
    stream(list(tensor(partOf("0", 2, int(1)), 0, [1], [1])), [stored]),
    "expected a part of a storage, found 1",
  ],
  ["storages cut off", stream(list(two), [{ ...stored, data: data.slice(1) }]), "as it is cut off"],
  [
    "a text of 65 MiB",
    concat(
      stream("}").slice(0, 15),
      latin1(`${pickle.protocol}X${characters(65 << 20, 4)}`),
      new Uint8Array(66 << 20),
    ),
    "expected pickles of at most 67108864 bytes, found more",
  ],
];

for (const [what, file, text] of hostile) {
  Deno.test(`openCheckpoint: a stream with ${what} is refused`, async () => {
    const error = await assertRejects(() => openCheckpoint(file), ModelFileError, text);
    assertEquals(error.message.length < 500, true, error.message);
  });
}

Deno.test("openPyTorchStream: a storage with another number of elements is refused when it is read", async () => {
  const file = stream(list(two), [{ ...stored, count: 3 }]);
  using checkpoint = await openCheckpoint(file);
  const text = 'storage "0" (expected 2 elements, found 3)';
  await assertRejects(() => checkpoint.read("0"), ModelFileError, text);
});
