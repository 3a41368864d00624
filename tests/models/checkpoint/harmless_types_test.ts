import { assertEquals, assertRejects } from "@std/assert";
import { HARMLESS_TYPES } from "../../../models/checkpoint/harmless_types.ts";
import { openCheckpoint } from "../../../models/checkpoint/mod.ts";
import { ModelFileError } from "../../../models/model_file_error.ts";
import { pickle, pth, stream } from "./forge.ts";

const { dict, global, int, list, storage, tensor, text, tuple, whole } = pickle;

const data = new Uint8Array(new Float32Array([1.5, -2]).buffer);
const two = tensor(storage("0", "FloatStorage", 2), 0, [2], [1]);

function named(name: string): string {
  const dot = name.lastIndexOf(".");
  return global(name.slice(0, dot), name.slice(dot + 1));
}

/** Both containers around a value. */
function files(value: string): Uint8Array[] {
  return [pth(whole(value), { 0: data }), stream(value, [{ key: "0", data, count: 2 }])];
}

Deno.test("HARMLESS_TYPES: each is skipped beside a tensor, with its arguments and its state", async () => {
  const values = HARMLESS_TYPES.flatMap(({ name, call }) => {
    const type = named(name);
    return call === undefined
      ? [type]
      : [type, `${type}${tuple(text("x"), list(int(1)))}R${dict(text("y"), int(2))}b`];
  });
  for (const file of files(dict(text("beside"), list(...values), text("w"), two))) {
    using checkpoint = await openCheckpoint(file);
    assertEquals([...checkpoint.tensors.keys()], ["w"]);
    assertEquals(checkpoint.metadata, {});
    assertEquals(await checkpoint.readFloat32("w"), new Float32Array([1.5, -2]));
  }
});

const executing = [
  ...["eval", "exec", "compile", "getattr", "setattr", "__import__", "open", "type", "map", "apply"].flatMap(
    (name) => {
      return [`builtins.${name}`, `__builtin__.${name}`];
    },
  ),
  ...[
    "os.system",
    "posix.system",
    "nt.system",
    "subprocess.Popen",
    "runpy.run_path",
    "importlib.import_module",
  ],
  ...[
    "functools.partial",
    "functools.reduce",
    "operator.methodcaller",
    "operator.attrgetter",
    "types.CodeType",
  ],
  ...["types.FunctionType", "types.MethodType", "copyreg._reconstructor", "pickle.loads", "marshal.loads"],
  ...["pathlib.Path.unlink", "pathlib.os", "random._os.system", "uuid.os", "datetime.sys", "decimal._sys"],
  ...["numpy.load", "numpy.fromfile", "numpy.memmap", "numpy.testing._private.utils.runstring"],
  ...["torch.load", "torch.hub.load", "torch.storage._load_from_bytes", "torch.serialization.load"],
  ...["torch.jit._script.load", "torch.nn.modules.linear.Linear", "__main__.Trainer", "argparse.FileType"],
];

for (const name of executing) {
  Deno.test(`openCheckpoint: ${name} is refused by name, called or not`, async () => {
    const calls = [named(name), `${named(name)}${tuple(text("x"))}R`];
    for (const file of calls.flatMap((value) => files(dict(text("w"), two, text("beside"), value)))) {
      await assertRejects(() => openCheckpoint(file), ModelFileError, `found the name "${name}"`);
    }
  });
}

const misused: readonly [what: string, value: string, error: string][] = [
  [
    "a defaultdict that makes commands",
    `${global("collections", "defaultdict")}${tuple(global("os", "system"))}R`,
    'found the name "os.system"',
  ],
  [
    "a defaultdict made of a number",
    `${global("collections", "defaultdict")}${tuple(int(1))}R`,
    "expected a defaultdict made of a type, found 1",
  ],
  ["a Counter made of a list", `${global("collections", "Counter")}${tuple(list())}R`, "found a list"],
  ["a deque made of a dict", `${global("collections", "deque")}${tuple(dict())}R`, "found a dict"],
  [
    "an OrderedDict made of three",
    `${global("collections", "OrderedDict")}${tuple(list(tuple(int(1), int(2), int(3))))}R`,
    "expected a pair of a key and a value, found a tuple",
  ],
  [
    "a call of a plain type",
    `${global("builtins", "list")})R`,
    "expected something that makes values, found",
  ],
  ["items of a device", `${global("torch", "device")})R${int(1)}a`, "found a value of torch.device"],
  [
    "a tensor made by a container",
    `${global("torch._tensor", "_rebuild_from_type_v2")}${
      tuple(global("collections", "OrderedDict"), global("torch", "Tensor"), ")", dict())
    }R`,
    "expected a function that makes tensors, found collections.OrderedDict",
  ],
  [
    "a tensor made by what makes it",
    `${global("torch._tensor", "_rebuild_from_type_v2")}${
      tuple(global("torch._tensor", "_rebuild_from_type_v2"), global("torch", "Tensor"), ")", dict())
    }R`,
    "expected a function that makes tensors, found torch._tensor._rebuild_from_type_v2",
  ],
  [
    "a tensor below a tuple",
    dict(tuple(int(0)), list(two)),
    "expected keys that are text or numbers above tensors",
  ],
  [
    "a Counter of the same dict again and again",
    `${dict(...Array.from({ length: 9000 }, (_, i) => int(i) + "N"))}q\0${
      (global("collections", "Counter") + "h\0\x85R0").repeat(9000)
    }`,
    "the same ones over and over",
  ],
];

for (const [what, value, error] of misused) {
  Deno.test(`openCheckpoint: ${what} is refused`, async () => {
    for (const file of files(value)) await assertRejects(() => openCheckpoint(file), ModelFileError, error);
  });
}

Deno.test("openCheckpoint: values below keys that name nothing are skipped", async () => {
  const device = `${global("torch", "device")}${tuple(text("cpu"))}R`;
  for (
    const file of files(dict(text("w"), two, tuple(int(0), int(1)), int(5), device, dict(text("a"), int(1))))
  ) {
    using checkpoint = await openCheckpoint(file);
    assertEquals([[...checkpoint.tensors.keys()], checkpoint.metadata], [["w"], {}]);
  }
});
