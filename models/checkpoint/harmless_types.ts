/**
 * Types whose values trainers leave beside the tensors: devices, dates, paths, numbers and arrays of NumPy,
 * the states of generators of random numbers. Making such a value does nothing else, so a stream may name
 * them; nothing is run here for it, and what it would make is skipped.
 *
 * What calls a function of the stream's choice (`getattr`, `functools.partial`), loads a module or belongs to
 * a program of somebody's own is not among them and stays refused.
 *
 * @module
 */

import { PickleGlobal, SkippedValue } from "./pickle.ts";

/** What makes values, by module. */
const MAKERS: Readonly<Record<string, readonly string[]>> = {
  builtins: ["complex", "range", "slice"],
  // What Python 3, too, writes for builtins up to protocol 2.
  __builtin__: ["complex", "slice", "xrange"],
  datetime: ["date", "datetime", "time", "timedelta", "timezone"],
  decimal: ["Decimal"],
  fractions: ["Fraction"],
  pathlib: ["Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"],
  "pathlib._local": ["Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"],
  random: ["Random"],
  uuid: ["UUID"],
  torch: ["device"],
  "torch._C": ["Generator"],
  "torch.serialization": ["_get_layout"],
  numpy: ["dtype", "ndarray"],
  // NumPy 2 put an underscore before the module.
  "numpy._core.multiarray": ["_reconstruct", "scalar"],
  "numpy.core.multiarray": ["_reconstruct", "scalar"],
  "numpy._core.numeric": ["_frombuffer"],
  "numpy.core.numeric": ["_frombuffer"],
  "numpy.ma.core": ["_mareconstruct"],
  "numpy.random": ["__RandomState_ctor"],
  "numpy.random._pickle": ["__bit_generator_ctor", "__generator_ctor", "__randomstate_ctor"],
  "numpy.random.bit_generator": ["SeedSequence", "__pyx_unpickle_SeedSequence"],
};

const PLAIN_TYPES = ["bool", "dict", "float", "list", "object", "tuple", "Ellipsis", "NotImplemented"];

/** Types that are values themselves, such as that of an option or the factory of a defaultdict, by module. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  builtins: [...PLAIN_TYPES, "int", "str"],
  __builtin__: [...PLAIN_TYPES, "int", "long", "str", "unicode"],
  torch: [
    ...["Tensor", "qint32", "qint8", "quint8", "quint4x2", "quint2x4"],
    ...["per_channel_affine", "per_channel_affine_float_qparams", "per_channel_symmetric"],
    ...["per_tensor_affine", "per_tensor_symmetric"],
  ],
  numpy: [
    ...["bool", "bool_", "bytes_", "complex64", "complex128", "datetime64", "float16", "float32", "float64"],
    ...["int8", "int16", "int32", "int64", "longdouble", "longlong", "object_", "str_", "timedelta64"],
    ...["uint8", "uint16", "uint32", "uint64", "ulonglong", "void"],
  ],
  "numpy.ma": ["MaskedArray"],
  "numpy.ma.core": ["MaskedArray"],
  "numpy.random._mt19937": ["MT19937"],
  "numpy.random._pcg64": ["PCG64", "PCG64DXSM"],
  "numpy.random._philox": ["Philox"],
  "numpy.random._sfc64": ["SFC64"],
};

function named(names: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(names).flatMap(([module, list]) => list.map((name) => `${module}.${name}`));
}

/** All of them, as {@linkcode unpickle} takes them. */
export const HARMLESS_TYPES: readonly PickleGlobal[] = [
  ...named(MAKERS).map((name) => {
    const value = new SkippedValue(name);
    return new PickleGlobal(name, () => value);
  }),
  ...named(TYPES).map((name) => new PickleGlobal(name)),
];
