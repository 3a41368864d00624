import { assertEquals, assertRejects } from "@std/assert";
import {
  byteLength,
  type DType,
  openCheckpoint,
  type SafetensorsEntry,
  writeSafetensors,
} from "../../../models/checkpoint/mod.ts";
import { openSafetensors } from "../../../models/checkpoint/safetensors.ts";
import { openSource } from "../../../models/checkpoint/source.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { expectedFiles, fixture } from "./fixtures.ts";
import { latin1, safetensors } from "./forge.ts";

function entry(name: string, dtype: DType, shape: number[], fill = 0): SafetensorsEntry {
  return { name, dtype, shape, bytes: () => new Uint8Array(byteLength({ dtype, shape })).fill(fill) };
}

async function write(entries: SafetensorsEntry[], metadata?: Record<string, string>): Promise<Uint8Array> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const file = new Response(readable).bytes();
  await writeSafetensors(writable, entries, metadata === undefined ? {} : { metadata });
  return await file;
}

/** The header as any other reader sees it. */
function parse(
  file: Uint8Array,
): { start: number; header: Record<string, { data_offsets: [number, number] }> } {
  const start = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return { start, header: JSON.parse(new TextDecoder().decode(file.subarray(8, start))) };
}

const four = (dtype: string, offsets = "[0,4]", shape = "[1]"): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const bytes = new Uint8Array(4);

const hostile: readonly [what: string, file: Uint8Array, error: string][] = [
  ["a header longer than the file", safetensors("{}").fill(9, 0, 1), "expected at most 2 bytes, found 9"],
  ["a header of 2^63 bytes", safetensors("{}").fill(0x80, 7, 8), "found 9223372036854775810"],
  ["a header that is no JSON", safetensors('{"a":'), "expected JSON"],
  ["a header that is no UTF-8", safetensors("{").fill(0xff, 8), "unknown format"],
  ["text that is no UTF-8", safetensors('{"abc":1}').fill(0xff, 10, 12), "expected JSON"],
  ["a tensor that is a number", safetensors('{"a":1}'), "a (expected an object, found 1)"],
  ["a tensor without a type", safetensors('{"a":{}}'), "a (expected a known dtype, found undefined)"],
  ["an unknown type", safetensors(`{"a":${four("F9")}}`, bytes), 'found "F9"'],
  ["a type of PyTorch alone", safetensors(`{"a":${four("C32")}}`, bytes), 'found "C32"'],
  ["half a byte", safetensors(`{"a":${four("F4", "[0,4]", "[7]")}}`, bytes), "expected 3.5 bytes for F4 [7]"],
  ["a type of an object's own", safetensors(`{"a":${four("constructor")}}`, bytes), 'found "constructor"'],
  ["a negative size", safetensors(`{"a":${four("F32", "[0,4]", "[-1]")}}`, bytes), "found [-1]"],
  ["a size that is text", safetensors(`{"a":${four("F32", "[0,4]", '["1"]')}}`, bytes), 'found ["1"]'],
  ["three offsets", safetensors(`{"a":${four("F32", "[0,4,4]")}}`, bytes), "expected two data_offsets"],
  ["offsets in reverse", safetensors(`{"a":${four("F32", "[4,0]")}}`, bytes), "found -4"],
  [
    "a shape of other bytes",
    safetensors(`{"a":${four("F16")}}`, bytes),
    "expected 2 bytes for F16 [1], found 4",
  ],
  [
    "a shape of 2^1000 bytes",
    safetensors(`{"a":${four("F32", "[0,4]", `[${Array(20).fill(2 ** 50)}]`)}}`, bytes),
    "found 4",
  ],
  [
    "a gap",
    safetensors(`{"a":${four("F32", "[1,5]")}}`, new Uint8Array(5)),
    "a (expected offset 0, found 1)",
  ],
  [
    "an overlap",
    safetensors(`{"a":${four("F32")},"b":${four("F32", "[2,6]")}}`, new Uint8Array(6)),
    "b (expected offset 4, found 2)",
  ],
  ["data missing", safetensors(`{"a":${four("F32")}}`), "expected 4 bytes of data, found 0"],
  ["more data", safetensors(`{"a":${four("F32")}}`, new Uint8Array(5)), "expected 4 bytes of data, found 5"],
  ["one name twice", safetensors(`{"a":${four("F32")},"\\u0061":${four("F32")}}`, bytes), "a key twice"],
  ["one type twice", safetensors('{"a":{"dtype":"F32","dtype":"F16"}}'), "a key twice"],
  ["metadata of numbers", safetensors('{"__metadata__":{"epoch":1}}'), "expected an object of strings"],
  ["metadata in a list", safetensors('{"__metadata__":["x"]}'), "expected an object of strings"],
];

for (const [what, file, text] of hostile) {
  Deno.test(`openCheckpoint: a safetensors file with ${what} is refused`, async () => {
    await assertRejects(() => openCheckpoint(file), ModelFileError, text);
  });
}

Deno.test("openCheckpoint: a header may have any length, also one that begins like another format", async () => {
  for (const length of [0x80, 0x280, 0x8b1f, 0x685a42]) {
    const header = JSON.stringify({ a: { dtype: "U8", shape: [1], data_offsets: [0, 1] } });
    const file = new Uint8Array(8 + length + 1);
    new DataView(file.buffer).setUint32(0, length, true);
    file.set(new TextEncoder().encode(header.padEnd(length)), 8);
    using checkpoint = await openCheckpoint(file);
    assertEquals(checkpoint.tensors.get("a")?.shape, [1]);
  }
});

Deno.test("openCheckpoint: keys that only look equal are accepted, as are long values", async () => {
  const long = 'x\\"{}[]:'.repeat(1 << 19);
  using checkpoint = await openCheckpoint(
    safetensors(
      `{"__metadata__":{"a":"a","b":"a\\":","c":"${long}"},"a":${four("I32")}, "__proto__": ${
        four("U8", "[4,5]")
      } }`,
      new Uint8Array(5),
    ),
  );
  assertEquals([...checkpoint.tensors.keys()], ["a", "__proto__"]);
  assertEquals(checkpoint.metadata["c"], JSON.parse(`"${long}"`));
});

Deno.test("openCheckpoint: floats of 6 and 4 bits are listed, read as they are, and not converted", async () => {
  const six = (dtype: string, begin: number): string =>
    `{"dtype":"${dtype}","shape":[2,4],"data_offsets":[${begin},${begin + 6}]}`;
  const data = Uint8Array.from({ length: 14 }, (_, i) => 16 * i + 1);
  using checkpoint = await openCheckpoint(safetensors(
    `{"a":${six("F6_E2M3", 0)},"b":${six("F6_E3M2", 6)},"c":${four("F4", "[12,14]", "[4]")}}`,
    data,
  ));
  assertEquals([...checkpoint.tensors.values()].map(({ dtype }) => dtype), ["F6_E2M3", "F6_E3M2", "F4"]);
  assertEquals(await checkpoint.read("b"), data.slice(6, 12));
  assertEquals(await checkpoint.read("c"), data.slice(12));
  await assertRejects(
    () => checkpoint.readFloat32("b"),
    ModelFileError,
    "Cannot convert the tensor to float32: bytes in memory, b (expected real numbers of 8 bits or more, found F6_E3M2)",
  );
});

Deno.test("openCheckpoint: what is written is read again", async () => {
  const { tensors } = expectedFiles["dtypes.pth"]!;
  using source = await openCheckpoint(fixture("dtypes.pth"));
  const entries = Array.from(
    source.tensors.values(),
    (info) => ({ ...info, bytes: () => source.read(info.name) }),
  );
  const metadata = { epoch: "4", __proto__x: "grün", "1": "one" };
  using checkpoint = await openCheckpoint(await write(entries, metadata));
  assertEquals(checkpoint.metadata, metadata);
  assertEquals([...checkpoint.tensors.keys()].sort(), Object.keys(tensors).sort());
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    assertEquals(checkpoint.tensors.get(name), { name, dtype, shape } as unknown, name);
    assertEquals((await checkpoint.read(name)).toHex(), bytes, name);
  }
});

Deno.test("openCheckpoint: the writer leaves no gap and aligns what can be aligned", async () => {
  const entries = [
    entry("bool", "BOOL", [3], 1),
    entry("half", "F16", [5], 2),
    entry("row", "F32", [16], 3),
    entry("empty", "F32", [0, 7]),
    entry("double", "F64", [3], 4),
    entry("matrix", "F32", [32, 16], 5),
    entry("__proto__", "I32", [4], 6),
    entry("3", "F32", [], 7),
  ];
  const file = await write(entries);
  const { start, header } = parse(file);
  assertEquals(start % 64, 0);
  const places = entries.map(({ name, dtype, shape }) => ({
    name,
    element: byteLength({ dtype, shape: [] }),
    size: byteLength({ dtype, shape }),
    begin: Object.getOwnPropertyDescriptor(header, name)!.value.data_offsets[0] as number,
  }));
  for (const { name, element, size, begin } of places) {
    assertEquals(begin % element, 0, name);
    if (size % 64 === 0 && size > 0) assertEquals(begin % 64, 0, name);
  }
  let end = 0;
  for (const { begin, size } of places.sort((a, b) => a.begin - b.begin || a.size - b.size)) {
    assertEquals(begin, end);
    end += size;
  }
  assertEquals(start + end, file.length);
  using checkpoint = await openCheckpoint(file);
  for (const { name, bytes } of entries) assertEquals(await checkpoint.read(name), await bytes(), name);
});

Deno.test("openCheckpoint: bytes are asked for one tensor at a time, after the header", async () => {
  const events: string[] = [];
  const sink = new WritableStream<Uint8Array>({
    write: (chunk) => void events.push(`write ${chunk.length}`),
  });
  const supply = (name: string): SafetensorsEntry => ({
    ...entry(name, "U8", [64]),
    bytes() {
      events.push(`ask ${name}`);
      return Promise.resolve(new Uint8Array(64));
    },
  });
  await writeSafetensors(sink, [supply("a"), supply("b")]);
  assertEquals(events, ["write 128", "ask a", "write 64", "ask b", "write 64"]);
});

Deno.test("openCheckpoint: a file appears whole or not at all", async () => {
  const folder = await Deno.makeTempDir();
  const names = (): string[] => Array.from(Deno.readDirSync(folder), ({ name }) => name);
  try {
    const path = `${folder}/a.safetensors`;
    const short = { ...entry("w", "F32", [2]), bytes: () => new Uint8Array(7) };
    const text = "Cannot write w as F32 [2] needs 8 bytes: current length is 7";
    await assertRejects(() => writeSafetensors(path, [short]), TypeError, text);
    const broken: SafetensorsEntry = {
      ...entry("w", "F32", [2]),
      bytes: () => Promise.reject(new Error("No")),
    };
    await assertRejects(() => writeSafetensors(path, [broken]), Error, "No");
    const signal = AbortSignal.abort(new Error("Enough"));
    await assertRejects(() => writeSafetensors(path, [entry("w", "F32", [2])], { signal }), Error, "Enough");
    assertEquals(names(), []);

    await writeSafetensors(path, [entry("w", "U8", [2], 8)]);
    await writeSafetensors(new URL(`file://${path}`), [entry("w", "U8", [2], 9)]);
    assertEquals(names(), ["a.safetensors"]);
    using checkpoint = await openCheckpoint(path);
    assertEquals(await checkpoint.read("w"), new Uint8Array([9, 9]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openCheckpoint: wrong arguments of the writer are refused before anything is written", async () => {
  let touched = false;
  const sink = (): WritableStream<Uint8Array> => new WritableStream({ write: () => void (touched = true) });
  const a = entry("a", "U8", [1]);
  await assertRejects(() => writeSafetensors(sink(), [a, a]), TypeError, 'current value is "a"');
  await assertRejects(
    () => writeSafetensors(sink(), [{ ...a, name: "__metadata__" }]),
    TypeError,
    "reserved",
  );
  await assertRejects(
    () => writeSafetensors(sink(), [{ ...a, shape: [1.5] }]),
    TypeError,
    "current value is [1.5]",
  );
  await assertRejects(
    () => writeSafetensors(sink(), [{ ...a, dtype: "F8" as DType }]),
    TypeError,
    'current value is "F8"',
  );
  await assertRejects(() => writeSafetensors(sink(), [{ ...a, dtype: "C128" }]), TypeError, '"C128"');
  await assertRejects(
    () => writeSafetensors(sink(), [{ ...a, dtype: "F6_E2M3", shape: [3] }]),
    TypeError,
    "its shape must be one of whole bytes in F6_E2M3: current value is [3]",
  );
  const metadata = { epoch: 4 } as unknown as Record<string, string>;
  await assertRejects(
    () => writeSafetensors(sink(), [a], { metadata }),
    TypeError,
    "epoch must be a text: current value is 4",
  );
  assertEquals(touched, false);
});

Deno.test("openCheckpoint: a tensor that is not there is named", async () => {
  using checkpoint = await openCheckpoint(safetensors("{}", latin1("")));
  await assertRejects(
    () => checkpoint.read("w"),
    ModelFileError,
    "Cannot find the tensor: bytes in memory, w",
  );
});

const EIGHT = [1, 2, 3, 4, 5, 6, 7, 8];

Deno.test("openSafetensors: a part of a tensor is read, none beyond its end", async () => {
  const entries = ["a", "b"].map((name) => ({
    ...entry(name, "U8", [8]),
    bytes: () => Uint8Array.from(EIGHT),
  }));
  using checkpoint = await openSafetensors(await openSource(await write(entries)));
  assertEquals(await checkpoint.readPart("a", 2, 3), Uint8Array.of(3, 4, 5));
  assertEquals(await checkpoint.readPart("a", 8, 0), new Uint8Array());
  await assertRejects(
    () => checkpoint.readPart("a", 6, 3),
    ModelFileError,
    "expected 3 bytes at 6, found 8 bytes",
  );
  await assertRejects(() => checkpoint.readPart("c", 0, 1), ModelFileError, "Cannot find the tensor");
});
