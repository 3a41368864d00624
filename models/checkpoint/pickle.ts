/**
 * A restricted unpickler: turns the binary pickle protocols 2 to 5 into plain data. It runs nothing that the
 * stream names; a type or function outside the caller's table is refused by name. What the objects mean is
 * left to the caller.
 *
 * Python's list becomes an array, tuple {@linkcode PickleTuple}, dict `Map`, set and frozenset `Set`, bytes
 * and bytearray `Uint8Array`, int `number` or, beyond 2^53, `bigint`. Nothing becomes a plain object, so no
 * key of the stream can reach a prototype. Opcodes:
 * https://github.com/python/cpython/blob/main/Lib/pickletools.py
 *
 * @module
 */

/** A stream that is damaged, or holds what is not allowed. */
export class PickleError extends Error {
  override readonly name = "PickleError";
  /** What the stream should have held. */
  readonly expected: string;
  /** What it holds, in words that are safe to print. */
  readonly found: string;

  /** The message says both: what was expected and what was found. */
  constructor(expected: string, found: string) {
    super(`Cannot read the pickle (expected ${expected}, found ${found})`);
    this.expected = expected;
    this.found = found;
  }
}

/** A stream that goes on where the bytes end. With more of them it may be whole. */
export class CutPickleError extends PickleError {}

/** A tuple, kept apart from a list because only tuples are arguments. */
export class PickleTuple {
  /** Its items, in order. */
  readonly items: readonly unknown[];

  /** A tuple of these items. */
  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** Something a stream may name. Without a function it can be stored and passed on, but not called. */
export class PickleGlobal {
  /** Module and name, joined by a dot. */
  readonly name: string;
  /**
   * Makes a value from arguments of any kind, which it has to check; throws {@linkcode PickleError}.
   */
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  /** Something of this name that a stream may store and, given `call`, call. */
  constructor(name: string, call?: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** A value of which nothing is known but its type; state that a stream gives it is dropped. */
export class SkippedValue {
  /** Name of the type, or of the function that makes it. */
  readonly type: string;

  /** A value of this type. */
  constructor(type: string) {
    this.type = type;
  }
}

/** What {@linkcode unpickle} allows beside plain containers. */
export interface UnpickleOptions {
  /** Types and functions that the stream may name. */
  globals?: Iterable<PickleGlobal>;
  /**
   * Finds the object that a persistent id stands for; throws {@linkcode PickleError}. Without it such ids are
   * refused.
   */
  persistent?: (id: unknown) => unknown;
}

/**
 * Reads a pickle.
 *
 * @throws {PickleError} If the stream is damaged or holds what is not allowed.
 *
 * @example
 * ```ts
 * import { unpickle } from "./pickle.ts";
 * import { assertEquals } from "@std/assert";
 *
 * // pickle.dumps({"a": 7}, protocol=2)
 * const bytes = Uint8Array.from("\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x07s.", (c) => c.charCodeAt(0));
 * assertEquals(unpickle(bytes), new Map([["a", 7]]));
 * ```
 *
 * @example A stream that names a command
 * ```ts
 * import { PickleError, unpickle } from "./pickle.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const bytes = Uint8Array.from("\x80\x02cposix\nsystem\n.", (c) => c.charCodeAt(0));
 * assertThrows(() => unpickle(bytes), PickleError, "posix.system");
 * ```
 */
export function unpickle(bytes: Uint8Array, options: UnpickleOptions = {}): unknown {
  const { value, end } = unpickleFrom(bytes, 0, options);
  if (end === bytes.length) return value;
  throw new PickleError("the end after the stop", `${bytes.length - end} more bytes`);
}

/**
 * Reads a pickle that begins at `start` and may be followed by anything; `end` is behind its last byte.
 *
 * @throws {CutPickleError} If the bytes end before it does.
 * @throws {PickleError} If the stream is damaged or holds what is not allowed.
 */
export function unpickleFrom(
  bytes: Uint8Array,
  start: number,
  options: UnpickleOptions = {},
): { value: unknown; end: number } {
  const unpickler = new Unpickler(bytes, start, options);
  const value = unpickler.run();
  return { value, end: unpickler.position };
}

/** What a value is called in messages. */
export function nameOfValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "None";
  if (Array.isArray(value)) return "a list";
  if (value instanceof PickleTuple) return "a tuple";
  if (value instanceof Map) return "a dict";
  if (value instanceof Set) return "a set";
  if (value instanceof Uint8Array) return "bytes";
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof SkippedValue) return `a value of ${value.type}`;
  if (typeof value === "string") return `the text ${quote(value)}`;
  if (typeof value === "object") return "an object";
  return String(value).slice(0, 80);
}

/** Text of the file, made safe to print. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** A namespace: the one kind of class whose state is kept, as trainers store their options in it. */
class Namespace extends Map<unknown, unknown> {}

function noArguments(name: string, args: readonly unknown[]): void {
  if (args.length !== 0) throw new PickleError(`${name} without arguments`, `${args.length}`);
}

/** Python 2 stores the items beside the type, as a list of lists of two; Python 3 sets them afterwards. */
function toOrderedDict([pairs = []]: readonly unknown[]): Map<unknown, unknown> {
  if (!Array.isArray(pairs)) throw new PickleError("an OrderedDict made of pairs", nameOfValue(pairs));
  return new Map(pairs.map((pair) => {
    const items: unknown = pair instanceof PickleTuple ? pair.items : pair;
    if (Array.isArray(items) && items.length === 2) return [items[0], items[1]];
    throw new PickleError("a pair of a key and a value", nameOfValue(pair));
  }));
}

function toNamespace(name: string): PickleGlobal {
  return new PickleGlobal(name, (args) => {
    noArguments(name, args);
    return new Namespace();
  });
}

function toCounter([counts = new Map()]: readonly unknown[]): Map<unknown, unknown> {
  if (counts instanceof Map) return new Map(counts);
  throw new PickleError("a Counter made of a dict", nameOfValue(counts));
}

/** What the factory would make is never wanted. */
function toDefaultDict([factory = null, ...rest]: readonly unknown[]): Map<unknown, unknown> {
  if ((factory === null || factory instanceof PickleGlobal) && rest.length === 0) return new Map();
  throw new PickleError("a defaultdict made of a type", nameOfValue(rest.length === 0 ? factory : rest[0]));
}

/** Its items are appended afterwards; the second argument is the greatest length. */
function toDeque([items = []]: readonly unknown[]): unknown[] {
  const start: unknown = items instanceof PickleTuple ? items.items : items;
  if (Array.isArray(start)) return start.slice();
  throw new PickleError("a deque made of a list", nameOfValue(items));
}

function toSet(args: readonly unknown[]): Set<unknown> {
  if (args.length !== 1 || !Array.isArray(args[0])) {
    throw new PickleError("a set made of a list", nameOfValue(args[0]));
  }
  return new Set(args[0]);
}

/**
 * Protocol 2 has no bytes: Python stores them as text with one character per byte. From protocol 3 on a
 * bytearray is made of bytes.
 */
function toBytes(args: readonly unknown[]): Uint8Array {
  const [text = "", encoding = "latin1"] = args;
  if (text instanceof Uint8Array) return text;
  if (typeof text !== "string" || (encoding !== "latin1" && encoding !== "latin-1")) {
    throw new PickleError("bytes as latin1 text", `${nameOfValue(text)} in ${nameOfValue(encoding)}`);
  }
  return Uint8Array.from(text, (character) => {
    const code = character.codePointAt(0)!;
    if (code > 0xff) throw new PickleError("bytes as latin1 text", quote(character));
    return code;
  });
}

/** The containers of Python's own library. Python 3 writes `__builtin__` for `builtins` up to protocol 2. */
const CONTAINERS: readonly PickleGlobal[] = [
  new PickleGlobal("collections.OrderedDict", toOrderedDict),
  new PickleGlobal("collections.Counter", toCounter),
  new PickleGlobal("collections.defaultdict", toDefaultDict),
  new PickleGlobal("collections.deque", toDeque),
  toNamespace("argparse.Namespace"),
  toNamespace("types.SimpleNamespace"),
  new PickleGlobal("_codecs.encode", toBytes),
  ...["__builtin__", "builtins"].flatMap((module) => [
    new PickleGlobal(`${module}.set`, toSet),
    new PickleGlobal(`${module}.frozenset`, toSet),
    new PickleGlobal(`${module}.bytes`, toBytes),
    new PickleGlobal(`${module}.bytearray`, toBytes),
  ]),
];

const OPCODES = {
  mark: 0x28, // (
  emptyTuple: 0x29, // )
  stop: 0x2e, // .
  pop: 0x30, // 0
  popMark: 0x31, // 1
  duplicate: 0x32, // 2
  binBytes: 0x42, // B
  shortBinBytes: 0x43, // C
  binFloat: 0x47, // G
  binInt: 0x4a, // J
  binInt1: 0x4b, // K
  binInt2: 0x4d, // M
  none: 0x4e, // N
  binPersistentId: 0x51, // Q
  reduce: 0x52, // R
  binString: 0x54, // T
  shortBinString: 0x55, // U
  binUnicode: 0x58, // X
  emptyList: 0x5d, // ]
  append: 0x61, // a
  build: 0x62, // b
  global: 0x63, // c
  appends: 0x65, // e
  binGet: 0x68, // h
  longBinGet: 0x6a, // j
  binPut: 0x71, // q
  longBinPut: 0x72, // r
  setItem: 0x73, // s
  tuple: 0x74, // t
  setItems: 0x75, // u
  emptyDict: 0x7d, // }
  protocol: 0x80,
  newObject: 0x81,
  tuple1: 0x85,
  tuple2: 0x86,
  tuple3: 0x87,
  newTrue: 0x88,
  newFalse: 0x89,
  long1: 0x8a,
  long4: 0x8b,
  shortBinUnicode: 0x8c,
  binUnicode8: 0x8d,
  binBytes8: 0x8e,
  emptySet: 0x8f,
  addItems: 0x90,
  frozenSet: 0x91,
  stackGlobal: 0x93,
  memoize: 0x94,
  frame: 0x95,
  byteArray8: 0x96,
} as const;

/**
 * An opcode of one byte may make an object of two hundred, so their number is bounded: 2^21 keep below half a
 * gigabyte. The largest VAR checkpoint needs about 20,000.
 */
const MAX_OPCODES = 1 << 21;

/** Integers longer than this have no use in a checkpoint. */
const MAX_INTEGER_BYTES = 64;

class Unpickler {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #globals: ReadonlyMap<string, PickleGlobal>;
  readonly #persistent: ((id: unknown) => unknown) | undefined;
  readonly #stack: unknown[] = [];
  /** Heights of the stack at the open marks. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #position: number;
  /** Arguments can be named again and again through the memo, so calls may copy only so much in all. */
  #copies: number;

  constructor(bytes: Uint8Array, start: number, { globals = [], persistent }: UnpickleOptions) {
    this.#bytes = bytes;
    this.#position = start;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#globals = new Map([...CONTAINERS, ...globals].map((global) => [global.name, global]));
    this.#persistent = persistent;
    this.#copies = 65536 + 16 * bytes.length;
  }

  /** Behind the last byte that was read. */
  get position(): number {
    return this.#position;
  }

  run(): unknown {
    if (this.#byte() !== OPCODES.protocol) {
      throw new PickleError("a pickle of protocol 2 to 5", "another stream");
    }
    const version = this.#byte();
    if (version < 2 || version > 5) throw new PickleError("pickle protocol 2 to 5", `protocol ${version}`);
    for (let count = 0; count < MAX_OPCODES; count++) {
      const opcode = this.#byte();
      if (opcode === OPCODES.stop) return this.#finish();
      this.#step(opcode);
    }
    throw new PickleError(`at most ${MAX_OPCODES} opcodes`, "more");
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case OPCODES.frame:
        // Frames only help those who read from a stream.
        return void this.#length8();
      case OPCODES.mark:
        return void this.#marks.push(stack.length);
      case OPCODES.pop:
        return void this.#pop();
      case OPCODES.popMark:
        return void this.#popMark();
      case OPCODES.duplicate:
        return void stack.push(this.#top());

      case OPCODES.none:
        return void stack.push(null);
      case OPCODES.newTrue:
        return void stack.push(true);
      case OPCODES.newFalse:
        return void stack.push(false);
      case OPCODES.binInt:
        return void stack.push(this.#view.getInt32(this.#take(4), true));
      case OPCODES.binInt1:
        return void stack.push(this.#byte());
      case OPCODES.binInt2:
        return void stack.push(this.#view.getUint16(this.#take(2), true));
      case OPCODES.long1:
        return void stack.push(this.#integer(this.#byte()));
      case OPCODES.long4:
        return void stack.push(this.#integer(this.#word()));
      case OPCODES.binFloat:
        return void stack.push(this.#view.getFloat64(this.#take(8), false));

      case OPCODES.shortBinUnicode:
        return void stack.push(this.#text(this.#byte()));
      case OPCODES.binUnicode:
        return void stack.push(this.#text(this.#word()));
      case OPCODES.binUnicode8:
        return void stack.push(this.#text(this.#length8()));
      case OPCODES.shortBinString:
        return void stack.push(this.#string(this.#byte()));
      case OPCODES.binString:
        return void stack.push(this.#string(this.#word()));
      case OPCODES.shortBinBytes:
        return void stack.push(this.#raw(this.#byte()).slice());
      case OPCODES.binBytes:
        return void stack.push(this.#raw(this.#word()).slice());
      case OPCODES.binBytes8:
      case OPCODES.byteArray8:
        return void stack.push(this.#raw(this.#length8()).slice());

      case OPCODES.emptyTuple:
        return void stack.push(new PickleTuple([]));
      case OPCODES.tuple1:
        return void stack.push(new PickleTuple([this.#pop()]));
      case OPCODES.tuple2: {
        const last = this.#pop();
        return void stack.push(new PickleTuple([this.#pop(), last]));
      }
      case OPCODES.tuple3: {
        const last = this.#pop();
        const middle = this.#pop();
        return void stack.push(new PickleTuple([this.#pop(), middle, last]));
      }
      case OPCODES.tuple:
        return void stack.push(new PickleTuple(this.#popMark()));
      case OPCODES.emptyList:
        return void stack.push([]);
      case OPCODES.append: {
        const item = this.#pop();
        this.#list().push(item);
        return;
      }
      case OPCODES.appends: {
        const items = this.#popMark();
        const list = this.#list();
        for (const item of items) list.push(item);
        return;
      }
      case OPCODES.emptyDict:
        return void stack.push(new Map());
      case OPCODES.setItem: {
        const value = this.#pop();
        const key = this.#pop();
        this.#dict().set(key, value);
        return;
      }
      case OPCODES.setItems: {
        const items = this.#popMark();
        const dict = this.#dict();
        if (items.length % 2 !== 0) {
          throw new PickleError("pairs of keys and values", `${items.length} items`);
        }
        for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
        return;
      }
      case OPCODES.emptySet:
        return void stack.push(new Set());
      case OPCODES.addItems: {
        const items = this.#popMark();
        const set = this.#top();
        if (!(set instanceof Set)) throw new PickleError("a set to add to", nameOfValue(set));
        for (const item of items) set.add(item);
        return;
      }
      case OPCODES.frozenSet:
        return void stack.push(new Set(this.#popMark()));

      case OPCODES.binGet:
        return void stack.push(this.#recall(this.#byte()));
      case OPCODES.longBinGet:
        return void stack.push(this.#recall(this.#word()));
      case OPCODES.binPut:
        return void this.#memo.set(this.#byte(), this.#top());
      case OPCODES.longBinPut:
        return void this.#memo.set(this.#word(), this.#top());
      case OPCODES.memoize:
        return void this.#memo.set(this.#memo.size, this.#top());

      case OPCODES.global:
        return void stack.push(this.#global(this.#line(), this.#line()));
      case OPCODES.stackGlobal: {
        const name = this.#pop();
        const module = this.#pop();
        if (typeof module !== "string" || typeof name !== "string") {
          throw new PickleError(
            "names of a module and a type",
            `${nameOfValue(module)} and ${nameOfValue(name)}`,
          );
        }
        return void stack.push(this.#global(module, name));
      }
      case OPCODES.reduce:
      case OPCODES.newObject: {
        const args = this.#pop();
        return void stack.push(this.#call(this.#pop(), args));
      }
      case OPCODES.build: {
        const state = this.#pop();
        this.#build(this.#top(), state);
        return;
      }
      case OPCODES.binPersistentId: {
        const id = this.#pop();
        if (this.#persistent === undefined) throw new PickleError("no persistent ids", nameOfValue(id));
        return void stack.push(this.#persistent(id));
      }
      default:
        throw new PickleError(
          "an opcode that checkpoints are made of",
          `0x${opcode.toString(16).padStart(2, "0")} at byte ${this.#position - 1}`,
        );
    }
  }

  #finish(): unknown {
    const value = this.#pop();
    if (this.#stack.length !== 0 || this.#marks.length !== 0) {
      throw new PickleError("one value at the end", `${this.#stack.length} more`);
    }
    return value;
  }

  #global(module: string, name: string): PickleGlobal {
    const global = this.#globals.get(`${module}.${name}`);
    if (global !== undefined) return global;
    throw new PickleError(
      "only types that checkpoints are made of",
      `the name ${quote(`${module}.${name}`)}`,
    );
  }

  #call(global: unknown, args: unknown): unknown {
    if (!(global instanceof PickleGlobal) || global.call === undefined) {
      throw new PickleError("something that makes values", nameOfValue(global));
    }
    if (!(args instanceof PickleTuple)) throw new PickleError("a tuple of arguments", nameOfValue(args));
    const value = global.call(args.items);
    if (!(value instanceof SkippedValue)) this.#charge(args.items);
    return value;
  }

  /** Takes what a call may have copied from what all calls may copy. */
  #charge(args: readonly unknown[]): void {
    for (const item of args) {
      if (Array.isArray(item) || typeof item === "string") this.#copies -= item.length;
      else if (item instanceof Map) this.#copies -= item.size;
    }
    if (this.#copies < 0) throw new PickleError("every argument about once", "the same ones over and over");
  }

  /**
   * State beside a value (such as `_metadata` of a state dict) is data of no use here, save for the options
   * of a trainer.
   */
  #build(value: unknown, state: unknown): void {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof PickleTuple) {
      throw new PickleError("an object that has state", nameOfValue(value));
    }
    if (!(value instanceof Namespace)) return;
    if (!(state instanceof Map)) {
      throw new PickleError("the state of a namespace as a dict", nameOfValue(state));
    }
    this.#copies -= state.size;
    if (this.#copies < 0) throw new PickleError("every state about once", "the same one over and over");
    for (const [key, item] of state) value.set(key, item);
  }

  #recall(index: number): unknown {
    if (this.#memo.has(index)) return this.#memo.get(index);
    throw new PickleError("an index of the memo", `${index}`);
  }

  #list(): unknown[] {
    const list = this.#top();
    if (Array.isArray(list)) return list;
    throw new PickleError("a list to append to", nameOfValue(list));
  }

  #dict(): Map<unknown, unknown> {
    const dict = this.#top();
    if (dict instanceof Map) return dict;
    throw new PickleError("a dict to set items in", nameOfValue(dict));
  }

  #top(): unknown {
    if (this.#stack.length > (this.#marks.at(-1) ?? 0)) return this.#stack.at(-1);
    throw new PickleError("a value on the stack", "none");
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMark(): unknown[] {
    const height = this.#marks.pop();
    if (height === undefined) throw new PickleError("a mark on the stack", "none");
    return this.#stack.splice(height);
  }

  /** Moves past `count` bytes and gives the place of the first. */
  #take(count: number): number {
    const start = this.#position;
    if (count > this.#bytes.length - start) {
      throw new CutPickleError(`${count} bytes at ${start}`, `the end after ${this.#bytes.length} bytes`);
    }
    this.#position = start + count;
    return start;
  }

  #byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  #word(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /**
   * A length of 64 bits; what a float64 cannot hold is beyond any file and refused where the bytes are taken.
   */
  #length8(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  #raw(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#bytes.subarray(start, start + count);
  }

  #text(count: number): string {
    const start = this.#position;
    const text = this.#string(count);
    if (typeof text === "string") return text;
    throw new PickleError(`UTF-8 text at byte ${start}`, "other bytes");
  }

  /** Python 2 had one type for text and for bytes; what is no text stays bytes. */
  #string(count: number): string | Uint8Array {
    const bytes = this.#raw(count);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return bytes.slice();
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) throw new CutPickleError("a line with a name", "the end");
    const line = this.#text(end - this.#position);
    this.#take(1);
    return line;
  }

  #integer(count: number): number | bigint {
    if (count > MAX_INTEGER_BYTES) {
      throw new PickleError(`integers of at most ${MAX_INTEGER_BYTES} bytes`, `${count}`);
    }
    const bytes = this.#raw(count);
    const value = BigInt.asIntN(8 * count, bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n));
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }
}
