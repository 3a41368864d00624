/**
 * Checkpoints made to do harm: each is refused by name, before it costs memory or time.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import { deflateRawSync } from "node:zlib";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { concat, latin1, type Member, pickle, pth, zip } from "./forge.ts";

const { dict, global, int, list, storage, tensor, text, tuple, whole } = pickle;
const eight = new Uint8Array(8);

/** A file with one tensor `w` in a storage of two floats. */
function view(offset: number, shape: number[], strides: number[]): Uint8Array {
  return pth(whole(dict(text("w"), tensor(storage("0", "FloatStorage", 2), offset, shape, strides))), {
    0: eight,
  });
}

function withPickle(member: Partial<Member>): Uint8Array {
  return zip([{ name: "a/data.pkl", data: latin1(whole("}")), ...member }]);
}

const two = tensor(storage("0", "FloatStorage", 2), 0, [2], [1]);
const garbage = new Uint8Array(70000).fill(0xff);

const hostile: readonly [what: string, file: Uint8Array, error: string][] = [
  ["a command", pth(whole(global("posix", "system") + tuple(text("id")) + "R")), '"posix.system"'],
  ["a command named from the stack", pth(`\x80\x04\x8c\x08builtins\x8c\x04eval\x93.`), '"builtins.eval"'],
  ["a name with control characters", pth(whole(global("os\x1b[2J", "x"))), String.raw`"os\u001b[2J.x"`],
  ["a call of a type", pth(whole(global("torch", "FloatStorage") + ")R")), "found torch.FloatStorage"],
  ["a call of a number", pth(whole(int(1) + ")R")), "expected something that makes values, found 1"],
  [
    "arguments that are no tuple",
    pth(whole(global("collections", "OrderedDict") + "]R")),
    "a tuple of arguments",
  ],
  ["an object of a class by opcode", pth("\x80\x02(iposix\nsystem\n."), "0x69 at byte 3"],
  ["an extension code", pth("\x80\x02\x82\x01."), "0x82 at byte 2"],
  ["protocol 1", pth("\x80\x01}."), "found protocol 1"],
  ["protocol 6", pth("\x80\x06}."), "found protocol 6"],
  ["text instead of a pickle", pth("hello"), "found another stream"],
  ["an empty pickle", pth(""), "found the end after 0 bytes"],
  ["an empty stack", pth("\x80\x020."), "expected a value on the stack"],
  ["a value below the mark", pth("\x80\x02K\x01(0."), "expected a value on the stack"],
  ["no mark", pth("\x80\x02t."), "expected a mark on the stack"],
  ["an unknown memo", pth("\x80\x02h\x07."), "expected an index of the memo, found 7"],
  ["two values", pth("\x80\x02}}."), "expected one value at the end"],
  ["no stop", pth("\x80\x02}"), "found the end after 3 bytes"],
  ["more after the stop", pth("\x80\x02}.x"), "found 1 more bytes"],
  ["a text of 2^63 bytes", pth("\x80\x04\x8d\0\0\0\0\0\0\0\x80x."), "expected 9223372036854776000 bytes"],
  ["bytes of 4 GiB", pth("\x80\x03B\xff\xff\xff\xffx."), "expected 4294967295 bytes"],
  ["an integer of 4 GiB", pth("\x80\x02\x8b\xff\xff\xff\xffx."), "integers of at most 64 bytes"],
  ["text that is no UTF-8", pth("\x80\x02X\x01\0\0\0\xff."), "expected UTF-8 text"],
  ["a name without an end", pth("\x80\x02cposix"), "expected a line with a name"],
  ["a number appended to", pth(whole("K\x01K\x02a")), "expected a list to append to, found 1"],
  ["a list as a dict", pth(whole("]K\x01K\x02s")), "expected a dict to set items in, found a list"],
  ["half a pair", pth(whole("}(K\x01u")), "found 1 items"],
  ["state of a number", pth(whole("K\x01}b")), "expected an object that has state"],
  ["a persistent id of text", pth(whole(text("0") + "Q")), 'found the text "0"'],
  ["a set of a number", pth(whole(global("builtins", "set") + "K\x01\x85R")), "a set made of a list"],
  [
    "a set of the same list again and again",
    pth(whole(list("N".repeat(60000)) + "q\0" + (global("builtins", "set") + "h\0\x85R0").repeat(5000))),
    "the same ones over and over",
  ],
  ["three million opcodes", pth(whole("N0".repeat(3 << 19))), "expected at most 2097152 opcodes"],
  ["a list that holds itself", pth(whole("]q\0h\0a")), "at most 32 deep"],
  [
    "2^30 names of one tensor",
    pth(whole(Array.from({ length: 30 }).reduce<string>((inner) => `(${inner}2t`, two)), { 0: eight }),
    "characters in all",
  ],
  ["a number alone", pth(whole("K\x01")), "expected tensors, found 1"],
  [
    "two values of one name",
    pth(whole(dict(text("a.b"), "K\x01", text("a"), dict(text("b"), "K\x02")))),
    "Cannot tell two values of one name apart: bytes in memory, a.b",
  ],

  ["a view past its storage", view(1, [2], [1]), "w (expected at most 2 elements, found 3)"],
  ["an offset of 2^53 - 1", view(Number.MAX_SAFE_INTEGER, [1], [1]), "expected at most 2 elements"],
  ["a negative offset", view(-1, [1], [1]), "the offset of a tensor, found -1"],
  ["a negative stride", view(1, [2], [-1]), "the strides of a tensor >= 0, found -1"],
  ["a negative size", view(0, [-2], [1]), "the shape of a tensor >= 0, found -2"],
  ["a shape of 2^100 elements", view(0, [2 ** 50, 2 ** 50], [1, 1]), "reaches past its storage"],
  ["one element expanded to 2^40", view(0, [2 ** 40], [0]), "is expanded too far"],
  ["more strides than sizes", view(0, [2], [1, 1]), "as many strides as sizes"],
  ["65 axes", view(0, Array(65).fill(1), Array(65).fill(1)), "at most 64, found 65"],
  [
    "a sparse tensor without values",
    pth(whole(global("torch._utils", "_rebuild_sparse_tensor") + tuple("N", tuple(tuple(int(2)))) + "R")),
    "expected the values of a sparse tensor, found nothing",
  ],
  [
    "a sparse tensor of nothing",
    pth(whole(global("torch._utils", "_rebuild_sparse_tensor") + tuple("N", int(1)) + "R")),
    "expected the values of a sparse tensor, found nothing",
  ],
  [
    "a tensor of no storage",
    pth(whole(tensor("K\x01", 0, [1], [1]))),
    "expected a storage of a tensor, found 1",
  ],
  [
    "a parameter of a number",
    pth(whole(global("torch._utils", "_rebuild_parameter") + tuple("K\x01", "\x88", "}") + "R")),
    "expected a tensor within a parameter, found 1",
  ],
  [
    "a storage larger than its member",
    pth(whole(tensor(storage("0", "FloatStorage", 3), 0, [1], [1])), { 0: eight }),
    'expected 12 bytes in "a/data/0", found 8',
  ],
  ["a storage without a member", pth(whole(two)), 'expected a member "a/data/0", found none'],
  [
    "a part of a storage",
    pth(
      whole(
        `${
          tuple(
            text("storage"),
            global("torch", "ByteStorage"),
            text("0"),
            text("cpu"),
            int(8),
            tuple(text("v"), int(0), int(1)),
          )
        }Q`,
      ),
      { 0: eight },
    ),
    "expected a whole storage, found a part of one",
  ],
  ["a storage outside data", pth(whole(storage("../data.pkl", "ByteStorage", 1))), '"a/data/../data.pkl"'],
  [
    "a storage of a type that is none",
    pth(whole(tuple(text("storage"), global("torch", "float32"), text("0"), text("cpu"), int(1)) + "Q")),
    'found (the text "storage", torch.float32',
  ],
  [
    "a storage of an unknown type",
    pth(whole(global("torch", "QInt9Storage"))),
    '"torch.QInt9Storage"',
  ],

  ["big endian", pth(whole("}"), {}, [{ name: "a/byteorder", data: latin1("big") }]), 'found "big"'],
  [
    "a long byte order",
    pth(whole("}"), {}, [{ name: "a/byteorder", data: new Uint8Array(99) }]),
    "expected at most 16 bytes, found 99",
  ],
  ["no pickle", zip([{ name: "a/x", data: eight }]), 'expected one member <root>/data.pkl, found "a/x"'],
  ["two pickles", pth(whole("}"), {}, [{ name: "b/data.pkl", data: eight }]), "found 2"],
  [
    "two members of one name",
    pth(whole("}"), { 0: eight }, [{ name: "a/data/0", data: eight }]),
    "two members",
  ],
  ["an encrypted member", withPickle({ flags: 1 }), "Cannot read an encrypted member"],
  ["a bzip2 member", withPickle({ method: 12 }), "found method 12"],
  ["a wrong checksum", withPickle({ crc: 1 }), "expected checksum 00000001"],
  ["a stored member of two sizes", withPickle({ uncompressedSize: 1 << 30 }), "its size is wrong"],
  [
    "a member past the end",
    withPickle({ compressedSize: 1 << 30, uncompressedSize: 1 << 30 }),
    "its size is wrong",
  ],
  ["a member that begins elsewhere", withPickle({ offset: 3 }), "Cannot find the member where"],
  ["a deflated member of 4 GB", withPickle({ method: 8, uncompressedSize: 4e9 }), "its size is wrong"],
  [
    "a pickle of over 64 MiB",
    withPickle({ method: 8, data: garbage, uncompressedSize: (1 << 26) + 1 }),
    "expected at most 67108864 bytes, found 67108865",
  ],
  [
    "deflated garbage",
    withPickle({ method: 8, data: garbage, uncompressedSize: 99 }),
    "Cannot read the zip archive",
  ],
  [
    "more deflated bytes than announced",
    withPickle({ method: 8, data: deflateRawSync(new Uint8Array(5000)), uncompressedSize: 4000 }),
    "a/data.pkl",
  ],
  [
    "fewer deflated bytes than announced",
    withPickle({ method: 8, data: deflateRawSync(new Uint8Array(5000)), uncompressedSize: 6000 }),
    "a/data.pkl",
  ],
  ["a zip without a list", pth(whole("}")).slice(0, -22), "found none: it may be cut off"],
  ["a megabyte behind the zip", concat(pth(whole("}")), new Uint8Array(1e6)), "Cannot read the zip archive"],

  ["an empty file", new Uint8Array(0), "found an empty file"],
  ["an unknown format", latin1("odd!\x03\0\0\0\0\0"), "found a file of 10 bytes of an unknown format"],
  ["a bare pickle", latin1(whole("}")), "found a bare pickle"],
  [
    "a TAR archive",
    concat(new Uint8Array(257), latin1("ustar\x0000"), new Uint8Array(248)),
    "found a TAR archive",
  ],
  ["a web page", latin1("<!DOCTYPE html>"), "found a web page"],
  ["a Git LFS pointer", latin1("version https://git-lfs.github.com/spec/v1\n"), "run git lfs pull"],
];

for (const [what, file, text] of hostile) {
  Deno.test(`openCheckpoint: a file with ${what} is refused`, async () => {
    const error = await assertRejects(() => openCheckpoint(file), ModelFileError, text);
    assertEquals(error.file, "bytes in memory");
    assertEquals(error.message.length < 500, true, error.message);
  });
}

Deno.test("openCheckpoint: a changed byte of a tensor is noticed", async () => {
  const file = pth(whole(dict(text("w"), two)), { 0: new Uint8Array(8).fill(0xab) });
  file[file.indexOf(0xab)]! ^= 1;
  using checkpoint = await openCheckpoint(file);
  await assertRejects(() => checkpoint.read("w"), ModelFileError, "w (expected checksum");
});
