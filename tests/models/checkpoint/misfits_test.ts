/** What was downloaded or saved instead of a checkpoint, told by what it is. */

import { assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { archiveMisfit, misfitOf } from "../../../models/checkpoint/misfits.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { latin1, pickle, safetensors, zip } from "./forge.ts";

const POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 109\n";
const RAW = [
  ["\x89HDF\r\n\x1a\n\0", "an HDF5 file"],
  ["\x93NUMPY\x01\0", "a NumPy array"],
  ["\x89PNG\r\n\x1a\n\0", "a PNG picture"],
  ["\xff\xd8\xff\xe0", "a JPEG picture"],
  ["GGUF\x03\0\0\0\0", "a GGUF file"],
  ["\x28\xb5\x2f\xfd\0", "a Zstandard archive"],
  ["\xfd7zXZ\0", "an xz archive"],
  ["BZh91AY&SY\x8f", "a bzip2 archive"],
] as const;

const CASES: readonly (readonly [what: string, file: Uint8Array, expected: string, found: string])[] = [
  ["a missing file", latin1("Entry not found"), "a .pth or", 'a text that begins with "Entry not found"'],
  [
    "a refusal",
    latin1('{"error":"Repository not found"}'),
    "a .pth or",
    String.raw`JSON that begins with "{\"error\":\"Repository not found\"}"`,
  ],
  // The first character behind the length of a header would be a brace.
  ["a list", latin1('[       {"error":1}]'), "a .pth or", "JSON that begins with"],
  [
    "a web page",
    latin1("\n  <!doctype html><html><title>Sign in</title>"),
    "the file itself",
    'a web page or XML that begins with "<!doctype html><html><title>Sign in</title>"',
  ],
  [
    "an LFS pointer",
    latin1(POINTER),
    "the file itself",
    String
      .raw`a Git LFS pointer to it (run git lfs pull) that begins with "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\ns"`,
  ],
  ["a text in another alphabet", new TextEncoder().encode("найден\n".repeat(90)), "a .pth", "a text that"],
  ["a gzip archive", gzipSync("weights"), "what is in it; unpack it first", "a gzip archive"],
  [
    "a folder's description",
    latin1('{\n "format": "varscale-model"'),
    "the folder",
    "description of a model",
  ],
  ["an index in memory", latin1('{"weight_map": {"a": "b"}}'), ".index.json", "an index of shards"],
  ...RAW.map(([start, found]) => [found, latin1(start), "", found] as const),
  [
    "a TorchScript archive",
    zip([
      { name: "net/data.pkl", data: latin1(pickle.whole("}")) },
      { name: "net/code/__torch__.py", data: latin1("class Net(Module):\n") },
      { name: "net/constants.pkl", data: latin1(pickle.whole(")")) },
    ]),
    "torch.jit.load",
    "a TorchScript archive",
  ],
  [
    "NumPy arrays",
    zip([{ name: "a.npy", data: latin1("\x93NUMPY") }]),
    "a .pth or .safetensors file",
    "an archive of NumPy arrays (.npz)",
  ],
  [
    "an exported program",
    zip([{ name: "net/archive_format", data: latin1("pt2") }]),
    "state_dict()",
    "an exported program (.pt2)",
  ],
];

for (const [what, file, expected, found] of CASES) {
  Deno.test(`misfitOf: ${what} instead of a checkpoint is told by what it is`, async () => {
    const error = await assertRejects(() => openCheckpoint(new Uint8Array(file)), ModelFileError);
    assertEquals(error.message.startsWith("Cannot open the checkpoint: bytes in memory (expected "), true);
    assertEquals(error.found!.includes(found), true, error.found);
    assertEquals(error.expected!.includes(expected), true, error.expected);
  });
}

Deno.test("misfitOf: what may be a checkpoint is none, and damaged ones are left to their readers", async () => {
  const good = safetensors('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', new Uint8Array(1));
  assertEquals([misfitOf(good), misfitOf(new Uint8Array(0)), misfitOf(latin1(" \n"))], [
    undefined,
    undefined,
    undefined,
  ]);
  assertEquals(archiveMisfit(["a/data.pkl", "a/data/0", "a/version"]), undefined);
  assertEquals(archiveMisfit([]), undefined);
  await assertRejects(
    () => openCheckpoint(good.slice(0, -1)),
    ModelFileError,
    "Cannot read the file as its size",
  );
});
